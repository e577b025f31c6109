"""The lesson as a page: a step at a time, with live layers, graded exercises and the handbook inside."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from browsers import check_by_axe, open_browser

from rnncli import handbook
from rnncli.commands.tour import lesson
from rnncli.commands.tour.lesson_page import write_lesson

TOPICS = [step.topics[0] for step in lesson.steps()]
EXERCISES = [f"exercise-{exercise.number}" for exercise in lesson.exercises()]
LIVE = [step.topics[0] for step in lesson.steps() if step.commands[0].split()[1] in ("run", "trace")]
LIVE.insert(LIVE.index("bidirectional") + 1, "bank")
"""Steps that run a layer, and the second look of one."""

Opens = Callable[..., Any]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    path.write_text(write_lesson("en"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as started:
        yield started


@pytest.fixture
def lesson_at(browser: Any, file: Path) -> Iterator[Opens]:
    """Return what opens the lesson at an address; it must complain about nothing, and load nothing."""
    faults: list[str] = []
    contexts = []

    def open_at(address: str = "", width: int = 1280, height: int = 800, **context: Any) -> Any:
        contexts.append(
            browser.new_context(viewport={"width": width, "height": height}, offline=True, **context)
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(5_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text))
        page.goto(file.as_uri() + address)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert faults == []


def seen(page: Any) -> list[str]:
    """Return the ids of the steps that are visible."""
    script = "all => all.filter((each) => each.checkVisibility()).map((each) => each.id)"
    return page.eval_on_selector_all("h2[id]", script)  # type: ignore[no-any-return]


def wait_for(page: Any, name: str) -> None:
    """Wait until a step is the one that is visible: the browser follows links later."""
    page.wait_for_function(f"() => document.getElementById('{name}').checkVisibility()")
    assert seen(page) == [name]


def test_every_step_and_exercise_has_a_heading_and_a_line_of_contents(lesson_at: Opens, file: Path) -> None:
    assert file.stat().st_size < 700_000
    page = lesson_at()
    ids = page.eval_on_selector_all("h2[id]", "all => all.map((heading) => heading.id)")
    links = page.eval_on_selector_all(".deck-contents a", "all => all.map((link) => link.hash)")
    assert ids == [*TOPICS, *EXERCISES]
    assert links == [f"#{name}" for name in ids]
    assert seen(page) == TOPICS[:1]


def test_a_step_at_a_time_by_buttons_keys_and_contents(lesson_at: Opens) -> None:
    page = lesson_at()
    page.get_by_role("button", name="Next").click()
    assert (seen(page), page.url.rpartition("#")[2]) == ([TOPICS[1]], TOPICS[1])
    assert page.evaluate("document.activeElement.id") == TOPICS[1]
    page.keyboard.press("ArrowRight")
    assert seen(page) == [TOPICS[2]]
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Back").click()
    assert seen(page) == [TOPICS[0]]
    assert page.get_by_role("button", name="Back").is_disabled()
    page.get_by_role("link", name="Next: ").click()
    wait_for(page, TOPICS[1])
    page.get_by_role("button", name="Contents").click()
    assert page.locator(".deck-contents").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator(".deck-contents").is_visible()
    page.get_by_role("button", name="Contents").click()
    page.locator('.deck-contents a[href="#masks"]').click()
    wait_for(page, "masks")
    assert not page.locator(".deck-contents").is_visible()
    assert page.get_by_role("progressbar").get_attribute("value") == str(TOPICS.index("masks") + 1)
    page.go_back()
    wait_for(page, TOPICS[1])


def test_arrows_inside_a_layer_and_a_field_turn_no_page(lesson_at: Opens) -> None:
    page = lesson_at("#lstm")
    page.locator(".step:not([hidden]) .live .play").focus()
    page.keyboard.press("ArrowRight")
    assert seen(page) == ["lstm"]
    page = lesson_at("#exercise-1")
    page.get_by_role("textbox").fill("row 9")
    page.keyboard.press("ArrowLeft")
    assert seen(page) == ["exercise-1"]


def test_a_swipe_over_the_text_turns_the_page(lesson_at: Opens) -> None:
    page = lesson_at("#lstm", width=390, height=844, has_touch=True)
    swipe(page, (300, 200), (100, 215))
    assert seen(page) == ["lstm_both"]
    swipe(page, (100, 200), (300, 190))
    assert seen(page) == ["lstm"]
    swipe(page, (200, 500), (190, 200))
    page.evaluate("document.querySelector('.step:not([hidden]) .live').scrollIntoView()")
    swipe(page, (300, 400), (60, 400))
    assert seen(page) == ["lstm"]


def swipe(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Swipe with a finger, until the page has seen its end: a scroll of the browser cancels a touch."""
    page.evaluate(
        """() => {
          globalThis.isLifted = false;
          const lift = () => { globalThis.isLifted = true; };
          for (const end of ["touchend", "touchcancel"]) addEventListener(end, lift);
        }"""
    )
    touch = page.context.new_cdp_session(page)
    points = [[{"x": x, "y": y}] for x, y in (start, ((start[0] + end[0]) / 2, start[1]), end)]
    for kind, point in zip(("touchStart", "touchMove", "touchMove"), points, strict=True):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": point})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("() => isLifted")


@pytest.mark.parametrize("width", [1280, 1920])
def test_slides_are_larger_and_turn_by_a_remote(lesson_at: Opens, width: int) -> None:
    page = lesson_at("#slides", width=width, height=1080)
    size = "document.querySelector('.step:not([hidden]) .deck-above').getBoundingClientRect().height"
    large = page.evaluate(size)
    assert seen(page) == TOPICS[:1]
    page.keyboard.press("PageDown")
    assert seen(page) == [TOPICS[1]]
    page.keyboard.press("PageUp")
    page.get_by_role("button", name="Projector size").click()
    assert page.evaluate(size) < large / 1.2
    assert seen(lesson_at("#slides/masks")) == ["masks"]


@pytest.mark.parametrize(
    ("width", "height", "lang"),
    [(320, 640, "ko"), (390, 844, "en"), (768, 1024, "ko"), (1280, 800, "en"), (1920, 1080, "ko")],
)
def test_no_step_is_wider_than_the_window(lesson_at: Opens, width: int, height: int, lang: str) -> None:
    page = lesson_at(width=width, height=height)
    page.get_by_label("Language").select_option(lang)
    for name in (*TOPICS, *EXERCISES):
        page.evaluate(f"location.hash = '{name}'")
        wait_for(page, name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_layers_are_drawn_when_they_are_first_seen(lesson_at: Opens) -> None:
    page = lesson_at()
    drawn = "[...document.querySelectorAll('.live:not(:empty)')].map((root) => root.dataset.step)"
    in_korean = [f"{step.topics[0]}-ko" for step in lesson.steps() if step.commands_ko]
    assert sorted(page.evaluate("Object.keys(rnncli.steps)")) == sorted([*LIVE, *in_korean])
    numbers = page.evaluate("rnncli.steps.simple_rnn.compute().hidden_state[0]")
    assert numbers == pytest.approx([0.6188, 0.9852, -0.9406], abs=1e-4)
    assert page.evaluate(drawn) == ["note"]
    page.evaluate("location.hash = 'bidirectional'")
    page.wait_for_function(f"() => {drawn}.length === 2")
    page.locator(".look:visible summary").first.click()
    page.wait_for_function(f"() => {drawn}.length === 3")
    assert page.evaluate(drawn) == ["note", "bidirectional", "bank"]


@pytest.mark.parametrize("topic", ["gates", "masks"])
def test_a_reader_of_korean_gets_a_korean_sentence(lesson_at: Opens, topic: str) -> None:
    page = lesson_at(f"#{topic}")
    for lang, sample, word in (("en", "review", "not"), ("ko", "review_ko", "않다"), ("en", "review", "not")):
        page.get_by_label("Language").select_option(lang)
        heads = page.locator(".step:visible .live:visible .time").all_inner_texts()
        assert any(word in head for head in heads)
        live = page.locator(".step:visible > .live").locator("visible=true")
        assert (live.count(), live.get_attribute("data-lang")) == (1, lang)
        shown = page.locator(f".step:visible .said-{lang} .commands pre.shell").first
        assert f" {sample} " in f"{shown.text_content()} "
    page.get_by_label("Language").select_option("ko")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    steps = "all => all.filter((each) => each.checkVisibility()).map((each) => each.dataset.step)"
    assert f"{topic}-ko" in page.eval_on_selector_all(".live", steps)
    assert topic not in page.eval_on_selector_all(".live", steps)


def test_exercises_are_graded_in_place_and_lead_to_their_step(lesson_at: Opens) -> None:
    page = lesson_at("#exercise-1")
    answer = page.locator("#answer-1")
    for text, said in (("the top", "For example: row 9"), ("row 99", "Not right")):
        answer.get_by_role("textbox").fill(text)
        answer.get_by_role("button").click()
        assert said in answer.inner_text()
    page.get_by_label("Language").select_option("ko")
    assert answer.get_by_role("textbox").input_value() == "row 99"
    page.locator(".step:not([hidden]) .deck-about a:visible").click()
    assert seen(page) == [lesson.exercises()[0].about]


def test_the_handbook_is_inside(lesson_at: Opens) -> None:
    page = lesson_at("#masks")
    page.locator(".handbook summary:visible").click()
    assert page.get_by_role("heading", name="What a masked step puts out").is_visible()
    texts = page.eval_on_selector_all(".handbook summary", "all => all.map((each) => each.textContent)")
    pages = [topic for step in lesson.steps() for topic in step.topics if topic in handbook.TOPICS]
    assert [text.partition(":")[0] for text in texts] == [topic for topic in pages for _ in ("en", "ko")]
    assert "rnncli help" not in " ".join(page.locator(".told > div > p").all_text_contents())


def test_pages_of_the_handbook_are_inside_whole_or_named_as_a_command(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    inside = {topic for step in lesson.steps() for topic in step.topics} & {*handbook.TOPICS}
    for topic in inside:
        assert handbook.as_html(topic, "en") in text, topic
        assert handbook.as_html(topic, "ko") in text, topic
    links = re.findall(r'href="#?([^"]*)"', text)
    assert not {*handbook.TOPICS} - inside & {*links}
    assert re.findall(r"(?<!rnncli )\bhelp (?:cells|porting|models|python|states)\b", text) == []


def test_a_page_of_the_handbook_has_room(lesson_at: Opens) -> None:
    page = lesson_at("#masks", width=1366, height=640)
    summary = page.locator(".handbook summary:visible")
    summary.scroll_into_view_if_needed()
    before = summary.bounding_box()["y"]
    summary.click()
    assert summary.bounding_box()["y"] == before
    assert page.locator(".handbook:visible").bounding_box()["width"] > 700
    above = """(text) => {
      const { left, right, top } = text.getBoundingClientRect();
      return text.contains(document.elementFromPoint((left + right) / 2, top + 5));
    }"""
    text = page.locator(".handbook:visible p").first
    text.scroll_into_view_if_needed()
    assert text.evaluate(above)


def test_a_masked_step_is_marked_and_zero_has_no_sign(lesson_at: Opens) -> None:
    page = lesson_at("#masks")
    heads = page.locator(".step:visible .time")
    marked = [heads.nth(index).get_attribute("title") for index in range(6)]
    assert marked == ["", "", "", "masked", "", ""]
    assert "line-through" in heads.nth(3).evaluate("(head) => getComputedStyle(head).textDecorationLine")
    page.locator('.step:visible [data-key="mask"]').click()
    assert heads.first.get_attribute("title") == "masked"
    page = lesson_at("#gru", width=1366, height=640)
    numbers = page.locator(".step:visible .overview .number").all_inner_texts()
    assert "0.0" in numbers
    assert "−0.0" not in numbers


def test_without_script_it_is_one_long_page_with_contents(lesson_at: Opens) -> None:
    page = lesson_at(java_script_enabled=False)
    assert page.locator("h1").bounding_box()["x"] >= 16
    for name in (*TOPICS, *EXERCISES):
        assert page.locator(f"#{name}").is_visible()
    assert page.locator(".deck-contents").is_visible()
    assert page.locator("#lstm").locator("xpath=ancestor::section").get_by_role("table").first.is_visible()


def test_the_print_has_every_step_with_its_picture_its_table_and_its_answer(lesson_at: Opens) -> None:
    page = lesson_at("#lstm")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert seen(page) == [*TOPICS, *EXERCISES]
    tables = "all => all.every((each) => each.checkVisibility())"
    assert page.eval_on_selector_all(".said-en > .repeated", tables)
    assert page.eval_on_selector_all(".said-en > details.answer", "all => all.every((each) => each.open)")
    drawn = """(all) => all.filter((cell) => cell.checkVisibility())
      .map((cell) => cell.closest(".live").dataset.step)"""
    assert page.eval_on_selector_all(".drawing", drawn) == LIVE
    assert not page.locator(".deck-bar").is_visible()
    assert page.pdf()[:4] == b"%PDF"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen(page) == ["lstm"]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_on_paper_the_picture_stands_with_its_text(lesson_at: Opens, lang: str) -> None:
    page = lesson_at("#note", width=800, height=600)
    page.get_by_label("Language").select_option(lang)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 739, "height": 979})  # what chromium --print-to-pdf prints on
    height = "(name) => document.getElementById(name).closest('section').getBoundingClientRect().height"
    for name in ("note", "gates", "masks"):
        assert page.evaluate(height, name) <= 979, name
    commands = page.locator(f"#note >> xpath=.. >> .said-{lang} .commands pre.shell").locator("visible=true")
    assert [text.split()[:3] for text in commands.all_inner_texts()] == [["rnncli", "trace", "note"]]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_step_takes_three_screens_of_a_phone_at_most(lesson_at: Opens, lang: str) -> None:
    page = lesson_at(width=390, height=844, is_mobile=True, has_touch=True)
    page.get_by_label("Language").select_option(lang)
    for name in (*TOPICS, *EXERCISES):
        page.evaluate(f"location.hash = '{name}'")
        wait_for(page, name)
        assert page.evaluate("document.documentElement.scrollHeight") <= 3 * 844, name


def test_on_a_phone_the_sheet_covers_its_own_layer_alone(lesson_at: Opens) -> None:
    page = lesson_at("#note", width=390, height=844, is_mobile=True, has_touch=True)
    panel, told = (page.locator(f".step:visible {part}").first for part in (".panel", ".told"))
    for top in (0, 300):
        page.evaluate(f"scrollTo(0, {top})")
        end = told.bounding_box()
        assert panel.bounding_box()["y"] >= end["y"] + end["height"]
    page.locator(".step:visible .overview").evaluate("(overview) => overview.scrollIntoView()")
    sheet = panel.bounding_box()
    assert (sheet["y"] + sheet["height"], sheet["width"]) == (844, 390)
    page.evaluate("scrollTo(0, 1e6)")
    sheet, link = panel.bounding_box(), page.locator(".deck-next").bounding_box()
    assert sheet["y"] + sheet["height"] <= link["y"]


def test_a_table_that_scrolls_sideways_shows_it(lesson_at: Opens) -> None:
    """At the side where there is more: what tells is the shadow, as it is not there when all is seen."""
    image = pytest.importorskip("PIL.Image")
    page = lesson_at("#exercise-7", width=390, height=844)
    table = page.locator(".step:visible .scroll:visible")

    def shades() -> tuple[int, int]:
        """Return the light of the left and the right edge, below the last row."""
        with image.open(BytesIO(table.screenshot())) as shot:
            pixels = shot.convert("L")
            return pixels.getpixel((1, pixels.height - 2)), pixels.getpixel(
                (pixels.width - 2, pixels.height - 2)
            )

    left, right = shades()
    assert right < left - 20
    table.evaluate("(box) => { box.scrollLeft = 1e6; }")
    left, right = shades()
    assert left < right - 20
    table = lesson_at("#exercise-7").locator(".step:visible .scroll:visible")
    left, right = shades()
    assert left == right


@pytest.mark.parametrize("script", [True, False])
def test_numbers_of_tables_are_aligned(lesson_at: Opens, script: bool) -> None:
    page = lesson_at("#exercise-4", java_script_enabled=script)
    rows = page.locator("#exercise-4 ~ .said-en .number")
    texts = rows.all_text_contents()
    assert len({len(text) for text in texts}) == 1
    assert {text[0] for text in texts} == {" ", "-"}
    assert len({row.bounding_box()["width"] for row in rows.all()}) == 1
    assert {row.evaluate("(box) => getComputedStyle(box).whiteSpace") for row in rows.all()} == {"pre"}


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_marks_beside_numbers_are_in_view(lesson_at: Opens, lang: str) -> None:
    page = lesson_at(width=1366, height=640)
    page.get_by_label("Language").select_option(lang)
    cut = "boxes => boxes.filter((box) => box.checkVisibility() && box.scrollWidth > box.clientWidth).length"
    for name in (*TOPICS, *EXERCISES):
        page.evaluate(f"location.hash = '{name}'")
        wait_for(page, name)
        assert page.eval_on_selector_all(".told .scroll", cut) == 0, name


LOWEST = "cards => Math.min(...cards.map((each) => each.checkVisibility() ? each.clientHeight : Infinity))"
COVERED = """(names) => names.filter((name) => name.checkVisibility()).filter((name) => {
  const text = document.createRange();
  text.selectNodeContents(name);
  const one = text.getBoundingClientRect();
  return [...name.closest(".drawing").querySelectorAll(".at .number")].some((number) => {
    const other = number.getBoundingClientRect();
    const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    return across > 1 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 2;
  });
}).map((name) => name.textContent)"""
"""The names of states that a number covers."""


@pytest.mark.parametrize(("width", "height"), [(1366, 640), (1280, 800), (390, 844)])
def test_bars_have_the_height_of_their_numbers(lesson_at: Opens, width: int, height: int) -> None:
    page = lesson_at(width=width, height=height)
    for name in TOPICS:
        page.evaluate(f"location.hash = '{name}'")
        wait_for(page, name)
        if name in LIVE:
            assert page.eval_on_selector_all(".unit-card .number", LOWEST) >= 14, name
            assert page.eval_on_selector_all(".state-name, .x-name", COVERED) == [], name


def test_slides_fit_a_projector(lesson_at: Opens) -> None:
    page = lesson_at("#slides", width=1920, height=1080)
    for name in LIVE:
        if name not in ("bank", "bidirectional"):  # its second look stands below
            page.evaluate(f"location.hash = 'slides/{name}'")
            wait_for(page, name)
            assert page.evaluate("document.documentElement.scrollHeight") <= 1080, name
            box = page.locator(".step:visible .drawing").bounding_box()
            assert name == "backward_state" or box["y"] < 1080 - 200, name


@pytest.mark.parametrize("name", ["lstm_both", "masks"])
def test_cell_and_number_stand_side_by_side(lesson_at: Opens, name: str) -> None:
    page = lesson_at(f"#{name}")
    cell, value = (page.locator(f".step:visible {part}").bounding_box() for part in (".drawing", ".value"))
    assert cell["x"] + cell["width"] < value["x"]
    assert cell["y"] - 50 < value["y"] < cell["y"] + cell["height"] <= 800


def test_a_layer_is_not_stretched_to_the_height_of_its_text(lesson_at: Opens) -> None:
    page = lesson_at("#stateful")
    top, overview = (page.locator(f".step:visible {part}").bounding_box() for part in (".top", ".overview"))
    assert overview["y"] - top["y"] - top["height"] < 80


def test_axe_finds_nothing_in_the_deck(lesson_at: Opens) -> None:
    page = lesson_at("#slides")
    check_by_axe(page)
    for name in (*TOPICS, EXERCISES[0]):
        page.evaluate(f"location.hash = 'slides/{name}'")
        wait_for(page, name)
        check_by_axe(page, f"section:has(#{name})")


@pytest.mark.slow
def test_the_answers_can_be_left_out() -> None:
    assert 'class="answer"' in write_lesson("en")
    assert 'class="answer"' not in write_lesson("en", answers=False)
