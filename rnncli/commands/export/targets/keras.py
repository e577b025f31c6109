"""A Keras script: the layers, and their weights assigned to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.case import walk
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, without_initializers
from rnncli.commands.export.literals import as_comment, python_text, to_python
from rnncli.commands.export.targets import _python as python
from rnncli.errors import Message, Text
from rnncli.layers.stack import Stack
from rnncli.specs import to_script

SUFFIX = ".py"
BINARY = False


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why Keras cannot express it, or None."""
    if export.dtype not in ("float16", "float32", "float64"):
        return Message("NumPy has no {dtype}", dtype=export.dtype)
    return None


def write(exports: Sequence[ExportCase]) -> str:
    """Return the script."""
    plain = [without_initializers(spec) for export in exports for spec in export.case.specs]
    # As isort and ruff order them: LSTM before Bidirectional.
    names = sorted({spec.class_name for spec in walk(plain)}, key=lambda name: (not name.isupper(), name))
    imports = ["import keras", "import numpy as np", f"from keras.layers import {', '.join(names)}"]
    old = dict.fromkeys(definition for spec in plain if (definition := to_script(spec)[1]))
    how = "in Keras, with its weights and its input"
    functions = [*old, python.SHOW]
    return python.assemble(exports, how, imports, functions, map(_body, exports), apart=False)


def _body(export: ExportCase) -> Iterator[str]:
    yield from python.assign_input(export)
    pending = export.case.mask is not None
    for layer, made in zip(export.layers, Stack(export.case.specs).layers, strict=True):
        takes = pending and made.takes_mask
        yield ""
        yield from _layer(layer, mask=f"mask{export.suffix}" if takes else "")
        if layer.outputs:
            names = ", ".join(python_text(info.name) for info in layer.outputs)
            yield f"\nfor name, tensor in zip([{names}], tensors):"
            yield "    show(name, keras.ops.convert_to_numpy(tensor))"
        if layer is not export.layers[-1]:
            yield "x = tensors[0]"
        pending = pending and not takes


def _layer(layer: ExportLayer, *, mask: str) -> Iterator[str]:
    """Yield the lines that make and call one layer.  mask: the name of the one that it is called with."""
    if layer.name:
        yield f"# {as_comment(layer.name)}"
    name = f"layer{layer.suffix}"
    yield f"{name} = {to_script(without_initializers(layer.spec))[0]}"
    if layer.weights:
        yield f"{name}.build({layer.input_shape})"
        yield f"weights{layer.suffix} = ["
        for path, array in layer.weights.items():
            yield f"    # {path}"
            yield f"    {to_python(array)},".replace("\n", "\n    ")
        yield "]"
        yield f"for variable, value in zip({name}.trainable_variables, weights{layer.suffix}):"
        yield "    variable.assign(value)"
    options = f", mask={mask}" if mask else ""
    if any(cell.has_initial_states for loop in layer.loops for cell in loop.cells):
        yield f"initial_state{layer.suffix} = {_states(layer)}"
        options += f", initial_state=initial_state{layer.suffix}"
    yield f"tensors = keras.tree.flatten({name}(x{options}))"


def _states(layer: ExportLayer) -> str:
    """Return the initial states in the structure that Keras takes: RNN of several cells nests them."""
    parts: list[str] = []
    for loop in layer.loops:
        for cell in loop.cells:
            own = [f"keras.ops.array({to_python(array)})" for array in cell.states.values()]
            parts += [f"[{', '.join(own)}]"] if hasattr(loop.layer.cell, "cells") else own
    return f"[{', '.join(parts)}]"
