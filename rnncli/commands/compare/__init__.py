"""`rnncli compare`: engines with each other, or results with a stored one or with consecutive pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.errors import Flag, UsageError

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.checks import Expectation
    from rnncli.commands.compare.answer import CompareAnswer
    from rnncli.compute.compare import TolerancePair
    from rnncli.show.answer import Reply

EXAMPLES = """\
rnncli compare --layer lstm --engines numpy,tensorflow --seed 1
rnncli compare data.csv --layer lstm --seed 1 --expect expected.npz
rnncli compare --layer gru --return-sequences --input-shape 1,25,4 --split 10
rnncli compare --layer lstm --return-state --atol last_cell_state=1e-4
rnncli compare x.npy --model model.keras --with model.onnx
rnncli compare ragged --pad post --layer bilstm --alone
rnncli compare --layer '@cell.toml(64)' --with kernel.py:chunked
"""


def compare(
    ask: Ask,
    *,
    engines: str | None,
    other: str | None,
    mapping: list[str] | None,
    expect: str | None,
    split: int | None,
    alone: bool,
    try_lengths: str | None,
    atol: list[str] | None,
    rtol: list[str] | None,
    select: list[str] | None,
) -> Reply[CompareAnswer]:
    """Do engines agree? Do two models? Does a result match a stored one?

    One row per tensor and pair, with the largest difference; exit 1 if a number is outside the tolerances.
    """
    from rnncli.commands.checks import parse_tolerances, read_expectation

    return compute_answer(
        ask,
        parse_tolerances(atol, rtol),
        engines=engines,
        other=None if other is None else {"model": other},
        mapping=parse_mapping(mapping),
        expected=read_expectation(expect, ask),
        split=split,
        alone=alone,
        try_lengths=try_lengths,
        select=select,
    )


def parse_mapping(words: Sequence[str] | None) -> dict[str, str]:
    """Parse `THEIRS=OURS`.  Raises UsageError for a word without both names."""
    mapping = {}
    for word in words or ():
        theirs, _, ours = word.rpartition("=")
        if not theirs or not ours:
            from rnncli.ask.returned import MAP

            raise UsageError("{--map:word} does not name two layers.", "Write {map}.", word=word, map=MAP)
        mapping[theirs] = ours
    return mapping


def compute_answer(
    ask: Ask,
    tolerances: TolerancePair,
    *,
    engines: str | None,
    other: Mapping[str, Any] | None,
    mapping: Mapping[str, str],
    expected: Expectation | None,
    split: int | None,
    alone: bool,
    try_lengths: Any,
    select: Sequence[str] | None,
) -> Reply[CompareAnswer]:
    """Return the answer, with the error of the first tensor that differs.

    engines: their names, with commas between.
    other: the fields of an Ask that hold a second model; its model may be a function, which gets try_lengths.
    mapping: the layers of the first model, or the results, by those of the second one, or of the file.
    expected: what to compare with, instead of engines.  alone: compare each sequence with its batch.
    split: time steps of a piece, to compare one engine with itself.
    """
    from rnncli.ask import subject_of
    from rnncli.commands.checks import find_difference
    from rnncli.commands.compare import comparison, function

    given = {"engines": engines, "expect": expected, "split": split, "select": select}
    if other is not None and not alone and function.is_function(other["model"]):
        more = {**given, "mapping": mapping or None}
        return function.compare_function(ask, other["model"], try_lengths, more, tolerances)
    if try_lengths is not None:
        advice = "Name it: {--with:name}."
        raise UsageError("{--try-lengths} needs a function.", advice, name="kernel.py:chunked")
    if alone:
        from rnncli.commands.compare.alone import compare_alone

        reply = compare_alone(ask, tolerances, {**given, "other": other, "mapping": mapping or None})
        return reply._replace(failure=find_difference(reply.answer.differences) or reply.failure)
    if other is not None or (mapping and expected is None):
        from rnncli.commands.compare.models import compare_models

        return compare_models(ask, other, given, tolerances, mapping)
    if split is not None and (engines is not None or expected is not None):
        what = "{--split} compares one engine with itself, not with {given}."
        advice = "Leave {--split} or {given} out; {--engine} chooses the engine for {--split}."
        raise UsageError(what, advice, given=Flag("--engines" if engines is not None else "--expect"))
    if expected is not None and mapping:
        expected = expected.with_names(mapping)
    one_engine = expected is not None or split is not None
    chosen = comparison.choose_engines(engines, ask.engine, alone=one_engine)
    subject = subject_of(ask)
    if expected is not None:
        expected = expected.beside(subject, ask, select)
    settings = comparison.Comparison(tolerances, chosen, ask.engine, expected, split, tuple(select or ()))
    if expected is not None and not chosen:
        reply = comparison.compare_with_stored(subject.compute(), settings)
    else:
        parts = subject.parts(alone=True, one_call=split is not None)
        reply = comparison.compare_case(parts.case, settings)
        reply = reply._replace(remarks=(*parts.remarks, *reply.remarks))
    return reply._replace(failure=find_difference(reply.answer.differences))
