"""Through which gate a gradient comes back, against central differences of one line's reading of a state."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import own_cells
import pytest
from command import Run
from part_labels import state

from rnncli import compute, specs
from rnncli.ask import Ask, subject_of
from rnncli.cells import activations
from rnncli.cells.evaluate import columns_of, evaluate
from rnncli.cells.tree import Name
from rnncli.commands.gradients import curves
from rnncli.commands.gradients.answer import write_verdict
from rnncli.layers.case import Case
from rnncli.layers.layer import within
from rnncli.layers.stack import Stack
from rnncli.show.page import View
from rnncli.values import sizes

SAMPLES = Path(__file__).parents[3] / "samples/cells"
SHAPE = (1, 5, 3)
STEP, SEED = 1e-5, 3
ROUNDED = 1e-9
"""A share below this is what rounding leaves of differences by STEP."""
OWN = """
name = "Own"
states = ["hidden", "old"]
[options]
activation = "tanh"
[step]
gate = "sigmoid(x @ kernel + hidden @ recurrent_kernel + old)"
kept = "hidden"
candidate = "activation(x @ kernel + gate * old * hidden + kept / 2)"
old = "hidden"
hidden = "gate * hidden - old ** 2 + candidate"
"""


def random_case(*layers: str, mask: Any = None) -> Case:
    """Random inputs and weights in float64."""
    rng = np.random.default_rng(SEED)
    stack = (
        subject_of(
            Ask(layer=[text.replace(")", ", dtype='float64')") for text in layers], input_shape="1,5,3")
        )
        .outline()
        .stack
    )
    weights = {path: rng.normal(0, 0.7, sizes(size)) for path, size in stack.weight_shapes(SHAPE).items()}
    return Case(stack, inputs=rng.standard_normal(SHAPE), weights=weights, mask=mask)


ReadBy = Callable[[str, str], Any]
"""The part of a weight, by its name, that a line reads."""


def run(cell: Any, read_by: ReadBy, rows: Any, shown: Any, start: Any, nudge: Any) -> np.ndarray:
    """The last output of a cell; the nudge is added to what one line reads of a state at one step."""
    before = dict(zip(cell.states, start, strict=True))
    functions = activations.array_functions(np)
    at, state, changed, by = nudge

    def call(function: str, given: list[Any]) -> Any:
        return (functions.get(function) or activations.get(cell.function(function)))(*given)

    for time, x in enumerate(rows):
        if not shown[time]:
            continue
        after: dict[str, Any] = {}
        for line, node in cell.lines.items():
            given = {Name("x"): x, **{Name(one, "before"): value for one, value in before.items()}}
            given |= {Name(one, kind): value for one, value in after.items() for kind in ("line", "free")}
            if (time, line) == (at, changed):
                given[Name(state, "before")] = before[state] + by

            def read(name: Any, line: str = line, given: Any = given) -> Any:
                return given[name] if name in given else read_by(name.name, line)

            def multiply(_: Any, left: Any, weight: Any, line: str = line) -> Any:
                return left @ read_by(weight.name, line)

            after[line] = evaluate(node, read, call, multiply)
        before = {name: np.broadcast_to(after[name], cell.units) for name in cell.states}
    return np.asarray(next(iter(before.values())))


def shares_by_differences(cell: Any, weights: Any, rows: Any, shown: Any) -> dict[str, dict[str, float]]:
    """By state and line, the share of the norms of the Jacobians by central differences."""

    @cache
    def read_by(weight: str, line: str) -> Any:
        return columns_of(cell.text, weight, line, weights, cell.sizes(None))

    start = [np.full(cell.units, cell.text.initial.get(one, 0.0)) for one in cell.states]
    found: dict[str, dict[str, float]] = {}
    for part in cell.states:
        norms = {}
        for line in cell.lines:
            each = []
            for time in np.flatnonzero(shown):
                columns = [
                    run(cell, read_by, rows, shown, start, (time, part, line, one))
                    - run(cell, read_by, rows, shown, start, (time, part, line, -one))
                    for one in STEP * np.eye(cell.units)
                ]
                each.append(np.linalg.norm(columns) / (2 * STEP))
            norms[line] = np.array(each)
        total = np.sum(list(norms.values()))
        found[part] = {
            line: float(own.sum() / total) for line, own in norms.items() if own.sum() > ROUNDED * total
        }
    return found


def check_shares(curve: Any, theirs: dict[str, float], cell: Any) -> None:
    """Compare the shares of one state; the line of a state is named by the product that reads the state."""
    ours = {name: share for name, share in curve.shares.items() if share > 0}
    assert list(ours.values()) == sorted(ours.values(), reverse=True)
    assert len(ours) == len(theirs)
    for line, share in theirs.items():
        if line in cell.gates:
            assert ours.pop(line) == pytest.approx(share, rel=3e-5, abs=1e-7)
    others = sorted(share for line, share in theirs.items() if line not in cell.gates)
    assert sorted(ours.values()) == pytest.approx(others, rel=3e-5, abs=1e-7)


@pytest.fixture
def own(tmp_path: Path) -> str:
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    return f"@'{file}'(3)"


@pytest.mark.sampled
@pytest.mark.parametrize("mask", [None, [[True, False, True, True, False]]])
@pytest.mark.parametrize("layer", [
    "SimpleRNN(3)", "LSTM(3)", "GRU(3)", "GRU(3, reset_after=False)", "Own",
    *(f"@'{file}'(3)" for file in own_cells.samples()),
])  # fmt: skip
def test_each_line_of_a_cell(layer: str, mask: Any, own: str) -> None:
    case = random_case(own if layer == "Own" else layer, mask=None if mask is None else np.array(mask))
    loop: Any = case.stack.layers[0]
    shown = np.ones(5, bool) if mask is None else np.array(mask[0])
    theirs = shares_by_differences(loop.cell, case.weights, case.inputs[0], shown)
    for curve in curves.gradients(case).curves[:-1]:
        check_shares(curve, theirs[curve.part.part], loop.cell)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_rounding_leaves_is_no_share(dtype: str) -> None:
    """Where the stabilizer of an sLSTM starts changes nothing, so that its line passes on sums that are 0."""
    layer = f"@'{SAMPLES / 'slstm.toml'}'(3, dtype={dtype!r})"
    for seed in range(20):
        case = subject_of(Ask(layer=[layer], input_shape="1,5,3", seed=seed)).parts(alone=True).case
        found = next(one for one in curves.gradients(case).curves if one.part.part == "stabilizer")
        assert found.shares == {"forget": 1.0, "largest": 0.0}
        assert 0 < found.by_line["largest"].sum() < 1e-5


def test_a_long_part_of_a_line_is_not_shown() -> None:
    hidden, velocity, _ = curves.gradients(random_case(f"@'{SAMPLES / 'cornn.toml'}'(3)")).curves
    assert set(hidden.shares) == {"hidden", "force", "velocity = ..."}
    assert set(velocity.shares) == {"force", "velocity = ..."}


def test_both_directions() -> None:
    case = random_case("Bidirectional(GRU(3))")
    halves: Any = case.stack.layers[0].loops
    for curve in curves.gradients(case).curves[:-1]:
        cell, weights = halves[curve.direction].cell, within(case.weights or {}, curve.direction)
        rows = case.inputs[0][:: -1 if curve.direction == "backward" else 1]
        check_shares(curve, shares_by_differences(cell, weights, rows, np.ones(5, bool))["hidden"], cell)


def test_the_last_layer_of_a_stack() -> None:
    case = random_case("LSTM(2, return_sequences=True)", "GRU(3)")
    last: Any = case.stack.layers[1]
    below = case._replace(stack=Stack(case.stack[:1]), weights=within(case.weights or {}, "0"))
    rows = compute.run(below).outputs[0].values[0]
    (curve, _) = curves.gradients(case).curves
    check_shares(
        curve,
        shares_by_differences(last.cell, within(case.weights or {}, "1"), rows, np.ones(5, bool))["hidden"],
        last.cell,
    )


def test_cells_one_on_the_other_have_shares_of_their_own() -> None:
    built = specs.from_flags(["RNN([LSTMCell(2), GRUCell(3)])"], {})
    found = curves.gradients(Case(built, inputs=np.ones(SHAPE, np.float32), seed=1)).curves
    assert [list(curve.shares)[:1] for curve in found[1:]] == [["forget * cell"], ["update * hidden"], []]
    assert sum(found[0].shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(("by_line", "sentences"), [
    ({"forget * cell": [1.0, 2.0, 0.0]}, ["cell: all of the gradient comes back through forget * cell"]),
    ({"output": [1.0, 0.0, 0.0], "input": [3.0, 1.0, 0.0]},
     ["cell: 80% of the gradient comes back through the gate input"]),
    ({"cell": [1.0, 1.0, 0.0]}, ["cell: all of the gradient comes back through cell"]),
    ({"input": [0.0, np.inf, 1.0], "output": [1.0, 1.0, 1.0]}, []),
    ({"input": [0.0, np.nan, 1.0]}, []),
    ({"input": [0.0, 0.0, 0.0]}, []),
    ({}, []),
])  # fmt: skip
def test_the_sentence(by_line: dict[str, list[float]], sentences: list[str]) -> None:
    lines = {name: np.array(values) for name, values in by_line.items()}
    curve = curves.Curve(state("cell"), "forward", np.ones(3), np.zeros(3, bool), lines)
    said = [paragraph.text for paragraph in write_verdict("cell", curve, View())][1:]
    assert said == sentences


@pytest.mark.slow
def test_tensorflow_does_not_say_it(rnncli: Run) -> None:
    for engine, names in (
        ("numpy", [{"update * hidden", "update", "reset", "candidate"}]),
        ("tensorflow", []),
    ):
        done = rnncli("gradients", "-l", "gru", "--seed", "1", "--engine", engine, "-f", "json")
        (found,) = json.loads(done.stdout)["layers"]
        assert [set(curve["through"]) for curve in found["curves"] if "through" in curve] == names


@pytest.mark.slow
def test_dropout_as_run_draws_it(rnncli: Run) -> None:
    flags = ("gradients", "-l", "lstm", "--dropout", "0.5", "--recurrent-dropout", "0.5", "--seed", "3")
    norms = []
    for engine in ("numpy", "tensorflow"):
        found = json.loads(rnncli(*flags, "--training", "--engine", engine, "-f", "json").stdout)
        assert found["conditions"] == {"training": 1}
        norms.append([curve["norms"] for curve in found["layers"][0]["curves"]])
    np.testing.assert_allclose(norms[0], norms[1], rtol=1e-5, atol=1e-7)
    said = rnncli("gradients", "-l", "lstm", "--calls", "2").refusal()
    assert said == "rnncli: gradients are computed for one call.\nLeave --calls out.\n"
