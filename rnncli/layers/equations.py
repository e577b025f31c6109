"""The terms of equations, by which cells and layers describe their results: sums of products.

An equation gives one number, for one batch entry and one unit.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from typing import NamedTuple

from rnncli.result import Label


class Current(NamedTuple):
    """A gate or a part of the state, at this step and for this unit.

    function: the option that names the activation applied to it.  complement: use 1 minus its value.
    kind: `recurrent` for the recurrent part of a gate, instead of the gate.
    """

    name: str
    function: str = ""
    complement: bool = False
    kind: str = ""


class Previous(NamedTuple):
    """A part of the state before this step, for this unit."""

    name: str


class Entry(NamedTuple):
    """A number computed by a loop over time.

    direction: which loop of a Bidirectional, else "".  position: the step, in processing order.
    part: the part of the state after that step, or OUTPUT.
    """

    direction: str
    position: int
    part: Label
    unit: int


class LayerInput(NamedTuple):
    """The layer's own input, at the same index as the number."""


class Constant(NamedTuple):
    """A constant number in the equation."""

    value: float


EquationFactor = Current | Previous | Entry | LayerInput | Constant


class Product(NamedTuple):
    """The product of one or more factors."""

    factors: tuple[EquationFactor, ...]


class DotProduct(NamedTuple):
    """The product of a row and a column of a kernel: a sum with one term per entry of the row.

    row: `inputs`, or a part of the state before this step, such as `hidden`.
    gate: the gate whose columns of `kernel` are used.
    by: a gate that each entry of the row is first multiplied by.
    """

    row: str
    kernel: str
    gate: str = ""
    by: str = ""


class Bias(NamedTuple):
    """An entry of the bias.  gate: the gate it belongs to.  line: its row, if the bias has two."""

    gate: str = ""
    line: int | None = None


class Sum(NamedTuple):
    """function(sum of the terms).  function: the option that names it; "" for no function."""

    terms: tuple[Product | DotProduct | Bias, ...]
    function: str = ""


def times(*factors: EquationFactor) -> Product:
    """Return the product of these factors."""
    return Product(factors)


def affine(gate: str, biased: bool) -> tuple[DotProduct | Bias, ...]:
    """Return the terms of x W + h U + b for one gate; biased: include b."""
    products = (DotProduct("inputs", "kernel", gate), DotProduct("hidden", "recurrent_kernel", gate))
    return (*products, Bias(gate)) if biased else products
