"""Expressions: what is read, what is refused, and where the caret points."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.cells.tree import TokenSpan
from rnncli.errors import LayerError
from rnncli.specs.expressions import BareName, CallExpression, fault, parse

NOWHERE = TokenSpan("", 1, 0, 0)


def call(name: str, /, *args: Any, **kwargs: Any) -> CallExpression:
    return CallExpression(name, args, kwargs, NOWHERE)


@pytest.mark.parametrize(("text", "expected"), [
    ("LSTM", BareName("LSTM", NOWHERE)),
    ("LSTM()", call("LSTM")),
    ("LSTM(3,)", call("LSTM", 3)),
    ("keras.layers.LSTM(3)", call("LSTM", 3)),
    ("tf.keras.layers.LSTM(3)", call("LSTM", 3)),
    ("Bidirectional(LSTM(3, kernel_initializer=Constant(-0.1)), merge_mode=None)",
     call("Bidirectional", call("LSTM", 3, kernel_initializer=call("Constant", -0.1)), merge_mode=None)),
    ("[LSTM(3), GRU(2)]", [call("LSTM", 3), call("GRU", 2)]),
    ("f(activation=tanh)", call("f", activation=BareName("tanh", NOWHERE))),
    ("  \n LSTM(\n 3,  # units\r\n name='#(((')\n", call("LSTM", 3, name="#(((")),
    ("'" + "(" * 200 + "'", "(" * 200),
])  # fmt: skip
def test_what_is_read(text: str, expected: Any) -> None:
    value = parse(text)
    assert value == expected
    assert type(value) is type(expected)


def test_arguments_keep_their_order() -> None:
    assert list(parse("f(z=1, a=2, m=3)").kwargs) == ["z", "a", "m"]


def test_every_part_knows_its_place() -> None:
    text = "keras.layers.LSTM(3, name='한국어', units=[4])"
    value = parse(text)
    where = {key: text[span.start : span.end] for key, span in value.spans.items()}
    assert where == {0: "3", "name": "name", "units": "units"}
    assert text[value.span.start : value.span.end] == "keras.layers.LSTM"


def test_places_on_later_lines() -> None:
    value = parse("LSTM(\n  3,\n  활성=f(1,\n 2))")
    assert (value.spans["활성"].line, value.spans["활성"].start, value.spans["활성"].end) == (3, 2, 4)
    inner = value.kwargs["활성"]
    assert inner.spans[1].line == 4
    assert value.spans["활성"].caret() == "    활성=f(1,\n    ^^^^"


@pytest.mark.parametrize(("text", "reason", "under"), [
    ("LSTM(10**9)", "operator", "10**9"),
    ("LSTM(not True)", "operator", "not True"),
    ("LSTM(--1)", "operator", "--1"),
    ("LSTM(a and b)", "operator", "a and b"),
    ("LSTM(units==3)", "comparison", "units==3"),
    ("f(lambda: 3)", "lambda", "lambda: 3"),
    ("f(x[0])", "subscript", "x[0]"),
    ("f([i for i in x])", "comprehension", "[i for i in x]"),
    ("f(f'{x}')", "f-string", "f'{x}'"),
    ("f(3 if a else 4)", "condition", "3 if a else 4"),
    ("f((a := 3))", "assignment", "a := 3"),
    ("f({1, 2})", "a set", "{1, 2}"),
    ("f(*a)", r"\*arguments", "*a"),
    ("f({1: 2})", "keys of a dict", "1"),
    ("f(a=1, a=2)", "a is given twice", "a"),
    ("f(np.inf)", "contains np", "np.inf"),
    ("os.system('x')", "contains os", "os.system"),
    ("f(3).g", "expected a name here", "f(3).g"),
    ("f(1e999)", "too large", "1e999"),
    ("f(b'x')", "bytes", "b'x'"),
    ("f(...)", "ellipsis", "..."),
    ("f(await_)(", "never closed", "("),
    ("f(3))", "unmatched", ")"),
    ("f(a b)", "forgot a comma", "a b"),
    ("f('a'=3)", "expected an argument name before =", "'a'="),
    ("f((a=3))", r"^invalid syntax\.\n", "a=3"),
    ("x = 3", "invalid syntax", "="),
    ("import os", "invalid syntax", "import"),
])  # fmt: skip
def test_what_is_refused_and_where(text: str, reason: str, under: str) -> None:
    with pytest.raises(LayerError, match=reason) as caught:
        parse(text)
    said, line, carets = caught.value.what.split("\n")
    assert said.endswith(".")
    assert line == f"  {text}"
    assert text[carets.index("^") - 2 :].startswith(under)
    assert carets.count("^") == len(under)
    assert caught.value.advice


@pytest.mark.parametrize(("text", "reason"), [
    ("", "empty"),
    (" \n ", "empty"),
    ("f(" + "1," * 10_001 + ")", "characters"),
    ("(" * 51 + ")" * 51, "nested more than 50"),
    ("f(" * 6000, "nested more than 50"),
    ("-" * 19_999 + "1", "nested too deeply"),
    ("1" + "+1" * 9_000, "nested too deeply|operator"),
    ("a." * 9_000 + "a", "nested too deeply|contains a,"),
    ("f(x" + "()" * 9_000 + ")", "nested too deeply|called, once|expected a name"),
    ("1" * 5_000, "too many digits"),
    ("'\0'", "an invalid character"),
    ("'\\N{foo}'", "unicode"),
    ("LSTM（3）", "invalid character"),
])  # fmt: skip
def test_nothing_breaks_it(text: str, reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        parse(text)


@pytest.mark.parametrize(("text", "advice"), [
    ("f(a=1, a=2)", "Leave one of them out."),
    ("f(1e999)", "Write a smaller number."),
    ("f(" + "1," * 10_001 + ")", "Write the layer as a Keras config in a file: --layer '@layer.json'"),
])  # fmt: skip
def test_the_advice_is_about_the_fault(text: str, advice: str) -> None:
    with pytest.raises(LayerError) as caught:
        parse(text)
    assert caught.value.advice == advice


def test_fifty_brackets_are_read() -> None:
    value = parse("[" * 50 + "]" * 50)
    for _ in range(49):
        (value,) = value
    assert value == []


@pytest.mark.slow
@given(st.text(max_size=60) | st.text("f(){}[]'\"=,:*.-0 1ab\n\\#한", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except LayerError as error:
        assert error.what  # noqa: PT017


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_what_repr_writes_is_read_back(value: Any) -> None:
    again = parse(repr(value))
    assert again == value
    assert repr(again) == repr(value)


@given(st.lists(values, max_size=3), st.dictionaries(st.sampled_from(["a", "units", "이름"]), values))
def test_calls_are_read_back(args: list[Any], kwargs: dict[str, Any]) -> None:
    written = [repr(value) for value in args] + [f"{name}={value!r}" for name, value in kwargs.items()]
    value = parse(f"layers.F({', '.join(written)})")
    assert value == call("F", *args, **kwargs)
    assert set(value.spans) == {*range(len(args)), *kwargs}


def test_wide_letters_take_two_columns() -> None:
    assert TokenSpan("ab한국cd", 1, 4, 6).caret() == "  ab한국cd\n        ^^"
    assert TokenSpan("ab한국cd", 1, 2, 4).caret() == "  ab한국cd\n    ^^^^"


def test_a_long_line_is_shown_around_the_token() -> None:
    text = "f(" + "1, " * 200 + "a+b)"
    with pytest.raises(LayerError) as caught:
        parse(text)
    _, line, carets = caught.value.what.split("\n")
    assert len(line) <= 102
    assert line[carets.index("^") :][:3] == "a+b"


def test_control_characters_are_not_shown() -> None:
    assert "\x1b" not in str(TokenSpan("a\x1b[31m\tb", 1, 0, 1).caret())


def test_a_fault_points_at_its_place() -> None:
    error = fault(TokenSpan("LSTM(3)", 1, 5, 6), "units is odd", "Take 4.")
    assert error.what == "units is odd.\n  LSTM(3)\n       ^"
    assert error.advice == "Take 4."
