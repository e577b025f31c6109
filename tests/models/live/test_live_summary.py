"""shape of live objects: classes, shapes and parameters as their frameworks have them; nothing is changed."""

import random
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import random_models
import torch
from oracle import keras
from torch import nn
from zoo import keras_model, torch_module

import rnncli

k = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")


def tagger() -> Any:
    def forward(self: Any, tokens: Any) -> Any:
        self.calls += 1
        states, _ = self.rnn(self.embedding(tokens))
        return self.norm(self.tied(self.first(self.cell(states[-1]))))

    first, tied = nn.Linear(4, 4), nn.Linear(4, 4)
    tied.weight = first.weight
    return torch_module(
        forward, embedding=nn.Embedding(50, 8), rnn=nn.LSTM(8, 6, 2, bidirectional=True),
        cell=nn.GRUCell(12, 4), first=first, tied=tied, norm=nn.BatchNorm1d(4), calls=0,
    )  # fmt: skip


def layers_of(report: Any) -> dict[str, Any]:
    return {layer["name"]: layer for layer in report.document()["layers"]}


class TestPyTorch:
    def test_without_an_input_classes_and_parameters(self) -> None:
        net = tagger()
        net.embedding.weight.requires_grad_(False)
        report: Any = rnncli.shape(net)
        assert report.parameters == sum(weight.numel() for weight in net.parameters())
        assert report.document()["trainable_parameters"] == report.parameters - 400
        layers = layers_of(report)
        assert list(layers) == ["embedding", "rnn_l0", "rnn_l1", "cell", "first", "tied", "norm"]
        assert sum(layers[name]["parameters"] for name in ("rnn_l0", "rnn_l1")) == sum(
            weight.numel() for weight in net.rnn.parameters()
        )
        assert layers["cell"]["gates"] == ["update", "reset", "candidate"]
        assert all(layer["outputs"] == [] for layer in layers.values())
        assert net.calls == 0

    @pytest.mark.filterwarnings("ignore")
    def test_parts_in_torchscript_or_quantized_are_listed_as_far_as_they_can_be(self) -> None:
        x, jit = torch.zeros(2, 3, 8), torch.jit
        quantize: Any = torch.ao.quantization.quantize_dynamic
        net = nn.Sequential(nn.LSTM(8, 6), jit.script(nn.Linear(6, 2)))
        for report in (rnncli.shape(net), rnncli.shape(x, net)):
            assert [*layers_of(report)] == ["0", "1"]
            assert report.parameters == sum(weight.numel() for weight in net.parameters())
            assert [str(remark) for remark in report.remarks] == [
                "TorchScript, which is not called; only its parameters are shown: 1"
            ]
        packed = quantize(nn.Sequential(nn.LSTM(8, 6), nn.LSTM(6, 2)), {"0"})
        report = rnncli.shape(packed)
        assert {name: layer["class_name"] for name, layer in layers_of(report).items()} == {
            "0": "LSTM (quantized)", "1": "LSTM",
        }  # fmt: skip
        assert str(report.remarks[0]) == "quantized, so its packed weights are not counted: 0"

    def test_no_hook_is_left_where_a_module_takes_none(self) -> None:
        class Closed(nn.Identity):
            def register_forward_hook(self, *_: Any, **__: Any) -> Any:
                raise RuntimeError("no hooks here")

        net = nn.Sequential(nn.LSTM(8, 6), Closed())
        with pytest.raises(RuntimeError, match="no hooks here"):
            rnncli.shape(torch.zeros(2, 3, 8), net)
        assert [len(module._forward_hooks) for module in net.modules()] == [0, 0, 0]

    def test_with_an_input_the_shapes_of_a_call(self) -> None:
        net = tagger()
        shapes: dict[str, list[Any]] = {}

        def note(name: str, made: Any) -> None:
            shapes[name] = [list(tensor.shape) for tensor in keras.tree.flatten(made)]

        for name, module in net.named_modules():
            module.register_forward_hook(lambda _, __, made, name=name: note(name, made))
        tokens = torch.zeros(5, 3, dtype=torch.long)
        net.eval()(tokens)
        document = rnncli.shape(tokens, net).document()
        found = {layer["name"]: [row["shape"] for row in layer["outputs"]] for layer in document["layers"]}
        assert found["rnn_l1"] == shapes["rnn"]
        assert found["rnn_l0"] == shapes["rnn"][:1]
        assert all(found[name] == shapes[name] for name in ("embedding", "cell", "first", "tied", "norm"))
        assert document["inputs"][0]["shape"] == [5, 3]
        assert document["outputs"][0]["shape"] == [3, 4]
        states = {row["name"]: row["shape"] for row in document["layers"][1]["states"]}
        assert states["backward/cell"] == [3, 6]

    @pytest.mark.parametrize("fails", [False, True])
    def test_nothing_is_changed(self, fails: bool) -> None:
        net = tagger().train()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        state, draws = torch.get_rng_state(), random.getstate()
        tokens = torch.zeros(5, 3, dtype=torch.long) + (99 if fails else 0)
        with pytest.raises(IndexError) if fails else nullcontext():
            rnncli.shape(tokens, net)
        rnncli.shape(net)
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
        assert all(module.training for module in net.modules())
        assert not any(module._forward_hooks or module._forward_hooks_with_kwargs for module in net.modules())
        assert not any("forward" in vars(module) for module in net.modules())
        assert net.calls == 0
        assert torch.equal(torch.get_rng_state(), state)
        assert random.getstate() == draws

    def test_a_module_that_is_called_more_than_once_is_marked(self) -> None:
        def loop(self: Any, x: Any) -> Any:
            hidden = torch.zeros(len(x), 4)
            for step in range(x.shape[1]):
                hidden = torch.relu(self.mix(self.cell(x[:, step], hidden)))
            return self.head(hidden)

        net = torch_module(loop, cell=nn.GRUCell(3, 4), mix=nn.Linear(4, 4), head=nn.Linear(4, 1))
        calls = dict.fromkeys(("cell", "mix", "head"), 0)
        x = torch.rand(2, 5, 3)

        def count(name: str) -> None:
            calls[name] += 1

        hooks = [
            getattr(net, name).register_forward_hook(lambda *_, name=name: count(name)) for name in calls
        ]
        net.eval()(x)
        for hook in hooks:
            hook.remove()
        report = rnncli.shape(x, net)
        assert {name: layer["calls"] for name, layer in layers_of(report).items()} == calls == {
            "cell": 5, "mix": 5, "head": 1
        }  # fmt: skip
        rows = [line.split() for line in str(report).splitlines()]
        assert ["layer", "class", "output", "calls", "parameters"] in rows
        assert ["cell", "GRUCell", "(2,", "4)", "5", "108"] in rows
        assert ["head", "Linear", "(2,", "1)", "5"] in rows  # 5 parameters, and no mark
        assert ">calls<" in report._repr_html_()
        pytest.importorskip("pandas")
        assert report.to_dataframe()["calls"].tolist() == [5, 5, 1]
        once = rnncli.shape(torch.zeros(2, 3), nn.Sequential(nn.Linear(3, 4)))
        assert "calls" not in str(once)
        assert "calls" not in layers_of(rnncli.shape(net))["cell"]

    def test_a_module_without_recurrent_layers(self) -> None:
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        layers = layers_of(rnncli.shape(torch.zeros(2, 3), net))
        assert [layer["outputs"][0]["shape"] for layer in layers.values()] == [[2, 4], [2, 4]]

    @pytest.mark.filterwarnings("ignore:.torch.jit")
    @pytest.mark.slow
    def test_normalized_compiled_meta_lazy_and_projected_modules(self) -> None:
        gru = nn.utils.parametrizations.spectral_norm(nn.GRU(3, 4), "weight_hh_l0").train()
        buffers = [buffer.clone() for buffer in gru.buffers()]
        nets: tuple[Any, ...] = (
            gru,
            torch.compile(nn.Sequential(nn.GRU(3, 4))),
            nn.GRU(3, 4, device="meta"),
            nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
            torch.jit.script(nn.Sequential(nn.Linear(3, 4))),
        )
        for net in nets:
            assert rnncli.shape(net).parameters == sum(weight.numel() for weight in net.parameters())
        assert all(map(torch.equal, buffers, gru.buffers()))
        assert rnncli.shape(nn.Sequential(nn.LazyLinear(3))).parameters == 0


class TestKeras:
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(20, 24))
    def test_a_graph_is_summarized_as_its_file(self, seed: int, tmp_path: Any) -> None:
        model = random_models.Maker(seed).model(6)
        model.save(tmp_path / "m.keras")
        live, stored = rnncli.shape(model).document(), rnncli.shape(model=tmp_path / "m.keras").document()
        assert live["parameters"] == model.count_params()
        keys = ("inputs", "layers", "outputs", "parameters", "trainable_parameters")
        assert {key: live[key] for key in keys} == {key: stored[key] for key in keys}

    @pytest.mark.slow
    def test_a_decoder_that_was_built_with_its_initial_states(self) -> None:
        def call(self: Any, x: Any) -> Any:
            return self.decoder(x, initial_state=self.encoder(x)[1])

        encoder, decoder = k.GRU(3, return_state=True), k.GRU(3, return_sequences=True)
        model = keras_model(call, encoder=encoder, decoder=decoder)
        model(np.zeros((2, 5, 4), "float32"))
        shown = layers_of(rnncli.shape(model))["decoder"]
        assert [tensor["shape"] for tensor in shown["outputs"]] == [["batch", 5, 3]]
        assert shown["states"] == [{"name": "hidden", "shape": ["batch", 3]}]
        assert shown["gates"] == ["update", "reset", "candidate"]

    def test_an_input_says_the_free_sizes(self) -> None:
        tokens = keras.Input((None,), dtype="int32")
        hidden = k.LSTM(5, return_sequences=True, name="lstm")(k.Embedding(9, 4, name="embedding")(tokens))
        layers = layers_of(rnncli.shape(np.zeros((3, 6), "int32"), keras.Model(tokens, hidden)))
        assert layers["lstm"]["outputs"][0]["shape"] == [3, 6, 5]

    @pytest.mark.slow
    def test_a_subclassed_model(self) -> None:
        class Block(keras.layers.Layer):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.dense = k.Dense(8)
                self.scale = self.add_weight(shape=(8,), name="scale")

            def call(self, x: Any) -> Any:
                return self.dense(x) * self.scale

        def call(self: Any, x: Any) -> Any:
            hidden = self.block(self.encoder(x))
            return [head(hidden) for head in self.heads]

        encoder, heads = k.Bidirectional(k.GRU(4)), [k.Dense(2), k.Dense(3)]
        net = keras_model(call, encoder=encoder, block=Block(), heads=heads)
        unbuilt = rnncli.shape(net)
        assert unbuilt.parameters == 8
        assert "not built yet" in str(unbuilt.remarks[0])
        net(np.zeros((1, 5, 3), "float32"))
        report = rnncli.shape(net)
        assert report.parameters == net.count_params()
        layers = layers_of(report)
        assert layers["encoder"]["outputs"][0]["shape"] == ["batch", 8]
        assert layers["encoder"]["weights"][3]["name"] == "backward/kernel"
        assert {name: layer["parameters"] for name, layer in layers.items()} == {
            "encoder": 216, "heads.0": 18, "heads.1": 27, "block/dense": 72, "block": 8,
        }  # fmt: skip

    def test_a_lone_layer(self) -> None:
        layer = k.LSTM(4, return_state=True, name="lstm")
        layer.build((None, 5, 3))
        report = rnncli.shape(layer)
        assert report.parameters == layer.count_params()
        assert [row["shape"] for row in layers_of(report)["lstm"]["outputs"]] == [["batch", 4]] * 3

    def test_an_option_of_described_layers_is_refused(self) -> None:
        layer = k.LSTM(4)
        layer.build((None, 5, 3))
        with pytest.raises(rnncli.UsageError, match="units"):
            rnncli.shape(layer, units=3)
