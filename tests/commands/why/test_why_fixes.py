"""why: every fix of a loss or of a tuple, applied to the code that raised the error: the error is gone."""

import re
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from mistakes import PROVOKED, model, ones, provoked

from rnncli.commands.why.diagnosis import Fix, diagnose

TRAININGS = [code for cause, code in PROVOKED if cause.startswith("loss-") and code.startswith("fit(model(")]
"""Mistakes whose fixes can be tried by training the model."""


def train_with_fix(fix: Fix, net: Any, x: Any, y: Any, loss: str = "mse", **_: bool) -> None:
    """Change what the fix says of the layers, the targets and the loss; train the model.

    The code of a fix is layers, statements, or first layers and then statements.  An `assert` says which
    targets are needed: those of the output's shape, or without its last axis of size 1.
    """
    names = {**vars(layers), "layers": layers, "keras": keras, "x": x, "y": y}
    statements = fix.snippet.split("; ")
    if not statements[0].startswith(("model.", "assert ", "y = ")):
        net = model(*eval(f"[{statements.pop(0)}]", names), shape=net.input_shape[1:])
    if "assert" in fix.snippet:
        shape = (len(x), *net.output_shape[1:])
        if re.search(r"shape\[-1\] == (?!1\b)", fix.snippet) and shape[-1] == 1:
            shape = shape[:-1]
        names["y"] = np.zeros(shape[:-1], int) if "sparse" in f"{loss}{fix.snippet}" else ones(*shape)
    names["model"] = net
    net.compile(loss=loss, run_eagerly=True)
    exec("\n".join(statements), names)
    net.fit(names["x"], names["y"], verbose=0)


@pytest.mark.parametrize("code", TRAININGS)
@pytest.mark.slow
def test_a_loss_is_computed_after_each_fix(code: str) -> None:
    fixes = diagnose(provoked(code)).fixes
    assert len(fixes) >= 2
    for fix in fixes:
        names = {**vars(layers), "np": np, "ones": ones, "model": model}
        exec(code, {**names, "fit": partial(train_with_fix, fix)})


@pytest.mark.slow
def test_one_number_per_sequence_is_a_reading_of_targets_of_width_1() -> None:
    code = (
        "fit(model(LSTM(3, return_sequences=True), Dense(1, activation='sigmoid')), "
        "ones(8, 4, 5), ones(8, 1), 'binary_crossentropy')"
    )
    said = diagnose(provoked(code))
    (fix,) = [fix for fix in said.fixes if "Dense(1, activation='sigmoid')" in fix.snippet]
    exec(code, {**vars(layers), "ones": ones, "model": model, "fit": partial(train_with_fix, fix)})


RANKS = (
    "Arguments `target` and `output` must have the same rank (ndim). "
    "Received: target.shape=(None,), output.shape=(None, 3)"
)
TIME_AXIS = "Sub[T=DT_FLOAT](data_1, compile_loss/mse/Squeeze)' with input shapes: [?,3], [?,10]."


def test_integer_labels_are_told_from_one_hot_targets() -> None:
    said = diagnose(RANKS)
    assert [fix.snippet for fix in said.fixes] == [
        "model.compile(loss='sparse_categorical_crossentropy')",
        "y = keras.utils.to_categorical(y, 3)",
    ]
    assert diagnose(f"in binary_crossentropy\n{RANKS}").fixes[0].snippet == "LSTM(3), Dense(1)"


@pytest.mark.parametrize("where", [
    f"for '{{{{node compile_loss/mse/sub}}}} = {TIME_AXIS}", "... compile_loss/mse/Squeeze ... [?,3], [?,10]",
    "for '{{node a/loss/mse/Sub}} = Sub[T=DT_FLOAT](mse/Squeeze, IteratorGetNext:1)' "
    "with input shapes: [?,10], [?,3].",
])  # fmt: skip
def test_a_time_axis_that_the_loss_dropped_is_read_first(where: str) -> None:
    said = diagnose(f"Dimensions must be equal, but are 3 and 10 {where}")
    assert said.explanation.en.startswith("The output has a time axis, (None, 10, 1)")
    assert [fix.snippet for fix in said.fixes] == [
        "LSTM(3), Dense(3)",
        "assert y.shape[1] == x.shape[1] == 10",
        "LSTM(3), RepeatVector(3), LSTM(3, return_sequences=True), Dense(1)",
    ]
    assert "Dense(3)" in said.hint.en


def test_units_are_read_first_where_the_output_has_no_time_axis() -> None:
    layer = "for '{{node compile_loss/mse/sub}} = Sub[T=DT_FLOAT](data_1, sequential/dense/BiasAdd)' with"
    for where, count in ((f"{layer} input shapes:", 2), ("...", 3)):
        said = diagnose(f"Dimensions must be equal, but are 3 and 10 {where} [?,3], [?,10].")
        assert [fix.snippet for fix in said.fixes][:2] == ["LSTM(3), Dense(3)", "assert y.shape[-1] == 10"]
        assert len(said.fixes) == count


TUPLE = "AttributeError: 'tuple' object has no attribute 'shape'"


@pytest.mark.slow
def test_a_tuple_of_keras_is_unpacked() -> None:
    fixes = [fix for fix in diagnose(TUPLE).fixes if fix.snippet.endswith("= layer(x)")]
    assert len(fixes) == 3
    for fix in fixes:
        layer, x = eval(fix.layers[0], vars(layers)), ones(2, 4, 5)
        with pytest.raises(AttributeError, match="'tuple' object has no attribute 'shape'"):
            layer(x).shape  # noqa: B018
        names = {"layer": layer, "x": x}
        exec(fix.snippet, names)
        assert names["output"].shape[0] == 2


@pytest.mark.parametrize("module", ["LSTM", "GRU"])
def test_a_tuple_of_pytorch_is_unpacked(module: str) -> None:
    torch = pytest.importorskip("torch")
    (only,) = diagnose(f"x = nn.{module}(5, 3, batch_first=True)(x)\n{TUPLE}").fixes
    (of_several,) = [fix for fix in diagnose(TUPLE).fixes if f"= {module.lower()}(x)" in fix.snippet]
    assert only.snippet == of_several.snippet
    names = {module.lower(): getattr(torch.nn, module)(5, 3, batch_first=True), "x": torch.ones(2, 4, 5)}
    with pytest.raises(AttributeError, match="'tuple' object has no attribute 'shape'"):
        exec(f"{module.lower()}(x).shape", names)
    exec(only.snippet, names)
    assert (names["output"].shape, names["h"].shape) == ((2, 4, 3), (1, 2, 3))


def test_the_output_of_a_tuple_goes_on_to_the_next_layer() -> None:
    torch = pytest.importorskip("torch")
    names = {"rnn": torch.nn.LSTM(5, 3, batch_first=True), "x": torch.ones(2, 4, 5)}
    following = torch.nn.Linear(3, 1)
    with pytest.raises(TypeError, match="must be Tensor, not tuple") as caught:
        following(names["rnn"](names["x"]))
    every, last = diagnose(str(caught.value)).fixes
    exec(every.snippet, names)
    assert following(names["output"]).shape == (2, 4, 1)
    exec(last.snippet, names)
    assert following(names["last"]).shape == (2, 1)


def test_the_states_of_pytorch_are_read_where_batch_first_leaves_them() -> None:
    torch = pytest.importorskip("torch")
    last, both, every = diagnose("h_n has the wrong shape").fixes
    x = torch.ones(2, 4, 5)
    output, (h_n, _) = torch.nn.LSTM(5, 3, num_layers=2, batch_first=True)(x)
    names = {"h_n": h_n, "torch": torch}
    exec(last.snippet, names)
    assert torch.equal(names["h"], output[:, -1])
    exec(every.snippet, names)
    assert names["h"].shape == (2, 2, 3)
    output, (h_n, _) = torch.nn.LSTM(5, 3, batch_first=True, bidirectional=True)(x)
    names = {"h_n": h_n, "torch": torch}
    exec(both.snippet, names)
    assert torch.equal(names["h"], torch.cat([output[:, -1, :3], output[:, 0, 3:]], dim=-1))


GPU = "GRU(3, return_state=True, use_cudnn=False)"


@pytest.mark.parametrize(("code", "shown"), [
    ("too many values to unpack (expected 2)", True),
    ("y, h = GRU(8, return_state=True)(x)\ntoo many values to unpack (expected 2)", True),
    ("y, h = LSTM(8, return_state=True)(x)\ntoo many values to unpack (expected 2)", False),
    ("y, h = nn.GRU(5, 8)(x)\ntoo many values to unpack (expected 2)", False),
    ("too many values to unpack (expected 3)", False),
    ("not enough values to unpack (expected 2, got 1)", False),
])  # fmt: skip
def test_the_pieces_of_a_state_on_a_gpu_are_those_of_a_gru_of_keras(code: str, shown: bool) -> None:
    assert (GPU in [" ".join(fix.layers) for fix in diagnose(code).fixes]) == shown
    _, state = eval(GPU, vars(layers))(ones(4, 10, 8))
    assert state.shape == (4, 3)


@pytest.mark.slow
def test_weights_without_reset_after_keep_their_numbers_in_onnx(tmp_path: Any, rnncli: Any) -> None:
    """The command of the fix, with a file; PyTorch's formula would give other numbers."""
    onnxruntime = pytest.importorskip("onnxruntime")
    _, fix = diagnose("ValueError: Value out of range: -1").fixes
    net = model(layers.GRU(3, reset_after=False, bias_initializer="random_normal"))
    net.save(tmp_path / "FILE.keras")
    assert rnncli(*fix.snippet.split()[1:], cwd=tmp_path).returncode == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    x = np.random.RandomState(0).rand(1, 4, 5).astype("float32")
    (name,) = [given.name for given in session.get_inputs()]
    outputs = session.run(None, {name: x})
    assert any(np.allclose(output, net(x), atol=1e-6) for output in outputs if output.shape == (1, 3))
