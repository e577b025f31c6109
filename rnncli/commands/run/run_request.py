"""What one call of `rnncli run` asks for: all of its flags as one value."""

# Annotations must be objects at run time, as in cli/flags.py, whose groups this holds.

from typing import TYPE_CHECKING, NamedTuple

from rnncli.cli.flags import (
    CheckFlags,
    FailOnNan,
    InputFlags,
    KeepGoing,
    LayerFlags,
    Memory,
    OutputFlags,
    RunFlags,
    Select,
    ShowFlags,
    Streaming,
    WithStats,
)
from rnncli.cli.hold_flag import HoldFlag

if TYPE_CHECKING:
    from rnncli.cli.expectation import Expectation
    from rnncli.cli.result_checks import ResultChecks


class RunRequest(NamedTuple):
    """The flags of `rnncli run`."""

    input: InputFlags
    layer: LayerFlags
    run: RunFlags
    check: CheckFlags
    output: OutputFlags
    show: ShowFlags
    select: Select = None
    stats: WithStats = False
    fail_on_nan: FailOnNan = False
    stream: Streaming = False
    keep_going: KeepGoing = False
    memory: Memory = None
    hold: HoldFlag = None

    def validate(self) -> None:
        """Raise UsageError for flags that need others, or that have a wrong value."""
        self.show.require_calls(self.run)

    @property
    def whole_result_flags(self) -> list[str]:
        """The given flags whose answer needs every number before it can begin."""
        given = {
            "--check": self.check.check,
            "--expect": self.check.expect is not None,
            "--stats": self.stats,
            "--fail-on-nan": self.fail_on_nan,
            "--hold": self.hold,
        }
        return [name for name, value in given.items() if value]

    @property
    def budget(self) -> int | None:
        """Bytes for one chunk of the batch, from --memory; None for the default."""
        from rnncli.process import memory

        return None if self.memory is None else memory.parse(self.memory)

    def read_expectation(self) -> "Expectation | None":
        """Read the file of --expect; None without the flag."""
        if self.check.expect is None:
            return None
        from rnncli.cli import expectation

        return expectation.read_expectation(self.check.expect, self.input, self.output.output)

    def checks(self, expected: "Expectation | None") -> "ResultChecks":
        """Return the checks of the result.  expected: the tensors of --expect."""
        from rnncli.cli.output import format_of
        from rnncli.cli.result_checks import ResultChecks

        return ResultChecks(self.check, format_of(self.output), expected, self.fail_on_nan)

    @property
    def file_flags(self) -> tuple[InputFlags, LayerFlags, RunFlags]:
        """The groups that may name a file to read."""
        return self.input, self.layer, self.run
