"""Whole Keras models, of Keras 2.0 to today's, as graphs; TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli.errors import InputError, Message, Text, count, format_names, inside, shorten
from rnncli.layers.plain import MASK_MAKERS, MASK_USERS
from rnncli.models.graph import PLACED_MASK, Graph, ModelInput, Node, Ref, leaves, map_leaves
from rnncli.models.keras import file as keras_file
from rnncli.models.keras import layer_weights
from rnncli.models.keras.file import FileContents, Group
from rnncli.models.keras.layer_weights import CONVOLUTIONS
from rnncli.models.keras.versions import (
    MODELS,
    OPERATIONS,
    PLAIN,
    RECURRENT,
    Origin,
    Translator,
    is_operation,
    name_of,
    origin_of,
    translate_class,
)
from rnncli.values import Array, Shape

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
    if not isinstance(config, Mapping) or "class_name" not in config or "config" not in config:
        raise InputError("its config does not describe a Keras model.", keras_file.ADVICE)
    if origin.version and origin.version < (2,):
        what = "it was saved by {text}; rnncli reads files saved by Keras 2.0 or later."
        raise InputError(what, "Load it in Keras 2.3 and save it again.", text=origin.text)
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
        has_states = node.core_config.get("return_state") or "initial_state" in node.kwargs
        if node.layer in translator.backwards and has_states:
            raise InputError(
                "{name}: {text} orders the states of several cells from the last cell to the first, "
                "and Keras 3 does not.",
                "Save the model with one layer for each cell.",
                name=node.name,
                text=origin.text,
            )
    nodes = tuple(_complete(node, translator) for node in flattener.nodes)
    inputs = tuple(_infer_dtype(entry, nodes) for entry in flattener.model_inputs)
    notes = tuple(_note_differences(translator, nodes, str(config["class_name"])))
    generation = 2 if origin.old else 3
    name = str(model["config"].get("name") or "")
    return Graph(str(file), origin.text, nodes, inputs, outputs, notes, generation, flattener.shapes, name)


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


Outputs = dict[tuple[str, int], Ref | tuple[Ref, ...]]
"""The outputs of every call: the first tensor of a layer, every tensor of a model."""

_MOST = 50_000

_ARGUMENTS = {
    **dict.fromkeys(MASK_USERS, (PLACED_MASK,)),
    **dict.fromkeys(("BatchNormalization", "TimeDistributed"), ("training", PLACED_MASK)),
    **dict.fromkeys(MODELS, ("training", "mask")),
}
"""The arguments of a call after its inputs, which a model of Keras 3 may pass by position."""

_PASSING = frozenset({"Dense", "Dropout", "SpatialDropout1D", "Activation", "LayerNormalization"})
"""Layers that pass on the mask of their input without using it."""


class Flattener:
    """Turns the config of a model into nodes.

    weights: the weights of each layer, by the layer's path.  old: whether Keras 2 saved the model.
    nodes, model_inputs: the nodes and inputs of the graph, in order.
    shapes: the shapes of tensors as far as the config has them.
    """

    def __init__(self, weights: Mapping[str, Mapping[str, Array]], old: bool) -> None:
        self.weights, self.old = weights, old
        self.nodes: list[Node] = []
        self.model_inputs: list[ModelInput] = []
        self.shapes: dict[Ref, Shape] = {}
        self.count = 0

    def add_model(
        self,
        entry: LayerEntry,
        prefix: str = "",
        use: int = 0,
        given: list[Any] | None = None,
        passed: Mapping[str, Any] = {},
    ) -> tuple[Ref, ...]:
        """Add one use of a model; return its outputs, in the order of `model.outputs`.

        given: its inputs; None for the whole model.
        passed: arguments of the model's call that its layers get too: `training`.
        """
        plan = Plan(_with_input(entry, self.weights, prefix))
        outputs: Outputs = {}
        if given is not None and len(given) != len(plan.inputs):
            raise InputError(
                "{prefix}: this model has {inputs}, and it is called with {given}.",
                SAVE_AGAIN,
                prefix=prefix.rstrip("/"),
                inputs=count(len(plan.inputs), "input"),
                given=len(given),
            )
        for index, link in enumerate(plan.inputs):
            layer = plan.layers[link.layer]
            if layer["class_name"] != "InputLayer":
                what = "{layer}: the model's input is the output of this layer, not an Input."
                raise InputError(what, SAVE_AGAIN, layer=link.layer)
            outputs[link.layer, 0] = (self._input(layer, prefix) if given is None else given[index],)
        for name, index in plan.order(outputs):
            args, kwargs = plan.calls[name][index]
            number = use * len(plan.calls[name]) + index
            call = CallArguments(_resolve(args, outputs), _resolve(kwargs, outputs))
            outputs[name, index] = self._flatten_call(plan.layers[name], prefix + name, number, call, passed)
        for link, shape in plan.shapes.items():
            if isinstance(shape, (list, tuple)) and (link.layer, link.call) in outputs:
                self.shapes[_find_output(link, outputs)] = tuple(map(_dimension, shape))
        return tuple(_find_output(link, outputs) for link in plan.outputs)

    def _input(self, entry: LayerEntry, prefix: str) -> Ref:
        config = entry["config"]
        name = prefix + name_of(entry)
        if config.get("ragged"):
            raise InputError(
                "{name}: ragged inputs are not supported.", "Only dense inputs can be read.", name=name
            )
        first, *sizes = map(_dimension, config.get("batch_shape") or (None,))
        shape = ("batch" if first is None else first, *sizes)
        self.model_inputs.append(ModelInput(name, shape, str(config.get("dtype") or "float32")))
        module = str(entry.get("module", "keras.layers"))
        self.nodes.append(Node(name, name, "InputLayer", module, dict(config), {}, (), {}))
        return Ref(name)

    def _flatten_call(
        self, entry: LayerEntry, path: str, number: int, call: CallArguments, passed: Mapping[str, Any]
    ) -> Ref | tuple[Ref, ...]:
        self.count += 1
        if self.count > _MOST:
            what = "{place}: the model calls more than {most} layers."
            advice = "Save only the part that you want to see."
            raise InputError(what, advice, place=path, most=_MOST)
        class_name, config = entry["class_name"], entry["config"]
        module = str(entry.get("module", "keras.layers"))
        if class_name in _ARGUMENTS and not is_operation(entry):
            names = _ARGUMENTS[class_name]  # others stay after the inputs
            named = dict(zip(names, call.args[1:], strict=False))
            rest = call.args[1 + len(names) :]
            call = CallArguments((*call.args[:1], *rest), {**call.kwargs, **named})
        wins = self.old and call.kwargs.get("training") is not None  # over the model's, only in Keras 2
        kwargs = {**call.kwargs, **({} if wins or is_operation(entry) else passed)}
        if class_name in MODELS:
            training = {"training": kwargs["training"]} if kwargs.get("training") is not None else {}
            inputs = _order_inputs(call.args[0] if call.args else kwargs.get("inputs"), entry)
            inputs = self._add_masks(inputs, kwargs.get("mask"), entry, path, number)
            return self.add_model(entry, f"{path}/", number, inputs, training)
        args = call.args
        if class_name in RECURRENT:
            args, kwargs = _split_states(config, args, kwargs)
        name = _name_call(path, number)
        weights = self.weights.get(path, {})
        config = {key: value for key, value in config.items() if key != "num_constants"}
        trainable = bool(entry.get("trainable", True))
        self.nodes.append(
            Node(name, path, class_name, module, config, weights, args, kwargs, trainable=trainable)
        )
        return Ref(name)

    def _add_masks(
        self, inputs: list[Any], mask: Any, entry: LayerEntry, path: str, number: int
    ) -> list[Any]:
        """An input that does not carry its mask goes through an Identity layer, which gets the mask."""
        masks = list(leaves(mask))
        if mask is None:
            return inputs
        if len(masks) != len(inputs):
            has, gets = count(len(inputs), "input"), count(len(masks), "mask")
            raise InputError(
                "{place}: it has {has} and gets {gets}.", SAVE_AGAIN, place=path, has=has, gets=gets
            )
        named = [item[0] for item in flat_links(entry["config"].get("input_layers", [["input", 0, 0]]))]
        refs: list[Any] = []
        for item, item_mask, name in zip(inputs, masks, named, strict=True):
            if item_mask is not None and not self._comes_with(item, item_mask):
                below = f"{path}/{name}"
                called = _name_call(below, number)
                config = {"name": name}
                self.nodes.append(
                    Node(called, below, "Identity", "keras.layers", config, {}, (item,), {"mask": item_mask})
                )
                item = Ref(called)
            refs.append(item)
        return refs

    def _comes_with(self, item: Any, mask: Any) -> bool:
        nodes = {node.name: node for node in self.nodes}

        def find_maker(value: Any) -> Node | None:
            return nodes.get(value.node) if isinstance(value, Ref) else None

        maker = find_maker(item)
        while maker is not None and maker.class_name in _PASSING and isinstance(maker.args[0], Ref):
            maker = find_maker(maker.args[0])
        if maker is None or not isinstance(mask, Ref):
            return False
        makes_mask = maker.class_name in MASK_MAKERS
        if maker.kwargs.get("mask") == mask:
            return not makes_mask
        # Keras 3 saves the mask that a layer makes as the operations that compute it.
        test = find_maker(mask) if makes_mask else None
        if test is not None and maker.class_name == "Masking" and test.class_name == "Any":
            test = find_maker(test.args[0])
        return test is not None and test.class_name == "NotEqual" and test.args[:1] == maker.args[:1]


def _name_call(path: str, number: int) -> str:
    """Return the name of one call of the layer at `path`: `lstm`, then `lstm@1`."""
    return f"{path}@{number}" if number else path


def _with_input(entry: LayerEntry, weights: Mapping[str, Mapping[str, Array]], prefix: str) -> LayerEntry:
    config = entry["config"]
    if entry["class_name"] != "Sequential":
        return entry
    if not config["layers"]:
        what = "{of}: there is no layer in this model."
        raise InputError(what, "Add layers to it, and save it again.", of=name_of(entry))
    if config["layers"][0]["class_name"] == "InputLayer":
        return entry
    first = {"class_name": "InputLayer", "config": _first_input(entry, weights, prefix)}
    return {**entry, "config": {**config, "layers": [first, *config["layers"]]}}


def _first_input(
    entry: LayerEntry, weights: Mapping[str, Mapping[str, Array]], prefix: str
) -> dict[str, Any]:
    first = entry["config"]["layers"][0]
    shape = entry["config"].get("build_input_shape")
    kernel = weights.get(prefix + name_of(first), {}).get("kernel")
    if shape is None and first["class_name"] == "Embedding":
        shape = [None, None]
    if shape is None and first["class_name"] in PLAIN and kernel is not None:
        shape = [None, None, int(kernel.shape[0])]
    if shape is None and not prefix:
        raise InputError("the file does not say the shape of the model's input.", SAVE_AGAIN)
    return {"name": f"{name_of(first)}_input", "batch_shape": shape, "dtype": "float32"}


def _resolve(tree: Any, outputs: Outputs) -> Any:
    return map_leaves(lambda leaf: _find_output(leaf, outputs) if isinstance(leaf, Link) else leaf, tree)


def _find_output(link: Link, outputs: Outputs) -> Ref:
    """Return the Ref of a link.  outputs: of a model every tensor, of a layer only the first."""
    output = outputs.get((link.layer, link.call))
    if output is None:
        raise no_call(link.layer, link.call)
    known = type(link.tensor) is int and link.tensor >= 0
    if known and isinstance(output, Ref):
        return Ref(output.node, link.tensor)
    if not known or isinstance(output, Ref) or link.tensor >= len(output):
        what = "{layer}: the model's config has no output {tensor} of it."
        raise InputError(what, SAVE_AGAIN, layer=link.layer, tensor=link.tensor)
    return output[link.tensor]


def _split_states(
    config: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Keras 2 has one list of the inputs, the states and the constants of a cell."""
    names = ("initial_state", PLACED_MASK, "training")
    kwargs = {**dict(zip(names, args[1:], strict=False)), **kwargs}
    first = args[0] if args else kwargs.pop("sequences", kwargs.pop("inputs", None))
    if isinstance(first, (list, tuple)):
        constants = config.get("num_constants") or 0
        states = list(first[1 : len(first) - constants])
        if constants:
            kwargs["constants"] = list(first[len(first) - constants :])
        if states:
            kwargs["initial_state"] = states
        first = first[0]
    if kwargs.get("initial_state") is not None and not isinstance(kwargs["initial_state"], (list, tuple)):
        kwargs["initial_state"] = [kwargs["initial_state"]]
    return (first,), {key: value for key, value in kwargs.items() if value is not None}


def _order_inputs(given: Any, entry: LayerEntry) -> list[Any]:
    wanted = entry["config"].get("input_layers")
    if isinstance(given, Mapping) and wanted is not None and not isinstance(wanted, Mapping):
        order = [item[0] for item in flat_links(wanted)]
        if set(order) == set(given):
            return [given[name] for name in order]
    return list(leaves(given))


def _dimension(size: Any) -> int | None:
    return size if type(size) is int else None


SAVE_AGAIN = Message("Save the model again with model.save('model.keras').")

LayerEntry = Mapping[str, Any]

_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True, slots=True)
class Link:
    """One output of one call of a layer, as configs name it; `call` counts from 0."""

    layer: str
    call: int
    tensor: int


class CallArguments(NamedTuple):
    """The arguments of one call of a layer: Links, which may be nested, and constants."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Plan:
    """The layers of one model by name, their calls, and the model's inputs and outputs.

    entry: the entry of the model; a Sequential has an InputLayer.
    shapes: the shapes of tensors as far as the config has them.
    """

    def __init__(self, entry: LayerEntry) -> None:
        config = entry["config"]
        self.layers: dict[str, LayerEntry] = {}
        for layer in config["layers"]:
            name = name_of(layer)
            if name in self.layers:
                raise InputError("the model has two layers called {name!r}.", SAVE_AGAIN, name=name)
            self.layers[name] = layer
        self.shapes: dict[Link, Any] = {}
        self.inputs: list[Link]
        self.outputs: list[Link]
        self.calls: dict[str, list[CallArguments]]
        if entry["class_name"] == "Sequential":
            names = list(self.layers)
            chain = [Link(name, 0, 0) for name in names]
            self.inputs, self.outputs = chain[:1], chain[-1:]
            before = list(zip(names[1:], chain, strict=False))
            self.calls = {names[0]: [], **{name: [CallArguments((link,), {})] for name, link in before}}
            self.shapes = {link: self.layers[name].get("input_shape") for name, link in before}
            return
        for key in ("input_layers", "output_layers"):
            if key not in config:
                raise InputError(
                    "{of}: the config of this model has no {key}.", SAVE_AGAIN, of=name_of(entry), key=key
                )
        self._nodes = {name: list(layer.get("inbound_nodes") or ()) for name, layer in self.layers.items()}
        models = {name: layer for name, layer in self.layers.items() if layer["class_name"] in MODELS}
        used: dict[str, set[int]] = {name: set() for name in models}
        for item in _links_in(list(self._nodes.values()), models):
            used[item[0]].add(item[1])
        self._shift = {  # the number from which Keras counts the calls of each model in this one
            name: _first_number(layer, self._nodes[name], used[name]) for name, layer in models.items()
        }
        self.calls = {
            name: [self._call(self.layers[name], node) for node in nodes if node]
            for name, nodes in self._nodes.items()
        }
        self.inputs = [self._link(item) for item in flat_links(config["input_layers"])]
        self.outputs = [self._link(item) for item in flat_links(config["output_layers"])]

    def _link(self, item: Any) -> Link:
        """Return the Link of `["inside", 1, 0]`; Keras 2 and outputs count the calls of a model from 1."""
        self._require_layer(item[0])
        return Link(item[0], item[1] - self._shift.get(item[0], 0), item[2])

    def _require_layer(self, name: str) -> None:
        if name not in self.layers:
            raise InputError(
                "the model's config names a layer {name!r} that is not in it.", SAVE_AGAIN, name=name
            )

    def _call(self, entry: LayerEntry, node: Any) -> CallArguments:
        if _is_grouped(node):
            args = tuple(self._decode(item) for item in node.get("args", ()))
            kwargs = {key: self._decode(item) for key, item in node.get("kwargs", {}).items()}
            return CallArguments(args, kwargs)
        given: dict[str, Any] = {}
        first = self._parse_list(node, given)
        if isinstance(first, list) and len(first) == 1 and entry["class_name"] not in OPERATIONS:
            first = first[0]
        return CallArguments((first,), {key: self._in_kwargs(item) for key, item in given.items()})

    def _parse_list(self, node: Any, kwargs: dict[str, Any]) -> Any:
        """Parse Keras 2's form: `["lstm", 0, 0, {...}]`, also nested; adds its arguments to `kwargs`."""
        if isinstance(node, Mapping):
            return {key: self._parse_list(item, kwargs) for key, item in node.items()}
        if not isinstance(node, (list, tuple)):
            raise InputError("the inbound_nodes of a layer in the model's config cannot be read.", SAVE_AGAIN)
        if not _is_link(node):
            return [self._parse_list(item, kwargs) for item in node]
        if len(node) > 3 and isinstance(node[3], Mapping):
            kwargs.update(node[3])
        return node[2] if node[0] == _CONSTANT else self._link(node)

    def _in_kwargs(self, value: Any) -> Any:
        if _is_link(value) and value[0] == _CONSTANT:
            return value[2]
        if _is_link(value) and value[0] in self.layers:
            return self._link(value)
        if isinstance(value, list):
            return _index([self._in_kwargs(item) for item in value])
        if isinstance(value, Mapping):
            if value.keys() == {"start", "stop", "step"}:
                return slice(*(self._in_kwargs(value[key]) for key in ("start", "stop", "step")))
            if value.get("class_name") == "__ellipsis__":
                return Ellipsis
            return {key: self._in_kwargs(item) for key, item in value.items()}
        return value

    def _decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return _index([self._decode(item) for item in value])
        if not isinstance(value, Mapping):
            return value
        kind, config = value.get("class_name"), value.get("config")
        if kind == "__ellipsis__":
            return Ellipsis
        if isinstance(config, Mapping):
            if kind == "__keras_tensor__":
                link = Link(*config["keras_history"])
                self._require_layer(link.layer)
                self.shapes[link] = config.get("shape")
                return link
            if kind in ("__tensor__", "__numpy__"):
                return np.asarray(config["value"], config.get("dtype"))
            if kind == "__slice__":
                return slice(*(self._decode(config.get(key)) for key in ("start", "stop", "step")))
            if kind == "__tuple__":
                return tuple(self._decode(item) for item in config["value"])
        return {key: self._decode(item) for key, item in value.items()}

    def order(self, known: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        """Yield every call after the calls that it depends on, else in the order of the config."""
        done = set(known)
        for name, calls in self.calls.items():
            for index in range(len(calls)):
                yield from self._sort_dependencies((name, index), done)

    def _sort_dependencies(
        self, last: tuple[str, int], done: set[tuple[str, int]]
    ) -> Iterator[tuple[str, int]]:
        waiting, open_calls = [last], set()
        while waiting:
            name, index = waiting[-1]
            if (name, index) in done:
                waiting.pop()
                continue
            if not 0 <= index < len(self.calls[name]):
                raise no_call(name, index)
            parts = leaves(tuple(self.calls[name][index]))
            needed = [(link.layer, link.call) for link in parts if isinstance(link, Link)]
            missing = [call for call in needed if call not in done]
            if not missing:
                done.add((name, index))
                yield waiting.pop()
            elif (name, index) in open_calls:
                raise InputError(
                    "{name}: the input of this layer depends on its own output.", SAVE_AGAIN, name=name
                )
            else:
                open_calls.add((name, index))
                waiting += reversed(missing)


def no_call(layer: str, index: Any) -> InputError:
    """Return the error for a call of a layer that the config does not have."""
    return InputError(
        "{name}: the model's config has no call {index} of this layer.", SAVE_AGAIN, name=layer, index=index
    )


def flat_links(structure: Any) -> list[Any]:
    """Return every `[name, call, tensor]` in nested lists and objects; of an object by sorted keys."""
    if _is_link(structure):
        return [structure]
    if isinstance(structure, Mapping):
        return [item for key in sorted(structure) for item in flat_links(structure[key])]
    if not isinstance(structure, (list, tuple)):
        raise InputError("the lists of inputs and outputs in the model's config cannot be read.", SAVE_AGAIN)
    return [item for part in structure for item in flat_links(part)]


def _first_number(entry: LayerEntry, nodes: Sequence[Any], used: Container[int]) -> int:
    """Return the number, 0 or 1, of the first call of a model.  used: the numbers that the config names."""
    functional = entry["class_name"] == "Functional"
    if nodes and _is_grouped(nodes[0]):  # Keras 3 counts from 1 only in the outputs of the outer model
        return int(functional)
    if 0 in used:
        return 0
    if len(nodes) in used:  # counted from 0, the last call would have the number before it
        return 1
    layers = entry["config"].get("layers") or [{}]
    return int(functional or layers[0].get("class_name") == "InputLayer")


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(type(number) is int for number in value[1 : 2 if value[0] == _CONSTANT else 3])
    )


def _is_grouped(node: Any) -> bool:
    """Return whether a call is in Keras 3's form, `{"args": [...], "kwargs": {...}}`."""
    return isinstance(node, Mapping) and "args" in node and isinstance(node["args"], (list, tuple))


def _links_in(value: Any, names: Container[str]) -> Iterator[Any]:
    items: Iterable[Any] = ()
    if _is_link(value):
        if value[0] in names:
            yield value
        items = value[3:]
    elif isinstance(value, Mapping):
        items = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    for item in items:
        yield from _links_in(item, names)


def _index(items: list[Any]) -> Any:
    """Convert a list with a slice to a tuple: JSON keeps the index `[:, -1, :]` as a list."""
    return tuple(items) if any(isinstance(item, slice) or item is Ellipsis for item in items) else items
