"""What was read, brought to (batch, timesteps, features) with a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnncli.case import FILLS, Document, format_shape
from rnncli.errors import InputError, RnncliError, UsageError
from rnncli.inputs.arrange import AXIS_NAMES, ArrangeOptions, arrange, make_input
from rnncli.specs.shapes import parse_shape

CUBE = np.arange(24.0).reshape(2, 3, 4)
RAGGED = (np.full((4, 2), 1.0), np.full((4, 2), 2.0), np.full((3, 2), 3.0), np.full((1, 2), 4.0))


def arranged(inputs: Any, document: Any = None, **options: Any) -> Any:
    return arrange(document or Document(inputs=inputs), ArrangeOptions(**options))


def complaint(inputs: Any, **options: Any) -> str:
    with pytest.raises(RnncliError) as caught:
        arranged(inputs, **options)
    return str(caught.value)


class TestRank:
    def test_three_axes_stay(self) -> None:
        found = arranged(CUBE)
        np.testing.assert_array_equal(found.inputs, CUBE)
        assert found.inputs.dtype == np.float32
        assert found.mask is None
        assert found.remarks == ()

    def test_two_axes_are_one_sequence(self) -> None:
        found = arranged(CUBE[0])
        assert found.inputs.shape == (1, 3, 4)
        assert found.remarks == ("added a batch axis: (3, 4) -> (1, 3, 4)",)

    @pytest.mark.parametrize("ndim", [4, 5, 6])
    def test_convolutional_layers_take_more(self, ndim: Any) -> None:
        shape = (2,) * ndim
        assert arranged(np.ones(shape), ndim=ndim).inputs.shape == shape
        assert arranged(np.ones(shape[1:]), ndim=ndim).inputs.shape == (1, *shape[1:])
        assert f"needs {ndim} axes" in complaint(np.ones(shape[2:]), ndim=ndim)
        assert f"needs {ndim} axes" in complaint(np.ones(2), ndim=ndim)

    def test_one_axis_is_an_error_with_a_way_out(self) -> None:
        said = complaint(CUBE[0, 0])
        assert "the input is 1-D, (4,)." in said
        assert "--input-axes time" in said

    def test_four_axes_are_an_error(self) -> None:
        assert "the input is 4-D, (1, 2, 3, 4)." in complaint(CUBE[None])


class TestAxes:
    @given(st.permutations(["batch", "time", "features"]), st.integers(1, 3))
    def test_every_order_of_every_number_of_axes(self, names: Any, count: Any) -> None:
        names = tuple(names[:count])
        sizes = {"batch": 2, "time": 3, "features": 4}
        array = np.random.default_rng(0).random([sizes[name] for name in names])
        found = arranged(array, axes=names, dtype="float64").inputs
        assert found.shape == tuple(sizes[name] if name in names else 1 for name in sizes)
        for place in np.ndindex(*array.shape):
            at = dict(zip(names, place, strict=True))
            assert found[at.get("batch", 0), at.get("time", 0), at.get("features", 0)] == array[place]

    @pytest.mark.parametrize("name", AXIS_NAMES)
    def test_every_name(self, name: Any) -> None:
        place = ("batch", "time", "features").index(AXIS_NAMES[name])
        expected = [1, 1, 1]
        expected[place] = 5
        assert arranged(np.ones(5), axes=(name.upper(),)).inputs.shape == tuple(expected)

    @pytest.mark.parametrize(
        ("axes", "said"),
        [
            (("time", "feature"), "the input is 3-D, (2, 3, 4), but --input-axes names 2"),
            (("time", "timesteps", "batch"), "the axis time is named twice"),
            (("tme", "batch", "features"), "there is no axis 'tme'.\nDid you mean time?"),
        ],
    )
    def test_bad_axes(self, axes: Any, said: Any) -> None:
        assert said in complaint(CUBE, axes=axes)


class TestPadding:
    def test_without_it_the_first_two_that_differ_are_named(self) -> None:
        said = complaint(RAGGED)
        assert "sequences differ in length: [0] has 4 time steps, [2] has 3." in said
        assert "--pad post" in said

    @pytest.mark.parametrize("pad", ["pre", "post"])
    @given(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    def test_what_was_there_is_there_and_unmasked(self, pad: Any, lengths: Any) -> None:
        random = np.random.default_rng(1)
        sequences = tuple(random.random((length, 2)) for length in lengths)
        found = arranged(sequences, pad=pad, pad_value=-7.0, dtype="float64")
        assert found.inputs.shape == (len(lengths), max(lengths), 2)
        for row, sequence in enumerate(sequences):
            np.testing.assert_array_equal(found.inputs[row][found.mask[row]], sequence)
            assert (found.inputs[row][~found.mask[row]] == -7.0).all()
            last_or_first = found.mask[row, 0 if pad == "post" else -1]
            assert last_or_first

    def test_as_keras_pads(self) -> None:
        keras = pytest.importorskip("keras")
        for pad in ("pre", "post"):
            expected = keras.utils.pad_sequences(
                [part.tolist() for part in RAGGED], padding=pad, dtype="float32"
            )
            np.testing.assert_array_equal(arranged(RAGGED, pad=pad).inputs, expected)

    def test_it_joins_the_other_masks(self) -> None:
        found = arranged(RAGGED, pad="post", mask=[[1, 1, 1, 1]] * 3 + [[0, 1, 1, 1]], mask_value=2.0)
        assert found.mask.tolist() == [[True] * 4, [False] * 4, [True, True, True, False], [False] * 4]

    def test_not_with_other_axes_or_other_ranks(self) -> None:
        assert "--input-axes" in complaint(RAGGED, pad="post", axes=("time", "batch", "features"))
        assert "Make them equally long: a layer of 4 axes" in complaint(RAGGED, pad="post", ndim=4)
        assert arranged(RAGGED, pad="post", axes=("batch", "time", "features")).inputs.shape == (4, 4, 2)


class TestMask:
    @pytest.mark.parametrize(
        "mask",
        [[True, False, True], [1, 0, 1], [[1, 0, 1]], [[1, 0, 1], [1.0, 0.0, 1.0]], np.array([1, 0, 1])],
    )
    def test_all_its_forms(self, mask: Any) -> None:
        found = arranged(CUBE, mask=mask).mask
        assert found.dtype == bool
        assert found.tolist() == [[True, False, True]] * 2

    def test_sequences_of_sequences_may_have_an_entry_for_each_inner_step(self) -> None:
        inner = [[[1, 0, 1], [0, 1, 1]]]
        assert (
            arranged(np.ones((1, 2, 3, 4)), mask=inner, ndim=4).mask.tolist() == np.equal(inner, 1).tolist()
        )
        assert arranged(np.ones((1, 2, 3, 4)), mask=[1, 0], ndim=4).mask.tolist() == [[True, False]]
        assert "the mask is (1, 1, 3)" in complaint(np.ones((1, 1, 3)), mask=[[[1, 0, 1]]])

    def test_the_option_wins_over_the_document(self) -> None:
        document = Document(inputs=CUBE, mask=[True, True, False])
        assert arranged(None, document).mask.tolist() == [[True, True, False]] * 2
        assert arranged(None, document, mask=[False, True, True]).mask.tolist() == [[False, True, True]] * 2

    @pytest.mark.parametrize(
        ("mask", "said"),
        [
            (
                [[1, 0]],
                "the mask is (1, 2), but the input is (2, 3, 4).\nA mask is (batch, timesteps), here",
            ),
            ([1, 0, 2], "mask[2] is 2."),
            ([[1, 0, 1], [1, "NaN", 1]], 'mask[1][1] is the text "NaN", not true or false.\nWrite true'),
            ([1, 0, "x"], 'mask[2] is the text "x"'),
            ([1, 0, None], "mask[2] is null, not true or false.\nWrite true for a step"),
            ([[1, 0, 1], [1]], "mask[0] has 3 entries, [1] has 1."),
            (True, "mask is true, not nested lists of entries.\nWrite true for a step"),
            (np.array([0, np.nan, 1]), "mask[1] is nan."),
            (np.array(["a", "b", "c"]), "the mask has dtype"),
        ],
    )
    def test_a_bad_one(self, mask: Any, said: Any) -> None:
        assert said in complaint(CUBE, mask=mask)
        assert f"h.csv: {said}" in complaint(CUBE, mask=mask, where="x.json", mask_where="h.csv")
        document = Document(inputs=CUBE, mask=mask)
        with pytest.raises(InputError) as caught:
            arrange(document, ArrangeOptions(where="x.json", mask_where="h.csv"))
        assert f"x.json: {said}" in str(caught.value)

    def test_bad_inputs_are_of_their_own_source(self) -> None:
        said = complaint(CUBE[0, 0], where="x.json", mask=[True], mask_where="h.csv")
        assert said.startswith("x.json: the input is 1-D")

    @given(
        hnp.arrays(np.float32, (2, 3, 2), elements=st.sampled_from([0.0, -0.0, 0.1, 1.0, np.nan])),
        st.sampled_from([0.0, 0.1, 1.0, float("nan")]),
    )
    def test_mask_value_as_keras_masking(self, inputs: Any, value: Any) -> None:
        keras = pytest.importorskip("keras")
        expected = np.asarray(keras.layers.Masking(value).compute_mask(keras.ops.convert_to_tensor(inputs)))
        np.testing.assert_array_equal(arranged(inputs, mask_value=value).mask, expected)

    def test_mask_value_is_compared_in_the_dtype_of_the_layer(self) -> None:
        assert arranged(np.array([[[0.1]]]), mask_value=0.1).mask.tolist() == [[False]]


class TestDtype:
    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [("float16", "float16"), ("float32", "float32"), ("float64", "float64"), ("bfloat16", "float32")],
    )
    def test_cast(self, dtype: Any, expected: Any) -> None:
        assert arranged(CUBE, dtype=dtype).inputs.dtype == expected

    def test_what_overflows_is_remarked(self) -> None:
        found = arranged(np.array([[[1e300, np.inf, 1.0]]]))
        assert np.isinf(found.inputs).tolist() == [[[True, True, False]]]
        assert found.remarks == ("1 number is too large for float32: stored as infinity",)
        assert arranged(np.array([[[1e300, np.inf]]]), dtype="float64").remarks == ()
        assert arranged(np.array([[[1e5, 7e4]]]), dtype="float16").remarks == (
            "2 numbers are too large for float16: stored as infinity",
        )

    def test_feature_names_stay_where_they_fit(self) -> None:
        names = ("a", "b", "c", "d")
        assert arranged(None, Document(inputs=CUBE, feature_names=names)).feature_names == names
        moved = arranged(None, Document(inputs=CUBE, feature_names=names), axes=("features", "batch", "time"))
        assert moved.feature_names == ()


class TestMade:
    def test_fillings(self) -> None:
        random = np.random.default_rng(3).standard_normal((2, 3, 4)).astype(np.float32)
        np.testing.assert_array_equal(make_input((2, 3, 4), "normal", 3, "float32"), random)
        uniform = make_input((2, 3, 4), "uniform", 3, "float32")
        assert (uniform >= 0).all()
        assert (uniform < 1).all()
        assert make_input((2, 2), "zeros", 0, "float32").tolist() == [[0, 0], [0, 0]]
        assert make_input((2, 2), "ones", 0, "float32").tolist() == [[1, 1], [1, 1]]
        assert make_input((1, 2, 2), "arange", 0, "float32").tolist() == [[[0, 0.25], [0.5, 0.75]]]
        assert make_input((1, 2), "ones", 0, "float64").dtype == np.float64

    def test_seeds(self) -> None:
        for fill in ("normal", "uniform"):
            first, again, other = (make_input((5,), fill, seed, "float32") for seed in (1, 1, 2))
            assert (first == again).all()
            assert (first != other).any()

    def test_what_cannot_be_made(self) -> None:
        with pytest.raises(UsageError, match="Did you mean zeros"):
            make_input((1,), "zeroes", 0, "float32")
        with pytest.raises(UsageError, match="Make it smaller"):
            make_input((10**6, 10**6, 10), "zeros", 0, "float32")
        assert set(FILLS) == {"normal", "uniform", "zeros", "ones", "arange"}


class TestShapes:
    @pytest.mark.parametrize(
        ("text", "shape"),
        [
            ("2,10,8", (2, 10, 8)),
            (" 2 , 10 ,8 ", (2, 10, 8)),
            ("(2, 10, 8)", (2, 10, 8)),
            ("(3,)", (3,)),
            ("None,10,8", (None, 10, 8)),
            ("batch,none,8", ("batch", None, 8)),
        ],
    )
    def test_parse(self, text: Any, shape: Any) -> None:
        assert parse_shape(text) == shape
        assert parse_shape(format_shape(shape)) == shape

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "is empty"),
            ("()", "is empty"),
            ("2,,8", "an empty part"),
            ("2,0,8", "'0'"),
            ("2,-1,8", "'-1'"),
            ("2,1.5,8", "'1.5'"),
            ("2x10", "'2x10'"),
            ("2,²,3", "'²'"),
            ("9" * 40, "not a size"),
        ],
    )
    def test_the_bad_part_is_named(self, text: Any, said: Any) -> None:
        with pytest.raises(UsageError, match="input shape") as caught:
            parse_shape(text)
        assert said in str(caught.value)

    def test_format(self) -> None:
        assert format_shape((1, 4, 5)) == "(1, 4, 5)"
        assert format_shape((3,)) == "(3,)"
        assert format_shape((None, 4, "batch")) == "(None, 4, batch)"
        assert format_shape(()) == "()"
