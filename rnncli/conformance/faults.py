"""What is wrong with an implementation: the faults of operators, and the search for those that it has.

Each fault changes values of the oracle, and has a name; faults are looked for, alone and in pairs, that give
the numbers of all cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial, singledispatch
from itertools import combinations, permutations
from typing import Any, NamedTuple

import numpy as np

from rnncli.conformance.oracle import (
    DEFAULTS,
    FUNCTIONS,
    GATES,
    OUTPUTS,
    READINGS,
    Change,
    Changes,
    KitCase,
    NodeRun,
    compute,
    list_readings,
    rounding_of,
)
from rnncli.conformance.verdicts import Judgement, is_close, settle
from rnncli.errors import Message, Text, join
from rnncli.known import Known, known
from rnncli.values import Array


@singledispatch
def list_traits(case: KitCase) -> frozenset[str]:
    """Return what faults need of a case: its inputs, its attributes, and these with their values."""
    attributes = {"direction": "forward", "linear_before_reset": 0, "layout": 0, **case.attributes}
    traits = {*case.inputs, *case.attributes, *(f"{name}={value}" for name, value in attributes.items())}
    traits |= {f"activation={name.lower()}" for name in attributes.get("activations", ())}
    if attributes["direction"] != "forward":
        traits.add("backward")
    if case.outputs != OUTPUTS[case.operator]:
        traits |= {"some_outputs", f"outputs={','.join(case.outputs)}"}
    return frozenset(traits)


def join_changes(faults: Iterable[Known], reading: Mapping[str, Sequence[Change]] = {}) -> Changes:
    """Return the changes of a reading and of all faults, by place; a later fault comes after an earlier."""
    joined = {place: list(changes) for place, changes in reading.items()}
    for fault in faults:
        for place, change in fault.changes.items():
            joined.setdefault(place, []).append(change)
    return joined


# fmt: off
DIRECTION = Message("Look at the order of time: a backward direction reads each sequence from its last "
                    "step to its first, and ends there with Y_h and Y_c; Y is in the order of X.")
HALVES = Message("Look at the axis of directions: index 0 is the forward half, 1 the backward half.")
BIAS = Message("Look at how B is split: all gates of Wb, then all gates of Rb; both are added.")
ORDER = Message("Look at the order of the gates: i, o, f, c in an LSTM, z, r, h in a GRU; P has i, o, f.")
KERNELS = Message("Look at how W and R are read: gate after gate, each with one row of weights per unit.")
STATES = Message("Look at the initial states: initial_h and initial_c are independent, with one row per "
                 "sequence.")
FINALS = Message("Look at Y_h and Y_c: they are the states after the last step of each sequence.")
RETURNED = Message("Look at outputs that are left out: an empty name keeps its place, and the next output "
                   "does not move up.")
LENGTHS = Message("Look at sequence_lens: after a sequence has ended, Y is 0, and its states stay as "
                  "they are.")
LAYOUT = Message("Look at layout: with 1 the batch comes first in X, Y, and the initial and final states.")
ACTIVATIONS = Message("Look at activations: f, g and h of each direction in turn, in any case of letters.")
NUMBERS = Message("Look at activation_alpha and activation_beta: they go in order to the functions that "
                  "have one; where none is left, the function's default holds.")
CLIP = Message("Look at clip: it bounds the input of every activation from below and above, and nothing "
               "else.")
RESET = Message("Look at the GRU's candidate: (rt * Ht-1) Rh + Rbh + Wbh with linear_before_reset=0, "
                "rt * (Ht-1 Rh + Rbh) + Wbh with 1.")
UPDATE = Message("Look at the GRU's new state: (1 - zt) * ht + zt * Ht-1.")
CELL = Message("Look at the LSTM's states: Ct = ft * Ct-1 + it * ct, Ht = ot * h(Ct).")
PEEPHOLES = Message("Look at the peepholes: it and ft read Ct-1, ot reads Ct.")
COUPLED = Message("Look at input_forget: with 1, ft is 1 - it.")
# fmt: on

H, C, BOTH = "initial_h", "initial_c", {"initial_h", "initial_c"}
ALPHA, BETA, TWO = "activation_alpha", "activation_beta", "direction=bidirectional"


def _leave(value: Any, *more: Any) -> Any:
    """Return the array that the rule of a place was to change."""
    return more[-1]


def _flip_all(value: Array, node: NodeRun, d: int, array: Array) -> Array:
    """Reverse all steps, also those after the end of a sequence."""
    return array[::-1]


def _in_backward(change: Change) -> Change:
    """Limit a change of a place of each direction to the backward ones."""
    return lambda value, node, d, *more: change(value, node, d, *more) if node.is_backward[d] else value


def _outputs(names: str, change: Callable[..., Array]) -> Change:
    """Change some outputs.  change: also gets the array before it got its layout, after `arranged`."""
    return lambda value, node, name, *more: change(value, *more) if name in names.split() else value


def _weight(names: str, change: Callable[[Array, int], Array]) -> Mapping[str, Change]:
    """Change whole weights, whose first axis is of directions; change also gets the number of units."""
    return {"given": lambda array, node, name: change(array, node.units) if name in names else array}


def _source(names: Mapping[str, str | None], unless: Iterable[str] = "-") -> Mapping[str, Change]:
    """Take other inputs, None for no input, unless the node has all of these inputs."""
    return {
        "source": lambda name, node: name if node.case.inputs.keys() >= {*unless} else names.get(name, name)
    }


def _carry_on(*late: str) -> Mapping[str, Change]:
    """Compute the steps after the end of a sequence, too; late: the states that are taken after them."""
    return {
        "goes_on": lambda value, node: value | True,
        "final": lambda value, node, d, state, carried: (
            carried[-1] if state in late else carried[node.lengths, np.arange(len(node.lengths))]
        ),
    }


def _default_where(is_default: Callable[[int, str, int], bool]) -> Mapping[str, Change]:
    """Take the default of some functions, by index, name, and the number of functions of all directions."""
    return {
        "functions": lambda functions, node, names: [
            FUNCTIONS[(DEFAULTS[node.operator] * 2)[at]] if is_default(at, name, len(names)) else function
            for at, (function, name) in enumerate(zip(functions, names, strict=True))
        ]
    }


def _default_of(kind: str) -> Mapping[str, Change]:
    return _default_where(lambda at, name, count: name.lower() == kind.lower())


def _functions(*order: int) -> Mapping[str, Change]:
    return {
        "functions": lambda functions, *_: [
            functions[start + at] for start in range(0, len(functions), len(order)) for at in order
        ]
    }


def _bound(node: NodeRun, x: Array) -> Array:
    return np.clip(x, -node.attributes["clip"], node.attributes["clip"])


def _bound_states(states: str) -> Mapping[str, Change]:
    return {
        "step": lambda state, node: {
            name: _bound(node, array) if name in states else array for name, array in state.items()
        }
    }


def _unclip(index: int) -> Mapping[str, Change]:
    """Leave the input of f or g (index 0 or 1) unclipped."""
    return {"activated": lambda value, node, d, at, x: node.function(d, at)(x) if at == index else value}


def _reshape(value: Array, array: Array) -> Array:
    """Give an array the shape of layout 1 without moving a number."""
    return array.reshape(value.shape)


def _family(look: Message, needs: str, *rows: tuple[str, str, Mapping[str, Change]]) -> Iterator[Known]:
    """Yield faults of one place in the code.  needs: of all of them.  rows: further traits, name, changes."""
    return (known(f"{needs} {more}", name, text=look, **changes) for more, name, changes in rows)


def _list_backward() -> Iterator[Known]:
    """Yield the faults of a backward direction: alone, in a bidirectional node, and in both."""
    # fmt: off
    rows: tuple[tuple[str, str, dict[str, Change]], ...] = (
        ("computed forward", "", {"processed": _leave, "returned": _leave}),
        ("with Y in the order of processing", "", {"returned": _leave}),
        ("with X read forward, Y reversed", "", {"processed": _leave}),
        ("with X and Y reversed over all steps, not within sequence_lens", "sequence_lens",
         {"processed": _flip_all, "returned": _flip_all}),
        ("with X reversed over all steps, not within sequence_lens", "sequence_lens",
         {"processed": _flip_all}),
        ("with Y reversed over all steps, not within sequence_lens", "sequence_lens",
         {"returned": _flip_all}),
        ("with final states taken after one step", "",
         {"final": lambda value, node, d, state, carried: carried[1]}),
        ("with Y_h taken from the last row of Y", "", {"run": lambda run, *_: {**run, "Y_h": run["Y"][-1]}}),
        ("with initial states ignored", H, {"initial": lambda value, *_: 0 * value}),
    )
    # fmt: on
    for scope, trait in (
        ("direction=reverse", "direction=reverse"),
        ("the backward half", TWO),
        ("direction=reverse and the backward half", "backward"),
    ):
        for text, needs, changes in rows:
            limited = {place: _in_backward(change) for place, change in changes.items()}
            yield known(f"{trait} {needs}", f"{scope} {text}", text=DIRECTION, **limited)


def _list_orders() -> Iterator[Known]:
    """Yield every wrong order of the gates, in all weights and in each."""
    for names, noun, text, needs in (
        ("W R Wb Rb", "gates", "", ""),
        ("W", "gates", " in W", ""),
        ("R", "gates", " in R", ""),
        ("Wb Rb", "gates", " in B", "B"),
        ("P", "peepholes", "", "P"),
    ):
        for operator in ("GRU", "LSTM")[noun == "peepholes" :]:
            right = "iof" if names == "P" else GATES[operator]
            for order in list(permutations(right))[1:]:
                moved = [gate for gate, read in zip(right, order, strict=True) if gate != read]
                name = f"{noun} read in the order {', '.join(order)}{text}"
                if len(moved) == 2:
                    name = f"{noun} {' and '.join(sorted(moved, key='ifoczrh'.index))} swapped{text}"
                yield known(f"{operator} {needs}", name, text=ORDER, letters=_letters(names, order))


def _letters(names: str, order: Sequence[str]) -> Change:
    return lambda letters, node, name: order if name in names.split() else letters


# fmt: off
ROWS = (
    *_list_backward(),
    *_family(
        HALVES, TWO,
        ("", "halves swapped in all outputs", {"directions": lambda order, node: order[::-1]}),
        ("", "halves swapped in Y", {"output": _outputs("Y", lambda y: y[:, ::-1])}),
        ("", "halves swapped in Y_h and Y_c", {"output": _outputs("Y_h Y_c", lambda y: y[::-1])}),
        *((needs, f"the backward half uses the forward half's {text}",
           _weight(names, lambda array, units: array[[0, 0]])) for names, text, needs in (
            ("W", "W", ""), ("R", "R", ""), ("B", "B", "B"), ("P", "P", "LSTM P"), ("WRBP", "weights", ""))),
        (H, "the backward half uses the forward half's initial states", {"initial_half": lambda d, node: 0}),
        (H, "initial states of the halves swapped", {"initial_half": lambda d, node: 1 - d}),
        ("", "the backward half starts from the forward half's final states", {
            "initial": _in_backward(lambda value, node, d, state: node.run(0)[f"Y_{state}"])}),
        ("", "the backward half is 0", {"run": _in_backward(
            lambda run, *_: {name: 0 * array for name, array in run.items()})}),
        ("", "directions behind the batch in Y, in the shape of Y", {
            "output": _outputs("Y", lambda y: y.swapaxes(1, 2).reshape(y.shape))}),
    ),
    *_family(
        BIAS, "",
        ("B", "B ignored", _weight("B", lambda b, units: 0 * b)),
        ("B", "Wb ignored", {"biases": lambda b, node: [0 * b[0], b[1]]}),
        ("B", "Rb ignored", {"biases": lambda b, node: [b[0], 0 * b[1]]}),
        ("B", "B added twice", {"biases": lambda b, node: [2 * b[0], 2 * b[1]]}),
        ("B", "Wb used for Rb, too", {"biases": lambda b, node: [b[0], b[0]]}),
        ("B", "Rb used for Wb, too", {"biases": lambda b, node: [b[1], b[1]]}),
        ("GRU B", "Wb and Rb swapped", {"biases": lambda b, node: b[::-1]}),
        ("gated B", "B read as Wb and Rb of each gate in turn", _weight(
            "B", lambda b, units: b.reshape(len(b), -1, 2, units).swapaxes(1, 2).reshape(b.shape))),
        ("LSTM", "1 added to the bias of f", {"read": lambda value, node, gate: value + (gate == "f")}),
    ),
    *_list_orders(),
    *_family(
        KERNELS, "",
        ("", "R ignored", _weight("R", lambda r, units: 0 * r)),
        ("", "R transposed in each gate", _weight(
            "R", lambda r, units: r.reshape(len(r), -1, units, units).swapaxes(2, 3).reshape(r.shape))),
        *((needs, f"{text} read column by column", _weight(
            names, lambda array, units: array.reshape(len(array), *array.shape[:0:-1]).swapaxes(1, 2)))
          for names, text, needs in (("W", "W", ""), ("R", "R", "gated"), ("WR", "W and R", ""))),
        ("gated", "W, R and B read unit by unit, not gate by gate", {
            "gates": lambda gates, node, name, array: gates if name == "P" else {
                gate: array[:, at :: len(gates)] for at, gate in enumerate(gates)}}),
    ),
    *_family(
        STATES, "",
        (H, "initial_h ignored", _source({H: None})),
        (f"LSTM {C}", "initial_c ignored", _source({C: None})),
        ("LSTM", "initial_h and initial_c ignored", _source({H: None, C: None})),
        (f"LSTM {H}", "initial_h ignored where initial_c is missing", _source({H: None}, unless=BOTH)),
        (f"LSTM {C}", "initial_c ignored where initial_h is missing", _source({C: None}, unless=BOTH)),
        ("LSTM", "an initial state ignored where the other is missing", _source(
            {H: None, C: None}, unless=BOTH)),
        ("LSTM", "initial_h and initial_c swapped", _source({H: C, C: H})),
        (f"LSTM {H}", "initial_h used for initial_c, too", _source({C: H})),
        (f"LSTM {C}", "initial_c used for initial_h, too", _source({H: C})),
        ("", "initial states of the first sequence used for all", {
            "initial": lambda value, *_: 0 * value + value[:1]}),
    ),
    *_family(
        FINALS, "",
        ("", "final states taken after one step", {
            "final": lambda value, node, d, state, carried: carried[1]}),
        ("", "final states taken before the first step", {
            "final": lambda value, node, d, state, carried: carried[0]}),
        ("", "Y_h taken from the last row of Y", {"run": lambda run, *_: {**run, "Y_h": run["Y"][-1]}}),
        ("LSTM", "Y_h and Y_c swapped", {
            "run": lambda run, *_: {**run, "Y_h": run["Y_c"], "Y_c": run["Y_h"]}}),
        ("LSTM", "Y_h returned for Y_c, too", {"run": lambda run, *_: {**run, "Y_c": run["Y_h"]}}),
        ("LSTM", "Y_c returned for Y_h, too", {"run": lambda run, *_: {**run, "Y_h": run["Y_c"]}}),
    ),
    *_family(
        RETURNED, "",
        ("some_outputs", "outputs taken by position, though an earlier one is left out", {
            "outputs": lambda value, node, every: dict(
                zip(node.case.outputs, every.values(), strict=False))}),
        ("outputs=Y", "Y_h returned for Y where Y is alone", {
            "outputs": lambda value, node, every: {"Y": every["Y_h"]}}),
    ),
    *_family(
        LENGTHS, "sequence_lens",
        ("", "sequence_lens ignored", {"lengths": lambda lens, node, steps: 0 * lens + steps}),
        ("", "the first of sequence_lens used for all", {"lengths": lambda lens, *_: 0 * lens + lens[:1]}),
        ("", "the longest of sequence_lens used for all", {
            "lengths": lambda lens, *_: 0 * lens + max(lens)}),
        ("", "the shortest of sequence_lens used for all", {
            "lengths": lambda lens, *_: 0 * lens + min(lens)}),
        ("", "sequence_lens one step short", {"lengths": lambda lens, *_: np.maximum(lens - 1, 0)}),
        ("", "sequence_lens one step long", {
            "lengths": lambda lens, node, steps: np.minimum(lens + 1, steps)}),
        ("", "length 0 computed as 1", {"lengths": lambda lens, *_: np.maximum(lens, 1)}),
        ("", "length 0 computed as the number of steps", {
            "lengths": lambda lens, node, steps: np.where(lens == 0, steps, lens)}),
        ("", "Y repeats the last state after the end of a sequence", {"padded": _leave}),
        ("", "Y computed on after the end of a sequence", {**_carry_on(), "padded": _leave}),
        ("", "final states taken after the padding", _carry_on("h", "c")),
        ("LSTM", "Y_h taken after the padding", _carry_on("h")),
        ("LSTM", "Y_c taken after the padding", _carry_on("c")),
        ("", "final states of short sequences are 0", {"final": lambda value, node, d, state, carried: (
            value * (node.lengths == len(carried) - 1)[:, None])}),
        ("", "Y cut after the longest sequence", {
            "run": lambda run, node, d: {**run, "Y": run["Y"][: max(node.lengths)]}}),
    ),
    *_family(
        LAYOUT, "layout=1",
        ("", "layout ignored", {"input": _leave, "arranged": _leave}),
        ("", "layout ignored for X", {
            "input": lambda value, node, name, array: array if name == "X" else value}),
        ("", "layout ignored for all outputs", {"arranged": _leave}),
        ("", "layout ignored for Y", {"arranged": _outputs("Y", _leave)}),
        ("", "layout ignored for Y_h and Y_c", {"arranged": _outputs("Y_h Y_c", _leave)}),
        ("", "X reshaped, not transposed, for layout=1", {"input": lambda value, node, name, array: (
            array.reshape(value.shape) if name == "X" else value)}),
        ("", "Y reshaped, not transposed, for layout=1", {"arranged": _outputs("Y", _reshape)}),
        ("", "Y_h and Y_c reshaped, not transposed, for layout=1", {
            "arranged": _outputs("Y_h Y_c", _reshape)}),
        ("", "directions before the steps in Y of layout=1", {
            "arranged": _outputs("Y", lambda value, array: value.swapaxes(1, 2))}),
        ("LSTM", "layout ignored for Y_c", {"arranged": _outputs("Y_c", _leave)}),
        (f"LSTM {TWO}", "layout ignored for Y_c, with its halves swapped", {
            "arranged": _outputs("Y_c", lambda value, array: array[::-1])}),
    ),
    *_family(
        LAYOUT, "layout=0",
        ("", "X read with the batch first for layout=0", {
            "input": lambda value, node, name, x: x.swapaxes(0, 1) if name == "X" else value}),
    ),
    *_family(
        ACTIVATIONS, "",
        ("activations", "activations ignored", _default_where(lambda *_: True)),
        ("GRU activations", "activation f ignored", _default_where(lambda at, *_: at % 2 == 0)),
        ("GRU activations", "activation g ignored", _default_where(lambda at, *_: at % 2 == 1)),
        ("LSTM activations", "activation f ignored", _default_where(lambda at, *_: at % 3 == 0)),
        ("LSTM activations", "activation g ignored", _default_where(lambda at, *_: at % 3 == 1)),
        ("LSTM activations", "activation h ignored", _default_where(lambda at, *_: at % 3 == 2)),
        ("GRU", "activations f and g swapped", _functions(1, 0)),
        ("LSTM", "activations f and g swapped", _functions(1, 0, 2)),
        ("LSTM", "activations f and h swapped", _functions(2, 1, 0)),
        ("LSTM activations", "activations g and h swapped", _functions(0, 2, 1)),
        ("GRU", "activation f used for g, too", _functions(0, 0)),
        ("LSTM", "activation f used for g and h, too", _functions(0, 0, 0)),
        ("LSTM activations", "activation g used for h, too", _functions(0, 1, 1)),
        (f"activations {TWO}", "the backward half uses the forward half's activations", {
            "functions": lambda functions, *_: functions[: len(functions) // 2] * 2}),
        (f"activations {TWO}", "activations of the backward half ignored", _default_where(
            lambda at, name, count: at >= count // 2)),
        ("activations", "activations ignored where spelled in other letters", _default_where(
            lambda at, name, count: name not in FUNCTIONS)),
        *((f"activation={kind.lower()}", f"{kind} computed as the default activation", _default_of(kind))
          for kind in FUNCTIONS),
    ),
    *_family(
        NUMBERS, "",
        (ALPHA, "activation_alpha ignored", {
            "numbers": lambda numbers, node, name, *_: () if name == ALPHA else numbers}),
        (BETA, "activation_beta ignored", {
            "numbers": lambda numbers, node, name, *_: () if name == BETA else numbers}),
        ("activations", "activation_alpha and activation_beta ignored", {"numbers": lambda *_: ()}),
        ("activations", "activation_alpha and activation_beta swapped", {
            "numbers": lambda numbers, node, name, *_: (
                node.attributes.get(ALPHA if name == BETA else BETA, ()))}),
        ("activations", "activation_alpha and activation_beta by the position of the function", {
            "numbers": lambda numbers, node, name, defaults: [
                number for number, default in zip(numbers, defaults, strict=False) if default is not None]}),
        ("activations", "the first activation_alpha and activation_beta used for all functions", {
            "numbers": lambda numbers, node, name, defaults: [*numbers[:1]] * len(defaults)}),
        ("activations", "activation_alpha and activation_beta are 0 where left out", {
            "numbers": lambda numbers, node, name, defaults: [*numbers, *[0.0] * len(defaults)]}),
    ),
    *_family(
        CLIP, "clip",
        ("", "clip ignored", {"clipped": _leave}),
        ("", "clip bounds only from above", {
            "clipped": lambda value, node, x: np.minimum(x, node.attributes["clip"])}),
        ("gated", "clip ignored for f", _unclip(0)),
        ("gated", "clip ignored for g", _unclip(1)),
        ("", "clip bounds the result of an activation", {
            "activated": lambda value, node, d, at, x: _bound(node, node.function(d, at)(x))}),
        ("", "clip bounds X", {"clipped": _leave, "x": lambda x, node: _bound(node, x)}),
        ("gated", "clip bounds the states", {"clipped": _leave, **_bound_states("h c")}),
        ("LSTM", "clip bounds Ct itself", _bound_states("c")),
    ),
    *_family(
        RESET, "GRU",
        ("linear_before_reset=0", "linear_before_reset=0 computed as 1", {"resets_after": lambda *_: True}),
        ("linear_before_reset=1", "linear_before_reset=1 computed as 0", {"resets_after": lambda *_: False}),
        ("B", "Rbh outside the reset gate", {
            "past": lambda past, node, d, r, after: past + after * (1 - r) * node.rb["h"][d]}),
        ("B", "Rbh inside the reset gate", {
            "past": lambda past, node, d, r, after: past + (not after) * (r - 1) * node.rb["h"][d]}),
        ("B", "Wbh inside the reset gate", {
            "past": lambda past, node, d, r, after: past + (r - 1) * node.wb["h"][d]}),
        ("", "the reset gate ignored", {"r": lambda r, node: np.ones_like(r)}),
    ),
    *_family(UPDATE, "GRU", ("", "z and 1 - z swapped", {"z": lambda z, node: 1 - z})),
    *_family(
        CELL, "LSTM",
        ("", "h(Ct) computed as Ct", {"activated_cell": _leave}),
        ("", "h(Ct) returned for Y_c", {
            "run": lambda run, node, d: {**run, "Y_c": node.activate_cell(d, run["Y_c"])}}),
    ),
    *_family(
        COUPLED, "LSTM",
        ("input_forget", "input_forget ignored", {"coupled": lambda coupled, node, i, f: (i, f)}),
        ("input_forget", "input_forget couples i to f", {"coupled": lambda coupled, node, i, f: (1 - f, f)}),
        ("", "input_forget=0 computed as 1", {"coupled": lambda coupled, node, i, f: (i, 1 - i)}),
    ),
    *_family(
        PEEPHOLES, "LSTM P",
        ("", "peepholes ignored", _weight("P", lambda p, units: 0 * p)),
        *(("", f"peephole of {gate} ignored", {
            "peephole": lambda seen, node, letter, gate=gate: seen * (letter != gate)}) for gate in "iof"),
        ("", "peephole of o reads Ct-1", {"seen_by_o": _leave}),
    ),
)
# fmt: on
KINDS = {"RNN": {"RNN"}, "GRU": {"GRU", "gated"}, "LSTM": {"LSTM", "gated"}}
"""The traits of each operator."""
FAULTS = {
    operator: tuple(
        fault._replace(needs=fault.needs - traits)
        for fault in ROWS
        if fault.needs & {"RNN", "GRU", "LSTM", "gated"} <= traits
    )
    for operator, traits in KINDS.items()
}
"""The faults of each operator, in the order in which they are tried and applied."""


@singledispatch
def faults_of(case: KitCase) -> tuple[Known, ...]:
    """Return the faults that the operator of a case may have."""
    return FAULTS[case.operator]


NOT_FOUND = "cause not found"
LOOK_AT_TYPES = Message("Look at the type in which the numbers are computed, and at the type of the outputs.")
LOOK_AT_NUMBERS = Message("Look for a division by 0, an overflow, or memory that is read but never written.")
LOOK_BY_HAND = Message("No known fault gives these numbers, and no two: compare the outputs by hand.")
MOST_SETS = 8
"""The sets of faults from which the search goes on."""
FEW_CASES = 4
"""The attributes that a fault is tried with first."""
MOST_PAIRS, MOST_FIRST = 12_000, 35_000
"""The pairs that are tried for an operator after those of one case, and of this case: of an LSTM 30,000."""

ROUGH = 1e-2
"""How far rounding may move a number, as a part of the largest of its row."""

Faults = frozenset[int]
"""Indices of faults in the list of an operator."""


class NamedFault(NamedTuple):
    """A cause with the cases that show it.

    name: of a fault; ` + ` joins two that explain nothing alone.  look: what to look at in the code.
    """

    name: str
    look: Text
    cases: tuple[str, ...]


def name_faults(judgements: Sequence[Judgement]) -> tuple[NamedFault, ...]:
    """Return what explains the wrong cases, the most frequent first.

    A case has several names where faults act together, and where several give the same numbers in every case.
    """
    looks: dict[str, Text] = {}
    answers: dict[str, list[tuple[str, ...]]] = {}
    explained: dict[str, list[dict[str, Text]]] = {}
    for operator in dict.fromkeys(judgement.case.operator for judgement in judgements):
        explained |= _name_cases(operator, judgements)
    for judgement in (judgement for judgement in judgements if judgement.verdict == "wrong"):
        case = judgement.case.name
        solutions = explained.get(case) or [_name_odd(judgement) or {NOT_FOUND: LOOK_BY_HAND}]
        answers[case] = list(dict.fromkeys(map(tuple, solutions)))
        looks |= {name: look for names in solutions for name, look in names.items()}
    certain = {name for possible in answers.values() if len(possible) == 1 for name in possible[0]}
    cases: dict[str, list[str]] = {}
    for judgement in judgements:
        possible = answers.get(judgement.case.name, [])
        better = [names for names in possible if certain.issuperset(names)]
        for name in dict.fromkeys(name for names in better or possible for name in names):
            cases.setdefault(name, []).append(judgement.case.name)
    order = sorted(cases, key=lambda name: (name == NOT_FOUND, -len(cases[name])))
    return tuple(NamedFault(name, looks[name], tuple(cases[name])) for name in order)


def _name_odd(judgement: Judgement) -> dict[str, Text]:
    """Return a name for outputs that are whole numbers, or without a finite number; {} for others."""
    outputs = judgement.outputs
    if odd := {name: array for name, array in outputs.items() if array.dtype.kind != "f"}:
        types = dict.fromkeys(array.dtype.name for array in odd.values())
        return {f"{', '.join(odd)}: whole numbers ({', '.join(types)})": LOOK_AT_TYPES}
    odd = _without_numbers(judgement)
    values = np.concatenate([np.empty(0), *odd.values()])
    kinds = {"NaN": np.isnan(values).any(), "infinite": np.isinf(values).any()}
    name = f"every number is {' or '.join(kind for kind, has in kinds.items() if has)}"
    name = name if len(odd) == len(outputs) else f"{', '.join(odd)}: {name}"
    return {name: LOOK_AT_NUMBERS} if odd else {}


def _without_numbers(judgement: Judgement) -> dict[str, Array]:
    """Return the numbers that are judged of each output that has no finite one."""
    left = settle(judgement.case, {name: array * np.nan for name, array in judgement.outputs.items()})
    judged = {name: array[np.isnan(left[name])] for name, array in judgement.outputs.items()}
    return {name: values for name, values in judged.items() if values.size and not np.isfinite(values).any()}


def _name_cases(operator: str, judgements: Sequence[Judgement]) -> dict[str, list[dict[str, Text]]]:
    """Return the solutions for each wrong case; what no fault of all types explains, one of a type may."""
    wrong = [judgement for judgement in judgements if judgement.verdict == "wrong"]
    if {judgement.case.dtype for judgement in wrong if judgement.case.operator == operator} == {"float64"}:
        exact = dict(_Search(operator, judgements, is_exact=True).name_cases())
        if all(exact.values()):
            return exact
    search = _Search(operator, judgements)
    answers = dict(search.name_cases())
    single = [answers[name] for name in search.wrong if search.judgements[name].case.dtype == "float32"]
    for dtype in ("float16", "float64"):
        search = _Search(operator, judgements, dtype)
        if not all(answers[name] for name in search.wrong) and (any(single) or not single):
            answers |= {name: faults for name, faults in search.name_cases() if not answers[name]}
    return answers


class _Search:
    """The search for the fewest faults that give the numbers of one operator in the most cases, of one type.

    A set of faults explains a case if the oracle with these faults gives the answer.  A fault that is added
    must explain all that was explained before, also what is right: so the name that fits a single case gives
    way to the name that fits all.  is_exact: without pairs, and within the tolerance
    of each case, so that float32 explains nothing.
    """

    def __init__(
        self, operator: str, judgements: Sequence[Judgement], dtype: str = "", *, is_exact: bool = False
    ) -> None:
        self.dtype, self.is_exact = dtype, is_exact
        self.judgements = {
            judgement.case.name: judgement
            for judgement in sorted(
                judgements, key=lambda judgement: next(iter(judgement.case.inputs.values())).size
            )
            if judgement.case.operator == operator and judgement.outputs
            if all(array.dtype.kind == "f" for array in judgement.outputs.values())
            if dtype in ("", judgement.case.dtype)
        }  # the cheap ones first
        first = next(judgement.case for judgement in judgements if judgement.case.operator == operator)
        self.faults = faults_of(first)
        every = [name for name, judgement in self.judgements.items() if judgement.verdict == "wrong"]
        self.empty = [name for name in every if _without_numbers(self.judgements[name])]
        self.wrong = [name for name in every if name not in self.empty]
        traits = {name: list_traits(judgement.case) for name, judgement in self.judgements.items()}
        self.visible = {
            name: Faults(at for at, fault in enumerate(self.faults) if fault.needs <= traits[name])
            for name in traits
        }
        self.pairs: set[Faults] = set()  # of faults that explain nothing alone
        self.known: dict[tuple[str, Faults], bool] = {}

    def name_cases(self) -> Iterator[tuple[str, list[dict[str, Text]]]]:
        """Yield each wrong case and, for each solution, the names of its faults, with what to look at.

        An output without a finite number starts no search: any fault that overflows would explain it.
        """
        solutions = self._solve() if self.wrong else []
        for case in [*self.wrong, *self.empty]:
            yield case, [self._name(case, faults) for faults in solutions if self._explains(case, faults)]

    def _solve(self) -> list[Faults]:
        """Return the fewest faults that explain the most cases, in each way that there is."""
        solutions = [Faults()]
        alone = [Faults([at]) for at in range(len(self.faults))]
        while not self._explained(solutions[0]).issuperset(self.wrong):
            grown = (
                self._keep_best(more for faults in solutions for more in self._grow(faults, alone, FEW_CASES))
                or self._keep_best(more for faults in solutions for more in self._grow(faults, alone))
                or (self._keep_best(self._grow_by_pairs(solutions[0])) if not self.is_exact else [])
            )
            if not grown:
                break
            solutions = grown
        explained = self._explained(solutions[0])
        solutions = [self._shrink(faults) for faults in solutions if self._explained(faults) == explained]
        fewest = min(map(len, solutions))
        solutions = [faults for faults in solutions if len(faults) == fewest]
        return list(
            dict.fromkeys([*solutions, *(other for faults in solutions for other in self._replace(faults))])
        )

    def _keep_best(self, solutions: Iterable[Faults]) -> list[Faults]:
        """Return the solutions that explain the most, without any whose cases are a part of another's."""
        explained = {faults: self._explained(faults) for faults in solutions}
        best = [
            faults
            for faults in sorted(explained, key=lambda faults: -len(explained[faults]))
            if not any(explained[faults] < other for other in explained.values())
        ]
        return best[:MOST_SETS]

    def _grow(self, faults: Faults, more: Iterable[Faults], few: int | None = None) -> Iterator[Faults]:
        """Yield the faults with more of them, where they explain more, and all that was explained before.

        A fault that every case can show must explain the cheapest case of an attribute.
        few: only of so many attributes.
        """
        explained = self._explained(faults)
        rest = [name for name in self.wrong if name not in explained]
        first = {self.judgements[name].case.attribute: name for name in reversed(rest)}
        cheapest = [name for name in rest if name in first.values()][:few]
        for added in more:
            grown = faults | added
            cases = rest if any(self.faults[at].needs for at in added) else cheapest
            if any(
                self._explains(name, grown) for name in cases if self.visible[name] & grown - faults
            ) and self._explains_all(explained, grown):
                yield grown

    def _grow_by_pairs(self, faults: Faults) -> Iterator[Faults]:
        """Yield the faults with two more, which explain nothing alone, and may change nothing alone.

        A fault that speaks against what is explained is left out.
        """
        explained = self._explained(faults)
        possible = {
            name: [at for at in self.visible[name] - faults if self._explains_all(explained, faults | {at})]
            for name in self.wrong
            if name not in explained
        }
        tried = 0
        for name in sorted(possible, key=lambda name: len(possible[name])):
            pairs = list(map(Faults, combinations(sorted(possible[name]), 2)))
            if tried + len(pairs) > (MOST_PAIRS if tried else MOST_FIRST):
                return
            tried += len(pairs)
            fitting = [pair for pair in pairs if self._explains(name, faults | pair)]
            if grown := list(self._grow(faults, fitting)):
                self.pairs.update(pair for pair in fitting if faults | pair in grown)
                yield from grown
                return

    def _shrink(self, faults: Faults) -> Faults:
        explained = self._explained(faults)
        for at in sorted(faults):
            if self._explains_all(explained, faults - {at}):
                faults -= {at}
        return faults

    def _replace(self, faults: Faults) -> Iterator[Faults]:
        """Yield the faults with another for one of these, where they explain the same."""
        explained = self._explained(faults)
        for at in sorted(faults):
            needed = [name for name in explained if not self._explains(name, faults - {at})]
            for other in sorted(set(range(len(self.faults))) - faults):
                changed = faults - {at} | {other}
                if self._explains_all([*needed, *explained], changed):
                    self.pairs |= {
                        pair - {at} | {other} for pair in self.pairs if at in pair and pair <= faults
                    }
                    yield changed

    def _explained(self, faults: Faults) -> frozenset[str]:
        return frozenset(name for name in self.judgements if self._explains(name, faults))

    def _explains_all(self, names: Iterable[str], faults: Faults) -> bool:
        wanted = {*names}  # the cheap ones first
        return all(self._explains(name, faults) for name in self.judgements if name in wanted)

    def _explains(self, name: str, faults: Faults) -> bool:
        acting, judgement = faults & self.visible[name], self.judgements[name]
        if not acting and judgement.verdict != "wrong":
            return True
        if (name, acting) not in self.known:
            types = {judgement.case.dtype, *(array.dtype.name for array in judgement.outputs.values())}
            dtype = "float16" if "float16" in types else "float32"  # a wrong type has a name of its own
            dtype = judgement.case.dtype if self.is_exact else dtype
            self.known[name, acting] = self._is_close(judgement, acting, dtype)
        return self.known[name, acting]

    def _is_close(self, judgement: Judgement, faults: Faults, dtype: str) -> bool:
        """Return whether the faults give the answer, in any reading; not where shapes do not fit."""

        def is_possible(step: int, row: Array) -> bool:
            rough = {"outputs": ROUGH * np.abs(row).max(axis=-1, keepdims=True)}
            answer = {"outputs": judgement.outputs["outputs"][:, step]}
            return is_close(answer, {"outputs": row}, dtype, rough, may_overflow=bool(faults))

        known = [self.faults[at] for at in sorted(faults)]
        is_open = judgement.case.is_open or any(fault.needs & READINGS.keys() for fault in known)
        for reading in list_readings(judgement.case).values() if is_open else ({},):
            with suppress(ValueError, IndexError), np.errstate(all="ignore"):
                changes = join_changes(known, reading)
                outputs = compute(judgement.case, changes, is_possible)
                near = partial(is_close, judgement.outputs, outputs, dtype, may_overflow=bool(faults))
                if near():
                    return True
                peaks = {name: np.abs(array).max(axis=-1, keepdims=True) for name, array in outputs.items()}
                rough = {name: ROUGH * peak for name, peak in peaks.items()}
                if faults and near(rough):
                    rounding = rounding_of(judgement.case, changes, outputs)
                    if rounding and near(rounding):
                        return True
        return False

    def _name(self, case: str, faults: Faults) -> dict[str, Text]:
        """Return the faults that a case shows by name, and what to look at; a pair has one name."""
        acting, judgement = faults & self.visible[case], self.judgements[case]
        exact = self._is_close(judgement, acting, judgement.case.dtype)
        for at in sorted(acting):
            fewer = acting - {at}
            if (
                self._is_close(judgement, fewer, judgement.case.dtype)
                if exact
                else self._explains(case, fewer)
            ):
                acting = fewer
        pairs = [pair for pair in self.pairs if pair <= faults]
        causes = [*pairs, *(Faults([at]) for at in sorted(faults) if not any(at in pair for pair in pairs))]
        names: dict[str, Text] = {}
        for cause in causes:
            if cause & acting:
                shown = [self.faults[at] for at in sorted(cause)]
                name = " + ".join(fault.name for fault in shown) + (f" in {self.dtype}" if self.dtype else "")
                names[name] = join(dict.fromkeys(fault.text for fault in shown), " ")
        wanted = judgement.case.dtype
        types = {array.dtype.name for array in judgement.outputs.values()} - {wanted}
        if not types and not self._is_close(judgement, acting, wanted):
            types = {"float32"}
        return names | {f"{wanted} computed as {name}": LOOK_AT_TYPES for name in sorted(types)}
