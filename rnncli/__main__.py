"""`rnncli` and `python -m rnncli`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from rnncli.errors import INTERRUPTED
from rnncli.signals import ended

SOON = "20"
"""After 2**20 ticks, some 0.4 ms, the idle threads of NumPy's products sleep.

By themselves they keep a processor busy for 30 ms and more, first of all while NumPy is loading, which slows
the loading down by a tenth.  To be woken costs them little beside a product that lets them wait as long.
"""


def main() -> NoReturn:
    """Answer the command line and leave with its exit code."""
    gc.disable()  # Loading makes much that stays; looking for garbage in it takes time and finds none.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", SOON)
    if not os.environ.get("RNNCLI_DEBUG"):  # what a signal left half closed complains when it is let go
        sys.unraisablehook = lambda _: None
    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, ended)
        from rnncli.cli.app import main as answer

        code = answer(sys.argv[1:])
    except KeyboardInterrupt:  # while the modules above were still loading
        code = INTERRUPTED
    except SystemExit as leaving:  # a signal, after what it interrupted was cleaned up
        code = int(leaving.code or 0)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Everything is written and closed, and taking the modules apart takes longer than most answers.

    What was interrupted has nothing more to say: nobody may be there to read it.
    """
    for stream in (sys.stdout, sys.stderr) if code < INTERRUPTED - signal.SIGINT else ():
        with suppress(AttributeError, OSError, ValueError):  # closed, or gone
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
