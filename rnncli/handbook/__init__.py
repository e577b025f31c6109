"""The handbook: a page per topic, in Markdown; `masks.ko.md` is the Korean of `masks.md`."""

from __future__ import annotations

import re
from pathlib import Path

SECTIONS = {
    "Start here": ("basics",),
    "Six things to understand": (
        "return_sequences", "return_state", "bidirectional", "masks", "stateful", "reset_after",
    ),
    "What to give": ("shapes", "layers", "cells", "states", "data", "files"),
    "What to find out": (
        "inside", "gradients", "models", "porting", "conformance", "exporting", "errors", "questions",
    ),
    "Where to use it": ("scripts", "python", "notebooks", "teaching", "korean"),
}  # fmt: skip
"""The topics, under their headings."""
TOPICS = tuple(topic for topics in SECTIONS.values() for topic in topics)

ALIASES = {
    "basics": (
        "units", "unit", "rnn", "simple_rnn", "lstm", "recurrent", "kernel", "recurrent_kernel", "bias",
        "tanh", "sigmoid", "activation", "순환", "순환층", "순환 신경망", "유닛", "가중치", "커널", "편향",
    ),
    "return_sequences": ("sequences", "sequence", "시퀀스"),
    "masks": ("mask", "masking", "mask_zero", "padding", "pad", "마스크", "마스킹", "패딩"),
    "bidirectional": ("merge_mode", "bilstm", "go_backwards", "forward", "backward", "양방향"),
    "return_state": (
        "cell_state", "hidden_state", "hidden", "state", "initial_state", "은닉 상태", "셀 상태",
        "초기 상태", "상태",
    ),
    "shapes": ("batch", "timesteps", "time_step", "features", "형태", "시점", "특성", "배치"),
    "stateful": ("reset_state", "reset_states", "calls"),
    "reset_after": ("gru", "reset"),
    "inside": ("gate", "gates", "forget", "candidate", "게이트", "후보"),
    "gradients": ("gradient", "vanishing", "기울기"),
    "korean": ("한국어",),
    "teaching": ("page", "lesson", "classroom", "teacher"),
    "states": ("matrix_state", "memory", "delta_rule", "outer", "mamba", "deltanet", "rwkv", "행렬 상태"),
    "cells": ("cell", "equations", "equation", "mgu", "peephole", "peepholes", "toml", "셀"),
}  # fmt: skip
"""Other words for a topic: options and parts of a layer, by the page that explains them."""


def find(word: str) -> str:
    """Return the topic that a word names, by its name or another word for it; "" if there is none."""
    known = {_fold(name): topic for topic in TOPICS for name in (topic, *ALIASES.get(topic, ()))}
    return known.get(_fold(word), "")


def _fold(word: str) -> str:
    """Return a word without what people write differently: `셀상태` for `셀 상태`, `mask-zero`."""
    return re.sub(r"[\s_-]", "", word.casefold())


def read(topic: str, lang: str) -> str:
    """Return the page of a topic as Markdown, in English if it is not written in this language."""
    folder = Path(__file__).parent
    page = folder / f"{topic}.{lang}.md"
    return (page if page.exists() else folder / f"{topic}.md").read_text(encoding="utf-8")


def as_html(topic: str, lang: str) -> str:
    """Return the page of a topic without its title, as a part of a page of HTML; its headings are `h3`."""
    from markdown_it import MarkdownIt

    _, _, text = read(topic, lang).partition("\n")
    drawn: str = MarkdownIt("commonmark").enable("table").render(text)
    return drawn.replace("<h2>", "<h3>").replace("</h2>", "</h3>")


def is_korean(topic: str) -> bool:
    """Return whether the page of a topic is written in Korean; `korean` has no English page."""
    return topic == "korean" or (Path(__file__).parent / f"{topic}.ko.md").exists()


def title(topic: str, lang: str) -> str:
    """Return what the heading of a page says of its topic."""
    return read(topic, lang).partition("\n")[0].partition(": ")[2]
