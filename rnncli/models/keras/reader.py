"""Whole Keras models, of Keras 2.0 to today's, as graphs; TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from rnncli.errors import InputError, Message, Text, format_names, inside, shorten
from rnncli.models.graph import Graph, ModelInput, Node, Ref, leaves
from rnncli.models.keras import file as keras_file
from rnncli.models.keras import layer_weights
from rnncli.models.keras.flatten import Flattener
from rnncli.models.keras.hdf5 import FileContents, Group
from rnncli.models.keras.layer_weights import CONVOLUTIONS
from rnncli.models.keras.versions import MODELS, Origin, Translator, is_operation, origin_of, translate_class

if TYPE_CHECKING:
    from rnncli.inputs.source import Source
    from rnncli.values import Array

    Weights = Mapping[str, Mapping[str, Array]]

TRANSLATED = "Keras 3.15.1"
"""The version whose configs the Translator writes."""
BROKEN = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)


def read(source: Source) -> Graph | None:
    """Read the model in a file, whatever its suffix; None if it holds weights alone.

    Raises InputError if it holds no Keras model, or one whose graph is not in the file.
    """
    stored = keras_file.read_stored(source)
    if stored.config is None:
        return None

    def read_weights(model: Mapping[str, Any]) -> Weights:
        return layer_weights.weights_by_path(model, stored)

    with inside(source.name):
        try:
            graph = _build_graph(stored.config, read_weights, origin_of(stored.version), source.name)
        except BROKEN as error:
            reason = shorten(f"{type(error).__name__} {error}".strip(), 80)
            raise InputError(
                "its config does not describe a Keras model ({reason}).", keras_file.ADVICE, reason=reason
            ) from None
    graph = replace(graph, optimizer_parameters=_count_optimizer(stored))
    if stored.backend == "theano" and any(node.class_name in CONVOLUTIONS for node in graph.nodes):
        note = Message("Theano stored the kernels of convolutions reversed; they are reversed back.")
        graph = replace(graph, notes=(*graph.notes, note))
    return graph


def _count_optimizer(stored: FileContents) -> int:
    """Return how many numbers the optimizer keeps, as Keras counts them; 0 for a model that never trained.

    It then has its counter and its learning rate alone.  So has a trained SGD without momentum, which an
    older file does not tell from it.
    """

    def said(*names: str) -> Any:
        """Return what the config says of the optimizer under these names; None if nothing."""
        config = stored.config
        for name in ("compile_config", "optimizer", *names):
            config = config.get(name) if isinstance(config, Mapping) else None
        return config

    is_plain = said("class_name") == "SGD" and not said("config", "momentum")
    return sum(map(prod, stored.optimizer)) if is_plain or any(stored.optimizer) else 0


def read_graph_alone(source: Source) -> Graph | None:
    """Return the graph without weights; None if there is none that can be followed."""
    try:
        config, version = keras_file.read_config(source)
        return _build_graph(config, lambda _: {}, origin_of(version), source.name)
    except (InputError, *BROKEN):
        return None


def graph_of(config: Any, arrays: Mapping[str, list[tuple[str, Array]]]) -> Graph | None:
    """Return the graph of a model of today's Keras; None if its config cannot be followed.

    arrays: the weights of each layer, by path, in the order of Keras.
    """
    stored = FileContents(config, TRANSLATED, "", Group(), arrays)
    try:
        return _build_graph(
            config, lambda model: layer_weights.weights_by_path(model, stored), origin_of(TRANSLATED), ""
        )
    except (InputError, *BROKEN):
        return None


def _build_graph(
    config: Any, read_weights: Callable[[Mapping[str, Any]], Weights], origin: Origin, file: Text
) -> Graph:
    """Return the graph of a model's config, `{"class_name": "Functional", "config": {...}}`.

    read_weights: returns the weights of a translated config by the layer's path, `inside/deep`, under the
        names of today's Keras.
    """
    _check(config, origin)
    translator = Translator(origin)
    model = translator.entry(config, "")
    if translate_class(config, origin) not in MODELS:
        what = "the file does not hold the graph of this model, which is in its class {config}."
        advice = "Build it as a Sequential or functional model, and save that."
        raise InputError(what, advice, config=config["class_name"])
    if "layers" not in model["config"]:
        raise InputError("the config of this model has no layers.", keras_file.ADVICE)
    flattener = Flattener(read_weights(model["config"]), origin.old)
    outputs = flattener.add_model(model)
    for node in flattener.nodes:
        _require_state_order(node, translator)
    nodes = tuple(_complete(node, translator) for node in flattener.nodes)
    inputs = tuple(_infer_dtype(entry, nodes) for entry in flattener.model_inputs)
    notes = tuple(_note_differences(translator, nodes, str(config["class_name"])))
    generation = 2 if origin.old else 3
    name = str(model["config"].get("name") or "")
    return Graph(str(file), origin.text, nodes, inputs, outputs, notes, generation, flattener.shapes, name)


def _check(config: Any, origin: Origin) -> None:
    if not isinstance(config, Mapping) or "class_name" not in config or "config" not in config:
        raise InputError("its config does not describe a Keras model.", keras_file.ADVICE)
    if origin.version and origin.version < (2,):
        what = "it was saved by {text}; rnncli reads files saved by Keras 2.0 or later."
        raise InputError(what, "Load it in Keras 2.3 and save it again.", text=origin.text)


def _require_state_order(node: Node, translator: Translator) -> None:
    has_states = node.core_config.get("return_state") or "initial_state" in node.kwargs
    if node.layer in translator.backwards and has_states:
        raise InputError(
            "{name}: {text} orders the states of several cells from the last cell to the first, "
            "and Keras 3 does not.",
            "Save the model with one layer for each cell.",
            name=node.name,
            text=translator.origin.text,
        )


def _complete(node: Node, translator: Translator) -> Node:
    """Return the node with what its weights say, and with the graph of a model inside TimeDistributed.

    The bias of a GRU tells reset_after if its config does not.  cuDNN's LSTM has two biases, whose sum is in
    the weights.
    """
    inner = node.config.get("layer") if node.class_name == "TimeDistributed" else None
    if isinstance(inner, Mapping) and inner.get("class_name") in MODELS:
        weights: dict[str, dict[str, Array]] = {}
        for path, array in node.weights.items():
            parts = path.removeprefix("layer/").split("/")
            for count in range(1, len(parts)):
                weights.setdefault("/".join(parts[:count]), {})["/".join(parts[count:])] = array
        return replace(node, inner=_build_graph(inner, lambda _: weights, origin_of(TRANSLATED), ""))
    if node.class_name == "GRU":
        bias = node.weights.get("bias")
        if node.layer in translator.no_reset and bias is not None and bias.ndim == 2:
            translator.no_reset.remove(node.layer)
            translator.reset.append(node.layer)
        return node.with_core_options(reset_after=True) if node.layer in translator.reset else node
    if node.layer in translator.cudnn and node.core_class == "LSTM":
        biases = [array.size for name, array in node.weights.items() if name.rpartition("/")[2] == "bias"]
        return replace(node, parameters=sum(array.size for array in node.weights.values()) + sum(biases))
    return node


def _infer_dtype(model_input: ModelInput, nodes: Sequence[Node]) -> ModelInput:
    """Return the input as int32 if an Embedding uses it: Keras 2 and Sequential call such ids float32."""
    users = [
        node.class_name
        for node in nodes
        if any(
            isinstance(leaf, Ref) and leaf == Ref(model_input.name)
            for leaf in leaves([node.args, node.kwargs])
        )
        and not (node.class_name == "NotEqual" and is_operation({"module": node.module}))  # their mask
    ]
    ids = model_input.dtype.startswith("float") and users and set(users) == {"Embedding"}
    return replace(model_input, dtype="int32") if ids else model_input


def _note_differences(translator: Translator, nodes: Sequence[Node], class_name: str) -> Iterator[Text]:
    text = translator.origin.text if translator.origin.version else "Keras 2"
    if not translator.origin.version:
        yield Message("the file does not say which version of Keras saved it; Keras 2 is assumed.")
    if class_name not in (*MODELS, "Model", "Network", "Container"):
        yield Message(
            "the class of the model is {class_name}; if it has its own call method, that is not "
            "in the file, and rnncli does not run it.",
            class_name=class_name,
        )
    if translator.hard:
        yield Message(
            "hard_sigmoid in {hard} is clip(0.2 x + 0.5, 0, 1), as in {text}; Keras 3 computes "
            "clip(x / 6 + 0.5, 0, 1).",
            hard=format_names(translator.hard),
            text=text,
        )
    if translator.no_reset:
        yield Message(
            "{no_reset}: reset_after=False, as in {text}, which did not save it; the default of "
            "Keras 3 is True.",
            no_reset=format_names(translator.no_reset),
            text=text,
        )
    if translator.cudnn:
        yield Message(
            "{cudnn}: the weights are converted from cuDNN's layout.", cudnn=format_names(translator.cudnn)
        )
    masked = any(node.makes_mask for node in nodes)
    both = [
        node.name
        for node in nodes
        if node.class_name == "Bidirectional" and node.core_config.get("return_sequences")
    ]
    if translator.origin.own_package and translator.origin.version and masked and both:
        yield Message(
            "{both}: outputs at masked steps are zeros, as in today's Keras; {text} repeated the "
            "previous output.",
            both=format_names(both),
            text=text,
        )
