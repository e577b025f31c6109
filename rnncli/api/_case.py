"""Build a Case from Python values, as the command line does from flags and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rnncli import specs
from rnncli.api._options import LayerOptions, Options
from rnncli.api._values import (
    array,
    file,
    read_options,
    require_integer,
    require_no_file_options,
    require_pad,
    require_texts,
    sequences,
)
from rnncli.case import HIGHEST_SEED, Case, Document, Shape
from rnncli.cli import case_request, request, result_checks, sources
from rnncli.cli.case_request import CaseRequest, Remarks
from rnncli.cli.files import expand_user
from rnncli.cli.layer_files import MODEL_SUFFIXES, WEIGHT_SUFFIXES, read_config
from rnncli.cli.sources import SAMPLE, SAMPLE_REMARK
from rnncli.errors import InputError, LayerError, Message, Text, UsageError
from rnncli.inputs import arrange, case_builder, formats
from rnncli.inputs import sample_files as builtin
from rnncli.inputs.formats import Source
from rnncli.inputs.source import split_layers
from rnncli.layers.stack import Stack
from rnncli.specs.shapes import parse_shape

if TYPE_CHECKING:
    from rnncli.cli.models import ModelLayer


def build_case(inputs: Any, layer: Any, options: Options, **shown: bool) -> tuple[Case, Remarks]:
    """Return the Case, and remarks about its input.  shown: further fields of the Case, and one_call."""
    return build_or_choose(inputs, layer, options, **shown)[:2]


def build_or_choose(
    inputs: Any, layer: Any, options: Options, **shown: bool
) -> tuple[Case, Remarks, ModelLayer | None]:
    """Return what `build_case` returns, and the layer of a saved model if one is given."""
    if options.get("model") is not None:
        from rnncli.api import _model

        chosen, remarks = _model.read_call(inputs, layer, options).choose_layer()
        return chosen.case, remarks, chosen
    if options.get("assume") is not None:
        raise UsageError("assume needs model.", "Name the file: model='model.pt'.")
    for name, lowest, highest in (("seed", 0, HIGHEST_SEED), ("calls", 1, 2**31)):
        require_integer(name, options.get(name), lowest, highest)
    if shown.get("all_calls") and (options.get("calls") or 1) == 1:
        raise UsageError("all_calls needs calls=N with N greater than 1.", "Add calls=2.")
    return *case_request.build_case(_KeywordRequest(inputs, layer, options, **shown)), None


def build_at_address(inputs: Any, layer: Any, options: Options, text: str) -> tuple[Case, Remarks, str]:
    """Return what `build_case` returns, for the layer of a model that `text` begins with, and its prefix."""
    if options.get("model") is None:
        return *build_case(inputs, layer, options), ""
    from rnncli.api import _model

    chosen, remarks, prefix = _model.read_call(inputs, layer, options).choose_address(text)
    return chosen.case, remarks, prefix


def hold_gates(
    case: Case, hold: str | Sequence[str] | None, options: Options, *, check: bool = False
) -> Case:
    """Return the case with the gates that `hold` names held at their values.

    Raises UsageError for a text that does not fit the layers, another engine, or check.
    """
    require_texts("hold", hold, "For example hold='forget[:, 1]=1@2:'.")
    texts = [hold] if hold and isinstance(hold, str) else hold
    if texts and check:
        result_checks.refuse_check_of_held()
    return request.hold_gates(case, texts, options.get("engine") or "auto")


class _KeywordRequest(CaseRequest):
    """The Case that the arguments of a function describe."""

    def __init__(self, inputs: Any, layer: Any, options: Options, **shown: bool) -> None:
        self._inputs, self._options, self._shown = inputs, options, shown
        self.all_layers, self.one_call = shown.get("all_layers", False), shown.pop("one_call", False)
        self.layers, self.options = layers_of(layer), layer_options(options)
        self.shape = None if options.get("input_shape") is None else shape_of(inputs, options)
        fill, weights = options.get("fill"), options.get("weights")
        self.fill, self.seed = None if fill is None else str(fill), options.get("seed")
        self.weights_file = str(weights) if isinstance(weights, (str, PathLike)) else ""
        self.engine = options.get("engine") or "auto"

    def read(self) -> tuple[Document, str]:
        sources.require_generated(self.fill)
        inputs = self._inputs
        if inputs is None:
            sample = Source(f"inputs: {SAMPLE}", path=sources.sample(SAMPLE).path)
            require_no_file_options(self._options)
            return formats.read(sample)._replace(remarks=(SAMPLE_REMARK,)), "inputs"
        if isinstance(inputs, (str, PathLike)):
            return _read(inputs, self._options), "inputs"
        require_no_file_options(self._options)
        return Document(inputs=sequences(inputs, "inputs")), "inputs"

    def collect_options(self, stack: Stack, seed: int, where: Text) -> case_builder.CaseOptions:
        options = self._options
        return case_builder.CaseOptions(
            arranging=_arrange_options(options, stack)._replace(where=where),
            default_seed=seed,
            weights=_weights(options.get("weights")),
            initial_state=_states(options.get("initial_state")),
            seed=self.seed,
            training=options.get("training"),
            calls=options.get("calls") or 1,
            **self._shown,
        )


def stack_of(layer: Any, options: Options, *, all_layers: bool) -> Stack:
    """Return the layers, first to last."""
    return case_request.make_stack(layers_of(layer), layer_options(options), all_layers=all_layers)


def layer_options(options: Options) -> dict[str, Any]:
    """Return the options of the layers that are given."""
    every = dict(options)
    return {name: every[name] for name in LayerOptions.__annotations__ if every.get(name) is not None}


def replace_layer_options(options: Options, given: Mapping[str, Any]) -> Options:
    """Return the options with these options of the layers, and no others."""
    own = dict.fromkeys(LayerOptions.__annotations__)
    return cast("Options", {**options, **own, **given})


def layers_of(layer: Any) -> list[Any]:
    """Return the layers that the argument names, first to last; those of files are read."""
    several = layer if isinstance(layer, (list, tuple)) else [] if layer is None else [layer]
    return [_read_layer(one) for one in several]


def _read_layer(layer: Any) -> Any:
    """Return the configs in the JSON file after an @; anything else as it is.

    Raises UsageError for the name of another file, with or without the @.
    """
    if not isinstance(layer, str) or "(" in layer:
        return layer
    word, name = layer.removeprefix("@"), split_layers(layer)[0].lower()
    if name.endswith(WEIGHT_SUFFIXES):
        raise UsageError(
            "layer {layer}: it contains weights, not layers.",
            "Name the layer, and load its weights: layer='LSTM(3)', weights={word!r}.",
            layer=layer,
            word=word,
        )
    if name.endswith(MODEL_SUFFIXES):
        raise UsageError(
            "layer {layer}: it is a saved model, not a layer.",
            "Run the model as it was saved: model={word!r}.",
            layer=layer,
            word=word,
        )
    if word == layer:
        if name.endswith(".json"):
            raise UsageError(
                "layer {layer}: it is not a layer.",
                "For a file that contains layers, write layer='@{layer}'.",
                layer=layer,
            )
        return layer
    source = file(word, "layer")
    return read_config(source, source.name)


def shape_of(inputs: Any, options: Options) -> Shape:
    """Return the given input_shape, which cannot be combined with inputs."""
    if inputs is not None:
        advice = _suggest_layer(inputs) or Message("Leave one of them out.")
        raise UsageError("both inputs and an input_shape are given.", advice)
    sources.require_unread(options)
    shape = options.get("input_shape")
    if shape is not None and not isinstance(shape, (str, tuple, list)):
        raise UsageError("input_shape is {shape!r}.", "Give every size: input_shape=(2, 10, 8).", shape=shape)
    return parse_shape(shape if isinstance(shape, str) else ",".join(map(str, shape or ())))


def _read(inputs: str | PathLike[str], options: Options) -> Document:
    """Read a file, or a built-in sample if there is no file of that name."""
    name = str(inputs)
    path = expand_user(name)
    if name in builtin.names() and not path.exists():
        path = builtin.path(builtin.get(name))
    source = Source(f"inputs: {name}", path=path)
    if not name or not path.exists():  # Path("") is the current directory
        advice = Message(
            "Give numbers, the path of a file, or the name of a built-in sample: {samples}.",
            samples=", ".join(builtin.names()),
        )
        raise InputError("inputs: there is no file {name!r}.", _suggest_layer(name) or advice, name=name)
    reading = read_options(options)
    sources.require_csv(reading, source, options.get("input_format"))
    return formats.read(source, options.get("input_format"), reading)


def _suggest_layer(inputs: Any) -> Text:
    """Return how to name a layer, if the inputs are the name or the expression of one; otherwise ""."""
    if not isinstance(inputs, str):
        return ""
    with suppress(LayerError, UsageError):
        specs.from_flags([inputs], {})
        return Message("The input comes first, then the layer: name it with layer={inputs!r}.", inputs=inputs)
    return ""


def _arrange_options(options: Options, stack: Stack) -> arrange.ArrangeOptions:
    pad, axes, mask = require_pad(options), options.get("input_axes"), options.get("mask")
    require_texts("input_axes", axes, "For example input_axes='time,features'.")
    where = ""
    if isinstance(mask, (str, PathLike)):
        where, mask = str(mask), formats.read_tensor(file(mask, "mask"))
    return arrange.ArrangeOptions(
        axes=None if axes is None else tuple(axes.split(",") if isinstance(axes, str) else axes),
        pad=pad,
        pad_value=options.get("pad_value") or 0.0,
        mask=None if mask is None else np.asarray(mask),
        mask_value=options.get("mask_value"),
        dtype=stack.dtype,
        ndim=stack.input_rank,
        mask_where=where,
    )


def _weights(given: Any) -> case_builder.RawValue:
    if isinstance(given, (str, PathLike)):
        from rnncli.models.weights import read_weights

        return case_builder.RawValue(read_weights(file(given, "weights")), str(given))
    if isinstance(given, Mapping):
        given = {path: array(value, path) for path, value in given.items()}
    elif given is not None:
        raise InputError("weights: they have no names.", 'Give {{"kernel": ..., "recurrent_kernel": ...}}.')
    return case_builder.RawValue(given, "weights")


def _states(given: Any) -> case_builder.RawValue:
    if isinstance(given, (str, PathLike)):
        return case_builder.RawValue(formats.read_states(file(given, "initial_state")), str(given))
    if isinstance(given, Mapping):
        given = {name: array(state, "initial_state") for name, state in given.items()}
    elif given is not None:
        if not isinstance(given, (list, tuple, np.ndarray)):
            raise InputError(
                "initial_state is {given!r}.", "Give a list of arrays, (batch, units) each.", given=given
            )
        given = [array(state, "initial_state") for state in given]
    return case_builder.RawValue(given, "initial_state")
