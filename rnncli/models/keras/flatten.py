"""The graph of a model's config: every use of every layer in order, models inside it flattened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.errors import InputError, count
from rnncli.layers.plain import MASK_MAKERS, MASK_USERS
from rnncli.models.graph import PLACED_MASK, ModelInput, Node, Ref, leaves, map_leaves
from rnncli.models.keras.calls import ADVICE, CallArguments, LayerEntry, Link, Plan, flat, no_call
from rnncli.models.keras.versions import MODELS, PLAIN, RECURRENT, is_operation, name_of
from rnncli.values import Array, Shape

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
                ADVICE,
                prefix=prefix.rstrip("/"),
                inputs=count(len(plan.inputs), "input"),
                given=len(given),
            )
        for index, link in enumerate(plan.inputs):
            layer = plan.layers[link.layer]
            if layer["class_name"] != "InputLayer":
                what = "{layer}: the model's input is the output of this layer, not an Input."
                raise InputError(what, ADVICE, layer=link.layer)
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
            raise InputError("{place}: it has {has} and gets {gets}.", ADVICE, place=path, has=has, gets=gets)
        named = [item[0] for item in flat(entry["config"].get("input_layers", [["input", 0, 0]]))]
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
        raise InputError("the file does not say the shape of the model's input.", ADVICE)
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
        raise InputError(what, ADVICE, layer=link.layer, tensor=link.tensor)
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
        order = [item[0] for item in flat(wanted)]
        if set(order) == set(given):
            return [given[name] for name in order]
    return list(leaves(given))


def _dimension(size: Any) -> int | None:
    return size if type(size) is int else None
