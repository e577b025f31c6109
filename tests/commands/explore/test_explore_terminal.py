"""The explorer in a real terminal: however it ends, the terminal is as it was."""

import os
import re
import signal
import termios
import time
from collections.abc import Iterator

import pytest
from limits import PATIENCE
from terminals import Terminal

pytestmark = pytest.mark.slow

pytest.importorskip("textual")

ON_AT_FIRST = {"7", "25"}
"""Private modes that a terminal starts with: lines wrap, and the cursor is visible.  All others are off."""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with start_explorer() as opened:
        yield opened


def start_explorer(**env: str) -> Terminal:
    terminal = Terminal("explore", "--seed", "42", env=env)
    terminal.until("rnncli run -l lstm")
    return terminal


def modes_left(shown: str) -> set[str]:
    """Return the private modes that are not as they were before `shown` was written."""
    last = dict(re.findall(r"\x1b\[\?(\d+)([hl])", shown))
    assert "1049" in last
    return {mode for mode, letter in last.items() if (letter == "h") is not (mode in ON_AT_FIRST)}


@pytest.mark.parametrize(("end", "code", "env"), [
    *((name, 128 + getattr(signal, name), {}) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")),
    ("q", 0, {"COLUMNS": "0", "LINES": "0"}),
])  # fmt: skip
def test_however_it_ends_the_terminal_is_as_it_was(end: str, code: int, env: dict[str, str]) -> None:
    """Also where the environment says that the terminal has no columns or lines."""
    with start_explorer(**env) as terminal:
        if end != "q":
            terminal.process.send_signal(getattr(signal, end))
        assert terminal.end("q" if end == "q" else "")[1] == code
        assert termios.tcgetattr(terminal.theirs) == terminal.before
        assert modes_left(terminal.shown) == set()
        assert "Traceback" not in terminal.shown


def test_it_ends_with_its_terminal(terminal: Terminal) -> None:
    terminal.hang_up()
    assert terminal.process.wait(PATIENCE) == 128 + signal.SIGHUP


def test_it_ends_although_nobody_reads_the_terminal(terminal: Terminal) -> None:
    """As when a connection has stalled: what is written last waits for ever."""
    for _ in range(200):
        os.write(terminal.ours, b"\t4132")
        time.sleep(0.01)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(PATIENCE) == 128 + signal.SIGTERM
