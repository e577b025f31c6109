"""What is asked for, as a plain value, and the subject that is made of it: what a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.ask.request import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS, Ask, Remarks

if TYPE_CHECKING:
    from rnncli.ask.subject import Subject

__all__ = ["INPUT_OPTIONS", "LAYER_OPTIONS", "RUN_OPTIONS", "Ask", "Remarks", "subject_of"]


def subject_of(ask: Ask) -> Subject:
    """Return the subject: the layers that are described, or a saved model.  Nothing is read yet."""
    if ask.model is not None:
        from rnncli.ask.saved import Saved

        return Saved(ask)
    from rnncli.ask.described import Described

    return Described(ask)
