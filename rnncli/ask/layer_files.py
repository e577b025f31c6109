"""A layer as it is given: the config in a file is read, and a saved model is refused."""

from __future__ import annotations

import shlex
from os import PathLike
from pathlib import Path
from typing import Any

from rnncli.errors import Either, LayerError, Message, UsageError, inside


def read_layer(layer: Any) -> Any:
    """Return the configs in the JSON file after an @, in Python a Path; anything else as it is.

    Raises UsageError for the name of a model or of a file of weights, LayerError for a file without the @.
    """
    is_path = isinstance(layer, PathLike)
    if not isinstance(layer, str) and not is_path:
        return layer
    text = f"@{layer}" if is_path else layer
    word = text.removeprefix("@")
    _require_no_model(text, word, exists=not is_path)
    if word == text:
        if Path(layer).suffix.lower() == ".json" and "(" not in layer:
            raise LayerError(
                "{--layer:text}: it is not a layer.",
                "For a file that contains layers, write {word}.",
                text=layer,
                word=Either(f"@{layer}", Message("{--layer:word}", word=f"@{layer}")),
            )
        return layer
    from rnncli import specs
    from rnncli.inputs import formats
    from rnncli.inputs.given import find_source

    with inside("layer" if is_path else ""):
        source = find_source(layer if is_path else word)
        expected = Message("A layer file contains a Keras config, which is JSON.")
        config = formats.load(source, "json", expected)
        with inside(word):
            specs.from_flags([config], {})
    return config


def _require_no_model(text: str, word: str, *, exists: bool) -> None:
    """Raise UsageError for a layer that names an existing model file, or some of its layers after a #.

    exists: report a missing file first.
    """
    from rnncli.inputs.source import MODEL_SUFFIXES, WEIGHT_SUFFIXES, split_layers

    places = (word, split_layers(word)[0])  # both layer names and file names may contain a # or a dot
    file = next((one for one in places if one.lower().endswith((*MODEL_SUFFIXES, *WEIGHT_SUFFIXES))), None)
    if file is None or "(" in file:
        return
    from rnncli.inputs.given import find_source

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
