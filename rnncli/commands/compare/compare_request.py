"""The flags of `rnncli compare`: what they ask for is computed by comparison.py, and shown here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rnncli.cli import expectation, request
from rnncli.cli.output import delivery
from rnncli.commands.compare import comparison, engine_pairs
from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags, ShowFlags
    from rnncli.commands.compare import CompareFlags
    from rnncli.commands.compare.comparison import ComparisonReport


class CompareRequest(NamedTuple):
    """The flags of one call of `rnncli compare`."""

    input: InputFlags
    layer: LayerFlags
    run: RunFlags
    wanted: CompareFlags
    output: OutputFlags
    shown: ShowFlags
    select: tuple[str, ...]


def answer(asked: CompareRequest) -> None:
    """Compute, show the table, and raise DisagreementError if a tensor differs."""
    deliver = delivery(asked.output, asked.input, asked.layer, asked.run)
    asked.run.require_model()
    wanted = _comparison(asked)
    if asked.run.model is not None and wanted.expected is not None and not wanted.engines:
        found = _model_with_stored(asked, wanted)
    else:
        case, remarks = request.case(asked.input, asked.layer, asked.run, **asked.shown._asdict())
        found = comparison.compare_case(case, wanted)
        found = found._replace(remarks=(*remarks, *found.remarks))
    deliver(found.answer, found.remarks)
    expectation.require_same(found.answer.differences)


def _comparison(asked: CompareRequest) -> comparison.Comparison:
    """Return what the flags ask for.  Raises UsageError if there is nothing to compare."""
    wanted, engine = asked.wanted, asked.run.engine
    engines = () if wanted.engines is None else engine_pairs.parse_engines(wanted.engines)
    alone = wanted.expect is None and wanted.split is None
    single = engine if engine != "auto" else engines[0] if len(engines) == 1 else ""
    if engines and engine != "auto":
        raise UsageError("both --engine and --engines are given.", "Leave --engine out.")
    if alone and single:
        raise UsageError(
            f"{single} is one engine, and there is nothing to compare it with.",
            f"Name two: --engines {single},{'tensorflow' if single == 'numpy' else 'numpy'}",
        )
    expected = expectation.read_expectation(wanted.expect, asked.input, asked.output.output)
    return comparison.Comparison(wanted.tolerances, engines, engine, expected, wanted.split, asked.select)


def _model_with_stored(asked: CompareRequest, wanted: comparison.Comparison) -> ComparisonReport:
    """Compare every chosen layer of a saved model, under the names that `run --model` gives."""
    from rnncli.cli import model_inputs, model_tensors, models

    models.require_alone(asked.input, asked.layer, asked.run)
    model = models.open_model(asked.run.model or "", asked.run.assume)
    inputs, remarks = model_inputs.read_inputs(model, asked.input)
    returns = models.Returns(asked.layer.return_sequences, asked.layer.return_state)
    tensors = model_tensors.compute_tensors(
        model, inputs, returns, wanted.engine, everything=asked.shown.all_layers
    )
    found = comparison.compare_stored({tensors.result.engine: tensors.result}, wanted)
    return found._replace(remarks=(*remarks, *tensors.notes, *found.remarks))
