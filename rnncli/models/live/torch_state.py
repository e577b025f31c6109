"""What a call may change in a PyTorch module, in its input and in the random states: saved and put back."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.autograd import grad_mode

from rnncli.models.live.recording import Restore, save_attributes
from rnncli.process.isolation import restore_random
from rnncli.values import Array

UNREADABLE = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""What reading a call raises if its arguments or tensors are not in the form of PyTorch's own layers."""


@contextmanager
def unchanged(modules: Sequence[Any], given: Mapping[str, Any]) -> Iterator[None]:
    """Put back attributes, buffers, gradients, random states and arguments after the block; not weights.

    In the block, the weights have no gradients.
    """
    parameters = [
        weight for module in modules for weight in module._parameters.values() if weight is not None
    ]
    gradients = [weight.grad for weight in parameters]
    restore_attributes = save_attributes([*modules, SimpleNamespace(**given)], save_tensor)
    with restore_random(), torch.random.fork_rng(range(torch.cuda.device_count())):
        try:
            for weight in parameters:
                weight.grad = None
            yield
        finally:
            restore_attributes()
            for weight, gradient in zip(parameters, gradients, strict=True):
                weight.grad = gradient


def save_tensor(value: Any) -> Restore | None:
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
