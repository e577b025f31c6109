"""The page in a browser: what a reader sees of a change, and of the number that was chosen before it."""

from __future__ import annotations

from typing import Any

import pytest
from opened import LSTM, Opened

pytest_plugins = ["page_fixtures"]


def chosen(page: Opened) -> Any:
    """Return the address of the number whose equation is shown, framed in the picture."""
    shown = page.page.locator(".value").inner_text()
    assert "∞" not in shown, shown
    assert "NaN" not in shown, shown
    assert page.page.locator(".picture .chosen").count() == 1, shown
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
        "hidden_states[0,3,2]",
        "hidden_states[0,4,0]",
        "cell[0,0,2]",
        "x[0,0,5]",
        "x[1,0,0]",
        "cell[0,-1,0]",
    ):
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
    assert chosen(page) == "hidden_states[0,3,0]"
    page.page.get_by_role("button", name="← forget[0,1,1]").click()
    assert chosen(page) == "forget[0,1,1]"
    page = opens("-l", "gru", "--seed", "1")
    page.number("candidate[0,2,1]").click()
    page.page.get_by_label("reset_after").uncheck()
    assert chosen(page) == "candidate[0,2,1]"


def lines_from(page: Opened, box: str) -> Any:
    """Return the points of the arrows of hidden states that begin at a side of a box, or below it."""
    return page.ask(
        f"""(() => {{
          const origin = document.querySelector(".grid").getBoundingClientRect();
          const box = document.querySelectorAll(".box")[{box}];
          const {{ left, right, bottom }} = box.getBoundingClientRect();
          return [...document.querySelectorAll(".lines polyline.hidden")]
            .map((line) => line.getAttribute("points").split(" ").map(Number))
            .filter(([x, y]) => y > bottom - origin.y - 20 && y < bottom - origin.y + 1
              && x >= left - origin.x - 1 && x <= right - origin.x + 1);
        }})()"""
    )


@pytest.mark.parametrize("merge", ["sum", "mul", "ave"])
def test_a_merged_last_output_comes_from_the_first_step_of_the_backward_half(opens: Any, merge: str) -> None:
    page = opens("-l", f"Bidirectional(LSTM(2), merge_mode='{merge}')", "--seed", "1")
    assert page.page.locator(".returned.dashed").count() == 2
    assert [len(lines_from(page, str(box))) for box in range(8)] == [0, 0, 0, 1, 1, 0, 0, 0]
    end = lines_from(page, "4")[0][-2]
    result = page.ask("document.querySelector('.cells.returned:not(.dashed)').getBoundingClientRect().x")
    assert end > result - page.ask("document.querySelector('.grid').getBoundingClientRect().x")


@pytest.mark.slow
def test_no_arrow_leads_from_a_masked_step_to_the_0_that_is_returned(opens: Any) -> None:
    page = opens("-l", "bilstm", "--return-sequences", "--mask", "[[1,1,1,0]]", "--seed", "1")
    assert [len(lines_from(page, str(box))) for box in range(8)] == [1, 1, 1, 0, 1, 1, 1, 0]
    page = opens("-l", "lstm", "--return-sequences", "--mask", "[[0,1,0,1]]", "--seed", "1")
    assert [len(lines_from(page, str(box))) for box in range(4)] == [0, 1, 1, 1]


def test_a_number_that_depends_on_no_input_says_so(opens: Any) -> None:
    page = opens(*LSTM, "--mask", "[[1,1,0,1]]")
    equation = page.page.locator(".equation")
    page.number("hidden[0,1,0]").click()
    assert page.page.locator(".depends i").count() == 2
    page.number("forget[0,3,1]").click()
    page.page.locator(".hold").get_by_role("button", name="0.5", exact=True).click()
    assert "This number does not depend on the input." in equation.inner_text()
    assert page.page.locator(".depends").count() == 0
    heights = page.page.locator(".matter").evaluate_all("(bars) => bars.map((bar) => bar.offsetHeight)")
    assert set(heights) == {0}


def test_a_minus_sign_is_the_same_everywhere(opens: Any) -> None:
    page = opens(*LSTM)
    page.number("input[0,3,1]").click()
    values = page.page.locator(".weight").evaluate_all("(fields) => fields.map((field) => field.value)")
    assert any(value.startswith("−") for value in values)
    assert not any("-" in value for value in values)
    weight = page.page.get_by_label("kernel[0,1], a weight: type another number", exact=True)
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
    for act in ("check", "uncheck"):
        getattr(page.page.get_by_role("checkbox", name="mask t=1"), act)()
        changed = glowing(page, ".picture")
        assert {"hidden[0,1,0]", "cell[0,2,1]", "forget[0,3,0]", "hidden_states[0,3,2]"} <= set(changed)
        assert not [name for name in changed if "[0,0," in name]
        page.page.locator('.picture .number[style*="--glow: 1"]').first.wait_for(state="detached")
        assert glowing(page, ".picture") == []


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


def test_bars_have_a_frame_and_a_zero_line(opens: Any) -> None:
    edges = """(bar) => { const height = bar.offsetHeight, i = getComputedStyle(bar, "::before");
      return [height - 2, parseFloat(i.height), i.borderTopStyle, i.borderBottomWidth, i.bottom]; }"""
    for colors in ("none", "active"):
        page = opens(*LSTM, forced_colors=colors)
        inner, height, style, below, bottom = page.number("forget[0,1,0]").evaluate(edges)
        assert (height + 2, style, below, bottom) == (inner, "solid", "1px", "0px")
        inner, _, style, below, bottom = page.number("candidate[0,1,0]").evaluate(edges)
        assert (style, below, bottom) == ("solid", "0px", f"{inner / 2:g}px")


PHONE: dict[str, Any] = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}


def is_in_view(page: Opened, address: str) -> bool:
    """Return whether a number is between the labels of the picture and its right edge."""
    box = page.number(address).bounding_box()
    labels = page.page.locator(".backdrop").bounding_box()
    return bool(labels["x"] + labels["width"] <= box["x"] and box["x"] + box["width"] <= 400)


def test_the_chosen_number_is_in_view(opens: Any) -> None:
    page = opens(*LSTM, **PHONE)
    slider = page.page.get_by_role("slider")
    assert slider.input_value() == "3"
    assert is_in_view(page, "hidden_states[0,3,0]")
    slider.fill("0")
    assert is_in_view(page, "hidden_states[0,0,0]")
    page.page.locator(".tensors").get_by_role("button", name="hidden_states[0,2,1] =").tap()
    assert is_in_view(page, "hidden_states[0,2,1]")
    assert slider.input_value() == "2"


def test_what_the_bar_of_a_phone_says_is_true(opens: Any) -> None:
    page = opens(*LSTM, **PHONE)
    said, value = page.page.locator(".status"), page.page.locator(".value b")
    page.number("forget[0,3,1]").tap()
    assert said.inner_text().startswith(f"forget[0,3,1] = {value.inner_text()}")
    weight = page.page.locator(".weight").first
    weight.fill("5")
    weight.press("Enter")
    assert said.inner_text().startswith(f"forget[0,3,1] = {value.inner_text()}")
    page.page.get_by_role("slider").fill("1")
    assert said.inner_text() == ""
    page.number("forget[0,1,1]").press("Enter")
    page.number("forget[0,2,1]").tap()
    page.ask("scrollTo(0, document.documentElement.scrollHeight)")
    controls = page.page.locator("button:visible, input:visible").evaluate_all(
        "(all) => Math.max(...all.map((control) => control.getBoundingClientRect().bottom))"
    )
    assert controls <= said.bounding_box()["y"]


@pytest.mark.parametrize("width", [400, 1280])
def test_an_edge_behind_which_there_is_more_is_shaded(opens: Any, width: int) -> None:
    page = opens(
        "-l", "bilstm", "--return-sequences", "--return-state", viewport={"width": width, "height": 900}
    )
    edges = page.page.locator(".edges")

    def shaded() -> set[str]:
        return {name for name in ("more-left", "more-right") if name in edges.get_attribute("class")}

    for left, expected in ((0, {"more-right"}), (4, {"more-left", "more-right"}), (9999, {"more-left"})):
        page.page.locator(".frame").evaluate("(frame, left) => { frame.scrollLeft = left; }", left)
        page.page.wait_for_timeout(100)
        assert shaded() == expected


@pytest.mark.slow
def test_a_picture_that_fits_has_no_shade_and_does_not_scroll(opens: Any) -> None:
    page = opens(*LSTM)
    assert page.page.locator(".edges").get_attribute("class") == "edges"
    assert page.page.locator(".frame").evaluate("(frame) => frame.scrollWidth === frame.clientWidth")
    page.page.get_by_role("checkbox", name="mask t=1").check()
    frames = "(bar) => getComputedStyle(bar).borderTopColor"
    assert page.number("forget[0,1,0]").evaluate(frames) == "rgba(0, 0, 0, 0)"
