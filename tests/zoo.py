"""Models as people write them, in a few lines each: subclasses that hold layers, and what calls these."""

from collections.abc import Callable
from typing import Any


def torch_module(forward: Callable[..., Any], **parts: Any) -> Any:
    """Return a module of PyTorch that holds the parts by name; `forward` takes it, and its inputs."""
    from torch import nn

    return hold(type("Flow", (nn.Module,), {"forward": forward})(), parts)


def keras_model(call: Callable[..., Any], **parts: Any) -> Any:
    """Return a model of Keras that holds the layers by name; `call` takes it, and its inputs."""
    import keras

    return hold(type("Flow", (keras.Model,), {"call": call})(), parts)


def hold(owner: Any, parts: dict[str, Any]) -> Any:
    for name, part in parts.items():
        setattr(owner, name, part)
    return owner
