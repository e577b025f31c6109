"""`rnncli compare`: engines with each other, or results with a stored one or with consecutive pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnncli.errors import Flag, UsageError

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.checks import Expectation
    from rnncli.commands.compare.answer import CompareAnswer
    from rnncli.compute.compare import TolerancePair
    from rnncli.show.answer import Reply

EXAMPLES = """\
rnncli compare --layer lstm --engines numpy,tensorflow --seed 1
rnncli compare data.csv --layer lstm --seed 1 --expect expected.npz
rnncli compare --layer gru --return-sequences --input-shape 1,25,4 --split 10
rnncli compare --layer lstm --return-state --atol last_cell_state=1e-4
rnncli compare x.npy --model model.keras --with model.onnx
rnncli compare ragged --pad post --layer bilstm --alone
"""


def compare(
    ask: Ask,
    *,
    engines: str | None,
    other: str | None,
    mapping: list[str] | None,
    expect: str | None,
    split: int | None,
    alone: bool,
    atol: list[str] | None,
    rtol: list[str] | None,
    select: list[str] | None,
) -> Reply[CompareAnswer]:
    """Do engines agree? Do two models? Does a result match a stored one?

    One row per tensor and pair, with the largest difference; exit 1 if a number is outside the tolerances.
    """
    from rnncli.commands import checks
    from rnncli.commands.checks import parse_tolerances

    tolerances = parse_tolerances(atol, rtol)
    options = {"engines": engines, "expect": expect, "split": split, "select": select}
    if alone:
        from rnncli.commands.compare.alone import compare_alone

        reply = compare_alone(ask, tolerances, {**options, "other": other, "mapping": mapping})
        failure = checks.find_difference(reply.answer.differences) or reply.failure
        return reply._replace(failure=failure)
    if other is not None or (mapping and expect is None):
        from rnncli.commands.compare import models

        models.require_alone(ask, other, options)
        return models.compare_models(ask, {"model": other}, tolerances, models.parse_mapping(mapping))
    require_one_kind(engines, expect, split)
    expected = checks.read_expectation(expect, ask)
    if expected is not None and mapping:
        from rnncli.commands.compare.models import parse_mapping

        expected = expected.with_names(parse_mapping(mapping))
    reply = compute_report(ask, tolerances, engines, expected, split, select)
    return reply._replace(failure=checks.find_difference(reply.answer.differences))


def require_one_kind(engines: object, expect: object, split: int | None) -> None:
    """Raise UsageError for two kinds of comparison that exclude each other."""
    if split is not None and (engines is not None or expect is not None):
        raise UsageError(
            "{--split} compares one engine with itself, not with {given}.",
            "Leave {--split} or {given} out; {--engine} chooses the engine for {--split}.",
            given=Flag("--engines" if engines is not None else "--expect"),
        )


def compute_report(
    ask: Ask,
    tolerances: TolerancePair,
    engines: str | None,
    expected: Expectation | None,
    split: int | None,
    select: Sequence[str] | None,
) -> Reply[CompareAnswer]:
    """Return the answer with remarks.

    engines: their names, with commas between.  expected: what to compare with, instead of engines.
    split: time steps of a piece, to compare one engine with itself.
    """
    from rnncli.ask import subject_of
    from rnncli.commands.compare import comparison, engine_pairs

    alone = expected is not None or split is not None
    chosen = engine_pairs.choose_engines(engines, ask.engine, alone=alone)
    names = tuple(select or ())
    subject = subject_of(ask)
    if expected is not None:
        expected = expected.beside(subject, ask, select)
    settings = comparison.Comparison(tolerances, chosen, ask.engine, expected, split, names)
    if expected is not None and not chosen:
        return comparison.compare_with_stored(subject.compute(), settings)
    parts = subject.parts(alone=True, one_call=split is not None)
    report = comparison.compare_case(parts.case, settings)
    return report._replace(remarks=(*parts.remarks, *report.remarks))
