"""What a call may change in Keras's layers and variables, and in its random states: saved and put back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnncli.errors import Message, Text, format_names
from rnncli.models.live.recording import Restore, save_attributes
from rnncli.process.isolation import restore_random
from rnncli.values import Array

_GLOBALS = "keras.src.backend.common.global_state"
"""Where Keras keeps, for each thread, its seed and the number in the name of the next layer."""


@contextmanager
def unchanged(layers: Sequence[Any], given: Mapping[str, Any]) -> Iterator[list[Text]]:
    """Put layers, arguments and random states back after the block; yield a list for remarks on what stays.

    Left as they are: trainable weights, which another thread may train, and layers that the block has built.
    """
    import keras

    variables: tuple[Any, ...] = (keras.Variable,)
    save_tensor: Callable[[Any], Restore | None] | None = None
    kept_random: AbstractContextManager[Any] = nullcontext()
    if keras.backend.backend() == "torch":
        import torch

        from rnncli.models.live.torch_state import save_tensor

        kept_random = torch.random.fork_rng(range(torch.cuda.device_count()))
    else:
        import tensorflow

        variables = keras.Variable, tensorflow.Variable
    notes: list[Text] = []
    changed: dict[str, None] = {}

    def save_value(value: Any) -> Restore | None:
        if isinstance(value, (keras.random.SeedGenerator, keras.Metric)):
            return save_attributes([value], save_value)
        if isinstance(value, variables):
            return save_variable(value)
        return save_tensor(value) if save_tensor else None

    def save_variable(variable: Any) -> Restore:
        before = tensor_of(variable)

        def restore() -> None:
            if not differ(before, tensor_of(variable)):
                return
            if isinstance(variable, keras.Variable) and variable.trainable:
                changed[variable.path] = None
            else:
                variable.assign(before)

        return restore

    unbuilt = [not (layer.built or layer.weights) for layer in layers]
    kept = [save_attributes([layer], save_value) for layer in layers]
    beside = [sys.modules[_GLOBALS].GLOBAL_STATE_TRACKER, SimpleNamespace(**given)]
    restore_beside = save_attributes(beside, save_value)
    with restore_random(), kept_random:
        try:
            yield notes
        finally:
            for layer, was_unbuilt, restore in zip(layers, unbuilt, kept, strict=True):
                if was_unbuilt and layer.weights:
                    notes.append(Message("the call itself built {name}, which stays built", name=layer.name))
                else:
                    restore()
            restore_beside()
            if changed:
                names = format_names(list(changed))
                notes.append(Message("the call itself changed {names}; they stay changed", names=names))


def tensor_of(variable: Any) -> Any:
    """Return the value of a variable, which stays as it is when the variable changes.

    Memory is shared, but on PyTorch, which changes variables in place.
    """
    import keras

    value = variable.value if isinstance(variable, keras.Variable) else variable
    if keras.backend.backend() == "torch":
        return value.detach().clone()
    return value.read_value() if hasattr(value, "read_value") else value


def differ(tensor: Any, other: Any) -> bool:
    """Return whether the numbers of two tensors differ; the same memory holds the same numbers."""
    try:
        first, second = (np.asarray(memoryview(item)).ctypes.data for item in (tensor, other))
    except (TypeError, ValueError):  # a type that NumPy lacks, or a tensor of PyTorch
        first, second = 0, 1
    return first != second and to_numpy(tensor).tobytes() != to_numpy(other).tobytes()


def is_tracing() -> bool:
    """Return whether a graph is made of what is called, so that tensors have no numbers."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        return torch.compiler.is_compiling()
    import tensorflow

    return not tensorflow.executing_eagerly()


def to_numpy(tensor: Any) -> Array:
    """Return a copy of a tensor; bfloat16, which NumPy lacks, as float32."""
    import keras

    array = np.array(keras.ops.convert_to_numpy(tensor))
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def arrays_in(value: Any) -> Iterator[Array]:
    """Yield copies of the tensors in a nested value."""
    import keras

    return (to_numpy(leaf) for leaf in keras.tree.flatten(value) if hasattr(leaf, "shape"))
