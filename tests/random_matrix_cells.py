"""Random cells whose axes have names: a strategy of Hypothesis, and an interpreter of their equations.

The interpreter reads the file by itself. A value is an array with the names of its axes; it computes with
`np.einsum` and with loops over names, one sequence and one step at a time, and shares no code with rnncli.
"""

import ast
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

UNITS = 6
AXES = ("heads", "keys", "values")
PACKED = (
    "tanh(x @ kernel + bias)", "x @ kernel", "sigmoid(x @ kernel) * 2", "silu(bias - x @ kernel)",
    "x @ kernel + tanh(hidden @ recurrent_kernel)",
)  # fmt: skip


class Named(NamedTuple):
    """An array with the names of its axes."""

    values: np.ndarray
    axes: tuple[str, ...]


@st.composite
def some_matrix_cells(draw: st.DrawFn) -> str:
    """Return the file of a cell with a memory of two or three axes, and lines that may use what is above.

    A layer of it has UNITS units, so that heads and keys join to them.
    """
    sizes = {"heads": draw(st.sampled_from([1, 2, 3, 6])), "keys": "'units / heads'"}
    sizes |= {"values": draw(st.integers(1, 3)), "taps": draw(st.integers(1, 3))}
    memory = draw(st.permutations(AXES))[: draw(st.integers(2, 3))]
    shapes: dict[str, list[str]] = {"memory": list(memory), "window": ["taps", draw(st.sampled_from(AXES))]}
    known: dict[str, tuple[str, ...]] = {"memory": tuple(memory), "window": tuple(shapes["window"])}
    weights = {"out": ["units", "units"], "square": ["values", "values"]}
    for index in range(draw(st.integers(0, 2))):
        axes = draw(st.permutations((*AXES, "units")))[: draw(st.integers(1, 3))]
        weights[f"weight{index}"], known[f"weight{index}"] = list(axes), tuple(axes)
    step: dict[str, str] = {}
    if draw(st.booleans()):
        step["constant"], known["constant"] = draw(st.sampled_from(["0.5", "exp(-1)", "sqrt(keys)"])), ()
    for index in range(draw(st.integers(2, 4))):
        name = f"packed{index}"
        axes = draw(st.permutations(AXES))[: draw(st.integers(1, 3))]
        shapes[name], known[name] = list(axes), tuple(axes)
        step[name] = draw(st.sampled_from(PACKED))
    for index in range(draw(st.integers(1, 5))):
        made, result = draw(_expression(known, 2))
        name = f"line{index}"
        step[name], known[name] = f"tanh({made})", result
    whole = tuple(memory)
    parts = [name for name, axes in known.items() if {*axes} <= {*whole} and name != "memory"]
    change = draw(st.sampled_from(parts)) if parts else "0.5"
    step["memory"] = f"0.5 * memory + {change} * cos(memory)"
    entries = [name for name, axes in known.items() if axes == (shapes["window"][1],)]
    step["window"] = f"shift(window, {draw(st.sampled_from(entries))})" if entries else "0.5 * window"
    sums = "memory"
    for axis in whole:
        sums = f"sum({sums}, {axis})"
    seen = f"sum(sum(window, taps), {shapes['window'][1]})"
    joined = [f"join({name})" for name, axes in known.items() if {*axes} == {"heads", "keys"}]
    joined += [name for name, axes in known.items() if axes == ("units",)]
    more = f" + {draw(st.sampled_from(joined))}" if joined else ""
    step["hidden"] = f"tanh({sums} + x @ kernel + {seen} * (hidden @ out){more})"
    tables = "".join(f"{name} = {size}\n" for name, size in sizes.items())
    axes_text = "".join(f"{name} = {list(axes)!r}\n" for name, axes in shapes.items())
    weights_text = "".join(f"{name} = {{ shape = {axes!r} }}\n" for name, axes in weights.items())
    lines = "".join(f'{name} = "{code}"\n' for name, code in step.items())
    head = "name = 'Random'\nstates = ['hidden', 'memory', 'window']\n"
    return f"{head}[sizes]\n{tables}[shapes]\n{axes_text}[weights]\n{weights_text}[step]\n{lines}"


@st.composite
def _expression(
    draw: st.DrawFn, known: Mapping[str, tuple[str, ...]], deepest: int
) -> tuple[str, tuple[str, ...]]:
    """Return an equation of two names or equations, and its axes."""
    (left, one), (right, two) = (
        draw(_expression(known, deepest - 1))
        if deepest > 1 and draw(st.integers(0, 3)) == 0
        else draw(st.sampled_from(sorted(known.items())))
        for _ in range(2)
    )
    choices = [("outer({l}, {r})", (*one, *(axis for axis in two if axis not in one)))]
    if {*two} <= {*one}:
        choices += [(f"({{l}} {op} {{r}})", one) for op in ("+", "-", "*")] + [("maximum({l}, {r})", one)]
    if one and one[-1] in two:
        choices.append(("({l} @ {r})", (*one[:-1], *(axis for axis in two if axis not in one))))
    if one and one[-1] in ("values", "units"):
        square = "square" if one[-1] == "values" else "out"
        choices += [(f"({{l}} @ {square})", one)] if one[-1] == "values" or len(one) == 1 else []
    if {*one} == {"heads", "keys"}:
        choices.append(("join({l})", ("units",)))
    for axis in one:
        rest = tuple(other for other in one if other != axis)
        choices += [(f"{name}({{l}}, {axis})", rest) for name in ("sum", "mean", "variance")]
        choices += [(f"softmax({{l}}, {axis})", one), (f"({{l}} * index({axis}) / {axis})", one)]
    text, axes = draw(st.sampled_from(choices))
    return text.format(l=left, r=right), axes


class Interpreter:
    """One step of a cell, node by node, for one sequence."""

    def __init__(self, text: str, units: int, features: int, weights: Mapping[str, np.ndarray]) -> None:
        self.document = tomllib.loads(text)
        self.sizes = {"units": units, "features": features}
        for name, size in self.document["sizes"].items():
            self.sizes[name] = size if isinstance(size, int) else units // self.sizes["heads"]
        self.weights = weights
        self.lines = {line: ast.parse(code, mode="eval").body for line, code in self.document["step"].items()}
        self.starts: dict[str, dict[str, int]] = {"kernel": {}, "recurrent_kernel": {}, "bias": {}}
        for weight, starts in self.starts.items():
            at = 0
            for line, code in self.document["step"].items():
                if re.search(rf"\b{weight}\b", code):
                    starts[line], at = at, at + int(np.prod(self.shape(self.axes(line))))

    def axes(self, line: str) -> tuple[str, ...]:
        return tuple(self.document["shapes"].get(line, ["units"]))

    def shape(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(self.sizes[axis] for axis in axes)

    def step(self, x: np.ndarray, states: Mapping[str, Named]) -> dict[str, Named]:
        """Return every line."""
        known = {"x": Named(x, ("features",))}
        known |= {
            name: Named(self.weights[name], tuple(given["shape"]))
            for name, given in self.document["weights"].items()
        }
        known |= {name: Named(np.array(float(size)), ()) for name, size in self.sizes.items()}
        known |= states
        for line, tree in self.lines.items():
            self.line = line
            known[line] = self.value(tree, known)
            if line in states:
                known[line] = self.spread(known[line], states[line].axes)
        return known

    def value(self, tree: Any, known: Mapping[str, Named]) -> Named:
        match tree:
            case ast.Constant(int() | float() as value):
                return Named(np.array(float(value)), ())
            case ast.UnaryOp(ast.USub(), inner):
                return Named(-self.value(inner, known).values, self.value(inner, known).axes)
            case ast.Name("bias") if "bias" not in self.weights:  # without use_bias
                return Named(np.zeros(self.shape(self.axes(self.line))), self.axes(self.line))
            case ast.Name("kernel" | "recurrent_kernel" | "bias" as weight):
                axes = self.axes(self.line)
                start, count = self.starts[weight][self.line], int(np.prod(self.shape(axes)))
                part = self.weights[weight][..., start : start + count]
                return Named(part, ("rows", "columns")) if weight != "bias" else self.spread_flat(part, axes)
            case ast.Name(name):
                return known[name]
            case ast.BinOp(left, ast.MatMult(), right):
                one, two = self.value(left, known), self.value(right, known)
                return self.product(one, two)
            case ast.BinOp(left, operator, right):
                one, two = self.value(left, known), self.value(right, known)
                whole = max((one.axes, two.axes), key=len)
                a, b = (self.spread(each, whole).values for each in (one, two))
                kinds = {ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b}
                return Named(a / b if isinstance(operator, ast.Div) else kinds[type(operator)], whole)
            case ast.Call(ast.Name(function), arguments):
                return self.call(function, arguments, known)
        raise AssertionError(ast.dump(tree))

    def call(self, function: str, arguments: list[Any], known: Mapping[str, Named]) -> Named:
        if function == "index":
            axis = arguments[0].id
            return Named(np.arange(self.sizes[axis], dtype=float), (axis,))
        first = self.value(arguments[0], known)
        if function in ("sum", "mean", "variance", "softmax"):
            axis = arguments[1].id
            place = first.axes.index(axis)
            if function == "softmax":
                powers = np.exp(first.values - first.values.max(place, keepdims=True))
                return Named(powers / powers.sum(place, keepdims=True), first.axes)
            rest = first.axes[:place] + first.axes[place + 1 :]
            reduced = getattr(first.values, "var" if function == "variance" else function)(axis=place)
            return Named(np.asarray(reduced), rest)
        if function in ("tanh", "cos", "exp", "sqrt"):
            return Named(getattr(np, function)(first.values), first.axes)
        if function in ("sigmoid", "silu"):
            gate = 1 / (1 + np.exp(-first.values))
            return Named(gate if function == "sigmoid" else first.values * gate, first.axes)
        if function == "join":
            return Named(first.values.ravel(), ("units",))
        second = self.value(arguments[1], known)
        if function == "shift":
            return Named(np.concatenate([first.values[1:], second.values[None]]), first.axes)
        whole = tuple(dict.fromkeys((*first.axes, *second.axes)))
        if function == "maximum":
            whole = first.axes
        a, b = self.spread(first, whole).values, self.spread(second, whole).values
        return Named(a * b if function == "outer" else np.maximum(a, b), whole)

    def product(self, one: Named, two: Named) -> Named:
        if two.axes == ("rows", "columns"):
            return self.spread_flat(one.values @ two.values, self.axes(self.line))
        if two.axes in (("units", "units"), ("values", "values")):
            return Named(one.values @ two.values, one.axes)
        axis = one.axes[-1]
        whole = tuple(dict.fromkeys((*one.axes, *two.axes)))
        both = self.spread(one, whole).values * self.spread(two, whole).values
        place = whole.index(axis)
        return Named(both.sum(place), whole[:place] + whole[place + 1 :])

    def spread_flat(self, values: np.ndarray, axes: tuple[str, ...]) -> Named:
        return Named(values.reshape(self.shape(axes)), axes)

    def spread(self, value: Named, axes: tuple[str, ...]) -> Named:
        """Return the value with these axes, repeated along those that it lacks."""
        made = np.empty(self.shape(axes))
        for index in np.ndindex(*made.shape):
            at = dict(zip(axes, index, strict=True))
            made[index] = value.values[tuple(at[axis] for axis in value.axes)]
        return Named(made, axes)
