"""Build a Case from flags and a document.  Flags override the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from rnncli.case import Case, Document, Shape
from rnncli.cli import layer_files, sources
from rnncli.cli.case_request import CaseRequest, Remarks, add_batch, build_case, make_stack
from rnncli.cli.flag_groups import collect_flags
from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
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


def case(input_flags: InputFlags, layer: LayerFlags, run: RunFlags, **fields: Any) -> tuple[Case, Remarks]:
    """Build the requested experiment; return it with the remarks about its input.

    fields: of CaseOptions, such as all_layers, and one_call of CaseRequest; not for --model.
    """
    return case_or_layer(input_flags, layer, run, **fields)[:2]


class _FlagRequest(CaseRequest):
    """The Case that the flags describe."""

    def __init__(
        self,
        input_flags: InputFlags,
        layer: LayerFlags,
        run: RunFlags,
        *,
        one_call: bool = False,
        **fields: Any,
    ) -> None:
        self.all_layers, self.one_call = fields.get("all_layers", False), one_call
        self._input, self._run, self._fields = input_flags, run, fields
        self.shape = None if input_flags.input_shape is None else sources.shape_of(input_flags)
        self.layers, self.options = _layers_of(layer), options_of(layer)
        self.fill, self.seed, self.engine = input_flags.fill, run.seed, run.engine
        self.weights_file = run.weights or ""

    def read(self) -> tuple[Document, Text]:
        return sources.read(self._input)

    def collect_options(self, stack: Stack, seed: int, where: Text) -> CaseOptions:
        return collect_options(self._input, self._run, stack, seed, where=where, **self._fields)


def case_or_layer(
    input_flags: InputFlags, layer: LayerFlags, run: RunFlags, **fields: Any
) -> tuple[Case, Remarks, ModelLayer | None]:
    """Return what `case` returns, and the layer of --model if that is given."""
    sources.validate_sources(input_flags, layer, run)
    if run.model is None:
        return *build_case(_FlagRequest(input_flags, layer, run, **fields)), None
    from rnncli.cli import models

    chosen, remarks = models.read_call(input_flags, layer, run).choose_layer()
    return chosen.case, remarks, chosen


def case_of_address(
    input_flags: InputFlags, layer: LayerFlags, run: RunFlags, text: str
) -> tuple[Case, Remarks, str]:
    """Return what `case` returns, for the layer of --model that `text` begins with, and its prefix `gru/`."""
    if run.model is None:
        return *case(input_flags, layer, run), ""
    from rnncli.cli import models

    sources.validate_sources(input_flags, layer, run)
    chosen, remarks, prefix = models.read_call(input_flags, layer, run).choose_address(text)
    return chosen.case, remarks, prefix


def collect_options(
    input_flags: InputFlags, run: RunFlags, stack: Stack, seed: int, *, where: Text = "", **fields: Any
) -> CaseOptions:
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
        arranging=_arrange_options(input_flags, stack)._replace(where=where),
        default_seed=seed,
        weights=read(run.weights, read_weights),
        initial_state=read(run.initial_state, formats.read_states),
        seed=run.seed,
        training=run.training,
        calls=run.calls,
    )._replace(**fields)


class Outline(NamedTuple):
    """The layers, the shape of their input, and the document that was read for them, if any."""

    stack: Stack
    shape: Shape
    remarks: Remarks
    document: Document = Document()
    where: Text = ""


def outline(input_flags: InputFlags, layer: LayerFlags, *, all_layers: bool = False) -> Outline:
    """Return the layers and the input shape; an input is read only if needed, and only for its shape."""
    sources.validate_sources(input_flags, layer)
    document = Document()
    where: Text = ""
    if input_flags.input_shape is not None:
        stack = stack_of(layer, all_layers=all_layers)
        shape, remarks = add_batch(sources.shape_of(input_flags), stack.input_rank)
    elif sources.is_bare(input_flags) and not collect_flags(input_flags):
        stack = stack_of(layer, all_layers=all_layers)
        shape, remarks = sources.SAMPLE_SHAPE, (sources.SAMPLE_REMARK,)
    else:
        from rnncli.inputs.arrange import arrange

        document, where = sources.read(input_flags)
        stack = stack_of(layer, document, where, all_layers=all_layers)
        arranged = arrange(document, _arrange_options(input_flags, stack)._replace(where=where))
        shape, remarks = arranged.inputs.shape, arranged.remarks
    return Outline(stack, shape, (*remarks, *note_sequential(stack)), document, where)


def stack_of(
    flags: LayerFlags, document: Document | None = None, name: Text = "", *, all_layers: bool = False
) -> Stack:
    """Return the layers, first to last; `name` is the document's name in error messages."""
    return make_stack(_layers_of(flags), options_of(flags), document, name, all_layers=all_layers)


def _layers_of(flags: LayerFlags) -> list[Any]:
    return [layer for word in flags.layer or () for layer in layer_files.read_layer(word)]


def options_of(flags: LayerFlags) -> dict[str, Any]:
    """Return the given options of the layers, by Keras's names."""
    return {name: value for name, value in collect_flags(flags).items() if name != "layer"}


def require_steps(run: RunFlags) -> None:
    """Raise UsageError for an engine that does not record steps."""
    if run.engine not in ("auto", engines.STEPWISE):
        raise UsageError(
            "{--engine:engine}: this engine does not record steps.",
            "Leave {--engine} out; rnncli trace --check compares a trace with tensorflow.",
            engine=run.engine,
        )


def _arrange_options(flags: InputFlags, stack: Stack) -> ArrangeOptions:
    """Return the options of the flags for arranging an input for these layers."""
    from rnncli.inputs.arrange import ArrangeOptions

    source = None if flags.mask is None else sources.find_source(flags.mask)
    return ArrangeOptions(
        axes=None if flags.input_axes is None else tuple(flags.input_axes.split(",")),
        pad=cast("Literal['pre', 'post'] | None", flags.pad),
        pad_value=flags.pad_value or 0.0,
        mask=None if source is None else formats.read_tensor(source),
        mask_value=flags.mask_value,
        dtype=stack.dtype,
        ndim=stack.input_rank,
        mask_where="" if source is None else source.name,
    )
