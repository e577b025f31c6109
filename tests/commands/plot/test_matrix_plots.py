"""Pictures of cells whose states are matrices: the numbers of a head that is not the first, at its step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, Run
from matrix_cases import MASK, case_of, layer_of
from matrix_loops import SMALL
from sheets import trace_sheet

import rnncli
from rnncli.ask import Ask
from rnncli.commands.plot.cells import CellSelection, choose_cells
from rnncli.compute import trace as tracing
from rnncli.errors import UsageError
from rnncli.result import Label

RETURNS = {"return_sequences": True, "dtype": "float64"}
GATED = f"@'{ROOT}/samples/cells/gated_deltanet.toml'(8)"


def traced(case: Any, line: str, kind: str = "") -> Any:
    """Return the numbers of a line, (batch, steps, axes)."""
    loop = tracing.trace(case).trace[0]
    part = Label(line, kind=kind)
    values = loop.parts[part]
    return values.reshape(*values.shape[:2], *tracing.axes_of(case, loop).shapes[part])


def panels_of(case: Any, **wanted: Any) -> dict[str, Any]:
    return {panel.title: panel for panel in trace_sheet(case, **wanted).panels}


def test_a_matrix_has_a_map_of_the_chosen_head_after_the_last_chosen_step() -> None:
    case = case_of(layer_of("gated_deltanet", **RETURNS))
    memory, key = traced(case, "memory"), traced(case, "key", "activation")
    panels = panels_of(case, head="1", steps=slice(1, 4), batch=2)
    panel = panels["memory, heads 1, t=3"]
    np.testing.assert_array_equal(panel.values, memory[2, 3, 1])
    assert panel.across == "keys x values"
    np.testing.assert_array_equal(panels["key"].values, key[2, 1:4, 1].T)
    assert (panels["key"].axis, panels["key"].names[:2]) == ("keys", ("0", "1"))
    assert "decayed" not in "".join(panels), "a line that is a matrix is drawn if it is named"
    whole = panels_of(case)
    assert whole["key"].axis == "heads, keys"
    assert whole["key"].names[-1] == ",".join(str(size - 1) for size in key.shape[2:])
    np.testing.assert_array_equal(whole["memory, heads 0, t=5"].values, memory[0, 5, 0])


def test_a_named_state_has_a_map_for_each_chosen_step() -> None:
    case = case_of(layer_of("gated_deltanet", **RETURNS), mask=MASK)
    memory = traced(case, "memory")
    panels = panels_of(case, gates=("memory",), head="1", steps=slice(2, 5), batch=1)
    assert list(panels) == [f"memory, heads 1, t={step}" for step in (2, 3, 4)]
    for step, panel in zip((2, 3, 4), panels.values(), strict=True):
        np.testing.assert_array_equal(panel.values, memory[1, step, 1])
    assert list(panels_of(case, gates=("decayed",))) == ["decayed, heads 0, t=5"]


def test_a_window_and_heads_of_two_axes() -> None:
    case = case_of(layer_of("qwen3_next", **RETURNS, go_backwards=True))
    panels = panels_of(case, head="1,0", steps=slice(1, 2))
    position = tracing.trace(case).trace[0].times.tolist().index(1)
    window, memory = traced(case, "value_window"), traced(case, "memory")
    panel = panels["value_window, groups 1, repeats 0, t=1"]
    np.testing.assert_array_equal(panel.values, window[0, position, :, 1, 0])
    panel = panels["memory, groups 1, repeats 0, t=1"]
    np.testing.assert_array_equal(panel.values, memory[0, position, 1, 0])
    panel = panels["key_window, groups 1, t=1"]
    np.testing.assert_array_equal(panel.values, traced(case, "key_window")[0, position, :, 1])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_every_sample_is_drawn(name: str, tmp_path: Path) -> None:
    """Also in Bidirectional, and as a diagram: the last operator of a rail has the numbers at its end."""
    rnncli.plot(layer=layer_of(name), seed=1).save(tmp_path / "maps.png")
    assert "t=3" in str(rnncli.plot(layer=f"Bidirectional({layer_of(name)})", seed=1))
    draw, *_ = choose_cells(Ask(layer=[layer_of(name)], seed=1), CellSelection(0, "2", 3))
    (panel,) = draw("en", frozenset()).panels
    shapes = panel.diagram.shapes
    for wire in panel.diagram.wires:
        if wire.rail and shapes[wire.target].kind == "end":
            ours, wanted = (panel.numbers[index] for index in (wire.source, wire.target))
            np.testing.assert_allclose(np.broadcast_to(ours, wanted.shape), wanted, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("words", "said"), [
    (["--state", "memry"], "there is no gate or state 'memry' here. Did you mean memory?"),
    (["--head", "2"], "--head 2: this is not a head. The heads are heads 0 to 1."),
    (["--diagram", "--head", "1,0"], "--head 1,0: this is not a head."),
    (["--diagram", "--state", "memory"], "--diagram and --state cannot be combined."),
])  # fmt: skip
def test_what_is_not_there(words: list[str], said: str, rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("plot", "-l", GATED, "--seed", "1", *words, "-o", str(tmp_path / "a.svg")).refusal()
    assert said in done.replace("\n", " ")


def test_other_cells_have_no_heads(rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("plot", "-l", "lstm", "--seed", "1", "--head", "0", "-o", str(tmp_path / "a.svg"))
    assert "--head is for cells whose states have other shapes. Use --gate." in done.stderr.replace("\n", " ")


def test_too_many_maps_are_refused() -> None:
    case = case_of(layer_of("gated_deltanet", **RETURNS))
    long = case._replace(inputs=np.zeros((1, 20, case.inputs.shape[2])), initial_state=None)
    with pytest.raises(UsageError, match="a map for each of 13 time steps is too much"):
        panels_of(long, gates=("memory",), steps=slice(0, 13))
