"""Write a cell as the text of its file, which `reading.py` reads, and in symbols, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rnncli.cells.text import BIASES, CellText, packed_lines, resolve
from rnncli.cells.tree import PYTHON, Name, write


def to_toml(text: CellText, config: Mapping[str, Any], initializers: Mapping[str, Any]) -> str:
    """Return the file of a cell with these options.

    initializers: the initializers of packed weights, by name, where they are not Keras's default.
    """
    return "\n".join(_lines(text, config, initializers)) + "\n"


def _lines(text: CellText, config: Mapping[str, Any], initializers: Mapping[str, Any]) -> Iterator[str]:
    step = text.step if config["use_bias"] else resolve(text, config, in_order=False)
    yield f"name = {_value(text.name)}"
    yield f"states = {_value(text.states)}"
    if text.source:
        yield f"source = {_value(text.source)}"
    if text.gates != packed_lines(text.step):
        yield f"gates = {_value(text.gates)}"
    options = {name: config.get(name, value) for name, value in text.options.items()}
    weights = {
        name: {"shape": weight.shape, **({"initializer": weight.initializer} if weight.initializer else {})}
        for name, weight in text.weights.items()
    }
    if text.heads != ("heads",):
        yield f"heads = {_value(text.heads)}"
    sizes = {
        name: write(size) if not isinstance(size, int) else config.get(name, size)
        for name, size in text.sizes.items()
    }
    tables: Mapping[str, Mapping[str, Any]] = {
        "sizes": sizes,
        "shapes": text.shapes,
        "inputs": text.inputs,
        "initial": text.initial,
        "options": options,
        "weights": {**initializers, **weights},
        "step": {line: write(node) for line, node in step.items()},
    }
    for table, entries in tables.items():
        if entries:
            yield f"\n[{table}]"
            yield from (f"{name} = {_value(value)}" for name, value in entries.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_value(entry)}' for name, entry in value.items())} }}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


LETTERS: Mapping[str, str] = {"kernel": "W", "recurrent_kernel": "U", "bias": "b", "recurrent_bias": "b"}
"""Symbols of packed weights; they stand for the columns that belong to the line."""
_SHORT = {"sigmoid": "σ", "linear": ""}
_OPERATORS = {
    **PYTHON,
    "*": ("{} ⊙ {}", 2, 3, 2),
    "·": ("{} · {}", 2, 3, 2),
    "**": ("{}^{}", 5, 3, 4),
    "@": ("{} {}", 3, 3, 2),
}


def old_state(name: str) -> str:
    """Return the symbol of a state before the step: `h` for the hidden state, else as in `velocity[t-1]`."""
    return "h" if name == "hidden" else f"{name}[t-1]"


def to_symbols(text: CellText, config: Mapping[str, Any]) -> dict[str, str]:
    """Return each line as in a textbook, `σ(x W + h U + b)`."""

    def name(node: Name) -> str:
        if node.name in BIASES and text.has_two_biases:
            return f"b[{0 if node.name == 'bias' else 1}]"
        if node.kind == "before":
            return old_state(node.name)
        return LETTERS.get(node.name, node.name)

    def call(function: str, given: list[str]) -> str:
        named = text.function(function, config)
        return f"{_SHORT.get(named, named)}({', '.join(given)})"

    lines = resolve(text, config, in_order=False).items()
    return {line: write(node, name, call, _OPERATORS) for line, node in lines}
