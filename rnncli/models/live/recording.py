"""What a live object did in one call: the calls of its recurrent layers as plain values."""

from __future__ import annotations

import inspect
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import RLock
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rnncli.arrays import is_finite
from rnncli.errors import InputError, Text, UsageError, did_you_mean, inside
from rnncli.inputs.arrange import check_mask, mask_of_lengths
from rnncli.models import Passed
from rnncli.models.inputs import empty_input
from rnncli.values import Array, format_shape

# Annotations are objects rather than text, which named tuples would have to evaluate when the file is read.


RECORDING = RLock()
"""Held while an object is recorded: two recordings would wrap the same layers."""

PLAIN = (str, bytes, int, float, type(None))
"""Types that hold nothing; a model may have a list of a hundred thousand words."""

Leaf = TypeVar("Leaf")
Restore = Callable[[], None]
"""Puts something back as it was; where nothing changed, it writes nothing."""


class LiveCall(NamedTuple):
    """One call of a recurrent layer, or of a cell, as the framework made it.  All arrays are copies.

    name: the layer's name in the model.  path: of its attribute, `encoder.lstm`.
    class_name: the class in its framework.
    config: the Keras config of the layer, `{"class_name": ..., "config": {...}}`; None if rnncli's engines
        cannot compute the layer.  It returns what `outputs` holds (return_sequences, return_state).
    weights: by path in Keras's layout, `forward/kernel`; the same mapping for calls with unchanged weights.
    inputs: (batch, timesteps, features); a cell's step has one time step.  None: the sequence that the layer
        `before` returns, of which the framework shows only the final states.
    mask: (batch, timesteps) of bool, or None.  initial_state: in Keras's order, or None for zeros.
    outputs: what the framework returned, by rnncli's names (`hidden_states`); by `output_0` and so on for
        layers without a config.
    before: the layer below in the same module, `lstm_l0`.
    final_state: in Keras's order; only needed of a step.
    is_step: whether the call is one time step, which may belong to a sequence.
    axes: of the sequence that the framework returned, "(timesteps, batch, units)"; "" if they are those here.
    lacks: why gates cannot be shown, a clause; "" if they can.  With a config, the layer has a `call` of its
        own, and this holds only if its numbers differ from rnncli's.
    """

    name: str
    path: str
    class_name: str
    config: Mapping[str, Any] | None
    weights: Mapping[str, Array]
    inputs: Array | None
    outputs: Mapping[str, Array]
    mask: Array | None = None
    initial_state: tuple[Array, ...] | None = None
    before: str = ""
    final_state: tuple[Array, ...] = ()
    is_step: bool = False
    axes: str = ""
    lacks: Text = ""

    @property
    def given(self) -> dict[str, Array]:
        """The input, the mask and the initial states, by name."""
        states = {f"initial_state_{index}": state for index, state in enumerate(self.initial_state or ())}
        given = {"input": self.inputs, "mask": None if self.mask is None else self.mask.astype("uint8")}
        return {**{name: array for name, array in given.items() if array is not None}, **states}


class OtherLayers:
    """Notes calls, in the order in which they end.

    outputs: by `dense/output`, the second use of a layer `dense@1/output`.
    passed: every layer, also the recurrent ones.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Array] = {}
        self.passed: list[Passed] = []
        self.uses: Counter[str] = Counter()

    def add(
        self, name: str, given: Iterable[Array], returned: Mapping[str, Array], *, recurrent: bool
    ) -> None:
        """Add a call.  returned: by `output`, or `output_0` and so on."""
        use = f"{name}@{self.uses[name]}" if self.uses[name] else name
        self.uses[name] += 1
        self.passed.append(Passed(use, all(map(is_finite, given)), all(map(is_finite, returned.values()))))
        if not recurrent:
            self.outputs |= {f"{use}/{tensor}": array for tensor, array in returned.items()}

    def order(self, uses: Iterable[str]) -> list[str]:
        """Return all layers in the order in which their calls ended; `lstm` here may be `lstm_l0`, `lstm_l1`.

        uses: the recurrent layers of the answer, in order; steps that were joined are only among these.
        """
        parts: dict[str, list[str]] = {}
        for use in uses:
            parts.setdefault(re.sub(r"_l\d+(@\d+)?$", r"\1", use), []).append(use)
        called = (str(layer.name) for layer in self.passed)
        names = (name for layer in called for name in (*parts.get(layer, ()), layer))
        return list(dict.fromkeys([*names, *uses]))


class Recording(NamedTuple):
    """One call of a live object.

    calls: of its recurrent layers, as `arrange_calls` returns them.
    inputs: what the object was given, by the names of its parameters.  outputs: what it returned, by name.
    notes: what was not seen, and what changed.
    sequence_names: of the sequences that the object was given, in this order; () if they have none.
    others: what the layers that are not recurrent returned, if that was asked for; else None.
    """

    calls: Sequence[LiveCall]
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    notes: tuple[Text, ...] = ()
    sequence_names: tuple[str, ...] = ()
    others: OtherLayers | None = None


def arrange_calls(calls: Iterable[LiveCall]) -> list[LiveCall]:
    """Return the calls that were recorded, in order, steps joined; the second use of a layer is `lstm@1`."""
    uses: Counter[str] = Counter()
    named = []
    for call in _join_steps(calls):
        again = f"@{uses[call.name]}" if uses[call.name] else ""
        uses[call.name] += 1
        before = f"{call.before}{again}" if call.before else ""
        named.append(call._replace(name=f"{call.name}{again}", before=before))
    return named


def _join_steps(calls: Iterable[LiveCall]) -> list[LiveCall]:
    """Join each step with the step whose state it starts from, at the first step's position."""

    def same(first: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
        if first is other:
            return True
        return first.keys() == other.keys() and all(np.array_equal(first[key], other[key]) for key in first)

    chains: list[list[LiveCall]] = []
    ends: dict[tuple[str, bytes], list[LiveCall]] = {}
    for call in calls:
        chain = None
        if call.is_step and call.initial_state is not None:
            chain = ends.pop(_key(call, call.initial_state), None)
        if chain is None or not same(chain[0].weights, call.weights):
            chain = []
            chains.append(chain)
        chain.append(call)
        if call.is_step:
            ends[_key(call, call.final_state)] = chain
    return [_join(chain) for chain in chains]


def _key(call: LiveCall, state: Sequence[Array]) -> tuple[str, bytes]:
    """Return a key of a layer in a state: a step goes on from the step whose final state has its key."""
    return call.path, b"".join(np.ascontiguousarray(array).tobytes() for array in state)


def _join(chain: Sequence[LiveCall]) -> LiveCall:
    """Return the steps as one call: sequences are joined along time, states are the last ones."""
    first, last = chain[0], chain[-1]
    if len(chain) == 1:
        return first

    def joined(arrays: Iterable[Any]) -> Array:
        return np.concatenate(list(arrays), axis=1)

    outputs = {}
    for name, array in last.outputs.items():
        if name == "hidden_state":  # of a layer without return_sequences, (batch, units)
            outputs["hidden_states"] = joined(call.outputs[name][:, None] for call in chain)
        elif name.rpartition("/")[2].startswith("last_"):
            outputs[name] = array
        else:
            outputs[name] = joined(call.outputs[name] for call in chain)
    config = first.config
    if config:
        config = {**config, "config": {**config["config"], "return_sequences": True}}
    masks = [call.mask for call in chain]
    return first._replace(
        config=config,
        inputs=None if first.inputs is None else joined(call.inputs for call in chain),
        mask=None if any(mask is None for mask in masks) else joined(masks),
        outputs=outputs,
        final_state=last.final_state,
    )


def bind(
    function: Callable[..., Any], given: Any, beside: Mapping[str, Any] | None = None
) -> inspect.BoundArguments:
    """Return what a function is called with.

    A tuple is positional arguments, and a dict keywords, where the function's signature takes them; anything
    else is one argument.  beside: further keywords.
    Raises UsageError for arguments that do not fit.
    """
    signature, beside = inspect.signature(function), beside or {}
    with suppress(TypeError):
        if type(given) is tuple:
            return signature.bind(*given, **beside)
        if isinstance(given, dict) and all(isinstance(name, str) for name in given):
            return signature.bind(**given, **beside)
    try:
        return signature.bind(given, **beside)
    except TypeError as error:
        raise UsageError(
            "the input does not fit {parameters}: {error}.",
            "Give several arguments as a tuple, or as a dict by these names.",
            parameters=f"({', '.join(signature.parameters)})",
            error=error,
        ) from None


def flatten(name: str, value: Any, to_array: Callable[[Any], Leaf | None]) -> dict[str, Leaf]:
    """Return the arrays in nested tuples, lists and dicts: `output`, or `output_0`, `output_1_0` and so on.

    name: of the value; "" if the keys or the numbers of its parts are their whole names.
    to_array: converts a tensor of the framework, to its shape maybe; None for any other value.
    """
    array = to_array(value)
    if array is not None:
        return {name: array}
    several = value if isinstance(value, (list, tuple)) else ()
    parts = value.items() if isinstance(value, Mapping) else enumerate(several)
    arrays: dict[str, Leaf] = {}
    for key, part in parts:
        arrays |= flatten(f"{name}_{key}" if name else str(key), part, to_array)
    return arrays


def refuse_at(model: object, at: str, names: Iterable[str]) -> UsageError:
    """Return the error for an `at` that names no layer.  names: that it can be."""
    advice = did_you_mean(without_use(at), list(names))
    return UsageError("at={at!r}: {name} has no such layer.", advice, at=at, name=type(model).__name__)


def without_use(at: str) -> str:
    """Return the name of a layer without the number of its use: `lstm` of `lstm@1`."""
    return re.sub(r"@\d+$", "", at)


def refuse_beside(model: object, option: str, method: str) -> UsageError:
    """Return the error for `lengths`, `mask` or `initial_state` that the method of a model does not take."""
    what = "{option}: {name} takes no {option} beside its input."
    advice = "Pass what its {method} takes, as a tuple or as a dict by name."
    return UsageError(what, advice, option=option, name=type(model).__name__, method=method)


def require_numbers(inputs: Mapping[str, Array]) -> None:
    """Raise InputError if the first input is empty: no layer computes it."""
    name, first = next(iter(inputs.items()), ("", None))
    if first is not None and not first.size:
        raise empty_input(name)


def stack_sequences(given: Sequence[Any]) -> Array:
    """Return a list of numbers, or of arrays, as one array.  Raises InputError if the lengths differ."""
    try:
        return np.array(
            [np.asarray(item.detach().cpu() if hasattr(item, "detach") else item) for item in given]
        )
    except ValueError:
        advice = "Pad them to one length, and give the length of each: {--lengths 5,3,2}."
        raise InputError("sequences differ in length.", advice) from None


def to_mask(name: str, given: Array, shape: tuple[int, ...], ranks: tuple[int, ...] = (2,)) -> Array:
    """Return the mask of an input; `lengths` are the steps before the padding.  ranks: as in `check_mask`."""
    if name == "lengths":
        return mask_of_lengths(tuple(given.tolist()), shape)
    return check_mask(given, shape, ranks)


def require_states(name: str, given: Iterable[Any], wanted: Iterable[Any]) -> None:
    """Raise InputError for initial states of other shapes.  name: the class of the layer."""
    shapes = [[tuple(map(int, shape)) for shape in several] for several in (given, wanted)]
    if shapes[0] != shapes[1]:
        texts = [", ".join(map(format_shape, several)) for several in shapes]
        with inside("initial_state"):
            what = "{name} starts from {wanted}; got {given}."
            advice = "Give one array for each state, in this order."
            raise InputError(what, advice, name=name, wanted=texts[1], given=texts[0])


def save_attributes(objects: Iterable[Any], save_value: Callable[[Any], Restore | None]) -> Restore:
    """Save the plain attributes of objects, with what their lists, dicts, sets and arrays hold.

    save_value: saves a value of the framework that changes in place, such as a tensor; None for any other.
    """
    restores: list[Restore] = []
    seen: set[int] = set()
    for item in objects:
        _save_value(vars(item), save_value, restores, seen)

    def restore() -> None:
        for put_back in restores:
            put_back()

    return restore


def _save_value(
    value: Any, save_value: Callable[[Any], Restore | None], restores: list[Restore], seen: set[int]
) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    put_back = save_value(value)
    inside: Iterable[Any] = ()
    if put_back is None and isinstance(value, np.ndarray):
        put_back = _save_array(value)
    elif put_back is None and isinstance(value, (dict, list, set, deque)):
        put_back, inside = _save_items(value), list(value.values() if isinstance(value, dict) else value)
    elif put_back is None and isinstance(value, tuple):
        inside = value
    if put_back is not None:
        restores.append(put_back)
    for item in inside:
        if not isinstance(item, PLAIN):
            _save_value(item, save_value, restores, seen)


def _save_array(array: Array) -> Restore:
    saved = array.copy()

    def restore() -> None:
        if array.tobytes() != saved.tobytes():
            array[...] = saved

    return restore


def _save_items(values: Any) -> Restore:
    """It is put back with the methods of its type: a subclass may track what is set in it."""
    kind: Any = next(kind for kind in (OrderedDict, dict, list, set, deque) if isinstance(values, kind))

    def items() -> list[Any]:
        return list(values.items() if isinstance(values, dict) else values)

    def identities() -> list[Any]:
        if isinstance(values, dict):
            return [(key, id(value)) for key, value in values.items()]
        return list(map(id, values))

    saved, before = items(), identities()

    def restore() -> None:
        if identities() != before:
            kind.clear(values)
            (kind.extend if hasattr(kind, "extend") else kind.update)(values, saved)

    return restore


class Share(NamedTuple):
    """Which sequence of a batch.

    first: the first tensor that the object is given, or list, which holds the sequences.
    size: the number of sequences.  row: of the sequence.
    axis: of the sequences in the first tensor.
    other: of the sequences in another tensor, where the sizes of two of its axes fit.
    real: (timesteps) of bool, the steps that the sequence keeps; None for all of them.
    """

    first: Any
    size: int
    row: int
    axis: int = 0
    other: int = 0
    real: Array | None = None

    def take(self, value: Any) -> Any:
        """Return a nested value with the share of the sequence in each tensor.

        Tensors without an axis of the sequences, and other values, stay as they are.
        """
        if is_packed(value):
            from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

            part = slice(self.row, self.row + 1)
            padded, lengths = pad_packed_sequence(value, batch_first=True)
            return pack_padded_sequence(padded[part, : int(lengths[part])], lengths[part], batch_first=True)
        if value is self.first or hasattr(value, "shape"):
            return self._take_tensor(value)
        if isinstance(value, Mapping):
            return {name: self.take(item) for name, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.take(item) for item in value)
        return value

    def take_beside(self, name: str, value: Any) -> Any:
        """Return the share of the sequence in `lengths`, `mask` or `initial_state`.

        A mask of one row is that of every sequence.
        """
        if self.real is not None and name == "lengths":
            return np.array([self.real.sum()])
        if name == "mask" and (value.ndim == 1 or len(value) == 1 or self.real is not None):
            rows = np.atleast_2d(value)
            mask = rows if len(rows) == 1 else rows[self.row : self.row + 1]
            return mask if self.real is None else mask[:, self.real]
        return self.take(value)

    def _take_tensor(self, tensor: Any) -> Any:
        part, is_first = slice(self.row, self.row + 1), tensor is self.first
        shape = tuple(getattr(tensor, "shape", ()))
        if not shape:
            return tensor[part] if is_first else tensor  # a list of sequences
        fitting = [axis for axis, size in enumerate(shape) if size == self.size]
        axis = self.axis if is_first else self.other if self.other in fitting else min(fitting, default=None)
        if axis is None:
            return tensor
        tensor = tensor[part] if axis == 0 else tensor[(slice(None),) * axis + (part,)]
        is_mask = len(shape) == 2 and "bool" in str(tensor.dtype)
        if self.real is None or not (is_first or is_mask):
            return tensor
        steps = np.flatnonzero(self.real)  # may be fewer than in the tensor; the rest is padding
        start, stop = (int(steps[0]), int(steps[-1]) + 1) if len(steps) else (0, 0)
        if stop - start != len(steps):
            return np.take(np.asarray(tensor), steps, 1 - axis)
        return tensor[(slice(None),) * (1 - axis) + (slice(start, stop),)]  # as TensorFlow takes it, too


def first_of(value: Any, *, has_list: bool) -> Any:
    """Return the first tensor of a nested value; None if there is none.

    has_list: whether the tensors in a list are sequences; then the list is returned.
    """
    is_batch = isinstance(value, list) and (has_list or (bool(value) and isinstance(value[0], str)))
    if is_batch or is_packed(value) or hasattr(value, "shape"):
        return value
    items = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    )
    return next((first for item in items if (first := first_of(item, has_list=has_list)) is not None), None)


def with_arrays(value: Any) -> Any:
    """Return a nested value with an array for each list of numbers, unless its rows differ in length."""
    if isinstance(value, list) and holds_numbers(value):
        try:
            return np.array(value)
        except ValueError:
            return value
    if isinstance(value, Mapping):
        return {name: with_arrays(item) for name, item in value.items()}
    return type(value)(map(with_arrays, value)) if type(value) in (list, tuple) else value


def count_sequences(first: Any, axis: int) -> int:
    """Return the number of sequences in the first tensor."""
    if is_packed(first):
        return int(first.batch_sizes[0])
    return int(first.shape[axis]) if hasattr(first, "shape") else len(first)


def is_packed(value: Any) -> bool:
    """Return whether a value is a PackedSequence of PyTorch, which is also a tuple."""
    return type(value).__name__ == "PackedSequence" and hasattr(value, "batch_sizes")


def holds_numbers(value: Any) -> bool:
    """Return whether a value is a number, or a nested list of numbers."""
    if isinstance(value, list):
        return bool(value) and all(map(holds_numbers, value))
    return isinstance(value, (int, float))
