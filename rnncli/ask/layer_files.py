"""A layer as it is given: the config in a file is read; a saved model is refused, or named with --model."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.errors import Either, Flag, InputError, LayerError, Message, UsageError, fold_name, inside
from rnncli.options import BY_NAME, flag_name
from rnncli.values import Spec, walk

if TYPE_CHECKING:
    from rnncli.cells.text import CellText
    from rnncli.inputs.source import Source


def read_layer(layer: Any) -> Any:
    """Return the configs in the JSON file after an @, in Python a Path; anything else as it is.

    Raises UsageError for the name of a model or of a file of weights, LayerError for a file without the @.
    """
    is_path = isinstance(layer, PathLike)
    if not isinstance(layer, str) and not is_path:
        return layer
    from rnncli.inputs.source import find_source

    text = f"@{layer}" if is_path else str(layer)
    if ".toml" in text:
        from rnncli.specs import expressions

        quote = '"' if "'" in text else "'"
        text = f"@{quote}{layer}{quote}" if is_path else text
        if files := expressions.list_files(text):
            return expressions.parse(text, {file: read_cell(find_source(file)) for file in files})
    _refuse_sample(text)
    word = text.removeprefix("@")
    _require_no_model(text, word, exists=not is_path)
    if word == text:
        advice = ""
        if re.fullmatch(r"[^@()]+\.toml(\(.*\))?", text, re.DOTALL):
            advice = "For a file that contains a cell, write {word}."
        elif Path(text).suffix.lower() == ".json" and "(" not in text:
            advice = "For a file that contains layers, write {word}."
        if advice:
            file = Either(f"@{text}", Message("{--layer:word}", word=f"@{text}"))
            raise LayerError("{--layer:text}: it is not a layer.", advice, text=text, word=file)
        return layer
    from rnncli import specs

    with inside("layer" if is_path else ""):
        config = _read_config(find_source(layer if is_path else word))
        with inside(word):
            specs.from_flags([config], {})
    return config


def is_layer(word: str) -> bool:
    """Return whether a word names a layer."""
    from rnncli import specs

    with suppress(LayerError, UsageError):
        return bool(specs.from_flags([word], {}))
    return False


def _read_config(source: Source) -> Any:
    from rnncli.inputs import formats

    expected = Message("A layer file contains a Keras config, which is JSON.")
    config = formats.load(source, "json", expected)
    with inside(source.name):
        return read_named(config, source.folder, configs=False)


def read_cell(source: Source) -> CellText:
    """Return the cell in a file.  Raises InputError if it cannot be read, LayerError for its equations."""
    from rnncli.cells.reading import LONGEST
    from rnncli.inputs import sample_files
    from rnncli.inputs.source import UTF8_MARK, report_os_errors
    from rnncli.specs.build import read_equations

    path = source.path
    if path and not path.exists() and any(path.stem == cell.name for cell in sample_files.CELLS):
        with inside(source.name):
            raise InputError(
                "there is no such file.", "Write the sample: rnncli samples {name} > {file}",
                name=path.stem, file=shlex.quote(str(path)),
            )  # fmt: skip
    with report_os_errors(source.name):
        data = source.data  # of a pipe, which was read when it was found
        if data is None:
            with source.open() as file:
                data = file.read(4 * LONGEST)
        try:
            return read_equations(data.removeprefix(UTF8_MARK).decode())._replace(file=source.name)
        except UnicodeDecodeError:
            raise LayerError(
                "it is not a text in UTF-8.", "Give a TOML file, such as rnncli samples mgu prints."
            ) from None


_PARTS = frozenset({"config", "layers", "layer", "backward_layer", "cell", "cells"})
"""The keys of a Keras config that hold layers and cells."""


def read_named(layer: Any, folder: Path, *, configs: bool = True) -> Any:
    """Return a layer of a document or a config; the files that it names after an @ are read.

    folder: of the document; only files in it or below are read.  configs: whether JSON may be named, too.
    """
    if isinstance(layer, list):
        return [read_named(item, folder, configs=configs) for item in layer]
    if isinstance(layer, dict):
        return {
            key: read_named(value, folder, configs=configs) if key in _PARTS else value
            for key, value in layer.items()
        }
    if not isinstance(layer, str) or "@" not in layer:
        _refuse_sample(layer if isinstance(layer, str) else "")
        return layer
    from rnncli.specs import expressions

    if files := expressions.list_files(layer):
        return expressions.parse(layer, {file: read_cell(_find_below(file, folder)) for file in files})
    if layer[0] == "@" and configs:
        return _read_config(_find_below(layer[1:], folder))
    return layer


def _find_below(file: str, folder: Path) -> Source:
    from rnncli.inputs.source import Source, is_pipe

    path = Path(file)
    paths = [folder / part for part in (path, *path.parents)]
    if (
        path.is_absolute() or path.suffix not in (".toml", ".json")
        or any(part.startswith(".") for part in path.parts)
        or any(part.is_symlink() for part in paths[:-1])
    ):  # fmt: skip
        raise LayerError(
            "{file}: a document can name only .toml and .json files in its own folder or below it, "
            "not hidden, and no links.",
            "Copy the file there, or name it on the command line: {--layer:word}",
            file=file,
            word=f"@{file}",
        )
    source = Source(file, path=folder / path)
    if is_pipe(folder / path):  # nobody may ever write to it
        with inside(file):
            raise LayerError("it is a pipe.", "Copy what comes out of it to a file.")
    return source


def _refuse_sample(text: str) -> None:
    from rnncli.inputs import sample_files

    name = text.partition("(")[0].strip()
    for cell in sample_files.CELLS:
        if fold_name(name) == fold_name(cell.name):
            raise LayerError(
                "there is no layer '{name}'.",
                "It is a cell of the samples: rnncli samples {cell} > {cell}.toml, then {--layer:file}",
                name=name, cell=cell.name, file=f"@{cell.name}.toml",
            )  # fmt: skip


def _require_no_model(text: str, word: str, *, exists: bool) -> None:
    """Raise UsageError for a layer that names an existing model file, or some of its layers after a #.

    exists: report a missing file first.
    """
    from rnncli.inputs.source import MODEL_SUFFIXES, WEIGHT_SUFFIXES, split_layers

    words = (word, split_layers(word)[0])  # both layer names and file names may contain a # or a dot
    file = next((name for name in words if name.lower().endswith((*MODEL_SUFFIXES, *WEIGHT_SUFFIXES))), None)
    if file is None or "(" in file:
        return
    from rnncli.inputs.source import find_source

    if exists:
        find_source(file).file()
    quoted = shlex.quote(word)
    if file.lower().endswith(WEIGHT_SUFFIXES):
        advice = Message(
            "Name the layer, and load its weights: {--layer 'LSTM(3)'} {--weights:word}", word=quoted
        )
        raise UsageError("{--layer:text}: it contains weights, not layers.", advice, text=text)
    typed = Message("rnncli run INPUT --model {word}", word=quoted)
    raise UsageError(
        "{--layer:text}: it is a saved model, not a layer.",
        "Run the model as it was saved: {way}",
        text=text,
        way=Either(typed, Message("{--model:word}", word=word)),
    )


def refuse_layer_options(given: Mapping[str, Any], kind: str) -> None:
    """Raise UsageError if an option does not apply to this kind of model, because it describes a layer.

    given: the options with their values.  kind: GRAPH or ARRAYS of the table of options.
    """
    name = next((name for name in given if kind not in BY_NAME[name].subjects), None)
    if name is not None:
        flag = Flag(flag_name(name, given[name]))
        raise UsageError(
            "{flag} cannot be combined with {--model}: a saved model has its own layers, weights and masks.",
            "Leave out {flag}; or leave out {--model}, and name a layer with {--layer}.",
            flag=flag,
        )


def cell_files(stack: Sequence[Spec], layers: Sequence[Any] | None) -> list[str] | None:
    """Return the file of each cell written as equations, `@mgu.toml`, as given; None if not all are known."""
    cells = [spec for spec in walk(stack) if spec.equations is not None]
    if not cells:
        return []
    words = " ".join(layers or ())
    files = re.findall(r"@'[^']*'|@[^\s()',\[\]]*\.toml", words)
    return files if len(files) == len(cells) else None


def name_by_file(spec: Spec, files: Iterator[str]) -> Spec:
    """Return the spec in which each cell written as equations has the name of its file, in their order."""

    def rename(value: Any) -> Any:
        if isinstance(value, Spec):
            return name_by_file(value, files)
        return type(value)(map(rename, value)) if isinstance(value, (tuple, list)) else value

    name = spec.class_name if spec.equations is None else next(files)
    return replace(spec, class_name=name, config={key: rename(old) for key, old in spec.config.items()})
