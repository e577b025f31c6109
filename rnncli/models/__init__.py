"""Saved models and their inputs, as Cases; each kind has its own file.

A kind's file has what ModelRunner lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

from rnncli.case import Array, Case
from rnncli.errors import RnncliError, Text, inside
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.models.graph import SavedModel

RUNNERS = {
    "keras": "rnncli.models.keras.runner",
    "modules": "rnncli.models.modules.runner",
    "onnx": "rnncli.models.onnx.runner",
}
"""The files, by the kind of model."""

Compute = Callable[[Case], Result]
ModelFunction = TypeVar("ModelFunction", bound=Callable[..., Any])


class ModelRequest(NamedTuple):
    """What is asked of a model.

    inputs: as the kind's `fit_inputs` returns them.  compute: computes a Case.
    layers: the names of the recurrent layers to show; empty for all.
    everything: include the outputs of all other layers.
    """

    inputs: Mapping[str, Array]
    compute: Compute
    layers: Sequence[str] = ()
    everything: bool = False


class LayerUse(NamedTuple):
    """One use of a recurrent layer in a model.

    layer: its name in the model.  result: None if no other layer needs it.
    before: the layer in the same stack whose sequence is its input; "" for any other input.
    """

    layer: str
    case: Case
    result: Result | None = None
    before: str = ""


@dataclass(frozen=True)
class ModelRun:
    """The recurrent layers of a model in its order, and other outputs if they were requested.

    other_outputs: the outputs of the other layers, by `dense/output`.
    masks: the layers that make the masks of the recurrent ones.
    order: the names of all layers, in the order in which parts and others are shown.
    """

    parts: tuple[LayerUse, ...]
    other_outputs: Mapping[str, Array] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    masks: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


class CasePair(NamedTuple):
    """The Cases of one use of a layer: as the model calls it, and as it is shown, with more outputs."""

    model: Case
    display: Case


class ModelRunner(Protocol):
    """The module of a kind of model.

    HAS_GRAPH: whether a file says how its layers are connected.
    MASKS: whether the models make masks, of padding for example.
    """

    @property
    def HAS_GRAPH(self) -> bool: ...  # noqa: D102, N802 - a constant of the module

    @property
    def MASKS(self) -> bool: ...  # noqa: D102, N802 - a constant of the module

    def layer_names(self, model: Any) -> tuple[str, ...]:
        """Return the recurrent layers that --model FILE#NAME can choose, in order."""

    def choose(self, model: Any, names: Sequence[str]) -> tuple[str, ...]:
        """Return the same, of these names alone; all without names.  Raises UsageError for another name."""

    def describe_inputs(self, model: Any) -> str:
        """Return what the model expects, `ids: (batch, 12), int32`."""

    def fit_inputs(self, model: Any, given: Any) -> dict[str, Array]:
        """Return every input by its name, in the type that the model expects."""

    def run(self, model: Any, path: Path, request: ModelRequest) -> ModelRun:
        """Return what each requested layer gets in the model.  path: the file that it was read from."""

    def framework(self, model: Any) -> str:
        """Return what --check runs the model in, `Keras`."""

    def outputs(
        self, model: Any, path: Path, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]
    ) -> dict[str, Array]:
        """Return what that framework returns, by `gru/hidden_state`."""

    def stateful_layers(self, model: Any) -> tuple[str, ...]:
        """Return the layers that keep their state from one call to the next."""

    def assume(self, model: Any, options: Mapping[str, str]) -> Any:
        """Return the model with other assumptions than the defaults; only for a kind without a graph."""


def name_file(function: ModelFunction) -> ModelFunction:
    """Return a function of a model that puts the name of the model's file in front of errors."""

    @wraps(function)
    def call(model: SavedModel, *args: Any, **options: Any) -> Any:
        with inside(model.file, RnncliError):
            return function(model, *args, **options)

    return cast("ModelFunction", call)


def get_runner(model: SavedModel) -> ModelRunner:
    """Return the module here that runs this kind of model."""
    return cast("ModelRunner", import_module(RUNNERS[model.kind]))
