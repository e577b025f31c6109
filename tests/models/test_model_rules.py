"""Saved models of Keras: whose rules about masks hold, and what is refused by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import HEAVY, loaded_by
from keras_calls import check_against_keras, check_near, compute_numpy, graph_in, run_in_numpy
from oracle import keras

from rnncli import compute
from rnncli.errors import EngineError, InputError, LayerError, UsageError
from rnncli.layers.plain import UnknownLayerError
from rnncli.models import ModelRequest, ModelRun
from rnncli.models.graph import Graph
from rnncli.models.keras import by_keras
from rnncli.models.keras import model as models
from rnncli.models.keras.walk import note_masks, run_graph

pytestmark = pytest.mark.usefixtures("files_are_read_here")

L = keras.layers
SEQUENCE = {"return_sequences": True}
IDS = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], "int32")
OTHER = np.array([[1, 0, 0, 0], [3, 4, 5, 0]], "int32")


def save_drawn(model: Any, path: Path) -> Graph:
    """Save the model with random weights; return its graph."""
    for weight in model.weights:
        weight.assign(np.random.default_rng(5).standard_normal(weight.shape) * 0.5)
    model.save(path)
    return graph_in(path)


def save_model(folder: Path, inputs: Any, outputs: Any, suffix: str = ".keras") -> tuple[Any, Graph, Path]:
    keras.utils.set_random_seed(3)
    model, path = keras.Model(inputs, outputs), folder / f"model{suffix}"
    return model, save_drawn(model, path), path


def run_model(graph: Graph, path: Path, given: Any, **more: Any) -> ModelRun:
    """The model run as a command runs it: by Keras where NumPy does not know a layer."""
    return models.Model(graph, path).run(ModelRequest(given, compute_numpy, **more))


def two_embeddings(join: Any) -> tuple[list[Any], Any]:
    a, b = keras.Input((4,), dtype="int32", name="a"), keras.Input((4,), dtype="int32", name="b")
    one = L.Embedding(9, 3, mask_zero=True, name="one")(a)
    two = L.Embedding(9, 3, mask_zero=join.name != "half", name="two")(b)
    return [a, b], L.GRU(2, name="gru")(join([one, two]))


def without_mask_arguments(graph: Graph, origin: str) -> Graph:
    """Return the graph as another Keras would have saved it: without masks among the arguments."""
    nodes = [
        replace(node, kwargs={k: v for k, v in node.kwargs.items() if k != "mask"}) for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes), origin=origin)


A, B = IDS != 0, OTHER != 0
MASKS = {"first": A, "and": A & B, "or": A | B, "everything": np.ones((2, 4), bool), "none": None}


@pytest.mark.parametrize(("join", "old", "today", "notes"), [
    (L.Add(), "and", "or", 1),
    (L.Average(), "and", "or", 1),
    (L.Maximum(), "and", "or", 1),
    (L.Concatenate(), "and", "or", 1),
    (L.Add(name="half"), "first", "none", 0),
    (L.Concatenate(name="half"), "first", "everything", 0),
])  # fmt: skip
def test_joined_masks_by_their_keras(join: Any, old: str, today: str, notes: int, tmp_path: Path) -> None:
    """Keras 3.0 to 3.3 has no mask here, and a note where that changes the numbers."""
    model, graph, _ = save_model(tmp_path, *two_embeddings(join))
    given = {"a": IDS, "b": OTHER}
    run = check_against_keras(model, graph, given)
    np.testing.assert_array_equal(run.parts[0].case.mask, MASKS[today])
    in_keras_2 = run_in_numpy(without_mask_arguments(graph, "Keras 2.4.0"), given)
    np.testing.assert_array_equal(in_keras_2.parts[0].case.mask, MASKS[old])
    (note,) = in_keras_2.notes
    assert str(note).startswith(
        "gru: masks follow Keras 2, which saved the model; today's Keras combines them"
    )
    earliest = run_in_numpy(without_mask_arguments(graph, "Keras 3.1.1"), given)
    assert earliest.parts[0].case.mask is None
    assert ["Keras 3.0 to 3.3" in note for note in map(str, earliest.notes)] == [True] * notes


@pytest.mark.parametrize(("origin", "rules"), [
    ("Keras 2.2.4-tf", "Keras 2"), ("Keras 2.15.0", "Keras 2"), ("Keras", "Keras 2"),
    ("Keras 3.3.3", "Keras 3.0 to 3.3"), ("Keras 3.4.0", "today's Keras"), ("Keras 3.15.1", "today's Keras"),
])  # fmt: skip
def test_the_version_says_whose_rules_hold(origin: str, rules: str) -> None:
    from rnncli.layers.plain import rules_of

    assert rules_of(origin) == rules


def masks_by_position(x: Any, m: Any) -> list[Any]:
    """The layer uses such a mask, and Keras 3 does not pass it on to what follows."""
    masked = L.Masking()(x)
    tall = L.Reshape((3, 1))
    inner = keras.Sequential([keras.Input((4, 3)), L.LSTM(3, return_sequences=True)], name="inner")
    return [
        L.LSTM(3, return_sequences=True)(x, None, m),
        L.Bidirectional(L.GRU(2, return_sequences=True))(masked, None, m),
        L.Attention()([x, masked], [m, m]),
        L.AdditiveAttention()([x, x], [None, m]),
        L.TimeDistributed(L.Dense(3))(x, None, m),
        L.BatchNormalization()(masked, None, m),
        tall(L.GlobalAveragePooling1D()(x, m)),
        L.Softmax()(x, keras.ops.repeat(keras.ops.expand_dims(m, -1), 3, axis=2)),
        inner(x * 2, None, m),
    ]


def called_as_outside_of_training(x: Any, _: Any) -> list[Any]:
    y = keras.Input((4, 3))
    return [keras.Model(y, L.BatchNormalization()(y, training=True), name="inner")(x, training=False)]


def attention(x: Any, _: Any) -> list[Any]:
    """A .keras file numbers their weights: each needs its name."""
    y = L.LSTM(3, **SEQUENCE)(x)
    return [
        L.Attention(use_scale=True)([y, x]), L.Attention(score_mode="concat")([y, x]),
        L.Attention(use_scale=True, score_mode="concat")([y, x]),
        L.AdditiveAttention()([y, x]), L.AdditiveAttention(use_scale=False)([y, x]), L.RMSNormalization()(y),
    ]  # fmt: skip


def numbers_of_its_own(x: Any, _: Any) -> list[Any]:
    return [keras.ops.matmul(L.Dense(2)(x), np.array([[0.5, 2], [-1, 3]], "float32"))]


HELD: dict[str, tuple[str, Any]] = {
    "attention": ("float32", attention),
    "an operation with numbers": ("float32", numbers_of_its_own),
    "masks by position": ("float32", masks_by_position),
    "a call as outside of training": ("float32", called_as_outside_of_training),
    "training without dropout": (
        "float32",
        lambda x, _: [L.LSTM(2, return_sequences=True)(x, training=True)],
    ),
    "whole numbers": (
        "int32",
        lambda x, _: [L.Average()([L.Rescaling(0.5)(L.Masking(0.5)(x)), L.Dense(3)(x)])],
    ),
    "float64": (
        "float32",
        lambda x, _: [L.LSTM(2, dtype="float64", return_sequences=True)(L.Dense(3, dtype="float64")(x))],
    ),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", HELD)
@pytest.mark.slow
def test_a_model_computes_what_it_computes_in_keras(name: str, suffix: str, tmp_path: Path) -> None:
    dtype, make = HELD[name]
    x, m = keras.Input((4, 3), dtype=dtype, name="x"), keras.Input((4,), dtype="bool", name="m")
    model, graph, _ = save_model(tmp_path, [x, m], [L.GRU(2)(one) for one in make(x, m)], suffix)
    random = np.random.default_rng(1)
    given = {"x": (random.standard_normal((3, 4, 3)) * 2).astype(dtype), "m": random.random((3, 4)) < 0.6}
    given["x"][0, 1] = 0
    check_against_keras(model, graph, given)


REFUSED: dict[str, tuple[Any, str]] = {
    "dropout": (lambda x: L.Dropout(0.5)(x, training=True), "training=True"),
    "dropout inside": (lambda x: L.TimeDistributed(L.Dropout(0.5))(x, training=True), "training=True"),
    "statistics": (lambda x: L.BatchNormalization()(x, training=True), "training=True"),
    "a recurrent layer": (
        lambda x: L.LSTM(2, dropout=0.5, name="it", return_sequences=True)(x, training=True),
        "it.*training=True",
    ),
    "whole numbers": (lambda x: L.Activation("tanh")(keras.ops.cast(x, "int32")), "gets integers"),
    "half precision": (
        lambda x: L.LSTM(2, dtype="mixed_float16", return_sequences=True)(x),
        "does not compute in float32",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_is_not_computed_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    x = keras.Input((4, 3), name="x")
    _, graph, _ = save_model(tmp_path, x, L.LSTM(2)(make(x)))
    with pytest.raises(UnknownLayerError, match=message):
        run_in_numpy(graph, {"x": np.ones((2, 4, 3), "float32")})


@pytest.mark.slow
def test_random_numbers_are_not_shown_by_way_of_keras(tmp_path: Path) -> None:
    """Keras could run these, with other numbers every time or, of the batch's statistics, than predict."""
    x = keras.Input((4, 3), name="x")
    given = {"x": np.ones((2, 4, 3), "float32")}
    every = (
        L.Dropout(0.5),
        L.TimeDistributed(L.GaussianNoise(1)),
        L.BatchNormalization(),
        L.MultiHeadAttention(2, 3, dropout=0.5),
    )
    for drawing in every:
        both = (x, x) if isinstance(drawing, L.MultiHeadAttention) else (x,)
        made = drawing(*both, training=True)
        _, graph, path = save_model(tmp_path, x, [L.LSTM(2, name="after")(made), L.LSTM(2, name="free")(x)])
        with pytest.raises(
            UnknownLayerError, match=rf"after \(LSTM\) depends.*{drawing.name}.*training="
        ) as raised:
            run_model(graph, path, given)
        assert str(raised.value.advice).endswith("model.keras#free")
    still = L.MultiHeadAttention(2, 3, name="heads")(x, x, training=True)
    noise = L.Dense(2, name="head")(L.GaussianNoise(1.0, name="noise")(x, training=True))
    _, graph, path = save_model(tmp_path, x, [L.LSTM(2, name="lstm")(still), noise])
    found = run_model(graph, path, given, everything=True)
    assert set(found.other_outputs) == {"heads/output"}
    assert str(found.notes[0]).startswith(
        "skipped noise, head: the layer noise (GaussianNoise) is called with training"
    )


def run_in_training(family: str, inside: bool | None, path: Path, *, spread: bool) -> ModelRun:
    """Run a model that calls a model with training=True.  inside: the training argument of its Dropout."""
    k = pytest.importorskip(family)
    y = k.Input((4, 3))
    quiet = {} if inside is None else {"training": inside}
    inner = k.Model(y, k.layers.Dropout(0.5)(y, **quiet), name="inner")
    x = k.Input((2, 4, 3) if spread else (4, 3), name="x")
    made = (k.layers.TimeDistributed(inner) if spread else inner)(x, training=True)
    k.Model(x, k.layers.LSTM(2)(k.layers.Reshape((-1, 3))(made))).save(path)
    return run_in_numpy(graph_in(path), {"x": np.ones((2, 2, 4, 3) if spread else (2, 4, 3), "float32")})


@pytest.mark.parametrize(("family", "inside"), [("keras", None), ("keras", False), ("tf_keras", None)])
@pytest.mark.parametrize("spread", [False, True])
def test_a_model_called_as_in_training_calls_its_layers_so(
    family: str, inside: bool | None, spread: bool, tmp_path: Path
) -> None:
    """In Keras 3 also layers that say otherwise, as most do: it saves the default of an argument."""
    with pytest.raises(UnknownLayerError, match="training=True, which draws random numbers"):
        run_in_training(family, inside, tmp_path / "model.keras", spread=spread)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [False, True])
def test_in_keras_2_the_training_argument_of_a_layer_wins(spread: bool, tmp_path: Path) -> None:
    assert run_in_training("tf_keras", False, tmp_path / "model.keras", spread=spread).parts


@pytest.mark.slow
def test_a_convolutional_layer_is_a_case_too(tmp_path: Path) -> None:
    x = keras.Input((3, 5, 2), name="x")
    y = L.ConvLSTM1D(2, 3, return_sequences=True, name="conv")(x)
    model, graph, _ = save_model(tmp_path, x, L.GRU(2, name="gru")(L.TimeDistributed(L.Flatten())(y)))
    given = {"x": np.random.default_rng(0).standard_normal((2, 3, 5, 2)).astype("float32")}
    found = run_graph(graph, ModelRequest(given, lambda case: compute.run(case, "auto")))
    check_near(compute_numpy(found.parts[1].case).outputs[0].values, np.asarray(model(given["x"])), "gru")


@pytest.mark.slow
def test_keras_that_differs_from_our_steps_is_an_error(tmp_path: Path) -> None:
    x = keras.Input((4, 3), name="x")
    _, graph, path = save_model(tmp_path, x, L.LSTM(2, name="lstm")(L.GroupNormalization(1)(x)))
    nodes = [
        replace(node, config={**node.config, "recurrent_activation": "hard_sigmoid"})
        if node.name == "lstm" else node
        for node in graph.nodes
    ]  # fmt: skip
    wrong = replace(graph, nodes=tuple(nodes))
    with pytest.raises(EngineError, match="lstm/hidden_state differs from Keras by up to 0"):
        by_keras.run(wrong, path, ModelRequest({"x": np.ones((2, 4, 3), "float32")}, compute_numpy))


def test_only_what_is_asked_for_is_computed(tmp_path: Path) -> None:
    x = keras.Input((4, 3), name="x")
    one = L.LSTM(2, return_sequences=True, name="one")(x)
    two, three = L.GRU(2, name="two")(one), L.GRU(2, name="three")(one)
    _, graph, _ = save_model(tmp_path, x, [two, three])
    given, computed = {"x": np.ones((2, 4, 3), "float32")}, []

    def compute(case: Any) -> Any:
        computed.append(case.stack[0].class_name)
        return compute_numpy(case)

    found = run_graph(graph, ModelRequest(given, compute, layers=("two",)))
    assert ([part.layer for part in found.parts], computed) == (["two"], ["LSTM"])
    found = run_graph(graph, ModelRequest(given, compute))
    assert ([part.layer for part in found.parts], computed) == (["one", "two", "three"], ["LSTM"] * 2)
    with pytest.raises(UsageError, match=r"there is no layer twoo\.\nDid you mean two"):
        run_graph(graph, ModelRequest(given, compute, layers=("twoo",)))


SENTENCES = np.array([[[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 0]]] * 2, "int32")


def test_masks_of_words_inside_sentences(tmp_path: Path) -> None:
    """Keras 3 hands on the mask of words, so that no layer behind can take it."""
    ids = keras.Input((3, 4), dtype="int32", name="ids")
    words = L.Embedding(9, 3, mask_zero=True)(ids)
    means = L.TimeDistributed(L.GlobalAveragePooling1D(), name="means")(words)
    model = keras.Model(ids, L.LSTM(2, name="sentences")(L.Reshape((3, 3))(means)))
    run = run_in_numpy(save_drawn(model, tmp_path / "model.h5"), {"ids": SENTENCES}, layers=["sentences"])
    ours = compute_numpy(run.parts[0].case).outputs[0].values
    check_near(ours, np.asarray(model(SENTENCES)), "sentences")


@pytest.mark.slow
def test_masks_of_words_inside_sentences_in_keras_2(tmp_path: Path) -> None:
    k = pytest.importorskip("tf_keras")
    layers, ids = k.layers, k.Input((3, 4), dtype="int32", name="ids")
    embedded = layers.Embedding(9, 3, mask_zero=True)(ids)
    inside = k.Input((4, 3))
    each = k.Model(inside, layers.GRU(2)(layers.Dense(3)(inside)), name="each")
    means = layers.TimeDistributed(layers.GlobalAveragePooling1D(), name="means")(embedded)
    words = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2)), name="words")(embedded)
    models = layers.TimeDistributed(each, name="models")(embedded)
    model = k.Model(ids, layers.LSTM(2, name="sentences")(layers.concatenate([words, means, models])))
    graph, given = save_drawn(model, tmp_path / "model.h5"), {"ids": SENTENCES.copy()}
    given["ids"][1, 1:] = 0
    case = run_in_numpy(graph, given, layers=["sentences"]).parts[0].case
    np.testing.assert_array_equal(case.mask, [[True] * 3, [True, False, False]])
    check_near(compute_numpy(case).outputs[0].values, np.asarray(model(given["ids"])), "sentences")
    part = run_in_numpy(graph, given).parts[0]
    assert part.result is not None
    assert part.case.mask is not None
    assert (part.layer, part.case.mask.shape) == ("words", (2, 3, 4))
    expected = np.asarray(k.Model(ids, words)(given["ids"]))
    check_near(part.result.outputs[0].values, expected, "words")
    check_near(compute.run(part.case, "tensorflow").outputs[0].values, expected, "words")


@pytest.mark.parametrize(("family", "notes"), [("keras", 0), ("tf_keras", 1)])
@pytest.mark.slow
def test_a_model_in_time_distributed_is_computed_and_noted(family: str, notes: int, tmp_path: Path) -> None:
    """notes: on the hard_sigmoid of Keras 2."""
    k = pytest.importorskip(family)
    layers, x = k.layers, k.Input((3, 4, 5), name="x")
    inside = k.Input((4, 5))
    both = layers.Bidirectional(layers.GRU(2, recurrent_activation="hard_sigmoid"), name="words")
    deep = k.Sequential([k.Input((4, 5)), layers.Conv1D(3, 2), layers.BatchNormalization()], name="deep")
    inner = k.Model(inside, layers.Dense(3)(both(deep(layers.Masking()(inside)))), name="each")
    y = layers.LSTM(2, name="sentences")(layers.TimeDistributed(inner, name="every")(x))
    model, path = k.Model(x, y), tmp_path / "model.h5"
    for weight in model.weights:
        weight.assign(np.random.default_rng(5).random(weight.shape) - 0.3 + ("variance" in weight.name))
    model.save(path)
    graph = graph_in(path)
    given = {"x": np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("float32")}
    found = run_in_numpy(graph, given)
    assert found.notes[0] == "every (TimeDistributed) contains recurrent layers that are not shown."
    old = [note for note in map(str, found.notes[1:]) if note.startswith("with the hard_sigmoid of Keras 3")]
    assert (len(found.notes), len(old)) == (1 + notes, notes)
    check_near(
        compute_numpy(found.parts[0].case).outputs[0].values, np.asarray(model(given["x"])), "sentences"
    )


def test_a_shared_stateful_layer_is_refused_by_way_of_keras_too(tmp_path: Path) -> None:
    """Keras runs it, but the states that the second use starts from are not in its arguments."""
    x, y = keras.Input(batch_shape=(1, 4, 3), name="x"), keras.Input(batch_shape=(1, 4, 3), name="y")
    layer = L.LSTM(3, stateful=True, name="memory")
    _, graph, path = save_model(tmp_path, [x, y], [layer(x), layer(y), L.GRU(2, name="free")(x)])
    given = dict.fromkeys("xy", np.ones((1, 4, 3), "float32"))
    with pytest.raises(UnknownLayerError, match=r"memory.*stateful and used more than once") as raised:
        run_model(graph, path, given)
    assert str(raised.value.advice).endswith("#free")
    assert len(run_model(graph, path, given, layers=["free"]).parts) == 1


@pytest.mark.slow
def test_what_keras_says_while_it_calls_a_layer_is_shown(tmp_path: Path) -> None:
    x, m = keras.Input((5, 4), name="x"), keras.Input((4,), dtype="bool", name="m")
    _, graph, path = save_model(tmp_path, [x, m], L.GRU(2, name="gru")(x, mask=m))
    given = {"x": np.ones((1, 5, 4), "float32"), "m": np.ones((1, 4), bool)}
    with pytest.raises(LayerError, match=r"gets a mask of \(1, 4\).* Keras cannot run this") as raised:
        run_model(graph, path, given)
    assert "Exception encountered" not in raised.value.what
    assert raised.value.advice == "Correct the model so that Keras runs it, or give different inputs."


def test_sizes_that_do_not_fit_name_the_layer(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    _, graph, _ = save_model(tmp_path, x, L.LSTM(2)(L.ZeroPadding1D()(L.Conv1D(3, 4, name="conv")(x))))
    with pytest.raises(InputError, match=r"the layer conv \(Conv1D\) cannot take \(2, 3, 3\)"):
        run_in_numpy(graph, {"x": np.ones((2, 3, 3), "float32")})


@pytest.mark.slow
def test_keras_2_models_with_joined_masks_do_not_go_through_todays_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, graph, path = save_model(tmp_path, *two_embeddings(L.Add()))
    request = ModelRequest({"a": IDS, "b": OTHER}, compute_numpy)
    with pytest.raises(LayerError, match=r"combines masks differently from Keras 2\.4\.0"):
        by_keras.run(replace(graph, origin="Keras 2.4.0"), path, request)
    monkeypatch.setattr("rnncli.models.keras.by_keras.has_tf_keras", lambda: False)
    older = replace(graph, origin="Keras 2.4.0", generation=2)
    with pytest.raises(EngineError, match=r"pip install tf_keras"):
        by_keras.run(older, path, request)


def test_a_note_where_today_s_keras_would_fail() -> None:
    def walk(graph: Graph, rules: str) -> ModelRun:
        raise InputError("its masks do not fit.")

    graph, found = Graph("m.h5", "Keras 2.4.0", (), (), (), (), 2), ModelRun(())
    assert list(note_masks(graph, found, compute_numpy, walk)) == [
        "masks follow Keras 2, which saved the model; today's Keras would fail on it."
    ]


@pytest.mark.slow
def test_functions_between_layers_of_keras_2(tmp_path: Path) -> None:
    k, tensorflow = pytest.importorskip("tf_keras"), pytest.importorskip("tensorflow")
    x = k.Input((3, 3), name="x")
    mask = tensorflow.reduce_any(tensorflow.not_equal(x, 0.0), axis=-1)
    model = k.Model(x, [k.layers.SimpleRNN(2, name="rnn")(x, mask=mask), x[:, 1:]])
    odd = k.Model(x, k.layers.GRU(2)(tensorflow.math.bessel_i0(x)))
    for name, made in (("m", model), ("odd", odd)):
        made.save(tmp_path / f"{name}.h5")
    given = {"x": np.array([[[1, 0, 2], [0, 0, 0], [3, 1, 1]]], "float32")}
    found = check_against_keras(model, graph_in(tmp_path / "m.h5"), given, k)
    np.testing.assert_array_equal(found.parts[0].case.mask, [[True, False, True]])
    with pytest.raises(UnknownLayerError, match=r"TensorFlow's math\.(special\.)?bessel_i0"):
        run_in_numpy(graph_in(tmp_path / "odd.h5"), given)


@pytest.mark.slow
def test_no_framework_is_loaded(tmp_path: Path) -> None:
    a = keras.Input((4,), dtype="int32", name="a")
    x = L.Bidirectional(L.LSTM(2, return_sequences=True))(L.Embedding(9, 3, mask_zero=True)(a))
    out = L.Dense(2, activation="softmax")(L.GRU(3)(L.Conv1D(3, 2)(L.LayerNormalization()(x))))
    _, _, path = save_model(tmp_path, a, out)
    loaded = loaded_by("run", "[[1, 2, 0, 0]]", "--model", str(path), "--all-layers")
    assert HEAVY & loaded == {"h5py"}
