"""The known differences between Keras and other frameworks: `TEXTS` names them.

Each of `FAMILIES` yields those that a layer can have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any, NamedTuple

from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis, is_reset_after
from rnncli.errors import Message
from rnncli.frameworks import GATES

LETTERS = {"input": "i", "forget": "f", "output": "o", "update": "z", "reset": "r"}
GATE_ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid of Keras 3, relu6(x + 3) / 6",
    "hard_sigmoid_keras2": "hard_sigmoid of Keras 1 and 2, clip(0.2 x + 0.5, 0, 1)",
}
TEXTS = {
    "input_axes=time,batch,features": Message(
        "batch and time are swapped in the input: its axes are time, batch, features"
    ),
    "output_axes=time,batch,units": Message(
        "batch and time are swapped in the output: its axes are time, batch, units"
    ),
    "axes=time,batch": Message("batch and time are swapped in the input and in the output"),
    "bias=first": Message("only the first of the two biases is used"),
    "bias=second": Message("only the second of the two biases is used"),
    "bias=doubled": Message("the one bias is added twice, for the input and for the state"),
    "bias=recurrent": Message("the one bias is that of the state; Keras's first row is zero"),
    "bias=none": Message("the bias is not used"),
    "forget_bias=1": Message("1 is added to the forget gate's bias at run time; Keras has it in the bias"),
    "update_gate=complement": Message(
        "the update gate is inverted (1 - z): it multiplies the candidate; Keras's multiplies the "
        "previous state"
    ),
    "transposed=kernel": Message("the kernel is transposed; it is square"),
    "transposed=recurrent_kernel": Message("the recurrent kernel is transposed; it is square"),
    "transposed=both": Message("both kernels are transposed; they are square"),
    "kernels=exchanged": Message("the recurrent kernel stands first in the file, before the kernel"),
    "states=c,h": Message("the states are in the order c, h; Keras returns h, c"),
    "initial_states=c,h": Message("the initial states are in the order c, h; Keras takes h, c"),
    "merge=backward,forward": Message(
        "the outputs are concatenated the other way: the backward direction first"
    ),
    "output=last_row": Message(
        "the output is the last row of the sequence, where the backward direction has seen one step"
    ),
    "reset_after=True": Message("the reset gate applies after the matrix product: reset_after=True"),
    "reset_after=False": Message("the reset gate applies before the matrix product: reset_after=False"),
    "input_time=reversed": Message("the input is read from the last time step to the first"),
    "output_time=reversed": Message("the returned sequence is in the reverse order of time"),
}
"""By name; those of gates and activations have fields."""


class Difference(NamedTuple):
    """A known difference from Keras.

    name: for scripts, `gates=reset,update,candidate`.
    changes: the fields of a Hypothesis that it sets; two that set the same field exclude each other.
    """

    name: str
    text: Message
    changes: Mapping[str, Any]


def list_known(run: ForeignRun) -> Iterator[Difference]:
    """Yield the differences that this layer and these shapes can have."""
    for family in FAMILIES:
        yield from family(run)


def _known(name: str, **changes: Any) -> Difference:
    return Difference(name, TEXTS[name], changes)


def _swap_axes(run: ForeignRun) -> Iterator[Difference]:
    """Yield the time axis before the batch axis; the search drops the swaps whose shapes do not fit."""
    if max(run.inputs.shape[:2]) == 1:
        return
    yield _known("input_axes=time,batch,features", swap_inputs=True)
    if run.expects_sequences:
        yield _known("output_axes=time,batch,units", swap_outputs=True)
        yield _known("axes=time,batch", swap_inputs=True, swap_outputs=True)


def _change_bias(run: ForeignRun) -> Iterator[Difference]:
    """Yield other uses of the biases, as far as their number in the file allows."""
    if not run.options.get("use_bias", True):
        return
    count = len(run.layer.cells[0].biases)
    forms = {1: ["doubled", "none"], 2: ["first", "second", "none"]}.get(count, [])
    if run.layer.class_name == "GRU" and count == 1:
        forms.append("recurrent")
    for form in forms:
        yield _known(f"bias={form}", biases=form)
    if run.layer.class_name == "LSTM":
        yield _known("forget_bias=1", forget_bias=1.0)


def _reorder_gates(run: ForeignRun) -> Iterator[Difference]:
    """Yield every other order of the gates; for a GRU, also h' = (1 - z) h + z h~."""
    keras = GATES[run.layer.class_name]
    letters = {**LETTERS, "candidate": "c" if run.layer.class_name == "LSTM" else "h"}
    ours = ", ".join(letters[gate] for gate in keras)
    for order in permutations(keras):
        if order != keras:
            theirs = ", ".join(letters[gate] for gate in order)
            text = Message("gates are packed {theirs}; Keras packs {ours}", theirs=theirs, ours=ours)
            yield Difference(f"gates={','.join(order)}", text, {"gates": order})
    if run.layer.class_name == "GRU":
        yield _known("update_gate=complement", update_negated=True)


def _transpose_kernels(run: ForeignRun) -> Iterator[Difference]:
    """Yield the transposes of square kernels, and the exchange of two unnamed kernels of one shape."""
    kernel, recurrent = run.layer.cells[0].kernel.shape, run.layer.cells[0].recurrent.shape
    shapes = {"kernel": kernel, "recurrent_kernel": recurrent}
    square = [name for name, (rows, columns) in shapes.items() if rows == columns > 1]
    for name in [*square, *(["both"] if len(square) == 2 else [])]:
        yield _known(f"transposed={name}", transposed=name)
    if kernel == recurrent and not run.layer.has_names:
        yield _known("kernels=exchanged", kernels_exchanged=True)


def _change_activations(run: ForeignRun) -> Iterator[Difference]:
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


def _exchange_states(run: ForeignRun) -> Iterator[Difference]:
    """Yield states in the order c, h."""
    if run.layer.class_name != "LSTM":
        return
    if any(key.partition(" ")[0] in ("hidden", "cell", "output") for key in run.expected):
        yield _known("states=c,h", states_exchanged=True)
    if run.initial_state:
        yield _known("initial_states=c,h", initial_exchanged=True)


def _rearrange_directions(run: ForeignRun) -> Iterator[Difference]:
    """Yield other arrangements of the outputs of two directions."""
    if len(run.layer.cells) != 2:
        return
    if run.merge_mode in ("concat", None) and {"sequence", "output"} & set(run.expected):
        yield _known("merge=backward,forward", backward_first=True)
    if "output" in run.expected:
        yield _known("output=last_row", last_row=True)


def _move_reset(run: ForeignRun) -> Iterator[Difference]:
    """Yield the reset gate of a GRU on the other side of the matrix product."""
    if run.layer.class_name == "GRU":
        after = not is_reset_after(run, Hypothesis())
        yield _known(f"reset_after={after}", reset_after=after)


def _reverse_time(run: ForeignRun) -> Iterator[Difference]:
    """Yield a reversed input and, if a sequence is expected, a reversed output."""
    if max(run.inputs.shape[:2]) == 1:
        return
    yield _known("input_time=reversed", flip_inputs=True)
    if run.expects_sequences:
        yield _known("output_time=reversed", flip_outputs=True)


FAMILIES = (
    _swap_axes,
    _change_bias,
    _reorder_gates,
    _transpose_kernels,
    _change_activations,
    _exchange_states,
    _rearrange_directions,
    _move_reset,
    _reverse_time,
)
