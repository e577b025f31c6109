"""Weights made by hand, for tests of how they are shown; these need no engine and no file."""

import numpy as np

from rnncli import specs
from rnncli.commands.weights import contents
from rnncli.commands.weights.answer import WeightsAnswer
from rnncli.commands.weights.contents import DescribedLayers
from rnncli.commands.weights.conversion import ConversionAnswer
from rnncli.frameworks import CellWeights, Chain, LayerWeights, convert
from rnncli.layers.case import Case
from rnncli.models.graph import Graph, Module, Modules, Node


def waves(*shape: int, start: int = 0) -> np.ndarray:
    return np.sin(np.arange(start, start + int(np.prod(shape)))).astype(np.float32).reshape(shape)


def lstm(units: int, features: int, start: int = 0) -> dict[str, np.ndarray]:
    bias = np.zeros(4 * units, np.float32)
    bias[units : 2 * units] = 1
    kernels = {
        "kernel": waves(features, 4 * units, start=start),
        "recurrent_kernel": waves(units, 4 * units, start=start + 7),
    }
    return {**kernels, "bias": bias}


def described() -> WeightsAnswer:
    """Return a GRU and a Dense layer."""
    stack = specs.from_flags(["GRU(3)", "Dense(2)"], {})
    weights = {
        "0/kernel": waves(5, 9), "0/recurrent_kernel": waves(3, 9, start=5),
        "0/bias": waves(2, 9, start=1) / 10, "1/kernel": waves(3, 2), "1/bias": np.zeros(2, np.float32),
    }  # fmt: skip
    described = contents.describe_case(Case(stack, waves(1, 4, 5), weights=weights), weights)
    return WeightsAnswer(described, DescribedLayers(stack, ("batch", None, 5), 42))


def saved() -> WeightsAnswer:
    """Return a model with a Bidirectional layer, and one layer with numbers that are not finite."""
    inner = {"class_name": "LSTM", "config": {"units": 2, "return_sequences": True}}
    both = {f"forward/{name}": array for name, array in lstm(2, 3).items()}
    both |= {f"backward/{name}": array for name, array in lstm(2, 3, 50).items()}
    odd = {"kernel": waves(4, 3) * 1e6, "recurrent_kernel": waves(3, 3), "bias": waves(3)}
    odd["recurrent_kernel"][0, 0] = np.nan
    nodes = (
        Node("in", "in", "InputLayer", "keras.layers", {}, {}, (), {}),
        Node("bi", "bi", "Bidirectional", "keras.layers", {"layer": inner}, both, (), {}),
        Node("rnn", "rnn", "SimpleRNN", "keras.layers", {"units": 3}, odd, (), {}),
        Node("dense", "dense", "Dense", "keras.layers", {}, {"kernel": waves(3, 1)}, (), {}),
    )
    return WeightsAnswer(contents.describe_file(Graph("model.keras", "Keras 3.12.0", nodes, (), (), ())))


def state_dict() -> WeightsAnswer:
    """Return two modules of PyTorch, one of which cannot be computed, and twelve other tensors."""
    nodes = tuple(
        Node(f"lstm_l{number}", "", "LSTM", "torch.nn", {"units": 2}, lstm(2, 2), (), {}) for number in (0, 1)
    )
    refused = Node("odd", "odd", "LSTM", "torch.nn", {"units": 2}, lstm(2, 2), (), {})
    modules = (Module("lstm", nodes), Module("odd", (refused,), "it projects its state (weight_hr_l0)"))
    others = {f"layers.{number}.weight": (number + 1, 2) for number in range(12)}
    return WeightsAnswer(contents.describe_file(Modules("state.pt", "PyTorch", modules, others)))


def converted() -> ConversionAnswer:
    """Return an LSTM in PyTorch's layout."""
    cell = CellWeights("LSTM", {"units": 2}, lstm(2, 3))
    return ConversionAnswer("torch", convert("torch", [Chain("", (LayerWeights("", (cell,)),))]))


ANSWERS = {"described": described(), "saved": saved(), "state_dict": state_dict(), "converted": converted()}
