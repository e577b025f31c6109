"""Show pages in the terminal: several, turned by keys, or a single page that scrolls."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import typer

from rnncli.cli import terminal
from rnncli.errors import Message
from rnncli.process.signals import exit_cleanly

NEXT, BACK, QUIT, ANSWER, START = ("\r", "\n", " "), ("b", "B"), ("q", "Q"), ("?",), ("0",)
LEAVE = {
    **dict.fromkeys(NEXT, 1),
    **dict.fromkeys(BACK, -1),
    **dict.fromkeys(QUIT),
    **dict.fromkeys(START, -sys.maxsize),
}
"""The keys that leave a page, and by how many pages; None quits."""
INTERRUPT, END, ESCAPE = "\x03", "\x04", "\x1b"
CLEAR, ERASE = "\x1b[2J\x1b[H", "\r\x1b[K"
"""Escape codes: clear the screen and go to its top; erase the line."""
SEQUENCE = re.compile(rf"{ESCAPE}(?:[\[O]([0-?]*[ -/]*[@-~]))?")
"""What an arrow or another special key sends; its last character is not a key, although Down ends in B."""
ARROWS = {"C": " ", "B": " ", "6~": " ", "D": "b", "A": "b", "5~": "b", "H": "0", "1~": "0"}
"""The keys that arrows, Page Up, Page Down and Home stand for."""
HANGUL = str.maketrans("ㅂㅃㅠ", "qQb")
"""The keys of a Korean keyboard, by their places."""

WIDEST = 100
"""Columns of a page of Markdown: longer lines are hard to read."""
PROMPT, MORE = 2, 1
"""Lines of a prompt: an empty line and the prompt; below a part that fills the screen, only the prompt."""


class PagerPage(NamedTuple):
    """One page.  text: shown first.  answer: added by the key `?`; "" for none."""

    text: str
    answer: str = ""


class Prompts(NamedTuple):
    """The lines below a page, which list its keys.

    page: before the answer is shown.  answered: after it, or if there is none.
    more: while a part of a long page is hidden.
    resumed: before the others on the page where the reader left.  end: the line after the last page.
    """

    page: str
    answered: str
    more: str
    resumed: str
    end: str


def is_possible() -> bool:
    """Return whether keys can be read and pages shown: stdin and stdout are terminals that can erase."""
    return (
        sys.stdin is not None
        and sys.stdin.isatty()
        and terminal.stdout_is_terminal()
        and os.environ.get("TERM") != "dumb"
    )


def read(name: str, count: int, load: Callable[[int], PagerPage], prompts: Prompts) -> None:
    """Show `count` pages; return when the reader quits or leaves the last one.

    name: the name of the file that remembers the page, where the next reading starts.
    load: returns the page of an index.  Raises KeyboardInterrupt for Ctrl-C.
    """
    keys, index = _Keys(), _recall(name, count)
    shown = prompts
    if index:
        page, answered, more, resumed, _ = prompts
        page, answered, more = (f"{resumed} {prompt}" for prompt in (page, answered, more))
        shown = prompts._replace(page=page, answered=answered, more=more)
    with exit_cleanly(), _read_single_keys():
        while index < count:
            _remember(name, index)
            moved = _page(load(index), shown, keys)
            if moved is None:
                return
            index, shown = max(0, index + moved), prompts
    _remember(name, 0)
    terminal.write(f"{prompts.end}\n")


def show_markdown(text: str) -> None:
    """Show a page of Markdown in the terminal's pager; without a terminal, write it as it is."""
    if is_possible():
        width = terminal.columns(sys.stdout, os.environ) or WIDEST
        text = lay_out(text, width, color=terminal.has_color(sys.stdout, os.environ))
    show_text(text)


def show_text(text: str) -> None:
    """Show a text in the terminal's pager; without a terminal, write it."""
    if not is_possible():
        terminal.write(text)
        return
    from pydoc import pager

    keys = terminal.localize(Message("Space more, q quit"))
    os.environ.setdefault("LESS", f"-RFX -Ps{keys}")  # colours; no paging of a page that fits
    if terminal.encoding().casefold() in ("utf-8", "utf8"):
        os.environ.setdefault("LESSCHARSET", "utf-8")  # else hex, where the locale is not installed
    pager(text)


def lay_out(text: str, width: int, *, color: bool) -> str:
    """Return a page of Markdown laid out for a terminal."""
    from rich.console import Console
    from rich.markdown import CodeBlock, Heading, Markdown, TableElement
    from rich.syntax import Syntax
    from rich.text import Text
    from rich.theme import Theme

    class PlainHeading(Heading):
        def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
            yield Text("")
            yield Text(self.text.plain, "bold" if self.tag == "h1" else "bold cyan")

    class WideCode(CodeBlock):
        """Code in lines as they are: broken, a line would be copied as two commands."""

        def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
            code = Syntax("", self.lexer_name, theme=self.theme).highlight(self.text.plain.rstrip())
            code.no_wrap, code.overflow = True, "ignore"
            yield from (Text(""), code, Text(""))

    class WholeTable(TableElement):
        """A table without ellipses: Rich counts the blank behind a full line of wide characters."""

        def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
            for table in super().__rich_console__(console, options):
                for column in getattr(table, "columns", ()):
                    column.overflow = "fold"
                yield table

    class TerminalMarkdown(Markdown):
        elements: ClassVar[dict[str, Any]] = {
            **Markdown.elements,
            "heading_open": PlainHeading,
            "fence": WideCode,
            "table_open": WholeTable,
        }

    console = Console(
        width=min(width, WIDEST),
        force_terminal=color,
        no_color=not color,
        theme=Theme({"markdown.code": "cyan"}),
    )
    with console.capture() as captured:
        console.print(TerminalMarkdown(text, code_theme="ansi_light"), crop=False)
    return captured.get()


def ask(question: str) -> str:
    """Return the line that the reader types; "" if it is blank, or at the end of the input."""
    terminal.write(f"{question} ")
    answer = sys.stdin.readline()
    if not answer:
        terminal.write("\n")
    return answer.strip()


def _recall(name: str, count: int) -> int:
    with suppress(OSError, ValueError, RuntimeError):
        file = _state_folder() / name
        index = int(file.read_text(encoding="utf-8")) if file.is_file() else 0
        return index if 0 <= index < count else 0
    return 0


def _remember(name: str, index: int) -> None:
    """Write down the page; where that is impossible, the next reading starts at the first page."""
    with suppress(OSError, ValueError, RuntimeError):
        folder = _state_folder()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{index}\n", encoding="utf-8")


def _state_folder() -> Path:
    """Return the folder of the user's state.  Raises RuntimeError if there is no home."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():
        return given / "rnncli"
    folders = {"win32": "AppData/Local", "darwin": "Library/Application Support"}
    return Path.home() / folders.get(sys.platform, ".local/state") / "rnncli"


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
    height = shutil.get_terminal_size().lines
    parts = split_page(leaf.text, height)
    for part in parts[:-1]:
        before, after = ("", "\n") if part.count("\n") > height - PROMPT else ("\n", "")
        terminal.write(part)
        key = keys.one_of(LEAVE, f"{before}{prompts.more}")
        if key not in NEXT:
            return LEAVE[key]
        terminal.write(after)
    terminal.write(parts[-1])
    prompt = prompts.page if leaf.answer else prompts.answered
    key = keys.one_of((*LEAVE, *(ANSWER if leaf.answer else ())), f"\n{prompt}")
    if key in ANSWER:
        terminal.write(leaf.answer)
        key = keys.one_of(LEAVE, f"\n{prompts.answered}")
    return LEAVE[key]


def split_page(text: str, height: int) -> list[str]:
    """Split a page that is taller than the terminal at its last empty line that fits.

    height: lines of the terminal.  The empty line is left out: a prompt is shown there.
    """
    lines = text.splitlines(keepends=True)
    parts: list[str] = []
    while len(lines) > height - PROMPT > 0:
        last = min(height - MORE, len(lines) - 1)
        empty = next((index for index in range(last, 0, -1) if not lines[index].strip()), None)
        end = last if empty is None else empty
        parts.append("".join(lines[:end]))
        lines = lines[end if empty is None else end + 1 :]
    return [*parts, "".join(lines)]


class _Keys:
    """The keys pressed; several may arrive at once."""

    def __init__(self) -> None:
        self.waiting = ""

    def one_of(self, keys: Collection[str], prompt: str) -> str:
        """Show the prompt until one of `keys` is pressed; erase the prompt, and return the key."""
        terminal.write(prompt)
        try:
            while (key := self._next()) not in keys:
                pass
        finally:
            terminal.write(ERASE)
        return key

    def _next(self) -> str:
        """Return one key; "" for a key that sends a sequence of characters, such as an arrow."""
        if not self.waiting:
            pressed = SEQUENCE.sub(lambda match: ARROWS.get(match[1], ""), _wait_for_keys() or QUIT[0])
            self.waiting = pressed.translate(HANGUL)
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
