"""The explorer on a screen: every key and every option, by Textual's pilot; golden files hold the screens."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run, environment, loaded_by
from looks import matches_golden

from rnncli.cli.command_line import CommandLine
from rnncli.cli.flags import InputFlags, RunFlags
from rnncli.commands.explore import computation, option_rows
from rnncli.commands.explore.computation import Computation, compute_experiment
from rnncli.commands.explore.editable_case import EditableCase, recurrent_places
from rnncli.commands.explore.texts import get_text
from rnncli.commands.explore.typed_flags import TypedFlags, choose_model_layer
from rnncli.commands.explore.views import GridCell
from rnncli.errors import InputError

pytest.importorskip("textual")

from textual.pilot import Pilot
from textual.widgets import Input

from rnncli.commands.explore.explore_app import ExploreApp
from rnncli.commands.explore.keys import KEYS, PALETTE
from rnncli.commands.explore.panes.dialogs import HelpPage, Prompt
from rnncli.commands.explore.panes.grid_pane import GridPane
from rnncli.commands.explore.panes.option_pane import OptionPane
from rnncli.commands.explore.panes.step_pane import StepPane
from rnncli.commands.explore.runner import PATIENCE

SEEDED = "rnncli run -l lstm --return-sequences --return-state --seed 42"


class Screen:
    """The explorer under a pilot."""

    def __init__(self, app: ExploreApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        """Press keys, and wait until everything that they started is shown."""
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def settle(self) -> None:
        await self.pilot.pause()
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    async def option(self, name: str, key: str) -> None:
        """Press a key on an option."""
        await self.option_without_waiting(name, key)
        await self.settle()

    async def option_without_waiting(self, name: str, key: str) -> None:
        pane = self.app.query_one(OptionPane)
        pane.focus()
        pane.place = [row.name for row in pane.rows].index(name)
        await self.pilot.press(key)

    def value(self, name: str) -> Any:
        return next(row.value for row in option_rows.rows(self.app.current) if row.name == name)

    def message(self) -> str:
        return self.text_of("#message")

    def command(self) -> str:
        """The command as it is shown."""
        return self.text_of("#command")

    def text_of(self, widget: str) -> str:
        """The text of one widget on the screen, its lines joined."""
        region = self.app.query_one(widget).region
        return " ".join(line.strip() for line in self.lines()[region.y : region.bottom])

    def lines(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def explored(
    script: Callable[[Screen], Awaitable[None]],
    command: str = SEEDED,
    size: tuple[int, int] = (80, 24),
    lang: str = "en",
) -> None:
    line = CommandLine.parse(command)
    asked, names = choose_model_layer(line.group(RunFlags))
    case = CommandLine(line.command, line.values | {"model": asked.model}).case()
    flags = TypedFlags(line.group(InputFlags), asked, case, names)
    first = EditableCase(case, flags, recurrent_places(case)[-1])
    app = ExploreApp(first, compute_experiment(first), lang)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.settle()
            await script(screen)

    asyncio.run(run())


@pytest.mark.parametrize(("size", "lang"), [((80, 24), "en"), ((120, 40), "ko")])
@pytest.mark.parametrize("keys", ["", "2", "3", "4", "question_mark", "e"])
def test_screen(size: tuple[int, int], lang: str, keys: str) -> None:
    async def script(screen: Screen) -> None:
        await screen.press("right_square_bracket", "right_square_bracket", *([keys] if keys else []))
        shown = "\n".join(screen.lines()) + "\n"
        assert matches_golden("explore", f"{size[0]}_{lang}_{keys or 'first'}.txt", shown)

    explored(script, size=size, lang=lang)


HOLD = ("4", "down", "down", "down", "right", "right", "h", "enter")
"""Keys that hold the forget gate of unit 0 from t=2 on."""

HOLD_SCREENS = {
    "hold_prompt": HOLD[:-1],
    "hold_gates": HOLD[-1:],
    "hold_results": ("1",),
    "hold_difference": ("d",),
    "weights_right": ("3", "down", "end"),
    "options_below": ("shift+tab", *["up"] * 2),
}
"""Keys of one screen after the other."""


@pytest.mark.parametrize(("size", "lang"), [((80, 24), "en"), ((120, 40), "ko")])
def test_screens_of_held_gates(size: tuple[int, int], lang: str) -> None:
    async def script(screen: Screen) -> None:
        pane = screen.app.query_one(OptionPane)
        pane.place = len(pane.rows) - 1
        for name, keys in HOLD_SCREENS.items():
            await screen.press(*keys)
            shown = "\n".join(screen.lines()) + "\n"
            assert matches_golden("explore", f"{size[0]}_{lang}_{name}.txt", shown), name

    explored(script, size=size, lang=lang)


@pytest.mark.parametrize(
    "layer",
    [
        "-l lstm",
        "-l lstm --return-sequences --return-state",
        "-l gru --go-backwards --return-sequences --return-state",
        "-l bilstm --return-sequences --return-state",
        "-l bigru --merge-mode sum --return-state",
        "-l bigru --merge-mode none --return-sequences --return-state",
        "-l 'RNN([LSTMCell(2), GRUCell(4)])' --return-state",
        "-l lstm -l 'Dense(2)'",
        "-l 'LSTM(2, return_sequences=True)' -l 'Dense(2)' -l 'GRU(3)' --return-state",
    ],
)
def test_the_number_under_the_cursor_is_explained(layer: str) -> None:
    """Whatever the tensor, the sequence, the time step and the unit."""

    async def script(screen: Screen) -> None:
        grid = screen.app.query_one(GridPane)
        grid.focus()
        for number, tensor in enumerate(screen.app.runner.computation.result.outputs):
            times = range(3) if tensor.label.sequence else (None,)
            for batch, time, unit in product(range(2), times, range(tensor.values.shape[-1])):
                row, column = (0, unit) if time is None else (unit, time)
                screen.app.show_at(batch=batch)
                grid.post_message(GridPane.NewCell(GridCell(number, row, column)))
                await screen.pilot.pause()
                at = (batch, unit) if time is None else (batch, time, unit)
                assert screen.app.scene.explanation.target == (tensor.label, at)
                assert screen.app.scene.explanation.value == tensor.values[at]
                assert tensor.name in screen.app.query_one(StepPane).title
                assert f"= {tensor.values[at]:z.4f}" in screen.text_of("#step")

    explored(script, f"rnncli run --input-shape 2,3,2 {layer} --seed 42")


def test_the_time_step_of_a_state_is_shown() -> None:
    async def script(screen: Screen) -> None:
        screen.app.query_one(GridPane).focus()
        steps = screen.app.query_one(StepPane)
        assert (steps.timestep, screen.app.scene.cursor.timestep) == (0, 0)
        await screen.press("down", "down", "down", "down")
        assert steps.title == "forward_last_hidden_state · unit 0"
        assert steps.timestep == 3
        await screen.press("down", "down")
        assert steps.title == "backward_last_hidden_state · unit 0"
        assert steps.timestep == 0
        await screen.press("right_square_bracket")
        assert steps.timestep == 0
        assert screen.message().startswith("a state has one time step")
        await screen.press("2", "right_square_bracket")
        assert (steps.timestep, steps.title) == (1, "backward/hidden · unit 0")

    explored(script, "rnncli run -l bilstm --units 2 --return-sequences --return-state --seed 42")


def test_a_state_that_joins_two_directions_has_no_slider() -> None:
    async def script(screen: Screen) -> None:
        steps = screen.app.query_one(StepPane)
        assert (steps.timestep, steps.title) == (None, "hidden_state · unit 0")
        assert any(line.startswith("hidden_state · unit 0") for line in screen.lines())
        await screen.press("right_square_bracket")
        assert screen.message().startswith("a state has one time step")

    explored(script, "rnncli run -l bilstm --merge-mode sum --seed 42")


def test_a_gate_is_held_by_keys_and_released() -> None:
    async def script(screen: Screen) -> None:
        await screen.press("d")
        assert "no gate is held" in screen.message()
        await screen.press(*HOLD)
        assert screen.value("hold") == "forget[:, 0]=1@2:"
        assert screen.command() == f"{SEEDED} --hold 'forget[:, 0]=1@2:'"
        assert any("forget = held at 1.0000" in line for line in screen.lines())
        await screen.press("d")
        assert any("with held gates - without" in line for line in screen.lines())
        await screen.press("d", "h", "end", *["backspace"] * 4, "0", "enter")
        assert screen.value("hold") == "forget[:, 0]=0"
        await screen.press("down", "enter", "enter")  # in the gates, Enter holds too
        assert screen.value("hold") == "forget[:, 0]=0; forget[:, 1]=1@2:"
        await screen.press("H")
        assert screen.value("hold") == "none"
        await screen.press("H")
        assert "no gate is held" in screen.message()
        await screen.press("u", "u", "u")
        assert screen.value("hold") == "forget[:, 0]=1@2:"

    explored(script)


def test_the_row_hold_takes_several_gates_and_says_what_is_wrong() -> None:
    async def script(screen: Screen) -> None:
        for typed, wanted in (("forward/forget=1; backward/input=0@1", None), ("forget=1", "no such gate")):
            await screen.option("hold", "enter")
            screen.app.screen.query_one(Input).value = typed
            await screen.press("enter")
            assert wanted is None or wanted in screen.message()
        assert screen.value("hold") == "forward/forget=1; backward/input=0@1"
        await screen.option("layer", "right")
        assert "Press H to release" in screen.message()
        await screen.option("hold", "enter")
        screen.app.screen.query_one(Input).value = ""
        await screen.press("enter")
        assert screen.value("hold") == "none"

    explored(script, "rnncli run -l bilstm --seed 42")


def test_the_rows_mask_calls_and_dtype() -> None:
    async def script(screen: Screen) -> None:
        await screen.option("mask", "enter")
        await screen.press("1", "enter")
        assert screen.value("mask") == "t=1"
        await screen.option("mask", "enter")
        await screen.press("9", "enter")
        assert screen.message().startswith("mask: '9' is not a time step here.")
        await screen.option("calls", "left")
        assert screen.message().startswith("calls is 0.")
        await screen.option("calls", "right")
        assert "both calls return the same numbers" in screen.message()
        await screen.option("stateful", "space")
        assert screen.value("stateful")
        assert "same numbers" not in screen.message()
        assert screen.app.command is not None
        assert screen.app.command.endswith("--calls 2")
        await screen.option("dtype", "right")
        assert screen.app.runner.computation.result.outputs[0].values.dtype == "float64"
        await screen.press("u", "u", "u", "u")
        assert screen.app.current.case.mask is None

    explored(script)


def test_undo_takes_back_the_change_that_is_still_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    count = []

    def slow(experiment: EditableCase) -> Computation:
        count.append(experiment)
        assert go.wait(60)
        return compute_experiment(experiment)

    async def script(screen: Screen) -> None:
        await screen.option("units", "right")
        monkeypatch.setattr(computation, "compute_experiment", slow)
        for key in ("right", "right", "right", "u"):
            await screen.pilot.press(key)
        assert screen.value("units") == 6
        assert screen.app.runner.experiment.inner.config["units"] == 4
        assert "hidden_states (1, 4, 4)" in "".join(screen.lines())
        await screen.pilot.press("u", "u", "u")
        assert screen.value("units") == 3
        await screen.pilot.press("u")
        assert screen.message() == "nothing to undo"
        await screen.pilot.press("U")
        go.set()
        await screen.settle()
        assert screen.value("units") == 4
        assert screen.app.runner.experiment is screen.app.current
        assert len(count) == 1  # nothing that was taken back is computed
        await screen.press("U", "U", "U")
        assert screen.value("units") == 7

    explored(script)


def test_a_change_that_cannot_be_computed_is_taken_back() -> None:
    async def script(screen: Screen) -> None:
        await screen.press("3", "enter", "9", "enter")
        await screen.option("units", "right")
        assert screen.value("units") == 3
        assert "weights: " in screen.message()
        await screen.press("u")
        assert not screen.app.current.is_edited

    explored(script)


def test_every_key_and_entry_has_a_text_and_an_action() -> None:
    app_actions = {action.partition("(")[0] for action in (*KEYS.values(), *PALETTE.values())}
    for action in app_actions:
        assert hasattr(ExploreApp, f"action_{action}"), action
    for lang in ("en", "ko"):
        assert all(get_text(name, lang) for name in PALETTE)
        words = get_text("help", lang).split()
        signs = {"left_square_bracket": "[", "right_square_bracket": "]"}
        assert all(signs.get(key, key) in words for key in KEYS if key != "question_mark")


def wait_for(go: threading.Event) -> Callable[[EditableCase], Computation]:
    """Return what computes an experiment as soon as `go` is set."""

    def compute(experiment: EditableCase) -> Computation:
        assert go.wait(60)
        return compute_experiment(experiment)

    return compute


def test_numbers_that_come_while_a_dialog_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    async def script(screen: Screen) -> None:
        monkeypatch.setattr(computation, "compute_experiment", wait_for(go))
        await screen.option_without_waiting("units", "right")
        await screen.pilot.press("question_mark")
        go.set()
        await screen.settle()
        assert isinstance(screen.app.screen, HelpPage)
        await screen.press("x")
        assert "hidden_states (1, 4, 4)" in "".join(screen.lines())

    explored(script)


def test_any_size_of_the_terminal() -> None:
    async def script(screen: Screen) -> None:
        for size in ((40, 12), (12, 5), (200, 60), (80, 24)):
            await screen.pilot.resize_terminal(*size)
            for key in ("2", "3", "4", "1"):
                await screen.press(key)
        assert screen.command() == SEEDED

    explored(script)


def test_the_command_palette_speaks_korean() -> None:
    async def script(screen: Screen) -> None:
        await screen.press("ctrl+p")
        assert "명령 검색" in "".join(screen.lines())
        await screen.press("escape", *HOLD, "ctrl+p")
        screen.app.screen.query_one(Input).value = "모든 게이트"
        await screen.pilot.pause(0.5)
        await screen.press("enter", "enter")
        assert screen.value("hold") == "none"

    explored(script, lang="ko")


def test_the_layers_of_a_model_are_chosen_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    sizes = {"enc": (12, 2, 3), "dec": (16, 2, 4)}
    weights = {}
    for name, (rows, features, units) in sizes.items():
        weights[f"{name}.weight_ih_l0"] = rng.normal(size=(rows, features))
        weights[f"{name}.weight_hh_l0"] = rng.normal(size=(rows, units))
    np.savez(tmp_path / "m.npz", allow_pickle=False, **weights)

    async def script(screen: Screen) -> None:
        assert screen.value("in model") == "enc"
        await screen.press("3", "enter", "9", "enter")
        await screen.option("in model", "right")
        assert screen.value("units") == 4
        assert "m.npz#dec" in screen.command()
        assert not screen.app.current.is_edited
        await screen.option("units", "right")
        assert "fixed in a saved model" in screen.message()
        await screen.press("h", "enter")
        assert screen.command().startswith("rnncli trace ")
        await screen.press("u", "u")
        assert screen.app.current.is_edited

    explored(script, "rnncli run '[[1, 2], [3, 4]]' --model m.npz")


@pytest.mark.parametrize("layer", ["gru", "bilstm", "simple_rnn"])
def test_every_row_changes_by_keys_and_undo_takes_it_back(layer: str) -> None:
    async def script(screen: Screen) -> None:
        for row in option_rows.rows(screen.app.current):
            if row.next(1) is None or (row.name, layer) == ("go_backwards", "bilstm"):
                continue
            before = screen.lines()[:-1]
            await screen.option(row.name, "right")
            assert screen.value(row.name) == row.next(1), row.name
            assert screen.lines()[:-1] != before
            await screen.press("u")
            assert screen.value(row.name) == row.value, row.name

    explored(script, f"rnncli run -l {layer} --seed 42")


def test_a_toggle_changes_the_tensors_at_once() -> None:
    async def script(screen: Screen) -> None:
        assert not any("hidden_states (1, 4, 3)" in line for line in screen.lines())
        await screen.option("return_sequences", "space")
        assert any("hidden_states (1, 4, 3)" in line for line in screen.lines())
        assert screen.command() == "rnncli run -l lstm --return-sequences --seed 42"
        assert screen.text_of("#expression") == "LSTM(3, return_sequences=True)"

    explored(script, "rnncli run -l lstm --seed 42")


def test_keys_pressed_faster_than_results_come_all_count() -> None:
    async def script(screen: Screen) -> None:
        screen.app.query_one(OptionPane).place = 1
        for _ in range(4):
            await screen.pilot.press("right")
        await screen.settle()
        assert screen.value("units") == 7

    explored(script)


def test_moves_faster_than_the_screen_all_count() -> None:
    async def script(screen: Screen) -> None:
        grid, steps = screen.app.query_one(GridPane), screen.app.query_one(StepPane)
        for move in ((1, 0), (1, 0), (0, 1), (0, 1)):
            grid.action_move(*move)
        await screen.settle()
        assert (screen.app.scene.cursor.unit, screen.app.scene.cursor.timestep) == (2, 2)
        steps.action_step(-1)
        steps.action_step(-1)
        await screen.settle()
        assert screen.app.scene.cursor.timestep == 0

    explored(script)


def test_names_that_a_terminal_would_obey_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files, features and layers of a model: escapes, controls, and marks that turn text around."""
    monkeypatch.chdir(tmp_path)
    evil = "a\x1b]0;b\x07\x9b\u202e"
    Path(f"{evil}.csv").write_text(f"{evil},{evil}2\n1,2\n3,4\n", encoding="utf-8")
    named = {f"{name}.weight_{one}_l0": np.ones((8, 2)) for name in (evil, "dec") for one in ("ih", "hh")}
    np.savez(tmp_path / "m.npz", allow_pickle=False, **named)

    async def script(screen: Screen) -> None:
        def look() -> str:
            shown = "".join(screen.lines())
            assert [char for char in shown if not char.isprintable()] == []
            return shown

        assert r"a\x1b" in look()
        for key in ("2", "3", "4", "1", "e"):
            await screen.press(key)
            assert r"a\x1b" in look()
        await screen.press("2", "enter")
        assert isinstance(screen.app.screen, Prompt)
        look()
        await screen.press("escape", "s")
        screen.app.screen.query_one(Input).value = f"{evil}.txt"
        await screen.press("enter")
        assert "does not end in .json" in screen.message()
        look()
        await screen.option("in model", "right")
        look()

    explored(script, shlex.join(["rnncli", "run", f"{evil}.csv", "--model", "m.npz"]), size=(150, 50))


def test_a_long_computation_is_announced_and_holds_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    async def script(screen: Screen) -> None:
        monkeypatch.setattr(computation, "compute_experiment", wait_for(go))
        screen.app.query_one(OptionPane).place = 1
        await screen.pilot.press("right")
        await screen.pilot.pause(2 * PATIENCE)
        assert screen.message() == "computing..."
        screen.app.query_one(GridPane).focus()
        screen.app.show(view="weights")
        await screen.pilot.press("enter")
        assert not isinstance(screen.app.screen, Prompt)
        go.set()
        await screen.settle()
        assert screen.value("units") == 4
        assert screen.message() != "computing..."
        await screen.press("enter")
        assert isinstance(screen.app.screen, Prompt)

    explored(script)


def test_a_change_that_reads_a_file_leaves_the_screen_free(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    read = TypedFlags.read_again

    def slow(flags: TypedFlags, *wanted: Any) -> TypedFlags:
        assert go.wait(60)
        return read(flags, *wanted)

    async def script(screen: Screen) -> None:
        monkeypatch.setattr(TypedFlags, "read_again", slow)
        await screen.option_without_waiting("dtype", "right")
        await screen.option_without_waiting("units", "right")  # follows when the input is read
        await screen.option_without_waiting("units", "right")
        await screen.pilot.press("2", "u")  # takes back the last one
        assert any("input (1, 4, 5)" in line for line in screen.lines()[1:])
        assert (screen.value("dtype"), screen.value("units")) == ("float32", 3)
        go.set()
        await screen.settle()
        assert (screen.value("dtype"), screen.value("units")) == ("float64", 4)
        assert screen.app.current is screen.app.runner.experiment
        await screen.press("u", "u")
        assert (screen.value("dtype"), screen.value("units")) == ("float32", 3)

    explored(script)


def test_a_change_undone_while_it_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def fails(*_: Any) -> TypedFlags:
        assert go.wait(60)
        raise InputError("data.csv: it is gone.", "Look.")

    async def script(screen: Screen) -> None:
        monkeypatch.setattr(TypedFlags, "read_again", fails)
        await screen.option_without_waiting("dtype", "right")
        await screen.pilot.press("u")
        go.set()
        await screen.settle()
        assert screen.value("dtype") == "float32"
        await screen.option("dtype", "right")
        assert screen.message() == "data.csv: it is gone. Look."
        assert screen.value("dtype") == "float32"

    explored(script)


def test_the_program_ends_while_it_computes() -> None:
    code = """
import asyncio, time
from rnncli.commands.explore import runner

async def start():
    runner.start(lambda: time.sleep(600))

asyncio.run(start())
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), timeout=60, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_typed_values() -> None:
    async def script(screen: Screen) -> None:
        await screen.option("units", "enter")
        assert isinstance(screen.app.screen, Prompt)
        await screen.press("6", "enter")
        assert screen.value("units") == 6
        await screen.option("dropout", "enter")
        await screen.press("x", "enter")
        assert "not a number" in screen.message()
        await screen.option("dropout", "enter")
        await screen.press("2", "enter")
        assert "dropout" in screen.message()
        assert screen.value("dropout") == 0
        await screen.option("kernel_initializer", "enter")
        screen.app.screen.query_one(Input).value = "constant:0.1"
        await screen.press("enter")
        assert screen.value("kernel_initializer").class_name == "Constant"
        await screen.option("seed", "enter")
        await screen.press("escape")
        assert screen.value("seed") == 42

    explored(script)


def test_an_input_and_a_weight_can_be_edited() -> None:
    async def script(screen: Screen) -> None:
        await screen.press("2", "down", "right", "enter", "9", "enter")
        assert screen.app.current.case.inputs[0, 1, 1] == 9
        assert screen.command().startswith("rnncli run '{")
        await screen.press("3", "down", "right", "enter", "minus", "1", "enter")
        weights = screen.app.current.case.weights
        assert weights is not None
        assert weights["kernel"][1, 1] == -1
        await screen.press("1", "enter")
        assert "cannot be edited" in screen.message()
        await screen.press("u", "u")
        assert not screen.app.current.is_edited
        await screen.press("u")
        assert screen.message() == "nothing to undo"
        await screen.press("U", "U", "U")
        assert screen.message() == "nothing to redo"
        assert screen.app.current.is_edited

    explored(script)


def test_time_unit_sequence_and_mask() -> None:
    async def script(screen: Screen) -> None:
        pane = screen.app.query_one(GridPane)
        pane.focus()
        await screen.press("right", "down", "right_square_bracket")
        assert (screen.app.scene.cursor.timestep, screen.app.scene.cursor.unit) == (2, 1)
        await screen.press("left_square_bracket", "end")
        assert screen.app.scene.cursor.timestep == 3
        await screen.press("home")
        assert screen.app.scene.cursor.timestep == 0
        await screen.press("b")
        assert screen.app.scene.cursor.batch == 1
        assert screen.lines()[0].endswith("input (2, 4, 5) · sequence 1 (0-1)")
        await screen.press("B")
        assert screen.app.scene.cursor.batch == 0
        await screen.press("right_square_bracket", "m")
        mask = screen.app.current.case.mask
        assert mask is not None
        assert mask.tolist() == [[True, False, True, True], [True] * 4]
        assert any("masked at t=1: carried over from t=0" in line for line in screen.lines())
        await screen.press("m")
        assert screen.app.current.case.mask is None

    explored(script, "rnncli run --input-shape 2,4,5 --fill arange -l gru --return-sequences --seed 42")


def test_the_steps_of_the_slider_and_its_equations_scroll() -> None:
    async def script(screen: Screen) -> None:
        pane = screen.app.query_one(StepPane)
        pane.focus()
        await screen.press("right", "right", "left")
        assert screen.app.scene.cursor.timestep == 1
        await screen.press("e", "down", "down")
        assert pane.top == 2
        await screen.press("up")
        assert pane.top == 1

    explored(script)


def test_the_mouse() -> None:
    async def script(screen: Screen) -> None:
        await screen.pilot.click(OptionPane, offset=(1, 4))
        await screen.settle()
        assert screen.value("go_backwards")
        await screen.press("u")
        await screen.pilot.click(GridPane, offset=(8 + 25, 3))
        await screen.settle()
        assert (screen.app.scene.cursor.timestep, screen.app.scene.cursor.unit) == (2, 1)
        await screen.pilot.click(StepPane, offset=(22, 1))
        await screen.settle()
        assert screen.app.scene.cursor.timestep == 0

    explored(script)


def test_tab_goes_through_the_panes() -> None:
    async def script(screen: Screen) -> None:
        seen = []
        for _ in range(4):
            seen.append(type(screen.app.focused))
            await screen.press("tab")
        assert seen == [OptionPane, GridPane, StepPane, OptionPane]

    explored(script)


def test_the_gates_of_every_layer_are_explained() -> None:
    async def script(screen: Screen) -> None:
        await screen.press("4")
        names = [grid.title for grid in screen.app.query_one(GridPane).grids]
        for _ in range(sum(len(grid.values) for grid in screen.app.query_one(GridPane).grids)):
            part = names[screen.app.scene.cursor.part]
            assert screen.app.query_one(StepPane).title == f"{part} · unit {screen.app.scene.cursor.unit}"
            await screen.press("down")
        assert screen.app.scene.cursor.part == len(names) - 1
        await screen.option("in stack", "right")
        await screen.option("units", "right")
        assert screen.app.current.expression == "[LSTM(3, return_sequences=True), Bidirectional(GRU(2))]"

    explored(script, "rnncli run -l 'LSTM(2, return_sequences=True)' -l 'Bidirectional(GRU(2))' --seed 42")


def test_save_and_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rnncli: Run) -> None:
    monkeypatch.chdir(tmp_path)

    async def script(screen: Screen) -> None:
        await screen.press("c")
        assert screen.app.clipboard == SEEDED
        await screen.press("k")
        assert screen.app.clipboard == "LSTM(3, return_sequences=True, return_state=True)"
        await screen.press("2", "enter", "9", "enter", "s", "enter")
        assert screen.message() == "saved experiment.json"
        assert screen.command() == "rnncli run experiment.json"
        await screen.press("s", "enter")
        assert "exists already" in screen.message()
        await screen.press("s", "end", "x", "enter")
        assert "does not end in .json" in screen.message()

    explored(script)
    done = rnncli("run", str(tmp_path / "experiment.json"), "-f", "json")
    assert done.returncode == 0, done.stderr
    assert '"hidden_states"' in done.stdout


def test_help_closes_with_any_key() -> None:
    async def script(screen: Screen) -> None:
        await screen.press("question_mark")
        assert isinstance(screen.app.screen, HelpPage)
        await screen.press("x")
        assert not isinstance(screen.app.screen, HelpPage)
        await screen.press("q")
        assert screen.app.return_code == 0

    explored(script)


def test_a_long_input_scrolls() -> None:
    async def script(screen: Screen) -> None:
        await screen.press("2", "end")
        assert screen.app.scene.cursor.timestep == 4999
        assert any("t=4999" in line for line in screen.lines())
        assert not any("t=0 " in line for line in screen.lines()[:12])
        await screen.press("enter", "9", "enter")
        assert screen.command().startswith("edited: press s")
        await screen.press("c")
        assert screen.app.clipboard == ""

    explored(script, "rnncli run --input-shape 1,5000,3 -l lstm --seed 1")


def test_a_pipe_is_refused(rnncli: Run) -> None:
    done = rnncli("explore")
    assert (done.returncode, done.stdout) == (2, "")
    assert "explore needs a terminal" in done.stderr


def test_without_textual_the_package_is_named() -> None:
    program = """
import sys
sys.modules["textual"] = None
import rnncli.cli.pager as pager
pager.is_possible = lambda: True
sys.stderr.isatty = lambda: True
from rnncli.cli.app import main
sys.exit(main(["explore"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3, done.stderr
    assert "pip install textual" in done.stderr


def test_help_does_not_load_textual() -> None:
    assert "textual" not in loaded_by("explore", "--help")
