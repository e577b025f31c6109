"""rnncli.run: plain arguments, the same answers, and errors that say what came."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnncli
from rnncli.errors import Flag, InputError, LayerError, Message, RnncliError, UsageError, write

X = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


@pytest.mark.slow
def test_answers_as_the_same_keras_script_does() -> None:
    keras.utils.set_random_seed(7)
    theirs = keras.layers.LSTM(3, return_state=True)(X)
    result = rnncli.run(X, "LSTM(3, return_state=True)", seed=7)
    for mine, one in zip(result.outputs, theirs, strict=True):
        np.testing.assert_allclose(mine.values, one.numpy(), rtol=0, atol=1e-6)


def test_a_layer_in_the_place_of_the_inputs_is_named_in_the_advice() -> None:
    for call in (lambda: rnncli.run("lstm"), lambda: rnncli.shape("lstm", input_shape=(2, 4, 5))):
        with pytest.raises(RnncliError, match="name it with layer='lstm'"):
            call()
    with pytest.raises(InputError, match="Give numbers, the path of a file"):
        rnncli.run("nowhere.json")


def test_takes_lists_one_sequence_and_a_stack() -> None:
    result = rnncli.run(X[0].tolist(), ["LSTM(3, return_sequences=True)", "gru"], seed=1, all_layers=True)
    assert [tensor.name for tensor in result.outputs] == ["0/hidden_states", "1/hidden_state"]
    assert result.input_shape == (1, 4, 3)


@pytest.mark.slow
def test_takes_a_mask_states_and_weights_as_lists() -> None:
    layer = keras.layers.GRU(2)
    mask, state = [[True, True, False, False]] * 2, np.full((2, 2), 0.5, "float32")
    theirs = layer(X, mask=np.array(mask), initial_state=state).numpy()
    names = ("kernel", "recurrent_kernel", "bias")
    weights = {name: weight.tolist() for name, weight in zip(names, layer.get_weights(), strict=True)}
    for states in ([state.tolist()], {"last_hidden_state": state.tolist()}):
        result = rnncli.run(X, "GRU(2)", mask=mask, initial_state=states, weights=weights)
        np.testing.assert_allclose(result.outputs[0].values, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("message", "said"), [
    (Message("{flag}: 0 is not a size.", flag=Flag("--units")), "units: 0 is not a size."),
    (Message("For example {flag}.", flag=Flag("--units", "3")), "For example units=3."),
    (Message("Pad the shorter ones with {--pad post}."), "Pad the shorter ones with pad='post'."),
    (Message("{--decimal:sign!r} is not one.", sign="x"), "decimal='x' is not one."),
    (Message("Add {--bidirectional:on}, or name bilstm."), "Add bidirectional=True, or name bilstm."),
    (Message("{--no-bidirectional} conflicts with it."), "bidirectional=False conflicts with it."),
    (Message("Leave {--engine} out, or use tensorflow."), "Leave engine out, or use tensorflow."),
    (Message("{--input-axes} names {count}.", count=2), "input_axes names 2."),
    (Message("For example {--atol 1e-4}."), "For example atol=1e-4."),
    (Message("Compare with {--expect FILE}."), "Compare with expect=FILE."),
    (Message("Load {--layer 'LSTM(3)'} {--weights:file}", file="w"), "Load layer='LSTM(3)', weights='w'"),
    (Message("Use {--layer LSTM}."), "Use layer='LSTM'."),
    (Message("{error}: {text}", error=Message("{--pad}"), text="--pad"), "pad: --pad"),
    (Message("Run it: rnncli run INPUT --model {file}", file="a"), "Run it: rnncli run INPUT --model a"),
])  # fmt: skip
def test_flags_of_messages_are_keywords_in_python(message: Message, said: str) -> None:
    assert write(message, python=True) == said


@pytest.mark.parametrize(("call", "said", "advice"), [
    (lambda: rnncli.run([1, 2, 3]), "1-D, (3,)", "input_axes='time'"),
    (lambda: rnncli.run([[[1, 2], [3, 4]], [[5, 6]]]), "differ in length", "with pad='post'."),
    (lambda: rnncli.run(X, "lstm", units=0), "units: 0 is not", "For example units=3."),
    (lambda: rnncli.run(X, "LSTM(3)", units=4), "units=4 conflicts with units=3.", "Leave one"),
    (lambda: rnncli.run(X, merge_mode="sum"), "merge_mode needs", "Add bidirectional=True"),
    (lambda: rnncli.run(X, engine="torch", dtype="float16"), "torch cannot", "Leave engine out"),
    (lambda: rnncli.run(X, engine="torch", dtype="bfloat16"),
     "torch cannot",
     "Leave engine out. TensorFlow cannot draw an orthogonal matrix in bfloat16; "
     "use another initializer, such as recurrent_initializer='glorot_uniform'."),
    (lambda: rnncli.trace(X, step=9), "step=9 is out of range: the time steps are 0 to 3.", "-1 is the last"),
    (lambda: rnncli.trace(X, step=1.5), "step is 1.5.", "whole number"),  # type: ignore[arg-type]
    (lambda: rnncli.trace(X, unit="a"), "unit is 'a'.", "whole number"),  # type: ignore[arg-type]
    (lambda: rnncli.explain(X), "the name of a number", "'hidden_state[0,2]'"),  # type: ignore[arg-type]
    (lambda: rnncli.explain("hidden_state[0,0]", X, depth=0), "depth is 0.", "from 1"),
    (lambda: rnncli.run(np.zeros((0, 4, 5))), "with shape (0, 4, 5)", "No axis may have size 0."),
    (lambda: rnncli.run(np.zeros((1, 4, 0))), "with shape (1, 4, 0)", "No axis may have size 0."),
    (lambda: rnncli.run(X, engine=5), "engine is 5.", "It must be text."),  # type: ignore[arg-type]
    (lambda: rnncli.run(X, select=5), "select is", "select='hidden_state'"),  # type: ignore[arg-type]
    (lambda: rnncli.run(X, mask_value="x"), "mask_value is 'x'.", "a number"),  # type: ignore[arg-type]
    (lambda: rnncli.run(X, lang="fr"), "lang is 'fr'.", "Choose one of en, ko."),  # type: ignore[arg-type]
    (lambda: rnncli.run(X, width=0), "width is 0.", "from 1"),
    (lambda: rnncli.run(X, precision=18), "precision is 18.", "from 0 to 17"),
    (lambda: rnncli.run(X, weights=[X]), "weights: it has 1 array", "kernel"),
    (lambda: rnncli.run(X, weights=""), "weights: the file name is empty.", "the path of a file"),
    (lambda: rnncli.run(X, mask=""), "mask: the file name is empty.", "the path of a file"),
    (lambda: rnncli.run(X, expect=""), "expect: the file name is empty.", "the path of a file"),
    (lambda: rnncli.run(X, "@"), "layer: the file name is empty.", "the path of a file"),
    (lambda: rnncli.run(X, "m.keras"), "m.keras: there is no such file.", "Check the path."),
    (lambda: rnncli.run(X, "@w.npz"), "layer='@w.npz': it contains weights", "weights='w.npz'"),
    (lambda: rnncli.run(X, "a.json"), "layer='a.json': it is not a layer.", "write layer='@a.json'."),
    (lambda: rnncli.trace(X, expect=X), "a trace has several.", "another trace"),
    (lambda: rnncli.run(X, initial_state=5), "initial_state is 5.", "list"),  # type: ignore[arg-type]
    (lambda: rnncli.run(X, memory=-1), "memory is -1.", "whole number"),
    (lambda: rnncli.shape(input_shape=5), "input_shape is 5.", "(2, 10, 8)"),  # type: ignore[arg-type]
    (lambda: rnncli.compare(X, engines=[]), "engines is []", "Name two"),
    (lambda: rnncli.compare(X, split="a"), "split is 'a'.", "whole number"),  # type: ignore[arg-type]
    (lambda: rnncli.compare(X, expect=X, atol=-1), "atol is -1.", "0 or greater"),
])  # fmt: skip
def test_bad_arguments_get_advice_in_python(call: Any, said: str, advice: str) -> None:
    with pytest.raises(RnncliError) as caught:
        call()
    assert said in caught.value.what
    assert advice in str(caught.value)
    assert str(caught.value).startswith(caught.value.what)


@pytest.mark.parametrize(("name", "keywords", "said", "advice"), [
    ("run", {"inputs": "abc"}, "inputs: there is no file", ""),
    ("run", {"inputs": ""}, "inputs: there is no file ''", ""),
    ("run", {"inputs": "sentense"}, "sentense", "built-in sample: sentence"),
    ("run", {"inputs": [[1, 2], [3]]}, "inputs", ""),
    ("run", {"inputs": 3.0}, "inputs", ""),
    ("run", {"inputs": [[True]]}, "inputs", ""),
    ("run", {"layer": "lsmt"}, "lsmt", "Did you mean"),
    ("run", {"layer": 7}, "7 is not a layer", ""),
    ("run", {"weights": {"kernel": [[1.0]]}}, "kernel", ""),
    ("run", {"initial_state": {"hidden": [[0.0]]}}, "initial_state", ""),
    ("run", {"seed": -1}, "seed is -1", ""),
    ("run", {"seed": 1.5}, "seed", ""),
    ("run", {"calls": 0}, "calls is 0", ""),
    ("run", {"units": "three"}, "units", ""),
    ("run", {"pad": "both"}, "pad", ""),
    ("run", {"engine": "nump"}, "nump", "Did you mean numpy"),
    ("why", {"inputs": "found ndim=2", "width": 0}, "width is 0.", ""),
    ("run", {"check": "yes"}, "check is 'yes'.", "True or False"),
    ("run", {"bidirectional": "yes"}, "bidirectional is 'yes'.", "True or False"),
    ("run", {"hold": 3}, "hold is 3.", "hold='forget[:, 1]=1@2:'"),
    ("trace", {"hold": ["forget=1", 3]}, "hold is ['forget=1', 3].", "hold="),
    ("trace", {"gate": 3}, "gate is 3.", "gate='forget'"),
    ("run", {"input_axes": ("time", 3, "batch")}, "input_axes is ('time', 3, 'batch').", "time,features"),
    ("run", {"fill": 3, "inputs": None, "input_shape": (1, 2, 3)}, "fill is 3.", "It must be text."),
    ("run", {"atol": 1}, "atol needs check or expect.", "Add check=True."),
    ("trace", {"rtol": {"cell": 1}}, "rtol needs check or expect.", "Add check=True."),
    ("run", {"atol": {"hiden": 1}, "check": True}, "atol: there is no tensor 'hiden'.", "hidden_state"),
    ("gradients", {"of": 3}, "of is 3.", "of='hidden_state'"),
    ("gradients", {"calls": 2}, "computed for one call.", "Leave calls out."),
    ("gradients",
     {"layer": "lstm", "against": "gru", "initial_state": [np.zeros((2, 3)), np.zeros((2, 3))]},
     "against draws the weights", "Leave out weights and initial states."),
    ("compare", {"engines": ["numpy", 3]}, "engines is ['numpy', 3].", "Name two"),
    ("compare", {"select": 3}, "select is 3.", "select='hidden_state'"),
    ("compare", {"select": [3]}, "select is [3].", "select='hidden_state'"),
])  # fmt: skip
def test_an_argument_that_cannot_be_meant_is_said(name: str, keywords: Any, said: str, advice: str) -> None:
    keywords = dict(keywords)
    with pytest.raises(RnncliError) as caught:
        getattr(rnncli, name)(keywords.pop("inputs", X), **keywords)
    assert said in caught.value.what
    assert advice in str(caught.value)


@pytest.mark.slow
def test_weights_come_from_the_files_that_the_command_line_takes(tmp_path: Path) -> None:
    x = keras.Input((4, 3))
    model = keras.Model(x, keras.layers.LSTM(3, name="lstm")(x))
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        save = model.save_weights if "weights" in name else model.save
        save(tmp_path / name)
        found = rnncli.run(X, "LSTM(3)", weights=tmp_path / name)
        np.testing.assert_allclose(found["hidden_state"], model(X), atol=1e-6)
    with pytest.raises(InputError) as caught:
        rnncli.run(X, "GRU(3)", weights=tmp_path / "m.keras")
    assert caught.value.what.startswith(f"{tmp_path / 'm.keras'}: no layer in it fits layer 0 (GRU)")


def test_inputs_of_a_model_may_be_under_inputs_as_its_error_says(tmp_path: Path) -> None:
    a, b = keras.Input((4, 3), name="a"), keras.Input((4, 3), name="b")
    model = keras.Model([a, b], keras.layers.GRU(2, name="gru")(keras.layers.Add()([a, b])))
    model.save(tmp_path / "m.keras")
    path = str(tmp_path / "m.keras")
    with pytest.raises(InputError) as caught:
        rnncli.run(X, model=path)
    assert '{"NAME": ...}' in str(caught.value)
    found = rnncli.run({"inputs": {"a": X, "b": X}}, model=path)
    np.testing.assert_allclose(found["gru/hidden_state"], model([X, X]), atol=1e-6)
    for keywords, said in (
        ({"return_state": "yes"}, "return_state is 'yes'"),
        ({"assume": 3}, "assume is 3"),
    ):
        with pytest.raises(UsageError, match=said):
            rnncli.run({"a": X, "b": X}, model=path, **keywords)


def test_the_weights_of_a_file_with_names_of_layers(tmp_path: Path) -> None:
    """The layers of such a file are chosen as on the command line."""
    file, drawn = tmp_path / "w.npz", rnncli.run(X, "GRU(2)", seed=1)
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 6), "recurrent_kernel": (2, 6), "bias": (2, 6)}
    arrays: dict[str, Any] = {
        f"a/{name}": rng.normal(size=shape).astype("float32") for name, shape in shapes.items()
    }
    np.savez(file, **arrays)
    by_name = {name.removeprefix("a/"): array for name, array in arrays.items()}
    found = rnncli.run(X, "GRU(2)", weights=file)["hidden_state"]
    assert np.array_equal(found, rnncli.run(X, "GRU(2)", weights=by_name)["hidden_state"])
    assert not np.array_equal(found, drawn["hidden_state"])
    twins: dict[str, Any] = {name.replace("a/", "b/"): array for name, array in arrays.items()}
    np.savez(file, **arrays, **twins)
    with pytest.raises(InputError) as caught:
        rnncli.run(X, "GRU(2)", weights=file)
    assert caught.value.what == f"{file}: a and b in it both fit layer 0 (GRU)."
    assert f"Name the layers to use after a #: {file}#b." in str(caught.value)
    assert np.array_equal(rnncli.run(X, "GRU(2)", weights=f"{file}#b")["hidden_state"], found)


def test_a_layer_file(tmp_path: Path) -> None:
    """`@layer.json` is a Keras config, as on the command line."""
    file = tmp_path / "layer.json"
    file.write_text('{"class_name": "GRU", "config": {"units": 2}}')
    found = rnncli.run("sentence", f"@{file}", seed=1)
    assert np.array_equal(found["hidden_state"], rnncli.run("sentence", "GRU(2)", seed=1)["hidden_state"])
    file.write_text("{")
    with pytest.raises(InputError, match=r"^layer: .*layer\.json: line 1, column 2"):
        rnncli.run("sentence", f"@{file}")
    file.write_text('{"class_name": "GRU", "config": {"units": 0}}')
    with pytest.raises(LayerError, match=r"^layer: .*layer\.json: GRU: units=0 is not"):
        rnncli.run("sentence", f"@{file}")
    with pytest.raises(UsageError, match=r"Run the model as it was saved: model='m\.keras'"):
        rnncli.run("sentence", "@m.keras")


def test_an_index_may_be_a_numpy_integer() -> None:
    whole = rnncli.trace(X, seed=1)
    for step in (0, 1):
        one = rnncli.trace(X, seed=1, step=np.int64(step))  # type: ignore[arg-type]
        np.testing.assert_array_equal(one.tensors()["hidden"], whole.tensors()["hidden"][:, step : step + 1])
