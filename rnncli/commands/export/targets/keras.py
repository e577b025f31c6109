"""A Keras script: the layers, and their weights assigned to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from math import prod

from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import (
    ExportCase,
    ExportCell,
    ExportLayer,
    functions_in,
    name_cells,
    without_initializers,
)
from rnncli.commands.export.literals import as_comment, to_python
from rnncli.commands.export.targets._python import LayerWriter
from rnncli.commands.export.targets._steps import (
    Language,
    common_calls,
    weight_shapes,
    write_class,
    write_step,
)
from rnncli.errors import Message, Text
from rnncli.layers import make
from rnncli.specs import OLD_DEFINITION, to_script
from rnncli.values import Spec, walk

SUFFIX = ".py"
BINARY = False

LANGUAGE = Language(
    "keras.ops.split({}, {}, axis=-1)",
    {
        **common_calls("keras.ops", "axis=-1, keepdims=True"),
        "hard_sigmoid_keras2": "hard_sigmoid_keras2({})",
        "row": "keras.ops.reshape({}, (1, -1))",
        "vector": "keras.ops.full((1, 1), {}, self.compute_dtype)",
        "as_state": "keras.ops.broadcast_to({}, keras.ops.shape({}))",
        "index": "keras.ops.arange({}, dtype=self.compute_dtype)",
    },
    "keras.activations.NAME({})",
    prefix="self.",
    returned="{first}, [{all}]",
    flat=True,
)
INITIALIZERS = {"recurrent_kernel": "orthogonal", "bias": "zeros"}


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why Keras cannot express it, or None."""
    if export.dtype not in ("float16", "float32", "float64"):
        return Message("NumPy has no {dtype}", dtype=export.dtype)
    return refusals.lacks_in_keras(export.case.stack)


def write(exports: Sequence[ExportCase]) -> str:
    """Return the script."""
    plain = [without_initializers(spec) for export in exports for spec in export.case.stack]
    kinds = {spec.class_name for spec in walk(plain) if spec.equations is None}
    names = sorted(kinds, key=lambda name: (not name.isupper(), name))  # as isort and ruff: LSTM before Dense
    classes = name_cells(exports, lambda cell: f"{cell.cell.text.name}Cell", names)
    old = dict.fromkeys(definition for spec in plain if (definition := to_script(spec)[1]))
    if any(cell.is_own and "hard_sigmoid_keras2" in functions_in(cell.lines) for _, cell in classes.values()):
        old[OLD_DEFINITION] = None
    writer = _KerasLayerWriter(classes)
    writer.imports = ["import keras", "import numpy as np", f"from keras.layers import {', '.join(names)}"]
    definitions = [_class(cell, name) for name, cell in classes.values() if cell.is_own]
    return writer.script(exports, [*old, *definitions])


class _KerasLayerWriter(LayerWriter):
    """Writes the layers as Keras's.

    pending: the input's mask, until a layer takes it.
    own: the cells of the layer that a user wrote, in the order of its spec.
    """

    own: Iterator[ExportCell]
    how, pending = "in Keras, with its weights and its input", ""
    language, shown = LANGUAGE, "keras.ops.convert_to_numpy({})"

    def body(self, export: ExportCase) -> Iterator[str]:
        self.pending = "" if export.case.mask is None else f", mask=mask{export.suffix}"
        return super().body(export)

    def values(self, layer: ExportLayer) -> Iterator[str]:
        return (f"tensors[{index}]" for index in count())

    def layer(self, layer: ExportLayer) -> Iterator[str]:
        cells = [(loop, cell) for loop in layer.loops for cell in loop.cells]
        self.own = iter([cell for _, cell in cells if cell.is_own])
        spec, name = without_initializers(layer.spec, self._named), f"layer{layer.suffix}"
        yield f"{name} = {to_script(spec)[0]}"
        if layer.weights:
            yield f"{name}.build({layer.input_shape})"
            yield f"weights{layer.suffix} = ["
            for path, array in layer.weights.items():
                yield f"    # {path}"
                yield f"    {to_python(array)},".replace("\n", "\n    ")
            yield "]"
            yield f"for variable, value in zip({name}.trainable_variables, weights{layer.suffix}):"
            yield "    variable.assign(value)"
        options = ""
        if make(layer.spec).takes_mask:
            options, self.pending = self.pending, ""
        if any(cell.has_initial_states for _, cell in cells):
            parts: list[str] = []
            for loop, cell in cells:  # RNN of several cells nests its states
                flat = [array.reshape(len(array), -1) for array in cell.states.values()]
                states = [f"keras.ops.array({to_python(array)})" for array in flat]
                parts += [f"[{', '.join(states)}]"] if hasattr(loop.layer.cell, "cells") else states
            yield f"initial_state{layer.suffix} = [{', '.join(parts)}]"
            options += f", initial_state=initial_state{layer.suffix}"
        yield f"tensors = keras.tree.flatten({name}(x{options}))"
        yield "x = tensors[0]"

    def _named(self, spec: Spec) -> Spec:
        """Return a user's cell as the class that the script defines for it; any other spec unchanged."""
        if spec.equations is None:
            return spec
        cell = next(self.own)
        options = ("dtype",) if cell.cell.text.has_axes else ("units", "dtype")
        config = {name: spec.config[name] for name in options}
        return replace(spec, class_name=self.named[cell.key][0], config=config)


def _class(cell: ExportCell, class_name: str) -> str:
    """Return a cell of Keras, which `keras.layers.RNN` and Bidirectional run, and copy by its config.

    Where axes have names, its sizes are numbers, and a state of any shape is flat outside `call`.
    """
    text = cell.cell.text
    counts = [str(prod(cell.shape(state))) if text.has_axes else "units" for state in cell.states]
    adding = []
    for weight, shape in weight_shapes(cell).items():
        usual = INITIALIZERS.get(weight, "zeros" if shape.count(",") == 1 and shape.endswith(",)") else "")
        initializer = f', initializer="{usual}"' if usual else ""
        name = cell.global_name(weight)
        adding.append(f'self.{name} = self.add_weight(shape={shape}, name="{name}"{initializer})')
    values = [f"{text.initial.get(state, 0.0)!r}" for state in cell.states]
    shapes = [f"(batch_size, {count})" if text.has_axes else "shape" for count in counts]
    start = ", ".join(
        f"keras.ops.full({shape}, {value}, self.compute_dtype)"
        for shape, value in zip(shapes, values, strict=True)
    )
    starting = [
        "def get_initial_state(self, batch_size=None):",
        *(() if text.has_axes else ("    shape = (batch_size, self.units)",)),
        f"    return [{start}]\n",
    ]
    configured = [
        "",
        "def get_config(self):",
        '    return {**super().get_config(), "units": self.units}\n',
    ]
    lines = [
        f"def __init__(self, {'' if text.has_axes else 'units, '}**options):",
        "    super().__init__(**options)",
        f"    {'' if text.has_axes else 'self.units = '}self.output_size = {counts[0]}",
        f"    self.state_size = [{', '.join(counts)}]\n",
        "def build(self, input_shape):",
        *(() if text.has_axes else ("    features, units = input_shape[-1], self.units",)),
        *(f"    {line}" for line in adding),
        "    self.built = True\n",
        *(starting if text.initial else ()),
        "def call(self, x, states):",
        *(f"    {line}" for line in write_step(cell, LANGUAGE)),
        *(() if text.has_axes else configured),
    ]
    head, title = "@keras.saving.register_keras_serializable()\n", as_comment(text.title)
    return head + write_class(class_name, "keras.layers.Layer", f"One time step of {title}.", lines)
