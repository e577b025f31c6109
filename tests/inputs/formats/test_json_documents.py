"""JSON: numbers, case documents and streams of lines, and every way in which they can be wrong."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reader_sources import complaint, inputs, source

from rnncli.errors import InputError
from rnncli.inputs.formats import read, read_states


@given(hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64]),
    hnp.array_shapes(min_dims=1, max_dims=5, max_side=4),
))  # fmt: skip
@pytest.mark.slow
def test_any_array_comes_back(array: Any) -> None:
    found = inputs(json.dumps(_quoted(array.tolist())))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, array.astype(np.float64))


def _quoted(value: Any) -> Any:
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    if value != value:
        return "NaN"
    return value if abs(value) != np.inf else "Infinity" if value > 0 else "-Infinity"


@pytest.mark.parametrize(("format", "text", "array"), [
    ("json", b"\xef\xbb\xbf[[1]]", [[1]]),
    ("json", f"[[{2**70}, {-(2**60)}]]", [[2.0**70, -(2.0**60)]]),
    ("json", "[[[1, 2], [3, 4]], [[5, 6]]]", [[[1, 2], [3, 4]], [[5, 6]]]),
    ("ndjson", "[[1, 2]]\n\n[[3, 4]]\n", [[[1, 2]], [[3, 4]]]),
    ("ndjson", "[[[1]], [[2]]]\n[[3]]", [[[1]], [[2]], [[3]]]),
    ("ndjson", "[[1], [2]]\n[[3]]", [[[1], [2]], [[3]]]),
    ("ndjson", b"\xef\xbb\xbf[[1]]\n\xef\xbb\xbf[[2]]\n", [[[1]], [[2]]]),
    ("ndjson", '{"inputs": [[1]], "seed": 3}', [[1]]),
])  # fmt: skip
def test_numbers(format: str, text: str | bytes, array: Any) -> None:
    """Sequences may differ in time alone."""
    assert [part.tolist() for part in inputs(text, format)] == array


@pytest.mark.parametrize(("text", "said"), [
    ("[[1, true]]", "notes.json: [0][1] is true, not a number."),
    ("[[[1, 2], [1, null]]]", "notes.json: [0][1][1] is null, not a number."),
    ('[[1, "1.5"]]', 'notes.json: [0][1] is the text "1.5", not a number.'),
    (f'[[1, "{"a" * 31}"]]', f'is the text "{"a" * 29}…", not a number.'),
    ("[[1, {}]]", "notes.json: [0][1] is an object, not a number.\nWrite a number."),
    ("[[1, 2], 3]", "notes.json: [1] is the number 3, where [0] is a list of 2."),
    ("[[1, 2], [3, [4]]]", "notes.json: [1][1] is a list of 1, not a number."),
    ("[[[1, 2, 3, 4, 5], [1, 2, 3, 4]]]", "notes.json: [0][0] has 5 numbers, [0][1] has 4."),
    ("[[[[1]]], [[[1]], [[2]]]]", "notes.json: [0] has 1 list, [1] has 2."),
    ("[]", "notes.json: the document is an empty list."),
    ("[[[1]], []]", "notes.json: [1] is an empty list."),
    ("5", "notes.json: the document is the number 5"),
    ("  \n", "notes.json: it is empty."),
    ("[1, NaN]", "notes.json: line 1, column 5: JSON has no NaN."),
    ("[1, 1e999]", "1e999 is too large a number."),
    ("[[1.0,2],\n [3,,4]]", "found `,4]]`"),
    ("[[.5, 2]]", "notes.json: line 1, column 3: no digit before decimal point, found `.5, 2]]`."),
    ("[[1, 2], [3", "notes.json: line 1, column 12: unexpected end of input."),
    ("[[1]]\n[[2]]", "--input-format ndjson"),
    ("1,2\n3,4", "It must be JSON; an input in another format needs --input-format."),
    ("[" * 64 + "1" + "]" * 64, "is nested deeper than 32 lists"),
    ('{"inputs":\n"a[\\"[", "a": ' + '{"a": ' * 900 + "1" + "}" * 901, "notes.json: line 2, column "),
    ("[[1], " + "[" * 60 + "]" * 60 + "]", "notes.json: [1][0] is a list of 1, not a number."),
    ("[" * 100_000, "line 1, column 65: it is nested more than 64"),
    ("[[1]]".encode("utf-16"), "UTF-16"),
    ("[[1]]".encode("utf-16-le"), "UTF-16"),
    ("값".encode("utf-16"), "UTF-16"),
    (b'[["\xff"]]', "UTF-8"),
    ('{"input": [[1]]}', "there is no key 'input' in a case document.\nDid you mean inputs?"),
    ("{}", "notes.json: the case document has no inputs."),
    ('{"inputs": [[1, "x"]]}', 'notes.json: inputs[0][1] is the text "x"'),
    ('{"inputs": [[1]], "seed": true}', "notes.json: seed is true."),
    ('{"inputs": [[1]], "seed": -1}', "notes.json: seed is the number -1."),
    ('{"inputs": [[1]], "training": 1}', "notes.json: training is the number 1."),
    ('{"inputs": [[1]], "layer": 3}', "notes.json: layer is the number 3."),
    ('{"inputs": [[1]], "layer": ' + "[" * 64 + "]" * 64 + "}", "it is nested more than 64"),
    ('{"inputs": [[1]], "weights": [1]}', "notes.json: weights is not an object"),
    ('{"inputs": [[1]], "weights": {"a": {"b": [1, null]}}}', "notes.json: weights/a/b[1] is null"),
    ('{"inputs": [[1]], "initial_state": [[0], [true]]}', "notes.json: initial_state[1][0] is true"),
    ('{"inputs": [[1]], "initial_state": 0}', "notes.json: initial_state is the number 0"),
    ('{"inputs": [[1]], "inputs": [[2]]}', "notes.json: the key 'inputs' appears twice in one object."),
], ids=lambda value: str(value)[:40])  # fmt: skip
def test_a_bad_place_is_named(text: Any, said: str) -> None:
    assert said in complaint(text)


@pytest.mark.parametrize(("text", "said"), [
    ("[[1]]\n[[1,]]", "notes.json: line 2, column 4"),
    ("[[1]]\n[[null]]", "notes.json: line 2: [0][0] is null"),
    ("[[1]]\n[[1, 2]]", "sequence [0] has 1 features, [1] has 2"),
    ("[1]\n", "line 1: it is 1-D"),
    ('{"inputs": [[1]]}\n{"inputs": [[1]]}', "With --stream each line is its own record"),
    ("\ufeff\ufeff\n", "it is empty"),
])  # fmt: skip
def test_a_bad_line_is_named(text: Any, said: str) -> None:
    assert said in complaint(text, "ndjson")


def test_every_part_of_a_case_document() -> None:
    value = {
        "layer": "Bidirectional(GRU(1))",
        "inputs": [[[1, 2]]],
        "mask": [[True]],
        "initial_state": [[[0]], [[1]]],
        "weights": {"forward": {"kernel": [[1, 2]]}, "backward/bias": [3]},
        "seed": 42,
        "training": False,
    }
    document: Any = read(source(json.dumps(value)), "json")
    assert (document.layer, document.mask) == (value["layer"], value["mask"])
    assert (document.seed, document.training) == (42, False)
    assert document.inputs.tolist() == value["inputs"]
    assert [state.tolist() for state in document.initial_state] == value["initial_state"]
    weights = {name: array.tolist() for name, array in document.weights.items()}
    assert weights == {"forward/kernel": [[1, 2]], "backward/bias": [3]}
    named: Any = {**value, "initial_state": {"last_hidden_state": [[1]]}}
    document = read(source(json.dumps(named)), "json")
    assert document.initial_state["last_hidden_state"].tolist() == [[1]]


@pytest.mark.parametrize("name", ["a", '": ', '"', "\\", ':"'])
def test_a_key_in_a_text_is_no_second_key(name: str) -> None:
    text = json.dumps({"inputs": [[1]], "layer": f'{name}": 1, "inputs": "'})
    assert read(source(text), "json").layer.startswith(name)


@pytest.mark.parametrize(("where", "value"), [("weights", {"foo": 1}), ("initial_state", [[1], 1])])
def test_advice_is_not_of_inputs(where: str, value: Any) -> None:
    said = complaint(json.dumps({"inputs": [[1]], where: value}))
    assert "a vector [0.1, 4.2]" in said
    assert "list a sequence" not in said


def test_own_output_is_taken_up() -> None:
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
def test_another_schema_is_not(schema: Any) -> None:
    assert "notes.json: its schema is" in complaint(json.dumps({"schema": schema}))


@pytest.mark.parametrize("outputs", [
    None, [], [1], [{"values": [[1]]}], [{"name": 1, "values": [[1]]}],
    [{"name": "hidden_state", "shape": [1, 3]}],
])  # fmt: skip
def test_output_without_tensors_is_not(outputs: Any) -> None:
    text = json.dumps({"schema": "rnncli/1", "outputs": outputs})
    assert "notes.json: it is rnncli's own output, without values of outputs." in complaint(text)
    with pytest.raises(InputError, match="without values of outputs"):
        read_states(source(text), "json")
