"""Sizes of the lines of a cell where the number of features is known, and where it is not."""

from typing import Any

import pytest

from rnncli.cells.sizes import measure
from rnncli.errors import LayerError
from rnncli.specs.build import read_equations

CELL = """
name = "C"
states = ["hidden"]
[weights]
seven = {{ shape = [7] }}
inner = {{ shape = ["features"] }}
[step]
line = "{line}"
hidden = "tanh(x @ kernel + hidden @ recurrent_kernel)"
"""


def count(line: str, features: int | None) -> Any:
    sizes = measure(read_equations(CELL.format(line=line)), {"units": 2, "use_bias": True}, features)
    return sizes.numbers(sizes.axes["line"])


@pytest.mark.parametrize(("line", "wanted"), [
    ("x", None), ("x * inner", None), ("x * hidden", 2), ("hidden * x", 2), ("x * 2", None),
    ("mean(x) * x", None), ("sum(x) + hidden", 2), ("x * hidden * inner", 2), ("inner * (x + 1) - hidden", 2),
])  # fmt: skip
def test_a_size_that_is_not_known_takes_the_other_wherever_it_stands(line: str, wanted: Any) -> None:
    assert count(line, None) == wanted
    if wanted is None:
        assert count(line, 5) == 5
    else:
        assert count(line, 2) == 2


@pytest.mark.parametrize(
    "line", ["x * hidden + seven", "x + seven + hidden", "seven * x - hidden", "x + hidden * seven"]
)
def test_two_known_sizes_that_differ_are_refused_also_behind_one_that_is_not_known(line: str) -> None:
    with pytest.raises(LayerError, match="its parts have"):
        count(line, None)
