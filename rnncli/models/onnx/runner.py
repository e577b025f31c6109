"""An ONNX model and its inputs, as the Cases of its recurrent nodes.

ONNX Runtime computes what each node gets; what the node then returns is computed here, step by step, and
has to agree with ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
from rnncli.models.onnx import _graph, _runtime
from rnncli.models.onnx._node_call import NodeCall, build_node_case, compute_alike, list_returns
from rnncli.models.onnx._nodes import inputs_of, is_recurrent, nodes_in

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
        graph = _runtime.parse(self.contents.content).graph
        return model_inputs.fit_inputs(self.contents, given, optional=_graph.states_of(graph))

    @name_file
    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each requested recurrent node of the model gets for the inputs.

        Raises LayerError for a node that cannot be computed, UsageError for an unknown name, InputError if
        the model cannot take the inputs, EngineError if ONNX Runtime is missing, fails or differs.
        """
        wanted = self.choose(request.layers)
        prepared = _prepare(self.contents, request.inputs, wanted)
        present = _graph.recurrent_in(prepared.model.graph)
        names = [name for name in wanted if name in present]
        if not names or (request.layers and len(names) < len(wanted)):
            _refuse_branch(self.contents, [name for name in wanted if name not in present], names)
        self._require_computable(names)
        _runtime.require_known(prepared.model, prepared.find_needed(names))
        parts = []
        for name, given in prepared.node_calls(names).items():
            case = build_node_case(given)
            result = compute_alike(given, case, request.compute)
            parts.append(LayerUse(name, case, result))
        others = prepared.other_outputs() if request.everything else {}
        turned = [name for name in names if name not in prepared.batch_first]
        notes = (
            *prepared.notes,
            *(
                [
                    Message(
                        "{turned}: shown batch first; in the file, X and Y have time first.",
                        turned=format_names(turned),
                    )
                ]
                if turned
                else []
            ),
            *(prepared.list_omissions() if request.everything else ()),
        )
        order = tuple(node.name for node in self.contents.nodes)
        masks = tuple(
            dict.fromkeys(
                inputs_of(prepared.nodes[part.layer])[4] for part in parts if part.case.mask is not None
            )
        )
        return ModelRun(tuple(parts), others, notes, masks, order)

    @property
    def framework(self) -> str:
        """What --check runs the model in."""
        return "ONNX Runtime"

    @name_file
    def outputs(self, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]) -> dict[str, Array]:
        """Return every tensor of these nodes, and the outputs of the other nodes, from ONNX Runtime."""
        prepared = _prepare(self.contents, inputs, list(cases))
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


class PreparedModel(NamedTuple):
    """A model with its inputs; every If that holds a requested node is replaced by the branch taken.

    feeds: every input.  nodes: the recurrent nodes by name, as in the file.  output_names: of each of them,
    all that it can return.  names: of all nodes in the file.  batch_first: the nodes with layout 1 there.
    notes: the states and branches chosen.
    """

    model: Any
    feeds: Mapping[str, Array]
    nodes: Mapping[str, Any]
    output_names: Mapping[str, tuple[str, ...]]
    names: frozenset[str]
    batch_first: frozenset[str]
    notes: tuple[Text, ...]

    def find_needed(self, names: Sequence[str]) -> list[Any]:
        """Return the nodes that these recurrent nodes depend on, and these."""
        return _graph.select_needed(
            self.model.graph, [one for name in names for one in self.output_names[name]]
        )

    def node_calls(self, names: Sequence[str]) -> dict[str, NodeCall]:
        """Return the inputs and outputs of each of these recurrent nodes."""
        taken = {name: inputs_of(self.nodes[name]) for name in names}
        tensors = [one for name in names for one in (*filter(None, taken[name]), *self.output_names[name])]
        found = _runtime.values(self.model, self.feeds, tensors)
        return {
            name: NodeCall(
                self.nodes[name],
                tuple(found[one] if one else None for one in taken[name]),
                tuple(found[one] for one in self.output_names[name]),
            )
            for name in names
        }

    def list_omissions(self) -> Iterator[Text]:
        """Yield a note on each unknown operator, with the nodes that depend on it."""
        unknown = _runtime.find_dependents(self.model)
        for cause in dict.fromkeys(unknown.values()):
            names = [name for name, own in unknown.items() if own == cause]
            yield Message(
                "skipped {names}: ONNX Runtime does not know the operator {cause}.",
                names=", ".join(names),
                cause=cause,
            )

    def other_outputs(self) -> dict[str, Array]:
        """Return the output of every node that is not recurrent, by `NODE/output`."""
        named: dict[str, str] = {}
        unknown = _runtime.find_dependents(self.model)
        for node in self.model.graph.node:
            if node.name in unknown:
                continue
            if node.name not in self.names or is_recurrent(node) or node.op_type == "Constant":
                continue
            made = [name for name in node.output if name]
            named |= zip(name_outputs(node.name, len(made)), made, strict=True)
        found = _runtime.values(self.model, self.feeds, list(named.values()))
        numeric = {name: found[made] for name, made in named.items() if hasattr(found[made], "dtype")}
        return {name: array for name, array in numeric.items() if array.dtype.kind in "iufb"}


def _prepare(model: Program, inputs: Mapping[str, Array], wanted: Sequence[str]) -> PreparedModel:
    """Return the model with zeros for missing states, and with every If replaced by the branch taken."""
    parsed = _runtime.parse(model.content)
    batch_first = frozenset(node.name for node in nodes_in(parsed.graph) if _graph.is_batch_first(node))
    _graph.time_first(parsed.graph)
    feeds, notes = _with_states(model, parsed.graph, inputs)
    while (node := _graph.find_if(parsed.graph, wanted)) is not None:
        condition = _runtime.values(parsed, feeds, [node.input[0]])[node.input[0]]
        taken = bool(condition.ravel()[0])
        notes.append(
            Message(
                "{name} (If): the input takes the {branch} branch.",
                name=node.name,
                branch="then" if taken else "else",
            )
        )
        _graph.inline_branch(parsed.graph, node, taken=taken)
    recurrent = [node for node in parsed.graph.node if is_recurrent(node)]
    nodes = {node.name: type(node).FromString(node.SerializeToString()) for node in recurrent}
    made = {node.name: _graph.complete_outputs(node) for node in recurrent}
    names = frozenset(node.name for node in model.nodes)
    return PreparedModel(parsed, feeds, nodes, made, names, batch_first, tuple(notes))


def _with_states(
    model: Program, graph: Any, inputs: Mapping[str, Array]
) -> tuple[dict[str, Array], list[Text]]:
    """Return the inputs, with zeros for missing initial states, and a note on these."""
    states = _graph.states_of(graph)
    required = {
        wanted.name: wanted for wanted in model.inputs if wanted.name in states and not wanted.optional
    }
    missing = [name for name in required if name not in inputs]
    feeds = dict(inputs)
    for name in missing:
        zeros = model_inputs.zeros_for(required[name], model.inputs, inputs)
        if zeros is None:
            what = Message(
                "missing input: {name}; the sizes of a state of zeros are not in the file.", name=name
            )
            advice = Message(
                "The model expects {name}: {wanted}.", name=name, wanted=model_inputs.describe(required[name])
            )
            raise InputError(what, advice)
        feeds[name] = zeros
    note = Message("initial states that were not given are zeros: {missing}.", missing=", ".join(missing))
    return feeds, [note] if missing else []


def _refuse_branch(model: Program, missing: Sequence[str], present: Sequence[str]) -> None:
    raise InputError(
        "the branch that this input takes does not have {missing}.",
        "It has {present}." if present else "Give a different input, or choose different nodes.",
        missing=", ".join(missing),
        present=", ".join(present),
    )
