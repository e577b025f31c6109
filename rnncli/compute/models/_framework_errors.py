"""Errors of the frameworks that run saved models, as errors of rnncli."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rnncli.errors import RnncliError


@contextmanager
def convert_errors(convert: Callable[[Exception], RnncliError]) -> Iterator[None]:
    """Raise `convert(error)` for any error in the block, since frameworks raise many types.

    Errors of rnncli stay as they are.
    """
    try:
        yield
    except RnncliError:
        raise
    except Exception as error:
        raise convert(error) from None
