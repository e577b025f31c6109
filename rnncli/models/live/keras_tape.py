"""The tape over one call of a Keras object: TensorFlow's, or PyTorch's where Keras runs on it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import BoundArguments
from typing import Any

import numpy as np

from rnncli.errors import LayerError
from rnncli.models.live import tape
from rnncli.models.live.keras_state import to_numpy
from rnncli.models.live.recording import flatten
from rnncli.values import Array


def make_tape(batch: int) -> tape.Tape:
    """Return the tape of the framework on which Keras runs."""
    import keras

    if keras.backend.backend() != "torch":
        return _TensorflowTape(batch)
    import torch

    from rnncli.models.live import torch_tape

    class KerasTape(torch_tape.TorchTape):
        orders = tape.BATCH_FIRST

        def make_leaf(self, value: Any) -> tuple[Any, Any]:
            is_array = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            return super().make_leaf(torch.from_numpy(value.copy()) if is_array else value)

    return KerasTape(batch)


class _TensorflowTape(tape.Tape):
    def call(self, run: Callable[[], Any], arguments: BoundArguments) -> Any:
        """Call the object under a tape that watches its input."""
        import tensorflow

        with tensorflow.GradientTape(persistent=True, watch_accessed_variables=False) as self.tape:
            self.watch(arguments)
            self.tape.watch(self.leaf)
            returned = run()
        tensors = flatten("output", returned, lambda value: value if hasattr(value, "shape") else None)
        name, self.output = next(iter(tensors.items()), ("output", None))
        if self.output is None or not self.output.dtype.is_floating:
            what = "{--whole}: the first output has no floating-point numbers."
            raise LayerError(what, "Let the model return its scores.")
        shapes = tuple(self.leaf.shape), tuple(self.output.shape)
        self.found = self.measure(name, shapes, self.leaf.dtype.name)
        del self.tape
        return returned

    output: Any
    tape: Any

    def make_leaf(self, value: Any) -> tuple[Any, Any]:
        import keras
        import tensorflow

        is_float = hasattr(value, "dtype") and keras.backend.is_float_dtype(
            keras.backend.standardize_dtype(value.dtype)
        )
        if not is_float:
            return None, None
        if self.leaf is not None:
            return None, value
        tensor = tensorflow.identity(np.asarray(value) if hasattr(value, "__array__") else value)
        return tensor, tensor

    def pull_back(self, vector: Array) -> Array | None:
        import tensorflow

        given = tensorflow.cast(vector, self.output.dtype)
        gradient = self.tape.gradient(self.output, self.leaf, output_gradients=given)
        return None if gradient is None else to_numpy(gradient)
