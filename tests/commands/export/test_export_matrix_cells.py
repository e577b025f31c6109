"""Scripts of cells whose states are matrices print the numbers of loops that are written apart from them."""

import re
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import oracle
import pytest
from command import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_cases import (
    BATCH,
    FORMS,
    RANDOM_FORMS,
    RANDOM_MASKS,
    TIMESTEPS,
    WHOLE,
    case_in,
    case_of,
    check,
    layer_of,
    random_case,
)
from matrix_loops import SMALL, UNITS
from printed_tensors import run_script
from random_matrix_cells import some_matrix_cells

from rnncli import compute, specs
from rnncli.commands.export import targets
from rnncli.commands.export.export_case import build_export
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.specs.build import read_equations
from rnncli.specs.expressions import parse
from rnncli.values import sizes

TARGETS = ("numpy", "torch", "c", "keras")


def printed(target: str, made: Mapping[str, Case], folder: Path) -> dict[str, dict[str, Any]]:
    """Return the tensors that one script of these cases prints, by case."""
    exports = [build_export(case, {name: f"_{name}"}) for name, case in made.items()]
    file = folder / f"script.{'c' if target == 'c' else 'py'}"
    file.write_text(targets.get(target).write(exports), encoding="utf-8")
    found: dict[str, dict[str, Any]] = {name: {} for name in made}
    for name, values in run_script(file).items():
        layer, tensor = name.split("/")
        found[layer][tensor] = values
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("form", [form for form in FORMS if "calls" not in form])
@pytest.mark.slow
def test_the_samples(form: str, target: str, tmp_path: Path) -> None:
    """A script has one call."""
    made = {name: case_in(form, name) for name in SMALL}
    for name, tensors in printed(target, made, tmp_path).items():
        check(form, name, made[name], tensors.values())


MIXING = """\
name = "Mixing"
states = ["hidden", "memory", "previous"]
[sizes]
heads = 2
keys = "units / heads"
[shapes]
key = ["heads", "keys"]
memory = ["heads", "keys", "features"]
previous = ["features"]
[step]
key = "tanh((x - 0.5 * previous) @ kernel)"
memory = "0.5 * memory + outer(key, x)"
previous = "x"
hidden = "tanh(join(memory @ x)) + key_bias"
[weights]
key_bias = { shape = ["units"] }
"""


def cell(text: str, units: int = UNITS, **options: Any) -> dict[str, Any]:
    return {"class_name": "Own", "config": {"equations": text, "units": units, **options}}


def rnn(of: Any) -> dict[str, Any]:
    return {"class_name": "RNN", "config": {"cell": of, "return_sequences": True, "return_state": True}}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.slow
def test_one_cell_on_inputs_of_several_sizes(target: str, tmp_path: Path) -> None:
    """Its step differs where features are an axis: the same cell has several classes."""
    deltanet = Path(layer_of("deltanet").split("'")[1]).read_text(encoding="utf-8")
    cells = [cell(MIXING), cell(MIXING), cell(deltanet, 6, heads=3)]
    layers: dict[str, list[Any]] = {
        "cells": [rnn({"class_name": "StackedRNNCells", "config": {"cells": cells}})],
        "layers": [rnn(cell(MIXING)), rnn(cell(MIXING, 6, heads=3)), "Dense(2)"],
        "twice": [rnn(cell(deltanet, heads=2)), rnn(cell(deltanet, heads=4))],
        "unread": [rnn(cell(f"{MIXING}unread = {{ shape = [{size}] }}\n", 5, heads=5)) for size in (2, 3)],
    }
    rng = np.random.default_rng(4)
    for name, expressions in layers.items():
        inputs = rng.standard_normal((2, 3, 5)).astype(np.float32)
        shapes = oracle.case(expressions, inputs).stack.weight_shapes(inputs.shape)
        weights = {
            path: (0.4 * rng.standard_normal(sizes(shape))).astype(np.float32)
            for path, shape in shapes.items()
        }
        case = oracle.case(expressions, inputs, weights=weights)
        file = tmp_path / f"{name}.{'c' if target == 'c' else 'py'}"
        file.write_text(targets.get(target).write([build_export(case)]), encoding="utf-8")
        found = run_script(file)
        for tensor in compute.run(case, "numpy").outputs:
            ours = found[tensor.name]
            assert ours.shape == tensor.values.shape
            np.testing.assert_allclose(ours, tensor.values, rtol=1e-4, atol=1e-5, err_msg=tensor.name)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_random_cells(target: str, tmp_path: Path) -> None:
    """`--hypothesis-profile=thorough` draws many; the numbers of run are held to an interpreter elsewhere."""
    cells: list[tuple[str, Case]] = []

    @settings(max_examples=400 if settings().max_examples > 100 else 12, database=None)
    @given(some_matrix_cells(), st.booleans(), st.sampled_from(RANDOM_FORMS), st.sampled_from(RANDOM_MASKS))
    def draw(text: str, use_bias: bool, form: str, mask: np.ndarray | None) -> None:
        cells.append((text, random_case(text, form, mask, use_bias=use_bias)))

    draw()
    for start in range(0, len(cells), 40):
        some = {f"r{number}": pair for number, pair in enumerate(cells[start : start + 40])}
        found = printed(target, {name: case for name, (_, case) in some.items()}, tmp_path)
        for name, (text, case) in some.items():
            for tensor, ours in zip(compute.run(case, "numpy").outputs, found[name].values(), strict=True):
                assert ours.shape == tensor.values.shape
                np.testing.assert_allclose(ours, tensor.values, rtol=1e-9, atol=1e-10, err_msg=text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gated_deltanet", "mamba2_layer", "rwkv7"])
def test_gradients_of_a_pytorch_script(name: str, tmp_path: Path) -> None:
    """Autograd through the script has the gradients of TensorFlow's tape, of the input and every weight."""
    torch = pytest.importorskip("torch")
    import tensorflow as tf

    from rnncli.compute.engines import tensorflow as engine

    case = case_of(layer_of(name, **WHOLE))
    file = tmp_path / "script.py"
    file.write_text(targets.get("torch").write([build_export(case)]))
    with torch.set_grad_enabled(True):  # the script turns gradients off, also for the tests that follow
        scope = run_path(str(file))
    by = np.random.default_rng(8).standard_normal((BATCH, TIMESTEPS, UNITS))
    with torch.enable_grad():
        x = torch.tensor(case.inputs, requires_grad=True)
        starts = [tuple(torch.tensor(part) for part in case.initial_state or ())]
        outputs, states = scope["run"](scope["cells"], starts, x)
        last = states[0][1]
        ((outputs * torch.tensor(by)).sum() + (last[:, -1] ** 2).sum()).backward()
    (module,) = scope["cells"]
    ours = [x.grad.numpy(), *(parameter.grad.numpy() for parameter in module.parameters())]
    with engine.make_layers(case, case.weights or {}) as (keras, (layer,)):
        (given,) = engine.make_call_arguments(keras, case, [layer])
        inputs = tf.constant(case.inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            sequence, _, flat, *_ = layer(inputs, **given)
            total = tf.reduce_sum(sequence * by) + tf.reduce_sum(tf.reshape(flat, last.shape)[:, -1] ** 2)
        theirs = tape.gradient(total, [inputs, *layer.trainable_weights])
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=1e-8, atol=1e-9)


def test_a_script_names_the_axes_of_a_state() -> None:
    case = case_of(layer_of("gated_deltanet"))
    text = targets.get("numpy").write([build_export(case)])
    assert "memory (batch, heads, keys, values)" in text
    assert re.search(r"memory = decayed \+ .*  # \(batch, heads, keys, values\)\n", text)
    assert 'np.einsum("bhk,bhkv->bhv", unit_key, decayed)' in text
    assert "States: hidden (units), memory (heads, keys, values)." in targets.get("c").write(
        [build_export(case)]
    )


@pytest.mark.parametrize("name", SMALL)
def test_latex(name: str, rnncli: Run) -> None:
    text = rnncli("export", "--to", "latex", "-l", layer_of(name)).stdout
    assert text.count("{") == text.count("}")
    assert "outer" not in text
    assert "Reshape" not in text
    assert (r"\otimes" in text) == ("outer(" in Path(layer_of(name).split("'")[1]).read_text())


def test_latex_of_the_gated_delta_rule(rnncli: Run) -> None:
    lines = rnncli("export", "--to", "latex", "-l", layer_of("gated_deltanet")).stdout.splitlines()
    key, query = r"\mathrm{unit\_key}_t", r"\mathrm{unit\_query}_t"
    assert rf"  M_t &= D_t + {key} \otimes (\beta_t \odot (v_t - {key}^{{\top}} D_t)) \\" in lines
    assert rf"  h_t &= \operatorname{{join}}({query}^{{\top}} M_t)" in lines
    assert any(r"(\sum_{\mathrm{keys}} q_t^{2}) + 1 \cdot 10^{-6}" in line for line in lines)


def test_onnx_refuses_them_by_name(rnncli: Run, tmp_path: Path) -> None:
    said = rnncli(
        "export", "-l", layer_of("deltanet"), "--to", "onnx", "-o", "x.onnx", cwd=tmp_path
    ).refusal()
    assert "it has no node for @DeltaNet" in said
    assert not list(tmp_path.iterdir())


KERNEL = """\
name = "Kernel"
states = ["hidden", "memory"]
[sizes]
heads = 2
keys = 3
values = "units / heads"
[inputs]
query = ["heads", "keys"]
key = ["heads", "keys"]
value = ["heads", "values"]
beta = ["heads"]
[shapes]
memory = ["heads", "keys", "values"]
[step]
memory = "memory + outer(key, beta * (value - key @ memory))"
hidden = "join(query @ memory)"
"""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.slow
def test_a_cell_that_takes_arrays_by_name(target: str, tmp_path: Path) -> None:
    call = parse(
        "@r.toml(4, return_sequences=True, return_state=True, dtype='float64')",
        {"r.toml": read_equations(KERNEL)},
    )
    inputs = np.random.default_rng(6).standard_normal((2, 5, 18))
    case = Case(Stack(specs.from_flags([call], {})), inputs, weights={})
    (found,) = printed(target, {"r": case}, tmp_path).values()
    for row in range(2):
        memory = np.zeros((2, 3, 2))
        for step, x in enumerate(inputs[row]):
            query, key, value, beta = np.split(x, [6, 12, 16])
            for head in range(2):
                k = key.reshape(2, 3)[head]
                memory[head] += beta[head] * np.outer(k, value.reshape(2, 2)[head] - k @ memory[head])
                output = found["hidden_states"][row, step].reshape(2, 2)[head]
                np.testing.assert_allclose(output, query.reshape(2, 3)[head] @ memory[head], rtol=1e-10)
        np.testing.assert_allclose(found["last_memory_state"][row], memory, rtol=1e-10)
