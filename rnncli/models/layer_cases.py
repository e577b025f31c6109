"""One use of a recurrent layer in a graph, as a Case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rnncli.errors import LayerError, Message
from rnncli.layers.case import Case
from rnncli.layers.plain import KerasCall, UnknownLayerError, dtype_of
from rnncli.layers.shape_checks import check_case
from rnncli.layers.stack import Stack
from rnncli.models.graph import Node, leaves
from rnncli.values import Spec, format_shape


def build_layer_case(node: Node, call: KerasCall, half: str = "") -> Case:
    """Return the Case of one use of a recurrent layer.  Raises UnknownLayerError for an unknown layer.

    half: the half precision in which the layer computes, if its framework computes it.
    """
    import numpy as np

    dtype = half.replace("bfloat16", "float32") or dtype_of(node.config.get("dtype"))
    if dtype is None:
        raise call.refuse("does not compute in float32 or float64")
    spec = spec_of(node)
    inputs, states = _split_states(call)
    if not all(isinstance(tensor, np.ndarray) for tensor in (inputs, *states)):
        raise call.refuse("takes an argument that is not a tensor")
    if call.kwargs.get("constants") is not None:
        raise call.refuse("is called with constants")
    mask = call.mask[0] if isinstance(call.mask, (list, tuple)) else call.mask
    if (
        mask is not None
        and np.shape(mask) != inputs.shape[: 3 if node.class_name == "TimeDistributed" else 2]
    ):
        raise call.refuse(
            "gets a mask of {shape} with inputs of {inputs}",
            shape=format_shape(np.shape(mask)),
            inputs=format_shape(inputs.shape),
        )
    case = Case(
        Stack((spec,)),
        inputs=np.ascontiguousarray(inputs, dtype),
        mask=None if mask is None else np.asarray(mask, bool),
        initial_state=tuple(np.asarray(state, dtype) for state in states) or None,
        weights={re.sub("^(layer/)+", "", name): array for name, array in node.weights.items()},
        seed=None,
    )
    return check_case(case)


def spec_of(node: Node) -> Spec:
    """Return the Spec of the layer.  Raises UnknownLayerError for an unknown cell or option."""
    from rnncli.specs.build import build

    try:
        return build({"class_name": node.class_name, "config": node.config})
    except LayerError as error:
        raise UnknownLayerError(
            node.name,
            Message(
                "the layer {name} ({class_name}): {error}",
                name=node.name,
                class_name=node.class_name,
                error=error,
            ),
            error.advice,
        ) from None


def with_dtype(config: Any, dtype: str) -> Any:
    """Return a config, or a part of it, with this dtype instead of a mixed policy; the numbers stay."""
    if isinstance(config, Mapping):
        return {key: dtype if key == "dtype" else with_dtype(value, dtype) for key, value in config.items()}
    return [with_dtype(value, dtype) for value in config] if isinstance(config, (list, tuple)) else config


def _split_states(call: KerasCall) -> tuple[Any, list[Any]]:
    """Return the sequence and the initial states; Keras 2 also takes both in one list."""
    first = list(call.inputs) if isinstance(call.inputs, (list, tuple)) else [call.inputs]
    given = call.args[0] if call.args else call.kwargs.get("initial_state")
    states = first[1:] + list(leaves(given))
    if any(state is None for state in states):
        states = [state for state in states if state is not None]
        if states:
            raise call.refuse("gets only part of its initial state")
    return first[0], states


def name_outputs(layer: str, count: int, case: Case | None = None) -> list[str]:
    """Return the names of a layer's outputs: `dense/output`, or `split/output_0` and so on for several.

    case: the Case of a recurrent layer, which names the outputs: `gru/hidden_states`.
    """
    if case is not None:
        return [f"{layer}/{info.name}" for info in case.stack.outputs(case.inputs.shape)]
    return [f"{layer}/output" if count == 1 else f"{layer}/output_{index}" for index in range(count)]
