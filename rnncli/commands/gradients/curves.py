"""How far back an output depends on earlier steps: the target numbers, and a verdict on their gradients.

NumPy computes the gradients, see compute/chain_rule.py.  Keras computes those of layers that only it has, or
if asked to, see tape.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import inf
from typing import Any, NamedTuple

from rnncli import addresses, compute, layers
from rnncli.ask.subject import WholeGradients
from rnncli.compute import engines
from rnncli.compute.chain_rule import find_missing_rule
from rnncli.errors import Message, UsageError, format_range
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import Claim, Label, Result, TensorInfo, join_layers
from rnncli.show.visible import visible
from rnncli.specs import from_flags
from rnncli.specs.build import is_name
from rnncli.values import Array, Spec, parse_number, sizes

METHODS = {"numpy": "rnncli.compute.chain_rule", "tensorflow": "rnncli.commands.gradients.tape"}
"""The engines that compute gradients, and the files that do."""
INPUT = Label("input", kind="")
ABOVE: Mapping[str, float] = {"explodes": 1e3, "grows": 10.0}
BELOW: Mapping[str, float] = {"vanishes": 1e-3, "falls": 0.1}
"""Thresholds relative to the norm at the last processed step that the output depends on."""
ROUNDING = 64
"""A share below this many times the precision of the numbers is what rounding leaves of a sum that is 0."""


class GradientTarget(NamedTuple):
    """The numbers to differentiate.

    position, name: of the returned tensor.  batch: the sequence.  text: `hidden_states[0, 3, :]`.
    entries: their flat indices in that sequence's tensor.
    sequence: the name of the sequence; "" if it has none.
    """

    position: int
    name: str
    batch: int
    text: str
    entries: Array
    sequence: str = ""

    @property
    def title(self) -> str:
        """The numbers, and the name of their sequence: `hidden_states[0, 3, :] (monday)`."""
        return f"{self.text} ({visible(self.sequence)})" if self.sequence else self.text


class Verdict(NamedTuple):
    """How a curve changes going back; see `classify_curve`.

    timestep: the first step, going back, beyond the threshold.  ratio: the smallest or largest ratio
    there; of a steady curve, the norm of the first step.
    reference: the step whose norm the others are compared with; None if the output depends on no step.
    """

    kind: str
    timestep: int | None = None
    ratio: float | None = None
    reference: int | None = None


@dataclass(frozen=True)
class Curve:
    """One norm per time step.

    part: INPUT, the name of one of several inputs, or a part of the state, `hidden`, `cell_0/hidden`.
    direction: forward or backward; "" for the input of Bidirectional, which both directions read.
    norms: (timesteps,), at the input's own index.
    masked_steps: (timesteps,) of bool, True for masked steps.
    by_line: see chain_rule.Norms; empty for the input, and if TensorFlow computed the gradients.
    new_states: see Cell.new_states.
    precision: the precision of the numbers that were computed.
    steps: the names of the time steps; () if they have none.  heading: what these names are.
    """

    part: Label
    direction: str
    norms: Array
    masked_steps: Array
    by_line: Mapping[str, Array] = field(default_factory=dict)
    new_states: Mapping[str, str] = field(default_factory=dict)
    precision: float = 0.0
    steps: tuple[str, ...] = ()
    heading: str = ""
    is_input: bool = False

    @property
    def shares(self) -> dict[str, float]:
        """The share of each gate in the sum of the norms of `by_line`, the largest first."""
        sums = {gate: float(norms.sum()) for gate, norms in self.by_line.items()}
        if not 0 < sum(sums.values()) < inf:
            return {}
        least = ROUNDING * self.precision * sum(sums.values())
        sums = {gate: total if total > least else 0.0 for gate, total in sums.items()}
        total = sum(sums.values())
        return {gate: sums[gate] / total for gate in sorted(sums, key=lambda gate: -sums[gate])}

    @property
    def verdict(self) -> Verdict:
        """Apply the rule to the computed steps, in processing order."""
        steps = range(len(self.norms))
        order = steps[::-1] if self.direction == "backward" else steps
        kept = [step for step in order if not self.masked_steps[step]]
        return classify_curve(kept, [float(self.norms[step]) for step in kept])


@dataclass(frozen=True)
class Gradients:
    """Gradients of one stack: a curve per part of the last recurrent layer's state, then the input's.

    header: the case as a result without tensors.
    weight: the path of a weight; then there are no curves, but the norms by line, in `by_line`.
    new_states: `Cell.new_states` of the weight's cell.
    """

    header: Result
    target: GradientTarget
    curves: tuple[Curve, ...]
    weight: str = ""
    by_line: Mapping[str, float] = field(default_factory=dict)
    new_states: Mapping[str, str] = field(default_factory=dict)

    @property
    def specs(self) -> tuple[Spec, ...]:
        """The layers, first to last."""
        return self.header.specs


def classify_curve(steps: Sequence[int], norms: Sequence[float]) -> Verdict:
    """Apply the rule.  steps, norms: in processing order.

    The reference is the last step whose norm is not 0.  A curve `explodes` if an earlier step is above
    1000 times the reference; it `vanishes` if the first step, and every one up to some step, is below
    1/1000 of it; it `grows` or `falls` in the same way, by 10.  It `varies` if only steps in between are
    below 1/10, and is `steady` otherwise.  It is `independent` without a reference, `undefined` with NaN.
    """
    last = next((index for index in reversed(range(len(norms))) if norms[index] != 0), None)
    if last is None:
        return Verdict("independent")
    ratios = [norm / norms[last] for norm in norms[: last + 1]]
    if any(ratio != ratio for ratio in ratios):
        return Verdict("undefined")
    for up, down in zip(ABOVE, BELOW, strict=True):
        above = [index for index, ratio in enumerate(ratios) if ratio > ABOVE[up]]
        if above:
            return Verdict(up, steps[above[-1]], max(ratios), steps[last])
        below = next(index for index, ratio in enumerate(ratios) if ratio >= BELOW[down])
        if below:
            return Verdict(down, steps[below - 1], min(ratios[:below]), steps[last])
    low = [index for index, ratio in enumerate(ratios) if ratio < BELOW["falls"]]
    if low:
        return Verdict("varies", steps[low[-1]], min(ratios), steps[last])
    return Verdict("steady", None, ratios[0], steps[last])


def target_of(text: str | None, infos: Sequence[TensorInfo], row: int = -1, batch: int = 0) -> GradientTarget:
    """Parse `hidden_states[0,3,1]`; the default is the output of one time step, in this row of a sequence.

    Each axis takes a number or a slice, batch first; an omitted axis is taken whole, except that
    an omitted batch means sequence 0.  Raises UsageError if there is no such number.
    """
    if text is None:
        index = f"{batch}, {row}" if "timesteps" in infos[0].axes else f"{batch}"
        text = f"{infos[0].name}[{index}]"
    import numpy as np

    info, parts = addresses.find_tensor(text, infos, Message("{--of}: "))
    parts = parts or ("0",)
    if len(parts) > len(info.axes):
        what = "{--of:text}: {name} has {count} axes, but {given} indices were given."
        known, number = Message("Its axes are {axes}.", axes=", ".join(info.axes)), len(info.axes)
        raise UsageError(what, known, text=text, name=info.name, count=number, given=len(parts))
    axes = zip(parts, info.axes, sizes(info.shape), strict=False)
    place, shape = tuple(_parse_axis(text, *axis) for axis in axes), sizes(info.shape[1:])
    entries = np.arange(int(np.prod(shape))).reshape(shape)[place[1:]].ravel()
    written = str(Claim(info.label, (*place, *[slice(None)] * (len(info.axes) - len(place)))))
    sequence = place[0] if isinstance(place[0], int) else 0
    return GradientTarget(infos.index(info), info.name, sequence, written, entries)


def reason_not_tracked(case: Case) -> Message | None:
    """Return why the states of the last recurrent layer cannot be tracked; None if they can."""
    indices = [index for index, spec in enumerate(case.stack) if layers.is_stepped(spec)]
    after = case.stack.layers[indices[-1] if indices else 0 :]
    hidden = [layer.spec.class_name for layer in after if not layer.without_keras or layer.is_opaque]
    if indices and not hidden:
        return None
    name = (hidden or [case.stack[-1].class_name])[-1]
    return Message("gradients cannot track the states of {hidden}.", hidden=name)


def find_last_recurrent(case: Case) -> int:
    """Return the index of the last recurrent layer.  Raises UsageError if its state is not accessible."""
    if refusal := reason_not_tracked(case):
        advice = "Use SimpleRNN, LSTM, GRU, RNN or Bidirectional."
        raise UsageError(refusal, advice)
    return max(index for index, spec in enumerate(case.stack) if layers.is_stepped(spec))


def _parse_axis(text: str, part: str, axis: str, length: int) -> int | slice:
    try:
        index = parse_number(part) if axis == "batch" else addresses.parse_part(part)
    except ValueError:
        what = "{--of:text}: {part!r} is not an index for {axis}."
        advice = "Give the index of one sequence." if axis == "batch" else "Write a number, or 2:5, or :."
        raise UsageError(what, advice, text=text, part=part, axis=axis) from None
    if isinstance(index, int):
        return addresses.place_of(index, axis, length, Message("{--of:text}", text=text))
    if not range(length)[index]:
        what, known = "{--of:text}: {part} selects nothing from {axis} ({range}).", format_range(length)
        raise UsageError(what, "Write a number, or 0:2, or :.", text=text, part=part, axis=axis, range=known)
    return index


def gradients(case: Case, of: str | None = None, engine: str = "auto", batch: int = 0) -> Gradients:
    """Compute how much the numbers `of` depend on every state and input; default: the last output of `batch`.

    of: may also be a weight, `kernel`: then how much the last output depends on it, by gate.
    States belong to the last recurrent layer; the last layer's states are accepted whether it returns
    them or not.
    engine: `numpy`, `tensorflow`, or `auto`: NumPy for all layers that rnncli has.
    Raises UsageError if there are no such numbers, or no such layer.
    """
    compute.require_room(case, len(case.inputs))
    compute.require_mask(case)
    conditions = compute.conditions(case)
    engine = _choose_engine(case, engine)
    method = import_module(METHODS[engine])
    case_with_states = case._replace(stack=case.stack.with_returns(return_state=True))
    last = find_last_recurrent(case)
    batch = addresses.place_of(batch, "batch", len(case.inputs), Message("{--batch:batch}", batch=batch))
    stack = case_with_states.stack
    infos = stack.outputs(case.inputs.shape)
    weight = _find_weight(of, case, last)
    rows = case.stack.masked_rows(case.inputs, case.mask, started=case.initial_state is not None)[last]
    zeroed = any(loop.config["zero_output_for_mask"] for loop in case.stack.layers[last].loops.values())
    row = -1  # or the last row of the output that the mask does not make zeros
    if rows is not None and zeroed and not rows[batch].all():
        row = int((~rows[batch]).nonzero()[0][-1])
    numbers = target_of(None if weight else of, infos, row, batch)
    numbers = numbers._replace(sequence=case.names.sequences[numbers.batch] if case.names.sequences else "")
    shape, dtype = tuple(case.inputs.shape), str(case.inputs.dtype)
    header = Result(
        (engine,), case.seed, case.stack, shape, dtype, (), conditions=conditions, names=case.names
    )
    header = replace(header, assumed=case.assumed, agreement=case.agreement)
    where = numbers.batch, numbers.position, numbers.entries
    if weight:
        if engine != "numpy":
            what = "{--of:of}: only numpy computes the gradient of a weight by gate."
            advice = "Name numbers of the output: {--of:default}"
            raise UsageError(what, advice, of=of, default=f"'{numbers.text}'")
        by_line = method.weight_norms(case_with_states, weight, *where)
        (cell,) = (cell for path, cell in _cells(stack) if weight.startswith(path))
        return Gradients(header, numbers, (), weight, by_line, cell.new_states)
    norms = method.norms(case_with_states, last, *where)
    precision = 2.0**-52 if dtype == "float64" else 2.0**-23
    loops: Mapping[str, Any] = stack.layers[last].loops
    curves = [
        Curve(
            part, way, values, norms.masked_steps, norms.by_line.get((way, part), {}),
            next(iter(loops.values())).cell.by_index[part.cell].new_states, precision,
        )
        for (way, part), values in norms.states.items()
    ]  # fmt: skip
    way = curves[0].direction if len({curve.direction for curve in curves}) == 1 else ""
    curves += [
        Curve(INPUT._replace(part=name) if name else INPUT, way, values, norms.masked_steps, is_input=True)
        for name, values in norms.inputs.items()
    ]
    steps = case.names.steps[numbers.batch] if case.names.steps and not stack.turned[last] else ()
    return Gradients(
        header, numbers, tuple(replace(curve, steps=steps, heading=case.names.heading) for curve in curves)
    )


def _choose_engine(case: Case, engine: str) -> str:
    if engine == "auto":
        engine = engines.REFERENCE if engines.reason_not_traced(case) else "numpy"
    engines.require_able(case._replace(with_trace=True), engine)  # numpy follows the trace backwards
    if engine == "numpy" and (missing := find_missing_rule(case.stack)):
        advice = "If Keras has the layer, add {--engine tensorflow}; else write its pull_back."
        raise UsageError("numpy has no rule for the gradient of {class_name}.", advice, class_name=missing)
    return engine


def of_tape(whole: WholeGradients) -> Gradients:
    """Return the gradients that a framework's tape gave, through a whole model."""
    import numpy as np

    found = whole.gradients
    name = f"{found.output}[{found.numbers}]" if found.numbers else found.output
    target = GradientTarget(0, found.output, found.batch, name, np.arange(found.entries))
    header = replace(join_layers({}, whole.head), engines=(whole.head.origin,))
    header = replace(header, input_shape=found.shape, input_dtype=found.dtype)
    masked = np.zeros(len(found.norms), bool)
    curve = Curve(INPUT, "forward" if whole.is_forward else "", found.norms, masked, is_input=True)
    return Gradients(header, target, (curve,))


def _cells(stack: Stack) -> Iterator[tuple[str, Any]]:
    """Yield the cells, with the prefix of the paths of their weights."""
    for index, layer in enumerate(stack.layers):
        loops: Mapping[str, Any] = layer.loops
        for direction, loop in loops.items():
            cells: Mapping[int | None, Any] = loop.cell.by_index
            path = stack.prefix(index) + (f"{direction}/" if direction else "")
            yield from ((path if key is None else f"{path}{key}/", cell) for key, cell in cells.items())


def _find_weight(text: str | None, case: Case, last: int) -> str:
    """Return the path of the recurrent weight that a text names; "" if the text names no weight.

    `kernel`, without a path, names a weight of the last recurrent layer, if only one has this name.
    """
    if text is None:
        return ""
    stack, name = case.stack, text.strip()
    paths = list(stack.weight_shapes(case.inputs.shape))
    inside = [
        path for index, layer in enumerate(stack.layers) if layer.loops
        for path in paths if path.startswith(stack.prefix(index))
    ]  # fmt: skip
    matching = [path for path in inside if path.startswith(stack.prefix(last)) and path.endswith(f"/{name}")]
    if name in inside:
        return name
    if len(matching) > 1:
        what = "{--of:text}: there are several weights of this name."
        raise UsageError(what, "Name one of {names}.", text=text, names=", ".join(matching))
    return matching[0] if matching else ""


def list_layers(layer: Any, against: Collection[Any]) -> list[Any]:
    """Return `layer`, if it is given, and the layers to compare it with.

    against: layers; a text may name several, `lstm,GRU(3)`.  Raises UsageError if the texts name none.
    """
    others: list[Any] = []
    for item in against:
        if isinstance(item, str):  # at commas that are not inside brackets
            others += filter(None, map(str.strip, re.split(r",(?![^(\[]*[)\]])", item)))
        else:
            others.append(item)
    if against and not others:
        raise UsageError("{--against} does not name a layer.", "For example {--against simple_rnn,lstm,gru}.")
    return [layer, *others] if layer or not others else others


def own_options(layers: Sequence[Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options for layers of --against: names take them, expressions and configs have their own."""
    return options if all(map(is_name, layers)) else {}


def make_variants(case: Case, others: Sequence[Sequence[Any]], options: Mapping[str, Any]) -> list[Case]:
    """Return cases with the same input and seed and other layers, with the same units unless specified.

    others: the layers of each stack.  options: of the layers given by name.
    Raises UsageError if weights or states are supplied, which are for the layers of `case`.
    """
    if others and (case.weights is not None or case.initial_state is not None):
        advice = "Leave out weights and initial states."
        raise UsageError("{--against} draws the weights of each layer and starts from zero states.", advice)
    loops: Mapping[str, Any] = case.stack.layers[find_last_recurrent(case)].loops
    sized = {**options, "units": options.get("units") or next(iter(loops.values())).cell.units}
    return [case._replace(stack=from_flags(list(layers), own_options(layers, sized))) for layers in others]
