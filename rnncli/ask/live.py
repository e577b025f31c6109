"""A live object: a Keras model or layer, or a PyTorch module, called once by its own framework."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli import compute
from rnncli.ask.alone import MOST, Batch
from rnncli.ask.live_object import LiveObject
from rnncli.ask.request import INPUT_OPTIONS, RUN_OPTIONS, Ask, Remarks
from rnncli.ask.returned import EVERYTHING, Alone, Kind, Returned, compute_uses, kind_of
from rnncli.ask.subject import Computed, Outline, Parts, Subject, WholeGradients
from rnncli.compute import compare
from rnncli.compute.engines.tensorflow import informative_line
from rnncli.errors import (
    Flag,
    InputError,
    LayerError,
    Message,
    RnncliError,
    Text,
    UsageError,
    format_names,
    join,
)
from rnncli.inputs.arrange import note_nan
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case, to_dtype
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse, Passed, shorten_sentence
from rnncli.models.call import Computing, order_tensors, plain_tensor, with_returns
from rnncli.models.live.recording import (
    LiveCall,
    Recording,
    Share,
    count_sequences,
    first_of,
    is_packed,
    with_arrays,
)
from rnncli.options import BY_NAME, LIVE, first_given, flag_name
from rnncli.result import ModelHead, NamedTensor, Result, join_layers
from rnncli.specs.build import build
from rnncli.values import Agreement, Array, name_sequences

if TYPE_CHECKING:
    from rnncli.ask.alone import Batch
    from rnncli.ask.lines import Answers, NewRemarks
    from rnncli.ask.request import Ask
    from rnncli.compute.compare import TolerancePair
    from rnncli.models.summary import Summary
    from rnncli.models.weights import LayerWeights


NEAR = 2e-5
"""Differences, relative to the largest number of a tensor, that are rounding."""
MOST_CALLS = 20
"""Calls of layers that are shown without being named: a beam search makes one at every step."""


class Use(NamedTuple):
    """One use of a layer.

    computed: by rnncli, with its result; None if there are no gates.  lacks: why; else "".
    difference: the largest one from what the framework returned.  agrees: whether it is rounding; both are
        None if nothing was compared.
    """

    call: LiveCall
    computed: LayerUse | None = None
    lacks: Text = ""
    difference: float | None = None
    agrees: bool | None = None


class Live(Subject):
    """A live object, and one call of it."""

    fixed_layers = True

    def __init__(self, ask: Ask, axis: int | None = None) -> None:
        """axis: of the sequences in the input, for `batch`; None if nothing says it."""
        super().__init__(ask)
        self._axis = axis
        self._computing = Computing(ask.engine, ask.returns)
        self._computed: dict[str, Use] = {}

    @property
    def live(self) -> LiveObject:
        """The object."""
        live: LiveObject = self.ask.model
        return live

    def require_able(self, **given: object) -> None:
        """Raise UsageError for an option that applies only to layers that are described."""
        if flag := first_given(given, given):
            _refuse(flag, self.live.title)

    def layer_names(self) -> tuple[str, ...]:
        """Return the calls of recurrent layers, by name."""
        return tuple(call.name for call in self._calls)

    def of_layer(self, name: str = "") -> Subject:
        """Return the subject of one call."""
        return Live(self.ask._replace(at=name or self.layer_names()[0]))

    def outline(self) -> Outline:
        """Return the only layer that is asked about, with its input."""
        parts = self.parts(alone=True)
        return Outline(parts.case.stack, parts.case.inputs.shape, parts.remarks)

    def summary(self) -> Summary | None:
        """Return every layer of the object; None if one is named."""
        if self.ask.at is not None:
            return None
        self._require_options()
        return self.live.summarize(self.ask)

    def _require_options(self) -> None:
        ask = self.ask
        ask.require_options()
        given = {**ask.given(*INPUT_OPTIONS, *RUN_OPTIONS, "layer"), **ask.options}
        for name, value in given.items():
            if LIVE not in BY_NAME[name].subjects:
                _refuse(flag_name(name, value), self.live.title)

    @cached_property
    def _recording(self) -> Recording:
        ask = self.ask
        self._require_options()
        if ask.input is None:
            raise self._refuse_no_input()
        return self.live.record(ask)

    def _refuse_no_input(self) -> UsageError:
        text = "{title} needs an input."
        return UsageError(text, "Give what the object is called with.", title=self.live.title)

    @property
    def _calls(self) -> Sequence[LiveCall]:
        """The calls that `at` names: one use, a module's layers, or the calls inside a layer; else all."""
        calls, at = self._recording.calls, self.ask.at
        if at is None:
            return calls
        named = [call for call in calls if call.name == at and call.config is not None]
        uses = rf"{re.escape(at)}(_l\d+)?(@\d+)?"
        chosen = named or [call for call in calls if call.path == at or re.fullmatch(uses, call.name)]
        chosen = chosen or [call for call in calls if re.match(rf"{re.escape(at)}[/.]", call.name)]
        if not chosen:
            what = "at={at!r}: {title} has no such call. It has {names}."
            advice = "Name one of them."
            raise UsageError(
                what, advice, at=at, title=self.live.title, names=", ".join(call.name for call in calls)
            )
        return chosen

    @cached_property
    def _uses(self) -> dict[str, Use]:
        calls = self._calls[: MOST_CALLS if self.ask.at is None else None]
        return {call.name: self._use(call.name) for call in calls}

    def _use(self, name: str) -> Use:
        """Return one use, computed by rnncli and compared with the framework's, with the layer below it."""
        if name not in self._computed:
            calls = {call.name: call for call in self._recording.calls}
            call, names = calls[name], self._recording.sequence_names
            below = self._use(call.before) if call.before in calls else None
            self._computed[name] = _compute(call, below, self._computing, names)
        return self._computed[name]

    def _remarks(self, uses: Mapping[str, Use], *, shown: bool) -> Remarks:
        framework, left = self.live.framework, len(self._calls) - len(uses)
        notes: list[Text] = list(self._recording.notes)
        if left and self.ask.at is None and len(uses) == MOST_CALLS:
            notes.append(Message("{count} more calls are not shown; name one with at=", count=left))
        for name, use in uses.items():
            if use.agrees is False:
                text = (
                    "{name} differs from {framework} by up to {difference:.1e}, which is more than rounding"
                )
                notes.append(Message(text, name=name, framework=framework, difference=use.difference))
            elif use.lacks and not shown:
                notes.append(Message("{name} is left out: {lacks}", name=name, lacks=use.lacks))
        notes += self._agreement(uses).axes_texts()
        named = (join((self.live.title, note), ": ") for note in notes)
        return (*note_nan(self._recording.inputs), *named)

    def weights(self) -> LayerWeights:
        """Return the weights of every layer, in Keras's layout; of one if it is named."""
        from rnncli.models.weights import choose_layers

        return choose_layers(self.live.every_weight(), [self.ask.at] if self.ask.at else [])

    def parts(
        self, address: str = "", *, alone: bool = False, one_call: bool = False, whole: bool = False
    ) -> Parts:
        """Return every call of a recurrent layer that rnncli's engines can compute, or the one named."""
        names = (name for name in self.layer_names() if address.startswith(f"{name}/"))
        name = max(names, key=len, default="")
        uses = {name: self._use(name)} if name else self._uses
        able = {layer: use for layer, use in uses.items() if use.computed}
        if not able or (whole and len(able) < len(uses)):
            lacking = next(layer for layer in uses if layer not in able)
            what = "{name} has no gates to show: {lacks}."
            advice = "rnncli.run shows what it returns, and with all_layers=True also what it is given."
            raise LayerError(what, advice, name=lacking, lacks=uses[lacking].lacks)
        agreement = self._agreement(able)
        if len(able) == 1:
            agreement = agreement._replace(layer=next(iter(able)))
        parts = [use._replace(case=use.case._replace(agreement=agreement)) for use in self._shown(able)]
        notes = self._remarks(uses, shown=False)
        if hold := self.ask.hold:
            from rnncli.compute import holds

            parts = [use.shown(holds.hold_gates(use.case, hold)) for use in parts]
            notes = (*notes, *(note for use in parts for note in holds.note_bounds(use.case)))
        if alone and len(parts) > 1:
            what = "{title}: this command takes one recurrent layer, but the object has several: {names}."
            advice = "Name one: at={first!r}"
            raise UsageError(what, advice, title=self.live.title, names=", ".join(able), first=parts[0].layer)
        head = self._head(able) if len(able) > 1 else None
        prefix = f"{name}/" if name else ""
        return Parts(parts, notes, partial(_verify, able, self.live.framework), head, prefix)

    def _shown(self, uses: Mapping[str, Use]) -> list[LayerUse]:
        done = (use.computed for use in uses.values() if use.computed)
        return [use.shown(with_returns(use.case, self.ask.returns)) for use in done]

    def compute(self, budget: int | None = None) -> Computed:
        """Return the tensors of all layers; of a layer without gates, what the framework returned."""
        uses = self._uses
        shown = self._shown(uses)
        results = {
            use.layer: use.result if use.result and use.case is use.called else self._computing(use.case)
            for use in shown
        }
        others: dict[str, Array] = {}
        for name, lacking in uses.items():
            if not lacking.computed:
                tensors = {**lacking.call.outputs, **(lacking.call.given if self.ask.all_layers else {})}
                others |= {f"{name}/{tensor}": array for tensor, array in tensors.items()}
        noted, names = self._recording.others, self._recording.sequence_names
        if self.ask.all_layers:
            others = {**(noted.outputs if noted else {}), **others, **self._recording.outputs}
        joined = join_layers(results, self._head(uses))
        order = noted.order(uses) if noted else uses
        outputs = order_tensors(joined.outputs, others, order, names, batch_first=self._is_batch_first)
        if any("batch" in use.call.axes for use in uses.values()):  # then the first axis may be time
            outputs = tuple(
                tensor._replace(axes=("axis_0", "axis_1", "units"))
                if tensor.has_guessed_axes and tensor.values.ndim == 3
                else tensor
                for tensor in outputs
            )
        remarks, reference = self._remarks(uses, shown=True), partial(_verify, uses, self.live.framework)
        parts = Parts(shown, remarks, reference, joined.model)
        return Computed(parts, iter((replace(joined, outputs=outputs),)), joined.input_shape[0])

    def left_out(self) -> tuple[str, ...]:
        """Return the layers and modules that are not recurrent; nothing if one is named."""
        return () if self.ask.at is not None else self.live.other_layers()

    def passed(self, uses: Sequence[LayerUse]) -> Sequence[Passed]:
        """Return the layers of the object that were called: with all_layers all, else the recurrent ones."""
        from rnncli.ask.passage import pass_calls

        return pass_calls(self._recording)

    def returned(self, like: Returned | None = None, mapping: Mapping[str, str] = {}) -> Returned:
        """Return everything that its layers return, and what the object itself returned."""
        self._computing = Computing(self.ask.engine, EVERYTHING)  # so that each layer is computed once
        recording, uses = self._recording, self._uses
        remarks = self._remarks(uses, shown=True)
        if any(use.computed for use in uses.values()):
            parts = self.parts().uses
            returned = compute_uses(self.live.title, parts, self._computing, recording.inputs, remarks)
        else:
            result = join_layers({}, self._head(uses))
            returned = Returned(self.live.title, {}, {}, result, recording.inputs, remarks)
        lacking = {name: use.call for name, use in uses.items() if not use.computed}
        first = self._is_batch_first
        layers = {
            name: returned.layers.get(name) or _tensors_of(lacking[name], batch_first=first) for name in uses
        }
        kernels = {name: kind for name, call in lacking.items() if (kind := _kind_of(call))}
        others = recording.outputs if self.ask.at is None else {}
        tensors = {
            name: (plain_tensor(name, array, batch_first=first),)
            for name, array in others.items()
            if name not in layers
        }
        return returned._replace(layers={**layers, **tensors}, kernels=kernels)

    def batch(self) -> Batch:
        """Return the batch; the object is called with each sequence.  `input_axes` says what its axes are."""
        if self.ask.input_axes is not None:
            return Live(self.ask._replace(input_axes=None), _find_batch(self.ask.input_axes)).batch()

        whole = self.returned()
        tensors = {
            f"{name}/{tensor.name}": tensor
            for name, use in self._uses.items()
            if use.computed and use.computed.result
            for tensor in use.computed.result.outputs
        }
        layers = {
            call.name: tuple(
                tensors[name]._replace(label=tensors[name].label._replace(layer=call.name), values=array)
                if (name := f"{call.name}/{tensor}") in tensors
                else plain_tensor(name, array, batch_first=self._is_batch_first)
                for tensor, array in call.outputs.items()
            )
            for call in self._calls
        }
        outputs = {name: tensors for name, tensors in whole.layers.items() if name in self._recording.outputs}
        whole = whole._replace(layers={**layers, **outputs})
        return LiveBatch(self.live, self.ask, self._recording, self._calls, self._axis).batch(whole)

    def differentiate(self, batch: int) -> WholeGradients:
        """Return the gradients by the framework's tape."""
        self._require_options()
        if self.ask.at is not None:
            raise UsageError("{--whole} is of the whole object, and at= names a layer.", "Leave one out.")
        if self.ask.input is None:
            raise self._refuse_no_input()
        if self.ask.engine != "auto":
            _refuse("engine", self.live.title)
        return self.live.differentiate(self.ask, batch)

    def lines(self, remarks: NewRemarks) -> Answers:
        """Raise UsageError: only the command line has streams."""
        raise UsageError("{--stream} applies to layers and files.", "Leave it out.")

    @property
    def _is_batch_first(self) -> bool:
        return self.live.framework == "Keras"

    def _head(self, uses: Mapping[str, Use]) -> ModelHead:
        return ModelHead(
            self.live.title,
            self.live.framework,
            {name: (array.shape, str(array.dtype)) for name, array in self._recording.inputs.items()},
            {name: use.computed.case.stack[-1] for name, use in uses.items() if use.computed},
            agreement=self._agreement(uses),
        )

    def _agreement(self, uses: Mapping[str, Use]) -> Agreement:
        compared = [use for use in uses.values() if use.agrees is not None]
        return Agreement(
            self.live.title,
            self.live.framework,
            max((use.difference or 0.0 for use in compared), default=None),
            all(use.agrees for use in compared) if compared else None,
            {name: use.lacks for name, use in uses.items() if use.lacks},
            axes={name: use.call.axes for name, use in uses.items() if use.call.axes},
        )


def _find_batch(axes: Any) -> int:
    names = [name.strip() for name in (axes.split(",") if isinstance(axes, str) else axes)]
    if {*names[:2]} != {"batch", "time"}:
        raise UsageError(
            "{--input-axes}: the first two axes of what a live object is given are batch and time.",
            "Write {--input-axes time,batch,features} or {--input-axes batch,time,features}.",
        )
    return names.index("batch")


def _tensors_of(call: LiveCall, *, batch_first: bool) -> tuple[NamedTensor, ...]:
    """Return the tensors that the framework returned of a layer.

    The output of a layer without sequences is its last hidden state, which other models return.
    """
    names = {} if "last_hidden_state" in call.outputs else {"hidden_state": "last_hidden_state"}
    return tuple(
        plain_tensor(f"{call.name}/{names.get(name, name)}", array, batch_first=batch_first)
        for name, array in call.outputs.items()
    )


def _kind_of(call: LiveCall) -> Kind:
    """Return the kind of a layer by its weights; () if it returns nothing that layers of this kind return."""
    is_merged = "Bidirectional" in call.class_name and [*call.outputs] == ["hidden_state"]
    return () if is_merged else kind_of({name: array.shape for name, array in call.weights.items()})


def _refuse(flag: str, title: str) -> None:
    what = "{flag} does not apply to {title}, which is run as it is."
    raise UsageError(what, "Leave {flag} out.", flag=Flag(flag), title=title)


def _compute(call: LiveCall, before: Use | None, computing: Computing, names: tuple[str, ...]) -> Use:
    if call.config is None:
        return Use(call, lacks=call.lacks)
    inputs = call.inputs
    if call.before:
        if before is None or before.computed is None or before.computed.result is None:
            return Use(call, lacks=Message("its input, from {before}, is not known", before=call.before))
        inputs = before.computed.result.outputs[0].values
    assert inputs is not None
    try:
        stack = Stack((build(call.config),))
        case = Case(stack, inputs, call.mask, call.initial_state, call.weights, seed=None)
        case = check_case(case._replace(names=name_sequences(names, len(inputs))))
        result = computing(case)
    except (InputError, LayerError) as error:
        return Use(call, lacks=Message("{error}", error=error.sentence))
    difference, agrees = _compare(case, result, call.outputs, computing.engine)
    if call.lacks and not agrees:
        return Use(call, lacks=call.lacks)
    return Use(call, LayerUse(call.name, case, result, call.before), "", difference, agrees)


def _compare(
    case: Case, result: Result, theirs: Mapping[str, Array], engine: str
) -> tuple[float | None, bool | None]:
    import numpy as np

    largest: float | None = None
    agrees = True
    wide: tuple[NamedTensor, ...] = ()
    for index, tensor in enumerate(result.outputs):
        if tensor.name not in theirs:
            continue
        reference = theirs[tensor.name]
        size = max(1.0, float(np.abs(reference[np.isfinite(reference)]).max(initial=0.0)))
        measured = compare.measure(tensor, reference, ("", ""), NEAR * size, 0.0)
        largest = max(largest or 0.0, measured.absolute)
        if not measured.agrees and measured.shapes[0] == measured.shapes[1]:
            # An unbounded activation amplifies rounding.
            wide = wide or compute.run(to_dtype(case, "float64"), engine).outputs
            rounding = float(np.abs(wide[index].values - tensor.values).max())
            measured = compare.measure(tensor, reference, ("", ""), 2 * rounding, 0.0)
        agrees = agrees and measured.agrees
    return largest, None if largest is None else agrees


def _verify(
    uses: Mapping[str, Use],
    framework: str,
    _parts: Parts,
    result: Result,
    tolerances: TolerancePair,
    _budget: int | None,
) -> tuple[Result, Remarks]:
    theirs = {
        f"{layer}/{name}": array for layer, use in uses.items() for name, array in use.call.outputs.items()
    }
    if len(uses) == 1:
        theirs |= next(iter(uses.values())).call.outputs
    measured = [
        compare.measure(tensor, theirs[tensor.name], ("", ""), *tolerances)
        for tensor in result.outputs
        if tensor.name in theirs
    ]
    return compare.with_differences(replace(result, reference=framework), measured), ()


class LiveBatch:
    """Calls a live object with one sequence at a time.

    whole: the recording of the call with the batch.  calls: of the layers that are compared, by name.
    axis: of the sequences in the first tensor that the object is given; None if nothing says it.
    """

    def __init__(
        self, live: LiveObject, ask: Ask, whole: Recording, calls: Sequence[LiveCall], axis: int | None
    ) -> None:
        self.live, self.ask, self.whole = live, ask, whole
        self.calls = {call.name: call for call in calls}
        given, self.beside = live.given_to(ask)
        self.given = with_arrays(given)
        has_list = live.framework == "PyTorch" or len(whole.inputs) == 1
        self.first = first_of(self.given, has_list=has_list)
        if axis is None:  # a module without this attribute is taken to have the batch first
            is_first = bool(getattr(live.value, "batch_first", True)) or is_packed(self.first)
            axis = 0 if is_first or len(getattr(self.first, "shape", ())) != 3 else 1
        self.axis, self.size = axis, 0 if self.first is None else count_sequences(self.first, axis)
        if len(getattr(self.first, "shape", ())) == 2 and hasattr(live.value, "num_layers"):
            self.size = 1  # one sequence of a PyTorch layer, without a batch axis
        self.misread: dict[str, None] = {}

    def batch(self, returned: Returned) -> Batch:
        """Call the object with each sequence.  returned: what it returned for the batch."""
        has_mask = any(call.mask is not None for call in self.calls.values())
        compared = min(self.size, MOST) if self.size > 1 or has_mask else 0
        kept = [self._try(index) for index in range(compared)]
        masks = self._find_steps(kept)
        cut = {index: mask for index, mask in enumerate(masks) if mask is not None}

        def call(index: int, without: bool) -> Alone:
            whole = recording = kept[index]
            if without and index in cut:
                recording = self._try(index, cut[index])
            if isinstance(whole, RnncliError):
                raise whole
            if isinstance(recording, RnncliError):
                raise recording
            tensors = {
                f"{call.name}/{name}": array
                for call in recording.calls
                if call.name in self.calls
                for name, array in call.outputs.items()
            }
            tensors |= recording.outputs if self.ask.at is None else {}
            rows: dict[str, int] = {}  # by the call with all steps
            for own in (call for call in whole.calls if call.name in self.calls):
                rows[own.name] = rows[own.before] if own.before in rows else self._find_row(own, index)
            return Alone(tensors, rows)

        def real(index: int) -> list[Array]:
            return [cut[index]] if index in cut else []

        masked = not is_packed(self.first) and any(not mask.all() for mask in cut.values())
        return Batch(returned, self.size, compared, masked, False, call, real, self._note)

    def _try(self, index: int, real: Array | None = None) -> Recording | RnncliError:
        """Return the recording of a call with one sequence, or why it cannot be called so.

        real: the steps that the sequence keeps.
        """
        failure: RnncliError | None = None
        for other in (0, 1):
            share = Share(self.first, self.size, index, self.axis, other, real)
            beside = {name: share.take_beside(name, value) for name, value in self.beside.items()}
            try:
                return self.live.call(self.ask, share.take(self.given), beside)
            except RnncliError as error:
                failure = failure or error
            except Exception as error:
                text = shorten_sentence(informative_line(error))
                what = "{title} cannot be called with one sequence: {error}"
                failure = failure or InputError(what, title=self.live.title, error=text)
        assert failure is not None
        return failure

    def _find_steps(self, recordings: Sequence[Recording | RnncliError]) -> list[Array | None]:
        """Return the steps of each sequence that are not masked, (timesteps) of bool; None without a mask.

        Called alone, a sequence shows its own mask: in the batch, a module may have sorted the sequences.
        """
        first = next(iter(self.whole.inputs.values()), np.zeros(()))
        steps = first.shape[1 - self.axis] if first.ndim > 1 else 0
        masks = [
            None
            if isinstance(recording, RnncliError)
            else next((call.mask[0] for call in recording.calls if call.mask is not None), None)
            for recording in recordings
        ]
        lengths = [0 if mask is None else int(mask.sum()) for mask in masks]
        # Packed, a sequence is as long as its real steps; else the steps may not be those of the input.
        is_whole = all(mask is None or len(mask) == steps for mask in masks)
        given = [*self.whole.inputs.values(), *self.beside.values()]
        is_length = (
            max(lengths, default=0) == steps
            or is_packed(self.first)
            or any(
                np.shape(array) == (self.size,) and [*np.asarray(array)[: len(lengths)]] == lengths
                for array in given
            )
        )
        if not is_whole and not (is_length and self.live.framework == "PyTorch"):
            return [None] * len(masks)
        return [
            None if mask is None or len(mask) > steps else np.pad(mask, (0, steps - len(mask)))
            for mask in masks
        ]

    def _find_row(self, call: LiveCall, index: int) -> int:
        """Return where the sequence stands in the batch of a layer, by the layer's input.

        A module may sort the sequences by their lengths; what is not there stands where it is in the input.
        """
        batch, alone = self.calls[call.name].inputs, call.inputs
        if batch is None or alone is None:
            return index
        if len(alone) == len(batch) and self.size > 1 and batch.shape[1] == self.size * alone.shape[1]:
            self.misread[call.name] = None
        if len(alone) != 1 or len(batch) != self.size or batch.ndim != alone.ndim:
            return index
        rows = batch[:, : alone.shape[1]]
        if rows.shape[1:] != alone.shape[1:] or np.allclose(rows[index], alone[0], 1e-4, 1e-5):
            return index
        same = np.isclose(rows, alone, 1e-4, 1e-5).reshape(len(rows), -1).all(1)
        return int(same.argmax()) if same.any() else index

    def _note(self) -> tuple[Text, ...]:
        if not self.misread:
            return ()
        text = (
            "{names}: axis {axis} of the input is read as time, not as the sequences; in PyTorch, a layer "
            "without batch_first=True takes (time, batch, features). If this axis is time, say so: "
            "{--input-axes time,batch,features}"
        )
        return (Message(text, names=format_names([*self.misread]), axis=self.axis),)
