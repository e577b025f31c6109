"""A saved model: `--model FILE`, or some of its layers, `--model FILE#gru`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

from rnncli.ask.layer_files import refuse_layer_options
from rnncli.ask.request import INPUT_OPTIONS, RUN_OPTIONS, Remarks
from rnncli.ask.subject import Computed, Outline, Parts, Subject, Whole
from rnncli.errors import (
    Flag,
    InputError,
    LayerError,
    Message,
    RnncliError,
    UsageError,
    format_names,
    inside,
    join,
)
from rnncli.inputs.source import find_source, split_layers
from rnncli.models import LayerUse, ModelRequest, Passed, SavedModel, call
from rnncli.options import ARRAYS, GRAPH, first_given
from rnncli.result import NamedTensor, Result
from rnncli.values import ATOL, RTOL, Document, Shape, format_shape

if TYPE_CHECKING:
    from rnncli.ask.alone import Batch
    from rnncli.ask.lines import Answers, InputLine, NewRemarks
    from rnncli.ask.returned import Alone, Returned
    from rnncli.compute.compare import TolerancePair
    from rnncli.models.graph import Graph
    from rnncli.models.summary import Summary
    from rnncli.models.weights import LayerWeights


class Saved(Subject):
    """A saved model with its own graph, weights and masks."""

    fixed_layers = True

    def require_able(self, **given: object) -> None:
        """Raise UsageError for an option that applies only to layers that are described."""
        if flag := first_given(given, given):
            raise UsageError(
                "{flag} applies to {--layer}, not to {--model}.", "Leave out {flag}.", flag=Flag(flag)
            )

    @cached_property
    def model(self) -> SavedModel:
        """The opened model, without its input.  Raises UsageError for an option that does not apply to it."""
        return self._open()

    def _open(self, *, to_run: bool = True) -> SavedModel:
        ask = self.ask
        given = {**ask.given("layer"), **ask.options, **ask.given(*RUN_OPTIONS, *INPUT_OPTIONS)}
        if self._generates:
            given.pop("seed", None)
        refuse_layer_options(given, ARRAYS)
        ask.require_options()
        word = str(ask.model)
        model = call.open_model(word, find_source(split_layers(word)[0]), ask.assume, to_run=to_run)
        if ask.custom_objects is not None:
            model = model.with_custom_objects(ask.custom_objects)
        if not model.takes_masks:
            refuse_layer_options(given, GRAPH)
        return model

    def layer_names(self) -> tuple[str, ...]:
        """Return the layers named after the #, if they are several, else all recurrent layers."""
        return self.model.choose(self.model.names if len(self.model.names) > 1 else ())

    def of_layer(self, name: str = "") -> Subject:
        """Return the subject of one layer of the model."""
        names = self.layer_names()
        if not name and (len(names) < 2 or len(self.model.names) == 1):
            return self
        file, _ = split_layers(str(self.ask.model))
        options = {} if name else self.ask.options
        return Saved(self.ask._replace(model=f"{file}#{name or names[0]}", options=options))

    def outline(self) -> Outline:
        """Return the only layer that is asked about, with its input; without an input, the sizes that fit."""
        if not self.ask.is_bare and self.ask.input_shape is None:
            parts = self.parts(alone=True)
            return Outline(parts.case.stack, parts.case.inputs.shape, parts.remarks)
        from rnncli.layers.stack import Stack

        (row,) = self._summary.layers
        assert row.spec is not None
        assert row.input_shape is not None
        stack = Stack((row.spec,))
        stack = stack.with_returns(**self.ask.returns) if self.ask.returns else stack
        remarks = self._summary.remarks
        if row.has_more:
            text = "{layer}: {count} parameters in the file, which has two biases where Keras has their sum"
            remarks = (*remarks, Message(text, layer=row.name, count=row.parameters))
        for module in self._summary.modules:
            returns = ", ".join(
                f"{tensor.name} {format_shape(tensor.shape or ())}" for tensor in module.returns
            )
            remarks = (
                *remarks,
                Message("{name}: PyTorch returns {returns}", name=module.name, returns=returns),
            )
        return Outline(stack, row.input_shape, remarks)

    def summary(self) -> Summary | None:
        """Return every layer of the model, or the layers after the #; None for one recurrent layer."""
        rows = self._summary.layers
        chosen = "#" in str(self.ask.model) and len(rows) == 1 and rows[0].spec is not None
        return None if chosen else self._summary

    @cached_property
    def _summary(self) -> Summary:
        model = self._open(to_run=False)
        return model.summarize(self._sizes(model)).choose(model.names)

    def _sizes(self, model: SavedModel) -> Mapping[str, Shape]:
        ask = self.ask
        if ask.is_bare:
            return {}
        if ask.input_shape is not None:
            shape, inputs = ask.generated_shape(), model.summarize({}).inputs
            input_shape = inputs[0].shape if len(inputs) == 1 else None
            if input_shape is not None and len(input_shape) == len(shape):
                pairs = zip(input_shape, shape, strict=True)
                if all(size == given or not isinstance(size, int) for size, given in pairs):
                    time_first = model.axis_order is not None and not model.axis_order.batch_first
                    return {inputs[0].name: (*shape[1::-1], *shape[2:]) if time_first else shape}
        return {name: array.shape for name, array in self._read(model=model)[1].inputs.items()}

    def weights(self) -> LayerWeights:
        """Return the weights of every layer, or of the layers after the #, in Keras's layout."""
        from rnncli.models.weights import choose_layers, weights_of

        source = find_source(split_layers(str(self.ask.model))[0])
        return choose_layers(weights_of(self.model.contents, source), self.model.names)

    def parts(
        self, address: str = "", *, alone: bool = False, one_call: bool = False, whole: bool = False
    ) -> Parts:
        """Return every recurrent layer, or those named after the #, each with what it gets in the model."""
        if whole:
            _require_whole(self.model)
        model, request = self._given
        hold, returns = self.ask.hold, request.returns
        run, prefix = call.choose_parts(model, request, address, alone=alone, hold=bool(hold))
        uses, notes = [use.shown(call.with_returns(use.case, returns)) for use in run.parts], run.notes
        if hold:
            from rnncli.compute import holds

            uses = [use.shown(holds.hold_gates(use.case, hold)) for use in uses]
            notes = (*notes, *(note for use in uses for note in holds.note_bounds(use.case)))
        head = call.head_of(model, request, uses, run.masks) if len(uses) > 1 else None
        return Parts(uses, notes, partial(_verify_in_framework, model, request), head, prefix)

    def left_out(self) -> tuple[str, ...]:
        """Return the layers that are not recurrent; nothing if layers are named after the #."""
        return () if self.model.names else self.model.other_layers()

    def chain(self) -> Whole | None:
        """Return the model as one Case; None unless each layer returns the same in it as in the model."""
        from rnncli.compute import compare, run

        model, request = self._given
        chain = None if self.model.names else self.model.chain(request)
        if chain is None or request.consecutive:
            return None
        names, case = chain
        expected, tensors = call.compute_tensors(model, request, self.ask.engine, everything=True)
        returned = {
            f"{names[tensor.label.layer]}/{tensor.label.without_layer}": tensor
            for tensor in run(case._replace(all_layers=True)).outputs
            if isinstance(tensor.label.layer, int)
        }
        for tensor in expected.outputs:
            ours = returned.get(tensor.name)
            if ours is None or not compare.measure(ours, tensor.values, ("", ""), ATOL, RTOL).agrees:
                return None
        return Whole(names, case, tensors.notes)

    def compute(self, budget: int | None = None) -> Computed:
        """Return one result, with the tensors of all layers under their names in the model."""
        model, request = self._given
        result, run = call.compute_tensors(model, request, self.ask.engine, everything=self.ask.all_layers)
        remarks = run.notes
        if not (self.ask.all_layers or self.model.names) and (hidden := self.model.last_layers()):
            text = "{file}: the model returns the output of {names}; {--all-layers:on} shows every layer"
            remarks = (*remarks, Message(text, file=self.model.file, names=format_names(hidden)))
        parts = Parts(run.parts, remarks, partial(_verify_in_framework, model, request), result.model)
        return Computed(parts, iter((result,)), result.input_shape[0])

    def passed(self, uses: Sequence[LayerUse]) -> Sequence[Passed]:
        """Return all layers of the model that numbers went through."""
        from rnncli.ask.passage import pass_graph
        from rnncli.models.graph import Graph

        model, request = self._given
        graph = self.model.contents
        if not isinstance(graph, Graph):
            return super().passed(uses)
        whole = model.with_names(())
        result, _ = call.compute_tensors(whole, request, self.ask.engine, everything=True)
        return list(pass_graph(graph, request.inputs, result.outputs))

    @property
    def follows(self) -> bool:
        """Whether the file has no graph."""
        return self.model.takes_masks

    def returned(self, like: Returned | None = None, mapping: Mapping[str, str] = {}) -> Returned:
        """Return every tensor of the chosen layers; if none is named, of recurrent ones, and the outputs."""
        from rnncli.ask import returned

        if like is not None and self.follows:
            return self._follow(like, mapping)
        model, request = self._read(like)
        request = request._replace(returns=returned.EVERYTHING)
        outputs = () if model.names else model.output_names()
        result, run = call.compute_tensors(model, request, self.ask.engine, everything=bool(outputs))
        cases = {use.layer: use.in_model for use in run.parts}
        layers: dict[str, tuple[NamedTensor, ...]] = {}
        for tensor in result.outputs:
            name = str(tensor.label.layer)
            if name in cases or tensor.name in outputs or model.names:
                layers[name] = (*layers.get(name, ()), tensor)
        read = self._inputs_of(next(iter(cases))) if model.makes_masks and cases else ()
        missing = {name.rpartition("/")[0]: None for name in outputs}.keys() - layers.keys()
        return returned.Returned(
            model.file, layers, cases, result, request.inputs, run.notes, read, sorted(missing), request.real
        )

    def _follow(self, like: Returned, mapping: Mapping[str, str]) -> Returned:
        from rnncli.ask import returned

        model, chosen = self.model, self.model.choose(self.model.names)
        kinds = {
            node.name: returned.kind_of({name: array.shape for name, array in node.weights.items()})
            for node in model.contents.recurrent_nodes
            if node.name in chosen
        }
        pairs = returned.pair_layers(like.name, like.kinds, model.file, kinds, mapping)
        cases = {name: like.cases[pair] for pair, name in pairs.items() if pair in like.cases}
        if not cases:
            what = (
                "{file} has no graph: it gets what the layers of {name} get, and rnncli can compute none "
                "of these."
            )
            raise LayerError(what, "Compare it with a model in float32.", file=model.file, name=like.name)
        computing = call.Computing(self.ask.engine, returned.EVERYTHING)
        run = model.run_like(cases, computing)
        gets = Message("each module gets what its pair gets in {name}", name=like.name)
        notes = tuple(join((model.file, note), ": ") for note in (*model.notes, *run.notes, gets))
        places = {name: index for index, name in enumerate(pairs.values())}  # of the model with a graph
        uses = sorted(run.parts, key=lambda use: places.get(use.layer, len(places)))
        return returned.compute_uses(model.file, uses, computing, like.inputs, notes)

    def _inputs_of(self, layer: str) -> set[str]:
        graph = cast("Graph", self.model.contents)
        return {entry.name for entry in graph.inputs} & graph.find_dependencies({layer})

    def batch(self) -> Batch:
        """Return the batch; a model with a graph is called with each sequence."""
        if self.follows:
            return super().batch()
        from rnncli.ask.alone import MOST, Batch, find_axes, note_cut

        remarks: Remarks = ()
        whole, failure = self.returned(), None
        whole.require_layers()
        if not self.model.makes_masks:
            needed = {entry.name for entry in self.model.required_inputs()}  # without initial states
            whole = whole._replace(read=needed & self._inputs_of(next(iter(whole.cases))))
            whole, failure, remarks = find_axes(whole, self.model.contents, self.returned)

        def call(index: int, cut: bool) -> Alone:
            if failure is not None:
                raise failure
            return self.returned(whole.of_sequence(index, cut=cut)).alone

        def note() -> Remarks:
            return (*remarks, *note_cut(whole, self._inputs_of))

        return Batch.of_layers(whole, min(whole.batch, MOST), call, note)

    def lines(self, remarks: NewRemarks) -> Answers:
        """Return what answers lines, each an input of the model, which is opened once."""
        # What only streams need is imported here: a run of a model starts sooner without it.
        from rnncli.ask.lines import name_line, require_whole_value
        from rnncli.inputs.formats import ndjson

        ask, model, options = self.ask, self.model, self.ask.arranging()
        call.require_paddable(model, options)
        if stateful := model.stateful_layers():
            raise UsageError(
                "{--stream}: {stateful} in {file} is stateful, and a stream does not carry the states of a "
                "model from line to line."
                if len(stateful) == 1
                else "{--stream}: {stateful} in {file} are stateful, and a stream does not carry the states "
                "of a model from line to line.",
                "Describe the layer instead: rnncli weights '{file}#{first}' --to keras -o "
                "layer.npz, then rnncli run --stream --stateful --layer ... --weights layer.npz",
                stateful=", ".join(stateful),
                file=model.file,
                first=stateful[0],
            )
        states = ask.read_value("initial_state")

        def answer(line: InputLine) -> Result:
            require_whole_value(line)
            with inside(line.where):
                document = ndjson.model_record(line.text, line.number, model.text_inputs())
            request = call.arrange_inputs(model, document, options, "", states)
            request = request._replace(returns=ask.returns)
            result, run = call.compute_tensors(model, request, ask.engine, everything=ask.all_layers)
            remarks.add(run.notes)
            return result

        def answers(lines: Iterable[InputLine]) -> Iterator[Result | RnncliError]:
            for line in lines:
                try:
                    yield answer(line)
                except InputError as error:
                    yield name_line(line, error)

        return answers

    @property
    def _generates(self) -> bool:
        return self.ask.input_shape is not None or self.ask.is_bare

    def _generate(self, model: SavedModel) -> tuple[Document, str]:
        from rnncli.initializers import draw_seed
        from rnncli.models.call import generate_inputs

        ask = self.ask
        shape = None if ask.input_shape is None else ask.generated_shape()
        seed = draw_seed() if ask.seed is None else ask.seed
        arrays, note = generate_inputs(model, shape, ask.fill, seed)
        return Document(cast("Any", arrays), remarks=(note,)), ""

    @cached_property
    def _given(self) -> tuple[SavedModel, ModelRequest]:
        """The model, which takes one window at a time where its state goes on, and what it is given."""
        return self._read()

    def _read(
        self, like: Returned | None = None, model: SavedModel | None = None
    ) -> tuple[SavedModel, ModelRequest]:
        """Read or generate the inputs of the model; or take those of another subject, and its mask.

        model: opened already.
        """
        ask, model = self.ask, model or self.model
        if like is not None:
            given = model.name_inputs(like.inputs)
            ask = ask._replace(input=given, mask=like.mask if model.takes_masks else None)
        options = ask.arranging()
        call.require_paddable(model, options)
        generates = self._generates and like is None
        document, name = self._generate(model) if generates else ask.read_raw(model.text_inputs())
        states = ask.read_value("initial_state")
        windowed = None if ask.window is None else model.for_windows()
        request = call.arrange_inputs(windowed or model, document, options, name, states)
        goes_on = None if windowed is None else ask.windows_follow
        windows = ask.note_windows(is_stateful=bool(model.stateful_layers()), goes_on=goes_on)
        request = request._replace(
            returns=ask.returns,
            remarks=(*request.remarks, *windows),
            windowed=windowed is not None,
            consecutive=bool(goes_on),
        )
        return windowed or model, request


def _verify_in_framework(
    model: SavedModel,
    request: ModelRequest,
    parts: Parts,
    result: Result,
    tolerances: TolerancePair,
    _budget: int | None,
) -> tuple[Result, Remarks]:
    compared = call.compare_with_framework(model, request, parts.uses, result, *tolerances)
    if result.assumed is None:
        return compared, ()
    text = "{--check} compares the numbers under what was assumed ({words}), not whether that is right"
    return compared, (Message(text, words=result.assumed.words),)


def _require_whole(model: SavedModel) -> None:
    from rnncli.models.graph import Graph, model_option
    from rnncli.models.keras.choice import explain_hidden, runnable_layers

    graph = model.contents
    if model.names or not isinstance(graph, Graph):
        return
    others = runnable_layers(graph)  # none: the run says why
    for name, why in explain_hidden(graph).items() if others else ():
        choice = Message("Choose others: {option}", option=model_option(graph.file, others))
        with inside(graph.file):
            raise LayerError("{name} cannot be exported: {why}.", choice, name=name, why=why)
