"""The recurrent layers of a file or of a --layer, gate by gate, in a few figures."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli.ask import INPUT_OPTIONS, RUN_OPTIONS, Ask, Remarks, subject_of
from rnncli.ask.described import read_given
from rnncli.ask.live_object import LiveObject
from rnncli.cells.evaluate import columns_of
from rnncli.cells.tree import Name, walk
from rnncli.errors import Flag, LayerError, Message, Text, UsageError, did_you_mean, format_names
from rnncli.frameworks import GATES, default_name, infer_class
from rnncli.initializers import fans
from rnncli.inputs.source import MODEL_SUFFIXES, find_source, split_layers
from rnncli.layers.case import Case
from rnncli.layers.recurrent import Cell
from rnncli.models.graph import Graph, Modules, Node, Program, StateLoop
from rnncli.models.keras.choice import explain_hidden
from rnncli.models.summary import class_text
from rnncli.models.weight_files.assumptions import assumed_of, assumptions
from rnncli.models.weight_files.keras_weights import find_inner
from rnncli.options import flag_name
from rnncli.show import statistics
from rnncli.show.statistics import Stats
from rnncli.specs import to_config
from rnncli.specs.build import read_equations
from rnncli.values import Array, Assumed, Shape, Spec, format_shape, known_sizes

if TYPE_CHECKING:
    from rnncli.models.live.weights import HeldWeights

EXACT = 256
"""Up to this many units, compute the eigenvalues; above it, estimate the largest from matrix powers."""
SQUARINGS = 12


@dataclass(frozen=True)
class Figures:
    """Statistics of the part of a weight that belongs to one gate.

    norm: the Frobenius norm; None if it is not finite.
    radius: the spectral radius of a square recurrent_kernel; None for other parts.
    """

    name: str
    shape: tuple[int, ...]
    norm: float | None
    stats: Stats
    radius: float | None = None


@dataclass(frozen=True)
class GateSummary:
    """The parts of one gate: kernel, recurrent_kernel, then bias, or input_bias and recurrent_bias.

    In a cell written as equations, a gate is a line, and its parts are the weights that the line uses.
    """

    name: str
    parts: tuple[Figures, ...]


@dataclass(frozen=True)
class CellSummary:
    """One direction of a layer, or one cell of RNN.

    name: `bi/forward`.  units: the filters of a convolutional cell.
    features: the features of the input; None without a kernel.
    fans: (fan_in, fan_out) by the name of the kernel, of the whole kernel, as initializers use them.
    """

    name: str
    direction: str
    units: int
    features: int | None
    fans: Mapping[str, tuple[int, int]]
    gates: tuple[GateSummary, ...]


@dataclass(frozen=True)
class LayerSummary:
    """A recurrent layer.

    path: what the paths of its weights begin with, `lstm/`; "" for a single layer.
    kind: its class, `Bidirectional`.  class_name: with the layer or cells inside, `Bidirectional(GRU)`.
    return_text: `sequences` or `last`, perhaps with ` + state`; "" if the file does not say.
    note: why the layer cannot be computed; "" if it can be.
    """

    name: str
    path: str
    kind: str
    class_name: str
    config: Mapping[str, Any]
    return_text: str
    parameters: int
    cells: tuple[CellSummary, ...]
    weights: Mapping[str, Array]
    note: Text = ""


@dataclass(frozen=True)
class Contents:
    """The weights of a file, or of layers.

    file, origin: "" without a file.
    count: the number of all layers; None without a graph.
    recurrent: the number of recurrent layers, shown or not.
    layers: the recurrent layers that are shown.  other_shapes: the shapes of all other tensors, by name.
    chains: names of the layers of each chain, in which a layer takes the previous layer's output.
    refusals: recurrent layers that are not shown, and why; other_shapes has their weights.
    loops: the Loops and Scans of an ONNX model that carry a state; other_shapes has their weights.
    assumed: what was assumed about a file without a graph; None for other files.
    is_object: whether they are the weights of a live object, which `file` names.
    state: of a PyTorch module the weights by the names of its state dict, by layer.
    """

    file: str
    origin: str
    count: int | None
    recurrent: int
    layers: tuple[LayerSummary, ...]
    other_shapes: Mapping[str, tuple[int, ...]]
    notes: tuple[Text, ...]
    chains: tuple[tuple[str, ...], ...] = ()
    refusals: Mapping[str, Text] = field(default_factory=dict)
    loops: tuple[StateLoop, ...] = ()
    assumed: Assumed | None = None
    is_object: bool = False
    state: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)


def _describe_modules(file: Modules, *, is_object: bool = False) -> Contents:
    layers = tuple(
        _layer(node, graph=is_object, note=module.reason) for module in file.modules for node in module.nodes
    )
    refused = {module.name: module.reason for module in file.modules if not module.nodes}
    sentence = "" if is_object else assumptions(file)
    notes = (*file.notes, *([sentence] if sentence else []), *_note_refused(file.file, refused))
    chains = tuple(tuple(node.name for node in module.nodes) for module in file.modules if module.nodes)
    return Contents(
        file.file, file.origin, None, len(layers), layers, file.other_shapes, notes, chains, refused,
        assumed=assumed_of(file) if sentence else None, is_object=is_object,
    )  # fmt: skip


def describe_object(title: str, held_weights: HeldWeights) -> Contents:
    """Return the contents of a live object."""
    contents = _describe_modules(replace(held_weights.contents, file=title), is_object=True)
    return replace(contents, count=held_weights.layer_count, state=held_weights.state)


def describe_file(graph: Graph | Modules) -> Contents:
    """Return the contents of the file; a layer that a graph uses several times is listed once."""
    if isinstance(graph, Modules):
        return _describe_modules(graph)
    refused = graph.refusals if isinstance(graph, Program) else {}
    layers = tuple(
        _layer(node, graph=True, note=refused.get(node.name, ""))
        for node in _drop_reuses(graph.recurrent_nodes)
    )
    hidden = explain_hidden(graph)
    known = {layer.name for layer in layers}
    inner = {node.name: find_inner(node) for node in _drop_reuses(graph.nodes) if node.layer in hidden}
    recognized = [node for modules in inner.values() for module, _ in modules for node in module.nodes]
    used = {f"{owner}/{name}" for owner, modules in inner.items() for _, names in modules for name in names}
    layers += tuple(_layer(node, graph=False) for node in recognized)
    nodes = [
        node
        for node in _drop_reuses(graph.nodes)
        if node.class_name != "InputLayer"
        and ".ops." not in f"{node.module}."
        and not node.class_name.endswith("OpLambda")
    ]
    others = {
        f"{node.name}/{name}": array.shape
        for node in nodes
        if node.name not in known
        for name, array in node.weights.items()
        if f"{node.name}/{name}" not in used
    }
    notes = (*graph.notes, *_note_refused(graph.file, hidden))
    if recognized:
        what = "{file}: recognized inside such layers, by shapes: {names}; Keras's defaults are assumed."
        names = format_names([node.name for node in recognized])
        notes = (*notes, Message(what, file=graph.file, names=names))
    count = len(nodes) + len(recognized), len(layers)
    loops = graph.loops if isinstance(graph, Program) else ()
    return Contents(graph.file, graph.origin, *count, layers, others, notes, refusals=hidden, loops=loops)


def _note_refused(file: str, refused: Mapping[str, Text]) -> Iterator[Text]:
    return (
        Message("{file}: {name} is not shown: {why}.", file=file, name=name, why=why)
        for name, why in refused.items()
    )


def describe_case(case: Case, weights: Mapping[str, Array]) -> Contents:
    """Return the layers of a Case.  weights: by path."""
    stack, recurrent, others = case.stack, [], {}
    for index, spec in enumerate(case.stack):
        prefix = stack.prefix(index)
        arrays = {
            path.removeprefix(prefix): value for path, value in weights.items() if path.startswith(prefix)
        }
        if not stack.layers[index].recurrent:
            others.update({f"{prefix}{name}": array.shape for name, array in arrays.items()})
            continue
        name = prefix.rstrip("/") or default_name(spec.class_name)
        node = Node(name, name, spec.class_name, "keras.layers", to_config(spec)["config"], arrays, (), {})
        recurrent.append(replace(_layer(node, graph=True), path=prefix))
    chain = tuple(layer.name for layer in recurrent)
    chains = (chain,) if len(chain) == len(case.stack) else tuple((name,) for name in chain)
    return Contents("", "", len(case.stack), len(recurrent), tuple(recurrent), others, (), chains)


def select_layers(contents: Contents, names: Sequence[str]) -> Contents:
    """Return the layers of these names, `lstm_l0` or all of `lstm`; without a name the whole file.

    Raises UsageError if there is no such layer.
    """
    if not names:
        return contents
    aliases = {layer.name: {layer.name, re.sub(r"_l\d+$", "", layer.name)} for layer in contents.layers}
    for name in names:
        if not any(name in group for group in aliases.values()):
            what, advice = (
                "{file}: there is no recurrent layer {name!r} in it.",
                did_you_mean(name, list(aliases)),
            )
            raise UsageError(what, advice, file=contents.file, name=name)
    layers = tuple(layer for layer in contents.layers if aliases[layer.name] & set(names))
    return replace(contents, layers=layers, other_shapes={}, refusals={}, loops=())


def _drop_reuses(nodes: tuple[Node, ...]) -> Iterator[Node]:
    names = {node.name for node in nodes}
    for node in nodes:
        first, _, number = node.name.rpartition("@")
        if not (number.isdigit() and first in names):
            yield node


def _layer(node: Node, *, graph: bool, note: Text = "") -> LayerSummary:
    both, parameters = node.class_name == "Bidirectional", node.parameters
    inner = _inside(node.config, "layer") if both else node.config
    inner = _inside(inner, "layer") or inner
    returns = "sequences" if inner.get("return_sequences") else "last"
    returns += " + state" if inner.get("return_state") else ""
    if parameters is None:
        parameters = sum(prod(array.shape) for array in node.weights.values())
    return LayerSummary(
        name=node.name,
        path=f"{node.name}/",
        kind=node.class_name,
        class_name=class_text(node.class_name, node.config),
        config=node.config,
        return_text=returns if graph else "",
        parameters=parameters,
        cells=tuple(_cells(node)),
        weights=node.weights,
        note=note,
    )


def _inside(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = config.get(key)
    inner_config = inner.get("config") if isinstance(inner, Mapping) else None
    return inner_config if isinstance(inner_config, Mapping) else {}


def _cells(node: Node) -> Iterator[CellSummary]:
    inner = _inside(node.config, "layer") or node.config
    groups: dict[str, dict[str, Array]] = {}
    for path, array in node.weights.items():
        prefix, _, name = path.rpartition("/")
        groups.setdefault(prefix, {})[name] = array
    for prefix, weights in groups.items():
        kernel, recurrent = weights.get("kernel"), weights.get("recurrent_kernel")
        if written := _written_cell(node.config, prefix, weights):
            units, gates = written.units, tuple(_lines(written, weights))
        elif kernel is not None and recurrent is not None and recurrent.ndim > 1:
            units = node.core_config.get("units", recurrent.shape[-2])
            names = GATES.get(infer_class(*recurrent.shape[-2:]) or "", ())
            parts = {"kernel": kernel, "recurrent_kernel": recurrent}
            if (bias := weights.get("bias")) is not None:
                both = bias.ndim > 1
                parts |= {"input_bias": bias[0], "recurrent_bias": bias[1]} if both else {"bias": bias}
            gates = tuple(
                GateSummary(name, tuple(summarize(key, _cut(parts[key], index, len(names))) for key in parts))
                for index, name in enumerate(names)
            )
        else:
            continue
        backwards = "backward" in prefix.split("/") or bool(inner.get("go_backwards"))
        where = prefix.removeprefix("layer").strip("/")
        matrices = {name: array for name, array in weights.items() if name != "bias" and array.ndim > 1}
        yield CellSummary(
            name=f"{node.name}/{where}" if where else node.name,
            direction="backward" if backwards else "forward",
            units=units,
            features=None if kernel is None else kernel.shape[-2],
            fans={name: fans(array.shape) for name, array in matrices.items()},
            gates=gates,
        )


def _written_cell(config: Mapping[str, Any], prefix: str, weights: Mapping[str, Array]) -> Cell | None:
    """Return the cell whose weights have this prefix; None unless it has equations that fit the weights."""
    backward = "backward" in prefix.split("/") and _inside(config, "backward_layer")
    cell = _inside(backward or _inside(config, "layer") or config, "cell")
    if isinstance(cells := cell.get("cells"), list):
        cell = _inside({str(index): entry for index, entry in enumerate(cells)}, prefix.split("/")[-1])
    if not isinstance(cell.get("equations"), str):
        return None
    try:
        cell_layer = Cell(Spec("", cell, equations=read_equations(cell["equations"])))
        shapes = cell_layer.weight_shapes((None, None, None), checked=False)
    except (LayerError, LookupError, TypeError):
        return None
    sizes = {
        name: tuple(size and given for size, given in zip_longest(shapes.get(name, ()), array.shape))
        for name, array in weights.items()
    }  # as in `wanted`, which has None for the features
    return cell_layer if sizes == shapes else None


def _lines(written: Cell, weights: Mapping[str, Array]) -> Iterator[GateSummary]:
    text, names = written.text, {name: name for name in weights}
    if text.has_two_biases and "bias" in names:
        names |= {"bias": "input_bias", "recurrent_bias": "recurrent_bias"}
    sizes = written.sizes(len(weights["kernel"]) if "kernel" in weights else None)
    for line in dict.fromkeys((*text.gates, *text.step)):
        used = [name for name in names if Name(name) in walk(text.step[line])]
        parts = ((names[name], columns_of(text, name, line, weights, sizes)) for name in used)
        if used:
            yield GateSummary(line, tuple(summarize(*part) for part in parts))


def _cut(array: Array, index: int, count: int) -> Array:
    size = array.shape[-1] // count
    return array[..., index * size : (index + 1) * size]


def summarize(name: str, array: Array) -> Figures:
    """Return the figures of the part of a weight that belongs to one gate."""
    wide = np.asarray(array, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.linalg.norm(wide))
    square = name == "recurrent_kernel" and wide.ndim == 2 and wide.shape[0] == wide.shape[1]
    radius, finite = spectral_radius(wide) if square else None, norm if np.isfinite(norm) else None
    return Figures(name, array.shape, finite, statistics.summarize(array), radius)


def spectral_radius(matrix: Array) -> float | None:
    """Return the largest absolute eigenvalue; None if the matrix is not finite.

    For a large matrix it is |A^k|^(1/k) with k = 2^12 (Gelfand's formula), in float32; the relative error is
    about 1/1000.
    """
    if not matrix.size or not np.isfinite(matrix).all():
        return None
    if len(matrix) <= EXACT:
        return float(np.abs(np.linalg.eigvals(matrix)).max())
    power, logarithm = matrix, 0.0
    for exponent in range(SQUARINGS + 1):
        norm = float(np.linalg.norm(power))
        if norm == 0:
            return 0.0
        logarithm += float(np.log(norm)) / 2**exponent
        power = (power / norm).astype(np.float32)
        if exponent < SQUARINGS:
            power = power @ power
    return float(np.exp(logarithm))


DESCRIBING = ("seed", "weights")
"""Flags of a run that define a layer."""


class DescribedLayers(NamedTuple):
    """Layers that the flags define.  seed: the seed of drawn weights; None if the weights are supplied."""

    specs: tuple[Spec, ...]
    input_shape: Shape
    seed: int | None


class Weights(NamedTuple):
    """Weights that were read or drawn.  description: the layers that the flags define; None for a file."""

    contents: Contents
    remarks: Remarks
    description: DescribedLayers | None = None


def require_plain(ask: Ask) -> None:
    """Raise UsageError for a flag of a run that changes no weight."""
    for name, value in ask.given(*RUN_OPTIONS).items():
        if name not in (*DESCRIBING, "model", "at"):
            flag = Flag(flag_name(name, value))
            raise UsageError("{flag} does not change the weights.", "Leave {flag} out.", flag=flag)


def read(ask: Ask) -> Weights:
    """Read the file, or make the weights of the layers."""
    if is_described(ask):
        return _describe_layers(ask)
    from rnncli.models import reading as models
    from rnncli.models import weights
    from rnncli.models.weight_files import recognize

    if isinstance(ask.model, LiveObject):
        whole = describe_object(ask.model.title, ask.model.weights())
        return Weights(select_layers(whole, () if ask.at is None else (ask.at,)), ())
    if isinstance(ask.input, (Mapping, list)):
        arrays = ask.input if isinstance(ask.input, Mapping) else weights.name_in_order(ask.input)
        whole = describe_file(recognize.find_modules("weights", arrays))
        return Weights(whole, whole.notes)
    path, names = split_layers(_file(ask))
    whole = describe_file(models.read(find_source(path), or_layers=True))
    return Weights(select_layers(whole, tuple(filter(None, names))), whole.notes)


def is_described(ask: Ask) -> bool:
    """Return whether the flags define the layers, so that INPUT is not a file of weights."""
    return bool(ask.options or ask.given("layer", "input_shape", *DESCRIBING))


def _file(ask: Ask) -> str:
    for name, value in ask.given(*INPUT_OPTIONS[1:]).items():  # all but INPUT itself
        what = "{flag} applies to the input of a layer, not to a file of weights."
        raise UsageError(
            what, "Leave it out, or name a layer with {--layer}.", flag=Flag(flag_name(name, value))
        )
    words = [word for word in (ask.input, ask.model) if word is not None]
    if len(words) == 1:
        return str(words[0])
    if words:
        what = "both {word} and {--model:model} are given."
        raise UsageError(what, "Name one file.", word=words[0], model=words[1])
    advice = "Name a file, rnncli weights model.keras, or a layer, rnncli weights --layer 'LSTM(3)'."
    raise UsageError("weights needs a file or a layer.", advice)


def _describe_layers(ask: Ask) -> Weights:
    import numpy as np

    from rnncli import compute
    from rnncli.inputs.arrange import Arrangement

    if ask.model is not None:
        raise UsageError(
            "{--model} cannot be combined with flags that define a layer: it has its own layers and weights.",
            "Leave out {--model}, or the flags of the layer.",
        )
    word = "" if ask.holds_numbers else str(ask.input or "")
    path = split_layers(word)[0]
    if path.casefold().endswith(MODEL_SUFFIXES):
        names = [*ask.given("layer"), *ask.options, *ask.given(*DESCRIBING)]
        flag = flag_name(names[0]) if names else "--input-shape"
        advice = "Leave out {flag}; or load the weights into that layer: {--weights:path}"
        if flag == "--weights" or flag.endswith("-initializer"):  # which cannot be combined with --weights
            advice = "Leave out {flag}."
        what = "{word} is a saved model, but {flag} defines a different layer."
        way = Message(advice, flag=Flag(flag), path=shlex.quote(path))
        raise UsageError(what, way, word=word, flag=Flag(flag))
    outline = subject_of(ask).outline()
    stack, shape = outline.stack, outline.shape
    filled = (1 if axis < 2 and not isinstance(size, int) else size for axis, size in enumerate(shape))
    sizes = known_sizes(tuple(filled))
    if sizes is None:
        what = "{--input-shape:shape}: the weights depend on the features, which are unknown."
        advice = "Give the last size as a number, such as batch,None,8."
        raise UsageError(what, advice, shape=format_shape(shape))
    document = outline.document._replace(initial_state=None)
    given = read_given(ask, stack, document, outline.where)
    inputs = np.broadcast_to(np.zeros((), "float64" if stack.dtype == "float64" else "float32"), sizes)
    case = given.case(Arrangement(inputs))
    compute.require_room(case, 1)
    weights, _ = compute.weights_and_seeds(case, stack, "numpy")
    seed = case.seed if case.weights is None else None
    description = DescribedLayers(case.stack, shape, seed)
    return Weights(describe_case(case, weights), outline.remarks, description)
