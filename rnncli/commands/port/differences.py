"""The known differences between Keras and other frameworks, in the order in which port tries them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from rnncli.case import Array
from rnncli.commands.port.hypothesis import Difference, ForeignRun, Hypothesis, Padding, is_sequence
from rnncli.errors import Message
from rnncli.frameworks import letters

KERAS_LETTERS = str.maketrans("gn", "ch")
"""Of the candidates, which Keras calls c and h."""
GATE_ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid of Keras 3, relu6(x + 3) / 6",
    "hard_sigmoid_keras2": "hard_sigmoid of Keras 1 and 2, clip(0.2 x + 0.5, 0, 1)",
}
# fmt: off
INPUTS_AND_BIASES = (
    ("steps", "input_axes=time,batch,features", {"swap_inputs": True},
     Message("batch and time are swapped in the input: its axes are time, batch, features")),
    ("steps sequences", "output_axes=time,batch,units", {"swap_outputs": True},
     Message("batch and time are swapped in the output: its axes are time, batch, units")),
    ("steps sequences", "axes=time,batch", {"swap_inputs": True, "swap_outputs": True},
     Message("batch and time are swapped in the input and in the output")),
    ("two_biases", "bias=first", {"biases": "first"}, Message("only the first of the two biases is used")),
    ("two_biases", "bias=second", {"biases": "second"}, Message("only the second of the two biases is used")),
    ("one_bias", "bias=doubled", {"biases": "doubled"},
     Message("the one bias is added twice, for the input and for the state")),
    ("a_bias", "bias=none", {"biases": "none"}, Message("the bias is not used")),
    ("GRU one_bias", "bias=recurrent", {"biases": "recurrent"},
     Message("the one bias is that of the state; Keras's first row is zero")),
    ("LSTM use_bias", "forget_bias=1", {"forget_bias": 1.0},
     Message("1 is added to the forget gate's bias at run time; Keras has it in the bias")),
)
KERNELS = (
    ("GRU", "update_gate=complement", {"update_negated": True},
     Message("the update gate is inverted (1 - z): it multiplies the candidate; Keras's multiplies the "
             "previous state")),
    ("square_kernel", "transposed=kernel", {"transposed": "kernel"},
     Message("the kernel is transposed; it is square")),
    ("square_recurrent", "transposed=recurrent_kernel", {"transposed": "recurrent_kernel"},
     Message("the recurrent kernel is transposed; it is square")),
    ("square_kernel square_recurrent", "transposed=both", {"transposed": "both"},
     Message("both kernels are transposed; they are square")),
    ("unnamed_alike", "kernels=exchanged", {"kernels_exchanged": True},
     Message("the recurrent kernel stands first in the file, before the kernel")),
)
STATES_AND_OUTPUTS = (
    ("LSTM last", "states=c,h", {"states_exchanged": True},
     Message("the states are in the order c, h; Keras returns h, c")),
    ("LSTM initial", "initial_states=c,h", {"initial_exchanged": True},
     Message("the initial states are in the order c, h; Keras takes h, c")),
    ("both concatenated", "merge=backward,forward", {"backward_first": True},
     Message("the outputs are concatenated the other way: the backward direction first")),
    ("both output", "output=last_row", {"last_row": True},
     Message("the output is the last row of the sequence, where the backward direction has seen one step")),
    ("resets_before", "reset_after=True", {"reset_after": True},
     Message("the reset gate applies after the matrix product: reset_after=True")),
    ("resets_after", "reset_after=False", {"reset_after": False},
     Message("the reset gate applies before the matrix product: reset_after=False")),
    ("steps", "input_time=reversed", {"flip_inputs": True},
     Message("the input is read from the last time step to the first")),
    ("steps sequences", "output_time=reversed", {"flip_outputs": True},
     Message("the returned sequence is in the reverse order of time")),
)
"""Rows: the traits that the layer and its files must have, see `_traits`; then a Difference."""
PADDING = (
    ("unmasked", "padding=end", ("input", "end"), "",
     Message("the rows of zeros at the end of the input are padding and are skipped, as Keras does with "
             "Masking before the layer")),
    ("unmasked", "padding=start", ("input", "start"), "",
     Message("the rows of zeros at the start of the input are padding and are skipped, as Keras does with "
             "Masking before the layer")),
    ("unmasked two_sequences", "padding=end", ("output", "end"), "",
     Message("the rows of zeros at the end of the output are padding that was skipped; Keras needs a mask of "
             "these steps")),
    ("unmasked one_sequence", "padding=end,zeros", ("output", "end"), "zeros",
     Message("the rows of zeros at the end of the output are padding that was skipped, as in a packed "
             "sequence; in Keras: a mask of these steps, and zero_output_for_mask=True")),
    ("unmasked sequences", "padding=start", ("output", "start"), "",
     Message("the rows of zeros at the start of the output are padding that was skipped; Keras needs a mask "
             "of these steps")),
    ("unmasked two_sequences", "padding=end,repeated", ("input", "end"), "repeated",
     Message("the rows of zeros at the end of the input are padding and are skipped; the output repeats the "
             "row before, as in Keras 2, and Keras 3 has zeros there")),
    ("masked two_sequences", "padded_outputs=repeated", None, "repeated",
     Message("the output repeats the row before in masked steps, as in Keras 2; Keras 3 has zeros there")),
    ("sequence_and_state", "padded_outputs=zeros", ("output", "end"), "computed, zeros",
     Message("the padding is computed as data, so that the state is that of the padded end; afterwards the "
             "output is set to 0 there")),
    ("unmasked one_sequence_and_state", "final_state=real_end", ("input", "end"), "computed, real end",
     Message("the padding is computed as data, but the states are those of the last step before the rows of "
             "zeros at the end of the input")),
    ("masked one_sequence_and_state", "final_state=real_end", None, "computed, real end",
     Message("masked steps are computed as data, but the states are those of the last step before them")),
    ("masked", "mask=ignored", None, "computed",
     Message("the mask is ignored: masked steps are computed as data")),
)
"""Rows: the traits, see `_traits`; a name; the tensor and the end where rows of zeros are padding, or None
for the steps that the mask leaves out; how padding is treated; a message."""
# fmt: on


def list_known(run: ForeignRun) -> Iterator[Difference]:
    """Yield the differences that this layer and these shapes can have.

    The search drops swapped axes that do not fit the shapes.
    """
    traits = set(_traits(run))
    for rows, others in (
        (INPUTS_AND_BIASES, _orders_of_gates(run)),
        (KERNELS, _activations(run)),
        (STATES_AND_OUTPUTS, ()),
    ):
        for needed, name, changes, text in rows:
            if traits.issuperset(needed.split()):
                yield Difference(name, text, changes)
        yield from others
    filled = dict(_find_zero_rows(run))
    for needed, name, at, padded, text in PADDING:
        if traits.issuperset(needed.split()) and (at is None or at[0] in filled):
            padding = at and Padding(filled[at[0]], *at)
            yield Difference(name, text, {"padding": padding, "padded": padded})


def _find_zero_rows(run: ForeignRun) -> Iterator[tuple[str, Array]]:
    """Yield `input` and `output` if they have rows of zeros; with (batch, timesteps), False for these."""
    sequence = next((array for key, array in run.expected.items() if is_sequence(key)), None)
    for name, array in (("input", run.inputs), ("output", sequence)):
        filled = np.array(True) if array is None else np.any(array, axis=-1)
        if not filled.all():
            yield name, filled


def _traits(run: ForeignRun) -> Iterator[str]:
    """Yield the traits of the layer and its files that the rows above ask for."""
    cell, class_name, expected = run.layer.cells[0], run.layer.class_name, set(run.expected)
    kernel, recurrent = cell.kernel.shape, cell.recurrent.shape
    biases = len(cell.biases) if run.options.get("use_bias", True) else None
    results = {key.partition(" ")[0] for key in run.expected}
    after = Hypothesis(run).resets_after
    both, sequences = len(run.layer.cells) == 2, "sequence" in results
    last = bool(results & {"hidden", "cell", "output"})
    has = {
        class_name: True,
        "steps": max(run.inputs.shape[:2]) > 1,
        "sequences": sequences,
        "one_sequence": sequences and not both,
        "two_sequences": sequences and both,
        "sequence_and_state": sequences and last,
        "one_sequence_and_state": sequences and last and not both,
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
        "masked": run.mask is not None and not run.mask.all(),
        "unmasked": run.mask is None or run.mask.all(),
        "concatenated": run.merge_mode in ("concat", None)
        and bool({"sequence", "output"} & set(run.expected)),
        "output": "output" in expected,
        "resets_before": class_name == "GRU" and not after,
        "resets_after": after,
    }
    return (name for name, present in has.items() if present)


def _orders_of_gates(run: ForeignRun) -> Iterator[Difference]:
    """Yield every other order of the gates."""

    def text(order: Sequence[str]) -> str:
        return ", ".join(letters(run.layer.class_name, order).translate(KERAS_LETTERS))

    for order in permutations(run.gates):
        if order != run.gates:
            packed = Message(
                "gates are packed {theirs}; Keras packs {ours}", theirs=text(order), ours=text(run.gates)
            )
            yield Difference(f"gates={','.join(order)}", packed, {"gates": order})


def _activations(run: ForeignRun) -> Iterator[Difference]:
    """Yield each activation that the layer does not have already."""
    if run.layer.class_name != "SimpleRNN":
        for name, title in GATE_ACTIVATIONS.items():
            if name != run.options["recurrent_activation"]:
                text = Message("the gates' activation is {title}", title=title)
                yield Difference(f"recurrent_activation={name}", text, {"recurrent_activation": name})
    for name in ("tanh", "relu", "linear"):
        if name != run.options["activation"]:
            text = Message("the activation is {name}", name=name)
            yield Difference(f"activation={name}", text, {"activation": name})
