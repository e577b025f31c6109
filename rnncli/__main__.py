"""Entry point of `rnncli` and `python -m rnncli`."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # as in `typing`, which is slow to load
if TYPE_CHECKING:
    from typing import NoReturn

SOON = "20"
"""Put the idle threads of NumPy's matrix products to sleep after 2**20 ticks, about 0.4 ms.

By default they keep a processor busy for 30 ms or more, starting while NumPy loads, which slows loading
by a tenth.  Waking them costs little compared with a product large enough to leave them idle that long.
"""


def main() -> NoReturn:
    """Run the command line and exit with its exit code."""
    gc.disable()  # Loading allocates many objects that stay; garbage collection takes time and frees nothing.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", SOON)
    if "gradients" in sys.argv:  # each of its products waits for the last; threads are slow on a busy machine
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not os.environ.get("RNNCLI_DEBUG"):  # hide errors from closing interrupted code
        sys.unraisablehook = lambda _: None
    try:  # around every import that takes time, so that Ctrl-C is silent from the start
        import signal

        from rnncli.process import signals

        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signals.interrupt_handler)
        from rnncli.cli.app import main as answer

        signals.enable_watch()
        code = answer(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130  # INTERRUPTED of `errors`, which may not be loaded yet
    except SystemExit as leaving:  # a signal, raised after the interrupted code was cleaned up
        code = int(leaving.code or 0)
    from contextlib import suppress

    for stream in (sys.stdout, sys.stderr) if code < 128 else ():  # if interrupted, there may be no reader
        with suppress(AttributeError, OSError, ValueError):  # stdout is closed, or its reader has gone
            stream.flush()
    os._exit(code)  # All output is written; a normal shutdown takes longer than most commands.


if __name__ == "__main__":
    main()
