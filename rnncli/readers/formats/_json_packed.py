"""Parse large JSON in pieces: convert long lists of numbers to arrays before parsing the rest.

Python lists take four times as much memory as the arrays, and eight times as much as the text.
This module reports no syntax errors: it leaves invalid lists in the text, and the parser of the whole text
reports them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from rnncli import arrays
from rnncli.readers.formats._named_arrays import PackedLists
from rnncli.readers.packages import import_package
from rnncli.specs import nested

LONG = 2**15
"""Bytes of NUMERIC without a gap in which lists are searched for; shorter ones are not packed."""

NUMERIC = b'[]0123456789eE+-., \t\r\n"NaIinfty'
"""The characters in lists of numbers, including the words for NaN and infinity."""
IN_CONFIG = re.compile(rb'"value"\s*:\s*\Z')
"""Matches the text before the values of an initializer, which are part of a layer's config."""
OPENING = re.compile(rb"[\[\s]+")

_STEPS = np.zeros(256, np.int8)
_STEPS[ord("[")], _STEPS[ord("]")] = 1, -1


class MisplacedListError(Exception):
    """A list of numbers is among other values; the parser of the whole text reports it."""


def pack_lists(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the JSON text with long lists of numbers replaced by names, and the lists by name.

    Each list is a PackedLists, or a list of PackedLists if sequences differ in length.
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


def unpack_lists(value: Any, packed: dict[str, Any]) -> Any:
    """Put the packed lists back into the parsed value of a text from `pack_lists`.

    Raises MisplacedListError if a name is in a place where a list of numbers is not allowed.
    """
    left = dict(packed)

    def unpack(node: Any) -> Any:
        if isinstance(node, str):
            return left.pop(node, node)
        if isinstance(node, list):
            return [item if isinstance(item, str) else unpack(item) for item in node]
        return {key: unpack(item) for key, item in node.items()} if isinstance(node, dict) else node

    value = unpack(value)
    if left:
        raise MisplacedListError
    return value


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and end of long runs of NUMERIC characters."""
    first, before = None, b""
    for at in range(0, len(data), LONG):
        block = data[at : at + LONG]
        if not block.translate(None, NUMERIC):
            if first is None:
                first = at - len(before) + len(before.rstrip(NUMERIC))
        elif first is not None:
            yield first, at + len(block) - len(block.lstrip(NUMERIC))
            first = None
        before = block
    if first is not None:
        yield first, len(data)


class _Lists:
    """One value that consists of nested lists of numbers.

    end: position after its last bracket; 0 if there is no such value.
    value: PackedLists, or a list of PackedLists.
    """

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        opening = OPENING.match(data, start, stop)
        rank = opening[0].count(b"[") if opening else 0
        self.end, self.value = 0, None
        self._width, self._buffer = 0, bytearray()  # grows in place; joining arrays would copy them
        self._lengths: list[list[int]] = [[] for _ in range(rank - 1)]
        if not 1 <= rank <= nested.MAX_DEPTH:
            return
        try:
            if rank == 1:
                self._take_numbers(data, start, stop)
                self.value = np.frombuffer(self._buffer, np.float64).view(PackedLists)
                return
            for text, depth in self._pieces(data, start, stop):
                self._take(text, depth)
            self.value = self._reshape()
        except (ValueError, OverflowError):  # orjson's error is a ValueError
            self.end = 0

    def _take_numbers(self, data: bytes, start: int, stop: int) -> None:
        """Add the numbers of one list.  Raises ValueError if it holds anything else."""
        end, at, last = data.index(b"]", start, stop), start, False
        while not last:
            comma = data.find(b",", at + arrays.BLOCK, end)
            last = comma < 0
            text = data[at + 1 : end if last else comma]
            numbers = import_package("orjson", "JSON").loads(b"[%s]" % text)
            if not numbers:
                raise ValueError
            self._add([numbers])
            at = comma
        self.end = end + 1

    def _pieces(self, data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int]]:
        """Yield pieces of text that start at a bracket, each with the number of lists open before it."""
        at, depth, open_lists = start, 0, 0
        for position in range(start, stop, arrays.BLOCK):
            steps = _STEPS[np.frombuffer(data, np.uint8, min(arrays.BLOCK, stop - position), position)]
            places = np.flatnonzero(steps)
            steps = steps[places]
            depths = depth + np.cumsum(steps, dtype=np.int64)
            ended = np.flatnonzero(depths == 0)
            if len(ended):
                self.end = position + int(places[ended[0]]) + 1
                yield data[at : self.end], open_lists
                return
            depth = int(depths[-1]) if len(depths) else depth
            heads = np.flatnonzero((steps[1:] > 0) & (steps[:-1] < 0)) + 1  # a list that follows another
            if not len(heads):
                continue
            here = position + int(places[heads[-1]])
            yield _remove_comma(data[at:here]), open_lists
            at, open_lists = here, int(depths[heads[-1]]) - 1
        raise ValueError

    def _take(self, text: bytes, open_lists: int) -> None:
        """Add the rows of one piece.  Raises ValueError if they do not fit the earlier rows."""
        closing = open_lists + text.count(b"[") - text.count(b"]")
        level: list[Any] = [import_package("orjson", "JSON").loads(b"[" * open_lists + text + b"]" * closing)]
        for axis, lengths in enumerate(self._lengths):
            sizes = _list_lengths(level)
            if axis < open_lists:  # the first list began in an earlier piece
                is_counted = axis + 1 < open_lists  # so did the first list in it, which was counted there
                lengths[-1] += sizes.pop(0) - is_counted
            lengths += sizes
            level = list(chain.from_iterable(level))
        self._width = self._width or len(level[0])
        if set(_list_lengths(level)) != {self._width}:
            raise ValueError
        self._add(level)

    def _add(self, level: list[list[Any]]) -> None:
        """Add rows of equal length.  Raises ValueError if an item is not a number."""
        types = nested.INPUTS.types
        if not set(map(type, chain.from_iterable(level))) <= types:
            others = [item for item in chain.from_iterable(level) if type(item) not in types]
            if not all(isinstance(item, str) and item in nested.SPELLED for item in others):
                raise ValueError
        self._buffer += np.asarray(level, np.float64).data.cast("B")

    def _reshape(self) -> Any:
        """Return all rows, in shape.  Raises ValueError if sequences differ in more than their length."""
        array = np.frombuffer(self._buffer, np.float64).view(PackedLists)
        if all(len(set(lengths)) == 1 for lengths in self._lengths):
            return array.reshape(*(lengths[0] for lengths in self._lengths), self._width)
        if len(self._lengths) != 2:
            raise ValueError
        ends = np.cumsum(self._lengths[1])[:-1]
        return np.split(array.reshape(-1, self._width), ends)


def _remove_comma(text: bytes) -> bytes:
    """Return the text without its last comma.  Raises ValueError if it does not end with a comma."""
    text = text.rstrip()
    if not text.endswith(b","):
        raise ValueError
    return text[:-1]


def _list_lengths(level: list[Any]) -> list[int]:
    """Return the length of each list.  Raises ValueError if an item is not a list or is empty."""
    if set(map(type, level)) != {list} or not all(level):
        raise ValueError
    return list(map(len, level))
