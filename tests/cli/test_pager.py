"""Pages in a terminal: the keys that a reader presses, in a real pseudo-terminal."""

from __future__ import annotations

import signal
import termios
import time

import pytest
from terminals import PATIENCE, Terminal

from rnncli.cli.pager import split_page

PROMPT = "Enter next, ? answer, b back, q quit"
ANSWERED = "Enter next, b back, q quit"
MORE = "Enter more, b back, q quit"


def tour(*words: str, term: str = "xterm", **size: int) -> Terminal:
    return Terminal("tour", *words, env={"NO_COLOR": "1", "TERM": term}, **size)


def test_enter_goes_on_and_b_goes_back() -> None:
    with tour() as terminal:
        assert "step 0 of 16" in terminal.until(PROMPT)
        second = terminal.press("\r", PROMPT)
        assert "step 1 of 16" in second
        assert "Answer:" not in second
        assert "step 2 of 16" in terminal.press(" ", PROMPT)
        for step in (1, 0, 0):
            assert f"step {step} of 16" in terminal.press("b", PROMPT)
        shown, code = terminal.end("q")
        assert code == 0
        assert "Now try the exercises" not in shown


def test_a_question_mark_shows_the_answer_below_and_other_keys_do_nothing() -> None:
    with tour() as terminal:
        terminal.until(PROMPT)
        shown = terminal.press("?", ANSWERED)
        assert "Answer: (1, 60, 1)" in shown
        assert "step 0" not in shown
        assert "step 1 of 16" in terminal.press("x7\r", PROMPT)
        terminal.type("\x1b[D")  # an arrow key
        time.sleep(0.5)
        assert "step 2 of 16" in terminal.press("\r", PROMPT)
        terminal.press("\x1b[B?", ANSWERED)  # a key right after an arrow
        assert "Answer:" in terminal.press("\r\r?\r", "step 5 of 16")  # all at once


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


def test_a_narrow_terminal_in_korean() -> None:
    with tour("--lang", "ko", columns=60) as terminal:
        page = terminal.until("q 끝내기")
        assert "0/16단계" in page
        assert max(map(len, page.splitlines())) <= 66  # with the codes that clear the screen


@pytest.mark.parametrize(
    ("words", "term", "answers"),
    [(["--plain"], "xterm", 17), (["--step", "3"], "xterm", 1), ([], "dumb", 17)],
)
def test_these_ask_for_no_keys(words: list[str], term: str, answers: int) -> None:
    with tour(*words, term=term) as terminal:
        shown, code = terminal.end()
        assert (code, shown.count("Answer: ")) == (0, answers)
        assert "\x1b[2J" not in shown


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
    with tour() as terminal:
        terminal.until(PROMPT)
        terminal.process.send_signal(getattr(signal, name))
        assert terminal.process.wait(PATIENCE) == 128 + getattr(signal, name)
        assert termios.tcgetattr(terminal.theirs) == terminal.before
