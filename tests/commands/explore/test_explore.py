"""The explorer: what keys and clicks make of its state, and how that is drawn, which golden files hold."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import limits
import numpy as np
import pytest
from command import Run, environment
from looks import matches_golden
from own_cells import ACCUMULATOR, NASTY
from rich.console import Console

from rnncli.commands.explore import experiment, options
from rnncli.commands.explore.experiment import Computation, Experiment, Start, compute_experiment, start
from rnncli.commands.explore.lines import equations_page
from rnncli.commands.explore.state import State, TableCell, describe, explained, move_to, settle, tables
from rnncli.commands.tour.command_line import CommandLine
from rnncli.errors import InputError
from rnncli.result import Label
from rnncli.show.formats import svg
from rnncli.show.formats.table import draw_page
from rnncli.show.page import Page, View
from rnncli.show.visible import width_of

pytest.importorskip("textual")

from textual.events import Key, Paste
from textual.widgets import Input, Static

from rnncli.commands.explore.app import KEYS, PATIENCE, ExploreApp

pytestmark = pytest.mark.slow
SEEDED = "rnncli run -l lstm --return-sequences --return-state --seed 42"
OPEN: list[Explorer] = []


class Explorer:
    """The application on a screen; without `waits`, everything that a key starts is shown before the next."""

    waits = True

    def __init__(self, command: str = SEEDED, size: tuple[int, int] = (80, 24), lang: str = "en") -> None:
        first, _ = start(CommandLine.parse(command).values["ask"])
        computed = compute_experiment(first)
        self.app = ExploreApp(settle(State(computed.experiment, computed, lang)))
        self.runner = asyncio.Runner()
        self.context = self.app.run_test(size=size)
        self.pilot = self.run(self.context.__aenter__())
        OPEN.append(self)
        self.settle()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def close(self) -> None:
        try:
            self.run(self.context.__aexit__(None, None, None))
        finally:
            self.runner.close()

    def settle(self) -> None:
        """Wait until everything that was started is shown."""

        async def wait() -> None:
            await self.pilot.pause()
            if self.waits and len(self.app.workers):
                await self.app.workers.wait_for_complete()
                await self.pilot.pause()

        self.run(wait())

    def press(self, *pressed: str) -> None:
        for key in pressed:
            self.run(self.pilot.press("space" if key == " " else key))
            self.settle()

    def click(self, x: int, y: int, times: int = 1) -> None:
        self.run(self.pilot.click(offset=(x, y), times=times))
        self.settle()

    def type(self, text: str) -> None:
        """Replace the line that is asked for."""
        assert self.asked is not None
        self.run(self.pilot.press(*text or ["delete"]))
        self.press("enter")

    def option(self, name: str, *pressed: str) -> None:
        self.app.layer.focus()
        self.app.layer.highlighted = self.app.layer.get_option_index(name)
        self.settle()
        self.press(*pressed)

    def show(self, state: State) -> None:
        async def show() -> None:
            self.app.show(state)

        self.run(show())
        self.settle()

    @property
    def state(self) -> State:
        return self.app.state

    @property
    def asked(self) -> Input | None:
        """The line that is typed."""
        return next(iter(self.app.screen.query(Input)), None)

    @property
    def question(self) -> str:
        return str(self.app.screen.query(Static).first().content)

    def value(self, name: str) -> Any:
        return next(row.value for row in options.rows(self.state.experiment) if row.name == name)

    def lines(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return ["".join(part.text for part in strip).rstrip() for strip in strips]

    def shows(self, text: str) -> bool:
        return any(text in line for line in self.lines())

    @property
    def message(self) -> str:
        return str(self.state.message)

    @property
    def at(self) -> tuple[int, int]:
        return self.state.cursor["timestep"], self.state.cursor["unit"]


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def drawn(page: Page) -> str:
    file = StringIO()
    Console(file=file, width=80).print(draw_page(page, View(width=80)))
    return file.getvalue()


HOLD = ("4", "down", "down", "down", "down", "down", "down", "h")
"""Keys that ask where to hold the forget gate of unit 0, from t=2 on."""

SCREENS = {
    "first": ("]", "]"),
    **{name: (name,) for name in ("2", "3", "4")}, "e": ("1", "e"), "help": ("?",),
    "hold_prompt": ("x", "e", "[", "[", *HOLD), "hold_gates": ("enter",), "hold_results": ("1",),
    "hold_difference": ("d",), "weights_right": ("d", "3", "down", "end"),
    "options_below": ("shift+tab", "end"),
}  # fmt: skip
"""Keys of one screen after the other."""


@pytest.mark.parametrize(("size", "lang"), [((80, 24), "en"), ((120, 40), "ko")])
def test_screens(size: tuple[int, int], lang: str) -> None:
    explorer = Explorer(size=size, lang=lang)
    for name, pressed in SCREENS.items():
        explorer.press(*pressed)
        lines = explorer.lines()
        assert len(lines) == size[1]
        assert matches_golden("explore", f"{size[0]}_{lang}_{name}.txt", "\n".join(lines) + "\n"), name


def test_picture_of_the_readme() -> None:
    explorer = Explorer("rnncli run -l bilstm --units 2 --return-sequences --return-state --seed 42")
    explorer.press("tab", "down", "down", "right", "right", "right")
    recorder = Console(
        file=StringIO(), width=80, height=24, record=True, color_system="truecolor", force_terminal=True
    )
    recorder.print(explorer.app.screen._compositor.render_update(full=True))
    drawing = recorder.export_svg(
        title="rnncli explore", code_format=svg.FRAME, unique_id="rnncli", theme=svg.terminal_theme()
    )
    assert matches_golden("explore", "readme.svg", svg.TEXT.sub(svg._place, drawing))


@pytest.mark.parametrize(("layer", "name", "pressed", "said", "page"), [
    ("lstm", "return_sequences", " ", "returned now: hidden_states (1, 4, 3)", "return_sequences"),
    ("lstm", "return_state", " ", "returned now: last_hidden_state (1, 3)", "return_state"),
    ("lstm", "bidirectional", " ", "returned now: hidden_state (1, 6)", "bidirectional"),
    ("bilstm", "merge_mode", "left", "returned now: forward_hidden_state (1, 3)", "bidirectional"),
    ("lstm", "mask", "enter 0 enter", "every returned number changed", "masks"),
    ("lstm", "stateful", " ", "no returned number changed; stateful has no effect", "stateful"),
    ("lstm --stateful", "calls", "right", "every returned number changed", "stateful"),
    ("gru --return-sequences", "reset_after", " ", "changed •: hidden_states", "reset_after"),
])  # fmt: skip
def test_a_row_says_what_it_means_and_did(layer: str, name: str, pressed: str, said: str, page: str) -> None:
    """At 80 columns the row, its meaning and the page to read are all on the screen."""
    explorer = Explorer(f"rnncli run -l {layer} --seed 42")
    explorer.option(name)
    assert any(line.startswith((f"{name}: ", f"{name} = ")) for line in explorer.lines())
    assert explorer.shows(f"rnncli help {page}")
    assert sum(name in line[:20] for line in explorer.lines()[1:12]) == 1
    explorer.press(*pressed.replace(" ", "|").split("|") if len(pressed) > 1 else pressed)
    assert said in explorer.message


def test_what_the_last_change_changed_is_marked_once_a_row() -> None:
    explorer = Explorer("rnncli run -l gru --return-sequences --seed 42")
    explorer.option("reset_after", " ")
    marked = [line for line in explorer.lines() if "•" in line and "t=" in line]
    assert [line.count("•") for line in marked] == [1, 1, 1]
    assert all(f"t={step}" in line for step, line in enumerate(marked, 1))
    explorer.option("seed", "right")
    assert not explorer.shows("•")


def test_halves_and_masked_steps_are_marked() -> None:
    explorer = Explorer("rnncli run -l bilstm --return-sequences --seed 42", (120, 40))
    explorer.press("1", "]", "m")
    assert explorer.shows("hidden_states (1, 4, 6) forward │ backward · / masked")
    assert explorer.shows("u2│      u3")
    assert sum("t=1 /" in line for line in explorer.lines()) == 1
    assert matches_golden("explore", "120_en_halves.txt", "\n".join(explorer.lines()) + "\n")
    explorer.option("return_sequences", " ")
    assert sum("│" in line for line in explorer.lines()) == 2  # the title, and the state


def test_a_masked_step_shows_what_it_keeps_below_the_step_that_computed_it() -> None:
    masked = "rnncli run -l lstm --return-sequences --seed 7 --mask '[[true,true,false,true]]'"
    explorer = Explorer(masked, (100, 70))
    explorer.press("1", "]", "]")

    def equations() -> list[str]:
        lines = explorer.lines()
        (rule,) = (index for index, line in enumerate(lines) if line.startswith("─"))
        return [" ".join(line.split()) for line in lines[rule:] if " = " in line or "t=" in line]

    rule, kept, heading, hidden = equations()[:4]
    assert "hidden state of unit 0 at t=2" in rule
    kept_as = "hidden_states = hidden at t=1 = 0.1426 masked at t=2: carried over from t=1"
    assert kept == kept_as
    assert heading == "unit 0 · t=1"
    assert hidden == "hidden = output · tanh(cell)"
    explorer.press("4")
    rows = [line[31:].split() for line in explorer.lines() if "t=2 /" in line]
    assert [len(row) for row in rows] == [2, 2, 2, 2, 5, 5]  # nothing but the label in the rows of gates
    rule, unused, cell, hidden, heading = equations()[:5]
    assert "input gate of unit 0 at t=2" in rule
    assert unused == "input not used: t=2 is masked"
    assert cell == "cell = cell at t=1 = 0.4590 masked at t=2: carried over from t=1"
    assert (hidden.partition(" ")[0], heading) == ("hidden", "unit 0 · t=1")


def test_a_hold_has_no_number_and_no_mark_at_a_masked_step() -> None:
    masked = "rnncli run -l lstm --seed 7 --mask '[[true,true,false,true]]' --hold forget=1@2:"
    explorer = Explorer(masked, (100, 70))
    explorer.press("4", "[")
    assert explorer.shows("input  not used: t=2 is masked")
    assert not explorer.shows("without --hold")
    rows = [line[31:].split() for line in explorer.lines() if "t=2 /" in line]
    assert [len(row) for row in rows[:4]] == [2, 2, 2, 2]
    explorer.press("]")
    assert explorer.shows("without --hold")
    assert explorer.shows("* 1.0000")


def test_a_difference_of_equal_infinities_is_zero() -> None:
    explorer = Explorer("rnncli run '[[[1], [1e39]]]' -l simple_rnn --activation relu --seed 3")
    explorer.press("4", "h")
    explorer.type("candidate[:, 0]=1@0:1")
    explorer.press("d")
    assert np.isfinite(tables(explorer.state)[0].values).all()
    assert not np.isfinite(explorer.state.shown.trace.trace[0].parts[Label("hidden", kind="")]).all()


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("size", [(40, 12), (12, 5), (200, 60), (1, 1)])
def test_any_size_shows_the_keys_in_its_last_line(size: tuple[int, int], lang: str) -> None:
    explorer = Explorer(size=size, lang=lang)
    for pressed in ("2", "enter", "escape", "3", "4", "1", "enter", "?", "x"):
        explorer.press(pressed)
        lines = explorer.lines()
        assert len(lines) == size[1]
        assert max(map(width_of, lines)) <= size[0]
        if size[0] >= 80:
            assert "Tab" in lines[-1] or "Enter" in lines[-1] or "key" in lines[-1] or "키" in lines[-1]


@pytest.mark.parametrize("layer", [
    "-l lstm", "-l lstm --return-sequences --return-state",
    "-l gru --go-backwards --return-sequences --return-state", "-l bilstm --return-sequences --return-state",
    "-l bigru --merge-mode sum --return-state",
    "-l bigru --merge-mode none --return-sequences --return-state",
    "-l 'RNN([LSTMCell(2), GRUCell(4)])' --return-state", "-l lstm -l 'Dense(2)'",
    "-l 'LSTM(2, return_sequences=True)' -l 'Dense(2)' -l 'GRU(3)' --return-state",
])  # fmt: skip
def test_the_number_under_the_cursor_is_explained(layer: str) -> None:
    """Whatever the tensor, the sequence, the time step and the unit; and every gate and state."""
    explorer = Explorer(f"rnncli run --input-shape 2,2,2 {layer} --seed 42")
    for number, tensor in enumerate(explorer.state.shown.result.outputs):
        for batch, *at in product(*(range(size) for size in tensor.values.shape)):
            at_start = settle(explorer.state, batch=batch)
            moved = move_to(at_start, TableCell(number, at[0] if len(at) > 1 else 0, at[-1]))
            explanation = explained(moved)
            assert explanation.target == (tensor.label, (batch, *at))
            assert explanation.value == tensor.values[(batch, *at)]
            assert f"= {explanation.value:z.4f}" in drawn(equations_page(moved, View(width=80)))
    explorer.press("4")
    for number, table in enumerate(tables(explorer.state)):
        for row, column in np.ndindex(table.values.shape):
            moved = move_to(explorer.state, TableCell(number, row, column))
            assert explained(moved).value == table.values[row, column]


def test_the_largest_terms_are_listed() -> None:
    explorer = Explorer("rnncli run -l lstm --units 64 --seed 42")
    shown = drawn(equations_page(explorer.state, View(width=80))).splitlines()
    assert [line.partition(" ")[0] for line in shown if line[:1].isalpha()] == [
        "hidden", "cell", "output", "forget", "input", "candidate",
    ]  # fmt: skip
    explorer.press("e")
    lines = drawn(equations_page(explorer.state, View(width=80))).splitlines()
    assert sum("kernel[" in line for line in lines) >= 4 * 39
    assert sum("the other 30 terms" in line for line in lines) == 4


def test_the_time_step_of_a_state_is_the_one_at_which_it_was_computed() -> None:
    explorer = Explorer("rnncli run -l bilstm --units 2 --return-sequences --return-state --seed 42")
    explorer.press("1", "end", *["down"] * 4)
    assert explorer.shows("hidden state of unit 1 at t=3 · forward")
    assert explorer.shows("forward_last_hidden_state[0, 1]: the last state, because of return_state")
    explorer.press("down", "down")
    assert explorer.shows("hidden state of unit 1 at t=0 · backward")
    assert explorer.shows("backward_last_hidden_state[0, 1]: this half reads t=0 last")
    explorer.press("]")
    assert explorer.shows("hidden state of unit 1 at t=0 · backward")
    assert explorer.message.startswith("a state has one time step")
    explorer.press("2", "]")
    assert explorer.shows("hidden state of unit 1 at t=1 · backward")
    assert explorer.shows("input[0, 1, 0]: a number of the input")
    joined = Explorer("rnncli run -l bilstm --merge-mode sum --seed 42")
    assert joined.shows("hidden state of unit 0 ─")
    assert not joined.shows("●")
    joined.press("]")
    assert joined.message.startswith("a state has one time step")


def test_a_gate_is_held_by_keys_and_released() -> None:
    explorer = Explorer()
    explorer.press("d")
    assert "no gate is held" in explorer.message
    explorer.press(*HOLD, "enter")
    assert explorer.value("hold") == "forget[:, 0]=1@2:"
    assert explorer.state.command == f"{SEEDED} --hold 'forget[:, 0]=1@2:'"
    assert explorer.shows("forget  held at 1.0000")
    explorer.press("d")
    assert explorer.shows("with held gates - without")
    explorer.press("d", "h", "end", *["backspace"] * 4, "0", "enter")
    assert explorer.value("hold") == "forget[:, 0]=0"
    explorer.press("right", "enter", "enter")  # in the gates, Enter holds too
    assert explorer.value("hold") == "forget[:, 0]=0; forget[:, 1]=1@2:"
    explorer.press("H")
    assert explorer.value("hold") == "none"
    explorer.press("H")
    assert "no gate is held" in explorer.message
    explorer.press("u", "u", "u")
    assert explorer.value("hold") == "forget[:, 0]=1@2:"


def test_typed_values_of_rows() -> None:
    explorer = Explorer()
    for name, typed, value, said in (
        ("units", "6", 6, "returned now: hidden_states (1, 4, 6), last_hidden_state (1, 6)"),
        ("units", "0", 6, "units"),
        ("dropout", "x", 0.0, "'x' is not a number"),
        ("dropout", "2", 0.0, "dropout"),
        ("seed", "-1", 42, "seed is -1."),
        ("mask", "1", "t=1", "changed •: hidden_states, last_hidden_state"),
        ("mask", "9", "t=1", "mask: '9' is not a time step here."),
        ("mask", "", "none", "changed •"),
        ("hold", "forget=1; input=0@1", "forget=1; input=0@1", "changed •"),
        ("hold", "forgot=1", "forget=1; input=0@1", "no such gate"),
        ("layer", "right", "LSTM", "Press H to release"),
        ("hold", "", "none", "changed •"),
        ("calls", "left", 1, "calls is 0."),
        ("calls", "right", 2, "no returned number changed; both calls return the same numbers"),
        ("stateful", " ", True, "every returned number changed"),
        ("calls", "left", 1,
         "every returned number changed; stateful has no effect on the first call; set calls to 2"),
        ("calls", "right", 2, "every returned number changed"),
        ("dtype", "right", "float64", "every returned number changed"),
    ):  # fmt: skip
        explorer.option(name, "enter" if typed not in ("left", "right", " ") else typed)
        if explorer.asked is not None:
            explorer.type(typed)
        assert explorer.value(name) == value, (name, typed)
        assert said in explorer.message, (name, typed, explorer.message)
    assert explorer.state.shown.result.outputs[0].values.dtype == "float64"
    assert (explorer.state.command or "").endswith("--calls 2")
    explorer.option("kernel_initializer", "enter")
    explorer.type("constant:0.1")
    assert explorer.value("kernel_initializer").class_name == "Constant"
    explorer.option("seed", "enter", "9", "escape")
    assert explorer.value("seed") == 42


@pytest.mark.parametrize(("pressed", "text", "caret", "with_pasted"), [
    ("", "42", 2, "12"), ("7", "7", 1, "712"), ("backspace", "", 0, "12"), ("end 7", "427", 3, "42712"),
    ("left 7", "742", 1, "71242"), ("home delete 7", "72", 1, "7122"),
    ("home backspace left", "42", 0, "1242"), ("right backspace", "4", 1, "412"), ("up x y", "xy", 2, "xy12"),
])  # fmt: skip
def test_a_line_is_typed_with_the_usual_keys(pressed: str, text: str, caret: int, with_pasted: str) -> None:
    explorer = Explorer()
    explorer.option("seed", "enter", *pressed.split())
    typed = explorer.asked
    assert typed is not None
    assert (typed.value, typed.cursor_position) == (text, caret)
    typed.post_message(Paste("1\x1b2"))
    explorer.settle()
    assert typed.value == with_pasted
    explorer.press("end")
    typed.post_message(Paste("6" * 100))
    explorer.press("x")
    assert explorer.lines()[-2].endswith("66x")


NUMBER = ("2", "right", "down", "enter", "9", "enter")
MASK = ("1", "]", "m")


@pytest.mark.parametrize(("given", "pressed", "shown"), [
    ("", MASK, "rnncli run --mask '[[true,false,true,true]]' -l lstm --return-sequences --seed 3"),
    ("", NUMBER, "rnncli run '[[[0.1,4.2,1.5,1.1,2.8],[1.0,9.0,"),
    ("", (*NUMBER, *MASK), "1.1]]]' --mask '[[true,true,false,true]]' -l"),
    ("--mask '[[true,false,true,true]]'", MASK, "rnncli run -l lstm --return-sequences --seed 3"),
    ("--input-shape 2,4,5 --fill arange", MASK, "--fill arange --mask '[[true,false,true,true],[true,"),
    ("'[[[1,2],[3,4],[5,6]],[[7,8]]]' --pad post", MASK, "[7.0,8.0],[0.0,0.0],[0.0,0.0]]]' --mask '[["),
    ("'[[[0,0],[3,4],[5,6]]]' --mask-value 0", MASK, "[5.0,6.0]]]' --mask '[[false,false,true]]'"),
    ("'[[[1],[2]]]' --dtype float64", ("2", "enter", *"0.1", "enter"), "'[[[0.1],[2.0]]]' -l lstm"),
    ('\'{"inputs": [[[1],[2]]], "mask": [[true, false]]}\'', MASK, "rnncli run '[[[1.0],[2.0]]]' -l"),
    ('\'{"inputs": [[[1],[2]]], "initial_state": [[[1,2,3]],[[4,5,6]]]}\'', NUMBER, "rnncli run '{"),
    ("", ("3", "enter", "9", "enter"), "rnncli run '{"),
])  # fmt: skip
def test_an_edit_gives_the_shortest_command_and_the_same_numbers(
    rnncli: Run, given: str, pressed: tuple[str, ...], shown: str
) -> None:
    explorer = Explorer(f"rnncli run {given} -l lstm --return-sequences --seed 3 --quiet")
    explorer.press(*pressed)
    command = explorer.state.command or ""
    assert shown in command
    (tensor,) = json.loads(rnncli(*shlex.split(command)[1:], "-f", "json").stdout)["outputs"]
    values = explorer.state.shown.result.outputs[0].values
    np.testing.assert_array_equal(np.array(tensor["values"], values.dtype), values)


def test_it_starts_with_the_seed_of_the_lesson(rnncli: Run) -> None:
    shown = json.loads(rnncli("run", "-l", "lstm", "--seed", "7", "-f", "json").stdout)["outputs"][0][
        "values"
    ]
    explorer = Explorer("rnncli run -l lstm")
    np.testing.assert_array_equal(explorer.state.shown.result.outputs[0].values, np.float32(shown))
    assert explorer.state.command == "rnncli run -l lstm --seed 7"
    for given, seed in (("'[[[1]]]'", 7), ('\'{"inputs": [[[1]]], "seed": 5}\'', 5), ("--seed 4", 4)):
        assert Explorer(f"rnncli run {given} -l lstm").state.experiment.case.seed == seed


def test_e_shows_the_terms_or_the_sums_in_every_view() -> None:
    explorer = Explorer(size=(100, 40))
    for view in ("1", "4"):
        explorer.press(view)
        usual = explorer.lines()
        explorer.press("e")
        other = explorer.lines()
        assert any("kernel[" in line for line in usual) != any("kernel[" in line for line in other)
        explorer.press("e")
        assert explorer.lines() == usual


def test_the_question_for_a_hold_begins_with_an_example_that_works() -> None:
    for layer in ("lstm", "gru", "simple_rnn", "bilstm"):
        explorer = Explorer(f"rnncli run -l {layer} --seed 7")
        explorer.press("4", "h")
        question = explorer.question
        explorer.press("escape")
        explorer.option("hold", "enter")
        assert explorer.question == question
        example, _, _ = question.partition(" holds unit 0 at 1 from t=3 on; ")
        explorer.type(example)
        assert [hold.text for hold in explorer.state.experiment.case.hold] == [example]


def test_numbers_are_edited_and_undone() -> None:
    explorer = Explorer()
    explorer.press("2", "right", "down", "enter", "9", "enter")
    assert explorer.state.experiment.case.inputs[0, 1, 1] == 9
    assert (explorer.state.command or "").startswith("rnncli run '[[[0.1,4.2,")
    explorer.press("3", "down", "right", "enter", "-", "1", "enter")
    assert (explorer.state.command or "").startswith("rnncli run '{")
    weights = explorer.state.experiment.case.weights
    assert weights is not None
    assert weights["kernel"][1, 1] == -1
    explorer.option("units", "right")  # the weights do not fit
    assert explorer.value("units") == 3
    assert "weights: " in explorer.message
    explorer.press("1", "enter")
    assert "cannot be edited" in explorer.message
    explorer.press("u", "u")
    assert not explorer.state.experiment.is_edited
    explorer.press("u")
    assert explorer.message == "nothing to undo"
    explorer.press("U", "U", "U")
    assert explorer.message == "nothing to redo"
    assert explorer.state.experiment.is_edited
    explorer.press("u")
    explorer.option("units", "right")
    explorer.press("U")
    assert explorer.message == "nothing to redo"  # a new change drops what was undone
    explorer.press("3", "enter", "9", "enter")
    assert explorer.state.experiment.case.weights is not None
    explorer.option("seed", "right")
    assert explorer.state.experiment.case.weights is None


def test_time_unit_sequence_and_mask() -> None:
    explorer = Explorer("rnncli run --input-shape 2,4,5 --fill arange -l gru --return-sequences --seed 42")
    explorer.press("1", "down", "right", "]")
    assert explorer.at == (2, 1)
    explorer.press("[", "end")
    assert explorer.at == (1, 2)
    explorer.press("home", "b")
    assert (*explorer.at, explorer.state.cursor["batch"]) == (1, 0, 1)
    assert explorer.lines()[0].endswith("input (2, 4, 5) · sequence 1 (0-1)")
    explorer.press("B", "m")
    assert explorer.state.experiment.case.mask is not None
    assert explorer.state.experiment.case.mask.tolist() == [[True, False, True, True], [True] * 4]
    assert explorer.shows("masked at t=1: carried over from t=0")
    explorer.press("m")
    assert explorer.state.experiment.case.mask is None
    explorer.press("tab", "right", "right", "left")
    assert explorer.at == (2, 0)
    assert explorer.shows("hidden_states[0, 2, 0]: e shows every term")
    explorer.press("e", "down", "down")
    assert explorer.app.step.scroll_offset.y == 2
    explorer.press("up", "up", "tab", "tab", "tab")
    assert (explorer.app.step.scroll_offset.y, explorer.app.step.has_focus) == (0, True)
    explorer.press("end")
    assert explorer.shows("rounding")  # the last line


def test_the_mouse() -> None:
    explorer = Explorer("rnncli run -l bilstm --return-sequences --seed 42")

    explorer.click(1, 5)
    assert not explorer.value("bidirectional")
    explorer.press("u")
    for unit, shown in enumerate(re.finditer(r"-?\d\.\d{4}", explorer.lines()[4])):
        explorer.click(shown.end() - 1, 4)
        assert (explorer.at, explorer.app.numbers.has_focus) == ((1, unit), True)
    assert explorer.at == (1, 5)
    explorer.click(explorer.lines()[4].index("t=1"), 4)
    assert explorer.at == (1, 5)
    slider = next(index for index, line in enumerate(explorer.lines()) if "●" in line)
    for text, step in (("━ t=3", 3), ("t=0 ━", 0), ("t=3", 3)):
        explorer.click(explorer.lines()[slider].index(text), slider)
        assert (explorer.at, explorer.app.step.has_focus) == ((step, 5), True)
    explorer.press("2")
    explorer.click(explorer.lines()[3].rindex("."), 3, 2)
    assert explorer.asked is not None
    explorer.click(1, 5)
    assert explorer.asked is not None
    explorer.press("escape", "?")
    explorer.click(1, 5)
    assert not explorer.shows("Shift+Tab")
    assert explorer.value("bidirectional")


def test_every_key_is_in_the_help_and_has_an_action() -> None:
    assert len({key.key for key in KEYS}) == len(KEYS)
    for key in KEYS:
        assert key.action or key.key in ("tab", "shift+tab", "Arrows", "enter", "ctrl+p")
    explorer = Explorer(size=(60, 60))
    explorer.press("?")
    assert all(explorer.shows(key.description) for key in KEYS if key.key)


def model_with_two_layers(path: Path, *names: str) -> None:
    rng = np.random.default_rng(0)
    weights = {
        f"{name}.weight_{kind}_l0": rng.normal(size=(4 * units, size))
        for name, units in zip(names, (3, 4), strict=True)
        for kind, size in (("ih", 2), ("hh", units))
    }
    np.savez(path, allow_pickle=False, **weights)


def test_the_layers_of_a_model_are_chosen_in_a_row(here: Path) -> None:
    model_with_two_layers(here / "m.npz", "enc", "dec")
    explorer = Explorer("rnncli run '[[1, 2], [3, 4]]' --model m.npz")
    assert explorer.value("in model") == "enc"
    explorer.press("3", "enter", "9", "enter")
    explorer.option("in model", "right")
    assert explorer.value("units") == 4
    assert "m.npz#dec" in (explorer.state.command or "")
    assert not explorer.state.experiment.is_edited
    explorer.option("units", "right")
    assert "fixed in a saved model" in explorer.message
    explorer.press("h", "enter")
    assert (explorer.state.command or "").startswith("rnncli trace ")
    explorer.press("u", "u")
    assert explorer.state.experiment.is_edited


@pytest.mark.parametrize("layer", ["gru", "bilstm"])
def test_every_row_changes_by_keys_and_undo_takes_it_back(layer: str) -> None:
    explorer = Explorer(f"rnncli run -l {layer} --seed 42", (80, 40))
    for row in options.rows(explorer.state.experiment):
        if row.next(1) is None or (row.name, layer) == ("go_backwards", "bilstm"):
            continue
        before = explorer.lines()
        explorer.option(row.name, "right")
        assert explorer.value(row.name) == row.next(1), row.name
        assert explorer.lines() != before
        explorer.press("u")
        assert explorer.value(row.name) == row.value, row.name


def test_names_that_a_terminal_obeys_are_escaped(here: Path) -> None:
    """Of files, features and layers of a model: escapes, controls, and marks that turn text around."""
    evil = "a\x1b]0;b\x07\x9b\u202e"
    Path(f"{evil}.csv").write_text(f"{evil},{evil}2\n1,2\n3,4\n", encoding="utf-8")
    model_with_two_layers(here / "m.npz", evil, "dec")
    explorer = Explorer(shlex.join(["rnncli", "run", f"{evil}.csv", "--model", "m.npz"]), (150, 50))
    for pressed in ("2", "3", "4", "1", "e", "2", "enter", "escape"):
        explorer.press(pressed)
        assert [char for char in "".join(explorer.lines()) if not char.isprintable()] == []
        assert explorer.shows(r"a\x1b")
    message = describe(InputError("{place}: gone.", place=f"{evil}\n{evil}"))
    explorer.show(replace(explorer.state, message=message))
    assert [char for char in "".join(explorer.lines()) if not char.isprintable()] == []


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What lets the computations go on, of which each waits."""
    go = threading.Event()

    def slow(asked: Experiment) -> Computation:
        assert go.wait(limits.PATIENCE)
        return compute_experiment(asked)

    monkeypatch.setattr(experiment, "compute_experiment", slow)
    yield go
    go.set()


def test_the_screen_is_laid_out_anew_after_a_resize() -> None:
    explorer = Explorer()
    explorer.press("?")
    explorer.run(explorer.pilot.resize_terminal(100, 30))
    explorer.settle()
    assert len(explorer.lines()) == 30
    assert explorer.lines()[-1].startswith("Any key closes")
    explorer.press("q")
    assert explorer.lines() == Explorer(size=(100, 30)).lines()
    explorer.press("q")
    assert explorer.app.return_code == 0


def test_keys_that_come_at_once_end_a_question_or_the_help_once() -> None:
    explorer = Explorer()
    explorer.run(explorer.pilot.press("2", "enter"))
    explorer.settle()
    assert explorer.asked is not None
    for _ in range(2):
        explorer.asked.post_message(Key("enter", "\r"))
    explorer.settle()
    assert explorer.asked is None
    explorer.press("?")
    for _ in range(2):
        explorer.app.screen.post_message(Key("x", "x"))
    explorer.settle()
    assert not explorer.shows("Shift+Tab")
    assert explorer.app.return_code is None


def test_keys_go_on_while_it_computes(gate: threading.Event) -> None:
    explorer = Explorer()
    explorer.waits = False
    explorer.press("down", "right", "right", "right", "right", "u")
    state = explorer.state
    assert state.experiment.spec.inner.config["units"] == 6
    assert state.shown.experiment.spec.inner.config["units"] == 3
    explorer.run(explorer.pilot.pause(2 * PATIENCE))
    assert explorer.shows("computing...")
    explorer.press("3", "enter")
    assert explorer.asked is None  # the numbers to edit are not there yet
    assert explorer.message == "computing..."
    explorer.press("u", "u", "u", "u")
    assert explorer.message == "nothing to undo"
    explorer.press("U", "?")
    gate.set()
    explorer.waits = True
    explorer.settle()
    assert explorer.shows("Shift+Tab")
    assert not explorer.state.is_waiting
    assert explorer.state.experiment.spec.inner.config["units"] == 4
    explorer.press("x", "U", "U", "U")
    assert explorer.state.experiment.spec.inner.config["units"] == 7
    assert not explorer.shows("computing...")


@pytest.mark.parametrize(("fails", "dtype", "units"), [(False, "float64", 4), (True, "float32", 3)])
def test_a_change_that_reads_a_file_leaves_the_screen_free(
    fails: bool, dtype: str, units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, read = threading.Event(), Start.read_again

    def slow(flags: Start, *wanted: Any) -> Start:
        assert go.wait(limits.PATIENCE)
        if fails:
            raise InputError("data.csv: it is gone.", "Look.")
        return read(flags, *wanted)

    def values() -> tuple[Any, Any]:
        config = explorer.state.experiment.spec.inner.config
        return config["dtype"], config["units"]

    explorer = Explorer()
    explorer.waits = False
    monkeypatch.setattr(Start, "read_again", slow)
    explorer.option("dtype", "right")
    explorer.option("units", "right", "right")  # follow when the input is read
    explorer.press("2", "u")  # takes back the last one
    assert explorer.state.view == "input"
    assert values() == ("float32", 3)
    go.set()
    explorer.waits = True
    explorer.settle()
    assert values() == (dtype, units)
    assert (explorer.message == "data.csv: it is gone. Look.") is fails
    explorer.press("u", "u")
    assert values() == ("float32", 3)


def test_save_and_copy(here: Path, rnncli: Run) -> None:
    explorer = Explorer()
    explorer.press("c")
    assert explorer.app.clipboard == SEEDED
    explorer.press("k")
    assert explorer.app.clipboard == "LSTM(3, return_sequences=True, return_state=True)"
    explorer.press("w", "enter")
    assert explorer.message == "saved experiment.html"
    assert "hidden_states" in Path("experiment.html").read_text(encoding="utf-8")
    explorer.press("2", "enter", "9", "enter")
    for pressed, said in (
        ("enter", "saved experiment.json"),
        ("enter", "exists already"),
        ("end x enter", "does not end in .json"),
    ):
        explorer.press("s", *pressed.split())
        assert said in explorer.message
        assert explorer.state.command == "rnncli run experiment.json"
    done = rnncli("run", str(here / "experiment.json"), "-f", "json").success()
    assert '"hidden_states"' in done.stdout


def test_the_command_palette_speaks_korean() -> None:
    explorer = Explorer(lang="ko")
    explorer.press(*HOLD, "enter", "ctrl+p")
    explorer.app.screen.query_one(Input).value = "모든 게이트"
    explorer.run(explorer.pilot.pause(0.5))
    explorer.press("enter", "enter")
    assert not explorer.state.experiment.case.hold
    assert not explorer.state.is_waiting


def test_the_program_ends_while_it_computes() -> None:
    code = """
import asyncio, time
from rnncli.commands.explore import app

async def start():
    app._start(lambda: time.sleep(1e6))

asyncio.run(start())
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=environment(), timeout=limits.PATIENCE, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("text", "first_line", "message", "asks"),
    [(NASTY, "seen", "", True), (ACCUMULATOR, "hidden state", "this cell has no gates to hold", False)],
    ids=["nasty", "accumulator"],
)
def test_a_cell_of_ones_own_is_explored_number_by_number(
    text: str, first_line: str, message: str, asks: bool, tmp_path: Path
) -> None:
    (tmp_path / "cell.toml").write_text(text)
    explorer = Explorer(shlex.join(["rnncli", "run", "-l", f"@'{tmp_path}/cell.toml'(4)", "--seed", "1"]))
    for view in "1342":
        explorer.press(view, "tab")
        for _ in range(8):
            explorer.press("down", "right")
            assert explorer.lines()
        explorer.press("tab")
    explorer.press("4", "tab", "h")
    assert explorer.shows(f"─ {first_line} of unit 0 at t=")
    assert (explorer.message, explorer.asked is not None) == (message, asks)
