"""`rnncli plot` as it is typed, and its pictures in the terminal."""

import re
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from command import Run, loaded_by
from hangul import HANGUL
from rich.cells import cell_len
from rich.text import Text
from sheets import make_case, padding_mask, trace_sheet

from rnncli.cli.app import main
from rnncli.commands.plot import figure, fonts
from rnncli.commands.plot.palette import STYLES, mix
from rnncli.commands.plot.terminal import render
from rnncli.compute import engines
from rnncli.show.page import View

LAYERS = ("--layer", "bilstm", "--layer", "gru", "--return-sequences", "--seed", "1")
SEQUENCE = "[[1, 2], [3, 4], [5, 6]]"
MASKED = f'{{"inputs": [{SEQUENCE}, {SEQUENCE}], "mask": [[true, true, false], [true, true, true]]}}'


@pytest.mark.slow
def test_a_file_by_its_suffix_in_pixels(rnncli: Run, tmp_path: Path) -> None:
    path = tmp_path / "gates.PNG"
    done = rnncli("plot", "--seed", "1", "--size", "1600x900px", "--quiet", "-o", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert struct.unpack(">II", path.read_bytes()[16:24]) == (1600, 900)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("words", "said"), [
    ([], "plot needs matplotlib, which is not installed."),
    (["--lang", "ko"], "plot에 필요한 matplotlib이 설치되어 있지 않습니다."),
    (["volts.csv"], "plot needs matplotlib, which is not installed."),
])  # fmt: skip
def test_without_matplotlib(
    words: list[str], said: str, rnncli: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No font is looked for; and the terminal needs none."""
    (here / "volts.csv").write_text("전압\n1\n2\n")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = rnncli("plot", *words, "--seed", "1", "-o", "a.png")
    assert (done.returncode, done.stdout) == (3, "")
    assert said in done.stderr
    assert done.stderr.endswith("pip install matplotlib\n")
    assert not (here / "a.png").exists()
    assert rnncli("plot", *words, "--seed", "1", "--terminal").returncode == 0


def test_the_terminal_names_everything(rnncli: Run) -> None:
    done = rnncli("plot", "--layer", "bigru", "--seed", "1", "--terminal", "--width", "80")
    for title in ("input", "forward: update gate", "backward: hidden state", "candidate and states"):
        assert title in done.stdout
    last = rnncli("plot", "[[[1]], [[2]], [[3]]]", "--seed", "1", "--terminal", "--batch", "-1")
    assert "batch 2 of 0..2" in last.stdout


def test_the_terminal_shows_korean_labels(rnncli: Run) -> None:
    shown = rnncli("plot", MASKED, *LAYERS, "--terminal", env={"LANG": "ko_KR.UTF-8"}).stdout
    for text in (
        "배치 0 (0..1), 시드 1, 엔진 numpy", "0번 층, 역방향: 망각 게이트", "1번 층: 은닉 상태",
        "마스킹됨: 상태 유지", "역방향: 셀 상태",
    ):  # fmt: skip
        assert text in shown
    english = re.sub(
        r"xx+|forget|input|output|hidden|cell|candidate|update|reset", "", shown.split("\n", 3)[3]
    )
    assert not re.search(r"[a-z]{3}", english)
    args = ("plot", *LAYERS, "--terminal", "--lang", "en")
    assert not HANGUL.search(rnncli(*args, env={"LANG": "ko_KR.UTF-8"}).stdout)


@pytest.mark.parametrize("has", [True, False])
@pytest.mark.slow
def test_a_file_is_korean_if_a_font_is(
    has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:

    def find_fonts(texts: Iterable[str]) -> tuple[list[str], frozenset[str]]:
        return ["DejaVu Sans"], frozenset() if has else frozenset("게") & set("".join(texts))

    monkeypatch.setattr(fonts, "find_fonts", find_fonts)
    monkeypatch.setitem(figure.SETTINGS, "svg.fonttype", "none")
    path = tmp_path / "a.svg"
    assert main(["plot", "--seed", "1", "-o", str(path), "--lang", "ko"]) == 0
    drawn = path.read_text(encoding="utf-8")
    assert ("망각 게이트" in drawn) is has
    assert ("forget gate" in drawn) is not has
    assert ("글꼴에 한글이 없어" in capfd.readouterr().err) is not has


def test_color_only_where_it_is_wanted(rnncli_process: Any) -> None:
    def shown(**env: str) -> str:
        return str(rnncli_process("plot", "--seed", "1", "--terminal", env=env).stdout)

    assert "\x1b" not in shown()
    assert "48;2;" in shown(FORCE_COLOR="1", COLORTERM="truecolor")
    assert "48;5;" in shown(FORCE_COLOR="1", COLORTERM="", TERM="xterm-256color")
    assert "48;" not in shown(FORCE_COLOR="1", COLORTERM="", TERM="linux")


def test_a_trace_beside_onnx(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(engines, "choose", lambda _, engine: "onnx" if engine == "auto" else engine)
    assert main(["plot", "--layer", "gru", "--seed", "1", "--terminal"]) == 0
    assert "update gate" in capsys.readouterr().out


@pytest.mark.parametrize(("args", "unwanted"), [
    (["plot", "--seed", "1", "--terminal"], {"matplotlib"}),
    (["plot", "--seed", "1", "-o", "a.svg"], {"tensorflow", "matplotlib.pyplot"}),
])  # fmt: skip
@pytest.mark.slow
def test_only_what_is_needed_is_loaded(args: list[str], unwanted: set[str], here: Path) -> None:
    assert not unwanted & set(loaded_by(*args))


LIGHT = STYLES["light"]


def test_colors_are_those_of_the_values() -> None:
    picture = trace_sheet(make_case("gru", shape=(1, 4, 2), units=2))
    lines = Text.from_ansi(render(picture, LIGHT, View(width=100), "truecolor")).split("\n")
    title = next(i for i, line in enumerate(lines) if "update gate" in line.plain)
    values = picture.rows[1].panels[0].values
    style: Any = next(span.style for span in lines[title + 1].spans if span.start >= 2)
    assert style.color.triplet == mix(LIGHT.gate, values[0, 0])
    assert style.bgcolor.triplet == mix(LIGHT.gate, values[1, 0])


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("depth", ["none", "256", "truecolor"])
def test_the_width_is_never_overrun(width: int, depth: Any) -> None:
    picture = trace_sheet(make_case("bilstm", shape=(2, 300, 2), mask=padding_mask((2, 300))), batch=1)
    plain = Text.from_ansi(render(picture, LIGHT, View(width=width), depth)).plain
    assert max(map(len, plain.splitlines())) <= width
    assert re.search(r"a column: the mean of \d time steps", plain)


def test_without_color_shades_say_it_and_slashes_the_mask() -> None:
    text = render(
        trace_sheet(make_case("gru", mask=padding_mask()), batch=1), LIGHT, View(ascii=True), "none"
    )
    assert text.isascii()
    assert "////////" in text
    assert "xxxxxxxx" in text  # not used
    assert re.search(r"gates +0 .* 1\n", text)


@pytest.mark.slow
def test_many_units_share_rows() -> None:
    text = render(trace_sheet(make_case("gru", units=256)), LIGHT, View(width=80), "none")
    assert len(text.splitlines()) < 160
    assert "a row: the mean of several units" in text


def test_wide_names_keep_their_columns() -> None:
    text = render(trace_sheet(make_case("lstm", names=("온도", "h"))), LIGHT, View(width=80), "none")
    rows = [line for line in text.splitlines() if line.lstrip().startswith(("온도 ", "h "))]
    assert len(rows) == 2
    assert len({cell_len(row[: row.index(" ", len(row) - len(row.lstrip())) + 1]) for row in rows}) == 1
