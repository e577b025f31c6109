"""Names of a file: no terminal obeys them, no spreadsheet computes them, and every format is well formed."""

import csv
import io
import json
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from command import Completed, Run
from hypothesis import given
from hypothesis import strategies as st

from rnncli.show.formats import csv as renderer
from rnncli.show.page import View
from rnncli.show.visible import escape_json, visible

NAMES = ["esc\x1b[31mred", "bell\x07", "turned\u202eround", "csi\x9b2J", "gone\x7f", "한글"]
SHOWN = [r"esc\x1b[31mred", r"bell\x07", r"turned\u202eround", r"csi\x9b2J", r"gone\x7f", "한글"]
HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A CSV file whose header is hostile."""
    path = tmp_path / "named.csv"
    header = ",".join(f'"{name}"' for name in NAMES)
    path.write_text(f"{header}\n1,2,3,4,5,6\n6,5,4,3,2,1\n", encoding="utf-8")
    return str(path)


def explanation(rnncli: Run, table: str, format: str) -> str:
    return check_harmless(rnncli("explain", "hidden_state[0,1]", table, "--seed", "1", "-f", format))


def check_harmless(done: Completed, code: int = 0) -> str:
    """Return stdout; no stream has a character that a terminal would obey."""
    assert done.returncode == code, done.stderr
    assert not HOSTILE.search(done.stdout + done.stderr)
    return done.stdout


@pytest.mark.parametrize("format", ["table", "csv", "html", "svg", "markdown"])
def test_every_format_writes_them_out(rnncli: Run, table: str, format: str) -> None:
    out = explanation(rnncli, table, format)
    if format == "svg":
        ElementTree.fromstring(out)
    if format in ("html", "svg"):
        out = unescape(re.sub(r"<[^>]*>", "", out)).replace("\xa0", " ")
    assert [name for name in SHOWN if name not in out.replace("\\\\", "\\").replace("\\[", "[")] == []


@pytest.mark.parametrize("format", ["json", "ndjson"])
def test_json_escapes_them_and_keeps_the_strings(rnncli: Run, table: str, format: str) -> None:
    held = json.dumps(json.loads(explanation(rnncli, table, format)), ensure_ascii=False)
    assert all(json.dumps(name, ensure_ascii=False)[1:-1] in held for name in NAMES)


@pytest.mark.slow
def test_a_plot_writes_them_out(rnncli: Run, table: str, tmp_path: Path) -> None:
    assert r"esc\x1b" in check_harmless(rnncli("plot", table, "--terminal", "--seed", "1"))
    check_harmless(rnncli("plot", table, "-o", str(tmp_path / "o.svg"), "--seed", "1"))
    ElementTree.parse(tmp_path / "o.svg")


def test_a_message_writes_them_out(rnncli: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad\u202e.json"
    bad.write_text('{"inp\x9b\u202euts": [[[1.0]]]}', encoding="utf-8")
    for args in (("run", str(bad)), ("run", "-l", "LSTM\u202e(3)"), ("run", "--select", "a\x1b[2J\x07")):
        assert check_harmless(rnncli(*args), 2) == ""


def test_the_name_of_a_layer_is_written_out(rnncli: Run, tmp_path: Path) -> None:
    path = tmp_path / "layer.json"
    path.write_text(json.dumps({"class_name": "LSTM", "config": {"units": 2, "name": "a\x1b[31m\u202eb"}}))
    for command, output_format in (("shape", "table"), ("run", "json"), ("trace", "svg")):
        check_harmless(rnncli(command, "-l", f"@{path}", "-f", output_format))


def test_what_is_printable_stays() -> None:
    assert visible("한글\u3000é\xa0𝄞") == "한글\u3000é\xa0𝄞"
    assert visible("a\nb", keep="\n") == "a\nb"
    assert visible("a\nb\ud800") == r"a\nb\ud800"


def test_escaped_json_reads_back_the_same() -> None:
    text = "\x7f\x9b\u202e\U000e0001\u2028é한"
    escaped = escape_json(json.dumps([text], ensure_ascii=False).encode())
    assert json.loads(escaped) == [text]
    assert not HOSTILE.search(escaped.decode())


@pytest.mark.parametrize(
    "words", [("run",), ("plot", "--terminal"), ("trace",), ("run", "-f", "html"), ("weights",)]
)
def test_what_is_assumed_writes_names_of_files_out(rnncli: Run, tmp_path: Path, words: tuple[str]) -> None:
    path, weights = tmp_path / "m.npz", np.ones((6, 3), "float32")
    arrays = {"rnn.weight_ih_l0": weights, "rnn.weight_hh_l0": weights[:, :2], "h0": weights[:1, :2]}
    held: Any = {f"{NAMES[0]}.{name}": array for name, array in arrays.items()}
    np.savez(path, **held)
    given = [] if words == ("weights",) else ["[[[1, 2, 3]]]", "--model"]
    out = check_harmless(rnncli(words[0], *given, str(path), *words[1:]))
    assert r"esc\x1b[31mred.h0" in unescape(out).replace("\u00a0", " ")


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
