"""Documents of version 1, kept as they were printed: they fit the schema, and are read as ever.

`golden/version_1/trace_stats.json` is of the command `trace`.  A change that makes one of them wrong is one
that scripts notice: it needs another number in `schema`, not another file here.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import ROOT, Run
from documents import fault

from rnncli.commands.schema import ANSWERS, build

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
    assert not declared - stored


def stored(name: str) -> str:
    return str(FOLDER / name)


READ = {
    "an answer is the input of the next layer": ("run", stored("run.json"), "-l", "gru", "--seed", "1"),
    "a case document": ("run", stored("explore.json")),
    "states of a Bidirectional": (
        "run", "[[1,2]]", "-l", "GRU(2)", "--initial-state", stored("run.json"), "--seed", "1"
    ),
    "converted weights": ("run", "[[1,2]]", "--model", stored("weights_converted.json")),
    "ported weights": ("run", "[[1,2,3,4,5]]", "-l", "LSTM(1)", "--weights", stored("port_weights.json")),
    "a held trace": (
        "trace", "[[1,2],[3,4],[5,6]]", "-l", "Bidirectional(GRU(1))", "--seed", "1",
        "--hold", "forward/update=1", "--expect", stored("trace.json"),
    ),
    "an expected result": (
        "run", "[[1,2],[3,4],[5,6]]", "-l", "LSTM(1, return_sequences=True)", "-l", "GRU(1)", "--seed", "1",
        "--hold", "0/forget=1", "--expect", stored("run_held.json"),
    ),
    "a result to compare with": (
        "compare", "[[1,2],[3,4],[5,6]]", "-l", "Bidirectional(GRU(1))", "--return-sequences",
        "--return-state", "--seed", "1", "--expect", stored("run.json"),
    ),
    "an expected trace": (
        "trace", "[[1,2],[3,4],[5,6]]", "-l", "LSTM(1)", "--seed", "1", "--expect", stored("trace_stats.json")
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", READ)
def test_a_stored_document_is_read_as_ever(what: str, rnncli: Run) -> None:
    rnncli(*READ[what]).success()


def test_one_wrong_number_in_a_stored_result_is_seen(rnncli: Run, tmp_path: Path) -> None:
    document = documents(FOLDER / "run_held.json")[0]
    document["outputs"][0]["values"][0][0] += 1e-3
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    assert rnncli(*READ["an expected result"][:-1], str(tmp_path / "wrong.json")).returncode == 1
