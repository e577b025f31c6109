"""What JSON documents have: written as the documents are, with types in place of values.

    str, float | None, list[int]     a value
    {"name": str, "note?": str}      an object; a key that ends in `?` may be missing
    {str: int}                       an object with any keys
    [{"name": str}]                  a list
    [FIELDS]                         the objects of a Listing
    (STEP, LINE), ("a", "b")         one of several; one of several texts
    a named tuple, a dataclass       an object with its fields
    a function                       what it returns

`rnncli schema` writes the JSON Schema from it, and the tests hold every document to it.
"""

from __future__ import annotations

from typing import Any

from rnncli.values import SCHEMA

Document = dict[Any, Any]
Config = dict[str, Any]
"""A layer in Keras's form."""
Sizes = list[int | str | None]
"""A shape; an unknown size is null, a named one its name."""


class NestedNumbers:
    """An array of numbers, of any shape."""


class NestedTexts:
    """Lists of texts, of any shape."""


HEAD: Document = {"schema": SCHEMA, "version": str}
NAMES: Document = {"features?": list[str], "steps?": list[list[str]], "batch?": list[str]}
TENSOR: Document = {"shape": Sizes, "dtype": str}
INPUT_HEAD = TENSOR | NAMES
LAYERS: Document = {"expression": str | list[str], "layer": list[Config]}
"""Described layers: of one layer, or of each layer of a stack."""
CONDITIONS: Document = {"conditions?": dict[str, int | bool]}
ASSUMED: Document = {"assumed?": dict[str, Any]}
AGREEMENT: Document = {
    "object": str,
    "layer": str,
    "agrees": bool | None,
    "difference": float | None,
    "lacks": dict[str, str],
    "axes": dict[str, str],
}
ABOUT = CONDITIONS | ASSUMED | {"agreement?": AGREEMENT}
OF_LAYERS = HEAD | {"engine": str, "seed": int | None, "input": INPUT_HEAD, "hold?": list[str]} | ABOUT
"""What described layers computed."""
OF_MODEL = (
    HEAD
    | {"engine": str, "model": {"file": str, "origin": str}}
    | {"inputs": {str: TENSOR}, "masks": list[str]}
    | ABOUT
)
"""What a saved model computed."""
LAYERS_HEAD = OF_LAYERS | LAYERS
MODEL_HEAD = OF_MODEL | {"layers": dict[str, Config]}
LAYERS_LINE: Document = {
    "schema": SCHEMA,
    "line": int,
    "engine": str,
    "seed": int | None,
    "expression": str | list[str],
    "input?": NAMES,
} | CONDITIONS
MODEL_LINE: Document = {"schema": SCHEMA, "line": int, "engine": str, "model": {"file": str, "origin": str}}
"""The first entries of a computed result, and of a line of a stream."""
DIFFERENCES: Document = {"differences?": dict[str, float], "ulps?": dict[str, int]}
"""What --check found."""


def statistics_of_tensor() -> type:
    """Return what --stats says of a tensor, from a file that is imported only for the JSON Schema."""
    from rnncli.show.statistics import StatsDocument

    return StatsDocument


def results(body: Document) -> tuple[Document, ...]:
    """Return the documents of a computed result, of described layers or of a model."""
    return LAYERS_HEAD | body, MODEL_HEAD | body
