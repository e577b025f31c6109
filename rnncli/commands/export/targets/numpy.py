"""A script of NumPy alone, in which the loop over time and each step stand as in the textbook."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.export import literals, refusals
from rnncli.commands.export.export_case import ExportCase, ExportCell, ExportLayer, ExportLoop

BINARY = False

ACTIVATIONS = {
    "linear": "x",
    "tanh": "np.tanh(x)",
    "sigmoid": "1 / (1 + np.exp(-x))",
    "hard_sigmoid": "np.clip(x + 3, 0, 6) / 6",
    "hard_sigmoid_keras2": "np.clip(0.2 * x + 0.5, 0, 1)",
    "relu": "np.maximum(x, 0)",
    "relu6": "np.clip(x, 0, 6)",
    "leaky_relu": "np.where(x > 0, x, 0.2 * x)",
    "elu": "np.where(x < 0, np.exp(np.minimum(x, 0)) - 1, x)",
    "selu": "1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * (np.exp(np.minimum(x, 0)) - 1), x)",
    "celu": "np.maximum(x, 0) + np.expm1(np.minimum(x, 0))",
    "silu": "x / (1 + np.exp(-x))",
    "hard_silu": "x * np.clip(x + 3, 0, 6) / 6",
    "mish": "x * np.tanh(np.logaddexp(x, 0))",
    "softplus": "np.logaddexp(x, 0)",
    "softsign": "x / (np.abs(x) + 1)",
    "squareplus": "(x + np.sqrt(np.square(x) + 4)) / 2",
    "exponential": "np.exp(x)",
    "hard_tanh": "np.clip(x, -1, 1)",
    "tanh_shrink": "x - np.tanh(x)",
    "hard_shrink": "np.where(np.abs(x) > 0.5, x, 0)",
    "soft_shrink": "np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)",
    "sparse_plus": "np.where(x <= -1, 0, np.where(x < 1, 0.25 * np.square(x + 1), x))",
    "sparse_sigmoid": "np.clip(0.5 * (x + 1), 0, 1)",
    "log_sigmoid": "-np.logaddexp(-x, 0)",
    "softmax": "np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)",
}
"""Formulas by Keras's name, in x."""

RUN = '''\
def run(cells, states, x, mask=None, backwards=False, zeroing=False):
    """Run cells over time, each on the output of the one before.

    x: (batch, timesteps, features).  mask: (batch, timesteps), True for the steps that count.
    zeroing: a masked step puts out zeros; otherwise the output before it.
    Returns the outputs in the order of processing, (batch, timesteps, units), and the last states.
    """
    times = range(x.shape[1])
    outputs = []
    for t in reversed(times) if backwards else times:
        output, after = x[:, t], []
        for (step, weights), state in zip(cells, states):
            after.append(step(output, state, *weights))
            output = after[-1][0]
        if mask is not None:
            counts = mask[:, t, None]
            before = outputs[-1] if outputs and not zeroing else np.zeros_like(output)
            output = np.where(counts, output, before)
            after = [
                tuple(np.where(counts, new, old) for new, old in zip(*pair)) for pair in zip(after, states)
            ]
        outputs.append(output)
        states = after
    return np.stack(outputs, axis=1), states
'''


def refusal(export: ExportCase) -> str | None:
    """Return why NumPy's script cannot express it, or None."""
    return refusals.of_loops(export, ACTIVATIONS)


def write(export: ExportCase) -> str:
    """Return the script."""
    steps = _step_names(export)
    used = dict.fromkeys(name for cell in export.cells for name in _activations(cell))
    used |= {layer.spec.config["activation"]: None for layer in refusals.dense(export)}
    layers = "\n".join("\n".join(_layer(layer, steps)) for layer in export.layers)
    data = "\n".join(_data(export))
    modules, helpers = literals.python_helpers(f"{data}\n{layers}")
    functions = [
        *(f"def {name}(x):\n    return {ACTIVATIONS[name]}\n" for name in used if name != "linear"),
        *(_step(cell, name) for name, cell in steps.values()),
        *([RUN] if export.cells else []),
        literals.SHOW,
        *helpers,
    ]
    head = "\n".join([*modules, "import numpy as np"])
    return "\n\n".join([_docstring(export), head + "\n", *functions, f"{data}\n\n{layers}\n{_end(export)}"])


def _docstring(export: ExportCase) -> str:
    return (
        f'"""{export.title} in NumPy: Keras\'s numbers without Keras.\n\n'
        "Prints each tensor that the layer returns: name and shape, then one row of numbers per line.\n"
        '"""'
    ).replace("\\", "\\\\")


def _data(export: ExportCase) -> Iterator[str]:
    yield "# The input, (batch, timesteps, features)."
    yield f"x = {literals.to_python(export.case.inputs)}"
    if export.case.mask is not None:
        yield "# True for the steps that count, (batch, timesteps)."
        yield f"mask = {literals.to_python(export.case.mask)}"


Steps = dict[tuple[object, ...], tuple[str, ExportCell]]


def _key(cell: ExportCell) -> tuple[object, ...]:
    return (cell.class_name, *_activations(cell), "bias" in cell.weights, cell.config.get("reset_after"))


def _step_names(export: ExportCase) -> Steps:
    """Return the name of each different step function, with a cell that has it."""
    steps: Steps = {}
    for cell in export.cells:
        if _key(cell) not in steps:
            name = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}[cell.class_name]
            same = sum(one.class_name == cell.class_name for _, one in steps.values())
            steps[_key(cell)] = (f"{name}_step" + (f"_{same + 1}" if same else ""), cell)
    return steps


def _activations(cell: ExportCell) -> list[str]:
    names = ("activation", "recurrent_activation")
    return [cell.config[name] for name in names if name in cell.config]


def _applied(name: str, argument: str) -> str:
    return argument if name == "linear" else f"{name}({argument})"


def _step(cell: ExportCell, name: str) -> str:
    write_body = {"SimpleRNN": _simple_rnn, "LSTM": _lstm, "GRU": _gru}[cell.class_name]
    parameters = ["x", "state", *cell.weights]
    return "\n".join(
        [
            f"def {name}({', '.join(parameters)}):",
            f'    """One time step.  x: (batch, features).  state: {" and ".join(cell.states)}, (batch, units)."""',
            *(f"    {line}" for line in write_body(cell)),
            "",
        ]
    )


def _simple_rnn(cell: ExportCell) -> Iterator[str]:
    (activation,) = _activations(cell)
    bias = " + bias" if "bias" in cell.weights else ""
    yield "(hidden,) = state"
    yield f"z = x @ kernel + hidden @ recurrent_kernel{bias}"
    yield f"return ({_applied(activation, 'z')},)"


def _lstm(cell: ExportCell) -> Iterator[str]:
    activation, gate = _activations(cell)
    bias = " + bias" if "bias" in cell.weights else ""
    yield "hidden, cell = state"
    yield f"z = x @ kernel + hidden @ recurrent_kernel{bias}"
    yield "i, f, g, o = np.split(z, 4, axis=-1)  # input, forget, candidate, output"
    yield f"cell = {_applied(gate, 'f')} * cell + {_applied(gate, 'i')} * {_applied(activation, 'g')}"
    yield f"hidden = {_applied(gate, 'o')} * {_applied(activation, 'cell')}"
    yield "return hidden, cell"


def _gru(cell: ExportCell) -> Iterator[str]:
    activation, gate = _activations(cell)
    after, biased = cell.config["reset_after"], "bias" in cell.weights
    first = (" + bias[0]" if after else " + bias") if biased else ""
    yield "(hidden,) = state"
    yield f"z_x, r_x, h_x = np.split(x @ kernel{first}, 3, axis=-1)  # update, reset, candidate"
    if after:
        second = " + bias[1]" if biased else ""
        yield f"z_h, r_h, h_h = np.split(hidden @ recurrent_kernel{second}, 3, axis=-1)"
        yield f"update = {_applied(gate, 'z_x + z_h')}"
        yield f"reset = {_applied(gate, 'r_x + r_h')}"
        yield f"candidate = {_applied(activation, 'h_x + reset * h_h')}"
    else:
        yield "z_kernel, r_kernel, h_kernel = np.split(recurrent_kernel, 3, axis=-1)"
        yield f"update = {_applied(gate, 'z_x + hidden @ z_kernel')}"
        yield f"reset = {_applied(gate, 'r_x + hidden @ r_kernel')}"
        yield f"candidate = {_applied(activation, 'h_x + (reset * hidden) @ h_kernel')}"
    yield "return (update * hidden + (1 - update) * candidate,)"


def _layer(layer: ExportLayer, steps: Steps) -> Iterator[str]:
    """Yield the lines that compute one layer: they take x and leave its output in x."""
    config, suffix = layer.spec.config, layer.suffix
    yield f"# {refusals.heading(layer)}"
    if layer.spec.class_name == "Masking":
        yield f"mask{suffix} = (x != {config['mask_value']!r}).any(axis=-1)"
        yield f"x = np.where(mask{suffix}[..., None], x, 0).astype(x.dtype)"
    if layer.spec.class_name == "Dense":
        for name, array in layer.weights.items():
            yield f"{name}{suffix} = {literals.to_python(array)}"
        bias = f" + bias{suffix}" if config["use_bias"] else ""
        yield f"x = {_applied(config['activation'], f'x @ kernel{suffix}{bias}')}"
    for loop in layer.loops:
        yield from _loop(loop, layer, steps)
    if layer.loops:
        yield from _merge(layer)
    yield ""


def _loop(loop: ExportLoop, layer: ExportLayer, steps: Steps) -> Iterator[str]:
    cells, states = [], []
    for cell in loop.cells:
        names = [f"{name}{cell.suffix}" for name in cell.weights]
        for name, array in zip(names, cell.weights.values(), strict=True):
            yield f"{name} = {literals.to_python(array)}"
        cells.append(f"({steps[_key(cell)][0]}, ({', '.join(names)}{',' if len(names) == 1 else ''}))")
        for name, array in cell.states.items():
            value = f'np.zeros({array.shape}, "{array.dtype}")'
            yield f"{name}{cell.suffix} = {literals.to_python(array) if cell.given else value}"
        own = [f"{name}{cell.suffix}" for name in cell.states]
        states.append(f"({', '.join(own)}{',' if len(own) == 1 else ''})")
    options = "" if layer.mask is None else f", mask=mask{layer.mask}"
    options += ", backwards=True" if loop.backwards else ""
    options += ", zeroing=True" if loop.zeroing and layer.mask is not None else ""
    yield f"cells{loop.suffix} = [{', '.join(cells)}]"
    yield f"states{loop.suffix} = [{', '.join(states)}]"
    yield f"outputs{loop.suffix}, states{loop.suffix} = run(cells{loop.suffix}, states{loop.suffix}, x{options})"


def _merge(layer: ExportLayer) -> Iterator[str]:
    last = "" if layer.sequences else "[:, -1]"
    if len(layer.loops) == 1:
        yield f"x = outputs{layer.loops[0].suffix}{last}"
        return
    first, second = (f"outputs{loop.suffix}" for loop in layer.loops)
    yield f"forward = {first}{last}"
    if layer.sequences:
        yield f"backward = {second}[:, ::-1]  # into the order of the forward outputs"
    else:
        yield f"backward = {second}{last}"
    merged = {
        "concat": "np.concatenate([forward, backward], axis=-1)",
        "sum": "forward + backward",
        "mul": "forward * backward",
        "ave": "(forward + backward) / 2",
    }
    if layer.merge_mode is not None:
        yield f"x = {merged[layer.merge_mode]}"


def _end(export: ExportCase) -> str:
    """Return the lines that print the outputs of the last layer."""
    last = export.layers[-1]
    values = ["forward", "backward"] if last.loops and refusals.is_unmerged(last) else ["x"]
    for loop in last.loops:
        values += [
            f"states{loop.suffix}[{place}][{part}]"
            for place, cell in enumerate(loop.cells)
            for part in range(len(cell.states))
        ]
    pairs = zip(export.outputs, values, strict=False)
    return "\n".join(f'show("{info.name}", {value})' for info, value in pairs) + "\n"
