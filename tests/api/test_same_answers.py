"""Python refuses and notes what the command line does."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from command import Run

from rnncli import compare, explain, gradients, run, trace
from rnncli.errors import DisagreementError, InputError, RnncliError, UsageError

SIGNS = "--|=True|[-_=' ]"
"""What differs between a flag with its value and a keyword."""


def are_same_texts(texts: Iterable[object], others: Iterable[str]) -> bool:
    return [re.sub(SIGNS, "", str(text)) for text in texts] == [re.sub(SIGNS, "", text) for text in others]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model of two recurrent layers, an input for it, and weights and parts of another layer."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(1)
    x = keras.Input((4, 5))
    sequences = keras.layers.LSTM(3, return_sequences=True, name="enc")(x)
    keras.Model(x, keras.layers.GRU(2, name="dec")(sequences)).save(folder / "m.keras")
    np.save(folder / "x.npy", np.ones((1, 4, 5), np.float32))
    np.save(folder / "part.npy", np.ones((7, 7), bool))
    weights: dict[str, Any] = dict(run(folder / "x.npy", seed=1).weights)
    np.savez(folder / "w.npz", **weights)
    return folder


@pytest.fixture
def folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(files)
    return files


def flags(arguments: dict[str, Any]) -> list[str]:
    """Return the words of a command line for keywords."""
    words = []
    for name, value in arguments.items():
        flag = [] if name == "inputs" else [f"--{name.replace('_', '-')}"]
        for one in value if isinstance(value, list) else [value]:
            text = ",".join(map(str, one)) if isinstance(one, tuple) else str(one)
            words += [*flag, *([] if one is True else [text])]
    return words


OWN = "cannot be combined with model: a saved model has its own"


@pytest.mark.parametrize(("arguments", "said"), [
    ({"weights": "w.npz", "kernel_initializer": "zeros"}, "kernel_initializer has no effect: weights"),
    ({"delimiter": ";"}, "delimiter applies to CSV, but "),
    ({"input_shape": (1, 4, 3), "input_axes": "time,batch,features"}, "input_axes applies only to an"),
    ({"input_shape": (1, 4, 3), "pad": "post"}, "pad applies to an input that is read, not to input_shape"),
    ({"input_shape": "4"}, "input_shape (4,) has 1 axis, "),
    ({"fill": "ones"}, "applies only to a generated"),
    ({"mask": "part.npy"}, "part.npy: "),
    ({"initial_state": "part.npy"}, "part.npy: "),
    ({"model": "m.keras", "layer": "gru"}, f"layer {OWN}"),
    ({"model": "m.keras", "calls": 2}, f"calls {OWN}"),
    ({"model": "m.keras", "fill": "ones"}, "applies only to a generated"),
    ({"model": "m.keras", "pad": "post", "input_axes": "time"}, "pad takes"),
    ({"model": "m.keras", "pad_value": 1.0}, "pad_value needs pad."),
    ({"model": "m.keras", "memory": "1GB"}, "memory applies to layer, not to model."),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_as_on_the_command_line(
    rnncli: Run, folder: Path, arguments: dict[str, Any], said: str
) -> None:
    given: dict[str, Any] = {} if "input_shape" in arguments else {"inputs": "x.npy"}
    with pytest.raises(RnncliError) as found:
        run(**given, **arguments)
    assert said in str(found.value)
    assert re.sub(SIGNS, "", said) in re.sub(SIGNS, "", rnncli("run", *flags(given | arguments)).refusal())
    assert "command line" not in str(found.value)


@pytest.mark.parametrize(("function", "arguments"), [
    (run, {}),
    (run, {"layer": "LSTM(3, stateful=True)"}),
    (run, {"calls": 2}),
    (run, {"recurrent_dropout": 0.5}),
    (run, {"input_shape": (4, 3)}),
    (run, {"inputs": "x.npy", "return_state": True, "expect": "few.npz"}),
    (trace, {"inputs": "tiny.npy", "layer": "gru", "check": True}),
    (gradients, {"dropout": 0.5}),
])  # fmt: skip
def test_the_notes_are_the_same(rnncli: Run, folder: Path, function: Any, arguments: dict[str, Any]) -> None:
    np.savez("few.npz", hidden_state=run("x.npy", seed=1)["hidden_state"])
    np.save("tiny.npy", np.array([[[1e-40, 1]]], np.float32))
    done = rnncli(function.__name__, *flags(arguments | {"seed": 1}))
    notes = [line.removeprefix("rnncli: note: ") for line in done.stderr.splitlines()]
    assert notes or function is gradients
    assert are_same_texts(function(**arguments, seed=1).remarks, notes)


@pytest.mark.parametrize("arguments", [
    {"layer": "LSTM(5)", "against": "gru"},
    {"against": ["GRU(2)", "simple_rnn"], "units": 4, "go_backwards": True},
])  # fmt: skip
def test_gradients_are_those_of_the_same_layers(rnncli: Run, arguments: dict[str, Any]) -> None:
    done = rnncli("gradients", *flags(arguments), "--seed", "1", "-f", "json")
    theirs = [one["layer"] for one in json.loads(done.stdout)["layers"]]
    report = json.loads(json.dumps(gradients(seed=1, **arguments).document(), default=np.ndarray.tolist))
    assert [one["layer"] for one in report["layers"]] == theirs


@pytest.mark.parametrize("engines", [{"engine": "numpy"}, {"engines": "numpy"}, {"engines": ["numpy"]}])
def test_one_engine_is_not_compared_alone(rnncli: Run, engines: Any) -> None:
    with pytest.raises(UsageError, match="two engines, but only numpy was named") as found:
        compare(seed=1, **engines)
    assert str(found.value).endswith("Name two: engines='numpy,tensorflow'")
    done = rnncli("compare", "--seed", "1", f"--{next(iter(engines))}", "numpy")
    assert are_same_texts([done.stderr], [f"rnncli: {found.value}\n"])


@pytest.mark.parametrize("address", ["enc/hidden_states[0,1,1]", " dec/hidden_state[0,0] "])
def test_an_address_chooses_the_layer_of_a_model(rnncli: Run, folder: Path, address: str) -> None:
    done = rnncli("explain", address, "x.npy", "--model", "m.keras", "-f", "json")
    report = explain(address, "x.npy", model="m.keras")
    assert json.loads(done.stdout)["explanation"]["value"] == pytest.approx(report.found.value)
    notes = [line.removeprefix("rnncli: note: ") for line in done.stderr.splitlines()]
    assert are_same_texts(report.remarks, notes)


@pytest.mark.slow
def test_all_layers_of_a_model_are_compared_with_a_file(rnncli: Run, folder: Path) -> None:
    model = "m.keras"
    stored: dict[str, Any] = {tensor.name: tensor.values for tensor in run("x.npy", model=model).outputs}
    np.savez("stored.npz", **stored)
    done = rnncli("compare", "x.npy", "--model", model, "--expect", "stored.npz", "-f", "json")
    report = compare("x.npy", model=model, expect="stored.npz")
    names = [one["name"] for one in json.loads(done.stdout)["comparisons"]]
    assert [one.name for one in report.found] == names == ["enc/hidden_states", "dec/hidden_state"]
    assert repr(report) == "<rnncli.compare LSTM(3, return_sequences=True) -> GRU(2)>"
    wrong = stored["dec/hidden_state"] + 1
    assert not compare("x.npy", model=model, expect={"dec/hidden_state": wrong}).found[0].agrees
    with pytest.raises(DisagreementError, match="dec/hidden_state differs"):
        run("x.npy", model=model, expect={"dec/hidden_state": wrong})


@pytest.mark.slow
def test_sequences_for_a_model_are_padded(rnncli: Run, tmp_path: Path) -> None:
    x = keras.Input((None, 2))
    masked = keras.layers.Masking()(x)
    keras.Model(x, keras.layers.GRU(2, name="gru")(masked)).save(tmp_path / "m.keras")
    lists = [[[1, 2], [3, 4]], [[5, 6]]]
    words = ("run", json.dumps(lists), "--model", str(tmp_path / "m.keras"))
    theirs = json.loads(rnncli(*words, "--pad", "post", "-f", "json").stdout)["outputs"][0]["values"]
    found = run([np.array(one) for one in lists], model=tmp_path / "m.keras", pad="post")
    np.testing.assert_allclose(found["gru/hidden_state"], theirs, atol=1e-6)
    with pytest.raises(InputError, match=r"differ in length: \[0\] has 2, \[1\] has 1"):
        run(lists, model=tmp_path / "m.keras")
