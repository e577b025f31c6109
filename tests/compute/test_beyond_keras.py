"""Where Keras itself raises, or rounds to zero, and rnncli answers: a note says so."""

import json
from pathlib import Path

import numpy as np
import oracle
import pytest
from command import Run

RUN = ("run", "[[1, 2], [3, 4]]", "--seed", "1")
MASK = ("--mask", "[[true, false]]")
STATEFUL = "Keras cannot compute a stateful Bidirectional with return_state"
LISTED = "Keras cannot compute RNN([{}(2)]) with a mask"
KERAS_RAISES = [
    (("-l", "bilstm(2, stateful=True, return_state=True)"), STATEFUL),
    (("-l", "bilstm", "--stateful", "--return-state", *MASK), STATEFUL),
    (("-l", "RNN([GRUCell(2)])", *MASK), LISTED.format("GRUCell")),
    (("-l", "Masking()", "-l", "RNN([LSTMCell(2)], return_sequences=True)"), LISTED.format("LSTMCell")),
    (("-l", "Bidirectional(RNN([GRUCell(2)]))", *MASK), LISTED.format("GRUCell")),
]
KERAS_ANSWERS = [
    ("-l", "bilstm(2, stateful=True)"),
    ("-l", "bilstm(2, return_state=True)", *MASK),
    ("-l", "RNN([GRUCell(2)])"),
    ("-l", "RNN(GRUCell(2))", *MASK),
    ("-l", "RNN([GRUCell(2)], unroll=True)", *MASK),
    ("-l", "RNN([GRUCell(2), GRUCell(2)])", *MASK),
    ("-l", "Masking()", "-l", "GRU(2)", "-l", "Dense(2)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "message"), KERAS_RAISES, ids=str)
def test_an_answer_beyond_keras_says_so(flags: tuple[str, ...], message: str, rnncli: Run) -> None:
    done = rnncli(*RUN, *flags).success()
    assert f"note: {message}" in done.stderr
    done = rnncli(*RUN, *flags, "--engine", "tensorflow")
    assert done.returncode == 3
    assert done.stderr.count("Keras cannot compute") == 1  # the advice of the error, and no note beside it
    assert "note: Keras cannot compute" not in done.stderr


@pytest.mark.parametrize("flags", KERAS_ANSWERS, ids=str)
def test_where_keras_answers_nothing_is_said(flags: tuple[str, ...], rnncli: Run) -> None:
    assert "Keras cannot compute" not in rnncli(*RUN, *flags, "--check").success().stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"), [KERAS_RAISES[0], (("-l", "RNN([GRUCell(2)])"), LISTED.format("GRUCell"))]
)
def test_a_stream_says_so_once(flags: tuple[str, ...], message: str, rnncli: Run, tmp_path: Path) -> None:
    lines = [json.dumps({"inputs": json.loads(RUN[1]), "mask": [True, False]})] * 3
    file = tmp_path / "lines.ndjson"
    file.write_text("\n".join([RUN[1], *lines]))
    command = ("run", str(file), "--stream", "--seed", "1", *flags)
    done = rnncli(*command)
    assert (done.returncode, done.stderr.count(message)) == (0, 1)
    done = rnncli(*command, "--engine", "tensorflow")
    assert done.returncode == 3
    assert "note: Keras cannot compute" not in done.stderr


DENORMAL = "SimpleRNN(1, kernel_initializer=Constant(1e-39), activation='relu')"
SOFTMAX = "SimpleRNN(3, activation='softmax', return_sequences=True)"
CHECKED = [
    ('[[[0.3, 0], ["-Infinity", 0.1]]]', (SOFTMAX,), None,
     "--check: the softmax of infinity is NaN; TensorFlow returns 0"),
    ("[[[0.3, 0], [1, 0.1]]]", (SOFTMAX,), 0, ""),
    ("[[1, 2], [1e-40, 1e-40]]", ("Masking()", "LSTM(2)"), 1,
     "--check: the input has 2 numbers below 1.2e-38 in size, which TensorFlow flushes to 0"),
    ("[[1, 2], [0, 1]]", ("Masking()", "LSTM(2)"), 0, ""),
    ("[[1, 1]]", (DENORMAL,), 1, "--check: hidden_state has 1 number below"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "layers", "code", "said"), CHECKED)
def test_check_says_which_numbers_tensorflow_treats_otherwise(
    text: str, layers: tuple[str, ...], code: int | None, said: str, rnncli: Run
) -> None:
    flags = [word for layer in layers for word in ("-l", layer)]
    done = rnncli(
        "run", text, *flags, "--seed", "1", "--check", "--atol", "0" if DENORMAL in layers else "1e-6"
    )
    assert code is None or done.returncode == code  # where softmax is NaN depends on the CPU
    assert said in done.stderr
    assert ("note: --check" in done.stderr) == bool(said)


def test_tensorflow_takes_denormals_for_zero() -> None:
    mask = oracle.keras.layers.Masking().compute_mask(np.full((1, 1, 2), 1e-40, np.float32))
    assert not np.asarray(mask).any()
