"""Keras models: their graph computed with NumPy, or by Keras where a layer needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnncli.case import Array
from rnncli.errors import EngineError, join
from rnncli.models import CasePair, ModelRequest, ModelRun, SavedModel, _inputs, name_file, operations
from rnncli.models._advice import model_option as model_option
from rnncli.models._advice import runnable_layers as runnable_layers
from rnncli.models._layer_calls import name_tensors
from rnncli.models.graph import Graph, Node, Ref
from rnncli.models.keras import _graph, _training
from rnncli.models.keras._graph import explain_hidden as explain_hidden
from rnncli.models.keras._graph import recurrent_nodes as recurrent_nodes
from rnncli.models.keras._walk import run_graph as run_graph
from rnncli.models.operations import UnknownLayerError


class Model(SavedModel):
    """A graph of Keras, which makes its own masks."""

    makes_masks = True
    contents: Graph

    def layer_names(self) -> tuple[str, ...]:
        """Return every use of a recurrent layer, in the order of the graph."""
        return tuple(node.name for node in recurrent_nodes(_graph.with_modules(self.contents)))

    @name_file
    def choose(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the uses of these layers; all without names.  Raises UsageError, InputError."""
        return tuple(node.name for node in _graph.choose_nodes(_graph.with_modules(self.contents), names))

    def describe_inputs(self) -> str:
        """Return `ids: (batch, 12), int32` and so on, for every input."""
        return _inputs.describe_inputs(self.contents)

    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return every input by name, in the dtype of the model.  Raises InputError if one does not fit."""
        inputs = {node.name: node.layer for node in self.contents.nodes if node.class_name == _graph.INPUT}
        tables: dict[str, dict[str, Array]] = {}
        for node in self.contents.nodes:
            if node.class_name == "Embedding" and "embeddings" in node.weights:
                for arg in node.args:
                    if isinstance(arg, Ref) and arg.node in inputs:
                        tables.setdefault(inputs[arg.node], {})[node.name] = node.weights["embeddings"]
        return _inputs.fit_inputs(self.contents, given, tables=tables)

    @name_file
    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each recurrent layer gets; layers that NumPy does not know are computed by Keras.

        Raises the errors of `run_graph`; also LayerError where Keras cannot run the model either, EngineError
        if it is not there.
        """
        try:
            return run_graph(self.contents, request)
        except UnknownLayerError as error:
            node = next((node for node in self.contents.nodes if node.name == error.layer), None)
            if node is None or not _keras_may_know(node):
                raise
            _training.require_inference(_graph.with_modules(self.contents), request.layers)
            unknown, cause = error.sentence, node.name
        from rnncli.models.keras import _keras_backend

        try:
            return _keras_backend.run(self.contents, self.path, request, cause)
        except _keras_backend.UnrunnableError as error:
            raise type(error)(join((unknown, error.sentence), " "), error.advice) from None

    def stateful_layers(self) -> tuple[str, ...]:
        """Return the layers that keep their state from one call to the next."""
        return tuple(
            node.name
            for node in recurrent_nodes(_graph.with_modules(self.contents))
            if node.config.get("stateful") or node.core_config.get("stateful")
        )

    @property
    def framework(self) -> str:
        """The generation of Keras that the model belongs to."""
        return "Keras" if self.contents.generation >= 3 else "tf_keras"

    def outputs(self, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]) -> dict[str, Array]:
        """Return every tensor from Keras: from its run of the model, or from a layer that returns more.

        A model of Keras 2 is run by tf_keras, as today's Keras may read it otherwise.
        Raises EngineError if that is not installed or cannot run the model.
        """
        from rnncli import compute
        from rnncli.models.keras import _keras_backend, _tf_keras

        if self.contents.generation < 3:
            return _tf_keras.outputs(self.contents, self.path, inputs, cases)
        try:
            calls = _keras_backend.record(_graph.with_modules(self.contents), self.path, inputs)
        except _keras_backend.UnrunnableError as error:  # its advice is for a run without a check
            raise EngineError("{--check}: {error}", "Leave {--check} out.", error=error) from None
        return name_tensors(
            calls,
            cases,
            lambda _, shown: [tensor.values for tensor in compute.run(shown, "tensorflow").outputs],
        )


def _keras_may_know(node: Node) -> bool:
    """Return whether Keras could compute the node, and all nodes of a model inside it."""
    inside = node.inner.nodes if node.inner is not None else ()
    return operations.keras_may_know(node.class_name, node.module) and all(map(_keras_may_know, inside))
