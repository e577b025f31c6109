"""A model that cannot be run is refused with a command that runs its layer alone, which is held to Keras.

The command is taken out of the message, and INPUT in it is replaced by what Keras gives the layer.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from oracle import keras

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("files_are_read_here")]

L = keras.layers
X = np.random.default_rng(5).normal(size=(2, 4, 5)).astype("float32")
MGU = """
name = "MGU"
states = ["hidden"]
[step]
forget = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias)"
candidate = "tanh(x @ kernel + (forget * hidden) @ recurrent_kernel + bias)"
hidden = "(1 - forget) * hidden + forget * candidate"
"""


@keras.saving.register_keras_serializable("tests_layer_alone")
class MGUCell(L.Layer):  # type: ignore[misc, name-defined]
    """The minimal gated unit, as a user writes it."""

    def __init__(self, units: int, **more: Any) -> None:
        super().__init__(**more)
        self.units = self.state_size = self.output_size = units

    def build(self, shape: Any) -> None:
        wide = 2 * self.units
        self.kernel = self.add_weight(shape=(shape[-1], wide), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, wide), name="recurrent_kernel")
        self.bias = self.add_weight(shape=(wide,), name="bias", initializer="random_normal")

    def call(self, x: Any, states: Any, training: Any = None) -> Any:
        (hidden,) = states
        kernels, recurrent, biases = (
            keras.ops.split(weight, 2, axis=-1) for weight in (self.kernel, self.recurrent_kernel, self.bias)
        )
        forget = keras.ops.sigmoid(x @ kernels[0] + hidden @ recurrent[0] + biases[0])
        candidate = keras.ops.tanh(x @ kernels[1] + (forget * hidden) @ recurrent[1] + biases[1])
        hidden = (1 - forget) * hidden + forget * candidate
        return hidden, [hidden]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def command_of(refusal: str) -> list[str]:
    """The words of the command in the message, `run INPUT ...`."""
    found = re.search(r"rnncli (run INPUT .*)", refusal)
    assert found, refusal
    return shlex.split(found[1])


def run_advised_command(rnncli: Run, folder: Path, model: str, given: Any, *more: str) -> Any:
    """Run the command that the refusal of the model ends with, with this input; return its first tensor."""
    words = command_of(rnncli("run", json.dumps(X.tolist()), "--model", model, cwd=folder).refusal())
    words[words.index("INPUT")] = json.dumps(np.asarray(given, "float32").tolist())
    tensor = rnncli(*words, *more, "-f", "json", cwd=folder).answer()["outputs"][0]
    values = keras.ops.convert_to_tensor(
        tensor["values"], tensor["dtype"]
    )  # the shortest digits of the dtype
    return np.asarray(keras.ops.cast(values, "float32"))


def sequential_of(*layers: Any) -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((4, 5), name="x"), *layers])


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_of_each_layer_is_keras(rnncli: Run, tmp_path: Path, policy: str, suffix: str) -> None:
    first = L.Bidirectional(L.GRU(3, return_sequences=True, dtype=policy), name="both", dtype=policy)
    last, dense = L.LSTM(2, name="last", dtype=policy), L.Dense(1, dtype=policy)
    model = sequential_of(L.Lambda(lambda x: x, dtype=policy), first, last, dense)
    model.save(tmp_path / f"m.{suffix}")
    given: Any = X
    for name in ("both", "last"):
        wanted = model.get_layer(name)(given)
        shown = run_advised_command(rnncli, tmp_path, f"m.{suffix}#{name}", given)
        np.testing.assert_array_equal(shown, np.asarray(keras.ops.cast(wanted, "float32")))
        given = keras.ops.cast(wanted, "float32")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("both", [False, True])
def test_own_cells_are_run_by_their_equations(rnncli: Run, tmp_path: Path, both: bool, suffix: str) -> None:
    layer = L.RNN(MGUCell(3), return_sequences=True, name="mgu")
    layer = L.Bidirectional(L.RNN(MGUCell(3), return_sequences=True), name="mgu") if both else layer
    model = sequential_of(layer, L.LSTM(2, name="last"))
    model.save(tmp_path / f"m.{suffix}")
    (tmp_path / "cell.toml").write_text(MGU)
    wanted = np.asarray(model.get_layer("mgu")(X))
    np.testing.assert_allclose(run_advised_command(rnncli, tmp_path, f"m.{suffix}", X), wanted, atol=2e-6)
    after = run_advised_command(rnncli, tmp_path, f"m.{suffix}#last", wanted)
    np.testing.assert_allclose(after, np.asarray(model.get_layer("last")(wanted)), atol=2e-6)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_layer_behind_a_lambda_runs_alone(rnncli: Run, tmp_path: Path, suffix: str) -> None:
    model = sequential_of(L.Lambda(lambda x: x * 2, name="twice"), L.GRU(3, name="gru", reset_after=False))
    model.save(tmp_path / f"m.{suffix}")
    wanted = np.asarray(model.get_layer("gru")(X))
    np.testing.assert_allclose(run_advised_command(rnncli, tmp_path, f"m.{suffix}", X), wanted, atol=2e-6)


def test_another_layer_is_advised_only_if_it_was_asked_for(rnncli: Run, tmp_path: Path) -> None:
    x = keras.Input((4, 5), name="x")
    free, behind = L.LSTM(2, name="free")(x), L.LSTM(3, name="behind")(L.Lambda(lambda t: t * 2)(x))
    model = keras.Model(x, [free, behind])
    model.save(tmp_path / "m.keras")
    words = ("run", json.dumps(X.tolist()), "--model")
    assert rnncli(*words, "m.keras", cwd=tmp_path).stderr.endswith("--model m.keras#free\n")
    wanted = np.asarray(model.get_layer("behind")(X))
    np.testing.assert_allclose(run_advised_command(rnncli, tmp_path, "m.keras#behind", X), wanted, atol=2e-6)
