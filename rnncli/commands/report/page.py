"""The page as one file: styles, tables, data and scripts, joined; it loads nothing from elsewhere."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from html import escape
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from rnncli import compute
from rnncli.ask import INPUT_OPTIONS, RUN_OPTIONS, Ask, Remarks, subject_of
from rnncli.ask.layer_files import cell_files, name_by_file
from rnncli.commands.report.contents import ReportContents, build_contents
from rnncli.commands.run import RunAnswer
from rnncli.commands.trace.answer import TraceAnswer
from rnncli.compute import trace as tracing
from rnncli.errors import Message, UsageError, format_names
from rnncli.inputs import sample_files
from rnncli.inputs.source import SAMPLE_REMARK
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse
from rnncli.options import write_words
from rnncli.process.signals import defer_signals
from rnncli.show import styles
from rnncli.show.answer import Answer
from rnncli.show.formats import html
from rnncli.show.page import View
from rnncli.show.visible import escape_json
from rnncli.specs import describe, expressions_of
from rnncli.values import Spec

LEFT_OUT = "Only the recurrent layers of the model; left out: {names}."
"""In the head of a page, and in a remark."""
NOTE = "note"
"""The sample that the page is about if nothing else is said."""
LARGEST = 4_000_000
"""Most bytes of a page."""
SCRIPTS = (
    "activations.js", "cell.js", "layer.js", "settings.js", "explain.js", "dom.js", "drag.js",
    "words.js", "controls.js", "number.js", "overview.js", "maps.js", "diagram.js", "play.js", "reading.js",
    "sheet.js", "panel.js", "page.js",
)  # fmt: skip
"""The scripts of every page in the order in which they are joined: each after those that it imports."""
PAGE, LESSON = ("boot.js",), ("exercise.js", "deck.js")
"""What follows them in the page about a layer, and in the lesson."""
_FOLDER = Path(__file__).with_name("web")
_LITERAL = re.compile(r'"([^"\\\n]+)"')
_SAID = re.compile(r"say\(([^()\n]*)")
_IMPORT = re.compile(r"\nimport [^;]*;")
_STYLE = re.compile(r"<style>.*?</style>\n", re.DOTALL)
_COMMENT = re.compile(r"\s*/\*.*?\*/", re.DOTALL)
_SIGNS = ("=>", "===", "!==", "&&", "||", "??", "?")
"""Signs of a script that stand in no text with blanks around them."""


class BuiltPage(NamedTuple):
    """A page.  tables: of `run` and `trace`, for readers without scripts.  layers: first to last."""

    text: str
    tables: str
    layers: tuple[Spec, ...]
    remarks: Remarks


def build_page(ask: Ask, lang: str) -> BuiltPage:
    """Return the page about what is asked for, in the language in which it opens.

    If no input, layer, model, seed, weights or option of a layer is given, it is about the sample `note`.
    """
    is_default = ask.is_bare and not ask.options and not ask.given("layer", "model", "seed", "weights")
    if is_default:
        ask = ask._replace(input=str(sample_files.path(NOTE)) if Path(NOTE).exists() else NOTE)
    subject = subject_of(ask)
    parts = subject.parts()
    left_out = subject.left_out()
    described = not subject.fixed_layers
    page = page_of(parts.uses, lang, described=described, ask=ask, left_out=left_out)
    remarks = (*parts.remarks, *page.remarks)
    if is_default:
        of_file = Message("there is no file {input}: using the built-in sample", input=NOTE)
        using = SAMPLE_REMARK.with_fields(sample=NOTE, sample_shape=parts.case.inputs.shape, command="report")
        remarks = (using, *(remark for remark in remarks if remark != of_file))
    if left_out:
        remarks = (*remarks, Message(LEFT_OUT, names=format_names(left_out)))
    return page._replace(remarks=remarks)


def page_of(
    uses: Sequence[LayerUse],
    lang: str,
    *,
    described: bool,
    ask: Ask | None = None,
    left_out: Sequence[str] = (),
) -> BuiltPage:
    """Return the page about these layers.

    described: whether the layers are described, rather than those of a model.
    ask: what the user asked for, from which the page's command is made; None if there is no such command.
    left_out: what the model has besides these layers.
    """
    contents = build_contents(uses, described=described)
    commands = {} if ask is None else short_commands(ask, uses, contents, described=described)
    layers = tuple(spec for use in uses for spec in use.case.stack)
    view = View(lang=lang)
    answers: list[Answer] = []  # tables, for readers without scripts
    for use in uses:
        trace = tracing.trace(tracing.with_all_outputs(use.case))
        answers += [RunAnswer(compute.run(use.case)), TraceAnswer(trace, tracing.list_loops(trace), {})]
    tables = html.fragment(answers, view)
    page = {**contents.data, "commands": commands}
    if left_out:
        left = Message(LEFT_OUT, names=format_names(left_out))
        tables = f"<p>{escape(view.say(left))}</p>\n{tables}"
        page["leftOut"] = {language: View(lang=language).say(left) for language in ("en", "ko")}
    plain = _STYLE.sub("", tables)  # the page has the styles
    body = f'<main class="live" id="rnncli-page"></main>\n<noscript>\n{plain}</noscript>'
    data = {"rnncli-page": page}
    text = write_page(" → ".join(expressions_of(layers)), lang, data, body)
    return BuiltPage(text, tables, layers, contents.remarks)


def write_page(
    title: str, lang: str, layers: Mapping[str, Any], body: str, further: Mapping[str, Any] | None = None
) -> str:
    """Return the page.

    layers: the data of each live layer, by the id of its element in `body`.
    further: of a lesson, what deck.js takes besides.
    Raises UsageError for a page that is too large.
    """
    with defer_signals():  # orjson crashes the process if its loading is interrupted
        import orjson

    scripts = (*SCRIPTS, *(PAGE if further is None else LESSON))
    sources = "\n".join(map(_read, scripts))
    words = set(_LITERAL.findall("\n".join(_SAID.findall(sources))))
    literals = (text for text in dict.fromkeys(_LITERAL.findall(sources)) if " " in text or text in words)
    korean = {text: said for text in literals if (said := View(lang="ko").say(text)) != text}
    data = {"lang": lang, "korean": korean, "layers": layers, **(further or {})}
    text = escape_json(orjson.dumps(data)).decode().replace("<", "\\u003c")
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    script = join_scripts(scripts)
    sheets = ("page.css", "panel.css", *(() if further is None else ("deck.css",)))
    style = "".join((styles.read("colors"), styles.read("page"), *map(_read, sheets)))
    page = Template(_read("page.html")).substitute(
        lang=escape(lang),
        hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        title=escape(title),
        style=_shorten_style(style),
        body=body,
        data=text,
        script=script,
    )
    if len(page.encode()) > LARGEST:
        raise _too_large(layers)
    return page


def _too_large(layers: Mapping[str, Any]) -> UsageError:
    sizes: dict[str, int] = {"inputs": 0, "weights": 0}
    for data in layers.values():
        for layer in data["layers"]:
            sizes["inputs"] += len((layer["x"] or {}).get("values", ""))
            for half in layer["halves"].values():
                sizes["weights"] += sum(len(weight["values"]) for weight in half["weights"].values())
    advice = {
        "inputs": "Give fewer sequences or time steps.",
        "weights": "Choose fewer layers of the model, or a layer with fewer units.",
    }
    part = max(sizes, key=lambda name: sizes[name])
    what = "the page would be larger than {megabytes} MB: its {part} take {size:.1f} MB."
    return UsageError(what, advice[part], megabytes=LARGEST // 1_000_000, part=part, size=sizes[part] / 1e6)


@cache
def join_scripts(names: tuple[str, ...]) -> str:
    """Return these scripts as one, in which no name leaves but `rnncli`."""
    return '(() => {\n"use strict";\n' + "\n".join(map(_shorten_script, names)) + "\n})();\n"


def _shorten_script(name: str) -> str:
    """Return a script as it stands in a page.

    Without imports, `export`, comments, indentation, empty lines, blanks beside signs, and the ends of lines
    beside a bracket and after `;` and `,`.
    """
    joined = [" "]
    for written in _IMPORT.sub("", f"\n{_read(name)}").split("\n"):
        line = written.partition(" // ")[0].strip().removeprefix("export ")
        if not line or line.startswith(("//", "/*", "*")):
            continue
        if line[0] in ")]}":
            joined[-1] = joined[-1].removesuffix(",")
        elif joined[-1][-1] not in "([{;, ":
            line = f"\n{line}"
        joined.append(line)
    script = "".join(joined[1:]).replace("{ ", "{").replace(" }", "}")
    for sign in _SIGNS:
        script = script.replace(f" {sign} ", sign)
    return script


def _shorten_style(style: str) -> str:
    """Return a style without comments, indentation, empty lines, and blanks beside signs."""
    lines = map(str.strip, _COMMENT.sub("", style).split("\n"))
    shorter = "\n".join(filter(None, lines)).replace(": ", ":")
    for sign in "{};,":
        shorter = shorter.replace(f" {sign}", sign).replace(f"{sign} ", sign).replace(f"{sign}\n", sign)
    return shorter


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def short_commands(
    ask: Ask, uses: Sequence[LayerUse], contents: ReportContents, *, described: bool
) -> dict[str, Any]:
    """Return the commands that give the page's numbers; empty if a part of the request is no file.

    variants: the command for each setting of the switches that keeps the weights; "" is that of all layers.
    given: the words of the mask and of the initial states, which are not in `variants`.
    settable: those of the two that a flag can replace.
    """
    case, is_read = uses[0].case, ask.input is None and ask.input_shape is None and not ask.is_bare
    if ask.holds_numbers or is_read or ask.input == "-":
        return {}
    given = {name: getattr(ask, name) for name in (*INPUT_OPTIONS, *RUN_OPTIONS)}
    if not all(value is None or isinstance(value, (str, int, float, PathLike)) for value in given.values()):
        return {}
    words = {name: shlex.join(write_words({name: given.pop(name)})) for name in ("mask", "initial_state")}
    if not described:
        return {"variants": _model_commands(given, ask.returns, contents), "given": words, "settable": []}
    given |= {"seed": case.seed}
    inputs = {name: given[name] for name in INPUT_OPTIONS if name in given}
    rest = {name: given[name] for name in RUN_OPTIONS if name in given}
    files = cell_files(case.stack, ask.layer)
    if files is None:
        return {}
    entries = contents.data["layers"]
    last, commands = entries[-1], {}
    for key, variant in contents.variants.items():
        same_form = last.get("resetAfter") is None or key.endswith(str(int(last["resetAfter"])))
        if bool(key.strip("01")) != last["flags"]["bidirectional"]:
            continue
        stack = Stack((*contents.lower, *variant))
        if same_form or _draws_the_same(case, stack):
            names = iter(files)
            specs = [name_by_file(spec, names) for spec in stack]
            layers = [word for spec in specs for word in ("-l", describe(spec))]
            is_whole = len(specs) == len(case.stack)
            is_asked = describe(stack[-1]) == describe(case.stack[-1])
            if is_whole and is_asked and not ask.layer and not ask.options:
                layers = []  # the document of the input names them, or nothing does
            elif len(specs) == 1:
                layers = _as_flags(specs[0])
            commands[key] = shlex.join(["rnncli", "run", *write_words(inputs), *layers, *write_words(rest)])
    reads_input = entries[0]["path"] in ("", "0/")  # a mask does not pass through every plain layer
    masks = ask.given("mask_value", "lengths", "pad", "window")
    settable = ["initial_state", *(["mask"] if reads_input and not masks else [])]
    return {"variants": commands, "given": words, "settable": settable}


def _draws_the_same(case: Case, stack: Stack) -> bool:
    """Return whether other layers draw the weights of a Case; a bias of another shape if both are 0."""
    import numpy as np

    if case.weights is not None:
        return False
    before, _ = compute.weights_and_seeds(case, case.stack, "numpy")
    after, _ = compute.weights_and_seeds(case, stack, "numpy")
    return all(
        np.array_equal(before[name], array) or not (before[name].any() or array.any())
        for name, array in after.items()
    )


def _as_flags(spec: Spec) -> list[str]:
    """Return the words of a layer, in which flags say what it returns, its reset_after and its merge_mode."""
    outer = spec.config if spec.class_name == "Bidirectional" else {}
    if outer.get("backward_layer"):
        return ["-l", describe(spec)]
    inner = outer["layer"] if outer else spec
    usual = {"return_sequences": False, "return_state": False, "reset_after": True}
    flags = {name: inner.config[name] for name in usual if inner.config.get(name, usual[name]) != usual[name]}
    plain = replace(inner, config={**inner.config, **{name: usual[name] for name in flags}})
    if outer:
        plain = replace(spec, config={**outer, "layer": plain, "merge_mode": "concat"})
        if outer["merge_mode"] != "concat":
            flags["merge_mode"] = outer["merge_mode"] or "none"
    return ["-l", describe(plain), *write_words(flags)]


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
