"""rnncli: explore the shapes and states of recurrent layers.

In Python: `sequence, h, c = rnncli.run(x, "LSTM(3, return_sequences=True, return_state=True)", seed=42)`.
"""

from __future__ import annotations

import sys

_words = getattr(sys, "argv", None) or [""]
# While `python -m` looks for its module, that is the word before the arguments.
_program = sys.orig_argv[-len(_words)].removeprefix("-m") if _words[0] == "-m" else _words[0]
if _program.rpartition("/")[2] == "rnncli":
    # While the command loads, before it installs its handlers, an interrupt ends it without a traceback.
    # `signal`, and `typing` below, take longer to load than everything else here.  With SIG_DFL as the
    # handler, Python would print a traceback for an interrupt that came just before, and go on.
    import _signal  # type: ignore[import-not-found]
    import os

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, lambda *_: os._exit(130))

from typing import TYPE_CHECKING, Any  # noqa: E402 - see above

if TYPE_CHECKING:
    from rnncli.api import Report, Result, compare, explain, gradients, matrix, run, shape, trace, why
    from rnncli.errors import (
        DisagreementError,
        EngineError,
        InputError,
        LayerError,
        RnncliError,
        UsageError,
    )

__version__ = "0.1.0"

__all__ = [
    "DisagreementError",
    "EngineError",
    "InputError",
    "LayerError",
    "Report",
    "Result",
    "RnncliError",
    "UsageError",
    "__version__",
    "compare",
    "explain",
    "gradients",
    "matrix",
    "run",
    "shape",
    "trace",
    "why",
]


def __getattr__(name: str) -> Any:
    """Load a public function, or a class of error, on first access."""
    if name in __all__:
        from rnncli import api, errors

        return getattr(errors if name.endswith("Error") else api, name)
    raise AttributeError(f"module 'rnncli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
