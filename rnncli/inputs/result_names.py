"""What frameworks call the results of a recurrent layer, and which of rnncli's tensors each of them is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rnncli.values import Array

PARTS: Mapping[str, str] = {
    "cell": r"last_cell_state|c_n|cn|y_c|cell_state|final_c|c",
    "hidden": r"last_hidden_state|h_n|hn|y_h|final_h|h",
    "output": r"hidden_state|output|outputs|out|y",
    "sequence": r"hidden_states|sequence|sequences",
}
"""The names of a final cell state, a final hidden state, an output of either form, and a sequence."""
RESULT = re.compile(
    r"(?:(?P<layer>.*)/)?(?P<direction>forward_|backward_)?(?:"
    + "|".join(f"(?P<{part}>{names})" for part, names in PARTS.items())
    + ")",
    re.IGNORECASE,
)


def batch_first(name: str, array: Array) -> Array:
    """Return a sequence that a framework stored time first as (batch, timesteps, units); others unchanged."""
    match = RESULT.fullmatch(name)
    is_sequence = match is not None and (match["output"] or match["sequence"]) and array.ndim == 3
    return array.swapaxes(0, 1) if is_sequence else array


def find_results(name: str, array: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return the tensors of a result that a framework stored under this name; none if it is no such name.

    shapes: the shapes of the result's tensors, by name.
    `h_n` of PyTorch, (layers * directions, batch, units), may be several; its `output` is of the last layer.
    """
    match = RESULT.fullmatch(name)
    layers = list(dict.fromkeys(known.rpartition("/")[0] for known in shapes))
    if match is None or (match["layer"] is None and len(layers) > 1 and not _is_stack(layers)):
        return {}
    if match["layer"] is None and len(layers) > 1 and (match["cell"] or match["hidden"]):
        end = "last_cell_state" if match["cell"] else "last_hidden_state"
        states = [path for path in shapes if path.endswith(end)]
        return dict(zip(states, array, strict=True)) if len(array) == len(states) else {}
    layer = layers[-1] if match["layer"] is None else match["layer"]

    def known(*tensors: str) -> list[str]:
        paths = [f"{layer}/{tensor}" if layer else tensor for tensor in tensors]
        return [path for path in paths if path in shapes]

    direction = match["direction"] or ""
    if match["sequence"] or match["output"]:
        forms = ("hidden_states", "hidden_state") if match["output"] else ("hidden_states",)
        results = {
            path: merge_directions(array, shapes[path]) for path in known(*map(direction.__add__, forms))[:1]
        }
        # A layer without return_sequences has no tensor for the output of every step.
        return {path: result for path, result in results.items() if result.ndim <= len(shapes[path])}
    part = "cell" if match["cell"] else "hidden"
    if single := known(f"{direction}last_{part}_state"):
        return {single[0]: merge_directions(array, shapes[single[0]])}
    both = known(*(f"{way}last_{part}_state" for way in ("forward_", "backward_")))
    if len(both) == 2 and array.ndim in (2, 3) and len(array) == 2:  # 2: without an axis of the batch
        return dict(zip(both, array, strict=True))
    last = known("hidden_state") if part == "hidden" and not direction else []
    return {path: merge_directions(array, shapes[path]) for path in last}


def _is_stack(layers: list[str]) -> bool:
    """Return whether these are the layers of one module of PyTorch, `lstm_l0`, `lstm_l1`, or of a stack."""
    first = layers[0].removesuffix("0")
    return layers in ([f"{first}{index}" for index in range(len(layers))], [*map(str, range(len(layers)))])


def merge_directions(array: Array, shape: tuple[int, ...]) -> Array:
    """Return an array with an axis of directions, as PyTorch and ONNX have, in a shape without it.

    (directions, batch, units) is a state.  ONNX's Y is a sequence, (timesteps, directions, batch, units), or
    with layout 1 (batch, timesteps, directions, units).
    """
    import numpy as np

    if array.ndim != len(shape) + 1 or array.size != np.prod(shape):
        return array
    if array.ndim == 3:
        merged = np.moveaxis(array, 0, -2)
    elif array.shape[0] == shape[1] and array.shape[2] == shape[0]:
        merged = array.transpose(2, 0, 1, 3)
    else:
        merged = array
    return merged.reshape(*merged.shape[:-2], -1)
