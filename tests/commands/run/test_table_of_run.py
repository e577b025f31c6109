"""What the table says besides the numbers: heads, variables, and what a last state is equal to."""

import pytest
from command import Run

HALF = "--mask [[true,true,true,false]]"
BOTH = "--return-sequences --return-state"


@pytest.mark.parametrize(("flags", "said"), [
    (f"-l lstm {BOTH}", ["outputs, h, c = layer(x)", "u0 u1 u2", "= hidden_states[:, -1, :]"]),
    ("-l lstm", ["outputs = layer(x)"]),
    ("-l gru --return-state", ["outputs, h = layer(x)", "= hidden_state"]),
    (f"-l bilstm {BOTH}", [
        "outputs, fh, fc, bh, bc = layer(x)", "f0 f1 f2 │ b0 b1 b2", "backward, read last (t=0) bh",
        "= hidden_states[:, 0, 3:]",
    ]),
    (f"-l bigru --merge-mode none {BOTH}", ["forward, backward, fh, bh = layer(x)"]),
    ("-l lstm -l gru --return-state", ["outputs, h = layer(x)"]),
    ("-l RNN([LSTMCell(2),GRUCell(2)],return_state=True)", ["outputs, [h0, c0], [h1] = layer(x)"]),
    (f"-l bilstm {BOTH} {HALF}", [
        "!= hidden_states[:, -1, :3]: step 3 of sequence 0 is masked", "backward, read last (first real) bh",
    ]),
    (f"-l gru {BOTH} --zero-output-for-mask {HALF}", [
        "!= hidden_states[:, -1, :]: step 3 of sequence 0 is masked",
    ]),
    (f"-l gru {BOTH} {HALF}", ["= hidden_states[:, -1, :]"]),
    (f"-l bigru --merge-mode sum {BOTH}", [
        "!= hidden_states[:, -1, :]: merge_mode='sum'", "!= hidden_states[:, 0, :]: merge_mode='sum'",
    ]),
    ("-l gru --units 40 --width 60", ["u0 u1 u2 u3…u37 u38 u39"]),
    (f"-l lstm {BOTH} --select last_cell_state", ["outputs, h, c = layer(x)"]),
])  # fmt: skip
def test_what_is_said(rnncli: Run, flags: str, said: list[str]) -> None:
    printed = rnncli("run", "--seed", "1", "--quiet", *flags.split()).success().stdout
    words = " ".join(printed.split())
    assert [text for text in said if text not in words] == []


@pytest.mark.parametrize("flags", ["--all-layers -l gru -l gru", "--calls 2 --all-calls --stateful"])
def test_what_no_single_call_returns_has_no_variables(rnncli: Run, flags: str) -> None:
    assert "= layer(x)" not in rnncli("run", "--seed", "1", *flags.split()).success().stdout


@pytest.mark.parametrize(("lang", "width", "blank"), [
    ("en", 80, 1), ("en", 100, 5), ("en", 120, 5), ("ko", 80, 1), ("ko", 100, 1), ("ko", 120, 5),
])  # fmt: skip
def test_headings_and_rows_between_tensors(rnncli: Run, lang: str, width: int, blank: int) -> None:
    flags = ("run", "--seed", "1", "--quiet", "-l", "bilstm", *BOTH.split(), "--lang", lang)
    lines = rnncli(*flags, "--width", str(width)).stdout.splitlines()
    assert lines[4].split() == (
        ["tensor", "shape", "values"] if lang == "en" else ["텐서", "형태(shape)", "값"]
    )
    assert lines.count("") == blank
