"""gradients --whole: from the last output to the input, held to the tapes and to central differences."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from command import Run
from oracle import keras
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnncli as package
from rnncli.errors import InputError, LayerError, UsageError

L = keras.layers
RANDOM = np.random.default_rng(5)
BATCH, STEPS, FEATURES = 3, 6, 4
X = RANDOM.normal(size=(BATCH, STEPS, FEATURES)).astype("float32")
TIME_FIRST = np.ascontiguousarray(X.swapaxes(0, 1))
SQUARE = RANDOM.normal(size=(4, 4, FEATURES)).astype("float32")


class Tagger(nn.Module):
    """Recurrent layers with others between them.  turns: whether it swaps the axes before and after."""

    def __init__(self, *, first: bool = True, turns: bool = False, mixes: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.turns, self.mixes = turns, mixes
        self.lstm = nn.LSTM(FEATURES, 6, batch_first=first, bidirectional=True)
        self.norm, self.linear = nn.LayerNorm(12), nn.Linear(12, 5)
        self.gru = nn.GRU(5, 3, batch_first=first)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        x = x.transpose(0, 1) if self.turns else x
        y = self.gru(torch.relu(self.linear(self.norm(self.lstm(x)[0]))))[0]
        y = y - y.mean(0) if self.mixes else y
        return y.transpose(0, 1) if self.turns else y


class Last(nn.Module):
    """A classifier: what it returns has no time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.rnn, self.head = nn.GRU(FEATURES, 5), nn.Linear(5, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[1][-1]), x


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.rnn = nn.LSTM(FEATURES, 5, batch_first=True)

    def forward(self, x: Any, lengths: Any) -> Any:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.rnn(packed)[0]


class Univariate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.rnn = nn.LSTM(1, 5, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.rnn(x[..., None])[0]


def norms_by_autograd(run: Callable[[Any], Any], x: Any, of: Any, at: Any) -> Any:
    """Return the norm of d(output[of]) / d(x[at]) per time step.  at: the sequence in the input."""
    given = torch.tensor(x, requires_grad=True)
    numbers = run(given)[of]
    rows = [torch.autograd.grad(one, given, retain_graph=True)[0][at].numpy() for one in numbers.ravel()]
    squares = np.square(np.array(rows, np.float64)).sum(0)
    return np.sqrt(squares.reshape(len(squares), -1).sum(1))


@pytest.mark.parametrize(("model", "x", "text", "of", "at"), [
    (Tagger(), X, "output[1, 5, :]", (1, -1), 1),
    (Tagger(first=False), TIME_FIRST, "output[5, 1, :]", (-1, 1), (slice(None), 1)),
    (Tagger(first=False, turns=True), X, "output[1, 5, :]", (1, -1), 1),
    (Tagger(turns=True), TIME_FIRST, "output[5, 1, :]", (-1, 1), (slice(None), 1)),
    (Tagger(), SQUARE, "output[1, 3, :]", (1, -1), 1),
    (Tagger(first=False), SQUARE, "output[3, 1, :]", (-1, 1), (slice(None), 1)),
    (Tagger(turns=True), SQUARE, "output[3, 1, :]", (-1, 1), (slice(None), 1)),
    (Tagger(first=False, turns=True), SQUARE, "output[1, 3, :]", (1, -1), 1),
    (Tagger(mixes=True), X, "output[1, 5, :]", (1, -1), 1),
    (Univariate(), X[:, :, 0], "output[1, 5, :]", (1, -1), 1),
    (nn.GRU(FEATURES, 3, batch_first=True), X, "output_0[1, 5, :]", (1, -1), 1),
    (nn.RNN(FEATURES, 3), TIME_FIRST, "output_0[5, 1, :]", (-1, 1), (slice(None), 1)),
])  # fmt: skip
def test_a_module_is_differentiated_whole(model: Any, x: Any, text: str, of: Any, at: Any) -> None:
    found = package.gradients(x, model, whole=True, batch=1)

    def run(given: Any) -> Any:
        returned = model(given)
        return returned if isinstance(returned, torch.Tensor) else returned[0]

    document = found.document()
    assert (document["of"]["text"], document["whole"], document["engine"]) == (text, True, "PyTorch")
    assert document["input"]["shape"] == list(x.shape)
    (curve,) = document["layers"][0]["curves"]
    np.testing.assert_allclose(curve["norms"], norms_by_autograd(run, x, of, at), rtol=1e-4)


def test_a_classifier_one_sequence_and_packed_sequences() -> None:
    last = package.gradients(TIME_FIRST, Last(), whole=True, batch=-1)
    assert last.document()["of"]["text"] == "output_0[2, :]"
    theirs = norms_by_autograd(lambda x: Last()(x)[0], TIME_FIRST, 2, (slice(None), 2))
    np.testing.assert_allclose(last["input"], theirs, rtol=1e-4)

    gru = nn.GRU(FEATURES, 3)
    one = package.gradients(X[0], gru, whole=True)
    assert one.document()["of"]["text"] == "output_0[5, :]"
    np.testing.assert_allclose(one["input"], norms_by_autograd(lambda x: gru(x)[0], X[0], -1, ...), rtol=1e-4)

    lengths, packed = torch.tensor([2, 4, 6]), Packed()
    short = package.gradients((X, lengths), packed, whole=True, batch=1)
    assert short.document()["of"]["text"] == "output[1, 3, :]"
    theirs = norms_by_autograd(
        lambda x: pad_packed_sequence(packed(x, lengths), batch_first=True)[0], X, (1, 3), 1
    )
    np.testing.assert_allclose(short["input"], theirs, rtol=1e-4)
    assert (short["input"][4:] == 0).all()
    layer = nn.GRU(FEATURES, 3, batch_first=True)
    by_length = package.gradients(X, layer, whole=True, lengths=[6, 2, 4])
    np.testing.assert_allclose(
        by_length["input"], norms_by_autograd(lambda x: layer(x)[0], X, (0, -1), 0), rtol=1e-4
    )


def keras_models(dtype: str = "float32") -> dict[str, tuple[Any, Any]]:
    keras.utils.set_random_seed(3)
    given = {"dtype": dtype}
    sequence = [
        keras.Input((STEPS, FEATURES), **given),
        L.Bidirectional(L.LSTM(4, return_sequences=True, **given), **given),
        L.LayerNormalization(**given),
        L.Dense(5, "relu", **given),
        L.Dropout(0.5, **given),
        L.GRU(3, return_sequences=True, **given),
    ]
    return {
        "sequence": (keras.Sequential(sequence), np.s_[:, -1]),
        "last": (keras.Sequential([*sequence, L.LSTM(2, **given)]), np.s_[:]),
        "layer": (L.GRU(3, return_sequences=True, **given), np.s_[:, -1]),
    }


def by_central_differences(run: Callable[[Any], Any], x: Any, step: float) -> Any:
    """Return the norm of the derivative of what `run` returns of each sequence, by x[1], per time step.

    run: is called with many sequences at once, which do not touch each other.
    """
    moves = step * np.eye(STEPS * FEATURES).reshape(-1, STEPS, FEATURES)
    slopes = (np.asarray(run(x[1] + moves)) - np.asarray(run(x[1] - moves))) / (2 * step)
    return np.sqrt(np.square(slopes).sum(1).reshape(STEPS, FEATURES).sum(1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sequence", "last", "layer"])
@pytest.mark.slow
def test_a_keras_model_is_differentiated_whole(name: str, dtype: str) -> None:
    model, of = keras_models(dtype)[name]
    x = X.astype(dtype)
    model(x)
    found = package.gradients(x, model, whole=True, batch=1)
    given = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        numbers = model(given)[of][1]
    jacobian = tape.jacobian(numbers, given, experimental_use_pfor=False).numpy()[:, 1]
    np.testing.assert_allclose(found["input"], (jacobian**2).sum((0, 2)) ** 0.5, rtol=1e-4)
    if dtype == "float64":
        moved = by_central_differences(lambda one: model(one)[of], x, 1e-6)
        np.testing.assert_allclose(found["input"], moved, rtol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.parametrize(
    "layers", [["LSTM(3, return_sequences=True)", "Dense(4, 'tanh')", "GRU(2)"], ["bigru"]]
)
@pytest.mark.slow
def test_described_layers_by_central_differences(layers: list[str], engine: str) -> None:
    options: Any = {"layer": layers, "seed": 1, "dtype": "float64"}
    x = X.astype("float64")
    found = package.gradients(x, whole=True, batch=1, engine=engine, **options)
    moved = by_central_differences(lambda one: package.run(one, **options)[0], x, 1e-5)
    np.testing.assert_allclose(found["input"], moved, rtol=1e-6)


def test_nothing_of_a_module_changes() -> None:
    model = Tagger().train()
    weight: Any = model.gru.weight_ih_l0
    weight.grad = torch.ones_like(weight)
    x = torch.tensor(X, requires_grad=True)
    with torch.no_grad():
        found = package.gradients(x, model, whole=True)
        assert not torch.is_grad_enabled()
    assert found["input"].any()
    assert (model.calls, model.training, model.lstm.training, x.grad) == (0, True, True, None)
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert not model.gru._forward_hooks
    assert "forward" not in vars(model.gru)


def test_what_no_gradient_reaches_is_said() -> None:
    class Cut(Tagger):
        def forward(self, x: Any) -> Any:
            return super().forward(x.detach())

    found = package.gradients(X, Cut(), whole=True)
    assert not found["input"].any()
    assert "no gradient reaches x" in str(found.remarks)


@pytest.mark.slow
@pytest.mark.parametrize(("error", "said", "given", "options"), [
    (UsageError, "batch=3: index 3 is out of range for batch", X, {"batch": 3}),
    (UsageError, "whole and of exclude each other", X, {"of": "x"}),
    (UsageError, "whole is of the whole object", X, {"at": "gru"}),
    (UsageError, "engine does not apply to Sequential", X, {"engine": "numpy"}),
    (InputError, "no floating-point numbers", X.astype(int), {}),
])  # fmt: skip
def test_what_does_not_apply_is_refused(error: Any, said: str, given: Any, options: Any) -> None:
    model = keras_models()["sequence"][0]
    with pytest.raises(error, match=said):
        package.gradients(given, model, whole=True, **options)


def test_an_output_without_the_batch_is_refused() -> None:
    class Flat(Tagger):
        def forward(self, x: Any) -> Any:
            return super().forward(x).reshape(-1, 3)

    with pytest.raises(LayerError, match=r"the first output \(18, 3\): which axis of them is the batch"):
        package.gradients(X, Flat(), whole=True)


def test_a_file_is_refused_with_the_way_out(tmp_path: Path, rnncli: Run) -> None:
    model, _ = keras_models()["last"]
    model.save(tmp_path / "m.keras")
    said = rnncli("gradients", "--model", str(tmp_path / "m.keras"), "--whole").refusal()
    assert "rnncli.gradients(x, model, whole=True)" in said
    alone = rnncli("gradients", "-l", "lstm", "--batch", "1")
    assert (alone.returncode, "--batch 1 needs --whole" in alone.stderr) == (2, True)


def test_without_whole_the_head_says_that_a_curve_covers_one_layer(tmp_path: Path) -> None:
    covers = "each curve covers one layer"
    assert covers in str(package.gradients(X, Tagger()))
    assert covers in str(package.gradients(TIME_FIRST, Last()))
    assert covers not in str(package.gradients(X, Tagger(), whole=True))
    assert covers not in str(package.gradients(X, layer=["LSTM(3, return_sequences=True)", "gru"], seed=1))
