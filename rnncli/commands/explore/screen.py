"""Draw a state: the layer, the numbers and one time step in panes, and the lines above and below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from rnncli.case import Array, format_shape
from rnncli.commands.explain.answer import ExplainAnswer
from rnncli.commands.explore import options
from rnncli.commands.explore.options import OptionRow
from rnncli.commands.explore.state import (
    HALVES,
    HELD,
    MASKED,
    Cell,
    NumberTable,
    State,
    TypedLine,
    cell,
    explained,
    tables,
    timestep,
)
from rnncli.compute.derivation.explanation import Equation, Explanation, Term
from rnncli.errors import Message
from rnncli.errors import Text as Words
from rnncli.result import Result
from rnncli.show.formats.table import draw_lines
from rnncli.show.numerals import choose_style, format_number
from rnncli.show.page import Page, View
from rnncli.show.visible import visible
from rnncli.show.wording import NOT_COMPUTED, say

OPTIONS = (29, 40)
"""The least and the largest width of the layer pane."""
STEP = 10
"""The least height of the step pane, if there is room."""
NAME = 16
SLIDER, BEFORE_SLIDER = 20, 18
"""Columns of the slider, and before it."""
COMMAND_LINES, MESSAGE_LINES = 2, 3
KEY, TWO_COLUMNS = 11, 76
"""Columns of the keys in the help, and the width in which it has two columns."""

VIEW_NAMES = {
    "results": Message("{key} results", key=1),
    "input": Message("{key} input", key=2),
    "weights": Message("{key} weights", key=3),
    "gates": Message("{key} gates", key=4),
}
KEYS = Message("Tab pane  1-4 view  Enter edit  [ ] time  h hold  u undo  ? help  q quit")
TYPING_KEYS = Message("Enter accept  Esc cancel")
ANY_KEY = Message("Any key closes this page.")
COLORS = Message("Colors: orange is positive, blue is negative; darker is nearer to zero.")

LABEL = 8
"""Columns before the numbers: a row's time step, whether it is masked, and whether the first is hidden."""
WIDTH = 10
"""Columns of a number: the cursor or the boundary of the halves, eight digits, and a mark."""
LEFT, RIGHT, ABOVE, BELOW = "◀▶▲▼"
"""There are more numbers, or options, in that direction."""
POSITIVE, ZERO, NEGATIVE = (180, 83, 9), (24, 28, 36), (37, 99, 190)


class Region(NamedTuple):
    """Part of the screen, in columns and lines."""

    x: int
    y: int
    width: int
    height: int

    def contains(self, x: int, y: int) -> bool:
        """Return whether a point is inside."""
        return 0 <= x - self.x < self.width and 0 <= y - self.y < self.height


def draw(state: State) -> Text:
    """Return the whole screen; the last line always lists keys."""
    width, height = state.size
    below = _lines_below(state)
    if state.help:
        lines = [Text(), *_help_lines(state)]
    else:
        where = panes(state)
        upper = where["numbers"].height
        left, right = _option_lines(state, where["options"]), draw_numbers(state)
        lines = [_title(state)]
        for place in range(upper):
            line = left[place] if place < len(left) else Text(" " * where["options"].width)
            lines.append(line + Text(" ") + right[place].text if place < len(right) else line)
        lines += _step_lines(state, where["step"])
    room = max(height - len(below), 0)
    lines = lines[:room] + [Text()] * (room - len(lines)) + below
    for line in lines:
        line.truncate(max(width, 1), overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines[len(lines) - height :])


def panes(state: State) -> dict[str, Region]:
    """Return where each pane is."""
    width, height = state.size
    room = max(height - 1 - len(_lines_below(state)), 0)
    step = min(max(STEP, room * 2 // 5), room // 2)
    left = min(max(width * 36 // 100, OPTIONS[0]), OPTIONS[1], width)
    return {
        "options": Region(0, 1, left, room - step),
        "numbers": Region(left + 1, 1, max(width - left - 1, 1), room - step),
        "step": Region(0, 1 + room - step, width, step),
    }


def _title(state: State) -> Text:
    """Return the views with their keys, the input, the sequence and, if it fits, the seed."""
    line, lang = Text(), state.lang
    for name, text in VIEW_NAMES.items():
        line.append(f" {say(text, lang)} ", "reverse" if name == state.view else "dim")
    case = state.shown.case
    line.append(f"  {say('input', lang)} {format_shape(case.inputs.shape)}")
    if len(case.inputs) > 1:
        place, last = state.cursor.batch, len(case.inputs) - 1
        line.append(f" · {say('sequence {place} (0-{last})', lang, place=place, last=last)}")
    seed = Text("" if case.seed is None else f" · {say('seed', lang)} {case.seed}")
    return line + seed if line.cell_len + seed.cell_len <= state.size[0] else line


def _lines_below(state: State) -> list[Text]:
    """Return the lines below the panes: the expression, the command, a message or a typed line, the keys."""
    width, lang = state.size[0], state.lang
    unsaved = Message("edited: press s to save it, then the command can be shown")
    lines = [Text(visible(state.shown.experiment.expression), "dim")]
    lines += _wrap(visible(state.command or say(unsaved, lang)), width, COMMAND_LINES)
    keys = KEYS
    if state.help:
        lines, keys = [Text(say(COLORS, lang), "dim")], ANY_KEY
    elif state.typed is not None:
        lines += [
            *_wrap(_write(state.typed.question, lang), width, MESSAGE_LINES),
            _typed_line(state.typed, width),
        ]
        keys = TYPING_KEYS
    else:
        message = state.message or (Message("computing...") if state.is_slow else "")
        lines += _wrap(_write(message, lang), width, MESSAGE_LINES)
    return [*lines, Text(say(keys, lang), "dim")]


def _write(words: Words, lang: str) -> str:
    return visible(say(words, lang))


def _wrap(words: str, width: int, most: int) -> list[Text]:
    """Return the lines of a text, at most `most`; one that takes more is cut to one line."""
    text = Text(words, "bold")
    lines = list(text.wrap(Console(width=max(width, 1)), max(width, 1))) if words else []
    return lines if len(lines) <= most else [text]


def _typed_line(typed: TypedLine, width: int) -> Text:
    """Return the part of the line around its caret; all of it reversed if a character would replace it."""
    text, caret = visible(typed.text), len(visible(typed.text[: typed.caret]))
    begin = 0
    while cell_len(text[begin:caret]) > max(width - 4, 1):
        begin += 1
    line = Text("> ").append(text[begin:], "reverse" if typed.is_new else "")
    if not typed.is_new:
        line.append(" ")
        line.stylize("reverse", 2 + caret - begin, 3 + caret - begin)
    return line


def _help_lines(state: State) -> list[Text]:
    """Return the keys and what they do, in two columns if there is room."""
    lines = [Text(f"{key:{KEY}}{say(text, state.lang)}") for key, text in state.help]
    width = state.size[0]
    if width < TWO_COLUMNS:
        return lines
    half = -(-len(lines) // 2)
    for line, other in zip(lines[:half], [*lines[half:], Text()], strict=False):
        line.truncate(width // 2, pad=True)
        line.append_text(other)
    return lines[:half]


def option_place(state: State, rows: Sequence[OptionRow]) -> int:
    """Return the index of the option under the cursor; of the first if there is no such option."""
    names = [row.name for row in rows]
    return names.index(state.option) if state.option in names else 0


def first_option(state: State, rows: Sequence[OptionRow]) -> int:
    """Return the index of the option in the first line of its pane."""
    height = max(panes(state)["options"].height, 1)
    return max(min(option_place(state, rows) - height // 2, len(rows) - height), 0)


def _option_lines(state: State, pane: Region) -> list[Text]:
    """Return the options around the cursor."""
    rows = options.rows(state.experiment, state.cursor.batch)
    top, chosen = first_option(state, rows), option_place(state, rows)
    shown = range(top, min(top + pane.height, len(rows)))
    lines = []
    for place in shown:
        row, text = rows[place], visible(rows[place].text)
        width = max(pane.width - 1, 1)
        if isinstance(row.value, bool):
            line = Text(f"{'[x]' if row.value else '[ ]'} {row.name}")
        else:
            room = width - len(text) - 1  # a long value takes the space between it and its name
            line = Text(f"{row.name:{min(max(room, len(row.name)), NAME)}} ").append(text, "bold")
        line.truncate(width, overflow="ellipsis", pad=True)
        if place == chosen:
            line.stylize("reverse" if state.focus == "options" else "underline")
        is_first, is_last = place == top > 0, place == shown[-1] < len(rows) - 1
        lines.append(line.append(ABOVE if is_first else BELOW if is_last else " ", "dim"))
    return lines


class NumberLine(NamedTuple):
    """A line of the pane of numbers, and the cell at its start."""

    text: Text
    start: Cell


def draw_numbers(state: State) -> list[NumberLine]:
    """Draw the lines of the view's tables around the cursor."""
    shown, pane, focus = tables(state), panes(state)["numbers"], state.focus == "numbers"
    cursor, width, height = cell(state, shown), pane.width, pane.height
    room = max((width - LABEL - 1) // WIDTH, 1)
    starts = [0]
    for table in shown:
        starts.append(starts[-1] + _headings(table) + len(table.values))
    start = starts[cursor.table]
    line_of_cursor = start + _headings(shown[cursor.table]) + cursor.row
    top = _window(line_of_cursor, starts[-1], height)
    if top and line_of_cursor - start < height:
        top = max(min(top, start), line_of_cursor - height + 1)  # keep the title visible
    lines: list[NumberLine] = []
    for number, table in enumerate(shown):
        begin = _window(cursor.column if number == cursor.table else 0, table.values.shape[1], room)
        columns = range(begin, min(begin + room, table.values.shape[1]))
        for at in range(max(top, starts[number]), min(top + height, starts[number + 1])):
            row = at - starts[number] - _headings(table)
            if row >= 0:
                here = (number, row) == cursor[:2]
                line = _draw_row(table, row, columns, cursor.column if here else -1, focus=focus)
            elif row == -_headings(table):
                line = Text.assemble(
                    (visible(table.title), "bold"), (f" {say(table.note, state.lang)}", "dim")
                )
            else:
                line = Text(" " * LABEL + "".join(_name(table, column) for column in columns), "dim")
            line.truncate(width, overflow="ellipsis")
            if row >= 0 and columns.stop < table.values.shape[1]:
                _mark_end(line, RIGHT, width)
            lines.append(NumberLine(line, Cell(number, row, begin)))
    if lines and top:
        _mark_end(lines[0].text, ABOVE, width)
    if lines and top + height < starts[-1]:
        _mark_end(lines[-1].text, BELOW, width)
    return lines


def cell_at(state: State, x: int, y: int) -> Cell | None:
    """Return the cell at a point of the pane of numbers; None if there is none."""
    lines = draw_numbers(state)
    if not 0 <= y < len(lines) or x < LABEL:
        return None
    place = lines[y].start
    column = place.column + (x - LABEL) // WIDTH
    inside = place.row >= 0 and column < tables(state)[place.table].values.shape[1]
    return place._replace(column=column) if inside else None


def _headings(table: NumberTable) -> int:
    """Return the lines above the numbers: the title, and the names of the columns of a sequence."""
    return 2 if table.times else 1


def _window(index: int, size: int, room: int) -> int:
    """Return the first of `room` places that has `index` near its middle."""
    return max(min(index - room // 2, size - room), 0)


def _name(table: NumberTable, column: int) -> str:
    """Return the heading of a column: a feature by its name, a unit by its number."""
    text = Text(visible(table.names[column]) if table.names else f"{'u' if table.label else 'x'}{column}")
    text.truncate(WIDTH - 2, overflow="ellipsis")
    between = HALVES if table.half and column == table.half else " "
    return f"{between}{' ' * (WIDTH - 2 - text.cell_len)}{text.plain} "


def _draw_row(table: NumberTable, row: int, columns: range, chosen: int, *, focus: bool) -> Text:
    """Draw one row.  chosen: the column under the cursor, -1 if it is on another row."""
    label = f"t={table.times[row]}" if table.times else str(row) if len(table.values) > 1 else ""
    mark = MASKED if table.masked and table.masked[row] else " "
    hidden = LEFT if columns.start else " "
    line = Text(f"{label:{LABEL - 2}}{mark}{hidden}", "dim")
    style, scale = choose_style(table.values[:, columns.start : columns.stop], None), _scale(table.values)
    for column in columns:
        value = table.values[row, column]
        held = HELD if table.held is not None and table.held[row, column] else " "
        here = column == chosen
        between = "▸" if here else HALVES if table.half and column == table.half else " "
        line.append(between, "bold" if here and focus else "dim")
        color = Style(color="#ffffff", bgcolor=_color(float(value), scale), reverse=here and focus)
        line.append(_fit(format_number(value, style), value, WIDTH - 2) + held, color)
    return line


def _mark_end(line: Text, mark: str, width: int) -> None:
    """Put a mark in the last column, to show that there is more in that direction."""
    if line.plain.endswith(RIGHT):
        line.right_crop()
    line.truncate(width - 1, overflow="ellipsis", pad=True)
    line.append(mark, "dim")


def _fit(text: str, value: float, room: int) -> str:
    """Return a number in exactly `room` columns; with an exponent and fewer digits if it is longer."""
    if len(text) > room:
        text = f"{value:.{max(room - len('-0.e-00'), 0)}e}" if value else "0"
    return text.rjust(room)


def _scale(values: Array) -> float:
    """Return the largest magnitude of a small table; of a large one, 1, the bound of most states."""
    import numpy as np

    if values.size > 100_000:
        return 1.0
    finite = np.abs(values.astype(np.float64))
    return float(np.max(finite, where=np.isfinite(finite), initial=0.0)) or 1.0


def _color(value: float, scale: float) -> str:
    """Return orange above zero and blue below it, darker near zero."""
    share = min(abs(value) / scale, 1.0) if value == value else 0.0
    end = POSITIVE if value > 0 else NEGATIVE
    mixed = (round(low + (high - low) * share) for low, high in zip(ZERO, end, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _step_lines(state: State, pane: Region) -> list[Text]:
    """Return the slider of the time steps, and the equations of the number under the cursor."""
    if pane.height < 2:
        return []
    target, step = explained(state).target, timestep(state)
    name = f"{visible(target.name)} · {say('unit', state.lang)} {target.indices[-1]}"
    head = Text(name, "dim")
    if step is not None:
        last = state.shown.case.inputs.shape[1] - 1
        filled = round(step / max(last, 1) * (SLIDER - 1))
        slider = f"◀ {'━' * filled}●{'━' * (SLIDER - 1 - filled)} ▶"
        head = Text(f"t={step} (0-{last})".ljust(BEFORE_SLIDER - 2), "bold")
        head.append(slider, "reverse" if state.focus == "step" else "").append(f"  {name}", "dim")
    top = min(state.scroll, last_scroll(state))
    equations = equation_lines(state)[top : top + pane.height - 2]
    return [Text("─" * pane.width, "dim"), head, *(line.copy() for line in equations)]


def last_scroll(state: State) -> int:
    """Return how far the equations can scroll."""
    return max(len(equation_lines(state)) - max(panes(state)["step"].height - 2, 1), 0)


def equation_lines(state: State) -> list[Text]:
    """Return the equations of the number under the cursor: one or two lines each, or with every term."""
    found, lang = explained(state), state.lang
    lines = []
    if found.without_hold is not None:
        without = say("without --hold: {value}", lang, value=_number(found.without_hold))
        lines.append(
            Text.assemble((found.target.text, "bold"), f" = {_number(found.value)}   ", (without, "dim"))
        )
    if state.every_term or found.equations[0].function:
        return lines + _full_lines(found, state.shown.result, View(lang, width=state.size[0]))
    direction = found.equations[0].place.direction
    for equation in sorted(found.equations, key=lambda one: bool(one.function)):  # the states first
        if equation.place.direction != direction:
            direction = equation.place.direction
            lines.append(Text(say(direction, lang), "dim"))
        lines += _short_lines(equation, lang)
    return lines


@lru_cache(maxsize=2)
def _full_lines(found: Explanation, result: Result, view: View) -> list[Text]:
    """Return the equations as `rnncli explain` shows them."""
    return draw_lines(Page((), (), ExplainAnswer(found, result).page(view).parts), view)


def _short_lines(equation: Equation, lang: str) -> Iterator[Text]:
    """Yield `cell = forget · previous cell + input · candidate`, in names, and in numbers below them."""
    name = equation.name.partition("[")[0].replace("candidate.", "").replace("returned", "output")
    value = _number(equation.value)
    if equation.note is not None:
        times = {"t": equation.place.timestep, "before": equation.note.timestep}
        sentence = say(NOT_COMPUTED[equation.note.kind], lang, **times)
        yield Text.assemble((name, "bold"), f" = {value}   ", (sentence, "dim"))
    elif equation.is_held:
        yield Text.assemble((name, "bold"), " = ", say("held at {value}", lang, value=value))
    elif equation.function or len(equation.terms) > len(equation.symbols):
        symbols = " + ".join(equation.symbols)
        if equation.function:
            symbols = f"{equation.function}({symbols}) = {equation.function}({_number(equation.total)})"
        yield Text.assemble((name, "bold"), f" = {symbols} = ", (value, "bold"))
    else:
        names = " + ".join(visible(_names(term, lang)) for term in equation.terms)
        products = (" · ".join(_number(factor.value) for factor in term.factors) for term in equation.terms)
        yield Text.assemble((name, "bold"), f" = {names}")
        yield Text.assemble(" " * len(name), f" = {' + '.join(products)} = ", (value, "bold"))


def _names(term: Term, lang: str) -> str:
    return " · ".join(say(factor.shown, lang) if factor.shown else factor.name for factor in term.factors)


def _number(value: float) -> str:
    """Return four decimals, or an exponent where they would say nothing."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e5 or value != value
    return f"{value:z.4f}" if plain else f"{value:.4e}"
