"""why: messages that PyTorch really gives, and older ones as text."""

from typing import Any

import numpy as np
import pytest
from mistakes import message_of, read

from rnncli.commands.why.answer import attempt
from rnncli.commands.why.diagnosis import diagnose, matches

torch = pytest.importorskip("torch")
nn = torch.nn
ones = torch.ones


def pack(*shape: int, lengths: list[int]) -> None:
    nn.utils.rnn.pack_padded_sequence(ones(*shape), torch.tensor(lengths))


def load(saved: Any, into: Any) -> None:
    into.load_state_dict(saved.state_dict())


def twice() -> None:
    layer = nn.LSTM(5, 3)
    output, states = layer(ones(4, 2, 5))
    output.sum().backward()
    layer(ones(4, 2, 5), states)[0].sum().backward()


PROVOKED = read("""
rank-torch: nn.LSTM(5, 3)(ones(1, 4, 5, 6))
rank-torch: nn.RNN(5, 3)(ones(1, 4, 5, 6))
device-torch: nn.GRU(5, 3)(ones(4, 2, 5), ones(1, 2, 3, device="meta"))
device-torch: nn.LSTM(5, 3, device="meta")(ones(4, 2, 5))
cell-torch: nn.RNNCell(5, 3)(ones(1, 2, 5))
rank-torch: nn.GRU(5, 3)(ones(5))
features-torch: nn.LSTM(5, 3)(ones(1, 4, 4))
features-torch-cell: nn.GRUCell(5, 3)(ones(2, 4))
features-torch-linear: nn.Linear(4, 1)(nn.LSTM(5, 3)(ones(4, 2, 5))[0])
features-torch-linear: nn.Linear(3, 1)(nn.LSTM(5, 3, bidirectional=True)(ones(4, 2, 5))[0])
state-torch: nn.LSTM(5, 3, batch_first=True)(ones(2, 4, 5), (ones(2, 1, 3), ones(2, 1, 3)))
state-torch: nn.LSTM(5, 3)(ones(2, 4, 5), (ones(1, 2, 3), ones(1, 2, 3)))
state-torch: nn.GRU(5, 3)(ones(2, 4, 5), ones(1, 2, 3))
state-torch: nn.GRU(5, 3, num_layers=2, bidirectional=True)(ones(2, 4, 5), ones(2, 4, 3))
state-torch-cell: nn.LSTMCell(5, 3)(ones(2, 5), (ones(2, 4), ones(2, 4)))
state-torch-rank: nn.LSTM(5, 3)(ones(4, 5), (ones(1, 1, 3), ones(1, 1, 3)))
state-torch-rank: nn.GRU(5, 3)(ones(2, 4, 5), ones(1, 3))
packed-order: pack(4, 2, 5, lengths=[2, 4])
packed-empty: pack(4, 2, 5, lengths=[4, 0])
packed-count: pack(4, 2, 5, lengths=[4, 2, 1])
packed-device: pack_padded_sequence(ones(2, 4, 5), ones(2, device="meta", dtype=torch.int64))
ragged-torch: torch.stack([ones(3, 5), ones(4, 5)])
state-dict-shape: load(nn.LSTM(4, 3), nn.LSTM(5, 3))
state-dict-shape: load(nn.GRU(5, 3), nn.LSTM(5, 3))
state-dict-names: load(nn.LSTM(5, 3), nn.LSTM(5, 3, num_layers=2))
state-dict-names: load(nn.LSTM(5, 3, bidirectional=True), nn.LSTM(5, 3))
state-dict-names: nn.LSTM(5, 3).load_state_dict({f"module.{name}": weight for name, weight in nn.LSTM(5,
  3).state_dict().items()})
tuple-torch: nn.LSTM(5, 3)(ones(4, 2, 5)).size()
tuple-torch: nn.Sequential(nn.LSTM(5, 3), nn.Linear(3, 1))(ones(4, 2, 5))
tuple-torch: nn.Sequential(nn.LSTM(5, 3), nn.LSTM(3, 3))(ones(4, 2, 5))
precision-torch: nn.LSTM(5, 3)(ones(4, 2, 5, dtype=torch.float64))
precision-torch: nn.Linear(5, 3)(ones(4, 5, dtype=torch.float64))
no-tensor-torch: nn.LSTM(5, 3)(np.ones((4, 2, 5)))
numpy-torch: nn.LSTM(5, 3)(ones(4, 2, 5))[0].numpy()
token-torch: nn.Embedding(10, 3)(torch.tensor([10]))
token-type: nn.Embedding(10, 3)(ones(2, 3))
backward-twice: twice()
no-graph-torch: ones(1).backward()
units-torch: nn.LSTM(5, 0)
units-torch: nn.LSTM(5, 3.5)
units-missing: nn.LSTM(5)
argument-torch: nn.LSTM(5, 3, return_sequences=True)
nonlinearity: nn.RNN(5, 3, nonlinearity="sigmoid")
cell-torch: nn.LSTMCell(5, 3)(ones(1, 2, 5))
unpack-few: _, _, _ = nn.LSTM(5, 3)(ones(4, 2, 5))
class-axis: nn.CrossEntropyLoss()(ones(2, 4, 3), ones(2, 4, dtype=torch.int64))
batches-torch: nn.CrossEntropyLoss()(ones(8, 3), ones(2, dtype=torch.int64))
packed-output: nn.LSTM(5, 3)(pack_padded_sequence(ones(4, 1, 5), torch.tensor([4])))[0].size()
state-torch-cell-batch: nn.GRUCell(5, 3)(ones(2, 5), ones(4, 3))
projection-torch: nn.LSTM(5, 3, proj_size=3)
projection-torch: nn.GRU(5, 3, proj_size=2)
no-steps: nn.LSTM(5, 3)(ones(0, 2, 5))
device-torch: nn.LSTM(5, 3)(ones(4, 2, 5, device="meta"))
""")
NAMES = {**vars(nn), **globals(), "np": np, "pack_padded_sequence": nn.utils.rnn.pack_padded_sequence}


@pytest.mark.parametrize(("cause", "code"), PROVOKED, ids=[code for _, code in PROVOKED])
def test_message_has_one_cause_and_fixes_that_run(cause: str, code: str) -> None:
    text = message_of(code, NAMES)
    assert [match.diagnosis.cause for match in matches(text)] == [cause], text
    fixes = diagnose(text).fixes
    assert fixes
    assert all(attempt(fix) is not None for fix in fixes)
