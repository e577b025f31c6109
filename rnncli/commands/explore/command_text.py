"""An experiment as a command line, and as a case document."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from rnncli import specs
from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS
from rnncli.case import Array, Case
from rnncli.cli import files
from rnncli.commands.explore.experiment import Experiment
from rnncli.errors import RnncliError, UsageError
from rnncli.inputs.source import expand_user
from rnncli.options import flag_name, write_words
from rnncli.process.signals import defer_signals
from rnncli.show import numerals
from rnncli.specs.build import options_of

with defer_signals():  # orjson crashes the process if its loading is interrupted
    import orjson

LONGEST = 4000
"""Characters of the longest case document that is written into the command itself."""


def command(now: Experiment, saved: str | None = None) -> str | None:
    """Return the command that returns the same tensors; None if it is too long and nothing was saved.

    saved: the file that holds the experiment, if it was saved.
    """
    case = now.case
    holds = [word for hold in case.hold for word in ("--hold", hold.text)]
    if saved is None and not now.is_edited:
        # run refuses to hold a gate inside a model; trace looks into one layer of it.
        name = "trace" if case.hold and now.start.ask.model is not None else "run"
        return shlex.join(["rnncli", name, *_words_of_flags(now), *holds])
    if saved is None and _least_length(case) > LONGEST:
        return None
    text = saved or document(now).decode()
    calls = ["--calls", str(case.calls)] if case.calls > 1 else []
    return None if len(text) > LONGEST else shlex.join(["rnncli", "run", text, *calls, *holds])


def _words_of_flags(now: Experiment) -> Iterator[str]:
    case, ask = now.case, now.start.ask
    yield from write_words({name: getattr(ask, name) for name in INPUT_OPTIONS})
    if ask.model is None:
        yield from _layer_words(now)
        ask = ask._replace(seed=case.seed)
    else:
        config, then = (one.specs[-1].inner.config for one in (case, now.start.case))
        for name in ("return_sequences", "return_state"):
            if config.get(name) or config.get(name) != then.get(name):
                yield flag_name(name if config[name] else f"no_{name}")
    changed = case.training != now.start.case.training
    training = case.training if case.training or changed else ask.training
    ask = ask._replace(training=training, calls=case.calls)
    yield from write_words({name: getattr(ask, name) for name in RUN_OPTIONS})


def _layer_words(now: Experiment) -> Iterator[str]:
    """Yield `-l lstm --return-sequences`; an expression if flags cannot say all of it."""
    spec, inner = now.spec, now.spec.inner
    options = options_of(inner.class_name)
    given: dict[str, Any] = {
        name: value
        for name, value in inner.config.items()
        if name in LAYER_OPTIONS and name in options and value != options[name].default
    }
    if given.get("dtype") == "float32":
        del given["dtype"]
    if spec is not inner:
        given["bidirectional"] = True
        if spec.config["merge_mode"] != "concat":
            given["merge_mode"] = spec.config["merge_mode"] or "none"
    name = "simple_rnn" if inner.class_name == "SimpleRNN" else inner.class_name.lower()
    try:
        plain = all(isinstance(value, (str, int, float)) for value in given.values())
        is_said = plain and tuple(specs.from_flags([name], given)) == now.case.specs
    except RnncliError:
        is_said = False
    if is_said:
        if given.get("units") == 3:
            del given["units"]
        yield from ("-l", name, *write_words({name: given[name] for name in LAYER_OPTIONS if name in given}))
        return
    for expression in specs.expressions_of(now.case.specs):
        yield from ("-l", expression)


def document(now: Experiment) -> bytes:
    """Return the experiment as a case document, which every command reads."""
    case = now.case
    parts: dict[str, Any] = {
        "layer": specs.expression_of(case.specs),
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


def save(name: str, now: Experiment) -> None:
    """Write a new case document.

    Raises UsageError for a file that exists, or that would not be read as JSON.
    """
    path = expand_user(name)
    if path.suffix.lower() != ".json":
        raise UsageError("{place} does not end in .json.", "A case document is a .json file.", place=path)
    if path.exists():
        raise UsageError("{place} exists already.", "Choose another name.", place=path)
    files.write(name, document(now) + b"\n")


def _nest(array: Array) -> Any:
    """Return nested lists of the shortest numbers that read back the same; NaN and infinities as text."""
    import numpy as np

    texts = numerals.format_exactly(array)
    finite = np.isfinite(array.astype(np.float64)).ravel().tolist()
    flat = np.empty(len(texts), object)
    flat[:] = [float(text) if plain else text for text, plain in zip(texts, finite, strict=True)]
    return flat.reshape(array.shape).tolist()
