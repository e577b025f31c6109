"""`rnncli explain`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rnncli.errors import Message, Text, UsageError

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.explain.answer import ExplainAnswer
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli explain 'last_cell_state[0,0]' --layer lstm --seed 42
rnncli explain 'hidden_states[0,3,1]' data.csv -l bigru --return-sequences
rnncli explain 'hidden_state[0,0]' -l gru --units 64 --terms 5 --depth 2
rnncli explain 'hidden_state[0,0]' -l gru --symbols
"""


def explain(
    ask: Ask, output: OutputFlags, *, tensor: str | None, depth: int, terms: int, symbols: bool
) -> Reply[ExplainAnswer]:
    """Where does this number come from?

    The layer's equation with its numbers, term by term, down to the inputs and the previous states.
    The terms add up to the number, apart from the rounding shown.
    """
    from pathlib import Path

    if tensor is None or not tensor.strip():
        raise UsageError("no tensor was named.", _example(ask))
    if ask.input is None and tensor.strip()[:1] not in ("[", "{") and Path(tensor).is_file():
        what = Message("{tensor}: it is a file; the tensor to explain comes before it.", tensor=tensor)
        raise UsageError(what, _example(ask._replace(input=tensor)))
    return compute_answer(ask, tensor, depth, None if output.full else terms, symbols=symbols)


def compute_answer(
    ask: Ask, tensor: str, depth: int, terms: int | None, *, symbols: bool = False
) -> Reply[ExplainAnswer]:
    """Return the answer, and remarks.

    terms: the most terms of a sum; None for all.  symbols: the equations of the cells in symbols, too.
    """
    from rnncli.ask import subject_of
    from rnncli.commands.explain.answer import ExplainAnswer
    from rnncli.compute import derivation
    from rnncli.compute.engines import require_steps
    from rnncli.show.answer import Reply

    require_steps(ask.engine)
    tensor = tensor.strip()
    parts = subject_of(ask).parts(tensor, alone=True)
    name = tensor.removeprefix(parts.prefix)
    explanation, result = derivation.explain(parts.case, name, depth, terms, parts.prefix)
    written = derivation.symbols_of(explanation, result.specs) if symbols else {}
    return Reply(ExplainAnswer(explanation, result, written), parts.remarks)


def _example(ask: Ask) -> Text:
    from rnncli.compute import derivation
    from rnncli.values import Document

    document, name = (Document(), "") if ask.input is None else ask.read_document()
    stack = ask.stack(document, name)
    if stack.input_rank != 3:  # only Keras computes these layers, and explain has no equations for them
        ask = ask._replace(layer=None, options={})
        stack = ask.stack()
    words = [f"'{derivation.example(stack)}'", *([shlex.quote(str(name))] if name else [])]
    words += [f"-l {shlex.quote(text)}" for text in ask.layer or ()]
    words += ["--bidirectional"] if ask.options.get("bidirectional") else []
    return Message("For example: rnncli explain {words}", words=" ".join(words))
