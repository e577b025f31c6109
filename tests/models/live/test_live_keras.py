"""Recording a Keras object: what it is called with, what stays as it was, and what is refused."""

import random
import threading
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import tensorflow
from keras.src.backend.common import global_state
from live_keras_models import L, X
from oracle import keras
from tensorflow.python.eager import context
from zoo import keras_model

import rnncli
from rnncli.errors import EngineError, LayerError, UsageError


class Watched(keras.Model):  # type: ignore[misc]
    """A model that changes what a model can change in a call, and then runs `then`."""

    def __init__(self, then: Callable[[Any], None] = lambda model: None) -> None:
        super().__init__()
        self.lstm = L.LSTM(3, return_sequences=True, stateful=True, dropout=0.5, name="lstm")
        self.norm, self.dense = L.BatchNormalization(), L.Dense(1)
        self.variable = tensorflow.Variable(1.0)
        self.counter = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.metric = keras.metrics.Mean()
        self.seed = keras.random.SeedGenerator(1)
        self.calls, self.notes = 0, {"last": 0}
        self.seen: list[int] = []
        self.array = np.zeros(2)
        self.state: Any = None
        self.then = then

    def call(self, inputs: Any, training: Any = None) -> Any:
        self.calls += 1
        self.seen.append(self.calls)
        self.notes["last"] = self.calls
        self.array += 1
        self.variable.assign_add(1.0)
        self.counter.assign_add(1.0)
        self.metric.update_state(self.calls)
        draws = keras.random.normal((3,), seed=self.seed) + keras.random.normal((3,))
        draws += np.random.normal() + random.random() + tensorflow.random.normal((3,))
        self.state = self.norm(self.lstm(inputs), training=True) + draws
        self.then(self)
        return self.dense(self.state)


def snapshot(model: Any) -> dict[str, Any]:
    """What a call may change: by name, the attributes of every layer, the variables and the random states."""
    seen: dict[str, Any] = {}
    for layer in model._flatten_layers():
        for name, value in vars(layer).items():
            items = list(value) if isinstance(value, (list, set)) else value
            seen[f"{layer.name}.{name}"] = (
                id(value),
                repr(items) if isinstance(value, (list, dict, set)) else "",
            )
        seen[f"{layer.name} keys"] = list(vars(layer))
        for variable in (*layer.variables, *(getattr(layer, "states", None) or ())):
            seen[f"{layer.name} {variable.path}"] = variable.numpy().tolist()
    tracker = global_state.GLOBAL_STATE_TRACKER
    seen["names"] = repr(getattr(tracker, "object_name_uids", None))
    generator = getattr(tracker, "global_seed_generator", None)
    seen["keras"] = generator and generator.state.numpy().tolist()
    seen["tensorflow"] = repr(context.context()._rng.getstate())
    seen["random"] = random.getstate(), repr(np.random.get_state())
    return seen


def watched(then: Callable[[Any], None] = lambda model: None) -> Watched:
    keras.utils.set_random_seed(1)
    model = Watched()
    model(X)
    model.then = then
    return model


def fail(model: Any) -> None:
    raise ArithmeticError("no")


@pytest.mark.slow
@pytest.mark.parametrize("then", [lambda model: None, fail], ids=["returns", "fails"])
def test_everything_is_as_before(then: Callable[[Any], None]) -> None:
    model = watched(then)
    before, variable, array = snapshot(model), model.variable.numpy(), model.array.copy()
    with pytest.raises(ArithmeticError, match="no") if then is fail else nullcontext():
        result: Any = rnncli.run(X, model)
        assert result.agrees is True
        assert list(result.keys()) == ["lstm/hidden_states"]
    assert snapshot(model) == before
    assert model.variable.numpy() == variable
    assert np.array_equal(model.array, array)


@pytest.mark.slow
def test_random_numbers_of_tensorflow_go_on_as_if_nothing_was_called() -> None:
    def add_noise(self: Any, inputs: Any) -> Any:
        noise = tensorflow.random.get_global_generator().normal(inputs.shape)
        return self.gru(inputs + noise + tensorflow.random.normal(inputs.shape))

    model = keras_model(add_noise, gru=L.GRU(3))
    model(X)

    def draw(call: Callable[[], Any]) -> list[Any]:
        keras.utils.set_random_seed(1)
        tensorflow.random.set_global_generator(tensorflow.random.Generator.from_seed(1))
        call()
        generator = tensorflow.random.get_global_generator()
        return [generator.normal((2,)).numpy().tolist(), tensorflow.random.normal((2,)).numpy().tolist()]

    assert draw(lambda: rnncli.run(X, model)) == draw(lambda: None)
    assert draw(lambda: rnncli.compare(X, model, model)) == draw(lambda: None)
    assert rnncli.compare(X, model, model)


def test_an_input_that_the_call_changes_is_put_back() -> None:
    model = keras_model(lambda self, inputs: self.gru(inputs.assign(inputs * 2)), gru=L.GRU(3))
    given = tensorflow.Variable(X)
    model.gru(X)
    assert rnncli.run(given, model).agrees
    assert np.array_equal(given, X)


@pytest.mark.slow
def test_a_weight_that_the_call_changes_stays_changed() -> None:
    model = watched(lambda model: model.dense.kernel.assign_add(np.ones((3, 1))))
    kernel = model.dense.kernel.numpy()
    result: Any = rnncli.run(X, model)
    assert np.array_equal(model.dense.kernel.numpy(), kernel + 1)
    assert any("the call itself changed" in remark and "kernel" in remark for remark in result.remarks)


@pytest.mark.slow
def test_weights_are_those_of_the_call() -> None:
    def change(self: Any, inputs: Any) -> Any:
        first = self.lstm(inputs)
        self.lstm.cell.kernel.assign(-self.lstm.cell.kernel)
        return first + self.lstm(inputs)

    model = keras_model(change, lstm=L.LSTM(3))
    model(X)
    result: Any = rnncli.run(X, model)
    assert list(result.keys()) == ["lstm/hidden_state", "lstm@1/hidden_state"]
    assert result.agrees is True


@pytest.mark.slow
def test_a_fitted_model_keeps_its_optimizer_and_can_be_trained_on() -> None:
    model = built(L.GRU(3), L.Dense(1))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, np.zeros((2, 1)), verbose=0)
    before = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]
    predicted = model.predict(X, verbose=0)
    assert rnncli.run(X, model).agrees is True
    after = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]
    assert all(map(np.array_equal, before, after))
    assert np.array_equal(model.predict(X, verbose=0), predicted)
    model.fit(X, np.zeros((2, 1)), verbose=0)


def test_a_tape_of_the_caller_sees_its_gradients() -> None:
    model = built(L.GRU(3, name="gru"))
    with tensorflow.GradientTape() as tape:
        rnncli.run(X, model)
        loss = keras.ops.sum(model(X))
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_weights))


@pytest.mark.slow
def test_lone_layers_with_a_mask_lengths_and_states() -> None:
    layer = L.LSTM(3, return_sequences=True)
    layer(X)
    states = [np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")]
    mask = np.array([[True, True, False, False], [True, True, True, True]])
    wanted = layer(X, initial_state=[keras.ops.convert_to_tensor(state) for state in states], mask=mask)
    for more in ({"mask": mask}, {"lengths": [2, 4]}):
        result: Any = rnncli.run(X, layer, initial_state=states, **more)
        np.testing.assert_allclose(result["lstm/hidden_states"], wanted, atol=1e-6)
        assert result.agrees is True
    tensors = [keras.ops.convert_to_tensor(state) for state in states]
    by_name: Any = rnncli.run({"sequences": X, "initial_state": tensors, "mask": mask}, layer)
    np.testing.assert_allclose(by_name["lstm/hidden_states"], wanted, atol=1e-6)
    cell = L.GRUCell(3)
    cell(X[:, 0], [states[0]])
    step: Any = rnncli.run((X[:, 0], [keras.ops.convert_to_tensor(states[0])]), cell)
    np.testing.assert_allclose(step[0][:, 0], cell(X[:, 0], [states[0]])[0], atol=1e-6)


def test_a_mask_that_stands_on_the_input() -> None:
    model = keras.Sequential([keras.Input((None, 5)), L.LSTM(3, name="lstm")])
    mask = np.array([[True, True, False, False], [True, True, True, True]])
    given: Any = rnncli.run(X, model, lengths=[2, 4])
    np.testing.assert_allclose(given[0], model(X, mask=keras.ops.convert_to_tensor(mask)), atol=1e-6)
    assert given.agrees is True
    tensor = keras.ops.convert_to_tensor(X)
    tensor._keras_mask = keras.ops.convert_to_tensor(mask)
    assert np.array_equal(rnncli.run(tensor, model)[0], given[0])


@pytest.mark.slow
def test_arguments_of_a_call() -> None:
    def call(self: Any, pair: Any, training: Any, mask: Any = None) -> Any:
        assert training is False
        return self.lstm(self.masking(pair[0]) + pair[1], mask=mask)

    model = keras_model(call, lstm=L.LSTM(3), masking=L.Masking())
    model((X, X), training=False)
    mask = np.array([[True, False, False, False]] * 2)
    for given in ((X, X), [X, X]):
        result: Any = rnncli.run(given, model, mask=mask)
        wanted = model(given, training=False, mask=keras.ops.convert_to_tensor(mask))
        np.testing.assert_allclose(result[0], wanted, atol=1e-6)


def test_an_unbuilt_layer_is_its_config() -> None:
    result: Any = rnncli.run(X, L.GRU(2, return_sequences=True))
    assert list(result.keys()) == ["hidden_states"]


def test_unbuilt_layers_may_be_several_and_a_built_one_stands_alone() -> None:
    keras.utils.set_random_seed(1)
    layers = [keras.layers.LSTM(3, return_sequences=True), keras.layers.GRU(2)]
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    result = rnncli.run(x, layers, seed=1)
    np.testing.assert_allclose(result[0], keras.Sequential(layers)(x), rtol=0, atol=1e-6)
    with pytest.raises(UsageError, match="LSTM has weights, so it stands alone"):
        rnncli.run(x, [layers[0], "gru"])


@pytest.mark.slow
def test_training_recomputes_nothing_that_drops_out() -> None:
    model = built(L.LSTM(3, dropout=0.5, return_sequences=True), L.GRU(2))
    result: Any = rnncli.run(X, model, training=True)
    assert "dropout draws other numbers in every call" in str(result)
    assert result.agrees is True  # of the GRU
    assert "dropout" not in str(rnncli.run(X, model))


@pytest.fixture(scope="module")
def parts() -> Any:
    """Layers of one name, one that is called if `use`, one called in a thread, and one in a function."""

    def call(self: Any, inputs: Any, use: bool = False) -> Any:
        if use:
            self.other(inputs)
        thread = threading.Thread(target=self.threaded, args=(inputs,))
        thread.start()
        thread.join()
        tensorflow.function(self.traced)(inputs)
        return self.a(inputs) + self.b(inputs), self.both(inputs)

    unbuilt, layers = L.LSTM(2), {name: L.SimpleRNN(2) for name in ("other", "threaded", "traced")}
    layers |= {"unbuilt": unbuilt, "both": L.Bidirectional(unbuilt)}
    model = keras_model(call, a=L.GRU(3, name="same"), b=L.GRU(3, name="same"), **layers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of the layer that stays unbuilt
        model(X, use=True)
    return model


@pytest.mark.slow
def test_what_is_not_seen_is_named(parts: Any) -> None:
    result: Any = rnncli.run(X, parts)
    assert list(result.keys()) == ["a/hidden_state", "b/hidden_state", "both/hidden_state"]
    notes = "\n".join(result.remarks)
    assert "not called, or from another thread: other, threaded" in notes
    assert "not seen while TensorFlow traced a function: traced" in notes
    assert "unbuilt" not in notes
    used: Any = rnncli.run((X, True), parts)
    assert "other/hidden_state" in used


@pytest.mark.slow
def test_at_names_a_layer_by_its_name_or_its_attribute(parts: Any) -> None:
    assert list(rnncli.run(X, parts, at="b").keys()) == ["b/hidden_state"]
    trace: Any = rnncli.trace(X, parts, at="a")
    assert trace.agrees
    with pytest.raises(UsageError, match="no such layer"):
        rnncli.run(X, parts, at="c")
    with pytest.raises(LayerError, match="did not call other"):
        rnncli.run(X, parts, at="other")
    model = built(L.LSTM(3), L.Dense(2, name="dense"))
    result: Any = rnncli.run(X, model, at="dense")
    assert np.array_equal(result["dense/output"], model(X))
    assert "Dense is not a recurrent layer" in str(result)


def test_a_layer_in_a_function_of_a_lambda() -> None:
    layers = {"deep": [L.LSTM(2, name="deep")]}
    layers["deep"][0](X)
    model = built(L.Lambda(lambda x: layers["deep"][0](x), name="by_hand"))
    assert list(rnncli.run(X, model).keys()) == ["by_hand/deep/hidden_state"]


@pytest.mark.parametrize(("error", "says", "make"), [
    (LayerError, r"lstm\w* \(LSTM\) is not built", lambda: keras.Sequential([L.Dense(2), L.LSTM(2)])),
    (LayerError, "called no recurrent layer.*It holds Dense", lambda: built(L.Dense(2), L.Dense(3))),
    (LayerError, "called no recurrent layer.*no other layers", lambda: built_layer(L.Dense(2))),
    (LayerError, "Flow.call is a tf.function", lambda: traced()),
])  # fmt: skip
def test_refused_objects(error: type[Exception], says: str, make: Callable[[], Any]) -> None:
    model = make()
    before = list(vars(model))
    with pytest.raises(error, match=says):
        rnncli.run(X, model)
    assert list(vars(model)) == before


def built(*layers: Any) -> Any:
    return keras.Sequential([keras.Input(X.shape[1:]), *layers])


def built_layer(layer: Any) -> Any:
    layer(X)
    return layer


def traced() -> Any:
    call = tensorflow.function(lambda self, inputs: self.lstm(inputs))
    return built_layer(keras_model(call, lstm=L.LSTM(2)))


def test_refused_inputs_and_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = built_layer(L.LSTM(2))
    with pytest.raises(UsageError, match="symbolic tensor"):
        rnncli.run(keras.Input(X.shape[1:]), layer)
    with pytest.raises(UsageError, match="takes no initial_state beside its input"):
        rnncli.run(X, built(L.LSTM(2)), initial_state=[np.zeros((2, 2))] * 2)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(EngineError, match="Keras runs on jax"):
        rnncli.run(X, layer)


@pytest.mark.parametrize("part", ["layer", "cell"])
def test_a_call_set_on_a_layer_is_its_own(part: str) -> None:
    """It is like a subclass's: as returned, unless the numbers agree."""
    layer = L.LSTM(3)
    layer(X)
    owner = layer if part == "layer" else layer.cell
    original = owner.call

    def doubled(inputs: Any, *states: Any, **more: Any) -> Any:
        output = original(inputs, *states, **more)
        return 2 * output if part == "layer" else (2 * output[0], output[1])

    def same(inputs: Any, *states: Any, **more: Any) -> Any:
        return original(inputs, *states, **more)

    owner.call = doubled
    result = rnncli.run(X, layer)
    assert result.agrees is None
    assert result.agreement is not None
    assert str(result.agreement.lacks["lstm"]) == f"{type(owner).__name__} has its own call"
    np.testing.assert_allclose(result["lstm/hidden_state"], layer(X), atol=1e-6)
    assert vars(owner)["call"] is doubled
    owner.call = same
    assert rnncli.run(X, layer).agrees is True


@pytest.mark.filterwarnings("ignore:.*unbuilt state")
def test_a_layer_that_the_call_would_build_is_refused() -> None:
    def call(self: Any, inputs: Any, more: bool = False) -> Any:
        return self.second(inputs) if more else self.first(inputs)

    model = built_layer(keras_model(call, first=L.LSTM(2), second=L.GRU(2)))
    assert rnncli.run(X, model).agrees is True
    with pytest.raises(LayerError, match=r"second \(GRU\) is not built"):
        rnncli.run((X, True), model)
    assert not model.second.built
    model(X, more=True)


def test_several_threads_record_one_object() -> None:
    model = built(L.LSTM(3, name="lstm"))
    wanted = model(X)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(rnncli.run(X, model))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert all(result.agrees for result in results)
    assert all(np.allclose(result[0], wanted, atol=1e-6) for result in results)
    assert "call" not in vars(model.layers[0])
