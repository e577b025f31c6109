"""What a program left in a folder: outputs, or the reason why there are none.

The program is foreign.  A file may be a pipe that nobody writes to, a link to a device without an end, or
gigabytes of zeros packed into a few bytes.  So the kind and the size of a file are known before it is read,
and what cannot be read within the limits is refused, with the reason.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from rnncli.case import Array
from rnncli.commands.conformance.cases import KitCase
from rnncli.commands.conformance.judge import Failure
from rnncli.errors import InputError, Message, Text, first_nonblank_line, shorten
from rnncli.inputs.formats import npz
from rnncli.process.memory import format_size

Answer = Mapping[str, Array] | Failure
Answers = Iterator[tuple[KitCase, Answer]]
"""Each case with its answer, as soon as it is there."""
MOST = 2**20
"""Bytes of a file of outputs, packed and unpacked; those of a case are a few hundred numbers."""
MOST_ARRAYS = 32
"""Arrays of a file that are read if the outputs of the case are not among them by name."""
MOST_TEXT = 2**16
"""Bytes of a text that are read: its last ones."""
LONGEST = 1000
"""Characters of a reason."""
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Opens even a named pipe at once, which a program may put there meanwhile; Windows has none in a folder."""


def read_results(folder: Path, cases: Sequence[KitCase]) -> Answers:
    """Yield the answers that a folder has: `CASE.npz`, or `CASE.txt`, why there is none."""
    for case in cases:
        outputs, reason = (folder / f"{case.name}.{suffix}" for suffix in ("npz", "txt"))
        if os.path.lexists(outputs):
            yield case, _read_outputs(outputs, case)
        elif os.path.lexists(reason):
            yield case, _read_reason(reason)


def last_line(text: bytes) -> str:
    """Return the last line of what a program wrote to stderr."""
    plain = re.sub(r"\x1b\[[\d;]*\w", "", text.decode("utf-8", "replace"))  # without colors
    lines = [line.strip() for line in plain.splitlines()]
    return shorten(next(filter(None, reversed(lines)), "").rstrip("."), LONGEST)


def _read_outputs(path: Path, case: KitCase) -> Answer:
    """Return the arrays of a file: the outputs of the case; all if one of them is not there by its name."""

    def choose(names: Sequence[str]) -> Sequence[str]:
        if set(case.outputs) <= set(names):
            return case.outputs
        if len(names) > MOST_ARRAYS:
            raise InputError(
                "it has {count} arrays, but not {names}.",
                count=len(names),
                names=", ".join(name for name in case.outputs if name not in names),
            )
        return names

    try:
        with _open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST:
                raise InputError(
                    "it has {size}, and the outputs of a case at most {most}.",
                    size=format_size(size),
                    most=format_size(MOST),
                )
            return npz.read_arrays(file.read(size), choose, MOST)
    except Exception as error:  # a file that goes away, or changes, makes Python raise almost anything
        return _refuse(error)


def _refuse(error: Exception) -> Failure:
    if isinstance(error, InputError):
        reason: Text = error.sentence
    else:
        reason = getattr(error, "strerror", None) or first_nonblank_line(error).rstrip(".")
    return Failure("refused", Message("Its outputs cannot be read: {error}.", error=reason))


def _read_reason(path: Path) -> Failure:
    """Return the refusal that a file explains; of a long text, its end."""
    try:
        with _open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MOST_TEXT))
            read = file.read(MOST_TEXT).replace(b"\0", b" ").decode("utf-8", "replace")
    except Exception as error:
        return _refuse(error)
    text = " ".join(read.split()).rstrip(".")
    return Failure("refused", text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}")


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file that is in its folder, also through links.  Raises InputError for anything else."""
    target = path.resolve(strict=True)
    if not target.is_relative_to(path.parent.resolve()):
        raise InputError("it is a link out of its folder.")
    if not stat.S_ISREG(target.stat().st_mode):
        raise InputError("it is not a regular file.")
    with open(target, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | NO_WAIT)) as file:
        yield cast("BinaryIO", file)
