"""A recurrent layer of another framework, written from the textbook, with known differences from Keras.

It shares no code with rnncli: what it returns is what `port` has to explain.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GATES: dict[str, tuple[str, ...]] = {
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("update", "reset", "candidate"),
    "SimpleRNN": ("candidate",),
}
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_sigmoid_keras2": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}

COMPUTED = ("mask=ignored", "final_state=real_end", "padded_outputs=zeros")
"""Differences of a framework that computes padding as data."""


class Kind(NamedTuple):
    """A layer.

    biases: the number of bias vectors in its file.
    lengths: of the sequences, which are padded at the end; empty for sequences of one length.
    padding: the number in padded rows.  masked: whether a mask says which they are.
    """

    class_name: str
    biases: int = 1
    directions: int = 1
    batch: int = 3
    steps: int = 4
    features: int = 5
    units: int = 3
    initial: bool = False
    lengths: tuple[int, ...] = ()
    padding: float = 0.0
    masked: bool = False


class Planted(NamedTuple):
    """Files of another framework.  states, mask: None if there are none."""

    inputs: Array
    weights: dict[str, Array]
    expected: dict[str, Array]
    states: list[Array] | None
    mask: Array | None = None


def plant(kind: Kind, names: Collection[str], seed: int = 0) -> Planted:
    """Return what a framework with these differences, by port's names, has in its files."""
    random = np.random.default_rng(seed)
    told = dict(name.split("=") for name in names)
    x = random.normal(size=(kind.batch, kind.steps, kind.features))
    real = np.arange(kind.steps) < np.array(kind.lengths or [kind.steps] * kind.batch)[:, None]
    if told.get("padding", "").startswith("start"):
        real = real[:, ::-1]
    x[~real] = kind.padding
    count = len(GATES[kind.class_name])
    weights: dict[str, Array] = {}
    results: list[tuple[Array, ...]] = []
    start = _start(kind, random)
    for direction in range(kind.directions):
        kernel = random.normal(size=(kind.features, count * kind.units))
        recurrent = random.normal(size=(kind.units, count * kind.units)) * 0.7
        biases = [random.normal(size=count * kind.units) for _ in range(kind.biases)]
        path = "" if kind.directions == 1 else ("forward/", "backward/")[direction]
        weights |= {f"{path}{key}": one for key, one in _file(kind, kernel, recurrent, biases, told).items()}
        seen = x[:, ::-1] if direction else x
        steps = real[:, ::-1] if direction else real
        results.append(_run(kind, seen, (kernel, recurrent, biases), start, told, steps))
    expected = _expected(kind, results, told)
    if told.get("input_time"):
        x, real = x[:, ::-1], real[:, ::-1]
    if told.get("input_axes") or told.get("axes"):
        x, real = x.swapaxes(0, 1), real.swapaxes(0, 1)
    if start and told.get("initial_states"):
        start = start[::-1]
    return Planted(x, weights, expected, start or None, real if kind.masked else None)


def _start(kind: Kind, random: np.random.Generator) -> list[Array]:
    count = 2 if kind.class_name == "LSTM" else 1
    return [random.normal(size=(kind.batch, kind.units)) for _ in range(count)] if kind.initial else []


def _file(
    kind: Kind, kernel: Array, recurrent: Array, biases: list[Array], told: dict[str, str]
) -> dict[str, Array]:
    keras = GATES[kind.class_name]
    order = told["gates"].split(",") if "gates" in told else keras

    def pack(array: Array) -> Array:
        parts = dict(zip(keras, np.split(array, len(keras), axis=-1), strict=True))
        if "update_gate" in told:
            parts["update"] = -parts["update"]
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    kernel, recurrent = pack(kernel), pack(recurrent)
    which = told.get("transposed", "")
    if which in ("kernel", "both"):
        kernel = kernel.T
    if which in ("recurrent_kernel", "both"):
        recurrent = recurrent.T
    found = {"kernel": kernel, "recurrent_kernel": recurrent}
    if told.get("kernels") == "exchanged":
        return {"a": recurrent, "b": kernel, "c": pack(biases[0])}
    if kind.features == count_of(kind) * kind.units and kind.directions == 1:
        found = {"a": kernel, "b": recurrent}
    return found | dict(zip(("bias", "recurrent_bias"), map(pack, biases), strict=False))


def count_of(kind: Kind) -> int:
    """Return the number of gates."""
    return len(GATES[kind.class_name])


def _run(
    kind: Kind,
    x: Array,
    weights: tuple[Array, Array, list[Array]],
    start: list[Array],
    told: dict[str, str],
    real: Array,
) -> tuple[Array, ...]:
    """Return the sequence in the order of processing, the last hidden state and the last cell state.

    real: False for padded steps.
    """
    kernel, recurrent, biases = weights
    zero = np.zeros(kernel.shape[1])
    first, second = [*biases, zero, zero][:2]
    forms = {
        "first": (first, zero), "second": (second, zero), "doubled": (first, first),
        "recurrent": (zero, first), "none": (zero, zero),
    }  # fmt: skip
    first, second = forms.get(told.get("bias", ""), (first, second))
    gate = ACTIVATIONS[told.get("recurrent_activation", "sigmoid")]
    act = ACTIVATIONS[told.get("activation", "tanh")]
    h = start[0] if start else np.zeros((len(x), kind.units))
    c = start[1] if len(start) > 1 else np.zeros((len(x), kind.units))
    after = told.get("reset_after", "True") == "True"
    skips = "padding" in told or (
        kind.masked and not any(f"{name}={value}" in COMPUTED for name, value in told.items())
    )
    fill = told.get("padded_outputs", told.get("padding", "")).rpartition(",")[2]
    zeros = fill == "zeros" or (skips and kind.directions == 2 and fill != "repeated")
    rows: list[Array] = []
    states: list[tuple[Array, Array]] = []
    for t in range(x.shape[1]):
        before = h, c
        a = np.split(x[:, t] @ kernel + first, count_of(kind), axis=-1)
        b = np.split(h @ recurrent + second, count_of(kind), axis=-1)
        if kind.class_name == "LSTM":
            shift = float(told.get("forget_bias", 0))
            c = gate(a[1] + b[1] + shift) * c + gate(a[0] + b[0]) * act(a[2] + b[2])
            h = gate(a[3] + b[3]) * act(c)
        elif kind.class_name == "GRU":
            z, r = gate(a[0] + b[0]), gate(a[1] + b[1])
            own = np.split(recurrent, 3, axis=-1)[2]
            inner = r * b[2] if after else (r * h) @ own + np.split(second, 3)[2]
            h = z * h + (1 - z) * act(a[2] + inner)
        else:
            h = act(a[0] + b[0])
        row = h
        if skips:  # the state stays; the output is the last one, at first 0
            old = rows[-1] if rows else np.zeros_like(h)
            h, c = (np.where(real[:, t, None], *pair) for pair in zip((h, c), before, strict=True))
            row = np.where(real[:, t, None], h, old)
        rows.append(np.where(real[:, t, None], row, 0) if zeros else row)
        states.append((h, c))
    if "final_state" in told:
        ends = real.sum(axis=1) - 1
        h, c = (np.stack([states[end][which][place] for place, end in enumerate(ends)]) for which in (0, 1))
    return np.stack(rows, axis=1), h, c


def _expected(kind: Kind, results: list[tuple[Array, ...]], told: dict[str, str]) -> dict[str, Array]:
    parts = [one[0] if number == 0 else one[0][:, ::-1] for number, one in enumerate(results)]
    ends = [part[:, -1] for part in parts] if "output" in told else [one[1] for one in results]
    turn = -1 if "merge" in told else 1
    found = {"hidden_states": np.concatenate(parts[::turn], axis=-1)}
    directions = ("",) if kind.directions == 1 else ("forward_", "backward_")
    for direction, (_, h, c) in zip(directions, results, strict=True):
        first, second = (c, h) if "states" in told else (h, c)
        found[f"{direction}last_hidden_state"] = first
        if kind.class_name == "LSTM":
            found[f"{direction}last_cell_state"] = second
    if kind.directions == 2 and "states" not in told:
        found["hidden_state"] = np.concatenate(ends[::turn], axis=-1)
    if "output_time" in told:
        found["hidden_states"] = found["hidden_states"][:, ::-1]
    if told.get("output_axes") or told.get("axes"):
        found["hidden_states"] = found["hidden_states"].swapaxes(0, 1)
    return found
