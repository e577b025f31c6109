"""`rnncli run`: what a layer returns, of one batch (one_batch.py) or of a stream of them (stream.py)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.cli.hints import TRACE, Hint, is_bidirectional, returns_last_output
from rnncli.errors import Message

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.checks import Expectation, ResultChecks
    from rnncli.cli.output import OutputFlags
    from rnncli.compute.compare import TolerancePair

EXAMPLES = """\
rnncli run --layer lstm --return-sequences --return-state --seed 42
rnncli run data.csv --layer bigru --units 4 --format json
rnncli run '[[[1, 2], [3, 4]]]' --layer 'LSTM(2, use_bias=False)' --check
rnncli run --return-sequences -f json | rnncli run --layer gru
tail -f sensor.ndjson | rnncli run --stream --stateful --layer gru -f ndjson
"""
HINTS = (
    Hint(
        is_bidirectional,
        "matrix{same}",
        Message("all four of return_sequences x return_state"),
    ),
    Hint(
        lambda values: values["seed"] is None and values["weights"] is None,
        "run{same} --seed 42",
        Message("the same weights in every run"),
    ),
    Hint(
        returns_last_output,
        "run{same} --return-sequences --return-state",
        Message("every time step, and the last state"),
    ),
    TRACE,
)

MODULES = {
    (False, False): "one_batch",
    (False, True): "stream",
    (True, False): "saved_model",
    (True, True): "saved_model_stream",
}
"""The module that answers, by whether there is a saved model and whether lines are read as they arrive."""


def run(ask: Ask, output: OutputFlags, **flags: Any) -> None:
    """What does the layer return?

    Every returned tensor in Keras's order, with its shape, its meaning and its numbers.
    """
    name = MODULES[bool(ask.model), flags["stream"] or flags["keep_going"]]
    import_module(f"{__name__}.{name}").answer(RunRequest(ask, output, **flags))


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
        from rnncli.cli.checks import parse_checks

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
        from rnncli.cli import checks

        return checks.read_expectation(self.expect, self.ask, self.output.output)

    def checks(self, expected: Expectation | None) -> ResultChecks:
        """Return the checks of the result.  expected: the tensors of --expect."""
        from rnncli.cli.checks import ResultChecks
        from rnncli.cli.output import format_of

        return ResultChecks(self.tolerances, format_of(self.output), expected, self.fail_on_nan)
