"""A stack: layers one on the other, each getting the output and the mask of the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from rnncli import initializers, layers
from rnncli.case import Shape, Spec
from rnncli.errors import LayerError
from rnncli.layers._cell import sizes
from rnncli.layers._layer import Call, Draw, Layer, Place, Returned, Run, by_part, prefixed
from rnncli.result import TensorInfo
from rnncli.shapes import format_shape

if TYPE_CHECKING:
    from rnncli.case import Array

LAYERS: dict[str, type[Layer]] = {}
"""Keras has no class for it: a stack is what several layers are together."""


class Stack:
    """The layers of a Case; a stack of one is that layer, and its names have no prefix."""

    def __init__(self, specs: tuple[Spec, ...]) -> None:
        self.layers = tuple(layers.make(spec) for spec in specs)

    def prefix(self, index: int) -> str:
        """`0/`, `1/`, ...; "" for the only layer."""
        return f"{index}/" if len(self.layers) > 1 else ""

    def input_shapes(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
        """Every layer with the shape that it gets.  Raises LayerError where a layer does not fit."""
        for index, layer in enumerate(self.layers):
            self._fits(index, input_shape)
            yield layer, input_shape
            if index + 1 < len(self.layers):
                returned = layer.outputs(input_shape)
                if returned[0].name.startswith("forward_"):
                    raise LayerError(
                        f"layer {index} ({layer.spec.class_name}, merge_mode none) returns two outputs, "
                        f"and layer {index + 1} takes one.",
                        "Merge them: merge_mode concat, sum, mul or ave.",
                    )
                input_shape = returned[0].shape

    def _fits(self, index: int, shape: Shape) -> None:
        layer = self.layers[index]
        name = layer.spec.class_name
        if not layer.input_rank or len(shape) == layer.input_rank:
            return
        if index and len(shape) == 2:
            before = self.layers[index - 1].spec.class_name
            raise LayerError(
                f"layer {index} ({name}) wants (batch, timesteps, features), and layer {index - 1} "
                f"({before}) returns (batch, units).",
                f"Give layer {index - 1} return_sequences=True.",
            )
        before = f"layer {index - 1} ({self.layers[index - 1].spec.class_name})" if index else "the input"
        raise LayerError(
            f"layer {index} ({name}) needs an input of {layer.input_rank} axes, and {before} has "
            f"{len(shape)}: {format_shape(shape)}.",
            f"Leave layer {index} out, or give it an input of {layer.input_rank} axes.",
        )

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Every weight's shape by its path."""
        return self._collect(input_shape, lambda layer, shape: layer.weight_shapes(shape))

    def outputs(self, input_shape: Shape, *, all_layers: bool = False) -> tuple[TensorInfo, ...]:
        """What the last layer returns, or with all_layers what every layer does, prefixed."""
        pairs = list(self.input_shapes(input_shape))
        if not all_layers or len(pairs) == 1:
            layer, shape = pairs[-1]
            return layer.outputs(shape)
        return tuple(
            TensorInfo(f"{index}/{info.name}", info.axes, info.shape)
            for index, (layer, shape) in enumerate(pairs)
            for info in layer.outputs(shape)
        )

    def times(self, input_shape: Shape, *, all_layers: bool = False) -> dict[str, range]:
        """By name of a returned tensor the input's index of each row, where go_backwards turned it round."""
        found: dict[str, range] = {}
        turned = False
        steps, last = input_shape[1], len(self.layers) - 1
        for index, (layer, shape) in enumerate(self.input_shapes(input_shape)):
            turned = turned != layer.turns
            if turned and isinstance(steps, int) and (all_layers or index == last):
                prefix = self.prefix(index) if all_layers else ""
                timed = (info.name for info in layer.outputs(shape) if "timesteps" in info.axes)
                found.update({prefix + name: range(steps - 1, -1, -1) for name in timed})
        return found

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """What an initial state of every layer consists of, in order."""
        return tuple(
            TensorInfo(self.prefix(index) + info.name, info.axes, info.shape)
            for index, (layer, shape) in enumerate(self.input_shapes(input_shape))
            for info in layer.states(shape)
        )

    def claims(self, *, all_layers: bool = False) -> dict[str, tuple[str, ...]]:
        """Of the last layer, or of every one, both sides prefixed."""
        if not all_layers or len(self.layers) == 1:
            return self.layers[-1].claims()
        return {
            f"{index}/{name}": tuple(f"{index}/{claim}" for claim in claims)
            for index, layer in enumerate(self.layers)
            for name, claims in layer.claims().items()
        }

    def probes(self, input_shape: Shape, dtype: str) -> dict[str, Array]:
        """The weights that `probe` fills, counted on through the whole stack so that each one differs."""
        initializers_of = self._collect(input_shape, lambda layer, _: layer.initializers())
        found: dict[str, Array] = {}
        start = 0
        for path, shape in self.weight_shapes(input_shape).items():
            if initializers_of[path] == "probe":
                filled = Spec("Probe", {"start": start})
                found[path] = initializers.make(filled, sizes(shape), dtype, None)
            start += prod(sizes(shape))
        return found

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """Every layer's seeds by path, the layers made first to last."""
        return {
            self.prefix(index) + name: seed
            for index, layer in enumerate(self.layers)
            for name, seed in layer.take_seeds(draw).items()
        }

    def draw_weights(self, input_shape: Shape, seeds: Mapping[str, int]) -> dict[str, Array]:
        """Every weight by path; each layer's in its own dtype."""
        weights: dict[str, Array] = {}
        parts = self._parts(seeds)
        for index, (layer, shape) in enumerate(self.input_shapes(input_shape)):
            own = parts.get(index, {})
            drawn = layer.draw_weights(shape, own, layer.config["dtype"])
            weights.update({self.prefix(index) + name: weight for name, weight in drawn.items()})
        return weights

    def call(
        self,
        run: Run,
        inputs: Array,
        mask: Array | None,
        initial_state: tuple[Array, ...] | None,
        weights: Mapping[str, Array],
    ) -> list[Returned]:
        """What every layer returns.

        Keras gives a travelling mask to no layer that gets a state too; it travels on all the same.
        """
        returned: list[Returned] = []
        explicit = mask is not None
        parts = self._parts(weights)
        for index, layer in enumerate(self.layers):
            own = parts.get(index, {})
            count = len(layer.states(inputs.shape)) if initial_state else 0
            states = initial_state[:count] if initial_state and count else None
            initial_state = initial_state[count:] if initial_state else None
            place = Place(index, path=self.prefix(index))
            used = mask if explicit or not states else None
            returned.append(layer.call(run, Call(inputs, own, place, used, states)))
            inputs = returned[-1].tensors[0]
            passed_over = mask if inputs.ndim > 2 and used is not mask else None
            mask = returned[-1].mask if passed_over is None else passed_over
            explicit = explicit and not layer.takes_mask
        return returned

    def _parts(self, weights: Mapping[str, Any]) -> Mapping[int, Mapping[str, Any]]:
        """What belongs to each layer, by its own names."""
        if len(self.layers) == 1:
            return {0: weights}
        return {int(index): own for index, own in by_part(weights).items()}

    def _collect(self, input_shape: Shape, what: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for index, (layer, shape) in enumerate(self.input_shapes(input_shape)):
            part = what(layer, shape)
            found.update(prefixed(str(index), part) if self.prefix(index) else part)
        return found
