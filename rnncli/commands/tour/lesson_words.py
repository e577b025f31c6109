"""The texts of the lesson, in English and Korean, by key."""

from __future__ import annotations

from rnncli.renderers.wording import add_words

say = add_words(
    {
        "step of": ("step {number} of {last}", "{number}/{last}단계"),
        "exercise": ("exercise {number}", "연습 {number}"),
        "notice": ("Notice", "살펴보기"),
        "question": ("Question", "질문"),
        "answer": ("Answer", "답"),
        "the same numbers": ("the same numbers", "같은 값"),
        "the same numbers each": ("rows with the same letter are equal", "글자가 같은 행은 값이 같음"),
        "keys": ("Enter next, ? answer, b back, q quit", "Enter 다음, ? 답 보기, b 이전, q 끝내기"),
        "keys answered": ("Enter next, b back, q quit", "Enter 다음, b 이전, q 끝내기"),
        "keys more": ("Enter more, b back, q quit", "Enter 더 보기, b 이전, q 끝내기"),
        "go on": (
            "Now try the exercises: rnncli tour --exercise 1",
            "이제 연습 문제를 풀어 보세요: rnncli tour --exercise 1",
        ),
        "answer it": (
            "To check your answer, write it after --answer:",
            "답을 확인하려면 --answer 뒤에 써넣으세요.",
        ),
        "right": ("Right.", "맞았습니다."),
        "wrong": ("{answer} is not right.", "{answer}: 틀렸습니다."),
    }
)
