"""Cells whose states are matrices, against loops that are written apart from them."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command import ROOT, Run
from matrix_cases import BATCH, FORMS, WHOLE, case_in, case_of, check, layer_of, text_in
from matrix_loops import SMALL, UNITS

import rnncli
from rnncli import compute
from rnncli.compute import holds
from rnncli.compute import trace as tracing
from rnncli.errors import InputError, Text, write
from rnncli.process import progress
from rnncli.specs.build import read_equations
from rnncli.values import sizes


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_every_sample(form: str, name: str) -> None:
    """Every output and every number of every state, of all heads, against the loop."""
    case = case_in(form, name)
    check(form, name, case, [tensor.values for tensor in compute.run(case, "numpy").outputs])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.slow
def test_keras_computes_the_same(form: str, name: str) -> None:
    case = case_in(form, name)
    check(form, name, case, [tensor.values for tensor in compute.run(case, "tensorflow").outputs])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("form", ["plain", "masked"])
def test_a_sequence_in_two_parts(form: str, name: str) -> None:
    """The states of the first four steps, handed over, start the others, which no mask begins."""
    case = case_in(form, name)
    states, sequences = case.initial_state, []
    for part in (slice(4), slice(4, None)):
        mask = None if case.mask is None else case.mask[:, part]
        given = case._replace(inputs=case.inputs[:, part], initial_state=states, mask=mask)
        sequence, *last = [tensor.values for tensor in compute.run(given, "numpy").outputs]
        sequences.append(sequence)
        states = tuple(last)
    check(form, name, case, [np.concatenate(sequences, axis=1), *last])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("form", ["plain", "backwards", "last step", "bidirectional"])
@pytest.mark.slow
def test_a_stream_gives_what_a_batch_gives(form: str, name: str, rnncli: Run) -> None:
    """One sequence a line; and of a stateful layer, one sequence in two lines."""
    inputs = np.random.default_rng(2).standard_normal((2, 4, 3))
    words = ["run", "-l", text_in(form, name), "--seed", "1", "--quiet", "-f"]

    def stream(words: list[str], *lines: np.ndarray) -> list[list[np.ndarray]]:
        text = "".join(f"{json.dumps(line[None].tolist())}\n" for line in lines)
        answers = map(json.loads, rnncli(*words, "ndjson", "--stream", input=text).stdout.splitlines())
        return [[np.array(tensor["values"]) for tensor in answer["outputs"]] for answer in answers]

    whole = json.loads(rnncli(*words, "json", input=json.dumps(inputs.tolist())).stdout)["outputs"]
    for tensors in zip(whole, *stream(words, *inputs), strict=True):
        np.testing.assert_allclose(np.concatenate(tensors[1:]), tensors[0]["values"], rtol=2e-5, atol=1e-6)
    if form == "plain":
        first, second = stream([*words[:-1], "--stateful", "-f"], inputs[0, :1], inputs[0, 1:])
        np.testing.assert_allclose(np.hstack([first[0], second[0]]), whole[0]["values"][:1], rtol=1e-10)
        for ours, tensor in zip(second[1:], whole[1:], strict=True):
            np.testing.assert_allclose(ours, tensor["values"][:1], rtol=1e-10)


@pytest.mark.parametrize("name", SMALL)
def test_states_have_their_own_sizes(name: str) -> None:
    """No size of a state comes from units: none of these states has as many numbers as the first."""
    case = case_of(layer_of(name, return_state=True))
    infos = case.stack.states(case.inputs.shape)
    counts = [int(np.prod(sizes(info.shape[1:]))) for info in infos]
    assert counts[0] == UNITS
    assert name == "rwkv7" or all(count != UNITS for count in counts[1:] if count > UNITS)
    result = compute.run(case, "numpy")
    assert [tensor.values.shape for tensor in result.outputs[1:]] == [info.shape for info in infos]
    traced = tracing.trace(case).trace[0]
    assert [traced.parts[state].shape[-1] for state in traced.states] == counts
    assert [values.shape[-1] for values in traced.start.values()] == counts


@pytest.mark.parametrize("name", SMALL)
def test_a_trace_has_every_line_of_every_step(name: str) -> None:
    """Traced and run alone, a layer returns the same; its last traced states are the returned ones."""
    case = case_of(layer_of(name, **WHOLE))
    alone, traced = compute.run(case, "numpy"), tracing.trace(case)
    for ours, other in zip(alone.outputs, traced.outputs, strict=True):
        np.testing.assert_array_equal(ours.values, other.values)
    loop = traced.trace[0]
    for tensor, state in zip(alone.outputs[1:], loop.states, strict=True):
        np.testing.assert_array_equal(loop.parts[state][:, -1], tensor.values.reshape(BATCH, -1))
    assert {part.part for part in loop.parts} >= {*read_equations(source(name)).step} - {"hidden"}


def source(name: str) -> str:
    return (ROOT / "samples" / "cells" / f"{name}.toml").read_text(encoding="utf-8")


def test_a_held_line(tmp_path: Path) -> None:
    """alpha = 0 forgets everything: the memory is what the last step wrote, and the oracle agrees."""
    text = layer_of("gated_deltanet", **WHOLE)
    held = holds.hold_gates(case_of(text), ["alpha=0", "beta[:, 1]=0@2:"])
    result = compute.run(held, "numpy")
    loop = tracing.trace(held).trace[0]
    kinds = {part.part: values for part, values in loop.parts.items() if part.kind == "activation"}
    assert not kinds["alpha"].any()
    assert not kinds["beta"][:, 2:, 1].any()
    assert kinds["beta"][:, :2, 1].all()
    key, value, beta = kinds["unit_key"][:, -1], kinds["value"][:, -1], kinds["beta"][:, -1]
    size = UNITS // 2
    outer = np.einsum("bhk,bhv,bh->bhkv", key.reshape(BATCH, 2, size), value.reshape(BATCH, 2, size), beta)
    np.testing.assert_allclose(result.outputs[2].values, outer, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["gla", "mlstm", "mamba", "qwen3_next"])
def test_dropout(name: str) -> None:
    """In training, what reaches the layer is x times a mask."""
    case = case_of(layer_of(name, dtype="float64", dropout=0.5, return_sequences=True))
    trained = compute.run(case._replace(training=True, seed=3), "numpy")
    mask = tracing.trace(case._replace(training=True, seed=3)).trace[0].dropout.inputs[0]
    plain = case._replace(inputs=case.inputs * mask[:, None])
    np.testing.assert_allclose(trained.outputs[0].values, compute.run(plain, "numpy").outputs[0].values)


@pytest.mark.slow
def test_rows_of_heads(rnncli: Run) -> None:
    """norm, largest, rank and kept of each matrix, from the numbers of the same trace."""
    layer = layer_of("qwen3_next", dtype="float64")
    words = ["-l", layer, "--input-shape", "2,4,7", "--seed", "3", "-f", "json", "--quiet"]
    found = json.loads(rnncli("trace", *words).stdout)
    memory = next(part for part in found["trace"] if part["name"] == "memory")
    assert memory["axes"] == ["batch", "timesteps", "groups", "repeats", "keys", "values"]
    values = np.array(memory["values"])
    beta = np.array(next(part["values"] for part in found["trace"] if part["name"] == "beta/activation"))
    assert len(found["heads"]) == 2 * 4 * 2 * 3 * 1 + 2 * 4 * (2 + 2 + 2 * 3)  # and three windows
    for row in (row for row in found["heads"] if row["state"] == "memory"):
        head = tuple(map(int, row["head"].split(",")))
        matrix = values[(row["batch"], row["timestep"], *head)]
        spread = np.linalg.svd(matrix, compute_uv=False)
        shares = spread[spread > 0] / spread.sum()
        assert row["norm"] == pytest.approx(np.linalg.norm(matrix), rel=1e-5)
        assert row["largest"] == pytest.approx(np.abs(matrix).max(), rel=1e-5)
        assert row["rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-3)
        assert row["lines"]["beta"] == pytest.approx(beta[(row["batch"], row["timestep"], *head)], rel=1e-5)
        if row["timestep"]:
            before = values[(row["batch"], row["timestep"] - 1, *head)]
            cosine = (matrix * before).sum() / np.linalg.norm(matrix) / np.linalg.norm(before)
            assert row["kept"] == pytest.approx(cosine, abs=1e-5)
        else:
            assert row["kept"] == 0
    one = json.loads(rnncli("trace", *words, "--state", "memory", "--head", "1,2", "--steps", "1:3").stdout)
    (alone,) = one["trace"]
    assert alone["axes"] == ["batch", "timesteps", "keys", "values"]
    np.testing.assert_allclose(np.array(alone["values"]), values[:, 1:3, 1, 2], rtol=1e-6, atol=1e-9)
    assert {(row["timestep"], row["head"]) for row in one["heads"]} == {(1, "1,2"), (2, "1,2")}
    table = rnncli("trace", *words[:-3], "--width", "80", "--quiet").stdout
    assert re.search(r"(?m)\bt  hidden *$", table), "vectors stand in the table of every trace"
    assert "means of a head not shown: query" in table
    assert "--full shows all\n" in table, "--unit is refused"
    assert "not shown" not in rnncli("trace", *words[:-3], "--width", "400", "--quiet").stdout
    for bad in (["--head", "2,0"], ["--head", "1"], ["--state", "memori"], ["--unit", "0"], ["--stats"]):
        assert rnncli("trace", *words, *bad).returncode == 2


@pytest.mark.slow
def test_export_to_cell_keeps_the_numbers(rnncli: Run, tmp_path: Path) -> None:
    for name in ("qwen3_next", "rwkv7"):
        words = ["--input-shape", "1,3,5", "--seed", "3", "-f", "csv", "--quiet"]
        first = rnncli("run", "-l", layer_of(name), *words)
        written = rnncli("export", "--to", "cell", "-l", layer_of(name), "--input-shape", "1,3,5")
        (tmp_path / "again.toml").write_text(written.stdout)
        again = rnncli("run", "-l", f"@again.toml({UNITS})", *words, cwd=tmp_path)
        assert first.stdout == again.stdout != ""


@pytest.mark.parametrize(("layers", "state"), [
    (["Bidirectional({gated_deltanet})"], "backward/memory"),
    (["RNN([{gated_deltanet}, {deltanet}, LSTMCell(2)])"], "cell_1/memory"),
    (["RNN([{deltanet}, {mamba}], return_sequences=True)", "{gated_deltanet}"], "1/memory"),
])  # fmt: skip
def test_rows_of_heads_of_several_cells(layers: list[str], state: str, rnncli: Run) -> None:
    """A row has the name of its state in the trace, and the lines of its own cell."""
    names = {name: layer_of(name) for name in ("gated_deltanet", "deltanet", "mamba")}
    words = [word for layer in layers for word in ("-l", layer.format(**names))]
    given = (*words, "--input-shape", "2,4,5", "--seed", "1")
    document = json.loads(rnncli("trace", *given, "-f", "json").stdout)
    trace = {tensor["name"]: np.array(tensor["values"]) for tensor in document["trace"]}
    lines = {"backward": "alpha", "cell_1": "beta", "1": "alpha"}
    prefix = state.removesuffix("/memory")
    rows = [row for row in document["heads"] if row["state"] == state]
    assert len(rows) == 2 * 4 * trace[state].shape[2] < len(document["heads"])
    for row in rows:
        place = row["batch"], row["timestep"], int(row["head"])
        assert row["norm"] == pytest.approx(np.linalg.norm(trace[state][place]), rel=1e-5)
        own = f"{prefix}/{lines[prefix]}/activation"
        assert row["lines"][lines[prefix]] == pytest.approx(trace[own][place], rel=1e-5)
        assert not any("/" in name for name in row["lines"])
        assert ("alpha" in row["lines"]) == (prefix != "cell_1")
    assert state in rnncli("trace", *given, "--head", "1").stdout
    alone = json.loads(rnncli("trace", *given, "--state", state, "-f", "json").stdout)
    assert [tensor["name"] for tensor in alone["trace"]] == [state]
    assert {row["state"] for row in alone["heads"]} == {state}


def test_a_layer_without_heads(rnncli: Run) -> None:
    said = rnncli("trace", "-l", layer_of("mamba"), "--head", "0").refusal()
    assert "--head 0: no state of this layer has heads.\n" in said


@pytest.mark.parametrize("name", ["rwkv7", "mamba", "qwen3_next"])
@pytest.mark.parametrize("backwards", [False, True])
def test_blocks_of_steps(name: str, backwards: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps are prepared at once, windows and delayed inputs go on from block to block."""
    case = case_of(layer_of(name, **WHOLE, go_backwards=backwards))
    whole = compute.run(case, "numpy").outputs
    for block in (1, 300, 1000):
        monkeypatch.setattr("rnncli.arrays.BLOCK", block)
        for tensor, other in zip(compute.run(case, "numpy").outputs, whole, strict=True):
            np.testing.assert_allclose(tensor.values, other.values, rtol=1e-12, atol=1e-13)


TABLES = """\
name = "Own"
states = ["hidden", "memory"]
[sizes]
heads = 2
keys = "units / heads"
[shapes]
key = ["heads", "keys"]
memory = ["heads", "keys"]
[weights]
scale = { shape = ["heads"] }
square = { shape = ["keys", "keys"] }
[step]
key = "x @ kernel"
memory = "memory + key"
hidden = "join(memory)"
"""


@pytest.mark.parametrize(("old", "new", "said"), [
    ('"memory + key"', '"memory + key * x"', "its parts have heads, keys and features"),
    ('"memory + key"', '"memory + key * hidden"', "its parts have heads, keys and units"),
    ('"memory + key"', '"memory + sum(key, keys)"', None),
    ('"memory + key"', '"sum(key, keys)"', "it has heads, but memory has heads, keys"),
    ('"memory + key"', '"memory + sum(key, units)"', "sum needs an axis of its argument"),
    ('"memory + key"', '"memory + sum(key, 2)"', "the second argument of sum is the name of an axis"),
    ('"memory + key"', '"memory + square"', "square has an axis twice"),
    ('"memory + key"', '"memory + key @ square"', None),
    ('"memory + key"', '"memory + scale @ square"', "@ sums over the last axis of its left side"),
    ('"memory + key"', '"memory + outer(key, 3)"', None),
    ('"memory + key"', '"outer(key, hidden)"', "it has heads, keys, units, but memory has heads, keys"),
    ('"memory + key"', '"shift(memory, key)"', "it needs keys, the axes of memory without the first"),
    ('"memory + key"', '"shift(key, memory)"', "the first argument of shift is a state"),
    ('"memory + key"', '"memory * index(key)"', "index takes the name of an axis"),
    ('"memory + key"', '"memory + cos(key, key)"', "cos takes one argument, not 2"),
    ('"join(memory)"', '"memory"', "it has heads, keys, but hidden has units"),
    ('"join(memory)"', '"join(outer(memory, x))"', "numbers, but units is 4"),
    ('"x @ kernel"', '"key @ kernel"', "key is used before it is assigned"),
    ('"x @ kernel"', '"memory @ kernel"', "kernel needs features on its left, not heads, keys"),
    ("units / heads", "units / heads / 3", "a size is a whole number from 1 on, but this is 0.666667"),
    ("units / heads", "units / (heads - 2)", "this divides by 0"),
    ("units / heads", "9 ** 9 ** 9 ** 9", "a size is made of + - * / and parentheses"),
    ("units / heads", "99999 * 99999 * units", "this is more than 2147483648"),
    ("units / heads", "units / head", "there is no size head above"),
    ("heads = 2", "heads = 0", "heads is not a whole number from 1 on"),
    ("heads = 2", "heads = 2.5", "heads is not a whole number from 1 on"),
    ("heads = 2", "heads = true", "heads is not a whole number from 1 on"),
    ("heads = 2", f"heads = {9**40}", "heads is more than 2147483648"),
    ('key = ["heads", "keys"]', 'key = ["heads", "kays"]', "there is no axis kays"),
    ('key = ["heads", "keys"]', 'key = ["heads", "heads"]', "key names an axis twice"),
    ('key = ["heads", "keys"]', 'kay = ["heads", "keys"]', "kay is not a state or a line"),
    ('key = ["heads", "keys"]', 'key = "heads"', "key needs a list of at most 8 axes"),
    ('key = ["heads", "keys"]', 'hidden = ["heads", "keys"]', "hidden is the first state"),
    ("[weights]", '[inputs]\nquery = ["heads"]\n[weights]', "there is no name x"),
    ("[weights]", '[inputs]\nkey = ["heads"]\n[weights]', "key is already a part of the input"),
    ("heads = 2", "heads = 2\ndropout = 2", "dropout is an option of every cell"),
    ("heads = 2", "heads = 2\nkernel = 2", "kernel is already a name of every cell"),
    ("[sizes]", 'heads = ["head"]\n[sizes]', "head is not a size of [sizes]"),
    ("scale = ", "outer = ", "outer is already a function"),
])  # fmt: skip
def test_bad_files(old: str, new: str, said: str | None, rnncli: Run, tmp_path: Path) -> None:
    assert old in TABLES
    (tmp_path / "own.toml").write_text(TABLES.replace(old, new, 1))
    done = rnncli("run", "-l", "@own.toml(4)", "--input-shape", "1,2,3", "--quiet", cwd=tmp_path)
    assert done.returncode == (2 if said else 0), done.stderr
    if said:
        assert said in done.stderr
        assert done.stderr.startswith("rnncli: own.toml: ")
        assert "line " in done.stderr.splitlines()[0]


@pytest.mark.parametrize("layer", [
    "@own.toml(4294967296, heads=1)", "@own.toml(2000000000, heads=1000000000)",
    "@own.toml(99999999999999999999)", "@own.toml(4, heads=3)",
])  # fmt: skip
def test_huge_sizes_are_refused_before_memory_is_touched(layer: str, rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(TABLES)
    said = rnncli("run", "-l", layer, "--input-shape", "1,2,3", "--quiet", cwd=tmp_path).refusal()
    assert "internal error" not in said


def test_in_python() -> None:
    """A state has its axes; of a chosen head it has the others."""
    inputs = np.ones((1, 3, 5), np.float32)
    traced = rnncli.trace(inputs, layer_of("gated_deltanet"), seed=1)
    assert traced["memory"].shape == (1, 3, 2, 6, 6)
    assert traced.timesteps == {"forward": [0, 1, 2]}
    alone = rnncli.trace(inputs, layer_of("gated_deltanet"), seed=1, state="memory", head="1")
    np.testing.assert_array_equal(alone["memory"], traced["memory"][:, :, 1])
    returned = rnncli.run(inputs, layer_of("gated_deltanet"), seed=1, return_state=True)
    np.testing.assert_array_equal(returned["last_memory_state"], traced["memory"][:, -1])


GATED = """
name = "Gated"
states = ["hidden", "memory"]
[sizes]
rows = 2
[shapes]
memory = ["rows", "units"]
[step]
gate = "sigmoid(x @ kernel)"
share = "sum(x, features)"
memory = "share * memory + share"
hidden = "gate * sum(memory, rows)"
"""


def test_a_number_without_axes_is_one_for_each_sequence(tmp_path: Path) -> None:
    file = tmp_path / "gated.toml"
    file.write_text(GATED)
    inputs = np.random.default_rng(3).standard_normal((4, 3, 5))
    options: dict[str, Any] = {"units": 3, "return_state": True, "seed": 1, "dtype": "float64"}
    found = rnncli.run(inputs, f"@'{file}'", **options)
    memory = np.zeros((4, 2, 3))
    for share in inputs.sum(axis=-1).T:
        memory = share[:, None, None] * memory + share[:, None, None]
    np.testing.assert_allclose(found["last_memory_state"], memory, rtol=1e-12)
    del options["return_state"]
    traced = rnncli.trace(inputs, f"@'{file}'", **options)
    np.testing.assert_allclose(traced["share"], inputs.sum(axis=-1), rtol=1e-12)


def test_a_window_takes_what_is_the_same_for_each_sequence() -> None:
    text = """
name = "Shifted"
states = ["hidden", "window"]
[sizes]
taps = 3
[shapes]
window = ["taps", "units"]
[weights]
start = { shape = ["units"], initializer = "ones" }
square = { shape = ["units", "units"], initializer = "ones" }
[step]
window = "shift(window, tanh(start @ square))"
hidden = "sum(window, taps) + x @ kernel"
"""
    layer = {"class_name": "RNN", "config": {"cell": {"class_name": "Shifted",
             "config": {"equations": text, "units": 3}}, "return_state": True}}  # fmt: skip
    returned = rnncli.run(np.ones((2, 2, 4)), layer, seed=1, dtype="float64")
    wanted = np.zeros((2, 3, 3))
    wanted[:, 1:] = np.tanh(3)
    np.testing.assert_allclose(returned["last_window_state"], wanted, rtol=1e-12)


def test_a_trace_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of every step counts, not the units: 4,096 steps of 32 heads of 128 x 128 are 8 GiB."""
    case = case_of(f"@'{ROOT}/samples/cells/gated_deltanet.toml'(4096, heads=32)", "float32", started=False)
    inputs = np.broadcast_to(np.float32(0), (1, 4096, case.inputs.shape[-1]))
    asked: list[int] = []
    monkeypatch.setattr("rnncli.process.memory.total", lambda: 2**33)
    monkeypatch.setattr("rnncli.process.memory.free", lambda: 2**34)
    monkeypatch.setattr(compute, "run", lambda *_: asked.append(1))
    with pytest.raises(InputError, match="the trace would need"):
        tracing.trace(case._replace(inputs=inputs, weights=None))
    assert not asked
    said: list[Text] = []
    with progress.watched_by(SimpleNamespace(say=said.append, report=None)):
        tracing.trace(case._replace(inputs=inputs[:, :1024], weights=None))
    assert asked
    assert [*map(write, said)] == ["the trace needs 4.1 GiB of memory."]
    monkeypatch.setattr("rnncli.process.memory.free", lambda: 2**31)
    with pytest.raises(InputError, match=r"but 2.0 GiB are free"):
        tracing.trace(case._replace(inputs=inputs[:, :1024], weights=None))


def test_the_axes_of_a_printed_state_stand_in_its_order(rnncli: Run) -> None:
    """The window of Mamba-2 has its taps before the groups, which the memory has first."""
    printed = rnncli("run", "-l", f"@{ROOT}/samples/cells/mamba2_layer.toml(16, return_state=True)").stdout
    for name, head, labels in (
        ("last_memory_state", "numbers 0", "groups 0 +repeats 0 +values 0"),
        ("last_value_window_state", "values 0", "taps 0 +groups 0 +repeats 0"),
    ):
        assert re.search(rf"{name} +\S.*\) +{head} +1 .*\n.* {labels} ", printed)
