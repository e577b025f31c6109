"""Parsing of addresses: a tensor and a part of it, with NumPy's indexing."""

from typing import Any

import numpy as np
import pytest

from rnncli import addresses
from rnncli.addresses import parse_label
from rnncli.errors import UsageError
from rnncli.result import Label, TensorInfo

CELL = TensorInfo(parse_label("0/last_cell_state"), ("batch", "units"), (2, 3))
STATES = TensorInfo(parse_label("hidden_states"), ("batch", "timesteps", "units"), (2, 4, 3))


@pytest.mark.parametrize(
    "index", ["0", "-1, 2", ":, -1", ":, :, 1:", "1, :2, -2:", "+1,1:-1,0", " 0 , 1 : 3 "]
)
def test_a_text_is_what_numpy_takes(index: Any) -> None:
    values = np.arange(24).reshape(2, 4, 3)
    found = addresses.parse(f"hidden_states[{index}]")
    assert str(found.label) == "hidden_states"
    parts = tuple(map(addresses.parse_part, found.texts))
    np.testing.assert_array_equal(values[parts], eval(f"values[{index}]", {"values": values}))


@pytest.mark.parametrize("text", ["0/last_cell_state", " 0/last_cell_state ", "0/last_cell_state[ ]"])
def test_without_an_index_it_is_the_whole(text: Any) -> None:
    found = addresses.parse(text)
    assert (found.label, found.texts) == (Label("cell", last=True, layer=0), ())


@pytest.mark.parametrize("index", ["x", "1.0", "1_0", "٣", "0,", ",0", "1:2:3", ":x", "...", "9" * 301])
def test_an_index_is_numbers_and_slices(index: Any) -> None:
    with pytest.raises(ValueError, match=r"not a whole number|too many"):
        tuple(map(addresses.parse_part, addresses.parse(f"hidden_states[{index}]").texts))


@pytest.mark.parametrize("text", ["", "a[0", "a]", "a[0][1]", "a[[0]]", "a b", "a-b[0]", "[0]"])
def test_a_text_is_a_name_and_an_index(text: Any) -> None:
    with pytest.raises(ValueError, match="not a tensor with an index"):
        addresses.parse(text)
    with pytest.raises(UsageError) as caught:
        addresses.find_tensor(text, (STATES, CELL), "--of: ")
    assert caught.value.what == f"--of: {text}: this is not a tensor."
    assert caught.value.advice == "Write a name and an index, such as 'hidden_states[1,3,2]'."


def test_one_of_the_tensors_is_named() -> None:
    assert addresses.find_tensor(" 0/last_cell_state [ 1, x ]", (STATES, CELL)) == (CELL, ("1", "x"))
    with pytest.raises(UsageError) as caught:
        addresses.find_tensor("hiden_states[0]", (STATES, CELL))
    assert caught.value.what == "there is no tensor 'hiden_states'."
    assert caught.value.advice == "Did you mean hidden_states?"


@pytest.mark.parametrize(("name", "meant"), [
    ("hidden_states", Label("hidden", sequence=True)),
    ("0/backward_last_cell_state", Label("cell", last=True, direction="backward", layer=0)),
    ("call 1/0/forward_cell_1/last_hidden_state",
     Label("hidden", last=True, cell=1, direction="forward", layer=0, call=1)),
    ("1/backward/cell_0/reset", Label("reset", cell=0, direction="backward", layer=1, kind="")),
    ("00/hidden_state", Label("00/hidden_state", kind="")),
    ("forward_forget", Label("forward_forget", kind="")),
])  # fmt: skip
def test_a_name_says_what_the_tensor_is_and_the_other_way_round(name: Any, meant: Any) -> None:
    assert addresses.parse_label(name) == meant
    assert str(meant) == name


@pytest.mark.parametrize(("name", "meant"), [
    ("gru/hidden_states", Label("hidden", sequence=True, layer="gru")),
    ("inside/deep/backward_last_cell_state",
     Label("cell", last=True, direction="backward", layer="inside/deep")),
    ("dense/output", Label("output", layer="dense")),
    ("output", Label("output")),
])  # fmt: skip
def test_a_tensor_of_a_saved_model_has_the_layer_in_its_label(name: str, meant: Label) -> None:
    assert addresses.label_in_model(name) == meant
    assert str(meant) == name


def test_the_longest_layer_of_a_saved_model_is_found() -> None:
    layers = ("gru", "gru/1", "lstm")
    assert addresses.layer_in_model("gru/1/hidden_state[0,1]", layers) == "gru/1"
    assert addresses.layer_in_model("gru/hidden_state[0,1]", layers) == "gru"
    assert addresses.layer_in_model("hidden_state[0,1]", layers) == ""


@pytest.mark.parametrize(("name", "known", "advice"), [
    ("gru/forward_hidden_states", ["gru/forward_hidden_state"],
     "gru/forward_hidden_states exists only with --return-sequences; without it, use "
     "gru/forward_hidden_state."),
    ("last_state", ["hidden_state"],
     "States are returned only with --return-state; without it, there is hidden_state."),
    ("last_cell_state", ["hidden_state", "last_hidden_state"], "Did you mean last_hidden_state?"),
])  # fmt: skip
def test_advice_on_a_tensor_names_the_flag_that_returns_it(name: str, known: list[str], advice: str) -> None:
    assert addresses.suggest_tensor(name, known) == advice


def test_a_tensor_of_the_same_layer_is_suggested() -> None:
    known = ("cell_0/last_hidden_state", "0/hidden_states", "0/cell_1/last_hidden_state")
    assert (
        addresses.suggest_tensor("0/last_hidden_state", known) == "Did you mean 0/cell_1/last_hidden_state?"
    )
    assert addresses.suggest_tensor("last_hiden_state", known) == "Did you mean cell_0/last_hidden_state?"


@pytest.mark.parametrize(("text", "advice"), [
    ("hiden_state", "Did you mean gru/hidden_state?"),
    ("x", "Choose one of gru/hidden_state, gru/last_hidden_state."),
])  # fmt: skip
def test_advice_names_the_layer_of_a_saved_model(text: str, advice: str) -> None:
    known = [
        TensorInfo(parse_label(name), ("batch", "units"), (2, 3))
        for name in ("hidden_state", "last_hidden_state")
    ]
    with pytest.raises(UsageError) as caught:
        addresses.find_tensor(text, known, layer="gru/")
    assert caught.value.what == f"there is no tensor 'gru/{text}'."
    assert caught.value.advice == advice
