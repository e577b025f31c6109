"""Run `rnncli compare` with its flags: comparison.py computes the result, and this module shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.cli import expectation, request
from rnncli.cli.output import delivery
from rnncli.commands.compare import comparison, engine_pairs

if TYPE_CHECKING:
    from rnncli.commands.compare.compare_flags import CompareRequest


def answer(flags: CompareRequest) -> None:
    """Compute, show the table, and raise DisagreementError if a tensor differs."""
    deliver = delivery(flags.output, flags.input, flags.layer, flags.run)
    settings = _comparison(flags)
    if flags.run.model is not None and settings.expected is not None and not settings.engines:
        from rnncli.cli import models

        call = models.read_call(flags.input, flags.layer, flags.run)
        report = comparison.compare_model(call, settings, everything=flags.show.all_layers)
    else:
        once = settings.split is not None
        case, remarks = request.case(
            flags.input, flags.layer, flags.run, one_call=once, **flags.show._asdict()
        )
        report = comparison.compare_case(case, settings)
        report = report._replace(remarks=(*remarks, *report.remarks))
    deliver(report.answer, report.remarks)
    expectation.require_same(report.answer.differences)


def _comparison(flags: CompareRequest) -> comparison.Comparison:
    """Return the requested comparison.  Raises UsageError if there is nothing to compare."""
    options, engine = flags.comparison, flags.run.engine
    alone = options.expect is not None or options.split is not None
    engines = engine_pairs.choose_engines(options.engines, engine, alone=alone)
    expected = expectation.read_expectation(options.expect, flags.input, flags.output.output)
    select = tuple(flags.select or ())
    return comparison.Comparison(options.tolerances, engines, engine, expected, options.split, select)
