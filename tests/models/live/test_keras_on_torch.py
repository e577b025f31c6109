"""Live objects of Keras on PyTorch, in a process of their own: a process has one backend."""

import os
import subprocess
import sys

import pytest
from limits import PATIENCE

PROGRAM = """
import keras, numpy as np, rnncli, torch
L = keras.layers
keras.utils.set_random_seed(1)
x = np.random.rand(2, 5, 4).astype("float32")
x[1, 3:] = 0

class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.read = L.GRU(3, return_sequences=True, dropout=0.2)
        self.norm, self.cell, self.heads = L.BatchNormalization(), L.LSTMCell(2), [L.Bidirectional(L.LSTM(2))]
        self.counter = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.calls, self.kept, self.seed = 0, torch.zeros(2), keras.random.SeedGenerator(1)

    def call(self, inputs, training=False):
        self.calls += 1
        self.counter.assign_add(1.0)
        self.kept += 1
        hidden = self.norm(self.read(inputs, training=training), training=True)
        hidden = hidden + keras.random.normal((3,), seed=self.seed)
        state = [keras.ops.zeros((2, 2))] * 2
        for step in range(5):
            output, state = self.cell(hidden[:, step], state)
        return self.heads[0](hidden) + output[:, :1]

model = Model()
theirs = model(x)
def numbers():
    return [keras.ops.convert_to_numpy(variable).copy() for variable in model.variables]
before, torch_state = numbers(), torch.random.get_rng_state()
calls, kept = model.calls, model.kept.tolist()
result = rnncli.run(x, model)
assert result.agrees is True and result.agreement.difference < 1e-6, result.agreement
assert {"read/hidden_states", "cell/hidden_states", "heads.0/hidden_state"} <= {*result.keys()}, result.keys()
assert rnncli.trace(x, model, at="read")["update"].shape == (2, 5, 3)
assert all(map(np.array_equal, before, numbers()))
assert (model.calls, model.kept.tolist()) == (calls, kept), (model.calls, model.kept)
assert torch.equal(torch_state, torch.random.get_rng_state())
assert not any("call" in vars(layer) for layer in (model.read, model.cell, model.heads[0]))

below = L.Masking(), L.LSTM(3, dropout=0.2, return_sequences=True), L.Dropout(0.5)
drops = keras.Sequential([keras.Input((5, 4)), *below, L.LSTM(2)])
assert rnncli.shape(drops).parameters == rnncli.shape(x, drops).parameters == drops.count_params()
assert rnncli.shape(model).parameters == model.count_params()
assert rnncli.weights(drops).parameters == drops.count_params()
masked = rnncli.run(x, drops)
assert masked.agrees is True
np.testing.assert_allclose(masked[-1], keras.ops.convert_to_numpy(drops(x)), atol=1e-6)
assert rnncli.compare(x, drops, drops)
given = torch.tensor(x, requires_grad=True)
rows = [torch.autograd.grad(number, given, retain_graph=True)[0][1] for number in drops(given)[1]]
norms = sum((row**2).sum(1) for row in rows).sqrt().numpy()
np.testing.assert_allclose(rnncli.gradients(x, drops, whole=True, batch=1)["input"], norms, rtol=1e-4)
assert all(variable.value.grad is None for variable in drops.variables)
lstm = L.LSTM(3)
assert rnncli.run(x, lstm).agreement is None  # its config
lstm(x)
assert np.allclose(rnncli.run(x, "LSTM(3)", weights=lstm)[0], keras.ops.convert_to_numpy(lstm(x)), atol=1e-6)
"""


@pytest.mark.slow
def test_models_and_layers_of_keras_on_torch() -> None:
    """Calls are recorded, everything is as before, and states of seeds are no parameters."""
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
