"""`rnncli schema`: the JSON Schema of the documents of each command, see show/answer.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import FunctionType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from rnncli.errors import Message, UsageError, did_you_mean
from rnncli.show.answer import Field, NestedNumbers, NestedTexts, Reply

if TYPE_CHECKING:
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli schema
rnncli schema run -o run.schema.json
"""
OWN_FILES = True
ANSWERS: dict[str, Sequence[str]] = {
    "compare": ("compare.answer", "compare.function"),
    "conformance": ("conformance",),
    "engines": ("engines",),
    "explain": ("explain",),
    "explore": ("explore.experiment",),
    "gradients": ("gradients.answer",),
    "matrix": ("matrix",),
    "port": ("port.answer",),
    "run": ("run",),
    "samples": ("samples",),
    "shape": ("shape",),
    "tour": ("tour.answer", "tour.exercises", "tour.sheet"),
    "trace": ("trace.answer",),
    "weights": ("weights.answer", "weights.conversion"),
    "why": ("why.answer",),
}
"""The files of each command that have DOCUMENTS."""
NUMBER, NUMBERS, TEXTS = ({"$ref": f"#/$defs/{name}"} for name in ("number", "numbers", "texts"))
SHARED = {
    "number": {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
    "numbers": {"anyOf": [NUMBER, {"type": "array", "items": NUMBERS}]},
    "texts": {"anyOf": [{"type": "string"}, {"type": "array", "items": TEXTS}]},
}
PLAIN = {
    Any: {},
    str: {"type": "string"},
    Message: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    None: {"type": "null"},
    float: NUMBER,
    NestedNumbers: NUMBERS,
    NestedTexts: TEXTS,
}
Schema = dict[str, Any]


def schema(output: OutputFlags, *, command: str | None) -> Reply[bytes]:  # noqa: ARG001 - where it is written
    """The JSON Schema of what `--format json` and `--format ndjson` write.

    Without a command, of all commands.
    """
    import json

    if command is not None and command not in ANSWERS:
        what = "{name} is not a command that writes JSON."
        raise UsageError(what, did_you_mean(command, ANSWERS), name=command)
    return Reply(
        f"{json.dumps(build(tuple(ANSWERS) if command is None else (command,)), indent=2)}\n".encode()
    )


def build(commands: Sequence[str]) -> Schema:
    """Return the JSON Schema of the documents of these commands."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"rnncli {commands[0]}" if len(commands) == 1 else "rnncli",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in commands],
        "$defs": SHARED | {name: _documents(name) for name in commands},
    }


def _documents(command: str) -> Schema:
    modules = (import_module(f"rnncli.commands.{name}") for name in ANSWERS[command])
    return _one_of([document for module in modules for document in module.DOCUMENTS])


def _describe(kind: Any) -> Schema:
    """Return the schema of what a document has in a place."""
    if isinstance(kind, FunctionType):
        kind = kind()
    if isinstance(kind, dict):
        return _describe_object(kind)
    if isinstance(kind, list):
        return {"type": "array", "items": _describe(kind[0])}
    if isinstance(kind, tuple) and isinstance(kind[0], Field):
        written = [field for field in kind if field.json]
        return _describe(
            {f"{field.name}{'' if field.json is True else '?'}": field.type for field in written}
        )
    if isinstance(kind, tuple):
        return _one_of(kind)
    if isinstance(kind, (str, bool)):
        return {"const": kind}
    if kind in PLAIN:
        return PLAIN[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _one_of(args)
    if origin in (dict, Mapping):
        return _describe({str: args[1]})
    if origin is not None:
        return _describe([args[0]])
    return _describe(get_type_hints(kind))


def _describe_object(keys: Mapping[Any, Any]) -> Schema:
    named = {key.removesuffix("?"): _describe(kind) for key, kind in keys.items() if key is not str}
    others = _describe(keys[str]) if str in keys else False
    if not named:
        return {"type": "object", "additionalProperties": others}
    required = [key for key in keys if key is not str and not key.endswith("?")]
    return {"type": "object", "properties": named, "required": required, "additionalProperties": others}


def _one_of(kinds: Sequence[Any]) -> Schema:
    unique: list[Schema] = []
    unique += (each for each in map(_describe, kinds) if each not in unique)
    if len(unique) == 1:
        return unique[0]
    if all(each.keys() == {"type"} for each in unique):
        return {"type": [each["type"] for each in unique]}
    if all(each.keys() == {"const"} for each in unique):
        return {"enum": [each["const"] for each in unique]}
    return {"anyOf": unique}
