"""Traces made by hand, for tests of their descriptions and tables; these need no engine."""

from typing import Any

import numpy as np
from part_labels import gate, state
from results_by_hand import layers, result

from rnncli.commands.trace.answer import TraceAnswer, stats_of
from rnncli.compute import trace as tracing
from rnncli.compute.engines.numpy import list_bounds
from rnncli.layers import make
from rnncli.result import OUTPUT, Label, LoopTrace, Result
from rnncli.values import STATUSES

LSTM = ("input", "forget", "candidate", "output")
GRU = ("update", "reset", "candidate")


def wave(batch: int, units: int, phase: float, low: float = -1.0) -> np.ndarray:
    """Return numbers between `low` and 1."""
    numbers = np.sin(np.arange(batch * units, dtype=np.float64).reshape(batch, units) * 1.3 + phase)
    return (numbers if low < 0 else (numbers + 1) / 2).astype(np.float32)


def step(
    names: tuple[str, ...], timestep: int, status: tuple[str, ...], units: int
) -> dict[Label, np.ndarray]:
    """Return the parts of one step, shape (batch, units)."""
    batch, phase = len(status), timestep * 0.7
    parts = {}
    for number, name in enumerate(names):
        low = -1.0 if name == "candidate" else 0.0
        parts[gate(name, "preactivation")] = wave(batch, units, phase + number) * 4
        if names == GRU and name == "candidate":
            parts[gate(name, "recurrent")] = wave(batch, units, phase + number)
        parts[gate(name)] = wave(batch, units, phase + number, low)
    parts[state("hidden")] = wave(batch, units, phase + 9) / 2
    if names == LSTM:
        parts[state("cell")] = wave(batch, units, phase + 8)
    zeroed = np.array([name == "zeroed" for name in status])[:, None]
    return {**parts, OUTPUT: np.where(zeroed, np.float32(0), parts[state("hidden")])}


def loop(
    names: tuple[str, ...],
    status: list[tuple[str, ...]],
    units: int = 3,
    direction: str = "forward",
    **fields: Any,
) -> LoopTrace:
    """Return the trace of one loop.  status: of the sequences at every time step, in the input's order."""
    order = range(len(status))[:: -1 if direction == "backward" else 1]
    made: Any = make(layers("lstm" if names == LSTM else "gru")[0])
    steps = [step(names, time, status[time], units) for time in order]
    return LoopTrace(
        layer=fields.pop("layer", 0),
        direction=direction,
        columns={None: made.cell.text.packing()},
        times=np.array(order),
        status=np.array([[STATUSES.index(name) for name in status[time]] for time in order], np.int8).T,
        parts={part: np.stack([parts[part] for parts in steps], axis=1) for part in steps[0]},
        bounds=list_bounds(made.cell),
        **fields,
    )


def traced(
    name: str, loops: list[LoopTrace], shape: tuple[int, int, int], units: int = 3, **flags: Any
) -> Result:
    return result(specs=layers(name, units=units, **flags), trace=tuple(loops), input_shape=shape)


def lstm(units: int = 3, batch: int = 1, timesteps: int = 4) -> Result:
    """Return the trace of an LSTM; every step is computed."""
    made = loop(LSTM, [("computed",) * batch] * timesteps, units)
    return traced("lstm", [made], (batch, timesteps, 5), units)


def masked() -> Result:
    """Return the trace of a GRU over two sequences, masked at the end and at the beginning."""
    made = loop(GRU, [("computed", "held"), ("computed", "computed"), ("held", "computed")])
    made.parts[state("output")][1, 0] = 0
    return traced("gru", [made], (2, 3, 5))


def both_ways() -> Result:
    """Return the traces of a Bidirectional LSTM whose outputs at masked steps are zeros."""
    status: list[tuple[str, ...]] = [("computed",), ("computed",), ("computed",), ("zeroed",)]
    loops = [loop(LSTM, status, direction=direction, is_half=True) for direction in ("forward", "backward")]
    return traced("bilstm", loops, (1, 4, 5), return_sequences=True)


def stack() -> Result:
    """Return the traces of two layers, with three units and one unit."""
    both = (*layers("lstm", return_sequences=True), *layers("gru", units=1))
    first = loop(LSTM, [("computed",)] * 2, layer=0, in_stack=True)
    second = loop(GRU, [("computed",)] * 2, 1, layer=1, in_stack=True)
    return result(specs=both, trace=(first, second), input_shape=(1, 2, 5))


def odd() -> Result:
    """Return a trace with NaN in a gate of the second step and infinity in the last cell state."""
    made = lstm()
    made.trace[0].parts[gate("forget")][0, 1, 2] = np.nan
    made.trace[0].parts[state("cell")][0, 3, 0] = np.inf
    return made


def answer(
    made: Result, kept: tracing.TraceSelection | None = None, stats: bool = False, **changes: Any
) -> TraceAnswer:
    loops = tracing.narrow(tracing.list_loops(made), kept or tracing.TraceSelection())
    return TraceAnswer(made, loops, stats_of(loops) if stats else {})


ANSWERS: dict[str, Any] = {
    "trace": answer(lstm()),
    "trace_unit": answer(lstm(), tracing.TraceSelection(units=(1,))),
    "trace_masked": answer(masked()),
    "trace_both_ways": answer(both_ways()),
    "trace_stack": answer(stack()),
    "trace_large": answer(lstm(64, 8, 100)),
    "trace_stats": answer(odd(), stats=True),
}
