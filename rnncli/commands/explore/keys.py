"""What the keys and the mouse do: each gives the next state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from rnncli.commands.explore import options, screen
from rnncli.commands.explore.experiment import Experiment, toggle_mask
from rnncli.commands.explore.number_pane import cell_at, draw_numbers, first_row
from rnncli.commands.explore.options import SEPARATOR, hold_gates
from rnncli.commands.explore.state import (
    State,
    TableCell,
    TypedLine,
    address,
    cell,
    change,
    move_to,
    redo,
    set_cell,
    settle,
    tables,
    timestep,
    undo,
)
from rnncli.errors import Message
from rnncli.layers.case import Hold
from rnncli.show.digits import format_exactly

Act = Callable[[State], State]


class Key(NamedTuple):
    """A key of the terminal, what the help says about it, and what it does.

    act: None for a key whose meaning depends on the pane.  in_palette: whether the command palette has it.
    """

    key: str
    text: str
    act: Act | None = None
    in_palette: bool = False


def press(state: State, key: str) -> State:
    """Return the state after a key: a character, or Textual's name of another key."""
    state = replace(state, message="")
    if state.typed is not None:
        return _edit_line(state, state.typed, key)
    if state.help:
        return replace(state, help=())
    act = next((entry.act for entry in KEYS if entry.key == key), None) or PANES[state.focus].get(key)
    return state if act is None else act(state)


def _edit_line(state: State, typed: TypedLine, key: str) -> State:
    """Return the state after a key in the line that is being typed."""
    text, caret = typed.text, typed.caret
    if key == "escape":
        return replace(state, typed=None)
    if key == "enter":
        try:
            return typed.accept(replace(state, typed=None), text)
        except ValueError:
            return replace(state, typed=None, message=Message("{text!r} is not a number", text=text))
    moves = {"left": max(caret - 1, 0), "right": min(caret + 1, len(text)), "home": 0, "end": len(text)}
    if key in moves:
        caret = moves[key]
    elif key in ("backspace", "delete"):
        first = 0 if typed.is_new else caret - (key == "backspace")
        last = len(text) if typed.is_new else caret + (key == "delete")
        if first >= 0:
            text, caret = text[:first] + text[last:], first
    elif len(key) == 1:
        return paste(state, key)
    else:
        return state
    return replace(state, typed=typed._replace(text=text, caret=caret, is_new=False))


def paste(state: State, text: str) -> State:
    """Return the state with a text put into the line that is being typed, if there is one."""
    if (typed := state.typed) is None:
        return state
    text = "".join(char for char in text if char.isprintable())
    before, after = ("", "") if typed.is_new else (typed.text[: typed.caret], typed.text[typed.caret :])
    caret = len(before) + len(text)
    return replace(state, typed=typed._replace(text=before + text + after, caret=caret, is_new=False))


def _ask(state: State, typed: TypedLine) -> State:
    return replace(state, typed=typed._replace(caret=len(typed.text)))


def click(state: State, x: int, y: int, clicks: int = 1) -> State:
    """Return the state after a click: it chooses an option, a cell or a time step; two edit a number."""
    if state.help:
        return replace(state, help=())
    if state.typed is not None:
        return state
    state, panes = replace(state, message=""), screen.panes(state)
    pane = next((name for name, region in panes.items() if region.contains(x, y)), None)
    if pane is None:
        return state
    x, y = x - panes[pane].x, y - panes[pane].y
    state = replace(state, focus=pane)
    if pane == "options":
        rows, chosen = screen.choose_option(state)
        index = first_row(chosen, len(rows), panes[pane].height) + y
        return change_option(replace(state, option=rows[index].name)) if index < len(rows) else state
    if pane == "numbers":
        at = cell_at(state, draw_numbers(state, panes[pane].width, panes[pane].height), x, y)
        moved = state if at is None else move_to(state, at)
        return edit_number(moved) if at is not None and clicks == 2 else moved
    last = state.shown.case.inputs.shape[1] - 1
    share = (x - state.size[0] + len(f" t={last} ─") + screen.SLIDER) / (screen.SLIDER - 1)
    if y == 0 and -0.3 <= share <= 1.3 and timestep(state) is not None:
        return _go_to_step(state, round(min(max(share, 0), 1) * last))
    return state


def _next_pane(state: State, by: int) -> State:
    names = list(PANES)
    return replace(state, focus=names[(names.index(state.focus) + by) % len(names)], scroll=0)


def _show_view(state: State, view: str) -> State:
    return settle(replace(state, view=view, focus="numbers", scroll=0))


def _step(state: State, by: int) -> State:
    last = state.shown.case.inputs.shape[1] - 1
    return _go_to_step(state, min(max(state.cursor.timestep + by, 0), last))


def _go_to_step(state: State, step: int) -> State:
    moved = settle(state, timestep=step)
    if timestep(moved) == step:
        return moved
    text = Message("a state has one time step; press 4 for the gates and states at every time step")
    return replace(moved, message=text)


def _next_sequence(state: State, by: int) -> State:
    return settle(state, batch=(state.cursor.batch + by) % len(state.shown.case.inputs))


def _mask(state: State) -> State:
    batch, step = state.cursor.batch, state.cursor.timestep
    return change(state, lambda now: toggle_mask(now, batch, step))


def _hold(state: State) -> State:
    """Ask for the value at which to hold the gate under the cursor, from this time step on."""
    at = state.cursor
    gate = tables(replace(state, view="gates"))[at.part].gate
    if not gate:
        return replace(state, message=Message("this cell has no gates to hold"))
    old = next((hold.text for hold in state.experiment.case.hold if _holds(hold, gate, at.unit)), None)

    def accept(state: State, typed: str) -> State:
        kept = [hold.text for hold in state.experiment.case.hold if hold.text != old]
        return change(state, lambda now: hold_gates(now, SEPARATOR.join([*kept, typed])))

    text = old or f"{gate}[:, {at.unit}]=1@{at.timestep}:"
    return _ask(state, TypedLine(_hold_question(state), text, accept))


def _hold_question(state: State) -> Message:
    """Return what to type: an example for a gate of these layers, and what the example does."""
    gate, last = tables(replace(state, view="gates"))[-1].gate, state.shown.case.inputs.shape[1] - 1
    text = "{example} holds unit 0 at 1 from t={t} on; several with ; or empty"
    return Message(text, example=f"{gate or 'forget'}[:, 0]=1@{last}:", t=last)


def _holds(hold: Hold, gate: str, unit: int) -> bool:
    """Return whether the hold applies to this gate and unit.  gate: with the path of its loop, as typed."""
    return unit in hold.units and hold.text.partition("=")[0].partition("[")[0].strip() == gate


def _release(state: State) -> State:
    if not state.experiment.case.hold:
        return replace(state, message=NO_HOLD)
    return change(state, lambda now: hold_gates(now, ""))


def _show_difference(state: State) -> State:
    if state.shown.without_hold is None:
        return replace(state, message=NO_HOLD)
    view = "results" if state.view in ("input", "weights") else state.view
    return settle(replace(state, subtracts=not state.subtracts, view=view))


def _show_terms(state: State) -> State:
    usual = replace(state, every_term=None, scroll=0)
    wanted = not state.shows_terms
    return usual if usual.shows_terms == wanted else replace(usual, every_term=wanted)


def _copy(state: State, text: str | None) -> State:
    return state if text is None else replace(state, wish=("copy", text), message=Message("copied"))


def _save(state: State, wish: str, prompt: Message, name: str) -> State:
    def accept(state: State, name: str) -> State:
        return replace(state, wish=(wish, name), message=Message("saving...")) if name else state

    return _ask(state, TypedLine(prompt, name, accept))


_save_case = partial(_save, wish="save", prompt=Message("save as (a new .json file)"), name="experiment.json")
_save_page = partial(
    _save, wish="page", prompt=Message("write the page as (a new .html file)"), name="experiment.html"
)


def _show_help(state: State) -> State:
    shown = ((key.key.title() if len(key.key) > 1 else key.key, key.text) for key in KEYS if key.key)
    return replace(state, help=tuple(shown))


def _wish(state: State, name: str) -> State:
    return replace(state, wish=(name, ""))


def _move_option(state: State, by: int) -> State:
    rows, chosen = screen.choose_option(state)
    return replace(state, option=rows[min(max(chosen + by, 0), len(rows) - 1)].name)


def _step_option(state: State, by: int) -> State:
    """Go to the next or the previous value of an option, if it has one."""
    rows, chosen = screen.choose_option(state)
    row, batch = rows[chosen], state.cursor.batch
    if row.next(by) is None:
        return state

    def step(now: Experiment) -> Experiment:
        row_now = next((other for other in options.rows(now, batch) if other.name == row.name), None)
        return now if row_now is None else row_now.change(now, row_now.next(by))

    return change(state, step, reads=row.reads)


def change_option(state: State) -> State:
    """Toggle a flag, go to the next choice, or ask for a value."""
    rows, chosen = screen.choose_option(state)
    row = rows[chosen]
    if row.choices:
        return _step_option(state, 1)

    def accept(state: State, typed: str) -> State:
        value = row.parse(typed)
        return change(state, lambda now: row.change(now, value), reads=row.reads)

    question = QUESTIONS.get(row.name) or Message("new value of {name}", name=row.name)
    question = _hold_question(state) if row.name == "hold" else question
    return _ask(state, TypedLine(question, row.text if row.typed is None else row.typed, accept))


def _move_cell(state: State, down: int, right: int) -> State:
    """Move the cursor; past the last row it goes on to the next table."""
    shown = tables(state)
    table, row, column = cell(state, shown)
    row += down
    if row < 0 and table > 0:
        table -= 1
        row = len(shown[table].values) - 1
    elif row >= len(shown[table].values) and table + 1 < len(shown):
        table, row = table + 1, 0
    last_row, last_column = (size - 1 for size in shown[table].values.shape)
    return move_to(
        state, TableCell(table, min(max(row, 0), last_row), min(max(column + right, 0), last_column))
    )


def edit_number(state: State) -> State:
    """Ask for the number under the cursor; in the view of the gates, for a value to hold the gate at."""
    if state.view == "gates":
        return _hold(state)
    if state.is_waiting:
        return replace(state, message=Message("computing..."))
    if state.view == "results":
        return replace(state, message=COMPUTED)
    shown = tables(state)
    table, row, column = cell(state, shown)

    def accept(state: State, typed: str) -> State:
        return set_cell(state, float(typed))

    value = format_exactly(shown[table].values[row, column])[0]
    return _ask(state, TypedLine(Message("new value of {name}", name=address(state)), value, accept))


def _scroll(state: State, by: int) -> State:
    return replace(state, scroll=min(max(state.scroll + by, 0), screen.last_scroll(state)))


NO_HOLD = Message("no gate is held; press h to hold one")
COMPUTED = Message("results cannot be edited; press 2 for the input, 3 for the weights, h to hold a gate")
QUESTIONS = {
    "mask": Message("steps to mask in this sequence, such as 1 or 0, 2: (empty for none)"),
}
"""Questions for the value of an option; for other options, `new value of`."""

FAR = 1_000_000_000
PANES: dict[str, dict[str, Act]] = {
    "options": {
        "up": partial(_move_option, by=-1),
        "down": partial(_move_option, by=1),
        "left": partial(_step_option, by=-1),
        "right": partial(_step_option, by=1),
        " ": change_option,
        "enter": change_option,
    },
    "numbers": {
        "up": partial(_move_cell, down=-1, right=0),
        "down": partial(_move_cell, down=1, right=0),
        "left": partial(_move_cell, down=0, right=-1),
        "right": partial(_move_cell, down=0, right=1),
        "home": partial(_move_cell, down=0, right=-FAR),
        "end": partial(_move_cell, down=0, right=FAR),
        " ": edit_number,
        "enter": edit_number,
    },
    "step": {
        "left": partial(_step, by=-1),
        "right": partial(_step, by=1),
        "up": partial(_scroll, by=-1),
        "down": partial(_scroll, by=1),
    },
}
"""The keys of each pane, in the order of Tab."""

KEYS = (
    Key("tab", "next pane", partial(_next_pane, by=1)),
    Key("shift+tab", "previous pane", partial(_next_pane, by=-1)),
    Key("Arrows", "move; change an option"),
    Key("enter", "toggle, or type a value"),
    Key("1", "show the results", partial(_show_view, view="results"), in_palette=True),
    Key("2", "show the input", partial(_show_view, view="input"), in_palette=True),
    Key("3", "show the weights", partial(_show_view, view="weights"), in_palette=True),
    Key("4", "show the gates and states", partial(_show_view, view="gates"), in_palette=True),
    Key("[", "previous time step", partial(_step, by=-1)),
    Key("]", "next time step", partial(_step, by=1)),
    Key("b", "next sequence of the batch", partial(_next_sequence, by=1)),
    Key("B", "previous sequence", partial(_next_sequence, by=-1)),
    Key("e", "the terms of the equations", _show_terms, True),
    Key("m", "mask this step, or unmask it", _mask, True),
    Key("h", "hold a gate at a value", _hold, True),
    Key("H", "release every held gate", _release, True),
    Key("d", "what the held gates change", _show_difference, True),
    Key("u", "undo a change", undo, True),
    Key("U", "redo a change", redo, True),
    Key("s", "save as a case document", _save_case, True),
    Key("w", "write a page for the browser", _save_page, True),
    Key("c", "copy the command", lambda now: _copy(now, now.command), True),
    Key("k", "copy the Keras expression", lambda now: _copy(now, now.shown.experiment.expression), True),
    Key("ctrl+p", "command palette", partial(_wish, name="palette")),
    Key("", "change the theme", partial(_wish, name="theme"), True),
    Key("?", "show the keys", _show_help, True),
    Key("q", "leave the explorer", partial(_wish, name="quit"), True),
)  # fmt: skip
"""The keys of every pane, in the order of the help."""
