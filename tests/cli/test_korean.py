"""Every message, note and text of the help has a Korean text; names, numbers and commands stay."""

import ast
import re
from _string import formatter_parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import catalogue
import pytest
from command import Run
from hangul import COMMAND, HANGUL, PROSE, is_english

from rnncli import handbook
from rnncli.cli import app, catalog
from rnncli.cli.flags import load
from rnncli.cli.terminal import choose_language, localize
from rnncli.errors import InputError, LayerError, Message, RnncliError, UsageError, count, inside, write
from rnncli.locale import translate
from rnncli.show.visible import width_of
from rnncli.specs.expressions import parse

PACKAGE = Path(__file__).parents[2] / "rnncli"
PO = (catalogue.FOLDER / "ko.po").read_text(encoding="utf-8")
ENTRIES = {entry.english: entry for entry in list(catalogue.read(PO))[1:]}
BILINGUAL = {"Bilingual", "Hint"}
HELP = {"_text", "_choice", "_integer", "_number", "_switch", "_on"}
"""Calls that take a text in both languages, the key of one, or help, which is tested as it is shown."""
ENGLISH = re.compile("rnncli/(api/|__init__|__main__)")
"""Files that have no messages, or raise them in Python alone."""
NO_PROSE = re.compile(
    "rnncli/(show/formats/(html|svg)|inputs/foreign|conformance/(cell_cases|faults)|commands/(export/(targets|literals)|why/message|tour/notebook))"
)
"""Files whose other texts are no messages (html, code, names), or have their Korean beside them."""
RAISED = re.compile(
    "(?!Value|Type|Key|Index|OS|Memory|Attribute|Import|Runtime).*Error|Message|Either|fault|refuse|say|Column"
)
"""Calls whose texts are templates, or what is said instead of one."""
CALLED = re.compile(RAISED.pattern.replace("|Either", ""))
NOUNS = ("{_0} and", "entry", "entries", "list", "unit", "time step", "sequence")
"""What stands in a template that is computed."""


def constants(node: ast.AST) -> Iterator[str]:
    """Yield the texts that an expression may have."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*constants(node.body), *constants(node.orelse))


def is_assigned_to(name: str, node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name


def texts(file: Path, *, prose: bool) -> Iterator[str]:
    """Yield the templates of a module; with `prose`, other texts too, without docstrings and patterns."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    keyed = {"say"} if "commands/tour/" in str(file) else set()  # there it takes a key of the lesson
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            of = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if of == "re" or name in BILINGUAL | HELP | keyed:
                skipped |= set(ast.walk(node))
            elif RAISED.fullmatch(name):
                yield from (text for argument in node.args for text in constants(argument))
            elif name == "count" and isinstance(node.func, ast.Name) and len(node.args) > 1:
                forms = [text for argument in node.args[1:] for text in constants(argument)]
                yield from (f"{{number}} {form}" for form in forms)
                yield from (f"{{number}} {form}s" for form in forms if len(node.args) == 2)
        elif isinstance(node, ast.keyword) and node.arg == "heading":
            yield from constants(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif isinstance(node, (ast.Compare, ast.JoinedStr)) or is_assigned_to("EXAMPLES", node):
            skipped |= set(ast.walk(node))
        elif prose and node not in skipped and isinstance(node, ast.Constant) and "(?" not in str(node.value):
            yield from constants(node)


@cache
def templates(*, prose: bool) -> dict[str, str]:
    """Return the texts, and the first file of each."""
    found: dict[str, str] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = str(file.relative_to(PACKAGE.parent))
        if not ENGLISH.match(name):
            for text in texts(file, prose=prose and not NO_PROSE.match(name)):
                found.setdefault(text, name)
    return found


def page_texts() -> Iterator[str]:
    """Yield the texts that the scripts of the page say."""
    for file in sorted(PACKAGE.glob("commands/report/web/*.js")):
        script = re.sub(r"^ *(//|/?\*).*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for start in (found.end() for found in re.finditer(r"\b(?:say|text)\(", script)):
            depth, end = 1, start
            while depth:
                depth += {"(": 1, ")": -1}.get(script[end], 0)
                end += 1
            literals = re.findall(r'(=== )?"([^"]+)"', script[start:end])
            yield from (text for compared, text in literals if not compared)
        yield from re.findall(r'^ +\w+: "([^"]+ [^"]+\.)",$', script, re.MULTILINE)


def without_holes(template: str) -> str:
    return "".join(text for text, *_ in formatter_parser(template))


def fields_of(template: str) -> set[str]:
    """Return the names of the fields in a template."""
    found = set()
    for _, name, spec, _ in formatter_parser(template):
        if name and name.startswith("--"):
            found |= {spec.partition("!")[0]} - {"", "on"}
        elif name:
            found.add(name)
    return found


def help_texts() -> Iterator[str]:
    """Yield every text that the help shows."""
    yield from ("Usage", "Examples", "note", "Show this message and exit.")
    yield from (handbook.title(topic, "ko") for topic in handbook.TOPICS)
    for heading, summaries in catalog.SECTIONS.items():
        yield from (heading, *summaries.values())
    for command in (app.app, *map(load, catalog.names())):
        yield from (" ".join(part.split()) for part in (command.help or "").split("\n\n"))
        for param in command.params:
            if not getattr(param, "hidden", False):
                yield getattr(param, "help", "") or ""
            yield getattr(param, "rich_help_panel", None) or "Options"


@pytest.mark.slow
def test_the_catalogue_is_compiled() -> None:
    assert (catalogue.FOLDER / "ko.mo").read_bytes() == catalogue.compile_catalogue(PO)
    assert len(ENTRIES) == len(list(catalogue.read(PO))) - 1  # no English text stands twice


@pytest.mark.slow
def test_every_hole_is_filled() -> None:
    """A call gives a field for each hole of its templates; an error with a path, the place too."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not CALLED.fullmatch(ast.unparse(call.func).split(".")[-1]):
                continue
            given = {keyword.arg for keyword in call.keywords} | ({"place"} if len(call.args) > 2 else set())
            for text in (text for argument in call.args for text in constants(argument)):
                assert None in given or fields_of(text) <= given, f"{file}:{call.lineno}"


def test_every_template_has_its_korean() -> None:
    files = templates(prose=False)
    words = {text: re.search("[a-z]{2}", COMMAND.sub("", without_holes(text))) for text in files}
    assert {text: files[text] for text, word in words.items() if word and text not in ENTRIES} == {}


@pytest.mark.slow
def test_every_other_text_has_its_korean() -> None:
    """Texts without values are no messages: names of states, notes of a table."""
    others = templates(prose=True).items()
    prose = {text: file for text, file in others if PROSE.search(COMMAND.sub("", text))}
    assert {text: file for text, file in prose.items() if text not in ENTRIES} == {}
    assert [text for text in page_texts() if text not in ENTRIES] == []


def test_every_text_of_the_help_has_its_korean() -> None:
    assert [text for text in help_texts() if text and text not in ENTRIES and not HANGUL.search(text)] == []


@pytest.mark.slow
def test_every_entry_is_used() -> None:
    """One with a comment is a text of a library; an example of a command stands in its file as it is."""
    used = {*templates(prose=True), *help_texts(), *page_texts()}
    left = [entry.english for entry in ENTRIES.values() if not entry.comment and entry.english not in used]
    code = "".join(file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    left = [text for text in left if text not in code]
    assert [text for text in left if not any(noun in text for noun in NOUNS)] == []


def test_the_holes_agree() -> None:
    for entry in (entry for entry in ENTRIES.values() if not entry.comment and "{" in entry.english):
        assert fields_of(entry.korean) <= fields_of(entry.english), entry
        korean = HANGUL.search(entry.korean) or without_holes(entry.korean) in (" + ", "initial_state ")
        assert korean, entry


def test_no_particle_depends_on_what_fills_a_hole() -> None:
    """`{name}: 없습니다.` where `{name}이(가) 없습니다.` would be read aloud with both particles."""
    both = r"을\(를\)|를\(을\)|이\(가\)|가\(이\)|은\(는\)|는\(은\)|\(으\)로|과\(와\)|와\(과\)"
    assert [entry.korean for entry in ENTRIES.values() if re.search(both, entry.korean)] == []


def test_korean_help_fits_its_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    app.main(["run", "--lang", "ko", "--help"])
    lines = capfd.readouterr().out.split("\n예:\n")[0].splitlines()
    assert lines[0].startswith("사용법: rnncli run")
    assert max(map(width_of, lines)) <= 80


@pytest.mark.parametrize(("args", "locale", "language"), [
    ("run --lang ko", "en", "ko"), ("run --lang=KO", "en", "ko"), ("run --lang en", "ko", "en"),
    ("run --lang ko --lang en", "ko", "en"), ("run --lang fr", "ko", "ko"), ("run --lang", "ko", "ko"),
    ("run -- --lang ko", "en", "en"), ("", "ko", "ko"),
])  # fmt: skip
def test_the_language_of_a_command_line(args: str, locale: str, language: str) -> None:
    assert choose_language(args.split(), locale) == language


def test_an_error_and_a_note_in_korean(rnncli: Run) -> None:
    wrong = rnncli("run", "--lang", "ko", "--units", "three").refusal()
    assert wrong.startswith("rnncli: --units: 'three': 정수가 아닙니다.\n")
    noted = rnncli("run", env={"LANG": "ko_KR.UTF-8"})
    assert noted.stderr.startswith("rnncli: 참고: 입력이 없어 내장 예제 'sentence' (1, 4, 5)를 씁니다")
    assert rnncli("run", "--lang", "en", env={"LANG": "ko_KR.UTF-8"}).stderr.startswith(
        "rnncli: note: no input"
    )


@pytest.mark.parametrize(("error", "said"), [
    (InputError("{place} is {item}, not {noun}.", "", (1, 0), item=Message("an object"), noun="x"),
     "명령줄: [1][0]의 값이 객체입니다. x여야 합니다."),
    (InputError("it cannot be read: {strerror}.", strerror="Permission denied"),
     "명령줄: 읽을 수 없습니다: 권한이 없습니다."),
    (
        LayerError(
            "the layer {name} ({class_name}): {error}", name="a", class_name="B",
            error=UsageError("it is empty."),
        ),
        "명령줄: a 층(B): 비어 있습니다.",
    ),
    (InputError("{lines} failed.", lines=count(2, "line")), "명령줄: 2개 줄을 처리하지 못했습니다."),
    (InputError("words that nobody wrote here {text}", text="it is empty"),
     "명령줄: words that nobody wrote here it is empty"),
])  # fmt: skip
def test_a_message_is_korean_throughout(error: RnncliError, said: str) -> None:
    with pytest.raises(RnncliError), inside(Message("the command line")):
        raise error
    assert localize(error, "ko") == said


@pytest.mark.parametrize("text", [
    "f(“relu”)", "f(\x01)", "f(3 4)", "f('''a)", "f('a)", "f(0b2)", "f(3)\\", "f(**x, 4)", "f(a=1, 4)",
    "f('a'=3)", "f(07)", "f(3", "f(3]", "f(3))",
])  # fmt: skip
def test_what_python_says_of_an_expression_is_korean(text: str) -> None:
    with pytest.raises(LayerError) as caught:
        parse(text)
    reason = write(caught.value, translate).split("\n")[0]
    assert not is_english(reason)
    assert not reason.endswith("?.")


def test_english_where_korean_cannot_be_shown(rnncli: Run) -> None:
    done = rnncli("run", "--unit", env={"LANG": "ko_KR", "PYTHONIOENCODING": "ascii"})
    assert done.stderr.startswith("rnncli: there is no flag --unit.")


@pytest.mark.parametrize("words", [[], ["help", "run"]])
def test_the_language_alone_shows_the_help_in_it(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.main(["--lang", "ko", *words]) == 0
    shown = capfd.readouterr()
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    assert app.main(words) == 0
    assert capfd.readouterr() == shown
    assert shown.out.startswith("사용법: rnncli " if words else "순환층이 무엇을 반환하는지 봅니다: ")
    assert shown.err == ""


def test_the_language_may_come_before_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--lang", "ko", "run", "--seed", "1", "--quiet"]) == 0
    assert "입력 (1, 4, 5)" in capfd.readouterr().out
    assert app.main(["--lang", "ko", "run", "--lang", "en", "--seed", "1", "--quiet"]) == 0
    assert "input (1, 4, 5)" in capfd.readouterr().out
    assert app.main(["--help", "--lang", "ko"]) == 0
    assert "사용법" in capfd.readouterr().out
    assert app.main(["--lang", "xx", "run"]) == 2
