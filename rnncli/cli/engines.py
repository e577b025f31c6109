"""`rnncli engines`."""

from __future__ import annotations

from rnncli.cli.options import OutputFlags

EXAMPLES = """\
rnncli engines
rnncli engines --format json
"""


def engines(output: OutputFlags) -> None:
    """What can compute here, and which versions."""
    from rnncli.answers.engines import EnginesAnswer
    from rnncli.cli.output import delivery
    from rnncli.engines import available

    delivery(output)(EnginesAnswer(available()))
