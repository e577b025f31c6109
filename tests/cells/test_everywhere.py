"""A cell from a file stands wherever a layer or a cell may, and gives the same numbers everywhere."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, Run
from rich.cells import cell_len

import rnncli as api
from rnncli.ask.layer_files import read_cell
from rnncli.cells.text import to_symbols
from rnncli.inputs.source import Source

INPUTS = np.random.default_rng(0).standard_normal((2, 4, 5)).round(2).astype(np.float32)
LISTS = INPUTS.tolist()


@pytest.fixture
def folder(here: Path) -> Path:
    """A folder with `mgu.toml`, `slstm.toml` and `my cells/a (b).toml`, which is current."""
    for name in ("mgu", "slstm"):
        (here / f"{name}.toml").write_text((ROOT / f"samples/cells/{name}.toml").read_text())
    (here / "my cells").mkdir()
    (here / "my cells" / "a (b).toml").write_bytes((here / "mgu.toml").read_bytes())
    (here / "x.json").write_text(json.dumps(LISTS))
    return here


def run_json(rnncli: Run, *words: str, stdin: str | None = None) -> dict[str, Any]:
    """Return the JSON of a run with seed 1, which must succeed."""
    more = {} if stdin is None else {"input": stdin}
    done = rnncli("run", *words, "--seed", "1", "-f", "json", "--quiet", **more)
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
def test_every_way_to_name_it_gives_the_same_numbers(rnncli: Run, folder: Path) -> None:
    layer: Any
    expected = run_json(rnncli, "x.json", "-l", "@mgu.toml", "--units", "4")["outputs"]
    for layer in (
        "@mgu.toml(4)", "@'mgu.toml'(units=4)", "@'my cells/a (b).toml'(4)", "RNN(@mgu.toml(4))",
        "RNN([@mgu.toml(4)])", "Sequential([@mgu.toml(4)])",
    ):  # fmt: skip
        assert run_json(rnncli, "x.json", "-l", layer)["outputs"] == expected, layer
    for layer in (
        "@mgu.toml(4)", ["@mgu.toml(4)"], "RNN([@mgu.toml(4)])",
        {"class_name": "RNN", "config": {"cell": "@mgu.toml(4)"}},
    ):  # fmt: skip
        document = json.dumps({"layer": layer, "inputs": LISTS})
        (folder / "d.json").write_text(document)
        assert run_json(rnncli, "d.json")["outputs"] == expected
        assert run_json(rnncli, "-", stdin=document)["outputs"] == expected
        (folder / "l.json").write_text(json.dumps(layer))
        assert run_json(rnncli, "x.json", "-l", "@l.json")["outputs"] == expected
    assert rnncli("export", "-l", "@mgu.toml(4)", "--to", "config", "-o", "c.json").returncode == 0
    assert run_json(rnncli, "x.json", "-l", "@c.json")["outputs"] == expected


@pytest.mark.slow
def test_a_path_may_have_blanks_and_korean_letters(rnncli: Run, folder: Path) -> None:
    """Alone it needs no quotes; in an expression, a caret stands below what is wrong."""
    own = folder / "내 셀" / "가 (나).toml"
    own.parent.mkdir()
    own.write_bytes((folder / "mgu.toml").read_bytes())
    expected = run_json(rnncli, "x.json", "-l", "@mgu.toml")["outputs"]
    for path in ("my cells/a (b).toml", "내 셀/가 (나).toml", str(own)):
        for layer in (f"@{path}", f"@'{path}'", f"@'{path}'(3)", f"RNN([@'{path}'(3)])"):
            assert run_json(rnncli, "x.json", "-l", layer)["outputs"] == expected, layer
    (folder / "d.json").write_text(json.dumps({"layer": "@내 셀/가 (나).toml", "inputs": LISTS}))
    assert run_json(rnncli, "d.json")["outputs"] == expected
    _, line, caret, _ = rnncli("run", "-l", "@'내 셀/가 (나).toml'(3, wrong=1)").stderr.splitlines()
    assert caret == " " * cell_len(line.partition("wrong")[0]) + "^" * len("wrong")


def test_python_takes_the_same(folder: Path) -> None:
    expected = api.run(INPUTS, "@mgu.toml", units=4, seed=1)["hidden_state"]
    for layer in ("@mgu.toml(4)", "RNN(@mgu.toml(4))", ["@mgu.toml(4)"], "@'my cells/a (b).toml'(4)"):
        np.testing.assert_array_equal(api.run(INPUTS, layer, seed=1)["hidden_state"], expected)
    (folder / "it's.toml").write_bytes((folder / "mgu.toml").read_bytes())
    for path in (folder / "mgu.toml", folder / "my cells" / "a (b).toml", folder / "it's.toml"):
        np.testing.assert_array_equal(api.run(INPUTS, path, units=4, seed=1)["hidden_state"], expected)
    with pytest.raises(api.LayerError, match="write layer='@mgu"):
        api.run(INPUTS, "mgu.toml")


@pytest.mark.parametrize("layers", [
    ["@slstm.toml(2, return_state=True)"],
    ["Bidirectional(@mgu.toml(2), merge_mode='mul')"],
    ["RNN([@mgu.toml(2), LSTMCell(3), @slstm.toml(2)], return_state=True)"],
    ["@mgu.toml(2, return_sequences=True)", "Dense(2)", "@slstm.toml(2, go_backwards=True)"],
])  # fmt: skip
@pytest.mark.slow
def test_an_answer_runs_without_the_file(layers: list[str], rnncli: Run, folder: Path) -> None:
    words = [word for layer in layers for word in ("-l", layer)]
    first = run_json(rnncli, "x.json", *words)
    assert run_json(rnncli, "x.json", *words, "--check")["outputs"] != []
    texts = [first["expression"]] if len(layers) == 1 else first["expression"]
    assert [text.count("@") for text in texts] == [text.count("@") for text in layers]
    (folder / "d.json").write_text(json.dumps({"layer": first["layer"], "inputs": LISTS}))
    for file in folder.rglob("*.toml"):
        file.unlink()
    again = run_json(rnncli, "d.json")
    for key in ("outputs", "expression", "layer"):
        assert again[key] == first[key]


@pytest.mark.slow
def test_weights_and_states_by_name(rnncli: Run, folder: Path) -> None:
    given = ["-l", "@slstm.toml(2, return_state=True)"]
    expected = run_json(rnncli, "x.json", *given)["outputs"]
    for file in ("w.npz", "w.json"):
        rnncli(
            "weights", *given, "--input-shape", "2,4,5", "--seed", "1", "--to", "keras", "-o", file
        ).success()
        assert run_json(rnncli, "x.json", *given, "--weights", file)["outputs"] == expected
    names = [output["name"] for output in expected[1:]]
    assert names == [f"last_{name}_state" for name in ("hidden", "cell", "normalizer", "stabilizer")]
    states = {name: [[0.5, 1.0], [1.5, 2.0]] for name in names}
    (folder / "s.json").write_text(json.dumps(states))
    by_name = run_json(rnncli, "x.json", *given, "--initial-state", "s.json", "--check")["outputs"]
    listed = json.dumps(list(states.values()))
    assert run_json(rnncli, "x.json", *given, "--initial-state", listed, "--check")["outputs"] == by_name
    for framework in ("torch", "onnx", "cudnn"):
        said = rnncli("weights", *given, "--to", framework, "-o", "out.npz").refusal()
        assert "@sLSTM cannot be converted" in said


@pytest.mark.slow
def test_options_by_flag_and_in_an_expression(rnncli: Run, folder: Path) -> None:
    by_flag = run_json(rnncli, "x.json", "-l", "@mgu.toml", "--activation", "relu", "--check")
    written = run_json(rnncli, "x.json", "-l", "@mgu.toml(3, activation='relu')")
    assert written["outputs"] == by_flag["outputs"]
    assert by_flag["expression"] == "@MGU(3, activation='relu')"
    wide = run_json(rnncli, "x.json", "-l", "@mgu.toml(3, dtype='float64')", "--check")
    assert run_json(rnncli, "x.json", "-l", "@mgu.toml", "--dtype", "float64")["outputs"] == wide["outputs"]


def test_streams_holds_and_unknown_sizes(rnncli: Run, folder: Path) -> None:
    lines = "".join(json.dumps({"inputs": sequence}) + "\n" for sequence in LISTS)
    stream = ["run", "--stream", "-l", "@mgu.toml(3)", "--seed", "1", "-f", "ndjson"]
    done = rnncli(*stream, input=lines)
    streamed = [json.loads(line)["outputs"][0]["values"][0] for line in done.stdout.splitlines()]
    whole = run_json(rnncli, "x.json", "-l", "@mgu.toml(3)")
    np.testing.assert_allclose(streamed, whole["outputs"][0]["values"])
    held = run_json(rnncli, "x.json", "-l", "@mgu.toml(3)", "--hold", "forget[:,1]=0@0:")
    assert [row[1] for row in held["outputs"][0]["values"]] == [0, 0]
    for shape in ("None,4,5", "2,None,5", "2,4,None"):
        assert rnncli("shape", "-l", "@slstm.toml", "--input-shape", shape).returncode == 0


def test_a_missing_published_cell(rnncli: Run, folder: Path) -> None:
    done = rnncli("run", "-l", "@janet.toml")
    expected = (
        "rnncli: janet.toml: there is no such file.\nWrite the sample: rnncli samples janet > janet.toml\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_what_stands_left_of_a_product_may_differ_from_line_to_line(rnncli: Run, tmp_path: Path) -> None:
    """`bias` means other columns in each line, so both lines cannot share one product."""
    product = "(bias * hidden) @ recurrent_kernel"
    text = f'name = "Twice"\nstates = ["hidden"]\n[step]\na = "tanh({product} + x @ kernel)"\n'
    (tmp_path / "twice.toml").write_text(f'{text}hidden = "tanh({product} + a)"\n')
    flags = ("--units", "2", "--seed", "1", "--bias-initializer", "random_normal", "--check")
    rnncli("run", "-l", f"@{tmp_path}/twice.toml", *flags).success()


@pytest.mark.slow
def test_a_name_chooses_no_seeds(rnncli: Run, folder: Path) -> None:
    """What draws in which order depends on the equations: those of Keras's SimpleRNN, or others."""
    simple = rnncli("export", "-l", "simple_rnn", "--to", "cell").stdout
    mgu = (folder / "mgu.toml").read_text()
    (folder / "a.toml").write_text(simple.replace('"SimpleRNN"', '"Elman"'))
    (folder / "b.toml").write_text(mgu.replace('"MGU"', '"SimpleRNN"'))
    outputs = [run_json(rnncli, "x.json", "-l", name)["outputs"] for name in ("simple_rnn", "@a.toml")]
    assert outputs[0] == outputs[1]
    outputs = [run_json(rnncli, "x.json", "-l", name)["outputs"] for name in ("@mgu.toml", "@b.toml")]
    assert outputs[0] == outputs[1]
    rnncli(
        "run", "x.json", "-l", "@a.toml", "--training", "--dropout", "0.4", "--check", "--seed", "1"
    ).success()


@pytest.mark.parametrize(
    "more", ["", "bias_initializer=RandomNormal(), kernel_initializer=RandomNormal(stddev=0.3)"]
)
def test_lines_without_an_initializer_of_their_own_share_one(more: str, rnncli: Run, folder: Path) -> None:
    """The one of the whole weight takes one seed, as for the bias of an LSTM, in both engines."""
    text = (folder / "mgu.toml").read_text().replace('gates = ["forget", "candidate"]\n', "")
    weights = '[weights]\nbias = { forget = "random_uniform" }\nkernel = { candidate = "ones" }\n[step]\n'
    third = 'third = "sigmoid(x @ kernel + bias)"\n'
    (folder / "own.toml").write_text(text.replace("[step]\n", weights + third))
    layer = f"@own.toml(3, {more})" if more else "@own.toml(3, bias_initializer='random_normal', dropout=0.2)"
    done = rnncli("run", "x.json", "-l", layer, "--training", "--seed", "4", "--check", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (  # a second argument belongs to every line
            'a = "clip(x @ kernel + hidden @ recurrent_kernel, 0, 0.5)"\n'
            'b = "clip(x @ kernel + hidden @ recurrent_kernel, 0, 0.5)"\n'
            'hidden = "maximum(x @ kernel + hidden @ recurrent_kernel, 0.1) * a - b"',
            (),
        ),
        (  # a product of no step is one for all lines
            'a = "tanh(left @ recurrent_kernel)"\nb = "tanh(left @ recurrent_kernel)"\n'
            'c = "left @ recurrent_kernel"\nhidden = "tanh(x @ kernel + a * b + hidden - c)"\n'
            '[weights]\nleft = { shape = ["units"], initializer = "random_normal" }',
            (),
        ),
        (  # of Keras's operations, abs makes float32 of a number
            'a = "sigmoid(0.5)"\nb = "softmax(2)"\n'
            'hidden = "tanh(x @ kernel / (1 + abs(a)) + abs(b) * hidden)"',
            ("--dtype", "float64"),
        ),
        (  # the columns of a bias that not every line has
            'a = "tanh(x @ kernel + bias + recurrent_bias)"\nb = "tanh(hidden @ recurrent_kernel + bias)"\n'
            'hidden = "a - b"\n[weights]\nbias = { a = "random_normal", b = "random_normal" }',
            (),
        ),
        (
            'hidden = "self(x @ kernel) * cls + instance"\n[options]\nself = "tanh"\ncls = 0.5\ninstance = 2',
            (),
        ),
    ],
    ids=["several arguments", "product of weights", "numbers", "second bias", "options"],
)
def test_it_is_computed_as_keras_does(text: str, flags: tuple[str, ...], rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f'states = ["hidden"]\n[step]\n{text}\n')
    done = rnncli("trace", "-l", f"@{tmp_path}/a.toml", "--seed", "1", "--quiet", "--check", *flags)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("equation", "symbols"), [
    ("-hidden @ recurrent_kernel + (x - 2) @ kernel", "-h U + (x - 2) W"),
    ("(1 + hidden ** 2) ** (x @ kernel) * (2 * hidden)", "(1 + h^2)^(x W) ⊙ (2 · h)"),
])  # fmt: skip
def test_symbols_have_the_parentheses_that_readers_need(equation: str, symbols: str) -> None:
    data = f'states = ["hidden"]\n[step]\nhidden = "{equation}"\n'.encode()
    cell = read_cell(Source("a.toml", data, Path("a.toml")))
    assert to_symbols(cell, {"use_bias": True}) == {"hidden": symbols}


def test_a_pipe_is_read_once() -> None:
    """What it held when it was found is kept."""
    data = (ROOT / "samples/cells/mgu.toml").read_bytes()
    assert read_cell(Source("pipe.toml", data, Path("pipe.toml"))).name == "MGU"


def test_a_cell_may_bear_the_name_of_a_class(rnncli: Run, folder: Path) -> None:
    for name in ("StackedRNNCells", "LSTMCell", "Bidirectional"):
        (folder / "a.toml").write_text(Path("mgu.toml").read_text().replace('"MGU"', f'"{name}"'))
        first = run_json(rnncli, "x.json", "-l", "Bidirectional(@a.toml(4))")
        (folder / "a.json").write_text(json.dumps(first["layer"]))
        assert run_json(rnncli, "x.json", "-l", "@a.json") == first


def test_a_cell_without_weights_takes_no_weights(rnncli: Run, folder: Path) -> None:
    """An empty object names all the weights that there are; an LSTM lacks its own."""
    Path("clock.toml").write_text("name = 'Clock'\nstates = ['h']\n[step]\nh = 'h + 1'\n")
    document = {"layer": "@clock.toml(2)", "inputs": [[[5], [5], [5]]], "weights": {}}
    Path("case.json").write_text(json.dumps(document))
    (hidden,) = run_json(rnncli, "case.json")["outputs"]
    assert hidden["values"] == [[3, 3]]
    lacks = rnncli("run", "-", input=json.dumps(document | {"layer": "LSTM(2)"})).refusal()
    assert "weights: kernel is missing." in lacks
