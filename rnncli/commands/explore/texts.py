"""The texts of the explorer, in English and Korean."""

from __future__ import annotations

from rnncli.cli.language import localize
from rnncli.errors import RnncliError
from rnncli.show.wording import Bilingual

TEXTS: dict[str, Bilingual] = {
    "results": Bilingual("results", "결과"),
    "input": Bilingual("input", "입력"),
    "weights": Bilingual("weights", "가중치"),
    "sequence": Bilingual("sequence {} (0-{})", "시퀀스 {} (0-{})"),
    "keys": Bilingual(
        "Tab pane  1-4 view  Enter edit  [ ] time  h hold  u undo  ? help  q quit",
        "Tab 창  1-4 보기  Enter 편집  [ ] 시점  h 고정  u 되돌리기  ? 도움말  q 종료",
    ),
    "gates": Bilingual("gates", "게이트"),
    "no steps": Bilingual(
        "a state has one time step; press 4 for the gates and states at every time step",
        "상태에는 시점이 하나뿐입니다. 4를 누르면 모든 시점의 게이트와 상태를 볼 수 있습니다",
    ),
    "new value": Bilingual("new value of {}", "{}의 새 값"),
    "mask": Bilingual(
        "steps to mask in this sequence, such as 1 or 0, 2: (empty for none)",
        "이 시퀀스에서 마스크할 시점. 예: 1 또는 0, 2: (비우면 없음)",
    ),
    "hold": Bilingual(
        "hold GATE[:, UNITS]=VALUE@FROM:TO (; between several, empty for none)",
        "고정: GATE[:, UNITS]=VALUE@FROM:TO (여럿은 ;로 구분. 비우면 없음)",
    ),
    "held": Bilingual("held", "고정"),
    "no hold": Bilingual("no gate is held; press h to hold one", "고정된 게이트가 없습니다. h로 고정하세요"),
    "difference": Bilingual("with held gates - without", "고정 있음 - 고정 없음"),
    "file": Bilingual("save as (a new .json file)", "저장할 파일 (새 .json 파일)"),
    "saving": Bilingual("saving...", "저장하는 중..."),
    "saved": Bilingual("saved {}", "{}에 저장함"),
    "copied": Bilingual("copied", "복사함"),
    "too long": Bilingual(
        "edited: press s to save it, then the command can be shown",
        "편집됨: s를 눌러 저장하면 명령이 표시됩니다",
    ),
    "computing": Bilingual("computing...", "계산하는 중..."),
    "no undo": Bilingual("nothing to undo", "되돌릴 것이 없습니다"),
    "no redo": Bilingual("nothing to redo", "다시 할 것이 없습니다"),
    "not a number": Bilingual("{} is not a number", "{}: 숫자가 아닙니다"),
    "fixed": Bilingual(
        "results cannot be edited; press 2 for the input, 3 for the weights, h to hold a gate",
        "결과는 편집할 수 없습니다. 2는 입력, 3은 가중치, h는 게이트 고정",
    ),
    "save": Bilingual("save", "저장"),
    "copy": Bilingual("copy the command", "명령 복사"),
    "copy expression": Bilingual("copy the Keras expression", "Keras 표현식 복사"),
    "hold gate": Bilingual("hold a gate", "게이트 고정"),
    "release": Bilingual("release every held gate", "모든 게이트 고정 해제"),
    "differences": Bilingual("show what the held gates change", "게이트 고정에 따른 차이 보기"),
    "mask step": Bilingual("mask or unmask this time step", "이 시점을 마스크하거나 해제"),
    "terms": Bilingual("show every term of the equations", "식의 모든 항 표시"),
    "search": Bilingual("search for a command", "명령 검색"),
    "theme": Bilingual("change the theme", "테마 변경"),
    "help page": Bilingual("help", "도움말"),
    "quit": Bilingual("quit", "종료"),
    "undo": Bilingual("undo", "되돌리기"),
    "redo": Bilingual("redo", "다시 하기"),
    "help": Bilingual(
        """\
Tab, Shift+Tab   next pane, previous pane
arrows           move; in the layer pane left and right change a value
Space, Enter     toggle an option, or type a new value
1  2  3  4       results, input, weights, gates and states
[  ]             previous and next time step
b  B             next and previous sequence of the batch
m                mask this time step, or unmask it
h  H             hold the gate under the cursor, release every gate
d                show what the held gates change
e                show every term of the equations
u  U             undo, redo
s                save as a case document
c  k             copy the command, copy the Keras expression
Ctrl+P           command palette
q                quit

Colors: orange is positive, blue is negative; darker is nearer to zero.
Any key closes this page.""",
        """\
Tab, Shift+Tab   다음 창, 이전 창
화살표           이동. 층 창에서는 왼쪽과 오른쪽으로 값을 바꿈
Space, Enter     옵션을 켜고 끄거나 새 값을 입력
1  2  3  4       결과, 입력, 가중치, 게이트와 상태
[  ]             이전 시점, 다음 시점
b  B             배치의 다음 시퀀스, 이전 시퀀스
m                이 시점을 마스크하거나 해제
h  H             커서가 있는 게이트 고정, 모든 고정 해제
d                게이트 고정에 따른 차이 보기
e                식의 모든 항 표시
u  U             되돌리기, 다시 하기
s                실험 문서로 저장
c  k             명령 복사, Keras 표현식 복사
Ctrl+P           명령 팔레트
q                종료

색: 주황은 양수, 파랑은 음수이며 어두울수록 0에 가깝습니다.
아무 키나 누르면 닫힙니다.""",
    ),
}


def get_text(key: str, lang: str) -> str:
    """Return a text of the explorer."""
    return TEXTS[key].in_language(lang)


def describe_error(error: RnncliError, lang: str) -> str:
    """Return what is wrong, and what to do."""
    return " ".join(localize(text, lang) for text in (error, error.advice) if text)
