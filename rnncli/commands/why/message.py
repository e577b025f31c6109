"""An error message as a cause sees it: the match of its pattern, and the shapes and layers in the text."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rnncli.values import Dimension, Shape

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


HEAD, TAIL = 10_000, 50_000
"""Number of characters that are read at the start and at the end of a text; what is between is skipped."""

SEQUENCE: tuple[str, str, str] = ("batch", "timesteps", "features")
"""The input of a recurrent layer, if the message does not say its sizes."""

DEFAULT = "LSTM"
"""The layer of a fix if the message does not name one."""

RECURRENT = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")

_ESCAPES = re.compile(r"\x1b\[[0-9;]{0,20}m")
_NAMES = (
    r"calling (\w{1,100})\.call\(\)",
    r"layer ['\"](\w{1,100})['\"]",
    r"passed to (\w{1,100}):",
    r"[Ll]ayer (\w{1,100}) (?:is incompatible|weight shape|will not)",
    r"\b(\w{1,100}?): Expected input to be",
    r"\b(\w{1,100})\.__init__\(\)",
    r"state_dict for (\w{1,100}):",
    r"(?:/|node )(\w{1,100}?)_cell",
    r"[Ll]ayer (\w{1,100}):",
    r"expected (\w{1,100})_input",
    r"\b(\w{1,100}Cell) does not support",
)


_FRAME = re.compile(
    r'File "(?P<file>[^"\n]{1,300})", line (?P<line>\d{1,9}), in [^\n]{1,200}'
    r"\n[ \t]{1,40}(?P<code>\S[^\n]{0,200})"
)
_CELL = re.compile(
    r"(?P<file>Cell In ?\[\d{1,6}\]|<ipython-input-[\w-]{1,60}>)[^\n]{0,200}\n"
    r"(?:[^\n]{0,200}\n){0,10}?-{2,8}> (?P<line>\d{1,6}) (?P<code>[^\n]{1,200})"
)
_LIBRARIES = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python|^<")


class Frame(NamedTuple):
    """The line of a traceback that called a framework."""

    file: str
    line: int
    code: str


def last_frame(text: str) -> Frame | None:
    """Return the last line of the user's code in a traceback of Python or of a notebook.

    Returns None if there is no traceback.
    """
    text = _readable(text)
    in_scripts = (frame for frame in _FRAME.finditer(text) if not _LIBRARIES.search(frame["file"]))
    frames = sorted((*in_scripts, *_CELL.finditer(text)), key=lambda frame: frame.start())
    if not frames:
        return None
    last = frames[-1]
    return Frame(last["file"], int(last["line"]), last["code"].strip())


def normalize(text: str) -> str:
    """Return `text` without colors and on one line; of a long text, only its start and its end."""
    return " ".join(_readable(text).split())


def _readable(text: str) -> str:
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]} {text[-TAIL:]}"
    return _ESCAPES.sub("", text)


def parse_shape(text: str) -> Shape:
    """Return the shape in `1, 60`, `(None, 4)`, `?,3`, `8x3` or `torch.Size([12, 5])`.

    ? is None, and so is a size of more than nine digits.
    """
    return tuple(_dimension(part) for part in re.findall(r"\d+|None|\?", text)[:8])


def _dimension(text: str) -> Dimension:
    return int(text) if text.isdigit() and len(text) < 10 else None


@dataclass(frozen=True)
class FrameworkMessage:
    """A message that matches the pattern of a cause.

    text: as `normalize` returns it.
    match: the match of the pattern, whose groups hold numbers, shapes and names.
    code: the user's line in a traceback, else "".
    """

    text: str
    match: re.Match[str]
    code: str = ""

    def number(self, group: str) -> int:
        """Return the number of a group."""
        return int(self.match[group])

    def shape(self, group: str) -> Shape:
        """Return the shape of a group."""
        return parse_shape(self.match[group])

    def name(self, group: str) -> str:
        """Return the text of a group; "" if the group took no part."""
        return self.match[group] or ""

    @cached_property
    def call(self) -> str:
        """The class whose `call` failed: `LSTMCell`; "" if the message does not say."""
        names = re.findall(r"calling (\w{1,100})\.call\(\)", self.text)
        return names[-1] if names else ""

    def argument(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of one of the "Arguments received by ..."; () if it is None or a number."""
        values = re.findall(rf"• {name}=(.{{0,2000}}?)(?= • |$)", self.text)
        shapes = re.findall(r"shape=\(([\dNone, ]{0,100})\)", values[-1]) if values else []
        return tuple(filter(None, map(parse_shape, shapes)))

    @cached_property
    def named(self) -> str:
        """Keras's class of the recurrent layer that the message names; "" if it names none."""
        for pattern in _NAMES:
            for name in re.findall(pattern, self.text):
                if class_name := recurrent_in(name):
                    return class_name
        return ""

    @cached_property
    def written(self) -> WrittenLayer | None:
        """The layer of the message, read from the user's line, else from the text; None if in neither."""
        for code in (self.code, self.text):
            layers = [layer for layer in layers_in(code) if self.named in ("", layer.name)]
            wrapped = [layer for layer in layers if layer.is_bidirectional and self._names_bidirectional]
            if layers:
                return (wrapped or layers)[-1]
        return None

    @cached_property
    def layer(self) -> str:
        """Keras's class of the layer that the message is about; LSTM if no text names a layer."""
        return self.named or (self.written.name if self.written else DEFAULT)

    def units(self, default: int) -> int:
        """Return the units of the layer in the code, else `default`."""
        return self.written.units if self.written else default

    @cached_property
    def is_bidirectional(self) -> bool:
        """Whether the layer is inside a Bidirectional."""
        return self._names_bidirectional or bool(self.written and self.written.is_bidirectional)

    @cached_property
    def _names_bidirectional(self) -> bool:
        names = [name for pattern in _NAMES for name in re.findall(pattern, self.text)]
        return any("bidirectional" in name.casefold() for name in names)


Fields = dict[str, Any]
"""The values for the holes in the texts of a cause, by name."""

ComputeFields = Callable[[FrameworkMessage], Fields | None]
"""Returns the values for a message; None if the message has another cause although the pattern matches."""


def recurrent_in(name: str) -> str | None:
    """Return the class that a name is made from: `encoder_lstm_1` -> `LSTM`, `RNN` -> `SimpleRNN`.

    None if it is not the name of a recurrent layer.
    """
    folded = name.casefold().replace("_", "")
    if name in ("RNN", "RNNCell"):
        return "SimpleRNN"
    return next((layer for layer in reversed(RECURRENT) if layer.casefold() in folded), None)
