"""Text that nobody means: any words, names that are not text, too deep, too long, or half a number."""

import contextlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from command import Completed, Run
from hypothesis import example, given
from hypothesis import strategies as st

from rnncli.cli import app
from rnncli.cli.flags import load

INPUT = "[[[0.5, -1.0], [2.0, 0.25]]]"


def check_refusal(done: Completed) -> str:
    """What was said of it, after one plain message."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2000
    assert done.stderr.count("\n") < 20
    return done.stderr


def objects(depth: int) -> str:
    return '{"a": ' * depth + "1" + "}" * depth


class TestDepth:
    @pytest.mark.parametrize("depth", [300, 3000])
    @pytest.mark.parametrize("flag", ["INPUT", "--mask", "--initial-state", "--weights", "--layer"])
    def test_is_limited_where_json_is_read(self, rnncli: Run, tmp_path: Path, flag: str, depth: int) -> None:
        file = tmp_path / "deep.json"
        file.write_text(objects(depth))
        words = [str(file)] if flag == "INPUT" else [INPUT, flag, f"{'@' * (flag == '--layer')}{file}"]
        said = check_refusal(rnncli("run", *words))
        assert "deep.json: line 1, column 385: it is nested more than 64 levels deep." in said

    @pytest.mark.slow
    def test_is_limited_in_a_saved_model(self, rnncli: Run, tmp_path: Path) -> None:
        weights = io.BytesIO()
        h5py.File(weights, "w").close()
        with zipfile.ZipFile(tmp_path / "deep.keras", "w") as held:
            held.writestr("config.json", objects(900))
            held.writestr("metadata.json", "{}")
            held.writestr("model.weights.h5", weights.getvalue())
        for words in (["run", INPUT, "--model"], ["weights"]):
            assert "nested too deeply" in check_refusal(rnncli(*words, str(tmp_path / "deep.keras")))

    def test_is_limited_in_an_initializer(self, rnncli: Run) -> None:
        config = json.loads('{"class_name": "Constant", "config": {"value": 1}}')
        text = json.dumps(config).replace("1}", "[" * 300 + "1" + "]" * 300 + "}")
        assert "nested too deeply" in check_refusal(rnncli("run", INPUT, "--kernel-initializer", text))

    def test_ends_no_stream(self, rnncli: Run) -> None:
        lines = f"{INPUT}\n{objects(900)}\n{'[' * 980}{']' * 980}\n{INPUT}\n"
        done = rnncli("run", "--stream", "--keep-going", "-f", "ndjson", input=lines)
        assert done.returncode == 1
        assert len(done.stdout.splitlines()) == 2
        assert "line 2, column 385: it is nested more" in done.stderr
        assert "line 3, column 65: it is nested more" in done.stderr


class TestPaths:
    @pytest.mark.parametrize("word", ["INPUT", "--mask", "--weights", "--layer", "--output"])
    @pytest.mark.parametrize("name", ["loop.json", "~nosuch/x.json", "a" * 5000 + ".json", "x.json/"])
    def test_that_lead_nowhere(self, rnncli: Run, tmp_path: Path, word: str, name: str) -> None:
        (tmp_path / "loop.json").symlink_to("loop.json")
        at = "@" * (word == "--layer") + name
        words = [name] if word == "INPUT" else [INPUT, word, at]
        check_refusal(rnncli("run", *words, cwd=tmp_path))
        assert [file.name for file in tmp_path.iterdir()] == ["loop.json"]

    @pytest.mark.parametrize("words", [
        ["run", "?.npy"], ["run", "?.keras"], ["run", "--model", "?.keras"], ["run", "--mask", "?.json"],
        ["run", "--weights", "?.h5"], ["run", "--initial-state", "?.json"], ["run", "--expect", "?.json"],
        ["run", "-l", "@?.json"], ["run", "-l", "@?.toml"], ["run", "-o", "?/a.json"], ["weights", "?.keras"],
        ["weights", "?.pt"], ["plot", "-o", "?.xyz"], ["compare", "--expect", "?.npz"],
        ["run", "--kernel-initializer", "?"],
        ["port", "x.npy", "--weights", "?.npz", "--expect", "y.npy"],
        ["run", "x", "y", "?"], ["run", "--?"], ["run", "--hold", "?"], ["run", "--activation", "?"],
        ["explain", "?"], ["export", "--to", "?"], ["weights", "?.npz#?"],
    ])  # fmt: skip
    def test_that_break_lines_are_shown_in_one(self, rnncli: Run, tmp_path: Path, words: list[str]) -> None:
        done = rnncli(*(word.replace("?", "a\n\x1b[31mb\u202e") for word in words), cwd=tmp_path)
        assert "a\\n\\x1b[31mb\\u202e" in check_refusal(done)
        assert len(done.stderr.splitlines()) <= 2

    @pytest.mark.parametrize("format", ["npz", "json"])
    def test_the_null_device_takes_everything(self, rnncli: Run, format: str) -> None:
        done = rnncli("run", INPUT, "--seed", "1", "-f", format, "-o", "/dev/null")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_what_cannot_be_read_is_not_called_incomplete(self, rnncli: Run, tmp_path: Path) -> None:
        for word in (str(tmp_path), str(tmp_path / "none.json"), "/proc/self/mem"):
            assert "not complete" not in check_refusal(rnncli("run", word))

    def test_a_format_that_the_suffix_does_not_mean(self, rnncli: Run, tmp_path: Path) -> None:
        done = rnncli("run", INPUT, "-f", "json", "-o", str(tmp_path / "o.csv"))
        assert (done.returncode, "o.csv: --format json overrides the suffix" in done.stderr) == (0, True)
        done = rnncli("run", INPUT, "-f", "json", "-o", str(tmp_path / "o.log"))
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("sign", [" ", "x", "\n", "[", "\x1b", "가"])
def test_a_message_stays_short_whatever_it_quotes(rnncli: Run, tmp_path: Path, sign: str) -> None:
    long = sign * (100_000 // len(sign.encode()))
    for words in (
        [f"x{long}"],
        [INPUT, "--layer", f"LSTM({long}"],
        [INPUT, f"--{long}"],
        [INPUT, "--select", long],
    ):
        check_refusal(rnncli("run", *words))
    file = tmp_path / "long.json"
    file.write_text(json.dumps({"inputs": [[1]], f"k{long}": 1}))
    check_refusal(rnncli("run", str(file)))
    file.write_text(json.dumps({"inputs": [[1]], "layer": f"LSTM(3, {long})"}))
    check_refusal(rnncli("run", str(file)))


class TestMadeShapes:
    @pytest.mark.parametrize(("shape", "said"), [
        ("900000000", "1,900000000,1 is a series of one feature"),
        ("60", "1,60,1 is a series of one feature, 1,1,60 one time step."),
        ("900,1000,100,10", "has 4 axes, but this layer needs 3"),
        ("1,900000000,2", "of memory"),
        ("40000,40000", ""),
    ])  # fmt: skip
    def test_are_refused_before_a_number_is_drawn(self, shell: Run, shape: str, said: str) -> None:
        done = shell(
            f"ulimit -v 2500000; rnncli run --input-shape {shape} --layer 'LSTM(300)' --engine numpy"
        )
        assert said in check_refusal(done)

    def test_two_sizes_may_mean_two_things(self, rnncli: Run) -> None:
        said = rnncli("run", "--input-shape", "1,60").stderr
        assert "(1, 60) -> (1, 1, 60); for one feature in (1, 60, 1), write --input-shape 1,60,1" in said
        assert "note" not in rnncli("run", "--input-shape", "1,60,1").stderr


INLINE = "[[[1.0, 2.0]]]"
LONE = "a\ud800"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PyTorch file with such a layer, and an ONNX file with such a name."""
    import onnx_graphs

    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("names")
    tensors = {"weight_ih_l0": torch.ones(12, 2), "weight_hh_l0": torch.ones(12, 3)}
    tensors |= {name: torch.ones(12) for name in ("bias_ih_l0", "bias_hh_l0")}
    torch.save({f"{LONE}.{name}": tensor for name, tensor in tensors.items()}, folder / "lone.pt")
    arrays = onnx_graphs.weights(np.random.default_rng(0), "LSTM", 2, 3)
    made, _ = onnx_graphs.single("LSTM", arrays | {"X": np.ones((1, 1, 2), np.float32)}, name="lstm")
    Path(os.fsdecode(os.fsencode(folder) + b"/model\xff.onnx")).write_bytes(made.SerializeToString())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("file", ["lone.pt", "model\udcff.onnx"])
@pytest.mark.parametrize("words", [
    *(f"run {INLINE} --model FILE -f {name}" for name in ("table", "json", "csv", "svg")),
    *(f"run {INLINE} --model FILE -o out.{name}" for name in ("npz", "safetensors")),
    *(f"weights FILE --to keras -o out.{name}" for name in ("h5", "npz", "json")),
    "weights FILE --to torch -o out.pt", f"trace {INLINE} --model FILE -f json",
    f"export {INLINE} --model FILE --to c",
])  # fmt: skip
def test_names_are_harmless(rnncli: Run, folder: Path, tmp_path: Path, words: str, file: str) -> None:
    shutil.copy(folder / file, tmp_path / file)
    given = [file if word == "FILE" else word for word in words.replace(", ", ",").split()]
    done = rnncli(*given, cwd=tmp_path)
    assert done.returncode in (0, 2), done.stderr
    if done.returncode:
        assert done.stdout == ""
        assert len(list(tmp_path.iterdir())) == 1
        assert "cannot hold" in done.stderr or "cannot be" in done.stderr
    if given[-1] == "json" and given[0] != "trace":  # which names no file
        assert "\\ud" in json.dumps(json.loads(done.stdout), ensure_ascii=False)


@pytest.mark.parametrize("words", [
    ("run", "x\udcff.json"),
    ("run", "-l", "LSTM\udcff"),
    ("run", "--select", "\udcff"),
    ("explain", "\udcff[0]"),
    ("run", INLINE, "--weights", "\udcff.npz#\udcfe"),
    ("\udcff",),
    *(
        ("run", text)
        for text in (
            '{"inputs": [[[1, 2]]], "\\ud800": 3}',
            '{"inputs": [[[1, 2]]], "layer": "LSTM(3, name=\'\\ud800\')"}',
            '{"inputs": [[[1, 2]]], "weights": {"\\ud800": [[1]]}}',
            '{"inputs": [[[1, 2]]], "\udcff": 3}',
        )
    ),
])  # fmt: skip
def test_words_that_are_not_text_are_bad_input(rnncli: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "internal error" not in rnncli(*words, cwd=tmp_path).refusal()


@pytest.mark.parametrize("name", ["out\udcff.json", "out\udcff.npz"])
def test_an_output_of_such_a_name_is_written(rnncli: Run, tmp_path: Path, name: str) -> None:
    rnncli("run", INLINE, "--seed", "1", "-o", name, cwd=tmp_path).success()
    assert [place.name for place in tmp_path.iterdir()] == [name]


FITTING = {
    "--layer": ["lstm", "gru", "bilstm", "LSTM(2)", "Dense(2)", "Bidirectional(GRU(2))", "simple_rnn"],
    "--units": ["1", "2"],
    "--activation": ["relu", "linear", "softmax"],
    "--recurrent-activation": ["hard_sigmoid", "tanh"],
    "--kernel-initializer": ["zeros", "probe", "constant:0.1", "Identity()", "lecun_normal"],
    "--recurrent-initializer": ["orthogonal", "zeros", "RandomNormal(seed=3)"],
    "--bias-initializer": ["ones", "uniform:-1:1"], "--merge-mode": ["concat", "sum", "none"],
    "--dropout": ["0", "0.5"], "--recurrent-dropout": ["0.5"], "--dtype": ["float32", "float64", "float16"],
    "--seed": ["0", "7"], "--calls": ["1", "3"], "--weights": ['{"kernel": [[1]]}'],
    "--initial-state": ["[[[0, 0, 0]], [[1, 1, 1]]]", "[[[0, 1, 0]]]", '{"last_hidden_state": [[1, 2, 3]]}'],
    "--mask": ["[[true, false]]", "[1, 1, 0, 1]"], "--mask-value": ["0", "2", "nan", "-inf"],
    "--pad": ["post", "pre"], "--pad-value": ["-1", "nan"],
    "--input-shape": ["2,3,4", "1,2", "batch,None,3", "1,2,3,4"], "--fill": ["zeros", "normal", "arange"],
    "--input-axes": ["time,batch,features", "time,features", "time"],
    "--format": ["json", "ndjson", "csv", "table", "markdown", "html", "svg", "npy", "npz", "safetensors"],
    "--precision": ["0", "3", "17", "30"], "--width": ["1", "20", "200"], "--lang": ["ko", "en"],
    "--select": ["hidden_state", "last_hidden_state"],
}  # fmt: skip
ANY = ["", "-", "0", "-1", "1.5", "nan", "1e999", "LSTM(", "[]", "{}", "[[", "null", "nothing.json",
       "@nothing.json"]  # fmt: skip
ODD = ["é한", "\udce9", "\0", "a" * 300, "9" * 400, "[" * 5000, "(" * 5000]
INPUTS = ["[[[1,2],[3,4]]]", "[[1,2],[3,4]]", "[1]", "sentence", "ragged", "sensors", "series", "case",
          '{"inputs": [[[1, 2]]], "layer": "GRU(2)"}', '[[["NaN", "Infinity"]]]', "[[[1e300]]]"]  # fmt: skip

ALONE = sorted(
    {
        name
        for param in load("shape").params + load("run").params
        if getattr(param, "is_flag", False)
        for name in (*param.opts, *param.secondary_opts)
    }
    - {"--check", "--help"}
)
UNFITTING = st.sampled_from([*ANY, *ODD])
PAIRS = st.sampled_from(sorted(FITTING)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(FITTING[name]) | UNFITTING)
)
PIECES = PAIRS | PAIRS | PAIRS | st.tuples(st.sampled_from(ALONE)) | st.tuples(UNFITTING)


@given(
    st.sampled_from(["run", "shape", "matrix"]),
    st.lists(st.sampled_from(INPUTS), max_size=1),
    st.lists(PIECES, max_size=4),
)
@example("run", ["[" * 100_000], [])
@example("run", ['{"inputs":' * 1000], [])
@example("run", [], [("--layer", "Bidirectional(" * 1000)])
@example("run", [], [("--units", "9" * 400)])
@example("run", [], [("--input-shape", "9" * 400)])
@example("run", [], [("--layer", "\udce9")])
@example("run", ["\0"], [])
@pytest.mark.slow
def test_any_words_end_well(command: str, inputs: list[str], pieces: list[tuple[str, ...]]) -> None:
    engine = [] if command == "shape" else ["--engine", "numpy"]
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.main([command, *engine, *inputs, *(word for piece in pieces for word in piece)])
    said = err.buffer.getvalue().decode()
    shown = out.buffer.getvalue()
    assert code in (0, 2), said
    assert "internal error" not in said
    assert "Traceback" not in said
    assert bool(shown) == (code == 0), said
