"""What one call of `rnncli run` asks for: all of its options as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.expectation import Expectation
    from rnncli.cli.output import OutputFlags
    from rnncli.cli.result_checks import ResultChecks
    from rnncli.compute.compare import TolerancePair


class RunRequest(NamedTuple):
    """The options of `rnncli run`."""

    ask: Ask
    output: OutputFlags
    check: bool
    expect: str | None
    atol: list[str] | None
    rtol: list[str] | None
    select: list[str] | None
    stats: bool
    fail_on_nan: bool
    stream: bool
    keep_going: bool
    memory: str | None

    @property
    def tolerances(self) -> TolerancePair:
        """Absolute and relative tolerance.  Raises UsageError for a wrong one, or with nothing to compare."""
        from rnncli.cli.result_checks import parse_checks

        return parse_checks(self.atol, self.rtol, check=self.check, expect=self.expect, hold=self.ask.hold)

    @property
    def whole_result_flags(self) -> list[str]:
        """The given flags whose answer needs every number before it can begin."""
        given = {
            "--check": self.check,
            "--expect": self.expect is not None,
            "--stats": self.stats,
            "--fail-on-nan": self.fail_on_nan,
            "--hold": self.ask.hold,
        }
        return [name for name, value in given.items() if value]

    @property
    def budget(self) -> int | None:
        """Bytes for one chunk of the batch, from --memory; None for the default."""
        from rnncli.process import memory

        return None if self.memory is None else memory.parse(self.memory)

    def read_expectation(self) -> Expectation | None:
        """Read the file of --expect; None without the flag."""
        if self.expect is None:
            return None
        from rnncli.cli import expectation

        return expectation.read_expectation(self.expect, self.ask, self.output.output)

    def checks(self, expected: Expectation | None) -> ResultChecks:
        """Return the checks of the result.  expected: the tensors of --expect."""
        from rnncli.cli.output import format_of
        from rnncli.cli.result_checks import ResultChecks

        return ResultChecks(self.tolerances, format_of(self.output), expected, self.fail_on_nan)
