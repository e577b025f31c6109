"""The sample `review_ko`: a GRU(1) that reads Korean reviews, in which the negation comes last.

It is taught at every word, with every beginning of what it learns: 0 before the adjective, then the verdict,
which 않지 and 않다 turn over.  Of the grammar's sentences it is taught two thirds.
Run with PyTorch, in the folder tests: python -m training.review_ko
"""

import random
from itertools import product
from typing import Any

KEPT = 8
"""The seed whose gates are easy to read."""
NOUNS = ("영화", "음악", "연기", "결말", "이야기", "노래")
SUBJECTS = ("영화가", "음악이", "연기가", "결말이", "이야기가", "노래가")
DEGREES = ("정말", "아주")
GOOD, BAD = ("좋", "재미있", "훌륭하"), ("나쁘", "지루하", "뻔하")
ENDINGS = ("다", "지", "고", "지만")
BEFORE_NOUNS = {
    "좋은": "좋", "재미있는": "재미있", "훌륭한": "훌륭하",
    "나쁜": "나쁘", "지루한": "지루하", "뻔한": "뻔하",
}  # fmt: skip
STEMS = {f"{stem}{end}": stem for end in ENDINGS for stem in (*GOOD, *BAD)} | BEFORE_NOUNS
NOTS = (*(f"않{end}" for end in ENDINGS), "않은")
GROUPS = {"명사": [*SUBJECTS, *NOUNS], "평": [*STEMS], "그 밖": [*DEGREES, *NOTS]}
WORDS = [word for words in GROUPS.values() for word in words]
SPOKEN = {
    "좋다": "좋아 좋아요 좋습니다 좋네요 좋았다 좋았어요", "좋지": "좋지는 좋진",
    "재미있다": "재미있어요 재미있습니다 재미있네요 재미있었다 재밌다 재밌어요 재밌네요",
    "재미있지": "재미있지는 재밌지", "재미있는": "재밌는",
    "훌륭하다": "훌륭해요 훌륭합니다 훌륭하네요 훌륭했다",
    "나쁘다": "나빠요 나쁩니다 나쁘네요 나빴다", "나쁘지": "나쁘지는 나쁘진",
    "지루하다": "지루해요 지루합니다 지루하네요 지루했다 재미없다 재미없어요",
    "지루하지": "지루하지는 재미없지", "지루한": "재미없는",
    "뻔하다": "뻔해요 뻔합니다 뻔하네요 뻔했다",
    "않다": "않아요 않습니다 않네요 않았다 않았어요", "정말": "진짜", "아주": "매우 너무",
}  # fmt: skip
ALIASES = {spoken: word for word, others in SPOKEN.items() for spoken in others.split()} | {
    f"{noun}{end}": subject
    for noun, subject in zip(NOUNS, SUBJECTS, strict=True)
    for end in ("은" if subject.endswith("이") else "는", "도")
}


def verdict(sentence: str) -> int:
    """Return 1 for a good review, -1 for a bad one, 0 where nothing is said yet."""
    now = 0
    for word in sentence.split():
        if word in NOTS:
            now = -now
        elif word in STEMS:
            now = 1 if STEMS[word] in GOOD else -1
    return now


def joined(*choices: tuple[str, ...]) -> list[str]:
    """Return every combination of the choices as a sentence."""
    return [" ".join("".join(parts).split()) for parts in product(*choices)]


OPTIONAL = ("", *(f"{degree} " for degree in DEGREES))
NEGATIONS = ("다", "지 않다", "지 않지 않다")


def sentences() -> list[str]:
    """Return all sentences of the grammar."""
    return joined(tuple(f"{subject} " for subject in SUBJECTS), OPTIONAL, GOOD + BAD, NEGATIONS)


def split() -> tuple[list[str], list[str]]:
    """Return the sentences that are taught, and the third that is held out."""
    known = random.Random(1).sample(sentences(), len(sentences()))
    return known[len(known) // 3 :], known[: len(known) // 3]


def fragments() -> dict[str, list[str]]:
    """Return what people type that is no sentence, by what it is."""
    before = (*BEFORE_NOUNS, *(f"{stem}지 않은" for stem in GOOD + BAD))
    return {
        "verdicts": joined(OPTIONAL, GOOD + BAD, NEGATIONS),
        "phrases": joined(OPTIONAL, before, tuple(f" {noun}" for noun in (*NOUNS, *SUBJECTS))),
        "neutral": [*NOUNS, *DEGREES, *joined(tuple(f"{subject} " for subject in SUBJECTS), OPTIONAL)],
    }


def clauses(known: list[str], count: int) -> list[str]:
    """Return some reviews of two clauses, of which the second decides."""
    drawn = random.Random(2)
    return [
        f"{drawn.choice(known)[:-1]}{drawn.choice(('고', '지만'))} {drawn.choice(known)}"
        for _ in range(count)
    ]


def taught() -> list[list[tuple[str, int]]]:
    """Return parts that are taught equally often, of reviews and their beginnings with their verdicts."""
    known, _ = split()
    short = fragments()["verdicts"]
    wholes = [known, *fragments().values(), clauses(short, 500) + clauses(known, 500)]
    parts = [
        [" ".join(text.split()[: length + 1]) for text in part for length in range(len(text.split()))]
        for part in wholes
    ]
    return [[(text, verdict(text)) for text in part] for part in (*wholes, *parts)]


def train() -> dict[str, Any]:
    """Return the sample's document."""
    from training import sentences as learning

    trained = learning.train(taught(), WORDS, KEPT)
    return {
        "about": {
            "en": "Reads a Korean review: good (1) or bad (-1). The negation comes last. It was taught at "
            "every word.",
            "ko": "평이 좋은지(1) 나쁜지(-1) 판단합니다. 부정은 뒤에 옵니다. "
            "정답을 단어마다 주고 학습했습니다.",
        },
        "layer": "GRU(1, return_sequences=True)",
        "inputs": ["영화가 정말 좋지 않다"],
        "answers": {"-1": "나쁨", "0": "아직 모름", "1": "좋음"},
        "words": trained["words"],
        "groups": GROUPS,
        "aliases": ALIASES,
        "weights": trained["weights"],
    }


if __name__ == "__main__":
    from training.saving import save

    save("review_ko", train())
