"""A layer's name is offered only if the shell then passes exactly that name, and nothing runs."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from command import environment
from hypothesis import given
from hypothesis import strategies as st
from limits import PATIENCE
from safetensors.numpy import save_file

from rnncli.cli.completion import for_bash, for_zsh, input_words, model_words
from rnncli.show.visible import visible

NAMES = (
    "a$(touch ran)", "b`touch ran`", "c;touch ran", "d'q\"r\\s", "e\\$(touch ran)", "f  two", "g:0=1@2",
    "h*?[i]{j}", "k!l~&|<>(m)^", "층 n", "-v", "t%s+$HOME", "~u",
)  # fmt: skip
"""No two begin with the same character."""
UNFIT = ("new\nline", "bell\x07", "c1\x9b2J", "bidi\u202e", "com,ma", "ha#sh", " space")

SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "args() {{ printf '%s\\0' \"$@\" > args.part; mv args.part {out}; }}\n",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "autoload -Uz compinit; compinit -u -D\n"
        "args() {{ printf '%s\\0' \"$@\" > args.part; mv args.part {out}; }}\n",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        "function args; printf '%s\\0' $argv > args.part; mv args.part {out}; end\n",
    ),
}
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


def test_names_that_a_shell_would_split_or_a_terminal_obey_are_not_offered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for complete in (model_words, input_words):
        assert sorted(complete("m.safetensors#")) == sorted(f"m.safetensors#{name}" for name in NAMES)


def test_files_with_such_names_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sent\x1b[2J.csv", "sent\nence.csv", "sent\x9b.csv", "sent ence.csv"):
        (tmp_path / name).touch()
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
@pytest.mark.slow
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
