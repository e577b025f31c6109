"""From flags and files to a ForeignRun: the layer is the one that -l names, else guessed from the weights."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from rnncli.case import Array, Document, Spec
from rnncli.cli import request, sources
from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
from rnncli.commands.port import expected_tensors, foreign_weights, weight_files
from rnncli.commands.port.expected_tensors import ReturnedSizes, is_sequence
from rnncli.commands.port.foreign_weights import ForeignLayer
from rnncli.commands.port.hypothesis import ForeignRun
from rnncli.commands.port.port_flags import PortFlags
from rnncli.errors import InputError, LayerError, Message, Text, count, fold_name, inside
from rnncli.layouts import GATES, default_name
from rnncli.readers import case_builder, formats
from rnncli.readers.expected import read_expected
from rnncli.readers.source import split_layers
from rnncli.specs import describe
from rnncli.specs.stack import Stack

COMPUTED: Mapping[str, Any] = {
    "return_sequences": True, "return_state": True, "stateful": False, "dropout": 0.0,
    "recurrent_dropout": 0.0, "dtype": "float64",
}  # fmt: skip
"""Options of the layer that change no number, as the search computes it."""


class Task(NamedTuple):
    """What to explain.

    run: the run, with the expected tensors in their likeliest reading.
    other_readings: the same run with every other reading that the shapes allow.
    layer: what the weights' file holds.
    """

    run: ForeignRun
    other_readings: tuple[ForeignRun, ...]
    layer: ForeignLayer
    remarks: tuple[Text, ...]


def collect(input_flags: InputFlags, layer: LayerFlags, port: PortFlags) -> Task:
    """Read everything.  Raises InputError or UsageError if it does not fit together."""
    sources.validate_sources(input_flags, layer, port)
    weights, expect, states = port.weights or "", port.expect or "", port.initial_state
    file, _ = split_layers(weights)
    arrays = weight_files.read_weights(sources.find_source(weights))
    described = _parse_layer(layer)
    case, remarks = request.case(input_flags, LayerFlags(), RunFlags(seed=0))
    inputs = np.asarray(case.inputs, np.float64)
    class_name = None if described is None else described.inner.class_name
    with inside(file):
        found = foreign_weights.find_layer(arrays, inputs.shape[-1], class_name)
        spec = _guess_layer(layer, found) if described is None or _is_unsized(layer) else described
        _require_fit(spec, found, layer.units)
    stored = read_expected(sources.find_source(expect))
    batch, steps, _ = inputs.shape
    with inside(expect):
        sizes = ReturnedSizes(batch, steps, found.units, len(found.cells))
        expected, *others = expected_tensors.list_readings(stored, sizes)
    options = {**spec.inner.config, "units": found.units, **COMPUTED}
    merge_mode = spec.config.get("merge_mode", "concat") if len(found.cells) == 2 else None
    run = ForeignRun(
        found.class_name, options, merge_mode, found.cells, inputs, expected,
        _widen(case.initial_state) if states is None else _states(states, spec, inputs.shape),
        found.has_names, case.mask,
    )  # fmt: skip
    notes = (
        []
        if described
        else [Message("the layer is {spec}, by the shapes of the weights", spec=describe(spec))]
    )
    if case.mask is not None and not case.mask.all() and any(map(is_sequence, expected)):
        notes.append(
            Message("the rows of masked steps are not compared, because frameworks fill them differently")
        )
    unlike = tuple(run._replace(expected=other) for other in others)
    return Task(run, unlike, found, (*remarks, *notes))


def _parse_layer(layer: LayerFlags) -> Spec | None:
    """Return the layer of -l; None without -l.  Raises LayerError if it is not one recurrent layer."""
    if not layer.layer:
        return None
    stack = request.stack_of(layer, Document())
    spec = stack[0]
    if len(stack) > 1 or not stack.layers[0].recurrent or spec.inner.class_name not in GATES:
        raise LayerError(
            "port explains a single SimpleRNN, LSTM or GRU, alone or inside Bidirectional.",
            "Name one of these with {--layer}, and choose its weights with FILE#layer.",
        )
    return spec


def _is_unsized(layer: LayerFlags) -> bool:
    """Return whether -l is a name alone, so that the weights say the units."""
    return layer.units is None and all(fold_name(word).isalpha() for word in layer.layer or ())


def _guess_layer(layer: LayerFlags, found: ForeignLayer) -> Spec:
    """Return the layer with the units, and without -l the class and the directions, of the weights."""
    flags = layer._replace(units=layer.units or found.units)
    if not layer.layer:
        both = True if len(found.cells) == 2 else layer.bidirectional
        flags = flags._replace(layer=[default_name(found.class_name)], bidirectional=both)
    return request.stack_of(flags, Document())[0]


def _require_fit(spec: Spec, found: ForeignLayer, flag: int | None) -> None:
    """Raise InputError if the weights are those of a layer of another size or number of directions.

    flag: the units of --units.
    """
    units, directions = spec.inner.config["units"], 2 if spec.class_name == "Bidirectional" else 1
    if directions != len(found.cells):
        raise InputError(
            "it has weights of {directions}, but {spec} has {wanted}.",
            Message("Add {--bidirectional:on}.")
            if directions == 1
            else Message("Name the layer without Bidirectional."),
            directions=count(len(found.cells), "direction"),
            spec=describe(spec),
            wanted=directions,
        )
    if units != found.units:
        raise InputError(
            "it has weights of {units}, but {spec} has {wanted}.",
            Message(
                "Write {--layer:option}.",
                option=shlex.quote(describe(spec.with_option("units", found.units))),
            )
            if flag is None
            else "Leave {--units} out.",
            units=count(found.units, "unit"),
            spec=describe(spec),
            wanted=units,
        )


def _states(word: str, spec: Spec, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Return the states of --initial-state.  Raises InputError if this layer does not take them.

    shape: of the input, (batch, timesteps, features); the other framework may have the time first.
    """
    source = sources.find_source(word)
    given = case_builder.RawValue(formats.read_states(source), source.name)
    try:
        return _widen(case_builder.states(given, Stack([spec]), shape))
    except InputError:
        swapped = (shape[1], shape[0], *shape[2:])
        with suppress(InputError):
            return _widen(case_builder.states(given, Stack([spec]), swapped))
        raise


def _widen(states: tuple[Array, ...] | None) -> tuple[Array, ...]:
    return tuple(np.asarray(state, np.float64) for state in states or ())
