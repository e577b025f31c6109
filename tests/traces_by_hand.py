"""Traces made by hand, for tests of what is said of them and how they are drawn; no engine is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from results_by_hand import layers, result

from rnncli.commands.trace.answer import TraceAnswer, stats_of
from rnncli.compute import trace as tracing
from rnncli.layers.stack import Stack
from rnncli.result import Gate, Result, Step

LSTM = ("input", "forget", "candidate", "output")
GRU = ("update", "reset", "candidate")


def wave(batch: int, units: int, phase: float, low: float = -1.0) -> np.ndarray:
    """Numbers between `low` and 1."""
    numbers = np.sin(np.arange(batch * units, dtype=np.float64).reshape(batch, units) * 1.3 + phase)
    return (numbers if low < 0 else (numbers + 1) / 2).astype(np.float32)


def step(names: tuple[str, ...], timestep: int, status: tuple[str, ...], units: int, **place: Any) -> Step:
    batch, phase = len(status), timestep * 0.7
    gates = {}
    for number, name in enumerate(names):
        low = -1.0 if name == "candidate" else 0.0
        after = wave(batch, units, phase + number) if names == GRU and name == "candidate" else None
        gates[name] = Gate(
            wave(batch, units, phase + number) * 4, wave(batch, units, phase + number, low), after
        )
    hidden = wave(batch, units, phase + 9) / 2
    state = {"hidden": hidden, "cell": wave(batch, units, phase + 8)} if names == LSTM else {"hidden": hidden}
    zeroed = np.array([one == "zeroed" for one in status])[:, None]
    return Step(place.get("layer", 0), place.get("direction", "forward"), timestep, status, gates, state,
                np.where(zeroed, np.float32(0), hidden))  # fmt: skip


def traced(name: str, steps: list[Step], shape: tuple[int, int, int], units: int = 3, **flags: Any) -> Result:
    return result(stack=layers(name, units=units, **flags), trace=tuple(steps), input_shape=shape)


def lstm(units: int = 3, batch: int = 1, timesteps: int = 4) -> Result:
    """Every step computed."""
    steps = [step(LSTM, t, ("computed",) * batch, units) for t in range(timesteps)]
    return traced("lstm", steps, (batch, timesteps, 5), units)


def masked() -> Result:
    """A GRU over two sequences, the first masked at its end, the second at its beginning."""
    status = [("computed", "held"), ("computed", "computed"), ("held", "computed")]
    steps = [step(GRU, t, pair, 3) for t, pair in enumerate(status)]
    steps[0].output[1] = 0
    return traced("gru", steps, (2, 3, 5))


def both_ways() -> Result:
    """A Bidirectional LSTM; its outputs of masked steps are zeros."""
    status = [("computed",), ("computed",), ("computed",), ("zeroed",)]
    forward = [step(LSTM, t, status[t], 3, direction="forward") for t in range(4)]
    backward = [step(LSTM, t, status[t], 3, direction="backward") for t in (3, 2, 1, 0)]
    return traced("bilstm", [*forward, *backward], (1, 4, 5), return_sequences=True)


def stack() -> Result:
    """Two layers, of three units and one."""
    both = Stack((*layers("lstm", return_sequences=True), *layers("gru", units=1)))
    first = [step(LSTM, t, ("computed",), 3, layer=0) for t in range(2)]
    second = [step(GRU, t, ("computed",), 1, layer=1) for t in range(2)]
    return result(stack=both, trace=(*first, *second), input_shape=(1, 2, 5))


def odd() -> Result:
    """A NaN in a gate of the second step, and an infinity in the last cell state."""
    made = lstm()
    made.trace[1].gates["forget"].activation[0, 2] = np.nan
    made.trace[3].state["cell"][0, 0] = np.inf
    return made


def answer(
    made: Result, kept: tracing.Kept | None = None, stats: bool = False, **changes: Any
) -> TraceAnswer:
    trace = tracing.narrowed(tracing.of(made), kept or tracing.Kept())
    return TraceAnswer(made, trace, stats_of(trace) if stats else {})


ANSWERS = {
    "trace": answer(lstm()),
    "trace_unit": answer(lstm(), tracing.Kept(units=(1,))),
    "trace_masked": answer(masked()),
    "trace_both_ways": answer(both_ways()),
    "trace_stack": answer(stack()),
    "trace_large": answer(lstm(64, 8, 100)),
    "trace_stats": answer(odd(), stats=True),
}
