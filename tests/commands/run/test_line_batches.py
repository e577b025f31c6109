"""Lines out of whatever pieces they come in."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as some

from rnncli.commands.run.line_batches import InputLine, whole_lines

TEXTS = some.lists(some.sampled_from(["[[1]]", "", "  ", "é", "\r", "\ufeff7"]))


@given(TEXTS, some.booleans(), some.integers(1, 9))
def test_lines_are_what_stands_between_their_ends(texts: list[str], ended: bool, size: int) -> None:
    data = "\n".join(texts).encode() + b"\n" * ended
    source = io.BytesIO(data)
    found = [line for lines in whole_lines(lambda: source.read(size), "a") for line in lines]
    assert found == [
        InputLine(number, "a", text.removeprefix("\ufeff").encode())
        for number, text in enumerate(texts, start=1)
        if text.strip()
    ]
