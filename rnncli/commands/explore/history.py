"""The experiments so far, for undo and redo."""

from __future__ import annotations

from rnncli.commands.explore.editable_case import EditableCase


class History:
    """The experiments so far, and the place of the current one."""

    def __init__(self, first: EditableCase) -> None:
        self._made, self._place = [first], 0

    @property
    def current(self) -> EditableCase:
        """The current experiment."""
        return self._made[self._place]

    def add(self, experiment: EditableCase) -> None:
        """Make `experiment` the current one, and drop those that were undone."""
        self._made[self._place + 1 :] = [experiment]
        self._place += 1

    def move(self, by: int) -> bool:
        """Undo (-1) or redo (1).  Returns whether there was an experiment to go to."""
        place = self._place + by
        if not 0 <= place < len(self._made):
            return False
        self._place = place
        return True

    def drop(self) -> None:
        """Forget the current experiment, which cannot be computed, and go back to the previous one.

        The first one is never dropped.
        """
        if self._place:
            del self._made[self._place]
            self._place -= 1
