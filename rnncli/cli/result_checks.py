"""Select tensors of a result, and check that it agrees with a reference and contains no NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from rnncli.cli.tolerances import format_tolerance, parse_tolerances, require_known
from rnncli.errors import DisagreementError, Flag, Message, Text, UsageError
from rnncli.show import formats as output_formats

if TYPE_CHECKING:
    from rnncli.ask import Remarks
    from rnncli.case import Case
    from rnncli.cli.expectation import Expectation
    from rnncli.cli.output import Delivery
    from rnncli.compute.compare import TensorDifference, TolerancePair
    from rnncli.models.call import ModelLayer
    from rnncli.result import Result
    from rnncli.show.parts import ResultAnswer


class ResultChecks(NamedTuple):
    """The checks that the flags ask for.

    tolerances: absolute and relative.
    format: of the output.  expected: the tensors of --expect.
    hidden_in: formats that do not show the differences of this answer, besides those of numbers alone.
    """

    tolerances: TolerancePair
    format: str
    expected: Expectation | None
    fail_on_nan: bool
    hidden_in: tuple[str, ...] = ()

    def show(
        self, answer: ResultAnswer, remarks: Remarks, disagreeing: Sequence[str], deliver: Delivery
    ) -> None:
        """Show the answer; only then raise DisagreementError for the first check that it does not pass.

        disagreeing: the tensors beyond the tolerances of --check.
        """
        hidden = note_hidden_differences(answer.result, self.format, self.hidden_in)
        stored, left = self._compare(answer)
        deliver(answer, (*remarks, *hidden, *left))
        require_agreement(disagreeing, answer.result, self.tolerances)
        if stored:
            from rnncli.cli import expectation

            expectation.require_same(stored)
        refuse_nan(answer.first_nan() if self.fail_on_nan else None)

    def _compare(self, answer: ResultAnswer) -> tuple[tuple[TensorDifference, ...], Remarks]:
        """Compare with the file of --expect; return how far the tensors differ, and remarks on the others."""
        tolerances = self.tolerances
        if self.expected is not None:
            return self.expected.compare(answer.named_tensors(), answer.result.engine, tolerances)
        return (), ()


def parse_checks(
    atol: Sequence[str] | None,
    rtol: Sequence[str] | None,
    *,
    check: bool,
    expect: str | None,
    hold: Sequence[str] | None,
) -> TolerancePair:
    """Return the tolerances.  Raises UsageError for a wrong one, and if there is nothing to compare."""
    for name, words in (("--atol", atol), ("--rtol", rtol)):
        if words and not check and expect is None:
            raise UsageError("{flag} needs {--check} or {--expect}.", "Add {--check:on}.", flag=Flag(name))
    if hold and check:
        refuse_check_of_held()
    return parse_tolerances(atol, rtol)


def refuse_check_of_held() -> NoReturn:
    """Raise UsageError: --check is about Keras's numbers."""
    raise UsageError(
        "{--check} compares with Keras, and Keras cannot hold a gate.",
        "Leave {--check} out; {--hold} compares with the run without it.",
    )


def verify(
    case: Case,
    result: Result,
    tolerances: TolerancePair | None,
    budget: int | None = None,
    chosen: ModelLayer | None = None,
) -> tuple[Result, list[str], Remarks]:
    """Compare with the result without --hold, and for --check with Keras or the framework of a saved model.

    tolerances: of --check; None without it.  chosen: the layer of --model.
    Returns the result with its differences, the names of the tensors beyond the tolerances, and remarks.
    """
    if case.hold:
        from rnncli.compute import holds

        result = holds.compare_without(case, result, budget)
    if tolerances is None:
        return result, [], ()
    require_known(tolerances, [tensor.name for tensor in result.outputs])
    if chosen is not None:
        return *chosen.compare_with_framework(result, *tolerances), ()
    from rnncli.compute import compare, keras_differences

    result, disagreeing = compare.compare_with_keras(case, result, *tolerances, budget)
    return result, disagreeing, keras_differences.note_tensorflow_numbers(case, result)


def select_tensors(result: Result, names: Sequence[str] | None) -> Result:
    """Return `result` with only those tensors, in Keras's order."""
    if not names:
        return result
    known = [tensor.name for tensor in result.outputs]
    # A name without a call selects that tensor of every call.
    short = [str(tensor.label.without_call) for tensor in result.outputs]
    for name in names:
        if name not in (*known, *short):
            raise UsageError(
                "{--select}: there is no tensor {name!r}.", _suggest(name, known, result), name=name
            )
    kept = tuple(
        tensor
        for tensor, plain in zip(result.outputs, short, strict=True)
        if tensor.name in names or plain in names
    )
    return replace(result, outputs=kept)


def _suggest(name: str, known: Sequence[str], result: Result) -> Text:
    """Return advice: --all-layers for a tensor of one layer of a stack, else a tensor of a similar name."""
    from rnncli import addresses

    hidden = all(tensor.label.layer is None for tensor in result.outputs) and len(result.specs) > 1
    if hidden and addresses.parse_label(name).layer is not None:
        return Message("Add {--all-layers:on}, which shows the tensors of every layer.")
    return addresses.suggest_tensor(name, known)


def note_hidden_differences(result: Result, format_name: str, elsewhere: Sequence[str] = ()) -> Remarks:
    """Return the findings of --check as remarks if `format_name`, or one of `elsewhere`, cannot show them."""
    if not result.differences:
        return ()
    if format_name not in elsewhere and not output_formats.FORMATS[format_name].only_values:
        return ()
    shown = {tensor.name for tensor in result.outputs}
    return tuple(
        Message(
            "{name}: largest difference from {reference} under the same assumptions {difference:.1e}",
            name=name,
            reference=result.reference,
            difference=difference,
        )
        if result.assumed
        else Message(
            "{name}: largest difference from {reference} {difference:.1e}",
            name=name,
            reference=result.reference,
            difference=difference,
        )
        for name, difference in result.differences.items()
        if name in shown
    )


def require_agreement(disagreeing: Sequence[str], result: Result, tolerances: TolerancePair) -> None:
    """Raise DisagreementError if a tensor of `result` is among the disagreeing ones."""
    shown = [tensor.name for tensor in result.outputs if tensor.name in disagreeing]
    if shown:
        atol, rtol = map(format_tolerance, tolerances)
        raise DisagreementError(
            "{shown} differs from {reference}." if len(shown) == 1 else "{shown} differ from {reference}.",
            "The difference is larger than {--atol:atol} and {--rtol:rtol} allow.",
            shown=", ".join(shown),
            reference=result.reference,
            atol=atol,
            rtol=rtol,
        )


def refuse_nan(place: str | None) -> None:
    """Raise DisagreementError for a NaN at `place`."""
    if place is not None:
        raise DisagreementError(
            "the output contains NaN, first in {place}.",
            "Look for a NaN or a very large number in the input and the weights.",
            place=place,
        )
