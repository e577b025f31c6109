"""Convert layer descriptions of any form to checked Specs, and Specs back to text.

`from_flags` takes what the command line, Python and documents give.  `expressions.py` parses a script's text,
`arguments.py` checks arguments, and `build.py` makes a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rnncli import layers
from rnncli.errors import Flag, LayerError, UsageError
from rnncli.initializers import settings
from rnncli.layers.recurrent import BEYOND_KERAS
from rnncli.layers.stack import Stack
from rnncli.options import flag_name
from rnncli.specs.build import (
    WRAPPER_FLAGS,
    build,
    build_by_name,
    inner_class,
    is_name,
    is_recurrent,
    iterate_layers,
    layers_with,
    options_of,
)
from rnncli.specs.expressions import BareName, CallExpression
from rnncli.values import Spec, walk

__all__ = [
    "build", "configs_of", "describe", "expression_of", "expressions_of", "from_flags", "layer_of",
    "to_config", "to_script",
]  # fmt: skip

UNITS = 3


def from_flags(
    texts: Sequence[Any], flags: Mapping[str, Any], document_layer: Any = None, *, all_layers: bool = False
) -> Stack:
    """Return the requested layers, first to last.

    texts: the values of --layer: names, expressions or configs.
    flags: the given flags by Keras's option names, including `bidirectional` and `merge_mode`.
    document_layer: the layer of a case document, used if `texts` is empty.  Flags override it.
    all_layers: whether every layer is shown; return_state then applies to every layer, not only to the last.
    Raises LayerError or UsageError if the layers and the flags are invalid or do not fit together.
    """
    flags = {name: value for name, value in flags.items() if value is not None}
    lower = {name: value for name, value in flags.items() if name != "return_state" or all_layers}
    from_document = not texts and document_layer is not None
    try:
        sources = [document_layer] if from_document else texts or ["lstm"]
        items = [(item, is_name(item)) for source in sources for item in iterate_layers(source)]
        if not items:
            raise LayerError("the list of layers is empty.", "Write at least one, such as LSTM(3).")
        if flags.get("bidirectional") is False and not from_document:
            _refuse_opposites([item for item, by_name in items if by_name])
        built: list[Spec] = []
        for item, by_name in reversed(items):
            layer_flags = lower if built else flags
            # A layer without options returns its sequence if a layer above it needs a sequence.
            sequence = any(layers.class_of(spec.class_name).takes_sequence for spec in built)
            defaults = {"units": UNITS, **({"return_sequences": True} if sequence else {})}
            if isinstance(item, BareName):  # of `@mgu.toml` alone
                units = UNITS if item.equations is None else item.equations.sizes.get("units", UNITS)
                given = {**defaults, "units": flags.get("units", units)}
                item = CallExpression(item.name, (), given, item.span, {}, item.equations)
            if by_name:
                built.insert(0, build_by_name(item, {**defaults, **layer_flags}))
            else:
                built.insert(0, build(item, layer_flags, flags_win=from_document))
            if built[0].class_name.endswith("Cell"):
                what = "{class_name} is a cell (one step of a layer), not a layer."
                raise LayerError(
                    what, "Wrap it: RNN({spec})", class_name=built[0].class_name, spec=describe(built[0])
                )
    except RecursionError:
        advice = "Write a stack as a list of layers: [LSTM(3, return_sequences=True), GRU(2)]"
        raise LayerError("the layer is nested too deeply.", advice) from None
    if flags.keys() != lower.keys() and not is_recurrent(built[-1].class_name):
        raise UsageError(
            "{flag} is for the last layer, and {class_name} has no state.",
            "Write it into a layer: -l 'LSTM(3, return_state=True)'",
            flag=Flag(flag_name("return_state", flags["return_state"])),
            class_name=built[-1].class_name,
        )
    pairs = zip(built, items, strict=True)
    _refuse_idle(
        flags, built, [spec for spec, (_, by_name) in pairs if by_name or is_recurrent(spec.class_name)]
    )
    return Stack(built)


def _refuse_idle(flags: Mapping[str, Any], stack: Sequence[Spec], taking: Sequence[Spec]) -> None:
    """Raise UsageError if a flag applies to no layer, because it would be ignored silently.

    taking: the layers that the flags apply to.
    """
    both = any(spec.class_name == "Bidirectional" for spec in stack)
    if flags.get("merge_mode") is not None and not both:
        raise UsageError(
            "{--merge-mode} needs a bidirectional layer.", "Add {--bidirectional:on}, or name bilstm."
        )
    if flags.get("bidirectional") and not both:
        classes = _class_names(stack)
        raise UsageError(
            "{--bidirectional}: {classes} are not recurrent."
            if ", " in classes
            else "{--bidirectional}: {classes} is not recurrent.",
            "Name a recurrent layer: -l lstm",
            classes=classes,
        )
    for name, value in flags.items():
        having = list(_parts(stack if name == "dtype" else taking))
        if name in WRAPPER_FLAGS or any(name in spec.config for spec in having):
            continue
        others = _class_names([spec for spec in stack if name in spec.config])
        if others:  # only Dense shares options with recurrent layers
            what = "{flag} applies to recurrent layers, but {others} is not recurrent."
            advice = "Write the option into the expression, such as Dense(3, activation='relu')."
            raise UsageError(what, advice, flag=Flag(flag_name(name, value)), others=others)
        if cell := next((spec for spec in having if spec.equations is not None), None):
            raise UsageError(
                "{flag} does not apply to {owners}.",
                "The options of {owners} are {options}.",
                flag=Flag(flag_name(name, value)),
                owners=cell.class_name,
                options=", ".join(options_of("", cell.equations)),
            )
        owners, flag = _class_names(having or stack), Flag(flag_name(name, value))
        what, advice = "{flag} does not apply to {owners}.", "It applies to {layers}."
        raise UsageError(what, advice, flag=flag, owners=owners, layers=", ".join(layers_with(name)))


def _class_names(stack: Sequence[Spec]) -> str:
    return ", ".join(dict.fromkeys(spec.class_name for spec in stack))


def _parts(stack: Sequence[Spec]) -> Iterator[Spec]:
    """Yield each layer, or the two layers inside a Bidirectional; then its cell, if that is from a file."""
    for spec in stack:
        if spec.class_name == "Bidirectional":
            yield from _parts(
                [part for part in (spec.config["layer"], spec.config["backward_layer"]) if part]
            )
            continue
        yield spec
        if isinstance(cell := spec.config.get("cell"), Spec) and cell.equations is not None:
            yield cell


def _refuse_opposites(names: Sequence[str]) -> None:
    for name in names:
        if inner := inner_class(name):
            advice = "Use {--layer:inner}."
            raise UsageError(
                "{--no-bidirectional}: {name} is bidirectional by its name.", advice, name=name, inner=inner
            )


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
    first = [name for name, option in options.items() if option.required]
    if spec.equations is not None and "units" not in first:  # the file has a default
        first.append("units")
    parts = [_format_option(spec.config[name]) for name in first if name in spec.config]
    # In the order written, because Keras takes the seeds of initializers in this order.
    for name, value in spec.config.items():
        is_changed = name in BEYOND_KERAS and bool(value)
        if name in options and name not in first:
            option, default = options[name], options[name].default
            if option.kind == "initializer" and isinstance(value, Spec) and value.deferred:
                value, default = settings(value), settings(default)  # a config may write out a default
            is_changed = value != default
        if is_changed:
            parts.append(f"{name}={_format_option(spec.config[name])}")
    return f"{spec.class_name}({', '.join(parts)})"


def expressions_of(specs: Sequence[Spec]) -> tuple[str, ...]:
    """Return each layer as in a script."""
    return tuple(map(describe, specs))


def expression_of(specs: tuple[Spec, ...]) -> str | list[str]:
    """Return the expression of a single layer, or a list of the expressions of several."""
    if specs is not _latest[0]:
        _latest[:] = specs, expressions_of(specs)
    texts: tuple[str, ...] = _latest[1]
    return list(texts) if len(texts) > 1 else texts[0]


def layer_of(specs: tuple[Spec, ...]) -> Any:
    """Return the `layer` of a case document: expressions; or configs, if a cell has its equations there."""
    if any(spec.equations is not None for spec in walk(specs)):
        return configs_of(specs)
    return expression_of(specs)


_latest: list[Any] = [None, ()]
"""The last specs that `expression_of` got, and their texts: each line of a stream has the same specs."""


def configs_of(specs: Sequence[Spec]) -> list[dict[str, Any]]:
    """Return each layer as Keras's config."""
    return list(map(to_config, specs))


def to_script(spec: Spec) -> tuple[str, str]:
    """Return the layer as in a Keras 3 script, and the definitions that come before it, or ""."""
    text = describe(spec)
    if repr(OLD_SIGMOID) not in text:
        return text, ""
    return text.replace(repr(OLD_SIGMOID), OLD_SIGMOID), OLD_DEFINITION


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
        from rnncli.specs import arguments

        return arguments.to_config(value)
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
