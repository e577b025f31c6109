"""The layers of a Case, each of which gets the previous layer's output and mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from math import prod
from operator import xor
from typing import Any

from rnncli import initializers, layers
from rnncli.errors import InputError, LayerError, inside
from rnncli.layers.layer import (
    RATES,
    Layer,
    LayerCall,
    LayerOutput,
    LoopRunner,
    Place,
    join_parts,
    within,
)
from rnncli.result import Claim, Label, TensorInfo
from rnncli.values import Array, Shape, Spec, format_shape, sizes, walk


class Stack(tuple[Spec, ...]):
    """Layers, created once from their specs, first to last.  In a stack of one layer, names have no prefix.

    It is the tuple of its specs, and never changes; `Stack(stack)` is that stack.
    """

    layers: tuple[Layer, ...]

    def __new__(cls, specs: Iterable[Spec] = ()) -> Stack:
        if isinstance(specs, Stack):
            return specs
        stack = super().__new__(cls, specs)
        for index, spec in enumerate(stack[1:], 1):
            for inner in walk([spec]):
                if inner.equations is not None and inner.equations.inputs:
                    what = "layer {index} ({name}) takes {inputs} by name, so it must be the first layer."
                    inputs = ", ".join(inner.equations.inputs)
                    raise LayerError(what, "Put it first.", index=index, name=spec.title, inputs=inputs)
        stack.layers = tuple(layers.make(spec) for spec in stack)
        return stack

    def __reduce__(self) -> tuple[type[Stack], tuple[tuple[Spec, ...]]]:
        return Stack, (tuple(self),)

    @property
    def input_rank(self) -> int:
        """The number of axes of the input: the `input_rank` of the first layer that has one, else 3."""
        return next((layer.input_rank for layer in self.layers if layer.input_rank), 3)

    @property
    def input_axes(self) -> Mapping[str, Mapping[str, int]]:
        """The axes of each array that the first layer takes by name, with their sizes; {} for one input."""
        loops = [loop for loop in self.layers[0].loops.values() if loop.runs_a_cell]
        cells = [next(iter(loop.cell.by_index.values())) for loop in loops]  # type: ignore[attr-defined]
        named = [
            {
                name: dict(zip(axes, cell.sizes(None).shape(axes), strict=False))
                for name, axes in inputs.items()
            }
            for cell in cells
            if (inputs := cell.text.inputs)
        ]
        return named[0] if named and named.count(named[0]) == len(cells) else {}

    @property
    def dtype(self) -> str:
        """The dtype of the first layer."""
        return str(self.layers[0].config["dtype"])

    @property
    def forward_units(self) -> int | None:
        """Where the backward half of the last layer's output begins; None if it has no halves."""
        return self.layers[-1].forward_units

    @property
    def is_stateful(self) -> bool:
        """Whether a layer keeps its state from one call to the next."""
        return any(spec.config.get("stateful") for spec in walk(self))

    @property
    def draws_in_training(self) -> bool:
        """Whether the layers draw new random numbers at every call in training, for the whole batch."""
        return any(spec.config.get(name) for spec in walk(self) for name in RATES)

    def require_start(self) -> None:
        for layer in self.layers:
            layer.require_start()

    def with_returns(self, **returns: bool) -> Stack:
        """Return the stack with these values of return_sequences or return_state in its last layer."""
        return Stack((*self[:-1], self.layers[-1].with_returns(**returns)))

    def with_states(self) -> Stack:
        """Return the stack in which every layer returns its states."""
        return Stack(layer.with_returns(return_state=True) for layer in self.layers)

    def with_everything(self) -> Stack:
        """Return the stack in which every layer returns all that it can; the last one its sequence, too."""
        return self.with_states().with_returns(return_sequences=True)

    def prefix(self, index: int) -> str:
        """Return the prefix of a layer's names: `0/`, `1/`, ...; "" for a single layer."""
        return f"{index}/" if len(self.layers) > 1 else ""

    def label(self, index: int, label: Label) -> Label:
        """Return the label of a layer's tensor among the tensors of all layers."""
        return label._replace(layer=index if len(self.layers) > 1 else None)

    def input_shapes(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
        """Yield each layer with the shape of its input.  Raises LayerError if a layer does not fit."""
        for index, layer in enumerate(self.layers):
            if layer.input_rank not in (0, len(input_shape)):
                raise self._rank_error(index, input_shape)
            yield layer, input_shape
            if index + 1 < len(self.layers):
                returned = layer.outputs(input_shape)
                if returned[0].label.direction:
                    what = (
                        "layer {index} ({class_name}, merge_mode none) returns two outputs, and layer "
                        "{other} takes one."
                    )
                    advice, name = "Merge them: merge_mode concat, sum, mul or ave.", layer.spec.title
                    raise LayerError(what, advice, index=index, class_name=name, other=index + 1)
                input_shape = returned[0].shape

    def _rank_error(self, index: int, shape: Shape) -> LayerError:
        layer, name = self.layers[index], self.layers[index].spec.title
        last = next((number for number in reversed(range(index)) if self.layers[number].recurrent), None)
        if last is not None and (layer.input_rank, len(shape)) == (3, 2):
            what = (
                "layer {index} ({name}) needs (batch, timesteps, features), but layer {last} "
                "({before}) returns (batch, units)."
            )
            advice, before = "Give layer {last} return_sequences=True.", self.layers[last].spec.title
            return LayerError(what, advice, index=index, name=name, last=last, before=before)
        what = (
            "layer {index} ({name}) needs an input of {rank} axes, but layer {other} ({before}) "
            "returns {axes}: {shown}."
            if index
            else "layer {index} ({name}) needs an input of {rank} axes, but the input has {axes}: {shown}."
        )
        return LayerError(
            what,
            "Leave layer {index} out, or give it an input of {rank} axes.",
            index=index,
            name=name,
            rank=layer.input_rank,
            other=index - 1,
            before=self.layers[index - 1].spec.title,
            axes=len(shape),
            shown=format_shape(shape),
        )

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return the shape of each weight by path."""
        return self._join([layer.weight_shapes(shape) for layer, shape in self.input_shapes(input_shape)])

    def outputs(self, input_shape: Shape, *, all_layers: bool = False) -> tuple[TensorInfo, ...]:
        """Return the tensors of the last layer; with all_layers, of every layer, with prefixes."""
        pairs = list(self.input_shapes(input_shape))
        if not all_layers or len(pairs) == 1:
            layer, shape = pairs[-1]
            return layer.outputs(shape)
        return tuple(
            info.with_place(layer=index)
            for index, (layer, shape) in enumerate(pairs)
            for info in layer.outputs(shape)
        )

    @cached_property
    def turned(self) -> tuple[bool, ...]:
        """Whether each layer reads the last step first, as those below return it; last, of the output."""
        return tuple(accumulate((layer.is_reversed for layer in self.layers), xor, initial=False))

    def times(self, input_shape: Shape, *, all_layers: bool = False) -> dict[Label, range]:
        """Return the time index in the input of each row of the tensors that go_backwards has reversed."""
        times: dict[Label, range] = {}
        steps, last = input_shape[1], len(self.layers) - 1
        for index, (layer, shape) in enumerate(self.input_shapes(input_shape)):
            if self.turned[index + 1] and isinstance(steps, int) and (all_layers or index == last):
                timed = (info.label for info in layer.outputs(shape) if "timesteps" in info.axes)
                labels = (self.label(index, label) if all_layers else label for label in timed)
                times.update(dict.fromkeys(labels, range(steps - 1, -1, -1)))
        return times

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        return tuple(
            info._replace(label=self.label(index, info.label))
            for index, (layer, shape) in enumerate(self.input_shapes(input_shape))
            for info in layer.states(shape)
        )

    def claims(self, *, all_layers: bool = False) -> dict[Label, tuple[Claim, ...]]:
        """Return the claims of the last layer; with all_layers, of each layer, with prefixes."""
        if not all_layers or len(self.layers) == 1:
            return self.layers[-1].claims()
        return {
            label._replace(layer=index): tuple(claim.with_place(layer=index) for claim in claims)
            for index, layer in enumerate(self.layers)
            for label, claims in layer.claims().items()
        }

    def probes(self, input_shape: Shape, dtype: str) -> dict[str, Array]:
        """Return the weights that `probe` fills; the numbers differ in the whole stack."""
        initializers_of = self._join([layer.initializers() for layer in self.layers])
        probes: dict[str, Array] = {}
        start = 0
        for path, shape in self.weight_shapes(input_shape).items():
            if initializers_of[path] == "probe":
                filled = Spec("Probe", {"start": start})
                probes[path] = initializers.make(filled, sizes(shape), dtype, None)
            start += prod(sizes(shape))
        return probes

    @property
    def has_axes(self) -> bool:
        """Whether a cell from a file names its axes, so that its states may have any shape."""
        return any(spec.equations is not None and spec.equations.has_axes for spec in walk(self))

    def take_seeds(self, seed: int) -> dict[str, int]:
        """Return the seeds of all layers by path, as Keras draws them for a run: first layer to last."""
        draw = initializers.seed_stream(seed)
        return self._join([layer.take_seeds(draw) for layer in self.layers])

    def draw_weights(self, input_shape: Shape, seeds: Mapping[str, int]) -> dict[str, Array]:
        """Return all weights by path, in the dtype of their layers, as Keras draws them for these seeds.

        A layer that only Keras can compute is left out.
        """
        drawn = []
        pairs = zip(self.input_shapes(input_shape), self.split(seeds), strict=True)
        for (layer, shape), layer_seeds in pairs:
            values, dtype = layer.initializers(), layer.config["dtype"]
            weights: dict[str, Array] = {}
            for path, wanted in (layer.weight_shapes(shape) if layer.without_keras else {}).items():
                value, seed = values[path], layer_seeds.get(path)
                with inside(path):
                    if callable(value):
                        weights[path] = value(sizes(wanted), dtype, {"": seed, **within(layer_seeds, path)})
                    else:
                        weights[path] = initializers.make(value, sizes(wanted), dtype, seed)
            drawn.append(weights)
        return self._join(drawn)

    def call(
        self,
        runner: LoopRunner,
        inputs: Array,
        mask: Array | None,
        initial_state: tuple[Array, ...] | None,
        weights: Mapping[str, Array],
    ) -> list[LayerOutput]:
        """Return the output of each layer.

        Keras does not pass a mask from an earlier layer to a layer that also gets an initial state, but it
        still passes that mask on to later layers.
        Raises InputError if a layer gets a mask of other axes than it takes.
        """
        returned: list[LayerOutput] = []
        explicit = mask is not None
        for index, (layer, entries) in enumerate(zip(self.layers, self.split(weights), strict=True)):
            count = len(layer.states(inputs.shape)) if initial_state else 0
            states = initial_state[:count] if initial_state and count else None
            initial_state = initial_state[count:] if initial_state else None
            takes_mask = explicit or not states
            layer_mask = mask if takes_mask else None
            if layer_mask is not None and layer.takes_mask and layer_mask.ndim not in layer.mask_ranks:
                wanted, given = map(format_shape, (inputs.shape[: layer.mask_ranks[0]], layer_mask.shape))
                what = "layer {index} ({name}) takes a mask of {wanted}, but gets one of {mask}."
                advice, name = "Leave out the mask, or the Masking that makes it.", layer.spec.title
                raise InputError(what, advice, index=index, name=name, wanted=wanted, mask=given)
            call = LayerCall(inputs, entries, Place(index, path=self.prefix(index)), layer_mask, states)
            returned.append(layer.call(runner, call))
            inputs = returned[-1].tensors[0]
            if takes_mask or mask is None or inputs.ndim == 2:
                mask = returned[-1].mask
            explicit = explicit and not layer.takes_mask
        return returned

    def masked_rows(self, inputs: Array, mask: Array | None, *, started: bool) -> list[Array | None]:
        """Return which rows of each layer's sequence are masked, by the rules of `call`.

        None for a layer without a mask, and after a Masking that is not first: only computing gives its mask.
        started: whether the layers get initial states.
        """
        rows: list[Array | None] = []
        explicit = mask is not None
        for index, layer in enumerate(self.layers):
            gets_mask = layer.recurrent and (explicit or not started)
            masked = ~mask if mask is not None and mask.ndim == 2 and gets_mask else None
            rows.append(masked[:, ::-1] if masked is not None and layer.is_reversed else masked)
            mask = layer.next_mask(None if index else inputs, mask)
            explicit = explicit and not layer.takes_mask
        return rows

    def _join(self, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        several = len(parts) > 1
        return join_parts({str(i): part for i, part in enumerate(parts)}) if several else dict(parts[0])

    def split(self, entries: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the entries of each layer, with the names that the layer uses."""
        if len(self.layers) == 1:
            return [entries]
        parts: dict[str, dict[str, Any]] = {str(index): {} for index in range(len(self.layers))}
        for path, value in entries.items():  # once: `within` for each layer would be quadratic in the depth
            part, _, rest = path.partition("/")
            parts.setdefault(part, {})[rest] = value
        return [parts[str(index)] for index in range(len(self.layers))]
