"""Read rnncli's own output of --format json, of a run or a trace; recognize its output for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rnncli.errors import InputError, Message, Text
from rnncli.inputs import nested
from rnncli.values import SCHEMA, STATUSES, Array

AGAIN = Message("Write it again: rnncli trace -f json")
ONLY_JSON = Message("Only what `rnncli run --format json` printed can be read back.")

_COLOUR = r"\x1b\[[\d;]*m"
_INPUT = r"(input|입력) \([\w, ]*\) b?float\d+\b|[\w, \[\]]+ = layer\(x\)$"
"""How the second line of a page begins."""
_NUMBER = r"\w+\[\d[\d, ]*\] = \S"
"""How a page of explain begins."""
_MARKUP = r"(?sm)<!DOCTYPE html>.*^:root \{ color-scheme: .*-{2}ink|<svg [^>]*rich-terminal"
"""How HTML and SVG begin.  `-{2}ink` is a variable of CSS; with two hyphens it would read as a flag."""
_COLUMNS = ({"name", "unit", "value"}, {"quantity", "unit", "value"}, {"kind", "name", "shape", "parameters"})
"""Columns of the CSV of results, of traces and of shapes."""


def is_rnncli_output(value: Mapping[str, Any]) -> bool:
    """Return whether an object is rnncli's own output."""
    return value.get("schema") == SCHEMA


def require_schema(value: Mapping[str, Any], advice: Text) -> None:
    """Raise InputError if the `schema` of an object is not SCHEMA."""
    if value["schema"] != SCHEMA:
        what = "its schema is {value}, not {schema}."
        raise InputError(what, advice, value=nested.describe(value["schema"]), schema=SCHEMA)


def read_outputs(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested lists of the outputs by name, in order.  Raises InputError if there are none."""
    outputs = _list_outputs([value], Message("Use the output of `rnncli run --format json`."))
    return {output["name"]: output["values"] for output in outputs}


def read_tensors(value: Mapping[str, Any]) -> dict[str, Array]:
    """Return the tensors of a run, of all its calls, or of a trace, by name.  Raises InputError."""
    require_schema(value, Message("Only what rnncli run or trace wrote with --format json can be compared."))
    if isinstance(value.get("trace"), list) and value["trace"]:
        given = value.get("input")
        dtype = given.get("dtype") if isinstance(given, Mapping) else None
        return {name: _restore(array, dtype) for name, array in _stack_steps(value["trace"]).items()}
    groups = [value, *_get_items(value, "calls")]
    outputs = _list_outputs(groups, Message("Use what rnncli run or trace wrote with --format json."))
    return {
        output["name"]: _restore(nested.to_tensor(output["values"], output["name"]), output.get("dtype"))
        for output in outputs
    }


def _list_outputs(groups: Sequence[Any], advice: Text) -> list[Any]:
    outputs = [output for group in groups for output in _get_items(group, "outputs")]
    # rnncli shape writes no values.
    complete = (
        isinstance(output, dict) and isinstance(output.get("name"), str) and "values" in output
        for output in outputs
    )
    if not outputs or not all(complete):
        raise InputError("it is rnncli's own output, without values of outputs.", advice)
    return outputs


def _get_items(value: Any, key: str) -> list[Any]:
    items = value.get(key) if isinstance(value, Mapping) else None
    return items if isinstance(items, list) else []


def _restore(array: Array, dtype: Any) -> Array:
    """The shortest form of a float reads back as its `dtype`; bfloat16, which NumPy lacks, stays as it is."""
    return array.astype(dtype) if dtype in ("float16", "float32") and array.dtype.kind == "f" else array


def _stack_steps(steps: list[Any]) -> dict[str, Array]:
    """Return the parts of a trace, (batch, steps, units), under the names that an .npz file has."""
    import numpy as np

    loops: dict[tuple[Any, Any], list[Any]] = {}
    for step in steps:
        if not isinstance(step, dict):
            raise InputError("trace holds {step}, not a step.", AGAIN, step=nested.describe(step))
        loops.setdefault((step.get("layer"), step.get("direction")), []).append(step)
    layers = [layer for layer, _ in loops]
    arrays: dict[str, Array] = {}
    for (layer, direction), group in loops.items():
        path = f"{layer}/" if len(set(layers)) > 1 else ""
        path += f"{direction}/" if layers.count(layer) > 1 else ""
        parts = [_read_parts(step) for step in group]
        for name in parts[0]:
            rows = [nested.to_tensor(numbers.get(name), path + name) for numbers in parts]
            if len({row.shape for row in rows}) > 1:
                raise InputError(
                    "{place}{name} differs in shape between time steps.", AGAIN, place=path, name=name
                )
            stacked = np.stack(rows, axis=1)
            arrays[path + name] = stacked[0] if name == "timestep" or name.endswith("/held") else stacked
    return arrays


def _read_parts(step: Mapping[str, Any]) -> dict[str, Any]:
    """`timestep` and `forget/held`, which are the same for the whole batch, get a first axis of 1."""
    try:
        gates = {
            f"{gate}/{part}": [[int(value) for value in values]] if part == "held" else values
            for gate, parts in step["gates"].items()
            for part, values in parts.items()
        }
        status = [STATUSES.index(word) for word in step["status"]]
        return {
            **gates,
            **step["state"],
            "output": step["output"],
            "timestep": [step["timestep"]],
            "status": status,
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError("trace has a step that rnncli did not write.", AGAIN) from None


def is_printed(text: str) -> bool:
    """Return whether a text begins as rnncli's own pages, tables, CSV, HTML or SVG do."""
    text = re.sub(_COLOUR, "", text[:10_000])
    lines = [line for line in text.splitlines() if line.strip()][:2]
    header = set(lines[0].split(",")) if lines else set()
    return (
        any(columns <= header for columns in _COLUMNS)
        or any(re.match(_NUMBER, line) for line in lines[:1])
        or any(re.match(_INPUT, line) for line in lines[1:])
        or re.match(_MARKUP, text) is not None
    )
