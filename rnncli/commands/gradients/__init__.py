"""`rnncli gradients`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.errors import Flag, UsageError, inside

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.gradients.answer import GradientsAnswer
    from rnncli.show.answer import Reply

EXAMPLES = """\
rnncli gradients --layer simple_rnn --input-shape 1,30,4 --seed 42
rnncli gradients --against simple_rnn,lstm,gru --input-shape 1,30,4
rnncli gradients data.csv -l gru --return-sequences --of 'hidden_states[0,3]'
rnncli gradients data.csv -l 'LSTM(4, return_sequences=True)' -l gru --whole
"""


def gradients(
    ask: Ask, *, of: str | None, against: Sequence[Any] | None, whole: bool, batch: int | None
) -> Reply[GradientsAnswer]:
    """How far back does the output depend on the input?

    The norm of the output's gradient with respect to every state and input, for one sequence.
    The states are those of the last recurrent layer, the input is that of the first layer; of a model, each
    recurrent layer with its own input.  With --whole, one curve: from the output to the input.
    """
    from rnncli.ask import subject_of
    from rnncli.commands.gradients import curves
    from rnncli.commands.gradients.answer import GradientsAnswer
    from rnncli.result import join_layers
    from rnncli.show.answer import Reply

    if ask.engine not in ("auto", "numpy", "tensorflow"):
        what = "{--engine:engine}: gradients are computed by numpy and tensorflow."
        raise UsageError(what, "Leave {--engine} out.", engine=ask.engine)
    if ask.calls > 1:
        raise UsageError("gradients are computed for one call.", "Leave {--calls} out.")
    if whole:
        return _through_all(ask, batch or 0, {"of": of, "against": against})
    if batch is not None:
        advice = "Or name numbers: {--of 'hidden_state[1]'}."
        raise UsageError("{--batch:batch} needs {--whole}.", advice, batch=batch)
    first, *others = curves.list_layers(ask.layer, against or ())
    options = ask.options
    if first is not ask.layer:
        ask = ask._replace(layer=[first], options=curves.own_options([first], options))
    parts = subject_of(ask).parts(of or "", one_call=True).keep_able(curves.reason_not_tracked)
    uses, remarks, head = parts.uses, parts.remarks, parts.head
    for use in uses:
        use.case.require_one_call("gradients")
    of = of and of.removeprefix(parts.prefix)
    if head is not None and not others:
        by_layer = {}
        for use in uses:
            with inside(use.layer, UsageError):
                by_layer[use.layer] = curves.gradients(use.case, of, ask.engine)
        joined = join_layers({layer: found.header for layer, found in by_layer.items()}, head)
        return Reply(GradientsAnswer(tuple(by_layer.values()), joined), remarks)
    stacks = [ask._replace(layer=[other]).layers() for other in others]
    cases = [uses[0].case, *curves.make_variants(uses[0].case, stacks, options)]
    found = tuple(curves.gradients(case, of, ask.engine) for case in cases)
    return Reply(GradientsAnswer(found, layer="" if others else uses[0].layer), remarks)


def _through_all(ask: Ask, batch: int, others: Mapping[str, Any]) -> Reply[GradientsAnswer]:
    """Return the gradients of the last output by the input.  others: options that do not apply."""
    from rnncli.ask import subject_of
    from rnncli.commands.gradients import curves
    from rnncli.commands.gradients.answer import GradientsAnswer
    from rnncli.show.answer import Reply

    if name := next((name for name, value in others.items() if value), ""):
        raise UsageError("{--whole} and {flag} exclude each other.", "Leave one out.", flag=Flag(f"--{name}"))
    subject = subject_of(ask)
    by_tape = subject.differentiate(batch)
    if by_tape is not None:
        return Reply(GradientsAnswer((curves.of_tape(by_tape),), whole=True), by_tape.remarks)
    parts = subject.parts(alone=True, one_call=True)
    through_all = curves.gradients(parts.case, None, ask.engine, batch)
    through_all = replace(through_all, curves=tuple(curve for curve in through_all.curves if curve.is_input))
    return Reply(GradientsAnswer((through_all,), whole=True), parts.remarks)
