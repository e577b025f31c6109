"""A saved model with its inputs: the Cases of the recurrent layers that `--model FILE[#names]` chooses."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli import addresses, compute, models
from rnncli.addresses import label_in_model
from rnncli.case import Array, RawValue, Spec, format_shape
from rnncli.errors import InputError, LayerError, Message, Text, UsageError, format_names, inside, join
from rnncli.inputs import arrange
from rnncli.inputs.arrange import ArrangeOptions
from rnncli.inputs.source import Source, split_layers
from rnncli.layers.case import Case
from rnncli.models import CasePair, Compute, GivenBeside, LayerUse, ModelRequest, ModelRun, SavedModel
from rnncli.models.graph import model_option
from rnncli.models.inputs import dtype_name, empty_input
from rnncli.result import ModelHead, NamedTensor, Result, join_layers

if TYPE_CHECKING:
    from rnncli.compute.compare import Tolerance

Remarks = tuple[Text, ...]
HALF_A_DIGIT = 2.0**-11
"""By how much of itself a number may change when it is rounded to float16."""


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
        result = next((result for known, result in self.done if _is_same_call(known, wide)), None)
        if result is None:
            result = compute.run(wide, self.engine)
            self.done.append((wide, result))
        return compute.take_outputs(result, case) or compute.run(case, self.engine)


def _is_same_call(case: Case, other: Case) -> bool:
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
        raise UsageError(
            "{--model:word}: there is no layer name after the #.",
            "For all layers: {--model:file}",
            word=word,
            file=shlex.quote(file),
        )
    chosen = [name for name in names if name]
    if assume is None:
        model = models.open(source, chosen, or_layers=not to_run)
    else:
        from rnncli.models.weight_files import assumptions

        options = assumptions.parse(assume)
        globs = assumptions.named_layers(options)
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
        return Message(
            "only the weights of {file} are used; {--model:path} runs the layers of the file",
            file=file,
            path=shlex.quote(file),
        )
    option = model_option(file, names)
    return Message(
        "only the weights of {file} are used; {option} runs only {names}",
        file=file,
        option=option,
        names=format_names(names),
    )


def arrange_inputs(
    model: SavedModel, raw: Any, options: ArrangeOptions, where: Text, states: RawValue
) -> ModelCall:
    """Return the model with the mask, the initial states and the inputs, padded and reordered as asked.

    where: the name of the inputs' source in errors.  states: the given initial states.
    """
    import numpy as np

    with inside(where):
        raw, real = _pad_inputs(raw, options, masks=model.takes_masks)
    raw = _reorder_axes(model, raw, options.axes)
    inputs = model.fit_inputs(raw)
    model = _give_beside(model, raw, inputs, next(iter(real.values()), None), options, states)
    remarks: tuple[Text, ...] = ()
    for name, array in inputs.items():
        given = np.shape(raw.get(name, array) if isinstance(raw, Mapping) else raw)
        if len(given) < array.ndim:
            place = f"{name}: " if len(inputs) > 1 else ""
            change = f"{format_shape(given)} -> {format_shape(array.shape)}"
            added = "{place}added a batch axis: {change}"
            if array.shape[: len(given)] == given and array.shape[-1] == 1 != len(array):
                added = "{place}added a last axis: {change}"
            remarks += (Message(added, place=place, change=change),)
    real = {name or next(iter(inputs)): steps for name, steps in real.items()}
    return ModelCall(model, inputs, remarks=remarks, real=real)


def _give_beside(
    model: SavedModel,
    raw: Any,
    inputs: Mapping[str, Array],
    padding: Array | None,
    options: ArrangeOptions,
    states: RawValue,
) -> SavedModel:
    """Return the model with the mask and the initial states that are given to a file without a graph.

    raw: the input before it was fitted.  padding: the mask of what --pad added.
    """
    if not model.takes_masks:
        return model
    import numpy as np

    (array,) = inputs.values()
    (given,) = raw.values() if isinstance(raw, Mapping) else (raw,)
    has_batch = np.ndim(given) == array.ndim
    order = model.axis_order if options.order is not None and has_batch else None
    mask = arrange.combine_masks(array, padding, options._replace(order=order))
    assumed_order = model.axis_order if options.axes is None else None
    return model.with_given(GivenBeside(mask, states, assumed_order, has_batch))


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


def _reorder_axes(model: SavedModel, raw: Any, axes: tuple[str, ...] | None) -> Any:
    """Return the only input in the order batch, time, features, if --input-axes names another.

    Raises UsageError for several inputs, and for a graph, which may take its axes in another order.
    """
    if axes is None:
        return raw
    reason = model.refuse_axes()
    if isinstance(raw, Mapping):
        reason = Message("an input with a name must have the axes in the order that the model expects")
    if reason:
        raise UsageError(
            "{--input-axes}: {reason}.",
            "Leave it out, and give {inputs}.",
            reason=reason,
            inputs=model.describe_inputs(),
        )
    return arrange.reorder_axes(raw, axes)


def require_paddable(model: SavedModel, options: ArrangeOptions) -> None:
    """Raise UsageError for --pad if nothing in the model would mask the padding, or with --input-axes."""
    if options.pad is not None and options.axes is not None:
        raise UsageError(
            "{--pad} takes sequences that are already (batch, time, features).", "Leave {--input-axes} out."
        )
    order = model.axis_order
    if options.pad is not None and order is not None and not order.batch_first:
        raise UsageError(
            "{--pad} takes sequences that are already (batch, time, features).",
            "Leave batch_first=false out of {--assume}.",
        )
    if options.pad is not None and not (model.makes_masks or model.takes_masks):
        raise UsageError(
            "{--pad}: {file} has no mask, so the padding would be computed as data.",
            "Give sequences of the same length.",
            file=model.file,
        )


class ModelCall(NamedTuple):
    """A saved model, and what to run it with.

    inputs: by name.  returns: see `with_returns`.  remarks: on the inputs.
    sequence_names: as in Case.
    real: the steps that --pad did not add, (batch, timesteps), of each input with padding.
    windowed: whether the model takes one window of the inputs at a time.  consecutive: as in Case.
    """

    model: SavedModel
    inputs: Mapping[str, Array]
    returns: Mapping[str, bool] = {}
    remarks: Remarks = ()
    sequence_names: tuple[str, ...] = ()
    real: Mapping[str, Array] = {}
    windowed: bool = False
    consecutive: bool = False

    def run(self, compute: Compute = compute.run, *, everything: bool = False) -> tuple[ModelRun, Remarks]:
        """Return the Case of each requested recurrent layer, and notes on the inputs, the file and the run.

        compute, everything: see ModelRequest.
        """
        model = self.model
        layers, others = model.split_names()
        request = ModelRequest(
            self.inputs, compute, layers, everything=everything, others=others, consecutive=self.consecutive
        )
        run = model.run(request)
        if self.sequence_names:
            run = replace(run, parts=tuple(map(self._name_sequences, run.parts)))
        shown = {name.rpartition("/")[0] for name in run.other_outputs}
        if missing := [name for name in others if name not in shown]:
            raise LayerError(
                "{file}: {names} returns no numbers that can be shown.",
                "To see what can: {--all-layers:on}",
                file=model.file,
                names=missing[0],
            )
        notes = (join((model.file, note), ": ") for note in (*model.notes, *run.notes))
        return run, (*self.remarks, *notes)

    def _name_sequences(self, use: LayerUse) -> LayerUse:
        """Return the use with the names of the sequences, unless its batch is another one."""
        named = len(use.case.inputs) == len(self.sequence_names)
        names = self.sequence_names if named else ()
        return use._replace(case=use.case._replace(sequence_names=names))

    def choose_parts(
        self, address: str = "", *, alone: bool = False, hold: bool = False
    ) -> tuple[ModelRun, Remarks, str]:
        """Return the chosen recurrent layers, in the order of the model, notes, and the prefix `gru/`.

        address: `gru/last_hidden_state[0,3]` chooses the layer that it begins with; the prefix is else "".
        alone, hold: whether the command, or --hold, takes one layer only.
        """
        name = addresses.layer_in_model(address, self.model.layer_names()) if address else ""
        if name:
            named = self._replace(model=self.model.with_names((name,)))
            return *named.choose_parts()[:2], f"{name}/"
        names, file = self._choose_names(), self.model.file
        if len(names) > 1 and (alone or hold):
            raise UsageError(
                "{--model:file}: this command takes one recurrent layer, but the model has several: {names}."
                if alone
                else "{--hold} holds a gate of one recurrent layer, but {file} has several: {names}.",
                "Name one: {--model:value}",
                file=file,
                names=", ".join(names),
                value=shlex.quote(f"{file}#{names[0]}"),
            )
        if len(names) > 1:
            run, notes = self.run()
            self._require_parts(run, names)
            return run, (*notes, *self._note_empty(run.parts)), ""
        # --engine is for this layer alone, which the command computes; `auto` computes the layers before it.
        run, notes = self._replace(model=self.model.with_names(names)).run()
        self._require_parts(run, names)
        part = next((part for part in run.parts if part.layer == names[0]), run.parts[0])
        note = Message(
            "{file}: this is the layer {layer}, with the inputs and weights that it has in the model",
            file=file,
            layer=part.layer,
        )
        return replace(run, parts=(part,)), (*notes, note, *self._note_empty((part,))), ""

    def _require_parts(self, run: ModelRun, names: Sequence[str]) -> None:
        """Raise LayerError if no layer of a run has steps, InputError if one has no sequences to show.

        names: the chosen layers.
        """
        if not run.parts:
            raise LayerError(
                "{layer} has no steps to show: its framework computed it as a whole.",
                "rnncli run shows what it returns.",
                layer=names[0],
            )
        for part in run.parts:
            if not len(part.case.inputs):
                raise empty_input(part.layer)

    def head(self, layers: Mapping[str, Spec], masks: tuple[str, ...]) -> ModelHead:
        """Return what the head of an answer says.  layers, masks: see ModelHead."""
        shapes = {name: (tuple(array.shape), dtype_name(array)) for name, array in self.inputs.items()}
        return ModelHead(self.model.file, self.model.origin, shapes, layers, masks, self.model.zeroes_empty)

    def _note_empty(self, parts: Sequence[LayerUse]) -> Remarks:
        """Return a note on each layer whose initial state is 0 in a sequence without steps."""
        return tuple(
            Message(
                "{file}: {layer}: in a sequence of length 0 the state is 0, whatever the initial state: so "
                "ONNX Runtime computes it, and the text of the operator does not say.",
                file=self.model.file,
                layer=part.layer,
            )
            for part in parts
            if self.model.zeroes_empty and part.case.initial_state is not None
            if part.case.mask is not None and not part.case.mask.any(axis=1).all()
        )

    def _choose_names(self) -> tuple[str, ...]:
        """Return the names of the chosen layers."""
        asked = self.model.names
        names = self.model.choose(asked)
        # `lstm` alone is the first use of a shared layer, not also lstm@1
        return asked if len(asked) == 1 and asked[0] in names else names

    def compare_with_framework(
        self,
        cases: Mapping[str, CasePair],
        result: Result,
        atol: Tolerance,
        rtol: Tolerance,
        *,
        prefix: str = "",
    ) -> tuple[Result, list[str]]:
        """Return the result with its differences from the framework, and the names beyond the tolerances.

        cases: by layer.  prefix: what the model puts in front of the names in `result`, such as `gru/`.
        Raises EngineError if the framework is not installed or cannot run the model.
        """
        from rnncli.compute import compare

        if self.windowed and len(next(iter(self.inputs.values()))) > 1:
            raise UsageError(
                "{--check} calls the model once, and it takes one window at a time.",
                "Leave {--check} out, or give one window.",
            )
        saved = self.model
        theirs = saved.outputs(self.inputs, cases)
        outputs = tuple(tensor._replace(values=theirs[f"{prefix}{tensor.name}"]) for tensor in result.outputs)
        other = replace(result, outputs=outputs)
        checked = replace(result, reference=saved.framework)
        allowed = {
            tensor.name: compare.tolerance_of(rtol, tensor.name) + HALF_A_DIGIT
            for tensor, exact in zip(result.outputs, outputs, strict=True)
            if tensor.values.dtype == "float16" and exact.values.dtype == "float32"
        }
        rtol = {**(rtol if isinstance(rtol, Mapping) else {"": rtol}), **allowed}
        return compare.compare_results(checked, other, atol, rtol)


class ModelTensors(NamedTuple):
    """What a model returned.

    result: the tensors of all layers, with their names in the model, `gru/hidden_state`.
    by_layer: the results of the recurrent layers, by the layer's name.  cases: their Cases, likewise.
    notes: on the inputs, the file and the run.
    """

    result: Result
    by_layer: Mapping[str, Result]
    cases: Mapping[str, CasePair]
    notes: tuple[Text, ...]


def compute_tensors(call: ModelCall, engine: str, *, everything: bool) -> ModelTensors:
    """Compute what every chosen recurrent layer returns.  everything: include all other layers."""
    computing = Computing(engine, call.returns)
    run, notes = call.run(computing, everything=everything)
    cases = {part.layer: CasePair(part.case, with_returns(part.case, call.returns)) for part in run.parts}
    results = {
        part.layer: _round(
            part.result
            if part.result and cases[part.layer].display is part.case
            else computing(cases[part.layer].display),
            part.rounds_to,
        )
        for part in run.parts
    }
    head = call.head({layer: result.specs[-1] for layer, result in results.items()}, run.masks)
    joined = join_layers(results, head)
    engines = joined.engines or (run.engine,)
    batch_first = call.model.makes_masks  # a graph of Keras
    outputs = order_tensors(
        joined.outputs, run.other_outputs, run.order, call.sequence_names, batch_first=batch_first
    )
    joined = replace(joined, engines=engines, outputs=outputs)
    return ModelTensors(joined, results, cases, notes)


def _round(result: Result, dtype: str) -> Result:
    """Return the result with its outputs in a type of fewer digits; without one, the result itself."""
    if not dtype:
        return result
    outputs = (tensor._replace(values=tensor.values.astype(dtype)) for tensor in result.outputs)
    return replace(result, outputs=tuple(outputs))


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
        tensor._replace(sequences=sequence_names if tensor.values.shape[:1] == (len(sequence_names),) else ())
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
