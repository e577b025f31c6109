"""The cell as equations: a TOML file that `--layer @FILE.toml` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnncli.cells.text import to_toml
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, equations_of
from rnncli.errors import Message, Text
from rnncli.initializers import takes_seed
from rnncli.layers.layer import INITIALIZED_BY
from rnncli.layers.recurrent import Cell
from rnncli.specs.build import options_of
from rnncli.values import Spec

SUFFIX = ".toml"
BINARY = False


def refusal(exports: Sequence[ExportCase]) -> Text | None:
    """Return why a file of one cell cannot express them, or None."""
    if reason := refusals.of_equations(exports):
        return reason
    for cell in (cells := equations_of(exports)):
        if cell.text.has_axes and not cell.config["use_bias"]:
            return Message("its equations cannot leave bias out")
        given = (cell.config[option] for option in INITIALIZED_BY.values())
        if any(isinstance(value, Spec) and not value.deferred and takes_seed(value) for value in given):
            return Message("it draws its initializers in the order of the weights")
        if cell.config.get("unit_forget_bias") and takes_seed(cell.config["bias_initializer"]):
            return Message("it draws each part of a bias from a seed of its own")
    count = len(set(map(_file, cells)))
    return Message("it holds one cell, and these are {number}", number=count) if count > 1 else None


def write(exports: Sequence[ExportCase]) -> str:
    """Return the file."""
    return _file(equations_of(exports)[0])


def _file(cell: Cell) -> str:
    text, options = cell.text, options_of(cell.spec.class_name, cell.spec.equations)
    numbers = [name for name, size in text.sizes.items() if isinstance(size, int)]
    names = (*text.options, *numbers, "use_bias", *INITIALIZED_BY.values())
    changed = {name: cell.config[name] for name in names if cell.config[name] != options[name].default}
    if text.written and not changed and text.written.replace("\n", "").replace("\t", "").isprintable():
        return text.written
    weights = {
        name: weight._replace(initializer=_plain(weight.initializer)) for name, weight in text.weights.items()
    }
    initializers = {
        weight: {line: _plain(initializer) for line, initializer in given.items()}
        for weight, given in _initializers(cell, changed)
    }
    return to_toml(text._replace(weights=weights), cell.config, initializers)


def _plain(initializer: Any) -> Any:
    """Return an initializer as TOML has it: a name, or a table without the options that are None."""
    if not isinstance(initializer, Spec):
        return initializer
    given = {name: value for name, value in initializer.config.items() if value is not None}
    return {"class_name": initializer.class_name, "config": given}


def _initializers(cell: Cell, changed: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    by_line = {name: given for name, given in cell.text.initializers.items() if "initializer" not in given}
    for weight, option in INITIALIZED_BY.items():
        lines = cell.text.packing()[weight]
        if not lines or (weight == "bias" and not cell.config["use_bias"]):
            continue
        value = changed.get(option)
        given = {} if value == "probe" else by_line.get(weight, {})
        if given:
            yield weight, {line: given.get(line, value) for line in lines if value or line in given}
        elif value or weight in cell.text.initializers:
            yield weight, {"initializer": value} if value else cell.text.initializers[weight]
