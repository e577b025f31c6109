"""The chosen number in a browser: what it says, and what can be changed where it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from opened import LSTM, Opened, check_command, run_command

pytest_plugins = ["page_fixtures"]
pytestmark = pytest.mark.slow

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def mask(page: Opened, step: int) -> None:
    """Mask a time step, or read it again."""
    page.page.get_by_role("slider").fill(str(step))
    page.page.get_by_role("checkbox", name="mask").click()


def press(page: Opened, name: str) -> None:
    """Press a button of the chosen number."""
    page.page.locator(".equation").get_by_role("button", name=name, exact=True).click()


def test_masks_holds_and_states_are_flags(opens: Any, rnncli: Run) -> None:
    page = opens(*LSTM)
    plain = page.ask("rnncli.command")
    assert plain == "rnncli run -l 'LSTM(3)' --return-sequences --return-state --seed 42"
    mask(page, 1)
    assert page.ask("rnncli.command") == f"{plain} --mask '[[1,0,1,1]]'"
    check_command(rnncli, page)
    page.number("forget[0,3,1]").click()
    press(page, "0.5")
    assert page.ask("rnncli.command").endswith("]]' --hold forget=0.5")
    check_command(rnncli, page)
    page.page.get_by_role("slider").fill("0")
    page.number("cell[0,start,1]").press("+")
    assert "--initial-state '[[[0,0,0]],[[0,0.1,0]]]'" in page.ask("rnncli.command")
    check_command(rnncli, page)
    for _ in range(3):
        page.page.keyboard.press("Control+z")
    assert page.ask("rnncli.command") == plain


def test_a_mask_replaces_the_one_that_was_given(opens: Any, rnncli: Run) -> None:
    page = opens(*LSTM, "--mask", "[[1,0,1,1]]")
    assert "--mask '[[1,0,1,1]]'" in page.ask("rnncli.command")
    mask(page, 1)
    assert page.ask("rnncli.command").count("--mask") == 1
    check_command(rnncli, page)
    page = opens(*LSTM, "--lengths", "3")
    assert "--lengths 3" in page.ask("rnncli.command")
    mask(page, 0)
    assert page.ask("rnncli.command") == "rnncli run case.json"
    check_command(rnncli, page)
    page = opens("-l", "bigru", "-l", "lstm", "--seed", "5")
    mask(page, 3)
    assert "--mask" in page.ask("rnncli.command")
    check_command(rnncli, page)


@pytest.mark.parametrize("change", ["Bidirectional", "input", "weight"])
def test_other_numbers_are_a_file_that_the_page_offers(
    opens: Any, rnncli: Run, change: str, tmp_path: Path
) -> None:
    page = opens(*LSTM)
    assert page.page.get_by_role("button", name="save case.json").count() == 0
    if change == "Bidirectional":
        page.page.get_by_role("checkbox", name=change).check()
    elif change == "input":
        page.number("x[0,1,2]").press("+")
    else:
        page.number("input[0,3,1]").click()
        weight = page.page.get_by_label("kernel[0,1], a weight: type another number", exact=True)
        weight.fill("0.5")
        weight.press("Enter")
        assert page.ask("rnncli.case.weights.kernel[0][1]") == 0.5
    assert page.ask("rnncli.command") == "rnncli run case.json"
    check_command(rnncli, page)
    with page.page.expect_download() as started:
        page.page.get_by_role("button", name="save case.json").click()
    assert started.value.suggested_filename == "case.json"
    started.value.save_as(tmp_path / "saved.json")
    assert json.loads((tmp_path / "saved.json").read_text()) == page.ask("rnncli.case")


def test_a_form_that_draws_the_same_weights_is_a_flag(opens: Any, rnncli: Run) -> None:
    for layer, form in (("gru", "--no-reset-after"), ("gru(2, bias_initializer='ones')", "case.json")):
        page = opens("-l", layer, "--seed", "3")
        page.page.get_by_role("checkbox", name="reset_after").uncheck()
        assert form in page.ask("rnncli.command")
        check_command(rnncli, page)


def test_weights_that_are_given_need_no_flags_for_numbers(opens: Any, rnncli: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernel, recurrent, bias = (rng.normal(size=shape) for shape in ((5, 9), (3, 9), (2, 9)))
    np.savez(tmp_path / "w.npz", kernel=kernel, recurrent_kernel=recurrent, bias=bias)
    page = opens("-l", "gru", "--weights", str(tmp_path / "w.npz"))
    check_command(rnncli, page)
    page.page.get_by_role("checkbox", name="reset_after").uncheck()
    assert page.ask("rnncli.command") == "rnncli run case.json"
    assert "seed" not in page.ask("rnncli.case")
    check_command(rnncli, page)


def test_a_gate_is_held_where_it_stands(opens: Any, rnncli: Run) -> None:
    page = opens(*LSTM)
    hold = page.page.locator(".hold")
    assert hold.count() == 0
    page.number("forget[0,2,1]").click()
    field = page.page.get_by_label("value of the held gate")
    assert field.input_value() == ""
    press(page, "1")
    assert "of every unit" in hold.inner_text()
    assert page.ask("rnncli.command").endswith("--hold forget=1")
    for text, taken in (("7", "1"), ("−1", "0"), ("0.25", "0.25"), ("", "0.25")):
        field.fill(text)
        field.press("Enter")
        assert field.input_value() == taken
        assert page.ask("rnncli.command").endswith(f"--hold forget={taken}")
    press(page, "only at t=2")
    assert page.ask("rnncli.command").endswith("--hold forget=0.25@2")
    assert page.ask("rnncli.explain('forget[0,1,1]').kind") == "line"
    assert page.ask("rnncli.explain('forget[0,2,0]').kind") == "held"
    check_command(rnncli, page)
    press(page, "computed")
    assert "--hold" not in page.ask("rnncli.command")
    page.number("candidate[0,2,1]").click()
    press(page, "−1")
    assert page.ask("rnncli.command").endswith("--hold candidate=-1@2")
    assert "Keras cannot hold a gate" in page.page.locator(".code").inner_text()
    check_command(rnncli, page)
    page = opens("-l", "simple_rnn", "--return-sequences", "--seed", "1")
    press(page, "0")
    assert page.ask("rnncli.command").endswith("--hold candidate=0")
    check_command(rnncli, page)


def test_a_held_gate_follows_its_layer(opens: Any, rnncli: Run) -> None:
    """The command names it as its layers are now; a half that does not run holds nothing."""
    page = opens("-l", "lstm", "--hold", "forget[:,1]=0.5@1:", "--seed", "3")
    switch = page.page.get_by_role("checkbox", name="Bidirectional")
    for held in ("forward/forget", "forget"):
        switch.click()
        assert f"--hold '{held}[:,1]=0.5@1:'" in page.ask("rnncli.command")
        check_command(rnncli, page)
    switch.click()
    page.number("backward/forget[0,3,1]").click()
    press(page, "1")
    switch.click()
    assert "backward" not in page.ask("rnncli.command")
    check_command(rnncli, page)
    page = opens("-l", "bigru", "-l", "Dropout(0.5)", "-l", "lstm", "--hold", "2/forget=0.25", "--seed", "5")
    check_command(rnncli, page)
    page = opens("-l", "Dropout(0.5)", "-l", "lstm", "--hold", "1/forget=0.25", "--seed", "5")
    check_command(rnncli, page)
    page.number("x[0,0,0]").press("+")
    check_command(rnncli, page)


def test_a_held_gate_of_a_model_has_a_case_document(opens: Any, rnncli: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernel, recurrent, bias = (rng.normal(size=shape) for shape in ((5, 12), (3, 12), (12,)))
    np.savez(tmp_path / "m.npz", kernel=kernel, recurrent_kernel=recurrent, bias=bias)
    page = opens("--input-shape", "1,4,5", "--model", str(tmp_path / "m.npz"))
    page.number("forget[0,3,1]").click()
    press(page, "1")
    command = page.ask("rnncli.command")
    assert command == "rnncli run case.json --hold forget=1"
    shown = page.ask("rnncli.document.outputs[0]")
    assert np.allclose(run_command(rnncli, page)[shown["name"]], shown["values"], atol=1e-6)


def test_what_was_changed_is_undone_and_a_switch_stays(opens: Any) -> None:
    page = opens(*LSTM)
    undo = page.page.get_by_role("button", name="undo")
    before = page.ask("rnncli.compute()")
    page.page.get_by_role("checkbox", name="Bidirectional").check()
    page.page.get_by_role("checkbox", name="Bidirectional").uncheck()
    assert not undo.is_visible()
    number = page.number("x[0,1,2]")
    for _ in range(2):
        number.press("+")
    undo.wait_for(state="visible")
    page.page.get_by_role("checkbox", name="return_state").uncheck()
    page.page.keyboard.press("Control+z")
    assert page.number("x[0,1,2]").get_attribute("aria-label") == "x[0,1,2] = 2.60"
    assert not page.page.get_by_role("checkbox", name="return_state").is_checked()
    page.number("input[0,3,1]").click()
    weight = page.page.locator(".weight").first
    text = weight.input_value()
    weight.fill("5")
    page.page.keyboard.press("Control+z")  # of the field
    assert page.number("x[0,1,2]").get_attribute("aria-label") == "x[0,1,2] = 2.60"
    weight.fill("5")
    weight.press("Enter")
    page.page.keyboard.press("Control+z")
    assert weight.input_value() == text
    undo.click()
    assert not undo.is_visible()
    page.page.get_by_role("checkbox", name="return_state").check()
    assert page.ask("rnncli.compute()") == before
    page.number("x[0,0,0]").press("+")
    page.page.get_by_role("button", name="All numbers as they were").click()
    assert page.ask("rnncli.compute()") == before


def test_a_masked_gate_says_so(opens: Any) -> None:
    for lang, text in (
        ("en", "This time step is masked: the gate is not computed."),
        ("ko", "이 시점은 마스킹되어 게이트를 계산하지 않습니다."),
    ):
        page = opens(*LSTM, "--mask", "[[1,1,0,1]]", "--lang", lang)
        page.number("forget[0,2,1]").click()
        said = page.page.locator(".equation").inner_text()
        assert text in said
        assert "NaN" not in said
        assert page.page.locator(".equation .depends, .equation .hold").count() == 0


NOTE = [[[0.3, 0], [0.39, 1], [-0.2, 0], [0.1, 0], [-0.34, 1], [0.4, 0]]]


def test_what_a_number_depends_on_has_a_fixed_scale(opens: Any) -> None:
    page = opens(json.dumps(NOTE), "-l", "LSTM(1, return_sequences=True)", "--seed", "3")
    page.number("hidden_states[0,5,0]").click()
    address = "hidden_states[0,5,0]"
    slopes = np.abs(page.ask(f"rnncli.gradient('{address}').x[0]"))
    value = page.ask(f"rnncli.explain('{address}').value")
    flipped = np.array(NOTE)
    flipped[0, 5, 1] = 1
    moved = page.ask(f"rnncli.compute({{inputs: {flipped.tolist()}}})")["hidden_states"][0][5][0] - value
    most = page.page.locator(".most").inner_text()
    assert f"It moves most with x[0,5,0]: +{slopes[5, 0]:.3f} for +1." in most
    assert f"With x[0,5,1] at 1 instead, it would move by {moved:+.3f}." in most
    sizes = page.page.locator(".depends i").evaluate_all(
        "(bars) => bars.map((bar) => Number(bar.style.getPropertyValue('--size')))"
    )
    assert sizes[5] == pytest.approx(max(slopes[5, 0], abs(moved)), abs=1e-3)
    page.page.locator(".most").get_by_role("button", name="x[0,5,1]").click()
    page.number("x[0,5,1]").press("1")
    page.page.keyboard.press("Enter")
    assert page.ask(f"rnncli.explain('{address}').value") == pytest.approx(value + moved, abs=1e-6)
    page = opens(json.dumps(NOTE), "-l", "Dense(1)", "-l", "SimpleRNN(1)", "--seed", "3")
    page.page.get_by_role("slider").fill("5")
    assert page.page.locator(".depends i").count() == 6


def test_nothing_is_said_twice(opens: Any) -> None:
    page = opens(*LSTM)
    equation = page.page.locator(".equation")
    page.number("forget[0,3,0]").click()
    assert "squeezes" in equation.inner_text()
    assert equation.inner_text().count("forget[0,3,0]") == 1
    assert page.page.locator(".equation h2").inner_text() == "forget gate · unit 0 · t=3"
    page.number("x[0,3,0]").press("+")
    assert "squeezes" in equation.inner_text()
    page.number("input[0,3,0]").click()
    assert "squeezes" not in equation.inner_text()


WORDS = {"the": [0.5, 0.1], "film": [-0.2, 0.3], "is": [0.2, 0.2], "Not": [1.5, -1.0], "good": [0.7, 0.9]}


@pytest.fixture
def reads(opens: Any) -> Any:
    """Open a page whose inputs are sentences."""

    def write_and_open(*sentences: str, **context: Any) -> Opened:
        case = {
            "layer": "GRU(1, return_sequences=True)",
            "inputs": sentences,
            "words": WORDS,
            "seed": 3,
            "answers": {"-1": "bad", "1": "good"},
            "about": {"en": "It flips at not.", "ko": "not에서 뒤집힙니다."},
        }
        return opens(json.dumps(case), **context)  # type: ignore[no-any-return]

    return write_and_open


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
    field.fill("the film is awful")
    field.press("Enter")
    said = page.page.locator(".sentence [role=status]").inner_text()
    assert said == "“awful” is not in the vocabulary: the, film, is, Not, good."
    field.fill("THE film not")
    field.press("Enter")
    assert page.ask("rnncli.case.inputs") == ["the film Not"]
    check_command(rnncli, page)
    page.page.keyboard.press("Control+z")
    assert page.ask("rnncli.compute().hidden_states[0]") == before


def test_a_longer_sentence_pads_the_others(reads: Any, rnncli: Run) -> None:
    page = reads("the film", "Not good")
    page.page.get_by_label("sentence").fill("the film is good")
    page.page.get_by_label("sentence").press("Enter")
    assert page.ask("rnncli.case.inputs") == ["the film is good", "Not good"]
    check_command(rnncli, page)
    states = page.ask("rnncli.compute().hidden_states[1]")
    assert states[1] == states[2] == states[3]
    mask(page, 1)
    case = page.ask("rnncli.case")
    assert case["mask"] == [[True, False, True, True], [True, True, False, False]]
    assert case["inputs"][0][1] == [-0.2, 0.3]
    check_command(rnncli, page)


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


@pytest.mark.parametrize("sample", ["note", "review", "review_ko", "bank", "brackets"])
def test_a_trained_sample_has_its_command(opens: Any, rnncli: Run, tmp_path: Path, sample: str) -> None:
    file = tmp_path / "sample.json"
    file.write_text(rnncli("samples", sample).stdout)
    page = opens(str(file))
    command = page.ask("rnncli.command")
    assert "--seed" not in command
    assert page.ask("rnncli.document.seed") is None
    check_command(rnncli, page)
    (tmp_path / "case.json").write_text(json.dumps(page.ask("rnncli.case")))
    again = json.loads(rnncli("run", str(tmp_path / "case.json"), "-f", "json").stdout)
    given = json.loads(rnncli("run", str(file), "-f", "json").stdout)
    assert again["input"] == given["input"]
    mask(page, 1)
    assert "--mask" in page.ask("rnncli.command")
    check_command(rnncli, page)


def test_the_panel_by_touch(opens: Any) -> None:
    page = opens(*LSTM, **PHONE)
    page.number("forget[0,3,1]").tap()
    hold = page.page.locator(".hold")
    for control in hold.locator("button, input").all():
        box = control.bounding_box()
        assert box["height"] >= 44, box
        assert box["width"] >= 44, box
    hold.get_by_role("button", name="1", exact=True).tap()
    assert page.ask("rnncli.command").endswith("--hold forget=1")
    assert hold.get_by_role("button", name="1", exact=True).get_attribute("aria-pressed") == "true"
    page.page.get_by_role("button", name="undo").tap()
    assert "--hold" not in page.ask("rnncli.command")
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")


def test_the_panel_by_keyboard(opens: Any) -> None:
    page = opens(*LSTM)
    focused = "document.activeElement.ariaLabel ?? document.activeElement.textContent"
    number = page.number("cell[0,3,1]")
    number.focus()
    page.page.keyboard.press("Enter")
    assert page.ask(focused).startswith("cell[0,3,1] =")
    page.page.locator(".equation").get_by_role("button", name="forget[0,3,1] =").focus()
    page.page.keyboard.press("Enter")
    assert page.page.locator(".value").inner_text().startswith("forget[0,3,1] =")
    page.page.locator(".hold").get_by_role("button", name="0.5", exact=True).focus()
    page.page.keyboard.press("Enter")
    assert page.ask(focused) == "0.5"
    page.page.locator(".equation").get_by_role("button", name="← cell[0,3,1]").focus()
    page.page.keyboard.press("Enter")
    assert page.ask("document.querySelector('.equation').contains(document.activeElement)")
    assert page.ask("document.activeElement.tagName") == "BUTTON"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_axe_finds_nothing_in_the_panel(opens: Any, reads: Any, scheme: str, width: int, lang: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    shown = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for page in (opens("note", "--lang", lang, **shown), reads("the film is Not good", **shown)):
        line = page.ask("rnncli.document.layer[0].class_name === 'LSTM' ? 'forget' : 'update'")
        page.number(f"{line}[0,3,0]").click()
        press(page, "0.5")
        found = axe.run(page.page).response["violations"]
        assert found == [], json.dumps(found, indent=1)[:3000]
        poor = page.ask(Path(__file__).with_name("contrast.mjs").read_text())
        assert poor == []
