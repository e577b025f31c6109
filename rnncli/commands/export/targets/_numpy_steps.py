"""One time step of each kind of cell in NumPy, as in the textbook; and the formulas of the activations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.commands.export.export_case import ExportCase, ExportCell

ACTIVATIONS = {
    "linear": "x",
    "tanh": "np.tanh(x)",
    "sigmoid": "1 / (1 + np.exp(-x))",
    "hard_sigmoid": "np.clip(x + 3, 0, 6) / 6",
    "hard_sigmoid_keras2": "np.clip(0.2 * x + 0.5, 0, 1)",
    "relu": "np.maximum(x, 0)",
    "relu6": "np.clip(x, 0, 6)",
    "leaky_relu": "np.where(x > 0, x, 0.20000000298023224 * x)",
    "elu": "np.where(x < 0, np.exp(np.minimum(x, 0)) - 1, x)",
    "selu": "1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * (np.exp(np.minimum(x, 0)) - 1), x)",
    "celu": "np.maximum(x, 0) + np.expm1(np.minimum(x, 0))",
    "gelu": "(0.5 * x * np.vectorize(math.erfc)(-0.7071067690849304 * x)).astype(x.dtype)",
    "silu": "x / (1 + np.exp(-x))",
    "hard_silu": "x * (np.clip(x + 3, 0, 6) / 6)",
    "mish": "x * np.tanh(np.logaddexp(x, 0))",
    "softplus": "np.logaddexp(x, 0)",
    "softsign": "x / (np.abs(x) + 1)",
    "squareplus": "(x + np.sqrt(np.square(x) + 4)) / 2",
    "exponential": "np.exp(x)",
    "hard_tanh": "np.clip(x, -1, 1)",
    "tanh_shrink": "x - np.tanh(x)",
    "hard_shrink": "np.where(np.abs(x) > 0.5, x, 0)",
    "soft_shrink": "np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0))",
    "sparse_plus": "np.where(x <= -1, 0, np.where(x < 1, 0.25 * np.square(x + 1), x))",
    "sparse_sigmoid": "np.clip(0.5 * (x + 1), 0, 1)",
    "log_sigmoid": "-np.logaddexp(-x, 0)",
    "softmax": "np.exp(x - x.max(-1, keepdims=True)) / "
    "np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)",
}
"""Formulas by Keras's name, in x."""

Steps = dict[tuple[object, ...], tuple[str, ExportCell]]


def step_key(cell: ExportCell) -> tuple[object, ...]:
    return (cell.class_name, *cell.activations, "bias" in cell.weights, cell.config.get("reset_after"))


def step_names(exports: Sequence[ExportCase]) -> Steps:
    """Return the name of each different step function, with a cell that has it."""
    steps: Steps = {}
    for cell in [cell for export in exports for cell in export.cells]:
        if step_key(cell) not in steps:
            name = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}[cell.class_name]
            same = sum(one.class_name == cell.class_name for _, one in steps.values())
            steps[step_key(cell)] = (f"{name}_step" + (f"_{same + 1}" if same else ""), cell)
    return steps


def activate(name: str, argument: str) -> str:
    """Return the activation of an expression."""
    plain = {"linear": argument, "tanh": f"np.tanh({argument})"}
    return plain.get(name, f"{name}({argument})")


def step_function(cell: ExportCell, name: str) -> str:
    write_body = {"SimpleRNN": _simple_rnn, "LSTM": _lstm, "GRU": _gru}[cell.class_name]
    parameters, states = ["x", "state", *cell.weights], " and ".join(cell.states)
    return "\n".join(
        [
            f"def {name}({', '.join(parameters)}):",
            f'    """One time step.  x: (batch, features).  state: {states}, (batch, units)."""',
            *(f"    {line}" for line in write_body(cell)),
            "",
        ]
    )


def _simple_rnn(cell: ExportCell) -> Iterator[str]:
    (activation,) = cell.activations
    bias = " + bias" if "bias" in cell.weights else ""
    yield "(hidden,) = state"
    yield f"z = x @ kernel + hidden @ recurrent_kernel{bias}"
    yield f"return ({activate(activation, 'z')},)"


def _lstm(cell: ExportCell) -> Iterator[str]:
    activation, gate = cell.activations
    bias = " + bias" if "bias" in cell.weights else ""
    yield "hidden, cell = state"
    yield f"z = x @ kernel + hidden @ recurrent_kernel{bias}"
    yield "i, f, g, o = np.split(z, 4, axis=-1)  # input, forget, candidate, output"
    yield f"cell = {activate(gate, 'f')} * cell + {activate(gate, 'i')} * {activate(activation, 'g')}"
    yield f"hidden = {activate(gate, 'o')} * {activate(activation, 'cell')}"
    yield "return hidden, cell"


def _gru(cell: ExportCell) -> Iterator[str]:
    activation, gate = cell.activations
    after, biased = cell.config["reset_after"], "bias" in cell.weights
    first = (" + bias[0]" if after else " + bias") if biased else ""
    yield "(hidden,) = state"
    yield f"z_x, r_x, h_x = np.split(x @ kernel{first}, 3, axis=-1)  # update, reset, candidate"
    if after:
        second = " + bias[1]" if biased else ""
        yield f"z_h, r_h, h_h = np.split(hidden @ recurrent_kernel{second}, 3, axis=-1)"
        yield f"update = {activate(gate, 'z_x + z_h')}"
        yield f"reset = {activate(gate, 'r_x + r_h')}"
        yield f"candidate = {activate(activation, 'h_x + reset * h_h')}"
    else:
        yield "z_kernel, r_kernel, h_kernel = np.split(recurrent_kernel, 3, axis=-1)"
        yield f"update = {activate(gate, 'z_x + hidden @ z_kernel')}"
        yield f"reset = {activate(gate, 'r_x + hidden @ r_kernel')}"
        yield f"candidate = {activate(activation, 'h_x + (reset * hidden) @ h_kernel')}"
    yield "return (update * hidden + (1 - update) * candidate,)"
