"""The sample `review`: a GRU(1) that says whether a review is good (1) or bad (-1).

Only the last word's verdict is taught, with half of the sentences.  Four of five seeds learn all;
some assume the worst, and turn at good words.  The gates of this seed are easy to read.
Run with Keras, in the folder tests: python -m training.review
"""

from itertools import chain, product
from typing import Any

import numpy as np

SEED = 16
GOOD, BAD = ("good", "great", "fun", "clever"), ("bad", "dull", "boring", "slow")
SUBJECTS = ("the", "this"), ("film", "plot", "music", "ending"), ("is", "was", "seems")
DEGREES = ("", "very", "really", "quite", "not", "not very", "not not")


def verdict(sentence: str) -> int:
    """Return 1 for a good review, -1 for a bad one: each `not` turns it over."""
    words = sentence.split()
    turns = words.count("not") + (words[-1] in BAD)
    return -1 if turns % 2 else 1


def sentences() -> list[str]:
    """Return all sentences of the grammar."""
    parts = product(*SUBJECTS, DEGREES, (*GOOD, *BAD))
    return [" ".join(filter(None, part)) for part in parts]


WORDS = tuple(dict.fromkeys(word for sentence in sentences() for word in sentence.split()))
LISTED = (*chain(*SUBJECTS), "not", "very", "really", "quite", *GOOD, *BAD)
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
        last = len(sentence.split()) - 1
        targets[row, last], counted[row, last] = verdict(sentence), 1
    layer = keras.layers.GRU(1, return_sequences=True)
    words = train_words(taught, targets, counted, layer, WORDS, 3, epochs=400, rate=0.02)
    return {
        "about": {"en": "Reads a review: good (1) or bad (-1). Only the verdict at the last word was taught.",
                  "ko": "평을 읽고 좋은지(1) 나쁜지(-1) 판단합니다. "
                        "정답은 마지막 단어에만 주고 학습했습니다."},
        "layer": "GRU(1, return_sequences=True)", "inputs": ["the film is not very good"],
        "answers": {"-1": "bad", "1": "good"},
        "words": {word: words[word] for word in LISTED}, "weights": weights_of(layer),
    }  # fmt: skip


if __name__ == "__main__":
    from training.saving import save

    save("review", train())
