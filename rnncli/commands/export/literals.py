"""Names, texts and numbers as scripts write them: no text of a model can become code.

Comments and text constants are printable ASCII; an array reads back equal to the last bit.
"""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.commands.export.export_case import ExportCase, ExportLayer, without_initializers
from rnncli.errors import format_names
from rnncli.specs import describe
from rnncli.values import Array

MAX_LITERAL = 50_000
"""Arrays of more numbers than this are embedded as base64 in Python scripts."""

PRINTS = "Prints each tensor that the layer returns: name and shape, then one row of numbers per line."


def as_comment(text: str) -> str:
    """Return printable ASCII that ends no comment of C, no line and no docstring, and begins no trigraph."""
    escaped = text.encode("unicode_escape").decode().replace('"', '\\"')
    return re.sub(r"\?(?=\?)|\*(?=/)|/(?=\*)", r"\g<0> ", escaped)


def title_of(exports: Sequence[ExportCase]) -> str:
    """Return the layers as a Keras script would write them; of a saved model, their names."""
    names = [layer.name for export in exports for layer in export.layers if layer.name]
    specs = (spec for export in exports for spec in export.case.stack)
    return as_comment(", ".join(names or (describe(without_initializers(spec)) for spec in specs)))


def left_out_of(exports: Sequence[ExportCase], start: str = "") -> str:
    """Return a line that names what the model has besides these layers; "" if nothing is left out."""
    names = format_names(exports[0].left_out)
    text = "Only the recurrent layers, each with the input that it gets in the model; left out:"
    return as_comment(f"{start}{text} {names}.") + "\n" if names else ""


def heading_of(layer: ExportLayer) -> str:
    """Return the layer with its name in a saved model, or its number in a stack."""
    number = f"Layer {layer.suffix[1:]}: " if layer.suffix else ""
    title = f"{layer.name}: " if layer.name else number
    return as_comment(f"{title}{describe(without_initializers(layer.spec))}")


def input_of(export: ExportCase, axes: str = "(batch, timesteps, features)") -> str:
    """Return a sentence about the input: its layer in a saved model, and its axes."""
    name = export.layers[0].name
    return as_comment(f"The input{f' of {name}' if name else ''}, {axes}.")


def python_text(text: str) -> str:
    """Return a string constant of Python, in printable ASCII."""
    escaped = text.encode("unicode_escape").decode().replace('"', '\\"')
    return f'"{escaped}"'


def c_text(text: str) -> str:
    """Return a string constant of C, in printable ASCII: UTF-8, each other byte as three octal digits.

    `?` is escaped too, because two of them begin a trigraph.
    """
    data = text.encode("utf-8", "backslashreplace")
    plain = {byte: chr(byte) for byte in range(32, 127) if byte not in b'"\\?'}
    return '"' + "".join(plain.get(byte, f"\\{byte:03o}") for byte in data) + '"'


def to_python(array: Array) -> str:
    """Return a NumPy expression for the array."""
    if array.size > MAX_LITERAL:
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
        text = base64.b64encode(data.tobytes()).decode()
        return f'decode("{text}", "{array.dtype}", {array.shape})'
    form: dict[str, Any] = {"separator": ", ", "floatmode": "unique", "max_line_width": 100}
    text = np.array2string(array, threshold=array.size + 1, **form)
    if "\n" not in text:
        return f'np.array({text}, "{array.dtype}")'
    return f'np.array(\n{textwrap.indent(text, "    ")},\n    "{array.dtype}",\n)'


def to_c(array: Array, suffix: str) -> str:
    """Return a C initializer.  suffix: of its constants, `f` for float."""
    if array.ndim == 1:
        return "{" + ", ".join(c_number(value, suffix) for value in array) + "}"
    rows = ",\n".join(textwrap.indent(to_c(row, suffix), "    ") for row in array)
    return f"{{\n{rows}\n}}"


def c_number(value: Any, suffix: str) -> str:
    """Return a constant of C: a number of NumPy or Python.  suffix: see to_c."""
    if isinstance(value, np.bool_):
        return "1" if value else "0"
    if not np.isfinite(value):
        name = "NAN" if np.isnan(value) else "INFINITY"
        return f"-{name}" if value < 0 else name
    text = str(value)
    return f"{text if any(sign in text for sign in '.e') else f'{text}.0'}{suffix}"
