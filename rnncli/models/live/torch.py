"""A PyTorch module, called once: what its LSTM, GRU and RNN modules and their cells are given and return.

While it runs, each of these modules has a `forward` among its attributes, which calls the one of its class.
The summary has the modules with their parameters; after a call, with the shapes that it gave.  The tape is
autograd's; no gradient of a weight is touched.
"""

from __future__ import annotations

import copy
import inspect
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial, update_wrapper
from types import MethodType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnncli.errors import InputError, LayerError, Message, Text, UsageError, format_names
from rnncli.frameworks.torch import FRAMEWORK as FRAMEWORK
from rnncli.inputs.arrange import mask_of_lengths
from rnncli.models.graph import Module
from rnncli.models.layer_cases import name_outputs
from rnncli.models.live.recording import (
    RECORDING,
    LiveCall,
    OtherLayers,
    Recording,
    arrange_calls,
    bind,
    flatten,
    holds_numbers,
    refuse_at,
    refuse_beside,
    require_numbers,
    stack_sequences,
    to_mask,
    without_use,
)
from rnncli.models.live.tape import ANY_ORDER, Tape
from rnncli.models.live.torch_calls import (
    FORWARDS,
    RECURRENT,
    UNREADABLE,
    ModuleInput,
    call_of_other,
    calls_of,
    checksums,
    differ,
    find_misfit,
    fit_states,
    is_quantized,
    module_of,
    named_modules,
    other_modules,
    to_array,
    unchanged,
    uncompiled,
    version_of,
    weights_at_rest,
    weights_of,
)
from rnncli.models.live.torch_calls import other_layers as other_layers
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

            def run() -> Any:
                return model(*arguments.args, **arguments.kwargs)

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
    classes = {  # of a namesake of PyTorch's own recurrent layers, with its package
        kind.__name__ if getattr(nn, kind.__name__, kind) is kind else f"{kind.__module__}.{kind.__name__}"
        for kind in (type(module) for module in modules.values() if module is not model)
    }
    raise LayerError(
        "{name} called no LSTM, GRU or RNN of PyTorch, and none of their cells. It holds {classes}.",
        unseen
        if holds_some or not others
        else Message("To see what another module returns, name it: at='{example}'", example=others[0]),
        name=name,
        classes=format_names(sorted(classes)) or Message("no modules"),
    )


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
    notes: list[Text] = []
    if scripted:
        paths = format_names([path or name for path in scripted])
        text = "TorchScript, which is not called; only its parameters are shown: {names}"
        notes.append(Message(text, names=paths))
    if quantized:
        paths = format_names([path or name for path in quantized])
        notes.append(Message("quantized, so its packed weights are not counted: {names}", names=paths))
    return Summary(
        "", origin, inputs, tuple(rows), outputs or None, tuple(notes), name, modules=tuple(modules)
    )


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
                    given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
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


class TorchTape(Tape):
    """See `Tape`.  A packed input or output is padded, batch first."""

    orders = ANY_ORDER

    def call(self, run: Callable[[], Any], arguments: inspect.BoundArguments) -> Any:
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
