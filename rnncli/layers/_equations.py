"""What an equation is made of, so that each cell and layer can say its own: a sum of products.

An equation gives one number, of one batch entry and one unit.
"""

from __future__ import annotations

from typing import NamedTuple


class Now(NamedTuple):
    """A gate or a part of the state, of this step and this unit.

    function: the option that names what is applied to it.  complement: 1 minus it.
    """

    name: str
    function: str = ""
    complement: bool = False


class Before(NamedTuple):
    """A part of the state before this step, of this unit."""

    name: str


class Entry(NamedTuple):
    """A number that a loop over time left behind.

    direction: of which loop of Bidirectional, else "".  position: of the step, in the order of processing.
    part: of the state after that step, `cell`; "" for the output.
    """

    direction: str
    position: int
    part: str
    unit: int


class Given(NamedTuple):
    """The layer's own input, at the index of the number."""


class Constant(NamedTuple):
    """A number that stands in the equation itself."""

    value: float


Factor = Now | Before | Entry | Given | Constant


class Product(NamedTuple):
    """Factors; one alone is itself."""

    factors: tuple[Factor, ...]


class Fan(NamedTuple):
    """A row times a column of a kernel: as many products as the row is long.

    row: `inputs`, or a part of the state before this step, `hidden`.  gate: whose columns of `kernel`.
    by: a gate that each entry of the row is multiplied by first.
    """

    row: str
    kernel: str
    gate: str = ""
    by: str = ""


class Bias(NamedTuple):
    """An entry of the bias.  gate: whose.  line: which row of it, where it has two."""

    gate: str = ""
    line: int | None = None


class Sum(NamedTuple):
    """function(terms added up); function: the option that names it, "" for none."""

    terms: tuple[Product | Fan | Bias, ...]
    function: str = ""


def times(*factors: Factor) -> Product:
    """The factors, multiplied."""
    return Product(factors)


def affine(gate: str, biased: bool) -> tuple[Fan | Bias, ...]:
    """x W + h U + b, of one gate."""
    fans = (Fan("inputs", "kernel", gate), Fan("hidden", "recurrent_kernel", gate))
    return (*fans, Bias(gate)) if biased else fans
