"""The engines, which compute a Case; each has its own file.

An engine's file has
    ABOUT                          an About
    refusal(case)                  why the engine cannot give Keras's numbers for the case, or None
    build_layers(case, weights, seeds)   builds the layers once and returns a function that calls them
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol, cast

from rnncli.case import Array, Case
from rnncli.errors import EngineError, Message, Text, UsageError, did_you_mean
from rnncli.result import LoopTrace

ENGINES = {
    "numpy": "rnncli.compute.engines.numpy",
    "onnx": "rnncli.compute.engines.onnx",
    "tensorflow": "rnncli.compute.engines.tensorflow",
    "torch": "rnncli.compute.engines.torch",
}


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


class About(NamedTuple):
    """Description of an engine.

    packages: the packages it needs.
    note: one line for the user.
    is_reference: its numbers, and the weights that it draws, are Keras's own; others are checked against it.
    records_steps: it records every gate of every step, for a trace.
    holds_gates: it can hold a gate at a value.
    """

    packages: tuple[str, ...]
    note: Text
    is_reference: bool = False
    records_steps: bool = False
    holds_gates: bool = False


Ability = Literal["is_reference", "records_steps", "holds_gates"]
"""What only some engines are or do, by the field of About that says so."""


class Engine(Protocol):
    """The module of an engine."""

    @property
    def ABOUT(self) -> About: ...  # noqa: N802 - a constant of the module

    def refusal(self, case: Case) -> str | None: ...

    def build_layers(
        self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]
    ) -> LayerCaller: ...


def repeat(case: Case, call: Callable[[Case], Tensors]) -> Sequence[Tensors]:
    """Call the layers as often as the case asks for; return the tensors of all calls, or of the last one."""
    return deque((call(case) for _ in range(case.calls)), None if case.all_calls else 1)


def names() -> tuple[str, ...]:
    """Return the names of all engines."""
    return tuple(ENGINES)


def get(name: str) -> Engine:
    """Return the engine's module.  Raises UsageError if there is no such engine."""
    if name not in ENGINES:
        raise UsageError("there is no engine '{name}'.", did_you_mean(name, ("auto", *names())), name=name)
    return cast("Engine", import_module(ENGINES[name]))


def has(name: Any, ability: Ability) -> bool:
    """Return whether this is the name of an engine with that ability."""
    return name in names() and getattr(get(name).ABOUT, ability)


def allows(choice: Any, ability: Ability) -> bool:
    """Return whether an engine with that ability may be used: `choice` is one, or leaves the choice open."""
    return choice in (None, "auto") or has(choice, ability)


def find(ability: Ability) -> str:
    """Return the name of the engine with that ability, of several the first in alphabetical order."""
    return next(name for name in names() if has(name, ability))


def available() -> list[EngineInfo]:
    """Return all engines, with the installed versions of their packages; does not import the packages."""
    return [_info(name) for name in names()]


def _info(name: str) -> EngineInfo:
    about = get(name).ABOUT
    versions = {package: _version(package) for package in about.packages}
    missing = [package for package, version in versions.items() if not version]
    note = (
        Message(
            "needs {missing}: pip install {packages}",
            missing=", ".join(missing),
            packages=" ".join(missing),
        )
        if missing
        else about.note
    )
    text = ", ".join(f"{package} {version}" for package, version in versions.items() if version)
    return EngineInfo(name, not missing, text, note)


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
