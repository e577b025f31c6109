"""A script of Keras: the layers as one writes them, with the weights assigned."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.export import literals
from rnncli.commands.export.export_case import (
    ExportCase,
    ExportCell,
    ExportLayer,
    specs_of,
    without_initializers,
)
from rnncli.specs import describe

SUFFIX = ".py"
BINARY = False

DTYPES = ("float16", "float32", "float64")


def refusal(export: ExportCase) -> str | None:
    """Return why Keras cannot express it, or None."""
    if export.dtype not in DTYPES:
        return f"NumPy has no {export.dtype}"
    for spec in specs_of(export.case.layers):
        if "hard_sigmoid_keras2" in spec.config.values():
            return "Keras 3 has no hard_sigmoid of Keras 2"
    return None


def write(export: ExportCase) -> str:
    """Return the script."""
    body = "\n".join(_body(export))
    modules, helpers = literals.python_helpers(body)
    plain = [without_initializers(spec) for spec in export.case.layers]
    names = {spec.class_name for spec in specs_of(plain)}
    head = [
        f'"""{export.title} in Keras, with its weights and its input.\n',
        'Prints each tensor that the layer returns: name and shape, then one row of numbers per line.\n"""\n',
        *modules,
        "import keras",
        "import numpy as np",
        f"from keras.layers import {', '.join(sorted(names))}",
    ]
    return "\n\n".join(["\n".join(head) + "\n", literals.SHOW, *helpers, body])


def _body(export: ExportCase) -> Iterator[str]:
    yield "# The input, (batch, timesteps, features)."
    yield f"x = {literals.to_python(export.case.inputs)}"
    pending = export.case.mask is not None
    if export.case.mask is not None:
        yield "# True for the steps that count, (batch, timesteps)."
        yield f"mask = {literals.to_python(export.case.mask)}"
    yield ""
    for layer, made in zip(export.layers, export.case.stack.layers, strict=True):
        takes = pending and made.takes_mask
        yield from _layer(layer, takes_mask=takes)
        yield "" if layer is export.layers[-1] else "x = tensors[0]\n"
        pending = pending and not takes
    names = ", ".join(f'"{info.name}"' for info in export.outputs)
    yield f"for name, tensor in zip([{names}], tensors):"
    yield "    show(name, keras.ops.convert_to_numpy(tensor))\n"


def _layer(layer: ExportLayer, *, takes_mask: bool) -> Iterator[str]:
    name = f"layer{layer.suffix}"
    yield f"{name} = {describe(without_initializers(layer.spec))}"
    if layer.weights:
        yield f"{name}.build({layer.input_shape})"
        yield f"weights{layer.suffix} = ["
        for path, array in layer.weights.items():
            yield f"    # {path}"
            yield f"    {literals.to_python(array)},".replace("\n", "\n    ")
        yield "]"
        yield f"for variable, value in zip({name}.trainable_variables, weights{layer.suffix}):"
        yield "    variable.assign(value)"
    options = ", mask=mask" if takes_mask else ""
    if any(cell.given for loop in layer.loops for cell in loop.cells):
        yield f"initial_state{layer.suffix} = {_states(layer)}"
        options += f", initial_state=initial_state{layer.suffix}"
    yield f"tensors = keras.tree.flatten({name}(x{options}))"


def _states(layer: ExportLayer) -> str:
    """Return the initial states in the structure that Keras takes: RNN of several cells nests them."""
    parts: list[str] = []
    for loop in layer.loops:
        nested = hasattr(loop.layer.cell, "cells")
        for cell in loop.cells:
            own = _tensors(cell)
            parts += [f"[{', '.join(own)}]"] if nested else own
    return f"[{', '.join(parts)}]"


def _tensors(cell: ExportCell) -> list[str]:
    return [f"keras.ops.array({literals.to_python(array)})" for array in cell.states.values()]
