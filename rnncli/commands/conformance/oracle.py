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
    """An activation.  alpha, beta: its numbers, or their defaults; None where it has no such number."""

    compute: Callable[[Array, Any, Any], Array]
    alpha: float | None = None
    beta: float | None = None

    def __call__(self, x: Array) -> Array:
        """Return the function of x."""
        return self.compute(x, self.alpha, self.beta)


FUNCTIONS = {
    "Relu": Function(lambda x, _, __: np.maximum(x, 0)),
    "Tanh": Function(lambda x, _, __: np.tanh(x)),
    "Sigmoid": Function(lambda x, _, __: 1 / (1 + np.exp(-x))),
    "Affine": Function(lambda x, alpha, beta: alpha * x + beta, 1.0, 0.0),
    "LeakyRelu": Function(lambda x, alpha, _: np.where(x >= 0, x, alpha * x), 0.01),
    "ThresholdedRelu": Function(lambda x, alpha, _: np.where(x >= alpha, x, 0), 1.0),
    "ScaledTanh": Function(lambda x, alpha, beta: alpha * np.tanh(beta * x), 1.0, 1.0),
    "HardSigmoid": Function(lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1), 0.2, 0.5),
    "Elu": Function(lambda x, alpha, _: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))), 1.0),
    "Softsign": Function(lambda x, _, __: x / (1 + np.abs(x))),
    "Softplus": Function(lambda x, _, __: np.log1p(np.exp(x))),
}
"""By the name as the operator's text spells it."""
IN_SMALL_LETTERS = {name.lower(): function for name, function in FUNCTIONS.items()}
DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
"""The functions f, g and h of one direction."""


class Recurrence:
    """The computation of one node; each method applies one rule, so that a fault overrides one method.

    In its methods, d is the number of a direction.  is_backward: of each direction.  x: (t, b, x).
    w, r, wb, rb, p: by gate, (directions, u, x), (directions, u, u) and (directions, u).
    functions: f, g and h of one direction after the other.
    """

    def __init__(self, case: KitCase) -> None:
        self.case, self.operator, self.attributes = case, case.operator, case.attributes
        self.units: int = case.attributes["hidden_size"]
        self.states = ("h", "c") if case.operator == "LSTM" else ("h",)
        kinds = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
        self.is_backward = kinds[case.attributes.get("direction", "forward")]
        self.x = self.sequences()
        self.lengths = self.sequence_lengths()
        self.functions = self.activations()
        letters, (wb, rb) = GATES[case.operator], self.biases()
        self.w, self.r = (self.gates(name, self.weight(name, 0), letters) for name in ("W", "R"))
        self.wb, self.rb = self.gates("Wb", wb, letters), self.gates("Rb", rb, letters)
        self.p = self.gates("P", self.weight("P", 3 * self.units), "iof")

    def outputs(self) -> dict[str, Array]:
        """Return the outputs that the node has, in its type."""
        every = self.every_output()
        return {name: every[name] for name in self.case.outputs}

    def every_output(self) -> dict[str, Array]:
        """Return the outputs of the operator, also those that the node leaves out."""
        runs = [self.run(d) for d in self.directions()]
        joined = {name: np.stack([run[name] for run in runs], axis=int(name == "Y")) for name in runs[0]}
        return {name: self.arrange_output(name, joined[name]).astype(self.case.dtype) for name in joined}

    def directions(self) -> list[int]:
        """Return the numbers of the directions, in the order of their outputs."""
        return list(range(len(self.is_backward)))

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

    def sequences(self) -> Array:
        """Return X as (t, b, x)."""
        return self.arrange_input("X", self.case.inputs["X"].astype(np.float64))

    def sequence_lengths(self) -> Array:
        """Return the length of each sequence."""
        steps, batch, _ = self.x.shape
        return self.case.inputs.get("sequence_lens", np.full(batch, steps))

    def weight(self, name: str, columns: int) -> Array:
        """Return a weight with an axis of directions; zeros if it is missing.  columns: of the zeros."""
        array = self.given(name)
        return np.zeros((len(self.is_backward), columns)) if array is None else array

    def biases(self) -> list[Array]:
        """Return Wb and Rb, each (directions, gates * u)."""
        b = self.weight("B", 2 * len(GATES[self.operator]) * self.units)
        return list(b.reshape(len(b), 2, -1).swapaxes(0, 1))

    def gates(self, name: str, array: Array, letters: str) -> Gates:
        """Return the rows of each gate.  name: W, R, Wb, Rb or P.  letters: the order of the gates."""
        parts = array.reshape(len(array), len(letters), self.units, *array.shape[2:])
        return dict(zip(letters, parts.swapaxes(0, 1), strict=True))

    def activations(self) -> list[Function]:
        """Return the functions of all directions, each with its alpha and beta."""
        names = self.attributes.get("activations", DEFAULTS[self.operator] * len(self.is_backward))
        functions = [IN_SMALL_LETTERS[name.lower()] for name in names]
        alphas = self.numbers("activation_alpha", [function.alpha for function in functions])
        betas = self.numbers("activation_beta", [function.beta for function in functions])
        return [
            function._replace(alpha=alpha, beta=beta)
            for function, alpha, beta in zip(functions, alphas, betas, strict=True)
        ]

    def numbers(self, name: str, defaults: list[float | None]) -> Iterator[float | None]:
        """Yield the alpha or beta of each function: the next given one, else the default."""
        given = iter(self.attributes.get(name, ()))
        for default in defaults:
            yield None if default is None else next(given, default)

    def initial(self, d: int, state: str) -> Array:
        """Return the initial state of a direction, (b, u); state: h or c."""
        array = self.given(f"initial_{state}")
        if array is None:
            return np.zeros((self.x.shape[1], self.units))
        return np.asarray(self.arrange_input(f"initial_{state}", array)[d])

    def run(self, d: int) -> dict[str, Array]:
        """Return Y (t, b, u), Y_h and Y_c (b, u) of one direction."""
        carried = self.carry(d, self.processing_order(d, self.x))
        y = self.input_order(d, self.pad(carried["h"][1:]))
        return {"Y": y, **{f"Y_{state}": self.final(d, state, carried[state]) for state in self.states}}

    def processing_order(self, d: int, x: Array) -> Array:
        """Return the sequences in the order in which the direction reads them."""
        return flip(x, self.lengths) if self.is_backward[d] else x

    def input_order(self, d: int, y: Array) -> Array:
        """Return the sequences of a direction in the order of the input."""
        return flip(y, self.lengths) if self.is_backward[d] else y

    def carry(self, d: int, x: Array) -> dict[str, Array]:
        """Return h and c before the first step and after each step, (1 + t, b, u).

        A sequence that has ended keeps its state.
        """
        state = {name: self.initial(d, name) for name in self.states}
        carried = [state]
        for t, row in enumerate(x):
            new, goes_on = self.step(d, row, state), self.goes_on(t)[:, None]
            state = {name: np.where(goes_on, new[name], state[name]) for name in state}
            carried.append(state)
        return {name: np.stack([state[name] for state in carried]) for name in self.states}

    def goes_on(self, t: int) -> Array:
        """Return of each sequence whether it has a step t."""
        return t < self.lengths

    def pad(self, h: Array) -> Array:
        """Return the hidden states with 0 after the end of each sequence."""
        return np.where((np.arange(len(h))[:, None] < self.lengths)[..., None], h, 0)

    def final(self, d: int, state: str, carried: Array) -> Array:
        """Return the state after the last step of each sequence; see `carry`."""
        return np.asarray(carried[-1])

    def step(self, d: int, x: Array, state: Mapping[str, Array]) -> dict[str, Array]:
        """Return h and c after a step."""
        if self.operator == "LSTM":
            return self.lstm(d, x, state["h"], state["c"])
        return {"h": (self.gru if self.operator == "GRU" else self.rnn)(d, x, state["h"])}

    def rnn(self, d: int, x: Array, h: Array) -> Array:
        """Ht = f(Xt*(Wi^T) + Ht-1*(Ri^T) + Wbi + Rbi)."""
        return self.activate(d, 0, self.read(d, "i", x) + self.recall(d, "i", h))

    def gru(self, d: int, x: Array, h: Array) -> Array:
        """Ht = (1 - zt) (.) ht + zt (.) Ht-1."""
        z, r = (self.activate(d, 0, self.read(d, gate, x) + self.recall(d, gate, h)) for gate in "zr")
        return self.update(z, self.activate(d, 1, self.read(d, "h", x) + self.reset(d, r, h)), h)

    def reset(self, d: int, r: Array, h: Array) -> Array:
        """Return what the candidate of a GRU takes of the previous state, and Rbh."""
        return r * self.recall(d, "h", h) if self.resets_after() else self.recall(d, "h", r * h)

    def resets_after(self) -> bool:
        """Return whether the reset gate applies after the product with Rh, and to Rbh."""
        return bool(self.attributes.get("linear_before_reset"))

    def update(self, z: Array, candidate: Array, h: Array) -> Array:
        """Return the new state of a GRU."""
        return np.asarray((1 - z) * candidate + z * h)

    def lstm(self, d: int, x: Array, h: Array, c: Array) -> dict[str, Array]:
        """Ct = ft (.) Ct-1 + it (.) ct; Ht = ot (.) h(Ct)."""
        sums = {gate: self.read(d, gate, x) + self.recall(d, gate, h) for gate in "iofc"}
        i, f = (self.activate(d, 0, sums[gate] + self.peephole(d, gate, c, None)) for gate in "if")
        i, f = self.couple(i, f)
        new = f * c + i * self.activate(d, 1, sums["c"])
        o = self.activate(d, 0, sums["o"] + self.peephole(d, "o", c, new))
        return {"h": o * self.activate_cell(d, new), "c": new}

    def peephole(self, d: int, gate: str, before: Array, after: Array | None) -> Array:
        """Return what a gate reads of the cell state: i and f before the step, o after it."""
        if "P" not in self.case.inputs:
            return np.zeros(self.units)
        return np.asarray(self.p[gate][d] * (before if after is None else after))

    def couple(self, i: Array, f: Array) -> tuple[Array, Array]:
        """Return the input gate and the forget gate, which input_forget couples to the input gate."""
        return (i, 1 - i) if self.attributes.get("input_forget") else (i, f)

    def read(self, d: int, gate: str, x: Array) -> Array:
        """Return what a gate takes of the input, Xt*(W^T) + Wb."""
        return np.asarray(x @ self.w[gate][d].T + self.wb[gate][d])

    def recall(self, d: int, gate: str, h: Array) -> Array:
        """Return what a gate takes of the previous hidden state, Ht-1*(R^T) + Rb."""
        return np.asarray(h @ self.r[gate][d].T + self.rb[gate][d])

    def function(self, d: int, index: int) -> Function:
        """Return f, g or h (index 0, 1 or 2) of a direction."""
        return self.functions[len(DEFAULTS[self.operator]) * d + index]

    def activate(self, d: int, index: int, x: Array) -> Array:
        """Return f, g or h of x, which is clipped first."""
        return self.function(d, index)(self.clip(x))

    def activate_cell(self, d: int, c: Array) -> Array:
        """Return h(Ct)."""
        return self.activate(d, 2, c)

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
    def activate_cell(self, d: int, c: Array) -> Array:
        return self.function(d, 2)(c)


class _ZeroForEmpty(Recurrence):
    def final(self, d: int, state: str, carried: Array) -> Array:
        return np.where((self.lengths > 0)[:, None], super().final(d, state, carried), 0)


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
