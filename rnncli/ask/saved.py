"""A saved model: `--model FILE`, or some of its layers, `--model FILE#gru`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

from rnncli.ask.layer_files import refuse_layer_options
from rnncli.ask.request import INPUT_OPTIONS, RUN_OPTIONS, Ask, Remarks
from rnncli.ask.subject import (
    Bounds,
    Chosen,
    Computed,
    Outline,
    Parts,
    Subject,
    Verified,
    Whole,
)
from rnncli.case import ATOL, RTOL, Document, RawValue, Shape, format_shape
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
from rnncli.inputs.arrange import ArrangeOptions, names_by_axis
from rnncli.inputs.source import find_source, split_layers
from rnncli.models import CasePair, Passed, SavedModel, call
from rnncli.options import ARRAYS, GRAPH, first_given
from rnncli.result import Label, NamedTensor, Result

if TYPE_CHECKING:
    from rnncli.ask.alone import Batch
    from rnncli.ask.lines import InputLine, Lines
    from rnncli.ask.passage import Passage
    from rnncli.ask.returned import Alone, Returned
    from rnncli.compute.compare import TolerancePair
    from rnncli.layers.case import Case
    from rnncli.models.every_weight import LayerWeights
    from rnncli.models.graph import Graph
    from rnncli.models.summary import Summary


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
        """Open the model.  to_run: see `open_model`."""
        ask = self.ask
        given = [*ask.given("layer"), *ask.options, *ask.given(*RUN_OPTIONS, *INPUT_OPTIONS)]
        given = [name for name in given if name != "seed" or not self._generates]
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
            case, remarks, *_ = self.choose()
            return Outline(case.stack, case.inputs.shape, remarks)
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
        """Return the shapes of the inputs that are given; in --input-shape, names of sizes stay."""
        ask = self.ask
        if ask.is_bare:
            return {}
        if ask.input_shape is not None:
            shape, inputs = ask.generated_shape(), model.summarize({}).inputs
            wanted = inputs[0].shape if len(inputs) == 1 else None
            if wanted is not None and len(wanted) == len(shape):
                pairs = zip(wanted, shape, strict=True)
                if all(size == given or not isinstance(size, int) for size, given in pairs):
                    time_first = model.axis_order is not None and not model.axis_order.batch_first
                    return {inputs[0].name: (*shape[1::-1], *shape[2:]) if time_first else shape}
        return {name: array.shape for name, array in self._call(model=model).inputs.items()}

    def weights(self) -> LayerWeights:
        """Return the weights of every layer, or of the layers after the #, in Keras's layout."""
        from rnncli.models.every_weight import choose_layers, weights_of

        source = find_source(split_layers(str(self.ask.model))[0])
        return choose_layers(weights_of(self.model.contents, source), self.model.names)

    def choose(self, address: str = "", *, one_call: bool = False) -> Chosen:
        """Return the Case of one layer, with the inputs, mask and states that it gets in the model."""
        return self._choose(address, alone=True).chosen

    def parts(self, address: str = "", *, one_call: bool = False, whole: bool = False) -> Parts:
        """Return every recurrent layer, or those named after the #."""
        if whole:
            _require_whole(self.model)
        return self._choose(address)

    def _choose(self, address: str, *, alone: bool = False) -> Parts:
        """Return the chosen layers.  alone: whether the command takes one."""
        model_call, hold = self._own_call, self.ask.hold
        run, notes, prefix = model_call.choose_parts(address, alone=alone, hold=bool(hold))
        shown = {use.layer: call.with_returns(use.case, model_call.returns) for use in run.parts}
        pairs = {
            use.layer: CasePair(use.case, call.with_returns(shown[use.layer], {"return_state": True}))
            for use in run.parts
        }
        several = len(shown) > 1
        in_model = "" if several else f"{run.parts[0].layer}/"
        reference = partial(_verify_in_framework, model_call, pairs, in_model)
        if hold:
            from rnncli.compute import holds

            shown = {layer: holds.hold_gates(case, hold) for layer, case in shown.items()}
            notes = (*notes, *(note for case in shown.values() for note in holds.note_bounds(case)))
        uses = tuple(use._replace(case=shown[use.layer]) for use in run.parts)
        specs = {layer: case.stack[-1] for layer, case in shown.items()}
        return Parts(uses, notes, reference, prefix, model_call.head(specs, run.masks) if several else None)

    def left_out(self) -> tuple[str, ...]:
        """Return the layers that are not recurrent; nothing if layers are named after the #."""
        return () if self.model.names else self.model.other_layers()

    def chain(self) -> Whole | None:
        """Return the model as one Case; None unless each layer returns the same in it as in the model."""
        from rnncli.compute import compare, run

        model_call = self._own_call
        chain = None if self.model.names else self.model.chain(model_call.inputs, model_call.returns)
        if chain is None or model_call.consecutive:
            return None
        names, case = chain
        expected = call.compute_tensors(model_call, self.ask.engine, everything=True)
        returned = {
            f"{names[tensor.label.layer]}/{tensor.label.without_layer}": tensor
            for tensor in run(case._replace(all_layers=True)).outputs
            if isinstance(tensor.label.layer, int)
        }
        for tensor in expected.result.outputs:
            ours = returned.get(tensor.name)
            if ours is None or not compare.measure(ours, tensor.values, ("", ""), ATOL, RTOL).agrees:
                return None
        return Whole(names, case, expected.notes)

    def compute(self, budget: int | None = None) -> Computed:
        """Return one result, with the tensors of all layers under their names in the model."""
        computed = _compute(self._own_call, self.ask.engine, everything=self.ask.all_layers)
        if self.ask.all_layers or self.model.names or not (hidden := self.model.last_layers()):
            return computed
        text = "{file}: the model returns the output of {names}; {--all-layers:on} shows every layer"
        note = Message(text, file=self.model.file, names=format_names(hidden))
        return computed._replace(remarks=(*computed.remarks, note))

    def passage(self, cases: Mapping[str, Case]) -> Passage:
        """Return the inputs of the model, and all its layers."""
        from rnncli.ask.passage import Passage, pass_graph
        from rnncli.models.graph import Graph

        model_call, graph = self._own_call, self.model.contents
        if not isinstance(graph, Graph):
            return super().passage(cases)
        whole = model_call._replace(model=self.model.with_names(()))

        def layers() -> Sequence[Passed]:
            result = call.compute_tensors(whole, self.ask.engine, everything=True).result
            return list(pass_graph(graph, model_call.inputs, result.outputs))

        return Passage(model_call.inputs, layers)

    @property
    def follows(self) -> bool:
        """Whether the file has no graph."""
        return self.model.takes_masks

    def returned(self, like: Returned | None = None, mapping: Mapping[str, str] = {}) -> Returned:
        """Return every tensor of the chosen layers; if none is named, of recurrent ones, and the outputs."""
        from rnncli.ask import returned

        if like is not None and self.follows:
            return self._follow(like, mapping)
        model_call = self._call(like)._replace(returns=returned.EVERYTHING)
        model = model_call.model
        outputs = () if model.names else model.output_names()
        tensors = call.compute_tensors(model_call, self.ask.engine, everything=bool(outputs))
        layers: dict[str, tuple[NamedTensor, ...]] = {}
        for tensor in tensors.result.outputs:
            name = str(tensor.label.layer)
            if name in tensors.cases or tensor.name in outputs or model.names:
                layers[name] = (*layers.get(name, ()), tensor)
        cases = {name: pair.model for name, pair in tensors.cases.items()}
        inputs, remarks = model_call.inputs, tensors.notes
        read = self._inputs_of(next(iter(cases))) if model.makes_masks and cases else ()
        missing = {name.rpartition("/")[0]: None for name in outputs}.keys() - layers.keys()
        return returned.Returned(
            model.file, layers, cases, tensors.result, inputs, remarks,
            read, sorted(missing), model_call.real,
        )  # fmt: skip

    def _follow(self, like: Returned, mapping: Mapping[str, str]) -> Returned:
        """Return what the layers of a file without a graph return for the inputs of their pairs."""
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
            raise LayerError(
                "{file} has no graph: it gets what the layers of {name} get, and rnncli can compute none "
                "of these.",
                "Compare it with a model in float32.",
                file=model.file,
                name=like.name,
            )
        computing = call.Computing(self.ask.engine, returned.EVERYTHING)
        run = model.run_like(cases, computing)
        gets = Message("each module gets what its pair gets in {name}", name=like.name)
        notes = tuple(join((model.file, note), ": ") for note in (*model.notes, *run.notes, gets))
        places = {name: index for index, name in enumerate(pairs.values())}  # of the model with a graph
        uses = sorted(run.parts, key=lambda use: places.get(use.layer, len(places)))
        return returned.compute_uses(model.file, uses, computing, like.inputs, notes)

    def _inputs_of(self, layer: str) -> set[str]:
        """Return the inputs of a graph that a layer depends on."""
        graph = cast("Graph", self.model.contents)
        return {wanted.name for wanted in graph.inputs} & graph.find_dependencies({layer})

    def batch(self) -> Batch:
        """Return the batch; a model with a graph is called with each sequence."""
        if self.follows:
            return super().batch()
        from rnncli.ask.alone import MOST, Batch, FoundAxes, find_axes, note_cut

        found = FoundAxes(self.returned())
        found.whole.require_layers()
        if not self.model.makes_masks:
            needed = {wanted.name for wanted in self.model.required_inputs()}  # without initial states
            read = needed & self._inputs_of(next(iter(found.whole.cases)))
            found = find_axes(found.whole._replace(read=read), self.model.contents, self.returned)
        whole = found.whole

        def call(index: int, cut: bool) -> Alone:
            if found.failure is not None:
                raise found.failure
            return self.returned(whole.of_sequence(index, cut=cut)).alone

        return Batch.of_layers(
            whole, min(whole.batch, MOST), call, lambda: (*found.remarks, *note_cut(whole, self._inputs_of))
        )

    def lines(self) -> Lines:
        """Return what answers lines, each an input of the model, which is opened once."""
        from rnncli.ask.lines import Lines

        model, options = self.model, self.ask.arranging()
        call.require_paddable(model, options)
        _require_stateless(model)
        model_lines = _ModelLines(self.ask, model, options)
        return Lines(model_lines.remarks, model_lines.answers)

    @property
    def _generates(self) -> bool:
        """Whether the input is generated."""
        return self.ask.input_shape is not None or self.ask.is_bare

    def _generate(self, model: SavedModel) -> tuple[Document, str]:
        """Return an input that fits the model, with a remark on it."""
        from rnncli.initializers import draw_seed
        from rnncli.models.generated import generate

        ask = self.ask
        shape = None if ask.input_shape is None else ask.generated_shape()
        arrays, note = generate(model, shape, ask.fill, draw_seed() if ask.seed is None else ask.seed)
        return Document(cast("Any", arrays), remarks=(note,)), ""

    @cached_property
    def _own_call(self) -> call.ModelCall:
        """The model with its own inputs, which are read once."""
        return self._call()

    def _call(self, like: Returned | None = None, model: SavedModel | None = None) -> call.ModelCall:
        """Open the saved model, and read or generate its inputs; or take another subject's, and its mask.

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
        model_call = call.arrange_inputs(windowed or model, document.inputs, options, name, states)
        goes_on = None if windowed is None else ask.windows_follow
        windows = ask.note_windows(is_stateful=bool(model.stateful_layers()), goes_on=goes_on)
        remarks = (*document.remarks, *model_call.remarks, *windows)
        _, names = names_by_axis(document, options.axes)
        model_call = model_call._replace(windowed=windowed is not None, consecutive=bool(goes_on))
        return model_call._replace(returns=ask.returns, remarks=remarks, sequence_names=names)


def _compute(model_call: call.ModelCall, engine: str, *, everything: bool) -> Computed:
    """Return what a model returns for one input.  everything: include all layers that are not recurrent."""
    tensors = call.compute_tensors(model_call, engine, everything=everything)
    return Computed(
        results=iter((tensors.result,)),
        batch=tensors.result.input_shape[0],
        chunks=1,
        remarks=tensors.notes,
        cases={f"{layer}/": pair.display for layer, pair in tensors.cases.items()},
        reference=partial(_verify_in_framework, model_call, tensors.cases, ""),
        bounds=partial(bounds_of, tensors.by_layer),
    )


class _ModelLines:
    """Answers lines with a saved model, which keeps no state from one line to the next.

    What only streams need is imported here when they do: a run of a model starts sooner without it.

    states: the initial states that are given.
    """

    def __init__(self, ask: Ask, model: SavedModel, options: ArrangeOptions) -> None:
        from rnncli.ask.lines import NewRemarks

        self.ask, self.model, self.options = ask, model, options
        self.states: RawValue = ask.read_value("initial_state")
        self.remarks = NewRemarks()

    def answers(self, lines: Iterable[InputLine]) -> Iterator[Result | RnncliError]:
        """Yield a result or an error for each line, in order."""
        from rnncli.ask.lines import name_line

        for line in lines:
            try:
                yield self._answer(line)
            except InputError as error:
                yield name_line(line, error)

    def _answer(self, line: InputLine) -> Result:
        from rnncli.ask.lines import require_whole_value
        from rnncli.inputs.formats import ndjson

        require_whole_value(line)
        with inside(line.where):
            raw, read = ndjson.model_record(line.text, line.number, self.model.text_inputs())
        model_call = call.arrange_inputs(self.model, raw, self.options, "", self.states)
        model_call = model_call._replace(returns=self.ask.returns, remarks=(*read, *model_call.remarks))
        computed = _compute(model_call, self.ask.engine, everything=self.ask.all_layers)
        self.remarks.add(computed.remarks)
        return next(computed.results)


def _verify_in_framework(
    model_call: call.ModelCall,
    cases: Mapping[str, CasePair],
    prefix: str,
    _case: Case | None,
    result: Result,
    tolerances: TolerancePair,
    _budget: int | None,
) -> Verified:
    """Compare a result with the framework of the model, in one piece.

    cases, prefix: see `ModelCall.compare_with_framework`.  The other two are what a Reference takes.
    """
    compared, disagreeing = model_call.compare_with_framework(cases, result, *tolerances, prefix=prefix)
    remarks: Remarks = ()
    if result.assumed is not None:
        text = "{--check} compares the numbers under what was assumed ({words}), not whether that is right"
        remarks = (Message(text, words=result.assumed.words),)
    return Verified(compared, disagreeing, remarks)


def bounds_of(results: Mapping[str, Result]) -> dict[Label, Bounds]:
    """Return the limits of the tensors of the recurrent layers, by their labels in the model."""
    from rnncli.compute import trace
    from rnncli.layers.stack import Stack

    return {
        label._replace(layer=layer): limits
        for layer, result in results.items()
        for label, limits in trace.tensor_bounds(
            Stack(result.specs), result.input_shape, all_layers=result.all_layers
        ).items()
    }


def _require_whole(model: SavedModel) -> None:
    """Raise LayerError if layers that have or may have recurrent weights would be left out unasked."""
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


def _require_stateless(model: SavedModel) -> None:
    """Raise UsageError for layers that continue from the state after the previous line."""
    stateful = model.stateful_layers()
    if stateful:
        raise UsageError(
            "{--stream}: {stateful} in {file} is stateful, and a stream does not carry the states of a model "
            "from line to line."
            if len(stateful) == 1
            else "{--stream}: {stateful} in {file} are stateful, and a stream does not carry the states of a "
            "model from line to line.",
            "Describe the layer instead: rnncli weights '{file}#{first}' --to keras -o "
            "layer.npz, then rnncli run --stream --stateful --layer ... --weights layer.npz",
            stateful=", ".join(stateful),
            file=model.file,
            first=stateful[0],
        )
