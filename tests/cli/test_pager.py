"""Pages in a terminal: the keys that a reader presses, in a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from command import environment

from rnncli.cli.pager import split_page

PROMPT = "Enter next, ? answer, b back, q quit"
ANSWERED = "Enter next, b back, q quit"
MORE = "Enter more, b back, q quit"


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process, self.descriptor = process, descriptor

    def until(self, text: str, seconds: float = 20) -> str:
        """Return what is shown up to `text`."""
        shown, end = "", time.monotonic() + seconds
        while text not in shown:
            ready, _, _ = select.select([self.descriptor], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} did not come after {shown!r}"
            shown += os.read(self.descriptor, 65536).decode(errors="replace").replace("\r\n", "\n")
        return shown

    def type(self, keys: str) -> None:
        """Press keys as soon as the terminal gives them one by one."""
        end = time.monotonic() + 20
        while termios.tcgetattr(self.descriptor)[3] & termios.ICANON:
            assert time.monotonic() < end
            time.sleep(0.01)
        os.write(self.descriptor, keys.encode())

    def press(self, keys: str, until: str) -> str:
        self.type(keys)
        return self.until(until)

    def end(self, keys: str = "") -> tuple[str, int]:
        """Press keys; return what is shown until the program ends, and its exit code."""
        if keys:
            self.type(keys)
        shown, end = b"", time.monotonic() + 60
        with contextlib.suppress(OSError):
            while select.select([self.descriptor], [], [], max(0, end - time.monotonic()))[0]:
                part = os.read(self.descriptor, 65536)
                if not part:
                    break
                shown += part
        return shown.decode().replace("\r\n", "\n"), self.process.wait(timeout=20)


@contextmanager
def tour(*words: str, rows: int = 24, columns: int = 80, **env: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "rnncli", "tour", *words], stdin=theirs, stdout=theirs, stderr=theirs,
        env=environment({"TERM": "xterm", "NO_COLOR": "1", **env}), start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_enter_goes_on_and_b_goes_back() -> None:
    with tour() as terminal:
        assert "step 0 of 16" in terminal.until(PROMPT)
        second = terminal.press("\r", PROMPT)
        assert "step 1 of 16" in second
        assert "Answer:" not in second
        assert "step 2 of 16" in terminal.press(" ", PROMPT)
        assert "step 1 of 16" in terminal.press("b", PROMPT)
        assert "step 0 of 16" in terminal.press("b", PROMPT)
        assert "step 0 of 16" in terminal.press("b", PROMPT)
        shown, code = terminal.end("q")
        assert code == 0
        assert "Now try the exercises" not in shown


def test_a_question_mark_shows_the_answer_below() -> None:
    with tour() as terminal:
        terminal.until(PROMPT)
        shown = terminal.press("?", ANSWERED)
        assert "Answer: (1, 60, 1)" in shown
        assert "step 0" not in shown
        assert "step 1 of 16" in terminal.press("\r", PROMPT)


def test_other_keys_do_nothing() -> None:
    with tour() as terminal:
        terminal.until(PROMPT)
        assert "step 1 of 16" in terminal.press("x7\r", PROMPT)
        terminal.type("\x1b[D")  # an arrow key
        time.sleep(0.5)
        assert "step 2 of 16" in terminal.press("\r", PROMPT)


def test_a_key_right_after_an_arrow_counts() -> None:
    with tour() as terminal:
        terminal.until(PROMPT)
        assert "Answer:" in terminal.press("\x1b[B?", "Answer:")


def test_keys_may_come_at_once() -> None:
    with tour() as terminal:
        terminal.until(PROMPT)
        assert "Answer:" in terminal.press("\r\r?\r", "step 3 of 16")


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 0), ("q", 0)])
def test_ways_to_leave(key: str, code: int) -> None:
    with tour() as terminal:
        terminal.until(PROMPT)
        shown, ended = terminal.end(key)
        assert ended == code
        assert "Traceback" not in shown
        assert shown.endswith("\x1b[K")  # the prompt is erased


def test_the_last_page_ends_the_tour() -> None:
    with tour(rows=60) as terminal:
        terminal.until(PROMPT)
        shown, code = terminal.end("\r" * 17)
        assert code == 0
        assert shown.endswith("Now try the exercises: rnncli tour --exercise 1\n")
        assert all(f"step {number} of 16" in shown for number in range(1, 17))


def test_a_page_that_is_too_tall_comes_in_two_parts() -> None:
    with tour() as terminal:
        terminal.until(PROMPT)
        first = terminal.press("\r" * 7, MORE)
        assert "Notice:" not in first.split("step 7 of 16")[1]
        rest = terminal.press("\r", PROMPT)
        assert "Notice: five tensors." in rest
        assert "step 7" not in rest
        assert "step 6 of 16" in terminal.press("b", PROMPT)


def test_korean() -> None:
    with tour("--lang", "ko") as terminal:
        assert "0/16단계" in terminal.until("q 끝내기")


def test_long_lines_are_wrapped_to_a_narrow_terminal() -> None:
    with tour(columns=60) as terminal:
        page = terminal.until(PROMPT)
        assert max(map(len, page.splitlines())) <= 66  # with the codes that clear the screen


@pytest.mark.parametrize("words", [["--plain"], ["--step", "3"], ["-f", "markdown"]])
def test_these_ask_for_no_keys(words: list[str]) -> None:
    with tour(*words) as terminal:
        shown, code = terminal.end()
        assert code == 0
        assert "Answer:" in shown
        assert "\x1b[2J" not in shown


def test_a_terminal_without_escape_codes_gets_everything() -> None:
    with tour(TERM="dumb") as terminal:
        shown, code = terminal.end()
        assert code == 0
        assert shown.count("Answer: ") == 17


@pytest.mark.parametrize(
    ("text", "height", "parts"),
    [
        ("a\nb\n", 2, ["a\nb\n"]),
        ("a\n\nb\n", 2, ["a\n", "b\n"]),
        ("a\n\nb\n\nc\n", 3, ["a\n\nb\n", "c\n"]),
        ("a\nb\nc\n", 2, ["a\nb\n", "c\n"]),
        ("a\nb\n", 0, ["a\nb\n"]),
        ("", 5, [""]),
    ],
)
def test_parts_of_a_page(text: str, height: int, parts: list[str]) -> None:
    assert split_page(text, height) == parts


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_leaves_the_terminal_as_it_was(name: str) -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, "-m", "rnncli", "tour"], stdin=theirs, stdout=theirs, stderr=theirs,
        env=environment({"TERM": "xterm"}), start_new_session=True,
    )  # fmt: skip
    try:
        Terminal(process, ours).until(PROMPT)
        process.send_signal(getattr(signal, name))
        assert process.wait(20) == 128 + getattr(signal, name)
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        for descriptor in (ours, theirs):
            os.close(descriptor)
