"""Choose the input: a file, stdin, JSON on the command line, a built-in sample, or a generated one."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from rnncli.ask import Ask
from rnncli.case import Document, Shape
from rnncli.cli import files
from rnncli.errors import Flag, InputError, Message, Text, UsageError
from rnncli.inputs import formats as readers
from rnncli.inputs import sample_files as builtin
from rnncli.inputs.formats import ReadOptions, Source
from rnncli.inputs.source import open_file, read_bytes, read_to_end, refuse_device, report_os_errors
from rnncli.options import first_given
from rnncli.specs.shapes import parse_shape, write_with_commas

SAMPLE = "sentence"
SAMPLE_SHAPE = (1, 4, 5)
SAMPLE_REMARK = Message(
    "no input given: using the built-in sample '{sample}' {sample_shape}",
    sample=SAMPLE,
    sample_shape=SAMPLE_SHAPE,
)


def read(ask: Ask) -> tuple[Document, Text]:
    """Read the document from the flags or stdin; return it with its name in error messages."""
    source, remarks = choose_source(ask)
    document = readers.read(source, ask.input_format, read_options(ask, source))
    return document._replace(remarks=(*remarks, *document.remarks)), source.name


def read_options(ask: Ask, source: Source) -> ReadOptions:
    """Return the flags on how CSV is read.  Raises UsageError if one is given and the source is not CSV."""
    options = ReadOptions(ask.delimiter, ask.decimal, ask.batch_column)
    require_csv(options, source, ask.input_format)
    return options


def require_csv(options: ReadOptions, source: Source, input_format: str | None) -> None:
    """Raise UsageError if one of the options on how CSV is read is given and the source is not CSV."""
    flag = first_given(options._asdict(), options._fields)
    if flag and (format_name := readers.detect_format(source, input_format)) != "csv":
        raise UsageError(
            "{flag} applies to CSV, but {name} is {format_name}.",
            "Leave {flag} out.",
            flag=Flag(flag),
            name=source.name,
            format_name=format_name,
        )


def shape_of(ask: Ask) -> Shape:
    """Return --input-shape, which cannot be combined with INPUT."""
    if ask.input is not None:
        shape = write_with_commas(f"{ask.input_shape} {ask.input}")
        raise UsageError(
            "both an input, {input!r}, and {--input-shape} are given.",
            Message("Write {--input-shape:shape}", shape=shape)
            if shape
            else Message("Leave one of them out."),
            input=ask.input[:40],
        )
    require_unread(ask._asdict())
    return parse_shape(ask.input_shape or "")


def require_unread(options: Mapping[str, Any]) -> None:
    """Raise UsageError for an option on an input that is read, because --input-shape generates one."""
    if options.get("input_axes") is not None:
        raise UsageError(
            "{--input-axes} applies only to an input that is read.", "Give {--input-shape} in Keras's order."
        )
    if flag := first_given(options, ("input_format", "batch_column", "delimiter", "decimal", "pad")):
        raise UsageError(
            "{flag} applies to an input that is read, not to {--input-shape}.",
            "Leave it out.",
            flag=Flag(flag),
        )


def require_generated(fill: str | None) -> None:
    """Raise UsageError if --fill is given for an input that is read."""
    if fill is not None:
        raise UsageError(
            "{--fill:fill} applies only to a generated input.",
            "Give its shape: {--input-shape 2,10,8}.",
            fill=fill,
        )


def is_bare(ask: Ask) -> bool:
    """Return whether there is no input, not even on stdin, so that the built-in sample is used."""
    return ask.input is None and ask.input_shape is None and not stdin_holds_data()


def is_stdin(ask: Ask) -> bool:
    """Return whether the input is read from stdin, named or not."""
    bare = ask.input is None and ask.input_shape is None
    return ask.input == "-" or (bare and stdin_holds_data())


def choose_source(ask: Ask) -> tuple[Source, tuple[Text, ...]]:
    """Return the source of the input, with remarks on it."""
    require_generated(ask.fill)
    if ask.input is None:
        if stdin_holds_data():
            return stdin(), ()
        return sample(SAMPLE), (SAMPLE_REMARK,)
    if ask.input in builtin.names() and not Path(ask.input).exists():
        return sample(ask.input), (
            Message("there is no file {input}: using the built-in sample", input=ask.input),
        )
    source = find_source(ask.input)
    if source.path is not None:
        _require_existing(source)
    return source, ()


def open_lines(ask: Ask) -> tuple[BinaryIO, Text]:
    """Open the input for reading lines as they arrive; return it with its name in errors.

    The name is a file's; it is empty for a pipe.  A read returns the data a pipe has, or waits for some.
    """
    word = ask.input
    if word in (None, "-"):
        if sys.stdin is None:
            raise _explain_closed()
        with report_os_errors(Message("standard input")):
            refuse_device(0)
        _wait_for_stdin()
        return cast("BinaryIO", open(0, "rb", buffering=0, closefd=False)), ""
    if word and not word.lstrip().startswith(("[", "{")) and is_pipe(path := files.expand_user(word)):
        with report_os_errors(word):
            return open_file(path), word if path.suffix else ""
    source, remarks = choose_source(ask)
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
    """Return at most `most` bytes of the file of `open_lines`: those that have arrived, or wait for some."""
    with report_os_errors(where or Message("the input")):
        return file.read(most)


def words_of(files: Mapping[str, str | None]) -> list[str | int]:
    """Return the inputs that these flags read: words that may be paths, and 0 for standard input."""
    words = ("-" if name == "INPUT" and word is None else word for name, word in files.items())
    return [0 if word == "-" else word for word in words if word]


def validate_sources(ask: Ask, others: Mapping[str, str | None] = {}) -> None:
    """Raise UsageError if an option lacks what it needs, or if standard input would be read twice.

    others: the other files that are read, by their flags.
    """
    if ask.pad_value is not None and ask.pad is None:
        raise UsageError("{--pad-value} needs {--pad}.", "Add {--pad post}.")
    if ask.all_calls and ask.calls == 1:
        raise UsageError("{--all-calls} needs {--calls N} with N greater than 1.", "Add {--calls 2}.")
    if ask.assume is not None and ask.model is None:
        raise UsageError("{--assume} needs {--model}.", "Name the file: {--model model.pt}.")
    readers = [name for name, word in (*ask.files.items(), *others.items()) if word == "-"]
    if len(readers) > 1:
        raise UsageError(
            "- is given twice, for {first} and {second}, but standard input can be read only once.",
            "Put one of them into a file.",
            first=readers[0],
            second=readers[1],
        )
    if readers and ask.input is None and ask.input_shape is None and stdin_holds_data():
        raise UsageError(
            "standard input is already the input; {reader} cannot read it too.",
            "Name the input, or give {reader} a file.",
            reader=readers[0],
        )


def find_source(text: str) -> Source:
    """Return the source that a command line word names: `-`, JSON text, or a path."""
    if not text.strip():
        raise UsageError("the file name is empty.", "Give a path, - for stdin, or JSON text.")
    if text == "-":
        return stdin()
    if text.lstrip()[0] in "[{":
        return Source(Message("the command line"), data=text.encode("utf-8", "surrogateescape"))
    path = files.expand_user(text)
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
    return Source(Message("the sample {name}", name=name), path=builtin.path(builtin.get(name)))


def stdin() -> Source:
    """Read standard input to its end."""
    if sys.stdin is None:
        raise _explain_closed()
    _wait_for_stdin()
    with report_os_errors(Message("standard input"), "Name a file."):
        refuse_device(0)
        return Source(Message("standard input"), data=read_to_end(sys.stdin.buffer))


def _wait_for_stdin() -> None:
    """Make stdin blocking: another process may have made it non-blocking, and a read would end early."""
    with suppress(OSError):
        os.set_blocking(0, True)


def _explain_closed() -> InputError:
    return InputError("standard input is closed.", "Name a file, or pipe the input in.")


def stdin_holds_data() -> bool:
    """Return whether stdin is a pipe, a file or a socket, not a terminal, the null device or closed."""
    if sys.stdin is None:
        return False
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _require_existing(source: Source) -> None:
    """Report a missing file before an unknown suffix."""
    try:
        source.file()
    except InputError as error:
        from rnncli.cli import missing_file

        error.advice = missing_file.suggest_input(str(source.name), error)
        raise
