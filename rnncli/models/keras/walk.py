"""A Keras model's graph and its inputs, as the Cases of its recurrent layers.

The walk follows Keras's `Layer.__call__`: which mask a layer gets, and which mask its outputs carry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rnncli.errors import InputError, LayerError, Message, RnncliError, Text, inside, join
from rnncli.layers import plain
from rnncli.layers.case import Case
from rnncli.layers.plain import KERAS_2, TODAY, KerasCall, UnknownLayerError, dtype_of, rules_of
from rnncli.layers.plain.time_distributed import entries, mask_after, steps
from rnncli.layers.shape_checks import check_case
from rnncli.layers.stack import Stack
from rnncli.models import Compute, LayerUse, ModelRequest, ModelRun
from rnncli.models.graph import PLACED_MASK, Graph, Node, Ref, iterate_refs, leaves, map_leaves
from rnncli.models.inputs import empty_input
from rnncli.models.keras.choice import (
    INPUT,
    for_training,
    masking_layers,
    name_cause,
    note_containers,
    note_omissions,
    refuse_training,
    require_one_use,
)
from rnncli.models.layer_cases import build_layer_case, name_outputs, spec_of
from rnncli.process.memory import limit_growth
from rnncli.result import NamedTensor, Result
from rnncli.values import Array, Spec, format_shape

Rerun = Callable[[Graph, str], ModelRun]
"""Runs a graph again, under the rules about masks of a version of Keras."""

BROKEN = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""What NumPy raises for arguments that do not fit a layer."""


def run_graph(graph: Graph, request: ModelRequest) -> ModelRun:
    """Return what each requested recurrent layer of the model gets for the inputs.

    Raises UnknownLayerError if a requested layer depends on one that is not known here, UsageError for a
    name that the model does not have, InputError if a layer cannot take its inputs.
    """
    names = request.choose(graph)
    rules = rules_of(graph.origin)
    walk = GraphWalk(graph, request, rules)
    run = walk.run(names)
    notes = [*run.notes, *note_containers(graph)]

    def rerun(graph: Graph, rules: str) -> ModelRun:
        return GraphWalk(graph, request._replace(everything=False, others=()), rules).run(names)

    if walk.differs_today:
        notes += note_masks(graph, run, request.compute, rerun)
    notes += note_sigmoids(graph, run, request.compute, rerun)
    masks = masking_layers(graph, (part.case.mask for part in run.parts))
    return replace(run, notes=tuple(notes), masks=masks, order=tuple(node.name for node in graph.nodes))


class Value(NamedTuple):
    """The output of a node, each tensor with the mask that it carries."""

    tensors: tuple[Any, ...]
    masks: tuple[Any, ...]


class GraphWalk:
    """One pass through the graph, in which each node comes after the nodes that it depends on.

    rules: the rules about masks, as in `KerasCall`.
    input_mask: the mask of the input of a model inside TimeDistributed.
    differs_today: whether today's Keras may have passed on another mask to any of the nodes.
    size: bytes of the weights and inputs; a small file may describe layers whose outputs fill the memory, so
        the outputs may take only a multiple of these bytes.
    owners: by id, the arrays that own the memory of the tensors computed so far.
    """

    def __init__(self, graph: Graph, request: ModelRequest, rules: str) -> None:
        self.graph, self.request, self.rules = graph, request, rules
        self.nodes = {node.name: node for node in graph.nodes}
        self.values: dict[str, Value] = {}
        self.failed: dict[str, RnncliError] = {}
        self.parts: dict[str, LayerUse] = {}
        self.input_mask: Any = None
        self.differs_today = False
        self.size = _weight_bytes(graph) + sum(array.nbytes for array in request.inputs.values())
        self.owners: dict[int, Any] = {}

    def run(self, names: Sequence[str]) -> ModelRun:
        """Return the parts of these recurrent nodes; see `run_graph`."""
        everything, others = self.request.everything, self.request.others
        needed = set(self.nodes) if everything else self.graph.find_dependencies((*names, *others))
        inputs = {ref.node for name in needed for ref in self.nodes[name].refs}
        for node in self.graph.nodes:
            if node.name in needed:
                is_result = node.name in names or node.name in others
                self._visit(node, is_result, node.name in inputs, wanted=names)
        parts = tuple(self.parts[name] for name in names)
        shown = dict(self._other_outputs(None if everything else others))
        return ModelRun(parts, shown, tuple(note_omissions(self.failed)) if everything else ())

    def value_of(self, name: str) -> Value:
        """Return the output of one node."""
        needed = self.graph.find_dependencies({name})
        for node in self.graph.nodes:
            if node.name in needed:
                self._visit(node, is_result=True, is_input=True)
        return self.values[name]

    def _visit(self, node: Node, is_result: bool, is_input: bool, wanted: Collection[str] = ()) -> None:
        """Compute one node, or store why it cannot be computed.  Raises LayerError for a requested layer.

        is_result: whether the layer is requested.  is_input: whether another needed node uses its outputs.
        wanted: the names of all requested layers.
        """
        failed = [self.failed[ref.node] for ref in node.refs if ref.node in self.failed]
        try:
            if failed:
                raise failed[0]
            if node.inner is None and (error := refuse_training(node)):
                raise error
            if node.is_recurrent:
                self._recur(node, is_result, is_input)
            elif node.class_name == INPUT and not node.args:
                self.values[node.name] = Value((self.request.inputs[node.layer],), (self.input_mask,))
            else:
                self.values[node.name] = self._compute(node)
        except UnknownLayerError as error:
            self.failed[node.name] = error
            if is_result:
                raise name_cause(self.graph, node, error, wanted) from None
        for tensor in self.values[node.name].tensors if node.name in self.values else ():
            while getattr(tensor, "base", None) is not None:
                tensor = tensor.base
            if hasattr(tensor, "nbytes"):
                self.owners[id(tensor)] = tensor

    def _call(self, node: Node) -> KerasCall:
        """Return the arguments as Keras's `__call__` passes them on; see `_masks`."""
        try:
            args = self._resolve(node.args)
            kwargs = {name: self._resolve(arg) for name, arg in node.kwargs.items()}
            mask, previous = self._masks(node)
        except IndexError:
            what = "the layer {name} ({class_name}) takes an output that no layer has."
            advice = "Save the model again with model.save('model.keras')."
            raise InputError(what, advice, name=node.name, class_name=node.class_name) from None
        if not args:
            raise node.refuse("has no inputs")
        if self.rules != TODAY and isinstance(previous, list) and any(mask is not None for mask in previous):
            self.differs_today = True
        dtype = "" if plain.is_operation(node.module) else dtype_of(node.config.get("dtype")) or ""

        def cast(leaf: Any) -> Any:  # integers stay, as in Keras
            is_float = getattr(getattr(leaf, "dtype", None), "kind", "") == "f"
            return leaf.astype(dtype) if dtype and is_float else leaf

        inputs, *others = (map_leaves(cast, arg) for arg in args)
        return KerasCall(
            config=node.config,
            weights=node.weights,
            inputs=inputs,
            mask=mask,
            previous=previous,
            args=tuple(others),
            kwargs={name: arg for name, arg in kwargs.items() if name not in ("mask", PLACED_MASK)},
            rules=self.rules,
            class_name=node.class_name,
            layer=node.name,
        )

    def _masks(self, node: Node) -> tuple[Any, Any]:
        """Return the mask for the layer's own call, and the mask for its compute_mask.

        An explicit mask wins, but compute_mask ignores an explicit mask that is passed by position.  Without
        an explicit mask, Keras 2 passes the mask of the first argument on to all layers, and Keras 3 only to
        layers that get no other tensor, such as a state.
        """
        given = node.kwargs.get("mask")
        if given is not None:
            explicit = self._resolve(given)
            return explicit, explicit
        first = map_leaves(self._mask, node.args[0]) if node.args else None
        first = list(first) if isinstance(first, tuple) else first
        if node.kwargs.get(PLACED_MASK) is not None:
            return self._resolve(node.kwargs[PLACED_MASK]), first
        alone = sum(any(iterate_refs(arg)) for arg in (*node.args, *node.kwargs.values())) == 1
        if self.rules != KERAS_2:
            return first if alone else None, first
        if isinstance(first, list) and all(mask is None for mask in first):
            first = None
        if not alone and first is not None:
            self.differs_today = True
        return first, first

    def _mask(self, arg: Any) -> Any:
        return self.values[arg.node].masks[arg.tensor] if isinstance(arg, Ref) else None

    def _resolve(self, arg: Any) -> Any:
        return map_leaves(
            lambda leaf: self.values[leaf.node].tensors[leaf.tensor] if isinstance(leaf, Ref) else leaf, arg
        )

    def _compute(self, node: Node) -> Value:
        call = self._call(node)
        if not plain.is_operation(node.module) and dtype_of(node.config.get("dtype")) is None:
            raise node.refuse("does not compute in float32 or float64")
        try:
            if node.inner is not None:
                return self._run_distributed(node.inner, call)
            with limit_growth(self.size, sum(array.nbytes for array in self.owners.values())):
                output, mask = plain.compute(call, node.module)
        except KeyError as error:
            raise node.refuse("has no {error} in its config or among its weights", error=error) from None
        except BROKEN as error:
            large = isinstance(error, MemoryError)
            raise InputError(
                "the layer {name} ({class_name}) needs too much memory for {inputs}: {error}."
                if large
                else "the layer {name} ({class_name}) cannot take {inputs}: {error}.",
                "Give fewer sequences or steps at once."
                if large
                else "Use inputs of the size that the model was trained on.",
                name=node.name,
                class_name=node.class_name,
                inputs=" and ".join(str(getattr(item, "shape", item)) for item in leaves(call.inputs)),
                error=error,
            ) from None
        tensors = tuple(output) if isinstance(output, (tuple, list)) else (output,)
        return Value(tensors, (mask, *[None] * (len(tensors) - 1)))

    def _run_distributed(self, inner: Graph, call: KerasCall) -> Value:
        """Run a model inside TimeDistributed; every step of every sequence is one entry of its batch."""
        if len(inner.inputs) != 1 or len(inner.outputs) != 1:
            raise call.refuse("holds a model of several inputs or outputs")
        model_input, ref = inner.inputs[0], inner.outputs[0]
        given = entries(call.inputs).astype(model_input.dtype)
        if call.kwargs.get("training") is True:
            inner = for_training(inner, self.graph.generation)
        walk = type(self)(inner, ModelRequest({model_input.name: given}, self.request.compute), self.rules)
        walk.size, walk.owners = self.size, {**self.owners}  # a copy: the tensors of the inner walk are freed
        walk.input_mask = _entry_mask(call)
        try:
            with inside(call.layer):
                value = walk.value_of(ref.node)
        except UnknownLayerError as error:  # the error names a layer of the inner model
            raise UnknownLayerError(call.layer, join((error,))) from None
        mask = mask_after(call, value.masks[ref.tensor])
        return Value((steps(value.tensors[ref.tensor], call.inputs),), (mask,))

    def _recur(self, node: Node, is_result: bool, is_input: bool) -> None:
        require_one_use(self.graph, node)
        call = self._call(node)
        if node.class_name == "TimeDistributed":
            self._recur_inside(node, call, is_result)
            return
        case = _case(node, call)._replace(consecutive=self.request.consecutive)
        result = self._run_case(node, case) if is_input else None
        self.parts[node.name] = LayerUse(node.name, case, result)
        if result:
            tensors = tuple(tensor.values for tensor in result.outputs)
            self.values[node.name] = Value(tensors, masks_after(case.stack[0], call.previous, len(tensors)))

    def _recur_inside(self, node: Node, call: KerasCall, is_result: bool) -> None:
        inner = node.inside
        if not inner.is_recurrent or inner.class_name == "TimeDistributed":
            raise call.refuse("holds a {class_name}", class_name=inner.class_name)
        whole = _case(node, call) if is_result else None
        mask = _entry_mask(call)
        entry = call._replace(
            inputs=entries(call.inputs), mask=mask, previous=mask, class_name=inner.class_name
        )
        case = _case(inner, entry)
        result = self._run_case(node, case)
        output = steps(result.outputs[0].values, call.inputs)
        if whole is not None:
            info, shape = whole.stack.outputs(whole.inputs.shape)[0], whole.inputs.shape
            tensors = (NamedTensor(info.label, info.axes, output, ends=info.ends),)
            all_steps = replace(
                result, specs=whole.stack, input_shape=shape, outputs=tensors, trace=(), weights={}
            )
            self.parts[node.name] = LayerUse(node.name, whole, all_steps)
        after = mask_after(call, masks_after(case.stack[0], entry.previous, 1)[0])
        self.values[node.name] = Value((output,), (after,))

    def _run_case(self, node: Node, case: Case) -> Result:
        with inside(node.name, RnncliError):
            return self.request.compute(case)

    def _other_outputs(self, names: Collection[str] | None) -> Iterator[tuple[str, Array]]:
        hidden = hidden_nodes(self.graph)
        for node in self.graph.nodes:
            chosen = node.name not in hidden if names is None else node.name in names
            if node.name in self.values and chosen and not node.is_recurrent:
                tensors = self.values[node.name].tensors
                yield from zip(name_outputs(node.name, len(tensors)), tensors, strict=True)


def _weight_bytes(graph: Graph) -> int:
    weights = (array.nbytes for node in graph.nodes for array in node.weights.values())
    return sum(weights) + sum(_weight_bytes(node.inner) for node in graph.nodes if node.inner is not None)


def _case(node: Node, call: KerasCall) -> Case:
    case = build_layer_case(node, call)
    if 0 in case.inputs.shape:
        raise empty_input(node.name)
    return case


def masks_after(spec: Spec, previous: Any, count: int) -> tuple[Any, ...]:
    """Return the masks of the outputs of a recurrent layer: a sequence has the mask of the inputs.

    previous: the masks of the inputs.
    """
    previous = previous[0] if isinstance(previous, (list, tuple)) else previous
    sequence = spec.class_name == "TimeDistributed" or bool(spec.inner.config.get("return_sequences"))
    both = spec.class_name == "Bidirectional" and spec.config["merge_mode"] is None
    carrying = (2 if both else 1) if sequence else 0
    return tuple(previous if index < carrying else None for index in range(count))


def _entry_mask(call: KerasCall) -> Any:
    """Return the mask of every entry; Keras cannot use a mask with one number per entry."""
    mask = entries(call.mask)
    if mask is not None and mask.ndim < 2:
        raise call.refuse("gets a mask of {shape}", shape=format_shape(call.mask.shape))
    return mask


def hidden_nodes(graph: Graph) -> set[str]:
    """Return inputs, and operations that are used only for masks and by other hidden nodes."""
    visible = {ref.node for ref in graph.outputs}
    hidden: set[str] = set()
    for node in reversed(graph.nodes):
        operation = plain.is_operation(node.module) or node.class_name in plain.LAMBDAS
        if node.class_name == INPUT or (operation and node.name not in visible):
            hidden.add(node.name)
            continue
        if node.class_name == "Identity" and "trainable" not in node.config:
            hidden.add(node.name)  # made by the reader, for a mask that a model in the model is given
        kwargs = {name: arg for name, arg in node.kwargs.items() if name not in ("mask", PLACED_MASK)}
        visible.update(ref.node for ref in iterate_refs([node.args, kwargs]))
    return hidden


SIGMOIDS = {"hard_sigmoid_keras2": "hard_sigmoid"}
"""Today's name of a function, by its name in Keras 1 and 2."""


def note_masks(graph: Graph, run: ModelRun, compute: Compute, rerun: Rerun) -> Iterator[Text]:
    """Yield a note for each layer whose outputs would differ in today's Keras because of other masks."""
    rules = rules_of(graph.origin)
    try:
        today = rerun(graph, TODAY)
    except RnncliError:
        yield Message(
            "masks follow {rules}, which saved the model; today's Keras would fail on it.", rules=rules
        )
        return
    for layer, largest in _compare(run, today, compute):
        yield Message(
            "{layer}: masks follow {rules}, which saved the model; today's Keras combines them "
            "differently, and the outputs would differ by up to {largest:.2g}.",
            layer=layer,
            rules=rules,
            largest=largest,
        )


def note_sigmoids(graph: Graph, run: ModelRun, compute: Compute, rerun: Rerun) -> Iterator[Text]:
    """Yield a note if the outputs would differ in today's Keras because of its different hard_sigmoid."""
    changed = _with_sigmoid_of_today(graph)
    if changed == graph:
        return
    try:
        today = rerun(changed, rules_of(graph.origin))
    except RnncliError:
        return  # the note of the reader on the function stands alone
    words = ", ".join(f"{amount:.2g} ({layer})" for layer, amount in _compare(run, today, compute))
    if words:
        yield Message(
            "with the hard_sigmoid of Keras 3, the outputs would differ by up to {words}.", words=words
        )


def _with_sigmoid_of_today(graph: Graph) -> Graph:
    def rename(value: Any) -> Any:
        return SIGMOIDS.get(value, value) if isinstance(value, str) else value

    nodes = (
        replace(
            node,
            config=map_leaves(rename, node.config),
            inner=node.inner and _with_sigmoid_of_today(node.inner),
        )
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def _compare(run: ModelRun, today: ModelRun, compute: Compute) -> Iterator[tuple[str, float]]:
    import numpy as np

    for part, part_today in zip(run.parts, today.parts, strict=True):
        results = [use.result or compute(use.case) for use in (part, part_today)]
        pairs = zip(*(result.outputs for result in results), strict=True)
        gaps = (np.nan_to_num(np.abs(tensor.values - other.values)) for tensor, other in pairs)
        largest = max(float(gap.max(initial=0)) for gap in gaps)
        if largest:
            yield part.layer, largest


def chain_layers(
    graph: Graph, inputs: Mapping[str, Array], returns: Mapping[str, bool]
) -> tuple[tuple[str, ...], Case] | None:
    """Return the names of all layers, first to last, and their Case.

    None for any other graph, and for a layer that `--layer` does not know, such as an Embedding.
    returns: the values of return_sequences and return_state that are asked of each recurrent layer; None is
        returned if this would change what a layer passes on.
    """
    hidden = hidden_nodes(graph)
    nodes = [node for node in graph.nodes if node.name not in hidden]
    names = tuple(node.name for node in nodes)
    if len(graph.inputs) != 1 or len(inputs) != 1 or not names or graph.outputs != (Ref(names[-1]),):
        return None
    before = graph.nodes[0].name
    for node in nodes:
        given = {name for name, value in node.kwargs.items() if value not in (None, False)}
        if node.args != (Ref(before),) or given - {"mask"}:
            return None
        before = node.name
    weights = {
        f"{f'{index}/' if len(nodes) > 1 else ''}{re.sub('^(layer/)+', '', path)}": array
        for index, node in enumerate(nodes)
        for path, array in node.weights.items()
    }
    (array,) = inputs.values()
    try:
        layers = Stack(spec_of(node) for node in nodes).layers
        changed = {name: value for name, value in returns.items() if name == "return_sequences"}
        if any(layer.recurrent and layer.with_returns(**changed) != layer.spec for layer in layers):
            return None
        returned = {name: value for name, value in returns.items() if name == "return_state"}
        stack = Stack(layer.with_returns(**returned) if layer.recurrent else layer.spec for layer in layers)
        return names, check_case(Case(stack, array.astype(stack.dtype), weights=weights, seed=None))
    except (InputError, LayerError):
        return None
