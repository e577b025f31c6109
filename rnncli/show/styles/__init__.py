"""Style sheets of html; svg has the same colors."""

from pathlib import Path


def read(name: str) -> str:
    """Return a style sheet of this folder."""
    return Path(__file__).with_name(f"{name}.css").read_text(encoding="utf-8")
