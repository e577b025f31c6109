"""`rnncli explore`: the layer, its tensors and its steps, interactive in the terminal."""

# Annotations must be objects at run time, as in cli/flags.py, whose groups this adds to.

import os
from typing import Annotated

from rnncli.cli.flag_groups import OUTPUT, choice
from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
from rnncli.cli.hold_flag import HoldFlag, hold_gates
from rnncli.errors import EngineError, UsageError

EXAMPLES = """\
rnncli explore
rnncli explore data.csv --layer gru --return-sequences --seed 42
rnncli explore ids.json --model tagger.keras#lstm
rnncli explore -l lstm --return-sequences --seed 42 --hold 'forget=1@2:'
"""


def explore(
    input_flags: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    hold: HoldFlag = None,
    lang: Annotated[
        str | None, choice(OUTPUT, "--lang", "LANG", ("en", "ko"), "Language (default: the locale).")
    ] = None,
) -> None:
    """Change a layer, its input and its weights, and watch every tensor and step.

    Full screen, with keys and mouse; ? lists the keys. The screen also shows the rnncli run command that
    returns the same tensors.
    """
    from rnncli.cli import request, terminal
    from rnncli.process import signals

    _require_terminal()
    _require_textual()
    request.require_steps(run)
    from rnncli.commands.explore.computation import compute_experiment
    from rnncli.commands.explore.editable_case import EditableCase, recurrent_places, require_sequences
    from rnncli.commands.explore.explore_app import ExploreApp
    from rnncli.commands.explore.typed_flags import TypedFlags, choose_model_layer

    run, names = choose_model_layer(run)
    case, remarks = request.case(input_flags, layer, run)
    require_sequences(case)
    case = hold_gates(case, hold, run.engine)
    first = EditableCase(case, TypedFlags(input_flags, run, case, names), recurrent_places(case)[-1])
    lang = lang or terminal.language()
    for name in ("COLUMNS", "LINES"):  # Textual trusts them more than the terminal, and fails at 0
        os.environ.pop(name, None)
    app = ExploreApp(first, compute_experiment(first), lang, remarks)
    with signals.handle_signals(("SIGINT", *signals.ENDING), app.end):
        app.run()
    if app.return_code:
        raise SystemExit(app.return_code)


def _require_terminal() -> None:
    from rnncli.cli import pager, terminal

    if not pager.is_possible() or not terminal.stderr_is_terminal():  # Textual draws on stderr
        raise UsageError(
            "explore needs a terminal: standard input, output and error must not be redirected.",
            "Name a file as INPUT; to print tensors, use rnncli run.",
        )


def _require_textual() -> None:
    try:
        import textual  # noqa: F401
    except ImportError:
        raise EngineError("textual is not installed; explore needs it.", "pip install textual") from None
