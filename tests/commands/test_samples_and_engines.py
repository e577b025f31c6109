"""The answers of samples and engines, and that answers without numbers have no tensors."""

from __future__ import annotations

from typing import Any

import pytest
from results_by_hand import ANSWERS

from rnncli.errors import UsageError
from rnncli.show.page import View

VIEW = View()


@pytest.mark.parametrize("name", ["shape", "samples", "engines"])
def test_what_computes_nothing_has_no_tensors(name: Any) -> None:
    with pytest.raises(UsageError, match="returns no tensors"):
        ANSWERS[name].tensors()


def test_samples_say_how_to_run_them() -> None:
    commands = {sample["name"]: sample["command"] for sample in ANSWERS["samples"].document(VIEW)["samples"]}
    assert commands["sentence"] == "rnncli samples sentence | rnncli run"
    assert commands["sensors"] == "rnncli samples sensors | rnncli run --batch-column sensor"


def test_engines_document() -> None:
    assert ANSWERS["engines"].document(VIEW)["engines"][1] == {
        "name": "torch",
        "available": False,
        "version": "",
        "note": "pip install torch",
    }
