"""Notes about cases in which rnncli and Keras on TensorFlow differ by design."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rnncli.case import Case, Spec, walk
from rnncli.compute import engines
from rnncli.errors import Message, Text, count
from rnncli.result import Result
from rnncli.specs import describe
from rnncli.specs.stack import Stack

_ACTIVATIONS = ("activation", "recurrent_activation")


def note_keras_errors(case: Case) -> tuple[Text, ...]:
    """Return a note for each part of the case for which Keras raises an error although it is well defined.

    Observed with Keras 3.15: TypeError in Bidirectional.compute_mask, and ValueError in RNN about
    structures that differ.
    """
    return tuple(dict.fromkeys(_find_keras_errors(case)))


def _find_keras_errors(case: Case) -> Iterator[Text]:
    masked = explicit = case.mask is not None
    for layer in case.stack.layers:
        if layer.makes_mask:
            masked = True
        if not layer.recurrent:
            continue
        spec, inner = layer.spec, layer.spec.inner
        if inner is not spec and inner.config["stateful"] and inner.config["return_state"]:
            yield Message(
                "Keras cannot compute a stateful Bidirectional with return_state (its call raises "
                "TypeError); rnncli shows what its two layers return"
            )
        if masked and (explicit or case.initial_state is None):
            parts = (inner, spec.config.get("backward_layer"))
            yield from (_of_a_list(part) for part in parts if part and _is_list_of_one(part))
        explicit = False
        masked = masked and bool(inner.config["return_sequences"])


def note_sequential(stack: Stack) -> tuple[Text, ...]:
    """Return a note for a lower layer with return_state: in Keras's Sequential, its states go on as well."""
    for place, layer in enumerate(stack.layers):
        above = next((one for one in stack.layers[place + 1 :] if one.spec.class_name != "Dropout"), None)
        if above is not None and layer.spec.inner.config.get("return_state"):
            lower, upper = layer.spec.class_name, above.spec.class_name
            return (
                Message(
                    "Keras's Sequential refuses this stack: it passes the states of layer {place} "
                    "({lower}) on to {upper}; here {upper} gets only the output, as in a functional model",
                    place=place,
                    lower=lower,
                    upper=upper,
                ),
            )
    return ()


def _is_list_of_one(spec: Spec) -> bool:
    cells = spec.config.get("cell")
    return isinstance(cells, tuple) and len(cells) == 1 and not spec.config["unroll"]


def _of_a_list(spec: Spec) -> Text:
    cell = describe(spec.config["cell"][0])
    return Message(
        "Keras cannot compute RNN([{cell}]) with a mask (its call raises ValueError); "
        "RNN({cell}), without the list, gives these numbers there",
        cell=cell,
    )


def note_tensorflow_numbers(case: Case, result: Result) -> tuple[Text, ...]:
    """Return the notes of --check about numbers that TensorFlow treats otherwise: denormals, and infinity."""
    reference = engines.REFERENCE
    if result.engines == (reference,):
        return (
            Message("{--check} has no effect: {reference} already computed this result", reference=reference),
        )
    return (*_note_functional(case), *_note_denormals(case, result), *_note_softmax(case, result))


def _note_functional(case: Case) -> tuple[Text, ...]:
    """Return a note on how Keras computed a stack that its Sequential refuses."""
    if not note_sequential(case.stack):
        return ()
    return (Message("{--check}: compared with a functional model of these layers in Keras"),)


def _note_softmax(case: Case, result: Result) -> tuple[Text, ...]:
    """Return a note if a softmax in float32 gave NaN; oneDNN's kernel then has 0 in some of the places."""
    used = {spec.config.get(name) for spec in walk(case.specs) for name in _ACTIVATIONS}
    if "softmax" not in used or case.inputs.dtype != "float32":
        return ()
    if not any(_has_nan(tensor.values) for tensor in result.outputs):
        return ()
    return (
        Message(
            "{--check}: the softmax of infinity is NaN; TensorFlow returns 0 for some of these "
            "entries, depending on the CPU"
        ),
    )


def _note_denormals(case: Case, result: Result) -> tuple[Text, ...]:
    """Return notes about denormal numbers, which TensorFlow treats as 0."""
    import numpy as np

    limit = float(np.finfo(case.inputs.dtype).tiny) if case.inputs.dtype.kind == "f" else 0.0
    given = _count(case.inputs, limit)
    if given:
        return (
            Message(
                "{--check}: the input has {numbers} below {limit:.1e} in size, which TensorFlow "
                "flushes to 0: Keras's Masking(0.0) skips steps of such numbers, rnncli does not",
                numbers=count(given, "number"),
                limit=limit,
            ),
        )
    found = {tensor.name: _count(tensor.values, limit) for tensor in result.outputs}
    return tuple(
        Message(
            "{--check}: {name} has {numbers} below {limit:.1e} in size, which TensorFlow flushes to 0",
            name=name,
            numbers=count(small, "number"),
            limit=limit,
        )
        for name, small in found.items()
        if small
    )


def _has_nan(values: Any) -> bool:
    import numpy as np

    from rnncli import arrays

    return any(bool(np.isnan(block).any()) for block in arrays.blocks(values))


def _count(values: Any, limit: float) -> int:
    """Count the numbers that are not 0 but have an absolute value below `limit`."""
    import numpy as np

    from rnncli import arrays

    return sum(
        int(np.count_nonzero((block != 0) & (np.abs(block) < limit))) for block in arrays.blocks(values)
    )
