"""Convert a Spec to text, or to Keras's config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rnncli import layers
from rnncli.case import Option, Spec, walk
from rnncli.initializers import settings
from rnncli.layers.recurrent import BEYOND_KERAS
from rnncli.specs.build import options_of

OLD_SIGMOID = "hard_sigmoid_keras2"
"""rnncli's name for the hard_sigmoid of Keras 1 and 2."""
OLD_DEFINITION = f'''\
@keras.saving.register_keras_serializable()
def {OLD_SIGMOID}(x):
    """Return what hard_sigmoid was in Keras 1 and 2."""
    return keras.ops.clip(0.2 * x + 0.5, 0, 1)
'''
"""Registered, because Bidirectional makes its layers from configs."""


def describe(spec: Spec) -> str:
    """Return the layer as in a script, without Keras's defaults: `LSTM(3, return_sequences=True)`."""
    if isinstance(cell := spec.config.get("cell"), Spec) and cell.class_name.startswith("@"):
        start = describe(cell).removesuffix(")")
        given = {**spec.config, "cell": ()}
        if given["dtype"] == cell.config["dtype"]:
            del given["dtype"]
        around = describe(replace(spec, config=given))
        return f"{start}{around.removeprefix('RNN(()').removesuffix(')')})"
    options = options_of(spec.class_name, spec.equations)
    parts = [_format_option(spec.config[name]) for name, option in options.items() if option.required]
    # In the order written, because Keras takes the seeds of initializers in this order.
    for name, value in spec.config.items():
        own = name in options and not options[name].required and not _is_default(options[name], value)
        if own or (name in BEYOND_KERAS and value):
            parts.append(f"{name}={_format_option(value)}")
    return f"{spec.class_name}({', '.join(parts)})"


def expressions_of(specs: Sequence[Spec]) -> tuple[str, ...]:
    """Return each layer as in a script."""
    return tuple(map(describe, specs))


def expression_of(specs: tuple[Spec, ...]) -> str | list[str]:
    """Return the expression of the only layer, or the list of them."""
    if specs is not _latest[0]:
        _latest[:] = specs, expressions_of(specs)
    texts: tuple[str, ...] = _latest[1]
    return list(texts) if len(texts) > 1 else texts[0]


def layer_of(specs: tuple[Spec, ...]) -> Any:
    """Return what a case document has as its layer: expressions, or configs that hold a cell's equations."""
    if any(one.equations is not None for one in walk(specs)):
        return configs_of(specs)
    return expression_of(specs)


_latest: list[Any] = [None, ()]
"""The specs that `expression_of` was last given, and their texts: each line of a stream asks for the same."""


def configs_of(specs: Sequence[Spec]) -> list[dict[str, Any]]:
    """Return each layer as Keras's config."""
    return list(map(to_config, specs))


def to_script(spec: Spec) -> tuple[str, str]:
    """Return the layer as in a Keras 3 script, and the definitions that come before it, or ""."""
    text = describe(spec)
    if repr(OLD_SIGMOID) not in text:
        return text, ""
    return text.replace(repr(OLD_SIGMOID), OLD_SIGMOID), OLD_DEFINITION


def _is_default(option: Option, value: Any) -> bool:
    """Return whether `value` is the default; an initializer written out in a config can be one too."""
    if option.kind == "initializer" and isinstance(value, Spec) and value.deferred:
        return settings(value) == settings(option.default)
    return bool(value == option.default)


def to_config(spec: Spec) -> dict[str, Any]:
    """Return Keras's config, `{"class_name": "LSTM", "config": {...}}`, for `keras.layers.deserialize`."""
    options = options_of(spec.class_name, spec.equations)
    names = (*options, *(name for name in BEYOND_KERAS if spec.config.get(name)))
    config = {name: _plain(name, spec.config[name]) for name in names}
    if spec.equations is not None:
        config = {"equations": spec.equations.written, **config}
        return {"class_name": spec.equations.name, "config": config}
    return {"class_name": spec.class_name, "config": config, "module": "keras.layers"}


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_initializer"):
        from rnncli.specs import initializers

        return initializers.to_config(value)
    if isinstance(value, Spec):
        return to_config(value)
    items = [_plain("", item) for item in value] if isinstance(value, tuple) else value
    if name == "cell" and isinstance(value, tuple):
        return {"module": "keras.layers", "class_name": "StackedRNNCells", "config": {"cells": items}}
    return items


def _format_option(value: Any) -> str:
    if isinstance(value, tuple):
        items = ", ".join(map(_format_option, value))
        return f"[{items}]" if any(isinstance(item, Spec) for item in value) else f"({items})"
    if not isinstance(value, Spec):
        return repr(value)
    if value.equations is not None or layers.find_name(value.class_name, layers.LAYERS | layers.CELLS):
        return describe(value)
    initializer, chosen = settings(value)
    if initializer.required_option:
        return f"{value.class_name}({chosen[initializer.required_option]!r})"
    options = initializer.options
    given = ", ".join(f"{name}={item!r}" for name, item in chosen.items() if item != options[name].default)
    return f"{value.class_name}({given})"
