"""Saved models: open one, ask what it has, and run its recurrent layers as Cases.

Every kind of model is a SavedModel; its class is called Model, in the file that MODELS names.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

from rnncli.errors import RnncliError, Text, UsageError, inside
from rnncli.layers.case import Case
from rnncli.result import Result
from rnncli.values import Array, RawValue, Shape

if TYPE_CHECKING:
    from rnncli.inputs.arrange import AxisOrder
    from rnncli.inputs.source import Source
    from rnncli.models.graph import Graph, ModelInput, Modules
    from rnncli.models.summary import Summary

MODELS = {
    "keras": "rnncli.models.keras.model",
    "weight_file": "rnncli.models.weight_files.model",
    "onnx": "rnncli.models.onnx.model",
}
"""The files, by the kind of their contents."""

MOVERS = {"InputLayer", "Squeeze", "Unsqueeze", "Transpose", "Reshape", "Identity", "Concat", "Slice"}
"""Classes of layers and nodes that return the numbers that they get."""
VALUES = {"Constant", "ConstantOfShape", "Shape", "Gather", "Cast", "Expand"}
"""Operators by which ONNX models make shapes and zeros."""

Compute = Callable[[Case], Result]
ModelFunction = TypeVar("ModelFunction", bound=Callable[..., Any])


class ModelRequest(NamedTuple):
    """What a model is given, and what is asked of it.

    inputs: as `fit_inputs` of the model returns them.  compute: computes a Case.
    layers: the names of the recurrent layers to show; empty for all.
    everything: include the outputs of all other layers.
    others: other layers whose outputs to include; with some, no `layers` means none.
    returns: see `with_returns` of call.py.  remarks: on the inputs.  sequence_names, consecutive: as in Case.
    real: the steps that --pad did not add, (batch, timesteps), of each input with padding.
    windowed: whether the model takes one window of the inputs at a time.

    Of a file without a graph:
    mask: (batch, timesteps) of bool; None without one.
    states: the initial states, in order or by name; without any, the layers start from zeros.
    order: the assumed order of the input's first two axes; None if the user names the order.
    has_batch: whether the input came with a batch axis, so that the other order may be meant.
    """

    inputs: Mapping[str, Array]
    compute: Compute
    layers: Sequence[str] = ()
    everything: bool = False
    others: Sequence[str] = ()
    returns: Mapping[str, bool] = {}
    remarks: tuple[Text, ...] = ()
    sequence_names: tuple[str, ...] = ()
    consecutive: bool = False
    real: Mapping[str, Array] = {}
    windowed: bool = False
    mask: Array | None = None
    states: RawValue = RawValue()
    order: "AxisOrder | None" = None
    has_batch: bool = True

    def choose(self, contents: "Graph | Modules") -> tuple[str, ...]:
        """Return the recurrent layers to show.  Raises UsageError, InputError."""
        from rnncli.models.graph import choose_layers

        return () if self.others and not self.layers else choose_layers(contents, self.layers)


class LayerUse(NamedTuple):
    """One use of a recurrent layer.

    layer: its name in the model; "" for layers that are described.
    case: as an answer shows it: it may return more than the model takes.
    result: None if no other layer needs it.
    before: the layer in the same stack whose sequence is its input; "" for any other input.
    rounds_to: the type that the file has for its outputs, if it has fewer digits than the Case; else "".
    called: the Case as the model calls it; None if it is `case`.
    """

    layer: str
    case: Case
    result: Result | None = None
    before: str = ""
    rounds_to: str = ""
    called: Case | None = None

    @property
    def in_model(self) -> Case:
        """The Case as the model calls it."""
        return self.called or self.case

    def shown(self, case: Case) -> "LayerUse":
        """Return the use with another Case to show."""
        return self._replace(case=case, called=self.in_model)


@dataclass(frozen=True)
class ModelRun:
    """The recurrent layers of a model in its order, and other outputs if they were requested.

    other_outputs: the outputs of the other layers, by `dense/output`.
    masks: the layers that make the masks of the recurrent ones.
    order: the names of all layers, in the order in which parts and others are shown.
    engine: what computed the other layers.
    """

    parts: tuple[LayerUse, ...]
    other_outputs: Mapping[str, Array] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    masks: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    engine: str = "numpy"


class Passed(NamedTuple):
    """A layer that numbers went through, and whether all that it got, and all that it returned, is finite."""

    name: Text
    has_finite_input: bool
    has_finite_output: bool


class SavedModel(ABC):
    """An opened model: what its file holds, and how it is run.

    contents: as its reader found it: a Graph, a Program or Modules.
    path: the file, which its own framework may have to load.
    names: the layers to run, those after the # of --model; empty for all.
    makes_masks: whether such a model may mask steps, of padding for example.
    zeroes_empty: whether the state of a sequence without steps is 0, as ONNX Runtime computes it.
    takes_masks: whether it has no graph, so that masks and initial states are given beside the input.
    """

    makes_masks: ClassVar[bool] = False
    zeroes_empty: ClassVar[bool] = False
    takes_masks: ClassVar[bool] = False

    contents: "Graph | Modules"

    def __init__(self, contents: Any, path: Path = Path(), names: Sequence[str] = ()) -> None:
        self.contents, self.path, self.names = contents, path, tuple(names)

    def with_names(self, names: Sequence[str]) -> "SavedModel":
        """Return the model with these layers to run."""
        return type(self)(self.contents, self.path, names)

    @property
    def file(self) -> str:
        """The name of the file in errors."""
        return self.contents.file

    @property
    def origin(self) -> str:
        """The framework and version that saved it, `Keras 2.4.0`."""
        return self.contents.origin

    @property
    def notes(self) -> tuple[Text, ...]:
        """What was read differently from what the framework would read, and what was assumed."""
        return self.contents.notes

    @property
    @abstractmethod
    def framework(self) -> str:
        """What --check runs the model in, `Keras`."""

    def layer_names(self) -> tuple[str, ...]:
        """Return the recurrent layers that --model FILE#NAME can choose, in order."""
        return tuple(node.name for node in self.contents.recurrent_nodes)

    def split_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names after the # that are not of other layers, and the other layers that they mean."""
        nodes = [node for node in getattr(self.contents, "nodes", ()) if not node.is_recurrent]
        others = {name for node in nodes for name in node.names} & {*self.names}
        layers = tuple(name for name in self.names if name not in others)
        return layers, tuple(node.name for node in nodes if others & {*node.names})

    def choose(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the layers with these names; all without names.  Raises UsageError, InputError."""
        from rnncli.models.graph import choose_layers

        with inside(self.file, RnncliError):
            chosen = choose_layers(self.contents, names)
        return tuple(name for name in self.layer_names() if name in chosen)

    @property
    def axis_order(self) -> "AxisOrder | None":
        """The order of the first two axes that is assumed of an input; None where the graph decides."""
        return None

    def refuse_axes(self) -> Text:
        """Return why --input-axes cannot say the order of the axes; "" if it can."""
        return ""

    def describe_inputs(self) -> str:
        """Return what the model expects, `ids: (batch, 12), int32` and so on, for every input."""
        from rnncli.models import inputs

        return inputs.describe_inputs(cast("Graph", self.contents))

    def text_inputs(self) -> tuple[str, ...]:
        """Return the names of the inputs that are text."""
        return ()

    def output_names(self) -> tuple[str, ...]:
        """Return the tensors that the model returns and that are not of a recurrent layer: `dense/output`."""
        return ()

    def last_layers(self) -> tuple[str, ...]:
        """Return the layers that make what the model returns, without recurrent layers and MOVERS."""
        makers = {name.rpartition("/")[0] for name in self.output_names()}
        nodes = (node for node in getattr(self.contents, "nodes", ()) if node.name in makers)
        return tuple(node.name for node in nodes if not node.is_recurrent and node.class_name not in MOVERS)

    def other_layers(self) -> tuple[str, ...]:
        """Return what is not recurrent: `dense (Dense)`; of a file without a graph, what tensors it has."""
        contents = self.contents
        nodes = (node for node in getattr(contents, "nodes", ()) if not node.is_recurrent)
        named = [
            f"{node.name} ({node.class_name})" for node in nodes if node.class_name not in (*MOVERS, *VALUES)
        ]
        shapes = getattr(contents, "other_shapes", {})
        return tuple(named or dict.fromkeys(name.rpartition(".")[0] or name for name in shapes))

    def chain(self, request: ModelRequest) -> tuple[tuple[str, ...], Case] | None:
        """Return the names of all layers, and one Case of them; None if they are no chain of such layers."""
        return None

    def name_inputs(self, arrays: Mapping[str, Array]) -> Any:
        """Return the inputs of another model as `fit_inputs` takes them: by name, else in order."""
        if len(arrays) == 1:
            return next(iter(arrays.values()))
        names = [entry.name for entry in getattr(self.contents, "inputs", ())]
        if {*arrays} <= {*names} or len(names) != len(arrays):
            return arrays
        return dict(zip(names, arrays.values(), strict=True))

    def required_inputs(self) -> "tuple[ModelInput, ...]":
        """Return the inputs that must be given."""
        return tuple(entry for entry in cast("Graph", self.contents).inputs if not entry.optional)

    def vocabularies(self) -> dict[str, int]:
        """Return how many token ids there are, by the names of the inputs that take token ids."""
        return {}

    @abstractmethod
    def summarize(self, sizes: Mapping[str, Shape]) -> "Summary":
        """Return every layer with its shapes and parameters, without computing.

        sizes: the shapes of the inputs, by name; those that are not here are as the file has them.
        """

    @abstractmethod
    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return every input by its name, in the type that the model expects.

        given: an array for the only input, or arrays by the inputs' names.
        """

    @abstractmethod
    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each requested layer gets in the model."""

    @abstractmethod
    def outputs(self, request: ModelRequest, uses: Sequence[LayerUse]) -> dict[str, Array]:
        """Return what the model's own framework returns of these layers, by `gru/hidden_state`."""

    def run_like(self, cases: Mapping[str, Case], compute: Compute) -> ModelRun:
        """Return what the layers of a file without a graph get, if its first layers get what these Cases get.

        cases: by the names of layers; a module starts at its first layer that has one, or is left out.
        """
        raise NotImplementedError(self.file)

    def assume(self, options: Mapping[str, str]) -> "SavedModel":
        """Return the model with these assumptions instead of the defaults.

        Raises UsageError, also for a file with a graph, which leaves nothing to assume.
        """
        what = "{--assume} is for files without a graph, and {file} has a graph."
        raise UsageError(what, "Leave {--assume} out.", file=self.file)

    def with_custom_objects(self, given: Any) -> "SavedModel":
        """Return the model with the classes that it has of its own: a file of Python, or classes by name.

        Raises UsageError for a file that is not a whole model of Keras.
        """
        what = "{--custom-objects} is for models of Keras, and {file} is not one."
        raise UsageError(what, "Leave {--custom-objects} out.", file=self.file)

    def stateful_layers(self) -> tuple[str, ...]:
        """Return the layers that keep their state from one call to the next."""
        return ()

    def for_windows(self) -> "SavedModel | None":
        """Return the model for a batch of windows, each of which its framework gets in a separate call.

        None if it does not keep states from call to call, or does not take one sequence at a time.
        """
        return None


def open(  # noqa: A001 - called as models.open
    source: "Source", names: Sequence[str] = (), *, or_layers: bool = False, layers: Mapping[str, str] = {}
) -> SavedModel:
    """Open a saved model to run these layers of it: its graph, or its layers if the file holds only weights.

    or_layers, layers: see `reading.read`.
    Raises InputError, also for a graph that cannot be followed; EngineError.
    """
    from rnncli.models import reading

    contents = reading.read(source, or_layers=or_layers, layers=layers)
    kind: type[SavedModel] = import_module(MODELS[contents.kind]).Model
    return kind(contents, source.path or Path(str(source.name)), names)


def name_file(function: ModelFunction) -> ModelFunction:
    """Return a method of a model that puts the name of the model's file in front of errors."""

    @wraps(function)
    def call(model: SavedModel, *args: Any, **options: Any) -> Any:
        with inside(model.file, RnncliError):
            return function(model, *args, **options)

    return cast("ModelFunction", call)


def shorten_sentence(line: str) -> str:
    """Return a line with its final stop; a long one is cut between its words."""
    line = line.rstrip(". ")
    if len(line) <= 200:
        return f"{line}."
    return f"{line[:200].rpartition(' ')[0] or line[:200]}…"
