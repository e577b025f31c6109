"""The command in a terminal that only it has, and the keys that a reader presses."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping

from command import environment
from limits import PATIENCE


class Terminal:
    """`rnncli ARGS` with a new terminal, such as a window or a pane of tmux."""

    def __init__(
        self, *args: str, rows: int = 24, columns: int = 80, env: Mapping[str, str] | None = None
    ) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rnncli", *args], stdin=self.theirs, stdout=self.theirs,
            stderr=self.theirs, env=environment({"TERM": "xterm-256color", **(env or {})}),
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.hang_up()

    def until(self, text: str) -> str:
        """Wait for `text`; return what is shown from now on, at least up to it."""
        start, end = len(self.shown), time.monotonic() + PATIENCE
        while text not in self.shown[start:]:
            assert time.monotonic() < end, f"{text!r} did not come after {self.shown[start:]!r}"
            self._read(1.0)
        return self.shown[start:]

    def type(self, keys: str) -> None:
        """Press keys as soon as the terminal passes on single keys, not whole lines."""
        end = time.monotonic() + PATIENCE
        while termios.tcgetattr(self.ours)[3] & termios.ICANON:
            assert time.monotonic() < end
            time.sleep(0.01)
        os.write(self.ours, keys.encode())

    def write(self, line: str) -> None:
        """Answer a question, where the terminal passes on whole lines."""
        os.write(self.ours, line.encode())

    def press(self, keys: str, until: str) -> str:
        self.type(keys)
        return self.until(until)

    def end(self, keys: str = "") -> tuple[str, int]:
        """Press keys; return what is shown until the program ends, and its exit code."""
        start, end = len(self.shown), time.monotonic() + PATIENCE
        if keys:
            self.type(keys)
        while self.process.poll() is None:
            assert time.monotonic() < end, "the program goes on"
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.shown[start:], self.process.returncode

    def hang_up(self) -> None:
        """Close the terminal."""
        for descriptor in (self.theirs, self.ours):
            if descriptor >= 0:
                os.close(descriptor)
        self.ours = self.theirs = -1

    def _read(self, seconds: float) -> bool:
        ready = select.select([self.ours], [], [], seconds)[0]
        if ready:
            self.shown += os.read(self.ours, 65536).decode(errors="replace").replace("\r\n", "\n")
        return bool(ready)


def in_a_terminal(columns: int, *args: str, **env: str) -> str:
    """Return what `rnncli ARGS` prints in a terminal of `columns` columns."""
    with Terminal(*args, columns=columns, env={"TERM": "xterm"} | env) as terminal:
        return terminal.end()[0]
