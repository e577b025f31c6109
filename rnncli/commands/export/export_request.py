"""Build the export from the flags, and write it."""

from __future__ import annotations

from rnncli.ask import Ask, call_of
from rnncli.case import Case
from rnncli.commands.export import refusals, targets
from rnncli.commands.export.export_case import ExportCase, Names, build_export, join_layers
from rnncli.compute import call
from rnncli.errors import LayerError, Message, Text, UsageError, format_names, inside
from rnncli.models import SavedModel
from rnncli.models.graph import Graph, model_option
from rnncli.models.keras.choice import explain_hidden, runnable_layers
from rnncli.show.answer import Reply
from rnncli.show.formats import OutputFlags


def answer(ask: Ask, to: str | None, output: OutputFlags) -> Reply[bytes]:
    """Return the requested export.  to: the target.  Raises LayerError for what it cannot express."""
    name = _require_target(ask, to, output)
    target = targets.get(name)
    cases, remarks = _cases(ask)
    exports = [_export(name, case, names) for case, names in cases]
    reason = target.refusal(exports)
    if reason:
        able = [other for other in targets.TARGETS if targets.get(other).refusal(exports) is None]
        advice = Message("Use one of {able}.", able=format_names(able))
        if not able:
            several = sum(len(export.layers) for export in exports if export.layers[0].name) > 1
            choice = Message("Choose different layers: {--model FILE#LAYER}.")
            advice = choice if several else Message("Use another layer.")
        raise LayerError("{--to:name} cannot express this: {reason}.", advice, name=name, reason=reason)
    data = target.write(exports)
    case = cases[0][0]
    drawn = case.weights is None and ask.seed is None and name != "config"
    notes = (Message("the weights are those of {--seed:seed}", seed=case.seed),) if drawn else ()
    return Reply(data.encode() if isinstance(data, str) else data, (*remarks, *notes))


def _cases(ask: Ask) -> tuple[list[tuple[Case, Names]], tuple[Text, ...]]:
    """Return the cases, each with the names of its layers if they are several of a model, and remarks."""
    if ask.model is None:
        case, remarks = ask.case(one_call=True)
        return [(case, {})], remarks
    called = call_of(ask)
    _require_whole(called.model)
    parts, remarks = called.choose_parts()
    return list(join_layers(parts)) if len(parts) > 1 else [(parts[0].case, {})], remarks


def _require_whole(model: SavedModel) -> None:
    """Raise LayerError if layers that have or may have recurrent weights would be left out unasked."""
    graph = model.contents
    if model.names or not isinstance(graph, Graph):
        return
    others = runnable_layers(graph)  # none: the run says why
    for name, why in explain_hidden(graph).items() if others else ():
        choice = Message("Choose others: {option}", option=model_option(graph.file, others))
        with inside(graph.file):
            raise LayerError("{name} cannot be exported: {why}.", choice, name=name, why=why)


def _require_target(ask: Ask, to: str | None, output: OutputFlags) -> str:
    """Return the target.  Raises UsageError if there is none, or for a flag that does not fit it."""
    if to is None:
        raise UsageError(
            "export needs a target.",
            "Add {--to} and one of {names}.",
            names=format_names(tuple(targets.TARGETS)),
        )
    target = targets.get(to)
    own = target.SUFFIX
    if target.BINARY and output.is_stdout:
        raise UsageError(
            "{--to:to} writes a binary file.", "Name the file: {--output} FILE{suffix}.", to=to, suffix=own
        )
    others = {targets.get(other).SUFFIX for other in targets.TARGETS} - {own}
    if (output.output or "").casefold().endswith(tuple(others)):
        raise UsageError(
            "{output}: {--to:name} writes a {own} file.",
            "Name the file: {--output} FILE{own}.",
            output=output.output,
            name=to,
            own=own,
        )
    if ask.engine != "auto":
        raise UsageError("{--engine} does not change the export.", "Leave {--engine} out.")
    if ask.calls > 1:
        raise UsageError("export writes one call of the layer.", "Leave {--calls} out.")
    return to


def _export(name: str, case: Case, names: Names) -> ExportCase:
    """Return what the target writes.  Raises LayerError for a layer that no target can express.

    names: of the layers in a model, see build_export.
    """
    where, options_only = f"{', '.join(names)}: " if names else "", name == "config"
    for reason, advice in refusals.find_obstacles(case, options_only=options_only):
        raise LayerError(
            "{--to:name} cannot express this: {where}{reason}.", advice, name=name, where=where, reason=reason
        )
    if not options_only:
        call.require_mask(case)
    return build_export(case, names, options_only=options_only)
