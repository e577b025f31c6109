"""The flags with which the explorer was started; they are used to read the input again after a change."""

from __future__ import annotations

from typing import NamedTuple

from rnncli.case import Case
from rnncli.cli import model_files, request, sources
from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
from rnncli.inputs import sample_files
from rnncli.specs.stack import Stack


class TypedFlags(NamedTuple):
    """The flags that were typed, and the Case that they describe.

    model_layers: the recurrent layers of --model by name; none without it.
    """

    input: InputFlags
    run: RunFlags
    case: Case
    model_layers: tuple[str, ...] = ()

    @property
    def model_layer(self) -> str:
        """The layer of --model that is explored; "" without a model."""
        return (self.run.model or "").rpartition("#")[2]

    def read_again(self, stack: Stack, seed: int | None) -> TypedFlags:
        """Return the flags with the input read again for these layers and this seed.

        A number of a file is rounded to the dtype of the layers only once, and --input-shape draws from
        the seed.  Raises InputError if the file is no longer what it was.
        """
        run = self.run._replace(seed=seed)
        flags = LayerFlags(layer=list(stack.expressions))
        input_flags = self.input
        if input_flags.input is None and input_flags.input_shape is None:
            # The sample, as at the start; stdin now belongs to the screen.
            input_flags = input_flags._replace(input=str(sample_files.path(sample_files.get(sources.SAMPLE))))
        case, _ = request.case(input_flags, flags, run)
        return self._replace(case=self.case._replace(inputs=case.inputs))

    def in_model_layer(self, name: str) -> TypedFlags:
        """Return the flags for another layer of the model, with what it gets and returns there."""
        file = (self.run.model or "").rpartition("#")[0]
        run = self.run._replace(model=f"{file}#{name}")
        case, _ = request.case(self.input, LayerFlags(), run)
        return self._replace(run=run, case=case)


def choose_model_layer(run: RunFlags) -> tuple[RunFlags, tuple[str, ...]]:
    """Return the flags with one layer of --model named, the first by default, and all that can be chosen.

    Raises InputError if the file is not a model with a recurrent layer, UsageError for a wrong name.
    """
    if run.model is None:
        return run, ()
    model = model_files.open_model(run.model, run.assume)
    names = tuple(model.saved.choose(model.names if len(model.names) > 1 else ()))
    if len(names) > 1 and len(model.names) != 1:
        run = run._replace(model=f"{model.saved.path}#{names[0]}")
    return run, names
