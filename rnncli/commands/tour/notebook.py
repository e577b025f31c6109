"""The lesson as a notebook: what each step says, its lines of Keras, and its commands, to be run."""

from __future__ import annotations

import json
from typing import Any

from rnncli.commands.tour import lesson
from rnncli.commands.tour.lesson import say
from rnncli.commands.tour.observations import observe
from rnncli.show.page import View
from rnncli.values import __version__

SETUP = """\
import keras
import numpy as np
import tensorflow as tf
from keras import Input, Sequential
from keras.layers import GRU, LSTM, Bidirectional, Embedding, SimpleRNN

sentence = keras.ops.array(SENTENCE, dtype="float32")
tokens = np.array([[4, 8, 0, 0]])
y = np.zeros((1, 3))
series = np.arange(1, 7)"""
"""What the lines of Keras need."""


def write_notebook(lang: str, *, answers: bool = True) -> str:
    """Return the file.  answers: whether it holds the answers to its questions."""
    shapes = next(step for step in lesson.steps() if step.topics[0] == "shapes")
    sentence = observe(shapes, View()).outputs[0][0].values
    numbers = json.dumps([[[round(float(value), 1) for value in row] for row in rows] for rows in sentence])
    cells = [_text(f"# {say('lesson', lang)}"), _code(SETUP.replace("SENTENCE", numbers))]
    for step in (each.localized(lang) for each in lesson.steps()):
        texts = lesson.fill(step, lang, observe(step, View(lang=lang)).facts)
        lines = (command.strip().replace("\\\n", " ") for command in step.commands)
        said = [f"**{say(key, lang)}:** {texts[key]}" for key in ("notice", "question") if key in texts]
        if answers and "answer" in texts:
            summary = f"<summary>{say('answer', lang)}</summary>"
            said.append(f"<details>{summary}\n\n{texts['answer']}\n\n</details>")
        cells += [
            _text(f"## {step.number}. {texts['title']}\n\n{texts['asks']}"),
            _code(f"keras.utils.set_random_seed(7)\nx = sentence\n{step.keras.strip()}"),
            *(_code(f"!{line} --lang {lang}") for line in lines),
            _text("\n\n".join(said)),
        ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {
        "cells": [{**cell, "id": f"cell-{index}"} for index, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel, "rnncli": __version__},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _text(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": text}
