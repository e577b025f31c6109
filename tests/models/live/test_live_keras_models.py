"""Models of Keras as people write them: every tensor of a recording against Keras, and against a file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_keras_models import LACKING, MODELS, SAVED
from oracle import keras

import rnncli
from rnncli import compute
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.models.live.keras import record
from rnncli.models.live.recording import LiveCall, Recording
from rnncli.specs.build import build

pytestmark = pytest.mark.usefixtures("files_are_read_here")

NEAR = 2e-6


def recorded(model: Any, given: Any, at: str | None = None) -> Recording:
    return record(model, given, training=False, at=at, beside={})


def is_recurrent(layer: Any) -> bool:
    if isinstance(layer, keras.layers.TimeDistributed):
        return is_recurrent(layer.layer) or hasattr(layer.layer, "layers")
    return isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)) or hasattr(layer, "state_size")


@contextmanager
def watched() -> Iterator[list[tuple[Any, list[Any]]]]:
    """Yield the layers and cells that Keras calls in the block, in order, each with what it returns."""
    seen: list[tuple[Any, list[Any]]] = []
    original: Any = keras.layers.Layer.__call__
    depth = 0

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal depth
        index = len(seen) if is_recurrent(layer) and not depth else None
        if index is not None:
            seen.append((layer, []))
        depth += is_recurrent(layer)
        try:
            returned = original(layer, *args, **kwargs)
        finally:
            depth -= is_recurrent(layer)
        if index is not None:
            tensors = keras.tree.flatten(returned)
            seen[index] = layer, [np.array(keras.ops.convert_to_numpy(tensor)) for tensor in tensors]
        return returned

    keras.layers.Layer.__call__ = call
    try:
        yield seen
    finally:
        keras.layers.Layer.__call__ = original


def call_plainly(model: Any, given: Any) -> Any:
    given = np.array(given) if isinstance(given, list) and isinstance(given[0][0], str) else given
    return model(*given) if isinstance(given, tuple) else model(given)


def in_keras(model: Any, given: Any) -> list[list[list[Any]]]:
    """What each layer returned, by layer and by call, in the order of the first calls."""
    with watched() as seen:
        call_plainly(model, given)
    layers = list({id(layer): layer for layer, _ in seen}.values())
    return [[tensors for other, tensors in seen if other is layer] for layer in layers]


def by_layer(recording: Recording) -> list[list[LiveCall]]:
    paths = dict.fromkeys(call.path for call in recording.calls)
    return [[call for call in recording.calls if call.path == path] for path in paths]


def joined(returned: list[list[Any]]) -> list[Any]:
    """What steps returned, as one sequence."""
    first = [tensors[0] if tensors[0].ndim == 3 else tensors[0][:, None] for tensors in returned]
    return [np.concatenate(first, 1), *returned[-1][1:]]


def check_equal(calls: list[LiveCall], theirs: list[list[Any]]) -> None:
    if len(calls) < len(theirs):
        theirs = [joined(theirs)]
    for call, expected in zip(calls, theirs, strict=True):
        for mine, other in zip(call.outputs.values(), expected, strict=True):
            other = other.astype("float32") if other.dtype.name == "bfloat16" else other
            assert np.array_equal(mine, other.reshape(mine.shape)), call.name


def recompute(call: LiveCall) -> dict[str, Any]:
    assert call.config is not None
    assert call.inputs is not None
    case = Case(
        Stack((build(call.config),)), call.inputs, call.mask, call.initial_state, call.weights, seed=None
    )
    return {tensor.name: tensor.values for tensor in compute.run(case, "numpy").outputs}


def check_near(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert mine.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_allclose(mine[name], array, rtol=0, atol=NEAR, err_msg=name)


@pytest.mark.sampled
@pytest.mark.parametrize("name", MODELS)
def test_every_tensor(name: str) -> None:
    model, given = MODELS[name]()
    recording = recorded(model, given)
    assert not recording.notes
    calls, theirs = by_layer(recording), in_keras(model, given)
    assert len(calls) == len(theirs)
    for mine, other in zip(calls, theirs, strict=True):
        check_equal(mine, other)
    for call in recording.calls:
        assert not call.lacks or name.startswith("an own class")
        check_near(recompute(call), call.outputs)


@pytest.mark.sampled
@pytest.mark.parametrize("name", LACKING)
def test_as_keras_returned_it(name: str) -> None:
    lack, make = LACKING[name]
    model, given = make()
    recording = recorded(model, given)
    (call,) = recording.calls
    assert lack in str(call.lacks)
    assert (call.config is None) != name.startswith("an own call")
    check_equal([call], in_keras(model, given)[0])


@pytest.mark.parametrize("name", ["ConvLSTM", "mixed_float16", "bfloat16", "both directions in bfloat16"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_what_is_as_keras_returned_it_has_the_names_and_numbers_of_a_file(name: str, tmp_path: Path) -> None:
    model, given = LACKING[name][1]()
    model.save(tmp_path / "m.keras")
    live: Any = rnncli.run(given, model)
    saved: Any = rnncli.run(given, model=tmp_path / "m.keras")
    assert live.agrees is None
    assert live.keys() == saved.keys()
    for tensor in live.keys():  # noqa: SIM118
        np.testing.assert_allclose(
            live[tensor], saved[tensor], rtol=0, atol=1e-2 if "float16" in name else NEAR
        )
    if "direction" not in name:
        compared = rnncli.compare(given, model, tmp_path / "m.keras")
        assert compared.agrees is True
        assert {pair.sides[0] for pair in compared.found} >= {
            call.name for call in recorded(model, given).calls
        }


def test_two_objects_that_numpy_cannot_compute_are_compared() -> None:
    model, given = LACKING["mixed_float16"][1]()
    assert rnncli.compare(given, model, model).agrees is True
    other, _ = LACKING["mixed_float16"][1]()
    found = rnncli.compare(given, model, other)
    assert not found
    assert [pair.name.rpartition("/")[2] for pair in found.found] == ["last_hidden_state", "output"]


def named(model: Any, given: Any) -> Any:
    """The input of a model by the names of its inputs, if it has several."""
    if isinstance(given, list):
        return {tensor.name: array for tensor, array in zip(model.inputs, given, strict=True)}
    return given


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "suffix"),
    [*((name, ".keras") for name in SAVED), *((name, ".h5") for name in ("tagger", "attention", "nested"))],
)
@pytest.mark.filterwarnings("ignore")
def test_a_file_of_the_model_says_the_same(name: str, suffix: str, tmp_path: Path) -> None:
    model, given = SAVED[name]()
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()  # which are not in the file
    recording = recorded(model, given)
    model.save(tmp_path / f"m{suffix}")
    saved: Any = rnncli.run(named(model, given), model=tmp_path / f"m{suffix}")
    tensors = {
        f"{call.name}/{tensor}": call.outputs[tensor] for call in recording.calls for tensor in call.outputs
    }
    if name == "document":
        tensors["sentences/hidden_states"] = tensors.pop("sentences/hidden_state")
    assert set(saved.keys()) == set(tensors)
    for tensor, array in tensors.items():
        np.testing.assert_allclose(
            saved[tensor].reshape(array.shape), array, rtol=0, atol=NEAR, err_msg=tensor
        )


@pytest.mark.parametrize("name", ["attention", "stacked cells", "translator"])
@pytest.mark.slow
def test_every_command_takes_it(name: str) -> None:
    model, given = MODELS[name]()
    calls = recorded(model, given).calls
    result: Any = rnncli.run(given, model)
    trace: Any = rnncli.trace(given, model)
    assert result.agrees is trace.agrees is True
    assert "agrees with Keras: largest difference" in str(result)
    for call in calls:
        gates = [key for key in trace if key.startswith(f"{call.name}/") and key.endswith("activation")]
        alone: Any = rnncli.trace(given, model, at=call.name)
        assert len(gates) == len([key for key in alone if key.endswith("activation")]) > 1
        assert call.inputs is not None
        assert trace[gates[0]].shape[:2] == call.inputs.shape[:2]
        tensor = next(iter(call.outputs))
        index = ",".join("0" * call.outputs[tensor].ndim)
        number: Any = rnncli.explain(f"{call.name}/{tensor}[{index}]", given, model)
        assert number.found.value == pytest.approx(float(call.outputs[tensor].flat[0]), abs=NEAR)
        assert rnncli.compare(given, model, at=call.name, engines=["numpy", "tensorflow"]).agrees
    assert len(rnncli.gradients(given, model).found) == len(calls)
    assert rnncli.plot(given, model).render("svg").startswith(b"<")


@pytest.mark.slow
def test_all_layers_are_the_outputs_of_every_layer() -> None:
    layers = keras.layers
    first = layers.LSTM(3, return_sequences=True, name="first")
    model = keras.Sequential([
        keras.Input((4, 2)), layers.Masking(name="masking"), first, layers.LayerNormalization(name="norm"),
        layers.TimeDistributed(layers.Dense(4), name="wide"), layers.GRU(2, name="last"),
        layers.Dense(1, name="head"), layers.Activation("relu", name="act"),
    ])  # fmt: skip
    x = np.random.default_rng(1).normal(size=(2, 4, 2)).astype("float32")
    result = rnncli.run(x, model, all_layers=True)
    assert result.agrees
    assert [name for name in result.keys() if name != "output"] == [  # noqa: SIM118
        "masking/output", "first/hidden_states", "norm/output", "wide/output", "last/hidden_state",
        "head/output", "act/output",
    ]  # fmt: skip
    parts = keras.Model(model.inputs[0], [layer.output for layer in model.layers])(x)
    for layer, expected in zip(model.layers, parts, strict=True):
        name = next(name for name in result.keys() if name.startswith(layer.name))  # noqa: SIM118
        np.testing.assert_allclose(result[name], expected, atol=1e-6)
    assert not any("call" in vars(layer) for layer in model.layers)
    script = rnncli.export(x, model, to="numpy").data.decode()
    assert "left out: masking (Masking), norm (LayerNormalization), wide (TimeDistributed), head" in script
