"""Runs every example of the page `questions`, and looks in its output for what the page quotes."""

import contextlib
import io
import json
import re
import shlex
import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from command import run_here

import rnncli
from rnncli import handbook

ROOT = Path(__file__).parents[1]
QUESTION = re.compile(
    r"\*\*(\d+)\. (.*?)\*\*\n\n```(\w+)\n(.*?)```\n\n(.*?)(?=\n\n\*\*|\n\n## |\Z)", re.DOTALL
)


class Example(NamedTuple):
    """One question of the page, with the lines that answer it and what to read in their output."""

    number: int
    question: str
    language: str
    code: str
    answer: str


MENTIONED = {
    "--pad", "--training", "-l lstm", "initial_state", "keras.utils.set_random_seed", "return_sequences=True",
    "reset_after=False", "reset_after=True", "zero_output_for_mask=True", "saturated_units", "dead_units",
}  # fmt: skip
"""What answers name besides quoting the output: flags to try, words of Keras, and keys of JSON."""
EXAMPLES = [
    Example(int(number), *texts) for number, *texts in QUESTION.findall(handbook.read("questions", "en"))
]


def make_modules(torch: Any, nn: Any) -> tuple[Any, Any]:
    """Return a tagger, and a model that calls a cell in a loop."""

    class Tagger(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
            self.linear = nn.Linear(6, 2)

        def forward(self, x: Any) -> Any:
            return self.linear(self.lstm(x)[0])

    class Reader(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(4, 3)

        def forward(self, x: Any) -> Any:
            h = c = torch.zeros(len(x), 3)
            for step in x.unbind(1):
                h, c = self.cell(step, (h, c))
            return h

    return Tagger().eval(), Reader().eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> Any:
    """A folder with the files that the page names, and the objects of its Python."""
    keras, torch = pytest.importorskip("keras"), pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("questions")
    shutil.copytree(ROOT / "samples", folder / "samples")
    keras.utils.set_random_seed(1)
    layers = keras.layers
    ids = keras.Input((None,), dtype="int32", name="ids")
    words = layers.Embedding(50, 4, mask_zero=True, name="embedding")(ids)
    read = layers.LSTM(6, return_sequences=True, name="lstm")(words)
    both = layers.Bidirectional(layers.GRU(3), name="bi")(read)
    model = keras.Model(ids, layers.Dense(2, activation="softmax", name="dense")(both))
    model.save(folder / "model.keras")
    numbers = [[3, 1, 4, 0, 0], [1, 5, 9, 2, 6]]
    (folder / "ids.json").write_text(json.dumps(numbers))
    torch.manual_seed(1)
    tagger, reader = make_modules(torch, torch.nn)
    torch.save(tagger.state_dict(), folder / "tagger.pt")
    x = np.random.default_rng(1).standard_normal((2, 5, 4)).astype("float32")
    np.save(folder / "x.npy", x)
    with torch.no_grad():
        np.save(folder / "y.npy", tagger.lstm(torch.from_numpy(x))[0].numpy())
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            tagger, (torch.from_numpy(x),), folder / "tagger.onnx", dynamo=False,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "batch", 1: "time"}},
        )  # fmt: skip
    objects = {"model": model, "ids": np.array(numbers), "reader": reader, "x": x, "rnncli": rnncli}
    return folder, objects


def test_forty_questions_have_one_command_each_or_three_lines_of_python() -> None:
    assert [example.number for example in EXAMPLES] == list(range(1, 41))
    assert len({example.question for example in EXAMPLES}) == 40
    for example in EXAMPLES:
        assert len(example.code.splitlines()) <= (3 if example.language == "python" else 1)
    assert sum(example.answer.startswith("In part: ") for example in EXAMPLES) == 3


@pytest.mark.sampled
@pytest.mark.parametrize("example", EXAMPLES, ids=[str(example.number) for example in EXAMPLES])
def test_the_output_has_what_the_answer_quotes(example: Example, files: Any, monkeypatch: Any) -> None:
    folder, objects = files
    if example.language == "python":
        monkeypatch.chdir(folder)
        with contextlib.redirect_stdout(io.StringIO()) as stream:
            exec(example.code, dict(objects))
        printed = stream.getvalue()
    else:
        done = run_here(*shlex.split(example.code)[1:], cwd=folder).success()
        printed = done.stderr + done.stdout
    shown = " ".join(printed.split())
    for quoted in re.findall(r"`([^`]+)`", example.answer):
        assert " ".join(quoted.split()) in shown or quoted in MENTIONED
