"""What a stream can show, and in which language."""

from __future__ import annotations

import io

import pytest

from rnncli.cli import terminal


class Stream(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8", tty: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize(
    ("tty", "environment", "color"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
        (False, {"FORCE_COLOR": "0"}, False),
        (True, {"FORCE_COLOR": "0"}, False),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_color(tty: bool, environment: dict[str, str], color: bool) -> None:
    assert terminal.has_color(Stream(tty=tty), environment) is color


@pytest.mark.parametrize(
    ("environment", "width"),
    [({}, None), ({"COLUMNS": "0"}, None), ({"COLUMNS": "-3"}, None), ({"COLUMNS": "40"}, 40)],
)  # fmt: skip
def test_a_pipe_is_as_wide_as_columns_says(environment: dict[str, str], width: int | None) -> None:
    assert terminal.columns(Stream(), environment) == width


@pytest.mark.parametrize(
    ("environment", "lang"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "ko_KR.UTF-8", "LANG": "de_DE.UTF-8"}, "ko"),
        ({"LC_ALL": "", "LANG": "ko_KR"}, "ko"),
    ],
)
def test_language(environment: dict[str, str], lang: str) -> None:
    assert terminal.language(environment) == lang
