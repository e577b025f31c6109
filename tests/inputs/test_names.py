"""Case documents that say in words what their numbers mean."""

import json
import re
from typing import Any

import numpy as np
import pytest
from command import Run
from hypothesis import given
from hypothesis import strategies as st

from rnncli.ask import Ask, subject_of
from rnncli.errors import InputError
from rnncli.inputs.formats import Source, read

WORDS = {"the": [1, 0], "Film": [0, 1], "bank": [2, 0], "Bank": [0, 2], "é": [3, 3]}
NUMBERS = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
HOSTILE = "\x1b[31m\u202e</script><img src=x onerror=alert(1)>=cmd|'/c calc'!A0"


def arranged(document: dict[str, Any], **asked: Any) -> Any:
    """Return the Case of a document, with an LSTM(1) that returns a sequence."""
    layer = document.pop("layer", "LSTM(1, return_sequences=True)")
    return subject_of(Ask(input=json.dumps({"layer": layer, **document}), **asked)).parts().case


def refused(**document: Any) -> str:
    """Return the message with which a document is refused, and its advice."""
    with pytest.raises(InputError) as caught:
        arranged(document)
    return f"{caught.value}\n{caught.value.advice}"


def test_a_sentence_is_the_vectors_of_its_words() -> None:
    case = arranged({"inputs": ["the film", " THE\tFilm\u3000Bank bank "], "words": WORDS})
    assert case.inputs.tolist() == [[[1, 0], [0, 1], [0, 0], [0, 0]], [[1, 0], [0, 1], [0, 2], [2, 0]]]
    assert case.mask.tolist() == [[True, True, False, False], [True] * 4]
    assert case.names.steps == (("the", "Film", "", ""), ("the", "Film", "Bank", "bank"))
    assert arranged({"inputs": ["the film", "film the"], "words": WORDS}).mask is None


TYPED = {
    "words": {word: [1.0] for word in ("is", "not", "good", "bad", "film", "(", "좋다")},
    "groups": {"nouns": ["film"], "verdicts": ["good", "bad", "좋다"], "small words": ["is", "not"]},
    "aliases": {"isn't": "is not", "movie": "film", "좋아요": "좋다"},
}


@pytest.mark.parametrize(("typed", "words"), [
    ("Film isn't good.", "film is not good"), ("film, ISN’T; bad!", "film is not bad"),
    ("“Movie” is 'good' , bad…", "film is good bad"), ("good,bad", "good bad"),
    ("( film)", "( film"), ("좋아요!", "좋다"),
])  # fmt: skip
def test_words_as_they_are_typed(typed: str, words: str) -> None:
    names = arranged({"inputs": [typed], **TYPED}).names
    assert names.steps == (tuple(words.split()),)
    assert names.document()["aliases"] == TYPED["aliases"]


def test_an_unknown_word_is_refused_with_the_nearest_and_the_groups() -> None:
    groups = "The words are: nouns: film; verdicts: good, bad, 좋다; small words: is, not."
    assert f"the vocabulary.\n{groups}" in refused(inputs=["good, awful."], **TYPED)
    assert "the word 'goof', which" in refused(inputs=["goof!"], **TYPED)
    assert f"Did you mean movie? {groups}" in refused(inputs=["movies"], **TYPED)
    assert "Did you mean 좋아요, 좋다?" in refused(inputs=["좋아"], **TYPED)


def test_accents_may_be_stored_either_way() -> None:
    case = arranged({"inputs": ["e\u0301 \u00c9"], "words": WORDS})
    assert case.inputs.tolist() == [[[3, 3], [3, 3]]]
    assert case.names.steps == (("é", "é"),)


def test_padding_and_masks_of_sentences() -> None:
    document: dict[str, Any] = {"inputs": ["the film", "film"], "words": WORDS}
    before = arranged({**document}, pad="pre", pad_value=9)
    assert before.inputs[1].tolist() == [[9, 9], [0, 1]]
    assert (before.mask[1].tolist(), before.names.steps[1]) == ([False, True], ("", "Film"))
    masked = arranged({**document, "mask": [[False, True], [True, True]]})
    assert masked.mask.tolist() == [[False, True], [True, False]]  # the padding stays masked
    flag = arranged({**document, "mask": [[False, True], [True, True]]}, mask="[[1, 0], [1, 1]]")
    assert flag.mask.tolist() == [[True, False], [True, False]]


def test_sentences_have_their_axes_in_order() -> None:
    for inputs in (["the film", "film the"], ["the film", "film"]):
        document = {"inputs": inputs, "words": WORDS}
        assert arranged({**document}, input_axes="batch,time,features").inputs.shape == (2, 2, 2)
        with pytest.raises(InputError, match=r"are already \(batch, time, features\)"):
            arranged({**document}, input_axes="time,batch,features")


@pytest.mark.parametrize(("inputs", "said"), [
    (["the flim"], "[0] has the word 'flim', which is not in the vocabulary.\nDid you mean Film? The words"),
    (["BANK"], "the word 'BANK', which is not in the vocabulary."),  # bank or Bank?
    (["the", ""], "inputs[1] is an empty sentence."),
    (["the", " \n\u3000"], "inputs[1] is an empty sentence."),
    (["the", [[1, 2]]], "inputs[1] is a list of 1, where other inputs are sentences."),
    ([[[1, 2]], "the"], "inputs[0] is a list of 1, where other inputs are sentences."),
    (["the", None], "inputs[1] is null, where"),
    ("the film", 'inputs is the text "the film", not nested lists'),
    ([[["the"]]], "inputs[0][0][0] is the text"),
    ([HOSTILE], "which is not in the vocabulary."),
])  # fmt: skip
def test_what_is_not_a_sentence_is_refused(inputs: Any, said: str) -> None:
    message = refused(inputs=inputs, words=WORDS)
    assert said in message
    assert len(message) < 400


def test_an_unknown_word_lists_the_vocabulary() -> None:
    assert refused(inputs=["x"], words=WORDS).endswith("The words are: the, Film, bank, Bank, é.")
    many = {f"word{number}": [1] for number in range(10_000)}
    message = refused(inputs=["nothing"], words=many)
    assert "word59, …" in message
    assert len(message) < 1200


@pytest.mark.parametrize(("words", "said"), [
    ({}, "words is an object"),
    ([["a", 1]], "words is a list of 1"),
    ({"a": []}, "words/a is a list of 0"),
    ({"a": 1}, "words/a is the number 1"),
    ({"a": [[1]]}, "words/a[0] is a list of 1"),
    ({"a": [1, 2], "b": [1]}, "words/b has 1 number, the first word has 2 numbers."),
    ({"a": ["NaN"]}, 'words/a[0] is the text "NaN"'),
    ({"a": [True]}, "words/a[0] is true"),
    ({"a b": [1]}, "words has the entry 'a b', which is not one word."),
    ({"": [1]}, "words has the entry '', which is not one word."),
    ({" a": [1]}, "words has the entry ' a', which is not one word."),
    ({"a": [10**400]}, "words/a[0] is"),
])  # fmt: skip
def test_vocabularies_that_are_refused(words: Any, said: str) -> None:
    """orjson refuses numbers that JSON does not have before."""
    if words == {"a": [10**400]}:
        with pytest.raises(InputError, match=r"too large a number|10000"):
            arranged({"inputs": ["a"], "words": words})
        return
    assert said in refused(inputs=["a"], words=words)


@pytest.mark.parametrize(("keys", "said"), [
    ({"features": ["a"]}, "features has 1 entry, but the input has 2 features."),
    ({"features": []}, "features is a list of 0"),
    ({"features": ["a", ""]}, 'features[1] is the text ""'),
    ({"features": ["a", 1]}, "features[1] is the number 1"),
    ({"features": "ab"}, 'features is the text "ab"'),
    ({"batch": ["a", "b", "c"]}, "batch has 3 entries, but the input has 2 sequences."),
    ({"steps": ["a"]}, "steps has 1 entry, but the input has 2 time steps."),
    ({"steps": [["a", "b"], ["c"]]}, "steps[1] has 1 entry, but the input has 2 time steps."),
    ({"steps": [["a", "b"]] * 3}, "steps has 3 entries, but the input has 2 sequences."),
    ({"steps": [["a", "b"], "c"]}, 'steps[1] is the text "c"'),
    ({"words": {"a": [1, 2, 3]}}, "words has 3 entries, but the input has 2 features."),
    ({"answers": {"good": "1"}}, "answers has the key 'good', not a number."),
    ({"answers": {"nan": "a"}}, "answers has the key 'nan', not a number."),
    ({"answers": {"1e999": "a"}}, "answers has the key '1e999', not a number."),
    ({"answers": {"1": "a", "1.0": "b"}}, "answers has the number 1 twice."),
    ({"answers": {"1": ""}}, 'answers/1 is the text ""'),
    ({"answers": ["a"]}, "answers is a list of 1"),
    ({"groups": {"nouns": "a"}, "words": {"a": [1, 2]}}, 'groups/nouns is the text "a"'),
    ({"groups": {"nouns": ["b"]}, "words": {"a": [1, 2]}}, "groups/nouns has the word 'b', which is not in"),
    ({"groups": []}, "groups is a list of 0"),
    ({"aliases": {"b": "a c"}, "words": {"a": [1, 2]}}, "aliases/b has the word 'c', which is not in"),
    ({"aliases": {"b": ""}, "words": {"a": [1, 2]}}, 'aliases/b is the text ""'),
    ({"aliases": ["b"]}, "aliases is a list of 1"),
    ({"about": "a sentence"}, 'about is the text "a sentence"'),
    ({"about": {"fr": "une phrase"}}, "about is an object"),
    ({"about": {"en": 1}}, "about/en is the number 1"),
    ({"word": {}}, "there is no key 'word' in a case document.\nDid you mean words?"),
])  # fmt: skip
def test_names_that_are_refused(keys: dict[str, Any], said: str) -> None:
    assert said in refused(inputs=NUMBERS, **keys)


def test_sentences_name_their_steps_themselves() -> None:
    said = "the time steps of sentences are named by their words."
    assert said in refused(inputs=["the"], words=WORDS, steps=["one"])


def test_names_of_numbers() -> None:
    keys = {"features": ["a", "b"], "batch": ["one", "two"], "steps": ["mon", "tue"]}
    names = arranged({"inputs": NUMBERS, **keys}).names
    assert (names.features, names.sequences) == (("a", "b"), ("one", "two"))
    assert names.steps == (("mon", "tue"), ("mon", "tue"))
    ragged = {"inputs": [[[1], [2]], [[3]]], "steps": [["mon", "tue"], ["wed"]]}
    assert arranged(ragged, pad="pre").names.steps == (("mon", "tue"), ("", "wed"))
    windows = arranged({"inputs": [[[1], [2], [3]]], "steps": ["a", "b", "c"]}, window=2).names
    assert windows.steps == (("a", "b"), ("b", "c"))


def test_a_layer_has_the_names_of_the_steps_that_it_reads(rnncli: Run) -> None:
    """A layer with go_backwards turns them for the layers above; a second one turns them back."""
    plain, turned = "GRU(2, return_sequences=True)", "GRU(2, return_sequences=True, go_backwards=True)"
    layers = [plain, turned, plain, "Dense(2)", turned, plain]
    document = json.dumps({"inputs": NUMBERS[:1], "steps": ["a", "b"], "layer": layers, "seed": 1})
    traced = rnncli("trace", document, "-f", "csv").stdout.splitlines()
    read = {(row.split(",")[0], *row.split(",")[2:4]) for row in traced[1:]}
    assert read == {
        (layer, time, name)
        for layer, names in (("0", "ab"), ("1", "ab"), ("2", "ba"), ("4", "ba"), ("5", "ab"))
        for time, name in zip("01", names, strict=True)
    }
    returned = rnncli("run", document, "--all-layers", "-f", "csv").stdout.splitlines()
    assert {tuple(row.split(",")[2:4]) for row in returned[1:]} == {("0", "a"), ("1", "b")}


def test_a_document_says_the_same_when_it_is_written_again() -> None:
    keys = {
        "about": {"en": "A test.", "ko": "시험"}, "features": ["a", "b"], "batch": ["one", "two"],
        "steps": [["mon", "tue"], ["wed", "thu"]], "answers": {"-1": "bad", "0.5": "good"},
        "words": {"x": [1, 2]},
    }  # fmt: skip
    names = arranged({"inputs": NUMBERS, **keys}).names
    written = json.loads(json.dumps(names.document()))
    assert written == keys
    assert arranged({"inputs": NUMBERS, **written}).names == names


@pytest.mark.slow
@given(st.text(max_size=8), st.text(max_size=8))
def test_any_words_are_read_or_refused(word: str, sentence: str) -> None:
    try:
        document = read(Source("x.json", json.dumps({"inputs": [sentence], "words": {word: [1.0]}}).encode()))
    except InputError:
        return
    assert np.asarray(document.inputs).shape == (1, len(sentence.split()), 1)
    assert set(document.names.steps[0]) == {word}


def test_the_nearest_answer() -> None:
    names = arranged({"inputs": NUMBERS, "answers": {"-1": "bad", "0": "none", "1": "good"}}).names
    assert [names.answer(value) for value in (-7, -0.6, -0.4, 0.4, 0.9)] == [
        "bad", "bad", "none", "none", "good",
    ]  # fmt: skip
    assert names.answer(float("nan")) == ""


def hostile_document() -> str:
    word = "".join(HOSTILE.split())
    names = {
        "features": [HOSTILE, "b"], "batch": [HOSTILE], "answers": {"0": HOSTILE}, "about": {"en": HOSTILE},
    }  # fmt: skip
    layer = "LSTM(1, return_sequences=True)"
    return json.dumps({"inputs": [word], "words": {word: [1, 2]}, "layer": layer, **names})


@pytest.mark.parametrize("form", ["table", "json", "csv", "html", "svg", "markdown"])
@pytest.mark.parametrize("command", ["run", "trace", "gradients", "explain hidden_states[0,0,0]"])
def test_hostile_names_are_data(rnncli: Any, command: str, form: str) -> None:
    done = rnncli(*command.split(), hostile_document(), "--seed", "1", "-f", form).success()
    if form != "csv":  # which keeps its data as they are
        assert not {"\x1b", "\u202e"} & set(done.stdout)
    if form in ("html", "svg", "markdown"):
        assert not re.search(r"(?<!\\)<img", done.stdout)
    if form == "json":
        assert done.answer()["input"]["steps"] == [["".join(HOSTILE.split())]]


@pytest.mark.parametrize(
    "words", [("plot", "--terminal"), ("run", "--stream"), ("report",), ("plot", "-o", "a.svg")]
)
def test_hostile_names_are_data_in_every_format(rnncli: Any, words: tuple[str, ...], tmp_path: Any) -> None:
    (tmp_path / "x.json").write_text(hostile_document())
    if "--stream" in words:
        document = json.loads(hostile_document())
        layer = document.pop("layer")
        done = rnncli(*words, "-l", layer, "--seed", "1", input=json.dumps(document))
    else:
        done = rnncli(words[0], "x.json", *words[1:], "--seed", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = done.stdout + "".join(path.read_text() for path in tmp_path.glob("*.svg"))
    assert not {"\x1b", "\u202e"} & set(text)
    if words[0] == "report" or "-o" in words:
        assert "<img" not in text
