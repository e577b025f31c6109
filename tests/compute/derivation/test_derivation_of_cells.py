"""An explanation of a cell of one's own: terms add up, and every number is that of a loop written by hand."""

import re
from math import isclose, prod
from pathlib import Path
from typing import Any

import numpy as np
import own_cells
import pytest
from own_cells import ACCUMULATOR, MGU, NASTY, Steps, mgu, nasty

import rnncli
from rnncli.compute.derivation.explanation import Equation, Factor

CELLS = Path(__file__).parents[3] / "samples" / "cells"
INPUTS = np.random.default_rng(4).normal(size=(2, 3, 3))
FUNCTIONS: dict[str, Any] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt, "abs": np.abs, "": lambda x: x,
    "maximum": max, "minimum": min, "clip": lambda x, low, high: min(max(x, low), high),
}  # fmt: skip


def write_cell(tmp_path: Path, text: str) -> str:
    (tmp_path / "cell.toml").write_text(text)
    return f"@'{tmp_path}/cell.toml'"


class NumbersByHand:
    """The numbers of one sequence by hand."""

    def __init__(self, steps: Steps, weights: Any, start: dict[str, float]) -> None:
        self.steps, self.weights, self.start = steps, weights, start

    def number(self, line: str, time: int, unit: int) -> float:
        if time < 0:
            return self.start.get(line, 0.0)
        row = self.steps[time][line][0]
        return float(row[unit if len(row) > 1 else 0])

    def leaf(self, name: str, time: int, unit: int) -> float | None:
        """Return the number that a factor of this name must be; None for a part of an equation."""
        if match := re.fullmatch(r"(\w+)\[(.+)\]", name):
            return float(self.weights[match[1]][tuple(map(int, match[2].split(", ")))])
        if match := re.fullmatch(r"feature (\d+)", name):
            return float(INPUTS[0, time, int(match[1])])
        if re.fullmatch(r"-?[\d.]+(e-\d+)?", name):
            return float(name)
        if match := re.fullmatch(r"1 / (\d+)", name):
            return 1 / int(match[1])
        if match := re.fullmatch(r"([a-z]+)(?: (\d+))? (before|at start)", name):
            return self.number(match[1], time - 1, int(match[2] or unit))
        if match := re.fullmatch(r"([a-z]+)(?: (\d+))?", name):
            return self.number(match[1], time, int(match[2] or unit))
        return None


def check_equation(equation: Equation, known: dict[str, Equation], hand: NumbersByHand) -> None:
    time, unit = int(equation.location.timestep or 0), equation.location.unit
    if equation.name.isidentifier():
        assert isclose(equation.value, hand.number(equation.name, time, unit), rel_tol=1e-9, abs_tol=1e-12)
    if equation.terms:
        summed = sum(term.value for term in equation.terms)
        assert isclose(summed + equation.remainder, equation.total, abs_tol=1e-14)
        assert abs(equation.remainder) < 1e-12
        assert all(term.value == prod(factor.value for factor in term.factors) for term in equation.terms)
    if equation.function == "softmax":
        powers = np.exp([factor.value for factor in equation.reads])
        assert isclose(equation.value, powers[unit] / powers.sum(), rel_tol=1e-9)
    elif equation.terms:
        assert isclose(equation.value, FUNCTIONS[equation.function](equation.total), rel_tol=1e-9)
    else:
        values = [factor.value for factor in equation.reads]
        name = equation.symbols[0].partition("(")[0]
        found = FUNCTIONS[name](*values) if name else values[0] ** values[1]
        assert isclose(equation.value, found, rel_tol=1e-9)
    for factor in equation.factors:
        check_factor(factor, known, hand, time, unit)


def check_factor(
    factor: Factor, known: dict[str, Equation], hand: NumbersByHand, time: int, unit: int
) -> None:
    if factor.name.startswith("unit "):  # an argument of softmax, see check_equation
        return
    expected = hand.leaf(factor.name, time, unit)
    if expected is None:
        meant = known[factor.explained].value if factor.explained else None
        assert meant is not None, factor
        if factor.name.startswith("1 / "):
            meant = 1 / meant
        elif factor.name.startswith("(1 - "):
            meant = 1 - meant
        elif re.fullmatch(r"\w+\([a-z]+\)( \d+)?", factor.name) and "(" not in known[factor.explained].name:
            meant = float(FUNCTIONS[factor.name.partition("(")[0]](meant))
        expected = meant
    assert isclose(factor.value, expected, rel_tol=1e-9, abs_tol=1e-12), factor


@pytest.mark.parametrize(
    ("text", "loop", "start"), [(MGU, mgu, {}), (NASTY, nasty, {"norm": 1.0})], ids=["mgu", "nasty"]
)
@pytest.mark.slow
def test_every_number_of_every_line_adds_up(text: str, loop: Any, start: Any, tmp_path: Path) -> None:
    layer = write_cell(tmp_path, text)
    told: Any = {"units": 2, "seed": 2, "dtype": "float64"}
    run = rnncli.run(INPUTS, layer, **told)
    hand = NumbersByHand(loop(INPUTS, run.weights), run.weights, start)
    for time, lines in enumerate(hand.steps):
        for line, values in lines.items():
            for unit in range(values.shape[-1]):
                found: Any = rnncli.explain(
                    f"{line}[0,{time},{unit}]", INPUTS, layer, terms=None, **told
                ).found
                known = {equation.key: equation for equation in found.equations}
                assert len(known) == len(found.equations)
                assert known[found.equations[0].key].value == found.value
                for equation in found.equations:
                    check_equation(equation, known, hand)


@pytest.mark.parametrize("text", [MGU, NASTY, ACCUMULATOR], ids=["mgu", "nasty", "accumulator"])
@pytest.mark.parametrize(
    "form", ["{}({options})", "Bidirectional({}({options}))", "RNN([{}({options}), LSTMCell(2)])"]
)
def test_they_add_up_inside_other_layers_with_dropout_and_masks(text: str, form: str, tmp_path: Path) -> None:
    options = "2, dropout=0.4, recurrent_dropout=0.3" if "RNN" not in form else "2"
    layer = form.format(write_cell(tmp_path, text), options=options)
    more: Any = {"mask": [[True, True, False], [True] * 3], "seed": 3, "training": "dropout" in options}
    found: Any = rnncli.explain("hidden_state[0,1]", INPUTS, layer, terms=None, depth=4, **more).found
    for equation in found.equations:
        if equation.terms and not equation.note:
            assert abs(equation.remainder) < 2e-6
            assert abs(equation.rounding) < 2e-6


def test_a_part_is_named_by_its_text_and_numbers_of_options_are_numbers(tmp_path: Path) -> None:
    layer = write_cell(tmp_path, NASTY)
    found: Any = rnncli.explain("hidden_state[0,0]", INPUTS, f"{layer}(2, eps=0.25)", seed=1).found
    names = {equation.name for equation in found.equations}
    assert {"(limited - memory)", "((abs(norm) + 1) ** 2.5)", "(norm ** 2 + 0.25)"} <= names
    assert found.equations[0].symbols == (
        "-half · tanh(memory)",
        "(limited - memory) / (abs(norm) + 1) ** 2.5",
    )
    held: Any = rnncli.explain("memory[0,0]", INPUTS, layer, units=2, seed=1, hold="raw=0.5").found
    assert next(one for one in held.equations if one.name == "raw").is_held


PEEPHOLE = """
name = "Peephole"
states = ["hidden", "cell"]
[weights]
look = { shape = ["units"], initializer = "ones" }
[step]
input = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias + look * cell)"
cell = "(1 - input) * cell + input * tanh(x @ kernel + hidden @ recurrent_kernel + bias)"
output = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias + look * cell)"
hidden = "output * tanh(cell)"
"""


def test_a_gate_of_a_masked_step_leads_to_the_states_that_it_keeps(tmp_path: Path) -> None:
    layer, mask = write_cell(tmp_path, PEEPHOLE), [[True, True, False], [True] * 3]
    told: Any = {"units": 2, "seed": 1, "mask": mask, "terms": None}
    trace = rnncli.trace(INPUTS, layer, units=2, seed=1, mask=mask)
    for gate in ("input", "output"):
        first, *others = rnncli.explain(f"{gate}[0,2,1]", INPUTS, layer, **told).found.equations
        assert (first.note, first.terms, first.reads) == (("unused", None), (), ())
        assert first.value == trace[f"{gate}/activation"][0, 2, 1]
        masked = [one for one in others if one.location.timestep == 2]
        assert [(one.name, one.note) for one in masked] == [
            (name, ("held", 1)) for name in ("cell", "hidden")
        ]
        assert {one.location.timestep for one in others} == {1, 2}


@pytest.mark.parametrize("file", own_cells.samples(), ids=lambda file: file.stem)
def test_every_number_of_a_published_cell_adds_up(file: Path) -> None:
    told: Any = {"units": 3, "seed": 1, "dtype": "float64", "terms": None, "depth": 2}
    lines = {name.partition("/")[0] for name in rnncli.trace(INPUTS, f"@'{file}'(3)", seed=1)}
    for line in sorted(lines - {"output", "timestep", "status"}):
        found: Any = rnncli.explain(f"{line}[1,2,0]", INPUTS, f"@'{file}'", **told).found
        for equation in found.equations:
            assert abs(equation.remainder) < 1e-12
            assert abs(equation.rounding) < 1e-12
            assert equation.terms or equation.reads
