"""The exercises: small tasks, whose numbers depend on a seed, and the check of an answer.

An exercise of `exercises.toml` names one of MAKERS, which draws its numbers and computes the right answer.
The same seed gives the same task.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any, NamedTuple

from rnncli import specs
from rnncli.commands.tour import drawing, lesson
from rnncli.commands.tour.drawing import draw_text
from rnncli.commands.tour.grading import AnswerRule
from rnncli.commands.tour.lesson import Facts, masked_steps, run_line, say
from rnncli.commands.tour.observations import measure_norms
from rnncli.errors import DisagreementError, RnncliError, UsageError
from rnncli.result import Label, Result
from rnncli.show.answer import HEAD, Answer, Records, head
from rnncli.show.page import Code, Numbers, Page, PagePart, Span, Table, View, line, marks, text_of
from rnncli.show.result_answer import format_difference
from rnncli.values import format_shape, sizes

RECURRENT = ("simple_rnn", "lstm", "gru")
STATES = {
    "backward state": "backward_last_hidden_state",
    "forward state": "forward_last_hidden_state",
    "last state": "last_hidden_state",
}


class DrawnTask(NamedTuple):
    """What an exercise draws.

    rule: which answers are right.  key: a right answer.  facts: what the texts of the exercise name.
    tables: the tables that the answer is read from.
    """

    rule: AnswerRule
    key: str
    facts: Facts
    tables: tuple[Table, ...] = ()


def make_equal_row(random: Random, view: View) -> DrawnTask:
    """Draw the layer, the length and the direction; show every row."""
    steps, seed, state = random.randint(3, 7), random.randrange(1000), random.choice(list(STATES))
    layer = random.choice(("birnn", "bilstm", "bigru"))
    if STATES[state] == "last_hidden_state":
        layer = f"{layer.removeprefix('bi').replace('rnn', 'simple_rnn')} --go-backwards"
    command = f"rnncli run -l {layer} --units 2 --return-sequences --return-state"
    result = run_line(f"{command} --input-shape 1,{steps},3 --seed {seed}")
    rows = result.outputs[0]
    claim, *_ = next(tensor.equals for tensor in result.outputs if tensor.name == STATES[state])
    equal_row = drawing.locate_row(claim, rows).row or 0
    facts = {
        "steps": steps,
        "layer": _expression(result),
        "state": say(state, view.lang),
        "topic": "go_backwards" if state == "last state" else "backward_state",
        "because": say(f"why {state}", view.lang),
    }
    label = say("row", view.lang)
    table = drawing.draw_rows(rows.name, rows.values[0], view, label)
    row = label.format(equal_row)
    facts |= {"row": row, "numbers": drawing.format_rows([*rows.values[0]], view)[equal_row].strip()}
    return DrawnTask(AnswerRule("rows", (equal_row,), steps), row, facts, (table,))


def make_output_shape(random: Random, view: View) -> DrawnTask:
    """Draw an expression and an input shape; what explains the answer depends on the options drawn."""
    shape = (random.randint(2, 9), random.randint(10, 30), random.randint(31, 64))
    inner = f"{random.choice(('SimpleRNN', 'LSTM', 'GRU'))}({random.randint(65, 99)}"
    inner += random.choice(("", ", return_sequences=True"))
    inner += random.choice(("", ", return_state=True")) + ")"
    merge = random.choice(("", ", merge_mode='sum'", ", merge_mode='concat'"))
    layer = random.choice((inner, f"Bidirectional({inner}{merge})"))
    output = specs.from_flags([layer], {}).outputs(shape)[0].shape
    reasons = {
        "why rows": "return_sequences" in layer,
        "why last": "return_sequences" not in layer,
        "why sum": "'sum'" in layer,
        "why concat": layer != inner and "'sum'" not in layer,
        "why return_state": "return_state" in layer,
    }
    because = " ".join(say(reason, view.lang) for reason, holds in reasons.items() if holds)
    facts = {"input": format_shape(shape), "layer": layer, "because": because, "output": format_shape(output)}
    facts |= {"topic": "return_sequences" if layer == inner else "bidirectional"}
    return DrawnTask(AnswerRule("shape", sizes(output)), format_shape(output), facts)


def make_parameters(random: Random, view: View) -> DrawnTask:
    """Draw a layer and the number of features."""
    kinds = {
        "SimpleRNN({})": "simple_rnn",
        "LSTM({})": "lstm",
        "GRU({})": "gru",
        "GRU({}, reset_after=False)": "gru",
        "LSTM({}, use_bias=False)": "lstm",
    }
    kind = random.choice(list(kinds))
    layer, features = kind.format(random.randint(2, 40)), random.randint(2, 20)
    shapes = specs.from_flags([layer], {}).layers[0].weight_shapes((None, None, features))
    count = sum(prod(sizes(shape)) for shape in shapes.values())
    terms = " + ".join(f"{name} {' * '.join(map(str, sizes(shape)))}" for name, shape in shapes.items())
    facts = {"layer": layer, "features": features, "terms": f"{terms} = {count}", "topic": kinds[kind]}
    return DrawnTask(AnswerRule("count", (count,)), str(count), facts)


def make_held_rows(random: Random, view: View) -> DrawnTask:
    """Draw the layer and a mask that keeps the first step and drops at least one."""
    steps, seed, layer = random.randint(4, 7), random.randrange(1000), random.choice(RECURRENT)
    masked = set(random.sample(range(1, steps), random.randint(1, steps - 2)))
    mask = ", ".join("false" if time in masked else "true" for time in range(steps))
    command = f"rnncli run -l {layer} --return-sequences --input-shape 1,{steps},2 --seed {seed}"
    result = run_line(f"{command} --mask '[[{mask}]]'", traced=True)
    table = drawing.draw_rows("hidden_states", result.outputs[0].values[0], view, "t={}")
    held = masked_steps(result)
    times = ", ".join(f"t={time}" for time in held)
    key, facts = ", ".join(map(str, held)), {"layer": _expression(result), "times": times}
    return DrawnTask(AnswerRule("rows", tuple(held), steps), key, facts, (table,))


def make_forget_gate(random: Random, view: View) -> DrawnTask:
    """Draw runs until the previous cell state is large enough to divide by: rounding is magnified less."""
    cell = Label("cell", kind="")
    while True:
        time = random.randint(1, 4)
        command = f"rnncli trace -l lstm --units 1 --input-shape 1,5,2 --seed {random.randrange(1000)}"
        parts = run_line(command, traced=True).trace[0].parts
        if abs(parts[cell][0, time - 1, 0]) >= 0.2:
            break
    forget, *gates = (Label(gate, kind="activation") for gate in ("forget", "input", "candidate"))
    shown = (*gates, cell)
    rows = [(f"t={step}", *(f"{parts[part][0, step, 0]:.4f}" for part in shown)) for step in (time - 1, time)]
    table = drawing.draw_grid(("", *(part.part for part in shown)), rows)
    right = float(parts[forget][0, time, 0])
    before, (_, write, candidate, after) = rows[0][-1], rows[1]
    division = f"({after} - {write} * {candidate}) / {before} = {right:.2f}"
    facts = {"time": time, "division": division}
    return DrawnTask(AnswerRule("decimal", (right,)), f"{right:.2f}", facts, (table,))


def make_reset_after(random: Random, view: View) -> DrawnTask:
    """Draw the size and which run comes first."""
    units, seed, first = random.randint(2, 5), random.randrange(1000), random.choice((True, False))
    flags = ("--reset-after", "--no-reset-after") if first else ("--no-reset-after", "--reset-after")
    command = f"rnncli run -l gru --units {units} --input-shape 1,5,2 --seed {seed}"
    results = [run_line(f"{command} {flag}") for flag in flags]
    texts = drawing.format_rows([result.outputs[0].values[0] for result in results], view)
    shapes = [format_shape(result.weights["bias"].shape) for result in results]
    rows = list(zip("AB", shapes, texts, strict=True))
    table = drawing.draw_grid(("", f"bias {say('shape', view.lang)}", "hidden_state"), rows, right=False)
    key, other = "BA" if first else "AB"
    one, two = shapes[::-1] if first else shapes
    facts = {"units": units, "key": key, "other": other, "one": one, "two": two}
    return DrawnTask(AnswerRule("letters", key), key, facts, (table,))


def make_vanishing(random: Random, view: View) -> DrawnTask:
    """Draw runs until one vanishes, with no norm so close to the limit that its two digits could mislead."""
    import numpy as np

    steps, margin, layers = 20, 1.2, {"simple_rnn": "SimpleRNN(3)", "gru": "GRU(3)"}
    while True:
        word = random.choice(list(layers))
        command = f"rnncli run -l {word} --input-shape 1,{steps},3 --seed {random.randrange(1000)}"
        norms = measure_norms(command)
        limit = norms[-1] / 1000
        vanished = int(np.argmax(norms >= limit)) - 1  # the step before the first that is not below
        if vanished >= 0 and not ((norms > limit / margin) & (norms < limit * margin)).any():
            break
    texts = [f"t={time}  {format_difference(norm)}  " for time, norm in enumerate(norms)]
    across, down = 4, steps // 4
    table = drawing.draw_grid([""] * across, [texts[row::down] for row in range(down)])
    facts = {
        "layer": layers[word],
        "last": steps - 1,
        "limit": format_difference(limit),
        "below": f"t={vanished}: {format_difference(norms[vanished])}",
        "above": f"t={vanished + 1}: {format_difference(norms[vanished + 1])}",
    }
    return DrawnTask(AnswerRule("rows", (vanished,), steps), f"t={vanished}", facts, (table,))


def make_decoder(random: Random, view: View) -> DrawnTask:
    """Draw the size, and the order in which the tensors of an encoder are shown."""
    units, steps, seed = random.randint(2, 4), random.randint(3, 5), random.randrange(1000)
    command = f"rnncli run -l lstm --units {units} --return-sequences --return-state --seed {seed}"
    outputs = run_line(f"{command} --input-shape 1,{steps},2").outputs
    order, letters = random.sample(range(3), 3), "ABC"
    shown = [outputs[index].values for index in order]
    texts = drawing.format_rows([row for values in shown for row in values.reshape(-1, units)], view)
    names: list[tuple[str, str]] = []
    for letter, values in zip(letters, shown, strict=True):
        names += [(letter, format_shape(values.shape)), *[("", "")] * (values.size // units - 1)]
    rows = [(*name, text) for name, text in zip(names, texts, strict=True)]
    table = drawing.draw_grid(("", say("shape", view.lang), say("values", view.lang)), rows, right=False)
    sequence, hidden, cell = (letters[order.index(index)] for index in range(3))
    facts = {"units": units, "sequence": sequence, "hidden": hidden, "cell": cell}
    return DrawnTask(AnswerRule("letters", hidden + cell), f"{hidden}, {cell}", facts, (table,))


def make_stateful(random: Random, view: View) -> DrawnTask:
    """Draw the layer, the length and where the sequence is cut; run the whole and the first part."""
    import numpy as np

    from rnncli import compute
    from rnncli.commands.tour.command_line import CommandLine

    steps, seed, layer = random.randint(5, 8), random.randrange(1000), random.choice(RECURRENT)
    first = random.randint(2, steps - 2)
    command = f"rnncli run -l {layer} --return-sequences --input-shape 1,{steps},2 --seed {seed}"
    case = CommandLine.parse(command).case()
    result = compute.run(case, "numpy")
    part = compute.run(case._replace(inputs=case.inputs[:, :first]), "numpy")
    rows, state = result.outputs[0].values[0], part.outputs[0].values[0, -1]
    equal_row = int(np.abs(rows - state).sum(axis=-1).argmin())
    label = say("row", view.lang)
    table = drawing.draw_rows("hidden_states", rows, view, label)
    facts = {"steps": steps, "layer": _expression(result), "first": first, "rest": steps - first}
    facts |= {"row": label.format(equal_row), "times": f"t=0 .. t={first - 1}"}
    return DrawnTask(AnswerRule("rows", (equal_row,), steps), label.format(equal_row), facts, (table,))


MAKERS: dict[str, Callable[[Random, View], DrawnTask]] = {
    "equal_row": make_equal_row,
    "output_shape": make_output_shape,
    "parameters": make_parameters,
    "held_rows": make_held_rows,
    "forget_gate": make_forget_gate,
    "reset_after": make_reset_after,
    "vanishing": make_vanishing,
    "decoder": make_decoder,
    "stateful": make_stateful,
}


def _expression(result: Result) -> str:
    return specs.describe(result.specs[-1])


POSED = {
    "exercise": int,
    "seed": int,
    "title": str,
    "task": str,
    "tables": [{"columns": list[str], "rows": list[list[str]]}],
}
DOCUMENTS = (HEAD | POSED, HEAD | POSED | {"answer": str, "right": True, "why": str})


@dataclass(frozen=True)
class ExerciseAnswer(Answer):
    """An exercise with its task, or the verdict on an answer.

    answer: a right answer that was given; None for the task.
    checks: whether to show the command that checks an answer.
    """

    exercise: lesson.Exercise
    seed: int
    answer: str | None = None
    checks: bool = True
    command = "tour --exercise"
    widest = lesson.WIDEST

    def task(self, view: View) -> DrawnTask:
        """Draw the task of this seed."""
        return MAKERS[self.exercise.make](Random(f"{self.exercise.number}/{self.seed}"), view)

    def document(self, view: View) -> dict[str, Any]:
        """Return the task and its tables, as texts; with an answer, that it is right."""
        task = self.task(view)
        texts = lesson.fill(self.exercise, view.lang, task.facts)
        verdict = {} if self.answer is None else {"answer": self.answer, "right": True, "why": texts["why"]}
        return {
            **head(),
            "exercise": self.exercise.number,
            "seed": self.seed,
            "title": texts["title"],
            "task": texts["task"],
            "tables": [
                {"columns": [column.heading for column in table.columns], "rows": list(_texts(table))}
                for table in task.tables
            ],
            **verdict,
        }

    def check(self, lang: str) -> str:
        """Return the command that checks an answer."""
        form = shlex.quote(self.exercise.form[lang])
        command = f"rnncli tour --exercise {self.exercise.number} --seed {self.seed} --answer {form}"
        return f"{command} --lang ko" if lang == "ko" else command

    def fault(self, answer: str, lang: str) -> RnncliError | None:
        """Return what is wrong with an answer, and a hint, or that it cannot be read; None if it is right."""
        task = self.task(View(lang=lang))
        right = task.rule.grade(answer)
        if right is None:
            advice, form = "Write it like this, for example: {form}", self.exercise.form[lang]
            return UsageError("{answer!r} cannot be read as an answer.", advice, answer=answer, form=form)
        if right:
            return None
        see = say("see", lang).format(topic=self.exercise.topic(task.facts))
        hint = f"{lesson.fill(self.exercise, lang, task.facts)['hint']} {see}"
        verdict = say("wrong", lang).format(answer)
        return DisagreementError("{verdict}", "{hint}", verdict=verdict, hint=hint)

    def page(self, view: View) -> Page:
        """Return the task, its tables, and the command that checks an answer; or why an answer is right."""
        lang, number = view.lang, self.exercise.number
        task = self.task(view)
        texts = lesson.fill(self.exercise, lang, task.facts)
        if self.answer is not None:
            return Page((), (), ((Span(say("right", lang), "strong"), Span(f" {texts['why']}")),))
        words = (say("exercise", lang).format(number), f"{say('seed', lang)} {self.seed}", "")
        heading = (Span(marks(view).dot.join(words), "dim"), Span(texts["title"], "strong"))
        taught = line(self.exercise.taught(lang, task.facts), "dim")
        parts: tuple[PagePart, ...] = (heading, taught, (), *draw_task(texts, task))
        if self.checks:
            parts += ((), line(say("answer it", lang), "dim"), Code(self.check(lang), "shell"))
        return Page((), (), parts)

    def records(self, view: View) -> Records:
        """Return one row per line of the tables."""
        tables = enumerate(self.task(view).tables)
        return ("table", "row"), ((index, " ".join(row)) for index, table in tables for row in _texts(table))


def draw_task(texts: Mapping[str, str], task: DrawnTask) -> Iterator[PagePart]:
    """Yield what an exercise asks, and its tables."""
    yield from draw_text(texts["task"])
    yield from task.tables


def choose(word: str) -> Sequence[lesson.Exercise]:
    """Return the exercises of `3`, `1,4,5` or `all`.  Raises UsageError if there is no such exercise."""
    known = lesson.exercises()
    if word == "all":
        return known
    numbers = [
        int(part) if part.isdecimal() else 0 for part in dict.fromkeys(word.replace(" ", "").split(","))
    ]
    if not all(1 <= number <= len(known) for number in numbers):
        what = "{--exercise:number}: there is no such exercise."
        advice = "The exercises are 1 to {last}, or all of them: {--exercise all}."
        raise UsageError(what, advice, number=word, last=len(known))
    return [known[number - 1] for number in numbers]


def _texts(table: Table) -> Iterator[list[str]]:
    for row in table.rows:
        lines = ([part for part in cell if not isinstance(part, Numbers)] for cell in row)
        yield ["".join(map(text_of, cell)).strip() for cell in lines]
