"""The packages that `--implementation` names: how each computes a model, in a separate process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import EngineError, Message
from rnncli.values import Array, __version__

Inputs = Mapping[str, Array]
Outputs = Sequence[Any]
"""Arrays, in the order of the graph."""


def _rnncli(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    """Compute the node as `rnncli run --model` does, and return its tensors in the layout of the file."""
    import onnx

    from rnncli.ask import Ask, subject_of
    from rnncli.compute import join_results

    node = onnx.load(model).graph.node[0]
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    every = {"return_sequences": True, "return_state": True}
    computed = subject_of(Ask(dict(inputs), model=str(model), options=every)).compute(None)
    result = join_results(computed.results, computed.batch)
    tensors = {tensor.name.rpartition("/")[2]: tensor.values for tensor in result.outputs}
    directions = ("forward_", "backward_") if attributes.get("direction") == b"bidirectional" else ("",)
    y = np.stack(np.split(tensors["hidden_states"], len(directions), axis=-1), axis=2)  # (b, t, d, u)
    states = {
        f"Y_{letter}": np.stack([tensors[f"{direction}last_{state}_state"] for direction in directions])
        for letter, state in (("h", "hidden"), ("c", "cell"))
        if f"{directions[0]}last_{state}_state" in tensors
    }
    if attributes.get("layout"):
        arrays = {"Y": y, **{name: state.swapaxes(0, 1) for name, state in states.items()}}
    else:
        arrays = {"Y": y.transpose(1, 2, 0, 3), **states}
    return [arrays[name] for name in outputs]


def _onnxruntime(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    returned: list[Any] = session.run(list(outputs), dict(inputs))
    return returned


def _onnx_reference(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    from onnx.reference import ReferenceEvaluator

    return list(ReferenceEvaluator(str(model)).run(list(outputs), dict(inputs)))


def _openvino(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import openvino

    # in float32 even where the processor has something faster
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    returned = compiled(dict(inputs))
    return [returned[name] for name in outputs]


def _opencv(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import cv2

    network = cv2.dnn.readNetFromONNX(str(model))
    for name, array in inputs.items():
        network.setInput(array, name)
    returned: Sequence[Any] = network.forward(list(outputs))
    return returned


def _tract(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import tract

    runnable = tract.onnx().load(model).into_model().into_runnable()
    return [tensor.to_numpy() for tensor in runnable.run(list(inputs.values()))]


def _onnx2pytorch(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import onnx
    import onnx2pytorch
    import torch

    module = onnx2pytorch.ConvertModel(onnx.load(model))
    with torch.no_grad():
        returned = module(*map(torch.from_numpy, inputs.values()))
    tensors = returned if isinstance(returned, (tuple, list)) else [returned]
    return [tensor.numpy() for tensor in tensors]


class Implementation(NamedTuple):
    """A package.

    package: the module that is imported.  install: what pip installs.
    run: computes a model; takes its file, the inputs in the graph's order, and the names of the outputs.
    """

    package: str
    install: str
    run: Callable[[Path, Inputs, Sequence[str]], Outputs]


IMPLEMENTATIONS = {
    "rnncli": Implementation("rnncli", "rnncli", _rnncli),
    "onnxruntime": Implementation("onnxruntime", "onnxruntime", _onnxruntime),
    "onnx.reference": Implementation("onnx", "onnx", _onnx_reference),
    "openvino": Implementation("openvino", "openvino", _openvino),
    "opencv": Implementation("cv2", "opencv-python-headless", _opencv),
    "tract": Implementation("tract", "tract", _tract),
    "onnx2pytorch": Implementation("onnx2pytorch", "onnx2pytorch", _onnx2pytorch),
}


def version_of(name: str) -> str:
    """Return the version of an implementation.  Raises EngineError if it is not installed."""
    package, install, _ = IMPLEMENTATIONS[name]
    if package == "rnncli":
        return __version__
    if util.find_spec(package) is None:
        raise EngineError(
            "{name} is not installed.", Message("pip install {install}", install=install), name=name
        )
    distributions = metadata.packages_distributions().get(package, [install])
    return metadata.version(distributions[0])


def answer_kit(name: str, kit: str, results: str) -> None:
    """Let an implementation answer the cases of a kit; see `rnncli.commands.conformance.runners`."""
    run = IMPLEMENTATIONS[name].run
    for model in sorted(Path(kit).rglob("model.onnx"), key=lambda model: model.parent.name):
        inputs, wanted = (dict(np.load(model.with_name(f"{kind}.npz"))) for kind in ("inputs", "outputs"))
        part, suffix = Path(results) / f"{model.parent.name}.part", "npz"
        try:
            outputs = dict(zip(wanted, run(model, inputs, list(wanted)), strict=False))
            with part.open("wb") as file:
                np.savez(file, **outputs)
        except Exception as error:  # each library has its own
            reason = " ".join(str(error).partition("Stack backtrace")[0].split())
            part.write_text(f"{type(error).__name__}: {reason}", encoding="utf-8")
            suffix = "txt"
        part.rename(part.with_suffix(f".{suffix}"))
