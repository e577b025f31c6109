"""Where bytes come from: a file, standard input or the command line; and how they are read as text."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

from rnncli.errors import EngineError, InputError, Message, Text, UsageError, inside, nearest
from rnncli.process.signals import defer_signals

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
"""Files that only PyTorch writes."""
NEVER_INPUTS = (".pt", ".pth", ".onnx")
"""Files that hold a model or its weights, and never an input."""
MODEL_SUFFIXES = (*KERAS_SUFFIXES, *NEVER_INPUTS)
WEIGHT_SUFFIXES = (".weights.h5", ".npz", ".safetensors")
BLOCK = 2**20
"""Bytes of a pipe that are read at a time."""
MAX_PIPE = 2**31
"""Maximum bytes of a pipe, which may have no end."""
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

READ_FILES: ContextVar[set[tuple[int, int]] | None] = ContextVar("read_files", default=None)
"""The files that the running command has read, by device and inode, so that none is written over."""


class NoFileError(InputError):
    """There is no file at a path.

    similar: the name of a file in the same folder that may be meant; None if there is none.
    """

    def __init__(self, detail: Text, similar: str | None = None) -> None:
        super().__init__(
            detail,
            Message("Did you mean {similar}?", similar=similar) if similar else Message("Check the path."),
        )
        self.similar = similar


class InputFlagError(InputError):
    """An error in a text, which a flag such as --input-format or --delimiter may solve.

    otherwise: advice for a file of a mask, weights or states, to which these flags do not apply.
    """

    def __init__(self, detail: Text, advice: Text, otherwise: Message) -> None:
        super().__init__(detail, advice)
        self.otherwise = otherwise


class Source(NamedTuple):
    """A source of bytes: `data`, or the file at `path`; a named pipe has both.

    name: its name in errors, such as `notes.json`, `standard input` or `the command line`.
    """

    name: Text
    data: bytes | None = None
    path: Path | None = None

    @property
    def suffix(self) -> str:
        """The suffix of its path in lower case, with the dot; "" without a path."""
        return self.path.suffix.lower() if self.path else ""

    def content(self, advice: Text = Message("Give nested lists as JSON, or rows as CSV.")) -> bytes:
        """Return all bytes.

        advice: second sentence of the error for an empty source; it says what to provide.
        Raises InputError if the source cannot be read or is empty.
        """
        with report_os_errors(self.name, "Check the file."):
            found = read_bytes(self.file()) if self.data is None else self.data
            if not found or found.isspace():
                raise InputError("it is empty.", advice)
        return found

    def open(self) -> BinaryIO:
        """Open the file; see `open_file`."""
        return open_file(self.file())

    def file(self) -> Path:
        """Return the path, which there must be.  Raises InputError if it is not an existing file."""
        path = self.path
        assert path is not None
        with report_os_errors(self.name):
            try:
                found, folder = path.exists(), path.is_dir()
            except ValueError:
                raise NoFileError("it cannot be read: that is not a file name.") from None
            except PermissionError:
                raise
            except OSError as error:  # such as a name that is too long
                raise NoFileError(
                    Message("it cannot be read: {strerror}.", strerror=error.strerror)
                ) from None
            if not found and path.is_symlink():
                raise InputError("this link points to no file.", "Check its target.")
            if not found:
                raise _explain_missing(path)
            if folder:
                raise InputError("it is a folder.", "Name a file in it.")
        return path


@contextmanager
def report_os_errors(name: Text, advice: Text = Message("Check the path.")) -> Iterator[None]:
    """Convert an OSError to an InputError, and put the name of the source in front of it."""
    with inside(name):
        try:
            yield
        except PermissionError:
            raise InputError("permission denied.", "Check its permissions.") from None
        except OSError as error:
            raise InputError(
                "it cannot be read: {strerror}.", advice, strerror=error.strerror or error
            ) from None


def expand_user(text: str) -> Path:
    """Return the path with `~` expanded.  Raises UsageError if there is no such user."""
    if not text.startswith("~"):  # expanduser would read ./~name as ~name
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        what = Message("{text}: there is no home folder {user}.", text=text, user=user)
        raise UsageError(what, "A file of that name is ./{text}", text=text) from None


def split_layers(word: str) -> tuple[str, tuple[str, ...]]:
    """Return the file of `FILE#a,b`, and the names of layers after the #; a file of the whole name wins."""
    file, mark, names = word.rpartition("#")
    whole = not mark
    with suppress(OSError, ValueError, RuntimeError):  # the word may be JSON, or have no such user
        whole = whole or (Path(word).expanduser() if word.startswith("~") else Path(word)).exists()
    return (word, ()) if whole else (file, tuple(map(str.strip, names.split(","))))


def split_source(source: Source) -> tuple[Source, tuple[str, ...]]:
    """Return the file, and the names of layers after a #.

    Raises InputError if nothing stands before the #.
    """
    word = str(source.path or "")
    file, names = split_layers(word)
    if file == word:
        return source, ()
    if not file or file.endswith("/"):
        with inside(source.name):
            raise InputError("there is no file name before the #.", "For example weights.npz#lstm.")
    return Source(str(source.name).removesuffix(word[len(file) :]), path=Path(file)), names


def open_file(path: Path) -> BinaryIO:
    """Open a file or a pipe, without a buffer, and note in READ_FILES that it was read.

    Raises InputError for a device.
    """
    file = cast("BinaryIO", path.open("rb", buffering=0))
    try:
        refuse_device(file.fileno())
        if (known := READ_FILES.get()) is not None:
            status = os.fstat(file.fileno())
            known.add((status.st_dev, status.st_ino))
    except BaseException:
        file.close()
        raise
    return file


def was_read(path: Path) -> bool:
    """Return whether the running command has read this file, under any name."""
    try:
        status = path.stat()
    except OSError:
        return False
    return (status.st_dev, status.st_ino) in (READ_FILES.get() or ())


def refuse_device(descriptor: int) -> None:
    """Raise InputError for an open device, as it may have no end; a terminal and the null device have one."""
    status = os.fstat(descriptor)
    character = stat.S_ISCHR(status.st_mode)
    ends = character and (status.st_rdev == Path(os.devnull).stat().st_rdev or os.isatty(descriptor))
    if stat.S_ISBLK(status.st_mode) or (character and not ends):
        raise InputError("it is a device, which may have no end.", "Copy what you need of it to a file.")


def read_bytes(path: Path) -> bytes:
    """Return all bytes of a file or a pipe.  Raises InputError for a device, or if there are too many."""
    with open_file(path) as file:
        return read_to_end(file)


def read_to_end(file: BinaryIO) -> bytes:
    """Return all bytes of an open file.  Raises InputError if they are too many for memory or for a pipe."""
    from rnncli.process import memory

    size, whole = os.fstat(file.fileno()).st_size, io.BytesIO()
    try:
        if size > memory.total():
            raise MemoryError
        if size:
            return file.read()
        while block := file.read(BLOCK):
            whole.write(block)
            if whole.tell() > MAX_PIPE:
                what = Message("it is a pipe with more than {size}.", size=memory.format_size(MAX_PIPE))
                raise InputError(what, "Write what comes out of it to a file, and name the file.")
        return whole.getvalue()
    except MemoryError:
        raise too_large() from None


def too_large() -> InputError:
    """Return the error for a file that does not fit in memory, as it is or as what it is parsed to."""
    return InputError("it does not fit in memory.", "Give a smaller file; a .npy input may have any size.")


def _explain_missing(path: Path) -> InputError:
    """Return the error for a missing file; it suggests one in the same folder with a similar name."""
    what = Message("there is no such file.")
    try:
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    except OSError:
        return InputError(what, "There is no folder {parent} either.", parent=path.parent)
    return NoFileError(what, nearest(path.name, names))


def read_utf8(source: Source, *advice: Text) -> bytes:
    """Return the bytes of a UTF-8 text without the byte order mark.

    advice: shown if the source is empty; by default, how to write an input.
    Raises InputError if they are UTF-16 or UTF-32.
    """
    data = source.content(*advice)
    _refuse_utf16(data)
    return data.removeprefix(UTF8_MARK)


def read_blocks(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the text in blocks of whole lines, each with the number of its first line.

    A large file is never fully in memory.
    Raises InputError if the text is not UTF-8; the message names the line of the first bad byte.
    """
    first, file = 1, cast("IO[bytes]", None)
    if source.data is None and source.file().stat().st_size > BLOCK:
        with suppress(OSError):  # content() reports the error
            file = io.BufferedReader(cast("io.RawIOBase", source.open()))
    with file or io.BytesIO(source.content()) as file:
        while data := file.read(BLOCK):
            data += file.readline()
            if first == 1:
                _refuse_utf16(data)
                data = data.removeprefix(UTF8_MARK)
            yield first, _decode(data, first)
            first += data.count(b"\n")


def _refuse_utf16(data: bytes) -> None:
    if data[:2] in UTF16_MARKS or b"\0" in data[:4]:
        raise InputError("it is UTF-16 or UTF-32.", "Save it as UTF-8.")


def _decode(data: bytes, first: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + first
        raise InputFlagError(
            Message("line {line} is not UTF-8 text: byte 0x{data:02x}.", line=line, data=data[error.start]),
            Message("Save it as UTF-8; an input in another format needs {--input-format}."),
            Message("Save it as UTF-8."),
        ) from None


def import_package(package: str, what: Text, install: str = "") -> Any:
    """Return the module `package`, which is needed to read `what`.

    install: what pip installs, if its name is not `package`.  Raises EngineError if it is not installed.
    A signal waits until the module is loaded: orjson crashes the process if its loading is interrupted.
    """
    if (loaded := sys.modules.get(package)) is not None:
        return loaded
    try:
        with defer_signals():
            return import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise EngineError(
            "{name} is not installed; it is needed to read {what}.",
            "pip install {install}",
            name=name,
            what=what,
            install=install or name,
        ) from None
