"""`--model FILE[#names]`: a saved model with its inputs, and the Cases of its recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Array, Case, format_shape
from rnncli.cli import sources
from rnncli.errors import UsageError
from rnncli.model import Graph
from rnncli.readers.formats import Source

if TYPE_CHECKING:
    from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
    from rnncli.compute.models.keras import ModelRun, Part
    from rnncli.result import Result

SUFFIXES = (".keras", ".h5", ".hdf5")


class Model(NamedTuple):
    """A model as it was read.  names: of the layers behind the #; none for all."""

    graph: Graph
    path: Path
    names: tuple[str, ...]


class Returns(NamedTuple):
    """What every recurrent layer returns beside what the model takes; None as in the model."""

    sequences: bool | None = None
    state: bool | None = None

    def of(self, case: Case) -> Case:
        """The Case of a layer that returns this."""
        wanted = {"return_sequences": self.sequences, "return_state": self.state}
        given = {name: value for name, value in wanted.items() if value is not None}
        last = case.layers[-1]
        if not given or last.class_name == "TimeDistributed":
            return case
        return replace(case, stack=case.stack.with_returns(**given))


def opened(word: str) -> Model:
    """The model that --model names.  Raises InputError, or UsageError for another kind of file."""
    source, names = _parted(word)
    path = source.file()
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"--model {word}: it is not a Keras model by its suffix.",
            f"Name a file of {', '.join(SUFFIXES)}.",
        )
    from rnncli.readers.models import keras

    return Model(keras.read(source), path, names)


def _parted(word: str) -> tuple[Source, tuple[str, ...]]:
    """The file, and the names behind a # that is no part of the file's own name."""
    whole = sources.find_source(word)
    if "#" not in word or (whole.path is not None and whole.path.exists()):
        return whole, ()
    file, _, names = word.rpartition("#")
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    if not found:
        raise UsageError(
            f"--model {word}: no layer is named behind the #.", f"For all layers: --model {file}"
        )
    return sources.find_source(file), found


def demand_alone(input: InputFlags, layer: LayerFlags, run: RunFlags) -> None:
    """UsageError for a flag that describes a layer, where the model has its own."""
    from rnncli.cli.flags import collect_given

    others = {"layer": layer, "run": run, "input": input}
    allowed = {"return_sequences", "return_state", "engine", "model", "input", "input_format", "calls"}
    allowed |= {"delimiter", "decimal", "batch_column", "pad", "pad_value"}
    named = [name for flags in others.values() for name in collect_given(flags) if name not in allowed]
    if run.calls > 1:
        named.append("calls")
    if named:
        flag = f"--{named[0].replace('_', '-')}"
        raise UsageError(
            f"{flag} and --model do not go together: a saved model has its own layers, weights and masks.",
            f"Leave out {flag}, or describe a layer with --layer.",
        )


def inputs_of(model: Model, flags: InputFlags) -> tuple[dict[str, Array], tuple[str, ...]]:
    """What the flags give to the model, and notes on it."""
    from rnncli.compute.models import keras

    if sources.is_bare(flags):
        ports = "; ".join(f"{port.name}: {keras.wanted(port)}" for port in model.graph.inputs)
        raise UsageError(
            f"--model {model.graph.file} needs an input. The model expects {ports}.",
            "Give a file, or JSON on the command line.",
        )
    raw, remarks = sources.read_raw(flags)
    inputs, notes = fitted(model, raw)
    return inputs, (*remarks, *notes)


def fitted(model: Model, raw: Any) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Every input by its name, with a note on each that got a batch axis."""
    import numpy as np

    from rnncli.compute.models import keras

    inputs = keras.fit_inputs(model.graph, raw)
    remarks: tuple[str, ...] = ()
    for name, array in inputs.items():
        given = np.shape(raw[name] if isinstance(raw, Mapping) else raw)
        if len(given) < array.ndim:
            place = f"{name}: " if len(inputs) > 1 else ""
            change = f"{format_shape(given)} -> {format_shape(array.shape)}"
            remarks += (f"{place}one sequence: a batch axis of 1 was put in front, {change}",)
    return inputs, remarks


def ran(model: Model, inputs: Mapping[str, Array], engine: str, *, everything: bool = False) -> ModelRun:
    """The Case of each recurrent layer that is asked for."""
    from rnncli.compute.models import keras

    return keras.run_with_keras(
        model.graph, model.path, inputs, computing(engine), layers=model.names, everything=everything
    )


def computing(engine: str) -> Callable[[Case], Result]:
    """What answers a Case."""
    from rnncli import compute

    return lambda case: compute.run(case, engine)


def case(input: InputFlags, layer: LayerFlags, run: RunFlags) -> tuple[Case, tuple[str, ...]]:
    """The Case of the one layer that --model chooses, for the commands that look into one layer."""
    demand_alone(input, layer, run)
    model = opened(run.model or "")
    inputs, remarks = inputs_of(model, input)
    part, notes = only(model, inputs, Returns(layer.return_sequences, layer.return_state))
    return part.case, (*remarks, *notes)


def only(model: Model, inputs: Mapping[str, Array], returns: Returns) -> tuple[Part, tuple[str, ...]]:
    """The one layer that is chosen.  Raises UsageError where there are several."""
    from rnncli.compute.models import keras

    nodes = keras.chosen(keras.with_modules(model.graph), model.names)
    file = model.graph.file
    if len(nodes) > 1:
        names = ", ".join(node.name for node in nodes)
        raise UsageError(
            f"--model {file}: this command looks into one recurrent layer, and the model has {names}.",
            f"Name one: --model '{file}#{nodes[0].name}'",
        )
    # The engine of the flags is for this layer alone; what comes before it has its own.
    found = ran(model._replace(names=(nodes[0].name,)), inputs, "auto")
    part = found.parts[0]
    said = f"{file}: this is the layer {part.layer}, with the inputs and weights that it has in the model"
    notes = (*(f"{file}: {note}" for note in (*model.graph.notes, *found.notes)), said)
    return part._replace(case=returns.of(part.case)), notes


def addressed(run: RunFlags, text: str) -> tuple[RunFlags, str]:
    """`gru/last_hidden_state[0,3]`: --model with that layer, and `last_hidden_state[0,3]` of it."""
    from rnncli.compute.models import keras

    source, _ = _parted(run.model or "")
    model = opened(str(run.model))
    nodes = keras.recurrent_nodes(keras.with_modules(model.graph))
    for node in sorted(nodes, key=lambda node: -len(node.name)):
        if text.strip().startswith(f"{node.name}/"):
            rest = text.strip().removeprefix(f"{node.name}/")
            return run._replace(model=f"{source.path}#{node.name}"), rest
    return run, text


def masks_of(model: Model, found: ModelRun) -> tuple[str, ...]:
    """The layers that the masks of the shown layers come from."""
    if not any(part.case.mask is not None for part in found.parts):
        return ()
    return tuple(
        node.name
        for node in model.graph.nodes
        if node.class_name == "Masking" or (node.class_name == "Embedding" and node.config.get("mask_zero"))
    )
