"""The explorer in a real terminal: however it ends, the terminal is as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest
from command import environment

pytest.importorskip("textual")

ON_AT_FIRST = {"7", "25"}
"""Private modes that a terminal starts with: lines wrap, and the cursor is visible.  All others are off."""


class Terminal:
    """`rnncli ARGS` with a terminal of its own, as a window or a pane of tmux has one."""

    def __init__(self, *args: str, **env: str) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rnncli", *args], stdin=self.theirs, stdout=self.theirs,
            stderr=self.theirs, env=environment({"TERM": "xterm-256color"} | env), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def read_until(self, text: str) -> None:
        """Read until `text` is shown."""
        end = time.monotonic() + 12
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            self._read(1.0)

    def wait(self) -> int:
        """Return the exit code, once everything that was written is read."""
        end = time.monotonic() + 8
        while self.process.poll() is None:
            assert time.monotonic() < end, "it goes on"
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the terminal."""
        for descriptor in (self.theirs, self.ours):
            os.close(descriptor)
        self.ours = self.theirs = -1

    def _read(self, seconds: float) -> bool:
        ready = select.select([self.ours], [], [], seconds)[0]
        if ready:
            self.shown += os.read(self.ours, 65536).decode(errors="replace")
        return bool(ready)


@pytest.fixture
def terminals() -> Iterator[Any]:
    opened: list[Terminal] = []

    def open_one(*args: str, **env: str) -> Terminal:
        opened.append(Terminal(*args, **env))
        return opened[-1]

    yield open_one
    for one in opened:
        one.process.kill()
        one.process.wait()
        if one.ours >= 0:
            one.hang_up()


def modes_left(shown: str) -> set[str]:
    """Return the private modes that are not as they were before `shown` was written."""
    last = dict(re.findall(r"\x1b\[\?(\d+)([hl])", shown))
    assert "1049" in last
    return {mode for mode, letter in last.items() if (letter == "h") is not (mode in ON_AT_FIRST)}


@pytest.mark.parametrize(
    ("end", "env"),
    [
        *((name, {}) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "q")),
        *(("q", dict.fromkeys(names, "0")) for names in (["COLUMNS"], ["LINES"], ["COLUMNS", "LINES"])),
    ],
)
def test_however_it_ends_the_terminal_is_as_it_was(end: str, env: dict[str, str], terminals: Any) -> None:
    """Also where the environment says that the terminal has no columns or lines."""
    terminal = terminals("explore", "--seed", "42", **env)
    terminal.read_until("rnncli run -l lstm")
    if end == "q":
        os.write(terminal.ours, b"q")
    else:
        terminal.process.send_signal(getattr(signal, end))
    assert terminal.wait() == (0 if end == "q" else 128 + getattr(signal, end))
    assert termios.tcgetattr(terminal.theirs) == terminal.before
    assert modes_left(terminal.shown) == set()
    assert "Traceback" not in terminal.shown


def test_it_ends_with_its_terminal(terminals: Any) -> None:
    terminal = terminals("explore", "--seed", "42")
    terminal.read_until("rnncli run -l lstm")
    terminal.hang_up()
    assert terminal.process.wait(8) == 128 + signal.SIGHUP


def test_it_ends_although_nobody_reads_the_terminal(terminals: Any) -> None:
    """As when a connection has stalled: what is written last waits for ever."""
    terminal = terminals("explore", "--seed", "42")
    terminal.read_until("rnncli run -l lstm")
    for _ in range(200):
        os.write(terminal.ours, b"\t4132")
        time.sleep(0.01)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(8) == 128 + signal.SIGTERM
