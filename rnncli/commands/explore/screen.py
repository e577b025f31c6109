"""Draw a state: the layer, the numbers and one time step in panes, and the lines above and below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rnncli.case import format_shape
from rnncli.commands.explain.answer import ExplainAnswer, name_of
from rnncli.commands.explore import options
from rnncli.commands.explore.number_pane import ABOVE, BELOW, draw_numbers, first_row, mark_end
from rnncli.commands.explore.options import TOPICS, OptionRow
from rnncli.commands.explore.state import (
    State,
    TypedLine,
    address,
    explained,
    timestep,
)
from rnncli.compute.derivation.explanation import Equation, Explanation, Factor
from rnncli.errors import Message
from rnncli.result import Label, Result
from rnncli.show.formats.table import draw_lines
from rnncli.show.page import Page, View
from rnncli.show.visible import visible
from rnncli.show.wording import GATES, NOT_COMPUTED, STATES, new_state, say, typed

OPTIONS = (24, 40)
"""The least and the largest width of the layer pane."""
UPPER = 11
"""Lines of the panes above the step pane at the usual 24 lines: every tensor of an LSTM."""
NAME = 13
SLIDER, NARROW = 16, 60
"""Columns of the slider, and of a screen that has room for it."""
MESSAGE_LINES = 3
TALL = 30
"""Lines of a screen that shows a message without hiding what is under the cursor."""
KEY, TWO_COLUMNS = 11, 76
"""Columns of the keys in the help, and the width in which it has two columns."""

VIEW_NAMES = {
    "results": Message("{key} results", key=1),
    "input": Message("{key} input", key=2),
    "weights": Message("{key} weights", key=3),
    "gates": Message("{key} gates", key=4),
}
KEYS = {
    "options": Message("↑↓ choose  ←→ Enter change  Tab numbers"),
    "results": Message("↑↓←→ move  m mask this step  Tab equations"),
    "input": Message("↑↓←→ move  Enter edit  m mask  Tab equations"),
    "weights": Message("↑↓←→ move  Enter edit  Tab equations"),
    "gates": Message("↑↓←→ move  Enter hold  m mask  Tab equations"),
    "step": Message("←→ time  ↑↓ scroll  e terms  Tab options"),
    "always": Message("1-4 view  u undo  ? help  q quit"),
    "typing": Message("Enter accept  Esc cancel"),
    "help": Message("Any key closes this page."),
}
"""What can be pressed, by the pane or the view."""
LEGEND = (
    Message("Colors: orange is positive, blue is negative; darker is nearer to zero."),
    Message("Marks: • changed last, from here to the right; / masked step; * held."),
    Message("W, U, b: kernel, recurrent kernel and bias. Each gate has its own: press 3."),
    Message(
        "To read more: rnncli help TOPIC, one of {topics}.", topics=", ".join(dict.fromkeys(TOPICS.values()))
    ),
)
ABOUT_NUMBERS = {
    "input": Message("a number of the input; Enter types another one"),
    "weights": Message("a weight; Enter types another one"),
    "gates": Message("Enter sets a gate to a value from this step on"),
    "step": Message("e shows every term, or only the sums"),
    "sequence": Message("one row per time step, one column per unit"),
    "output": Message("only the last time step; return_sequences returns all"),
    "last": Message("the last state, because of return_state"),
    "backward": Message("this half reads t=0 last"),
}
"""What is said of the number under the cursor, by the view; in the view of the results, by the tensor."""


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
        legend = [line for text in LEGEND for line in _wrap(Text(say(text, state.lang), "dim"), width, 2)]
        lines = [Text(), *_help_lines(state), Text(), *legend]
    else:
        where = panes(state)
        empty, numbers = Text(" " * where["options"].width), where["numbers"]
        left = _option_lines(state, where["options"])
        right = [Text(" ") + line.text for line in draw_numbers(state, numbers.width, numbers.height)]
        both = zip_longest(left, right, [None] * numbers.height)
        lines = [_title(state), *((option or empty) + (row or Text()) for option, row, _ in both)]
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
    upper = UPPER + (height - 24) * 3 // 4 if height >= 24 else min(max((height - 5) // 2, 0), room)
    left = min(max(width * 30 // 100, OPTIONS[0]), OPTIONS[1], width)
    return {
        "options": Region(0, 1, left, upper),
        "numbers": Region(left + 1, 1, max(width - left - 1, 1), upper),
        "step": Region(0, 1 + upper, width, room - upper),
    }


def _title(state: State) -> Text:
    """Return the views with their keys, the input and the sequence."""
    line, lang = Text(), state.lang
    for name, text in VIEW_NAMES.items():
        line.append(f" {say(text, lang)} ", "reverse" if name == state.view else "dim")
    case = state.shown.case
    line.append(f"  {say('input', lang)} {format_shape(case.inputs.shape)}")
    if len(case.inputs) > 1:
        batch, last = state.cursor.batch, len(case.inputs) - 1
        line.append(f" · {say('sequence {place} (0-{last})', lang, place=batch, last=last)}")
        if case.sequence_names:
            line.append(f" {visible(case.sequence_names[batch])}")
    return line


def _lines_below(state: State) -> list[Text]:
    """Return the lines below the panes: about what is under the cursor, or a message; commands; keys."""
    width, lang = state.size[0], state.lang
    if state.help:
        return [Text(say(KEYS["help"], lang), "bold")]
    unsaved = Message("edited: press s to save it, then the command can be shown")
    command = Text(visible(state.command or say(unsaved, lang)), "dim")
    typed = state.typed
    words = typed.question if typed else state.message or (Message("computing...") if state.is_slow else "")
    text = Text(visible(say(words, lang)), "bold")
    pane = state.view if state.focus == "numbers" else state.focus
    keys = say(KEYS["typing"], lang) if typed else f"{say(KEYS[pane], lang)}  {say(KEYS['always'], lang)}"
    return [
        *(_about_lines(state) if not words or state.size[1] >= TALL else []),
        *(_wrap(text, width, MESSAGE_LINES) if words else []),
        *([_typed_line(typed, width)] if typed else []),
        Text(visible(state.shown.experiment.expression), "dim"),
        *([command] if command.cell_len > 2 * width else _wrap(command, width, 2)),
        Text(keys, "bold"),
    ]


def _about_lines(state: State) -> list[Text]:
    """Return what the row or the number under the cursor means, and where to read more about a row."""
    width, more = state.size[0], ""
    if state.focus == "options":
        rows, chosen = choose_option(state)
        row = rows[chosen]
        name = row.name if isinstance(row.value, bool) else f"{row.name} = {row.text}"
        text = options.about(row.name)
        more = typed(f"rnncli help {TOPICS[row.name]}", state.lang) if row.name in TOPICS else ""
    else:
        kind, target = state.view if state.focus == "numbers" else "step", explained(state).target
        name = address(state) if state.focus == "numbers" else target.text
        if kind == "results":
            kind = "sequence" if target.label.sequence else "last" if target.label.last else "output"
            kind = "backward" if kind == "last" and target.label.direction == "backward" else kind
        text = ABOUT_NUMBERS[kind]
    about = Text.assemble((visible(name), "bold"), ": ", say(text, state.lang))
    lines = _wrap(about, width, MESSAGE_LINES)
    if more and lines[-1].cell_len + len(more) + 3 <= width:
        lines[-1].append(f" · {more}", "dim")
    elif more:
        lines.append(Text(more, "dim"))
    return lines


def _wrap(text: Text, width: int, most: int) -> list[Text]:
    """Return the first `most` lines of a text."""
    lines = list(text.wrap(Console(width=max(width, 1)), max(width, 1)))
    if len(lines) > most:
        lines = lines[:most]
        lines[-1].append("…")
    return lines


def _typed_line(typed: TypedLine, width: int) -> Text:
    """Return the part of the line around its caret; reversed if a character would replace the whole text."""
    text, caret = visible(typed.text), len(visible(typed.text[: typed.caret]))
    begin = 0
    while cell_len(text[begin:caret]) > max(width - 4, 1):
        begin += 1
    line = Text("> ").append(text[begin:], "reverse" if typed.is_new else "")
    if not typed.is_new:
        line.append(" ")
        line.stylize("reverse", 2 + caret - begin, 3 + caret - begin)
    return line


def _help_line(key: str, text: str) -> Text:
    line = Text(key)
    line.truncate(KEY, pad=True)
    return line.append(text)


def _help_lines(state: State) -> list[Text]:
    """Return the keys and what they do, in two columns if there is room."""
    lines = [_help_line(say(key, state.lang), say(text, state.lang)) for key, text in state.help]
    width = state.size[0]
    if width < TWO_COLUMNS:
        return lines
    half = -(-len(lines) // 2)
    for line, other in zip(lines[:half], [*lines[half:], Text()], strict=False):
        line.truncate(width // 2, pad=True)
        line.append_text(other)
    return lines[:half]


def choose_option(state: State) -> tuple[list[OptionRow], int]:
    """Return the rows of the options, and the index of the row under the cursor, else 0."""
    rows = options.rows(state.experiment, state.cursor.batch)
    names = [row.name for row in rows]
    return rows, names.index(state.option) if state.option in names else 0


def _option_lines(state: State, pane: Region) -> list[Text]:
    """Return the options around the cursor."""
    rows, chosen = choose_option(state)
    top = first_row(chosen, len(rows), pane.height)
    shown = range(top, min(top + pane.height, len(rows)))
    lines = []
    for index in shown:
        row, text = rows[index], visible(rows[index].text)
        width = max(pane.width - 1, 1)
        if isinstance(row.value, bool):
            line = Text(f"{'[x]' if row.value else '[ ]'} {row.name}")
        else:
            room = width - len(text) - 1  # a long value takes the space between it and its name
            line = Text(f"{row.name:{min(max(room, len(row.name)), NAME)}} ").append(text, "bold")
        line.truncate(width, overflow="ellipsis", pad=True)
        if index == chosen:
            line.stylize("reverse" if state.focus == "options" else "underline")
        is_first, is_last = index == top > 0, index == shown[-1] < len(rows) - 1
        lines.append(line.append(ABOVE if is_first else BELOW if is_last else " ", "dim"))
    return lines


def _step_lines(state: State, pane: Region) -> list[Text]:
    """Return a rule with the number under the cursor in words and its time step, then its equations."""
    if pane.height < 1:
        return []
    step, last = timestep(state), state.shown.case.inputs.shape[1] - 1
    slider = Text()
    if step is not None and pane.width >= NARROW:
        filled = round(step / max(last, 1) * (SLIDER - 1))
        slider.append(f" t=0 {'━' * filled}●{'━' * (SLIDER - 1 - filled)} t={last} ")
        slider.stylize("reverse" if state.focus == "step" else "")
    head = Text.assemble(("─ ", "dim"), (f"{_in_words(state)} ", "bold"))
    head.truncate(max(pane.width - slider.cell_len - 1, 0), overflow="ellipsis")
    head.append("─" * (pane.width - slider.cell_len - head.cell_len - 1), "dim")
    head.append_text(slider).append("─", "dim")
    lines, top = equation_lines(state), min(state.scroll, last_scroll(state))
    shown = [line.copy() for line in lines[top : top + pane.height - 1]]
    if shown and top:
        mark_end(shown[0], ABOVE, pane.width)
    if shown and top + len(shown) < len(lines):
        mark_end(shown[-1], BELOW, pane.width)
    return [head, *shown]


def _in_words(state: State) -> str:
    """Return what the explained number is, `hidden state of unit 0 at t=2`."""
    explanation, lang = explained(state), state.lang
    label, location = explanation.target.label, explanation.equations[0].location
    line = Label(label.part, cell=label.cell, kind="activation")
    loops = [loop for loop in state.shown.trace.trace if loop.layer == location.layer]
    is_gate = label.kind is not None and any(loop.bounds.get(line) == (0.0, 1.0) for loop in loops)
    what: object = STATES.get(label.part, label.part)
    if is_gate or label.part == "candidate":
        what = GATES.get(label.part, Message("{gate} gate", gate=label.part))
    new = [loop.new_states[line] for loop in loops if line in loop.new_states]
    if new and label.kind is not None:
        what = new_state(new[0].part)
    text = Message("{what} of unit {unit}", what=what, unit=location.unit)
    if location.timestep is not None:
        text = Message("{what} of unit {unit} at t={t}", what=what, unit=location.unit, t=location.timestep)
    several = location.direction and "layer" in state.shown.trace.specs[location.layer].config
    return f"{say(text, lang)} · {say(location.direction, lang)}" if several else say(text, lang)


def last_scroll(state: State) -> int:
    """Return how far the equations can scroll."""
    return max(len(equation_lines(state)) - max(panes(state)["step"].height - 1, 1), 0)


def equation_lines(state: State) -> list[Text]:
    """Return the equations of the number under the cursor: one or two lines each, or with every term."""
    explanation, lang = explained(state), state.lang
    equations, lines = explanation.equations, []
    if explanation.without_hold is not None and not equations[0].is_unused:
        value = f" = {_number(explanation.value)}   "
        without = say("without --hold: {value}", lang, value=_number(explanation.without_hold))
        lines.append(Text.assemble((explanation.target.text, "bold"), value, (without, "dim")))
    if state.shows_terms:
        return lines + _full_lines(explanation, state.shown.result, View(lang, width=state.size[0]))
    steps = list(dict.fromkeys(map(_step_of, equations)))
    order = sorted(  # step by step, the states first
        equations, key=lambda equation: (steps.index(_step_of(equation)), bool(equation.function))
    )
    unit, shown = equations[0].location.unit, steps[0]
    for equation in order:
        direction, time = _step_of(equation)
        if (direction, time) != shown:
            words = [say(direction, lang)] if direction != shown[0] else []
            words += [f"t={time}"] if time != shown[1] else []
            lines.append(Text(" · ".join(words), "dim"))
            shown = direction, time
        of_unit = "" if equation.location.unit == unit else f"[{equation.location.unit}]"
        name = name_of(equation, explanation).partition("[")[0] + of_unit
        lines += _short_lines(equation, name, lang, state.size[0])
    return lines


def _step_of(equation: Equation) -> tuple[str, int | None]:
    return equation.location.direction, equation.location.timestep


@lru_cache(maxsize=2)
def _full_lines(explanation: Explanation, result: Result, view: View) -> list[Text]:
    """Return the equations as `rnncli explain` shows them."""
    return draw_lines(Page((), (), ExplainAnswer(explanation, result).page(view).parts), view)


def _short_lines(equation: Equation, name: str, lang: str, width: int) -> Iterator[Text]:
    """Yield `cell = forget · previous cell + input · candidate = ...`, with the numbers below if it is long.

    name: the left side of the equation.
    """
    value = _number(equation.value)
    if equation.note is not None:
        times = {"t": equation.location.timestep, "before": equation.note.timestep}
        sentence = say(NOT_COMPUTED[equation.note.kind], lang, **times)
        shown = "" if equation.is_unused else f" = {value}"
        yield Text.assemble((name, "bold"), f"{shown}   ", (sentence, "dim"))
    elif equation.is_held:
        yield Text.assemble((name, "bold"), " = ", say("held at {value}", lang, value=value))
    elif equation.function or equation.reads or len(equation.terms) > len(equation.symbols):
        formula = f" = {equation.formula}" if equation.formula != equation.name else ""
        if equation.function:
            formula += f" = {equation.function}({_number(equation.total)})"
        elif equation.reads:
            formula += f" ({', '.join(_number(factor.value) for factor in equation.reads)})"
        yield Text.assemble((name, "bold"), f"{formula} = ", (value, "bold"))
    else:
        names = _join(equation, lambda factor: visible(_name(factor, lang)))
        first = Text.assemble((name, "bold"), f" = {names}")
        products = _join(equation, lambda factor: _number(factor.value))
        second = Text.assemble(f" = {products} = ", (value, "bold"))
        if first.cell_len + second.cell_len <= width:
            yield first + second
        else:
            yield first
            yield Text(" " * len(name)) + second


def _join(equation: Equation, text: Callable[[Factor], str]) -> str:
    """Return the terms of an equation, `a · b - c`.  text: returns the text of a factor."""
    terms = (
        ("- " if term.is_subtracted else "+ ") + " · ".join(map(text, term.named)) for term in equation.terms
    )
    return " ".join(terms).removeprefix("+ ")


def _name(factor: Factor, lang: str) -> str:
    return say(factor.shown, lang) if factor.shown else factor.name


def _number(value: float) -> str:
    """Return a number with four decimals, or with an exponent if it is very large or small."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e5 or value != value
    return f"{value:z.4f}" if plain else f"{value:.4e}"
