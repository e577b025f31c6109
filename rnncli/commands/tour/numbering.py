"""Find the numbered files of a folder: `step_04_sequences_and_state` is number 4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType

from rnncli.registry import names_in

PACKAGE = "rnncli.commands.tour"


@cache
def list_stems(folder: str) -> Mapping[int, str]:
    """Return the names of the files in `folder` by their number, in order."""
    path = import_module(f"{PACKAGE}.{folder}").__path__
    found = ((re.search(r"_(\d+)_", name), name) for name in names_in(path))
    return dict(sorted((int(number[1]), name) for number, name in found if number))


def load(folder: str, number: int) -> ModuleType:
    """Load the file with that number; KeyError if there is none."""
    return import_module(f"{PACKAGE}.{folder}.{list_stems(folder)[number]}")
