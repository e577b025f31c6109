"""The command that gives the numbers of a page, as long as nothing but its switches was changed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from rnncli import specs
from rnncli.ask import INPUT_OPTIONS, RUN_OPTIONS, Ask
from rnncli.ask.layer_files import cell_files, name_by_file
from rnncli.commands.report.contents import ReportContents
from rnncli.models import LayerUse
from rnncli.options import write_words


def short_commands(
    ask: Ask, uses: Sequence[LayerUse], contents: ReportContents, *, described: bool
) -> dict[str, str]:
    """Return the command for each variant of the last layer that has the same weights; "" names all layers.

    There is none where a part of the request is no file: standard input, or arrays.
    """
    case, is_read = uses[0].case, ask.input is None and ask.input_shape is None and not ask.is_bare
    if ask.holds_numbers or is_read or ask.input == "-":
        return {}
    given = {name: getattr(ask, name) for name in (*INPUT_OPTIONS, *RUN_OPTIONS)}
    if not all(value is None or isinstance(value, (str, int, float, PathLike)) for value in given.values()):
        return {}
    if not described:
        return _model_commands(given, ask.returns, contents)
    given |= {"seed": case.seed}
    inputs = {name: given[name] for name in INPUT_OPTIONS}
    rest = {name: given[name] for name in RUN_OPTIONS}
    files = cell_files(case.stack, ask.layer)
    if files is None:
        return {}
    last = contents.data["layers"][-1]
    form, commands = last.get("resetAfter"), {}
    for key, variant in contents.variants.items():
        same_form = form is None or key.endswith(str(int(form)))
        merge = key[2:] if form is None else key[2:-1]
        if same_form and bool(merge) == last["flags"]["bidirectional"]:  # the weights of the page
            names = iter(files)
            layers = [specs.describe(name_by_file(spec, names)) for spec in (*contents.lower, variant)]
            words = [word for layer in layers for word in ("-l", layer)]
            commands[key] = shlex.join(["rnncli", "run", *write_words(inputs), *words, *write_words(rest)])
    return commands


def _model_commands(
    given: dict[str, Any], asked: Mapping[str, Any], contents: ReportContents
) -> dict[str, str]:
    layers = contents.data["layers"]
    if len(layers) > 1:
        return {"": shlex.join(["rnncli", "run", *write_words({**given, **asked})])}
    commands = {}
    for key in contents.variants:
        sequences, state = (digit == "1" for digit in key[:2])
        as_saved = {"sequences": sequences, "state": state}.items() <= layers[0]["flags"].items()
        returns = asked if as_saved else {"return_sequences": sequences, "return_state": state}
        commands[key] = shlex.join(["rnncli", "run", *write_words({**given, **returns})])
    return commands
