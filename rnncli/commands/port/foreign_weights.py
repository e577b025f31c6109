"""Read weights of another framework: their roles by name, else by shape, and what shapes alone decide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from rnncli.case import Array, format_shape
from rnncli.errors import InputError, Message, count, did_you_mean, format_names, inside
from rnncli.frameworks import GATES, infer_class, torch
from rnncli.inputs import formats, named_arrays
from rnncli.inputs.formats import Source
from rnncli.inputs.source import TORCH_SUFFIXES, split_source
from rnncli.models import reading
from rnncli.models.weights import is_in_order, name_in_order, read_keras_layers

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

    cells: the cell of the forward direction, and of the backward direction if there are two.
    has_names: whether the names say which array is which.
    gates: the order of the gates that the names imply, PyTorch's; empty for other names.
    """

    cells: tuple[ForeignCell, ...]
    has_names: bool
    gates: tuple[str, ...] = ()

    @property
    def class_name(self) -> str:
        """SimpleRNN, GRU or LSTM."""
        return self.cells[0].class_name

    @property
    def units(self) -> int:
        """The size of the state."""
        return len(self.cells[0].recurrent)


def read_weights(source: Source) -> dict[str, Array]:
    """Return the arrays by name, in the layout of the file; for FILE#layer, only the arrays of the layer.

    Raises InputError if the file holds a graph, or no arrays; EngineError if a package is missing.
    """
    source, names = split_source(source)
    name = ",".join(names)
    with inside(source.name):
        arrays = {key: np.asarray(array) for key, array in _read_arrays(source).items()}
        arrays = {key: array for key, array in arrays.items() if array.dtype.kind in "fV" or array.ndim > 1}
        matches = {key: _NAME.fullmatch(key) for key in arrays} if name else {}
        named = {key for key, match in matches.items() if match and _parse_layer_name(match)[0] == name}
        chosen = {key: array for key, array in arrays.items() if key in named or not name}
        if name and not chosen:
            advice = did_you_mean(name, list(_group_by_name(arrays)))
            raise InputError("there is no layer {name!r} in it.", advice, name=name)
        return to_float64(chosen)


def to_float64(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights in float64.  Raises InputError if a number is missing."""
    wide = {key: np.asarray(array, np.float64) for key, array in arrays.items()}
    broken = next((key for key, array in wide.items() if not np.isfinite(array).all()), None)
    if broken is not None:
        raise InputError(
            "{broken} contains NaN or infinity.", "Give the weights of a working layer.", broken=broken
        )
    return wide


def _read_arrays(source: Source) -> Mapping[str, Any]:
    """Return all arrays of the file by name."""
    arrays: dict[str, Array] = {}
    if source.suffix in TORCH_SUFFIXES:
        for module in getattr(reading.read(source, or_layers=True), "modules", ()):
            for number, tensors in enumerate(module.tensors):
                if "weight_hr" in tensors:
                    advice = "Give the weights of a layer without a projection."
                    raise InputError("{refused}.", advice, refused=module.refusal)
                name = f"{module.name}_l{number}" if len(module.tensors) > 1 else module.name
                arrays |= {f"{name}.{key}": array for key, array in tensors.items()}
        if not arrays:
            raise InputError("there is no recurrent layer in it.", "Save the state dict of one.")
        return arrays
    format_name = formats.detect_format(source, advice=formats.RENAMED)
    if format_name != "h5":
        if format_name in formats.ONE_ARRAY:
            raise InputError("this format does not hold named arrays.", "Use npz, safetensors or JSON.")
        return named_arrays.to_weights(formats.load(source, format_name))
    for layer in read_keras_layers(source):
        named = name_in_order(layer.weights) if is_in_order(layer.weights) else {}
        arrays |= {f"{layer.name}/{name}": array for name, array in named.items()}
    if not arrays:
        raise InputError("there is no recurrent layer in it.", "Save the weights of one.")
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
    directions = next(iter(named.values())) if named else _assign_by_shape(arrays)
    cells = [cell for _, roles in sorted(directions.items()) for cell in _split_directions(roles)]
    if len(cells) > 2:
        raise InputError("it has {count} directions.", "A layer has one or two.", count=len(cells))
    made = tuple(_orient_cell(roles, features, class_name) for roles in cells)
    if len({(cell.class_name, cell.kernel.shape, len(cell.biases)) for cell in made}) > 1:
        raise InputError("its directions have different shapes.", "Give weights of one layer.")
    gates = torch.GATES[made[0].class_name] if any("weight_ih" in key for key in arrays) else ()
    return ForeignLayer(made, bool(named), tuple(gates))


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
    with_kernel = {
        layer: cells
        for layer, cells in layers.items()
        if all("kernel" in roles and roles["kernel"].ndim > 1 for roles in cells.values())
    }
    whole = {
        layer: cells
        for layer, cells in with_kernel.items()
        if all("recurrent_kernel" in roles for roles in cells.values())
    }
    roles_of_cells = (roles for cells in with_kernel.values() for roles in cells.values())
    return whole if any("recurrent_kernel" in roles for roles in roles_of_cells) else with_kernel


def _parse_layer_name(match: re.Match[str]) -> tuple[str, bool]:
    """Return the layer's name, and whether this is its backward direction."""
    parts = re.split(r"[./]", match["path"]) if match["path"] else []
    back = bool(match["back"]) or any(part.casefold() in _BACKWARD for part in parts)
    kept = [part for part in parts if part.casefold() not in (*_FORWARD, *_BACKWARD)]
    return "/".join(kept) + (match["layer"] or ""), back


def _assign_by_shape(arrays: Mapping[str, Array]) -> dict[bool, dict[str, Array]]:
    """Return the roles of arrays whose names say nothing: two matrices, and at most two biases."""
    matrices = [array for array in arrays.values() if array.ndim == 2 and min(array.shape) > 2]
    matrices = matrices or [array for array in arrays.values() if array.ndim == 2]
    rest = [array for array in arrays.values() if all(array is not matrix for matrix in matrices)]
    if len(matrices) not in (1, 2) or len(rest) > 2:
        shapes = ", ".join(f"{name} {format_shape(array.shape)}" for name, array in arrays.items())
        raise InputError(
            "the arrays are not recognized as one recurrent layer: {shapes}.", ADVICE, shapes=shapes
        )
    recurrent = [infer_class(*sorted(matrix.shape)) is not None for matrix in matrices]
    if recurrent == [True, False]:
        matrices.reverse()
    roles = dict(zip(("kernel", "recurrent_kernel"), matrices, strict=False))
    return {False: roles | dict(zip(("bias", "recurrent_bias"), rest, strict=False))}


def _split_directions(roles: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Yield the roles of each direction; ONNX has them along the first axis."""
    if roles["kernel"].ndim == 2:
        yield dict(roles)
        return
    if roles["kernel"].ndim != 3 or len({len(array) for array in roles.values()}) > 1:
        raise InputError(
            "the kernel has {ndim} axes.",
            "Give it two, (features, gates * units); or give every array a first axis for the directions.",
            ndim=roles["kernel"].ndim,
        )
    for index in range(len(roles["kernel"])):
        yield {role: array[index] for role, array in roles.items()}


def _orient_cell(roles: Mapping[str, Array], features: int, class_name: str | None) -> ForeignCell:
    """Return the weights in Keras's orientation."""
    forms: list[Message] = []
    kernel, recurrent = roles["kernel"], roles.get("recurrent_kernel")
    if recurrent is None:
        forms.append(
            Message(
                "one kernel {found} holds both: first the rows of the input, then those of the state",
                found=format_shape(kernel.shape),
            )
        )
        kernel, recurrent = _split_kernel(kernel, features)
    kind, wanted = _orient_recurrent(recurrent, class_name)
    width = wanted.shape[1]
    upright = _orient_kernel(kernel, width, features)
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
    biases = _split_biases(roles, width)
    rows = getattr(roles.get("bias"), "shape", ()) == (2, width)
    return ForeignCell(kind, upright, wanted, biases, rows, tuple(forms))


def _split_kernel(kernel: Array, features: int) -> tuple[Array, Array]:
    """Return the parts of a kernel (features + units, gates * units), as TensorFlow 1 has it."""
    for both in (kernel, kernel.T):
        units = len(both) - features
        if units > 0 and infer_class(units, both.shape[1]) is not None:
            return both[:features], both[features:]
    raise InputError(
        "the kernel is {shape}, and there is no recurrent kernel.",
        "Add the recurrent kernel under the name recurrent_kernel.",
        shape=format_shape(kernel.shape),
    )


def _orient_recurrent(array: Array, class_name: str | None) -> tuple[str, Array]:
    """Return the class, and the array in Keras's orientation.  Raises InputError for another shape."""
    shape, both = format_shape(array.shape), (array, array.T) if array.ndim == 2 else ()
    known = [(kind, upright) for upright in both if (kind := infer_class(*upright.shape)) is not None]
    for kind, upright in known:
        if class_name in (None, kind):
            return kind, upright
    if class_name is not None and known:
        raise InputError(
            "the recurrent kernel is {found}, which is not the shape of {class_name}: (units, "
            "{count} * units).",
            "Name the layer that has this shape, {known}, or leave {--layer} out.",
            found=shape,
            class_name=class_name,
            count=len(GATES[class_name]),
            known=min(kind for kind, _ in known),
        )
    raise InputError(
        "the recurrent kernel is {found}, which is not the shape of any layer.",
        "It is (units, units) for SimpleRNN, (units, 3 * units) for GRU, (units, 4 * units) for LSTM.",
        found=shape,
    )


def _orient_kernel(array: Array, width: int, features: int) -> Array:
    if array.shape == (features, width):
        return array
    if array.shape == (width, features):
        return array.T
    raise InputError(
        "the kernel is {shape}; the input has {features}, which needs {wanted} or its transpose.",
        "Give the input that belongs to these weights.",
        shape=format_shape(array.shape),
        features=count(features, "feature"),
        wanted=format_shape((features, width)),
    )


def _split_biases(roles: Mapping[str, Array], width: int) -> tuple[Array, ...]:
    """Return the bias vectors, (gates * units,) each."""
    vectors: list[Array] = []
    for role in ("bias", "recurrent_bias"):
        if role in roles:
            array = np.asarray(roles[role])
            if array.size not in (width, 2 * width):
                raise InputError(
                    "a bias is {shape}, not {wanted}.",
                    "Give the bias that belongs to these kernels, or leave it out if there is none.",
                    shape=format_shape(array.shape),
                    wanted=format_shape((width,)),
                )
            vectors += list(array.reshape(-1, width))
    if len(vectors) > 2:
        raise InputError("there are {count} biases.", "A layer has one or two.", count=len(vectors))
    return tuple(vectors)
