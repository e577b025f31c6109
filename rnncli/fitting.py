"""Whether what a Case holds fits its layers, and the machine; said before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from rnncli import memory
from rnncli.case import Case, Shape
from rnncli.errors import InputError, LayerError, did_you_mean
from rnncli.layers.stack import Stack

if TYPE_CHECKING:
    from rnncli.case import Array, SavedLayer
    from rnncli.result import TensorInfo

_TURNED_ROUND = ("unroll", "go_backwards", "zero_output_for_mask", "return_sequences")


def refuse_the_impossible(case: Case) -> None:
    """What is known to fail, or to be wrong in Keras, before anything is allocated."""
    demand_room(case, len(case.inputs))
    demand_mask(case)


def demand_room(case: Case, sequences: int) -> None:
    """Raises InputError where the machine cannot hold what so many sequences need at once."""
    memory.refuse_beyond(_needed(Stack(case.layers), case, (sequences, *case.inputs.shape[1:])))


def demand_mask(case: Case) -> None:
    """Raises InputError where the mask, if there is one, does not fit, LayerError where Keras misuses it."""
    stack = Stack(case.layers)
    if case.mask is not None and case.mask.shape != case.inputs.shape[:2]:
        raise InputError(
            f"mask has the shape {case.mask.shape}, and the inputs want {case.inputs.shape[:2]}.",
            "A mask is (batch, timesteps), true where a step counts.",
        )
    if case.mask is not None and stack.layers[0].makes_mask:
        raise InputError(
            f"there is a mask, and layer 0 ({case.layers[0].class_name}) makes its own.",
            f"Leave out the mask, or the layer {case.layers[0].class_name}.",
        )
    _refuse_the_mask_turned_round(stack, case)


def _refuse_the_mask_turned_round(stack: Stack, case: Case) -> None:
    """Keras masks and zeroes an unrolled backward sequence as if it ran forwards; its states are right."""
    masked = case.mask is not None
    for layer in stack.layers:
        masked = masked or layer.makes_mask
        for loop in layer.loops.values():
            if masked and all(loop.config.get(name) for name in _TURNED_ROUND):
                raise LayerError(
                    "unroll with go_backwards, zeroed outputs and a mask: Keras on TensorFlow applies the "
                    "mask in the wrong order of time here, so there is no right number to show.",
                    "Leave unroll out; it changes nothing else.",
                )


def _needed(stack: Stack, case: Case, input_shape: Shape) -> int:
    """Bytes of all weights and outputs; and, to draw a weight, of three doubles for each of its numbers."""
    weights, outputs = (
        [prod(size for size in shape if isinstance(size, int)) for shape in shapes.values()]
        for shapes in (stack.weight_shapes(input_shape), _output_shapes(stack, input_shape))
    )
    outputs *= case.calls if case.all_calls else 1
    drawn = 24 * max(weights, default=0) if case.weights is None else 0
    return (8 if case.inputs.dtype.itemsize == 8 else 4) * (sum(weights) + sum(outputs)) + drawn


def _output_shapes(stack: Stack, input_shape: Shape) -> dict[str, Shape]:
    return {info.name: info.shape for info in stack.outputs(input_shape, all_layers=True)}


def weights(case: Case, stack: Stack) -> dict[str, Array]:
    """The given weights in Keras's order, in the dtype of the inputs.  InputError where they do not fit."""
    found = fitted(case.weights or {}, stack, case.inputs.shape, "weights: ")
    return {path: array.astype(case.inputs.dtype) for path, array in found.items()}


def fitted(
    given: Mapping[str, Array] | tuple[SavedLayer, ...], stack: Stack, input_shape: Shape, where: str
) -> dict[str, Array]:
    """The weights that the layers want, in Keras's order.

    given: by path; or the layers of a saved model, of which those are taken that fit, in their order.
    where: what an error begins with.  Raises InputError for a missing, unknown or misshapen weight.
    """
    if isinstance(given, tuple):
        return _taken(given, stack, input_shape, where)
    wanted = stack.weight_shapes(input_shape)
    for path in given:
        if path not in wanted:
            raise InputError(f"{where}there is no weight {path} here.", did_you_mean(path, wanted))
    for path, shape in wanted.items():
        if path not in given:
            raise InputError(
                f"{where}{path} is missing.", f"It has the shape {shape}; all are {', '.join(wanted)}."
            )
        if given[path].shape != shape:
            raise InputError(
                f"{where}{path} has the shape {given[path].shape}, and the layer wants {shape}.",
                "Shapes of all weights: rnncli shape.",
            )
    return {path: given[path] for path in wanted}


def _taken(saved: tuple[SavedLayer, ...], stack: Stack, input_shape: Shape, where: str) -> dict[str, Array]:
    """The saved layers whose weights have the shapes that are wanted, if there is one choice of them."""
    shapes = [
        (index, layer.spec.class_name, layer.weight_shapes(shape))
        for index, (layer, shape) in enumerate(stack.input_shapes(input_shape))
    ]
    wanted = [layer for layer in shapes if layer[2]]
    held = [[array.shape for array in layer.weights] for layer in saved]
    asked = [list(own.values()) for _, _, own in wanted]
    first = _places(asked, held)
    last = [len(held) - 1 - place for place in _places(asked[::-1], held[::-1])][::-1]
    if len(first) < len(wanted):
        index, name, own = wanted[len(first)]
        missing = ", ".join(f"{path} {shape}" for path, shape in own.items())
        raise InputError(
            f"{where}no layer in it fits layer {index} ({name}), which wants {missing}.",
            f"It holds {_listed(saved)}.",
        )
    for (index, name, _), early, late in zip(wanted, first, last, strict=True):
        if early != late:
            raise InputError(
                f"{where}{saved[early].name} and {saved[late].name} in it both fit layer {index} ({name}).",
                f"Name those to be taken behind a #: {where.removesuffix(': ')}#{saved[late].name}. "
                f"It holds {_listed(saved)}.",
            )
    return {
        f"{stack.prefix(index)}{path}": array
        for (index, _, own), place in zip(wanted, first, strict=True)
        for path, array in zip(own, saved[place].weights, strict=True)
    }


def _places(wanted: list[list[Shape]], held: list[list[Shape]]) -> list[int]:
    """Where each of `wanted` comes first in `held`, after the one before it; up to one that never comes."""
    places: list[int] = []
    for shapes in wanted:
        start = places[-1] + 1 if places else 0
        if shapes not in held[start:]:
            break
        places.append(held.index(shapes, start))
    return places


def _listed(saved: tuple[SavedLayer, ...]) -> str:
    return ", ".join(f"{layer.name} = {layer.what}" for layer in saved)


def initial_state(case: Case) -> tuple[Array, ...] | None:
    """The given initial state in the dtype of the inputs, as Keras casts it."""
    if case.initial_state is None:
        return None
    stack = Stack(case.layers)
    wanted = stack.states(case.inputs.shape)
    for layer in stack.layers:
        layer.demand_start()
    states = fitted_states(case.initial_state, wanted, "initial_state: ")
    return tuple(state.astype(case.inputs.dtype) for state in states)


def by_name(states: Mapping[str, Any], wanted: Sequence[TensorInfo], where: str) -> list[Any]:
    """States by their result names, `last_hidden_state`, in Keras's order.

    where: what an error begins with.  Raises InputError for an unknown or a missing name.
    """
    names = [info.name for info in wanted]
    for name in states:
        if name not in names:
            raise InputError(f"{where}there is no state {name!r}.", did_you_mean(name, names))
    missing = [name for name in names if name not in states]
    if missing:
        raise InputError(f"{where}{', '.join(missing)} is missing.", f"The states are {', '.join(names)}.")
    return [states[name] for name in names]


def fitted_states(given: Sequence[Array], wanted: Sequence[TensorInfo], where: str) -> tuple[Array, ...]:
    """The states, each with its batch axis, which one sequence alone may leave out.

    where: what an error begins with.  Raises InputError where they are not the states that are wanted.
    """
    if len(given) != len(wanted):
        names = ", ".join(info.name for info in wanted) or "none"
        raise InputError(
            f"{where}it holds {len(given)}, and the layer wants {len(wanted)}: {names}.",
            "Give one of each, in this order.",
        )
    states = [
        state[None] if (1, *state.shape) == info.shape else state
        for state, info in zip(given, wanted, strict=True)
    ]
    for state, info in zip(states, wanted, strict=True):
        if state.shape != info.shape:
            raise InputError(
                f"{where}{info.name} has the shape {state.shape}, and the layer wants {info.shape}.",
                f"Its axes are {', '.join(info.axes)}.",
            )
    return tuple(states)
