"""Every layer that is computed without Keras, over its options, held to the Keras layer: numbers and mask."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from oracle import keras, make_layers
from plain_layers import ONE_INPUT, SEQUENCE, SEVERAL

from rnncli.errors import InputError
from rnncli.layers import plain
from rnncli.layers.plain import KerasCall, UnknownLayerError, operations

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")

RNG = np.random.default_rng(12)
NEAR = 1e-5


def weights_of(layer: Any) -> dict[str, np.ndarray]:
    """Random numbers in every variable, and the same by name."""
    found = {}
    for variable in layer.variables:
        if "seed" in variable.path:
            continue
        if variable.dtype.startswith("float"):
            values = np.abs(RNG.standard_normal(variable.shape)) + 0.1
            signs = 1 if "variance" in variable.name else RNG.choice([-1, 1], variable.shape)
            variable.assign(values * signs)
        found[variable.name] = variable.numpy()
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()
    return found


def with_mask(array: np.ndarray, mask: np.ndarray | None) -> Any:
    tensor = keras.ops.convert_to_tensor(array)
    if mask is not None:
        tensor._keras_mask = keras.ops.convert_to_tensor(mask)
    return tensor


def some_masks(shape: tuple[int, ...]) -> Iterator[np.ndarray | None]:
    yield None
    if len(shape) == 3:
        yield np.arange(shape[1]) < RNG.integers(1, shape[1], (shape[0], 1))
        yield RNG.random(shape[:2]) < 0.5


def config_of(layer: Any) -> dict[str, Any]:
    return dict(keras.saving.serialize_keras_object(layer)["config"])


def held(layer: Any, inputs: Any, masks: Any, what: str, takes_mask: bool) -> None:
    """One call of both, numbers and mask."""
    several = isinstance(inputs, list)
    tensors = [with_mask(*pair) for pair in zip(inputs, masks, strict=True)] if several else None
    given = tensors if several else with_mask(inputs, masks)
    layer(given)  # builds it
    weights = weights_of(layer)
    theirs = layer([with_mask(*pair) for pair in zip(inputs, masks, strict=True)] if several else given)
    call = KerasCall(
        config=config_of(layer), weights=weights, inputs=inputs, mask=masks if takes_mask else None,
        previous=masks, class_name=type(layer).__name__, layer=layer.name,
    )  # fmt: skip
    mine, mask = plain.compute(call, "keras.layers")
    expected, their_mask = keras.ops.convert_to_numpy(theirs), getattr(theirs, "_keras_mask", None)
    assert (mine.shape, mine.dtype) == (expected.shape, expected.dtype), what
    np.testing.assert_allclose(mine, expected, rtol=NEAR, atol=NEAR, err_msg=what)
    assert (mask is None) == (their_mask is None), f"{what}: {mask} {their_mask}"
    if mask is not None:
        np.testing.assert_array_equal(mask, their_mask, err_msg=what)


def test_every_layer_is_tested() -> None:
    tested = {expression.partition("(")[0] for expression in (*ONE_INPUT, *SEVERAL)}
    assert plain.LAYERS.keys() - tested == {"Embedding", "ThresholdedReLU"}  # Keras 3 lacks the second


@pytest.mark.slow
def test_layers_of_one_input() -> None:
    for expression, shapes in ONE_INPUT.items():
        for shape in shapes:
            for mask in some_masks(shape):
                (layer,) = make_layers(expression)
                if mask is not None and ("Softmax" in expression or "AveragePooling1D(data_" in expression):
                    continue  # Keras cannot, with a mask of (batch, timesteps)
                inputs = RNG.standard_normal(shape).astype("float32")
                if "Masking" in expression:
                    inputs[0, :3] = layer.mask_value
                held(layer, inputs, mask, f"{expression} on {shape}, mask {mask is not None}", True)


def test_softmax_takes_a_mask_of_its_own_shape() -> None:
    inputs = RNG.standard_normal((3, 5)).astype("float32")
    held(make_layers("Softmax()")[0], inputs, RNG.random((3, 5)) < 0.6, "Softmax", True)


@pytest.mark.parametrize("mask_zero", [True, False])
def test_embedding(mask_zero: bool) -> None:
    for dtype in ("int32", "int64", "float32"):
        ids = RNG.integers(0, 9, (3, 5)).astype(dtype)
        held(
            make_layers(f"Embedding(9, 4, mask_zero={mask_zero})")[0],
            ids, None, f"Embedding of {dtype}", True,
        )  # fmt: skip


def test_embedding_names_an_id_that_it_does_not_have() -> None:
    call = KerasCall(
        {}, {"embeddings": np.zeros((4, 2), "float32")}, np.array([[1, 4]]), class_name="Embedding", layer="e"
    )
    with pytest.raises(InputError, match=r"0 to 3; the id at \[0, 1\] is 4"):
        plain.compute(call)


@pytest.mark.slow
def test_layers_of_several_inputs() -> None:
    masks: list[Any] = list(some_masks(SEQUENCE))
    for expression in SEVERAL:
        attends = "Attention" in expression
        for first in masks:
            for second in masks:
                (layer,) = make_layers(expression)
                count = 2 if attends or expression.startswith(("Dot", "Subtract")) else 3
                given = [RNG.standard_normal(SEQUENCE).astype("float32") for _ in range(count)]
                own = [first, second, masks[1]][:count]
                held(layer, given, own, f"{expression}, masks {[mask is not None for mask in own]}", attends)


def test_joins_of_different_ranks() -> None:
    mask = RNG.random(SEQUENCE[:2]) < 0.5
    for expression in ("Add()", "Multiply()", "Maximum()", "Average()"):
        for own in (None, mask):
            given = [
                RNG.standard_normal(SEQUENCE).astype("float32"),
                RNG.standard_normal((3, 4)).astype("float32"),
            ]
            held(make_layers(expression)[0], given, [own, None], expression, False)


def test_what_is_not_known_is_named() -> None:
    x = np.zeros((1, 2, 3), "float32")
    for class_name, module in [("Lambda", "keras.layers"), ("Dense", "mine.layers"), ("Custom>Dense", "")]:
        with pytest.raises(UnknownLayerError, match="odd") as raised:
            plain.compute(KerasCall({}, {}, x, class_name=class_name, layer="odd"), module)
        assert raised.value.layer == "odd"
    for class_name, config in (
        ("Activation", {"activation": "my_own"}),
        ("UpSampling2D", {"interpolation": "area"}),
    ):
        call = KerasCall(config, {}, x[..., None], class_name=class_name, layer="odd")
        with pytest.raises(UnknownLayerError, match="|".join(config.values())):
            plain.compute(call)


@pytest.mark.parametrize(("class_name", "module", "may"), [
    ("Newest", "keras.layers", True), ("Newest", "my.module", False), ("Lambda", "keras.layers", False),
    ("Custom>Newest", "keras.layers", False), ("Lambda", "my.module", False),
])  # fmt: skip
def test_keras_may_know_a_layer_that_is_not_a_custom_one(class_name: str, module: str, may: bool) -> None:
    assert plain.keras_may_know(class_name, module) == may


def test_time_distributed_names_a_mask_that_its_layer_cannot_use() -> None:
    mask, x = np.ones((1, 2), bool), np.zeros((1, 2, 3), "float32")
    inner = {"class_name": "Softmax", "module": "keras.layers", "config": {}}
    call = KerasCall({"layer": inner}, {}, x, mask, class_name="TimeDistributed", layer="odd")
    with pytest.raises(UnknownLayerError, match=r"gives a mask of \(1, 2\) to Softmax"):
        plain.compute(call, "keras.layers")


def test_take_and_split_are_kerass() -> None:
    x, indices = RNG.standard_normal((2, 4, 3)).astype("float32"), np.array([2, 0])

    def ours(name: str, *args: Any, **options: Any) -> Any:
        call = KerasCall({}, {}, x, args=args, kwargs=options, class_name=name, layer="odd")
        return operations.compute(call)[0]

    wanted = keras.ops.take(x, indices, axis=1)
    np.testing.assert_array_equal(ours("Take", indices, axis=1), wanted)
    np.testing.assert_array_equal(ours("Take", indices=[2, 0], axis=1), wanted)
    for options in ({"indices_or_sections": 2, "axis": 1}, {"indices_or_sections": 2}):
        for part, theirs in zip(ours("Split", **options), keras.ops.split(x, **options), strict=True):
            np.testing.assert_array_equal(part, theirs)
