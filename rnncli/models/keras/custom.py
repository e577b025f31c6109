"""The classes and functions of a model that has its own: what --custom-objects gives.

Keras gets them where it runs the model: a file of them runs only there, in a process with limits.
"""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.errors import InputError, UsageError, inside
from rnncli.inputs.source import find_source, read_utf8


class CustomObjects(NamedTuple):
    """The classes and functions of a model that has its own.

    names: what they are called.  path: the file of Python that defines them; None if Python gives `objects`.
    """

    names: frozenset[str] = frozenset()
    path: Path | None = None
    objects: Mapping[str, Any] = {}

    def has(self, name: str) -> bool:
        """Return whether a class or function is among them: `Attention`, or `Package>Attention`."""
        return name.rpartition(">")[2] in self.names or "*" in self.names

    def load(self) -> dict[str, Any]:
        """Return them by name.  Runs the file, as Python would.  Raises InputError if the file fails."""
        if self.path is None:
            return dict(self.objects)
        sys.path.insert(0, str(self.path.parent))
        try:
            defined = runpy.run_path(str(self.path), run_name=self.path.stem)
        except Exception as error:
            raise InputError(
                "{file} failed: {kind}: {line}.",
                "Correct the file; it runs alone, in a process with limits.",
                file=self.path.name,
                kind=type(error).__name__,
                line=str(error).rstrip("."),
            ) from None
        return {name: value for name, value in defined.items() if callable(value) and name[0] != "_"}


def read(given: Any) -> CustomObjects:
    """Return the objects of a file of Python, which is parsed and does not run, or of a mapping of classes.

    Raises InputError for a file that is not Python, UsageError for anything else.
    """
    if isinstance(given, Mapping):
        return CustomObjects(frozenset(given), objects=given)
    source = find_source(given)
    if source.path is None or source.suffix != ".py":
        advice = "Give the file that defines the classes: {--custom-objects layers.py}"
        raise UsageError("{--custom-objects:name} is not a file of Python.", advice, name=source.name)
    with inside(source.name):
        try:
            tree = ast.parse(read_utf8(source))
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            what = "line {line} is not Python: {error}."
            advice = "Correct the file."
            raise InputError(what, advice, line=line, error=getattr(error, "msg", error)) from None
    return CustomObjects(frozenset(_names_in(tree)), source.path.absolute())


def _names_in(tree: ast.AST) -> set[str]:
    """Return every name that a text of Python defines, imports or assigns; `*` for an import of all."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
