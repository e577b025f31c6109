"""TensorFlow writes to the process's own stderr, below Python's; here it goes where nobody sees it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back what is written to file descriptor 2; if the block fails, the error carries it as a note."""
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed, so nothing can reach it
        yield
        return
    with tempfile.TemporaryFile() as held:
        _flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception as error:
            held.seek(0)
            error.add_note(held.read().decode(errors="replace")[-2000:])
            raise
        finally:
            _flush()
            os.dup2(kept, 2)
            os.close(kept)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
