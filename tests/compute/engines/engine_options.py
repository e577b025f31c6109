"""Options of layers that engines are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import oracle
import pytest
from engine_products import FLAGS, KINDS, MASKS

ACTIVATIONS = ("tanh", "relu", "sigmoid", "hard_sigmoid", "linear", "gelu", "softsign", "elu", "silu")


OPTIONS: dict[str, Any] = {
    "units": (1, 2, 5),
    "activation": ACTIVATIONS,
    "recurrent_activation": ("sigmoid", "hard_sigmoid", "tanh", "relu6", "linear", "softmax"),
    "use_bias": FLAGS,
    "unit_forget_bias": FLAGS,
    "reset_after": FLAGS,
    "zero_output_for_mask": FLAGS,
    "unroll": FLAGS,
    "dtype": ("float32", "float64"),
    "return_sequences": FLAGS,
    "return_state": FLAGS,
    "mask": tuple(MASKS),
    "given": FLAGS,
}


ONLY = {"recurrent_activation": ("LSTM", "GRU"), "unit_forget_bias": ("LSTM",), "reset_after": ("GRU",)}


def rows(outer: str, values: tuple[Any, ...], changed: Mapping[str, Any] | None = None) -> list[Any]:
    """For each kind of layer; `changed`: options that have other values than here."""
    found = []
    for kind in KINDS:
        options = {**OPTIONS, **(changed or {})}
        own = {name: tested for name, tested in options.items() if kind in ONLY.get(name, KINDS)}
        for number, row in enumerate(oracle.pairwise({**own, outer: values})):
            found.append(pytest.param(kind, row, id=f"{kind}-{number}"))
    return found


def keras_applies_the_mask_backwards(row: dict[str, Any], backwards: bool, zeroing: bool) -> bool:
    """See test_semantics: there Keras disagrees with itself, and rnncli refuses."""
    return row["unroll"] and backwards and zeroing and row["return_sequences"] and row["mask"] != "none"


def written(kind: str, row: dict[str, Any], *left_out: str) -> str:
    units, *rest = [(name, value) for name, value in row.items() if name not in ("mask", "given", *left_out)]
    return f"{kind}({units[1]}, {', '.join(f'{name}={value!r}' for name, value in rest)})"
