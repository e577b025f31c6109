"""Read the value of --layer: its text, or the configs in the file after an @."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnncli import specs
from rnncli.cli.sources import find_source
from rnncli.errors import LayerError, Message, Text, UsageError, inside
from rnncli.inputs import formats
from rnncli.inputs.formats import Source
from rnncli.inputs.source import KERAS_SUFFIXES, NEVER_INPUTS, split_layers

MODEL_SUFFIXES = (*KERAS_SUFFIXES, *NEVER_INPUTS)
WEIGHT_SUFFIXES = (".weights.h5", ".npz", ".safetensors")


def read_layer(text: str) -> list[Any]:
    """Return the layers of a --layer: a name or an expression unchanged, or the configs in the `@` file."""
    _require_no_model(text)
    if not text.startswith("@"):
        if Path(text).suffix.lower() == ".json" and "(" not in text:
            raise LayerError(
                "{--layer:text}: it is not a layer.",
                "For a file that contains layers, write @{text}.",
                text=text,
            )
        return [text]
    return [read_config(find_source(text[1:]), text[1:])]


def read_config(source: Source, name: Text) -> Any:
    """Return the configs in a file.  Raises LayerError, with `name` in front, for an invalid layer."""
    config = formats.load(source, "json", Message("A layer file contains a Keras config, which is JSON."))
    with inside(name):
        specs.from_flags([config], {})
    return config


def _require_no_model(text: str) -> None:
    """Raise UsageError for a --layer that names an existing model file, or some of its layers after a #."""
    word = text.removeprefix("@")
    names = (word, split_layers(word)[0])  # both layer names and file names may contain a # or a dot
    file = next((name for name in names if name.lower().endswith((*MODEL_SUFFIXES, *WEIGHT_SUFFIXES))), None)
    if file is None or "(" in file:
        return
    import shlex

    find_source(file).file()
    if file.lower().endswith(WEIGHT_SUFFIXES):
        advice = Message(
            "Name the layer, and load its weights: {--layer 'LSTM(3)'} {--weights:word}",
            word=shlex.quote(word),
        )
        raise UsageError("{--layer:text}: it contains weights, not layers.", advice, text=text)
    raise UsageError(
        "{--layer:text}: it is a saved model, not a layer.",
        "Run the model as it was saved: rnncli run INPUT --model {word}",
        text=text,
        word=shlex.quote(word),
    )
