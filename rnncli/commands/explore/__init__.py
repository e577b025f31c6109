"""`rnncli explore`: the layer, its tensors and its steps, interactive in the terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rnncli.errors import EngineError, Message, UsageError, join

if TYPE_CHECKING:
    from rnncli.ask import Ask

OLDEST = 7
"""The major version of textual that is needed."""
EXAMPLES = """\
rnncli explore
rnncli explore data.csv --layer gru --return-sequences --seed 42
rnncli explore ids.json --model tagger.keras#lstm
rnncli explore -l lstm --return-sequences --seed 42 --hold 'forget=1@2:'
"""


def explore(ask: Ask, *, lang: str | None, quiet: bool) -> None:
    """Change a layer, its input and its weights, and watch every tensor and step.

    Full screen, with keys and mouse; ? lists the keys. The screen also shows the rnncli run command that
    returns the same tensors.
    """
    from rnncli.cli import pager, terminal
    from rnncli.compute.engines import require_steps
    from rnncli.process import signals

    if not pager.is_possible() or not terminal.stderr_is_terminal():  # Textual draws on stderr
        what = "explore needs a terminal: standard input, output and error must not be redirected."
        raise UsageError(what, "Name a file as INPUT; to print tensors, use rnncli run.")
    try:
        import textual
    except ImportError:
        raise EngineError("textual is not installed; explore needs it.", "pip install textual") from None
    if int(textual.__version__.partition(".")[0]) < OLDEST:  # older ones cannot draw what can be clicked
        what = "textual {version} is installed; explore needs {oldest} or later."
        raise EngineError(what, "pip install -U textual", version=textual.__version__, oldest=OLDEST)
    require_steps(ask.engine)
    from rnncli.commands.explore.app import ExploreApp
    from rnncli.commands.explore.experiment import compute_experiment, start
    from rnncli.commands.explore.state import State, settle

    first, remarks = start(ask)
    computed = compute_experiment(first)
    for name in ("COLUMNS", "LINES"):  # Textual trusts them more than the terminal, and fails at 0
        os.environ.pop(name, None)
    parts = Message("left: the layer, right: what it returns, below: how the number at ▸ is computed")
    message = join((*(() if quiet else remarks), parts), "; ")
    lang = lang or terminal.language()
    app = ExploreApp(settle(State(computed.experiment, computed, lang, message=message)))
    with signals.handle_signals(("SIGINT", *signals.ENDING), app.end):
        app.run()
    if app.return_code:
        raise SystemExit(app.return_code)
