"""The sheet of exercises, its key, and pages without answers."""

import json
import re
from pathlib import Path

import pytest
from command import Run
from looks import check_looks
from terminals import Terminal

from rnncli.commands.tour import lesson
from rnncli.commands.tour.exercises import ExerciseAnswer
from rnncli.commands.tour.sheet import KeyAnswer, SheetAnswer
from rnncli.show.page import View

ALL = ("tour", "--exercise", "all", "--seed", "3")
ONE = ("tour", "--exercise", "3", "--seed", "5")
TITLES = [exercise.en["title"] for exercise in lesson.exercises()]


def exercise_answers(seed: int) -> list[ExerciseAnswer]:
    return [ExerciseAnswer(exercise, seed) for exercise in lesson.exercises()]


@pytest.mark.slow
def test_a_sheet_and_its_key_look_as_they_should() -> None:
    check_looks("tour", "sheet", SheetAnswer(exercise_answers(3)), ("markdown", "html", "json", "csv"))
    check_looks("tour", "key", KeyAnswer(exercise_answers(3)), ("markdown", "json", "csv"))


def test_a_sheet_has_every_exercise_of_its_seed(rnncli: Run) -> None:
    """Each as it is shown alone; only the key tells an answer."""
    sheet = json.loads(rnncli(*ALL, "-f", "json").stdout)
    assert sheet["seed"] == 3
    for number, entry in enumerate(sheet["exercises"], 1):
        alone = json.loads(rnncli("tour", "--exercise", str(number), "--seed", "3", "-f", "json").stdout)
        assert entry == {key: alone[key] for key in alone if key not in ("schema", "version")}
        assert "answer" not in entry
    assert len(sheet["exercises"]) == len(TITLES)


@pytest.mark.slow
def test_each_seed_gives_another_sheet() -> None:
    sheets = {
        json.dumps({**SheetAnswer(exercise_answers(seed)).document(View()), "seed": 0}) for seed in range(10)
    }
    keys = {tuple(answer.task(View()).key for answer in exercise_answers(seed)) for seed in range(10)}
    assert len(sheets) == len(keys) == 10


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.slow
def test_the_key_holds_the_right_answers(lang: str) -> None:
    """The solvers of test_tour_exercises.py hold what is accepted to the printed numbers, and to Keras."""
    for seed in range(10):
        for task in (answer.task(View(lang=lang)) for answer in exercise_answers(seed)):
            assert task.rule.grade(task.key), task


@pytest.mark.slow
def test_a_class_is_graded_with_the_key(rnncli: Run) -> None:
    """Each answer is right for its seed, and wrong for another seed."""
    key = json.loads(rnncli(*ALL, "--key", "-f", "json").stdout)["key"]
    assert [row["title"] for row in key] == TITLES
    for row in key:
        words = ("tour", "--exercise", str(row["exercise"]), "--answer", row["answer"], "--seed")
        assert rnncli(*words, str(row["seed"])).stdout.startswith("Right. ")
    (row,) = json.loads(rnncli(*ONE, "--key", "-f", "json").stdout)["key"]
    assert (row["exercise"], row["seed"]) == (3, 5)
    assert rnncli(*ONE, "--answer", row["answer"]).returncode == 0
    assert rnncli(*ONE[:-1], "6", "--answer", row["answer"]).returncode == 1


def test_several_exercises_are_a_sheet_in_their_order(rnncli: Run) -> None:
    words = ("tour", "--exercise", "1,5,4", "--seed", "3")
    sheet = json.loads(rnncli(*words, "-f", "json").stdout)["exercises"]
    assert [entry["exercise"] for entry in sheet] == [1, 5, 4]
    key = json.loads(rnncli(*words, "--key", "-f", "json").stdout)["key"]
    assert [row["exercise"] for row in key] == [1, 5, 4]
    shown = rnncli(*words, "--lang", "ko").stdout
    assert ("이름: ....." in shown, "번호: ....." in shown) == (True, True)


@pytest.mark.slow
def test_the_key_shows_how_each_answer_is_found() -> None:
    """The division of the forget gate, and the sum of the parameters, come out as the answer."""
    for seed in range(10):
        rows = {row["exercise"]: row for row in KeyAnswer(exercise_answers(seed)).document(View())["key"]}
        *terms, count = re.findall(r"[a-z_]+ ([\d *]+)|= (\d+)", rows[3]["working"])
        assert sum(eval(product) for product, _ in terms) == int(count[1]) == int(rows[3]["answer"])
        division = re.findall(r"cell = (\(.*\d) = ", rows[5]["working"])[0]
        assert eval(division) == pytest.approx(float(rows[5]["answer"]), abs=0.01)
        limit, below, above = map(float, re.findall(r"[\d.]+e[+-]\d+", rows[7]["working"]))
        assert below < limit < above
        assert all(row["answer"].split(",")[0] in row["working"] for row in rows.values())


def test_a_sheet_as_a_file(rnncli: Run, tmp_path: Path) -> None:
    """Each exercise has a heading; on paper, what stands below a heading stays on its page."""
    for name, heading in (("sheet.html", r'<h2 id="exercise-\d">'), ("sheet.md", r"(?m)^## exercise \d")):
        done = rnncli(*ALL, "-o", name, cwd=tmp_path)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert (done.returncode, len(re.findall(heading, text))) == (0, len(TITLES))
        assert "rnncli tour --exercise 1 --seed 3 --answer 'row 9'" in text.replace("&#x27;", "'")
        assert "....." in text
    assert "@media print" in (tmp_path / "sheet.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_without_a_seed_it_is_drawn_and_shown(rnncli: Run) -> None:
    seeds = [rnncli("tour", "--exercise", "all").stdout.splitlines()[0] for _ in range(2)]
    assert all(re.fullmatch(r"Exercises, seed \d+", title) for title in seeds)
    assert len(set(seeds)) == 2


@pytest.mark.slow
def test_without_answers(rnncli: Run) -> None:
    steps = sum("question" in step.en for step in lesson.steps())
    for words in ((), ("--plain",)):
        shown = rnncli("tour", *words, "--no-answer").stdout
        assert (shown.count("\nQuestion: "), shown.count("Answer")) == (steps, 0)
    assert "답:" not in rnncli("tour", "--step", "2", "--no-answer", "--lang", "ko").stdout
    document = json.loads(rnncli("tour", "masks", "--no-answer", "-f", "json").stdout)
    assert [key for key in document["steps"][0] if key in ("question", "answer")] == ["question"]
    assert "details" not in rnncli("tour", "--no-answer", "-f", "markdown").stdout
    for flags in (ONE, ALL):
        assert "--answer" not in rnncli(*flags, "--no-answer").stdout
        assert "--answer" in rnncli(*flags).stdout


@pytest.mark.slow
def test_a_terminal_without_answers() -> None:
    """The question mark does nothing, and an exercise asks for nothing."""
    env = {"NO_COLOR": "1", "XDG_STATE_HOME": "/dev/null"}
    with Terminal("tour", "--no-answer", env=env) as terminal:
        terminal.until("Space more, b back, q quit")
        shown = terminal.press(" ", "Space next, b back, q quit")
        assert "?" not in shown.split("Question:")[1].split("\n\n")[1]
        assert "step 0 (0 to" in terminal.press("? ", "Space next, b back, q quit")
        shown, code = terminal.end("q")
        assert (code, "Answer" in terminal.shown) == (0, False)
    with Terminal(*ONE, "--no-answer", env=env) as terminal:
        shown, code = terminal.end()
        assert (code, "LSTM" in shown or "GRU" in shown or "RNN" in shown) == (0, True)
        assert "answer" not in shown


@pytest.mark.parametrize(("words", "said"), [
    ("--exercise 3 --seed 5 --answer 1 --no-answer", "--no-answer cannot be combined with --answer."),
    ("--exercise 3 --seed 5 --key --no-answer", "--no-answer cannot be combined with --key."),
    ("--exercise 3 --seed 5 --key --answer 1", "--answer cannot be combined with --key."),
    ("--list --no-answer", "--no-answer cannot be combined with --list."),
    ("--key", "--key needs --exercise.\nAdd --exercise 1."),
    ("--exercise all --key", "--key needs --seed: each seed gives the exercise its own numbers."),
    ("--exercise all --seed 3 --answer 1", "--answer checks one exercise.\nSay which: --exercise 1."),
    ("--exercise x", "--exercise x: there is no such exercise.\nThe exercises are 1 to 9, or all"),
    ("--exercise 1,10", "--exercise 1,10: there is no such exercise."),
    ("--exercise 1,2 --seed 3 --answer 1", "--answer checks one exercise."),
    ("--exercise 10", "--exercise 10: there is no such exercise."),
    ("--exercise -1", "--exercise -1: there is no such exercise."),
    ("--exercise all --plain", "--plain cannot be combined with --exercise all."),
])  # fmt: skip
def test_what_is_refused(rnncli: Run, words: str, said: str) -> None:
    assert rnncli("tour", *words.split()).refusal().startswith(f"rnncli: {said}")
