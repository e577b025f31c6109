"""An ONNX model and its inputs, as the Cases of its recurrent nodes.

ONNX Runtime computes what each node gets; what the node then returns is computed here, step by step, and
has to agree with ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.case import Array
from rnncli.errors import (
    EngineError,
    InputError,
    LayerError,
    Message,
    Text,
    UsageError,
    did_you_mean,
    format_names,
    join,
)
from rnncli.models import CasePair, LayerUse, ModelRequest, ModelRun, SavedModel, name_file
from rnncli.models import inputs as model_inputs
from rnncli.models.framework_runs import name_outputs
from rnncli.models.graph import model_option
from rnncli.models.onnx import graph as graphs
from rnncli.models.onnx import runtime
from rnncli.models.onnx.node_call import NodeCall, build_node_case, compute_alike, list_returns
from rnncli.models.onnx.nodes import inputs_of, is_recurrent, nodes_in

if TYPE_CHECKING:
    from rnncli.models.graph import Program


class Model(SavedModel):
    """The graph of an ONNX file."""

    own_axes = True
    contents: Program

    def layer_names(self) -> tuple[str, ...]:
        """Return the recurrent nodes, also those in the branches of an If."""
        return tuple(node.name for node in self.contents.nodes if node.module == "keras.layers")

    @name_file
    def choose(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the nodes with these names; all without names.

        Raises UsageError for another name, InputError if the model has no recurrent node.
        """
        known = self.layer_names()
        if not known:
            what = Message("the model has no LSTM, GRU or RNN node.")
            others = join(self.notes, " ")
            raise InputError(what, others or Message("rnncli supports only these recurrent operators."))
        for name in names:
            if name not in known:
                other = next((node for node in self.contents.nodes if node.name == name), None)
                what = (
                    Message(
                        "the node {name} ({class_name}) is not recurrent",
                        name=name,
                        class_name=other.class_name,
                    )
                    if other
                    else Message("there is no node {name}", name=name)
                )
                raise UsageError("{what}.", did_you_mean(name, known), what=what)
        return tuple(name for name in known if not names or name in names)

    def describe_inputs(self) -> str:
        """Return `ids: (batch, 12), int32` and so on, for every input."""
        return model_inputs.describe_inputs(self.contents)

    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return every given input in the dtype that the model expects; initial states are optional."""
        graph = runtime.parse(self.contents.content).graph
        return model_inputs.fit_inputs(self.contents, given, optional=graphs.states_of(graph))

    @name_file
    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each requested recurrent node of the model gets for the inputs.

        Raises LayerError for a node that cannot be computed, UsageError for an unknown name, InputError if
        the model cannot take the inputs, EngineError if ONNX Runtime is missing, fails or differs.
        """
        wanted = self.choose(request.layers)
        prepared = _Prepared(self.contents, request.inputs, wanted)
        present = graphs.recurrent_in(prepared.graph)
        names = [name for name in wanted if name in present]
        if not names or (request.layers and len(names) < len(wanted)):
            raise InputError(
                "the branch that this input takes does not have {missing}.",
                "It has {present}." if names else "Give a different input, or choose different nodes.",
                missing=", ".join(name for name in wanted if name not in present),
                present=", ".join(names),
            )
        self._require_computable(names)
        prepared.require_known(names)
        parts, masks = [], []
        for name, given in prepared.node_calls(names).items():
            case = build_node_case(given)
            parts.append(LayerUse(name, case, compute_alike(given, case, request.compute)))
            if case.mask is not None:
                masks.append(inputs_of(given.node)[4])
        notes = prepared.notes
        if turned := [name for name in names if name not in prepared.batch_first]:
            note = "{turned}: shown batch first; in the file, X and Y have time first."
            notes.append(Message(note, turned=format_names(turned)))
        others: dict[str, Array] = {}
        if request.everything:
            others = prepared.other_outputs()
            notes += prepared.list_omissions()
        order = tuple(node.name for node in self.contents.nodes)
        return ModelRun(tuple(parts), others, tuple(notes), tuple(dict.fromkeys(masks)), order)

    @property
    def framework(self) -> str:
        """What --check runs the model in."""
        return "ONNX Runtime"

    @name_file
    def outputs(self, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]) -> dict[str, Array]:
        """Return every tensor of these nodes, and the outputs of the other nodes, from ONNX Runtime."""
        prepared = _Prepared(self.contents, inputs, list(cases))
        found = {
            f"{name}/{tensor}": array
            for name, given in prepared.node_calls(list(cases)).items()
            for tensor, array in list_returns(given).items()
        }
        try:
            return prepared.other_outputs() | found
        except EngineError:  # of a node that none of these depends on
            return found

    def _require_computable(self, wanted: Sequence[str]) -> None:
        """Raise LayerError for the first refused node; the message names the nodes that can be computed."""
        refused = next((name for name in wanted if name in self.contents.refusals), None)
        if refused is None:
            return
        free = [name for name in self.layer_names() if name not in self.contents.refusals]
        advice = (
            Message("To run the others: {option}", option=model_option(self.file, free))
            if free
            else Message("Export the model again without it.")
        )
        raise LayerError(
            "{refused}: rnncli does not compute it: {refusals}.",
            advice,
            refused=refused,
            refusals=self.contents.refusals[refused],
        )


class _Prepared:
    """A model with its inputs; every If that holds a requested node is replaced by the branch taken.

    feeds: every input, with zeros for missing states.  nodes: the recurrent nodes by name, as in the file.
    batch_first: those with layout 1 there.  notes: the states and branches chosen.
    """

    def __init__(self, program: Program, inputs: Mapping[str, Array], wanted: Sequence[str]) -> None:
        self.model = runtime.parse(program.content)
        self.graph = self.model.graph
        self.batch_first = {node.name for node in nodes_in(self.graph) if graphs.is_batch_first(node)}
        self.feeds, self.notes = dict(inputs), list[Text]()
        self._names = {node.name for node in program.nodes}
        graphs.time_first(self.graph)
        self._add_states(program)
        while (node := graphs.find_if(self.graph, wanted)) is not None:
            condition = runtime.values(self.model, self.feeds, [node.input[0]])[node.input[0]]
            taken = bool(condition.ravel()[0])
            branch = "then" if taken else "else"
            note = "{name} (If): the input takes the {branch} branch."
            self.notes.append(Message(note, name=node.name, branch=branch))
            graphs.inline_branch(self.graph, node, taken=taken)
        recurrent = [node for node in self.graph.node if is_recurrent(node)]
        self.nodes = {node.name: type(node).FromString(node.SerializeToString()) for node in recurrent}
        self._made = {node.name: graphs.complete_outputs(node) for node in recurrent}

    def _add_states(self, program: Program) -> None:
        """Feed zeros for missing initial states, with a note."""
        states = graphs.states_of(self.graph)
        own = [one for one in program.inputs if one.name in states and not one.optional]
        missing = [wanted for wanted in own if wanted.name not in self.feeds]
        given = dict(self.feeds)
        for wanted in missing:
            zeros = model_inputs.zeros_for(wanted, program.inputs, given)
            if zeros is None:
                raise InputError(
                    "missing input: {name}; the sizes of a state of zeros are not in the file.",
                    "The model expects {name}: {wanted}.",
                    name=wanted.name,
                    wanted=model_inputs.describe(wanted),
                )
            self.feeds[wanted.name] = zeros
        if missing:
            names = ", ".join(wanted.name for wanted in missing)
            note = "initial states that were not given are zeros: {missing}."
            self.notes.append(Message(note, missing=names))

    def require_known(self, names: Sequence[str]) -> None:
        """Raise LayerError if these recurrent nodes depend on one that ONNX Runtime does not compute."""
        made = [one for name in names for one in self._made[name]]
        runtime.require_known(self.model, graphs.select_needed(self.graph, made))

    def node_calls(self, names: Sequence[str]) -> dict[str, NodeCall]:
        """Return the inputs and outputs of each of these recurrent nodes."""
        taken = {name: inputs_of(self.nodes[name]) for name in names}
        tensors = [one for name in names for one in (*filter(None, taken[name]), *self._made[name])]
        found = runtime.values(self.model, self.feeds, tensors)
        return {
            name: NodeCall(
                self.nodes[name],
                tuple(found[one] if one else None for one in taken[name]),
                tuple(found[one] for one in self._made[name]),
            )
            for name in names
        }

    def list_omissions(self) -> Iterator[Text]:
        """Yield a note on each unknown operator, with the nodes that depend on it."""
        unknown = runtime.find_dependents(self.model)
        for cause in dict.fromkeys(unknown.values()):
            yield Message(
                "skipped {names}: ONNX Runtime does not know the operator {cause}.",
                names=", ".join(name for name, own in unknown.items() if own == cause),
                cause=cause,
            )

    def other_outputs(self) -> dict[str, Array]:
        """Return the output of every node that is not recurrent, by `NODE/output`."""
        named: dict[str, str] = {}
        shown = self._names - runtime.find_dependents(self.model).keys() - self.nodes.keys()
        for node in self.graph.node:
            if node.name in shown and node.op_type != "Constant":
                made = [name for name in node.output if name]
                named |= zip(name_outputs(node.name, len(made)), made, strict=True)
        found = runtime.values(self.model, self.feeds, list(named.values()))
        arrays = {name: found[made] for name, made in named.items() if hasattr(found[made], "dtype")}
        return {name: array for name, array in arrays.items() if array.dtype.kind in "iufb"}
