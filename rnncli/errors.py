"""Messages, and every error with its exit code; exit codes are defined only here.

A message is a value: a template and its fields.  It becomes text once, where it is shown, in the language of
the reader, and with the flags of the command line or the keywords of Python: see `write`.

An error says three things: what was attempted, what was found instead, and what to do.  The first two
are `detail`, the last is `advice`.  Only `rnncli.cli.terminal` prints them.

Code raises without the name of the file that it reads; `inside`, where the file is opened, adds that.
"""

from __future__ import annotations

from _string import formatter_parser  # type: ignore[import-not-found]  # string.Formatter without `re`
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

Path = tuple[str | int, ...]
"""Keys and indices that lead to a value in a document."""

Fit = Callable[[str, str], str]
"""Takes the text that ends in a filled hole and what follows it; returns this as it is written there."""

INTERRUPTED = 130
"""The exit code of Ctrl-C, which is not an error."""


class Message:
    """A text as a value: a template, and the fields for its holes.

    A hole is `{name}`, as in str.format; or an option, which is a flag on the command line and a keyword in
    Python: `{--units}`, `{--units:count}` with the field `count` as its value, `{--pad post}` with this
    value, `{--check:on}` where Python needs a value.
    A field may be a Message, a Flag, an Either or an error.  `str` gives the English of the command line.
    """

    __slots__ = ("fields", "template")

    def __init__(self, template: str, /, **fields: Any) -> None:
        self.template, self.fields = template, fields

    def __str__(self) -> str:
        return write(self)

    def __repr__(self) -> str:
        return f"Message({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self.template)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (str, Message)) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def kind(self) -> str:
        """What it says, whatever its fields: two messages of one kind differ only in them."""
        return self.template

    def with_fields(self, **fields: Any) -> Message:
        """Return the message with these fields, besides its own."""
        return Message(self.template, **{**self.fields, **fields})


Text = str | Message
"""A text to show; a plain one is a name, or comes from a library."""

EMPTY = Message("")


class Either:
    """A text of the command line that is another one in Python."""

    __slots__ = ("passed", "typed")

    def __init__(self, typed: Text, passed: Text) -> None:
        self.typed, self.passed = typed, passed


class Flag:
    """An option in a message: `--units 3` on the command line, `units=3` in Python.

    name: `--units`.  value: None if it stands alone.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: object = None) -> None:
        self.name, self.value = name, value

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name} {self.value}"

    def in_python(self) -> str:
        """Return the keyword with its value."""
        keyword = self.name.removeprefix("--").replace("-", "_")
        if keyword.startswith("no_"):
            return f"{keyword.removeprefix('no_')}=False"
        value = self.value
        if value is None:
            return keyword
        if not isinstance(value, str) or value[:1] in "'\"" or _is_number(value.partition(", ")[0]):
            return f"{keyword}={value}"
        stands_for_one = value.isupper() and keyword != "layer"  # FILE, but LSTM is a layer
        return f"{keyword}={value if stands_for_one else repr(value)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write(
    text: object, translate: Callable[[str], str] = str, fit: Fit | None = None, *, python: bool = False
) -> str:
    """Return a Message, or what stands in one, as text.

    translate: returns a template in the language of the reader.  python: name keywords instead of flags.
    """
    if isinstance(text, Message):
        return _fill(text, translate, fit, python)
    if isinstance(text, RnncliError):
        parts = [write(part, translate, fit, python=python) for part in text.sources]
        return ": ".join([*map(_escape_breaks, parts), write(text.sentence, translate, fit, python=python)])
    if isinstance(text, Flag):
        return text.in_python() if python else str(text)
    if isinstance(text, Either):
        return write(text.passed if python else text.typed, translate, fit, python=python)
    return translate(str(text))


def _fill(message: Message, translate: Callable[[str], str], fit: Fit | None, python: bool) -> str:
    """Return the template with its fields; a sentence in a sentence has no dot of its own before a mark.

    Only templates break lines: a line feed in a name or a value is shown as \\n.
    """
    fields, text, sentence, option = message.fields, "", False, False
    for written, name, spec, conversion in formatter_parser(translate(message.template)):
        literal = fit(text, written) if fit and text else written
        if sentence and literal[:1] in {".", ",", ")", ";"}:
            text = text.removesuffix(".")
        two = python and option and literal == " " and name and name.startswith("--")
        text, sentence, option = text + (", " if two else literal), False, False
        if name is None:
            continue
        if name.startswith("--"):
            option = True
            text += _escape_breaks(write(_parse_option(name, spec, fields, python), python=python))
        elif spec or conversion:
            text += format(repr(fields[name]) if conversion == "r" else fields[name], spec)
        else:
            field = fields[name]
            sentence = isinstance(field, (Message, RnncliError))
            is_name = isinstance(field, str) and " " not in field
            shown = field if is_name else write(field, translate, fit, python=python)
            text += shown if isinstance(field, (Message, RnncliError)) else _escape_breaks(shown)
    return text


def _escape_breaks(text: str) -> str:
    return text.replace("\n", "\\n") if "\n" in text else text


def _parse_option(hole: str, spec: str, fields: Mapping[str, Any], python: bool) -> Flag:
    """spec: of `{--units:count}`, the name of a field."""
    name, _, value = hole.partition(" ")
    if spec == "on":
        return Flag(name, True if python else None)
    if spec:
        field, _, conversion = spec.partition("!")
        return Flag(name, repr(fields[field]) if conversion else str(fields[field]))
    return Flag(name, value or None)


class RnncliError(Exception):
    """Base class of all errors.

    detail: one sentence.  advice: what to do, may be empty.  Both are templates for the same fields, or
        Messages.
    path: the keys and indices that lead to the bad value, () for the whole document; the hole `{place}` of
        the sentence.  None if the error is not about one value.
    sources: what the sentence is about, outermost first: a file, a line in it; see `inside`.
    """

    exit_code = 2

    def __init__(self, detail: Text, advice: Text = "", path: Path | None = None, **fields: Any) -> None:
        self.detail = Message(detail, **fields) if isinstance(detail, str) else detail
        self.advice = Message(advice, **fields) if isinstance(advice, str) else advice
        self.path = path
        self.sources: tuple[Text, ...] = ()
        self.python = False
        super().__init__(self.detail, self.advice)

    def __str__(self) -> str:
        texts = (self, self.advice) if self.advice else (self,)
        return "\n".join(write(text, python=self.python) for text in texts)

    @property
    def sentence(self) -> Message:
        """The sentence without the sources."""
        if self.path is None:
            return self.detail
        return self.detail.with_fields(place=format_path(self.path) or Message("the document"))

    @property
    def what(self) -> str:
        """The sentence with the sources in front, in English: `notes.json: it is empty.`"""
        return write(self, python=self.python)


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
def inside(source: Text, *more: type[RnncliError]) -> Iterator[None]:
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


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> Message:
    """Return 'Did you mean `lstm`?' if one of `choices` is close to `word`, else 'Choose one of a, b, c.'

    prefix: shown before each of the choices.
    """
    names = list(dict.fromkeys(choices))
    if near := nearest(word, names):
        return Message("Did you mean {near}?", near=prefix + near)
    if len(names) == 1:
        return Message("The only choice is {name}.", name=prefix + names[0])
    listed = format_names([prefix + name for name in names])
    return Message("Choose one of {names}.", names=listed) if names else EMPTY


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is most similar to `word`; None if none is close."""
    import difflib

    folded = {fold_name(name): name for name in reversed(list(choices))}
    near = difflib.get_close_matches(fold_name(word), folded, n=1, cutoff=0.65)
    return folded[near[0]] if near else None


def fold_name(name: str) -> str:
    """Return a name without case, underscores, hyphens and spaces around it, to compare it with others."""
    return name.strip().casefold().replace("_", "").replace("-", "")


def shorten(text: str, most: int = 20) -> str:
    """Return a text of at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def format_names(names: Sequence[str]) -> Text:
    """Format `a, b, c`; of more than ten, the first eight and the number of the rest."""
    if len(names) <= 10:
        return ", ".join(names)
    shown = ", ".join(names[:8])
    return Message("{shown} and {count} more", shown=shown, count=len(names) - 8)


def join(texts: Iterable[object], separator: str = ", ") -> Message:
    """Return the texts with the separator between them."""
    fields = {f"_{index}": text for index, text in enumerate(texts)}
    return Message(separator.join(f"{{{name}}}" for name in fields), **fields)


def count(number: int, noun: str, plural: str = "") -> Message:
    """Return `1 unit` or `3 units`."""
    return Message(f"{{number}} {noun if number == 1 else plural or noun + 's'}", number=number)


def recognize(text: str, templates: Iterable[str]) -> Text:
    """Return a library's text as a Message of the first template that fits, so that it can be translated."""
    import re

    for template in templates:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(template))
        if match := re.fullmatch(pattern, text):
            return Message(template, **match.groupdict())
    return text


def python_command(code: str, file: str, to: str) -> str:
    """Return the command that runs these lines of Python.  file, to: the values of %(file)s and %(to)s."""
    import shlex

    names = {"file": python_literal(file), "to": python_literal(to)}
    return f"python -c {shlex.quote('; '.join((code % names).splitlines()))}"


def python_literal(text: str) -> str:
    """Return the text as a literal of Python, in ASCII and double quotes, which need no escape in a shell."""
    import json

    return json.dumps(text)


def format_indices(noun: str, size: int) -> Message:
    """Return `The units are 0 to 2.`, or `The only unit is 0.`  noun: in the plural."""
    if size > 1:
        return Message(f"The {noun} are 0 to {{last}}.", last=size - 1)
    return Message(f"The only {noun.removesuffix('s')} is 0.")


def format_range(size: int) -> Text:
    """Return which indices an axis of this size has: `0 to 2`, or `only 0`."""
    return Message("{first} to {last}", first=0, last=size - 1) if size > 1 else Message("only 0")


def first_nonblank_line(error: Exception) -> str:
    """Return the first line of the message that is not blank; the name of the class if there is none."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)
