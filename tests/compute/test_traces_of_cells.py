"""The trace of a cell of one's own: every line at its own size, against loops written by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_cells import ACCUMULATOR, MGU, NASTY, mgu, nasty

import rnncli

INPUTS = np.random.default_rng(4).normal(size=(2, 5, 3))


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Write a cell, and return the layer that it is."""

    def write(text: str) -> str:
        (tmp_path / "cell.toml").write_text(text)
        return f"@'{tmp_path}/cell.toml'"

    return write


def trace_cell(layer: str, **more: Any) -> Any:
    return rnncli.trace(INPUTS, layer, units=4, seed=2, dtype="float64", **more)


@pytest.mark.parametrize(("text", "loop"), [(MGU, mgu), (NASTY, nasty)], ids=["mgu", "nasty"])
def test_every_line_is_that_of_a_loop_by_hand(text: str, loop: Any, file: Any) -> None:
    layer = file(text)
    found = trace_cell(layer)
    run = rnncli.run(INPUTS, layer, units=4, seed=2, dtype="float64")
    for step, lines in enumerate(loop(INPUTS, run.weights)):
        for line, values in lines.items():
            assert found[line].shape == (2, 5, values.shape[-1])
            np.testing.assert_allclose(found[line][:, step], values, rtol=1e-10, atol=1e-12, err_msg=line)


def test_a_preactivation_stands_where_a_line_is_one_function_of_a_sum(file: Any) -> None:
    found = trace_cell(file(NASTY))
    kept = {name.partition("/")[0] for name in found if name.endswith("/preactivation")}
    assert kept == {"attention", "forget", "raw"}
    before = found["forget/preactivation"]
    np.testing.assert_allclose(1 / (1 + np.exp(-before)), found["forget"], rtol=1e-12)
    assert "forget/preactivation" in trace_cell(file(MGU), use_bias=False)


def test_a_preactivation_of_weights_alone_is_that_of_every_sequence(file: Any) -> None:
    layer = file('states = ["hidden"]\n[weights]\np = { shape = ["units"], initializer = "ones" }\n[step]\n'
                 'a = "tanh(bias + p)"\nb = "tanh(sum(p) + 1)"\nhidden = "a * b + x @ kernel"\n')  # fmt: skip
    found = trace_cell(layer)
    assert found["a/preactivation"].shape == (2, 5, 4)
    assert found["b/preactivation"].shape == (2, 5, 1)
    np.testing.assert_array_equal(found["b/preactivation"], 5)


def test_a_cell_without_gates_has_its_states(rnncli: Any, file: Any) -> None:
    layer = file(ACCUMULATOR)
    done = rnncli("trace", "-l", layer, "--seed", "1", "--quiet", "-f", "json")
    step = json.loads(done.stdout)["trace"][-1]
    assert (step["gates"], list(step["state"])) == ({}, ["hidden"])
    assert step["output"] == step["state"]["hidden"]
    assert "hidden -1..1" in rnncli("trace", "-l", layer, "--seed", "1", "--quiet").stdout


def test_lines_of_any_size_are_held_at_their_own_size(file: Any) -> None:
    layer = file(NASTY)
    free = trace_cell(layer)
    held = trace_cell(layer, hold=["seen[:,2]=0.25@1:3", "level=2", "half=1"])
    assert (held["seen"][:, 1:3, 2] == 0.25).all()
    assert (held["level"] == 2).all()
    assert (held["half"] == 1).all()
    np.testing.assert_array_equal(held["seen"][:, 0], free["seen"][:, 0])
    assert not np.allclose(held["hidden"], free["hidden"])
    with pytest.raises(rnncli.errors.UsageError, match="'3' selects no units"):
        trace_cell(layer, hold=["seen[:,3]=0"])


def test_a_unit_of_a_line_with_one_number_is_that_number(file: Any) -> None:
    layer = file(NASTY)
    whole, one = trace_cell(layer), trace_cell(layer, unit=[2], gate=["level", "seen"])
    np.testing.assert_array_equal(one["level"], whole["level"])
    np.testing.assert_array_equal(one["seen"][..., 0], whole["seen"][..., 2])
    trace_cell(layer, unit=[3], gate=["level"])
    with pytest.raises(rnncli.errors.UsageError, match="the units are 0 to 2"):
        trace_cell(layer, unit=[3])


def test_bars_reach_as_far_as_the_activations_let_a_line_go(rnncli: Any, file: Any) -> None:
    shown = rnncli("trace", "-l", file(NASTY), "--seed", "1", "--quiet", "--width", "400").stdout
    assert " attention forget 0..1" in shown
    assert "half 0..0.5" in shown
    relu = rnncli("trace", "-l", file(MGU), "--activation", "relu", "--seed", "1", "--quiet").stdout
    assert "forget 0..1 ·" in relu
    assert "candidate hidden" not in relu.replace("-1..1", "")


@pytest.mark.slow
def test_each_x_is_dropped_once_wherever_it_stands(rnncli: Any, file: Any) -> None:
    layer = f"{file(NASTY)}(4, dropout=0.4, recurrent_dropout=0.3)"
    rnncli("run", "-l", layer, "--training", "--seed", "1", "--quiet", "--check").success()
