"""A layer is one new file in a list; engines and targets that do not know its step refuse it by name."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from command import Run

from rnncli import layers, specs
from rnncli.compute import engines
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack

TWIN = """\
from rnncli.layers.builtin import SimpleRNN, SimpleRNNCell


class TwinCell(SimpleRNNCell):
    pass


class Twin(SimpleRNN):
    cell_class = TwinCell
    in_keras = False
"""
TWICE = """\
from rnncli.layers.plain.core import Masking


class Twice(Masking):
    def call(self, run, call):
        return super().call(run, call._replace(inputs=call.inputs * 2))
"""
"""A layer that is not recurrent."""


HALVED = """\
from rnncli.layers.plain import PlainLayer
from rnncli.layers.plain.core import Dropout


class Halved(PlainLayer):
    takes_sequence = False
    options = {"dtype": Dropout.options["dtype"]}
    compute = staticmethod(lambda call: (call.inputs / 2, call.previous))

    def outputs(self, input_shape):
        return Dropout.outputs(self, input_shape)
"""
"""A layer without a rule for its gradients."""
RULE = """
    def pull_back(self, vectors, inputs, weights):
        return vectors / 2
"""


@pytest.fixture
def rnncli_with_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rnncli: Run) -> Run:
    """Run rnncli where the layers Twin and Twice are two more files among the layers."""
    for name, text in (
        ("twin", TWIN),
        ("twice", TWICE),
        ("halved", HALVED),
        ("ruled", HALVED.replace("Halved", "Ruled") + RULE),
    ):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setitem(layers.LAYERS, name.capitalize(), f"rnncli.layers.{name}")
        monkeypatch.delitem(sys.modules, f"rnncli.layers.{name}", raising=False)
    monkeypatch.setitem(layers.CELLS, "TwinCell", "rnncli.layers.twin")
    monkeypatch.setattr(layers, "__path__", [*layers.__path__, str(tmp_path)])
    return lambda *args: rnncli(*args, "--seed", "1", "--quiet")


@pytest.mark.parametrize("layer", ["twin", "Bidirectional(Twin(2))", "RNN([TwinCell(2), GRUCell(3)])"])
def test_a_new_layer_runs(layer: str, rnncli_with_twin: Run) -> None:
    known = layer.replace("twin", "simple_rnn").replace("Twin", "SimpleRNN")
    twin, theirs = (rnncli_with_twin("run", "-l", name, "-f", "csv") for name in (layer, known))
    assert (twin.returncode, twin.stderr) == (0, "")
    assert twin.stdout == theirs.stdout


@pytest.mark.parametrize("args", [("run", "--check"), ("gradients", "--engine", "tensorflow")])
def test_keras_is_not_asked_for_a_layer_that_it_lacks(args: tuple[str, ...], rnncli_with_twin: Run) -> None:
    done = rnncli_with_twin(*args, "-l", "twin")
    assert (done.returncode, done.stdout) == (3, "")
    assert re.match(r"rnncli: Keras [\d.]+ has no Twin\.\n", done.stderr)


def test_gradients_refuse_a_layer_without_a_rule(rnncli_with_twin: Run) -> None:
    for layer in ("Halved", "Twice"):  # Twice has the rule of Masking, but computes something else
        said = rnncli_with_twin("gradients", "-l", "lstm(3, return_sequences=True)", "-l", layer).refusal()
        assert said.startswith(f"rnncli: numpy has no rule for the gradient of {layer}.\n")
    halved, plain = (
        json.loads(rnncli_with_twin("gradients", "-l", "lstm", *more, "-f", "json").stdout)["layers"][0][
            "curves"
        ]
        for more in (("-l", "ruled"), ())
    )
    for ours, theirs in zip(halved, plain, strict=True):
        np.testing.assert_allclose(ours["norms"], np.array(theirs["norms"]) / 2)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_an_initializer_is_not_taken_for_a_layer(engine: str) -> None:
    layer = specs.build("LSTM(3, kernel_initializer=Constant(0.1))")
    case = Case(Stack([layer]), np.ones((1, 4, 5), np.float32))
    assert engines.get(engine).refusal(case) is None


@pytest.mark.parametrize(
    ("args", "reason"),
    [(("run", "--engine", "torch"), "the engine torch cannot compute this: it has no module for Twin."),
     (("run", "--engine", "onnx"), "the engine onnx cannot compute this: it has no node for Twin."),
     (("export", "--to", "onnx", "-o", "t.onnx"), "--to onnx cannot express this: it has no node for Twin."),
     (("weights", "--to", "torch"),
      "Twin cannot be converted to PyTorch's layout: it has no module for Twin.")],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_lacks_the_step_refuses_it(args: tuple[str, ...], reason: str, rnncli_with_twin: Run) -> None:
    assert rnncli_with_twin(*args, "-l", "twin").refusal().splitlines()[0] == f"rnncli: {reason}"


def test_a_layer_says_whether_keras_has_it() -> None:
    """Else a script for Keras would import a layer that does not exist."""
    import keras

    for name in layers.LAYERS:
        assert layers.class_of(name).in_keras == hasattr(keras.layers, name), f"{name}: set in_keras"


@pytest.mark.parametrize("target", ["keras", "config"])
def test_no_script_for_keras_has_a_layer_that_keras_lacks(target: str, rnncli_with_twin: Run) -> None:
    for layer in ("twin", "Bidirectional(Twin(2))"):
        said = rnncli_with_twin("export", "--to", target, "-l", layer).refusal()
        assert said.splitlines()[0] == f"rnncli: --to {target} cannot express this: Keras has no Twin."


@pytest.mark.parametrize("target", ["c", "numpy", "onnx", "torch"])
def test_a_target_leaves_no_unknown_layer_out(target: str, rnncli_with_twin: Run, tmp_path: Path) -> None:
    script = tmp_path / "script"
    done = rnncli_with_twin("export", "--to", target, "-l", "twice", "-l", "lstm", "-o", str(script))
    assert not script.exists()
    assert (done.returncode, done.stdout) == (2, "")
    reason = f"--to {target} cannot express this: it has no formula for Twice."
    assert done.stderr.splitlines()[0] == f"rnncli: {reason}"
