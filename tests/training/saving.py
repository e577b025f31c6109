"""What the scripts beside this one share: trained weights become a sample file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnncli.commands.samples import write_document

SAMPLES = Path(__file__).parents[2] / "samples"
DIGITS = 3
"""Weights and words are rounded to these decimals; tests/inputs/test_samples.py measures them so."""


def rounded(array: Any) -> Any:
    """Return an array as lists of rounded numbers."""
    return np.round(np.asarray(array, float), DIGITS).tolist()


def weights_of(layer: Any) -> dict[str, Any]:
    """Return the weights of a layer by rnncli's names: `kernel`, `forward/kernel`."""
    named = {}
    for variable in layer.weights:
        *_, part, _cell, name = variable.path.split("/")
        direction = part.partition("_")[0] if isinstance(layer, keras.layers.Bidirectional) else ""
        named[f"{direction}/{name}" if direction else name] = rounded(variable.numpy())
    return named


def save(name: str, document: dict[str, Any]) -> None:
    """Write a sample."""
    (SAMPLES / f"{name}.json").write_bytes(write_document(document))


def as_ids(sentences: Sequence[str], words: Sequence[str]) -> Any:
    """Return sentences as numbers of words, from 1; 0 fills the shorter ones."""
    numbers = {word: index for index, word in enumerate(words, 1)}
    longest = max(len(sentence.split()) for sentence in sentences)
    ids = np.zeros((len(sentences), longest), int)
    for row, sentence in zip(ids, sentences, strict=True):
        found = [numbers[word] for word in sentence.split()]
        row[: len(found)] = found
    return ids


def train_words(
    sentences: Sequence[str],
    targets: Any,
    counted: Any,
    layer: Any,
    words: Sequence[str],
    size: int,
    *,
    epochs: int,
    rate: float,
    merge: bool = False,
) -> dict[str, Any]:
    """Train the layer, and vectors of `size` numbers for the words; return the vectors by word.

    targets, counted: arrays (sentences, longest): what the layer should return, and at which words it counts.
    merge: teach the sum of the two halves of a Bidirectional.
    """
    ids = as_ids(sentences, words)
    embedding = keras.layers.Embedding(len(words) + 1, size, mask_zero=True)
    given = keras.Input((None,), dtype="int32")
    hidden = layer(embedding(given))
    output = keras.ops.sum(hidden, axis=-1, keepdims=True) if merge else hidden
    model = keras.Model(given, output)
    model.compile(keras.optimizers.Adam(rate), "mse")
    weight = counted.astype("float32")
    model.fit(
        ids, targets[..., None], batch_size=64, epochs=epochs, verbose=0, sample_weight=weight, shuffle=True
    )
    vectors = embedding.get_weights()[0]
    return {word: rounded(vectors[index]) for index, word in enumerate(words, 1)}
