"""Change, compute and undo experiments, in threads so that the screen stays responsive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from rnncli.cli import case_request
from rnncli.cli.language import localize
from rnncli.commands.explore import computation as computing
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.editable_case import Change, EditableCase
from rnncli.commands.explore.history import History
from rnncli.commands.explore.texts import describe_error
from rnncli.errors import Message, RnncliError, Text, join
from rnncli.process import signals

PATIENCE = 0.3
"""Seconds of work before `announce` says that it goes on; at once, the message would only flicker."""

Found = TypeVar("Found")


class Runner:
    """The experiments so far, and the numbers of the one that is shown.

    experiment: that of `computation`.  It differs from history.current until that one is computed.
    announce: called when the work takes long.
    """

    def __init__(self, first: EditableCase, computation: Computation, announce: Callable[[], None]) -> None:
        self.history = History(first)
        self.experiment, self.computation = first, computation
        self._before = first, computation  # what was shown before, which undo need not compute again
        self._announce = announce
        self._unread: list[Change] = []

    @property
    def is_waiting(self) -> bool:
        """Whether the numbers on the screen are not yet those of the last change."""
        return bool(self._unread) or self.history.current is not self.experiment

    def change(self, change: Change, *, reads: bool) -> None:
        """Change the experiment.  Raises RnncliError if the change is not possible.

        reads: whether the change reads a file; then `catch_up` makes it, and every change after it.
        """
        if reads or self._unread:
            self._unread.append(change)
        else:
            self.history.add(change(self.history.current))

    def undo(self, by: int) -> bool:
        """Undo (-1) or redo (1), also a change that is not finished; return whether there was one."""
        if not self._unread:
            return self.history.move(by)
        if by < 0:
            self._unread.pop()
        return by < 0

    async def catch_up(self, lang: str) -> str:
        """Make the pending changes, and compute the last experiment.  Return a message about them, or "".

        A change that fails is undone.  Changes that arrive meanwhile are made next.
        """
        message = ""
        while self.is_waiting:
            try:
                note = await (self._read(self._unread[0]) if self._unread else self._compute())
                message = message or localize(note, lang)
            except RnncliError as error:
                message = describe_error(error, lang)
        return message

    async def _read(self, change: Change) -> Text:
        now = self.history.current
        try:
            made = await self._in_thread(lambda: change(now))
            if change in self._unread:  # else it was undone meanwhile
                self.history.add(made)
        finally:
            if change in self._unread:
                self._unread.remove(change)
        return ""

    async def _compute(self) -> Text:
        experiment = self.history.current
        before, computation = self._before
        try:
            if experiment is not before:
                computation = await self._in_thread(lambda: computing.compute_experiment(experiment))
        except RnncliError:
            if self.history.current is not experiment:
                return ""
            self.history.drop()
            raise
        if self.history.current is not experiment:
            return ""
        self._before = self.experiment, self.computation
        self.experiment, self.computation = experiment, computation
        return note_missing(experiment)

    async def _in_thread(self, work: Callable[[], Found]) -> Found:
        found = start(work)
        await asyncio.wait([found], timeout=PATIENCE)
        if not found.done():
            self._announce()
        return await found


def start(work: Callable[[], Found]) -> asyncio.Future[Found]:
    """Start `work` in a thread of its own, which does not keep the program from ending."""
    return asyncio.wrap_future(signals.start_in_thread(work))


def note_missing(experiment: EditableCase) -> Message:
    """Return what `stateful` or several calls lack to have an effect."""
    return join(case_request.note_missing(experiment.case), "; ")
