"""Every error and its exit code; exit codes are defined only here.

An error says three things: what was attempted, what was found instead, and what to do.  The first two
are `what`, the last is `advice`.  Only `rnncli.cli.terminal` prints them.

Code raises without the name of the file that it reads; `inside`, where the file is opened, adds that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

Path = tuple[str | int, ...]
"""Keys and indices that lead to a value in a document."""

INTERRUPTED = 130
"""The exit code of Ctrl-C, which is not an error."""


class RnncliError(Exception):
    """Base class of all errors.

    detail: one sentence.  advice: what to do, may be empty.
    path: the keys and indices that lead to the bad value, () for the whole document; the sentence starts with
        it.  None if the error is not about one value.
    sources: what the sentence is about, outermost first: a file, a line in it; see `inside`.
    """

    exit_code = 2

    def __init__(self, detail: str, advice: str = "", path: Path | None = None) -> None:
        super().__init__(detail, advice)
        self.detail, self.advice, self.path = detail, advice, path
        self.sources: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}\n{self.advice}" if self.advice else self.what

    @property
    def sentence(self) -> str:
        """The sentence without the sources."""
        if self.path is None:
            return self.detail
        return f"{format_path(self.path) or 'the document'} {self.detail}"

    @property
    def what(self) -> str:
        """The sentence with the sources in front: `notes.json: it is empty.`"""
        return ": ".join((*self.sources, self.sentence))


class UsageError(RnncliError):
    """The command line is invalid."""


class InputError(RnncliError):
    """The input is not a valid tensor, layer, mask, state or set of weights; the message says where."""


class LayerError(RnncliError):
    """A layer, option, activation or initializer that Keras would reject."""


class DisagreementError(RnncliError):
    """The run succeeded, but a requested check failed."""

    exit_code = 1


class EngineError(RnncliError):
    """An engine or an optional package is missing, or failed."""

    exit_code = 3


@contextmanager
def with_path_prefix(*steps: str | int) -> Iterator[None]:
    """Put these steps in front of the path of an input error, if it has one."""
    try:
        yield
    except InputError as error:
        if error.path is not None:
            error.path = (*steps, *error.path)
        raise


def format_path(path: Iterable[str | int]) -> str:
    """Return `weights/kernel[0][2]` for `("weights", "kernel", 0, 2)`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f"/{step}" for step in path).removeprefix("/")


@contextmanager
def inside(source: str, *more: type[RnncliError]) -> Iterator[None]:
    """Put the name of a source, such as a file, in front of input and layer errors that lack it.

    more: other errors that are about the source.
    """
    kinds: tuple[type[RnncliError], ...] = (InputError, LayerError, *more)
    try:
        yield
    except kinds as error:
        if source and source not in error.sources:
            error.sources = (source, *error.sources)
        raise


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """Return 'Did you mean `lstm`?' if one of `choices` is close to `word`, else 'Choose one of a, b, c.'

    prefix: shown before each of the choices.
    """
    names = list(choices)
    if near := nearest(word, names):
        return f"Did you mean {prefix}{near}?"
    if len(names) == 1:
        return f"The only choice is {prefix}{names[0]}."
    return f"Choose one of {format_names([prefix + name for name in names])}." if names else ""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the one of `choices` that is most similar to `word`; None if none is close."""
    import difflib

    folded = {fold_name(name): name for name in reversed(list(choices))}
    near = difflib.get_close_matches(fold_name(word), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def fold_name(name: str) -> str:
    """Return a name without case, underscores, hyphens and spaces around it, to compare it with others."""
    return name.strip().casefold().replace("_", "").replace("-", "")


def shorten(text: str, most: int = 20) -> str:
    """Return a text of at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def format_names(names: Sequence[str]) -> str:
    """Format `a, b, c`; of more than ten, the first eight and the number of the rest."""
    if len(names) <= 10:
        return ", ".join(names)
    shown = names[:8]
    return f"{', '.join(shown)} and {len(names) - len(shown)} more"


def count(number: int, noun: str) -> str:
    """Return `1 unit` or `3 units`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_indices(noun: str, size: int) -> str:
    """Return `The units are 0 to 2.`, or `The only unit is 0.`  noun: in the plural."""
    return f"The {noun} are 0 to {size - 1}." if size > 1 else f"The only {noun.removesuffix('s')} is 0."


def format_range(size: int) -> str:
    """Return which indices an axis of this size has: `0 to 2`, or `only 0`."""
    return f"0 to {size - 1}" if size > 1 else "only 0"


def first_nonblank_line(error: Exception) -> str:
    """Return the first line of the message that is not blank; the name of the class if there is none."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)
