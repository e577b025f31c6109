"""`rnncli weights --to LAYOUT`: the same weights in the layout of another framework."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnncli import frameworks
from rnncli.ask import Ask
from rnncli.commands.weights import contents
from rnncli.commands.weights.contents import Contents, LayerSummary, Weights
from rnncli.errors import InputError, LayerError, Message, Text, UsageError, format_names, inside
from rnncli.frameworks import CellWeights, Chain, LayerWeights, torch
from rnncli.layers.layer import within
from rnncli.models.graph import name_loops
from rnncli.show import formats
from rnncli.show.answer import HEAD, Answer, Field, Listing, NestedNumbers, Records, Reply, head
from rnncli.show.formats import OutputFlags
from rnncli.show.page import Page, View, line
from rnncli.show.result_answer import note
from rnncli.values import Array

NO_WEIGHTS = Message("its weights are not in the file; the model computes them")
OWN_CELL = Message("its cell is not one of Keras's, so its gates are unknown")
CONVERTIBLE = Message(
    "What can be converted is a SimpleRNN, an LSTM or a GRU of Keras or PyTorch, with all its weights."
)
NUMBERED = re.compile(r"(?P<name>.*)_l(?P<number>\d+)")
ARRAYS = (".npz", ".safetensors", ".json")
"""Files that hold the arrays of every layout by name."""


def answer(to: str, output: OutputFlags, ask: Ask) -> Reply[ConversionAnswer | bytes]:
    """Return the arrays of the layout, or the file of --output that holds them."""
    suffix = _layout_suffix(to, output)
    source = contents.read(ask)
    chains = chains_of(source.contents)
    if to == "torch" and (state := source.contents.state):
        names = [layer.name for layer in source.contents.layers]
        arrays = {name: array for layer in names for name, array in state[layer].items()}
        return Reply(ConversionAnswer(to, arrays, chains), _remarks(to, chains, source, is_own=True))
    converted = (  # before the remarks: it refuses a layer that the framework lacks
        frameworks.dump(to, chains, suffix)
        if suffix is not None
        else ConversionAnswer(to, frameworks.convert(to, chains), chains)
    )
    return Reply(converted, _remarks(to, chains, source))


def _layout_suffix(to: str, output: OutputFlags) -> str | None:
    """Return the suffix of --output if it is one of the layout's own files."""
    if output.format is not None or output.is_stdout:
        return None
    name = Path(output.output or "").name.casefold()
    suffixes = frameworks.get(to).SUFFIXES
    suffix = next((suffix for suffix in suffixes if name.endswith(suffix)), None)
    if suffix is None:
        try:
            formats.for_output(name)
        except UsageError:
            what = "{output}: {framework}'s layout cannot be saved with this suffix."
            fields = {"framework": frameworks.get(to).FRAMEWORK, "value": ", ".join((*suffixes, *ARRAYS))}
            raise UsageError(what, "Use one of {value}.", output=output.output, **fields) from None
    if suffix == ".h5" and name.endswith(".weights.h5"):
        what = "{output}: a .weights.h5 file holds Keras's layout only."
        raise UsageError(what, "Name the file .h5.", output=output.output)
    return suffix


def chains_of(contents: Contents) -> tuple[Chain, ...]:
    """Return the layers as chains.

    Raises InputError if there is no recurrent layer, LayerError if a layer cannot be converted.
    """
    layers = {layer.name: layer for layer in contents.layers}
    if not layers:
        has = Message("It has {loops}.", loops=name_loops(contents.loops))
        with inside(contents.file):
            without = Message("Name a file or a layer that has one.")
            raise InputError("there is no recurrent layer to convert.", has if contents.loops else without)
    for layer in layers.values():
        if not layer.cells and not contents.file:
            what = "{--to}: only Keras draws the weights of {class_name}."
            advice = "Name a file with its weights, or use another layer."
            raise LayerError(what, advice, class_name=layer.class_name)
    bare = (layer for layer in layers.values() if not layer.cells)
    unknown = {layer.name: OWN_CELL if layer.weights else NO_WEIGHTS for layer in bare}
    noted = {name: layer.note for name, layer in layers.items() if layer.note}
    refused = unknown | noted | dict(contents.refusals)
    for name, why in refused.items():
        others = [other for other in layers if other not in refused]
        choice = "Name the others after a #: {file}#{others}"
        choice = "Name another one: at={first!r}" if contents.is_object else choice
        fields = {"file": contents.file, "others": ",".join(others), "first": "".join(others[:1])}
        with inside(contents.file):
            way = Message(choice, **fields) if others else CONVERTIBLE
            raise LayerError("{name} cannot be converted: {why}.", way, name=name, why=why)
    chain_of = {
        name: (module, names)
        for module, names in _list_chains(contents)
        if all(name in layers for name in names)
        for name in names
    }
    kept = dict.fromkeys(chain_of.get(name, (name, (name,))) for name in layers)
    alone = len(kept) == 1 and not contents.file
    return tuple(
        Chain("" if alone else module, tuple(layer_weights(layers[name]) for name in names))
        for module, names in kept
    )


def _list_chains(contents: Contents) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the name of each chain and its layers; `a_l0, a_l1, ...` are one chain, as in PyTorch."""
    numbered: dict[str, list[str]] = {}
    for names in contents.chains:
        match = NUMBERED.fullmatch(names[0])
        if match is None or len(names) > 1:
            yield match["name"] if match else names[0], names
        else:
            numbered.setdefault(match["name"], []).append(names[0])
    for module, parts in numbered.items():
        ordered = sorted(parts, key=lambda name: int(name.rpartition("_l")[2]))
        if len(parts) > 1 and ordered == [f"{module}_l{number}" for number in range(len(parts))]:
            yield module, tuple(ordered)
        else:
            yield from ((name, (name,)) for name in parts)


def layer_weights(layer: LayerSummary) -> LayerWeights:
    """Return the layer as frameworks take it."""
    config, weights, path = layer.config, layer.weights, layer.path.rstrip("/")
    if layer.kind != "Bidirectional":
        return LayerWeights(path, (CellWeights(_kind(layer.kind, config), config, weights),))
    halves = {"forward": config["layer"], "backward": config.get("backward_layer") or config["layer"]}
    cells = tuple(
        CellWeights(_kind(entry["class_name"], entry["config"]), entry["config"], within(weights, direction))
        for direction, entry in halves.items()
    )
    return LayerWeights(path, cells, config.get("merge_mode", "concat"))


def _kind(class_name: str, config: Mapping[str, Any]) -> str:
    """Return the class of a layer, or `@mgu` if it runs a cell that is written as equations."""
    cell = config.get("cell")
    if isinstance(cell, Mapping) and "equations" in (cell.get("config") or {}):
        return f"@{cell['class_name']}"
    return class_name


def _remarks(to: str, chains: Sequence[Chain], source: Weights, *, is_own: bool = False) -> tuple[Text, ...]:
    """Return the remarks.  is_own: whether a live object's own `load_state_dict` takes the names."""
    seed = source.description.seed if source.description else None
    drawn = () if seed is None else (Message("the weights are those of {--seed:seed}", seed=seed),)
    notes = dict.fromkeys(text for chain in chains for text in frameworks.get(to).notes(chain) if not is_own)
    others = list(source.contents.other_shapes)
    left = Message("not recurrent, so not converted: {others}", others=format_names(others))
    loops = source.contents.loops
    unread = (Message("not converted: {loops}", loops=name_loops(loops)),) if loops else ()
    return (*source.remarks, *drawn, *notes, *unread, *((left,) if others else ()))


FIELDS = (
    Field("name", lambda item: item[0], heading="tensor", style="strong"),
    Field("shape", lambda item: item[1].shape, heading="shape"),
    Field("dtype", lambda item: str(item[1].dtype), heading="dtype"),
    Field("parameters", lambda item: item[1].size, heading="parameters", csv=False),
)
"""What a table says of an array; JSON has its numbers."""
DOCUMENTS = (HEAD | {"layout": str, "dtypes": dict[str, str], "weights": {str: NestedNumbers}},)


@dataclass(frozen=True)
class ConversionAnswer(Answer):
    """The arrays of a layout, by name."""

    layout: str
    arrays: Mapping[str, Array]
    chains: Sequence[Chain] = ()

    def document(self, view: View) -> dict[str, Any]:
        """Return every array with its numbers under `weights`, which --weights reads."""
        dtypes = {name: str(array.dtype) for name, array in self.arrays.items()}
        return {**head(), "layout": self.layout, "dtypes": dtypes, "weights": dict(self.arrays)}

    def page(self, view: View) -> Page:
        """Return the names, shapes and dtypes below the layout and the number of parameters."""
        titled = view.say("{framework}'s layout", framework=frameworks.get(self.layout).FRAMEWORK)
        total = sum(array.size for array in self.arrays.values())
        text = f"{view.say('parameters')}, {view.say('total')} {total:,}"
        table = Listing(FIELDS, self.arrays.items()).table(view)
        return Page(line(titled, "strong"), (note([text], view),), (table,))

    def records(self, view: View) -> Records:
        """Return one row per array."""
        return Listing(FIELDS, self.arrays.items()).records()

    def tensors(self) -> Mapping[str, Array]:
        """Return the arrays."""
        return self.arrays

    def own_file(self, path: str) -> bytes | None:
        """Return the file that the framework reads, if the suffix is the framework's."""
        suffix = _layout_suffix(self.layout, OutputFlags(output=path))
        if suffix is not None and self.layout == "torch":
            return torch.dump_arrays(self.arrays)
        return None if suffix is None else frameworks.dump(self.layout, self.chains, suffix)
