"""The types of JSON documents, from which `rnncli schema` writes the JSON Schema.

A method that returns a document says what is in it: `Annotated[JsonObject, ResultHead, TraceDocument]` is an
object with the keys of both.  Every document that a test prints is held to it.
"""

# Annotations are objects rather than text, which a typed dictionary would have to compile.

from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict

from rnncli.values import Dimension

JsonObject: TypeAlias = dict[str, Any]
Rows: TypeAlias = list[JsonObject]
"""The objects of a Listing.  Its fields say what is in them: `Annotated[Rows, FIELDS]`."""
Numbers = Annotated[Any, "numbers"]
"""An array of numbers, of any shape."""
StatsOfTensor = Annotated[JsonObject, "rnncli.show.statistics:StatsDocument"]
"""Statistics; their module is imported only for the JSON Schema."""
Sizes: TypeAlias = list[Dimension]
"""A shape; an unknown size is null, a named one its name."""
Config: TypeAlias = JsonObject
"""A layer in Keras's form, with `class_name` and `config`."""


class Head(TypedDict):
    """The first entries of every document."""

    schema: Literal["rnncli/1"]
    version: str


class NamesOfInput(TypedDict, total=False):
    """The names of the input's features, time steps and sequences."""

    features: list[str]
    steps: list[list[str]]
    batch: list[str]


class ShapeOfTensor(TypedDict):
    """The shape and the dtype of a tensor."""

    shape: Sizes
    dtype: str


class InputHead(ShapeOfTensor, NamesOfInput):
    """The input of a layer."""


class ModelFile(TypedDict):
    """A saved model: its file, and the framework and version that saved it."""

    file: str
    origin: str


class AgreementDocument(TypedDict):
    """How far the numbers are from what a live object's framework returned; null if nothing was compared."""

    object: str
    layer: str
    agrees: bool | None
    difference: float | None
    lacks: dict[str, str]
    axes: dict[str, str]


class Conditions(TypedDict, total=False):
    """The conditions of a result."""

    conditions: dict[str, int | bool]


class Assumption(TypedDict, total=False):
    """What was assumed about a file without a graph."""

    assumed: JsonObject


class About(Head, Conditions, Assumption):
    """The first entries of the document of a computed result."""

    engine: str
    agreement: NotRequired[AgreementDocument]


class LayersHead(About):
    """The first entries of a result of described layers: of one layer, or of a stack."""

    seed: int | None
    expression: str | list[str]
    layer: list[Config]
    input: InputHead
    hold: NotRequired[list[str]]


class SavedHead(About):
    """The first entries of a result of a saved model, whose layers and inputs have names."""

    model: ModelFile
    layers: dict[str, Config]
    inputs: dict[str, ShapeOfTensor]
    masks: list[str]


ResultHead: TypeAlias = LayersHead | SavedHead


class LayersLine(Conditions):
    """The first entries of a line of a stream, computed by described layers."""

    schema: Literal["rnncli/1"]
    line: int
    engine: str
    seed: int | None
    expression: str | list[str]
    input: NotRequired[NamesOfInput]


class SavedLine(TypedDict):
    """The first entries of a line of a stream, computed by a saved model."""

    schema: Literal["rnncli/1"]
    line: int
    engine: str
    model: ModelFile


class Differences(TypedDict, total=False):
    """What --check found: the largest difference of each tensor, and in units in the last place."""

    differences: dict[str, float]
    ulps: dict[str, int]
