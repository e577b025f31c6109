"""Compare the results of a case between engines, with stored tensors, or with consecutive pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from rnncli import compute
from rnncli.case import Case
from rnncli.cli import result_checks, tolerances
from rnncli.commands.compare import engine_pairs, pieces
from rnncli.commands.compare.answer import CompareAnswer
from rnncli.commands.compare.caution import find_cautions
from rnncli.commands.compare.engine_pairs import RefusedEngine
from rnncli.compute.compare import TensorDifference, Tolerance, measure
from rnncli.errors import Message, Text, UsageError, join
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.cli.expectation import Expectation
    from rnncli.models.call import ModelCall

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


class ComparisonReport(NamedTuple):
    """The answer, and remarks on it."""

    answer: CompareAnswer
    remarks: tuple[Text, ...] = ()


def compare_case(case: Case, settings: Comparison) -> ComparisonReport:
    """Compare the tensors of `case`.

    Raises UsageError if a named engine cannot compute the case or fewer than two engines can, EngineError
    if a named one is missing or fails.
    """
    if settings.split is not None:
        return _compare_pieces(case, settings.split, settings)
    refused: tuple[RefusedEngine, ...] = ()
    if settings.engines:
        results = engine_pairs.run_engines(case, settings.engines)
    elif settings.expected is not None:
        alone = compute.run(case, settings.engine)
        results = {alone.engine: alone}
    else:
        results, refused = engine_pairs.run_all(case)
    weights = next((result.weights for result in results.values() if result.weights), {})
    outputs = next(iter(results.values())).outputs if results else ()
    cautions = tuple(find_cautions(case, weights, outputs))
    if settings.expected is not None:
        report = _compare_stored(results, settings)
        return report._replace(remarks=(*report.remarks, *cautions))
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
    return ComparisonReport(_answer(results, differences, settings, refused), cautions)


def compare_model(call: ModelCall, settings: Comparison, *, everything: bool = False) -> ComparisonReport:
    """Compare every chosen layer of a saved model with `settings.expected`, under the names of `run --model`.

    everything: include all layers that are not recurrent.
    """
    from rnncli.models.call import compute_tensors

    tensors = compute_tensors(call, settings.engine, everything=everything)
    found = _compare_stored({tensors.result.engine: tensors.result}, settings)
    return found._replace(remarks=(*tensors.notes, *found.remarks))


def _compare_stored(results: Mapping[str, Result], settings: Comparison) -> ComparisonReport:
    """Compare each result, by engine, with the tensors of `settings.expected`."""
    results = _select(results, settings)
    differences: list[TensorDifference] = []
    remarks: dict[Text, None] = {}
    for engine, result in results.items():
        assert settings.expected is not None
        own, left = settings.expected.compare(result.outputs, engine, settings.tolerances)
        differences += own
        remarks |= dict.fromkeys(left)
    return ComparisonReport(_answer(results, tuple(differences), settings), tuple(remarks))


def _compare_pieces(case: Case, steps: int, settings: Comparison) -> ComparisonReport:
    """Compare one call with pieces; the differences are rounding if they are within the tolerances."""
    whole = pieces.run_whole(case, steps, settings.engine)
    results = _select({whole.engine: whole}, settings)
    outputs = results[whole.engine].outputs

    def compare(*, stateful: bool) -> tuple[TensorDifference, ...]:
        joined = pieces.run_pieces(case, steps, whole, stateful=stateful)
        both = Message("one call"), Message("pieces of {steps}", steps=steps)
        return tuple(measure(tensor, joined[tensor.name], both, *settings.tolerances) for tensor in outputs)

    differences = compare(stateful=True)
    reasons: tuple[Text, ...]
    if all(difference.agrees for difference in differences):
        conclusion = ROUNDING if any(difference.absolute for difference in differences) else IDENTICAL
        reasons = (STATELESS,) if all(difference.agrees for difference in compare(stateful=False)) else ()
    else:
        conclusion, reasons = REAL, pieces.explain_difference(case)
    answer = dataclasses.replace(_answer(results, differences, settings), conclusion=conclusion)
    return ComparisonReport(answer, reasons)


def _select(results: Mapping[str, Result], settings: Comparison) -> dict[str, Result]:
    """Return the results with the tensors to compare.  Raises UsageError if a tolerance names another one."""
    found = {name: result_checks.select_tensors(one, settings.select) for name, one in results.items()}
    for result in found.values():
        tolerances.require_known(settings.tolerances, [tensor.name for tensor in result.outputs])
    return found


def _answer(
    results: Mapping[str, Result],
    differences: tuple[TensorDifference, ...],
    settings: Comparison,
    refused: tuple[RefusedEngine, ...] = (),
) -> CompareAnswer:
    engines = tuple(dict.fromkeys(name for result in results.values() for name in result.engines))
    header = dataclasses.replace(next(iter(results.values())), engines=engines)
    atol, rtol = map(tolerances.format_tolerance, settings.tolerances)
    return CompareAnswer(header, differences, (atol, rtol), refused)
