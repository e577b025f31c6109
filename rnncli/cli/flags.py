"""Flags that commands share, one named tuple per group; `expand_groups` lists them for Typer.

A flag that was not given is None (or False if it has no `--no-` form), so that the value in a case
document applies unless a flag overrides it.
"""

# Annotations are objects rather than text: evaluating the text of every flag takes milliseconds.

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

import typer

from rnncli.case import DTYPES, FILLS, HIGHEST_SEED, MERGE_MODES
from rnncli.cli.flag_groups import INPUT, LAYER, OUTPUT, RUN, WEIGHTS, choice, define_choice, flag
from rnncli.cli.tolerances import parse_tolerances
from rnncli.errors import Flag, UsageError

if TYPE_CHECKING:
    from rnncli.compute.compare import Tolerance


def _formats() -> Sequence[str]:
    from rnncli.show import formats

    return formats.names()


def _layouts() -> Sequence[str]:
    from rnncli import frameworks

    return frameworks.names()


def _engines() -> Sequence[str]:
    from rnncli.compute import engines

    return ("auto", *engines.names())


def _initializer(name: str, text: str, default: str) -> Any:
    return flag(WEIGHTS, name, help=f"{text} (default {default}).", metavar="INIT")


class InputFlags(NamedTuple):
    """Flags of the input."""

    input: Annotated[
        str | None,
        typer.Argument(
            metavar="[INPUT]",
            help="A file, - for stdin, or JSON text. Default: stdin if it is a pipe or a file, "
            "else the sample 'sentence'.",
            show_default=False,
        ),
    ] = None
    input_shape: Annotated[
        str | None,
        flag(
            INPUT, "--input-shape", metavar="SHAPE", help="Generate an input of this shape, such as 2,10,8."
        ),
    ] = None
    fill: Annotated[
        str | None,
        choice(
            INPUT, "--fill", "KIND", FILLS,
            "Values of a generated input (default normal).",
        ),
    ] = None  # fmt: skip
    input_format: Annotated[
        str | None,
        flag(
            INPUT,
            "--input-format",
            metavar="FORMAT",
            help="Override the file suffix: json, ndjson, csv, npy, ...",
        ),
    ] = None
    input_axes: Annotated[
        str | None,
        flag(
            INPUT, "--input-axes", metavar="AXES", help="The order of the input's axes: time,batch,features."
        ),
    ] = None
    batch_column: Annotated[
        str | None,
        flag(INPUT, "--batch-column", metavar="NAME", help="CSV: the column that identifies the sequences."),
    ] = None
    delimiter: Annotated[
        str | None, flag(INPUT, "--delimiter", metavar="CHAR", help="CSV: , ; | or tab (default: detected).")
    ] = None
    decimal: Annotated[
        str | None, flag(INPUT, "--decimal", metavar="CHAR", help="CSV: the decimal sign, . or ,")
    ] = None
    pad: Annotated[
        str | None, choice(INPUT, "--pad", "END", ("post", "pre"), "Pad and mask shorter sequences.")
    ] = None
    pad_value: Annotated[
        float | None, flag(INPUT, "--pad-value", metavar="X", help="Value that --pad fills in (default 0).")
    ] = None
    mask: Annotated[
        str | None,
        flag(INPUT, "--mask", metavar="FILE", help="A JSON file of true and false, (batch, timesteps)."),
    ] = None
    mask_value: Annotated[
        float | None,
        flag(INPUT, "--mask-value", metavar="X", help="Mask the steps where every feature equals X."),
    ] = None

    @property
    def files(self) -> Mapping[str, str | None]:
        """See ReadingFlags."""
        return {"INPUT": self.input, "--mask": self.mask}

    def validate(self) -> None:
        """Raise UsageError for --pad-value without --pad."""
        if self.pad_value is not None and self.pad is None:
            raise UsageError("{--pad-value} needs {--pad}.", "Add {--pad post}.")


class LayerFlags(NamedTuple):
    """Flags of the layer; all but `layer` have the name of a Keras option."""

    layer: Annotated[
        list[str] | None,
        flag(
            LAYER, "--layer", "-l", metavar="LAYER",
            help="lstm, gru, simple_rnn, bilstm, ..., an expression such as 'LSTM(3)', or @layer.json "
            "(default lstm). Repeat to stack layers.",
        ),
    ] = None  # fmt: skip
    units: Annotated[int | None, flag(LAYER, "--units", metavar="N", help="Units (default 3).")] = None
    return_sequences: Annotated[
        bool | None, flag(LAYER, "--return-sequences/--no-return-sequences", help="Return every time step.")
    ] = None
    return_state: Annotated[
        bool | None,
        flag(
            LAYER,
            "--return-state/--no-return-state",
            help="Also return the last state; in a stack, the last layer's.",
        ),
    ] = None
    go_backwards: Annotated[
        bool | None, flag(LAYER, "--go-backwards/--no-go-backwards", help="Process the sequence backwards.")
    ] = None
    stateful: Annotated[
        bool | None,
        flag(LAYER, "--stateful/--no-stateful", help="Keep the state between calls, see --calls."),
    ] = None
    activation: Annotated[
        str | None,
        flag(LAYER, "--activation", metavar="NAME", help="Activation: tanh, relu, ... (default tanh)."),
    ] = None
    recurrent_activation: Annotated[
        str | None,
        flag(
            LAYER, "--recurrent-activation", metavar="NAME", help="Activation of the gates (default sigmoid)."
        ),
    ] = None
    use_bias: Annotated[bool | None, flag(LAYER, "--use-bias/--no-use-bias", help="Use a bias vector.")] = (
        None
    )
    unit_forget_bias: Annotated[
        bool | None,
        flag(
            LAYER, "--unit-forget-bias/--no-unit-forget-bias", help="LSTM: initialize the forget bias to 1."
        ),
    ] = None
    reset_after: Annotated[
        bool | None,
        flag(
            LAYER,
            "--reset-after/--no-reset-after",
            help="GRU: apply the reset gate after the matrix product.",
        ),
    ] = None
    dropout: Annotated[
        float | None,
        flag(LAYER, "--dropout", metavar="P", help="Dropout of the inputs in training (default 0)."),
    ] = None
    recurrent_dropout: Annotated[
        float | None,
        flag(LAYER, "--recurrent-dropout", metavar="P", help="Dropout of the state in training (default 0)."),
    ] = None
    zero_output_for_mask: Annotated[
        bool | None,
        flag(
            LAYER,
            "--zero-output-for-mask/--no-zero-output-for-mask",
            help="Masked steps output zeros instead of the previous output.",
        ),
    ] = None
    dtype: Annotated[
        str | None,
        choice(
            LAYER, "--dtype", "DTYPE", DTYPES,
            "Dtype of the computation (default float32).",
        ),
    ] = None  # fmt: skip
    bidirectional: Annotated[
        bool | None,
        flag(LAYER, "--bidirectional/--no-bidirectional", help="Wrap the layer in Bidirectional."),
    ] = None
    merge_mode: Annotated[
        str | None,
        choice(
            LAYER, "--merge-mode", "MODE", MERGE_MODES,
            "How Bidirectional merges its outputs (default concat).",
        ),
    ] = None  # fmt: skip
    kernel_initializer: Annotated[
        str | None,
        _initializer(
            "--kernel-initializer",
            "Initializer of the kernel: zeros, constant:0.1, probe, 'Orthogonal(seed=7)', ...",
            "glorot_uniform",
        ),
    ] = None
    recurrent_initializer: Annotated[
        str | None,
        _initializer("--recurrent-initializer", "Initializer of the recurrent kernel", "orthogonal"),
    ] = None
    bias_initializer: Annotated[
        str | None, _initializer("--bias-initializer", "Initializer of the bias", "zeros")
    ] = None

    @property
    def files(self) -> Mapping[str, str | None]:
        """See ReadingFlags."""
        return {f"--layer {word}": word[1:] for word in self.layer or () if word.startswith("@")}


class RunFlags(NamedTuple):
    """Flags of the run."""

    seed: Annotated[
        int | None,
        flag(
            WEIGHTS,
            "--seed",
            metavar="N",
            min=0,
            max=HIGHEST_SEED,
            help="Same as keras.utils.set_random_seed (default: random, printed).",
        ),
    ] = None
    weights: Annotated[
        str | None,
        flag(
            WEIGHTS,
            "--weights",
            metavar="FILE",
            help="Weights from JSON, npz, safetensors, .pt, .h5 or .keras.",
        ),
    ] = None
    initial_state: Annotated[
        str | None,
        flag(RUN, "--initial-state", metavar="FILE", help="The initial states, in Keras's order or by name."),
    ] = None
    training: Annotated[
        bool | None,
        flag(RUN, "--training/--no-training", help="Call the layer in training mode, with dropout."),
    ] = None
    calls: Annotated[
        int,
        flag(
            RUN, "--calls", metavar="N", min=1, help="Call the layer N times with the same input (default 1)."
        ),
    ] = 1
    engine: Annotated[
        str,
        define_choice(
            RUN,
            "--engine",
            metavar="NAME",
            choices=_engines,
            help="auto, numpy, tensorflow, ... (see: rnncli engines).",
        ),
    ] = "auto"
    model: Annotated[
        str | None,
        flag(
            LAYER, "--model", metavar="FILE[#LAYERS]",
            help="A saved model of Keras, PyTorch or ONNX, with its own weights: model.keras#lstm,gru.",
        ),
    ] = None  # fmt: skip
    assume: Annotated[
        str | None,
        flag(
            LAYER, "--assume", metavar="NAME=VALUE,...",
            help="Assumptions about a --model file without a graph, such as activation=relu,gates=iofg.",
        ),
    ] = None  # fmt: skip

    @property
    def files(self) -> Mapping[str, str | None]:
        """See ReadingFlags."""
        from rnncli.inputs.source import split_layers

        return {
            "--weights": self.weights and split_layers(self.weights)[0],
            "--initial-state": self.initial_state,
            "--model": self.model and split_layers(self.model)[0],
        }


class ReadingFlags(Protocol):
    """A group of flags that may name files to read."""

    @property
    def files(self) -> Mapping[str, str | None]:
        """What is read, by the flag that names it: a path, `-` for standard input, or the text itself."""
        ...


Expect = Annotated[
    str | None,
    flag(
        RUN,
        "--expect",
        metavar="FILE",
        help="Compare with stored tensors: json, npz, npy or safetensors; exit 1 if the numbers differ.",
    ),
]
Atol = Annotated[
    list[str] | None,
    flag(
        RUN,
        "--atol",
        metavar="[NAME=]X",
        help="Absolute tolerance (default 1e-6), or that of one tensor: last_cell_state=1e-4.",
    ),
]
Rtol = Annotated[
    list[str] | None,
    flag(RUN, "--rtol", metavar="[NAME=]X", help="Relative tolerance (default 1e-5), or that of one tensor."),
]


class CheckFlags(NamedTuple):
    """Flags of the comparison with Keras."""

    check: Annotated[
        bool,
        flag(
            RUN,
            "--check",
            help="Also run tensorflow (with --model, its own framework); exit 1 if the numbers differ.",
        ),
    ] = False
    expect: Expect = None
    atol: Atol = None
    rtol: Rtol = None

    def validate(self) -> None:
        """Raise UsageError if a tolerance is not a valid number, or if there is nothing to compare."""
        for name, words in (("--atol", self.atol), ("--rtol", self.rtol)):
            if words and not self.check and self.expect is None:
                raise UsageError(
                    "{flag} needs {--check} or {--expect}.", "Add {--check:on}.", flag=Flag(name)
                )
        _ = self.tolerances

    @property
    def tolerances(self) -> "tuple[Tolerance, Tolerance]":
        """Absolute and relative tolerance, given or default."""
        return parse_tolerances(self.atol, self.rtol)


class OutputFlags(NamedTuple):
    """Flags of the output: format, appearance and file."""

    format: Annotated[
        str | None,
        define_choice(
            OUTPUT, "--format", "-f", metavar="FORMAT", choices=_formats,
            help="table, json, ndjson, csv, markdown, html, svg (default table, or by --output's suffix).",
        ),
    ] = None  # fmt: skip
    output: Annotated[
        str | None,
        flag(
            OUTPUT,
            "--output",
            "-o",
            metavar="FILE",
            help="Write to a file; its suffix may also be npz, npy, ...",
        ),
    ] = None
    precision: Annotated[
        int | None,
        flag(OUTPUT, "--precision", metavar="N", min=0, max=17, help="Digits after the decimal point."),
    ] = None
    full: Annotated[bool, flag(OUTPUT, "--full", help="Show every number of large tensors.")] = False
    width: Annotated[
        int | None,
        flag(OUTPUT, "--width", metavar="N", min=1, help="Width in columns (default: the terminal's)."),
    ] = None
    lang: Annotated[
        str | None,
        choice(
            OUTPUT, "--lang", "LANG", ("en", "ko"), "Language of headings and meanings (default: the locale)."
        ),
    ] = None
    quiet: Annotated[bool, flag(OUTPUT, "--quiet", help="No notes on stderr.")] = False
    theme: Annotated[
        str | None,
        choice(
            OUTPUT, "--theme", "THEME", ("light", "dark"), "Background of svg (default dark) and html output."
        ),
    ] = None


Select = Annotated[
    list[str] | None,
    flag(OUTPUT, "--select", metavar="NAME", help="Show only this tensor; repeat for several."),
]
WithStats = Annotated[
    bool, flag(OUTPUT, "--stats", help="Add min, max, mean, std, saturation, NaN and a histogram.")
]
Streaming = Annotated[
    bool, flag(RUN, "--stream", help="Read NDJSON and write one result per line; layers are built once.")
]
KeepGoing = Annotated[
    bool, flag(RUN, "--keep-going", help="--stream: continue after a bad line, then exit 1.")
]
Memory = Annotated[
    str | None,
    flag(RUN, "--memory", metavar="SIZE", help="Memory for one chunk of the batch: 256MB, 2G, ..."),
]
FailOnNan = Annotated[bool, flag(RUN, "--fail-on-nan", help="Exit 1 if the output contains NaN.")]
AllLayers = Annotated[
    bool, flag(OUTPUT, "--all-layers", help="Show every layer of a stack, not only the last.")
]


To = Annotated[
    str | None,
    define_choice(
        OUTPUT,
        "--to",
        metavar="LAYOUT",
        choices=_layouts,
        help="Convert to a framework's layout: keras, torch, onnx or cudnn.",
    ),
]


class ShowFlags(NamedTuple):
    """Flags that select what to show of a stack and of several calls."""

    all_layers: AllLayers = False
    all_calls: Annotated[
        bool, flag(OUTPUT, "--all-calls", help="Show every call of --calls N, not only the last.")
    ] = False

    def require_calls(self, run: RunFlags) -> None:
        """Raise UsageError if there is only one call."""
        if self.all_calls and run.calls == 1:
            raise UsageError("{--all-calls} needs {--calls N} with N greater than 1.", "Add {--calls 2}.")
