"""`rnncli engines` and `rnncli --version -f json`: the available engines."""

from __future__ import annotations

from typing import Any

from rnncli.show.answer import HEAD, Field, ListAnswer, Reply, head
from rnncli.show.page import View

EXAMPLES = """\
rnncli engines
rnncli engines --format json
"""

FIELDS = (
    Field("name", heading="engine", style=lambda engine: "strong" if engine.available else "dim"),
    Field("available", heading="available", type=bool),
    Field("version", heading="version"),
    Field("note"),
)
"""What the list says of an engine."""
LIST = {"engines": [FIELDS]}
DOCUMENTS = (HEAD | LIST, HEAD | {"python": str, "packages": dict[str, str]} | LIST)
COLUMNS = ("name", "available", "version/note")


class VersionsAnswer(ListAnswer):
    """The engines, and the versions of Python and of the packages that are installed."""

    def document(self, view: View) -> dict[str, Any]:
        """Return the versions and the list."""
        from platform import python_version

        from rnncli.compute.engines import installed

        versions = {"python": python_version(), "packages": installed()}
        return {**head(), **versions, "engines": self.listing.objects()}


def engines() -> Reply[ListAnswer]:
    """The engines that are available here, with versions."""
    from rnncli.compute.engines import available

    return Reply(ListAnswer("engines", FIELDS, available(), COLUMNS))


def versions() -> Reply[VersionsAnswer]:
    """The version of rnncli, of Python, and of every package that computes."""
    from rnncli.compute.engines import available

    return Reply(VersionsAnswer("engines", FIELDS, available(), COLUMNS))
