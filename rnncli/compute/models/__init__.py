"""Saved models and their inputs, as Cases; each kind has its own file, found by its stem.

A kind's file has
    layer_names(model)                      the recurrent layers that --model FILE#NAME can choose, in order
    choose(model, names)                    the same, of these names alone; UsageError for another name
    describe_inputs(model)                  what the model expects, `ids: (batch, 12), int32`
    fit_inputs(model, given)                every input by its name, in the type that the model expects
    run(model, path, inputs, compute, *, layers, everything)
                                            a ModelRun: what each of these layers gets in the model
    framework(model)                        what --check runs the model in, `Keras`
    outputs(model, path, inputs, cases)     what that framework returns, by `gru/hidden_state`
    stateful_layers(model)                  the layers that keep their state from one call to the next
    MASKS                                   whether the models make masks, of padding for example
    HAS_GRAPH                               whether a file says how its layers are connected; if it does not:
    assume(model, options)                  the same model with other assumptions than the defaults
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from rnncli.case import Array, Case
from rnncli.errors import RnncliError, inside
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.model import SavedModel

Compute = Callable[[Case], Result]
ModelFunction = TypeVar("ModelFunction", bound=Callable[..., Any])


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
    notes: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


class CasePair(NamedTuple):
    """The Cases of one use of a layer: as the model calls it, and as it is shown, with more outputs."""

    model: Case
    display: Case


def name_file(function: ModelFunction) -> ModelFunction:
    """Return a function of a model that puts the name of the model's file in front of errors."""

    @wraps(function)
    def call(model: SavedModel, *args: Any, **options: Any) -> Any:
        with inside(model.file, RnncliError):
            return function(model, *args, **options)

    return cast("ModelFunction", call)


def get_runner(model: SavedModel) -> Any:
    """Return the module here that runs this kind of model."""
    return import_module(f"{__name__}.{model.kind}")
