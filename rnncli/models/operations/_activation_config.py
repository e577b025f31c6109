"""The option `activation` of a config: a name, the config of a function, or the config of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnncli.case import Array
from rnncli.errors import LayerError, Message
from rnncli.layers import activations

if TYPE_CHECKING:
    from rnncli.models.operations._call import OperationCall


def activate(call: OperationCall, x: Array, activation: Any) -> Array:
    """Apply the activation of a config to `x`.  Raises UnknownLayerError if it is not one of Keras's."""
    if isinstance(activation, Mapping) and activation.get("class_name") != "function":
        from rnncli.models.operations import compute

        inner = call._replace(
            config=activation.get("config") or {},
            class_name=str(activation.get("class_name")),
            weights={},
            inputs=x,
            mask=None,
        )
        if inner.class_name == "PReLU":
            raise call.refuse(Message("has an activation with weights of its own"))
        output: Array = compute(inner, str(activation.get("module") or ""))[0]
        return output
    try:
        return activations.get(activation)(x)
    except LayerError as error:
        raise call.refuse(Message("has an activation that is not Keras's ({error})", error=error)) from None
