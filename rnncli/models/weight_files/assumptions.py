"""Assumptions about a file without a graph: the defaults of its framework, or what the user says instead."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnncli.errors import Message, Text, UsageError, did_you_mean, format_names, inside, join
from rnncli.frameworks import GATES, letters, reorder
from rnncli.inputs.arrange import AxisOrder
from rnncli.layers.plain import UnknownLayerError
from rnncli.models import ModelRequest
from rnncli.models.graph import Modules, Node
from rnncli.models.layer_cases import spec_of
from rnncli.models.weight_files import joint
from rnncli.models.weight_files.recognize import FRAMEWORKS
from rnncli.values import MERGE_MODES, Assumed

OPTIONS = (
    "activation",
    "recurrent_activation",
    "gates",
    "merge_mode",
    "reset_after",
    "batch_first",
    "forget_bias",
)
ORDERS = {name: letters(name, GATES[name]) for name in ("LSTM", "GRU")}
"""The order of the gates in a Node, Keras's: g and n are the candidates, which Keras calls c and h."""
OTHER_LETTERS = str.maketrans("cuh", "gzn")
MERGES = MERGE_MODES[:-1]
SWITCHES = {"true": True, "false": False}
_STATE = re.compile(
    r"(h|c|hx|cx|hidden|cell|states?)_?(0|init|initial|start|state0?)"
    r"|(init|initial|learned|start)_?(h|c|hx|cx|hidden|cell|states?)(_?states?)?|hx|cx",
    re.IGNORECASE,
)
"""The names of learned initial states, `h0` and `initial_state`."""
_ADVICE = {
    "recurrent_activation": Message("Only LSTM and GRU take it."),
    "gates": Message("Give the order in the file: a permutation of ifgo for LSTM, of zrn for GRU."),
    "merge_mode": Message(
        "Only Bidirectional layers saved by Keras take it: {merges}.", merges=", ".join(MERGES)
    ),
    "reset_after": Message(
        "Only a GRU without a bias takes it, true or false; for others, the shape of the "
        "bias or ONNX's linear_before_reset decides."
    ),
    "batch_first": Message("Give true or false."),
    "forget_bias": Message("Only the LSTM cells of TensorFlow 1 take it, a number."),
}


def assume(model: Modules, options: Mapping[str, str]) -> Modules:
    """Return the model with these assumptions instead of the defaults of its framework.

    options: `activation` and `recurrent_activation`, by Keras's names; `gates`, their order in the file, such
        as `iofg` for LSTM or `zrn` for GRU, and `iofg/zrn` for both; `merge_mode` of two directions;
        `reset_after`, true or false, of a GRU without bias; `batch_first`, true or false, of the input;
        the layers by which the reader chose the tensors.
    Every layer that has an option gets it.  Raises UsageError for another option or value, and for an
    option that no layer has.
    """
    options = {name: value for name, value in options.items() if name not in model.assumptions}
    for name in options:
        if name not in OPTIONS:
            raise UsageError("{name} cannot be assumed.", did_you_mean(name, OPTIONS), name=name)
    nodes = {node.name: node for node in model.recurrent_nodes}
    with inside(model.file, UsageError):
        for name, value in options.items():
            old = value == "hard_sigmoid" and model.origin.startswith(("Keras 1", "Keras 2"))
            meant = "hard_sigmoid_keras2" if old and "activation" in name else value
            changed = {key: _change(node, name, meant) for key, node in nodes.items()}
            if all(node is None for node in changed.values()):
                advice = _ADVICE.get(name, Message("Leave it out."))
                if name == "gates" and not any(node.core_class in ORDERS for node in nodes.values()):
                    advice = _ADVICE["recurrent_activation"]
                raise UsageError("no layer in it takes {name}={value}.", advice, name=name, value=value)
            nodes |= {key: node for key, node in changed.items() if node is not None}
        for node in nodes.values():
            try:
                spec_of(node)
            except UnknownLayerError as error:
                text = ", ".join(f"{name}={value}" for name, value in options.items())
                raise UsageError(
                    "cannot assume {text}: {sentence}", error.advice, text=text, sentence=error.sentence
                ) from None
    modules = tuple(
        replace(module, nodes=tuple(nodes[node.name] for node in module.nodes)) for module in model.modules
    )
    return replace(model, modules=modules, assumptions={**model.assumptions, **options})


def parse(given: str | Mapping[str, Any]) -> dict[str, str]:
    """Parse `activation=relu,gates=iofg`, or take a mapping."""
    if not isinstance(given, str):
        return {name: str(value) for name, value in given.items()}
    text, options = given, dict[str, str]()
    for item in text.split(","):
        name, sign, value = (part.strip() for part in item.partition("="))
        if not (name and sign and value) or name in options:
            what = (
                Message("{name} is given twice", name=name)
                if name in options
                else Message("{item!r} is not NAME=VALUE", item=item.strip())
            )
            advice = "Write NAME=VALUE, several with commas between: {--assume activation=relu,gates=iofg}."
            raise UsageError("{--assume:text}: {what}.", advice, text=text, what=what)
        options[name] = value
    return options


def _change(node: Node, name: str, value: str) -> Node | None:
    match name:
        case "batch_first" if value.lower() in SWITCHES:
            return node
        case "activation":
            return node.with_core_options(activation=value)
        case "recurrent_activation" if node.core_class in ORDERS:
            return node.with_core_options(recurrent_activation=value)
        case "merge_mode" if _merges(node) and value in MERGES:
            return replace(node, config={**node.config, "merge_mode": value})
        case "reset_after" if node.core_class == "GRU" and value.lower() in SWITCHES:
            biased = any(path.rpartition("/")[2] == "bias" for path in node.weights)
            return None if biased else node.with_core_options(reset_after=SWITCHES[value.lower()])
        case "forget_bias" if node.module == joint.PACKAGE and node.core_class == "LSTM":
            return _with_forget_bias(node, value)
        case "gates" if node.module != joint.PACKAGE:
            return _with_gates(node, value)
    return None


def _with_forget_bias(node: Node, value: str) -> Node | None:
    try:
        more = float(value) - joint.FORGET_BIAS
    except ValueError:
        return None
    step = np.repeat([0, more, 0, 0], node.core_config["units"])
    weights = {
        name: (array + step).astype(array.dtype) if name.endswith("bias") else array
        for name, array in node.weights.items()
    }
    return replace(node, weights=weights)


def _merges(node: Node) -> bool:
    """Return whether the layer has a merge_mode; PyTorch always concatenates two directions."""
    return node.class_name == "Bidirectional" and node.module != "torch.nn"


def _with_gates(node: Node, value: str) -> Node | None:
    """Return the node with its weights in Keras's order.  value: the order of the gates in the file."""
    given = _parse_orders(value)
    if any(sorted(order) not in map(sorted, ORDERS.values()) for order in given):
        raise UsageError("gates={value} is not an order of gates.", _ADVICE["gates"], value=value)
    gate_order = ORDERS.get(node.core_class, "")
    order = next((order for order in given if sorted(order) == sorted(gate_order)), None)
    if order is None:
        return None
    assumed = default_order(node)
    true = [order[assumed.index(gate)] for gate in gate_order]
    weights = {
        name: np.ascontiguousarray(reorder(array, true, gate_order)) for name, array in node.weights.items()
    }
    return replace(node, weights=weights)


def _parse_orders(value: str) -> list[str]:
    """Return the orders for LSTM and GRU: `ifco/zrh` -> `ifgo` and `zrn`."""
    return [order.strip().lower().translate(OTHER_LETTERS) for order in value.split("/")]


def default_order(node: Node) -> str:
    """Return the order in which the layer's framework packs the gates, `rzn`; "" without gates."""
    gates = FRAMEWORKS[node.module].GATES
    return letters(node.core_class, gates[node.core_class]) if node.core_class in ORDERS else ""


def order_of_gates(model: Modules, node: Node) -> str:
    """Return the order of the gates in the file, `ifgo`; "" for a layer without gates."""
    gate_order = ORDERS.get(node.core_class, "")
    chosen = _parse_orders(model.assumptions.get("gates", "")) if gate_order else []
    return next((order for order in chosen if sorted(order) == sorted(gate_order)), default_order(node))


def assumed_of(model: Modules, given: ModelRequest | None = None) -> Assumed:
    """Return everything that the file does not say.  given: the mask and the states from the user, if any."""
    order = axis_order(model) if given is None else given.order
    nodes = model.recurrent_nodes
    gated = [node for node in nodes if node.core_class in ORDERS]
    both = [node for node in nodes if node.class_name == "Bidirectional"]
    merging = [node for node in both if _merges(node)]
    added = [node for node in gated if node.module == joint.PACKAGE and node.core_class == "LSTM"]
    unbiased = [node for node in gated if node.core_class == "GRU" and not node.core_config["use_bias"]]
    by_layer: dict[str, dict[str, Any]] = {
        "gates": {node.name: order_of_gates(model, node) for node in gated},
        "activation": {node.name: _option(node, "activation", "tanh") for node in nodes},
        "recurrent_activation": {
            node.name: _option(node, "recurrent_activation", "sigmoid") for node in gated
        },
        "forget_bias": {
            node.name: float(model.assumptions.get("forget_bias", joint.FORGET_BIAS)) for node in added
        },
        "merge_mode": {node.name: str(node.config["merge_mode"]) for node in both},
        "reset_after": {node.name: bool(node.core_config.get("reset_after", True)) for node in unbiased},
    }
    values: dict[str, Any] = {} if order is None else {"batch_first": is_batch_first(model)}
    words: list[Text] = [] if order is None else [order.name]
    for name, choices in by_layer.items():
        if len(set(choices.values())) > 1:
            values[name] = choices
        elif choices:
            values[name] = next(iter(choices.values()))
        if name != "merge_mode":
            words += _by_layer(name, choices, model)
    words += _by_layer("merge_mode", {node.name: str(node.config["merge_mode"]) for node in merging}, model)
    words += [Message("directions concatenated")] if len(merging) < len(both) else []
    if len(model.modules) > 1:
        values["take_the_input"] = [module.name for module in model.modules]
        names = format_names(values["take_the_input"])
        words.append(Message("each layer ({names}) takes the input", names=names))
    if (given is None or given.states.value is None) and (learned := learned_states(model)):
        values |= {"initial_state": "zeros", "unused_states": learned}
        words.append(Message("initial states zero, not {names}", names=format_names(learned)))
    return Assumed(values, join(words))


def axis_order(model: Modules) -> AxisOrder:
    """Return the order of the input's first two axes that is assumed, and how to assume the other order."""
    batch_first = is_batch_first(model)
    options = {**model.assumptions, "batch_first": "false" if batch_first else "true"}
    text = ",".join(f"{name}={value}" for name, value in options.items())
    return AxisOrder(batch_first, Message("{--assume:text}", text=shlex.quote(text)))


def is_batch_first(model: Modules) -> bool:
    """Return whether the first axis of the input is the batch, not the time."""
    return SWITCHES[model.assumptions.get("batch_first", "true").lower()]


def learned_states(model: Modules) -> list[str]:
    """Return the tensors beside the layers that have the name and the size of an initial state, `h0`."""
    weights = [item for node in model.recurrent_nodes for item in node.weights.items()]
    units = {len(array) for path, array in weights if path.endswith("recurrent_kernel")}
    return [
        name
        for name, shape in model.other_shapes.items()
        if shape and shape[-1] in units and len(shape) <= 3 and _STATE.fullmatch(re.split("[./]", name)[-1])
    ]


def assumptions(model: Modules, given: ModelRequest | None = None) -> Text:
    """Return one sentence with everything that the file does not say; "" if it has no layers."""
    if not model.recurrent_nodes:
        return ""
    words = assumed_of(model, given).words
    return Message("the file has no graph; assumed: {words}.", words=words)


def _option(node: Node, name: str, default: str) -> str:
    return str(node.core_config.get(name, default))


def _by_layer(name: str, values: Mapping[str, Any], model: Modules) -> Iterator[Text]:
    """Yield `activation tanh`, or `activation tanh (a, b)` if layers differ."""
    for value in dict.fromkeys(values.values()):
        layers = [layer for layer, each in values.items() if each == value]
        word: Text = str(value)
        if value == "hard_sigmoid_keras2":
            origin = "Keras 2" if "recurrent_activation" in model.assumptions else model.origin
            word = Message("{name} (clip(0.2 x + 0.5, 0, 1) as in {origin})", name=value, origin=origin)
        text = "{name} {value} ({layers})" if len(layers) < len(values) else "{name} {value}"
        yield Message(text, name=name, value=word, layers=format_names(layers))
