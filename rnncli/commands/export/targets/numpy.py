"""A script that needs only NumPy, with the loop over time and each step written as in a textbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.commands.export import comments, literals, refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop, activations_in
from rnncli.commands.export.targets._directions import list_outputs, merge_lines
from rnncli.commands.export.targets._numpy_steps import (
    ACTIVATIONS,
    Steps,
    activate,
    step_function,
    step_key,
    step_names,
)
from rnncli.errors import Text

SUFFIX = ".py"
BINARY = False
REVERSAL = "[:, ::-1]  # into the order of the forward outputs"
CONCATENATION = "np.concatenate([forward, backward], axis=-1)"

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
    steps = step_names(exports)
    used = [name for name in activations_in(exports) if name not in ("linear", "tanh")]
    body = "\n\n".join("\n".join(_body(export, steps)) for export in exports) + "\n"
    modules, helpers = literals.python_helpers(body)
    functions = [
        *(f"def {name}(x):\n    return {ACTIVATIONS[name]}\n" for name in used),
        *(step_function(cell, name) for name, cell in steps.values()),
        *([RUN] if steps else []),
        literals.SHOW,
        *helpers,
    ]
    modules += ["import math"] if "gelu" in used else []
    head = "\n".join([*modules, *([""] if modules else []), "import numpy as np"])
    docstring = literals.docstring_of(exports, "in NumPy: Keras's numbers without Keras")
    return "\n".join([docstring, "\n\n".join([head + "\n", *functions, body])])


def _body(export: ExportCase, steps: Steps) -> Iterator[str]:
    yield from literals.assign_input(export)
    for layer in export.layers:
        yield ""
        yield from _layer(layer, steps)
        if layer.outputs:
            yield ""
            yield from literals.shows(layer, _values(layer))


def _layer(layer: ExportLayer, steps: Steps) -> Iterator[str]:
    """Yield the lines that compute one layer: they take x and leave its output in x."""
    config, suffix = layer.spec.config, layer.suffix
    yield f"# {comments.heading_of(layer)}"
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


def _loop(loop: ExportLoop, layer: ExportLayer, steps: Steps) -> Iterator[str]:
    cells, states = [], []
    for cell in loop.cells:
        names = [f"{name}{cell.suffix}" for name in cell.weights]
        for name, array in zip(names, cell.weights.values(), strict=True):
            yield f"{name} = {literals.to_python(array)}"
        cells.append(f"({steps[step_key(cell)][0]}, ({', '.join(names)}{',' if len(names) == 1 else ''}))")
        for name, array in cell.states.items():
            value = f'np.zeros({array.shape}, "{array.dtype}")'
            yield f"{name}{cell.suffix} = {literals.to_python(array) if cell.has_initial_states else value}"
        own = [f"{name}{cell.suffix}" for name in cell.states]
        states.append(f"({', '.join(own)}{',' if len(own) == 1 else ''})")
    options = "" if layer.mask is None else f", mask=mask{layer.mask}"
    options += ", backwards=True" if loop.backwards else ""
    options += ", zeroing=True" if loop.zeroes_masked and layer.mask is not None else ""
    end = loop.suffix
    yield f"cells{end} = [{', '.join(cells)}]"
    yield f"states{end} = [{', '.join(states)}]"
    yield f"outputs{end}, states{end} = run(cells{end}, states{end}, x{options})"


def _values(layer: ExportLayer) -> list[str]:
    """Return what a layer returns: its outputs, then its states."""
    return list_outputs(layer) + [
        f"states{loop.suffix}[{place}][{part}]"
        for loop in layer.loops
        for place, cell in enumerate(loop.cells)
        for part in range(len(cell.states))
    ]
