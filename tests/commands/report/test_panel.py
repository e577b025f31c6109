"""The chosen number in a browser: what it says, and what can be changed where it stands."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import check_by_axe
from command import Run
from opened import LSTM, check_command, run_command

pytest_plugins = ["page_fixtures"]
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_masks_holds_and_states_are_flags(opens: Any, rnncli: Run) -> None:
    page = opens(*LSTM)
    plain = page.ask("rnncli.command")
    assert plain == "rnncli run -l 'LSTM(3)' --return-sequences --return-state --seed 42"
    page.mask(1)
    assert page.ask("rnncli.command") == f"{plain} --mask '[[1,0,1,1]]'"
    check_command(rnncli, page)
    page.number("forget[0,3,1]").click()
    page.press("0.5")
    assert page.ask("rnncli.command").endswith("]]' --hold forget=0.5@3")
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
    page.mask(1)
    assert page.ask("rnncli.command").count("--mask") == 1
    check_command(rnncli, page)
    page = opens(*LSTM, "--lengths", "3")
    assert "--lengths 3" in page.ask("rnncli.command")
    page.mask(0)
    assert page.ask("rnncli.command") == "rnncli run case.json"
    check_command(rnncli, page)
    page = opens("-l", "bigru", "-l", "lstm", "--seed", "5")
    page.mask(3)
    assert "--mask" in page.ask("rnncli.command")
    check_command(rnncli, page)


@pytest.mark.parametrize("change", ["Bidirectional", "input", "weight"])
def test_the_page_offers_new_numbers_as_a_file(opens: Any, rnncli: Run, change: str, tmp_path: Path) -> None:
    page = opens(*LSTM)
    assert page.page.get_by_role("button", name="save case.json").count() == 0
    if change == "Bidirectional":
        page.page.get_by_role("checkbox", name=change).check()
    elif change == "input":
        page.number("x[0,1,2]").press("+")
    else:
        page.number("input[0,3,1]").click()
        weight = page.page.get_by_label("kernel[0,1], a weight: type another", exact=True)
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
    page.press("1")
    assert "of every unit" in hold.inner_text()
    assert page.ask("rnncli.command").endswith("--hold forget=1@2")
    page.press("at every step")
    assert page.ask("rnncli.command").endswith("--hold forget=1")
    for text, taken in (("7", "1"), ("−1", "0"), ("0.25", "0.25"), ("", "0.25")):
        field.fill(text)
        field.press("Enter")
        assert field.input_value() == taken
        assert page.ask("rnncli.command").endswith(f"--hold forget={taken}")
    page.press("only at t=2")
    assert page.ask("rnncli.command").endswith("--hold forget=0.25@2")
    assert page.ask("rnncli.explain('forget[0,1,1]').kind") == "line"
    assert page.ask("rnncli.explain('forget[0,2,0]').kind") == "held"
    check_command(rnncli, page)
    page.press("computed")
    assert "--hold" not in page.ask("rnncli.command")
    page.number("candidate[0,2,1]").click()
    page.press("−1")
    assert page.ask("rnncli.command").endswith("--hold candidate=-1@2")
    assert "Keras cannot hold a gate" in page.page.locator(".code").inner_text()
    check_command(rnncli, page)
    page = opens("-l", "simple_rnn", "--return-sequences", "--seed", "1")
    page.press("0")
    assert page.ask("rnncli.command").endswith("--hold candidate=0@0")
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
    page.press("1")
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
    page.press("1")
    assert page.ask("rnncli.command") == "rnncli run case.json --hold forget=1@3"
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


def test_a_change_before_a_switch_is_undone(opens: Any) -> None:
    page = opens("-l", "lstm", "--return-sequences", "--seed", "42")
    before = page.ask("rnncli.compute()")
    bidirectional = page.page.get_by_role("checkbox", name="Bidirectional")
    page.number("x[0,1,2]").press("+")
    page.mask(3)
    bidirectional.check()
    both = page.ask("rnncli.compute()")
    for _ in range(2):
        page.page.keyboard.press("Control+z")
    assert bidirectional.is_checked()
    assert page.ask("rnncli.compute()") != both
    assert page.number("x[0,1,2]").get_attribute("aria-label") == "x[0,1,2] = 2.50"
    bidirectional.uncheck()
    assert page.ask("rnncli.compute()") == before
    assert not page.page.get_by_role("button", name="undo").is_visible()


def test_gates_over_time_name_their_half_and_what_is_held(opens: Any) -> None:
    page = opens("-l", "bilstm", "--return-sequences", "--seed", "1")
    gates = page.page.locator(".overview .label.small")
    assert gates.all_inner_texts() == ["input →", "forget →", "candidate →", "output →"]
    page.number("backward/forget[0,1,1]").click()
    page.press("1")
    assert gates.all_inner_texts() == ["input ←", "forget ←*", "candidate ←", "output ←"]
    assert gates.nth(1).locator("b").get_attribute("title") == "held"
    page.press("computed")
    assert gates.nth(1).inner_text() == "forget ←"
    for vector in page.page.locator(".vector").all():
        assert vector.bounding_box()["height"] >= 24


@pytest.mark.parametrize("layer", ["lstm", "bilstm"])
def test_the_panel_names_the_step_before_as_the_diagram_does(opens: Any, layer: str) -> None:
    page = opens("-l", layer, "--return-sequences", "--seed", "1")
    is_backward = layer == "bilstm"
    half = "backward/" * is_backward
    names = page.page.locator(".tokens .name")
    for step, text in (
        (1, "cell at t+1" if is_backward else "previous cell"),
        (3 * is_backward, "cell at start"),
    ):
        page.number(f"{half}cell[0,{step},1]").click()
        assert text in names.all_inner_texts()
        page.page.locator(".tokens").get_by_role("button", name="forget[").click()
        assert page.page.locator(".terms .names", has_text=text.replace("cell", "hidden 0")).count() == 1
    assert page.page.locator(".state-name", has_text="start").count() == 2


def test_a_masked_gate_and_state_say_so(opens: Any) -> None:
    names = "[...document.querySelectorAll('[aria-label]')].map(({ ariaLabel }) => ariaLabel).join()"
    for lang, says, text, kept in (
        ("en", "masked: h stays {}", "Masked: the gate is not computed.", "the number of t=1 is kept."),
        ("ko", "마스킹됨: h = {} 그대로", "이 시점은 마스킹되어 게이트를 계산하지 않습니다.",
         "t=1의 값이 그대로 남습니다."),
    ):  # fmt: skip
        page = opens(*LSTM, "--mask", "[[1,1,0,1]]", "--lang", lang)
        value = page.ask("rnncli.explain('hidden[0,1,1]').value")
        stays = says.format(f"{value:.2f}".replace("-", "−"))
        gate = page.number("forget[0,2,1]")
        gate.click()
        assert gate.get_attribute("aria-label") == f"forget[0,2,1] {stays}"
        assert page.page.locator("p.status").inner_text() == f"forget[0,2,1] {stays}"
        assert "NaN" not in page.ask(names)
        said = page.page.locator(".equation").inner_text()
        assert text in said
        assert stays in said
        assert "NaN" not in said
        assert page.page.locator(".equation .depends, .equation .hold").count() == 0
        bars = page.page.locator(".drawing .bar")
        sizes = bars.evaluate_all("(all) => all.map((bar) => Number(bar.style.getPropertyValue('--size')))")
        assert sizes == [0] * 12
        for address in ("hidden[0,2,1]", "hidden_states[0,2,1]"):
            page.number(address).click()
            assert kept in page.page.locator(".equation").inner_text()


def test_names_and_colors_say_what_they_are(opens: Any) -> None:
    """A row's label, the state before the first step and the one after a step, a color of the key."""
    page = opens(*LSTM)
    picture, equation = page.page.locator(".picture"), page.page.locator(".equation")
    page.number("hidden[0,0,1]").click()
    for name, address, text in (
        ("forget", "forget[0,0,1]", "How much of the old cell state is kept"),
        ("input x", "x[0,0,0]", "An input: drag it"),
        ("cell state", "cell[0,0,1]", "The layer's memory"),
        ("last_cell_state", "last_cell_state[0,1]", "The layer's memory"),
        ("start", "cell[0,start,1]", "The layer starts from this state."),
        ("h[t]", "hidden[0,0,1]", "The layer's answer."),
    ):
        picture.get_by_role("button", name=name, exact=True).first.click()
        assert equation.locator(".value").inner_text().startswith(f"{address} ="), name
        assert text in equation.inner_text()
        page.page.get_by_role("slider").fill("0")
    for kind in ("gate", "candidate", "cell", "hidden", "input", "below", "changed"):
        key = page.page.locator(f".key .{kind}")
        key.click()
        title, text = equation.locator("h2, h2 + p").all_inner_texts()
        assert title == key.inner_text()
        assert text.endswith(".")
    equation.get_by_role("button", name="← ").click()
    assert equation.locator(".value").count() == 1


def test_the_backward_state_says_when_it_was_read(opens: Any) -> None:
    words = ("-l", "bilstm", "--return-state", "--seed", "1")
    for more, text in (
        ((), "backward, read last (t=0)"), (("--lang", "ko"), "역방향, 마지막에 읽은 시점(t=0)"),
        (("--mask", "[[0,1,1,1]]"), "backward, read last (t=1)"),
    ):  # fmt: skip
        said = opens(*words, *more).page.locator(".tensors").inner_text()
        assert said.count(text) == 2


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
    assert f"It would move most with x[0,5,1] at 1: by {moved:+.3f}." in most
    assert f"With x[0,5,0]: +{slopes[5, 0]:.3f} for +1." in most
    sizes = page.page.locator(".depends i").evaluate_all(
        "(bars) => bars.map((bar) => Number(bar.style.getPropertyValue('--size')))"
    )
    assert sizes[5] == pytest.approx(max(slopes[5, 0], abs(moved)), abs=1e-3)
    page.number("output[0,5,0]").click()
    most = page.page.locator(".most").inner_text()
    assert re.match(r"It moves most with x\[0,5,0\]: \S+ for \+1. With x\[0,5,1\] at 1: \S+", most)
    page.number(address).click()
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


@pytest.mark.parametrize("sample", ["note", "review", "review_ko", "bank", "brackets"])
def test_a_trained_sample_has_its_command(opens: Any, rnncli: Run, tmp_path: Path, sample: str) -> None:
    file = tmp_path / "sample.json"
    file.write_text(rnncli("samples", sample).stdout)
    page = opens(str(file))
    assert "--seed" not in page.ask("rnncli.command")
    assert page.ask("rnncli.document.seed") is None
    check_command(rnncli, page)
    (tmp_path / "case.json").write_text(json.dumps(page.ask("rnncli.case")))
    again = json.loads(rnncli("run", str(tmp_path / "case.json"), "-f", "json").stdout)
    assert again["input"] == json.loads(rnncli("run", str(file), "-f", "json").stdout)["input"]
    page.mask(1)
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
    page.page.wait_for_function("() => rnncli.command.endsWith('--hold forget=1@3')")
    assert hold.get_by_role("button", name="1", exact=True).get_attribute("aria-pressed") == "true"
    page.page.get_by_role("button", name="undo").tap()
    assert "--hold" not in page.ask("rnncli.command")
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")


def test_the_panel_by_keyboard(opens: Any) -> None:
    page = opens(*LSTM)
    focused = "document.activeElement.ariaLabel ?? document.activeElement.textContent"
    page.number("cell[0,3,1]").focus()
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


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_axe_finds_nothing_in_the_panel(opens: Any, reads: Any, width: int, lang: str) -> None:
    shown = {"viewport": {"width": width, "height": 900}}
    for page in (opens("note", "--lang", lang, **shown), reads("the film is Not good", **shown)):
        line = page.ask("rnncli.document.layer[0].class_name === 'LSTM' ? 'forget' : 'update'")
        page.number(f"{line}[0,3,0]").click()
        page.press("0.5")
        check_by_axe(page.page)
