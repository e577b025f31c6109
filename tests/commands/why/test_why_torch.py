"""why: messages that PyTorch really gives, and older ones as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnncli.commands.why.diagnosis import diagnose, matches
from rnncli.commands.why.trial import attempt

torch = pytest.importorskip("torch")
nn = torch.nn
ones = torch.ones


def pack(*shape: int, lengths: list[int], **options: Any) -> None:
    nn.utils.rnn.pack_padded_sequence(ones(*shape), torch.tensor(lengths), **options)


def load(saved: Any, into: Any) -> None:
    into.load_state_dict(saved.state_dict())


def twice() -> None:
    layer = nn.LSTM(5, 3)
    output, states = layer(ones(4, 2, 5))
    output.sum().backward()
    layer(ones(4, 2, 5), states)[0].sum().backward()


PROVOKED: dict[str, tuple[str, Callable[[], object]]] = {
    "four axes": ("rank-torch", lambda: nn.LSTM(5, 3)(ones(1, 4, 5, 6))),
    "four axes of an rnn": ("rank-torch", lambda: nn.RNN(5, 3)(ones(1, 4, 5, 6))),
    "states elsewhere": (
        "device-torch",
        lambda: nn.GRU(5, 3)(ones(4, 2, 5), ones(1, 2, 3, device="meta")),
    ),
    "weights elsewhere": ("device-torch", lambda: nn.LSTM(5, 3, device="meta")(ones(4, 2, 5))),
    "sequence into an rnn cell": ("cell-torch", lambda: nn.RNNCell(5, 3)(ones(1, 2, 5))),
    "one axis": ("rank-torch", lambda: nn.GRU(5, 3)(ones(5))),
    "features": ("features-torch", lambda: nn.LSTM(5, 3)(ones(1, 4, 4))),
    "features of a cell": ("features-torch-cell", lambda: nn.GRUCell(5, 3)(ones(2, 4))),
    "linear": ("features-torch-linear", lambda: nn.Linear(4, 1)(nn.LSTM(5, 3)(ones(4, 2, 5))[0])),
    "linear behind both directions": (
        "features-torch-linear",
        lambda: nn.Linear(3, 1)(nn.LSTM(5, 3, bidirectional=True)(ones(4, 2, 5))[0]),
    ),
    "swapped states": (
        "state-torch",
        lambda: nn.LSTM(5, 3, batch_first=True)(ones(2, 4, 5), (ones(2, 1, 3), ones(2, 1, 3))),
    ),
    "states batch first": (
        "state-torch",
        lambda: nn.LSTM(5, 3)(ones(2, 4, 5), (ones(1, 2, 3), ones(1, 2, 3))),
    ),
    "state of gru": ("state-torch", lambda: nn.GRU(5, 3)(ones(2, 4, 5), ones(1, 2, 3))),
    "states of layers": (
        "state-torch",
        lambda: nn.GRU(5, 3, num_layers=2, bidirectional=True)(ones(2, 4, 5), ones(2, 4, 3)),
    ),
    "state of a cell": (
        "state-torch-cell",
        lambda: nn.LSTMCell(5, 3)(ones(2, 5), (ones(2, 4), ones(2, 4))),
    ),
    "batched states": ("state-torch-rank", lambda: nn.LSTM(5, 3)(ones(4, 5), (ones(1, 1, 3), ones(1, 1, 3)))),
    "unbatched state": ("state-torch-rank", lambda: nn.GRU(5, 3)(ones(2, 4, 5), ones(1, 3))),
    "unsorted": ("packed-order", lambda: pack(4, 2, 5, lengths=[2, 4])),
    "empty": ("packed-empty", lambda: pack(4, 2, 5, lengths=[4, 0])),
    "lengths": ("packed-count", lambda: pack(4, 2, 5, lengths=[4, 2, 1])),
    "lengths elsewhere": (
        "packed-device",
        lambda: nn.utils.rnn.pack_padded_sequence(ones(2, 4, 5), ones(2, device="meta", dtype=torch.int64)),
    ),
    "unequal": ("ragged-torch", lambda: torch.stack([ones(3, 5), ones(4, 5)])),
    "checkpoint of other features": ("state-dict-shape", lambda: load(nn.LSTM(4, 3), nn.LSTM(5, 3))),
    "checkpoint of gru": ("state-dict-shape", lambda: load(nn.GRU(5, 3), nn.LSTM(5, 3))),
    "checkpoint of one layer": (
        "state-dict-names",
        lambda: load(nn.LSTM(5, 3), nn.LSTM(5, 3, num_layers=2)),
    ),
    "checkpoint of both directions": (
        "state-dict-names",
        lambda: load(nn.LSTM(5, 3, bidirectional=True), nn.LSTM(5, 3)),
    ),
    "checkpoint with a prefix": (
        "state-dict-names",
        lambda: nn.LSTM(5, 3).load_state_dict(
            {f"module.{name}": one for name, one in nn.LSTM(5, 3).state_dict().items()}
        ),
    ),
    "size of the pair": ("tuple-torch", lambda: nn.LSTM(5, 3)(ones(4, 2, 5)).size()),
    "pair into linear": ("tuple-torch", lambda: nn.Sequential(nn.LSTM(5, 3), nn.Linear(3, 1))(ones(4, 2, 5))),
    "pair into a layer": ("tuple-torch", lambda: nn.Sequential(nn.LSTM(5, 3), nn.LSTM(3, 3))(ones(4, 2, 5))),
    "double": ("precision-torch", lambda: nn.LSTM(5, 3)(ones(4, 2, 5, dtype=torch.float64))),
    "double into linear": ("precision-torch", lambda: nn.Linear(5, 3)(ones(4, 5, dtype=torch.float64))),
    "numpy": ("no-tensor-torch", lambda: nn.LSTM(5, 3)(np.ones((4, 2, 5)))),
    "to numpy": ("numpy-torch", lambda: nn.LSTM(5, 3)(ones(4, 2, 5))[0].numpy()),
    "token": ("token-torch", lambda: nn.Embedding(10, 3)(torch.tensor([10]))),
    "token as a float": ("token-type", lambda: nn.Embedding(10, 3)(ones(2, 3))),
    "backward twice": ("backward-twice", twice),
    "backward of a constant": ("no-graph-torch", lambda: ones(1).backward()),
    "no units": ("units-torch", lambda: nn.LSTM(5, 0)),
    "half units": ("units-torch", lambda: nn.LSTM(5, 3.5)),
    "units missing": ("units-missing", lambda: nn.LSTM(5)),
    "argument of keras": ("argument-torch", lambda: nn.LSTM(5, 3, return_sequences=True)),
    "nonlinearity": ("nonlinearity", lambda: nn.RNN(5, 3, nonlinearity="sigmoid")),
    "sequence into a cell": ("cell-torch", lambda: nn.LSTMCell(5, 3)(ones(1, 2, 5))),
    "three names": ("unpack-few", lambda: _three(nn.LSTM(5, 3)(ones(4, 2, 5)))),
    "classes on the last axis": (
        "class-axis",
        lambda: nn.CrossEntropyLoss()(ones(2, 4, 3), ones(2, 4, dtype=torch.int64)),
    ),
    "rows and targets": (
        "batches-torch",
        lambda: nn.CrossEntropyLoss()(ones(8, 3), ones(2, dtype=torch.int64)),
    ),
    "packed output": (
        "packed-output",
        lambda: nn.LSTM(5, 3)(nn.utils.rnn.pack_padded_sequence(ones(4, 1, 5), torch.tensor([4])))[0].size(),
    ),
    "state of another batch": ("state-torch-cell-batch", lambda: nn.GRUCell(5, 3)(ones(2, 5), ones(4, 3))),
    "projection": ("projection-torch", lambda: nn.LSTM(5, 3, proj_size=3)),
    "projection of a gru": ("projection-torch", lambda: nn.GRU(5, 3, proj_size=2)),
    "no time steps": ("no-steps", lambda: nn.LSTM(5, 3)(ones(0, 2, 5))),
    "devices": ("device-torch", lambda: nn.LSTM(5, 3)(ones(4, 2, 5, device="meta"))),
}


def _three(pair: Any) -> None:
    _, _, _ = pair


@pytest.mark.parametrize("name", PROVOKED)
def test_message_has_one_cause_and_fixes_that_run(name: str) -> None:
    cause, provoke = PROVOKED[name]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the message is what is tested
        provoke()
    text = f"{type(caught.value).__name__}: {caught.value}"
    assert [found.diagnosis.cause for found in matches(text)] == [cause], text
    found = diagnose(text)
    assert found.fixes
    assert all(attempt(fix) is not None for fix in found.fixes)
