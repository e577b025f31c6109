"""Cases of the samples whose states are matrices, and what the loops of `matrix_loops` return for them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from command import ROOT
from matrix_loops import SMALL, UNITS
from random_matrix_cells import UNITS as RANDOM_UNITS

from rnncli import specs
from rnncli.ask.layer_files import read_layer
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.specs.build import read_equations
from rnncli.specs.expressions import parse
from rnncli.values import sizes

BATCH, TIMESTEPS, FEATURES = 3, 6, 7
MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0], [1, 0, 0, 1, 1, 0]], bool)


def layer_of(name: str, **loop: Any) -> str:
    options = "".join(f", {key}={value!r}" for key, value in {**SMALL[name][1], **loop}.items())
    return f"@'{ROOT}/samples/cells/{name}.toml'({UNITS}{options})"


def case_of(text: str, dtype: str = "float64", *, started: bool = True, **given: Any) -> Case:
    """Return a case with random weights and, if `started`, random states before the first step."""
    rng = np.random.default_rng(5)
    stack = Stack(specs.from_flags([read_layer(text)], {}))
    inputs = rng.standard_normal((BATCH, TIMESTEPS, FEATURES))
    shapes = stack.weight_shapes(inputs.shape)
    weights = {path: 0.5 * rng.standard_normal(sizes(shape)) for path, shape in shapes.items()}
    states = [rng.standard_normal(sizes(info.shape)) for info in stack.states(inputs.shape)]
    return Case(
        stack, inputs.astype(dtype),
        weights={path: values.astype(dtype) for path, values in weights.items()},
        initial_state=tuple(state.astype(dtype) for state in states) if started else None, **given,
    )  # fmt: skip


WHOLE: Mapping[str, Any] = {"return_sequences": True, "return_state": True, "dtype": "float64"}
FORMS: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "plain": ("{layer}", WHOLE, {}),
    "masked": ("{layer}", WHOLE, {"mask": MASK}),
    "backwards": ("{layer}", {**WHOLE, "go_backwards": True}, {"mask": MASK}),
    "zeroing": ("{layer}", {**WHOLE, "zero_output_for_mask": True}, {"mask": MASK, "started": False}),
    "last step": ("{layer}", {"return_state": True, "use_bias": False}, {"started": False}),
    "bidirectional": ("Bidirectional({layer}, dtype='float64')", WHOLE, {}),
    "bidirectional, masked": ("Bidirectional({layer}, dtype='float64')", WHOLE, {"mask": MASK}),
    "bidirectional, last step": ("Bidirectional({layer})", {"return_state": True}, {}),
    "two calls": ("{layer}", {**WHOLE, "stateful": True}, {"started": False, "calls": 2}),
    "two calls, masked": (
        "{layer}", {**WHOLE, "stateful": True}, {"mask": MASK, "started": False, "calls": 2},
    ),
}  # fmt: skip
"""An expression with a hole for the layer, its options, and what its case has besides an input.

Without a dtype it is float32.
"""

RANDOM_FORMS = ("{layer}", "Bidirectional({layer}, dtype='float64')")
RANDOM_MASKS = (None, np.array([[0, 1, 0, 1], [1, 1, 1, 0]], bool))
"""The layers and the masks of random cells, whose inputs are two sequences of four steps."""


def text_in(form: str, name: str) -> str:
    """Return the layer of a sample in a form of the table."""
    text, options, _ = FORMS[form]
    return text.format(layer=layer_of(name, **options))


def case_in(form: str, name: str) -> Case:
    """Return the case of a sample in a form of the table."""
    _, options, given = FORMS[form]
    return case_of(text_in(form, name), options.get("dtype", "float32"), **given)


def check(form: str, name: str, case: Case, tensors: Iterable[Any]) -> None:
    """Check the tensors of a case of the table, in the order of `run`, against the loop written apart.

    The halves of a Bidirectional layer return 0 in masked steps."""
    _, options, given = FORMS[form]
    mask, wanted, states = given.get("mask"), [], list[Any]()
    both = form.startswith("bidirectional")
    for path in ("forward/", "backward/") if both else ("",):
        backwards = path == "backward/" or "go_backwards" in options
        made, last = expected(name, case, slice(None, None, -1 if backwards else 1), mask, path)
        states += [made[:, -1], *last]
        if mask is not None and (both or "zero_output_for_mask" in options):
            made = np.where(MASK[:, :: -1 if path == "backward/" else 1, None], made, 0)
        if "return_sequences" not in options:
            made = made[:, -1]
        wanted.append(made[:, ::-1] if path == "backward/" and made.ndim > 2 else made)
    outputs = np.concatenate(wanted, axis=-1)
    near = 1e-11 if "dtype" in options else 2e-4
    for ours, theirs in zip(tensors, [outputs, *states], strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=near, atol=near, err_msg=f"{name}, {form}")


def expected(name: str, case: Case, order: Any = slice(None), mask: Any = None, path: str = "") -> Any:
    """Return the loop's outputs of the last call and last states, in the order of the steps.

    A masked step keeps the states and repeats the output of the step before; the first of a call returns 0.
    """
    loop, given = SMALL[name]
    n = {"units": UNITS, **given}
    weights = {
        key.removeprefix(path): value for key, value in (case.weights or {}).items() if key.startswith(path)
    }
    weights.setdefault("bias", np.zeros(weights["kernel"].shape[-1]))  # without use_bias
    outputs, states = [], []
    count = len(case.stack.states(case.inputs.shape)) // (2 if path else 1)
    zeros = [np.zeros(sizes(info.shape)) for info in case.stack.states(case.inputs.shape)]
    starts = (case.initial_state or zeros)[count if path == "backward/" else 0 :]
    for row in range(BATCH):
        kept = [state[row] for state in starts[1:count]]
        for _ in range(case.calls):
            made, last = list[Any](), np.zeros(UNITS)
            for step in range(TIMESTEPS)[order]:
                if mask is None or mask[row, step]:
                    (last,), kept = loop(weights, case.inputs[row, step][None], n, *kept)
                made.append(last)
        outputs.append(made)
        states.append(kept)
    return np.array(outputs), [np.array(part) for part in zip(*states, strict=True)]


def random_case(text: str, form: str = "{layer}", mask: Any = None, **options: Any) -> Case:
    """Return a case of a random cell, with random weights and states.  form: around its layer."""
    words = "".join(f", {name}={value!r}" for name, value in {**WHOLE, **options}.items())
    call = parse(form.format(layer=f"@r.toml({RANDOM_UNITS}{words})"), {"r.toml": read_equations(text)})
    stack, rng = Stack(specs.from_flags([call], {})), np.random.default_rng(3)
    inputs = rng.standard_normal((2, 4, 3))
    shapes = stack.weight_shapes(inputs.shape).items()
    weights = {path: 0.7 * rng.standard_normal(sizes(shape)) for path, shape in shapes}
    states = tuple(rng.standard_normal(sizes(info.shape)) for info in stack.states(inputs.shape))
    return Case(stack, inputs, weights=weights, initial_state=states, mask=mask)
