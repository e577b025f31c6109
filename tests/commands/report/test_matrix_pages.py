"""Pages of cells whose states are matrices: their numbers are those of loops written apart from them."""

from typing import Any

import numpy as np
import pytest
from matrix_cases import BATCH, FEATURES, MASK, TIMESTEPS, case_of, expected, layer_of
from matrix_loops import SMALL
from pages import PageCase, answers

from rnncli.ask import Ask
from rnncli.commands.report.contents import build_contents
from rnncli.compute import holds
from rnncli.compute import trace as tracing
from rnncli.layers.case import Case
from rnncli.models import LayerUse
from rnncli.result import OUTPUT
from rnncli.values import Array, sizes

pytestmark = pytest.mark.slow

RETURNS = {"return_sequences": True, "return_state": True, "dtype": "float64"}
STEP = 2
"""A step that is not the last, in which the last sequence is not masked."""


def page_of(case: Case) -> PageCase:
    contents = build_contents([LayerUse("", case)], described=True)
    contents.data["commands"] = {}
    return PageCase(Ask(), case, contents.data)


def cell_of(case: Case) -> Any:
    layer: Any = case.stack.layers[0]
    return layer.loops[""].cell


def shape_of(case: Case, line: str) -> tuple[int, ...]:
    measured = cell_of(case).sizes(FEATURES)
    shape: tuple[int, ...] = measured.shape(measured.axes[line])
    return shape


def last_of(case: Case, line: str, step: int = STEP) -> str:
    """Return the address of the last number of a line, in the last sequence: of its last head."""
    indices = [BATCH - 1, step, *(size - 1 for size in shape_of(case, line))]
    return f"{line}[{','.join(map(str, indices))}]"


def in_address(values: Array, address: str) -> float:
    """Return the number of an array of states (batch, axes) at an address, whose second index is a step."""
    sequence, _, *rest = map(int, address[address.index("[") + 1 : -1].split(","))
    return float(values[(sequence, *rest)])


@pytest.mark.parametrize("name", SMALL)
def test_outputs_and_states(name: str) -> None:
    for options, order in (
        (RETURNS, slice(None)),
        ({**RETURNS, "go_backwards": True}, slice(None, None, -1)),
    ):
        case = case_of(layer_of(name, **options), mask=MASK)
        (answer,) = answers([page_of(case)], [[]])
        outputs, states = expected(name, case, order, MASK)
        returned = list(answer["returned"].values())
        for ours, wanted in zip([returned[0], *returned[2:]], [outputs, *states], strict=True):
            np.testing.assert_allclose(np.array(ours), wanted, rtol=1e-11, atol=1e-11)
        assert [tensor["shape"] for tensor in answer["document"]["outputs"]] == [
            list(np.shape(tensor)) for tensor in returned
        ]


@pytest.mark.parametrize("name", SMALL)
def test_gradients_of_a_number_of_the_last_head(name: str) -> None:
    """Against central differences of the loop: of every state at a step that is not the last."""
    case = case_of(layer_of(name, **RETURNS))
    cell = cell_of(case)
    addresses = [last_of(case, state) for state in cell.states[1:]]
    addresses.append(f"hidden_states[{BATCH - 1},{TIMESTEPS - 2},{cell.units - 1}]")
    (answer,) = answers([page_of(case)], [addresses])

    def numbers(inputs: Array) -> list[float]:
        moved = case._replace(inputs=inputs)
        _, upto = expected(name, moved, slice(0, STEP + 1))
        outputs, _ = expected(name, moved)
        found = [in_address(state, address) for state, address in zip(upto, addresses, strict=False)]
        return [*found, float(outputs[BATCH - 1, TIMESTEPS - 2, -1])]

    near = np.zeros((len(addresses), TIMESTEPS, FEATURES))
    for step in range(TIMESTEPS):
        for feature in range(FEATURES):
            sides = []
            for change in (1e-6, -1e-6):
                inputs = case.inputs.copy()
                inputs[-1, step, feature] += change
                sides.append(np.array(numbers(inputs)))
            near[:, step, feature] = (sides[0] - sides[1]) / 2e-6
    for ours, wanted in zip(answer["gradients"], near, strict=True):
        np.testing.assert_allclose(np.array(ours)[-1], wanted, rtol=1e-5, atol=1e-6)
        assert not np.any(np.array(ours)[:-1])
    assert any(np.abs(each[0]).max() > 1e-3 for each in near[:-1]), "earlier steps count"


@pytest.mark.parametrize("name", SMALL)
def test_every_line_is_explained(name: str) -> None:
    """The numbers that an equation opens have their values, and its terms add up."""
    case = case_of(layer_of(name, **RETURNS))
    loop = tracing.trace(case).trace[0]
    parts = [part for part in loop.parts if part.kind in ("", "activation") and part != OUTPUT]
    addresses = [last_of(case, part.part) for part in parts]
    (answer,) = answers([page_of(case)], [addresses])
    for part, address, said in zip(parts, addresses, answer["explained"], strict=True):
        assert said["value"] == pytest.approx(loop.parts[part][-1, STEP, -1], rel=1e-9, abs=1e-12), address
        assert said["tokens"], address
        for group in said["terms"]:
            total = sum(term["value"] for term in group["terms"])
            values = [token["value"] for token in said["tokens"] if token.get("group") is not None]
            assert any(abs(total - value) < 1e-9 * max(1, abs(value)) for value in values), (
                address,
                group["label"],
            )
    for numbers in answer["opened"]:
        for address, shown, value in numbers:
            assert shown == pytest.approx(value, rel=1e-9, abs=1e-12), address


def test_states_held_lines_and_initial_states() -> None:
    """A held line stays; a start state of a matrix is the case document's, with its axes."""
    case = case_of(layer_of("gated_deltanet", **RETURNS))
    held = holds.hold_gates(case, ["beta=0.5"])
    (answer,) = answers([page_of(held)], [["memory[2,start,1,5,4]", "beta[2,2,1]", "memory[0,1,1,2,3]"]])
    assert case.initial_state
    assert answer["explained"][0]["value"] == case.initial_state[1][2, 1, 5, 4]
    assert answer["explained"][1] == {**answer["explained"][1], "kind": "held", "value": 0.5}
    traced = tracing.trace(held).trace[0]
    memory = next(values for part, values in traced.parts.items() if part.part == "memory")
    assert answer["explained"][2]["value"] == pytest.approx(memory[0, 1].reshape(2, 6, 6)[1, 2, 3], rel=1e-12)
    assert [np.shape(state) for state in answer["case"]["initial_state"]] == [
        sizes(info.shape) for info in case.stack.states(case.inputs.shape)
    ]


@pytest.mark.parametrize(
    "address", ["memory[0,1,2,0,0]", "memory[0,1,0,0]", "memory[0,1,0,6,0]", "memory[0,1,5]"]
)
def test_an_address_has_an_index_for_each_axis(address: str) -> None:
    case = case_of(layer_of("gated_deltanet", **RETURNS))
    with pytest.raises(AssertionError, match="there is no such number"):
        answers([page_of(case)], [[address]])
