"""Weights with dropout, as WeightDrop of fastai and AWD-LSTM saves them; complete ones end in `_raw`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.errors import Message, Text
from rnncli.models.modules._names import Names

RAW = "_raw"


def restore_dropped(tensors: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Text, ...]]:
    """Return the tensors with complete weights in place of those with dropout, and a note on them.

    WeightDrop keeps `lstm.weight_hh_l0_raw` beside the layer, which it calls `lstm.module`; outside of
    training the layer computes with it, whatever `lstm.module.weight_hh_l0` in the file is.
    """
    found = dict(tensors)
    names, used = Names(tensors), []
    for name in tensors:
        path, _, leaf = name.removesuffix(RAW).rpartition(".")
        inside = f"{path}.module." if path else "module."
        if not name.endswith(RAW) or not names.has_below(f"{inside}weight_"):
            continue
        found[f"{inside}{leaf}"] = found.pop(name)
        used.append(name)
    note = Message("weights with dropout were replaced by the complete ones: {used}.", used=", ".join(used))
    return found, (note,) if used else ()
