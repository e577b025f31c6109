"""What a call may change in a PyTorch module, in its input and in the random states: saved and put back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.autograd import grad_mode

from rnncli.case import Array
from rnncli.models.live.recording import Restore, save_attributes, save_random

UNREADABLE = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""What reading a call raises if its arguments or tensors are not in the form of PyTorch's own layers."""


def save(modules: Sequence[Any], given: dict[str, Any]) -> Restore:
    """Save what a call may change: attributes, buffers, gradients, random states, inputs; not the weights."""
    parameters = [
        weight for module in modules for weight in module._parameters.values() if weight is not None
    ]
    gradients = [weight.grad for weight in parameters]
    attributes = save_attributes([*modules, SimpleNamespace(**given)], _save_tensor)
    draws, torch_draws = save_random(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    for weight in parameters:
        weight.grad = None

    def restore() -> None:
        attributes()
        for weight, gradient in zip(parameters, gradients, strict=True):
            weight.grad = gradient
        draws()
        torch.set_rng_state(torch_draws)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)

    return restore


def _save_tensor(value: Any) -> Restore | None:
    """Save a buffer, or a tensor among the plain attributes; None for a weight and for other values."""
    if not isinstance(value, torch.Tensor) or isinstance(value, nn.Parameter) or value.is_meta:
        return None
    data, saved = value.detach(), value.detach().clone()
    # A version that goes up makes the gradients of the caller fail.
    unseen = nullcontext() if value.is_inference() else grad_mode._unsafe_preserve_version_counter(value)

    def restore() -> None:
        with unseen, torch.inference_mode(value.is_inference()):
            if value.layout is torch.strided and value.data_ptr() != data.data_ptr():
                value.data = data
            if value.layout is not torch.strided or not torch.equal(data, saved):
                data.copy_(saved)

    return restore


def version_of(tensor: Any) -> int | None:
    """Return how often a tensor was changed in place; None where PyTorch does not count."""
    return None if tensor.is_inference() else tensor._version


def checksums(model: nn.Module) -> dict[str, int]:
    """Return a checksum of each weight; the version of a tensor misses what is written to its `data`."""
    sums = {}
    for name, weight in model.named_parameters():
        with suppress(*UNREADABLE):  # a weight inside torch.vmap has no numbers
            numbers = weight.detach().contiguous().view(-1).view(torch.uint8)
            sums[name] = zlib.crc32(numbers.cpu().numpy().data)
    return sums


def differ(array: Array, other: Array) -> bool:
    """Return whether two arrays have other numbers."""
    return array.shape != other.shape or array.tobytes() != other.tobytes()
