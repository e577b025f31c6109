"""`rnncli weights`: what is in files of Keras, with and without a graph, and how many parameters."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import old_keras as old
import pytest
from command import Run
from looks import SUFFIXES, check_looks, drawn, round_digits
from weights_by_hand import ANSWERS

UPDATE = slice(0, 5)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model with a mask, an Embedding, two recurrent layers and a Dense; and the folder of its files."""
    import keras

    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    tokens = keras.Input((12,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(20, 8, mask_zero=True, name="embedding")(tokens)
    x = keras.layers.Bidirectional(keras.layers.LSTM(6, return_sequences=True), name="bi")(x)
    x = keras.layers.GRU(5, name="gru")(x)
    model = keras.Model(tokens, keras.layers.Dense(3, name="dense")(x))
    for name in ("tagger.keras", "tagger.h5"):
        model.save(folder / name)
    model.save_weights(folder / "tagger.weights.h5")
    return model, folder


@pytest.mark.parametrize("name", ["tagger.keras", "tagger.h5", "tagger.weights.h5"])
@pytest.mark.slow
def test_every_recurrent_layer_gate_by_gate(name: str, tagger: Any, rnncli: Any) -> None:
    model, folder = tagger
    shown = rnncli("weights", str(folder / name), "-f", "json").answer()
    bi, gru = shown["layers"]
    assert (bi["name"], bi["class_name"], bi["units"], bi["direction"]) == (
        "bi", "Bidirectional(LSTM)", [6, 6], "bidirectional",
    )  # fmt: skip
    assert (gru["name"], gru["class_name"], gru["parameters"]) == ("gru", "GRU", 285)
    assert [cell["name"] for cell in bi["cells"]] == ["bi/forward", "bi/backward"]
    kernel, recurrent, bias = model.get_layer("gru").get_weights()
    update = gru["cells"][0]["gates"][0]
    assert update["gate"] == "update"
    assert update["kernel"]["shape"] == [12, 5]
    assert update["kernel"]["norm"] == pytest.approx(np.linalg.norm(kernel[:, UPDATE]), rel=1e-6)
    assert update["kernel"]["min"] == kernel[:, UPDATE].min()
    assert sum(update["kernel"]["histogram"]) == 60
    radius = np.abs(np.linalg.eigvals(recurrent[:, UPDATE])).max()
    assert update["recurrent_kernel"]["spectral_radius"] == pytest.approx(radius, rel=1e-5)
    assert update["recurrent_bias"]["mean"] == bias[1, UPDATE].mean()
    forget = bi["cells"][0]["gates"][1]
    assert (forget["gate"], forget["bias"]["mean"]) == ("forget", 1)
    assert len(shown["others"]) == 3


@pytest.mark.slow
def test_the_origin_and_what_is_beside_the_recurrent_layers(tagger: Any, rnncli: Any) -> None:
    import keras

    done = rnncli("weights", str(tagger[1] / "tagger.keras"))
    assert f"Keras {keras.__version__} · 4 layers, 2 of them recurrent" in done.stdout
    assert "embedding/embeddings  (20, 8)" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_the_weights_go_to_a_file_and_come_back(tagger: Any, rnncli: Any, tmp_path: Path) -> None:
    model, folder = tagger
    file = str(tmp_path / "w.npz")
    assert rnncli("weights", str(folder / "tagger.h5"), "-o", file).returncode == 0
    with np.load(file) as held:
        np.testing.assert_array_equal(held["gru/kernel"], model.get_layer("gru").get_weights()[0])
        assert "bi/backward/recurrent_kernel" in held
    shown = json.loads(rnncli("weights", file, "-f", "json").stdout)
    assert [layer["class_name"] for layer in shown["layers"]] == ["Bidirectional(LSTM)", "GRU"]


@pytest.mark.slow
def test_large_matrices_have_the_same_spectral_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnncli.commands.weights import contents

    monkeypatch.setattr(contents, "EXACT", 96)
    matrix = np.random.default_rng(1).standard_normal((100, 100)) / 16
    assert contents.spectral_radius(matrix) == pytest.approx(
        np.abs(np.linalg.eigvals(matrix)).max(), rel=1e-3
    )
    assert contents.spectral_radius(np.triu(np.ones((100, 100)), 1)) == pytest.approx(0, abs=1e-2)
    assert contents.spectral_radius(np.full((2, 2), np.nan)) is None


def test_a_cell_of_equations_has_its_own_gates(rnncli: Any, tmp_path: Path) -> None:
    """Each line has its columns of the packed weights, and the other weights that it uses."""
    cells, file = Path(__file__).parents[3] / "samples" / "cells", str(tmp_path / "w.npz")
    layer = f"RNN([@'{cells}/ugrnn.toml'(3), @'{cells}/fastgrnn.toml'(2)])"
    words = ("weights", "--layer", layer, "--seed", "1")
    shown = json.loads(rnncli(*words, "-f", "json").stdout)
    assert rnncli(*words, "-o", file).returncode == 0
    first, second = ({gate["gate"]: gate for gate in cell["gates"]} for cell in shown["layers"][0]["cells"])
    assert {name: [*gate][1:] for name, gate in (first | second).items()} == {
        "update": ["bias"],
        "candidate": ["bias"],
        "shared": ["kernel", "recurrent_kernel"],
        "hidden": ["zeta", "nu"],
    }
    with np.load(file) as held:
        kernel = held["0/kernel"]
    assert first["candidate"]["kernel"]["norm"] == pytest.approx(np.linalg.norm(kernel[:, 3:]), rel=1e-6)
    assert (first["update"]["bias"]["mean"], second["hidden"]["nu"]["mean"]) == (1, -4)
    page = rnncli(*words).stdout
    assert [line.split()[0] for line in page.splitlines() if "(2,)" in line] == ["update", "candidate"]


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_answers_look_as_they_did(name: str) -> None:
    kept = SUFFIXES if name in ("described", "converted") else ()
    check_looks("weights", name, ANSWERS[name], kept, round_digits)


def test_a_number_that_is_not_finite_is_not_hidden() -> None:
    text = drawn(ANSWERS["saved"], width=120)
    row = next(line for line in text.splitlines() if line.split()[:2] == ["recurrent", "(3,"])
    assert row.split()[-1] == "?"


def weights_document(rnncli: Run, path: Path) -> dict[str, Any]:
    return dict(rnncli("weights", str(path), "--format", "json").answer())


@pytest.mark.parametrize(("module", "options", "units"), [
    ("LSTM", {}, [[4]]),
    ("GRU", {"num_layers": 2, "bidirectional": True}, [[4, 4], [4, 4]]),
    ("RNN", {"bias": False}, [[4]]),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}, [[4, 4], [4, 4]]),
])  # fmt: skip
def test_modules_of_pytorch(
    module: str, options: dict[str, Any], units: list[list[int]], tmp_path: Path, rnncli: Run
) -> None:
    torch = pytest.importorskip("torch")
    made = getattr(torch.nn, module)(3, 4, **options)
    torch.save(made.state_dict(), tmp_path / "m.pt")
    shown = weights_document(rnncli, tmp_path / "m.pt")
    assert shown["parameters"] == sum(tensor.numel() for tensor in made.parameters())
    assert [layer["units"] for layer in shown["layers"]] == units
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize(("class_name", "gates"), [("CuDNNLSTM", 4), ("CuDNNGRU", 3)])
def test_both_biases_of_cudnn(class_name: str, gates: int, graph: bool, tmp_path: Path, rnncli: Run) -> None:
    options = {name: value for name, value in old.LOOP.items() if name != "unroll"}
    layer = old.layer(class_name, "fast", units=3, **options)
    layer["config"]["batch_input_shape"] = [None, 5, 2]
    arrays = [*old.of_gates(gates, 2, 3)[:2], *old.drawn((2 * gates * 3,))]
    model = {"class_name": "Sequential", "config": [layer]} if graph else None
    old.write(tmp_path / "m.h5", "2.2.4", model, {"fast": old.pairs(old.names("fast"), arrays)})
    assert weights_document(rnncli, tmp_path / "m.h5")["parameters"] == sum(array.size for array in arrays)


def test_arrays_with_other_names_are_not_pytorchs(tmp_path: Path, rnncli: Run) -> None:
    np.savez(tmp_path / "m.npz", a=np.zeros((2, 3)), b=np.zeros(4))
    assert weights_document(rnncli, tmp_path / "m.npz")["origin"] is None
    shown = rnncli("weights", str(tmp_path / "m.npz")).success().stdout
    assert "recurrent layers: 0 · no graph" in shown.splitlines()
