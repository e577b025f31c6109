"""The modules of a PyTorch model with their parameters; after a call, with the shapes that it gave."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from rnncli.errors import LayerError, Message, Text, format_names
from rnncli.models.layer_cases import name_outputs
from rnncli.models.live.recording import flatten
from rnncli.models.live.torch_calls import RECURRENT, is_quantized, module_of, named_modules
from rnncli.models.summary import (
    LayerRow,
    ModuleRow,
    Summary,
    TensorRow,
    WeightCounter,
    features_of,
    known_spec,
    pytorch_returns,
)

GATES = {nn.LSTMCell: 4, nn.GRUCell: 3, nn.RNNCellBase: 1}
"""How many gates the weights of a cell hold; the first class that the cell is of counts."""
Observed = dict[str, tuple[tuple[TensorRow, ...], tuple[TensorRow, ...]]]
"""What the first call of each module took and returned, by path."""


def summarize(model: nn.Module, given: Any, call: Callable[[], object]) -> Summary:
    """Return every module that has parameters or no modules inside.

    given: the input; without one, the module is not called, and shapes are not known.
    call: calls the module with the input.
    """
    seen: Observed = {}
    calls: Counter[str] = Counter()
    named = list(named_modules(model))
    scripted = _outermost(path for path, module in named if isinstance(module, torch.jit.ScriptModule))
    quantized = _outermost(path for path, module in named if is_quantized(module))
    if scripted:
        given = None  # its calls cannot be seen
    if given is not None:
        with _observed(model, seen, calls):
            try:
                call()
            except LayerError:
                if "" not in seen:  # else it was called, and holds nothing recurrent
                    raise
    counter, rows, modules = WeightCounter(), list[LayerRow](), list[ModuleRow]()
    for path, module in named:
        if path not in quantized and any(map(partial(_is_inside, path), quantized)):
            continue  # it holds the packed weights
        number = None if given is None else calls[path]
        every = module.named_parameters(recurse=False)  # the shapes of lazy ones are not known
        weights = {name: weight for name, weight in every if not nn.parameter.is_lazy(weight)}
        if isinstance(module, RECURRENT):
            made_rows = _recurrent(path, module, weights, seen, counter)
            rows += [replace(row, calls=number) for row in made_rows]
            modules += _returned(path, module, seen)
        elif weights or path in quantized or not [*module.children()]:
            inputs, outputs = seen.get(path, ((), ()))
            path = path or type(module).__name__.lower()
            names = name_outputs(path, len(outputs))
            rows.append(
                LayerRow(
                    name=path,
                    class_name=_class_text(module),
                    inputs=None,
                    outputs=tuple(row._replace(name=name) for row, name in zip(outputs, names, strict=True)),
                    weights=_count(weights, counter),
                    taken=inputs,
                    calls=number,
                )
            )
    inputs, outputs = seen.get("", ((), ()))
    origin = f"PyTorch {torch.__version__}"
    name = type(model).__name__
    notes = tuple(_notes(name, scripted, quantized))
    return Summary("", origin, inputs, tuple(rows), outputs or None, notes, name, modules=tuple(modules))


def _is_inside(path: str, outer: str) -> bool:
    return not outer or f"{path}.".startswith(f"{outer}.")


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in paths:
        if not any(map(partial(_is_inside, path), kept)):
            kept.append(path)
    return kept


def _class_text(module: nn.Module) -> str:
    """Return the class of a module; for TorchScript, of its source; `LSTM (quantized)` of packed weights."""
    name = str(getattr(module, "original_name", type(module).__name__))
    return f"{name} (quantized)" if is_quantized(module) else name


def _notes(name: str, scripted: Sequence[str], quantized: Sequence[str]) -> Iterator[Text]:
    if scripted:
        names = format_names([path or name for path in scripted])
        yield Message("TorchScript, which is not called; only its parameters are shown: {names}", names=names)
    if quantized:
        names = format_names([path or name for path in quantized])
        yield Message("quantized, so its packed weights are not counted: {names}", names=names)


@contextmanager
def _observed(model: nn.Module, seen: Observed, calls: Counter[str]) -> Iterator[None]:
    def rows(name: str, value: Any) -> tuple[TensorRow, ...]:
        return tuple(row._replace(name=path) for path, row in flatten(name, value, _row).items())

    def hook(path: str) -> Any:
        def note(module: Any, args: Any, kwargs: Any, returned: Any) -> None:
            calls[path] += 1
            if path not in seen:
                given: dict[str, Any] = {"input": [args, kwargs]}
                with suppress(TypeError, ValueError):  # a forward without a signature
                    given = signature(module.forward).bind(*args, **kwargs).arguments
                taken = tuple(row for name, value in given.items() for row in rows(name, value))
                seen[path] = taken, rows("output", returned)

        return note

    hooks: list[Any] = []
    try:
        for path, module in named_modules(model):
            hooks.append(module.register_forward_hook(hook(path), with_kwargs=True))
        yield
    finally:
        for handle in hooks:
            handle.remove()


def _returned(path: str, module: Any, seen: Observed) -> Iterator[ModuleRow]:
    """Yield nothing of a cell, and of a module with its own `forward`, which may return anything."""
    known = (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward)
    if not isinstance(module, nn.RNNBase) or "forward" in vars(module) or type(module).forward not in known:
        return
    batch_first = module.batch_first
    returns = pytorch_returns(
        module.mode.partition("_")[0], ("batch", "timesteps") if batch_first else ("timesteps", "batch"),
        module.hidden_size, module.num_layers, 1 + module.bidirectional, batch_first=batch_first,
        projected=module.proj_size,
    )  # fmt: skip
    _, outputs = seen.get(path, ((), ()))
    if len(outputs) == len(returns):
        names = [row.name for row in returns]
        returns = tuple(row._replace(name=name) for row, name in zip(outputs, names, strict=True))
    yield ModuleRow(path or type(module).__name__.lower(), returns)


def _recurrent(
    path: str, module: Any, weights: Mapping[str, Any], seen: Observed, counter: WeightCounter
) -> Iterator[LayerRow]:
    """Yield the layers of a recurrent module, `rnn_l0`; only the last one has the final states."""
    inputs, outputs = seen.get(path, ((), ()))
    layers = module_of(path, module, _stand_ins(module))
    for index, node in enumerate(layers.nodes):
        last = index + 1 == len(layers.nodes)
        part = {
            name: weight
            for name, weight in weights.items()
            if not (match := re.search(r"_l(\d+)", name)) or int(match[1]) == index
        }
        names = zip(("output", "h_n", "c_n"), outputs if last else outputs[:1], strict=False)
        given = inputs[0].shape if inputs else None
        sizes = given[:-1] if given is not None and len(given) == 3 else ("batch", None)
        if given is not None and not getattr(module, "batch_first", True):
            sizes = sizes[::-1]
        yield LayerRow(
            name=node.name,
            class_name=type(module).__name__,
            inputs=(layers.nodes[index - 1].name,) if index else None,
            outputs=tuple(row._replace(name=f"{node.name}/{name}") for name, row in names),
            weights=_count(part, counter),
            recurrent=True,
            spec=None if layers.refusal else known_spec(node),
            input_shape=(*sizes, features_of(node)),
            taken=() if index else inputs,
            note=layers.reason,
        )
    if not layers.nodes:
        yield LayerRow(
            layers.name, type(module).__name__, None, outputs, _count(weights, counter), recurrent=True,
            taken=inputs, note=layers.reason,
        )  # fmt: skip


def _stand_ins(module: Any) -> dict[str, torch.Tensor]:
    """Its own weights may be on the meta device, or computed, by spectral_norm another time at each look."""
    plain: nn.Module
    sizes = module.input_size, module.hidden_size
    if isinstance(module, nn.RNNBase):
        plain = nn.RNNBase(
            module.mode, *sizes, module.num_layers, module.bias, bidirectional=module.bidirectional,
            proj_size=module.proj_size, device="meta",
        )  # fmt: skip
    else:
        kind = next(kind for kind in GATES if isinstance(module, kind))
        plain = nn.RNNCellBase(*sizes, module.bias, GATES[kind], device="meta")
    return {name: torch.zeros(weight.shape) for name, weight in plain.named_parameters()}


def _count(weights: Mapping[str, Any], counter: WeightCounter) -> Any:
    frozen = [name for name, weight in weights.items() if not weight.requires_grad]
    return counter.rows(weights.items(), frozen=frozen)


def _row(value: Any) -> TensorRow | None:
    """Return the shape of a tensor, of a packed one as it is packed; None for any other value."""
    value = value.data if isinstance(value, PackedSequence) else value
    if not isinstance(value, torch.Tensor):
        return None
    return TensorRow("", tuple(value.shape), str(value.dtype).removeprefix("torch."))
