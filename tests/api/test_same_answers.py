"""Python refuses and notes what the command line does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from command import Run

from rnncli import compare, explain, gradients, matrix, run, trace
from rnncli.errors import DisagreementError, InputError, UsageError

SIGNS = "--|=True|[-_=' ]"
"""What differs between a flag with its value and a keyword."""


def same(texts: Iterable[object], others: Iterable[str]) -> bool:
    return [re.sub(SIGNS, "", str(text)) for text in texts] == [re.sub(SIGNS, "", text) for text in others]


@pytest.mark.parametrize(
    ("arguments", "flags", "said"),
    [
        (
            {"inputs": "x.npy", "weights": "w.npz", "kernel_initializer": "zeros"},
            ["x.npy", "--weights", "w.npz", "--kernel-initializer", "zeros"],
            "{}kernel{}initializer has no effect: {}weights supplies every weight.",
        ),
        (
            {"inputs": "x.npy", "delimiter": ";"},
            ["x.npy", "--delimiter", ";"],
            "{}delimiter applies to CSV, but ",
        ),
        (
            {"input_shape": (1, 4, 3), "input_axes": "time,batch,features"},
            ["--input-shape", "1,4,3", "--input-axes", "time,batch,features"],
            "{}input{}axes applies only to an input that is read.",
        ),
        (
            {"input_shape": (1, 4, 3), "pad": "post"},
            ["--input-shape", "1,4,3", "--pad", "post"],
            "{}pad applies to an input that is read, not to {}input{}shape.",
        ),
        ({"input_shape": "4"}, ["--input-shape", "4"], "{}input{}shape (4,) has 1 axis, "),
        ({"inputs": "x.npy", "fill": "ones"}, ["x.npy", "--fill", "ones"], "applies only to a generated"),
    ],
)
def test_an_option_that_does_not_apply_is_refused_as_on_the_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rnncli: Run,
    arguments: dict[str, Any],
    flags: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones((1, 4, 5), np.float32))
    weights: dict[str, Any] = dict(run("x.npy", seed=1).weights)
    np.savez("w.npz", **weights)
    with pytest.raises(UsageError) as found:
        run(**arguments)
    command = rnncli("run", *flags)
    assert command.returncode == 2
    assert said.replace("{}", "") in str(found.value).replace("_", "")
    assert said.replace("{}", "") in command.stderr.replace("-", "")


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ({}, []),
        ({"layer": "LSTM(3, stateful=True)"}, ["-l", "LSTM(3, stateful=True)"]),
        ({"calls": 2}, ["--calls", "2"]),
        ({"recurrent_dropout": 0.5}, ["--recurrent-dropout", "0.5"]),
        ({"input_shape": (4, 3)}, ["--input-shape", "4,3"]),
    ],
)
def test_the_notes_are_those_of_the_command_line(
    rnncli: Run, arguments: dict[str, Any], flags: list[str]
) -> None:
    notes = [line.removeprefix("rnncli: note: ") for line in rnncli("run", *flags).stderr.splitlines()]
    assert notes
    assert same(run(**arguments).remarks, notes)


@pytest.mark.parametrize("function", [run, trace, matrix, compare, gradients])
def test_dropout_without_training_is_noted_where_there_is_training(rnncli: Run, function: Any) -> None:
    done = rnncli(function.__name__, "[[[1, 2]]]", "--dropout", "0.5", "--seed", "1")
    noted = "rnncli: note: --dropout has no effect without --training\n" in done.stderr
    report = function([[[1, 2]]], dropout=0.5, seed=1)
    assert noted is ("dropout has no effect without training" in report.remarks)
    assert noted is (function is not gradients)  # which refuses --training


@pytest.mark.parametrize("function", [run, trace])
def test_a_check_has_the_notes_of_the_command_line(rnncli: Run, function: Any) -> None:
    done = rnncli(function.__name__, "[[[1e-40, 1]]]", "--check", "--seed", "1", "-l", "gru")
    report = function([[[1e-40, 1]]], "gru", check=True, seed=1)
    assert [line for line in done.stderr.splitlines() if "flushes to 0" in line] == [
        f"rnncli: note: --{note}" for note in report.remarks
    ]
    assert "check: the input has 1 number below" in report.remarks[0]


@pytest.mark.parametrize("part", ["mask", "initial_state"])
def test_a_part_that_does_not_fit_is_named_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rnncli: Run, part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones((1, 4, 5), np.float32))
    np.save("part.npy", np.ones((7, 7), bool if part == "mask" else np.float32))
    with pytest.raises(InputError) as found:
        run("x.npy", **{part: "part.npy"})  # type: ignore[arg-type]
    command = rnncli("run", "x.npy", f"--{part.replace('_', '-')}", "part.npy")
    assert found.value.what.startswith("part.npy: ")
    assert command.stderr.startswith(f"rnncli: {found.value.what}")


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ({"layer": "LSTM(5)", "against": "gru"}, ["-l", "LSTM(5)", "--against", "gru"]),
        ({"against": "gru, LSTM(4)", "units": 2}, ["--against", "gru, LSTM(4)", "--units", "2"]),
        (
            {"against": ["GRU(2)", "simple_rnn"], "units": 4, "go_backwards": True},
            ["--against", "GRU(2)", "--against", "simple_rnn", "--units", "4", "--go-backwards"],
        ),
    ],
)
def test_gradients_are_those_of_the_same_layers(
    rnncli: Run, arguments: dict[str, Any], flags: list[str]
) -> None:
    done = rnncli("gradients", *flags, "--seed", "1", "-f", "json")
    theirs = [one["layer"] for one in json.loads(done.stdout)["layers"]]
    report = json.loads(json.dumps(gradients(seed=1, **arguments).document(), default=np.ndarray.tolist))
    assert [one["layer"] for one in report["layers"]] == theirs


@pytest.mark.parametrize("engines", [{"engine": "numpy"}, {"engines": "numpy"}, {"engines": ["numpy"]}])
def test_one_engine_is_not_compared_alone(rnncli: Run, engines: Any) -> None:
    with pytest.raises(UsageError, match="two engines, but only numpy was named") as found:
        compare(seed=1, **engines)
    assert str(found.value).endswith("Name two: engines='numpy,tensorflow'")
    done = rnncli("compare", "--seed", "1", f"--{next(iter(engines))}", "numpy")
    assert same([done.stderr], [f"rnncli: {found.value}\n"])


def test_tensors_that_are_not_expected_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rnncli: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run([[[1.0, 2.0]]], seed=1, return_state=True)
    np.savez("few.npz", hidden_state=found["hidden_state"])
    done = rnncli("run", "[[[1, 2]]]", "--seed", "1", "--return-state", "--expect", "few.npz")
    notes = [line.removeprefix("rnncli: note: ") for line in done.stderr.splitlines()]
    again = run([[[1.0, 2.0]]], seed=1, return_state=True, expect="few.npz")
    assert notes
    assert same(again.remarks, notes)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Save a model of two recurrent layers, and an input for it, in the current directory."""
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(1)
    x = keras.Input((4, 5))
    sequences = keras.layers.LSTM(3, return_sequences=True, name="enc")(x)
    keras.Model(x, keras.layers.GRU(2, name="dec")(sequences)).save("m.keras")
    np.save("x.npy", np.ones((1, 4, 5), np.float32))
    return "m.keras"


@pytest.mark.parametrize("address", ["enc/hidden_states[0,1,1]", " dec/hidden_state[0,0] "])
def test_an_address_chooses_the_layer_of_a_model(rnncli: Run, model: str, address: str) -> None:
    done = rnncli("explain", address, "x.npy", "--model", model, "-f", "json")
    report = explain(address, "x.npy", model=model)
    assert json.loads(done.stdout)["explanation"]["value"] == pytest.approx(report.found.value)
    notes = [line.removeprefix("rnncli: note: ") for line in done.stderr.splitlines()]
    assert same(report.remarks, notes)


def test_all_layers_of_a_model_are_compared_with_a_file(rnncli: Run, model: str) -> None:
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


@pytest.mark.parametrize(
    ("arguments", "flags", "said"),
    [
        ({"layer": "gru"}, ["-l", "gru"], "layer cannot be combined with model: a saved model has its own"),
        ({"weights": "w.npz"}, ["--weights", "w.npz"], "weights cannot be combined with model: a saved"),
        ({"calls": 2}, ["--calls", "2"], "calls cannot be combined with model: a saved model has its own"),
        ({"fill": "ones"}, ["--fill", "ones"], "fill cannot be combined with model: it generates the input"),
        ({"pad": "post", "input_axes": "time"}, ["--pad", "post", "--input-axes", "time"], "pad takes"),
        ({"pad_value": 1.0}, ["--pad-value", "1"], "pad_value needs pad."),
        ({"memory": "1GB"}, ["--memory", "1GB"], "memory applies to layer, not to model."),
    ],
)
def test_a_model_refuses_what_it_refuses_on_the_command_line(
    rnncli: Run, model: str, arguments: dict[str, Any], flags: list[str], said: str
) -> None:
    with pytest.raises(UsageError) as found:
        run("x.npy", model=model, **arguments)
    done = rnncli("run", "x.npy", "--model", model, *flags)
    assert done.returncode == 2
    assert said in found.value.what
    assert re.sub(SIGNS, "", said) in re.sub(SIGNS, "", done.stderr)
    assert "command line" not in str(found.value)


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
