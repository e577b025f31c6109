"""`rnncli` and `python -m rnncli`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Answer the command line and leave with its exit code."""
    gc.disable()  # Loading makes much that stays; looking for garbage in it takes time and finds none.
    try:
        from rnncli.cli.app import main as answer

        code = answer(sys.argv[1:])
    except KeyboardInterrupt:  # while the modules above were still loading
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
