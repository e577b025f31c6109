"""A live object as an Ask holds it, and what tells it from a name, a config or a file."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, Text, join
from rnncli.inputs.arrange import note_nan
from rnncli.models.live import find_framework as find_framework
from rnncli.models.live import unbuilt_config as unbuilt_config
from rnncli.result import ModelHead
from rnncli.values import Document

if TYPE_CHECKING:
    from rnncli.ask.request import Ask
    from rnncli.ask.subject import WholeGradients
    from rnncli.models.live.recording import Recording
    from rnncli.models.live.tape import InputGradients
    from rnncli.models.live.weights import HeldWeights
    from rnncli.models.summary import Summary
    from rnncli.models.weights import LayerWeights


class LiveObject:
    """A Keras model or layer, or a PyTorch module.  What an Ask asks about is recorded once."""

    def __init__(self, value: Any) -> None:
        framework = find_framework(value)
        assert framework is not None
        self.value = value
        self.recorder = import_module(f"rnncli.models.live.{framework}")
        self.framework: str = self.recorder.FRAMEWORK
        self.title = f"{type(value).__name__} ({self.framework})"
        self._recordings: dict[tuple[str | None, bool], Recording] = {}

    def weights(self) -> HeldWeights:
        """Return the weights that it holds, without calling it."""
        from rnncli.models.live.weights import read_weights

        return read_weights(self.value)

    def every_weight(self) -> LayerWeights:
        """Return the weights of every layer, in Keras's layout."""
        from rnncli.models.live.weights import read_every_weight

        return read_every_weight(self.value)

    def other_layers(self) -> tuple[str, ...]:
        """Return what it has besides its recurrent layers, `fc (Linear)`, without calling it."""
        names: tuple[str, ...] = self.recorder.other_layers(self.value)
        return names

    def record(self, ask: Ask) -> Recording:
        """Return the recording of one call with the input of this Ask."""
        key = ask.at, ask.at is None and ask.all_layers
        if key not in self._recordings:
            given, names = _read_input(ask)
            recording: Recording = self.recorder.record(
                self.value,
                given,
                training=bool(ask.training),
                at=ask.at,
                beside=_read_beside(ask),
                everything=key[-1],
            )
            if names and _keeps_order(given, recording):
                recording = recording._replace(sequence_names=names)
            self._recordings[key] = recording
        return self._recordings[key]

    def given_to(self, ask: Ask) -> tuple[Any, dict[str, Any]]:
        """Return what the object is called with, and what is given beside it, as arrays."""
        return _read_input(ask)[0], _read_beside(ask)

    def call(self, ask: Ask, given: Any, beside: dict[str, Any]) -> Recording:
        """Return the recording of another call, which starts as the first one did."""
        recording: Recording = self.recorder.record(
            self.value, given, training=False, at=ask.at, beside=beside
        )
        return recording

    def differentiate(self, ask: Ask, batch: int) -> WholeGradients:
        """Return the gradients of one call, of its output with respect to its input."""
        from rnncli.ask.subject import WholeGradients

        tape = self.recorder.make_tape(batch)
        recording: Recording = self.recorder.record(
            self.value,
            _read_input(ask)[0],
            training=bool(ask.training),
            at=None,
            beside=_read_beside(ask),
            tape=tape,
        )
        gradients: InputGradients = tape.found
        notes: list[Text] = list(recording.notes)
        if not gradients.is_reached:
            notes.append(
                Message("no gradient reaches {name}: it is cut off, or not used", name=gradients.name)
            )
        if gradients.others:
            names = ", ".join(gradients.others)
            notes.append(Message("gradients are of {name}, not of {names}", name=gradients.name, names=names))
        is_forward = not any(
            "backward" in name or (call.config or {}).get("config", {}).get("go_backwards")
            for call in recording.calls
            for name in ("", *call.weights)
        )
        head = ModelHead(self.title, self.framework, {gradients.name: (gradients.shape, gradients.dtype)}, {})
        named = (join((self.title, note), ": ") for note in notes)
        remarks = (*note_nan(recording.inputs), *named)
        return WholeGradients(head, gradients, is_forward, remarks)

    def summarize(self, ask: Ask) -> Summary:
        """Return every layer; a PyTorch module is called if there is an input."""
        call = partial(self.record, ask)
        summary: Summary = self.recorder.summarize(self.value, _read_input(ask)[0], call)
        return summary


def _read_input(ask: Ask) -> tuple[Any, tuple[str, ...]]:
    if not isinstance(ask.input, (str, PathLike, Document)):
        return ask.input, ()
    document = ask.read_raw()[0]
    given: Any = document.inputs
    return list(given) if isinstance(given, tuple) else given, document.sequence_names  # a tuple is arguments


def _keeps_order(given: Any, recording: Recording) -> bool:
    """Return whether the first recurrent layer reads the given sequences, in their order.

    An object may sort them by their lengths; then names would stand at the wrong ones.
    """
    import numpy as np

    read = recording.calls[0].inputs if recording.calls else None
    return (
        read is not None
        and len(read) == len(given)
        and all(
            np.array_equal(row[: len(sequence)], np.asarray(sequence, row.dtype))
            for row, sequence in zip(read, given, strict=True)
        )
    )


def _read_beside(ask: Ask) -> dict[str, Any]:
    import numpy as np

    options, states = ask.arranging(), ask.read_value("initial_state").value
    given = {"lengths": options.lengths, "mask": options.mask}
    beside = {name: np.asarray(value) for name, value in given.items() if value is not None}
    return beside if states is None else {**beside, "initial_state": states}
