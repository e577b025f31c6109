"""Whatever the words of a command line are: a known exit code, one message, never a bug."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rnncli.cli import app
from rnncli.cli.flags import load

FITTING = {
    "--layer": ["lstm", "gru", "bilstm", "LSTM(2)", "Dense(2)", "Bidirectional(GRU(2))", "simple_rnn"],
    "--units": ["1", "2"],
    "--activation": ["relu", "linear", "softmax"],
    "--recurrent-activation": ["hard_sigmoid", "tanh"],
    "--kernel-initializer": ["zeros", "probe", "constant:0.1", "Identity()", "lecun_normal"],
    "--recurrent-initializer": ["orthogonal", "zeros", "RandomNormal(seed=3)"],
    "--bias-initializer": ["ones", "uniform:-1:1"],
    "--merge-mode": ["concat", "sum", "none"],
    "--dropout": ["0", "0.5"],
    "--recurrent-dropout": ["0.5"],
    "--dtype": ["float32", "float64", "float16"],
    "--seed": ["0", "7"],
    "--calls": ["1", "3"],
    "--weights": ['{"kernel": [[1]]}'],
    "--initial-state": ["[[[0, 0, 0]], [[1, 1, 1]]]", "[[[0, 1, 0]]]", '{"last_hidden_state": [[1, 2, 3]]}'],
    "--mask": ["[[true, false]]", "[1, 1, 0, 1]"],
    "--mask-value": ["0", "2", "nan", "-inf"],
    "--pad": ["post", "pre"],
    "--pad-value": ["-1", "nan"],
    "--input-shape": ["2,3,4", "1,2", "batch,None,3", "1,2,3,4"],
    "--fill": ["zeros", "normal", "arange"],
    "--input-axes": ["time,batch,features", "time,features", "time"],
    "--format": ["json", "ndjson", "csv", "table", "markdown", "html", "svg", "npy", "npz", "safetensors"],
    "--precision": ["0", "3", "17", "30"],
    "--width": ["1", "20", "200"],
    "--lang": ["ko", "en"],
    "--select": ["hidden_state", "last_hidden_state"],
}
ANY = ["", "-", "0", "-1", "1.5", "nan", "1e999", "LSTM(", "[]", "{}", "[[", "null", "nothing.json",
       "@nothing.json"]  # fmt: skip
ODD = ["é한", "\udce9", "\0", "a" * 300, "9" * 400, "[" * 5000, "(" * 5000]
INPUTS = ["[[[1,2],[3,4]]]", "[[1,2],[3,4]]", "[1]", "sentence", "ragged", "sensors", "series", "case",
          '{"inputs": [[[1, 2]]], "layer": "GRU(2)"}', '[[["NaN", "Infinity"]]]', "[[[1e300]]]"]  # fmt: skip

ALONE = sorted(
    {
        name
        for param in load("shape").params + load("run").params
        if getattr(param, "is_flag", False)
        for name in (*param.opts, *param.secondary_opts)
    }
    - {"--check", "--help"}
)
UNFITTING = st.sampled_from([*ANY, *ODD])
PAIRS = st.sampled_from(sorted(FITTING)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(FITTING[name]) | UNFITTING)
)
PIECES = PAIRS | PAIRS | PAIRS | st.tuples(st.sampled_from(ALONE)) | st.tuples(UNFITTING)


@given(
    st.sampled_from(["run", "shape", "matrix"]),
    st.lists(st.sampled_from(INPUTS), max_size=1),
    st.lists(PIECES, max_size=4),
)
@example("run", ["[" * 100_000], [])
@example("run", ['{"inputs":' * 1000], [])
@example("run", [], [("--layer", "Bidirectional(" * 1000)])
@example("run", [], [("--units", "9" * 400)])
@example("run", [], [("--input-shape", "9" * 400)])
@example("run", [], [("--layer", "\udce9")])
@example("run", ["\0"], [])
@pytest.mark.slow
def test_any_words_end_well(command: str, inputs: list[str], pieces: list[tuple[str, ...]]) -> None:
    engine = [] if command == "shape" else ["--engine", "numpy"]
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.main([command, *engine, *inputs, *(word for piece in pieces for word in piece)])
    said = err.buffer.getvalue().decode()
    shown = out.buffer.getvalue()
    assert code in (0, 2), said
    assert "internal error" not in said
    assert "Traceback" not in said
    assert bool(shown) == (code == 0), said
