"""The lesson as a notebook: what each step says, its lines of Keras, and its commands, to be run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rnncli.case import __version__
from rnncli.commands.tour import lesson
from rnncli.commands.tour.lesson import Step, say
from rnncli.commands.tour.observations import observe
from rnncli.show.page import View

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
    sentence = observe(lesson.steps()[0], View()).outputs[0][0].values
    numbers = json.dumps([[[round(float(value), 1) for value in row] for row in rows] for rows in sentence])
    cells = [
        _text(f"# {say('lesson', lang)}"),
        _code(SETUP.replace("SENTENCE", numbers)),
        *(cell for step in lesson.steps() for cell in _step(step, lang, answers=answers)),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {
        "cells": [{**cell, "id": f"cell-{index}"} for index, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel, "rnncli": __version__},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _step(step: Step, lang: str, *, answers: bool) -> Iterator[dict[str, Any]]:
    texts = lesson.fill(step, lang, observe(step, View(lang=lang)).facts)
    yield _text(f"## {step.number}. {texts['title']}\n\n{texts['asks']}")
    yield _code(f"keras.utils.set_random_seed(7)\nx = sentence\n{step.keras.strip()}")
    for command in step.commands:
        line = command.strip().replace("\\\n", " ")
        yield _code(f"!{line} --lang {lang}")
    said = f"**{say('notice', lang)}:** {texts['notice']}\n\n**{say('question', lang)}:** {texts['question']}"
    if answers:
        said += f"\n\n<details><summary>{say('answer', lang)}</summary>\n\n{texts['answer']}\n\n</details>"
    yield _text(said)


def _text(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": text}
