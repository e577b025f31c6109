"""Tensors of an ONNX graph, computed by ONNX Runtime; and which nodes it does not compute."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO

from rnncli.case import Array
from rnncli.errors import EngineError, InputError, LayerError, Message, first_nonblank_line
from rnncli.models.framework_runs import shorten_sentence
from rnncli.models.onnx import graph as graphs
from rnncli.models.onnx.nodes import inputs_of, is_recurrent
from rnncli.process import child_process
from rnncli.process.memory import format_size, limit_growth, total
from rnncli.process.signals import call_in_thread, defer_signals, start_in_thread

_SOURCE = re.compile(r"(/onnxruntime_src/)?onnxruntime/\S+:\d+ (?:.{,300}? was false\. ?|[^)]{,300}\) )?")
"""A place in ONNX Runtime's source, the function there, and the condition that did not hold."""

INSTALL = Message("pip install onnx onnxruntime")
SECONDS = 10.0
"""Limit on loading a model, and on a run of it, plus one second per SPEED bytes of the model and inputs."""
SPEED = 2**20
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.training")
"""Domains of ONNX itself; those of ONNX Runtime begin with MICROSOFT."""
MICROSOFT = "com.microsoft"
HALF = {10: "float16", 16: "bfloat16"}
"""Names of dtypes by their numbers in ONNX."""
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
    found = {name: feeds[name] for name in names if name in feeds}
    found |= {
        name: numpy_helper.to_array(constants[name])
        for name in names
        if name in constants and name not in feeds
    }
    if computed:
        needed = graphs.with_outputs(model, computed)
        content = _content(needed)
        size = len(content) + sum(array.nbytes for array in feeds.values())
        with limit_growth(size):
            arrays = _run(_session(content), computed, feeds, child_process.allow(SECONDS + size / SPEED))
        found |= zip(computed, arrays, strict=True)
    return found


@lru_cache(maxsize=3)
def _session(content: bytes) -> Any:
    """Return the session of a model; the lines of a stream, which need the same tensors, share it.

    It is first loaded in a child process: a small model can take all time, or crash ONNX Runtime.
    """
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

    _require_loadable(load, SECONDS + len(content) / SPEED)
    try:
        return call_in_thread(load)
    except Exception as error:  # compiled code raises many kinds
        raise _explain_refusal(error) from None


def _require_loadable(load: Callable[[], Any], seconds: float) -> None:
    """Raise InputError for a model that takes too long to load, or crashes; the parent reports errors."""

    def work(file: BinaryIO) -> None:
        with suppress(Exception):
            load()
        file.write(b"+")

    try:
        with child_process.run_in_child(work, seconds, total(), "ONNX Runtime") as answer:
            answer.take(1)
    except child_process.IncompleteOutputError as error:
        raise InputError("ONNX Runtime cannot load the model: {error}.", SIMPLIFY, error=error) from None


def _content(model: Any) -> bytes:
    try:
        content: bytes = model.SerializeToString()
    except Exception as error:  # protobuf raises more than one kind for large models
        raise _explain_refusal(error) from None
    return content


def _refuse_growth(error: Exception) -> None:
    """Raise InputError if the error says that memory ran out."""
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
    """Return the outputs; after `seconds`, end the run, which a Loop in the model may never do."""
    import onnxruntime

    own = {value.name for value in session.get_inputs()}
    own |= {value.name for value in session.get_overridable_initializers()}
    given = {name: array for name, array in feeds.items() if name in own}
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    try:
        found: list[Any] = start_in_thread(lambda: session.run(list(names), given, options)).result(seconds)
    except TimeoutError:
        options.terminate = True
        what = Message(
            "the model has not finished after {seconds:.0f} s ({more}).",
            seconds=seconds,
            more=child_process.advise_more(seconds),
        )
        raise InputError(what, SIMPLIFY) from None
    except Exception as error:  # compiled code raises many kinds
        _refuse_growth(error)
        raise _explain_failure(_reason(error)) from None
    return found


def _explain_failure(reason: str) -> InputError:
    if re.search("not support double", reason):
        return InputError(
            "ONNX Runtime cannot run the model: {reason}", "Export the model in float32.", reason=reason
        )
    return InputError(
        "ONNX Runtime cannot take these inputs: {reason}",
        "Give inputs of the sizes and values that the model was made for.",
        reason=reason,
    )


def _reason(error: Exception) -> str:
    """Return the first line of the error, without codes and source locations of ONNX Runtime."""
    text = first_nonblank_line(error).rpartition("[ONNXRuntimeError] : ")[2]
    node = re.search(r"Name:'(.*)' Status Message: (.*)", text)
    if node:
        text = f"{node[1]}: {node[2]}"
    return shorten_sentence(_SOURCE.sub("", text.split(" : ", 2)[-1]))


def require_known(model: Any, nodes: Iterable[Any]) -> None:
    """Raise LayerError for a custom operator, and for a recurrent node in half precision.

    nodes: those that are needed.
    """
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    own = {(one.domain, one.name) for one in model.functions}
    for node in nodes:
        if not _is_known(node, own):
            raise LayerError(
                "{name}: the operator {domain}.{op_type} is not one of ONNX's, and ONNX Runtime does "
                "not know it.",
                "Choose nodes that do not depend on it with #, or export the model without it.",
                name=node.name or node.op_type,
                domain=node.domain,
                op_type=node.op_type,
            )
        half = [HALF[kinds[name]] for name in inputs_of(node)[:4] if kinds.get(name) in HALF]
        if is_recurrent(node) and half:
            raise LayerError(
                "{name} ({op_type}) computes in {half}, which is not supported.",
                "Export the model in float32.",
                name=node.name,
                op_type=node.op_type,
                half=half[0],
            )


def find_dependents(model: Any) -> dict[str, str]:
    """Return the nodes that depend on a custom operator, each with the name of the operator."""
    own = {(one.domain, one.name) for one in model.functions}
    causes: dict[str, str] = {}
    found: dict[str, str] = {}
    for node in model.graph.node:
        title = f"{node.domain}.{node.op_type}"
        above = next((causes[name] for name in node.input if name in causes), "")
        cause = above if _is_known(node, own) else title
        if cause:
            found[node.name] = cause
            causes |= dict.fromkeys(filter(None, node.output), cause)
    return found


def _is_known(node: Any, functions: set[tuple[str, str]]) -> bool:
    """Return whether the operator is one of ONNX, of ONNX Runtime or of the model's own functions."""
    known = node.domain in DOMAINS or node.domain.startswith(MICROSOFT)
    return known or (node.domain, node.op_type) in functions
