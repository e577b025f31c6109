"""The sample `bank`: a Bidirectional GRU(1) that tells a bank of money from a bank of a river.

The word that decides stands before "bank" or after it.  Only the sum of the two halves at "bank" is taught:
1 for money, -1 for the river.
Run with Keras, in the folder tests: python -m training.bank
"""

from itertools import product
from typing import Any

import numpy as np

SEED = 3
FIRST = ("the", "this", "that", "our")
RIVER, MONEY = ("muddy", "grassy", "sandy", "steep"), ("rich", "central", "private")
NEITHER = ("", "old", "big", "near")
FLOODS, LENDS = ("floods", "erodes", "crumbles", "overflows"), ("lends", "pays", "invests", "charges")
AFTER = ("", "today", "again", "here", "now")


def meaning(sentence: str) -> int:
    """Return 1 for money, -1 for a river."""
    return 1 if {*MONEY, *LENDS} & {*sentence.split()} else -1


def sentences() -> list[str]:
    """Return all sentences of the grammar."""
    before = product(FIRST, (*RIVER, *MONEY), ("bank",), AFTER)
    behind = product(FIRST, NEITHER, ("bank",), (*FLOODS, *LENDS))
    return [" ".join(filter(None, part)) for part in (*before, *behind)]


WORDS = tuple(dict.fromkeys(word for sentence in sentences() for word in sentence.split()))
LISTED = (*FIRST, *NEITHER[1:], *RIVER, *MONEY, "bank", *FLOODS, *LENDS, *AFTER[1:])
"""WORDS is the order in which their vectors are drawn, LISTED that of the sample."""


def train(seed: int = SEED) -> dict[str, Any]:
    """Return the sample's document."""
    import keras

    from training.saving import train_words, weights_of

    keras.utils.set_random_seed(seed)
    known = [str(one) for one in np.random.default_rng(seed).permutation(sentences())]
    taught = known[: 3 * len(known) // 4]
    longest = max(len(sentence.split()) for sentence in taught)
    targets, counted = np.zeros((2, len(taught), longest))
    for row, sentence in enumerate(taught):
        at = sentence.split().index("bank")
        targets[row, at], counted[row, at] = meaning(sentence), 1
    layer = keras.layers.Bidirectional(keras.layers.GRU(1, return_sequences=True))
    words = train_words(taught, targets, counted, layer, WORDS, 2, epochs=300, rate=0.02, merge=True)
    return {
        "about": {
            "en": "A bank of money (1) or of a river (-1)? The forward and backward outputs "
            "at the word bank are added (merge_mode sum shows it); only this sum was taught.",
            "ko": "bank가 은행(1)일까요, 강둑(-1)일까요? "
            "정답은 bank에서 나온 두 출력의 합에만 주고 학습했습니다"
            "(merge_mode가 sum이면 그 합을 반환합니다).",
        },
        "layer": "Bidirectional(GRU(1, return_sequences=True))",
        "inputs": ["the bank lends", "the bank floods"],
        "answers": {"-1": "river", "0": "nothing yet", "1": "money"},
        "words": {word: words[word] for word in LISTED},
        "weights": weights_of(layer),
    }


if __name__ == "__main__":
    from training.saving import save

    save("bank", train())
