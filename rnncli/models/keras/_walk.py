"""A Keras model's graph and its inputs, as the Cases of its recurrent layers.

The walk follows Keras's `Layer.__call__`: what a layer gets as its mask, and which mask its outputs carry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rnncli.case import Array, Case, format_shape
from rnncli.errors import InputError, Message, RnncliError, inside, join
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse, ModelRequest, ModelRun, operations
from rnncli.models._advice import name_cause
from rnncli.models._inputs import empty_input
from rnncli.models._layer_calls import name_outputs
from rnncli.models._recurrent_cases import build_layer_case, masks_after
from rnncli.models.graph import PLACED_MASK, Graph, Node
from rnncli.models.keras import _keras_changes
from rnncli.models.keras._arguments import Arguments, Value
from rnncli.models.keras._graph import (
    INPUT,
    choose_nodes,
    find_dependencies,
    is_recurrent,
    iterate_refs,
    layer_inside,
    masking_layers,
    names_of,
    note_containers,
    refs_of,
    require_one_use,
    rules_of,
    with_modules,
)
from rnncli.models.keras._tensor_memory import TensorMemory
from rnncli.models.keras._training import for_training, note_omissions
from rnncli.models.operations import OperationCall, UnknownLayerError, dtype_of, wrapper
from rnncli.models.trees import leaves
from rnncli.result import NamedTensor, Result


def run_graph(graph: Graph, request: ModelRequest) -> ModelRun:
    """Return what each requested recurrent layer of the model gets for the inputs.

    Raises UnknownLayerError if a requested layer depends on one that is not known here, UsageError for a
    name that the model does not have, InputError if a layer cannot take its inputs.
    """
    graph = with_modules(graph)
    wanted = choose_nodes(graph, request.layers)
    walk = _Walk(graph, request, rules_of(graph.origin))
    found = walk.run(wanted)
    notes = [*found.notes, *note_containers(graph)]
    shown = [part.layer for part in found.parts]
    again = partial(_walk_again, request._replace(layers=shown, everything=False))
    if walk.arguments.differs_today:
        notes += _keras_changes.mask_differences(graph, found, request.compute, again)
    notes += _keras_changes.sigmoid_differences(graph, found, request.compute, again)
    return replace(found, notes=tuple(notes), masks=masking_layers(graph, found.parts), order=names_of(graph))


def _walk_again(request: ModelRequest, graph: Graph, rules: str) -> ModelRun:
    nodes = {node.name: node for node in graph.nodes}
    return _Walk(graph, request, rules).run([nodes[name] for name in request.layers])


class _Walk:
    """One pass through the graph, in which each node comes after those that it depends on."""

    def __init__(
        self, graph: Graph, request: ModelRequest, rules: str, memory: TensorMemory | None = None
    ) -> None:
        self.graph, self.request, self.rules = graph, request, rules
        self.memory = memory or TensorMemory.of_model(graph, request.inputs)
        self.nodes = {node.name: node for node in graph.nodes}
        self.values: dict[str, Value] = {}
        self.arguments = Arguments(graph, self.values, rules)
        self.failed: dict[str, RnncliError] = {}
        self.parts: dict[str, LayerUse] = {}
        self.input_mask: Any = None
        self.wanted: set[str] = set()

    def run(self, results: Sequence[Node]) -> ModelRun:
        """Return the parts of the nodes `results`; see `run_graph`."""
        names, everything = {node.name for node in results}, self.request.everything
        self.wanted = names
        needed = set(self.nodes) if everything else find_dependencies(self.graph, names)
        inputs = {ref.node for name in needed for ref in refs_of(self.nodes[name])}
        for node in self.graph.nodes:
            if node.name in needed:
                self._visit(node, node.name in names, node.name in inputs)
        parts = tuple(self.parts[node.name] for node in results)
        others = dict(_other_outputs(self.graph, self.values)) if everything else {}
        return ModelRun(parts, others, tuple(note_omissions(self.failed)) if everything else ())

    def _visit(self, node: Node, is_result: bool, is_input: bool) -> None:
        """Compute one node, or store why it cannot be computed.  Raises LayerError for a requested layer."""
        failed = [self.failed[ref.node] for ref in refs_of(node) if ref.node in self.failed]
        try:
            if failed:
                raise failed[0]
            if is_recurrent(node):
                self._recur(node, is_result, is_input)
            else:
                self.values[node.name] = self._value(node)
            if node.name in self.values:
                self.memory.add(self.values[node.name].tensors)
        except UnknownLayerError as error:
            self.failed[node.name] = error
            if is_result:
                raise name_cause(self.graph, node, error, self.wanted) from None

    def _value(self, node: Node) -> Value:
        if node.class_name == INPUT and not node.args:
            return Value((self.request.inputs[node.layer],), (self.input_mask,))
        call = self.arguments.call(node)
        _require_dtype(node)
        try:
            if node.inner is not None:
                return self._run_distributed(with_modules(node.inner), call)
            with self.memory.limit():
                output, mask = operations.compute(call, node.module)
        except KeyError as error:
            raise call.refuse("has no {error} in its config or among its weights", error=error) from None
        except (ValueError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
            raise InputError(
                "the layer {name} ({class_name}) cannot take {inputs}: {error}.",
                "Use inputs of the size that the model was trained on.",
                name=node.name,
                class_name=node.class_name,
                inputs=_shapes(call.inputs),
                error=error,
            ) from None
        except MemoryError as error:
            raise InputError(
                "the layer {name} ({class_name}) needs too much memory for {inputs}: {error}.",
                "Give fewer sequences or steps at once.",
                name=node.name,
                class_name=node.class_name,
                inputs=_shapes(call.inputs),
                error=error,
            ) from None
        tensors = tuple(output) if isinstance(output, (tuple, list)) else (output,)
        return Value(tensors, (mask, *[None] * (len(tensors) - 1)))

    def _run_distributed(self, inner: Graph, call: OperationCall) -> Value:
        """Run a model inside TimeDistributed; every step of every sequence is one entry of its batch."""
        if len(inner.inputs) != 1 or len(inner.outputs) != 1:
            raise call.refuse("holds a model of several inputs or outputs")
        model_input, ref = inner.inputs[0], inner.outputs[0]
        given = wrapper.entries(call.inputs).astype(model_input.dtype)
        if call.kwargs.get("training") is True:
            inner = replace(inner, nodes=for_training(inner.nodes, self.graph.generation))
        request = ModelRequest({model_input.name: given}, self.request.compute)
        walk = _Walk(inner, request, self.rules, self.memory.copy())
        walk.input_mask = self._entry_mask(call)
        try:
            with inside(call.layer):
                value = walk.value_of(ref.node)
        except UnknownLayerError as error:  # its layer and its advice are of the inner model
            raise UnknownLayerError(call.layer, join((error,))) from None
        mask = wrapper.mask_after(call, value.masks[ref.tensor])
        return Value((wrapper.steps(value.tensors[ref.tensor], call.inputs),), (mask,))

    @staticmethod
    def _entry_mask(call: OperationCall) -> Any:
        """Return the mask of every entry; Keras cannot use a mask with one number per entry."""
        mask = wrapper.entries(call.mask)
        if mask is not None and mask.ndim < 2:
            raise call.refuse("gets a mask of {shape}", shape=format_shape(call.mask.shape))
        return mask

    def value_of(self, name: str) -> Value:
        """Return the output of one node."""
        needed = find_dependencies(self.graph, {name})
        for node in self.graph.nodes:
            if node.name in needed:
                self._visit(node, is_result=True, is_input=True)
        return self.values[name]

    def _recur(self, node: Node, is_result: bool, is_input: bool) -> None:
        """Build the Case of the node, and compute it if a later node uses its outputs."""
        require_one_use(self.graph, node)
        call = self.arguments.call(node)
        if node.class_name == "TimeDistributed":
            self._recur_inside(node, call, is_result)
            return
        case = self._case(node, call)
        result = self._compute_node(node, case) if is_input else None
        self.parts[node.name] = LayerUse(node.name, case, result)
        if result:
            tensors = tuple(tensor.values for tensor in result.outputs)
            self.values[node.name] = Value(tensors, masks_after(case, call, len(tensors)))

    def _recur_inside(self, node: Node, call: OperationCall, is_result: bool) -> None:
        """Run a recurrent layer inside TimeDistributed on every entry, for the layers that follow."""
        inner = replace(node, **layer_inside(node))
        if not is_recurrent(inner) or inner.class_name == "TimeDistributed":
            raise call.refuse("holds a {class_name}", class_name=inner.class_name)
        whole = self._case(node, call) if is_result else None
        mask = self._entry_mask(call)
        entry = call._replace(
            inputs=wrapper.entries(call.inputs), mask=mask, previous=mask, class_name=inner.class_name
        )
        case = self._case(inner, entry)
        result = self._compute_node(node, case)
        output = wrapper.steps(result.outputs[0].values, call.inputs)
        if whole is not None:
            self.parts[node.name] = LayerUse(node.name, whole, _of_all_steps(whole, result, output))
        after = wrapper.mask_after(call, masks_after(case, entry, 1)[0])
        self.values[node.name] = Value((output,), (after,))

    def _case(self, node: Node, call: OperationCall) -> Case:
        """Return the Case of one use of a recurrent layer.  Raises InputError if it gets an empty input."""
        case = build_layer_case(node, call)
        if 0 in case.inputs.shape:
            raise empty_input(node.name)
        return case

    def _compute_node(self, node: Node, case: Case) -> Result:
        """Compute the Case; errors name the layer."""
        with inside(node.name, RnncliError):
            return self.request.compute(case)


def _of_all_steps(case: Case, entries: Result, output: Array) -> Result:
    """Return the result of TimeDistributed from that of the layer inside it for all entries."""
    info = Stack(case.specs).outputs(case.inputs.shape)[0]
    tensor = NamedTensor(info.label, info.axes, output)
    return replace(
        entries, specs=case.specs, input_shape=case.inputs.shape, outputs=(tensor,), trace=(), weights={}
    )


def _require_dtype(node: Node) -> None:
    """Raise UnknownLayerError if the layer computes in another dtype than NumPy does here."""
    if operations.is_operation(node.module) or node.class_name == INPUT:
        return
    if dtype_of(node.config.get("dtype")) is None:
        raise UnknownLayerError(
            node.name,
            Message(
                "the layer {name} ({class_name}) does not compute in float32 or float64.",
                name=node.name,
                class_name=node.class_name,
            ),
        )


def _shapes(inputs: Any) -> str:
    return " and ".join(str(getattr(item, "shape", item)) for item in leaves(inputs))


def _other_outputs(graph: Graph, values: Mapping[str, Value]) -> Iterator[tuple[str, Array]]:
    """Yield the outputs of the layers that are not recurrent, without nodes that only make masks."""
    hidden = _hidden_nodes(graph)
    for node in graph.nodes:
        if node.name in values and node.name not in hidden and not is_recurrent(node):
            tensors = values[node.name].tensors
            yield from zip(name_outputs(node.name, len(tensors)), tensors, strict=True)


def _hidden_nodes(graph: Graph) -> set[str]:
    """Return inputs, and operations that are used only for masks and by other hidden nodes."""
    visible = {ref.node for ref in graph.outputs}
    hidden: set[str] = set()
    for node in reversed(graph.nodes):
        operation = operations.is_operation(node.module) or node.class_name.endswith("OpLambda")
        if node.class_name == INPUT or (operation and node.name not in visible):
            hidden.add(node.name)
            continue
        if node.class_name == "Identity" and "trainable" not in node.config:
            hidden.add(node.name)  # the reader's own, for a mask that a model in the model is given
        kwargs = {name: arg for name, arg in node.kwargs.items() if name not in ("mask", PLACED_MASK)}
        visible.update(ref.node for ref in iterate_refs([node.args, kwargs]))
    return hidden
