"""The state of the explorer, a plain value: what it shows, and the next state after a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rnncli.ask.described import note_missing
from rnncli.commands.explore.experiment import (
    Change,
    Computation,
    Experiment,
    command_of,
    explain,
    set_number,
    toggle_mask,
)
from rnncli.commands.explore.options import hold_gates
from rnncli.compute.derivation.explanation import Explanation, Target
from rnncli.compute.trace import LoopAxes, axes_of
from rnncli.errors import Message, RnncliError, Text, join
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import Label, LoopTrace, NamedTensor, Result
from rnncli.show.wording import brief, new_state, say
from rnncli.values import Array, format_shape

HELD, CHANGED, MASKED, HALVES = "*", "•", "/", "│"
"""Marks of a held number, a number that the last change changed, a masked step, and the backward half."""
NO_HOLD = Message("no gate is held; press h to hold one")


CURSOR = dict.fromkeys(
    ("batch", "timestep", "unit", "feature", "row", "column", "results", "input", "weights", "gates"), 0
)
"""The selected indices: sequence, time step, unit, feature, row and column of a weight; tables."""


@dataclass(frozen=True, eq=False)
class State:
    """What the explorer shows.

    experiment: the edited experiment.
    shown: the numbers on the screen, of an earlier experiment until `experiment` is computed.
    view: results, input, weights or gates.
    every_term: whether to list the terms of each equation, not only the sum; None: of gates alone.
    subtracts: show what the held gates change.
    is_slow: whether the computation takes so long that the screen says it.
    done, undone: the experiments for undo and redo; the last is the next to be shown.
    changed: which numbers of each returned tensor the last change changed; {} if it changed all numbers.
    saved: the last experiment that was saved, and its file.
    """

    experiment: Experiment
    shown: Computation
    lang: str = "en"
    view: str = "results"
    cursor: Mapping[str, int] = field(default_factory=CURSOR.copy)
    every_term: bool | None = None
    subtracts: bool = False
    message: Text = ""
    is_slow: bool = False
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
    def last_step(self) -> int:
        """The last time step of the input."""
        return int(self.shown.case.inputs.shape[1]) - 1

    @property
    def command(self) -> str | None:
        """The command that returns the numbers on the screen; None if they have to be saved first."""
        experiment, name = self.saved or (None, None)
        return command_of(self.shown.experiment, name if experiment is self.shown.experiment else None)


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


def show(state: State, experiment: Experiment, computed: Computation) -> State:
    """Return the state with the numbers of `asked`, unless another experiment is wanted meanwhile."""
    if state.experiment is not experiment:
        return state
    remarks, changed = compare(state.shown.result, computed.result)
    case = computed.experiment.case
    first = Message("stateful has no effect on the first call; set calls to 2 to see the state carry over")
    stack = case.stack
    notes = [first] if case.calls == 1 and stack.is_stateful else note_missing(case)
    state = replace(state, experiment=computed.experiment, shown=computed, changed=changed, is_slow=False)
    return settle(replace(state, message=state.message or join([*remarks, *notes], "; ")))


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
    notes = [Message("returned now: {names}", names=join(came))] if came else []
    notes += [Message("no longer returned: {names}", names=join(gone))] if gone else []
    if all(mark.all() for mark in marks.values()):
        return notes + [Message("every returned number changed")] * bool(changed), {}
    notes += [Message("changed {mark}: {names}", mark=CHANGED, names=join(changed))] if changed else []
    return notes or [Message("no returned number changed")], marks


def give_up(state: State, experiment: Experiment, error: RnncliError) -> State:
    """Return the state before a change that cannot be computed, unless it was undone meanwhile."""
    if state.experiment is not experiment:
        return state
    *done, last = state.done or (state.shown.experiment,)
    return replace(state, experiment=last, done=tuple(done), message=describe(error), is_slow=False)


@dataclass(frozen=True, eq=False)
class NumberTable:
    """Numbers of the input, a tensor, a weight or a gate, (rows, columns).

    axis: the index in State.cursor that chooses a column.
    times: the time step of each row in the input; () if the rows are not time steps.
    steps: the names of these time steps; () if they have none.
    names: the names of the columns; () to show their indices.
    masked: which rows are masked steps.  half: the first column of the backward half, 0 if there is none.
    held, changed: which numbers are held, and which changed, (rows, columns) of bool; None if no number is.
    claim: an entry of another tensor that holds the same numbers; "" if there is none.
    label: the label by which `explain` finds the numbers; None for the input and the weights.
    gate: the gate that the key h holds, as --hold names it; for a state, a gate of its loop; "" for none.
    is_gate: whether the numbers are of a gate, which a masked step does not use.
    """

    title: str
    note: Text
    values: Array
    axis: str = "unit"
    times: Sequence[int] = ()
    steps: Sequence[str] = ()
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
    """A cell: which table, row and column."""

    table: int
    row: int
    column: int


def tables(state: State) -> list[NumberTable]:
    """Return the tables of the view; with `subtracts`, their differences from the run without held gates."""
    names, batch = state.shown.case.names, state.cursor["batch"]
    shown, free = _tables(state, state.shown, state.view), state.shown.without_hold
    if names.steps and state.view != "gates":
        shown = [replace(table, steps=[names.step(batch, t) for t in table.times]) for table in shown]
    if not state.subtracts or free is None or state.view in ("input", "weights"):
        return shown
    note = Message("with held gates - without")
    return [
        replace(table, values=_subtract(table.values, other.values), note=note, claim="", changed=None)
        for table, other in zip(shown, _tables(state, free, state.view), strict=True)
    ]


def _tables(state: State, computed: Computation, view: str) -> list[NumberTable]:
    case, batch = computed.case, state.cursor["batch"]
    if view == "input":
        times, title = range(case.inputs.shape[1]), f"input {format_shape(case.inputs.shape)}"
        masked = _masked_rows(case, batch, times)
        note, names = _note(masked), case.names.features
        return [NumberTable(title, note, case.inputs[batch], "feature", times, (), names, masked)]
    if view == "weights":
        return list(_weight_tables(state, computed))
    if view == "gates":
        loops = computed.trace.trace
        axes = [axes_of(case, loop) if case.stack.has_axes else None for loop in loops]
        return [
            _part_table(loop, part, batch, of_loop)
            for loop, of_loop in zip(loops, axes, strict=True)
            for part in loop.parts
            if part.is_shown and (of_loop is None or len(of_loop.own(part)) < 2)
        ]
    forward_units = Stack(computed.result.specs).forward_units or 0
    vectors = (
        tensor for tensor in computed.result.outputs if tensor.values.ndim == 2 + tensor.label.sequence
    )
    return [_tensor_table(state, tensor, case, forward_units) for tensor in vectors]


def _tensor_table(state: State, tensor: NamedTensor, case: Case, forward_units: int) -> NumberTable:
    """Return one sequence of a returned tensor; a state in one row."""
    batch, label, changed = state.cursor["batch"], tensor.label, state.changed.get(tensor.name)
    rows = tensor.values.shape[1:] if label.sequence else (1, tensor.values.shape[-1])
    half = 0 if label.direction or rows[-1] != 2 * forward_units else forward_units
    times = (tensor.time or range(rows[0])) if label.sequence else ()
    masked = _masked_rows(case, batch, times) if label.sequence else ()
    return NumberTable(
        f"{tensor.name} {format_shape(tensor.values.shape)}",
        _note(masked, brief(label, state.lang, tensor.ends), half=half),
        tensor.values[batch].reshape(rows),
        times=times,
        masked=masked,
        half=half,
        changed=None if changed is None else changed[batch].reshape(rows),
        claim=f"= {tensor.equals[0]}" if tensor.equals else "",
        label=label,
    )


def _part_table(loop: LoopTrace, part: Label, batch: int, axes: LoopAxes | None) -> NumberTable:
    """Return a gate or state of one sequence, in the order in which the steps are processed.

    axes: of a cell whose axes have names, whose columns are called by the index of head and number, `1,3`.
    """
    gates = loop.gates
    for_states = next((gate for gate in gates if gate.part == "forget"), gates[0] if gates else None)
    gate = part if part.kind else for_states
    label, held = loop.label(part.short), loop.hold_masks.get(part)
    times, masked = loop.times.tolist(), (loop.status[batch] != 0).tolist()
    steps = [loop.names.step(batch, time) for time in times] if loop.names.steps else ()
    note = new_state(loop.new_states[part].part) if part in loop.new_states else ""
    is_named = axes and axes.axes[part] != ("units",)
    names = [",".join(map(str, place)) for _, place in axes.kept(part, {})] if axes and is_named else []
    return NumberTable(
        str(label), _note(masked, note, held=held is not None), loop.parts[part][batch], "unit",
        times, steps, names, masked, held=held, label=label,
        gate=str(loop.label(gate.short)) if gate else "", is_gate=bool(part.kind),
    )  # fmt: skip


def _weight_tables(state: State, computed: Computation) -> Iterator[NumberTable]:
    """Yield a table per weight, a vector in one row; one notes the gate and the unit under the cursor."""
    for index, (path, values) in enumerate(computed.trace.weights.items()):
        note, at = format_shape(values.shape), state.cursor
        place = computed.column_place(path, at["column"]) if index == at["weights"] else None
        if place is not None:
            note += f" · {place[0]} · {say('unit', state.lang)} {place[1]}"
        yield NumberTable(path, note, values.reshape(-1, values.shape[-1]), "column")


def _masked_rows(case: Case, batch: int, times: Sequence[int]) -> Sequence[bool]:
    return () if case.mask is None else (~case.mask[batch, list(times)]).tolist()


def _note(masked: Sequence[bool], note: Text = "", *, half: int = 0, held: bool = False) -> Text:
    notes: list[Text] = [Message("forward │ backward")] if half else []
    notes += [Message("{mark} masked", mark=MASKED)] if any(masked) else []
    notes += [Message("{mark} held", mark=HELD)] if held else []
    return join([*notes, note] if note else notes, " · ")


def _subtract(values: Array, others: Array) -> Array:
    """Return values - others; 0 where both are the same infinity or NaN."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        same = (values == others) | (np.isnan(values) & np.isnan(others))
        return np.where(same, 0, values - others)


def cell(state: State, shown: Sequence[NumberTable]) -> TableCell:
    """Return the cell under the cursor, or the nearest that exists."""
    at = state.cursor
    number = min(at[state.view], len(shown) - 1)
    grid = shown[number]
    rows, columns = grid.values.shape
    row = grid.times.index(at["timestep"]) if grid.times else min(at["row"], rows - 1)
    return TableCell(number, row, min(at[grid.axis], columns - 1))


def move_to(state: State, to: Sequence[int]) -> State:
    """Return the state with the cursor on another TableCell."""
    number, row, column = to
    grid = tables(state)[number]
    down = {"timestep": grid.times[row]} if grid.times else {"row": row} if grid.label is None else {}
    return settle(state, **{state.view: number, grid.axis: column}, **down)


def move(state: State, down: int, right: int) -> State:
    """Move the cursor; past the last row it goes on to the next table."""
    shown = tables(state)
    table, row, column = cell(state, shown)
    row += down
    if row < 0 and table > 0:
        table -= 1
        row = len(shown[table].values) - 1
    elif row >= len(shown[table].values) and table + 1 < len(shown):
        table, row = table + 1, 0
    rows, columns = shown[table].values.shape
    row, column = min(max(row, 0), rows - 1), min(max(column + right, 0), columns - 1)
    return move_to(state, (table, row, column))


def go_to(state: State, step: int) -> State:
    """Go to a time step, unless the number under the cursor has only one."""
    step = min(max(step, 0), state.last_step)
    moved = settle(state, timestep=step)
    if timestep(moved) == step:
        return moved
    text = Message("a state has one time step; press 4 for the gates and states at every time step")
    return replace(moved, message=text)


def step(state: State, by: int) -> State:
    """Go to the next or the previous time step."""
    return go_to(state, state.cursor["timestep"] + by)


def next_sequence(state: State, by: int) -> State:
    """Go to another sequence of the batch."""
    return settle(state, batch=(state.cursor["batch"] + by) % len(state.shown.case.inputs))


def show_view(state: State, view: str) -> State:
    """Show another view."""
    return settle(replace(state, view=view))


def mask(state: State) -> State:
    """Mask the time step under the cursor, or unmask it."""
    batch, step = state.cursor["batch"], state.cursor["timestep"]
    return change(state, lambda now: toggle_mask(now, batch, step))


def release(state: State) -> State:
    """Release every held gate."""
    if not state.experiment.case.hold:
        return replace(state, message=NO_HOLD)
    return change(state, lambda now: hold_gates(now, ""))


def show_difference(state: State) -> State:
    """Show what the held gates change, or no longer."""
    if state.shown.without_hold is None:
        return replace(state, message=NO_HOLD)
    view = "results" if state.view in ("input", "weights") else state.view
    return settle(replace(state, subtracts=not state.subtracts, view=view))


def show_terms(state: State) -> State:
    """Show every term of the equations, or the sums."""
    usual, wanted = replace(state, every_term=None), not state.shows_terms
    return usual if usual.shows_terms == wanted else replace(usual, every_term=wanted)


def settle(state: State, **indices: int) -> State:
    """Return the state with other indices of the cursor, inside the input.

    On a returned state, the time step moves to the step at which the state was computed.
    """
    at = {**state.cursor, **indices}
    for name, size in zip(("batch", "timestep"), state.shown.case.inputs.shape, strict=False):
        at[name] = min(at[name], size - 1)
    state = replace(state, cursor=at)
    step = timestep(state)
    return state if step is None else replace(state, cursor={**at, "timestep": step})


def explained(state: State) -> Explanation:
    """Return where the number under the cursor comes from.

    The input and the weights are computed from nothing: their views explain a number of the returned tensor
    that the cursor selects, or, if that is a state, the hidden state at the cursor's time step.
    """
    view, at = "gates" if state.view == "gates" else "results", state.cursor
    shown = _tables(state, state.shown, view)
    table, row, unit = cell(replace(state, view=view), shown)
    label, time = shown[table].label, at["timestep"]
    assert label is not None
    if view == state.view == "results" and not label.sequence:
        return explain(state.shown, Target(label, (at["batch"], unit)))
    if label.sequence:
        time = row
    elif view == "results":
        parts = (part.label for part in _tables(state, state.shown, "gates"))
        hidden = [part for part in parts if part and part.part == "hidden"]
        label = ([part for part in hidden if part.direction == label.direction] or hidden)[-1]
    return explain(state.shown, Target(label, (at["batch"], time, unit)))


def timestep(state: State) -> int | None:
    """Return the time step of the explained number; None for a state that joins two directions."""
    explanation = explained(state)
    is_state = len(explanation.target.indices) == 2
    return explanation.equations[0].location.timestep if is_state else state.cursor["timestep"]


def _index(state: State, shown: Sequence[NumberTable]) -> tuple[str, tuple[int, ...]]:
    """Return the name and the index of the number under the cursor, of the input or of a weight."""
    table, row, column = cell(state, shown)
    if state.view == "input":
        return "input", (state.cursor["batch"], row, column)
    path = shown[table].title
    return path, (row, column)[-state.shown.trace.weights[path].ndim :]


def address(state: State) -> str:
    """Return the number under the cursor as Python writes it, `hidden_states[0, 2, 1]`."""
    shown = tables(state)
    if state.view in ("results", "gates") or not shown:
        return explained(state).target.text
    name, index = _index(state, shown)
    return f"{name}{list(index)}"


def set_cell(state: State, value: float) -> State:
    """Return the state with another number under the cursor, of the input or of a weight."""
    name, index = _index(state, tables(state))
    if name == "input":
        return change(state, lambda now: now.with_case(inputs=set_number(now.case.inputs, index, value)))
    weights = state.shown.trace.weights
    made = {**weights, name: set_number(weights[name], index, value)}
    return change(state, lambda now: now.with_case(weights=made))
