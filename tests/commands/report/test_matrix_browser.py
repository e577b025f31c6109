"""Pages of matrix cells in a browser: what is shown of a head, and what follows a change."""

from typing import Any

import pytest
from command import ROOT, Run
from opened import check_command

pytest_plugins = ["page_fixtures"]

RETURNS = ("--return-sequences", "--return-state", "--seed", "3")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def words(name: str, units: int = 8) -> tuple[str, ...]:
    return ("-l", f"@'{ROOT}/samples/cells/{name}.toml'({units})", *RETURNS)


def chosen(page: Any) -> str:
    text: str = page.page.locator(".value").inner_text()
    return text


def test_a_map_shows_the_chosen_head_and_step(opens: Any) -> None:
    page = opens(*words("gated_deltanet"))
    page.page.get_by_role("slider").fill("2")
    page.page.get_by_label("heads").fill("1")
    page.page.get_by_label("heads").press("Enter")
    figure = page.page.locator(".matrix")
    assert figure.locator("figcaption").inner_text().split("\n")[:2] == ["memory", "heads 1, t=2"]
    box = figure.locator("canvas").bounding_box()
    page.page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.9 * box["height"])
    assert chosen(page).startswith("memory[0,2,1,3,2] =")
    assert "heads 1, keys 3, values 2" in page.page.locator(".equation h2").inner_text()
    tokens = page.page.locator(".equation .tokens")
    assert tokens.get_by_role("button", name="unit_key[0,2,1,3] =").count()
    tokens.get_by_role("button", name="unit_key[0,2,1,3] =").click()
    page.page.get_by_label("heads").fill("0")
    page.page.get_by_label("heads").press("Enter")
    assert chosen(page).startswith("unit_key[0,2,0,3] =")


def test_the_returned_memory_is_that_of_the_chosen_head(opens: Any) -> None:
    page = opens(*words("gated_deltanet"))
    tensors = page.page.locator(".tensors")
    assert tensors.get_by_role("button", name="last_memory_state[0,0,").count() == 16
    page.page.get_by_label("heads").fill("1")
    page.page.get_by_label("heads").press("Enter")
    number = tensors.get_by_role("button", name="last_memory_state[0,1,3,2] =")
    value = page.ask("rnncli.compute()")["last_memory_state"][0][1][3][2]
    assert number.inner_text() == f"{value:.4f}".replace("-", "−")
    number.click()
    assert chosen(page).startswith("last_memory_state[0,1,3,2] =")
    assert page.page.locator(".equation h2").inner_text() == "last_memory_state · heads 1, keys 3, values 2"
    assert page.page.locator(".equation").get_by_role("button", name="memory[0,3,1,3,2]").count() == 0
    assert tensors.locator(".chosen").count() == 1


@pytest.mark.parametrize("name", ["gated_deltanet", "mamba", "qwen3_next"])
def test_what_follows_a_change_has_its_command(name: str, opens: Any, rnncli: Run) -> None:
    """An input number, a mask, a gate that is held and a state before the first step."""
    page = opens(*words(name))
    check_command(rnncli, page)
    before = page.ask("rnncli.compute()")["hidden_states"]
    page.number("x[0,1,2]").press("+")
    after = page.ask("rnncli.compute()")["hidden_states"]
    assert before[0][0] == after[0][0]
    assert before[0][1] != after[0][1]
    check_command(rnncli, page)
    page.mask(2)
    check_command(rnncli, page)
    page.page.get_by_role("slider").fill("0")
    start = page.page.locator(".drawing").get_by_role("button", name="memory[0,start,").first
    start.press("+")
    assert any(page.ask("rnncli.case")["initial_state"][1][0])
    check_command(rnncli, page)
    line = {"mamba": "gate"}.get(name, "beta")
    page.page.locator(".drawing").get_by_role("button", name=f"{line}[0,0,").first.click()
    page.page.locator(".hold").get_by_role("button", name="0.5").click()
    assert page.ask("rnncli.document")["hold"] == [f"{line}=0.5@0"]
    check_command(rnncli, page)


@pytest.mark.parametrize("name", ["gated_deltanet", "qwen3_next"])
def test_a_wide_cell_moves_sideways_on_a_phone_and_the_page_does_not(name: str, opens: Any) -> None:
    page = opens(*words(name), **PHONE)
    assert page.ask("document.documentElement.scrollWidth") == 390
    moving = page.page.get_by_role("group", name="The diagram of the cell")
    assert moving.evaluate("(element) => element.scrollWidth > element.clientWidth")
    assert "The diagram scrolls sideways" in page.page.locator(".cell-head").inner_text()
    number = page.page.locator(".drawing").get_by_role("button", name="memory[0,0,").first
    number.tap()
    assert chosen(page).startswith("memory[0,0,0,")
    value = page.page.locator(".value b").bounding_box()
    assert value["y"] + value["height"] <= 844


def test_an_ordinary_layer_above_one_with_matrices(opens: Any, rnncli: Run) -> None:
    """Maps without matrices; the lower layer has its own."""
    gla = f"@'{ROOT}/samples/cells/gla.toml'(8, return_sequences=True)"
    page = opens("-l", gla, "-l", "LSTM(4)", "--seed", "3")
    check_command(rnncli, page)
    assert page.page.locator(".matrix").count() == 0
    assert "false" not in page.page.locator(".maps").inner_text()
    page.page.get_by_role("combobox", name="layer").select_option(index=0)
    assert page.page.locator(".matrix").count() == 1


def test_both_halves_have_maps_of_their_matrices(opens: Any) -> None:
    page = opens("-l", f"Bidirectional({words('mlstm')[1]})", *RETURNS)
    captions = page.page.locator(".matrix figcaption b")
    assert captions.all_inner_texts() == ["forward/memory", "backward/memory"]
    assert page.page.get_by_label("map of").locator("option:checked").inner_text() == "forward/hidden"
