"""The table of options: flags, keywords, their checks, the help and the completion are made from it.

An option that was not given is None, or False if it can only be switched on, so that the value in a case
document applies unless an option overrides it.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Literal, NamedTuple

from rnncli.errors import Either, Message, Text, did_you_mean
from rnncli.values import ATOL, DTYPES, FILLS, HIGHEST_SEED, MERGE_MODES, RTOL

Kind = Literal["text", "integer", "number", "size", "switch", "on"]

FIRST = "First steps"
INPUT, LAYER, WEIGHTS, RUN, OUTPUT = "Input", "Layer", "Initializers and weights", "Run", "Output"
NARROW, GENERAL = "Selection", "Options"
"""The headings of the help."""

CASES = ("run", "explain", "gradients", "matrix", "plot", "report", "trace", "compare",
         "export", "weights", "explore")  # fmt: skip
"""The commands that take a layer, its input, and how to run it."""
OUTLINED = (*CASES, "shape")
LAYERED = (*OUTLINED, "port")
ANSWERS = tuple(name for name in LAYERED if name not in ("plot", "export", "explore", "report"))
ANSWERS = (*ANSWERS, "tour", "why", "engines", "samples", "conformance")
"""The commands that show an answer, in every format."""

DESCRIBED, GRAPH, ARRAYS, LIVE = "described", "graph", "arrays", "live"
"""What a command may be about: described layers, a saved model with its graph or without, a live object."""
SAVED = (GRAPH, ARRAYS)
NOT_LIVE, EVERY = (DESCRIBED, *SAVED), (DESCRIBED, *SAVED, LIVE)


class Entry(NamedTuple):
    """An option.

    name: the keyword in Python; the flag `--batch-column` is made of it.
    heading: its heading in the help.  metavar: the name of its value in the help, `N`.
    kind: the kind of its value; a `switch` also has the flag `--no-`, `on` does not; a `size` is text, such
        as 256MB, or in Python a number of bytes.
    commands: those that take it; none for an option of Python alone.
    goes: the parameter of the command's function that takes it: "ask", "output", or "options" (an option of
        the layers, inside ask); "" if the parameter has the name of the option.
    default: the value of an option that is not given; False of a `switch` is given.
    choices: the values; or the name of a list that is only loaded when needed, see `list_choices`.
    least, most: bounds of a number.  many: whether it may be repeated.
    argument: whether it has no flag.  others: further names of the flag.
    rare: whether only --help-all shows it.
    refused: the commands that refuse it with a message of their own; their help omits it.
    subjects: what it applies to; every option that goes to "ask" or "options" says it.
    inputs: the inputs that it applies to, of file, frame, array, lines and shape; none if it applies to all.
    repeats: whether a hint may repeat it, because it means the same in another command.
    reads: whether it names a file to read: a `path`, in Python a Path; or a `word`, `model.keras#lstm`.
    free: whether Python takes more than the text of the flag (as for a file), and it is checked where used.
    example: advice if Python, which takes one text or several, gets something else.
    python: the fields that differ for Python.
    """

    name: str
    heading: str
    metavar: str | None
    help: str
    kind: Kind
    commands: tuple[str, ...] = ()
    goes: str = ""
    default: Any = None
    choices: tuple[str, ...] | str = ()
    least: float | None = None
    most: float | None = None
    many: bool = False
    argument: bool = False
    others: tuple[str, ...] = ()
    rare: bool = False
    refused: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    repeats: bool = True
    reads: Literal["", "path", "word"] = ""
    free: bool = False
    example: str = ""
    python: Mapping[str, Any] = {}

    @property
    def flag(self) -> str:
        """The flag, `--batch-column`."""
        return flag_name(self.name)

    @property
    def takes_value(self) -> bool:
        """Whether a word follows the flag."""
        return self.kind not in ("switch", "on")

    def advise(self, value: Any) -> Text:
        """Return advice on a value that Python or a document gives: what it must be; "" if it is valid."""
        from numbers import Integral, Real

        if self.kind == "integer" or (self.kind == "size" and not isinstance(value, str)):
            low, high = int(-(2**31) if self.least is None else self.least), int(self.most or 2**31)
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if whole and low <= int(value) <= high:
                return ""
            return Message("It must be a whole number from {lowest} to {highest}.", lowest=low, highest=high)
        if not self.takes_value:
            return "" if isinstance(value, bool) else SWITCH
        if self.kind == "number":
            return "" if isinstance(value, Real) else Message("It must be a number.")
        if not isinstance(value, str):
            return Message("It must be text.")
        known = isinstance(self.choices, str) or not self.choices or value in self.choices
        return "" if known else did_you_mean(value, self.choices)


SWITCH = Message(
    "{way}", way=Either(Message("It must be true or false."), Message("It must be True or False."))
)


_text = partial(Entry, kind="text")
_size = partial(Entry, kind="size")
_integer = partial(Entry, kind="integer")
_number = partial(Entry, kind="number")


def _choice(name: str, heading: str, metavar: str, choices: tuple[str, ...], text: str, **more: Any) -> Entry:
    shown = f"{text[:-1]}: {', '.join(choices[:-1])} or {choices[-1]}."
    return Entry(name, heading, metavar, shown, "text", choices=choices, **more)


def _switch(name: str, heading: str, text: str, **more: Any) -> Entry:
    return Entry(name, heading, None, text, "switch", **more)


def _on(name: str, heading: str, text: str, **more: Any) -> Entry:
    return Entry(name, heading, None, text, "on", default=False, **more)


def _group(commands: tuple[str, ...], goes: str, *entries: Entry, subjects: Any = ()) -> tuple[Entry, ...]:
    return tuple(
        entry._replace(commands=commands, goes=goes, subjects=entry.subjects or subjects) for entry in entries
    )


# fmt: off
OPTIONS: tuple[Entry, ...] = (
    *_group(("rnncli",), "",
        _choice("lang", GENERAL, "LANG", ("en", "ko"), "Language of the help and of every command."),
        _on("version", GENERAL, "Show the version."),
        _choice("format", GENERAL, "FORMAT", ("json", "table"), "Of --version.", others=("-f",))),
    *_group(("explain",), "", _text(
        "tensor", INPUT, "TENSOR", "A tensor and an index: 'last_cell_state[0,1]'.", argument=True)),
    *_group(("why",), "", _text(
        "text", INPUT, "[TEXT]", "A message or a traceback (default, or -: standard input).", argument=True)),
    *_group(LAYERED, "ask",
        _text("input", FIRST, "[INPUT]",
              "A file, - for stdin, or JSON text. Default: stdin if it is a pipe or a file, else the "
              "sample 'sentence'.", argument=True, subjects=EVERY),
        _text("input_shape", INPUT, "SHAPE", "Generate an input of this shape, such as 2,10,8.",
              subjects=NOT_LIVE, free=True),
        _choice("fill", INPUT, "KIND", FILLS, "Values of a generated input (default normal).", rare=True,
                subjects=NOT_LIVE, inputs=("shape",)),
        _text("input_format", INPUT, "FORMAT", "Override the file suffix: json, ndjson, csv, npy, ...",
              rare=True, subjects=EVERY, inputs=("file", "lines")),
        _text("input_axes", INPUT, "AXES", "The order of the input's axes: time,batch,features.", rare=True,
              subjects=NOT_LIVE, example="For example input_axes='time,features'."),
        _text("batch_column", INPUT, "NAME", "CSV: the column that identifies the sequences.",
              subjects=EVERY, inputs=("file", "frame")),
        _text("columns", INPUT, "A,B", "CSV: read only these columns, in this order.", rare=True,
              subjects=EVERY, inputs=("file", "frame"), example="For example columns='heat,load'."),
        _text("drop", INPUT, "A,B", "CSV: leave these columns out.", rare=True,
              subjects=EVERY, inputs=("file", "frame"), example="For example drop='id'."),
        _text("delimiter", INPUT, "CHAR", "CSV: , ; | or tab (default: detected).", rare=True,
              subjects=EVERY, inputs=("file",)),
        _text("decimal", INPUT, "CHAR", "CSV: the decimal sign, . or ,", rare=True,
              subjects=EVERY, inputs=("file",)),
        _choice("pad", INPUT, "END", ("post", "pre"), "Pad and mask shorter sequences.",
                subjects=NOT_LIVE, inputs=("file", "frame", "array", "lines")),
        _number("pad_value", INPUT, "X", "Value that --pad fills in (default 0).", rare=True,
                subjects=NOT_LIVE),
        _number("mask_value", INPUT, "X", "Mask the steps where every feature equals X.", rare=True,
                subjects=(DESCRIBED, ARRAYS)),
        _text("lengths", INPUT, "N,N,...",
              "The time steps of each sequence, such as 5,3,2: the steps behind are masked.", rare=True,
              subjects=(DESCRIBED, ARRAYS, LIVE), free=True),
        _integer("window", INPUT, "N", "Take every N time steps of one series as a sequence of the batch.",
                 least=1, rare=True, subjects=NOT_LIVE, inputs=("file", "frame", "array")),
        _integer("stride", INPUT, "N", "The steps from one window to the next (default 1).", least=1,
                 rare=True, subjects=NOT_LIVE),
        _text("layer", FIRST, "LAYER",
              "lstm, gru, simple_rnn, bilstm, ..., an expression such as 'LSTM(3)', @layer.json, or a cell "
              "of your own, @mgu.toml (default lstm). Repeat to stack.",
              many=True, others=("-l",), subjects=(DESCRIBED,), reads="path"),
        _text("mask", FIRST, "FILE",
              "The steps to read, (batch, timesteps): a JSON file, or text such as '[[true, false]]'.",
              subjects=(DESCRIBED, ARRAYS, LIVE), reads="path"),
    ),
    *_group(LAYERED, "options",
        _integer("units", FIRST, "N", "Units (default 3)."),
        _switch("return_sequences", FIRST, "Return every time step.",
                subjects=EVERY, refused=("matrix", "port")),
        _switch("return_state", FIRST, "Also return the last state; in a stack, the last layer's.",
                subjects=EVERY, refused=("matrix", "port")),
        _switch("go_backwards", LAYER, "Process the sequence backwards."),
        _switch("stateful", FIRST, "Keep the state between the calls of the layer.", repeats=False,
                refused=("port",)),
        _text("activation", LAYER, "NAME", "Activation: tanh, relu, ... (default tanh).", rare=True),
        _text("recurrent_activation", LAYER, "NAME", "Activation of the gates (default sigmoid).", rare=True),
        _switch("use_bias", LAYER, "Use a bias vector.", rare=True),
        _switch("unit_forget_bias", LAYER, "LSTM: initialize the forget bias to 1.", rare=True,
                refused=("port",)),
        _switch("reset_after", FIRST, "GRU: apply the reset gate after the matrix product."),
        _number("dropout", LAYER, "P", "Dropout of the inputs in training (default 0).", rare=True,
                refused=("port",)),
        _number("recurrent_dropout", LAYER, "P", "Dropout of the state in training (default 0).", rare=True,
                refused=("port",)),
        _switch("zero_output_for_mask", LAYER, "Masked steps output zeros instead of the previous output.",
                rare=True, refused=("port",)),
        _choice("dtype", LAYER, "DTYPE", DTYPES, "Dtype of the computation (default float32).", rare=True,
                refused=("port",)),
        _switch("bidirectional", FIRST, "Wrap the layer in Bidirectional."),
        _choice("merge_mode", LAYER, "MODE", MERGE_MODES,
                "How Bidirectional merges its outputs (default concat).", rare=True),
        _text("kernel_initializer", WEIGHTS, "INIT", "Initializer of the kernel: zeros, constant:0.1, probe, "
              "'Orthogonal(seed=7)', ... (default glorot_uniform).", rare=True, refused=("port",)),
        _text("recurrent_initializer", WEIGHTS, "INIT",
              "Initializer of the recurrent kernel (default orthogonal).", rare=True, refused=("port",)),
        _text("bias_initializer", WEIGHTS, "INIT", "Initializer of the bias (default zeros).", rare=True,
              refused=("port",)),
        subjects=(DESCRIBED,),
    ),
    *_group(CASES, "ask",
        _integer("seed", FIRST, "N", "Same as keras.utils.set_random_seed (default: random, printed).",
                 least=0, most=HIGHEST_SEED, subjects=(DESCRIBED,)),
        _text("weights", WEIGHTS, "FILE", "Weights from JSON, npz, safetensors, .pt, .h5 or .keras.",
              subjects=(DESCRIBED,), reads="path"),
        _text("initial_state", RUN, "FILE", "The initial states, in Keras's order or by name.",
              subjects=(DESCRIBED, ARRAYS, LIVE), reads="path"),
        _switch("training", RUN, "Call the layer in training mode, with dropout.", rare=True,
                subjects=(DESCRIBED, LIVE), refused=("weights",)),
        _integer("calls", FIRST, "N",
                 "Call the layer N times with one input (default 1).", default=1, least=1,
                 subjects=(DESCRIBED,), repeats=False, refused=("export", "gradients", "report", "weights")),
        _text("engine", RUN, "NAME", "auto, numpy, tensorflow, ... (see: rnncli engines).", default="auto",
              choices="engines", subjects=EVERY, repeats=False, refused=("export", "report", "weights")),
    ),
    *_group(LAYERED, "ask",
        _text("model", LAYER, "FILE[#LAYERS]",
              "A saved model of Keras, PyTorch or ONNX, with its own weights: model.keras#lstm,gru.",
              subjects=(*SAVED, LIVE), repeats=False, reads="word"),
        _text("assume", LAYER, "NAME=VALUE,...",
              "Assumptions about a --model file without a graph, such as gates=iofg,batch_first=false.",
              rare=True, subjects=SAVED, repeats=False, free=True),
        _text("custom_objects", LAYER, "FILE.py",
              "The classes of a --model of Keras that has its own; runs in a process with limits.",
              rare=True, subjects=SAVED, repeats=False, reads="word"),
    ),
    *_group((), "ask", _text("at", LAYER, "NAME", "", subjects=(LIVE,))),
    *_group(("port",), "",
        _text("weights", WEIGHTS, "FILE[#LAYER]", "The other framework's weights, as saved.", reads="path"),
        _text("expect", RUN, "FILE", "What the other framework returned: json, npy, npz or safetensors.",
              reads="path"),
        _text("initial_state", RUN, "FILE", "The initial states that the other framework was given.",
              reads="path"),
        _text("probe", RUN, "FILE", "If several explanations fit, write a small input to tell them apart."),
        _number("atol", RUN, "X", "Absolute tolerance (default 1e-6).", default=ATOL, least=0, rare=True,
                free=True),
        _number("rtol", RUN, "X", "Relative tolerance (default 1e-5).", default=RTOL, least=0, rare=True,
                free=True),
    ),
    *_group(("run", "trace"), "", _on("check", FIRST,
        "Also run tensorflow (with --model, its own framework); exit 1 if the numbers differ.")),
    *_group(("compare",), "",
        _text("engines", RUN, "NAMES",
              "Compare these engines: numpy,tensorflow,... (default: all that can compute the layer).",
              example="Name two, such as engines=['numpy', 'tensorflow']."),
        _text("other", RUN, "FILE[#LAYERS]",
              "Compare --model with this model, of any kind; or a cell with FILE.py:FUNCTION.", reads="word"),
        _text("mapping", RUN, "THEIRS=OURS",
              "--with: compare its layer THEIRS with the layer OURS. Repeat for several.", many=True,
              rare=True, free=True),
        _integer("split", RUN, "N",
                 "Compare one call with consecutive pieces of N time steps that carry the state.", least=1),
        _on("alone", RUN, "Compare each sequence alone with the same sequence in its batch."),
        _text("try_lengths", RUN, "N,N,...", "Lengths for FUNCTION (default: 1, and around 16, 64 and 128).",
              rare=True, free=True),
    ),
    *_group(("run", "trace", "compare"), "",
        _text("expect", RUN, "FILE",
              "Compare with stored tensors: json, npz, npy or safetensors; exit 1 if the numbers differ.",
              rare=True, reads="path"),
        _text("atol", RUN, "[NAME=]X",
              "Absolute tolerance (default 1e-6), or that of one tensor: last_cell_state=1e-4.", many=True,
              rare=True, free=True),
        _text("rtol", RUN, "[NAME=]X",
              "Relative tolerance (default 1e-5), or that of one tensor.", many=True, rare=True, free=True),
    ),
    *_group(("gradients",), "",
        _text("of", RUN, "TENSOR",
              "The numbers to differentiate, hidden_states[0,3,1] (default: the last output); "
              "or a weight, kernel: how much the last output depends on it, by gate.",
              example="For example of='hidden_state'."),
        _text("against", RUN, "LAYERS",
              "Compare with these layers, with the same units: simple_rnn,lstm,gru.", many=True, free=True),
        _on("whole", RUN, "From the last output to the input, through every layer; in Python, of models."),
        _integer("batch", RUN, "N", "With --whole: which sequence (default 0); -1 is the last."),
    ),
    *_group(("trace",), "",
        _text("step", NARROW, "N",
              "Keep this time step of the input, or A:B; -1 is the last. Repeat for several.",
              many=True, others=("--steps",), python={"kind": "integer"}),
        _integer("unit", NARROW, "N", "Keep this unit. Repeat for several.", many=True),
        _integer("batch", NARROW, "N", "Keep this sequence of the batch. Repeat for several.", many=True),
        _text("gate", NARROW, "NAME", "Keep this gate and the states. Repeat for several.", many=True,
              example="For example gate='forget'."),
    ),
    *_group(("trace", "plot"), "", _text("state", NARROW, "NAME", "Of a cell with matrices: this state."),
        _text("head", NARROW, "N", "Of a cell with matrices: this head; 1,0 where heads have two axes.")),
    *_group(("plot",), "",
        _on("diagram", RUN, "Draw the cell from its equations; with an input or --step, with its numbers."),
        _integer("unit", NARROW, "N", "With --diagram: which unit (default 0); -1 is the last."),
        _choice("what", RUN, "WHAT", ("trace", "result"), "What to draw (default trace, if there is one)."),
        _text("gate", RUN, "NAME", "Draw this gate or state of a trace; repeat for several.", many=True,
              example="For example gate='forget'."),
        _integer("batch", RUN, "N", "Which sequence (default 0); -1 is the last.", default=0),
        _text("steps", RUN, "A:B",
              "Time steps from A up to (not including) B, or one step.", others=("--step",), free=True),
        _text("output", OUTPUT, "FILE", "A .png, .svg or .pdf file.", others=("-o",)),
        _on("terminal", OUTPUT, "Draw in the terminal instead of a file."),
        _text("size", OUTPUT, "WxH", "Size in inches (7x4) or, for a png, in pixels (1600x900px).",
              free=True),
        _choice("style", OUTPUT, "STYLE", ("light", "dark", "grey"), "Colors (default light)."),
        _choice("theme", OUTPUT, "THEME", ("light", "dark"), "Background, same as --style.", rare=True),
        _choice("scale", OUTPUT, "SCALE", ("fixed", "auto"),
                "Color range: 0 to 1 and -1 to 1 (fixed, the default), or the range of the values (auto).",
                default="fixed"),
        _integer("width", OUTPUT, "N", "Width in columns, with --terminal.", least=1),
        _choice("lang", OUTPUT, "LANG", ("en", "ko"), "Language of the labels (default: the locale)."),
        _on("quiet", OUTPUT, "No notes on stderr.", others=("-q",)),
    ),
    *_group(("export",), "", _choice(
        "to", OUTPUT, "TARGET", ("c", "cell", "config", "keras", "latex", "numpy", "onnx", "torch"),
        "What to write (required).")),
    *_group(("schema",), "", _text("command", INPUT, "[COMMAND]", "Only of this command.",
        choices=(*ANSWERS, "explore"), argument=True)),
    *_group(("export", "schema"), "output",
        _text("output", OUTPUT, "FILE", "Write to a file.", others=("-o",)),
        _choice("lang", OUTPUT, "LANG", ("en", "ko"), "Language of notes (default: the locale)."),
        _on("quiet", OUTPUT, "No notes on stderr.", others=("-q",)),
    ),
    *_group(("report",), "output",
        _text("output", OUTPUT, "FILE", "The .html file to write.", others=("-o",)),
        _choice("lang", OUTPUT, "LANG", ("en", "ko"), "The language it opens in (default: the locale)."),
        _on("quiet", OUTPUT, "No notes on stderr.", others=("-q",)),
    ),
    *_group(ANSWERS, "output",
        _text("format", OUTPUT, "FORMAT",
              "table, json, ndjson, csv, markdown, html, svg (default table, or by --output's suffix).",
              choices="formats", others=("-f",)),
        _text("output", OUTPUT, "FILE",
              "Write to a file; its suffix may also be npz, npy, ...", others=("-o",)),
        _integer("precision", OUTPUT, "N", "Digits after the decimal point.", least=0, most=17, rare=True),
        _on("full", OUTPUT, "Show every number of large tensors.", rare=True),
        _integer("width", OUTPUT, "N", "Width in columns (default: the terminal's).", least=1, rare=True),
        _choice("lang", OUTPUT, "LANG", ("en", "ko"),
                "Language of headings and meanings (default: the locale)."),
        _on("quiet", OUTPUT, "No notes on stderr.", others=("-q",)),
        _choice("theme", OUTPUT, "THEME", ("light", "dark"),
                "Background of svg (default dark) and html output.", rare=True),
    ),
    *_group(("explain",), "",
        _integer("depth", OUTPUT, "N",
                 "Follow the states N - 1 steps back, or N - 1 layers down (default 1).", default=1, least=1),
        _integer("terms", OUTPUT, "N", "List the N largest terms of a sum (default 10; --full lists all).",
                 default=10, least=1, python={"least": 0}),
        _on("symbols", OUTPUT, "Write the equations of the cell in symbols first."),
    ),
    *_group(("weights",), "", _text(
        "to", OUTPUT, "LAYOUT", "Convert to a framework's layout: keras, torch, onnx or cudnn.",
        choices=("cudnn", "keras", "onnx", "torch"))),
    *_group(("run", "compare", "shape", "plot"), "ask", _on(
        "all_layers", OUTPUT, "Show every layer of a stack, not only the last.", subjects=EVERY)),
    *_group(("shape",), "", _on("explain", OUTPUT, "Show the formula behind each number of parameters.")),
    *_group(("run", "compare"), "ask", _on(
        "all_calls", OUTPUT, "Show every call of --calls N, not only the last.", rare=True,
        subjects=(DESCRIBED,))),
    *_group(("run", "compare"), "", _text(
        "select", OUTPUT, "NAME", "Show only this tensor; repeat for several.", many=True, rare=True,
        example="Give names, such as select='hidden_state'.")),
    *_group(("run", "trace"), "",
        _on("stats", OUTPUT, "Add min, max, mean, std, saturation, NaN and a histogram.", rare=True),
        _on("fail_on_nan", RUN, "Exit 1 if the output contains NaN.", rare=True),
    ),
    *_group(("run",), "",
        _on("stream", RUN, "Read NDJSON and write one result per line; layers are built once."),
        _on("keep_going", RUN, "--stream: continue after a bad line, then exit 1.", rare=True),
        _size("memory", RUN, "SIZE", "Memory for one chunk of the batch: 256MB, 2G, ...", rare=True, least=1,
              most=2**63),
    ),
    *_group(("run", "trace", "explain", "explore", "plot", "report"), "ask", _text(
        "hold", RUN, "GATE=VALUE",
        "Hold a gate at a value: 'forget[:, 1]=1@2:' (unit 1, from step 2 on). Repeat for several.",
        many=True, subjects=EVERY, example="For example hold='forget[:, 1]=1@2:'.")),
    *_group(("explore",), "",
        _choice("lang", OUTPUT, "LANG", ("en", "ko"), "Language (default: the locale)."),
        _on("quiet", OUTPUT, "No notes on the screen.", others=("-q",)),
    ),
    *_group(("tour",), "",
        _text("topic", INPUT, "[TOPIC]",
              "Show the step on this topic, with its answer: masks, gates, reset_after, ...", argument=True),
        _on("list", GENERAL, "List the steps, with their topics."),
        _integer("step", GENERAL, "N", "Show only this step, with its answer."),
        _on("plain", GENERAL, "Print every step, with its answer."),
        _on("no_answer", GENERAL, "Leave out the answers, and how to check one."),
        _text("exercise", GENERAL, "N,N|all", "Show an exercise, or a sheet with several or all."),
        _integer("seed", GENERAL, "N",
                 "Seed of the exercise (default: random, printed).", least=0, most=HIGHEST_SEED),
        _text("answer", GENERAL, "TEXT", "--exercise: check this answer; exit 1 if it is wrong."),
        _on("key", GENERAL, "--exercise: show the right answers, and how they are found."),
    ),
    *_group(("help",), "",
        _text("topic", INPUT, "[TOPIC]", "A page of the handbook, or a command.", many=True, argument=True),
        _on("quiet", OUTPUT, "No notes on stderr.", others=("-q",)),
        _choice("lang", OUTPUT, "LANG", ("en", "ko"), "Language (default: the locale)."),
    ),
    *_group(("conformance",), "",
        _text("run", RUN, "CMD", "Judge a program: 'CMD {model} {inputs} {outputs}' runs once for each case, "
              "'CMD {kit} {results}' once for all."),
        _choice("implementation", RUN, "NAME", ("rnncli", "onnxruntime", "onnx.reference", "openvino",
                "opencv", "tract", "onnx2pytorch"), "Judge an installed package."),
        _text("results", RUN, "DIR", "Judge a folder of answers: CASE.npz, or CASE.txt for a refusal."),
        _number("timeout", RUN, "S", "Seconds for which a program may be silent (default 20).", default=20.0,
                least=0),
        _text("like", INPUT, "MODEL.onnx", "Keep the cases of what this model uses.", reads="word"),
        _text("cell", INPUT, "@FILE.toml(N)", "The cases of a cell of your own."),
        _text("select", INPUT, "NAME", "Keep this case, or those of this attribute. Repeat for several.",
              many=True),
    ),
    *_group(("samples",), "", _text("name", INPUT, "[NAME]", "Print this sample.", argument=True),
        _text("texts", INPUT, "[TEXT]...", "Its inputs: sentences in its words.", many=True, argument=True)),
)
# fmt: on


WORDS = {"other": "with", "mapping": "map"}
"""The words of flags that Python does not take for its keywords."""
BY_NAME = {entry.name: entry for entry in reversed(OPTIONS)}
"""The first entry of each name."""


@cache
def entries(command: str) -> tuple[Entry, ...]:
    """Return the options of a command."""
    return tuple(entry for entry in OPTIONS if command in entry.commands)


def names(goes: str) -> tuple[str, ...]:
    """Return the names of the options that go to this parameter, see `Entry.goes`, in order."""
    return tuple(dict.fromkeys(entry.name for entry in OPTIONS if entry.goes == goes))


def refused_by(command: str) -> tuple[str, ...]:
    """Return the names of the options that a command takes only to refuse them."""
    return tuple(entry.name for entry in entries(command) if command in entry.refused)


def of_files_alone(inputs: str) -> tuple[str, ...]:
    """Return the names of the options that apply to files, but not to these inputs, see `Entry.inputs`."""
    return tuple(entry.name for entry in OPTIONS if "file" in entry.inputs and inputs not in entry.inputs)


def flag_name(name: str, value: Any = None) -> str:
    """Return the flag of an option, `--batch-column`; with its value as it was typed, `--no-training`."""
    return f"--{'no-' if value is False else ''}{WORDS.get(name, name).replace('_', '-')}"


def is_given(name: str, value: Any) -> bool:
    """Return whether this value of an option was given; it may be an array, which has no truth value."""
    default = BY_NAME[name].default
    return value is not None and (default is None or value != default)


def first_given(values: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return the flag of the first of these options that was given; "" for none."""
    return next((flag_name(name, values[name]) for name in names if is_given(name, values.get(name))), "")


def write_words(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words of a command line that sets these options; options of Python alone are left out."""
    for name, value in values.items():
        entry = BY_NAME[name]
        if not is_given(name, value) or not entry.commands:
            continue
        if isinstance(value, bool):
            yield flag_name(name, value)
            continue
        for word in map(str, value if isinstance(value, (list, tuple)) else [value]):
            yield from ([word] if entry.argument else [entry.flag, word])
