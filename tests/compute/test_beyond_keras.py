"""Where Keras itself raises, or rounds to zero, and rnncli answers: a note says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import oracle
import pytest

from rnncli.cli.app import main

INLINE = "[[1, 2], [3, 4]]"
MASK = ("--mask", "[[true, false]]")
KERAS_RAISES = [
    (("-l", "bilstm(2, stateful=True, return_state=True)"), "stateful Bidirectional with return_state"),
    (("-l", "bilstm", "--stateful", "--return-state", *MASK), "stateful Bidirectional with return_state"),
    (("-l", "RNN([GRUCell(2)])", *MASK), "RNN([GRUCell(2)]) with a mask"),
    (
        ("-l", "Masking()", "-l", "RNN([LSTMCell(2)], return_sequences=True)"),
        "RNN([LSTMCell(2)]) with a mask",
    ),
    (("-l", "Bidirectional(RNN([GRUCell(2)]))", *MASK), "RNN([GRUCell(2)]) with a mask"),
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


@pytest.mark.parametrize(("flags", "message"), KERAS_RAISES, ids=str)
def test_an_answer_beyond_keras_says_so(
    flags: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", INLINE, "--seed", "1", *flags]) == 0
    assert f"note: Keras cannot compute {message}" in capfd.readouterr().err.replace("a stateful", "stateful")
    assert main(["run", INLINE, "--seed", "1", *flags, "--engine", "tensorflow"]) == 3
    said = capfd.readouterr().err  # the advice of the error, and no note beside it
    assert "note: Keras cannot compute" not in said
    assert said.count("Keras cannot compute") == 1


@pytest.mark.parametrize("flags", KERAS_ANSWERS, ids=str)
def test_where_keras_answers_nothing_is_said(
    flags: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", INLINE, "--seed", "1", *flags, "--check"]) == 0
    assert "Keras cannot compute" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"), [KERAS_RAISES[0], (("-l", "RNN([GRUCell(2)])"), KERAS_RAISES[2][1])]
)
def test_a_stream_says_so_once(
    flags: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = [json.dumps({"inputs": json.loads(INLINE), "mask": [True, False]})] * 3
    (tmp_path / "lines.ndjson").write_text("\n".join([INLINE, *lines]))
    command = ["run", str(tmp_path / "lines.ndjson"), "--stream", "--seed", "1", *flags]
    assert main(command) == 0
    assert (
        capfd.readouterr().err.replace("a stateful", "stateful").count(f"Keras cannot compute {message}") == 1
    )
    assert main([*command, "--engine", "tensorflow"]) == 3
    assert "note: Keras cannot compute" not in capfd.readouterr().err


def test_a_cell_without_the_list_gives_the_same_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    found = []
    for layer, engine in (("RNN([GRUCell(2)])", "numpy"), ("RNN(GRUCell(2))", "tensorflow")):
        asked = ["run", INLINE, "-l", layer, *MASK, "--seed", "1", "-f", "json", "--engine", engine]
        assert main(asked) == 0
        found.append(json.loads(capfd.readouterr().out)["outputs"][0]["values"])
    oracle.near(np.float32(found[0]), np.float32(found[1]))


def test_check_says_that_a_softmax_of_infinity_differs(capfd: pytest.CaptureFixture[str]) -> None:
    flags = ["-l", "SimpleRNN(3, activation='softmax', return_sequences=True)", "--seed", "1", "--check"]
    main(["run", '[[[0.3, 0], ["-Infinity", 0.1]]]', *flags])
    assert "--check: the softmax of infinity is NaN; TensorFlow returns 0" in capfd.readouterr().err
    assert main(["run", "[[[0.3, 0], [1, 0.1]]]", *flags]) == 0
    assert "softmax of infinity" not in capfd.readouterr().err


def test_check_says_that_tensorflow_takes_denormals_for_zero(capfd: pytest.CaptureFixture[str]) -> None:
    mask = oracle.keras.layers.Masking().compute_mask(np.full((1, 1, 2), 1e-40, np.float32))
    assert not np.asarray(mask).any()
    flags = ["-l", "Masking()", "-l", "LSTM(2)", "--seed", "1", "--check"]
    assert main(["run", "[[1, 2], [1e-40, 1e-40]]", *flags]) == 1
    said = capfd.readouterr().err
    assert "--check: the input has 2 numbers below 1.2e-38 in size, which TensorFlow flushes to 0" in said
    assert main(["run", "[[1, 2], [0, 1]]", *flags]) == 0
    assert "TensorFlow takes" not in capfd.readouterr().err
    flags = ["-l", "SimpleRNN(1, kernel_initializer=Constant(1e-39), activation='relu')", "--atol", "0"]
    assert main(["run", "[[1, 1]]", "--check", *flags]) == 1
    assert "--check: hidden_state has 1 number below" in capfd.readouterr().err
