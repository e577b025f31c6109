"""Which cases are asked for: by their names, their attributes, or by what a model uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rnncli.commands.conformance.cases import INPUTS, OUTPUTS, KitCase, list_cases
from rnncli.errors import InputError, UsageError, did_you_mean

Features = frozenset[str]
TYPES = {10: "float16", 11: "float64"}
"""By ONNX's numbers of types."""


def choose_cases(like: str | None, select: list[str] | None) -> tuple[KitCase, ...]:
    """Return the cases of --like and --select, in the order of the kit.  Raises UsageError for none."""
    cases = list_cases()
    if like is not None:
        used = list(_read_uses(like))
        cases = tuple(
            case
            for case in cases
            if any(case.operator == operator and _features_of_case(case) <= uses for operator, uses in used)
        )
    names = {case.name for case in list_cases()} | {case.attribute for case in list_cases()}
    for name in select or ():
        if name not in names:
            raise UsageError(
                "{--select}: there is no case {name!r}.", did_you_mean(name, sorted(names)), name=name
            )
    if select:
        cases = tuple(case for case in cases if {case.name, case.attribute} & set(select))
    if not cases:
        raise UsageError("{--select}: what {--like} keeps has no such case.", "Leave {--select} out.")
    return cases


def _features_of_case(case: KitCase) -> Features:
    """Return what the node of a case uses; see `_list_features`."""
    fed = "W" in case.graph_inputs
    return _list_features(
        case.operator, case.attributes, case.inputs, case.outputs, case.dtype, case.opset, fed
    )


def _list_features(
    operator: str,
    attributes: Mapping[str, Any],
    inputs: Iterable[str],
    outputs: Iterable[str],
    dtype: str,
    opset: int,
    fed: bool,
) -> Features:
    """Return what a node uses beyond one direction in float32 with a bias, as far as the kit tells it apart.

    fed: whether its weights are inputs of the graph.
    """

    def features() -> Iterator[str]:
        for name, value in attributes.items():
            if name == "activations":
                yield from (f"activation {function}" for function in value)
            elif name in ("activation_alpha", "activation_beta", "clip"):
                yield name
            elif name in ("direction", "layout", "input_forget") and value not in (0, "forward"):
                yield f"{name} {value}"
        if operator == "GRU":  # one of two formulas
            yield f"linear_before_reset {attributes.get('linear_before_reset', 0)}"
        given = {*inputs}
        yield from given & {"sequence_lens", "initial_h", "initial_c", "P"}
        if "B" not in given:
            yield "no bias"
        if set(outputs) != set(OUTPUTS[operator]):
            yield f"outputs {sorted(outputs)}"
        if dtype != "float32":
            yield dtype
        if not 7 < opset < 22:  # 14 did not change a formula
            yield "new" if opset >= 22 else "old"
        if fed:
            yield "fed weights"

    default = {"activation Sigmoid", "activation Tanh"}
    return frozenset(features()) - default


def _read_uses(file: str) -> Iterator[tuple[str, Features]]:
    """Yield the operator of each recurrent node of a model, and what it uses."""
    from rnncli.inputs.source import find_source
    from rnncli.models.onnx import reader
    from rnncli.models.onnx.nodes import inputs_of, is_recurrent, nodes_in, recurrence_of
    from rnncli.models.onnx.runtime import parse

    model = parse(reader.read(find_source(file)).content)
    opset = max([entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] or [1])
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    fed = {value.name: value.type.tensor_type.elem_type for value in model.graph.input} | types
    recurrent = [node for node in nodes_in(model.graph) if is_recurrent(node)]
    if not recurrent:
        raise InputError(
            "{file}: it has no RNN, GRU or LSTM node.", "Leave {--like} out for all cases.", file=file
        )
    for node in recurrent:
        kernel = node.input[1]
        yield (
            node.op_type,
            _list_features(
                node.op_type,
                recurrence_of(node, 0).attributes,
                [name for name, tensor in zip(INPUTS, inputs_of(node), strict=True) if tensor],
                [name for name, tensor in zip(OUTPUTS[node.op_type], node.output, strict=False) if tensor],
                TYPES.get(fed.get(kernel, 0), "float32"),
                opset,
                kernel in fed.keys() - types.keys(),
            ),
        )
