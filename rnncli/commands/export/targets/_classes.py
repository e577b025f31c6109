"""A cell of one's own as a class of Keras or PyTorch: its weights and its step."""

from __future__ import annotations

import textwrap

from rnncli.cells.text import PACKED
from rnncli.commands.export.export_case import ExportCell
from rnncli.commands.export.literals import as_comment
from rnncli.commands.export.targets._steps import Language, common_calls, write_step, write_tuple

KERAS = Language(
    "keras.ops.split({}, {}, axis=-1)",
    {
        **common_calls("keras.ops", "axis=-1, keepdims=True"),
        "hard_sigmoid_keras2": "hard_sigmoid_keras2({})",
        "row": "keras.ops.reshape({}, (1, -1))",
        "as_state": "keras.ops.broadcast_to({}, keras.ops.shape(states[0]))",
    },
    "keras.activations.NAME({})",
    "self.",
    returned="{first}, [{all}]",
)
INITIALIZERS = {"recurrent_kernel": "orthogonal", "bias": "zeros"}


def keras_class(cell: ExportCell, name: str) -> str:
    """Return a cell of Keras, which `keras.layers.RNN` and Bidirectional run, and copy by its config."""
    adding = []
    for weight, shape in _shapes(cell).items():
        usual = INITIALIZERS.get(weight, "zeros" if shape.count(",") == 1 and shape.endswith(",)") else "")
        initializer = f', initializer="{usual}"' if usual else ""
        own = cell.global_name(weight)
        adding.append(f'self.{own} = self.add_weight(shape={shape}, name="{own}"{initializer})')
    start = ", ".join(
        f"keras.ops.full(shape, {cell.cell.text.initial.get(state, 0.0)!r}, self.compute_dtype)"
        for state in cell.states
    )
    starting = [
        "def get_initial_state(self, batch_size=None):",
        "    shape = (batch_size, self.units)",
        f"    return [{start}]\n",
    ]
    lines = [
        "def __init__(self, units, **options):",
        "    super().__init__(**options)",
        "    self.units = self.output_size = units",
        f"    self.state_size = [{', '.join(['units'] * len(cell.states))}]\n",
        "def build(self, input_shape):",
        "    features, units = input_shape[-1], self.units",
        *(f"    {line}" for line in adding),
        "    self.built = True\n",
        *(starting if cell.cell.text.initial else ()),
        "def call(self, x, states):",
        *(f"    {line}" for line in write_step(cell, KERAS)),
        "",
        "def get_config(self):",
        '    return {**super().get_config(), "units": self.units}\n',
    ]
    head = "@keras.saving.register_keras_serializable()\n"
    return head + _class(
        name, "keras.layers.Layer", f"One time step of {as_comment(cell.cell.text.title)}.", lines
    )


FUNCTIONAL = {
    "relu6": "relu6", "elu": "elu", "selu": "selu", "celu": "celu", "gelu": "gelu", "silu": "silu",
    "mish": "mish", "softsign": "softsign", "hard_silu": "hardswish", "hard_sigmoid": "hardsigmoid",
    "hard_tanh": "hardtanh", "hard_shrink": "hardshrink", "soft_shrink": "softshrink",
    "tanh_shrink": "tanhshrink", "log_sigmoid": "logsigmoid",
}  # fmt: skip
"""What torch.nn.functional calls Keras's activations."""
TORCH_FUNCTIONS = {
    **{name: f"torch.{name}({{}})" for name in ("tanh", "sigmoid", "relu")},
    **{name: f"torch.nn.functional.{other}({{}})" for name, other in FUNCTIONAL.items()},
    "linear": "{}",
    "exponential": "torch.exp({})",
    "leaky_relu": "torch.nn.functional.leaky_relu({}, 0.2)",
    "softplus": "torch.nn.functional.softplus({}, threshold=40)",
    "softmax": "torch.softmax({}, -1)",
    "log_softmax": "torch.log_softmax({}, -1)",
}
"""Keras's activations in PyTorch."""

TORCH = Language(
    "torch.chunk({}, {}, -1)",
    {
        **TORCH_FUNCTIONS,
        **common_calls("torch", "-1, keepdim=True"),
        "variance": "torch.var({}, -1, correction=0, keepdim=True)",
        "number": "torch.tensor({}, dtype=torch.float64)",
        "as_state": "({}).expand_as(states[0])",
    },
    "",
    "self.",
)

OVER_TIME = '''\
class OverTime(torch.nn.Module):
    """Runs the `step` of a cell over time."""

    def forward(self, x, states, mask=None, zeroing=False):
        """Return the outputs, (batch, timesteps, units), and the last states, (batch, units) each.

        mask: (batch, timesteps), True for the steps to process; the others keep every state, and output
        zeros if `zeroing`, else the previous output.
        """
        outputs = []
        for t in range(x.shape[1]):
            after = self.step(x[:, t], states)
            output = after[0]
            if mask is not None:
                counts = mask[:, t, None]
                before = outputs[-1] if outputs and not zeroing else torch.zeros_like(output)
                output = torch.where(counts, output, before)
                after = tuple(torch.where(counts, new, old) for new, old in zip(after, states))
            outputs.append(output)
            states = after
        return torch.stack(outputs, 1), states
'''


def torch_class(cell: ExportCell, name: str) -> str:
    """Return a module of PyTorch with the step of a cell."""
    lines = [
        "def __init__(self, features, units):",
        "    super().__init__()",
        *(
            f"    self.{cell.global_name(weight)} = torch.nn.Parameter(torch.zeros({shape}))"
            for weight, shape in _shapes(cell).items()
        ),
        "",
        "def step(self, x, states):",
        '    """Return the states after one time step.  x: (batch, features)."""',
        *(f"    {line}" for line in write_step(cell, TORCH)),
    ]
    return _class(name, "OverTime", f"{as_comment(cell.cell.text.title)}, over time.", lines)


def _shapes(cell: ExportCell) -> dict[str, str]:
    """Return the shapes of the weights as code, in `features` and `units`."""
    found = {}
    for name, array in cell.weights.items():
        if name in PACKED:
            count = array.shape[-1] // cell.units
            height = {"kernel": "features", "recurrent_kernel": "units"}.get(name, "2")
            shape = [*[height] * (array.ndim - 1), f"{count} * units" if count > 1 else "units"]
        else:
            shape = [str(size) for size in cell.cell.text.weights[name].shape]
        found[name] = write_tuple(shape)
    return found


def _class(name: str, base: str, title: str, lines: list[str]) -> str:
    body = textwrap.indent("\n".join(lines), "    ").rstrip()
    return f'class {name}({base}):\n    """{title}"""\n\n{body}\n'
