"""The lines of a stream as cases: what flags say is read once, and a line brings its inputs and a mask."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.arrange import arrange
from rnncli.case import Case, Document, SavedLayer
from rnncli.cli import request
from rnncli.cli.options import InputFlags, LayerFlags, RunFlags, Shown
from rnncli.errors import InputError, UsageError
from rnncli.readers import ndjson
from rnncli.streams import Line

if TYPE_CHECKING:
    from rnncli.case import Array, Shape


class Records:
    """The Case of each line.  Where what flags say is wrong, no line can be answered.

    remarks: what is to be said of the lines that came since they were taken.
    """

    def __init__(self, input: InputFlags, layer: LayerFlags, run: RunFlags, shown: Shown) -> None:
        self.run, self.shown = run, shown
        self.seed = random.randrange(request.SEEDS) if run.seed is None else run.seed
        self.layers = request.layers_of(layer, Document())
        self.options = request.arranging(input, self.layers)
        self.weights = request.given_weights(run, layer, Document(), "")
        self.states = request.given_states(run, Document(), "")
        self.first: Case | None = None
        self.remarks = [
            *request.left_out(layer),
            *request.drawn(layer, self.weights),
            *request.missing(self.layers, run, stream=True),
        ]
        self._remarked: set[str] = set()

    def __call__(self, line: Line) -> Case:
        """Raises InputError, which names the line, where another line could be right."""
        _demand_a_whole_value(line)
        document = ndjson.record(line.text, line.number, line.where)
        _demand_inputs_alone(document, line.name)
        where, mask_where = f"{line.name}: ", f"{line.name}: {self.options.mask_where}"
        arranged = arrange(document, self.options._replace(where=where, mask_where=mask_where))
        if self.first is None:
            self.first = self._first(arranged.inputs)
        self._remark(arranged.remarks, line)
        return dataclasses.replace(self.first, inputs=arranged.inputs, mask=arranged.mask)

    def _first(self, inputs: Array) -> Case:
        batches = [len(inputs), 1, *map(len, _arrays(self.states.raw))]  # 1: a state may have no batch axis
        features = [inputs.shape[-1], *map(len, _arrays(self.weights.raw))]
        return Case(
            layers=self.layers,
            inputs=inputs,
            initial_state=self._fitted(self.states, [(n, *inputs.shape[1:]) for n in batches]),
            weights=self._fitted(self.weights, [(*inputs.shape[:-1], n) for n in features]),
            seed=self.seed,
            training=bool(self.run.training),
            calls=self.run.calls,
            all_layers=self.shown.all_layers,
            all_calls=self.shown.all_calls,
        )

    def _fitted(self, given: Any, shapes: list[Shape]) -> Any:
        """Fitted to the first shape, which is the line's; UsageError where no other would do either."""
        try:
            return given.fitted(self.layers, shapes[0])
        except InputError as error:
            if any(self._fits(given, shape) for shape in shapes[1:]):
                raise
            raise UsageError(error.what, error.advice) from None

    def _fits(self, given: Any, shape: Shape) -> bool:
        try:
            given.fitted(self.layers, shape)
        except InputError:
            return False
        return True

    def _remark(self, remarks: Sequence[str], line: Line) -> None:
        """What was not said of an earlier line, whatever its numbers were."""
        for text in remarks:
            kind = re.sub(r"\d+", "", text)
            if kind not in self._remarked:
                self.remarks.append(f"{line.name}: {text}" if line.number > 1 else text)
                self._remarked.add(kind)


def _arrays(raw: Any) -> list[Array]:
    """All that has a first axis in what a file of weights or states holds."""
    held = raw.values() if isinstance(raw, Mapping) else raw or ()
    arrays = [array for one in held for array in (one.weights if isinstance(one, SavedLayer) else (one,))]
    return [array for array in arrays if array.ndim]


def _demand_a_whole_value(line: Line) -> None:
    if line.text.strip() in (b"{", b"["):
        raise InputError(
            f"{line.name}: a value begins here, and goes on in the next line.",
            "A stream has a whole value a line, as --format ndjson prints it.",
        )


def _demand_inputs_alone(document: Document, name: str) -> None:
    for part in ("layer", "initial_state", "weights", "seed", "training"):
        if getattr(document, part) is not None:
            raise InputError(
                f"{name}: it says its own {part}, and the layers of a stream are made once.",
                "Give it as a flag; a line holds inputs, and a mask where there is one.",
            )
