"""The engines, which compute a Case, each in its own file; and the one that `auto` chooses.

An engine's file has
    PACKAGES                       the packages it needs
    NOTE                           one line for the user
    refusal(case)                  why the engine cannot give Keras's numbers for the case, or None
    Layers(case, weights, seeds)   the layers, built once; called with a Case, they give an EngineOutput
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from math import inf
from types import ModuleType
from typing import NamedTuple

from rnncli.case import Array, Case, Spec, walk
from rnncli.errors import EngineError, Message, Text, UsageError, did_you_mean
from rnncli.result import LoopTrace

ENGINES = {
    "numpy": "rnncli.compute.engines.numpy",
    "onnx": "rnncli.compute.engines.onnx",
    "tensorflow": "rnncli.compute.engines.tensorflow",
    "torch": "rnncli.compute.engines.torch",
}
REFERENCE = "tensorflow"
"""Its numbers, and the weights that it draws, are Keras's own; the others are checked against it."""
STEPWISE = "numpy"
"""The only engine that records every gate of every step, and that can hold a gate at a value."""

FEWEST_STEPS: Mapping[str, tuple[tuple[float, int], ...]] = {
    "SimpleRNN": ((150, 70_000), (1_000, 35_000)),
    "LSTM": ((50, 18_000), (1_000, 12_000), (10_000, 2_300), (30_000, 1_000), (inf, 250)),
    "GRU": ((50, 15_000), (500, 12_500), (2_000, 6_000), (10_000, 3_000), (30_000, 1_500), (inf, 300)),
}
"""For each layer, rows (most numbers in a state: batch * units, fewest time steps): from that many steps on,
ONNX Runtime is faster than NumPy, including the time to import its packages.

With more numbers than in the last row, it is never faster.
Measure the sizes again with `python tests/benchmarks/thresholds.py`.
"""


class InexactError(EngineError):
    """During the computation, the engine met numbers for which its results differ from Keras."""


Tensors = tuple[tuple[Array, ...], ...]
"""Every layer's tensors in Keras's order."""


class EngineOutput(NamedTuple):
    """The result of an engine: the tensors of the last call, and the weights it used.

    earlier: the tensors of the earlier calls, in order, if all calls are requested.
    """

    tensors: Tensors
    weights: Mapping[str, Array]
    trace: tuple[LoopTrace, ...] = ()
    earlier: tuple[Tensors, ...] = ()


LayerCaller = Callable[[Case], EngineOutput]
"""Calls the layers that an engine built."""


class EngineInfo(NamedTuple):
    """What `rnncli engines` shows for one engine."""

    name: str
    available: bool
    version: str
    note: Text


def repeat(case: Case, call: Callable[[Case], Tensors]) -> Sequence[Tensors]:
    """Call the layers as often as the case asks for; return the tensors of all calls, or of the last one."""
    return deque((call(case) for _ in range(case.calls)), None if case.all_calls else 1)


def get(name: str) -> ModuleType:
    """Return the engine's module.  Raises UsageError if there is no such engine."""
    if name not in ENGINES:
        raise UsageError("there is no engine '{name}'.", did_you_mean(name, ("auto", *ENGINES)), name=name)
    return import_module(ENGINES[name])


def available() -> list[EngineInfo]:
    """Return all engines, with the installed versions of their packages; does not import the packages."""
    return [_info(name) for name in ENGINES]


def _info(name: str) -> EngineInfo:
    from importlib import metadata

    engine, found, missing = get(name), [], []
    for package in engine.PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    note = engine.NOTE
    if missing:
        note = Message(
            "needs {missing}: pip install {packages}",
            missing=", ".join(missing),
            packages=" ".join(missing),
        )
    return EngineInfo(name, not missing, ", ".join(found), note)


def choose(case: Case) -> str:
    """Return the fastest engine that gives Keras's numbers for this case; tensorflow if no other does."""
    if case.hold:
        return STEPWISE
    if get("numpy").refusal(case):
        return "tensorflow"
    if not has_many_steps(case):  # the usual case, which should not load another engine
        return "numpy"
    onnx = get("onnx")
    installed = all(map(find_spec, onnx.PACKAGES))
    return "onnx" if installed and not onnx.refusal(case) else "numpy"


def has_many_steps(case: Case) -> bool:
    """Return whether the loops have enough steps for ONNX Runtime to be faster than NumPy.

    Always False for stateful layers: after a NaN, another engine could not continue from their states.
    """
    batch, timesteps = case.inputs.shape[:2]
    share = 0.0
    for spec in (loop for outer in case.specs for loop in _loops(outer)):
        if spec.config["stateful"]:
            return False
        numbers = batch * spec.config["units"]
        least = next((steps for most, steps in FEWEST_STEPS[spec.class_name] if numbers <= most), None)
        if least is None:
            return False
        share += timesteps * case.calls / least
    return share > 1


def _loops(layer: Spec) -> list[Spec]:
    """Return every layer that loops over time; a layer in Bidirectional counts twice."""
    loops = [spec for spec in walk((layer,)) if spec.class_name in FEWEST_STEPS]
    return loops * 2 if layer.class_name == "Bidirectional" and len(loops) == 1 else loops
