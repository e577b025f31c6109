"""The engines, one file each: what can compute a Case.

An engine's file has `ABOUT`; `refusal(case)`, why it cannot give Keras's numbers for a Case, or None;
and `opened(case, weights, seeds)`, which makes the layers once and gives the function that calls them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from rnncli.errors import EngineError, UsageError, did_you_mean

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.result import Step


class InexactError(EngineError):
    """While computing, an engine met numbers for which it does not give Keras's."""


class Computed(NamedTuple):
    """What an engine returns: every layer's tensors in Keras's order, and the weights it used.

    earlier: the tensors of the calls before the last, first to last, where all calls are asked for.
    """

    tensors: tuple[tuple[Array, ...], ...]
    weights: Mapping[str, Array]
    trace: Sequence[Step] = ()
    earlier: tuple[tuple[tuple[Array, ...], ...], ...] = ()


class EngineInfo(NamedTuple):
    """What `rnncli engines` says of one."""

    name: str
    available: bool
    version: str
    note: str


class About(NamedTuple):
    """What an engine's file says of itself: the packages it needs, and one line for people."""

    packages: tuple[str, ...]
    note: str
    extra: str = ""


@cache
def names() -> tuple[str, ...]:
    """Every engine there is a file for."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")


def get(name: str) -> ModuleType:
    """The engine's module.  Raises UsageError where there is no such engine."""
    if name not in names():
        raise UsageError(f"there is no engine '{name}'.", did_you_mean(name, ("auto", *names())))
    return importlib.import_module(f"{__name__}.{name}")


def available() -> list[EngineInfo]:
    """Every engine, whether its packages are installed, and which versions; imports none of them."""
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
