"""A file that appears whole or not at all; a device or a named pipe is written to, and never replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import IO, Any, cast

from rnncli.errors import UsageError
from rnncli.signals import tidily_ended


def demand_place(output: str | None, read: Iterable[str | int] = ()) -> None:
    """UsageError where --output names nothing, a folder, a place in no folder, or what is read.

    read: paths, or words that may be some, and the numbers of open files.
    """
    if output is None or output == "-":
        return
    if not output.strip():
        raise UsageError("--output: the name of a file is empty.", "Name a file, or leave --output out.")
    path = expanded(output)
    try:
        place = path.resolve(), path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a name that is too long
        raise UsageError(f"{output}: cannot be written: {_reason(error)}.", "Name another file.") from None
    if place[1] or os.path.basename(output) in ("", ".", ".."):  # noqa: PTH119 - Path drops a slash at the end
        raise UsageError(f"{output}: it is a folder.", "Name a file in it.")
    if not path.parent.is_dir():
        raise UsageError(f"{output}: cannot be written.", f"There is no folder {path.parent}.")
    if path.is_file() and any(_is(path, one) for one in read):
        raise UsageError(f"{output}: it is read here, and would be lost.", "Name another file.")


def expanded(text: str) -> Path:
    """The path with a user's home in place of `~`.  UsageError where there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        what = f"{text}: there is no home folder {user}."
        raise UsageError(what, f"A file of that name is ./{text}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "its links lead in a circle" if isinstance(error, RuntimeError) else "that is no name of a file"


def _is(path: Path, other: str | int) -> bool:
    try:
        found = os.fstat(other) if isinstance(other, int) else Path(other).expanduser().stat()
        return os.path.samestat(path.stat(), found)
    except (OSError, ValueError, RuntimeError):  # JSON may be too long for a name
        return False


@contextmanager
def opened(output: str) -> Iterator[IO[bytes]]:
    """The file that --output names; it takes its place when the block has ended well.

    UsageError where it cannot be opened, written or put in its place; BrokenPipeError where it is a pipe
    whose reader has gone.
    """
    path = expanded(output)
    aside = not path.exists() or path.is_file()
    with _whole(path) if aside else nullcontext(path) as part:
        with _said_of(output):
            file = part.open("wb")
        try:
            yield cast("IO[bytes]", _File(file, output, seeks=aside))
        finally:
            with _said_of(output):
                file.close()


def write(output: str, data: str | bytes) -> None:
    """`data` as the file that --output names."""
    content = data.encode() if isinstance(data, str) else data
    with suppress(BrokenPipeError), opened(output) as file:
        file.write(content)


class _File:
    """A file that says what its disk refuses."""

    def __init__(self, file: IO[bytes], output: str, *, seeks: bool) -> None:
        self._file, self._output, self._seeks = file, output, seeks

    def tell(self) -> int:
        """Of a device OSError: it says 0 wherever it is."""
        if not self._seeks:
            raise UnsupportedOperation
        return self._file.tell()

    def write(self, data: bytes) -> int:
        with _said_of(self._output):
            return self._file.write(data)

    def flush(self) -> None:
        with _said_of(self._output):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _said_of(output: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"{output}: cannot be written: {error.strerror or error}."
        raise UsageError(what, "Name another file.") from None


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path beside `path` that takes its place at the end, and is gone if the end is not reached."""
    place = path.resolve()
    part = place.with_name(f".{place.name[:200]}.{os.urandom(4).hex()}.part")
    with tidily_ended():
        try:
            yield part
            with _said_of(str(path)):
                if place.exists():
                    part.chmod(stat.S_IMODE(place.stat().st_mode))
                part.replace(place)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
