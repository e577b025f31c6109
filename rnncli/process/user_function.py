"""A function in a user's file of Python, called in a process of its own with limits."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from rnncli.errors import Message, UsageError, count, did_you_mean, shorten
from rnncli.process import child_process
from rnncli.process.memory import ROOM
from rnncli.values import Array, format_shape

SECONDS = 300.0
LONGEST = 300
"""Most characters of what a function raised."""

Arrays = Mapping[str, Array]


class FunctionRuns(NamedTuple):
    """What a function is called with: `function(inputs, weights, initial_state)`.

    name: `kernel.py:chunked`.  path: of its file, absolute.
    inputs: each (batch, timesteps, ...).  initial_state: by the states' names; None for the usual start.
    units: the size of the last axis of its outputs.  shapes: of one sequence's states, by their names.
    runs: the lengths of the parts of each run, whose states are handed over: (64,) or (32, 32).
    """

    name: str
    path: Path
    inputs: Arrays
    weights: Arrays
    initial_state: Arrays | None
    units: int
    shapes: Mapping[str, tuple[int, ...]]
    runs: Sequence[tuple[int, ...]]


def call_in_process(runs: FunctionRuns) -> list[tuple[Array, dict[str, Array]] | None]:
    """Run the file, and return the outputs and the last states of each run.

    None for several parts of a function that returns no states.
    Raises UsageError if the file or the function fails, or if it returns something else.
    """
    work, request = f"{__name__}:answer", pickle.dumps(runs)
    try:
        with child_process.run_in_new_process(work, request, SECONDS, runs.name) as output:
            returned = child_process.receive(output, ROOM, UsageError)
    except child_process.IncompleteOutputError:
        what = "{function}: its process ended without an answer, or took too long."
        advice = Message(
            "Call it alone in Python, with one short sequence; {more}.",
            more=child_process.advise_more(SECONDS),
        )
        raise UsageError(what, advice, function=runs.name) from None
    return [None if run is None else (run[0], run[1]) for run in returned]


def answer(request: bytes, file: BinaryIO) -> None:
    """Write, in the new process, what the function returns for each run, or the error."""
    runs: FunctionRuns = pickle.loads(request)  # written by `call_in_process`
    child_process.send(file, lambda: run_parts(_load(runs), runs))


def _load(runs: FunctionRuns) -> Callable[..., Any]:
    name = runs.name.rpartition(":")[2]
    module = ModuleType(runs.path.stem)
    module.__file__ = str(runs.path)
    sys.path.insert(0, str(runs.path.parent))
    sys.modules[module.__name__] = module
    try:
        exec(compile(runs.path.read_bytes(), runs.path, "exec"), vars(module))
    except Exception as error:
        raise _explain(error, runs) from None
    defined = {key: value for key, value in vars(module).items() if callable(value)}
    if name not in defined:
        what, advice = "{file} has no function {name}.", did_you_mean(name, defined)
        raise UsageError(what, advice, file=runs.path.name, name=name)
    function: Callable[..., Any] = defined[name]
    return function


def run_parts(function: Callable[..., Any], runs: FunctionRuns) -> list[Any]:
    """Return the outputs and the last states of each run; None for several parts without states."""
    results: list[Any] = []
    for parts in runs.runs:
        state, start, outputs = runs.initial_state, 0, list[Array]()
        for steps in parts:
            inputs = {name: array[:, start : start + steps] for name, array in runs.inputs.items()}
            returned, last = _call(function, runs, inputs, state)
            outputs.append(returned)
            dtype = next(iter(inputs.values())).dtype
            state, start = {name: array.astype(dtype) for name, array in last.items()}, start + steps
            if not last and len(parts) > 1:
                break
            first = next(iter(runs.shapes))
            state.setdefault(first, returned[:, -1].astype(dtype))  # the layer returns its first state
        complete = start == sum(parts) and (last or len(parts) == 1)
        results.append([np.concatenate(outputs, axis=1), last] if complete else None)
    return results


def _call(
    function: Callable[..., Any], runs: FunctionRuns, inputs: Arrays, state: Arrays | None
) -> tuple[Array, dict[str, Array]]:
    """Return the outputs and the states of one call, which gets copies of all arrays."""
    batch, steps = next(iter(inputs.values())).shape[:2]
    given = [None if arrays is None else {name: array.copy() for name, array in arrays.items()}
             for arrays in (inputs, runs.weights, state)]  # fmt: skip
    try:
        returned = function(*given)
    except Exception as error:
        raise _explain(error, runs, steps) from None
    pair = returned if isinstance(returned, (tuple, list)) else (returned, None)
    if len(pair) != 2 or not isinstance(pair[1], (Mapping, type(None))):
        what = "{function} returned ({kinds}) instead of outputs, or (outputs, states) with a dictionary."
        raise _wrong(runs, what, kinds=", ".join(type(part).__name__ for part in pair))
    outputs = _to_array(pair[0], runs, "outputs", (batch, steps, runs.units))
    states = {name: value for name, value in (pair[1] or {}).items() if value is not None}
    for name in states:
        if name not in runs.shapes:
            what, advice = (
                "{function} returned an unknown state {name!r}.",
                did_you_mean(str(name), runs.shapes),
            )
            raise UsageError(what, advice, function=runs.name, name=str(name))
    shapes = {name: (batch, *shape) for name, shape in runs.shapes.items()}
    return outputs, {name: _to_array(value, runs, name, shapes[name]) for name, value in states.items()}


def _to_array(value: Any, runs: FunctionRuns, name: str, shape: tuple[int, ...]) -> Array:
    """Return an array, or a tensor of any library, as an array of numbers of this shape."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    try:
        array = np.asarray(value)
    except Exception:  # each library has its own
        array = np.empty((), object)
    array = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    if array.dtype.kind not in "biuf":
        what = "{function} returned {name} as {kind} instead of an array of numbers."
        raise _wrong(runs, what, name=name, kind=type(value).__name__)
    if array.shape != shape:
        what = "{function} returned {name} of shape {shape} instead of {wanted}."
        raise _wrong(runs, what, name=name, shape=format_shape(array.shape), wanted=format_shape(shape))
    return array


def _wrong(runs: FunctionRuns, what: str, **fields: Any) -> UsageError:
    return UsageError(what, "rnncli help cells says what it gets and returns.", function=runs.name, **fields)


def _explain(error: Exception, runs: FunctionRuns, steps: int = 0) -> UsageError:
    """Return the error for what a file or its function raised: the last line, and where in the file.

    steps: of the function's input; 0 for the file.
    """
    kind, lines = type(error).__name__, "".join(traceback.format_exception_only(error)).splitlines()
    text = shorten(next(line.strip() for line in reversed(lines) if line.strip()), LONGEST).rstrip(".")
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename == str(runs.path)]  # fmt: skip
    return UsageError(
        "{function}: line {line}, for {steps}: {error}." if steps else "{function}: line {line}: {error}.",
        "Correct the file; it runs alone, in a process with limits.",
        function=runs.name,
        line=frames[-1] if frames else getattr(error, "lineno", None) or 1,
        steps=count(steps, "time step"),
        error=text if text.startswith(kind) else f"{kind}: {text}",
    )
