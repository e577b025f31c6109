"""The known differences between Keras and other frameworks, in the order in which port tries them.

Each row has the traits that the layer and its files must have, see `_traits`, a name, and the attributes of
a Hypothesis that it sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, permutations

from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis
from rnncli.errors import Message
from rnncli.frameworks import letters
from rnncli.known import Known, known, possible

KERAS_LETTERS = str.maketrans("gn", "ch")
"""Of the candidates, which Keras calls c and h."""
GATE_ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid of Keras 3, relu6(x + 3) / 6",
    "hard_sigmoid_keras2": "hard_sigmoid of Keras 1 and 2, clip(0.2 x + 0.5, 0, 1)",
}
# fmt: off
INPUTS_AND_BIASES = (
    known("steps", "input_axes=time,batch,features", swap_inputs=True, text=Message(
        "batch and time are swapped in the input: its axes are time, batch, features")),
    known("steps sequences", "output_axes=time,batch,units", swap_outputs=True, text=Message(
        "batch and time are swapped in the output: its axes are time, batch, units")),
    known("steps sequences", "axes=time,batch", swap_inputs=True, swap_outputs=True, text=Message(
        "batch and time are swapped in the input and in the output")),
    known("two_biases", "bias=first", biases="first", text=Message(
        "only the first of the two biases is used")),
    known("two_biases", "bias=second", biases="second", text=Message(
        "only the second of the two biases is used")),
    known("one_bias", "bias=doubled", biases="doubled", text=Message(
        "the one bias is added twice, for the input and for the state")),
    known("a_bias", "bias=none", biases="none", text=Message(
        "the bias is not used")),
    known("GRU one_bias", "bias=recurrent", biases="recurrent", text=Message(
        "the one bias is that of the state; Keras's first row is zero")),
    known("LSTM use_bias", "forget_bias=1", forget_bias=1.0, text=Message(
        "1 is added to the forget gate's bias at run time; Keras has it in the bias")),
)
KERNELS = (
    known("GRU", "update_gate=complement", update_negated=True, text=Message(
        "the update gate is inverted (1 - z): it multiplies the candidate; Keras's multiplies the "
        "previous state")),
    known("square_kernel", "transposed=kernel", transposed="kernel", text=Message(
        "the kernel is transposed; it is square")),
    known("square_recurrent", "transposed=recurrent_kernel", transposed="recurrent_kernel", text=Message(
        "the recurrent kernel is transposed; it is square")),
    known("square_kernel square_recurrent", "transposed=both", transposed="both", text=Message(
        "both kernels are transposed; they are square")),
    known("unnamed_alike", "kernels=exchanged", kernels_exchanged=True, text=Message(
        "the recurrent kernel stands first in the file, before the kernel")),
)
STATES_AND_OUTPUTS = (
    known("LSTM last", "states=c,h", states_exchanged=True, text=Message(
        "the states are in the order c, h; Keras returns h, c")),
    known("LSTM initial", "initial_states=c,h", initial_exchanged=True, text=Message(
        "the initial states are in the order c, h; Keras takes h, c")),
    known("both concatenated", "merge=backward,forward", backward_first=True, text=Message(
        "the outputs are concatenated the other way: the backward direction first")),
    known("both output", "output=last_row", last_row=True, text=Message(
        "the output is the last row of the sequence, where the backward direction has seen one step")),
    known("resets_before", "reset_after=True", reset_after=True, text=Message(
        "the reset gate applies after the matrix product: reset_after=True")),
    known("resets_after", "reset_after=False", reset_after=False, text=Message(
        "the reset gate applies before the matrix product: reset_after=False")),
    known("steps", "input_time=reversed", flip_inputs=True, text=Message(
        "the input is read from the last time step to the first")),
    known("steps sequences", "output_time=reversed", flip_outputs=True, text=Message(
        "the returned sequence is in the reverse order of time")),
)
PADDING = (
    known("unmasked zero_input", "padding=end",
        padding=("input", "end"), padded="", text=Message(
        "the rows of zeros at the end of the input are padding and are skipped, as Keras does with "
        "Masking before the layer")),
    known("unmasked zero_input", "padding=start",
        padding=("input", "start"), padded="", text=Message(
        "the rows of zeros at the start of the input are padding and are skipped, as Keras does with "
        "Masking before the layer")),
    known("unmasked two_sequences zero_output", "padding=end",
        padding=("output", "end"), padded="", text=Message(
        "the rows of zeros at the end of the output are padding that was skipped; Keras needs a mask of "
        "these steps")),
    known("unmasked one_sequence zero_output", "padding=end,zeros",
        padding=("output", "end"), padded="zeros", text=Message(
        "the rows of zeros at the end of the output are padding that was skipped, as in a packed "
        "sequence; in Keras: a mask of these steps, and zero_output_for_mask=True")),
    known("unmasked sequences zero_output", "padding=start",
        padding=("output", "start"), padded="", text=Message(
        "the rows of zeros at the start of the output are padding that was skipped; Keras needs a mask of "
        "these steps")),
    known("unmasked two_sequences zero_input", "padding=end,repeated",
        padding=("input", "end"), padded="repeated", text=Message(
        "the rows of zeros at the end of the input are padding and are skipped; the output repeats the "
        "row before, as in Keras 2, and Keras 3 has zeros there")),
    known("masked two_sequences", "padded_outputs=repeated",
        padding=None, padded="repeated", text=Message(
        "the output repeats the row before in masked steps, as in Keras 2; Keras 3 has zeros there")),
    known("sequence_and_state zero_output", "padded_outputs=zeros",
        padding=("output", "end"), padded="computed, zeros", text=Message(
        "the padding is computed as data, so that the state is that of the padded end; afterwards the "
        "output is set to 0 there")),
    known("unmasked one_sequence_and_state zero_input", "final_state=real_end",
        padding=("input", "end"), padded="computed, real end", text=Message(
        "the padding is computed as data, but the states are those of the last step before the rows of "
        "zeros at the end of the input")),
    known("masked one_sequence_and_state", "final_state=real_end",
        padding=None, padded="computed, real end", text=Message(
        "masked steps are computed as data, but the states are those of the last step before them")),
    known("masked", "mask=ignored",
        padding=None, padded="computed", text=Message(
        "the mask is ignored: masked steps are computed as data")),
)
# fmt: on


def list_known(run: ForeignRun) -> Iterator[Known]:
    """Yield the differences that this layer and these shapes can have.

    The search drops swapped axes that do not fit the shapes.
    """
    orders, activations = _orders_of_gates(run), _activations(run)
    rows = chain(INPUTS_AND_BIASES, orders, KERNELS, activations, STATES_AND_OUTPUTS, PADDING)
    return possible(rows, _traits(run))


def _traits(run: ForeignRun) -> Iterator[str]:
    """Yield the traits of the layer and its files that the rows above need."""
    cell, class_name, after = run.layer.cells[0], run.layer.class_name, Hypothesis(run).resets_after
    kernel, recurrent = cell.kernel.shape, cell.recurrent.shape
    biases = len(cell.biases) if run.options.get("use_bias", True) else None
    results = {key.partition(" ")[0] for key in run.expected}
    both, sequences = len(run.layer.cells) == 2, "sequence" in results
    last, masked = bool(results & {"hidden", "cell", "output"}), run.mask is not None and not run.mask.all()
    has = {
        class_name: True,
        "steps": max(run.inputs.shape[:2]) > 1,
        "sequences": sequences,
        "one_sequence": sequences and not both,
        "two_sequences": sequences and both,
        "sequence_and_state": sequences and last,
        "one_sequence_and_state": sequences and last and not both,
        "zero_input": not run.filled("input").all(),
        "zero_output": sequences and not run.filled("output").all(),
        "use_bias": biases is not None,
        "a_bias": bool(biases),
        "one_bias": biases == 1,
        "two_biases": biases == 2,
        "square_kernel": kernel[0] == kernel[1] > 1,
        "square_recurrent": recurrent[0] == recurrent[1] > 1,
        "unnamed_alike": kernel == recurrent and not run.layer.has_names,
        "last": last,
        "initial": bool(run.initial_state),
        "both": both,
        "masked": masked,
        "unmasked": not masked,
        "concatenated": run.merge_mode in ("concat", None) and run.expected.keys() & {"sequence", "output"},
        "output": "output" in run.expected,
        "resets_before": class_name == "GRU" and not after,
        "resets_after": after,
    }
    return (name for name, present in has.items() if present)


def _orders_of_gates(run: ForeignRun) -> Iterator[Known]:
    def text(order: Sequence[str]) -> str:
        return ", ".join(letters(run.layer.class_name, order).translate(KERAS_LETTERS))

    for order in list(permutations(run.gates))[1:]:
        packed = Message(
            "gates are packed {theirs}; Keras packs {ours}", theirs=text(order), ours=text(run.gates)
        )
        yield known("", f"gates={','.join(order)}", text=packed, gates=order)


def _activations(run: ForeignRun) -> Iterator[Known]:
    for name, title in GATE_ACTIVATIONS.items() if run.layer.class_name != "SimpleRNN" else ():
        if name != run.options["recurrent_activation"]:
            text = Message("the gates' activation is {title}", title=title)
            yield known("", f"recurrent_activation={name}", text=text, recurrent_activation=name)
    for name in ("tanh", "relu", "linear"):
        if name != run.options["activation"]:
            text = Message("the activation is {name}", name=name)
            yield known("", f"activation={name}", text=text, activation=name)
