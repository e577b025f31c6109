"""PyTorch modules as live objects: what a call leaves as it was, and what is said of the rest."""

import copy
import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from test_live_torch import numbers, require_agreement
from torch import nn
from torch.nn.utils import parametrizations
from zoo import torch_module

import rnncli


class Restless(nn.Module):
    """A module that changes whatever it can in a call, and fails if asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(5, 4, batch_first=True)
        self.norm = nn.BatchNorm1d(5).eval()
        self.drop = nn.Dropout()
        self.count: Any
        self.register_buffer("count", torch.zeros(2))
        self.state = torch.zeros(3)
        self.history: list[Any] = []
        self.calls = 0
        self.fails = False

    def forward(self, x: Any) -> Any:
        self.count.add_(1)
        self.state += 1
        self.history.append(x)
        self.calls += 1
        self.extra = self.drop(x) + random.random() + np.random.rand() + torch.rand(1)
        with torch.enable_grad():
            output = self.gru(self.norm(x.transpose(1, 2)).transpose(1, 2))[0]
            output.sum().backward()
        if self.fails:
            raise ZeroDivisionError
        return output


def snapshot(module: nn.Module) -> Any:
    """Return what must be as it was, as plain values."""
    own = {name: repr(value) for name, value in vars(module).items() if not name.startswith("_")}
    state = {name: tensor.tolist() for name, tensor in module.state_dict().items()}
    modes = [(name, child.training, sorted(vars(child))) for name, child in module.named_modules()]
    grads = [(id(weight.grad), repr(weight.grad)) for weight in module.parameters()]
    draws = torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())
    hooks = [len(child._forward_hooks) for child in module.modules()]
    return own, state, modes, grads, draws, hooks, torch.is_grad_enabled()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_everything_is_as_before(fails: bool, training: bool) -> None:
    module = Restless()
    module(torch.tensor(numbers(3, 6, 5)))
    module.fails = fails
    seen: list[Any] = []
    module.gru.register_forward_hook(lambda *given: seen.append(given[0].training))
    before = snapshot(module)
    with torch.no_grad(), pytest.raises(ZeroDivisionError) if fails else nullcontext():
        require_agreement(rnncli.run(numbers(3, 6, 5), module, training=training))
    assert snapshot(module) == before
    assert seen == [training]
    assert not module.norm.training


def test_a_weight_that_the_call_changes_stays_changed() -> None:
    def decay(self: Any, x: Any) -> Any:
        with torch.no_grad():
            self.rnn.bias_hh_l0.mul_(0.5)
        return self.rnn(x)

    module = torch_module(decay, rnn=nn.RNN(5, 4))
    before = module.rnn.bias_hh_l0.clone()
    result = rnncli.run(numbers(6, 3, 5), module)
    require_agreement(result)
    assert torch.equal(module.rnn.bias_hh_l0, before / 2)
    assert "the call itself changed rnn.bias_hh_l0" in str(result.remarks[0])


def test_an_input_that_the_call_changes_is_put_back() -> None:
    def double(self: Any, x: Any) -> Any:
        x *= 2
        return self.rnn(self.drop(x))

    module, x = torch_module(double, rnn=nn.RNN(5, 4), drop=nn.Dropout()), torch.tensor(numbers(6, 3, 5))
    result = rnncli.run(x, module)
    np.testing.assert_array_equal(x, numbers(6, 3, 5))
    assert "the call itself changed its input, x" in str(result.remarks[0])
    assert rnncli.compare(x, module, module, training=True)
    assert not rnncli.compare(x, module, module.rnn, training=True)


def test_a_hook_that_changes_what_a_layer_returns() -> None:
    module = nn.GRU(5, 4, batch_first=True)
    handle = module.register_forward_hook(lambda *_: None)
    assert not rnncli.run(numbers(6, 3, 5), module).remarks
    handle.remove()
    module.register_forward_hook(lambda _, given, returned: (returned[0] * 2, returned[1]))
    assert "a forward hook changes what GRU returns" in str(rnncli.run(numbers(6, 3, 5), module).remarks[0])
    assert len(module._forward_hooks) == 1


@pytest.mark.parametrize("make", [lambda: nn.LSTM(5, 4), lambda: nn.LSTMCell(5, 4)])
def test_a_look_at_weights_changes_nothing(make: Callable[[], Any]) -> None:
    module = make()
    name = next(name for name, _ in module.named_parameters() if name.startswith("weight_hh"))
    parametrizations.spectral_norm(module, name).train()
    before = copy.deepcopy(module.state_dict())
    rnncli.weights(module)
    rnncli.shape(module)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(part.training for part in module.modules())


class Hidden(nn.Module):
    """A module that changes its numbers where PyTorch does not count it, and a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.gru = nn.GRU(5, 4, batch_first=True)
        self.mean: Any
        self.register_buffer("mean", torch.ones(5))
        self.moved: Any = torch.ones(2)
        self.steps: Any = torch.ones(5)
        self.fails = False

    def forward(self, x: Any) -> Any:
        output = self.gru(self.norm(x.transpose(1, 2)).transpose(1, 2) * self.mean)[0]
        self.mean.data += 1
        self.moved.data = torch.zeros(3)
        self.steps += 1
        self.gru.get_parameter("bias_hh_l0").data.clamp_(-0.01, 0.01)
        if self.fails:
            raise ZeroDivisionError
        return output


@pytest.mark.parametrize("fails", [False, True])
def test_changes_that_pytorch_does_not_count(fails: bool) -> None:
    module = Hidden()
    module.fails = fails
    loss: Any = (torch.ones(5, requires_grad=True) * module.steps).sum()
    state = [*module.buffers(), module.moved, module.steps]
    before = [tensor.tolist() for tensor in state]
    with pytest.raises(ZeroDivisionError) if fails else nullcontext():
        result = rnncli.run(numbers(3, 6, 5) + 9, module, training=True)
        require_agreement(result)
        assert "the call itself changed gru.bias_hh_l0; " in str(result.remarks[0])
    assert [tensor.tolist() for tensor in state] == before
    loss.backward()  # which fails if the version of `steps` went up
