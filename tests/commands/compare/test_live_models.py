"""`rnncli.compare(x, a, b)` of live objects, files and described layers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli
from rnncli import compute
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
