"""Arrange what a reader returned into the (batch, timesteps, features) array and mask that a layer takes."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import and_
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from rnncli.errors import InputError, Message, Text, UsageError, count, did_you_mean, inside, with_path_prefix
from rnncli.inputs import nested
from rnncli.inputs.source import is_size
from rnncli.values import NO_NAMES, Array, Document, InputNames, format_shape

AXES = ("batch", "time", "features")
AXIS_NAMES = {
    **dict.fromkeys(("batch", "batch_size", "sample", "samples"), "batch"),
    **dict.fromkeys(("time", "timestep", "timesteps"), "time"),
    **dict.fromkeys(("feature", "features"), "features"),
}
"""Maps every axis name that --input-axes accepts to its axis."""

WANTED = Message("A recurrent layer needs (batch, timesteps, features).")


class AxisOrder(NamedTuple):
    """The order in which the first two axes of the inputs are read, because nothing says what they are.

    batch_first: otherwise time is the first axis.  way: what makes rnncli read the other order.
    """

    batch_first: bool
    way: Text

    @property
    def name(self) -> Text:
        """The order in words."""
        return Message("batch first") if self.batch_first else Message("time first")

    @property
    def other_name(self) -> Text:
        """The other order in words."""
        return Message("time first") if self.batch_first else Message("batch first")


BATCH_FIRST = AxisOrder(True, Message("{--input-axes time,batch,features}"))


class ArrangeOptions(NamedTuple):
    """How to interpret the inputs.

    axes: names of the axes of the inputs, in order; 1 to 3 names from AXIS_NAMES.
    pad: the end at which shorter sequences are padded with `pad_value`; the mask is False there.
    mask: (batch, timesteps), raw; replaces the document's mask, as `mask_value` and padding do.
    mask_value: a step is masked if every feature equals this value.
    lengths: the time steps of each sequence; the steps behind are masked.
    order: the order that is assumed of the first two axes; None if the user says it.
    dtype: dtype of the result; for bfloat16 the result is float32, and the engine converts it.
    ndim: number of axes of the result; 4 to 6 for the convolutional layers.
    mask_ranks: numbers of axes that a mask can have; the first is the usual one.
    axes_by_name: the axes of each array of the input with their sizes, of a layer that takes them by name.
    where, mask_where: names of the document and of `mask` in errors, such as `notes.json`.
    """

    axes: tuple[str, ...] | None = None
    pad: Literal["pre", "post"] | None = None
    pad_value: float = 0.0
    mask: Any = None
    mask_value: float | None = None
    lengths: tuple[int, ...] | None = None
    order: AxisOrder | None = BATCH_FIRST
    dtype: str = "float32"
    ndim: int = 3
    mask_ranks: tuple[int, ...] = (2,)
    axes_by_name: Mapping[str, Mapping[str, int]] = MappingProxyType({})
    where: Text = ""
    mask_where: Text = ""


class Arrangement(NamedTuple):
    """The inputs as a layer takes them.

    inputs: array with `ndim` axes and dtype `dtype`.
    mask: (batch, timesteps), bool; True for the steps to process.
    """

    inputs: Array
    mask: Array | None = None
    remarks: tuple[Text, ...] = ()
    names: InputNames = NO_NAMES


def arrange(document: Document, options: ArrangeOptions | None = None) -> Arrangement:
    """Pad, reorder the axes, cast, and combine the masks; a step is kept only if it is True in all masks.

    A mask requested by the options, also by padding, replaces the document's mask.  The padding of sentences
    does not.
    """
    options = options or ArrangeOptions()
    padding, remarks = None, list(document.remarks)
    with inside(options.where):
        if isinstance(document.inputs, dict):
            from rnncli.inputs import named_arrays

            axes, given = options.axes_by_name, document.inputs
            is_whole = not axes or ("inputs" in given and "inputs" not in axes)
            inputs = named_arrays.choose_input(given) if is_whole else named_arrays.join_inputs(given, axes)
            document = document._replace(inputs=inputs)
        if options.axes is not None and not isinstance(document.inputs, tuple):
            if options.ndim != len(AXES):
                what = "{--input-axes} names three axes, but this layer takes {ndim}."
                raise UsageError(what, "Leave it out.", ndim=options.ndim)
            if document.pad is not None and _parse_axes(options.axes) != AXES:
                what = "sentences are already (batch, time, features)."
                raise InputError(what, "Leave {--input-axes} out.")
            document = reorder_axes(document, options.axes, add_missing=True)
        array: Any = document.inputs
        assert array is not None  # the readers refuse a document without inputs
        if isinstance(array, tuple):
            array, padding = _pad_sequences(array, options._replace(pad=options.pad or document.pad))
        inputs = _cast(_add_batch(array, options.ndim, remarks), options.dtype, remarks)
    if array.ndim < inputs.ndim:  # one sequence, whose batch axis was added
        options = options._replace(order=None)
    mask = combine_masks(inputs, padding, options, document.mask)
    features = document.feature_names if len(document.feature_names) == inputs.shape[-1] else ()
    names = InputNames(features, document.sequence_names)
    if document.names != NO_NAMES:
        from rnncli.inputs.names import fit

        with inside(options.where):
            names = fit(document.names, inputs.shape, padding)
    return Arrangement(inputs, mask, tuple(remarks), names)


def note_nan(inputs: Mapping[str, Array]) -> Iterator[Text]:
    """Yield a remark on each input that contains NaN, which names the first.

    inputs: by name, which only several need.
    """
    import numpy as np

    from rnncli.arrays import find_first

    for name, array in inputs.items():
        index = find_first(array, np.isnan)
        if index is not None:
            several = "the input {name} contains NaN, first at index {index}"
            text = several if len(inputs) > 1 else "the input contains NaN, first at index {index}"
            yield Message(text, name=name, index=list(index))


def cut_windows(series: Any, window: int, stride: int) -> tuple[Array, Text]:
    """Return the windows of one series, (windows, window, ...), and a remark that counts them.

    series: (timesteps, features), (1, timesteps, features), or (timesteps,) of token ids.
    """
    import numpy as np

    if isinstance(series, dict) and ("inputs" in series or len(series) == 1):
        from rnncli.inputs import named_arrays

        series = named_arrays.choose_input(series)
    array = None if isinstance(series, (dict, tuple)) else np.asarray(series)
    if array is not None and array.ndim == len(AXES) and len(array) == 1:
        array = array[0]
    if array is None or array.ndim not in (1, 2):
        raise InputError(
            "{--window:window} takes one series, (timesteps, features), and the input is {shape}.",
            "Give one series, or leave {--window} out.",
            window=window,
            shape=Message("several arrays") if array is None else format_shape(array.shape),
        )
    if len(array) < window:
        what = "{--window:window} is longer than the series, which has {steps}."
        raise InputError(what, "Give a shorter window.", window=window, steps=count(len(array), "time step"))
    starts = np.arange(0, len(array) - window + 1, stride)
    remark = Message(
        "{number} windows of {window} steps, each {stride} after the one before, are the batch",
        number=len(starts),
        window=window,
        stride=stride,
    )
    return array[starts[:, None] + np.arange(window)], remark


def combine_masks(
    inputs: Array, padding: Array | None, options: ArrangeOptions, document_mask: Any = None
) -> Array | None:
    """Return the mask (batch, timesteps), True where every mask is; None if there is none.

    padding: the mask that is False where --pad added steps.
    document_mask: raw; used if nothing else gives a mask.
    """
    raw, where = options.mask, options.mask_where
    pad = None if padding is None else options.pad
    if all(given is None for given in (raw, options.mask_value, options.lengths, pad)):
        raw, where = document_mask, options.where
    masks = [] if padding is None else [padding]
    if raw is not None:
        with inside(where):
            masks.append(check_mask(raw, inputs.shape, options.mask_ranks, options.order))
    if options.lengths is not None:
        if options.mask_ranks[0] != 2:
            what = "{--lengths} gives a mask of (batch, timesteps), but this layer needs one of more axes."
            raise UsageError(what, "Give {--mask} instead.")
        masks.append(mask_of_lengths(options.lengths, inputs.shape, options.order))
    if options.mask_value is not None:
        rank = masks[-1].ndim if masks else options.mask_ranks[0]
        masks.append(_mask_values(inputs, options.mask_value, rank))
    return reduce(and_, masks) if masks else None


def _pad_sequences(sequences: tuple[Array, ...], options: ArrangeOptions) -> tuple[Array, Array]:
    """Return the padded array (batch, longest, features) and the mask (batch, longest), False for padding."""
    lengths = [len(sequence) for sequence in sequences]
    if options.ndim != len(AXES):
        advice = "Make them equally long: a layer of {ndim} axes does not take padding."
        raise InputError("sequences differ in length.", advice, ndim=options.ndim)
    if options.axes is not None and _parse_axes(options.axes) != AXES:
        raise InputError(
            "sequences of different lengths are already (batch, time, features).", "Leave {--input-axes} out."
        )
    if options.pad is None:
        other = next((index for index, length in enumerate(lengths) if length != lengths[0]), 0)
        steps = count(lengths[0], "time step")
        what = "sequences differ in length: [0] has {steps}, [{other}] has {lengths}."
        advice = "{wanted} Pad and mask the shorter ones with {--pad post}."
        raise InputError(what, advice, steps=steps, other=other, lengths=lengths[other], wanted=WANTED)
    return pad(sequences, options.pad, options.pad_value)


def pad(sequences: tuple[Array, ...], end: str, value: float) -> tuple[Array, Array]:
    """Return the sequences in one array (batch, longest, ...), and the mask (batch, longest).

    end: `pre` or `post`, where shorter ones get `value`.  The mask is False there.
    """
    import numpy as np

    lengths = np.array([len(sequence) for sequence in sequences])
    mask: Array = np.arange(lengths.max()) < lengths[:, None]
    mask = mask[:, ::-1] if end == "pre" else mask
    array = np.full((*mask.shape, *sequences[0].shape[1:]), value, dtype=np.float64)
    array[mask] = np.concatenate(sequences)
    return array, mask


def parse_lengths(given: Any) -> tuple[int, ...]:
    """Convert `5,3,2`, or whole numbers that Python gives.  Raises UsageError for anything else."""
    import numpy as np

    words = given.split(",") if isinstance(given, str) else np.asarray(given).ravel().tolist()
    lengths = [int(word) if is_size(str(word).strip()) else 0 for word in words]
    if not lengths or 0 in lengths:
        text = given if isinstance(given, str) else ",".join(map(str, words))
        what = "{--lengths:text}: a length is a whole number above 0."
        raise UsageError(what, "Give one for each sequence, such as {--lengths 5,3,2}.", text=text)
    return tuple(lengths)


def mask_of_lengths(
    lengths: tuple[int, ...], shape: tuple[int, ...], order: AxisOrder | None = None
) -> Array:
    """Return the mask (batch, timesteps), False behind the end of each sequence of an input of this shape.

    Raises InputError for lengths that do not fit.
    """
    import numpy as np

    batch, steps = shape[:2]
    if len(lengths) != batch:
        what = Message(
            "{lengths} given for {sequences}",
            lengths=count(len(lengths), "length"),
            sequences=count(batch, "sequence"),
        )
        fits = len(lengths) == steps and max(lengths) <= batch
        raise contradicts(shape, order if fits else None, what) or InputError(
            "{what}.", "Give one length for each sequence, such as {--lengths 5,3,2}.", what=what
        )
    if max(lengths) > steps:
        raise InputError(
            "{--lengths} has {longest}, but the input has {steps}.",
            "Give lengths from 1 to {most}.",
            longest=max(lengths),
            steps=count(steps, "time step"),
            most=steps,
        )
    return np.arange(steps) < np.array(lengths)[:, None]


def contradicts(shape: tuple[int, ...], order: AxisOrder | None, what: Text) -> InputError | None:
    """Return the error for what fits only the other order of the axes: it shows both readings.

    shape: of the inputs as they are read now.  what: what does not fit, a clause.
    order: None if the order is not assumed, or the other one does not fit either; then there is no error.
    """
    if order is None or len(shape) != len(AXES):
        return None
    batch, steps = (count(size, noun) for size, noun in zip(shape, ("sequence", "time step"), strict=False))
    other_batch, other_steps = count(shape[1], "sequence"), count(shape[0], "time step")
    return InputError(
        "{what}: read {now}, the input has {batch} of {steps}.",
        "Read {other}, it has {other_batch} of {other_steps}, which fits: {way}",
        what=what,
        now=order.name,
        batch=batch,
        steps=steps,
        other=order.other_name,
        other_batch=other_batch,
        other_steps=other_steps,
        way=order.way,
    )


@with_path_prefix("mask")
def check_mask(
    raw: Any, shape: tuple[int, ...], ranks: tuple[int, ...] = (2,), order: AxisOrder | None = None
) -> Array:
    """Return the mask of an input of this shape as a bool array (batch, timesteps).

    A mask of shape (timesteps,) or (1, timesteps) applies to every sequence.  In TimeDistributed a mask may
    be (batch, timesteps, inner timesteps); a recurrent layer there needs this one.
    ranks, order: as in ArrangeOptions.
    Raises InputError for a mask of another shape, or of other values than true, false, 1 and 0.
    """
    import numpy as np

    mask = raw if isinstance(raw, np.ndarray) else nested.to_array(raw, nested.FLAGS)
    rank = mask.ndim if mask.ndim in ranks and mask.ndim < len(shape) else ranks[0]
    expected = shape[:rank]
    if mask.dtype.kind not in "bfiu":
        raise InputError(
            "the mask has dtype {dtype}.", "Write true or false for every time step.", dtype=mask.dtype
        )
    if mask.shape not in (expected, (1, *expected[1:]), *([expected[1:]] if rank == 2 else [])):
        fits = rank == 2 and len(shape) == len(AXES) and mask.shape == (expected[1], expected[0])
        what = Message("the mask is {shape}", shape=format_shape(mask.shape))
        raise contradicts(shape, order if fits else None, what) or InputError(
            "the mask is {shape}, but the input is {inputs}.",
            "A mask is (batch, timesteps), here {wanted}. More: rnncli help masks."
            if ranks[0] == 2
            else "TimeDistributed gives its layer a mask of (batch, timesteps, inner timesteps), here "
            "{wanted}.",
            shape=format_shape(mask.shape),
            inputs=format_shape(shape),
            wanted=format_shape(shape[: ranks[0]]),
        )
    wrong = np.argwhere((mask != 0) & (mask != 1))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        advice = "Write true or 1 for a step to process, else false or 0."
        raise InputError("{place} is {mask:g}.", advice, place, mask=mask[place])
    return np.array(np.broadcast_to(mask.astype(bool), expected))


def _mask_values(inputs: Array, value: float, rank: int) -> Array:
    """Return the mask of Keras's Masking layer, of `rank` axes: True where any feature is not `value`."""
    import numpy as np

    from rnncli import arrays

    with np.errstate(over="ignore"):
        masked, axes = inputs.dtype.type(value), tuple(range(rank, inputs.ndim))
    return np.concatenate([np.any(block != masked, axis=axes) for block in arrays.blocks(inputs)])


def _parse_axes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Convert names from AXIS_NAMES to names from AXES.  Raises UsageError if an axis is named twice."""
    axes: list[str] = []
    for name in names:
        axis = AXIS_NAMES.get(name.strip().casefold())
        if axis is None:
            raise UsageError("there is no axis {name!r}.", did_you_mean(name, AXIS_NAMES), name=name)
        if axis in axes:
            raise UsageError(
                "the axis {axis} is named twice in {--input-axes}.", "Name each axis once.", axis=axis
            )
        axes.append(axis)
    return tuple(axes)


def reorder_axes(document: Document, names: tuple[str, ...], *, add_missing: bool = False) -> Document:
    """Reorder the named axes to (batch, time, features), as `batch,time` for token ids, with their names.

    document: its inputs are an array, with feature_names along the last axis and sequence_names along the
        first of several; names of time steps are not kept.
    add_missing: add the axes that are not named, with size 1.
    Raises UsageError for a wrong name, InputError if they do not name every axis.
    """
    import numpy as np

    from rnncli import arrays

    array, axes = document.inputs, _parse_axes(names)
    assert array is not None
    assert not isinstance(array, (tuple, dict))
    if array.ndim != len(axes):
        raise InputError(
            "the input is {ndim}-D, {shape}, but {--input-axes} names {count}: {axes}.",
            "Name every axis of the input, in order.",
            ndim=array.ndim,
            shape=format_shape(array.shape),
            count=len(axes),
            axes=", ".join(axes),
        )
    order = [axes.index(axis) for axis in AXES if axis in axes]
    missing = tuple(index for index, axis in enumerate(AXES) if add_missing and axis not in axes)
    moved = arrays.change_view(array, lambda view: np.expand_dims(view.transpose(order), missing))
    named = {axes[-1]: document.feature_names}
    if len(axes) > 2:
        named[axes[0]] = document.sequence_names
    return document._replace(
        inputs=moved, feature_names=named.get("features", ()), sequence_names=named.get("batch", ())
    )


def _add_batch(array: Array, ndim: int, remarks: list[Text]) -> Array:
    shape = format_shape(array.shape)
    if array.ndim == ndim:
        return array
    if array.ndim == ndim - 1 and array.ndim > 1:
        from rnncli import arrays

        with_batch: Array = arrays.change_view(array, lambda view: view[None])
        new = format_shape(with_batch.shape)
        remarks.append(Message("added a batch axis: {shape} -> {new}", shape=shape, new=new))
        return with_batch
    if array.ndim == 1 and ndim == len(AXES):
        raise InputError(
            "the input is 1-D, {shape}.",
            "{wanted} For a series of one feature use {--input-axes time}, for one time step "
            "{--input-axes features}.",
            shape=shape,
            wanted=WANTED,
        )
    expected = (
        WANTED
        if ndim == len(AXES)
        else Message("This layer needs {ndim} axes, (batch, timesteps, ...).", ndim=ndim)
    )
    raise InputError("the input is {ndim}-D, {shape}.", expected, ndim=array.ndim, shape=shape)


def _cast(array: Array, dtype: str, remarks: list[Text]) -> Array:
    """Cast the array; a memory-mapped array is cast later, when it is read."""
    import numpy as np

    from rnncli import arrays

    target = np.dtype("float32" if dtype == "bfloat16" else dtype)
    if array.dtype == target:
        return array if arrays.is_mapped(array) else np.ascontiguousarray(array)
    inputs: Any = arrays.CastArray(array, target)
    if not arrays.is_mapped(array):
        inputs = np.ascontiguousarray(inputs)
    pairs = zip(arrays.blocks(inputs), arrays.blocks(array), strict=True)
    lost = sum(np.count_nonzero(np.isinf(cast) & np.isfinite(given)) for cast, given in pairs)
    if lost > 0:
        numbers = Message("1 number is") if lost == 1 else Message("{lost} numbers are", lost=lost)
        remarks.append(
            Message("{numbers} too large for {target}: stored as infinity", numbers=numbers, target=target)
        )
    return inputs  # type: ignore[no-any-return]
