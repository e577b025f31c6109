"""Tensors of an ONNX graph, computed by ONNX Runtime.

The graph is edited for it: an If becomes the branch that is taken, recurrent nodes get layout 0, and only
the wanted tensors are outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO

from rnncli.errors import EngineError, InputError, LayerError, Message, first_nonblank_line
from rnncli.models import shorten_sentence
from rnncli.models.onnx.nodes import MOVING, inner_graphs, inputs_of, is_recurrent, nodes_in
from rnncli.process import child_process
from rnncli.process.memory import format_size, limit_growth, total
from rnncli.process.signals import call_in_thread, defer_signals, start_in_thread, watch
from rnncli.values import Array

_SOURCE = re.compile(r"(/onnxruntime_src/)?onnxruntime/\S+:\d+ (?:.{,300}? was false\. ?|[^)]{,300}\) )?")
"""A place in ONNX Runtime's source, the function there, and the condition that did not hold."""

INSTALL = Message("pip install onnx onnxruntime")
SECONDS = 10.0
"""Limit on loading a model, and on a run of it, plus one second per SPEED bytes of the model and inputs."""
SPEED = 2**20
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.training")
"""ONNX's own domains; the domains of ONNX Runtime begin with MICROSOFT."""
MICROSOFT = "com.microsoft"
FLOAT16, FLOAT64, BFLOAT16 = 10, 11, 16
"""Numbers of dtypes in ONNX."""
SIMPLIFY = Message("Give smaller inputs, or export the model without the loop that takes so long.")


def parse(content: bytes) -> Any:
    """Return the model as a ModelProto; its reader has loaded the package onnx."""
    import onnx

    return onnx.ModelProto.FromString(content)


def values(model: Any, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
    """Return the tensors with these names.

    feeds: the inputs of the model.
    Raises EngineError if ONNX Runtime is missing or has no kernel for a node, InputError if the model
    is invalid or cannot take the inputs.
    """
    from onnx import numpy_helper

    outputs = {output for node in model.graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    computed = [name for name in dict.fromkeys(names) if name in outputs]
    tensors = {name: feeds[name] for name in names if name in feeds}
    tensors |= {
        name: numpy_helper.to_array(constants[name])
        for name in names
        if name in constants and name not in feeds
    }
    if computed:
        needed = with_outputs(model, computed)
        try:
            content: bytes = needed.SerializeToString()
        except Exception as error:  # protobuf raises more than one kind for large models
            raise _explain_refusal(error) from None
        size = len(content) + sum(array.nbytes for array in feeds.values())
        with limit_growth(size):
            arrays = _run(_session(content), computed, feeds, child_process.allow(SECONDS + size / SPEED))
        tensors |= zip(computed, arrays, strict=True)
    return tensors


@lru_cache(maxsize=3)
def _session(content: bytes) -> Any:
    """A child process loads the model first: a small model can take all time, or crash ONNX Runtime."""
    watch("ONNX Runtime", child_process.AFTER_CRASH)
    try:
        with defer_signals():
            import onnxruntime
    except ImportError:
        raise EngineError("onnxruntime is not installed; it is needed to run ONNX models.", INSTALL) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4

    def load() -> Any:
        return onnxruntime.InferenceSession(
            content,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # it prints
        )

    def work(file: BinaryIO) -> None:
        with suppress(Exception):  # which the parent reports
            load()
        file.write(b"+")

    try:
        seconds = SECONDS + len(content) / SPEED
        with child_process.run_in_child(work, seconds, total(), "ONNX Runtime") as answer:
            answer.take(1)
    except child_process.IncompleteOutputError as error:
        raise InputError("ONNX Runtime cannot load the model: {error}.", SIMPLIFY, error=error) from None
    try:
        return call_in_thread(load)
    except Exception as error:  # compiled code raises many kinds
        raise _explain_refusal(error) from None


def _refuse_growth(error: Exception) -> None:
    size = re.search(r"requested buffer of size (\d+)", str(error))
    if size or "bad_alloc" in str(error):
        what = (
            Message("a tensor of {size}", size=format_size(int(size[1])))
            if size
            else Message("too much memory")
        )
        raise InputError(
            "the model needs {what}, far more than its file and the inputs take.",
            "Give smaller inputs, or export the model without that tensor.",
            what=what,
        ) from None


def _explain_refusal(error: Exception) -> EngineError | InputError:
    _refuse_growth(error)
    what = Message("ONNX Runtime cannot run the model: {error}", error=_reason(error))
    advice = Message("Check it with onnx.checker.check_model(path, full_check=True).")
    lacks_kernel = type(error).__name__ == "NotImplemented"  # the model may be valid
    return (EngineError if lacks_kernel else InputError)(what, advice)


def _run(session: Any, names: Sequence[str], feeds: Mapping[str, Array], seconds: float) -> list[Any]:
    """Return the outputs; end the run after `seconds`, since a Loop in the model may never end."""
    import onnxruntime

    input_names = {value.name for value in session.get_inputs()}
    input_names |= {value.name for value in session.get_overridable_initializers()}
    given = {name: array for name, array in feeds.items() if name in input_names}
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    try:
        running = start_in_thread(lambda: session.run(list(names), given, options))
        outputs: list[Any] = child_process.result_in_time(running, seconds)
    except TimeoutError:
        options.terminate = True
        late = "the model has not finished after {seconds:.0f} s ({more})."
        more = child_process.advise_more(seconds)
        raise InputError(late, SIMPLIFY, seconds=seconds, more=more) from None
    except Exception as error:  # compiled code raises many kinds
        _refuse_growth(error)
        reason = _reason(error)
        if re.search("not support double", reason):
            what = "ONNX Runtime cannot run the model: {reason}"
            raise InputError(what, "Export the model in float32.", reason=reason) from None
        what = "ONNX Runtime cannot take these inputs: {reason}"
        advice = "Give inputs of the sizes and values that the model was made for."
        raise InputError(what, advice, reason=reason) from None
    return outputs


def _reason(error: Exception) -> str:
    text = first_nonblank_line(error).rpartition("[ONNXRuntimeError] : ")[2]
    node = re.search(r"Name:'(.*)' Status Message: (.*)", text)
    if node:
        text = f"{node[1]}: {node[2]}"
    return shorten_sentence(_SOURCE.sub("", text.split(" : ", 2)[-1]))


def require_known(model: Any, nodes: Iterable[Any]) -> None:
    """Raise LayerError for a custom operator, and for a recurrent node in bfloat16, which NumPy lacks.

    nodes: the nodes that are needed.
    """
    dtypes = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    dtypes |= {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    functions = {(function.domain, function.name) for function in model.functions}
    for node in nodes:
        if not _is_known(node, functions):
            raise LayerError(
                "{name}: the operator {domain}.{op_type} is not one of ONNX's, and ONNX Runtime does "
                "not know it.",
                "Choose nodes that do not depend on it with #, or export the model without it.",
                name=node.name or node.op_type,
                domain=node.domain,
                op_type=node.op_type,
            )
        if is_recurrent(node) and BFLOAT16 in map(dtypes.get, inputs_of(node)[:4]):
            what = "{name} ({op_type}) computes in {dtype}, which is not supported."
            advice = "Export the model in float32."
            raise LayerError(what, advice, name=node.name, op_type=node.op_type, dtype="bfloat16")


def find_dependents(model: Any) -> dict[str, str]:
    """Return the nodes that depend on a custom operator, each with the name of the operator."""
    functions = {(function.domain, function.name) for function in model.functions}
    causes: dict[str, str] = {}
    dependents: dict[str, str] = {}
    for node in model.graph.node:
        title = f"{node.domain}.{node.op_type}"
        above = next((causes[name] for name in node.input if name in causes), "")
        cause = above if _is_known(node, functions) else title
        if cause:
            dependents[node.name] = cause
            causes |= dict.fromkeys(filter(None, node.output), cause)
    return dependents


def _is_known(node: Any, functions: set[tuple[str, str]]) -> bool:
    known = node.domain in DOMAINS or node.domain.startswith(MICROSOFT)
    return known or (node.domain, node.op_type) in functions


BATCH_FIRST = {"X": (1, 0, 2), "state": (1, 0, 2), "Y": (2, 0, 1, 3)}
"""Permutations of axes from layout 0 to layout 1; for X and a state, also from 1 to 0."""


def recurrent_in(graph: Any) -> tuple[str, ...]:
    """Return the names of the recurrent nodes in a graph and in the graphs inside it."""
    return tuple(node.name for node in nodes_in(graph) if is_recurrent(node))


def find_if(graph: Any, names: Iterable[str]) -> Any:
    """Return the first If of the graph that contains one of these nodes; None if there is none."""
    wanted = set(names)
    for node in graph.node:
        branches = inner_graphs(node) if node.op_type == "If" else ()
        if any(wanted.intersection(recurrent_in(branch)) for branch in branches):
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
    index = next(index for index, other in enumerate(graph.node) if other.name == node.name)
    nodes = [*graph.node[:index], *branch.node, *ends, *graph.node[index + 1 :]]
    graph.initializer.extend(branch.initializer)
    _replace(graph, nodes)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
        for inner in inner_graphs(node):
            _rename(inner, names)
    for value in graph.output:
        value.name = names.get(value.name, value.name)


def _replace(graph: Any, nodes: Sequence[Any]) -> None:
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def time_first(graph: Any) -> None:
    """Change every recurrent node to layout 0 by transposes: ONNX Runtime computes no other layout."""
    for node in graph.node:
        for inner in inner_graphs(node):
            time_first(inner)
    if any(map(is_batch_first, graph.node)):
        _replace(graph, [part for node in graph.node for part in _with_transposes(node)])


def spell_activations(graph: Any) -> None:
    """Write the activations of every recurrent node as ONNX does: ONNX Runtime refuses `relu` in an RNN."""
    for node in filter(is_recurrent, nodes_in(graph)):
        for entry in node.attribute:
            if entry.name == "activations":
                entry.strings[:] = [SPELLED.get(name.lower(), name) for name in entry.strings]


def has_other_floats(graph: Any) -> bool:
    """Return whether a constant or an input of the graph is in float16 or float64."""
    tensors = [entry.t for node in nodes_in(graph) for entry in node.attribute if entry.HasField("t")]
    types = {tensor.data_type for tensor in (*graph.initializer, *tensors)}
    types |= {value.type.tensor_type.elem_type for value in graph.input}
    return not types.isdisjoint((FLOAT16, FLOAT64))


def values_in_float32(model: Any, node: Any, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    """Return what a recurrent node, whose outputs all have names, returns for these inputs in float32."""
    import onnx
    from onnx import helper

    given = zip(node.input, inputs, strict=False)
    feeds = {name: array for name, array in given if array is not None}
    feeds = {
        name: array.astype("float32") if array.dtype.kind == "f" else array for name, array in feeds.items()
    }
    single = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    single.graph.node.append(node)
    single.graph.input.extend(
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    )
    return tuple(values(single, feeds, node.output).values())


def replace_by_constants(graph: Any, node: Any, arrays: Sequence[Array]) -> None:
    """Remove a node; what it returned becomes constants of the graph."""
    from onnx import numpy_helper

    tensors = zip(node.output, arrays, strict=True)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in tensors)
    graph.node.remove(node)


def is_batch_first(node: Any) -> bool:
    """Return whether a node is recurrent and has layout 1."""
    return is_recurrent(node) and any(entry.name == "layout" and entry.i for entry in node.attribute)


def _with_transposes(node: Any) -> Iterator[Any]:
    from onnx import helper

    if not is_batch_first(node):
        yield node
        return
    attributes = [entry for entry in node.attribute if entry.name != "layout"]
    del node.attribute[:]
    node.attribute.extend(attributes)
    after = []
    for index, axes in ((0, BATCH_FIRST["X"]), (5, BATCH_FIRST["state"]), (6, BATCH_FIRST["state"])):
        name = inputs_of(node)[index]
        if name:
            node.input[index] = f"{node.name}/{index}/{name}"
            yield helper.make_node("Transpose", [name], [node.input[index]], perm=axes)
    for index, name in enumerate(node.output):
        if name:
            axes = BATCH_FIRST["state" if index else "Y"]
            node.output[index] = f"{node.name}/{name}"
            after.append(helper.make_node("Transpose", [node.output[index]], [name], perm=axes))
    yield node
    yield from after


def complete_outputs(node: Any) -> tuple[str, ...]:
    """Give names to the outputs that the node omits; return all: Y, Y_h and, for an LSTM, Y_c."""
    count = 3 if node.op_type == "LSTM" else 2
    names = [*node.output, *[""] * (count - len(node.output))]
    names = [name or f"{node.name}/Y{index}" for index, name in enumerate(names)]
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
    yield from node.input
    for inner in inner_graphs(node):
        yield from (value.name for value in inner.output)
        for child in inner.node:
            yield from _list_inputs(child)


def with_outputs(model: Any, names: Sequence[str]) -> Any:
    """Return the model with these outputs, and only the nodes that the outputs depend on."""
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


SPELLED = {
    name.lower().encode(): name.encode()
    for name in (
        "Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid", "Softplus", "Softsign",
        "Tanh", "ThresholdedRelu",
    )
}  # fmt: skip
"""ONNX's names of activations, by the names in small letters."""

SHAPED = (*MOVING, "Expand")
"""Operators that only move the numbers of a state on their way to a node."""


def states_of(graph: Any) -> dict[str, str]:
    """Return the inputs that are only used as initial states, each with a node that uses it.

    Nodes in the branch of an If count, too.
    """
    inputs = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    users: dict[str, str] = {}
    others: set[str] = set()
    for node, makers in _iterate_with_makers(graph, {}):
        if not is_recurrent(node):
            others.update(() if node.op_type in SHAPED else node.input)
            continue
        others.update(inputs_of(node)[:5])
        for name in inputs_of(node)[5:7]:
            while name in makers and makers[name].op_type in SHAPED:  # the node only moved the numbers
                name = makers[name].input[0]
            if name in inputs:
                users.setdefault(name, node.name)
    return {name: user for name, user in users.items() if name not in others}


def _iterate_with_makers(graph: Any, outer: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yield every node, also of inner graphs, with the makers of all tensors that it can use."""
    makers = {**outer, **{name: node for node in graph.node for name in node.output}}
    for node in graph.node:
        yield node, makers
        for inner in inner_graphs(node):
            yield from _iterate_with_makers(inner, makers)
