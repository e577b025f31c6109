"""A PyTorch script: one nn.LSTM, nn.GRU or nn.RNN per direction, with Keras's weights in its layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.commands.export import comments, literals, refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop
from rnncli.commands.export.targets._directions import list_outputs, merge_lines
from rnncli.compute import engines
from rnncli.errors import Message, Text
from rnncli.frameworks.torch import MODULES, from_keras

SUFFIX = ".py"
BINARY = False
REVERSAL = ".flip(1)"
CONCATENATION = "torch.cat([forward, backward], -1)"

ACTIVATIONS = {
    "linear": "x",
    "tanh": "torch.tanh(x)",
    "sigmoid": "torch.sigmoid(x)",
    "relu": "torch.relu(x)",
    "softmax": "torch.softmax(x, -1)",
    "softplus": "torch.nn.functional.softplus(x)",
    "elu": "torch.nn.functional.elu(x)",
}
"""Activations of Dense by Keras's name."""

BEGINNING = """\
torch.set_grad_enabled(False)
torch.backends.mkldnn.enabled = False  # it turns NaN into ordinary numbers

"""

RUN = '''\
def run(module, x, states=None, backwards=False):
    """Return the outputs in the order of processing, (batch, timesteps, units), and the last states."""
    outputs, last = module(x.flip(1) if backwards else x, states)
    return outputs, last if isinstance(last, tuple) else (last,)
'''

RUN_PADDED = '''\
def run(module, x, states=None, backwards=False, lengths=None, zeroing=False):
    """Return the outputs in the order of processing, (batch, timesteps, units), and the last states.

    lengths: (batch,), the number of steps to process; the outputs of the others are zeros or, without
    zeroing, the last processed output, as in Keras.
    """
    if lengths is None:
        lengths = torch.full((x.shape[0],), x.shape[1])
    ends, steps = lengths[:, None], torch.arange(x.shape[1])
    order = torch.where(steps < ends, ends - 1 - steps if backwards else steps, steps)[..., None]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x.take_along_dim(order, 1), lengths, batch_first=True, enforce_sorted=False
    )
    packed, last = module(packed, states)
    last = last if isinstance(last, tuple) else (last,)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    if backwards:  # Keras goes through the padding first, and outputs zeros there
        return outputs.take_along_dim(order, 1).flip(1), last
    if not zeroing:
        outputs = torch.where((steps < ends)[..., None], outputs, last[0].transpose(0, 1))
    return outputs, last
'''


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why PyTorch's modules cannot express it, or None."""
    for layer in refusals.dense(export):
        if layer.spec.config["activation"] not in ACTIVATIONS:
            activation = layer.spec.config["activation"]
            return Message("its Dense has no activation {activation}", activation=activation)
    return refusals.of_layers(export) or engines.get("torch").refusal(export.case)


def write(exports: Sequence[ExportCase]) -> str:
    """Return the script."""
    body = BEGINNING + "\n\n".join("\n".join(_body(export)) for export in exports) + "\n"
    modules, helpers = literals.python_helpers(body)
    head = [
        literals.docstring_of(exports, "in PyTorch, with Keras's weights and its input"),
        *modules,
        *([""] if modules else []),
        "import numpy as np",
        "import torch",
    ]
    run = RUN if all(export.case.mask is None for export in exports) else RUN_PADDED
    functions = [literals.SHOW, *([run] if any(export.cells for export in exports) else []), *helpers]
    return "\n\n".join(["\n".join(head) + "\n", *functions, body])


def _body(export: ExportCase) -> Iterator[str]:
    yield f"# {comments.input_of(export)}"
    yield f"x = {_tensor(literals.to_python(export.case.inputs))}"
    if export.case.mask is not None:
        yield "# Number of steps to process, (batch,)."
        yield f"lengths{export.suffix} = {_tensor(literals.to_python(export.case.mask.sum(axis=1)))}"
    for layer in export.layers:
        yield f"\n# {comments.heading_of(layer)}"
        if layer.spec.class_name == "Dense":
            yield from _dense(layer)
        for loop in layer.loops:
            yield from _loop(loop, layer, export.dtype)
        if layer.loops:
            yield from merge_lines(layer, REVERSAL, CONCATENATION)
        if layer.outputs:
            yield ""
            yield from literals.shows(layer, [f"{value}.numpy()" for value in _values(layer)])


def _tensor(array: str) -> str:
    return f"torch.from_numpy({array})"


def _dense(layer: ExportLayer) -> Iterator[str]:
    for name, array in layer.weights.items():
        yield f"{name}{layer.suffix} = {_tensor(literals.to_python(array))}"
    bias = f" + bias{layer.suffix}" if "bias" in layer.weights else ""
    yield f"x = x @ kernel{layer.suffix}{bias}"
    yield f"x = {ACTIVATIONS[layer.spec.config['activation']]}"


def _loop(loop: ExportLoop, layer: ExportLayer, dtype: str) -> Iterator[str]:
    (cell,) = loop.cells
    options = ["batch_first=True", *([] if "bias" in cell.weights else ["bias=False"])]
    options += ['nonlinearity="relu"'] if cell.config["activation"] == "relu" else []
    options += [f"dtype=torch.{dtype}"] if dtype != "float32" else []
    module = f"torch.nn.{MODULES[cell.class_name]}"
    yield f"module{loop.suffix} = {module}({cell.features}, {cell.units}, {', '.join(options)})"
    yield f"module{loop.suffix}.load_state_dict({{"
    for name, array in from_keras(cell.class_name, cell.weights).items():
        value = _tensor(literals.to_python(array)).replace("\n", "\n    ")
        yield f'    "{name}_l0": {value},'
    yield "})"
    arguments = [f"module{loop.suffix}", "x"]
    if cell.has_initial_states:
        states = [_tensor(literals.to_python(array[None])) for array in cell.states.values()]
        together = states[0] if len(states) == 1 else f"({', '.join(states)})"
        yield f"states{loop.suffix} = {together}"
        arguments.append(f"states{loop.suffix}")
    arguments += ["backwards=True"] if loop.backwards else []
    if layer.mask is not None:
        arguments += [f"lengths=lengths{layer.mask}", *(["zeroing=True"] if loop.zeroes_masked else [])]
    yield f"outputs{loop.suffix}, last{loop.suffix} = run({', '.join(arguments)})"


def _values(layer: ExportLayer) -> list[str]:
    """Return what a layer returns: its outputs, then its states."""
    return list_outputs(layer) + [
        f"last{loop.suffix}[{place}][0]" for loop in layer.loops for place in range(len(loop.cells[0].states))
    ]
