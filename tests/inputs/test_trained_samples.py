"""The trained samples do what their texts say: all sentences of their grammars, on the rounded weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from training import bank, brackets, note, review, review_ko

import rnncli
from rnncli.inputs import sample_files

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
    assert len(text) < 2000
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


def test_review_is_right_about_every_sentence() -> None:
    sentences = review.sentences()
    assert len({*sentences}) == 1344
    assert len(document("review")["words"]) == 21
    after = outputs("review", sentences)
    right = [review.verdict(sentence) for sentence in sentences]
    assert np.abs([out[-1, 0] - verdict for out, verdict in zip(after, right, strict=True)]).max() < 0.01
    never_taught = ["the film is not not not good", "the film is not not not bad"]
    assert np.sign([out[-1, 0] for out in outputs("review", never_taught)]).tolist() == [-1, 1]


def test_review_lets_go_at_not_and_at_bad_words_alone() -> None:
    sample = document("review") | {"inputs": review.sentences()}
    first: list[float] = []
    flips: list[float] = []
    holds: list[float] = []
    steps = rnncli.trace(sample).document()["trace"]
    for index, sentence in enumerate(sample["inputs"]):
        for step, word in enumerate(sentence.split()):
            update = steps[step]["gates"]["update"]["activation"][index][0]
            kind = first if step == 0 else flips if word in ("not", *review.BAD) else holds
            kind.append(update)
    assert max(first) < 0.01
    assert max(flips) < 0.01
    assert min(holds) > 0.9


def test_review_ko_is_right_at_every_word() -> None:
    sentences = review_ko.sentences()
    assert len({*sentences}) == 432
    for sentence, after in zip(sentences, outputs("review_ko", sentences), strict=True):
        np.testing.assert_allclose(after[:, 0], review_ko.verdicts(sentence), atol=0.05, err_msg=sentence)


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
