"""SimpleRNN's candidate is its new hidden state: every page says so, and none calls it a gate."""

import json
from pathlib import Path
from typing import Any

import pytest

SEEDED = ("--seed", "7", "--quiet", "--width", "100")
COMMANDS = [
    ("trace", "-l", "simple_rnn"),
    ("gradients", "-l", "simple_rnn"),
    ("gradients", "-l", "simple_rnn", "--of", "kernel"),
    ("explain", "candidate[0,1,0]", "-l", "simple_rnn"),
    ("explain", "forward/candidate[0,1,0]", "-l", "Bidirectional(SimpleRNN(2))"),
    ("plot", "-l", "simple_rnn", "--terminal"),
    ("gradients", "-l", "RNN([SimpleRNNCell(3), LSTMCell(2)])", "--of", "0/kernel"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("lang", "state", "gate"), [("en", "new hidden state", "gate"), ("ko", "새 은닉 상태", "게이트")]
)
def test_every_page_says_what_the_candidate_is(
    rnncli: Any, command: Any, lang: str, state: str, gate: str
) -> None:
    shown = rnncli(*command, *SEEDED, "--lang", lang).stdout
    assert state in shown
    assert gate not in shown.replace("not a gate", "").replace("게이트가 아님", "")


def test_a_candidate_of_another_cell_is_still_a_part_of_its_update(rnncli: Any) -> None:
    for layer in ("lstm", "gru"):
        for command in (("trace",), ("gradients",), ("gradients", "--of", "kernel"), ("plot", "--terminal")):
            assert "new hidden state" not in rnncli(*command, "-l", layer, *SEEDED).stdout
    both = rnncli("gradients", "--against", "simple_rnn,lstm", "--of", "kernel", *SEEDED).stdout
    assert "\nSimpleRNN  candidate (new hidden state)  " in both
    assert "\nLSTM       candidate  " in both
    trace = rnncli("trace", "-l", "gru", "--return-sequences", "-l", "simple_rnn", *SEEDED).stdout
    assert "\n1/candidate: the new hidden state, not a gate" in trace


def test_the_keys_of_json_stay(rnncli: Any) -> None:
    (step, *_) = json.loads(rnncli("trace", "-l", "simple_rnn", *SEEDED, "-f", "json").stdout)["trace"]
    assert list(step["gates"]) == ["candidate"]
    (found,) = json.loads(
        rnncli("gradients", "-l", "simple_rnn", "--of", "kernel", *SEEDED, "-f", "json").stdout
    )["layers"]
    assert list(found["lines"]) == ["candidate"]
    rows = rnncli("gradients", "-l", "simple_rnn", "--of", "kernel", *SEEDED, "-f", "csv").stdout.splitlines()
    assert rows[0] == "layer,gate,value"
    assert rows[1].startswith("SimpleRNN,candidate,")


def test_equations_decide_not_the_name(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(rnncli("export", "-l", "simple_rnn", "--to", "cell").stdout)
    assert "new hidden state" in rnncli("trace", "-l", f"@{tmp_path / 'own.toml'}", *SEEDED).stdout


def test_a_weight_that_no_line_reads(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "idle.toml").write_text(
        'name = "Idle"\nstates = ["hidden"]\n[weights]\nidle = { shape = ["units"] }\n'
        '[step]\nhidden = "0.5 * hidden + x @ kernel"\n'
    )
    shown = rnncli("gradients", "-l", f"@{tmp_path / 'idle.toml'}", "--of", "idle", *SEEDED).stdout
    assert shown.endswith("with respect to idle\nno line of the cell reads it\n")
