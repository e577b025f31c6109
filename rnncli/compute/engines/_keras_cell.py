"""A cell written as equations as a cell of Keras, computed by Keras's own operations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

from rnncli.cells import activations
from rnncli.cells.evaluate import columns_of, evaluate
from rnncli.cells.text import CellText
from rnncli.cells.tree import Index, Name, Node, Reshape, Shift
from rnncli.layers.layer import INITIALIZED_BY
from rnncli.layers.recurrent import Cell
from rnncli.values import Spec
from rnncli.values import sizes as sizes_of

_TEXTS: dict[str, CellText] = {}
"""The cells made in this process, by their text: Bidirectional copies its layer through a config."""


def make_cell(keras: Any, spec: Spec, argument: Callable[[str, Any], Any]) -> Any:
    """Return the cell of a spec.  argument: converts an option, or an initializer, by its name."""
    assert spec.equations is not None
    _TEXTS[spec.equations.written] = spec.equations
    options = {name: argument(name, value) for name, value in spec.config.items()}
    arguments = {name: options.pop(name) for name in ("name", "trainable", "dtype") if name in options}
    return _cell_class(keras, argument)(spec.equations.written, options, **arguments)


@cache
def _cell_class(keras: Any, argument: Callable[[str, Any], Any]) -> Any:
    dropout = next(base for base in keras.layers.SimpleRNNCell.__mro__ if base.__name__ == "DropoutRNNCell")
    scope = {"keras": keras, "argument": staticmethod(argument)}
    cell_class = type("EquationCell", (_EquationCell, keras.layers.Layer, dropout), scope)
    return keras.saving.register_keras_serializable("rnncli")(cell_class)


_Layer: Any = object
"""In place of Keras's layer, which is loaded only when a cell is made."""


class _EquationCell(_Layer):  # type: ignore[misc]
    """One step of the equations, with the weights of rnncli's own cell, in the same order.

    options: a dict beside Keras's arguments, because an option of the cell may be called `self`.
    """

    keras: Any
    argument: Callable[[str, Any], Any]

    def __init__(self, equations: str, options: dict[str, Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        text = _TEXTS[equations]
        self.text, self.options, self.units = text, {**options}, options["units"]
        self.output_size = self.units
        ours = self.ours = Cell(Spec(text.class_name, self.options, equations=text))
        self.measure(None)
        self.functions = activations.array_functions(self.keras.ops) | {
            name: self.keras.activations.get(options[name])
            for name, value in text.options.items()
            if isinstance(value, str)
        }
        if ours.dropout_seed_is_first:
            self.seed_generator = self.keras.random.SeedGenerator(options["seed"])
        self.initializers: dict[str, Any] = {}
        for name, value in ours.all_initializers().items():  # in the order of the weights, as of their seeds
            if option := INITIALIZED_BY.get(name):
                self.initializers[name] = self.options[option] = self.keras.initializers.get(value)
            else:
                value = self.argument(f"{name}_initializer", value)
                self.initializers[name] = self.keras.initializers.get(value)
        self.dropout, self.recurrent_dropout = options["dropout"], options["recurrent_dropout"]
        if not ours.dropout_seed_is_first:
            self.seed_generator = self.keras.random.SeedGenerator(options["seed"])

    def measure(self, features: int | None) -> None:
        """Set the sizes, the equations without names of axes, and the sizes of the states."""
        self.sizes, self.lines = self.ours.sizes(features), self.ours.lowered(features)
        self.state_size = [
            prod(size or 0 for size in shape) for _, shape in self.ours.state_shapes(features).values()
        ]

    def build(self, input_shape: Any) -> None:
        ours = self.ours
        self.measure(input_shape[-1])
        self.values = {}
        for name, shape in ours.weight_shapes(tuple(input_shape)).items():
            runs = [(self.initializers[part], columns) for part, columns in ours.runs(name)]

            def fill(shape: Any, dtype: Any = None, runs: Any = runs) -> Any:
                filled = [part((*shape[:-1], columns), dtype=dtype) for part, columns in runs]
                return self.keras.ops.concatenate(filled, axis=-1)

            initializer: Any = fill if runs else self.initializers[name]
            if name in ours.factors:
                self.initializers[name].scale = float(prod(sizes_of(shape[:-2])))
            self.values[name] = self.add_weight(shape=shape, name=name, initializer=initializer)
        self.built = True

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        start = self.text.initial
        return [
            self.keras.ops.full((batch_size, size), start.get(state, 0.0), dtype=self.compute_dtype)
            for state, size in zip(self.text.states, self.state_size, strict=True)
        ]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        inputs_mask = self.get_dropout_mask(inputs) if training else None
        row_mask = self.get_recurrent_dropout_mask(states[0]) if training else None
        x = inputs if inputs_mask is None else inputs * inputs_mask
        flat = dict(zip(self.text.states, states, strict=True))
        before = {name: self._shape(name, state) for name, state in flat.items()}
        after: dict[str, Any] = {}

        for line, node in self.lines.items():

            def read(name: Name, line: str = line) -> Any:
                if name.kind == "input":
                    start, width = self.sizes.inputs[name.name]
                    return x[:, start : start + width]
                if name.kind:
                    return before[name.name] if name.kind == "before" else after[name.name]
                return x if name.name == "x" else self._columns(name.name, line)

            def product(_: Node, value: Any, weight: Name, line: str = line) -> Any:
                masked = weight.name == "recurrent_kernel" and row_mask is not None
                value = value * row_mask if masked else value
                return self.keras.ops.matmul(value, self._columns(weight.name, line))

            computed = evaluate(node, read, self._call, product, self._move)
            if isinstance(computed, float):  # a function of Keras would take it for a scalar of float32
                computed = self.keras.ops.full((1,), computed, self.compute_dtype)
            if line in before:
                computed = self.keras.ops.broadcast_to(computed, self.keras.ops.shape(before[line]))
            after[line] = computed
        returned = [self.keras.ops.reshape(after[name], (-1, size)) if self.text.has_axes else after[name]
                    for name, size in zip(self.text.states, self.state_size, strict=True)]  # fmt: skip
        return returned[0], returned

    def _shape(self, state: str, flat: Any) -> Any:
        shape = self.sizes.shape(self.sizes.axes[state])
        return self.keras.ops.reshape(flat, (-1, *shape)) if len(shape) > 1 else flat

    def _move(self, node: Any, *given: Any) -> Any:
        """Return the value of a Reshape, Einsum, Shift or Index."""
        ops = self.keras.ops
        match node:
            case Index(size):
                return ops.cast(ops.arange(size), self.compute_dtype)
            case Shift():
                start = ops.shape(given[0])[:1]
                entry = ops.broadcast_to(given[1], (*start, *ops.shape(given[1])[-node.rank :]))
                return ops.concatenate([given[0][:, 1:], entry], axis=1)
            case Reshape(_, before, order, shape):
                lead = len(given[0].shape) - len(before)
                moved = [*range(lead), *(lead + axis for axis in order)]
                return ops.reshape(ops.transpose(given[0], moved), (*([-1] * lead), *shape))
        left, right, after = node.subscripts
        marks = ["Z" * (len(part.shape) - len(axes)) for part, axes in zip(given, (left, right), strict=True)]
        return ops.einsum(f"{marks[0]}{left},{marks[1]}{right}->{max(marks)}{after}", *given)

    def _call(self, function: str, given: list[Any]) -> Any:
        if function not in self.functions:
            self.functions[function] = self.keras.activations.get(function)
        return self.functions[function](*given)

    def _columns(self, weight: str, line: str) -> Any:
        return columns_of(self.text, weight, line, self.values, self.sizes)

    def get_config(self) -> dict[str, Any]:
        options = {
            name: self.keras.initializers.serialize(value) if name.endswith("_initializer") else value
            for name, value in self.options.items()
        }
        return {**super().get_config(), "equations": self.text.written, "options": options}
