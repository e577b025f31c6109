"""Build a Case from flags and a document.  Flags override the document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from rnncli.ask import INPUT_OPTIONS, Ask
from rnncli.case import Case, Document, Shape
from rnncli.cli import layer_files, sources
from rnncli.cli.case_request import CaseRequest, Remarks, add_batch, build_case, make_stack
from rnncli.compute import engines
from rnncli.compute.keras_differences import note_sequential
from rnncli.errors import Text, UsageError
from rnncli.inputs import formats
from rnncli.layers.stack import Stack

if TYPE_CHECKING:
    from rnncli.cli.models import ModelLayer
    from rnncli.inputs.arrange import ArrangeOptions
    from rnncli.inputs.case_builder import CaseOptions
    from rnncli.inputs.formats import Source


def case(ask: Ask, **fields: Any) -> tuple[Case, Remarks]:
    """Build the requested experiment; return it with the remarks about its input.

    fields: of CaseOptions, such as initial_state, and one_call of CaseRequest; not for --model.
    """
    return case_or_layer(ask, **fields)[:2]


class _FlagRequest(CaseRequest):
    """The Case that the flags describe."""

    def __init__(self, ask: Ask, *, one_call: bool = False, **fields: Any) -> None:
        self.all_layers, self.one_call = ask.all_layers, one_call
        self._ask, self._fields = ask, fields
        self.shape = None if ask.input_shape is None else sources.shape_of(ask)
        self.layers, self.options = _layers_of(ask), ask.options
        self.fill, self.seed, self.engine = ask.fill, ask.seed, ask.engine
        self.weights_file = ask.weights or ""

    def read(self) -> tuple[Document, Text]:
        return sources.read(self._ask)

    def collect_options(self, stack: Stack, seed: int, where: Text) -> CaseOptions:
        return collect_options(self._ask, stack, seed, where=where, **self._fields)


def case_or_layer(ask: Ask, **fields: Any) -> tuple[Case, Remarks, ModelLayer | None]:
    """Return what `case` returns, and the layer of --model if that is given."""
    sources.validate_sources(ask)
    if ask.model is None:
        built, remarks = build_case(_FlagRequest(ask, **fields))
        return hold_gates(built, ask.hold, ask.engine), remarks, None
    from rnncli.cli import models

    chosen, remarks = models.read_call(ask).choose_layer()
    return hold_gates(chosen.case, ask.hold, ask.engine), remarks, chosen


def case_of_address(ask: Ask, text: str) -> tuple[Case, Remarks, str]:
    """Return what `case` returns, for the layer of --model that `text` begins with, and its prefix `gru/`."""
    if ask.model is None:
        return *case(ask), ""
    from rnncli.cli import models

    sources.validate_sources(ask)
    chosen, remarks, prefix = models.read_call(ask).choose_address(text)
    return hold_gates(chosen.case, ask.hold, ask.engine), remarks, prefix


def hold_gates(case: Case, texts: Sequence[str] | None, engine: str) -> Case:
    """Return the case with the gates that --hold names held at their values.

    Raises UsageError for a text that does not fit the layers, or an engine without this ability.
    """
    if not texts:
        return case
    from rnncli.compute import holds

    if engine not in ("auto", engines.STEPWISE):
        raise UsageError(
            "{--hold}: the engine {engine} cannot hold a gate.", "Leave {--engine} out.", engine=engine
        )
    return holds.hold_gates(case, texts)


def collect_options(ask: Ask, stack: Stack, seed: int, *, where: Text = "", **fields: Any) -> CaseOptions:
    """Collect what the flags give, reading their files, and further fields.

    seed: used if neither they nor the input set one.
    """
    from rnncli.inputs.case_builder import CaseOptions, RawValue

    def read_weights(source: Source) -> Any:
        from rnncli.models import weights

        return weights.read_weights(source)

    def read(word: str | None, reader: Callable[[Source], Any]) -> RawValue:
        if word is None:
            return RawValue()
        source = sources.find_source(word)
        return RawValue(reader(source), source.name)

    return CaseOptions(
        arranging=_arrange_options(ask, stack)._replace(where=where),
        default_seed=seed,
        weights=read(ask.weights, read_weights),
        initial_state=read(ask.initial_state, formats.read_states),
        seed=ask.seed,
        training=ask.training,
        calls=ask.calls,
        all_layers=ask.all_layers,
        all_calls=ask.all_calls,
    )._replace(**fields)


class Outline(NamedTuple):
    """The layers, the shape of their input, and the document that was read for them, if any."""

    stack: Stack
    shape: Shape
    remarks: Remarks
    document: Document = Document()
    where: Text = ""


def outline(ask: Ask) -> Outline:
    """Return the layers and the input shape; an input is read only if needed, and only for its shape."""
    sources.validate_sources(ask)
    document = Document()
    where: Text = ""
    if ask.input_shape is not None:
        stack = stack_of(ask)
        shape, remarks = add_batch(sources.shape_of(ask), stack.input_rank)
    elif sources.is_bare(ask) and not ask.given(*INPUT_OPTIONS):
        stack = stack_of(ask)
        shape, remarks = sources.SAMPLE_SHAPE, (sources.SAMPLE_REMARK,)
    else:
        from rnncli.inputs.arrange import arrange

        document, where = sources.read(ask)
        stack = stack_of(ask, document, where)
        arranged = arrange(document, _arrange_options(ask, stack)._replace(where=where))
        shape, remarks = arranged.inputs.shape, arranged.remarks
    return Outline(stack, shape, (*remarks, *note_sequential(stack)), document, where)


def stack_of(ask: Ask, document: Document | None = None, name: Text = "") -> Stack:
    """Return the layers, first to last; `name` is the document's name in error messages."""
    return make_stack(_layers_of(ask), ask.options, document, name, all_layers=ask.all_layers)


def _layers_of(ask: Ask) -> list[Any]:
    return [layer for word in ask.layer or () for layer in layer_files.read_layer(word)]


def require_steps(ask: Ask) -> None:
    """Raise UsageError for an engine that does not record steps."""
    if ask.engine not in ("auto", engines.STEPWISE):
        raise UsageError(
            "{--engine:engine}: this engine does not record steps.",
            "Leave {--engine} out; rnncli trace --check compares a trace with tensorflow.",
            engine=ask.engine,
        )


def _arrange_options(ask: Ask, stack: Stack) -> ArrangeOptions:
    """Return the options of the flags for arranging an input for these layers."""
    from rnncli.inputs.arrange import ArrangeOptions

    source = None if ask.mask is None else sources.find_source(ask.mask)
    return ArrangeOptions(
        axes=None if ask.input_axes is None else tuple(ask.input_axes.split(",")),
        pad=cast("Literal['pre', 'post'] | None", ask.pad),
        pad_value=ask.pad_value or 0.0,
        mask=None if source is None else formats.read_tensor(source),
        mask_value=ask.mask_value,
        dtype=stack.dtype,
        ndim=stack.input_rank,
        mask_where="" if source is None else source.name,
    )
