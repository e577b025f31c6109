"""Recurrent nodes, computed sequence by sequence, with mistakes; nothing of the oracle is used.

`answer(case, mistake)` is right without a mistake.  A mistake has the name that the search should give it.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rnncli.conformance.oracle import KitCase
from rnncli.values import Array

MISTAKES = {
    "RNN": ("sequence_lens ignored", "Y computed on after the end of a sequence",
            "Y repeats the last state after the end of a sequence", "final states taken after the padding",
            "direction=reverse computed forward", "the backward half computed forward",
            "direction=reverse and the backward half computed forward",
            "direction=reverse and the backward half with Y in the order of processing",
            "direction=reverse with final states taken after one step", "initial_h ignored", "B ignored",
            "Rb ignored", "clip ignored", "clip bounds only from above", "activations ignored",
            "the backward half uses the forward half's activations", "activation_alpha ignored",
            "activations ignored where spelled in other letters", "layout ignored",
            "layout ignored for Y_h and Y_c", "halves swapped in all outputs",
            "the backward half uses the forward half's W", "initial states of the halves swapped",
            "the backward half starts from the forward half's final states",
            "outputs taken by position, though an earlier one is left out",
            "Y_h returned for Y where Y is alone", "R transposed in each gate",
            "float64 computed as float32"),
    "GRU": ("linear_before_reset=0 computed as 1", "linear_before_reset=1 computed as 0",
            "Rbh outside the reset gate", "Rbh inside the reset gate", "z and 1 - z swapped",
            "gates z and r swapped", "gates r and h swapped in R", "sequence_lens ignored",
            "clip bounds the result of an activation", "activations f and g swapped",
            "direction=reverse and the backward half computed forward",
            "the first of sequence_lens used for all"),
    "LSTM": ("gates i and f swapped", "gates read in the order i, f, c, o in W", "peepholes i and o swapped",
             "peepholes ignored", "peephole of o reads Ct-1", "input_forget ignored",
             "input_forget couples i to f", "initial_c ignored", "initial_h and initial_c swapped",
             "an initial state ignored where the other is missing", "1 added to the bias of f",
             "h(Ct) computed as Ct", "Y_h and Y_c swapped", "Y_c taken after the padding",
             "activation h ignored",
             "activation_alpha and activation_beta by the position of the function"),
}  # fmt: skip
"""By operator, the mistakes that this file makes."""


FUNCTIONS: dict[str, tuple[Callable[..., Array], float, float]] = {
    "RELU": (lambda x, a, b: x * (x > 0), 0, 0),
    "TANH": (lambda x, a, b: np.tanh(x), 0, 0),
    "SIGMOID": (lambda x, a, b: 0.5 + 0.5 * np.tanh(x / 2), 0, 0),
    "AFFINE": (lambda x, a, b: b + a * x, 1, 0),
    "LEAKYRELU": (lambda x, a, b: np.where(x < 0, a * x, x), 0.01, 0),
    "THRESHOLDEDRELU": (lambda x, a, b: x * (x >= a), 1, 0),
    "SCALEDTANH": (lambda x, a, b: a * np.tanh(b * x), 1, 1),
    "HARDSIGMOID": (lambda x, a, b: np.minimum(1, np.maximum(0, a * x + b)), 0.2, 0.5),
    "ELU": (lambda x, a, b: np.where(x < 0, a * (np.exp(x) - 1), x), 1, 0),
    "SOFTSIGN": (lambda x, a, b: x / (1 + abs(x)), 0, 0),
    "SOFTPLUS": (lambda x, a, b: np.log(1 + np.exp(x)), 0, 0),
}
WITH_ALPHA = {"AFFINE", "LEAKYRELU", "THRESHOLDEDRELU", "SCALEDTANH", "HARDSIGMOID", "ELU"}
WITH_BETA = {"AFFINE", "SCALEDTANH", "HARDSIGMOID"}
STANDARD = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


def answer(case: KitCase, *mistakes: str) -> dict[str, Array]:
    """Return the outputs of the case with some mistakes."""
    return Network(case, set(mistakes)).outputs()


class Network:
    def __init__(self, case: KitCase, wrong: set[str]) -> None:
        self.case, self.wrong = case, wrong
        self.options: dict[str, Any] = {
            "direction": "forward", "layout": 0, "linear_before_reset": 0, **case.attributes,
        }  # fmt: skip
        self.n = case.attributes["hidden_size"]
        real = np.float32 if "float64 computed as float32" in wrong else np.float64
        self.tensors = {
            name: array if name == "sequence_lens" else array.astype(real)
            for name, array in case.inputs.items()
        }
        batch_first = self.options["layout"] == 1 and "layout ignored" not in wrong
        x = self.tensors["X"]
        self.x = np.moveaxis(x, 1, 0) if batch_first else x
        self.batch_first = batch_first
        self.steps, self.batch = self.x.shape[:2]
        self.both = self.options["direction"] == "bidirectional"

    def outputs(self) -> dict[str, Array]:
        directions = 2 if self.both else 1
        y = np.zeros((self.steps, directions, self.batch, self.n))
        finals = {"Y_h": np.zeros(y.shape[1:]), "Y_c": np.zeros(y.shape[1:])}
        ends: list[list[tuple[Array, Array]]] = [[], []]
        for d in range(directions):
            for b in range(self.batch):
                start = self.start(d, b)
                if d == 1 and "the backward half starts from the forward half's final states" in self.wrong:
                    start = ends[0][b]
                rows, h, c = self.one_sequence(d, b, start)
                ends[d].append((h, c))
                if "Y_h and Y_c swapped" in self.wrong:
                    h, c = c, h
                y[:, d, b], finals["Y_h"][d, b], finals["Y_c"][d, b] = rows, h, c
        if "halves swapped in all outputs" in self.wrong:
            y, finals = y[:, ::-1], {name: array[::-1] for name, array in finals.items()}
        if self.batch_first:
            y = np.moveaxis(y, 2, 0)
            if "layout ignored for Y_h and Y_c" not in self.wrong:
                finals = {name: np.moveaxis(array, 1, 0) for name, array in finals.items()}
        every = {"Y": y, "Y_h": finals["Y_h"]} | (
            {"Y_c": finals["Y_c"]} if self.case.operator == "LSTM" else {}
        )
        names = self.case.outputs
        chosen = {name: every[name] for name in names}
        if "outputs taken by position, though an earlier one is left out" in self.wrong:
            chosen = dict(zip(names, every.values(), strict=False))
        if names == ("Y",) and "Y_h returned for Y where Y is alone" in self.wrong:
            chosen = {"Y": every["Y_h"]}
        return {name: array.astype(self.case.dtype) for name, array in chosen.items()}

    def start(self, d: int, b: int) -> tuple[Array, Array]:
        """Return h and c before the first step."""
        given = {}
        for name in ("initial_h", "initial_c"):
            if name in self.tensors:
                source = 1 - d if self.both and "initial states of the halves swapped" in self.wrong else d
                array = self.tensors[name]
                given[name] = array[b, source] if self.batch_first else array[source, b]
        if "an initial state ignored where the other is missing" in self.wrong and len(given) == 1:
            given = {}
        zero = np.zeros(self.n)
        h, c = given.get("initial_h", zero), given.get("initial_c", zero)
        if "initial_h ignored" in self.wrong:
            h = zero
        if "initial_c ignored" in self.wrong:
            c = zero
        return (c, h) if "initial_h and initial_c swapped" in self.wrong else (h, c)

    def backward(self, d: int) -> tuple[bool, bool]:
        """Return whether X is read backward, and whether Y is turned back."""
        alone, half = self.options["direction"] == "reverse", self.both and d == 1
        if not (alone or half):
            return False, False
        for where, text in ((alone, "direction=reverse"), (half, "the backward half"),
                            (True, "direction=reverse and the backward half")):  # fmt: skip
            if where and f"{text} computed forward" in self.wrong:
                return False, False
            if where and f"{text} with Y in the order of processing" in self.wrong:
                return True, False
        return True, True

    def one_sequence(self, d: int, b: int, start: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        """Return Y, Y_h and Y_c of one sequence in one direction."""
        lengths = self.tensors.get("sequence_lens")
        if lengths is None or "sequence_lens ignored" in self.wrong:
            length = self.steps
        else:
            length = int(lengths[0 if "the first of sequence_lens used for all" in self.wrong else b])
        read_back, turn_back = self.backward(d)
        order = list(range(length))
        order = (order[::-1] if read_back else order) + list(range(length, self.steps))
        weights, functions = self.weights(d), self.functions(d)
        h, c = start
        states = [start]
        for t in order:
            h, c = self.step(weights, functions, self.x[t, b], h, c)
            states.append((h, c))
        rows = np.zeros((self.steps, self.n))
        for number, t in enumerate(order, 1):
            row = t if turn_back else number - 1
            if number <= length or "Y computed on after the end of a sequence" in self.wrong:
                rows[row] = states[number][0]
            elif "Y repeats the last state after the end of a sequence" in self.wrong:
                rows[row] = states[length][0]
        end_h, end_c = states[length]
        if "final states taken after the padding" in self.wrong:
            end_h, end_c = states[-1]
        if "Y_c taken after the padding" in self.wrong:
            end_c = states[-1][1]
        if self.options["direction"] == "reverse" and (
            "direction=reverse with final states taken after one step" in self.wrong
        ):
            end_h, end_c = states[1]
        return rows, end_h, end_c

    def weights(self, d: int) -> dict[str, dict[str, Array]]:
        """Return W, R, Wb, Rb and P, each by gate."""
        letters = {"RNN": "i", "GRU": "zrh", "LSTM": "iofc"}[self.case.operator]
        n, count = self.n, len(letters)
        w_half = 0 if "the backward half uses the forward half's W" in self.wrong else d
        bias = self.tensors["B"][d] if "B" in self.tensors else np.zeros(2 * count * n)
        if "B ignored" in self.wrong:
            bias = 0 * bias
        parts = {
            "W": self.tensors["W"][w_half],
            "R": self.tensors["R"][d],
            "Wb": bias[: count * n],
            "Rb": bias[count * n :],
        }
        if "Rb ignored" in self.wrong:
            parts["Rb"] = 0 * parts["Rb"]
        order = dict.fromkeys(parts, letters)
        if "gates z and r swapped" in self.wrong:
            order = dict.fromkeys(parts, "rzh")
        if "gates i and f swapped" in self.wrong:
            order = dict.fromkeys(parts, "foic")
        if "gates r and h swapped in R" in self.wrong:
            order["R"] = "zhr"
        if "gates read in the order i, f, c, o in W" in self.wrong:
            order["W"] = "ifco"
        gates = {
            name: {gate: array[n * k : n * k + n] for k, gate in enumerate(order[name])}
            for name, array in parts.items()
        }
        if "R transposed in each gate" in self.wrong:
            gates["R"] = {gate: array.T for gate, array in gates["R"].items()}
        if "1 added to the bias of f" in self.wrong:
            gates["Wb"]["f"] = gates["Wb"]["f"] + 1
        p = (
            self.tensors["P"][d]
            if "P" in self.tensors and "peepholes ignored" not in self.wrong
            else np.zeros(3 * n)
        )
        gates["P"] = dict(
            zip("oif" if "peepholes i and o swapped" in self.wrong else "iof", np.split(p, 3), strict=True)
        )
        return gates

    def functions(self, d: int) -> list[Callable[[Array], Array]]:
        """Return f, g and h of one direction."""
        standard = STANDARD[self.case.operator]
        count = len(standard)
        names = list(self.options.get("activations", standard * (1 + self.both)))
        if "activations ignored" in self.wrong:
            names = standard * (1 + self.both)
        if "activations ignored where spelled in other letters" in self.wrong:
            names = [
                name if name[0].isupper() and not name.isupper() else standard[k % count]
                for k, name in enumerate(names)
            ]
        alphas, betas = (
            list(self.options.get("activation_alpha", [])),
            list(self.options.get("activation_beta", [])),
        )
        if "activation_alpha ignored" in self.wrong:
            alphas = []
        built = []
        for k, name in enumerate(map(str.upper, names)):
            compute, alpha, beta = FUNCTIONS[name]
            if "activation_alpha and activation_beta by the position of the function" in self.wrong:
                alpha, beta = (alphas[k:] or [alpha])[0], (betas[k:] or [beta])[0]
            else:
                alpha = alphas.pop(0) if name in WITH_ALPHA and alphas else alpha
                beta = betas.pop(0) if name in WITH_BETA and betas else beta
            built.append(self.bounded(partial(compute, a=alpha, b=beta)))
        half = 0 if "the backward half uses the forward half's activations" in self.wrong else d
        chosen = built[count * half : count * half + count]
        if "activations f and g swapped" in self.wrong:
            chosen[:2] = chosen[1::-1]
        if "activation h ignored" in self.wrong:
            chosen[2] = self.bounded(np.tanh)
        return chosen

    def bounded(self, function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        limit = self.options.get("clip", math.inf)
        if "clip ignored" in self.wrong:
            return function
        if "clip bounds the result of an activation" in self.wrong:
            return lambda x: np.clip(function(x), -limit, limit)
        low = -math.inf if "clip bounds only from above" in self.wrong else -limit
        return lambda x: function(np.minimum(np.maximum(x, low), limit))

    def step(self, k: Any, functions: list[Any], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        if self.case.operator == "RNN":
            return functions[0](k["W"]["i"] @ x + k["R"]["i"] @ h + k["Wb"]["i"] + k["Rb"]["i"]), c
        if self.case.operator == "GRU":
            return self.gru(k, functions, x, h), c
        return self.lstm(k, functions, x, h, c)

    def gru(self, k: Any, functions: list[Any], x: Array, h: Array) -> Array:
        f, g = functions
        z, r = (f(k["W"][gate] @ x + k["Wb"][gate] + k["R"][gate] @ h + k["Rb"][gate]) for gate in "zr")
        after = bool(self.options["linear_before_reset"])
        if after and "linear_before_reset=1 computed as 0" in self.wrong:
            after = False
        elif not after and "linear_before_reset=0 computed as 1" in self.wrong:
            after = True
        if after:
            outside = "Rbh outside the reset gate" in self.wrong
            inner = r * (k["R"]["h"] @ h) + (1 if outside else r) * k["Rb"]["h"]
        else:
            inside = "Rbh inside the reset gate" in self.wrong
            inner = k["R"]["h"] @ (r * h) + (r if inside else 1) * k["Rb"]["h"]
        new = g(k["W"]["h"] @ x + k["Wb"]["h"] + inner)
        keep = 1 - z if "z and 1 - z swapped" in self.wrong else z
        return np.asarray(new + keep * (h - new))

    def lstm(self, k: Any, functions: list[Any], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        f, g, out = functions
        sums = {gate: k["W"][gate] @ x + k["R"][gate] @ h + k["Wb"][gate] + k["Rb"][gate] for gate in "iofc"}
        i, forget = f(sums["i"] + k["P"]["i"] * c), f(sums["f"] + k["P"]["f"] * c)
        if self.options.get("input_forget") and "input_forget couples i to f" in self.wrong:
            i = 1 - forget
        elif self.options.get("input_forget") and "input_forget ignored" not in self.wrong:
            forget = 1 - i
        new = forget * c + i * g(sums["c"])
        o = f(sums["o"] + k["P"]["o"] * (c if "peephole of o reads Ct-1" in self.wrong else new))
        return o * (new if "h(Ct) computed as Ct" in self.wrong else out(new)), new
