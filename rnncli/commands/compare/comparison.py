"""Compute what `rnncli compare` asks for, and show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rnncli import compute
from rnncli.case import Case
from rnncli.cli import expectation, request
from rnncli.cli.output import delivery
from rnncli.commands.compare import engine_pairs, pieces
from rnncli.commands.compare.answer import CompareAnswer
from rnncli.commands.compare.caution import find_cautions
from rnncli.commands.compare.engine_pairs import EngineResults
from rnncli.compute.compare import TensorDifference, measure
from rnncli.errors import UsageError
from rnncli.renderers.wording import Bilingual
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.cli.expectation import Expectation
    from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags, Shown
    from rnncli.commands.compare import CompareFlags

IDENTICAL = Bilingual(
    "one call and the pieces return exactly the same numbers",
    "한 번의 호출과 나눈 호출의 값이 완전히 같음",
)
ROUNDING = Bilingual(
    "the difference between one call and the pieces is rounding",
    "한 번의 호출과 나눈 호출의 차이는 반올림 오차",
)
REAL = Bilingual(
    "the difference between one call and the pieces is not rounding",
    "한 번의 호출과 나눈 호출의 차이는 반올림 오차가 아님",
)


class CompareRequest(NamedTuple):
    """The flags of one call of `rnncli compare`."""

    input: InputFlags
    layer: LayerFlags
    run: RunFlags
    wanted: CompareFlags
    output: OutputFlags
    shown: Shown
    select: tuple[str, ...]


def answer(asked: CompareRequest) -> None:
    """Compute, show the table, and raise DisagreementError if a tensor differs."""
    deliver = delivery(asked.output, asked.input, asked.layer, asked.run)
    names = _engines(asked)
    expected = _expectation(asked)
    if expected is not None and asked.run.model is not None and not names:
        found, remarks = _model_with_stored(asked, expected)
    else:
        case, remarks = request.case(asked.input, asked.layer, asked.run, **asked.shown._asdict())
        found, more = _compare(asked, case, names, expected)
        remarks += more
    deliver(found, remarks)
    expectation.demand_same(found.differences)


def _engines(asked: CompareRequest) -> tuple[str, ...]:
    """Return the engines of --engines; () if the flag is missing."""
    text, engine = asked.wanted.engines, asked.run.engine
    if text is None:
        if engine != "auto" and asked.wanted.expect is None and asked.wanted.split is None:
            raise UsageError(
                f"--engine {engine} names one engine, and two are needed for a comparison.",
                f"Name them: --engines {engine},{'tensorflow' if engine == 'numpy' else 'numpy'}",
            )
        return ()
    names = engine_pairs.parse_engines(text)
    if engine != "auto":
        raise UsageError("both --engine and --engines are given.", "Leave --engine out.")
    if len(names) == 1 and asked.wanted.expect is None:
        raise UsageError(
            f"--engines {text}: there is one engine, and nothing to compare it with.",
            f"Name two: --engines {text},{'tensorflow' if text == 'numpy' else 'numpy'}",
        )
    return names


def _expectation(asked: CompareRequest) -> Expectation | None:
    word = asked.wanted.expect
    return None if word is None else expectation.read_expectation(word, asked.input, asked.output.output)


def _compare(
    asked: CompareRequest, case: Case, names: Sequence[str], expected: Expectation | None
) -> tuple[CompareAnswer, request.Remarks]:
    engine = asked.run.engine
    if asked.wanted.split is not None:
        return _with_pieces(asked, case, asked.wanted.split)
    if expected is not None:
        found = engine_pairs.run_named(case, names) if names else _alone(compute.run(case, engine))
    else:
        found = engine_pairs.run_named(case, names) if names else engine_pairs.run_all(case)
    found = found._replace(results=_selected(asked, found.results))
    if expected is not None:
        return _with_stored(asked, case, found, expected)
    if len(found.results) < 2:
        reasons = "; ".join(f"{one.engine}: {one.reason}" for one in found.refused)
        able = ", ".join(found.results) or "no engine"
        raise UsageError(
            f"only {able} can compute this here ({reasons}).",
            "Compare with a stored result: --expect FILE.",
        )
    tolerances = asked.wanted.tolerances
    first = next(iter(found.results.values()))
    expectation.demand_known(tolerances, [tensor.name for tensor in first.outputs])
    differences = engine_pairs.compare_pairs(found.results, *tolerances)
    return _answer(asked, found, differences), _cautions(case, found.results.values())


def _alone(result: Result) -> EngineResults:
    return EngineResults({result.engine: result})


def _selected(asked: CompareRequest, results: Mapping[str, Result]) -> dict[str, Result]:
    return {name: request.select_tensors(result, asked.select) for name, result in results.items()}


def _answer(
    asked: CompareRequest,
    found: EngineResults,
    differences: tuple[TensorDifference, ...],
    conclusion: Bilingual | None = None,
) -> CompareAnswer:
    first = next(iter(found.results.values()))
    header = dataclasses.replace(first, engine=", ".join(found.results))
    atol, rtol = map(request.format_tolerance, asked.wanted.tolerances)
    return CompareAnswer(header, differences, (atol, rtol), found.refused, conclusion)


def _cautions(case: Case, results: Iterable[Result]) -> request.Remarks:
    """Return the notes on what a comparison cannot show."""
    return find_cautions(case, next((one.weights for one in results if one.weights), {}))


def _with_stored(
    asked: CompareRequest, case: Case, found: EngineResults, expected: Expectation
) -> tuple[CompareAnswer, request.Remarks]:
    differences: list[TensorDifference] = []
    remarks: dict[str, None] = {}
    for name, result in found.results.items():
        own, left = expected.compare(result.outputs, name, asked.wanted.tolerances)
        differences += own
        remarks |= dict.fromkeys(left)
    cautions = _cautions(case, found.results.values())
    return _answer(asked, found, tuple(differences)), (*remarks, *cautions)


def _with_pieces(asked: CompareRequest, case: Case, steps: int) -> tuple[CompareAnswer, request.Remarks]:
    """Compare one call with pieces; the differences are rounding if they are within the tolerances."""
    whole, joined = pieces.run_whole_and_pieces(case, steps, asked.run.engine)
    shown = request.select_tensors(whole, asked.select)
    tolerances = asked.wanted.tolerances
    expectation.demand_known(tolerances, [tensor.name for tensor in shown.outputs])
    sides = ("one call", f"pieces of {steps}")
    differences = tuple(measure(tensor, joined[tensor.name], sides, *tolerances) for tensor in shown.outputs)
    if all(one.agrees for one in differences):
        conclusion = ROUNDING if any(one.absolute for one in differences) else IDENTICAL
        remarks: request.Remarks = ()
    else:
        conclusion, reason = REAL, pieces.explain_difference(case.stack)
        remarks = (reason,) if reason else ()
    found = EngineResults({whole.engine: whole})
    return _answer(asked, found, differences, conclusion), remarks


def _model_with_stored(asked: CompareRequest, expected: Expectation) -> tuple[CompareAnswer, request.Remarks]:
    """Compare every chosen layer of a saved model, under the names that `run --model` gives."""
    from rnncli.cli import model_tensors, models

    models.demand_alone(asked.input, asked.layer, asked.run)
    asked.run.demand_model()
    model = models.open_model(asked.run.model or "", asked.run.assume)
    inputs, remarks = models.read_inputs(model, asked.input)
    returns = models.Returns(asked.layer.return_sequences, asked.layer.return_state)
    tensors = model_tensors.compute_tensors(
        model, inputs, returns, asked.run.engine, everything=asked.shown.all_layers
    )
    result = request.select_tensors(tensors.result, asked.select)
    differences, left = expected.compare(result.outputs, result.engine, asked.wanted.tolerances)
    return _answer(asked, _alone(result), differences), (*remarks, *tensors.notes, *left)
