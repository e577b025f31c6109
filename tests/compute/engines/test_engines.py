"""What the engines say of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest

from rnncli.compute import engines

keras = oracle.keras


def test_engines_say_what_can_compute_here() -> None:
    found = {info.name: info for info in engines.available()}
    assert found["numpy"].available
    assert found["numpy"].version == f"numpy {np.__version__}"
    assert keras.__version__ in found["tensorflow"].version


@pytest.mark.parametrize(
    ("ability", "able"),
    [("is_reference", "tensorflow"), ("records_steps", "numpy"), ("holds_gates", "numpy")],
)
def test_an_ability_is_found_by_what_the_engine_says(ability: engines.Ability, able: str) -> None:
    assert engines.find(ability) == able
    assert [name for name in engines.names() if engines.has(name, ability)] == [able]
    assert engines.allows(able, ability)
    assert not engines.allows("torch", ability)


@pytest.mark.parametrize("choice", [None, "auto"])
def test_an_open_choice_allows_every_ability_but_has_none(choice: Any) -> None:
    assert engines.allows(choice, "records_steps")
    assert not engines.has(choice, "records_steps")


@pytest.mark.parametrize("choice", ["nunpy", 3, ["numpy"]])
def test_what_is_no_engine_has_no_ability(choice: Any) -> None:
    assert not engines.allows(choice, "records_steps")
