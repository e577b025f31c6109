"""Arrays as text that reads back the same, to the last bit."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from rnncli.case import Array
from rnncli.commands.export import comments
from rnncli.commands.export.export_case import ExportCase, ExportLayer

MAX_LITERAL = 50_000
"""Arrays of more numbers than this are embedded as base64 in Python scripts."""

WIDTH = 100


def to_python(array: Array) -> str:
    """Return a NumPy expression for the array."""
    if array.size > MAX_LITERAL:
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
        text = base64.b64encode(data.tobytes()).decode()
        return f'decode("{text}", "{array.dtype}", {array.shape})'
    text = np.array2string(
        array, separator=", ", threshold=array.size + 1, floatmode="unique", max_line_width=WIDTH
    )
    if "\n" not in text:
        return f'np.array({text}, "{array.dtype}")'
    return f'np.array(\n{textwrap.indent(text, "    ")},\n    "{array.dtype}",\n)'


DECODE = '''\
def decode(text, dtype, shape):
    """The array whose bytes are written in base64."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
'''

SHOW = '''\
def show(name, values):
    """Print the name and shape, then the numbers, one row per line."""
    print(name, *values.shape)
    for row in values.reshape(-1, values.shape[-1]):
        print(*row)
'''


PRINTS = "Prints each tensor that the layer returns: name and shape, then one row of numbers per line."


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


def docstring_of(exports: Sequence[ExportCase], how: str) -> str:
    """Return the docstring of a Python script.  how: `in NumPy: Keras's numbers without Keras`."""
    return f'"""{comments.title_of(exports)} {how}.\n\n{PRINTS}\n"""\n'


def assign_input(export: ExportCase) -> Iterator[str]:
    """Yield the lines of Python that set `x` and the mask."""
    yield f"# {comments.input_of(export)}"
    yield f"x = {to_python(export.case.inputs)}"
    if export.case.mask is not None:
        yield "# True for the steps to process, (batch, timesteps)."
        yield f"mask{export.suffix} = {to_python(export.case.mask)}"


def shows(layer: ExportLayer, values: Sequence[str]) -> Iterator[str]:
    """Yield the lines that print what a layer returns.  values: expressions, in the layer's order."""
    for info, value in zip(layer.outputs, values, strict=False):
        yield f"show({python_text(info.name)}, {value})"


def python_helpers(body: str) -> tuple[list[str], list[str]]:
    """Return the standard modules and the definitions that the arrays of a script need."""
    modules, definitions = [], []
    if 'decode("' in body:
        modules.append("import base64")
        definitions.append(DECODE)
    if any(f"{sign}{name}" in body for sign in " [-" for name in ("nan", "inf")):
        definitions.append('nan, inf = float("nan"), float("inf")\n')
    return modules, definitions


def to_c(array: Array, suffix: str) -> str:
    """Return a C initializer.  suffix: of its constants, `f` for float."""
    if array.ndim == 1:
        return "{" + ", ".join(_c_number(value, suffix) for value in array) + "}"
    rows = ",\n".join(textwrap.indent(to_c(row, suffix), "    ") for row in array)
    return f"{{\n{rows}\n}}"


def _c_number(value: Array, suffix: str) -> str:
    if value.dtype == bool:
        return "1" if value else "0"
    if not np.isfinite(value):
        name = "NAN" if np.isnan(value) else "INFINITY"
        return f"-{name}" if value < 0 else name
    text = str(value)
    return f"{text if any(sign in text for sign in '.e') else f'{text}.0'}{suffix}"
