"""Completion in a shell: commands, flags and values, and the names in the files that a line names."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from command import HEAVY, environment, run_process, run_program
from hypothesis import given
from hypothesis import strategies as st
from limits import PATIENCE
from safetensors.numpy import save_file

from rnncli.cli.completion import for_bash, for_zsh, input_words, join_words, layer_words, model_words
from rnncli.show.visible import visible

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
    "run --layer bi": ["birnn", "bilstm", "bigru"], "run --layer = g": ["gru"],
    "run --activation tanh": ["tanh", "tanh_shrink"], "run --merge-mode c": ["concat"],
    "run --format n": ["ndjson", "npy", "npz"],
    "run -l bilstm --return-state --select b": ["backward_last_hidden_state", "backward_last_cell_state"],
    "run -l gru -l lstm --return-state --select 1/last_c": ["1/last_cell_state"],
    "trace -l gru --hold re": ["reset=0", "reset=1"], "trace --hold forget =": ["0", "1"],
    "trace -l bilstm --hold forward/f": ["forward/forget=0", "forward/forget=1"],
    "explain hidden_states": [r"hidden_states\[0,0,0\]"], "explain -l gru up": [r"update\[0,0\]"],
    "run sen": ["sentence", "sensors"], "trace --layer nonsense --hold f": [], "nonsense --l": [],
    "run --format nonsense --widt": ["--width"],
}  # fmt: skip
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
    assert run_program(MANY, json.dumps(list(COMPLETED))).answer() == COMPLETED


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


@pytest.mark.parametrize(("shell", "line", "expected"), [
    ("fish", "rnncli run --layer bil", "bilstm"),
    ("fish", "rnncli trace --hold forget=1", "forget=1"),
    ("zsh", "rnncli run --layer bil", "local -a rnncli=($'bilstm'); _describe '' rnncli"),
    ("zsh", "rnncli eng",
     r"local -a rnncli=($'engines:The\x20engines\x20that\x20are\x20available\x20here,\x20with...');"
     " _describe '' rnncli"),
])  # fmt: skip
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
    *offered, modules = run_program(program, env=asked).success().stdout.splitlines()
    assert offered == ["forget=0", "forget=1"]
    assert not HEAVY & set(modules.split())


def test_every_offered_layer_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    from rnncli.cli.app import main

    assert "lstm" in layer_words("")
    for word in layer_words(""):
        assert main(["shape", "--layer", word, "--input-shape", "1,4,5"]) == 0, word
    capfd.readouterr()


@pytest.mark.parametrize(("pieces", "current", "words", "place"), [
    (["a", "--hold", "forget", "=", "1", "@", "2", ":"], 7, ["a", "--hold", "forget=1@2:"], 2),
    (["a", "--layer", "@", "f"], 3, ["a", "--layer", "@f"], 2),
    (["a", "--layer", "=", "f"], 3, ["a", "--layer=f"], 1),
    (["a", "b", ""], 2, ["a", "b", ""], 2),
    (["a", "b"], 2, ["a", "b", ""], 2),
])  # fmt: skip
def test_words_that_bash_split_are_one(pieces: list[str], current: int, words: list[str], place: int) -> None:
    assert join_words(pieces, current) == (words, place)


NAMES = (
    "a$(touch ran)", "b`touch ran`", "c;touch ran", "d'q\"r\\s", "e\\$(touch ran)", "f  two", "g:0=1@2",
    "h*?[i]{j}", "k!l~&|<>(m)^", "층 n", "-v", "t%s+$HOME", "~u",
)  # fmt: skip
"""No two begin with the same character."""
UNFIT = ("new\nline", "bell\x07", "c1\x9b2J", "bidi\u202e", "com,ma", "ha#sh", " space")

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"],
             "args() {{ printf '%s\\0' \"$@\" > args.part; mv args.part {out}; }}\n"),
    "zsh": (["zsh", "-f", "-i"],
            "autoload -Uz compinit; compinit -u -D\n"
            "args() {{ printf '%s\\0' \"$@\" > args.part; mv args.part {out}; }}\n"),
    "fish": (["fish", "--no-config", "-i"],
             "function args; printf '%s\\0' $argv > args.part; mv args.part {out}; end\n"),
}  # fmt: skip
IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
BEFORE = "run --model m.safetensors#"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of layers with these names, and a command `rnncli`."""
    made = tmp_path_factory.mktemp("names")
    weights = {"weight_ih_l0": np.ones((4, 1), np.float32), "weight_hh_l0": np.ones((4, 1), np.float32)}
    layers = {f"{name}.{key}": value for name in (*NAMES, *UNFIT) for key, value in weights.items()}
    save_file(layers, made / "m.safetensors")
    command = made / "bin" / "rnncli"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rnncli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return made


def test_names_that_a_shell_or_a_terminal_obeys_are_not_offered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for complete in (model_words, input_words):
        assert sorted(complete("m.safetensors#")) == sorted(f"m.safetensors#{name}" for name in NAMES)


def test_files_with_such_names_are_not_offered(here: Path) -> None:
    for name in ("sent\x1b[2J.csv", "sent\nence.csv", "sent\x9b.csv", "sent ence.csv"):
        (here / name).touch()
    assert input_words("sent") == ["sentence", "sent ence.csv"]


@pytest.mark.slow
@given(st.text(st.characters()).filter(lambda text: visible(text) == text), st.sampled_from(["", "'", '"']))
def test_a_shell_takes_a_quoted_word_literally(text: str, mark: str) -> None:
    found = for_bash([f"m#x{text}"], f"{mark}m#").removesuffix("\n")
    assert shlex.split(f"{mark}{found}{mark}") == [f"m#x{text}"]


@pytest.mark.skipif(which("zsh") is None, reason="there is no zsh")
def test_zsh_reads_the_words_that_were_offered() -> None:
    code = for_zsh([*NAMES, "run\tWhat it's: $(touch ran)  \\`a`"])
    show = "_describe() { print -rN -- ${(P)2} }; eval $(cat)"
    done = subprocess.run(["zsh", "-f", "-c", show], input=code, capture_output=True, text=True, check=True)
    read = [name.replace("\\", "\\\\").replace(":", "\\:") for name in NAMES]
    assert done.stdout.split("\0")[:-1] == [*read, "run:What it's: $(touch ran)  \\\\`a`"]


@pytest.mark.parametrize("shell", list(SHELLS))
def test_a_completed_name_reaches_the_command(shell: str, folder: Path) -> None:
    """Type the first character of each name and a tab, then run what stands there as arguments of `args`."""
    if which(shell) is None:
        pytest.skip(f"there is no {shell}")
    lines = {f"{BEFORE}{name[0]}": name for name in NAMES}
    if shell == "bash":
        lines |= {
            'run --model "m.safetensors#a': NAMES[0], "run --model 'm.safetensors#d": NAMES[3],
            "run --model=m.safetensors#g:": NAMES[6], 'run --model "m.safe"tensors#e': NAMES[4],
            r"run --model m.safetensors#a\$\(to": NAMES[0], "run --model m.safetensors#a$": NAMES[0],
        }  # fmt: skip
    found = {}
    with Terminal(shell, folder) as terminal:
        for place, line in enumerate(lines):
            found[line] = terminal.arguments(line, folder / f"{shell}-{place}")
    expected = {
        line: ["run", "--model", f"m.safetensors#{name}"]
        if "=" not in line
        else ["run", f"--model=m.safetensors#{name}"]
        for line, name in lines.items()
    }
    assert found == expected
    assert not (folder / "ran").exists()


class Terminal:
    """An interactive shell in a terminal of its own, with completion set up."""

    def __init__(self, shell: str, folder: Path) -> None:
        command, self.define = SHELLS[shell]
        env = environment(
            {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb"}
        )
        asked = env | {"_RNNCLI_COMPLETE": f"source_{shell}"}
        script = subprocess.run(["rnncli"], env=asked, capture_output=True, text=True, check=True).stdout
        (folder / f"complete.{shell}").write_text(script, encoding="utf-8")
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, *command], cwd=folder, env=env, stdin=theirs, stdout=theirs,
            stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.setup = f". ./complete.{shell}\n"

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def arguments(self, line: str, out: Path) -> list[str]:
        """Type the line and a tab, put `args` in front, and return what it gets after the program's name."""
        text = f"{self.define.format(out=shlex.quote(str(out)))}{self.setup}rnncli {line}\t\x01args \n"
        self.setup = ""
        os.write(self.ours, text.encode())
        ends = time.monotonic() + PATIENCE
        while not out.exists():
            assert time.monotonic() < ends, f"{line}: nothing ran"
            self._drain()
        return out.read_text(encoding="utf-8").split("\0")[1:-1]

    def _drain(self) -> None:
        import select

        if select.select([self.ours], [], [], 0.05)[0]:
            os.read(self.ours, 65536)
