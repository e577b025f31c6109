"""`rnncli run`: what a layer returns, of one batch (one_batch.py) or of a stream of them (stream.py)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnncli.cli.hint_rules import TRACE, Hint, is_bidirectional, returns_last_output
from rnncli.commands.run.run_request import RunRequest
from rnncli.errors import Message

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.output import OutputFlags

EXAMPLES = """\
rnncli run --layer lstm --return-sequences --return-state --seed 42
rnncli run data.csv --layer bigru --units 4 --format json
rnncli run '[[[1, 2], [3, 4]]]' --layer 'LSTM(2, use_bias=False)' --check
rnncli run --return-sequences -f json | rnncli run --layer gru
tail -f sensor.ndjson | rnncli run --stream --stateful --layer gru -f ndjson
"""
HINTS = (
    Hint(
        is_bidirectional,
        "matrix{same}",
        Message("all four of return_sequences x return_state"),
    ),
    Hint(
        lambda values: values["seed"] is None and values["weights"] is None,
        "run{same} --seed 42",
        Message("the same weights in every run"),
    ),
    Hint(
        returns_last_output,
        "run{same} --return-sequences --return-state",
        Message("every time step, and the last state"),
    ),
    TRACE,
)

MODULES = {
    (False, False): "one_batch",
    (False, True): "stream",
    (True, False): "saved_model",
    (True, True): "saved_model_stream",
}
"""The module that answers, by whether there is a saved model and whether lines are read as they arrive."""


def run(ask: Ask, output: OutputFlags, **flags: Any) -> None:
    """What does the layer return?

    Every returned tensor in Keras's order, with its shape, its meaning and its numbers.
    """
    name = MODULES[bool(ask.model), flags["stream"] or flags["keep_going"]]
    import_module(f"{__name__}.{name}").answer(RunRequest(ask, output, **flags))
