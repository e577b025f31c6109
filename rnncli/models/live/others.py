"""The layers of a live object that are not recurrent: their names, and what each call of them returned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from rnncli.case import Array
from rnncli.compute.finite import is_finite
from rnncli.models import Passed


class OtherLayers:
    """Notes calls, in the order in which they end.

    outputs: by `dense/output`, the second use of a layer `dense@1/output`.
    passed: every layer, also the recurrent ones.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Array] = {}
        self.passed: list[Passed] = []
        self.uses: Counter[str] = Counter()

    def add(
        self, name: str, given: Iterable[Array], returned: Mapping[str, Array], *, recurrent: bool
    ) -> None:
        """Add a call.  returned: by `output`, or `output_0` and so on."""
        use = f"{name}@{self.uses[name]}" if self.uses[name] else name
        self.uses[name] += 1
        self.passed.append(Passed(use, all(map(is_finite, given)), all(map(is_finite, returned.values()))))
        if not recurrent:
            self.outputs |= {f"{use}/{tensor}": array for tensor, array in returned.items()}

    def order(self, uses: Iterable[str]) -> list[str]:
        """Return all layers in the order in which their calls ended; `lstm` here may be `lstm_l0`, `lstm_l1`.

        uses: the recurrent layers of the answer, in order; steps that were joined are only among these.
        """
        parts: dict[str, list[str]] = {}
        for use in uses:
            parts.setdefault(re.sub(r"_l\d+(@\d+)?$", r"\1", use), []).append(use)
        called = (str(layer.name) for layer in self.passed)
        names = (name for layer in called for name in (*parts.get(layer, ()), layer))
        return list(dict.fromkeys([*names, *uses]))
