"""Pages whose inputs are sentences: words that are picked, and sentences that are typed."""

import json
from pathlib import Path
from typing import Any

import pytest
from command import Run
from opened import WORDS, check_command

import rnncli as api

pytest_plugins = ["page_fixtures"]


def test_a_word_is_picked_or_a_sentence_typed(reads: Any, rnncli: Run) -> None:
    page = reads("the film is Not good")
    pick = page.page.get_by_label("word at t=3")
    assert pick.input_value() == "Not"
    before = page.ask("rnncli.compute().hidden_states[0]")
    assert page.ask("rnncli.case.inputs") == ["the film is Not good"]
    pick.select_option("is")
    after = page.ask("rnncli.compute().hidden_states[0]")
    assert after[2] == before[2]
    assert after[3] != before[3]
    assert page.ask("rnncli.case.inputs") == ["the film is is good"]
    check_command(rnncli, page)
    page.page.keyboard.press("Control+z")
    assert pick.input_value() == "Not"
    assert page.ask("rnncli.compute().hidden_states[0]") == before
    field = page.page.get_by_label("sentence")
    field.fill("THE film not")
    field.press("Enter")
    assert page.ask("rnncli.case.inputs") == ["the film Not"]
    check_command(rnncli, page)
    page.page.keyboard.press("Control+z")
    assert page.ask("rnncli.compute().hidden_states[0]") == before


def test_a_hold_of_a_step_stays_when_a_sentence_is_typed_and_a_mask_does_not(reads: Any, rnncli: Run) -> None:
    page = reads("the film is Not good", "good film")
    page.number("update[0,2,0]").click()
    page.press("1")
    for sentence, held in (("Not good film is", True), ("good film", False)):
        page.mask(1)
        assert "mask" in page.ask("rnncli.case")
        page.page.get_by_label("sentence").fill(sentence)
        page.page.get_by_label("sentence").press("Enter")
        assert page.ask("rnncli.case.inputs") == [sentence, "good film"]
        assert "mask" not in page.ask("rnncli.case")
        assert ("--hold update=1@2" in page.ask("rnncli.command")) == held
        check_command(rnncli, page)


@pytest.mark.parametrize(("hold", "longer", "shorter"), [
    ("@1:", "@1:", "@1:"), ("@1:3", "@1:3", "@1:2"), ("@:4", "@0:", "@0:"), ("@-1", "@3", None), ("", "", ""),
])  # fmt: skip
def test_a_hold_is_to_the_end_of_a_sentence_or_to_its_step(
    opens: Any, rnncli: Run, hold: str, longer: str, shorter: str | None
) -> None:
    case = {
        "layer": "GRU(1, return_sequences=True)", "inputs": ["the film is good"], "words": WORDS, "seed": 3,
    }  # fmt: skip
    page = opens(json.dumps(case), "--hold", f"update=0.5{hold}")
    for sentence, steps in (("the film is Not good film", longer), ("the film", shorter)):
        page.page.get_by_label("sentence").fill(sentence)
        page.page.get_by_label("sentence").press("Enter")
        held = [] if steps is None else [f"update=0.5{steps}"]
        assert page.ask("rnncli.document").get("hold", []) == held
        check_command(rnncli, page)


def test_a_longer_sentence_pads_the_others(reads: Any, rnncli: Run) -> None:
    page = reads("the film", "Not good")
    page.page.get_by_label("sentence").fill("the film is good")
    page.page.get_by_label("sentence").press("Enter")
    assert page.ask("rnncli.case.inputs") == ["the film is good", "Not good"]
    check_command(rnncli, page)
    states = page.ask("rnncli.compute().hidden_states[1]")
    assert states[1] == states[2] == states[3]
    page.mask(1)
    case = page.ask("rnncli.case")
    assert case["mask"] == [[True, False, True, True], [True, True, False, False]]
    assert case["inputs"][0][1] == [-0.2, 0.3]
    check_command(rnncli, page)


def test_a_layer_above_one_that_turns_its_steps_names_those_that_it_reads(opens: Any) -> None:
    layers = ["GRU(1, return_sequences=True, go_backwards=True)", "LSTM(1, return_sequences=True)"]
    page = opens(json.dumps({"layer": layers, "inputs": ["the film is good"], "words": WORDS, "seed": 3}))
    heads = page.page.locator(".time b").all_inner_texts()
    assert heads == ["the", "film", "is", "good", "good", "is", "film", "the"]
    assert page.page.get_by_label("sentence").input_value() == "the film is good"
    title = page.page.locator(".equation h2")
    for address, word in (
        ("0/hidden[0,0,0]", "the (t=0)"), ("1/hidden[0,0,0]", "good (t=0)"),
        ("hidden_states[0,0,0]", "good (t=3)"), ("x[0,3,0]", "good (t=3)"),
    ):  # fmt: skip
        page.number(address).click()
        assert word in title.inner_text()


def test_an_unknown_word_is_refused_and_marked(reads: Any) -> None:
    page = reads("the film is Not good", viewport={"width": 390, "height": 844})
    field, refusal = page.page.get_by_label("sentence"), page.page.locator(".sentence [role=status]")
    field.fill("The filn is awful")
    field.press("Enter")
    assert [text.strip() for text in refusal.locator("p").all_inner_texts()] == [
        "The filn is awful", "“filn” is not in the vocabulary.", "Did you mean film?",
        "verdicts: Not, good", "small words: the, film, is",
    ]  # fmt: skip
    assert refusal.locator("mark").all_inner_texts() == ["filn", "awful"]
    assert field.input_value() == "The filn is awful"
    selected = "(field) => field.value.slice(field.selectionStart, field.selectionEnd)"
    assert field.evaluate(selected) == "filn"
    field.fill(" ".join(["beautifully"] * 40))
    field.press("Enter")
    assert refusal.locator("mark").count() == 40
    assert page.ask("document.documentElement.scrollWidth") == 390
    assert page.ask("rnncli.case.inputs") == ["the film is Not good"]


@pytest.mark.parametrize(("typed", "read"), [
    ("The FILM, is good!", "the film is good"), ("film isn’t good.", "film is Not good"),
    ("“good” (film)", "good film"),
])  # fmt: skip
def test_words_are_read_as_people_type_them(reads: Any, rnncli: Run, typed: str, read: str) -> None:
    page = reads("the film is Not good")
    page.page.get_by_label("sentence").fill(typed)
    page.page.get_by_label("sentence").press("Enter")
    assert page.ask("rnncli.case.inputs") == [read]
    check_command(rnncli, page)


def test_the_verdict_stands_under_each_word(reads: Any) -> None:
    page = reads("the film is Not good")
    page.mask(2)
    values = [row[0] for row in page.ask("rnncli.compute().hidden_states[0]")]
    expected = [f"{'good' if value > 0 else 'bad'} ({value:.2f})".replace("-", "−") for value in values]
    expected[2] = ""
    verdicts = page.page.locator(".verdict")
    assert verdicts.all_inner_texts() == expected
    page.page.get_by_role("button", name="play").click()
    assert verdicts.all_inner_texts()[4] == ""


@pytest.mark.parametrize("width", [390, 1280])
def test_the_choice_of_a_word_shows_it_whole(reads: Any, width: int) -> None:
    page = reads("the film is Not good the", viewport={"width": width, "height": 844})
    page.page.get_by_label("word at t=3").select_option("film")
    words = page.page.locator(".word > span")
    assert words.all_inner_texts() == ["the", "film", "is", "film", "good", "the"]
    whole = "(all) => all.every((word) => word.scrollWidth <= word.parentElement.clientWidth)"
    assert words.evaluate_all(whole)


def test_outputs_and_the_layer_say_what_they_mean(reads: Any) -> None:
    page = reads("the film is Not good")
    assert page.page.locator(".about").inner_text() == "It flips at not."
    value = page.ask("rnncli.compute().hidden_states[0][4][0]")
    page.number("hidden_states[0,4,0]").click()
    assert page.page.locator(".value .answer").inner_text() == ("good" if value > 0 else "bad")
    assert "good (t=4)" in page.page.locator(".equation h2").inner_text()
    assert "Not" in page.page.locator(".depends").inner_text()
    page.number("update[0,4,0]").click()
    assert page.page.locator(".value .answer").count() == 0
    page.page.get_by_label("Language").select_option("ko")
    assert page.page.locator(".about").inner_text() == "not에서 뒤집힙니다."


def test_how_much_another_word_changes_a_number(opens: Any, rnncli: Run, tmp_path: Path) -> None:
    """Not the slope: a gate that is full or empty has none, but the word "not" turns the answer."""
    case = tmp_path / "case.json"
    case.write_text(rnncli("samples", "review", "the film is not good").stdout)
    document = json.loads(case.read_text())
    page = opens(str(case))
    page.number("hidden[0,4,0]").click()
    label = page.page.locator(".depends").get_attribute("aria-label")
    shown = [float(text.rsplit(" ", 1)[1]) for text in label.partition(": ")[2].split(", ")]

    def last(sentence: list[str]) -> float:
        answer = api.run({**document, "inputs": [" ".join(sentence)]})
        return float(answer.hidden_states[0, 4, 0])

    typed = ["the", "film", "is", "not", "good"]
    for step, effect in enumerate(shown):
        others = [[*typed[:step], word, *typed[step + 1 :]] for word in document["words"]]
        largest = max(abs(last(other) - last(typed)) for other in others)
        assert effect == pytest.approx(largest, abs=1e-4)
    assert shown[3] > 1
    assert page.page.locator(".most").inner_text().startswith("It depends most on not (t=3)")
