"""An experiment as a command line, and as a case document."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rnncli import specs
from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS
from rnncli.ask.layer_files import cell_files, name_by_file
from rnncli.cli import files
from rnncli.commands.explore.experiment import Experiment
from rnncli.errors import Message, RnncliError, UsageError
from rnncli.inputs.source import expand_user
from rnncli.layers.case import Case
from rnncli.options import flag_name, write_words
from rnncli.show import formats
from rnncli.show.answer import NAMES, Answer, Config, NestedNumbers
from rnncli.show.digits import format_exactly
from rnncli.show.page import View
from rnncli.specs.build import options_of
from rnncli.values import Array

LONGEST = 4000
"""Characters of the longest case document that is written into the command itself."""


def command(now: Experiment, saved: str | None = None) -> str | None:
    """Return the command that returns the same tensors; None if it is too long and nothing was saved.

    saved: the file that holds the experiment, if it was saved.
    """
    case = now.case
    holds = [word for hold in case.hold for word in ("--hold", hold.text)]
    words = _input_words(now) if saved is None else None
    if words is not None and (
        now.start.subject.fixed_layers or cell_files(case.stack, now.start.ask.layer) is not None
    ):
        # run refuses to hold a gate inside a model; trace looks into one layer of it.
        name = "trace" if case.hold and now.start.subject.fixed_layers else "run"
        return shlex.join(["rnncli", name, *words, *_words_of_flags(now), *holds])
    if saved is None and _least_length(case) > LONGEST:
        return None
    text = saved or document(now)
    calls = ["--calls", str(case.calls)] if case.calls > 1 else []
    return None if len(text) > LONGEST else shlex.join(["rnncli", "run", text, *calls, *holds])


def _input_words(now: Experiment) -> list[str] | None:
    """Return the input and its mask as they were given, with `--mask` or as a literal where they were edited.

    None if only a case document can say it: with edited weights, a long input, or in a saved model.
    """
    case, ask, then = now.case, now.start.ask, now.start.case
    if case.weights is not then.weights:
        return None
    if case.inputs is then.inputs and case.mask is not then.mask and not now.start.subject.fixed_layers:
        is_flag = then.mask is None or ask.mask is not None
        if is_flag and not ask.given("mask_value", "pad", "lengths"):
            ask = ask._replace(mask=_mask_text(case))
            return list(write_words({name: getattr(ask, name) for name in INPUT_OPTIONS}))
    if not now.is_edited:
        return list(write_words({name: getattr(ask, name) for name in INPUT_OPTIONS}))
    is_of_document = any(
        getattr(case, name) is not None and getattr(ask, name) is None
        for name in ("weights", "initial_state")
    )
    if now.start.subject.fixed_layers or is_of_document or _least_length(case) > LONGEST:
        return None
    literal, mask = _nested(case.inputs), _mask_text(case)
    is_finite = not any(letter in literal for letter in "Nn")
    return [literal, *(["--mask", mask] if mask else [])] if is_finite and len(literal) <= LONGEST else None


def _mask_text(case: Case) -> str | None:
    return None if case.mask is None else json.dumps(case.mask.tolist(), separators=(",", ":"))


def _nested(values: Array) -> str:
    """Return nested lists of numbers in the fewest digits of their dtype."""
    texts = map(_nested, values) if values.ndim > 1 else format_exactly(values)
    return f"[{','.join(texts)}]"


def _words_of_flags(now: Experiment) -> Iterator[str]:
    case, ask = now.case, now.start.ask
    if not now.start.subject.fixed_layers:
        yield from _layer_words(now)
        ask = ask._replace(seed=case.seed)
    else:
        config, then = (case.stack[-1].inner.config for case in (case, now.start.case))
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
        is_said = plain and tuple(specs.from_flags([name], given)) == now.case.stack
    except RnncliError:
        is_said = False
    if is_said:
        if given.get("units") == 3:
            del given["units"]
        yield from ("-l", name, *write_words({name: given[name] for name in LAYER_OPTIONS if name in given}))
        return
    files = iter(cell_files(now.case.stack, now.start.ask.layer) or ())
    for layer in now.case.stack:
        yield from ("-l", specs.describe(name_by_file(layer, files)))


DOCUMENTS = (
    {
        "layer?": str | Config | list[str | Config],
        "inputs": NestedNumbers,
        "mask?": list[list[bool]],
        "initial_state?": list[NestedNumbers],
        "weights?": dict[str, NestedNumbers],
        "seed?": int,
        "training?": bool,
        "about?": dict[str, str],
        "answers?": dict[str, str],
        "words?": dict[str, list[float]],
        "groups?": dict[str, list[str]],
        "aliases?": dict[str, str],
    }
    | NAMES,
)


@dataclass(frozen=True)
class _CaseDocument(Answer):
    """A case document, which every command reads."""

    case: Case

    def document(self, view: View) -> dict[str, Any]:
        """Return what is given of the layers, the input, the states, the weights and the run."""
        case = self.case
        parts = {
            "layer": specs.layer_of(case.stack),
            "inputs": case.inputs,
            "mask": case.mask,
            "initial_state": case.initial_state,
            "weights": case.weights,
            "seed": case.seed,
            "training": case.training or None,
            **case.names.document(),
        }
        return {name: part for name, part in parts.items() if part is not None}


def document(now: Experiment) -> str:
    """Return the experiment as a case document on one line."""
    return str(formats.render(_CaseDocument(now.case), "ndjson", View())).rstrip()


def _least_length(case: Case) -> int:
    """Return a lower bound of the document's length: a digit and a comma per number."""
    return 2 * sum(array.size for array in (case.inputs, *(case.weights or {}).values()))


def save(name: str, suffix: str, now: Experiment, lang: str) -> None:
    """Write the experiment into a new file: a case document, or with the suffix .html a page.

    Raises UsageError for a file that exists, or has another suffix.
    """
    path = expand_user(name)
    if path.suffix.lower() != suffix:
        is_page = suffix == ".html"
        advice = Message("A page is an .html file." if is_page else "A case document is a .json file.")
        raise UsageError("{place} does not end in {suffix}.", advice, place=path, suffix=suffix)
    if path.exists():
        raise UsageError("{place} exists already.", "Choose another name.", place=path)
    text = f"{document(now)}\n"
    if suffix == ".html":
        from rnncli.commands.report.page import page_of
        from rnncli.models import LayerUse

        text = page_of((LayerUse("", now.case),), lang, described=not now.start.subject.fixed_layers).text
    files.write(str(path), text)
