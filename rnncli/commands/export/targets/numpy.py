"""A script that needs only NumPy, with the loop over time and each step written as in a textbook."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, ExportCell, functions_of, name_cells
from rnncli.commands.export.formulas import FORMULAS
from rnncli.commands.export.literals import as_comment, to_python
from rnncli.commands.export.targets._python import LayerWriter
from rnncli.commands.export.targets._steps import Language, common_calls, write_step
from rnncli.errors import Text
from rnncli.initializers import snake_case

SUFFIX = ".py"
BINARY = False

LANGUAGE = Language(
    "np.split({}, {}, axis=-1)",
    {
        **common_calls("np", "axis=-1, keepdims=True"),
        "tanh": "np.tanh({})",
        "clip": "np.clip({}, {}, {})",
        "vector": "np.full((1, 1), {}, x.dtype)",
        "as_state": "np.broadcast_to({}, {}.shape)",
        "index": "np.arange({}, dtype=x.dtype)",
    },
)

SOFTMAX = """\
def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
"""


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why a NumPy script cannot express it, or None."""
    return refusals.of_loops(export, (*FORMULAS, "softmax"))


def write(exports: Sequence[ExportCase]) -> str:
    """Return the script."""
    steps = name_cells(exports, lambda cell: f"{snake_case(cell.cell.text.name)}_step")
    functions = []
    for name, cell in steps.values():
        states = " and ".join(cell.names[state] for state in cell.states) + ", (batch, units)"
        if cell.cell.text.has_axes:
            states = cell.describe_states("batch, ")
        title = f"One time step of {as_comment(cell.cell.text.title)}." if cell.is_own else "One time step."
        lines = [
            f"def {name}({', '.join(['x', 'states', *(cell.names[weight] for weight in cell.weights)])}):",
            f'    """{title}  x: (batch, features).  states: {states}."""',
            *(f"    {line}" for line in write_step(cell, LANGUAGE)),
        ]
        functions.append("\n".join(lines) + "\n")
    writer = _NumpyLayerWriter(steps)
    loops = writer.loops(exports, functions)
    return writer.script(exports, [*([SOFTMAX] if "softmax" in functions_of(exports) else []), *loops])


class _NumpyLayerWriter(LayerWriter):
    how, imports = "in NumPy: Keras's numbers without Keras", ["import numpy as np"]
    package, language = "np", LANGUAGE

    def cell(self, cell: ExportCell, runner: str) -> Generator[str, None, str]:
        for name, array in cell.weights.items():
            yield f"{cell.full_name(name)} = {to_python(array)}"
        step, _ = self.named[cell.key]
        return f"lambda x, states: {step}({', '.join(['x', 'states', *map(cell.full_name, cell.weights)])})"
