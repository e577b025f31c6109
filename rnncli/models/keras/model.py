"""Keras models: their graph computed with NumPy, or by Keras where a layer needs it; their layers and shapes.

For its shapes and masks a graph is walked with arrays of no sequences, (0, timesteps, features): each layer
then returns an array of its shape, and no number.  Sizes that are free are given two different values in two
walks; what differs between the walks is free, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli import compute
from rnncli.errors import Message, RnncliError, join
from rnncli.layers.case import Case
from rnncli.layers.plain import (
    LAMBDAS,
    MASK_USERS,
    UNKNOWN_CLASS,
    UnknownLayerError,
    is_operation,
    keras_may_know,
    refuse,
    rules_of,
)
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse, ModelRequest, ModelRun, SavedModel, inputs, name_file
from rnncli.models.graph import PLACED_MASK, Graph, Node, Ref, iterate_refs, leaves, map_leaves
from rnncli.models.keras.choice import INPUT, half_dtype, own_cell_name, require_inference
from rnncli.models.keras.layer_weights import frozen_names
from rnncli.models.keras.walk import BROKEN, GraphWalk, Value, hidden_nodes, masks_after, run_graph
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
from rnncli.values import Array, Shape

if TYPE_CHECKING:
    from rnncli.models.keras.custom import CustomObjects
    from rnncli.models.summary import Summary


class Model(SavedModel):
    """A graph of Keras, which makes its own masks."""

    makes_masks = True
    contents: Graph

    @property
    def framework(self) -> str:
        """The generation of Keras that the model belongs to."""
        return "Keras" if self.contents.generation >= 3 else "tf_keras"

    def stateful_layers(self) -> tuple[str, ...]:
        return tuple(
            node.name
            for node in self.contents.recurrent_nodes
            if node.config.get("stateful") or node.core_config.get("stateful")
        )

    def for_windows(self) -> Model | None:
        """Return a stateful model of one sequence that takes any batch, if its layers never mix sequences.

        Operations and Lambdas may; so may a stateful layer in a TimeDistributed, whose steps are its batch.
        """
        graph, hidden = self.contents, hidden_nodes(self.contents)
        mixes = any(
            node.name not in hidden
            and (is_operation(node.module) or node.class_name in ("Lambda", "TimeDistributed"))
            for node in graph.nodes
        )
        is_single = all(entry.shape and entry.shape[0] == 1 for entry in graph.inputs)
        if mixes or not is_single or not self.stateful_layers():
            return None
        free = (replace(entry, shape=("batch", *(entry.shape or ())[1:])) for entry in graph.inputs)
        return type(self)(replace(graph, inputs=tuple(free)), self.path, self.names)

    def text_inputs(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.contents.inputs if entry.dtype == inputs.TEXT)

    def output_names(self) -> tuple[str, ...]:
        refs = [(ref.node, ref.tensor) for ref in self.contents.outputs]
        return tuple(f"{node}/output{end}" for node, tensor in refs for end in ("", f"_{tensor}"))

    def summarize(self, sizes: Mapping[str, Shape]) -> Summary:
        return summarize_graph(self.contents, sizes)

    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return every input by name, in the dtype of the model.  Raises InputError if one does not fit."""
        return inputs.fit_inputs(self.contents, given, tables=self._tables())

    def vocabularies(self) -> dict[str, int]:
        return {name: min(map(len, tables.values())) for name, tables in self._tables().items()}

    def _tables(self) -> dict[str, dict[str, Array]]:
        names = {node.name: node.layer for node in self.contents.nodes if node.class_name == INPUT}
        tables: dict[str, dict[str, Array]] = {}
        for node in self.contents.nodes:
            if node.class_name == "Embedding" and "embeddings" in node.weights:
                for arg in node.args:
                    if isinstance(arg, Ref) and arg.node in names:
                        tables.setdefault(names[arg.node], {})[node.name] = node.weights["embeddings"]
        return tables

    def other_layers(self) -> tuple[str, ...]:
        """Return the layers that are not recurrent, without what Keras itself inserts for masks."""
        hidden = hidden_nodes(self.contents)
        nodes = (node for node in self.contents.nodes if node.name not in hidden and not node.is_recurrent)
        return tuple(f"{node.name} ({node.class_name})" for node in nodes)

    def chain(self, request: ModelRequest) -> tuple[tuple[str, ...], Case] | None:
        from rnncli.models.keras.walk import chain_layers

        return chain_layers(self.contents, request.inputs, request.returns)

    def with_custom_objects(self, given: Any) -> Model:
        from rnncli.models.keras import custom

        return type(self)(replace(self.contents, custom=custom.read(given)), self.path, self.names)

    @name_file
    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each recurrent layer gets; layers that NumPy does not know are computed by Keras.

        Raises the errors of `run_graph`; also LayerError where Keras cannot run the model either, EngineError
        if it is not there.
        """
        graph = self.contents
        try:
            if request.everything and graph.custom is not None:
                _require_given(graph, None)  # else Keras computes all layers
            return run_graph(graph, request)
        except UnknownLayerError as error:
            node = next((node for node in graph.nodes if node.name == error.layer), None)
            if node is None or not _keras_may_know(node, graph.custom):
                raise _name_lacking(error, node, graph.custom) from None
            if request.layers or not request.others:
                require_inference(graph, request.layers)
            _require_given(graph, graph.custom)
            unknown, cause = error.sentence, node.name
        from rnncli.models.keras import by_keras
        from rnncli.models.keras.by_keras import UnrunnableError

        try:
            return by_keras.run(graph, self.path, request, cause)
        except UnrunnableError as error:
            raise type(error)(join((unknown, error.sentence), " "), error.advice) from None

    def outputs(self, request: ModelRequest, uses: Sequence[LayerUse]) -> dict[str, Array]:
        from rnncli.models.keras import by_keras

        return by_keras.outputs(self.contents, self.path, request.inputs, uses)


def _name_lacking(
    error: UnknownLayerError, node: Node | None, custom: CustomObjects | None
) -> UnknownLayerError:
    """Return the error; if the file of --custom-objects lacks the class of the node, the advice says so."""
    if node is None or custom is None or custom.path is None:
        return error
    name = own_cell_name(node) or node.class_name
    if custom.has(name) or (name == node.class_name and keras_may_know(name, node.module)):
        return error
    lacks = Message("{file} does not define {name}.", file=custom.path.name, name=name.rpartition(">")[2])
    return UnknownLayerError(error.layer, error.sentence, join((lacks, error.advice), " "))


def _require_given(graph: Graph, custom: CustomObjects | None) -> None:
    """Raise UnknownLayerError if these objects lack a class, for which Keras could not load the model."""
    for node in graph.nodes if graph.custom is not None else ():
        if not _keras_may_know(node, custom):
            error = refuse(node.name, own_cell_name(node) or node.class_name, Message(UNKNOWN_CLASS))
            raise _name_lacking(error, node, custom)


def _keras_may_know(node: Node, custom: CustomObjects | None) -> bool:
    """Return whether Keras could compute the node, and all nodes of a model inside it.

    custom: the classes and functions that Keras is given.
    """
    inside = node.inner.nodes if node.inner is not None else ()
    known, cell = keras_may_know(node.class_name, node.module), own_cell_name(node)
    if custom is not None:
        function = node.config.get("function") if node.class_name == "Lambda" else None
        name = function.get("config") if isinstance(function, Mapping) else None
        known = known or custom.has(name if isinstance(name, str) else node.class_name)
        cell = "" if custom.has(cell) else cell
    return known and not cell and all(_keras_may_know(layer, custom) for layer in inside)


FREE = (997, 2003)
"""Two values of a free size, longer than nearly every window of a convolution."""
LARGEST = 2**24
"""Numbers of one tensor beyond which a layer that needs a sequence is not tried with one."""


def summarize_graph(graph: Graph, sizes: Mapping[str, Shape]) -> Summary:
    """Return every layer of the graph.  sizes: the shapes of the inputs, if they are given."""
    shapes = {entry.name: sizes.get(entry.name, entry.shape) for entry in graph.inputs}
    halves = {node.name: half_dtype(node) for node in graph.nodes}

    def walk(free: int) -> _ShapeWalk:
        inputs = {
            entry.name: _empty(shapes[entry.name] or (None, None), free, entry.dtype)
            for entry in graph.inputs
        }
        request = ModelRequest(inputs, compute=compute.run)  # which is not called
        shape_walk = _ShapeWalk(_in_float32(graph), request, rules_of(graph.origin))
        shape_walk.free = free
        shape_walk.visit_all()
        return shape_walk

    first, second = map(walk, FREE)
    batches = {shape[0] for shape in shapes.values() if shape}
    batch = next(iter(batches)) if len(batches) == 1 else "batch"

    def tensor(ref: Ref, name: str) -> TensorRow:
        values = [each.values[ref.node].tensors for each in (first, second)]
        arrays: list[Any] = [tensors[ref.tensor] if ref.tensor < len(tensors) else None for tensors in values]
        if any(array is None for array in arrays):
            return TensorRow(name, None)
        pairs = zip(*(array.shape for array in arrays), strict=True)
        axes = [size if size == other else None for size, other in pairs]
        shape = tuple((None if axis else batch) if size == 0 else size for axis, size in enumerate(axes))
        dtype = "" if arrays[0].dtype == object else str(arrays[0].dtype)
        return TensorRow(name, shape, halves[ref.node] if halves[ref.node] and "float" in dtype else dtype)

    hidden, counter = hidden_nodes(graph), WeightCounter()

    def row(node: Node) -> LayerRow:
        count = len(first.values[node.name].tensors)
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
            inputs=tuple(dict.fromkeys(_sources(node, first.nodes, hidden))),
            outputs=tuple(tensor(Ref(node.name, index), name) for index, name in enumerate(names)),
            weights=counter.rows(node.weights.items(), node.parameters, frozen=frozen_names(node)),
            mask=first.uses.get(node.name, ""),
            recurrent=node.is_recurrent,
            spec=spec,
            input_shape=given if node.is_recurrent else None,
        )

    rows = [row(node) for node in graph.nodes if node.name not in hidden]
    inputs = tuple(TensorRow(w.name, shapes[w.name], w.dtype) for w in graph.inputs)
    outputs = tuple(tensor(ref, ref.node) for ref in graph.outputs)
    return Summary(
        graph.file, graph.origin, inputs, tuple(rows), outputs, graph.notes, graph.name,
        graph.optimizer_parameters,
    )  # fmt: skip


def _sources(node: Node, nodes: Mapping[str, Node], hidden: Collection[str]) -> Iterator[str]:
    others = {name: arg for name, arg in node.kwargs.items() if name not in ("mask", PLACED_MASK)}
    for ref in iterate_refs([node.args, others]):
        if ref.node in hidden and nodes[ref.node].class_name != INPUT:
            yield from _sources(nodes[ref.node], nodes, hidden)
        else:
            yield ref.node


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
        drops = node.class_name in LAMBDAS or (
            node.class_name == "Lambda" and node.config.get("mask") is None
        )  # which makes no mask itself
        if node.makes_mask:
            self.uses[node.name] = STARTS
        elif doubt or (gets and not (is_known or drops)):
            self.uses[node.name] = UNKNOWN
            if not (is_known and ends):
                self.doubtful.add(node.name)
        elif gets:
            ways = {(True, True): THROUGH, (True, False): USED, (False, True): PASSED}
            self.uses[node.name] = ways.get((uses, passes), STOPS)
