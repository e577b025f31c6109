"""Pages in a terminal: the keys that a reader presses, in a real pseudo-terminal."""

import signal
import termios
import time
from pathlib import Path

import pytest
from limits import PATIENCE
from looks import drawn
from terminals import Terminal

from rnncli.cli.pager import split_page
from rnncli.commands.tour import lesson
from rnncli.commands.tour.answer import QUESTION, TourAnswer

STEPS = lesson.steps()
LAST = len(STEPS) - 2
PROMPT = "Space next, ? answer, b back, q quit"
ANSWERED = "Space next, b back, q quit"
MORE = "Space more, b back, q quit"
KEYS = "b back, q quit"
ANSWERS = sum("answer" in step.en for step in STEPS)


def tour(*words: str, term: str = "xterm", state: str = "/dev/null", **size: int) -> Terminal:
    """Start the lesson.  state: the folder of the user's state; no file can be written in the default."""
    return Terminal("tour", *words, env={"NO_COLOR": "1", "TERM": term, "XDG_STATE_HOME": state}, **size)


def at(page: int) -> str:
    """Return the first words of a page, by its index: the first has no number."""
    return f"step {page - 1} (0 to {LAST})" if page else "to begin with"


@pytest.mark.slow
def test_enter_goes_on_and_b_goes_back() -> None:
    with tour(rows=40) as terminal:
        assert at(0) in terminal.until(PROMPT)
        second = terminal.press("\r", PROMPT)
        assert at(1) in second
        assert "Answer:" not in second
        assert at(2) in terminal.press(" ", PROMPT)
        for step in (1, 0, 0):
            assert at(step) in terminal.press("b", PROMPT)
        shown, code = terminal.end("q")
        assert code == 0
        assert "Now try the exercises" not in shown


@pytest.mark.slow
def test_a_question_mark_shows_the_answer_below_and_other_keys_do_nothing() -> None:
    with tour(rows=40) as terminal:
        terminal.until(PROMPT)
        shown = terminal.press("?", ANSWERED)
        assert "Answer: nothing" in shown
        assert at(0) not in shown
        assert at(1) in terminal.press("x7\r", PROMPT)
        terminal.type("\x1b[5;3Q")  # a key without a meaning
        time.sleep(0.5)  # it is read alone, or, on a busy machine, with the next key: both work
        assert at(2) in terminal.press("\r", PROMPT)
        terminal.press("\x1b[5;3Q?", ANSWERED)  # a key right after it
        assert "Answer:" in terminal.press("\r?\r", at(4))  # all at once


@pytest.mark.slow
def test_arrows_turn_pages_and_keys_of_a_korean_keyboard_do_what_their_places_do() -> None:
    with tour(rows=60) as terminal:
        terminal.until(PROMPT)
        for step, key in enumerate(("\x1b[C", "\x1b[B", "\x1bOC", "\x1b[6~"), 1):
            assert at(step) in terminal.press(key, KEYS)
        for step, key in ((3, "\x1b[D"), (2, "\x1b[A")):
            assert at(step) in terminal.press(key, KEYS)
        assert at(1) in terminal.press("ㅠ", PROMPT)
        assert at(0) in terminal.press("\x1b[C\x1b[C\x1b[H", at(0))
        assert terminal.end("ㅂ")[1] == 0


@pytest.mark.slow
def test_the_lesson_goes_on_where_it_was_left(tmp_path: Path) -> None:
    with tour(state=str(tmp_path), rows=60) as terminal:
        terminal.until(PROMPT)
        terminal.press("  ", at(2))
        terminal.end("q")
    with tour(state=str(tmp_path), rows=60) as terminal:
        assert at(2) in terminal.until(f"(0: start again). {PROMPT}")
        assert at(0) in terminal.press("0", PROMPT)
        terminal.end(" " * len(STEPS))
    (file,) = (tmp_path / "rnncli").iterdir()
    for content in ("0", "99", "-1", "x", "\udce4"):
        file.write_text(content, errors="surrogateescape")
        with tour(state=str(tmp_path), rows=60) as terminal:
            assert at(0) in terminal.until(PROMPT)


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 0), ("q", 0)])
@pytest.mark.slow
def test_ways_to_leave(key: str, code: int) -> None:
    with tour(rows=40) as terminal:
        terminal.until(PROMPT)
        shown, ended = terminal.end(key)
        assert ended == code
        assert "Traceback" not in shown
        assert shown.endswith("\x1b[K")  # the prompt is erased


@pytest.mark.slow
def test_the_last_page_ends_the_tour() -> None:
    with tour(rows=60) as terminal:
        terminal.until(PROMPT)
        shown, code = terminal.end("\r" * len(STEPS))
        assert code == 0
        assert shown.endswith("Now try the exercises: rnncli tour --exercise 1\n")
        assert all(at(page) in shown for page in range(1, len(STEPS)))


@pytest.mark.slow
def test_a_page_that_is_too_tall_comes_in_two_parts() -> None:
    with tour(rows=22) as terminal:
        terminal.until(MORE)
        terminal.press("\r" * 8, at(7))
        first = terminal.press("\r", MORE)
        assert "Notice:" not in first.split(at(8))[1]
        rest = terminal.press("\r", PROMPT)
        assert "Notice: five tensors." in rest
        assert "step 7" not in rest
        assert at(7) in terminal.press("b", KEYS)


@pytest.mark.parametrize(("lang", "notice"), [("en", "Notice:"), ("ko", "살펴보기:")])
@pytest.mark.slow
def test_the_first_page_of_each_step_has_its_numbers(lang: str, notice: str) -> None:
    """In a terminal of 80 columns and 24 lines, below which a prompt stands."""
    for step in lesson.steps():
        page = drawn(TourAnswer((step,), QUESTION), width=80, lang=lang)
        first = split_page(page, 24)[0]
        assert page.split(notice)[0].rstrip() in first, step.number
        assert len(first.splitlines()) <= 23


@pytest.mark.slow
def test_a_long_page_fills_the_screen_down_to_its_prompt() -> None:
    with tour("--lang", "en") as terminal:
        terminal.until(MORE)
        terminal.press(" " * 9, MORE)
        shown = terminal.press("  ", MORE)
    page = shown.split("\x1b[2J\x1b[H")[-1].splitlines()
    assert page[0].startswith("step 8 ")
    assert page[-2].startswith("backward_last_cell_state  ")
    assert (len(page), page[-1]) == (24, MORE)


@pytest.mark.slow
def test_a_prompt_stands_below_an_empty_line_if_there_is_room() -> None:
    """The parts of step 8 are apart, too, although its first part has no room for the line."""
    with tour() as terminal:
        terminal.until(MORE)
        shown = terminal.press(" " * 9, MORE)
        terminal.press("  ", MORE)
        assert terminal.press(" ", PROMPT).startswith("\r\x1b[K\nNotice:")
    assert shown.splitlines()[-2:] == ["", MORE]


@pytest.mark.slow
def test_a_narrow_terminal_in_korean() -> None:
    with tour("--lang", "ko", columns=60) as terminal:
        page = terminal.until("q 끝내기")
        assert "시작하며" in page
        assert max(map(len, page.splitlines())) <= 66  # with the codes that clear the screen


@pytest.mark.parametrize(
    ("words", "term", "answers"),
    [(["--plain"], "xterm", ANSWERS), (["--step", "2"], "xterm", 1), ([], "dumb", ANSWERS)],
)
@pytest.mark.slow
def test_these_ask_for_no_keys(words: list[str], term: str, answers: int) -> None:
    with tour(*words, term=term) as terminal:
        shown, code = terminal.end()
        assert (code, shown.count("Answer: ")) == (0, answers)
        assert "\x1b[2J" not in shown


@pytest.mark.parametrize(("text", "height", "parts"), [
    ("a\nb\n", 4, ["a\nb\n"]),
    ("a\n\nb\n", 4, ["a\n", "b\n"]),
    ("a\n\nb\n\nc\n", 5, ["a\n\nb\n", "c\n"]),
    ("a\n\nb\nc\n\nd\n", 5, ["a\n\nb\nc\n", "d\n"]),
    ("a\nb\nc\n", 4, ["a\nb\n", "c\n"]),
    ("a\nb\nc\nd\n", 4, ["a\nb\nc\n", "d\n"]),
    ("a\nb\n", 0, ["a\nb\n"]),
    ("", 5, [""]),
])  # fmt: skip
def test_parts_of_a_page(text: str, height: int, parts: list[str]) -> None:
    assert split_page(text, height) == parts


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
@pytest.mark.slow
def test_a_signal_leaves_the_terminal_as_it_was(name: str) -> None:
    with tour(rows=40) as terminal:
        terminal.until(PROMPT)
        terminal.process.send_signal(getattr(signal, name))
        assert terminal.process.wait(PATIENCE) == 128 + getattr(signal, name)
        assert termios.tcgetattr(terminal.theirs) == terminal.before
