"""Stored results, which --expect compares with: tensors by name, or one tensor without a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnncli.case import Array, format_shape
from rnncli.errors import InputError, UsageError, format_names, inside
from rnncli.readers import formats, rnncli_output
from rnncli.readers.rnncli_output import to_numbers
from rnncli.readers.source import Source

FORMATS = ("json", "npz", "npy", "safetensors")
ADVICE = f"Give {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, such as rnncli run -o expected.npz writes."
ALONE = ""
"""The name of a tensor whose file does not name it."""


def read_expected(source: Source) -> dict[str, Array]:
    """Read the tensors by name, in the order of the file; one that has no name is under "".

    JSON may be rnncli's own output, of a run or of a trace, an object of nested lists, or one nested list.
    Raises InputError if the source cannot be read or holds no tensors.
    """
    format_name = formats.format_of(source.file(), ADVICE) if source.path else formats.sniff(source.content())
    with inside(source.name):
        if format_name not in FORMATS:
            raise InputError(f"rnncli cannot read stored tensors from {format_name}.", ADVICE)
        return _list_tensors(formats.load(source, format_name))


def _list_tensors(value: Any) -> dict[str, Array]:
    if not isinstance(value, Mapping):
        return {ALONE: to_numbers(value)}
    if "schema" in value:
        return rnncli_output.read_tensors(value)
    found = {name: to_numbers(item, name) for name, item in value.items()}
    if not found:
        raise InputError("it holds no tensors.", "Write them by name: rnncli run -o expected.npz")
    return found


def match_names(
    expected: Mapping[str, Array],
    names: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    file: str,
    command: str = "run",
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return the stored tensors under the names of a result, with remarks on those that have no partner.

    names: the tensors of the result, with their shapes.  A batch axis of 1 is added where it is missing.
    command: the one that stores such tensors.
    Raises UsageError if a tensor without a name could be one of several, InputError if no name is known.
    """
    import numpy as np

    if set(expected) in ({ALONE}, {"arr_0"}):
        if len(names) > 1:
            raise UsageError(
                f"--expect {file}: it holds one tensor without a name, and there are {format_names(names)}.",
                f"Choose one: --select {names[0]}",
            )
        expected = dict(zip(names, expected.values(), strict=True))
    common = {name: expected[name] for name in names if name in expected}
    if not common:
        with inside(file):
            raise InputError(
                f"it holds {format_names(list(expected))}, but the result has {format_names(names)}.",
                f"Store the tensors under these names, as `rnncli {command} -o expected.npz` does.",
            )
    remarks = []
    if lacking := [name for name in names if name not in common]:
        remarks.append(f"not compared: {format_names(lacking)} ({file} lacks {_choose_pronoun(lacking)})")
    if extra := [name for name in expected if name not in common]:
        remarks.append(f"not compared: {format_names(extra)} (only {file} has {_choose_pronoun(extra)})")
    for name, array in common.items():
        if (1, *array.shape) == shapes[name]:
            common[name] = np.asarray(array)[None]
            change = f"{format_shape(array.shape)} -> {format_shape(common[name].shape)}"
            remarks.append(f"{file}: {name}: added a batch axis: {change}")
    return common, tuple(remarks)


def _choose_pronoun(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
