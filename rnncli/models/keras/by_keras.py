"""Keras itself, or tf_keras for a model of Keras 2: runs the model in the file, in a separate process.

`run` is for layers that NumPy does not know: the arguments of each recurrent layer become a Case, for which
`compute` must return the outputs of Keras.  `outputs` is the reference of --check.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rnncli.errors import EngineError, LayerError, Message, Text, inside
from rnncli.layers import plain
from rnncli.layers.plain import TODAY, KerasCall, UnknownLayerError, operations, rules_of
from rnncli.models import Compute, LayerUse, ModelRequest, ModelRun
from rnncli.models.graph import Graph, Node, mappings, model_option
from rnncli.models.keras import process
from rnncli.models.keras.choice import (
    REBUILD,
    computes_here,
    find_training,
    independent_layers,
    masking_layers,
    name_cause,
    note_containers,
    note_omissions,
    require_one_use,
)
from rnncli.models.keras.custom import CustomObjects
from rnncli.models.keras.layer_alone import half_dtype, own_cell_name
from rnncli.models.keras.process import KerasRun, UnrunnableError
from rnncli.models.layer_cases import build_layer_case, name_outputs, with_dtype
from rnncli.result import Result
from rnncli.values import Array

FLOAT32 = Message("Rebuild the model with the dtype float32, copy the weights, and save it again.")
TOLERANCE = 1e-4
"""Tolerance for outputs of order one."""


class CallArrays(NamedTuple):
    """One call of a layer in Keras, in arrays; args and kwargs are empty unless they were asked for."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Any]


def outputs(
    graph: Graph, path: Path, inputs: Mapping[str, Array], uses: Sequence[LayerUse]
) -> dict[str, Array]:
    """Return every tensor from Keras: from its run of the model, or from a layer that returns more.

    A model of Keras 2 is run by tf_keras, as saved, since today's Keras may read it otherwise.
    Raises EngineError if tf_keras is not installed or cannot run the model.
    """
    from rnncli import compute

    called = {use.layer: use.in_model for use in uses}
    more = {
        use.layer: use.case
        for use in uses
        if not set(name_outputs("", 0, use.case)) <= set(name_outputs("", 0, use.in_model))
    }
    old = graph.generation < 3
    configs = {layer: shown.stack[-1].inner.config for layer, shown in more.items() if old}
    returned = {
        layer: {name: bool(config.get(name)) for name in ("return_sequences", "return_state")}
        for layer, config in configs.items()
    }
    try:
        calls, again = _record(graph, path, inputs, more=returned)
    except UnrunnableError as error:  # its advice is for a run without a check
        raise EngineError("{--check}: {error}", "Leave {--check} out.", error=error) from None
    for layer, shown in more.items():
        if not old:
            again[layer] = [tensor.values for tensor in compute.run(shown, "tensorflow").outputs]
    tensors: dict[str, Any] = {}
    for layer, shown in more.items():
        tensors |= zip(name_outputs(layer, 0, shown), again[layer], strict=True)
    for layer, call in calls.items():
        names = name_outputs(layer, len(call.outputs), called.get(layer))
        tensors |= zip(names, call.outputs, strict=True)
    return {name: value for name, value in tensors.items() if hasattr(value, "dtype")}


def run(graph: Graph, path: Path, request: ModelRequest, cause: str = "") -> ModelRun:
    """Run the model as `run_graph` does, with every layer up to the recurrent ones computed by Keras.

    path: the file of the graph.  cause: the node that NumPy cannot compute.
    Raises LayerError if Keras cannot load or run the model, or not as it was meant when it was saved;
    EngineError if rnncli's steps give different numbers than Keras.
    """
    names = request.choose(graph)
    cells = {node.name: own_cell_name(node) for node in graph.recurrent_nodes if node.name in names}
    chosen = {node.name: node for node in graph.nodes if node.name in names and not cells[node.name]}
    for node in chosen.values():
        _require_one_dtype(node)
        try:
            require_one_use(graph, node)
        except UnknownLayerError as error:
            raise name_cause(graph, node, error) from None
    try:
        seen = _record_wanted(graph, path, request.inputs, tuple(chosen))
    except UnrunnableError as error:
        free = independent_layers(graph, cause, chosen)
        option = Message(
            "To run the layers that NumPy can compute: {option}", option=model_option(graph.file, free)
        )
        raise UnrunnableError(error.sentence, option if free else error.advice) from None
    missing = [name for name in chosen if name not in seen]
    if missing:
        called = [name for name in chosen if name in seen]
        advice = Message("To run the others: {option}", option=model_option(graph.file, called))
        raise LayerError(
            "Keras did not call {missing} when it ran the model.",
            advice if called else "Save the model again with model.save('model.keras').",
            missing=", ".join(missing),
        )
    parts = tuple(_part(graph, node, seen[name], request.compute) for name, node in chosen.items())
    changed = find_training(graph) if request.everything or request.others else {}
    shown = [
        node
        for node in graph.nodes
        if request.everything or cells.get(node.name) or node.name in request.others
    ]
    others = dict(_other_outputs(shown, seen, changed))
    omitted = note_omissions(changed) if request.everything else ()
    notes = (*omitted, *note_containers(graph), *_note_cells(cells))
    masks = masking_layers(graph, (part.case.mask for part in parts))
    return ModelRun(parts, others, notes, masks, tuple(node.name for node in graph.nodes), "tensorflow")


def _record_wanted(
    graph: Graph, path: Path, inputs: Mapping[str, Array], names: Sequence[str]
) -> dict[str, CallArrays]:
    """Without tf_keras, today's Keras runs a model of Keras 2, if it computes the same outputs."""
    today = graph.generation >= 3 or not has_tf_keras()
    try:
        if today:
            _require_same_rules(graph)
        return _record(graph, path, inputs, names, today=today)[0]
    except UnrunnableError as error:
        if graph.generation >= 3 or not today:
            raise
        what = Message(
            "{sentence} tf_keras runs models of Keras 2, and is not installed.", sentence=error.sentence
        )
        raise EngineError(what, "pip install tf_keras") from None


def has_tf_keras() -> bool:
    """Return whether tf_keras can be imported."""
    return importlib.util.find_spec("tf_keras") is not None


def _record(
    graph: Graph,
    path: Path,
    inputs: Mapping[str, Array],
    names: Sequence[str] = (),
    more: Mapping[str, Mapping[str, bool]] = {},
    *,
    today: bool = False,
) -> tuple[dict[str, CallArrays], dict[str, list[Any]]]:
    """Return every call of every layer by the name of the use in the graph, in Keras's order, and `more`.

    See `process.record`.  today: run also a model of Keras 2 in today's Keras, not in tf_keras.
    Raises UnrunnableError if Keras cannot load or run the model, or would run code of the file; EngineError
    if tf_keras is needed and not installed.
    """
    in_tf_keras = graph.generation < 3 and not today
    if in_tf_keras and not has_tf_keras():
        raise EngineError(
            "{file} was saved by {origin}; tf_keras is not installed; it is needed to run models of Keras 2.",
            "pip install tf_keras",
            file=graph.file,
            origin=graph.origin,
        )
    family = "tf_keras" if in_tf_keras else "keras"
    with inside(graph.file), _loadable(path) as file:
        if in_tf_keras and (reason := _find_unsafe_code(graph)):
            raise process.cannot_run(family, reason)
        classes = {  # that only Keras may know; a file says no module of a user's class
            node.class_name
            for node in graph.nodes
            if node.inner is None and not node.is_recurrent and node.module == "keras.layers"
            if not plain.is_known(node.class_name, node.module)
        }
        custom = graph.custom or CustomObjects()
        run = KerasRun(file, dict(inputs), family, tuple(names), dict(more), custom, classes)
        record = process.record(run)
    return {name: CallArrays(*call) for name, call in record["calls"].items()}, record["more"]


@contextmanager
def _loadable(path: Path) -> Iterator[Path]:
    if not path.is_file():
        raise LayerError(
            "Keras can load this model only from a file of its own.", "Save it as a file, and name that."
        )
    with path.open("rb") as file:
        suffix = ".keras" if file.read(2) == b"PK" else ".h5"
    if path.suffix == suffix or (suffix == ".h5" and path.suffix == ".hdf5"):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link


def _find_unsafe_code(graph: Graph) -> Text:
    """Return why loading this model in tf_keras could run code that is not Keras's; "" if it cannot."""
    for node in graph.nodes:
        if node.inner is not None and (reason := _find_unsafe_code(node.inner)):
            return reason
        if graph.custom is not None and graph.custom.has(node.class_name):
            continue
        whole = {"class_name": node.class_name, "module": node.module, "config": node.config}
        if any(map(_is_unsafe, mappings(whole))):
            return Message(
                "the layer {name} ({class_name}) contains or names its own code, which rnncli does not run.",
                name=node.name,
                class_name=node.class_name,
            )
    return ""


def _is_unsafe(entry: Mapping[str, Any]) -> bool:
    if "class_name" not in entry:
        return False
    name, config = str(entry["class_name"]), entry.get("config")
    if name in plain.LAMBDAS:
        return not (isinstance(config, Mapping) and str(config.get("function")) in operations.TENSORFLOW)
    module = entry.get("module")
    return name in ("Lambda", "TensorFlowOpLayer") or not plain.from_keras(module and str(module))


def _part(graph: Graph, node: Node, call: CallArrays, compute: Compute) -> LayerUse:
    positional = ("mask",) if graph.generation < 3 else ("initial_state", "mask")
    kwargs = {**dict(zip(positional, call.args[1:], strict=False)), **call.kwargs}
    mask = kwargs.pop("mask", None)
    keras_call = KerasCall(
        config=node.config,
        weights=node.weights,
        inputs=call.args[0] if call.args else None,
        mask=mask,
        previous=mask,
        kwargs=kwargs,
        class_name=node.class_name,
        layer=node.name,
    )
    half = half_dtype(node)
    try:
        known = replace(node, config=with_dtype(node.config, half)) if half else node
        case = build_layer_case(known, keras_call, half)
    except UnknownLayerError as error:
        raise name_cause(graph, node, error) from None
    result = compute(case)
    _require_equal(graph, node, result, call.outputs)
    return LayerUse(node.name, case, result)


def _require_equal(graph: Graph, node: Node, result: Result, theirs: Sequence[Array]) -> None:
    import numpy as np

    for tensor, expected in zip(result.outputs, theirs, strict=True):
        values = tensor.values.astype(np.result_type(expected, np.float32))  # also of bfloat16
        size = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)))
        if not np.allclose(values, expected, rtol=0, atol=TOLERANCE * size, equal_nan=True):
            same = rules_of(graph.origin) == TODAY or has_tf_keras()
            raise EngineError(
                "{name}/{tensor} differs from Keras by up to {largest:.2g}{because}.",
                "This is a bug in rnncli; please report it." if same else "pip install tf_keras",
                name=node.name,
                tensor=tensor.name,
                largest=float(np.nanmax(np.abs(values - expected))),
                because=""
                if same
                else Message(", which does not know what {origin} meant", origin=graph.origin),
            )


def _other_outputs(
    nodes: Sequence[Node], seen: Mapping[str, CallArrays], hidden: Collection[str]
) -> Iterator[tuple[str, Array]]:
    """Yield the outputs of the layers that rnncli does not compute nor hide; operations are not shown."""
    for node in nodes:
        is_other = not node.is_recurrent or own_cell_name(node)
        if node.name in hidden or node.name not in seen:
            continue
        if is_other and not plain.is_operation(node.module):
            outputs = seen[node.name].outputs
            yield from zip(name_outputs(node.name, len(outputs)), outputs, strict=True)


def _note_cells(cells: Mapping[str, str]) -> Iterator[Text]:
    for name, cell in cells.items():
        if cell:
            text = "{name} is shown as Keras returned it: its cell {cell} is code, which has no gates to show"
            yield Message(text, name=name, cell=cell)


def _require_same_rules(graph: Graph) -> None:
    masked = any(node.makes_mask for node in graph.nodes)
    joined = any(
        node.class_name in plain.MERGING or node.kwargs.get("initial_state") is not None
        for node in graph.nodes
    )
    if rules_of(graph.origin) != TODAY and masked and joined:
        raise UnrunnableError(
            "Keras cannot run this model: today's Keras combines masks differently from "
            "{origin}, which saved it.",
            REBUILD,
            origin=graph.origin,
        )


def _require_one_dtype(node: Node) -> None:
    if not computes_here(node) and not half_dtype(node):
        dtypes = [config.get("dtype") or "float32" for config in (node.config, node.core_config)]
        raise LayerError(
            "{name} ({class_name}) computes in {dtype}, which is not supported.",
            FLOAT32,
            name=node.name,
            class_name=node.class_name,
            dtype=next(dtype for dtype in dtypes if plain.dtype_of(dtype) is None),
        )
