"""What CONTRIBUTING says is true: its example of a command runs, and its list of effects is complete."""

import ast
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from command import Run

from rnncli import options
from rnncli.ask import Ask
from rnncli.cli import catalog
from rnncli.commands.schema import ANSWERS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")

EFFECTS = {"os.environ", "os._exit", "sys.exit", "sys.stdin", "sys.stdout", "sys.stderr"}
EFFECTS |= {"os.getenv", "shutil.get_terminal_size"}


@pytest.fixture
def hello(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The command that "Add a command" writes, added to the lists that it names."""
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code
    module = ModuleType("rnncli.commands.hello")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(re.sub("(?m)^   ", "", code[1]), module.__dict__)
    monkeypatch.setitem(catalog.SECTIONS, "Hello", {"hello": "How many tensors does the layer return?"})
    monkeypatch.setitem(ANSWERS, "hello", ("hello",))
    table = [
        entry._replace(commands=(*entry.commands, "hello")) if {"matrix"} <= {*entry.commands} else entry
        for entry in options.OPTIONS
    ]
    monkeypatch.setattr(options, "OPTIONS", tuple(table))
    return module


def test_the_example_of_a_command_runs(hello: ModuleType, rnncli: Run) -> None:
    table = rnncli("hello", "--layer", "lstm", "--return-state").success()
    assert [line.split()[:1] for line in table.stdout.splitlines() if line.strip()] == [
        ["seed"], ["tensor"], ["hidden_state"], ["last_hidden_state"], ["last_cell_state"],
    ]  # fmt: skip
    document = json.loads(rnncli("hello", "--layer", "lstm", "--format", "json").stdout)
    assert document["hello"] == [{"name": "hidden_state", "axes": ["batch", "units"]}]
    assert isinstance(document["seed"], int)
    assert rnncli("hello", "--help").stdout.count(hello.EXAMPLES) == 1


def test_the_example_of_a_command_answers_an_ask(hello: ModuleType) -> None:
    """As the test that it advises calls it."""
    answer = hello.hello(Ask(layer=["lstm"], input_shape="1,2,3")).answer
    assert [tensor.name for tensor in answer.listing.rows] == ["hidden_state"]


@pytest.mark.slow
def test_who_exits_and_who_reads_the_environment() -> None:
    """Every file that does is in a room, or is a file, that the paragraph on effects names."""
    paragraph = re.search(r"(?s)\nOnly `cli/`.*?\n\n", TEXT)
    assert paragraph
    named = re.findall(r"`([\w/.]+)`", paragraph[0])
    for file in sorted((ROOT / "rnncli").rglob("*.py")):
        name = file.relative_to(ROOT / "rnncli").as_posix()
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        effects = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)} & EFFECTS
        raised = {ast.unparse(node) for node in nodes if isinstance(node, ast.Raise)}
        if effects or any(line.startswith("raise SystemExit") for line in raised):
            assert name.startswith(tuple(named)), f"{name}: {effects or raised}"
