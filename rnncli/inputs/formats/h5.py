"""Weights that Keras saved: .weights.h5 and .h5 without a model, and those of a whole model."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rnncli.case import Array, Document, SavedLayer, format_shape
from rnncli.errors import InputError, Message
from rnncli.frameworks import infer_class

if TYPE_CHECKING:
    from rnncli.inputs.formats import ReadOptions
    from rnncli.inputs.source import Source

ADVICE = Message("Write it with model.save_weights.")


def read(source: Source, options: ReadOptions) -> Document:
    """Raise InputError, since neither a saved model nor its weights are inputs."""
    if str(source.name).lower().endswith(".weights.h5"):
        raise InputError("it contains weights, not inputs.", "Use {--weights:file}", file=_quote_file(source))
    raise InputError(
        "it is a saved model, not an input.",
        "Run the model as it was saved: rnncli run INPUT --model {file}",
        file=_quote_file(source),
    )


def load(source: Source) -> tuple[SavedLayer, ...]:
    """Return every layer that has weights, in the model's order.  Raises InputError if there is none."""
    from rnncli.models import reading as models

    layers = models.read_arrays_by_layer(source, ADVICE)
    if not layers:
        raise InputError("it contains no layer with weights.", "Build the model, and save it again.")
    return tuple(SavedLayer(name, _format_title(arrays), arrays) for name, arrays in layers)


def _quote_file(source: Source) -> str:
    return shlex.quote(str(source.path or source.name))


def _format_title(arrays: tuple[Array, ...]) -> str:
    """Return a title such as `GRU(2)` for a plain recurrent layer, otherwise the shapes of the weights."""
    if len(arrays) in (2, 3) and arrays[0].ndim == arrays[1].ndim == 2:
        units, wide = arrays[1].shape
        if name := infer_class(units, wide):
            return f"{name}({units})"
    return " ".join(format_shape(array.shape) for array in arrays)
