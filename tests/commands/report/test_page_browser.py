"""The page in a browser: what it shows, what follows a change, and how it can be used."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from browsers import check_by_axe
from command import Run
from opened import LSTM, check_command

pytest_plugins = ["page_fixtures"]

SMALL = """[...document.querySelectorAll(".vector, .unit-card, .part, .time, .play, .handle, select, .open")]
    .map((control) => [control.ariaLabel, control.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.width < 24 || box.height < 20.5))
    .map(([name, box]) => `${name} ${box.width} ${box.height}`)"""
"""The targets of less than 24 pixels; between vectors of the overview there are 3 more."""


def test_every_combination_of_switches_has_its_command(opens: Any, rnncli: Run) -> None:
    for layer, forms in (("lstm", [None]), ("gru", [True, False])):
        page = opens("-l", layer, "--seed", "42")
        for sequences, state, merge, form in product(
            (False, True), (False, True), ("", "concat", "sum", "mul", "ave", "none"), forms
        ):
            page.page.get_by_label("return_sequences").set_checked(sequences)
            page.page.get_by_label("return_state").set_checked(state)
            page.page.get_by_label("Bidirectional").set_checked(bool(merge))
            if merge:
                page.page.get_by_label("merge_mode").select_option(merge)
            if form is not None:
                page.page.get_by_label("reset_after").set_checked(form)
            check_command(rnncli, page)
            assert ("case.json" in page.ask("rnncli.command")) == bool(merge)


def test_sequences_are_chosen_by_their_names(opens: Any, rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "days.csv").write_text("day,a\nmon,1\nmon,2\n<tue>,3\n<tue>,4\n")
    words = (str(tmp_path / "days.csv"), "--batch-column", "day", *LSTM)
    page = opens(*words)
    page.page.get_by_role("combobox", name="sequence").select_option("<tue>")
    assert page.number("x[1,0,0]").count()
    ours = json.loads(rnncli("run", *words, "-f", "json").stdout)["outputs"]
    theirs = page.ask("rnncli.document")["outputs"]
    assert (
        [tensor["batch"] for tensor in theirs]
        == [tensor["batch"] for tensor in ours]
        == [["mon", "<tue>"]] * 3
    )


def test_dragging_an_input_number_changes_what_follows(opens: Any, rnncli: Run) -> None:
    page = opens(*LSTM)
    before = page.ask("rnncli.compute()")["hidden_states"][0]
    box = page.number("x[0,1,2]").bounding_box()
    x, y = box["x"] + 10, box["y"] + 10
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + 50, y + 3, steps=5)
    page.page.mouse.move(x + 100, y + 3, steps=5)
    page.page.wait_for_function("() => document.querySelector('.dragged')?.textContent === '3.50'")
    glowing = page.ask(
        "[...document.querySelectorAll('.number')].filter((number) => "
        "number.style.getPropertyValue('--glow') > 0).map((number) => number.ariaLabel)"
    )
    assert glowing
    assert not [name for name in glowing if ",0," in name.split("=")[0][1:] and "[0,0," in name]
    page.page.mouse.up()
    after = page.ask("rnncli.compute()")["hidden_states"][0]
    assert before[0] == after[0]
    assert all(a != b for a, b in zip(before[1:], after[1:], strict=True))
    check_command(rnncli, page)
    page.page.get_by_role("button", name="All numbers as they were").click()
    assert page.ask("rnncli.compute()")["hidden_states"][0] == before


def test_dragging_by_touch(opens: Any) -> None:
    page = opens(*LSTM, viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    page.number("x[0,3,0]").scroll_into_view_if_needed()
    box = page.number("x[0,3,0]").bounding_box()
    session = page.context.new_cdp_session(page.page)
    x, y = box["x"] + 10, box["y"] + 10

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": at[0], "y": at[1]} for at in points]},
        )

    touch("touchStart", (x, y))
    for step in range(1, 11):
        touch("touchMove", (x - 5 * step, y))
    touch("touchEnd")
    page.page.wait_for_timeout(100)
    label = page.number("x[0,3,0]").get_attribute("aria-label")
    assert label.startswith("x[0,3,0] = 1.7"), label


def test_the_keyboard_alone(opens: Any, rnncli: Run) -> None:
    page = opens(*LSTM)
    keys = page.page.keyboard
    page.ask("document.querySelector('.overview [tabindex=\"0\"]').focus()")
    focused = "document.activeElement.ariaLabel"
    assert page.ask(focused).startswith("hidden[0,0,0] =")
    keys.press("ArrowRight")
    assert page.ask(focused).startswith("hidden[0,1,0] =")
    keys.press("ArrowUp")
    assert page.ask(focused).startswith("cell[0,1,2] =")
    keys.press("Enter")
    assert page.page.locator(".value").inner_text().startswith("cell[0,1,2] = ")
    assert page.ask(focused).startswith("cell[0,1,2] =")
    for _ in range(15):
        keys.press("ArrowUp")
    name = page.ask(focused)
    assert name.startswith("x[0,1,4]")
    address = name.split(" =")[0]
    value = float(name.split("= ")[1])
    keys.press("+")
    assert float(page.ask(focused).split("= ")[1]) == pytest.approx(value + 0.1)
    keys.type("2.5")
    keys.press("Enter")
    assert page.ask(focused) == f"{address} = 2.50"
    assert address in page.page.locator(".status").inner_text()
    check_command(rnncli, page)
    for part in (".overview", ".drawing"):
        assert len(page.ask(f"[...document.querySelectorAll('{part} [tabindex=\"0\"]')]")) == 1


def test_an_equation_opens_its_numbers(opens: Any) -> None:
    page = opens(*LSTM)
    page.number("cell[0,3,0]").click()
    equation = page.page.locator(".equation")
    assert "cell = forget ⊙ cell[t-1] + input ⊙ candidate" in equation.inner_text()
    equation.get_by_role("button", name="candidate[0,3,0] =").click()
    assert equation.locator(".value").inner_text().startswith("candidate[0,3,0]")
    equation.get_by_role("button", name="← cell[0,3,0]").click()
    assert equation.locator(".value").inner_text().startswith("cell[0,3,0]")


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_axe_finds_nothing(opens: Any, width: int, lang: str) -> None:
    for words in (
        LSTM,
        ("-l", "bigru", "--seed", "1"),
        ("-l", "lstm", "--units", "20", "--input-shape", "2,30,4", "--seed", "1"),
    ):
        page = opens(*words, "--lang", lang, viewport={"width": width, "height": 900})
        page.page.locator(".picture .drag").first.press("+")
        check_by_axe(page.page)
        assert page.ask("document.documentElement.scrollWidth <= innerWidth")


def test_targets_have_24_pixels(opens: Any) -> None:
    page = opens(*LSTM)
    page.number("x[0,0,0]").press("+")
    assert page.ask(SMALL) == []


def test_the_page_never_scrolls_sideways(opens: Any) -> None:
    for words in (
        LSTM,
        ("-l", "bilstm", "--return-sequences", "--return-state"),
        ("-l", "gru", "--input-shape", "1,60,12", "--units", "16"),
    ):
        page = opens(*words, viewport={"width": 320, "height": 700})
        assert page.ask("document.documentElement.scrollWidth") <= 320


def test_hostile_names_are_text(opens: Any, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('"<img src=x onerror=alert(1)>","</script><b>"\n1,2\n3,4\n')
    page = opens(str(table), "-l", "lstm", "--seed", "1")
    page.number("input[0,1,0]").click()
    assert "<img src=x onerror=alert(1)>" in page.page.locator(".terms").inner_text()
    assert page.page.locator("img").count() == 0


def test_nan_and_infinity_in_the_input(opens: Any) -> None:
    page = opens(
        '[[["NaN", 1], ["Infinity", 0.5], [1, 2]]]', "-l", "lstm", "--return-sequences", "--seed", "1"
    )
    assert page.ask("rnncli.compute().hidden_states[0][2][0]") == "NaN"
    assert "NaN" in page.page.locator(".tensors").inner_text()


def test_without_scripts_the_tables_are_there(opens: Any) -> None:
    text = opens(*LSTM, java_script_enabled=False).page.locator("body").inner_text()
    assert "last_cell_state" in text
    assert "forget" in text
    assert "0.2348" in text


def test_it_prints(opens: Any, tmp_path: Path) -> None:
    paper = opens(*LSTM).page.pdf(path=str(tmp_path / "a.pdf"))
    assert paper.startswith(b"%PDF")
    assert len(paper) > 10_000


def test_both_languages_are_in_the_page(opens: Any) -> None:
    page = opens(*LSTM)
    assert "What the layer returns" in page.page.locator("body").inner_text()
    page.page.get_by_label("Language").select_option("ko")
    assert "What the layer returns" not in page.page.locator("body").inner_text()
    assert page.ask("document.documentElement.lang") == "ko"


def test_a_large_layer_has_a_map(opens: Any, rnncli: Run) -> None:
    page = opens(
        "-l", "lstm", "--units", "24", "--input-shape", "3,50,8", "--return-sequences", "--seed", "3"
    )
    assert page.page.locator(".map canvas").count() == 2
    page.page.get_by_role("combobox", name="sequence").select_option("2")
    page.page.get_by_role("combobox", name="map of").select_option(label="forget")
    page.page.locator(".map canvas").first.click(position={"x": 5, "y": 5})
    assert page.page.locator(".value").inner_text().startswith("forget[2,0,")
    page.page.get_by_role("slider").fill("20")
    assert "[2,20," in page.page.locator(".value").inner_text()
    assert page.page.locator(".over-time polyline").count() == 6
    line = page.page.locator(".over-time .chosen")
    thin = line.evaluate("(line) => line.getAttribute('points')")
    page.page.locator(".maps .key").get_by_role("button", name="candidate").click()
    assert line.count() == 1
    assert line.evaluate("(line) => line.getAttribute('points')") != thin
    assert page.page.evaluate("document.activeElement.dataset.key") == "line-candidate"
    assert "unit 0 of 24" in page.page.locator(".maps").inner_text()
    check_command(rnncli, page)


def test_a_stack_shows_the_states_of_every_layer(opens: Any, rnncli: Run) -> None:
    page = opens("-l", "bigru", "-l", "Dropout(0.5)", "-l", "lstm", "--seed", "5")
    check_command(rnncli, page)
    assert all(any(row) for row in page.ask("rnncli.gradient('hidden_state[0,0]').x[0]"))
    changed = """[...document.querySelectorAll(".overview .number")]
        .filter((number) => number.style.getPropertyValue("--glow") > 0).map((number) => number.ariaLabel)"""
    page.number("x[0,2,1]").press("+")
    names = " ".join(page.ask(changed))
    assert "0/forward/hidden[0,3,0]" in names
    assert "2/cell[0,3,0]" in names
    check_command(rnncli, page)


def test_a_candidate_has_another_color_than_a_gate(opens: Any) -> None:
    color = "(number) => getComputedStyle(number.querySelector('i')).backgroundColor"
    for scheme in ("light", "dark"):
        page = opens(*LSTM, color_scheme=scheme)
        page.page.get_by_role("slider").fill("3")
        numbers = page.page.locator(".drawing")
        gate, candidate, below = (
            numbers.get_by_role("button", name=f"{address} =").evaluate(color)
            for address in ("forget[0,3,0]", "candidate[0,3,0]", "candidate[0,3,1]")
        )
        assert len({gate, candidate, below}) == 3
        keys = {
            page.page.locator(f".key .{name} i").evaluate("(key) => getComputedStyle(key).backgroundColor")
            for name in ("gate", "candidate", "cell", "hidden", "input")
        }
        assert len(keys) == 5


@pytest.mark.parametrize("name", ["retnet", "layer_norm_lstm"])
def test_lines_over_time_differ(opens: Any, name: str) -> None:
    page = opens("-l", f"@samples/cells/{name}.toml(16)", "--seed", "1")
    looks = page.ask(
        """[...document.querySelectorAll(".over-time polyline")]
          .map((line) => getComputedStyle(line).stroke + line.getAttribute("stroke-dasharray"))"""
    )
    assert len(looks) > 4
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_how_to_read_it_begins_in_view_on_a_small_laptop(opens: Any, lang: str) -> None:
    """That inputs can be dragged, and where the backward state is from."""
    said = {"en": ["Drag an input", "its last state is at t=0"], "ko": ["끌 수 있습니다", "상태가 t=0"]}[lang]
    bottom = """(part) => {
      const walk = document.createTreeWalker(document.querySelector(".reading"), NodeFilter.SHOW_TEXT);
      while (!walk.nextNode().data.includes(part));
      const range = document.createRange();
      range.setStart(walk.currentNode, walk.currentNode.data.indexOf(part));
      range.setEnd(walk.currentNode, walk.currentNode.data.indexOf(part) + part.length);
      return range.getBoundingClientRect().bottom;
    }"""
    for layer, texts in (("lstm", said[:1]), ("bilstm", said)):
        page = opens(
            "-l", layer, "--return-sequences", "--seed", "1", viewport={"width": 1366, "height": 640}
        )
        page.page.get_by_label("Language").select_option(lang)
        for text in texts:
            assert page.page.evaluate(bottom, text) <= 640, (layer, text)


def test_a_gate_means_what_its_equations_say(opens: Any) -> None:
    """The forget gate of an MGU takes the candidate; its legend does not name the gates of an LSTM."""
    page = opens("-l", "@samples/cells/mgu.toml(3)", "--seed", "1")
    page.number("forget[0,3,0]").click()
    assert "keeps all of it" not in page.page.locator(".equation").inner_text()
    page = opens("-l", "lstm", "--recurrent-activation", "tanh", "--seed", "1")
    assert "gates from 0" not in page.page.locator(".reading").text_content()
    assert page.page.locator(".number.gate").count() == 0
    page = opens(*LSTM)
    page.number("forget[0,3,0]").click()
    assert "1 keeps all of it" in page.page.locator(".equation").inner_text()


@pytest.mark.parametrize("layer", ["LSTM(3)", "Bidirectional(LSTM(3, return_sequences=True))"])
def test_tensors_and_code_fit_a_phone(opens: Any, layer: str) -> None:
    page = opens("-l", layer, viewport={"width": 400, "height": 800})
    for part in (".tensors .scroll", ".code code"):
        for frame in page.page.locator(part).all():
            assert frame.evaluate("(frame) => frame.scrollWidth <= frame.clientWidth")
    assert page.page.get_by_role("button", name="copy rnncli").bounding_box()["x"] < 400
    tables = page.page.locator(".tensors .numbers caption").all_inner_texts()
    assert tables == (["forward →", "backward ←"] if "Bidirectional" in layer else [])


def test_the_chosen_step_of_a_large_layer_is_in_view(opens: Any) -> None:
    words = ("-l", "lstm", "--units", "24", "--input-shape", "1,50,8", "--return-sequences")
    page = opens(*words, viewport={"width": 400, "height": 800})
    page.page.get_by_role("slider").fill("49")
    box = page.page.locator(".cursor").first.bounding_box()
    assert 0 <= box["x"] < box["x"] + box["width"] <= 400


@pytest.mark.parametrize("layer", [
    "Bidirectional(LSTM(3, return_sequences=True, return_state=True))",
    "Bidirectional(GRU(3, reset_after=False), backward_layer=GRU(2, go_backwards=True))",
    "Bidirectional(GRU(3), backward_layer=LSTM(2, go_backwards=True))",
])  # fmt: skip
def test_bidirectional_can_be_switched_off_and_on(opens: Any, rnncli: Run, layer: str) -> None:
    page = opens("-l", layer, "--mask", "[[0,1,0,1]]", "--seed", "4")
    check_command(rnncli, page)
    for name in ("Bidirectional", "return_sequences", "Bidirectional", "return_state"):
        page.page.get_by_role("checkbox", name=name, exact=True).click()
        check_command(rnncli, page)


@pytest.mark.usefixtures("files_are_read_here")
def test_the_head_names_what_else_a_model_has(opens: Any, rnncli: Run, tmp_path: Path) -> None:
    import keras

    between, head = (keras.layers.Dense(3, name=name) for name in ("between", "head"))
    recurrent = [keras.layers.LSTM(2, return_sequences=True, name="a"), keras.layers.GRU(2, name="b")]
    model = keras.Sequential([keras.Input((4, 3)), recurrent[0], between, recurrent[1], head])
    model.save(tmp_path / "m.keras")
    flags = ("--model", str(tmp_path / "m.keras"), "--seed", "1")
    text = "Only the recurrent layers of the model; left out: between (Dense), head (Dense)."
    page = opens(*flags)
    assert page.page.locator("main").get_by_text(text).is_visible()
    page = opens("--model", str(tmp_path / "m.keras#b"), "--seed", "1")
    assert page.page.locator("main").get_by_text("left out").count() == 0
    assert text in rnncli("report", *flags, "-o", str(tmp_path / "again.html")).stderr


def test_strips_follow_the_theme_and_the_paper(opens: Any) -> None:
    painted = "document.querySelector('canvas').toDataURL()"
    page = opens("-l", "lstm", "--units", "24", "--input-shape", "1,50,8", "--seed", "1", color_scheme="dark")
    dark = page.ask(painted)
    for media in ({"media": "print"}, {"media": "screen", "color_scheme": "light"}):
        page.page.emulate_media(**media)
        page.page.wait_for_function(f"(dark) => {painted} !== dark", arg=dark)
        page.page.emulate_media(media="screen", color_scheme="dark")
        page.page.wait_for_function(f"(dark) => {painted} === dark", arg=dark)


def test_the_backward_half_of_the_last_output_belongs_to_the_first_step(opens: Any) -> None:
    page = opens("-l", "bilstm", "--seed", "1")
    page.number("hidden_state[0,4]").click()
    assert page.page.locator(".time[aria-pressed='true']").inner_text() == "t=0"
    page.page.get_by_role("slider").fill("2")
    assert page.page.locator(".value").inner_text().startswith("backward/hidden[0,2,1] =")


@pytest.mark.parametrize("width", [400, 1280])
def test_products_fit_beside_their_names(opens: Any, width: int) -> None:
    page = opens("-l", "bilstm", "--seed", "1", viewport={"width": width, "height": 900})
    page.number("forward/forget[0,3,1]").click()
    assert page.page.locator(".terms .scroll").evaluate("(frame) => frame.scrollWidth <= frame.clientWidth")


def test_the_layers_of_a_stack_lead_to_each_other(opens: Any) -> None:
    page = opens("-l", "bigru", "-l", "lstm", "--seed", "5")
    drawn = page.page.get_by_role("combobox", name="layer")
    page.number("1/x[0,1,4]").click()
    page.page.locator(".equation").get_by_role("button", name="0/backward/hidden[0,1,1]").click()
    assert drawn.input_value() == "0"
    page.page.locator(".equation").get_by_role("button", name="← 1/x[0,1,4]").click()
    assert drawn.input_value() == "1"
    drawn.select_option("0")
    page.number("x[0,0,0]").press("+")
    page.page.get_by_role("button", name="All numbers as they were").click()
    drawn.select_option("1")
    page.number("1/x[0,2,4]").click()
    assert page.page.locator(".equation").get_by_role("button", name="0/backward/hidden[0,2,1]").count()
    assert page.number("x[0,0,0]").get_attribute("aria-label") == "x[0,0,0] = 0.10"


def test_sentences_are_true_of_every_layer(opens: Any) -> None:
    page = opens("-l", "bilstm", "--return-sequences", "--seed", "1")
    equation = page.page.locator(".equation")
    for address, part in (
        ("backward/hidden[0,0,1]", "It is read last"),
        ("backward/hidden[0,3,1]", "read next"),
    ):
        page.number(address).click()
        assert part in equation.inner_text()
    page.page.get_by_role("slider").fill("3")
    page.page.get_by_role("checkbox", name="mask t=3").check()
    page.number("hidden_states[0,3,1]").click()
    assert "returns 0 there, but keeps its states" in equation.inner_text()
    page.page.get_by_label("merge_mode").select_option("mul")
    assert "= forward · backward" in page.page.locator(".tensors").inner_text()
    page.number("hidden_states[0,3,2]").click()
    assert "returns 0 there" in equation.inner_text()
    page = opens("-l", "gru", "-l", "lstm", "--seed", "5")
    assert "the layer below returns" in page.page.locator(".reading").text_content()
