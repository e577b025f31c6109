"""Runs the examples of the handbook as written.  `WRITE_GOLDEN=1` writes what they print into the pages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from examples import ROOT, check, examples, fill, run

PAGES = sorted((ROOT / "rnncli" / "handbook").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_examples_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    if "WRITE_GOLDEN" in os.environ:
        fill(page, tmp_path)
    for command, shown in examples(page.read_text()):
        check(command, run(command, tmp_path), shown)
