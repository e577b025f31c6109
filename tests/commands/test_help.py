"""`rnncli help`."""

import re
import shutil
from itertools import product
from pathlib import Path

import pytest
from command import Run
from terminals import Terminal

from rnncli import handbook
from rnncli.cli import catalog
from rnncli.cli.pager import lay_out


def test_the_list_has_every_page(rnncli: Run) -> None:
    for lang, title in (("en", "time steps that are skipped"), ("ko", "건너뛰는 시점")):
        shown = rnncli("help", "--lang", lang).stdout
        assert title in shown
        assert all(f"  {topic} " in shown for topic in handbook.TOPICS)


def test_pages_that_are_not_in_korean_say_so(rnncli: Run) -> None:
    lines = rnncli("help", "--lang", "ko").stdout.splitlines()
    marked = {line.split()[0] for line in lines if line.endswith(" (영어)")}
    korean = {topic for topic in handbook.TOPICS if re.search("[가-힣]", handbook.read(topic, "ko"))}
    assert marked == {*handbook.TOPICS} - korean != set()
    assert "in English" not in rnncli("help", "--lang", "en").stdout
    page = handbook.read("korean", "ko").partition("주제별 설명은 ")[2].partition("이 한국어이고")[0]
    assert set(re.findall(r"`(\w+)`", page)) == korean
    count = f"{len(handbook.TOPICS)}개 가운데 {len(korean)}개가 한국어"
    assert count in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "first"),
    [("masks", "# masks: "), ("return-state", "# return_state: "), ("MASKS --lang ko", "# masks: 건너"),
     ("shapes", "# shapes: "), ("gradients", "# gradients: "), ("run", "Usage: rnncli run ")],
)  # fmt: skip
def test_a_page_is_markdown_in_a_pipe(rnncli: Run, word: str, first: str) -> None:
    assert rnncli("help", *word.split()).stdout.startswith(first)


def test_a_near_miss_is_suggested(rnncli: Run) -> None:
    said = rnncli("help", "maks").refusal()
    assert said == "rnncli: there is no page 'maks'.\nDid you mean rnncli help masks?\n"
    assert "rnncli help lists all pages." in rnncli("help", "quux").stderr
    assert rnncli("help", "hiden", "state").stderr == (
        "rnncli: there is no page 'hiden state'.\nDid you mean rnncli help hidden_state?\n"
    )


@pytest.mark.parametrize("topic", handbook.TOPICS)
def test_a_page_fits_a_narrow_terminal(topic: str) -> None:
    for lang in ("en", "ko"):
        text = lay_out(handbook.read(topic, lang), 80, color=False)
        assert "\x1b" not in text
        assert "```" not in text
        assert "| ---" not in text
        powers = re.sub(r"\*\*(kwargs|weights|states|compute)", "", text)
        assert re.search(r"\*\*\S|\S\*\*", powers) is None  # ** alone is a power


@pytest.mark.parametrize("topic", handbook.TOPICS)
@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.slow
def test_lines_of_code_are_whole(topic: str, lang: str) -> None:
    """Broken at the edge of a terminal, a line would be copied as two commands."""
    page = handbook.read(topic, lang)
    for block, width in product(re.findall(r"```\w*\n(.*?)```", page, re.DOTALL), (120, 80, 40)):
        shown = {row.rstrip() for row in lay_out(page, width, color=False).splitlines()}
        assert {row.rstrip() for row in block.splitlines() if row} <= shown


@pytest.mark.parametrize("width", [60, 40])
@pytest.mark.slow
def test_a_table_keeps_every_word(width: int) -> None:
    for topic in handbook.TOPICS:
        page = handbook.read(topic, "ko")
        assert lay_out(page, width, color=False).count("…") == page.count("…"), topic


@pytest.mark.slow
def test_a_terminal_shows_it_in_its_pager() -> None:
    with Terminal("help", "masks", env={"PAGER": "cat", "NO_COLOR": "1"}) as terminal:
        shown, code = terminal.end()
    assert code == 0
    assert "masks: time steps that are skipped" in shown
    assert "```" not in shown


@pytest.mark.skipif(not shutil.which("less"), reason="needs less")
@pytest.mark.slow
def test_a_list_longer_than_the_terminal_says_how_to_turn_it() -> None:
    with Terminal("help", env={"PAGER": "less", "NO_COLOR": "1"}) as terminal:
        terminal.until("Space more, q quit")
        _, code = terminal.end("q")
    assert code == 0
    assert "Six things to understand:" in terminal.shown


@pytest.mark.skipif(not shutil.which("less"), reason="needs less")
@pytest.mark.slow
def test_korean_can_be_read_where_the_locale_is_not_installed() -> None:
    env = {"PAGER": "less", "NO_COLOR": "1", "LANG": "xx_KR.UTF-8", "LC_ALL": "", "PYTHONUTF8": "1"}
    with Terminal("help", "masks", "--lang", "ko", env=env) as terminal:
        terminal.until(":")
        terminal.end("q")
    assert "masks: 건너뛰는 시점" in terminal.shown
    assert "<EA>" not in terminal.shown


def test_another_word_for_a_topic_shows_its_page(rnncli: Run) -> None:
    pages = {
        "mask": "masks", "merge_mode": "bidirectional", "units": "basics", "rnn": "basics", "lstm": "basics",
        "kernel": "basics", "순환": "basics", "hidden": "return_state", "cell_state": "return_state",
        "cell state": "return_state", "셀 상태": "return_state", "셀상태": "return_state", "마스크": "masks",
        "cell": "cells", "peephole": "cells",
    }  # fmt: skip
    for word, page in pages.items():
        assert rnncli("help", word).stdout == rnncli("help", page).stdout != ""
        assert rnncli("help", *word.split()).stdout == rnncli("help", word).stdout
    others = {word for words in handbook.ALIASES.values() for word in words}
    assert set(handbook.ALIASES) <= set(handbook.TOPICS)
    assert not others & {*handbook.TOPICS, *catalog.names()}


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_what_return_sequences_says_of_stacks_is_so(rnncli: Run, lang: str) -> None:
    """The option of a lower layer is set for a name; an expression is taken as it is."""
    page = " ".join(handbook.read("return_sequences", lang).split())
    for lower, code in (("'LSTM(64)'", 2), ("'LSTM(64, return_sequences=True)'", 0)):
        assert f"`-l {lower} -l lstm`" in page
        assert rnncli("shape", "-l", lower.strip("'"), "-l", "lstm").returncode == code
    assert rnncli("shape", "-l", "lstm", "-l", "lstm").stdout.startswith(
        "LSTM(3, return_sequences=True) → LSTM(3)"
    )
