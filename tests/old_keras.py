"""Files as Keras 2.1 to 2.12 wrote them, made by hand."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

RANDOM = np.random.default_rng(5)
GLOROT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
}
NOISE = {
    "kernel_initializer": GLOROT,
    "bias_initializer": {"class_name": "Zeros", "config": {}},
    "kernel_regularizer": None,
    "bias_regularizer": None,
    "activity_regularizer": {"class_name": "MyL3", "config": {"l3": 0.1}},
    "kernel_constraint": None,
}
LOOP = {
    "return_sequences": False,
    "return_state": False,
    "go_backwards": False,
    "stateful": False,
    "unroll": False,
    "recurrent_initializer": {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}},
    **NOISE,
}
GATES = {
    "activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True, "dropout": 0.0,
    "recurrent_dropout": 0.0, "implementation": 1,
}  # fmt: skip


def lstm(name: str, units: int, **more: Any) -> dict[str, Any]:
    return layer("LSTM", name, units=units, **{**LOOP, **GATES, "unit_forget_bias": True, **more})


def gru(name: str, units: int, **more: Any) -> dict[str, Any]:
    return layer("GRU", name, units=units, **{**LOOP, **GATES, **more})


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, "trainable": True, **config}}


def dense(name: str, units: int, **more: Any) -> dict[str, Any]:
    return layer("Dense", name, units=units, **{"activation": "linear", "use_bias": True, **NOISE, **more})


def called(entry: dict[str, Any], *nodes: Any) -> dict[str, Any]:
    return {**entry, "name": entry["config"]["name"], "inbound_nodes": list(nodes)}


def given(name: str, *shape: Any, dtype: str = "float32") -> dict[str, Any]:
    return called(layer("InputLayer", name, batch_input_shape=[None, *shape], dtype=dtype, sparse=False))


def functional(name: str, layers: list[Any], inputs: list[Any], outputs: list[Any]) -> dict[str, Any]:
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Model", "config": config}


def drawn(*shapes: Any) -> list[np.ndarray]:
    return [RANDOM.uniform(-1, 1, shape).astype("float32") for shape in shapes]


def of_gates(gates: int, features: int, units: int) -> list[np.ndarray]:
    return drawn((features, gates * units), (units, gates * units), (gates * units,))


def names(start: str, *ends: str) -> list[str]:
    return [f"{start}/{end}:0" for end in ends or ("kernel", "recurrent_kernel", "bias")]


def write(
    path: Path, version: str, config: Any, weights: dict[str, Any], backend: str = "tensorflow"
) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["backend"] = backend.encode()
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["training_config"] = json.dumps(
            {"optimizer_config": {"class_name": "Custom>Yogi"}}
        ).encode()
        file.create_group("optimizer_weights/training/Adam").create_dataset("iterations:0", data=7)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in weights]
        for name, pairs in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight, _ in pairs]
            for weight, array in pairs:
                group.create_dataset(weight, data=array)


def pairs(paths: list[str], arrays: list[np.ndarray]) -> list[Any]:
    return list(zip(paths, arrays, strict=True))


def to_cudnn(weights: list[np.ndarray], gates: int, biases: np.ndarray) -> list[np.ndarray]:
    """Number by number: cuDNN keeps the kernel of a gate as (units, features), in rows."""
    kernel, recurrent = np.empty_like(weights[0]), np.empty_like(weights[1])
    features, units = len(weights[0]), len(weights[1])
    for gate in range(gates):
        block = kernel[:, gate * units : (gate + 1) * units]
        for feature in range(features):
            for unit in range(units):
                row, column = divmod(unit * features + feature, units)
                block[row, column] = weights[0][feature, gate * units + unit]
        for row in range(units):
            for column in range(units):
                recurrent[row, gate * units + column] = weights[1][column, gate * units + row]
    return [kernel, recurrent, biases]
