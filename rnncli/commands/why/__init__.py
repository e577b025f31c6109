"""`rnncli why`: what causes an error message."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.commands.why.answer import WhyAnswer
    from rnncli.show.answer import Reply

EXAMPLES = """\
rnncli why 'expected ndim=3, found ndim=2. Full shape received: (1, 60)'
python train.py 2>&1 | rnncli why
rnncli why --format json < traceback.txt
"""


def why(*, text: str | None) -> Reply[WhyAnswer]:
    """What causes an error message of Keras, TensorFlow or PyTorch, and what fixes it.

    The message may be anywhere in TEXT; if there are several, the last one counts. rnncli runs each fix that
    it can, and shows the resulting shapes. An unknown message ends with exit code 1.
    """
    from rnncli.commands.why.answer import WhyAnswer
    from rnncli.commands.why.diagnosis import diagnose
    from rnncli.show.answer import Reply

    return Reply(WhyAnswer.of(diagnose(_read_message(text))))


def _read_message(text: str | None) -> str:
    from rnncli.inputs.source import read_stdin, stdin_holds_data

    if text is None and not stdin_holds_data():
        raise UsageError(
            "why needs an error message.", "Write rnncli why 'MESSAGE', or pipe the output of your script in."
        )
    if text and _is_file(text):
        raise UsageError(
            "{text} is a file, not a message.", "rnncli why < {file}", text=text, file=shlex.quote(text)
        )
    if text in (None, "-"):
        text = (read_stdin().data or b"").decode("utf-8", "replace")
    if not text or not text.strip():
        raise UsageError("the message is empty.", "Paste the last lines of the traceback.")
    return text


def _is_file(text: str) -> bool:
    from rnncli.inputs.source import expand_user

    try:
        return "\n" not in text and expand_user(text).is_file()
    except (OSError, ValueError, UsageError):  # a message is seldom the name of a file
        return False
