"""Notes about cases in which rnncli and Keras on TensorFlow differ by design."""

from __future__ import annotations

from rnncli.compute import engines
from rnncli.errors import Message, Text, count
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import Result
from rnncli.specs import describe
from rnncli.values import walk


def note_keras_errors(case: Case, stack: Stack) -> tuple[Text, ...]:
    """Return a note for each part of the case for which Keras raises an error although it is well defined.

    Observed with Keras 3.15: TypeError in Bidirectional.compute_mask, and ValueError in RNN about
    structures that differ.
    """
    notes: dict[Text, None] = {}
    masked = explicit = case.mask is not None
    for layer in stack.layers:
        masked = masked or layer.makes_mask
        if not layer.recurrent:
            continue
        spec, inner = layer.spec, layer.spec.inner
        if inner is not spec and inner.config["stateful"] and inner.config["return_state"]:
            what = (
                "Keras cannot compute a stateful Bidirectional with return_state (its call raises "
                "TypeError); rnncli shows what its two layers return"
            )
            notes[Message(what)] = None
        for part in filter(None, (inner, spec.config.get("backward_layer"))):
            cells = part.config.get("cell")
            listed = isinstance(cells, tuple) and len(cells) == 1 and not part.config["unroll"]
            if listed and masked and (explicit or case.initial_state is None):
                what = (
                    "Keras cannot compute RNN([{cell}]) with a mask (its call raises ValueError); "
                    "RNN({cell}), without the list, gives these numbers there"
                )
                notes[Message(what, cell=describe(cells[0]))] = None
        explicit = False
        masked = masked and bool(inner.config["return_sequences"])
    return tuple(notes)


def note_sequential(stack: Stack) -> tuple[Text, ...]:
    """Return a note for a lower layer with return_state: in Keras's Sequential, its states go on as well."""
    for index, layer in enumerate(stack.layers):
        later = (upper for upper in stack.layers[index + 1 :] if upper.spec.class_name != "Dropout")
        above = next(later, None)
        if above is not None and layer.spec.inner.config.get("return_state"):
            what = (
                "Keras's Sequential refuses this stack: it passes the states of layer {place} "
                "({lower}) on to {upper}; here {upper} gets only the output, as in a functional model"
            )
            lower, upper = layer.spec.class_name, above.spec.class_name
            return (Message(what, place=index, lower=lower, upper=upper),)
    return ()


def note_tensorflow_numbers(case: Case, result: Result) -> tuple[Text, ...]:
    """Return the notes of --check on numbers that TensorFlow treats differently: denormals and infinity."""
    import numpy as np

    from rnncli.arrays import find_first

    if result.engines == (engines.REFERENCE,):
        what = "{--check} has no effect: {reference} already computed this result"
        return (Message(what, reference=engines.REFERENCE),)
    notes: list[Text] = []
    if note_sequential(case.stack):
        notes.append(Message("{--check}: compared with a functional model of these layers in Keras"))
    notes += _note_denormals(case, result)
    options = ("activation", "recurrent_activation")
    softmax = any("softmax" in map(spec.config.get, options) for spec in walk(case.stack))
    has_nan = any(find_first(tensor.values, np.isnan) is not None for tensor in result.outputs)
    if softmax and case.inputs.dtype == "float32" and has_nan:
        what = (  # oneDNN's kernel has 0 in some of the places
            "{--check}: the softmax of infinity is NaN; TensorFlow returns 0 for some of these "
            "entries, depending on the CPU"
        )
        notes.append(Message(what))
    return tuple(notes)


def _note_denormals(case: Case, result: Result) -> list[Text]:
    import numpy as np

    from rnncli import arrays

    limit = float(np.finfo(case.inputs.dtype).tiny) if case.inputs.dtype.kind == "f" else 0.0

    def count_small(values: object) -> int:
        blocks = arrays.blocks(values)
        return sum(int(np.count_nonzero((block != 0) & (np.abs(block) < limit))) for block in blocks)

    if given := count_small(case.inputs):
        what = (
            "{--check}: the input has {numbers} below {limit:.1e} in size, which TensorFlow "
            "flushes to 0: Keras's Masking(0.0) skips steps of such numbers, rnncli does not"
        )
        return [Message(what, numbers=count(given, "number"), limit=limit)]
    what = "{--check}: {name} has {numbers} below {limit:.1e} in size, which TensorFlow flushes to 0"
    return [
        Message(what, name=tensor.name, numbers=count(small, "number"), limit=limit)
        for tensor in result.outputs
        if (small := count_small(tensor.values))
    ]
