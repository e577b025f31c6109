"""The JSON Schema holds for every document that a test prints (see documents.py), and allows no others."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from command import Run
from documents import fault
from jsonschema import Draft202012Validator

from rnncli import options
from rnncli.commands.schema import ANSWERS

RUN = ("run", "[[1, 2], [3, 4]]", "-l", "lstm", "--seed", "1", "--return-state", "-f", "json")


def change(*path: str | int, **keys: Any) -> Callable[[dict[str, Any]], None]:
    """Return a function that sets keys of an object in a document; None removes a key."""

    def changed(document: Any) -> None:
        for step in path:
            document = document[step]
        for key, value in keys.items():
            if value is None:
                del document[key]
            else:
                document[key] = value

    return changed


@pytest.mark.parametrize(
    "spoil",
    [
        change(news=1),
        change("outputs", 0, news=1),
        change("input", news=1),
        change(outputs=None),
        change(seed=None),
        change("outputs", 0, shape=None),
        change(schema="rnncli/2"),
        change("outputs", 0, shape="(1, 3)"),
        change("outputs", 0, values=[["nan"]]),
        change(model={"file": "m.keras", "origin": "Keras 3"}),
        change(outputs={}),
    ],
)
def test_the_schema_refuses_every_other_document(rnncli: Run, spoil: Callable[[Any], None]) -> None:
    document = json.loads(rnncli(*RUN).stdout)
    assert fault("run", document) is None
    spoil(document)
    assert fault("run", document)


def test_the_schema_of_all_commands_allows_what_each_allows(rnncli: Run) -> None:
    whole = json.loads(rnncli("schema").stdout)
    Draft202012Validator.check_schema(whole)
    assert {*ANSWERS} <= {*whole["$defs"]}
    document = json.loads(rnncli(*RUN).stdout)
    assert Draft202012Validator(whole).is_valid(document)
    assert not Draft202012Validator(whole).is_valid(document | {"news": 1})


def test_the_schema_of_a_command_has_no_more_than_it_needs(rnncli: Run) -> None:
    schema = json.loads(rnncli("schema", "run").stdout)
    used = {text.split('"')[0] for text in json.dumps(schema).split("#/$defs/")[1:]}
    assert {*schema["$defs"]} == used


def test_completion_offers_the_commands_that_have_a_schema() -> None:
    assert {*options.BY_NAME["command"].choices} == {*ANSWERS}


def test_a_command_without_json_has_no_schema(rnncli: Run) -> None:
    assert "plot is not a command that writes JSON" in rnncli("schema", "plot").refusal()
