"""The checks of a result: --check, --expect with its tolerances, --fail-on-nan; and --select."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from rnncli.errors import DisagreementError, Flag, Message, Text, UsageError, did_you_mean, format_names
from rnncli.inputs.source import find_source, stdin_holds_data
from rnncli.result import NamedTensor
from rnncli.show import formats as output_formats
from rnncli.values import ATOL, RTOL, Array, Assumed, format_shape, parse_decimal

if TYPE_CHECKING:
    from rnncli.ask import Ask, Remarks
    from rnncli.ask.subject import Subject
    from rnncli.compute.compare import (
        TensorDifference,
        Tolerance,  # help must not load it
        TolerancePair,
    )
    from rnncli.models import Passed
    from rnncli.result import Result
    from rnncli.show.answer import Reply
    from rnncli.show.result_answer import ResultAnswer

Checked = TypeVar("Checked", bound="ResultAnswer")


def parse_tolerances(atol: Sequence[str] | None, rtol: Sequence[str] | None) -> tuple[Tolerance, Tolerance]:
    """Return the absolute and the relative tolerance, given or default."""
    return _parse_tolerance("--atol", atol, ATOL), _parse_tolerance("--rtol", rtol, RTOL)


def _parse_tolerance(flag: str, words: Sequence[str] | None, default: float) -> Tolerance:
    """Parse `1e-4` and `last_cell_state=1e-4`.  Raises UsageError for anything but nonnegative numbers."""
    by_name: dict[str, float] = {}
    for word in words or ():
        name, _, text = word.rpartition("=")
        try:
            value = parse_decimal(text)
        except ValueError:
            raise UsageError(
                "{flag}: {text!r} is not a valid number.", "For example {flag} 1e-4.", flag=flag, text=text
            ) from None
        if value < 0:
            raise UsageError(
                "{flag}: {text} is less than 0.", "For example {flag} 1e-4.", flag=flag, text=text
            )
        if not math.isfinite(value):
            what = "{flag} {text}: a tolerance must be a finite number."
            raise UsageError(what, "For example {flag} 1e-4.", flag=flag, text=text)
        if name in by_name:
            what = "{flag} is given twice for {name}."
            raise UsageError(what, "Leave one of them out.", flag=flag, name=name or "every tensor")
        by_name[name] = value
    return {"": default, **by_name} if set(by_name) - {""} else by_name.get("", default)


def format_tolerance(tolerance: Tolerance) -> str:
    """Return `1e-06`, or `1e-06, last_cell_state=0.0001`."""
    if not isinstance(tolerance, Mapping):
        return f"{tolerance:g}"
    return ", ".join(f"{name}={value:g}" if name else f"{value:g}" for name, value in tolerance.items())


class Expectation(NamedTuple):
    """The tensors of a file, by name.

    file: its name in messages.  command: that writes such a file.
    others: returns all that the layers can return, where a stored tensor is not among the results.
    strict: whether a stored tensor that is compared with nothing is a difference, not only a remark.
    """

    file: Text
    tensors: Mapping[str, Array]
    command: str = "run"
    others: Callable[[], Sequence[NamedTensor]] = tuple
    strict: bool = False

    def beside(self, subject: Subject, ask: Ask, select: Sequence[str] | None) -> Expectation:
        """Return it for the results of a subject, whose other tensors may be expected, too."""
        return self._replace(others=cache(subject.everything), strict=not select and ask.calls == 1)

    def with_names(self, mapping: Mapping[str, str]) -> Expectation:
        """Return it with other names of tensors, by the names in the file.  Raises UsageError."""
        for name in mapping:
            if name not in self.tensors:
                what = Message("{--map:name}: {file} has no tensor {name!r}.", name=name, file=self.file)
                raise UsageError(what, did_you_mean(name, self.tensors))
        return self._replace(tensors={mapping.get(name, name): array for name, array in self.tensors.items()})

    def require_names(
        self, advice: Text = Message("Give what the same command writes with -o expected.npz.")
    ) -> None:
        """Raise UsageError for a tensor without a name, as in .npy; a trace has several tensors."""
        from rnncli.commands.expected import ALONE

        if ALONE in self.tensors:
            raise UsageError(
                "{file}: it holds one tensor without a name, and a trace has several.", advice, file=self.file
            )

    def compare(
        self,
        tensors: Sequence[NamedTensor],
        side: str,
        tolerances: tuple[Tolerance, Tolerance],
        assumed: Assumed | None = None,
    ) -> tuple[tuple[TensorDifference, ...], tuple[Text, ...]]:
        """Compare the tensors that the file also has; return the differences, and remarks on the others.

        side: name of what returned the tensors, such as an engine.
        assumed: about the file of the layers: if its framework has time first, so has what it stored.
        """
        from rnncli.commands.expected import match_names, match_shapes, note_lacking
        from rnncli.compute import compare

        compare.require_known(tolerances, [tensor.name for tensor in tensors])
        shapes = {tensor.name: tuple(tensor.values.shape) for tensor in tensors}
        time_first = assumed is not None and assumed.values.get("batch_first") is False
        stored, remarks, left = match_names(
            self.tensors, shapes, self.file, self.command, time_first=time_first, others=self.strict
        )
        known = {tensor.name: tensor for tensor in tensors}
        if left and self.strict:
            known |= {tensor.name: tensor for tensor in self.others() if tensor.name not in known}
            more = {name: tuple(tensor.values.shape) for name, tensor in known.items() if name not in stored}
            results = {name: shape for name, shape in more.items() if name in shapes}
            compared, notes, left = match_shapes(left, results, more, self.file)
            stored, remarks = {**stored, **compared}, (*remarks, *notes)
        lacking = [name for name in shapes if name not in stored]
        if lacking and self.strict:
            remarks = (*remarks, note_lacking(lacking, self.file))
        sides = side, self.file
        differences = [
            compare.measure(tensor, stored[name], sides, *tolerances)
            for name, tensor in known.items()
            if name in stored
        ]
        if self.strict:
            differences += [compare.missing(name, array, sides, *tolerances) for name, array in left.items()]
        equal = self.recognize(differences, known, tolerances) if self.command == "run" else ()
        return tuple(differences), (*remarks, *equal)

    def recognize(
        self,
        differences: Sequence[TensorDifference],
        known: Mapping[str, NamedTensor],
        tolerances: TolerancePair,
    ) -> Remarks:
        """Return a remark for each stored tensor that is not the result, but another tensor of the layers.

        differences: from the results.  known: the results, by name.
        """
        from rnncli.compute import compare

        if all(difference.agrees for difference in differences) and known:
            return ()
        every = {**{tensor.name: tensor for tensor in self.others()}, **known}
        remarks: list[Text] = []
        for name, array in self.tensors.items():
            if array.size < 2 or (array == array.flat[0]).all():  # which many tensors may equal
                continue
            same = [
                other
                for other, tensor in every.items()
                if compare.measure(tensor, array, ("", ""), *tolerances).agrees
            ]
            if same and not any(difference.name in same and difference.agrees for difference in differences):
                text = "{name} equals {others}"
                remarks.append(Message(text, name=name or self.file, others=format_names(same)))
        return tuple(remarks)


def read_expectation(word: str | None, ask: Ask, command: str = "run") -> Expectation | None:
    """Read the file of --expect; None without the flag.

    Raises UsageError if standard input is the input already; of `trace`, also for a tensor without a name, as
    in .npy: a trace has many tensors and no --select.
    """
    if word is None:
        return None
    from rnncli.commands.expected import read_expected

    bare = ask.input is None and ask.input_shape is None
    if word == "-" and (ask.input == "-" or (bare and stdin_holds_data())):
        advice = "Put one of them into a file."
        raise UsageError("standard input is already the input; {--expect} cannot read it too.", advice)
    source = find_source(word)
    expected = Expectation(source.name, read_expected(source), command)
    if command == "trace":
        expected.require_names()
    return expected


def find_difference(differences: Sequence[TensorDifference]) -> DisagreementError | None:
    """Return the error for the first tensor that differs, as numpy.testing puts it; None if none does."""
    disagreeing = [difference for difference in differences if not difference.agrees]
    if not disagreeing:
        return None
    first = disagreeing[0]
    others = list(dict.fromkeys(each.name for each in disagreeing if each.name != first.name))
    return DisagreementError(
        describe_mismatch(first),
        "{limits} Also different: {others}." if others else "{limits}",
        limits=_limits(first),
        others=format_names(others),
    )


def describe_mismatch(difference: TensorDifference) -> Text:
    """Return one sentence: what differs from what, the first mismatch, and the share that differs."""
    first, second = difference.sides
    if difference.missing:
        text = "{name} of {other_side} is not compared: nothing here has this name or its shape, {shape}."
        return Message(
            text, name=difference.name, other_side=second, shape=format_shape(difference.shapes[1])
        )
    if difference.mismatch is None:
        shape, other_shape = map(format_shape, difference.shapes)
        text = "{name}: shape mismatch: {shape} ({side}), {other_shape} ({other_side})."
        return Message(
            text, name=difference.name, shape=shape, side=first, other_shape=other_shape, other_side=second
        )
    wrong = difference.mismatch
    share = f"{wrong.number} / {difference.size} ({100 * wrong.number / difference.size:.3g}%)"
    return Message(
        "{name} differs: mismatched elements: {share}; first mismatch at index {index}: "
        "{first} ({side}), {second} ({other_side}).",
        name=difference.name,
        share=share,
        index=list(wrong.indices),
        first=_digits(wrong.first),
        side=first,
        second=_digits(wrong.second),
        other_side=second,
    )


def _digits(number: float) -> str:
    from rnncli.show.digits import spell_nonfinite

    return f"{number:.9g}" if math.isfinite(number) else spell_nonfinite(number)


def _limits(difference: TensorDifference) -> Text:
    if difference.mismatch is None:
        return Message("Compare results of the same layer, input and flags.")
    return Message(
        "Not equal to tolerance rtol={rtol:g}, atol={atol:g}; max absolute difference: "
        "{absolute:.6g}; max relative difference: {relative:.6g}.",
        rtol=difference.rtol,
        atol=difference.atol,
        absolute=difference.absolute,
        relative=difference.relative,
    )


class ResultChecks(NamedTuple):
    """The checks of a result that are asked for.

    check: whether to compare with the framework.  expected: the tensors of --expect.
    tolerances: absolute and relative.
    format: the format of the output.
    hidden_in: formats that do not show the differences of this answer, besides those of numbers alone.
    """

    check: bool
    expected: Expectation | None
    tolerances: TolerancePair
    fail_on_nan: bool
    format: str = "table"
    hidden_in: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything is checked."""
        return self.check or self.expected is not None or self.fail_on_nan

    @property
    def limits(self) -> TolerancePair | None:
        """The tolerances of --check; None without it."""
        return self.tolerances if self.check else None

    def reply(
        self, answer: Checked, remarks: Remarks, passed: Callable[[], Sequence[Passed]]
    ) -> Reply[Checked]:
        """Return the answer, with the error of the first check that it does not pass.

        passed: returns the layers that made the answer.
        """
        from rnncli.show.answer import Reply

        left: Remarks = ()
        result, failure = answer.result, find_disagreement(answer.result, self.tolerances)
        if self.expected is not None:
            stored, left = self.expected.compare(
                answer.named_tensors(), result.engine, self.tolerances, result.assumed
            )
            failure = failure or find_difference(stored)
        if self.fail_on_nan and failure is None and (place := answer.first_nan()) is not None:
            from rnncli.ask.passage import explain_nan

            advice = "Look for a NaN or a very large number in the input and the weights."
            failure = DisagreementError(explain_nan(passed(), place), advice)
        hidden = note_hidden_differences(result, self.format, self.hidden_in)
        return Reply(answer, (*remarks, *hidden, *left), failure)


def read_checks(
    ask: Ask,
    format_name: str,
    *,
    check: bool,
    expect: str | None,
    atol: Sequence[str] | None,
    rtol: Sequence[str] | None,
    fail_on_nan: bool,
    command: str = "run",
) -> ResultChecks:
    """Return the checks that the flags of a command ask for.  Raises UsageError for a wrong one."""
    require_purpose(atol, rtol, check=check, expect=expect, hold=ask.hold)
    tolerances = parse_tolerances(atol, rtol)
    expected = read_expectation(expect, ask, command)
    return ResultChecks(check, expected, tolerances, fail_on_nan, format_name)


def require_purpose(atol: object, rtol: object, *, check: bool, expect: object, hold: object) -> None:
    """Raise UsageError for a tolerance with nothing to compare, and for a check of what Keras cannot do."""
    for name, tolerance in (("--atol", atol), ("--rtol", rtol)):
        if tolerance is not None and not check and expect is None:
            raise UsageError("{flag} needs {--check} or {--expect}.", "Add {--check:on}.", flag=Flag(name))
    if hold and check:
        advice = "Leave {--check} out; {--hold} compares with the run without it."
        raise UsageError("{--check} compares with Keras, and Keras cannot hold a gate.", advice)


def select_tensors(result: Result, names: Sequence[str] | None) -> Result:
    """Return `result` with only those tensors, in Keras's order."""
    if not names:
        return result
    known = [tensor.name for tensor in result.outputs]
    # A name without a call selects that tensor of every call.
    short = [str(tensor.label.without_call) for tensor in result.outputs]
    for name in names:
        if name not in (*known, *short):
            from rnncli import addresses

            advice = addresses.suggest_tensor(name, known)
            hidden = all(tensor.label.layer is None for tensor in result.outputs) and len(result.specs) > 1
            if hidden and addresses.parse_label(name).layer is not None:
                advice = Message("Add {--all-layers:on}, which shows the tensors of every layer.")
            raise UsageError("{--select}: there is no tensor {name!r}.", advice, name=name)
    kept = tuple(
        tensor
        for tensor, plain in zip(result.outputs, short, strict=True)
        if tensor.name in names or plain in names
    )
    return replace(result, outputs=kept)


def note_hidden_differences(result: Result, format_name: str, elsewhere: Sequence[str] = ()) -> Remarks:
    """Return the findings of --check as remarks if `format_name`, or one of `elsewhere`, cannot show them."""
    if not result.differences:
        return ()
    if format_name not in elsewhere and not output_formats.FORMATS[format_name].only_values:
        return ()
    from rnncli.show.result_answer import format_difference

    shown = {tensor.name for tensor in result.outputs}
    text = (
        "{name}: largest difference from {reference} under the same assumptions {difference}"
        if result.assumed
        else "{name}: largest difference from {reference} {difference}"
    )
    apart = {
        name: format_difference(difference, result.ulps.get(name))
        for name, difference in result.differences.items()
        if name in shown
    }
    return tuple(
        Message(text, name=name, reference=result.reference, difference=difference)
        for name, difference in apart.items()
    )


def find_disagreement(result: Result, tolerances: TolerancePair) -> DisagreementError | None:
    """Return the error for the tensors of `result` that disagree with the framework; None for none."""
    shown = [tensor.name for tensor in result.outputs if tensor.name in result.disagreeing]
    if not shown:
        return None
    atol, rtol = map(format_tolerance, tolerances)
    return DisagreementError(
        "{shown} differs from {reference}." if len(shown) == 1 else "{shown} differ from {reference}.",
        "The difference is larger than {--atol:atol} and {--rtol:rtol} allow.",
        shown=", ".join(shown),
        reference=result.reference,
        atol=atol,
        rtol=rtol,
    )
