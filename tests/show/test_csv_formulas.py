"""No name in CSV becomes a formula in a spreadsheet, and every number stays a number."""

import csv
import io
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.show.formats import csv as renderer
from rnncli.show.page import View
from rnncli.show.visible import visible

FORMULAS = ["=1+1", "+1", "-2+3+cmd|' /C calc'!A0", "-", "@SUM(A1)", "\t=1", "\r=1", "-5,=1", '-1"', "=\n1"]
NUMBERS = ["-0.5", "-1", "-1e-05", "-2.5E+30", "-inf", "-Infinity", "0.1", "NaN", ""]


def csv_rows(*rows: tuple[Any, ...]) -> list[list[str]]:
    file = io.BytesIO()
    answer: Any = SimpleNamespace(records=lambda _: (("name", "value"), rows))
    renderer.write(answer, View(), file)
    return list(csv.reader(io.StringIO(file.getvalue().decode(), newline="")))[1:]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_gets_an_apostrophe(name: str) -> None:
    for row in ((name, "-0.5"), ("a", name), ("a", name, 1)):
        (found,) = csv_rows(row)
        assert [cell[:2] for cell in found if cell[:1] == "'"] == [f"'{visible(name[0])[0]}"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_stays_a_number(number: str) -> None:
    assert csv_rows(("=a", number), ("a", number)) == [["'=a", number], ["a", number]]


@pytest.mark.slow
@given(st.lists(st.tuples(st.text('=+-@,"\t\r1.e a', max_size=5), st.floats().map(repr)), min_size=1))
def test_any_names(rows: list[tuple[str, str]]) -> None:
    found = csv_rows(*rows)
    assert [row[1] for row in found] == [row[1] for row in rows]
    for name, _ in found:
        assert name[:1] not in set("=+-@\t\r") or float(name) < 0
