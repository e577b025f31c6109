"""The cases of ONNX's recurrent nodes, in which every weight differs, and their outputs in float64.

`cases.toml` lists the cases; here they get their numbers.  The oracle computes them as the text of ONNX's
operators says; no engine is used.

Letters of the axes: t steps, b sequences, x features, u units.  `d` is the number of a direction.
Every value that a fault changes has a name, its place: `self.at("z", z)`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, singledispatch
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from rnncli.errors import Message
from rnncli.values import Array

GATES = {"RNN": "i", "GRU": "zrh", "LSTM": "iofc"}
"""The gates of each operator, in the order in which W, R and B hold them."""
OUTPUTS = {"RNN": ("Y", "Y_h"), "GRU": ("Y", "Y_h"), "LSTM": ("Y", "Y_h", "Y_c")}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
"""The inputs of a node, in its order; only an LSTM has the last two."""
WEIGHTS = ("W", "R", "B", "P")
TOLERANCES = {"float32": 2e-5, "float16": 8e-3, "float64": 1e-12}
"""How far an output may be off, absolute and relative, by its type."""


class KitCase(NamedTuple):
    """One model of one recurrent node, with its inputs.

    name: `lstm_reverse_lens`.  operator: RNN, GRU or LSTM.  attribute: the row of the matrix that the case
    belongs to, `sequence_lens`.  attributes: of the node, without those that are left out.
    inputs: by the operator's names (X, W, R, B, sequence_lens, initial_h, initial_c, P), those given.
    graph_inputs: the names of the inputs that the graph takes; the others are initializers.
    outputs: the names of the outputs that the node has, in the graph's order.  dtype: float32, float64 or
    float16.  is_open: whether the operator's text leaves the answer open.
    """

    name: str
    operator: str
    attribute: str
    attributes: Mapping[str, Any]
    inputs: Mapping[str, Array]
    graph_inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dtype: str
    opset: int
    ir_version: int
    is_open: bool


@cache
def list_cases() -> tuple[KitCase, ...]:
    """Return every case, by attribute, then by operator; the same numbers each time."""
    rows = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))
    return tuple(
        _build(attribute, operator, **row)
        for attribute, group in rows.items()
        for row in group
        for operator in row.pop("of", GATES)
    )


def _build(
    attribute: str,
    operator: str,
    *,
    name: str,
    steps: int = 5,
    batch: int = 3,
    features: int = 2,
    units: int = 4,
    bias: bool = True,
    peepholes: bool = False,
    lens: Sequence[int] = (),
    states: Sequence[str] = (),
    fed: Sequence[str] = (),
    outputs: Sequence[str] = (),
    dtype: str = "float32",
    opset: int = 14,
    ir_version: int = 7,
    is_open: bool = False,
    **attributes: Any,
) -> KitCase:
    """Return a case; no two of its weights are equal, and no two of its other numbers.

    The parameters are the keys of `cases.toml`; states that the operator lacks are left out.
    """
    name = f"{operator.lower()}_{name}"
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = len(GATES[operator]) * units
    layout = attributes.get("layout", 0)
    state = (batch, directions, units) if layout else (directions, batch, units)
    weights: dict[str, tuple[int, ...]] = {"W": (directions, rows, features), "R": (directions, rows, units)}
    if bias:
        weights["B"] = (directions, 2 * rows)
    if peepholes:
        weights["P"] = (directions, 3 * units)
    x = (batch, steps, features) if layout else (steps, batch, features)
    present = [key for key in states if operator == "LSTM" or key == "initial_h"]
    inputs = _fill(f"{name} weights", weights, 512, dtype)
    inputs |= _fill(f"{name} inputs", {"X": x, **dict.fromkeys(present, state)}, 256, dtype)
    if lens:
        inputs["sequence_lens"] = np.array(lens, np.int32)
    for array in inputs.values():
        array.flags.writeable = False
    return KitCase(
        name=name,
        operator=operator,
        attribute=attribute,
        attributes={"hidden_size": units, **attributes},
        inputs={key: inputs[key] for key in INPUTS if key in inputs},
        graph_inputs=tuple(key for key in INPUTS if key in inputs and (key in fed or key not in WEIGHTS)),
        outputs=tuple(outputs) or OUTPUTS[operator],
        dtype=dtype,
        opset=opset,
        ir_version=ir_version,
        is_open=is_open,
    )


def _fill(name: str, shapes: Mapping[str, tuple[int, ...]], divisor: int, dtype: str) -> dict[str, Array]:
    """Return arrays of multiples of 1/divisor, every one another, none zero; float16 holds each exactly."""
    grid = np.array([*range(-511, 0), *range(1, 512)])
    draw = np.random.RandomState(crc32(name.encode())).permutation(grid)  # whose numbers NumPy never changes
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(draw[: ends[-1]], ends[:-1])
    return {
        key: (part.reshape(shape) / divisor).astype(dtype)
        for (key, shape), part in zip(shapes.items(), parts, strict=True)
    }


Change = Callable[..., Any]
"""(value, node, more) -> what stands at a place instead; what more there is, `NodeRun` says at each place."""
Changes = Mapping[str, Sequence[Change]]
"""By the name of the place; they are applied in order."""
IsPossible = Callable[[int, Array], bool]
"""(time step, outputs) -> whether they may be those that are looked for."""


class Activation(NamedTuple):
    """An activation.  alpha, beta: its numbers, or their defaults; None where it has no such number."""

    compute: Callable[[Array, Any, Any], Array]
    alpha: float | None = None
    beta: float | None = None

    def __call__(self, x: Array) -> Array:
        """Return the function of x."""
        return self.compute(x, self.alpha, self.beta)


FUNCTIONS = {
    "Relu": Activation(lambda x, _, __: np.maximum(x, 0)),
    "Tanh": Activation(lambda x, _, __: np.tanh(x)),
    "Sigmoid": Activation(lambda x, _, __: 1 / (1 + np.exp(-x))),
    "Affine": Activation(lambda x, alpha, beta: alpha * x + beta, 1.0, 0.0),
    "LeakyRelu": Activation(lambda x, alpha, _: np.where(x >= 0, x, alpha * x), 0.01),
    "ThresholdedRelu": Activation(lambda x, alpha, _: np.where(x >= alpha, x, 0), 1.0),
    "ScaledTanh": Activation(lambda x, alpha, beta: alpha * np.tanh(beta * x), 1.0, 1.0),
    "HardSigmoid": Activation(lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1), 0.2, 0.5),
    "Elu": Activation(lambda x, alpha, _: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))), 1.0),
    "Softsign": Activation(lambda x, _, __: x / (1 + np.abs(x))),
    "Softplus": Activation(lambda x, _, __: np.log1p(np.exp(x))),
}
"""By the name as the operator's text spells it."""
IN_SMALL_LETTERS = {name.lower(): function for name, function in FUNCTIONS.items()}
DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
"""The functions f, g and h of one direction."""


class NodeRun:
    """The computation of one node.

    is_backward: of each direction.  x: (t, b, x).  lengths: of the sequences.
    w, r, wb, rb, p: by the gate's letter, (directions, u, x), (directions, u, u) and (directions, u).
    functions: f, g and h of one direction after the other.
    """

    def __init__(self, case: KitCase, changes: Changes) -> None:
        self.case, self.operator, self.attributes = case, case.operator, case.attributes
        self.changes = changes
        self.units: int = case.attributes["hidden_size"]
        self.states = ("h", "c") if case.operator == "LSTM" else ("h",)
        kinds = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
        self.is_backward = kinds[case.attributes.get("direction", "forward")]
        self.x = self.at("x", self.arrange_input("X", case.inputs["X"].astype(np.float64)))
        steps, batch, _ = self.x.shape
        self.lengths = self.at("lengths", case.inputs.get("sequence_lens", np.full(batch, steps)), steps)
        self.functions = self.list_functions()
        letters = GATES[case.operator]
        self.w, self.r = (self.split(name, self.weight(name, 0), letters) for name in ("W", "R"))
        b = self.weight("B", 2 * len(letters) * self.units)
        wb, rb = self.at("biases", list(b.reshape(len(b), 2, -1).swapaxes(0, 1)))
        self.wb, self.rb = self.split("Wb", wb, letters), self.split("Rb", rb, letters)
        self.p = self.split("P", self.weight("P", 3 * self.units), "iof")

    def at(self, place: str, value: Any, *more: Any) -> Any:
        """Return what the changes make of the value at a place."""
        for change in self.changes.get(place, ()):
            value = change(value, self, *more)
        return value

    def outputs(self) -> dict[str, Array]:
        """Return the outputs that the node has, in its type."""
        runs = [self.run(d) for d in self.at("directions", range(len(self.is_backward)))]
        every = {}
        for name in runs[0]:
            array = self.at("output", np.stack([run[name] for run in runs], axis=int(name == "Y")), name)
            every[name] = self.at("arranged", self.arrange(name, array), name, array).astype(self.case.dtype)
        returned: dict[str, Array] = self.at(
            "outputs", {name: every[name] for name in self.case.outputs}, every
        )
        return returned

    def arrange(self, name: str, array: Array) -> Array:
        """Return Y of (t, directions, b, u), or a final state of (directions, b, u), in the node's layout."""
        if not self.attributes.get("layout"):
            return array
        return array.transpose(2, 0, 1, 3) if name == "Y" else array.swapaxes(0, 1)

    def arrange_input(self, name: str, array: Array) -> Array:
        """Return X as (t, b, x), a state as (directions, b, u): layout 1 has the batch first."""
        arranged = array.swapaxes(0, 1) if self.attributes.get("layout") else array
        return np.asarray(self.at("input", arranged, name, array))

    def given(self, name: str) -> Array | None:
        """Return an input of the node in float64; None if it is missing."""
        array = self.case.inputs.get(self.at("source", name))
        return None if array is None else self.at("given", array.astype(np.float64), name)

    def weight(self, name: str, columns: int) -> Array:
        """Return a weight with an axis of directions; zeros if it is missing.  columns: of the zeros."""
        array = self.given(name)
        return np.zeros((len(self.is_backward), columns)) if array is None else array

    def split(self, name: str, array: Array, right: str) -> dict[str, Array]:
        """Return the rows of each gate.  name: W, R, Wb, Rb or P.  right: the order of the gates."""
        letters = self.at("letters", right, name)
        parts = array.reshape(len(array), len(letters), self.units, *array.shape[2:]).swapaxes(0, 1)
        gates: dict[str, Array] = self.at("gates", dict(zip(letters, parts, strict=True)), name, array)
        return gates

    def list_functions(self) -> list[Activation]:
        """Return the functions of all directions, each with its alpha and beta."""
        names = self.attributes.get("activations", DEFAULTS[self.operator] * len(self.is_backward))
        functions = [IN_SMALL_LETTERS[name.lower()] for name in names]
        alphas = self.deal("activation_alpha", [function.alpha for function in functions])
        betas = self.deal("activation_beta", [function.beta for function in functions])
        numbered = [
            function._replace(alpha=alpha, beta=beta)
            for function, alpha, beta in zip(functions, alphas, betas, strict=True)
        ]
        chosen: list[Activation] = self.at("functions", numbered, names)
        return chosen

    def deal(self, name: str, defaults: list[float | None]) -> list[float | None]:
        """Return the alpha or beta of each function: the next given one, else the default."""
        given = iter(self.at("numbers", self.attributes.get(name, ()), name, defaults))
        return [None if default is None else next(given, default) for default in defaults]

    def initial(self, d: int, state: str) -> Array:
        """Return the initial state of a direction, (b, u); state: h or c."""
        array = self.given(f"initial_{state}")
        if array is None:
            first = np.zeros((self.x.shape[1], self.units))
        else:
            first = self.arrange_input(f"initial_{state}", array)[self.at("initial_half", d)]
        return np.asarray(self.at("initial", first, d, state))

    def run(self, d: int) -> dict[str, Array]:
        """Return Y (t, b, u), Y_h and Y_c (b, u) of one direction."""
        turn = self.is_backward[d]
        x = self.at("processed", flip(self.x, self.lengths) if turn else self.x, d, self.x)
        carried = self.carry(d, x)
        padded = (np.arange(len(x))[:, None] < self.lengths)[..., None]
        h = self.at("padded", np.where(padded, carried["h"][1:], 0), carried["h"][1:])
        y = self.at("returned", flip(h, self.lengths) if turn else h, d, h)
        finals = {
            f"Y_{state}": self.at("final", carried[state][-1], d, state, carried[state])
            for state in self.states
        }
        outputs: dict[str, Array] = self.at("run", {"Y": y, **finals}, d)
        return outputs

    def carry(self, d: int, x: Array) -> dict[str, Array]:
        """Return h and c before the first step and after each step, (1 + t, b, u).

        A sequence that has ended keeps its state.
        """
        state = {name: self.initial(d, name) for name in self.states}
        carried = [state]
        for t, row in enumerate(x):
            new = self.at("step", self.step(d, row, state))
            goes_on = self.at("goes_on", t < self.lengths)[:, None]
            state = {name: np.where(goes_on, new[name], state[name]) for name in state}
            carried.append(state)
        return {name: np.stack([state[name] for state in carried]) for name in self.states}

    def step(self, d: int, x: Array, state: Mapping[str, Array]) -> dict[str, Array]:
        """Return h and c after a step."""
        h = state["h"]
        if self.operator == "LSTM":
            return self.lstm(d, x, h, state["c"])
        if self.operator == "GRU":
            return {"h": self.gru(d, x, h)}
        return {"h": self.activate(d, 0, self.read(d, "i", x) + self.recall(d, "i", h))}

    def gru(self, d: int, x: Array, h: Array) -> Array:
        """Ht = (1 - zt) (.) ht + zt (.) Ht-1; with linear_before_reset, rt applies to Ht-1*(Rh^T) + Rbh."""
        z, r = (self.activate(d, 0, self.read(d, gate, x) + self.recall(d, gate, h)) for gate in "zr")
        z, r = self.at("z", z), self.at("r", r)
        after = self.at("resets_after", bool(self.attributes.get("linear_before_reset")))
        past = r * self.recall(d, "h", h) if after else self.recall(d, "h", r * h)
        past = self.at("past", past, d, r, after)
        candidate = self.activate(d, 1, self.read(d, "h", x) + past)
        return np.asarray((1 - z) * candidate + z * h)

    def lstm(self, d: int, x: Array, h: Array, c: Array) -> dict[str, Array]:
        """Ct = ft (.) Ct-1 + it (.) ct; Ht = ot (.) h(Ct); input_forget couples f to i."""
        sums = {gate: self.read(d, gate, x) + self.recall(d, gate, h) for gate in "iofc"}
        i, f = (self.activate(d, 0, sums[gate] + self.peephole(d, gate, c)) for gate in "if")
        coupled = (i, 1 - i) if self.attributes.get("input_forget") else (i, f)
        i, f = self.at("coupled", coupled, i, f)
        new = f * c + i * self.activate(d, 1, sums["c"])
        o = self.activate(d, 0, sums["o"] + self.peephole(d, "o", self.at("seen_by_o", new, c)))
        return {"h": o * self.activate_cell(d, new), "c": new}

    def peephole(self, d: int, gate: str, c: Array) -> Array:
        """Return what a gate reads of the cell state: i and f before the step, o after it."""
        seen = self.p[gate][d] * c if "P" in self.case.inputs else np.zeros(self.units)
        return np.asarray(self.at("peephole", seen, gate))

    def read(self, d: int, gate: str, x: Array) -> Array:
        """Return what a gate takes of the input, Xt*(W^T) + Wb."""
        return np.asarray(self.at("read", x @ self.w[gate][d].T + self.wb[gate][d], gate))

    def recall(self, d: int, gate: str, h: Array) -> Array:
        """Return what a gate takes of the previous hidden state, Ht-1*(R^T) + Rb."""
        return np.asarray(h @ self.r[gate][d].T + self.rb[gate][d])

    def function(self, d: int, index: int) -> Activation:
        """Return f, g or h (index 0, 1 or 2) of a direction."""
        return self.functions[len(DEFAULTS[self.operator]) * d + index]

    def activate(self, d: int, index: int, x: Array) -> Array:
        """Return f, g or h of x, which the attribute clip bounds first."""
        clip = self.attributes.get("clip")
        bounded = self.at("clipped", x if clip is None else np.clip(x, -clip, clip), x)
        return np.asarray(self.at("activated", self.function(d, index)(bounded), d, index, x))

    def activate_cell(self, d: int, c: Array) -> Array:
        """Return h(Ct)."""
        return np.asarray(self.at("activated_cell", self.activate(d, 2, c), d, c))


def flip(array: Array, lengths: Array) -> Array:
    """Return (t, b, x) with each sequence reversed within its length; what comes after it stays."""
    t = np.arange(len(array))[:, None]
    index = np.where(t < lengths, lengths - 1 - t, t)
    return np.asarray(np.take_along_axis(array, index[..., None], axis=0))


READINGS: Mapping[str, Mapping[Message, Changes]] = {
    "clip": {
        Message("clip bounds Ct before h(Ct), too"): {},
        Message("clip does not bound Ct before h(Ct)"): {
            "activated_cell": [lambda value, node, d, c: node.function(d, 2)(c)]
        },
    },
    "sequence_lens": {
        Message("a sequence of length 0 ends in its initial state"): {},
        Message("a sequence of length 0 ends in a state of zeros"): {
            "final": [lambda value, node, *_: np.where((node.lengths > 0)[:, None], value, 0)]
        },
    },
}
"""What the operator's text leaves open, by the attribute or input; `compute` follows the first reading."""


@singledispatch
def compute(
    case: KitCase, changes: Mapping[str, Sequence[Change]] = {}, is_possible: IsPossible | None = None
) -> dict[str, Array]:
    """Return the outputs of a node by name.

    changes: of a reading, and of faults.
    is_possible: a cell, which is computed step by step, raises ValueError at the first step that is not.
    """
    return NodeRun(case, changes).outputs()


def list_readings(case: KitCase) -> Mapping[Message, Changes]:
    """Return how the text can be read of what the case uses; none where it leaves nothing open."""
    used = {*case.attributes, *case.inputs}
    return next((readings for name, readings in READINGS.items() if name in used), {})


def readings(case: KitCase) -> dict[Message, dict[str, Array]]:
    """Return the outputs of every reading of the text, for a case that the text leaves open; else none."""
    return {text: compute(case, changes) for text, changes in list_readings(case).items() if case.is_open}


@singledispatch
def rounding_of(
    case: KitCase, changes: Mapping[str, Sequence[Change]], outputs: Mapping[str, Array]
) -> Mapping[str, Array] | None:
    """Return how far rounding may move the numbers of these outputs, where a fault lets it grow; or None."""
    return None
