"""Check the inputs given to a model, and convert them to its types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnncli.case import format_shape
from rnncli.errors import InputError, did_you_mean
from rnncli.model import Graph, Node, Port, Ref

if TYPE_CHECKING:
    from rnncli.case import Array


def fit_inputs(graph: Graph, given: Any) -> dict[str, Array]:
    """Return every input of the model by name, in the dtype that the model expects.

    given: an array for the only input, or arrays by the inputs' names.
    Adds a batch axis of 1 where exactly that is missing.
    Raises InputError, which says what an input expects and what was given.
    """
    ports = {port.name: port for port in graph.inputs}
    named = _by_name(graph, ports, given)
    return {name: _fit_one(graph, port, named[name]) for name, port in ports.items()}


def describe_inputs(graph: Graph) -> str:
    """Return `ids: (batch, 12), int32` and so on, for every input."""
    return "; ".join(f"{port.name}: {_describe(port)}" for port in graph.inputs)


def _describe(port: Port) -> str:
    """Return `(batch, 12), int32`."""
    names = ["batch" if port.shape[0] is None else port.shape[0]] if port.shape else []
    return f"{format_shape([*names, *port.shape[1:]])}, {port.dtype}"


def _by_name(graph: Graph, ports: Mapping[str, Port], given: Any) -> Mapping[str, Any]:
    """Return the inputs by name.  Raises InputError if one is missing or unknown."""
    all_wanted = describe_inputs(graph)
    if not isinstance(given, Mapping):
        if len(ports) != 1:
            raise InputError(
                f"{graph.file}: the model has {len(ports)} inputs; got one without a name.",
                f'Give them by name, {{"inputs": {{"NAME": ...}}}}: {all_wanted}.',
            )
        return dict.fromkeys(ports, given)
    for name in given:
        if name not in ports:
            raise InputError(
                f"{graph.file}: the model has no input {name!r}. {did_you_mean(name, ports)}",
                f"Its inputs are {all_wanted}.",
            )
    missing = [name for name in ports if name not in given]
    if missing:
        raise InputError(
            f"{graph.file}: missing input: {', '.join(missing)}.", f"The model expects {all_wanted}."
        )
    return given


def _fit_one(graph: Graph, port: Port, given: Any) -> Array:
    import numpy as np

    array = numbers_of(port.name, _describe(port), given)
    if array.ndim + 1 == len(port.shape) and _fits(array.shape, port.shape[1:]):
        array = array[None]
    if array.ndim != len(port.shape) or not _fits(array.shape, port.shape):
        raise InputError(
            f"{port.name}: the model expects {_describe(port)}; got shape {format_shape(array.shape)}.",
            _how_to_fit(port, array),
        )
    if not _numeric(port):
        raise InputError(
            f"{port.name}: the model expects {port.dtype}, which rnncli does not support.",
            "Save the model with an input of numbers.",
        )
    for embedding in _embeddings(graph, port):
        _demand_ids(port, embedding, array)
    if np.dtype(port.dtype).kind in "iub":
        demand_whole(port, array)
    return array.astype(port.dtype)


def numbers_of(name: str, wanted: str, given: Any) -> Array:
    """Return the value as one array.  Raises InputError if it is not an array of numbers."""
    import numpy as np

    try:
        array = np.asarray(given)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "iufb":
        raise InputError(
            f"{name}: the model expects {wanted}; got something other than an array of numbers.",
            "Give numbers only, in sequences of the same length.",
        )
    return array


def _numeric(port: Port) -> bool:
    import numpy as np

    try:
        return np.dtype(port.dtype).kind in "iufb"
    except TypeError:
        return False


def _fits(shape: tuple[int, ...], wanted_shape: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted_shape) and all(
        want in (None, size) for size, want in zip(shape, wanted_shape, strict=True)
    )


def _how_to_fit(port: Port, array: Array) -> str:
    """Return advice about the first difference."""
    if array.ndim != len(port.shape):
        return f"Give an array of {len(port.shape)} axes; the batch axis alone may be left out."
    axis = next(i for i, want in enumerate(port.shape) if want not in (None, array.shape[i]))
    what = "sequences in a batch" if axis == 0 else f"entries on axis {axis}"
    return f"Give {port.shape[axis]} {what}, not {array.shape[axis]}."


def demand_whole(port: Port, array: Array) -> None:
    """Raise InputError for a number that is not an integer, or does not fit the dtype."""
    import numpy as np

    low, high = (0, 1) if port.dtype == "bool" else (np.iinfo(port.dtype).min, np.iinfo(port.dtype).max)
    _demand(port, array, _whole(array) & (array >= low) & (array <= high), f"whole numbers ({port.dtype})")


def _demand_ids(port: Port, embedding: Node, array: Array) -> None:
    """Raise InputError for an id outside the table of the Embedding."""
    size = len(embedding.weights["embeddings"])
    what = f"token ids for the layer {embedding.name}, whole numbers from 0 to {size - 1}"
    _demand(port, array, _whole(array) & (array >= 0) & (array < size), what)


def _demand(port: Port, array: Array, fine: Array, what: str) -> None:
    import numpy as np

    if not fine.all():
        index = tuple(map(int, np.argwhere(~fine)[0]))
        place = f"{port.name}{list(index) if index else ''}"
        raise InputError(
            f"{port.name}: the model expects {what}; {place} is {array[index]}.",
            "Correct this number in the input.",
        )


def _whole(array: Array) -> Array:
    import numpy as np

    with np.errstate(all="ignore"):
        whole: Array = np.isfinite(array) & (np.floor(array) == array)
    return whole if array.dtype.kind == "f" else np.ones(array.shape, bool)


def _embeddings(graph: Graph, port: Port) -> list[Node]:
    """Return the Embedding layers that take the input as it is."""
    names = {node.name for node in graph.nodes if node.class_name == "InputLayer" and node.layer == port.name}
    return [
        node
        for node in graph.nodes
        if node.class_name == "Embedding"
        and "embeddings" in node.weights
        and any(isinstance(arg, Ref) and arg.node in names for arg in node.args)
    ]
