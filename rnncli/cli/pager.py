"""Show pages in the terminal one at a time, turned by keys."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import typer

from rnncli.cli import terminal
from rnncli.process.signals import exit_cleanly

NEXT, BACK, QUIT, ANSWER = ("\r", "\n", " "), ("b", "B"), ("q", "Q"), ("?",)
INTERRUPT, END, ESCAPE = "\x03", "\x04", "\x1b"
CLEAR, ERASE = "\x1b[2J\x1b[H", "\r\x1b[K"
"""Escape codes: clear the screen and go to its top; erase the line."""
SEQUENCE = re.compile(rf"{ESCAPE}(?:[\[O][0-?]*[ -/]*[@-~])?")
"""What an arrow or another special key sends; its last character is not a key, although Down ends in B."""

PROMPT = 2
"""Lines that a prompt takes: an empty one and its own."""


class PagerPage(NamedTuple):
    """One page.  text: shown first.  answer: added by the key `?`."""

    text: str
    answer: str


class Prompts(NamedTuple):
    """The lines below a page, which list its keys.

    page: before the answer is shown.  answered: after it.  more: while a part of a long page is hidden.
    end: the line after the last page.
    """

    page: str
    answered: str
    more: str
    end: str


def is_possible() -> bool:
    """Return whether keys can be read and pages shown: stdin and stdout are terminals that can erase."""
    return (
        sys.stdin is not None
        and sys.stdin.isatty()
        and terminal.stdout_is_terminal()
        and os.environ.get("TERM") != "dumb"
    )


def read(count: int, load: Callable[[int], PagerPage], prompts: Prompts) -> None:
    """Show `count` pages; return when the reader quits or leaves the last one.

    load: returns one page, by its place.  Raises KeyboardInterrupt for Ctrl-C.
    """
    keys, place = _Keys(), 0
    with exit_cleanly(), _read_single_keys():
        while place < count:
            moved = _page(load(place), prompts, keys)
            if moved is None:
                return
            place = max(0, place + moved)
    terminal.write(f"{prompts.end}\n")


@contextmanager
def _read_single_keys() -> Iterator[None]:
    """Let the terminal give every key as it is pressed; keys pressed before a prompt wait for it."""
    try:
        import termios
        import tty
    except ImportError:  # Windows, where `typer.getchar` reads them
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSADRAIN)
    mode = termios.tcgetattr(descriptor)
    mode[3] &= ~termios.ISIG  # Ctrl-C is a key too, so that the prompt is erased before the end
    termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _page(leaf: PagerPage, prompts: Prompts, keys: _Keys) -> int | None:
    """Show one page until a key leaves it; return by how many pages to move, None to quit."""
    terminal.write(CLEAR)
    parts = split_page(leaf.text, shutil.get_terminal_size().lines - PROMPT)
    for part in parts[:-1]:
        terminal.write(part)
        key = keys.one_of((*NEXT, *BACK, *QUIT), prompts.more)
        if key not in NEXT:
            return -1 if key in BACK else None
    terminal.write(parts[-1])
    key = keys.one_of((*NEXT, *BACK, *QUIT, *ANSWER), prompts.page)
    if key in ANSWER:
        terminal.write(leaf.answer)
        key = keys.one_of((*NEXT, *BACK, *QUIT), prompts.answered)
    return 1 if key in NEXT else -1 if key in BACK else None


def split_page(text: str, height: int) -> list[str]:
    """Split a page that is taller than the terminal at its last empty line that fits.

    height: lines that the terminal has for it.  The empty line is left out: a prompt is shown there.
    """
    lines = text.splitlines(keepends=True)
    parts: list[str] = []
    while len(lines) > height > 0:
        empty = next((place for place in range(height, 0, -1) if not lines[place].strip()), None)
        end = height if empty is None else empty
        parts.append("".join(lines[:end]))
        lines = lines[end if empty is None else end + 1 :]
    return [*parts, "".join(lines)]


class _Keys:
    """The keys pressed; several may arrive at once."""

    def __init__(self) -> None:
        self.waiting = ""

    def one_of(self, keys: tuple[str, ...], prompt: str) -> str:
        """Show the prompt until one of `keys` is pressed; erase the prompt, and return the key."""
        terminal.write(f"\n{prompt}")
        try:
            while (key := self._next()) not in keys:
                pass
        finally:
            terminal.write(ERASE)
        return key

    def _next(self) -> str:
        """Return one key; "" for a key that sends a sequence of characters, such as an arrow."""
        if not self.waiting:
            self.waiting = SEQUENCE.sub("", _wait_for_keys() or QUIT[0])
            if not self.waiting:
                return ""
        key, self.waiting = self.waiting[0], self.waiting[1:]
        if key == INTERRUPT:
            raise KeyboardInterrupt
        return QUIT[0] if key == END else key


def _wait_for_keys() -> str:
    """Return the keys that were pressed, at least one; "" if the terminal is gone."""
    if os.name == "posix":
        pressed = os.read(sys.stdin.fileno(), 1024)
        return (pressed.decode(errors="ignore") or ESCAPE) if pressed else ""
    try:
        return typer.getchar()
    except EOFError:
        return ""
