"""Models as people write them, saved in their files: every recurrent tensor against the framework's own."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from zoo import torch_module

import rnncli

pytestmark = pytest.mark.usefixtures("files_are_read_here")

NEAR = 1e-5
RANDOM = np.random.default_rng(36)
IDS = torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, 5, 0, 0, 0], [3, 5, 8, 9, 0, 0]])
LENGTHS = torch.tensor([6, 3, 4])
X = torch.from_numpy(RANDOM.normal(size=(3, 6, 4)).astype("float32"))


def check_near(values: Any, expected: Any, what: str) -> None:
    expected = np.asarray(expected)
    assert values.shape == expected.shape, what
    np.testing.assert_allclose(values, expected, rtol=0, atol=NEAR, err_msg=what)


def packed_tagger() -> Any:
    """A tagger of words: sentences of different lengths are packed for two bidirectional layers."""

    def forward(self: Any, ids: Any, lengths: Any) -> Any:
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.tags(output)

    lstm = nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3)
    embedding = nn.Embedding(10, 5, padding_idx=0)
    return torch_module(forward, embedding=embedding, lstm=lstm, tags=nn.Linear(8, 3))


def sentiment() -> Any:
    """A classifier with time first, which reads the last states of a packed GRU."""

    def forward(self: Any, ids: Any, lengths: Any) -> Any:
        packed = pack_padded_sequence(self.embedding(ids.T), lengths, enforce_sorted=False)
        _, last = self.encoder["rnn"](packed)
        return self.head(torch.cat([last[-2], last[-1]], dim=1))

    encoder = nn.ModuleDict({"rnn": nn.GRU(5, 4, bidirectional=True)})
    head = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1))
    return torch_module(forward, embedding=nn.Embedding(10, 5, padding_idx=0), encoder=encoder, head=head)


def attention() -> Any:
    """From sequence to sequence: the decoder is a cell in a loop, which looks at the encoder's outputs."""

    def forward(self: Any, x: Any) -> Any:
        memory, last = self.encoder(x)
        state = torch.tanh(self.bridge(torch.cat([last[0], last[1]], dim=-1)))
        word, words = torch.zeros(len(x), 2), []
        for _ in range(4):
            scores = torch.einsum("btu,bu->bt", memory, self.decoder["score"](state))
            context = torch.einsum("bt,btu->bu", scores.softmax(-1), memory)
            state = self.decoder["cell"](torch.cat([word, context], dim=-1), state)
            word = self.out(state)
            words.append(word)
        return torch.stack(words, 1)

    decoder = nn.ModuleDict({"cell": nn.GRUCell(2 + 6, 5), "score": nn.Linear(5, 6)})
    encoder, bridge = nn.GRU(4, 3, batch_first=True, bidirectional=True), nn.Linear(6, 5)
    return torch_module(forward, encoder=encoder, bridge=bridge, decoder=decoder, out=nn.Linear(5, 2))


def residual() -> Any:
    """Layers in a list, each with a normalization and a shortcut."""

    def forward(self: Any, x: Any) -> Any:
        for layer in self.layers:
            x = x + layer["norm"](layer["rnn"](x)[0])
        return x

    layers = ({"rnn": nn.LSTM(4, 4, batch_first=True), "norm": nn.LayerNorm(4)} for _ in range(3))
    return torch_module(forward, layers=nn.ModuleList(map(nn.ModuleDict, layers)))


def characters() -> Any:
    """A model of characters that is called step by step; the caller keeps its states."""

    def forward(self: Any, x: Any, states: Any) -> Any:
        output, states = self.rnn(x, states)
        return self.out(output), states

    return torch_module(forward, rnn=nn.LSTM(4, 5, num_layers=2, batch_first=True), out=nn.Linear(5, 4))


def learned_start() -> Any:
    """An autoencoder whose decoder repeats a code; its first state is a parameter."""

    def forward(self: Any, x: Any) -> Any:
        _, code = self.encoder(x)
        start = self.h0.expand(-1, len(x), -1).contiguous()
        return self.decoder(code[0][:, None].expand(-1, x.shape[1], -1), start)[0]

    return torch_module(
        forward,
        encoder=nn.RNN(4, 3, nonlinearity="relu", batch_first=True),
        h0=nn.Parameter(torch.full((1, 1, 6), 0.25)),
        decoder=nn.GRU(3, 6, batch_first=True, bias=False),
    )


def cell_stack() -> Any:
    """Two cells in a loop by hand."""

    def forward(self: Any, x: Any) -> Any:
        states: list[Any] = [None, None]
        for step in x.unbind(1):
            for index, cell in enumerate(self.cells):
                states[index] = cell(step, states[index])
                step = states[index][0]
        return step

    return torch_module(forward, cells=nn.ModuleList([nn.LSTMCell(4, 3), nn.LSTMCell(3, 2)]))


class Heard(NamedTuple):
    """One call of a recurrent module.

    inputs: batch first.  lengths: of a packed sequence.  states: what it started from, or None.
    sequence, last: what it returned, batch first; `last` as PyTorch has it, hidden and perhaps cell.
    """

    inputs: Any
    lengths: list[int] | None
    states: tuple[Any, ...] | None
    sequence: Any
    last: tuple[Any, ...]


def listen(module: Any, *given: Any) -> dict[str, list[Heard]]:
    """Return every call of each recurrent module while the model runs."""
    calls: dict[str, list[Heard]] = {}

    def hear(name: str) -> Callable[..., None]:
        def hook(layer: Any, taken: Any, returned: Any) -> None:
            calls.setdefault(name, []).append(call_of(layer, taken, returned))

        return hook

    for name, layer in module.named_modules():
        if isinstance(layer, nn.RNNBase | nn.RNNCellBase):
            layer.register_forward_hook(hear(name))
    with torch.no_grad():
        module.eval()(*given)
    return calls


def call_of(layer: Any, taken: Any, returned: Any) -> Heard:
    x, states = taken[0], as_tuple(taken[1]) if len(taken) > 1 and taken[1] is not None else None
    if isinstance(layer, nn.RNNCellBase):
        last = as_tuple(returned)
        return Heard(x[:, None], None, states, last[0][:, None], last)
    sequence, lengths = returned[0], None
    if isinstance(x, PackedSequence):
        x, sizes = pad_packed_sequence(x, batch_first=True)
        sequence, lengths = pad_packed_sequence(sequence, batch_first=True)[0], sizes.tolist()
    elif not layer.batch_first:
        x, sequence = x.transpose(0, 1), sequence.transpose(0, 1)
    return Heard(x, lengths, states, sequence, as_tuple(returned[1]))


def as_tuple(states: Any) -> tuple[Any, ...]:
    return states if isinstance(states, tuple) else (states,)


def as_one_sequence(calls: list[Heard]) -> Heard:
    """Return the steps of a cell as one call."""
    inputs, sequence = (
        torch.cat([getattr(call, part) for call in calls], 1) for part in ("inputs", "sequence")
    )
    return Heard(inputs, None, calls[0].states, sequence, calls[-1].last)


def check_returned(result: Any, names: list[str], call: Heard) -> None:
    """Check the sequence of the last layer of a module, and the states of all its layers."""
    check_near(result[f"{names[-1]}/hidden_states"], call.sequence, names[-1])
    for part, states in zip(("hidden", "cell"), call.last, strict=False):
        rows = states if states.ndim == 3 else states[None]
        for index, values in enumerate(rows):
            layer, back = divmod(index, len(rows) // len(names))
            direction = ("forward_", "backward_")[back] if len(rows) > len(names) else ""
            check_near(result[f"{names[layer]}/{direction}last_{part}_state"], values, names[layer])


PREFIXES = {"Lightning": "model.", "DataParallel": "module."}
TORCH: dict[str, tuple[Callable[[], Any], tuple[Any, ...], Callable[[Any], Any]]] = {
    "packed tagger": (packed_tagger, (IDS, LENGTHS), lambda state: state),
    "classifier, time first": (sentiment, (IDS, LENGTHS), lambda state: {"model": state, "step": 7}),
    "attention": (attention, (X,), lambda state: state),
    "Lightning": (
        residual,
        (X,),
        lambda state: {
            "epoch": 3,
            "pytorch-lightning_version": "2.4.0",
            "state_dict": {f"model.{name}": tensor for name, tensor in state.items()},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(16, 4)}}, "param_groups": []}],
            "hyper_parameters": {"hidden": 4},
        },
    ),
    "DataParallel": (
        characters,
        (X, (torch.full((2, 3, 5), 0.5), torch.full((2, 3, 5), -0.5))),
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    ),
    "learned start": (learned_start, (X,), lambda state: state),
    "cells in a loop": (cell_stack, (X,), lambda state: state),
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH)
def test_a_checkpoint_of_pytorch(name: str, tmp_path: Path) -> None:
    """Each recurrent module gets what it got in the model: input, lengths and first states."""
    make, given, wrap = TORCH[name]
    prefix = PREFIXES.get(name, "")
    torch.manual_seed(len(name))
    module = make()
    torch.save(wrap(module.state_dict()), tmp_path / "model.pt")
    heard = listen(module, *given)
    assert len(heard) == sum(isinstance(layer, nn.RNNBase | nn.RNNCellBase) for layer in module.modules())
    for path, calls in heard.items():
        call = as_one_sequence(calls) if len(calls) > 1 else calls[0]
        layer = module.get_submodule(path)
        layers = getattr(layer, "num_layers", 1)
        names = [f"{prefix}{path}{f'_l{index}' if layers > 1 else ''}" for index in range(layers)]
        states = None if call.states is None else dict(zip(("h_0", "c_0"), call.states, strict=False))
        result = rnncli.run(
            call.inputs, model=f"{tmp_path / 'model.pt'}#{','.join(names)}", lengths=call.lengths,
            initial_state=states, return_sequences=True, return_state=True,
            assume="activation=relu" if getattr(layer, "nonlinearity", "") == "relu" else None,
        )  # fmt: skip
        check_returned(result, names, call)


EXPORTED = {
    "packed tagger": (packed_tagger, (IDS[[0, 2, 1]], LENGTHS[[0, 2, 1]])),  # the graph sorts by length
    "residual": (residual, (X,)),
    "attention": (attention, (X,)),
    "states by hand": (characters, (X, (torch.full((2, 3, 5), 0.5), torch.full((2, 3, 5), -0.5)))),
    "learned start": (learned_start, (X,)),
}


def export(module: Any, given: Any, path: Path, *, dynamo: bool) -> dict[str, Any]:
    """Save a model as ONNX; return its inputs by their names in the graph."""
    flat = [tensor for part in given for tensor in as_tuple(part)]
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(module, given, path, dynamo=dynamo, input_names=[f"x{i}" for i in range(len(flat))])
    return {f"x{i}": tensor.numpy() for i, tensor in enumerate(flat)}


@pytest.mark.parametrize("dynamo", [False, True], ids=["TorchScript", "dynamo"])
@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.slow
def test_an_export_of_pytorch(name: str, dynamo: bool, tmp_path: Path) -> None:
    if dynamo:
        pytest.importorskip("onnxscript")
        if name == "packed tagger":
            pytest.skip("torch.export cannot trace pad_packed_sequence")
    make, given = EXPORTED[name]
    torch.manual_seed(len(name))
    module = make().eval()
    inputs = export(module, given, tmp_path / "model.onnx", dynamo=dynamo)
    heard = listen(module, *given)
    result = rnncli.run(
        inputs, model=tmp_path / "model.onnx", return_sequences=True, return_state=True, check=True
    )
    names = result.keys()
    assert set(result.differences) == set(names)
    nodes = list(dict.fromkeys(name.rpartition("/")[0] for name in names))
    unrolled = (nn.RNNCellBase, nn.RNN) if dynamo else nn.RNNCellBase  # written as a node for each product
    for path, calls in heard.items():
        layer: Any = module.get_submodule(path)
        if not isinstance(layer, unrolled):
            check_returned(result, [nodes.pop(0) for _ in range(layer.num_layers)], calls[0])
    assert not nodes


def translator(k: Any) -> Any:
    """From sequence to sequence, with attention: the decoder starts from the encoder's last states."""
    layers = k.layers
    source, target = (k.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    read = layers.Embedding(10, 4, mask_zero=True)(source)
    memory, h, c = layers.LSTM(6, return_sequences=True, return_state=True, name="encoder")(read)
    heard = layers.Embedding(10, 4, mask_zero=True)(target)
    decoder = layers.LSTM(6, return_sequences=True, return_state=True, name="decoder")
    said, *_ = decoder(heard, initial_state=[h, c])
    both = layers.Concatenate()([said, layers.Attention()([said, memory])])
    words = layers.TimeDistributed(layers.Dense(10, activation="softmax"))(both)
    return k.Model([source, target], words), [IDS.numpy(), IDS.numpy()[:, 1:]]


def masked_tagger(k: Any) -> Any:
    layers = k.layers
    forward = layers.LSTM(3, return_sequences=True, recurrent_dropout=0.1)
    return k.Sequential([
        k.Input((None,), dtype="int32"), layers.Embedding(10, 4, mask_zero=True),
        layers.SpatialDropout1D(0.2), layers.Bidirectional(forward),
        layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode="sum"),
        layers.TimeDistributed(layers.Dense(4, activation="softmax")),
    ]), [IDS.numpy()]  # fmt: skip


def character_model(k: Any) -> Any:
    layers = k.layers
    return k.Sequential([
        k.Input(batch_shape=X.shape),
        layers.LSTM(5, return_sequences=True, stateful=True),
        layers.Dropout(0.2), layers.LSTM(4, stateful=True), layers.Dense(4, activation="softmax"),
    ]), [X.numpy()]  # fmt: skip


def documents(k: Any) -> Any:
    """A reader of sentences at every step of a reader of documents."""
    layers = k.layers
    words = k.Input((6,), dtype="int32")
    read = layers.Bidirectional(layers.GRU(3))(layers.Embedding(10, 4, mask_zero=True)(words))
    document = k.Input((3, 6), dtype="int32", name="document")
    sentences = layers.TimeDistributed(k.Model(words, read, name="sentence"), name="each")(document)
    return k.Model(document, layers.Dense(2)(layers.GRU(4)(sentences))), [IDS.numpy()[None]]


def pieces(k: Any) -> Any:
    layers = k.layers
    x = k.Input((3, 6, 4), name="x")
    each = layers.TimeDistributed(layers.LSTM(2), name="each")(x)
    return k.Model(x, layers.Dense(2)(layers.GRU(4)(each))), [X.numpy()[None]]


def siamese(k: Any) -> Any:
    """One layer reads two texts."""
    layers = k.layers
    words, reader = layers.Embedding(10, 4, mask_zero=True), layers.LSTM(4, name="reader")
    texts = [k.Input((None,), dtype="int32", name=name) for name in "ab"]
    first, second = (reader(words(text)) for text in texts)
    merged = layers.Concatenate()([layers.Subtract()([first, second]), layers.Multiply()([first, second])])
    return k.Model(texts, layers.Dense(1)(merged)), [IDS.numpy(), IDS.numpy()[::-1].copy()]


def autoencoder(k: Any) -> Any:
    """Two models in one."""
    layers = k.layers
    x, code = k.Input((6, 4)), k.Input((3,))
    encoder = k.Model(x, layers.LSTM(3, name="read")(layers.Masking()(x)), name="encoder")
    unfolded = layers.LSTM(4, return_sequences=True, name="write")(layers.RepeatVector(6)(code))
    decoder = k.Model(code, layers.TimeDistributed(layers.Dense(4))(unfolded), name="decoder")
    series = k.Input((6, 4), name="series")
    return k.Model(series, decoder(encoder(series))), [X.numpy() * (IDS.numpy() > 0)[..., None]]


def forecaster(k: Any) -> Any:
    """Two inputs, one of which gives the first state; a shortcut; a convolution before."""
    layers = k.layers
    past, place = k.Input((None, 4), name="past"), k.Input((2,), name="place")
    h = layers.Conv1D(4, 3, padding="causal", activation="relu")(
        layers.Normalization(mean=0.1, variance=2.0)(past)
    )
    start = layers.Dense(4, activation="tanh")(place)
    first = layers.GRU(4, return_sequences=True, reset_after=False)(h, initial_state=start)
    both = layers.LayerNormalization()(layers.Add()([h, first]))
    second = layers.GRU(4, return_sequences=True, go_backwards=True)(both)
    out = layers.Dense(1)(layers.GlobalAveragePooling1D()(second))
    return k.Model([past, place], out), [X.numpy(), X.numpy()[:, 0, :2]]


def cells(k: Any) -> Any:
    layers = k.layers
    x = k.Input((None, 4), name="x")
    stack = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True)(x)
    both = layers.Bidirectional(layers.LSTM(2), backward_layer=layers.GRU(2, go_backwards=True))(stack)
    return k.Model(x, both), [X.numpy()]


KERAS = (
    translator, masked_tagger, character_model, documents, pieces, siamese, autoencoder, forecaster, cells,
)  # fmt: skip


def layers_in(model: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models in it."""
    for layer in model.layers:
        yield from layers_in(layer) if hasattr(layer, "layers") else [layer]


def listen_to_layers(model: Any, given: list[Any]) -> dict[str, list[list[Any]]]:
    """Return what every call of each layer returns, by the layer's name, while the model runs."""
    calls: dict[str, list[list[Any]]] = {}

    def hear(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def heard(*given: Any, **options: Any) -> Any:
            returned = call(*given, **options)
            tensors = returned if isinstance(returned, list | tuple) else [returned]
            calls.setdefault(layer.name, []).append([np.asarray(tensor) for tensor in tensors])
            return returned

        return heard

    for layer in layers_in(model):
        layer.call = hear(layer, layer.call)
    model(given if len(given) > 1 else given[0])
    return calls


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("make", KERAS)
@pytest.mark.slow
def test_a_file_of_keras(make: Callable[[Any], Any], suffix: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(3)
    model, given = make(keras)
    model.save(tmp_path / f"model.{suffix}")
    inputs = dict(zip((tensor.name for tensor in model.inputs), given, strict=True))
    result = rnncli.run(
        inputs if len(given) > 1 else given[0], model=tmp_path / f"model.{suffix}", all_layers=True
    )
    names, calls = result.keys(), listen_to_layers(model, given)
    uses = list(dict.fromkeys(name.rpartition("/")[0] for name in names))
    for use in uses:
        tensors = [result[name] for name in names if name.rpartition("/")[0] == use]
        uncompared = calls[use.rpartition("/")[2].partition("@")[0]]
        distances = [np.abs(call[0] - tensors[0]).max() for call in uncompared]
        call = uncompared.pop(int(np.argmin(distances)))  # Keras calls a shared layer in an order of its own
        for values, expected in zip(tensors, call, strict=True):
            check_near(values, expected, use)
    shown = {use.rpartition("/")[2].partition("@")[0] for use in uses}
    assert {layer.name for layer in layers_in(model) if hasattr(layer, "return_sequences")} <= shown
