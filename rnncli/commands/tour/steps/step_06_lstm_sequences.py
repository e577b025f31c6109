"""LSTM with return_sequences and return_state."""

from rnncli.commands.tour.lesson import Step, Text

STEP = Step(
    title=Text("LSTM with both options", "LSTM에 두 옵션을 함께"),
    asks=Text(
        "Now every hidden state of the LSTM, and both of its last states.",
        "이번에는 LSTM의 모든 은닉 상태와 마지막 상태 두 개를 함께 받습니다.",
    ),
    layer="LSTM(3, return_sequences=True, return_state=True)",
    commands=("rnncli run -l lstm --return-sequences --return-state --seed 7",),
    notice=Text(
        "the last hidden state is the last row again. return_sequences affects the hidden state only: the "
        "cell state is returned for the last time step only.",
        "이번에도 마지막 은닉 상태는 마지막 행과 같습니다. return_sequences는 은닉 상태에만 적용되므로 셀 "
        "상태는 마지막 시점의 것만 나옵니다.",
    ),
    question=Text("where can you see the cell state at t=1?", "t=1의 셀 상태는 어디에서 볼 수 있을까요?"),
    answer=Text(
        "not in what Keras returns. rnncli trace -l lstm --seed 7 shows it; so does step 9.",
        "Keras가 반환하는 값에는 없습니다. rnncli trace -l lstm --seed 7로 볼 수 있고, 9단계에도 나옵니다.",
    ),
)
