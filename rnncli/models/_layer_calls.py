"""The calls of the layers of a Keras model while it runs; the same for Keras 3 and tf_keras."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Case
from rnncli.layers.stack import Stack
from rnncli.models.trees import leaves, map_leaves

if TYPE_CHECKING:
    from rnncli.models import CasePair


class LayerCall(NamedTuple):
    """One call of a layer, in tensors of the framework or in arrays.  outputs: without nesting."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Any, ...]

    def in_arrays(self) -> LayerCall:
        """Return the call with arrays in place of tensors."""
        return LayerCall(self.layer, *map_leaves(_to_array, tuple(self[1:])))


def list_calls(calls: Mapping[str, LayerCall], wanted: Collection[str]) -> dict[str, Any]:
    """Return the outputs of every call, and the arguments of the wanted ones, as `read_calls` reads them."""
    arrays = {name: call.in_arrays() for name, call in calls.items()}
    return {
        name: (*(call[1:3] if name in wanted else ((), {})), call.outputs) for name, call in arrays.items()
    }


def read_calls(listed: Mapping[str, Any]) -> dict[str, LayerCall]:
    """Return the calls; a layer itself stays in its process."""
    return {
        name: LayerCall(None, tuple(args), kwargs, tuple(outputs))
        for name, (args, kwargs, outputs) in listed.items()
    }


def _to_array(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value


def record_calls(model: Any, run: Callable[[], object]) -> dict[str, LayerCall]:
    """Return every call of every layer, by the name of the use, in Keras's order.  run: runs the model."""
    names = list(_name_calls(model, "", 0))
    calls: list[LayerCall] = []
    _wrap_layers(model, calls)
    run()
    return dict(zip(names, calls, strict=True))


def graph_of(layer: Any) -> Any:
    """Return the functional model inside a Sequential of Keras 3; any other model or layer itself."""
    return getattr(layer, "_functional", None) or layer


def _is_model(layer: Any) -> bool:
    return hasattr(graph_of(layer), "_nodes_by_depth")


def _list_nodes(model: Any) -> list[tuple[Any, Any]]:
    """Return each node of a model with its layer, in the order in which Keras calls them."""
    by_depth = sorted(graph_of(model)._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in by_depth for node in level if not node.is_input]
    return [(node, node.operation if hasattr(node, "operation") else node.layer) for node in nodes]


def _name_calls(model: Any, prefix: str, use: int) -> Iterator[str]:
    """Yield the name of every call: `lstm`, `lstm@1`, `inside/deep`.

    use: how many uses of the model come before this one.
    """
    nodes = _list_nodes(model)
    known = {id(node) for node, _ in nodes}
    for node, layer in nodes:
        uses = [other for other in layer._inbound_nodes if id(other) in known]
        number = use * len(uses) + uses.index(node)
        if _is_model(layer):
            yield from _name_calls(layer, f"{prefix}{layer.name}/", number)
        else:
            yield f"{prefix}{layer.name}" + (f"@{number}" if number else "")


def _wrap_layers(model: Any, calls: list[LayerCall]) -> None:
    """Let every layer of the model, and of models inside it, record its calls, each layer once."""
    for _, layer in _list_nodes(model):
        if _is_model(layer):
            _wrap_layers(layer, calls)
        elif not hasattr(layer, "_rnncli_seen"):
            layer._rnncli_seen = True
            layer.call = _wrap_call(layer, layer.call, calls)
            if getattr(layer, "quantization_mode", None):  # Keras calls this one instead
                layer.quantized_call = _wrap_call(layer, layer.quantized_call, calls)


def _wrap_call(layer: Any, call: Any, calls: list[LayerCall]) -> Any:
    def record(*args: Any, **kwargs: Any) -> Any:
        place = len(calls)  # before the calls of layers inside this one
        calls.append(LayerCall(layer, args, kwargs, ()))
        outputs = call(*args, **kwargs)
        calls[place] = LayerCall(layer, args, kwargs, tuple(leaves(outputs)))
        return outputs

    return record


def name_outputs(layer: str, count: int, case: Case | None = None) -> list[str]:
    """Return the names of a layer's outputs: `dense/output`, or `split/output_0` and so on for several.

    case: of a recurrent layer, whose outputs have names of their own, `gru/hidden_states`.
    """
    if case is not None:
        return [f"{layer}/{info.name}" for info in Stack(case.specs).outputs(case.inputs.shape)]
    return [f"{layer}/output" if count == 1 else f"{layer}/output_{index}" for index in range(count)]


def name_tensors(
    calls: Mapping[str, LayerCall],
    cases: Mapping[str, CasePair],
    call_again: Callable[[str, Case], Sequence[Any]],
) -> dict[str, Any]:
    """Return every output of every call by its name.

    cases: of the recurrent layers.
    call_again: computes the outputs of a layer that is shown with more of them than the model uses.
    """
    tensors: dict[str, Any] = {}
    for layer, call in calls.items():
        names = name_outputs(layer, len(call.outputs), cases[layer].model if layer in cases else None)
        tensors |= zip(names, call.outputs, strict=True)
    for layer, shown in shown_with_more(cases).items():
        names = name_outputs(layer, 0, shown)
        tensors = dict(zip(names, call_again(layer, shown), strict=True)) | tensors
    return tensors


def shown_with_more(cases: Mapping[str, CasePair]) -> dict[str, Case]:
    """Return the layers that are shown with more outputs than the model uses, as they are shown."""
    return {
        layer: shown
        for layer, (used, shown) in cases.items()
        if not set(name_outputs("", 0, shown)) <= set(name_outputs("", 0, used))
    }
