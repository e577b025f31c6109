"""The recurrent layers of a file without a graph, and an input, as Cases; in PyTorch, for --check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnncli.errors import (
    EngineError,
    InputError,
    LayerError,
    Message,
    Text,
    UsageError,
    count,
    format_names,
    inside,
    join,
)
from rnncli.frameworks.torch import GATES, MODULES, STATE
from rnncli.inputs.arrange import AxisOrder, contradicts
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case, check_states
from rnncli.layers.stack import Stack
from rnncli.models import Compute, LayerUse, ModelRequest, ModelRun, SavedModel
from rnncli.models.graph import ModelInput, Module, Modules, Node, choose_layers, model_option
from rnncli.models.inputs import empty_input, fit_input
from rnncli.models.layer_cases import spec_of
from rnncli.models.summary import (
    LayerRow,
    ModuleRow,
    Summary,
    TensorRow,
    WeightCounter,
    class_text,
    known_spec,
    pytorch_returns,
    recurrent_outputs,
)
from rnncli.models.weight_files.assumptions import (
    assume,
    assumed_of,
    assumptions,
    axis_order,
    default_order,
    is_batch_first,
    order_of_gates,
)
from rnncli.process.packages import isolated
from rnncli.process.signals import watch
from rnncli.result import Label
from rnncli.values import Array, Shape, Spec, format_shape

AXES = ("batch", "timesteps", "features")
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""PyTorch's names of arrays in a state dict that are no parameters."""


class Model(SavedModel):
    """The recurrent layers of a file without a graph."""

    takes_masks = True

    contents: Modules

    @property
    def axis_order(self) -> AxisOrder:
        return axis_order(self.contents)

    def refuse_axes(self) -> Text:
        """Return the message that --assume says the order already; "" if --assume does not."""
        value = self.contents.assumptions.get("batch_first")
        return "" if value is None else Message("{--assume:text} says the order", text=f"batch_first={value}")

    def describe_inputs(self) -> str:
        """Return `input: (batch, timesteps, 5), float32`; several if modules differ in features."""
        model_inputs = dict.fromkeys(
            f"(batch, timesteps, {width_of(module.nodes[0])}), {dtype_of(module.nodes[0])}"
            for module in self.contents.modules
            if module.nodes
        )
        return f"input: {' or '.join(model_inputs)}"

    def summarize(self, sizes: Mapping[str, Shape]) -> Summary:
        """Return the recurrent layers, then what else the file has, by the paths of its tensors.

        sizes: the shape of the input, if it is given.
        """
        contents = self.contents
        given = next(iter(sizes.values()), ("batch", "timesteps", None))
        counter, rows, inputs = WeightCounter(), list[LayerRow](), dict[str, TensorRow]()
        for module in contents.modules:
            shape: Shape = (*given[:2], width_of(module.nodes[0])) if module.nodes else given
            dtype = str(module.nodes[0].core_config.get("dtype", "")) if module.nodes else ""
            inputs.setdefault(f"{shape}", TensorRow("input", shape, dtype))
            rows += _rows_of(module, shape, counter)
        rows += _others(contents, counter)
        assumed = assumptions(contents)
        notes = (*contents.notes, *([assumed] if assumed else ()))
        modules = tuple(_pytorch_modules(contents, given))
        given_rows = tuple(inputs.values())
        return Summary(contents.file, contents.origin, given_rows, tuple(rows), None, notes, modules=modules)

    def required_inputs(self) -> tuple[ModelInput, ...]:
        """Return the only input, as wide as the first layer of the first chosen module wants it."""
        modules = _used_modules(self.contents, self.choose(self.names))
        node = next((module.nodes[0] for module in modules if module.nodes), None)
        features = 1 if node is None else width_of(node)
        dtype = "float32" if node is None else dtype_of(node)
        batch, steps, _ = AXES
        order = (batch, steps) if self.axis_order.batch_first else (steps, batch)
        return (ModelInput("input", (*order, features), dtype),)

    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return the input (batch, timesteps, features); adds a batch axis of 1 if only that is missing.

        given: an array, or a mapping with one array.
        Raises InputError, also for integers that may be token ids.
        """
        contents = self.contents
        with inside(self.file):
            if isinstance(given, Mapping) and len(given) != 1:
                what = Message("it has no graph and takes one input, but got {count}.", count=len(given))
                raise InputError(what, "Give one array, (batch, timesteps, features).")
            name, array = next(iter(given.items())) if isinstance(given, Mapping) else ("input", given)
            _refuse_token_ids(contents, array)
            dtypes = {dtype_of(node) for node in contents.recurrent_nodes}
            dtype = dtypes.pop() if len(dtypes) == 1 else "float64"
            if is_batch_first(contents) or np.ndim(array) != len(AXES):
                return {name: fit_input(ModelInput(name, AXES, dtype), array)}
            axes = (AXES[1], AXES[0], AXES[2])
            return {name: fit_input(ModelInput(name, axes, dtype), array).swapaxes(0, 1)}

    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each layer gets: a module's first layer the input, the others the previous output.

        request: its layers are names of modules or of layers; `everything` adds only a note: the file does
            not say what its other tensors are for.
        Raises UsageError for an unknown name, LayerError for a layer that cannot be computed, InputError if
        the input does not fit.
        """
        array = next(iter(request.inputs.values()))
        with inside(self.file, UsageError):
            chosen = choose_layers(self.contents, request.layers)
            modules = _used_modules(self.contents, chosen)
            for module in modules:
                require_computable(self.contents, module, array)
            used = replace(self.contents, modules=modules)
            start = states_by_layer(modules, request)
        case = Case(Stack(), array, mask=request.mask, seed=None, assumed=assumed_of(used, request))
        parts = [
            part
            for module in modules
            for part in _parts(module, case, start, request.compute)
            if part.layer in chosen
        ]
        advice = Message("Change them with {--assume}.")
        if (order := request.order) is not None:
            text = "Change them with {--assume}; {way} reads {other}."
            advice = Message(text, way=order.way, other=order.other_name)
        notes = [join((assumptions(used, request), advice), " ")]
        if request.everything and self.contents.other_shapes:
            notes.append(
                Message("{--all-layers} adds nothing: the file does not say what its other tensors are for.")
            )
        return ModelRun(tuple(parts), notes=tuple(notes), order=self.layer_names())

    def run_like(self, cases: Mapping[str, Case], compute: Compute) -> ModelRun:
        """Return what each layer gets if the first layers with Cases of the modules get what these get."""
        parts: list[LayerUse] = []
        notes: dict[Text, None] = {}
        for module in _used_modules(self.contents, tuple(cases)):
            first = next((index for index, node in enumerate(module.nodes) if node.name in cases), None)
            if first is None:
                continue
            module = replace(module, nodes=module.nodes[first:], tensors=module.tensors[first:])
            case = cases[module.nodes[0].name]
            with inside(self.file):
                require_computable(self.contents, module, case.inputs)
            used, given = replace(self.contents, modules=(module,)), ModelRequest({}, compute)
            common = Case(Stack(), case.inputs, mask=case.mask, seed=None, assumed=assumed_of(used, given))
            starts = {name: other.initial_state for name, other in cases.items()}
            parts += _parts(module, common, starts, compute)
            notes[assumptions(used, given)] = None
        return ModelRun(tuple(parts), notes=tuple(notes))

    @property
    def framework(self) -> str:
        """PyTorch, or Keras for a file with Keras's names; both if it has both."""
        kinds = {bool(module.tensors) for module in self.contents.modules if module.nodes}
        return " and ".join(name for name, kind in (("PyTorch", True), ("Keras", False)) if kind in kinds)

    def outputs(self, request: ModelRequest, uses: Sequence[LayerUse]) -> dict[str, Array]:
        """Return every tensor of these layers from torch.nn; from Keras for layers with Keras's names.

        Raises EngineError if the framework is not installed.
        """
        from rnncli import compute

        modules = _used_modules(self.contents, [use.layer for use in uses])
        start = states_by_layer(modules, request)
        torch = tuple(module for module in modules if module.tensors)
        in_torch = {node.name for module in torch for node in module.nodes}
        tensors: dict[str, Array] = {}
        if torch_uses := {use.layer: use for use in uses if use.layer in in_torch}:
            only = replace(self.contents, modules=torch)
            tensors = run_torch(only, request.inputs, torch_uses, start)
        for use in uses:
            if use.layer not in in_torch:
                tensors |= {
                    f"{use.layer}/{tensor.name}": tensor.values
                    for tensor in compute.run(use.case, "tensorflow").outputs
                }
        return tensors

    def assume(self, options: Mapping[str, str]) -> Model:
        """Return the model with these assumptions instead of the defaults of its framework; see `assume`."""
        return Model(assume(self.contents, options), self.path, self.names)


def _used_modules(contents: Modules, chosen: Sequence[str]) -> tuple[Module, ...]:
    """Return the modules of the chosen layers, each without the layers above the last chosen one."""
    modules: list[Module] = []
    for module in contents.modules:
        depths = [depth for depth, node in enumerate(module.nodes, 1) if node.name in chosen]
        if depths:
            depth = depths[-1]
            modules.append(replace(module, nodes=module.nodes[:depth], tensors=module.tensors[:depth]))
        elif module.name in chosen:  # refused: its layers are not known
            modules.append(module)
    return tuple(modules)


def _parts(
    module: Module, common: Case, start: Mapping[str, tuple[Array, ...] | None], compute: Compute
) -> Iterator[LayerUse]:
    """common: the input, the mask, and what is assumed.  start: the initial states, by layer."""
    import numpy as np

    array = common.inputs
    for index, node in enumerate(module.nodes):
        spec = spec_of(node)
        if module.tensors and common.mask is not None:
            spec = _with_zeros_behind(spec)
        numbers = np.ascontiguousarray(array, spec.config["dtype"])
        case = common._replace(
            stack=Stack((spec,)), inputs=numbers, weights=node.weights, initial_state=start.get(node.name)
        )
        case = check_case(case)
        result = compute(case) if index + 1 < len(module.nodes) else None
        yield LayerUse(node.name, case, result, before=module.nodes[index - 1].name if index else "")
        if result:
            array = result.outputs[0].values


def _with_zeros_behind(spec: Spec) -> Spec:
    """Return a layer of PyTorch whose output is 0 in masked steps, as pad_packed_sequence fills them.

    Without its sequence, the output is the state at the real end: `input_order` then keeps that.  In a
    Bidirectional, both are Keras's rule.
    """
    if spec.inner is not spec:
        return spec
    return replace(spec, config={**spec.config, "zero_output_for_mask": True, "input_order": False})


def find_embeddings(model: Modules) -> dict[str, tuple[int, ...]]:
    """Return the tensors that may be tables of an Embedding, with their shapes.

    Such a tensor is alone in its layer, has two axes, and is as wide as the input of a recurrent layer, or
    named after an embedding.
    """
    others = model.other_shapes
    layers = Counter(map(_layer_of, others))
    widths = {width_of(node) for node in model.recurrent_nodes}
    return {
        name: shape
        for name, shape in others.items()
        if len(shape) == 2 and layers[_layer_of(name)] == 1 and (shape[1] in widths or "emb" in name.lower())
    }


def _layer_of(name: str) -> str:
    """Return the path of the layer that a tensor belongs to: `encoder.emb` of `encoder.emb.weight`."""
    return name.rpartition("/" if "/" in name else ".")[0]


def _refuse_token_ids(model: Modules, given: Any) -> None:
    """JSON and CSV have no integers: there, whole numbers that are rows of the table count as integers."""
    array, tables = np.asarray(given), find_embeddings(model)
    if not tables or array.ndim != 2 or not array.size:
        return
    name, (rows, width) = next(iter(tables.items()))
    if array.dtype.kind not in "iu":
        whole = array.dtype == np.float64 and ((array >= 0) & (array < rows) & (array % 1 == 0)).all()
        if not whole or not array.any():
            return
    batch, steps = array.shape
    raise InputError(
        "the input {shape} has whole numbers, and {name} {table} looks like an Embedding. As token ids they "
        "are {batch} of {steps}; as features, {one} of {rows}.",
        "For token ids, give {--model} the whole model, with its graph, or this file the embedded input, "
        "{embedded}. For features, give {with_batch}.",
        shape=format_shape(array.shape),
        name=name,
        table=format_shape((rows, width)),
        batch=count(batch, "sequence"),
        steps=count(steps, "time step"),
        one=count(1, "sequence"),
        rows=count(batch, "time step"),
        embedded=format_shape((batch, steps, width)),
        with_batch=format_shape((1, batch, steps)),
    )


def require_computable(modules: Modules, module: Module, array: Array) -> None:
    """Raise LayerError for a module that cannot be computed, InputError for an input with other features."""
    others = [other.name for other in modules.modules if not other.refusal]
    if module.refusal:
        choice = (
            Message("Choose others: {option}", option=model_option(modules.file, others)) if others else ""
        )
        raise LayerError(*module.explain_refusal(choice))
    width = width_of(module.nodes[0])
    if 0 in array.shape:
        raise empty_input(module.name)
    if array.shape[2] == width:
        return
    widths = {other.name: width_of(other.nodes[0]) for other in modules.modules if other.nodes}
    known = [f"{name} takes {features}" for name, features in widths.items()]
    fitting = [name for name, features in widths.items() if features == array.shape[2]]
    expected = count(width, "feature")
    advice = Message("Give inputs of {wanted}.", wanted=expected)
    if fitting:
        advice = Message(
            "Choose a layer that takes it: {option} ({known}).",
            option=model_option(modules.file, fitting[:1]),
            known=format_names(known),
        )
    elif len(known) > 1:
        advice = Message(
            "Give inputs that fit a layer, and name it after a # ({known}).", known=format_names(known)
        )
    raise InputError(
        "{name} takes {wanted}, but the input {shape} has {features}.",
        advice,
        name=module.name,
        wanted=expected,
        shape=format_shape(array.shape),
        features=array.shape[2],
    )


def width_of(node: Node) -> int:
    """Return the number of features that a layer takes."""
    return next(len(array) for name, array in node.weights.items() if name.rpartition("/")[2] == "kernel")


def dtype_of(node: Node) -> str:
    """Return the dtype in which a layer computes."""
    return str(node.core_config["dtype"])


def states_by_layer(modules: Sequence[Module], request: ModelRequest) -> dict[str, tuple[Array, ...]]:
    """Return the initial states of each layer, in Keras's order; {} if none are given.

    The given states are one of three:

    - a list in the order of the layers;
    - an object with the names `last_hidden_state`, and for several layers `gru_l0/last_hidden_state`;
    - PyTorch's h_0 and c_0, (layers * directions, batch, units), or of a cell (batch, units).

    Raises InputError if they do not fit.
    """
    raw, where = request.states
    shape = next(iter(request.inputs.values())).shape
    if raw is None:
        return {}
    with inside(where):
        converted = _from_pytorch(modules, raw)
        by_name = dict(converted if converted is not None else _split(modules, shape, raw))
        groups = (arrays.values() if isinstance(arrays, Mapping) else arrays for arrays in by_name.values())
        sizes = {len(array) for arrays in groups for array in arrays if array.ndim == 2}
        if sizes == {shape[1]} != {shape[0]}:
            what = Message(
                "the initial states are those of {sequences}", sequences=count(sizes.pop(), "sequence")
            )
            if error := contradicts(shape, request.order if request.has_batch else None, what):
                raise error
    states = {}
    for node in _nodes(modules):
        stack = Stack((spec_of(node),))
        states[node.name] = check_states(by_name[node.name], stack, (*shape[:2], None), where) or ()
    return states


def _nodes(modules: Sequence[Module]) -> list[Node]:
    return [node for module in modules for node in module.nodes]


def _split(modules: Sequence[Module], shape: tuple[int, ...], raw: Any) -> Iterator[tuple[str, Any]]:
    nodes = _nodes(modules)
    names = {node.name: [info.name for info in Stack((spec_of(node),)).states(shape)] for node in nodes}
    if len(nodes) == 1:
        only = nodes[0].name
        by_name = isinstance(raw, Mapping)
        yield only, {name.removeprefix(f"{only}/"): raw[name] for name in raw} if by_name else raw
        return
    if isinstance(raw, Mapping):
        known = [f"{layer}/{name}" for layer, states in names.items() for name in states]
        unknown = [name for name in raw if name not in known]
        if unknown or len(raw) < len(known):
            raise InputError(
                "there is no state {name!r}." if unknown else "{name} is missing.",
                "Give {names}.",
                name=unknown[0] if unknown else next(name for name in known if name not in raw),
                names=", ".join(known),
            )
        for layer, states in names.items():
            yield layer, {name: raw[f"{layer}/{name}"] for name in states}
        return
    if len(raw) != sum(map(len, names.values())):
        known = [f"{layer}/{name}" for layer, states in names.items() for name in states]
        raise InputError(
            "it has {given}, but {layers} need {count}: {names}.",
            "Give one of each, in this order.",
            given=count(len(raw), "state"),
            layers=count(len(names), "layer"),
            count=len(known),
            names=", ".join(known),
        )
    rest = iter(raw)
    for layer, states in names.items():
        yield layer, [next(rest) for _ in states]


def _from_pytorch(modules: Sequence[Module], raw: Any) -> dict[str, list[Array]] | None:
    """Return the states by layer if they are PyTorch's h_0 and c_0; None for any other states."""
    if isinstance(raw, Mapping):
        kinds = {match[1]: array for name, array in raw.items() if (match := STATE.fullmatch(name))}
        if not kinds or len(kinds) < len(raw):
            return None
    else:
        kinds = dict(zip("hc", raw, strict=False))
        if not raw or len(raw) > len(kinds) or any(array.ndim != 3 for array in raw):
            return None
    if len(modules) > 1 or not modules[0].tensors:
        what = "h_0 and c_0 are the states of one module of PyTorch."
        raise InputError(what, "Give the states by layer, or choose a module: {--model FILE#MODULE}.")
    nodes = modules[0].nodes
    wanted = "hc" if nodes[0].core_class == "LSTM" else "h"
    directions = 2 if nodes[0].class_name == "Bidirectional" else 1
    least = len(nodes) * directions
    if least == 1:  # a cell of PyTorch takes (batch, units)
        kinds = {kind: array[None] if array.ndim == 2 else array for kind, array in kinds.items()}
    if sorted(kinds) != sorted(wanted) or any(
        len(array) < least or array.ndim != 3 for array in kinds.values()
    ):
        given = [f"{kind}_0 {format_shape(array.shape)}" for kind, array in kinds.items()]
        raise InputError(
            "it has {given}.",
            "Give {wanted}, each (layers * directions, batch, units), here ({least}, batch, units).",
            given=format_names(given),
            wanted=format_names([f"{kind}_0" for kind in wanted]),
            least=least,
        )
    return {
        node.name: [kinds[kind][index * directions + way] for way in range(directions) for kind in wanted]
        for index, node in enumerate(nodes)
    }


def run_torch(
    model: Modules,
    inputs: Mapping[str, Array],
    uses: Mapping[str, LayerUse],
    start: Mapping[str, tuple[Array, ...]],
) -> dict[str, Array]:
    """Return the outputs of torch.nn for these layers, by `lstm_l0/hidden_states`.

    start: the initial states, by layer.
    Raises EngineError without PyTorch, UsageError for an assumption that PyTorch's layer does not have.
    """
    watch("PyTorch", Message("Leave {--check} out, or try another version of the engine."))
    try:
        with isolated():
            import torch
    except ImportError:
        what = "{--check}: PyTorch is not installed; it is needed to run the layers of this file."
        raise EngineError(what, "pip install torch") from None
    array, mask = next(iter(inputs.values())), next(iter(uses.values())).case.mask
    tensors: dict[str, Array] = {}
    for module in model.modules:
        given = array
        for node, stored in zip(module.nodes, module.tensors, strict=True):
            layer = _layer(torch, node, stored, _parameters(model, node, stored))
            given_states, kinds = start.get(node.name, ()), 2 if node.core_class == "LSTM" else 1
            first = [  # h_0, of an LSTM also c_0, each (directions, batch, units)
                torch.tensor(np.stack(given_states[kind::kinds])) for kind in range(kinds) if given_states
            ]
            call = _call if mask is None else partial(_call_packed, mask)
            with torch.no_grad():
                numbers = torch.tensor(given.astype(stored["weight_ih"].dtype))
                sequence, states = call(layer, numbers, first)
            if node.name in uses:
                tensors |= _tensors_of(uses[node.name], sequence, states)
            given = sequence
    return tensors


def _call(layer: Any, numbers: Any, first: Sequence[Any]) -> tuple[Array, list[Array]]:
    """Return the sequence, then hidden and cell state as in PyTorch, each (directions, batch, units)."""
    sequence, states = layer(numbers, tuple(first) if len(first) > 1 else first[0] if first else None)
    states = states if isinstance(states, tuple) else (states,)
    return sequence.numpy(), [state.numpy() for state in states]


def _call_packed(mask: Array, layer: Any, numbers: Any, first: Sequence[Any]) -> tuple[Array, list[Array]]:
    """A sequence without steps cannot be packed: its outputs are zeros, its states the initial ones."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    there = np.flatnonzero(mask.any(axis=1))
    kept = np.argsort(~mask[there], axis=1, kind="stable")  # the steps of a sequence, then the masked steps
    steps = torch.tensor(kept)[:, :, None]
    real = torch.take_along_dim(numbers[there], steps, 1)
    packed = pack_padded_sequence(real, mask[there].sum(1).tolist(), batch_first=True, enforce_sorted=False)
    chosen = [state[:, there] for state in first]
    output, states = layer(packed, *([tuple(chosen)] if len(chosen) > 1 else chosen))
    padded, _ = pad_packed_sequence(output, batch_first=True, total_length=mask.shape[1])
    sequence = torch.zeros(*mask.shape, padded.shape[2], dtype=padded.dtype)
    sequence[there] = torch.zeros_like(padded).scatter(1, steps.expand_as(padded), padded)
    returned = []
    for index, state in enumerate(states if isinstance(states, tuple) else (states,)):
        whole = (
            first[index].clone() if first else torch.zeros(len(state), len(mask), state.shape[2]).to(state)
        )
        whole[:, there] = state
        returned.append(whole.numpy())
    return sequence.numpy(), returned


def _layer(torch: Any, node: Node, stored: Mapping[str, Array], parameters: Mapping[str, Array]) -> Any:
    """Return one layer of torch.nn.  stored: its tensors in the file.  parameters: by torch.nn's names."""
    config, class_name = node.core_config, node.core_class
    activation, gates = config.get("activation", "tanh"), config.get("recurrent_activation", "sigmoid")
    plain = class_name == "SimpleRNN" and activation in ("tanh", "relu")
    if (not plain and activation != "tanh") or gates != "sigmoid" or config.get("reset_after") is False:
        what = "{--check}: torch.nn.{classes} does not have the options assumed for {name}."
        raise UsageError(what, "Leave {--check} out.", classes=MODULES[class_name], name=node.name)
    wide, features = stored["weight_ih"].shape
    options = {"nonlinearity": activation} if plain else {}
    with torch.device("meta"):  # no random numbers are drawn
        layer = getattr(torch.nn, MODULES[class_name])(
            features,
            wide // len(GATES[class_name]),
            bias=any(name.startswith("bias_") for name in stored),
            batch_first=True,
            bidirectional=node.class_name == "Bidirectional",
            dtype=getattr(torch, stored["weight_ih"].dtype.name),
            **options,
        )
    layer.load_state_dict({name: torch.tensor(array) for name, array in parameters.items()}, assign=True)
    return layer


def _parameters(model: Modules, node: Node, stored: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors by torch.nn's names, with its order of gates; a missing bias is zero."""
    order = order_of_gates(model, node)
    gates = default_order(node)
    parameters: dict[str, Array] = {}
    for name, array in stored.items():
        parts = np.split(array, len(gates) or 1)
        moved = np.concatenate([parts[order.index(gate)] for gate in gates]) if gates else array
        role, back, _ = name.partition("_reverse")
        parameters[f"{role}_l0{back}"] = moved
    biases = [name for name in parameters if name.startswith("bias_")]
    for name in biases:
        for other in ("ih", "hh"):
            parameters.setdefault(
                f"bias_{other}{name.removeprefix('bias_')[2:]}", np.zeros_like(parameters[name])
            )
    return parameters


def _tensors_of(use: LayerUse, sequence: Array, states: Sequence[Array]) -> dict[str, Array]:
    def array_of(label: Label) -> Any:
        backward = int(label.direction == "backward")
        if label.part == "cell":
            return states[1][backward]
        if label.last:
            return states[0][backward]
        return sequence if label.sequence else np.concatenate(states[0], axis=-1)

    infos = use.case.stack.outputs(use.case.inputs.shape)
    return {f"{use.layer}/{info.name}": array_of(info.label) for info in infos}


def _pytorch_modules(contents: Modules, given: Shape) -> Iterator[ModuleRow]:
    """given: the shape of the input, batch first.  A cell, whose weights have no `_l0`, returns one step."""
    batch_first = is_batch_first(contents)
    first = given[:2] if batch_first else given[1::-1]
    for module in contents.modules:
        if module.is_cell or module.refusal or not module.tensors:
            continue
        node = module.nodes[0]
        directions = 2 if node.class_name == "Bidirectional" else 1
        units = node.core_config["units"]
        returns = pytorch_returns(
            node.core_class, first, units, len(module.nodes), directions, batch_first=batch_first
        )
        yield ModuleRow(module.name, returns)


def _rows_of(module: Module, shape: Shape, counter: WeightCounter) -> Iterator[LayerRow]:
    source = "input"
    for index, node in enumerate(module.nodes):
        spec = None if module.refusal else known_spec(node)
        outputs: tuple[TensorRow, ...] = (TensorRow(f"{node.name}/output", None),)
        if spec is not None:
            outputs = recurrent_outputs(spec, node.name, shape)
        stored = module.tensors[index] if module.tensors else node.weights
        yield LayerRow(
            name=node.name,
            class_name=class_text(node.class_name, node.config),
            inputs=(source,),
            outputs=outputs,
            weights=counter.rows(stored.items(), None if module.tensors else node.parameters),
            recurrent=True,
            spec=spec,
            input_shape=shape,
            note=module.reason,
        )
        source, shape = node.name, outputs[0].shape or (*shape[:2], None)


def _others(contents: Modules, counter: WeightCounter) -> Iterator[LayerRow]:
    layers: dict[str, dict[str, SimpleNamespace]] = {}
    for name, shape in contents.other_shapes.items():
        path = name.replace("/", ".").rpartition(".")[0]
        leaf = name[len(path) + 1 :] if path else name
        layers.setdefault(name[: len(path)], {})[leaf] = SimpleNamespace(shape=shape)
    refusals = {module.name: module.reason for module in contents.modules if not module.nodes}
    for name, arrays in layers.items():
        weights = counter.rows(arrays.items(), frozen=BUFFERS)
        if contents.origin == "PyTorch":
            weights = tuple(row._replace(parameters=0) if row.name in BUFFERS else row for row in weights)
        yield LayerRow(name, "", None, (), weights, note=refusals.get(name, ""))
