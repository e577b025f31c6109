"""The terms of one equation, as products of numbers that say where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.compute.derivation.explanation import Factor
from rnncli.compute.derivation.locate import CaseTrace, Inner, OutputEntry, TraceNode
from rnncli.layers import (
    Bias,
    Constant,
    Current,
    DotProduct,
    Entry,
    LayerInput,
    Previous,
    Product,
    activations,
)
from rnncli.result import Label


class FactorLink(NamedTuple):
    """A factor and what it refers to.  further: whether that is a step back or a layer down."""

    factor: Factor
    node: TraceNode | None = None
    further: bool = False


IDENTITY = "linear"
"""The activation that is not shown."""

FactorLinks = tuple[FactorLink, ...]
"""Links of a product, or of a whole equation."""


class Products:
    """Terms of an equation as products of numbers, for one node."""

    def __init__(self, source: CaseTrace, node: TraceNode) -> None:
        self.source, self.node = source, node
        self.weights = source.weights_of(node)
        self.maker = source.maker(node)

    def term(self, term: Product | DotProduct | Bias) -> Iterator[FactorLinks]:
        """Yield the product; for a fan, one product per entry of its row."""
        match term:
            case Product():
                yield tuple(self._single(factor) for factor in term.factors)
            case DotProduct():
                yield from self._fan(term)
            case Bias(gate, line):
                place = (self._column(gate),) if line is None else (line, self._column(gate))
                yield (FactorLink(Factor(f"bias{list(place)}", float(self.weights["bias"][place]))),)

    def symbol(self, term: Product | DotProduct | Bias) -> str:
        """Return the term in textbook notation."""
        match term:
            case Product():
                return " · ".join(_symbol(factor, self._single(factor)) for factor in term.factors)
            case DotProduct():
                row, kernel = ("x", "W") if term.row == "inputs" else ("h", "U")
                masked = "dropout" if self._mask(term) is not None else ""
                parts = [part for part in (term.by, row, masked) if part]
                return f"({' · '.join(parts)}) {kernel}" if len(parts) > 1 else f"{row} {kernel}"
        return "b" if term.line is None else f"b[{term.line}]"

    def _single(self, factor: Any) -> FactorLink:
        source, node = self.source, self.node
        match factor:
            case Constant(value):
                return FactorLink(Factor(f"{value:g}", value))
            case LayerInput():
                assert isinstance(node, OutputEntry)
                return self._input(node.indices)
            case Entry():
                assert isinstance(node, OutputEntry)
                inner = source.at(node, factor)
                name = f"{factor.direction} {factor.part}"
                return FactorLink(Factor(name, source.value(inner)), inner)
        assert isinstance(node, Inner)
        if isinstance(factor, Previous):
            return self._previous(factor.name, node.unit, factor.name)
        return self._current(node, factor)

    def _current(self, node: Inner, factor: Current) -> FactorLink:
        other = self.source.beside(node, factor.name, factor.kind)
        value, name = self.source.value(other), factor.kind or factor.name
        if factor.complement:
            value, name = 1 - value, f"(1 - {name})"
        function = self.maker.config[factor.function] if factor.function else IDENTITY
        if function != IDENTITY:
            row = self.source.row(other).astype("float64")
            value = float(activations.get(function)(row[None])[0, node.unit])
            name = f"{function}({name})"
        return FactorLink(Factor(name, value), other)

    def _previous(self, part: str, unit: int, name: str) -> FactorLink:
        """Return the state before this step.  name: `hidden`, or `hidden 1` for one unit of several."""
        node = self.node
        assert isinstance(node, Inner)
        own = self.source.beside(node, part)._replace(unit=unit)
        value = self.source.state_before(own)
        if node.position == 0:
            return FactorLink(Factor(f"{name} at start", value, words=("start state", name)))
        factor = Factor(f"{name} before", value, words=("state before", name))
        return FactorLink(factor, own._replace(position=node.position - 1), further=True)

    def _fan(self, fan: DotProduct) -> Iterator[FactorLinks]:
        kernel, column, mask = self.weights[fan.kernel], self._column(fan.gate), self._mask(fan)
        for place in range(len(kernel)):
            links = [self._times(fan.by, place)] if fan.by else []
            links.append(self._entry(fan.row, place))
            if mask is not None:
                links.append(FactorLink(Factor("dropout", float(mask[place]))))
            weight = Factor(f"{fan.kernel}{[place, column]}", float(kernel[place, column]), is_weight=True)
            yield (*links, FactorLink(weight))

    def _times(self, gate: str, unit: int) -> FactorLink:
        assert isinstance(self.node, Inner)
        other = self.source.beside(self.node, gate)._replace(unit=unit)
        return FactorLink(Factor(f"{gate} {unit}", self.source.value(other)), other)

    def _entry(self, row: str, place: int) -> FactorLink:
        """Return one entry of the row that a kernel is multiplied by."""
        node = self.node
        if row != "inputs":
            return self._previous(row, place, f"{row} {place}")
        if isinstance(node, OutputEntry):
            return self._input((*node.indices[:-1], place))
        if node.part.cell:
            below = node.part.cell - 1
            other = node._replace(part=Label("hidden", cell=below, kind=""), unit=place)
            return FactorLink(
                Factor(f"cell {below} hidden {place}", self.source.value(other)), other, further=True
            )
        return self._input((node.batch, self.source.timestep(node), place))

    def _input(self, index: tuple[int, ...]) -> FactorLink:
        """Return an entry of the layer's input: a feature, or an output of the layer below."""
        layer, names = self.node.layer, self.source.case.feature_names
        value = float(self.source.inputs(layer)[index])
        if layer:
            label = self.source.layer_input(layer).label
            node = OutputEntry(layer - 1, label, index)
            return FactorLink(Factor(f"layer {layer - 1} {label}{list(index)}", value), node, further=True)
        place = index[-1]
        if place < len(names):
            return FactorLink(Factor(names[place], value))
        return FactorLink(Factor(f"feature {place}", value, words=("feature", place)))

    def _column(self, gate: str) -> int:
        """Return the index of the gate's column for this unit in a kernel."""
        unit = self.source.place(self.node).unit
        return int(self.maker.gates.index(gate) * self.maker.units + unit) if gate else unit

    def _mask(self, fan: DotProduct) -> Array | None:
        """Return the dropout mask of the fan's row, (n,)."""
        if not isinstance(self.node, Inner):
            return None
        masks = self.source.dropout(self.node, fan.row)
        if not masks:
            return None
        own = masks[self.maker.gates.index(fan.gate)] if len(masks) > 1 else masks[0]
        return own[self.node.batch]  # type: ignore[no-any-return]


def _symbol(factor: Any, link: FactorLink) -> str:
    """Return the symbol of a factor; a state is `before` even at the first step."""
    return link.factor.name if not isinstance(factor, Previous) else f"{factor.name} before"
