"""Files that Keras saved: models and weights, which are not inputs; `rnncli.models` reads them."""

from __future__ import annotations

import shlex

from rnncli.errors import InputError
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.source import Source
from rnncli.values import Document


def read(source: Source, options: ReadOptions) -> Document:
    """Raise InputError, since neither a saved model nor its weights are inputs."""
    file = shlex.quote(str(source.path or source.name))
    if str(source.name).lower().endswith(".weights.h5"):
        raise InputError("it contains weights, not inputs.", "Use {--weights:file}", file=file)
    what = "it is a saved model, not an input."
    raise InputError(what, "Run the model as it was saved: rnncli run INPUT --model {file}", file=file)
