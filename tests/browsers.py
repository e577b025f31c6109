"""A browser without a screen for the pages that are written, and the Node that runs their scripts alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
SAFE = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync",
]  # fmt: skip


def node() -> str:
    """Return the Node that the package playwright brings; the test is skipped without it."""
    return str(Path(pytest.importorskip("playwright").__file__).parent / "driver/node")


@contextmanager
def open_browser() -> Iterator[Any]:
    """Start Chromium; without it the test is skipped, with a reason that says how to get it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if not CHROMIUM.exists() and os.environ.get("RNNCLI_BROWSER") != "required":
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=SAFE)
        yield browser
        browser.close()


@contextmanager
def open_page(path: Path) -> Iterator[Any]:
    """Open a file in a browser of its own; it must complain about nothing."""
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(path.as_uri())
        yield page
        assert faults == []
