"""Where bytes come from: a file, standard input, a sample, the command line; and how text is read."""

from __future__ import annotations

import io
import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, cast

from rnncli.errors import InputError, Message, Text, UsageError, inside, nearest
from rnncli.inputs import sample_files
from rnncli.process.memory import expansion_limit, format_size

if TYPE_CHECKING:
    import zipfile

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

SAMPLE = "sentence"
SAMPLE_SHAPE = (1, 4, 5)
SAMPLE_REMARK = Message(
    "no input given: using the built-in sample '{sample}' {sample_shape}; "
    "give a file, a pipe, or text: rnncli {command} '[[[1,2],[3,4]]]'",
    sample=SAMPLE,
    sample_shape=SAMPLE_SHAPE,
    command="run",
)
LAYER_LIKE = r"(?s)[^\W\d][\w-]*|[^\W\d][\w.]*\(.*"
_SEPARATORS = r"(?i)\s*[,;*×\s]\s*|(?:(?<=[0-9])|(?<=None))x(?=[0-9N])"
"""The letter x separates sizes in 2x10 and Nonex8, but it is not one in a name such as max2."""

READ_FILES: ContextVar[set[tuple[int, int]] | None] = ContextVar("read_files", default=None)
"""The files that the running command has read, by device and inode, so that none is written over."""


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
    def folder(self) -> Path:
        """The folder of its path; the current one without a path."""
        return self.path.parent if self.path else Path()

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
            if (found := self.data) is None:
                with self.open() as file:
                    found = read_to_end(file)
            if not found or found.isspace():
                raise InputError("it is empty.", advice)
        return found

    def open(self) -> BinaryIO:
        """Open the file; see `open_file`.  If that fails, `file` says why."""
        try:
            return open_file(cast("Path", self.path))
        except (OSError, ValueError):
            self.file()
            raise

    def file(self) -> Path:
        """Return the path of a source that has one.  Raises InputError if it is not an existing file."""
        path = self.path
        assert path is not None
        with report_os_errors(self.name):
            _refuse_tensorflow(path)
            if path.is_dir():
                raise InputError("it is a folder.", "Name a file in it.")
            if not path.exists():
                raise _explain_missing(path)
        return path


def _refuse_tensorflow(path: Path) -> None:
    if path.suffix.lower() in (".index", ".pb") or path.suffix.startswith(".data-") or not path.is_file():
        from rnncli.inputs import foreign

        foreign.refuse_tensorflow(path)


def choose_input(
    word: str | PathLike[str] | None, is_layer: Callable[[str], bool], *, stdin: bool = True
) -> tuple[Source, tuple[Text, ...]]:
    """Return the source of INPUT, and a remark if the source is a built-in sample.

    is_layer: returns whether a word names a layer; the error for a missing file then advises --layer.
    stdin: whether standard input is the source if there is no word.
    """
    if word is None:
        has_stdin = stdin and stdin_holds_data()
        return (read_stdin(), ()) if has_stdin else (sample(SAMPLE), (SAMPLE_REMARK,))
    if not isinstance(word, str):
        return find_source(word), ()
    if word in sample_files.names() and not Path(word).exists():
        remark = Message("there is no file {input}: using the built-in sample", input=word)
        return sample(word), (remark,)
    source = find_source(word)
    if source.path is not None:  # report a missing file before an unknown suffix
        with report_os_errors(source.name):
            _refuse_tensorflow(source.path)
        try:
            source.file()
        except InputError as error:
            error.advice = _suggest_input(str(source.name), source.path, error.advice, is_layer)
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
        with report_os_errors(text), open_file(path) as file:
            data = read_to_end(file)  # now, like stdin: it can be read only once
        return Source(text, data, path if path.suffix else None)
    return Source(text, path=path)


def is_pipe(path: Path) -> bool:
    """Return whether the path can be read only once, from the start: /dev/stdin, <(a command)."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # there is no file; JSON may be too long for a name
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def sample(name: str) -> Source:
    """Return the source of a built-in sample."""
    return Source(Message("the sample {name}", name=name), path=sample_files.path(name))


def read_stdin() -> Source:
    """Read standard input to its end."""
    _require_stdin()
    with report_os_errors(Message("standard input"), "Name a file."):
        return Source(Message("standard input"), data=read_to_end(sys.stdin.buffer))


def _require_stdin() -> None:
    """Another process may have made it non-blocking, and a read would end early."""
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


def open_lines(word: str | None, is_layer: Callable[[str], bool]) -> tuple[BinaryIO, Text]:
    """Open the input for reading lines as they arrive; return it with its name in errors.

    The name is a file's; it is empty for a pipe.  A read returns the data a pipe has, or waits for some.
    is_layer: see `choose_input`.
    """
    if word in (None, "-"):
        _require_stdin()
        return cast("BinaryIO", open(0, "rb", buffering=0, closefd=False)), ""
    if word and not word.lstrip().startswith(("[", "{")) and is_pipe(path := expand_user(word)):
        with report_os_errors(word):
            return open_file(path), word if path.suffix else ""
    source, remarks = choose_input(word, is_layer)
    if remarks:
        what = "{--stream} reads one record per line, but {name} is a single input."
        raise UsageError(what, "Leave {--stream} out.", name=source.name)
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
    return [0 if part == "-" else part for word in words if word for part in (word, split_layers(word)[0])]


def _suggest_input(word: str, path: Path, advice: Message, is_layer: Callable[[str], bool]) -> Message:
    """advice: returned if nothing better is found.  is_layer: see `choose_input`."""
    from rnncli.inputs.nested import advise_text, is_prose

    similar = _similar_file(path)
    if not similar and _ends_as_json(word) and not is_layer(word):
        return Message("JSON on the command line must begin with [ or {{.")
    if shape := write_with_commas(word):
        return Message("To generate an input of this shape: {--input-shape:shape}", shape=shape)
    if not similar and is_prose(word) and not re.search(r"[/\\]|\.\w+$", word):
        return advise_text(word.strip('"'))
    if not re.fullmatch(LAYER_LIKE, word):
        return advice
    if word.casefold() in {"true", "false"}:
        return Message("Flags such as {--return-sequences} take no value.")
    if near := nearest(word, sample_files.names()):
        return Message("Did you mean {near}?", near=near)
    if similar:
        return advice
    if is_layer(word):
        advice = Message("Name the layer with {--layer:word}", word=shlex.quote(word))
    return Message(
        "{advice}; the built-in samples are {names}.", advice=advice, names=", ".join(sample_files.names())
    )


def _ends_as_json(word: str) -> bool:
    """Return whether a word has a bracket that opens, and ends with one that closes."""
    ends = max(word.rfind("]"), word.rfind("}"))
    starts = min((place for place in map(word.find, "[{") if place >= 0), default=ends)
    return starts < ends and not re.search(r"\w", word[ends:])


def write_with_commas(text: str) -> str | None:
    """Return `2,10,8` for sizes with anything between them, such as `2x10x8` or `2 10 8`; else None."""
    parts = re.split(_SEPARATORS, text.strip().strip("()[]").strip())
    known = len(parts) > 1 and all(part == "None" or is_size(part) for part in parts)
    return ",".join(parts) if known else None


def is_size(part: str) -> bool:
    """Return whether this is a size above 0."""
    return part.isascii() and part.isdecimal() and 0 < len(part) <= 15 and int(part) > 0


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
    """Return the file of `FILE#a,b`, and the names of layers after the #.

    If there is a file named like the whole word, with the #, return it without names.
    """
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
    """Return the error for a file that does not fit in memory, as bytes or once it is parsed."""
    return InputError("it does not fit in memory.", "Give a smaller file; a .npy input may have any size.")


def _explain_missing(path: Path) -> InputError:
    if path.is_symlink():
        return InputError("this link points to no file.", "Check its target.")
    similar = _similar_file(path)
    advice = Message("Did you mean {similar}?", similar=similar) if similar else Message("Check the path.")
    if not path.parent.is_dir():
        advice = Message("There is no folder {parent} either.", parent=path.parent)
    return InputError("there is no such file.", advice)


def _similar_file(path: Path) -> str | None:
    """Names are compared without their suffixes, which are no reason to take nofile.csv for hole.csv."""
    with suppress(OSError, ValueError):
        if not path.exists():
            names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
            stem = nearest(path.stem, [Path(name).stem for name in names])
            alike = [name for name in names if Path(name).stem == stem]
            return nearest(path.name, alike) or next(iter(alike), None)
    return None


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


@contextmanager
def open_archive(data: bytes, broken: Text, advice: Text) -> Iterator[zipfile.ZipFile]:
    """Yield the archive; everything that zipfile and zlib raise in the block becomes an InputError.

    broken: the message for a broken file.
    """
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except InputError:
        raise
    except Exception:  # zipfile and zlib raise many types of exception for broken files
        raise InputError("{broken}.", advice, broken=broken) from None


def require_room(
    archive: zipfile.ZipFile,
    packed: int,
    advice: Text,
    names: Iterable[str] | None = None,
    most: int | None = None,
) -> None:
    """Raise InputError if entries are not compressed as NumPy and Keras do, or would expand too much.

    packed: size of the file in bytes.
    names: entries to check; None for all.
    most: bytes that they may expand to; None for what a file of this size may.
    """
    from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED

    entries = archive.infolist() if names is None else [archive.getinfo(name) for name in names]
    others = {ZIP_BZIP2: "bzip2", ZIP_LZMA: "LZMA"}
    size = sum(entry.file_size for entry in entries)
    for entry in entries:
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # zipfile may expand others by gigabytes
            raise InputError(
                "{name} in it is compressed with {method}, which is not supported.",
                advice,
                name=entry.filename[:100],
                method=others.get(entry.compress_type, f"method {entry.compress_type}"),
            )
    if size > (expansion_limit(packed) if most is None else most):
        what = "it would expand from {size} to {expanded}."
        raise InputError(what, advice, size=format_size(packed), expanded=format_size(size))
