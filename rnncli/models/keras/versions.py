"""What every version of Keras saved, in the terms of today's Keras: classes, modules and configs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from rnncli.errors import InputError
from rnncli.frameworks import default_name
from rnncli.layers.plain import operations
from rnncli.specs.build import options_of

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
        """Whether its configs are written as in Keras 2."""
        return self.version < (3,)


def origin_of(text: str) -> Origin:
    """Parse the version of Keras that saved a model: `Keras 2.2.4-tf`."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    version = tuple(int(part) for part in match.groups() if part) if match else ()
    own_package = version < (2, 4) and "tf" not in text.partition(".")[2]
    return Origin(text if text.startswith("Keras") else f"Keras {text}".strip(), version, own_package)


def translate_class(entry: Mapping[str, Any], origin: Origin) -> str:
    """Return the class in today's Keras; `Custom>` and the name for a class that Keras does not have."""
    name = str(entry.get("class_name"))
    module = str(entry.get("module") or "keras.layers")
    registered = entry.get("registered_name")
    inner = entry.get("config")
    if isinstance(inner, Mapping) and {"layers", "input_layers", "output_layers"} <= inner.keys():
        return "Functional"  # a subclass that a user wrote has these keys, too
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
    module, config, name = entry.get("module"), entry.get("config"), str(entry.get("class_name"))
    options = {*config} if isinstance(config, Mapping) else {"layers"}
    is_layer = name == "InputLayer" or name.startswith("SpatialDropout")
    if module is None and not (origin.old or is_layer or {"trainable", "layers"} & options):
        return "keras.src.ops.numpy"
    bare = not isinstance(config, Mapping) or "trainable" not in config
    unplaced = bare and (module or "keras.layers") == "keras.layers"
    if unplaced and entry.get("class_name") in operations.OPERATIONS:
        return "keras.src.ops"
    return str(module or "keras.layers")


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Return whether it is an operation of Keras 3 rather than a layer: `Any` in `keras.src.ops.numpy`."""
    return ".ops." in f"{entry.get('module')}."


def name_of(entry: Mapping[str, Any]) -> str:
    """Return the layer's own name."""
    inner = entry.get("config")
    name = entry.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    return str(name)


def with_names(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries; a layer without a name in its config, of a custom class, gets the class's name."""
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


_GATED = frozenset({"LSTM", "GRU", "LSTMCell", "GRUCell"}) | CONVOLVED

_COMMON = ("name", "trainable", "dtype")
_QUANTIZED = ("lora_rank", "quantization_config")
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "StackedRNNCells": ("cells",),
    "Dense": ("units", "activation", "use_bias", *_QUANTIZED),
    "Embedding": ("input_dim", "output_dim", "mask_zero", *_QUANTIZED),
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "InputLayer": ("batch_shape", "sparse", "ragged", "optional"),
}
"""The arguments to keep of these layers.  A recurrent layer keeps its options; any other layer keeps all that
are neither _NOISE nor _RETIRED."""

_NOISE = re.compile(r"(initializer|regularizer|constraint)$")
_RETIRED = frozenset(
    {"batch_input_shape", "input_shape", "input_dtype", "batch_size", "input_length", "weights", "fused"}
)
_ACTIVATIONS = ("activation", "recurrent_activation")


class Translator:
    """Translates the configs of one file, and records what the notes mention.

    hard: the layers with the hard_sigmoid of Keras 2.
    no_reset: the GRUs whose config has no reset_after; reset: those whose bias implies it.
    cudnn: the layers of cuDNN's classes.
    backwards: the layers of several cells whose states begin with the last cell.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.hard: list[str] = []
        self.no_reset: list[str] = []
        self.reset: list[str] = []
        self.cudnn: list[str] = []
        self.backwards: list[str] = []

    def layer(self, entry: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Return the config of a layer; the layers inside it become entries."""
        class_name = translate_class(entry, self.origin)
        config = entry.get("config")
        if not isinstance(config, Mapping):
            return {}
        operation = class_name in OPERATIONS or is_operation({"module": module_of(entry, self.origin)})
        if class_name.startswith("Custom>") or operation:
            return dict(config)
        config = {**config, **self._inside(config, path), "dtype": _dtype(config.get("dtype"))}
        if "dtype" not in entry["config"] or config["dtype"] is None:
            del config["dtype"]
        if config.pop("time_major", False):
            what = "{place}: time_major=True is not supported: its input is (timesteps, batch, features)."
            raise InputError(what, "Save the model with time_major=False.", place=path)
        for key in _ACTIVATIONS:
            if key in config:
                config[key] = self._activation(config[key], path)
        self._complete(str(entry.get("class_name")), class_name, config, path)
        return _trim(class_name, config)

    def _inside(self, config: Mapping[str, Any], path: str) -> dict[str, Any]:
        inner: dict[str, Any] = {}
        for key in ("layer", "backward_layer", "cell"):
            if _is_entry(config.get(key)):
                inner[key] = self.entry(config[key], path)
        if isinstance(config.get("cells"), (list, tuple)):
            inner["cells"] = [self.entry(cell, path) for cell in config["cells"] if _is_entry(cell)]
        if isinstance(config.get("layers"), (list, tuple)):
            entries = with_names([item for item in config["layers"] if _is_entry(item)])
            inner["layers"] = [self.entry(item, f"{path}/{name_of(item)}".lstrip("/")) for item in entries]
        return inner

    def entry(self, entry: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Return the entry of a layer inside another: class, module and config, and its calls in a model."""
        if isinstance(entry["config"], list):  # a Sequential before 2.2.3
            entry = {**entry, "config": {"layers": entry["config"]}}
        fields = {key: entry[key] for key in ("name", "inbound_nodes") if key in entry}
        class_name, saved_class = translate_class(entry, self.origin), str(entry["class_name"])
        if class_name != saved_class:
            fields["saved_class"] = saved_class
        fields["input_shape"], fields["trainable"] = input_shape(entry), _is_trainable(entry)
        config = self.layer(entry, path)
        if class_name == "Sequential":
            config["build_input_shape"] = fields["input_shape"]
        return {**fields, "module": module_of(entry, self.origin), "class_name": class_name, "config": config}

    def _activation(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping) and value.get("class_name") == "function":
            inner = self._activation(value.get("config"), path)
            return inner if self.origin.old and isinstance(inner, str) else {**value, "config": inner}
        if _is_entry(value) and isinstance(value["config"], Mapping):
            return self.entry(value, path)
        if value == "softmax_v2":
            return "softmax"
        if value == "hard_sigmoid" and self.origin.old:
            if path not in self.hard:
                self.hard.append(path)
            return "hard_sigmoid_keras2"
        return value

    def _complete(self, saved_class: str, class_name: str, config: dict[str, Any], path: str) -> None:
        if saved_class.startswith("CuDNN"):
            if path not in self.cudnn:
                self.cudnn.append(path)
            config.update(activation="tanh", recurrent_activation="sigmoid", use_bias=True)
            config.update({"reset_after": True} if class_name == "GRU" else {})
        elif self.origin.old and class_name in _GATED and "recurrent_activation" not in config:
            what = "{place}: its config has no recurrent_activation, whose default changed within Keras 2."
            raise InputError(what, "Load it in the Keras that saved it, and save it again.", place=path)
        if class_name in ("GRU", "GRUCell") and self.origin.old and "reset_after" not in config:
            config["reset_after"] = False
            self.no_reset.append(path)
        if class_name in ("LeakyReLU", "LeakyRelu") and "alpha" in config:
            config["negative_slope"] = config.pop("alpha")
        for key, value in config.items():  # numbers that Keras 2 wrote as arrays
            if isinstance(value, Mapping) and value.get("type") == "ndarray" and "value" in value:
                config[key] = value["value"]
        axis = config.get("axis")
        if class_name == "BatchNormalization" and isinstance(axis, (list, tuple)) and len(axis) == 1:
            config["axis"] = axis[0]
        earlier = self.origin.own_package and (2,) <= self.origin.version < (2, 3)
        if class_name == "StackedRNNCells" and config.get("reverse_state_order", earlier):
            self.backwards.append(path)
        if class_name.startswith("SpatialDropout"):
            config.pop("trainable", None)
            config.pop("noise_shape", None)
        if class_name == "InputLayer":
            config.setdefault("batch_shape", config.get("batch_input_shape"))


def input_shape(entry: Mapping[str, Any]) -> Any:
    """Return the shape of a layer's input, with the batch axis; None if its config does not say."""
    config, built = entry.get("config"), entry.get("build_config")
    if not isinstance(config, Mapping):
        return input_shape(config[0]) if isinstance(config, list) and config else None
    for key in ("batch_input_shape", "batch_shape", "build_input_shape"):
        if config.get(key) is not None:
            return config[key]
    if isinstance(built, Mapping) and built.get("input_shape") is not None:
        return built["input_shape"]
    layers = config.get("layers")
    return input_shape(layers[0]) if isinstance(layers, list) and layers else None


def _is_trainable(entry: Mapping[str, Any]) -> bool:
    """Return whether training changes the layer's weights; a layer inside a wrapper may say so itself."""
    config = entry["config"]
    inner = config.get("layer")
    return bool(config.get("trainable", True)) and (not _is_entry(inner) or _is_trainable(inner))


def _is_entry(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_name" in value and "config" in value


def _trim(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that matter for what the layer computes, not for its first weights or training."""
    kept = {key: value for key, value in config.items() if not _NOISE.search(key) and key not in _RETIRED}
    names: Iterable[str] | None = _ARGUMENTS.get(class_name)
    if class_name in CELLS | RECURRENT | {"TimeDistributed"}:
        names = options_of(class_name)
    if names is None:
        return kept
    known = {*_COMMON, *names}
    return {
        key: value
        for key, value in kept.items()
        if key in known and (value is not None or key in _NONE_COUNTS)
    }


_NONE_COUNTS = frozenset({"merge_mode", "activation", "recurrent_activation", "batch_shape"})
"""Arguments for which None differs from the default."""


def _dtype(value: Any) -> Any:
    """Return the dtype in a policy's config or a name; None if there is none (`infer` in TF 1)."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, Mapping) else None
        if value is None and isinstance(inner, Mapping) and "mode" in inner:  # quantized
            value = f"{inner['mode']}_from_{inner.get('source_name')}"
    return None if value in (None, "infer", "_infer") else value
