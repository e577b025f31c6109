"""The names that can be typed for a layer and its options, for completion."""

from __future__ import annotations

from rnncli import initializers, layers
from rnncli.cells import activations
from rnncli.specs.build import short_names


def layer_names() -> list[str]:
    """Return the layers whose name alone is a layer: `lstm`, `bilstm` and `LSTM`, but not `rnn`."""
    classes = [name for name in layers.LAYERS if _needs_only_units(name)]
    return [*map(initializers.snake_case, classes), *short_names(), *classes]


def _needs_only_units(name: str) -> bool:
    options = layers.class_of(name).options.items()
    return all(key == "units" for key, option in options if option.required)


def activation_names() -> list[str]:
    """Return the activations of Keras."""
    return list(activations.names())


def initializer_names() -> list[str]:
    """Return the initializers."""
    return list(initializers.names())
