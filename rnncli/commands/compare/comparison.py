"""Compare the results of a case between engines, with stored tensors, or with consecutive pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnncli import arrays, compute
from rnncli.commands import checks
from rnncli.commands.compare.answer import CompareAnswer, RefusedEngine, conclude
from rnncli.compute import engines
from rnncli.compute.compare import TensorDifference, Tolerance, measure, require_known
from rnncli.errors import EngineError, Message, Text, UsageError, count, did_you_mean, format_names, join
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse
from rnncli.result import NamedTensor, Result
from rnncli.show.answer import Reply
from rnncli.values import Array, walk

if TYPE_CHECKING:
    from rnncli.ask.subject import Computed
    from rnncli.commands.checks import Expectation

IDENTICAL = Message("one call and the pieces return exactly the same numbers")
ROUNDING = Message("the difference between one call and the pieces is rounding")
REAL = Message("the difference between one call and the pieces is not rounding")
STATELESS = Message(
    "this proves little: pieces that start from zeros return the same numbers, so a lost "
    "state would not show; give different weights or a different input"
)


class Comparison(NamedTuple):
    """What to compare.

    tolerances: absolute and relative.  engines: their names; empty for all that can compute the case.
    engine: the one for stored tensors and for pieces.  split: time steps of a piece.
    select: names of the tensors to compare; empty for all.
    """

    tolerances: tuple[Tolerance, Tolerance]
    engines: tuple[str, ...] = ()
    engine: str = "auto"
    expected: Expectation | None = None
    split: int | None = None
    select: tuple[str, ...] = ()


def compare_case(case: Case, settings: Comparison) -> Reply[CompareAnswer]:
    """Compare the tensors of `case`.

    Raises UsageError if a named engine cannot compute the case or fewer than two engines can, EngineError
    if a named one is missing or fails.
    """
    if settings.split is not None:
        return _compare_pieces(case, settings.split, settings)
    refused: tuple[RefusedEngine, ...] = ()
    if settings.engines:
        results = run_engines(case, settings.engines)
    else:
        results, refused = run_all(case)
    weights = next((result.weights for result in results.values() if result.weights), {})
    outputs = next(iter(results.values())).outputs if results else ()
    cautions = tuple(_find_cautions(case, weights, outputs))
    if settings.expected is not None:
        report = _compare_stored(results, settings)
        masked = _note_masked(report.answer, [LayerUse("", case)])
        return report._replace(remarks=(*report.remarks, *masked, *cautions))
    if len(results) < 2:
        reasons = join((join(refusal, ": ") for refusal in refused), "; ")
        if not results:
            what = Message("no engine can compute this here ({reasons}).", reasons=reasons)
            raise UsageError(what, "Choose different options of the layer.")
        what = Message(
            "only {results} can compute this here ({reasons}).", results=next(iter(results)), reasons=reasons
        )
        raise UsageError(what, "Compare with a stored result: {--expect FILE}.")
    results = _select(results, settings)
    differences = compare_pairs(results, *settings.tolerances)
    return Reply(_answer(results, differences, settings, refused), cautions)


def _find_cautions(
    case: Case, weights: Mapping[str, Array], outputs: Sequence[NamedTensor]
) -> Iterator[Text]:
    """Yield a note for constant weights, a zero input, one unit, one time step and results without numbers.

    weights: what the layers computed with, by path.  outputs: what one engine returned.
    """
    constant = [
        path
        for path, array in weights.items()
        if path.endswith("kernel") and array.size > 1 and (array == array.flat[0]).all()
    ]
    if constant:
        instead = (
            Message("give different weights")
            if case.weights is not None
            else Message("use {--kernel-initializer probe}")
        )
        yield Message(
            "this proves little: every number in {constant} is the same, so gates, units and "
            "features in a wrong order give the same result; {instead}",
            constant=", ".join(constant),
            instead=instead,
        )
    if not any(block.any() for block in arrays.blocks(case.inputs)):
        yield Message(
            "this proves little: every input is 0, so the kernel has no effect; give a different input"
        )
    if any(spec.config.get("units") == 1 for spec in walk(case.stack)):
        yield Message(
            "this proves little: with one unit, a wrong order of units cannot show; use several units"
        )
    recurrent = any(layer.recurrent for layer in case.stack.layers)
    if recurrent and case.inputs.shape[1] == 1 and case.initial_state is None and case.calls == 1:
        yield Message(
            "this proves little: with one time step from zeros, the recurrent kernel has no "
            "effect; give a longer input"
        )
    names = [
        tensor.name
        for tensor in outputs
        if not any(np.isfinite(block).any() for block in arrays.blocks(tensor.values))
    ]
    if names:
        yield Message(
            "this proves little: no number in {names} is finite, and NaN counts as equal to NaN; "
            "give a finite input and finite weights",
            names=", ".join(names),
        )


def compare_with_stored(computed: Computed, settings: Comparison) -> Reply[CompareAnswer]:
    """Compare what a subject returns with `settings.expected`, under the names of `run`."""
    # A table of differences is headed by the layers, of a model, too.
    result = dataclasses.replace(compute.join_results(computed.results, computed.batch), model=None)
    report = _compare_stored({result.engine: result}, settings)
    parts = computed.parts
    cautions = () if parts.head else _find_cautions(parts.case, result.weights, result.outputs)
    masked = _note_masked(report.answer, parts.uses)
    return report._replace(remarks=(*parts.remarks, *report.remarks, *masked, *cautions))


def _note_masked(answer: CompareAnswer, uses: Sequence[LayerUse]) -> Iterator[Text]:
    for use in uses:
        prefix, case = f"{use.layer}/" if use.layer else "", use.case
        sequences = [
            difference.name
            for difference in answer.differences
            if difference.name.startswith(prefix) and difference.name.rpartition("_")[2] == "states"
        ]
        if case.mask is None or case.mask.all() or not sequences:
            continue
        text = "{names}: {rows} of masked steps count, too; frameworks fill them with zeros or the row before"
        yield Message(text, names=format_names(sequences), rows=count(int((~case.mask).sum()), "row"))


def _compare_stored(results: Mapping[str, Result], settings: Comparison) -> Reply[CompareAnswer]:
    results = _select(results, settings)
    differences: list[TensorDifference] = []
    remarks: dict[Text, None] = {}
    for engine, result in results.items():
        assert settings.expected is not None
        compared, left = settings.expected.compare(
            result.outputs, engine, settings.tolerances, result.assumed
        )
        differences += compared
        remarks |= dict.fromkeys(left)
    return Reply(_answer(results, tuple(differences), settings), tuple(remarks))


def _compare_pieces(case: Case, steps: int, settings: Comparison) -> Reply[CompareAnswer]:
    whole = run_whole(case, steps, settings.engine)
    results = _select({whole.engine: whole}, settings)
    outputs = results[whole.engine].outputs

    def compare(*, stateful: bool) -> tuple[TensorDifference, ...]:
        joined = run_pieces(case, steps, whole, stateful=stateful)
        both = Message("one call"), Message("pieces of {steps}", steps=steps)
        return tuple(measure(tensor, joined[tensor.name], both, *settings.tolerances) for tensor in outputs)

    differences = compare(stateful=True)
    conclusion = conclude(differences, IDENTICAL, ROUNDING, REAL)
    reasons: tuple[Text, ...] = ()
    if conclusion is REAL:
        reasons = explain_difference(case)
    elif all(difference.agrees for difference in compare(stateful=False)):
        reasons = (STATELESS,)
    answer = dataclasses.replace(_answer(results, differences, settings), conclusion=conclusion)
    return Reply(answer, reasons)


def _select(results: Mapping[str, Result], settings: Comparison) -> dict[str, Result]:
    selected = {name: checks.select_tensors(result, settings.select) for name, result in results.items()}
    for result in selected.values():
        require_known(settings.tolerances, [tensor.name for tensor in result.outputs])
    return selected


def _answer(
    results: Mapping[str, Result],
    differences: tuple[TensorDifference, ...],
    settings: Comparison,
    refused: tuple[RefusedEngine, ...] = (),
) -> CompareAnswer:
    engines = tuple(dict.fromkeys(name for result in results.values() for name in result.engines))
    header = dataclasses.replace(next(iter(results.values())), engines=engines)
    return CompareAnswer(header, differences, settings.tolerances, refused)


def run_whole(case: Case, steps: int, engine: str) -> Result:
    """Return the result of one call.  Raises UsageError if pieces of `steps` cannot carry the states."""
    _require_splittable(case, steps)
    return compute.run(case._replace(stack=_with_stateful(case.stack, stateful=False)), engine)


def run_pieces(case: Case, steps: int, whole: Result, *, stateful: bool) -> dict[str, Array]:
    """Return the tensors that pieces of `steps` time steps give.

    A sequence is joined along time, in the order of a single call; the last state comes from the last piece.
    stateful: whether each piece continues from the previous piece's last state; otherwise from zeros.
    """
    kept = case._replace(stack=_with_stateful(case.stack, stateful=stateful))
    bounds = range(0, case.inputs.shape[1], steps)
    # The layers are built once, so that they keep their states; an initial state would replace what is kept.
    prepared = compute.prepare(_piece(kept, bounds, 0), whole.engines[0])
    continued = kept._replace(initial_state=None)
    pieces = [prepared(_piece(continued if index else kept, bounds, index)) for index in range(len(bounds))]
    return {
        tensor.name: _join(
            [(start, piece.outputs[index]) for start, piece in zip(bounds, pieces, strict=True)], tensor
        )
        for index, tensor in enumerate(whole.outputs)
    }


def explain_difference(case: Case) -> tuple[Text, ...]:
    """Return the reasons, found in the layers and the mask, why pieces differ from one call."""
    reasons = []
    if any(spec.class_name == "Bidirectional" for spec in case.stack):
        reasons.append(Message("the backward layer starts each piece without the later time steps"))
    if any(spec.config.get("go_backwards") for spec in case.stack):
        reasons.append(Message("with go_backwards each piece starts without the later time steps"))
    if case.mask is not None or any(layer.makes_mask for layer in case.stack.layers):
        text = "a masked step at the start of a piece has no earlier output to repeat, and returns zeros"
        reasons.append(Message(text))
    return tuple(reasons)


def _piece(case: Case, bounds: range, index: int) -> Case:
    part = slice(bounds[index], bounds[index] + bounds.step)
    mask = None if case.mask is None else case.mask[:, part]
    return case._replace(inputs=case.inputs[:, part], mask=mask)


def _join(pieces: Sequence[tuple[int, NamedTensor]], whole: NamedTensor) -> Array:
    import numpy as np

    if "timesteps" not in whole.axes:
        return pieces[-1][1].values
    axis = whole.axes.index("timesteps")
    rows = {
        start + (tensor.time[row] if tensor.time else row): np.take(tensor.values, row, axis)
        for start, tensor in pieces
        for row in range(tensor.values.shape[axis])
    }
    times = whole.time or range(whole.values.shape[axis])
    return np.stack([rows[time] for time in times], axis)


def _require_splittable(case: Case, steps: int) -> None:
    length, *features = case.inputs.shape[1:]
    if steps >= length:
        longer = ",".join(map(str, (1, 2 * steps, *features)))
        raise UsageError(
            "{--split:steps} leaves one piece: the input has only {length}.",
            "Give a longer input: {--input-shape:longer}."
            if length == 1
            else "Use a smaller N, or give a longer input: {--input-shape:longer}.",
            longer=longer,
            steps=steps,
            length=count(length, "time step"),
        )
    if case.calls > 1:
        raise UsageError("{--split} makes the calls itself.", "Leave {--calls} out.")
    if case.training:
        raise UsageError("{--split} compares calls without dropout.", "Leave {--training} out.")
    if not any(layer.recurrent for layer in case.stack.layers):
        raise UsageError(
            "{--split} needs a recurrent layer, whose state can be kept.", "Add one: {--layer lstm}."
        )


def _with_stateful(stack: Stack, *, stateful: bool) -> Stack:
    return Stack(
        spec if spec.class_name == "TimeDistributed" else spec.with_option("stateful", stateful)
        for spec in stack
    )


def parse_engines(text: str) -> tuple[str, ...]:
    """Parse `numpy,torch`.  Raises UsageError for an engine that is unknown or named twice."""
    names = tuple(word.strip().casefold() for word in text.split(","))
    for name in names:
        if name not in engines.ENGINES:
            raise UsageError(
                "{--engines}: there is no engine {name!r}.", did_you_mean(name, engines.ENGINES), name=name
            )
        if names.count(name) > 1:
            raise UsageError("{--engines}: {name} is named twice.", "Name each engine once.", name=name)
    return names


def choose_engines(text: str | None, engine: str, *, alone: bool) -> tuple[str, ...]:
    """Return the engines of --engines; none for all.

    engine: the value of --engine.  alone: whether one engine is enough, as with --expect.
    Raises UsageError if both flags name engines, or if they name too few.
    """
    names = () if text is None else parse_engines(text)
    if names and engine != "auto":
        raise UsageError("both {--engine} and {--engines} are given.", "Leave {--engine} out.")
    single = names[0] if len(names) == 1 else "" if engine == "auto" else engine
    if single and not alone:
        raise UsageError(
            "compare needs two engines, but only {single} was named.",
            "Name two: {--engines:names}",
            single=single,
            names=f"{single},{'tensorflow' if single == 'numpy' else 'numpy'}",
        )
    return names


def run_engines(case: Case, names: Sequence[str]) -> dict[str, Result]:
    """Run the case in these engines.

    Raises UsageError if an engine cannot compute the case, EngineError if it is missing or fails.
    """
    for name in names:
        reason = engines.get(name).refusal(case)
        if reason is not None:
            what = "the engine {name} cannot compute this: {reason}."
            raise UsageError(what, _other_engines(case, name, names), name=name, reason=reason)
    return {name: _run(case, name, names) for name in names}


def _run(case: Case, name: str, names: Sequence[str]) -> Result:
    try:
        return compute.run(case, name)
    except engines.InexactError as error:  # whose advice is for a run in one engine
        raise EngineError(error.sentence, _other_engines(case, name, names)) from None


def _other_engines(case: Case, refused: str, names: Sequence[str]) -> Text:
    if len(names) > 2:
        return Message("Leave {refused} out of {--engines}.", refused=refused)
    able = [
        info.name
        for info in engines.available()
        if info.available and info.name != refused and engines.get(info.name).refusal(case) is None
    ]
    if len(able) > 1:
        return Message("These can: {--engines:able}.", able=",".join(able))
    if able:
        return Message("Compare with a stored result: {--engines:able} {--expect FILE}.", able=able[0])
    return Message("Choose different options of the layer.")


def run_all(case: Case) -> tuple[dict[str, Result], tuple[RefusedEngine, ...]]:
    """Run the case in every installed engine; also return the engines that cannot compute it."""
    results: dict[str, Result] = {}
    refused: list[RefusedEngine] = []
    for info in engines.available():
        reason = info.note if not info.available else engines.get(info.name).refusal(case)
        if reason is None:
            try:
                results[info.name] = compute.run(case, info.name)
            except EngineError as error:
                reason = join((error,))
        if reason is not None:
            refused.append(RefusedEngine(info.name, reason))
    return results, tuple(refused)


def compare_pairs(
    results: Mapping[str, Result], atol: Tolerance, rtol: Tolerance
) -> tuple[TensorDifference, ...]:
    """Compare every pair of engines, tensor by tensor."""
    pairs = list(combinations(results, 2))
    by_engine = {
        engine: {tensor.name: tensor for tensor in result.outputs} for engine, result in results.items()
    }
    names = [tensor.name for tensor in next(iter(results.values())).outputs]
    return tuple(
        measure(by_engine[first][name], by_engine[second][name].values, (first, second), atol, rtol)
        for name in names
        for first, second in pairs
    )
