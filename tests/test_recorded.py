"""Steps that are packed are the steps that were recorded, and take the room of their numbers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from rnncli import pipeline, recorded, renderers, specs, tracing
from rnncli.answers.trace import TraceAnswer, stats_of
from rnncli.case import Case
from rnncli.page import View
from rnncli.recorded import Recorded, quantities
from rnncli.tracing import Kept

STEPS = 50


def case(expression: str, steps: int = STEPS) -> Case:
    generator = np.random.default_rng(5)
    mask = generator.random((2, steps)) < 0.7
    inputs = generator.standard_normal((2, steps, 2)).astype(np.float32)
    return Case(layers=specs.from_flags([expression], {}), inputs=inputs, mask=mask, seed=1)


@pytest.mark.parametrize(
    "expression",
    ["LSTM(3)", "Bidirectional(GRU(2, return_sequences=True))", "SimpleRNN(2, go_backwards=True)"],
)
def test_packed_steps_are_those_that_were_recorded(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipeline.trace(case(expression)).trace
    monkeypatch.setattr(recorded, "TOGETHER", 16)
    result = pipeline.trace(case(expression))
    packed = result.trace
    assert len(packed) == len(whole)
    for step, expected in zip(packed, whole, strict=True):
        assert step[:4] == expected[:4]
        assert list(step.gates) == list(expected.gates)
        for (name, values), (other, wanted) in zip(quantities(step), quantities(expected), strict=True):
            assert name == other
            np.testing.assert_array_equal(values, wanted, strict=True)
        for name, values in expected.before.items():
            np.testing.assert_array_equal(step.before[name], values)
    assert packed[-1].timestep == whole[-1].timestep
    assert [step.timestep for step in packed[14:18]] == [step.timestep for step in whole[14:18]]
    with pytest.raises(IndexError):
        packed[len(packed)]


def test_what_is_kept_of_packed_steps_is_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Kept(steps=[0, 20, -1], units=[2], batch=[1], gates=["forget"])
    whole = tracing.narrowed(tracing.of(pipeline.trace(case("LSTM(3)"))), asked)
    some = tracing.narrowed(tracing.of(pipeline.trace(case("LSTM(3)"))), asked._replace(steps=None))
    monkeypatch.setattr(recorded, "TOGETHER", 16)
    result = pipeline.trace(case("LSTM(3)"))
    packed = tracing.narrowed(tracing.of(result), asked)
    cut = tracing.narrowed(tracing.of(result), asked._replace(steps=None))
    view = View(width=80)
    for one, other in ((packed, whole), (cut, some)):
        texts = [
            renderers.render(TraceAnswer(result, trace, stats_of(trace)), format, view)
            for trace in (one, other)
            for format in ("table", "json", "csv")
        ]
        assert texts[:3] == texts[3:]


def test_a_long_trace_takes_the_room_of_its_numbers() -> None:
    steps = Recorded()
    result = pipeline.trace(case("LSTM(3)", 3))
    (template,) = [step for step in result.trace if step.timestep == 1]
    count = 20_000
    tracemalloc.start()
    try:
        for time in range(count):
            arrays = {name: values.copy() for name, values in template.state.items()}
            steps.append(template._replace(timestep=time, state=arrays, output=template.output.copy()))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    numbers = sum(values.nbytes for _, values in quantities(template))
    assert held < count * (1.5 * numbers + 100)
    assert steps[12_345].timestep == 12_345
