"""--model: saved models through the command line, held to Keras's own intermediate outputs."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

import rnncli as package

pytestmark = pytest.mark.usefixtures("files_are_read_here")

L = keras.layers
IDS = [[3, 1, 4, 1, 0, 0], [2, 7, 1, 0, 0, 0]]
NUMBERS = np.random.default_rng(1).normal(size=(2, 5, 3)).round(3).tolist()


def branches() -> Any:
    a = keras.Input((5, 3), name="a")
    one, two = (
        L.LSTM(4, name="one", return_sequences=True)(a),
        L.LSTM(4, name="two", return_sequences=True)(a),
    )
    normal = L.LayerNormalization(name="normal")(L.Add(name="sum")([one, two]))
    return keras.Model(a, L.Dense(2, name="dense")(L.GRU(3, name="gru")(normal)))


def tagger() -> Any:
    a = keras.Input((6,), dtype="int32", name="ids")
    x = L.Embedding(9, 3, mask_zero=True, name="embedding")(a)
    x = L.Bidirectional(L.LSTM(2, return_sequences=True), name="bi")(x)
    return keras.Model(a, L.Dense(2, name="dense")(L.GRU(3, name="gru")(x)))


def translator() -> Any:
    a, b = keras.Input((5, 3), name="source"), keras.Input((4, 2), name="target")
    _, *states = L.LSTM(3, return_state=True, name="encoder")(a)
    decoded = L.LSTM(3, return_sequences=True, name="decoder")(b, initial_state=states)
    return keras.Model([a, b], L.Dense(2, name="dense")(decoded))


def shared() -> Any:
    inner_in = keras.Input((5, 3))
    inner = keras.Model(inner_in, L.GRU(2, name="deep", return_sequences=True)(inner_in), name="inside")
    a, b = keras.Input((5, 3), name="a"), keras.Input((5, 3), name="b")
    rnn = L.SimpleRNN(2, name="rnn")
    return keras.Model([a, b], L.Concatenate(name="join")([rnn(a), rnn(b), L.Flatten(name="flat")(inner(a))]))


def chain() -> Any:
    layers = [
        keras.Input((5, 3)), L.Masking(), L.LSTM(3, return_sequences=True, name="lstm"), L.GRU(2, name="g"),
    ]  # fmt: skip
    return keras.Sequential([*layers, L.Dense(2, name="dense")])


OTHER = np.random.default_rng(2).normal(size=(2, 4, 2)).round(3).tolist()
MODELS = {
    "branches": (branches, NUMBERS),
    "tagger": (tagger, IDS),
    "translator": (translator, {"source": NUMBERS, "target": OTHER}),
    "shared": (shared, {"a": NUMBERS, "b": (np.array(NUMBERS) / 2).tolist()}),
    "chain": (chain, NUMBERS),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any, Path]]:
    folder, found = tmp_path_factory.mktemp("models"), {}
    for name, (build, given) in MODELS.items():
        keras.utils.set_random_seed(3)
        model = build()
        for suffix in ("keras", "h5"):
            model.save(folder / f"{name}.{suffix}")
        (folder / f"{name}.json").write_text(json.dumps({"inputs": given}))
        found[name] = (model, given, folder)
    return found


def expected(model: Any, given: Any) -> dict[str, np.ndarray]:
    """Every top-level layer's first output, by Keras; a second use is `rnn@1`."""
    tensors = {}
    for layer in model.layers:
        if not isinstance(layer, (L.InputLayer, keras.Model)):
            for number, node in enumerate(layer._inbound_nodes):
                name = layer.name + (f"@{number}" if number else "")
                tensors[name] = node.output_tensors[0]
    probe = keras.Model(model.inputs, tensors)
    arrays = [
        np.asarray(given[one.name] if isinstance(given, dict) else given, one.dtype) for one in model.inputs
    ]
    return {name: np.asarray(value) for name, value in probe(arrays).items()}


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.slow
def test_every_layer_is_as_keras_has_it(rnncli: Any, saved: Any, name: str) -> None:
    model, given, folder = saved[name]
    words = ("run", str(folder / f"{name}.json"), "--model", str(folder / f"{name}.keras"))
    shown: dict[str, np.ndarray] = {}
    for tensor in rnncli(*words, "--all-layers", "-f", "json").answer()["outputs"]:
        shown.setdefault(tensor["name"].rpartition("/")[0], np.array(tensor["values"]))
    theirs = expected(model, given)
    assert set(theirs) <= set(shown)
    for layer, values in theirs.items():
        np.testing.assert_allclose(shown[layer], values, atol=1e-5, err_msg=layer)
    if name == "shared":
        assert "inside/deep" in shown


@pytest.mark.slow
def test_the_mask_of_the_embedding_is_said(rnncli: Any, saved: Any) -> None:
    file = saved["tagger"][2] / "tagger.keras"
    done = rnncli("run", json.dumps(IDS), "--model", f"{file}#gru", "--return-state").success()
    assert "input ids (2, 6) int32" in done.stdout
    assert "mask from embedding" in done.stdout
    assert "gru/last_hidden_state" in done.stdout
    assert "bi/" not in done.stdout


@pytest.mark.slow
def test_check_runs_keras_itself(rnncli: Any, saved: Any) -> None:
    folder = saved["branches"][2]
    words = ("run", str(folder / "branches.json"), "--model", str(folder / "branches.keras"))
    found = rnncli(*words, "--check", "--return-state", "--all-layers", "-f", "json").answer()
    assert set(found["differences"]) == {tensor["name"] for tensor in found["outputs"]}


@pytest.mark.slow
def test_a_model_that_keras_cannot_load_is_run_without_a_check(rnncli: Any, saved: Any) -> None:
    """Keras does not load its own .h5 file of this model, which has its masks as nodes."""
    words = ("run", json.dumps(IDS), "--model", str(saved["tagger"][2] / "tagger.h5"))
    done = rnncli(*words, "--check")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Keras cannot run this model: Unknown layer: 'NotEqual'.\nLeave --check out." in done.stderr
    assert rnncli(*words).returncode == 0


@pytest.mark.parametrize("layer", ["one", "gru"])
@pytest.mark.slow
def test_trace_is_checked_against_the_run_of_the_model(rnncli: Any, saved: Any, layer: str) -> None:
    folder = saved["branches"][2]
    words = ("trace", str(folder / "branches.json"), "--model", f"{folder / 'branches.keras'}#{layer}")
    assert "last_hidden_state" in rnncli(*words, "--check", "-f", "json").answer()["differences"]


@pytest.mark.slow
def test_either_use_of_a_shared_layer_is_traced(rnncli: Any, tmp_path: Path) -> None:
    a, b = keras.Input((5, 3), name="a"), keras.Input((4, 3), name="b")
    shared = L.GRU(2, name="gru")
    model = keras.Model([a, b], [shared(a), shared(b)])
    model.save(tmp_path / "shared.keras")
    given = {"a": np.array(NUMBERS), "b": np.array(NUMBERS)[:, 1:]}
    np.savez(tmp_path / "given.npz", a=given["a"], b=given["b"])
    for name, numbers in zip(("gru", "gru@1"), np.asarray(model(given)), strict=True):
        words = (str(tmp_path / "given.npz"), "--model", f"{tmp_path / 'shared.keras'}#{name}")
        done = rnncli("trace", *words, "-f", "json", "--check")
        np.testing.assert_allclose(done.answer()["trace"][-1]["output"], numbers, atol=1e-6)
        address = f"{name}/hidden_state[1,0]"
        done = rnncli("explain", address, *words[:2], str(tmp_path / "shared.keras"), "-f", "json")
        assert done.answer()["explanation"]["value"] == pytest.approx(numbers[1, 0], abs=1e-6)


@pytest.mark.slow
def test_one_layer_is_traced_and_explained(rnncli: Any, saved: Any) -> None:
    model, given, folder = saved["branches"]
    file, ids = folder / "branches.keras", str(folder / "branches.json")
    done = rnncli("explain", "gru/last_hidden_state[0,2]", ids, "--model", str(file), "-f", "json")
    assert abs(done.answer()["explanation"]["value"] - expected(model, given)["gru"][0, 2]) < 1e-5
    done = rnncli("explain", "gru/last_hidden_state[0,9]", ids, "--model", str(file))
    assert done.stderr.startswith("rnncli: gru/last_hidden_state[0,9]: index 9 is out of range")
    assert "for units (0 to 2)" in done.stderr
    assert rnncli("trace", ids, "--model", f"{file}#gru").returncode == 0
    assert "one, two, gru" in rnncli("explain", "last_hidden_state[0,2]", ids, "--model", str(file)).refusal()
    done = rnncli("plot", ids, "--model", f"{file}#gru", "--terminal").success()


def test_python_has_it_too(saved: Any) -> None:
    result = package.run(IDS, model=str(saved["tagger"][2] / "tagger.keras"))
    assert result.keys() == ("bi/hidden_states", "gru/hidden_state")
    model, given, _ = saved["tagger"]
    np.testing.assert_allclose(result["gru/hidden_state"], expected(model, given)["gru"], atol=1e-5)
    assert "mask from embedding" in str(result)


def test_each_line_of_a_stream_is_an_input(rnncli: Any, saved: Any) -> None:
    model, given, folder = saved["translator"]
    alone = [{name: one[:1] for name, one in given.items()}, {"inputs": given}]
    text = "".join(f"{json.dumps(line)}\n" for line in [*alone, {"source": NUMBERS}])
    words = ("run", "--stream", "--model", f"{folder / 'translator.keras'}#decoder", "-f", "ndjson")
    done = rnncli(*words, "--keep-going", "--return-state", input=text)
    assert done.returncode == 1
    assert "line 3: " in done.stderr
    assert "missing input: target" in done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["line"], first["model"]["origin"][:5]) == (1, "Keras")
    wanted = expected(model, given)["decoder"]
    np.testing.assert_allclose(first["outputs"][0]["values"], wanted[:1], atol=1e-5)
    np.testing.assert_allclose(second["outputs"][0]["values"], wanted, atol=1e-5)
    assert [one["name"] for one in second["outputs"]][-1] == "decoder/last_cell_state"


@pytest.mark.slow
def test_content_decides_and_the_suffix_is_a_hint(rnncli: Any, saved: Any, tmp_path: Path) -> None:
    model, given, folder = saved["branches"]
    for suffix in ("keras", "h5"):
        (tmp_path / "model.bin").write_bytes((folder / f"branches.{suffix}").read_bytes())
        words = ("run", str(folder / "branches.json"), "--model", str(tmp_path / "model.bin"))
        shown = rnncli(*words, "--check", "-f", "json").answer()["outputs"][-1]
        np.testing.assert_allclose(shown["values"], expected(model, given)["gru"], atol=1e-5)


def test_a_model_in_a_zip_file_is_run_not_loaded_by_keras(rnncli: Any, saved: Any, tmp_path: Path) -> None:
    folder = saved["branches"][2]
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(folder / "branches.keras", "inner.keras")
    model, numbers = f"{tmp_path / 'outer.zip'}!inner.keras#gru", str(folder / "branches.json")
    assert rnncli("run", numbers, "--model", model).returncode == 0
    assert "only from a file of its own" in rnncli("run", numbers, "--model", model, "--check").refusal()
    assert "inner.keras" in rnncli("run", numbers, "--model", str(tmp_path / "outer.zip")).stderr


def test_a_stream_names_every_stateful_layer(rnncli: Any, tmp_path: Path) -> None:
    layers = [
        keras.layers.LSTM(3, stateful=True, return_sequences=True, name="first"),
        keras.layers.GRU(2, stateful=True, name="second"),
    ]
    keras.Sequential([keras.Input(batch_shape=(1, 4, 5)), *layers]).save(tmp_path / "m.keras")
    (tmp_path / "x.ndjson").write_text("[[[1]]]\n")
    said = rnncli("run", "x.ndjson", "--stream", "--model", "m.keras", cwd=tmp_path).refusal()
    assert said.startswith("rnncli: --stream: first, second in m.keras are stateful, and a stream ")
    assert "rnncli weights 'm.keras#first' --to keras -o layer.npz" in said
