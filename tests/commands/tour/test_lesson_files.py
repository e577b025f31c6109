"""What the lesson writes: files that say how to open them, a page that grades, a notebook that runs."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from browsers import node
from command import Run

from rnncli.commands.tour import lesson
from rnncli.commands.tour.grading import AnswerRule

RULES = (
    AnswerRule("shape", (1, 4, 3)), AnswerRule("rows", (0,), 4), AnswerRule("rows", (2, 3), 4),
    AnswerRule("count", (1536,)), AnswerRule("decimal", (0.42,)), AnswerRule("letters", "BA"),
)  # fmt: skip
TYPED = (
    "(1,4,3)", "[1 4 3]", "1x4x3", "(1, 3)", "0", "t=0", "row 0", "-4", "hidden_states[:, 0, 3:]", "0행", "4",
    "0.5", "2, 3", "3 2", "-1, 2", "2", "1536", "1,536", "1_536", "1536 parameters", "1535", "1, 536", "0.42",
    ".42", "f = 0.415", "4.2e-1", "0.44", "-0.42", "0.42 0.42", "B, A", "[B, A]", "ba", "A, B",
    "BAC", "", "zero", "첫 행", "첫 번째 행", "the first row", "마지막 행", "last but one", "2번째 행",
    "3rd and 4th", "세 번째와 네 번째 행", "B와 A입니다", "B and A", "not B, A", "0,42", "1 X 4 X 3",
    "1e999", "nan", "０행", "second last row", "처음 행", "맨 앞 행",
    "hidden_states의 첫 행입니다", "끝에서 두 번째", "the very first row", "final row", "B가 맞습니다",
    "B가 아닙니다", "B, A 순서", "row 0, the first row", "0 or the last", "셋째, 넷째",
)  # fmt: skip
GRADE = """
import { grade } from "./rnncli/commands/report/web/exercise.js";
const [rules, typed] = JSON.parse(process.argv[1]);
console.log(JSON.stringify(rules.map((rule) => typed.map((text) => grade(rule, text)))));
"""


def test_the_page_grades_as_the_command_does() -> None:
    asked = json.dumps([[rule.document() for rule in RULES], TYPED])
    root = Path(__file__).parents[3]
    words = [node(), "--input-type=module", "-e", GRADE, asked]
    said = subprocess.run(words, capture_output=True, text=True, check=True, cwd=root).stdout
    assert json.loads(said) == [[rule.grade(text) for text in TYPED] for rule in RULES]


@pytest.mark.parametrize(("words", "file", "how"), [
    ("report -l lstm --seed 7", "a page.html", "double-click it"),
    ("tour", "lesson.html", "double-click it"),
    ("tour", "lesson.ipynb", "jupyter lab"),
    ("tour --exercise all --seed 3", "sheet.md", "is written.\n"),
])  # fmt: skip
@pytest.mark.slow
def test_what_was_written_and_its_use(rnncli: Run, tmp_path: Path, words: str, file: str, how: str) -> None:
    path = tmp_path / file
    *_, said = rnncli(*words.split(), "-o", str(path)).stderr.splitlines(keepends=True)
    assert said.startswith(f"rnncli: note: {shlex.quote(str(path))} is written.")
    assert how in said
    assert rnncli(*words.split(), "-o", str(path), "-q").stderr == ""
    assert "is written" not in rnncli(*words.split(), *([] if words == "tour" else ["-o", "-"])).stderr


@pytest.mark.slow
def test_the_notebook_runs_to_its_end(rnncli: Run, here: Path) -> None:
    path = here / "lesson.ipynb"
    assert rnncli("tour", "-o", str(path), "--lang", "ko").returncode == 0
    cells = json.loads(path.read_text())["cells"]
    assert sum(cell["cell_type"] == "markdown" for cell in cells) > 2 * len(lesson.steps())
    names: dict[str, Any] = {}
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        line = cell["source"]
        if line.startswith("!rnncli "):
            assert rnncli(*shlex.split(line)[1:]).returncode == 0, line
        else:
            exec(line, names)
