"""Where the weights come from: a file, or a --layer."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from rnncli.ask import INPUT_OPTIONS, RUN_OPTIONS, Ask, Remarks, subject_of
from rnncli.ask.described import read_given
from rnncli.ask.live_object import LiveObject
from rnncli.commands.weights import contents
from rnncli.commands.weights.contents import Contents
from rnncli.errors import Flag, Message, UsageError
from rnncli.inputs.source import MODEL_SUFFIXES, find_source, split_layers
from rnncli.options import flag_name
from rnncli.values import Shape, Spec, format_shape, known_sizes

DESCRIBING = ("seed", "weights")
"""Flags of a run that define a layer."""


class DescribedLayers(NamedTuple):
    """Layers that the flags define.  seed: the seed of drawn weights; None if the weights are supplied."""

    specs: tuple[Spec, ...]
    input_shape: Shape
    seed: int | None


class Weights(NamedTuple):
    """Weights that were read or drawn.  description: the layers that the flags define; None for a file."""

    contents: Contents
    remarks: Remarks
    description: DescribedLayers | None = None


def require_plain(ask: Ask) -> None:
    """Raise UsageError for a flag of a run that changes no weight."""
    for name, value in ask.given(*RUN_OPTIONS).items():
        if name not in (*DESCRIBING, "model", "at"):
            flag = Flag(flag_name(name, value))
            raise UsageError("{flag} does not change the weights.", "Leave {flag} out.", flag=flag)


def read(ask: Ask) -> Weights:
    """Read the file, or make the weights of the layers."""
    if is_described(ask):
        return _describe_layers(ask)
    from rnncli.models import reading as models
    from rnncli.models import weights
    from rnncli.models.weight_files import recognize

    if isinstance(ask.model, LiveObject):
        whole = contents.describe_object(ask.model.title, ask.model.weights())
        return Weights(contents.select_layers(whole, () if ask.at is None else (ask.at,)), ())
    if isinstance(ask.input, (Mapping, list)):
        arrays = ask.input if isinstance(ask.input, Mapping) else weights.name_in_order(ask.input)
        whole = contents.describe_file(recognize.find_modules("weights", arrays))
        return Weights(whole, whole.notes)
    path, names = split_layers(_file(ask))
    whole = contents.describe_file(models.read(find_source(path), or_layers=True))
    return Weights(contents.select_layers(whole, tuple(filter(None, names))), whole.notes)


def is_described(ask: Ask) -> bool:
    """Return whether the flags define the layers, so that INPUT is not a file of weights."""
    return bool(ask.options or ask.given("layer", "input_shape", *DESCRIBING))


def _file(ask: Ask) -> str:
    for name, value in ask.given(*INPUT_OPTIONS[1:]).items():  # all but INPUT itself
        what = "{flag} applies to the input of a layer, not to a file of weights."
        raise UsageError(
            what, "Leave it out, or name a layer with {--layer}.", flag=Flag(flag_name(name, value))
        )
    words = [word for word in (ask.input, ask.model) if word is not None]
    if len(words) == 1:
        return str(words[0])
    if words:
        what = "both {word} and {--model:model} are given."
        raise UsageError(what, "Name one file.", word=words[0], model=words[1])
    advice = "Name a file, rnncli weights model.keras, or a layer, rnncli weights --layer 'LSTM(3)'."
    raise UsageError("weights needs a file or a layer.", advice)


def _describe_layers(ask: Ask) -> Weights:
    import numpy as np

    from rnncli import compute
    from rnncli.inputs.arrange import Arrangement

    if ask.model is not None:
        raise UsageError(
            "{--model} cannot be combined with flags that define a layer: it has its own layers and weights.",
            "Leave out {--model}, or the flags of the layer.",
        )
    word = "" if ask.holds_numbers else str(ask.input or "")
    path = split_layers(word)[0]
    if path.casefold().endswith(MODEL_SUFFIXES):
        names = [*ask.given("layer"), *ask.options, *ask.given(*DESCRIBING)]
        flag = flag_name(names[0]) if names else "--input-shape"
        advice = "Leave out {flag}; or load the weights into that layer: {--weights:path}"
        if flag == "--weights" or flag.endswith("-initializer"):  # which cannot be combined with --weights
            advice = "Leave out {flag}."
        what = "{word} is a saved model, but {flag} defines a different layer."
        way = Message(advice, flag=Flag(flag), path=shlex.quote(path))
        raise UsageError(what, way, word=word, flag=Flag(flag))
    outline = subject_of(ask).outline()
    stack, shape = outline.stack, outline.shape
    filled = (1 if axis < 2 and not isinstance(size, int) else size for axis, size in enumerate(shape))
    sizes = known_sizes(tuple(filled))
    if sizes is None:
        what = "{--input-shape:shape}: the weights depend on the features, which are unknown."
        advice = "Give the last size as a number, such as batch,None,8."
        raise UsageError(what, advice, shape=format_shape(shape))
    document = outline.document._replace(initial_state=None)
    given = read_given(ask, stack, document, outline.where)
    inputs = np.broadcast_to(np.zeros((), "float64" if stack.dtype == "float64" else "float32"), sizes)
    case = given.case(Arrangement(inputs))
    compute.require_room(case, 1)
    weights, _ = compute.weights_and_seeds(case, stack, "numpy")
    seed = case.seed if case.weights is None else None
    description = DescribedLayers(case.stack, shape, seed)
    return Weights(contents.describe_case(case, weights), outline.remarks, description)
