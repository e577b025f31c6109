"""Random cells in scripts, many in each; `--hypothesis-profile=thorough` runs 1,000 of them."""

from functools import cache
from pathlib import Path

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from printed_tensors import run_script
from random_cells import LARGEST, some_cells

from rnncli import compute, specs
from rnncli.commands.export import targets
from rnncli.commands.export.export_case import build_export
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.specs.build import read_equations
from rnncli.specs.expressions import parse
from rnncli.values import Array, sizes

COUNT = 1_000 if settings().max_examples > 100 else 8
PER_SCRIPT = 50
LOOP = "return_sequences=True, return_state=True"
DTYPES = ("float64", "float32")


@cache
def drawn() -> dict[str, list[tuple[str, Case, tuple[Array, ...]]]]:
    """Return random cells by dtype: the text, the case and its tensors; none whose numbers grow too large."""
    found: dict[str, list[tuple[str, Case, tuple[Array, ...]]]] = {dtype: [] for dtype in DTYPES}

    @settings(max_examples=COUNT, database=None)
    @given(some_cells(), st.sampled_from(DTYPES), st.sampled_from((0, 1)), st.sampled_from(("", "mask")))
    def draw(text: str, dtype: str, backwards: int, mask: str) -> None:
        call = f"@r.toml(3, {LOOP}, go_backwards={bool(backwards)}, dtype={dtype!r})"
        built = tuple(specs.from_flags([parse(call, {"r.toml": read_equations(text)})], {}))
        rng, shape = np.random.default_rng(3), (2, 4, 3)
        shapes = Stack(built).weight_shapes(shape).items()
        weights = {path: rng.normal(0, 0.4, sizes(one)).astype(dtype) for path, one in shapes}
        inputs = rng.standard_normal(shape).astype(dtype)
        case = Case(Stack(built), inputs, rng.random(shape[:2]) < 0.6 if mask else None, weights=weights)
        tensors = tuple(one.values for one in compute.run(case, "numpy").outputs)
        if all(np.isfinite(one).all() and np.abs(one).max() < LARGEST for one in tensors):
            found[dtype].append((text, case, tensors))

    draw()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("target", ["numpy", "c", "keras", "torch"])
def test_random_cells_print_the_numbers_of_run(target: str, tmp_path: Path) -> None:
    if target == "torch":
        pytest.importorskip("torch")
    for dtype, cells in drawn().items():
        near = 1e-3 if dtype == "float32" else 1e-9
        for start in range(0, len(cells), PER_SCRIPT):
            some = cells[start : start + PER_SCRIPT]
            exports = [build_export(case, {f"r{k}": f"_{k}"}) for k, (_, case, _) in enumerate(some)]
            file = tmp_path / f"script.{'c' if target == 'c' else 'py'}"
            file.write_text(targets.get(target).write(exports), encoding="utf-8")
            found = iter(run_script(file).values())
            for text, _, tensors in some:
                for one in tensors:
                    oracle.check_close(next(found).astype(dtype), one, near, text)
            assert next(found, None) is None
