"""A script of NumPy alone, in which the loop over time and each step stand as in the textbook."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.export import literals, refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop
from rnncli.commands.export.targets._directions import merge_lines
from rnncli.commands.export.targets._numpy_steps import (
    ACTIVATIONS,
    Steps,
    activate,
    activations_of,
    step_function,
    step_key,
    step_names,
)

SUFFIX = ".py"
BINARY = False
REVERSAL = "[:, ::-1]  # into the order of the forward outputs"
CONCATENATION = "np.concatenate([forward, backward], axis=-1)"

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
    steps = step_names(export)
    used = dict.fromkeys(name for cell in export.cells for name in activations_of(cell))
    used |= {layer.spec.config["activation"]: None for layer in refusals.dense(export)}
    used = {name: None for name in used if name not in ("linear", "tanh")}
    layers = "\n".join("\n".join(_layer(layer, steps)) for layer in export.layers)
    data = "\n".join(_data(export))
    modules, helpers = literals.python_helpers(f"{data}\n{layers}")
    functions = [
        *(f"def {name}(x):\n    return {ACTIVATIONS[name]}\n" for name in used),
        *(step_function(cell, name) for name, cell in steps.values()),
        *([RUN] if export.cells else []),
        literals.SHOW,
        *helpers,
    ]
    modules += ["import math"] if "gelu" in used else []
    head = "\n".join([*modules, *([""] if modules else []), "import numpy as np"])
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
        yield f"x = {activate(config['activation'], f'x @ kernel{suffix}{bias}')}"
    for loop in layer.loops:
        yield from _loop(loop, layer, steps)
    if layer.loops:
        yield from merge_lines(layer, REVERSAL, CONCATENATION)
    yield ""


def _loop(loop: ExportLoop, layer: ExportLayer, steps: Steps) -> Iterator[str]:
    cells, states = [], []
    for cell in loop.cells:
        names = [f"{name}{cell.suffix}" for name in cell.weights]
        for name, array in zip(names, cell.weights.values(), strict=True):
            yield f"{name} = {literals.to_python(array)}"
        cells.append(f"({steps[step_key(cell)][0]}, ({', '.join(names)}{',' if len(names) == 1 else ''}))")
        for name, array in cell.states.items():
            value = f'np.zeros({array.shape}, "{array.dtype}")'
            yield f"{name}{cell.suffix} = {literals.to_python(array) if cell.given else value}"
        own = [f"{name}{cell.suffix}" for name in cell.states]
        states.append(f"({', '.join(own)}{',' if len(own) == 1 else ''})")
    options = "" if layer.mask is None else f", mask=mask{layer.mask}"
    options += ", backwards=True" if loop.backwards else ""
    options += ", zeroing=True" if loop.zeroes_masked and layer.mask is not None else ""
    end = loop.suffix
    yield f"cells{end} = [{', '.join(cells)}]"
    yield f"states{end} = [{', '.join(states)}]"
    yield f"outputs{end}, states{end} = run(cells{end}, states{end}, x{options})"


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
