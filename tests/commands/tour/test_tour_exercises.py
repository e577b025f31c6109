"""The exercises: solved here from what they print, as a student would, or by Keras."""

import json
import math
import re
from functools import cache
from itertools import product
from math import prod
from typing import Any

import pytest
from command import HEAVY, Run, loaded_by
from hangul import check_translated
from looks import columns_of, drawn, matches_golden
from terminals import Terminal

from rnncli import specs
from rnncli.commands.tour import lesson
from rnncli.commands.tour.exercises import ExerciseAnswer
from rnncli.commands.tour.grading import AnswerRule
from rnncli.commands.tour.sheet import SheetAnswer
from rnncli.show.page import View
from rnncli.values import sizes

NUMBERS = [exercise.number for exercise in lesson.exercises()]
LETTERED = (6, 8)
"""Exercises whose answer is one letter or several."""
SEEDS = range(12)


def exercise_answer(number: int, seed: int) -> ExerciseAnswer:
    return ExerciseAnswer(lesson.exercises()[number - 1], seed)


@cache
def document(number: int, seed: int) -> dict[str, Any]:
    """Return the exercise as it is printed, without its answer."""
    return exercise_answer(number, seed).document(View())


def expression_of(printed: dict[str, Any]) -> str:
    return re.findall(r"\n  (.*)\n?", printed["task"])[0]  # type: ignore[no-any-return]


def table_of(printed: dict[str, Any]) -> list[list[str]]:
    return printed["tables"][0]["rows"]  # type: ignore[no-any-return]


def equal_row(printed: dict[str, Any]) -> str:
    return "0" if "the backward state" in printed["task"] else str(len(table_of(printed)) - 1)


def output_shape(printed: dict[str, Any]) -> str:
    sizes = eval(re.findall(r"shape (\(.*?\))", printed["task"])[0])
    shapes = keras_layer(printed).compute_output_shape(sizes)
    return str(tuple(shapes[0] if isinstance(shapes[0], (tuple, list)) else shapes))


def parameters(printed: dict[str, Any]) -> str:
    layer = keras_layer(printed)
    layer.build((None, None, int(re.findall(r"(\d+) features", printed["task"])[0])))
    return str(layer.count_params())


def keras_layer(printed: dict[str, Any]) -> Any:
    import keras

    return eval(expression_of(printed), {name: getattr(keras.layers, name) for name in LAYERS})


LAYERS = ("SimpleRNN", "LSTM", "GRU", "Bidirectional")


def held_rows(printed: dict[str, Any]) -> str:
    rows = [row[1] for row in table_of(printed)]
    return ", ".join(str(time) for time in range(1, len(rows)) if rows[time] == rows[time - 1])


def forget_gate(printed: dict[str, Any]) -> str:
    before, after = ([float(text) for text in row[1:]] for row in table_of(printed))
    return f"{(after[2] - after[0] * after[1]) / before[2]:.2f}"


def run_before(printed: dict[str, Any]) -> str:
    return next(letter for letter, bias, _ in table_of(printed) if bias.endswith(",)"))


def last_vanished(printed: dict[str, Any]) -> str:
    cells = [text.split() for row in table_of(printed) for text in row]
    norms = {int(time.removeprefix("t=")): float(norm) for time, norm in cells}
    limit = norms[max(norms)] / 1000
    return str(next(time for time in sorted(norms) if norms[time] >= limit) - 1)


def decoder_state(printed: dict[str, Any]) -> str:
    rows: dict[str, list[str]] = {}
    for letter, _, values in table_of(printed):
        rows.setdefault(letter or list(rows)[-1], []).append(values)
    ends = {max(rows.values(), key=len)[-1]}
    states = {letter: values[0] for letter, values in rows.items() if len(values) == 1}
    return ", ".join(sorted(states, key=lambda letter: states[letter] not in ends))


def after_first_call(printed: dict[str, Any]) -> str:
    count = re.findall(r"the first (\d+) time steps", printed["task"])[0]
    return f"row {int(count) - 1}"


SOLVERS = (
    equal_row, output_shape, parameters, held_rows, forget_gate, run_before, last_vanished, decoder_state,
    after_first_call,
)  # fmt: skip


@cache
def solve(number: int, seed: int) -> str:
    return SOLVERS[number - 1](document(number, seed))


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_the_right_answer_alone_is_accepted(number: int) -> None:
    """And it depends on the seed; the example in the command is wrong."""
    rights = set()
    for seed in SEEDS:
        grade, right = exercise_answer(number, seed).task(View()).rule.grade, solve(number, seed)
        assert grade(right), seed
        rights.add(right)
        example = lesson.exercises()[number - 1].form["en"]
        for wrong in ("", "x", "999", "1e999", f"{right}, 77", "D", f"{right}Q", "nan", "[:, , ]", example):
            if number in LETTERED or not wrong.endswith("Q"):
                assert not grade(wrong), (seed, wrong)
    assert len(rights) > 1


@pytest.mark.parametrize("number", NUMBERS)
def test_the_same_seed_gives_the_same_task(number: int) -> None:
    tasks = [document(number, seed) for seed in SEEDS]
    assert tasks[:3] == [exercise_answer(number, seed).document(View()) for seed in SEEDS[:3]]
    assert len({json.dumps({**task, "seed": None}) for task in tasks}) > 9


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("number", NUMBERS)
def test_an_exercise_looks_as_it_should(number: int, lang: str) -> None:
    text = drawn(exercise_answer(number, 3), width=80, lang=lang)
    assert matches_golden("tour", f"exercise_{number}_80_{lang}.txt", text)
    assert all(columns_of(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("number", NUMBERS)
def test_exercises_are_translated(number: int) -> None:
    """Whatever is drawn, every hole of a text is filled."""
    exercise = exercise_answer(number, 3).exercise
    assert list(exercise.en) == list(exercise.ko) == ["title", "task", "hint", "why", "working"]
    drawn_texts = {key for key, text in exercise.ko.items() if text.startswith(("{because}", "{terms}"))}
    check_translated(
        *({key: each[key] for key in each if key not in drawn_texts} for each in (exercise.en, exercise.ko))
    )
    for seed in SEEDS[:4]:
        for lang in ("en", "ko"):
            filled = lesson.fill(exercise, lang, exercise_answer(number, seed).task(View(lang=lang)).facts)
            assert not re.search(r"[{}]", "".join(filled.values()))
            assert bool(re.search("[가-힣]", filled["why"])) == (lang == "ko")


@pytest.mark.slow
def test_the_state_of_exercise_1_is_the_one_that_keras_returns() -> None:
    """The row holds the state for other weights and inputs too."""
    import numpy as np

    for seed in SEEDS[:6]:
        printed = document(1, seed)
        layer = keras_layer(printed)
        inputs = np.random.default_rng(0).normal(size=(1, len(table_of(printed)), 3))
        rows, *states = map(np.asarray, layer(inputs.astype("float32")))
        backward = "the backward state" in printed["task"]
        state = states[len(states) // 2] if backward else states[0]
        row = rows[0, int(solve(1, seed))]
        half = row if row.size == 2 else row[2:] if backward else row[:2]
        np.testing.assert_array_equal(half, state[0])


@pytest.mark.parametrize(("rule", "right", "wrong", "unreadable"), [
    (AnswerRule("shape", (1, 3)),
     ["(1, 3)", "1,3", "[1, 3]", " 1 3 ", "1x3", "1 X 3", "shape (1,3)"],
     ["(3, 1)", "1", "13"], ["", "two axes"]),
    (AnswerRule("shape", (1, 4, 3)), ["(1,4,3)", "[1 4 3]"], ["(1, 3)", "(1, 4, 3, 1)"], []),
    (AnswerRule("rows", (0,), 4),
     ["0", "t=0", "row 0", "-4", "hidden_states[:, 0, 3:]", "0행", "[0]", "첫 행", "첫 번째 행",
      "첫번째 행입니다.", "0번 행", "first row", "The first row.", "the 1st row", "row 0, the first", "zero",
      "제0행", "０", "처음 행", "처음", "맨 처음 행", "맨 앞 행", "첫 줄", "첫 행과 같습니다",
      "hidden_states의 첫 행",
      "the very first row", "the first row of hidden_states"],
     ["1", "-1", "4", "second row", "the last row", "the final row", "마지막 행", "맨 끝 행"],
     ["0.5", "none", "", "1e999", "2번째 행", "처음에서 두 번째 행", "끝에서 첫 번째 행",
      "last but one", "second last row", "뒤에서 두 번째 행",
      "3rd to last", "0 or the last"]),
    (AnswerRule("rows", (2, 3), 4),
     ["2, 3", "3 2", "t=2, t=3", "-1, 2", "{2,3}", "the third and the last", "세 번째와 네 번째 행"],
     ["2", "2, 3, 1", "third"], ["", "the last two"]),
    (AnswerRule("count", (1536,)),
     ["1536", "1,536", " 1536 ", "1_536", "1536 parameters"],
     ["1535"], ["1, 536", "1 536 2", "many", "nan"]),
    (AnswerRule("decimal", (0.42,)), ["0.42", ".42", "f = 0.415", "4.2e-1"], ["0.44", "-0.42", "42"],
     ["0,42", "0.42 0.42", "half"]),
    (AnswerRule("letters", "BA"),
     ["B, A", "[B, A]", "ba", "B A", "B와 A입니다", "B and A", "B, A 순서입니다"],
     ["A, B", "B", "BAC", "X, Y"], ["", "1, 2", "the longer", "not B, A"]),
    (AnswerRule("letters", "B"),
     ["B", "b", "B입니다", "B입니다.", "B가 맞습니다", "답은 B", "run B", "The answer is B."],
     ["A", "X", "A, B"], ["B가 아닙니다", "둘째", "none"]),
])  # fmt: skip
def test_answer_forms(rule: AnswerRule, right: list[str], wrong: list[str], unreadable: list[str]) -> None:
    assert [text for text in right if rule.grade(text) is not True] == []
    assert [text for text in wrong if rule.grade(text) is not False] == []
    assert [text for text in unreadable if rule.grade(text) is not None] == []


@pytest.mark.parametrize("answer", ["첫 행", "첫 번째 행", "처음 행", "first row", "the first row"])
def test_a_row_may_be_named_in_words(rnncli: Run, answer: str) -> None:
    assert rnncli("tour", "--exercise", "1", "--seed", "3", "--answer", answer).stdout.startswith("Right. ")
    assert rnncli("tour", "--exercise", "6", "--seed", "3", "--answer", "B입니다").returncode == 0


def test_what_cannot_be_read_is_not_wrong(rnncli: Run) -> None:
    flags = ("tour", "--exercise", "1", "--seed", "3", "--answer", "the one at the top")
    for lang, said in (("en", "for example: row 9\n"), ("ko", "예: 9행\n")):
        done = rnncli(*flags, "--lang", lang).refusal()
        assert done.endswith(said)
        assert "not right" not in done
        assert "틀렸" not in done


@pytest.mark.slow
def test_praise_fits_the_question() -> None:
    """What explains an answer names only what was drawn."""
    for number, seed in product((1, 2), range(40)):
        posed = exercise_answer(number, seed)
        why = lesson.fill(posed.exercise, "en", posed.task(View()).facts)["why"]
        asked = posed.document(View())["task"]
        if number == 1:
            assert ("first row" in why) == ("the backward state" in asked)
            assert ("go_backwards" in why) == ("the last hidden state" in asked)
            continue
        for option in ("return_state", "merge_mode='sum'", "return_sequences=True"):
            assert (option in why) == (option in asked)
        doubles = "Bidirectional" in asked and "'sum'" not in asked
        assert ("doubles" in why) == doubles


def test_exercises_ask_what_the_lesson_teaches() -> None:
    """The counts are those of the layers that the steps run."""
    for topic, words in (
        ("simple_rnn", "27 parameters"),
        ("lstm", "4 * 27"),
        ("bidirectional", "merge_mode='sum'"),
    ):
        step = lesson.find(topic)
        assert step is not None
        assert words in step.en["notice"] + step.en["asks"]
    counts = [
        specs.from_flags([word], {}).layers[0].weight_shapes((None, None, 5))
        for word in ("simple_rnn", "lstm")
    ]
    assert [sum(prod(sizes(shape)) for shape in shapes.values()) for shapes in counts] == [27, 4 * 27]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_exercise_and_its_sheet_name_the_steps_that_teach_it(number: int) -> None:
    """Every layer and option that a task may draw is a topic of such a step, or of an earlier one."""
    for seed in SEEDS:
        answer = exercise_answer(number, seed)
        facts = answer.task(View()).facts
        said = answer.exercise.taught("en", facts)
        steps = [int(step) for step in re.findall(r"step (\d+) \(", said)] or [-1]
        own = lesson.find(answer.exercise.topic(facts))
        assert own is not None
        assert steps[0] == (-1 if own.number is None else own.number)
        options = re.findall(r"\b([A-Z]\w+)\(|(\w+)=", str(facts.get("layer", "")))
        for name in (name for pair in options for name in pair if name):
            step = lesson.find(name)
            assert step is not None, name
            assert step.number is None or step.number <= max(steps), (seed, name)
        for lang in ("en", "ko"):
            line = answer.exercise.taught(lang, facts)
            texts = (drawn(each, lang=lang) for each in (answer, SheetAnswer([answer])))
            assert all(f"\n{line}\n" in text for text in texts)


@pytest.mark.parametrize(("number", "seed"), list(product((2, 3), SEEDS)))
def test_a_hint_leads_to_the_step_of_the_layer_that_was_drawn(number: int, seed: int) -> None:
    fault, layer = (
        exercise_answer(number, seed).fault("1" * number, "en"),
        expression_of(document(number, seed)),
    )
    topics = {"Bidirectional": "bidirectional", "SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}
    topic = topics[layer.partition("(")[0]]
    topic = "return_sequences" if number == 2 and topic != "bidirectional" else topic
    assert str(fault).endswith(f"See rnncli tour {topic}.")


def test_a_class_is_graded_by_a_script(rnncli: Run) -> None:
    right = rnncli("tour", "--exercise", "3", "--seed", "5", "--answer", solve(3, 5))
    assert (right.returncode, right.stderr) == (0, "")
    assert right.stdout.startswith("Right. The number of time steps plays no part")
    wrong = rnncli("tour", "--exercise", "3", "--seed", "5", "--answer", "12")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("rnncli: 12 is not right.\nEach gate has a kernel")


def test_a_verdict_in_korean_and_as_json(rnncli: Run) -> None:
    flags = ("tour", "--exercise", "3", "--seed", "5", "--answer")
    assert rnncli(*flags, solve(3, 5), "--lang", "ko").stdout.startswith("맞았습니다. 시점의 수는")
    assert "틀렸습니다.\n게이트마다" in rnncli(*flags, "12", "--lang", "ko").stderr
    verdict = json.loads(rnncli(*flags, solve(3, 5), "-f", "json").stdout)
    assert verdict["right"] is True
    assert verdict["why"].startswith("The number of time steps")


def test_the_command_that_an_exercise_prints_works(shell: Run) -> None:
    """Without a seed one is drawn and printed."""
    command = shell("rnncli tour --exercise 2").stdout.splitlines()[-1]
    assert re.fullmatch(r"rnncli tour --exercise 2 --seed \d+ --answer '\(1, 3\)'", command)
    assert shell(command).returncode == 1
    seed = int(command.split()[5])
    assert shell(command.replace("(1, 3)", solve(2, seed))).stdout.startswith("Right. ")


@pytest.mark.slow
def test_a_terminal_asks_for_the_answer() -> None:
    """A wrong one gets a hint, and can be corrected; an empty line ends."""
    with Terminal("tour", "--exercise", "3", "--seed", "5", env={"NO_COLOR": "1"}) as terminal:
        assert "--answer" not in terminal.until("Enter alone ends): ")
        terminal.write("12\n")
        assert "12 is not right.\nEach gate has a kernel" in terminal.until("Enter alone ends): ")
        terminal.write(f"{solve(3, 5)}\n")
        shown, code = terminal.end()
        assert (code, "Right. The number of time steps" in shown) == (0, True)
    with Terminal("tour", "--exercise", "3", "--seed", "5", "--lang", "ko") as terminal:
        terminal.until("Enter만 누르세요): ")
        terminal.write("\n")
        shown, code = terminal.end()
        assert (code, shown.splitlines()[-1]) == (
            0,
            "rnncli tour --exercise 3 --seed 5 --answer 12345 --lang ko",
        )


@pytest.mark.slow
def test_no_exercise_loads_a_framework() -> None:
    each = [["--exercise", str(number)] for number in NUMBERS]
    assert not HEAVY & loaded_by("tour", "--seed", "1", each=each)


def test_norms_of_exercise_7_are_far_from_the_limit() -> None:
    for seed in SEEDS:
        cells = [text.split() for row in table_of(document(7, seed)) for text in row]
        norms = [float(norm) for _, norm in cells]
        limit = float(dict(cells)["t=19"]) / 1000
        assert all(abs(math.log(norm / limit)) > 0.1 for norm in norms)
