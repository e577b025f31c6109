"""Every JSON document that a test writes is held to what `rnncli schema` says of its command."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby
from typing import IO, Any

import pytest
from jsonschema import Draft202012Validator

from rnncli.show.answer import Answer
from rnncli.show.page import View

LISTS = {"steps": "tour"}
"""The command of a list that has another name."""
MOST = 20
"""So many values of a kind, of a long list, are looked at."""

Write = Callable[[Answer, View, IO[bytes]], None]


def fault(command: str, document: Any) -> str | None:
    """Return why the schema of a command does not allow a document; None if it does."""
    errors = list(_validator(command).iter_errors(_shorten(document)))
    while errors and errors[0].context:  # of the documents that a command has, the one that is meant
        branches = groupby(errors[0].context, key=lambda error: error.relative_schema_path[0])
        errors = min((list(branch) for _, branch in branches), key=len)
    return f"{command}: {errors[0].json_path}: {errors[0].message[:300]}" if errors else None


def hold_documents() -> None:
    """Let JSON and NDJSON be checked after they are written."""
    from rnncli.show.formats import json as writers

    for name in ("write_json", "write_ndjson"):
        setattr(writers, name, _held(getattr(writers, name)))


def _held(write: Write) -> Write:
    def write_held(answer: Answer, view: View, file: IO[bytes]) -> None:
        copy = _Copy(file)
        write(answer, view, copy)  # type: ignore[arg-type]
        command = _command_of(answer)
        if command:
            text = b"".join(copy.pieces).decode()
            documents = text.splitlines() if write.__name__ == "write_ndjson" else [text]
            faults = [found for each in documents if (found := fault(command, json.loads(each)))]
            if faults:
                pytest.fail(faults[0])  # an AssertionError would be a message of the command

    return write_held


class _Copy:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.pieces: list[bytes] = []

    def writelines(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.pieces.append(piece)
            self.file.write(piece)


def _command_of(answer: Answer) -> str:
    """Return the command that gives the answer; "" for an answer that only a test gives."""
    package, room, *rest = type(answer).__module__.split(".")
    if (package, room) == ("rnncli", "commands"):
        return rest[0]
    return LISTS.get(answer.command, answer.command) if package == "rnncli" else ""


@cache
def _validator(command: str) -> Draft202012Validator:
    from rnncli.commands import schema

    text = schema.build((command,))
    Draft202012Validator.check_schema(text)
    return Draft202012Validator(text)


def _shorten(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shorten(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    seen: Counter[type] = Counter()
    kept = []
    for item in value:
        seen[type(item)] += 1
        if seen[type(item)] <= MOST:
            kept.append(_shorten(item))
    return kept
