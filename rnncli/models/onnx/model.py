"""An ONNX model and its inputs, as the Cases of its recurrent nodes.

ONNX Runtime computes the inputs of each recurrent node; rnncli computes the outputs step by step, and they
must agree with the outputs of ONNX Runtime.  A node in float16 is computed in float32, as ONNX Runtime does.
ONNX Runtime computes a node in float64 in float32, too, and the numbers are compared there; rnncli computes
it in float64.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli.compute.compare import measure
from rnncli.errors import EngineError, InputError, LayerError, Message, Text, format_names
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case, to_dtype
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse, ModelRequest, ModelRun, SavedModel, name_file
from rnncli.models import inputs as model_inputs
from rnncli.models.graph import ModelInput, model_option, name_loops
from rnncli.models.inputs import empty_input
from rnncli.models.layer_cases import name_outputs
from rnncli.models.onnx import nodes as onnx_nodes
from rnncli.models.onnx import runtime
from rnncli.models.onnx.nodes import inputs_of, is_recurrent, nodes_in
from rnncli.result import Result
from rnncli.values import Array, Dimension, Shape

if TYPE_CHECKING:
    from rnncli.models import Compute
    from rnncli.models.graph import Program
    from rnncli.models.summary import Summary


NOTES = {
    "float16": "{names}: float16 in the file; computed in float32 and rounded, as in ONNX Runtime.",
    "float64": "{names}: computed in float64; ONNX Runtime has only float32 for it, in which the two agree.",
}
"""What is said of nodes that ONNX Runtime computes in another type than the file says, by that type."""
TOLERANCE = 1e-5
"""Tolerance between two float32 computations, absolute and relative."""
LENGTHS = 4
"""The index of the input sequence_lens."""
ROUNDING_FACTOR = 16
"""Rounding grows with the steps; this multiple of the rounding error of rnncli's computation is allowed."""


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
        return Message("{file} has the order of its own graph", file=self.file)

    contents: Program

    def summarize(self, sizes: Mapping[str, Shape]) -> Summary:
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
            _with_axes(entry, readers[entry.name], sizes[readers[entry.name].input[1]][2])
            if entry.name in readers
            else entry
            for entry in super().required_inputs()
            if entry.name not in states
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
        chosen = request.choose(self.contents)
        prepared = _Prepared(self.contents, request.inputs, (*chosen, *request.others))
        present = runtime.recurrent_in(prepared.graph)
        names = [name for name in chosen if name in present]
        if (chosen and not names) or (request.layers and len(names) < len(chosen)):
            raise InputError(
                "the branch that this input takes does not have {missing}.",
                "It has {present}." if names else "Give a different input, or choose different nodes.",
                missing=", ".join(name for name in chosen if name not in present),
                present=", ".join(names),
            )
        self._require_computable(names)
        prepared.require_known(names)
        parts, masks = [], []
        types: dict[str, list[str]] = {}
        for name, given in prepared.node_calls(names).items():
            case = given.case()
            result = given.compare(case, request.compute)
            rounds_to = given.dtype if given.dtype == "float16" else ""
            parts.append(LayerUse(name, case, result, rounds_to=rounds_to))
            if case.mask is not None:
                masks.append(inputs_of(given.node)[4])
            types.setdefault(given.dtype, []).append(name)
        notes = prepared.notes
        if turned := [name for name in names if name not in prepared.batch_first]:
            note = "{turned}: shown batch first; in the file, X and Y have time first."
            notes.append(Message(note, turned=format_names(turned)))
        noted = ((NOTES[dtype], names) for dtype, names in types.items() if dtype in NOTES)
        notes += [Message(text, names=format_names(names)) for text, names in noted]
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
        return "ONNX Runtime"

    def output_names(self) -> tuple[str, ...]:
        graph = runtime.parse(self.contents.content).graph
        names = {output.name for output in graph.output}
        return tuple(
            name for node in graph.node for name, tensor in name_tensors(node).items() if tensor in names
        )

    @name_file
    def outputs(self, request: ModelRequest, uses: Sequence[LayerUse]) -> dict[str, Array]:
        """Return every tensor of these nodes, and the outputs of the other nodes, from ONNX Runtime."""
        names = [use.layer for use in uses]
        prepared = _Prepared(self.contents, request.inputs, names)
        returned = {
            f"{name}/{tensor}": array
            for name, given in prepared.node_calls(names).items()
            for tensor, array in given.returned().items()
        }
        try:
            return prepared.other_outputs() | returned
        except EngineError:  # of a node that no recurrent node depends on
            return returned

    def _require_computable(self, names: Sequence[str]) -> None:
        refused = next((name for name in names if name in self.contents.refusals), None)
        if refused is None:
            return
        free = [name for name in self.layer_names() if name not in self.contents.refusals]
        advice = (
            Message("To run the others: {option}", option=model_option(self.file, free))
            if free
            else Message("Export the model again without it.")
        )
        what = "{refused}: rnncli does not compute it: {refusals}."
        raise LayerError(what, advice, refused=refused, refusals=self.contents.refusals[refused])


class _Prepared:
    """A model with its inputs; every If that holds a requested node is replaced by the branch taken.

    feeds: every input, with zeros for missing states.  nodes: the recurrent nodes by name, as in the file.
    batch_first: the recurrent nodes with layout 1 in the file.  notes: the states and branches chosen.
    """

    def __init__(self, program: Program, inputs: Mapping[str, Array], names: Sequence[str]) -> None:
        self.model = runtime.parse(program.content)
        self.graph = self.model.graph
        self.batch_first = {node.name for node in nodes_in(self.graph) if runtime.is_batch_first(node)}
        self.feeds, self.notes = dict(inputs), list[Text]()
        self._names = {node.name for node in program.nodes}
        runtime.time_first(self.graph)
        runtime.spell_activations(self.graph)
        self._settled = dict[str, NodeCall]()
        self._add_states(program)
        while (node := runtime.find_if(self.graph, names)) is not None:
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
        states = runtime.states_of(self.graph)
        required = [entry for entry in program.inputs if entry.name in states and not entry.optional]
        missing = [entry for entry in required if entry.name not in self.feeds]
        lengths: dict[Dimension, int] = {
            axis: length
            for entry in program.inputs
            if entry.name in self.feeds
            for axis, length in zip(entry.shape or (), self.feeds[entry.name].shape, strict=False)
            if isinstance(axis, str)
        }
        for entry in missing:  # gets zeros, its named axes as long as in the inputs
            shape = [axis if isinstance(axis, int) else lengths.get(axis) for axis in entry.shape or (None,)]
            if None in shape:
                what = "missing input: {name}; the sizes of a state of zeros are not in the file."
                advice = "The model expects {name}: {wanted}."
                raise InputError(what, advice, name=entry.name, wanted=model_inputs.describe(entry))
            self.feeds[entry.name] = np.zeros([length or 0 for length in shape], entry.dtype)
        if missing:
            names = ", ".join(entry.name for entry in missing)
            note = "initial states that were not given are zeros: {missing}."
            self.notes.append(Message(note, missing=names))

    def require_known(self, names: Sequence[str]) -> None:
        """Raise LayerError if these recurrent nodes depend on a node that ONNX Runtime does not compute."""
        tensors = [tensor for name in names for tensor in self._made[name]]
        runtime.require_known(self.model, runtime.select_needed(self.graph, tensors))

    def _settle(self, tensors: Iterable[str]) -> None:
        """ONNX Runtime computes all floats in float32; a node without sequences ends the process."""
        if all(array.size for array in self.feeds.values()) and not runtime.has_other_floats(self.graph):
            return
        for node in filter(is_recurrent, runtime.select_needed(self.graph, tensors)):
            taken = inputs_of(self.nodes[node.name])
            arrays = runtime.values(self.model, self.feeds, [*filter(None, taken)])
            inputs = tuple(arrays[tensor] if tensor else None for tensor in taken)
            sequence, _, recurrent, *_ = inputs
            if sequence is None or recurrent is None or not len(sequence):
                raise empty_input(node.name)
            if sequence.dtype == "float32" and sequence.shape[1]:
                continue
            if sequence.shape[1]:
                outputs = runtime.values_in_float32(self.model, node, inputs)
            else:
                states = np.zeros((len(recurrent), 0, recurrent.shape[-1]), np.float32)
                steps = np.zeros((len(sequence), *states.shape), np.float32)
                outputs = (steps, *[states] * (len(node.output) - 1))
            self._settled[node.name] = call = NodeCall(self.nodes[node.name], inputs, outputs)
            runtime.replace_by_constants(self.graph, node, call.computed())

    def node_calls(self, names: Sequence[str]) -> dict[str, NodeCall]:
        """Return the inputs and outputs of each of these recurrent nodes."""
        self._settle(tensor for name in names for tensor in self._made[name])
        others = [name for name in names if name not in self._settled]
        taken = {name: inputs_of(self.nodes[name]) for name in others}
        tensors = [tensor for name in others for tensor in (*filter(None, taken[name]), *self._made[name])]
        arrays = runtime.values(self.model, self.feeds, tensors)
        called = {
            name: NodeCall(
                self.nodes[name],
                tuple(arrays[tensor] if tensor else None for tensor in taken[name]),
                tuple(arrays[tensor] for tensor in self._made[name]),
            )
            for name in others
        }
        return {name: self._settled.get(name) or called[name] for name in names}

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
        self._settle(named.values())
        tensors = runtime.values(self.model, self.feeds, list(named.values()))
        arrays = {name: tensors[made] for name, made in named.items() if hasattr(tensors[made], "dtype")}
        return {name: array for name, array in arrays.items() if array.dtype.kind in "iufb"}


def name_tensors(node: Any) -> dict[str, str]:
    """Return the tensors that the node makes, by the names that rnncli shows."""
    names = [name for name in node.output if name]
    return dict(zip(name_outputs(node.name, len(names)), names, strict=True))


def _with_axes(entry: ModelInput, node: Any, features: int) -> ModelInput:
    """Return the sequence of a recurrent node with its batch axis named, and as wide as the kernel."""
    if entry.shape is None or len(entry.shape) != 3:
        return entry
    names: tuple[Dimension, ...] = ("steps", "batch", features)
    if runtime.is_batch_first(node):
        names = ("batch", "steps", features)
    sizes = zip(entry.shape, names, strict=True)
    return replace(entry, shape=tuple(size if isinstance(size, int) else name for size, name in sizes))


class NodeCall(NamedTuple):
    """A node in a run.

    inputs: X (timesteps, batch, features), W, R, B, sequence_lens, initial_h, initial_c, P; None for an
        input that the node does not take.
    outputs: Y (timesteps, directions, batch, units), Y_h and, of an LSTM, Y_c (directions, batch, units),
        in float32.
    """

    node: Any
    inputs: tuple[Array | None, ...]
    outputs: tuple[Array, ...]

    @property
    def dtype(self) -> str:
        """The type in which the file computes the node: float16, float32 or float64."""
        return str(self.inputs[0].dtype) if self.inputs[0] is not None else "float32"

    def case(self) -> Case:
        """Return the Case that computes the outputs of the node.  Raises LayerError or InputError."""
        dtype = "float64" if self.dtype == "float64" else "float32"
        floats = [
            array if array is None else array.astype(dtype, copy=False)
            for index, array in enumerate(self.inputs)
            if index != LENGTHS
        ]
        sequence, kernel, recurrent, bias = floats[:4]
        if sequence is None or kernel is None or recurrent is None or not len(sequence):
            raise empty_input(self.node.name)
        lengths = self.inputs[LENGTHS]
        steps = len(sequence)
        masked = lengths is not None and bool((lengths < steps).any())
        loop = onnx_nodes.recurrence_of(self.node, recurrent.shape[-1])
        try:
            spec = onnx_nodes.layer_of(loop, masked=masked)
            weights = onnx_nodes.weights_of(loop, kernel, recurrent, bias, floats[-1])
        except LayerError as error:
            raise LayerError(
                "{name}: {sentence}.", error.advice, name=self.node.name, sentence=error.sentence
            ) from None
        case = Case(
            Stack((spec.with_option("dtype", dtype),)),
            inputs=np.ascontiguousarray(sequence.swapaxes(0, 1)),
            mask=np.arange(steps) < lengths[:, None] if masked and lengths is not None else None,
            initial_state=self._states(),
            weights=weights,
            seed=None,
        )
        return check_case(case)

    def _states(self) -> tuple[Array, ...] | None:
        """Return the initial states in Keras's order; zeros if there are no steps, as in ONNX Runtime."""
        lengths, *states = self.inputs[4 : 7 if self.node.op_type == "LSTM" else 6]
        if all(state is None for state in states):
            return None
        like = self.outputs[1]
        full = [np.zeros_like(like) if state is None else state for state in states]
        if lengths is not None:
            full = [np.where((lengths > 0)[None, :, None], state, 0) for state in full]
        return tuple(state[direction] for direction in range(len(like)) for state in full)

    def returned(self) -> dict[str, Array]:
        """Return everything that the node can return, by each name under which it may be shown."""
        sequence, *states = self.outputs
        returned = {
            "hidden_states": np.concatenate(list(sequence.transpose(1, 2, 0, 3)), axis=-1),
            "hidden_state": np.concatenate(list(states[0]), axis=-1),
        }
        directions = ("",) if len(states[0]) == 1 else ("forward_", "backward_")
        for index, direction in enumerate(directions):
            for part, state in zip(("hidden", "cell"), states, strict=False):
                returned[f"{direction}last_{part}_state"] = state[index]
        return returned

    def computed(self) -> tuple[Array, ...]:
        """Return Y, Y_h and, of an LSTM, Y_c as rnncli computes them, in the type of the node's input."""
        from rnncli import compute

        case = self.case()
        case = case._replace(stack=case.stack.with_everything())
        arrays = {tensor.name: tensor.values for tensor in compute.run(case, "numpy").outputs}
        directions = ("",) if len(self.outputs[1]) == 1 else ("forward_", "backward_")
        halves = np.split(arrays["hidden_states"], len(directions), axis=-1)
        sequence = np.stack(halves).transpose(2, 0, 1, 3)
        states = (
            np.stack([arrays[f"{direction}last_{part}_state"] for direction in directions])
            for part in ("hidden", "cell")[: len(self.outputs) - 1]
        )
        return tuple(array.astype(self.dtype) for array in (sequence, *states))

    def compare(self, case: Case, compute: Compute) -> Result | None:
        """Return the result of the Case; None if it is not what was compared.

        All tensors that the node can return are compared in float32, also those that the model does not use.
        Raises EngineError if the numbers differ by more than rounding explains.
        """
        if case.inputs.dtype == "float64":
            self.compare(to_dtype(case, "float32"), compute)
            return None
        full = case._replace(stack=case.stack.with_everything())
        result = compute(full)
        theirs = self.returned()
        ours = {tensor.name: tensor.values for tensor in result.outputs}
        if not _agrees(ours, theirs, {}):
            allowed = _estimate_rounding(full, ours)
            if not _agrees(ours, theirs, allowed):
                gaps = (measure(tensor, theirs[tensor.name], ("", ""), 0, 0) for tensor in result.outputs)
                largest = max(gap.absolute for gap in gaps)
                what = "{name}: rnncli's result differs from ONNX Runtime's by up to {largest:.2g}."
                advice = (
                    "Check the node's inputs for NaN, infinity or numbers above 1e18; the two differ there."
                )
                raise EngineError(what, advice, name=self.node.name, largest=largest)
        return result if full.stack == case.stack else None


def _agrees(ours: Mapping[str, Array], theirs: Mapping[str, Array], allowed: Mapping[str, Array]) -> bool:
    for name, array in ours.items():
        other = theirs[name]
        with np.errstate(all="ignore"):
            bound = TOLERANCE * (1 + np.abs(other)) + allowed.get(name, 0)
            same = (array == other) | (np.isnan(array) & np.isnan(other)) | (np.abs(array - other) <= bound)
        if array.shape != other.shape or not same.all():
            return False
    return True


def _estimate_rounding(case: Case, ours: Mapping[str, Array]) -> dict[str, Array]:
    """A sequence has the largest error of all its steps: two programs round differently at each step."""
    from rnncli import compute

    exact = {tensor.name: tensor.values for tensor in compute.run(to_dtype(case, "float64"), "numpy").outputs}
    errors = {}
    for name, array in ours.items():
        with np.errstate(all="ignore"):
            apart = np.nan_to_num(np.abs(array - exact[name]), nan=0.0, posinf=0.0)
        axes = tuple(range(1, apart.ndim))
        errors[name] = ROUNDING_FACTOR * apart.max(axis=axes, keepdims=True)
    return errors
