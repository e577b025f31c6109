"""A browser without a screen for the pages that are written, and the Node that runs their scripts alone."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
CONTRAST = Path(__file__).parent / "commands/report/contrast.mjs"
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


def check_by_axe(page: Any, within: str | None = None) -> None:
    """Let axe look at the page, or `within` a part of it; contrasts are measured in the dark, too."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"color-contrast": {"enabled": within is None}}  # takes axe most of its time
    found = axe.run(page, within, {"resultTypes": ["violations"], "rules": rules}).response["violations"]
    assert found == [], json.dumps(found, indent=1)[:3000]
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        poor = page.evaluate(CONTRAST.read_text(encoding="utf-8"))
        assert poor == [], (scheme, poor)
