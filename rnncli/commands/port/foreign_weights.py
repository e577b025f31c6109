"""The layer of a file: as its config or its node describes it, else recognized by its weights."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import InputError, LayerError, Message, Text, count, did_you_mean, format_names, inside
from rnncli.frameworks import GATES, infer_class, torch
from rnncli.inputs import formats, named_arrays
from rnncli.inputs.source import TORCH_SUFFIXES, Source, split_source
from rnncli.models import reading
from rnncli.models.graph import Graph, Node, Program, model_option
from rnncli.models.keras.choice import INPUT
from rnncli.models.layer_cases import spec_of
from rnncli.models.weights import is_in_order, name_in_order, read_keras_layers
from rnncli.specs import describe
from rnncli.values import Array, Spec, format_shape

ROLES: Mapping[str, str] = {
    "recurrent_bias": r"recurrent_bias|bias_hh|b_hh|b_h|bh|h2h_bias",
    "recurrent_kernel": r"recurrent_kernel|weight_hh|w_hh|wh|w_h|h2h_weight|recurrent|r|u",
    "kernel": r"kernel|weight_ih|w_ih|wx|w_x|i2h_weight|input_kernel|weights|w",
    "bias": r"bias|bias_ih|b_ih|input_bias|bx|b_x|i2h_bias|biases|b",
}
_NAME = re.compile(
    r"(?:(?P<path>.*)[./])?(?:" + "|".join(f"(?P<{role}>{names})" for role, names in ROLES.items()) + r")"
    r"(?P<layer>_l\d{1,4})?(?P<back>_reverse)?(?::\d+)?",
    re.IGNORECASE,
)
_FORWARD, _BACKWARD = ("forward", "fw", "fwd"), ("backward", "bw", "bwd", "reverse")
ADVICE = Message("Name the arrays kernel, recurrent_kernel and bias.")
TRANSPOSED = {
    (True, True): Message("the kernels are"),
    (True, False): Message("the kernel is"),
    (False, True): Message("the recurrent kernel is"),
}


class ForeignCell(NamedTuple):
    """The weights of one direction, in Keras's orientation as far as the shapes show it.

    kernel: (features, gates * units).  recurrent: (units, gates * units).
    biases: none, one or two of (gates * units,).
    rows: whether two biases are the rows of one array, as in Keras.
    forms: the conversions to Keras's layout that the shapes imply, in order.
    """

    class_name: str
    kernel: Array
    recurrent: Array
    biases: tuple[Array, ...]
    rows: bool
    forms: tuple[Message, ...]


class ForeignLayer(NamedTuple):
    """One layer of a file.

    class_name: SimpleRNN, GRU or LSTM.  units: the size of the state.
    cells: the cell of the forward direction, and of the backward direction if there are two.
    has_names: whether the names say which array is which.
    gates: the order of the gates that the names imply, PyTorch's; empty for other names.
    """

    class_name: str
    units: int
    cells: tuple[ForeignCell, ...]
    has_names: bool
    gates: tuple[str, ...] = ()


def read_weights(source: Source) -> dict[str, Array]:
    """Return the arrays by name, in the layout of the file; for FILE#layer, only the arrays of the layer.

    Raises InputError if the file holds a graph, or no arrays; EngineError if a package is missing.
    """
    source, names = split_source(source)
    name = ",".join(names)
    with inside(source.name):
        arrays = {key: np.asarray(array) for key, array in _read_arrays(source).items()}
        arrays = {key: array for key, array in arrays.items() if array.dtype.kind in "fV" or array.ndim > 1}
        if not name:
            return to_float64(arrays)
        matches = {key: match for key in arrays if (match := _NAME.fullmatch(key))}
        chosen = {key: arrays[key] for key, match in matches.items() if _parse_layer_name(match)[0] == name}
        if not chosen:
            advice = did_you_mean(name, list(_group_by_name(arrays)))
            raise InputError("there is no layer {name!r} in it.", advice, name=name)
        return to_float64(chosen)


def to_float64(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights in float64.  Raises InputError if a number is missing."""
    wide = {key: np.asarray(array, np.float64) for key, array in arrays.items()}
    for name, array in wide.items():
        if not np.isfinite(array).all():
            advice = "Give the weights of a working layer."
            raise InputError("{broken} contains NaN or infinity.", advice, broken=name)
    return wide


def _read_arrays(source: Source) -> Mapping[str, Any]:
    arrays: dict[str, Array] = {}
    if source.suffix in TORCH_SUFFIXES:
        for module in getattr(reading.read(source, or_layers=True), "modules", ()):
            for number, tensors in enumerate(module.tensors):
                if "weight_hr" in tensors:
                    advice = "Give the weights of a layer without a projection."
                    raise InputError("{refused}.", advice, refused=module.refusal)
                name = f"{module.name}_l{number}" if len(module.tensors) > 1 else module.name
                arrays |= {f"{name}.{key}": array for key, array in tensors.items()}
        advice = "Save the state dict of one."
    elif (format_name := formats.detect_format(source, advice=formats.RENAMED)) == "h5":
        for layer in read_keras_layers(source):
            named = name_in_order(layer.weights) if is_in_order(layer.weights) else {}
            arrays |= {f"{layer.name}/{name}": array for name, array in named.items()}
        advice = "Save the weights of one."
    elif format_name in formats.ONE_ARRAY:
        raise InputError("this format does not hold named arrays.", "Use npz, safetensors or JSON.")
    else:
        return named_arrays.to_weights(formats.load(source, format_name))
    if not arrays:
        raise InputError("there is no recurrent layer in it.", advice)
    return arrays


def find_layer(
    arrays: Mapping[str, Array], features: int, class_name: str | None = None, *, is_file: bool = True
) -> ForeignLayer:
    """Return the recurrent layer among named arrays.

    features: the size of the input.  class_name: the class of the layer that -l names, else None.
    is_file: whether the arrays are of a file, in which #layer chooses some.
    Raises InputError if there is no layer, more than one, or if the shapes belong to another class.
    """
    named = _group_by_name(arrays)
    if len(named) > 1:
        raise InputError(
            "there are {count} layers in it: {named}.",
            "port explains one: choose it with FILE#{first}, and give its own input and output."
            if is_file
            else "port explains one: give the weights of one layer, and the input and output of that layer.",
            count=len(named),
            named=format_names(list(named)),
            first=next(iter(named)),
        )
    directions = next(iter(named.values())) if named else {False: _assign_by_shape(arrays)}
    cells = [cell for _, roles in sorted(directions.items()) for cell in _split_directions(roles)]
    if len(cells) > 2:
        raise InputError("it has {count} directions.", "A layer has one or two.", count=len(cells))
    made = tuple(_orient_cell(roles, features, class_name) for roles in cells)
    if len({(cell.class_name, cell.kernel.shape, len(cell.biases)) for cell in made}) > 1:
        raise InputError("its directions have different shapes.", "Give weights of one layer.")
    kind = made[0].class_name
    gates = torch.GATES[kind] if any("weight_ih" in key for key in arrays) else ()
    return ForeignLayer(kind, len(made[0].recurrent), made, bool(named), tuple(gates))


def _group_by_name(arrays: Mapping[str, Array]) -> dict[str, dict[bool, dict[str, Array]]]:
    """Return the arrays as groups[layer][is_backward][role].

    A layer without a recurrent kernel, such as Dense, counts only if no layer has a recurrent kernel.
    """
    layers: dict[str, dict[bool, dict[str, Array]]] = {}
    for key, array in arrays.items():
        match = _NAME.fullmatch(key)
        if match is not None and array.ndim:
            layer, back = _parse_layer_name(match)
            role = next(role for role in ROLES if match[role])
            layers.setdefault(layer, {}).setdefault(back, {})[role] = array
    layers = {
        layer: cells
        for layer, cells in layers.items()
        if all("kernel" in roles and roles["kernel"].ndim > 1 for roles in cells.values())
    }
    recurrent = {
        layer: ["recurrent_kernel" in roles for roles in cells.values()] for layer, cells in layers.items()
    }
    if not any(map(any, recurrent.values())):
        return layers
    return {layer: cells for layer, cells in layers.items() if all(recurrent[layer])}


def _parse_layer_name(match: re.Match[str]) -> tuple[str, bool]:
    """Return the layer's name, and whether this is its backward direction."""
    parts = re.split(r"[./]", match["path"]) if match["path"] else []
    back = bool(match["back"]) or any(part.casefold() in _BACKWARD for part in parts)
    kept = [part for part in parts if part.casefold() not in (*_FORWARD, *_BACKWARD)]
    return "/".join(kept) + (match["layer"] or ""), back


def _assign_by_shape(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the roles of arrays whose names say nothing: two matrices, and at most two biases."""
    flat = {name: array for name, array in arrays.items() if array.ndim == 2}
    matrices = {name: array for name, array in flat.items() if min(array.shape) > 2} or flat
    biases = [array for name, array in arrays.items() if name not in matrices]
    if len(matrices) not in (1, 2) or len(biases) > 2:
        shapes = ", ".join(f"{name} {format_shape(array.shape)}" for name, array in arrays.items())
        raise InputError(
            "the arrays are not recognized as one recurrent layer: {shapes}.", ADVICE, shapes=shapes
        )
    kernels = list(matrices.values())
    if [infer_class(*sorted(kernel.shape)) is not None for kernel in kernels] == [True, False]:
        kernels.reverse()
    roles = dict(zip(("kernel", "recurrent_kernel"), kernels, strict=False))
    return roles | dict(zip(("bias", "recurrent_bias"), biases, strict=False))


def _split_directions(roles: Mapping[str, Array]) -> Iterator[Mapping[str, Array]]:
    """Yield the roles of each direction; ONNX has them along the first axis."""
    kernel = roles["kernel"]
    if kernel.ndim == 2:
        yield roles
        return
    if kernel.ndim != 3 or len({len(array) for array in roles.values()}) > 1:
        raise InputError(
            "the kernel has {ndim} axes.",
            "Give it two, (features, gates * units); or give every array a first axis for the directions.",
            ndim=kernel.ndim,
        )
    for index in range(len(kernel)):
        yield {role: array[index] for role, array in roles.items()}


def _orient_cell(roles: Mapping[str, Array], features: int, class_name: str | None) -> ForeignCell:
    forms: list[Message] = []
    kernel, recurrent = roles["kernel"], roles.get("recurrent_kernel")
    if recurrent is None:
        text = "one kernel {found} holds both: first the rows of the input, then those of the state"
        forms.append(Message(text, found=format_shape(kernel.shape)))
        kernel, recurrent = _split_kernel(kernel, features)
    kind, wanted = _orient_recurrent(recurrent, class_name)
    width = wanted.shape[1]
    if kernel.shape not in ((features, width), (width, features)):
        raise InputError(
            "the kernel is {shape}; the input has {features}, which needs {wanted} or its transpose.",
            "Give the input that belongs to these weights.",
            shape=format_shape(kernel.shape),
            features=count(features, "feature"),
            wanted=format_shape((features, width)),
        )
    upright = kernel if kernel.shape == (features, width) else kernel.T
    if kind == "SimpleRNN" and upright is not kernel:
        wanted = recurrent.T  # a square matrix does not show its orientation; the other one does
    turned = kernel is not upright, recurrent is not wanted
    if any(turned):
        before, after = (kernel, upright) if turned[0] else (recurrent, wanted)
        forms.append(
            Message(
                "{which} transposed, {found} for {wanted}",
                which=TRANSPOSED[turned],
                found=format_shape(before.shape),
                wanted=format_shape(after.shape),
            )
        )
    rows = getattr(roles.get("bias"), "shape", ()) == (2, width)
    return ForeignCell(kind, upright, wanted, _split_biases(roles, width), rows, tuple(forms))


def _split_kernel(kernel: Array, features: int) -> tuple[Array, Array]:
    """Return the parts of a kernel (features + units, gates * units), as TensorFlow 1 has it."""
    for both in (kernel, kernel.T):
        if infer_class(len(both) - features, both.shape[1]) is not None:
            return both[:features], both[features:]
    what = "the kernel is {shape}, and there is no recurrent kernel."
    advice = "Add the recurrent kernel under the name recurrent_kernel."
    raise InputError(what, advice, shape=format_shape(kernel.shape))


def _orient_recurrent(array: Array, class_name: str | None) -> tuple[str, Array]:
    """Return the class, and the array in Keras's orientation."""
    shape, both = format_shape(array.shape), (array, array.T) if array.ndim == 2 else ()
    known = {kind: upright for upright in both[::-1] if (kind := infer_class(*upright.shape)) is not None}
    if class_name in known:
        return class_name, known[class_name]
    if class_name is None and known:
        return list(known.items())[-1]
    if known:
        raise InputError(
            "the recurrent kernel is {found}, which is not the shape of {class_name}: (units, "
            "{count} * units).",
            "Name the layer that has this shape, {known}, or leave {--layer} out.",
            found=shape,
            class_name=class_name,
            count=len(GATES[class_name or ""]),
            known=min(known),
        )
    what = "the recurrent kernel is {found}, which is not the shape of any layer."
    advice = "It is (units, units) for SimpleRNN, (units, 3 * units) for GRU, (units, 4 * units) for LSTM."
    raise InputError(what, advice, found=shape)


def _split_biases(roles: Mapping[str, Array], width: int) -> tuple[Array, ...]:
    """Return the bias vectors, (gates * units,) each."""
    vectors: list[Array] = []
    for array in (roles[role] for role in ("bias", "recurrent_bias") if role in roles):
        if array.size not in (width, 2 * width):
            what = "a bias is {shape}, not {wanted}."
            advice = "Give the bias that belongs to these kernels, or leave it out if there is none."
            raise InputError(what, advice, shape=format_shape(array.shape), wanted=format_shape((width,)))
        vectors += list(array.reshape(-1, width))
    if len(vectors) > 2:
        raise InputError("there are {count} biases.", "A layer has one or two.", count=len(vectors))
    return tuple(vectors)


ONE_LAYER = "port explains a single SimpleRNN, LSTM or GRU, alone or inside Bidirectional."
NAME_LAYER = "Name one of these with {--layer}, and choose its weights with FILE#layer."


def read_described(source: Source) -> tuple[Spec | None, Mapping[str, Array], tuple[Text, ...]]:
    """Return the layer of a whole model, its weights, and notes on what is left out of the model.

    A file without a graph has no layer.

    Raises InputError if the model has no such layer or several, or if rnncli cannot compute it; EngineError.
    """
    source, names = split_source(source)
    alone = str(source.name).lower().endswith(".weights.h5")
    if alone or source.suffix not in (".onnx", ".keras", ".h5", ".hdf5"):
        return None, {}, ()
    contents = reading.read(source, or_layers=True)
    if not isinstance(contents, Graph):
        return None, {}, ()
    with inside(source.name):
        node = _choose_node(contents, names)
        if isinstance(contents, Program) and node.name in contents.refusals:
            what = "{node}: rnncli does not compute it: {reason}."
            advice = "Choose a different node after a #."
            raise InputError(what, advice, node=node.name, reason=contents.refusals[node.name])
        if not node.weights:
            what = "{node}: its weights are not in the file; the graph computes them."
            advice = "Run the graph with its own input: {option}"
            raise InputError(what, advice, node=node.name, option=model_option(contents.file, [node.name]))
        spec = require_explained(spec_of(node))
    return spec, node.weights, _note_left_out(contents, node)


def _choose_node(graph: Graph, names: tuple[str, ...]) -> Node:
    nodes = {node.name: node for node in graph.recurrent_nodes}
    if not nodes:
        raise graph.explain_none()
    chosen = [node for name, node in nodes.items() if not names or {*node.names} & {*names}]
    if not chosen:
        raise InputError(
            "there is no recurrent layer {name!r} in it; it has {known}.",
            "Choose a layer: {file}#{first}",
            name=",".join(names),
            known=format_names(list(nodes)),
            file=shlex.quote(graph.file),
            first=next(iter(nodes)),
        )
    if len({node.layer for node in chosen}) > 1:
        raise InputError(
            "there are {count} layers in it: {named}.",
            "port explains one: choose it with FILE#{first}, and give its own input and output.",
            count=len(chosen),
            named=format_names([node.name for node in chosen]),
            first=chosen[0].name,
        )
    return chosen[0]


def _note_left_out(graph: Graph, node: Node) -> tuple[Text, ...]:
    names = [other.name for other in graph.nodes]
    if isinstance(graph, Program):  # whose nodes do not say what they depend on
        before = set(names[: names.index(node.name)])
    else:
        before = graph.find_dependencies({node.name}) - {node.name}
    if all(other.class_name == INPUT for other in graph.nodes if other.name in before):
        return ()
    return (
        Message(
            "{file} is a whole model: its masks, and what stands before {layer}, are left out; "
            "with them: {option}",
            file=graph.file,
            layer=node.name,
            option=model_option(graph.file, [node.name]),
        ),
    )


def require_explained(spec: Spec) -> Spec:
    """Return the layer.  Raises LayerError if it is not one that port explains."""
    if spec.class_name not in (*GATES, "Bidirectional") or spec.inner.class_name not in GATES:
        raise LayerError(ONE_LAYER, NAME_LAYER)
    backward = spec.config.get("backward_layer")
    if spec.class_name == "Bidirectional" and (
        spec.inner.config["go_backwards"] or (backward and _options(backward) != _options(spec.inner))
    ):
        raise LayerError(
            "port explains two directions only if they have the same options, and {spec} has different ones.",
            "Explain each direction alone, with its own weights and what it returned.",
            spec=describe(spec),
        )
    return spec


def without_returns(spec: Spec) -> Spec:
    """Return the layer without the options that change what it returns, or only training."""
    for name in ("return_sequences", "return_state", "stateful"):
        spec = spec.with_option(name, False)
    for name in ("dropout", "recurrent_dropout"):
        spec = spec.with_option(name, 0.0)
    return spec


def _options(layer: Spec) -> dict[str, object]:
    """Return the options that decide what a layer computes from given weights."""
    names = ("units", "activation", "recurrent_activation", "use_bias", "reset_after", "zero_output_for_mask")
    return {"class": layer.class_name, **{name: layer.config.get(name) for name in names}}
