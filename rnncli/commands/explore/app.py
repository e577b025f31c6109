"""The terminal: panes that show a state, keys that make the next one, and what is computed in a thread."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from types import FrameType
from typing import Any, ClassVar, NamedTuple, TypeVar

from rich.cells import set_cell_size
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.containers import Horizontal, ItemGrid, Vertical, VerticalScroll
from textual.geometry import Region, Size
from textual.screen import ModalScreen, Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from rnncli import errors
from rnncli.commands.explore import experiment, lines, options, state
from rnncli.commands.explore.experiment import Computation, Experiment
from rnncli.commands.explore.options import SEPARATOR, OptionRow, hold_gates
from rnncli.commands.explore.state import (
    CHANGED,
    HALVES,
    HELD,
    MASKED,
    NumberTable,
    State,
    TableCell,
    cell,
    describe,
    tables,
)
from rnncli.errors import Message, RnncliError
from rnncli.process import signals
from rnncli.show.digits import choose_style, format_exactly, format_number
from rnncli.show.formats.table import draw_page
from rnncli.show.page import View
from rnncli.show.visible import longest, step_text, visible, width_of
from rnncli.show.wording import say

DIGITS = 7
"""The least width of a number, after a column for the cursor or a mark."""
POSITIVE, ZERO, NEGATIVE = (180, 83, 9), (24, 28, 36), (37, 99, 190)
FAR = 1_000_000_000


class Form(NamedTuple):
    """How a table is drawn.

    headings: the lines above its numbers.  label, width: the columns of a row's label, and of a number with
    its mark.  style, scale: the format of the numbers, and the number with the brightest color.
    """

    headings: int
    label: int
    width: int
    style: str
    scale: float


class NumbersPane(ScrollView, can_focus=True):
    """The tables of the view, one below the other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.act('move', (-1, 0))"),
        Binding("down", "app.act('move', (1, 0))"),
        Binding("left", "app.act('move', (0, -1))"),
        Binding("right", "app.act('move', (0, 1))"),
        Binding("home", f"app.act('move', (0, -{FAR}))"),
        Binding("end", f"app.act('move', (0, {FAR}))"),
        Binding("enter,space", "app.edit_number"),
    ]

    starts: Sequence[int] = (0,)
    """The first line of each table, and the number of lines."""

    def show(self, state: State) -> None:
        """Show the tables of a state around its cursor."""
        self.lang, self.tables = state.lang, tables(state)
        self.cursor = cell(state, self.tables)
        self.forms = list(map(_form, self.tables))
        sizes = [
            form.headings + len(table.values) for form, table in zip(self.forms, self.tables, strict=True)
        ]
        self.starts = [0, *accumulate(sizes)]
        width = max(
            form.label + bool(table.half) + form.width * table.values.shape[1]
            for form, table in zip(self.forms, self.tables, strict=True)
        )
        self.virtual_size = Size(width, self.starts[-1])
        self.refresh()
        self.call_after_refresh(self._scroll_to_cursor)  # once it is known which scrollbars there are

    def _scroll_to_cursor(self) -> None:
        table, row, column = self.cursor
        form, start = self.forms[table], self.starts[table]
        end = start + form.headings + row + 1
        top = (
            start if end - start <= self.scrollable_content_region.height else end - 1
        )  # keep the title visible
        width = form.label + bool(self.tables[table].half) + form.width
        self.scroll_to_region(Region(column * form.width, top, width, end - top), animate=False)

    def render_line(self, y: int) -> Strip:
        """Draw a line of the pane."""
        width, at = self.scrollable_content_region.width, y + self.scroll_offset.y
        line = self._draw(at, width) if at < self.starts[-1] else Text()
        line.truncate(width, overflow="ellipsis", pad=True)
        return Strip(line.render(self.app.console), width).apply_style(self.rich_style)

    def _draw(self, at: int, width: int) -> Text:
        number = bisect_right(self.starts, at) - 1
        table, form = self.tables[number], self.forms[number]
        row = at - self.starts[number] - form.headings
        if row == -form.headings:
            return Text.assemble((visible(table.title), "bold"), (f" {say(table.note, self.lang)}", "dim"))
        if table.claim and row == 1 - form.headings:
            return Text(f"  {visible(table.claim)}")
        begin = -(-self.scroll_offset.x // form.width)
        room = max((width - form.label - bool(table.half)) // form.width, 1)
        columns = range(begin, min(begin + room, table.values.shape[1]))
        if row < 0:
            names = (_name(table, column, form.width - 1) for column in columns)
            return Text(" " * form.label + "".join(names), "dim")
        chosen = self.cursor.column if (number, row) == self.cursor[:2] else -1
        return self._draw_row(number, row, columns, chosen)

    def _draw_row(self, number: int, row: int, columns: range, chosen: int) -> Text:
        """Draw one row.  chosen: the column under the cursor, -1 if it is on another row."""
        table, form = self.tables[number], self.forms[number]
        label = _label(table, row) if table.times else str(row) if len(table.values) > 1 else ""
        is_masked = bool(table.masked) and table.masked[row]
        line = Text(label + " " * (form.label - 1 - width_of(label)) + (MASKED if is_masked else " "), "dim")
        for column in columns:
            value, here = table.values[row, column], column == chosen
            mark = HELD if table.held is not None and table.held[row, column] and not is_masked else " "
            if (new := table.changed) is not None and new[row, column]:
                # the cursor hides the mark before it
                starts = column in (columns.start, table.half, chosen + 1)
                mark = CHANGED if starts or not new[row, column - 1] else mark
            line.append(HALVES if table.half and column == table.half else "", "dim")
            at = Style(meta={"cell": TableCell(number, row, column)})
            line.append("▸" if here else mark, Style(bold=True) + at)
            is_reversed, text = here and self.has_focus, " " * (form.width - 1)
            if is_masked and table.is_gate:  # nothing used it
                line.append(text, Style(reverse=is_reversed) + at)
                continue
            color = Style(color="#ffffff", bgcolor=_color(float(value), form.scale), reverse=is_reversed)
            line.append(_fit(format_number(value, form.style), value, form.width - 1), color + at)
        return line

    async def on_click(self, event: events.Click) -> None:
        """Move the cursor to the cell that was clicked; the second of a double click edits."""
        if at := event.style.meta.get("cell"):
            await self.run_action(f"app.act('move_to', ({tuple(at)},))")
            if event.chain == 2:
                await self.run_action("app.edit_number")


def _form(table: NumberTable) -> Form:
    """Return the form of a table: a large table is judged by its first rows."""
    import numpy as np

    rows = len(table.values)
    label = str(rows - 1) if rows > 1 else "t=0"
    wide = longest(_label(table, row) for row in range(rows if table.steps else 0))
    wide = max(wide, len(f"t={max(table.times)}" if table.times else label))
    is_large = table.values.size > 100_000
    values = (table.values[:100] if is_large else table.values).astype(np.float64)
    finite = values[np.isfinite(values)]
    style, ends = choose_style(values, None), (finite.min(initial=0), finite.max(initial=0))
    digits = min(max(DIGITS, *(len(format_number(end, style)) for end in ends)), DIGITS + 1)
    scale = 1.0 if is_large else float(max(map(abs, ends))) or 1.0
    return Form(1 + bool(table.claim) + bool(table.times), wide + 2, 1 + digits, style, scale)


def _label(table: NumberTable, row: int) -> str:
    return step_text(table.times[row], table.steps[row] if table.steps else "")


def _name(table: NumberTable, column: int, digits: int) -> str:
    text = Text(visible(table.names[column]) if table.names else f"{'u' if table.label else 'x'}{column}")
    text.truncate(digits, overflow="ellipsis")
    half = HALVES if table.half and column == table.half else ""
    return f"{half}{' ' * (1 + digits - text.cell_len)}{text.plain}"


def _fit(text: str, value: float, room: int) -> str:
    """Return a number in exactly `room` columns; with an exponent and fewer digits if it needs more."""
    if len(text) > room:
        text = f"{value:.{max(room - len('-0.e-00'), 0)}e}" if value else "0"
    return text.rjust(room)


def _color(value: float, scale: float) -> str:
    """Return orange above zero and blue below it, darker near zero."""
    share = min(abs(value) / scale, 1.0) if value == value else 0.0
    end = POSITIVE if value > 0 else NEGATIVE
    mixed = (round(low + (high - low) * share) for low, high in zip(ZERO, end, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


PATIENCE = 0.3
"""Seconds of work before the screen says that it goes on; at once, the message would only flicker."""
LEAVING = 2.0
"""Seconds for leaving after a signal."""
NAME, NARROW = 13, 60
"""Columns of an option's name, and of a screen that has room for the slider."""
TALL = 30
"""Lines of a screen with more room for numbers, and for a message beside what is under the cursor."""
KEY, COLUMN = 11, 38
"""Widths of a key in the help, and of the key with its meaning."""

COMPUTED = Message("results cannot be edited; press 2 for the input, 3 for the weights, h to hold a gate")
MASK = Message("steps to mask in this sequence, such as 1 or 0, 2: (empty for none)")
FILES = {
    ".json": Message("save as (a new .json file)"),
    ".html": Message("write the page as (a new .html file)"),
}
LINES = ("title", "words", "slider", "equations", "about", "message", "expression", "command", "keys")
"""Ids of the texts on the screen; from the fifth on, they stand below the panes."""

KEYS = (
    Binding("tab", "", "next pane", show=False),
    Binding("shift+tab", "", "previous pane", show=False),
    Binding("Arrows", "", "move; change an option", show=False),
    Binding("enter", "", "toggle, or type a value", show=False),
    Binding("1", "act('show_view', ('results',), 'numbers')", "show the results"),
    Binding("2", "act('show_view', ('input',), 'numbers')", "show the input"),
    Binding("3", "act('show_view', ('weights',), 'numbers')", "show the weights"),
    Binding("4", "act('show_view', ('gates',), 'numbers')", "show the gates and states"),
    Binding("[", "act('step', (-1,))", "previous time step", show=False),
    Binding("]", "act('step', (1,))", "next time step", show=False),
    Binding("b", "act('next_sequence', (1,))", "next sequence of the batch", show=False),
    Binding("B", "act('next_sequence', (-1,))", "previous sequence", show=False),
    Binding("e", "act('show_terms')", "the terms of the equations"),
    Binding("m", "act('mask')", "mask this step, or unmask it"),
    Binding("h", "hold", "hold a gate at a value"),
    Binding("H", "act('release')", "release every held gate"),
    Binding("d", "act('show_difference')", "what the held gates change"),
    Binding("u", "act('undo')", "undo a change"),
    Binding("U", "act('redo')", "redo a change"),
    Binding("s", "save('.json')", "save as a case document"),
    Binding("w", "save('.html')", "write a page for the browser"),
    Binding("c", "copy('command')", "copy the command"),
    Binding("k", "copy('expression')", "copy the Keras expression"),
    Binding("ctrl+p", "", "command palette", show=False),
    Binding("", "change_theme", "change the theme"),
    Binding("?", "show_help", "show the keys"),
    Binding("q", "quit", "leave the explorer"),
)
"""The keys of every pane, in the order of the help.

Without an action, a key belongs to a pane or to Textual; `act` calls a function of state.py.  show: whether
the command palette has it.
"""

Returned = TypeVar("Returned")


class OptionsPane(OptionList):
    """The options of the layer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.step_option(-1)"),
        Binding("right", "app.step_option(1)"),
        Binding("enter,space", "app.change_option"),
    ]
    rows: Sequence[OptionRow] = ()

    @property
    def row(self) -> OptionRow:
        """The row under the cursor."""
        return self.rows[self.highlighted or 0]

    def show(self, rows: Sequence[OptionRow]) -> None:
        """Show rows; the cursor stays on its row, else it goes to the first."""
        names, chosen = [row.name for row in rows], self.row.name if self.rows else ""
        if names != [row.name for row in self.rows]:
            self.clear_options().add_options(Option("", name) for name in names)
            self.highlighted = names.index(chosen) if chosen in names else 0
        self.rows = rows
        for index, row in enumerate(rows):
            value = visible(row.text)
            room = self.size.width - len(value) - 1  # a long value takes the space between it and its name
            prompt = Text(f"{row.name:{min(max(room, len(row.name)), NAME)}} ").append(value, "bold")
            if isinstance(row.value, bool):
                prompt = Text(f"{'[x]' if row.value else '[ ]'} {row.name}")
            if prompt != self.get_option_at_index(index).prompt:
                self.replace_option_prompt_at_index(index, prompt)


class StepPane(VerticalScroll):
    """The equations of the number under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.act('step', (-1,))"),
        Binding("right", "app.act('step', (1,))"),
    ]


class Question(ModalScreen[str | None]):
    """A line to type at the bottom of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss")]

    def __init__(self, question: str, value: str, keys: str) -> None:
        super().__init__()
        self.question, self.value, self.keys = question, value, keys

    def compose(self) -> ComposeResult:
        """Build the lines."""
        with Vertical():
            yield Static(Text(self.question, "bold"))
            yield Input(self.value)
            yield Static(Text(self.keys, "bold"))

    def on_mount(self) -> None:
        """Let the next key go to the line."""
        self.set_focus(self.query_one(Input))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Drop what a terminal would obey from a pasted text."""
        event.input.value = "".join(filter(str.isprintable, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the text."""
        if self.is_current:  # a second Enter may be waiting
            self.dismiss(event.value)


class Help(ModalScreen[None]):
    """The keys and what they do, in as many columns as there is room for."""

    def __init__(self, lang: str) -> None:
        super().__init__()
        self.lang = lang

    def compose(self) -> ComposeResult:
        """Build the page."""
        names = {key.description: key.key.title() if len(key.key) > 1 else key.key for key in KEYS if key.key}
        keys = (
            set_cell_size(say(name, self.lang), KEY) + say(text, self.lang) for text, name in names.items()
        )
        yield ItemGrid(*(Static(Text(key)) for key in keys), min_column_width=COLUMN)
        yield Static(Text("\n".join(["", *(say(text, self.lang) for text in lines.LEGEND)]), "dim"))
        yield Static(Text(say(lines.KEYS["help"], self.lang), "bold"), id="close")

    @on(events.Key)
    @on(events.Click)
    def close(self, event: events.Event) -> None:
        """Close the page."""
        event.stop()
        if self.is_current:  # a second key may be waiting
            self.dismiss()


class ExploreApp(App[None]):
    """A state on the screen."""

    TITLE = "rnncli explore"
    BINDINGS: ClassVar[list[BindingType]] = [key for key in KEYS if key.key and key.action]
    CSS = """
    Screen { overflow: hidden; }
    * {
        scrollbar-size: 1 1; scrollbar-color: $foreground 30%; scrollbar-background: $background;
        link-style: none;
    }
    #title, #rule, #expression, #keys { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #words, #slider { width: auto; }
    #about, #command { max-height: 3; }
    #message { max-height: 6; }
    #upper { height: 46vh; &.-tall { height: 55vh; } }
    #options {
        width: 30%; min-width: 24; max-width: 40; height: 100%; max-height: 100%;
        border: none; padding: 0; background: $background;
        text-wrap: nowrap; text-overflow: ellipsis;
        & > .option-list--option { padding: 0; }
        & > .option-list--option-highlighted {
            color: $foreground; background: $background; text-style: underline;
        }
        &:focus > .option-list--option-highlighted { text-style: reverse; }
    }
    #numbers { width: 1fr; margin-left: 1; background: $background; }
    #step { scrollbar-gutter: stable; }
    #below { dock: bottom; height: auto; }
    Question { background: transparent; Vertical { dock: bottom; height: auto; background: $background; } }
    Input, Input:focus { height: 1; border: none; padding: 0; scrollbar-size: 0 0; }
    Help { background: $background; ItemGrid { height: auto; grid-rows: auto; } }
    #close { dock: bottom; }
    """

    def __init__(self, first: State) -> None:
        super().__init__()
        self.state = first
        self._is_running = False
        self._mounted_all = threading.Event()

    def end(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: leave as `q` does, which restores the terminal; later, leave in any case."""

        def leave() -> None:  # the main thread may wait for a terminal that takes no more text
            self._mounted_all.wait(LEAVING)
            self.exit(return_code=128 + number)
            time.sleep(LEAVING)
            os._exit(128 + number)

        signals.start_in_thread(leave)

    def compose(self) -> ComposeResult:
        """Build the screen."""
        self.layer, self.numbers, self.step = (
            OptionsPane(id="options"),
            NumbersPane(id="numbers"),
            StepPane(id="step"),
        )
        self.lines = {name: Static(id=name) for name in LINES}
        yield self.lines["title"]
        yield Horizontal(self.layer, self.numbers, id="upper")
        yield Horizontal(self.lines["words"], self.lines["slider"], id="rule")
        with self.step:
            yield self.lines["equations"]
        yield Vertical(*(self.lines[name] for name in LINES[4:]), id="below")

    def on_mount(self) -> None:
        """Show the state, and let the keys go to the options."""
        self.show(self.state)
        self.layer.focus()
        self._mounted_all.set()

    async def on_event(self, event: events.Event) -> None:
        """A message stays until the next key or click."""
        if isinstance(event, (events.Key, events.MouseDown)) and self.state.message:
            self.show(replace(self.state, message=""))
        await super().on_event(event)

    def on_resize(self, event: events.Resize) -> None:
        """Lay out the screen anew."""
        self.query_one("#upper").set_class(event.size.height >= TALL, "-tall")
        self.call_after_refresh(lambda: self.show(self.state))

    def show(self, state: State) -> None:
        """Show another state, and start to compute it if that is needed."""
        if (state.view, state.every_term) != (self.state.view, self.state.every_term):
            self.step.scroll_home(animate=False)
        self.state = state
        self.layer.show(options.rows(state.experiment, state.cursor["batch"]))
        self.numbers.show(state)
        self.draw_lines()
        if state.is_waiting and not self._is_running:
            self._is_running = True
            self._catch_up()

    @on(events.DescendantFocus)
    @on(OptionList.OptionHighlighted)
    def draw_lines(self) -> None:
        """Draw what stands around the panes, for the pane and the row under the cursor."""
        now, width, focused = self.state, self.size.width, self.screen_stack[0].focused
        pane = (focused and focused.id) or "options"
        view = View(now.lang, width=width - 1)  # beside the scrollbar
        slider = lines.slider(now, focus=pane == "step") if width >= NARROW else Text()
        words = Text.assemble(("─ ", "dim"), (lines.in_words(now), "bold"), (f" {'─' * width}", "dim"))
        words.truncate(width - slider.cell_len)
        texts: dict[str, RenderableType] = {
            "title": lines.title(now),
            "words": words,
            "slider": slider,
            "equations": draw_page(lines.equations_page(now, view), view),
            **lines.below(now, pane, self.layer.row, width),
        }
        for name, text in texts.items():
            if text != self.lines[name].content:  # else the screen would be laid out anew
                self.lines[name].update(text)
        self.lines["message"].display = says = bool(texts["message"])
        self.lines["about"].display = not says or self.size.height >= TALL

    @work
    async def _catch_up(self) -> None:
        """Compute until the numbers belong to the current experiment; a change that fails is undone."""
        while self.state.is_waiting:
            experiment = self.state.experiment
            try:
                computed = await self._compute(experiment)
            except RnncliError as error:
                self.show(state.give_up(self.state, experiment, error))
            else:
                self.show(state.show(self.state, experiment, computed))
        self._is_running = False

    async def _compute(self, asked: Experiment) -> Computation:
        computation = _start(lambda: experiment.compute_experiment(asked))
        await asyncio.wait([computation], timeout=PATIENCE)
        if not computation.done():
            self.show(replace(self.state, is_slow=True))
        return await computation

    @work
    async def _save(self, name: str, suffix: str, now: Experiment) -> None:
        """Save in a thread, since a large document takes seconds, as does a page."""
        try:
            await _start(lambda: experiment.save(name, suffix, now, self.state.lang))
        except RnncliError as error:
            self.say(describe(error))
        else:
            saved = (now, name) if suffix == ".json" else self.state.saved
            self.show(replace(self.state, saved=saved, message=Message("saved {name}", name=name)))

    def say(self, message: errors.Text) -> None:
        """Show a message."""
        self.show(replace(self.state, message=message))

    async def ask(self, question: errors.Text, value: str, accept: Callable[[str], State | None]) -> None:
        """Ask for a line, which gets the next key.

        accept: returns the next state; raises ValueError if a number is needed.
        """

        def answer(text: str | None) -> None:
            try:
                after = None if text is None else accept(text)
            except ValueError:
                return self.say(Message("{text!r} is not a number", text=text))
            return None if after is None else self.show(after)

        lang = self.state.lang
        texts = visible(say(question, lang)), value, say(lines.KEYS["typing"], lang)
        await self.push_screen(Question(*texts), answer)

    def action_act(self, name: str, values: tuple[Any, ...] = (), focus: str = "") -> None:
        """Show the next state; give the keys to another pane."""
        if focus:
            self.screen.set_focus(self.query_one(f"#{focus}"))  # at once, for the next key
        self.show(getattr(state, name)(self.state, *values))

    async def action_edit_number(self) -> None:
        """Ask for the number under the cursor; in the view of the gates, for a value to hold the gate at."""
        now = self.state
        if now.view == "gates":
            return await self.action_hold()
        if now.is_waiting or now.view == "results":
            return self.say(Message("computing...") if now.is_waiting else COMPUTED)
        tables = state.tables(now)
        table, row, column = state.cell(now, tables)
        value = format_exactly(tables[table].values[row, column])[0]
        question = Message("new value of {name}", name=state.address(now))
        return await self.ask(question, value, lambda typed: state.set_cell(self.state, float(typed)))

    def action_step_option(self, by: int) -> None:
        """Go to the next or the previous value of an option, if it has one."""
        row, batch = self.layer.row, self.state.cursor["batch"]
        if row.next(by) is None:
            return

        def step(now: Experiment) -> Experiment:
            row_now = next((other for other in options.rows(now, batch) if other.name == row.name), None)
            return now if row_now is None else row_now.change(now, row_now.next(by))

        self.show(state.change(self.state, step, reads=row.reads))

    @on(OptionList.OptionSelected)
    async def action_change_option(self) -> None:
        """Toggle a flag, go to the next choice, or ask for a value."""
        row = self.layer.row
        if row.choices:
            return self.action_step_option(1)

        def accept(typed: str) -> State:
            value = row.parse(typed)
            return state.change(self.state, lambda now: row.change(now, value), reads=row.reads)

        questions = {"mask": MASK, "hold": self._hold_question()}
        question = questions.get(row.name) or Message("new value of {name}", name=row.name)
        return await self.ask(question, row.text if row.typed is None else row.typed, accept)

    async def action_hold(self) -> None:
        """Ask for the value at which to hold the gate under the cursor, from this time step on."""
        at, holds = self.state.cursor, self.state.experiment.case.hold
        gate = state.tables(replace(self.state, view="gates"))[at["gates"]].gate
        if not gate:
            return self.say(Message("this cell has no gates to hold"))
        same = (hold for hold in holds if hold.text.partition("=")[0].partition("[")[0].strip() == gate)
        old = next((hold.text for hold in same if at["unit"] in hold.units), None)

        def accept(typed: str) -> State:
            kept = [hold.text for hold in self.state.experiment.case.hold if hold.text != old]
            return state.change(self.state, lambda now: hold_gates(now, SEPARATOR.join([*kept, typed])))

        return await self.ask(
            self._hold_question(), old or f"{gate}[:, {at['unit']}]=1@{at['timestep']}:", accept
        )

    def _hold_question(self) -> Message:
        """Return what to type: an example for a gate of these layers, and what the example does."""
        gate, last = state.tables(replace(self.state, view="gates"))[-1].gate, self.state.last_step
        text = "{example} holds unit 0 at 1 from t={t} on; several with ; or empty"
        return Message(text, example=f"{gate or 'forget'}[:, 0]=1@{last}:", t=last)

    async def action_save(self, suffix: str) -> None:
        """Ask for a file, and save the experiment, or a page of it."""

        def accept(name: str) -> None:
            if name:
                self.say(Message("saving..."))
                self._save(name, suffix, self.state.shown.experiment)

        await self.ask(FILES[suffix], f"experiment{suffix}", accept)

    def action_copy(self, what: str) -> None:
        """Copy the command or the expression."""
        text = self.state.command if what == "command" else self.state.shown.experiment.expression
        if text is not None:
            self.copy_to_clipboard(text)
            self.say(Message("copied"))

    async def action_show_help(self) -> None:
        """Show the keys."""
        await self.push_screen(Help(self.state.lang))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the entries of the command palette."""
        for key in KEYS:
            if key.show:
                text = say(key.description, self.state.lang)
                yield SystemCommand(text, "", partial(self.run_action, key.action))

    def action_command_palette(self) -> None:
        """Show the command palette."""
        if not any(isinstance(screen, CommandPalette) for screen in self.screen_stack):
            text = say("search for a command", self.state.lang)
            self.push_screen(CommandPalette(placeholder=text))


def _start(work: Callable[[], Returned]) -> asyncio.Future[Returned]:
    """Start `work` in a new thread, which does not keep the program from ending."""
    return asyncio.wrap_future(signals.start_in_thread(work))
