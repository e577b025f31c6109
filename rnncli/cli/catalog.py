"""The list of commands; the command `run` is `rnncli/commands/run`, loaded when it is called."""

from __future__ import annotations

from typing import Any

from typer import _click

click = _click
"""The copy of Click inside Typer, which has no public name; every other file takes it from here."""
SECTIONS = {
    "Inspect a layer": {
        "run": "What does the layer return?",
        "explain": "Where does one number come from?",
        "gradients": "How far back does the output depend on the input?",
        "matrix": "All combinations of return_sequences and return_state, side by side.",
        "report": "A page for the browser that shows every step, and recomputes what you change.",
        "plot": "A picture of every gate and state, or of the cell: png, svg, pdf; or in the terminal.",
        "shape": "Tensors, shapes and parameter counts, without computing.",
        "trace": "Every gate and state at every time step.",
    },
    "Between frameworks": {
        "compare": "Do engines agree? Do two models? Does a result match a stored one?",
        "conformance": "Is a runtime's RNN, GRU and LSTM right? If not, how is it wrong?",
        "export": "The layer as source code (Keras, PyTorch, NumPy, C), equations, config or an ONNX model.",
        "port": "Find which known differences explain another framework's numbers.",
        "weights": "The weights of a saved model or of a --layer, gate by gate.",
    },
    "Learn": {
        "help": "A page about one topic: masks, return_state, ...; alone, the list.",
        "explore": "Change a layer, its input and its weights, and watch every tensor and step.",
        "tour": "The lesson: what recurrent layers return, in twenty minutes.",
        "why": "What causes an error message of Keras, TensorFlow or PyTorch, and what fixes it.",
    },
    "Reference": {
        "engines": "The engines that are available here, with versions.",
        "samples": "The built-in inputs and cells.",
        "schema": "The JSON Schema of what --format json writes.",
    },
}
"""The headings of the help, with their commands and what it says of each."""


def names() -> tuple[str, ...]:
    """Return the names of all commands: `run`, then the others in alphabetical order."""
    sections = sorted(name for section in SECTIONS.values() for name in section)
    return tuple(sorted(sections, key="run".__ne__))


def command(context: click.Context, name: str) -> click.Command:
    """Return another command of this program, with its flags and its help."""
    root = context.find_root()
    group: Any = root.command
    other: click.Command = group.get_command(root, name)
    return other
