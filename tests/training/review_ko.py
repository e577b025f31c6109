"""The sample `review_ko`: a GRU(1) that reads Korean reviews, in which the negation comes last.

It is taught at every word: 0 before the adjective, then the verdict, which 않지 and 않다 turn over.
Run with Keras, in the folder tests: python -m training.review_ko
"""

from itertools import product
from typing import Any

import numpy as np

SEED = 1
SUBJECTS = ("영화가", "음악이", "연기가", "결말이", "이야기가", "노래가")
DEGREES = ("", "정말", "아주")
GOOD, BAD = ("좋", "재미있", "훌륭하"), ("나쁘", "지루하", "뻔하")
ENDINGS = ("다", "지 않다", "지 않지 않다", "지 않지 않지 않다")


def verdicts(sentence: str) -> list[int]:
    """Return what is right after each word: 0, 1 (good) or -1 (bad)."""
    now = 0
    found: list[int] = []
    for word in sentence.split():
        if word in ("않지", "않다"):
            now = -now
        elif word.endswith(("지", "다")):
            now = 1 if word[:-1] in GOOD else -1
        found.append(now)
    return found


def sentences() -> list[str]:
    """Return all sentences of the grammar."""
    parts = product(SUBJECTS, DEGREES, (*GOOD, *BAD), ENDINGS)
    return [" ".join(f"{subject} {degree} {stem}{end}".split()) for subject, degree, stem, end in parts]


WORDS = tuple(dict.fromkeys(word for sentence in sentences() for word in sentence.split()))
LISTED = (
    *SUBJECTS, *DEGREES[1:], *(f"{stem}{end}" for end in "다지" for stem in (*GOOD, *BAD)), "않지", "않다"
)  # fmt: skip
"""WORDS is the order in which their vectors are drawn, LISTED that of the sample."""


def train(seed: int = SEED) -> dict[str, Any]:
    """Return the sample's document."""
    import keras

    from training.saving import train_words, weights_of

    keras.utils.set_random_seed(seed)
    known = [str(one) for one in np.random.default_rng(seed).permutation(sentences())]
    taught = known[: len(known) // 2]
    longest = max(len(sentence.split()) for sentence in taught)
    targets, counted = np.zeros((2, len(taught), longest))
    for row, sentence in enumerate(taught):
        right = verdicts(sentence)
        targets[row, : len(right)], counted[row, : len(right)] = right, 1
    layer = keras.layers.GRU(1, return_sequences=True)
    words = train_words(taught, targets, counted, layer, WORDS, 3, epochs=300, rate=0.02)
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
        "words": {word: words[word] for word in LISTED},
        "weights": weights_of(layer),
    }


if __name__ == "__main__":
    from training.saving import save

    save("review_ko", train())
