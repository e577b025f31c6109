"""Kernels of samples/cells/gated_deltanet.toml, as users write them: right ones, and wrong ones.

The right ones are a loop, and the form in chunks, in which a triangular system replaces the loop over steps.
"""

from functools import partial
from typing import Any

import numpy as np

HEADS = 2


def silu(z: Any) -> Any:
    return z / (1 + np.exp(-z))


def project(x: Any, weights: Any, fault: str) -> tuple[Any, ...]:
    """Return query, key, value (batch, heads, timesteps, keys); beta, log alpha (batch, heads, timesteps)."""
    columns = x @ weights["kernel"]
    units = (columns.shape[-1] - 2 * HEADS) // 3
    cut = np.split(columns, [units, 2 * units, 3 * units, 3 * units + HEADS], axis=-1)
    shape = (*x.shape[:2], HEADS, units // HEADS)
    q, k, v = (silu(part).reshape(shape).transpose(0, 2, 1, 3) for part in cut[:3])
    if fault == "eps outside":
        q, k = (part / (np.sqrt((part * part).sum(-1, keepdims=True)) + 1e-6) for part in (q, k))
    else:
        q, k = (part / np.sqrt((part * part).sum(-1, keepdims=True) + 1e-6) for part in (q, k))
    q = q if fault == "unscaled" else q / np.sqrt(q.dtype.type(shape[-1]))
    beta = np.swapaxes(1 / (1 + np.exp(-cut[3])), 1, 2)
    decay = -np.exp(weights["A_log"]) * np.log1p(np.exp(cut[4] + weights["dt_bias"]))
    return q, k, v, np.ones_like(beta) if fault == "no beta" else beta, np.swapaxes(decay, 1, 2)


def start(x: Any, v: Any, initial_state: Any) -> Any:
    size = v.shape[-1]
    return (
        np.zeros((len(x), HEADS, size, size), x.dtype) if initial_state is None else initial_state["memory"]
    )


def join(outputs: Any) -> Any:
    """Return (batch, timesteps, units) of (batch, heads, timesteps, values)."""
    return outputs.transpose(0, 2, 1, 3).reshape(len(outputs), outputs.shape[2], -1)


def loop(inputs: Any, weights: Any, initial_state: Any, *, fault: str = "") -> Any:
    q, k, v, beta, decay = project(inputs["x"], weights, fault)
    memory, outputs = start(inputs["x"], v, initial_state), np.zeros_like(v)
    for t in range(v.shape[2]):
        alpha = np.exp(decay[:, :, t, None, None])
        memory = memory if fault == "late decay" else alpha * memory
        read = np.einsum("bhk,bhkv->bhv", k[:, :, t], memory)
        memory = memory + np.einsum("bhk,bhv->bhkv", k[:, :, t], beta[:, :, t, None] * (v[:, :, t] - read))
        memory = alpha * memory if fault == "late decay" else memory
        outputs[:, :, t] = np.einsum("bhk,bhkv->bhv", q[:, :, t], memory)
    return join(outputs), {"memory": memory.swapaxes(2, 3) if fault == "transposed" else memory}


def chunked(inputs: Any, weights: Any, initial_state: Any, *, size: int = 16, fault: str = "") -> Any:
    """In a chunk, u_i = beta_i (v_i - exp(g_i) k_i S - sum over j < i of exp(g_i - g_j) (k_i k_j) u_j)."""
    q, k, v, beta, decay = project(inputs["x"], weights, fault)
    memory, outputs = start(inputs["x"], v, initial_state), np.zeros_like(v)
    for first in range(0, v.shape[2], size):
        if fault == "lost state" and first:
            memory = np.zeros_like(memory)
        steps = slice(first, first + size)
        queries, keys, values, rates = q[:, :, steps], k[:, :, steps], v[:, :, steps], beta[:, :, steps, None]
        sums = np.cumsum(decay[:, :, steps], axis=-1)
        between = np.tril(np.exp(np.tril(sums[..., None] - sums[..., None, :])))
        pairs = np.tril(rates * between * (keys @ keys.swapaxes(2, 3)), -1)
        grown = np.exp(sums)[..., None]
        right = rates * (values - grown * (keys @ memory))
        written = np.linalg.solve(np.eye(keys.shape[2], dtype=pairs.dtype) + pairs, right)
        outputs[:, :, steps] = (
            grown * (queries @ memory) + (between * (queries @ keys.swapaxes(2, 3))) @ written
        )
        left = np.exp(sums[..., -1:] - sums)[..., None] * keys
        memory = grown[:, :, -1:] * memory + left.swapaxes(2, 3) @ written
    return join(outputs), {"memory": memory}


wide = partial(chunked, size=64)
lost_state = partial(chunked, fault="lost state")
late_decay = partial(loop, fault="late decay")
no_beta = partial(loop, fault="no beta")
unscaled = partial(loop, fault="unscaled")
transposed = partial(loop, fault="transposed")
eps_outside = partial(chunked, fault="eps outside")


def without_states(inputs: Any, weights: Any, initial_state: Any) -> Any:
    return loop(inputs, weights, initial_state)[0]
