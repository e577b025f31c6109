"""`--expect FILE`: compare a result with stored tensors, for every command that has the flag."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rnncli.case import Array, format_shape
from rnncli.cli import files
from rnncli.errors import DisagreementError, Message, Text, UsageError, format_names
from rnncli.inputs import given
from rnncli.result import NamedTensor

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.compute.compare import TensorDifference, Tolerance


class Expectation(NamedTuple):
    """The tensors of a file, by name.  file: its name in messages.  command: that writes such a file."""

    file: Text
    tensors: Mapping[str, Array]
    command: str = "run"

    def require_names(
        self, advice: Text = Message("Give what the same command writes with -o expected.npz.")
    ) -> None:
        """Raise UsageError for a tensor without a name, as in .npy; a trace has several tensors."""
        from rnncli.inputs.expected import ALONE

        if ALONE in self.tensors:
            raise UsageError(
                "{file}: it holds one tensor without a name, and a trace has several.", advice, file=self.file
            )

    def compare(
        self, tensors: Sequence[NamedTensor], side: str, tolerances: tuple[Tolerance, Tolerance]
    ) -> tuple[tuple[TensorDifference, ...], tuple[Text, ...]]:
        """Compare the tensors that the file also has; return the differences, and remarks on the others.

        side: name of what returned the tensors, such as an engine.
        """
        from rnncli.cli.tolerances import require_known
        from rnncli.compute import compare
        from rnncli.inputs.expected import match_names

        require_known(tolerances, [tensor.name for tensor in tensors])
        shapes = {tensor.name: tuple(tensor.values.shape) for tensor in tensors}
        stored, remarks = match_names(self.tensors, list(shapes), shapes, self.file, self.command)
        found = tuple(
            compare.measure(tensor, stored[tensor.name], (side, self.file), *tolerances)
            for tensor in tensors
            if tensor.name in stored
        )
        return found, remarks


def read_expectation(
    word: str | None, ask: Ask, output: str | None, *, require_names: bool = False
) -> Expectation | None:
    """Read the file of --expect; None without the flag.

    require_names: refuse a tensor without a name, as in .npy; a trace has many tensors and no --select.
    Raises UsageError if standard input is the input already, or if --output would overwrite the file.
    """
    if word is None:
        return None
    from rnncli.inputs.expected import read_expected

    files.require_place(output, (0 if word == "-" else word,))
    if word == "-" and _is_stdin(ask):
        raise UsageError(
            "standard input is already the input; {--expect} cannot read it too.",
            "Put one of them into a file.",
        )
    source = given.find_source(word)
    expected = Expectation(source.name, read_expected(source), "trace" if require_names else "run")
    if require_names:
        expected.require_names()
    return expected


def _is_stdin(ask: Ask) -> bool:
    """Return whether the input is read from standard input, named or not."""
    bare = ask.input is None and ask.input_shape is None
    return ask.input == "-" or (bare and given.stdin_holds_data())


def require_same(found: Sequence[TensorDifference]) -> None:
    """Raise DisagreementError for the first tensor that differs, in the terms of numpy.testing."""
    disagreeing = [one for one in found if not one.agrees]
    if disagreeing:
        first = disagreeing[0]
        others = list(dict.fromkeys(one.name for one in disagreeing if one.name != first.name))
        raise DisagreementError(
            describe_mismatch(first),
            "{limits} Also different: {others}." if others else "{limits}",
            limits=_limits(first),
            others=format_names(others),
        )


def describe_mismatch(one: TensorDifference) -> Text:
    """Return one sentence: what differs from what, the first mismatch, and the share that differs."""
    first, second = one.sides
    if one.mismatch is None:
        shape, other_shape = map(format_shape, one.shapes)
        return Message(
            "{name}: shape mismatch: {shape} ({side}), {other_shape} ({other_side}).",
            name=one.name,
            shape=shape,
            side=first,
            other_shape=other_shape,
            other_side=second,
        )
    wrong = one.mismatch
    share = f"{wrong.number} / {one.size} ({100 * wrong.number / one.size:.3g}%)"
    return Message(
        "{name} differs: mismatched elements: {share}; first mismatch at index {index}: "
        "{first} ({side}), {second} ({other_side}).",
        name=one.name,
        share=share,
        index=list(wrong.place),
        first=_digits(wrong.first),
        side=first,
        second=_digits(wrong.second),
        other_side=second,
    )


def _digits(number: float) -> str:
    """Format a number with enough digits for any float32."""
    from rnncli.show.numerals import spell_nonfinite

    return f"{number:.9g}" if math.isfinite(number) else spell_nonfinite(number)


def _limits(one: TensorDifference) -> Text:
    if one.mismatch is None:
        return Message("Compare results of the same layer, input and flags.")
    return Message(
        "Not equal to tolerance rtol={rtol:g}, atol={atol:g}; max absolute difference: "
        "{absolute:.6g}; max relative difference: {relative:.6g}.",
        rtol=one.rtol,
        atol=one.atol,
        absolute=one.absolute,
        relative=one.relative,
    )
