"""The state of the explorer, a plain value, and what it shows; keys.py gives the next state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rnncli.ask.described import note_missing
from rnncli.case import Array, format_shape
from rnncli.commands.explore import command_text
from rnncli.commands.explore.experiment import Change, Computation, Experiment, explain, set_number
from rnncli.compute.derivation.explanation import Explanation, Target
from rnncli.errors import Message, RnncliError, Text, join
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import Label, LoopTrace, NamedTensor, Result
from rnncli.show.wording import brief, new_state, say

VIEWS = {
    "results": ("tensor", "timestep", "unit"),
    "input": ("", "timestep", "feature"),
    "weights": ("weight", "row", "column"),
    "gates": ("part", "timestep", "unit"),
}
"""The fields of the cursor that choose a table, a row and a column of each view."""

HELD, CHANGED, MASKED, HALVES = "*", "•", "/", "│"
"""Marks of a held number, a number that the last change changed, a masked step, and the backward half."""


@dataclass(frozen=True)
class Cursor:
    """The selected indices.

    batch: the sequence.  timestep, feature: the number in the input.
    tensor, unit: the returned tensor, and the number on its last axis.
    weight, row, column: the weight, and the number in it.
    part: the gate or state in the trace.
    """

    batch: int = 0
    timestep: int = 0
    unit: int = 0
    feature: int = 0
    tensor: int = 0
    weight: int = 0
    row: int = 0
    column: int = 0
    part: int = 0


class TypedLine(NamedTuple):
    """A line that is being typed.

    caret: where the next character goes.  is_new: whether a character replaces the whole text.
    accept: returns the next state for the text; raises ValueError if a number is needed and the text is none.
    """

    question: Text
    text: str
    accept: Callable[[State, str], State]
    caret: int = 0
    is_new: bool = True


@dataclass(frozen=True, eq=False)
class State:
    """What the explorer shows.

    experiment: the edited experiment.
    shown: the numbers on the screen, of an earlier experiment until `experiment` is computed.
    done, undone: the experiments for undo and redo; the last is the next to be shown.
    size: columns and lines of the terminal.
    view: results, input, weights or gates.  focus: the pane that gets the keys, options, numbers or step.
    option: name of the row under the cursor in the layer pane.  scroll: first line of the equations.
    every_term: whether to list the terms of each equation, not only the sum; None: of gates alone.
    subtracts: show what the held gates change.
    help: keys with their meaning, shown instead of the panes; () to show the panes.
    is_slow: whether the computation takes so long that the screen says it.
    wish: what the terminal is asked to do: `copy` a text, `save` under a name, show the `palette`, ...
    changed: which numbers of each returned tensor the last change changed; {} if it changed all numbers.
    saved: the last experiment that was saved, and its file.
    """

    experiment: Experiment
    shown: Computation
    lang: str = "en"
    size: tuple[int, int] = (80, 24)
    view: str = "results"
    focus: str = "options"
    option: str = ""
    cursor: Cursor = field(default_factory=Cursor)
    scroll: int = 0
    every_term: bool | None = None
    subtracts: bool = False
    help: tuple[tuple[str, str], ...] = ()
    typed: TypedLine | None = None
    message: Text = ""
    is_slow: bool = False
    wish: tuple[str, str] | None = None
    done: tuple[Experiment, ...] = ()
    undone: tuple[Experiment, ...] = ()
    changed: Mapping[str, Array] = field(default_factory=dict)
    saved: tuple[Experiment, str] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the numbers on the screen still belong to an earlier experiment."""
        return self.experiment is not self.shown.experiment

    @property
    def shows_terms(self) -> bool:
        """Whether to list the terms of each equation."""
        return bool(explained(self).equations[0].function) if self.every_term is None else self.every_term

    @property
    def command(self) -> str | None:
        """The command that returns the numbers on the screen; None if they have to be saved first."""
        experiment, name = self.saved or (None, None)
        return command_text.command(
            self.shown.experiment, name if experiment is self.shown.experiment else None
        )


def describe(error: RnncliError) -> Message:
    """Return what is wrong, and what to do."""
    return join((text for text in (error, error.advice) if text), " ")


def change(state: State, made: Change, *, reads: bool = False) -> State:
    """Return the state with a change of the experiment, or with the reason why that is not possible.

    reads: whether the change reads a file, so that it is made when the experiment is computed.
    """
    try:
        experiment = state.experiment.after(made, reads=reads)
    except RnncliError as error:
        return replace(state, message=describe(error))
    return replace(state, experiment=experiment, done=(*state.done, state.experiment), undone=())


def undo(state: State) -> State:
    """Undo one change, even one that is still being computed."""
    if not state.done:
        return replace(state, message=Message("nothing to undo"))
    *done, last = state.done
    return replace(state, experiment=last, done=tuple(done), undone=(*state.undone, state.experiment))


def redo(state: State) -> State:
    """Make the change again that was undone last."""
    if not state.undone:
        return replace(state, message=Message("nothing to redo"))
    *undone, last = state.undone
    return replace(state, experiment=last, done=(*state.done, state.experiment), undone=tuple(undone))


def show(state: State, asked: Experiment, computed: Computation) -> State:
    """Return the state with the numbers of `asked`, unless another experiment is wanted meanwhile."""
    if state.experiment is not asked:
        return state
    said, changed = compare(state.shown.result, computed.result)
    case = computed.experiment.case
    first = Message("stateful has no effect on the first call; set calls to 2 to see the state carry over")
    stack = case.stack
    notes = [first] if case.calls == 1 and stack.is_stateful else note_missing(case)
    state = replace(state, experiment=computed.experiment, shown=computed, changed=changed, is_slow=False)
    return settle(replace(state, message=state.message or join([*said, *notes], "; ")))


def compare(before: Result, after: Result) -> tuple[list[Message], dict[str, Array]]:
    """Return what a change did to the returned tensors, and State.changed."""
    old, new = ({tensor.name: tensor.values for tensor in result.outputs} for result in (before, after))
    marks = {
        name: _subtract(values, old[name]) != 0
        for name, values in new.items()
        if name in old and old[name].shape == values.shape
    }
    came = [f"{name} {format_shape(values.shape)}" for name, values in new.items() if name not in marks]
    gone = [name for name in old if name not in new]
    changed = [name for name, mark in marks.items() if mark.any()]
    said = [Message("returned now: {names}", names=join(came))] if came else []
    said += [Message("no longer returned: {names}", names=join(gone))] if gone else []
    if all(mark.all() for mark in marks.values()):
        return said + [Message("every returned number changed")] * bool(changed), {}
    said += [Message("changed {mark}: {names}", mark=CHANGED, names=join(changed))] if changed else []
    return said or [Message("no returned number changed")], marks


def give_up(state: State, asked: Experiment, error: RnncliError) -> State:
    """Return the state before a change that cannot be computed, unless it was undone meanwhile."""
    if state.experiment is not asked:
        return state
    *done, last = state.done or (state.shown.experiment,)
    return replace(state, experiment=last, done=tuple(done), message=describe(error), is_slow=False)


@dataclass(frozen=True, eq=False)
class NumberTable:
    """Numbers of the input, a tensor, a weight or a gate, (rows, columns).

    times: the time step of each row in the input; () if the rows are not time steps.
    names: the names of the columns; () to show their indices.
    claim: an entry of another tensor that holds the same numbers; "" if there is none.
    masked: which rows are masked steps.  half: the first column of the backward half, 0 if there is none.
    held, changed: which numbers are held, and which changed, (rows, columns) of bool; None if no number is.
    label: the label by which `explain` finds the numbers; None for the input and the weights.
    gate: the gate that the key h holds, as --hold names it; for a state, a gate of its loop; "" for none.
    is_gate: whether the numbers are of a gate, which a masked step does not use.
    """

    title: str
    note: Text
    values: Array
    times: Sequence[int] = ()
    names: Sequence[str] = ()
    masked: Sequence[bool] = ()
    half: int = 0
    held: Array | None = None
    changed: Array | None = None
    claim: str = ""
    label: Label | None = None
    gate: str = ""
    is_gate: bool = False


class TableCell(NamedTuple):
    """A cell: which table, row and column; the row is negative for a line above the numbers."""

    table: int
    row: int
    column: int


def tables(state: State) -> list[NumberTable]:
    """Return the tables of the view; with `subtracts`, their differences from the run without held gates."""
    computed = state.shown
    shown = _tables(state, computed, state.view)
    if not state.subtracts or computed.without_hold is None or state.view in ("input", "weights"):
        return shown
    note = Message("with held gates - without")
    return [
        replace(table, values=_subtract(table.values, other.values), note=note, claim="", changed=None)
        for table, other in zip(shown, _tables(state, computed.without_hold, state.view), strict=True)
    ]


def _tables(state: State, computed: Computation, view: str) -> list[NumberTable]:
    batch = state.cursor.batch
    if view == "input":
        return [_input_table(computed.case, batch)]
    if view == "weights":
        return list(_weight_tables(state, computed))
    if view == "gates":
        return [
            _part_table(loop, part, batch)
            for loop in computed.trace.trace
            for part in loop.parts
            if part.is_shown
        ]
    forward_units = Stack(computed.result.specs).forward_units or 0
    return [_tensor_table(state, tensor, computed.case, forward_units) for tensor in computed.result.outputs]


def _input_table(case: Case, batch: int) -> NumberTable:
    values, times = case.inputs[batch], range(case.inputs.shape[1])
    masked = _masked_rows(case, batch, times)
    title = f"input {format_shape(case.inputs.shape)}"
    return NumberTable(title, _note(masked), values, times, case.feature_names, masked)


def _tensor_table(state: State, tensor: NamedTensor, case: Case, forward_units: int) -> NumberTable:
    """Return one sequence of a returned tensor; a state in one row."""
    batch, label, changed = state.cursor.batch, tensor.label, state.changed.get(tensor.name)
    rows = tensor.values.shape[1:] if label.sequence else (1, tensor.values.shape[-1])
    half = 0 if label.direction or rows[-1] != 2 * forward_units else forward_units
    times = (tensor.time or range(rows[0])) if label.sequence else ()
    masked = _masked_rows(case, batch, times) if label.sequence else ()
    return NumberTable(
        f"{tensor.name} {format_shape(tensor.values.shape)}",
        _note(masked, brief(label, state.lang, tensor.ends), half=half),
        tensor.values[batch].reshape(rows),
        times,
        masked=masked,
        half=half,
        changed=None if changed is None else changed[batch].reshape(rows),
        claim=f"= {tensor.equals[0]}" if tensor.equals else "",
        label=label,
    )


def _part_table(loop: LoopTrace, part: Label, batch: int) -> NumberTable:
    """Return a gate or state of one sequence, in the order in which the steps are processed."""
    gates = loop.gates
    for_states = next((gate for gate in gates if gate.part == "forget"), gates[0] if gates else None)
    gate = part if part.kind else for_states
    label, held = loop.label(part.short), loop.hold_masks.get(part)
    masked: Sequence[bool] = (loop.status[batch] != 0).tolist()
    note = new_state(loop.new_states[part].part) if part in loop.new_states else ""
    return NumberTable(
        str(label), _note(masked, note, held=held is not None), loop.parts[part][batch],
        loop.times.tolist(), (), masked, held=held, label=label,
        gate=str(loop.label(gate.short)) if gate else "", is_gate=bool(part.kind),
    )  # fmt: skip


def _weight_tables(state: State, computed: Computation) -> Iterator[NumberTable]:
    """Yield one table per weight, a vector in one row.

    The note of the weight under the cursor says which gate and unit the column belongs to.
    """
    for index, (path, values) in enumerate(computed.trace.weights.items()):
        note = format_shape(values.shape)
        is_chosen = index == state.cursor.weight
        if is_chosen and (column := computed.column_place(path, state.cursor.column)) is not None:
            gate, unit = column
            note += f" · {gate} · {say('unit', state.lang)} {unit}"
        yield NumberTable(path, note, values.reshape(-1, values.shape[-1]))


def _masked_rows(case: Case, batch: int, times: Sequence[int]) -> Sequence[bool]:
    return () if case.mask is None else (~case.mask[batch, list(times)]).tolist()


def _note(masked: Sequence[bool], note: Text = "", *, half: int = 0, held: bool = False) -> Text:
    """Return the words after the title: what the marks mean, and the note."""
    notes: list[Text] = []
    notes += [Message("forward │ backward")] if half else []
    notes += [Message("{mark} masked", mark=MASKED)] if any(masked) else []
    notes += [Message("{mark} held", mark=HELD)] if held else []
    notes += [note] if note else []
    return join(notes, " · ")


def _subtract(values: Array, others: Array) -> Array:
    """Return values - others; 0 where both are the same infinity or NaN."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        same = (values == others) | (np.isnan(values) & np.isnan(others))
        return np.where(same, 0, values - others)


def cell(state: State, shown: Sequence[NumberTable]) -> TableCell:
    """Return the cell under the cursor."""
    table, down, across = VIEWS[state.view]
    number = getattr(state.cursor, table) if table else 0
    grid = shown[number]
    row = getattr(state.cursor, down)
    if grid.times:
        row = grid.times.index(row)
    last_row, last_column = (size - 1 for size in grid.values.shape)
    return TableCell(number, min(row, last_row), min(getattr(state.cursor, across), last_column))


def move_to(state: State, to: TableCell) -> State:
    """Return the state with the cursor on another cell."""
    table, down, across = VIEWS[state.view]
    grid = tables(state)[to.table]
    changes = {table: to.table, across: to.column}
    if grid.times:
        changes[down] = grid.times[to.row]
    elif down == "row":
        changes[down] = to.row
    changes.pop("", None)
    return settle(state, **changes)


def settle(state: State, **indices: int) -> State:
    """Return the state with other indices of the cursor, moved to the nearest that exist.

    On a returned state, the time step moves to the step at which the state was computed.
    """
    computed, at = state.shown, replace(state.cursor, **indices)
    batch, steps, features = computed.case.inputs.shape
    outputs, weights = computed.result.outputs, list(computed.trace.weights.values())
    parts = [loop.parts[part] for loop in computed.trace.trace for part in loop.parts if part.is_shown]
    tensor, weight = min(at.tensor, len(outputs) - 1), max(min(at.weight, len(weights) - 1), 0)
    shown = parts[min(at.part, len(parts) - 1)] if state.view == "gates" else outputs[tensor].values
    rows, columns = (1, *weights[weight].shape)[-2:] if weights else (1, 1)
    sizes = {
        "batch": batch, "timestep": steps, "feature": features, "tensor": len(outputs),
        "weight": len(weights), "unit": shown.shape[-1], "part": len(parts), "row": rows, "column": columns,
    }  # fmt: skip
    near = {name: max(min(getattr(at, name), size - 1), 0) for name, size in sizes.items()}
    state = replace(state, cursor=replace(at, **near))
    step = timestep(state)
    return state if step is None else replace(state, cursor=replace(state.cursor, timestep=step))


def explained(state: State) -> Explanation:
    """Return where the number under the cursor comes from.

    The input and the weights are computed from nothing: their views explain a number of the returned tensor
    that the cursor selects, or, if that is a state, the hidden state at the cursor's time step.
    """
    computed, at = state.shown, state.cursor
    batch, unit = at.batch, at.unit
    tensor = computed.result.outputs[at.tensor]
    label = tensor.label
    if state.view == "results" or (state.view != "gates" and label.sequence):
        times = tensor.time or range(tensor.values.shape[1])
        time = (times.index(at.timestep),) if label.sequence else ()
        return explain(computed, Target(label, (batch, *time, unit)))
    parts = _tables(state, computed, "gates")
    part = parts[at.part]
    if state.view != "gates":
        hidden = [table for table in parts if table.label and table.label.part == "hidden"]
        same = [table for table in hidden if table.label and table.label.direction == label.direction]
        part = (same or hidden)[-1]
    assert part.label is not None
    return explain(computed, Target(part.label, (batch, at.timestep, min(unit, part.values.shape[-1] - 1))))


def timestep(state: State) -> int | None:
    """Return the time step of the explained number; None for a state that joins two directions."""
    explanation = explained(state)
    is_state = len(explanation.target.indices) == 2
    return explanation.equations[0].location.timestep if is_state else state.cursor.timestep


def address(state: State) -> str:
    """Return the number under the cursor as Python writes it, `hidden_states[0, 2, 1]`."""
    at, weights = state.cursor, list(state.shown.trace.weights.items())
    if state.view == "input":
        return f"input{[at.batch, at.timestep, at.feature]}"
    if state.view == "weights" and weights:
        path, values = weights[at.weight]
        return f"{path}{[at.row, at.column][-values.ndim :]}"
    return explained(state).target.text


def set_cell(state: State, value: float) -> State:
    """Return the state with another number under the cursor, of the input or of a weight."""
    at, weights = state.cursor, state.shown.trace.weights
    if state.view == "input":
        index = (at.batch, at.timestep, at.feature)
        return change(state, lambda now: now.with_case(inputs=set_number(now.case.inputs, index, value)))
    path = list(weights)[at.weight]
    made = set_number(weights[path], (at.row, at.column)[-weights[path].ndim :], value)
    return change(state, lambda now: now.with_case(weights={**weights, path: made}))
