"""The sequences of a batch that a live object is given, each in a separate call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rnncli.ask.alone import MOST, Batch
from rnncli.ask.live_object import LiveObject
from rnncli.ask.returned import Alone, Returned
from rnncli.compute.engines.tensorflow import informative_line
from rnncli.errors import InputError, Message, RnncliError, Text, format_names
from rnncli.models import shorten_sentence
from rnncli.models.live.recording import (
    LiveCall,
    Recording,
    Share,
    count_sequences,
    first_of,
    is_packed,
    with_arrays,
)
from rnncli.values import Array

if TYPE_CHECKING:
    from rnncli.ask.request import Ask


class LiveBatch:
    """Calls a live object with one sequence at a time.

    whole: the recording of the call with the batch.  calls: of the layers that are compared, by name.
    axis: of the sequences in the first tensor that the object is given; None if nothing says it.
    """

    def __init__(
        self, live: LiveObject, ask: Ask, whole: Recording, calls: Sequence[LiveCall], axis: int | None
    ) -> None:
        self.live, self.ask, self.whole = live, ask, whole
        self.calls = {call.name: call for call in calls}
        given, self.beside = live.given_to(ask)
        self.given = with_arrays(given)
        has_list = live.framework == "PyTorch" or len(whole.inputs) == 1
        self.first = first_of(self.given, has_list=has_list)
        if axis is None:  # a module without this attribute is taken to have the batch first
            is_first = bool(getattr(live.value, "batch_first", True)) or is_packed(self.first)
            axis = 0 if is_first or len(getattr(self.first, "shape", ())) != 3 else 1
        self.axis, self.size = axis, 0 if self.first is None else count_sequences(self.first, axis)
        if len(getattr(self.first, "shape", ())) == 2 and hasattr(live.value, "num_layers"):
            self.size = 1  # one sequence of a PyTorch layer, without a batch axis
        self.misread: dict[str, None] = {}

    def batch(self, returned: Returned) -> Batch:
        """Call the object with each sequence.  returned: what it returned for the batch."""
        has_mask = any(call.mask is not None for call in self.calls.values())
        compared = min(self.size, MOST) if self.size > 1 or has_mask else 0
        kept = [self._try(index) for index in range(compared)]
        masks = self._find_steps(kept)
        cut = {index: mask for index, mask in enumerate(masks) if mask is not None}

        def call(index: int, without: bool) -> Alone:
            whole = recording = kept[index]
            if without and index in cut:
                recording = self._try(index, cut[index])
            if isinstance(whole, RnncliError):
                raise whole
            if isinstance(recording, RnncliError):
                raise recording
            tensors = {
                f"{call.name}/{name}": array
                for call in recording.calls
                if call.name in self.calls
                for name, array in call.outputs.items()
            }
            tensors |= recording.outputs if self.ask.at is None else {}
            rows: dict[str, int] = {}  # by the call with all steps
            for own in (call for call in whole.calls if call.name in self.calls):
                rows[own.name] = rows[own.before] if own.before in rows else self._find_row(own, index)
            return Alone(tensors, rows)

        def real(index: int) -> list[Array]:
            return [cut[index]] if index in cut else []

        masked = not is_packed(self.first) and any(not mask.all() for mask in cut.values())
        return Batch(returned, self.size, compared, masked, False, call, real, self._note)

    def _try(self, index: int, real: Array | None = None) -> Recording | RnncliError:
        """Return the recording of a call with one sequence, or why it cannot be called so.

        real: the steps that the sequence keeps.
        """
        failure: RnncliError | None = None
        for other in (0, 1):
            share = Share(self.first, self.size, index, self.axis, other, real)
            beside = {name: share.take_beside(name, value) for name, value in self.beside.items()}
            try:
                return self.live.call(self.ask, share.take(self.given), beside)
            except RnncliError as error:
                failure = failure or error
            except Exception as error:
                text = shorten_sentence(informative_line(error))
                what = "{title} cannot be called with one sequence: {error}"
                failure = failure or InputError(what, title=self.live.title, error=text)
        assert failure is not None
        return failure

    def _find_steps(self, recordings: Sequence[Recording | RnncliError]) -> list[Array | None]:
        """Return the steps of each sequence that are not masked, (timesteps) of bool; None without a mask.

        Called alone, a sequence shows its own mask: in the batch, a module may have sorted the sequences.
        """
        first = next(iter(self.whole.inputs.values()), np.zeros(()))
        steps = first.shape[1 - self.axis] if first.ndim > 1 else 0
        masks = [
            None
            if isinstance(recording, RnncliError)
            else next((call.mask[0] for call in recording.calls if call.mask is not None), None)
            for recording in recordings
        ]
        lengths = [0 if mask is None else int(mask.sum()) for mask in masks]
        # Packed, a sequence is as long as its real steps; else the steps may not be those of the input.
        is_whole = all(mask is None or len(mask) == steps for mask in masks)
        given = [*self.whole.inputs.values(), *self.beside.values()]
        is_length = (
            max(lengths, default=0) == steps
            or is_packed(self.first)
            or any(
                np.shape(array) == (self.size,) and [*np.asarray(array)[: len(lengths)]] == lengths
                for array in given
            )
        )
        if not is_whole and not (is_length and self.live.framework == "PyTorch"):
            return [None] * len(masks)
        return [
            None if mask is None or len(mask) > steps else np.pad(mask, (0, steps - len(mask)))
            for mask in masks
        ]

    def _find_row(self, call: LiveCall, index: int) -> int:
        """Return where the sequence stands in the batch of a layer, by the layer's input.

        A module may sort the sequences by their lengths; what is not there stands where it is in the input.
        """
        batch, alone = self.calls[call.name].inputs, call.inputs
        if batch is None or alone is None:
            return index
        if len(alone) == len(batch) and self.size > 1 and batch.shape[1] == self.size * alone.shape[1]:
            self.misread[call.name] = None
        if len(alone) != 1 or len(batch) != self.size or batch.ndim != alone.ndim:
            return index
        rows = batch[:, : alone.shape[1]]
        if rows.shape[1:] != alone.shape[1:] or np.allclose(rows[index], alone[0], 1e-4, 1e-5):
            return index
        same = np.isclose(rows, alone, 1e-4, 1e-5).reshape(len(rows), -1).all(1)
        return int(same.argmax()) if same.any() else index

    def _note(self) -> tuple[Text, ...]:
        if not self.misread:
            return ()
        text = (
            "{names}: axis {axis} of the input is read as time, not as the sequences; in PyTorch, a layer "
            "without batch_first=True takes (time, batch, features). If this axis is time, say so: "
            "{--input-axes time,batch,features}"
        )
        return (Message(text, names=format_names([*self.misread]), axis=self.axis),)
