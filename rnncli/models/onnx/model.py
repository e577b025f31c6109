"""An ONNX model and its inputs, as the Cases of its recurrent nodes.

ONNX Runtime computes the inputs of each recurrent node; rnncli computes the outputs step by step, and they
must agree with the outputs of ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Array, Dimension, Shape
from rnncli.compute.compare import measure
from rnncli.errors import (
    EngineError,
    InputError,
    LayerError,
    Message,
    Text,
    format_names,
)
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case
from rnncli.layers.stack import Stack
from rnncli.models import CasePair, LayerUse, ModelRequest, ModelRun, SavedModel, name_file
from rnncli.models import inputs as model_inputs
from rnncli.models.graph import ModelInput, model_option, name_loops
from rnncli.models.inputs import empty_input
from rnncli.models.layer_cases import name_outputs
from rnncli.models.onnx import nodes as onnx_nodes
from rnncli.models.onnx import runtime
from rnncli.models.onnx.nodes import inputs_of, is_recurrent, nodes_in
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.models import Compute
    from rnncli.models.graph import Program
    from rnncli.models.summary import Summary


class Model(SavedModel):
    """The graph of an ONNX file."""

    zeroes_empty = True

    def __init__(self, contents: Program, path: Path = Path(), names: Sequence[str] = ()) -> None:
        nodes = {name for node in contents.nodes for name in node.names}
        if not {*names} <= nodes:  # the others may be names of the nodes' outputs
            every = nodes_in(runtime.parse(contents.content).graph)
            makers = {tensor: node.name for node in every for tensor in node.output}
            names = [name if name in nodes else makers.get(name, name) for name in names]
        super().__init__(contents, path, names)

    def refuse_axes(self) -> Text:
        """Return the message that the graph decides the axes of its inputs."""
        return Message("{file} has the order of its own graph", file=self.file)

    contents: Program

    def summarize(self, sizes: Mapping[str, Shape]) -> Summary:
        """Return every node with its shapes and parameters."""
        from rnncli.models.onnx.summary import summarize

        return summarize(self.contents, sizes)

    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return every given input in the dtype that the model expects; initial states are optional."""
        graph = runtime.parse(self.contents.content).graph
        return model_inputs.fit_inputs(self.contents, given, optional=runtime.states_of(graph))

    def required_inputs(self) -> tuple[ModelInput, ...]:
        """Return the inputs that must be given, without initial states; see `_with_axes`."""
        graph = runtime.parse(self.contents.content).graph
        states, sizes = runtime.states_of(graph), {tensor.name: tensor.dims for tensor in graph.initializer}
        recurrent = (node for node in nodes_in(graph) if is_recurrent(node))
        readers = {node.input[0]: node for node in recurrent if node.input[1] in sizes}
        return tuple(
            _with_axes(wanted, readers[wanted.name], sizes[readers[wanted.name].input[1]][2])
            if wanted.name in readers
            else wanted
            for wanted in super().required_inputs()
            if wanted.name not in states
        )

    def vocabularies(self) -> dict[str, int]:
        """Return the rows of the tables that a Gather takes rows of by an input, maybe cast."""
        graph = runtime.parse(self.contents.content).graph
        rows = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
        source = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
        return {
            source.get(node.input[1], node.input[1]): rows[node.input[0]]
            for node in graph.node
            if node.op_type == "Gather" and node.input[0] in rows
        }

    @name_file
    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each requested recurrent node of the model gets for the inputs.

        Raises LayerError for a node that cannot be computed, UsageError for an unknown name, InputError if
        the model cannot take the inputs, EngineError if ONNX Runtime is missing, fails or differs.
        """
        wanted = request.choose(self.contents)
        prepared = _Prepared(self.contents, request.inputs, (*wanted, *request.others))
        present = runtime.recurrent_in(prepared.graph)
        names = [name for name in wanted if name in present]
        if (wanted and not names) or (request.layers and len(names) < len(wanted)):
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
            parts.append(LayerUse(name, case, compute_and_compare(given, case, request.compute)))
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
        elif request.others:
            others = prepared.other_outputs(request.others)
        order = tuple(node.name for node in self.contents.nodes)
        return ModelRun(tuple(parts), others, tuple(notes), tuple(dict.fromkeys(masks)), order, "onnx")

    @property
    def notes(self) -> tuple[Text, ...]:
        """What the reader said, and the loops that are not shown."""
        loops = self.contents.loops
        return (*super().notes, *([Message("not shown: {loops}.", loops=name_loops(loops))] if loops else []))

    @property
    def framework(self) -> str:
        """What --check runs the model in."""
        return "ONNX Runtime"

    def output_names(self) -> tuple[str, ...]:
        """Return the tensors that the model returns and that are not of a recurrent node."""
        graph = runtime.parse(self.contents.content).graph
        wanted = {output.name for output in graph.output}
        return tuple(
            name for node in graph.node for name, tensor in name_tensors(node).items() if tensor in wanted
        )

    @name_file
    def outputs(self, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]) -> dict[str, Array]:
        """Return every tensor of these nodes, and the outputs of the other nodes, from ONNX Runtime."""
        prepared = _Prepared(self.contents, inputs, list(cases))
        returned = {
            f"{name}/{tensor}": array
            for name, given in prepared.node_calls(list(cases)).items()
            for tensor, array in list_returns(given).items()
        }
        try:
            return prepared.other_outputs() | returned
        except EngineError:  # of a node that no recurrent node depends on
            return returned

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
    batch_first: the recurrent nodes with layout 1 in the file.  notes: the states and branches chosen.
    """

    def __init__(self, program: Program, inputs: Mapping[str, Array], wanted: Sequence[str]) -> None:
        self.model = runtime.parse(program.content)
        self.graph = self.model.graph
        self.batch_first = {node.name for node in nodes_in(self.graph) if runtime.is_batch_first(node)}
        self.feeds, self.notes = dict(inputs), list[Text]()
        self._names = {node.name for node in program.nodes}
        runtime.time_first(self.graph)
        self._add_states(program)
        while (node := runtime.find_if(self.graph, wanted)) is not None:
            condition = runtime.values(self.model, self.feeds, [node.input[0]])[node.input[0]]
            taken = bool(condition.ravel()[0])
            branch = "then" if taken else "else"
            note = "{name} (If): the input takes the {branch} branch."
            self.notes.append(Message(note, name=node.name, branch=branch))
            runtime.inline_branch(self.graph, node, taken=taken)
        recurrent = [node for node in self.graph.node if is_recurrent(node)]
        self.nodes = {node.name: type(node).FromString(node.SerializeToString()) for node in recurrent}
        self._made = {node.name: runtime.complete_outputs(node) for node in recurrent}

    def _add_states(self, program: Program) -> None:
        """Feed zeros for missing initial states, with a note."""
        states = runtime.states_of(self.graph)
        required = [wanted for wanted in program.inputs if wanted.name in states and not wanted.optional]
        missing = [wanted for wanted in required if wanted.name not in self.feeds]
        given = dict(self.feeds)
        for wanted in missing:
            zeros = _zeros_for(wanted, program.inputs, given)
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
        """Raise LayerError if these recurrent nodes depend on a node that ONNX Runtime does not compute."""
        made = [tensor for name in names for tensor in self._made[name]]
        runtime.require_known(self.model, runtime.select_needed(self.graph, made))

    def _refuse_empty(self, tensors: Iterable[str]) -> None:
        """Raise InputError if these tensors depend on a recurrent node that gets no steps or sequences.

        ONNX Runtime would end the process, so the inputs of the nodes are computed first, in turn.
        """
        if all(array.size for array in self.feeds.values()):
            return
        for node in filter(is_recurrent, runtime.select_needed(self.graph, tensors)):
            sequence = inputs_of(node)[0]
            if 0 in runtime.values(self.model, self.feeds, [sequence])[sequence].shape[:2]:
                raise empty_input(node.name)

    def node_calls(self, names: Sequence[str]) -> dict[str, NodeCall]:
        """Return the inputs and outputs of each of these recurrent nodes."""
        self._refuse_empty(tensor for name in names for tensor in self._made[name])
        taken = {name: inputs_of(self.nodes[name]) for name in names}
        tensors = [tensor for name in names for tensor in (*filter(None, taken[name]), *self._made[name])]
        arrays = runtime.values(self.model, self.feeds, tensors)
        return {
            name: NodeCall(
                self.nodes[name],
                tuple(arrays[tensor] if tensor else None for tensor in taken[name]),
                tuple(arrays[tensor] for tensor in self._made[name]),
            )
            for name in names
        }

    def list_omissions(self) -> Iterator[Text]:
        """Yield a note on each unknown operator, with the nodes that depend on it."""
        unknown = runtime.find_dependents(self.model)
        for cause in dict.fromkeys(unknown.values()):
            yield Message(
                "skipped {names}: ONNX Runtime does not know the operator {cause}.",
                names=", ".join(name for name, operator in unknown.items() if operator == cause),
                cause=cause,
            )

    def other_outputs(self, names: Collection[str] | None = None) -> dict[str, Array]:
        """Return the output of every node that is not recurrent, or of these nodes, by `NODE/output`."""
        named: dict[str, str] = {}
        shown = self._names - runtime.find_dependents(self.model).keys() - self.nodes.keys()
        for node in self.graph.node:
            if node.name in shown and (node.op_type != "Constant" if names is None else node.name in names):
                named |= name_tensors(node)
        tensors = runtime.values(self.model, self.feeds, list(named.values()))
        arrays = {name: tensors[made] for name, made in named.items() if hasattr(tensors[made], "dtype")}
        return {name: array for name, array in arrays.items() if array.dtype.kind in "iufb"}


def name_tensors(node: Any) -> dict[str, str]:
    """Return the tensors that the node makes, by the names that rnncli shows."""
    made = [name for name in node.output if name]
    return dict(zip(name_outputs(node.name, len(made)), made, strict=True))


def _with_axes(wanted: ModelInput, node: Any, features: int) -> ModelInput:
    """Return the sequence of a recurrent node with its batch axis named, and as wide as the kernel."""
    if wanted.shape is None or len(wanted.shape) != 3:
        return wanted
    names: tuple[Dimension, ...] = ("steps", "batch", features)
    if runtime.is_batch_first(node):
        names = ("batch", "steps", features)
    sizes = zip(wanted.shape, names, strict=True)
    return replace(wanted, shape=tuple(size if isinstance(size, int) else name for size, name in sizes))


def _zeros_for(wanted: ModelInput, others: Iterable[ModelInput], inputs: Mapping[str, Array]) -> Array | None:
    """Return a state of zeros, its named axes as long as in the inputs; None if a length is unknown."""
    import numpy as np

    lengths: dict[Dimension, int] = {
        axis: length
        for other in others
        if other.name in inputs
        for axis, length in zip(other.shape or (), inputs[other.name].shape, strict=False)
        if isinstance(axis, str)
    }
    shape = [axis if isinstance(axis, int) else lengths.get(axis) for axis in wanted.shape or (None,)]
    return None if None in shape else np.zeros([length or 0 for length in shape], wanted.dtype)


TOLERANCE = 1e-5
"""Tolerance between two float32 computations, absolute and relative."""
ROUNDING_FACTOR = 16
"""Rounding grows with the steps; this multiple of the rounding error of rnncli's computation is allowed."""


class NodeCall(NamedTuple):
    """A node in a run.

    inputs: X (timesteps, batch, features), W, R, B, sequence_lens, initial_h, initial_c, P; None for an
        input that the node does not take.
    outputs: Y (timesteps, directions, batch, units), Y_h and, of an LSTM, Y_c (directions, batch, units).
    """

    node: Any
    inputs: tuple[Array | None, ...]
    outputs: tuple[Array, ...]


def build_node_case(given: NodeCall) -> Case:
    """Return the Case that computes the outputs of the node.  Raises LayerError or InputError."""
    import numpy as np

    sequence, kernel, recurrent, bias = (array for array in given.inputs[:4])
    if sequence is None or kernel is None or recurrent is None or 0 in sequence.shape:
        raise empty_input(given.node.name)
    lengths = given.inputs[4]
    steps = len(sequence)
    masked = lengths is not None and bool((lengths < steps).any())
    loop = onnx_nodes.recurrence_of(given.node, recurrent.shape[-1])
    try:
        spec = onnx_nodes.layer_of(loop, masked=masked)
        weights = onnx_nodes.weights_of(loop, kernel, recurrent, bias, given.inputs[7])
    except LayerError as error:
        raise LayerError(
            "{name}: {sentence}.", error.advice, name=given.node.name, sentence=error.sentence
        ) from None
    case = Case(
        Stack((spec,)),
        inputs=np.ascontiguousarray(sequence.swapaxes(0, 1), np.float32),
        mask=np.arange(steps) < lengths[:, None] if masked and lengths is not None else None,
        initial_state=_states(given),
        weights=weights,
        seed=None,
    )
    return check_case(case)


def _states(given: NodeCall) -> tuple[Array, ...] | None:
    """Return the initial states in Keras's order; zeros if there are no steps, as in ONNX Runtime."""
    import numpy as np

    lengths, *states = given.inputs[4 : 7 if given.node.op_type == "LSTM" else 6]
    if all(state is None for state in states):
        return None
    like = given.outputs[1]
    full = [np.zeros_like(like) if state is None else state for state in states]
    if lengths is not None:
        full = [np.where((lengths > 0)[None, :, None], state, 0) for state in full]
    return tuple(state[direction].astype(np.float32) for direction in range(len(like)) for state in full)


def list_returns(given: NodeCall) -> dict[str, Array]:
    """Return everything that the node can return, by each name under which it may be shown."""
    import numpy as np

    sequence, *states = given.outputs
    returned = {
        "hidden_states": np.concatenate(list(sequence.transpose(1, 2, 0, 3)), axis=-1),
        "hidden_state": np.concatenate(list(states[0]), axis=-1),
    }
    directions = ("",) if len(states[0]) == 1 else ("forward_", "backward_")
    for index, direction in enumerate(directions):
        for part, state in zip(("hidden", "cell"), states, strict=False):
            returned[f"{direction}last_{part}_state"] = state[index]
    return returned


def compute_and_compare(given: NodeCall, case: Case, compute: Compute) -> Result | None:
    """Return the result of the Case; None if it returns fewer tensors than are compared.

    All tensors that the node can return are compared, also the tensors that the model does not use.
    Raises EngineError if the numbers differ by more than rounding explains.
    """
    full = case._replace(stack=case.stack.with_returns(return_sequences=True, return_state=True))
    result = compute(full)
    theirs = list_returns(given)
    ours = {tensor.name: tensor.values for tensor in result.outputs}
    if not _agrees(ours, theirs, {}):
        allowed = _estimate_rounding(full, ours)
        if not _agrees(ours, theirs, allowed):
            gaps = (measure(tensor, theirs[tensor.name], ("", ""), 0, 0) for tensor in result.outputs)
            largest = max(gap.absolute for gap in gaps)
            raise EngineError(
                "{name}: rnncli's result differs from ONNX Runtime's by up to {largest:.2g}.",
                "Check the node's inputs for NaN, infinity or numbers above 1e18; the two differ there.",
                name=given.node.name,
                largest=largest,
            )
    return result if full.stack == case.stack else None


def _agrees(ours: Mapping[str, Array], theirs: Mapping[str, Array], allowed: Mapping[str, Array]) -> bool:
    """Return whether all numbers are near enough.  allowed: additional tolerance by tensor."""
    import numpy as np

    for name, array in ours.items():
        other = theirs[name]
        with np.errstate(all="ignore"):
            bound = TOLERANCE * (1 + np.abs(other)) + allowed.get(name, 0)
            same = (array == other) | (np.isnan(array) & np.isnan(other)) | (np.abs(array - other) <= bound)
        if array.shape != other.shape or not same.all():
            return False
    return True


def _estimate_rounding(case: Case, ours: Mapping[str, Array]) -> dict[str, Array]:
    """Return the rounding error of float32: the difference from float64, times ROUNDING_FACTOR.

    A sequence has the largest error of all its steps: two programs round differently at each step.
    """
    import numpy as np

    from rnncli import compute

    exact = {tensor.name: tensor.values for tensor in compute.run(_to_float64(case), "numpy").outputs}
    errors = {}
    for name, array in ours.items():
        with np.errstate(all="ignore"):
            apart = np.nan_to_num(np.abs(array - exact[name]), nan=0.0, posinf=0.0)
        axes = tuple(range(1, apart.ndim))
        errors[name] = ROUNDING_FACTOR * apart.max(axis=axes, keepdims=True)
    return errors


def _to_float64(case: Case) -> Case:
    states = case.initial_state
    return case._replace(
        stack=Stack(spec.with_option("dtype", "float64") for spec in case.stack),
        inputs=case.inputs.astype("float64"),
        initial_state=states and tuple(state.astype("float64") for state in states),
        weights={name: array.astype("float64") for name, array in (case.weights or {}).items()},
    )
