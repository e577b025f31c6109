"""Write files atomically; write to devices and named pipes in place, never replacing them."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import IO, Any, cast

from rnncli.errors import Message, Text, UsageError
from rnncli.inputs.source import expand_user, was_read
from rnncli.process.signals import exit_cleanly, remove_after_crash


def require_place(output: str | None, read: Iterable[str | int] = ()) -> None:
    """Raise UsageError if --output is empty, a folder, in a missing folder, or one of the files being read.

    read: paths, or words that may be paths, and the numbers of open files.
    """
    if output is None or output == "-":
        return
    if not output.strip():
        raise UsageError("{--output}: the file name is empty.", "Name a file, or leave {--output} out.")
    path = expand_user(output)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # a new file, or a folder that is reported below
    except (OSError, ValueError) as error:  # a loop of links, a locked folder, or a name that is too long
        reason: Text = (isinstance(error, OSError) and error.strerror) or Message("that is not a file name")
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            reason = Message("its links form a loop")
        raise UsageError(
            "{output}: cannot be written: {error}.", "Name another file.", output=output, error=reason
        ) from None
    if path.is_dir():
        raise UsageError("{output}: it is a folder.", "Name a file in it.", output=output)
    if output.endswith(os.sep):  # Path drops a trailing slash
        raise UsageError(
            "{output}: a name that ends with / names a folder.", "Remove the / at the end.", output=output
        )
    if not path.parent.is_dir():
        raise UsageError(
            "{output}: cannot be written.", "There is no folder {parent}.", output=output, parent=path.parent
        )
    if path.is_file() and any(_is_same_file(path, other) for other in read):
        raise _explain_input(output)
    if path.is_file() and not _is_writable(path):
        raise UsageError("{output}: cannot be written: it is read-only.", "Name another file.", output=output)


def _explain_input(output: str) -> UsageError:
    what = Message("{output}: it is an input of this command and would be overwritten.", output=output)
    return UsageError(what, "Name another file.")


def _is_writable(path: Path) -> bool:
    """Return whether the permissions allow writing, also for the superuser, who could write anyway."""
    status = path.stat()
    is_owner = hasattr(os, "geteuid") and status.st_uid == os.geteuid()
    return bool(status.st_mode & (0o200 if is_owner else 0o222)) and os.access(path, os.W_OK)


def _is_same_file(path: Path, other: str | int) -> bool:
    try:
        status = os.fstat(other) if isinstance(other, int) else expand_user(other).stat()
        return os.path.samestat(path.stat(), status)
    except (OSError, ValueError, UsageError):  # JSON may be too long for a file name
        return False


@contextmanager
def open_output(output: str) -> Iterator[IO[bytes]]:
    """Open the file that --output names; it replaces the old one when the block ends without an error.

    Raises UsageError if it cannot be opened, written or moved into place, and BrokenPipeError if it is a
    pipe whose reader has gone.
    """
    path = expand_user(output)
    aside = not path.exists() or path.is_file()
    with _replace_at_end(path) if aside else nullcontext(path) as part:
        with _report_os_error(output):
            file = _create(part, path) if aside else path.open("wb")
        try:
            yield cast("IO[bytes]", _File(file, output, seeks=aside))
        finally:
            with _report_os_error(output):
                file.close()


def write(output: str, data: str | bytes) -> None:
    """Write `data` to the file that --output names."""
    content = data.encode() if isinstance(data, str) else data
    with suppress(BrokenPipeError), open_output(output) as file:
        file.write(content)


class _File:
    """File wrapper that reports write errors of the disk as UsageError."""

    def __init__(self, file: IO[bytes], output: str, *, seeks: bool) -> None:
        self._file, self._output, self._seeks = file, output, seeks

    def tell(self) -> int:
        """Return the position.  Raises OSError for a device, which always reports 0."""
        if not self._seeks:
            raise UnsupportedOperation
        return self._file.tell()

    def write(self, data: bytes) -> int:
        with _report_os_error(self._output):
            return self._file.write(data)

    def flush(self) -> None:
        with _report_os_error(self._output):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _report_os_error(output: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        what = Message(
            "{output}: cannot be written: {strerror}.", output=output, strerror=error.strerror or error
        )
        raise UsageError(what, "Name another file.") from None


def _create(part: Path, path: Path) -> IO[bytes]:
    """Create the file that will replace `path`; it has the same permissions before it has any content."""
    mode = stat.S_IMODE(path.stat().st_mode) & 0o777 if path.exists() else None

    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags, 0o666 if mode is None else 0o600)
        if mode is not None:
            part.chmod(mode)
        return descriptor

    return open(part, "xb", opener=opener)


@contextmanager
def _replace_at_end(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it at the end, and is removed after an error.

    Raises UsageError if the command has read the file that would be replaced.
    """
    target = path.resolve()
    part = target.with_name(f".{target.name[:200]}.{os.urandom(4).hex()}.part")
    remove_after_crash(part)
    with exit_cleanly():
        try:
            yield part
            if was_read(target):
                raise _explain_input(str(path))
            with _report_os_error(str(path)):
                part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def how_to_open(output: str | None) -> Text:
    """Return that the file of --output is written, and how to open it; "" for standard output."""
    import shlex

    if output in (None, "-"):
        return ""
    file, suffix = shlex.quote(str(output)), Path(str(output)).suffix.casefold()
    if suffix == ".ipynb":
        return Message("{file} is written. Open it with: jupyter lab {file}", file=file)
    if suffix not in (".html", ".htm", ".svg"):
        return Message("{file} is written.", file=file)
    opener = {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")
    text = "{file} is written. Open it in a browser: double-click it, or type {opener} {file}"
    return Message(text, file=file, opener=opener)
