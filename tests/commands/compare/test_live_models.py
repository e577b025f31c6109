"""`rnncli.compare(x, a, b)` of live objects, files and described layers, and each sequence alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli
from rnncli import compute
from rnncli.errors import UsageError
from rnncli.layers.case import Case

torch = pytest.importorskip("torch")

INPUTS = np.random.default_rng(0).normal(size=(3, 6, 5)).astype("float32")


class Network(torch.nn.Module):  # type: ignore[misc, name-defined]
    """An encoder, a decoder and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.GRU(5, 4, batch_first=True)
        self.decoder = torch.nn.LSTM(4, 3, batch_first=True)
        self.head = torch.nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.decoder(self.encoder(x)[0])[0][:, -1])


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return Network().eval()


def test_two_modules_part_where_one_weight_differs(network: Any) -> None:
    other = Network().eval()
    other.load_state_dict(network.state_dict())
    same = rnncli.compare(INPUTS, network, other)
    assert same
    assert [one.sides for one in same.found] == [(name, name) for name in ("encoder", "decoder", "output")]
    assert "the models return exactly the same numbers" in str(same)
    with torch.no_grad():
        other.decoder.weight_hh_l0[1, 2] += 0.5
    found = rnncli.compare(INPUTS, network, other)
    assert not found
    assert [one.agrees for one in found.found] == [True, False, False]
    assert found.found[1].step == 1  # at the first step the state is 0
    assert "the models part at decoder, decoder, from time step 1 on" in str(found)


@pytest.mark.slow
def test_a_module_beside_its_state_dict(network: Any, tmp_path: Path) -> None:
    """The file does not say what the decoder reads: it reads what it gets in the module."""
    torch.save(network.state_dict(), tmp_path / "m.pt")
    for pair in ((network, str(tmp_path / "m.pt")), (str(tmp_path / "m.pt"), network)):
        found = rnncli.compare(INPUTS, *pair)
        assert found, str(found)
        assert [one.sides for one in found.found] == [("encoder", "encoder"), ("decoder", "decoder")]


@pytest.mark.slow
def test_a_module_beside_the_keras_model_that_it_became(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    layers = [keras.layers.LSTM(4, return_sequences=True, name="lstm"), keras.layers.Dense(2, name="head")]
    model = keras.Sequential([keras.Input((6, 5)), *layers])
    model.save(tmp_path / "m.keras")

    class Ported(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.LSTM(5, 4, batch_first=True)
            self.out = torch.nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.rnn(x)[0])

    module, lstm, head = Ported().eval(), *(layer.get_weights() for layer in model.layers)
    state = {
        "weight_ih_l0": lstm[0].T,
        "weight_hh_l0": lstm[1].T,
        "bias_ih_l0": lstm[2],
        "bias_hh_l0": 0 * lstm[2],
    }
    module.rnn.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    module.out.load_state_dict({"weight": torch.tensor(head[0].T), "bias": torch.tensor(head[1])})
    for other in (model, str(tmp_path / "m.keras")):
        for pair in ((module, other), (other, module)):
            found = rnncli.compare(INPUTS, *pair)
            assert found, str(found)
            assert len(found.found) == 2
    assert rnncli.compare(torch.from_numpy(INPUTS), module, model)


@pytest.mark.slow
def test_each_layer_is_computed_once(network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a layer that feeds another, of which the model wants less than is compared."""
    keras = pytest.importorskip("keras")
    lstm, last = keras.layers.LSTM(4, return_sequences=True), keras.layers.GRU(3)
    model = keras.Sequential([keras.Input((6, 5)), lstm, last, keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    torch.save(network.state_dict(), tmp_path / "m.pt")
    computed: list[str] = []
    run = compute.run

    def count(case: Case, *args: Any, **options: Any) -> Any:
        computed.append(case.stack[-1].class_name)
        return run(case, *args, **options)

    monkeypatch.setattr(compute, "run", count)
    for first, second in ((model, "m.keras"), (network, "m.pt")):
        computed.clear()
        assert rnncli.compare(INPUTS, first, str(tmp_path / second))
        assert len(computed) == 4


def test_sequences_of_a_module_alone(network: Any) -> None:
    found = rnncli.compare(INPUTS, network, alone=True)
    assert found
    assert found.found[0].absolute < 1e-6
    packed = rnncli.compare(INPUTS, torch.nn.GRU(5, 3, batch_first=True), alone=True, lengths=[6, 2, 4])
    assert packed
    assert len(packed.found) == 2


class States(torch.nn.Module):  # type: ignore[misc, name-defined]
    """It returns what its layer returns: the sequence, and h_n of (layers, batch, units)."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = torch.nn.GRU(5, 4, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.gru(x)


def test_the_layers_of_h_n_are_no_time_steps() -> None:
    """Neither are the axes of an output that only its module could name; the layer's own are known."""
    torch.manual_seed(0)
    first, second = States().eval(), States().eval()
    found = rnncli.compare(INPUTS, first, second)
    assert [(one.name, one.step) for one in found.found] == [
        ("gru/hidden_states", 0), ("output_0", None), ("output_1", None),
    ]  # fmt: skip
    states = second(torch.tensor(INPUTS))[1].detach().numpy()
    stored = rnncli.compare(INPUTS, first, all_layers=True, expect={"output_1": states})
    assert [(one.name, one.agrees, one.step) for one in stored.found] == [("output_1", False, None)]


def test_a_module_beside_a_described_layer() -> None:
    assert not rnncli.compare(INPUTS, torch.nn.GRU(5, 3, batch_first=True), "GRU(3)")


nn = torch.nn
rnn = torch.nn.utils.rnn

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
    (Module(lambda m, x: m.lstm(x)[0], lstm=lambda: nn.LSTM(5, 4, proj_size=2, batch_first=True)),
     INPUTS, {}),
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


@pytest.mark.parametrize(("function", "said"), [
    (lambda m, x: m.gru(x.view(3, 6, 5))[0], "cannot be called with one sequence: shape '[3, 6, 5]' is"),
    (lambda m, x: (m.gru(x)[0], x.mean()), "output_1 (no axis of the sequences)"),
])  # fmt: skip
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
