"""The sample `note`: an LSTM(1) that keeps the temperature of the last press of a button.

Only the output at each step is taught: the reading at the last press, 0 before the first one.
Run with Keras, in the folder tests: python -m training.note
"""

from typing import Any

import numpy as np

SEED = 1
STEPS = 12


def sequences(count: int, seed: int) -> tuple[Any, Any]:
    """Return inputs (count, STEPS, 2), temperature and button, and the note after each step."""
    random = np.random.default_rng(seed)
    temperature = random.uniform(-0.5, 0.5, (count, STEPS))
    button = (random.random((count, STEPS)) < 0.25).astype(float)
    note, notes = np.zeros(count), []
    for step in range(STEPS):
        note = np.where(button[:, step] == 1, temperature[:, step], note)
        notes.append(note)
    return np.stack([temperature, button], axis=-1), np.stack(notes, axis=1)[..., None]


def train(seed: int = SEED) -> dict[str, Any]:
    """Return the sample's document."""
    import keras

    from training.saving import weights_of

    keras.utils.set_random_seed(seed)
    layer = keras.layers.LSTM(1, return_sequences=True)
    model = keras.Sequential([keras.Input((None, 2)), layer])
    inputs, notes = sequences(4096, seed)
    for rate, epochs in ((0.05, 40), (0.01, 40), (0.002, 30)):
        model.compile(keras.optimizers.Adam(rate), "mse")
        model.fit(inputs, notes, batch_size=256, epochs=epochs, verbose=0)
    return {
        "about": {
            "en": "Keeps the temperature of the last press of the button, until the next press. "
            "Only its output was taught.",
            "ko": "버튼을 마지막으로 눌렀을 때의 온도를 다음에 누를 때까지 기억합니다. "
            "정답은 출력에만 주고 학습했습니다.",
        },
        "layer": "LSTM(1, return_sequences=True)",
        "features": ["temperature", "button"],
        "inputs": [[[0.1, 0], [0.4, 1], [-0.35, 0], [0.2, 0], [-0.2, 1], [0.45, 0]]],
        "weights": weights_of(layer),
    }


if __name__ == "__main__":
    from training.saving import save

    save("note", train())
