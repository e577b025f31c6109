"""The flags of `rnncli port` alone, and those that it refuses."""

# Annotations are objects rather than text, as in rnncli.cli.flags.

import math
from collections.abc import Mapping
from typing import Annotated, NamedTuple

from rnncli.cli.flag_groups import RUN, WEIGHTS, flag
from rnncli.cli.tolerances import ATOL, RTOL
from rnncli.errors import UsageError

REFUSED = (
    "stateful", "dropout", "recurrent_dropout",
    "zero_output_for_mask", "dtype", "kernel_initializer", "recurrent_initializer", "bias_initializer",
    "return_sequences", "return_state", "unit_forget_bias",
)  # fmt: skip


class PortFlags(NamedTuple):
    """Files of the other framework, and tolerances."""

    weights: Annotated[
        str | None,
        flag(WEIGHTS, "--weights", metavar="FILE[#LAYER]", help="The other framework's weights, as saved."),
    ] = None
    expect: Annotated[
        str | None,
        flag(
            RUN,
            "--expect",
            metavar="FILE",
            help="What the other framework returned: json, npy, npz or safetensors.",
        ),
    ] = None
    initial_state: Annotated[
        str | None,
        flag(
            RUN,
            "--initial-state",
            metavar="FILE",
            help="The initial states that the other framework was given.",
        ),
    ] = None
    probe: Annotated[
        str | None,
        flag(
            RUN, "--probe", metavar="FILE",
            help="If several explanations fit, write a small input that tells them apart.",
        ),
    ] = None  # fmt: skip
    atol: Annotated[
        float, flag(RUN, "--atol", metavar="X", min=0, help="Absolute tolerance (default 1e-6).")
    ] = ATOL
    rtol: Annotated[
        float, flag(RUN, "--rtol", metavar="X", min=0, help="Relative tolerance (default 1e-5).")
    ] = RTOL

    @property
    def files(self) -> Mapping[str, str | None]:
        """See ReadingFlags."""
        from rnncli.readers.source import split_layers

        return {
            "--weights": self.weights and split_layers(self.weights)[0],
            "--expect": self.expect,
            "--initial-state": self.initial_state,
        }

    def validate(self) -> None:
        """Raise UsageError for a missing file, and for a tolerance that is not a finite number."""
        for name, value in (("--weights", self.weights), ("--expect", self.expect)):
            if value is None:
                raise UsageError(
                    "port needs {name} FILE.",
                    "For example: rnncli port x.npy --weights weights.npz --expect y.npy",
                    name=name,
                )
        for name, number in (("--atol", self.atol), ("--rtol", self.rtol)):
            if not math.isfinite(number):
                raise UsageError(
                    "{name} {number:g}: a tolerance must be a finite number.",
                    "For example {name} 1e-4.",
                    name=name,
                    number=number,
                )
