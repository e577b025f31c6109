"""The lines around the panes: the views, the time step, the equations, what is under the cursor, the keys."""

from __future__ import annotations

from dataclasses import replace

from rich.style import Style
from rich.text import Text

from rnncli.commands.explain import ExplainAnswer
from rnncli.commands.explore import options
from rnncli.commands.explore.options import TOPICS, OptionRow
from rnncli.commands.explore.state import State, address, explained, timestep
from rnncli.compute.derivation.explanation import Equation
from rnncli.errors import Message
from rnncli.result import Label
from rnncli.show.page import Page, Span, Table, View
from rnncli.show.visible import name_text, visible
from rnncli.show.wording import GATES, STATES, new_state, say, typed
from rnncli.values import format_shape

SLIDER = 16
"""Places on the slider."""

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


def title(state: State) -> Text:
    """Return the views with their keys, the input and the sequence."""
    line, lang, case = Text(), state.lang, state.shown.case
    for name, text in VIEW_NAMES.items():
        style = Style(reverse=name == state.view, dim=name != state.view)
        line.append(
            f" {say(text, lang)} ",
            style + Style(meta={"@click": f"app.act('show_view', ('{name}',), 'numbers')"}),
        )
    line.append(f"  {say('input', lang)} {format_shape(case.inputs.shape)}")
    if len(case.inputs) > 1:
        batch, last = state.cursor["batch"], len(case.inputs) - 1
        line.append(f" · {say('sequence {place} (0-{last})', lang, place=batch, last=last)}")
        if case.names.sequences:
            line.append(f" {visible(case.names.sequences[batch])}")
    return line


def slider(state: State, *, focus: bool) -> Text:
    """Return the time steps, to click on; empty for a number without one."""
    step, last, line = timestep(state), state.last_step, Text()
    if step is None:
        return line
    chosen = round(step / max(last, 1) * (SLIDER - 1))
    ends = {0: (" t=0 ", ""), SLIDER - 1: ("", f" t={last} ")}
    for place in range(SLIDER):
        before, after = ends.get(place, ("", ""))
        action = f"app.act('go_to', ({round(place / (SLIDER - 1) * last)},), 'step')"
        style = Style(reverse=focus, meta={"@click": action})
        line.append(f"{before}{'●' if place == chosen else '━'}{after}", style)
    return line


def in_words(state: State) -> str:
    """Return what the explained number is, `hidden state of unit 0 at t=2`."""
    explanation, lang, trace = explained(state), state.lang, state.shown.trace
    label, at = explanation.target.label, explanation.equations[0].location
    line, is_line = Label(label.part, cell=label.cell, kind="activation"), label.kind is not None
    loops = [loop for loop in trace.trace if loop.layer == at.layer]
    what: object = STATES.get(label.part, label.part)
    if label.part == "candidate" or (is_line and any(loop.bounds.get(line) == (0, 1) for loop in loops)):
        what = GATES.get(label.part, Message("{gate} gate", gate=label.part))
    for loop in loops:
        if is_line and line in loop.new_states:
            what = new_state(loop.new_states[line].part)
    text = Message("{what} of unit {unit}", what=what, unit=at.unit)
    if at.timestep is not None:
        word = name_text(state.shown.case.names.step(at.batch, at.timestep))
        t = f"{at.timestep} ({word})" if word else at.timestep
        text = Message("{what} of unit {unit} at t={t}", what=what, unit=at.unit, t=t)
    answer = state.shown.case.names.answer(explanation.value) if label.part == "hidden" else ""
    several = at.direction and "layer" in trace.specs[at.layer].config
    parts = say(text, lang), say(at.direction, lang) if several else "", name_text(answer)
    return " · ".join(filter(None, parts))


def equations_page(state: State, view: View) -> Page:
    """Return the explained number's equations as `rnncli explain` shows them.

    Without every term, a gate has one line.
    """
    explanation = explained(state)
    if not state.shows_terms:
        short = sorted(map(_shorten, explanation.equations), key=lambda equation: bool(equation.function))
        explanation = replace(explanation, equations=tuple(short))  # the states first
    result = replace(state.shown.trace, specs=state.shown.experiment.case.stack)
    page = ExplainAnswer(explanation, result).page(view)
    is_held = explanation.without_hold is not None and not explanation.equations[0].is_unused
    head = (*page.title, Span("   "), *page.notes[-1]) if is_held else ()  # with the number without --hold
    parts = (part.title if isinstance(part, Table) and not part.rows else part for part in page.parts)
    return Page(head, (), tuple(parts))


def _shorten(equation: Equation) -> Equation:
    few = len(equation.terms) <= len(equation.symbols) and not equation.others
    if equation.note or (few and not equation.function and not equation.reads):
        return equation._replace(remainder=0.0)
    return equation._replace(remainder=0.0, terms=(), reads=(), others=None)


def below(state: State, pane: str, row: OptionRow, width: int) -> dict[str, Text]:
    """Return the lines below the panes: about what is under the cursor, a message, the commands, the keys.

    pane: the pane that gets the keys, options, numbers or step.  row: the option under the cursor.
    """
    lang = state.lang
    unsaved = Message("edited: press s to save it, then the command can be shown")
    command = Text(visible(state.command or say(unsaved, lang)), "dim")
    if command.cell_len > 2 * width:
        command.truncate(width, overflow="ellipsis")
    message = state.message or (Message("computing...") if state.is_slow else "")
    keys = KEYS[state.view if pane == "numbers" else pane]
    return {
        "about": _about(state, pane, row, width),
        "message": Text(visible(say(message, lang)), "bold"),
        "expression": Text(visible(state.shown.experiment.expression), "dim"),
        "command": command,
        "keys": Text(f"{say(keys, lang)}  {say(KEYS['always'], lang)}", "bold"),
    }


def _about(state: State, pane: str, row: OptionRow, width: int) -> Text:
    if pane == "options":
        name = row.name if isinstance(row.value, bool) else f"{row.name} = {row.text}"
        line = Text.assemble((visible(name), "bold"), ": ", say(options.about(row.name), state.lang))
        if row.name in TOPICS:
            more = typed(f"rnncli help {TOPICS[row.name]}", state.lang)
            fits = line.cell_len % width + len(more) + 3 <= width
            line.append(f" · {more}" if fits else f"\n{more}", "dim")
        return line
    kind, target = state.view if pane == "numbers" else "step", explained(state).target
    name = address(state) if pane == "numbers" else target.text
    if kind == "results":
        kind = "sequence" if target.label.sequence else "last" if target.label.last else "output"
        kind = "backward" if kind == "last" and target.label.direction == "backward" else kind
    return Text.assemble((visible(name), "bold"), ": ", say(ABOUT_NUMBERS[kind], state.lang))
