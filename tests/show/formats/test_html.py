"""Pages of html: what fits on a screen, and what stands below what."""

import re
from html import unescape

import pytest
from looks import drawn
from results_by_hand import ANSWERS
from rich.cells import cell_len

import rnncli
from rnncli.commands.tour import lesson
from rnncli.commands.tour.answer import TourAnswer
from rnncli.show.layout import BETWEEN, PAGE_WIDTH


def rows_of(html: str) -> list[list[str]]:
    """Return the texts of the cells of each row, without the headings."""
    rows = re.findall("<tr>(.*?)</tr>", html)
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td[^>]*>(.*?)</td>", row)]
        for row in rows
    ]


@pytest.mark.parametrize(("layer", "units"), [("lstm", 3), ("bilstm", 12), ("gru", 64)])
def test_a_trace_fits_on_the_page(layer: str, units: int) -> None:
    html = drawn(rnncli.trace(layer=layer, units=units, seed=42).answer, "html")
    widths = [sum(cell_len(cell) + BETWEEN for cell in row) - BETWEEN for row in rows_of(html)]
    assert 60 < max(widths) <= PAGE_WIDTH
    assert ("--full shows all" in html) == (units > 3)


def test_numbers_are_aligned_below_their_heading() -> None:
    html = drawn(ANSWERS["run"], "html")
    heading, label = (
        re.search(pattern, html)
        for pattern in ('<span class="numbers">( +)</span>values', "<th>(t=0 +)</th>")
    )
    assert heading
    assert label
    assert len(heading[1]) == len(label[1])
    assert len({len(number) for number in re.findall(r"<td>( *-?\d+\.\d+)</td>", html)}) == 1


@pytest.mark.parametrize("name", ["run", "both_ways", "masked"])
def test_a_heading_says_something(name: str) -> None:
    assert not re.search("<th[^>]*> *</th>", drawn(ANSWERS[name], "html"))


def test_a_grid_names_its_columns_on_a_phone_too() -> None:
    html = drawn(ANSWERS["matrix"], "html")
    assert re.findall('data-across="(.*?)"', html) == ["return_state=False", "return_state=True"] * 2
    assert "<th>tensor</th>" not in html.partition("</table></td></tr>\n</tbody></table></div>")[0]


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.slow
def test_the_lesson_has_tables_and_commands_for_a_phone(lang: str) -> None:
    html = drawn(TourAnswer(lesson.steps()), "html", lang=lang)
    wide, narrow = (
        re.findall(f'<div class="{name}">(.*?)</div>\n(?=[<])', html, re.S) for name in ("wide", "phone")
    )
    assert len(wide) == len(narrow) > 20
    assert html.count('class="phone"') == html.count('class="wide"')
    commands = re.findall(r'<div class="phone">\n<pre class="shell">(.*?)</pre>', html, re.S)
    assert len(commands) > 10
    lines = [line for command in commands for line in unescape(command).splitlines()]
    assert [line for line in lines if len(line) > 40 and len(line.split()) > 3] == []


def test_products_are_monospaced_and_scroll_on_a_phone() -> None:
    """Every product of explain is in one piece, and its table scrolls."""
    html = rnncli.explain("hidden_states[0,2,1]", layer="lstm", return_sequences=True, seed=42)._repr_html_()
    products = re.findall(r"<td[^>]*><div>((?:<[^>]*>)?[=+][^<]* · [^<]*)", html)
    assert len(products) > 5
    assert [product for product in products if not product.startswith('<span class="number">')] == []
    assert ".said:has(td > div > .number) td { font-size: 12px; white-space: nowrap; }" in html
    assert ".number, .numbers { font-family: ui-monospace, monospace; white-space: pre;" in html


def test_tables_of_several_commands_say_which_is_which() -> None:
    """In the wide form and in the one for a phone."""
    step = lesson.find("stateful")
    assert step is not None
    html = drawn(TourAnswer((step,)), "html")
    assert re.findall(r"<th>(GRU\(.*?)</th>", html) == ["GRU(3, stateful=True)", "GRU(3, stateful=False)"] * 2
