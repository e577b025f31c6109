"""Edits of an ONNX graph: branches of an If, the order of axes, and the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnncli.models.onnx.nodes import MOVING, inner_graphs, inputs_of, is_recurrent, nodes_in

BATCH_FIRST = {"X": (1, 0, 2), "state": (1, 0, 2), "Y": (2, 0, 1, 3)}
"""Permutations of axes from layout 0 to layout 1; those of X and the states are their own inverses."""


def recurrent_in(graph: Any) -> tuple[str, ...]:
    """Return the names of the recurrent nodes in a graph and in the graphs inside it."""
    return tuple(node.name for node in nodes_in(graph) if is_recurrent(node))


def find_if(graph: Any, names: Iterable[str]) -> Any:
    """Return the first If of the graph that contains one of these nodes; None if there is none."""
    wanted = set(names)
    for node in graph.node:
        if node.op_type == "If" and any(wanted.intersection(recurrent_in(one)) for one in inner_graphs(node)):
            return node
    return None


def inline_branch(graph: Any, node: Any, *, taken: bool) -> None:
    """Replace an If by the nodes of the branch that is taken.

    Names in the branch get the name of the If as a prefix, since two branches may use the same names.
    """
    from onnx import helper

    name = "then_branch" if taken else "else_branch"
    branch = next(attribute.g for attribute in node.attribute if attribute.name == name)
    names = [tensor.name for tensor in branch.initializer]
    names += [output for inner in branch.node for output in inner.output if output]
    renamed = {tensor: f"{node.name}/{tensor}" for tensor in names}
    _rename(branch, renamed)
    ends = [
        helper.make_node(
            "Identity", [renamed.get(value.name, value.name)], [output], name=f"{node.name}/{output}"
        )
        for value, output in zip(branch.output, node.output, strict=True)
    ]
    place = next(place for place, other in enumerate(graph.node) if other.name == node.name)
    nodes = [*graph.node[:place], *branch.node, *ends, *graph.node[place + 1 :]]
    graph.initializer.extend(branch.initializer)
    _replace(graph, nodes)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename tensors, also where inner graphs use them."""
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
        for inner in inner_graphs(node):
            _rename(inner, names)
    for value in graph.output:
        value.name = names.get(value.name, value.name)


def _replace(graph: Any, nodes: Sequence[Any]) -> None:
    """Replace the nodes of a graph; the new ones may be parts of it."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def time_first(graph: Any) -> None:
    """Change every recurrent node to layout 0, the only one that ONNX Runtime computes, with transposes."""
    for node in graph.node:
        for inner in inner_graphs(node):
            time_first(inner)
    if any(map(is_batch_first, graph.node)):
        _replace(graph, [one for node in graph.node for one in _find_transposes(node)])


def is_batch_first(node: Any) -> bool:
    """Return whether a node is recurrent and has layout 1."""
    return is_recurrent(node) and any(one.name == "layout" and one.i for one in node.attribute)


def _find_transposes(node: Any) -> Iterator[Any]:
    """Yield the node with the transposes before and after it."""
    from onnx import helper

    if not is_batch_first(node):
        yield node
        return
    attributes = [one for one in node.attribute if one.name != "layout"]
    del node.attribute[:]
    node.attribute.extend(attributes)
    after = []
    for place, axes in ((0, BATCH_FIRST["X"]), (5, BATCH_FIRST["state"]), (6, BATCH_FIRST["state"])):
        name = inputs_of(node)[place]
        if name:
            node.input[place] = f"{node.name}/{place}/{name}"
            yield helper.make_node("Transpose", [name], [node.input[place]], perm=axes)
    for place, name in enumerate(node.output):
        if name:
            axes = BATCH_FIRST["state" if place else "Y"]
            node.output[place] = f"{node.name}/{name}"
            after.append(helper.make_node("Transpose", [node.output[place]], [name], perm=axes))
    yield node
    yield from after


def complete_outputs(node: Any) -> tuple[str, ...]:
    """Give names to the outputs that the node omits; return all: Y, Y_h and, for an LSTM, Y_c."""
    count = 3 if node.op_type == "LSTM" else 2
    names = [*node.output, *[""] * (count - len(node.output))]
    names = [name or f"{node.name}/Y{place}" for place, name in enumerate(names)]
    del node.output[:]
    node.output.extend(names)
    return tuple(names)


def select_needed(graph: Any, names: Iterable[str]) -> list[Any]:
    """Return the nodes that these tensors depend on, in order."""
    wanted, needed = set(names), []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            needed.append(node)
            wanted.update(_list_inputs(node))
    return needed[::-1]


def _list_inputs(node: Any) -> Iterator[str]:
    """Yield the names of all inputs of a node, including those that its inner graphs use."""
    yield from node.input
    for inner in inner_graphs(node):
        yield from (value.name for value in inner.output)
        for one in inner.node:
            yield from _list_inputs(one)


def with_outputs(model: Any, names: Sequence[str]) -> Any:
    """Return the model with these outputs, without the nodes that they do not depend on."""
    import onnx

    graph = model.graph
    nodes = select_needed(graph, names)
    taken = {*names, *(name for node in nodes for name in _list_inputs(node))}
    small = onnx.ModelProto()
    small.CopyFrom(onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import))
    small.functions.extend(model.functions)
    small.graph.name = "model"
    small.graph.node.extend(nodes)
    small.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in taken)
    small.graph.sparse_initializer.extend(graph.sparse_initializer)
    small.graph.input.extend(value for value in graph.input if value.name in taken)
    small.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return small


SHAPED = (*MOVING, "Expand")
"""Operators that only move the numbers of a state on their way to a node."""


def states_of(graph: Any) -> dict[str, str]:
    """Return the inputs that are only used as initial states, each with a node that uses it.

    A node in the branch of an If counts like one outside.
    """
    inputs = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    users: dict[str, str] = {}
    others: set[str] = set()
    for node, makers in _iterate_with_makers(graph, {}):
        others.update(_data(node))
        for name in inputs_of(node)[5:7] if is_recurrent(node) else []:
            origin = _follow_back(name, makers)
            if origin in inputs:
                users.setdefault(origin, node.name)
    return {name: user for name, user in users.items() if name not in others}


def _follow_back(name: str, makers: Mapping[str, Any]) -> str:
    """Return the name of the tensor whose numbers a SHAPED operator, or several in a row, only moved."""
    while name in makers and makers[name].op_type in SHAPED:
        name = makers[name].input[0]
    return name


def _iterate_with_makers(graph: Any, outer: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yield every node, also of inner graphs, with the makers of all tensors that it can use."""
    makers = {**outer, **{name: node for node in graph.node for name in node.output}}
    for node in graph.node:
        yield node, makers
        for inner in inner_graphs(node):
            yield from _iterate_with_makers(inner, makers)


def _data(node: Any) -> list[str]:
    """Return the inputs of a node other than states."""
    if is_recurrent(node):
        return inputs_of(node)[:5]
    return [] if node.op_type in SHAPED else list(node.input)
