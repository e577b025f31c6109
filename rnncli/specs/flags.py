"""--layer and the flags beside it, and what a case document says, as a stack of Specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnncli import layers
from rnncli.case import Spec
from rnncli.errors import LayerError, UsageError
from rnncli.specs.build import build, each, find, inside, named, options_of, who_has
from rnncli.specs.text import describe
from rnncli.specs.values import checked

UNITS = 3

_WRAPPER = ("bidirectional", "merge_mode")


def from_flags(
    texts: Sequence[Any], flags: Mapping[str, Any], document_layer: Any = None
) -> tuple[Spec, ...]:
    """The stack that is asked for.

    texts: the values of --layer: names, expressions or configs.  flags: those that were given, by
    Keras's name of the option, `bidirectional` and `merge_mode` among them.  document_layer: what a
    case document says, used where `texts` is empty; flags win over it.
    """
    flags = {name: value for name, value in flags.items() if value is not None}
    from_document = not texts and document_layer is not None
    sources = [document_layer] if from_document else texts or ["lstm"]
    written = [item for source in sources for item in each(source)]
    if not written:
        raise LayerError("the list of layers is empty.", "Write at least one, or leave `layer` out.")
    names = [named(item) for item in written]
    if flags and not from_document and not any(names):
        first = _shown(*next(iter(flags.items())))
        raise UsageError(
            f"{first} has no layer to go to: an expression says its own options.",
            "Write the option into the expression, or name the layer without one: --layer lstm",
        )
    if flags.get("bidirectional") is False and not from_document:
        _refuse_the_opposite([item for item, is_name in zip(written, names, strict=True) if is_name])
    stack: list[Spec] = []
    for item, is_name in zip(reversed(written), reversed(names), strict=True):
        if is_name:
            above = (layers.class_of(spec.class_name) for spec in stack)
            spec = _from_name(item, flags, below_a_sequence=any(layer.takes_sequence for layer in above))
        else:
            spec = _overridden(build(item), flags) if from_document else build(item)
        _refuse_a_cell(spec)
        stack.insert(0, spec)
    _refuse_idle(
        flags, [spec for spec, is_name in zip(stack, names, strict=True) if is_name or from_document]
    )
    return tuple(stack)


def _from_name(name: str, flags: Mapping[str, Any], *, below_a_sequence: bool) -> Spec:
    """A named layer with the flags that it has; below one that takes a sequence it returns its own."""
    class_name = inside(name) or find(name)
    options = options_of(class_name)
    own: dict[str, Any] = {key: value for key, value in flags.items() if key in options}
    if "units" in options:
        own.setdefault("units", UNITS)
    if below_a_sequence and "return_sequences" in options:
        own.setdefault("return_sequences", True)
    # In Keras's order, whatever the order of typing: initializers take their seeds in this order.
    inner = build(class_name, _checked(class_name, {key: own[key] for key in options if key in own}))
    both = flags.get("bidirectional", bool(inside(name))) and _has_units(class_name)
    return _wrapped(inner, flags) if both else inner


def _has_units(class_name: str) -> bool:
    """Whether it is a recurrent layer with a cell of its own, which the flags are about."""
    if not layers.known(class_name):
        return False
    found = layers.class_of(class_name)
    return found.recurrent and "units" in found.options


def _checked(class_name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one layer.  LayerError that names the flag where Keras would not take its value."""
    options, read = options_of(class_name), {}
    for name, value in own.items():
        try:
            if value == "":
                raise LayerError("it is empty.", "Give it a value, or leave it out.")
            read[name] = checked(class_name, name, options[name], value, build)
        except LayerError as error:
            what = error.what.removeprefix(f"{class_name}: {name}=")
            raise LayerError(f"{_shown(name, value)}: {what[:1].lower()}{what[1:]}", error.advice) from None
    return read


def _wrapped(inner: Spec, flags: Mapping[str, Any]) -> Spec:
    outer = {key: flags[key] for key in ("merge_mode", "dtype") if key in flags}
    return build("Bidirectional", {"layer": inner, **outer})


def _overridden(spec: Spec, flags: Mapping[str, Any]) -> Spec:
    """A document's layer with the flags of the command line in it."""
    if spec.class_name == "Bidirectional":
        inner = _overridden(spec.config["layer"], {k: v for k, v in flags.items() if k not in _WRAPPER})
        if flags.get("bidirectional") is False:
            return inner
        outer = {key: flags[key] for key in ("merge_mode", "dtype") if key in flags}
        return build("Bidirectional", {**spec.config, **outer, "layer": inner})
    if not _has_units(spec.class_name):
        return spec
    options = options_of(spec.class_name)
    changed = _checked(spec.class_name, {name: flags[name] for name in flags if name in options})
    inner = build(spec.class_name, {**spec.config, **changed}) if changed else spec
    return _wrapped(inner, flags) if flags.get("bidirectional") else inner


def _refuse_a_cell(spec: Spec) -> None:
    if spec.class_name.endswith("Cell"):
        raise LayerError(
            f"{spec.class_name} is a cell, one step of a layer, and not a layer.",
            f"Put it into one: RNN({describe(spec)})",
        )


def _refuse_idle(flags: Mapping[str, Any], stack: Sequence[Spec]) -> None:
    """A flag that no layer has would do nothing, and nobody would see it."""
    inner = [spec.config["layer"] if spec.class_name == "Bidirectional" else spec for spec in stack]
    for name, value in flags.items():
        if name == "merge_mode" and not any(spec.class_name == "Bidirectional" for spec in stack):
            raise UsageError("--merge-mode has nothing to merge.", "Add --bidirectional, or name bilstm.")
        if name not in _WRAPPER and not any(name in spec.config for spec in inner):
            classes = ", ".join(dict.fromkeys(spec.class_name for spec in inner))
            raise UsageError(
                f"{_shown(name, value)}: {classes} does not have it.",
                f"These have it: {', '.join(who_has(name))}.",
            )


def _refuse_the_opposite(names: Sequence[str]) -> None:
    for name in names:
        if inner := inside(name):
            raise UsageError(
                f"--no-bidirectional: {name} is bidirectional by its name.", f"Take --layer {inner}."
            )


def _shown(name: str, value: Any) -> str:
    """The flag as it was typed: `--no-return-sequences`."""
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
