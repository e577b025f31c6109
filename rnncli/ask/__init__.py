"""What is asked for, as a plain value, and the subject that is made of it: what a command is about."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from rnncli.ask.request import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS, Ask, Remarks

if TYPE_CHECKING:
    from rnncli.ask.subject import Subject

__all__ = ["INPUT_OPTIONS", "LAYER_OPTIONS", "RUN_OPTIONS", "Ask", "Remarks", "subject_of"]


def subject_of(ask: Ask) -> Subject:
    """Return the subject: described layers, a saved model, or a live object.  Nothing is read yet."""
    if isinstance(ask.model, (str, PathLike)):
        from rnncli.ask.saved import Saved

        return Saved(ask)
    if ask.model is not None:
        from rnncli.ask.live import Live

        return Live(ask)
    from rnncli.ask.described import Described

    return Described(ask)
