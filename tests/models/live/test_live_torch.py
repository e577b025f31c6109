"""PyTorch modules as live objects: every form of its layers, and what is refused."""

import copy
import threading
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from zoo import torch_module

import rnncli
from rnncli.api import Result

LENGTHS = [4, 6, 3]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(3)


def numbers(*shape: int) -> Any:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def require_same(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=2e-6)


def require_agreement(result: Result) -> None:
    assert result
    assert result.agrees is True
    assert result.agreement is not None
    assert (result.agreement.difference or 0) < 1e-6


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("kind", "layers", "bidirectional", "batch_first"),
    list(product((nn.LSTM, nn.GRU, nn.RNN), (1, 2), (False, True), (False, True))),
)
def test_every_form_of_a_layer(kind: Any, layers: int, bidirectional: bool, batch_first: bool) -> None:
    module = kind(5, 4, layers, bidirectional=bidirectional, batch_first=batch_first)
    x, directions = numbers(3, 6, 5), 2 if bidirectional else 1
    start = torch.randn(layers * directions, 3, 4)
    given = (torch.tensor(x) if batch_first else torch.tensor(x).transpose(0, 1), start)
    result = rnncli.run((given[0], (start, start)) if kind is nn.LSTM else given, module)
    require_agreement(result)
    output, states = module(given[0], (start, start) if kind is nn.LSTM else start)
    states = states if isinstance(states, tuple) else (states,)
    name = kind.__name__.lower()
    last = f"{name}_l1" if layers == 2 else name
    require_same(result[f"{last}/hidden_states"], output if batch_first else output.transpose(0, 1))
    for layer, direction in product(range(layers), range(directions)):
        prefix = f"{name}_l{layer}/" if layers == 2 else f"{name}/"
        prefix += ("forward_", "backward_")[direction] if bidirectional else ""
        for kind_name, state in zip(("hidden", "cell"), states, strict=False):
            require_same(result[f"{prefix}last_{kind_name}_state"], state[layer * directions + direction])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_in_any_order(kind: Any, bidirectional: bool) -> None:
    module = kind(5, 4, 2, bidirectional=bidirectional, batch_first=True)
    x = torch.tensor(numbers(3, 6, 5))
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    result = rnncli.run(packed, module)
    require_agreement(result)
    output, states = module(packed)
    name = kind.__name__.lower()
    require_same(result[f"{name}_l1/hidden_states"], pad_packed_sequence(output, batch_first=True)[0])
    hidden = states[0] if isinstance(states, tuple) else states
    end = "backward_" if bidirectional else ""
    require_same(result[f"{name}_l1/{end}last_hidden_state"], hidden[-1])
    same = rnncli.run(x.numpy(), module, lengths=LENGTHS)
    for key in result.keys():  # noqa: SIM118 - a result is no mapping
        np.testing.assert_array_equal(same[key], result[key])
    mask = np.arange(6) < np.array(LENGTHS)[:, None]
    assert rnncli.run(x, module, mask=mask)[f"{name}_l1/hidden_states"].shape == (
        3,
        6,
        same[0].shape[-1] or 4,
    )


def test_two_axes_relu_no_bias_and_double() -> None:
    module = nn.RNN(5, 4, nonlinearity="relu", bias=False).double()
    result = rnncli.run(numbers(6, 5), module)
    require_agreement(result)
    assert result.hidden_states.dtype == np.float64
    require_same(result.hidden_states[0], module(torch.tensor(numbers(6, 5)).double())[0])


def test_an_unbounded_activation_may_amplify_rounding() -> None:
    module: Any = nn.RNN(5, 32, nonlinearity="relu")
    with torch.no_grad():
        module.weight_hh_l0.mul_(5)
    result = rnncli.run(numbers(40, 2, 5), module)
    assert np.abs(result.hidden_states).max() > 1e6
    assert result.agrees


def test_cells_in_a_loop_are_one_sequence() -> None:
    def decode(self: Any, x: Any) -> Any:
        state, hidden, outputs = None, None, []
        for t in range(x.shape[1]):
            state = self.cells[0](x[:, t], state)
            hidden = self.cells[1](state[0], hidden)
            outputs.append(hidden)
        return torch.stack(outputs, 1), self.plain(x[:, 0]), self.plain(x[:, 1])

    module = torch_module(decode, cells=[nn.LSTMCell(5, 4), nn.GRUCell(4, 3)], plain=nn.RNNCell(5, 2))
    result = rnncli.run(numbers(3, 6, 5), module)
    require_agreement(result)
    assert result.keys() == (
        "cells.0/hidden_states", "cells.0/last_hidden_state", "cells.0/last_cell_state",
        "cells.1/hidden_states", "cells.1/last_hidden_state",
        "plain/hidden_states", "plain/last_hidden_state",
        "plain@1/hidden_states", "plain@1/last_hidden_state",
    )  # fmt: skip
    require_same(result["cells.1/hidden_states"], module(torch.tensor(numbers(3, 6, 5)))[0])


class Seq2Seq(nn.Module):
    """An encoder, and a decoder of two layers with attention that is called one step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.encoder = nn.LSTM(5, 4, 2, batch_first=True)
        self.decoder = nn.LSTM(9, 4, 2, batch_first=True)
        self.head = nn.Linear(4, 11)

    def forward(self, source: Any, target: Any, lengths: Any) -> Any:
        packed = pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
        keys, state = self.encoder(packed)
        keys, _ = pad_packed_sequence(keys, batch_first=True)
        outputs = []
        for t in range(target.shape[1]):
            scores = (keys @ state[0][-1][:, :, None]).softmax(1)
            step = torch.cat([self.embed(target[:, t]), (scores * keys).sum(1)], -1)[:, None]
            output, state = self.decoder(step, state)
            outputs.append(self.head(output[:, 0]))
        return torch.stack(outputs, 1)


@pytest.mark.slow
def test_steps_of_a_decoder_are_one_sequence() -> None:
    module = Seq2Seq()
    ids = np.random.default_rng(2).integers(0, 11, (3, 6))
    result = rnncli.run((ids, ids[:, :4]), module, lengths=LENGTHS)
    require_agreement(result)
    assert result["decoder_l1/hidden_states"].shape == (3, 4, 4)
    assert not any("@" in name for name in result.keys())  # noqa: SIM118
    keys = {"source": ids, "target": ids[:, :4], "lengths": np.array(LENGTHS)}
    same = rnncli.run(keys, module, at="decoder", all_layers=True)
    require_same(same["output"], module(*map(torch.tensor, (ids, ids[:, :4], LENGTHS))))
    np.testing.assert_array_equal(same["decoder_l1/hidden_states"], result["decoder_l1/hidden_states"])


@pytest.mark.slow
def test_a_shared_layer_has_two_uses() -> None:
    lstm = nn.LSTM(5, 5, batch_first=True)
    module = torch_module(lambda self, x: self.twin(self.lstm(x)[0])[0], lstm=lstm, twin=lstm)
    result = rnncli.run(numbers(3, 6, 5), module)
    require_same(result["lstm@1/hidden_states"], module(torch.tensor(numbers(3, 6, 5))))
    alone = rnncli.run(numbers(3, 6, 5), module, at="lstm@1")
    np.testing.assert_array_equal(alone.hidden_states, result["lstm@1/hidden_states"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # by what compiles
@pytest.mark.parametrize("make", [
    lambda module: parametrizations.weight_norm(module, "weight_hh_l0"),
    lambda module: parametrizations.spectral_norm(module, "weight_hh_l0", n_power_iterations=1),
    torch.compile,
], ids=["weight", "spectral", "compiled"])  # fmt: skip
@pytest.mark.parametrize("training", [False, True])
def test_weights_are_read_in_the_call(make: Callable[[Any], Any], training: bool) -> None:
    module = make(nn.LSTM(5, 4, batch_first=True))
    before = copy.deepcopy(getattr(module, "_orig_mod", module).state_dict())
    require_agreement(rnncli.run(numbers(3, 6, 5), module, training=training))
    after = getattr(module, "_orig_mod", module).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_copy_in_the_call_runs_its_own_weights() -> None:
    def call_both(self: Any, x: Any) -> Any:
        other: Any = copy.deepcopy(self.rnn)
        with torch.no_grad():
            other.weight_ih_l0.zero_()
        return self.rnn(x)[0], other(x)[0]

    module = torch_module(call_both, rnn=nn.RNN(5, 4))
    result = rnncli.run(numbers(6, 3, 5), module, all_layers=True)
    require_same(result["output_1"], module(torch.tensor(numbers(6, 3, 5)))[1])


def test_calls_of_other_threads_are_not_recorded() -> None:
    def call_in_a_thread(self: Any, x: Any) -> Any:
        thread = threading.Thread(target=self.there, args=(x,))
        thread.start()
        thread.join()
        return self.here(x)

    module = torch_module(call_in_a_thread, here=nn.RNN(5, 4), there=nn.GRU(5, 4))
    result = rnncli.run(numbers(6, 3, 5), module)
    assert result.keys() == ("here/hidden_states", "here/last_hidden_state")
    assert "in torch.vmap): there" in str(result.remarks[0])
    with pytest.raises(rnncli.LayerError, match="did not call there"):
        rnncli.run(numbers(6, 3, 5), module, at="there")


def test_a_recording_inside_a_recording() -> None:
    def record(self: Any, x: Any) -> Any:
        require_agreement(rnncli.run(x, self.rnn))
        return self.rnn(x)

    result = rnncli.run(numbers(6, 3, 5), torch_module(record, rnn=nn.RNN(5, 4)))
    require_agreement(result)
    assert result.keys() == (
        "rnn/hidden_states", "rnn/last_hidden_state", "rnn@1/hidden_states", "rnn@1/last_hidden_state",
    )  # fmt: skip


LACKING: dict[str, Callable[[], Any]] = {
    "it projects its state": lambda: nn.LSTM(5, 4, proj_size=2),
    "float16": lambda: nn.LSTM(5, 4).half(),
    "bfloat16": lambda: nn.GRU(5, 4).to(torch.bfloat16),
    "dropout draws": lambda: nn.LSTM(5, 4, 2, dropout=0.5),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("what", LACKING)
def test_what_numpy_cannot_compute_is_shown_as_returned(what: str) -> None:
    module: Any = LACKING[what]()
    result = rnncli.run(numbers(6, 3, 5), module, training=True, all_layers=True)
    assert result.agrees is None
    assert what in str(result)
    last = next(name for name in result.keys() if name.endswith("hidden_states"))  # noqa: SIM118
    theirs = result["output_0"]
    np.testing.assert_array_equal(result[last], np.swapaxes(theirs, 0, 1))
    with pytest.raises(rnncli.LayerError, match="all_layers=True also what it is given"):
        rnncli.trace(numbers(6, 3, 5), module, training=True)
    first = next(name for name in result.keys() if name.endswith("/input"))  # noqa: SIM118
    np.testing.assert_allclose(result[first], np.swapaxes(numbers(6, 3, 5), 0, 1), rtol=0, atol=1e-2)


def test_what_a_layer_without_gates_is_given() -> None:
    x, module = numbers(3, 6, 5), nn.LSTM(5, 4, batch_first=True).half()
    states = [np.ones((3, 4), "float16"), np.zeros((3, 4), "float16")]
    result = rnncli.run(x, module, lengths=[6, 2, 4], initial_state=states, all_layers=True)
    assert result["lstm/mask"].sum(1).tolist() == [6, 2, 4]
    np.testing.assert_array_equal(result["lstm/initial_state_0"], states[0])
    np.testing.assert_array_equal(result["lstm/initial_state_1"], states[1])
    assert len(rnncli.run(x, module)) == 3


@pytest.mark.slow
def test_modules_that_numpy_cannot_compute_are_compared(tmp_path: Path) -> None:
    half = nn.LSTM(5, 4, batch_first=True).half()
    whole = nn.LSTM(5, 4, batch_first=True)
    whole.load_state_dict(half.state_dict())
    x = numbers(3, 6, 5)
    assert rnncli.compare(x, half, half).agrees is True
    assert rnncli.compare(x, half, whole).agrees is False
    assert rnncli.compare(x, half, whole, atol=1e-2).agrees is True
    torch.save(whole.state_dict(), tmp_path / "whole.pt")
    with pytest.raises(rnncli.LayerError, match=r"whole.pt has no graph(.|\n)*in float32"):
        rnncli.compare(x, half, tmp_path / "whole.pt")


class Noisy(nn.LSTM):
    def forward(self, x: Any, hx: Any = None) -> Any:
        output, state = super().forward(x, hx)
        return output + 1, state


class Same(nn.LSTM):
    def forward(self, x: Any, hx: Any = None) -> Any:
        return super().forward(nn.functional.dropout(x, training=False), hx)


class Bare(nn.LSTM):
    def forward(self, x: Any) -> Any:  # type: ignore[override]
        return super().forward(x)[0]


@pytest.mark.slow
def test_a_subclass_with_its_own_forward() -> None:
    require_agreement(rnncli.run(numbers(6, 3, 5), Same(5, 4)))
    for module in (Noisy(5, 4), Bare(5, 4)):
        result = rnncli.run(numbers(6, 3, 5), module)
        assert result.agrees is None
        assert "has its own forward" in str(result)
        output = module(torch.tensor(numbers(6, 3, 5)))
        if isinstance(module, Noisy):
            require_same(result.hidden_states, output[0].transpose(0, 1))
        else:
            require_same(result.output, output)


@pytest.mark.slow
def test_a_module_with_a_forward_of_its_own() -> None:
    """An instance's own forward is like a subclass's: as returned, unless the numbers agree."""
    model = torch_module(
        lambda self, x: copy.deepcopy(self).rnn(x)[0] + self.rnn(x)[0], rnn=nn.LSTM(5, 4, batch_first=True)
    )
    x = numbers(3, 6, 5)
    plain = model(torch.tensor(x)).detach().numpy()
    original = model.rnn.forward

    def doubled(x: torch.Tensor) -> Any:
        output, states = original(x)
        return 2 * output, states

    model.rnn.forward = doubled
    result = rnncli.run(x, model, all_layers=True)
    assert result.agrees is None
    assert result.agreement is not None
    assert str(result.agreement.lacks["rnn"]) == "LSTM has its own forward"
    np.testing.assert_allclose(result["rnn/hidden_states"], plain, atol=1e-6)
    np.testing.assert_allclose(result["output"], 2 * plain, atol=1e-6)
    assert vars(model.rnn)["forward"] is doubled
    model.rnn.forward = lambda x: original(x)
    require_agreement(rnncli.run(x, model))


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True])
def test_axes_of_what_pytorch_returns_are_named(bidirectional: bool) -> None:
    """With as many sequences as time steps, the shapes alone would not say which axis is time."""
    module, x = nn.LSTM(5, 4, bidirectional=bidirectional), numbers(6, 6, 5)
    result = rnncli.run(x, module)
    np.testing.assert_allclose(result[0], module(torch.tensor(x))[0].detach().transpose(0, 1), atol=1e-6)
    says = "shown as (batch, timesteps, units); PyTorch returns (timesteps, batch, units) from lstm"
    assert says in " ".join(str(result).split())  # which is folded at the width of the terminal
    assert [str(remark) for remark in result.remarks] == [f"LSTM (PyTorch): {says}"]
    assert result.document()["agreement"]["axes"] == {"lstm": "(timesteps, batch, units)"}
    assert says in " ".join(str(rnncli.trace(x, module)).split())
    whole = rnncli.run(x, module, all_layers=True)
    axes = {tensor.name: tensor.axes for tensor in whole.outputs}
    assert axes["lstm/hidden_states"] == ("batch", "timesteps", "units")
    assert axes["output_0"] == ("axis_0", "axis_1", "units")  # as the module returned it
    [remark] = rnncli.run(x[0], module).remarks
    assert "PyTorch returns (timesteps, units) from lstm" in str(remark)
    first = rnncli.run(x, nn.LSTM(5, 4, batch_first=True))
    assert first.remarks == ()
    assert "shown as" not in str(first)


@pytest.mark.sampled
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("batched", [True, False])
def test_initial_states_as_pytorch_takes_them(kind: Any, batched: bool) -> None:
    is_cell, is_lstm = issubclass(kind, nn.RNNCellBase), kind in (nn.LSTM, nn.LSTMCell)
    layers, batch = (() if is_cell else (4,)), ((3,) if batched else ())
    module = kind(5, 4) if is_cell else kind(5, 4, 2, bidirectional=True, batch_first=True)
    x = numbers(*batch, *(() if is_cell else (6,)), 5)
    states = [torch.randn(*layers, *batch, 4) for _ in range(2 if is_lstm else 1)]
    hx = tuple(states) if is_lstm else states[0]
    expected = [tensor.values for tensor in rnncli.run((x, hx), module).outputs]
    forms: list[Any] = [hx, tuple(state.numpy() for state in states) if is_lstm else states[0].numpy()]
    for given in forms:
        result = rnncli.run(x, module, initial_state=given)
        require_agreement(result)
        for tensor, values in zip(result.outputs, expected, strict=True):
            np.testing.assert_array_equal(tensor.values, values)


def test_another_module_is_recorded_where_it_is_named() -> None:
    module = Seq2Seq()
    ids = np.ones((3, 6), int)
    result = rnncli.run((ids, ids), module, lengths=LENGTHS, at="head")
    assert result.keys() == tuple(f"head{f'@{t}' if t else ''}/output" for t in range(6))
    assert result.agrees is None


script: Any = torch.jit.script


def quantized() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize: Any = torch.ao.quantization.quantize_dynamic
        return quantize(nn.Sequential(nn.LSTM(5, 3)), {nn.LSTM})


@pytest.mark.parametrize(
    ("make", "says"),
    [(lambda: nn.Sequential(nn.LazyLinear(5), nn.LSTM(5, 4)), "lazy"),
     (lambda: nn.LSTM(5, 4, device="meta"), "meta device"),
     (lambda: script(nn.Sequential(nn.Linear(5, 5))), "TorchScript"),
     (lambda: nn.Sequential(nn.Linear(5, 5), nn.ReLU()),
      r"called no LSTM, GRU or RNN .* It holds Linear, ReLU\.(.|\n)*at='0'"),
     (quantized, r"^Sequential called no recurrent layer .*; quantized: 0\.(.|\n)*at='0'"),
     (lambda: nn.Sequential(nn.LSTM(5, 3), script(nn.Identity())), r"^1 of Sequential is TorchScript")],
    ids=["lazy", "meta", "scripted", "plain", "quantized", "partly_scripted"],
)  # fmt: skip
def test_refused_by_name(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(rnncli.LayerError, match=says):
        rnncli.run(numbers(6, 3, 5), make())


@pytest.mark.parametrize(("keywords", "says"), [
    ({"at": "decodr"}, "Did you mean decoder"),
    ({"at": 5}, "at is 5"),
    ({"units": 3}, "units does not apply to Seq2Seq"),
    ({"seed": 3}, "seed does not apply"),
    ({"mask": np.ones((3, 6))}, "mask: Seq2Seq takes no mask"),
])  # fmt: skip
def test_options_that_do_not_apply(keywords: Any, says: str) -> None:
    ids = np.ones((3, 6), int)
    with pytest.raises(rnncli.UsageError, match=says):
        rnncli.run((ids, ids, np.array(LENGTHS)), Seq2Seq(), **keywords)


def test_a_layer_is_suggested_once() -> None:
    with pytest.raises(rnncli.UsageError, match=r"The only choice is 0\."):
        rnncli.run(numbers(6, 3, 5), nn.Sequential(nn.LSTM(5, 3)), at="zzz")


class Between(nn.Module):
    """Layers between recurrent ones, of which one is called twice, and a function."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.fc = nn.LSTM(5, 4, num_layers=2, batch_first=True), nn.Linear(4, 4)
        self.norm, self.act = nn.LayerNorm(4), nn.ReLU(inplace=True)
        self.gru, self.head = nn.GRU(4, 3, batch_first=True), nn.Sequential(nn.Linear(3, 2), nn.Tanh())

    def forward(self, x: Any) -> Any:
        h = self.act(self.norm(self.fc(self.rnn(x)[0])))
        return self.head(self.gru(self.norm(torch.relu(h)))[0][:, -1])


@pytest.mark.slow
def test_all_layers_are_every_module() -> None:
    kept: dict[str, Any] = {}
    module, x = Between(), numbers(3, 6, 5)
    module.fc.register_forward_hook(lambda *given: kept.update(fc=given[2].detach().numpy().copy()))
    result = rnncli.run(x, module, all_layers=True)
    require_agreement(result)
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in result.keys()))  # noqa: SIM118
    assert layers == [
        "rnn_l0", "rnn_l1", "fc", "norm", "act", "norm@1", "gru", "head.0", "head.1", "head", "",
    ]  # fmt: skip
    np.testing.assert_array_equal(result["fc/output"], kept["fc"])
    normal = module.norm(torch.tensor(kept["fc"])).detach()
    np.testing.assert_allclose(result["norm/output"], normal, atol=1e-6)  # before act changed it in place
    np.testing.assert_allclose(result["act/output"], torch.relu(normal), atol=1e-6)
    np.testing.assert_array_equal(result["head/output"], module(torch.tensor(x)).detach())
    assert [len(part._forward_hooks) for part in module.modules() if part._forward_hooks] == [1]


def test_what_is_left_out_of_a_module_is_named() -> None:
    script = rnncli.export(numbers(3, 6, 5), Between(), to="numpy").data.decode()
    names = "fc (Linear), norm (LayerNorm), act (ReLU), head.0 (Linear), head.1 (Tanh), Between.forward."
    assert f"left out: {names}" in script
    assert "left out" not in rnncli.export(numbers(3, 6, 5), Between().rnn, to="numpy").data.decode()


@pytest.mark.parametrize(("all_layers", "text"), [
    (True, "fc is the first layer with a finite input and an output that is not."),
    (False, "the output of rnn_l1 is finite, and the input of gru is not."),
])  # fmt: skip
def test_the_module_that_makes_a_nan_is_named(all_layers: bool, text: str) -> None:
    module = Between()
    module.fc.bias.data[1] = np.nan
    with pytest.raises(rnncli.DisagreementError, match="contains NaN, first in") as error:
        rnncli.run(numbers(3, 6, 5), module, all_layers=all_layers, fail_on_nan=True)
    assert text in str(error.value)
