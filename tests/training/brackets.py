"""The sample `brackets`: an LSTM(1) whose cell counts how many brackets are open.

Only the hidden state is taught, tanh of that number, with at most four open brackets.
Run with Keras, in the folder tests: python -m training.brackets
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

SEED = 3
STEPS = 16
WORDS = {"(": [1, 0, 0], ")": [0, 1, 0], **{letter: [0, 0, 1] for letter in "abcd"}}


def depths(symbols: Iterable[str]) -> Any:
    """Return how many brackets are open after each symbol."""
    return np.cumsum([(symbol == "(") - (symbol == ")") for symbol in symbols])


def random_text(random: Any) -> list[str]:
    """Return STEPS symbols, in which at most four brackets are open."""
    depth = 0
    symbols: list[str] = []
    for _ in range(STEPS):
        kinds = ["a", *(["("] if depth < 4 else []), *([")"] if depth else [])]
        symbols.append(str(random.choice(kinds)))
        depth += (symbols[-1] == "(") - (symbols[-1] == ")")
    return symbols


def train(seed: int = SEED) -> dict[str, Any]:
    """Return the sample's document."""
    import keras

    from training.saving import weights_of

    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    texts = [random_text(random) for _ in range(2048)]
    inputs = np.array([[WORDS[symbol] for symbol in text] for text in texts], float)
    targets = np.tanh([depths(text) for text in texts])[..., None]
    layer = keras.layers.LSTM(1, return_sequences=True)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    for rate, epochs in ((0.05, 60), (0.01, 60), (0.002, 40)):
        model.compile(keras.optimizers.Adam(rate), "mse")
        model.fit(inputs, targets, batch_size=256, epochs=epochs, verbose=0)
    return {
        "about": {"en": "Its cell counts the open brackets. The hidden state, at most 1, cannot.",
                  "ko": "셀이 열린 괄호의 수를 셉니다. 은닉 상태는 1을 넘지 못하므로 셀 수 없습니다."},
        "layer": "LSTM(1, return_sequences=True)", "features": ["opens", "closes", "letter"],
        "inputs": ["( a ( b ) c ) d"], "words": WORDS, "weights": weights_of(layer),
    }  # fmt: skip


if __name__ == "__main__":
    from training.saving import save

    save("brackets", train())
