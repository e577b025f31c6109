"""Results made by hand, for tests of their descriptions and tables; these need no engine."""

from dataclasses import replace
from typing import Any

import numpy as np
from claims import claim

from rnncli import specs
from rnncli.addresses import parse_label
from rnncli.commands import engines, samples
from rnncli.commands.matrix import MatrixAnswer
from rnncli.commands.run import RunAnswer
from rnncli.commands.shape import ShapeAnswer, outline
from rnncli.compute.engines import EngineInfo
from rnncli.errors import Message
from rnncli.inputs.sample_files import Sample
from rnncli.result import Matrix, NamedTensor, Result, ShapeReport
from rnncli.show.answer import ListAnswer
from rnncli.values import Spec

SEQUENCE = ("batch", "timesteps", "units")
STATE = ("batch", "units")

HIDDEN = np.array(
    [[[0.2131, -0.0506, -0.0132], [0.1655, -0.0134, -0.0306], [-0.2328, -0.0586, -0.0746],
      [0.2348, -0.1036, -0.085]]],
    np.float32,
)  # fmt: skip
CELL = np.array([[0.3901, -0.4134, -0.6091]], np.float32)


def layers(name: str = "lstm", **flags: Any) -> tuple[Spec, ...]:
    return specs.from_flags([name], {"units": 3, **flags})


def result(*outputs: NamedTensor, **changes: Any) -> Result:
    made = Result(
        engines=("numpy",), seed=42,
        specs=layers(return_sequences=True, return_state=True),
        input_shape=(1, 4, 5), input_dtype="float32", outputs=outputs,
    )  # fmt: skip
    return replace(made, **changes)


def sentence(**changes: Any) -> Result:
    """Return the result of the lesson's LSTM, with return_sequences and return_state."""
    return result(
        NamedTensor(parse_label("hidden_states"), SEQUENCE, HIDDEN),
        NamedTensor(
            parse_label("last_hidden_state"), STATE, HIDDEN[:, -1], (claim("hidden_states[:, -1, :]"),)
        ),
        NamedTensor(parse_label("last_cell_state"), STATE, CELL),
        **changes,
    )


def of_size(
    batch: int = 1,
    timesteps: int = 4,
    units: int = 3,
    prefix: str = "",
    scale: float = 1.0,
    odd: bool = False,
) -> Result:
    """Return waves of numbers between -scale and scale; odd: NaN, infinities, halves, a masked step."""
    states = (np.sin(np.arange(batch * timesteps * units, dtype=np.float64)) * scale).astype(np.float32)
    states = states.reshape(batch, timesteps, units)
    if odd:
        states[0, 0, 0], states[0, -1, -1], states[-1, 0, 0] = np.nan, np.inf, -np.inf
    masked = np.zeros((batch, timesteps), bool)
    masked[:, -1] = odd
    half = units // 2 if odd else 0
    return result(
        NamedTensor(parse_label(f"{prefix}hidden_states"), SEQUENCE, states, masked=masked, half=half),
        NamedTensor(
            parse_label(f"{prefix}forward_last_hidden_state"),
            STATE,
            states[:, -1],
            (claim(f"{prefix}hidden_states[:, -1, :]"),),
        ),
        NamedTensor(parse_label(f"{prefix}backward_last_cell_state"), STATE, states[:, 0] * 2),
        input_shape=(batch, timesteps, 5),
        differences={f"{prefix}hidden_states": 2.98e-8},
    )


def both_ways() -> Result:
    """Return the result of a Bidirectional LSTM with return_sequences and return_state."""
    states = np.concatenate([HIDDEN, HIDDEN[:, ::-1] / 2], axis=-1)
    return result(
        NamedTensor(parse_label("hidden_states"), SEQUENCE, states, half=3),
        NamedTensor(
            parse_label("forward_last_hidden_state"), STATE, states[:, -1, :3],
            (claim("hidden_states[:, -1, :3]"),),
        ),
        NamedTensor(parse_label("forward_last_cell_state"), STATE, CELL),
        NamedTensor(
            parse_label("backward_last_hidden_state"), STATE, states[:, 0, 3:],
            (claim("hidden_states[:, 0, 3:]"),),
        ),
        NamedTensor(parse_label("backward_last_cell_state"), STATE, CELL / 2),
        specs=layers("bilstm", return_sequences=True, return_state=True),
    )  # fmt: skip


def masked() -> Result:
    """Return the result of a GRU with two sequences, the second of which is padded."""
    states = np.concatenate([HIDDEN, HIDDEN[:, [0, 1, 1, 1]]])
    padding = np.zeros((2, 4), bool)
    padding[1, 2:] = True
    return result(
        NamedTensor(parse_label("hidden_states"), SEQUENCE, states, masked=padding),
        specs=layers("gru", return_sequences=True),
        input_shape=(2, 4, 5),
        conditions={"mask": 1},
    )


def report() -> ShapeReport:
    """Return the shapes of an LSTM whose batch size is a name."""
    return outline(layers(return_sequences=True, return_state=True), ("batch", 4, 5))


def stack_report() -> ShapeReport:
    """Return the shapes of two layers with an unknown number of features."""
    stack = (*layers("gru", return_sequences=True), *layers("lstm"))
    return outline(stack, (None, 4, None), all_layers=True)


def matrix(spoilt: bool = False) -> Matrix:
    """Return the four results of the LSTM; spoilt: change the numbers of one of them."""
    results = {}
    for sequences in (False, True):
        for state in (False, True):
            last = HIDDEN[:, -1]
            first = ("hidden_states", SEQUENCE, HIDDEN) if sequences else ("hidden_state", STATE, last)
            same = claim("hidden_states[:, -1, :]" if sequences else "hidden_state")
            states = (
                NamedTensor(parse_label("last_hidden_state"), STATE, last, (same,)),
                NamedTensor(parse_label("last_cell_state"), STATE, CELL + np.float32(spoilt and sequences)),
            )
            results[sequences, state] = result(
                NamedTensor(parse_label(first[0]), *first[1:]),
                *(states if state else ()),
                specs=layers(return_sequences=sequences, return_state=state),
            )
    return Matrix(results)


SAMPLES = (
    Sample("sentence", "sentence.json", "one sentence of 4 words, each a vector of 5 (1, 4, 5)"),
    Sample("sensors", "sensors.csv", "3 sensors, 6 readings of 3 values (3, 6, 3)", "--batch-column sensor"),
)

ENGINES = (
    EngineInfo("numpy", True, "2.4.6", Message("a loop over the layers' own steps")),
    EngineInfo("torch", False, "", Message("pip install torch")),
)

ANSWERS: dict[str, Any] = {
    "run": RunAnswer(sentence()),
    "checked": RunAnswer(
        sentence(differences={"hidden_states": 2.98e-8, "last_hidden_state": 0.0}, ulps={"hidden_states": 1})
    ),
    "both_ways": RunAnswer(both_ways()),
    "masked": RunAnswer(masked()),
    "large": RunAnswer(of_size(32, 1000, 64, "0/", odd=True)),
    "shape": ShapeAnswer(report()),
    "stack": ShapeAnswer(stack_report()),
    "matrix": MatrixAnswer(matrix()),
    "samples": ListAnswer("samples", samples.FIELDS, SAMPLES, samples.COLUMNS),
    "engines": ListAnswer("engines", engines.FIELDS, ENGINES, engines.COLUMNS),
}
