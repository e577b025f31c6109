"""The Korean of texts, pages and the lesson: words and sentences that a teacher would not say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command import Run
from hangul import HANGUL

from rnncli import handbook

PACKAGE = Path(handbook.__file__).parents[1]
PATTERNS = (
    "locale/ko.po",
    "handbook/*.ko.md",
    "handbook/korean.md",
    "commands/tour/*.toml",
    "commands/why/causes/*.toml",
)
FILES = [file for pattern in PATTERNS for file in sorted(PACKAGE.glob(pattern))]
"""Every file that holds Korean texts."""
PAGES = sorted((PACKAGE / "handbook").glob("*.ko.md"))

BETTER = {
    "돌려주|돌려줄|돌려줍": "반환",
    "목표": "타깃(정답)",
    "손실이 (출력|{)": "손실 함수가",
    r"reset_after (있는|없는)": "reset_after=True인, reset_after=False인",
    r"\d벌|}벌": "세트",
    "(첫|둘째|셋째) 판": "첫 번째 버전",
    "뽑(기|습니다|거나|으)": "초기화",
    "(행|형태|시점)은 무엇일까요": "몇 행일까요, 어느 시점일까요",
    "무엇을 주나요": "무엇을 입력하나요",
    "유닛마다 숫자": "유닛 수만큼의 숫자",
    "패딩을 찾는 층": "Masking 층",
    "시작할 상태": "초기 상태",
    "거슬러 전해": "역전파됨",
    "맞는 형태의 0": "형태가 맞는 0 텐서",
    "하나라도 있으면": "하나라도 True이면",
    "어느 시점이 실제인지": "실제 데이터인지",
}
"""What to write instead of words that match."""


@pytest.mark.parametrize("words", BETTER)
def test_words_that_a_teacher_would_not_say(words: str) -> None:
    found = [
        f"{file.name}: {line}"
        for file in FILES
        for line in file.read_text(encoding="utf-8").splitlines()
        if HANGUL.search(line) and re.search(words, line)
    ]
    assert found == [], BETTER[words]


def test_a_stream_counts_its_lines(rnncli: Run) -> None:
    done = rnncli("run", "-l", "gru", "--stream", "--lang", "ko", input="[[1, 2]]\n[[3, 4]]\n")
    assert re.findall(r"^.*? · 입력", done.stdout, re.MULTILINE) == ["1번째 줄 · 입력", "2번째 줄 · 입력"]


def prose_of(page: str) -> str:
    """Return what a page says below its heading, without the blocks of code."""
    return re.sub(r"```.*?```", "", page.partition("\n")[2], flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_time_step_is_named_in_english_at_its_first_use(page: Path) -> None:
    prose = prose_of(page.read_text(encoding="utf-8"))
    first = prose.partition("시점")[2]
    assert not first or first.startswith("(time step)")


def test_the_lesson_names_a_time_step_in_english_at_its_first_use() -> None:
    lesson = (PACKAGE / "commands" / "tour" / "lesson.toml").read_text(encoding="utf-8")
    assert lesson.partition("시점")[2].startswith("(time step)")
