"""The outputs of a recurrent node in float64, as the text of ONNX's operators says; no engine is used.

Letters of the axes: t steps, b sequences, x features, u units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.conformance.cases import GATES, KitCase
from rnncli.errors import Message

Gates = dict[str, Array]
"""A part of a tensor for each gate, by the gate's letter in the operator's text."""


class Function(NamedTuple):
    """An activation.  alpha, beta: the defaults; None where the function has no such number."""

    compute: Callable[[Array, Any, Any], Array]
    alpha: float | None = None
    beta: float | None = None


FUNCTIONS = {
    "relu": Function(lambda x, _, __: np.maximum(x, 0)),
    "tanh": Function(lambda x, _, __: np.tanh(x)),
    "sigmoid": Function(lambda x, _, __: 1 / (1 + np.exp(-x))),
    "affine": Function(lambda x, alpha, beta: alpha * x + beta, 1.0, 0.0),
    "leakyrelu": Function(lambda x, alpha, _: np.where(x >= 0, x, alpha * x), 0.01),
    "thresholdedrelu": Function(lambda x, alpha, _: np.where(x >= alpha, x, 0), 1.0),
    "scaledtanh": Function(lambda x, alpha, beta: alpha * np.tanh(beta * x), 1.0, 1.0),
    "hardsigmoid": Function(lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1), 0.2, 0.5),
    "elu": Function(lambda x, alpha, _: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))), 1.0),
    "softsign": Function(lambda x, _, __: x / (1 + np.abs(x))),
    "softplus": Function(lambda x, _, __: np.log1p(np.exp(x))),
}
"""By the name in small letters."""
DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
"""The functions f, g and h of one direction."""


class Activation(NamedTuple):
    """A function with its numbers."""

    function: Function
    alpha: float | None
    beta: float | None

    def __call__(self, x: Array) -> Array:
        """Return the function of x."""
        return self.function.compute(x, self.alpha, self.beta)


class Direction(NamedTuple):
    """What one direction computes with.

    number: on the axis of directions.  w, r: (u, x) and (u, u) by gate.  wb, rb, p: (u,) by gate.
    functions: f, g and h.
    """

    number: int
    is_reverse: bool
    w: Gates
    r: Gates
    wb: Gates
    rb: Gates
    p: Gates
    functions: tuple[Activation, ...]


class Recurrence:
    """The computation of one node; each method applies one rule, so that a fault overrides one method."""

    def __init__(self, case: KitCase) -> None:
        self.case, self.operator, self.attributes = case, case.operator, case.attributes
        self.units: int = case.attributes["hidden_size"]
        self.states = ("h", "c") if case.operator == "LSTM" else ("h",)

    def outputs(self) -> dict[str, Array]:
        """Return the outputs that the node has, in its type."""
        runs = [self.run(part) for part in self.directions()]
        joined = {name: np.stack([run[name] for run in runs], axis=int(name == "Y")) for name in runs[0]}
        return {
            name: self.arrange_output(name, joined[name]).astype(self.case.dtype)
            for name in self.case.outputs
        }

    def given(self, name: str) -> Array | None:
        """Return an input of the node in float64; None if it is missing."""
        array = self.case.inputs.get(name)
        return None if array is None else array.astype(np.float64)

    def arrange_input(self, name: str, array: Array) -> Array:
        """Return X as (t, b, x), a state as (directions, b, u): layout 1 has the batch first."""
        return array.swapaxes(0, 1) if self.attributes.get("layout") else array

    def arrange_output(self, name: str, array: Array) -> Array:
        """Return Y of (t, directions, b, u), or a final state of (directions, b, u), in the node's layout."""
        if not self.attributes.get("layout"):
            return array
        return array.transpose(2, 0, 1, 3) if name == "Y" else array.swapaxes(0, 1)

    def directions(self) -> list[Direction]:
        """Return the directions of the node."""
        reverse = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
        kinds = reverse[self.attributes.get("direction", "forward")]
        functions = self.activations(len(kinds))
        return [self.direction(number, kind, functions) for number, kind in enumerate(kinds)]

    def direction(self, number: int, is_reverse: bool, functions: list[Activation]) -> Direction:
        """Return one direction, with its part of each weight and of the functions of all directions."""
        w, r, b, p = (self.weight(name, number) for name in ("W", "R", "B", "P"))
        letters, count = GATES[self.operator], len(DEFAULTS[self.operator])
        wb, rb = np.zeros((2, len(letters) * self.units)) if b is None else b.reshape(2, -1)
        return Direction(
            number=number,
            is_reverse=is_reverse,
            w=self.gates("W", w, letters),
            r=self.gates("R", r, letters),
            wb=self.gates("Wb", wb, letters),
            rb=self.gates("Rb", rb, letters),
            p=self.gates("P", np.zeros(3 * self.units) if p is None else p, "iof"),
            functions=tuple(functions[count * number :][:count]),
        )

    def weight(self, name: str, number: int) -> Any:
        """Return the part of a weight for a direction; None if the weight is missing."""
        array = self.given(name)
        return None if array is None else array[number]

    def gates(self, name: str, array: Array, letters: str) -> Gates:
        """Return the rows of each gate.  name: W, R, Wb, Rb or P.  letters: the order of the gates."""
        return dict(zip(letters, array.reshape(len(letters), self.units, *array.shape[1:]), strict=True))

    def activations(self, directions: int) -> list[Activation]:
        """Return the functions of all directions, each with its alpha and beta."""
        names = self.attributes.get("activations", DEFAULTS[self.operator] * directions)
        functions = [FUNCTIONS[name.lower()] for name in names]
        alphas = self.numbers("activation_alpha", [function.alpha for function in functions])
        betas = self.numbers("activation_beta", [function.beta for function in functions])
        return list(map(Activation, functions, alphas, betas))

    def numbers(self, name: str, defaults: list[float | None]) -> Iterator[float | None]:
        """Yield the alpha or beta of each function: the next given one, else the default."""
        given = iter(self.attributes.get(name, ()))
        for default in defaults:
            yield None if default is None else next(given, default)

    def lengths(self) -> Array:
        """Return the length of each sequence."""
        given = self.case.inputs.get("sequence_lens")
        x = self.sequences()
        return np.full(x.shape[1], len(x)) if given is None else given

    def sequences(self) -> Array:
        """Return X as (t, b, x)."""
        x = self.given("X")
        assert x is not None
        return self.arrange_input("X", x)

    def initial(self, part: Direction, state: str) -> Array:
        """Return the initial state of a direction, (b, u); state: h or c."""
        array = self.given(f"initial_{state}")
        if array is None:
            return np.zeros((self.sequences().shape[1], self.units))
        return np.asarray(self.arrange_input(f"initial_{state}", array)[part.number])

    def run(self, part: Direction) -> dict[str, Array]:
        """Return Y (t, b, u), Y_h and Y_c (b, u) of one direction."""
        lengths = self.lengths()
        x = self.processing_order(part, self.sequences(), lengths)
        carried = self.carry(part, x, lengths)
        y = self.input_order(part, self.pad(carried["h"][1:], lengths), lengths)
        finals = {f"Y_{state}": self.final(part, state, carried[state], lengths) for state in self.states}
        return {"Y": y, **finals}

    def processing_order(self, part: Direction, x: Array, lengths: Array) -> Array:
        """Return the sequences in the order in which the direction reads them."""
        return flip(x, lengths) if part.is_reverse else x

    def input_order(self, part: Direction, y: Array, lengths: Array) -> Array:
        """Return the sequences of a direction in the order of the input."""
        return flip(y, lengths) if part.is_reverse else y

    def carry(self, part: Direction, x: Array, lengths: Array) -> dict[str, Array]:
        """Return h and c before the first step and after each step, (1 + t, b, u).

        A sequence that has ended keeps its state.
        """
        state = {name: self.initial(part, name) for name in self.states}
        carried = [state]
        for t, row in enumerate(x):
            new = self.step(part, row, state)
            live = (t < lengths)[:, None]
            state = {name: np.where(live, new[name], state[name]) for name in state}
            carried.append(state)
        return {name: np.stack([state[name] for state in carried]) for name in self.states}

    def pad(self, h: Array, lengths: Array) -> Array:
        """Return the hidden states with 0 after the end of each sequence."""
        return np.where((np.arange(len(h))[:, None] < lengths)[..., None], h, 0)

    def final(self, part: Direction, state: str, carried: Array, lengths: Array) -> Array:
        """Return the state after the last step of each sequence; see `carry`."""
        return np.asarray(carried[-1])

    def step(self, part: Direction, x: Array, state: Mapping[str, Array]) -> dict[str, Array]:
        """Return h and c after a step."""
        if self.operator == "LSTM":
            return self.lstm(part, x, state["h"], state["c"])
        return {"h": (self.gru if self.operator == "GRU" else self.rnn)(part, x, state["h"])}

    def rnn(self, part: Direction, x: Array, h: Array) -> Array:
        """Ht = f(Xt*(Wi^T) + Ht-1*(Ri^T) + Wbi + Rbi)."""
        return self.activate(part, 0, self.read(part, "i", x) + self.recall(part, "i", h))

    def gru(self, part: Direction, x: Array, h: Array) -> Array:
        """Ht = (1 - zt) (.) ht + zt (.) Ht-1."""
        z = self.activate(part, 0, self.read(part, "z", x) + self.recall(part, "z", h))
        r = self.activate(part, 0, self.read(part, "r", x) + self.recall(part, "r", h))
        candidate = self.activate(part, 1, self.read(part, "h", x) + self.reset(part, r, h))
        return self.update(z, candidate, h)

    def reset(self, part: Direction, r: Array, h: Array) -> Array:
        """Return what the candidate of a GRU takes of the previous state."""
        if self.attributes.get("linear_before_reset"):
            return r * self.recall(part, "h", h)
        return self.recall(part, "h", r * h)

    def update(self, z: Array, candidate: Array, h: Array) -> Array:
        """Return the new state of a GRU."""
        return np.asarray((1 - z) * candidate + z * h)

    def lstm(self, part: Direction, x: Array, h: Array, c: Array) -> dict[str, Array]:
        """Ct = ft (.) Ct-1 + it (.) ct; Ht = ot (.) h(Ct)."""
        sums = {gate: self.read(part, gate, x) + self.recall(part, gate, h) for gate in "iofc"}
        i = self.activate(part, 0, sums["i"] + self.peephole(part, "i", c, None))
        f = self.forget(i, self.activate(part, 0, sums["f"] + self.peephole(part, "f", c, None)))
        new = f * c + i * self.activate(part, 1, sums["c"])
        o = self.activate(part, 0, sums["o"] + self.peephole(part, "o", c, new))
        return {"h": o * self.activate_cell(part, new), "c": new}

    def peephole(self, part: Direction, gate: str, before: Array, after: Array | None) -> Array:
        """Return what a gate reads of the cell state: i and f before the step, o after it."""
        return part.p[gate] * (before if after is None else after)

    def forget(self, i: Array, f: Array) -> Array:
        """Return the forget gate, which input_forget couples to the input gate."""
        return 1 - i if self.attributes.get("input_forget") else f

    def read(self, part: Direction, gate: str, x: Array) -> Array:
        """Return what a gate takes of the input, Xt*(W^T) + Wb."""
        return np.asarray(x @ part.w[gate].T + part.wb[gate])

    def recall(self, part: Direction, gate: str, h: Array) -> Array:
        """Return what a gate takes of the previous hidden state, Ht-1*(R^T) + Rb."""
        return np.asarray(h @ part.r[gate].T + part.rb[gate])

    def activate(self, part: Direction, index: int, x: Array) -> Array:
        """Return f, g or h (index 0, 1 or 2) of x, which is clipped first."""
        return part.functions[index](self.clip(x))

    def activate_cell(self, part: Direction, c: Array) -> Array:
        """Return h(Ct)."""
        return self.activate(part, 2, c)

    def clip(self, x: Array) -> Array:
        """Return the input of an activation within the bounds of the attribute clip."""
        bound = self.attributes.get("clip")
        return x if bound is None else np.clip(x, -bound, bound)


def flip(array: Array, lengths: Array) -> Array:
    """Return (t, b, x) with each sequence reversed within its length; what comes after it stays."""
    t = np.arange(len(array))[:, None]
    index = np.where(t < lengths, lengths - 1 - t, t)
    return np.asarray(np.take_along_axis(array, index[..., None], axis=0))


class _UnclippedCell(Recurrence):
    def activate_cell(self, part: Direction, c: Array) -> Array:
        return part.functions[2](c)


class _ZeroForEmpty(Recurrence):
    def final(self, part: Direction, state: str, carried: Array, lengths: Array) -> Array:
        return np.asarray(np.where((lengths > 0)[:, None], super().final(part, state, carried, lengths), 0))


READINGS = {
    "clip": {
        Message("clip bounds Ct before h(Ct), too"): Recurrence,
        Message("clip does not bound Ct before h(Ct)"): _UnclippedCell,
    },
    "sequence_lens": {
        Message("a sequence of length 0 ends in its initial state"): Recurrence,
        Message("a sequence of length 0 ends in a state of zeros"): _ZeroForEmpty,
    },
}
"""What the operator's text leaves open, by the attribute or input; `compute` follows the first reading."""


def compute(case: KitCase, recurrence: type[Recurrence] = Recurrence) -> dict[str, Array]:
    """Return the outputs of a node by name.  recurrence: with a fault, to compute what is wrong with it."""
    return recurrence(case).outputs()


def list_readings(case: KitCase) -> Mapping[Message, type[Recurrence]]:
    """Return how the text can be read of what the case uses; none where it leaves nothing open."""
    used = {*case.attributes, *case.inputs}
    return next((kinds for name, kinds in READINGS.items() if name in used), {})


def readings(case: KitCase) -> dict[Message, dict[str, Array]]:
    """Return the outputs of every reading of the text, for a case that the text leaves open; else none."""
    return {text: compute(case, kind) for text, kind in list_readings(case).items() if case.is_open}
