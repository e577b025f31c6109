"""What is asked for, as one plain value, which reads nothing until a part of it is needed.

The command line, Python and the lines of a stream fill an Ask.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.ask.layer_files import is_layer, read_layer, read_named
from rnncli.errors import Flag, InputError, LayerError, Message, Text, UsageError, inside
from rnncli.options import BY_NAME, first_given, flag_name, is_given, names, of_files_alone
from rnncli.values import Document, RawValue, Shape

if TYPE_CHECKING:
    from rnncli.inputs.arrange import Arrangement, ArrangeOptions
    from rnncli.inputs.formats import ReadOptions
    from rnncli.inputs.source import Source
    from rnncli.layers.case import Case
    from rnncli.layers.stack import Stack

Remarks = tuple[Text, ...]


class Ask(NamedTuple):
    """A layer, its input, and how to run it.  Nothing is read before the Case is made from it.

    The fields are those of the table of options.  A file is text as it is typed: its path, `-` or JSON;
    Python gives a Path, or the value itself.
    layer: names, expressions, `@` files and configs, first to last.
    options: of the layers, by Keras's names; only those that are given.
    model: a file; or in Python a LiveObject, of which `at` names a layer.
    stdin: whether standard input is the input if there is no other one.
    """

    input: Any = None
    input_shape: Any = None
    fill: str | None = None
    input_format: str | None = None
    input_axes: Any = None
    batch_column: str | None = None
    columns: Any = None
    drop: Any = None
    delimiter: str | None = None
    decimal: str | None = None
    pad: Any = None
    pad_value: float | None = None
    mask: Any = None
    mask_value: float | None = None
    lengths: Any = None
    window: int | None = None
    stride: int | None = None
    layer: Sequence[Any] | None = None
    options: Mapping[str, Any] = {}
    seed: int | None = None
    weights: Any = None
    initial_state: Any = None
    training: bool | None = None
    calls: int = 1
    engine: str = "auto"
    model: Any = None
    assume: Any = None
    at: str | None = None
    custom_objects: Any = None
    all_layers: bool = False
    all_calls: bool = False
    hold: Sequence[str] | None = None

    stdin: bool = True

    def given(self, *names: str) -> dict[str, Any]:
        """Return the named options that are given; without names, look at all."""
        fields = names or tuple(name for name in self._fields if name in BY_NAME)
        return {name: value for name in fields if is_given(name, value := getattr(self, name))}

    @property
    def holds_numbers(self) -> bool:
        """Whether the input is not a file but an array, arrays by name, or one array per sequence."""
        return self.input is not None and not isinstance(self.input, (str, PathLike))

    @property
    def files(self) -> dict[str, str | None]:
        """What the command line reads, by the flag that names it: `m.h5#lstm`, `-`, or JSON."""
        typed = [word for word in self.layer or () if isinstance(word, str)]
        names = [name for name in self._fields if name in BY_NAME and BY_NAME[name].reads]
        words = {
            "INPUT": self.input,
            **{f"--layer {word}": word[1:] for word in typed if word.startswith("@")},
            **{flag_name(name): getattr(self, name) for name in names if name != "layer"},
        }
        return {name: word if isinstance(word, str) else None for name, word in words.items()}

    def require_options(self, others: Mapping[str, str | None] = {}) -> None:
        """Raise UsageError if an option lacks what it needs, or if standard input would be read twice.

        others: the other files that are read, by their flags.
        """
        if self.pad_value is not None and self.pad is None:
            raise UsageError("{--pad-value} needs {--pad}.", "Add {--pad post}.")
        if self.lengths is not None and self.mask is not None:
            raise UsageError(
                "{--lengths} and {--mask} both say which time steps are real.", "Leave one of them out."
            )
        if self.lengths is not None and self.pad == "pre":
            what = "{--lengths} counts time steps from the start, where {--pad pre} puts the padding."
            raise UsageError(what, "Leave one of them out.")
        if self.stride is not None and self.window is None:
            raise UsageError("{--stride:stride} needs {--window}.", "Add {--window 10}.", stride=self.stride)
        if self.window is not None and (self.batch_column or self.input_axes):
            raise UsageError(
                "{--window:window} takes one series, whose rows are time steps; {flag} says otherwise.",
                "Leave one of them out.",
                window=self.window,
                flag=Flag("--batch-column" if self.batch_column else "--input-axes"),
            )
        if self.all_calls and self.calls == 1:
            raise UsageError("{--all-calls} needs {--calls N} with N greater than 1.", "Add {--calls 2}.")
        if self.assume is not None and self.model is None:
            raise UsageError("{--assume} needs {--model}.", "Name the file: {--model model.pt}.")
        if self.custom_objects is not None and self.model is None:
            raise UsageError("{--custom-objects} needs {--model}.", "Name the file: {--model model.keras}.")
        from rnncli.inputs.source import stdin_holds_data

        readers = [name for name, word in (*self.files.items(), *others.items()) if word == "-"]
        if len(readers) > 1:
            what = "- is given twice, for {first} and {second}, but standard input can be read only once."
            raise UsageError(what, "Put one of them into a file.", first=readers[0], second=readers[1])
        if readers and self.input is None and self.input_shape is None and stdin_holds_data():
            what = "standard input is already the input; {reader} cannot read it too."
            raise UsageError(what, "Name the input, or give {reader} a file.", reader=readers[0])

    @property
    def returns(self) -> dict[str, bool]:
        """The options return_sequences and return_state that are given, which go to a saved model, too."""
        given = ((name, self.options.get(name)) for name in ("return_sequences", "return_state"))
        return {name: value for name, value in given if value is not None}

    @property
    def is_bare(self) -> bool:
        """Whether there is no input, not even on standard input, so that the built-in sample is used."""
        from rnncli.inputs.source import stdin_holds_data

        return self.input is None and self.input_shape is None and not (self.stdin and stdin_holds_data())

    def read_document(self) -> tuple[Document, Text]:
        """Read the input, as windows if they are asked for; return it with its name in errors."""
        from rnncli.inputs import formats

        document, source, folder = self._read(formats.read)
        name = _keyword("inputs", self.input) or source
        with inside(name):
            layer = document.layer and read_named(document.layer, folder)
        return self._cut_windows(document._replace(layer=layer), name), name

    def read_raw(self, texts: Sequence[str] = ()) -> tuple[Document, Text]:
        """Read the input of a saved model as `read_document` does, but as it is.

        texts: the names of the inputs that are text.
        """
        from rnncli.inputs import formats

        document, name, _ = self._read(partial(formats.read_raw, texts=texts))
        return self._cut_windows(document, name), name

    def _read(
        self, read: "Callable[[Source, str | None, ReadOptions], Document]"
    ) -> tuple[Document, Text, Path]:
        """Return the input, the name of its source, "" for numbers, and the folder of files that it names."""
        # Here, not deep inside a reader, where Python 3.11 may map its stack anew at each call of the import.
        import numpy as np  # noqa: F401

        from rnncli.inputs.source import choose_input

        if self.fill is not None:
            advice = "Give its shape: {--input-shape 2,10,8}."
            raise UsageError("{--fill:fill} applies only to a generated input.", advice, fill=self.fill)
        if self.holds_numbers:  # of a DataFrame with named sequences, they are a Document
            given = self.input if isinstance(self.input, Document) else Document(self.input)
            return given, "", Path()
        with inside(_keyword("inputs", self.input)):
            source, remarks = choose_input(self.input, is_layer, stdin=self.stdin)
            document = read(source, self.input_format, self._read_options(source))
        return document._replace(remarks=(*remarks, *document.remarks)), source.name, source.folder

    def _cut_windows(self, document: Document, name: Text) -> Document:
        if self.window is None:
            return document
        from rnncli.inputs.arrange import cut_windows

        with inside(name):
            inputs, remark = cut_windows(document.inputs, self.window, self.stride or 1)
        names = document.names
        if names.steps:
            starts = range(0, len(inputs) * (self.stride or 1), self.stride or 1)
            steps = tuple(names.steps[0][start : start + self.window] for start in starts)
            names = names._replace(steps=steps, sequences=())
        return document._replace(inputs=inputs, names=names, remarks=(*document.remarks, remark))

    @property
    def windows_follow(self) -> bool:
        """Whether each window begins where the window before it ends."""
        return self.window is not None and (self.stride or 1) == self.window

    def note_windows(self, *, is_stateful: bool, goes_on: bool | None = None) -> Remarks:
        """Return a remark on stateful layers that get the windows of a series.

        goes_on: whether each window goes on from the state that the window before left; None for a saved
            model whose windows do not.
        """
        if self.window is None or not is_stateful:
            return ()
        if goes_on:
            text = (
                "stateful: each window is a call that goes on from the state that the window before left, as "
                "in Keras with one window after the other in batches of one"
            )
            return (Message(text),)
        if goes_on is False and self.calls == 1 and self.initial_state is None:
            text = (
                "stateful: each window starts anew, as a sequence of the batch. Keras carries states from "
                "call to call only: for windows that go on from each other, give {--stride:window}"
            )
            return (Message(text, window=self.window),)
        text = (
            "stateful: each window starts anew, as a sequence of the batch. Keras carries states from call "
            "to call only: for one state through the series, give it as one sequence, without {--window}"
        )
        return (Message(text),)

    def _read_options(self, source: "Source") -> "ReadOptions":
        from rnncli.inputs.formats import ReadOptions, detect_format

        columns, drop = (
            value.split(",") if isinstance(value, str) else value for value in (self.columns, self.drop)
        )
        options = ReadOptions(self.delimiter, self.decimal, self.batch_column, columns, drop)
        flag = first_given(options._asdict(), options._fields)
        if flag and (format_name := detect_format(source, self.input_format)) != "csv":
            what = "{flag} applies to CSV, but {name} is {format_name}."
            advice = "Leave {flag} out."
            raise UsageError(what, advice, flag=Flag(flag), name=source.name, format_name=format_name)
        return options

    def generated_shape(self) -> Shape:
        """Return the shape of a generated input, which cannot be combined with one that is read."""
        from rnncli.inputs.generated import parse_shape
        from rnncli.inputs.source import write_with_commas

        shape = self.input_shape
        if self.input is not None:
            sizes = write_with_commas(f"{shape} {self.input}")
            raise UsageError(
                "both an input, {input!r}, and {--input-shape} are given.",
                Message("Write {--input-shape:shape}", shape=sizes)
                if sizes
                else Message("Leave one of them out."),
                input=self.input[:40],
            )
        if self.input_axes is not None:
            advice = "Give {--input-shape} in Keras's order."
            raise UsageError("{--input-axes} applies only to an input that is read.", advice)
        if flag := first_given(self._asdict(), of_files_alone("shape")):
            what = "{flag} applies to an input that is read, not to {--input-shape}."
            raise UsageError(what, "Leave it out.", flag=Flag(flag))
        return parse_shape(shape if isinstance(shape, str) else ",".join(map(str, shape)))

    def stack(self, document: Document | None = None, name: Text = "") -> "Stack":
        """Return the layers asked for, else those of the document, which errors call `name`."""
        from rnncli import specs

        layers = self.layers()
        stored = None if document is None else document.layer
        if not layers and stored is not None:
            with inside(name):
                specs.from_flags([stored], {})
        return specs.from_flags(layers, self.options, stored, all_layers=self.all_layers)

    def layers(self) -> list[Any]:
        """Return the layers as they were given; files of layers are read."""
        return [read_layer(layer) for layer in self.layer or ()]

    def read_value(self, name: str) -> RawValue:
        """Return the weights or the initial states: read from a file, or the arrays that Python gives."""
        value: Any = getattr(self, name)
        if name == "weights" and isinstance(value, Mapping):
            from rnncli.models.weights import to_layers

            return RawValue(to_layers(name, value), name)
        if not isinstance(value, (str, PathLike)):
            return RawValue(value, name)
        from rnncli.inputs.source import find_source

        with inside(_keyword(name, value)):
            source = find_source(value)
            if name == "weights":
                from rnncli.models.weights import read_weights

                return RawValue(read_weights(source), source.name)
            from rnncli.inputs.formats import read_states

            return RawValue(read_states(source), source.name)

    def arranging(self) -> "ArrangeOptions":
        """Return how the input is arranged: its axes, padding and mask, for layers and for models."""
        from rnncli.inputs.arrange import BATCH_FIRST, ArrangeOptions, parse_lengths

        mask: Any = self.mask
        mask_where: Text = ""
        if isinstance(mask, (str, PathLike)):
            from rnncli.inputs.formats import read_tensor
            from rnncli.inputs.source import find_source

            with inside(_keyword("mask", mask)):
                source = find_source(mask)
                mask, mask_where = read_tensor(source), source.name
        axes = self.input_axes.split(",") if isinstance(self.input_axes, str) else self.input_axes
        assumes_order = axes is self.input_shape is self.pad is None
        return ArrangeOptions(
            None if axes is None else tuple(axes),
            self.pad,
            self.pad_value or 0.0,
            mask=mask,
            mask_value=self.mask_value,
            lengths=None if self.lengths is None else parse_lengths(self.lengths),
            order=BATCH_FIRST if assumes_order else None,
            mask_where=mask_where,
        )


class Given(NamedTuple):
    """The layers, and all that is given besides the inputs: it makes the Case of every input.

    own_layer: the layer that an input describes beside its weights; None without one.
    """

    stack: "Stack"
    arranging: "ArrangeOptions"
    weights: RawValue
    initial_state: RawValue
    seed: int | None
    training: bool | None
    calls: int
    all_layers: bool
    all_calls: bool
    own_layer: Any = None

    def case(self, arranged: "Arrangement") -> "Case":
        """Return the Case of these inputs.  Raises InputError or LayerError for a part that does not fit."""
        from rnncli.layers.case import Case

        case = Case(
            stack=self.stack,
            inputs=arranged.inputs,
            mask=arranged.mask,
            initial_state=self.initial_state.value,
            weights=self.weights.value,
            seed=self.seed,
            training=bool(self.training),
            calls=self.calls,
            all_layers=self.all_layers,
            all_calls=self.all_calls,
            names=arranged.names,
        )
        if case.weights is None and case.initial_state is None:
            return case
        from rnncli.layers.shape_checks import check_case

        try:
            return check_case(case, self.weights.where, self.initial_state.where)
        except InputError as error:
            if self.weights.where in error.sources and self._fits_own_layer(case):
                error.advice = OWN_LAYER
            raise

    def _fits_own_layer(self, case: "Case") -> bool:
        """Return whether the weights fit the layer that came with them."""
        from rnncli import specs
        from rnncli.layers.shape_checks import check_weights

        with suppress(InputError, LayerError):
            if self.own_layer is not None:
                check_weights(case.weights, specs.from_flags((), {}, self.own_layer), case.inputs.shape)
                return True
        return False


OWN_LAYER = Message("The weights fit the layer of the input: leave out {--layer}, or flags that change it.")
INPUT_OPTIONS = Ask._fields[: Ask._fields.index("layer")]
"""INPUT, and the options about it."""
LAYER_OPTIONS = names("options")
RUN_OPTIONS = Ask._fields[Ask._fields.index("seed") : Ask._fields.index("all_layers")]


def _keyword(name: str, value: Any) -> str:
    """Return what errors begin with: the keyword of a value given in Python; "" for a typed word, or none."""
    return "" if value is None or isinstance(value, str) else name
