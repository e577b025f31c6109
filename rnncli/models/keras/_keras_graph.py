"""The graph of a model's config: every use of every layer in order, models inside it flattened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rnncli.case import Array
from rnncli.errors import InputError, count
from rnncli.models.graph import PLACED_MASK, ModelInput, Node, Ref
from rnncli.models.keras._keras_calls import (
    ADVICE,
    CallArguments,
    LayerEntry,
    Outputs,
    Plan,
    flat,
    resolve,
    resolve_call,
)
from rnncli.models.keras._keras_classes import MODELS, PLAIN, RECURRENT, is_operation, name_of
from rnncli.models.trees import leaves

_MOST = 50_000

_ARGUMENTS = {
    **dict.fromkeys(("GlobalAveragePooling1D", "Softmax", "Attention", "AdditiveAttention"), (PLACED_MASK,)),
    **dict.fromkeys(("BatchNormalization", "TimeDistributed"), ("training", PLACED_MASK)),
    **dict.fromkeys(MODELS, ("training", "mask")),
}
"""The arguments of a call after its inputs, which a model of Keras 3 may pass by position."""

_PASSING = frozenset({"Dense", "Dropout", "SpatialDropout1D", "Activation", "LayerNormalization"})
"""Layers that pass on the mask of their input without using it."""


class Flattener:
    """Turns the config of a model into nodes.

    weights: by the layer's path.  old: whether Keras 2 saved the model.
    nodes, model_inputs: of the graph, in order.
    """

    def __init__(self, weights: Mapping[str, Mapping[str, Array]], old: bool) -> None:
        self.weights, self.old = weights, old
        self.nodes: list[Node] = []
        self.model_inputs: list[ModelInput] = []
        self.count = 0

    def add_model(self, entry: LayerEntry) -> tuple[Ref, ...]:
        """Add the whole model; return its outputs, in the order of `model.outputs`."""
        return self._model(entry, "", 0, None, {})

    def _model(
        self, entry: LayerEntry, prefix: str, use: int, given: list[Any] | None, passed: Mapping[str, Any]
    ) -> tuple[Ref, ...]:
        """Add one use of a model; return its outputs.

        given: its inputs; None for the whole model.
        passed: arguments of its call that its layers get too: `training`.
        """
        config: Mapping[str, Any] = _functional(entry, self.weights, prefix)
        layers = _group_by_name(config["layers"])
        plan = Plan(layers)
        outputs: Outputs = {}
        inputs = [plan.link(item) for item in flat(config["input_layers"])]
        if given is not None and len(given) != len(inputs):
            raise InputError(
                "{prefix}: this model has {inputs}, and it is called with {given}.",
                ADVICE,
                prefix=prefix.rstrip("/"),
                inputs=count(len(inputs), "input"),
                given=len(given),
            )
        for index, link in enumerate(inputs):
            if layers[link.layer]["class_name"] != "InputLayer":
                raise InputError(
                    "{layer}: the model's input is the output of this layer, not an Input.",
                    ADVICE,
                    layer=link.layer,
                )
            ref = self._input(layers[link.layer], prefix) if given is None else given[index]
            outputs[link.layer, 0] = (ref,)
        for name, index in plan.order(outputs):
            call = plan.calls[name][index]
            number = use * len(plan.calls[name]) + index
            arguments = resolve_call(call, outputs)
            outputs[name, index] = self._flatten_call(layers[name], prefix + name, number, arguments, passed)
        return tuple(resolve(plan.link(item), outputs) for item in flat(config["output_layers"]))

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
        """Add the nodes of one call; return a model's outputs, or the first output of a layer."""
        self.count += 1
        if self.count > _MOST:
            raise InputError(
                "{place}: the model calls more than {most} layers.",
                "Save only the part that you want to see.",
                place=path,
                most=_MOST,
            )
        class_name, config = entry["class_name"], entry["config"]
        module = str(entry.get("module", "keras.layers"))
        if class_name in _ARGUMENTS and not is_operation(entry):
            call = _name_arguments(call, _ARGUMENTS[class_name])
        kwargs = {**call.kwargs, **self._pass_arguments(entry, call, passed)}
        if class_name in MODELS:
            training = {"training": kwargs["training"]} if kwargs.get("training") is not None else {}
            inputs = _order_inputs(call.args[0] if call.args else kwargs.get("inputs"), entry)
            inputs = self._add_masks(inputs, kwargs.get("mask"), entry, path, number)
            return self._model(entry, f"{path}/", number, inputs, training)
        args = call.args
        if class_name in RECURRENT:
            args, kwargs = _split_states(config, args, kwargs)
        name = _name_call(path, number)
        weights = self.weights.get(path, {})
        config = {key: value for key, value in config.items() if key != "num_constants"}
        self.nodes.append(Node(name, path, class_name, module, config, weights, args, kwargs))
        return Ref(name)

    def _pass_arguments(
        self, entry: LayerEntry, call: CallArguments, passed: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return what the call gets from that of its model; only in Keras 2 its own arguments win."""
        own = self.old and call.kwargs.get("training") is not None
        return {} if own or is_operation(entry) else passed

    def _add_masks(
        self, inputs: list[Any], mask: Any, entry: LayerEntry, path: str, number: int
    ) -> list[Any]:
        """Return the inputs of a model, each with the mask that the model is called with.

        A mask that its input already carries needs nothing; for any other, an Identity layer is added.
        """
        masks = list(leaves(mask))
        if mask is None:
            return inputs
        if len(masks) != len(inputs):
            has, gets = count(len(inputs), "input"), count(len(masks), "mask")
            raise InputError("{place}: it has {has} and gets {gets}.", ADVICE, place=path, has=has, gets=gets)
        named = [item[0] for item in flat(entry["config"].get("input_layers", [["input", 0, 0]]))]
        refs: list[Any] = []
        for item, own, name in zip(inputs, masks, named, strict=True):
            if own is not None and not self._comes_with(item, own):
                below = f"{path}/{name}"
                called = _name_call(below, number)
                config = {"name": name}
                self.nodes.append(
                    Node(called, below, "Identity", "keras.layers", config, {}, (item,), {"mask": own})
                )
                item = Ref(called)
            refs.append(item)
        return refs

    def _comes_with(self, item: Any, mask: Any) -> bool:
        """Return whether the input already carries this mask."""
        nodes = {node.name: node for node in self.nodes}

        def find_maker(value: Any) -> Node | None:
            return nodes.get(value.node) if isinstance(value, Ref) else None

        maker = find_maker(item)
        while maker is not None and maker.class_name in _PASSING and isinstance(maker.args[0], Ref):
            maker = find_maker(maker.args[0])
        if maker is None or not isinstance(mask, Ref):
            return False
        makes_mask = maker.class_name in ("Masking", "Embedding")
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


def _functional(
    entry: LayerEntry, weights: Mapping[str, Mapping[str, Array]], prefix: str
) -> Mapping[str, Any]:
    """Return a Sequential as a functional model."""
    config: Mapping[str, Any] = entry["config"]
    if entry["class_name"] != "Sequential":
        for key in ("layers", "input_layers", "output_layers"):
            if key not in config:
                raise InputError(
                    "{of}: the config of this model has no {key}.", ADVICE, of=name_of(entry), key=key
                )
        return config
    layers: list[dict[str, Any]] = []
    entries = [dict(layer) for layer in config["layers"]]
    if not entries:
        raise InputError(
            "{of}: there is no layer in this model.",
            "Add layers to it, and save it again.",
            of=name_of(entry),
        )
    if entries[0]["class_name"] != "InputLayer":
        entries.insert(0, {"class_name": "InputLayer", "config": _first_input(entry, weights, prefix)})
    for layer in entries:
        nodes: list[Any] = []
        if layers:
            history = {"keras_history": [name_of(layers[-1]), 0, 0]}
            tensor = {"class_name": "__keras_tensor__", "config": history}
            nodes = [{"args": [tensor], "kwargs": {}}]
        layers.append({**layer, "name": name_of(layer), "inbound_nodes": nodes})
    first, last = layers[0], layers[-1]
    call = int(last["class_name"] == "Functional")  # outputs count its calls from 1, see _keras_calls
    return {
        "layers": layers,
        "input_layers": [[first["name"], 0, 0]],
        "output_layers": [[last["name"], call, 0]],
    }


def _first_input(
    entry: LayerEntry, weights: Mapping[str, Mapping[str, Array]], prefix: str
) -> dict[str, Any]:
    """Return the input of a Sequential that has no InputLayer."""
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


def _group_by_name(entries: Iterable[LayerEntry]) -> dict[str, LayerEntry]:
    found: dict[str, LayerEntry] = {}
    for entry in entries:
        name = name_of(entry)
        if name in found:
            raise InputError("the model has two layers called {name!r}.", ADVICE, name=name)
        found[name] = entry
    return found


def _name_arguments(call: CallArguments, names: tuple[str, ...]) -> CallArguments:
    """Return the call with these arguments by name; others stay after the inputs."""
    named = dict(zip(names, call.args[1:], strict=False))
    rest = call.args[1 + len(names) :]
    return CallArguments((*call.args[:1], *rest), {**call.kwargs, **named})


def _split_states(
    config: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a recurrent layer's call as (inputs,), with `initial_state` and others by name.

    Keras 2 has one list of the inputs, the states and the constants of a cell.
    """
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
    """Return the arguments of a call of a model, in the order of its inputs."""
    wanted = entry["config"].get("input_layers")
    if isinstance(given, Mapping) and wanted is not None and not isinstance(wanted, Mapping):
        order = [item[0] for item in flat(wanted)]
        if set(order) == set(given):
            return [given[name] for name in order]
    return list(leaves(given))


def _dimension(size: Any) -> int | None:
    return size if type(size) is int else None
