"""An input that does not fit a live object is refused in rnncli's words, before its framework fails."""

import re
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import rnncli
from rnncli.errors import InputError, UsageError

X = np.linspace(-1, 1, 60, dtype=np.float32).reshape(3, 5, 4)
RAGGED: Any = [X[0], X[1, :3]]
TEXT = np.array([["a", "b"]], object)


def of_torch(kind: Any = nn.GRU, **options: Any) -> Any:
    return kind(4, 2, batch_first=True, **options)


@pytest.fixture(scope="module")
def gru() -> Any:
    layer = keras.layers.GRU(2)
    layer(X)
    return layer


@pytest.fixture(scope="module")
def lstm() -> Any:
    layer = keras.layers.LSTM(2, return_sequences=True)
    layer(X)
    return layer


@pytest.fixture(scope="module")
def model() -> Any:
    return keras.Sequential([keras.Input((None, 4)), keras.layers.LSTM(3), keras.layers.Dense(2)])


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (X, {"lengths": [5, 3]}, "2 lengths given for 3 sequences"),
    (X, {"lengths": [5]}, "1 length given for 3 sequences"),
    (X, {"lengths": [5, 3, 9]}, "lengths has 9, but the input has 5 time steps"),
    (X[:0], {}, "gets an empty input"),
    (X[:, :0], {}, "gets an empty input"),
    (RAGGED, {}, "Pad them to one length(.|\n)*lengths="),
    ([X[0].tolist(), X[1, :3].tolist()], {}, "Pad them to one length"),
]
MASKS: list[tuple[Any, dict[str, Any], str]] = [
    (X, {"mask": np.ones(shape, bool)}, rf"the mask is {re.escape(str(shape))}, but the input is \(3, 5, 4\)")
    for shape in [(3, 4), (3,), (5, 3), (3, 1), (3, 5, 1), (3, 5, 4)]
]
MASKS.append((X, {"mask": np.full((3, 5), 2)}, r"mask\[0\]\[0\] is 2"))
LAYERS_ALONE: list[tuple[Any, dict[str, Any], str]] = [
    *MASKS,
    (X, {"initial_state": {"hidden": np.zeros((3, 2))}}, "there is no state 'hidden'"),
    (X, {"initial_state": [np.zeros((2, 7))]}, r"GRU starts from .*; got .*7\)"),
    (X, {"initial_state": [np.zeros((3, 2))] * 2}, r"GRU starts from"),
]


@pytest.mark.parametrize(("given", "keywords", "says"), [*WRONG, *LAYERS_ALONE])
@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_of_a_layer(framework: str, given: Any, keywords: Any, says: str, gru: Any) -> None:
    for call in (rnncli.run, rnncli.trace):
        with pytest.raises((InputError, UsageError), match=says):
            call(given, gru if framework == "keras" else of_torch(), **keywords)


class Tagger(nn.Module):
    """A module with a `forward` of its own.  fails: what it does if its layer fails."""

    def __init__(self, features: int = 4, fails: Any = None) -> None:
        super().__init__()
        self.gru = nn.GRU(features, 2, batch_first=True)
        self.fails = fails

    def forward(self, x: Any, lengths: Any = None) -> Any:
        try:
            return self.gru(x)
        except RuntimeError as error:
            if self.fails is None:
                raise
            return self.fails(x, error)


@pytest.mark.parametrize(("given", "keywords", "says"), WRONG[:3])
def test_lengths_for_a_forward_of_ones_own(given: Any, keywords: Any, says: str) -> None:
    module = Tagger()
    with pytest.raises(InputError, match=says):
        rnncli.run(given, module, **keywords)
    time_first = Tagger()
    time_first.gru.batch_first = False
    assert rnncli.run(X.swapaxes(0, 1), time_first, lengths=[5, 3, 2]).agrees
    with pytest.raises(InputError, match="lengths has 6, but the input has 5 time steps"):
        rnncli.run(X.swapaxes(0, 1), time_first, lengths=[6, 3, 2])


@pytest.mark.parametrize(("module", "given", "says"), [
    (nn.LSTM(5, 2, batch_first=True), X, r"LSTM takes an input of (batch, timesteps, 5), and got (3, 5, 4)."),
    (nn.RNN(5, 2), X, "RNN takes an input of (timesteps, batch, 5), and got (3, 5, 4)."),
    (nn.GRU(4, 2), X[None], "GRU takes an input of (timesteps, batch, 4), and got (1, 3, 5, 4)."),
    (nn.LSTMCell(5, 2), X[:, 0], "LSTMCell takes an input of (batch, 5), and got (3, 4)."),
    (Tagger(5), X, "gru takes an input of (batch, timesteps, 5), and got (3, 5, 4)."),
])  # fmt: skip
def test_an_input_that_a_layer_of_torch_does_not_take(module: Any, given: Any, says: str) -> None:
    with pytest.raises(InputError) as raised:
        rnncli.run(given, module)
    assert str(raised.value).startswith(says)
    assert isinstance(raised.value.__cause__, (RuntimeError, ValueError))  # what PyTorch said
    assert "forward" not in vars(module)


def test_a_packed_input_that_a_layer_of_torch_does_not_take() -> None:
    with pytest.raises(
        InputError, match=r"LSTM takes an input of \(batch, timesteps, 5\), and got \(3, 5, 4\)"
    ):
        rnncli.run(X, nn.LSTM(5, 2, batch_first=True), lengths=[3, 5, 2])


def test_errors_of_ones_own_are_kept() -> None:
    def fail(x: Any, error: Exception) -> Any:
        raise ValueError("my own check") from error

    with pytest.raises(ValueError, match="my own check"):
        rnncli.run(X, Tagger(5, fail))
    spare = nn.GRU(4, 2, batch_first=True)
    module = Tagger(5, lambda x, error: spare(x))  # which catches what PyTorch raises
    module.spare = spare
    assert rnncli.run(X, module).agrees

    class Wrong(nn.GRU):
        def forward(self, *given: Any) -> Any:
            raise RuntimeError("of a forward of one's own")

    with pytest.raises(RuntimeError, match="of a forward of one's own"):
        rnncli.run(X, Wrong(5, 2))


@pytest.mark.parametrize(("given", "keywords", "says"), [*WRONG, *MASKS])
def test_of_a_model_of_keras(given: Any, keywords: Any, says: str, model: Any) -> None:
    with pytest.raises((InputError, UsageError), match=says):
        rnncli.run(given, model, **keywords)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_states_of_an_lstm_and_of_cells() -> None:
    h = np.full((3, 2), 0.5, np.float32)
    with pytest.raises(InputError, match=r"LSTM starts from \(1, 3, 2\), \(1, 3, 2\); got"):
        rnncli.run(X, of_torch(nn.LSTM), initial_state=[h])
    with pytest.raises(InputError, match=r"GRUCell starts from \(3, 2\); got \(4, 2\)"):
        rnncli.run(X[:, 0], nn.GRUCell(4, 2), initial_state=[np.zeros((4, 2))])
    deep = of_torch(nn.LSTM, num_layers=2, bidirectional=True, proj_size=1)
    states = [np.full((4, 3, units), 0.5, np.float32) for units in (1, 2)]
    assert rnncli.run(X, deep, initial_state=states).agrees is None
    ordered = [states[kind][row] for row in range(4) for kind in range(2)]
    assert rnncli.run(X, deep, initial_state=ordered).agrees is None
    assert rnncli.run(X, of_torch(nn.LSTM, bidirectional=True), initial_state=[h] * 4).agrees


@pytest.mark.slow
def test_states_by_name_in_any_order(lstm: Any) -> None:
    h, c = np.full((3, 2), 0.5, np.float32), np.full((3, 2), -0.25, np.float32)
    for layer in (lstm, of_torch(nn.LSTM), nn.LSTMCell(4, 2)):
        given = X[:, 0] if isinstance(layer, nn.LSTMCell) else X
        wanted = rnncli.run(given, layer, initial_state=[h, c])[0]
        by_name = {"last_cell_state": c, "last_hidden_state": h}
        np.testing.assert_array_equal(rnncli.run(given, layer, initial_state=by_name)[0], wanted)
    torch_names = {"c_0": c[None], "h_0": h[None]}
    layer = of_torch(nn.LSTM)
    wanted = rnncli.run(X, layer, initial_state=[h, c])[0]
    np.testing.assert_array_equal(rnncli.run(X, layer, initial_state=torch_names)[0], wanted)
    deep, rows = of_torch(nn.LSTM, num_layers=2), [h, c, c, h]
    names = [f"lstm_l{index}/last_{kind}_state" for index in (0, 1) for kind in ("hidden", "cell")]
    by_name = dict(reversed([*zip(names, rows, strict=True)]))
    np.testing.assert_array_equal(
        rnncli.run(X, deep, initial_state=by_name)[0], rnncli.run(X, deep, initial_state=rows)[0]
    )


@pytest.mark.slow
def test_a_mask_of_all_sequences(lstm: Any, model: Any) -> None:
    steps = np.arange(5) < 3
    for layer in (lstm, model, of_torch(nn.LSTM)):
        wanted = rnncli.run(X, layer, mask=np.array([steps] * 3))
        for mask in (steps, steps[None]):
            np.testing.assert_array_equal(rnncli.run(X, layer, mask=mask)[0], wanted[0])
        assert rnncli.compare(X, layer, alone=True, mask=steps).agrees


@pytest.mark.parametrize("batch_first", [True, False])
def test_lengths_are_of_the_sequences(batch_first: bool) -> None:
    layer = nn.GRU(4, 2, batch_first=batch_first)
    found = rnncli.run(X if batch_first else X.swapaxes(0, 1), layer, lengths=[5, 2, 3])
    assert found.agrees
    assert not found["hidden_states"][1, 2:].any()
    assert found["hidden_states"].shape == (3, 5, 2)


def test_a_list_of_sequences_is_one_array(model: Any) -> None:
    for subject in (model, of_torch()):
        np.testing.assert_array_equal(rnncli.run([*X], subject)[0], rnncli.run(X, subject)[0])


def test_text_is_no_input_of_a_module() -> None:
    with pytest.raises(InputError, match="PyTorch has no tensor"):
        rnncli.run(TEXT, of_torch())


def test_shapes_of_an_input_that_the_model_refuses(model: Any, gru: Any) -> None:
    for subject in (model, gru):
        with pytest.raises(InputError, match=r"the model expects \(.*4\), float32; got shape \(3, 5, 2\)"):
            rnncli.shape(X[..., :2], subject)
        with pytest.raises(InputError, match="Give an array of 3 axes"):
            rnncli.shape(X[0], subject)
        assert rnncli.shape(X, subject).parameters == subject.count_params()
    assert rnncli.shape(X[:, :2], gru)


def test_lengths_belong_to_a_batch_of_padded_sequences() -> None:
    packed = nn.utils.rnn.pack_padded_sequence(torch.tensor(X), [5, 3, 2], batch_first=True)
    for given in (packed, X[0]):
        with pytest.raises(UsageError, match="lengths: the input is not a batch of padded sequences"):
            rnncli.run(given, of_torch(), lengths=[5, 3, 2])
    with pytest.raises(InputError, match="no sequence whose steps are all masked"):
        rnncli.run(X, of_torch(), mask=np.zeros((3, 5), bool))
