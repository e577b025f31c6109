"""Break one number of a result down: the equations of its layers, with the numbers of a trace."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import prod

from rnncli import addresses
from rnncli.case import Array, Case, Shape
from rnncli.compute import trace as tracing
from rnncli.compute.derivation import explanation, locate
from rnncli.compute.derivation.equal_entries import equal_entries
from rnncli.compute.derivation.explanation import (
    Equation,
    Explanation,
    Factor,
    Note,
    OtherTerms,
    Target,
    Term,
)
from rnncli.compute.derivation.locate import CaseTrace, Inner, OutputEntry, TraceNode
from rnncli.compute.derivation.products import IDENTITY, FactorLink, FactorLinks, Products
from rnncli.compute.trace import list_loop_parts
from rnncli.layers import DotProduct, LayerInput, Product, activations
from rnncli.result import OUTPUT, Result, TensorInfo
from rnncli.specs.stack import Stack


def explain_number(
    case: Case, result: Result, target: Target, depth: int = 1, terms: int | None = None
) -> Explanation:
    """Explain how `target` was computed.

    result: the trace of tracing.with_all_outputs(case), with every layer's tensors.  depth: 1 stops at
    the previous states and at the layer below; each further level follows the listed ones once more.
    terms: how many terms of a sum to list, None for all.
    """
    source = CaseTrace(case, result)
    level: list[TraceNode] = [source.node(target)]
    found: dict[str, Equation] = {}
    for _ in range(depth):
        if not level:  # nothing is left to explain
            break
        queue, level = deque(level), []
        while queue:
            node = source.follow_copies(queue.popleft())
            if source.key(node) in found:
                continue
            found[source.key(node)], links = _equation(source, node, terms)
            for link in links:
                if link.node is not None:
                    (level if link.further else queue).append(link.node)
    value = source.value(source.node(target))
    equations = tuple(_drop_dead_links(equation, found) for equation in found.values())
    return Explanation(target, value, result.input_dtype, equal_entries(case, result, target), equations)


def _drop_dead_links(equation: Equation, found: dict[str, Equation]) -> Equation:
    """Remove references to equations that are not in `found`."""

    def without_dead_link(factor: Factor) -> Factor:
        return factor if factor.explained in found else replace(factor, explained="")

    terms = tuple(
        replace(term, factors=tuple(map(without_dead_link, term.factors))) for term in equation.terms
    )
    return replace(equation, terms=terms)


def _equation(source: CaseTrace, node: TraceNode, most: int | None) -> tuple[Equation, list[FactorLink]]:
    """Return the equation of one number, and the links of its listed terms."""
    name = node.name if isinstance(node, Inner) else source.key(node)
    value = source.value(node)
    bare = Equation(source.key(node), name, source.place(node), value, value)
    unusual = _note_mask(source, node, value)
    if unusual is not None:
        note, links = unusual
        return _with_terms(replace(bare, note=note), [links] if links else [], most, source)
    equation, computed = source.equation(node)
    if isinstance(computed, Inner) and source.is_held(computed):
        return replace(bare, is_held=True), []
    spread = Products(source, node)
    products = [links for term in equation.terms for links in spread.term(term)]
    if any(isinstance(term, DotProduct) for term in equation.terms):
        products.sort(key=_size)
    symbols = tuple(spread.symbol(term) for term in equation.terms)
    function = source.maker(node).config[equation.function] if equation.function else IDENTITY
    if function != IDENTITY:
        totals = _totals(source, computed)
        applied = activations.get(function)(totals.astype("float64")[None])[0]
        place = bare.place.unit
        bare = replace(bare, total=float(totals[place]), function=function,
                       rounding=value - float(applied[place]))  # fmt: skip
    return _with_terms(replace(bare, symbols=symbols), products, most, source)


def _with_terms(
    equation: Equation, products: list[FactorLinks], most: int | None, source: CaseTrace
) -> tuple[Equation, list[FactorLink]]:
    """Add the products as terms, and their difference from the total."""
    valued = [(_multiply(links), links) for links in products]
    listed, left = valued[:most], valued[len(valued[:most]) :]
    others = OtherTerms(len(left), sum(value for value, _ in left)) if left else None
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
    return replace(link.factor, explained=source.key(source.follow_copies(link.node)))


def _totals(source: CaseTrace, node: TraceNode) -> Array:
    """Return the arguments of the function for all units, since softmax needs them together."""
    if isinstance(node, Inner):
        return source.row(node._replace(part=node.part._replace(kind="preactivation")))
    weights = source.weights_of(node)
    total: Array = source.inputs(node.layer)[node.indices[:-1]] @ weights["kernel"]
    return total + weights["bias"] if "bias" in weights else total


def _note_mask(source: CaseTrace, node: TraceNode, value: float) -> tuple[Note, FactorLinks] | None:
    """Return the note on a number that was not computed because of the mask; None for any other."""
    if isinstance(node, OutputEntry):
        return _note_masking(source, node, value)
    if source.status(node) == "computed":
        return None
    if node.part.kind:
        return None  # a gate is computed at a masked step too, but not used
    if node.part == OUTPUT and source.status(node) == "zeroed":
        return Note("zeroed"), ()
    part = source.output_of(node) if node.part == OUTPUT else node.part
    places = (node._replace(position=place, part=part) for place in reversed(range(node.position)))
    earlier = next((place for place in places if source.status(place) == "computed"), None)
    state = part.part
    if earlier is not None:
        timestep = source.timestep(earlier)
        words = ("state at t", state, timestep)
        factor = Factor(f"{state} at t={timestep}", source.value(earlier), words=words)
        return Note("held", timestep), (FactorLink(factor, earlier),)
    if node.part == OUTPUT:
        return Note("silent"), ()
    start = source.state_before(node._replace(position=0))
    factor = Factor(f"{state} at start", start, words=("start state", state))
    return Note("start"), (FactorLink(factor),)


def _note_masking(source: CaseTrace, node: OutputEntry, value: float) -> tuple[Note, FactorLinks] | None:
    """Same for Masking: an input that was not passed on."""
    equation, _ = source.equation(node)
    if equation.terms != (Product((LayerInput(),)),):
        return None
    given = float(source.inputs(node.layer)[node.indices])
    return (Note("masked"), ()) if given != value and value == 0 else None


def explain(
    case: Case, text: str, depth: int = 1, terms: int | None = None, layer: str = ""
) -> tuple[Explanation, Result]:
    """Return where the number named by `text` comes from, and the trace it was read from.

    See `explain_number`.  layer: see addresses.find_tensor.
    Raises UsageError if `text` does not name a single number.
    """
    address = _address(text)
    case_with_outputs = _with_sequences(tracing.with_all_outputs(case), address)
    stack, shape = case_with_outputs.stack, case_with_outputs.inputs.shape
    infos = locate.list_tensors(stack, shape)
    gates = _gates(address, stack, shape, {info.name for info in infos})
    target = explanation.parse_target(text, (*infos, *gates), layer)
    result = tracing.trace(case_with_outputs)
    found = explain_number(case, result, target, depth, terms)
    if case.hold:
        free = case_with_outputs._replace(hold=())
        source = CaseTrace(free, tracing.trace(free))
        found = replace(found, without_hold=source.value(source.node(target)))
    return found, replace(result, stack=case.stack)


def _with_sequences(case: Case, address: addresses.Address | None) -> Case:
    """Let the last layer return its sequence if the number requires it; its other numbers do not change."""
    if address is None or not address.label.sequence or not case.stack.layers[-1].recurrent:
        return case
    return case._replace(stack=case.stack.with_returns(return_sequences=True))


def _gates(
    address: addresses.Address | None, stack: Stack, shape: Shape, known: set[str]
) -> tuple[TensorInfo, ...]:
    """Return the requested gate, with or without a time axis, depending on the index."""
    part = address and list_loop_parts(stack).get(address.label)
    if not address or not part or str(address.label) in known:
        return ()
    if len(address.texts) == 2:
        return (TensorInfo(address.label, ("batch", "units"), (shape[0], part.units)),)
    return (TensorInfo(address.label, ("batch", "timesteps", "units"), (*shape[:2], part.units)),)


def _address(text: str) -> addresses.Address | None:
    """Parse `text`; None if it is not an address, which `explanation.parse_target` reports."""
    try:
        return addresses.parse(text)
    except ValueError:
        return None


def example(stack: Stack) -> str:
    """Return a number that `explain` accepts for any sizes: `last_cell_state[0,0]`."""
    last, shape = stack.layers[-1], (1,) * stack.input_rank
    info = last.states(shape)[-1] if last.recurrent else stack.outputs(shape)[0]
    return f"{info.name}[{','.join('0' for _ in info.axes)}]"
