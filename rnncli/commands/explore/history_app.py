"""The part of the explorer that goes from one experiment to the next: change, compute, undo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual import work
from textual.app import App

from rnncli.cli import request
from rnncli.cli.language import localize
from rnncli.commands.explore import computation as make_runner
from rnncli.commands.explore.computation import Computation
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.commands.explore.history import History
from rnncli.commands.explore.texts import text
from rnncli.errors import RnncliError

Change = Callable[[EditableCase], EditableCase]

PATIENCE = 0.3
"""Seconds of a computation before the last line says that it runs; at once, it would only flicker."""


class HistoryApp(App[None]):
    """The experiments so far, and the numbers of the one on the screen.

    shown: the experiment of `computation`.  It differs from history.current while that one is computed.
    """

    def __init__(self, experiment: EditableCase, computation: Computation, lang: str) -> None:
        super().__init__()
        self.history, self.lang = History(experiment), lang
        self.shown, self.computation = self._before = experiment, computation
        self._is_computing = False

    def say(self, message: str) -> None:
        """Show a message; none if it is empty."""
        raise NotImplementedError

    def show(self) -> None:
        """Show the experiment in every pane."""
        raise NotImplementedError

    def show_options(self) -> None:
        """Show the options of the current experiment, before its numbers are there."""
        raise NotImplementedError

    @property
    def is_waiting(self) -> bool:
        """Whether the numbers on the screen are not those of the current experiment yet."""
        return self.history.current is not self.shown

    def change(self, change: Change) -> None:
        """Go on to a changed experiment, or say why it cannot be."""
        try:
            self.history.add(change(self.history.current))
        except RnncliError as error:
            self.say(localize(f"{error.what} {error.advice}", self.lang))
            return
        self._compute_now()

    def action_undo(self, by: int) -> None:
        """Undo (-1) or redo (1) one change, also one that is still computed."""
        if not self.history.move(by):
            self.say(text("no undo" if by < 0 else "no redo", self.lang))
            return
        self._compute_now()

    def _compute_now(self) -> None:
        self.show_options()
        if not self._is_computing:
            self._is_computing = True
            self._compute_next()

    @work
    async def _compute_next(self) -> None:
        """Compute beside the screen, so that a large experiment does not freeze it.

        Changes that come meanwhile are computed next, only the last of them.
        """
        message = ""
        while self.is_waiting:
            experiment = self.history.current
            try:
                computation = await self._compute(experiment)
            except RnncliError as error:
                if self.history.current is experiment:
                    self.history.drop()
                    message = localize(f"{error.what} {error.advice}", self.lang)
            else:
                if self.history.current is experiment:
                    self._before = self.shown, self.computation
                    self.shown, self.computation = experiment, computation
                    message = message or _remarks(experiment)
        self._is_computing = False
        self.show()
        self.say(message)

    async def _compute(self, experiment: EditableCase) -> Computation:
        """Return the numbers of an experiment; those of the one that was shown before are still there."""
        before, computation = self._before
        if experiment is before:
            return computation
        found = make_runner.start_computation(experiment)
        await asyncio.wait([found], timeout=PATIENCE)
        if not found.done():
            self.say(text("computing", self.lang))
        return await found


def _remarks(experiment: EditableCase) -> str:
    """Return what `stateful` or several calls lack to have an effect."""
    case, run = experiment.case, experiment.origin.run
    return "; ".join(request.note_missing(case.stack, run._replace(calls=case.calls), case))
