"""Keras models: their graph computed with NumPy, or by Keras where a layer needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, join
from rnncli.layers.case import Case
from rnncli.layers.plain import UNKNOWN_CLASS, UnknownLayerError, is_operation, keras_may_know, refuse
from rnncli.models import LayerUse, ModelRequest, ModelRun, SavedModel, inputs, name_file
from rnncli.models.graph import Graph, Node, Ref
from rnncli.models.keras.choice import INPUT, require_inference
from rnncli.models.keras.layer_alone import own_cell_name
from rnncli.models.keras.walk import hidden_nodes, run_graph
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
        from rnncli.models.keras.summary import summarize

        return summarize(self.contents, sizes)

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
        from rnncli.models.keras.process import UnrunnableError

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
