"""Explanations of cells whose states are matrices: the terms of every number add up, in every sample."""

from math import isclose, prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import FEATURES, MASK, TIMESTEPS, layer_of
from matrix_loops import SMALL, UNITS
from random_matrix_cells import UNITS as RANDOM_UNITS
from random_matrix_cells import some_matrix_cells

import rnncli

INPUTS = np.random.default_rng(5).normal(size=(3, TIMESTEPS, FEATURES))
ROW, STEP = 1, 3


def parts_of(traced: Any) -> dict[str, np.ndarray]:
    names = [name for name in traced if name.partition("/")[0] not in ("output", "timestep", "status")]
    return {
        name.partition("/")[0]: traced[name]
        for name in names
        if name.endswith("activation") or "/" not in name
    }


def check(found: Any, traced: Any, near: float = 1e-12) -> None:
    """Every number is that of the trace; the terms of its equation, and the numbers that it names, add up."""
    known = {equation.key: equation for equation in found.equations}
    assert len(known) == len(found.equations)
    for equation in found.equations:
        time, at = equation.location.timestep, dict(equation.location.axes or ())
        if equation.name in traced and not equation.note:
            values = traced[equation.name][equation.location.batch, time]
            wanted = values[(*at.values(),)] if at else values.ravel()[equation.location.unit]
            assert equation.value == wanted, equation.key
        summed = sum(term.value for term in equation.terms)
        if equation.terms and not equation.note:
            assert isclose(summed, equation.total, rel_tol=1e-11, abs_tol=near), equation.key
            assert abs(equation.rounding) <= near * max(1, abs(equation.value))
        assert all(
            isclose(term.value, prod(factor.value for factor in term.factors)) for term in equation.terms
        )
        assert equation.terms or equation.reads or equation.note or equation.is_held
        for factor in equation.factors:
            if factor.explained and not factor.name.startswith(("1 / ", "(1 - ")) and "(" not in factor.name:
                meant = known[factor.explained]
                assert factor.value == meant.value
                written = ",".join(map(str, dict(meant.location.axes or ()).values()))
                assert f"[{written}]" in factor.name or " at t=" in factor.name or not written


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_every_line_of_every_sample_adds_up(name: str) -> None:
    """One number of each line and state: of the last head, at a step that is not the last."""
    told: Any = {"seed": 3, "dtype": "float64"}
    traced = rnncli.trace(INPUTS, layer_of(name), **told)
    parts = parts_of(traced)
    for line, values in parts.items():
        index = [size - 1 - (size > 2) * (place % 2) for place, size in enumerate(values.shape[2:])]
        address = f"{line}[{ROW},{STEP},{','.join(map(str, index))}]" if index else f"{line}[{ROW},{STEP}]"
        found: Any = rnncli.explain(address, INPUTS, layer_of(name), terms=None, **told).found
        assert found.value == values[(ROW, STEP, *index)]
        check(found, parts)
    assert len(parts) > 4


@pytest.mark.parametrize("name", ["gated_deltanet", "mlstm", "mamba", "qwen3_next"])
@pytest.mark.parametrize(
    "form", [{"mask": MASK}, {"go_backwards": True}, {"dropout": 0.4, "training": True}, {"use_bias": False}]
)
@pytest.mark.slow
def test_masks_dropout_and_directions(name: str, form: dict[str, Any]) -> None:
    told: Any = {"seed": 3, "dtype": "float64", "return_state": True, **form}
    for words in ("", "Bidirectional"):
        layer = f"Bidirectional({layer_of(name)})" if words else layer_of(name)
        if words and "go_backwards" in form:
            continue
        states = rnncli.run(INPUTS, layer, **told)
        names = states.keys()
        tensor = next(name for name in names if "memory" in name)
        index = [size - 1 for size in states[tensor].shape[1:]]
        address = f"{tensor}[{ROW},{','.join(map(str, index))}]"
        found: Any = rnncli.explain(address, INPUTS, layer, terms=None, depth=3, **told).found
        assert found.value == states[tensor][(ROW, *index)]
        check(found, {})


def test_the_terms_of_a_number_of_a_matrix() -> None:
    layer = layer_of("gated_deltanet")
    found: Any = rnncli.explain("memory[0,3,1,2,4]", INPUTS, layer, seed=1).found
    assert found.equations[0].symbols == ("decayed", "unit_key · beta · (value - unit_key @ decayed)")
    first, second = found.equations[0].terms
    assert [factor.name for factor in first.factors] == ["decayed[1,2,4]"]
    names = ["unit_key[1,2]", "beta[1]", "(value - unit_key @ decayed)[1,4]"]
    assert [factor.name for factor in second.factors] == names
    by_name = {equation.key: equation for equation in found.equations}
    removed = by_name["memory: (value - unit_key @ decayed)[t=3, 0, 1, 4]"]
    sizes = [abs(term.value) for term in removed.terms]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 1 + UNITS // 2
    document: Any = rnncli.explain("memory[0,3,1,2,4]", INPUTS, layer, seed=1).document()["explanation"]
    assert document["index"] == [0, 3, 1, 2, 4]
    assert document["equations"][0]["axes"] == {"heads": 1, "keys": 2, "values": 4}
    held: Any = rnncli.explain("decayed[0,3,1,2,4]", INPUTS, layer, seed=1, hold="alpha=0").found
    assert held.value == 0
    assert any(equation.is_held for equation in held.equations)


KERNEL = """\
name = "Kernel"
states = ["hidden", "memory"]
[sizes]
heads = 2
keys = 3
values = "units / heads"
[shapes]
memory = ["heads", "keys", "values"]
[inputs]
query = ["heads", "keys"]
value = ["heads", "values"]
[step]
memory = "memory + outer(query, value)"
hidden = "join(query @ memory)"
"""


def test_named_inputs(tmp_path: Path) -> None:
    (tmp_path / "kernel.toml").write_text(KERNEL)
    rng = np.random.default_rng(2)
    given = {"query": rng.normal(size=(2, 4, 2, 3)), "value": rng.normal(size=(2, 4, 2, 4))}
    told: Any = {"dtype": "float64"}
    found: Any = rnncli.explain("memory[1,2,1,2,3]", given, f"@'{tmp_path}/kernel.toml'(8)", **told).found
    check(found, {})
    before, written = found.equations[0].terms
    assert [factor.name for factor in before.factors] == ["memory[1,2,3] before"]
    assert [factor.name for factor in written.factors] == ["query[1,2]", "value[1,3]"]
    assert [factor.value for factor in written.factors] == [
        given["query"][1, 2, 1, 2],
        given["value"][1, 2, 1, 3],
    ]


FUNCTIONS = """\
name = "Own"
states = ["hidden", "window", "memory"]
[sizes]
heads = 2
keys = 3
taps = 2
[shapes]
key = ["heads", "keys"]
window = ["taps", "heads", "keys"]
turned = ["keys", "heads"]
memory = ["keys", "heads"]
[weights]
square = { shape = ["keys", "keys"] }
mix = { shape = ["heads", "keys", "units"] }
[step]
key = "tanh(x @ kernel)"
window = "shift(window, key)"
turned = "window @ square * 0.5 + softmax(key, heads)"
share = "mean(x, features) + sum(key)"
memory = "maximum(memory, turned) - variance(key, heads) * index(keys) - key / (index(heads) + 1)"
hidden = "hidden - join(memory * sum(window, taps) * sum(share, heads)) + sum(memory @ mix, keys)"
"""


def test_reductions_shifts_indices_and_axes_in_another_order(tmp_path: Path) -> None:
    text = FUNCTIONS.replace("window @ square", "sum(window @ square, taps)")
    text = text.replace("sum(memory @ mix, keys)", "tanh(sum(x @ kernel, units)) * softmax(hidden)")
    text = text.replace('mix = { shape = ["heads", "keys", "units"] }\n', "")
    (tmp_path / "own.toml").write_text(text)
    layer, told = f"@'{tmp_path}/own.toml'(6)", {"seed": 4, "dtype": "float64"}
    traced: Any = rnncli.trace(INPUTS, layer, **told)  # type: ignore[arg-type]
    parts = parts_of(traced)
    for line in ("key", "window", "turned", "share", "memory", "hidden"):
        values = parts[line][ROW, STEP]
        for index in np.ndindex(*values.shape):
            address = f"{line}[{','.join(map(str, (ROW, STEP, *index)))}]"
            found: Any = rnncli.explain(address, INPUTS, layer, terms=None, depth=2, **told).found  # type: ignore[arg-type]
            assert found.value == values[index]
            check(found, parts)


@settings(max_examples=200 if settings().max_examples > 100 else 5, deadline=None)
@given(some_matrix_cells(), st.booleans(), st.integers(0, 3), st.randoms(use_true_random=False))
@pytest.mark.slow
def test_random_cells(text: str, backwards: bool, step: int, random: Any) -> None:
    """A number of each line and state at one step; lines without axes among them."""
    layer = {"class_name": "RNN", "config": {"cell": {"class_name": "Random", "config": {
        "equations": text, "units": RANDOM_UNITS}}, "go_backwards": backwards}}  # fmt: skip
    told: Any = {"seed": 3, "dtype": "float64"}
    inputs = np.random.default_rng(5).normal(size=(2, 4, 3))
    parts = parts_of(rnncli.trace(inputs, layer, **told))
    for line, values in parts.items():
        index = [random.randrange(size) for size in values.shape[2:]]
        address = f"{line}[{','.join(map(str, (1, step, *index)))}]"
        found: Any = rnncli.explain(address, inputs, layer, terms=None, **told).found
        assert found.value == values[(1, 3 - step if backwards else step, *index)]
        check(found, {} if backwards else parts, 1e-10)
