"""Cases as the targets write them: the layers in order, each with its loops, cells, weights and mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnncli.case import Array, Case, Spec, sizes
from rnncli.layers import Call, RecurrentLayer, within
from rnncli.layers.stack import Stack
from rnncli.result import TensorInfo
from rnncli.show.visible import visible


@dataclass(frozen=True, eq=False)
class ExportCell:
    """One cell of a loop.

    suffix: of its names in a script, `_0_forward`; "" for a single cell.
    weights: kernel, recurrent_kernel and bias, in Keras's layout.
    states: the initial states by name, `hidden` and `cell`, each (batch, units).
    has_initial_states: whether they are supplied; otherwise they are zeros.
    """

    suffix: str
    class_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]
    states: Mapping[str, Array]
    has_initial_states: bool

    @property
    def features(self) -> int:
        """Number of features of its input."""
        return len(self.weights["kernel"])

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.config["units"])

    @property
    def activations(self) -> list[str]:
        """Activation, and that of the gates if it has them."""
        names = ("activation", "recurrent_activation")
        return [self.config[name] for name in names if name in self.config]


@dataclass(frozen=True, eq=False)
class ExportLoop:
    """One direction of a layer: its cells run over time, each on the previous cell's output."""

    suffix: str
    layer: RecurrentLayer
    cells: tuple[ExportCell, ...]

    @property
    def backwards(self) -> bool:
        """Whether it starts at the last time step."""
        return bool(self.layer.config["go_backwards"])

    @property
    def zeroes_masked(self) -> bool:
        """Whether masked steps output zeros rather than the previous output."""
        return bool(self.layer.config["zero_output_for_mask"])

    @property
    def units(self) -> int:
        """Number of units of the last cell."""
        return self.cells[-1].units


@dataclass(frozen=True, eq=False)
class ExportLayer:
    """One layer.

    name: in a saved model of several layers, with what a terminal would obey escaped; otherwise "".
    suffix: of its names in a script, `_0`; "" for a single layer.
    loops: one or, in Bidirectional, two; none for a layer that is not recurrent.
    mask: the suffix of the mask in a script: that of the Masking layer that makes it, or of the input; None
        for no mask.
    outputs: the tensors that are shown, which it returns.
    """

    name: str
    suffix: str
    spec: Spec
    input_shape: tuple[int, ...]
    weights: Mapping[str, Array]
    loops: tuple[ExportLoop, ...]
    mask: str | None
    outputs: tuple[TensorInfo, ...]

    @property
    def sequences(self) -> bool:
        """Whether a recurrent layer returns every time step."""
        return self.loops[0].layer.sequences

    @property
    def merge_mode(self) -> str | None:
        """How the directions are merged."""
        mode: str | None = self.spec.config["merge_mode"]
        return mode

    @property
    def is_unmerged(self) -> bool:
        """Whether it returns one output per direction."""
        return len(self.loops) == 2 and self.merge_mode is None


@dataclass(frozen=True, eq=False)
class ExportCase:
    """Layers, each of which gets the previous layer's output, with everything that they need.

    suffix: of the input and its mask in a script; "" for a single case.
    """

    case: Case
    layers: tuple[ExportLayer, ...]
    suffix: str = ""

    @property
    def dtype(self) -> str:
        """Dtype of the computation."""
        return str(self.case.inputs.dtype)

    @property
    def cells(self) -> list[ExportCell]:
        """All cells."""
        return [cell for layer in self.layers for loop in layer.loops for cell in loop.cells]

    @property
    def outputs(self) -> list[TensorInfo]:
        """The tensors that the layers return."""
        return [info for layer in self.layers for info in layer.outputs]


def build_export(
    case: Case, weights: Mapping[str, Array], names: Mapping[str, str] | None = None
) -> ExportCase:
    """Return `case` in the form that the targets write.

    weights: by path.  Every layer must have a step in rnncli.
    names: for layers of a saved model, their names there and their suffixes in a script.  The tensors of all
        layers are shown under these names; without names, those of the last layer.
    """
    weights = {path: weights[path] for path in Stack(case.specs).weight_shapes(case.inputs.shape)}
    recorder, count = CallRecorder(), len(case.specs)
    returned = Stack(case.specs).call(recorder, case.inputs, case.mask, case.initial_state, weights)
    titles = [visible(name) for name in names] if names else [""] * count  # scripts print them
    suffixes = list(names.values()) if names else [f"_{place}" if count > 1 else "" for place in range(count)]
    start = suffixes[0] if names else ""
    mask_suffixes = {id(case.mask): start}
    for output, suffix in zip(returned, suffixes, strict=True):
        mask_suffixes.setdefault(id(output.mask), suffix)  # most layers return the mask that they got
    layers: list[ExportLayer] = []
    for index, (layer, shape) in enumerate(Stack(case.specs).input_shapes(case.inputs.shape)):
        title, suffix = titles[index], suffixes[index]
        calls = [pair for pair in recorder.calls if pair[1].place.layer == index]
        mask = calls[0][1].mask if calls else None
        infos = layer.outputs(shape) if names or index + 1 == count else ()
        layers.append(
            ExportLayer(
                name=title,
                suffix=suffix,
                spec=layer.spec,
                input_shape=sizes(shape),
                weights=within(weights, str(index)) if count > 1 else weights,
                loops=tuple(_loop(suffix, *pair) for pair in calls),
                mask=None if mask is None else mask_suffixes[id(mask)],
                outputs=tuple(info.with_place(layer=title or None) for info in infos),
            )
        )
    return ExportCase(case, tuple(layers), start)


def activations_in(exports: Sequence[ExportCase]) -> list[str]:
    """Return the activations of all cells and Dense layers, each once."""
    cells = [name for export in exports for cell in export.cells for name in cell.activations]
    layers = [layer.spec for export in exports for layer in export.layers]
    dense = [spec.config["activation"] for spec in layers if spec.class_name == "Dense"]
    return list(dict.fromkeys([*cells, *dense]))


def without_calls(case: Case, names: Mapping[str, str]) -> tuple[ExportLayer, ...]:
    """Return the layers with their options alone.  names: as in build_export."""
    titles = tuple(names or [""] * len(case.specs))
    return tuple(
        ExportLayer(name, "", spec, (), {}, (), None, ())
        for name, spec in zip(titles, case.specs, strict=True)
    )


class CallRecorder:
    """Records the call of every loop, in place of running it; the outputs are zeros."""

    def __init__(self) -> None:
        self.calls: list[tuple[RecurrentLayer, Call]] = []

    def loop(self, layer: RecurrentLayer, call: Call) -> tuple[Array, tuple[Array, ...]]:
        """See layers._layer.LoopRunner."""
        import numpy as np

        self.calls.append((layer, call))
        batch, steps = call.inputs.shape[:2]
        shape = (batch, steps, layer.cell.units) if layer.sequences else (batch, layer.cell.units)
        states = layer.cell.unpack(layer.cell.start(batch, call.inputs.dtype))
        return np.zeros(shape, call.inputs.dtype), states


def _loop(suffix: str, layer: RecurrentLayer, call: Call) -> ExportLoop:
    own = f"{suffix}_{call.place.direction}" if call.place.direction else suffix
    return ExportLoop(own, layer, tuple(_cells(own, layer, call)))


def _cells(suffix: str, layer: RecurrentLayer, call: Call) -> Iterator[ExportCell]:
    batch, dtype = len(call.inputs), call.inputs.dtype
    start = layer.cell.start(batch, dtype)
    if call.initial_state is not None:
        start = layer.cell.pack(call.initial_state)
    given, cells = call.initial_state is not None, getattr(layer.cell, "cells", None)
    if cells is None:
        spec = layer.spec.config.get("cell", layer.spec)
        yield ExportCell(suffix, cell_class_name(spec), spec.config, call.weights, start._asdict(), given)
        return
    for (key, cell), state in zip(cells.items(), start, strict=True):
        own, kept = within(call.weights, key), state._asdict()
        yield ExportCell(f"{suffix}_cell_{key}", cell_class_name(cell.spec), cell.config, own, kept, given)


def cell_class_name(spec: Spec) -> str:
    """Return the class of the layer that runs this cell: `LSTM` for LSTMCell and for LSTM."""
    return spec.class_name.removesuffix("Cell")


def without_initializers(spec: Spec) -> Spec:
    """Return `spec` with the default initializers, because the weights are written out."""
    config = {name: value for name, value in spec.config.items() if not name.endswith("_initializer")}
    return dataclasses.replace(spec, config={name: _without(value) for name, value in config.items()})


def _without(value: Any) -> Any:
    if isinstance(value, Spec):
        return without_initializers(value)
    return tuple(map(_without, value)) if isinstance(value, (tuple, list)) else value
