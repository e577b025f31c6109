"""Bytes of every format to a Document, and every way in which they can be wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from limits import processor_time

from rnncli.case import SavedLayer
from rnncli.errors import EngineError, InputError, RnncliError, UsageError
from rnncli.readers.formats import (
    ReadOptions,
    Source,
    format_of,
    formats,
    read,
    read_states,
    read_tensor,
    read_weights,
    sniff,
)
from rnncli.readers.models import _keras_file, weights_only
from rnncli.readers.models import keras as keras_models


def source(text: str | bytes, name: str = "notes.json") -> Source:
    return Source(name, text if isinstance(text, bytes) else text.encode())


def inputs(text: str | bytes, format: str = "json", **options: str) -> Any:
    return read(source(text), format, ReadOptions(**options)).inputs


def complaint(text: str | bytes, format: str = "json", **options: str) -> str:
    with pytest.raises(RnncliError) as caught:
        read(source(text), format, ReadOptions(**options))
    assert caught.value.exit_code == 2
    return str(caught.value)


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz_bytes(*arrays: np.ndarray, **named: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, *arrays, **named)
    return buffer.getvalue()


class TestJson:
    @given(
        hnp.arrays(
            st.sampled_from([np.float32, np.float64, np.int64]),
            hnp.array_shapes(min_dims=1, max_dims=5, max_side=4),
        )
    )
    def test_any_array_comes_back(self, array: Any) -> None:
        found = inputs(json.dumps(_quoted(array.tolist())))
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, array.astype(np.float64))

    def test_words_stand_for_what_json_cannot_write(self) -> None:
        np.testing.assert_array_equal(
            inputs('[["NaN", "Infinity", "-Infinity", 1]]'), [[np.nan, np.inf, -np.inf, 1]]
        )

    def test_only_time_may_differ(self) -> None:
        first, second = inputs("[[[1, 2], [3, 4]], [[5, 6]]]")
        assert first.tolist() == [[1, 2], [3, 4]]
        assert second.tolist() == [[5, 6]]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[[1, true]]", "notes.json: [0][1] is true, not a number."),
            ("[[true, false]]", "notes.json: [0][0] is true, not a number."),
            ("[[[1, 2], [1, null]]]", "notes.json: [0][1][1] is null, not a number."),
            ('[[1, "1.5"]]', 'notes.json: [0][1] is the text "1.5", not a number.'),
            ('[[1, "nan"]]', 'notes.json: [0][1] is the text "nan", not a number.'),
            ("[[1, {}]]", "notes.json: [0][1] is an object, not a number.\nWrite a number."),
            ("[[1, 2], 3]", "notes.json: [1] is the number 3, where [0] is a list of 2."),
            ("[[1, 2], [3, [4]]]", "notes.json: [1][1] is a list of 1, not a number."),
            ("[[[1, 2, 3, 4, 5], [1, 2, 3, 4]]]", "notes.json: [0][0] has 5 numbers, [0][1] has 4."),
            ("[[[1, 2]], [[1, 2], [1]]]", "notes.json: [0][0] has 2 numbers, [1][1] has 1."),
            ("[[[1, 2], [3, 4]], [[1, 2, 3]]]", "notes.json: [0][0] has 2 numbers, [1][0] has 3."),
            ("[[[[1]]], [[[1]], [[2]]]]", "notes.json: [0] has 1 lists, [1] has 2."),
            ("[]", "notes.json: the document is an empty list."),
            ("[[[1]], []]", "notes.json: [1] is an empty list."),
            ("[[[1]], [[]]]", "notes.json: [1][0] is an empty list."),
            ("5", "notes.json: the document is the number 5"),
            ("null", "notes.json: the document is null"),
            ("  \n", "notes.json: it is empty."),
            ("", "notes.json: it is empty."),
            ("[1, NaN]", "notes.json: line 1, column 5: JSON has no NaN."),
            ("[1,\n -Infinity]", "notes.json: line 2, column 2: JSON has no -Infinity."),
            ("[1, Infinity]", "notes.json: line 1, column 5: JSON has no Infinity."),
            ("[1, 1e999]", "1e999 is too large a number."),
            ("[[1.0,2],\n [3,,4]]", "notes.json: line 2, column 5: "),
            ("[[1.0,2],\n [3,,4]]", "found `,4]]`"),
            ("[[1, 2], [3", "notes.json: line 1, column 12: unexpected end of input."),
            ("[[1]]\n[[2]]", "--input-format ndjson"),
            ("[" * 33 + "1" + "]" * 33, "is nested deeper than 32 lists"),
            ("[" * 64 + "1" + "]" * 64, "is nested deeper than 32 lists"),
            ("[" * 65 + "1" + "]" * 65, "notes.json: line 1, column 65: it is nested more than 64 levels"),
            ('{"inputs":\n"a[\\"[", "a": ' + '{"a": ' * 900 + "1" + "}" * 901, "notes.json: line 2, column "),
            ("[" * 900 + "1" + "]" * 900, "notes.json: line 1, column 65: it is nested more"),
            ("[[1], " + "[" * 60 + "]" * 60 + "]", "notes.json: [1][0] is a list of 1, not a number."),
            ("[" * 100_000, "line 1, column 65: it is nested more than 64"),
            ("[[1]]".encode("utf-16"), "UTF-16"),
            ("[[1]]".encode("utf-16-le"), "UTF-16"),
            (b'[["\xff"]]', "UTF-8"),
        ],
    )
    def test_a_bad_place_is_named(self, text: Any, said: Any) -> None:
        assert said in complaint(text)

    def test_a_byte_order_mark_is_no_fault(self) -> None:
        assert inputs(b"\xef\xbb\xbf[[1]]").tolist() == [[1]]

    def test_large_whole_numbers_are_numbers(self) -> None:
        assert inputs(f"[[{2**70}, {-(2**60)}]]").tolist() == [[2.0**70, -(2.0**60)]]


def _quoted(value: Any) -> Any:
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    if value != value:
        return "NaN"
    return value if abs(value) != np.inf else "Infinity" if value > 0 else "-Infinity"


class TestCaseDocument:
    def test_every_part(self) -> None:
        document: Any = read(
            source(
                json.dumps(
                    {
                        "layer": "Bidirectional(GRU(1))",
                        "inputs": [[[1, 2]]],
                        "mask": [[True]],
                        "initial_state": [[[0]], [[1]]],
                        "weights": {"forward": {"kernel": [[1, 2]]}, "backward/bias": [3]},
                        "seed": 42,
                        "training": False,
                    }
                )
            ),
            "json",
        )
        assert document.layer == "Bidirectional(GRU(1))"
        assert document.inputs.tolist() == [[[1, 2]]]
        assert document.mask == [[True]]
        assert [state.tolist() for state in document.initial_state] == [[[0]], [[1]]]
        assert {name: array.tolist() for name, array in document.weights.items()} == {
            "forward/kernel": [[1, 2]],
            "backward/bias": [3],
        }
        assert document.seed == 42
        assert document.training is False

    def test_states_by_name(self) -> None:
        text = '{"inputs": [[1]], "initial_state": {"last_hidden_state": [[1]]}}'
        assert read(source(text), "json").initial_state["last_hidden_state"].tolist() == [[1]]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"input": [[1]]}', "there is no key 'input' in a case document.\nDid you mean inputs?"),
            ('{"layer": "GRU(1)"}', "notes.json: the case document has no inputs."),
            ("{}", "notes.json: the case document has no inputs."),
            ('{"inputs": [[1, "x"]]}', 'notes.json: inputs[0][1] is the text "x"'),
            ('{"inputs": [[1]], "seed": true}', "notes.json: seed is true."),
            ('{"inputs": [[1]], "seed": -1}', "notes.json: seed is the number -1."),
            ('{"inputs": [[1]], "seed": 1.0}', "notes.json: seed is the number 1.0."),
            ('{"inputs": [[1]], "training": 1}', "notes.json: training is the number 1."),
            ('{"inputs": [[1]], "layer": 3}', "notes.json: layer is the number 3."),
            ('{"inputs": [[1]], "layer": ' + "[" * 50 + "]" * 50 + "}", "layer is nested more"),
            ('{"inputs": [[1]], "weights": [1]}', "notes.json: weights is not an object"),
            ('{"inputs": [[1]], "weights": {"a": {"b": [1, null]}}}', "notes.json: weights/a/b[1] is null"),
            ('{"inputs": [[1]], "initial_state": [[0], [true]]}', "notes.json: initial_state[1][0] is true"),
            ('{"inputs": [[1]], "initial_state": 0}', "notes.json: initial_state is the number 0"),
            (
                '{"inputs": [[1]], "inputs": [[2]]}',
                "notes.json: the key 'inputs' appears twice in one object.",
            ),
            ('{"inputs" :[[1]],\n"inputs"\n: [[2]]}', "notes.json: the key 'inputs' appears twice"),
            ('{"inputs": [[1]], "weights": {"a": [1], "a": [2]}}', "notes.json: the key 'a' appears twice"),
            ('[[1, {"a": 1, "a": 2}]]', "notes.json: the key 'a' appears twice"),
        ],
    )
    def test_a_bad_part_is_named(self, text: Any, said: Any) -> None:
        assert said in complaint(text)

    @pytest.mark.parametrize("name", ["a", '": ', '"', "\\", ':"'])
    def test_a_key_in_a_text_is_no_second_key(self, name: Any) -> None:
        text = json.dumps({"inputs": [[1]], "layer": f'{name}": 1, "inputs": "'})
        assert read(source(text), "json").layer.startswith(name)

    @pytest.mark.parametrize("where", ["weights", "initial_state"])
    def test_advice_is_not_of_inputs(self, where: Any) -> None:
        value = {"foo": 1} if where == "weights" else [[1], 1]
        said = complaint(json.dumps({"inputs": [[1]], where: value}))
        assert "a vector [0.1, 4.2]" in said
        assert "list a sequence" not in said

    def test_own_output_is_taken_up(self) -> None:
        output = {
            "schema": "rnncli/1",
            "outputs": [
                {"name": "hidden_states", "shape": [1, 2, 1], "values": [[[1], ["NaN"]]]},
                {"name": "last_hidden_state", "values": [[2]]},
            ],
        }
        document = read(source(json.dumps(output)), "json")
        np.testing.assert_array_equal(document.inputs, [[[1], [np.nan]]])
        assert document.remarks == ("took hidden_states (1, 2, 1) from rnncli's own output",)
        states: Any = read_states(source(json.dumps(output)), "json")
        assert list(states) == ["last_hidden_state"]

    @pytest.mark.parametrize("schema", ["rnncli/2", None, 1])
    def test_another_schema_is_not(self, schema: Any) -> None:
        assert "notes.json: its schema is" in complaint(json.dumps({"schema": schema}))

    @pytest.mark.parametrize(
        "outputs", [None, [], {}, [1], [{"values": [[1]]}], [{"name": 1, "values": [[1]]}]]
    )
    def test_output_without_tensors_is_not(self, outputs: Any) -> None:
        text = json.dumps({"schema": "rnncli/1", "outputs": outputs})
        assert "notes.json: it is rnncli's own output, without outputs." in complaint(text)
        with pytest.raises(InputError, match="without outputs"):
            read_states(source(text), "json")


class TestNdjson:
    def test_lines_are_a_batch(self) -> None:
        assert inputs("[[1, 2]]\n\n[[3, 4]]\n", "ndjson").tolist() == [[[1, 2]], [[3, 4]]]

    def test_batches_are_joined(self) -> None:
        assert inputs("[[[1]], [[2]]]\n[[3]]", "ndjson").tolist() == [[[1]], [[2]], [[3]]]

    def test_lines_may_differ_in_time(self) -> None:
        assert [part.tolist() for part in inputs("[[1], [2]]\n[[3]]", "ndjson")] == [[[1], [2]], [[3]]]

    def test_files_that_were_joined(self) -> None:
        assert inputs(b"\xef\xbb\xbf[[1]]\n\xef\xbb\xbf[[2]]\n", "ndjson").tolist() == [[[1]], [[2]]]

    def test_one_object_is_a_document(self) -> None:
        assert read(source('{"inputs": [[1]], "seed": 3}'), "ndjson").seed == 3

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[[1]]\n[[1,]]", "notes.json: line 2, column 4"),
            ("[[1]]\n[[null]]", "notes.json: line 2: [0][0] is null"),
            ("[[1]]\n[[1, 2]]", "sequence [0] has 1 features, [1] has 2"),
            ("[1]\n", "line 1: it is 1-D"),
            ('{"inputs": [[1]]}\n{"inputs": [[1]]}', "With --stream each line is its own record"),
            ("\ufeff", "it is empty"),
            ("\ufeff\ufeff\n", "it is empty"),
        ],
    )
    def test_the_line_is_named(self, text: Any, said: Any) -> None:
        assert said in complaint(text, "ndjson")


class TestCsv:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_every_delimiter_end_and_mark(self, delimiter: Any, end: Any, mark: Any) -> None:
        rows = (("a", "b c", "d"), ("1", "-2.5", "3e-1"), ("NaN", "inf", "0"))
        text = mark + end.join(delimiter.join(row) for row in rows) + end
        document: Any = read(source(text), "csv")
        np.testing.assert_array_equal(document.inputs, [[1, -2.5, 0.3], [np.nan, np.inf, 0]])
        assert document.feature_names == ("a", "b c", "d")

    @given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)))
    def test_any_table_comes_back(self, array: Any) -> None:
        text = "\n".join(",".join(map(repr, row)) for row in array.tolist())
        np.testing.assert_array_equal(inputs(text, "csv"), array)

    @pytest.mark.parametrize(
        ("text", "shape", "names"),
        [
            ("1\n2\n5\n", (3, 1), ()),
            ("level\n1\n2\n", (2, 1), ("level",)),
            ("1,2\n\n \n3,4", (2, 2), ()),
            ('"x, y",z\n1,2\n', (1, 2), ("x, y", "z")),
            ('"1","2"\n"3","4"\n', (2, 2), ()),
            ("1;2,5\n3;4,5\n", (2, 2), ()),
            ("1,5\t2\n3\t4\n", (2, 2), ()),
            ("a;b\n1;2\n3,5;4\n", (2, 2), ("a", "b")),
        ],
    )
    def test_header_or_not(self, text: Any, shape: Any, names: Any) -> None:
        document: Any = read(source(text), "csv")
        assert document.inputs.shape == shape
        assert document.feature_names == names

    def test_a_row_with_a_number_is_no_header(self) -> None:
        said = complaint("t,2020\n1,2\n", "csv")
        assert "line 1, column 1: 't' is not a number." in said
        assert "A first row with a number in it is data" in said

    @pytest.mark.parametrize(
        ("text", "options", "array"),
        [
            ("1;2,5\n3;4,5\n", {}, [[1, 2.5], [3, 4.5]]),
            ("2,5;-1\n,5;1,5e1\n", {}, [[2.5, -1], [0.5, 15]]),
            ("1,5|2\n3|4\n", {}, [[1.5, 2], [3, 4]]),
            ("id;x\ns.1;1,5\ns.1;2\n", {"batch_column": "id"}, [[[1.5], [2]]]),
            ("2,5\n3\n", {"decimal": ","}, [[2.5], [3]]),
            ("1 2,5\n3 4\n", {"decimal": ",", "delimiter": "space"}, [[1, 2.5], [3, 4]]),
            ("1;2\n" * 30 + "1,5;2\n", {}, [[1, 2]] * 30 + [[1.5, 2]]),
        ],
    )
    def test_decimal_commas(self, text: Any, options: Any, array: Any) -> None:
        assert inputs(text, "csv", **options).tolist() == array

    def test_decimal_commas_are_remarked_where_nobody_said_them(self) -> None:
        assert "comma as the decimal sign" in read(source("1;2,5\n"), "csv").remarks[0]
        assert read(source("1;2,5\n"), "csv", ReadOptions(decimal=",")).remarks == ()

    @pytest.mark.parametrize(
        ("text", "options", "said"),
        [
            ("1;2,5\n3;4.5\n", {}, "line 1, column 2: '2,5' is not a number."),
            ("1;1.234,5\n", {}, "line 1, column 2: '1.234,5' is not a number."),
            ("1;2.5\n3;4,5\n", {"decimal": ","}, "line 1, column 2: '2.5' has a point"),
            ("1;2,5\n", {"decimal": "."}, "'2,5' is not a number"),
            ("1,2\n", {"decimal": ",", "delimiter": ","}, "--decimal , and --delimiter , are both given"),
            ("1,2\n", {"decimal": "x"}, "--decimal 'x' is not a decimal sign"),
        ],
    )
    def test_what_is_no_decimal_comma(self, text: Any, options: Any, said: Any) -> None:
        assert said in complaint(text, "csv", **options)

    @pytest.mark.parametrize("sign", ['"', "'", '",', "a,", "a\n", '"a'])
    def test_the_search_for_a_delimiter_is_short(self, sign: Any) -> None:
        with processor_time(2), suppress(InputError):
            read(source(sign * (200_000 // len(sign))), "csv")

    def test_a_large_file_is_read_in_pieces(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        from rnncli.readers import encoding as _text

        monkeypatch.setattr(_text, "AT_ONCE", 40)
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
        file.write_text(file.read_text() + "1\n")
        with pytest.raises(InputError, match="line 53 has 1 column, the lines before have 2"):
            read(Source("rows.csv", path=file))

    @pytest.mark.parametrize("name", ["space", " "])
    def test_a_delimiter_by_name(self, name: Any) -> None:
        assert inputs("1 2\n3 4\n", "csv", delimiter=name).tolist() == [[1, 2], [3, 4]]

    def test_tab_in_three_spellings(self) -> None:
        for name in ("tab", "\\t", "\t"):
            assert inputs("1\t2\n", "csv", delimiter=name).tolist() == [[1, 2]]

    @pytest.mark.parametrize("name", ["", ",,", '"'])
    def test_no_delimiter(self, name: Any) -> None:
        with pytest.raises(UsageError, match="is not one character"):
            inputs("1,2", "csv", delimiter=name)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("t,p,humidity\n\n1,2,3\n\n1,2,n/a\n", "line 5, column 3 (humidity): 'n/a' is not a number."),
            ("1,n/a\n3,4\n", "line 1, column 2: 'n/a' is not a number."),
            ("1,2\n\n3\n", "line 3 has 1 column, the lines before have 2."),
            ("1,2\n3,4,5\n", "line 2 has 3 columns, the lines before have 2."),
            ("a,b,c\n1,2\n3,4\n", "line 2 has 2 columns, the header has 3."),
            ("a,b\n1,2,3\n", "line 2 has 3 columns, the header has 2."),
            ("1,2,\n3,4,\n", "line 1, column 3: '' is not a number."),
            ("a,b\n", "it has the header a, b and no rows."),
            ('a,b\nx"y,"2\n3,4\n', "line 2 has a quote that is not closed."),
            ("1,inf\n1e,1\n", "line 2, column 1: '1e' is not a number."),
            ('a,b\n1,"2\n3",4\n', "line 2 has a quote that is not closed."),
            ('a,b\n"1,5","2,5"\n', "Write a decimal point"),
            ("a b\n1 2\n", "--delimiter"),
            (b"1,2\n\xe9,3\n", "line 2 is not UTF-8 text: byte 0xe9"),
            (b"\xff\xfe1\0,\x002\0", "UTF-16"),
            ("x" * 200_000, "more than 1000 characters"),
            ("\n\n", "it is empty"),
            ("1,2\n3,1e400\n", "line 2, column 2: 1e400 is too large a number."),
            ("a,b\n1,2\n-1e999,inf\n", "line 3, column 1 (a): -1e999 is too large a number."),
            ("1,2\n3,１\n", "line 2, column 2: '１' is not a number.\nWrite its digits as 0 to 9."),
            ("1,2\n1_0,4\n", "line 2, column 1: '1_0' is not a number."),
        ],
    )
    def test_the_cell_is_named(self, text: Any, said: Any) -> None:
        assert said in complaint(text, "csv")

    def test_infinity_is_a_word(self) -> None:
        np.testing.assert_array_equal(inputs("inf,-Infinity\n1e308,2\n", "csv")[0], [np.inf, -np.inf])

    @given(st.lists(st.text("0123456789.eE+-_infa１٣ \xa0", max_size=6), min_size=1, max_size=3))
    def test_no_cell_is_told_in_another_programs_words(self, cells: Any) -> None:
        try:
            inputs("1,2,3\n" + ",".join((cells * 3)[:3]) + "\n", "csv")
        except InputError as error:
            assert "convert" not in str(error)  # noqa: PT017 - some of them are numbers

    def test_a_batch_column_groups_rows(self) -> None:
        document: Any = read(
            source("x,id,y\n1,b,2\n3,a,4\n5,b,6\n7,a,8\n"), "csv", ReadOptions(batch_column="id")
        )
        assert document.inputs.tolist() == [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]
        assert document.feature_names == ("x", "y")

    def test_groups_may_differ_in_length(self) -> None:
        found = inputs("id,x\na,1\nb,2\na,3\n", "csv", batch_column="id")
        assert [part.tolist() for part in found] == [[[1], [3]], [[2]]]

    def test_a_batch_column_by_number(self) -> None:
        assert inputs("a,1\nb,2\n", "csv", batch_column="0").tolist() == [[[1]], [[2]]]

    @pytest.mark.parametrize(
        ("text", "column", "said"),
        [
            ("id,x\na,1\n", "idd", "there is no column 'idd'.\nDid you mean id?"),
            ("1,2\n", "id", "there is no header"),
            ("1,2\n", "2", "0 to 1"),
            ("id\na\n", "id", "no column beside"),
            ("id,x\na,1\nb\n", "id", "line 3 has 1 column"),
            ("id,x\na,1\nb,z\n", "id", "line 3, column 2 (x): 'z'"),
        ],
    )
    def test_a_bad_batch_column(self, text: Any, column: Any, said: Any) -> None:
        assert said in complaint(text, "csv", batch_column=column)


class TestArrays:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint32", ">f4"])
    def test_npy(self, dtype: Any) -> None:
        array = np.arange(6).reshape(2, 3).astype(dtype)
        np.testing.assert_array_equal(inputs(npy_bytes(array), "npy"), array)

    def test_npz_by_name_or_alone(self) -> None:
        one, two = np.ones((1, 2, 3)), np.zeros((1, 2))
        assert inputs(npz_bytes(anything=one), "npz").shape == (1, 2, 3)
        assert inputs(npz_bytes(other=two, inputs=one), "npz").shape == (1, 2, 3)
        document = read(source(npz_bytes(x=one, mask=two == 0)), "npz")
        assert document.mask.tolist() == [[True, True]]

    def test_safetensors(self) -> None:
        from safetensors.numpy import save

        document: Any = read(
            source(save({"x": np.ones((1, 2, 3)), "mask": np.ones((1, 2), bool)})), "safetensors"
        )
        assert document.inputs.shape == (1, 2, 3)
        assert document.mask.tolist() == [[True, True]]

    @pytest.mark.parametrize("array", [np.array([True]), np.array([1j]), np.array(["a"]), np.zeros((0, 3))])
    def test_what_is_not_numbers(self, array: Any) -> None:
        assert "notes.json: " in complaint(npy_bytes(array), "npy")
        assert "inputs" in complaint(npz_bytes(inputs=array), "npz")

    @pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "h5"])
    def test_an_empty_file_is_no_text(self, format: Any) -> None:
        with pytest.raises(InputError, match=r"(?s)it is empty.*Write.*with (numpy|safetensors|model)"):
            read_weights(source(b""), format)

    @pytest.mark.parametrize(
        ("package", "format", "data"),
        [
            ("safetensors.numpy", "safetensors", b"x"),
            ("h5py", "h5", b"x"),
            ("orjson", "json", b"[[1]]"),
        ],
    )
    def test_a_missing_package_is_named(
        self, monkeypatch: pytest.MonkeyPatch, package: Any, format: Any, data: Any
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(EngineError, match=f"(?s){package.split('.')[0]} is not installed.*pip install"):
            read_weights(source(data), format)

    def test_pickles_stay_closed(self) -> None:
        objects = np.array([{"a": 1}], dtype=object)
        assert "Python objects" in complaint(npy_bytes(objects), "npy")
        assert "Python objects" in complaint(npz_bytes(objects), "npz")
        call = npy_bytes(np.ones(1)).replace(b"'descr': '<f8'", b"'descr': open()")
        assert "it is not a valid .npy file" in complaint(call, "npy")

    def test_several_arrays_are_named(self) -> None:
        assert "a (2,), b (3,)" in complaint(npz_bytes(a=np.ones(2), b=np.ones(3)), "npz")

    @pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "h5"])
    def test_broken_files(self, format: Any) -> None:
        from safetensors.numpy import save

        whole = {
            "npy": npy_bytes(np.ones(900)),
            "npz": npz_bytes(np.ones(900)),
            "h5": npz_bytes(np.ones(9)),
        }
        data = whole.get(format) or save({"a": np.ones(900)})
        for cut in (1, 4, 8, 9, 12, 60, 130, len(data) // 2, len(data) - 1):
            with pytest.raises(InputError, match=r"^notes\.json: "):
                read_weights(source(data[:cut]), format)
            with pytest.raises(InputError, match=r"^notes\.json: "):
                read(source(data[:cut]), format)

    @given(st.binary(min_size=1, max_size=200), st.sampled_from(formats()))
    def test_rubbish_is_refused_in_words(self, data: Any, format: Any) -> None:
        starts = {"npy": b"\x93NUMPY\x01\x00", "npz": b"PK\x03\x04", "h5": b"\x89HDF\r\n\x1a\n"}
        for content in (data, starts.get(format, b"[") + data):
            for reader in (read, read_weights, read_states, read_tensor):
                try:
                    reader(source(content), format)
                except RnncliError as error:
                    assert error.what.startswith("notes.json: ")  # noqa: PT017 - rubbish may also be read

    def test_a_mark_and_nothing_else(self) -> None:
        assert "it has no rows" in complaint(b"\xef\xbb\xbf", "csv")

    def test_a_header_that_promises_too_much(self) -> None:
        data = npy_bytes(np.ones(4)).replace(b"(4,), }" + b" " * 12, b"(4000000000000,), }")
        assert b"4000000000000" in data
        assert "truncated" in complaint(data, "npy")


class TestOtherInputs:
    def test_weights_of_every_format(self) -> None:
        from safetensors.numpy import save

        kernel = np.arange(4.0).reshape(2, 2)
        sources: dict[str, str | bytes] = {
            "json": json.dumps({"forward": {"kernel": kernel.tolist()}}),
            "npz": npz_bytes(**{"forward/kernel": kernel}),
            "safetensors": save({"forward/kernel": kernel}),
        }
        for format, data in sources.items():
            found: Any = read_weights(source(data), format)
            assert list(found) == ["forward/kernel"]
            np.testing.assert_array_equal(found["forward/kernel"], kernel)

    def test_weights_of_a_case_document(self) -> None:
        text = '{"inputs": [[1]], "weights": {"bias": [1]}}'
        assert list(read_weights(source(text), "json")) == ["bias"]

    @pytest.mark.parametrize("text", ["[1]", "{}", '{"kernel": 1}', '{"kernel": [[1], [1, 2]]}'])
    def test_no_weights(self, text: Any) -> None:
        with pytest.raises(InputError, match=r"^notes\.json: "):
            read_weights(source(text), "json")

    def test_a_mask(self) -> None:
        assert read_tensor(source("[[true, false]]"), "json") == [[True, False]]
        assert read_tensor(source('{"mask": [[1]]}'), "json") == [[1]]
        assert read_tensor(source(npz_bytes(mask=np.ones((1, 2), bool), x=np.ones(2))), "npz").shape == (1, 2)
        assert read_tensor(source("1,0\n"), "csv").tolist() == [[1, 0]]
        with pytest.raises(InputError, match="no mask"):
            read_tensor(source(npz_bytes(a=np.ones(2), b=np.ones(2))), "npz")

    def test_states(self) -> None:
        states: Any = read_states(source("[[[1, 2]], [[3, 4]]]"), "json")
        assert [state.tolist() for state in states] == [[[1, 2]], [[3, 4]]]
        by_place: Any = read_states(source(npz_bytes(np.ones((1, 2)), np.zeros((1, 2)))), "npz")
        assert [state.tolist() for state in by_place] == [[[1, 1]], [[0, 0]]]
        named: Any = read_states(source(npz_bytes(last_hidden_state=np.ones((1, 2)))), "npz")
        assert named["last_hidden_state"].shape == (1, 2)
        assert len(read_states(source(npy_bytes(np.ones((1, 2)))), "npy")) == 1
        with pytest.raises(InputError, match=r"notes\.json: \[1\]\[0\] is true"):
            read_states(source("[[1], [true]]"), "json")


class TestRegistry:
    def test_every_format_by_its_suffix(self) -> None:
        suffixes = {
            ".json": "json",
            ".ndjson": "ndjson",
            ".jsonl": "ndjson",
            ".csv": "csv",
            ".tsv": "csv",
            ".npy": "npy",
            ".npz": "npz",
            ".safetensors": "safetensors",
            ".keras": "h5",
            ".h5": "h5",
            ".weights.h5": "h5",
        }
        assert {suffix: format_of(Path(f"folder.x/name{suffix}")) for suffix in suffixes} == suffixes
        assert set(formats()) == set(suffixes.values())
        assert format_of(Path("UPPER.CSV")) == "csv"

    def test_an_unknown_suffix(self) -> None:
        with pytest.raises(InputError, match=r"(?s)suffix \.jsn is not known.*Did you mean \.json\?"):
            format_of(Path("notes.jsn"))
        with pytest.raises(InputError, match="it has no suffix"):
            format_of(Path("notes"))

    def test_a_format_by_any_name(self) -> None:
        for name in ("json", "JSON", ".json"):
            assert inputs("[[1]]", name).tolist() == [[1]]
        assert inputs("1\t2", "tsv").tolist() == [[1, 2]]
        with pytest.raises(InputError, match=r"(?s)no input format 'jsson'.*Did you mean json"):
            inputs("[[1]]", "jsson")

    @pytest.mark.parametrize(
        ("data", "format"),
        [
            (b" \n[1", "json"),
            (b"\xef\xbb\xbf{", "json"),
            (b"", "json"),
            (b"5", "json"),
            (b"null", "json"),
            (b"1,2\n", "csv"),
            (b"-1\n2\n", "csv"),
            (b'"a","b"\n1,2\n', "csv"),
            (b"temperature\n1\n", "csv"),
            (b"level\n1\n", "csv"),
            (b".5;1\n", "csv"),
            (b"NaN\n", "csv"),
        ],
    )
    def test_sniffing(self, data: Any, format: Any) -> None:
        assert sniff(data) == format

    def test_standard_input_is_sniffed(self) -> None:
        assert read(Source("standard input", b"a,b\n1,2\n")).feature_names == ("a", "b")
        np.testing.assert_array_equal(read(Source("standard input", b"[[1]]")).inputs, [[1]])

    def test_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "notes.json"
        path.write_text("[[1]]")
        np.testing.assert_array_equal(read(Source(path.name, path=path)).inputs, [[1]])
        with pytest.raises(InputError, match=r"(?s)note\.json: there is no such.*mean notes\.json"):
            read(Source("note.json", path=tmp_path / "note.json"))
        with pytest.raises(InputError, match="There is no folder"):
            read(Source("x/a.json", path=tmp_path / "x" / "a.json"))
        (tmp_path / "folder.json").mkdir()
        with pytest.raises(InputError, match=r"folder\.json: it is a folder"):
            read(Source("folder.json", path=tmp_path / "folder.json"))

        def refuse(self: Path) -> None:
            raise PermissionError

        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(InputError, match=r"notes\.json: permission denied"):
            read(Source("notes.json", path=path))

    def test_the_registry_waits_with_heavy_imports(self) -> None:
        heavy = "numpy", "h5py", "orjson", "safetensors", "tensorflow"
        program = (
            "import sys, rnncli.readers.formats, rnncli.readers.arrange; "
            "import rnncli.specs.shapes, rnncli.readers.sample_files; "
            f"print([name for name in {heavy} if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_a_model_is_read_without_tensorflow(self, models: Any) -> None:
        program = (
            "import sys; from pathlib import Path; from rnncli.readers.formats import *; "
            f"read_weights(Source('m', path=Path({str(models / 'stack.weights.h5')!r}))); "
            "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False False"


def _models(keras: Any) -> dict[str, Any]:
    layers = keras.layers
    entry = keras.Input((4, 5))
    x = layers.LSTM(3, return_sequences=True, name="zeta")(entry)
    x = layers.GRU(2, name="alpha")(x)
    gru = layers.GRU(2, return_sequences=True)
    return {
        "lstm": keras.Sequential([keras.Input((4, 5)), layers.LSTM(3)]),
        "no_bias": keras.Sequential([keras.Input((4, 5)), layers.SimpleRNN(3, use_bias=False)]),
        "bidirectional": keras.Sequential([keras.Input((4, 5)), layers.Bidirectional(gru), layers.Dense(2)]),
        "stack": keras.Sequential(
            [
                keras.Input((4, 5)),
                layers.LSTM(3, return_sequences=True),
                layers.Dense(4),
                layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
                *(layers.GRU(2, return_sequences=True, reset_after=index % 2 == 0) for index in range(11)),
                layers.SimpleRNN(2, name="forward_last"),
            ]
        ),
        "functional": keras.Model(entry, layers.Dense(1)(x)),
        "nested": keras.Sequential(
            [
                keras.Input((4, 5)),
                layers.LSTM(3, return_sequences=True),
                keras.Sequential([keras.Input((4, 3)), layers.GRU(2), layers.Dense(2)]),
            ]
        ),
        "convolutional": keras.Sequential([keras.Input((3, 8, 2)), layers.ConvLSTM1D(2, 3)]),
        "cells": keras.Sequential(
            [
                keras.Input((4, 5)),
                layers.TimeDistributed(layers.Dense(2)),
                layers.RNN([layers.LSTMCell(3, dropout=0.5), layers.GRUCell(2)], return_sequences=True),
                layers.Bidirectional(
                    layers.LSTM(2, return_sequences=True),
                    backward_layer=layers.GRU(3, return_sequences=True, go_backwards=True),
                ),
                layers.Bidirectional(layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])),
            ]
        ),
        "words": keras.Sequential(
            [
                keras.Input((4,)),
                layers.Embedding(9, 5),
                layers.Dropout(0.5),
                layers.BatchNormalization(),
                layers.LSTM(3, dropout=0.5),
                layers.Dense(1),
            ]
        ),
    }


NAMES = (
    "lstm", "no_bias", "bidirectional", "stack", "functional", "nested", "convolutional", "cells", "words",
)  # fmt: skip


def _weighted(keras: Any, model: Any) -> dict[str, Any]:
    """Every layer's weights by its name, in the model's order."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= _weighted(keras, layer)
        elif layer.weights:
            found[layer.name] = layer.get_weights()
    return found


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def models(keras: Any, tmp_path_factory: Any) -> Any:
    """A folder of models in all three forms, and beside each its weights as Keras has them."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in _models(keras).items():
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        model.save(folder / f"{name}.h5")
        arrays = {
            f"{layer}/{index}": array
            for layer, weights in _weighted(keras, model).items()
            for index, array in enumerate(weights)
        }
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


def read_layers(source: Source) -> tuple[SavedLayer, ...]:
    """The layers in a file that Keras saved."""
    layers = read_weights(source)
    assert isinstance(layers, tuple)
    return layers


class TestKerasModel:
    @pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
    @pytest.mark.parametrize("name", NAMES)
    def test_weights_are_keras_own(self, models: Any, name: Any, suffix: Any) -> None:
        path = models / f"{name}{suffix}"
        layers = _keras_file.by_layer(Source(path.name, path=path))
        found = {f"{name}/{index}": array for name, arrays in layers for index, array in enumerate(arrays)}
        with np.load(models / f"{name}.npz") as expected:
            assert list(found) == expected.files
            for key in found:
                np.testing.assert_array_equal(found[key], expected[key])
        if suffix == ".weights.h5":
            held = read_layers(Source(path.name, path=path))
            assert [(one.name, len(one.weights)) for one in held] == [
                (name, len(own)) for name, own in layers
            ]

    def test_layers_say_what_they_are(self, models: Any) -> None:
        held = read_layers(Source("m", path=models / "functional.weights.h5"))
        assert [layer.what for layer in held] == ["LSTM(3)", "GRU(2)", "(2, 1) (1,)"]

    def test_layers_by_name(self, models: Any) -> None:
        path = models / "functional.weights.h5#alpha,zeta"
        assert [layer.name for layer in read_layers(Source(path.name, path=path))] == ["zeta", "alpha"]
        path = models / "functional.weights.h5#alhpa"
        with pytest.raises(
            InputError, match=r"(?s)^functional\.weights\.h5: there is no layer.*mean alpha\?"
        ):
            read_layers(Source(path.name, path=path))

    @pytest.mark.parametrize("suffix", [".keras", ".h5", ".keras#alpha"])
    def test_a_whole_model_is_run_as_such(self, models: Any, suffix: str) -> None:
        path = models / f"functional{suffix}"
        with pytest.raises(
            InputError, match=r"(?s)it is a whole model.*rnncli run INPUT --model .*functional"
        ):
            read_layers(Source(path.name, path=path))

    @pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
    def test_a_model_has_no_inputs(self, models: Any, suffix: str) -> None:
        with pytest.raises(InputError, match="--weights" if "weights" in suffix else "--model"):
            read(Source(f"lstm{suffix}", path=models / f"lstm{suffix}"))

    def test_a_model_without_weights(self, keras: Any, tmp_path: Path) -> None:
        path = tmp_path / "nothing.weights.h5"
        keras.Sequential([keras.Input((4, 5)), keras.layers.Dropout(0.5)]).save_weights(path)
        with pytest.raises(InputError, match="no layer with weights"):
            read_layers(Source(path.name, path=path))

    def test_a_cut_model(self, models: Any) -> None:
        for name in ("lstm.keras", "lstm.weights.h5", "lstm.h5"):
            data = (models / name).read_bytes()
            for cut in (4, 100, len(data) // 2, len(data) - 10):
                for reader in (read_weights, keras_models.read, weights_only.read):
                    with pytest.raises(InputError, match=r"^m: "):
                        reader(Source("m", data[:cut], Path("m.h5")))

    def test_a_zip_that_is_no_model(self) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.txt", "a")
        for reader in (keras_models.read, weights_only.read):
            with pytest.raises(InputError, match="not a Keras model"):
                reader(Source("m", buffer.getvalue()))
