"""Where a NaN in the output comes from: the layers that numbers went through, and what was finite there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rnncli.arrays import is_finite
from rnncli.errors import Message, Text
from rnncli.models import Passed
from rnncli.values import Array

if TYPE_CHECKING:
    from rnncli.layers.case import Case
    from rnncli.models.graph import Graph
    from rnncli.models.live.recording import Recording
    from rnncli.result import NamedTensor


def explain_nan(layers: Sequence[Passed], place: str) -> Text:
    """Return a sentence: which layer made a NaN.

    layers: in the order in which they were called.  place: of the first NaN in the output.
    """
    for layer in layers:
        if layer.has_finite_input and not layer.has_finite_output:
            text = (
                "the output contains NaN, first in {place}: {layer} is the first layer with a finite "
                "input and an output that is not."
            )
            return Message(text, place=place, layer=layer.name)
    after = next((index for index, layer in enumerate(layers) if not layer.has_finite_input), 0)
    before = [layer.name for layer in layers[:after] if layer.has_finite_output]
    if not before:
        return Message("the output contains NaN, first in {place}.", place=place)
    text = (
        "the output contains NaN, first in {place}: the output of {before} is finite, and the input of "
        "{after} is not."
    )
    return Message(text, place=place, before=before[-1], after=layers[after].name)


def pass_case(layer: str, case: Case) -> Iterator[Passed]:
    """Yield the layers of a Case, computed once more.  layer: its name in a model; else ""."""
    from rnncli.compute import run

    stack, has_finite_input = case.stack, is_finite(case.inputs)
    outputs = run(case._replace(all_layers=True, all_calls=False)).outputs
    for index, spec in enumerate(stack):
        tensors = [tensor.values for tensor in outputs if tensor.label.layer in (None, index)]
        name = (
            Message("layer {index} ({name})", index=index, name=spec.title) if len(stack) > 1 else spec.title
        )
        yield Passed(layer or name, has_finite_input, all(map(is_finite, tensors)))
        has_finite_input = is_finite(tensors[0])


def pass_graph(graph: Graph, inputs: Mapping[str, Array], outputs: Sequence[NamedTensor]) -> Iterator[Passed]:
    """Yield the layers of a graph that returned something.  outputs: of every layer, `dense/output`."""
    finite = {name: is_finite(array) for name, array in inputs.items()}
    shown = {str(tensor.label.layer) for tensor in outputs}
    for tensor in outputs:
        name = str(tensor.label.layer)
        finite[name] = finite.get(name, True) and is_finite(tensor.values)
    for node in graph.nodes:
        has_finite_input = all(finite.get(ref.node, True) for ref in node.refs)
        has_finite_output = finite.setdefault(node.name, has_finite_input)
        if node.name in shown:
            yield Passed(f"{node.name} ({node.class_name})", has_finite_input, has_finite_output)


def pass_calls(recording: Recording) -> list[Passed]:
    """Return the layers of a live object that were recorded, the recurrent ones alone if no other was."""
    if recording.others is not None:
        return recording.others.passed
    returned = {call.name: all(map(is_finite, call.outputs.values())) for call in recording.calls}
    return [
        Passed(
            call.name,
            returned.get(call.before, True) if call.inputs is None else is_finite(call.inputs),
            returned[call.name],
        )
        for call in recording.calls
    ]
