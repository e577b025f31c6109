"""The options of the product layers on the NumPy engine against Keras.

Every pair: bias forms, activations, zero_output_for_mask, unroll, dtype, units, return_sequences,
return_state, go_backwards or merge mode, masks and initial states, each value of one with each of another.
"""

from __future__ import annotations

from typing import Any

import pytest
from engine_options import keras_applies_the_mask_backwards, rows, written
from engine_products import FLAGS, MERGES, holds


@pytest.mark.parametrize(("kind", "row"), rows("go_backwards", FLAGS))
def test_every_pair_of_options(kind: str, row: dict[str, Any]) -> None:
    if keras_applies_the_mask_backwards(row, row["go_backwards"], row["zero_output_for_mask"]):
        row = {**row, "unroll": False}
    holds(written(kind, row), row["mask"], row["given"], row["dtype"])


@pytest.mark.parametrize(("kind", "row"), rows("merge_mode", MERGES))
def test_every_pair_of_options_inside_bidirectional(kind: str, row: dict[str, Any]) -> None:
    if keras_applies_the_mask_backwards(row, backwards=True, zeroing=row["return_sequences"]):
        row = {**row, "unroll": False}
    inner = written(kind, row, "merge_mode")
    outer = f"merge_mode={row['merge_mode']!r}, dtype={row['dtype']!r}"
    holds(f"Bidirectional({inner}, {outer})", row["mask"], row["given"], row["dtype"])
