"""A script that needs only NumPy, with the loop over time and each step written as in a textbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import (
    ExportCase,
    ExportCell,
    ExportLayer,
    ExportLoop,
    Named,
    functions_of,
    name_cells,
)
from rnncli.commands.export.lines import key_of
from rnncli.commands.export.literals import as_comment, to_python
from rnncli.commands.export.targets import _python as python
from rnncli.commands.export.targets._steps import Language, common_calls, write_step, write_tuple
from rnncli.errors import Text
from rnncli.initializers import snake_case

SUFFIX = ".py"
BINARY = False

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

LANGUAGE = Language(
    "np.split({}, {}, axis=-1)",
    {
        **common_calls("np", "axis=-1, keepdims=True"),
        "linear": "{}",
        "tanh": "np.tanh({})",
        "clip": "np.clip({}, {}, {})",
        "as_state": "np.broadcast_to({}, state[0].shape)",
    },
    "NAME({})",
    states="state",
)

RUN = '''\
def run(cells, states, x, mask=None, backwards=False, zeroing=False):
    """Run cells over time, each on the previous cell's output.

    x: (batch, timesteps, features).  mask: (batch, timesteps), True for the steps to process.
    zeroing: masked steps output zeros; otherwise they repeat the previous output.
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


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why a NumPy script cannot express it, or None."""
    return refusals.of_loops(export, ACTIVATIONS)


def write(exports: Sequence[ExportCase]) -> str:
    """Return the script."""
    steps = name_cells(exports, lambda cell: f"{snake_case(cell.cell.text.name)}_step")
    used = [name for name in functions_of(exports) if name in ACTIVATIONS and name not in ("linear", "tanh")]
    functions = [
        *(f"def {name}(x):\n    return {ACTIVATIONS[name]}\n" for name in used),
        *(_step_function(cell, name) for name, cell in steps.values()),
        *([RUN] if steps else []),
        python.SHOW,
    ]
    bodies = (_body(export, steps) for export in exports)
    how, modules = "in NumPy: Keras's numbers without Keras", ["import math"] if "gelu" in used else []
    return python.assemble(exports, how, ["import numpy as np"], functions, bodies, modules=modules)


def _body(export: ExportCase, steps: Named) -> Iterator[str]:
    yield from python.assign_input(export)
    yield from python.write_layers(
        export, partial(_layer, steps), lambda loop, place, part: f"states{loop.suffix}[{place}][{part}]"
    )


def _layer(steps: Named, layer: ExportLayer) -> Iterator[str]:
    """Yield the lines that compute one layer: they take x and leave its output in x."""
    config, suffix = layer.spec.config, layer.suffix
    if layer.spec.class_name == "Masking":
        yield f"mask{suffix} = (x != {config['mask_value']!r}).any(axis=-1)"
        yield f"x = np.where(mask{suffix}[..., None], x, 0).astype(x.dtype)"
    if layer.spec.class_name == "Dense":
        yield from python.assign_weights(layer)
        bias = f" + bias{suffix}" if config["use_bias"] else ""
        yield f"x = {LANGUAGE.call(config['activation'], [f'x @ kernel{suffix}{bias}'])}"
    for loop in layer.loops:
        yield from _loop(loop, layer, steps)
    if layer.loops:
        reversal = "[:, ::-1]  # into the order of the forward outputs"
        yield from python.merge_lines(layer, reversal, "np.concatenate([forward, backward], axis=-1)")


def _loop(loop: ExportLoop, layer: ExportLayer, steps: Named) -> Iterator[str]:
    cells, states, end = [], [], loop.suffix
    for cell in loop.cells:
        yield from python.assign_weights(cell)
        for name, array in cell.states.items():
            start = cell.starts_at(name)
            zeros = f'np.zeros({array.shape}, "{array.dtype}")'
            yield f"{cell.full_name(name)} = {zeros if start is None else to_python(start)}"
        step, _ = steps[key_of(cell.cell)]
        cells.append(f"({step}, {write_tuple(cell.full_name(name) for name in cell.weights)})")
        states.append(write_tuple(cell.full_name(name) for name in cell.states))
    options = "" if layer.mask is None else f", mask=mask{layer.mask}"
    options += ", backwards=True" if loop.backwards else ""
    options += ", zeroing=True" if loop.zeroes_masked and layer.mask is not None else ""
    yield f"cells{end} = [{', '.join(cells)}]"
    yield f"states{end} = [{', '.join(states)}]"
    yield f"outputs{end}, states{end} = run(cells{end}, states{end}, x{options})"


def _step_function(cell: ExportCell, name: str) -> str:
    states = [cell.names[state] for state in cell.states]
    title = f"One time step of {as_comment(cell.cell.text.title)}." if cell.is_own else "One time step."
    lines = [
        f"def {name}({', '.join(['x', 'state', *(cell.names[weight] for weight in cell.weights)])}):",
        f'    """{title}  x: (batch, features).  state: {" and ".join(states)}, (batch, units)."""',
        *(f"    {line}" for line in write_step(cell, LANGUAGE)),
    ]
    return "\n".join(lines) + "\n"
