"""Cases and their sheets, for the tests of plot."""

from typing import Any

import numpy as np

from rnncli import compute, specs
from rnncli.commands.plot.sheet import SheetSelection, draw
from rnncli.compute import trace as tracing
from rnncli.layers.case import Case
from rnncli.values import InputNames


def make_case(
    *layers: str,
    shape: Any = (2, 5, 2),
    units: Any = 3,
    mask: Any = None,
    scale: Any = 1.0,
    names: Any = (),
    **flags: Any,
) -> Case:
    inputs = scale * np.random.default_rng(3).standard_normal(shape)
    options = {} if "(" in layers[0] else {"units": units, **flags}
    return Case(
        specs.from_flags(list(layers), options), inputs=inputs.astype(np.float32), mask=mask, seed=1,
        names=InputNames(names),
    )  # fmt: skip


def trace_sheet(case: Case, **wanted: Any) -> Any:
    """Return the picture of the gates and states.  wanted: fields of SheetSelection."""
    return draw([("", case, tracing.trace(case))], SheetSelection(**wanted), traced=True)


def result_sheet(case: Case, **wanted: Any) -> Any:
    """Return the picture of the returned tensors.  wanted: fields of SheetSelection."""
    return draw([("", case, compute.run(case))], SheetSelection(**wanted), traced=False)


def padding_mask(shape: Any = (2, 5)) -> np.ndarray:
    """Return a mask of the last two steps of the second sequence."""
    mask = np.ones(shape, bool)
    mask[1, -2:] = False
    return mask
