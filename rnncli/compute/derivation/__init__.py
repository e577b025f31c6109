"""Derive one number of a result: the equations that computed it, with the numbers of a trace."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod
from typing import Any

from rnncli import addresses
from rnncli.case import Array, Case, Shape
from rnncli.cells import activations
from rnncli.compute import trace as tracing
from rnncli.compute.derivation.explanation import (
    Equation,
    Explanation,
    Factor,
    Note,
    OtherTerms,
    Target,
    Term,
    parse_target,
)
from rnncli.compute.derivation.locate import CaseTrace, Inner, OutputEntry, TraceNode
from rnncli.errors import Message
from rnncli.layers.equations import Bias, Constant, DotProduct, Entry, LayerInput, Previous, Product
from rnncli.layers.stack import Stack
from rnncli.result import OUTPUT, Claim, Label, Result, TensorInfo

IDENTITY = "linear"
"""The activation that is not shown."""


def explain(
    case: Case, text: str, depth: int = 1, terms: int | None = None, layer: str = ""
) -> tuple[Explanation, Result]:
    """Return where the number named by `text` comes from, and the trace it was read from.

    See `explain_number`.  layer: see addresses.find_tensor.
    Raises UsageError if `text` does not name a single number.
    """
    try:
        address = addresses.parse(text)
    except ValueError:  # parse_target says what is wrong
        address = None
    wide = tracing.with_all_outputs(case)
    # With the sequence, if the number is in it; no other number changes.
    if address is not None and address.label.sequence and Stack(case.specs).layers[-1].recurrent:
        wide = wide._replace(specs=Stack(wide.specs).with_returns(return_sequences=True))
    infos = list_tensors(Stack(wide.specs), wide.inputs.shape)
    if address is not None and str(address.label) not in {info.name for info in infos}:
        infos = (*infos, *_list_gates(address, wide))
    target = parse_target(text, infos, layer)
    result = tracing.trace(wide)
    found = explain_number(case, result, target, depth, terms)
    if case.hold:
        free = wide._replace(hold=())
        source = CaseTrace(free, tracing.trace(free))
        found = replace(found, without_hold=source.value(source.node(target)))
    return found, replace(result, specs=case.specs)


def list_tensors(stack: Stack, input_shape: Shape) -> tuple[TensorInfo, ...]:
    """Return the tensors a user may name: the last layer's, then every layer's with its number."""
    both = (*stack.outputs(input_shape), *stack.outputs(input_shape, all_layers=True))
    return tuple(dict.fromkeys(both))


def _list_gates(address: addresses.Address, case: Case) -> Iterator[TensorInfo]:
    """Yield the gate or state that is named, with or without a time axis, depending on the index."""
    part = tracing.list_loop_parts(Stack(case.specs)).get(address.label)
    if part is not None:
        batch, steps = case.inputs.shape[:2]
        if len(address.texts) == 2:
            yield TensorInfo(address.label, ("batch", "units"), (batch, part.units))
        else:
            yield TensorInfo(address.label, ("batch", "timesteps", "units"), (batch, steps, part.units))


def example(stack: Stack) -> str:
    """Return a number that `explain` accepts for any sizes: `last_cell_state[0,0]`."""
    last, shape = stack.layers[-1], (1,) * stack.input_rank
    info = last.states(shape)[-1] if last.recurrent else stack.outputs(shape)[0]
    return f"{info.name}[{','.join('0' for _ in info.axes)}]"


def explain_number(
    case: Case, result: Result, target: Target, depth: int = 1, terms: int | None = None
) -> Explanation:
    """Explain how `target` was computed.

    result: the trace of tracing.with_all_outputs(case), with every layer's tensors.  depth: 1 stops at
    the previous states and at the layer below; each further level follows the listed ones once more.
    terms: how many terms of a sum to list, None for all.
    """
    source = CaseTrace(case, result)
    found: dict[str, Equation] = {}
    level: list[TraceNode] = [source.node(target)]
    while level and depth:
        queue, level, depth = deque(level), [], depth - 1
        while queue:
            node = source.follow_copies(queue.popleft())
            key = source.key(node)
            if key in found:
                continue
            found[key] = _equation(source, node, terms)
            for factor in (factor for term in found[key].terms for factor in term.factors):
                if factor.node is not None:
                    (level if factor.further else queue).append(factor.node)

    def link(factor: Factor) -> Factor:
        """Name the equation of the factor, if it was followed so far."""
        key = "" if factor.node is None else source.key(source.follow_copies(factor.node))
        return factor._replace(explained=key) if key in found else factor

    equations = [
        equation._replace(
            terms=tuple(Term(value, tuple(map(link, factors))) for value, factors in equation.terms)
        )
        for equation in found.values()
    ]
    value, equals = source.value(source.node(target)), equal_entries(case, result, target)
    return Explanation(target, value, result.input_dtype, equals, tuple(equations))


def _equation(source: CaseTrace, node: TraceNode, most: int | None) -> Equation:
    """Return the equation of one number, with the `most` largest terms."""
    key, value = source.key(node), source.value(node)
    name = node.label.dotted if isinstance(node, Inner) else key
    bare = Equation(key, name, source.place(node), value, value)
    unusual = _note_mask(source, node, value)
    if unusual is not None:
        note, instead = unusual
        return _with_terms(bare._replace(note=note), [_product(instead)] if instead else [], most)
    equation, computed = source.equation(node)
    if isinstance(computed, Inner):
        held = source.loop(computed).hold_masks.get(computed.part)
        if held is not None and held[computed.position, computed.unit]:
            return bare._replace(is_held=True)
    spread = _Spread(source, node)
    symbols, products = zip(*map(spread.term, equation.terms), strict=True)
    terms = [term for together in products for term in together]
    if any(isinstance(term, DotProduct) for term in equation.terms):
        # Non-finite products come first, since they make the sum non-finite; then the largest.
        terms.sort(key=lambda term: (term.value == term.value, -abs(term.value)))
    function = source.maker(node).config[equation.function] if equation.function else IDENTITY
    if function != IDENTITY:
        totals, unit = _totals(source, computed), bare.place.unit
        applied = activations.get(function)(totals.astype("float64")[None])[0]
        bare = bare._replace(
            total=float(totals[unit]), function=function, rounding=value - float(applied[unit])
        )
    return _with_terms(bare._replace(symbols=symbols), terms, most)


def _with_terms(equation: Equation, terms: list[Term], most: int | None) -> Equation:
    """Add the terms, and their difference from the total."""
    listed = terms[:most]
    left = terms[len(listed) :]
    others = OtherTerms(len(left), sum(term.value for term in left)) if left else None
    remainder = equation.total - sum(term.value for term in terms) if terms else 0.0
    return equation._replace(terms=tuple(listed), others=others, remainder=remainder)


def _product(*factors: Factor) -> Term:
    return Term(prod(factor.value for factor in factors), factors)


def _totals(source: CaseTrace, node: TraceNode) -> Array:
    """Return the arguments of the function for all units, since softmax needs them together."""
    if isinstance(node, Inner):
        return source.row(node._replace(part=node.part._replace(kind="preactivation")))
    weights = source.weights_of(node)
    total: Array = source.inputs(node.layer)[node.indices[:-1]] @ weights["kernel"]
    return total + weights["bias"] if "bias" in weights else total


def _note_mask(source: CaseTrace, node: TraceNode, value: float) -> tuple[Note, Factor | None] | None:
    """Return the note on a number that was not computed because of the mask, and the number in its place.

    None for any other number.
    """
    if isinstance(node, OutputEntry):
        if source.equation(node)[0].terms != (Product((LayerInput(),)),) or value != 0:
            return None
        given = float(source.inputs(node.layer)[node.indices])
        return (Note("masked"), None) if given != value else None
    if source.status(node) == "computed" or node.part.kind:
        return None  # a gate is computed at a masked step too, but not used
    is_output = node.part == OUTPUT
    if is_output and source.status(node) == "zeroed":
        return Note("zeroed"), None
    part = source.output_of(node) if is_output else node.part
    places = (node._replace(position=place, part=part) for place in reversed(range(node.position)))
    earlier = next((place for place in places if source.status(place) == "computed"), None)
    state = part.part
    if earlier is not None:
        timestep = source.timestep(earlier)
        shown = Message("{state} at t={timestep}", state=state, timestep=timestep)
        return Note("held", timestep), Factor(
            f"{state} at t={timestep}", source.value(earlier), shown, node=earlier
        )
    if is_output:
        return Note("silent"), None
    start = source.state_before(node._replace(position=0))
    return Note("start"), Factor(f"{state} at start", start, Message("{state} at start", state=state))


class _Spread:
    """The terms of the equation of one node as products of numbers that say where they come from."""

    def __init__(self, source: CaseTrace, node: Any) -> None:
        self.source, self.node = source, node
        self.weights, self.maker = source.weights_of(node), source.maker(node)

    def term(self, term: Product | DotProduct | Bias) -> tuple[str, list[Term]]:
        """Return a term in textbook notation, and its product; of a row, one product per entry."""
        match term:
            case Product(factors):
                found = tuple(map(self._factor, factors))
                symbols = (  # a state is `before` even at the first step
                    f"{own.name} before" if isinstance(own, Previous) else factor.name
                    for own, factor in zip(factors, found, strict=True)
                )
                return " · ".join(symbols), [_product(*found)]
            case Bias(gate, line):
                place = (self._column(gate),) if line is None else (line, self._column(gate))
                factor = Factor(f"bias{list(place)}", float(self.weights["bias"][place]))
                return "b" if line is None else f"b[{line}]", [_product(factor)]
        mask = self._dropout(term)
        row, kernel = ("x", "W") if term.row == "inputs" else ("h", "U")
        parts = [part for part in (term.by, row, "" if mask is None else "dropout") if part]
        symbol = f"({' · '.join(parts)}) {kernel}" if len(parts) > 1 else f"{row} {kernel}"
        return symbol, [_product(*factors) for factors in self._entries(term, mask)]

    def _factor(self, factor: Any) -> Factor:
        source, node = self.source, self.node
        match factor:
            case Constant(value):
                return Factor(f"{value:g}", value)
            case LayerInput():
                return self._input(node.indices)
            case Entry():
                inner = source.at(node, factor)
                return Factor(f"{factor.direction} {factor.part}", source.value(inner), node=inner)
            case Previous(name):
                return self._previous(name, node.unit, name)
        other = source.beside(node, factor.name, factor.kind)
        value, name = source.value(other), factor.kind or factor.name
        if factor.complement:
            value, name = 1 - value, f"(1 - {name})"
        function = self.maker.config[factor.function] if factor.function else IDENTITY
        if function != IDENTITY:
            row = source.row(other).astype("float64")
            value = float(activations.get(function)(row[None])[0, node.unit])
            name = f"{function}({name})"
        return Factor(name, value, node=other)

    def _previous(self, part: str, unit: int, name: str) -> Factor:
        """Return the state before this step.  name: `hidden`, or `hidden 1` for one unit of several."""
        own = self.source.beside(self.node, part)._replace(unit=unit)
        value = self.source.state_before(own)
        if own.position == 0:
            return Factor(f"{name} at start", value, Message("{state} at start", state=name))
        before = own._replace(position=own.position - 1)
        return Factor(
            f"{name} before", value, Message("previous {state}", state=name), node=before, further=True
        )

    def _entries(self, term: DotProduct, mask: Array | None) -> Iterator[list[Factor]]:
        """Yield the factors of each entry of the row: a gate, the entry, dropout and the weight."""
        kernel, column = self.weights[term.kernel], self._column(term.gate)
        for place in range(len(kernel)):
            factors = []
            if term.by:
                gate = self.source.beside(self.node, term.by)._replace(unit=place)
                factors.append(Factor(f"{term.by} {place}", self.source.value(gate), node=gate))
            factors.append(self._entry(term.row, place))
            if mask is not None:
                factors.append(Factor("dropout", float(mask[place])))
            name = f"{term.kernel}{[place, column]}"
            yield [*factors, Factor(name, float(kernel[place, column]), is_weight=True)]

    def _entry(self, row: str, place: int) -> Factor:
        """Return one entry of the row that a kernel is multiplied by."""
        source, node = self.source, self.node
        if row != "inputs":
            return self._previous(row, place, f"{row} {place}")
        if isinstance(node, OutputEntry):
            return self._input((*node.indices[:-1], place))
        if not node.part.cell:
            return self._input((node.batch, source.timestep(node), place))
        below = node.part.cell - 1
        other = node._replace(part=Label("hidden", cell=below, kind=""), unit=place)
        return Factor(f"cell {below} hidden {place}", source.value(other), node=other, further=True)

    def _input(self, index: tuple[int, ...]) -> Factor:
        """Return an entry of the layer's input: a feature, or an output of the layer below."""
        layer, names, place = self.node.layer, self.source.case.feature_names, index[-1]
        value = float(self.source.inputs(layer)[index])
        if layer:
            label = self.source.input_label(layer)
            node = OutputEntry(layer - 1, label, index)
            return Factor(f"layer {layer - 1} {label}{list(index)}", value, node=node, further=True)
        if place < len(names):
            return Factor(names[place], value)
        return Factor(f"feature {place}", value, Message("feature {index}", index=place))

    def _column(self, gate: str) -> int:
        """Return the index of the gate's column for this unit in a kernel."""
        unit = self.source.place(self.node).unit
        return int(self.maker.gates.index(gate) * self.maker.units + unit) if gate else unit

    def _dropout(self, term: DotProduct) -> Array | None:
        """Return the dropout mask of the row, (n,); None if nothing is dropped."""
        node = self.node
        if not isinstance(node, Inner):
            return None
        dropout = self.source.loop(node).dropout
        dropout = dropout if node.part.cell is None else dropout[str(node.part.cell)]
        masks: tuple[Array, ...] = dropout.inputs if term.row == "inputs" else dropout.recurrent
        if not masks:
            return None
        own = masks[self.maker.gates.index(term.gate)] if len(masks) > 1 else masks[0]
        found: Array = own[node.batch]
        return found


def equal_entries(case: Case, result: Result, target: Target) -> tuple[Claim, ...]:
    """Return the returned entries that hold the same number, according to the layers' claims."""
    stack, shape = Stack(case.specs), case.inputs.shape
    last = len(stack.layers) - 1
    is_returned = target.label in {info.label for info in Stack(result.specs).outputs(shape)}
    own = stack.label(last, target.label) if is_returned else target.label
    known = {stack.label(last, info.label) for info in stack.outputs(shape)}
    known |= {info.label for info in stack.outputs(shape, all_layers=True)}
    shapes = {tensor.label: tensor.values.shape for tensor in result.outputs}
    found: list[Claim] = []
    for tensor in result.outputs:
        for other, window in tensor.equals:
            if tensor.label == own and other in known:
                left = iter(target.indices)
                index = [axis[next(left)] if kept else axis[0] for axis, kept in _axes(window, shapes[other])]
                found.append(Claim(other, tuple(index)))
            elif other == own and tensor.label in known:
                pairs = list(zip(target.indices, _axes(window, shapes[other]), strict=True))
                if all(place in axis for place, (axis, _) in pairs):
                    inner = tuple(axis.index(place) for place, (axis, kept) in pairs if kept)
                    found.append(Claim(tensor.label, inner))
    return tuple(
        claim.with_place(layer=None) if is_returned and claim.label.layer == last else claim
        for claim in found
    )


def _axes(window: Iterable[int | slice], shape: tuple[int, ...]) -> list[tuple[range, bool]]:
    """Return the indices of each axis in a window such as `[:, -1, 3:]`, and whether it keeps the axis."""
    parts = tuple(window) or (slice(None),) * len(shape)
    slices = [part if isinstance(part, slice) else slice(part, part + 1 or None) for part in parts]
    return [
        (range(size)[places], places is part) for places, part, size in zip(slices, parts, shape, strict=True)
    ]
