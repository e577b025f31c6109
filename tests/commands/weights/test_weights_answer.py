"""How weights look: golden files in every format."""

from __future__ import annotations

import re

import pytest
from looks import VIEWS, columns_of, drawn, matches_golden
from weights_by_hand import ANSWERS

from rnncli.version import __version__

SUFFIXES = {"markdown": "md", "html": "html", "svg": "svg", "json": "json", "ndjson": "ndjson", "csv": "csv"}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ANSWERS)
def test_tables_look_as_they_did(name: str, view: str) -> None:
    text = drawn(ANSWERS[name], **VIEWS[view]._asdict())
    assert matches_golden("weights", f"{name}_{view}.txt", text)


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("name", ["described", "converted"])
def test_pages_and_documents_look_as_they_did(name: str, format: str) -> None:
    text = drawn(ANSWERS[name], format).replace(__version__, "VERSION")
    text = re.sub(r"\d\.\d{10,}", lambda digits: f"{float(digits[0]):.5g}", text)  # the last digits vary
    assert matches_golden("weights", f"{name}.{SUFFIXES[format]}", text)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_no_line_is_wider_than_the_terminal(name: str, width: int, lang: str) -> None:
    lines = drawn(ANSWERS[name], width=width, lang=lang).splitlines()
    assert max(map(columns_of, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_a_number_that_is_not_finite_is_not_hidden() -> None:
    text = drawn(ANSWERS["saved"], width=120)
    row = next(line for line in text.splitlines() if line.split()[:2] == ["recurrent", "(3,"])
    assert row.split()[-1] == "?"
