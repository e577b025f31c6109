"""Large JSON in pieces: long lists of numbers become arrays before the rest is parsed.

Python's own lists take four times as much memory as the arrays, and eight times as much as the text.
What is at fault, and where, is said by whoever then parses the whole text: here it is left as it stands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from rnncli import nested
from rnncli.errors import InputError
from rnncli.readers._packages import needed
from rnncli.readers._values import Packed

AT_ONCE = 2**20
"""Bytes that are parsed together, or more where one innermost list is longer."""
BLOCK = 2**15
"""Bytes that are all of NUMERIC in any list that is worth it."""

NUMERIC = b'[]0123456789eE+-., \t\r\n"NaIinfty'
"""What numbers in lists are made of, and the words that stand for some."""
IN_CONFIG = re.compile(rb'"value"\s*:\s*\Z')
"""Before the values of an initializer, which belong to a layer's config."""
OPENING = re.compile(rb"[\[\s]+")

_STEPS = np.zeros(256, np.int8)
_STEPS[ord("[")], _STEPS[ord("]")] = 1, -1


def shortened(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """A JSON text with names instead of its long lists of numbers, and these by their names.

    Each is Packed, or a list of Packed where sequences differ in length.
    """
    word, at = f"packed {os.urandom(8).hex()} ", 0
    parts: list[bytes] = []
    packed: dict[str, Any] = {}
    for begin, end in _runs(data):
        start = data.find(b"[", max(begin, at), end)
        if start < 0 or IN_CONFIG.search(data[max(start - 40, 0) : start]):
            continue
        lists = _Lists(data, start, end)
        if not lists.end:
            continue
        name = f"{word}{len(packed)}"
        packed[name] = lists.value
        parts += [data[at:start], b'"%s"' % name.encode()]
        at = lists.end
    return b"".join((*parts, data[at:])) if packed else data, packed


def filled(value: Any, packed: dict[str, Any]) -> Any:
    """The value of a shortened text, whole.  InputError where a name stands where no such list can."""
    left = dict(packed)

    def whole(node: Any) -> Any:
        if isinstance(node, str):
            return left.pop(node, node)
        if isinstance(node, list):
            return [item if isinstance(item, str) else whole(item) for item in node]
        return {key: whole(item) for key, item in node.items()} if isinstance(node, dict) else node

    value = whole(value)
    if left:
        raise InputError("lists of numbers stand among other values.")
    return value


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Where long stretches of NUMERIC begin and end."""
    begun, before = None, b""
    for at in range(0, len(data), BLOCK):
        block = data[at : at + BLOCK]
        if not block.translate(None, NUMERIC):
            if begun is None:
                begun = at - len(before) + len(before.rstrip(NUMERIC))
        elif begun is not None:
            yield begun, at + len(block) - len(block.lstrip(NUMERIC))
            begun = None
        before = block
    if begun is not None:
        yield begun, len(data)


class _Lists:
    """One value of nested lists of numbers.

    end: behind its last bracket; 0 where there is no such value.
    value: Packed, or a list of Packed.
    """

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        opening = OPENING.match(data, start, stop)
        rank = opening[0].count(b"[") if opening else 0
        self.end, self.value = 0, None
        self._width, self._held = (
            0,
            bytearray(),
        )  # it grows in place, where arrays would be copied to be joined
        self._lengths: list[list[int]] = [[] for _ in range(rank - 1)]
        if not 2 <= rank <= nested.MAX_DEPTH:
            return
        try:
            for text, depth in self._pieces(data, start, stop):
                self._take(text, depth)
            self.value = self._shaped()
        except (ValueError, OverflowError):  # orjson's error too
            self.end = 0

    def _pieces(self, data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int]]:
        """Texts that begin at a bracket, each with the number of lists that are open before it."""
        begun, depth, opened = start, 0, 0
        for position in range(start, stop, AT_ONCE):
            steps = _STEPS[np.frombuffer(data, np.uint8, min(AT_ONCE, stop - position), position)]
            places = np.flatnonzero(steps)
            steps = steps[places]
            depths = depth + np.cumsum(steps, dtype=np.int64)
            ended = np.flatnonzero(depths == 0)
            if len(ended):
                self.end = position + int(places[ended[0]]) + 1
                yield data[begun : self.end], opened
                return
            depth = int(depths[-1]) if len(depths) else depth
            heads = np.flatnonzero((steps[1:] > 0) & (steps[:-1] < 0)) + 1  # a list after the end of another
            if not len(heads):
                continue
            here = position + int(places[heads[-1]])
            yield _without_comma(data[begun:here]), opened
            begun, opened = here, int(depths[heads[-1]]) - 1
        raise ValueError

    def _take(self, text: bytes, opened: int) -> None:
        """The rows of one piece.  ValueError where they do not fit the ones before."""
        closing = opened + text.count(b"[") - text.count(b"]")
        level: list[Any] = [needed("orjson", "JSON").loads(b"[" * opened + text + b"]" * closing)]
        for axis, lengths in enumerate(self._lengths):
            sizes = _lengths_of(level)
            if axis < opened:
                lengths[-1] += sizes.pop(0) - (axis + 1 < opened)  # its first list may have begun before too
            lengths += sizes
            level = list(chain.from_iterable(level))
        self._width = self._width or len(level[0])
        if set(_lengths_of(level)) != {self._width}:
            raise ValueError
        types = nested.INPUTS.types
        if not set(map(type, chain.from_iterable(level))) <= types:
            others = [item for item in chain.from_iterable(level) if type(item) not in types]
            if not all(isinstance(item, str) and item in nested.SPELLED for item in others):
                raise ValueError
        self._held += np.asarray(level, np.float64).data.cast("B")

    def _shaped(self) -> Any:
        """All rows.  ValueError where more differs than the length of sequences."""
        array = np.frombuffer(self._held, np.float64).view(Packed)
        if all(len(set(lengths)) == 1 for lengths in self._lengths):
            return array.reshape(*(lengths[0] for lengths in self._lengths), self._width)
        if len(self._lengths) != 2:
            raise ValueError
        ends = np.cumsum(self._lengths[1])[:-1]
        return np.split(array.reshape(-1, self._width), ends)


def _without_comma(text: bytes) -> bytes:
    """What stands before a comma.  ValueError where there is none."""
    text = text.rstrip()
    if not text.endswith(b","):
        raise ValueError
    return text[:-1]


def _lengths_of(level: list[Any]) -> list[int]:
    """Of lists.  ValueError where there is anything else, or an empty one."""
    if set(map(type, level)) != {list} or not all(level):
        raise ValueError
    return list(map(len, level))
