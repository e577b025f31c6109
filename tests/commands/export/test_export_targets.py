"""Every exported script is run by itself, and prints the numbers that rnncli computes."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import oracle
import pytest
from limits import PATIENCE
from printed_tensors import read_tensors, run_in_process

from rnncli.commands.export import targets
from rnncli.commands.export.export_case import build_export
from rnncli.commands.export.formulas import FORMULAS
from rnncli.compute import run as compute
from rnncli.layers.case import Case
from rnncli.values import Shape

SCRIPTS = ("keras", "numpy", "torch")

DRIVER = """
import contextlib, io, json, runpy, sys
printed = {}
for path in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        runpy.run_path(path)
    printed[path] = text.getvalue()
print(json.dumps(printed))
"""

LAYERS: Mapping[str, Sequence[str]] = {
    "simple_rnn": ["SimpleRNN(3)"],
    "relu": ["SimpleRNN(3, activation='relu', use_bias=False, return_sequences=True)"],
    "lstm": ["LSTM(3, return_sequences=True, return_state=True)"],
    "lstm_odd": ["LSTM(4, activation='softsign', recurrent_activation='hard_sigmoid', return_state=True)"],
    "lstm_back": ["LSTM(3, go_backwards=True, return_sequences=True, return_state=True)"],
    "gru": ["GRU(3, return_sequences=True, return_state=True)"],
    "initializers": ["GRU(3, kernel_initializer=Constant(0.1), bias_initializer=RandomNormal(seed=3))"],
    "gru_before": ["GRU(3, reset_after=False, return_state=True)"],
    "gru_no_bias": ["GRU(2, use_bias=False, return_sequences=True, stateful=True)"],
    "gru_zeroing": ["GRU(2, zero_output_for_mask=True, return_sequences=True, return_state=True)"],
    "last_zeroing": ["GRU(2, zero_output_for_mask=True, return_state=True)"],
    **{
        f"both_{mode}": [
            f"Bidirectional(LSTM(2, return_sequences={sequences}, return_state=True), merge_mode={mode!r})"
        ]
        for mode, sequences in (("concat", True), ("sum", False), ("mul", True), ("ave", True), (None, True))
    },
    "both_last": ["Bidirectional(GRU(2), merge_mode=None)"],
    "two_layers": [
        "Bidirectional(LSTM(2, go_backwards=True, return_sequences=True), "
        "backward_layer=GRU(3, return_sequences=True))"
    ],
    "cells": ["RNN([LSTMCell(3), GRUCell(2), SimpleRNNCell(4)], return_sequences=True, return_state=True)"],
    "cell": ["RNN(LSTMCell(3), return_state=True)"],
    "both_cells": ["Bidirectional(RNN([LSTMCell(3), GRUCell(2)], return_state=True))"],
    "stack": [
        "LSTM(4, return_sequences=True)",
        "Dropout(0.3)",
        "Bidirectional(GRU(3, return_sequences=True), merge_mode='sum')",
        "Dense(4, activation='relu')",
        "SimpleRNN(2, go_backwards=True, return_sequences=True)",
    ],
    "masking": ["Masking(0.5)", "LSTM(3, return_sequences=True)", "GRU(2, return_state=True)"],
    "head": ["GRU(3)", "Dense(2, activation='sigmoid', use_bias=False)"],
    "double": ["LSTM(3, dtype='float64', return_sequences=True)"],
}


def sizes(shape: Shape) -> tuple[int, ...]:
    return tuple(size for size in shape if isinstance(size, int))


def make_case(expressions: Sequence[str], *, mask: str = "", states: bool = False, seed: int = 0) -> Case:
    """Return a case with a batch of three sequences of five steps.  mask: `end`, `any` or none."""
    rng = np.random.default_rng(seed)
    dtype = "float64" if "float64" in expressions[0] else "float32"
    inputs = rng.standard_normal((3, 5, 4)).astype(dtype)
    inputs[1, 2:4] = 0.5
    plain = oracle.case(expressions, inputs)
    shapes = plain.stack.weight_shapes(inputs.shape)
    weights = {
        path: (0.5 * rng.standard_normal(sizes(shape))).astype(dtype) for path, shape in shapes.items()
    }
    given: dict[str, Any] = {}
    if mask:
        steps, ends = np.arange(5), np.array([[5], [2], [3]])
        given["mask"] = steps < ends if mask == "end" else rng.random((3, 5)) < 0.6
    if states:
        infos = plain.stack.states(inputs.shape)
        given["initial_state"] = tuple(rng.standard_normal(sizes(info.shape)).astype(dtype) for info in infos)
    return oracle.case(expressions, inputs, weights=weights, **given)


@cache
def cases() -> dict[str, Case]:
    """Return every experiment by name."""
    found = {name: make_case(layers) for name, layers in LAYERS.items()}
    for mask in ("end", "any"):
        masked = {name: layers for name, layers in LAYERS.items() if name != "masking"}
        found |= {f"{name} {mask}": make_case(layers, mask=mask) for name, layers in masked.items()}
    starting = {name: layers for name, layers in LAYERS.items() if name not in ("masking", "two_layers")}
    found |= {f"{name} states": make_case(layers, states=True) for name, layers in starting.items()}
    return found


@cache
def scripts_of(target: str) -> dict[str, Any]:
    """Return what the target writes for each case that it can express."""
    exports = {name: build_export(case) for name, case in cases().items()}
    module = targets.get(target)
    return {
        name: module.write([export]) for name, export in exports.items() if module.refusal([export]) is None
    }


def run_together(scripts: Mapping[str, str]) -> dict[str, str]:
    """Run scripts in one process of Python; return what each prints."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for index, (name, text) in enumerate(scripts.items()):
            path = Path(folder) / f"script_{index}.py"
            path.write_text(text, encoding="utf-8")
            paths[str(path)] = name
        done = subprocess.run(
            [sys.executable, "-I", "-c", DRIVER, *paths], capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return {paths[path]: text for path, text in json.loads(done.stdout).items()}


@cache
def tensors_of(name: str) -> dict[str, Any]:
    """Return the tensors that rnncli returns for a case."""
    return {tensor.name: tensor.values for tensor in compute(cases()[name], "numpy").outputs}


def check_tensors(found: Mapping[str, Any], expected: Mapping[str, Any], case: str = "") -> None:
    assert list(found) == list(expected), case
    for name, values in expected.items():
        oracle.check_close(found[name].astype(values.dtype), values, name=f"{case} {name}")


@cache
def case_of_each_step() -> Case:
    """Return a case with a layer that Keras alone has a script for."""
    return make_case(["TimeDistributed(Dense(3))", "GRU(2, return_sequences=True)"], mask="any")


@cache
def printed_by(target: str) -> dict[str, str]:
    """Return what each script of a target prints, by the name of its case."""
    scripts = scripts_of(target)
    if target == "keras":  # which takes seconds to load
        scripts = {**scripts, "each step": targets.get("keras").write([build_export(case_of_each_step())])}
    return run_together(scripts)


@pytest.mark.parametrize("target", SCRIPTS)
@pytest.mark.slow
def test_every_script_of_python_prints_the_same_numbers(target: str) -> None:
    for name in scripts_of(target):
        check_tensors(read_tensors(printed_by(target)[name]), tensors_of(name), name)


@pytest.mark.slow
def test_a_layer_of_each_step_is_written_for_keras_and_refused_by_name_elsewhere() -> None:
    case = case_of_each_step()
    expected = {tensor.name: tensor.values for tensor in compute(case, "numpy").outputs}
    check_tensors(read_tensors(printed_by("keras")["each step"]), expected)
    for target in ("c", "numpy", "onnx", "torch"):
        reason = targets.get(target).refusal([build_export(case._replace(mask=None))])
        assert str(reason) == "it has no formula for TimeDistributed"


@pytest.mark.sampled
@pytest.mark.parametrize("name", list(cases()))
def test_every_program_in_c_prints_the_same_numbers(name: str, tmp_path: Path) -> None:
    check_tensors(read_tensors(run_in_process(scripts_of("c")[name], "c", tmp_path)), tensors_of(name))


@pytest.mark.parametrize("options", ["", ", go_backwards=True", ", zero_output_for_mask=True"])
def test_one_masked_step_of_one_unit_has_no_step_before_it_in_c(options: str, tmp_path: Path) -> None:
    layer, inputs = f"LSTM(1, return_sequences=True{options})", np.ones((2, 1, 1), np.float32)
    case = oracle.case([layer], inputs, mask=np.array([[True], [False]]), seed=1)
    found = read_tensors(run_in_process(targets.get("c").write([build_export(case)]), "c", tmp_path))
    check_tensors(found, {tensor.name: tensor.values for tensor in compute(case, "tensorflow").outputs})


@pytest.mark.parametrize("name", list(cases()))
def test_an_onnx_model_returns_the_same_numbers(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if name not in scripts_of("onnx"):
        pytest.skip("onnx cannot express it")
    session = onnxruntime.InferenceSession(scripts_of("onnx")[name])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"input": cases()[name].inputs}), strict=True))
    check_tensors(found, tensors_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["keras", "numpy", "c", "torch"])
def test_these_targets_express_every_case(target: str) -> None:
    assert list(scripts_of(target)) == list(cases())


def test_pytorch_runs_its_own_modules_where_it_has_them() -> None:
    for name, text in scripts_of("torch").items():
        kind, _, rest = name.partition(" ")
        has_module = (
            kind not in ("lstm_odd", "gru_before", "cells", "both_cells", "masking") and rest != "any"
        )
        assert ("run_module(" in text) == has_module, name


def test_onnx_expresses_what_its_engine_computes() -> None:
    assert {"lstm", "lstm_back", "both_None", "two_layers", "stack", "lstm states", "both_mul end"} <= set(
        scripts_of("onnx")
    )
    assert not {"cells", "lstm any", "masking", "double"} & set(scripts_of("onnx"))


@pytest.mark.sampled
@pytest.mark.parametrize("name", list(LAYERS))
def test_keras_makes_the_layers_of_a_config(name: str) -> None:
    case = cases()[name]
    configs = json.loads(targets.get("config").write([build_export(case, options_only=True)]))
    layers = [keras.layers.deserialize(one) for one in (configs if isinstance(configs, list) else [configs])]
    assert [type(layer).__name__ for layer in layers] == [spec.class_name for spec in case.stack]
    oracle.build_layers(layers, case.inputs)
    for path, variable in oracle.variables_by_path(layers).items():
        variable.assign((case.weights or {})[path])
    check_tensors(
        dict(zip(tensors_of(name), oracle.call_layers(layers, case.inputs)[-1], strict=True)),
        tensors_of(name),
    )


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_every_activation_has_keras_numbers(target: str, tmp_path: Path) -> None:
    activations = [name for name in (*FORMULAS, "softmax") if name != "hard_sigmoid_keras2"]
    layer = "SimpleRNN(6, activation={!r}, return_sequences=True, dtype='float64')"
    made = {name: make_case([layer.format(name)], seed=3) for name in activations}
    exports = [build_export(case, {name: f"_{name}"}) for name, case in made.items()]
    found = read_tensors(run_in_process(targets.get(target).write(exports), target, tmp_path))
    for name, case in made.items():
        expected = compute(case, "numpy").outputs[0].values
        oracle.check_close(found[f"{name}/hidden_states"], expected, name=name)


EXTREMES = (
    0, 5e-324, 1e-40, 1e-8, 1e-3, 0.5, 1, 3, 20, 88.8, 104, 710, 1e19, 1e30, 1e38, 1e300, np.inf, np.nan,
)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", ["numpy", "c"])
def test_every_activation_has_the_extreme_values_of_run(target: str, dtype: str, tmp_path: Path) -> None:
    with np.errstate(over="ignore", under="ignore"):
        values = np.array([*EXTREMES, *(-value for value in EXTREMES)]).astype(dtype)
    made = {}
    for name in (*FORMULAS, "softmax"):
        layer = f"Dense(1, activation={name!r}, use_bias=False, dtype={dtype!r})"
        weights = {"kernel": np.ones((1, 1), dtype)}
        made[name] = oracle.case([layer], values.reshape(1, -1, 1), weights=weights)
    exports = [build_export(case, {name: f"_{name}"}) for name, case in made.items()]
    found = read_tensors(run_in_process(targets.get(target).write(exports), target, tmp_path))
    eps = float(np.finfo(dtype).eps)
    for name, case in made.items():
        expected = compute(case, "numpy").outputs[0].values
        ours = found[f"{name}/output"].astype(dtype)
        np.testing.assert_allclose(ours, expected, rtol=8 * eps, atol=2 * eps, err_msg=name)
