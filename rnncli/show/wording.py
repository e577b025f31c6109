"""Text in the language of the reader, and what tensors are called and mean in it.

Names of tensors, axes, options and files are the same in every language, so scripts can rely
on them; only the explanations are translated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from rnncli.errors import Message, write

if TYPE_CHECKING:
    from rnncli.result import Label


def say(text: object, lang: str, /, **fields: object) -> str:
    """Return a text, a message or an error in `lang`.  fields: for the holes of a template."""
    message = Message(text, **fields) if fields and isinstance(text, str) else text
    if lang != "ko":
        return write(message)
    from rnncli.locale import fit_particle, translate

    return write(message, translate, fit_particle)


def typed(command: str, lang: str) -> str:
    """Return a command to type; in Korean with `--lang ko`, so that whoever follows it stays in Korean.

    A command that ends in a file or in another program is returned unchanged.
    """
    last = command.replace("; ", "| ").rpartition("| ")[2]
    is_answered = last.startswith("rnncli") and not {"<", ">"} & {*last}
    if lang != "ko" or not is_answered or "--lang" in last:
        return command
    first, line_end, more = last.partition(" \\\n")
    return f"{command.removesuffix(last)}{first} --lang ko{line_end}{more}"


NOT_COMPUTED = {
    "held": "masked at t={t}: carried over from t={before}",
    "start": "masked at t={t} and at every earlier step: the initial value",
    "silent": "masked at t={t}: no earlier output",
    "zeroed": "masked at t={t}: output is zero",
    "masked": "masked here: zero is passed on",
    "unused": "not used: t={t} is masked",
}
"""What a masked step did instead of computing a number, by the kind of the note in an explanation."""

STATES = {"hidden": "hidden state", "cell": "cell state"}
GATES = {
    "input": Message("input gate"),
    "forget": Message("forget gate"),
    "output": Message("output gate"),
    "update": Message("update gate"),
    "reset": Message("reset gate"),
    "candidate": Message("candidate"),
}
"""What the gates of Keras's cells are called."""


def new_state(state: str) -> Message:
    """Return what an equation calls a state after the step: `new hidden state`."""
    return Message("new {state}", state=STATES.get(state) or Message("{name} state", name=state))


def name_layer(layer: int | str, lang: str) -> str:
    """Return `layer 0`, or `layer encoder` for a layer with a name: in Korean, only a number is counted."""
    if str(layer).isdecimal():
        return say("layer {index}", lang, index=layer)
    return say("layer {name}", lang, name=layer)


MEANINGS = {
    (False, False): ("{state} of the {end} time step", "{end} time step"),
    (True, False): ("{state} at every time step", "every time step"),
    (False, True): ("{state} of the {direction} layer after its last step", ""),
    (True, True): ("{state} of the {direction} layer at every time step", "{direction}, every step"),
}
"""MEANINGS[is_sequence, has_direction]: what a state is, in a sentence, and in short below its name."""
ENDS = {
    "last": "{direction}, last step",
    "last real": "{direction}, last real step",
    "first": "{direction}, read last (t=0)",
    "first real": "{direction}, read last (first real)",
}
"""In short, the state of a direction, by the end of the sequence that it read last."""
MERGED = "{state} of both layers, each after its last step"
"""What the last output is if both directions are merged in it."""


def meaning(label: Label, lang: str = "en", ends: Sequence[str] = ("last",)) -> str:
    """Return what a tensor is, `layer 0: hidden state at every time step`; "" if unknown.

    ends: as in TensorInfo.
    """
    text = _describe(label, lang, tuple(ends), brief=False)
    if label.call is None or not text:
        return text
    return f"{say('call {number}', lang, number=label.call)}: {text}"


def brief(label: Label, lang: str = "en", ends: Sequence[str] = ("last",)) -> str:
    """Return a short meaning to show below the name, without repeating it: `every time step`."""
    return _describe(label, lang, tuple(ends), brief=True)


@lru_cache  # a stream asks for the same tensors at every line
def _describe(label: Label, lang: str, ends: tuple[str, ...], *, brief: bool) -> str:
    text = ""
    if label.kind is not None:
        text = say(label.part, lang) if label.part in ("input", "cell") and not brief else ""
    elif label.part in STATES or label.last:
        is_merged = len(ends) > 1 and not label.sequence
        texts = (MERGED, "") if is_merged else MEANINGS[label.sequence, bool(label.direction)]
        known = STATES.get(label.part)
        state = say(known, lang) if known else say("{name} state", lang, name=label.part)
        words = {name: say(word, lang) for name, word in (("direction", label.direction), ("end", ends[0]))}
        template = texts[brief]
        if brief and label.direction and not label.sequence:
            template = ENDS[ends[0]]
        text = say(template, lang, state=state, **words)
    parts = [] if label.layer is None else [name_layer(label.layer, lang)]
    parts += [] if label.cell is None else [say("cell {index}", lang, index=label.cell)]
    return f"{', '.join(parts)}: {text}" if parts and text else text
