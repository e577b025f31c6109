"""Rewrite messages for Python: `--units 3` becomes `units=3`."""

from __future__ import annotations

import re
from typing import TypeVar

from rnncli.api._options import LayerOptions
from rnncli.errors import RnncliError

Error = TypeVar("Error", bound=RnncliError)

SWITCHES = {
    name
    for name, kind in LayerOptions.__annotations__.items()
    if "bool" in getattr(kind, "__forward_arg__", "")
} | {"training", "all_layers", "all_calls", "check", "stats", "full"}

FLAG = re.compile(
    r"(?P<asked>\b(?:[Aa]dd|with) )?(?<![\w-])--(?P<no>no-)?(?P<name>[a-z][a-z-]*[a-z])\b"
    r"(?:[ =](?P<value>'[^'\n]*'|-?\d+(?:\.\d+)?e-?\d+|-?\d[\w.,]*\b"
    r"|(?!out\b)[\w.,=#/-]*\w(?=[.,:;]*$|[.,:;]+\s| \()))?"
)
"""A flag, and its value if it is a number, is in quotes, or ends the clause."""

FLAGS = re.compile(r"(--[a-z-]+ (?:'[^'\n]*'|(?!(?:and|or|out|needs|is|with)\b)[\w.#/-]+)) (?=--[a-z])")
"""A flag with its value, before another flag."""

COMMAND = re.compile(r"\brnncli [a-z]+ .*")
"""A command line, which stays as it is."""


INPUTS = {
    '{"inputs": {"NAME": ...}}': '{"NAME": ...}',
    "Give a file, or JSON on the command line.": "Give an array, arrays by name, or the path of a file.",
}
"""Texts about the inputs, and what they are in Python."""


def in_python(text: str) -> str:
    """Rewrite the flags in a message as keywords, line by line; and what it says of the inputs."""
    for typed, passed in INPUTS.items():
        text = text.replace(typed, passed)
    return "\n".join(_in_line(line) for line in text.split("\n"))


def rephrase(error: Error) -> Error:
    """Rewrite the message of the error, and return it."""
    error.detail, error.advice = in_python(error.what), in_python(error.advice)
    error.sources, error.path, error.args = (), None, (error.detail, error.advice)
    return error


def _in_line(line: str) -> str:
    command = COMMAND.search(line)
    end = command.start() if command else len(line)
    return FLAG.sub(_keyword, FLAGS.sub(r"\1, ", line[:end])) + line[end:]


def _keyword(flag: re.Match[str]) -> str:
    name = flag["name"].replace("-", "_")
    asked, value = flag["asked"] or "", flag["value"]
    if name in SWITCHES and not value:
        return f"{asked}{name}=False" if flag["no"] else f"{asked}{name}{'=True' if asked else ''}"
    if not value:
        return f"{asked}{name}"
    hole = value.isupper() and name != "layer"  # FILE, but LSTM is a layer
    plain = hole or value.startswith("'") or re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", value)
    return f"{asked}{name}={value if plain else repr(value)}"
