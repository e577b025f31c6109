"""All recurrent layers of a saved model in one script, each with the input that the model gives it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from command import Run
from printed_tensors import run_script

from rnncli.values import Array

pytestmark = pytest.mark.usefixtures("files_are_read_here")

IDS = "[[1, 2, 3, 0, 0], [4, 5, 6, 1, 2]]"
SUFFIXES = {"numpy": ".py", "torch": ".py", "keras": ".py", "c": ".c", "onnx": ".onnx", "config": ".json"}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a model with padding, two directions, an initial state and a vector in place of a sequence."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((5,), dtype="int32")
    words = keras.layers.Embedding(7, 4, mask_zero=True)(ids)
    both = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True), name="both")(words)
    _, state = keras.layers.GRU(6, return_state=True, name="encoder")(both)
    again = keras.layers.RepeatVector(3)(state)
    last = keras.layers.SimpleRNN(6, name="decoder")(again, initial_state=state)
    file = str(tmp_path_factory.mktemp("model") / "m.keras")
    keras.Model(ids, last).save(file)
    return file


def run_model(rnncli: Run, text: str, model: str) -> dict[str, Array]:
    done = rnncli("run", text, "--model", model, "--return-state", "-f", "json")
    return {one["name"]: np.array(one["values"]) for one in done.answer()["outputs"]}


def export_model(rnncli: Run, text: str, model: str, target: str, folder: Path) -> Path:
    file = folder / f"exported{SUFFIXES[target]}"
    flags = ("--model", model, "--return-state", "--to", target, "-o", str(file))
    rnncli("export", text, *flags).success()
    return file


def check_tensors(found: Mapping[str, Any], expected: Mapping[str, Array]) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-6, err_msg=name)


def save_chain(file: Path, *between: Any, masks: bool = True) -> str:
    """Save a model in which each layer reads the layer before alone."""
    keras.utils.set_random_seed(3)
    first = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True), name="first")
    last = keras.layers.GRU(2, name="last")
    head = keras.layers.Dense(2, activation="softmax", name="head")
    start = [keras.Input((3, 2)), *([keras.layers.Masking(name="masking")] if masks else [])]
    keras.Sequential([*start, first, *between, last, head]).save(file)
    return str(file)


ROWS = "[[[1, 2], [3, 4], [0, 0]], [[5, 6], [7, 8], [9, 1]]]"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["numpy", "torch", "keras", "c", "onnx"])
def test_a_chain_of_layers_with_formulas_is_one_script(target: str, rnncli: Run, tmp_path: Path) -> None:
    """What stands between the recurrent layers is written, too: the script returns what the model returns."""
    middle = keras.layers.Dense(4, activation="relu", name="middle")
    between = middle, keras.layers.Dropout(0.5, name="dropout")
    model = save_chain(tmp_path / "m.keras", *between, masks=target != "onnx")
    done = rnncli("run", ROWS, "--model", model, "--all-layers", "--return-state", "-f", "json")
    expected = {one["name"]: np.array(one["values"]) for one in json.loads(done.stdout)["outputs"]}
    file = export_model(rnncli, ROWS, model, target, tmp_path)
    if target == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        session, x = onnxruntime.InferenceSession(file), np.array(json.loads(ROWS), np.float32)
        names = [one.name for one in session.get_outputs()]
        (given,) = (one.name for one in session.get_inputs())
        found = dict(zip(names, session.run(None, {given: x}), strict=True))
    else:
        found = run_script(file)
    check_tensors(found, {name: expected[name] for name in found})
    assert {name.partition("/")[0] for name in found} >= {"first", "middle", "last", "head"}


@pytest.mark.parametrize(("target", "names"), [
    ("numpy", "masking (Masking), norm (LayerNormalization), head (Dense)"),
    ("c", "masking (Masking), norm (LayerNormalization), head (Dense)"),
    ("latex", "masking (Masking), norm (LayerNormalization), head (Dense)"),
])  # fmt: skip
def test_what_scripts_leave_out_is_named_twice(target: str, names: str, rnncli: Run, tmp_path: Path) -> None:
    model = save_chain(tmp_path / "m.keras", keras.layers.LayerNormalization(name="norm"))
    done = rnncli("export", ROWS, "--model", model, "--to", target)
    text = "only the recurrent layers are written, each with the input that it gets; left out:"
    assert f"{text} {names}" in done.stderr
    assert any(f"left out: {names}." in line for line in done.stdout.splitlines()[:5])
    chosen = rnncli("export", ROWS, "--model", f"{model}#first,last", "--to", target)
    assert "left out" not in chosen.stderr + chosen.stdout


def test_return_sequences_for_the_next_layer_is_asked_of_layers_alone(rnncli: Run, tmp_path: Path) -> None:
    model = save_chain(tmp_path / "m.keras")
    done = rnncli("export", ROWS, "--model", model, "--return-sequences", "--to", "numpy")
    assert "left out: masking (Masking), head (Dense)" in done.stderr
    assert '"last/hidden_states"' in done.stdout


@pytest.mark.parametrize("layers", ["", "#decoder"])
@pytest.mark.parametrize("target", ["numpy", "torch", "keras", "c"])
def test_all_are_exported(target: str, layers: str, model_file: str, rnncli: Run, tmp_path: Path) -> None:
    expected = run_model(rnncli, IDS, model_file + layers)
    if layers:  # a script of one layer names no layer
        expected = {name.removeprefix("decoder/"): array for name, array in expected.items()}
    else:
        assert {name.partition("/")[0] for name in expected} == {"both", "encoder", "decoder"}
    check_tensors(run_script(export_model(rnncli, IDS, model_file + layers, target, tmp_path)), expected)


def test_an_onnx_model_has_an_input_and_node_per_layer(model_file: str, rnncli: Run, tmp_path: Path) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    file = export_model(rnncli, IDS, model_file, "onnx", tmp_path)
    names = [node.name for node in onnx.load(file).graph.node if node.name]
    assert names == ["both_forward", "both_backward", "encoder", "decoder"]
    session = onnxruntime.InferenceSession(file)
    assert [one.name for one in session.get_inputs()] == ["both/input", "encoder/input", "decoder/input"]
    script: dict[str, Any] = {"show": lambda *_: None}
    lines = (
        export_model(rnncli, IDS, model_file, "numpy", tmp_path)
        .read_text(encoding="utf-8")
        .split("# The input of ")
    )
    inputs = {}
    for part in lines[1:]:
        exec(part.partition("\n# ")[0].partition("\n")[2], {"np": np}, script)  # x = np.array(...)
        inputs[f"{part.partition(',')[0]}/input"] = script["x"]
    outputs = [one.name for one in session.get_outputs()]
    check_tensors(
        dict(zip(outputs, session.run(None, inputs), strict=True)), run_model(rnncli, IDS, model_file)
    )


def test_a_config_is_a_list_of_layers_with_their_names(model_file: str, rnncli: Run, tmp_path: Path) -> None:
    configs = json.loads(
        export_model(rnncli, IDS, model_file, "config", tmp_path).read_text(encoding="utf-8")
    )
    layers = [keras.layers.deserialize(config) for config in configs]
    assert [layer.name for layer in layers] == ["both", "encoder", "decoder"]


@pytest.mark.parametrize("target", ["numpy", "onnx"])
def test_the_layers_of_a_pytorch_module_are_a_chain(target: str, rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
    model, x = str(tmp_path / "m.pt"), np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    torch.save(module.state_dict(), model)
    file = export_model(rnncli, json.dumps(x.tolist()), model, target, tmp_path)
    if target == "onnx":
        session = pytest.importorskip("onnxruntime").InferenceSession(file)
        names = [one.name for one in session.get_outputs()]
        found = dict(zip(names, session.run(None, {"lstm_l0/input": x}), strict=True))
    else:
        found = run_script(file)
    with torch.no_grad():
        sequence, (hidden, _) = module(torch.tensor(x))
    check_tensors({"y": found["lstm_l1/hidden_states"]}, {"y": sequence.numpy()})
    check_tensors({"h": found["lstm_l1/backward_last_hidden_state"]}, {"h": hidden[-1].numpy()})


@pytest.mark.parametrize("target", ["numpy", "torch", "c"])
@pytest.mark.parametrize("states", [False, True])
def test_a_chain_keeps_lengths_and_states(states: bool, target: str, rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model, rng = str(tmp_path / "m.pt"), np.random.default_rng(0)
    torch.save(torch.nn.LSTM(2, 3, num_layers=2, batch_first=True).state_dict(), model)
    given = ["--lengths", "2,3", "--return-state"]
    if states:
        (tmp_path / "s.json").write_text(json.dumps(rng.normal(size=(4, 2, 3)).tolist()))
        given += ["--initial-state", str(tmp_path / "s.json")]
    done = rnncli("run", ROWS, "--model", model, *given, "-f", "json")
    expected = {one["name"]: np.array(one["values"]) for one in done.answer()["outputs"]}
    file = tmp_path / f"x{SUFFIXES[target]}"
    done = rnncli("export", ROWS, "--model", model, *given, "--to", target, "-o", str(file)).success()
    check_tensors(run_script(file), expected)


def test_a_refusal_names_the_layer(rnncli: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "m.keras")
    inputs = keras.Input((3, 2))
    first = keras.layers.GRU(2, activation="gelu", return_sequences=True, name="old")(inputs)
    keras.Model(inputs, keras.layers.LSTM(2, name="new")(first)).save(file)
    said = rnncli(
        "export", "[[[1, 2], [3, 4], [5, 6]]]", "--model", file, "--to", "onnx", "-o", file + ".onnx"
    ).refusal()
    assert "--to onnx cannot express this: old: " in said


def test_tensors_that_belong_to_no_recurrent_layer_are_left_out_by_name(rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    modules = {"lstm": torch.nn.LSTM(2, 3), "fc": torch.nn.Linear(3, 2), "gru": torch.nn.GRU(2, 3)}
    model = str(tmp_path / "m.pt")
    torch.save(torch.nn.ModuleDict(modules).state_dict(), model)
    done = rnncli("export", ROWS, "--model", model, "--to", "numpy")
    assert "each with the input that it gets; left out: fc" in done.stderr
    assert "left out: fc." in done.stdout
