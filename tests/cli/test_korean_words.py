"""The Korean of texts, pages and the lesson: words and sentences that a teacher would not say."""

import re
from pathlib import Path

import pytest
from command import Run
from hangul import HANGUL

from rnncli import handbook
from rnncli.commands.why import diagnosis
from rnncli.errors import Message
from rnncli.locale import fit_particle
from rnncli.show.wording import say

PACKAGE = Path(handbook.__file__).parents[1]
PATTERNS = (
    "locale/ko.po", "handbook/*.ko.md", "handbook/korean.md", "commands/tour/*.toml",
    "commands/why/causes/*.toml",
)  # fmt: skip
FILES = [file for pattern in PATTERNS for file in sorted(PACKAGE.glob(pattern))]
FILES += [PACKAGE.parent / "README.md", *sorted((PACKAGE.parent / "samples").glob("*.json"))]
"""Every file that holds Korean texts."""
PAGES = sorted((PACKAGE / "handbook").glob("*.ko.md"))

BETTER = {
    "돌려주|돌려줄|돌려줍": "반환", "목표": "타깃(정답)", "손실이 (출력|{)": "손실 함수가",
    r"reset_after (있는|없는)": "reset_after=True인, reset_after=False인",
    r"\d벌|}벌": "세트", "(첫|둘째|셋째) 판": "첫 번째 버전", "뽑(기|습니다|거나|으)": "초기화",
    "(행|형태|시점)은 무엇일까요": "몇 행일까요, 어느 시점일까요",
    "무엇을 주나요": "무엇을 입력하나요",
    "유닛마다 숫자|유닛 수만큼의 숫자입니다": "숫자가 유닛 수만큼 있습니다",
    "패딩을 찾는 층": "Masking 층", "시작할 상태": "초기 상태", "거슬러 전해": "역전파됨",
    "맞는 형태의 0": "형태가 맞는 0 텐서", "하나라도 있으면": "하나라도 True이면",
    "어느 시점이 실제인지": "실제 데이터인지", "플래그": "옵션", "순환 층": "순환층",
    r"(?<!순환)층 (\d(?!개)|\{(index|last|other|place|layer|name))": "0번 층, encoder 층",
    r"(?<!시)계열": "시계열", "토큰 (id|ID)": "토큰 번호", "되풀이": "반복", "없는 것과 같": "건너뜁니다",
    "(정방향|역방향) 부분|두 부분(의|은|을|이| 모두)(?! 숫자)": "정방향 출력, 역방향 출력",
    "위의 것|아래 것": "reset_after=True, reset_after=False", "시작 상태": "초기 상태",
    "무작위이며": "무작위로 초기화되며", "누군가|만큼이나": "쓰면, 만큼",
    '란 무엇인가"|나요$|까요$': "물음표로 끝냅니다",
    "마스크는 앞의 층이": "마스크는 보통 앞의 층이",
    "값 하나는 어디|어디에서 나오나요": "이 값은 어떻게 나왔나요?",
    "값을 설명하는 알려진|틀리다면|어떻게 틀리": "값이 다른 이유, 틀렸다면 어디가",
    "(파일|페이지|스크립트|모델|레이아웃)(에|를|을|로|으로) 씁니다": "저장합니다, 만듭니다, 내보냅니다",
    "오차를 빼고": "오차를 제외하면", "수가 하나인": "숫자가 하나뿐인",
    "받은 것:|받은 것은|JSON에 없는 것": "받았습니다, 쓸 수 없습니다",
    "똑같은 숫자를 드롭아웃|기울기를 자": "똑같은 자리, 기울기 클리핑",
    r"답, 예를 들면|답 \(|ko = \"row": "답(예: 9행)",
    "GPU에서 빠르게 계산하는 방법": "NVIDIA의 GPU용 라이브러리",
    "가르쳤|가르쳐": "정답을 주고 학습했습니다", "(?<![‘\"가-힣])(좋|나쁘)다[가로]": "‘좋음’이 ‘나쁨’으로",
}  # fmt: skip
"""What to write instead of words that match."""


COMMANDS = re.compile(r"rnncli (?:help|tour)\b[^`.\n]*")


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix != ".po"], ids=lambda file: file.name)
def test_commands_that_show_texts_stay_in_korean(file: Path) -> None:
    """Whoever follows `rnncli help masks` in a Korean text reads Korean, if the page has it."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if HANGUL.search(line)]
    korean = [line.rpartition(" ko = ")[2] for line in lines]  # in a lesson, its English stands before it
    commands = [command for line in korean for command in COMMANDS.findall(line)]
    english = {topic for topic in handbook.TOPICS if not handbook.is_korean(topic)}
    typed = [command for command in commands if "--lang" not in command]
    assert [command for command in typed if not english & set(re.findall(r"\w+", command))] == []


@pytest.mark.parametrize("words", BETTER)
def test_words_that_a_teacher_would_not_say(words: str) -> None:
    found = [
        f"{file.name}: {line}"
        for file in FILES
        for line in file.read_text(encoding="utf-8").splitlines()
        if HANGUL.search(line) and re.search(words, line)
    ]
    assert found == [], BETTER[words]


@pytest.mark.parametrize(("before", "written", "fits"), [
    ("u0", "가", "이"), ("t=3", "를", "을"), ("t=2", "을", "를"), ("x.json", "는", "은"),
    ("a.npz", "은", "는"), ("LSTM", "가 ", "이 "), ("GRU", "이 ", "가 "), ("LSTM(3)", "와", "과"),
    ("(1, 4, 5)", "을", "를"), ("(None, 64)", "은", "는"), ("[0,1,7]", "으로", "로"), ("10", "로", "으로"),
    ("--mask", "을", "를"), ("--input-shape", "이", "가"), ("'kernel'", "으로", "로"),
    ("'forget", "'를", "'을"), ("bias", "은", "는"), ("입력", "를", "을"), ("층 둘", "으로", "로"),
    ("R", "으로", "로"), ("NAME", "로", "으로"), ("2 GiB", "이", "가"), ("3", "여야", "이어야"),
    ("step", "나", "이나"), ("file", "가지", "가지"), ("LSTM", " 가", " 가"), ("…", "은", "은"),
])  # fmt: skip
def test_a_particle_follows_the_sound_of_the_word_before_it(before: str, written: str, fits: str) -> None:
    assert fit_particle(before, written) == fits


@pytest.mark.parametrize(("template", "fields", "said"), [
    ("{shown} differs from {reference}.", {"shown": "h", "reference": "ONNX Runtime"}, "ONNX Runtime과"),
    ("{shown} differs from {reference}.", {"shown": "h", "reference": "TensorFlow"}, "TensorFlow와"),
    ("{file} failed: {kind}: {line}.", {"file": "a.py", "kind": "E", "line": 1}, "a.py를"),
    ("{file} failed: {kind}: {line}.", {"file": "a.pt#lstm", "kind": "E", "line": 1}, "a.pt#lstm을"),
])  # fmt: skip
def test_particles_of_messages_fit_what_fills_their_holes(
    template: str, fields: dict[str, object], said: str
) -> None:
    assert said in say(Message(template, **fields), "ko")


def test_particles_of_why_fit_what_fills_their_holes() -> None:
    for shape, said in (((None, 3), "(None, 3)을"), ((None, 4), "(None, 4)를")):
        assert said in diagnosis.fill("이 층은 {shape}를 받았습니다.", {"shape": shape})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_particles_follow_the_words_before_them(file: Path) -> None:
    """Behind a hole a particle is fitted when the hole is filled."""
    wrong = []
    for line in file.read_text(encoding="utf-8").splitlines():
        for found in re.finditer(r"(?<=[A-Za-z0-9])['\"`’]*[가-힣]+(?![^{]*})", line):
            before = line[: found.start()]
            if fit_particle(before, found[0]) != found[0]:
                wrong.append(f"{before[-20:]}{found[0]}")
    assert wrong == []


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


@pytest.mark.slow
def test_an_example_of_help_with_a_sentence_has_a_korean_sentence(rnncli: Run, shell: Run) -> None:
    shown = rnncli("samples", "--help", "--lang", "ko").stdout
    (command,) = (line.strip() for line in shown.splitlines() if "samples review" in line)
    assert "samples review_ko" in command
    assert "나쁨" in shell(command).success().stdout
