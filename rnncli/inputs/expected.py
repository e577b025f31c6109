"""Stored results, which --expect compares with: tensors by name, or one tensor without a name."""

from __future__ import annotations

from collections.abc import Mapping

from rnncli.case import Array, format_shape
from rnncli.errors import InputError, Message, Text, UsageError, format_names, inside
from rnncli.inputs import formats, nested, rnncli_output
from rnncli.inputs.source import Source

FORMATS = ("json", "npz", "npy", "safetensors")
ADVICE = Message(
    "Give {formats} or {last}, such as rnncli run -o expected.npz writes.",
    formats=", ".join(FORMATS[:-1]),
    last=FORMATS[-1],
)
ALONE = ""
"""The name of a tensor whose file does not name it."""


def read_expected(source: Source) -> dict[str, Array]:
    """Read the tensors by name, in the order of the file; one that has no name is under "".

    JSON may be rnncli's own output, of a run or of a trace, an object of nested lists, or one nested list.
    Raises InputError if the source cannot be read or holds no tensors.
    """
    format_name = formats.detect_format(source, advice=ADVICE)
    with inside(source.name):
        if format_name not in FORMATS:
            raise InputError(
                "rnncli cannot read stored tensors from {format_name}.", ADVICE, format_name=format_name
            )
        value = formats.load(source, format_name)
        if not isinstance(value, Mapping):
            return {ALONE: nested.to_tensor(value, kinds="fiub")}
        if "schema" in value:
            return rnncli_output.read_tensors(value)
        if not value:
            raise InputError("it holds no tensors.", "Write them by name: rnncli run -o expected.npz")
        return {name: nested.to_tensor(item, name, kinds="fiub") for name, item in value.items()}


def match_names(
    expected: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], file: Text, command: str = "run"
) -> tuple[dict[str, Array], tuple[Text, ...]]:
    """Return the stored tensors under the names of a result, with remarks on tensors without a partner.

    shapes: of the result's tensors, by name.  A batch axis of 1 is added where it is missing.
    command: the one that stores such tensors.
    Raises UsageError if a tensor without a name could be one of several, InputError if no name is known.
    """
    import numpy as np

    names = list(shapes)
    if set(expected) in ({ALONE}, {"arr_0"}):
        if len(names) > 1:
            raise UsageError(
                "{--expect:file}: it holds one tensor without a name, and there are {names}.",
                "Choose one: {--select:name}",
                file=file,
                names=format_names(names),
                name=names[0],
            )
        expected = dict(zip(names, expected.values(), strict=True))
    common = {name: expected[name] for name in names if name in expected}
    if not common:
        with inside(file):
            raise InputError(
                "it holds {expected}, but the result has {names}.",
                "Store the tensors under these names, as `rnncli {command} -o expected.npz` does.",
                expected=format_names(list(expected)),
                names=format_names(names),
                command=command,
            )
    lacking = [name for name in names if name not in expected]
    extra = [name for name in expected if name not in names]
    remarks: list[Text] = []
    if lacking:
        note = (
            "not compared: {lacking} ({file} lacks it)"
            if len(lacking) == 1
            else "not compared: {lacking} ({file} lacks them)"
        )
        remarks.append(Message(note, lacking=format_names(lacking), file=file))
    if extra:
        note = (
            "not compared: {extra} (only {file} has it)"
            if len(extra) == 1
            else "not compared: {extra} (only {file} has them)"
        )
        remarks.append(Message(note, extra=format_names(extra), file=file))
    for name, array in common.items():
        if (1, *array.shape) == shapes[name]:
            common[name] = np.asarray(array)[None]
            change = f"{format_shape(array.shape)} -> {format_shape(common[name].shape)}"
            remarks.append(
                Message("{file}: {name}: added a batch axis: {change}", file=file, name=name, change=change)
            )
    return common, tuple(remarks)
