"""How it is drawn: golden tables, widths that hold, formats that read back the same."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from typing import IO, Any, cast

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from looks import PAGES, check_looks, drawn, misfits
from results_by_hand import ANSWERS, STATE, of_size, result, sentence
from safetensors.numpy import load as load_safetensors

from rnncli.addresses import parse_label
from rnncli.commands.run import RunAnswer
from rnncli.errors import UsageError
from rnncli.result import NamedTensor
from rnncli.show import digits, formats, page
from rnncli.show.layout import lay_out
from rnncli.show.page import (
    Code,
    Column,
    Fold,
    Grid,
    Heading,
    Page,
    Paragraph,
    Span,
    Table,
    Variants,
    View,
    cell,
    line,
    text_of,
)

SHOWN_BY = {"checked": "run", "both_ways": "run", "masked": "run", "large": "run", "stack": "shape"}
"""The command whose answer has another name."""

HIDDEN = parse_label("hidden_state")


def pieces_written(answer: Any, format: Any, **view: Any) -> list[bytes]:
    """What the format writes, call by call."""

    class File(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            pieces.append(bytes(data))
            return len(data)

    pieces: list[bytes] = []
    formats.FORMATS[format].write(answer, View(**view), cast("IO[bytes]", File()))
    return pieces


def draw_tensor(values: Any, **view: Any) -> Any:
    """The table of one tensor of (batch, units)."""
    return drawn(RunAnswer(result(NamedTensor(HIDDEN, STATE, np.atleast_2d(values)))), **view)


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_tables_look_as_they_did(name: Any) -> None:
    pages = PAGES if name in ("run", "both_ways", "masked", "shape", "matrix") else ()
    data = (
        ("json", "csv")
        if name in ("run", "checked", "shape", "stack", "matrix", "samples", "engines")
        else ()
    )
    check_looks(SHOWN_BY.get(name, name), name, ANSWERS[name], (*pages, *data))


@pytest.mark.parametrize("name", ["shape", "samples", "engines"])
def test_what_computes_nothing_has_no_tensors(name: Any) -> None:
    with pytest.raises(UsageError, match=f"{name} returns no tensors"):
        ANSWERS[name].tensors()


MARKS = ("…", "...", "│", "|", "masked", "마스킹됨")
NUMBER = re.compile(r"-?\d+\.\d{4}(e[+-]\d\d)?|NaN|-?inf")


@given(
    batch=st.integers(1, 12), timesteps=st.integers(1, 40), units=st.integers(1, 40),
    width=st.integers(44, 200),
    scale=st.sampled_from([1e-30, 1e-4, 1.0, 3e4, 1e30]),
    full=st.booleans(), lang=st.sampled_from(["en", "ko"]), ascii=st.booleans(),
)  # fmt: skip
@pytest.mark.slow
def test_every_line_fits_and_no_number_is_cut_whatever_the_size(
    batch: Any, timesteps: Any, units: Any, width: Any, scale: Any, full: Any, lang: Any, ascii: Any
) -> None:
    answer = RunAnswer(of_size(batch, timesteps, units, "0/", scale, odd=True))
    view = {"full": full, "lang": lang, "ascii": ascii}
    assert misfits(answer, width, **view) == []
    text = drawn(answer, width=width, **view)
    assert not (ascii and lang == "en") or text.isascii()
    for row in (row for row in text.splitlines() if re.match(r"(\S+ )?\s*t=\d", row)):
        words = re.split(r"t=\d+\s+", row)[1].split()
        assert all(NUMBER.fullmatch(word) or word in MARKS for word in words), row


def test_full_shows_every_number() -> None:
    answer = RunAnswer(of_size(3, 30, 20))
    shown = re.findall(r"-?\d+\.\d{4}\b", drawn(answer, width=80, full=True))
    wanted = [f"{value:z.4f}" for tensor in answer.result.outputs for value in tensor.values.ravel().tolist()]
    assert shown == wanted


def test_a_table_in_a_pipe_is_never_cut_to_80_columns() -> None:
    assert max(len(line) for line in drawn(RunAnswer(of_size(1, 4, 12))).splitlines()) > 120
    assert "…" not in drawn(RunAnswer(of_size(1, 4, 12)))


@pytest.mark.parametrize(("values", "shown"), [
    ([0.5, -0.25], ["0.5000", "-0.2500"]),
    ([1e5, 1.0], ["1.0000e+05", "1.0000e+00"]),
    ([99999.0, 1.0], ["99999.0000", "1.0000"]),
    ([1e-4, -2e-4], ["1.0000e-04", "-2.0000e-04"]),
    ([0.0, 0.0], ["0.0000", "0.0000"]),
    ([-1e-9, 0.5], ["0.0000", "0.5000"]),
    ([np.nan, np.inf, -np.inf, 0.5], ["NaN", "inf", "-inf", "0.5000"]),
    ([np.nan, np.nan], ["NaN", "NaN"]),
])  # fmt: skip
def test_numbers_for_the_eye(values: Any, shown: Any) -> None:
    lines = draw_tensor(np.array(values, np.float32)).splitlines()
    name = next(row for row, line in enumerate(lines) if line.startswith("hidden_state"))
    heads, numbers = lines[name].split(")")[1], lines[name + 1].removeprefix("  last time step")
    assert heads.split() == [f"u{unit}" for unit in range(len(shown))]
    assert numbers.split() == shown
    assert [head.end() for head in re.finditer(r"u\d", lines[name])] == [
        number.end() for number in re.finditer(r"\S+", lines[name + 1]) if number[0] in shown
    ]


def test_precision_says_how_many_decimals() -> None:
    assert "0.21  -0.05  -0.01" in drawn(ANSWERS["run"], precision=2)
    assert "0.213100  -0.050600" in drawn(ANSWERS["run"], precision=6)


def test_what_is_left_out_is_summed_up() -> None:
    values = np.linspace(-1, 1, 900, dtype=np.float32).reshape(30, 30)
    values[3, 3], values[4, 4], values[5, 5] = np.nan, np.inf, -np.inf
    text = draw_tensor(values, width=120)
    finite = values[np.isfinite(values)].astype(float)
    assert f"min -1.0000 · mean {finite.mean():.4f} · max 1.0000 · std {finite.std():.4f}" in text
    assert "1 NaN · 1 inf · 1 -inf" in text
    assert "█" in text
    assert "min" not in draw_tensor(values[:3, :3], width=120)


# What programs read


@given(arrays(np.float32, st.tuples(st.just(1), st.integers(1, 20)), elements=st.floats(width=32)))
def test_json_keeps_every_float32_bit_for_bit(values: Any) -> None:
    document = json.loads(drawn(RunAnswer(result(NamedTensor(HIDDEN, STATE, values))), "json"))
    back = np.array(document["outputs"][0]["values"], dtype=object).astype(np.float32)
    assert _same(back, values)


@given(
    arrays(np.uint16, st.integers(1, 30)),
    st.sampled_from([np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]),
)
def test_sixteen_bit_floats_come_back_too(bits: Any, dtype: Any) -> None:
    values = bits.view(dtype)[None]
    document = json.loads(drawn(RunAnswer(result(NamedTensor(HIDDEN, STATE, values))), "json"))
    back = np.array(document["outputs"][0]["values"], dtype=object).astype(np.float64).astype(dtype)
    assert _same(back.astype(np.float32), values.astype(np.float32))


def _same(back: Any, values: Any) -> Any:
    return np.array_equal(np.isnan(back), np.isnan(values)) and np.array_equal(
        back[~np.isnan(back)].view(np.uint32), values[~np.isnan(values)].view(np.uint32)
    )


SHORT = np.array([[0.1, 3.0, 65504]])


@pytest.mark.parametrize(("values", "precision", "text"), [
    (np.array([[0.1, np.nan, np.inf, -np.inf, 16777216, 1e-45]], np.float32),
     None, '[[0.1,"NaN","Infinity","-Infinity",16777216.0,1e-45]]'),
    (SHORT.astype(np.float16), None, "[[0.1,3.0,65500.0]]"),
    (SHORT.astype(ml_dtypes.bfloat16), None, "[[0.1,3.0,65500.0]]"),
    (np.array([[0.0, -0.0]], np.float16), None, "[[0.0,-0.0]]"),
    (np.array([[0.1, 1 / 3]]), None, "[[0.1,0.3333333333333333]]"),
    (np.array([[0.1, 1 / 3]], ">f8"), None, "[[0.1,0.3333333333333333]]"),
    (np.array([[0.2348, -0.1036, -0.085]], np.float32), 2, "[[0.23,-0.1,-0.09]]"),
    (np.array([[3e38, np.nan]], np.float32), 4, '[[3e+38,"NaN"]]'),
])  # fmt: skip
def test_json_writes_the_shortest_that_reads_back(values: Any, precision: Any, text: str) -> None:
    answer = RunAnswer(result(NamedTensor(HIDDEN, STATE, values)))
    assert text in drawn(answer, "json", precision=precision)


def test_a_difference_that_is_not_finite_is_a_word() -> None:
    document = json.loads(drawn(RunAnswer(sentence(differences={"hidden_states": float("nan")})), "json"))
    assert document["differences"] == {"hidden_states": "NaN"}


@pytest.mark.sampled
@pytest.mark.parametrize("name", ANSWERS)
def test_ndjson_is_the_same_object_on_one_line(name: Any) -> None:
    line = drawn(ANSWERS[name], "ndjson")
    assert line.count("\n") == 1
    assert json.loads(line) == json.loads(drawn(ANSWERS[name], "json"))


@pytest.mark.parametrize("format", ["json", "ndjson"])
@pytest.mark.parametrize("name", ["run", "both_ways", "matrix", "odd"])
@pytest.mark.parametrize("precision", [None, 2])
def test_a_large_array_is_written_part_by_part_as_in_one_go(
    monkeypatch: pytest.MonkeyPatch, format: Any, name: Any, precision: Any
) -> None:
    answer = {**ANSWERS, "odd": RunAnswer(of_size(2, 3, 4, odd=True))}[name]
    whole = drawn(answer, format, precision=precision)
    monkeypatch.setattr(page, "TEXT_BLOCK", 2)
    pieces = pieces_written(answer, format, precision=precision)
    assert len(pieces) > 8
    assert b"".join(pieces).decode() == whole


def test_a_large_csv_is_written_part_by_part_as_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawn(ANSWERS["run"], "csv")
    monkeypatch.setattr("rnncli.show.formats.csv.ROWS_PER_WRITE", 2)
    pieces = pieces_written(ANSWERS["run"], "csv")
    assert [piece.count(b"\n") for piece in pieces[:2]] == [1, 2]
    assert b"".join(pieces).decode() == whole


def test_csv_and_json_round_the_same_number() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (40, 60)).astype(np.float16)
    answer = RunAnswer(result(NamedTensor(HIDDEN, STATE, values)))
    rows = csv.DictReader(io.StringIO(drawn(answer, "csv", precision=3)))
    written = np.array(json.loads(drawn(answer, "json", precision=3))["outputs"][0]["values"])
    assert [float(row["value"]) for row in rows] == written.ravel().tolist()


def test_csv_reads_back() -> None:
    values = np.array([[0.1, np.nan, -np.inf]], np.float32)
    text = drawn(RunAnswer(result(NamedTensor(HIDDEN, STATE, values))), "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["value"] for row in rows] == ["0.1", "NaN", "-Infinity"]
    assert rows[1] == {"name": "hidden_state", "batch": "0", "timestep": "", "unit": "1", "value": "NaN"}
    rounded = drawn(RunAnswer(result(NamedTensor(HIDDEN, STATE, values))), "csv", precision=3)
    assert "hidden_state,0,,0,0.100\n" in rounded


def test_csv_of_a_convolution_has_its_axes() -> None:
    axes = ("batch", "timesteps", "rows", "cols", "channels")
    values = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2, 1)
    text = drawn(RunAnswer(result(NamedTensor(HIDDEN, axes, values))), "csv").splitlines()
    assert (text[0], text[6]) == ("name,batch,timestep,row,col,channel,value", "hidden_state,0,1,0,1,0,5.0")


def test_without_a_seed_none_is_named() -> None:
    answer = RunAnswer(sentence(seed=None))
    assert "seed" not in drawn(answer)
    assert json.loads(drawn(answer, "json"))["seed"] is None


def test_npz_npy_and_safetensors_read_back() -> None:
    answer = ANSWERS["run"]
    wanted = answer.tensors()
    stored = np.load(io.BytesIO(drawn(answer, "npz")), allow_pickle=False)
    safe = load_safetensors(drawn(answer, "safetensors"))
    for name, values in wanted.items():
        assert stored[name].dtype == values.dtype
        assert np.array_equal(stored[name], values)
        assert np.array_equal(safe[name], values)
    single = RunAnswer(result(answer.result.outputs[0]))
    assert np.array_equal(np.load(io.BytesIO(drawn(single, "npy"))), wanted["hidden_states"])
    assert drawn(answer, "npz") == drawn(answer, "npz")


def test_npy_of_several_tensors_advises() -> None:
    with pytest.raises(UsageError, match="stores one tensor, but there are 3") as caught:
        drawn(ANSWERS["run"], "npy")
    assert "--select" in str(caught.value.advice)


def test_bfloat16_is_stored_as_float32() -> None:
    values = np.array([[0.1, 3.0]], ml_dtypes.bfloat16)
    answer = RunAnswer(result(NamedTensor(HIDDEN, STATE, values)))
    stored = np.load(io.BytesIO(drawn(answer, "npz")))["hidden_state"]
    assert stored.dtype == np.float32
    assert np.array_equal(stored, values.astype(np.float32))


@pytest.mark.parametrize("format", ["html", "svg"])
@pytest.mark.parametrize("name", ANSWERS)
def test_pages_need_no_network(name: Any, format: Any) -> None:
    text = drawn(ANSWERS[name], format)
    assert not re.search(r"(href|src)=|url\((?!#)|@import|<script", text)
    assert text == drawn(ANSWERS[name], format)
    if format == "svg":
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"


# Which formats there are


def test_the_first_form_that_fits_is_shown() -> None:
    wide, narrow = line("wide " * 9), line("narrow")
    table = Table((Column("wide " * 9),), ((cell("1"),),))
    page = Page((), (), (Variants(iter(((table,), (narrow,)))), wide))
    assert lay_out(page, View()).parts == (table, wide)
    page = Page((), (), (Variants(iter(((table,), (narrow,)))), wide))
    assert lay_out(page, View(), room=44).parts == (narrow, wide)


def test_a_form_of_lines_must_fit_whole_and_a_paragraph_always_fits() -> None:
    command = Paragraph("run --units 3", breaks="flags")
    nested = Variants(((line("a long line"),), (line("short"), command)))
    page = Page((), (), (Variants(((line("the longest line"),), (nested,))),))
    lines = {16: ["the longest line"], 15: ["a long line"], 10: ["short", "run \\", "  --units 3"]}
    for width, texts in lines.items():
        found = lay_out(page, View(width=width)).parts
        assert [
            text_of(part) for part in found if not isinstance(part, Grid | Table | Heading | Code | Fold)
        ] == texts


def test_the_first_line_of_a_long_title_is_the_title() -> None:
    title, note = (
        Paragraph("hidden: vanishes at once", "alarm", lead="hidden"),
        Paragraph("b c", mark="  1. "),
    )
    found = lay_out(Page(title, (note,)), View(width=17))
    assert found.title == (Span("hidden", "strong"), Span(": vanishes", "alarm"))
    assert found.notes == (line("  at once", "alarm"), (Span("  1. ", "dim"), Span("b c")))
    assert lay_out(Page(title), View()).title[1].text == ": vanishes at once"
    long = Paragraph("a few words and more words", mark="  1. ")
    assert [text_of(row) for row in lay_out(Page((), (long,)), View(width=22)).notes] == [
        "  1. a few words and",
        "     more words",
    ]


def test_remarks_are_broken_at_the_dots() -> None:
    found = lay_out(Page(Paragraph("one 1 · two 2 · three 3", "dim", breaks="dots")), View(width=14))
    assert (found.title, *found.notes) == (line("one 1 · two 2", "dim"), line("  three 3", "dim"))


@pytest.mark.parametrize(
    ("path", "format"),
    [("a.json", "json"), ("b/c.MD", "markdown"), ("x.txt", "table"), ("x.jsonl", "ndjson"), ("x.npz", "npz")],
)
def test_a_suffix_says_the_format(path: Any, format: Any) -> None:
    assert formats.for_output(path) == format


@pytest.mark.parametrize("path", ["a.xyz", "a", "json", ".json"])
def test_an_unknown_suffix_is_an_error_that_lists_the_known(path: Any) -> None:
    with pytest.raises(UsageError) as caught:
        formats.for_output(path)
    assert ".npz" in str(caught.value.advice)


def test_numerals_of_integers_stay_integers() -> None:
    assert digits.format_exactly(np.array([1, 2])) == ["1", "2"]
    assert digits.format_number(np.int64(3), digits.choose_style(np.array([3]), None)) == "3"
