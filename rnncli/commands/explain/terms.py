"""Break one number of a result down: the equations of its layers, with the numbers of a trace."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from rnncli import addresses
from rnncli.case import Array, Case, Shape
from rnncli.commands.explain import explanation, locate
from rnncli.commands.explain.explanation import Equation, Explanation, Factor, Note, Others, Target, Term
from rnncli.commands.explain.locate import RETURNED, CaseTrace, Inner, Node, OutputEntry
from rnncli.compute import checks
from rnncli.compute import trace as tracing
from rnncli.layers import Before, Bias, Constant, Entry, Fan, LayerInput, Now, Product, activations
from rnncli.layers.stack import Stack
from rnncli.result import Result, TensorInfo


class FactorLink(NamedTuple):
    """A factor and what it refers to.  further: whether that is a step back or a layer down."""

    factor: Factor
    node: Node | None = None
    further: bool = False


IDENTITY = (None, "linear")
"""Activations that are not shown."""

FactorLinks = tuple[FactorLink, ...]
"""Links of a product, or of a whole equation."""


def explain_number(
    case: Case, result: Result, target: Target, depth: int = 1, terms: int | None = None
) -> Explanation:
    """Explain how `target` was computed.

    result: the trace of tracing.with_all_outputs(case), with every layer's tensors.  depth: 1 stops at
    the states before and at the layer below; each further level follows the listed ones once more.
    terms: how many terms of a sum to list, None for all.
    """
    source = CaseTrace(case, result)
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
    equations = tuple(_drop_dead_links(equation, found) for equation in found.values())
    return Explanation(target, value, result.input_dtype, _equal(case, result, target), equations)


def _drop_dead_links(equation: Equation, found: dict[str, Equation]) -> Equation:
    """Remove references to equations that are not in `found`."""

    def kept(factor: Factor) -> Factor:
        return factor if factor.explained in found else replace(factor, explained="")

    terms = tuple(replace(term, factors=tuple(map(kept, term.factors))) for term in equation.terms)
    return replace(equation, terms=terms)


def _equation(source: CaseTrace, node: Node, most: int | None) -> tuple[Equation, list[FactorLink]]:
    """Return the equation of one number, and the links of its listed terms."""
    name = node.name if isinstance(node, Inner) else source.key(node)
    value = source.value(node)
    bare = Equation(source.key(node), name, source.place(node), value, value)
    unusual = _note_mask(source, node, value)
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
        bare = replace(bare, total=float(totals[place]), function=_name_activation(function),
                       rounding=value - float(applied[place]))  # fmt: skip
    return _with_terms(replace(bare, symbols=symbols), products, most, source)


def _with_terms(
    equation: Equation, products: list[FactorLinks], most: int | None, source: CaseTrace
) -> tuple[Equation, list[FactorLink]]:
    """Add the products as terms, and their difference from the total."""
    valued = [(_multiply(links), links) for links in products]
    listed, left = valued[:most], valued[len(valued[:most]) :]
    others = Others(len(left), sum(value for value, _ in left)) if left else None
    total = sum(value for value, _ in valued)
    terms = tuple(Term(value, tuple(_factor(link, source) for link in links)) for value, links in listed)
    remainder = equation.total - total if valued else 0.0
    made = replace(equation, terms=terms, others=others, remainder=remainder)
    return made, [link for _, links in listed for link in links]


def _multiply(links: FactorLinks) -> float:
    return prod(link.factor.value for link in links)


def _size(links: FactorLinks) -> tuple[bool, float]:
    """Sort key: non-finite products first, since they make the sum non-finite, then the largest."""
    value = _multiply(links)
    return value == value, -abs(value)


def _factor(link: FactorLink, source: CaseTrace) -> Factor:
    if link.node is None:
        return link.factor
    return replace(link.factor, explained=source.key(source.settled(link.node)))


def _totals(source: CaseTrace, node: Node, gate: str) -> Array:
    """Return the arguments of the function for all units, since softmax needs them together."""
    if isinstance(node, Inner):
        return source.row(node._replace(name=node.cell + gate), "preactivation")
    weights = source.weights_of(node)
    total: Array = source.inputs(node.layer)[node.indices[:-1]] @ weights["kernel"]
    return total + weights["bias"] if "bias" in weights else total


def _name_activation(function: Any) -> str:
    """Return the name of an activation."""
    return str(function) if isinstance(function, str) else str(getattr(function, "class_name", function))


def _note_mask(source: CaseTrace, node: Node, value: float) -> tuple[Note, FactorLinks] | None:
    """Return the note on a number that was not computed because of the mask; None for any other."""
    if isinstance(node, OutputEntry):
        return _note_masking(source, node, value)
    if source.status(node) == "computed":
        return None
    if node.name != RETURNED and node.name not in source.loop(node).states:
        return None  # a gate is computed at a masked step too, but not used
    if node.name == RETURNED and source.status(node) == "zeroed":
        return Note("zeroed"), ()
    name = source.output_of(node) if node.name == RETURNED else node.name
    places = (node._replace(position=place, name=name) for place in reversed(range(node.position)))
    earlier = next((place for place in places if source.status(place) == "computed"), None)
    if earlier is not None:
        timestep = source.timestep(earlier)
        said = f"{name.removeprefix(node.cell)} at t={timestep}"
        return Note("held", timestep), (FactorLink(Factor(said, source.value(earlier)), earlier),)
    if node.name == RETURNED:
        return Note("silent"), ()
    start = source.before(node._replace(position=0), name, node.unit)
    return Note("start"), (FactorLink(Factor(f"{name.removeprefix(node.cell)} at start", start)),)


def _note_masking(source: CaseTrace, node: OutputEntry, value: float) -> tuple[Note, FactorLinks] | None:
    """Same for Masking: an input that was not passed on."""
    said, _ = source.equation(node)
    if said.terms != (Product((LayerInput(),)),):
        return None
    given = float(source.inputs(node.layer)[node.indices])
    return (Note("masked"), ()) if given != value and value == 0 else None


class _Spread:
    """Terms of an equation as products of numbers, for one node."""

    def __init__(self, source: CaseTrace, node: Node) -> None:
        self.source, self.node = source, node
        self.weights = source.weights_of(node)
        self.maker = source.maker(node)

    def term(self, term: Product | Fan | Bias) -> Iterator[FactorLinks]:
        """Yield the product; for a fan, one product per entry of its row."""
        match term:
            case Product():
                yield tuple(self._single(factor) for factor in term.factors)
            case Fan():
                yield from self._fan(term)
            case Bias(gate, line):
                place = (self._column(gate),) if line is None else (line, self._column(gate))
                yield (FactorLink(Factor(f"bias{list(place)}", float(self.weights["bias"][place]))),)

    def symbol(self, term: Product | Fan | Bias) -> str:
        """Return the term in textbook notation."""
        match term:
            case Product():
                return " · ".join(_symbol(factor, self._single(factor)) for factor in term.factors)
            case Fan():
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
                name = f"{factor.direction} {factor.part or 'output'}"
                return FactorLink(Factor(name, source.value(inner)), inner)
        assert isinstance(node, Inner)
        if isinstance(factor, Before):
            return self._before(factor.name, node.unit, f"{factor.name} {{}}")
        return self._now(node, factor)

    def _now(self, node: Inner, factor: Now) -> FactorLink:
        other = node._replace(name=node.cell + factor.name)
        value, name = self.source.value(other), factor.name.removeprefix("candidate.")
        if factor.complement:
            value, name = 1 - value, f"(1 - {name})"
        function = self.maker.config[factor.function] if factor.function else None
        if function not in IDENTITY:
            row = self.source.row(other).astype("float64")
            value = float(activations.get(function)(row[None])[0, node.unit])
            name = f"{_name_activation(function)}({name})"
        return FactorLink(Factor(name, value), other)

    def _before(self, part: str, unit: int, name: str) -> FactorLink:
        """name: `hidden 1 {}`, where {} is replaced with the time."""
        node = self.node
        assert isinstance(node, Inner)
        full = node.cell + part
        value = self.source.before(node, full, unit)
        if node.position == 0:
            return FactorLink(Factor(name.format("at start"), value))
        earlier = node._replace(position=node.position - 1, name=full, unit=unit)
        return FactorLink(Factor(name.format("before"), value), earlier, further=True)

    def _fan(self, fan: Fan) -> Iterator[FactorLinks]:
        kernel, column, mask = self.weights[fan.kernel], self._column(fan.gate), self._mask(fan)
        for place in range(len(kernel)):
            links = [self._times(fan.by, place)] if fan.by else []
            links.append(self._entry(fan.row, place))
            if mask is not None:
                links.append(FactorLink(Factor("dropout", float(mask[place]))))
            weight = Factor(f"{fan.kernel}{[place, column]}", float(kernel[place, column]))
            yield (*links, FactorLink(weight))

    def _times(self, gate: str, unit: int) -> FactorLink:
        assert isinstance(self.node, Inner)
        other = self.node._replace(name=self.node.cell + gate, unit=unit)
        return FactorLink(Factor(f"{gate} {unit}", self.source.value(other)), other)

    def _entry(self, row: str, place: int) -> FactorLink:
        """Return one entry of the row that a kernel is multiplied by."""
        node = self.node
        if row != "inputs":
            return self._before(row, place, f"{row} {place} {{}}")
        if isinstance(node, OutputEntry):
            return self._input((*node.indices[:-1], place))
        if node.cell_key not in ("", "0"):
            below = int(node.cell_key) - 1
            other = node._replace(name=f"cell_{below}/hidden", unit=place)
            return FactorLink(
                Factor(f"cell {below} hidden {place}", self.source.value(other)), other, further=True
            )
        return self._input((node.batch, self.source.timestep(node), place))

    def _input(self, index: tuple[int, ...]) -> FactorLink:
        """Return an entry of the layer's input: a feature, or an output of the layer below."""
        layer, names = self.node.layer, self.source.case.feature_names
        value = float(self.source.inputs(layer)[index])
        if layer:
            base = str(self.source.below(layer).label)
            node = OutputEntry(layer - 1, base, index)
            return FactorLink(Factor(f"layer {layer - 1} {base}{list(index)}", value), node, further=True)
        place = index[-1]
        return FactorLink(Factor(names[place] if place < len(names) else f"feature {place}", value))

    def _column(self, gate: str) -> int:
        """Return the index of the gate's column for this unit in a kernel."""
        unit = self.source.place(self.node).unit
        return int(self.maker.gates.index(gate) * self.maker.units + unit) if gate else unit

    def _mask(self, fan: Fan) -> Array | None:
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
    return link.factor.name if not isinstance(factor, Before) else f"{factor.name} before"


def _equal(case: Case, result: Result, target: Target) -> tuple[str, ...]:
    """Return the returned entries that hold the same number, according to the layers' claims."""
    stack = case.stack
    last = stack.prefix(len(stack.layers) - 1)
    asked = {info.name for info in stack.outputs(case.inputs.shape)}
    own = target.name in {info.name for info in result.stack.outputs(case.inputs.shape)}
    prefix = last if own else ""
    names = {last + name for name in asked} | {
        info.name for info in stack.outputs(case.inputs.shape, all_layers=True)
    }
    found: list[str] = []
    for tensor in result.outputs:
        for claim in tensor.equals:
            address = addresses.parse(claim)
            other, window = str(address.label), address.numpy_index
            shape = next(one.values.shape for one in result.outputs if one.name == other)
            if tensor.name == prefix + target.name and other in names:
                found.append(f"{other.removeprefix(prefix)}{_outwards(target.indices, window, shape)}")
            elif other == prefix + target.name and tensor.name in names:
                inner = _inwards(target.indices, window, tensor.values.shape, shape)
                found += [f"{tensor.name.removeprefix(prefix)}{list(inner)}"] if inner is not None else []
    return tuple(found)


def _outwards(index: tuple[int, ...], window: tuple[Any, ...], shape: tuple[int, ...]) -> list[int]:
    """Convert `index` in a `window`, such as `[:, -1, 3:]`, to an index in the whole tensor."""
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
    """Convert an index in the whole tensor to one in the window; None if it is outside."""
    import numpy as np

    places = (tuple(place) for place in np.ndindex(*inner))
    return next((place for place in places if tuple(_outwards(place, window, shape)) == index), None)


def explain(case: Case, text: str, depth: int = 1, terms: int | None = None) -> tuple[Explanation, Result]:
    """Return where the number named by `text` comes from, and the trace it was read from.

    See `explained`.  Raises UsageError if `text` does not name a single number.
    """
    wide = _with_sequences(tracing.with_all_outputs(case), text)
    checks.refuse_the_impossible(wide)
    stack, shape = wide.stack, wide.inputs.shape
    infos = locate.infos(stack, shape)
    target = explanation.target(text, (*infos, *_gates(text, stack, shape, {info.name for info in infos})))
    result = tracing.trace(wide)
    found = explain_number(case, result, target, depth, terms)
    return found, replace(result, stack=case.stack)


def _with_sequences(case: Case, text: str) -> Case:
    """Let the last layer return its sequence if the number requires it; its other numbers do not change."""
    address = _address(text)
    if address is None or not address.label.sequence or not case.stack.layers[-1].recurrent:
        return case
    return replace(case, stack=case.stack.with_returns(return_sequences=True))


def _gates(text: str, stack: Stack, shape: Shape, known: set[str]) -> tuple[TensorInfo, ...]:
    """Return the requested gate, with or without a time axis, depending on the index."""
    address = _address(text)
    part = address and locate.parts(stack).get(str(address.label))
    if not address or not part or str(address.label) in known:
        return ()
    if len(address.texts) == 2:
        return (TensorInfo(address.label, ("batch", "units"), (shape[0], part.units)),)
    return (TensorInfo(address.label, ("batch", "timesteps", "units"), (*shape[:2], part.units)),)


def _address(text: str) -> addresses.Address | None:
    """Parse `text`; None if it is not an address, which `explanation.target` reports."""
    try:
        return addresses.parse(text)
    except ValueError:
        return None


def example(stack: Stack) -> str:
    """Return a number that `explain` accepts for any sizes: `last_cell_state[0,0]`."""
    last = stack.layers[-1]
    if not last.recurrent or last.input_rank != 3:
        return "last_cell_state[0,0]"
    info = last.states((1, 1, 1))[-1]
    return f"{info.name}[{','.join('0' for _ in info.axes)}]"
