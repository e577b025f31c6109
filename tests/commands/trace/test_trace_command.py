"""`rnncli trace` as it is typed, of layers and of saved models, held to Keras's own outputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

import rnncli as package
from rnncli.errors import UsageError

pytestmark = pytest.mark.usefixtures("files_are_read_here")
BOTH_WAYS = ("--layer", "bilstm", "--seed", "1", "--quiet")
ODD = '[[[1, 2], ["NaN", 4], [5, 1]]]'


def test_flags_narrow_a_trace(rnncli: Any) -> None:
    flags = ["--step", "-1", "--step", "0", "--unit", "-1", "--batch", "0"]
    flags += ["--gate", "forget", "--gate", "input", "-f", "json"]
    steps = json.loads(rnncli("trace", "--seed", "1", "--quiet", *flags).stdout)["trace"]
    assert [step["timestep"] for step in steps] == [0, 3]
    assert [list(step["gates"]) for step in steps] == [["input", "forget"]] * 2
    assert steps[0]["units"] == [2]
    assert steps[0]["batch"] == [0]


@pytest.mark.slow
def test_a_check_compares_outputs_and_states_with_keras(rnncli: Any) -> None:
    done = rnncli("trace", "--layer", "lstm", "--seed", "1", "--quiet", "--check").success()
    assert "largest difference from TensorFlow: hidden_state " in done.stdout
    assert "last_cell_state" in done.stdout
    strict = ("--units", "40", "--atol", "0", "--rtol", "0", "-f", "json")
    done = rnncli("trace", "--layer", "lstm", "--seed", "1", "--quiet", "--check", *strict)
    assert set(json.loads(done.stdout)["differences"]) == {
        "hidden_state",
        "last_hidden_state",
        "last_cell_state",
    }
    assert done.returncode == 1
    assert "hidden_state, last_hidden_state, last_cell_state differ from TensorFlow" in done.stderr


def test_stats_of_a_trace_and_of_a_run(rnncli: Any) -> None:
    stats = json.loads(rnncli("trace", *BOTH_WAYS, "--stats", "-f", "json").stdout)["stats"]
    assert stats["backward/forget.activation"]["beyond"] == [0.05, 0.95]
    assert stats["backward/cell"]["saturated"] is None
    done = rnncli("run", *BOTH_WAYS, "--stats", "-f", "json")
    assert json.loads(done.stdout)["outputs"][0]["stats"]["nan"] == 0
    assert "no NaN, no infinities" in rnncli("run", *BOTH_WAYS, "--stats").stdout


def test_stats_of_a_trace_name_saturated_and_dead_units(rnncli: Any) -> None:
    """A unit without input weights is dead; large inputs saturate the other; masked steps do not count."""
    x = [[[-40.0], [40.0], [0.0], [40.0]]]
    weights = {"kernel": [[1, 0] * 4], "recurrent_kernel": [[0] * 8] * 2, "bias": [0] * 8}
    document = {"inputs": x, "layer": "LSTM(2)", "weights": weights}
    flags = ("--stats", "--mask", "[[true, true, true, false]]", "--quiet")
    answer = json.loads(rnncli("trace", json.dumps(document), *flags, "-f", "json").stdout)
    assert answer["saturated_units"] == {
        gate: [pytest.approx(2 / 3), 0.0] for gate in ("input", "forget", "candidate", "output")
    }
    assert answer["dead_units"] == [1]
    text = rnncli("trace", json.dumps(document), *flags).stdout
    assert "input[0] 67%, forget[0] 67%, candidate[0] 67%, output[0] 67%" in text
    assert "dead units (the state is never beyond 1e-6): 1" in text
    kept = json.loads(rnncli("trace", json.dumps(document), *flags, "--unit", "1", "-f", "json").stdout)
    assert (kept["saturated_units"]["forget"], kept["dead_units"]) == ([0.0], [1])


def test_units_of_several_loops_have_their_loop_in_front(rnncli: Any) -> None:
    layer = "Bidirectional(LSTM(2, activation='relu', kernel_initializer='zeros'))"
    done = rnncli("trace", "-l", layer, "--seed", "1", "--stats", "-f", "json", "--quiet")
    answer = json.loads(done.stdout)
    assert answer["dead_units"] == ["forward/0", "forward/1", "backward/0", "backward/1"]
    assert "backward/forget" in answer["saturated_units"]
    assert "forward/candidate" not in answer["saturated_units"]  # relu has no limits
    assert "no unit is dead" in rnncli("trace", *BOTH_WAYS, "--stats").stdout


@pytest.mark.parametrize(("lang", "said"), [("en", "of the finite numbers"), ("ko", "유한한 값만")])
@pytest.mark.parametrize("width", ["40", "100"])
def test_figures_say_that_they_leave_infinity_out(rnncli: Any, lang: Any, said: Any, width: Any) -> None:
    flags = ("--seed", "1", "--quiet", "--stats", "--lang", lang, "--width", width)
    text = rnncli("run", '[[[1, "Infinity"]]]', "-l", "simple_rnn", "--activation", "relu", *flags).stdout
    assert said in text
    assert said not in rnncli("run", "[[[1, 2]]]", *flags).stdout


@pytest.mark.parametrize(
    ("command", "place"),
    [("run", "hidden_states[0, 1, 0]"), ("trace", "input.preactivation at timestep 1, batch 0, unit 0")],
)
def test_a_nan_fails_after_it_was_shown(rnncli: Any, command: Any, place: Any) -> None:
    flags = (command, ODD, "--seed", "1", "--quiet", "--return-sequences")
    assert rnncli(*flags).returncode == 0
    assert rnncli(command, "--seed", "1", "--quiet", "--fail-on-nan").returncode == 0
    done = rnncli(*flags, "--fail-on-nan")
    assert done.returncode == 1
    assert place in done.stderr
    assert "NaN" in done.stdout


@pytest.mark.parametrize(
    ("steps", "kept"),
    [("--step 1", [1]), ("--steps 1:3", [1, 2]), ("--steps -2:", [2, 3]), ("--steps :1 --step -1", [0, 3])],
)
def test_steps_are_indices_or_ranges(rnncli: Any, steps: str, kept: list[int]) -> None:
    done = rnncli("trace", "sentence", "--seed", "1", "-f", "json", *steps.split())
    assert [step["timestep"] for step in json.loads(done.stdout)["trace"]] == kept


L = keras.layers
GIVEN = {
    "source": np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32"),
    "target": np.random.default_rng(2).normal(size=(2, 4, 2)).astype("float32"),
}
GIVEN["source"][1, 3:] = 0  # masked


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Return a file of a model with three recurrent layers, and the hidden states of two by Keras."""
    keras.utils.set_random_seed(3)
    source, target = keras.Input((5, 3), name="source"), keras.Input((4, 2), name="target")
    masked = L.Masking(name="masking")(source)
    read = L.Bidirectional(L.GRU(2, return_sequences=True), name="read")(masked)
    _, *states = L.LSTM(3, return_state=True, name="encoder")(read)
    decoded = L.LSTM(3, return_sequences=True, name="decoder")(target, initial_state=states)
    model = keras.Model([source, target], L.Dense(2, name="dense")(decoded))
    path = tmp_path_factory.mktemp("model") / "translator.keras"
    model.save(path)
    outputs = keras.Model(model.inputs, {"read": read, "decoder": decoded})(GIVEN)
    return path, {name: np.asarray(values) for name, values in outputs.items()}


@pytest.mark.slow
def test_every_layer_is_traced_under_its_name(translator: Any) -> None:
    path, theirs = translator
    found = package.trace(GIVEN, model=path)
    np.testing.assert_allclose(found["decoder/hidden"], theirs["decoder"], atol=1e-6)
    np.testing.assert_allclose(found["read/forward/output"], theirs["read"][..., :2], atol=1e-6)
    assert found["decoder/forget"].shape == (2, 4, 3)
    assert found["encoder/forget"].shape == (2, 5, 3)
    assert found.document()["trace"][0]["layer"] == "read"
    assert list(found.document()["layers"]) == ["read", "encoder", "decoder"]


@pytest.mark.slow
def test_the_check_compares_the_tensors_of_every_layer(rnncli: Any, translator: Any, tmp_path: Path) -> None:
    given = {name: values.tolist() for name, values in GIVEN.items()}
    (tmp_path / "given.json").write_text(json.dumps({"inputs": given}))
    words = ("trace", str(tmp_path / "given.json"), "--model", str(translator[0]))
    document = rnncli(*words, "--check", "-f", "json").answer()
    assert {"read/hidden_states", "encoder/last_cell_state", "decoder/hidden_states"} <= {
        *document["differences"]
    }
    table = rnncli(*words, "--width", "80").stdout
    assert "mask from masking" in " ".join(table.split())
    titles = [line.split(" ")[0] for line in table.splitlines() if line[:2] in ("re", "en", "de")]
    assert titles == ["read", "read", "encoder", "decoder"]
    assert all(len(line) <= 80 for line in table.splitlines())


@pytest.mark.slow
def test_a_part_of_every_layer_is_kept(translator: Any) -> None:
    found = package.trace(GIVEN, model=translator[0], step=[-2, -1], gate="forget", stats=True)
    assert found["encoder/timestep"].tolist() == [3, 4]
    assert found["decoder/timestep"].tolist() == [2, 3]
    assert [name for name in found.tensors() if "/activation" in name] == [
        "encoder/forget/activation",
        "decoder/forget/activation",
    ]
    assert "decoder/forget.activation" in found.document()["stats"]


def test_one_layer_has_the_names_that_it_has_alone(translator: Any) -> None:
    found = package.trace(GIVEN, model=f"{translator[0]}#decoder")
    assert "forget/activation" in found.tensors()
    assert found.document()["trace"][0]["layer"] == 0


def test_two_chosen_layers_are_both_traced(translator: Any) -> None:
    found = package.trace(GIVEN, model=f"{translator[0]}#decoder,read")
    assert list(found.document()["layers"]) == ["read", "decoder"]


def test_hold_needs_one_layer(translator: Any) -> None:
    with pytest.raises(UsageError, match="several: read, encoder, decoder"):
        package.trace(GIVEN, model=translator[0], hold="forget=1")
    held = package.trace(GIVEN, model=f"{translator[0]}#decoder", hold="forget=1")
    assert (held["forget"] == 1).all()


@pytest.mark.parametrize("command", ["trace", "gradients"])
def test_a_layer_that_cannot_be_shown_is_noted(rnncli: Any, tmp_path: Path, command: str) -> None:
    x = keras.Input((3, 4, 2), name="x")
    each = L.TimeDistributed(L.LSTM(2), name="each")(x)
    keras.Model(x, L.GRU(2, name="read")(each)).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.ones((1, 3, 4, 2), "float32"))
    done = rnncli(command, str(tmp_path / "x.npy"), "--model", str(tmp_path / "m.keras"), "-f", "json")
    layers = done.answer()["layers"]
    assert [layer if isinstance(layer, str) else layer["name"] for layer in layers] == ["read"]
    assert "note: skipped each: " in done.stderr
    alone = rnncli(command, str(tmp_path / "x.npy"), "--model", str(tmp_path / "m.keras") + "#each").refusal()
    assert "TimeDistributed" in alone
