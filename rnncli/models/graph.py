"""The contents of a saved model: nodes, how they feed each other, and their weights; no framework.

Readers fill a Graph, a Program or Modules, the `contents` of a SavedModel.  Configs are translated so that
today's Keras 3 computes what the Keras that saved the model computed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rnncli import layers
from rnncli.errors import (
    Flag,
    InputError,
    Message,
    Text,
    UsageError,
    did_you_mean,
    format_names,
    join,
    nearest,
)
from rnncli.frameworks import advise_names
from rnncli.layers import plain
from rnncli.layers.plain import UnknownLayerError
from rnncli.values import Array, Shape, format_shape

if TYPE_CHECKING:
    from rnncli.models.keras.custom import CustomObjects


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One input of a model.

    shape: with the batch axis in front; an axis that takes any size is None, or has a name such as `batch`.
        None if any number of axes is accepted.
    dtype: Keras's name of it, `float32`, `int32`, `string`; "" for an ONNX type that is not numbers.
    optional: whether the file has a value for it.
    """

    name: str
    shape: Shape | None
    dtype: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Ref:
    """The `tensor`-th output of a node."""

    node: str
    tensor: int = 0


PLACED_MASK = "placed_mask"
"""In a node's `kwargs`, a mask that is passed by position: Keras 3 does not pass it on to later layers."""


@dataclass(frozen=True)
class Node:
    """One use of a layer.  The inputs of a model are nodes too, of the class InputLayer.

    name: unique: `lstm`, its second use `lstm@1`, in a nested model `inside/deep`.
    layer: the layer's own name, without @1.
    class_name, module: Keras's own; `keras.src.ops.numpy` and the like are operations, not layers.
    config: as today's Keras would write it.
    weights: by Keras 3's variable names, in its layout: `kernel`, `forward/kernel`, `layer/kernel`.
    args, kwargs: what the layer is called with: Refs, maybe nested in lists, and constants.
    inner: the model inside a TimeDistributed, None in every other node.
    parameters: how many numbers the weights have in the file, if `weights` has fewer because it holds the sum
        of two biases; else None.
    trainable: whether training changes the weights, as the config says.
    """

    name: str
    layer: str
    class_name: str
    module: str
    config: dict[str, Any]
    weights: Mapping[str, Array]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inner: Graph | None = None
    parameters: int | None = None
    trainable: bool = True

    @property
    def names(self) -> tuple[str, str]:
        """The names of the use and of its layer: `inside/lstm@1`, `inside/lstm`."""
        return self.name, re.sub(r"@\d+", "", self.name)

    @property
    def core_class(self) -> str:
        """The class of the layer, or of the layer inside a wrapper such as Bidirectional."""
        return str(self._core["class_name"])

    @property
    def core_config(self) -> Mapping[str, Any]:
        """The config of the layer, or of the layer inside a wrapper such as Bidirectional."""
        return self._core.get("config") or {}

    @property
    def _core(self) -> Mapping[str, Any]:
        layer = self.config.get("layer")
        if isinstance(layer, Mapping) and "class_name" in layer:
            return layer
        return {"class_name": self.class_name, "config": self.config}

    @property
    def inside(self) -> Node:
        """The layer inside a TimeDistributed, as a node."""
        layer = self.config.get("layer")
        entry: Mapping[str, Any] = layer if isinstance(layer, Mapping) else {}
        return replace(
            self,
            class_name=str(entry.get("class_name")),
            module=str(entry.get("module") or "keras.layers"),
            config=entry.get("config") or {},
            weights={path.removeprefix("layer/"): array for path, array in self.weights.items()},
        )

    @property
    def is_recurrent(self) -> bool:
        """Whether it is a recurrent layer of Keras, or has one inside TimeDistributed."""
        if self.class_name == "TimeDistributed" and plain.from_keras(self.module):
            return self.inside.is_recurrent
        return plain.from_keras(self.module) and is_recurrent_class(self.class_name)

    @property
    def makes_mask(self) -> bool:
        """Whether it is a Masking, or an Embedding with mask_zero."""
        return self.class_name == "Masking" or bool(self.config.get("mask_zero"))

    @property
    def refs(self) -> Iterator[Ref]:
        """Every Ref in its arguments: what it depends on."""
        return iterate_refs([self.args, self.kwargs])

    def refuse(self, what: str, **fields: Any) -> UnknownLayerError:
        """Return the error for a layer that is not computed here.  what: completes a sentence."""
        return plain.refuse(self.name, self.class_name, Message(what, **fields))

    def with_core_options(self, **options: Any) -> Node:
        """Return the node with these options in its `core_config`."""
        core, config = self._core, {**self.core_config, **options}
        if core is self.config.get("layer"):
            config = {**self.config, "layer": {**core, "config": config}}
        return replace(self, config=config)


def iterate_refs(tree: Any) -> Iterator[Ref]:
    """Yield every Ref in nested lists and mappings."""
    return (leaf for leaf in leaves(tree) if isinstance(leaf, Ref))


def is_recurrent_class(name: str) -> bool:
    """Return whether this is the name of a recurrent layer, or of a wrapper of one."""
    return layers.find_name(name) == name and layers.class_of(name).recurrent


def model_option(file: str, names: Sequence[str]) -> Flag:
    """Return `--model FILE#a,b`, quoted where a shell needs it."""
    text = f"{file}#{','.join(names)}"
    bare = text.replace("#", "")
    return Flag("--model", text if shlex.quote(bare) == bare else shlex.quote(text))


@dataclass(frozen=True)
class Graph:
    """A whole model.

    file: what errors call it.
    origin: the framework and version that saved it, `Keras 2.4.0`.
    nodes: each after the nodes that it depends on; nested models are flattened.
    notes: what was read differently from today's Keras.
    generation: 2 if masks follow Keras 2's rules: Add, Concatenate and the like keep a step only if every
        mask keeps it (an input without a mask keeps every step), and a recurrent layer with initial
        states still gets its input's mask.
    shapes: the shapes of tensors as far as the file has them.
    name: of the model; "" if the file does not say.
    custom: the classes and functions that --custom-objects gives.
    optimizer_parameters: the number of the numbers that the optimizer keeps; 0 without an optimizer.
    """

    kind: ClassVar[str] = "keras"

    file: str
    origin: str
    nodes: tuple[Node, ...]
    inputs: tuple[ModelInput, ...]
    outputs: tuple[Ref, ...]
    notes: tuple[Text, ...]
    generation: int = 3
    shapes: Mapping[Ref, Shape] = field(default_factory=dict)
    name: str = ""
    custom: CustomObjects | None = None
    optimizer_parameters: int = 0

    @property
    def recurrent_nodes(self) -> tuple[Node, ...]:
        """Every use of a recurrent layer, in order."""
        return tuple(node for node in self.nodes if node.is_recurrent)

    @property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The uses of recurrent layers, each with the names that select it: `lstm@1`, `lstm`."""
        return {node.name: node.names for node in self.recurrent_nodes}

    def explain_none(self) -> InputError:
        """Return the error for a model without a recurrent layer; it names custom layers."""
        names = (f"{node.name} ({node.class_name})" for node in self.nodes if ">" in node.class_name)
        if custom := format_names(tuple(dict.fromkeys(names))):
            what = "no recurrent layer was recognized in the model; {custom} may contain some."
            advice = "For the weights in it: rnncli weights {file}"
            return InputError(what, advice, custom=custom, file=shlex.quote(self.file))
        advice = "rnncli supports SimpleRNN, LSTM, GRU, Bidirectional, RNN and ConvLSTM layers."
        if not self.nodes:
            return InputError("the model has no recurrent layer.", advice)
        what = "the model has no recurrent layer."
        advice = "rnncli run shows other layers, one by its name: {option}"
        return InputError(what, advice, option=model_option(self.file, [self.nodes[-1].name]))

    def find_dependencies(self, names: Collection[str]) -> set[str]:
        """Return the names of these nodes and of all nodes that they depend on."""
        needed: set[str] = set(names)
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(ref.node for ref in node.refs)
        return needed

    def shares_state(self, node: Node) -> bool:
        """Return whether the layer is stateful and used several times: a use begins with the last states."""
        return (
            bool(node.config.get("stateful")) and sum(node.layer == other.layer for other in self.nodes) > 1
        )


class StateLoop(NamedTuple):
    """A Loop or Scan of an ONNX model that carries a state: a recurrent layer that is not computed here.

    operator: `Loop`.  sizes: the different sizes of the last axes of its states; empty if they are unknown.
    """

    name: str
    operator: str
    sizes: tuple[int, ...]


MOST_LOOPS = 5
"""More loops than this are counted, not named."""


def name_loops(loops: Sequence[StateLoop]) -> Message:
    """Return `1 Loop at NAME that carries a state of 8 (...)`, a clause that names every loop."""
    shown = loops if len(loops) <= MOST_LOOPS else loops[: MOST_LOOPS - 1]
    named: list[Text] = [
        Message("1 {operator} at {name} that carries a state of {sizes}", **loop._asdict() | {"sizes": sizes})
        if (sizes := " + ".join(map(str, loop.sizes)))
        else Message("1 {operator} at {name} that carries a state", operator=loop.operator, name=loop.name)
        for loop in shown
    ]
    if len(shown) < len(loops):
        named.append(Message("{count} more loops that carry a state", count=len(loops) - len(shown)))
    template = (
        "{loops} (rnncli cannot follow it; export without the mask, or name the file of the model "
        "itself, such as model.keras)"
        if len(loops) == 1
        else "{loops} (rnncli cannot follow them; export without the mask, or name the file of the model "
        "itself, such as model.keras)"
    )
    return Message(template, loops=join(named, "; "))


@dataclass(frozen=True)
class Program(Graph):
    """An ONNX model.

    nodes: the nodes of all graphs in it, an If's branches behind the If.  A recurrent node has the class, the
        config and the weights of the Keras layer that computes the same, but no weights that the graph
        computes.
    refusals: why a recurrent node cannot be computed, by its name.
    loops: the Loops and Scans that carry a state.
    content: the model as ONNX serializes it, every node named as in `nodes`, external data included.
    """

    kind: ClassVar[str] = "onnx"

    refusals: Mapping[str, Text] = field(default_factory=dict)
    loops: tuple[StateLoop, ...] = ()
    content: bytes = field(default=b"", repr=False)

    def explain_none(self) -> InputError:
        """Return the error for a model without a recurrent node; it names other recurrent operators."""
        others = (
            *self.notes,
            *([Message("It has {loops}.", loops=name_loops(self.loops))] if self.loops else []),
        )
        advice = join(others, " ") or Message(
            "rnncli supports only these recurrent operators. PyTorch exports cells in a loop, and nn.RNN "
            "with dynamo=True, as plain operators: name the weights instead, such as {--model model.pt}."
        )
        return InputError("the model has no LSTM, GRU or RNN node.", advice)


SAVE = Message("Save all weights of the layer: torch.save(model.state_dict(), 'model.pt')")
"""Advice on a layer that cannot be computed."""


@dataclass(frozen=True)
class Module:
    """A recurrent layer, or a stack of them, of a file without a graph.

    name: its path, `decoder.rnn`; a layer without a path is called after its class.
    nodes: one per layer, each after the layer whose output it takes; all return sequences.  Their weights are
        in Keras's layout.
    refusal: why it cannot be computed; "" if it can be.
    way_out: what to do about it, a clause; "" if nothing helps.
    tensors: for each node, PyTorch's tensors by name, `weight_ih`, `bias_hh_reverse`; empty for any other
        framework.
    is_cell: whether its weights are named as a cell's of PyTorch, without `_l0`.
    """

    name: str
    nodes: tuple[Node, ...]
    refusal: Text = ""
    way_out: Text = ""
    tensors: tuple[Mapping[str, Array], ...] = ()
    is_cell: bool = False

    @property
    def reason(self) -> Text:
        """Why it cannot be computed, and what to do; "" if it can be."""
        return join((self.refusal, self.way_out), "; ") if self.way_out else self.refusal

    def explain_refusal(self, others: Text) -> tuple[Text, Text]:
        """Return why it cannot be computed, and what to do.  others: advice to choose others; "" for none."""
        if others:
            return Message("{name}: {reason}.", name=self.name, reason=self.reason), others
        why = Message("{name}: {reason}.", name=self.name, reason=self.refusal)
        if self.way_out:
            return why, Message("To use it, {way_out}.", way_out=self.way_out)
        return why, SAVE


@dataclass(frozen=True)
class Modules:
    """The contents of a file without a graph.

    origin: the framework whose names the weights have, `PyTorch`.
    other_shapes: the shapes of the tensors that belong to no recurrent layer.
    notes: what was read differently from what the names say.
    assumptions: what --assume says about the layers, `{"activation": "relu"}`.
    """

    kind: ClassVar[str] = "weight_file"

    file: str
    origin: str
    modules: tuple[Module, ...]
    other_shapes: Mapping[str, tuple[int, ...]]
    notes: tuple[Text, ...] = ()
    assumptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def recurrent_nodes(self) -> tuple[Node, ...]:
        """Every layer of the modules, in order."""
        return tuple(node for module in self.modules for node in module.nodes)

    @property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The layers, and the modules without layers, each with the names that select it: `rnn_l0`, `rnn`."""
        return {
            name: (module.name, name)
            for module in self.modules
            for name in ([node.name for node in module.nodes] or [module.name])
        }

    def explain_none(self) -> InputError:
        """Return the error for a file in which nothing was recognized."""
        what = Message("no recurrent layer was recognized in it.")
        if names := advise_names(self.file, self.other_shapes):
            return InputError(what, names)
        there = [f"{name} {format_shape(shape)}" for name, shape in self.other_shapes.items()]
        advice = Message(
            "Its weights must fit together, and be named as in PyTorch (weight_ih_l0, "
            "weight_hh_l0) or Keras (kernel, recurrent_kernel); it has {there}.",
            there=format_names(there) or "no tensors",
        )
        ways = [advice]
        if not self.origin.startswith("Keras"):
            ways.append(Message("To say which belong to one layer: {--assume 'encoder=enc_*'}"))
        return InputError(what, join(ways, " "))


def choose_layers(contents: Graph | Modules, names: Sequence[str]) -> tuple[str, ...]:
    """Return the recurrent layers with these names, in order; all without names.

    The name of a shared layer selects all of its uses, the name of a module all of its layers.
    Raises UsageError for another name, InputError if there is no recurrent layer.
    """
    choices = contents.choices
    if not choices:
        raise contents.explain_none()
    known = dict.fromkeys(name for selectors in choices.values() for name in selectors)
    others = contents.nodes if isinstance(contents, Graph) else ()
    every = [*known, *(other for node in others for other in node.names)]
    for name in names:
        if name not in known:
            near = None if name in every else nearest(name, every)
            what = Message("there is no layer {name}", name=name)
            if other := next((node for node in others if name in node.names), None):
                what = Message(
                    "the layer {name} ({class_name}) is not recurrent", name=name, class_name=other.class_name
                )
            own_loops = contents.loops if isinstance(contents, Program) else ()
            if chosen := [loop for loop in own_loops if loop.name == name]:
                what = Message("it has {loops}", loops=name_loops(chosen))
            raise UsageError("{what}.", did_you_mean(name, [near] if near else known), what=what)
    return tuple(layer for layer, selectors in choices.items() if not names or {*names} & {*selectors})


def leaves(tree: Any) -> Iterator[Any]:
    """Yield everything that is not a list, a tuple or a mapping; the values of a mapping by sorted keys."""
    if isinstance(tree, Mapping):
        tree = [tree[key] for key in sorted(tree)]
    if not isinstance(tree, (list, tuple)):
        yield tree
        return
    for item in tree:
        yield from leaves(item)


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the same lists, tuples and mappings with `function` applied to each of the `leaves`."""
    if isinstance(tree, Mapping):
        return {key: map_leaves(function, item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_leaves(function, item) for item in tree)
    return function(tree)


def mappings(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping, each before those inside it."""
    if isinstance(tree, Mapping):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for item in tree:
            yield from mappings(item)
