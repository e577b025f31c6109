"""`rnncli schema`: the JSON Schema of every document, written from the types that the answers declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from rnncli.errors import Message, UsageError, did_you_mean
from rnncli.show.answer import Field, Reply

if TYPE_CHECKING:
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli schema
rnncli schema run -o run.schema.json
"""
OWN_FILES = True
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "run": ("run.answer:RunAnswer",),
    "shape": ("shape.answer:ShapeAnswer", "shape.summary:SummaryAnswer"),
    "trace": ("trace.answer:TraceAnswer", "trace.heads:HeadsAnswer"),
}
"""The answers of each command; its documents are what their `document` and `lines` return."""
NUMBER, NUMBERS = "number", "numbers"
SHARED = {
    NUMBER: {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
    NUMBERS: {
        "anyOf": [{"$ref": f"#/$defs/{NUMBER}"}, {"type": "array", "items": {"$ref": f"#/$defs/{NUMBERS}"}}]
    },
}
"""A number, which JSON does not have for NaN and infinities; and an array of numbers."""
TYPES = {str: "string", Message: "string", int: "integer", bool: "boolean", type(None): "null"}
Schema = dict[str, Any]


def schema(output: OutputFlags, *, name: str | None) -> Reply[bytes]:  # noqa: ARG001 - where it is written
    """The JSON Schema of what `--format json` and `--format ndjson` write.

    Without a command, of all commands.
    """
    import json

    if name is not None and name not in ANSWERS:
        what = "{name} is not a command that writes JSON."
        raise UsageError(what, did_you_mean(name, ANSWERS), name=name)
    text = json.dumps(build(tuple(ANSWERS) if name is None else (name,)), indent=2)
    return Reply(f"{text}\n".encode())


def build(commands: Sequence[str]) -> Schema:
    """Return the JSON Schema of the documents of these commands."""
    definitions = Definitions()
    documents = [definitions.command(name) for name in commands]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": " ".join(["rnncli", *commands[:1]]) if len(commands) == 1 else "rnncli",
        **_any_of(documents),
        "$defs": definitions.by_name,
    }


class Definitions:
    """The `$defs` of a JSON Schema, by name: the types that the documents are made of."""

    def __init__(self) -> None:
        self.by_name: dict[str, Schema] = {}

    def command(self, name: str) -> Schema:
        """Return the schema of the documents of a command."""
        documents = [hint for answer in ANSWERS[name] for hint in _documents(answer)]
        return self._define(name, lambda: _any_of(map(self.document, documents)))

    def document(self, hint: Any) -> Schema:
        """Return the schema of `Annotated[JsonObject, ...]`: an object with the keys of each of its types."""
        parts = [_any_of(self._part(each) for each in _members(part)) for part in hint.__metadata__]
        return {**(parts[0] if len(parts) == 1 else {"allOf": parts}), "unevaluatedProperties": False}

    def value(self, hint: Any) -> Schema:
        """Return the schema of the values of a type."""
        origin, args = get_origin(hint), get_args(hint)
        if hint is Any:
            return {}
        if hint in TYPES:
            return {"type": TYPES[hint]}
        if hint is float:
            return self._shared(NUMBER)
        if origin is Annotated and isinstance(args[1], str):
            return self._shared(args[1]) if args[1] in SHARED else self.value(_load(args[1]))
        if origin is Annotated:
            return _array(self._row(args[1]))
        if origin is Literal:
            return {"enum": list(args)}
        if origin in (Union, UnionType):
            return _any_of(map(self.value, args))
        if origin in (list, tuple, Sequence):
            return _array(self.value(args[0]))
        if origin in (dict, Mapping):
            return {
                "type": "object",
                **({} if args[1] is Any else {"additionalProperties": self.value(args[1])}),
            }
        return {**self._part(hint), "unevaluatedProperties": False}

    def _part(self, hint: type) -> Schema:
        return self._define(hint.__name__, lambda: self._object(hint))

    def _object(self, hint: type) -> Schema:
        """Return the schema of a typed dictionary, a named tuple or a dataclass."""
        hints = get_type_hints(hint, include_extras=True)
        optional = {key for key, each in hints.items() if get_origin(each) is NotRequired}
        optional |= getattr(hint, "__optional_keys__", frozenset())
        types = {
            key: get_args(each)[0] if get_origin(each) is NotRequired else each for key, each in hints.items()
        }
        about = (hint.__doc__ or "").partition("\n")[0]
        return {"description": about, **self._keys(types, optional)}

    def _row(self, fields: Sequence[Field]) -> Schema:
        """Return the schema of an object of a Listing."""
        written = [field for field in fields if field.json]
        optional = {field.name for field in written if field.json is not True}
        return {
            **self._keys({field.name: field.type for field in written}, optional),
            "unevaluatedProperties": False,
        }

    def _keys(self, types: Mapping[str, Any], optional: Iterable[str]) -> Schema:
        return {
            "type": "object",
            "properties": {key: self.value(hint) for key, hint in types.items()},
            "required": [key for key in types if key not in optional],
        }

    def _shared(self, name: str) -> Schema:
        if name == NUMBERS:
            self._shared(NUMBER)
        return self._define(name, lambda: SHARED[name])

    def _define(self, name: str, make: Any) -> Schema:
        if name not in self.by_name:
            self.by_name[name] = {}  # before what it is made of
            self.by_name[name] |= make()
        return {"$ref": f"#/$defs/{name}"}


def _documents(answer: str) -> Iterator[Any]:
    """Yield what the methods of an Answer return that write JSON and NDJSON."""
    kind = _load(f"rnncli.commands.{answer}")
    yield get_type_hints(kind.document, include_extras=True)["return"]
    lines = get_args(get_type_hints(kind.lines, include_extras=True)["return"])[0]
    if get_origin(lines) is Annotated:
        yield lines


def _load(name: str) -> Any:
    module, _, name = name.partition(":")
    return getattr(import_module(module), name)


def _any_of(schemas: Iterable[Schema]) -> Schema:
    """Return what one of the schemas allows; types that need no more than their name are listed."""
    unique: list[Schema] = []
    unique += (each for each in schemas if each not in unique)
    if len(unique) == 1:
        return unique[0]
    if all(each.keys() == {"type"} for each in unique):
        return {"type": [each["type"] for each in unique]}
    return {"anyOf": unique}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _members(hint: Any) -> Sequence[Any]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
