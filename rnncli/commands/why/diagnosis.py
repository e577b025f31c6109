"""Find the cause of a message: causes/*.toml hold the patterns, the texts and the fixes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from rnncli import handbook
from rnncli.case import Shape
from rnncli.commands.why.fields import fields_of, fill, holds, values_of
from rnncli.commands.why.message import SEQUENCE, Fields, Frame, FrameworkMessage, last_frame, normalize
from rnncli.commands.why.values import COMPUTE
from rnncli.errors import DisagreementError

FOLDER = Path(__file__).parent / "causes"
FILES = (
    "arguments.toml",
    "data.toml",
    "directions.toml",
    "features.toml",
    "gpu.toml",
    "losses.toml",
    "model_inputs.toml",
    "old_scripts.toml",
    "rank.toml",
    "returns.toml",
    "saved.toml",
    "states.toml",
    "torch_inputs.toml",
    "torch_training.toml",
)

CauseTable = dict[str, Any]
"""A table of TOML."""


class Bilingual(NamedTuple):
    """A text in both languages, from a file that holds both."""

    en: str
    ko: str

    def in_language(self, lang: str) -> str:
        """Return the text in `lang`; in English if there is none."""
        return self.ko if lang == "ko" else self.en


@dataclass(frozen=True)
class Fix:
    """One thing to change.

    situation: when to choose this fix.  snippet: Python code with the sizes of the message.
    layers: expressions to run, first to last; empty if there is nothing to run.
    shape: input of the run; a size that the message does not give is a name or None.
    mask, states: whether to run with a mask of (batch, timesteps), and with initial states.
    weights: whether the shapes of the weights matter, and are shown.
    """

    situation: Bilingual
    snippet: str
    layers: tuple[str, ...] = ()
    shape: Shape = SEQUENCE
    mask: bool = False
    states: bool = False
    weights: bool = False


class Diagnosis(NamedTuple):
    """What a message means.

    explanation: what is wrong, with the numbers of the message.
    hint: which fix is most often right, or what to check; empty if there is nothing to add.
    cause: the name of the Cause, `rank`.  call: the user's line in a traceback.
    """

    explanation: Bilingual
    fixes: tuple[Fix, ...]
    hint: Bilingual
    cause: str
    call: Frame | None = None


class Cause(NamedTuple):
    """One known message.

    name: stable, for scripts.  pattern: regular expression, found anywhere in the text on one line; its
        repetitions are bounded, because the text may be hostile.
    table: its texts and fixes, as its file has them; .github/CONTRIBUTING.md lists the keys.
    """

    name: str
    pattern: str
    table: CauseTable

    def diagnose(self, message: FrameworkMessage) -> Diagnosis | None:
        """Return what the message means; None if it has another cause although the pattern matches."""
        fields = fields_of(message, *(self.table.get(key, ()) for key in ("shapes", "arguments")))
        if "compute" in self.table:
            values = COMPUTE[self.table["compute"]](message)
            if values is None:
                return None
            fields.update(values)
        if not holds(self.table.get("when", ""), fields):
            return None
        variants = (variant for variant in self.table["variant"] if holds(variant["when"], fields))
        chosen = next(variants, self.table)
        explanation, hint = _bilingual(chosen, fields), _bilingual(chosen.get("hint", {}), fields)
        return Diagnosis(explanation, tuple(_fixes(chosen["fix"], fields)), hint, self.name)


def _bilingual(table: CauseTable, fields: Fields) -> Bilingual:
    return Bilingual(fill(table.get("en", ""), fields), fill(table.get("ko", ""), fields))


def _fixes(tables: list[CauseTable], fields: Fields) -> Iterator[Fix]:
    """Yield the fixes whose `when` holds.

    Adjacent tables with the same `each` are repeated together, for every entry of the field `each` names.
    """
    for each, group in groupby(tables, lambda table: table.get("each")):
        chosen = list(group)
        for entry in fields[each] if each else [{}]:
            known = {**fields, **entry}
            yield from (_fix(table, known) for table in chosen if holds(table.get("when", ""), known))


def _fix(table: CauseTable, fields: Fields) -> Fix:
    layers = values_of(table.get("layers", []), fields)
    return Fix(
        _bilingual(table, fields),
        fill(table["code"], fields) if "code" in table else ", ".join(layers),
        layers,
        values_of(table.get("input", SEQUENCE), fields),
        *(table.get(key, False) for key in ("mask", "states", "weights")),
    )


@cache
def read_causes() -> tuple[Cause, ...]:
    """Return the causes of every file."""
    tables: dict[str, CauseTable] = {}
    for file in FILES:
        tables |= tomllib.loads((FOLDER / file).read_text(encoding="utf-8"))
    return tuple(Cause(name, table["pattern"], _complete(table, tables)) for name, table in tables.items())


def _complete(table: CauseTable, tables: dict[str, CauseTable]) -> CauseTable:
    """Return the table with the entries that it inherits by `like`; its variants get all its entries, too."""
    whole = _inherit(table, tables)
    variants = [{**whole, **_inherit(variant, tables)} for variant in whole.get("variant", ())]
    return {**whole, "variant": variants}


def _inherit(table: CauseTable, tables: dict[str, CauseTable]) -> CauseTable:
    return {**_inherit(tables[table["like"]], tables), **table} if "like" in table else table


class Match(NamedTuple):
    """A diagnosis and where in the text its message ends."""

    end: int
    diagnosis: Diagnosis


def diagnose(text: str) -> Diagnosis:
    """Return the diagnosis of the last known message in `text`.

    Raises DisagreementError if there is none.
    """
    known = matches(text)
    if not known:
        page = handbook.find(text)
        raise DisagreementError(
            "this message is not known.",
            "It is a topic of the handbook: rnncli help {page}"
            if page
            else "Paste the last lines of the traceback; rnncli why knows the errors of recurrent layers.",
            page=page,
        )
    return max(known, key=lambda match: match.end).diagnosis._replace(call=last_frame(text))


def matches(text: str) -> list[Match]:
    """Return every diagnosis that fits `text`."""
    line, frame = normalize(text), last_frame(text)
    code = frame.code if frame else ""
    return [match for cause in read_causes() if (match := _match(cause, line, code)) is not None]


def _match(cause: Cause, line: str, code: str) -> Match | None:
    """Return the diagnosis for the last match of the pattern."""
    *_, match = (None, *re.finditer(cause.pattern, line))
    diagnosis = match and cause.diagnose(FrameworkMessage(line, match, code))
    return Match(match.end(), diagnosis) if match and diagnosis else None
