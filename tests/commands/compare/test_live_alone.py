"""`compare(x, model, alone=True)` of live objects: called once whole, and once for each sequence."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnncli
from rnncli.errors import UsageError

torch = pytest.importorskip("torch")
nn = torch.nn
rnn = torch.nn.utils.rnn

INPUTS = np.random.default_rng(0).normal(size=(3, 6, 5)).astype("float32")
SQUARE = np.random.default_rng(1).normal(size=(6, 6, 5)).astype("float32")
LENGTHS = np.array([4, 2, 6])
SIDES = ["alone, without its masked steps", "alone, with its padding"]
KEPT = "alone"


class Module(nn.Module):  # type: ignore[misc, name-defined]
    """A module with these parts, which computes with this function."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part())

    def forward(self, x: Any, lengths: Any = None) -> Any:
        return self.function(self, x) if lengths is None else self.function(self, x, lengths)


def gru(**options: Any) -> Any:
    return nn.GRU(5, 4, **{"batch_first": True, **options})


def time_first() -> Any:
    return gru(batch_first=False)


def upper() -> Any:
    return nn.GRU(4, 3, batch_first=True)


def center(h: Any) -> Any:
    return h - h.mean(0)


def packed(module: Any, x: Any, lengths: Any) -> Any:
    output, h = module.gru(rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    return rnn.pad_packed_sequence(output, batch_first=True)[0], h


def longest_first(module: Any, x: Any, lengths: Any) -> tuple[Any, Any]:
    """What a module does that wants sorted sequences: its layer reads them in another order."""
    lengths, order = lengths.sort(descending=True)
    output, _ = module.gru(rnn.pack_padded_sequence(x[order], lengths, batch_first=True))
    return rnn.pad_packed_sequence(output, batch_first=True)[0], order.argsort()


def back_in_order(module: Any, x: Any, lengths: Any) -> Any:
    output, order = longest_first(module, x, lengths)
    return output[order]


def head() -> Any:
    return nn.Linear(4, 2)


def projected() -> Any:
    return nn.LSTM(5, 4, proj_size=2, batch_first=True)


def cells(module: Any, x: Any) -> Any:
    h, rows = torch.zeros(len(x), 4), []
    for step in range(x.shape[1]):
        h = module.cell(x[:, step], h)
        rows.append(h)
    return torch.stack(rows, 1)


DIFFERING = [
    ("gru", Module(lambda m, x: m.gru(x)[0], gru=time_first), INPUTS),
    ("gru", Module(lambda m, x: m.gru(x)[0], gru=time_first), SQUARE),
    ("gru", Module(lambda m, x: m.gru(x)[0][-1], gru=time_first), INPUTS),
    ("output", Module(lambda m, x: center(m.gru(x)[0]), gru=gru), INPUTS),
    ("upper", Module(lambda m, x: m.upper(center(m.gru(x)[0]))[0], gru=gru, upper=upper), INPUTS),
    ("output", Module(lambda m, x: m.norm(m.gru(x)[0].mT), gru=gru,
                      norm=lambda: nn.BatchNorm1d(4, track_running_stats=False)), INPUTS),
    ("output", Module(lambda m, x, n: longest_first(m, x, n)[0], gru=gru), (INPUTS, LENGTHS)),
    ("output", Module(lambda m, x: m.gru(x.flip(0))[0], gru=gru), INPUTS),
]  # fmt: skip


@pytest.mark.parametrize(("first", "module", "given"), DIFFERING)
def test_the_first_part_that_mixes_the_sequences_is_named(first: str, module: Any, given: Any) -> None:
    found = rnncli.compare(given, module, alone=True)
    assert found.agrees is False
    assert f"depends on its batch or its padding, first in {first}" in str(found)


def test_the_largest_difference_is_that_of_calls_by_hand() -> None:
    module = Module(lambda m, x: center(m.gru(x)[0]), gru=gru)
    (found,) = rnncli.compare(INPUTS, module, alone=True).found
    with torch.no_grad():
        whole = module(torch.tensor(INPUTS))
        alone = torch.cat([module(torch.tensor(INPUTS[row : row + 1])) for row in range(3)])
    assert found.absolute == pytest.approx(float((whole - alone).abs().max()), rel=1e-6)
    assert found.step is None  # nothing says that the second axis of what a module returns is time


AGREEING = [
    (Module(lambda m, x: m.head(m.gru(x)[0]), gru=gru, head=head), INPUTS, {}),
    (Module(lambda m, x: m.head(m.gru(x)[0].reshape(-1, 4)), gru=gru, head=head), SQUARE, {}),
    (Module(lambda m, x: m.gru(x.transpose(0, 1))[0].transpose(0, 1), gru=time_first), INPUTS, {}),
    (Module(lambda m, x: m.gru(x)[0], gru=time_first), INPUTS, {"input_axes": "time,batch,features"}),
    (Module(lambda m, x: m.norm(m.gru(x)[1][-1]), gru=gru, norm=lambda: nn.BatchNorm1d(4)), INPUTS, {}),
    (Module(cells, cell=lambda: nn.GRUCell(5, 4)), INPUTS, {}),
    (Module(lambda m, x: m.gru(x)[0], gru=gru), INPUTS.tolist(), {}),
    (Module(lambda m, x: m.gru(rnn.pack_sequence(x, enforce_sorted=False))[1], gru=gru),
     [torch.tensor(INPUTS[row, :length]) for row, length in enumerate(LENGTHS)], {}),
    (Module(lambda m, x: m.lstm(x)[0], lstm=projected), INPUTS, {}),
    (nn.GRU(5, 4, num_layers=2, bidirectional=True), INPUTS, {}),
    (nn.LSTM(5, 4, num_layers=3, batch_first=True), (INPUTS, (torch.ones(3, 3, 4), torch.ones(3, 3, 4))), {}),
    (nn.GRU(5, 4, batch_first=True),
     rnn.pack_padded_sequence(torch.tensor(INPUTS), LENGTHS, batch_first=True, enforce_sorted=False), {}),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(("module", "given", "options"), AGREEING)
def test_what_does_not_mix_agrees(module: Any, given: Any, options: dict[str, Any]) -> None:
    found = rnncli.compare(given, module, alone=True, **options)
    assert found.agrees is True, str(found)
    assert [str(one.sides[1]) for one in found.found] == [KEPT]


@pytest.mark.parametrize("function", [packed, back_in_order])
@pytest.mark.parametrize("given", [(INPUTS, LENGTHS), {"x": INPUTS, "lengths": LENGTHS}])
def test_packed_sequences_without_and_with_their_padding(function: Any, given: Any) -> None:
    """Also where the module sorts them: what a layer returns is found by what it reads."""
    found = rnncli.compare(given, Module(function, gru=gru), alone=True)
    assert found.agrees is True, str(found)
    assert [str(one.sides[1]) for one in found.found] == SIDES


def test_a_layer_that_reads_the_sequences_as_time_is_said() -> None:
    found = rnncli.compare(INPUTS, Module(lambda m, x: m.gru(x)[0], gru=time_first), alone=True)
    said = "gru: axis 0 of the input is read as time, not as the sequences; "
    assert [text for text in map(str, found.remarks) if text.startswith(said)]
    with pytest.raises(UsageError, match="first two axes"):
        rnncli.compare(INPUTS, nn.GRU(5, 4), alone=True, input_axes="batch,features")
    with pytest.raises(UsageError, match="needs several sequences"):
        rnncli.compare(INPUTS[:1], nn.GRU(5, 4, batch_first=True), alone=True)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda m, x: m.gru(x.view(3, 6, 5))[0], "cannot be called with one sequence: shape '[3, 6, 5]' is"),
        (lambda m, x: (m.gru(x)[0], x.mean()), "output_1 (no axis of the sequences)"),
    ],
)
def test_what_cannot_be_compared_leaves_it_open(function: Any, said: str) -> None:
    found = rnncli.compare(INPUTS, Module(function, gru=gru), alone=True)
    assert found.agrees is None
    assert said in str(found.answer.conclusion)
    assert found.document()["agree"] is None


class Keeping(nn.Module):  # type: ignore[misc, name-defined]
    """It goes on from the state of its last call, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gru, self.sizes = gru(), list[int]()
        self.h: Any = None

    def forward(self, x: Any) -> Any:
        self.sizes.append(len(x))
        sizes.append(len(x))
        output, self.h = self.gru(x, self.h)
        return output


sizes: list[int] = []


def test_each_call_starts_from_the_same_states_which_are_put_back() -> None:
    sizes.clear()
    module = Keeping()
    assert rnncli.compare(INPUTS, module, alone=True).agrees is True
    assert sizes == [3, 1, 1, 1]
    assert module.h is None
    assert module.sizes == []
    kept = module(torch.tensor(INPUTS))[:, -1:].transpose(0, 1).detach()
    assert rnncli.compare(INPUTS, module, alone=True).agrees is None  # a state of three sequences
    assert torch.equal(module.h, kept)


def test_of_many_sequences_the_first_32_are_called() -> None:
    sizes.clear()
    inputs = np.random.default_rng(1).normal(size=(33, 6, 5)).astype("float32")
    found = rnncli.compare(inputs, Keeping(), alone=True)
    assert sizes == [33, *[1] * 32]
    assert str(found.remarks[-1]) == "Keeping (PyTorch) is called with each of the first 32 of 33 sequences"


def _keras_models() -> Any:
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers

    class Center(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x - keras.ops.mean(x, 0)

    def stack(*inner: Any, **options: Any) -> Any:
        return keras.Sequential([keras.Input(**{"shape": (None, 5), **options}), *inner])

    masked = INPUTS.copy()
    masked[1, 2:] = 0
    fixed: dict[str, Any] = {"batch_shape": (3, 6, 5), "shape": None}
    backwards = layers.LSTM(4, return_sequences=True, go_backwards=True)
    sequence = [layers.LSTM(4, return_sequences=True) for _ in range(4)]
    return [
        (stack(sequence[0], Center()), INPUTS, False, [KEPT]),
        (stack(sequence[1], layers.BatchNormalization(), layers.GRU(3)), INPUTS, True, [KEPT]),
        (stack(layers.Masking(), layers.Bidirectional(sequence[2]), layers.GRU(3)), masked, True, SIDES),
        (stack(layers.Masking(), backwards, layers.Dense(2)), masked, True, SIDES),
        (stack(layers.Masking(), sequence[3], layers.Conv1D(2, 3, padding="same")), masked, False, SIDES),
        (stack(layers.GRU(3, stateful=True), **fixed), INPUTS, None, []),
    ]


@pytest.mark.filterwarnings("ignore:Layer 'conv1d")
@pytest.mark.slow
def test_models_of_keras() -> None:
    pytest.importorskip("keras")
    for model, given, agrees, sides in _keras_models():
        found = rnncli.compare(given, model, alone=True)
        assert found.agrees is agrees, str(found)
        assert [str(one.sides[1]) for one in found.found] == sides
    assert "- Expected batch size" not in str(found.answer.conclusion)
    assert "If an RNN is stateful, the batch size of the input" in str(found.answer.conclusion)


@pytest.mark.slow
def test_the_mask_and_the_lengths_of_a_layer_are_cut_with_its_steps() -> None:
    keras = pytest.importorskip("keras")
    mask = np.array([[1] * 6, [0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 1]], bool)
    given: list[dict[str, Any]] = [{"mask": mask}, {"lengths": [6, 2, 4]}]
    for options in given:
        layer = keras.layers.LSTM(4, return_sequences=True)
        layer(INPUTS)
        found = rnncli.compare(INPUTS, layer, alone=True, **options)
        assert found.agrees is True, str(found)
        assert [str(one.sides[1]) for one in found.found] == SIDES
