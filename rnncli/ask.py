"""What is asked for, as one plain value: the command line, Python and the lines of a stream fill it."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rnncli import options


class Ask(NamedTuple):
    """A layer, its input, and how to run it.  Nothing is read before the Case is made from it.

    The fields are those of the table of options.  A file is its path, `-` or JSON text, as typed.
    layer: names, expressions and `@` files, first to last.
    options: of the layers, by Keras's names; only those that are given.
    """

    input: Any = None
    input_shape: Any = None
    fill: str | None = None
    input_format: str | None = None
    input_axes: Any = None
    batch_column: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    pad: Any = None
    pad_value: float | None = None
    mask: Any = None
    mask_value: float | None = None
    layer: Any = None
    options: Mapping[str, Any] = {}
    seed: int | None = None
    weights: Any = None
    initial_state: Any = None
    training: bool | None = None
    calls: int = 1
    engine: str = "auto"
    model: Any = None
    assume: Any = None
    all_layers: bool = False
    all_calls: bool = False
    hold: Sequence[str] | None = None

    def given(self, *names: str) -> dict[str, Any]:
        """Return those of these fields that are not at their defaults; of all, without names."""
        values = {name: getattr(self, name) for name in names or self._fields}
        usual = {"calls": 1, "engine": "auto", "options": {}}
        return {
            name: value
            for name, value in values.items()
            if value is not None and value is not False and not (name in usual and value == usual[name])
        }

    @property
    def files(self) -> dict[str, str | None]:
        """What is read, by the flag that names it: a path, `-` for standard input, or the text itself."""
        from rnncli.inputs.source import split_layers

        return {
            "INPUT": self.input,
            "--mask": self.mask,
            **{f"--layer {word}": word[1:] for word in self.layer or () if word.startswith("@")},
            "--weights": self.weights and split_layers(self.weights)[0],
            "--initial-state": self.initial_state,
            "--model": self.model and split_layers(self.model)[0],
        }


INPUT_OPTIONS = Ask._fields[: Ask._fields.index("layer")]
"""INPUT, and the options about it."""
LAYER_OPTIONS = options.names("options")
RUN_OPTIONS = ("seed", "weights", "initial_state", "training", "calls", "engine", "model", "assume")
