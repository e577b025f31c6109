"""`rnncli run --expect`: the result compared with a stored one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.cli import expectation

if TYPE_CHECKING:
    from rnncli.cli.expectation import Expectation
    from rnncli.cli.flags import CheckFlags
    from rnncli.commands.run.run_request import RunRequest
    from rnncli.compute.compare import TensorDifference
    from rnncli.result import Result


def read_expectation(wanted: RunRequest) -> Expectation | None:
    """Read the file of --expect, before anything is computed; None without the flag."""
    word = wanted.check.expect
    return None if word is None else expectation.read_expectation(word, wanted.input, wanted.output.output)


def compare_expected(
    expected: Expectation | None, result: Result, check: CheckFlags
) -> tuple[tuple[TensorDifference, ...], tuple[str, ...]]:
    """Return how far each tensor differs, and remarks; nothing without --expect."""
    if expected is None:
        expectation.demand_known(check.tolerances, [tensor.name for tensor in result.outputs])
        return (), ()
    return expected.compare(result.outputs, result.engine, check.tolerances)
