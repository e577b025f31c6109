"""Faults in loops that are written apart from the cells: each is planted as a change of the loop's text."""

import inspect
from functools import cache
from typing import Any

import matrix_loops
import numpy as np
import pytest
from command import ROOT
from matrix_loops import SMALL, UNITS

from rnncli.commands.conformance.cases import KitCase
from rnncli.commands.conformance.cell_cases import list_cell_cases
from rnncli.commands.conformance.judge import Judgement, judge
from rnncli.commands.conformance.naming import NOT_FOUND, name_faults

PLANTED = [
    ("linear_attention", "+ 1e-6", "", "hidden: 1e-06 is missing"),
    ("linear_attention", "normalizer[h] += k[h]", "pass", "normalizer: key is missing"),
    ("gla", "q[h] / np.sqrt(size)", "q[h]", "query: / sqrt(keys) is missing"),
    ("gla", "** (1 / 16)", "", "forget: ** 0.0625 is missing"),
    ("deltanet", "step * np.outer(key, key)", "np.outer(key, key)", "memory: beta only on value"),
    ("deltanet", "np.outer(key, silu(v[h]))", "np.outer(key, v[h])", "value: silu of x @ kernel is missing"),
    ("rwkv7", "removal / max(np.linalg.norm(removal), 1e-12)", "removal", "removal: / maximum("),
    ("rwkv7", "(1 + (rate - 1) * ", "(1 + rate * ", "written: 1 is missing in rate - 1"),
    ("rwkv7", "removal * rate)", "removal)", "memory: rate is missing"),
    ("rwkv7", " / np.sqrt(np.e)", "", "decay: 0.606531 is missing"),
    ("rwkv7", "64e-5", "1e-5", "normalized: 1e-05 instead of 0.00064"),
    ("rwkv7", "r[h] * written * w", "r[h] * k[h] * w", "direct: key instead of written"),
    ("rwkv7", "np.tanh(mixed", "np.asarray(mixed", "decay: tanh of (x + change * mix_decay) @ decay_down is"),
    ("mlstm", "k[h] / np.sqrt(size)", "k[h]", "key: / sqrt(keys) is missing"),
    ("mlstm", "max(abs(q[h] @ norm[h]), 1)", "abs(q[h] @ norm[h])", "read: exp(-stabilizer) is missing"),
    ("mlstm", "abs(q[h] @ norm[h])", "(q[h] @ norm[h])", "read: abs of query @ normalizer is missing"),
    ("mlstm", "sigmoid(o[h]) * ", "", "hidden: output is missing"),
    ("mlstm", "v, i, f, o", "v, f, i, o", "log_input, log_forget: columns swapped"),
    ("mlstm", "np.outer(key, v[h])", "np.outer(v[h], key)", "memory: outer(key, value) transposed"),
    ("hgrn2", "np.outer(1 - forget, v[h])", "np.outer(forget, v[h])", "memory: forget instead of 1 - forget"),
    ("mamba", 'w["convolution"])', 'w["convolution"][::-1])', "signal: convolution reversed along taps"),
    ("mamba", "np.exp(-delta[j]", "np.exp(delta[j]", "memory: step has the other sign"),
    ("mamba2", "step * np.outer", "np.outer", "memory: step is missing"),
    ("mamba2", ' + w["D"][h] * v[h]', "", "hidden: D * value is missing"),
    ("mamba2", 'np.exp(w["A_log"][h])', 'w["A_log"][h]', "decay: exp of A_log is missing"),
    ("mamba2", "v, b, c, dt", "v, c, b, dt", "input, output: columns swapped"),
    ("mamba2", '(dt[h] + w["step_bias"][h])', '(dt[h]) + w["step_bias"][h]', ""),
    ("qwen3_next", "(read**2).mean()", "(read**2).sum()", "sum instead of mean"),
    ("qwen3_next", "v[g, r])\n", "v[g, (r + 1) % 3])\n", ""),
    ("mamba2_layer", "y = y * silu(z)\n", "y = y * sigmoid(z)\n", "gate: sigmoid instead of silu"),
]  # fmt: skip
"""The cell, a part of its loop, what stands there instead, and what is named; nothing is known of some."""


@cache
def cases(cell: str) -> tuple[KitCase, ...]:
    options = "".join(f", {name}={size}" for name, size in SMALL[cell][1].items())
    return list_cell_cases(f"@'{ROOT}/samples/cells/{cell}.toml'({UNITS}{options})")


def answer(loop: Any, cell: str, case: KitCase) -> dict[str, Any]:
    """Return the outputs of a loop, sequence after sequence."""
    names = [name for name in case.outputs if name not in ("outputs", "last_hidden")]
    outputs = np.zeros((*case.inputs["x"].shape[:2], UNITS), case.dtype)
    answers: dict[str, Any] = {"outputs": outputs, **{name: [] for name in case.outputs[1:]}}
    for at, length in enumerate(case.inputs["lengths"]):
        before = [case.inputs[name.replace("last", "initial")][at] for name in names]
        rows, states = loop(
            case.inputs, case.inputs["x"][at, :length], {"units": UNITS, **SMALL[cell][1]}, *before
        )
        outputs[at, :length] = rows
        for name, last in zip(["last_hidden", *names], [rows[-1], *states], strict=True):
            answers[name].append(last)
    return {name: np.asarray(value, case.dtype) for name, value in answers.items()}


def judged(cell: str, old: str, new: str) -> list[Judgement]:
    text = inspect.getsource(SMALL[cell][0])
    assert old in text
    made = dict(vars(matrix_loops))
    exec(text.replace(old, new), made)
    with np.errstate(all="ignore"):
        return [judge(case, answer(made[cell], cell, case)) for case in cases(cell)]


@pytest.mark.slow
@pytest.mark.parametrize("cell", SMALL)
def test_a_loop_is_right(cell: str) -> None:
    assert {judgement.verdict for judgement in judged(cell, "", "")} == {"right"}


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "old", "new", "name"), PLANTED)
def test_a_fault_of_a_loop_is_named(cell: str, old: str, new: str, name: str) -> None:
    judgements = judged(cell, old, new)
    wrong = {judgement.case.name for judgement in judgements if judgement.verdict == "wrong"}
    assert wrong
    explanations = name_faults(judgements)
    if name:
        named = {case for each in explanations for case in each.cases if name in each.name}
        assert named
        assert wrong - named <= {judgement.case.name for judgement in judgements if has_no_digits(judgement)}
    else:
        assert [each.name for each in explanations] == [NOT_FOUND]


def has_no_digits(judgement: Judgement) -> bool:
    """Return whether a memory is so large that its normalized read is nothing but rounding, in float32."""
    return bool(np.abs(judgement.outputs["last_memory"]).max() > 1e20)
