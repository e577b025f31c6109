"""The NumPy engine: a loop over the layers' own steps, which keeps every gate where a trace is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from rnncli.case import Case, walk
from rnncli.engines import About, Computed
from rnncli.engines._running import Running, without_step
from rnncli.errors import RnncliError
from rnncli.recorded import Recorded
from rnncli.result import Step

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.layers._layer import Call
    from rnncli.layers._recurrent import Recurrent

ABOUT = About(("numpy",), "answers at once, and keeps every gate of every step")

BLOCK = 2**20
"""So many numbers the gates get from the inputs in one product, about."""


def refusal(case: Case) -> str | None:
    """Why Keras has to compute this itself; None where this engine gives the same numbers."""
    dtypes = {
        inner.config["dtype"] for spec in case.layers for inner in walk(spec) if "dtype" in inner.config
    }
    if len(dtypes) > 1:
        return f"its layers mix {' and '.join(sorted(dtypes))}"
    if not dtypes <= {"float32", "float64"}:
        return f"it does not round as Keras does in {dtypes.pop()}"
    stacked = any(isinstance(inner.config.get("cell"), tuple) for spec in case.layers for inner in walk(spec))
    if stacked and dtypes != {"float32"}:
        return "Keras rounds to float32 between the cells of RNN"
    return without_step(case)


def opened(case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> Callable[[Case], Computed]:
    """The layers of `case` with these weights; what comes back calls them."""
    return _Run(case, weights, seeds)


class _Run(Running):
    """Counts how many dropout masks were drawn; every call of a layer draws on."""

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        super().__init__(case, weights)
        self.training, self.traced, self.seeds = case.training, case.traced, seeds
        self.drawn: dict[str, dict[str, int]] = {}
        self.by_layer: dict[str, dict[str, int]] = {}
        for path, seed in seeds.items():
            self.by_layer.setdefault(path.partition("/")[0], {})[path] = seed

    def __call__(self, case: Case) -> Computed:
        """See Running."""
        before = deepcopy(self.drawn)
        try:
            return super().__call__(case)
        except RnncliError:
            self.drawn = before  # as if nobody had called
            raise

    def steps_of(self, layer: Recurrent, call: Call, state: Any) -> tuple[Array, Any]:
        """See Running."""
        loop = _Loop(layer, call, self._dropout(layer, call))
        return loop.run(state, self.steps.of(call.place.layer, loop.direction) if self.traced else None)

    def seeds_of(self, path: str) -> Iterable[tuple[str, int]]:
        """Those below a path, and perhaps others; looking through those of every layer takes too long."""
        return (self.by_layer.get(path.partition("/")[0], {}) if path else self.seeds).items()

    def _dropout(self, layer: Recurrent, call: Call) -> Any:
        if not self.training:
            return layer.cell.no_dropout()
        path, dtype = call.place.path, str(call.inputs.dtype)
        seeds = {name[len(path) :]: seed for name, seed in self.seeds_of(path) if name.startswith(path)}
        shape = (call.inputs.shape[0], call.inputs.shape[-1])
        return layer.cell.dropout_of(shape, dtype, seeds, self.drawn.setdefault(path, {}))


class _Loop:
    """One layer over the time steps of one call."""

    def __init__(self, layer: Recurrent, call: Call, dropout: Any) -> None:
        self.layer, self.call, self.dropout = layer, call, dropout
        self.backwards: bool = layer.config["go_backwards"]
        self.zeroing: bool = layer.config["zero_output_for_mask"]
        self.direction: str = call.place.direction or ("backward" if self.backwards else "forward")

    def run(self, state: Any, steps: Recorded | None) -> tuple[Array, Any]:
        """(outputs, last state); outputs (batch, timesteps, units), or (batch, units) of the last step."""
        import numpy as np

        cell, inputs, weights = self.layer.cell, self.call.inputs, self.call.weights
        batch, timesteps = inputs.shape[:2]
        sequences = self.layer.sequences
        outputs = np.empty((batch, timesteps if sequences else 1, cell.units), inputs.dtype)
        output = np.zeros((batch, cell.units), inputs.dtype)
        order = range(timesteps - 1, -1, -1) if self.backwards else range(timesteps)
        for processed, (timestep, projected) in enumerate(self._projected(order)):
            after, gates = cell.step(projected, state, weights, self.dropout)
            counts = None if self.call.mask is None else self.call.mask[:, timestep]
            computed, before = cell.output(after), state
            if counts is None:
                output, state = computed, after
            else:
                output = _where(counts, computed, np.zeros_like(output) if self.zeroing else output)
                state = _where(counts, after, state)
            outputs[:, processed if sequences else 0] = output
            if steps is not None:
                steps.append(self._step(timestep, counts, gates(), (before, state), output))
        return (outputs if sequences else outputs[:, 0]), state

    def _projected(self, order: range) -> Iterator[tuple[int, Array]]:
        """Every time step and what its gates get from the inputs, some megabytes of steps as one product.

        Time goes first, so that the numbers of a step lie together.
        """
        widest = max(weight.shape[-1] for weight in self.call.weights.values())
        together = max(1, BLOCK // (len(self.call.inputs) * widest))
        for start in range(0, len(order), together):
            times = order[start : start + together]
            first = min(times[0], times[-1])
            inputs = self.call.inputs[:, first : first + len(times)].swapaxes(0, 1)
            projected = self.layer.cell.project(inputs, self.call.weights, self.dropout)
            yield from ((time, projected[time - first]) for time in times)

    def _step(
        self, timestep: int, counts: Array | None, gates: Any, states: tuple[Any, Any], output: Array
    ) -> Step:
        """states: before and after."""
        skipped = "zeroed" if self.zeroing else "held"
        status = ("computed",) * len(output)
        if counts is not None:
            status = tuple("computed" if count else skipped for count in counts)
        before, state = map(self.layer.cell.unpack, states)
        return Step(
            self.call.place.layer, self.direction, timestep, status, gates, state, output,
            before, self.dropout,
        )  # fmt: skip


def _where(counts: Array, new: Any, old: Any) -> Any:
    """`new` in the batch entries that count, `old` in the others, through every part of a state."""
    import numpy as np

    if isinstance(new, tuple):
        parts = [_where(counts, *pair) for pair in zip(new, old, strict=True)]
        return type(new)(*parts) if hasattr(new, "_fields") else tuple(parts)
    return np.where(counts[:, None], new, old)
