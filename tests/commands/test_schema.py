"""The JSON Schema holds for every document that a test prints, and for those of version 1 that are kept."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import ROOT, Run
from documents import fault
from jsonschema import Draft202012Validator

from rnncli import options
from rnncli.commands.schema import ANSWERS, build

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


@pytest.mark.parametrize("spoil", [
    change(news=1), change("outputs", 0, news=1), change("input", news=1), change(outputs=None),
    change(seed=None), change("outputs", 0, shape=None), change(schema="rnncli/2"),
    change("outputs", 0, shape="(1, 3)"), change("outputs", 0, values=[["nan"]]),
    change(model={"file": "m.keras", "origin": "Keras 3"}),
    change(outputs={}),
])  # fmt: skip
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


FOLDER = ROOT / "tests/golden/version_1"
FILES = sorted(FOLDER.iterdir())


def documents(file: Path) -> list[Any]:
    text = file.read_text(encoding="utf-8")
    return list(map(json.loads, text.splitlines() if file.suffix == ".ndjson" else [text]))


def command(file: Path) -> str:
    return file.stem.partition("_")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_stored_document_fits_the_schema(file: Path) -> None:
    assert [fault(command(file), document) for document in documents(file)] == [None] * len(documents(file))


def keys(schema: Any, at: str = "") -> Iterator[str]:
    """Yield the path of every key that a schema names."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{at}/{name}"
        yield from keys(inner, f"{at}/{name}")
    for inner in schema.get("anyOf", ()):
        yield from keys(inner, at)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from keys(schema[word], f"{at}/*")


def seen(document: Any, at: str = "") -> Iterator[str]:
    """Yield the path of every key of a document, and for keys of any name also `*`."""
    items: Any = document.items() if isinstance(document, dict) else ()
    for name, inner in items:
        for key in (name, "*"):
            yield f"{at}/{key}"
            yield from seen(inner, f"{at}/{key}")
    for inner in document if isinstance(document, list) else ():
        yield from seen(inner, f"{at}/*")


def of_tensor(path: str) -> str:
    """Return the path without what is before the tensors of a result, which are the same everywhere."""
    return re.sub(r".*/outputs/\*", "outputs", path)


def test_every_key_of_the_schema_is_in_a_stored_document() -> None:
    """So the schema says no more than what is printed."""
    stored = {of_tensor(path) for file in FILES for each in documents(file) for path in seen(each)}
    declared = {of_tensor(path) for name in ANSWERS for path in keys(build((name,))["$defs"][name])}
    assert sorted(declared - stored) == [], "write tests/golden/version_1/COMMAND.json"


def stored(name: str) -> str:
    return str(FOLDER / name)


READ = {
    "an answer is the input of the next layer": ("run", stored("run.json"), "-l", "gru", "--seed", "1"),
    "a case document": ("run", stored("explore.json")),
    "states of a Bidirectional": (
        "run", "[[1,2]]", "-l", "GRU(2)", "--initial-state", stored("run.json"), "--seed", "1",
    ),
    "converted weights": ("run", "[[1,2]]", "--model", stored("weights_converted.json")),
    "ported weights": ("run", "[[1,2,3,4,5]]", "-l", "LSTM(1)", "--weights", stored("port_weights.json")),
    "a held trace": ("trace", "[[1,2],[3,4],[5,6]]", "-l", "Bidirectional(GRU(1))", "--seed", "1", "--hold",
                     "forward/update=1", "--expect", stored("trace.json")),
    "an expected result": ("run", "[[1,2],[3,4],[5,6]]", "-l", "LSTM(1, return_sequences=True)", "-l",
                           "GRU(1)", "--seed", "1", "--hold", "0/forget=1", "--expect",
                           stored("run_held.json")),
    "a result to compare with": (
        "compare", "[[1,2],[3,4],[5,6]]", "-l", "Bidirectional(GRU(1))", "--return-sequences",
        "--return-state", "--seed", "1", "--expect", stored("run.json"),
    ),
    "an expected trace": ("trace", "[[1,2],[3,4],[5,6]]", "-l", "LSTM(1)", "--seed", "1", "--expect",
                          stored("trace_stats.json")),
}  # fmt: skip


@pytest.mark.parametrize("what", READ)
def test_a_stored_document_is_read_as_ever(what: str, rnncli: Run) -> None:
    rnncli(*READ[what]).success()


def test_one_wrong_number_in_a_stored_result_is_seen(rnncli: Run, tmp_path: Path) -> None:
    document = documents(FOLDER / "run_held.json")[0]
    document["outputs"][0]["values"][0][0] += 1e-3
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    assert rnncli(*READ["an expected result"][:-1], str(tmp_path / "wrong.json")).returncode == 1
