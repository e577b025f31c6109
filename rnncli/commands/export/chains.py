"""Layers of a saved model as Cases: a stack of one module is one Case, any other layer its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rnncli.case import Case
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse

NamedCase = tuple[Case, dict[str, str]]
"""A Case, and the suffix in a script of each of its layers, by the layer's name in the model."""


def join(parts: Sequence[LayerUse]) -> Iterator[NamedCase]:
    """Yield the Cases; a layer follows the one before it where that layer's sequence is its input."""
    suffixes = _suffixes([part.layer for part in parts])
    chain: list[LayerUse] = []
    for part in parts:
        if chain and not _follows(part, chain[-1]):
            yield _case(chain, suffixes)
            chain = []
        chain.append(part)
    yield _case(chain, suffixes)


def _suffixes(names: Sequence[str]) -> dict[str, str]:
    """Return a different suffix for each name, of letters and digits that C allows too.

    It ends like no suffix of a direction or a cell: those of layer `a` begin with `_a`.
    """
    found: dict[str, str] = {}
    for name in names:
        plain = "_" + re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        plain = re.sub(r"_(forward|backward|cell_\d+)$", r"\g<0>_layer", plain)
        suffix, number = plain, 2
        while suffix in found.values() or suffix == "_":
            suffix, number = f"{plain.rstrip('_')}_{number}", number + 1
        found[name] = suffix
    return found


def _follows(part: LayerUse, before: LayerUse) -> bool:
    first, second = before.case, part.case
    return (
        part.before == before.layer
        and Stack(first.specs).outputs(first.inputs.shape)[0].label.sequence
        and Stack(first.specs).dtype == Stack(second.specs).dtype
    )


def _case(chain: Sequence[LayerUse], suffixes: dict[str, str]) -> NamedCase:
    first = chain[0].case
    names = {part.layer: suffixes[part.layer] for part in chain}
    if len(chain) == 1:
        return first, names
    weights = {
        f"{index}/{path}": array
        for index, part in enumerate(chain)
        for path, array in (part.case.weights or {}).items()
    }
    specs = tuple(spec for part in chain for spec in part.case.specs)
    return Case(specs, first.inputs, weights=weights, seed=None), names
