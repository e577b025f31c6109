"""`rnncli export`: the same layer as a script or file that gives the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.errors import LayerError, Message, Text, UsageError, format_names

if TYPE_CHECKING:
    from types import ModuleType

    from rnncli.ask import Ask, Remarks
    from rnncli.ask.subject import Subject
    from rnncli.commands.export.export_case import ExportCase, Names
    from rnncli.layers.case import Case
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli export --layer 'LSTM(3)' --seed 42 --to numpy
rnncli export data.csv --layer bigru --seed 42 --to c --output bigru.c
rnncli export ids.json --model model.keras --to torch --output layers.py
rnncli export --layer 'GRU(4)' --to onnx --output gru.onnx
"""


OWN_FILES = True
OPTIONS_ONLY = ("cell", "config", "latex")
"""Targets without numbers."""


def export(ask: Ask, output: OutputFlags, *, to: str | None) -> Reply[bytes]:
    """Write the layer as a script or file that gives the same numbers.

    A script holds the input, the weights and the initial states, and prints every returned tensor: its name
    and shape, then its numbers, one row per line.  A config holds the options alone, an ONNX model also the
    weights and the initial states.  With --model it writes the whole model where it knows each layer; else
    its recurrent layers, or those named after the #, each with the input, mask and initial states that it
    receives in the model, and says what it leaves out.
    """
    from rnncli import compute
    from rnncli.ask import subject_of
    from rnncli.commands.export import refusals, targets
    from rnncli.commands.export.export_case import build_export, join_layers
    from rnncli.show.answer import Reply

    name = _require_target(ask, to, output)
    target, options_only = targets.get(name), name in OPTIONS_ONLY
    subject = subject_of(ask)
    exports, remarks = _whole(subject, target, options_only=options_only) or ([], ())
    if not exports:
        uses, remarks, *_ = subject.parts(one_call=True, whole=True)
        for use in uses:
            use.case.require_one_call("export")
        if left_out := subject.left_out():
            text = (
                "only the recurrent layers are written, each with the input that it gets; left out: {names}"
            )
            remarks = (*remarks, Message(text, names=format_names(left_out)))
        cases: list[tuple[Case, Names]] = list(join_layers(uses)) if len(uses) > 1 else [(uses[0].case, {})]
        for case, names in cases:
            for reason, advice in refusals.find_obstacles(case, options_only=options_only):
                raise _refused(name, refusals.with_names(reason, names), advice)
            if not options_only:
                compute.require_mask(case)
        exports = [build_export(*pair, options_only=options_only, left_out=left_out) for pair in cases]
    if reason := target.refusal(exports):
        able = [other for other in targets.TARGETS if targets.get(other).refusal(exports) is None]
        advice = Message("Use one of {able}.", able=format_names(able))
        if not able:
            several = sum(len(export.layers) for export in exports if export.layers[0].name) > 1
            choice = Message("Choose different layers: {--model FILE#LAYER}.")
            advice = choice if several else Message("Use another layer.")
        raise _refused(name, reason, advice)
    data = target.write(exports)
    case = exports[0].case
    drawn = case.weights is None and ask.seed is None and not options_only
    notes = [Message("the weights are those of {--seed:seed}", seed=case.seed)] if drawn else []
    if name == "onnx" and any(export.case.mask is not None for export in exports):
        text = (
            "the mask is baked in: the model takes inputs of {batch} sequences and {steps} time steps, "
            "and always skips the same ones"
        )
        notes.append(Message(text, batch=case.inputs.shape[0], steps=case.inputs.shape[1]))
    return Reply(data.encode() if isinstance(data, str) else data, (*remarks, *notes))


def _require_target(ask: Ask, to: str | None, output: OutputFlags) -> str:
    from rnncli.commands.export import targets

    if to is None:
        names = format_names(tuple(targets.TARGETS))
        raise UsageError("export needs a target.", "Add {--to} and one of {names}.", names=names)
    target = targets.get(to)
    suffix = target.SUFFIX
    if target.BINARY and output.is_stdout:
        advice = "Name the file: {--output} FILE{suffix}."
        raise UsageError("{--to:to} writes a binary file.", advice, to=to, suffix=suffix)
    others = {targets.get(other).SUFFIX for other in targets.TARGETS} - {suffix}
    if (output.output or "").casefold().endswith(tuple(others)):
        what, advice = "{output}: {--to:name} writes a {own} file.", "Name the file: {--output} FILE{own}."
        raise UsageError(what, advice, output=output.output, name=to, own=suffix)
    if ask.engine != "auto":
        raise UsageError("{--engine} does not change the export.", "Leave {--engine} out.")
    if ask.calls > 1:
        raise UsageError("export writes one call of the layer.", "Leave {--calls} out.")
    return to


def _whole(
    subject: Subject, target: ModuleType, *, options_only: bool
) -> tuple[list[ExportCase], Remarks] | None:
    """Return a model as one export, and remarks; None if the target has no formula for one of its layers."""
    from rnncli.commands.export import refusals
    from rnncli.commands.export.export_case import build_export, name_layers

    whole = subject.chain()
    if (
        whole is None
        or len(whole.names) < 2
        or any(refusals.find_obstacles(whole.case, options_only=options_only))
    ):
        return None
    exports = [build_export(whole.case, name_layers(whole.names), options_only=options_only)]
    return None if target.refusal(exports) else (exports, whole.remarks)


def _refused(name: str, reason: Text, advice: Text) -> LayerError:
    return LayerError("{--to:name} cannot express this: {reason}.", advice, name=name, reason=reason)
