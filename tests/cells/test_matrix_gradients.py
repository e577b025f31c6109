"""Gradients of cells whose states are matrices: against loops written apart, and TensorFlow's tape."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from command import ROOT
from matrix_cases import MASK, TIMESTEPS, case_of, layer_of
from matrix_loops import SMALL, UNITS

from rnncli.commands.gradients import tape
from rnncli.compute import chain_rule

pytestmark = pytest.mark.slow

ROW, STEP = 1, 1e-5
FULL: dict[str, Any] = {"return_sequences": True, "return_state": True}


def norm_of(number: Callable[[np.ndarray], float], at: np.ndarray) -> float:
    """Return the norm of the derivative of a number, by central differences."""
    squares = 0.0
    for index in np.ndindex(*at.shape):
        near = [at.copy(), at.copy()]
        near[0][index] += STEP
        near[1][index] -= STEP
        squares += ((number(near[0]) - number(near[1])) / 2 / STEP) ** 2
    return float(squares**0.5)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("output_step", [3, None])
def test_a_number_of_a_later_head(name: str, output_step: int | None) -> None:
    """Of the output of a step that is not the last, or of the last memory, in the last head."""
    case = case_of(layer_of(name, **FULL, dtype="float64"))
    loop, given = SMALL[name]
    n = {"units": UNITS, **given}
    x, starts = case.inputs[ROW], [state[ROW] for state in (case.initial_state or ())[1:]]
    entry = starts[0].size - 3 if output_step is None else UNITS - 2
    tensor, flat = (2, entry) if output_step is None else (0, output_step * UNITS + entry)

    def after(time: int, states: list[np.ndarray]) -> float:
        outputs, last = loop(case.weights, x[time + 1 :], n, *states)
        return float(
            last[0].ravel()[entry] if output_step is None else outputs[output_step - time - 1][entry]
        )

    def with_input(time: int, row: np.ndarray) -> float:
        outputs, last = loop(case.weights, np.vstack([x[:time], row, x[time + 1 :]]), n, *starts)
        return float(last[0].ravel()[entry] if output_step is None else outputs[output_step][entry])

    ours = chain_rule.norms(case, 0, ROW, tensor, np.array([flat]))
    last_step = TIMESTEPS - 1 if output_step is None else output_step
    for time in range(last_step + 1):
        by_hand = norm_of(lambda row, time=time: with_input(time, row), x[time])  # type: ignore[misc]
        assert ours.inputs[""][time] == pytest.approx(by_hand, rel=1e-6, abs=1e-8)
    for time in range(last_step):
        states = [np.array(state) for state in loop(case.weights, x[: time + 1], n, *starts)[1]]
        hidden, *norms = ours.states.values()
        assert hidden[time] == 0, "the samples do not read the first state"
        for index, (state, part) in enumerate(zip(states, norms, strict=True)):

            def number(moved: np.ndarray, time: int = time, index: int = index) -> float:
                return after(time, [*states[:index], moved, *states[index + 1 :]])  # noqa: B023

            assert part[time] == pytest.approx(norm_of(number, state), rel=1e-6, abs=1e-8)


FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "mask": ("{name}", {"mask": MASK}),
    "go_backwards": ("{name}", {"go_backwards": True, "mask": MASK, "zero_output_for_mask": True}),
    "bidirectional": ("Bidirectional({name})", {"mask": MASK}),
    "mul": ("Bidirectional({name}, merge_mode='mul')", {"started": False}),
    "dropout": ("{name}", {"dropout": 0.4, "training": True, "use_bias": False}),
}


FOUR = ("gated_deltanet", "mlstm", "mamba", "qwen3_next")
CASES = [
    (form, name, (at + count) % 2)
    for at, form in enumerate(FORMS)
    for count, name in enumerate(SMALL if "training" not in FORMS[form][1] and form != "mul" else FOUR)
]
"""Each form with each sample, and of their product with the tensors every second one."""


@pytest.mark.parametrize(("form", "name", "of_memory"), CASES)
def test_gradients_of_the_tape(form: str, name: str, of_memory: bool) -> None:
    """The tape steps a Keras cell made of the same equations; the numbers of a head that is not the first."""
    text, given = FORMS[form]
    options = {key: value for key, value in given.items() if key not in ("mask", "started", "training")}
    flags: dict[str, Any] = {key: given[key] for key in given if key not in options}
    case = case_of(text.format(name=layer_of(name, **FULL, **options)), "float32", **flags, seed=3)
    width = case.stack.outputs(case.inputs.shape)[0].shape[-1]
    tensor, entries = (2, [UNITS + 1, UNITS + 3]) if of_memory else (0, [3 * int(width or 0) + UNITS - 2])
    ours, theirs = (method.norms(case, 0, ROW, tensor, np.array(entries)) for method in (chain_rule, tape))
    assert [*ours.states] == [*theirs.states]
    assert (ours.masked_steps == theirs.masked_steps).all()
    pairs = [(ours.inputs[""], theirs.inputs[""])]
    pairs += zip(ours.states.values(), theirs.states.values(), strict=True)
    for first, second in pairs:
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5 * max(1, second.max()))


def test_indices_are_not_the_number_of_their_size() -> None:
    """`2 ** (-5 - index(heads))` of two heads: the base is a number, the power has an index for each head."""
    case = case_of(f"@'{ROOT}/samples/cells/retnet.toml'(8)", "float32")
    ours, theirs = (method.norms(case, 0, ROW, 0, np.array([5])) for method in (chain_rule, tape))
    np.testing.assert_allclose(ours.inputs[""], theirs.inputs[""], rtol=1e-5)
