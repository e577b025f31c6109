"""Build a Case from flags and a document.  Flags override the document."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from rnncli import specs
from rnncli.case import Case, Document, Shape, format_shape
from rnncli.cli import layer_files, sources
from rnncli.cli.flag_groups import collect_flags
from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
from rnncli.compute import keras_differences
from rnncli.errors import UsageError, inside
from rnncli.layers.stack import Stack
from rnncli.readers import formats

if TYPE_CHECKING:
    from rnncli.cli.models import ModelLayer
    from rnncli.readers.arrange import ArrangeOptions
    from rnncli.readers.case_builder import CaseOptions
    from rnncli.readers.formats import Source

Remarks = tuple[str, ...]


def case(
    input: InputFlags, layer: LayerFlags, run: RunFlags, *, all_layers: bool = False, all_calls: bool = False
) -> tuple[Case, Remarks]:
    """Build the requested experiment; return it with the remarks about its input."""
    from rnncli.readers import case_builder

    sources.require_one_reader(input, layer, run)
    run.require_model()
    if run.model is not None:
        from rnncli.cli import models

        return models.case(input, layer, run)
    seed = case_builder.draw_seed() if run.seed is None else run.seed
    notes: Remarks = ()
    if input.input_shape is None:
        document, name = sources.read(input)
    else:
        (document, name), notes = _make_input(input, stack_of(layer, Document()), run, seed)
    stack = stack_of(layer, document, name)
    given = collect_options(
        input, run, stack, seed, where=f"{name}: ", all_layers=all_layers, all_calls=all_calls
    )
    supplied = run.weights is not None or document.weights is not None
    require_something_to_fill(layer, run, weights=supplied)
    asked, remarks = case_builder.build(document, stack, given)
    unanswered = () if run.engine == "tensorflow" else keras_differences.note_keras_errors(asked)
    return asked, (
        *notes,
        *remarks,
        *unanswered,
        *note_missing(stack, run, asked),
        *_note_saved_model(run.weights),
    )


def case_or_layer(
    input: InputFlags, layer: LayerFlags, run: RunFlags
) -> tuple[Case, Remarks, ModelLayer | None]:
    """Return what `case` returns, and the layer of --model if that is given."""
    if run.model is None:
        return (*case(input, layer, run), None)
    from rnncli.cli import models

    sources.require_one_reader(input, layer, run)
    chosen, remarks = models.choose_layer(input, layer, run)
    return chosen.case, remarks, chosen


def case_of_address(
    input: InputFlags, layer: LayerFlags, run: RunFlags, text: str
) -> tuple[Case, Remarks, str]:
    """Return what `case` returns for the layer that an address names, and its prefix there, `gru/`."""
    from rnncli.cli import models

    sources.require_one_reader(input, layer, run)
    return models.case_of_address(input, layer, run, text)


def collect_options(
    input: InputFlags, run: RunFlags, stack: Stack, seed: int, *, where: str = "", **shown: bool
) -> CaseOptions:
    """Collect what the flags give, reading their files.  seed: used if neither they nor the input set one."""
    from rnncli.readers.case_builder import CaseOptions, RawValue

    def read(word: str | None, reader: Callable[[Source], Any]) -> RawValue:
        if word is None:
            return RawValue()
        source = sources.find_source(word)
        return RawValue(reader(source), f"{source.name}: ")

    return CaseOptions(
        arranging=_arrange_options(input, stack)._replace(where=where),
        default_seed=seed,
        weights=read(run.weights, formats.read_weights),
        initial_state=read(run.initial_state, formats.read_states),
        seed=run.seed,
        training=run.training,
        calls=run.calls,
        **shown,
    )


def require_something_to_fill(layer: LayerFlags, run: RunFlags, *, weights: bool) -> None:
    """Raise UsageError if an initializer is given but every weight is supplied."""
    idle = next((name for name in collect_flags(layer) if name.endswith("_initializer")), None)
    if weights and idle is not None:
        where = "the input" if run.weights is None else "--weights"
        raise UsageError(
            f"--{idle.replace('_', '-')} has no effect: {where} supplies every weight.",
            "Leave one of them out.",
        )


def _make_input(
    input: InputFlags, stack: Stack, run: RunFlags, seed: int
) -> tuple[tuple[Document, str], Remarks]:
    """Generate the input that --input-shape requests; return it with remarks.

    Raises, before drawing numbers, UsageError if the layers reject the shape, and InputError if memory is
    too small.
    """
    import numpy as np

    from rnncli.compute import checks

    shape, notes = _with_batch(sources.shape_of(input), stack.input_rank)
    sizes = tuple(size for size in shape if isinstance(size, int))
    if run.weights is None and len(sizes) == len(shape) and math.prod(sizes) < 2**40:
        wide = stack.dtype == "float64"
        nothing = np.broadcast_to(np.zeros((), np.float64 if wide else np.float32), sizes)
        checks.require_room(Case(stack, nothing), 1)
    return sources.make_input(input, shape, seed), notes


def _note_saved_model(weights: str | None) -> Remarks:
    """Return a remark for a file that may hold a whole model, because --weights takes only its weights."""
    file = (weights or "").partition("#")[0]
    if not file.lower().endswith((".keras", ".h5", ".hdf5")) or file.lower().endswith(".weights.h5"):
        return ()

    from rnncli.cli import models

    note = models.note_whole_model(file)
    return () if note is None else (note,)


def note_missing(stack: Stack, run: RunFlags, case: Case | None = None, *, stream: bool = False) -> Remarks:
    """Return remarks on what a stateful layer, or several calls, need to have an effect."""
    stateful = stack.is_stateful
    if stateful and run.calls == 1 and not stream:
        return ("stateful has no effect on the first call; add --calls 2 to see the state carry over",)
    started = run.initial_state is not None or (case is not None and case.initial_state is not None)
    if stateful and run.calls > 1 and started and not stream:
        return ("every call restarts from the given initial state; leave it out to carry the state over",)
    training = run.training if case is None else case.training
    drawn = training and stack.draws_in_training
    if run.calls > 1 and not stateful and not drawn:
        every = "both" if run.calls == 2 else f"all {run.calls}"
        return (f"{every} calls return the same numbers: only a stateful layer keeps its state",)
    return ()


class Outline(NamedTuple):
    """The layers, the shape of their input, and the document that was read for them, if any."""

    stack: Stack
    shape: Shape
    remarks: Remarks
    document: Document = Document()
    where: str = ""


def outline(input: InputFlags, layer: LayerFlags) -> Outline:
    """Return the layers and the input shape; an input is read only if needed, and only for its shape."""
    sources.require_one_reader(input, layer)
    document, where = Document(), ""
    if input.input_shape is not None:
        stack = stack_of(layer, document)
        shape, remarks = _with_batch(sources.shape_of(input), stack.input_rank)
    elif sources.is_bare(input) and not collect_flags(input):
        stack = stack_of(layer, document)
        shape, remarks = sources.SAMPLE_SHAPE, (sources.SAMPLE_REMARK,)
    else:
        from rnncli.readers.arrange import arrange

        document, name = sources.read(input)
        where = f"{name}: "
        stack = stack_of(layer, document, name)
        arranged = arrange(document, _arrange_options(input, stack)._replace(where=where))
        shape, remarks = arranged.inputs.shape, arranged.remarks
    return Outline(stack, shape, remarks, document, where)


def shapes(input: InputFlags, layer: LayerFlags) -> tuple[Stack, Shape, Remarks]:
    """Return the layers, the input shape and the remarks of an outline."""
    return outline(input, layer)[:3]


def stack_of(flags: LayerFlags, document: Document, name: str = "") -> Stack:
    """Return the layers, first to last; `name` is the document's name in error messages."""
    texts = [text for word in flags.layer or () for text in _readable(word)]
    options = {name: value for name, value in collect_flags(flags).items() if name != "layer"}
    if not texts and document.layer is not None:
        with inside(f"{name}: " if name else ""):
            specs.from_flags([document.layer], {})
    return specs.from_flags(texts, options, document.layer)


def _readable(word: str) -> list[Any]:
    """Return the layers that a --layer gives; a file named with `@` is validated before flags are applied."""
    texts = layer_files.read_layer(word)
    if word.startswith("@"):
        with inside(f"{word[1:]}: "):
            specs.from_flags(texts, {})
    return texts


def require_steps(run: RunFlags) -> None:
    """Raise UsageError for an engine that does not record steps."""
    if run.engine not in ("auto", "numpy"):
        raise UsageError(
            f"--engine {run.engine}: this engine does not record steps.",
            "Leave --engine out; rnncli trace --check compares a trace with tensorflow.",
        )


def _arrange_options(flags: InputFlags, stack: Stack) -> ArrangeOptions:
    """Return the options of the flags for arranging an input for these layers."""
    from rnncli.readers.arrange import ArrangeOptions

    if flags.pad_value is not None and flags.pad is None:
        raise UsageError("--pad-value needs --pad.", "Add --pad post.")
    source = None if flags.mask is None else sources.find_source(flags.mask)
    return ArrangeOptions(
        axes=None if flags.input_axes is None else tuple(flags.input_axes.split(",")),
        pad=cast("Literal['pre', 'post'] | None", flags.pad),
        pad_value=flags.pad_value or 0.0,
        mask=None if source is None else formats.read_tensor(source),
        mask_value=flags.mask_value,
        dtype=stack.dtype,
        ndim=stack.input_rank,
        mask_where="" if source is None else f"{source.name}: ",
    )


def _with_batch(shape: Shape, rank: int) -> tuple[Shape, Remarks]:
    """Add a batch axis to a shape, as `arrange` does for arrays."""
    if len(shape) == rank:
        return shape, ()
    if len(shape) == rank - 1:
        new = (1, *shape)
        old = f"{format_shape(shape)} -> {format_shape(new)}"
        note = f"added a batch axis: {old}"
        if rank == 3 and 1 not in shape[1:]:
            one = (*shape, 1)
            note += (
                f"; for one feature in {format_shape(one)}, write --input-shape {_format_shape_option(one)}"
            )
        return new, (note,)
    axes = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
    raise UsageError(
        f"--input-shape {format_shape(shape)} has {axes}, but this layer needs {rank}.", _remedy(shape, rank)
    )


def _remedy(shape: Shape, rank: int) -> str:
    """Suggest a shape of the right rank that keeps as many of the sizes as possible."""
    if rank != 3:
        return f"Give {rank} sizes, (batch, timesteps, ..., channels)."
    wanted = "A recurrent layer needs (batch, timesteps, features)"
    if len(shape) == 1:
        steps, features = _format_shape_option((1, *shape, 1)), _format_shape_option((1, 1, *shape))
        return f"{wanted}: {steps} is a series of one feature, {features} one time step."
    return f"{wanted}, such as {_format_shape_option(shape[:3])}."


def _format_shape_option(shape: Shape) -> str:
    return ",".join(map(str, shape))
