"""Read the inputs of a saved model by name, with the axes in the order that the model expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, format_shape
from rnncli.cli import sources
from rnncli.errors import Either, InputError, Message, Text, UsageError, inside
from rnncli.inputs import arrange, formats

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.model_files import Model

GIVE = Either(
    Message("Give a file, or JSON on the command line."),
    Message("Give an array, arrays by name, or the path of a file."),
)


def read_inputs(model: Model, ask: Ask) -> tuple[dict[str, Array], tuple[Text, ...]]:
    """Read the inputs of the model, and return them with remarks."""
    if sources.is_bare(ask):
        raise UsageError(
            "{--model:file} needs an input. The model expects {inputs}.",
            "{give}",
            file=model.saved.file,
            inputs=model.saved.describe_inputs(),
            give=GIVE,
        )
    require_paddable(model, ask)
    source, remarks = sources.choose_source(ask)
    raw, more = formats.read_raw(source, ask.input_format, sources.read_options(ask, source))
    inputs, notes = arrange_inputs(model, raw, ask, source.name)
    return inputs, (*remarks, *more, *notes)


def arrange_inputs(
    model: Model, raw: Any, ask: Ask, where: Text = ""
) -> tuple[dict[str, Array], tuple[Text, ...]]:
    """Pad the inputs and reorder their axes as the flags say; return them by name, and remarks.

    where: the name of their source in errors.
    """
    with inside(where):
        raw = _pad_sequences(raw, ask)
    return _fit_inputs(model, _reorder_axes(model, raw, ask.input_axes))


def _pad_sequences(raw: Any, ask: Ask) -> Any:
    """Pad sequences of different lengths as --pad says.  Raises InputError if it is not given."""
    if isinstance(raw, dict):
        padded = {}
        for name, value in raw.items():
            with inside(name):
                padded[name] = _pad_sequences(value, ask)
        return padded
    if not isinstance(raw, tuple):
        return raw
    if ask.pad is None:
        first = next(index for index, one in enumerate(raw) if len(one) != len(raw[0]))
        raise InputError(
            "sequences differ in length: [0] has {length}, [{first}] has {other}.",
            "Pad the shorter ones with {--pad post}; they are masked only if the model itself does so.",
            length=len(raw[0]),
            first=first,
            other=len(raw[first]),
        )
    return arrange.pad(raw, ask.pad, ask.pad_value or 0.0)[0]


def _reorder_axes(model: Model, raw: Any, axes: str | None) -> Any:
    """Return the only input in the order batch, time, features, if --input-axes names another.

    Raises UsageError for several inputs, and for a graph that may want an order of its own.
    """
    if axes is None:
        return raw
    reason = (
        Message("{file} has the order of its own graph", file=model.saved.file)
        if model.saved.own_axes
        else ""
    )
    if isinstance(raw, Mapping):
        reason = Message("an input with a name must have the axes in the order that the model expects")
    if reason:
        raise UsageError(
            "{--input-axes}: {reason}.",
            "Leave it out, and give {inputs}.",
            reason=reason,
            inputs=model.saved.describe_inputs(),
        )
    return arrange.reorder_axes(raw, tuple(axes.split(",")))


def require_paddable(model: Model, ask: Ask) -> None:
    """Raise UsageError for --pad if nothing in the model would mask the padding, or with --input-axes."""
    if ask.pad is not None and ask.input_axes is not None:
        raise UsageError(
            "{--pad} takes sequences that are already (batch, time, features).", "Leave {--input-axes} out."
        )
    if ask.pad is not None and not model.saved.makes_masks:
        raise UsageError(
            "{--pad}: {file} has no mask, so the padding would be computed as data.",
            "Give sequences of the same length.",
            file=model.saved.file,
        )


def _fit_inputs(model: Model, raw: Any) -> tuple[dict[str, Array], tuple[Text, ...]]:
    """Return the inputs by name, and a remark for each one that got a batch axis."""
    import numpy as np

    inputs = model.saved.fit_inputs(raw)
    remarks: tuple[Text, ...] = ()
    for name, array in inputs.items():
        given = np.shape(raw.get(name, array) if isinstance(raw, Mapping) else raw)
        if len(given) < array.ndim:
            place = f"{name}: " if len(inputs) > 1 else ""
            change = f"{format_shape(given)} -> {format_shape(array.shape)}"
            remarks += (Message("{place}added a batch axis: {change}", place=place, change=change),)
    return inputs, remarks
