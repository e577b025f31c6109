"""Compare the results of a case between engines, with stored tensors, or with consecutive pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnncli import arrays, compute
from rnncli.commands import checks
from rnncli.commands.compare import engine_pairs, pieces
from rnncli.commands.compare.answer import CompareAnswer, conclude
from rnncli.commands.compare.engine_pairs import RefusedEngine
from rnncli.compute.compare import TensorDifference, Tolerance, measure, require_known
from rnncli.errors import Message, Text, UsageError, count, format_names, join
from rnncli.layers.case import Case
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
        results = engine_pairs.run_engines(case, settings.engines)
    else:
        results, refused = engine_pairs.run_all(case)
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
    differences = engine_pairs.compare_pairs(results, *settings.tolerances)
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
    whole = pieces.run_whole(case, steps, settings.engine)
    results = _select({whole.engine: whole}, settings)
    outputs = results[whole.engine].outputs

    def compare(*, stateful: bool) -> tuple[TensorDifference, ...]:
        joined = pieces.run_pieces(case, steps, whole, stateful=stateful)
        both = Message("one call"), Message("pieces of {steps}", steps=steps)
        return tuple(measure(tensor, joined[tensor.name], both, *settings.tolerances) for tensor in outputs)

    differences = compare(stateful=True)
    conclusion = conclude(differences, IDENTICAL, ROUNDING, REAL)
    reasons: tuple[Text, ...] = ()
    if conclusion is REAL:
        reasons = pieces.explain_difference(case)
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
