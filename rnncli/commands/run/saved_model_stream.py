"""`rnncli run --model FILE --stream`: each line is an input of the model, answered as it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.ask import model_of, order_of, returns_of
from rnncli.cli import checks
from rnncli.commands.run import RunRequest, stream
from rnncli.commands.run import saved_model as model_answers
from rnncli.commands.run.answer import RunAnswer
from rnncli.commands.run.line_batches import InputLine, name_line
from rnncli.commands.run.saved_model import ModelAnswer
from rnncli.errors import InputError, RnncliError, UsageError
from rnncli.inputs import formats
from rnncli.inputs.formats import Source
from rnncli.models import SavedModel
from rnncli.models.call import (
    ModelCall,
    arrange_inputs,
    compute_tensors,
    require_paddable,
)


def answer(flags: RunRequest) -> None:
    """Read, compute, show; without keep_going, stop at the first bad line, after showing earlier results."""
    stream.require(flags)
    model_answers.require(flags)
    stream.require_lines(flags.ask)
    model = model_of(flags.ask)
    require_paddable(model, order_of(flags.ask))
    require_stateless(model)
    answers = ModelLines(model, flags)
    stream.relay(answers, answers.remarks, flags)


class ModelLines:
    """The answer to each line."""

    def __init__(self, model: SavedModel, flags: RunRequest) -> None:
        self.model, self.flags = model, flags
        self.returns = returns_of(flags.ask)
        self.remarks = stream.NewRemarks()

    def __call__(self, lines: Sequence[InputLine]) -> Iterator[RunAnswer | RnncliError]:
        """Yield one answer per line; raise the errors that do not concern one line alone."""
        for line in lines:
            try:
                yield self._answer(line)
            except InputError as error:
                if position := error.detail.fields.get("position"):
                    # A line on its own is line 1 to the reader of JSON.
                    position.template = "column {column}"
                yield name_line(line, error)

    def _answer(self, line: InputLine) -> ModelAnswer:
        stream.require_whole_value(line)
        raw, remarks = formats.read_raw(Source(line.name, data=line.text), "json")
        inputs, notes = arrange_inputs(self.model, raw, order_of(self.flags.ask))
        engine, everything = self.flags.ask.engine, self.flags.ask.all_layers
        call = ModelCall(self.model, inputs, self.returns, (*remarks, *notes))
        found = compute_tensors(call, engine, everything=everything)
        self.remarks.add(found.notes)
        result = checks.select_tensors(found.result, self.flags.select)
        return ModelAnswer.of(call, found, result, line=line.number)


def require_stateless(model: SavedModel) -> None:
    """Raise UsageError for layers that continue from the state after the previous line."""
    stateful = model.stateful_layers()
    if stateful:
        raise UsageError(
            "{--stream}: {stateful} in {file} is stateful, and a stream does not carry the states of a model "
            "from line to line."
            if len(stateful) == 1
            else "{--stream}: {stateful} in {file} are stateful, and a stream does not carry the states of a "
            "model from line to line.",
            "Describe the layer instead: rnncli weights '{file}#{first}' --to keras -o "
            "layer.npz, then rnncli run --stream --stateful --layer ... --weights layer.npz",
            stateful=", ".join(stateful),
            file=model.file,
            first=stateful[0],
        )
