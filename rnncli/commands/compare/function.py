"""A cell beside a function that should compute the same: over several lengths, whole and in two halves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from rnncli import compute
from rnncli.ask import INPUT_OPTIONS, Ask, subject_of
from rnncli.ask.subject import Parts
from rnncli.commands.compare.answer import CompareAnswer
from rnncli.compute.compare import TensorDifference, TolerancePair, measure, require_known, tolerance_of
from rnncli.errors import DisagreementError, Flag, Message, Text, UsageError, count, format_names
from rnncli.inputs.source import expand_user
from rnncli.layers.case import Case
from rnncli.layers.recurrent import Cell, RecurrentLayer
from rnncli.options import first_given
from rnncli.process.user_function import FunctionRuns, call_in_process, run_parts
from rnncli.result import Result
from rnncli.show.answer import LAYERS_HEAD, Field, Listing, Records, Reply
from rnncli.show.page import Page, View, line
from rnncli.show.result_answer import format_difference, notes_of
from rnncli.values import Array, parse_number, sizes

LENGTHS = (1, 15, 16, 17, 63, 64, 65, 127, 128, 129)
"""Lengths around the usual sizes of a chunk."""
TINY = 1e-3
"""The factor of every second time step of one more sequence: tiny keys show an eps in the wrong place."""


class ComparedRun(NamedTuple):
    """One length.  parts: the lengths of the calls.  differences: of the outputs and of each returned state.

    first: `tensor` (`outputs` or a state), `step` (of outputs), `index` of the first number that differs.
    """

    length: int
    parts: tuple[int, ...]
    differences: tuple[TensorDifference, ...]
    first: dict[str, Any] | None

    @property
    def agrees(self) -> bool:
        """Whether every number is within the tolerances."""
        return all(difference.agrees for difference in self.differences)

    @property
    def difference(self) -> float:
        """The largest absolute difference."""
        return max(difference.absolute for difference in self.differences)


def _of_first(name: str) -> Callable[[ComparedRun], Any]:
    return lambda run: run.first and run.first[name]


FIELDS = (
    Field("length", heading="length", type=int),
    Field("parts", lambda run: list(run.parts), "parts", lambda run, _: " + ".join(map(str, run.parts)),
          type=list[int]),
    Field("agrees", csv=False, type=bool),
    Field("verdict", lambda run: "same" if run.agrees else "differs", "verdict",
          lambda run, view: view.say("same" if run.agrees else "differs"),
          lambda run: "" if run.agrees else "alarm", json=False),
    Field("first", csv=False, type=({"tensor": str, "step": int | None, "index": list[int]}, None)),
    Field("tensor", _of_first("tensor"), "first difference", json=False, none="-"),
    Field("step", _of_first("step"), "step", json=False, none="-"),
    Field("index", _of_first("index"), "at", json=False, none="-"),
    Field("difference", None, "largest difference", lambda run, _: format_difference(run.difference, None),
          type=float),
)  # fmt: skip


DOCUMENTS = (LAYERS_HEAD | {"function": str, "agree": bool, "runs": [FIELDS], "conclusion": str},)


@dataclass(frozen=True, eq=False)
class FunctionAnswer(CompareAnswer):
    """How far a function is from the cell, run by run."""

    function: str = ""
    runs: tuple[ComparedRun, ...] = ()

    def document(self, view: View) -> dict[str, Any]:
        """Return the head of a run, with one object per length and way to cut it under `runs`."""
        runs = Listing(FIELDS, self.runs).objects()
        conclusion = view.say(self.conclusion)
        return {**self.head(), "function": self.function, "agree": self.agrees, "runs": runs,
                "conclusion": conclusion}  # fmt: skip

    def page(self, view: View) -> Page:
        """Return a row for each run, and what follows from them."""
        columns = tuple(field.name for field in FIELDS if field.heading)
        table = Listing(FIELDS, self.runs, columns).table(view)
        return Page(self.title(view), notes_of(self.header, view), (table, line(view.say(self.conclusion))))

    def records(self, view: View) -> Records:
        """Return one row per run."""
        return Listing(FIELDS, self.runs).records()


def is_function(other: Any) -> bool:
    """Return whether --with is `FILE.py:FUNCTION`, or in Python a function."""
    return isinstance(other, FunctionType) or (
        isinstance(other, str) and re.search(r"\.py(:\w*)?$", other) is not None
    )


def compare_function(
    ask: Ask, other: Any, try_lengths: Any, others: Mapping[str, Any], tolerances: TolerancePair
) -> Reply[CompareAnswer]:
    """Compare a cell with a function.

    other: `FILE.py:FUNCTION`, or the function.  try_lengths: as given.
    others: options that compare something else.
    Raises UsageError if the layer is not one cell that reads forward, or if the function fails.
    """
    if flag := first_given(others, others):
        raise UsageError("{flag} does not apply to a function.", "Leave {flag} out.", flag=Flag(flag))
    name, path = _split(other)
    wanted = LENGTHS if try_lengths is None else parse_lengths(try_lengths)
    parts, remarks = _read_parts(ask, max(wanted), name)
    case, cell = parts.case, _cell_of(parts.case, name)
    lengths, notes = _fit(wanted, case.inputs.shape[1], chosen=try_lengths is not None)
    wholes = {length: _run(case, length, ask.engine) for length in lengths}
    header = wholes[max(lengths)]
    infos = case.stack.states(case.inputs.shape)
    names = {info.label: cell.text.written_name(info.label.part) for info in infos}
    require_known(tolerances, ["outputs", *names.values()])
    shapes = {names[info.label]: sizes(info.shape[1:]) for info in infos}
    states = case.initial_state and {
        state: array.reshape(len(array), *shape)
        for (state, shape), array in zip(shapes.items(), case.initial_state, strict=True)
    }
    cuts = [(length,) for length in lengths] + [(n // 2, ceil(n / 2)) for n in lengths if n > 1]
    cuts.sort(key=lambda cut: (sum(cut), len(cut)))
    asked = FunctionRuns(
        name, path, _inputs_of(case, cell), header.weights, states or None, cell.units, shapes, cuts
    )  # fmt: skip
    returned = run_parts(other, asked) if callable(other) else call_in_process(asked)
    runs = [
        _compare(cut, wholes[sum(cut)], names, found, name, tolerances)
        for cut, found in zip(cuts, returned, strict=True)
        if found is not None
    ]
    if len(runs) < len(cuts):
        remarks = (*remarks, Message("{function} returns no states: halves are left out", function=name))
    if not callable(other):
        text = "{file} is code: it runs in a process of its own, with limits and with your rights"
        remarks = (Message(text, file=path.name), *remarks)
    same = [key for key, array in header.weights.items() if array.size > 1 and (array == array.flat[0]).all()]
    if same and all(run.agrees for run in runs):
        text = "every number in {names} is the same, which may hide an error; give different weights"
        remarks = (*remarks, Message(text, names=format_names(same)))
    differences = tuple(difference for run in runs for difference in run.differences)
    conclusion = _conclude(runs)
    answer = FunctionAnswer(
        header, differences, tolerances, conclusion=conclusion, function=name, runs=tuple(runs)
    )
    return Reply(answer, (*remarks, *notes), _explain_failure(runs, name))


def _fit(wanted: Sequence[int], steps: int, *, chosen: bool) -> tuple[list[int], tuple[Text, ...]]:
    """Return the lengths that the input has, with a note on the others; also its own, if none are chosen."""
    lengths = [length for length in wanted if length <= steps]
    if len(lengths) == len(wanted):
        return lengths, ()
    if not chosen:
        lengths = sorted({*lengths, steps})
    if not lengths:
        what = "{--try-lengths}: the input has {steps}."
        raise UsageError(what, "Give lengths up to {most}.", steps=count(steps, "time step"), most=steps)
    left = ", ".join(str(length) for length in wanted if length > steps)
    text = "left out, because the input has only {steps}: {lengths}"
    return lengths, (Message(text, steps=count(steps, "time step"), lengths=left),)


def parse_lengths(given: Any) -> tuple[int, ...]:
    """Return the lengths of --try-lengths, in order.  Raises UsageError for anything else."""
    words = given.split(",") if isinstance(given, str) else [str(word) for word in given]
    try:
        lengths = sorted({parse_number(word) for word in words})
    except ValueError:
        lengths = []
    if not lengths or lengths[0] < 1:
        what = "{--try-lengths:text}: a length is a whole number above 0."
        raise UsageError(what, "Write numbers with commas: {--try-lengths 1,63,64,65}.", text=",".join(words))
    return tuple(lengths)


def _split(other: Any) -> tuple[str, Any]:
    """Return what a function is called in messages, and the path of its file."""
    if callable(other):
        return getattr(other, "__name__", type(other).__name__), expand_user("")
    file, _, function = other.rpartition(":") if not other.endswith(".py") else (other, "", "")
    path = expand_user(file)
    if not function.isidentifier():
        what = "{--with:file}: which function of the file?"
        raise UsageError(what, "Name it: {--with:file}:FUNCTION.", file=file)
    if not path.is_file():
        raise UsageError("{--with:file}: there is no such file.", "Check the path.", file=file)
    return f"{path.name}:{function}", path.absolute()


def _read_parts(ask: Ask, longest: int, name: str) -> tuple[Parts, tuple[Text, ...]]:
    """Return the layer and its input; a drawn one has one more sequence, whose every second step is tiny."""
    if ask.model is not None or not ask.layer:
        advice = "Name a layer: {--layer '@cell.toml'}."
        raise UsageError("{--with:name} is for a cell, or for a layer of Keras.", advice, name=name)
    if ask.is_bare and not ask.given(*INPUT_OPTIONS):
        layer = ask.stack().layers[0]
        cell = layer.cell if isinstance(layer, RecurrentLayer) else None
        known = cell.sizes(None).known["features"] if isinstance(cell, Cell) else None
        features = known or getattr(cell, "units", None) or 1
        ask = ask._replace(input_shape=f"2,{longest},{features}")
    parts = subject_of(ask).parts(alone=True)
    case = parts.case
    _cell_of(case, name)
    if ask.input_shape is None or ask.fill is not None or not len(case.inputs):
        return parts, parts.remarks
    more = case.inputs[:1].copy()
    more[:, 1::2] *= TINY
    case = case._replace(
        inputs=np.concatenate([case.inputs, more]),
        initial_state=case.initial_state
        and tuple(np.concatenate([state, state[:1]]) for state in case.initial_state),
    )
    text = "drawn input: {count} sequences; of the last one every second time step is tiny"
    use = parts.uses[0]._replace(case=case)
    return parts._replace(uses=(use,)), (*parts.remarks, Message(text, count=len(case.inputs)))


def _cell_of(case: Case, name: str) -> Cell:
    """Return the only cell.  Raises UsageError for anything that a function of one loop does not compute."""
    layer = case.stack.layers[0]
    if len(case.stack) > 1 or not isinstance(layer, RecurrentLayer) or not isinstance(layer.cell, Cell):
        advice = "Name one cell, such as {--layer '@cell.toml'} or {--layer lstm}."
        raise UsageError("{--with:name} is for one layer of one direction.", advice, name=name)
    given = {
        "go_backwards": layer.config["go_backwards"],
        "mask": case.mask is not None,
        "training": case.training and case.stack.draws_in_training,
        "calls": case.calls > 1,
    }
    if option := next((option for option, value in given.items() if value), ""):
        what = "the function gets one call of a sequence without {option}."
        raise UsageError(what, "Leave {option} out.", option=option)
    return layer.cell


def _run(case: Case, length: int, engine: str) -> Result:
    """Return the outputs of every step and the last states of the first steps."""
    cut = case._replace(stack=case.stack.with_everything(), inputs=case.inputs[:, :length])
    return compute.run(cut, engine)


def _inputs_of(case: Case, cell: Cell) -> Mapping[str, Array]:
    """Return the inputs by name: `x`, or the parts that the cell names, each with its axes."""
    if not cell.text.inputs:
        return {"x": case.inputs}
    known = cell.sizes(case.inputs.shape[-1])
    shapes = {name: known.shape(axes) for name, axes in cell.text.inputs.items()}
    columns = {name: slice(start, start + width) for name, (start, width) in known.inputs.items()}
    front = case.inputs.shape[:2]
    return {name: case.inputs[..., columns[name]].reshape(*front, *shapes[name]) for name in shapes}


def _compare(
    cut: tuple[int, ...], whole: Result, names: Mapping[Any, str],
    returned: tuple[Array, Mapping[str, Array]], function: str, tolerances: TolerancePair,
) -> ComparedRun:  # fmt: skip
    """Return how far the function's outputs and states are from the recurrence."""
    theirs = {"outputs": returned[0], **returned[1]}
    differences, first = list[TensorDifference](), None
    for tensor in whole.outputs:
        name = names.get(tensor.label, "outputs")
        if name not in theirs:
            continue
        limits = [tolerance_of(tolerance, name) for tolerance in tolerances]
        sides = Message("the recurrence"), function
        difference = measure(tensor, theirs[name], sides, limits[0], limits[1])._replace(name=name)
        if first is None and difference.mismatch is not None:
            index: Sequence[int] = difference.mismatch.indices
            if (step := difference.step) is not None:
                rows = tensor.values[:, step], theirs[name][:, step]
                beyond = np.argwhere(~np.isclose(*rows, limits[1], limits[0], equal_nan=True))
                index = [int(beyond[0, 0]), step, *beyond[0, 1:].tolist()]
            first = {"tensor": name, "step": step, "index": list(index)}
        differences.append(difference)
    return ComparedRun(sum(cut), cut, tuple(differences), first)


def _conclude(runs: Sequence[ComparedRun]) -> Text:
    """Return one line: where the function differs first, whole or in halves."""
    wrong = [run for run in runs if not run.agrees]
    if not wrong:
        rounding = any(run.difference for run in runs)
        return Message(
            "the difference between the function and the recurrence is rounding"
            if rounding
            else "the function and the recurrence return exactly the same numbers"
        )
    if all(len(run.parts) > 1 for run in wrong):
        return Message("whole sequences agree, halves do not: look at the states that are handed over")
    if all(run.first and run.first["step"] is None for run in wrong):
        return Message("the outputs agree, the last states do not")
    right = max((run.length for run in runs if run.length < wrong[0].length), default=0)
    if right > 1:
        text = "sequences of up to {right} time steps agree; at {length} they part"
        return Message(text, right=right, length=wrong[0].length)
    return Message("the function and the recurrence part")


def _explain_failure(runs: Sequence[ComparedRun], function: str) -> DisagreementError | None:
    run = next((run for run in runs if not run.agrees), None)
    if run is None:
        return None
    assert run.first is not None
    difference = next(difference for difference in run.differences if difference.name == run.first["tensor"])
    return DisagreementError(
        "{function} differs for {steps} ({parts}): {tensor}{index}; at most by {largest}.",
        "The tolerances are atol {atol}, rtol {rtol}.",
        function=function,
        steps=count(run.length, "time step"),
        parts=" + ".join(map(str, run.parts)),
        tensor=run.first["tensor"],
        index=run.first["index"],
        largest=f"{run.difference:.2g}",
        atol=difference.atol,
        rtol=difference.rtol,
    )
