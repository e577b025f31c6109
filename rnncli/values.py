"""Shapes, options, specs and documents: the plain values that the rooms pass to each other."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from rnncli.errors import Message, Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
else:
    Array = Any
    """An array of any dtype.  NumPy is not loaded for it."""

OptionKind = Literal[
    "activation", "axes", "backward", "cell_list", "cells", "choice", "dtype", "flag", "index",
    "initializer", "layer", "number", "positive", "rate", "scalar", "scalars", "seed", "signed_seed",
    "size", "sizes", "window", "word",
]  # fmt: skip

Dimension = int | str | None
"""A known size, a name such as `batch`, or None if unknown."""

Shape = tuple[Dimension, ...]

__version__ = "0.1.0"
SCHEMA = "rnncli/1"
"""The `schema` of rnncli's own JSON; it changes when scripts would have to."""
STATUSES = ("computed", "held", "zeroed")
"""Statuses of a step; arrays store the index here.  held: masked, state and output carried over."""

FILLS = ("normal", "uniform", "zeros", "ones", "arange")
"""The values that a generated input can have."""
DTYPES = ("float16", "bfloat16", "float32", "float64")
"""The dtypes in which a layer can compute."""
MERGE_MODES = ("concat", "sum", "mul", "ave", "none")
"""What Bidirectional does with its two outputs; Keras's name of the last is None."""

ATOL, RTOL = 1e-6, 1e-5
"""Differences that count as rounding, unless --atol and --rtol say otherwise."""

HIGHEST_SEED = 2**32 - 1
"""The highest seed that NumPy, and so keras.utils.set_random_seed, accepts."""


class Option(NamedTuple):
    """One argument of a layer, a cell or an initializer: the values it accepts and Keras's default.

    kind: how a value is read and checked.
    required: it has no default.
    choices: only for the kinds `choice`, where upper or lower case does not matter, and `word`.
    """

    kind: OptionKind
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Spec:
    """A requested Keras object, a layer or an initializer: `LSTM(3, use_bias=False)`.

    class_name: Keras's class name.
    config: Keras's arguments: the given ones first, in the order given (Keras draws seeds in that order),
        then the defaults.
    deferred: whether the enclosing layer makes it from a config, and only after that layer itself is made.
    equations: the CellText of a cell written as equations, else None; class_name is then `@` and its name.
    """

    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    deferred: bool = False
    equations: Any = None

    @property
    def inner(self) -> "Spec":
        """The layer inside a wrapper, in Bidirectional the forward layer; else the spec itself."""
        return self.config.get("layer", self)  # type: ignore[no-any-return]

    @property
    def title(self) -> str:
        """Its name for people: the class, or the name of the file's cell that an RNN runs."""
        cell = self.config.get("cell")
        return cell.class_name if isinstance(cell, Spec) and cell.equations else self.class_name

    def with_option(self, name: str, value: Any) -> "Spec":
        """Return the spec with another value of an option, also in the specs inside that have the option."""
        config = {
            key: value if key == name else old.with_option(name, value) if isinstance(old, Spec) else old
            for key, old in self.config.items()
        }
        return replace(self, config=config)


class Assumed(NamedTuple):
    """What was assumed about a file without a graph.

    values: by name, `batch_first` and `gates`; where layers differ, a mapping by layer.
    words: the values as text, `batch first, gates rzn`.
    """

    values: Mapping[str, Any]
    words: Text


class Agreement(NamedTuple):
    """How far rnncli's numbers are from what a live object's framework returned.

    title: of the object, `Tagger (PyTorch)`.  framework: its name.
    difference: the largest one; None if nothing was compared.  agrees: whether it is rounding; None likewise.
    lacks: why layers are shown without gates, as the framework returned them, by layer.
    layer: the layer that an answer is about; "" for several.
    axes: that the framework returned where they are not those of the tensors, by layer.
    """

    title: str
    framework: str
    difference: float | None = None
    agrees: bool | None = None
    lacks: Mapping[str, Text] = {}
    layer: str = ""
    axes: Mapping[str, str] = {}

    def axes_texts(self) -> Iterator[Message]:
        """Yield which axes the framework returned, and which the tensors have here."""
        for axes in dict.fromkeys(self.axes.values()):
            layers = [layer for layer, returned in self.axes.items() if returned == axes]
            template = "shown as (batch, timesteps, units); {framework} returns {axes} from {layers}"
            yield Message(template, framework=self.framework, axes=axes, layers=", ".join(layers))


class SavedLayer(NamedTuple):
    """One layer of a saved model.

    what: class and size if the file states them, `LSTM(3)`; otherwise the shapes of its weights.
    weights: in Keras's order.
    """

    name: str
    what: str
    weights: tuple[Array, ...]


class InputNames(NamedTuple):
    """What the numbers of an input and of the output mean, in words; every field may be missing.

    features, sequences: a name each.
    steps: for each sequence, the names of its time steps; "" where it is padded.
    words: the numbers of each word that a sentence may have.
    groups: the words by what they are, such as nouns, for who looks for one.
    aliases: what may be typed for words: `isn't` for `is not`.
    answers: what an output means, by the number that it is near.
    about: a sentence on what the layer does, by language.
    """

    features: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    steps: tuple[tuple[str, ...], ...] = ()
    words: Mapping[str, tuple[float, ...]] = {}
    groups: Mapping[str, tuple[str, ...]] = {}
    aliases: Mapping[str, str] = {}
    answers: Mapping[float, str] = {}
    about: Mapping[str, str] = {}

    @property
    def heading(self) -> str:
        """What the column of the time steps' names is called."""
        return "word" if self.words else "name"

    def step(self, sequence: int, time: int) -> str:
        """Return the name of a time step; "" if it has none."""
        return self.steps[sequence][time] if self.steps else ""

    def turned(self) -> "InputNames":
        """Return the names as a layer reads them above one with go_backwards: the last step first."""
        return self._replace(steps=tuple(row[::-1] for row in self.steps))

    def answer(self, value: float) -> str:
        """Return the answer nearest to an output; "" if there is none."""
        known = self.answers if value == value else {}
        return self.answers[min(known, key=lambda number: abs(number - value))] if known else ""

    def document(self) -> dict[str, Any]:
        """Return the keys of a case document that say this."""
        answers = {f"{number:g}": answer for number, answer in self.answers.items()}
        keys = {
            "about": dict(self.about),
            "features": list(self.features),
            "batch": list(self.sequences),
            "steps": list(map(list, self.steps)),
            "answers": answers,
            "words": {word: list(vector) for word, vector in self.words.items()},
            "groups": {group: list(words) for group, words in self.groups.items()},
            "aliases": dict(self.aliases),
        }
        return {key: value for key, value in keys.items() if value}


NO_NAMES = InputNames()


def name_sequences(names: tuple[str, ...], batch: int) -> InputNames:
    """Return the names of the sequences of a batch; none if they are of another batch."""
    return InputNames(sequences=names) if len(names) == batch else NO_NAMES


class Document(NamedTuple):
    """Contents of one source; every field but `inputs` may be missing.

    inputs: an array of any rank, or a tuple of arrays if the sequences differ in length; or these by name.
    layer: unparsed, as in the source: an expression, a config, or a list of either.
    mask, initial_state, weights: unparsed, as nested lists or arrays.
    feature_names: of the columns of a CSV.
    sequence_names: the values of --batch-column, one per sequence; () without it.
    names: of a case document.
    pad: the end at which the sentences of a case document are padded; None for other inputs.
    """

    inputs: Array | tuple[Array, ...] | dict[str, Any] | None = None
    layer: Any = None
    mask: Any = None
    initial_state: Any = None
    weights: Any = None
    seed: int | None = None
    training: bool | None = None
    feature_names: tuple[str, ...] = ()
    sequence_names: tuple[str, ...] = ()
    names: InputNames = NO_NAMES
    pad: Literal["post"] | None = None
    remarks: tuple[Text, ...] = ()


class RawValue(NamedTuple):
    """Weights or states as they were read; None if there are none.  where: name of their source in errors."""

    value: Any = None
    where: Text = ""


def known_sizes(shape: Shape) -> tuple[int, ...] | None:
    """Return the sizes; None if one is not known."""
    known = tuple(size for size in shape if isinstance(size, int))
    return known if len(known) == len(shape) else None


def sizes(shape: Shape) -> tuple[int, ...]:
    """Return the sizes of a shape whose sizes are all known."""
    known = known_sizes(shape)
    assert known is not None, format_shape(shape)
    return known


def format_shape(shape: Iterable[Dimension]) -> str:
    """Format a shape as Python writes a tuple, names without quotes: `(None, 4, batch)`, `(3,)`."""
    parts = [str(dimension) for dimension in shape]
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def parse_number(text: str) -> int:
    """Parse an integer such as `-1`.  Raises ValueError for anything else."""
    import re

    if not re.fullmatch(r"[+-]?[0-9]{1,300}", text.strip()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def parse_decimal(text: str) -> float:
    """Parse a number such as `-0.5` or `1e-3`.  Raises ValueError for anything else."""
    if not is_plain(text):
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def is_plain(number: str) -> bool:
    """Return whether a number has no underscore and no digit of another script; Python takes both."""
    return number.isascii() and "_" not in number


def walk(specs: Iterable[Spec]) -> Iterator[Spec]:
    """Yield these specs and every spec inside them, outermost first."""
    for spec in specs:
        yield spec
        for value in spec.config.values():
            items = value if isinstance(value, (tuple, list)) else (value,)
            yield from walk(item for item in items if isinstance(item, Spec))
