"""What is asked: how shapes are written."""

from __future__ import annotations

from typing import Any

import pytest

from rnncli.case import format_shape


@pytest.mark.parametrize(
    ("shape", "text"),
    [((1, 4, 3), "(1, 4, 3)"), ((12,), "(12,)"), ((None, "batch"), "(None, batch)"), ((), "()")],
)
def test_shapes_are_written_as_python_writes_them(shape: Any, text: Any) -> None:
    assert format_shape(shape) == text
