"""The flags of `rnncli compare`: its own, and all of them as one value."""

# Annotations must be objects at run time, as in cli/flags.py, whose groups this adds to.

from typing import TYPE_CHECKING, Annotated, NamedTuple

from rnncli.cli.flag_groups import RUN, flag
from rnncli.cli.flags import (
    Atol,
    Expect,
    InputFlags,
    LayerFlags,
    OutputFlags,
    Rtol,
    RunFlags,
    Select,
    ShowFlags,
)
from rnncli.cli.tolerances import parse_tolerances
from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.compute.compare import Tolerance


class CompareFlags(NamedTuple):
    """What to compare, and how closely."""

    engines: Annotated[
        str | None,
        flag(
            RUN,
            "--engines",
            metavar="NAMES",
            help="Compare these engines: numpy,tensorflow,... (default: all that can compute the layer).",
        ),
    ] = None
    expect: Expect = None
    split: Annotated[
        int | None,
        flag(
            RUN,
            "--split",
            metavar="N",
            min=1,
            help="Compare one call with consecutive pieces of N time steps that carry the state.",
        ),
    ] = None
    atol: Atol = None
    rtol: Rtol = None

    def validate(self) -> None:
        """Raise UsageError for wrong tolerances and for flags that exclude each other."""
        _ = self.tolerances
        given = [name for name in ("engines", "expect", "split") if getattr(self, name) is not None]
        if "split" in given and len(given) > 1:
            raise UsageError(
                "{--split} compares one engine with itself, not with --{given}.",
                "Leave {--split} or --{given} out; {--engine} chooses the engine for {--split}.",
                given=given[0],
            )

    @property
    def tolerances(self) -> "tuple[Tolerance, Tolerance]":
        """Absolute and relative tolerance, given or default."""
        return parse_tolerances(self.atol, self.rtol)


class CompareRequest(NamedTuple):
    """The flags of `rnncli compare`."""

    input: InputFlags
    layer: LayerFlags
    run: RunFlags
    comparison: CompareFlags
    output: OutputFlags
    show: ShowFlags
    select: Select = None

    def validate(self) -> None:
        """Raise UsageError for flags that exclude each other or need others."""
        self.show.require_calls(self.run)
