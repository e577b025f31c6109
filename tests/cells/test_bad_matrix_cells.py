"""What a cell's file with names of axes must not be: exit 2, with the file, the line and a caret.

`bad_matrix_cells.txt` is a table: below `# TEXT`, a row has what stands in the file in place of TEXT (`⏎`: a
line break), what is said, the token above the caret, and the beginning of the advice.  The token `^` is
invisible; without a token there is no caret.
"""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest
from command import Run
from rich.cells import cell_len

GOOD = """\
name = "Own"
states = ["hidden", "memory", "window"]
[sizes]
heads = 2
keys = "units / heads"
taps = 3
[shapes]
key = ["heads", "keys"]
memory = ["heads", "keys"]
window = ["taps", "heads"]
[weights]
scale = { shape = ["heads"] }
square = { shape = ["keys", "keys"] }
[step]
key = "x @ kernel"
memory = "memory + key"
window = "shift(window, scale)"
hidden = "join(memory)"
"""


def rows() -> Iterator[tuple[str, str, str, str]]:
    for row in Path(__file__).with_name("bad_matrix_cells.txt").read_text(encoding="utf-8").splitlines():
        if row.startswith("# "):
            old = row[2:].replace("⏎", "\n")
        elif row:
            new, said, token, advice = (
                part for part, _ in zip_longest(row.split(" | "), range(4), fillvalue="")
            )
            assert GOOD.count(old) >= 1
            yield GOOD.replace(old, new.replace("⏎", "\n"), 1), said, token, advice


CASES = list(rows())


def refusal(
    rnncli: Run, folder: Path, text: str | bytes, layer: str = "@own.toml(4)", lang: str = "en"
) -> list[str]:
    """Return the lines of the message, without the program's name."""
    (folder / "own.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    given = ("-l", layer, "--input-shape", "1,2,3", "--quiet", "--lang", lang)
    said = rnncli("run", *given, cwd=folder).refusal()
    assert "\x1b" not in said
    return said.removeprefix("rnncli: ").rstrip("\n").split("\n")


def under_caret(row: str, carets: str) -> str:
    """Return the characters of a row above the carets in the next row; `^` if they are invisible."""
    ends = [cell_len(row[:index]) for index in range(len(row) + 1)]
    start, stop = carets.index("^"), len(carets)
    return row[ends.index(start) : ends.index(min(stop, ends[-1]))].strip() or "^"


def split(message: list[str]) -> tuple[str, str, str]:
    """Return what a message says, the token above its caret, and its advice."""
    said, *rest = message
    if len(rest) > 1 and re.fullmatch(r" +\^+", rest[1]):
        return said, under_caret(*rest[:2]), "\n".join(rest[2:])
    return said, "", "\n".join(rest)


@pytest.mark.sampled
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_a_bad_file(case: tuple[str, str, str, str], rnncli: Run, tmp_path: Path) -> None:
    text, *expected = case
    said, token, advice = split(refusal(rnncli, tmp_path, text))
    assert [said, token, advice[: len(expected[2])]] == [f"own.toml: {expected[0]}", *expected[1:]]
    assert bool(advice) == bool(expected[2])
    korean, same_token, _ = split(refusal(rnncli, tmp_path, text, lang="ko"))
    assert same_token == token
    assert re.match(r"own\.toml: \d+번째 줄\b.*[가-힣]", korean)


MEANT = [case for case in CASES if case[3].startswith("Did you mean ") and "\\u" not in case[0]]


@pytest.mark.parametrize("case", MEANT, ids=range(len(MEANT)))
def test_what_was_meant(case: tuple[str, str, str, str], rnncli: Run, tmp_path: Path) -> None:
    """Where the advice is followed, the message is another, or there is none."""
    text, said, token, advice = case
    line = int(re.findall(r"\d+", said)[0]) - 1
    lines, meant = text.split("\n"), advice.removeprefix("Did you mean ").removesuffix("?")
    wrong = token or re.sub(r".*'(.*)'.*|.*: (\w+) is .*", r"\1\2", said)
    assert wrong in lines[line]
    lines[line] = lines[line].replace(wrong, meant, 1)
    (tmp_path / "own.toml").write_text("\n".join(lines))
    done = rnncli("run", "-l", "@own.toml(4)", "--input-shape", "1,2,3", "--quiet", cwd=tmp_path)
    assert said not in done.stderr


SIZES = "".join(f"a{axis} = 1\n" for axis in range(60))
EIGHT = {f"l{line}": [f"a{8 * line + axis}" for axis in range(8)] for line in range(7)}
AXES = f"""\
states = ["hidden"]
[sizes]
{SIZES}[shapes]
{"".join(f"{name} = {axes}{chr(10)}" for name, axes in EIGHT.items())}[step]
{"".join(f'{name} = "x @ kernel"{chr(10)}' for name in EIGHT)}hidden = "x @ kernel"
"""
QUOTES = 'An equation is written in quotes: hidden = "tanh(x @ kernel)"'
PAGE = "it has more than 100000 characters.\nA cell has at most a page of equations."
DEEP = f"it is not valid TOML, or is nested too deeply.\n{QUOTES}"
UNITS_4 = "@own.toml(4)"
WHOLE: dict[str, tuple[str | bytes, str, str]] = {
    "ten megabytes": (GOOD + "#" * 10_000_000, UNITS_4, PAGE),
    "an equation of ten megabytes": (GOOD.replace("+ key", "+ memory" * 1_200_000), UNITS_4, PAGE),
    "lists in lists": ("a = " + "[" * 40_000 + "]" * 40_000 + "\n" + GOOD, UNITS_4, DEEP),
    "tables in tables": ("a = " + "{a = " * 9_000 + "1" + "}" * 9_000 + "\n" + GOOD, UNITS_4, DEEP),
    "dots": ("a." * 40_000 + "b = 1\n" + GOOD, UNITS_4, DEEP),
    "2001 characters": (
        GOOD.replace('"memory + key"', f'"memory{" + key" * 332}   "'), UNITS_4,
        "line 16, memory: the equation has 2001 characters; at most 2000 are allowed.\n"
        "Give parts of it a line of their own.",
    ),
    "201 sizes": (
        GOOD.replace("[sizes]\n", "[sizes]\n" + "".join(f"s{size} = 1\n" for size in range(198))), UNITS_4,
        "line 3: sizes is not a table of at most 200 entries.\nWrite [sizes], then one entry per line.",
    ),
    "UTF-16": (
        GOOD.encode("utf-16"), UNITS_4,
        "it is not a text in UTF-8.\nGive a TOML file, such as rnncli samples mgu prints.",
    ),
    "nine axes": (
        AXES.replace("hidden =", 'o = "outer(l0, index(a9))"\nhidden ='), UNITS_4,
        "line 79, o: it has 9 axes, more than 8.\n  outer(l0, index(a9))\n  ^^^^^",
    ),
    "56 axes": (
        AXES.replace("hidden =", 'o = "outer(outer(l0, l1), l2) @ outer(outer(l2, l3), l4)"\nhidden ='),
        UNITS_4,
        "line 79, o: it has 16 axes, more than 8.\n  outer(outer(l0, l1), l2) @ outer(outer(l2, l3), l4)\n"
        "        ^^^^^",
    ),
    "an invisible line break": (
        GOOD.replace("[sizes]", "[sizes] # \u2028 \x85 \u2029")
        .replace('["heads", "keys"]\nw', '["head", "keys"]\nw'),
        UNITS_4, 'line 9, memory: there is no axis head.\n  memory = ["head", "keys"]\n             ^^^^\n'
        "Did you mean heads?",
    ),
    "a large state": (
        GOOD, "@own.toml(4, taps=2147483647)",
        "line 10, window: the state window has 4294967294 numbers, more than 2147483648.\n"
        "Give smaller sizes.",
    ),
    "a large value": (
        GOOD.replace("memory + key", "memory + sum(outer(index(keys), outer(key, index(taps))), taps)")
        .replace('["taps", "heads"]', '["heads"]').replace("shift(window, scale)", "scale"),
        "@own.toml(4, taps=1999999999)",
        "line 16, memory: it has 7999999996 numbers, more than 2147483648.\n"
        "  memory + sum(outer(index(keys), outer(key, index(taps))), taps)\n"
        "                                  ^^^^^\nGive smaller sizes.",
    ),
    "a number that leaves a rest": (
        GOOD, "@own.toml(4, heads=3)",
        "line 5, keys: a size is a whole number from 1 on, but this is 1.33333.\n  units / heads\n"
        "  ^^^^^^^^^^^^^\nHere units = 4, heads = 3.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file(name: str, rnncli: Run, tmp_path: Path) -> None:
    text, layer, said = WHOLE[name]
    assert refusal(rnncli, tmp_path, text, layer) == f"own.toml: {said}".split("\n")


def test_files_that_are_read(rnncli: Run, tmp_path: Path) -> None:
    """A mark in front, other line breaks and eight axes are no errors."""
    values = set()
    for text in (
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        AXES.replace("hidden =", 'o = "tanh(l0)"\nhidden ='),
    ):
        (tmp_path / "own.toml").write_bytes(text.encode())
        given = ("--input-shape", "1,2,3", "--seed", "1", "-f", "csv")
        done = rnncli("run", "-l", "@own.toml(4)", *given, cwd=tmp_path).success()
        values.add(done.stdout)
    assert len(values) == 2


def test_an_initializer_that_does_not_fit_names_its_weight(rnncli: Run, tmp_path: Path) -> None:
    text = GOOD.replace(
        'scale = { shape = ["heads"]', 'scale = { shape = ["heads"], initializer = "orthogonal"'
    )
    said = refusal(rnncli, tmp_path, text, "Bidirectional(@own.toml(4))")
    assert said[0].startswith("forward/scale: Orthogonal needs a weight of two axes or more")
