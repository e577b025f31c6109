"""Pictures with Korean labels: in the terminal, and in files where a font has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from command import Run
from hangul import HANGUL

from rnncli.cli.app import main
from rnncli.commands.plot import figure, labels
from rnncli.commands.plot.labels import KOREAN

LAYERS = ("--layer", "bilstm", "--layer", "gru", "--return-sequences", "--seed", "1")
SEQUENCE = "[[1, 2], [3, 4], [5, 6]]"
MASKED = f'{{"inputs": [{SEQUENCE}, {SEQUENCE}], "mask": [[true, true, false], [true, true, true]]}}'


def test_the_terminal_shows_korean_labels(rnncli: Run) -> None:
    shown = rnncli("plot", MASKED, *LAYERS, "--terminal", "--lang", "ko").stdout
    for text in (
        "배치 0 (0..1), 시드 1, 엔진 numpy",
        "층 0, 역방향: forget 게이트",
        "층 1: 은닉 상태",
        "마스크: 상태 유지",
        "역방향: 셀 상태",
    ):
        assert text in shown
    english = re.sub(r"forget|input|output|hidden|cell|candidate|update|reset", "", shown.split("\n", 3)[3])
    assert not re.search(r"[a-z]{3}", english)


def test_the_locale_chooses_the_language(rnncli: Run) -> None:
    args = ("plot", *LAYERS, "--terminal")
    assert HANGUL.search(rnncli(*args, env={"LANG": "ko_KR.UTF-8"}).stdout)
    assert not HANGUL.search(rnncli(*args, "--lang", "en", env={"LANG": "ko_KR.UTF-8"}).stdout)


@pytest.mark.parametrize("has", [True, False])
def test_a_file_is_korean_if_a_font_is(
    has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:

    def find_fonts(texts: Iterable[str]) -> tuple[list[str], frozenset[str]]:
        return ["DejaVu Sans"], frozenset() if has else frozenset("게") & set("".join(texts))

    monkeypatch.setattr(labels, "find_fonts", find_fonts)
    monkeypatch.setitem(figure.SETTINGS, "svg.fonttype", "none")
    path = tmp_path / "a.svg"
    assert main(["plot", *LAYERS, "-o", str(path), "--lang", "ko"]) == 0
    drawn = path.read_text(encoding="utf-8")
    assert ("forget 게이트" in drawn) is has
    assert ("forget gate" in drawn) is not has
    assert ("글꼴에 한글이 없어" in capfd.readouterr().err) is not has


def test_every_label_is_korean() -> None:
    assert [word for word, said in KOREAN.items() if not HANGUL.search(said)] == []
