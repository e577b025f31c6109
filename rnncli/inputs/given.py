"""What is given, as a source of bytes or as an array: a word of the command line, or a value in Python."""

from __future__ import annotations

import io
import os
import re
import shlex
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import BinaryIO, cast

from rnncli import specs
from rnncli.case import Dimension, Shape
from rnncli.errors import InputError, LayerError, Message, Text, UsageError, nearest
from rnncli.inputs import sample_files
from rnncli.inputs.source import (
    NoFileError,
    Source,
    expand_user,
    open_file,
    read_bytes,
    read_to_end,
    refuse_device,
    report_os_errors,
)

SAMPLE = "sentence"
SAMPLE_SHAPE = (1, 4, 5)
SAMPLE_REMARK = Message(
    "no input given: using the built-in sample '{sample}' {sample_shape}",
    sample=SAMPLE,
    sample_shape=SAMPLE_SHAPE,
)
LAYER_LIKE = r"(?s)[^\W\d][\w-]*|[^\W\d][\w.]*\(.*"

EXAMPLE = Message(
    "Write sizes with commas between them: 2,10,8; in rnncli shape, a size may be None or a name: batch,10,8."
)
_SEPARATORS = r"(?i)\s*[,;*×\s]\s*|(?:(?<=[0-9])|(?<=None))x(?=[0-9N])"
"""The letter x separates sizes in 2x10 and Nonex8, but it is not one in a name such as max2."""


def choose_input(word: str | PathLike[str] | None, *, stdin: bool = True) -> tuple[Source, tuple[Text, ...]]:
    """Return the source of INPUT, and a remark if that is a built-in sample.

    stdin: whether standard input is the source if there is no word.
    """
    if word is None:
        held = stdin and stdin_holds_data()
        return (read_stdin(), ()) if held else (sample(SAMPLE), (SAMPLE_REMARK,))
    if not isinstance(word, str):
        return find_source(word), ()
    if word in sample_files.names() and not Path(word).exists():
        remark = Message("there is no file {input}: using the built-in sample", input=word)
        return sample(word), (remark,)
    source = find_source(word)
    if source.path is not None:  # report a missing file before an unknown suffix
        try:
            source.file()
        except InputError as error:
            error.advice = _suggest_input(str(source.name), error)
            raise
    return source, ()


def find_source(text: str | PathLike[str]) -> Source:
    """Return the source that a word of the command line names: `-`, JSON text or a path; or a Path."""
    if not isinstance(text, str):
        return Source(str(text), path=expand_user(str(text)))
    if not text.strip():
        raise UsageError("the file name is empty.", "Give a path, - for stdin, or JSON text.")
    if text == "-":
        return read_stdin()
    if text.lstrip()[0] in "[{":
        return Source(Message("the command line"), data=text.encode("utf-8", "surrogateescape"))
    path = expand_user(text)
    if is_pipe(path):
        with report_os_errors(text):
            data = read_bytes(path)  # now, like stdin: it can be read only once
        return Source(text, data, path if path.suffix else None)
    return Source(text, path=path)


def is_pipe(path: Path) -> bool:
    """Return whether the path can be read only once, from the start: /dev/stdin, <(a command)."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except (OSError, ValueError):  # JSON may be too long for a file name
        return False


def sample(name: str) -> Source:
    """Return the source of a built-in sample."""
    return Source(Message("the sample {name}", name=name), path=sample_files.path(sample_files.get(name)))


def read_stdin() -> Source:
    """Read standard input to its end."""
    _require_stdin()
    with report_os_errors(Message("standard input"), "Name a file."):
        return Source(Message("standard input"), data=read_to_end(sys.stdin.buffer))


def _require_stdin() -> None:
    """Raise InputError if standard input is closed or a device; then make it blocking.

    Another process may have made it non-blocking, and a read would end early.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed.", "Name a file, or pipe the input in.")
    with report_os_errors(Message("standard input"), "Name a file."):
        refuse_device(0)
    with suppress(OSError):
        os.set_blocking(0, True)


def stdin_holds_data() -> bool:
    """Return whether stdin is a pipe, a file or a socket, not a terminal, the null device or closed."""
    if sys.stdin is None:
        return False
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def open_lines(word: str | None) -> tuple[BinaryIO, Text]:
    """Open the input for reading lines as they arrive; return it with its name in errors.

    The name is a file's; it is empty for a pipe.  A read returns the data a pipe has, or waits for some.
    """
    if word in (None, "-"):
        _require_stdin()
        return cast("BinaryIO", open(0, "rb", buffering=0, closefd=False)), ""
    if word and not word.lstrip().startswith(("[", "{")) and is_pipe(path := expand_user(word)):
        with report_os_errors(word):
            return open_file(path), word if path.suffix else ""
    source, remarks = choose_input(word)
    if remarks:
        raise UsageError(
            "{--stream} reads one record per line, but {name} is a single input.",
            "Leave {--stream} out.",
            name=source.name,
        )
    if source.data is not None:
        return io.BytesIO(source.data), ""
    with report_os_errors(source.name):
        return source.open(), source.name


def read_arrived(file: BinaryIO, most: int, where: Text) -> bytes:
    """Return the bytes that have arrived in the file of `open_lines`, at most `most`; wait for some."""
    with report_os_errors(where or Message("the input")):
        return file.read(most)


def words_of(files: Mapping[str, str | None]) -> list[str | int]:
    """Return the inputs that these flags read: words that may be paths, and 0 for standard input."""
    words = ("-" if name == "INPUT" and word is None else word for name, word in files.items())
    return [0 if word == "-" else word for word in words if word]


def _suggest_input(word: str, error: InputError) -> Message:
    """Return advice on what a word that is not a file may have been meant as.

    error: raised by `Source.file`; its advice is returned if there is nothing better.
    """
    similar = error.similar if isinstance(error, NoFileError) else None
    if isinstance(error, NoFileError) and not similar and _ends_as_json(word) and not _is_layer(word):
        return Message("JSON on the command line must begin with [ or {{.")
    if shape := write_with_commas(word):
        return Message("To generate an input of this shape: {--input-shape:shape}", shape=shape)
    if not re.fullmatch(LAYER_LIKE, word):
        return error.advice
    if word.casefold() in {"true", "false"}:
        return Message("Flags such as {--return-sequences} take no value.")
    if near := nearest(word, sample_files.names()):
        return Message("Did you mean {near}?", near=near)
    if similar:
        return error.advice
    advice = error.advice
    if _is_layer(word):
        advice = Message("Name the layer with {--layer:word}", word=shlex.quote(word))
    return Message(
        "{advice}; the built-in samples are {names}.", advice=advice, names=", ".join(sample_files.names())
    )


def _ends_as_json(word: str) -> bool:
    """Return whether a word has a bracket that opens, and ends with one that closes."""
    ends = max(word.rfind("]"), word.rfind("}"))
    starts = min((place for place in map(word.find, "[{") if place >= 0), default=ends)
    return starts < ends and not re.search(r"\w", word[ends:])


def _is_layer(word: str) -> bool:
    with suppress(LayerError, UsageError):
        return bool(specs.from_flags([word], {}))
    return False


def parse_shape(text: str) -> Shape:
    """Convert `2,None,8` or `(batch, 10, 8)` to a shape.

    Raises UsageError if `text` is empty or a part of it is not a dimension.
    """
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1].strip().removesuffix(",")
    if not inner:
        raise UsageError("the input shape {text!r} is empty.", EXAMPLE, text=text)
    return tuple(_dimension(part.strip(), text) for part in inner.split(","))


def write_with_commas(text: str) -> str | None:
    """Return `2,10,8` for sizes with anything between them, such as `2x10x8` or `2 10 8`; else None."""
    parts = re.split(_SEPARATORS, text.strip().strip("()[]").strip())
    known = len(parts) > 1 and all(part == "None" or _is_size(part) for part in parts)
    return ",".join(parts) if known else None


def _is_size(part: str) -> bool:
    return part.isascii() and part.isdecimal() and 0 < len(part) <= 15 and int(part) > 0


def _dimension(part: str, text: str) -> Dimension:
    if part.casefold() == "none":
        return None
    if _is_size(part):
        return int(part)
    if part.isidentifier() and write_with_commas(part) is None:  # Nonex8 is an identifier, and two sizes
        return part
    named = repr(part) if part else Message("an empty part")
    commas = write_with_commas(text)
    raise UsageError(
        "the input shape {text!r} has {named}, which is not a size above 0.",
        Message("Write {commas} instead.", commas=commas) if commas else EXAMPLE,
        text=text,
        named=named,
    )
