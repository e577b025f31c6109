"""Combine flags with a written-out layer: the layer's own options are kept, and flags add the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rnncli import layers
from rnncli.case import Spec
from rnncli.errors import LayerError, UsageError
from rnncli.initializers import settings
from rnncli.layers import Option
from rnncli.specs import expressions
from rnncli.specs.build import build, options_of, positional, unfolded
from rnncli.specs.expressions import CallExpression, TokenSpan
from rnncli.specs.values import checked, shown

_OUTER = ("merge_mode", "dtype")
_WRAPPER = ("bidirectional", "merge_mode")


def met(written: Any, flags: Mapping[str, Any], *, flags_win: bool = False) -> Spec:
    """The layer of an expression or a config, with the flags applied.

    Flags apply to recurrent layers, and to both layers of a Bidirectional; --dtype applies to every layer.
    flags_win: flags override the layer's own options, as with a case document.
    Raises LayerError if a flag conflicts with an option, with a caret if it is in an expression, or if a
    flag's value is invalid; UsageError if --no-bidirectional conflicts with a Bidirectional.
    """
    return _met(written, build(written), flags, flags_win)


def is_recurrent(class_name: str) -> bool:
    """Whether this is a recurrent layer, which flags apply to."""
    return bool(layers.known(class_name)) and layers.class_of(class_name).recurrent


def wrapped(inner: Spec, flags: Mapping[str, Any]) -> Spec:
    """A Bidirectional around `inner`, with the flags that Bidirectional itself has."""
    return build("Bidirectional", {"layer": inner, **{key: flags[key] for key in _OUTER if key in flags}})


def read(class_name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of one layer, converted to its options.

    Raises LayerError if Keras does not accept the value of a flag.
    """
    options, found = options_of(class_name), {}
    for name, value in own.items():
        try:
            if value == "":
                raise LayerError("it is empty.", "Give it a value, or leave it out.")
            found[name] = checked(class_name, name, options[name], value, build)
        except LayerError as error:
            what = error.what.removeprefix(f"{class_name}: {name}=")
            raise LayerError(f"{typed(name, value)}: {what}", error.advice) from None
    return found


def typed(name: str, value: Any) -> str:
    """The flag as typed on the command line, such as `--no-return-sequences`."""
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


def _met(written: Any, spec: Spec, flags: Mapping[str, Any], flags_win: bool) -> Spec:
    if spec.class_name == "Bidirectional":
        return _met_both(written, spec, flags, flags_win)
    if not is_recurrent(spec.class_name):
        return _filled(written, spec, _only(flags, "dtype"), flags_win)
    if "cell" in spec.config:
        spec = _with_cells(written, spec, _only(flags, "dtype"), flags_win)
    inner = _filled(written, spec, flags, flags_win)
    return wrapped(inner, flags) if flags.get("bidirectional") else inner


def _met_both(written: Any, spec: Spec, flags: Mapping[str, Any], flags_win: bool) -> Spec:
    said = _said(written)
    own = {name: value for name, value in flags.items() if name not in _WRAPPER}
    if flags.get("bidirectional") is False:
        if not flags_win:
            raise UsageError(
                f"--no-bidirectional conflicts with {spec.class_name}(...) in --layer.",
                "Leave the flag out, or name the inner layer alone.",
            )
        return _met(said["layer"][0], spec.config["layer"], own, flags_win)
    parts = {"layer": _met(said["layer"][0], spec.config["layer"], own, flags_win)}
    if spec.config["backward_layer"] is not None:
        own.pop("go_backwards", None)  # one of the two runs backwards, whatever the flag says
        there = said["backward_layer"][0]
        parts["backward_layer"] = _met(there, spec.config["backward_layer"], own, flags_win)
    inside = replace(spec, config={**spec.config, **parts})
    return _filled(written, inside, _only(flags, *_OUTER), flags_win)


def _with_cells(written: Any, spec: Spec, flags: Mapping[str, Any], flags_win: bool) -> Spec:
    """The Spec of an RNN with --dtype applied to its cells too; otherwise they would stay float32."""
    held = spec.config["cell"]
    cells = held if isinstance(held, tuple) else (held,)
    texts = _each_cell(_said(written)["cell"][0])
    made = tuple(_filled(text, cell, flags, flags_win) for text, cell in zip(texts, cells, strict=True))
    return replace(spec, config={**spec.config, "cell": made if isinstance(held, tuple) else made[0]})


def _filled(written: Any, spec: Spec, flags: Mapping[str, Any], flags_win: bool) -> Spec:
    """`spec` with the flags that it has, placed after the written options.

    Keras takes the seeds in this order.
    """
    options, said = options_of(spec.class_name), _said(written)
    flags = {name: flags[name] for name in options if name in flags}
    changed = read(spec.class_name, flags)
    for name, value in changed.items():
        if name in said and not flags_win and not _alike(options[name], value, spec.config[name]):
            raise _conflict(spec, name, flags[name], said[name])
    own = {name: value for name, value in spec.config.items() if name in said}
    made = replace(spec, config={**own, **changed, **_rest(spec.config, {**own, **changed})})
    if layers.known(made.class_name):
        layers.make(made)  # may raise: Bidirectional with two layers in the same direction
    return made


def _said(written: Any) -> dict[str, tuple[Any, TokenSpan | None]]:
    """The options written in an expression or a config: name -> (value, position)."""
    if isinstance(written, CallExpression):
        call = unfolded(written)
        names = dict(enumerate(positional(call)))
        pairs = [(index, value) for index, value in enumerate(call.args)]
        found = {names[index]: (value, call.spans.get(index)) for index, value in pairs}
        return {**found, **{name: (value, call.spans.get(name)) for name, value in call.kwargs.items()}}
    if isinstance(written, Spec):
        return {name: (value, None) for name, value in written.config.items()}
    given = written.get("config", {}) if isinstance(written, Mapping) else {}
    return {name: (value, None) for name, value in given.items() if value is not None or name != "dtype"}


def _each_cell(written: Any) -> Sequence[Any]:
    """The written cells in an RNN's `cell` argument, which has been checked."""
    if isinstance(written, CallExpression) and written.name == "StackedRNNCells":
        written = written.args[0] if written.args else written.kwargs["cells"]
    elif isinstance(written, Mapping) and written["class_name"] == "StackedRNNCells":
        written = written["config"]["cells"]
    return written if isinstance(written, (list, tuple)) else [written]


def _conflict(spec: Spec, name: str, flag: Any, place: tuple[Any, TokenSpan | None]) -> LayerError:
    value, span = place
    text = typed(name, flag) + ("" if isinstance(flag, bool) else f" {flag}")
    what = f"{text} conflicts with {name}={shown(value)}"
    advice = "Leave one of them out."
    if span is not None:
        return expressions.fault(span, what, advice)
    return LayerError(f"{what} in the config of {spec.class_name}.", advice)


def _alike(option: Option, one: Any, two: Any) -> bool:
    if option.kind == "initializer":
        return bool(settings(one) == settings(two))
    return bool(one == two)


def _only(flags: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: flags[name] for name in names if name in flags}


def _rest(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in given}
