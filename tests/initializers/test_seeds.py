"""Random bits and draws: known answers, then Keras itself."""

import random

import keras
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rnncli.initializers import _draws, seed_stream

SEEDS = st.integers(-(2**63), 2**63 - 1)
SIZES = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 64, 129, 1001])
DTYPES = st.sampled_from(["float16", "float32", "float64"])
NEAR = {"float16": 2e-3, "float32": 2.4e-7, "float64": 1e-14}


def test_key_counter_and_first_block_of_seed_42() -> None:
    source = _draws.stream(42)
    assert source.key == (0x89E74CEF, 0x53939B05)
    assert source.upper == (0x8E9181C6, 0xB2CA7BFA)
    assert source.first(1).tolist() == [[0x48A426C5, 0x3CBFCC20, 0x715B9425, 0x9E0295FB]]


@pytest.mark.parametrize(("seed", "reduced"), [(-1, 2147483645), (2**31 - 1, 1), (2**31, 2), (2**32 - 1, 3)])
def test_seeds_are_reduced(seed: int, reduced: int) -> None:
    assert _draws.stream(seed) == _draws.stream(reduced)


def test_blocks_count_past_32_bits() -> None:
    source = _draws.stream(7)
    far = source.words(np.asarray([2**32, 0], np.uint64))
    expected = _draws.philox([np.full(1, word, np.uint64) for word in (0, 1, *source.upper)], source.key)
    assert far[0].tolist() == expected[0].tolist()
    assert far[0].tolist() != far[1].tolist()


@given(SEEDS, SIZES, DTYPES)
@example(2147483646, 5, "float32")
def test_uniform_is_kerass_bit_for_bit(seed: int, size: int, dtype: str) -> None:
    theirs = np.asarray(keras.random.uniform((size,), -0.3, 0.7, dtype, seed))
    ours = _draws.uniform((size,), -0.3, 0.7, dtype, seed)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("draw", ["normal", "truncated_normal"])
@given(SEEDS, SIZES, DTYPES)
def test_normals_are_kerass(draw: str, seed: int, size: int, dtype: str) -> None:
    theirs = np.asarray(getattr(keras.random, draw)((size,), 0.0, 1.0, dtype, seed))
    ours = getattr(_draws, draw)((size,), 0.0, 1.0, dtype, seed)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs, atol=NEAR[dtype], rtol=NEAR[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_truncated_draw_is_kerass(dtype: str) -> None:
    theirs = np.asarray(keras.random.truncated_normal((60_001,), 0.0, 1.0, dtype, 5))
    ours = _draws.truncated_normal((60_001,), 0.0, 1.0, dtype, 5)
    np.testing.assert_allclose(ours, theirs, atol=NEAR[dtype], rtol=NEAR[dtype])
    assert np.abs(ours).max() < 2


@given(
    st.integers(0, 2**32), st.floats(0.01, 0.99), st.sampled_from(["float32", "float64"]),
    st.tuples(st.integers(1, 5), st.integers(1, 40)),
)  # fmt: skip
@pytest.mark.slow
def test_dropout_masks_are_kerass(seed: int, rate: float, dtype: str, shape: tuple[int, int]) -> None:
    generator = keras.random.SeedGenerator(seed)
    for k in range(3):
        theirs = np.asarray(keras.random.dropout(keras.ops.ones(shape, dtype), rate, seed=generator))
        ours = _draws.dropout_mask(shape, rate, dtype, seed, k)
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rate_that_meets_a_draw_exactly_keeps_it(dtype: str) -> None:
    drawn = _draws.unit_uniform((64,), dtype, 11, 0)
    for rate in map(float, drawn[:16]):
        theirs = keras.random.dropout(keras.ops.ones((64,), dtype), rate, seed=keras.random.SeedGenerator(11))
        np.testing.assert_array_equal(_draws.dropout_mask((64,), rate, dtype, 11, 0), np.asarray(theirs))


def test_a_whole_dropout_keeps_nothing() -> None:
    assert not _draws.dropout_mask((2, 3), 1.0, "float32", 1, 0).any()


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
def test_the_stream_is_pythons_after_set_random_seed(seed: int) -> None:
    keras.utils.set_random_seed(seed)
    stream = seed_stream(seed)
    assert [stream() for _ in range(5)] == [random.randint(1, 10**9) for _ in range(5)]
