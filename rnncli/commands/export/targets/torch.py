"""A PyTorch script: one nn.LSTM, nn.GRU or nn.RNN per direction, with Keras's weights in its layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from rnncli.case import Array
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop, Named, name_cells
from rnncli.commands.export.lines import key_of
from rnncli.commands.export.literals import input_of, to_python
from rnncli.commands.export.targets import _python as python
from rnncli.commands.export.targets._classes import OVER_TIME, TORCH_FUNCTIONS, torch_class
from rnncli.compute import engines
from rnncli.errors import Message, Text
from rnncli.frameworks.torch import MODULES, from_keras

SUFFIX = ".py"
BINARY = False

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
    """Return why PyTorch's modules, or a loop over a cell of one's own, cannot express it, or None."""
    if unknown := refusals.unknown_in_dense(export, TORCH_FUNCTIONS):
        return Message("its Dense has no activation {activation}", activation=unknown)
    loops = [(layer, loop) for layer in export.layers for loop in layer.loops]
    if not any(loop.cells[0].is_own and len(loop.cells) == 1 for _, loop in loops):
        return refusals.of_layers(export) or engines.get("torch").refusal(export.case)
    if any(layer.mask != export.suffix for layer, _ in loops if layer.mask is not None):
        return Message("it can skip only trailing steps, and Masking may skip any step")
    others = tuple(layer.spec for layer, loop in loops if not loop.cells[0].is_own or len(loop.cells) > 1)
    reason = engines.get("torch").refusal(export.case._replace(specs=others)) if others else None
    return reason or refusals.of_loops(export, TORCH_FUNCTIONS)


def write(exports: Sequence[ExportCase]) -> str:
    """Return the script."""
    run = RUN if all(export.case.mask is None for export in exports) else RUN_PADDED
    cells = [cell for export in exports for cell in export.cells]
    classes = name_cells(exports, lambda cell: f"{cell.cell.text.name}Layer")
    own = [torch_class(cell, name) for name, cell in classes.values() if cell.is_own]
    modules = [run] if any(not cell.is_own for cell in cells) else []
    functions = [python.SHOW, *modules, *([OVER_TIME] if own else []), *own]
    imports, how = ["import numpy as np", "import torch"], "in PyTorch, with Keras's weights and its input"
    bodies = (_body(export, classes) for export in exports)
    return python.assemble(exports, how, imports, functions, bodies, beginning=BEGINNING)


def _body(export: ExportCase, classes: Named) -> Iterator[str]:
    yield f"# {input_of(export)}"
    yield f"x = {_tensor(to_python(export.case.inputs))}"
    if export.case.mask is not None and any(cell.is_own for cell in export.cells):
        yield "# True for the steps to process, (batch, timesteps)."
        yield f"mask{export.suffix} = {_tensor(to_python(export.case.mask))}"
    if export.case.mask is not None and any(not cell.is_own for cell in export.cells):
        yield "# Number of steps to process, (batch,)."
        yield f"lengths{export.suffix} = {_tensor(to_python(export.case.mask.sum(axis=1)))}"
    yield from python.write_layers(
        export,
        partial(_layer, classes),
        lambda loop, _, part: f"last{loop.suffix}[{part}]{'' if loop.cells[0].is_own else '[0]'}",
        ".numpy()",
    )


def _tensor(array: str) -> str:
    return f"torch.from_numpy({array})"


def _layer(classes: Named, layer: ExportLayer) -> Iterator[str]:
    if layer.spec.class_name == "Dense":
        yield from python.assign_weights(layer, _tensor)
        bias = f" + bias{layer.suffix}" if "bias" in layer.weights else ""
        yield f"x = x @ kernel{layer.suffix}{bias}"
        yield f"x = {TORCH_FUNCTIONS[layer.spec.config['activation']].format('x')}"
    for loop in layer.loops:
        yield from _own_loop(loop, layer, classes) if loop.cells[0].is_own else _loop(loop, layer)
    if layer.loops:
        yield from python.merge_lines(layer, ".flip(1)", "torch.cat([forward, backward], -1)")


def _loop(loop: ExportLoop, layer: ExportLayer) -> Iterator[str]:
    (cell,), own = loop.cells, loop.suffix
    options, dtype = ["batch_first=True"], cell.weights["kernel"].dtype
    options += [] if "bias" in cell.weights else ["bias=False"]
    options += ['nonlinearity="relu"'] if cell.cell.config["activation"] == "relu" else []
    options += [f"dtype=torch.{dtype}"] if dtype != "float32" else []
    module = f"torch.nn.{MODULES[cell.class_name]}"
    yield f"module{own} = {module}({cell.features}, {cell.units}, {', '.join(options)})"
    weights = from_keras(cell.class_name, cell.weights)
    yield from _load(own, {f"{name}_l0": array for name, array in weights.items()})
    arguments = [f"module{own}", "x"]
    if cell.has_initial_states:
        states = [_tensor(to_python(array[None])) for array in cell.states.values()]
        together = states[0] if len(states) == 1 else f"({', '.join(states)})"
        yield f"states{own} = {together}"
        arguments.append(f"states{own}")
    arguments += ["backwards=True"] if loop.backwards else []
    if layer.mask is not None:
        arguments += [f"lengths=lengths{layer.mask}", *(["zeroing=True"] if loop.zeroes_masked else [])]
    yield f"outputs{own}, last{own} = run({', '.join(arguments)})"


def _load(own: str, weights: Mapping[str, Array]) -> Iterator[str]:
    yield f"module{own}.load_state_dict({{"
    for name, array in weights.items():
        value = _tensor(to_python(array)).replace("\n", "\n    ")
        yield f'    "{name}": {value},'
    yield "})"


def _own_loop(loop: ExportLoop, layer: ExportLayer, classes: Named) -> Iterator[str]:
    (cell,), own, backwards = loop.cells, loop.suffix, ".flip(1)" if loop.backwards else ""
    name, _ = classes[key_of(cell.cell)]
    dtype = next(iter(cell.states.values())).dtype
    yield f"module{own} = {name}({cell.features}, {cell.units}).to(torch.{dtype})"
    yield from _load(own, {cell.global_name(weight): array for weight, array in cell.weights.items()})
    states = ", ".join(_tensor(to_python(array)) for array in cell.states.values())
    yield f"states{own} = ({states},)"
    arguments = [f"x{backwards}", f"states{own}"]
    if layer.mask is not None:
        arguments += [f"mask{layer.mask}{backwards}", *(["zeroing=True"] if loop.zeroes_masked else [])]
    yield f"outputs{own}, last{own} = module{own}({', '.join(arguments)})"
