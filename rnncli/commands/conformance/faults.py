"""The faults that recurrent operators have: each changes rules of the oracle, and has a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from rnncli.commands.conformance.cases import GATES, OUTPUTS, KitCase
from rnncli.commands.conformance.changes import (
    Changes,
    bound,
    bound_states,
    carry_on,
    change_lengths,
    change_output,
    change_weight,
    choose_functions,
    flip_all,
    ignore_layout,
    in_backward,
    in_run,
    leave,
    number_by_position,
    override,
    reorder,
    take_default_of,
    take_defaults,
    take_functions,
    take_inputs,
    unclip,
)
from rnncli.commands.conformance.oracle import FUNCTIONS, Recurrence
from rnncli.errors import Message


class Fault(NamedTuple):
    """A way to be wrong.

    look: what to look at in the code.  needs: the traits of the cases that can show it, see `list_traits`.
    operators: those that can have it.
    """

    name: str
    look: Message
    needs: frozenset[str]
    operators: tuple[str, ...]
    changes: Changes


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


def change_rules(faults: Sequence[Fault], kind: type[Recurrence] = Recurrence) -> type[Recurrence]:
    """Return a Recurrence with these faults; of two that change one method, the later wraps the earlier."""
    for fault in faults:
        kind = override(kind, fault.changes)
    return kind


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

ALL, GATED, GRU, LSTM = ("RNN", "GRU", "LSTM"), ("GRU", "LSTM"), ("GRU",), ("LSTM",)
H, C, BOTH = "initial_h", "initial_c", frozenset({"initial_h", "initial_c"})
ALPHA, BETA = "activation_alpha", "activation_beta"


def _family(look: Message, needs: str, *rows: tuple[str, str, tuple[str, ...], Changes]) -> Iterator[Fault]:
    """Yield faults of one place in the code.

    needs: the traits that all of them need.  rows: name, further traits, operators, changes.
    """
    for name, more, operators, changes in rows:
        yield Fault(name, look, frozenset(f"{needs} {more}".split()), operators, changes)


def _list_backward() -> Iterator[Fault]:
    """Yield the faults of a backward direction: alone, in a bidirectional node, and in both."""
    # fmt: off
    rows: tuple[tuple[str, str, Changes], ...] = (
        ("computed forward", "", {"processing_order": leave, "input_order": leave}),
        ("with Y in the order of processing", "", {"input_order": leave}),
        ("with X read forward, Y reversed", "", {"processing_order": leave}),
        ("with X and Y reversed over all steps, not within sequence_lens", "sequence_lens",
         {"processing_order": flip_all, "input_order": flip_all}),
        ("with X reversed over all steps, not within sequence_lens", "sequence_lens",
         {"processing_order": flip_all}),
        ("with Y reversed over all steps, not within sequence_lens", "sequence_lens",
         {"input_order": flip_all}),
        ("with final states taken after one step", "",
         {"final": lambda rule, node, d, state, carried: carried[1]}),
        ("with Y_h taken from the last row of Y", "", in_run(lambda node, d, run: {"Y_h": run["Y"][-1]})),
        ("with initial states ignored", H, {"initial": lambda rule, node, d, state: 0 * rule(d, state)}),
    )
    # fmt: on
    for scope, trait in (
        ("direction=reverse", "direction=reverse"),
        ("the backward half", "direction=bidirectional"),
        ("direction=reverse and the backward half", "backward"),
    ):
        for text, needs, changes in rows:
            traits = frozenset([trait, *needs.split()])
            yield Fault(f"{scope} {text}", DIRECTION, traits, ALL, in_backward(changes))


def _list_orders() -> Iterator[Fault]:
    """Yield every wrong order of the gates, in all weights and in each."""
    for names, noun, text, operators in (
        ("W R Wb Rb", "gates", "", GATED),
        ("W", "gates", " in W", GATED),
        ("R", "gates", " in R", GATED),
        ("Wb Rb", "gates", " in B", GATED),
        ("P", "peepholes", "", LSTM),
    ):
        for operator in operators:
            right = "iof" if names == "P" else GATES[operator]
            for order in list(permutations(right))[1:]:
                moved = [gate for gate, read in zip(right, order, strict=True) if gate != read]
                name = f"{noun} read in the order {', '.join(order)}{text}"
                if len(moved) == 2:
                    name = f"{noun} {' and '.join(sorted(moved, key='ifoczrh'.index))} swapped{text}"
                needs = frozenset({"Wb Rb": "B", "P": "P"}.get(names, "").split())
                yield Fault(name, ORDER, needs, (operator,), reorder(names, right, order))


# fmt: off
TWO = "direction=bidirectional"
ROWS = (
    *_list_backward(),
    *_family(
        HALVES, TWO,
        ("halves swapped in all outputs", "", ALL, {
            "directions": lambda rule, node: rule()[::-1]}),
        ("halves swapped in Y", "", ALL, change_output("Y", lambda y: y[:, ::-1])),
        ("halves swapped in Y_h and Y_c", "", ALL, change_output("Y_h Y_c", lambda y: y[::-1])),
        *((f"the backward half uses the forward half's {text}", needs, operators,
           change_weight(names, lambda array, units: array[[0, 0]])) for names, text, needs, operators in (
            ("W", "W", "", ALL), ("R", "R", "", ALL), ("B", "B", "B", ALL), ("P", "P", "P", LSTM),
            ("WRBP", "weights", "", ALL))),
        ("the backward half uses the forward half's initial states", H, ALL, {
            "initial": lambda rule, node, d, state: rule(0, state)}),
        ("initial states of the halves swapped", H, ALL, {
            "initial": lambda rule, node, d, state: rule(1 - d, state)}),
        ("the backward half starts from the forward half's final states", "", ALL, in_backward({
            "initial": lambda rule, node, d, state: node.run(0)[f"Y_{state}"]})),
        ("the backward half is 0", "", ALL, in_backward({
            "run": lambda rule, node, d: {name: 0 * array for name, array in rule(d).items()}})),
        ("directions behind the batch in Y, in the shape of Y", "", ALL,
         change_output("Y", lambda y: y.swapaxes(1, 2).reshape(y.shape))),
    ),
    *_family(
        BIAS, "",
        ("B ignored", "B", ALL, change_weight("B", lambda b, units: 0 * b)),
        *((name, "B", operators, {"biases": change}) for name, operators, change in (
            ("Wb ignored", ALL, lambda rule, node: [0 * rule()[0], rule()[1]]),
            ("Rb ignored", ALL, lambda rule, node: [rule()[0], 0 * rule()[1]]),
            ("B added twice", ALL, lambda rule, node: [2 * bias for bias in rule()]),
            ("Wb used for Rb, too", ALL, lambda rule, node: rule()[:1] * 2),
            ("Rb used for Wb, too", ALL, lambda rule, node: rule()[1:] * 2),
            ("Wb and Rb swapped", GRU, lambda rule, node: rule()[::-1]))),
        ("B read as Wb and Rb of each gate in turn", "B", GATED, change_weight(
            "B", lambda b, units: b.reshape(len(b), -1, 2, units).swapaxes(1, 2).reshape(b.shape))),
        ("1 added to the bias of f", "", LSTM, {
            "read": lambda rule, node, d, gate, x: rule(d, gate, x) + (gate == "f")}),
    ),
    *_list_orders(),
    *_family(
        KERNELS, "",
        ("R ignored", "", ALL, change_weight("R", lambda r, units: 0 * r)),
        ("R transposed in each gate", "", ALL, change_weight(
            "R", lambda r, units: r.reshape(len(r), -1, units, units).swapaxes(2, 3).reshape(r.shape))),
        *((f"{text} read column by column", "", operators, change_weight(
            names, lambda array, units: array.reshape(len(array), *array.shape[:0:-1]).swapaxes(1, 2)))
          for names, text, operators in (("W", "W", ALL), ("R", "R", GATED), ("WR", "W and R", ALL))),
        ("W, R and B read unit by unit, not gate by gate", "", GATED, {
            "gates": lambda rule, node, name, array, letters: (
                rule(name, array, letters) if name == "P"
                else {gate: array[:, at :: len(letters)] for at, gate in enumerate(letters)})}),
    ),
    *_family(
        STATES, "",
        ("initial_h ignored", H, ALL, take_inputs({H: None})),
        ("initial_c ignored", C, LSTM, take_inputs({C: None})),
        ("initial_h and initial_c ignored", "", LSTM, take_inputs({H: None, C: None})),
        ("initial_h ignored where initial_c is missing", H, LSTM, take_inputs({H: None}, unless=BOTH)),
        ("initial_c ignored where initial_h is missing", C, LSTM, take_inputs({C: None}, unless=BOTH)),
        ("an initial state ignored where the other is missing", "", LSTM,
         take_inputs({H: None, C: None}, unless=BOTH)),
        ("initial_h and initial_c swapped", "", LSTM, take_inputs({H: C, C: H})),
        ("initial_h used for initial_c, too", H, LSTM, take_inputs({C: H})),
        ("initial_c used for initial_h, too", C, LSTM, take_inputs({H: C})),
        ("initial states of the first sequence used for all", "", ALL, {
            "initial": lambda rule, node, d, state: (array := rule(d, state)) * 0 + array[:1]}),
    ),
    *_family(
        FINALS, "",
        ("final states taken after one step", "", ALL, {
            "final": lambda rule, node, d, state, carried: carried[1]}),
        ("final states taken before the first step", "", ALL, {
            "final": lambda rule, node, d, state, carried: carried[0]}),
        ("Y_h taken from the last row of Y", "", ALL, in_run(lambda node, d, run: {"Y_h": run["Y"][-1]})),
        ("Y_h and Y_c swapped", "", LSTM, in_run(
            lambda node, d, run: {"Y_h": run["Y_c"], "Y_c": run["Y_h"]})),
        ("Y_h returned for Y_c, too", "", LSTM, in_run(lambda node, d, run: {"Y_c": run["Y_h"]})),
        ("Y_c returned for Y_h, too", "", LSTM, in_run(lambda node, d, run: {"Y_h": run["Y_c"]})),
    ),
    *_family(
        RETURNED, "",
        ("outputs taken by position, though an earlier one is left out", "some_outputs", ALL, {
            "outputs": lambda rule, node: dict(zip(
                node.case.outputs, node.every_output().values(), strict=False))}),
        ("Y_h returned for Y where Y is alone", "outputs=Y", ALL, {
            "outputs": lambda rule, node: {"Y": node.every_output()["Y_h"]}}),
    ),
    *_family(
        LENGTHS, "sequence_lens",
        ("sequence_lens ignored", "", ALL, change_lengths(lambda lens, steps: 0 * lens + steps)),
        ("the first of sequence_lens used for all", "", ALL, change_lengths(
            lambda lens, steps: 0 * lens + lens[:1])),
        ("the longest of sequence_lens used for all", "", ALL, change_lengths(
            lambda lens, steps: 0 * lens + max(lens))),
        ("the shortest of sequence_lens used for all", "", ALL, change_lengths(
            lambda lens, steps: 0 * lens + min(lens))),
        ("sequence_lens one step short", "", ALL, change_lengths(
            lambda lens, steps: np.maximum(lens - 1, 0))),
        ("sequence_lens one step long", "", ALL, change_lengths(
            lambda lens, steps: np.minimum(lens + 1, steps))),
        ("length 0 computed as 1", "", ALL, change_lengths(lambda lens, steps: np.maximum(lens, 1))),
        ("length 0 computed as the number of steps", "", ALL, change_lengths(
            lambda lens, steps: np.where(lens == 0, steps, lens))),
        ("Y repeats the last state after the end of a sequence", "", ALL, {"pad": leave}),
        ("Y computed on after the end of a sequence", "", ALL, {**carry_on(), "pad": leave}),
        ("final states taken after the padding", "", ALL, carry_on("h", "c")),
        ("Y_h taken after the padding", "", LSTM, carry_on("h")),
        ("Y_c taken after the padding", "", LSTM, carry_on("c")),
        ("final states of short sequences are 0", "", ALL, {
            "final": lambda rule, node, d, state, carried: (
                rule(d, state, carried) * (node.lengths == len(carried) - 1)[:, None])}),
        ("Y cut after the longest sequence", "", ALL, in_run(
            lambda node, d, run: {"Y": run["Y"][: max(node.lengths)]})),
    ),
    *_family(
        LAYOUT, "layout=1",
        ("layout ignored", "", ALL, ignore_layout(f"X {H} {C}", "Y Y_h Y_c")),
        ("layout ignored for X", "", ALL, ignore_layout("X", "")),
        ("layout ignored for all outputs", "", ALL, ignore_layout("", "Y Y_h Y_c")),
        ("layout ignored for Y", "", ALL, ignore_layout("", "Y")),
        ("layout ignored for Y_h and Y_c", "", ALL, ignore_layout("", "Y_h Y_c")),
        ("X reshaped, not transposed, for layout=1", "", ALL, ignore_layout("X", "", reshapes=True)),
        ("Y reshaped, not transposed, for layout=1", "", ALL, ignore_layout("", "Y", reshapes=True)),
        ("Y_h and Y_c reshaped, not transposed, for layout=1", "", ALL, ignore_layout(
            "", "Y_h Y_c", reshapes=True)),
        ("directions before the steps in Y of layout=1", "", ALL, {
            "arrange_output": lambda rule, node, name, array: (
                rule(name, array).swapaxes(1, 2) if name == "Y" else rule(name, array))}),
        ("layout ignored for Y_c", "", LSTM, ignore_layout("", "Y_c")),
        ("layout ignored for Y_c, with its halves swapped", TWO, LSTM, {
            "arrange_output": lambda rule, node, name, array: (
                array[::-1] if name == "Y_c" else rule(name, array))}),
    ),
    *_family(
        LAYOUT, "layout=0",
        ("X read with the batch first for layout=0", "", ALL, {
            "arrange_input": lambda rule, node, name, x: x.swapaxes(0, 1) if name == "X" else x}),
    ),
    *_family(
        ACTIVATIONS, "",
        ("activations ignored", "activations", ALL, take_defaults(lambda *_: True)),
        ("activation f ignored", "activations", GRU, take_defaults(lambda at, *_: at % 2 == 0)),
        ("activation g ignored", "activations", GRU, take_defaults(lambda at, *_: at % 2 == 1)),
        ("activation f ignored", "activations", LSTM, take_defaults(lambda at, *_: at % 3 == 0)),
        ("activation g ignored", "activations", LSTM, take_defaults(lambda at, *_: at % 3 == 1)),
        ("activation h ignored", "activations", LSTM, take_defaults(lambda at, *_: at % 3 == 2)),
        ("activations f and g swapped", "", GRU, take_functions(1, 0)),
        ("activations f and g swapped", "", LSTM, take_functions(1, 0, 2)),
        ("activations f and h swapped", "", LSTM, take_functions(2, 1, 0)),
        ("activations g and h swapped", "activations", LSTM, take_functions(0, 2, 1)),
        ("activation f used for g, too", "", GRU, take_functions(0, 0)),
        ("activation f used for g and h, too", "", LSTM, take_functions(0, 0, 0)),
        ("activation g used for h, too", "activations", LSTM, take_functions(0, 1, 1)),
        ("the backward half uses the forward half's activations", f"activations {TWO}", ALL, choose_functions(
            lambda functions, *_: functions[: len(functions) // 2] * 2)),
        ("activations of the backward half ignored", f"activations {TWO}", ALL, take_defaults(
            lambda at, name, count: at >= count // 2)),
        ("activations ignored where spelled in other letters", "activations", ALL, take_defaults(
            lambda at, name, count: name not in FUNCTIONS)),
        *((f"{kind} computed as the default activation", f"activation={kind.lower()}", ALL,
           take_default_of(kind)) for kind in FUNCTIONS),
    ),
    *_family(NUMBERS, "", *((name, needs, ALL, {"numbers": change}) for name, needs, change in (
        ("activation_alpha ignored", ALPHA,
         lambda rule, node, name, defaults: defaults if name == ALPHA else rule(name, defaults)),
        ("activation_beta ignored", BETA,
         lambda rule, node, name, defaults: defaults if name == BETA else rule(name, defaults)),
        ("activation_alpha and activation_beta ignored", "activations",
         lambda rule, node, name, defaults: defaults),
        ("activation_alpha and activation_beta swapped", "activations",
         lambda rule, node, name, defaults: rule(ALPHA if name == BETA else BETA, defaults)),
        ("activation_alpha and activation_beta by the position of the function", "activations",
         number_by_position),
        ("the first activation_alpha and activation_beta used for all functions", "activations",
         lambda rule, node, name, defaults: [
             value and node.attributes.get(name, [value])[0] for value in defaults]),
        ("activation_alpha and activation_beta are 0 where left out", "activations",
         lambda rule, node, name, defaults: rule(name, [value and 0.0 for value in defaults])),
    ))),
    *_family(
        CLIP, "clip",
        ("clip ignored", "", ALL, {"clip": leave}),
        ("clip bounds only from above", "", ALL, {
            "clip": lambda rule, node, x: np.minimum(x, node.attributes["clip"])}),
        ("clip ignored for f", "", GATED, unclip(0)),
        ("clip ignored for g", "", GATED, unclip(1)),
        ("clip bounds the result of an activation", "", ALL, {
            "activate": lambda rule, node, d, at, x: bound(node, node.function(d, at)(x))}),
        ("clip bounds X", "", ALL, {"clip": leave, "sequences": lambda rule, node: bound(node, rule())}),
        ("clip bounds the states", "", GATED, {"clip": leave, **bound_states("h c")}),
        ("clip bounds Ct itself", "", LSTM, bound_states("c")),
    ),
    *_family(
        RESET, "",
        ("linear_before_reset=0 computed as 1", "linear_before_reset=0", GRU, {
            "resets_after": lambda rule, node: True}),
        ("linear_before_reset=1 computed as 0", "linear_before_reset=1", GRU, {
            "resets_after": lambda rule, node: False}),
        ("Rbh outside the reset gate", "B", GRU, {
            "reset": lambda rule, node, d, r, h: (
                rule(d, r, h) + node.resets_after() * (1 - r) * node.rb["h"][d])}),
        ("Rbh inside the reset gate", "B", GRU, {
            "reset": lambda rule, node, d, r, h: (
                rule(d, r, h) + (not node.resets_after()) * (r - 1) * node.rb["h"][d])}),
        ("Wbh inside the reset gate", "B", GRU, {
            "reset": lambda rule, node, d, r, h: rule(d, r, h) + (r - 1) * node.wb["h"][d]}),
        ("the reset gate ignored", "", GRU, {
            "reset": lambda rule, node, d, r, h: rule(d, np.ones_like(r), h)}),
    ),
    *_family(UPDATE, "", ("z and 1 - z swapped", "", GRU, {
        "update": lambda rule, node, z, new, h: rule(1 - z, new, h)})),
    *_family(
        CELL, "",
        ("h(Ct) computed as Ct", "", LSTM, {"activate_cell": leave}),
        ("h(Ct) returned for Y_c", "", LSTM, in_run(
            lambda node, d, run: {"Y_c": node.activate_cell(d, run["Y_c"])})),
    ),
    *_family(
        COUPLED, "",
        ("input_forget ignored", "input_forget", LSTM, {"couple": lambda rule, node, i, f: (i, f)}),
        ("input_forget couples i to f", "input_forget", LSTM, {
            "couple": lambda rule, node, i, f: (1 - f, f)}),
        ("input_forget=0 computed as 1", "", LSTM, {"couple": lambda rule, node, i, f: (i, 1 - i)}),
    ),
    *_family(
        PEEPHOLES, "P",
        ("peepholes ignored", "", LSTM, change_weight("P", lambda p, units: 0 * p)),
        *((f"peephole of {gate} ignored", "", LSTM, {
            "peephole": lambda rule, node, d, letter, *cells, gate=gate: (
                rule(d, letter, *cells) * (letter != gate))}) for gate in "iof"),
        ("peephole of o reads Ct-1", "", LSTM, {
            "peephole": lambda rule, node, d, gate, before, after: rule(d, gate, before, None)}),
    ),
)
# fmt: on
FAULTS = {operator: tuple(fault for fault in ROWS if operator in fault.operators) for operator in ALL}
"""The faults of each operator, in the order in which they are tried and applied."""
