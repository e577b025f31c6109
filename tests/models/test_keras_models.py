"""Whole Keras models read as graphs: nodes, calls, configs and weights, held to Keras's own model."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_calls import graph_in, outputs_in_numpy

from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.models import reading as models
from rnncli.models.graph import Graph, ModelInput, Modules, Ref
from rnncli.models.keras import reader as reader

FAMILIES = ("keras", "tf_keras")
RANDOM = np.random.default_rng(7)
IDS = np.array([[1, 4, 0, 3, 0, 0], [2, 2, 5, 0, 0, 0]])
X = RANDOM.normal(size=(2, 6, 3)).astype("float32")
Y = RANDOM.normal(size=(2, 6, 4)).astype("float32")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: Any) -> Any:
    return pytest.importorskip(request.param)


def nested(k: Any) -> Any:
    layers = k.layers
    a = k.Input((6, 4), name="a")
    deep = layers.GRU(4, return_sequences=True, name="deep")
    inner = k.Model(
        a, layers.BatchNormalization(name="norm")(layers.Dense(4, name="out")(deep(a))), name="inside"
    )
    chain = k.Sequential(
        [k.Input((6, 4)), layers.LSTM(4, return_sequences=True), layers.Dense(4)], name="chain"
    )
    b = k.Input((6, 4), name="b")
    wrap = k.Model(b, inner(chain(b)), name="wrap")
    y = k.Input((6, 4), name="y")
    within = inner(y) if k.__version__ >= "3" else y  # tf_keras saves another call than this one
    return k.Model(y, [wrap(within), wrap(y), deep(y)]), {"y": Y}


def cells(k: Any) -> Any:
    layers = k.layers
    y = k.Input((6, 4), name="y")
    stacked = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2), layers.LSTMCell(2)], name="stacked")(y)
    one = layers.RNN(layers.GRUCell(2, reset_after=False), return_sequences=True, name="one")(y)
    both = layers.Bidirectional(layers.RNN([layers.SimpleRNNCell(3), layers.LSTMCell(2)]), name="both")(one)
    back = layers.Bidirectional(layers.LSTM(2), backward_layer=layers.GRU(3, go_backwards=True), name="back")(
        y
    )
    return k.Model(y, [stacked, both, back]), {"y": Y}


def chain(k: Any) -> Any:
    layers = k.layers
    model = k.Sequential([
        layers.Embedding(6, 4), layers.SpatialDropout1D(0.2),
        layers.Conv1D(5, 3, padding="same", activation="relu"),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="ave"),
        layers.TimeDistributed(k.Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Dense(3)])),
        layers.GRU(2, reset_after=False), layers.Dropout(0.5), layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.build((None, 6))
    return model, {None: IDS}


def pieces(k: Any) -> Any:
    """Several inputs and outputs of models in models, by list and by name, and each used twice."""
    layers = k.layers
    a, b = k.Input((6, 4), name="a"), k.Input((6, 3), name="b")
    _, h, c = layers.LSTM(4, return_state=True, name="deep")(a)
    two = k.Model(
        [a, b], [layers.LSTM(4, name="first")(a, initial_state=[h, c]), layers.GRU(3)(b)], name="two"
    )
    d = k.Input((4,), name="d")
    named = k.Model(
        {"z": d}, {"q": layers.Dense(3, name="q")(d), "p": layers.Dense(2, name="p")(d)}, name="named"
    )
    chain = k.Sequential(
        [k.Input((6, 4)), layers.Masking(), layers.LSTM(4, return_sequences=True)], name="chain"
    )
    chain.trainable = False
    y, x = k.Input((6, 4), name="y"), k.Input((6, 3), name="x")
    first, second = two([y, x])
    third, _ = two([chain(y), x])
    outputs = named({"z": first})
    each = layers.TimeDistributed(k.Sequential([layers.Dense(4, name="e"), layers.Dense(2)]))(y)
    again = layers.GRU(2)(chain(chain(y)))
    returned = [outputs["p"], outputs["q"], second, third, each, again, named({"z": third})["q"]]
    return k.Model([x, y], returned), {"x": X, "y": Y}


MODELS = {made.__name__: made for made in (nested, cells, chain, pieces)}


@pytest.fixture(scope="module", params=MODELS)
def model(request: Any, family: Any) -> Any:
    family.utils.set_random_seed(3)
    made, inputs = MODELS[request.param](family)
    for weight in made.weights:
        weight.assign(np.random.default_rng(weight.shape[-1]).uniform(0.1, 0.9, weight.shape))
    return made, inputs


@pytest.mark.slow
def test_what_is_read_computes_what_the_model_predicts(model: Any, tmp_path: Path) -> None:
    made, inputs = model
    for name in ("m.keras", "m.h5"):
        made.save(tmp_path / name)
    graph, legacy = graph_in(tmp_path / "m.keras"), graph_in(tmp_path / "m.h5")
    assert_same(graph, legacy)
    inputs = {name or graph.inputs[0].name: array for name, array in inputs.items()}
    expected = made(inputs if len(inputs) > 1 else next(iter(inputs.values())))  # predict would compile it
    expected = expected if isinstance(expected, list) else [expected]
    for ours, theirs in zip(outputs_in_numpy(graph, inputs), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def assert_same(one: Graph, other: Graph) -> None:
    assert one.inputs == other.inputs
    assert one.outputs == other.outputs
    assert one.notes == other.notes
    for ours, theirs in zip(one.nodes, other.nodes, strict=True):
        assert (ours.name, ours.class_name, ours.args) == (theirs.name, theirs.class_name, theirs.args)
        assert ours.kwargs == theirs.kwargs
        assert list(ours.weights) == list(theirs.weights)
        for name, array in ours.weights.items():
            np.testing.assert_array_equal(array, theirs.weights[name])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: Any) -> Any:
    """A small model of Keras 3, its files by suffix."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    ids = keras.Input((None,), name="ids", dtype="int32")
    words = layers.Embedding(9, 3, mask_zero=True, name="words")(ids)
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(words)
    last = layers.GRU(2, name="last")
    model = keras.Model(ids, layers.Dense(1, name="out")(layers.Add(name="add")([last(both), last(both)])))
    folder = tmp_path_factory.mktemp("whole")
    for name in ("m.keras", "m.h5"):
        model.save(folder / name)
    model.save_weights(folder / "m.weights.h5")
    return model, folder


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.slow
def test_nodes_and_weights_are_keras_s(whole: Any, name: Any) -> None:
    model, folder = whole
    graph = graph_in(folder / name)
    shown = [node for node in graph.nodes if ".ops." not in node.module]
    assert [node.name for node in shown] == ["ids", "words", "both", "last", "last@1", "add", "out"]
    for node in shown:
        theirs = model.get_layer(node.layer).get_weights()
        assert len(node.weights) == len(theirs)
        for ours, other in zip(node.weights.values(), theirs, strict=True):
            np.testing.assert_array_equal(ours, other)
    both, last = shown[2], shown[3]
    assert list(both.weights)[:2] == ["forward/kernel", "forward/recurrent_kernel"]
    assert list(both.weights)[-1] == "backward/bias"
    assert isinstance(both.kwargs["mask"], Ref)
    assert last.config["reset_after"] is True
    assert graph.inputs == (ModelInput("ids", ("batch", None), "int32"),)
    assert graph.outputs == (Ref("out"),)
    assert graph.origin.startswith("Keras 3")
    assert graph.notes == ()


def write_zip(path: Path, **files: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return path


def refusal_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        graph_in(path)
    return str(caught.value)


@pytest.mark.slow
def test_a_model_in_a_zip_file_is_named_and_read_by_that_name(whole: Any, tmp_path: Path) -> None:
    _, folder = whole
    content = (folder / "m.keras").read_bytes()
    outer = write_zip(tmp_path / "outer.keras", inner_keras=content, read_me=b"x")
    assert "outer.keras!inner.keras" in refusal_of(outer)
    assert graph_in(tmp_path / "outer.keras!inner.keras").outputs == (Ref("out"),)
    assert "no file other.keras in it" in refusal_of(tmp_path / "outer.keras!other.keras")
    with zipfile.ZipFile(folder / "m.keras") as archive:
        parts = {f"m__{name.replace('.', '_')}": archive.read(name) for name in archive.namelist()}
    assert "unpacked" in refusal_of(write_zip(tmp_path / "folder.zip", **parts))


@pytest.mark.slow
def test_what_is_no_model_says_so(whole: Any, tmp_path: Path) -> None:
    keras: Any = pytest.importorskip("keras")
    _, folder = whole
    assert isinstance(models.read(Source("w", path=folder / "m.weights.h5")), Modules)
    assert "PyTorch" in refusal_of(write_zip(tmp_path / "m.pt", archive__data_pkl=b"x"))
    assert "not a Keras model" in refusal_of(write_zip(tmp_path / "m.zip", a_txt=b"x"))
    said = refusal_of(write_zip(tmp_path / "a.keras", model_weights_h5=b"x"))
    assert said.startswith("a.keras: there is no config.json in it.\nSave the whole model with")
    (tmp_path / "text.keras").write_text("no model")
    assert "text.keras" in refusal_of(tmp_path / "text.keras")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"x")
    assert "SavedModel" in refusal_of(tmp_path / "folder")

    class Own(keras.Model):  # type: ignore[misc] # Keras has no types
        def __init__(self) -> None:
            super().__init__()
            self.layer = keras.layers.LSTM(2)

        def call(self, x: Any) -> Any:
            return self.layer(x)

    model = Own()
    model(np.zeros((1, 2, 3)))
    model.save(tmp_path / "own.keras")
    assert "Own" in refusal_of(tmp_path / "own.keras")
    found = models.read(Source("own.keras", path=tmp_path / "own.keras"), or_layers=True)
    assert isinstance(found, Modules)
    assert [node.class_name for module in found.modules for node in module.nodes] == ["LSTM"]


def test_a_model_without_weights_is_to_be_built(tmp_path: Path) -> None:
    keras: Any = pytest.importorskip("keras")
    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([keras.layers.LSTM(3, name="lstm")]).save(tmp_path / "m.keras")
    said = "m.keras: lstm: the file has no weights for this LSTM.\nBuild the model, and save it again."
    assert refusal_of(tmp_path / "m.keras") == said


@pytest.mark.slow
def test_a_model_in_a_model_gets_the_mask_that_it_is_called_with(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    a = keras.Input((6, 4), name="a")
    inner = keras.Model(a, layers.GRU(3, name="deep")(layers.Dense(2, name="before")(a)), name="inside")
    y, given = keras.Input((6, 4), name="y"), keras.Input((6,), dtype="bool", name="given")
    ids = keras.Input((6,), dtype="int32", name="ids")
    words = layers.Dense(4, name="wide")(layers.Embedding(6, 3, mask_zero=True, name="words")(ids))
    marked = layers.Dropout(0.5)(layers.Masking(name="marked")(y))
    model = keras.Model([y, given, ids], [inner(y, mask=given), inner(words), inner(marked), inner(y)])
    model.save(tmp_path / "m.keras")
    graph = graph_in(tmp_path / "m.keras")
    inputs = {"y": Y, "given": IDS % 2 == 0, "ids": IDS}
    assert [node.name for node in graph.nodes if node.class_name == "Identity"] == ["inside/a"]
    expected = model([inputs[port.name] for port in graph.inputs])
    for ours, theirs in zip(outputs_in_numpy(graph, inputs), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def of_layers(*layers: Any, outputs: Any = (), inputs: Any = ()) -> dict[str, Any]:
    ends = {"input_layers": list(inputs), "output_layers": list(outputs)}
    return {"class_name": "Functional", "name": "m", "config": {"name": "m", "layers": list(layers), **ends}}


GIVEN = {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_shape": [None, 6, 4]}}


def model_of_a_model(call: Any) -> dict[str, Any]:
    """A model whose inner model is called with these arguments."""
    x = [["x", 0, 0]]
    inside = {**of_layers(GIVEN, inputs=x, outputs=x), "name": "inside", "inbound_nodes": [call]}
    return of_layers(GIVEN, inside, inputs=x, outputs=[["inside", 1, 0]])


@pytest.mark.parametrize(("config", "said"), [
    ([], "its config does not describe a Keras model."),
    ({"class_name": "Functional"}, "its config does not describe a Keras model."),
    ({"class_name": "Functional", "config": {"layers": 3, "input_layers": [], "output_layers": []}}, ""),
    ({"class_name": "Sequential", "config": {"layers": []}}, "None: there is no layer in this model."),
    ({"class_name": "Sequential", "config": {"name": "s"}}, "the config of this model has no layers."),
    ({"class_name": "Sequential", "config": {"layers": [{"class_name": "LSTM", "config": {}}]}},
     "lstm: its config has no recurrent_activation"),
    (
        of_layers(
            *(
                {"class_name": "Add", "name": one, "config": {}, "inbound_nodes": [[[other, 0, 0]]]}
                for one, other in ("ab", "ba")
            ),
            outputs=[["b", 0, 0]],
        ),
        "a: the input of this layer depends on its own output.",
    ),
    (model_of_a_model([["x", 0, 0, {}], ["x", 0, 0, {}]]),
     "inside: this model has 1 input, and it is called with 2."),
    (model_of_a_model([["x", 0, 0, {"mask": [["x", 0, 0], ["x", 0, 0]]}]]),
     "inside: it has 1 input and gets 2 masks."),
])  # fmt: skip
def test_a_config_that_is_none_is_bad_input(tmp_path: Path, config: Any, said: str, whole: Any) -> None:
    _, folder = whole
    with zipfile.ZipFile(folder / "m.keras") as archive:
        weights = archive.read("model.weights.h5")
    path = write_zip(tmp_path / "m.keras", metadata_json=b"{}", config_json=json.dumps(config))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.weights.h5", weights)
    assert refusal_of(path).startswith(f"m.keras: {said}")


@pytest.mark.slow
def test_layers_beside_the_recurrent_ones_are_read_as_they_are(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    x = keras.Input((6, 4), name="x")
    y = layers.Normalization(mean=0.5, variance=2.0, name="said")(x)
    learned = layers.Normalization(name="learned")
    learned.adapt(Y)
    y = layers.MultiHeadAttention(2, 3, name="heads")(learned(y), y)
    y = layers.SpectralNormalization(layers.Dense(3), name="spectral")(y)
    model = keras.Model(x, layers.GRU(2, name="gru")(layers.Dense(4, name="small")(y)))
    model.get_layer("small").quantize("int8")
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        held = {node.name: node for node in graph_in(tmp_path / name).nodes}
        assert not held["said"].weights
        assert list(held["learned"].weights) == ["mean", "variance", "count"]
        assert len(held["heads"].weights) == 8
        assert held["small"].config["dtype"] == "int8_from_float32"
        np.testing.assert_array_equal(held["gru"].weights["kernel"], model.get_layer("gru").get_weights()[0])
