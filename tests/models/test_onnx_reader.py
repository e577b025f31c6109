"""ONNX files: what is in them, data in other files, and files that are broken, hostile or without an end."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphs
import pytest
from command import Run
from limits import PATIENCE, processor_time
from onnx import TensorProto, helper, numpy_helper

import rnncli as api
from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.models.graph import Program
from rnncli.models.onnx import reader as onnx_reader
from rnncli.models.onnx import runtime
from rnncli.models.reading import read


def read_bytes(content: bytes) -> Program:
    found = read(Source("model.onnx", content))
    assert isinstance(found, Program)
    return found


def random_lstm(**attributes: Any) -> Any:
    arrays = onnx_graphs.weights(np.random.default_rng(0), "LSTM", 3, 2)
    return onnx_graphs.single("LSTM", {**arrays, "X": np.ones((4, 1, 3), np.float32)}, **attributes)[0]


def test_origin_and_nodes(tmp_path: Path) -> None:
    """ONNX packs the gates input, output, forget, candidate; Keras input, forget, candidate, output."""
    kernel = np.repeat(np.arange(4.0), 2).astype(np.float32).reshape(1, 8, 1)
    arrays = {**onnx_graphs.weights(np.random.default_rng(0), "LSTM", 1, 2), "W": kernel}
    made, _ = onnx_graphs.single("LSTM", {**arrays, "X": np.ones((2, 1, 1), np.float32)})
    made.producer_name, made.producer_version = "maker", "1.2"
    quantized = helper.make_node("DynamicQuantizeLSTM", ["X"], ["Z"], name="q", domain="com.microsoft")
    made.graph.node.append(quantized)
    onnx.save(made, tmp_path / "model.dat")  # recognized by its content
    found = read(Source("model.dat", path=tmp_path / "model.dat"))
    assert isinstance(found, Program)
    assert (found.kind, found.origin) == ("onnx", "maker 1.2, ONNX opset 14")
    assert found.notes == ("q (com.microsoft DynamicQuantizeLSTM) is recurrent and not shown.",)
    node = found.nodes[0]
    assert (node.name, node.class_name, node.config["units"]) == ("rnn", "LSTM", 2)
    shapes = {name: array.shape for name, array in node.weights.items()}
    assert shapes == {"kernel": (1, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
    assert node.weights["kernel"].tolist() == [[0, 0, 2, 2, 3, 3, 1, 1]]


def test_node_without_a_name_is_called_after_its_output_and_names_are_unique() -> None:
    arrays = {"X": 1, **onnx_graphs.weights(np.random.default_rng(0), "GRU", 3, 3)}
    nodes = [
        onnx_graphs.node("GRU", arrays, name="", outputs=["first"]),
        onnx_graphs.node("GRU", arrays, name="same", outputs=["second"]),
        onnx_graphs.node("GRU", arrays, name="same", outputs=["third"]),
    ]
    constants = {name: arrays[name] for name in "WRB"}
    made = onnx_graphs.model(nodes, {"X": np.ones((2, 1, 3), np.float32)}, constants, ["third"])
    assert [node.name for node in read_bytes(made.SerializeToString()).nodes] == ["first", "same", "same_1"]


def test_weights_that_other_nodes_make_of_constants_are_read() -> None:
    arrays = onnx_graphs.weights(np.random.default_rng(0), "GRU", 3, 2)
    own = onnx_graphs.node("GRU", {**arrays, "X": 1})
    own.input[1], own.input[2] = "turned", "joined"
    halves = np.split(arrays["R"], 3, axis=1)
    constants = {"K": arrays["W"].swapaxes(1, 2), "B": arrays["B"]}
    constants |= {f"R{place}": half for place, half in enumerate(halves)}
    nodes = [
        helper.make_node("Transpose", ["K"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["R0", "R1", "R2"], ["joined"], axis=1),
        own,
    ]
    made = onnx_graphs.model(nodes, {"X": np.ones((2, 1, 3), np.float32)}, constants, ["Y"])
    node = read_bytes(made.SerializeToString()).nodes[-1]
    np.testing.assert_array_equal(node.weights["kernel"], arrays["W"][0].T)
    np.testing.assert_array_equal(node.weights["recurrent_kernel"], arrays["R"][0].T)


def test_nodes_in_functions_are_written_out() -> None:
    own = helper.make_node("RNN", ["X", "W", "R"], ["Y"], name="inner", hidden_size=2)
    opset = helper.make_opsetid("", 14)
    function = helper.make_function("local", "Step", ["X", "W", "R"], ["Y"], [own], [opset])
    call = helper.make_node("Step", ["X", "W", "R"], ["Y"], name="call", domain="local")
    arrays = onnx_graphs.weights(np.random.default_rng(0), "RNN", 3, 2)
    constants = {name: arrays[name] for name in "WR"}
    made = onnx_graphs.model([call], {"X": np.ones((2, 1, 3), np.float32)}, constants, ["Y"])
    made.opset_import.append(helper.make_opsetid("local", 1))
    made.functions.append(function)
    (node,) = (node for node in read_bytes(made.SerializeToString()).nodes if node.class_name == "SimpleRNN")
    assert node.weights["kernel"].shape == (3, 2)


def with_external(folder: Path, location: str, **said: int) -> Source:
    """A model whose W lies in another file."""
    made = random_lstm()
    tensor = next(one for one in made.graph.initializer if one.name == "W")
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **said}.items():
        tensor.external_data.add(key=key, value=str(value))
    (folder / "data.bin").write_bytes(b"1234" + content)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    return Source("model.onnx", path=folder / "model.onnx")


@pytest.mark.parametrize("location", ["data.bin", "./sub/data.bin"])
def test_data_in_another_file_is_read(tmp_path: Path, location: str) -> None:
    """And nothing but the numbers: the file goes on for a tebibyte of holes."""
    source = with_external(tmp_path, location, offset=4, length=96)
    (tmp_path / "sub").mkdir()
    (tmp_path / "data.bin").rename(tmp_path / location)
    with (tmp_path / location).open("r+b") as file:
        file.truncate(2**40)
    found, whole = read(source), read_bytes(random_lstm().SerializeToString())
    assert isinstance(found, Program)
    np.testing.assert_array_equal(found.nodes[0].weights["kernel"], whole.nodes[0].weights["kernel"])
    assert found.notes == (f"weights were also read from {location}.",)
    assert len(found.content) < 2000
    assert not onnx.load_from_string(found.content).graph.initializer[0].external_data


@pytest.mark.parametrize(("location", "said"), [
    ("../data.bin", "W is in a file outside of the model's folder."),
    ("/etc/hostname", "W is in a file outside of the model's folder."),
    ("", "W is in a file outside of the model's folder."),
    ("link.bin", "W is in link.bin, which is a link or in a linked folder."),
    ("linked/data.bin", "W is in linked/data.bin, which is a link or in a linked folder."),
    ("sub/.ssh/id_rsa", "W is in sub/.ssh/id_rsa, which is a hidden file or in a hidden folder."),
    (".data.bin", "W is in .data.bin, which is a hidden file or in a hidden folder."),
    ("sub", "W is not in sub, which is missing or too short."),
    ("pipe", "W is not in pipe, which is missing or too short."),
    ("x" * 300, f"W is not in {'x' * 300}, which is missing or too short."),
    ("*/_ORT_MEM_ADDR_/*", "W is not in */_ORT_MEM_ADDR_/*, which is missing or too short."),
])  # fmt: skip
def test_data_in_no_plain_file_below_the_model_is_refused(tmp_path: Path, location: str, said: str) -> None:
    folder = tmp_path / "model"
    (folder / "sub" / ".ssh").mkdir(parents=True)
    for place in (tmp_path / "data.bin", folder / "sub" / ".ssh" / "id_rsa", folder / ".data.bin"):
        place.write_bytes(bytes(200))
    (folder / "link.bin").symlink_to(tmp_path / "data.bin")
    (folder / "linked").symlink_to("sub")
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError) as caught:
        read(with_external(folder, location, offset=4))
    assert caught.value.sentence == said


MISSING = "W is not in data.bin, which is missing or too short."


@pytest.mark.parametrize(("given", "said"), [
    ({"offset": 8, "length": 96}, MISSING),
    ({"offset": 8}, MISSING),
    ({"offset": 2**40}, MISSING),
    *(
        ({"length": length}, f"W has {length} bytes in data.bin, but its shape and type need 96.")
        for length in (0, 95, 97, 100, 2**40, -1, 10**30)
    ),
])  # fmt: skip
def test_data_that_is_not_in_the_file_is_refused(tmp_path: Path, given: dict[str, int], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(with_external(tmp_path, "data.bin", **given))
    assert caught.value.sentence == said


def test_a_tensor_larger_than_any_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = with_external(tmp_path, "data.bin", offset=4)
    monkeypatch.setattr(onnx_reader, "MAX_BYTES", 95)
    with pytest.raises(InputError, match=r"with its external data it has more than 2 GiB\.\nExport only"):
        read(source)
    made = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    made.graph.initializer[0].dims[:] = [2**40, 2**40]
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(InputError, match="which is missing or too short"):
        read(source)


@pytest.mark.parametrize("place", ["sparse initializer", "sparse attribute", "function", "default"])
def test_no_tensor_keeps_a_reference_to_a_file(tmp_path: Path, place: str) -> None:
    """ONNX Runtime would read the file, wherever it is."""
    tensor = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/hostname")
    sparse = onnx.SparseTensorProto(values=tensor, dims=[4])
    made = random_lstm()
    function = helper.make_function("local", "F", [], ["y"], [], [helper.make_opsetid("", 14)])
    if place == "sparse initializer":
        made.graph.sparse_initializer.append(sparse)
    elif place == "sparse attribute":
        made.graph.node[0].attribute.add(
            name="a", sparse_tensor=sparse, type=onnx.AttributeProto.SPARSE_TENSOR
        )
    elif place == "function":
        function.node.append(helper.make_node("Constant", [], ["y"], value=tensor))
    else:
        function.attribute_proto.add(name="a", t=tensor, type=onnx.AttributeProto.TENSOR)
    made.functions.append(function)
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(InputError, match="outside of the model's folder"):
        read(Source("model.onnx", path=path))


def field(number: int, content: bytes) -> bytes:
    """A field of a message."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


HEAD, OPSET = b"\x08\x08", field(8, b"\x10\x0e")


def nested(depth: int) -> bytes:
    content = b"\x0a\x00"
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return content


def sized() -> bytes:
    """A tensor of 2 to the 60 numbers with one number in it."""
    huge = b"\x08" + b"\x80" * 5 + b"\x01"
    tensor = huge + huge + b"\x10\x01" + field(8, b"W") + field(9, b"abcd")
    node = helper.make_node("GRU", ["X", "W", "W"], ["Y"], hidden_size=3).SerializeToString()
    return field(1, node) + field(5, tensor)


@pytest.mark.parametrize(
    "graph",
    [b"\x0a\x00" * 1_000_000, b"\x2a\x00" * 4_000_000, nested(3000), nested(20), sized(), b"", b"\xff"],
)
@pytest.mark.slow
def test_hostile_graph_is_refused_quickly(graph: bytes) -> None:
    with processor_time(10), pytest.raises(InputError):
        read_bytes(HEAD + field(7, graph) + OPSET)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_file_is_read_or_refused(seed: int) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(random_lstm(direction="reverse", clip=0.5).SerializeToString())
    if seed % 3 == 0:
        del content[int(random.integers(1, len(content))) :]
    for _ in range(int(random.integers(1, 5))):
        content[int(random.integers(len(content)))] = int(random.integers(256))
    with suppress(InputError):
        assert read_bytes(bytes(content)).content


@pytest.mark.slow
def test_constants_that_double_are_left_alone() -> None:
    """Forty doublings of a tensor would be a tebibyte."""
    doublings = [helper.make_node("Concat", [f"a{k}"] * 2, [f"a{k + 1}"], axis=2) for k in range(40)]
    own = helper.make_node("GRU", ["X", "a40", "a40"], ["Y"], name="gru", hidden_size=3)
    made = onnx_graphs.model([*doublings, own], {"X": np.ones((2, 1, 3), np.float32)}, {}, ["Y"])
    made.graph.initializer.append(numpy_helper.from_array(np.ones((1, 9, 1), np.float32), "a0"))
    node = read_bytes(made.SerializeToString()).nodes[-1]
    assert node.config["units"] == 3
    assert not node.weights


FEEDS = {"x": np.ones((5, 2, 4), np.float32)}
ARRAYS = onnx_graphs.weights(np.random.default_rng(0), "GRU", 4, 3)
OWN = helper.make_opsetid("local", 1)
OPSETS = [helper.make_opsetid("", 17), OWN]


def gru() -> Any:
    return onnx_graphs.node("GRU", {**ARRAYS, "X": 1}, name="gru")


def endless() -> Any:
    """A Loop that adds 1 to the input, 2**62 times."""
    values: list[Any] = [
        ("i", TensorProto.INT64, []),
        ("go", TensorProto.BOOL, []),
        ("sum", TensorProto.FLOAT, None),
    ]
    ends: list[Any] = [("going", TensorProto.BOOL, []), ("next", TensorProto.FLOAT, None)]
    nodes = [
        helper.make_node("Identity", ["go"], ["going"]),
        helper.make_node("Add", ["sum", "one"], ["next"]),
    ]
    inputs, outputs = ([helper.make_tensor_value_info(*one) for one in some] for some in (values, ends))
    body = helper.make_graph(
        nodes, "body", inputs, outputs, [numpy_helper.from_array(np.array(1, np.float32), "one")]
    )
    loop = helper.make_node("Loop", ["count", "true", "x"], ["X"], name="loop", body=body)
    constants = {**ARRAYS, "count": np.array(2**62), "true": np.array(True)}
    return onnx_graphs.model([loop, gru()], FEEDS, constants, ["Y"])


def doubling(levels: int, last: Any) -> Any:
    """Functions of which each calls the next one twice."""
    made = onnx_graphs.model(
        [helper.make_node("F0", ["x"], ["X"], domain="local"), gru()], FEEDS, ARRAYS, ["Y"], opset=17
    )
    made.opset_import.append(OWN)
    for level in range(levels):
        name = f"F{level + 1}"
        calls = [helper.make_node(name, [a], [b], domain="local") for a, b in ("ab", "bc")]
        made.functions.append(helper.make_function("local", f"F{level}", ["a"], ["c"], calls, OPSETS))
    made.functions.append(helper.make_function("local", f"F{levels}", ["a"], ["c"], last, OPSETS))
    return made


def plain(levels: int) -> Any:
    return doubling(levels, [helper.make_node("Neg", ["a"], ["c"])])


def recurrent(levels: int) -> Any:
    """Their last function has a recurrent node, so that they are written out while the file is read."""
    constants = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
        for name, array in onnx_graphs.weights(np.random.default_rng(0), "RNN", 4, 4).items()
    ]
    zero = helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array([1])))
    rnn = helper.make_node("RNN", ["a", "W", "R"], ["y"], hidden_size=4)
    squeeze = helper.make_node("Squeeze", ["y", "zero"], ["c"])
    return doubling(levels, [*constants, zero, rnn, squeeze])


def save_bytes(folder: Path, made: Any) -> str:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return str(path)


@pytest.mark.parametrize(("make", "said"), [
    (endless, "the model has not finished after 1 s (RNNCLI_SECONDS="),
    (lambda: plain(40), "ONNX Runtime cannot load the model: "),
    (lambda: recurrent(40), "its functions cannot be written out ("),
    (lambda: recurrent(10), "its functions cannot be written out (its graph is too large ("),
])  # fmt: skip
@pytest.mark.slow
def test_a_model_without_an_end_is_refused(
    make: Callable[[], Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "SECONDS", 0.6)
    monkeypatch.setattr(onnx_reader, "SECONDS", 0.6)
    path, threads = save_bytes(tmp_path, make()), threading.active_count()
    with processor_time(10), pytest.raises(InputError) as caught:
        api.run(FEEDS, model=path)
    assert said in caught.value.what
    assert caught.value.advice
    until = time.monotonic() + PATIENCE
    while threading.active_count() > threads:
        assert time.monotonic() < until, "a thread goes on"
        time.sleep(0.05)


@pytest.mark.parametrize("make", [plain, recurrent])
@pytest.mark.slow
def test_functions_that_call_each_other_are_computed(make: Callable[[int], Any], tmp_path: Path) -> None:
    assert np.isfinite(api.run(FEEDS, model=save_bytes(tmp_path, make(3)))["gru/hidden_states"]).all()


@pytest.mark.parametrize(("allowed", "seconds"), [("2", 2), ("many", 1), ("nan", 1)])
@pytest.mark.slow
def test_more_time_set(allowed: str, seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SECONDS", 0.6)
    monkeypatch.setenv("RNNCLI_SECONDS", allowed)
    with pytest.raises(InputError, match=f"the model has not finished after {seconds} s"):
        api.run(FEEDS, model=save_bytes(tmp_path, endless()))


def test_functions_that_call_themselves_are_refused(tmp_path: Path) -> None:
    made = plain(1)
    made.functions[1].node[0].op_type, made.functions[1].node[0].domain = "F0", "local"
    with processor_time(10), pytest.raises(InputError):
        api.run(FEEDS, model=save_bytes(tmp_path, made))


def test_weights_that_take_long_to_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_reader, "SECONDS", 0.0)
    monkeypatch.setattr(onnx_reader, "SPEED", float("inf"))
    turned = helper.make_node("Transpose", ["K"], ["W"], perm=[0, 2, 1])
    constants = {"K": ARRAYS["W"].swapaxes(1, 2), "R": ARRAYS["R"], "B": ARRAYS["B"]}
    made = onnx_graphs.model([turned, gru()], {"X": FEEDS["x"]}, constants, ["Y"])
    with pytest.raises(InputError, match=r"computing its weights took too long \(RNNCLI_SECONDS="):
        read(Source("model.onnx", made.SerializeToString()))


@pytest.mark.slow
def test_weights_that_fill_the_memory() -> None:
    """A tensor of 2**26 numbers, a hundred times in one."""
    doublings = [helper.make_node("Concat", [f"a{k}"] * 2, [f"a{k + 1}"], axis=2) for k in range(22)]
    doublings.append(helper.make_node("Concat", ["a22"] * 100, ["W"], axis=2))
    made = onnx_graphs.model([*doublings, gru()], {"X": FEEDS["x"]}, {"R": ARRAYS["R"]}, ["Y"])
    made.graph.initializer.append(numpy_helper.from_array(np.ones((1, 9, 1), np.float32), "a0"))
    with processor_time(10), pytest.raises(InputError):
        read(Source("model.onnx", made.SerializeToString()))


@pytest.mark.parametrize("place", ["data.bin", "hard.bin", "link.bin"])
def test_the_output_does_not_replace_external_data(rnncli: Run, tmp_path: Path, place: str) -> None:
    made = onnx_graphs.model([gru()], {"X": FEEDS["x"]}, ARRAYS, ["Y"])
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="data.bin", size_threshold=0)
    os.link(tmp_path / "data.bin", tmp_path / "hard.bin")
    (tmp_path / "link.bin").symlink_to("data.bin")
    before = (tmp_path / "data.bin").read_bytes()
    words = ("run", "[[[1, 2, 3, 4]]]", "--model", "m.onnx", "-f", "json")
    said = rnncli(*words, "-o", place, cwd=tmp_path).refusal()
    assert f"{place}: it is an input of this command and would be overwritten." in said
    assert (tmp_path / "data.bin").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4
    done = rnncli(*words, "-o", "new.bin", cwd=tmp_path).success()
    assert "m.onnx: weights were also read from data.bin." in done.stderr
