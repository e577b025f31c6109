"""trace of a saved model: each of its recurrent layers, held to Keras's own intermediate outputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

import rnncli as package
from rnncli.errors import UsageError

pytestmark = pytest.mark.usefixtures("files_are_read_here")

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
def test_a_layer_that_cannot_be_shown_is_skipped_with_a_note(
    rnncli: Any, tmp_path: Path, command: str
) -> None:
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
