"""`--custom-objects`: the classes of a model that has its own.  The model itself, in Keras, is the oracle."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from oracle import keras

import rnncli as library
from rnncli.errors import LayerError

pytestmark = pytest.mark.usefixtures("files_are_read_here")

L = keras.layers
X = np.random.default_rng(5).normal(size=(2, 4, 3)).astype("float32")
GIVEN = json.dumps(X.tolist())
SOURCE = """
import keras
from helper import FACTOR

class Scale(keras.layers.Layer):
    def call(self, x):
        return x * FACTOR

@keras.saving.register_keras_serializable("Mine")
class Attention(keras.layers.Layer):
    def build(self, shape):
        self.score = self.add_weight(shape=(shape[-1], 1), name="score")
        super().build(shape)

    def call(self, x):
        return keras.ops.softmax(x @ self.score, axis=1) * x

@keras.saving.register_keras_serializable("Mine")
class Decay(keras.layers.Layer):
    def __init__(self, units, **more):
        super().__init__(**more)
        self.units = self.state_size = self.output_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x, states, training=None):
        hidden = 0.5 * states[0] + keras.ops.tanh(x @ self.kernel)
        return hidden, [hidden]

    def get_config(self):
        return {**super().get_config(), "units": self.units}

def double(x):
    return x * 2
"""
CUSTOM = ("--custom-objects", "layers.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of layers.py and of models with its classes, and of a file that must not run."""
    path = tmp_path_factory.mktemp("custom")
    (path / "helper.py").write_text("FACTOR = 3.0\n")
    (path / "layers.py").write_text(SOURCE)
    (path / "mine.py").write_text(f"open({str(path / 'ran')!r}, 'w')\nclass Scale: pass\n")
    return path


@pytest.fixture(scope="module")
def own(folder: Path) -> Any:
    """Return what layers.py defines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return runpy.run_path(str(folder / "layers.py"), run_name="mine")


@pytest.fixture(scope="module")
def tagger(folder: Path, own: Any) -> Any:
    """Return the model of tagger.keras and tagger.h5, with layers of its own between recurrent ones."""
    keras.utils.set_random_seed(3)
    x = keras.Input((4, 3), name="x")
    first = L.LSTM(3, return_sequences=True, name="first")(x)
    behind = L.GRU(2, return_sequences=True, name="behind")(own["Attention"]()(own["Scale"]()(first)))
    model = keras.Model(x, [first, behind])
    model.save(folder / "tagger.keras")
    model.save(folder / "tagger.h5")
    return model


@pytest.mark.slow
def test_recurrent_layers_around_own_classes_are_shown(rnncli: Run, folder: Path, tagger: Any) -> None:
    for name in ("tagger.keras", "tagger.h5"):
        done = rnncli("run", GIVEN, "--model", name, *CUSTOM, "--check", "-f", "json", cwd=folder)
        tensors = done.tensors()
        for layer, expected in zip(("first", "behind"), tagger(X), strict=True):
            np.testing.assert_allclose(tensors[f"{layer}/hidden_states"], expected, atol=2e-6)
    traced = rnncli("trace", GIVEN, "--model", "tagger.keras#behind", *CUSTOM, "-f", "json", cwd=folder)
    state = traced.answer()["trace"][-1]["state"]["hidden"]
    np.testing.assert_allclose(state, tagger(X)[1][:, -1], atol=2e-6)


@pytest.mark.slow
def test_all_layers_and_both_models_compared_get_the_classes(rnncli: Run, folder: Path, tagger: Any) -> None:
    """Also beside a model that is not Keras's."""
    done = rnncli("run", GIVEN, "--model", "tagger.keras", *CUSTOM, "--all-layers", "-f", "json", cwd=folder)
    tensors = {tensor["name"]: tensor["values"] for tensor in json.loads(done.stdout)["outputs"]}
    for layer in tagger.layers:
        if type(layer).__name__ in ("Scale", "Attention"):
            expected = keras.Model(tagger.inputs, layer.output)(X)
            np.testing.assert_allclose(tensors[f"{layer.name}/output"], expected, atol=2e-6)
    assert {"Scale", "Attention"} <= {type(layer).__name__ for layer in tagger.layers}
    np.savez(folder / "other.npz", weight_ih_l0=np.ones((9, 3), "f4"), weight_hh_l0=np.ones((9, 3), "f4"))
    words = ("compare", GIVEN, "--model", "tagger.keras", *CUSTOM, "-f", "json", "--with")
    both = json.loads(rnncli(*words, "tagger.h5", cwd=folder).stdout)
    assert [one["absolute"] for one in both["comparisons"]] == [0, 0]
    neither = ("compare", GIVEN, *CUSTOM, "--model", "other.npz", "--with", "other.npz")
    assert "is for models of Keras" in rnncli(*neither, cwd=folder).stderr
    assert "--custom-objects" not in rnncli(*words, "other.npz", "--map", "gru=first", cwd=folder).stderr


@pytest.mark.slow
def test_python_gives_the_classes_themselves(folder: Path, tagger: Any, own: Any) -> None:
    classes = {name: own[name] for name in ("Scale", "Attention")}
    result = library.run(X, model=folder / "tagger.keras", custom_objects=classes)
    np.testing.assert_allclose(result["behind/hidden_states"], tagger(X)[1], atol=2e-6)
    with pytest.raises(LayerError, match="Scale") as refused:
        library.run(X, model=folder / "tagger.keras#behind")
    assert "custom_objects='FILE.py' gives its class" in str(refused.value)


@pytest.mark.own_process  # in which nothing is registered, and what the file prints goes nowhere
def test_a_file_that_lacks_a_class_is_refused_by_its_name(rnncli: Run, folder: Path, tagger: Any) -> None:
    (folder / "some.py").write_text("print(1)\n" + SOURCE.replace("class Attention", "class Other"))
    for file, name in ((None, "Scale"), ("some.py", "Attention")):
        words = ("--custom-objects", file) if file else ()
        said = rnncli("run", GIVEN, "--model", "tagger.keras#behind", *words, cwd=folder).refusal()
        assert name in said
        assert "--custom-objects FILE.py" in said
        assert ("some.py does not define Attention." in said) == (file is not None)
    assert not (folder / "ran").exists()  # the module that the model names, beside it, never runs


@pytest.mark.slow
def test_a_cell_of_a_models_own_is_shown_as_keras_returned_it(rnncli: Run, folder: Path, own: Any) -> None:
    keras.utils.set_random_seed(3)
    x = keras.Input((4, 3), name="x")
    decay = L.RNN(own["Decay"](3), return_sequences=True, name="decay")(L.Lambda(own["double"])(x))
    model = keras.Model(x, [decay, L.GRU(2, name="gru")(decay)])
    model.save(folder / "cell.keras")
    words = ("run", GIVEN, "--model", "cell.keras", *CUSTOM)
    done = rnncli(*words, "--check", "-f", "json", cwd=folder)
    assert "decay is shown as Keras returned it: its cell Decay is code" in done.stderr
    tensors = done.tensors()
    for name, expected in zip(("decay/output", "gru/hidden_state"), model(X), strict=True):
        np.testing.assert_allclose(tensors[name], expected, atol=2e-6)
    alone = rnncli("run", GIVEN, "--model", "cell.keras#decay", *CUSTOM, cwd=folder)
    assert "engine tensorflow" in alone.stdout
    traced = rnncli("trace", GIVEN, "--model", "cell.keras#decay", *CUSTOM, cwd=folder).refusal()
    assert "decay has no steps to show" in traced
    assert "rnncli run shows what it returns." in traced  # a command without the classes would not


@pytest.mark.parametrize("file", ["plain.keras", "plain.h5"])
def test_a_cell_of_a_script_has_no_module_in_the_file(rnncli: Run, folder: Path, file: str) -> None:
    source = SOURCE.replace('@keras.saving.register_keras_serializable("Mine")\n', "")
    (folder / "plain.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        own = runpy.run_path(str(folder / "plain.py"), run_name="__main__")
    layer = L.RNN(own["Decay"](3), return_sequences=True, name="decay")
    model = keras.Sequential([keras.Input((4, 3)), layer])
    model.save(folder / file)
    said = rnncli("run", GIVEN, "--model", file, cwd=folder).refusal()
    assert "'Decay'" in said
    assert "--custom-objects FILE.py" in said
    done = rnncli("run", GIVEN, "--model", file, "--custom-objects", "plain.py", "-f", "json", cwd=folder)
    (tensor,) = done.answer()["outputs"]
    np.testing.assert_allclose(tensor["values"], model(X), atol=2e-6)


@pytest.mark.parametrize(("text", "said"), [
    ("class Scale:\n  x = )\n", "line 2 is not Python"),
    ("Scale = Attention = int\n1 / 0\n", "bad.py failed: ZeroDivisionError: division by zero."),
    ("import secrets_of_none\nScale = Attention = int", "No module named 'secrets_of_none'"),
])  # fmt: skip
def test_a_file_that_fails_is_said_so(rnncli: Run, folder: Path, tagger: Any, text: str, said: str) -> None:
    (folder / "bad.py").write_text(text)
    refused = rnncli(
        "run", GIVEN, "--model", "tagger.keras", "--custom-objects", "bad.py", cwd=folder
    ).refusal()
    assert said in refused


def test_the_file_is_for_whole_models_of_keras(rnncli: Run, folder: Path, tagger: Any) -> None:
    np.savez(folder / "w.npz", weight_ih_l0=np.ones((9, 3)), weight_hh_l0=np.ones((9, 3)))
    for words, said in (
        (("--model", "w.npz", *CUSTOM), "w.npz is not one"),
        (("--model", "tagger.keras", "--custom-objects", "w.npz"), "w.npz is not a file of Python"),
        (CUSTOM, "--custom-objects needs --model"),
    ):
        assert said in rnncli("run", GIVEN, *words, cwd=folder).refusal()


@pytest.mark.parametrize("file", ["tagger.keras", "tagger.h5"])
def test_unknown_classes_are_refused_with_advice(rnncli: Run, folder: Path, tagger: Any, file: str) -> None:
    """Keras's own words are `Unknown layer` and `could not be deserialized`."""
    missing = "is not a layer of Keras; --custom-objects FILE.py gives its class."
    assert missing in rnncli("run", GIVEN, "--model", f"{file}#behind", cwd=folder).refusal()
    (folder / "other.py").write_text(SOURCE.replace("class Scale", "class Scales"))
    words = ("--custom-objects", "other.py")
    assert missing in rnncli("run", GIVEN, "--model", f"{file}#behind", *words, cwd=folder).stderr
