"""The classes of layers in every version of Keras, and the version that saved a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from rnncli.frameworks import default_name
from rnncli.models.operations import ops

CELLS = frozenset({"SimpleRNNCell", "LSTMCell", "GRUCell"})
CONVOLVED = frozenset({"ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
PLAIN = frozenset({"SimpleRNN", "LSTM", "GRU"})
LOOPS = PLAIN | CONVOLVED | {"RNN"}
RECURRENT = LOOPS | {"Bidirectional"}
MODELS = frozenset({"Sequential", "Functional"})
OPERATIONS = frozenset({"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"})

_RENAMED = {
    **dict.fromkeys(("CuDNNLSTM", "UnifiedLSTM"), "LSTM"),
    **dict.fromkeys(("CuDNNGRU", "UnifiedGRU"), "GRU"),
    **dict.fromkeys(
        ("BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"), "BatchNormalization"
    ),
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    **dict.fromkeys(("Model", "Network", "Container"), "Functional"),
}

_LATER = frozenset({"LayerNormalization", "Attention", "AdditiveAttention", "MultiHeadAttention"})
"""Layers that standalone Keras did not have before 2.4; in its files these are custom classes."""


class Origin(NamedTuple):
    """The version of Keras that saved a model: `Keras 2.2.4-tf`.

    version: as numbers; () if the file does not say.
    own_package: whether it is standalone Keras before 2.4, rather than tf.keras.
    """

    text: str
    version: tuple[int, ...] = ()
    own_package: bool = False

    @property
    def old(self) -> bool:
        """Whether its configs are those of Keras 2."""
        return self.version < (3,)


def origin_of(text: str) -> Origin:
    """Parse the version of Keras that saved a model: `Keras 2.2.4-tf`."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    version = tuple(int(part) for part in found.groups() if part) if found else ()
    own = version < (2, 4) and "tf" not in text.partition(".")[2]
    return Origin(text if text.startswith("Keras") else f"Keras {text}".strip(), version, own)


def translate_class(entry: Mapping[str, Any], origin: Origin) -> str:
    """Return the class in today's Keras; `Custom>` and the name for a class that Keras does not have."""
    name = str(entry.get("class_name"))
    module = str(entry.get("module") or "keras.layers")
    registered = entry.get("registered_name")
    inner = entry.get("config")
    if isinstance(inner, Mapping) and {"layers", "input_layers", "output_layers"} <= inner.keys():
        return "Functional"  # of whatever class: models with methods of their own are subclasses
    if ">" in name:
        return name
    if isinstance(registered, str) and ">" in registered and not entry.get("module"):
        return registered  # a custom class; Keras writes no module for it
    if not re.match(r"(tf_)?keras\b|tensorflow\.(python\.)?keras\b", module):
        return registered if isinstance(registered, str) and ">" in registered else f"Custom>{name}"
    if origin.own_package and name in _LATER:
        return f"Custom>{name}"
    return _RENAMED.get(name, name)


def module_of(entry: Mapping[str, Any], origin: Origin) -> str:
    """Return the module of the class.

    Files before 2.12 and HDF5 files do not have it; there, operations of Keras 3 are recognized by a config
    without the options that every layer has.
    """
    module, config = entry.get("module"), entry.get("config")
    if module is None and not origin.old and _is_bare(entry):
        return "keras.src.ops.numpy"
    bare = not isinstance(config, Mapping) or "trainable" not in config
    if bare and (module or "keras.layers") == "keras.layers" and entry.get("class_name") in ops.NAMES:
        return "keras.src.ops"
    return str(module or "keras.layers")


def _is_bare(entry: Mapping[str, Any]) -> bool:
    name, config = str(entry.get("class_name")), entry.get("config")
    if not isinstance(config, Mapping) or name == "InputLayer" or name.startswith("SpatialDropout"):
        return False
    return not {"trainable", "layers"} & config.keys()


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Return whether it is an operation of Keras 3 rather than a layer: `Any` in `keras.src.ops.numpy`."""
    return ".ops." in f"{entry.get('module')}."


def name_of(entry: Mapping[str, Any]) -> str:
    """Return the layer's own name."""
    inner = entry.get("config")
    name = entry.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    return str(name)


def with_names(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries; a custom class may lack a name in its config, and gets that of the class."""
    used = {name_of(entry) for entry in entries}
    named: list[Mapping[str, Any]] = []
    for entry in entries:
        if name_of(entry) == "None":
            stem = default_name(str(entry.get("class_name")).rpartition(">")[2])
            names = (f"{stem}_{number}" if number else stem for number in count())
            name = next(name for name in names if name not in used)
            used.add(name)
            entry = {**entry, "name": name}
        named.append(entry)
    return named
