"""A batch in chunks: the plan, the same numbers as a whole one, and arrays that stay in their file."""

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claims import claim
from hypothesis import given
from hypothesis import strategies as some

from rnncli import arrays, compute, specs
from rnncli.errors import InputError, UsageError
from rnncli.inputs.arrange import ArrangeOptions, arrange
from rnncli.inputs.formats import Source, npy, read, read_raw
from rnncli.layers.case import Case
from rnncli.process import memory
from rnncli.values import Document

RANDOM = np.random.default_rng(3)
EXPRESSIONS = (
    "LSTM(3)",
    "LSTM(4, return_sequences=True, return_state=True)",
    "GRU(3, return_sequences=True, go_backwards=True)",
    "SimpleRNN(3, return_state=True)",
    "Bidirectional(LSTM(3, return_sequences=True, return_state=True))",
    "Bidirectional(GRU(3, return_sequences=True), merge_mode=None)",
    "RNN([LSTMCell(3), GRUCell(2)], return_sequences=True, return_state=True)",
)

NARROW = "LSTM(3, dtype='bfloat16', recurrent_initializer='he_uniform', return_state=True)"


def case_of(expression: str | list[str], batch: int = 11, timesteps: int = 5, **more: Any) -> Case:
    layers = specs.from_flags([expression] if isinstance(expression, str) else expression, {})
    inputs = RANDOM.standard_normal((batch, timesteps, 4)).astype(np.float32)
    return Case(layers, inputs, seed=7, **more)


def budget_for(case: Case, sequences: int) -> int:
    """A budget that holds so many of the case's sequences."""
    return sequences * compute.bytes_of_a_sequence(case, case.stack)


class TestPlan:
    @pytest.mark.slow
    @given(some.integers(1, 400), some.integers(1, 10**6))
    def test_the_chunks_are_the_batch(self, batch: int, budget: int) -> None:
        case = case_of("LSTM(3)", batch)
        found = compute.plan(case, budget)
        assert [index for chunk in found for index in range(batch)[chunk]] == list(range(batch))
        sizes = [chunk.stop - chunk.start for chunk in found]
        assert max(sizes) - min(sizes) <= max(1, len(sizes) - 1)
        assert max(sizes) == 1 or budget_for(case, max(sizes)) <= budget

    @pytest.mark.parametrize(("expression", "batch", "sequences", "count"), [
        ("LSTM(3)", 300, 10**6, 1),
        # Few sequences go whole where the budget holds them; more than is comfortable goes in chunks.
        ("LSTM(64)", compute.ROWS, 10**6, 1),
        ("LSTM(64)", compute.ROWS, compute.ROWS // 4, 4),
        ("LSTM(64)", 4 * compute.ROWS, 10**6, 4),
    ])  # fmt: skip
    def test_how_many_chunks(self, expression: str, batch: int, sequences: int, count: int) -> None:
        case = case_of(expression, batch, 2000 if "64" in expression else 5)
        assert len(compute.plan(case, budget_for(case, sequences))) == count
        assert (budget_for(case, compute.ROWS) > compute.COMFORTABLE) == ("64" in expression)

    @pytest.mark.parametrize(("expression", "more", "whole"), [
        ("LSTM(3, stateful=True)", {}, True),
        ("Bidirectional(LSTM(3, stateful=True))", {}, True),
        ("LSTM(3, dropout=0.5)", {"training": True}, True),
        ("RNN(GRUCell(3, recurrent_dropout=0.5))", {"training": True}, True),
        ("Dropout(0.5)", {"training": True}, True),
        ("LSTM(3)", {"with_trace": True}, True),
        ("LSTM(3, dropout=0.5)", {}, False),
        ("LSTM(3)", {"training": True}, False),
    ])  # fmt: skip
    def test_what_belongs_together_goes_whole(self, expression: str, more: Any, whole: bool) -> None:
        assert (len(compute.plan(case_of(expression, **more), 1)) == 1) is whole

    def test_chunks_that_are_let_go_may_exceed_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        case = case_of("LSTM(3, return_sequences=True)", 400, 50)
        budget = budget_for(case, 20)
        monkeypatch.setattr(memory, "total", lambda: 150_000)
        parts = compute.run_chunks(case, "auto", compute.plan(case, budget))
        assert sum(len(part.outputs[0].values) for part in parts) == 400
        for refused in (budget, 2**40):
            with pytest.raises(InputError, match="memory"):
                compute.run(case, budget=refused)


STATES = tuple(RANDOM.standard_normal((11, 4)).astype(np.float32) for _ in range(2))
STACK = ["Masking()", "GRU(4, return_sequences=True)", "LSTM(2)", "Dense(3)"]
ALIKE: list[tuple[Any, dict[str, Any], str]] = [
    *((expression, {}, "numpy") for expression in EXPRESSIONS),
    *((expression, {"mask": RANDOM.random((11, 5)) < 0.6}, "numpy") for expression in EXPRESSIONS[:5]),
    (EXPRESSIONS[1], {"initial_state": STATES}, "numpy"),
    (STACK, {"all_layers": True}, "numpy"),
    ("LSTM(3)", {"calls": 3}, "numpy"),
    (EXPRESSIONS[4], {}, "tensorflow"),
    (EXPRESSIONS[1], {}, "onnx"),
]


class TestTheSameNumbers:
    @pytest.mark.parametrize(("expression", "more", "engine"), ALIKE)
    def test_of_a_whole_batch(self, expression: Any, more: dict[str, Any], engine: str) -> None:
        case = case_of(expression, **more)
        assert len(compute.plan(case, budget_for(case, 3))) > 1
        whole = compute.run(case, engine, 2**40)
        parted = compute.run(case, engine, budget_for(case, 3))
        assert parted.input_shape == whole.input_shape
        assert [tensor.name for tensor in parted.outputs] == [tensor.name for tensor in whole.outputs]
        for mine, theirs in zip(parted.outputs, whole.outputs, strict=True):
            assert mine.values.shape == theirs.values.shape
            assert mine.equals == theirs.equals
            np.testing.assert_allclose(mine.values, theirs.values, rtol=0, atol=1e-6)

    def test_a_claim_that_one_chunk_breaks_is_not_made(self) -> None:
        whole = compute.run(case_of(EXPRESSIONS[1], 4), "numpy")
        halves = list(compute.split_result(whole, [2, 2], case_of(EXPRESSIONS[1], 4)))
        assert compute.join_results(iter(halves), 4).outputs[1].equals == (claim("hidden_states[:, -1, :]"),)
        broken = halves[1].outputs[1]._replace(equals=())
        halves[1] = dataclasses.replace(
            halves[1], outputs=(halves[1].outputs[0], broken, halves[1].outputs[2])
        )
        assert compute.join_results(iter(halves), 4).outputs[1].equals == ()

    @pytest.mark.parametrize("expression", EXPRESSIONS)
    def test_time_in_blocks(self, expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
        case = case_of(expression, timesteps=7)
        whole = compute.run(case, "numpy")
        monkeypatch.setattr(arrays, "BLOCK", 11 * 20 * 2)
        for mine, theirs in zip(compute.run(case, "numpy").outputs, whole.outputs, strict=True):
            np.testing.assert_allclose(mine.values, theirs.values, rtol=0, atol=1e-6)


class TestUnfolded:
    @pytest.fixture(params=[compute.IN_MEMORY, 100], ids=["in memory", "in a file"], autouse=True)
    def waiting(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compute, "IN_MEMORY", request.param)

    @pytest.mark.parametrize("expression", [*EXPRESSIONS, NARROW])
    def test_the_numbers_of_the_joined(self, expression: str) -> None:
        case, engine = case_of(expression), "tensorflow" if "bfloat16" in expression else "numpy"
        plan = compute.plan(case, budget_for(case, 3))
        whole = compute.join_results(compute.run_chunks(case, engine, plan), 11)
        found = compute.ChunkedResult(compute.run_chunks(case, engine, plan), 11)
        assert found.result.input_shape == whole.input_shape
        for mine, theirs in zip(found.outputs, whole.outputs, strict=True):
            parts = list(mine.values.parts)
            assert len(parts) == 4
            assert (mine.name, mine.axes, mine.values.shape) == (
                theirs.name,
                theirs.axes,
                theirs.values.shape,
            )
            assert mine.values.dtype == theirs.values.dtype
            assert np.array_equal(np.concatenate(parts), theirs.values)
        assert found.summary.equals == {tensor.label: tensor.equals for tensor in whole.outputs}

    def test_every_engine_is_named(self) -> None:
        whole = compute.run(case_of("LSTM(3)", 4), "numpy")
        halves = list(compute.split_result(whole, [2, 2], case_of("LSTM(3)", 4)))
        halves[0] = dataclasses.replace(halves[0], engines=("onnx",))
        found = compute.ChunkedResult(iter(halves), 4)
        assert sum(len(part) for part in found.outputs[0].values.parts) == 4
        assert found.summary.engines == ("onnx", "numpy")

    def test_nowhere_to_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        case = case_of(EXPRESSIONS[1])
        plan = compute.plan(case, budget_for(case, 3))
        found = compute.ChunkedResult(compute.run_chunks(case, "numpy", plan), 11)
        monkeypatch.setattr(found._waiting[1].file, "write", full)
        with pytest.raises(UsageError, match=r"No space left on device.*\n.*TMPDIR"):
            list(found.outputs[0].values.parts)


def test_a_model_leaves_a_large_file_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(npy, "MAPPED_FROM", 0)
    monkeypatch.delattr(npy, "load")
    np.save(tmp_path / "a.npy", np.ones((2, 3, 4)))
    assert arrays.is_mapped(read_raw(Source("a.npy", path=tmp_path / "a.npy")).inputs)


class TestMapped:
    @pytest.fixture(autouse=True)
    def everything_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(npy, "MAPPED_FROM", 0)
        monkeypatch.setattr(arrays, "BLOCK", 40)

    @pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "f2", "i2"])
    @pytest.mark.parametrize("axes", [None, ("time", "batch", "features")])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_as_if_it_were_in_memory(
        self, tmp_path: Path, dtype: str, axes: tuple[str, ...] | None, order: Any
    ) -> None:
        array = (RANDOM.standard_normal((9, 5, 4)) * 9).astype(dtype, order=order)
        np.save(tmp_path / "a.npy", array)
        document = read(Source("a.npy", path=tmp_path / "a.npy"))
        assert arrays.is_mapped(document.inputs)
        options = ArrangeOptions(axes=axes, mask_value=3)
        large, small = arrange(document, options), arrange(Document(inputs=array), options)
        assert arrays.is_mapped(large.inputs)
        assert not arrays.is_mapped(small.inputs)
        assert large.inputs.dtype == small.inputs.dtype == np.float32
        assert np.array_equal(np.asarray(large.inputs), small.inputs)
        assert large.mask is not None
        assert small.mask is not None
        np.testing.assert_array_equal(large.mask, small.mask)
        layers = specs.from_flags(["LSTM(3, return_sequences=True)"], {})
        whole = compute.run(Case(layers, small.inputs, small.mask, seed=1), "numpy")
        case = Case(layers, large.inputs, large.mask, seed=1)
        parted = compute.run(case, "numpy", budget_for(case, 2))
        np.testing.assert_allclose(parted.outputs[0].values, whole.outputs[0].values, rtol=0, atol=1e-6)

    def test_what_float32_cannot_hold_is_counted_through_all_blocks(self, tmp_path: Path) -> None:
        array = np.ones((9, 5, 4))
        array[0, 0, 0], array[8, 4, 3], array[4, 0, 0] = 1e300, -1e300, np.inf
        np.save(tmp_path / "a.npy", array)
        said = arrange(read(Source("a.npy", path=tmp_path / "a.npy"))).remarks
        assert said == ("2 numbers are too large for float32: stored as infinity",)

    def test_what_was_read_is_let_go_and_comes_back(self, tmp_path: Path) -> None:
        array = RANDOM.standard_normal((9, 5, 4))
        np.save(tmp_path / "a.npy", array)
        found = np.load(tmp_path / "a.npy", mmap_mode="r")
        assert sum(len(block) for block in arrays.blocks(found)) == 9
        assert np.array_equal(found, array)

    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_a_file_that_became_shorter_names_itself_once(self, tmp_path: Path, dtype: str) -> None:
        path = tmp_path / "a.npy"
        np.save(path, RANDOM.standard_normal((99, 5, 4)).astype(dtype))
        document = read(Source("a.npy", path=path))
        os.truncate(path, 200)
        options = ArrangeOptions(where="a.npy", mask_value=3)
        with pytest.raises(InputError, match=r"^a\.npy: it became shorter"):
            np.asarray(arrange(document, options).inputs)

    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("turned", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
    def test_any_index_is_that_of_numpy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any, turned: tuple[int, ...]
    ) -> None:
        monkeypatch.setattr(arrays, "SMALLEST_READ", 8)
        array = (RANDOM.standard_normal((9, 5, 4)) * 9).astype("f4", order=order)
        np.save(tmp_path / "a.npy", array)
        filed: Any = read(Source("a.npy", path=tmp_path / "a.npy")).inputs
        filed, array = arrays.change_view(filed, lambda view: view.transpose(turned)), array.transpose(turned)
        whole = slice(None)
        for index in (
            ..., 0, -1, np.int64(2), slice(1, 3), slice(None, None, -2), (0, 1), (whole, 1), (0, 1, 2),
            (..., 3), (whole, None, slice(3, 0, -1)), [0, 2], (0, [1, 2]), (whole, [0, 1]), slice(3, 3),
        ):  # fmt: skip
            assert np.array_equal(filed[index], array[index]), index
        with pytest.raises(IndexError):
            filed[99]


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("1K", 1024), ("256MB", 2**28), ("64 MiB", 2**26), ("1.5g", 3 * 2**29), ("10b", 10)],
)
def test_sizes(text: str, size: int) -> None:
    assert memory.parse(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1M", "0", "0.1", "1X", "1 M B", "nan", "1e9", "9" * 400])
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        memory.parse(text)
