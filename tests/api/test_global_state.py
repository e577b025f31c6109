"""No call changes what its caller has: random generators, environment, descriptors, warnings, options."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from command import run_program
from limits import PATIENCE

import rnncli

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
LAYERS = ("LSTM(4, return_sequences=True, return_state=True)", "GRU(3)", "Bidirectional(SimpleRNN(2))")

SNAPSHOT = """
import os, random, sys, warnings
import numpy as np

def snapshot():
    held = {
        "environment": dict(os.environ),
        "random": random.getstate(),
        "numpy.random": repr(np.random.get_state()),
        "warnings": list(warnings.filters),
        "descriptor 2": os.readlink("/proc/self/fd/2"),
    }
    if "keras" in sys.modules:
        import keras
        import torch
        from tensorflow.python.eager import context

        generator = vars(context.context()).get("_rng")
        layer = repr(keras.src.backend.common.global_state.get_global_attribute("object_name_uids"))
        held |= {
            "TensorFlow's seed": context.global_seed(),
            "TensorFlow's generator": generator and generator.getstate(),
            "Keras": (keras.config.floatx(), keras.config.dtype_policy().name, layer),
            "torch": (torch.get_rng_state().tolist(), torch.get_num_threads(), torch.backends.mkldnn.enabled),
        }
    return held
"""
CALLS = """
import rnncli

for call, layer, options in (
    (rnncli.run, "LSTM(3)", {}),
    (rnncli.run, "LSTM(3)", {"engine": "tensorflow", "seed": 1}),
    (rnncli.run, "RNN(GRUCell(3))", {"check": True}),
    (rnncli.run, "LSTM(3, dropout=0.5)", {"engine": "tensorflow", "training": True}),
    (rnncli.gradients, "LSTM(3)", {}),
    (rnncli.export, "LSTM(3)", {"to": "numpy"}),
    (rnncli.export, "LSTM(3)", {"to": "onnx"}),
    (rnncli.compare, "LSTM(3)", {}),
    *((rnncli.run, None, {"model": model, "check": True}) for model in MODELS),
):
    before = snapshot()
    call(x, layer, **options)
    after = snapshot()
    for name in before:
        if before[name] != after[name]:
            print(call.__name__, layer, options, name)

x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
before = snapshot()
weights = rnncli.weights(None, "GRU(3)", input_shape=(1, 4, 3), to="torch", seed=1)
result = rnncli.run(x, "GRU(3, return_sequences=True)", seed=1)
assert rnncli.port(x, "GRU(3)", weights=dict(weights), expect=result.hidden_states)
for model in MODELS:
    rnncli.weights(model, to="onnx")
for report in (weights, result, rnncli.trace(x, "GRU(3)")):
    report.to_dataframe()
after = snapshot()
for name in before:
    if before[name] != after[name]:
        print("weights, port or to_dataframe", name)
"""


@pytest.mark.slow
def test_calls_in_threads_give_the_numbers_of_one_thread() -> None:
    engines = ("tensorflow", "auto", "torch", "numpy")

    def run(seed: int) -> list[bytes]:
        engine, layer = engines[seed % len(engines)], LAYERS[seed % len(LAYERS)]
        result = rnncli.run(X, layer, engine=engine, seed=seed, check=engine == "auto")
        return [tensor.values.tobytes() for tensor in result.outputs]

    before, seeds = os.fstat(2), range(12)
    one_by_one = list(map(run, seeds))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, seeds)) == one_by_one
    assert os.path.samestat(os.fstat(2), before)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    folder = tmp_path_factory.mktemp("models")
    layers = [keras.Input((4, 3)), keras.layers.LSTM(2), keras.layers.Dense(1)]
    keras.Sequential(layers).save(folder / "m.keras")
    torch.save(torch.nn.LSTM(3, 2).state_dict(), folder / "m.pt")
    return folder


OWN = """
MODELS = ()
import keras, torch
keras.utils.set_random_seed(5)
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("mixed_float16")
keras.layers.LSTM(2)
"""


@pytest.mark.slow
def test_a_call_leaves_its_caller_as_it_was(models: Path) -> None:
    """Alone, and beside Keras and PyTorch with options of the caller's own."""
    files = [str(models / "m.pt"), str(models / "m.keras")]
    script = f"{SNAPSHOT}MODELS = {files}\nx = np.ones((1, 4, 3), 'float32')\n{CALLS}{OWN}{CALLS}"
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("KERAS", "TF", "HDF5"))}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=clean, timeout=PATIENCE)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


@pytest.mark.parametrize("call", ["run", "plot"])
@pytest.mark.slow
def test_the_first_answer_that_is_printed_draws_no_random_number(call: str) -> None:
    """Rich, which prints it, draws some when it is imported."""
    script = (
        f"import random, sys, rnncli\nanswer = rnncli.{call}([[[1.0, 2.0]]], 'LSTM(2)')\n"
        "before = random.getstate(), 'rich.style' in sys.modules\nstr(answer)\n"
        "assert before == (random.getstate(), False)"
    )
    assert run_program(script).success().stdout == ""


def test_the_callers_options_of_keras_change_no_number() -> None:
    expected = rnncli.run(X, "LSTM(3)", engine="tensorflow", seed=1)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_floatx("float64")
    try:
        found = rnncli.run(X, "LSTM(3)", engine="tensorflow", seed=1)
        assert keras.config.floatx() == "float64"
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(policy)
    np.testing.assert_array_equal(found["hidden_state"], expected["hidden_state"])


def test_no_seed_is_drawn_from_the_callers_generator() -> None:
    import random

    seeds = set()
    for _ in range(2):
        random.seed(3)
        seeds.add(rnncli.run(X, "LSTM(3)").seed)
    assert len(seeds) == 2
