"""`rnncli compare`: engines with each other, or results with a stored one or with consecutive pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.output import OutputFlags

EXAMPLES = """\
rnncli compare --layer lstm --engines numpy,tensorflow --seed 1
rnncli compare data.csv --layer lstm --seed 1 --expect expected.npz
rnncli compare --layer gru --return-sequences --input-shape 1,25,4 --split 10
rnncli compare --layer lstm --return-state --atol last_cell_state=1e-4
"""


def compare(
    ask: Ask,
    output: OutputFlags,
    *,
    engines: str | None,
    expect: str | None,
    split: int | None,
    atol: list[str] | None,
    rtol: list[str] | None,
    select: list[str] | None,
) -> None:
    """Do engines agree? Does a result match a stored one?

    One row per tensor and pair, with the largest difference; exit 1 if a number is outside the tolerances.
    """
    from rnncli.cli import expectation, request
    from rnncli.cli.output import delivery
    from rnncli.cli.tolerances import parse_tolerances
    from rnncli.commands.compare import comparison, engine_pairs

    tolerances = parse_tolerances(atol, rtol)
    comparison.require_one_kind(engines, expect, split)
    deliver = delivery(output, ask.files)
    alone = expect is not None or split is not None
    settings = comparison.Comparison(
        tolerances,
        engine_pairs.choose_engines(engines, ask.engine, alone=alone),
        ask.engine,
        expectation.read_expectation(expect, ask, output.output),
        split,
        tuple(select or ()),
    )
    if ask.model is not None and settings.expected is not None and not settings.engines:
        from rnncli.cli import models

        report = comparison.compare_model(models.read_call(ask), settings, everything=ask.all_layers)
    else:
        case, remarks = request.case(ask, one_call=split is not None)
        report = comparison.compare_case(case, settings)
        report = report._replace(remarks=(*remarks, *report.remarks))
    deliver(report.answer, report.remarks)
    expectation.require_same(report.answer.differences)
