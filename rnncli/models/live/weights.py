"""The weights that a live object holds, without a call of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from rnncli.errors import LayerError, Message
from rnncli.models.graph import Module, Modules, Node
from rnncli.models.live import find_framework
from rnncli.models.weights import LayerWeights, of_modules
from rnncli.values import Array


class HeldWeights(NamedTuple):
    """The recurrent layers of an object, and the shapes of its other weights.

    layer_count: the number of all layers.
    state: by the name of the layer, its weights as the state dict of the object has them; {} of Keras.
    """

    contents: Modules
    layer_count: int
    state: Mapping[str, Mapping[str, Array]]


def read_weights(value: Any) -> HeldWeights:
    """Return the weights of a Keras model or layer, or of a PyTorch module."""
    return _read_torch(value) if find_framework(value) == "torch" else _read_keras(value)


def read_every_weight(value: Any) -> LayerWeights:
    """Return every weight of the object by layer, in Keras's layout, running averages among them."""
    contents = read_weights(value).contents
    if find_framework(value) == "torch":
        from rnncli.models.live.torch_calls import to_array

        tensors = {**dict(value.named_parameters()), **dict(value.named_buffers())}
        recurrent = {name for name, _ in value.named_parameters() if name not in contents.other_shapes}
        numbers = {name: to_array(item) for name, item in tensors.items() if name not in recurrent}
        return of_modules(
            contents, {name: a for name, a in numbers.items() if a is not None and a.dtype.kind == "f"}
        )
    from rnncli.models.live.keras_layers import find_layers, tensor_of, to_numpy

    layers: LayerWeights = {node.name: dict(node.weights) for node in contents.recurrent_nodes}
    every = find_layers(value)
    used = {id(weight) for item in every if item.is_outermost for weight in item.layer.weights}
    for item in reversed(every):  # a layer inside another one first
        for weight in item.layer.weights:
            if id(weight) not in used:
                used.add(id(weight))
                role = weight.path.rpartition("/")[2]
                layers.setdefault(item.name, {})[role] = to_numpy(tensor_of(weight))
    return layers


def _read_torch(model: Any) -> HeldWeights:
    from rnncli.models.live.torch_calls import RECURRENT, named_modules, options_of, to_array, weights_at_rest
    from rnncli.models.weight_files import recognize

    modules: list[Module] = []
    state: dict[str, dict[str, Array]] = {}
    used: set[int] = set()
    leaves = 0
    for path, module in named_modules(model):
        leaves += next(module.children(), None) is None
        if isinstance(module, RECURRENT):
            tensors = {
                f"{path}.{name}".lstrip("."): to_array(item) for name, item in weights_at_rest(module).items()
            }
            used |= {id(weight) for weight in module.parameters()}
            arrays = {name: array for name, array in tensors.items() if array is not None}
            for layers in recognize.find_modules("", arrays).modules:
                for index, node in enumerate(layers.nodes):
                    ends = (f"_l{index}", f"_l{index}_reverse")
                    of_layer = {name: array for name, array in arrays.items() if name.endswith(ends)}
                    state[node.name] = of_layer or arrays  # a cell's names have no number
                nodes = (node.with_core_options(**options_of(module, None)) for node in layers.nodes)
                modules.append(replace(layers, nodes=tuple(nodes)))
    others = {
        name: tuple(weight.shape) for name, weight in model.named_parameters() if id(weight) not in used
    }
    return HeldWeights(Modules("", "", tuple(modules), others), leaves, state)


def _read_keras(model: Any) -> HeldWeights:
    from rnncli.models.live.keras_layers import (
        describe,
        find_layers,
        find_own_activation,
        is_recurrent,
        options_of,
        parts_of,
        tensor_of,
        to_numpy,
    )  # fmt: skip

    modules: list[Module] = []
    used: set[int] = set()
    layers = find_layers(model)
    for name, layer in ((item.name, item.layer) for item in layers if item.is_outermost):
        core = next((part for part in parts_of(layer) if is_recurrent(part)), layer)
        if type(layer).__name__ == "TimeDistributed":
            core = layer.layer
        used |= {id(weight) for weight in layer.weights}
        if not layer.weights:
            what = Message("{name} has no weights yet.", name=name)
            raise LayerError(what, "Call the object once, or build it.")
        features = layer.weights[0].shape[0]
        about = describe(core, (None, None, features), training=False)
        paths = [weight.path for weight in core.weights]
        written = about.config or {"class_name": type(core).__name__, "config": {}}
        if about.stack is not None:  # also of a layer that computes other numbers than rnncli
            paths = list(about.stack.weight_shapes((None, None, features)))
            written = about.config or {"class_name": about.stack[0].class_name, "config": options_of(core)}
        is_other = about.stack is None or find_own_activation(core)
        arrays = [to_numpy(tensor_of(weight)) for weight in core.weights]
        weights = dict(zip(paths, arrays, strict=True))
        config = dict(written["config"])
        node = Node(name, name, written["class_name"], "keras.layers", config, weights, (), {})
        modules.append(Module(name, (node,), about.lacks if is_other else ""))
    others = {weight.path: tuple(weight.shape) for weight in model.weights if id(weight) not in used}
    count = sum(not any(item.layer in other.owners for other in layers) for item in layers)
    return HeldWeights(Modules("", "", tuple(modules), others), count, {})
