"""A kernel of samples/cells/gated_deltanet.toml, from the paper, into which faults are planted by hand.

As a program, `faulty_delta.py KIT RESULTS [FAULT,FAULT]`, it answers the cases of a kit.
"""

import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

HEADS = 2


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def kernel(given: Mapping[str, Any], faults: Collection[str] = ()) -> dict[str, Any]:
    """Return the outputs of a case, sequence after sequence and head after head."""
    batch, steps, _ = given["x"].shape
    units = (given["kernel"].shape[1] - 2 * HEADS) // 3
    outputs = np.zeros((batch, steps, units), given["x"].dtype)
    memories = given["initial_memory"].copy()
    if "starts from zeros" in faults:
        memories[:] = 0
    for b in range(batch):
        length = steps if {"padding is read", "lengths ignored"}.intersection(faults) else given["lengths"][b]
        before = given["x"][b, 0] * 0
        for t in range(length):
            row = before if "x of the step before" in faults else given["x"][b, t]
            before = given["x"][b, t]
            if "lost at 64" in faults and t and t % 64 == 0:
                memories[b] = 0
            outputs[b, t] = step(given, row @ given["kernel"], memories[b], faults)
    if "returned transposed" in faults:
        memories = memories.swapaxes(2, 3)
    last = outputs[np.arange(batch), -1 if "lengths ignored" in faults else given["lengths"] - 1]
    return {"outputs": outputs, "last_memory": memories, "last_hidden": last}


def step(given: Mapping[str, Any], columns: Any, memory: Any, faults: Collection[str]) -> Any:
    """Change the memory (heads, keys, values), and return the output (units,) of one step."""
    units = (len(columns) - 2 * HEADS) // 3
    q, k, v, beta, gate = np.split(columns, [units, 2 * units, 3 * units, 3 * units + HEADS])
    q, k = (k, q) if "query and key swapped" in faults else (q, k)
    q, k, v = (part.reshape(HEADS, -1) for part in (q, k, v))
    size = q.dtype.type(q.shape[1])
    q = q if "no silu of the query" in faults else q * sigmoid(q)
    k = k if "no silu of the key" in faults else k * sigmoid(k)
    v = np.maximum(v, 0) if "relu of the value" in faults else v * sigmoid(v)
    beta = 2 * sigmoid(beta) if "beta up to 2" in faults else sigmoid(beta)
    rate = given["A_log"] if "no exp of A_log" in faults else np.exp(given["A_log"])
    shifted = gate if "no dt_bias" in faults else gate + given["dt_bias"]
    alpha = np.exp(
        -rate * (np.maximum(shifted, 0) if "relu for softplus" in faults else np.log1p(np.exp(shifted)))
    )
    v = v[::-1] if "heads of the value swapped" in faults else v
    answer = []
    for h in range(HEADS):
        squares = (q[h] @ q[h], k[h] @ k[h])
        squares = (squares[0] / size, squares[1] / size) if "mean of squares" in faults else squares
        query = q[h] / np.sqrt(squares[0] + 1e-6)
        key = k[h] / np.sqrt(squares[1] + 1e-6)
        if "eps outside of the key's root" in faults:
            key = k[h] / (np.sqrt(squares[1]) + 1e-6)
        key = k[h] if "key not normalized" in faults else key
        query = (
            query
            if "unscaled" in faults
            else query / size
            if "scaled by keys" in faults
            else query / np.sqrt(size)
        )
        late = "decay after the update" in faults
        old = memory[h] if late or "no decay" in faults else alpha[h] * memory[h]
        read = key @ (memory[h] if "undecayed memory is corrected" in faults else old)
        read = 0 * read if "no correction" in faults else -read if "correction added" in faults else read
        target = beta[h] * v[h] - read if "beta only on the value" in faults else beta[h] * (v[h] - read)
        target = v[h] - read if "no beta" in faults else target
        written = np.outer(target, key) if "outer product transposed" in faults else np.outer(key, target)
        new = alpha[h] * (old + written) if late else old + written
        answer.append(query @ (memory[h] if "reads before the update" in faults else new))
        answer[-1] = new @ query if "memory read transposed" in faults else answer[-1]
        memory[h] = new
    return np.concatenate(answer)


if __name__ == "__main__":
    kit, results = map(Path, sys.argv[1:3])
    for case in json.loads((kit / "cases.json").read_text())["cases"]:
        arrays = dict(np.load(kit / case["name"] / "inputs.npz"))
        np.savez(results / "part.npz", **kernel(arrays, "".join(sys.argv[3:]).split(",")))
        (results / "part.npz").rename(results / f"{case['name']}.npz")
