"""Write a cell as the text of its file, which `reading.py` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rnncli.cells.text import CellText, packed_lines, resolve
from rnncli.cells.tree import write


def to_toml(text: CellText, config: Mapping[str, Any], initializers: Mapping[str, Any]) -> str:
    """Return the file of a cell with these options.

    initializers: of packed weights, by name, where they are not Keras's default.
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
        name: {"shape": one.shape, **({"initializer": one.initializer} if one.initializer else {})}
        for name, one in text.weights.items()
    }
    tables: Mapping[str, Mapping[str, Any]] = {
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
        return f"{{ {', '.join(f'{name} = {_value(one)}' for name, one in value.items())} }}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)
