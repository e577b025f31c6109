"""Choose the input: a file, stdin, JSON on the command line, a built-in sample, or a generated one."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from rnncli.case import Document, Shape
from rnncli.cli import files
from rnncli.cli.flags import InputFlags, LayerFlags, ReadingFlags, RunFlags
from rnncli.errors import InputError, LayerError, UsageError, did_you_mean
from rnncli.readers import formats as readers
from rnncli.readers import sample_files as builtin
from rnncli.readers.formats import ReadOptions, Source
from rnncli.specs.shapes import parse_shape, write_with_commas

SAMPLE = "sentence"
SAMPLE_SHAPE = (1, 4, 5)
SAMPLE_REMARK = f"no input given: using the built-in sample '{SAMPLE}' {SAMPLE_SHAPE}"
_LAYER_LIKE = r"(?s)[^\W\d][\w-]*|[^\W\d][\w.]*\(.*"


def read(flags: InputFlags) -> tuple[Document, str]:
    """Read the document from the flags or stdin; return it with its name in error messages."""
    source, remarks = choose_source(flags)
    _refuse_idle_csv_flags(flags, source)
    options = ReadOptions(flags.delimiter, flags.decimal, flags.batch_column)
    document = readers.read(source, flags.input_format, options)
    return document._replace(remarks=(*remarks, *document.remarks)), source.name


def read_raw(flags: InputFlags) -> tuple[Any, tuple[str, ...]]:
    """Read an array, or arrays by the names of a model's inputs; return them with remarks."""
    source, remarks = choose_source(flags)
    _refuse_idle_csv_flags(flags, source)
    options = ReadOptions(flags.delimiter, flags.decimal, flags.batch_column)
    raw, more = readers.read_raw(source, flags.input_format, options)
    return pad_sequences(raw, flags, source.name), (*remarks, *more)


def pad_sequences(raw: Any, flags: InputFlags, name: str) -> Any:
    """Pad sequences of different lengths as --pad says.  Raises InputError if it is not given."""
    import numpy as np

    if isinstance(raw, dict):
        return {key: pad_sequences(value, flags, f"{name}: {key}") for key, value in raw.items()}
    if not isinstance(raw, tuple):
        return raw
    longest = max(map(len, raw))
    if flags.pad is None:
        first = next(index for index, one in enumerate(raw) if len(one) != len(raw[0]))
        raise InputError(
            f"{name}: sequences differ in length: [0] has {len(raw[0])}, [{first}] has {len(raw[first])}.",
            "Pad the shorter ones with --pad post; they are masked only if the model itself does so.",
        )
    value, post = flags.pad_value or 0.0, flags.pad == "post"
    return np.stack(
        [
            np.pad(
                one,
                [(0, longest - len(one)) if post else (longest - len(one), 0), *[(0, 0)] * (one.ndim - 1)],
                constant_values=value,
            )
            for one in raw
        ]
    )


def make_input(flags: InputFlags, shape: Shape, seed: int) -> tuple[Document, str]:
    """Generate the input of --input-shape; return it as `read` does.  seed: for random fills."""
    from rnncli.readers import arrange

    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) != len(shape):
        unknown = next(size for size in shape if not isinstance(size, int))
        raise UsageError(
            f"--input-shape {flags.input_shape}: {unknown} is not a number; "
            "run needs concrete sizes, None works only with shape.",
            "Give every size, or use rnncli shape, which accepts names.",
        )
    inputs = arrange.make_input(sizes, flags.fill or "normal", seed, "float64")
    return Document(inputs=inputs), f"--input-shape {flags.input_shape}"


def shape_of(flags: InputFlags) -> Shape:
    """Return --input-shape, which cannot be combined with INPUT."""
    if flags.input is not None:
        shape = write_with_commas(f"{flags.input_shape} {flags.input}")
        raise UsageError(
            f"both an input, {flags.input[:40]!r}, and --input-shape are given.",
            f"Write --input-shape {shape}" if shape else "Leave one of them out.",
        )
    if flags.input_axes is not None:
        raise UsageError(
            "--input-axes applies only to an input that is read.", "Give --input-shape in Keras's order."
        )
    for name in ("input_format", "batch_column", "delimiter", "decimal", "pad"):
        if getattr(flags, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} applies to an input that is read, not to --input-shape.", "Leave it out."
            )
    return parse_shape(flags.input_shape or "")


def is_bare(flags: InputFlags) -> bool:
    """Return whether there is no input, not even on stdin, so that the built-in sample is used."""
    return flags.input is None and flags.input_shape is None and not stdin_holds_data()


def is_stdin(flags: InputFlags) -> bool:
    """Return whether the input is read from stdin, named or not."""
    bare = flags.input is None and flags.input_shape is None
    return flags.input == "-" or (bare and stdin_holds_data())


def choose_source(flags: InputFlags) -> tuple[Source, tuple[str, ...]]:
    """Return the source of the input, with remarks on it."""
    if flags.fill is not None:
        raise UsageError(
            f"--fill {flags.fill} applies only to a generated input.", "Give its shape: --input-shape 2,10,8."
        )
    if flags.input is None:
        if stdin_holds_data():
            return stdin(), ()
        return sample(SAMPLE), (SAMPLE_REMARK,)
    if _is_sample(flags.input):
        hint = builtin.get(flags.input).hint
        wanted = f", best run with {hint}" if hint else ""
        return sample(flags.input), (f"there is no file {flags.input}: using the built-in sample{wanted}",)
    source = find_source(flags.input)
    if source.path is not None:
        _require_existing(source)
    return source, ()


def open_lines(flags: InputFlags) -> tuple[BinaryIO, str]:
    """Open the input for reading lines as they arrive; return it with the prefix of error messages.

    The prefix names a file; it is empty for a pipe.  A read returns the data a pipe has, or waits for some.
    """
    word = flags.input
    if word in (None, "-"):
        if sys.stdin is None:
            raise _explain_closed()
        _wait_for_stdin()
        return cast("BinaryIO", open(0, "rb", buffering=0, closefd=False)), ""
    if word and not word.lstrip().startswith(("[", "{")) and is_pipe(path := files.expand_user(word)):
        with _report_os_error(word):
            return cast("BinaryIO", path.open("rb", buffering=0)), ""
    source, remarks = choose_source(flags)
    if remarks:
        raise UsageError(
            f"--stream reads one record per line, but {source.name} is a single input.", "Leave --stream out."
        )
    if source.data is not None:
        return io.BytesIO(source.data), ""
    with _report_os_error(source.name):
        return cast("BinaryIO", source.file().open("rb", buffering=0)), f"{source.name}: "


def input_sources(*flags: ReadingFlags) -> list[str | int]:
    """Return the inputs that these flags read: words that may be paths, and 0 for standard input."""
    words: list[str | None] = []
    for one in flags:
        if isinstance(one, InputFlags):
            words += ["-" if one.input is None else one.input, one.mask]
        elif isinstance(one, LayerFlags):
            words += [word[1:] for word in one.layer or () if word.startswith("@")]
        else:
            words += [one.weights and one.weights.partition("#")[0], one.initial_state]
            words += [one.model and one.model.partition("#")[0]]
    return [0 if word == "-" else word for word in words if word]


def require_one_reader(input: InputFlags, layer: LayerFlags, run: RunFlags | None = None) -> None:
    """Raise UsageError if standard input would be read twice: the second reader would find nothing."""
    named = {"INPUT": input.input, "--mask": input.mask}
    named |= {f"--layer {word}": word.removeprefix("@") for word in layer.layer or () if word == "@-"}
    if run is not None:
        named |= {"--weights": run.weights, "--initial-state": run.initial_state}
        named |= {"--model": run.model and run.model.partition("#")[0]}
    readers = [name for name, text in named.items() if text == "-"]
    if len(readers) > 1:
        raise UsageError(
            f"- is given twice, for {readers[0]} and {readers[1]}, but standard input can be read only once.",
            "Put one of them into a file.",
        )
    if readers and input.input is None and input.input_shape is None and stdin_holds_data():
        raise UsageError(
            f"standard input is already the input; {readers[0]} cannot read it too.",
            f"Name the input, or give {readers[0]} a file.",
        )


def _refuse_idle_csv_flags(flags: InputFlags, source: Source) -> None:
    given = {
        "--batch-column": flags.batch_column, "--delimiter": flags.delimiter, "--decimal": flags.decimal
    }  # fmt: skip
    name = next((name for name, value in given.items() if value is not None), None)
    if name is None:
        return
    format = readers.format_name(source, flags.input_format)
    if format != "csv":
        raise UsageError(f"{name} applies to CSV, but {source.name} is {format}.", f"Leave {name} out.")


def find_source(text: str) -> Source:
    """Return the source that a command line word names: `-`, JSON text, or a path."""
    if not text.strip():
        raise UsageError("the file name is empty.", "Give a path, - for stdin, or JSON itself.")
    if text == "-":
        return stdin()
    if text.lstrip()[0] in "[{":
        return Source("the command line", data=text.encode("utf-8", "surrogateescape"))
    path = files.expand_user(text)
    if is_pipe(path):
        with _report_os_error(text):
            return Source(text, data=path.read_bytes())  # /dev/stdin, <(a command): read like stdin
    return Source(text, path=path)


@contextmanager
def _report_os_error(name: str) -> Iterator[None]:
    """Convert an OSError to an InputError that names the input."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{name}: it cannot be read: {error.strerror}.", "Check the path.") from None


def is_pipe(path: Path) -> bool:
    """Return whether the path can be read only once, from the start: /dev/stdin, <(a command)."""
    try:
        return not path.suffix and path.exists() and not path.is_file() and not path.is_dir()
    except (OSError, ValueError):  # JSON may be too long for a file name
        return False


def sample(name: str) -> Source:
    """Return the source of a built-in sample."""
    return Source(f"the sample {name}", path=builtin.path(builtin.get(name)))


def stdin() -> Source:
    """Read standard input to its end."""
    if sys.stdin is None:
        raise _explain_closed()
    _wait_for_stdin()
    try:
        return Source("standard input", data=sys.stdin.buffer.read())
    except OSError as error:
        raise InputError(f"standard input: it cannot be read: {error.strerror}.", "Name a file.") from None


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
    """Report a missing file before an unknown suffix; the word may have been meant as a layer."""
    try:
        source.file()
    except InputError as error:
        if error.advice == "Check the path." and _ends_as_json(source.name) and not _is_layer(source.name):
            raise InputError(error.what, "JSON on the command line must begin with [ or {.") from None
        if shape := write_with_commas(source.name):
            raise InputError(
                error.what, f"To generate an input of this shape: --input-shape {shape}"
            ) from None
        if not re.fullmatch(_LAYER_LIKE, source.name):
            raise
        if source.name.casefold() in {"true", "false"}:
            raise InputError(error.what, "Flags such as --return-sequences take no value.") from None
        raise InputError(error.what, _suggest_word(source.name, error.advice)) from None


def _suggest_word(word: str, otherwise: str) -> str:
    """Return advice for a word that names no file: a similar sample, or --layer where it is a layer."""
    near = did_you_mean(word, builtin.names())
    if near.startswith("Did"):
        return near
    if otherwise.endswith("?"):
        return otherwise
    import shlex

    advice = f"Name the layer with --layer {shlex.quote(word)}" if _is_layer(word) else otherwise.rstrip(".")
    return f"{advice}; the built-in samples are {', '.join(builtin.names())}."


def _ends_as_json(word: str) -> bool:
    """Return whether a word has a bracket that opens, and ends with one that closes."""
    ends = max(word.rfind("]"), word.rfind("}"))
    starts = min((place for place in map(word.find, "[{") if place >= 0), default=ends)
    return starts < ends and not re.search(r"\w", word[ends:])


def _is_layer(word: str) -> bool:
    from rnncli import specs

    with suppress(LayerError, UsageError):
        return bool(specs.from_flags([word], {}))
    return False


def _is_sample(word: str) -> bool:
    return word in builtin.names() and not Path(word).exists()
