"""Where rnncli's answer and what Keras on TensorFlow does differ by their nature, and what to say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rnncli import layers
from rnncli.case import Case, Spec
from rnncli.specs import describe

if TYPE_CHECKING:
    from rnncli.result import Result


def unanswered(case: Case) -> tuple[str, ...]:
    """What Keras itself raises an error for, although each part of it is well defined; a note each.

    Seen with Keras 3.15: its TypeError in Bidirectional.compute_mask, and in RNN its ValueError of
    structures that differ.
    """
    return tuple(dict.fromkeys(_unanswered(case)))


def _unanswered(case: Case) -> Iterator[str]:
    masked = explicit = case.mask is not None
    for spec in case.layers:
        layer = layers.make(spec)
        if layer.makes_mask:
            masked = True
        if not layer.recurrent:
            continue
        inner: Spec = spec.config.get("layer", spec)
        if inner is not spec and inner.config["stateful"] and inner.config["return_state"]:
            yield (
                "Keras cannot compute a stateful Bidirectional with return_state (its call raises "
                "TypeError); shown is what its two layers return"
            )
        if masked and (explicit or case.initial_state is None):
            parts = (inner, spec.config.get("backward_layer"))
            yield from (_of_a_list(part) for part in parts if part and _is_list_of_one(part))
        explicit = False
        masked = masked and bool(inner.config["return_sequences"])


def _is_list_of_one(spec: Spec) -> bool:
    cells = spec.config.get("cell")
    return isinstance(cells, tuple) and len(cells) == 1 and not spec.config["unroll"]


def _of_a_list(spec: Spec) -> str:
    cell = describe(spec.config["cell"][0])
    return (
        f"Keras cannot compute RNN([{cell}]) with a mask (its call raises ValueError); "
        f"RNN({cell}), without the list, gives these numbers there"
    )


def denormals(case: Case, result: Result) -> tuple[str, ...]:
    """What --check has to say of numbers so small that TensorFlow takes them for 0."""
    import numpy as np

    limit = float(np.finfo(case.inputs.dtype).tiny) if case.inputs.dtype.kind == "f" else 0.0
    given = _count(case.inputs, limit)
    if given:
        return (
            f"--check: the input has {_numbers(given)} closer to 0 than {limit:.1e}, which TensorFlow takes "
            "for 0: Keras's Masking(0.0) skips a step of such numbers, and rnncli does not",
        )
    found = {tensor.name: _count(tensor.values, limit) for tensor in result.outputs}
    return tuple(
        f"--check: {name} has {_numbers(count)} closer to 0 than {limit:.1e}, which TensorFlow takes for 0"
        for name, count in found.items()
        if count
    )


def _numbers(count: int) -> str:
    return f"{count} number{'' if count == 1 else 's'}"


def _count(values: Any, limit: float) -> int:
    """How many numbers are not 0 and nearer to it than `limit`."""
    import numpy as np

    from rnncli import mapped

    return sum(
        int(np.count_nonzero((block != 0) & (np.abs(block) < limit))) for block in mapped.blocks(values)
    )
