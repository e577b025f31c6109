"""A saved model with its inputs: the Cases of the recurrent layers that `--model FILE[#names]` chooses."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli import addresses, compute, models
from rnncli.addresses import label_in_model
from rnncli.errors import InputError, LayerError, Message, Text, UsageError, count, format_names, inside, join
from rnncli.inputs import arrange
from rnncli.inputs.arrange import ArrangeOptions
from rnncli.inputs.generated import concrete_sizes, make_input
from rnncli.inputs.source import Source, split_layers
from rnncli.layers.case import Case
from rnncli.models import Compute, LayerUse, ModelRequest, ModelRun, SavedModel
from rnncli.models.graph import ModelInput, model_option
from rnncli.models.inputs import dtype_name, empty_input, is_batch
from rnncli.result import ModelHead, NamedTensor, Result, join_layers
from rnncli.values import Array, Document, RawValue, Shape, format_shape, name_sequences

if TYPE_CHECKING:
    from rnncli.compute.compare import Tolerance


HALF_A_DIGIT = 2.0**-11
"""By how much of itself a number may change when it is rounded to float16."""
BATCH, FREE = 1, 5
"""Sizes of axes that take any size: of the batch, and of all others."""


def with_returns(case: Case, returns: Mapping[str, bool]) -> Case:
    """Return the case with these values of return_sequences or return_state in its last layer."""
    if not returns or case.stack[-1].class_name == "TimeDistributed":
        return case
    return case._replace(stack=case.stack.with_returns(**returns))


class Computing:
    """Computes each call of a layer once, with all that the model and the answer want of it.

    returns: what the answer wants, see `with_returns`.
    """

    def __init__(self, engine: str, returns: Mapping[str, bool]) -> None:
        self.engine, self.returns = engine, returns
        self.done: list[tuple[Case, Result]] = []

    def __call__(self, case: Case) -> Result:
        """Return what the layer returns."""
        wide = with_returns(case, self.returns)
        if wide is case:
            return compute.run(case, self.engine)
        result = next((result for known, result in self.done if self._is_same(known, wide)), None)
        if result is None:
            result = compute.run(wide, self.engine)
            self.done.append((wide, result))
        return compute.take_outputs(result, case) or compute.run(case, self.engine)

    @staticmethod
    def _is_same(case: Case, other: Case) -> bool:
        arrays = ("inputs", "mask", "initial_state", "weights")
        same = all(getattr(case, name) is getattr(other, name) for name in arrays)
        return same and case.stack == other.stack


def open_model(
    word: str, source: Source, assume: str | Mapping[str, Any] | None = None, *, to_run: bool = True
) -> SavedModel:
    """Read the model that --model names.  Raises InputError for another file, UsageError for a wrong layer.

    to_run: whether its layers are run; else a model without recurrent layers, or without a graph that can be
        followed, is no error, and neither is a name of another layer.
    word: the value of --model, `model.keras#lstm,gru`.  source: the file in front of the #.
    assume: assumptions about a file without a graph, `activation=relu,encoder=enc_*`, or a mapping.
    """
    file, names = split_layers(word)
    if file != word and not any(names):
        what = "{--model:word}: there is no layer name after the #."
        raise UsageError(what, "For all layers: {--model:file}", word=word, file=shlex.quote(file))
    chosen = [name for name in names if name]
    if assume is None:
        model = models.open(source, chosen, or_layers=not to_run)
    else:
        from rnncli.models.weight_files import assumptions

        options = assumptions.parse(assume)
        known = assumptions.OPTIONS
        globs = {name: glob for name, glob in options.items() if name not in known and "*" in glob}
        model = models.open(source, chosen, or_layers=not to_run, layers=globs)
    layers, others = model.split_names()
    if to_run and (layers or not others):
        model.choose(layers)
    return model if assume is None else model.assume(options)


def note_whole_model(source: Source) -> Text | None:
    """Return a note that --model runs the layers of a file, or some of them; None if it runs none."""
    from rnncli.models.keras import reader
    from rnncli.models.keras.choice import runnable_layers

    graph, file = reader.read_graph_alone(source), str(source.name)
    names = [] if graph is None else runnable_layers(graph)
    if graph is None or not names:
        return None
    if len(names) == len(graph.recurrent_nodes):
        text = "only the weights of {file} are used; {--model:path} runs the layers of the file"
        return Message(text, file=file, path=shlex.quote(file))
    option = model_option(file, names)
    text = "only the weights of {file} are used; {option} runs only {names}"
    return Message(text, file=file, option=option, names=format_names(names))


def arrange_inputs(
    model: SavedModel, document: Document, options: ArrangeOptions, where: Text, states: RawValue
) -> ModelRequest:
    """Return what the model is given: the inputs, padded and reordered, the mask and the initial states.

    document: with the inputs of the model, by name if there are several.
    where: the name of the inputs' source in errors.  states: as they are given.
    """
    import numpy as np

    with inside(where):
        raw, real = _pad_inputs(document.inputs, options, masks=model.takes_masks)
    document = document._replace(inputs=raw)
    if options.axes is not None:
        reason = model.refuse_axes()
        if isinstance(raw, Mapping):
            reason = Message("an input with a name must have the axes in the order that the model expects")
        if reason:
            what, advice = "{--input-axes}: {reason}.", "Leave it out, and give {inputs}."
            raise UsageError(what, advice, reason=reason, inputs=model.describe_inputs())
        document = arrange.reorder_axes(document, options.axes)
        raw = document.inputs
    inputs = model.fit_inputs(raw)
    request = ModelRequest(inputs, compute.run)
    if model.takes_masks:
        (array,) = inputs.values()
        (given,) = raw.values() if isinstance(raw, Mapping) else (raw,)
        has_batch = np.ndim(given) == array.ndim
        order = model.axis_order if options.order is not None and has_batch else None
        mask = arrange.combine_masks(array, next(iter(real.values()), None), options._replace(order=order))
        assumed = model.axis_order if options.axes is None else None
        request = request._replace(mask=mask, states=states, order=assumed, has_batch=has_batch)
    remarks = list(document.remarks)
    for name, array in inputs.items():
        shape = np.shape(raw.get(name, array) if isinstance(raw, Mapping) else raw)
        if len(shape) < array.ndim:
            place = f"{name}: " if len(inputs) > 1 else ""
            change = f"{format_shape(shape)} -> {format_shape(array.shape)}"
            added = "{place}added a batch axis: {change}"
            if array.shape[: len(shape)] == shape and array.shape[-1] == 1 != len(array):
                added = "{place}added a last axis: {change}"
            remarks.append(Message(added, place=place, change=change))
    remarks += arrange.note_nan(inputs)
    real = {name or next(iter(inputs)): steps for name, steps in real.items()}
    return request._replace(remarks=tuple(remarks), real=real, sequence_names=document.sequence_names)


def _pad_inputs(raw: Any, options: ArrangeOptions, *, masks: bool) -> tuple[Any, dict[str, Array]]:
    """Pad the inputs whose sequences differ in length.

    masks: whether the padding is masked, also if the model itself makes no mask.
    Returns all inputs; and for each padded input the steps that are not padding, by name, "" without a name.
    """
    padded = dict(raw) if isinstance(raw, dict) else {"": raw}
    real: dict[str, Array] = {}
    for name, sequences in padded.items():
        if isinstance(sequences, tuple):
            with inside(name):
                padded[name], real[name] = _pad_sequences(sequences, options, masks=masks)
    return padded if isinstance(raw, dict) else padded[""], real


def _pad_sequences(raw: tuple[Array, ...], options: ArrangeOptions, *, masks: bool) -> tuple[Array, Array]:
    """Return sequences of different lengths in one array, and the mask of the padding; see `arrange.pad`.

    Raises InputError if --pad is not given.
    """
    if options.pad is None:
        first = next(index for index, sequence in enumerate(raw) if len(sequence) != len(raw[0]))
        raise InputError(
            "sequences differ in length: [0] has {length}, [{first}] has {other}.",
            "Pad and mask the shorter ones with {--pad post}."
            if masks
            else "Pad the shorter ones with {--pad post}; they are masked only if the model itself does so.",
            length=len(raw[0]),
            first=first,
            other=len(raw[first]),
        )
    return arrange.pad(raw, options.pad, options.pad_value)


def require_paddable(model: SavedModel, options: ArrangeOptions) -> None:
    """Raise UsageError for --pad if nothing in the model would mask the padding, or with --input-axes."""
    if options.pad is not None and options.axes is not None:
        raise UsageError(
            "{--pad} takes sequences that are already (batch, time, features).", "Leave {--input-axes} out."
        )
    order = model.axis_order
    if options.pad is not None and order is not None and not order.batch_first:
        advice = "Leave batch_first=false out of {--assume}."
        raise UsageError("{--pad} takes sequences that are already (batch, time, features).", advice)
    if options.pad is not None and not (model.makes_masks or model.takes_masks):
        what = "{--pad}: {file} has no mask, so the padding would be computed as data."
        raise UsageError(what, "Give sequences of the same length.", file=model.file)


def run(
    model: SavedModel, request: ModelRequest, compute: Compute = compute.run, *, everything: bool = False
) -> ModelRun:
    """Return the Case of each chosen recurrent layer, with notes on the inputs, the file and the run."""
    layers, others = model.split_names()
    model_run = model.run(
        request._replace(compute=compute, layers=layers, others=others, everything=everything)
    )
    parts = model_run.parts
    if names := request.sequence_names:  # of this batch; that of a layer may be another one
        parts = tuple(
            use._replace(case=use.case._replace(names=name_sequences(names, len(use.case.inputs))))
            for use in parts
        )
    shown = {name.rpartition("/")[0] for name in model_run.other_outputs}
    if missing := [name for name in others if name not in shown]:
        what = "{file}: {names} returns no numbers that can be shown."
        raise LayerError(what, "To see what can: {--all-layers:on}", file=model.file, names=missing[0])
    notes = (join((model.file, note), ": ") for note in (*model.notes, *model_run.notes))
    return replace(model_run, parts=parts, notes=(*request.remarks, *notes))


def choose_parts(
    model: SavedModel, request: ModelRequest, address: str = "", *, alone: bool = False, hold: bool = False
) -> tuple[ModelRun, str]:
    """Return the chosen recurrent layers, in the order of the model, and the prefix `gru/`.

    address: `gru/last_hidden_state[0,3]` chooses the layer that it begins with; the prefix is else "".
    alone, hold: whether the command, or --hold, takes one layer only.
    Raises LayerError if no layer has steps, InputError if one has no sequences to show.
    """
    if name := addresses.layer_in_model(address, model.layer_names()) if address else "":
        return choose_parts(model.with_names((name,)), request)[0], f"{name}/"
    names = model.choose(model.names)
    if len(model.names) == 1 and model.names[0] in names:
        names = model.names  # `lstm` alone is the first use of a shared layer, not also lstm@1
    if len(names) > 1 and (alone or hold):
        raise UsageError(
            "{--model:file}: this command takes one recurrent layer, but the model has several: {names}."
            if alone
            else "{--hold} holds a gate of one recurrent layer, but {file} has several: {names}.",
            "Name one: {--model:value}",
            file=model.file,
            names=", ".join(names),
            value=shlex.quote(f"{model.file}#{names[0]}"),
        )
    # --engine is for a layer alone, which the command computes; `auto` computes the layers before it.
    model_run = run(model if len(names) > 1 else model.with_names(names), request)
    if not model_run.parts:
        what = "{layer} has no steps to show: its framework computed it as a whole."
        raise LayerError(what, "rnncli run shows what it returns.", layer=names[0])
    for part in model_run.parts:
        if not len(part.case.inputs):
            raise empty_input(part.layer)
    if len(names) == 1:
        part = next((part for part in model_run.parts if part.layer == names[0]), model_run.parts[0])
        text = "{file}: this is the layer {layer}, with the inputs and weights that it has in the model"
        note = Message(text, file=model.file, layer=part.layer)
        model_run = replace(model_run, parts=(part,), notes=(*model_run.notes, note))
    empty = (
        Message(
            "{file}: {layer}: in a sequence of length 0 the state is 0, whatever the initial state: so "
            "ONNX Runtime computes it, and the text of the operator does not say.",
            file=model.file,
            layer=part.layer,
        )
        for part in model_run.parts
        if model.zeroes_empty and part.case.initial_state is not None
        if part.case.mask is not None and not part.case.mask.any(axis=1).all()
    )
    return replace(model_run, notes=(*model_run.notes, *empty)), ""


def head_of(
    model: SavedModel, request: ModelRequest, uses: Iterable[LayerUse], masks: tuple[str, ...]
) -> ModelHead:
    """Return what the head of an answer says.  masks: see ModelHead."""
    shapes = {name: (tuple(array.shape), dtype_name(array)) for name, array in request.inputs.items()}
    layers = {use.layer: use.case.stack[-1] for use in uses}
    return ModelHead(model.file, model.origin, shapes, layers, masks, model.zeroes_empty)


def compare_with_framework(
    model: SavedModel,
    request: ModelRequest,
    uses: Sequence[LayerUse],
    result: Result,
    atol: Tolerance,
    rtol: Tolerance,
) -> Result:
    """Return the result with its differences from the framework.

    Raises EngineError if the framework is not installed or cannot run the model.
    """
    from rnncli.compute import compare

    if request.windowed and len(next(iter(request.inputs.values()))) > 1:
        advice = "Leave {--check} out, or give one window."
        raise UsageError("{--check} calls the model once, and it takes one window at a time.", advice)
    theirs = model.outputs(request, uses)
    prefix = "" if result.model else f"{uses[0].layer}/"
    outputs = tuple(tensor._replace(values=theirs[f"{prefix}{tensor.name}"]) for tensor in result.outputs)
    allowed = {
        tensor.name: compare.tolerance_of(rtol, tensor.name) + HALF_A_DIGIT
        for tensor, exact in zip(result.outputs, outputs, strict=True)
        if tensor.values.dtype == "float16" and exact.values.dtype == "float32"
    }
    rtol = {**(rtol if isinstance(rtol, Mapping) else {"": rtol}), **allowed}
    checked = replace(result, reference=model.framework)
    return compare.compare_results(checked, replace(result, outputs=outputs), atol, rtol)


def compute_tensors(
    model: SavedModel, request: ModelRequest, engine: str, *, everything: bool
) -> tuple[Result, ModelRun]:
    """Compute what every chosen recurrent layer returns; return its tensors, `gru/hidden_state`, and the run.

    everything: include all other layers.
    """
    computing = Computing(engine, request.returns)
    model_run = run(model, request, computing, everything=everything)
    results: dict[str, Result] = {}
    uses = []
    for part in model_run.parts:
        use = part.shown(with_returns(part.case, request.returns))
        result = part.result if part.result and use.case is part.case else computing(use.case)
        if part.rounds_to:
            outputs = (
                tensor._replace(values=tensor.values.astype(part.rounds_to)) for tensor in result.outputs
            )
            result = replace(result, outputs=tuple(outputs))
        results[part.layer] = result
        uses.append(use)
    joined = join_layers(results, head_of(model, request, uses, model_run.masks))
    ordered = order_tensors(
        joined.outputs,
        model_run.other_outputs,
        model_run.order,
        request.sequence_names,
        batch_first=model.makes_masks,  # a graph of Keras
    )
    joined = replace(joined, engines=joined.engines or (model_run.engine,), outputs=ordered)
    return joined, replace(model_run, parts=tuple(uses))


def order_tensors(
    tensors: Iterable[NamedTensor],
    others: Mapping[str, Array],
    layers: Iterable[str],
    sequence_names: tuple[str, ...],
    *,
    batch_first: bool,
) -> tuple[NamedTensor, ...]:
    """Return the tensors of recurrent layers, and the others by `dense/output`, in the order of the layers.

    Tensors of no layer come last.  sequence_names: of the sequences in the batch.
    batch_first: see `plain_tensor`.
    """
    places: dict[object, int] = {name: index for index, name in enumerate(layers)}
    plain = (plain_tensor(name, array, batch_first=batch_first) for name, array in others.items())
    named = (
        tensor._replace(names=name_sequences(sequence_names, len(tensor.values) if tensor.values.ndim else 0))
        for tensor in (*tensors, *plain)
    )
    return tuple(sorted(named, key=lambda tensor: places.get(tensor.label.layer, len(places))))


def plain_tensor(name: str, array: Array, *, batch_first: bool) -> NamedTensor:
    """Return a tensor of a layer that is not recurrent; the names of its axes depend on their number.

    batch_first: whether the framework always has the batch first, as Keras.  Otherwise three axes may also be
        those of PyTorch's h_n, (layers, batch, units), and are a guess.
    """
    axes: tuple[str, ...] = ("batch", *(f"axis_{index}" for index in range(1, array.ndim - 1)), "units")
    if array.ndim <= 3:
        axes = ("batch", "timesteps", "units")[: array.ndim] if array.ndim != 2 else ("batch", "units")
    label = label_in_model(name)
    return NamedTensor(label, axes, array, has_guessed_axes=not (batch_first or label.sequence))


def generate_inputs(
    model: SavedModel, shape: Shape | None, fill: str | None, seed: int
) -> tuple[dict[str, Array], Text]:
    """Return the inputs by name, and a remark that describes them.

    shape: of the only input; None: every size that the model leaves open is `BATCH` or `FREE`.
    Raises UsageError for inputs that cannot be generated.
    """
    model_inputs, vocabularies = model.required_inputs(), model.vocabularies()
    if shape is not None and len(model_inputs) != 1:
        raise UsageError(
            "{--input-shape} is for one input, and {file} has {inputs}.",
            "Leave it out, or give a file: the model expects {expected}.",
            file=model.file,
            inputs=count(len(model_inputs), "input"),
            expected=model.describe_inputs(),
        )
    arrays: dict[str, Array] = {}
    texts: list[Text] = []
    for index, given in enumerate(model_inputs):
        sizes = _choose_sizes(given) if shape is None else concrete_sizes(shape)
        ids = vocabularies.get(given.name)
        array = _fill_input(sizes, fill or "normal", seed + index, given.dtype, ids)
        arrays[given.name] = array
        what = f"{given.name} {format_shape(sizes)} {given.dtype}"
        texts.append(what if ids is None else Message("{what}, token ids below {ids}", what=what, ids=ids))
    note = Message(
        "the input is generated: {inputs}; {--seed:seed} repeats it", inputs=join(texts, "; "), seed=seed
    )
    return arrays, note


def _choose_sizes(model_input: ModelInput) -> tuple[int, ...]:
    shape = model_input.shape
    if shape is None:
        what = "{name}: the model takes any shape, so no input can be generated."
        raise UsageError(what, "Give the input, or its shape: {--input-shape 1,5,8}.", name=model_input.name)
    if model_input.dtype in ("", "string"):
        what = "{name}: the model takes values that are not numbers, such as text, and none are generated."
        raise UsageError(what, "Give the input.", name=model_input.name)
    batch = next((axis for axis, size in enumerate(shape) if isinstance(size, str) and is_batch(size)), 0)
    free = (BATCH if axis == batch else FREE for axis in range(len(shape)))
    return tuple(size if isinstance(size, int) else other for size, other in zip(shape, free, strict=True))


def _fill_input(sizes: Sequence[int], fill: str, seed: int, dtype: str, ids: int | None) -> Array:
    """Return numbers; of token ids, all but 0 are drawn, which may mean padding; other integers are 1."""
    import numpy as np

    shape = tuple(sizes)
    if np.dtype(dtype).kind == "f":
        return make_input(shape, fill, seed, dtype)
    numbers = make_input(shape, fill, seed, "float64")
    if ids is not None and fill in ("normal", "uniform"):
        return np.random.default_rng(seed).integers(min(1, ids - 1), ids, shape).astype(dtype)
    if ids is not None and fill == "arange":
        return (np.arange(numbers.size).reshape(shape) % ids).astype(dtype)
    return (np.zeros if fill == "zeros" else np.ones)(shape, dtype)
