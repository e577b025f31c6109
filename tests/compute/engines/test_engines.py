"""What the engines say of themselves."""

from __future__ import annotations

import numpy as np
import oracle

from rnncli.compute import engines


def test_engines_say_what_can_compute_here() -> None:
    found = {info.name: info for info in engines.available()}
    assert found["numpy"].available
    assert found["numpy"].version == f"numpy {np.__version__}"
    assert oracle.keras.__version__ in found["tensorflow"].version
