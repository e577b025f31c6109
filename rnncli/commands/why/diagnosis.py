"""Find the cause of a message: causes/*.toml hold the patterns, the texts and the fixes."""

from __future__ import annotations

import operator
import re
import tomllib
from ast import literal_eval
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

from rnncli import handbook
from rnncli.commands.why import fix_layers
from rnncli.commands.why.message import (
    SEQUENCE,
    Fields,
    Frame,
    FrameworkMessage,
    last_frame,
    normalize,
    parse_shape,
)
from rnncli.commands.why.values import COMPUTE
from rnncli.errors import DisagreementError
from rnncli.locale import fit_particle
from rnncli.values import Shape, format_shape

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">": operator.gt,
    "has": operator.contains,
    "lacks": lambda text, part: part not in text,
}


def fields_of(message: FrameworkMessage, shapes: Collection[str], arguments: Collection[str]) -> Fields:
    """Return what the holes of every cause may name: the groups of its pattern, names and layers.

    A group is a number if it is written in digits, a shape if it is one of `shapes`, else text; the shapes of
    the call's `arguments` are fields too. With a shape, `{shape_axes}` is the number of its axes, and
    `{shape_units}` the size of the last one. A layer takes units and options: `{own:3, unroll=True}`.
    """
    groups = message.match.groupdict(default="")
    named = {name: parse_shape(groups[name]) for name in shapes}
    named |= {name: (*message.argument(name), ())[0] for name in arguments}
    return {
        "call": message.call,
        "layer": message.layer,
        "torch": message.layer.removeprefix("Simple"),
        "names": partial(fix_layers.own_names, message),
        # the layer of the message or the code, with and without a Bidirectional around it
        "own": partial(fix_layers.expression, message),
        "inner": partial(fix_layers.inner_layer, message),
        # the layer, if it returns a single tensor; {wide:8}, {last:8} and {every:8} have 8 outputs
        "before": partial(fix_layers.before, message),
        "wide": partial(fix_layers.with_width, message),
        "last": partial(fix_layers.with_width, message, return_sequences=False),
        "every": partial(fix_layers.with_width, message, return_sequences=True),
        # the two directions of a Bidirectional
        "forward": partial(fix_layers.one_way, message),
        "backward": partial(fix_layers.one_way, message, go_backwards=True),
        **{name: int(text) if text.isdecimal() else text for name, text in groups.items()},
        **named,
        **{f"{name}_axes": len(shape) for name, shape in named.items()},
        **{f"{name}_units": fix_layers.units_of(shape) for name, shape in named.items()},
    }


class _Filler(Formatter):
    def format_field(self, value: Any, spec: str) -> str:
        """Return a shape, text, or what `spec` says.

        A layer gets units and options, `3, return_sequences=True`; a number a noun: `1 time step`, `4 time
        steps`, or `several time steps` if it is unknown.
        """
        if callable(value):
            parts = [part.partition("=") for part in spec.split(", ") if part]
            units = [int(name) for name, sign, _ in parts if not sign]
            return str(value(*units, **{name: literal_eval(text) for name, sign, text in parts if sign}))
        if isinstance(value, tuple):
            return format_shape(value)
        if spec == "개":
            return "여러 개" if value is None else f"{value}개"
        if not spec:
            return str(value)
        nouns = "axes" if spec == "axis" else f"{spec}s"
        return f"{'several' if value is None else value} {spec if value == 1 else nouns}"


_FILLER = _Filler()


def fill(text: str, fields: Fields) -> str:
    """Return the text with the fields in its holes."""
    filled = ""
    for literal, name, spec, _ in _FILLER.parse(text):
        filled += fit_particle(filled, literal)
        if name is not None:
            value, _ = _FILLER.get_field(name, (), fields)
            filled += _FILLER.format_field(value, fill(spec or "", fields))
    return filled


def values_of(entries: list[Any], fields: Fields) -> tuple[Any, ...]:
    """Return the values of layers or sizes; a hole with a shape or several layers gives several values."""
    values: list[Any] = []
    for entry in entries:
        value = _value(entry, fields)
        values += value if isinstance(value, tuple) else (value,)
    return tuple(values)


def _value(entry: Any, fields: Fields) -> Any:
    """Return the field itself for `{size}`, or `batch` for `{size or batch}` if the size is unknown."""
    hole = re.fullmatch(r"\{([\w\[\]]+)(?: or (\w+))?\}", str(entry))
    if not hole:
        return fill(entry, fields) if isinstance(entry, str) else entry
    value = _known(hole[1], fields) if hole[2] else _FILLER.get_field(hole[1], (), fields)[0]
    return hole[2] if value is None else value() if callable(value) else value


def holds(when: str, fields: Fields) -> bool:
    """Return whether all conditions hold: `steps`, `not steps`, `found > {wanted}`, joined by `and`.

    A field that the cause does not have is neither true nor equal to anything.
    """
    return all(_holds(condition.split(), fields) for condition in when.split(" and ")) if when else True


def _holds(words: list[str], fields: Fields) -> bool:
    if words[0] == "not":
        return not _known(words[1], fields)
    if len(words) == 1:
        return bool(_known(words[0], fields))
    name, sign, text = words
    wanted = int(text) if text.isdecimal() else _value(text, fields)
    return COMPARISONS[sign](_known(name, fields), wanted)


def _known(path: str, fields: Fields) -> Any:
    """Return a field, or one size of a shape: `shape[0]`; None if the cause does not have it."""
    name, *indices = re.findall(r"\w+", path)
    value = fields.get(name)
    if not indices:
        return value
    index = int(indices[0])
    return value[index] if value and index < len(value) else None


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
    causes = []
    for name, table in tables.items():
        whole = _inherit(table, tables)  # the entries that it takes over by `like`; variants get them, too
        variants = [{**whole, **_inherit(variant, tables)} for variant in whole.get("variant", ())]
        causes.append(Cause(name, table["pattern"], {**whole, "variant": variants}))
    return tuple(causes)


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
    found = []
    for cause in read_causes():
        *_, match = (None, *re.finditer(cause.pattern, line))
        message = match and FrameworkMessage(line, match, frame.code if frame else "")
        if message and (diagnosis := cause.diagnose(message)):
            found.append(Match(message.match.end(), diagnosis))
    return found
