"""The engines, which compute a Case; each has its own file.

An engine's file has
    ABOUT                          an About
    refusal(case)                  why the engine cannot give Keras's numbers for the case, or None
    build_layers(case, weights, seeds)   builds the layers once and returns a function that calls them
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import NamedTuple

from rnncli.case import Array, Case
from rnncli.errors import EngineError, UsageError, did_you_mean
from rnncli.registry import names_in
from rnncli.result import LoopTrace


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
    note: str


class About(NamedTuple):
    """Description of an engine.

    packages: the packages it needs.
    note: one line for the user.
    extra: the rnncli extra that installs the packages; empty if there is none.
    """

    packages: tuple[str, ...]
    note: str
    extra: str = ""


def repeat(case: Case, call: Callable[[Case], Tensors]) -> Sequence[Tensors]:
    """Call the layers as often as the case asks for; return the tensors of all calls, or of the last one."""
    return deque((call(case) for _ in range(case.calls)), None if case.all_calls else 1)


@cache
def names() -> tuple[str, ...]:
    """Return the names of all engines: the stems of the files in this folder."""
    return names_in(__path__)


def get(name: str) -> ModuleType:
    """Return the engine's module.  Raises UsageError if there is no such engine."""
    if name not in names():
        raise UsageError(f"there is no engine '{name}'.", did_you_mean(name, ("auto", *names())))
    return importlib.import_module(f"{__name__}.{name}")


def available() -> list[EngineInfo]:
    """Return all engines, with the installed versions of their packages; does not import the packages."""
    return [_info(name) for name in names()]


def _info(name: str) -> EngineInfo:
    about: About = get(name).ABOUT
    versions = {package: _version(package) for package in about.packages}
    missing = [package for package, version in versions.items() if not version]
    wanted = f"'rnncli[{about.extra}]'" if about.extra else " ".join(missing)
    note = f"needs {', '.join(missing)}: pip install {wanted}" if missing else about.note
    text = ", ".join(f"{package} {version}" for package, version in versions.items() if version)
    return EngineInfo(name, not missing, text, note)


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
