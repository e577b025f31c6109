"""What other libraries have: tensors, frames, get_weights(), state_dict(), what a call returned."""

from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch

import rnncli
from rnncli.errors import InputError, RnncliError, UsageError

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
BOTH: dict[str, Any] = {"return_sequences": True, "return_state": True}
LSTM = torch.nn.LSTM(4, 3, batch_first=True)
GRU = torch.nn.GRU(4, 3, batch_first=True, bidirectional=True)
STACK = torch.nn.LSTM(4, 3, num_layers=2, batch_first=True)


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, np.asarray(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("layer", "theirs"), [
    ("LSTM(3)", lambda: keras.layers.LSTM(3)),
    ("GRU(3, use_bias=False)", lambda: keras.layers.GRU(3, use_bias=False)),
    ("Bidirectional(GRU(3))", lambda: keras.layers.Bidirectional(keras.layers.GRU(3))),
    (["Dense(4)", "LSTM(3)", "Dense(2)"],
     lambda: keras.Sequential([keras.layers.Dense(4), keras.layers.LSTM(3), keras.layers.Dense(2)])),
])  # fmt: skip
def test_the_list_of_get_weights_is_in_the_order_of_the_layers(layer: Any, theirs: Any) -> None:
    made = theirs()
    expected = made(X)
    weights = [weight + 0.01 * index for index, weight in enumerate(made.get_weights())]
    made.set_weights(weights)
    expected = made(X)
    close(rnncli.run(X, layer, weights=weights)[0], expected)
    with pytest.raises(InputError, match=r"but the layers have \d+\.\nTheir order is that of layer.get_w"):
        rnncli.run(X, layer, weights=weights[:1])
    with pytest.raises(InputError, match="kernel has shape"):
        rnncli.run(X, layer, weights=[np.zeros((9, 9)), *weights[1:]])


@pytest.mark.parametrize(
    ("layer", "module"),
    [("LSTM(3)", LSTM), ("bigru", GRU), (["LSTM(3, return_sequences=True)", "LSTM(3)"], STACK)],
)
@pytest.mark.slow
def test_a_state_dict_is_converted_as_its_file_is(layer: Any, module: Any, tmp_path: Path) -> None:
    torch.save(module.state_dict(), tmp_path / "m.pt")
    for weights in (
        module.state_dict(),
        dict(module.named_parameters()),
        {"state_dict": module.state_dict()},
    ):
        found = rnncli.run(X, layer, weights=weights)
        np.testing.assert_array_equal(found[0], rnncli.run(X, layer, weights=tmp_path / "m.pt")[0])


def test_a_state_dict_may_hold_other_layers_and_counters() -> None:
    module = torch.nn.ModuleDict(
        {"norm": torch.nn.BatchNorm1d(4), "rnn": LSTM, "head": torch.nn.Linear(3, 2)}
    )
    close(rnncli.run(X, "LSTM(3)", weights=module.state_dict())[0], LSTM(torch.tensor(X))[1][0][0].detach())


@pytest.mark.parametrize("options", [BOTH, {}, {"return_sequences": True}, {"return_state": True}])
def test_what_a_call_of_pytorch_returned_is_what_is_expected(options: dict[str, Any]) -> None:
    layers: list[tuple[str, Any]] = [("LSTM(3)", LSTM), ("bigru", GRU)]
    for layer, module in layers:
        output, states = module(torch.tensor(X))
        asked: dict[str, Any] = {"weights": module.state_dict(), **options}
        assert rnncli.compare(X, layer, expect=(output, states), **asked)
        wrong = (output + 1, tuple(s + 1 for s in states) if isinstance(states, tuple) else states + 1)
        assert not rnncli.compare(X, layer, expect=wrong, **asked)


def test_what_a_layer_of_keras_returned_is_in_the_order_of_the_results(tmp_path: Path) -> None:
    layer = keras.layers.Bidirectional(keras.layers.LSTM(3, **BOTH))
    returned = layer(X)
    asked: dict[str, Any] = {"layer": "bilstm", "weights": layer.get_weights(), **BOTH}
    np.savez(tmp_path / "y.npz", *map(np.asarray, returned))
    for expect in (returned, tuple(returned), tmp_path / "y.npz"):
        found = rnncli.compare(X, expect=expect, **asked)
        assert found
        assert len(found.found) == 5
    wrong = [*returned[:4], returned[4] + 1]
    assert repr(rnncli.compare(X, expect=wrong, **asked)).endswith("differs in backward_last_cell_state>")


def test_the_sequences_of_one_tensor_are_still_one_tensor() -> None:
    stored = rnncli.run(X, "lstm", seed=1, return_sequences=True)[0]
    assert rnncli.compare(X, "lstm", seed=1, return_sequences=True, expect=list(stored))
    frame = pytest.importorskip("pandas").DataFrame(stored[0])
    assert rnncli.compare(X[0], "lstm", seed=1, return_sequences=True, expect=frame)


class TestWeights:
    @pytest.mark.parametrize("to", ["keras", "torch", "onnx", "cudnn"])
    @pytest.mark.slow
    def test_are_those_of_the_command(self, to: Any, tmp_path: Path, rnncli: Any) -> None:
        from rnncli import weights

        torch.save(LSTM.state_dict(), tmp_path / "m.pt")
        rnncli("weights", str(tmp_path / "m.pt"), "--to", to, "-o", str(tmp_path / "m.npz"))
        expected = np.load(tmp_path / "m.npz")
        for source in (LSTM.state_dict(), tmp_path / "m.pt"):
            found = weights(source, to=to)
            assert found.keys() == tuple(expected)
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name])

    def test_of_a_layer_of_keras_go_to_pytorch(self, tmp_path: Path) -> None:
        layer = keras.layers.LSTM(3, return_sequences=True)
        expected = layer(X)
        found = rnncli.weights(layer.get_weights(), to="torch")
        found.save(tmp_path / "lstm.pt")
        module = torch.nn.LSTM(4, 3, batch_first=True)
        state = {name.removeprefix("lstm."): torch.tensor(array) for name, array in dict(found).items()}
        module.load_state_dict(state)
        close(module(torch.tensor(X))[0].detach(), expected)
        assert {*torch.load(tmp_path / "lstm.pt")} == {*found}

    def test_of_a_described_layer_and_their_count(self) -> None:
        found = rnncli.weights(None, "LSTM(3)", input_shape=(1, 4, 5), seed=42)
        np.testing.assert_array_equal(found["kernel"], rnncli.run(layer="LSTM(3)", seed=42).weights["kernel"])
        assert found.parameters == 108
        assert "spectral_radius" in found.to_dataframe()

    @pytest.mark.parametrize(("call", "said"), [
        (lambda: rnncli.weights(), "weights needs a file or a layer"),
        (lambda: rnncli.weights(3), "a value of type int has no weights"),
        (lambda: rnncli.weights([X]), "1 array in this order do"),
        (lambda: rnncli.weights({"a": X}, to="torch"), "no recurrent layer to convert"),
        (lambda: rnncli.run(X, LSTM.state_dict()), "give them as weights="),
        (lambda: rnncli.run(LSTM, X), "The input comes first"),
        (lambda: rnncli.weights("nowhere.keras"), "there is no such file"),
        (lambda: rnncli.weights(LSTM.state_dict(), to="java"), "to is 'java'"),  # type: ignore[arg-type]
    ])  # fmt: skip
    def test_that_cannot_be_read(self, call: Callable[[], object], said: str) -> None:
        with pytest.raises(RnncliError, match=said):
            call()


class TestExport:
    def test_a_script_prints_the_numbers_of_the_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        script = rnncli.export(X, "lstm", to="numpy", seed=1)
        exec(compile(str(script), "lstm.py", "exec"), {})
        name, *rows = capsys.readouterr().out.splitlines()
        assert name == "hidden_state 2 3"
        close([[float(number) for number in row.split()] for row in rows], rnncli.run(X, "lstm", seed=1)[0])
        assert repr(script) == f"<rnncli.export to numpy: {len(bytes(script)):,} bytes>"

    def test_a_notebook_shows_code_and_sets_equations(self) -> None:
        script = rnncli.export(X, "gru", to="torch", seed=1)
        html = script._repr_html_()
        assert html is not None
        assert html.startswith('<pre style="font-family: monospace')
        assert unescape(html).count("\n") == str(script).count("\n") - 1
        assert script._repr_latex_() is None
        long = rnncli.export(layer="gru", to="c", seed=1, input_shape=(50, 9, 9))._repr_html_()
        assert long is not None
        assert "more lines: print" in long
        equations = rnncli.export(layer="gru", to="latex")
        latex = equations._repr_latex_()
        assert latex is not None
        assert latex.startswith("\\begin{align*}")
        assert equations._repr_html_() is None

    def test_a_model_of_onnx_is_bytes(self, tmp_path: Path) -> None:
        model = rnncli.export(X, "gru", to="onnx", seed=1)
        model.save(tmp_path / "gru.onnx")
        assert (tmp_path / "gru.onnx").read_bytes() == bytes(model)
        close(rnncli.run(X, model=tmp_path / "gru.onnx")[0][:, -1], rnncli.run(X, "gru", seed=1)[0])
        assert str(model) == repr(model)
        assert model._repr_html_() is model._repr_latex_() is None

    def test_a_target_that_is_not_there_and_a_seed_that_was_drawn(self) -> None:
        with pytest.raises(UsageError, match="to is 'java'"):
            rnncli.export(layer="gru", to="java")  # type: ignore[arg-type]
        remarks = rnncli.export(X, "gru", to="numpy").remarks
        assert any("the weights are those of seed=" in str(remark) for remark in remarks)


class TestPort:
    @pytest.mark.slow
    def test_finds_what_pytorch_does_otherwise_and_writes_the_weights(self, tmp_path: Path) -> None:
        module = torch.nn.GRU(4, 3, batch_first=True)
        output, state = module(torch.tensor(X))
        for expect in (output, (output, state), {"h_n": state}):
            found = rnncli.port(X, weights=module.state_dict(), expect=expect)
            assert found
            assert len(found.found) == 1
            assert found.keys() == ("kernel", "recurrent_kernel", "bias")
        assert "gates are packed r, z, h; Keras packs z, r, h" in str(found)
        assert "-o" not in str(found)
        assert repr(found) == "<rnncli.port GRU(3)>"
        for name in ("gru.npz", "gru.json", "gru.safetensors", "gru.weights.h5", "gru.h5"):
            found.save(tmp_path / name)
            close(rnncli.run(X, "GRU(3)", weights=tmp_path / name)[0], output[:, -1].detach())
        close(rnncli.run(X, "GRU(3)", weights=dict(found))[0], output[:, -1].detach())

    @pytest.mark.slow
    def test_takes_files_states_and_what_get_weights_returned(self, tmp_path: Path) -> None:
        layer, start = keras.layers.LSTM(3, return_sequences=True), [np.full((2, 3), 0.5, "float32")] * 2
        expected = layer(X, initial_state=start)
        found = rnncli.port(X, "LSTM(3)", weights=layer.get_weights(), expect=expected, initial_state=start)
        assert found
        assert not found.found[0].differences
        np.save(tmp_path / "y.npy", expected)
        torch.save(LSTM.state_dict(), tmp_path / "m.pt")
        np.save(tmp_path / "torch.npy", LSTM(torch.tensor(X))[0].detach())
        assert rnncli.port(X, weights=tmp_path / "m.pt", expect=tmp_path / "torch.npy")
        assert not rnncli.port(X, weights=tmp_path / "m.pt", expect=tmp_path / "y.npy")

    def test_is_false_where_nothing_explains_the_numbers(self) -> None:
        found = rnncli.port(X, weights=LSTM.state_dict(), expect=X[..., :3])
        assert not found.agrees
        assert repr(found) == "<rnncli.port: differs in expect>"
        assert any("none of" in str(remark) for remark in found.remarks)
        with pytest.raises(UsageError):
            found.keys()

    @pytest.mark.parametrize(("keywords", "said"), [
        ({"weights": LSTM.state_dict(), "seed": 1}, "seed does not apply to port"),
        ({}, "port needs weights"),
        ({"weights": [X]}, "do not belong to one layer"),
        ({"weights": LSTM.state_dict(), "dropout": 0.5}, "dropout does not apply to port"),
        ({"weights": STACK.state_dict()}, "there are 2 layers in it(.|\n)*give the weights of one layer"),
    ])  # fmt: skip
    def test_what_it_cannot_take(self, keywords: Any, said: str) -> None:
        with pytest.raises(RnncliError, match=said):
            rnncli.port(X, expect=np.ones((2, 5, 3)), **keywords)


SMALL = np.arange(12, dtype=np.float32).reshape(2, 2, 3) / 12


def test_a_tensor_that_requires_its_gradient_is_its_numbers() -> None:
    x, start = (torch.tensor(array, requires_grad=True) for array in (SMALL, np.ones((2, 3), np.float32)))
    module: Any = torch.nn.GRU(3, 3, batch_first=True)
    expected = rnncli.run(SMALL, "gru", seed=1, initial_state=[np.ones((2, 3))]).hidden_state
    for inputs in (x, list(x), tuple(x)):
        found = rnncli.run(inputs, "gru", seed=1, initial_state=[start])
        np.testing.assert_array_equal(found.hidden_state, expected)
    assert rnncli.run(x, "gru", seed=1, initial_state=[np.ones((2, 3))], expect=torch.tensor(expected))
    assert x.requires_grad
    kernel = module.weight_ih_l0.T
    assert kernel.requires_grad
    weights: dict[str, Any] = dict(rnncli.run(SMALL, "gru", seed=1).weights)
    weights["kernel"] = kernel
    plain = rnncli.run(SMALL, "gru", weights={**weights, "kernel": kernel.detach().numpy()})
    np.testing.assert_array_equal(rnncli.run(SMALL, "gru", weights=weights).hidden_state, plain.hidden_state)


def test_sequences_of_different_lengths_that_require_gradients() -> None:
    several = [torch.ones(steps, 3, requires_grad=True) for steps in (2, 1)]
    found = rnncli.run(several, "gru", seed=1, pad="post")
    plain = rnncli.run([one.detach().numpy() for one in several], "gru", seed=1, pad="post")
    np.testing.assert_array_equal(found.hidden_state, plain.hidden_state)


def test_bfloat16_of_both_frameworks_is_the_float32_that_it_stands_for() -> None:
    ops = keras.ops
    x = torch.tensor(SMALL).to(torch.bfloat16).requires_grad_()
    expected = rnncli.run(x.detach().float().numpy(), "gru", seed=1).hidden_state
    for inputs in (x, ops.cast(SMALL, "bfloat16")):
        np.testing.assert_array_equal(rnncli.run(inputs, "gru", seed=1).hidden_state, expected)
    assert x.requires_grad


def test_a_tensor_without_numbers_is_refused() -> None:
    for x, why in (
        (torch.zeros(SMALL.shape, device="meta"), "meta"),
        (torch.tensor(SMALL).to_sparse(), "Sparse"),
    ):
        with pytest.raises(InputError, match=rf"{why}(.|\n)*Give a NumPy array of its numbers"):
            rnncli.run(x, "gru")


def test_lengths_are_a_tensor_as_pack_padded_sequence_takes_them() -> None:
    lengths: Any = torch.tensor([2, 1])
    found = rnncli.run(SMALL, "gru", seed=1, lengths=lengths)
    np.testing.assert_array_equal(found[0], rnncli.run(SMALL, "gru", seed=1, lengths=[2, 1])[0])


FRAMES: Mapping[str, Any] = {
    "equal": {"sensor": ["b", "b", "a", "a"], "heat": [1.0, 2.5, 3, 4], "load": [1, 2, 3, 4]},
    "ragged": {"heat": [1.0, 2.5, 3, 4], "sensor": [7, 3, 7, 7], "load": [1, 2, 3, 4]},
}


@pytest.mark.parametrize("name", list(FRAMES))
def test_a_frame_has_its_sequences_by_a_column_as_its_csv_file(name: str, tmp_path: Path) -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES[name])
    frame.to_csv(tmp_path / "frame.csv", index=False)
    options: Any = {"batch_column": "sensor", "seed": 1, "pad": "post" if name == "ragged" else None}
    found = rnncli.run(frame, "gru", **options)
    np.testing.assert_array_equal(
        found.hidden_state, rnncli.run(tmp_path / "frame.csv", "gru", **options).hidden_state
    )
    assert found.hidden_state.shape == (2, 3)


@pytest.mark.parametrize("options", [
    {"columns": "load,heat", "batch_column": "sensor"},
    {"drop": ["load"], "batch_column": "sensor"}, {"drop": "sensor"}, {"columns": ["heat"]},
])  # fmt: skip
def test_columns_of_a_frame_are_chosen_as_of_its_csv_file(options: Any, tmp_path: Path) -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES["equal"])
    frame.to_csv(tmp_path / "frame.csv", index=False)
    found = rnncli.run(frame, "gru", seed=1, **options)
    expected = rnncli.run(tmp_path / "frame.csv", "gru", seed=1, **options)
    assert found.input_shape == expected.input_shape
    np.testing.assert_array_equal(found.hidden_state, expected.hidden_state)
    module = torch.nn.GRU(found.input_shape[-1], 3, batch_first=True)
    assert rnncli.run(frame, module, **options).input_shape[-2:] == found.input_shape[-2:]


def test_columns_of_a_frame_that_are_not_there() -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES["equal"])
    for options, says in (
        ({"columns": "heet"}, "Did you mean heat"),
        ({"drop": "sensor,heat,load"}, "no column is left"),
    ):
        with pytest.raises(InputError, match=says):
            rnncli.run(frame, **options)  # type: ignore[arg-type]


def test_a_frame_without_such_a_column_is_told_its_columns() -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES["equal"])
    with pytest.raises(InputError, match=r"inputs: there is no column 'sensr'\.\nDid you mean sensor"):
        rnncli.run(frame, batch_column="sensr")
