"""The short form of a stream's lines, tables that stand apart, and no locale in what programs read."""

from __future__ import annotations

import json

import pytest
from command import Run


class TestTheShortForm:
    RECORDS = "[[[1, 2]]]\n\n[[[3, 4]]]\n"

    def test_an_object_a_line_says_its_line_and_no_config(self, rnncli: Run) -> None:
        done = rnncli("run", "--stream", "-l", "gru", "--seed", "1", "-f", "ndjson", input=self.RECORDS)
        first, second = map(json.loads, done.stdout.splitlines())
        assert list(first) == ["schema", "line", "engine", "seed", "expression", "outputs"]
        assert (first["line"], second["line"], first["expression"]) == (1, 3, "GRU(3)")

    def test_tables_stand_apart_and_name_their_line(self, rnncli: Run) -> None:
        done = rnncli("run", "--stream", "--seed", "1", "--quiet", input=self.RECORDS)
        first, second = done.stdout.split("\n\nLSTM(3)\n")
        assert first.startswith("LSTM(3)\nline 1 · input")
        assert second.startswith("line 3 · input")
        assert second.endswith("\n")
        assert not second.endswith("\n\n")


@pytest.mark.parametrize("format", ["json", "ndjson"])
def test_no_locale_changes_the_meanings_of_json(format: str, rnncli: Run) -> None:
    korean = {"LANG": "ko_KR.UTF-8"}
    for args in (("run",), ("shape",), ("matrix",), ("explain", "hidden_state[0,0]")):
        text = rnncli(*args, "-f", format, env=korean).stdout
        assert "hidden state of the last time step" in text
        assert "은닉" not in text
    assert "은닉" in rnncli("run", "-f", format, "--lang", "ko", env={"LANG": "C.UTF-8"}).stdout
