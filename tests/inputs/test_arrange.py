"""What was read, brought to (batch, timesteps, features) with a mask."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnncli.errors import RnncliError, UsageError
from rnncli.inputs.arrange import AXIS_NAMES, ArrangeOptions, AxisOrder, arrange
from rnncli.inputs.generated import add_batch, make_input, parse_shape
from rnncli.values import FILLS, Document, format_shape

CUBE = np.arange(24.0).reshape(2, 3, 4)
RAGGED = (np.full((4, 2), 1.0), np.full((4, 2), 2.0), np.full((3, 2), 3.0), np.full((1, 2), 4.0))


def arranged(inputs: Any, document: Any = None, **options: Any) -> Any:
    return arrange(document or Document(inputs=inputs), ArrangeOptions(**options))


def complaint(inputs: Any, document: Any = None, **options: Any) -> str:
    with pytest.raises(RnncliError) as caught:
        arranged(inputs, document, **options)
    return str(caught.value)


def test_three_axes_stay_and_two_are_one_sequence() -> None:
    whole, one = arranged(CUBE), arranged(CUBE[0])
    np.testing.assert_array_equal(whole.inputs, CUBE)
    assert (whole.inputs.dtype, whole.mask, whole.remarks) == (np.float32, None, ())
    assert one.inputs.shape == (1, 3, 4)
    assert one.remarks == ("added a batch axis: (3, 4) -> (1, 3, 4)",)


@pytest.mark.parametrize("ndim", [4, 5, 6])
def test_convolutional_layers_take_more(ndim: int) -> None:
    shape = (2,) * ndim
    assert arranged(np.ones(shape), ndim=ndim).inputs.shape == shape
    assert arranged(np.ones(shape[1:]), ndim=ndim).inputs.shape == (1, *shape[1:])
    for other in (shape[2:], (2,)):
        assert f"needs {ndim} axes" in complaint(np.ones(other), ndim=ndim)


TIMES = ("time", "batch", "features")


@pytest.mark.parametrize(("inputs", "options", "said"), [
    (CUBE[0, 0], {}, "the input is 1-D, (4,)."),
    (CUBE[0, 0], {}, "--input-axes time"),
    (CUBE[None], {}, "the input is 4-D, (1, 2, 3, 4)."),
    (CUBE, {"axes": ("time", "feature")}, "the input is 3-D, (2, 3, 4), but --input-axes names 2"),
    (CUBE, {"axes": ("time", "timesteps", "batch")}, "the axis time is named twice"),
    (CUBE, {"axes": ("tme", "batch", "features")}, "there is no axis 'tme'.\nDid you mean time?"),
    (RAGGED, {}, "sequences differ in length: [0] has 4 time steps, [2] has 3."),
    (RAGGED, {}, "--pad post"),
    (RAGGED, {"pad": "post", "axes": TIMES}, "--input-axes"),
    (RAGGED, {"pad": "post", "ndim": 4}, "Make them equally long: a layer of 4 axes"),
    (CUBE[0, 0], {"where": "x.json", "mask": [True], "mask_where": "h"}, "x.json: the input is 1-D"),
    (np.ones((1, 1, 3)), {"mask": [[[1, 0, 1]]]}, "the mask is (1, 1, 3)"),
])  # fmt: skip
def test_what_does_not_fit_is_named(inputs: Any, options: Any, said: str) -> None:
    assert said in complaint(inputs, **options)


@given(st.permutations(["batch", "time", "features"]), st.integers(1, 3))
def test_every_order_of_every_number_of_axes(names: Any, count: int) -> None:
    names = tuple(names[:count])
    sizes = {"batch": 2, "time": 3, "features": 4}
    array = np.random.default_rng(0).random([sizes[name] for name in names])
    found = arranged(array, axes=names, dtype="float64").inputs
    assert found.shape == tuple(sizes[name] if name in names else 1 for name in sizes)
    for place in np.ndindex(*array.shape):
        at = dict(zip(names, place, strict=True))
        assert found[at.get("batch", 0), at.get("time", 0), at.get("features", 0)] == array[place]


@pytest.mark.parametrize("name", AXIS_NAMES)
def test_every_name_of_an_axis(name: str) -> None:
    expected = [1, 1, 1]
    expected[("batch", "time", "features").index(AXIS_NAMES[name])] = 5
    assert arranged(np.ones(5), axes=(name.upper(),)).inputs.shape == tuple(expected)


@pytest.mark.parametrize("pad", ["pre", "post"])
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4))
def test_what_was_there_is_there_and_unmasked(pad: str, lengths: Any) -> None:
    random = np.random.default_rng(1)
    sequences = tuple(random.random((length, 2)) for length in lengths)
    found = arranged(sequences, pad=pad, pad_value=-7.0, dtype="float64")
    assert found.inputs.shape == (len(lengths), max(lengths), 2)
    for row, sequence in enumerate(sequences):
        np.testing.assert_array_equal(found.inputs[row][found.mask[row]], sequence)
        assert (found.inputs[row][~found.mask[row]] == -7.0).all()
        assert found.mask[row, 0 if pad == "post" else -1]


@pytest.mark.parametrize("pad", ["pre", "post"])
def test_as_keras_pads(pad: str) -> None:
    keras = pytest.importorskip("keras")
    expected = keras.utils.pad_sequences([part.tolist() for part in RAGGED], padding=pad, dtype="float32")
    found = arranged(RAGGED, pad=pad, axes=("batch", "time", "features"))
    np.testing.assert_array_equal(found.inputs, expected)


def test_padding_joins_the_other_masks() -> None:
    found = arranged(RAGGED, pad="post", mask=[[1, 1, 1, 1]] * 3 + [[0, 1, 1, 1]], mask_value=2.0)
    assert found.mask.tolist() == [[True] * 4, [False] * 4, [True, True, True, False], [False] * 4]


def test_the_mask_of_the_document_gives_way_to_the_padding_of_an_option_alone() -> None:
    first, two = [[True, False]], (np.ones((2, 1)), np.ones((1, 1)))
    padded = Document(inputs=two, mask=[[True, False]] * 2)
    assert arranged(None, padded, pad="post").mask.tolist() == [[True, True], [True, False]]
    assert arranged(None, padded._replace(pad="post")).mask.tolist() == [[True, False]] * 2
    unpadded = Document(inputs=np.ones((1, 2, 1)), mask=first)
    assert arranged(None, unpadded, pad="post").mask.tolist() == first


@pytest.mark.parametrize(
    "mask", [[True, False, True], [1, 0, 1], [[1, 0, 1]], [[1, 0, 1], [1.0, 0.0, 1.0]], np.array([1, 0, 1])]
)
def test_all_forms_of_a_mask(mask: Any) -> None:
    found = arranged(CUBE, mask=mask).mask
    assert found.dtype == bool
    assert found.tolist() == [[True, False, True]] * 2


@pytest.mark.parametrize(("mask", "found"), [([[[1, 0, 1], [0, 1, 1]]],) * 2, ([1, 0], [[1, 0]])])
def test_sequences_of_sequences_may_have_an_entry_for_each_inner_step(mask: Any, found: Any) -> None:
    nested = arranged(np.ones((1, 2, 3, 4)), mask=mask, ndim=4, mask_ranks=(2, 3))
    np.testing.assert_array_equal(nested.mask, found)


def test_the_mask_of_the_options_wins_over_that_of_the_document() -> None:
    document = Document(inputs=CUBE, mask=[True, True, False])
    assert arranged(None, document).mask.tolist() == [[True, True, False]] * 2
    assert arranged(None, document, mask=[False, True, True]).mask.tolist() == [[False, True, True]] * 2


@pytest.mark.parametrize(("mask", "said"), [
    ([[1, 0]], "the mask is (1, 2), but the input is (2, 3, 4).\nA mask is (batch, timesteps), here"),
    ([1, 0, 2], "mask[2] is 2."),
    ([[1, 0, 1], [1, "NaN", 1]], 'mask[1][1] is the text "NaN", not true or false.\nWrite true'),
    ([1, 0, "x"], 'mask[2] is the text "x"'),
    ([1, 0, None], "mask[2] is null, not true or false.\nWrite true for a step"),
    ([[1, 0, 1], [1]], "mask[0] has 3 entries, [1] has 1."),
    (True, "mask is true, not nested lists of entries.\nWrite true for a step"),
    (np.array([0, np.nan, 1]), "mask[1] is nan."),
    (np.array(["a", "b", "c"]), "the mask has dtype"),
])  # fmt: skip
def test_a_bad_mask(mask: Any, said: str) -> None:
    """With the name of its own source, a file or the document."""
    names = {"where": "x.json", "mask_where": "h.csv"}
    assert f"h.csv: {said}" in complaint(CUBE, mask=mask, **names)
    assert f"x.json: {said}" in complaint(None, Document(inputs=CUBE, mask=mask), **names)


@given(
    hnp.arrays(
        np.float32,
        (2, 3, 2),
        elements=st.sampled_from(list(np.array([0.0, -0.0, 0.1, 1.0, np.nan], np.float32))),
    ),
    st.sampled_from([0.0, 0.1, 1.0, float("nan")]),
)
def test_mask_value_as_keras_masking(inputs: Any, value: float) -> None:
    keras = pytest.importorskip("keras")
    expected = np.asarray(keras.layers.Masking(value).compute_mask(keras.ops.convert_to_tensor(inputs)))
    np.testing.assert_array_equal(arranged(inputs, mask_value=value).mask, expected)
    np.testing.assert_array_equal(arranged(np.array([[[0.1]]]), mask_value=0.1).mask, [[False]])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_cast(dtype: str) -> None:
    assert arranged(CUBE, dtype=dtype).inputs.dtype == ("float32" if dtype == "bfloat16" else dtype)


@pytest.mark.parametrize(("numbers", "dtype", "remarks"), [
    ([1e300, np.inf, 1.0], "float32", ("1 number is too large for float32: stored as infinity",)),
    ([1e300, np.inf, 1.0], "float64", ()),
    ([1e5, 7e4], "float16", ("2 numbers are too large for float16: stored as infinity",)),
])  # fmt: skip
def test_what_overflows_is_remarked(numbers: Any, dtype: str, remarks: Any) -> None:
    assert arranged(np.array([[numbers]]), dtype=dtype).remarks == remarks


def test_feature_names_stay_where_they_fit() -> None:
    document = Document(inputs=CUBE, feature_names=("a", "b", "c", "d"))
    assert arranged(None, document).names.features == document.feature_names
    assert arranged(None, document, axes=("features", "batch", "time")).names.features == ()


@pytest.mark.parametrize(("axes", "features", "sequences"), [
    (("time", "features"), ("a", "b", "c"), ()),
    (("features", "time"), (), ()),
    (("features", "batch"), (), ("a", "b", "c")),
    (("batch", "time", "features"), ("a", "b", "c"), ("m", "n", "o")),
    (("time", "features", "batch"), (), ("a", "b", "c")),
    (("features", "time", "batch"), ("m", "n", "o"), ("a", "b", "c")),
])  # fmt: skip
def test_names_travel_with_their_axis(axes: Any, features: Any, sequences: Any) -> None:
    inputs = np.ones((3,) * len(axes))
    groups = ("m", "n", "o") if len(axes) == 3 else ()
    document = Document(inputs=inputs, feature_names=("a", "b", "c"), sequence_names=groups)
    found = arranged(None, document, axes=axes)
    assert (found.names.features, found.names.sequences) == (features, sequences)


def test_generated_inputs() -> None:
    assert set(FILLS) == {"normal", "uniform", "zeros", "ones", "arange"}
    random = np.random.default_rng(3).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(make_input((2, 3, 4), "normal", 3, "float32"), random)
    uniform = make_input((2, 3, 4), "uniform", 3, "float32")
    assert 0 <= uniform.min() < uniform.max() < 1
    assert make_input((2, 2), "zeros", 0, "float32").tolist() == [[0, 0], [0, 0]]
    assert make_input((1, 2, 2), "arange", 0, "float32").tolist() == [[[0, 0.25], [0.5, 0.75]]]
    ones = make_input((2, 2), "ones", 0, "float64")
    assert (ones.tolist(), str(ones.dtype)) == ([[1, 1], [1, 1]], "float64")
    for fill in ("normal", "uniform"):
        first, again, other = (make_input((5,), fill, seed, "float32") for seed in (1, 1, 2))
        assert (first == again).all()
        assert (first != other).any()
    for shape, fill, said in (((1,), "zeroes", "Did you mean zeros"), ((10**7, 10**6), "ones", "smaller")):
        with pytest.raises(UsageError, match=said):
            make_input(shape, fill, 0, "float32")


@pytest.mark.parametrize(("text", "shape", "written"), [
    ("2,10,8", (2, 10, 8), "(2, 10, 8)"),
    (" 2 , 10 ,8 ", (2, 10, 8), "(2, 10, 8)"),
    ("(3,)", (3,), "(3,)"),
    ("None,10,8", (None, 10, 8), "(None, 10, 8)"),
    ("batch,none,8", ("batch", None, 8), "(batch, None, 8)"),
])  # fmt: skip
def test_shapes(text: str, shape: Any, written: str) -> None:
    assert parse_shape(text) == parse_shape(written) == shape
    assert format_shape(shape) == written


@pytest.mark.parametrize(
    ("shape", "rank", "is_series"),
    [((5, 3), 3, True), ((5, 1), 3, False), ((1, 3), 3, True), ((5, 4, 3), 4, False), ((5, 4, 1), 4, False)],
)
def test_a_shape_of_a_layer_may_be_a_series_of_one_feature(shape: Any, rank: int, is_series: bool) -> None:
    new, remarks = add_batch(shape, rank)
    assert new == (1, *shape)
    assert ("for one feature in" in str(remarks[0])) == is_series


def test_a_shape_of_too_many_axes_gets_an_example_of_three() -> None:
    with pytest.raises(UsageError, match=r"such as 2,3,4\.$"):
        add_batch((2, 3, 4, 5), 3)


def test_an_input_of_one_axis_says_how_to_read_it() -> None:
    said = complaint(np.arange(4.0))
    assert said.startswith("the input is 1-D, (4,).")
    for name in ("time", "features"):
        assert f"--input-axes {name}" in said or f"input_axes='{name}'" in said
    assert "This layer needs 4 axes" in complaint(np.arange(4.0), ndim=4)
    assert complaint(np.zeros((1, 1, 1, 1))).startswith("the input is 4-D, (1, 1, 1, 1).")


def test_both_orders_are_shown_only_where_the_other_one_fits() -> None:
    """(4, 3, 2) is read batch first; three lengths of at most 4 fit the other order, four do not."""
    inputs, both = np.zeros((4, 3, 2)), "Read time first, it has 3 sequences of 4 time steps"
    assert both in complaint(inputs, lengths=(4, 1, 2))
    assert both in complaint(inputs, mask=np.ones((3, 4)))
    assert both not in complaint(inputs, lengths=(5, 1, 2))
    assert both not in complaint(inputs, lengths=(1, 2))
    assert both not in complaint(inputs, lengths=(4, 1, 2), order=None)
    assert both not in complaint(inputs, mask=np.ones((3, 4)), order=None)
    assert both not in complaint(inputs, mask=np.ones((3, 5)))
    turned = complaint(inputs, lengths=(4, 1, 2), order=AxisOrder(False, "--input-axes batch,time,features"))
    assert "read time first" in turned
    assert "Read batch first" in turned
    assert "which fits: --input-axes batch,time,features" in turned
    assert both not in complaint(inputs[0], lengths=(1, 2))
