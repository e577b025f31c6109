"""Read the arguments of a layer, a cell or an initializer, from a call or from a Keras config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from rnncli.case import Option
from rnncli.errors import LayerError, Message, Text, count, did_you_mean
from rnncli.specs.expressions import CallExpression, TokenSpan, fault
from rnncli.specs.values import Reader, check


class Argument(NamedTuple):
    """One argument as it was written.  span: its position in an expression; None in a config."""

    name: str
    value: Any
    span: TokenSpan | None = None


class Signature(NamedTuple):
    """What a layer, a cell or an initializer takes.

    options: by name, in Keras's order.  positional: those that a call can set by position.
    ignored: other arguments that have no effect.
    advise: returns advice on an unknown argument.
    read_inner: see `check`.
    """

    class_name: str
    options: Mapping[str, Option]
    positional: Sequence[str]
    ignored: frozenset[str] = frozenset()
    advise: Callable[[str], Text] = lambda _: ""
    read_inner: Reader | None = None

    def arguments_of(self, source: CallExpression | Mapping[str, Any]) -> list[Argument]:
        """Return the arguments of a call or of a Keras config, by name, in the order written.

        Raises LayerError, with a caret, if a call has too many positional arguments.
        """
        if not isinstance(source, CallExpression):
            return [Argument(str(name), value) for name, value in source.items()]
        size = len(self.positional)
        if len(source.args) > size:
            raise self._too_many(source.spans[size])
        named = dict(zip(self.positional, source.args, strict=False))
        spans = [source.spans.get(key) for key in (*range(len(named)), *source.kwargs)]
        pairs = (*named.items(), *source.kwargs.items())
        return [Argument(*pair, span) for pair, span in zip(pairs, spans, strict=True)]

    def _too_many(self, span: TokenSpan) -> LayerError:
        """Return the error about the first positional argument that is too many."""
        size = len(self.positional)
        more = len(self.options) > size
        names = ", ".join(self.positional)
        known = Message("They are {names}." if size > 1 else "It is {names}.", names=names)
        reason = Message(
            "{class_name} takes {arguments}",
            class_name=self.class_name,
            arguments=count(size, "positional argument" if more else "argument"),
        )
        if not size:
            return fault(span, reason, Message("Leave it out."))
        return fault(
            span, reason, Message("{known} Give the others by name.", known=known) if more else known
        )

    def read(self, arguments: Iterable[Argument]) -> dict[str, Any]:
        """Return the arguments that have an effect, checked, in the form stored in a Spec.

        Raises LayerError, with a caret in an expression, if one is unknown, repeated or invalid.
        """
        found: dict[str, Any] = {}
        for name, value, span in arguments:
            with point_at(span):
                if name in found:
                    raise LayerError("{name} is given twice.", "Leave one of them out.", name=name)
                if name in self.options:
                    found[name] = check(self.class_name, name, self.options[name], value, self.read_inner)
                elif name not in self.ignored:
                    advice = self.advise(name) or did_you_mean(name, self.options)
                    raise LayerError(
                        "{class_name} has no argument '{name}'.",
                        advice,
                        class_name=self.class_name,
                        name=name,
                    )
        return found


@contextmanager
def point_at(span: TokenSpan | None) -> Iterator[None]:
    """Add a caret under `span` to errors that have none; None adds nothing."""
    try:
        yield
    except LayerError as error:
        has_caret = "caret" in error.detail.fields
        raise error if span is None or has_caret else fault(span, error, error.advice) from None


def split_config(config: Mapping[str, Any], what: str, example: Text) -> tuple[str, Mapping[str, Any]]:
    """Return the class name and the arguments of a Keras config, `{"class_name": ..., "config": {...}}`.

    Keras accepts null instead of an empty `config`.
    what, example: the object that is needed and how to write it, for errors.
    Raises LayerError if either has the wrong type.
    """
    name, given = config.get("class_name"), config.get("config")
    if not isinstance(name, str):
        raise LayerError("the {what}'s config has no class_name.", example, what=Message(what))
    if not isinstance(given, Mapping | None):
        raise LayerError("the config of {name} is not an object.", example, name=name)
    return name, given or {}
