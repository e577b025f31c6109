"""Attention over a sequence, Luong's and Bahdanau's."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnncli.cells import activations
from rnncli.layers.plain import KerasCall, PlainOutput
from rnncli.values import Array


def attention(call: KerasCall) -> PlainOutput:
    """Attend: [query, value, key] -> (batch, query steps, dim); the mask of the query is passed on.

    With return_attention_scores the scores are a second output, (batch, query steps, value steps).
    """
    query, value = call.inputs[0], call.inputs[1]
    key = call.inputs[2] if len(call.inputs) > 2 else value
    masks = call.mask if isinstance(call.mask, (list, tuple)) else (None, None)
    scores = _scores(call, query, key)
    attended = None if masks[1] is None else masks[1][:, None, :]  # the values that each query may use
    if call.kwargs.get("use_causal_mask") or call.config.get("causal"):
        causal = np.tri(*scores.shape[-2:])[None] > 0
        attended = causal if attended is None else attended & causal
    if attended is not None:
        scores = np.where(attended, scores, scores - scores.dtype.type(1e9))
    shares = activations.get("softmax")(scores)
    output = shares @ value
    if masks[0] is not None:
        output = np.where(masks[0][..., None], output, output.dtype.type(0))
    with_scores = call.kwargs.get("return_attention_scores")
    after = call.previous[0] if isinstance(call.previous, (list, tuple)) else None
    return ((output, shares) if with_scores else output), after


def _scores(call: KerasCall, query: Array, key: Array) -> Array:
    """Return how well each query fits each key, (batch, query steps, value steps).

    Luong et al. (2015): query . key.  Bahdanau et al. (2014): scale . tanh(query + key).
    """
    scale: Any = call.weights["scale"] if call.config.get("use_scale") else None
    if call.class_name == "Attention" and call.config.get("score_mode", "dot") == "dot":
        scores: Array = query @ np.swapaxes(key, -2, -1)
        return scores if scale is None else scores * scale
    pairs = query[..., :, None, :] + key[..., None, :, :]
    if call.class_name == "AdditiveAttention":
        added: Array = np.tanh(pairs) if scale is None else scale * np.tanh(pairs)
        return np.asarray(added.sum(axis=-1))
    inner = pairs if scale is None else scale * pairs
    return np.asarray(call.weights["concat_score_weight"] * np.tanh(inner).sum(axis=-1))
