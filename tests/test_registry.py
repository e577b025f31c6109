"""What a folder registers: its modules, and nothing else that lies in it."""

from __future__ import annotations

from pathlib import Path

from rnncli.registry import names_in


def test_modules_and_packages_are_registered_in_alphabetical_order(tmp_path: Path) -> None:
    for name in ("gru.py", "dense.py", "_cell.py", "notes.txt", ".hidden.py"):
        (tmp_path / name).touch()
    for name in ("run", "left_over", "__pycache__"):
        (tmp_path / name).mkdir()
    (tmp_path / "run" / "__init__.py").touch()
    (tmp_path / "left_over" / "__pycache__").mkdir()  # what remains of a package that was moved

    assert names_in([str(tmp_path)]) == ("dense", "gru", "run")
