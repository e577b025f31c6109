"""An answer, to stdout or to a file that appears whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import IO, Protocol, cast

from rnncli import renderers
from rnncli.cli import files, sources, terminal
from rnncli.cli.options import OutputFlags, ReadingFlags
from rnncli.errors import UsageError
from rnncli.page import UNICODE, Answer, GrowingAnswer, View

BINARY = ("npz", "npy", "safetensors")
FOR_EYES = ("table", "markdown")
THEMED = ("svg", "html")
FLOWING = ("ndjson", "json", "table", "markdown")
FOR_PROGRAMS = ("json", "ndjson", "csv")
AT_ONCE = 2**20
"""Bytes that are sent together."""
FRACTIONS, OTHERS = "▏▎▍▌▋▊▉█", "─±"
BEYOND_ASCII = f"{UNICODE.ellipsis}{UNICODE.dot}{UNICODE.arrow}{UNICODE.bars}{FRACTIONS}{OTHERS}"
"""Every sign that a table may hold: one that cannot be shown, and all are said in ASCII."""


class Delivery(Protocol):
    """Shows an answer, and before it the remarks, which nobody wants to read if no answer comes."""

    def __call__(self, answer: Answer | GrowingAnswer, remarks: Sequence[str] = ()) -> None: ...  # noqa: D102


def delivery(flags: OutputFlags, *reading: ReadingFlags) -> Delivery:
    """What shows an answer.  UsageError now, before anything is computed, where the flags cannot be meant.

    reading: the flags that say what is read, and is not to be written over.
    """
    files.demand_place(flags.output, sources.read_by(*reading))
    name = format_of(flags)
    to_file = not is_stdout(flags.output)
    if flags.theme is not None and name not in THEMED:
        raise UsageError(f"--theme: {name} has no background.", "Use --format svg or html, or drop --theme.")
    if name in BINARY and not to_file and terminal.is_watched():
        raise UsageError(
            f"{name} is not for a terminal.", f"Write a file, --output FILE.{name}, or into a pipe."
        )

    unlike = _unlike(flags)

    def deliver(answer: Answer | GrowingAnswer, remarks: Sequence[str] = ()) -> None:
        remarks = (*remarks, *unlike)
        renderer, view = renderers.get(name), view_of(flags, name, to_file=to_file)
        if hasattr(renderer, "write"):
            fill(flags.output, lambda file: renderer.write(answer, file))
            terminal.remark(remarks, flags.quiet)
            return
        if hasattr(renderer, "pieces"):
            parts = _megabytes(renderer.pieces(answer, view))
            first = next(parts)  # what is wrong shows here, unless it comes with a later chunk
            terminal.remark(remarks, flags.quiet)
            fill(flags.output, lambda file: _write_all(file, chain((first,), parts)))
            return
        data = renderer.render(cast("Answer", answer), view)
        if isinstance(data, str) and name != "table":
            data = data.encode()  # what programs read is UTF-8 everywhere; what people read, as they see it
        terminal.remark(remarks, flags.quiet)
        send(data, flags.output)

    return deliver


@contextmanager
def flowing(flags: OutputFlags, *reading: ReadingFlags) -> Iterator[Callable[[Answer], None]]:
    """What shows one answer after the other, each at once; a file is there when the last has been shown.

    Raises BrokenPipeError where the reader of stdout has gone: nobody wants the rest.
    """
    files.demand_place(flags.output, sources.read_by(*reading))
    name = format_of(flags)
    if name not in FLOWING:
        what = f"--stream: {name} cannot be written a record at a time."
        raise UsageError(what, "Take ndjson, or a table.")
    to_file = not is_stdout(flags.output)
    view = view_of(flags, name, to_file=to_file)
    code = terminal.encoding() if name == "table" and not to_file else "utf-8"
    with _place(flags.output) as file:
        between = b""

        def show(answer: Answer) -> None:
            nonlocal between
            text = cast("str", renderers.render(answer, name, view))
            file.write(between + text.encode(code, "backslashreplace"))
            file.flush()
            between = b"\n" if name in FOR_EYES else b""

        yield show


def send(data: str | bytes, output: str | None) -> None:
    """`data` to the file that --output names, else to stdout."""
    if is_stdout(output):
        terminal.write(data)
    else:
        files.write(output or "", data)


def fill(output: str | None, write: Callable[[IO[bytes]], None]) -> None:
    """What `write` writes, a part at a time, to the file that --output names, else to stdout.

    A reader that has gone away is no error; nothing more is made for it.
    """
    try:
        with _place(output) as file:
            write(file)
    except BrokenPipeError:
        if is_stdout(output):
            terminal.silence_stdout()


def _place(output: str | None) -> AbstractContextManager[IO[bytes]]:
    if is_stdout(output):
        return nullcontext(cast("IO[bytes]", terminal.Stdout()))
    return files.opened(output or "")


def _write_all(file: IO[bytes], parts: Iterable[bytes]) -> None:
    for part in parts:
        file.write(part)


def _megabytes(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same in fewer and larger pieces, each of which is worth sending on its way."""
    held, size = [], 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= AT_ONCE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def is_stdout(output: str | None) -> bool:
    """Whether --output, left out or `-`, means stdout."""
    return output in (None, "-")


def format_of(flags: OutputFlags) -> str:
    """--format, else what the suffix of --output says, else table."""
    if flags.format is not None:
        return flags.format
    return "table" if is_stdout(flags.output) else renderers.for_output(flags.output or "")


def _unlike(flags: OutputFlags) -> tuple[str, ...]:
    """What is to be said of a file whose suffix means another format than it holds."""
    if flags.format is None or is_stdout(flags.output):
        return ()
    try:
        meant = renderers.for_output(flags.output or "")
    except UsageError:  # a suffix of no format
        return ()
    if meant == flags.format:
        return ()
    return (f"{flags.output} holds {flags.format}, not {meant}, as --format says",)


def view_of(flags: OutputFlags, format: str, *, to_file: bool) -> View:
    """How to show it: a file takes everything, a terminal what it can.

    What programs read is English on every machine, unless --lang is given.
    """
    environment, stdout = os.environ, sys.stdout
    lang = flags.lang or ("en" if format in FOR_PROGRAMS else terminal.language(environment))
    if to_file or stdout is None:
        return View(
            lang=lang,
            precision=flags.precision,
            full=flags.full,
            width=flags.width,
            theme=flags.theme or "",
        )
    if flags.lang is None and not terminal.encodes(stdout, "한"):
        lang = "en"
    return View(
        lang=lang,
        precision=flags.precision,
        full=flags.full,
        width=flags.width or terminal.columns(stdout, environment),
        color=terminal.has_colour(stdout, environment),
        ascii=not terminal.encodes(stdout, BEYOND_ASCII),
        theme=flags.theme or "",
    )
