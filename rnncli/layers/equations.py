"""The equation of a number that a layer returns, by which it is explained."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from rnncli.cells.tree import Name, Node
from rnncli.result import Label


class Entry(NamedTuple):
    """A number computed by a loop over time.

    direction: which loop of a Bidirectional, else "".  position: the step, in processing order.
    part: the part of the state after that step, or OUTPUT.
    """

    direction: str
    position: int
    part: Label
    unit: int


class LayerEquation(NamedTuple):
    """node: with the names of weights, of `entries`, and `x`, the layer's input at the number's own index."""

    node: Node
    entries: Mapping[str, Entry] = MappingProxyType({})


INPUT = LayerEquation(Name("x"))
"""The layer returns its input."""
