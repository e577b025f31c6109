"""One number of a result, taken apart: the equations of its layers, with the numbers of a trace in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli import activations, indexing
from rnncli.case import Case
from rnncli.explanation import Equation, Explanation, Factor, Note, Others, Target, Term
from rnncli.layers._equations import Before, Bias, Constant, Entry, Fan, Given, Now, Product
from rnncli.layers.stack import Stack
from rnncli.located import RETURNED, Inner, Node, Returned, Source

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.result import Result


class Link(NamedTuple):
    """A factor, and what it refers to.  further: whether that lies a step back or a layer down."""

    factor: Factor
    node: Node | None = None
    further: bool = False


IDENTITY = (None, "linear")
"""Activations that need no word."""

Links = tuple[Link, ...]
"""Of a product, or of a whole equation."""


def explained(
    case: Case, result: Result, target: Target, depth: int = 1, terms: int | None = None
) -> Explanation:
    """Where `target` comes from.

    result: the trace of pipeline.witnessed(case), every layer's tensors in it.  depth: 1 stops at the
    states before and at the layer below, each more follows those that are listed once more.
    terms: how many of a sum to list, None for all.
    """
    source = Source(case, result)
    level: list[Node] = [source.node(target)]
    found: dict[str, Equation] = {}
    for _ in range(depth):
        queue, level = deque(level), []
        while queue:
            node = source.settled(queue.popleft())
            if source.key(node) in found:
                continue
            found[source.key(node)], links = _equation(source, node, terms)
            for link in links:
                if link.node is not None:
                    (level if link.further else queue).append(link.node)
    value = source.value(source.node(target))
    equations = tuple(_linked(equation, found) for equation in found.values())
    return Explanation(target, value, result.input_dtype, _equal(case, result, target), equations)


def _linked(equation: Equation, found: dict[str, Equation]) -> Equation:
    """`equation` with references to equations that are there, and to no others."""

    def kept(factor: Factor) -> Factor:
        return factor if factor.explained in found else replace(factor, explained="")

    terms = tuple(replace(term, factors=tuple(map(kept, term.factors))) for term in equation.terms)
    return replace(equation, terms=terms)


def _equation(source: Source, node: Node, most: int | None) -> tuple[Equation, list[Link]]:
    """The equation of one number, and the links of the terms that are listed."""
    name = node.name if isinstance(node, Inner) else source.key(node)
    value = source.value(node)
    bare = Equation(source.key(node), name, source.place(node), value, value)
    unusual = _masked(source, node, value)
    if unusual is not None:
        note, links = unusual
        return _with_terms(replace(bare, note=note), [links] if links else [], most, source)
    said, base = source.equation(node)
    spread = _Spread(source, node)
    products = [links for term in said.terms for links in spread.term(term)]
    if any(isinstance(term, Fan) for term in said.terms):
        products.sort(key=_size)
    symbols = tuple(spread.symbol(term) for term in said.terms)
    function = source.maker(node).config[said.function] if said.function else None
    if function not in IDENTITY:
        totals = _totals(source, node, base)
        applied = activations.get(function)(totals.astype("float64")[None])[0]
        place = bare.place.unit
        bare = replace(bare, total=float(totals[place]), function=_spelled(function),
                       rounding=value - float(applied[place]))  # fmt: skip
    return _with_terms(replace(bare, symbols=symbols), products, most, source)


def _with_terms(
    equation: Equation, products: list[Links], most: int | None, source: Source
) -> tuple[Equation, list[Link]]:
    """The products as terms, and what they lack of the total."""
    valued = [(_multiplied(links), links) for links in products]
    listed, left = valued[:most], valued[len(valued[:most]) :]
    others = Others(len(left), sum(value for value, _ in left)) if left else None
    total = sum(value for value, _ in valued)
    terms = tuple(Term(value, tuple(_factor(link, source) for link in links)) for value, links in listed)
    remainder = equation.total - total if valued else 0.0
    made = replace(equation, terms=terms, others=others, remainder=remainder)
    return made, [link for _, links in listed for link in links]


def _multiplied(links: Links) -> float:
    return prod(link.factor.value for link in links)


def _size(links: Links) -> tuple[bool, float]:
    """The largest product first, but before it what is no number and spoils the sum."""
    value = _multiplied(links)
    return value == value, -abs(value)


def _factor(link: Link, source: Source) -> Factor:
    if link.node is None:
        return link.factor
    return replace(link.factor, explained=source.key(source.settled(link.node)))


def _totals(source: Source, node: Node, gate: str) -> Array:
    """What the function is applied to, of all units: softmax takes them together."""
    if isinstance(node, Inner):
        found: Array = source.step(node).gates[node.cell + gate].preactivation[node.batch]
        return found
    weights = source.weights_of(node)
    total: Array = source.inputs(node.layer)[node.indices[:-1]] @ weights["kernel"]
    return total + weights["bias"] if "bias" in weights else total


def _spelled(function: Any) -> str:
    """The name of an activation."""
    return str(function) if isinstance(function, str) else str(getattr(function, "class_name", function))


def _masked(source: Source, node: Node, value: float) -> tuple[Note, Links] | None:
    """What is to be said of a number that the mask kept from being computed; None for every other one."""
    if isinstance(node, Returned):
        return _blanked(source, node, value)
    if source.status(node) == "computed":
        return None
    if node.name != RETURNED and node.name not in source.step(node).state:
        return None  # a gate is computed at a masked step too, and not used
    if node.name == RETURNED and source.status(node) == "zeroed":
        return Note("zeroed"), ()
    name = source.output_of(node) if node.name == RETURNED else node.name
    places = (node._replace(position=place, name=name) for place in reversed(range(node.position)))
    earlier = next((place for place in places if source.status(place) == "computed"), None)
    if earlier is not None:
        timestep = source.step(earlier).timestep
        said = f"{name.removeprefix(node.cell)} at t={timestep}"
        return Note("held", timestep), (Link(Factor(said, source.value(earlier)), earlier),)
    if node.name == RETURNED:
        return Note("silent"), ()
    start = float(source.steps(node)[0].before[name][node.batch, node.unit])
    return Note("start"), (Link(Factor(f"{name.removeprefix(node.cell)} at start", start)),)


def _blanked(source: Source, node: Returned, value: float) -> tuple[Note, Links] | None:
    """Of Masking: an input that was not handed on."""
    said, _ = source.equation(node)
    if said.terms != (Product((Given(),)),):
        return None
    given = float(source.inputs(node.layer)[node.indices])
    return (Note("masked"), ()) if given != value and value == 0 else None


class _Spread:
    """Terms of an equation as products of numbers, for one node."""

    def __init__(self, source: Source, node: Node) -> None:
        self.source, self.node = source, node
        self.weights = source.weights_of(node)
        self.maker = source.maker(node)

    def term(self, term: Product | Fan | Bias) -> Iterator[Links]:
        """One product, or of a fan as many as its row is long."""
        match term:
            case Product():
                yield tuple(self._single(factor) for factor in term.factors)
            case Fan():
                yield from self._fan(term)
            case Bias(gate, line):
                place = (self._column(gate),) if line is None else (line, self._column(gate))
                yield (Link(Factor(f"bias{list(place)}", float(self.weights["bias"][place]))),)

    def symbol(self, term: Product | Fan | Bias) -> str:
        """The term as a textbook writes it."""
        match term:
            case Product():
                return " · ".join(_symbol(factor, self._single(factor)) for factor in term.factors)
            case Fan():
                row, kernel = ("x", "W") if term.row == "inputs" else ("h", "U")
                masked = "dropout" if self._mask(term) is not None else ""
                parts = [part for part in (term.by, row, masked) if part]
                return f"({' · '.join(parts)}) {kernel}" if len(parts) > 1 else f"{row} {kernel}"
        return "b" if term.line is None else f"b[{term.line}]"

    def _single(self, factor: Any) -> Link:
        source, node = self.source, self.node
        match factor:
            case Constant(value):
                return Link(Factor(f"{value:g}", value))
            case Given():
                assert isinstance(node, Returned)
                return self._input(node.indices)
            case Entry():
                assert isinstance(node, Returned)
                inner = source.at(node, factor)
                name = f"{factor.direction} {factor.part or 'output'}"
                return Link(Factor(name, source.value(inner)), inner)
        assert isinstance(node, Inner)
        if isinstance(factor, Before):
            return self._before(factor.name, node.unit, f"{factor.name} {{}}")
        return self._now(node, factor)

    def _now(self, node: Inner, factor: Now) -> Link:
        other = node._replace(name=node.cell + factor.name)
        value, name = self.source.value(other), factor.name.removeprefix("candidate.")
        if factor.complement:
            value, name = 1 - value, f"(1 - {name})"
        function = self.maker.config[factor.function] if factor.function else None
        if function not in IDENTITY:
            row = self.source.row(other).astype("float64")
            value = float(activations.get(function)(row[None])[0, node.unit])
            name = f"{_spelled(function)}({name})"
        return Link(Factor(name, value), other)

    def _before(self, part: str, unit: int, name: str) -> Link:
        """name: `hidden 1 {}`, to be filled in with when that was."""
        node = self.node
        assert isinstance(node, Inner)
        full = node.cell + part
        value = float(self.source.step(node).before[full][node.batch, unit])
        if node.position == 0:
            return Link(Factor(name.format("at start"), value))
        earlier = node._replace(position=node.position - 1, name=full, unit=unit)
        return Link(Factor(name.format("before"), value), earlier, further=True)

    def _fan(self, fan: Fan) -> Iterator[Links]:
        kernel, column, mask = self.weights[fan.kernel], self._column(fan.gate), self._mask(fan)
        for place in range(len(kernel)):
            links = [self._times(fan.by, place)] if fan.by else []
            links.append(self._entry(fan.row, place))
            if mask is not None:
                links.append(Link(Factor("dropout", float(mask[place]))))
            weight = Factor(f"{fan.kernel}{[place, column]}", float(kernel[place, column]))
            yield (*links, Link(weight))

    def _times(self, gate: str, unit: int) -> Link:
        assert isinstance(self.node, Inner)
        other = self.node._replace(name=self.node.cell + gate, unit=unit)
        return Link(Factor(f"{gate} {unit}", self.source.value(other)), other)

    def _entry(self, row: str, place: int) -> Link:
        """One entry of the row that a kernel is multiplied by."""
        node = self.node
        if row != "inputs":
            return self._before(row, place, f"{row} {place} {{}}")
        if isinstance(node, Returned):
            return self._input((*node.indices[:-1], place))
        if node.cell_key not in ("", "0"):
            below = int(node.cell_key) - 1
            other = node._replace(name=f"cell_{below}/hidden", unit=place)
            return Link(Factor(f"cell {below} hidden {place}", self.source.value(other)), other, further=True)
        return self._input((node.batch, self.source.step(node).timestep, place))

    def _input(self, index: tuple[int, ...]) -> Link:
        """An entry of what the layer got: a feature, or what the layer below put out."""
        layer, names = self.node.layer, self.source.case.feature_names
        value = float(self.source.inputs(layer)[index])
        if layer:
            prefix, _, base = self.source.below(layer).partition("/")
            node = Returned(layer - 1, base, index)
            return Link(Factor(f"layer {prefix} {base}{list(index)}", value), node, further=True)
        place = index[-1]
        return Link(Factor(names[place] if place < len(names) else f"feature {place}", value))

    def _column(self, gate: str) -> int:
        """Where a gate's column for this unit stands in a kernel."""
        unit = self.source.place(self.node).unit
        return int(self.maker.gates.index(gate) * self.maker.units + unit) if gate else unit

    def _mask(self, fan: Fan) -> Array | None:
        """The dropout mask of the fan's row, (n,)."""
        if not isinstance(self.node, Inner):
            return None
        masks = self.source.dropout(self.node, fan.row)
        if not masks:
            return None
        own = masks[self.maker.gates.index(fan.gate)] if len(masks) > 1 else masks[0]
        return own[self.node.batch]  # type: ignore[no-any-return]


def _symbol(factor: Any, link: Link) -> str:
    """A state is `before` in a symbol even where there is no step before."""
    return link.factor.name if not isinstance(factor, Before) else f"{factor.name} before"


def _equal(case: Case, result: Result, target: Target) -> tuple[str, ...]:
    """The entries of tensors that are returned for `case` and hold the same number, by a layer's claims."""
    stack = Stack(case.layers)
    last = stack.prefix(len(stack.layers) - 1)
    asked = {info.name for info in stack.outputs(case.inputs.shape)}
    own = target.name in {info.name for info in Stack(result.layers).outputs(case.inputs.shape)}
    prefix = last if own else ""
    names = {last + name for name in asked} | {
        info.name for info in stack.outputs(case.inputs.shape, all_layers=True)
    }
    found: list[str] = []
    for tensor in result.outputs:
        for claim in tensor.equals:
            other, window = indexing.parsed(claim)
            shape = next(one.values.shape for one in result.outputs if one.name == other)
            if tensor.name == prefix + target.name and other in names:
                found.append(f"{other.removeprefix(prefix)}{_outwards(target.indices, window, shape)}")
            elif other == prefix + target.name and tensor.name in names:
                inner = _inwards(target.indices, window, tensor.values.shape, shape)
                found += [f"{tensor.name.removeprefix(prefix)}{list(inner)}"] if inner is not None else []
    return tuple(found)


def _outwards(index: tuple[int, ...], window: tuple[Any, ...], shape: tuple[int, ...]) -> list[int]:
    """The place in the whole tensor of `index` in its `window`, `[:, -1, 3:]`."""
    if not window:
        return list(index)
    left = iter(index)
    return [
        part % size if isinstance(part, int) else range(size)[part][next(left)]
        for part, size in zip(window, shape, strict=True)
    ]


def _inwards(
    index: tuple[int, ...], window: tuple[Any, ...], inner: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The other way round; None where the window does not show that place."""
    import numpy as np

    places = (tuple(place) for place in np.ndindex(*inner))
    return next((place for place in places if tuple(_outwards(place, window, shape)) == index), None)
