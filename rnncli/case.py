"""The Case: everything that is asked, frozen.  Readers and the command line fill it, engines answer it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

Dimension = int | str | None
"""A known size, a name such as `batch`, or None where nothing is known."""

Shape = tuple[Dimension, ...]

HIGHEST_SEED = 2**32 - 1
"""NumPy takes no higher one, and so neither does keras.utils.set_random_seed."""


@dataclass(frozen=True)
class Spec:
    """A Keras object as it is asked for, a layer or an initializer: `LSTM(3, use_bias=False)`.

    class_name: Keras's own name.
    config: Keras's own arguments, those that were given first, in the order in which they were given
        (Keras draws seeds in that order), then the defaults.
    deferred: made by the layer that holds it, out of a config, and not before that layer.
    """

    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    deferred: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """One experiment.

    layers: first to last; one layer, or a stack.
    inputs: (batch, timesteps, features), of the dtype that the first layer computes in; more axes
        for a convolutional layer.
    mask: (batch, timesteps) of bool, True where a step counts.
    initial_state: tensors in Keras's order, of the whole stack.
    weights: every weight by its path (`kernel`, `forward/kernel`, `0/forward/kernel`); None to draw
        them from `seed`.
    seed: what `keras.utils.set_random_seed` would get.
    calls: how often the same inputs are given to the same layers.
    all_calls: every call's tensors are returned, and not only the last one's.
    """

    layers: tuple[Spec, ...]
    inputs: Array
    mask: Array | None = None
    initial_state: tuple[Array, ...] | None = None
    weights: Mapping[str, Array] | None = None
    seed: int = 0
    training: bool = False
    calls: int = 1
    all_calls: bool = False
    all_layers: bool = False
    traced: bool = False
    feature_names: tuple[str, ...] = ()


class SavedLayer(NamedTuple):
    """One layer of a saved model.

    what: its class and size as far as the file says, `LSTM(3)`; else the shapes of its weights.
    weights: in Keras's order.
    """

    name: str
    what: str
    weights: tuple[Array, ...]


class Document(NamedTuple):
    """What a reader found in one source; every part but `inputs` may be missing.

    inputs: an array of any rank, or a tuple of arrays where sequences differ in length.
    layer: raw, as it stood there: an expression, a config, or a list of either.
    mask, initial_state, weights: raw, as nested lists or arrays.
    """

    inputs: Array | tuple[Array, ...] | None = None
    layer: Any = None
    mask: Any = None
    initial_state: Any = None
    weights: Any = None
    seed: int | None = None
    training: bool | None = None
    feature_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def walk(spec: Spec) -> Iterator[Spec]:
    """`spec` and every spec inside it, outermost first."""
    yield spec
    for value in spec.config.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, Spec):
                yield from walk(item)
