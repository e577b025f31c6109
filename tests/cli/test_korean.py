"""Every message, note and text of the help has a Korean text; names, numbers and commands stay."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Run
from hangul import COMMAND, PROSE, untranslated

from rnncli.cli import app, catalog, korean
from rnncli.cli.language import choose_language
from rnncli.commands.explore.texts import describe_error
from rnncli.commands.plot import labels
from rnncli.commands.tour.exercises import exercise_3_parameters
from rnncli.errors import LayerError, UsageError
from rnncli.renderers.width import width_of
from rnncli.specs.expressions import parse

PACKAGE = Path(__file__).parents[2] / "rnncli"
BILINGUAL = ("Bilingual", "Hint", "add_words", "say", "get_text", "flag", "choice")
"""Calls that take a text in both languages, the key of one, or help, which is tested as it is shown."""
OTHERS = re.compile(
    "rnncli/("
    "api/|__init__|__main__|"  # the Python API speaks English
    "renderers/(wording|formats/(html|svg))|"  # both languages; no prose
    "cli/(flags|help)|"  # the help is tested as it is shown
    "commands/(export/(targets/|literals)|explore/texts|why/message|tour/(steps|exercises)/))"
)
"""Files whose texts are no messages, or have their Korean beside them."""


def templates(node: ast.expr) -> list[str]:
    """Return the texts that an expression may have; what is computed is `{}`."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in templates(node.left) or ["{}"] for b in templates(node.right) or ["{}"]]
    if isinstance(node, ast.IfExp):
        return [*templates(node.body), *templates(node.orelse)]
    return []


def texts(file: Path) -> Iterator[str]:
    """Yield the texts of a module that are neither docstrings nor patterns nor in two languages."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif (
            (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."))
            or (isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in BILINGUAL)
            or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES")
        ):
            skipped |= set(ast.walk(node))
        elif isinstance(node, (ast.JoinedStr, ast.BinOp)):
            skipped |= set(ast.walk(node)) - {node}
        if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)) and node not in skipped:
            yield from templates(node)


FILES = [
    file for file in sorted(PACKAGE.rglob("*.py")) if not OTHERS.match(str(file.relative_to(PACKAGE.parent)))
]
TEXTS = {
    text: str(file.relative_to(PACKAGE))
    for file in FILES
    for text in texts(file)
    if PROSE.search(COMMAND.sub("", text)) and text not in labels.KOREAN
}


IN_PARTS = {
    "line {} has {}, {} {}.": "line 2 has 3 columns, the header has 2.",
    "{} is not a valid .npy file.": "it is not a valid .npy file.",
    "{} is truncated: its header declares more numbers.": (
        "it is truncated: its header declares more numbers."
    ),
    "there is no {} '{}'.": "there is no cell 'foo'.",
    "the {}'s config has no class_name.": "the layer's config has no class_name.",
    "is nested more than {} deep.": "weights is nested more than 32 deep.",
    "the previous lines have": "line 2 has 3 columns, the previous lines have 2.",
    "the header has": "line 2 has 3 columns, the header has 2.",
    "--bidirectional: {} {} not recurrent.": "--bidirectional: Dense, Masking are not recurrent.",
    "{}: .weights.h5 names the parts inside {} by their classes": (
        "a: .weights.h5 names the parts inside b by their classes, which are not known here."
    ),
    "{}, which are not known here.": (
        "a: .weights.h5 names the parts inside b by their classes, which are not known here."
    ),
    "{} no recurrent layer to convert.": "a.npz: there is no recurrent layer to convert.",
    "{} is not a result of a recurrent layer.": "a.npz: a is not a result of a recurrent layer.",
    "{} calls return the same numbers: only a stateful layer keeps its state": (
        "all 3 calls return the same numbers: only a stateful layer keeps its state"
    ),
}
"""Texts that mean something only with certain words in their holes, with such words."""


def readings(template: str) -> Iterator[str]:
    """Yield the template with words in its holes: without a sentence before it, with a place before it."""
    template = re.sub(r"^\{\} (?=[A-Z])", "", IN_PARTS.get(template, template))
    template = re.sub(r"^\{\}(?=[a-z])", "a.json: ", template)
    pieces = template.split("{}")
    words = "".join(f"{piece}X{place}" for place, piece in enumerate(pieces[:-1])) + pieces[-1]
    yield from (words, f"X {words}", "7".join(pieces))


def test_every_text_has_its_korean() -> None:
    missing = {text: file for text, file in TEXTS.items() if all(map(untranslated, readings(text)))}
    assert missing == {}


def test_the_catalog_is_in_order() -> None:
    """No English text stands twice, no Korean text is English, and no hole is filled that there is not."""
    pairs = list(korean.pairs())
    assert len({english.removesuffix(".") for english, _ in pairs}) == len(pairs)
    for english, said in pairs:
        holes = len(re.findall(r"\{#?\}", english))
        numbered = [int(number) for number in re.findall(r"\{(\d+)\}", said)]
        assert said.count("{}") <= holes, english
        assert max(numbered, default=-1) < holes, english
        assert not (numbered and "{}" in said), english
        assert said != english or not PROSE.search(english), english


@pytest.mark.parametrize("name", catalog.names())
def test_every_text_of_the_help_has_its_korean(name: str) -> None:
    command = app.load(name)
    paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
    helps = [getattr(param, "help", "") for param in command.params if not getattr(param, "hidden", False)]
    headings = [getattr(param, "rich_help_panel", None) or "Options" for param in command.params]
    assert [text for text in (*paragraphs, *helps, *headings) if untranslated(text)] == []


def test_a_sentence_of_an_exercise_is_not_half_translated() -> None:
    assert korean.translate(exercise_3_parameters.HINT.en) == exercise_3_parameters.HINT.en


def test_the_list_of_commands_is_korean(rnncli: Run) -> None:
    for heading, summaries in catalog.sections().items():
        assert [text for text in (heading, *summaries.values()) if untranslated(text)] == []
    shown = rnncli("--help", env={"LANG": "ko_KR.UTF-8"}).stdout
    assert shown.startswith("사용법: rnncli")
    assert "명령마다 쓸 수 있는 플래그는" in shown


def test_korean_help_fits_its_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    app.main(["run", "--lang", "ko", "--help"])
    lines = capfd.readouterr().out.split("\n예:\n")[0].splitlines()
    assert lines[0].startswith("사용법: rnncli run")
    assert max(map(width_of, lines)) <= 80


@pytest.mark.parametrize(
    ("args", "locale", "language"),
    [
        ("run --lang ko", "en", "ko"),
        ("run --lang=KO", "en", "ko"),
        ("run --lang en", "ko", "en"),
        ("run --lang ko --lang en", "ko", "en"),
        ("run --lang fr", "ko", "ko"),
        ("run --lang", "ko", "ko"),
        ("run -- --lang ko", "en", "en"),
        ("", "ko", "ko"),
    ],
)
def test_the_language_of_a_command_line(args: str, locale: str, language: str) -> None:
    assert choose_language(args.split(), locale) == language


def test_an_error_and_a_note_in_korean(rnncli: Run) -> None:
    wrong = rnncli("run", "--lang", "ko", "--units", "three")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("rnncli: --units: 'three': 정수가 아닙니다.\n")
    noted = rnncli("run", env={"LANG": "ko_KR.UTF-8"})
    assert noted.stderr.startswith("rnncli: 참고: 입력이 없어 내장 예제 'sentence' (1, 4, 5)를 씁니다")
    assert rnncli("run", "--lang", "en", env={"LANG": "ko_KR.UTF-8"}).stderr.startswith(
        "rnncli: note: no input"
    )


@pytest.mark.parametrize(
    ("english", "said"),
    [
        ("there is no flag --layr.", "그런 플래그가 없습니다: --layr."),
        (
            "the command line: [1][0] is the number 3, where [0][0] is a list of 2.",
            "명령줄: [1][0]: 숫자 3입니다. [0][0]: 원소 2개인 리스트입니다.",
        ),
        (
            "Constant: value=[[1]] is not a number, or lists of numbers at most 8 deep.",
            "Constant: value=[[1]]: 숫자 또는 8단계까지 중첩된 숫자 리스트여야 합니다.",
        ),
        (
            "STFT: window=3 is not a name, a list of numbers or None.",
            "STFT: window=3: 이름, 숫자 리스트 또는 None이어야 합니다.",
        ),
        (
            "They are mean, seed. Give the others by name.",
            "다음과 같습니다: mean, seed. 나머지는 이름으로 주세요.",
        ),
        (
            "standard input: line 1, column 321: it is nested more than 64 levels deep.",
            "표준 입력: 1번째 줄 321번째 칸: 중첩이 64단계보다 깊습니다.",
        ),
        ("weights is nested more than 32 deep.", "weights: 중첩이 너무 깊습니다. 한도: 32단계."),
        ("Export the model again without it.", "그것 없이 모델을 다시 내보내세요."),
        (
            "hidden_state: largest difference from the run without --hold 2.5e-01",
            "hidden_state: --hold 없이 실행한 값과의 최대 차이 2.5e-01",
        ),
        (
            "the command line: the layer's config has no class_name.",
            "명령줄: 층의 config에 class_name이 없습니다.",
        ),
        (
            "--unit 9 is out of range: the units are 0 to 2.",
            "--unit 9: 범위를 벗어났습니다. 유닛은 0부터 2까지입니다.",
        ),
        (
            "added a batch axis: (4, 5) -> (1, 4, 5); for one feature in (4, 5, 1), "
            "write --input-shape 4,5,1",
            "배치 축을 추가했습니다: (4, 5) -> (1, 4, 5); 특성이 하나인 형태 (4, 5, 1): --input-shape 4,5,1",
        ),
        (
            "line 1, column 65: it is nested more than 64 levels deep.",
            "1번째 줄 65번째 칸: 중첩이 64단계보다 깊습니다.",
        ),
        ("m.keras: its config is nested too deeply.", "m.keras: config의 중첩이 너무 깊습니다."),
        (
            "weights is rnncli's own output, without named weights.",
            "weights: 이름이 붙은 가중치가 없는 rnncli의 출력입니다.",
        ),
        (  # what NumPy and Keras say stays English, and the sentence around it does not
            "m.keras: the layer up (Up) needs too much memory for (1, 2): Unable to allocate an array.",
            "m.keras: 층 up(Up)에 메모리가 너무 많이 필요합니다. 입력 (1, 2): Unable to allocate an array.",
        ),
        (
            "m.keras: the layer c (Conv1D) cannot take (1, 5, 4): slice step cannot be zero.",
            "m.keras: 층 c(Conv1D): (1, 5, 4): 받을 수 없는 입력입니다: slice step cannot be zero.",
        ),
        (
            "m.keras: the layer t (Odd) is not supported. Keras cannot run this model: Types differ.",
            "m.keras: 층 t(Odd): 지원하지 않습니다. Keras가 이 모델을 실행할 수 없습니다: Types differ.",
        ),
    ],
)
def test_a_sentence_of_several_parts_is_korean_throughout(english: str, said: str) -> None:
    assert korean.translate(english) == said


@pytest.mark.parametrize(
    "text",
    [
        "f(“relu”)",
        "f(\x01)",
        "f(3 4)",
        "f('''a)",
        "f('a)",
        "f(0b2)",
        "f(3)\\",
        "f(**x, 4)",
        "f(a=1, 4)",
        "f('a'=3)",
        "f(07)",
        "f(3",
        "f(3]",
        "f(3))",
    ],
)
def test_what_python_says_of_an_expression_is_korean(text: str) -> None:
    with pytest.raises(LayerError) as caught:
        parse(text)
    reason = caught.value.what.split("\n")[0]
    assert not untranslated(reason)
    assert not korean.translate(reason).endswith("?.")


@pytest.mark.parametrize(
    "english",
    [
        "layer 1 (LSTM) needs an input of 3 axes, but layer 0 (ConvLSTM1D) returns 4: (1, 4, 3, 2).",
        "layer 0 (LSTM) needs an input of 3 axes, but the input has 4: (1, 4, 3, 2).",
        "y.npy: it contains NaN or infinity.",
        "y.npy: it is (2, 3), which this layer does not return; it has 3 units, and the input has a batch of "
        "2 and 4 time steps.",
        "gru: load into a module whose gru is torch.nn.GRU(3, 2, batch_first=True)",
        "--to onnx cannot express this: it has no operator for the activation gelu.",
        "the activation glu halves its input, so no layer can use it as its activation.",
        "Write steps from 0 to 3, such as 1 or 2:.",
    ],
)
def test_no_word_of_the_sentence_stays_english(english: str) -> None:
    words = "it|the|its|but|layer|input|returns|module|activation|load|steps|or"
    assert re.findall(rf"\b({words})\b", korean.translate(english)) == []


def test_an_error_in_the_explorer_is_korean_throughout() -> None:
    error = UsageError("units is fixed in a saved model.", "return_sequences and return_state can change.")
    assert [part for part in describe_error(error, "ko").split(". ") if untranslated(part)] == []


def test_english_where_korean_cannot_be_shown(rnncli: Run) -> None:
    done = rnncli("run", "--unit", env={"LANG": "ko_KR", "PYTHONIOENCODING": "ascii"})
    assert done.stderr.startswith("rnncli: there is no flag --unit.")


def test_what_is_quoted_stays() -> None:
    assert (
        korean.translate("--fill: 'no input given' is not a valid choice.")
        == "--fill: 쓸 수 없는 값입니다: 'no input given'."
    )
    assert (
        korean.translate("Choose one of layer, inputs, mask.")
        == "다음 중 하나를 고르세요: layer, inputs, mask."
    )
    assert korean.translate("words that nobody wrote here") == "words that nobody wrote here"


@pytest.mark.parametrize(
    "text",
    [
        "a: b, c; d. E is not f " * 70,
        "there is no " * 120,
        "is (" * 400,
        "x: " * 500,
        "x: " * 15,
        "the x, " * 15,
    ],
)
def test_a_hostile_text_has_few_parts(text: str) -> None:
    korean._translate.cache_clear()
    korean.translate(text[:1500])
    assert korean._translate.cache_info().misses < 1000


@pytest.mark.parametrize("words", [[], ["help"], ["help", "run"]])
def test_the_language_alone_shows_the_help_in_it(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.main(["--lang", "ko", *words]) == 0
    shown = capfd.readouterr()
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    assert app.main(words) == 0
    assert capfd.readouterr() == shown
    assert shown.out.startswith("사용법: rnncli ")
    assert shown.err == ""


def test_an_unknown_language_alone_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--lang", "xx"]) == 2
    shown = capfd.readouterr()
    assert (shown.out, shown.err.splitlines()[0]) == ("", "rnncli: --lang: 'xx' is not a valid choice.")


def test_the_language_may_come_before_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--lang", "ko", "run", "--seed", "1", "--quiet"]) == 0
    assert "입력 (1, 4, 5)" in capfd.readouterr().out
    assert app.main(["--lang", "ko", "run", "--lang", "en", "--seed", "1", "--quiet"]) == 0
    assert "input (1, 4, 5)" in capfd.readouterr().out
    assert app.main(["--help", "--lang", "ko"]) == 0
    assert "사용법" in capfd.readouterr().out
    assert app.main(["--lang", "xx", "run"]) == 2
