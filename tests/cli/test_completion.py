"""What the shell completes: in a real bash, as bash splits the words, and in the form of zsh and fish."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import HEAVY, environment, run_process
from limits import PATIENCE

from rnncli.cli.completion import join_words, layer_words

BASH = shutil.which("bash")
SCRIPT = """
_rnncli_completion() {{
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD \
        _RNNCLI_COMPLETE=complete_bash {program} -m rnncli ) )
}}
COMP_WORDS=({words}); COMP_CWORD={current}
_rnncli_completion
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(folder: Path, *pieces: str) -> list[str]:
    """Return what is offered for the last piece; pieces are words as bash splits them."""
    asked = {
        "_RNNCLI_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(pieces),
        "COMP_CWORD": str(len(pieces) - 1),
    }
    done = run_process(cwd=folder, env=asked)
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if line]


def completed_by_bash(folder: Path, *pieces: str) -> list[str]:
    """Return what bash offers for the last piece; pieces are words as bash splits them."""
    script = SCRIPT.format(
        program=shlex.quote(sys.executable), words=" ".join(map(shlex.quote, pieces)), current=len(pieces) - 1
    )
    done = subprocess.run(
        [BASH or "", "--norc", "-c", script], cwd=folder, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


COMPLETED = {
    "tra": ["trace"],
    "run --layer bi": ["birnn", "bilstm", "bigru"],
    "run --layer = g": ["gru"],
    "run --activation tanh": ["tanh", "tanh_shrink"],
    "run --merge-mode c": ["concat"],
    "run --format n": ["ndjson", "npy", "npz"],
    "run -l bilstm --return-state --select b": ["backward_last_hidden_state", "backward_last_cell_state"],
    "run -l gru -l lstm --return-state --select 1/last_c": ["1/last_cell_state"],
    "trace -l gru --hold re": ["reset=0", "reset=1"],
    "trace --hold forget =": ["0", "1"],
    "trace -l bilstm --hold forward/f": ["forward/forget=0", "forward/forget=1"],
    "explain hidden_states": [r"hidden_states\[0,0,0\]"],
    "explain -l gru up": [r"update\[0,0\]"],
    "run sen": ["sentence", "sensors"],
    "trace --layer nonsense --hold f": [],
    "nonsense --l": [],
    "run --format nonsense --widt": ["--width"],
}
MANY = """
import contextlib, io, json, os, sys
os.environ["_RNNCLI_COMPLETE"] = "complete_bash"
from rnncli.cli.app import main
found = {}
for line in json.loads(sys.argv[1]):
    words = ["rnncli", *line.split(" ")]
    os.environ.update(COMP_WORDS="\\n".join(words), COMP_CWORD=str(len(words) - 1))
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as shown:
        main([])
    found[line] = shown.buffer.getvalue().decode().split()
print(json.dumps(found))
"""


@pytest.mark.slow
def test_bash_completes() -> None:
    """All in one process, which is as one that completes a line."""
    command = [sys.executable, "-c", MANY, json.dumps(list(COMPLETED))]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert json.loads(done.stdout) == COMPLETED


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.slow
def test_a_real_bash_completes_files_with_a_config(tmp_path: Path) -> None:
    (tmp_path / "layer.json").write_text("{}")
    (tmp_path / "layer.csv").write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "deep.json").write_text("{}")
    start = ("rnncli", "run", "--layer", "@")
    assert completed_by_bash(tmp_path, *start) == completed(tmp_path, *start) == ["layer.json", "more/"]
    assert completed(tmp_path, *start, "la") == ["layer.json"]
    assert completed(tmp_path, *start, "more/d") == ["more/deep.json"]


def test_bash_completes_samples_and_files_as_the_input(tmp_path: Path) -> None:
    (tmp_path / "sentences.csv").write_text("")
    (tmp_path / "sent").mkdir()
    assert completed(tmp_path, "rnncli", "run", "sent") == ["sentence", "sent/", "sentences.csv"]


@pytest.mark.slow
def test_bash_completes_the_layers_of_a_model(tmp_path: Path) -> None:
    weights = {"weight_ih_l0": np.ones((9, 2)), "weight_hh_l0": np.ones((9, 3))}
    arrays: dict[str, Any] = {f"{name}.{key}": one for name in ("enc", "dec") for key, one in weights.items()}
    np.savez(tmp_path / "m.npz", **arrays)
    assert sorted(completed(tmp_path, "rnncli", "run", "--model", "m.npz#")) == ["m.npz#dec", "m.npz#enc"]
    assert completed(tmp_path, "rnncli", "run", "--model", "m.npz#enc,") == ["m.npz#enc,dec"]
    assert completed(tmp_path, "rnncli", "run", "--model", "nothing.npz#") == []
    assert completed(tmp_path, "rnncli", "weights", "m.npz#e") == ["m.npz#enc"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "line", "expected"),
    [
        ("fish", "rnncli run --layer bil", "bilstm"),
        ("fish", "rnncli trace --hold forget=1", "forget=1"),
        ("zsh", "rnncli run --layer bil", "local -a rnncli=($'bilstm'); _describe '' rnncli"),
        (
            "zsh",
            "rnncli eng",
            r"local -a rnncli=($'engines:The\x20engines\x20that\x20are\x20available\x20here,\x20with...');"
            " _describe '' rnncli",
        ),
    ],
)
def test_zsh_and_fish_get_their_form(shell: str, line: str, expected: str) -> None:
    asked = {
        "_RNNCLI_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert run_process(env=asked).stdout.strip() == expected


@pytest.mark.slow
def test_completion_loads_no_framework(tmp_path: Path) -> None:
    program = "import sys\nfrom rnncli.cli.app import main\nmain([])\nprint(*sorted(sys.modules))\n"
    asked = {"_RNNCLI_COMPLETE": "complete_bash", "COMP_WORDS": "rnncli\ntrace\n--hold\nf", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(asked), capture_output=True, text=True,
        timeout=PATIENCE, check=True,
    )  # fmt: skip
    *offered, modules = done.stdout.splitlines()
    assert offered == ["forget=0", "forget=1"]
    assert not HEAVY & set(modules.split())


def test_every_offered_layer_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    from rnncli.cli.app import main

    assert "lstm" in layer_words("")
    for word in layer_words(""):
        assert main(["shape", "--layer", word, "--input-shape", "1,4,5"]) == 0, word
    capfd.readouterr()


@pytest.mark.parametrize(
    ("pieces", "current", "words", "place"),
    [
        (["a", "--hold", "forget", "=", "1", "@", "2", ":"], 7, ["a", "--hold", "forget=1@2:"], 2),
        (["a", "--layer", "@", "f"], 3, ["a", "--layer", "@f"], 2),
        (["a", "--layer", "=", "f"], 3, ["a", "--layer=f"], 1),
        (["a", "b", ""], 2, ["a", "b", ""], 2),
        (["a", "b"], 2, ["a", "b", ""], 2),
    ],
)
def test_words_that_bash_splits_are_joined(
    pieces: list[str], current: int, words: list[str], place: int
) -> None:
    assert join_words(pieces, current) == (words, place)
