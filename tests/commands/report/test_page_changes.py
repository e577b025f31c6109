"""The page in a browser: what a reader sees of a change, and of the number that was chosen before it."""

import re
from pathlib import Path
from typing import Any

import pytest
from command import Run
from opened import LSTM, Opened

pytest_plugins = ["page_fixtures"]


def chosen(page: Opened) -> Any:
    """Return the address of the number whose equation is shown, framed in the picture."""
    shown = page.page.locator(".value").inner_text()
    assert "∞" not in shown, shown
    assert "NaN" not in shown, shown
    assert page.page.locator(".picture .number.chosen").count() >= 1, shown
    return shown.split(" =")[0]


@pytest.mark.parametrize("merge", ["sum", "mul", "ave"])
def test_a_chosen_number_that_is_gone_is_replaced_by_the_nearest(opens: Any, merge: str) -> None:
    page = opens("-l", "bilstm(2)", "--return-sequences", "--seed", "1")
    page.number("hidden_states[0,3,2]").click()
    page.page.get_by_label("merge_mode").select_option(merge)
    assert chosen(page) == "hidden_states[0,3,1]"
    page.page.get_by_label("Bidirectional").uncheck()
    assert chosen(page) == "hidden_states[0,3,1]"
    page.page.get_by_label("return_sequences").uncheck()
    assert chosen(page) == "hidden_state[0,1]"
    page.page.get_by_label("return_sequences").check()
    assert chosen(page) == "hidden_states[0,3,1]"
    for text in (
        "hidden_states[0,3,2]", "hidden_states[0,4,0]", "cell[0,0,2]", "x[0,0,5]", "x[1,0,0]", "cell[0,-1,0]",
    ):  # fmt: skip
        with pytest.raises(Exception, match="there is no such number"):
            page.ask(f"rnncli.explain('{text}')")
        with pytest.raises(Exception, match="there is no such number"):
            page.ask(f"rnncli.gradient('{text}')")


def test_a_chosen_number_follows_its_line_and_its_tensor(opens: Any) -> None:
    page = opens("-l", "bilstm(2)", "--return-sequences", "--return-state", "--seed", "1")
    bidirectional = page.page.get_by_label("Bidirectional")
    page.number("backward/forget[0,1,1]").click()
    bidirectional.uncheck()
    assert chosen(page) == "forget[0,1,1]"
    bidirectional.check()
    assert chosen(page) == "forward/forget[0,1,1]"
    page.page.locator(".tensors").get_by_role("button", name="backward_last_cell_state[0,1] =").click()
    bidirectional.uncheck()
    assert page.page.locator(".value").inner_text().startswith("last_cell_state[0,1] =")
    page.page.get_by_label("return_state").uncheck()
    assert chosen(page) == "hidden[0,0,0]"
    page.page.get_by_role("button", name="← forget[0,1,1]").click()
    assert chosen(page) == "forget[0,1,1]"
    page = opens("-l", "gru", "--seed", "1")
    page.number("candidate[0,2,1]").click()
    page.page.get_by_label("reset_after").uncheck()
    assert chosen(page) == "candidate[0,2,1]"


@pytest.mark.parametrize("merge", ["sum", "mul", "ave"])
def test_a_merged_last_output_comes_from_the_first_step_of_the_backward_half(opens: Any, merge: str) -> None:
    page = opens("-l", f"Bidirectional(LSTM(2), merge_mode='{merge}')", "--seed", "1")
    page.number("hidden_state[0,1]").click()
    equation = page.page.locator(".equation")
    for part in ("forward/hidden[0,3,1] =", "backward/hidden[0,0,1] ="):
        assert equation.get_by_role("button", name=part).count() == 1


def test_a_masked_step_passes_its_states_on(opens: Any) -> None:
    page = opens("-l", "bilstm", "--return-sequences", "--mask", "[[1,1,0,1]]", "--seed", "1")
    rails, parts = page.page.locator(".drawing .skip"), page.page.locator(".drawing .part")
    shown = "(rails) => rails.map((rail) => getComputedStyle(rail).display !== 'none')"
    assert parts.first.is_visible()
    assert rails.evaluate_all(shown) == [False, False]
    page.page.get_by_role("slider").fill("2")
    assert rails.evaluate_all(shown) == [True, True]
    assert not parts.first.is_visible()
    assert "NaN" not in page.page.locator("main").inner_text()


def test_a_number_that_depends_on_no_input_says_so(opens: Any) -> None:
    page = opens(*LSTM, "--mask", "[[1,1,0,1]]")
    equation = page.page.locator(".equation")
    page.number("hidden[0,1,0]").click()
    assert page.page.locator('.depends i:not([style*="0.000"])').count() == 2
    page.number("forget[0,3,1]").click()
    page.page.locator(".hold").get_by_role("button", name="0.5", exact=True).click()
    assert "No input moves it by 0.005 or more." in equation.inner_text()
    assert page.page.locator(".depends").count() == 0
    sizes = page.page.locator(".matter").evaluate_all(
        "(bars) => bars.map((bar) => bar.style.getPropertyValue('--size'))"
    )
    assert set(sizes) == {"0"}


def test_a_minus_sign_is_the_same_everywhere(opens: Any) -> None:
    page = opens(*LSTM)
    page.number("input[0,3,1]").click()
    values = page.page.locator(".weight").evaluate_all("(fields) => fields.map((field) => field.value)")
    assert any(value.startswith("−") for value in values)
    assert not any("-" in value for value in values)
    weight = page.page.get_by_label("kernel[0,1], a weight: type another", exact=True)
    weight.fill("−0.5")
    weight.press("Enter")
    assert page.ask("rnncli.case.weights.kernel[0][1]") == -0.5


def glowing(page: Opened, part: str) -> Any:
    """Return the addresses of the numbers that glow in a part of the page."""
    return page.ask(
        f"""[...document.querySelectorAll("{part} :is(.number, .open)")]
          .filter((number) => number.style.getPropertyValue("--glow") > 0.3)
          .map((number) => number.ariaLabel.split(" =")[0])"""
    )


def test_masking_glows_as_a_drag_does(opens: Any) -> None:
    page = opens(*LSTM)
    page.page.get_by_role("slider").fill("1")
    for act in ("check", "uncheck"):
        getattr(page.page.get_by_role("checkbox", name="mask t=1"), act)()
        changed = glowing(page, ".picture")
        assert {"hidden[0,1,0]", "cell[0,2,1]", "forget[0,3,0]", "hidden_states[0,3,2]"} <= set(changed)
        assert not [name for name in changed if "[0,0," in name]
        page.page.locator('.picture .number[style*="--glow: 1"]').first.wait_for(state="detached")
        assert glowing(page, ".picture") == []


def test_the_panel_says_what_a_change_did_until_the_next(opens: Any) -> None:
    page = opens(*LSTM)
    before = page.ask("rnncli.explain('hidden[0,2,0]').value")
    page.number("x[0,2,1]").press("+")
    assert chosen(page) == "hidden[0,2,0]"  # that of t=0 does not depend on the input of t=2
    dragged, most, change = re.split(" · moved most: | (?=[+−])", page.page.locator(".changes").inner_text())
    assert re.fullmatch(r"x\[0,2,1\]: −?\d\.\d\d → −?\d\.\d\d", dragged)
    assert glowing(page, ".picture")
    assert most in glowing(page, ".picture")
    page.page.locator(".changes").get_by_role("button").click()
    assert chosen(page) == most
    moved = page.page.locator(".moved")
    assert moved.inner_text().startswith(change)
    page.page.locator(".equation").get_by_role("button", name="← ").click()
    said = moved.inner_text()
    assert said.endswith(f"was {before:.3f}".replace("-", "−"))
    page.page.locator('.picture .number[style*="--glow: 1"]').first.wait_for(state="detached")
    assert moved.inner_text() == said
    page.number("x[0,0,1]").press("+")
    assert chosen(page) == "hidden[0,2,0]"
    assert moved.inner_text() != said


def test_picture_and_table_glow_for_the_same_numbers(opens: Any) -> None:
    page = opens(*LSTM)
    inputs = page.ask("rnncli.compute().hidden_states")
    for unit in range(5):
        page.number(f"x[0,0,{unit}]").press("+")
        table = {name for name in glowing(page, ".tensors") if name.startswith("hidden_states")}
        assert table == {name for name in glowing(page, ".picture") if name.startswith("hidden_states")}
        outputs = page.ask("rnncli.compute().hidden_states")
        for step in range(4):
            for column in range(3):
                before, after = (f"{values[0][step][column]:.4f}" for values in (inputs, outputs))
                assert (f"hidden_states[0,{step},{column}]" in table) == (before != after)
        inputs = outputs


def test_a_play_fills_the_steps_from_the_first_to_the_last(opens: Any) -> None:
    page = opens(*LSTM, reduced_motion="reduce")
    assert page.page.get_by_role("slider").input_value() == "0"
    page.page.get_by_role("button", name="play").click()
    future = ".overview .number.future"
    assert page.page.locator(future).count() > 0
    page.page.locator(".now", has_text="t=3").wait_for()
    page.page.get_by_role("button", name="play").wait_for()
    assert page.page.locator(future).count() == 0


def test_a_color_has_a_fixed_scale(opens: Any) -> None:
    page = opens(*LSTM)
    shade = "(number) => number.style.getPropertyValue('--v')"
    before = page.number("hidden[0,0,1]").evaluate(shade)
    page.number("x[0,3,0]").press("+")
    page.number("cell[0,3,2]").click()
    assert page.number("hidden[0,0,1]").evaluate(shade) == before


def test_an_operator_opens_its_own_product(opens: Any) -> None:
    page = opens(*LSTM)
    page.page.get_by_role("slider").fill("3")
    operator = page.page.locator(".part.operator").first
    numbers = page.page.evaluate(
        "['forget[0,3,0]', 'cell[0,2,0]'].map((address) => rnncli.explain(address).value)"
    )
    product = f"{numbers[0] * numbers[1]:.3f}".replace("-", "−")
    assert operator.get_attribute("data-tip").endswith(f"= {product}")
    operator.click()
    equation = page.page.locator(".equation")
    assert equation.locator("h2").inner_text() == "forget · previous cell"
    assert equation.locator(".value").inner_text() == product
    for address in ("forget[0,3,0] =", "cell[0,2,0] ="):
        assert equation.get_by_role("button", name=address).count() == 1


PHONE: dict[str, Any] = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}


def test_a_number_shows_its_equation_in_view_on_a_phone(opens: Any) -> None:
    page = opens(*LSTM, **PHONE)
    panel, value = page.page.locator(".panel"), page.page.locator(".value b")
    page.number("cell[0,3,1]").tap()
    assert page.page.locator(".value").inner_text().startswith("cell[0,3,1] =")
    box = value.bounding_box()
    assert box["y"] + box["height"] <= 800
    assert panel.get_attribute("data-sheet") == "peek"
    page.page.locator(".handle").tap()
    assert panel.get_attribute("data-sheet") == "half"
    page.page.locator(".handle").tap()
    assert panel.get_attribute("data-sheet") == "peek"


@pytest.mark.parametrize("size", [(1280, 800), (1366, 640)])
@pytest.mark.parametrize("layer", ["lstm", "gru", "simple_rnn"])
def test_overview_cell_and_number_are_in_one_view(opens: Any, layer: str, size: tuple[int, int]) -> None:
    width, height = size
    page = opens(
        "-l", layer, "--return-sequences", "--seed", "1", viewport={"width": width, "height": height}
    )
    for part in (".overview", ".drawing", ".value", ".tokens"):
        box = page.page.locator(part).first.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height, part
        assert box["x"] + box["width"] <= width


def test_a_bidirectional_fits_a_low_screen(opens: Any) -> None:
    page = opens("-l", "bilstm", "--return-sequences", viewport={"width": 1366, "height": 640})
    box = page.page.locator(".drawing .xs").bounding_box()
    assert box["y"] + box["height"] <= 640
    assert page.page.locator(".drawing .number").first.bounding_box()["height"] >= 16


@pytest.mark.parametrize("width", [320, 390])
def test_the_switches_of_a_phone_take_two_rows(opens: Any, width: int) -> None:
    phone = {**PHONE, "viewport": {"width": width, "height": 700}}
    switches = opens("-l", "bigru", "--return-sequences", **phone).page.locator(".switches")
    assert switches.bounding_box()["height"] <= 2 * 46
    assert all(label.bounding_box()["height"] >= 44 for label in switches.locator("label").all())


@pytest.mark.parametrize("width", [320, 400, 768, 1280, 1920])
def test_nothing_is_cut(opens: Any, width: int) -> None:
    page = opens(
        "-l", "bilstm", "--return-sequences", "--return-state", viewport={"width": width, "height": 900}
    )
    beyond = page.ask(
        """[...document.querySelectorAll("main :is(.number, .part, .label, .card-name, button, select)")]
          .map((element) => [element.textContent, element.getBoundingClientRect()])
          .filter(([, box]) => box.width && (box.left < -0.5 || box.right > innerWidth + 0.5))
          .map(([text]) => text)"""
    )
    assert beyond == []
    assert page.ask("document.documentElement.scrollWidth") <= width


def test_escape_closes_what_hovering_says(opens: Any) -> None:
    page = opens("-l", "lstm", "--seed", "1")
    product = page.page.locator(".part.operator").first
    product.hover()
    tip = "(part) => getComputedStyle(part, '::after').display"
    assert product.evaluate(tip) != "none"
    page.page.keyboard.press("Escape")
    assert product.evaluate(tip) == "none"


def test_a_bar_has_the_same_scale_everywhere(opens: Any) -> None:
    """A gate's bar fills as much of its number as it is; a candidate's begins at the middle."""
    page = opens(*LSTM)
    share = """(number) => {
      const [bar, all] = [number.querySelector("i"), number].map((part) => part.getBoundingClientRect());
      return [(bar.x - all.x) / all.width, bar.width / all.width]; }"""
    for unit in range(3):
        for line in ("forget", "candidate"):
            address = f"{line}[0,0,{unit}]"
            value = page.ask(f"rnncli.explain('{address}').value")
            number = page.page.locator(".drawing").get_by_role("button", name=f"{address} =")
            page.page.wait_for_timeout(400)
            first, size = number.evaluate(share)
            expected = (0, value) if line == "forget" else (0.5 + min(value, 0) / 2, abs(value) / 2)
            assert (first, size) == pytest.approx(expected, abs=0.03)


def test_the_play_fills_the_steps_in_the_order_of_computation(opens: Any) -> None:
    """It begins at t=0; what is not computed yet is empty; in a step, line follows line."""
    page = opens(*LSTM)
    assert page.page.get_by_role("slider").input_value() == "0"
    assert page.page.locator(".future").count() == 0
    page.page.get_by_role("button", name="play").click()
    later = page.page.locator(".overview").get_by_role("button", name="hidden[0,3,0] =")
    assert "future" in later.get_attribute("class")
    seen: list[int] = []
    for _ in range(200):
        count = page.page.locator(".future").count()
        if not seen or seen[-1] != count:
            seen.append(count)
        if count == 0:
            break
        page.page.wait_for_timeout(50)
    assert len(seen) > 8
    assert seen[0] > seen[len(seen) // 2] > seen[-1] == 0
    assert page.page.get_by_role("slider").input_value() == "3"


def test_two_sentences_stand_side_by_side(opens: Any, rnncli: Run, tmp_path: Path) -> None:
    file = tmp_path / "bank.json"
    file.write_text(rnncli("samples", "bank").stdout)
    page = opens(str(file))
    first, second = (part.bounding_box() for part in page.page.locator(".overview").all())
    assert first["y"] == second["y"]
    assert first["x"] + first["width"] < second["x"]
    page.number("backward/hidden[1,1,0]").click()
    assert page.page.locator(".value").inner_text().startswith("backward/hidden[1,1,0]")
    page.number("forward/hidden[0,1,0]").click()
    assert page.page.locator(".value").inner_text().startswith("forward/hidden[0,1,0]")


def test_the_sheet_of_a_phone_is_raised_by_a_tap_and_a_swipe(opens: Any) -> None:
    page = opens(*LSTM, **PHONE)
    sheet, handle = page.page.locator(".panel"), page.page.locator(".handle")
    page.number("forget[0,0,1]").tap()
    page.page.wait_for_timeout(300)
    value = page.page.locator(".value b").bounding_box()
    assert value["y"] + value["height"] <= 800
    handle.tap()
    assert sheet.get_attribute("data-sheet") == "half"
    page.page.wait_for_timeout(300)
    gate = page.page.locator(".drawing").get_by_role("button", name="forget[0,0,1] =").bounding_box()
    assert gate["y"] + gate["height"] <= sheet.bounding_box()["y"]
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 12
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x, y + 90, steps=4)
    page.page.mouse.up()
    assert sheet.get_attribute("data-sheet") == "peek"
    swipe(page, (x, 700), (0, -100))
    assert sheet.get_attribute("data-sheet") == "half"
    handle.tap()
    assert sheet.get_attribute("data-sheet") == "peek"


def swipe(page: Any, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Move a finger, and keep it there for a moment, so that nothing flies on; no click follows."""
    session = page.page.context.new_cdp_session(page.page)
    for part in range(6):
        point = {axis: at + way * part / 5 for axis, at, way in zip("xy", start, by, strict=True)}
        kind = "touchMove" if part else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        page.page.wait_for_timeout(20)
    page.page.wait_for_timeout(200)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.page.wait_for_timeout(300)


def test_an_input_number_of_a_phone_is_dragged_and_written(opens: Any) -> None:
    page = opens(*LSTM, **PHONE)
    number, value = page.number("x[0,1,1]"), page.page.locator(".value")
    before = page.ask("rnncli.explain('x[0,1,1]').value")
    box = number.bounding_box()
    y = box["y"] + box["height"] / 2
    swipe(page, (box["x"] + 5, y), (50, 0))
    assert page.ask("rnncli.explain('x[0,1,1]').value") == pytest.approx(before + 0.5, abs=0.05)
    number.tap()
    assert value.inner_text().startswith("x[0,1,1] =")
    field = page.page.get_by_label("new number for x[0,1,1]")
    assert field.input_value() == f"{before + 0.5:g}"
    field.fill("1,25")
    field.press("Enter")
    assert page.ask("rnncli.explain('x[0,1,1]').value") == 1.25
    field.fill("none")
    field.press("Enter")
    assert field.input_value() == "1.25"


@pytest.mark.parametrize("width", [390, 768, 1280, 1440])
def test_no_switch_moves_when_one_is_clicked(opens: Any, width: int) -> None:
    page = opens("-l", "gru", "--seed", "1", viewport={"width": width, "height": 900})
    places = """[...document.querySelectorAll(".switches [type=checkbox]")].map((box) => {
      const { x, y } = box.getBoundingClientRect();
      return [x, y + scrollY]; })"""
    before = page.ask(places)
    for box in page.page.locator(".switches [type=checkbox]").all():
        box.click()
        assert page.ask(places) == before
    assert page.ask("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_changed_stays_where_it_is_and_its_badge_on_one_line(opens: Any, width: int) -> None:
    page = opens(*LSTM, viewport={"width": width, "height": 900})
    number = page.number("x[0,1,1]")
    before = number.bounding_box()
    number.press("+")
    page.page.get_by_role("button", name="undo").wait_for(state="visible")
    assert number.bounding_box() == before
    page.number("candidate[0,1,1]").click()
    page.number("x[0,1,1]").press("+")
    assert page.page.locator(".moved").bounding_box()["height"] < 30


@pytest.mark.parametrize("layer", ["gru", "bilstm", "@samples/cells/retnet.toml(8)"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_name_in_the_diagram_is_cut(opens: Any, layer: str, width: int) -> None:
    page = opens("-l", layer, "--seed", "1", viewport={"width": width, "height": 900})
    cut = """[...document.querySelectorAll(".card-name *")].filter((name) => {
      const [part, card] = [name, name.closest(".unit-card")].map((each) => each.getBoundingClientRect());
      return part.right > card.right + 0.5 || part.bottom > card.bottom;
    }).map((name) => name.textContent)"""
    assert page.ask(cut) == []
    is_visible = "(all) => all.every((name) => getComputedStyle(name).overflow === 'visible')"
    assert page.page.locator(".card-name, .card-name *").evaluate_all(is_visible)
    ends = """[...document.querySelectorAll(".state-name")].filter((name) => {
      const [range, drawing] = [document.createRange(), document.querySelector(".drawing")];
      range.selectNodeContents(name);
      return range.getBoundingClientRect().right > drawing.getBoundingClientRect().right + 0.5;
    }).map((name) => name.textContent)"""
    assert page.ask(ends) == []


def test_masked_steps_of_a_map_are_hatched(opens: Any) -> None:
    words = ("-l", "lstm", "--units", "12", "--return-sequences", "--seed", "1", "--mask", "[[1,0,1,0]]")
    page = opens(*words)
    hatched = page.page.locator(".map .skipped")
    assert hatched.count() == 3 * 2
    main = page.page.locator(".map").first.bounding_box()
    for index, step in enumerate((1, 3)):
        box = hatched.nth(index).bounding_box()
        assert box["x"] == pytest.approx(main["x"] + step * main["width"] / 4, abs=1)
        assert box["width"] == pytest.approx(main["width"] / 4, abs=1)
    page.mask(3)
    assert hatched.count() == 3


def test_the_sheet_opens_without_leaving_its_number(opens: Any) -> None:
    page = opens(*LSTM, **PHONE)
    page.page.locator(".overview").get_by_role("button", name="hidden[0,0,1] =").tap()
    page.page.locator(".handle").tap()
    page.page.wait_for_timeout(300)
    sheet = page.page.locator(".panel")
    assert sheet.get_attribute("data-sheet") == "half"
    chosen = page.page.locator(".overview .chosen").first.bounding_box()
    assert 0 <= chosen["y"] < chosen["y"] + chosen["height"] <= sheet.bounding_box()["y"]
