"""The handbook: a page per topic, in Markdown; `masks.ko.md` is the Korean of `masks.md`."""

from __future__ import annotations

from pathlib import Path

SECTIONS = {
    "Six things to understand": (
        "return_sequences", "return_state", "bidirectional", "masks", "stateful", "reset_after",
    ),
    "What to give": ("shapes", "layers", "cells", "data", "files"),
    "What to find out": (
        "inside", "gradients", "models", "porting", "conformance", "exporting", "errors", "questions",
    ),
    "Where to use it": ("scripts", "python", "notebooks", "teaching", "korean"),
}  # fmt: skip
"""The topics, under their headings."""
TOPICS = tuple(topic for topics in SECTIONS.values() for topic in topics)

ALIASES = {
    "return_sequences": ("units", "unit", "sequences"),
    "masks": ("mask", "masking", "mask_zero", "padding", "pad"),
    "bidirectional": ("merge_mode", "bilstm", "go_backwards", "forward", "backward"),
    "return_state": ("cell_state", "hidden_state", "state", "states", "initial_state"),
    "shapes": ("batch", "timesteps", "features"),
    "stateful": ("reset_state", "reset_states", "calls"),
    "reset_after": ("gru", "reset"),
    "inside": ("gate", "gates"),
    "teaching": ("page", "lesson", "classroom", "teacher"),
    "cells": ("cell", "equations", "equation", "mgu", "peephole", "peepholes", "toml"),
}
"""Other words for a topic: options and parts of a layer, by the page that explains them."""


def find(word: str) -> str:
    """Return the topic that a word names, by its name or another word for it; "" if there is none."""
    name = word.strip().casefold().replace("-", "_").replace(" ", "_")
    named = (topic for topic in TOPICS if name == topic or name in ALIASES.get(topic, ()))
    return next(named, "")


def read(topic: str, lang: str) -> str:
    """Return the page of a topic as Markdown, in English if it is not written in this language."""
    folder = Path(__file__).parent
    page = folder / f"{topic}.{lang}.md"
    return (page if page.exists() else folder / f"{topic}.md").read_text(encoding="utf-8")


def is_korean(topic: str) -> bool:
    """Return whether the page of a topic is written in Korean; `korean` has no English page."""
    return topic == "korean" or (Path(__file__).parent / f"{topic}.ko.md").exists()


def title(topic: str, lang: str) -> str:
    """Return what the heading of a page says of its topic."""
    return read(topic, lang).partition("\n")[0].partition(": ")[2]
