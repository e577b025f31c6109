"""explore of cells whose states are matrices: vectors, and what it leaves out."""

from typing import Any

import numpy as np
import pytest
from command import ROOT

from rnncli.commands.explore import options
from rnncli.commands.explore.command_text import command
from rnncli.commands.explore.experiment import LEFT_OUT, compute_experiment, explain, start
from rnncli.commands.explore.state import State, explained, move, settle, show_view, tables
from rnncli.commands.tour.command_line import CommandLine
from rnncli.compute.derivation.explanation import Target
from rnncli.result import Label


def begin(name: str, *more: str) -> tuple[State, Any]:
    line = f"rnncli run -l '@{ROOT}/samples/cells/{name}.toml(8)' --seed 1 {' '.join(more)}"
    first, remarks = start(CommandLine.parse(line).values["ask"])
    computed = compute_experiment(first)
    return settle(State(computed.experiment, computed)), remarks


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gated_deltanet", "mamba", "qwen3_next", "rwkv7"])
@pytest.mark.parametrize("more", ["", "--bidirectional --mask '[[true, true, false, true]]'"])
def test_vectors_are_shown_and_matrices_left_out(name: str, more: str) -> None:
    state, remarks = begin(name, "--return-sequences", "--return-state", more)
    assert LEFT_OUT in remarks
    titles = [table.title for table in tables(state)]
    assert not [title for title in titles if "memory" in title or "window" in title]
    assert [title for title in titles if title.startswith("hidden_states")]
    loops = {
        str(loop.label(part.short)): loop.parts[part]
        for loop in state.shown.trace.trace
        for part in loop.parts
        if part.is_shown
    }
    shown = tables(show_view(state, "gates"))
    assert len(shown) > 3
    for table in shown:
        np.testing.assert_array_equal(table.values, loops[table.title][0])
        assert not table.names or len(table.names) == table.values.shape[1]
    for view in ("results", "gates", "weights", "input"):
        at = show_view(state, view)
        for _ in range(40):
            at = move(at, 1, 1)
            assert np.isfinite(explained(at).value)


def test_a_number_has_its_value_and_the_equation_of_its_line() -> None:
    state, _ = begin("gated_deltanet")
    query = explain(state.shown, Target(Label("query", kind=""), (0, 2, 5)))
    assert query.value == state.shown.trace.trace[0].parts[Label("query", kind="activation")][0, 2, 5]
    assert query.equations[0].formula == "silu(x W)"
    assert query.equations[0].terms == ()
    shown = {table.title: table.names for table in tables(show_view(state, "gates"))}
    assert shown["query"] == ["0,0", "0,1", "0,2", "0,3", "1,0", "1,1", "1,2", "1,3"]
    assert shown["beta"] == ["0", "1"]


def test_a_column_belongs_to_the_line_whose_width_it_has() -> None:
    """The lines of a kernel have different widths: query, key and value 8 columns, beta and alpha 2."""
    state, _ = begin("gated_deltanet")
    places = [state.shown.column_place("kernel", column) for column in (0, 7, 8, 23, 24, 25, 26, 27)]
    assert places == [
        ("query", 0), ("query", 7), ("key", 0), ("value", 7),
        ("beta", 0), ("beta", 1), ("alpha", 0), ("alpha", 1),
    ]  # fmt: skip


def test_a_change_has_its_command() -> None:
    state, _ = begin("gated_deltanet")
    row = next(row for row in options.rows(state.experiment) if row.name == "hold")
    held = compute_experiment(row.change(state.experiment, "beta=0.5"))
    assert (held.trace.trace[0].parts[Label("beta", kind="activation")] == 0.5).all()
    assert "--hold beta=0.5" in str(command(held.experiment, None))
