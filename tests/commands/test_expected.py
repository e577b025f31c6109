"""Stored results in every form that --expect reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli as package
from rnncli.cli.terminal import localize
from rnncli.commands.expected import ALONE, match_names, read_expected
from rnncli.errors import InputError, UsageError
from rnncli.inputs.formats import Source

HIDDEN = np.array([[0.5, -1.5, float("nan")]], np.float32)


def read(text: str) -> dict[str, Any]:
    return read_expected(Source("the text", data=text.encode()))


@pytest.mark.parametrize("suffix", ["npz", "npy", "safetensors", "json"])
def test_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"e.{suffix}"
    if suffix == "npz":
        np.savez(path, hidden_state=HIDDEN)
    elif suffix == "npy":
        np.save(path, HIDDEN)
    elif suffix == "safetensors":
        pytest.importorskip("safetensors.numpy").save_file({"hidden_state": HIDDEN}, path)
    else:
        path.write_text('{"hidden_state": [[0.5, -1.5, "NaN"]]}')
    found = read_expected(Source(str(path), path=path))
    assert list(found) == [ALONE if suffix == "npy" else "hidden_state"]
    np.testing.assert_array_equal(next(iter(found.values())), HIDDEN)


def test_a_nested_list_has_no_name() -> None:
    assert list(read("[[1, 2]]")) == [ALONE]


def test_rnncli_s_own_output() -> None:
    """Numbers have the dtype that it names."""
    third = np.float32(1) / np.float32(3)
    outputs = [{"name": "hidden_state", "dtype": "float32", "values": [[float(str(third)), 2]]}]
    later = [{"outputs": [{"name": "call 1/hidden_state", "values": [[3, 4]]}]}]
    found = read(json.dumps({"schema": "rnncli/1", "outputs": outputs, "calls": later}))
    assert {name: array.tolist() for name, array in found.items()} == {
        "hidden_state": [[float(third), 2]],
        "call 1/hidden_state": [[3, 4]],
    }
    assert found["hidden_state"].dtype == np.float32


@pytest.mark.parametrize(("text", "says"), [
    ("{}", "it holds no tensors"),
    ("1,2\n3,4", "rnncli cannot read stored tensors from csv"),
    ('{"schema": "rnncli/2"}', "its schema is"),
    ('{"schema": "rnncli/1"}', "without values of outputs"),
    ('{"schema": "rnncli/1", "outputs": [{"name": "a", "shape": [1, 3]}]}', "without values of outputs"),
    ('{"schema": "rnncli/1", "trace": [3]}', "not a step"),
    ('{"schema": "rnncli/1", "trace": [{"gates": 3}]}', "did not write"),
    ('{"a": {"b": 1}}', "a is an object"),
    ("[[1, true]]", "true"),
])  # fmt: skip
def test_what_holds_no_tensors(text: str, says: str) -> None:
    with pytest.raises(InputError, match="the text") as caught:
        read(text)
    assert says in caught.value.what


SHAPES: dict[str, tuple[int, ...]] = {"a": (1, 3), "b": (1, 3)}


def test_names_are_matched_and_the_others_noted() -> None:
    found, remarks, _ = match_names({"b": np.zeros((1, 3)), "c": np.zeros(1)}, SHAPES, "e.npz")
    assert list(found) == ["b"]
    assert remarks == ("not compared: a (e.npz lacks it)", "not compared: c (only e.npz has it)")
    korean = ["비교하지 않은 것: a (e.npz에 없음)", "비교하지 않은 것: c (e.npz에만 있음)"]
    assert [localize(remark, "ko") for remark in remarks] == korean
    with pytest.raises(InputError, match=r"e\.npz: it holds c, but the result has a, b"):
        match_names({"c": np.zeros(3)}, SHAPES, "e.npz")


def test_the_shape_tells_where_a_name_does_not_fit() -> None:
    """The `y` of a whole model is not what the layer returned: another array has exactly its shape."""
    shapes = {"lstm_l0/hidden_states": (3, 6, 4), "lstm_l1/hidden_states": (3, 6, 4)}
    stored = {"o": np.ones((3, 6, 4)), "h": np.ones((2, 3, 4)), "y": np.ones((3, 2))}
    found, remarks, _ = match_names(stored, shapes, "a.npz")
    assert found == {"lstm_l1/hidden_states": stored["o"]}
    assert str(remarks[0]) == "a.npz: o is compared with lstm_l1/hidden_states"
    assert str(remarks[-1]) == "not compared: h, y (only a.npz has them)"
    several, *_ = match_names({**stored, "p": stored["o"]}, shapes, "a.npz")  # which is not known
    assert several == {"lstm_l1/hidden_states": stored["y"]}


def test_a_tensor_without_a_name_belongs_to_one() -> None:
    found, remarks, _ = match_names({ALONE: np.zeros(3)}, {"a": SHAPES["a"]}, "e.npy")
    assert found["a"].shape == (1, 3)
    assert remarks == ("e.npy: a: added a batch axis: (3,) -> (1, 3)",)
    with pytest.raises(UsageError, match="without a name"):
        match_names({ALONE: np.zeros(3)}, SHAPES, "e.npy")


@pytest.mark.parametrize("time_first", [False, True])
def test_four_axes_are_a_sequence_also_of_two_sequences(*, time_first: bool) -> None:
    """Two sequences are no two directions of a state."""
    sequence = np.arange(80, dtype=np.float32).reshape(2, 5, 2, 4)  # batch, timesteps, directions, units
    array = sequence.transpose(1, 2, 0, 3) if time_first else sequence
    states = dict.fromkeys(("forward_last_hidden_state", "backward_last_hidden_state"), (2, 4))
    found, *_ = match_names({ALONE: array}, {"hidden_states": (2, 5, 8), **states}, "y.npy")
    assert list(found) == ["hidden_states"]
    np.testing.assert_array_equal(found["hidden_states"], sequence.reshape(2, 5, 8))


@pytest.fixture
def returned(tmp_path: Path) -> dict[str, Any]:
    """Return what a model of two layers and a head can return; the model is m.keras, its input x.npy."""
    import keras

    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.LSTM(4, return_sequences=True, name="low"), keras.layers.GRU(4, name="g1"),
        keras.layers.Dense(3, name="head"),
    ]  # fmt: skip
    keras.Sequential([keras.Input((6, 5)), *layers]).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2, 6, 5)).astype("float32"))
    path = str(tmp_path / "m.keras")
    return dict(package.run(str(tmp_path / "x.npy"), model=path, return_sequences=True, all_layers=True))


@pytest.mark.parametrize("command", ["compare", "run"])
@pytest.mark.slow
def test_what_could_be_returned(command: str, returned: dict[str, Any], rnncli: Any, tmp_path: Path) -> None:
    """The model returns the last step of g1: its sequence and the head are computed to be compared."""
    words = (command, "x.npy", "--model", "m.keras", "--expect", "e.npz", "-q")
    good = {name: returned[name] for name in ("g1/hidden_states", "head/output")}
    np.savez(tmp_path / "e.npz", **good)
    assert rnncli(*words, cwd=tmp_path).returncode == 0
    np.savez(tmp_path / "e.npz", **{**good, "g1/hidden_states": returned["g1/hidden_states"] + 0.1})
    done = rnncli(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert "g1/hidden_states differs: mismatched elements: 48 / 48" in done.stderr
    np.savez(tmp_path / "e.npz", **good, other=np.ones((9, 9)))
    done = rnncli(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert "other of e.npz is not compared: nothing here has this name or its shape, (9, 9)." in done.stderr
    if command == "compare":
        (row,) = [line for line in done.stdout.splitlines() if line.startswith("other ")]
        assert row.endswith("not compared")
    rnncli(*words[:-1], "--select", "g1/hidden_state", cwd=tmp_path).refusal()


@pytest.mark.slow
def test_live_and_described_layers_could_return_more(returned: dict[str, Any], tmp_path: Path) -> None:
    import keras

    x, model = np.load(tmp_path / "x.npy"), keras.models.load_model(tmp_path / "m.keras")
    sequence = returned["g1/hidden_states"]
    assert package.compare(x, model, expect={"g1/hidden_states": sequence}).agrees
    assert not package.compare(x, model, expect={"g1/hidden_states": sequence + 1}).agrees
    described = package.run(x, "gru", seed=1, return_sequences=True)["hidden_states"]
    assert package.compare(x, "gru", seed=1, expect={"hidden_states": described}).agrees
    assert not package.compare(x, "gru", seed=1, expect={"hidden_states": described + 1}).agrees


@pytest.mark.slow
def test_a_shape_of_one_tensor_is_a_pair(returned: dict[str, Any], rnncli: Any, tmp_path: Path) -> None:
    words = ("compare", "x.npy", "--model", "m.keras", "--expect", "e.npz")
    np.savez(tmp_path / "e.npz", probabilities=returned["head/output"])
    done = rnncli(*words, cwd=tmp_path).success()
    assert "e.npz: probabilities is compared with head/output" in done.stderr
    np.savez(tmp_path / "e.npz", states=returned["low/hidden_states"], more=returned["g1/hidden_states"])
    said = rnncli(*words, cwd=tmp_path).refusal()
    assert "states (2, 6, 4) has no name that is known here, and may be low/hidden_states" in said
    assert "--map THEIRS=OURS" in said
    pairs = ("--map", "states=low/hidden_states", "--map", "more=g1/hidden_states")
    assert rnncli(*words, *pairs, cwd=tmp_path).returncode == 0
    unknown = rnncli(*words, "--map", "stats=low/hidden_states", cwd=tmp_path)
    assert (unknown.returncode, "e.npz has no tensor 'stats'" in unknown.stderr) == (2, True)
    assert rnncli_compare(tmp_path, dict(np.load(tmp_path / "e.npz"))).agrees


def rnncli_compare(folder: Path, expected: dict[str, Any]) -> Any:
    x, model = np.load(folder / "x.npy"), str(folder / "m.keras")
    mapping = {"states": "low/hidden_states", "more": "g1/hidden_states"}
    return package.compare(x, model=model, expect=expected, mapping=mapping)


@pytest.mark.parametrize("command", ["compare", "run"])
@pytest.mark.slow
def test_an_expectation_that_is_another_tensor_is_recognized(
    command: str, returned: dict[str, Any], rnncli: Any, tmp_path: Path
) -> None:
    np.savez(tmp_path / "e.npz", **{"g1/hidden_states": returned["low/hidden_states"]})
    done = rnncli(command, "x.npy", "--model", "m.keras", "--expect", "e.npz", cwd=tmp_path)
    assert done.returncode == 1
    assert "g1/hidden_states equals low/hidden_states" in done.stderr
    zeros: dict[str, Any] = {"g1/hidden_states": np.zeros((2, 6, 4))}
    np.savez(tmp_path / "e.npz", **zeros)
    done = rnncli(command, "x.npy", "--model", "m.keras", "--expect", "e.npz", cwd=tmp_path)
    assert " equals " not in done.stderr


@pytest.mark.slow
def test_port_recognizes_another_layer(returned: dict[str, Any], rnncli: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", returned["low/hidden_states"])
    done = rnncli("port", "x.npy", "--model", "m.keras#g1", "--expect", "y.npy", cwd=tmp_path)
    assert done.returncode == 1
    assert "y.npy equals low/hidden_states" in done.stderr
