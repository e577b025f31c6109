"""The recurrent layers of a file without a graph, and an input, as Cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, Text, UsageError, inside, join
from rnncli.inputs.arrange import AxisOrder
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case
from rnncli.layers.stack import Stack
from rnncli.models import Compute, LayerUse, ModelRequest, ModelRun, SavedModel
from rnncli.models.graph import ModelInput, Module, Modules, choose_layers
from rnncli.models.layer_cases import spec_of
from rnncli.models.weight_files import by_torch, inputs, states
from rnncli.models.weight_files.assumptions import assume, assumed_of, assumptions, axis_order
from rnncli.values import Array, Shape, Spec

if TYPE_CHECKING:
    from rnncli.models.summary import Summary


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
            f"(batch, timesteps, {inputs.features_of(module.nodes[0])}), {inputs.dtype_of(module.nodes[0])}"
            for module in self.contents.modules
            if module.nodes
        )
        return f"input: {' or '.join(model_inputs)}"

    def summarize(self, sizes: Mapping[str, Shape]) -> Summary:
        from rnncli.models.weight_files.summary import summarize

        return summarize(self.contents, sizes)

    def required_inputs(self) -> tuple[ModelInput, ...]:
        """Return the only input, as wide as the first layer of the first chosen module wants it."""
        modules = _used_modules(self.contents, self.choose(self.names))
        node = next((module.nodes[0] for module in modules if module.nodes), None)
        features = 1 if node is None else inputs.features_of(node)
        dtype = "float32" if node is None else inputs.dtype_of(node)
        batch, steps, _ = inputs.AXES
        order = (batch, steps) if self.axis_order.batch_first else (steps, batch)
        return (ModelInput("input", (*order, features), dtype),)

    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return the input (batch, timesteps, features); adds a batch axis of 1 if only that is missing.

        given: an array, or a mapping with one array.
        """
        with inside(self.file):
            return inputs.fit(self.contents, given)

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
                inputs.require_computable(self.contents, module, array)
            used = replace(self.contents, modules=modules)
            start = states.by_layer(modules, request)
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
                inputs.require_computable(self.contents, module, case.inputs)
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
        start = states.by_layer(modules, request)
        torch = tuple(module for module in modules if module.tensors)
        in_torch = {node.name for module in torch for node in module.nodes}
        tensors: dict[str, Array] = {}
        if torch_uses := {use.layer: use for use in uses if use.layer in in_torch}:
            only = replace(self.contents, modules=torch)
            tensors = by_torch.run_torch(only, request.inputs, torch_uses, start)
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
