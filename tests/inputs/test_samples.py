"""The built-in samples, and the layers that were trained on them."""

import itertools
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from training import bank, brackets, note, review, review_ko

import rnncli
from rnncli.errors import InputError
from rnncli.inputs import sample_files
from rnncli.inputs.arrange import ArrangeOptions, arrange
from rnncli.inputs.formats import ReadOptions, Source, read

ROOT = Path(__file__).parents[2]


def loaded(name: str) -> Any:
    sample = sample_files.get(name)
    path = sample_files.path(name)
    words = sample.hint.split()
    flags: dict[str, Any] = dict(zip(words[::2], words[1::2], strict=True))
    document = read(
        Source(path.name, path=path), None, ReadOptions(batch_column=flags.pop("--batch-column", None))
    )
    found = arrange(document, ArrangeOptions(pad=flags.pop("--pad", None)))
    assert not flags
    return document, found


@pytest.mark.parametrize("name", sample_files.names())
def test_it_is_what_its_title_says(name: str) -> None:
    """And its hint is needed."""
    sample, (_, found) = sample_files.get(name), loaded(name)
    shape = re.search(r"\(([\d, ]+)\)$", str(sample.title))
    assert shape is not None
    assert found.inputs.shape == tuple(map(int, shape[1].split(",")))
    assert np.isfinite(found.inputs).all()
    if sample.hint:
        with pytest.raises(InputError):
            arrange(read(Source(name, path=sample_files.path(sample.name))))


def test_what_is_in_them() -> None:
    assert sample_files.names()[0] == "sentence"
    sentence = [
        [0.1, 4.2, 1.5, 1.1, 2.8],
        [1.0, 3.1, 2.5, 0.7, 1.1],
        [0.3, 2.1, 1.5, 2.1, 0.1],
        [2.2, 1.4, 0.5, 0.9, 1.1],
    ]
    np.testing.assert_array_equal(loaded("sentence")[1].inputs, np.array([sentence], np.float32))
    assert loaded("sensors")[1].names.features == ("temperature", "humidity", "pressure")
    assert loaded("ragged")[1].mask.sum(axis=1).tolist() == [4, 3, 2]
    document, found = loaded("case")
    assert document.layer == "LSTM(3, return_sequences=True, return_state=True)"
    assert document.seed == 42
    assert found.mask.tolist() == [[True, True, True], [True, True, False]]


def test_names_and_files() -> None:
    folder = ROOT / "samples"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert sorted(sample.file for sample in (*sample_files.SAMPLES, *sample_files.CELLS)) == files
    with pytest.raises(InputError, match=r"(?s)no sample 'sentense'.*Did you mean sentence"):
        sample_files.get("sentense")


@pytest.mark.slow
def test_a_wheel_carries_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    tree, installed = tmp_path / "tree", tmp_path / "installed"
    for name in ("rnncli", "samples"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tree / name)
    words = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([sys.executable, *words, str(tmp_path), str(tree)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for sample in (*sample_files.SAMPLES, *sample_files.CELLS):
        carried = installed / "rnncli" / "samples" / sample.file
        assert carried.read_bytes() == (ROOT / "samples" / sample.file).read_bytes()
    program = "from rnncli.inputs import sample_files as files; print(files.path('case'))"
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=installed, check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == installed / "rnncli" / "samples" / "case.json"


@pytest.mark.slow
def test_cells_are_listed_and_printed(rnncli: Run, here: Path) -> None:
    """The command of the list runs each of them."""
    listed = json.loads(rnncli("samples", "-f", "json").stdout)["samples"]
    assert len(listed) == len(sample_files.SAMPLES) + len(sample_files.CELLS)
    for sample in sample_files.CELLS:
        (command,) = (one["command"] for one in listed if one["name"] == sample.name)
        first, second = command.split("; ")
        words, file = first.split(" > ")
        Path(file).write_text(rnncli(*words.split()[1:]).stdout)
        assert rnncli(*second.split()[1:], "--quiet").returncode == 0


TRAINED = ("note", "review", "review_ko", "bank", "brackets")


def document(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(sample_files.path(name).read_text(encoding="utf-8"))
    return read


def outputs(name: str, sentences: list[str], **options: Any) -> list[Any]:
    """Return what the layer of a sample returns after each word of each sentence, (words, units)."""
    sample, found = document(name), dict[int, Any]()
    by_length: dict[int, list[int]] = {}
    for index, sentence in enumerate(sentences):
        by_length.setdefault(len(sentence.split()), []).append(index)
    for places in by_length.values():
        x = [[sample["words"][word] for word in sentences[index].split()] for index in places]
        weights = {path: np.array(values) for path, values in sample["weights"].items()}
        result = rnncli.run(np.array(x), sample["layer"], weights=weights, engine="numpy", **options)
        found |= dict(zip(places, np.asarray(result.outputs[0].values), strict=True))
    return [found[index] for index in range(len(sentences))]


@pytest.mark.parametrize("name", TRAINED)
def test_form(name: str) -> None:
    text, sample = sample_files.path(name).read_bytes(), document(name)
    assert len(text) < 5000
    assert set(sample["about"]) == {"en", "ko"}
    assert "seed" not in sample
    assert "return_sequences=True" in sample["layer"]
    for values in (*sample["weights"].values(), *sample.get("words", {}).values()):
        np.testing.assert_array_equal(np.round(values, 3), values)


def test_note_keeps_the_reading_of_the_last_press() -> None:
    inputs, right = note.sequences(500, seed=999)
    weights = {path: np.array(values) for path, values in document("note")["weights"].items()}
    kept = np.asarray(rnncli.run(inputs, "LSTM(1, return_sequences=True)", weights=weights).outputs[0].values)
    assert np.abs(kept - right).mean() < 0.01
    parts = rnncli.trace("note").document()["trace"]
    pressed = [row[1] == 1 for row in document("note")["inputs"][0]]
    gates = {
        (press, gate): [
            step["gates"][gate]["activation"][0][0]
            for step, is_pressed in zip(parts, pressed, strict=True)
            if is_pressed is press
        ]
        for press in (True, False)
        for gate in ("input", "forget")
    }
    assert min(gates[True, "input"]) > 0.9
    assert max(gates[True, "forget"]) < 0.1
    assert max(gates[False, "input"]) < 0.01
    assert min(gates[False, "forget"]) > 0.99


@pytest.mark.parametrize(("name", "trained", "held_out"), [
    ("review", review, 832), ("review_ko", review_ko, 108),
])  # fmt: skip
def test_a_review_is_right_about_all_that_people_type_first(name: str, trained: Any, held_out: int) -> None:
    """Of the grammar's sentences, a third was not taught."""
    taught, held = trained.split()
    assert (len(held), {*held} & {*taught}) == (held_out, set())
    parts = {**trained.fragments(), "taught": taught, "held": held, "clauses": trained.clauses(held, 300)}
    wrong = {}
    for part, sentences in parts.items():
        for sentence, after in zip(sentences, outputs(name, sentences), strict=True):
            verdict, said = trained.verdict(sentence), after[-1, 0]
            if not (said * verdict >= 0.5 if verdict else abs(said) <= 0.25):
                wrong[part, sentence] = said
    assert wrong == {}


@pytest.mark.parametrize(("typed", "verdict"), [
    ("good", 1), ("great", 1), ("bad", -1), ("good film", 1), ("bad film", -1), ("not bad", 1),
    ("not very good", -1), ("The film is not very good.", -1), ("not very good film", -1), ("the film", 0),
    ("good but dull", -1), ("This movie wasn\u2019t bad, but boring!", -1), ("slow, boring film", -1),
    ("좋다", 1), ("영화가 좋아요!", 1), ("영화는 정말 재미없어요", -1), ("좋지 않습니다.", -1),
    ("좋지만 지루하다", -1),
    ("나쁘지 않은 영화", 1), ("아주 좋지는 않네요", -1), ("영화", 0),
])  # fmt: skip
def test_reviews_as_people_type_them(typed: str, verdict: int) -> None:
    name = "review" if typed.isascii() or "\u2019" in typed else "review_ko"
    after = float(rnncli.run(document(name) | {"inputs": [typed]}).outputs[0].values[0, -1, 0])
    assert after * verdict >= 0.5 if verdict else abs(after) <= 0.25


def gates_of(name: str, sentences: list[str]) -> Any:
    """Yield each word, the update gate there, and the word before."""
    steps = rnncli.trace(document(name) | {"inputs": sentences}).document()["trace"]
    for index, sentence in enumerate(sentences):
        for step, (before, word) in enumerate(itertools.pairwise(["", *sentence.split()])):
            yield word, steps[step]["gates"]["update"]["activation"][index][0], before


def test_review_lets_go_at_not_and_keeps_it_at_good_words() -> None:
    """The story of the lesson: `not` drops the verdict, and a good word behind it changes nothing."""
    gates = list(gates_of("review", review.split()[1][:200]))
    assert max(update for word, update, _ in gates if word == "not") < 0.01
    assert min(update for word, update, before in gates if word in review.GOOD and before == "not") > 0.9
    assert min(update for word, update, _ in gates if word in review.DEGREES) > 0.9


def test_review_ko_keeps_its_verdict_but_at_adjectives_and_negations() -> None:
    for word, update, _ in gates_of("review_ko", review_ko.split()[1]):
        assert (update < 0.05) if word in review_ko.STEMS or word in review_ko.NOTS else (update > 0.9), word


def test_bank_tells_money_from_a_river_at_the_word() -> None:
    sentences = bank.sentences()
    assert len({*sentences}) == 268
    for sentence, after in zip(sentences, outputs("bank", sentences), strict=True):
        forward, backward = after[sentence.split().index("bank")]
        assert abs(forward + backward - bank.meaning(sentence)) < 0.1, sentence
        told = {*sentence.split()} & {*bank.RIVER, *bank.MONEY}  # before it; else behind
        assert (abs(forward) > 0.9, abs(backward) > 0.9) == (bool(told), not told), sentence
    (lends, floods) = outputs("bank", ["the bank lends", "the bank floods"])
    assert lends[1, 0] == floods[1, 0]  # forward, both have read the same


@pytest.mark.parametrize("text", ["(a(b)c)d", "()()()", "((((a))))b", "(" * 12, "(" * 12 + "a" * 8])
def test_brackets_are_counted_by_the_cell(text: str) -> None:
    """More than four open ones were never taught."""
    sample = document("brackets") | {"inputs": [" ".join(text)], "layer": "LSTM(1, return_sequences=True)"}
    steps = rnncli.trace(sample).document()["trace"]
    cells = [step["state"]["cell"][0][0] for step in steps]
    np.testing.assert_allclose(cells, brackets.depths(text), atol=0.2)
    assert max(abs(step["state"]["hidden"][0][0]) for step in steps) <= 1
