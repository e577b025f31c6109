"""The summary of a whole model, held to what its framework says of it: shapes, masks and parameters."""

import json
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
import pytest
import random_models
import torch
from command import Run, loaded_by
from looks import check_looks
from oracle import keras, make_layers
from plain_layers import ONE_INPUT, SEQUENCE, SEVERAL

from rnncli import shape as shape_of
from rnncli.ask import Ask
from rnncli.commands.shape import shape
from rnncli.models.summary import PASSED, STARTS, THROUGH, LayerRow, Summary
from rnncli.show.page import View

k = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")


def summary_of(path: Path, **given: Any) -> Summary:
    answer = shape(Ask(model=str(path), stdin=False, **given)).answer
    found: Summary = answer.summary  # type: ignore[union-attr]
    return found


def rows_of(path: Path) -> dict[str, LayerRow]:
    return {row.name: row for row in summary_of(path).layers}


def sizes(tensor: Any) -> tuple[Any, ...]:
    """The sizes of a tensor of Keras: the batch axis is called batch here, other free axes have no size."""
    return tuple("batch" if axis == 0 and size is None else size for axis, size in enumerate(tensor.shape))


def outputs(layer: Any) -> list[Any]:
    return list(keras.tree.flatten(layer.output))


def used_once(model: Any) -> Iterator[Any]:
    """The layers of a model that are called once, and are no models or inputs."""
    for layer in model.layers:
        if len(layer._inbound_nodes) == 1 and not isinstance(layer, (keras.Model, k.InputLayer)):
            yield layer


def check_layers(model: Any, path: Path) -> None:
    """Compare every layer with Keras: the shapes and the masks of its outputs, and its parameters."""
    summary, rows = summary_of(path), rows_of(path)
    assert summary.parameters == model.count_params()
    trained = sum(np.prod(weight.shape, dtype=int) for weight in model.trainable_weights)
    assert summary.trainable_parameters == trained
    assert [row.shape for row in summary.outputs or ()] == [sizes(tensor) for tensor in model.outputs]
    for layer in used_once(model):
        row, tensors = rows[layer.name], outputs(layer)
        assert [made.shape for made in row.outputs] == [sizes(tensor) for tensor in tensors], layer.name
        assert row.parameters == layer.count_params(), layer.name
        has_mask = getattr(tensors[0], "_keras_mask", None) is not None
        assert (row.mask in (STARTS, THROUGH, PASSED)) == has_mask, (layer.name, row.mask)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokens = keras.Input((12,), name="tokens", dtype="int64")
    hidden = k.Embedding(100, 8, mask_zero=True, name="embedding")(tokens)
    hidden = k.Bidirectional(k.LSTM(6, return_sequences=True), name="bi")(hidden)
    scores = k.Dense(3, name="head")(k.GRU(5, name="gru")(hidden))
    path = tmp_path_factory.mktemp("tagger") / "tagger.keras"
    keras.Model(tokens, scores, name="tagger").save(path)
    return path


def settle(text: str) -> str:
    """Without the version of Keras."""
    return text.replace(keras.__version__, "VERSION")


OPTIMIZERS: Mapping[str, Any] = {
    "adam": keras.optimizers.Adam,
    "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "averages": lambda: keras.optimizers.Adam(amsgrad=True, use_ema=True),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.RMSprop()),
}


class TestKeras:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.slow
    def test_random_models_have_the_shapes_masks_and_counts_of_keras(self, seed: int, tmp_path: Path) -> None:
        model = random_models.Maker(seed).model(8)
        for suffix in (".keras", ".h5"):
            model.save(tmp_path / f"m{suffix}")
            check_layers(model, tmp_path / f"m{suffix}")

    @pytest.mark.slow
    def test_every_known_layer_has_its_shape_with_a_free_number_of_steps(self, tmp_path: Path) -> None:
        """As the last layers of a file of Keras 2's format, which has the shape of no output."""
        given = keras.Input((None, SEQUENCE[2])), keras.Input((None, SEQUENCE[2]))
        made = []
        for expression, ranks in ONE_INPUT.items():
            try:
                if SEQUENCE in ranks:
                    made.append(make_layers(expression)[0](given[0]))
            except (ValueError, TypeError):  # needs to know the number of steps
                continue
        made += [make_layers(expression)[0]([*given]) for expression in SEVERAL]
        assert len(made) > 80
        model = keras.Model(given, made)
        for suffix in (".keras", ".h5"):
            model.save(tmp_path / f"m{suffix}")
            check_layers(model, tmp_path / f"m{suffix}")

    @pytest.mark.usefixtures("files_are_read_here")
    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.parametrize("name", list(OPTIMIZERS))
    @pytest.mark.slow
    def test_the_parameters_of_the_optimizer_are_counted_as_in_its_summary(
        self, name: str, suffix: str, tmp_path: Path, rnncli: Run
    ) -> None:
        given = keras.Input((4, 3))
        model = keras.Model(given, k.Dense(1, name="dense")(k.LSTM(2, name="lstm")(given)))
        model.compile(OPTIMIZERS[name](), loss=keras.losses.MeanSquaredError())
        path = tmp_path / f"m{suffix}"
        model.save(path)
        assert summary_of(path).optimizer_parameters == 0  # no step was made
        model.run_eagerly = True  # nothing is traced for a single step
        model.fit(np.zeros((2, 4, 3)), np.zeros((2, 1)), verbose=0)
        texts: list[str] = []
        model.summary(print_fn=texts.append)
        (said,) = re.findall(r"Optimizer params: ([\d,]+)", texts[0])
        model.save(path)
        assert shape_of(model).document()["optimizer_parameters"] == int(said)
        assert summary_of(path).optimizer_parameters == int(said)
        document = json.loads(rnncli("shape", "--model", str(path), "-f", "json").stdout)
        assert document["optimizer_parameters"] == int(said)
        assert document["parameters"] == model.count_params() == 51
        for form in ("table", "markdown", "html", "csv"):
            shown = rnncli("shape", "--model", str(path), "-f", form).stdout
            assert re.search(rf"optimizer parameters(\W|</?\w+[^>]*>)+{said}\b", shown), shown
        of_a_layer = rnncli("shape", "--model", f"{path}#dense", "-f", "json").stdout
        assert "optimizer_parameters" not in json.loads(of_a_layer)

    @pytest.mark.slow
    def test_an_optimizer_without_variables_and_one_that_is_broken(self, tmp_path: Path) -> None:
        given = keras.Input((4, 3))
        model = keras.Model(given, k.LSTM(2)(given))
        model.compile(keras.optimizers.SGD(), loss=keras.losses.MeanSquaredError())
        model.run_eagerly = True
        model.fit(np.zeros((2, 4, 3)), np.zeros((2, 2)), verbose=0)
        model.save(tmp_path / "m.keras")
        assert summary_of(tmp_path / "m.keras").optimizer_parameters == 2  # its counter and learning rate
        model.save(tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "a") as file:
            del file["optimizer_weights"]
            file["optimizer_weights"] = h5py.SoftLink("/nowhere")
        assert summary_of(tmp_path / "m.h5").parameters == model.count_params()

    @pytest.mark.slow
    def test_images_and_volumes(self, tmp_path: Path) -> None:
        for rank in (4, 5):
            pairs = [(name, shapes[0]) for name, shapes in ONE_INPUT.items() if len(shapes[0]) == rank]
            given = keras.Input(pairs[0][1][1:])
            made = [make_layers(expression)[0](given) for expression, _ in pairs]
            keras.Model(given, made).save(tmp_path / "m.h5")
            check_layers(keras.Model(given, made), tmp_path / "m.h5")

    @pytest.mark.slow
    def test_layers_that_rnncli_does_not_compute_are_listed(self, tmp_path: Path) -> None:
        class Own(keras.layers.Layer):  # type: ignore[misc]
            def call(self, x: Any) -> Any:
                return x[:, 1:]

        given = keras.Input((9, 4))
        hidden = k.Lambda(lambda x: x * 2, name="lambda")(given)
        hidden = k.MultiHeadAttention(2, 3, name="heads")(hidden, hidden)
        hidden = k.LSTM(5, return_sequences=True, name="lstm")(Own(name="own")(hidden))
        model = keras.Model(given, k.Lambda(lambda x: x + 1, name="last")(hidden))
        model.save(tmp_path / "m.keras")
        rows = rows_of(tmp_path / "m.keras")
        for layer in model.layers[1:-1]:
            assert [row.shape for row in rows[layer.name].outputs] == [sizes(layer.output)], layer.name
        assert rows["last"].outputs[0].shape is None  # nothing in the file says so
        assert summary_of(tmp_path / "m.keras").parameters == model.count_params()

    @pytest.mark.slow
    def test_half_precision_text_and_frozen_layers(self, tmp_path: Path) -> None:
        text = k.TextVectorization(output_sequence_length=7, vocabulary=["a", "b"], name="text")
        given = keras.Input((), dtype="string")
        hidden = k.Embedding(4, 3, mask_zero=True, name="embedding", trainable=False)(text(given))
        hidden = k.LSTM(5, dtype="mixed_float16", return_sequences=True, name="lstm")(hidden)
        keras.Model(given, k.BatchNormalization(name="norm")(hidden)).save(tmp_path / "m.keras")
        rows = rows_of(tmp_path / "m.keras")
        assert [rows[name].outputs[0].shape for name in ("embedding", "lstm", "norm")] == [
            ("batch", 7, 3), ("batch", 7, 5), ("batch", 7, 5),
        ]  # fmt: skip
        assert [row.name for row in rows["lstm"].states] == ["hidden", "cell"]
        assert rows["lstm"].gates == ("input", "forget", "candidate", "output")
        assert rows["lstm"].outputs[0].dtype == "float16"
        assert rows["norm"].outputs[0].dtype == "float32"
        assert rows["embedding"].trainable == 0
        assert rows["norm"].trainable == 10

    @pytest.mark.slow
    def test_shared_and_nested_layers_are_counted_once(self, tmp_path: Path) -> None:
        shared = k.GRU(4, return_sequences=True, name="gru")
        inner = keras.Sequential([keras.Input((5, 4)), shared, k.LSTM(3, name="deep")], name="inside")
        first, second = keras.Input((5, 4)), keras.Input((5, 4))
        model = keras.Model([first, second], [inner(first), inner(second), shared(first)])
        model.save(tmp_path / "m.keras")
        summary = summary_of(tmp_path / "m.keras")
        assert summary.parameters == model.count_params()
        assert {"inside/deep", "inside/deep@1"} <= {row.name for row in summary.layers}

    @pytest.mark.slow
    def test_a_subclassed_model_has_the_layers_of_its_file(self, tmp_path: Path, rnncli: Run) -> None:
        class Net(keras.Model):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.encoder = k.LSTM(4)

            def call(self, x: Any) -> Any:
                return self.encoder(x)

        net = Net()
        net(np.zeros((1, 2, 3), "float32"))
        net.save(tmp_path / "net.keras")
        answer = rnncli("shape", "--model", str(tmp_path / "net.keras"), "-f", "json")
        assert answer.answer()["parameters"] == net.count_params()
        assert "the graph was not followed" in answer.stderr

    @pytest.mark.slow
    def test_a_recurrent_layer_without_an_input_is_listed(self, tagger: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tagger) as stored:
            files = {name: stored.read(name) for name in stored.namelist()}
        config = json.loads(files["config.json"])
        config["config"]["layers"][-2]["inbound_nodes"][0]["args"][0] = {}
        files["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as changed:
            for name, data in files.items():
                changed.writestr(name, data)
        assert rows_of(tmp_path / "m.keras")["gru"].parameters == 285

    def test_masks_start_are_used_and_stop(self, tagger: Path) -> None:
        masks = {name: row.mask for name, row in rows_of(tagger).items()}
        assert masks == {"embedding": "starts here", "bi": "used, passed on", "gru": "used", "head": ""}

    @pytest.mark.slow
    def test_an_input_gives_the_free_sizes(self, tmp_path: Path) -> None:
        given = keras.Input((None, 3))
        hidden = k.Conv1D(4, 3, strides=2, name="conv")(given)
        keras.Model(given, k.LSTM(2, return_sequences=True, name="lstm")(hidden)).save(tmp_path / "m.keras")
        free = rows_of(tmp_path / "m.keras")["lstm"]
        known = summary_of(tmp_path / "m.keras", input=np.zeros((6, 11, 3), "float32")).layers[-1]
        named = summary_of(tmp_path / "m.keras", input_shape="n,11,3").layers[-1]
        assert free.outputs[0].shape == ("batch", None, 2)
        assert named.outputs[0].shape == ("n", 5, 2)
        assert known.outputs[0].shape == (6, 5, 2)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(100, 8)
        self.rnn = torch.nn.LSTM(8, 6, 2, bidirectional=True, batch_first=True)
        self.norm = torch.nn.BatchNorm1d(12)
        self.head = torch.nn.Linear(12, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(self.embedding(tokens))
        scores: torch.Tensor = self.head(self.norm(states[:, -1]))
        return scores


class TestPyTorch:
    def test_the_parameters_of_a_state_dict_are_those_of_the_module(self, tmp_path: Path) -> None:
        net = Net()
        torch.save(net.state_dict(), tmp_path / "net.pt")
        summary = summary_of(tmp_path / "net.pt")
        assert summary.parameters == sum(parameter.numel() for parameter in net.parameters())
        assert summary.recurrent_parameters == sum(weight.numel() for weight in net.rnn.parameters())
        rows = {row.name: row.parameters for row in summary.layers}
        assert rows["embedding"] == 800
        assert rows["norm"] == 24
        assert summary.layers[1].inputs == ("rnn_l0",)
        assert summary.layers[1].outputs[0].shape == ("batch", "timesteps", 12)

    @pytest.mark.parametrize("batch_first", [True, False])
    @pytest.mark.parametrize("module", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
    @pytest.mark.slow
    def test_what_a_module_returns(self, module: Any, batch_first: bool, tmp_path: Path, rnncli: Any) -> None:
        rnn = module(5, 3, num_layers=2, bidirectional=True, batch_first=batch_first)
        torch.save(rnn.state_dict(), tmp_path / "rnn.pt")
        axes = (4, 2) if batch_first else (2, 4)
        output, states = rnn(torch.zeros(*axes, 5))
        returned = [output, *(states if isinstance(states, tuple) else [states])]
        wanted = dict(zip(("output", "h_n", "c_n"), (tuple(made.shape) for made in returned), strict=False))
        given = ("--input-shape", ",".join(map(str, (*axes, 5))), "--assume", f"batch_first={batch_first}")
        flags = ("shape", "--model", str(tmp_path / "rnn.pt"), *given)
        (row,) = json.loads(rnncli(*flags, "-f", "json").stdout)["modules"]
        assert {tensor["name"]: tuple(tensor["shape"]) for tensor in row["returns"]} == wanted
        assert f"output {wanted['output']}" in rnncli(*flags).stdout
        for x in (None, torch.zeros(*axes, 5)):
            (live,) = shape_of(x, rnn).found.modules
            named = dict(zip(("batch", "timesteps"), axes if batch_first else axes[::-1], strict=True))
            assert {
                tensor.name: tuple(named.get(size, size) for size in tensor.shape) for tensor in live.returns
            } == wanted

    @pytest.mark.slow
    def test_of_one_layer_a_note_says_what_its_module_returns(self, tmp_path: Path, rnncli: Any) -> None:
        net = torch.nn.ModuleDict({"a": torch.nn.LSTM(5, 3), "b": torch.nn.GRU(5, 3, 2)})
        torch.save(net.state_dict(), tmp_path / "net.pt")
        note = "a: PyTorch returns output (batch, timesteps, 3), h_n (1, batch, 3), c_n (1, batch, 3)"
        assert note in rnncli("shape", "--model", f"{tmp_path / 'net.pt'}#a").stderr
        assert "PyTorch returns" not in rnncli("shape", "--model", f"{tmp_path / 'net.pt'}#b_l1").stderr

    def test_nothing_is_said_of_a_cell_or_of_its_own_forward(self, tmp_path: Path, rnncli: Any) -> None:
        class Last(torch.nn.GRU):
            def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
                last: torch.Tensor = super().forward(x)[1][-1]
                return last

        torch.save(torch.nn.LSTMCell(5, 3).state_dict(), tmp_path / "cell.pt")
        assert "PyTorch returns" not in rnncli("shape", "--model", str(tmp_path / "cell.pt")).stdout
        for module in (torch.nn.LSTMCell(5, 3), Last(5, 3)):
            assert "PyTorch returns" not in str(shape_of(None, module))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    axes = {"tokens": {0: "batch", 1: "time"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Net().eval(), (torch.zeros(2, 7, dtype=torch.long),), path, dynamo=False,
            input_names=["tokens"], output_names=["scores"], dynamic_axes=axes,
        )  # fmt: skip
    return path


class TestOnnx:
    @pytest.mark.slow
    def test_every_shape_is_the_one_that_onnx_runtime_returns(self, exported: Path) -> None:
        import onnx

        model, batch, time = onnx.load(exported), 3, 5
        names = [name for node in model.graph.node for name in node.output if name]
        known = {value.name for value in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        arrays = dict(zip(
            [entry.name for entry in session.get_outputs()],
            session.run(None, {"tokens": np.zeros((batch, time), np.int64)}), strict=True,
        ))  # fmt: skip
        bound: Mapping[Any, int] = {"batch": batch, "time": time}
        made = [row for layer in summary_of(exported).layers for row in layer.outputs]
        assert {row.name for row in made} == {*names}
        for row in made:
            assert row.shape is not None
            assert tuple(bound.get(size, size) for size in row.shape) == arrays[row.name].shape
            assert row.dtype == str(arrays[row.name].dtype)

    def test_parameters_and_attributes(self, exported: Path) -> None:
        summary = summary_of(exported)
        folded = 24  # Linear and BatchNorm of inference are not parameters of recurrent layers
        assert summary.recurrent_parameters == sum(weight.numel() for weight in Net().rnn.parameters())
        assert summary.parameters >= sum(p.numel() for p in Net().parameters()) - folded
        nodes = [row for row in summary.layers if row.recurrent]
        assert [row.attributes for row in nodes] == [{"direction": "bidirectional", "hidden_size": 6}] * 2
        assert [len(row.states) for row in nodes] == [4, 4]


class TestAnswer:
    @pytest.mark.slow
    def test_looks(self, tagger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tagger.parent)
        answer = shape(Ask(model=tagger.name, stdin=False), explain=True).answer
        check_looks("shape", "model", answer, ("json", "csv", "markdown"), settle)

    def test_one_layer_is_shown_as_a_described_layer(self, tagger: Path, rnncli: Run) -> None:
        given = ("--input-shape", "batch,12,12", "-f", "json")
        described = rnncli("shape", "-l", "GRU(5)", *given)
        answer = rnncli("shape", "--model", f"{tagger}#gru", "-f", "json")
        keys = ("weights", "parameters", "outputs")
        assert all(json.loads(answer.stdout)[key] == json.loads(described.stdout)[key] for key in keys)

    @pytest.mark.slow
    def test_no_engine_is_loaded(self, tagger: Path, exported: Path) -> None:
        for path in (tagger, exported):
            loaded = loaded_by("shape", "--model", str(path))
            assert not {"tensorflow", "keras", "torch", "onnxruntime"} & loaded

    def test_a_size_that_does_not_fit_is_an_error(self, tagger: Path, rnncli: Run) -> None:
        answer = rnncli("shape", "--model", str(tagger), "--input-shape", "4,13").refusal()
        assert "Give axis 1 the size 12, not 13" in answer

    def test_an_unknown_layer_is_an_error(self, tagger: Path, rnncli: Run) -> None:
        answer = rnncli("shape", "--model", f"{tagger}#gur").refusal()
        assert "there is no layer 'gur'" in answer
        assert "gru" in answer

    @pytest.mark.slow
    def test_every_formula_gives_its_count(self, tagger: Path, exported: Path) -> None:
        for path in (tagger, exported):
            answer = shape(Ask(model=str(path), stdin=False), explain=True).answer
            layers = answer.document(View())["layers"]
            for weight in [weight for layer in layers for weight in layer["weights"]]:
                factors, _, total = weight["formula"].partition(" = ")
                numbers = [int(word.split()[0]) for word in factors.split(" x ")]
                assert np.prod(numbers) == weight["parameters"]
                assert not total or int(total.replace(",", "")) == weight["parameters"]


class TestPython:
    @pytest.mark.slow
    def test_a_file_is_summarized_as_on_the_command_line(self, tagger: Path, rnncli: Run) -> None:
        report = shape_of(model=tagger)
        assert report.parameters == keras.saving.load_model(tagger).count_params()
        assert str(report) == rnncli("shape", "--model", str(tagger)).stdout.rstrip("\n")
        assert "starts here" in report._repr_html_()

    def test_the_parameters_of_described_layers(self) -> None:
        layer = keras.layers.GRU(5)
        layer.build((None, None, 8))
        assert shape_of(layer="GRU(5)", input_shape=(None, None, 8)).parameters == layer.count_params()
        assert shape_of(layer="GRU(5)", input_shape=(None, None, None)).parameters is None
        assert "x 3 gates x 5 units" in str(shape_of(layer="GRU(5)", explain=True))
