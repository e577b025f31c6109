"""What tells whether a recurrent operator of ONNX, or a kernel of a cell, computes what it should.

Cases with right answers (`oracle.py`; of a cell `cell_cases.py` and `cell_oracle.py`) are written as a kit
(`kit.py`) and given to an implementation (`runners.py`); its answers get verdicts (`verdicts.py`), and what
is wrong gets a name (`faults.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import numpy as np

from rnncli.conformance.faults import NamedFault, name_faults
from rnncli.conformance.kit import describe, list_too_new, write_kit
from rnncli.conformance.oracle import DEFAULTS, INPUTS, OUTPUTS, KitCase, list_cases
from rnncli.conformance.runners import Answers, read_results, run_implementation, run_program, version_of
from rnncli.conformance.verdicts import Judgement, judge
from rnncli.errors import InputError, UsageError, did_you_mean

__all__ = [
    "Answers", "Judgement", "KitCase", "NamedFault", "choose_cases", "describe", "judge", "list_too_new",
    "name_faults", "read_results", "run_implementation", "run_program", "version_of", "write_kit",
]  # fmt: skip

TYPES = {10: "float16", 11: "float64"}
"""By ONNX's numbers of types."""


def choose_cases(like: str | None, select: list[str] | None, cell: str | None = None) -> tuple[KitCase, ...]:
    """Return the cases of these options, in the order of the kit.  Raises UsageError for none."""
    if cell is None:
        cases = list_cases()
    else:
        from rnncli.conformance.cell_cases import list_cell_cases

        cases = list_cell_cases(cell)
    names = {case.name for case in cases} | {case.attribute for case in cases}
    for name in select or ():
        if name not in names:
            raise UsageError(
                "{--select}: there is no case {name!r}.", did_you_mean(name, sorted(names)), name=name
            )
    if like is not None:
        used = [(node.operator, set(_list_features(node))) for node in _read_nodes(like)]
        cases = tuple(
            case
            for case in cases
            if any(
                case.operator == operator and uses.issuperset(_list_features(case)) for operator, uses in used
            )
        )
    if select:
        cases = tuple(case for case in cases if {case.name, case.attribute} & set(select))
    if not cases:
        raise UsageError("{--select}: what {--like} keeps has no such case.", "Leave {--select} out.")
    return cases


def _list_features(case: KitCase) -> Iterator[str]:
    """Yield what a node uses beyond one direction in float32 with a bias, as far as cases differ in it."""
    for name, value in case.attributes.items():
        if name == "activations":
            for function, default in zip(value, cycle(DEFAULTS[case.operator]), strict=False):
                if function != default:
                    yield f"activation {function}"
        elif name in ("activation_alpha", "activation_beta", "clip"):
            yield name
        elif name in ("direction", "layout", "input_forget") and value not in (0, "forward"):
            yield f"{name} {value}"
    if case.operator == "GRU":  # one of two formulas
        yield f"linear_before_reset {case.attributes.get('linear_before_reset', 0)}"
    yield from {"sequence_lens", "initial_h", "initial_c", "P"}.intersection(case.inputs)
    if "B" not in case.inputs:
        yield "no bias"
    if set(case.outputs) != set(OUTPUTS[case.operator]):
        yield f"outputs {sorted(case.outputs)}"
    if case.dtype != "float32":
        yield case.dtype
    if not 7 < case.opset < 22:  # 14 did not change a formula
        yield "new" if case.opset >= 22 else "old"
    if "W" in case.graph_inputs:
        yield "fed weights"


def _read_nodes(file: str) -> Iterator[KitCase]:
    """Yield a case for each recurrent node of a model; its inputs have no numbers."""
    from rnncli.inputs.source import find_source
    from rnncli.models.onnx import reader
    from rnncli.models.onnx.nodes import inputs_of, is_recurrent, nodes_in, recurrence_of
    from rnncli.models.onnx.runtime import parse

    model = parse(reader.read(find_source(file)).content)
    every = list(nodes_in(model.graph))
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    constants = (node for node in every if node.op_type == "Constant")
    stored |= {node.output[0]: item.t.data_type for node in constants for item in node.attribute}
    fed = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    nodes = list(filter(is_recurrent, every))
    if not nodes:
        raise InputError(
            "{file}: it has no RNN, GRU or LSTM node.", "Leave {--like} out for all cases.", file=file
        )
    for node in nodes:
        kernel = node.input[1]
        yield KitCase(
            name=node.name,
            operator=node.op_type,
            attribute="",
            attributes=recurrence_of(node, 0).attributes,
            inputs={
                name: np.empty(0) for name, tensor in zip(INPUTS, inputs_of(node), strict=True) if tensor
            },
            graph_inputs=("W",) if kernel in fed.keys() - stored.keys() else (),
            outputs=tuple(
                name for name, tensor in zip(OUTPUTS[node.op_type], node.output, strict=False) if tensor
            ),
            dtype=TYPES.get((fed | stored).get(kernel, 0), "float32"),
            opset=max(
                [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] or [1]
            ),
            ir_version=model.ir_version,
            is_open=False,
        )
