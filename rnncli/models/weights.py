"""Weights by path for a --layer, as the layers of a saved model, or all of a model; in Keras's layout."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from rnncli.errors import InputError, Message, Text, count, did_you_mean, format_names, inside
from rnncli.frameworks import cudnn, infer_class, keras
from rnncli.inputs import formats, named_arrays
from rnncli.inputs.source import TORCH_SUFFIXES, Source, split_source
from rnncli.models import reading
from rnncli.models.graph import Graph, Modules, Program
from rnncli.models.keras import file as keras_file
from rnncli.models.weight_files import recognize
from rnncli.values import Array, SavedLayer, format_shape

_PATH = re.compile(r"(\d+/)*(forward/|backward/)?(\d+/)?(kernel|recurrent_kernel|bias)")
"""The path of a weight of a --layer, which has no name."""
LayerWeights = dict[str, dict[str, Array]]
"""The weights of each layer: `{"dense": {"kernel": ..., "bias": ...}}`."""
TORCH_ROLES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
"""Keras's names of the weights of PyTorch's normalization layers."""


def read_weights(
    source: Source, input_format: str | None = None
) -> dict[str, Array] | tuple[SavedLayer, ...]:
    """Read weights by path, such as `forward/kernel`; the names of nested objects are joined by slashes.

    From a file that Keras saved, and from arrays with the names of layers, of PyTorch or of ONNX, return the
    layers in Keras's layout; or only the layers named after a #: `m.weights.h5#lstm,gru`.
    """
    source, names = split_source(source)
    if input_format is None and source.suffix in TORCH_SUFFIXES:
        contents = reading.read(source, or_layers=True)
        with inside(source.name):
            if isinstance(contents, Graph):
                raise InputError("it holds a whole model.", "Run it with {--model:file}.", file=contents.file)
            return _choose(tuple(_iterate_layers(contents, names)), names)
    format_name = formats.detect_format(source, input_format, formats.RENAMED)
    if format_name == "h5":
        plain = (
            layer._replace(weights=cudnn.to_plain_layer(layer.weights)) for layer in read_keras_layers(source)
        )
        with inside(source.name):
            return _choose(tuple(plain), names)
    with inside(source.name):
        arrays = named_arrays.to_weights(formats.load(source, format_name))
    return to_layers(source.name, arrays, names, ordered=format_name != "safetensors")


def to_layers(
    file: Text, arrays: Mapping[str, Array], names: Sequence[str] = (), *, ordered: bool = True
) -> dict[str, Array] | tuple[SavedLayer, ...]:
    """Return the layers among named arrays, else all arrays by path.  names, ordered: see `find_layers`."""
    return find_layers(file, arrays, names, ordered=ordered) or cudnn.to_plain_layout(arrays)


def name_in_order(arrays: Sequence[Array]) -> dict[str, Array]:
    """Return the weights of one layer, as `layer.get_weights()` has them, by path.

    Raises InputError if their number is not that of a layer, or of the two directions of one.
    """
    if not is_in_order(arrays):
        what = "weights: {arrays} in this order do not belong to one layer."
        advice = "Give the layer.get_weights() of one LSTM, GRU or SimpleRNN, or arrays by name."
        raise InputError(what, advice, arrays=count(len(arrays), "array"))
    paths = ("forward/", "backward/") if len(arrays) in (4, 6) else ("",)
    names = [path + role for path in paths for role in keras.ROLES[: len(arrays) // len(paths)]]
    return dict(zip(names, arrays, strict=True))


def is_in_order(arrays: Sequence[Array]) -> bool:
    """Return whether these may be a kernel, a recurrent kernel and a bias, of one direction or of two."""
    return len(arrays) in (2, 3, 4, 6) and arrays[1].ndim == 2


def read_keras_layers(source: Source) -> tuple[SavedLayer, ...]:
    """Return every layer with weights of a file that Keras saved, in the model's order.

    Raises InputError if there is none.
    """
    layers = keras_file.read_arrays_by_layer(source, Message("Write it with model.save_weights."))
    if not layers:
        with inside(source.name):
            raise InputError("it contains no layer with weights.", "Build the model, and save it again.")
    return tuple(SavedLayer(name, _format_shapes(arrays), arrays) for name, arrays in layers)


def _choose(layers: tuple[SavedLayer, ...], names: Sequence[str]) -> tuple[SavedLayer, ...]:
    _require_known(names, [layer.name for layer in layers])
    return tuple(layer for layer in layers if not names or layer.name in names)


def _require_known(names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise InputError("there is no layer {name!r} in it.", did_you_mean(name, known), name=name)


def find_layers(
    file: Text, arrays: Mapping[str, Array], names: Sequence[str], *, ordered: bool
) -> tuple[SavedLayer, ...]:
    """Return the layers among named arrays; none if all arrays have the paths of a --layer's weights.

    names: the names of the layers to return, in this order; none for all.
    ordered: whether the arrays are in the order of the layers.
    Raises InputError for an unknown name, and for all layers if their order is unknown.
    """
    contents = recognize.find_modules(file, arrays)
    used = [name for name in arrays if name not in contents.other_shapes]
    if not names and all(_PATH.fullmatch(name) for name in used):
        return ()
    with inside(file):
        known = {layer.name: layer for layer in _iterate_layers(contents, names)}
        _require_known(names, known)
        unordered = len(contents.modules) > 1 and not recognize.is_numbered(contents.modules)
        if unordered and not names and not ordered:
            raise InputError(
                "its layers have no order: {known}.",
                "Name the layers to use after a #, first to last: {file}#{example}",
                known=format_names(sorted(known)),
                file=file,
                example=",".join(sorted(known)[:2]),
            )
    return tuple(known[name] for name in names or known)


def _iterate_layers(contents: Modules, names: Sequence[str]) -> Iterator[SavedLayer]:
    for module in contents.modules:
        if module.refusal and names and module.name not in names:
            continue
        if module.refusal:
            others = [node.name for other in contents.modules if not other.refusal for node in other.nodes]
            choice = (
                Message(
                    "Name the others after a #: {file}#{others}", file=contents.file, others=",".join(others)
                )
                if others
                else ""
            )
            raise InputError(*module.explain_refusal(choice))
        for node in module.nodes:
            if "cell" in node.core_config:  # other weights have the shapes of its weights
                what = "{name} is an LSTM with peepholes, which is not a layer of Keras."
                raise InputError(what, "Run it with {--model:file}.", name=node.name, file=contents.file)
            core = f"{node.core_class}({node.core_config['units']})"
            title = core if node.core_class == node.class_name else f"{node.class_name}({core})"
            yield SavedLayer(node.name, title, tuple(node.weights.values()))


def _format_shapes(arrays: tuple[Array, ...]) -> str:
    """Return a title such as `GRU(2)` for a plain recurrent layer, otherwise the shapes of the weights."""
    if len(arrays) in (2, 3) and arrays[0].ndim == arrays[1].ndim == 2:
        units, wide = arrays[1].shape
        if name := infer_class(units, wide):
            return f"{name}({units})"
    return " ".join(format_shape(array.shape) for array in arrays)


def weights_of(contents: Graph | Modules, source: Source) -> LayerWeights:
    """Return every weight.

    source: the file, which is read again if it has no graph: `contents` has only its recurrent layers.
    """
    if isinstance(contents, Program):
        from rnncli.models.onnx.summary import other_weights

        nodes = {node.name: dict(node.weights) for node in contents.recurrent_nodes if node.weights}
        return {**nodes, **other_weights(contents)}
    if isinstance(contents, Graph):
        return _weights_of_graph(contents)
    from rnncli.models.weight_files.readers import read_numbers

    return of_modules(contents, read_numbers(source, contents.other_shapes))


def _weights_of_graph(graph: Graph) -> LayerWeights:
    """Return the weights of each layer once, also of layers that are used several times."""
    layers: LayerWeights = {}
    for node in graph.nodes:
        name = node.names[1]
        if node.inner is not None:
            layers |= {f"{name}/{inner}": weights for inner, weights in _weights_of_graph(node.inner).items()}
        elif node.weights:
            layers[name] = dict(node.weights)
    return layers


def of_modules(contents: Modules, others: Mapping[str, Array]) -> LayerWeights:
    """Return the recurrent layers, and the other arrays by layer.  others: by name, `head.weight`."""
    layers = {node.name: dict(node.weights) for node in contents.recurrent_nodes}
    by_layer: LayerWeights = {}
    for name, array in others.items():
        layer = name[: max(name.rfind("/"), name.rfind("."), 0)]
        by_layer.setdefault(layer, {})[name[len(layer) :].lstrip("./") if layer else name] = array
    from rnncli.models.weight_files.model import find_embeddings

    tables = find_embeddings(contents)
    for layer, weights in by_layer.items():
        is_table = any(f"{layer}{sign}weight" in tables for sign in "./")
        layers.setdefault(layer, {}).update(to_keras(weights, is_table=is_table))
    return layers


def to_keras(weights: Mapping[str, Array], *, is_table: bool = False) -> dict[str, Array]:
    """Return the weights of a layer of PyTorch in Keras's layout; of any other layer, as they are.

    is_table: whether a weight of two axes is that of an Embedding.
    """
    weight = weights.get("weight")
    if weight is None:
        return dict(weights)
    if weight.ndim == 1:
        return {TORCH_ROLES.get(name, name): array for name, array in weights.items()}
    # Linear and convolutions have the outputs first, then the features, then the axes of the window.
    kernel = weight if is_table else np.moveaxis(weight, (0, 1), (-1, -2))
    role = "embeddings" if is_table else "kernel"
    return {role if name == "weight" else name: kernel if name == "weight" else array
            for name, array in weights.items()}  # fmt: skip


def choose_layers(layers: LayerWeights, names: Collection[str]) -> LayerWeights:
    """Return the layers with these names or paths; without names, all layers."""
    if not names:
        return layers
    paths = tuple(f"{name}{sign}" for name in names for sign in ("/", ".", "_l"))
    return {name: weights for name, weights in layers.items() if name in names or name.startswith(paths)}
