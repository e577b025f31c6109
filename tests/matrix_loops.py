"""The samples whose states are matrices, as loops in NumPy written from their papers, without rnncli.

Each function takes the weights, one sequence x (timesteps, features), the sizes and the states before the
first step, and returns the outputs (timesteps, units) and the last states.  Loops run over steps and heads.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

Weights = Mapping[str, np.ndarray]
Sizes = Mapping[str, int]


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def silu(z: Any) -> Any:
    return z * sigmoid(z)


def softplus(z: Any) -> Any:
    return np.log1p(np.exp(z))


def split(values: np.ndarray, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Return the columns of a product, cut into parts of these shapes."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + int(np.prod(shape))
        parts.append(values[start:stop].reshape(shape))
        start = stop
    assert start == len(values)
    return parts


def unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.sqrt(vector @ vector + 1e-6))


def linear_attention(w: Weights, x: np.ndarray, n: Sizes, memory: Any, normalizer: Any) -> Any:
    heads, size = n["heads"], n["units"] // n["heads"]
    memory, normalizer, outputs = memory.copy(), normalizer.copy(), []
    for row in x:
        q, k, v = split(row @ w["kernel"], *[(heads, size)] * 3)
        q, k = (np.where(z > 0, z + 1, np.exp(z)) for z in (q, k))
        heads_out = []
        for h in range(heads):
            memory[h] += np.outer(k[h], v[h])
            normalizer[h] += k[h]
            heads_out.append(q[h] @ memory[h] / (q[h] @ normalizer[h] + 1e-6))
        outputs.append(np.concatenate(heads_out))
    return outputs, (memory, normalizer)


def retnet(w: Weights, x: np.ndarray, n: Sizes, real: Any, imaginary: Any) -> Any:
    """With complex numbers: keys and queries are turned, the memory forgets."""
    heads, pairs, size = n["heads"], n["units"] // n["heads"] // 2, n["units"] // n["heads"]
    memory, outputs = real + 1j * imaginary, []
    angle = 10000.0 ** (-np.arange(pairs) / max(pairs - 1, 1))
    for row in x:
        q, qi, k, ki, v, gate = split(
            row @ w["kernel"], *[(heads, pairs)] * 4, (heads, size), (heads * size,)
        )
        heads_out = []
        for h in range(heads):
            decay = 1 - 2.0 ** (-5 - h)
            memory[h] = decay * np.exp(1j * angle)[:, None] * memory[h]
            memory[h] += np.outer((k[h] - 1j * ki[h]) / np.sqrt(2 * pairs), v[h])
            read = ((q[h] + 1j * qi[h]) @ memory[h]).real
            heads_out.append((read - read.mean()) / np.sqrt(read.var() + 1e-5))
        outputs.append((silu(gate) * np.concatenate(heads_out)) @ w["output"])
    return outputs, (memory.real, memory.imag)


def gla(w: Weights, x: np.ndarray, n: Sizes, memory: Any) -> Any:
    heads, size = n["heads"], n["units"] // n["heads"]
    memory, outputs = memory.copy(), []
    for row in x:
        q, k, v, gate = split(row @ w["kernel"], *[(heads, size)] * 4)
        low = row @ w["forget_down"]
        heads_out = []
        for h in range(heads):
            forget = sigmoid(low @ w["forget_up"][:, h] + w["forget_bias"][h]) ** (1 / 16)
            memory[h] = forget[:, None] * memory[h] + np.outer(k[h], v[h])
            read = q[h] / np.sqrt(size) @ memory[h]
            heads_out.append(silu(gate[h]) * w["gain"] * read / np.sqrt((read**2).mean() + 1e-5))
        outputs.append(np.concatenate(heads_out) @ w["output"])
    return outputs, (memory,)


def deltanet(w: Weights, x: np.ndarray, n: Sizes, memory: Any) -> Any:
    heads, size = n["heads"], n["units"] // n["heads"]
    memory, outputs = memory.copy(), []
    for row in x:
        q, k, v, beta = split(row @ w["kernel"], *[(heads, size)] * 3, (heads,))
        heads_out = []
        for h in range(heads):
            key, step = unit(silu(k[h])), sigmoid(beta[h])
            memory[h] = (np.eye(size) - step * np.outer(key, key)) @ memory[h]
            memory[h] += step * np.outer(key, silu(v[h]))
            heads_out.append(unit(silu(q[h])) / np.sqrt(size) @ memory[h])
        outputs.append(np.concatenate(heads_out))
    return outputs, (memory,)


def gated_deltanet(w: Weights, x: np.ndarray, n: Sizes, memory: Any) -> Any:
    """S = alpha (I - beta k k') S + beta k v'."""
    heads, size = n["heads"], n["units"] // n["heads"]
    memory, outputs = memory.copy(), []
    for row in x:
        q, k, v, beta, alpha = split(row @ w["kernel"], *[(heads, size)] * 3, (heads,), (heads,))
        heads_out = []
        for h in range(heads):
            key, step = unit(silu(k[h])), sigmoid(beta[h])
            decay = np.exp(-np.exp(w["A_log"][h]) * softplus(alpha[h] + w["dt_bias"][h]))
            memory[h] = decay * (np.eye(size) - step * np.outer(key, key)) @ memory[h]
            memory[h] += step * np.outer(key, silu(v[h]))
            heads_out.append(unit(silu(q[h])) / np.sqrt(size) @ memory[h])
        outputs.append(np.concatenate(heads_out))
    return outputs, (memory,)


def rwkv7(w: Weights, x: np.ndarray, n: Sizes, memory: Any, previous: Any) -> Any:
    """S = S (diag(w) - k'(a k)) + v'k, with S as (values, keys) for each head, as in the paper."""
    heads, size = n["heads"], n["units"] // n["heads"]
    states, outputs = memory.swapaxes(1, 2).copy(), []
    kernels = np.split(w["kernel"], 3, axis=1)
    for row in x:
        mixed = {
            name: row + (previous - row) * w[f"mix_{name}"]
            for name in ("receptance", "decay", "key", "value", "rate", "gate")
        }
        r, k, v = (
            (mixed[name] @ kernel).reshape(heads, size)
            for name, kernel in zip(("receptance", "key", "value"), kernels, strict=True)
        )
        low = np.tanh(mixed["decay"] @ w["decay_down"]), mixed["rate"] @ w["rate_down"]
        gate = sigmoid(mixed["gate"] @ w["gate_down"]) @ w["gate_up"]
        heads_out = []
        for h in range(heads):
            decay = np.exp(-sigmoid(w["decay_bias"][h] + low[0] @ w["decay_up"][:, h]) / np.sqrt(np.e))
            rate = sigmoid(w["rate_bias"][h] + low[1] @ w["rate_up"][:, h])
            removal = k[h] * w["removal_scale"][h]
            removal = removal / max(np.linalg.norm(removal), 1e-12)
            written = k[h] * (1 + (rate - 1) * w["key_rate"][h])
            turn = np.diag(decay) - np.outer(removal, removal * rate)
            states[h] = states[h] @ turn + np.outer(v[h], written)
            read = states[h] @ r[h]
            read = (read - read.mean()) / np.sqrt(read.var() + 64e-5) * w["gain"][h] + w["shift_bias"][h]
            heads_out.append(read + (r[h] * written * w["bonus"][h]).sum() * v[h])
        outputs.append((np.concatenate(heads_out) * gate) @ w["output"])
        previous = row
    return outputs, (states.swapaxes(1, 2), previous)


def mlstm(w: Weights, x: np.ndarray, n: Sizes, memory: Any, normalizer: Any, stabilizer: Any) -> Any:
    """Without the stabilizer, whose effect cancels: C and n are scaled by exp(stabilizer)."""
    heads, size = n["heads"], n["units"] // n["heads"]
    outputs, m = [], stabilizer.copy()
    cell, norm = memory * np.exp(m)[:, None, None], normalizer * np.exp(m)[:, None]
    for row in x:
        whole = row @ w["kernel"] + w["bias"]
        q, k, v, i, f, o = split(whole, *[(heads, size)] * 3, (heads,), (heads,), (heads, size))
        heads_out = []
        for h in range(heads):
            key = k[h] / np.sqrt(size)
            cell[h] = sigmoid(f[h]) * cell[h] + np.exp(i[h]) * np.outer(key, v[h])
            norm[h] = sigmoid(f[h]) * norm[h] + np.exp(i[h]) * key
            m[h] = max(np.log(sigmoid(f[h])) + m[h], i[h])
            heads_out.append(sigmoid(o[h]) * (q[h] @ cell[h]) / max(abs(q[h] @ norm[h]), 1))
        outputs.append(np.concatenate(heads_out))
    return outputs, (cell / np.exp(m)[:, None, None], norm / np.exp(m)[:, None], m)


def hgrn2(w: Weights, x: np.ndarray, n: Sizes, memory: Any) -> Any:
    heads, size = n["heads"], n["units"] // n["heads"]
    memory, outputs = memory.copy(), []
    for row in x:
        q, f, v = split(row @ w["kernel"], *[(heads, size)] * 3)
        heads_out = []
        for h in range(heads):
            forget = sigmoid(f[h])
            memory[h] = np.diag(forget) @ memory[h] + np.outer(1 - forget, v[h])
            heads_out.append(silu(q[h]) @ memory[h])
        read = np.concatenate(heads_out)
        outputs.append(w["gain"] * read / np.sqrt((read**2).mean() + 1e-5) @ w["output"])
    return outputs, (memory,)


def mamba(w: Weights, x: np.ndarray, n: Sizes, memory: Any, window: Any) -> Any:
    """Channel by channel."""
    channels, memory, window, outputs = n["units"] * 2, memory.copy(), window.copy(), []
    for row in x:
        branch, gate = split(row @ w["kernel"], (channels,), (channels,))
        window = np.vstack([window[1:], branch])
        signal = silu(np.einsum("tc,tc->c", window, w["convolution"]) + w["convolution_bias"])
        delta = softplus(signal @ w["step_down"] @ w["step_up"] + w["step_bias"])
        b, c = signal @ w["input_projection"], signal @ w["output_projection"]
        y = np.empty(channels)
        for j in range(channels):
            memory[j] = np.exp(-delta[j] * np.exp(w["A_log"][j])) * memory[j] + delta[j] * b * signal[j]
            y[j] = memory[j] @ c + w["D"][j] * signal[j]
        outputs.append((y * silu(gate)) @ w["out"])
    return outputs, (memory, window)


def mamba2(w: Weights, x: np.ndarray, n: Sizes, memory: Any) -> Any:
    heads, size, numbers = n["heads"], n["units"] // n["heads"], n["numbers"]
    memory, outputs = memory.copy(), []
    for row in x:
        v, b, c, dt = split(row @ w["kernel"], (heads, size), (numbers,), (numbers,), (heads,))
        heads_out = []
        for h in range(heads):
            step = softplus(dt[h] + w["step_bias"][h])
            memory[h] = np.exp(-step * np.exp(w["A_log"][h])) * memory[h] + step * np.outer(v[h], b)
            heads_out.append(memory[h] @ c + w["D"][h] * v[h])
        outputs.append(np.concatenate(heads_out))
    return outputs, (memory,)


def qwen3_next(w: Weights, x: np.ndarray, n: Sizes, memory: Any, qs: Any, ks: Any, vs: Any) -> Any:
    groups, repeats, keys, values = (n[name] for name in ("groups", "repeats", "keys", "values"))
    memory, outputs = memory.copy(), []
    several = [(groups, keys)] * 2 + [(groups, repeats, values)] * 2 + [(groups, repeats)] * 2
    for row in x:
        q, k, v, z, b, a = split(row @ w["kernel"], *several)
        qs, ks, vs = (np.concatenate([old[1:], new[None]]) for old, new in ((qs, q), (ks, k), (vs, v)))
        q, k, v = (
            silu((taps * w[f"{name}_convolution"]).sum(0))
            for name, taps in (("query", qs), ("key", ks), ("value", vs))
        )
        total = np.zeros(n["units"])
        for g in range(groups):
            key, query = unit(k[g]), unit(q[g]) / np.sqrt(keys)
            for r in range(repeats):
                step = sigmoid(b[g, r])
                decay = np.exp(-np.exp(w["A_log"][g, r]) * softplus(a[g, r] + w["dt_bias"][g, r]))
                memory[g, r] = decay * (np.eye(keys) - step * np.outer(key, key)) @ memory[g, r]
                memory[g, r] += step * np.outer(key, v[g, r])
                read = query @ memory[g, r]
                read = w["gain"] * read / np.sqrt((read**2).mean() + 1e-6) * silu(z[g, r])
                total += read @ w["out"][g, r]
        outputs.append(total)
    return outputs, (memory, qs, ks, vs)


def mamba2_layer(w: Weights, x: np.ndarray, n: Sizes, memory: Any, vs: Any, bs: Any, cs: Any) -> Any:
    groups, repeats, numbers = n["groups"], n["repeats"], n["numbers"]
    size = n["units"] * 2 // groups // repeats
    memory, outputs = memory.copy(), []
    many = (groups, repeats, size)
    for row in x:
        v, b, c, z, dt = split(row @ w["kernel"], many, *[(groups, numbers)] * 2, many, (groups, repeats))
        vs, bs, cs = (np.concatenate([old[1:], new[None]]) for old, new in ((vs, v), (bs, b), (cs, c)))
        v, b, c = (
            silu((taps * w[f"{name}_convolution"]).sum(0) + w[f"{name}_bias"])
            for name, taps in (("value", vs), ("input", bs), ("output", cs))
        )
        y = np.empty(many)
        for g in range(groups):
            for r in range(repeats):
                step = softplus(dt[g, r] + w["step_bias"][g, r])
                decay = np.exp(-step * np.exp(w["A_log"][g, r]))
                memory[g, r] = decay * memory[g, r] + step * np.outer(v[g, r], b[g])
                y[g, r] = memory[g, r] @ c[g] + w["D"][g, r] * v[g, r]
        y = y * silu(z)
        for g in range(groups):
            y[g] = w["gain"][g] * y[g] / np.sqrt((y[g] ** 2).mean() + 1e-5)
        outputs.append(y.ravel() @ w["out"].reshape(-1, n["units"]))
    return outputs, (memory, vs, bs, cs)


SMALL: Mapping[str, tuple[Any, Mapping[str, int]]] = {
    "linear_attention": (linear_attention, {"heads": 2}),
    "retnet": (retnet, {"heads": 3}),
    "gla": (gla, {"heads": 3, "rank": 2}),
    "deltanet": (deltanet, {"heads": 3}),
    "gated_deltanet": (gated_deltanet, {"heads": 2}),
    "rwkv7": (rwkv7, {"heads": 3, "rank": 2}),
    "mlstm": (mlstm, {"heads": 2}),
    "hgrn2": (hgrn2, {"heads": 3}),
    "mamba": (mamba, {"numbers": 5, "rank": 3, "taps": 3}),
    "mamba2": (mamba2, {"heads": 3, "numbers": 5}),
    "qwen3_next": (qwen3_next, {"groups": 2, "repeats": 3, "keys": 5, "values": 4, "taps": 3}),
    "mamba2_layer": (mamba2_layer, {"groups": 2, "repeats": 3, "numbers": 5, "taps": 3}),
}
"""Each loop with sizes that differ from each other where the cell lets them; `units` is 12 for all."""
UNITS = 12
