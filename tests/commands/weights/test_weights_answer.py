"""How weights look: golden files in every format."""

import pytest
from looks import SUFFIXES, check_looks, drawn, round_digits
from weights_by_hand import ANSWERS


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_answers_look_as_they_did(name: str) -> None:
    kept = SUFFIXES if name in ("described", "converted") else ()
    check_looks("weights", name, ANSWERS[name], kept, round_digits)


def test_a_number_that_is_not_finite_is_not_hidden() -> None:
    text = drawn(ANSWERS["saved"], width=120)
    row = next(line for line in text.splitlines() if line.split()[:2] == ["recurrent", "(3,"])
    assert row.split()[-1] == "?"
