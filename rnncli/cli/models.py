"""`--model FILE[#names]`: a saved model with its inputs, and the Cases of its recurrent layers."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Array, Case
from rnncli.cli import model_inputs, sources
from rnncli.compute.models import kind_of
from rnncli.errors import UsageError, format_names
from rnncli.model import SavedModel
from rnncli.readers.formats import Source

if TYPE_CHECKING:
    from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
    from rnncli.compute.compare import Tolerance
    from rnncli.compute.models import Cases, ModelRun, Part
    from rnncli.result import Result


class Model(NamedTuple):
    """A saved model after reading.  names: the layers after the #; empty for all."""

    saved: SavedModel
    path: Path
    names: tuple[str, ...]

    @property
    def kind(self) -> Any:
        """The module of `rnncli.compute.models` that runs it."""
        return kind_of(self.saved)

    def notes_on(self, run: ModelRun) -> tuple[str, ...]:
        """Return the notes on the file and on a run of it, each with the name of the file."""
        return tuple(f"{self.saved.file}: {note}" for note in (*self.saved.notes, *run.notes))


class Returns(NamedTuple):
    """The options return_sequences and return_state for every recurrent layer; None keeps the model's own."""

    sequences: bool | None = None
    state: bool | None = None

    def of(self, case: Case) -> Case:
        """Return the case with these flags in its last layer."""
        wanted = {"return_sequences": self.sequences, "return_state": self.state}
        given = {name: value for name, value in wanted.items() if value is not None}
        last = case.layers[-1]
        if not given or last.class_name == "TimeDistributed":
            return case
        return case._replace(stack=case.stack.with_returns(**given))


def open_model(word: str, assume: str | Mapping[str, Any] | None = None) -> Model:
    """Read the model that --model names.  Raises InputError for another file, UsageError for a wrong layer.

    assume: assumptions about a file without a graph, `activation=relu,gates=iofg`, or a mapping.
    """
    from rnncli.readers import models as readers

    source, names = _split_names(word)
    model = Model(readers.read(source), source.path or Path(source.name), names)
    model.kind.choose(model.saved, names)
    if assume is None:
        return model
    if not hasattr(model.kind, "assume"):
        raise UsageError(
            f"--assume is for files without a graph, and {model.saved.file} has a graph.",
            "Leave --assume out.",
        )
    options = _parse_assumptions(assume) if isinstance(assume, str) else assume
    written = {name: str(value) for name, value in options.items()}
    return model._replace(saved=model.kind.assume(model.saved, written))


def note_whole_model(file: str) -> str | None:
    """Return a note that --model runs the layers of a file, or those that it can run; None if none."""
    from rnncli.compute.models import keras
    from rnncli.readers import models as readers

    graph = readers.read_graph_alone(sources.find_source(file))
    layers = () if graph is None else keras.layer_names(graph)
    names = keras.runnable_layers(graph) if graph is not None else []
    if not names:
        return None
    if len(names) == len(layers):
        return f"only the weights of {file} are used; --model {shlex.quote(file)} runs the layers of the file"
    option = keras.model_option(file, names)
    return f"only the weights of {file} are used; {option} runs only {format_names(names)}"


def _parse_assumptions(text: str) -> dict[str, str]:
    """Parse `activation=relu,gates=iofg`."""
    found: dict[str, str] = {}
    for item in text.split(","):
        name, sign, value = (part.strip() for part in item.partition("="))
        if not (name and sign and value) or name in found:
            what = f"{name} is given twice" if name in found else f"{item.strip()!r} is not NAME=VALUE"
            raise UsageError(
                f"--assume {text}: {what}.",
                "Write NAME=VALUE, several with commas between: --assume activation=relu,gates=iofg.",
            )
        found[name] = value
    return found


def _split_names(word: str) -> tuple[Source, tuple[str, ...]]:
    """Return the file, and the layer names after a #, unless the # is part of the file's own name."""
    whole = sources.find_source(word)
    if "#" not in word or (whole.path is not None and whole.path.exists()):
        return whole, ()
    file, _, names = word.rpartition("#")
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    if not found:
        raise UsageError(
            f"--model {word}: there is no layer name after the #.",
            f"For all layers: --model {shlex.quote(file)}",
        )
    return sources.find_source(file), found


def require_alone(input: InputFlags, layer: LayerFlags, run: RunFlags) -> None:
    """Raise UsageError for a flag that describes a layer: the model has its own layers."""
    from rnncli.cli.flag_groups import collect_flags

    others = {"layer": layer, "run": run, "input": input}
    allowed = {"return_sequences", "return_state", "engine", "model", "assume", "input", "input_format"}
    allowed |= {"calls", "delimiter", "decimal", "batch_column", "pad", "pad_value", "input_axes"}
    named = [name for flags in others.values() for name in collect_flags(flags) if name not in allowed]
    if run.calls > 1:
        named.append("calls")
    if named:
        flag = f"--{named[0].replace('_', '-')}"
        if named[0] in {"input_shape", "fill"}:
            raise UsageError(
                f"{flag} cannot be combined with --model: it generates the input of a --layer.",
                "Give a file, or JSON on the command line.",
            )
        raise UsageError(
            f"{flag} cannot be combined with --model: a saved model has its own layers, weights and masks.",
            f"Leave out {flag}; or leave out --model, and name a layer with --layer.",
        )


def run_model(
    model: Model, inputs: Mapping[str, Array], engine: str, *, everything: bool = False
) -> ModelRun:
    """Return the Case of each requested recurrent layer."""
    found: ModelRun = model.kind.run(
        model.saved, model.path, inputs, make_runner(engine), layers=model.names, everything=everything
    )
    return found


def make_runner(engine: str) -> Callable[[Case], Result]:
    """Return the function that computes a Case in this engine."""
    from rnncli import compute

    return lambda case: compute.run(case, engine)


class ModelLayer(NamedTuple):
    """The one layer that --model chooses.  inputs: of the model.  original: the Case before the flags."""

    model: Model
    inputs: Mapping[str, Array]
    name: str
    original: Case
    case: Case

    def compare_with_framework(
        self, result: Result, atol: Tolerance, rtol: Tolerance
    ) -> tuple[Result, list[str]]:
        """See the function `compare_with_framework`.  result: with every output and state of the layer."""
        from rnncli.compute.models import Cases

        cases = {self.name: Cases(self.original, Returns(state=True).of(self.case))}
        return compare_with_framework(
            self.model, self.inputs, cases, result, atol, rtol, prefix=f"{self.name}/"
        )


def compare_with_framework(
    model: Model,
    inputs: Mapping[str, Array],
    cases: Mapping[str, Cases],
    result: Result,
    atol: Tolerance,
    rtol: Tolerance,
    *,
    prefix: str = "",
) -> tuple[Result, list[str]]:
    """Return the result with its differences from the model's framework, and the tensors beyond tolerance.

    prefix: precedes the names of `result` in the model, such as `gru/`.
    Raises EngineError if the framework is not installed or cannot run the model.
    """
    from rnncli.compute import compare

    theirs = model.kind.outputs(model.saved, model.path, inputs, cases)
    outputs = tuple(tensor._replace(values=theirs[f"{prefix}{tensor.name}"]) for tensor in result.outputs)
    other = replace(result, outputs=outputs)
    compared = replace(
        result,
        differences=compare.differences(result, other),
        reference=model.kind.framework(model.saved),
    )
    return compared, compare.find_disagreements(result, other, atol, rtol)


def case(input: InputFlags, layer: LayerFlags, run: RunFlags) -> tuple[Case, tuple[str, ...]]:
    """Return the Case of the only layer that --model chooses, for commands that show one layer, and notes."""
    chosen, remarks = choose_layer(input, layer, run)
    return chosen.case, remarks


def choose_layer(input: InputFlags, layer: LayerFlags, run: RunFlags) -> tuple[ModelLayer, tuple[str, ...]]:
    """Return the only layer that --model chooses, with the model's inputs, and notes."""
    require_alone(input, layer, run)
    return _choose_layer(open_model(run.model or "", run.assume), input, layer)


def _choose_layer(model: Model, input: InputFlags, layer: LayerFlags) -> tuple[ModelLayer, tuple[str, ...]]:
    inputs, remarks = model_inputs.read_inputs(model, input)
    part, notes = single_part(model, inputs, Returns())
    returns = Returns(layer.return_sequences, layer.return_state)
    return ModelLayer(model, inputs, part.layer, part.case, returns.of(part.case)), (*remarks, *notes)


def choose_parts(
    input: InputFlags, layer: LayerFlags, run: RunFlags
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return every recurrent layer that --model chooses, in the order of the model, and notes."""
    require_alone(input, layer, run)
    model = open_model(run.model or "", run.assume)
    inputs, remarks = model_inputs.read_inputs(model, input)
    returns = Returns(layer.return_sequences, layer.return_state)
    if len(_distinct(model)) == 1:
        part, notes = single_part(model, inputs, returns)
        return (part,), (*remarks, *notes)
    found = run_model(model, inputs, "auto")
    parts = tuple(part._replace(case=returns.of(part.case)) for part in found.parts)
    return parts, (*remarks, *model.notes_on(found))


def _distinct(model: Model) -> tuple[str, ...]:
    """Return the names of the chosen layers; for one shared layer, the name of its first use."""
    names = tuple(model.kind.choose(model.saved, model.names))
    return model.names if len(model.names) == 1 and model.names[0] in names else names


def single_part(model: Model, inputs: Mapping[str, Array], returns: Returns) -> tuple[Part, tuple[str, ...]]:
    """Return the only chosen layer, and notes.  Raises UsageError if there are several."""
    file = model.saved.file
    names = _distinct(model)
    if len(names) > 1:
        raise UsageError(
            f"--model {file}: this command takes one recurrent layer, but the model has several: "
            f"{', '.join(names)}.",
            f"Name one: --model {shlex.quote(f'{file}#{names[0]}')}",
        )
    # The engine of the flags is for this layer alone; what comes before it has its own.
    found = run_model(model._replace(names=names), inputs, "auto")
    part = next((part for part in found.parts if part.layer == names[0]), found.parts[0])
    note = f"{file}: this is the layer {part.layer}, with the inputs and weights that it has in the model"
    return part._replace(case=returns.of(part.case)), (*model.notes_on(found), note)


def case_of_address(
    input: InputFlags, layer: LayerFlags, run: RunFlags, text: str
) -> tuple[Case, tuple[str, ...], str]:
    """Return the Case of the layer in `gru/last_hidden_state[0,3]`, notes, and the prefix `gru/`.

    Without a layer in the text, --model chooses it, and the prefix is "".
    """
    require_alone(input, layer, run)
    model, prefix = open_model(run.model or "", run.assume), ""
    for name in sorted(model.kind.layer_names(model.saved), key=len, reverse=True):
        if text.startswith(f"{name}/"):
            model, prefix = model._replace(names=(name,)), f"{name}/"
            break
    chosen, remarks = _choose_layer(model, input, layer)
    return chosen.case, remarks, prefix
