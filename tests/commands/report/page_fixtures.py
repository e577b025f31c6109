"""What the tests of pages share: a browser, and pages that are opened in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import open_browser
from command import Run
from opened import WORDS, Opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a screen, for all tests of a file."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def opens(browser: Any, rnncli: Run, tmp_path: Path) -> Iterator[Any]:
    """Write a page with these words, open it, and check at the end that it complained about nothing."""
    pages: list[Opened] = []

    def write_and_open(*words: str, **context: Any) -> Opened:
        path = tmp_path / f"page{len(pages)}.html"
        rnncli("report", *words, "-o", str(path)).success()
        pages.append(Opened(browser, path, **context))
        return pages[-1]

    yield write_and_open
    for page in pages:
        page.context.close()
        assert page.faults == []


@pytest.fixture
def reads(opens: Any) -> Any:
    """Open a page whose inputs are sentences."""

    def write_and_open(*sentences: str, **context: Any) -> Opened:
        case = {
            "layer": "GRU(1, return_sequences=True)", "inputs": sentences, "words": WORDS, "seed": 3,
            "answers": {"-1": "bad", "1": "good"}, "aliases": {"isn't": "is Not"},
            "groups": {"verdicts": ["Not", "good"], "small words": ["the", "film", "is"]},
            "about": {"en": "It flips at not.", "ko": "not에서 뒤집힙니다."},
        }  # fmt: skip
        return opens(json.dumps(case), **context)  # type: ignore[no-any-return]

    return write_and_open
