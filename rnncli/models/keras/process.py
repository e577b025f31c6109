"""Run Keras or tf_keras on the file of a model in a process of its own; arrays and errors come back."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnncli.case import Array
from rnncli.errors import EngineError, InputError, LayerError, Message, RnncliError, Text
from rnncli.models.framework_runs import UnrunnableError, first_sentence
from rnncli.models.trees import map_leaves
from rnncli.process import child_process
from rnncli.process.child_process import WorkOutput
from rnncli.process.memory import PER_BYTE, ROOM

SECONDS, SPEED = 120.0, 2**12
"""Time limit of loading TensorFlow and the model, plus one second per SPEED bytes of file and inputs."""
TEXT = 2**28
"""Maximum length of everything but arrays, in bytes."""
NUMBERS = "biufc"
"""The kinds of NumPy's dtypes that come back."""
ARRAY = ""
"""The key of a mapping that stands for an array, with its number; no argument of a layer has this name."""
ERRORS = {error.__name__: error for error in (InputError, LayerError, UnrunnableError, EngineError)}
"""The errors that come back."""
UNKNOWN_LAYERS = Message(
    "Rebuild the model without the layers that it does not know, copy the weights, and save it again."
)
NO_MEMORY = ("ResourceExhaustedError", "MemoryError", "_ArrayMemoryError")


def count_bytes(path: Path, inputs: Mapping[str, Array]) -> int:
    """Return the size of the file and the inputs, of which the limits are multiples."""
    return path.stat().st_size + sum(array.nbytes for array in inputs.values())


def call(function: str, path: Path, inputs: Mapping[str, Array], *more: Any) -> Any:
    """Return what `package.module:function` returns for (path, inputs, *more), in a new process.

    That is a tree of lists, mappings, arrays and plain values; tuples come back as lists.
    Raises the function's errors of rnncli; UnrunnableError if the library crashes or takes too long.
    """
    size = count_bytes(path, inputs)
    request = pickle.dumps((function, path.absolute(), dict(inputs), more))
    variables = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = child_process.run_in_new_process
    try:
        with run(f"{__name__}:answer", request, SECONDS + size / SPEED, "Keras", **variables) as answer_of:
            return _receive(answer_of, ROOM + PER_BYTE * size)
    except child_process.IncompleteOutputError as error:
        raise UnrunnableError(
            "Keras cannot run this model: {sentence}", "Give smaller inputs.", sentence=f"{error}."
        ) from None


def answer(request: bytes, file: BinaryIO) -> None:
    """Write, in the new process, what the function of the request returns or raises."""
    function, path, inputs, more = pickle.loads(request)  # written by `call`
    module, _, name = function.partition(":")
    arrays: list[Array] = []

    def place(leaf: Any) -> Any:
        leaf = leaf.numpy() if hasattr(leaf, "numpy") else leaf  # a tensor of the framework
        if not isinstance(leaf, np.ndarray):
            return leaf if leaf is None or isinstance(leaf, (bool, int, float, str)) else str(type(leaf))
        array = leaf.astype("float32") if leaf.dtype.name == "bfloat16" else leaf
        if array.dtype.kind not in NUMBERS:
            return array.dtype.name
        arrays.append(np.ascontiguousarray(array))
        return {ARRAY: len(arrays) - 1}

    try:
        head: Any = {"found": map_leaves(place, getattr(import_module(module), name)(path, inputs, *more))}
    except RnncliError as error:
        packed = map(child_process.pack_message, (error.detail, error.advice))
        head = {"error": [type(error).__name__, *packed]}
    head["arrays"] = [(array.dtype.str, array.shape) for array in arrays]
    child_process.write_text(file, json.dumps(head).encode())
    for array in arrays:
        child_process.write_array(file, array)


def _receive(answer_of: WorkOutput, most: int) -> Any:
    """Return what `answer` wrote, or raise it.  most: bytes that the arrays may take."""
    head = json.loads(answer_of.take_text(TEXT))
    if "error" in head:
        kind, detail, advice = head["error"]
        unpack = child_process.unpack_message
        raise ERRORS.get(kind, EngineError)(unpack(detail), unpack(advice))
    shapes = [(np.dtype(dtype), shape) for dtype, shape in head["arrays"]]
    if any(dtype.kind not in NUMBERS for dtype, _ in shapes) or (
        sum(dtype.itemsize * prod(shape) for dtype, shape in shapes) > most
    ):
        raise child_process.IncompleteOutputError(Message("it returned too much"))
    arrays = [answer_of.take_array(shape, dtype.str) for dtype, shape in shapes]

    def restore(tree: Any) -> Any:
        if isinstance(tree, dict):
            if ARRAY in tree:
                return arrays[tree[ARRAY]]
            return {key: restore(value) for key, value in tree.items()}
        return [restore(value) for value in tree] if isinstance(tree, list) else tree

    return restore(head["found"])


def explain_error(error: Exception) -> RnncliError:
    """Convert an error of Keras, which refuses custom layers and the Lambdas of a file."""
    if type(error).__name__ in NO_MEMORY or "OOM when allocating" in str(error):
        return too_large(Message("too much memory"))
    knows_it = str(error).startswith("Exception encountered")
    return UnrunnableError(
        "Keras cannot run this model: {sentence}",
        "Correct the model so that Keras runs it, or give different inputs." if knows_it else UNKNOWN_LAYERS,
        sentence=first_sentence(error),
    )


def too_large(what: Text) -> InputError:
    """Return the error for a model that needs `what`."""
    return InputError(
        "the model needs {what}, far more than its file and the inputs take.",
        "Give smaller inputs, or build the model without such large tensors.",
        what=what,
    )
