"""One call of a module of PyTorch as plain values: its layers with their weights, input, states, outputs.

What a call may change in modules, in its input and in the random states is saved and put back by `unchanged`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.autograd import grad_mode
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnncli.errors import InputError, Message, Text, inside
from rnncli.frameworks.torch import PACKAGE, STATE, find_chains
from rnncli.layers.shape_checks import order_states
from rnncli.models.graph import Module
from rnncli.models.live.recording import LiveCall, Restore, flatten, require_states, save_attributes
from rnncli.models.weight_files.recognize import to_module
from rnncli.process.packages import restore_random
from rnncli.values import Array, format_shape

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
FORWARDS = {kind.forward for kind in (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)}
"""What computes as rnncli's engines do; a class, or a module, with another `forward` may not."""


def is_quantized(module: Any, *, recurrent: bool = False) -> bool:
    """Return whether a module has packed weights of few bits.  recurrent: only recurrent ones count."""
    kind = type(module)
    names = {each.__name__ for each in (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)}
    return kind.__module__.startswith("torch.ao.nn.quantized.") and (not recurrent or kind.__name__ in names)


class ModuleInput(NamedTuple):
    """What a recurrent module is given, batch first.

    inputs: (batch, timesteps, features).  lengths: of a packed input.
    states: h, of an LSTM also c, each (layers * directions, batch, units); () for zeros.
    """

    inputs: Array
    lengths: Array | None
    states: tuple[Array, ...]

    @classmethod
    def read(cls, module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ModuleInput:
        """Copy the arguments of a call; axes that PyTorch leaves out are put back."""
        named = {**dict(zip(("input", "hx"), args, strict=False)), **kwargs}
        sequence, lengths = _batch_first(module, named["input"])
        states = named.get("hx")
        states = () if states is None else states if isinstance(states, tuple) else (states,)
        return cls(sequence, lengths, tuple(_state(module, state) for state in states))


def _batch_first(module: Any, value: Any) -> tuple[Array, Array | None]:
    """Return a sequence as (batch, timesteps, features), and the lengths of a packed one."""
    if isinstance(value, PackedSequence):
        padded, lengths = pad_packed_sequence(value, batch_first=True)
        return _copy(padded), _copy(lengths)
    array = _copy(value)
    if isinstance(module, nn.RNNCellBase):
        return (array if array.ndim == 2 else array[None])[:, None], None
    if array.ndim == 2:
        return array[None], None
    return array if module.batch_first else np.ascontiguousarray(array.swapaxes(0, 1)), None


def _state(module: Any, value: Any) -> Array:
    """Return a state as (layers * directions, batch, units)."""
    array = _copy(value)
    if isinstance(module, nn.RNNCellBase):
        return (array if array.ndim == 2 else array[None])[None]
    return array if array.ndim == 3 else array[:, None]


def find_misfit(path: str, module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> InputError | None:
    """Return the error for an input whose axes or features a module does not take; None if it fits."""
    given = args[0] if args else kwargs.get("input")
    tensor = given.data if isinstance(given, PackedSequence) else given
    if not isinstance(module, RECURRENT) or not isinstance(tensor, torch.Tensor):
        return None
    is_cell = isinstance(module, nn.RNNCellBase)
    first = "batch, " if is_cell else "batch, timesteps, " if module.batch_first else "timesteps, batch, "
    shape, axes = tuple(tensor.shape), (1, 2) if is_cell else (2, 3)
    if len(shape) in axes and shape[-1] == module.input_size:
        return None
    if isinstance(given, PackedSequence):
        sizes = int(given.batch_sizes[0]), len(given.batch_sizes)
        shape = (*(sizes if module.batch_first else sizes[::-1]), shape[-1])
    name = path or type(module).__name__
    return InputError(
        "{layer} takes an input of {wanted}, and got {shape}.",
        Message("Look at what {layer} is called with inside the module, and at the input.", layer=name)
        if path
        else "Give an input of this shape.",
        layer=name,
        wanted=f"({first}{module.input_size})",
        shape=format_shape(shape),
    )


def fit_states(model: Any, states: Any, value: Any) -> Any:
    """Return initial states as PyTorch takes them, (layers * directions, batch, units) each.

    states: in PyTorch's form, or in Keras's order, (batch, units) each; a single array is its rows.  By name,
        they are h_0 and c_0, or `last_hidden_state` and so on, of several layers `lstm_l0/last_hidden_state`.
    value: the input.
    Raises InputError if they do not fit.
    """
    kinds = 2 if isinstance(model, (nn.LSTM, nn.LSTMCell)) else 1
    given = _order_states(model, states, kinds) if isinstance(states, dict) else list(states)
    if isinstance(model, nn.RNNBase):
        layers = model.num_layers * (2 if model.bidirectional else 1)
        is_packed = isinstance(value, PackedSequence)
        batch = value.batch_sizes[:1] if is_packed else value.shape[1 - model.batch_first :][: value.ndim - 2]
        sizes = [
            (layers, *batch[:1], units) for units in (model.proj_size or model.hidden_size, model.hidden_size)
        ]
        if len(given) == kinds * layers and all(state.ndim == 1 + len(batch[:1]) for state in given):
            with suppress(RuntimeError):  # of shapes that differ, which are refused below
                given = [torch.stack(given[kind::kinds]) for kind in range(kinds)]
    else:
        sizes = [(*value.shape[:-1], model.hidden_size)] * 2
        if kinds == 1 and all(state.ndim == 1 < value.ndim for state in given):
            with suppress(RuntimeError):
                given = [torch.stack(given)]  # one array, whose rows these are
    require_states(type(model).__name__, (state.shape for state in given), sizes[:kinds])
    return tuple(given) if kinds == 2 else given[0]


def _order_states(model: Any, states: Mapping[str, Any], kinds: int) -> list[Any]:
    """Return states by name in PyTorch's order, or in Keras's.  kinds: 2 for h and c."""
    name, layers = type(model).__name__.lower().removesuffix("cell"), getattr(model, "num_layers", 1)
    names = [
        f"{name}_l{index}/{state}" if layers > 1 else state
        for index in range(layers)
        for state in _name_states(kinds, 2 if getattr(model, "bidirectional", False) else 1)
    ]
    if all(map(STATE.fullmatch, states)):
        states, names = {state[0]: array for state, array in states.items()}, [*"hc"[:kinds]]
    with inside("initial_state"):
        return order_states({state.removeprefix(f"{name}/"): array for state, array in states.items()}, names)


def calls_of(
    path: str, module: Any, layers: Module, given: ModuleInput, returned: Any, *, is_own: bool
) -> list[LiveCall]:
    """Return the calls of the layers of a module, in order.  is_own: whether its `forward` is its own."""
    is_cell = isinstance(module, nn.RNNCellBase)
    if is_cell:
        output, states = (returned[0] if isinstance(returned, tuple) else returned), returned
    else:
        output, states = returned
    states = states if isinstance(states, tuple) else (states,)
    sequence, _ = _batch_first(module, output)
    axes = ""
    if not is_cell and not isinstance(output, PackedSequence):
        others = "" if module.batch_first else "(timesteps, batch, units)"
        axes = "(timesteps, units)" if output.ndim == 2 else others
    finals = tuple(_state(module, state) for state in states)
    directions = 2 if getattr(module, "bidirectional", False) else 1
    mask = None if given.lengths is None else np.arange(given.inputs.shape[1]) < given.lengths[:, None]
    lacks, can = _explain_lack(module, layers, output, is_own=is_own)
    options = options_of(module, mask if directions == 1 else None)
    count, calls = max(len(layers.nodes), 1), []
    for index in range(count):
        rows = range(index * directions, (index + 1) * directions)
        end = f"_l{index}" if count > 1 else ""
        final = tuple(state[row] for row in rows for state in finals)
        call = LiveCall(
            name=f"{layers.name}{end}",
            path=f"{path}{end}",
            class_name=type(module).__name__,
            config=None,
            weights=layers.nodes[index].weights if layers.nodes else {},
            inputs=None if index else given.inputs,
            outputs={
                **({"hidden_states": sequence} if index + 1 == count else {}),  # of the last layer alone
                **dict(zip(_name_states(len(finals), directions), final, strict=True)),
            },
            mask=mask,
            initial_state=tuple(state[row] for row in rows for state in given.states) or None,
            before=f"{layers.name}_l{index - 1}" if index else "",
            final_state=final,
            is_step=given.inputs.shape[1] == 1 and directions == 1,
            axes=axes,
            lacks=lacks,
        )
        if can:
            node = layers.nodes[index].with_core_options(**options)
            call = call._replace(config={"class_name": node.class_name, "config": node.config})
        calls.append(call)
    return calls


def options_of(module: Any, mask: Array | None) -> dict[str, Any]:
    """Return what the config of a layer says besides what its weights show."""
    options: dict[str, Any] = {"return_sequences": True, "return_state": True}
    if getattr(module, "nonlinearity", "tanh") == "relu" or getattr(module, "mode", "") == "RNN_RELU":
        options["activation"] = "relu"
    return options if mask is None else {**options, "zero_output_for_mask": True}


def _name_states(kinds: int, directions: int) -> list[str]:
    return [
        f"{direction}last_{kind}_state"
        for direction in (("forward_", "backward_") if directions == 2 else ("",))
        for kind in ("hidden", "cell")[:kinds]
    ]


def _explain_lack(module: Any, layers: Module, output: Any, *, is_own: bool) -> tuple[Text, bool]:
    """Return why gates may not be shown ("" if they can be), and whether rnncli's engines can try."""
    tensors = [output.data if isinstance(output, PackedSequence) else output, *weights_of(module).values()]
    dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors}
    if layers.refusal or not layers.nodes:
        return layers.refusal or Message("its weights are not those of a recurrent layer"), False
    if len(dtypes) > 1 or not dtypes <= {"float32", "float64"}:
        return Message("it computes in {dtypes}", dtypes=" and ".join(sorted(dtypes))), False
    if module.training and getattr(module, "dropout", 0) and len(layers.nodes) > 1:
        return Message("dropout draws other numbers in every call"), False
    if is_own:
        return Message("{class_name} has its own forward", class_name=type(module).__name__), True
    return "", True


def module_of(path: str, module: nn.Module, tensors: Mapping[str, Any]) -> Module:
    """Return the layers of a recurrent module, with copies of its weights in Keras's layout."""
    arrays = {f"{path}.{name}" if path else name: _copy(tensor) for name, tensor in tensors.items()}
    wide = {name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in arrays.items()}
    chain = next(iter(find_chains(wide)), None)
    name = path or type(module).__name__.lower().removesuffix("cell")
    return Module(name, ()) if chain is None else to_module(chain, PACKAGE)


def weights_of(module: Any) -> dict[str, Any]:
    """Return the weights that a recurrent module computes with, by their names: `weight_ih_l0`."""
    if isinstance(module, nn.RNNBase):
        names = [name for layer in module._all_weights for name in layer]
    else:
        names = ["weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ())]
    return {name: getattr(module, name) for name in names}


def weights_at_rest(module: Any) -> dict[str, Any]:
    """Return the weights of a module that nothing calls: in training, each look at spectral_norm moves it."""
    moving = [part for part in module.modules() if part is not module and part.training]
    try:
        for part in moving:
            vars(part)["training"] = False
        return weights_of(module)
    finally:
        for part in moving:
            vars(part)["training"] = True


def call_of_other(path: str, module: nn.Module, inputs: Mapping[str, Array], returned: Any) -> LiveCall:
    """Return the call of a module that is not recurrent, or whose `forward` takes or returns other values."""
    name = type(module).__name__
    lacks = (
        Message("{class_name} has its own forward", class_name=name)
        if isinstance(module, RECURRENT)
        else Message("{class_name} is not a recurrent layer", class_name=name)
    )
    outputs = flatten("output", returned, to_array)
    return LiveCall(
        path or name, path, name, None, {}, next(iter(inputs.values()), None), outputs, lacks=lacks
    )


def to_array(value: Any) -> Array | None:
    """Return a copy of a tensor, of a packed one padded; None for any other value."""
    if isinstance(value, PackedSequence):
        return _copy(pad_packed_sequence(value, batch_first=True)[0])
    return _copy(value) if isinstance(value, torch.Tensor) else None


def _copy(tensor: Any) -> Array:
    """Return a copy of a tensor; of bfloat16, which NumPy lacks, as float32."""
    copy = tensor.detach().to("cpu", copy=True)
    array: Array = (copy.float() if copy.dtype == torch.bfloat16 else copy).numpy()
    return array


CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Modules that compute nothing themselves."""


def uncompiled(model: Any) -> Any:
    """Return the module inside what torch.compile made."""
    while "_orig_mod" in model._modules:
        model = model._orig_mod
    return model


def named_modules(
    module: nn.Module, path: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield every module inside with its path, also those in plain lists and dicts, each once.

    What torch.compile made and the module inside it have the same path.
    """
    seen = set() if seen is None else seen
    if id(module) in seen:
        return
    seen.add(id(module))
    yield path, module
    children: dict[str, Any] = dict(module.named_children())
    for name, value in list(vars(module).items()):
        if isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            children |= {f"{name}.{key}": item for key, item in items if isinstance(item, nn.Module)}
    for name, child in children.items():
        parts = (path, "" if name == "_orig_mod" else name)
        yield from named_modules(child, ".".join(filter(None, parts)), seen)


def other_layers(model: nn.Module) -> tuple[str, ...]:
    """Return the modules that are not recurrent, `fc (Linear)`, and the `forward` of the object itself."""
    model = uncompiled(model)
    if isinstance(model, RECURRENT):
        return ()
    names = tuple(
        f"{path} ({type(module).__name__})"
        for path, module in other_modules(dict(named_modules(model))).items()
        if not isinstance(module, CONTAINERS)
    )
    return names if isinstance(model, CONTAINERS) else (*names, f"{type(model).__name__}.forward")


def other_modules(modules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the modules that are neither recurrent, nor inside a recurrent one, nor the object itself."""
    inside = tuple(
        f"{path}." if path else "" for path, module in modules.items() if isinstance(module, RECURRENT)
    )
    return {
        path: module
        for path, module in modules.items()
        if path and not isinstance(module, RECURRENT) and not path.startswith(inside)
        if "parametrizations" not in path.split(".")
    }


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
