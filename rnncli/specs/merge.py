"""Combine flags with a written-out layer: the layer's own options are kept, and flags add the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnncli import layers
from rnncli.case import Option, Spec
from rnncli.errors import Flag, LayerError, Message, UsageError
from rnncli.initializers import settings
from rnncli.specs.build import (
    build,
    check_option,
    complete,
    expand_short_name,
    find_class,
    list_cells,
    options_of,
    signature_of,
)
from rnncli.specs.call_arguments import Argument, point_at
from rnncli.specs.expressions import CallExpression
from rnncli.specs.values import format_value

_OUTER = ("merge_mode", "dtype")
WRAPPER_FLAGS = ("bidirectional", "merge_mode")
"""Flags that wrap a layer in Bidirectional; they are not options of the layer."""


def merge_flags(source: Any, flags: Mapping[str, Any], *, flags_win: bool) -> Spec:
    """Return the layer of an expression or a config, with the flags applied.

    Flags apply to recurrent layers, and to both layers of a Bidirectional; --dtype applies to every layer.
    flags_win: flags override the layer's own options, as with a case document.
    Raises LayerError if a flag conflicts with an option, with a caret if it is in an expression, or if a
    flag's value is invalid; UsageError if --no-bidirectional conflicts with a Bidirectional.
    """
    return _Merger(flags_win=flags_win).merge(source, build(source), flags)


def is_recurrent(class_name: str) -> bool:
    """Return whether this is a recurrent layer, which flags apply to."""
    return bool(layers.find_name(class_name)) and layers.class_of(class_name).recurrent


def wrap_bidirectional(inner: Spec, flags: Mapping[str, Any]) -> Spec:
    """Return a Bidirectional around `inner`, with the flags that Bidirectional itself has."""
    return complete("Bidirectional", {"layer": inner, **read_flags("Bidirectional", _only(flags, *_OUTER))})


def read_flags(class_name: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags of one layer, converted to its options.

    Raises LayerError if Keras does not accept the value of a flag.
    """
    found = {}
    for name, value in flags.items():
        try:
            if value == "":
                raise LayerError("it is empty.", "Give it a value, or leave it out.")
            found[name] = check_option(class_name, name, value)
        except LayerError as error:
            raise _about_flag(error, format_flag(name, value)) from None
    return found


def _about_flag(error: LayerError, flag: Flag) -> LayerError:
    """Return the error with the flag instead of the option that it names."""
    detail, advice = error.detail, error.advice
    if "option" in detail.fields:
        named = Message("{flag}: ", flag=flag)
        what = Message(detail.template, **{**detail.fields, "option": named})
    else:
        what = Message("{flag}: {error}", flag=flag, error=error)
    if "setting" in advice.fields:
        advice = Message(advice.template, setting=Flag(flag.name, advice.fields["example"]))
    return LayerError(what, advice)


def format_flag(name: str, value: Any) -> Flag:
    """Return the flag as typed on the command line, such as `--no-return-sequences`."""
    return Flag(f"--{'no-' if value is False else ''}{name.replace('_', '-')}")


class _Merger:
    """Applies flags to layers.  flags_win: see `merge_flags`."""

    def __init__(self, *, flags_win: bool) -> None:
        self.flags_win = flags_win

    def merge(self, source: Any, spec: Spec, flags: Mapping[str, Any]) -> Spec:
        """Return `spec`, which was built from `source`, with the flags applied."""
        if spec.class_name == "Bidirectional":
            return self._merge_both(source, spec, flags)
        if not is_recurrent(spec.class_name):
            return self._add_flags(source, spec, _only(flags, "dtype"))
        if "cell" in spec.config:
            spec = self._merge_cells(source, spec, _only(flags, "dtype"))
        inner = self._add_flags(source, spec, flags)
        return wrap_bidirectional(inner, flags) if flags.get("bidirectional") else inner

    def _merge_both(self, source: Any, spec: Spec, flags: Mapping[str, Any]) -> Spec:
        arguments = _arguments(source)
        own = {name: value for name, value in flags.items() if name not in WRAPPER_FLAGS}
        if flags.get("bidirectional") is False:
            if not self.flags_win:
                raise UsageError(
                    "{--no-bidirectional} conflicts with {class_name}(...) in {--layer}.",
                    "Leave the flag out, or name the inner layer alone.",
                    class_name=spec.class_name,
                )
            return self.merge(arguments["layer"].value, spec.config["layer"], own)
        parts = {"layer": self.merge(arguments["layer"].value, spec.config["layer"], own)}
        if spec.config["backward_layer"] is not None:
            own.pop("go_backwards", None)  # one of the two runs backwards, whatever the flag says
            backward = arguments["backward_layer"].value
            parts["backward_layer"] = self.merge(backward, spec.config["backward_layer"], own)
        inside = replace(spec, config={**spec.config, **parts})
        return self._add_flags(source, inside, _only(flags, *_OUTER))

    def _merge_cells(self, source: Any, spec: Spec, flags: Mapping[str, Any]) -> Spec:
        """Return an RNN with --dtype applied to its cells too; otherwise they would stay float32."""
        cell, texts = spec.config["cell"], list_cells(_arguments(source)["cell"].value)
        if not isinstance(cell, tuple):
            made: Any = self._add_flags(texts, cell, flags)
        else:
            made = tuple(self._add_flags(*pair, flags) for pair in zip(texts, cell, strict=True))
        return replace(spec, config={**spec.config, "cell": made})

    def _add_flags(self, source: Any, spec: Spec, flags: Mapping[str, Any]) -> Spec:
        """Return `spec` with the flags that it has, placed after the written options.

        Keras takes the seeds in this order.
        """
        options, arguments = options_of(spec.class_name), _arguments(source)
        flags = _only(flags, *options)
        changed = read_flags(spec.class_name, flags)
        for name, value in ({} if self.flags_win else changed).items():
            if name in arguments and not _is_same(options[name], value, spec.config[name]):
                _refuse(spec, flags[name], arguments[name])
        own = {name: value for name, value in spec.config.items() if name in arguments}
        return complete(spec.class_name, {**own, **changed}, deferred=spec.deferred)


def _arguments(source: Any) -> dict[str, Argument]:
    """Return the options written in an expression or a config, by name."""
    if isinstance(source, CallExpression):
        call = expand_short_name(source)
        found = signature_of(find_class(call.name)).arguments_of(call)
        return {argument.name: argument for argument in found}
    given = source.config if isinstance(source, Spec) else source.get("config") or {}
    pairs = given.items()
    return {name: Argument(name, value) for name, value in pairs if value is not None or name != "dtype"}


def _refuse(spec: Spec, flag: Any, argument: Argument) -> None:
    """Raise LayerError for a flag that conflicts with an argument."""
    name, value, span = argument
    with point_at(span):
        raise LayerError(
            "{flag} conflicts with {name}={value}."
            if span
            else "{flag} conflicts with {name}={value} in the config of {class_name}.",
            "Leave one of them out.",
            flag=Flag(format_flag(name, flag).name, None if isinstance(flag, bool) else flag),
            name=name,
            value=format_value(value),
            class_name=spec.class_name,
        )


def _is_same(option: Option, one: Any, two: Any) -> bool:
    if option.kind == "initializer":
        return bool(settings(one) == settings(two))
    return bool(one == two)


def _only(flags: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: flags[name] for name in names if name in flags}
