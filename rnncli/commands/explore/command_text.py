"""An experiment as a command line, and as a case document."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from rnncli import specs
from rnncli.case import Array, Case
from rnncli.cli import files
from rnncli.cli.flags import LayerFlags
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.errors import RnncliError, UsageError
from rnncli.process.signals import defer_signals
from rnncli.show import numerals
from rnncli.specs.build import options_of

with defer_signals():  # orjson crashes the process if its loading is interrupted
    import orjson

LONGEST = 4000
"""Characters of the longest case document that is written into the command itself."""


def command(experiment: EditableCase, saved: str | None = None) -> str | None:
    """Return the command that returns the same tensors; None if it is too long and nothing was saved.

    saved: the file that holds the experiment, if it was saved.
    """
    case = experiment.case
    holds = [word for hold in case.hold for word in ("--hold", hold.text)]
    if saved is not None or experiment.is_edited:
        if saved is None and _least_length(case) > LONGEST:
            return None
        text = saved or document(experiment).decode()
        calls = ["--calls", str(case.calls)] if case.calls > 1 else []
        return None if len(text) > LONGEST else shlex.join(["rnncli", "run", text, *calls, *holds])
    # run refuses to hold a gate inside a model; trace looks into one layer of it.
    name = "trace" if case.hold and experiment.origin.run.model is not None else "run"
    return shlex.join(["rnncli", name, *_words_of_flags(experiment), *holds])


def _words_of_flags(experiment: EditableCase) -> Iterator[str]:
    input_flags, run = experiment.origin.input, experiment.origin.run
    if input_flags.input is not None:
        yield input_flags.input
    yield from words_of(input_flags._replace(input=None))
    if run.model is None:
        yield from _layer_words(experiment)
        run = run._replace(seed=experiment.case.seed)
    else:
        now, then = (case.specs[-1].inner.config for case in (experiment.case, experiment.origin.case))
        for name in ("return_sequences", "return_state"):
            if now.get(name) or now.get(name) != then.get(name):
                yield f"--{'' if now[name] else 'no-'}{name.replace('_', '-')}"
    training = experiment.case.training
    changed = training != experiment.origin.case.training
    run = run._replace(training=training if training or changed else run.training)
    yield from words_of(run._replace(calls=experiment.case.calls))


def _layer_words(experiment: EditableCase) -> Iterator[str]:
    """Yield `-l lstm --return-sequences`; an expression if flags cannot say all of it."""
    stack = experiment.case.stack
    inner, spec = experiment.inner, experiment.spec
    options = options_of(inner.class_name)
    given: dict[str, Any] = {
        name: value
        for name, value in inner.config.items()
        if name in LayerFlags._fields and name in options and value != options[name].default
    }
    if given.get("dtype") == "float32":
        del given["dtype"]
    if spec is not inner:
        given["bidirectional"] = True
        if spec.config["merge_mode"] != "concat":
            given["merge_mode"] = spec.config["merge_mode"] or "none"
    name = inner.class_name.lower() if inner.class_name != "SimpleRNN" else "simple_rnn"
    if _reproduces(name, given, tuple(stack)):
        if given.get("units") == 3:
            del given["units"]
        yield from ("-l", name)
        yield from words_of(LayerFlags(**given))
        return
    for expression in stack.expressions:
        yield from ("-l", expression)


def _reproduces(name: str, given: Mapping[str, Any], layers: tuple[Any, ...]) -> bool:
    """Return whether these flags describe exactly these layers."""
    plain = all(isinstance(value, (str, int, float)) for value in given.values())
    try:
        return plain and tuple(specs.from_flags([name], given)) == layers
    except RnncliError:
        return False


def words_of(flags: Any) -> Iterator[str]:
    """Yield the words of a group of flags, `--units`, `4`; those with their default are left out."""
    hints = get_type_hints(type(flags), include_extras=True)
    for name, value in flags._asdict().items():
        if value is None or value == type(flags)._field_defaults[name]:
            continue
        info = hints[name].__metadata__[0]
        names = (info.default, *info.param_decls)  # Typer takes the first name for a default
        long = next(text for text in names if text.startswith("--"))
        on, _, off = long.partition("/")
        if isinstance(value, bool):
            yield on if value else off
        else:
            for one in value if isinstance(value, list) else [value]:
                yield from (on, str(one))


def document(experiment: EditableCase) -> bytes:
    """Return the experiment as a case document, which every command reads."""
    case = experiment.case
    parts: dict[str, Any] = {
        "layer": case.stack.expression,
        "inputs": _nest(case.inputs),
        "mask": None if case.mask is None else case.mask.tolist(),
        "initial_state": None if case.initial_state is None else [_nest(one) for one in case.initial_state],
        "weights": None if case.weights is None else {key: _nest(one) for key, one in case.weights.items()},
        "seed": case.seed,
        "training": case.training or None,
    }
    return orjson.dumps({name: part for name, part in parts.items() if part is not None})


def _least_length(case: Case) -> int:
    """Return a lower bound of the length of the case document: a digit and a comma per number."""
    return 2 * sum(array.size for array in (case.inputs, *(case.weights or {}).values()))


def save(name: str, experiment: EditableCase) -> None:
    """Write a new case document.

    Raises UsageError for a file that exists, or that would not be read as JSON.
    """
    path = files.expand_user(name)
    if path.suffix.lower() != ".json":
        raise UsageError("{place} does not end in .json.", "A case document is a .json file.", place=path)
    if path.exists():
        raise UsageError("{place} exists already.", "Choose another name.", place=path)
    files.write(name, document(experiment) + b"\n")


def _nest(array: Array) -> Any:
    """Return nested lists of the shortest numbers that read back the same; NaN and infinities as text."""
    import numpy as np

    texts = numerals.format_exactly(array)
    finite = np.isfinite(array.astype(np.float64)).ravel().tolist()
    flat = np.empty(len(texts), object)
    flat[:] = [float(text) if plain else text for text, plain in zip(texts, finite, strict=True)]
    return flat.reshape(array.shape).tolist()
