"""`rnncli engines`."""

from __future__ import annotations

from rnncli.cli.flags import OutputFlags

SECTION = "Look around"
SUMMARY = "What can compute here, and which versions."
EXAMPLES = """\
rnncli engines
rnncli engines --format json
"""


def engines(output: OutputFlags) -> None:
    """What can compute here, and which versions."""
    from rnncli.cli.output import delivery
    from rnncli.commands._engines_answer import EnginesAnswer
    from rnncli.compute.engines import available

    delivery(output)(EnginesAnswer(available()))
