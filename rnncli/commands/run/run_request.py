"""What one call of `rnncli run` asks for: all of its flags as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rnncli.cli.expectation import Expectation
    from rnncli.cli.flags import CheckFlags, InputFlags, LayerFlags, OutputFlags, RunFlags, ShowFlags
    from rnncli.cli.result_checks import ResultChecks


class RunRequest(NamedTuple):
    """The flags of one call of `rnncli run`."""

    input: InputFlags
    layer: LayerFlags
    run: RunFlags
    check: CheckFlags
    output: OutputFlags
    show: ShowFlags
    select: tuple[str, ...]
    stats: bool
    fail_on_nan: bool
    stream: bool
    keep_going: bool
    memory: str | None
    hold: tuple[str, ...] = ()

    @property
    def needs_whole_result(self) -> bool:
        """Whether an answer needs every number before it can begin."""
        check = self.check.check or self.check.expect is not None
        return check or self.stats or self.fail_on_nan or bool(self.hold)

    @property
    def budget(self) -> int | None:
        """Bytes for one chunk of the batch, from --memory; None for the default."""
        from rnncli.specs import memory

        return None if self.memory is None else memory.parse(self.memory)

    def read_expectation(self) -> Expectation | None:
        """Read the file of --expect; None without the flag."""
        if self.check.expect is None:
            return None
        from rnncli.cli import expectation

        return expectation.read_expectation(self.check.expect, self.input, self.output.output)

    def checks(self, expected: Expectation | None) -> ResultChecks:
        """Return the checks of the result.  expected: the tensors of --expect."""
        from rnncli.cli.output import format_of
        from rnncli.cli.result_checks import ResultChecks

        return ResultChecks(self.check, format_of(self.output), expected, self.fail_on_nan)

    @property
    def file_flags(self) -> tuple[InputFlags, LayerFlags, RunFlags]:
        """The groups that may name a file to read."""
        return self.input, self.layer, self.run
