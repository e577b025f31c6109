"""An experiment: a Case edited one option or number at a time; its results, command line and document."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from rnncli import addresses, compute, specs
from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS, Ask, Remarks, subject_of
from rnncli.ask.layer_files import cell_files, name_by_file
from rnncli.ask.subject import Subject
from rnncli.cli import files
from rnncli.compute import holds
from rnncli.compute import trace as tracing
from rnncli.compute.derivation import explain_number, locate_number
from rnncli.compute.derivation.explanation import Explanation, Target
from rnncli.errors import LayerError, Message, RnncliError, UsageError
from rnncli.inputs import sample_files
from rnncli.inputs.source import SAMPLE, expand_user
from rnncli.layers.case import Case
from rnncli.options import flag_name, write_words
from rnncli.result import Label, Result
from rnncli.show import formats
from rnncli.show.answer import NAMES, Answer, Config, NestedNumbers
from rnncli.show.digits import format_exactly
from rnncli.show.page import View
from rnncli.specs.build import options_of
from rnncli.values import Array, Spec

LESSON_SEED = 7
"""The seed without --seed: the seed of the lesson and the pages of help, so that the numbers match."""
NONE = "none"
"""The value of an option in which nothing is masked or held."""
MOST_TERMS = 40
"""Terms of an equation that are listed: drawing hundreds would delay every key."""


class Start(NamedTuple):
    """What the explorer was started with, and its Case.

    layers: the names of a saved model's recurrent layers, to choose from; () for described layers.
    """

    subject: Subject
    case: Case
    layers: tuple[str, ...] = ()

    @property
    def ask(self) -> Ask:
        """The flags."""
        return self.subject.ask

    def read_again(self, layers_now: tuple[Spec, ...], seed: int | None) -> Start:
        """Return the start with the input read again for these layers and this seed.

        A number of a file is rounded to the dtype of the layers only once, and --input-shape draws from
        the seed.  Raises InputError if the file cannot be read any longer.
        """
        ask = self.ask._replace(layer=list(layers_now), options={}, seed=seed, hold=None)
        if ask.input is None and ask.input_shape is None:
            # The sample, as at the start; stdin now belongs to the screen.
            ask = ask._replace(input=str(sample_files.path(SAMPLE)))
        return self._replace(case=self.case._replace(inputs=subject_of(ask).parts(alone=True).case.inputs))


@dataclass(frozen=True, eq=False)
class Experiment:
    """A Case, and where it came from.

    layer: the index of the layer in the stack that options change.
    later: changes that are still to be made, in order: a change that reads a file, and the changes after it.
    """

    case: Case
    start: Start
    layer: int
    later: tuple[Change, ...] = ()

    @property
    def spec(self) -> Spec:
        """The layer that options change; its `inner` is the layer inside Bidirectional."""
        return self.case.stack[self.layer]

    @property
    def is_edited(self) -> bool:
        """Whether numbers were changed, so that flags no longer describe the experiment."""
        now, then = self.case, self.start.case
        return now.inputs is not then.inputs or now.weights is not then.weights or now.mask is not then.mask

    @property
    def expression(self) -> str:
        """The layers as a Keras script writes them; a stack as a list."""
        texts = specs.expressions_of(self.case.stack)
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"

    def after(self, change: Change, *, reads: bool = False) -> Experiment:
        """Return the experiment after a change; a change that reads a file is left for `complete`.

        Raises RnncliError if the change is not possible.
        """
        return replace(self, later=(*self.later, change)) if reads or self.later else change(self)

    def complete(self) -> Experiment:
        """Return the experiment after the changes that are left, which takes time."""
        if not self.later:
            return self
        made = replace(self, later=())
        for change in self.later:
            made = change(made)
        return made

    def with_case(self, **fields: Any) -> Experiment:
        """Return the experiment with other values of these fields of its Case."""
        return replace(self, case=self.case._replace(**fields))


Change = Callable[[Experiment], Experiment]

LEFT_OUT = Message(
    "explore leaves out matrices and the terms of equations: {report} shows them", report="rnncli report"
)


def start(ask: Ask) -> tuple[Experiment, Remarks]:
    """Return the experiment that the flags describe, and remarks about its input.

    Of a model with several layers, the first is explored unless --model names another.
    """
    subject = subject_of(ask).with_seed(LESSON_SEED)
    names = subject.layer_names()
    subject = subject.of_layer()
    parts = subject.parts(alone=True)
    case = parts.case
    if case.inputs.ndim != 3:
        what = "explore shows inputs of 3 axes, but this layer needs {ndim}."
        raise UsageError(what, "Use rnncli run for it.", ndim=case.inputs.ndim)
    places = recurrent_places(case)
    if not places:
        raise LayerError("no layer here has time steps.", "Name a recurrent layer, such as -l lstm.")
    remarks = (*parts.remarks, *([LEFT_OUT] if case.stack.has_axes else []))
    return Experiment(case, Start(subject, case, names), places[-1]), remarks


def recurrent_places(case: Case) -> tuple[int, ...]:
    """Return the indices of the recurrent layers, which options can change."""
    return tuple(index for index, layer in enumerate(case.stack.layers) if layer.recurrent)


def in_model_layer(now: Experiment, name: str) -> Experiment:
    """Return the experiment of another layer of the saved model, with its input there."""
    subject = subject_of(now.start.subject.of_layer(name).ask._replace(hold=None))
    case = subject.parts(alone=True).case
    return Experiment(case, now.start._replace(subject=subject, case=case), recurrent_places(case)[-1])


def read_again(now: Experiment) -> Experiment:
    """Return the experiment with its input read again for its layers and seed; keep an edited input."""
    case = now.case
    then = now.start.read_again(case.stack, case.seed)
    is_edited = case.inputs is not now.start.case.inputs
    inputs = case.inputs.astype(case.stack.dtype) if is_edited else then.case.inputs
    return replace(now, start=then, case=fit_holds(case._replace(inputs=inputs)))


def fit_holds(case: Case) -> Case:
    """Return the case with its holds parsed again.  Raises UsageError if its layers lack one of the gates."""
    try:
        return holds.hold_gates(case, [hold.text for hold in case.hold])
    except UsageError as error:
        raise UsageError(error.sentence, "Press H to release every gate first.") from None


def set_number(array: Array, index: tuple[int, ...], value: float) -> Array:
    """Return a copy of `array` with another number at `index`."""
    changed = array.copy()
    changed[index] = value
    return changed


def toggle_mask(now: Experiment, batch: int, timestep: int) -> Experiment:
    """Return the experiment with one time step masked, or no longer masked."""
    mask = _copy_mask(now.case)
    mask[batch, timestep] ^= True
    return now.with_case(mask=None if mask.all() else mask)


def mask_steps(batch: int, now: Experiment, text: str) -> Experiment:
    """Return the experiment with exactly these steps of one sequence masked, `1, 3:`; `none` or empty: none.

    Raises UsageError for a text that is not a list of time steps, or a step that does not exist.
    """
    mask = _copy_mask(now.case)
    mask[batch] = True
    for part in filter(str.strip, () if text == NONE else text.split(",")):
        try:
            index = addresses.parse_part(part)
        except ValueError:
            index = slice(0)
        steps = mask[batch, index if isinstance(index, slice) else slice(index, index + 1 or None)]
        if not steps.size:
            what = "mask: {part!r} is not a time step here."
            advice = "Write steps from 0 to {last}, such as 1 or 2:."
            raise UsageError(what, advice, part=part.strip(), last=mask.shape[1] - 1)
        steps[:] = False
    return now.with_case(mask=None if mask.all() else mask)


def masked_steps(case: Case, batch: int) -> str:
    """Return the masked steps of one sequence as they are typed, `1, 3:5`; "" if there are none."""
    if case.mask is None:
        return ""
    steps = enumerate((~case.mask[batch]).nonzero()[0].tolist())
    groups = groupby(steps, lambda pair: pair[1] - pair[0])  # the same difference in a run of neighbors
    runs = [[step for _, step in group] for _, group in groups]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}:{run[-1] + 1}" for run in runs)


def _copy_mask(case: Case) -> Array:
    import numpy as np

    return np.ones(case.inputs.shape[:2], bool) if case.mask is None else case.mask.copy()


@dataclass(frozen=True, eq=False)
class Computation:
    """The results of an experiment.

    result: the returned tensors.  case, trace: the Case and its trace with the outputs of every layer.
    without_hold: the results without held gates; None if no gate is held.
    """

    experiment: Experiment
    result: Result
    case: Case
    trace: Result
    without_hold: Computation | None = None

    def column_place(self, weight: str, column: int) -> tuple[str, int] | None:
        """Return the gate and its number that a column of a weight belongs to; None if it belongs to no gate.

        weight: the path of the weight, `0/forward/kernel`.
        """
        for loop in self.trace.trace:
            for cell, lines_of in loop.columns.items():
                path = loop.path if cell is None else f"{loop.path}{cell}/"
                for line in lines_of.get(weight.removeprefix(path), ()) if weight.startswith(path) else ():
                    gate, state = (Label(line, cell=cell, kind=kind) for kind in ("activation", ""))
                    width = loop.parts[gate if gate in loop.parts else state].shape[-1]
                    if column < width:
                        return str(state), column
                    column -= width
        return None


@lru_cache(maxsize=4)  # a screen is drawn more often than its number changes
def explain(computed: Computation, target: Target) -> Explanation:
    """Return where a number comes from, with the largest terms of each equation; of matrices, no terms."""
    case = computed.case
    if case.stack.has_axes:
        import numpy as np

        *place, unit = target.indices
        part = tracing.list_loop_parts(case.stack, case.inputs.shape).get(target.label)
        indices = (unit,) if part is None else map(int, np.unravel_index(unit, tuple(part.axes.values())))
        by_axis = target._replace(indices=(*place, *indices))
        explanation = replace(locate_number(case, computed.trace, by_axis), target=target)
    else:
        explanation = explain_number(case, computed.trace, target, terms=MOST_TERMS)
    if computed.without_hold is None:
        return explanation
    return replace(explanation, without_hold=explain(computed.without_hold, target).value)


@lru_cache(maxsize=2)  # undo shows the numbers before without computing them again
def compute_experiment(experiment: Experiment) -> Computation:
    """Make the changes that are left, and compute the experiment.

    Raises RnncliError if its layers, inputs or weights do not fit together, or if numpy cannot trace them.
    """
    experiment = experiment.complete()
    computed = _compute(experiment)
    if not experiment.case.hold:
        return computed
    return replace(computed, without_hold=_compute(experiment.with_case(hold=())))


def _compute(experiment: Experiment) -> Computation:
    wide = tracing.with_all_outputs(experiment.case)
    trace = tracing.trace(wide)  # first, because it says what is wrong with the case
    return Computation(experiment, compute.run(experiment.case, trace.engines[0]), wide, trace)


LONGEST = 4000
"""Characters of the longest case document that is written into the command itself."""


def command_of(now: Experiment, saved: str | None = None) -> str | None:
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
