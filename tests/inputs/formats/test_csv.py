"""CSV: headers, delimiters and decimal signs, and every way in which a table can be wrong."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from limits import processor_time
from reader_sources import complaint, inputs, source

from rnncli.errors import InputError
from rnncli.inputs import source as source_file
from rnncli.inputs.formats import ReadOptions, Source, read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_delimiter_end_and_mark(delimiter: str, end: str, mark: str) -> None:
    rows = (("a", "b c", "d"), ("1", "-2.5", "3e-1"), ("NaN", "inf", "0"))
    text = mark + end.join(delimiter.join(row) for row in rows) + end
    document: Any = read(source(text), "csv")
    np.testing.assert_array_equal(document.inputs, [[1, -2.5, 0.3], [np.nan, np.inf, 0]])
    assert document.feature_names == ("a", "b c", "d")


@pytest.mark.slow
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)))
def test_any_table_comes_back(array: Any) -> None:
    text = "\n".join(",".join(map(repr, row)) for row in array.tolist())
    np.testing.assert_array_equal(inputs(text, "csv"), array)


@pytest.mark.parametrize(("text", "options", "array", "names"), [
    ("1\n2\n5\n", {}, [[1], [2], [5]], ()),
    ("level\n1\n2\n", {}, [[1], [2]], ("level",)),
    ("1,2\n\n \n3,4", {}, [[1, 2], [3, 4]], ()),
    ('"x, y",z\n1,2\n', {}, [[1, 2]], ("x, y", "z")),
    ('"1","2"\n"3","4"\n', {}, [[1, 2], [3, 4]], ()),
    ("1;2,5\n3;4,5\n", {}, [[1, 2.5], [3, 4.5]], ()),
    ("1,5\t2\n3\t4\n", {}, [[1.5, 2], [3, 4]], ()),
    ("a;b\n1;2\n3,5;4\n", {}, [[1, 2], [3.5, 4]], ("a", "b")),
    ("inf,-Infinity\n1e308,2\n", {}, [[np.inf, -np.inf], [1e308, 2]], ()),
    ("2,5\n3\n", {"decimal": ","}, [[2.5], [3]], ()),
    ("1;2\n" * 30 + "1,5;2\n", {}, [[1, 2]] * 30 + [[1.5, 2]], ()),
    ("1\t2\n", {"delimiter": "\\t"}, [[1, 2]], ()),
    (" ".join(["1.5"] * 60_000), {"delimiter": "space"}, [[1.5] * 60_000], ()),
    ("x,id,y\n1,b,2\n3,a,4\n5,b,6\n7,a,8\n", {"batch_column": "id"}, [[[1, 2], [5, 6]], [[3, 4], [7, 8]]],
     ("x", "y")),
    ("id;x\ns.1;1,5\ns.1;2\n", {"batch_column": "id"}, [[[1.5], [2]]], ("x",)),
    ("a,1\nb,2\n", {"batch_column": "0"}, [[[1]], [[2]]], ()),
], ids=lambda value: str(value)[:30])  # fmt: skip
def test_what_is_read(text: str, options: Any, array: Any, names: Any) -> None:
    document: Any = read(source(text), "csv", ReadOptions(**options))
    assert (document.inputs.tolist(), document.feature_names) == (array, names)


def test_groups_may_differ_in_length() -> None:
    found = inputs("id,x\na,1\nb,2\na,3\n", "csv", batch_column="id")
    assert [part.tolist() for part in found] == [[[1], [3]], [[2]]]


def test_names_of_sequences_that_differ_in_case_alone() -> None:
    document: Any = read(
        source("id,x\na,1\nA,2\na,3\n\u00e4,4\n\u00c4,5\n"), "csv", ReadOptions(batch_column="id")
    )
    assert document.sequence_names == ("a", "A", "\u00e4", "\u00c4")
    assert [part.tolist() for part in document.inputs] == [[[1], [3]], [[2]], [[4]], [[5]]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_many_quoted_cells(delimiter: str) -> None:
    """The header holds no number: the rows say what separates them."""
    header = delimiter.join(f'"a{place}"' for place in range(40))
    row = delimiter.join(map(str, range(40)))
    assert inputs(f"{header}\n{row}\n", "csv").shape == (1, 40)


def test_decimal_commas_are_remarked_where_nobody_said_them() -> None:
    assert "comma as the decimal sign" in str(read(source("1;2,5\n"), "csv").remarks[0])
    assert read(source("1;2,5\n"), "csv", ReadOptions(decimal=",")).remarks == ()


@pytest.mark.parametrize("sign", ['"', "'", '",', "a,", "a\n", '"a'])
def test_the_search_for_a_delimiter_is_short(sign: str) -> None:
    with processor_time(2), suppress(InputError):
        read(source(sign * (200_000 // len(sign))), "csv")


def test_a_large_file_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source_file, "BLOCK", 40)
    rows = [[index, index / 8] for index in range(50)]
    file = tmp_path / "rows.csv"
    file.write_text("\ufeffa;b\r\n" + "".join(f"{a};{b}\r\n".replace(".", ",") for a, b in rows))
    document: Any = read(Source("rows.csv", path=file))
    assert (document.inputs.tolist(), document.feature_names) == (rows, ("a", "b"))
    found: Any = read(Source("rows.csv", path=file), options=ReadOptions(batch_column="a"))
    assert found.inputs.tolist() == [[[b]] for _, b in rows]
    with file.open("a") as more:
        more.write("1;x\n")
    with pytest.raises(InputError, match=r"line 52, column 2 \(b\): 'x'"):
        read(Source("rows.csv", path=file))
    file.write_text(file.read_text().replace("x", "2") + "1\n")
    with pytest.raises(InputError, match="line 53 has 1 column, the previous lines have 2"):
        read(Source("rows.csv", path=file))


COMMA, ID = {"decimal": ","}, {"batch_column": "id"}


@pytest.mark.parametrize(("text", "options", "said"), [
    ("t,2020\n1,2\n", {}, "line 1, column 1: 't' is not a number."),
    ("t,2020\n1,2\n", {}, "A first row that contains a number is read as data"),
    ("t,p,humidity\n\n1,2,3\n\n1,2,n/a\n", {}, "line 5, column 3 (humidity): 'n/a' is not a number."),
    ("1,2,\n3,4,\n", {}, "line 1, column 3: '' is not a number."),
    ("date,a\n2024-01-02,1\n", {}, "Leave the column out: --drop date. If it names the sequences"),
    ("the day,a\n2024-01-02 10:00,1\n", {}, "Leave the column out: --drop 'the day'. If it names"),
    ("id,day,a\n1,monday,2\n", ID, "Leave the column out: --drop day."),
    ("id,day\n1,monday\n", ID, "Give rows of numbers."),
    ("day\nmonday\n", {}, "Give rows of numbers."),
    ("1,2\n3,１\n", {}, "line 2, column 2: '１' is not a number.\nWrite its digits as 0 to 9."),
    ("1,2\n\x1c2,x\n", {}, "line 2, column 2: 'x' is not a number."),
    ("a,b\n1,2\n-1e999,inf\n", {}, "line 3, column 1 (a): -1e999 is too large a number."),
    ("1,2\n\n3\n", {}, "line 3 has 1 column, the previous lines have 2."),
    ("a,b,c\n1,2\n3,4\n", {}, "line 2 has 2 columns, the header has 3."),
    ("a,b\n", {}, "it has the header a, b and no rows."),
    ('a,b\nx"y,"2\n3,4\n', {}, "line 2 has a quote that is not closed."),
    ('a,b\n"1,5","2,5"\n', {}, "Write a decimal point"),
    ("a b\n1 2\n", {}, "--delimiter"),
    (b"1,2\n\xe9,3\n", {}, "line 2 is not UTF-8 text: byte 0xe9"),
    (b"\xff\xfe1\0,\x002\0", {}, "UTF-16"),
    ("x" * 200_000, {}, "more than 1000 characters"),
    ("\n\n", {}, "it is empty"),
    ("1;2.5\n3;4,5\n", {}, "line 2, column 2: '4,5' is not a number."),
    ("1;2,5\n3;4.5\n", {}, "line 2, column 2: '4.5' has a point, but the decimal sign is the comma"),
    ("1;2.5\n3;4,5\n", COMMA, "line 1, column 2: '2.5' has a point"),
    ("1;1.2.2020\n", COMMA, "line 1, column 2: '1.2.2020' is not a number."),
    ("1,5;0.5,1.5\n", COMMA, "line 1, column 2: '0.5,1.5' is not a number."),
    ("1;2,5\n", {"decimal": "."}, "'2,5' is not a number"),
    ("1,2\n", {**COMMA, "delimiter": ","}, "--decimal , and --delimiter , are both given"),
    ("1,2\n", {"decimal": "x"}, "--decimal 'x' is not a decimal sign"),
    ("1,2", {"delimiter": ""}, "is not one character"),
    ("id,x\na,1\n", {"batch_column": "idd"}, "there is no column 'idd'.\nDid you mean id?"),
    ("1,2\n", {"batch_column": "2"},
     "there is no header, so no column '2'.\nGive its number, counted from 0: 0 to 1."),
    ("id\na\n", ID, "no column beside"),
    ("id,x\na,1\nb\n", ID, "line 3 has 1 column"),
    ("id,x\na,1\nb,z\n", ID, "line 3, column 2 (x): 'z'"),
    ("id,id,x\n1,2,3\n", ID, "there are 2 columns 'id'"),
    ("1;2\n" * 20 + "3,4\n", {}, "line 21 has 1 column, the previous lines have 2."),  # 20 find the delimiter
], ids=lambda value: str(value)[:30])  # fmt: skip
def test_the_cell_is_named(text: Any, options: Any, said: str) -> None:
    assert said in complaint(text, "csv", **options)


@pytest.mark.parametrize("row", ["１,２", "١,٢", "\u22121,\u22122", "1_0,2_0", "NA,NA", "-,?"])
def test_a_first_row_of_data_is_not_taken_for_names(row: str) -> None:
    """It would be left out without a word."""
    assert "line 1, column 1" in complaint(f"{row}\n3,4\n", "csv")


@given(st.lists(st.text("0123456789.eE+-_infa１٣ \xa0", max_size=6), min_size=1, max_size=3))
def test_no_cell_is_told_in_another_programs_words(cells: Any) -> None:
    try:
        inputs("1,2,3\n" + ",".join((cells * 3)[:3]) + "\n", "csv")
    except InputError as error:
        assert "convert" not in str(error)  # noqa: PT017 - some of them are numbers
