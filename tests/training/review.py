"""The sample `review`: a GRU(1) that says whether a review is good (1) or bad (-1), or nothing yet (0).

Only the verdict at the last word is taught, of fragments, pairs, clauses joined by `and` and `but` (the
second decides), and of two thirds of the grammar's sentences.
Run with PyTorch, in the folder tests: python -m training.review
"""

import random
from itertools import product
from typing import Any

KEPT = 23
"""The seed whose gates are easy to read: some others take `not` for good, and turn at good words."""
GOOD, BAD = ("good", "great", "fun", "clever"), ("bad", "dull", "boring", "slow")
ARTICLES, NOUNS = ("the", "this", "a"), ("film", "plot", "music", "ending")
VERBS, DEGREES = ("is", "was", "seems"), ("very", "really", "quite")
JOINTS = ("and", "but")
GROUPS = {
    "nouns": [*NOUNS, "it"],
    "verdicts": [*GOOD, *BAD],
    "small words": [*ARTICLES, *VERBS, "not", *DEGREES, *JOINTS],
}
ALIASES = {
    "isn't": "is not", "wasn't": "was not", "it's": "it is", "an": "a", "that": "this", "movie": "film",
    "story": "plot", "too": "very", "so": "very",
}  # fmt: skip
WORDS = [*GROUPS["small words"], *GROUPS["nouns"], *GROUPS["verdicts"]]


def verdict(sentence: str) -> int:
    """Return 1 for a good review, -1 for a bad one, 0 where nothing is said yet: the last clause decides."""
    words = sentence.split()
    clause = words[max((index + 1 for index, word in enumerate(words) if word in JOINTS), default=0) :]
    said = [word for word in clause if word in GOOD + BAD]
    return (-1 if (said[-1] in BAD) ^ ("not" in clause) else 1) if said else 0


def joined(*choices: tuple[str, ...]) -> list[str]:
    """Return every combination of the choices as a sentence."""
    return [" ".join(" ".join(parts).split()) for parts in product(*choices)]


MEASURES = ("", *DEGREES, *joined(("not",), ("", *DEGREES)))
SUBJECTS = ("it", *joined(("", "the", "this"), NOUNS))


def sentences() -> list[str]:
    """Return all sentences of the grammar, each noun with and without an article."""
    return joined(SUBJECTS, VERBS, MEASURES, GOOD + BAD)


def split() -> tuple[list[str], list[str]]:
    """Return the sentences that are taught, and the third that is held out."""
    known = random.Random(1).sample(sentences(), len(sentences()))
    return known[len(known) // 3 :], known[: len(known) // 3]


def fragments() -> dict[str, list[str]]:
    """Return what people type that is no sentence, by what it is."""
    phrases = joined(("", *ARTICLES), MEASURES, GOOD + BAD, NOUNS)
    phrases += joined(("not a",), ("", *DEGREES), GOOD + BAD, NOUNS)
    return {
        "verdicts": joined(MEASURES, GOOD + BAD),
        "phrases": phrases + joined(VERBS + NOUNS, MEASURES, GOOD + BAD),
        "neutral": [
            *(word for word in WORDS if word not in (*GOOD, *BAD, "not")), *SUBJECTS, *joined(("a",), NOUNS),
            *joined(SUBJECTS, VERBS, ("", *DEGREES)), *joined(ARTICLES, DEGREES),
        ],
        "two": [
            *joined(GOOD, GOOD), *joined(BAD, BAD),
            *joined(DEGREES, GOOD, GOOD, ("", "film")), *joined(DEGREES, BAD, BAD, ("", "film")),
        ],
        "open": joined(MEASURES, GOOD + BAD, JOINTS),
    }  # fmt: skip


def clauses(known: list[str], count: int) -> list[str]:
    """Return some reviews of two clauses, of which the second decides."""
    drawn, short = random.Random(2), fragments()["verdicts"]
    return [
        f"{drawn.choice(first)} {drawn.choice(JOINTS)} {drawn.choice(second)}"
        for first, second in ((short, short), (known, known), (known, short)) for _ in range(count)
    ]  # fmt: skip


def taught() -> list[list[tuple[str, int]]]:
    """Return parts that are taught equally often, of reviews with their verdicts."""
    known, _ = split()
    parts = [known, *fragments().values(), clauses([*known, *fragments()["phrases"]], 500)]
    return [[(text, verdict(text)) for text in part] for part in parts]


def train() -> dict[str, Any]:
    """Return the sample's document."""
    from training import sentences as learning

    trained = learning.train(taught(), WORDS, KEPT)
    return {
        "about": {"en": "Reads a review: good (1) or bad (-1). Only the verdict at the last word was taught.",
                  "ko": "평을 읽고 좋은지(1) 나쁜지(-1) 판단합니다. "
                        "정답은 마지막 단어에만 주고 학습했습니다."},
        "layer": "GRU(1, return_sequences=True)", "inputs": ["the film is not very good"],
        "answers": {"-1": "bad", "0": "undecided", "1": "good"},
        "words": trained["words"], "groups": GROUPS, "aliases": ALIASES, "weights": trained["weights"],
    }  # fmt: skip


if __name__ == "__main__":
    from training.saving import save

    save("review", train())
