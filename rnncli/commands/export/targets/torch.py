"""A PyTorch script: nn.LSTM, nn.GRU or nn.RNN with Keras's weights, and a module for any other cell."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, ExportCell, ExportLayer, ExportLoop, name_cells
from rnncli.commands.export.formulas import FORMULAS
from rnncli.commands.export.literals import as_comment, to_python
from rnncli.commands.export.targets._python import LayerWriter
from rnncli.commands.export.targets._steps import (
    Language,
    common_calls,
    weight_shapes,
    write_class,
    write_step,
)
from rnncli.errors import Text
from rnncli.frameworks.torch import MODULES, explain_unsupported, from_keras

SUFFIX = ".py"
BINARY = False

FUNCTIONAL = (
    "relu6", "elu", "selu", "celu", "silu", "mish", "softsign", "hard_sigmoid", "hard_tanh", "hard_shrink",
    "soft_shrink", "tanh_shrink", "log_sigmoid",
)  # fmt: skip
"""Keras's activations that torch.nn.functional has under the same name, without underscores.

Not gelu: TensorFlow keeps the root of 1/2, and the slope of leaky_relu, in float32, in float64 too.
"""

LANGUAGE = Language(
    "torch.tensor_split({}, {}, -1)",
    {
        **common_calls("torch", "-1, keepdim=True"),
        **{name: f"torch.{name}({{}})" for name in ("tanh", "sigmoid", "relu")},
        **{name: f"torch.nn.functional.{name.replace('_', '')}({{}})" for name in FUNCTIONAL},
        "hard_silu": "torch.nn.functional.hardswish({})",
        "exponential": "torch.exp({})",
        "leaky_relu": "torch.nn.functional.leaky_relu({}, 0.20000000298023224)",
        "softplus": "torch.nn.functional.softplus({}, threshold=40)",
        "softmax": "torch.softmax({}, -1)",
        "log_softmax": "torch.log_softmax({}, -1)",
        "variance": "torch.var({}, -1, correction=0, keepdim=True)",
        "number": "torch.tensor({}, dtype=torch.float64)",
        "vector": "torch.full((1, 1), {}, dtype=x.dtype)",
        "as_state": "({}).expand_as({})",
        "variance over": "torch.var({}, {}, correction=0)",
        "transpose": "torch.permute({}, {})",
        "index": "torch.arange({}, dtype=x.dtype)",
    },
    prefix="self.",
)

BEGINNING = """\
torch.set_grad_enabled(False)
torch.backends.mkldnn.enabled = False  # it turns NaN into ordinary numbers

"""

RUN_MODULE = '''\
def run_module(modules, states, x, backwards=False):
    """Run nn.LSTM, nn.GRU or nn.RNN, which loops over time itself.

    Returns the outputs in the order of processing, (batch, timesteps, units), and the last states.
    """
    (module,), state = modules, tuple(part[None] for part in states[0])
    outputs, last = module(x.flip(1) if backwards else x, state if len(state) > 1 else state[0])
    return outputs, [tuple(part[0] for part in (last if len(state) > 1 else (last,)))]
'''

RUN_PADDED = '''\
def run_module(modules, states, x, mask=None, backwards=False, zeroing=False):
    """Run nn.LSTM, nn.GRU or nn.RNN, which loops over time itself.

    mask: (batch, timesteps), True for the steps to process, False for those at the end of a sequence; they
    output zeros or, without zeroing, repeat the previous output, as in Keras.
    Returns the outputs in the order of processing, (batch, timesteps, units), and the last states.
    """
    (module,), state = modules, tuple(part[None] for part in states[0])
    mask = torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
    ends, steps = mask.sum(1, keepdim=True), torch.arange(x.shape[1])
    order = torch.where(steps < ends, ends - 1 - steps if backwards else steps, steps)[..., None]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x.take_along_dim(order, 1), ends[:, 0], batch_first=True, enforce_sorted=False
    )
    packed, last = module(packed, state if len(state) > 1 else state[0])
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    last = tuple(part[0] for part in (last if len(state) > 1 else (last,)))
    if backwards:  # Keras goes through the padding first, and outputs zeros there
        outputs = outputs.take_along_dim(order, 1).flip(1)
    elif not zeroing:
        outputs = torch.where(mask[..., None], outputs, last[0][:, None])
    return outputs, [last]
'''


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why a PyTorch script cannot express it, or None."""
    return refusals.of_loops(export, (*FORMULAS, "softmax", "log_softmax"))


def write(exports: Sequence[ExportCase]) -> str:
    """Return the script."""
    writer = _TorchLayerWriter(exports)
    loops = [(layer, loop) for export in exports for layer in export.layers for loop in layer.loops]
    stepped = [loop for layer, loop in loops if writer.runner(layer, loop) == "run"]
    keys = {cell.key for loop in stepped for cell in loop.cells}
    classes = (_class(cell, name) for key, (name, cell) in writer.named.items() if key in keys)
    wholes = [layer for layer, loop in loops if writer.runner(layer, loop) == "run_module"]
    run = RUN_MODULE if all(layer.mask is None for layer in wholes) else RUN_PADDED
    return writer.script(exports, [*([run] if wholes else []), *writer.loops(exports, classes)])


class _TorchLayerWriter(LayerWriter):
    """padded: the suffixes of the masks that only leave out steps at the end of a sequence."""

    how, imports = "in PyTorch, with Keras's weights and its input", ["import numpy as np", "import torch"]
    package, language, beginning = "torch", LANGUAGE, BEGINNING
    array, shown = "torch.from_numpy({})", "{}.numpy()"

    def __init__(self, exports: Sequence[ExportCase]) -> None:
        super().__init__(name_cells(exports, lambda cell: f"{cell.cell.text.name}Cell"))
        masks = ((export.suffix, export.case.mask) for export in exports if export.case.mask is not None)
        padded = ((name, mask[:, 0].all() and (mask[:, :-1] >= mask[:, 1:]).all()) for name, mask in masks)
        self.padded = {name for name, is_padded in padded if is_padded}

    def runner(self, layer: ExportLayer, loop: ExportLoop) -> str:
        cell, *others = loop.cells
        unknown = cell.is_own or explain_unsupported(cell.class_name, cell.cell.config)
        padded = layer.mask is None or layer.mask in self.padded
        return "run" if others or unknown or not padded else "run_module"

    def cell(self, cell: ExportCell, runner: str) -> Generator[str, None, str]:
        name, sizes = f"module{cell.suffix}", [str(cell.features), str(cell.units)]
        dtype = next(iter(cell.states.values())).dtype
        if runner == "run_module":
            packed = from_keras(cell.class_name, cell.weights)
            weights = {f"{key}_l0": array for key, array in packed.items()}
            made = f"torch.nn.{MODULES[cell.class_name]}"
            sizes += [] if "bias" in cell.weights else ["bias=False"]
            sizes += ['nonlinearity="relu"'] if cell.cell.config["activation"] == "relu" else []
            sizes += ["batch_first=True"]
        else:
            weights = {cell.global_name(key): array for key, array in cell.weights.items()}
            made, _ = self.named[cell.key]
            sizes = [] if cell.cell.text.has_axes else sizes
        converted = f".to(torch.{dtype})" if dtype != "float32" else ""
        yield f"{name} = {made}({', '.join(sizes)}){converted}"
        yield f"{name}.load_state_dict({{"
        for key, array in weights.items():
            value = self.array.format(to_python(array)).replace("\n", "\n    ")
            yield f'    "{key}": {value},'
        yield "})"
        return name


def _class(cell: ExportCell, name: str) -> str:
    shapes = ((cell.global_name(weight), shape) for weight, shape in weight_shapes(cell).items())
    lines = [
        f"def __init__(self{'' if cell.cell.text.has_axes else ', features, units'}):",
        "    super().__init__()",
        *(f"    self.{weight} = torch.nn.Parameter(torch.zeros({shape}))" for weight, shape in shapes),
        "",
        "def forward(self, x, states):",
        *(f"    {line}" for line in write_step(cell, LANGUAGE)),
    ]
    title = as_comment(cell.cell.text.title)
    return write_class(name, "torch.nn.Module", f"One time step of {title}.", lines)
