"""The sizes in a Keras model, found before anything of them is allocated.

A file of a few kilobytes may describe layers that fill the memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnncli.case import Array
from rnncli.errors import InputError, Message, RnncliError, Text
from rnncli.models._framework_errors import UnrunnableError, first_sentence
from rnncli.models._layer_calls import graph_of
from rnncli.models.keras._keras_process import count_bytes
from rnncli.process import child_process
from rnncli.process.memory import PER_BYTE, ROOM, format_size, limit_growth

NO_MEMORY = ("ResourceExhaustedError", "MemoryError", "_ArrayMemoryError")


def require_room(keras: Any, path: Path, inputs: Mapping[str, Array]) -> None:
    """Raise InputError if the tensors of the model are far larger than its file and the inputs.

    Keras builds the model without numbers, and TensorFlow traces it for inputs of these shapes.  Keras
    keeps all tensors until the model has run, and TensorFlow may crash where memory runs out.
    Raises what Keras raises for a model that it cannot load.
    """
    try:
        with _no_variables(keras):
            model = keras.saving.load_model(path, compile=False)
            sizes = tuple(_tensor_sizes(keras, model, inputs))
    except ValueError as error:
        if "stateless scope" in str(error):  # Keras creates the states of a stateful layer nowhere else
            return
        raise
    room = ROOM + PER_BYTE * count_bytes(path, inputs)
    if max(sizes, default=0) > room:
        raise too_large(Message("a tensor of {size}", size=format_size(max(sizes))))
    if sum(sizes) > room:
        raise too_large(Message("tensors of {size}", size=format_size(sum(sizes))))


@contextmanager
def limit_memory(path: Path, inputs: Mapping[str, Array]) -> Iterator[None]:
    """Let allocations fail beyond a multiple of the file and the inputs; see `limit_growth`."""
    tensorflow = importlib.import_module("tensorflow")
    tensorflow.constant(1) + 1  # now its threads exist, whose stacks would count
    size = count_bytes(path, inputs)
    child_process.limit_data(ROOM + PER_BYTE * size)
    with limit_growth(size):
        yield


def explain_error(error: Exception) -> RnncliError:
    """Convert an error of Keras, which refuses custom layers and the Lambdas of a file."""
    if is_no_memory(error):
        return too_large(Message("too much memory"))
    what = Message("Keras cannot run this model: {sentence}", sentence=first_sentence(error))
    if str(error).startswith("Exception encountered"):  # it knows the layer
        return UnrunnableError(what, "Correct the model so that Keras runs it, or give different inputs.")
    return UnrunnableError(
        what,
        "Rebuild the model without the layers that it does not know, copy the weights, and save it again.",
    )


def too_large(what: Text) -> InputError:
    """Return the error for a model that needs `what`."""
    return InputError(
        "the model needs {what}, far more than its file and the inputs take.",
        "Give smaller inputs, or build the model without such large tensors.",
        what=what,
    )


def is_no_memory(error: Exception) -> bool:
    """Return whether the error of a framework says that memory ran out."""
    return type(error).__name__ in NO_MEMORY or "OOM when allocating" in str(error)


@contextmanager
def _no_variables(keras: Any) -> Iterator[None]:
    """In the block, let Keras know the shapes of variables without creating them, also not later."""
    state: Any = importlib.import_module("keras.src.backend.common.global_state")
    key = "uninitialized_variables"
    before = list(state.get_global_attribute(key, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        state.set_global_attribute(key, before)


def _tensor_sizes(keras: Any, model: Any, inputs: Mapping[str, Array]) -> Iterator[int]:
    """Yield the bytes of every tensor whose shape is known, in a run of the model with these inputs."""
    tensorflow = importlib.import_module("tensorflow")

    def run(*tensors: Any) -> Any:
        packed = keras.tree.pack_sequence_as(graph_of(model).input, list(tensors))
        return model(packed, training=False)

    arrays = [inputs[tensor.name] for tensor in model.inputs]
    specs = [tensorflow.TensorSpec(array.shape, array.dtype) for array in arrays]
    traced = tensorflow.function(run, autograph=False).get_concrete_function(*specs)
    for operation in traced.graph.get_operations():
        for output in operation.outputs:
            yield (output.shape.num_elements() or 0) * output.dtype.size
