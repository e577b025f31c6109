"""A cell of one's own: its options, weights and seeds, from its equations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from rnncli import initializers
from rnncli.case import Array, Option, Shape, Spec
from rnncli.cells.reading import check_sizes
from rnncli.cells.text import CellText
from rnncli.layers.layer import INITIALIZED_BY, Draw
from rnncli.layers.recurrent import Cell, cell_options

_BY_AXES = {1: "zeros", 2: "glorot_uniform"}
"""Keras's initializer of a weight of this number of axes, if none is named."""


def options_of(text: CellText) -> dict[str, Option]:
    """Return the options of a cell written as equations: `units`, its own, and those of every cell."""
    known = cell_options(gated=False)
    own = {
        name: Option("activation" if isinstance(value, str) else "number", value)
        for name, value in text.options.items()
    }
    for weight, option in INITIALIZED_BY.items():
        whole = text.initializers.get(weight, {}).get("initializer")
        known[option] = known[option]._replace(default=whole or known[option].default)
    return {"units": known.pop("units"), **own, **{k: v for k, v in known.items() if k != "activation"}}


class WrittenCell(Cell):
    """One step of a cell written as equations."""

    def equations_of(self, _: Mapping[str, Any]) -> CellText:
        found: CellText = self.spec.equations
        return found

    def weight_shapes(self, input_shape: Shape, *, checked: bool = True) -> dict[str, Shape]:
        """Return the shapes of the packed weights, then those of the cell's own.

        checked: whether the sizes of the equations have to fit.
        Raises LayerError, with a caret, where the sizes of an equation do not fit.
        """
        features = input_shape[-1]
        sizes: dict[Any, Any] = {"units": self.units, "features": features}
        if checked:
            check_sizes(self.text, self.units, features if isinstance(features, int) else None)
        own = {
            name: tuple(sizes.get(size, size) for size in weight.shape)
            for name, weight in self.text.weights.items()
        }
        return {**super().weight_shapes(input_shape), **own}

    def line_sizes(self, features: int | None) -> dict[str, int]:
        """Return units, features or 1 for each line; units where it depends on unknown features."""
        found = check_sizes(self.text, self.units, features)
        return {
            line: self.units if size is None or line in self.states else size for line, size in found.items()
        }

    def initializers(self) -> dict[str, Any]:
        """Return the initializer of each weight; for one with several, a function that joins their parts."""
        found, given = super().initializers(), self.text.initializers
        for name, weight in self.text.weights.items():
            found[name] = weight.initializer or _BY_AXES[len(weight.shape)]
        for name in given:
            if "initializer" not in given[name]:
                found[name] = partial(self._draw_by_line, name)
        return {name: found[name] for name in self.weight_shapes((None, None, None), checked=False)}

    def by_line(self, weight: str) -> Iterator[Any]:
        """Yield the initializer of each line's columns of a packed weight."""
        given, usual = self.text.initializers[weight], self.config[INITIALIZED_BY[weight]]
        yield from (given.get(line, usual) for line in self.text.packing()[weight])

    def _draw_by_line(self, weight: str, shape: tuple[int, ...], dtype: str, seeds: Any) -> Array:
        import numpy as np

        one, left = (*shape[:-1], self.units), iter(seeds or ())
        return np.concatenate(
            [
                initializers.make(value, one, dtype, next(left) if initializers.takes_seed(value) else None)
                for value in self.by_line(weight)
            ],
            axis=-1,
        )

    @property
    def dropout_seed_is_first(self) -> bool:
        """Whether the cell takes its seeds in the order of Keras's SimpleRNN, its equal."""
        return self.text.name == "SimpleRNN"

    def take_seeds(self, draw: Draw) -> dict[str, Any]:
        """Return the seeds by weight, in the order of the weights; dropout takes the last.

        A weight with an initializer for each line has a tuple of seeds.
        """
        found: dict[str, Any] = {"dropout": self.config["seed"]}
        values = self.initializers()
        order = ["dropout", *values] if self.dropout_seed_is_first else [*values, "dropout"]
        for name in sorted(order, key=lambda name: not self._is_made_before(values.get(name))):
            if name == "dropout":
                found[name] = draw() if found[name] is None else found[name]
            elif callable(values[name]):
                drawn = [one for one in self.by_line(name) if initializers.takes_seed(one)]
                found[name] = tuple(draw() for _ in drawn)
            elif initializers.takes_seed(values[name]):
                found[name] = draw()
        return found

    @staticmethod
    def _is_made_before(value: Any) -> bool:
        """Return whether the initializer is an argument, which is made before the cell."""
        return isinstance(value, Spec) and not value.deferred
