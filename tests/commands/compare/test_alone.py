"""`rnncli compare --alone`: each sequence alone, and in its batch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

import rnncli as package
from rnncli.errors import UsageError

INPUTS = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
INPUTS[1, 3:] = 0
INPUTS[2, 5:] = 0
SIDES = ["alone, without its masked steps", "alone, with its padding"]


@pytest.mark.parametrize(
    "layer",
    ["lstm", "Bidirectional(GRU(3, return_sequences=True))", "LSTM(3, go_backwards=True)", ["gru", "bilstm"]],
)
@pytest.mark.parametrize("options", [{"mask_value": 0.0}, {"lengths": [6, 3, 5]}])
def test_padding_changes_no_layer_that_masks_it(layer: Any, options: dict[str, Any]) -> None:
    found = package.compare(INPUTS, layer, alone=True, seed=1, **options)
    assert found
    assert [str(one.sides[1]) for one in found.found] == SIDES


def test_without_masked_steps_there_is_one_line() -> None:
    found = package.compare(INPUTS, "lstm", alone=True, seed=1)
    assert [str(one.sides[1]) for one in found.found] == ["alone"]
    assert found.found[0].absolute < 1e-6
    with pytest.raises(UsageError, match="alone needs several sequences"):
        package.compare(INPUTS[:1], "lstm", alone=True, seed=1)


@pytest.mark.slow
def test_a_model_that_reads_its_padding(tmp_path: Path, rnncli: Run) -> None:
    """A Conv1D reads the masked step behind the last real one; Keras itself says how much it changes."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Masking(), keras.layers.LSTM(3, return_sequences=True, name="lstm")]
    layers += [keras.layers.Conv1D(2, 3, padding="same", name="conv")]
    model = keras.Sequential([keras.Input((None, 4)), *layers])
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", INPUTS)
    done = rnncli(
        "compare", str(tmp_path / "x.npy"), "--model", str(tmp_path / "m.keras"), "--alone", "-f", "json"
    )
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    cut, kept = answer["comparisons"]
    whole = np.asarray(model(INPUTS))
    alone = [np.asarray(model(INPUTS[index : index + 1, :length])) for index, length in enumerate((6, 3, 5))]
    gaps = [abs(whole[index, : one.shape[1]] - one[0]).max() for index, one in enumerate(alone)]
    assert cut["name"] == "conv/output"
    assert cut["absolute"] == pytest.approx(max(gaps), abs=1e-6)
    assert cut["timestep"] == 2
    assert (kept["verdict"], kept["second"]) == ("same", SIDES[1])
    said = "what a sequence returns depends on its batch or its padding, first in conv"
    assert answer["conclusion"] == said


def test_a_model_of_one_length_keeps_its_padding(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Masking(), keras.layers.LSTM(3, name="lstm")]
    keras.Sequential([keras.Input((6, 4)), *layers]).save(tmp_path / "m.keras")
    found = package.compare(INPUTS, model=str(tmp_path / "m.keras"), alone=True)
    assert [str(one.sides[1]) for one in found.found] == SIDES[1:]
    assert any(
        text.startswith("not compared alone, without its masked steps: ") for text in map(str, found.remarks)
    )


@pytest.mark.slow
def test_a_file_without_a_graph_and_a_graph_of_onnx(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    torch.save(torch.nn.GRU(4, 3, num_layers=2, bidirectional=True).state_dict(), tmp_path / "m.pt")
    found = package.compare(INPUTS, model=str(tmp_path / "m.pt"), alone=True, lengths=[6, 3, 5])
    assert found
    assert [str(one.sides[1]) for one in found.found] == SIDES
    pytest.importorskip("onnxruntime")
    import onnx
    import onnx_graphs

    weights = onnx_graphs.weights(np.random.default_rng(0), "LSTM", 4, 3)
    node = onnx_graphs.node("LSTM", {"X": INPUTS, **weights, "lens": True}, name="lstm")
    feeds = {"X": INPUTS.swapaxes(0, 1), "lens": np.array([6, 3, 5], np.int32)}
    onnx.save(onnx_graphs.model([node], feeds, weights, ["Y"]), tmp_path / "m.onnx")
    found = package.compare(feeds, model=str(tmp_path / "m.onnx"), alone=True)
    assert found.agrees is True
    assert [str(one.sides[1]) for one in found.found] == SIDES


def _save_onnx(path: Path, after: list[Any]) -> None:
    """Write a GRU whose sequence the nodes of `after` read, as Y, and return Z."""
    import onnx
    import onnx_graphs

    weights = onnx_graphs.weights(np.random.default_rng(0), "GRU", 4, 3)
    node = onnx_graphs.node("GRU", {"X": INPUTS, **weights}, name="gru")
    axes = {"batch": np.array([2], np.int64)}
    feeds = {"X": INPUTS.swapaxes(0, 1)}
    onnx.save(onnx_graphs.model([node, *after], feeds, {**weights, **axes}, ["Z"]), path)


@pytest.mark.parametrize("mixes", [False, True])
@pytest.mark.slow
def test_a_graph_of_onnx_is_called_with_each_sequence(tmp_path: Path, rnncli: Run, *, mixes: bool) -> None:
    """Y is (timesteps, directions, batch, units); its mean over the batch depends on the other sequences."""
    pytest.importorskip("onnxruntime")
    from onnx import helper

    mean = helper.make_node("ReduceMean", ["Y"], ["M"], name="mean", axes=[2 if mixes else 3])
    _save_onnx(tmp_path / "m.onnx", [mean, helper.make_node("Sub", ["Y", "M"], ["Z"], name="center")])
    np.save(tmp_path / "x.npy", INPUTS.swapaxes(0, 1))
    words = ("compare", str(tmp_path / "x.npy"), "--model", str(tmp_path / "m.onnx"), "--alone", "-f", "json")
    done = rnncli(*words)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["agree"]) == (int(mixes), not mixes)
    if mixes:
        assert answer["comparisons"][0]["name"] == "center/output"
        assert answer["comparisons"][0]["timestep"] is None
        assert answer["conclusion"].endswith(", first in center")


@pytest.mark.slow
def test_a_file_that_calls_the_axis_of_time_batch(tmp_path: Path) -> None:
    """As a GRU without batch_first is exported that was fed (batch, timesteps, features)."""
    pytest.importorskip("onnxruntime")
    import onnx
    from onnx import helper

    _save_onnx(tmp_path / "m.onnx", [helper.make_node("Identity", ["Y"], ["Z"], name="same")])
    assert package.compare(INPUTS, model=str(tmp_path / "m.onnx"), alone=True).agrees is True
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch_size"
    onnx.save(model, tmp_path / "m.onnx")
    found = package.compare(INPUTS, model=str(tmp_path / "m.onnx"), alone=True)
    assert found.agrees is False
    assert str(found.answer.conclusion).endswith(", first in gru")
    said = "gru does not read as its batch the axis 0 of X, which the file calls batch"
    assert said in [str(text) for text in found.remarks]


@pytest.mark.slow
def test_a_model_that_cannot_be_called_alone_leaves_it_open(tmp_path: Path, rnncli: Run) -> None:
    """Three sequences are fixed in the file, or a layer of the file is not computed: never `same`."""
    keras = pytest.importorskip("keras")
    lstm = keras.layers.LSTM(3, name="lstm", return_sequences=True)
    keras.Sequential([keras.Input(batch_shape=(3, 6, 4)), lstm]).save(tmp_path / "fixed.keras")
    np.save(tmp_path / "x.npy", INPUTS)
    words = ("--model", str(tmp_path / "fixed.keras"), "--alone", "-f", "json")
    done = rnncli("compare", str(tmp_path / "x.npy"), *words)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["agree"], answer["comparisons"]) == (1, None, [])
    assert "the model expects (3, 6, 4), float32; got shape (1, 6, 4)." in done.stderr
    found = package.compare(INPUTS, model=str(tmp_path / "fixed.keras"), alone=True)
    assert found.agrees is None
    assert str(found.answer.conclusion).startswith("whether a sequence returns the same numbers alone is not")

    @keras.saving.register_keras_serializable("Alone")
    class Center(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x - keras.ops.mean(x, 0)

    keras.Sequential([keras.Input((6, 4)), lstm, Center(name="center")]).save(tmp_path / "own.keras")
    found = package.compare(INPUTS, model=str(tmp_path / "own.keras"), alone=True)
    assert found.agrees is None
    assert "center (not computed)" in str(found.answer.conclusion)


def test_of_many_sequences_a_model_is_called_with_the_first_32(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.Sequential([keras.Input((6, 4)), keras.layers.GRU(3)]).save(tmp_path / "m.keras")
    inputs = np.random.default_rng(1).normal(size=(33, 6, 4)).astype("float32")
    found = package.compare(inputs, model=str(tmp_path / "m.keras"), alone=True)
    assert found
    assert "is called with each of the first 32 of 33 sequences" in str(found.remarks[-1])


@pytest.mark.parametrize(("words", "message"), [
    (("--split", "2"), "--split does not apply to --alone."),
    (("--training",), "--alone compares one call without dropout."),
    ((), "--alone needs several sequences, or masked steps"),
])  # fmt: skip
def test_what_is_refused(words: tuple[str, ...], message: str, rnncli: Run) -> None:
    assert message in rnncli("compare", "sentence", "-l", "lstm", "--alone", *words).refusal()


@pytest.mark.parametrize(("end", "mask_zero"), [("post", False), ("pre", True)])
@pytest.mark.slow
def test_padding_without_a_mask_is_cut(end: str, tmp_path: Path, rnncli: Run, *, mask_zero: bool) -> None:
    """Keras itself says how much the padding changes."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((None,), dtype="int32")])
    model.add(keras.layers.Embedding(9, 4, mask_zero=mask_zero, embeddings_initializer="normal"))
    model.add(keras.layers.LSTM(3, name="lstm"))
    model.save(tmp_path / "m.keras")
    words = ("--pad", end, "--pad-value", "8", "--model", str(tmp_path / "m.keras"), "--alone", "-f", "json")
    done = rnncli("compare", "[[1,2,3],[4,5,6,7,8]]", *words)
    padded = [1, 2, 3, 8, 8] if end == "post" else [8, 8, 1, 2, 3]
    _, hidden, cell = (
        abs(np.asarray(whole) - np.asarray(alone)).max()
        for whole, alone in zip(*(_states(model, ids) for ids in (padded, [1, 2, 3])), strict=True)
    )
    cut, kept = json.loads(done.stdout)["comparisons"]
    assert done.returncode == 1
    assert (cut["second"], kept["second"]) == ("alone, without its padding", "alone, with its padding")
    assert cut["absolute"] == pytest.approx(max(hidden, cell), abs=1e-6)
    assert (cut["verdict"], kept["verdict"]) == ("differs", "same")


def _states(model: Any, ids: list[int]) -> Any:
    """Return what the LSTM returns with return_state, in Keras."""
    embedding, lstm = model.layers
    cell = type(lstm).from_config({**lstm.get_config(), "return_state": True})
    inputs = embedding(np.array([ids]))
    cell.build(inputs.shape)
    cell.set_weights(lstm.get_weights())
    return cell(inputs)


@pytest.mark.parametrize("end", ["post", "pre"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.slow
def test_each_of_several_padded_inputs_is_cut_where_it_is_padded(
    end: str, tmp_path: Path, rnncli: Run, *, backwards: bool
) -> None:
    """The largest difference is one of the second input, whose steps are not those of the first."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    layers, inputs = keras.layers, [keras.Input((None,), dtype="int32", name=name) for name in ("a", "b")]
    first, second = (layers.Embedding(9, 4, embeddings_initializer="normal")(ids) for ids in inputs)
    small = layers.LSTM(3, kernel_initializer="zeros", recurrent_initializer="zeros")(first)
    large = layers.GRU(3, return_sequences=True, go_backwards=backwards, kernel_initializer="ones")(second)
    model = keras.Model(inputs, [small, large])
    model.save(tmp_path / "m.keras")
    a, b = [[1, 2, 3], [4, 5, 6, 7, 8]], [[1, 2, 3, 4], [5, 6]]
    words = ("--model", str(tmp_path / "m.keras"), "--alone", "--pad", end, "--pad-value", "8", "-f", "json")
    done = rnncli("compare", json.dumps({"inputs": {"a": a, "b": b}}), *words)
    assert "not compared" not in done.stderr
    whole = [*b[1], 8, 8] if end == "post" else [8, 8, *b[1]]
    batched, alone = (model([np.array([a[1]]), np.array([ids])])[1].numpy()[0] for ids in (whole, b[1]))
    rows = slice(2) if (end == "post") != backwards else slice(2, 4)
    expected = max(abs(batched[rows] - alone).max(), abs(batched[-1] - alone[-1]).max())
    cut = json.loads(done.stdout)["comparisons"][0]
    assert cut["second"] == "alone, without its padding"
    assert cut["absolute"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_a_decoder_keeps_its_steps_and_a_remark_says_so(tmp_path: Path) -> None:
    """Also where its input has as many steps as the encoder's, whose mask is not for them."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    layers, inputs = keras.layers, [keras.Input((None,), dtype="int32", name=name) for name in ("enc", "dec")]
    first, second = (layers.Embedding(9, 4, mask_zero=True)(ids) for ids in inputs)
    _, *states = layers.LSTM(3, return_state=True, name="encoder")(first)
    output = layers.LSTM(3, return_sequences=True, name="decoder")(second, initial_state=states)
    model = keras.Model(inputs, output)
    model.save(tmp_path / "m.keras")
    ids = {"enc": np.array([[1, 2, 3, 4], [5, 6, 0, 0]]), "dec": np.array([[1, 2, 3, 4], [5, 6, 7, 0]])}
    found = package.compare(ids, model=str(tmp_path / "m.keras"), alone=True)
    alone = model([ids["enc"][1:, :2], ids["dec"][1:]])
    np.testing.assert_allclose(alone[0], model([ids["enc"], ids["dec"]])[1], atol=1e-6)
    assert found
    assert [str(one.sides[1]) for one in found.found] == SIDES
    said = "the masked steps of encoder are cut; all steps of the other input of decoder stay"
    assert said in [str(text) for text in found.remarks]


@pytest.mark.parametrize(("strided", "sides", "said"), [
    (False, SIDES, "pool/output, with another number of steps"),
    (True, SIDES[1:], "the number of time steps changes before lstm."),
])  # fmt: skip
def test_other_lengths_are_left_out(sides: list[str], said: str, tmp_path: Path, *, strided: bool) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    before = [keras.layers.Conv1D(4, 2, strides=2, use_bias=False)] if strided else []
    layers = [*before, keras.layers.Masking(), keras.layers.LSTM(3, return_sequences=True, name="lstm")]
    pool = keras.layers.MaxPooling1D(2, name="pool")
    keras.Sequential([keras.Input((None, 4)), *layers, pool]).save(tmp_path / "m.keras")
    found = package.compare(INPUTS, model=str(tmp_path / "m.keras"), alone=True)
    assert found
    assert [str(one.sides[1]) for one in found.found] == sides
    assert [text for text in map(str, found.remarks) if text.endswith(f"masked steps: {said}")]
