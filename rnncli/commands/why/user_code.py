"""The recurrent layer in the user's code: `x = layers.LSTM(8)(inputs)` or `nn.LSTM(10, 8)` in a traceback."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

LONGEST = 500
"""Characters of a call that is read."""
MOST = 20
"""Calls that are read, the last ones."""

MODES = ("'concat'", "'sum'", "'mul'", "'ave'", "None")

_START = re.compile(r"\b(?:LSTM|GRU|SimpleRNN|RNN|Bidirectional)\(")


class WrittenLayer(NamedTuple):
    """A layer in the user's code, without the arguments that a fix need not repeat.

    name: Keras's class, `SimpleRNN` for PyTorch's RNN, too.  flags: arguments that are True or False.
    merge_mode: merge_mode of the Bidirectional around the layer, `'sum'`; "" if the code does not say.
    is_torch: whether the code is PyTorch's, nn.LSTM(10, 8).
    """

    name: str
    units: int
    flags: dict[str, bool]
    is_bidirectional: bool = False
    merge_mode: str = ""
    is_torch: bool = False


def layers_in(code: str) -> list[WrittenLayer]:
    """Return the layers whose number of units is written as a number, in the order of the code."""
    layers: list[WrittenLayer] = []
    end = 0
    for start in [match.start() for match in _START.finditer(code)][-MOST:]:
        text = _call_at(code[start : start + LONGEST])
        if start >= end and (layer := _read(text)):
            layers.append(layer)
            end = start + len(text)
    return layers


def _call_at(code: str) -> str:
    """Return the start of `code` up to the bracket that closes the first one; "" if none does."""
    depth = 0
    for bracket in re.finditer(r"[()]", code):
        depth += 1 if bracket[0] == "(" else -1
        if not depth:
            return code[: bracket.end()]
    return ""


def _read(text: str) -> WrittenLayer | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _read_call(call) if isinstance(call, ast.Call) else None


def _read_call(call: ast.Call) -> WrittenLayer | None:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = dict(_literals(call))
    if name == "Bidirectional":
        inner = next(iter((*call.args, *(word.value for word in call.keywords))), None)
        layer = _read_call(inner) if isinstance(inner, ast.Call) else None
        mode = repr(given.get("merge_mode", ""))
        mode = mode if mode in MODES else ""
        return layer and layer._replace(is_bidirectional=True, merge_mode=mode)
    sizes = [given[key] for key in ("units", "hidden_size", 1, 0) if type(given.get(key)) is int]
    if name not in ("LSTM", "GRU", "SimpleRNN", "RNN") or not sizes or not 0 < sizes[0] < 10**6:
        return None
    flags = {key: value for key, value in given.items() if isinstance(value, bool) and isinstance(key, str)}
    both = flags.pop("bidirectional", False)
    flags.pop("unroll", None)  # changes no number, and not every fix can unroll
    is_torch = "hidden_size" in given or type(given.get(1)) is int
    return WrittenLayer("SimpleRNN" if name == "RNN" else name, sizes[0], flags, both, is_torch=is_torch)


def _literals(call: ast.Call) -> Iterator[tuple[str | int, Any]]:
    """Yield the arguments that are plain values, by name or by position."""
    words = [(word.arg, word.value) for word in call.keywords if word.arg]
    arguments: list[tuple[str | int, ast.expr]] = [*enumerate(call.args), *words]
    for key, node in arguments:
        if isinstance(node, ast.Constant):
            yield key, node.value
