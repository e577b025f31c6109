"""Stateful: every call begins where the previous one ended."""

from rnncli.commands.tour.lesson import Step, Text

COMMANDS = (
    "rnncli run -l gru --calls 3 --all-calls --seed 7",
    "rnncli run -l gru --stateful --calls 3 --all-calls --seed 7",
)

STEP = Step(
    title=Text("stateful: memory between calls", "stateful: 호출 사이의 기억"),
    asks=Text(
        "Normally every call starts from a state of zeros. With stateful=True it starts from the state where "
        "the previous call ended. We give the same sentence three times.",
        "보통은 호출할 때마다 0인 상태에서 시작합니다. stateful=True이면 이전 호출이 끝난 상태에서 이어서 "
        "시작합니다. 같은 문장을 세 번 넣어 봅니다.",
    ),
    layer="GRU(3, stateful=True)",
    commands=COMMANDS,
    notice=Text(
        "above, three calls return the same numbers. Below, with stateful=True, each call returns different "
        "ones, although the input is the same.",
        "위에서는 세 번 모두 같은 값이 나옵니다. 아래의 stateful=True에서는 입력이 같은데도 호출할 때마다 "
        "값이 다릅니다.",
    ),
    question=Text(
        "a new document begins. What must you do with a stateful layer?",
        "새 문서가 시작됩니다. stateful 층에는 무엇을 해 주어야 할까요?",
    ),
    answer=Text(
        "call layer.reset_state(); otherwise the new document starts with the memory of the old one.",
        "layer.reset_state()를 호출해야 합니다. 그러지 않으면 앞 문서의 기억을 가진 채 시작합니다.",
    ),
)
