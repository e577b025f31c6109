"""`rnncli engines`: the available engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.show.answer import Field, ListAnswer

if TYPE_CHECKING:
    from rnncli.cli.output import OutputFlags

EXAMPLES = """\
rnncli engines
rnncli engines --format json
"""

FIELDS = (
    Field("name", heading="engine", style=lambda engine: "strong" if engine.available else "dim"),
    Field("available", heading="available"),
    Field("version", heading="version"),
    Field("note", below=True, style="dim"),
)
"""What the list says of an engine."""


def engines(output: OutputFlags) -> None:
    """The engines that are available here, with versions."""
    from rnncli.cli.output import delivery
    from rnncli.compute.engines import available

    delivery(output)(ListAnswer("engines", FIELDS, available()))
