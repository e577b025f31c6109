"""The range of each line of a cell, as far as its activations limit it."""

from typing import Any

import pytest

from rnncli import specs
from rnncli.layers.stack import Stack
from rnncli.specs.build import read_equations
from rnncli.specs.expressions import parse


def bounds(**lines: str) -> Any:
    """Return the ranges of the lines `a` (a sigmoid), `b` (a tanh), and of these."""
    text = [
        'name = "C"', 'states = ["hidden"]', "[step]", 'a = "sigmoid(x @ kernel)"', 'b = "tanh(x @ kernel)"',
    ]  # fmt: skip
    text += [f'{line} = "{equation}"' for line, equation in lines.items()]
    call = parse("@c.toml(2)", {"c.toml": read_equations("\n".join(text))})
    return Stack(specs.from_flags([call], {})).layers[0].cell.bounds  # type: ignore[attr-defined]


@pytest.mark.parametrize(("equation", "wanted"), [
    ("b * b", (-1, 1)), ("a * b", (-1, 1)), ("b * a", (-1, 1)), ("a * a", (0, 1)), ("relu(b) * a", None),
    ("a + b", None), ("hidden * a", None),
])  # fmt: skip
def test_a_product_may_have_either_sign(equation: str, wanted: Any) -> None:
    assert bounds(hidden=equation)["hidden"] == wanted


@pytest.mark.parametrize(("equation", "wanted"), [
    ("a * hidden + (1 - a) * b", (-1, 1)), ("(1 - a) * hidden + a * b", (-1, 1)),
    ("a * b + (1 - a) * hidden", (-1, 1)), ("(1 - a) * b + a * hidden", (-1, 1)),
    ("a * hidden + (1 - a) * a", (0, 1)), ("b * hidden + (1 - b) * a", None),
    ("a * hidden + (2 - a) * b", None), ("a * hidden + (1 + a) * b", None),
    ("a * hidden - (1 - a) * b", None), ("a * x @ kernel + (1 - a) * b", None),
])  # fmt: skip
def test_a_blend_is_limited_with_its_shares_in_either_order(equation: str, wanted: Any) -> None:
    assert bounds(hidden=equation)["hidden"] == wanted
