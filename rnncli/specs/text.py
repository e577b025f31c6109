"""A Spec as people write it, and as Keras's config."""

from __future__ import annotations

from typing import Any

from rnncli import initializers
from rnncli.case import Spec
from rnncli.specs.build import options_of


def describe(spec: Spec) -> str:
    """`LSTM(3, return_sequences=True)`: what differs from Keras's defaults, as a script would say it."""
    options = options_of(spec.class_name)
    parts: list[str] = []
    for name, option in options.items():
        value = spec.config[name]
        if option.required:
            parts.append(_shown(value))
        elif value != option.default and not (name == "dtype" and value == "float32"):
            parts.append(f"{name}={_shown(value)}")
    return f"{spec.class_name}({', '.join(parts)})"


def to_config(spec: Spec) -> dict[str, Any]:
    """Keras's config: `{"class_name": "LSTM", "config": {...}}`, for `keras.layers.deserialize`."""
    return {
        "class_name": spec.class_name,
        "config": {name: _plain(name, spec.config[name]) for name in options_of(spec.class_name)},
    }


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_initializer"):
        return initializers.to_config(value)
    if isinstance(value, Spec):
        return to_config(value)
    return [_plain("", item) for item in value] if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        items = ", ".join(map(_shown, value))
        return f"[{items}]" if any(isinstance(item, Spec) for item in value) else f"({items})"
    if not isinstance(value, Spec):
        return repr(value)
    if "units" in value.config or "layer" in value.config or "cell" in value.config:
        return describe(value)
    if len(value.config) == 1 and next(iter(value.config)) == "value":
        return f"{value.class_name}({value.config['value']!r})"
    inner = ", ".join(f"{name}={item!r}" for name, item in value.config.items())
    return f"{value.class_name}({inner})"
