"""Bidirectional: a layer run both forward and backward in time (Schuster and Paliwal 1997)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from rnncli import initializers, layers
from rnncli.cells.tree import Name, Node, Number, Operation, Sum
from rnncli.errors import LayerError, Message
from rnncli.layers.layer import (
    Draw,
    Layer,
    LayerCall,
    LayerEquation,
    LayerOutput,
    LoopRunner,
    join_parts,
    within,
)
from rnncli.layers.recurrent import RecurrentLayer
from rnncli.result import Claim, Label, TensorInfo
from rnncli.values import MERGE_MODES, Array, Option, Shape, Spec

_COMMON = ("return_sequences", "return_state", "stateful")


class Bidirectional(Layer):
    """Returns the merged outputs and, with return_state, the forward states, then the backward states.

    Keras copies the layer that it gets; an explicit backward_layer is not copied.
    """

    recurrent = True
    options: ClassVar[Mapping[str, Option]] = {
        "layer": Option("layer", required=True),
        "merge_mode": Option("choice", "concat", choices=(*MERGE_MODES[:-1], None)),
        "backward_layer": Option("backward"),
        "dtype": Option("dtype", "float32"),
    }

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        inner: Spec = spec.config["layer"]
        backward: Spec | None = spec.config["backward_layer"]
        for part in filter(None, (inner, backward)):
            if not issubclass(layers.class_of(part.class_name), RecurrentLayer):
                what = "Bidirectional({class_name}): {part} cannot be run in both directions."
                advice = "Put SimpleRNN, LSTM, GRU or RNN into it."
                raise LayerError(what, advice, class_name=inner.class_name, part=part.class_name)
        self._require_agreement(inner, backward)
        self.forward = self._make_direction(_copy(inner))
        self.backward = self._make_direction(backward or _copy(inner, go_backwards=True))
        mode, units, others = spec.config["merge_mode"], self.forward.cell.units, self.backward.cell.units
        if mode in ("sum", "mul", "ave") and units != others:
            what = (
                "Bidirectional: merge_mode {config!r} needs equal halves, but they have {units} and "
                "{other} units."
            )
            advice = "Give both the same units, or use merge_mode 'concat'."
            raise LayerError(what, advice, config=mode, units=units, other=others)
        self.forward_units = units if mode == "concat" else None
        self.sequences, self.returns_state = self.forward.sequences, self.forward.returns_state

    @property
    def loops(self) -> Mapping[str, RecurrentLayer]:
        return {"forward": self.forward, "backward": self.backward}

    @property
    def is_reversed(self) -> bool:
        """As in the forward layer: the backward output is always flipped to match it."""
        return self.forward.is_reversed

    @staticmethod
    def _require_agreement(inner: Spec, backward: Spec | None) -> None:
        backwards = inner.config["go_backwards"]
        same_direction = Message("Bidirectional: both of its layers would run in the same direction.")
        if backward is None:
            if backwards:
                raise LayerError(same_direction, "Leave go_backwards out.")
            return
        if backward.config["go_backwards"] == backwards:
            advice = Message("Write go_backwards={value} in backward_layer.", value=not backwards)
            raise LayerError(same_direction, advice)
        for name in _COMMON:
            value, other = inner.config[name], backward.config[name]
            if value != other:
                what = "Bidirectional: its layers differ in {name}, {config} forward and {backward} backward."
                raise LayerError(what, "Give both the same value.", name=name, config=value, backward=other)

    @staticmethod
    def _make_direction(spec: Spec) -> RecurrentLayer:
        # Keras overrides zero_output_for_mask in both layers.
        config = {**spec.config, "zero_output_for_mask": spec.config["return_sequences"]}
        return layers.make(Spec(spec.class_name, config, spec.deferred))  # type: ignore[return-value]

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return join_parts({name: layer.weight_shapes(input_shape) for name, layer in self.loops.items()})

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return one merged output, or one per direction with merge_mode none; then the states."""
        forward, backward = (layer.outputs(input_shape)[0] for layer in self.loops.values())
        if self.config["merge_mode"] is None:
            merged = [forward.with_place(direction="forward"), backward.with_place(direction="backward")]
        else:
            units = forward.shape[-1]
            if self.config["merge_mode"] == "concat":
                units = self.forward.cell.units + self.backward.cell.units
            ends = (*forward.ends, *backward.ends)
            merged = [forward._replace(shape=(*forward.shape[:-1], units), ends=ends)]
        return (*merged, *(self.states(input_shape) if self.returns_state else ()))

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        return tuple(
            info.with_place(direction=direction)
            for direction, layer in self.loops.items()
            for info in layer.states(input_shape)
        )

    def require_start(self) -> None:
        """Raise LayerError if the numbers of states differ.  To Keras, a cell in RNN's list is one state."""
        cells = (layer.cell for layer in self.loops.values())
        items, other = (len(getattr(cell, "cells", cell.state_labels)) for cell in cells)
        if items != other:
            what = (
                "Bidirectional: Keras splits the initial states in half, but its layers keep {items} "
                "and {other}."
            )
            advice = "Leave the initial state out, or use layers that keep the same number."
            raise LayerError(what, advice, items=items, other=other)

    def claims(self) -> dict[Label, tuple[Claim, ...]]:
        """Claim that each last state equals its half of a row: the last row forward, the first backward."""
        if not self.returns_state or self.config["merge_mode"] not in ("concat", None):
            return {}
        units, concat = self.forward.cell.units, self.config["merge_mode"] == "concat"
        claims: dict[Label, tuple[Claim, ...]] = {}
        ends = {"forward": (-1, slice(units)), "backward": (0, slice(units, None))}
        for direction, layer in self.loops.items():
            row, half = ends[direction]
            rows = (row,) if self.sequences else ()
            index = (slice(None), *rows, half if concat else slice(None)) if rows or concat else ()
            same = Claim(Label("hidden", self.sequences, direction="" if concat else direction), index)
            claims[layer.cell.output_state._replace(direction=direction)] = (same,)
        return claims

    def with_returns(self, **returns: bool) -> Spec:
        inner = {
            name: layers.make(self.config[name]).with_returns(**returns)
            for name in ("layer", "backward_layer")
            if self.config[name]
        }
        return replace(self.spec, config={**self.config, **inner})

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        """Return the equation of a number of one direction, or of the merged output."""
        mode, units = self.config["merge_mode"], self.forward.cell.units
        directions = [label.direction] if label.direction else list(self.loops)
        if mode == "concat" and not label.direction:
            second = index[-1] >= units
            directions = [directions[second]]
            index = (*index[:-1], index[-1] - units * second)
        at = dict.fromkeys(directions, index)
        if "backward" in at and label.sequence:
            at["backward"] = (index[0], input_shape[1] - 1 - index[1], index[2])
        entries = {name: self.loops[name].entry(label, at[name], input_shape, name) for name in directions}
        parts: list[Node] = [Name(name) for name in directions]
        if len(parts) == 1:
            return LayerEquation(parts[0], entries)
        if mode == "mul":
            return LayerEquation(Operation("*", *parts), entries)
        shares = [Operation("*", Number(0.5), part) for part in parts] if mode == "ave" else parts
        return LayerEquation(Sum(tuple((1, share) for share in shares)), entries)

    def initializers(self) -> dict[str, Any]:
        return join_parts({name: layer.initializers() for name, layer in self.loops.items()})

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """The layers passed as arguments take seeds first, in the order written.

        Keras then discards `layer`, and its copies take new seeds.
        """
        backward: dict[str, int] = {}
        for name in self.config:
            if name == "layer":
                layers.make(self.config["layer"]).take_seeds(draw)
            elif name == "backward_layer" and self.config[name]:
                backward = self.backward.take_seeds(draw)
        forward = self.forward.take_seeds(draw)
        return join_parts({"forward": forward, "backward": backward or self.backward.take_seeds(draw)})

    def call(self, runner: LoopRunner, call: LayerCall) -> LayerOutput:
        states, count = call.initial_state, len(self.forward.states(call.inputs.shape))
        parts = (states[:count], states[count:]) if states else (None, None)
        returned = []
        for (name, layer), part in zip(self.loops.items(), parts, strict=True):
            weights, place = within(call.weights, name), call.place.inside(name, name)
            inner = call._replace(weights=weights, place=place, initial_state=part)
            returned.append(layer.call(runner, inner))
        forward, backward = returned
        first, second = forward.tensors[0], backward.tensors[0]
        second = second[:, ::-1] if self.sequences else second
        merged = self.merge(self.config["merge_mode"], first, second)
        return LayerOutput((*merged, *forward.tensors[1:], *backward.tensors[1:]), forward.mask)

    def next_mask(self, inputs: Array | None, mask: Array | None) -> Array | None:
        return self.forward.next_mask(inputs, mask)

    @staticmethod
    def merge(mode: str | None, forward: Array, backward: Array, library: Any = None) -> tuple[Array, ...]:
        """Return the merged output, or both outputs with merge_mode none.

        Sequences must be in the same time order.  library: whose `concatenate` is used; None for NumPy.
        """
        import numpy as np

        match mode:
            case "concat":
                return ((library or np).concatenate([forward, backward], axis=-1),)
            case "sum":
                return (forward + backward,)
            case "ave":
                return ((forward + backward) / 2,)
            case "mul":
                return (forward * backward,)
        return forward, backward


def _copy(spec: Spec, **changes: Any) -> Spec:
    """Return `spec` as Keras recreates it from its config: the layer creates every initializer."""
    unsaved = layers.class_of(spec.class_name).unsaved
    config = {
        name: None if name in unsaved else _defer(name, value)
        for name, value in {**spec.config, **changes}.items()
    }
    return replace(spec, config=config, deferred=True)


def _defer(name: str, value: Any) -> Any:
    """Return the value of the option `name` as Keras recreates it, without the options it does not save."""
    if isinstance(value, Spec):
        initializer = name.endswith("_initializer")
        unsaved = initializers.find(value.class_name).unsaved if initializer else frozenset[str]()
        config = {key: _defer(key, entry) for key, entry in value.config.items() if key not in unsaved}
        return replace(value, config=config, deferred=True)
    return tuple(_defer(name, item) for item in value) if isinstance(value, (tuple, list)) else value
