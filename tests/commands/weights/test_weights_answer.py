"""How weights look: golden files in every format."""

from __future__ import annotations

import pytest
from looks import SUFFIXES, VIEWS, drawn, hide_version, matches_golden, misfits, round_digits
from weights_by_hand import ANSWERS


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ANSWERS)
def test_tables_look_as_they_did(name: str, view: str) -> None:
    text = drawn(ANSWERS[name], **VIEWS[view])
    assert matches_golden("weights", f"{name}_{view}.txt", text)


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("name", ["described", "converted"])
def test_pages_and_documents_look_as_they_did(name: str, format: str) -> None:
    text = round_digits(hide_version(drawn(ANSWERS[name], format)))
    assert matches_golden("weights", f"{name}.{SUFFIXES[format]}", text)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_no_line_is_wider_than_the_terminal(name: str, width: int, lang: str) -> None:
    assert misfits(ANSWERS[name], width, lang=lang) == []


def test_a_number_that_is_not_finite_is_not_hidden() -> None:
    text = drawn(ANSWERS["saved"], width=120)
    row = next(line for line in text.splitlines() if line.split()[:2] == ["recurrent", "(3,"])
    assert row.split()[-1] == "?"
