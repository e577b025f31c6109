"""The layers of a Keras model with their shapes and masks, without computing a number.

The graph is walked with arrays of no sequences, (0, timesteps, features): each layer then returns an array of
its shape, and no number.  Sizes that are free are given two different values in two walks; what differs
between the walks is free, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from rnncli import compute
from rnncli.errors import RnncliError
from rnncli.layers.plain import LAMBDAS, MASK_USERS, rules_of
from rnncli.layers.stack import Stack
from rnncli.models import ModelRequest
from rnncli.models.graph import PLACED_MASK, Graph, Node, Ref, iterate_refs, leaves, map_leaves
from rnncli.models.keras.choice import INPUT
from rnncli.models.keras.layer_alone import half_dtype
from rnncli.models.keras.layer_weights import frozen_names
from rnncli.models.keras.walk import BROKEN, GraphWalk, Value, hidden_nodes, masks_after
from rnncli.models.layer_cases import name_outputs, spec_of, with_dtype
from rnncli.models.summary import (
    PASSED,
    STARTS,
    STOPS,
    THROUGH,
    UNKNOWN,
    USED,
    LayerRow,
    Summary,
    TensorRow,
    WeightCounter,
    class_text,
    features_of,
    known_spec,
)
from rnncli.values import Shape

FREE = (997, 2003)
"""Two values of a free size, longer than nearly every window of a convolution."""
LARGEST = 2**24
"""Numbers of one tensor beyond which a layer that needs a sequence is not tried with one."""


def summarize(graph: Graph, sizes: Mapping[str, Shape]) -> Summary:
    """Return every layer of the graph.  sizes: the shapes of the inputs, if they are given."""
    shapes = {entry.name: sizes.get(entry.name, entry.shape) for entry in graph.inputs}
    halves = {node.name: half_dtype(node) for node in graph.nodes}
    first, second = (_walk(graph, shapes, free) for free in FREE)
    batches = {shape[0] for shape in shapes.values() if shape}
    batch = next(iter(batches)) if len(batches) == 1 else "batch"

    def tensor(ref: Ref, name: str) -> TensorRow:
        values = [walk.values[ref.node].tensors for walk in (first, second)]
        arrays: list[Any] = [tensors[ref.tensor] if ref.tensor < len(tensors) else None for tensors in values]
        if any(array is None for array in arrays):
            return TensorRow(name, None)
        pairs = zip(*(array.shape for array in arrays), strict=True)
        axes = [size if size == other else None for size, other in pairs]
        shape = tuple((None if axis else batch) if size == 0 else size for axis, size in enumerate(axes))
        dtype = "" if arrays[0].dtype == object else str(arrays[0].dtype)
        return TensorRow(name, shape, halves[ref.node] if halves[ref.node] and "float" in dtype else dtype)

    hidden, counter = hidden_nodes(graph), WeightCounter()
    rows = [_row(node, first, hidden, counter, tensor) for node in graph.nodes if node.name not in hidden]
    inputs = tuple(TensorRow(w.name, shapes[w.name], w.dtype) for w in graph.inputs)
    outputs = tuple(tensor(ref, ref.node) for ref in graph.outputs)
    return Summary(
        graph.file, graph.origin, inputs, tuple(rows), outputs, graph.notes, graph.name,
        graph.optimizer_parameters,
    )  # fmt: skip


def _row(
    node: Node, walk: _ShapeWalk, hidden: Collection[str], counter: WeightCounter, tensor: Any
) -> LayerRow:
    count = len(walk.values[node.name].tensors)
    half = half_dtype(node)
    known = replace(node, config=with_dtype(node.config, half)) if half else node
    spec = known_spec(known) if node.is_recurrent else None
    source = next(iterate_refs(node.args), None)
    given = None if source is None else tensor(source, "").shape
    given = given or ("batch", None, features_of(node))
    names = name_outputs(node.name, count)
    if spec is not None and len(infos := Stack((spec,)).outputs(given)) == count:
        names = [f"{node.name}/{info.name}" for info in infos]
    return LayerRow(
        name=node.name,
        class_name=class_text(node.class_name, node.config),
        inputs=tuple(dict.fromkeys(_sources(node, walk.nodes, hidden))),
        outputs=tuple(tensor(Ref(node.name, index), name) for index, name in enumerate(names)),
        weights=counter.rows(node.weights.items(), node.parameters, frozen=frozen_names(node)),
        mask=walk.uses.get(node.name, ""),
        recurrent=node.is_recurrent,
        spec=spec,
        input_shape=given if node.is_recurrent else None,
    )


def _sources(node: Node, nodes: Mapping[str, Node], hidden: Collection[str]) -> Iterator[str]:
    others = {name: arg for name, arg in node.kwargs.items() if name not in ("mask", PLACED_MASK)}
    for ref in iterate_refs([node.args, others]):
        if ref.node in hidden and nodes[ref.node].class_name != INPUT:
            yield from _sources(nodes[ref.node], nodes, hidden)
        else:
            yield ref.node


def _walk(graph: Graph, shapes: Mapping[str, Shape | None], free: int) -> _ShapeWalk:
    inputs = {
        entry.name: _empty(shapes[entry.name] or (None, None), free, entry.dtype) for entry in graph.inputs
    }
    request = ModelRequest(inputs, compute=compute.run)  # which is not called
    walk = _ShapeWalk(_in_float32(graph), request, rules_of(graph.origin))
    walk.free = free
    walk.visit_all()
    return walk


def _empty(shape: Shape, free: int, dtype: str = "") -> Any:
    """Return an array of no sequences.  dtype: objects for text, and for a type that is not known."""
    sizes = (size if isinstance(size, int) else free for size in shape[1:])
    return np.empty((0, *sizes), dtype if dtype.startswith(("float", "int", "uint", "bool")) else object)


def _in_float32(graph: Graph) -> Graph:
    nodes = tuple(
        replace(
            node,
            config={**node.config, "dtype": "float32"} if "dtype" in node.config else node.config,
            kwargs={name: arg for name, arg in node.kwargs.items() if name != "training"},
            inner=node.inner and _in_float32(node.inner),
        )
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _drops_mask(node: Node) -> bool:
    """Return whether it is a Lambda that makes no mask itself."""
    return node.class_name in LAMBDAS or (node.class_name == "Lambda" and node.config.get("mask") is None)


class _ShapeWalk(GraphWalk):
    """A walk in which a layer gets no sequence, and a layer that is not known has the shape in the file.

    free: the value of free sizes.
    sequences: how many sequences a layer gets: 0; or 1 if it cannot do without, as a Reshape to -1.
    uses: what happens to a mask, by layer.
    stored: the shapes of outputs that the file has, by layer and by the number of the output.
    doubtful: the layers of which it is not known whether their outputs have masks.
    """

    def __init__(self, graph: Graph, request: ModelRequest, rules: str) -> None:
        super().__init__(graph, request, rules)
        self.free, self.sequences = FREE[0], 0
        self.uses: dict[str, str] = {}
        self.doubtful: set[str] = set()
        self.stored: dict[str, dict[int, Shape]] = {}
        for ref, shape in graph.shapes.items():
            self.stored.setdefault(ref.node, {})[ref.tensor] = shape

    def visit_all(self) -> None:
        """Visit every node, in order."""
        for node in self.graph.nodes:
            self._visit(node, is_result=False, is_input=True)

    def _visit(self, node: Node, is_result: bool, is_input: bool, wanted: Collection[str] = ()) -> None:
        if node.class_name == INPUT and not node.args:
            self.values[node.name] = Value((self.request.inputs[node.layer],), (self.input_mask,))
            return
        value = self._value(node)
        stored = self.stored.get(node.name, {})
        count = max(len(value.tensors), *(index + 1 for index in stored), 1)
        tensors = [*value.tensors, *[None] * (count - len(value.tensors))]
        for index, shape in stored.items():
            if tensors[index] is None:
                tensors[index] = _empty(shape, self.free)
        self.values[node.name] = Value(tuple(tensors), (*value.masks, *[None] * count)[:count])
        self._note_mask(node, is_known=bool(value.tensors))

    def _value(self, node: Node) -> Value:
        for sequences in (0, 1):
            self.sequences = sequences
            try:
                if node.is_recurrent:
                    return self._returned(node)
                if any(self._find(ref) is None for ref in node.refs):
                    break
                tensors, masks = self._compute(node)
                if all(len(array) == sequences for array in tensors if sequences):
                    return Value(tuple(array[:0] for array in tensors) if sequences else tensors, masks)
            except (RnncliError, *BROKEN):
                continue
            finally:
                self.sequences = 0
        return Value((), ())

    def _returned(self, node: Node) -> Value:
        source, spec = next(iterate_refs(node.args), None), spec_of(node)
        array = None if source is None else self._find(source)
        shape = (0, self.free, features_of(node)) if array is None else array.shape
        infos = Stack((spec,)).outputs(shape)
        arrays = tuple(_empty(info.shape, self.free, str(spec.config["dtype"])) for info in infos)
        return Value(arrays, masks_after(spec, self._masks(node)[1], len(infos)))

    def _resolve(self, arg: Any) -> Any:
        return map_leaves(lambda leaf: self._find(leaf) if isinstance(leaf, Ref) else leaf, arg)

    def _find(self, ref: Ref) -> Any:
        """Return an output, with the number of sequences that the layer gets; None if it is not known."""
        tensors = self.values[ref.node].tensors
        return self._with_sequences(tensors[ref.tensor] if ref.tensor < len(tensors) else None)

    def _mask(self, arg: Any) -> Any:
        masks = self.values[arg.node].masks if isinstance(arg, Ref) else ()
        return self._with_sequences(masks[arg.tensor] if masks and arg.tensor < len(masks) else None)

    def _with_sequences(self, array: Any) -> Any:
        if array is None or not self.sequences or not array.ndim or len(array):
            return array
        if prod(array.shape[1:]) > LARGEST:
            raise MemoryError
        return np.zeros((1, *array.shape[1:]), array.dtype)

    def _note_mask(self, node: Node, *, is_known: bool) -> None:
        gets = any(mask is not None for mask in leaves([*self._masks(node)]))
        first = self.values[node.name].tensors[0]
        passes = self.values[node.name].masks[0] is not None
        doubt = any(ref.node in self.doubtful for ref in node.refs)
        ends = (node.is_recurrent and not passes) or (first is not None and first.ndim < 3)
        inner = node
        while inner.class_name == "TimeDistributed":
            inner = inner.inside
        uses = node.is_recurrent or inner.class_name in MASK_USERS
        if node.makes_mask:
            self.uses[node.name] = STARTS
        elif doubt or (gets and not (is_known or _drops_mask(node))):
            self.uses[node.name] = UNKNOWN
            if not (is_known and ends):
                self.doubtful.add(node.name)
        elif gets:
            ways = {(True, True): THROUGH, (True, False): USED, (False, True): PASSED}
            self.uses[node.name] = ways.get((uses, passes), STOPS)
