"""Frameworks: how each one names, packs and saves the weights of recurrent layers.  One file per framework.

A framework's file has
    FRAMEWORK                           its name, as its users write it
    GATES                               the order in which it packs the gates of each class
    SUFFIXES                            the files that only this framework has, beside arrays by name
    from_keras(class_name, weights)     the arrays of one direction of one layer, from Keras's
    to_keras(class_name, arrays)        Keras's weights; the inverse of from_keras, bit for bit
    refusal(layer)                      why the framework has no such layer, or None
    notes(chain)                        settings that the arrays do not contain
    name_arrays(chain)                  all arrays of a chain of layers, by their names in a file
    dump(chains, suffix)                the content of a file with this suffix; not needed without SUFFIXES
and, if its names are recognized in a file without a graph,
    PACKAGE                             what a node of a model calls the framework
    NAME                                the pattern of its arrays' names
    find_chains(arrays)                 the layers among named arrays, in Keras's layout

Keras's layout is the common one: kernel (features, gates * units), recurrent_kernel (units, gates * units),
and bias, (gates * units,) or for a GRU with reset_after (2, 3 * units).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import permutations
from pathlib import PurePath
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import LayerError, Message, Text, python_command, python_literal
from rnncli.values import Array, Shape

LAYOUTS = {
    "cudnn": "rnncli.frameworks.cudnn",
    "keras": "rnncli.frameworks.keras",
    "onnx": "rnncli.frameworks.onnx",
    "torch": "rnncli.frameworks.torch",
}
GATES: Mapping[str, tuple[str, ...]] = {
    "SimpleRNN": ("candidate",),
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("update", "reset", "candidate"),
}
"""The gates of each class in the order in which Keras packs them."""
BARE = {"SimpleRNN": "rnn", "GRU": "gru", "LSTM": "lstm"}
"""Names of layers whose arrays have no path."""


class CellWeights(NamedTuple):
    """One direction of a layer.

    class_name: SimpleRNN, LSTM or GRU; any other class has only Keras's layout.
    config: Keras's config; an option that is missing has Keras's default.
    weights: by Keras's names, `kernel`.
    """

    class_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]

    @property
    def units(self) -> int:
        """The size of the state."""
        return len(self.weights["recurrent_kernel"])

    @property
    def features(self) -> int:
        """The size of the input."""
        return len(self.weights["kernel"])


class LayerWeights(NamedTuple):
    """A recurrent layer.

    name: its path, `inside/deep`; "" for a layer on its own.
    cells: a single cell, or the forward and the backward cell of a Bidirectional.
    merge_mode: how a Bidirectional merges its directions.
    """

    name: str
    cells: tuple[CellWeights, ...]
    merge_mode: str | None = "concat"

    @property
    def title(self) -> str:
        """What messages call the layer."""
        return self.name or self.cells[0].class_name


class Chain(NamedTuple):
    """Layers, each of which gets the output of the previous layer; most chains have one layer.

    name: of PyTorch's module with all these layers; "" for a module without a path.
    """

    name: str
    layers: tuple[LayerWeights, ...]


class FoundChain(NamedTuple):
    """A chain that was recognized among named arrays.

    names: the names of its arrays.
    refusal: why it cannot be computed; "" if it can be.  way_out: what to do about it, a clause, or "".
    tensors: for each layer, PyTorch's arrays by name, `weight_ih`, `bias_hh_reverse`, with which --check runs
        the layer in PyTorch; empty for any other framework.
    """

    chain: Chain
    names: Sequence[str]
    refusal: Text = ""
    way_out: Text = ""
    tensors: tuple[Mapping[str, Array], ...] = ()


def get(name: str) -> ModuleType:
    """Return the module of a layout, one of LAYOUTS."""
    return import_module(LAYOUTS[name])


def convert(name: str, chains: Sequence[Chain]) -> dict[str, Array]:
    """Return the arrays of all layers in a layout, by their names in a file.

    Raises LayerError for the first layer that the layout cannot hold, and if two arrays would get one name.
    """
    layout = _require(name, chains)
    arrays: dict[str, Array] = {}
    for chain in chains:
        for key, array in layout.name_arrays(chain).items():
            if key in arrays:
                what = "two layers would be called {key} in {framework}'s layout."
                raise LayerError(what, "Convert them one at a time.", key=key, framework=layout.FRAMEWORK)
            arrays[key] = array
    return arrays


def dump(name: str, chains: Sequence[Chain], suffix: str) -> bytes:
    """Return the content of a file of a layout, with one of its SUFFIXES.  Raises what `convert` raises."""
    content: bytes = _require(name, chains).dump(chains, suffix)
    return content


def _require(name: str, chains: Sequence[Chain]) -> ModuleType:
    layout = get(name)
    for layer in (layer for chain in chains for layer in chain.layers):
        if reason := layout.refusal(layer):
            what = "{title} cannot be converted to {framework}'s layout: {reason}."
            advice = "Leave this layer out, or convert to another layout; keras holds every layer."
            raise LayerError(what, advice, title=layer.title, framework=layout.FRAMEWORK, reason=reason)
    return layout


def infer_class(units: int, width: int) -> str | None:
    """Return the class whose gates of this many units are `width` wide; None if there is none."""
    if units <= 0:
        return None
    return next((name for name, gates in GATES.items() if len(gates) * units == width), None)


def letters(class_name: str, gates: Iterable[str]) -> str:
    """Return gates as the literature of a class writes them: `ifgo`, `zrn`; g and n are the candidates."""
    candidate = {"LSTM": "g", "GRU": "n"}.get(class_name, "")
    return "".join({"update": "z", "candidate": candidate}.get(gate, gate[0]) for gate in gates)


def cell_of(class_name: str, weights: Mapping[str, Array], **options: Any) -> CellWeights:
    """Return a cell with the config that its weights show.  options: the rest of the config."""
    bias, recurrent = weights.get("bias"), weights["recurrent_kernel"]
    config: dict[str, Any] = {
        "units": len(recurrent),
        "use_bias": bias is not None,
        "return_sequences": True,
        "dtype": "float64" if recurrent.dtype == np.float64 else "float32",
    }
    if class_name == "GRU":
        config["reset_after"] = bias is None or bias.ndim == 2
    return CellWeights(class_name, {**config, **options}, weights)


def reorder(array: Array, before: Sequence[str], after: Sequence[str]) -> Array:
    """Return the array with its gates, packed along the last axis, in another order."""
    if tuple(before) == tuple(after):
        return array
    parts = dict(zip(before, np.split(array, len(before), axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in after], axis=-1)


def to_rows(class_name: str, weights: Mapping[str, Array], gates: Sequence[str]) -> list[Array]:
    """Return kernel (gates * units, features), recurrent kernel (gates * units, units), and both biases.

    gates: their order.  A layer without a bias has no biases.
    """
    kernels = [reorder(weights[name], GATES[class_name], gates).T for name in ("kernel", "recurrent_kernel")]
    biases = two_biases(weights["bias"]) if "bias" in weights else ()
    ordered = (reorder(bias, GATES[class_name], gates) for bias in biases)
    return [np.ascontiguousarray(array) for array in (*kernels, *ordered)]


def from_rows(
    class_name: str, kernels: Sequence[Array], biases: Sequence[Array], gates: Sequence[str], *, apart: bool
) -> dict[str, Array]:
    """Return Keras's weights from the arrays of `to_rows`.  apart: keep both biases instead of their sum."""
    arrays = {"kernel": kernels[0].T, "recurrent_kernel": kernels[1].T}
    if biases:
        arrays["bias"] = np.stack(biases) if apart else sum(biases[1:], biases[0])
    keras = GATES[class_name]
    return {name: np.ascontiguousarray(reorder(array, gates, keras)) for name, array in arrays.items()}


def two_biases(bias: Array) -> tuple[Array, Array]:
    """Return the input bias and the recurrent bias, (gates * units,) each.

    A single bias becomes the input bias.  The recurrent bias is then -0.0, which changes no number that it
    is added to: 0.0 would change -0.0.
    """
    if bias.ndim == 2:
        return bias[0], bias[1]
    return bias, np.full_like(bias, -0.0)


def adds_bias(chain: Chain) -> bool:
    """Return whether a layer has a single bias where other frameworks have two that add up."""
    biases = (cell.weights.get("bias") for layer in chain.layers for cell in layer.cells)
    return any(bias is not None and bias.ndim == 1 for bias in biases)


def explain_uneven(layer: LayerWeights) -> Text | None:
    """Return why a layout with equal directions cannot hold the layer; None if it can."""
    first, last = layer.cells[0], layer.cells[-1]
    if first.class_name != last.class_name:
        text = "its directions are {class_name} and {other}"
        return Message(text, class_name=first.class_name, other=last.class_name)
    if len(layer.cells) > 1 and first.config.get("go_backwards"):
        return Message("its first direction runs backwards (go_backwards)")
    if first.units != last.units:
        return Message("its directions have {units} and {other} units", units=first.units, other=last.units)
    if ("bias" in first.weights) != ("bias" in last.weights):
        return Message("only one of its directions has a bias (use_bias)")
    if first.weights["kernel"].dtype != last.weights["kernel"].dtype:
        return Message("its directions have different dtypes")
    return None


def make_unique(names: Iterable[str]) -> list[str]:
    """Number repeated names as Keras does: the second `lstm` becomes `lstm_1`."""
    counts: dict[str, int] = {}
    unique: list[str] = []
    for name in names:
        counts[name] = counts.get(name, -1) + 1
        unique.append(f"{name}_{counts[name]}" if counts[name] else name)
    return unique


def default_name(class_name: str) -> str:
    """Return a class as Keras names layers and groups: `LayerNormalization` -> `layer_normalization`."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


RENAME = """import numpy
w = numpy.load(%(file)s)
numpy.savez(%(to)s, """
WEIGHTS = {
    "keras": ("kernel", "recurrent_kernel", "bias"),
    "torch": ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
}
"""The names by which the weights of a layer are recognized, in the order of `name_by_shape`."""


def advise_names(file: str, shapes: Mapping[str, tuple[int, ...]]) -> Text:
    """Return advice with a command that renames the arrays of an .npz file to the weights of a layer.

    The shapes tell which array is which weight.  Returns "" if they do not, for arrays that have names of
    weights already, and for any other file.
    """
    names = name_by_shape(shapes) if file.lower().endswith(".npz") else {}
    if not names:
        return ""
    to = f"{PurePath(file).stem}-named.npz"
    pairs = ", ".join(f"{name}=w[{python_literal(array)}]" for name, array in names.items())
    return Message(
        "By their shapes, {weights}. To give them these names in {to}: {command}",
        weights=", ".join(f"{array} is {name}" for name, array in names.items()),
        to=to,
        command=python_command(f"{RENAME}{pairs.replace('%', '%%')})", file, to),
    )


def name_by_shape(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return the names of the arrays by the names that Keras or PyTorch gives them, `kernel`.

    Empty if no layer or several have these shapes, or if an array has a name of a weight already; the two
    biases of PyTorch's GRU have the same shape.
    """
    weights = {name for names in WEIGHTS.values() for name in names}
    if any(re.split("[./]", name)[-1] in weights for name in shapes):
        return {}
    layers: list[dict[str, str]] = []
    matrices = [name for name, shape in shapes.items() if len(shape) == 2 and min(shape) > 0]
    for kernel, recurrent in permutations(matrices if len(shapes) <= 4 else (), 2):
        others = [name for name in shapes if name not in (kernel, recurrent)]
        biases = [shapes[name] for name in others]
        for framework, step in (("keras", 1), ("torch", -1)):  # PyTorch's are transposed
            (units, wide), (_, kernel_wide) = shapes[recurrent][::step], shapes[kernel][::step]
            if kernel_wide != wide or wide / units not in (1, 3, 4):
                continue
            known: list[list[Shape]] = [[], [(wide,)], [(2, wide)]]
            if framework == "torch":
                known = [[]] if wide == 3 * units else [[], [(wide,), (wide,)]]
            if biases in known:
                layers.append(dict(zip(WEIGHTS[framework], (kernel, recurrent, *others), strict=False)))
    return layers[0] if len(layers) == 1 else {}
