"""What two subjects return for the same inputs: the layers of both in pairs, to compare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from rnncli.errors import Either, InputError, Message, Text, UsageError, did_you_mean, format_names
from rnncli.values import Array, Shape, format_shape

if TYPE_CHECKING:
    from rnncli.ask.request import Remarks
    from rnncli.layers.case import Case
    from rnncli.models import Compute, LayerUse
    from rnncli.result import NamedTensor, Result

EVERYTHING = {"return_sequences": True, "return_state": True}
"""The options with which a recurrent layer returns everything that it can."""
Kind = tuple[tuple[str, Shape], ...]
"""Names and shapes that are the same in layers to compare: of kernels, or of the outputs of other layers."""
IN_PYTHON = "mapping={'THEIRS': 'OURS'}"
MAP = Either(Message("{--map THEIRS=OURS}"), Message("{option}", option=IN_PYTHON))
"""The option that pairs layers by hand."""


class Alone(NamedTuple):
    """What one sequence returned.

    tensors: by name.
    rows: where the sequence stands in the batch of a layer, by the layer's name, if not where it stands in
        the input: a model may sort the sequences by their lengths.
    """

    tensors: Mapping[str, Array]
    rows: Mapping[str, int] = {}


class Returned(NamedTuple):
    """What a subject returned.

    name: of the file of a model; else the layers.
    layers: the tensors of each recurrent layer, its sequence and its last states, and the outputs of a model.
    cases: of the recurrent layers of a model, as the model calls them.
    result: of a recurrent layer, or of all.
    inputs: by name.
    read: the inputs of a whole model that the first recurrent layer reads.
    missing: the layers with outputs of the model that were not computed.
    real: for each padded input of a whole model, the steps that are not padding.
    kernels: the kinds of recurrent layers without a Case.
    axes: of the sequences, of each input that has one; None for the first one of all inputs.
    size: the number of sequences; 0 for the first recurrent layer's.
    """

    name: str
    layers: Mapping[str, tuple[NamedTensor, ...]]
    cases: Mapping[str, Case]
    result: Result
    inputs: Mapping[str, Array]
    remarks: Remarks
    read: Collection[str] = ()
    missing: Collection[str] = ()
    real: Mapping[str, Array] = {}
    kernels: Mapping[str, Kind] = {}
    axes: Mapping[str, int] | None = None
    size: int = 0

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds of the layers: of a recurrent one its kernels, of another one its outputs."""
        kinds: dict[str, Kind] = {
            name: tuple((str(tensor.label.without_layer), tensor.values.shape) for tensor in tensors)
            for name, tensors in self.layers.items()
        }
        for layer, case in self.cases.items():
            parts = case.stack.input_shapes(case.inputs.shape)
            for name, (part, shape) in zip(_names_of(layer, case), parts, strict=True):
                kinds[name] = kind_of(part.weight_shapes(shape)) or kinds[name]
        return {**kinds, **self.kernels}

    @property
    def mask(self) -> Array | None:
        """The steps that the first recurrent layer reads, (batch, timesteps); None without a mask."""
        return next((case.mask for case in self.cases.values()), None)

    @property
    def masked(self) -> bool:
        """Whether the first recurrent layer leaves out steps."""
        return self.mask is not None and not self.mask.all()

    @property
    def alone(self) -> Alone:
        """The tensors, as what one sequence returned."""
        return Alone({tensor.name: tensor.values for tensors in self.layers.values() for tensor in tensors})

    def require_layers(self) -> None:
        """Raise UsageError if there is no recurrent layer whose sequences could be computed alone."""
        if not self.cases:
            what = "{--alone} compares recurrent layers, and {name} has none here."
            raise UsageError(what, "Name one after the #, or leave {--alone} out.", name=self.name)

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return self.size or len(next(iter(self.cases.values())).inputs)

    @property
    def header(self) -> Result:
        """What the head of an answer says: the layers, the input and the engines."""
        specs = tuple(spec for case in self.cases.values() for spec in case.stack)
        inputs = next(iter(self.inputs.values()))
        return dataclasses.replace(
            self.result, specs=specs, model=None, input_shape=inputs.shape, input_dtype=str(inputs.dtype)
        )

    def of_sequence(self, index: int, *, cut: bool) -> Returned:
        """Return what one sequence gets.

        cut: leave out the masked steps; if no step is masked, the padding of the inputs.  A whole model
            gets the inputs that its first recurrent layer reads without these steps.
        Raises InputError if the model changes the number of steps before this layer.
        """
        cases = {name: _cut_case(case, index, cut=cut) for name, case in self.cases.items()}
        import numpy as np

        axes = dict.fromkeys(self.inputs, 0) if self.axes is None else self.axes
        inputs = {
            name: array.take([index], axes[name]) if name in axes else array
            for name, array in self.inputs.items()
        }
        if cut and not self.masked:
            inputs |= {name: inputs[name][:, real[index]] for name, real in self.real.items()}
        elif cut and self.read and self.mask is not None:
            steps = self.mask.shape[1]
            times = {
                name: 0 if axes[name] == 1 else 1
                for name in self.read
                if name in axes and self.inputs[name].ndim > 1
            }
            read = {name: time for name, time in times.items() if self.inputs[name].shape[time] == steps}
            if not read:
                what = "the number of time steps changes before {layer}."
                raise InputError(what, "Leave out {--alone:on}.", layer=next(iter(self.cases)))
            real = np.flatnonzero(self.mask[index])
            inputs |= {name: inputs[name].take(real, time) for name, time in read.items()}
        return self._replace(cases=cases, inputs=inputs)


def _cut_case(case: Case, index: int, *, cut: bool) -> Case:
    part = slice(index, index + 1)
    states = None if case.initial_state is None else tuple(state[part] for state in case.initial_state)
    mask = None if case.mask is None else case.mask[part]
    inputs = case.inputs[part]
    if mask is not None and cut:
        inputs, mask = inputs[:, mask[0]], None
    names = case.names._replace(sequences=case.names.sequences[part], steps=())
    return case._replace(inputs=inputs, mask=mask, initial_state=states, names=names)


def compute_uses(
    name: str,
    uses: Iterable[LayerUse],
    compute: Compute,
    inputs: Mapping[str, Array] | None,
    remarks: Remarks,
) -> Returned:
    """Return everything that these uses of layers return.  inputs: None for the input of the first use."""
    cases = {use.layer or name: use.case for use in uses}
    layers: dict[str, tuple[NamedTensor, ...]] = {}
    results = []
    for layer, case in cases.items():
        full = case._replace(stack=case.stack.with_everything(), all_layers=len(case.stack) > 1)
        result = compute(full)
        results.append(result)
        for index, path in enumerate(_names_of(layer, case)):
            label = None if path == name else path
            layers[path] = tuple(
                tensor._replace(label=tensor.label._replace(layer=label))
                for tensor in result.outputs
                if tensor.label.layer in (None, index)
            )
    inputs = {"": next(iter(cases.values())).inputs} if inputs is None else inputs
    engines = tuple(dict.fromkeys(engine for result in results for engine in result.engines))
    result = dataclasses.replace(results[0], engines=engines)
    return Returned(name, layers, cases, result, inputs, remarks)


def _names_of(layer: str, case: Case) -> list[str]:
    """Return the names of the layers of a Case: of a stack their numbers."""
    return [layer] if len(case.stack) == 1 else [str(index) for index in range(len(case.stack))]


def kind_of(shapes: Mapping[str, Shape]) -> Kind:
    """Return the kernels of a layer with their shapes; () if it has no recurrent kernel.

    shapes: of all its weights.
    """
    kernels = tuple((path, shape) for path, shape in shapes.items() if path.endswith("kernel"))
    return kernels if any(path.endswith("recurrent_kernel") for path, _ in kernels) else ()


def pair_layers(
    first: str, ours: Mapping[str, Kind], second: str, theirs: Mapping[str, Kind], mapping: Mapping[str, str]
) -> dict[str, str]:
    """Return the layers of the first model, in their order, each with its pair in the second model.

    Layers of one kind are paired: by name if both models have the same names for them, else in order.
    first, second: the names of the models.  mapping: the layers of the first one by those of the second one.
    Raises UsageError if layers of one kind are not as many in both models, or if no kind is in both.
    """
    for names, known in ((mapping, theirs), (mapping.values(), ours)):
        for name in names:
            if name not in known:
                advice = did_you_mean(name, known)
                raise UsageError("{map}: there is no layer {name!r}.", advice, map=MAP, name=name)
    partners = dict(zip(mapping.values(), mapping, strict=True))
    groups: dict[Kind, tuple[list[str], list[str]]] = {}
    for side, kinds, paired in ((0, ours, partners), (1, theirs, mapping)):
        for name, kind in kinds.items():
            if name not in paired:
                groups.setdefault(kind, ([], []))[side].append(name)
    reason: Text = Message("no two layers have the same shapes")
    for mine, others in groups.values():
        if mine and others and len(mine) != len(others):
            both = format_names(mine), format_names(others)
            reason = Message("{ours} and {theirs} have the same shapes", ours=both[0], theirs=both[1])
            partners = {}
            break
        partners |= zip(mine, mine if set(mine) == set(others) else others, strict=False)
    if not partners:
        raise UsageError(
            "the layers cannot be paired: {reason}. {first} has {ours}; {second} has {theirs}.",
            "Pair them: {map}.",
            reason=reason,
            first=first,
            ours=_list_layers(ours),
            second=second,
            theirs=_list_layers(theirs),
            map=MAP,
        )
    return {name: partners[name] for name in ours if name in partners}


def _list_layers(kinds: Mapping[str, Kind]) -> str:
    return ", ".join(f"{name}: {kind[0][0]} {format_shape(kind[0][1])}" for name, kind in kinds.items())
