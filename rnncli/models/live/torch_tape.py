"""PyTorch's autograd over one call of a module; no gradient of a weight is touched."""

from __future__ import annotations

from collections.abc import Callable
from inspect import BoundArguments
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnncli.errors import LayerError
from rnncli.models.live import tape
from rnncli.models.live.recording import flatten
from rnncli.models.live.torch_calls import to_array
from rnncli.values import Array


class TorchTape(tape.Tape):
    """See `tape.Tape`.  A packed input or output is padded, batch first."""

    orders = tape.ANY_ORDER

    def call(self, run: Callable[[], Any], arguments: BoundArguments) -> Any:
        """Call the module with gradients, whatever the caller's mode is."""
        with torch.inference_mode(False), torch.enable_grad():
            self.watch(arguments)
            returned = run()
            kinds: Any = (torch.Tensor, PackedSequence)
            tensors: dict[str, Any] = flatten(
                "output", returned, lambda value: value if isinstance(value, kinds) else None
            )
            name, first = next(iter(tensors.items()), ("output", None))
            if first is None:
                raise LayerError("{--whole}: the module returns no tensor.", "Let it return its output.")
            lengths = None
            if isinstance(first, PackedSequence):
                first, lengths = pad_packed_sequence(first, batch_first=True)
            self.output = first
            leaf = self._padded(self.leaf)
            dtype = str(leaf.dtype).removeprefix("torch.")
            self.found = self.measure(name, (tuple(leaf.shape), tuple(first.shape)), dtype, lengths)
        return returned

    def make_leaf(self, value: Any) -> tuple[Any, Any]:
        tensor = value.data if isinstance(value, PackedSequence) else value
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            return None, None
        if self.leaf is not None:
            return None, value
        leaf = tensor.detach().clone().requires_grad_()
        if not isinstance(value, PackedSequence):
            return leaf, leaf.clone()
        self.packed = value
        return leaf, value._replace(data=leaf.clone())

    packed: PackedSequence | None = None
    output: Any

    def pull_back(self, vector: Array) -> Array | None:
        if not self.output.requires_grad:
            return None
        given = torch.as_tensor(vector, dtype=self.output.dtype, device=self.output.device)
        (gradient,) = torch.autograd.grad(self.output, self.leaf, given, retain_graph=True, allow_unused=True)
        return None if gradient is None else to_array(self._padded(gradient))

    def _padded(self, tensor: Any) -> Any:
        if self.packed is None:
            return tensor
        return pad_packed_sequence(self.packed._replace(data=tensor), batch_first=True)[0]


def make_tape(batch: int) -> TorchTape:
    """Return a tape for one call."""
    return TorchTape(batch)
