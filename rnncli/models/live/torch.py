"""A PyTorch module, called once: what its LSTM, GRU and RNN modules and their cells are given and return.

While it runs, each of these modules has a `forward` among its attributes, which calls the one of its class.
"""

from __future__ import annotations

import copy
import inspect
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial, update_wrapper
from types import MethodType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from rnncli.errors import InputError, LayerError, Message, Text, UsageError, format_names
from rnncli.frameworks.torch import FRAMEWORK as FRAMEWORK
from rnncli.inputs.arrange import mask_of_lengths
from rnncli.models.graph import Module
from rnncli.models.live.recording import (
    RECORDING,
    LiveCall,
    OtherLayers,
    Recording,
    arrange_calls,
    bind,
    flatten,
    refuse_at,
    refuse_beside,
    require_numbers,
    stack_sequences,
    to_mask,
    without_use,
)
from rnncli.models.live.sequences import holds_numbers
from rnncli.models.live.tape import Tape
from rnncli.models.live.torch_calls import (
    FORWARDS,
    RECURRENT,
    ModuleInput,
    call_of_other,
    calls_of,
    find_misfit,
    fit_states,
    is_quantized,
    module_of,
    named_modules,
    other_modules,
    to_array,
    uncompiled,
    weights_at_rest,
    weights_of,
)
from rnncli.models.live.torch_calls import other_layers as other_layers
from rnncli.models.live.torch_state import UNREADABLE, checksums, differ, unchanged, version_of
from rnncli.values import Array

BESIDE = {"initial_state": ("hx", "hidden", "state"), "lengths": ("length", "seq_lengths"), "mask": ()}
"""Other names of parameters that take what is given beside the input."""


def record(
    model: nn.Module,
    given: Any,
    *,
    training: bool,
    at: str | None,
    beside: Mapping[str, Any],
    tape: Tape | None = None,
    everything: bool = False,
) -> Recording:
    """Call a module once, and return what its recurrent modules were given and returned.

    tape: what differentiates the call.
    Raises LayerError for a module whose calls cannot be recorded, UsageError for an unknown `at`, and what
    the module itself raises.
    """
    model = uncompiled(model)
    named = list(named_modules(model))
    modules, every = dict(named), [module for _, module in named]
    _require_recordable(model, modules)
    chosen = _choose(model, modules, at)
    arguments = _arguments(model, given, beside)
    inputs = flatten("", arguments.arguments, to_array)
    require_numbers(inputs)
    recorder = _TorchRecorder()
    with RECORDING, unchanged(every, arguments.arguments):
        _prepare(every, training=training)
        for path, module in chosen.items():
            vars(module)["forward"] = _Forward(recorder, path, module)
            recorder.watch_hooks(path, module)
        for path, module in {**other_modules(modules), **chosen}.items() if everything else ():
            recorder.watch_output(path, module)
        sums = checksums(model)
        try:
            run = partial(_call, model, arguments)
            returned = run() if tape is None else tape.call(run, arguments)
        except Exception as error:
            if error is recorder.failed:
                raise recorder.misfit from error
            raise
        outputs = flatten("output", returned, to_array)
        changed = [name for name, number in checksums(model).items() if sums.get(name) != number]
        after = flatten("", arguments.arguments, to_array)
        written = [name for name in after if name not in inputs or differ(after[name], inputs[name])]
    calls = arrange_calls(recorder.calls)
    _require_calls(model, modules, calls, at)
    notes = (*_notes(chosen, calls, changed, written), *recorder.notes())
    return Recording(calls, inputs, outputs, notes, others=recorder.others if everything else None)


def _call(model: Any, arguments: inspect.BoundArguments) -> Any:
    return model(*arguments.args, **arguments.kwargs)


class _Known(NamedTuple):
    """The layers of a module, made from these tensors with these versions."""

    tensors: Mapping[str, Any]
    versions: Sequence[int | None]
    layers: Module


class _TorchRecorder:
    """Makes a LiveCall of each call of a chosen module in this thread, outside of another recorded call.

    failed: what PyTorch raised because a recurrent module does not take its input, and misfit: the error that
    says so.  The object may catch `failed`, so it is not replaced before it leaves the object.
    """

    def __init__(self) -> None:
        self.calls: list[LiveCall] = []
        self.thread = threading.get_ident()
        self.is_inside = False
        self.known: dict[str, _Known] = {}
        self.returned: dict[str, dict[str, Array]] = {}
        self.hooked: dict[str, None] = {}
        self.failed: Exception | None = None
        self.misfit = InputError("")
        self.others = OtherLayers()

    def call(self, forward: _Forward, args: Any, kwargs: Any) -> Any:
        """Call the module's own `forward`, and record the call."""
        if self.is_inside or threading.get_ident() != self.thread or torch.compiler.is_compiling():
            return forward.original(*args, **kwargs)
        module = forward.module
        # spectral_norm in training makes another weight at each look.
        draws = module.training and parametrize.is_parametrized(module)
        self.is_inside = True
        try:
            with parametrize.cached() if draws else nullcontext():
                return self._record(forward, args, kwargs)
        finally:
            self.is_inside = False

    def _record(self, wrapper: _Forward, args: Any, kwargs: Any) -> Any:
        """Tensors inside torch.vmap, and wrong arguments, cannot be read: then nothing is recorded."""
        path, module, forward = wrapper.path, wrapper.module, wrapper.original
        is_own = getattr(wrapper.innermost, "__func__", None) not in FORWARDS
        readers: list[Callable[[Any], list[LiveCall]]] = []
        with suppress(*UNREADABLE):
            if isinstance(module, RECURRENT):
                layers = self._layers(path, module)
                given = ModuleInput.read(module, args, kwargs)
                readers.append(
                    lambda returned: calls_of(path, module, layers, given, returned, is_own=is_own)
                )
        with suppress(*UNREADABLE):
            if is_own:
                inputs = flatten("input", [args, kwargs], to_array)
                readers.append(lambda returned: [call_of_other(path, module, inputs, returned)])
        try:
            returned = forward(*args, **kwargs)
        except Exception as error:
            if not is_own and (misfit := find_misfit(path, module, args, kwargs)):
                self.failed, self.misfit = error, misfit
            raise
        if path in self.returned:
            self.returned[path] = flatten("output", returned, to_array)
        for read in readers:
            with suppress(*UNREADABLE):
                self.calls += read(returned)
                break
        return returned

    def watch_hooks(self, path: str, module: nn.Module) -> None:
        """Compare what `forward` returns with what the module returns after its hooks.

        Putting the attributes of the module back takes the hook away.
        """

        def note(called: nn.Module, _: object, returned: object) -> None:
            if called is module and threading.get_ident() == self.thread and not self.is_inside:
                after, before = flatten("output", returned, to_array), self.returned[path]
                if before and (
                    after.keys() != before.keys() or any(differ(after[name], before[name]) for name in after)
                ):
                    self.hooked[path or type(module).__name__] = None

        if module._forward_hooks or torch_module._global_forward_hooks:
            self.returned[path] = {}
            module.register_forward_hook(note)

    def watch_output(self, path: str, module: Any) -> None:
        """Note what a module returns.  Putting its attributes back takes the hook away."""

        def note(called: nn.Module, args: Any, kwargs: Any, returned: Any) -> None:
            if called is not module or threading.get_ident() != self.thread or self.is_inside:
                return
            with suppress(*UNREADABLE):
                given = flatten("", [args, kwargs], to_array).values()
                arrays = flatten("output", returned, to_array)
                name = path or type(module).__name__
                self.others.add(name, given, arrays, recurrent=isinstance(module, RECURRENT))

        if not isinstance(module, torch.jit.ScriptModule):
            module.register_forward_hook(note, with_kwargs=True)

    def notes(self) -> Iterator[Text]:
        """Yield a remark on layers whose numbers a hook changes."""
        if self.hooked:
            text = "a forward hook changes what {names} returns; what is shown is from before the hook"
            yield Message(text, names=format_names(list(self.hooked)))

    def _layers(self, path: str, module: nn.Module) -> Module:
        """Return the layers of a module with copies of its weights, made again if a weight has changed."""
        tensors = weights_of(module)
        versions = [version_of(tensor) for tensor in tensors.values()]
        known = self.known.get(path)
        if (
            known is None
            or None in versions
            or known.versions != versions
            or any(known.tensors[name] is not tensor for name, tensor in tensors.items())
        ):
            known = self.known[path] = _Known(tensors, versions, module_of(path, module, tensors))
        return known.layers


class _Forward:
    def __init__(self, recorder: _TorchRecorder, path: str, module: nn.Module) -> None:
        self.recorder, self.path, self.module = recorder, path, module
        self.original = module.forward
        update_wrapper(self, self.original, updated=())  # not the attributes of another recording

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.recorder.call(self, args, kwargs)

    @property
    def innermost(self) -> Any:
        """The `forward` of the module without recordings around it."""
        return self.original.innermost if isinstance(self.original, _Forward) else self.original

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return what a copy of the module calls: its own `forward`, with its own weights."""
        if getattr(self.innermost, "__func__", None) is not type(self.module).forward:
            return copy.deepcopy(self.innermost, memo)  # set on the module itself
        module = memo.get(id(self.module), self.module)
        return MethodType(type(module).forward, module)


def _choose(model: nn.Module, modules: Mapping[str, Any], at: str | None) -> dict[str, Any]:
    recurrent = {path: module for path, module in modules.items() if isinstance(module, RECURRENT)}
    if at is None:
        return recurrent
    path = without_use(at)
    if path in modules:
        return {path: modules[path]}
    names: list[str] = []
    for title, module in named_modules(uncompiled(model)):
        if isinstance(module, RECURRENT):
            names += [node.name for node in module_of(title, module, weights_at_rest(module)).nodes] or [
                title
            ]
    if path in names:
        bare = re.sub(r"_l\d+$", "", path)
        return {bare: modules[bare]} if bare in modules else recurrent
    raise refuse_at(model, at, [*names, *filter(None, modules)])


def _prepare(modules: Sequence[Any], *, training: bool) -> None:
    """In training, a model that is in training keeps the modes of its modules: some may be frozen."""
    keeps = training and modules[0].training
    for module in modules:
        if not keeps and module.training != training:
            vars(module)["training"] = training
        if vars(module).get("_compiled_call_impl") is not None:
            vars(module)["_compiled_call_impl"] = None
        if "_orig_mod" in module._modules:
            vars(module)["forward"] = module._orig_mod


def _arguments(model: Any, given: Any, beside: Mapping[str, Any]) -> inspect.BoundArguments:
    like = next((weight for weight in model.parameters() if weight.is_floating_point()), torch.empty(0))
    is_layer = isinstance(model, RECURRENT)
    given = stack_sequences(given) if is_layer and isinstance(given, list) else given
    value, keywords = _to_tensors(given, like, floats=is_layer), {}
    known = inspect.signature(model.forward).parameters
    for name, array in beside.items():
        if isinstance(model, nn.RNNBase) and name != "initial_state":
            value = _pack(model, value, name, array)
            continue
        parameter = next((other for other in (name, *BESIDE.get(name, ())) if other in known), None)
        if parameter is None:
            raise refuse_beside(model, name, "forward")
        if name == "lengths":
            _require_lengths(value, tuple(array.tolist()))
        states = _to_tensors(array, like, floats=name == "initial_state")
        keywords[parameter] = fit_states(model, states, value) if is_layer else states
    return bind(model.forward, value, keywords)


def _pack(model: Any, value: Any, name: str, given: Array) -> PackedSequence:
    """Return the input packed.  given: `lengths`, or a `mask` whose steps are all at the start."""
    if isinstance(value, PackedSequence) or value.ndim != 3:
        what = "{option}: the input is not a batch of padded sequences."
        raise UsageError(what, "Give an input of 3 axes, or leave {option} out.", option=name)
    first = bool(model.batch_first)
    shape = tuple(value.shape) if first else (value.shape[1], value.shape[0], *value.shape[2:])
    mask = to_mask(name, given, shape)
    lengths = mask.sum(1)
    if (mask != (np.arange(mask.shape[1]) < lengths[:, None])).any():
        raise UsageError(
            "{--mask}: PyTorch masks only steps at the end of a sequence.", "Give {--lengths} instead."
        )
    if not lengths.all():
        raise InputError(
            "{--mask}: PyTorch takes no sequence whose steps are all masked.", "Leave the sequence out."
        )
    return pack_padded_sequence(value, torch.as_tensor(lengths), batch_first=first, enforce_sorted=False)


def _require_lengths(value: Any, lengths: tuple[int, ...]) -> None:
    """Lengths must fit a tensor of several axes among the arguments, batch first or time first."""
    given = value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else [value]
    shapes = [tuple(tensor.shape[:2]) for tensor in given if isinstance(tensor, torch.Tensor)]
    both = [reading for shape in shapes if len(shape) == 2 for reading in (shape, shape[::-1])]
    if not any(len(lengths) == batch and max(lengths) <= steps for batch, steps in both):
        for shape in [reading for reading in both if reading[0] == len(lengths)] or both:
            mask_of_lengths(lengths, shape)  # which raises the error


def _to_tensors(value: Any, like: Any, *, floats: bool = False) -> Any:
    """floats: whether integers become floats; otherwise they may be the ids of tokens."""
    if hasattr(value, "__array__") and not isinstance(value, torch.Tensor):
        value = np.asarray(value)  # of a DataFrame, or of a tensor of another framework
    if isinstance(value, list) and holds_numbers(value):
        with suppress(ValueError):  # sequences of different lengths stay a list
            value = np.array(value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            what = "the input is of type {dtype}, and PyTorch has no tensor of such values."
            advice = "Give numbers; of a table, the columns of numbers: {--columns a,b}."
            raise InputError(what, advice, dtype=value.dtype)
        kind = like.dtype if value.dtype.kind == "f" or floats else None
        kind = torch.int64 if kind is None and value.dtype.kind in "iu" else kind
        return torch.tensor(value, dtype=kind, device=like.device)
    if isinstance(value, dict):
        return {name: _to_tensors(item, like, floats=floats) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_to_tensors(item, like, floats=floats) for item in value)
    return value


def _require_recordable(model: nn.Module, named: Mapping[str, Any]) -> None:
    modules = named.values()
    weights = [weight for module in modules for weight in module._parameters.values() if weight is not None]
    name = type(model).__name__
    if scripted := [path for path, module in named.items() if isinstance(module, torch.jit.ScriptModule)]:
        raise LayerError(
            "{name} is TorchScript, whose calls cannot be recorded.",
            "Give the module that it was made from.",
            name=name if "" in scripted else Message("{path} of {name}", path=scripted[0], name=name),
        )
    if any(map(nn.parameter.is_lazy, weights)):
        raise LayerError(
            "{name} has lazy weights, whose shapes are not known yet.", "Call it once first.", name=name
        )
    if any(weight.is_meta for weight in weights):
        advice = "Give it numbers first: model.to_empty(device='cpu'), then load_state_dict."
        raise LayerError("{name} is on the meta device, so its weights have no numbers.", advice, name=name)
    if isinstance(model, nn.DataParallel) and model.device_ids:
        raise LayerError("{name} runs copies of its module.", "Give model.module.", name=name)


def _require_calls(
    model: nn.Module, modules: Mapping[str, Any], calls: Sequence[LiveCall], at: str | None
) -> None:
    if calls:
        return
    name = type(model).__name__
    unseen = Message("A call in another thread or in torch.vmap is not seen.")
    if at is not None:
        raise LayerError("{name} did not call {at}.", unseen, name=name, at=at)
    if quantized := [
        path or name for path, module in modules.items() if is_quantized(module, recurrent=True)
    ]:
        raise LayerError(
            "{name} called no recurrent layer that rnncli computes; quantized: {layers}.",
            Message(
                "Give the module that it was made from; at='{path}' shows what it returns.", path=quantized[0]
            ),
            name=name,
            layers=format_names(quantized),
        )
    others = [path for path in modules if path]
    holds_some = any(isinstance(module, RECURRENT) for module in modules.values())
    classes = sorted({_class_text(module) for module in modules.values() if module is not model})
    raise LayerError(
        "{name} called no LSTM, GRU or RNN of PyTorch, and none of their cells. It holds {classes}.",
        unseen
        if holds_some or not others
        else Message("To see what another module returns, name it: at='{example}'", example=others[0]),
        name=name,
        classes=format_names(classes) or Message("no modules"),
    )


def _class_text(module: Any) -> str:
    """Return the class of a module; of a namesake of PyTorch's own recurrent layers, with its package."""
    kind = type(module)
    is_namesake = getattr(nn, kind.__name__, kind) is not kind
    return f"{kind.__module__}.{kind.__name__}" if is_namesake else kind.__name__


def _notes(
    chosen: Mapping[str, Any], calls: Sequence[LiveCall], changed: Sequence[str], written: Sequence[str]
) -> Iterator[Text]:
    seen = {re.sub(r"_l\d+$", "", call.path) for call in calls} | {call.path for call in calls}
    if missed := [path for path in chosen if path not in seen]:
        text = "not called, or out of sight (in another thread, or in torch.vmap): {names}"
        yield Message(text, names=", ".join(missed))
    if changed:
        yield Message("the call itself changed {names}; they stay changed", names=format_names(changed))
    if written:
        names = format_names(written)
        yield Message("the call itself changed its input, {names}, which is put back", names=names)
