"""Live objects: Keras models and layers, PyTorch modules.  Their own framework calls them, once.

A framework's recorder, `keras.py` or `torch.py`, has
    FRAMEWORK                                   its name, as its users write it
    record(model, given, *, training, at, beside, tape, everything)   the Recording of one call of the object
    other_layers(model)                         what it has besides recurrent layers, `fc (Linear)`
    summarize(model, given, call)               the Summary; `call` calls the object with what is given
    make_tape(batch)                            the Tape for gradients of this sequence of one call
given: what the user passes, see `bind`.  training: whether the call is in training.
at: the layer to record, its name or the path of its attribute; None for every recurrent layer.
tape: a Tape for gradients of the call; else None.
everything: whether to record what every other layer returns, too.
beside: `lengths`, `mask` and `initial_state` as arrays, if they are given.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal

from rnncli.errors import UsageError

Framework = Literal["keras", "torch"]


def find_framework(value: object) -> Framework | None:
    """Return the framework of a model or a layer; None for anything else.  Imports no framework.

    Raises UsageError for a model of tf_keras, which is Keras 2.
    """
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if keras is not None and isinstance(value, getattr(keras, "Layer", ())):
        return "keras"  # on PyTorch also a module of it
    if torch is not None and isinstance(value, torch.nn.Module):
        return "torch"
    if any(base.__module__.split(".")[0] == "tf_keras" for base in type(value).__mro__[:-1]):
        what = "{name} is a model of tf_keras, which is Keras 2."
        advice = "Save it and give the file: model.save('model.h5'), then model='model.h5'."
        raise UsageError(what, advice, name=type(value).__name__)
    return None


def unbuilt_config(value: Any) -> Mapping[str, Any] | None:
    """Return the config of a Keras layer that has no weights yet; None for any other object."""
    keras = sys.modules.get("keras")
    if keras is None or not isinstance(value, keras.Layer) or isinstance(value, keras.Model) or value.built:
        return None
    config: Mapping[str, Any] = keras.saving.serialize_keras_object(value)
    return config
