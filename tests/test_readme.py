"""Runs the examples of README and of the handbook as written.

`WRITE_GOLDEN=1` writes what they print into the pages.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import Run, environment, run_here

from rnncli import handbook
from rnncli.cli import catalog

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted(Path(handbook.__file__).parent.glob("*.md"))]
VIEW = {"COLUMNS": "80", "LC_ALL": "C.UTF-8"}
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
ROUNDING = re.compile(r"(?<=TensorFlow )\S+|(?<=rounding )\S+")
"""Text that depends on float32 rounding in the last place, and so on the processor."""


def examples(text: str) -> list[tuple[str, str]]:
    """Return every command of the console blocks, with the output that the text shows."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, shown.strip()) for command, _, shown in (part.partition("\n") for part in parts)]


def save_files(text: str, folder: Path) -> None:
    """Save the files that a reader is told to save.

    The name of a TOML or Python file is the first line of its block; that of a JSON file stands before it.
    """
    for content, name in re.findall(r"```(?:toml|python)\n(# (\w+\.(?:toml|py))\n.*?)```", text, re.DOTALL):
        (folder / name).write_text(content)
    for before, content in re.findall(r"([^\n]+)\n\n```json\n(.*?)```", text, re.DOTALL):
        for name in re.findall(r"`(\w+\.json)`", before):
            (folder / name).write_text(content)


def run(command: str, folder: Path) -> str:
    """Return what the command prints in a terminal of 80 columns; standard error comes first."""
    words = shlex.split(command)
    view = VIEW | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if re.search(r"[|<>]", re.sub(r"'[^']*'", "", command)) is None and words[0] == "rnncli":
        done = run_here(*words[1:], cwd=folder, env=view)
        return (done.stderr + done.stdout).strip()
    piped = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(view),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return piped.stdout.strip()


def fill(page: Path, folder: Path) -> None:
    """Write into the console blocks of a page what their commands print."""

    def rewrite(block: re.Match[str]) -> str:
        commands = re.findall(r"^\$ (.*)$", block[1], re.MULTILINE)
        return (
            "```console\n"
            + "\n".join(f"$ {one}\n{run(one, folder)}".rstrip() + "\n" for one in commands)
            + "```"
        )

    page.write_text(re.sub(r"```console\n(.*?)```", rewrite, page.read_text(), flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
@pytest.mark.slow
def test_examples_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    save_files(page.read_text(), tmp_path)
    if "WRITE_GOLDEN" in os.environ:
        fill(page, tmp_path)
    for command, shown in examples(page.read_text()):
        texts = [ROUNDING.sub("~", text) for text in (run(command, tmp_path), shown)]
        printed, expected = (NUMBER.sub("#", text) for text in texts)
        assert printed == expected
        # Processors differ in the last place of a float32; printed numbers have four decimals.
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in texts]
        assert numbers[0] == pytest.approx(numbers[1], abs=1.01e-4 if "json" not in command else 1e-6)


@pytest.mark.parametrize("page", ["states.md", "states.ko.md"])
@pytest.mark.slow
def test_the_pictures_of_states_are_drawn(page: str, rnncli: Run, tmp_path: Path) -> None:
    text = (Path(handbook.__file__).parent / page).read_text()
    save_files(text, tmp_path)
    block = re.search(r"```sh\n(rnncli report.*?)```", text, re.DOTALL)
    assert block
    commands = block[1].splitlines()
    for command in commands:
        rnncli(*shlex.split(command)[1:], cwd=tmp_path).success()
        assert (tmp_path / shlex.split(command)[-1]).stat().st_size > 5_000
    assert len(commands) == 3


def test_the_message_that_readme_asks_about_is_known(rnncli: Run) -> None:
    command = re.search(r"^rnncli (why '.*)", README.read_text(), re.MULTILINE)[1]  # type: ignore[index]
    assert rnncli(*shlex.split(command, comments=True)).returncode == 0


def test_the_cell_in_readme_runs_as_it_says(rnncli: Run, tmp_path: Path) -> None:
    text = README.read_text()
    (tmp_path / "mgu.toml").write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    command = re.search(r"`rnncli (run -l @mgu.*?)`", text)[1]  # type: ignore[index]
    assert rnncli(*command.split(), "--check", cwd=tmp_path).stdout.startswith("@MGU(4)")


def test_readme_has_examples_and_every_command() -> None:
    text = README.read_text()
    assert len(examples(text)) >= 5
    rows = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| `.*?\|", text, re.MULTILINE))))
    assert rows == set(catalog.names())


def test_the_korean_part_stands_alone() -> None:
    """It says how to install, and takes the Korean sample where the English part takes the English one."""
    korean = README.read_text().partition("\n## 한국어\n")[2].partition("\n## ")[0]
    assert "-m venv .venv && .venv/bin/pip install . && .venv/bin/rnncli run" in korean
    commands = [
        line for block in re.findall(r"```\w+\n(.*?)```", korean, re.DOTALL) for line in block.splitlines()
    ]
    assert [line for line in commands if "rnncli" in line and "--lang ko" not in line] == []
    assert {*re.findall(r"\breview\w*", " ".join(commands))} == {"review_ko", "review"}
    assert not re.search(r"samples[ /]review\b", korean)


def test_picture_is_drawn_by_the_tool(rnncli: Run) -> None:
    pictures = [ROOT / name for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README.read_text())]
    assert {path.parent.name for path in pictures if path.exists()} == {"run", "report", "plot"}
    picture = pictures[0]
    command = "run -l bilstm --units 2 --return-sequences --return-state --seed 42 -f svg --width 80"
    assert NUMBER.sub("#", rnncli(*command.split()).stdout) == NUMBER.sub("#", picture.read_text())


def test_setup_commands_are_those_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert "-m venv --clear .venv" in ci
    assert "--editable '.[test]'" in ci
    assert ci.endswith("\ntests/check --all\n")
    assert "pip install -e '.[test]' && tests/check" in README.read_text()


def test_every_page_is_listed_and_has_a_title() -> None:
    pages = {page.name for page in PAGES[1:]}
    topics = (
        "basics", *handbook.SECTIONS["Six things to understand"], "shapes", "cells", "states", "inside",
        "gradients", "conformance", "teaching",
    )  # fmt: skip
    assert pages == {f"{topic}.md" for topic in handbook.TOPICS} | {f"{topic}.ko.md" for topic in topics}
    for page in PAGES[1:]:
        assert page.read_text().startswith(f"# {page.name.split('.')[0]}: ")


def test_pages_name_pages_and_commands_that_exist() -> None:
    for page in PAGES:
        named = re.findall(r"rnncli help (\w+)", page.read_text())
        assert set(named) <= {*handbook.TOPICS, *catalog.names(), "lists"}, page.name
        blocks = "".join(re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(), re.DOTALL))
        commands = re.findall(r"(?:^\$ |^|\| )rnncli ([a-z]+)\b", blocks, re.MULTILINE)
        assert set(commands) <= set(catalog.names()), page.name
