"""--window and --stride cut one series into the sequences of a batch; --columns and --drop choose columns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras, make_layers

import rnncli as package
from rnncli.errors import InputError, UsageError

SERIES = np.random.default_rng(1).normal(size=(7, 3)).astype("float32")


@pytest.mark.parametrize(("window", "stride"), [(3, None), (3, 2), (7, 1), (1, 1)])
def test_each_window_is_a_sequence(window: int, stride: int | None) -> None:
    found = package.run(SERIES, "LSTM(2)", window=window, stride=stride, seed=1)
    starts = range(0, len(SERIES) - window + 1, stride or 1)
    batch = np.stack([SERIES[start : start + window] for start in starts])
    np.testing.assert_array_equal(found.hidden_state, package.run(batch, "LSTM(2)", seed=1).hidden_state)
    assert f"{len(batch)} windows of {window} steps" in " ".join(map(str, found.remarks))


def test_what_is_no_single_series_is_refused() -> None:
    with pytest.raises(InputError, match="takes one series"):
        package.run(np.stack([SERIES, SERIES]), "LSTM(2)", window=3)
    with pytest.raises(InputError, match="longer than the series, which has 7 time steps"):
        package.run(SERIES, "LSTM(2)", window=8)
    with pytest.raises(UsageError, match="stride=2 needs window"):
        package.run(SERIES, "LSTM(2)", stride=2)
    with pytest.raises(UsageError, match="takes one series, whose rows are time steps"):
        package.run(SERIES, "LSTM(2)", window=2, input_axes="time,features")


def test_a_stateful_layer_gets_a_note(rnncli: Any, tmp_path: Path) -> None:
    inputs = keras.Input(batch_shape=(2, 3, 3))
    model = keras.Model(inputs, keras.layers.LSTM(2, stateful=True)(inputs))
    model.save(tmp_path / "m.keras")
    words = ("run", json.dumps(SERIES.tolist()), "--window", "3", "--stride", "3", "-f", "json")
    note = "stateful: each window starts anew"
    overlapping = rnncli(*words[:-3], "1", "-f", "json", "-l", "LSTM(2, stateful=True)", "--seed", "1")
    assert note in overlapping.stderr
    assert "give --stride 3" in overlapping.stderr
    plain = rnncli(*words[:-3], "1", "-f", "json", "-l", "LSTM(2)", "--seed", "1")
    ours, theirs = (json.loads(done.stdout)["outputs"] for done in (overlapping, plain))
    assert ours == theirs
    done = rnncli(*words, "--model", str(tmp_path / "m.keras"))
    assert note in done.stderr
    (returned,) = json.loads(done.stdout)["outputs"]
    np.testing.assert_allclose(returned["values"], model(SERIES[:6].reshape(2, 3, 3)), atol=1e-6)
    assert note not in rnncli(*words, "-l", "LSTM(2)").stderr


LAYERS = {
    "lstm": "LSTM(2, stateful=True, return_sequences=True, return_state=True)",
    "both ways": "Bidirectional(GRU(2, stateful=True, return_sequences=True))",
    "backwards": "SimpleRNN(2, stateful=True, go_backwards=True, return_sequences=True)",
}


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("engine", ["numpy", "tensorflow", "torch", "onnx"])
def test_windows_without_overlap_go_on_from_each_other_as_in_keras(layer: str, engine: str) -> None:
    pytest.importorskip({"torch": "torch", "onnx": "onnxruntime"}.get(engine, "keras"))
    options: Any = {"window": 2, "stride": 2, "seed": 1}
    found = package.run(SERIES, LAYERS[layer], engine=engine, check=True, **options)
    assert "each window is a call that goes on from the state" in " ".join(map(str, found.remarks))
    keras.utils.set_random_seed(1)
    (keras_layer,) = make_layers(LAYERS[layer])
    calls = [keras_layer(SERIES[start : start + 2][None]) for start in (0, 2, 4)]
    returned = zip(*(keras.tree.flatten(call) for call in calls), strict=True)
    for mine, theirs in zip(found, returned, strict=True):
        np.testing.assert_allclose(mine, np.concatenate(theirs), atol=1e-6)


def test_trace_and_explain_begin_with_the_state_that_the_window_before_left() -> None:
    options: Any = {"layer": LAYERS["lstm"], "window": 2, "stride": 2, "seed": 1}
    keras.utils.set_random_seed(1)
    (lstm,) = make_layers(LAYERS["lstm"])
    states = np.concatenate([lstm(SERIES[start : start + 2][None])[0] for start in (0, 2, 4)])
    steps = package.trace(SERIES, **options).document()["trace"]
    for step in steps:
        np.testing.assert_allclose(step["state"]["hidden"], states[:, step["timestep"]], atol=1e-6)
    document = package.explain("hidden_states[1,0,0]", SERIES, **options).document()
    equations = document["explanation"]["equations"]
    factors = [factor for each in equations for term in each["terms"] for factor in term["factors"]]
    read = {factor["name"]: factor["value"] for factor in factors}
    for unit in range(2):
        assert read[f"hidden {unit} at start"] == pytest.approx(states[0, 1, unit], abs=1e-6)


@pytest.fixture(scope="module")
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A stateful model that takes one sequence of three steps."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    given = keras.Input(batch_shape=(1, 3, 3))
    both = layers.Bidirectional(layers.LSTM(2, stateful=True, return_sequences=True), name="bi")
    hidden = layers.Dense(4, name="mid")(both(layers.Masking()(given)))
    scores = layers.Dense(2, name="out")(layers.GRU(3, stateful=True, name="gru")(hidden))
    model = keras.Model(given, scores)
    path = tmp_path_factory.mktemp("stateful") / "m.keras"
    model.save(path)
    return model, path


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.slow
def test_a_stateful_model_gets_one_window_after_the_other(one_at_a_time: Any, stride: int) -> None:
    model, path = one_at_a_time
    series = np.concatenate([SERIES, -SERIES[:2]])
    series[4] = 0  # masked
    found = package.run(series, model=path, window=3, stride=stride, all_layers=True)
    gru = package.trace(series, model=f"{path}#gru", window=3, stride=stride).document()["trace"]
    for layer in (model.get_layer("gru"), *_halves(model.get_layer("bi"))):
        layer.reset_state()
    inner = keras.Model(model.inputs[0], [*model.outputs, model.get_layer("gru").output])
    for index, start in enumerate(range(0, 7, stride)):
        if stride < 3:  # each window starts anew
            for layer in (model.get_layer("gru"), *_halves(model.get_layer("bi"))):
                layer.reset_state()
        scores, hidden = inner(series[start : start + 3][None])
        np.testing.assert_allclose(found["out/output"][index], scores[0], atol=1e-6)
        np.testing.assert_allclose(gru[-1]["state"]["hidden"][index], hidden[0], atol=1e-6)
    remarks = " ".join(map(str, found.remarks))
    assert ("goes on from the state" in remarks) == (stride == 3)
    assert ("give stride=3" in remarks) == (stride < 3)


def _halves(both: Any) -> list[Any]:
    return [both.forward_layer, both.backward_layer]


@pytest.mark.slow
def test_what_windows_of_a_stateful_model_refuse(one_at_a_time: Any, tmp_path: Path) -> None:
    _, path = one_at_a_time
    with pytest.raises(UsageError, match="check calls the model once, and it takes one window at a time"):
        package.run(SERIES, model=path, window=3, stride=3, check=True)
    assert package.run(SERIES[:3], model=path, window=3, stride=3, check=True).differences
    with pytest.raises(UsageError, match="gradients is about one call of the layer"):
        package.gradients(SERIES, model=path, window=3, stride=3)
    assert package.gradients(SERIES, model=path, window=3, stride=2)
    given = keras.Input(batch_shape=(1, 3, 3))  # an operation may mix the sequences
    mixed = keras.layers.LSTM(2, stateful=True)(given - keras.ops.mean(given, axis=0))
    keras.Model(given, mixed).save(tmp_path / "mixed.keras")
    with pytest.raises(InputError, match="Give a batch of 1, not of 2"):
        package.run(SERIES, model=tmp_path / "mixed.keras", window=3, stride=3)


@pytest.mark.slow
def test_a_stack_goes_on_layer_by_layer() -> None:
    layers = ["GRU(3, stateful=True, return_sequences=True)", "Dense(2)", "LSTM(2, stateful=True)"]
    found = package.run(SERIES, layers, window=3, stride=3, seed=1)
    keras.utils.set_random_seed(1)
    stack = make_layers(*layers)
    for start in (0, 3):
        x = SERIES[start : start + 3][None]
        for keras_layer in stack:
            x = keras_layer(x)
        np.testing.assert_allclose(found.hidden_state[start // 3], x[0], atol=1e-6)


@pytest.mark.parametrize(
    "words", [["gradients"], ["report", "-o", "x.html"], ["export", "--to", "keras"], ["compare", "--alone"]]
)
def test_commands_about_one_call_refuse_windows_that_go_on(rnncli: Any, words: Any, tmp_path: Path) -> None:
    given = (json.dumps(SERIES.tolist()), "--window", "3", "--stride", "3", "-l", "LSTM(2, stateful=True)")
    assert "is about one call of the layer" in rnncli(words[0], *given, *words[1:], cwd=tmp_path).refusal()
    rnncli(words[0], *given[:4], "2", *given[5:], *words[1:], cwd=tmp_path).success()


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "days.csv"
    path.write_text("day,a,b,c\nmon,1,2,3\ntue,4,5,6\nmon,7,8,9\ntue,1,1,1\n")
    return str(path)


@pytest.mark.parametrize(("words", "rows"), [
    (("--drop", "day"), [[[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]]]),
    (("--columns", "c,a"), [[[3, 1], [6, 4], [9, 7], [1, 1]]]),
    (("--columns", "b", "--window", "2", "--stride", "2"), [[[2], [5]], [[8], [1]]]),
    (("--batch-column", "day", "--drop", "a,b"), [[[3], [9]], [[6], [1]]]),
    (("--batch-column", "day", "--columns", "day,b"), [[[2], [8]], [[5], [1]]]),
])  # fmt: skip
def test_columns_of_csv_are_chosen(rnncli: Any, table: str, words: Any, rows: Any) -> None:
    mine = rnncli("run", table, *words, "-l", "GRU(2)", "--seed", "1", "-f", "json").success()
    theirs = rnncli("run", json.dumps(rows), "-l", "GRU(2)", "--seed", "1", "-f", "json")
    (named,), plain = (json.loads(done.stdout)["outputs"] for done in (mine, theirs))
    assert named.pop("batch", ["mon", "tue"]) == ["mon", "tue"]
    assert [named] == plain


def test_a_column_that_is_not_there_and_none_left(rnncli: Any, table: str) -> None:
    assert "there is no column 'd'." in rnncli("run", table, "--columns", "a,d").refusal()
    assert "no column is left to read." in rnncli("run", table, "--drop", "day,a,b,c").refusal()
