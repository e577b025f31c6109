"""What is asked for, as one plain value, and the one door from it to a Case.

The command line, Python and the lines of a stream fill an Ask, which reads nothing; `case` reads what it
names.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.ask.layer_files import GIVE, GIVEN_BESIDE, read_layer, read_named, refuse_layer_options
from rnncli.case import Document, RawValue, Shape
from rnncli.errors import Flag, Message, Text, UsageError, inside, join
from rnncli.options import first_given, flag_name, names

if TYPE_CHECKING:
    from rnncli.inputs.arrange import Arrangement, ArrangeOptions
    from rnncli.inputs.formats import ReadOptions
    from rnncli.inputs.source import Source
    from rnncli.layers.case import Case
    from rnncli.layers.stack import Stack
    from rnncli.models import SavedModel
    from rnncli.models.call import ChosenLayer, ModelCall

Remarks = tuple[Text, ...]


class Ask(NamedTuple):
    """A layer, its input, and how to run it.  Nothing is read before the Case is made from it.

    The fields are those of the table of options.  A file is text as it is typed: its path, `-` or JSON;
    Python gives a Path, or the value itself.
    layer: names, expressions, `@` files and configs, first to last.
    options: of the layers, by Keras's names; only those that are given.
    stdin: whether standard input is the input if there is no other one.
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
    lengths: Any = None
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
    all_layers: bool = False
    all_calls: bool = False
    hold: Sequence[str] | None = None

    stdin: bool = True

    def given(self, *names: str) -> dict[str, Any]:
        """Return the named fields that are not at their defaults; without names, look at all fields."""
        values = {name: getattr(self, name) for name in names or self._fields}
        usual = {"calls": 1, "engine": "auto", "options": {}, "stdin": True}
        return {
            name: value
            for name, value in values.items()
            if value is not None and value is not False and not (name in usual and value == usual[name])
        }

    @property
    def holds_numbers(self) -> bool:
        """Whether the input is not a file but an array, arrays by name, or one array per sequence."""
        return self.input is not None and not isinstance(self.input, (str, PathLike))

    @property
    def files(self) -> dict[str, str | None]:
        """What the command line reads, by the flag that names it: `m.h5#lstm`, `-`, or JSON."""
        typed = [word for word in self.layer or () if isinstance(word, str)]
        words = {
            "INPUT": self.input,
            "--mask": self.mask,
            **{f"--layer {word}": word[1:] for word in typed if word.startswith("@")},
            "--weights": self.weights,
            "--initial-state": self.initial_state,
            "--model": self.model,
        }
        return {name: word if isinstance(word, str) else None for name, word in words.items()}

    def case(self, *, one_call: bool = False) -> "tuple[Case, Remarks]":
        """Return the Case that is asked for, and remarks.  one_call: see `choose`."""
        return self.choose(one_call=one_call)[:2]

    def choose(self, address: str = "", *, one_call: bool = False) -> "Chosen":
        """Return the Case that is asked for; with a saved model, the Case of one of its layers.

        address: a number, `gru/last_hidden_state[0,3]`, which may name the layer.
        one_call: no remarks on --calls: the command refuses several calls, or makes them itself.
        """
        if self.model is not None:
            part, said, prefix = call_of(self).choose_layer(address)
            return Chosen(part.case, said, part, prefix).holding(self.hold)
        require_options(self)
        from rnncli.ask import notes
        from rnncli.compute import engines, keras_differences
        from rnncli.inputs import arrange

        remarks: Remarks = ()
        if self.input_shape is None:
            document, where = read_document(self)
            stack = stack_of(self, document, where)
        else:
            asked = shape_of(self)
            stack = stack_of(self)
            shape, remarks = arrange.add_batch(asked, stack.input_rank)
            where = f"--input-shape {','.join(map(str, shape))}"
            document = arrange.make_document(stack, shape, self.seed, self.fill, self.weights)
        given = given_of(self, stack, document, where)
        arranged = arrange.arrange(document, given.arranging)
        made = given.case(arranged)
        in_keras = self.engine == engines.REFERENCE  # which then raises these errors itself
        remarks = (
            *remarks, *arranged.remarks,
            *(() if in_keras else keras_differences.note_keras_errors(made, stack)),
            *keras_differences.note_sequential(stack), *(() if one_call else notes.note_missing(made, stack)),
            *notes.note_weights_file(self.weights),
            *notes.note_dropout(self.options, made.calls, training=given.training),
        )  # fmt: skip
        return Chosen(made, remarks).holding(self.hold)


INPUT_OPTIONS = Ask._fields[: Ask._fields.index("layer")]
"""INPUT, and the options about it."""
LAYER_OPTIONS = names("options")
RUN_OPTIONS = ("seed", "weights", "initial_state", "training", "calls", "engine", "model", "assume")


class Chosen(NamedTuple):
    """The Case that is asked for, and remarks.

    part: the layer of a saved model; None for a layer that is described.
    prefix: what the names of its tensors begin with in the model, `gru/`, if an address chose the layer.
    """

    case: "Case"
    remarks: Remarks
    part: "ChosenLayer | None" = None
    prefix: str = ""

    def holding(self, texts: Sequence[str] | None) -> "Chosen":
        """Return the same with gates held.  Raises UsageError for a text that does not fit the layers."""
        if not texts:
            return self
        from rnncli.compute import holds

        return self._replace(case=holds.hold_gates(self.case, texts))


def require_options(ask: Ask, others: Mapping[str, str | None] = {}) -> None:
    """Raise UsageError if an option lacks what it needs, or if standard input would be read twice.

    others: the other files that are read, by their flags.
    """
    if ask.pad_value is not None and ask.pad is None:
        raise UsageError("{--pad-value} needs {--pad}.", "Add {--pad post}.")
    if ask.lengths is not None and ask.mask is not None:
        raise UsageError(
            "{--lengths} and {--mask} both say which time steps are real.", "Leave one of them out."
        )
    if ask.lengths is not None and ask.pad == "pre":
        raise UsageError(
            "{--lengths} counts time steps from the start, where {--pad pre} puts the padding.",
            "Leave one of them out.",
        )
    if ask.all_calls and ask.calls == 1:
        raise UsageError("{--all-calls} needs {--calls N} with N greater than 1.", "Add {--calls 2}.")
    if ask.assume is not None and ask.model is None:
        raise UsageError("{--assume} needs {--model}.", "Name the file: {--model model.pt}.")
    from rnncli.inputs.source import stdin_holds_data

    readers = [name for name, word in (*ask.files.items(), *others.items()) if word == "-"]
    if len(readers) > 1:
        raise UsageError(
            "- is given twice, for {first} and {second}, but standard input can be read only once.",
            "Put one of them into a file.",
            first=readers[0],
            second=readers[1],
        )
    if readers and ask.input is None and ask.input_shape is None and stdin_holds_data():
        raise UsageError(
            "standard input is already the input; {reader} cannot read it too.",
            "Name the input, or give {reader} a file.",
            reader=readers[0],
        )


class Given(NamedTuple):
    """The layers, and all that is given besides the inputs: it makes the Case of every input."""

    stack: "Stack"
    arranging: "ArrangeOptions"
    weights: RawValue
    initial_state: RawValue
    seed: int
    training: bool | None
    calls: int
    all_layers: bool
    all_calls: bool

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
            feature_names=arranged.feature_names,
        )
        if case.weights is None and case.initial_state is None:
            return case
        from rnncli.layers.shape_checks import check_case

        return check_case(case, self.weights.where, self.initial_state.where)


def given_of(ask: Ask, stack: "Stack", document: Document, where: Text = "") -> Given:
    """Read what is asked for besides the inputs; what is not given is taken from the document.

    where: the name of the document in errors.
    """
    weights = read_value(ask, "weights")
    states = read_value(ask, "initial_state")
    idle = next((name for name in ask.options if name.endswith("_initializer")), "")
    if idle and not (weights.value is document.weights is None):
        raise UsageError(
            "{flag} has no effect: {source} supplies every weight.",
            "Leave one of them out.",
            flag=Flag(flag_name(idle)),
            source=Message("the input") if weights.value is None else Message("{--weights}"),
        )
    from rnncli.initializers import draw_seed

    seed = document.seed if ask.seed is None else ask.seed
    return Given(
        stack,
        _arrange_options(ask, stack, where),
        _or_else(weights, document.weights, where, "weights"),
        _or_else(states, document.initial_state, where, "initial_state"),
        draw_seed() if seed is None else seed,
        document.training if ask.training is None else ask.training,
        ask.calls,
        ask.all_layers,
        ask.all_calls,
    )


def _or_else(given: RawValue, value: Any, where: Text, name: str) -> RawValue:
    """Return the given value, else the value in the document."""
    if given.value is not None:
        return given
    return RawValue(value, join((one for one in (where, name) if one), ": "))


def read_value(ask: Ask, name: str) -> RawValue:
    """Return the weights or the initial states: read from a file, or the arrays that Python gives."""
    value: Any = getattr(ask, name)
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


def _keyword(name: str, value: Any) -> str:
    """Return what errors begin with: the keyword of a Path given in Python; "" for a typed word."""
    return "" if isinstance(value, str) else name


def _arrange_options(ask: Ask, stack: "Stack", where: Text) -> "ArrangeOptions":
    """Return the options for arranging an input, called `where` in errors, for these layers."""
    return arranging_of(ask)._replace(
        dtype=stack.dtype, ndim=stack.input_rank, mask_ranks=stack.layers[0].mask_ranks, where=where
    )


def arranging_of(ask: Ask) -> "ArrangeOptions":
    """Return what is asked for the axes of the input, its padding and its mask, whatever takes it."""
    from rnncli.inputs.arrange import BATCH_FIRST, ArrangeOptions, parse_lengths

    mask, mask_where = _read_mask(ask.mask)
    axes = ask.input_axes.split(",") if isinstance(ask.input_axes, str) else ask.input_axes
    assumes_order = axes is ask.input_shape is ask.pad is None
    return ArrangeOptions(
        None if axes is None else tuple(axes),
        ask.pad,
        ask.pad_value or 0.0,
        mask=mask,
        mask_value=ask.mask_value,
        lengths=None if ask.lengths is None else parse_lengths(ask.lengths),
        order=BATCH_FIRST if assumes_order else None,
        mask_where=mask_where,
    )


def _read_mask(given: Any) -> tuple[Any, Text]:
    """Return the mask: read from a file, or the array that Python gives; and its name in errors."""
    if not isinstance(given, (str, PathLike)):
        return given, ""
    from rnncli.inputs.formats import read_tensor
    from rnncli.inputs.source import find_source

    with inside(_keyword("mask", given)):
        source = find_source(given)
        return read_tensor(source), source.name


def read_document(ask: Ask) -> tuple[Document, Text]:
    """Read the input; return it with its name in errors."""
    from rnncli.inputs import formats
    from rnncli.inputs.source import choose_input

    if ask.fill is not None:
        raise UsageError(
            "{--fill:fill} applies only to a generated input.",
            "Give its shape: {--input-shape 2,10,8}.",
            fill=ask.fill,
        )
    if ask.holds_numbers:
        return Document(inputs=ask.input), "inputs"
    place = _keyword("inputs", ask.input or "")
    with inside(place):
        source, remarks = choose_input(ask.input, stdin=ask.stdin)
        document = formats.read(source, ask.input_format, read_options(ask, source))
    name = place or source.name
    with inside(name):
        layer = document.layer and read_named(document.layer, source.folder)
    return document._replace(layer=layer, remarks=(*remarks, *document.remarks)), name


def read_options(ask: Ask, source: "Source") -> "ReadOptions":
    """Return the options on how CSV is read.  Raises UsageError if one is given and the source is not CSV."""
    from rnncli.inputs.formats import ReadOptions, detect_format

    options = ReadOptions(ask.delimiter, ask.decimal, ask.batch_column)
    flag = first_given(options._asdict(), options._fields)
    if flag and (format_name := detect_format(source, ask.input_format)) != "csv":
        raise UsageError(
            "{flag} applies to CSV, but {name} is {format_name}.",
            "Leave {flag} out.",
            flag=Flag(flag),
            name=source.name,
            format_name=format_name,
        )
    return options


def shape_of(ask: Ask) -> Shape:
    """Return the shape of a generated input, which cannot be combined with one that is read."""
    from rnncli.inputs.arrange import parse_shape
    from rnncli.inputs.source import write_with_commas

    shape = ask.input_shape
    if ask.input is not None:
        sizes = write_with_commas(f"{shape} {ask.input}")
        raise UsageError(
            "both an input, {input!r}, and {--input-shape} are given.",
            Message("Write {--input-shape:shape}", shape=sizes)
            if sizes
            else Message("Leave one of them out."),
            input=ask.input[:40],
        )
    if ask.input_axes is not None:
        raise UsageError(
            "{--input-axes} applies only to an input that is read.", "Give {--input-shape} in Keras's order."
        )
    unread = ("input_format", "batch_column", "delimiter", "decimal", "pad")
    if flag := first_given(ask._asdict(), unread):
        raise UsageError(
            "{flag} applies to an input that is read, not to {--input-shape}.",
            "Leave it out.",
            flag=Flag(flag),
        )
    return parse_shape(shape if isinstance(shape, str) else ",".join(map(str, shape)))


def stack_of(ask: Ask, document: Document | None = None, name: Text = "") -> "Stack":
    """Return the layers asked for, else the layers of the document.  name: of the document in errors."""
    from rnncli import specs

    layers = layers_of(ask)
    own = None if document is None else document.layer
    if not layers and own is not None:
        with inside(name):
            specs.from_flags([own], {})
    return specs.from_flags(layers, ask.options, own, all_layers=ask.all_layers)


def layers_of(ask: Ask) -> list[Any]:
    """Return the layers as they were given; files of layers are read."""
    return [read_layer(layer) for layer in ask.layer or ()]


class Outline(NamedTuple):
    """The layers, the shape of their input, and the document that was read for them, if any."""

    stack: "Stack"
    shape: Shape
    remarks: Remarks
    document: Document = Document()
    where: Text = ""


def outline_of(ask: Ask) -> Outline:
    """Return the layers and the input shape; an input is read only if needed, and only for its shape."""
    from rnncli.compute.keras_differences import note_sequential
    from rnncli.inputs import arrange
    from rnncli.inputs.source import SAMPLE_REMARK, SAMPLE_SHAPE

    require_options(ask)
    document = Document()
    where: Text = ""
    if ask.input_shape is not None:
        stack = stack_of(ask)
        shape, remarks = arrange.add_batch(shape_of(ask), stack.input_rank)
    elif is_bare(ask) and not ask.given(*INPUT_OPTIONS):
        stack = stack_of(ask)
        shape, remarks = SAMPLE_SHAPE, (SAMPLE_REMARK,)
    else:
        document, where = read_document(ask)
        stack = stack_of(ask, document, where)
        arranged = arrange.arrange(document, _arrange_options(ask, stack, where))
        shape, remarks = arranged.inputs.shape, arranged.remarks
    return Outline(stack, shape, (*remarks, *note_sequential(stack)), document, where)


def is_bare(ask: Ask) -> bool:
    """Return whether there is no input, not even on standard input, so that the built-in sample is used."""
    from rnncli.inputs.source import stdin_holds_data

    return ask.input is None and ask.input_shape is None and not (ask.stdin and stdin_holds_data())


def call_of(ask: Ask) -> "ModelCall":
    """Open the saved model, and read its inputs."""
    from rnncli.inputs import formats
    from rnncli.inputs.source import choose_input
    from rnncli.models import call

    model, options = model_of(ask), arranging_of(ask)
    model.require_numbers()
    if is_bare(ask):
        raise UsageError(
            "{--model:file} needs an input. The model expects {inputs}.",
            "{give}",
            file=model.file,
            inputs=model.describe_inputs(),
            give=GIVE,
        )
    call.require_paddable(model, options)
    notes: Remarks = ()
    name: Text = ""
    if ask.holds_numbers:
        raw = ask.input
    else:
        with inside(_keyword("inputs", ask.input)):
            source, remarks = choose_input(ask.input, stdin=ask.stdin)
            raw, more = formats.read_raw(source, ask.input_format, read_options(ask, source))
        notes, name = (*remarks, *more), source.name
    states = read_value(ask, "initial_state")
    model, inputs, others = call.arrange_inputs(model, raw, options, name, states)
    return call.ModelCall(model, inputs, returns_of(ask), (*notes, *others))


def returns_of(ask: Ask) -> dict[str, bool]:
    """Return the options return_sequences and return_state that are given, which go to a saved model too."""
    given = ((name, ask.options.get(name)) for name in ("return_sequences", "return_state"))
    return {name: value for name, value in given if value is not None}


def model_of(ask: Ask) -> "SavedModel":
    """Open the saved model.  Raises UsageError for an option that does not apply to it."""
    from rnncli.inputs.source import find_source, split_layers
    from rnncli.models.call import open_model

    given = [*ask.given("layer"), *ask.options, *ask.given(*RUN_OPTIONS, *INPUT_OPTIONS)]
    refuse_layer_options([name for name in given if name not in GIVEN_BESIDE])
    require_options(ask)
    word = str(ask.model)
    model = open_model(word, find_source(split_layers(word)[0]), ask.assume)
    if not model.takes_masks:
        refuse_layer_options(given)
    return model
