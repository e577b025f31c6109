"""`rnncli engines`: the available engines."""

from __future__ import annotations

from rnncli.show.answer import Field, ListAnswer, Reply

EXAMPLES = """\
rnncli engines
rnncli engines --format json
"""

FIELDS = (
    Field("name", heading="engine", style=lambda engine: "strong" if engine.available else "dim"),
    Field("available", heading="available"),
    Field("version", heading="version"),
    Field("note"),
)
"""What the list says of an engine."""
COLUMNS = ("name", "available", "version/note")


def engines() -> Reply[ListAnswer]:
    """The engines that are available here, with versions."""
    from rnncli.compute.engines import available

    return Reply(ListAnswer("engines", FIELDS, available(), COLUMNS))
