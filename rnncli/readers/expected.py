"""Stored results, which --expect compares with: tensors by name, or one tensor without a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnncli.case import Array, format_shape
from rnncli.errors import InputError, UsageError, format_names, inside, with_path_prefix
from rnncli.readers import formats
from rnncli.readers.printed_output import has_values
from rnncli.readers.source import Source
from rnncli.result import STATUSES
from rnncli.specs import nested

FORMATS = ("json", "npz", "npy", "safetensors")
ADVICE = f"Give {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, such as rnncli run -o expected.npz writes."
SCHEMA = "rnncli/1"
AGAIN = "Write it again: rnncli trace -f json"
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
        return _rnncli_output(value)
    found = {name: to_numbers(item, name) for name, item in value.items()}
    if not found:
        raise InputError("it holds no tensors.", "Write them by name: rnncli run -o expected.npz")
    return found


def to_numbers(value: Any, *path: str) -> Array:
    """Return an array of real numbers.  Raises InputError for anything else.

    path: of the value in its source.
    """
    with with_path_prefix(*path):
        array = value if hasattr(value, "dtype") else nested.to_array(value, nested.TENSOR)
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise InputError(f"has dtype {array.dtype}, not numbers.", "Save real numbers.", ())
    return array


def _rnncli_output(value: Mapping[str, Any]) -> dict[str, Array]:
    """Return the tensors in rnncli's own output of --format json."""
    if value["schema"] != SCHEMA:
        raise InputError(
            f"its schema is {nested.describe(value['schema'])}, not {SCHEMA}.",
            "Only what rnncli run or trace wrote with --format json can be compared.",
        )
    if isinstance(value.get("trace"), list) and value["trace"]:
        given = value.get("input")
        dtype = given.get("dtype") if isinstance(given, Mapping) else None
        return {name: _restore(array, dtype) for name, array in _trace(value["trace"]).items()}
    groups = [value, *_items(value, "calls")]
    outputs = [one for group in groups for one in _items(group, "outputs")]
    if not outputs or not all(map(has_values, outputs)):
        raise InputError(
            "it is rnncli's own output, without tensors.",
            "Use what rnncli run or trace wrote with --format json.",
        )
    return {
        one["name"]: _restore(to_numbers(one["values"], one["name"]), one.get("dtype")) for one in outputs
    }


def _restore(array: Array, dtype: Any) -> Array:
    """Return the floats that rnncli wrote in the shortest form that reads back as `dtype`.

    bfloat16, which NumPy lacks, and other dtypes stay as they were read.
    """
    return array.astype(dtype) if dtype in ("float16", "float32") and array.dtype.kind == "f" else array


def _items(value: Any, key: str) -> list[Any]:
    """Return the list under a key; an empty one if there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def _trace(steps: Any) -> dict[str, Array]:
    """Return the parts of a trace, (batch, steps, units), under the names that an .npz file has."""
    import numpy as np

    loops: dict[tuple[Any, Any], list[Any]] = {}
    for step in steps:
        if not isinstance(step, dict):
            raise InputError(f"trace holds {nested.describe(step)}, not a step.", AGAIN)
        loops.setdefault((step.get("layer"), step.get("direction")), []).append(step)
    layers = [layer for layer, _ in loops]
    found: dict[str, Array] = {}
    for (layer, direction), own in loops.items():
        path = f"{layer}/" if len(set(layers)) > 1 else ""
        path += f"{direction}/" if layers.count(layer) > 1 else ""
        parts = [_parts(step) for step in own]
        for name in parts[0]:
            rows = [to_numbers(one.get(name), path + name) for one in parts]
            if len({row.shape for row in rows}) > 1:
                raise InputError(f"{path}{name} differs in shape between time steps.", AGAIN)
            stacked = np.stack(rows, axis=1)
            found[path + name] = stacked[0] if name == "timestep" or name.endswith("/held") else stacked
    return found


def _parts(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of every part in one step.

    `timestep` and `forget/held`, which are the same for the whole batch, get a first axis of 1.
    """
    try:
        found = {
            f"{gate}/{part}": [[int(one) for one in values]] if part == "held" else values
            for gate, parts in step["gates"].items()
            for part, values in parts.items()
        }
        status = [STATUSES.index(word) for word in step["status"]]
        return {
            **found,
            **step["state"],
            "output": step["output"],
            "timestep": [step["timestep"]],
            "status": status,
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError("trace has a step that rnncli did not write.", AGAIN) from None


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
        remarks.append(f"not compared: {format_names(lacking)} ({file} lacks {_pronoun(lacking)})")
    if extra := [name for name in expected if name not in common]:
        remarks.append(f"not compared: {format_names(extra)} (only {file} has {_pronoun(extra)})")
    for name, array in common.items():
        if (1, *array.shape) == shapes[name]:
            common[name] = np.asarray(array)[None]
            change = f"{format_shape(array.shape)} -> {format_shape(common[name].shape)}"
            remarks.append(f"{file}: {name}: added a batch axis: {change}")
    return common, tuple(remarks)


def _pronoun(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
