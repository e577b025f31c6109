"""A Keras model's graph and its inputs, as the Cases of its recurrent layers.

The walk follows Keras's `Layer.__call__`: what a layer gets as its mask, and which mask its outputs carry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Case
from rnncli.compute import operations
from rnncli.compute.models import ModelRun, Part, _today
from rnncli.compute.models._advice import REBUILD, independent_layers, model_option
from rnncli.compute.models._graph import (
    INPUT,
    arguments,
    choose_nodes,
    find_dependencies,
    inside_others,
    is_recurrent,
    iterate_refs,
    layer_inside,
    masking_layers,
    names_of,
    rules_of,
    with_modules,
)
from rnncli.compute.models._layer_calls import name_outputs
from rnncli.compute.models._recurrent_cases import case_of, masks_after
from rnncli.compute.operations import (
    KERAS_2,
    TODAY,
    OperationCall,
    UnknownLayerError,
    dtype_of,
    wrapper,
)
from rnncli.errors import InputError, RnncliError
from rnncli.model import Graph, Node, Ref
from rnncli.result import NamedTensor, Result
from rnncli.specs.memory import limit_growth
from rnncli.specs.trees import leaves, map_leaves

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.compute.models import Compute


class Value(NamedTuple):
    """The output of a node, each tensor with the mask that it carries."""

    tensors: tuple[Any, ...]
    masks: tuple[Any, ...]


def follow(
    graph: Graph,
    inputs: Mapping[str, Array],
    compute: Compute,
    *,
    layers: Sequence[str] = (),
    everything: bool = False,
) -> ModelRun:
    """Return what each recurrent layer of the model gets for these inputs.

    inputs: as `fit_inputs` gives them.  compute: what answers a Case.  layers: those that are asked for,
    by their names; none for all.  everything: also what every other layer puts out.
    Raises UnknownLayerError where a layer that is asked for needs one that is not known here, UsageError
    for a name that the model does not have, InputError where a layer cannot take what it gets.
    """
    graph = with_modules(graph)
    wanted = choose_nodes(graph, layers)
    walk = _Walk(graph, inputs, compute, rules_of(graph.origin))
    found = walk.run(wanted, everything)
    notes = [*found.notes, *inside_others(graph)]
    again = partial(_walk_again, inputs, compute, [part.layer for part in found.parts])
    if walk.old_masks:
        notes += _today.mask_differences(graph, found, compute, again)
    notes += _today.sigmoid_differences(graph, found, compute, again)
    return replace(found, notes=tuple(notes), masks=masking_layers(graph, found.parts), order=names_of(graph))


def _walk_again(
    inputs: Mapping[str, Array], compute: Compute, layers: Sequence[str], graph: Graph, rules: str
) -> ModelRun:
    nodes = {node.name: node for node in graph.nodes}
    return _Walk(graph, inputs, compute, rules).run([nodes[name] for name in layers], everything=False)


class _Walk:
    """One pass through the graph, each node after those that it takes something from."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Array], compute: Compute, rules: str) -> None:
        self.graph, self.inputs, self.compute, self.rules = graph, inputs, compute, rules
        self.nodes = {node.name: node for node in graph.nodes}
        self.values: dict[str, Value] = {}
        self.failed: dict[str, RnncliError] = {}
        self.parts: dict[str, Part] = {}
        self.old_masks = False
        self.input_mask: Any = None

    def run(self, wanted: Sequence[Node], everything: bool) -> ModelRun:
        """See `follow`."""
        names = {node.name for node in wanted}
        needed = set(self.nodes) if everything else find_dependencies(self.graph, names)
        taken = {ref.node for name in needed for ref in iterate_refs(arguments(self.nodes[name]))}
        for node in self.graph.nodes:
            if node.name in needed:
                self._visit(node, node.name in names, node.name in taken)
        parts = tuple(self.parts[node.name] for node in wanted)
        others = dict(self._other_outputs()) if everything else {}
        return ModelRun(parts, others, tuple(self._left_out()) if everything else ())

    def _visit(self, node: Node, wanted: bool, taken: bool) -> None:
        """Compute one node, or store why it cannot be computed.  Raises LayerError for a requested layer."""
        failed = [self.failed[ref.node] for ref in iterate_refs(arguments(node)) if ref.node in self.failed]
        try:
            if failed:
                raise failed[0]
            if is_recurrent(node):
                self._recur(node, wanted, taken)
            else:
                self.values[node.name] = self._value(node)
        except UnknownLayerError as error:
            self.failed[node.name] = error
            if wanted:
                raise _blame(self.graph, node, error) from None

    def _value(self, node: Node) -> Value:
        if node.class_name == INPUT and not node.args:
            return Value((self.inputs[node.layer],), (self.input_mask,))
        call = self._call(node)
        demand_dtype(node)
        try:
            if node.inner is not None:
                return self._run_distributed(with_modules(node.inner), call)
            with limit_growth(_count_bytes(call)):
                output, mask = operations.compute(call, node.module)
        except KeyError as error:
            raise call.refuse(f"has no {error} in its config or among its weights") from None
        except (ValueError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
            raise InputError(
                f"{self.graph.file}: the layer {node.name} ({node.class_name}) cannot take "
                f"{_shapes(call.inputs)}: {error}.",
                "Use inputs of the size that the model was trained on.",
            ) from None
        except MemoryError as error:
            raise InputError(
                f"{self.graph.file}: the layer {node.name} ({node.class_name}) needs too much memory for "
                f"{_shapes(call.inputs)}: {error}.",
                "Give fewer sequences or steps at once.",
            ) from None
        tensors = tuple(output) if isinstance(output, (tuple, list)) else (output,)
        return Value(tensors, (mask, *[None] * (len(tensors) - 1)))

    def _run_distributed(self, inner: Graph, call: OperationCall) -> Value:
        """A model inside TimeDistributed: every time step of every sequence is one entry of its batch."""
        if len(inner.inputs) != 1 or len(inner.outputs) != 1:
            raise call.refuse("holds a model of several inputs or outputs")
        port, ref = inner.inputs[0], inner.outputs[0]
        given = wrapper.entries(call.inputs).astype(port.dtype)
        walk = _Walk(inner, {port.name: given}, self.compute, self.rules)
        walk.input_mask = self._entry_mask(call)
        value = walk.value_of(ref.node)
        mask = wrapper.mask_after(call, value.masks[ref.tensor])
        return Value((wrapper.steps(value.tensors[ref.tensor], call.inputs),), (mask,))

    @staticmethod
    def _entry_mask(call: OperationCall) -> Any:
        """Return the mask of every entry; Keras cannot use a mask with one number per entry."""
        mask = wrapper.entries(call.mask)
        if mask is not None and mask.ndim < 2:
            raise call.refuse(f"gets a mask of {call.mask.shape}")
        return mask

    def value_of(self, name: str) -> Value:
        """Return the output of one node."""
        needed = find_dependencies(self.graph, {name})
        for node in self.graph.nodes:
            if node.name in needed:
                self._visit(node, wanted=True, taken=True)
        return self.values[name]

    def _call(self, node: Node) -> OperationCall:
        """Return the arguments as Keras's `__call__` passes them on; see `_masks`."""
        try:
            args = self._resolve_refs(node.args)
            kwargs = {name: self._resolve_refs(arg) for name, arg in node.kwargs.items()}
            mask, previous = self._masks(node)
        except IndexError:
            raise InputError(
                f"{self.graph.file}: the layer {node.name} ({node.class_name}) takes an output that no layer "
                "has.",
                "Save the model again with model.save('model.keras').",
            ) from None
        if self.rules != TODAY and isinstance(previous, list) and any(one is not None for one in previous):
            self.old_masks = True
        kwargs.pop("mask", None)
        dtype = dtype_of(node.config.get("dtype")) or ""
        plain = operations.is_operation(node.module)
        cast = (lambda arg: arg) if plain else (lambda arg: _autocast(arg, dtype))
        if not args:
            raise UnknownLayerError(node.name, f"the layer {node.name} ({node.class_name}) has no inputs.")
        return OperationCall(
            config=node.config,
            weights=node.weights,
            inputs=map_leaves(cast, args[0]),
            mask=mask,
            previous=previous,
            args=tuple(map_leaves(cast, arg) for arg in args[1:]),
            kwargs=kwargs,
            rules=self.rules,
            class_name=node.class_name,
            layer=node.name,
        )

    def _masks(self, node: Node) -> tuple[Any, Any]:
        """Return the mask for the layer's own call, and the mask for its compute_mask.

        A mask that is given wins.  Else Keras 3 hands the first argument's on to layers that get no other
        tensor, such as a state, and Keras 2 to all.
        """
        given = node.kwargs.get("mask")
        if given is not None:
            explicit = self._resolve_refs(given)
            return explicit, explicit
        first = map_leaves(self._mask, node.args[0]) if node.args else None
        first = list(first) if isinstance(first, tuple) else first
        arguments = [arg for arg in (*node.args, *node.kwargs.values()) if any(iterate_refs(arg))]
        if self.rules == KERAS_2 and isinstance(first, list) and all(mask is None for mask in first):
            first = None
        alone = len(arguments) == 1 or self.rules == KERAS_2
        if len(arguments) > 1 and first is not None and self.rules == KERAS_2:
            self.old_masks = True
        return first if alone else None, first

    def _mask(self, arg: Any) -> Any:
        return self.values[arg.node].masks[arg.tensor] if isinstance(arg, Ref) else None

    def _resolve_refs(self, arg: Any) -> Any:
        """Replace Refs by arrays."""
        return map_leaves(
            lambda one: self.values[one.node].tensors[one.tensor] if isinstance(one, Ref) else one, arg
        )

    def _recur(self, node: Node, wanted: bool, taken: bool) -> None:
        """Build the Case of the node, and compute it if a later node uses its outputs."""
        if node.config.get("stateful") and sum(node.layer == one.layer for one in self.graph.nodes) > 1:
            raise UnknownLayerError(
                node.name, f"the layer {node.name} ({node.class_name}) is stateful and used more than once."
            )
        call = self._call(node)
        if node.class_name == "TimeDistributed":
            self._recur_inside(node, call, wanted)
            return
        case = case_of(node, call)
        result = self._compute_node(node, case) if taken else None
        self.parts[node.name] = Part(node.name, case, result)
        if result:
            tensors = tuple(tensor.values for tensor in result.outputs)
            self.values[node.name] = Value(tensors, masks_after(case, call, len(tensors)))

    def _recur_inside(self, node: Node, call: OperationCall, wanted: bool) -> None:
        """A recurrent layer inside TimeDistributed: what follows gets what it returns for every entry."""
        inner = replace(node, **layer_inside(node))
        if not is_recurrent(inner) or inner.class_name == "TimeDistributed":
            raise call.refuse(f"holds a {inner.class_name}")
        whole = case_of(node, call) if wanted else None
        mask = self._entry_mask(call)
        entry = call._replace(
            inputs=wrapper.entries(call.inputs),
            mask=mask,
            previous=mask,
            class_name=inner.class_name,
        )
        case = case_of(inner, entry)
        result = self._compute_node(node, case)
        output = wrapper.steps(result.outputs[0].values, call.inputs)
        if whole is not None:
            self.parts[node.name] = Part(node.name, whole, _of_all_steps(whole, result, output))
        after = wrapper.mask_after(call, masks_after(case, entry, 1)[0])
        self.values[node.name] = Value((output,), (after,))

    def _compute_node(self, node: Node, case: Case) -> Result:
        """Run `compute`; its errors name the layer."""
        try:
            return self.compute(case)
        except RnncliError as error:
            where = f"{self.graph.file}: {node.name}: "
            raise type(error)(f"{where}{error.what}", error.advice) from None

    def _other_outputs(self) -> Iterator[tuple[str, Array]]:
        """Yield the outputs of the layers that are not recurrent, without nodes that only make masks."""
        hidden = self._hidden()
        for node in self.graph.nodes:
            if node.name in self.values and node.name not in hidden and not is_recurrent(node):
                tensors = self.values[node.name].tensors
                yield from zip(name_outputs(node.name, len(tensors)), tensors, strict=True)

    def _hidden(self) -> set[str]:
        """Return inputs, and operations that are used only for masks and by other hidden nodes."""
        shown = {ref.node for ref in self.graph.outputs}
        hidden: set[str] = set()
        for node in reversed(self.graph.nodes):
            operation = operations.is_operation(node.module) or node.class_name.endswith("OpLambda")
            if node.class_name == INPUT or (operation and node.name not in shown):
                hidden.add(node.name)
                continue
            if node.class_name == "Identity" and "trainable" not in node.config:
                hidden.add(node.name)  # the reader's own, for a mask that a model in the model is given
            kwargs = {name: arg for name, arg in node.kwargs.items() if name != "mask"}
            shown.update(ref.node for ref in iterate_refs([node.args, kwargs]))
        return hidden

    def _left_out(self) -> Iterator[str]:
        """Yield one note for each unknown layer, with the layers that depend on it."""
        by_error: dict[str, list[str]] = {}
        for name, error in self.failed.items():
            by_error.setdefault(error.what, []).append(name)
        for what, names in by_error.items():
            yield f"left out: {', '.join(names)}; {what}"


def _of_all_steps(case: Case, entries: Result, output: Array) -> Result:
    """What TimeDistributed returns, from what the layer in it returned for each entry of its batch."""
    info = case.stack.outputs(case.inputs.shape)[0]
    tensor = NamedTensor(info.label, info.axes, output)
    return replace(
        entries, stack=case.stack, input_shape=case.inputs.shape, outputs=(tensor,), trace=(), weights={}
    )


def demand_dtype(node: Node) -> None:
    """Raise UnknownLayerError if the layer computes in another dtype than NumPy does here."""
    if operations.is_operation(node.module) or node.class_name == INPUT:
        return
    if dtype_of(node.config.get("dtype")) is None:
        raise UnknownLayerError(
            node.name, f"the layer {node.name} ({node.class_name}) does not compute in float32 or float64."
        )


def _autocast(arg: Any, dtype: str) -> Any:
    """Convert floats to the layer's dtype; integers stay, as in Keras."""
    return arg.astype(dtype) if dtype and getattr(getattr(arg, "dtype", None), "kind", "") == "f" else arg


def _count_bytes(call: OperationCall) -> int:
    arrays = [*leaves(call.inputs), *call.weights.values()]
    return sum(getattr(array, "nbytes", 0) for array in arrays)


def _shapes(inputs: Any) -> str:
    return " and ".join(str(getattr(item, "shape", item)) for item in leaves(inputs))


def _blame(graph: Graph, node: Node, error: UnknownLayerError) -> UnknownLayerError:
    """Return the error, with the layers that depend on the unknown one and those that do not."""
    needs = f"{node.name} ({node.class_name}) depends on a layer that rnncli cannot compute: "
    what = f"{graph.file}: {'' if error.layer == node.name else needs}{error.what}"
    free = independent_layers(graph, {error.layer})
    advice = error.advice or REBUILD
    if free:
        advice = f"To run the layers that do not depend on it: {model_option(graph.file, free)}"
    return UnknownLayerError(error.layer, what, advice)
