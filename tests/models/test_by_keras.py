"""What only Keras computes: models in half precision, and models of text.  Keras itself is the oracle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from oracle import keras

import rnncli as library

pytestmark = pytest.mark.usefixtures("files_are_read_here")

L = keras.layers
X = np.random.default_rng(5).normal(size=(2, 4, 5)).astype("float32")
TEXTS = ["b a", "f e d c"]


def outputs(rnncli: Run, folder: Path, *words: str) -> dict[str, Any]:
    """Return the tensors that a run with --check returns, by name, after it was found to agree."""
    done = rnncli("run", *words, "--check", "-f", "json", cwd=folder)
    return {tensor["name"]: tensor for tensor in done.answer()["outputs"]}


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.slow
def test_half_precision_is_keras_to_the_bit(rnncli: Run, tmp_path: Path, policy: str, suffix: str) -> None:
    keras.utils.set_random_seed(3)
    x = keras.Input((4, 5), name="x")
    both = L.Bidirectional(L.GRU(3, return_sequences=True, dtype=policy), name="both", dtype=policy)(x)
    last = L.LSTM(2, name="last", dtype=policy)(L.Masking(dtype=policy)(both) if suffix == "keras" else both)
    model = keras.Model(x, [both, last, L.Dense(1, name="head", dtype="float32")(last)])
    model.save(tmp_path / f"m.{suffix}")
    tensors = outputs(rnncli, tmp_path, json.dumps(X.tolist()), "--model", f"m.{suffix}", "--all-layers")
    names = "both/hidden_states", "last/hidden_state", "head/output"
    for name, expected in zip(names, model(X), strict=True):
        values = keras.ops.convert_to_tensor(tensors[name]["values"], tensors[name]["dtype"])
        expected = keras.ops.cast(expected, "float32")
        np.testing.assert_array_equal(keras.ops.cast(values, "float32"), expected)
    half = policy.removeprefix("mixed_")
    assert tensors["last/hidden_state"]["dtype"] == half
    traced = rnncli("trace", json.dumps(X.tolist()), "--model", f"m.{suffix}#last", cwd=tmp_path).refusal()
    assert f"it does not round as Keras does in {half}" in traced


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return the folder of a model of text, m.keras, and the model."""
    folder = tmp_path_factory.mktemp("text")
    vectors = L.TextVectorization(max_tokens=20, output_sequence_length=4, name="words")
    vectors.adapt(["a b c", "d e f"])
    keras.utils.set_random_seed(3)
    layers = vectors, L.Embedding(20, 5, mask_zero=True, name="ids"), L.LSTM(3, name="lstm")
    model = keras.Sequential([keras.Input((), dtype="string", name="text"), *layers])
    model.save(folder / "m.keras")
    return folder, model


def expected_of(model: Any, texts: Any = TEXTS) -> Any:
    return np.asarray(model(keras.ops.convert_to_tensor(texts)))


@pytest.mark.parametrize(("name", "content"), [
    ("x.json", json.dumps(TEXTS)), ("named.json", json.dumps({"text": TEXTS})),
    ("x.csv", "text\n" + "\n".join(TEXTS)), ("bare.csv", "\n".join(TEXTS)), ("x.npy", np.array(TEXTS)),
    ("x.npz", np.array(TEXTS)),
])  # fmt: skip
@pytest.mark.slow
def test_keras_turns_text_into_ids(rnncli: Run, tagger: tuple[Path, Any], name: str, content: Any) -> None:
    folder, model = tagger
    if isinstance(content, str):
        (folder / name).write_text(content)
    else:
        np.save(folder / name, content) if name == "x.npy" else np.savez(folder / name, text=content)
    tensors = outputs(rnncli, folder, name, "--model", "m.keras")
    np.testing.assert_allclose(tensors["lstm/hidden_state"]["values"], expected_of(model), atol=2e-6)


@pytest.mark.slow
def test_gates_behind_text_are_shown(rnncli: Run, tagger: tuple[Path, Any]) -> None:
    folder, model = tagger
    traced = rnncli("trace", json.dumps(TEXTS), "--model", "m.keras", "-f", "json", cwd=folder)
    last = traced.answer()["trace"][-1]
    assert last["status"] == ["held", "computed"]
    np.testing.assert_allclose(last["state"]["hidden"], expected_of(model), atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("texts", [TEXTS, np.array(TEXTS), np.array(TEXTS, object), np.array(TEXTS, "S")])
def test_python_takes_text_as_it_is(tagger: tuple[Path, Any], texts: Any) -> None:
    folder, model = tagger
    result = library.run(texts, model=folder / "m.keras")
    np.testing.assert_allclose(result["lstm/hidden_state"], expected_of(model), atol=2e-6)


@pytest.mark.parametrize(("given", "said"), [
    ("[[1, 2, 0, 0]]", "[0][0] is the number 1, not a text."),
    ('["a", null]', "[1] is null, not a text."),
    ('[["a"], ["b", "c"]]', "[0] has 1 text, [1] has 2."),
    ('a,b\n"c"\n', "row 2 has 1 columns, the first has 2."),
])  # fmt: skip
def test_what_is_not_text_is_said(rnncli: Run, tagger: tuple[Path, Any], given: str, said: str) -> None:
    words = ("run", "-" if given[0] == "a" else given, "--model", "m.keras")
    assert said in rnncli(*words, cwd=tagger[0], input=given).refusal()


@pytest.mark.slow
def test_tokens_and_numbers_are_given_by_name(rnncli: Run, tmp_path: Path) -> None:
    tokens, x = keras.Input((3,), dtype="string", name="tokens"), keras.Input((3, 2), name="x")
    ids = L.StringLookup(vocabulary=["a", "b", "c"], name="ids")(tokens)
    keras.utils.set_random_seed(3)
    both = L.Concatenate()([L.Embedding(5, 4)(ids), x])
    model = keras.Model([tokens, x], L.GRU(3, return_sequences=True, name="gru")(both))
    model.save(tmp_path / "m.keras")
    words, numbers = [["a", "c", "?"], ["b", "b", "a"]], X[:, :3, :2]
    given = json.dumps({"inputs": {"tokens": words, "x": numbers.tolist()}})
    expected = np.asarray(model([*map(keras.ops.convert_to_tensor, (words, numbers))]))
    tensors = outputs(rnncli, tmp_path, given, "--model", "m.keras")
    np.testing.assert_allclose(tensors["gru/hidden_states"]["values"], expected, atol=2e-6)
