"""The same case in several engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from rnncli import compute
from rnncli.compute import engines
from rnncli.compute.compare import TensorDifference, Tolerance, measure
from rnncli.errors import EngineError, Message, Text, UsageError, did_you_mean, join
from rnncli.layers.case import Case
from rnncli.result import Result


class RefusedEngine(NamedTuple):
    """An engine that cannot compute a case.  reason: a clause."""

    engine: str
    reason: Text


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
