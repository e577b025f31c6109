"""Steps that are stacked are the steps that were computed, and take the memory of their numbers."""

import tracemalloc

import numpy as np
import pytest
from part_labels import gate

from rnncli import compute, specs
from rnncli.commands.trace.answer import TraceAnswer, stats_of
from rnncli.compute import trace as tracing
from rnncli.compute.trace import TraceSelection
from rnncli.errors import InputError
from rnncli.layers.case import Case
from rnncli.process import memory
from rnncli.result import OUTPUT
from rnncli.show import formats
from rnncli.show.page import View

STEPS = 50


def case(expression: str, steps: int = STEPS) -> Case:
    generator = np.random.default_rng(5)
    mask = generator.random((2, steps)) < 0.7
    inputs = generator.standard_normal((2, steps, 2)).astype(np.float32)
    return Case(specs.from_flags([expression], {}), inputs=inputs, mask=mask, seed=1)


@pytest.mark.parametrize("expression", ["LSTM(3)", "GRU(3, zero_output_for_mask=True)"])
def test_each_step_is_that_of_a_run_of_so_many_steps(expression: str) -> None:
    asked = case(expression.replace("(3", "(3, return_state=True"))
    assert asked.mask is not None
    (loop,) = tracing.trace(asked).trace
    assert loop.status.dtype == np.int8
    for step in range(0, STEPS, 7):
        short = asked._replace(inputs=asked.inputs[:, : step + 1], mask=asked.mask[:, : step + 1])
        output, *states = (tensor.values for tensor in compute.run(short, "numpy").outputs)
        for name, values in zip((OUTPUT, *loop.states), (output, *states), strict=True):
            np.testing.assert_array_equal(loop.parts[name][:, step], values)
        assert ((loop.status[:, step] == 0) == asked.mask[:, step]).all()


def test_what_is_kept_is_cut_out_of_every_part() -> None:
    result = tracing.trace(case("LSTM(3)"))
    (whole,) = result.trace
    asked = TraceSelection(steps=[0, 20, -1], units=[2], batch=[1], gates=["forget"])
    (loop,) = tracing.narrow(result.trace, asked)
    assert loop.gates == [gate("forget")]
    assert loop.times.tolist() == [0, 20, STEPS - 1]
    for name, values in loop.parts.items():
        np.testing.assert_array_equal(values, whole.parts[name][[1]][:, [0, 20, -1]][..., [2]])
    np.testing.assert_array_equal(loop.status, whole.status[[1]][:, [0, 20, -1]])
    for output_format in ("table", "json", "csv"):
        assert formats.render(TraceAnswer(result, (loop,), stats_of((loop,))), output_format, View(width=80))


@pytest.mark.slow
def test_a_long_trace_takes_the_memory_of_its_numbers() -> None:
    asked = case("LSTM(3)", 20_000)._replace(mask=None)
    tracemalloc.start()
    try:
        result = compute.run(asked._replace(with_trace=True), "numpy")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (loop,) = result.trace
    numbers = sum(values.nbytes for values in loop.parts.values())
    assert peak < 1.3 * numbers + 12 * 2**20  # the blocks that wait, and what the gates get from the inputs
    assert loop.times[12_345] == 12_345


def test_a_trace_beyond_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "total", lambda: 4000)
    with pytest.raises(InputError, match="the trace would need"):
        tracing.trace(case("LSTM(3)"))
