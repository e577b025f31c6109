"""Check that given weights and initial states have the shapes that the layers need, before computing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnncli.errors import InputError, Message, Text, count, did_you_mean, inside
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.values import Array, SavedLayer, Shape, format_shape


def check_case(case: Case, weights_from: Text = "weights", states_from: Text = "initial_state") -> Case:
    """Return the case with its weights and states in Keras's order and in the dtype of its inputs.

    case: its weights and states may be in any form that `check_weights` and `check_states` take.
    weights_from, states_from: the names of their sources in errors.
    Raises InputError if they do not fit the layers, LayerError if a layer cannot start from a given state.
    """
    stack, shape, dtype = case.stack, case.inputs.shape, case.inputs.dtype
    states = check_states(case.initial_state, stack, shape, states_from)
    weights = check_weights(case.weights, stack, shape, weights_from)
    return case._replace(
        weights=weights and {path: array.astype(dtype, copy=False) for path, array in weights.items()},
        initial_state=states and tuple(state.astype(dtype, copy=False) for state in states),
    )


def to_dtype(case: Case, dtype: str) -> Case:
    """Return the Case in which the layers compute in another dtype."""
    stack = Stack(spec.with_option("dtype", dtype) for spec in case.stack)
    return check_case(case._replace(stack=stack, inputs=case.inputs.astype(dtype)))


def check_weights(
    given: Mapping[str, Array] | Sequence[Array] | tuple[SavedLayer, ...] | None,
    stack: Stack,
    input_shape: Shape,
    source: Text = "weights",
) -> dict[str, Array] | None:
    """Return the weights of the layers by path, in Keras's order; None for None.

    given: weights by path; a list of them in Keras's order; or the layers of a saved model, of which the ones
        that fit are used, in order.
    source: the name of their file or option, for errors and advice.
    Raises InputError if a weight is missing, is unknown or has the wrong shape.
    """
    if given is None:
        return None
    with inside(source):
        if isinstance(given, tuple):
            return _choose_saved(given, stack, input_shape, source)
        shapes = stack.weight_shapes(input_shape)
        if not isinstance(given, Mapping):
            if len(given) != len(shapes):
                order = "Their order is that of layer.get_weights(): {names}."
                what, names = "it has {given}, but the layers have {wanted}.", ", ".join(shapes)
                came = count(len(given), "array")
                raise InputError(what, order, given=came, wanted=len(shapes), names=names)
            given = dict(zip(shapes, given, strict=True))
        for path in given:
            if path not in shapes:
                advice: Text = ""
                if set(given).isdisjoint(shapes):  # their shapes may tell which weights they are
                    from rnncli.frameworks import advise_names

                    advice = advise_names(str(source), {name: array.shape for name, array in given.items()})
                what = "there is no weight {place} in this layer."
                raise InputError(what, advice or did_you_mean(path, shapes), place=path)
        for path, shape in shapes.items():
            if path not in given:
                advice, names = "It has shape {shape}; the weights are {wanted}.", ", ".join(shapes)
                raise InputError(
                    "{place} is missing.", advice, place=path, shape=format_shape(shape), wanted=names
                )
            if (other := given[path].shape) != shape:
                size = 3 * len(given.get(f"{path.removesuffix('bias')}recurrent_kernel", ()))
                advice = "rnncli shape lists the shapes of all weights."
                if {other, shape} == {(size,), (2, size)}:
                    advice = (
                        "A GRU's bias has two rows if reset_after is True, else one: rnncli help reset_after."
                    )
                what, shown = "{place} has shape {shape}, but the layer needs {wanted}.", format_shape(other)
                raise InputError(what, advice, place=path, shape=shown, wanted=format_shape(shape))
    return {path: given[path] for path in shapes}


def _choose_saved(
    saved: tuple[SavedLayer, ...], stack: Stack, input_shape: Shape, file: Text
) -> dict[str, Array]:
    """Return the weights of the saved layers whose shapes match, unless none or several choices do."""
    shapes = [
        (index, layer.spec.title, layer.weight_shapes(shape))
        for index, (layer, shape) in enumerate(stack.input_shapes(input_shape))
    ]
    own_layers = [layer for layer in shapes if layer[2]]
    saved_shapes = [[array.shape for array in layer.weights] for layer in saved]
    layer_shapes = [list(weights.values()) for _, _, weights in own_layers]
    saved_layers = ", ".join(f"{layer.name} = {layer.what}" for layer in saved)
    first = _match(layer_shapes, saved_shapes)
    last = [len(saved_shapes) - 1 - index for index in _match(layer_shapes[::-1], saved_shapes[::-1])][::-1]
    if len(first) < len(own_layers):
        index, name, weights = own_layers[len(first)]
        missing = ", ".join(f"{path} {format_shape(shape)}" for path, shape in weights.items())
        what = "no layer in it fits layer {index} ({name}), which needs {missing}."
        raise InputError(
            what, "It holds {layers}.", index=index, name=name, missing=missing, layers=saved_layers
        )
    for (index, name, _), early, late in zip(own_layers, first, last, strict=True):
        if early != late:
            raise InputError(
                "{name} and {other} in it both fit layer {index} ({layer}).",
                "Name the layers to use after a #: {file}#{other}. It holds {layers}.",
                name=saved[early].name,
                other=saved[late].name,
                index=index,
                layer=name,
                file=file,
                layers=saved_layers,
            )
    return {
        f"{stack.prefix(index)}{path}": array
        for (index, _, weights), early in zip(own_layers, first, strict=True)
        for path, array in zip(weights, saved[early].weights, strict=True)
    }


def _match(layer_shapes: list[list[Shape]], saved_shapes: list[list[Shape]]) -> list[int]:
    """Return each layer's index among the saved, after the previous; stop at a layer without any."""
    indices: list[int] = []
    for shapes in layer_shapes:
        start = indices[-1] + 1 if indices else 0
        if shapes not in saved_shapes[start:]:
            break
        indices.append(saved_shapes.index(shapes, start))
    return indices


def join_directions(states: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | None:
    """Return the states of a Bidirectional as those of one layer with these names; None if they are not.

    Forward and backward stand side by side, as where a Bidirectional encoder starts a decoder.
    """
    import numpy as np

    halves = {name: [f"{way}_{name}" for way in ("forward", "backward")] for name in names}
    if not names or {*states} != {half for both in halves.values() for half in both}:
        return None
    if any(np.ndim(states[first]) != np.ndim(states[second]) for first, second in halves.values()):
        return None
    return {name: np.concatenate([states[half] for half in both], axis=-1) for name, both in halves.items()}


def order_states(states: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """Return the states in Keras's order, from states by result name, such as `last_hidden_state`.

    Raises InputError if a name is unknown or missing.
    """
    if states and not names:
        raise _no_states()
    for name in states:
        if name not in names:
            advice = did_you_mean(name, names)
            if name.endswith(("last_hidden_state", "last_cell_state")):
                template = "The layer starts from {names}. More: rnncli help return_state."
                advice = Message(template, names=", ".join(names))
            raise InputError("there is no state {name!r}.", advice, name=name)
    missing = [name for name in names if name not in states]
    if missing:
        what = "{missing} is missing." if len(missing) == 1 else "{missing} are missing."
        raise InputError(what, "Give {names}.", missing=", ".join(missing), names=", ".join(names))
    return [states[name] for name in names]


def check_states(
    given: Mapping[str, Array] | Sequence[Array] | None,
    stack: Stack,
    input_shape: Shape,
    source: Text = "initial_state",
) -> tuple[Array, ...] | None:
    """Return the states in Keras's order, each with a batch axis; None for None.

    given: in Keras's order, or by result name; for a batch of 1, the batch axis may be missing.
    source: the name of their file or option, for errors.
    Raises InputError if a name, the number of states or a shape is wrong, LayerError if a layer cannot start
    from a given state.
    """
    if given is None:
        return None
    stack.require_start()
    infos = stack.states(input_shape)
    names = [info.name for info in infos]
    with inside(source):
        if isinstance(given, Mapping):
            joined = join_directions(given, names)
            given = order_states(given if joined is None else joined, names)
        if len(given) != len(infos):
            if not infos:
                raise _no_states()
            what = "it has {given}, but the layer needs {count}: {names}."
            advice = "Give one of each, in this order. More: rnncli help return_state."
            came, known = count(len(given), "state"), ", ".join(names)
            raise InputError(what, advice, given=came, count=len(infos), names=known)
        states = [
            state[None] if (1, *state.shape) == info.shape else state
            for state, info in zip(given, infos, strict=True)
        ]
        for state, info in zip(states, infos, strict=True):
            if state.shape != info.shape:
                what = "{name} has shape {shape}, but the layer needs {wanted}."
                shape, wanted = format_shape(state.shape), format_shape(info.shape)
                advice, axes = "Its axes are {axes}.", ", ".join(info.axes)
                raise InputError(what, advice, name=info.name, shape=shape, wanted=wanted, axes=axes)
    return tuple(states)


def _no_states() -> InputError:
    return InputError("the layer has no states.", "Leave the initial state out.")
