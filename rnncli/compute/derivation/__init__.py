"""Derive one number of a result: the equations that computed it, with the numbers of a trace."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from rnncli import addresses
from rnncli.cells.tree import AXES, REDUCTIONS, Function, Name
from rnncli.cells.writing import to_symbols
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
from rnncli.compute.derivation.locate import CaseTrace, TraceNode
from rnncli.compute.derivation.named import NamedSpread
from rnncli.compute.derivation.terms import IDENTITY, OF_ALL_UNITS, Spread, product, reads_several
from rnncli.errors import Message
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import OUTPUT, Claim, Result, TensorInfo
from rnncli.values import Shape, Spec


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
    if address is not None and address.label.sequence and case.stack.layers[-1].recurrent:
        wide = wide._replace(stack=wide.stack.with_returns(return_sequences=True))
    infos = list_tensors(wide.stack, wide.inputs.shape)
    if address is not None and str(address.label) not in {info.name for info in infos}:
        part = tracing.list_loop_parts(wide.stack, wide.inputs.shape).get(address.label)
        if part is not None:  # a gate or a state, with or without a time axis, depending on the index
            batch, steps = wide.inputs.shape[:2]
            axes = {"batch": batch, "timesteps": steps, **part.axes}
            if len(address.texts) == 1 + len(part.axes):
                del axes["timesteps"]
            infos = (*infos, TensorInfo(address.label, tuple(axes), tuple(axes.values())))
    target = parse_target(text, infos, layer)
    result = tracing.trace(wide)
    explanation = explain_number(case, result, target, depth, terms)
    if case.hold:
        free = wide._replace(hold=())
        source = CaseTrace(free, tracing.trace(free))
        explanation = replace(explanation, without_hold=source.value(source.node(target)))
    return explanation, replace(result, specs=case.stack)


def list_tensors(stack: Stack, input_shape: Shape) -> tuple[TensorInfo, ...]:
    """Return the tensors a user may name: of the last layer, then of every layer, named with its number."""
    both = (*stack.outputs(input_shape), *stack.outputs(input_shape, all_layers=True))
    return tuple(dict.fromkeys(both))


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
    the previous states and at the layer below; each further level goes on from the numbers listed there.
    terms: how many terms of a sum to list, None for all.
    """
    source = CaseTrace(case, result)
    by_key: dict[str, Equation] = {}
    asked = source.node(target)
    level: list[TraceNode] = [asked, *(source.kept(asked) if source.is_unused(asked) else ())]
    while level and depth:
        queue, level, depth = deque(level), [], depth - 1
        while queue:
            node = source.follow_copies(queue.popleft())
            key = source.key(node)
            if key in by_key:
                continue
            by_key[key] = _equation(source, node, terms)
            for factor in by_key[key].factors:
                if factor.node is not None:
                    (level if factor.further else queue).append(factor.node)

    def link(factor: Factor) -> Factor:
        """Name the equation of the factor, if it was followed so far."""
        key = "" if factor.node is None else source.key(source.follow_copies(factor.node))
        return factor._replace(explained=key) if key in by_key else factor

    equations = [
        equation._replace(
            terms=tuple(Term(value, tuple(map(link, factors))) for value, factors in equation.terms),
            reads=tuple(map(link, equation.reads)),
        )
        for equation in by_key.values()
    ]
    value, equals = source.value(source.node(target)), equal_entries(case, result, target)
    return Explanation(target, value, result.input_dtype, equals, tuple(equations))


def locate_number(case: Case, result: Result, target: Target) -> Explanation:
    """Explain of a number alone what it is: the equation of its line in symbols, without terms."""
    source = CaseTrace(case, result)
    node = source.follow_copies(source.node(target))
    maker, value = source.maker(node), source.value(node)
    lines = {} if node.is_returned else to_symbols(maker.text, maker.config)
    symbols = tuple(text for line, text in lines.items() if line == node.part.part)
    equation = Equation(source.key(node), node.title, source.location(node), value, value, symbols=symbols)
    unusual = _note_mask(source, node, value)
    equation = equation._replace(note=unusual[0]) if unusual else equation
    return Explanation(target, value, result.input_dtype, equal_entries(case, result, target), (equation,))


def _equation(source: CaseTrace, node: TraceNode, most: int | None) -> Equation:
    """Return the equation of one number, with the `most` largest terms."""
    key, value = source.key(node), source.value(node)
    name = key if node.is_returned else node.title
    bare = Equation(key, name, source.location(node), value, value)
    unusual = _note_mask(source, node, value)
    if unusual is not None:
        note, instead = unusual
        return _with_terms(bare._replace(note=note), [product(instead)] if instead else [], most)
    piece, computed = source.equation(node)
    if not computed.is_returned and computed.piece is None:
        held = source.loop(computed).hold_masks.get(computed.part)
        if held is not None and held[computed.position, computed.unit]:
            return bare._replace(is_held=True)
    spread = (NamedSpread if source.has_axes(computed) else Spread)(source, computed)
    if reads_several(piece):
        return bare._replace(symbols=(spread.text(piece),), reads=spread.reads(piece))
    if isinstance(piece, Function) and piece.function not in (*REDUCTIONS, *AXES):
        function = source.function(computed, piece.function)
        (inner,) = piece.arguments
        total, applied = _apply(source, computed, spread, piece)
        bare = bare._replace(total=total, rounding=value - applied)
        reads = spread.reads(piece) if function in OF_ALL_UNITS else ()
        bare, piece = bare._replace(function="" if function == IDENTITY else function, reads=reads), inner
    symbols, products = zip(*spread.terms(piece), strict=True)
    terms = [term for together in products for term in together]
    if spread.has_rows:
        # Non-finite products come first, since they make the sum non-finite; then the largest.
        terms.sort(key=lambda term: (term.value == term.value, -abs(term.value)))
    equation = _with_terms(bare._replace(symbols=symbols), terms, most)
    largest = max((abs(term.value) for term in terms), default=0.0)
    is_exact = node.piece is not None and abs(equation.remainder) <= 1e-12 * largest
    return equation._replace(remainder=0.0) if is_exact else equation  # only the order of adding differs


def _apply(source: CaseTrace, computed: TraceNode, spread: Spread, piece: Function) -> tuple[float, float]:
    """Return the argument of the function in an equation, and the function of it."""
    (inner,) = piece.arguments
    part = computed.part._replace(kind="preactivation")
    is_traced = not computed.is_returned and computed.piece is None and not isinstance(spread, NamedSpread)
    if not is_traced or part not in source.loop(computed).parts:
        return spread.value(inner), spread.value(piece)
    totals = source.row(computed._replace(part=part))  # for all units, since softmax needs them together
    applied = source.apply(computed, piece.function, totals.astype("float64"))
    return float(totals[computed.unit]), float(applied[computed.unit])


def _with_terms(equation: Equation, terms: list[Term], most: int | None) -> Equation:
    listed = terms[:most]
    left = terms[len(listed) :]
    others = OtherTerms(len(left), sum(term.value for term in left)) if left else None
    remainder = equation.total - sum(term.value for term in terms) if terms else 0.0
    return equation._replace(terms=tuple(listed), others=others, remainder=remainder)


def _note_mask(source: CaseTrace, node: TraceNode, value: float) -> tuple[Note, Factor | None] | None:
    """Return the note on a masked number, and the earlier number that it repeats; None if computed."""
    if node.is_returned:
        if source.equation(node)[0] != Name("x") or value != 0:
            return None
        given = float(source.inputs[node.layer][node.row][node.unit])
        return (Note("masked"), None) if given != value else None
    if source.is_unused(node):
        return Note("unused"), None
    if source.status(node) == "computed":
        return None
    is_output = node.part == OUTPUT
    if is_output and source.status(node) == "zeroed":
        return Note("zeroed"), None
    part = source.output_of(node) if is_output else node.part
    steps = (node._replace(position=step, part=part) for step in reversed(range(node.position)))
    earlier = next((step for step in steps if source.status(step) == "computed"), None)
    state = part.part
    if earlier is not None:
        timestep = source.timestep(earlier)
        shown = Message("{state} at t={timestep}", state=state, timestep=timestep)
        return Note("held", timestep), Factor(str(shown), source.value(earlier), shown, node=earlier)
    if is_output:
        return Note("silent"), None
    start = float(source.row_before(node._replace(position=0))[node.unit])
    return Note("start"), Factor(f"{state} at start", start, Message("{state} at start", state=state))


def symbols_of(explanation: Explanation, specs: tuple[Spec, ...]) -> dict[str, dict[str, str]]:
    """Return the equations of the cells in an explanation in symbols, by the name of the cell and line."""
    layers = Stack(specs).layers
    used = dict.fromkeys(equation.location.layer for equation in explanation.equations)
    loops: list[Any] = [loop for layer in used for loop in layers[layer].loops.values()]
    cells = [cell for loop in loops if hasattr(loop, "cell") for cell in loop.cell.by_index.values()]
    return {cell.text.name: to_symbols(cell.text, cell.config) for cell in cells}


def equal_entries(case: Case, result: Result, target: Target) -> tuple[Claim, ...]:
    """Return the returned entries that hold the same number, according to the layers' claims."""
    import numpy as np

    stack, shape = case.stack, case.inputs.shape
    last = len(stack.layers) - 1
    is_returned = target.label in {info.label for info in Stack(result.specs).outputs(shape)}
    label = stack.label(last, target.label) if is_returned else target.label
    known = {stack.label(last, info.label) for info in stack.outputs(shape)}
    known |= {info.label for info in stack.outputs(shape, all_layers=True)}
    tensors = {tensor.label: tensor.values for tensor in result.outputs}
    claims: list[Claim] = []
    for tensor in result.outputs:
        for other, window in tensor.equals:
            whole = tensors[other]
            places = np.arange(whole.size).reshape(whole.shape)[window]  # in the other tensor
            named, indices = tensor.label, np.zeros((0, 0), int)
            if tensor.label == label and other in known:
                named, indices = other, np.array([np.unravel_index(places[target.indices], whole.shape)])
            elif other == label and tensor.label in known:
                indices = np.argwhere(places == np.ravel_multi_index(target.indices, whole.shape))
            claims += [Claim(named, tuple(index)) for index in indices.tolist()]
    return tuple(
        claim.with_place(layer=None) if is_returned and claim.label.layer == last else claim
        for claim in claims
    )
