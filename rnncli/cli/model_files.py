"""Open the saved model of `--model FILE[#names]`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.cli import sources
from rnncli.errors import Message, Text, UsageError, format_names, join
from rnncli.inputs.formats import Source
from rnncli.inputs.source import split_layers
from rnncli.models import ModelRequest, ModelRun, SavedModel


class Model(NamedTuple):
    """A saved model after reading.  names: the layers after the #; empty for all."""

    saved: SavedModel
    names: tuple[str, ...]

    def request(
        self, inputs: Mapping[str, Array], engine: str = "auto", *, everything: bool = False
    ) -> ModelRequest:
        """Return the request for the layers in `names`.  everything: see ModelRequest."""
        from rnncli import compute

        return ModelRequest(inputs, lambda case: compute.run(case, engine), self.names, everything)

    def run(self, request: ModelRequest) -> ModelRun:
        """Return the Case of each requested recurrent layer."""
        return self.saved.run(request)

    def notes_on(self, run: ModelRun) -> tuple[Text, ...]:
        """Return the notes on the file and on a run of it, each with the name of the file."""
        return tuple(join((self.saved.file, note), ": ") for note in (*self.saved.notes, *run.notes))


def open_model(word: str, assume: str | Mapping[str, Any] | None = None) -> Model:
    """Read the model that --model names.  Raises InputError for another file, UsageError for a wrong layer.

    assume: assumptions about a file without a graph, `activation=relu,gates=iofg`, or a mapping.
    """
    from rnncli import models

    source, names = _split_names(word)
    model = Model(models.open(source), names)
    model.saved.choose(names)
    if assume is None:
        return model
    if model.saved.has_graph:
        raise UsageError(
            "{--assume} is for files without a graph, and {file} has a graph.",
            "Leave {--assume} out.",
            file=model.saved.file,
        )
    options = _parse_assumptions(assume) if isinstance(assume, str) else assume
    written = {name: str(value) for name, value in options.items()}
    return model._replace(saved=model.saved.assume(written))


def note_whole_model(file: str) -> Text | None:
    """Return a note that --model runs the layers of a file, or those that it can run; None if none."""
    from rnncli.models import reading
    from rnncli.models.graph import model_option
    from rnncli.models.keras.choice import runnable_layers

    graph = reading.read_graph_alone(sources.find_source(file))
    names = [] if graph is None else runnable_layers(graph)
    if graph is None or not names:
        return None
    if len(names) == len(graph.recurrent_nodes):
        return Message(
            "only the weights of {file} are used; {--model:path} runs the layers of the file",
            file=file,
            path=shlex.quote(file),
        )
    option = model_option(file, names)
    return Message(
        "only the weights of {file} are used; {option} runs only {names}",
        file=file,
        option=option,
        names=format_names(names),
    )


def _parse_assumptions(text: str) -> dict[str, str]:
    """Parse `activation=relu,gates=iofg`."""
    found: dict[str, str] = {}
    for item in text.split(","):
        name, sign, value = (part.strip() for part in item.partition("="))
        if not (name and sign and value) or name in found:
            what = (
                Message("{name} is given twice", name=name)
                if name in found
                else Message("{item!r} is not NAME=VALUE", item=item.strip())
            )
            raise UsageError(
                "{--assume:text}: {what}.",
                "Write NAME=VALUE, several with commas between: {--assume activation=relu,gates=iofg}.",
                text=text,
                what=what,
            )
        found[name] = value
    return found


def _split_names(word: str) -> tuple[Source, tuple[str, ...]]:
    """Return the file, and the layer names after a #.  Raises UsageError for a # without a name."""
    file, names = split_layers(word)
    if file != word and not any(names):
        raise UsageError(
            "{--model:word}: there is no layer name after the #.",
            "For all layers: {--model:file}",
            word=word,
            file=shlex.quote(file),
        )
    return sources.find_source(file), tuple(filter(None, names))
