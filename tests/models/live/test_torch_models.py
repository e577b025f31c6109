"""Modules as people write them, as live objects: every recurrent tensor against PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_live_torch import require_agreement
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint
from zoo import torch_module

import rnncli

X = np.random.default_rng(5).normal(size=(3, 6, 5)).astype("float32")
IDS = np.random.default_rng(6).integers(0, 9, (3, 6))
Built = tuple[nn.Module, Any, tuple[str, ...]]
MODELS: dict[str, Callable[[], Built]] = {}
"""Modules with an input, and the names of the recurrent layers that they call."""


def model(make: Callable[[], Built]) -> Callable[[], Built]:
    MODELS[make.__name__] = make
    return make


@model
def character_model_with_a_state_of_its_own() -> Built:
    def flow(self: Any, ids: Any) -> Any:
        output, self.state = self.lstm(self.embed(ids), self.state)
        self.state = tuple(part.detach() for part in self.state)
        return self.head(output)

    parts = {"embed": nn.Embedding(9, 5), "lstm": nn.LSTM(5, 4, batch_first=True), "head": nn.Linear(4, 9)}
    start = (torch.ones(1, 3, 4), torch.ones(1, 3, 4))
    return torch_module(flow, **parts, state=start), IDS, ("lstm",)


@model
def states_fed_by_hand() -> Built:
    def flow(self: Any, x: Any) -> Any:
        hidden = torch.zeros(1, x.shape[0], 4)
        for t in range(x.shape[1]):
            output, hidden = self.gru(x[:, t : t + 1], hidden)
        return output

    return torch_module(flow, gru=nn.GRU(5, 4, batch_first=True)), X, ("gru",)


@model
def tagger_with_both_directions() -> Built:
    module = torch_module(
        lambda self, ids: self.head(self.rnn(self.embed(ids))[0]),
        embed=nn.Embedding(9, 5),
        rnn=nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True),
        head=nn.Linear(8, 3),
    )
    return module, IDS, ("rnn_l0", "rnn_l1")


@model
def sequences_of_different_lengths() -> Built:
    def flow(self: Any, sequences: Any) -> Any:
        packed = pack_sequence(sequences, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True)[0]

    return torch_module(flow, gru=nn.GRU(5, 4, bidirectional=True)), [X[0, :2], X[1], X[2, :4]], ("gru",)


@model
def convolution_before() -> Built:
    def flow(self: Any, x: Any) -> Any:
        return self.gru(self.conv(x.transpose(1, 2)).relu().permute(2, 0, 1))[1]

    return torch_module(flow, conv=nn.Conv1d(5, 7, 3, padding=1), gru=nn.GRU(7, 4)), X, ("gru",)


@model
def siamese() -> Built:
    def flow(self: Any, left: Any, right: Any) -> Any:
        return (self.encoder(left)[1][0] - self.encoder(right)[1][0]).abs().sum(-1)

    return torch_module(flow, encoder=nn.LSTM(5, 4, batch_first=True)), (X, X + 1), ("encoder", "encoder@1")


@model
def residual_layers_in_a_list() -> Built:
    def flow(self: Any, x: Any) -> Any:
        for layer in self.layers:
            x = x + layer(x)[0]
        return x

    layers = nn.ModuleList(nn.LSTM(5, 5, batch_first=True) for _ in range(3))
    return torch_module(flow, layers=layers), X, ("layers.0", "layers.1", "layers.2")


@model
def stacked_cells() -> Built:
    def flow(self: Any, x: Any) -> Any:
        states = [torch.zeros(x.shape[0], 4) for _ in self.cells]
        for t in range(x.shape[1]):
            step = x[:, t]
            for index, cell in enumerate(self.cells):
                step = states[index] = cell(step, states[index])
        return step

    return (
        torch_module(flow, cells=nn.ModuleList([nn.GRUCell(5, 4), nn.GRUCell(4, 4)])),
        X,
        ("cells.0", "cells.1"),
    )


@model
def nested_modules() -> Built:
    inner = torch_module(
        lambda self, x: self.rnn(x)[0], rnn=nn.RNN(5, 4, nonlinearity="relu", batch_first=True)
    )
    outer = torch_module(
        lambda self, x: self.decoder(self.encoder(x)), encoder=inner, decoder=nn.Linear(4, 2)
    )
    return outer, X, ("encoder.rnn",)


@model
def gradient_checkpoints() -> Built:
    def flow(self: Any, x: Any) -> Any:
        return checkpoint(lambda y: self.lstm(y)[0], x, use_reentrant=False)

    return torch_module(flow, lstm=nn.LSTM(5, 4, batch_first=True)), X, ("lstm",)


@model
def gradients_inside() -> Built:
    def flow(self: Any, x: Any) -> Any:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.gru(x)[0].sum(), x)
        return slope

    return torch_module(flow, gru=nn.GRU(5, 4, batch_first=True)), X, ("gru",)


@model
def data_parallel_on_the_cpu() -> Built:
    return nn.DataParallel(nn.LSTM(5, 4, batch_first=True)), X, ("module",)


@model
def tied_weights() -> Built:
    tied, free = nn.GRUCell(5, 5), nn.GRUCell(5, 5)
    free.weight_hh = tied.weight_hh
    return torch_module(lambda self, x: self.two(x, self.one(x)), one=tied, two=free), X[:, 0], ("one", "two")


@model
def a_dict_of_inputs() -> Built:
    def flow(self: Any, values: Any, scale: float = 1.0) -> Any:
        return {"all": self.gru(values * scale)[0], "first": (values,)}

    parts = {"gru": nn.GRU(5, 4, batch_first=True)}
    return torch_module(flow, **parts), {"values": X, "scale": 2.0}, ("gru",)


@model
def a_frozen_encoder_after_training() -> Built:
    module: Any = torch_module(
        lambda self, x: self.head(self.gru(x)[0]), gru=nn.GRU(5, 4, batch_first=True), head=nn.Linear(4, 2)
    )
    module.gru.requires_grad_(False)
    optimizer = torch.optim.Adam(module.head.parameters())
    module(torch.tensor(X)).sum().backward()
    optimizer.step()
    return module, X, ("gru",)


def watch(module: nn.Module) -> list[tuple[Any, Any]]:
    """Return what every call of a recurrent module or a cell returned, which later calls fill."""
    returned: list[tuple[Any, Any]] = []
    for part in module.modules():
        if isinstance(part, (nn.RNNBase, nn.RNNCellBase)):
            part.register_forward_hook(lambda part, _, output: returned.append((part, output)))
    return returned


def last_states(module: nn.Module, output: Any) -> list[Any]:
    """Return the states that a call returned, hidden ones first, one entry a layer and direction."""
    states = output if isinstance(module, nn.RNNCellBase) else output[1]
    states = states if isinstance(states, tuple) else (states,)
    return [part for state in states for part in (state if state.ndim == 3 else state[None])]


@pytest.mark.sampled
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if "training" in name else ()) for name in MODELS]
)
def test_every_tensor_is_that_of_the_framework(name: str) -> None:
    torch.manual_seed(1)
    module, given, layers = MODELS[name]()
    returned = watch(module)
    result = rnncli.run(given, module)
    require_agreement(result)
    assert tuple(dict.fromkeys(key.rpartition("/")[0] for key in result.keys())) == layers  # noqa: SIM118
    # Every last state that rnncli shows was returned by a call, and every final state of a module is shown.
    shown = [result[key] for key in result.keys() if "last_" in key]  # noqa: SIM118
    theirs = [state.detach().numpy() for part, output in returned for state in last_states(part, output)]
    assert all(any(near(array, state) for state in theirs) for array in shown)
    ends = {id(part): (part, output) for part, output in returned}.values()
    final = [state.detach().numpy() for part, output in ends for state in last_states(part, output)]
    assert all(any(near(array, state) for array in shown) for state in final)


def near(first: Any, second: Any) -> bool:
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=1e-5, atol=2e-6))


def test_a_state_of_its_own_is_as_before() -> None:
    module, given, _ = character_model_with_a_state_of_its_own()
    before = module.state
    first, again = (rnncli.run(given, module) for _ in range(2))
    assert module.state is before
    np.testing.assert_array_equal(first.hidden_states, again.hidden_states)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["trace", "gradients", "plot"])
def test_commands_show_each_layer(command: str) -> None:
    module, given, layers = tagger_with_both_directions()
    answer = getattr(rnncli, command)(given, module)
    text = str(answer)
    assert "agrees with PyTorch: largest difference" in text
    assert all(layer in text for layer in layers)
    alone = getattr(rnncli, command)(given, module, at="rnn_l1")
    assert "agrees with PyTorch" in str(alone)
    assert answer.agrees is alone.agrees is True


def test_a_number_is_explained_in_the_place_where_it_was_computed() -> None:
    module, given, _ = states_fed_by_hand()
    output = module(torch.tensor(X)).detach().numpy()
    found = rnncli.explain("gru/hidden_states[1,5,2]", given, module)
    assert found.agrees is True
    assert found.found.value == pytest.approx(output[1, 0, 2], abs=1e-6)
    same = rnncli.explain("last_hidden_state[1,2]", given, module)
    assert same.found.value == found.found.value


@pytest.mark.slow
def test_engines_and_stored_results_are_compared() -> None:
    module, given, _ = siamese()
    assert rnncli.compare(given, module, at="encoder@1", engines=["numpy", "torch"]).agrees is True
    result = rnncli.run(given, module)
    assert rnncli.compare(given, module, expect={key: result[key] for key in result.keys()})  # noqa: SIM118
    checked = rnncli.run(given, module, check=True)
    assert max(checked.differences.values()) < 1e-6
    assert checked.reference == "PyTorch"


def test_a_notebook_and_json_say_that_it_agrees() -> None:
    module, given, _ = siamese()
    result = rnncli.run(given, module)
    assert "agrees with PyTorch: largest difference" in result._repr_html_()
    document = result.document()["agreement"]
    assert document == {
        "object": "Flow (PyTorch)", "layer": "", "agrees": True,
        "difference": document["difference"], "lacks": {},
        "axes": {},
    }  # fmt: skip


def test_a_result_that_differs_is_falsy(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = torch_module(lambda self, x: self.gru(x)[0], gru=nn.GRU(5, 4))
    functions: Any = vars(torch.nn.modules.rnn)["_VF"]
    plain = functions.gru

    def gru(*given: Any) -> Any:
        output, state = plain(*given)
        return output * 1.01, state

    monkeypatch.setattr(functions, "gru", gru)
    result = rnncli.run(X, module)
    assert result.agrees is False
    assert not result
    assert "gru differs from PyTorch by up to" in str(result.remarks[0])
    assert "differs from PyTorch: largest difference" in str(result)
    assert rnncli.trace(X, module).agrees is False


@pytest.mark.slow
def test_many_uses_are_not_all_shown() -> None:
    def flow(self: Any, x: Any) -> Any:
        hidden = torch.zeros(3, 4)
        for _ in range(30):
            hidden = self.norm(self.cell(x[:, 0], hidden))
        return hidden

    module = torch_module(flow, cell=nn.GRUCell(5, 4), norm=nn.LayerNorm(4))
    result = rnncli.run(X, module)
    assert len(result.keys()) == 40
    assert "10 more calls are not shown" in str(result.remarks[0])
    assert rnncli.run(X, module, at="cell@29").agrees


def test_numbers_as_people_have_them() -> None:
    pandas = pytest.importorskip("pandas")
    module = nn.GRU(5, 4, batch_first=True)
    theirs = module(torch.tensor(X))[0].detach().numpy()
    for given in (X, X.tolist(), torch.tensor(X), X.astype("float64")):
        assert near(rnncli.run(given, module).hidden_states, theirs)
    frame = pandas.DataFrame(X.reshape(-1, 5)).assign(id=np.repeat([0, 1, 2], 6))
    assert near(rnncli.run(frame, module, batch_column="id").hidden_states, theirs)
    assert near(rnncli.run(frame.drop(columns="id")[:6], module).hidden_states, theirs[:1])
    assert rnncli.run("sentence", module).agrees
    ragged, given, _ = sequences_of_different_lengths()
    assert rnncli.run(frame[[True] * 2 + [False] * 4 + [True] * 12], ragged, batch_column="id").agrees
    with pytest.raises(rnncli.UsageError, match="delimiter applies only to a file"):
        rnncli.run(X, module, delimiter=";")
