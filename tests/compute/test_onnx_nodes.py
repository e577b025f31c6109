"""Recurrent nodes of ONNX: what is computed here is what ONNX Runtime, and the standard's own cases, return."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from onnx.backend.test.case.node import collect_testcases
from rnncli import compute
from rnncli.case import Case
from rnncli.compute import trace as tracing
from rnncli.compute.models import ModelRun, kind_of
from rnncli.errors import EngineError, InputError, LayerError, UsageError
from rnncli.readers.formats import Source
from rnncli.readers.models import read
from rnncli.result import Result

PATH = Path("model.onnx")


def run(made: Any, feeds: Any, **options: Any) -> ModelRun:
    saved = read(Source("model.onnx", made.SerializeToString()))
    kind = kind_of(saved)
    inputs = kind.fit_inputs(saved, feeds)
    found: ModelRun = kind.run(saved, PATH, inputs, compute_numpy, **options)
    return found


def compute_numpy(case: Case) -> Result:
    return compute.run(case, "numpy")


@pytest.mark.parametrize("seed", range(150))
def test_random_node_is_what_onnx_runtime_returns(seed: int) -> None:
    """Compared tensor by tensor, also with a trace that ends in the same numbers."""
    made, feeds = onnx_graphs.random_single(seed)
    saved = read(Source("model.onnx", made.SerializeToString()))
    kind = kind_of(saved)
    (part,) = kind.run(saved, PATH, feeds, compute_numpy).parts
    cases = {"rnn": kind_cases(part.case)}
    theirs = kind.outputs(saved, PATH, feeds, cases)
    for tensor in tracing.trace(part.case).outputs:
        other = theirs[f"rnn/{tensor.name}"]
        np.testing.assert_allclose(tensor.values, other, rtol=2e-5, atol=1e-5)


def kind_cases(case: Case) -> Any:
    from rnncli.compute.models import Cases

    return Cases(case, case)
