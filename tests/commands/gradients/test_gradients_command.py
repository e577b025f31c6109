"""`rnncli gradients` as it is typed, of layers and of saved models, and what it says in every form."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from command import Run
from gradients_by_hand import ANSWERS, LSTM, curve, decay, gradients
from looks import PAGES, check_looks, drawn
from oracle import keras

import rnncli as package
from rnncli.commands.gradients.answer import GradientsAnswer
from rnncli.errors import UsageError


def layers_of_answer(rnncli: Run, *args: str) -> list[Any]:
    found: list[Any] = rnncli("gradients", *args, "--seed", "3", "-f", "json").answer()["layers"]
    return found


def classes_and_units(found: list[Any]) -> list[tuple[str, int]]:
    layers = [one["layer"][0] for one in found]
    return [(layer["class_name"], layer["config"]["units"]) for layer in layers]


def test_layers_side_by_side_have_the_same_input_units_and_seed(rnncli: Run) -> None:
    found = layers_of_answer(
        rnncli, "--against", "simple_rnn,lstm, GRU(4, reset_after=False)", "--units", "4"
    )
    assert classes_and_units(found) == [("SimpleRNN", 4), ("LSTM", 4), ("GRU", 4)]
    assert layers_of_answer(rnncli, "--layer", "lstm", "--units", "4")[0] == found[1]


def test_a_layer_stands_before_those_it_is_held_against(rnncli: Run) -> None:
    found = layers_of_answer(rnncli, "-l", "GRU(5)", "--against", "simple_rnn", "--against", "lstm")
    assert classes_and_units(found) == [("GRU", 5), ("SimpleRNN", 5), ("LSTM", 5)]


def test_nothing_of_tensorflow_is_said(shell: Run) -> None:
    done = shell("rnncli gradients --seed 1 --quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("LSTM(3)\n")


def test_what_else_was_asked_for_is_said_as_run_says_it(rnncli: Run) -> None:
    flags = ("[[[1, 2], [0, 0]]]", "-l", "gru", "--mask-value", "0", "--initial-state", "[[[1, 0, 1]]]")
    heads = [json.loads(rnncli(name, *flags, "-f", "json").stdout) for name in ("run", "gradients")]
    ran, found = (head["conditions"] for head in heads)
    assert found == ran == {"mask": 1, "initial_state": 1}
    shown = {name: rnncli(name, *flags, "--seed", "1").stdout for name in ("run", "gradients")}
    notes = [shown["run"].splitlines()[2], shown["gradients"].splitlines()[1]]
    assert notes[1] == notes[0]
    assert "conditions" not in json.loads(rnncli("gradients", "-f", "json").stdout)


def test_a_weight_by_gate_in_every_form(rnncli: Run) -> None:
    (found,) = layers_of_answer(rnncli, "-l", "lstm", "--of", "kernel")
    assert list(found["lines"]) == ["input", "forget", "candidate", "output"]
    assert (found["weight"], found["curves"]) == ("kernel", [])
    rows = rnncli("gradients", "-l", "lstm", "--of", "kernel", "--seed", "3", "-f", "csv").stdout.splitlines()
    assert rows[0] == "layer,gate,value"
    assert [float(row.split(",")[2]) for row in rows[1:]] == list(found["lines"].values())
    page = rnncli("gradients", "--against", "lstm,gru", "--of", "kernel", "--seed", "3", "--quiet").stdout
    assert "with respect to kernel, by gate" in page
    assert [line.split()[:2] for line in page.splitlines()[-3:]] == [
        ["GRU", "update"],
        ["GRU", "reset"],
        ["GRU", "candidate"],
    ]
    both = rnncli("gradients", "--against", "gru,GRU(2)", "--of", "kernel", "--seed", "3", "-f", "csv").stdout
    assert [row.split(",")[0] for row in both.splitlines()[1:]] == ["GRU"] * 3 + ["GRU 2"] * 3
    said = rnncli("gradients", "-l", "lstm", "--of", "kernel", "--engine", "tensorflow").refusal()
    assert "only numpy computes" in said


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_answers_look_as_they_did(name: Any) -> None:
    data = {"gradients": PAGES, "gradients_against": ("json",), "gradients_masked": ("csv",)}
    data["gradients_whole"] = ("json",)
    check_looks("gradients", name, ANSWERS[name], data.get(name, ()))


@pytest.mark.parametrize(("format", "head"), [("html", "<table"), ("markdown", "| t |")])
def test_many_curves_need_no_scrolling(format: str, head: str) -> None:
    for name, count in (("gradients", 1), ("gradients_against", 2)):
        wide = drawn(ANSWERS[name], format).partition('<div class="phone">')[0]
        assert wide.count(head) == count


def test_tensors_by_name() -> None:
    assert list(ANSWERS["gradients"].tensors()) == ["forward/hidden", "forward/cell", "forward/input"]
    names = list(GradientsAnswer((LSTM, LSTM)).tensors())
    assert names[::3] == ["LSTM/forward/hidden", "LSTM 2/forward/hidden"]


def test_a_larger_norm_has_a_longer_bar() -> None:
    rows = [line for line in drawn(ANSWERS["gradients"], width=80).splitlines() if re.match(r"\d ", line)]
    bars = [line[3:].split()[0] for line in rows]
    assert sorted(bars, key=len) == bars
    assert len(set(bars)) == 5


def test_many_steps_are_thinned_unless_all_are_wanted() -> None:
    def steps(**view: Any) -> Any:
        text = drawn(ANSWERS["gradients_exploding"], width=80, **view)
        return [int(found) for found in re.findall(r"^ *(\d+)  ", text, re.MULTILINE)]

    thin = steps()
    assert (thin[0], thin[-1]) == (0, 99)
    assert len(thin) <= 25
    assert steps(full=True) == list(range(100))


@pytest.mark.parametrize("norms", [{"a": math.nan, "b": 1.0}, {"a": math.inf, "b": 1.0}, {"b": math.nan}])
def test_a_norm_that_is_not_finite_has_no_bar(norms: Any) -> None:
    found = LSTM.__class__(LSTM.header, LSTM.target, (), "kernel", norms)
    assert str(next(iter(norms.values()))) in drawn(GradientsAnswer((found,)), width=80)


def test_a_share_that_is_nearly_all_is_not_said_to_be_all() -> None:
    parts = {"forget": np.ones(5), "output": np.full(5, 0.001)}
    two = gradients("lstm", curve("hidden", decay(0.5), by_line=parts))
    assert "hidden: 99% of the gradient comes back through the gate forget" in drawn(
        GradientsAnswer((two,)), width=80
    )


L = keras.layers
GIVEN = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    keras.utils.set_random_seed(3)
    layers = [keras.Input((5, 3)), L.GRU(4, return_sequences=True, name="gru")]
    model = keras.Sequential([*layers, L.MaxPooling1D(2, name="pool"), L.LSTM(2, name="lstm")])
    path = tmp_path_factory.mktemp("model") / "m.keras"
    model.save(path)
    return path, model


def norms_by_keras(layer: Any, inputs: Any) -> np.ndarray:
    """Return the norms of the derivatives of the last output of sequence 0, one per time step."""
    given = tf.constant(np.asarray(inputs)[:1])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        output = layer(given)
        numbers = output[0, -1] if len(output.shape) == 3 else output[0]
    return np.asarray(
        (tape.jacobian(numbers, given, experimental_use_pfor=False).numpy()[:, 0] ** 2).sum(axis=(0, 2))
        ** 0.5
    )


@pytest.mark.slow
def test_every_layer_is_differentiated_by_its_own_input(model: Any) -> None:
    path, keras_model = model
    found = package.gradients(GIVEN, model=path)
    pooled = keras.Model(keras_model.inputs[0], keras_model.get_layer("pool").output)(GIVEN)
    for name, inputs in (("gru", GIVEN), ("lstm", pooled)):
        theirs = norms_by_keras(keras_model.get_layer(name), inputs)
        np.testing.assert_allclose(found[f"{name}/forward/input"], theirs, atol=1e-5)
    layers = found.document()["layers"]
    assert [layer["name"] for layer in layers] == ["gru", "lstm"]
    assert [layer["of"]["text"] for layer in layers] == ["hidden_states[0, 4, :]", "hidden_state[0, :]"]
    assert [len(layer["curves"][0]["norms"]) for layer in layers] == [5, 2]
    assert "norm of the gradient of lstm/hidden_state[0, :]" in str(found)


@pytest.mark.slow
def test_an_address_chooses_a_layer(model: Any) -> None:
    found = package.gradients(GIVEN, model=model[0], of="gru/hidden_states[1,2]")
    assert found.document()["of"]["text"] == "hidden_states[1, 2, :]"
    alone = package.gradients(GIVEN, model=f"{model[0]}#gru", of="hidden_states[1,2]")
    np.testing.assert_array_equal(found["forward/input"], alone["forward/input"])
    with pytest.raises(UsageError, match="lstm: of: there is no tensor 'hidden_states'"):
        package.gradients(GIVEN, model=model[0], of="hidden_states[0,1]")


def test_a_weight_of_every_layer(model: Any) -> None:
    found = package.gradients(GIVEN, model=model[0], of="kernel")
    assert [*found.tensors()] == [
        *("gru/update", "gru/reset", "gru/candidate"),
        *("lstm/input", "lstm/forget", "lstm/candidate", "lstm/output"),
    ]
    assert "norm of the gradient of each layer's last output with respect to kernel" in str(found)
