"""Every layout there and back, bit for bit; and the layers that a layout cannot hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rnncli import frameworks
from rnncli.cells import activations
from rnncli.errors import LayerError
from rnncli.frameworks import CellWeights, Chain, LayerWeights, torch
from rnncli.frameworks.keras import join_cells
from rnncli.frameworks.onnx import ACTIVATIONS
from rnncli.models.weights import find_layers
from rnncli.values import Array

DTYPES = ("float32", "float64")
CLASSES = ("SimpleRNN", "LSTM", "GRU")


def shapes_of(class_name: str, features: int, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    width = len(frameworks.GATES[class_name]) * config["units"]
    after = class_name == "GRU" and config.get("reset_after", True)
    shapes = {"kernel": (features, width), "recurrent_kernel": (config["units"], width)}
    bias = (2, width) if after else (width,)
    return shapes | ({"bias": bias} if config.get("use_bias", True) else {})


@st.composite
def cells_of(
    draw: Any, class_name: str, reset_after: bool, biased: bool, features: int, units: int, dtype: str
) -> Any:
    config: dict[str, Any] = {"units": units, "use_bias": biased}
    if class_name == "GRU":
        config["reset_after"] = reset_after
    shapes = shapes_of(class_name, features, config)
    return CellWeights(
        class_name, config, {name: draw(arrays(dtype, shape)) for name, shape in shapes.items()}
    )


def random_cells(
    classes: tuple[str, ...] = CLASSES, *, biased: bool | None = None, after: bool | None = None
) -> Any:
    either, size = st.booleans(), st.integers(1, 4)
    return st.tuples(
        st.sampled_from(classes), either if after is None else st.just(after),
        either if biased is None else st.just(biased), size, size, st.sampled_from(DTYPES),
    ).flatmap(lambda chosen: cells_of(*chosen))  # fmt: skip


def check_same_bits(ours: Mapping[Any, Array], theirs: Mapping[Any, Array]) -> None:
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        other = theirs[name]
        assert (array.dtype, array.shape) == (other.dtype, other.shape), name
        quiet = np.isnan(array) & np.isnan(other)  # the sum with -0.0 keeps a NaN, perhaps with other bits
        assert np.where(quiet, 0, array).tobytes() == np.where(quiet, 0, other).tobytes(), name


HELD = {
    "torch": random_cells(after=True),
    "cudnn": random_cells(("LSTM", "GRU"), biased=True, after=True),
    "onnx": random_cells(),
}
"""The cells that a layout can hold, with Keras's default activations."""


@pytest.mark.parametrize("name", HELD)
@given(data=st.data())
def test_there_and_back(name: str, data: Any) -> None:
    layout, cell = frameworks.get(name), data.draw(HELD[name])
    there = layout.from_keras(cell.class_name, cell.weights)
    if name == "onnx":  # with linear_before_reset, as it is written
        named = layout.name_arrays(Chain("", (LayerWeights("", (cell,)),)))
        there = {key: array if key == layout.ATTRIBUTE else array[0] for key, array in named.items()}
    check_same_bits(layout.to_keras(cell.class_name, there), cell.weights)


@given(cell=HELD["cudnn"])
def test_weights_of_cudnn_are_told_by_their_shapes(cell: CellWeights) -> None:
    """By name, below a path, and in the order of a layer with two directions."""
    layout = frameworks.get("cudnn")
    packed = layout.from_keras(cell.class_name, cell.weights)
    check_same_bits(layout.to_plain_layout(cell.weights), cell.weights)
    below, plain = ({f"a/{key}": arrays[key] for key in arrays} for arrays in (packed, cell.weights))
    check_same_bits(layout.to_plain_layout(below), plain)
    both = layout.to_plain_layer((*packed.values(), *packed.values()))
    check_same_bits(dict(enumerate(both)), dict(enumerate([*cell.weights.values()] * 2)))


def numbered(class_name: str, features: int = 3, units: int = 2, **config: Any) -> CellWeights:
    """A cell in which every number differs."""
    shapes = shapes_of(class_name, features, {"units": units, **config})
    weights = {
        name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 100 * index
        for index, (name, shape) in enumerate(shapes.items())
    }
    return CellWeights(class_name, {"units": units, **config}, weights)


def one_layer(class_name: str, name: str = "", **options: Any) -> Chain:
    return Chain(name, (LayerWeights(name, (numbered(class_name, **options),)),))


def two_way(first: CellWeights, second: CellWeights, merge_mode: str | None = "concat") -> Chain:
    return Chain("", (LayerWeights("", (first, second), merge_mode),))


REFUSED = [
    ("torch", one_layer("GRU", reset_after=False), "reset_after=False"),
    ("torch", one_layer("LSTM", activation="relu"), "relu"),
    ("torch", one_layer("SimpleRNN", activation="elu"), "elu"),
    ("torch", one_layer("LSTM", recurrent_activation="hard_sigmoid"), "hard_sigmoid"),
    ("torch", one_layer("GRU", recurrent_activation="hard_sigmoid_keras2"), "hard_sigmoid_keras2"),
    ("torch", one_layer("LSTM", cell_activation="relu"), "not relu"),
    ("torch", one_layer("GRU", go_backwards=True), "go_backwards"),
    ("torch", two_way(numbered("LSTM"), numbered("LSTM", units=3)), "2 and 3 units"),
    ("torch", two_way(numbered("LSTM"), numbered("LSTM", use_bias=False)), "use_bias"),
    ("torch", two_way(numbered("LSTM"), numbered("GRU")), "LSTM and GRU"),
    ("torch", two_way(numbered("LSTM", go_backwards=True), numbered("LSTM")), "go_backwards"),
    ("onnx", two_way(numbered("LSTM", go_backwards=True), numbered("LSTM")), "go_backwards"),
    ("cudnn", one_layer("SimpleRNN"), "not SimpleRNN"),
    ("cudnn", one_layer("LSTM", use_bias=False), "use_bias=False"),
    ("cudnn", one_layer("GRU", reset_after=False), "reset_after=False"),
    ("cudnn", one_layer("LSTM", activation="relu"), "relu"),
    ("cudnn", one_layer("LSTM", recurrent_activation="tanh"), "tanh"),
    ("cudnn", one_layer("LSTM", cell_activation="relu"), "not relu"),
    ("onnx", one_layer("LSTM", activation="gelu"), "gelu"),
    ("onnx", two_way(numbered("GRU"), numbered("GRU", units=3)), "2 and 3 units"),
    ("onnx", two_way(numbered("GRU"), numbered("GRU", reset_after=False)), "reset_after"),
]


@pytest.mark.parametrize(("name", "chain", "word"), REFUSED)
def test_what_a_layout_cannot_hold_is_refused_by_name(name: str, chain: Chain, word: str) -> None:
    with pytest.raises(LayerError, match=word):
        frameworks.convert(name, [chain])
    assert frameworks.convert("keras", [chain])


@pytest.mark.parametrize("name", ["torch", "cudnn", "onnx"])
@pytest.mark.parametrize("class_name", ["RNN", "ConvLSTM2D"])
def test_other_classes_are_refused(name: str, class_name: str) -> None:
    cell = numbered("LSTM")._replace(class_name=class_name)
    with pytest.raises(LayerError, match=class_name):
        frameworks.convert(name, [Chain("a", (LayerWeights("a", (cell,)),))])


def test_alike_layers_are_one_module_of_pytorch_and_others_are_several() -> None:
    first, second = numbered("LSTM", 3, 2), numbered("LSTM", 2, 2)
    stack = Chain("", (LayerWeights("0", (first,)), LayerWeights("1", (second,))))
    assert {"weight_ih_l0", "bias_hh_l1"} <= set(frameworks.convert("torch", [stack]))
    assert next(frameworks.get("torch").notes(stack)) == (
        "load into torch.nn.LSTM(3, 2, num_layers=2, batch_first=True)"
    )
    other = Chain("", (stack.layers[0], LayerWeights("1", (numbered("GRU", 2, 2),))))
    assert next(frameworks.get("torch").notes(other)) == (
        "0: load into a module whose 0 is torch.nn.LSTM(3, 2, batch_first=True)"
    )
    assert {"0.weight_ih_l0", "1.bias_hh_l0"} <= set(frameworks.convert("torch", [other]))
    wider = Chain("", (stack.layers[0], LayerWeights("1", (numbered("LSTM", 2, 3),))))
    assert {"0.weight_ih_l0", "1.weight_ih_l0"} <= set(frameworks.convert("torch", [wider]))


def notes_of(name: str, chain: Chain) -> list[str]:
    return list(map(str, frameworks.get(name).notes(chain)))


def test_a_node_that_pytorch_exported_gets_a_path_that_a_module_can_have() -> None:
    chain = one_layer("LSTM", "/encoder/LSTM")
    assert "encoder.LSTM.weight_ih_l0" in frameworks.convert("torch", [chain])
    assert notes_of("torch", chain)[0].startswith("encoder.LSTM: load into a module whose encoder")


def test_two_arrays_of_one_name_are_refused() -> None:
    chains = [one_layer("LSTM", "a/b"), one_layer("LSTM", "a.b")]
    with pytest.raises(LayerError, match=r"a\.b\.weight_ih_l0"):
        frameworks.convert("torch", chains)
    assert len(frameworks.convert("keras", chains)) == 6


def test_notes_say_what_the_arrays_do_not() -> None:
    relu = one_layer("SimpleRNN", activation="relu")
    assert "nonlinearity='relu'" in notes_of("torch", relu)[0]
    said = " ".join(notes_of("onnx", relu))
    assert "activation=relu" in said
    assert "linear_before_reset=1" in " ".join(notes_of("onnx", one_layer("GRU", "g")))
    assert "direction=reverse" in " ".join(notes_of("onnx", one_layer("GRU", go_backwards=True)))
    summed = two_way(numbered("LSTM"), numbered("LSTM"), "sum")
    assert "apply merge_mode='sum' yourself" in " ".join(notes_of("torch", summed))
    assert "bias_hh is zero" in " ".join(notes_of("torch", summed))
    assert not any("zero" in note for note in notes_of("torch", one_layer("GRU")))
    for name in ("torch", "cudnn", "onnx"):  # a GRU beside the LSTM has two biases of its own
        said = " ".join(notes_of(name, one_layer("LSTM")))
        assert " sums two biases: a single Keras bias is stored in " in said


@st.composite
def chains(draw: Any) -> Chain:
    """One to three layers, in one direction or in both; half of them are alike, as in one module."""
    alike, count, ways = draw(st.booleans()), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kind = st.tuples(st.sampled_from(CLASSES), st.booleans(), st.integers(1, 3))
    kinds = [draw(kind)] * count if alike else [draw(kind) for _ in range(count)]
    layers, width, dtype = [], draw(st.integers(1, 4)), draw(st.sampled_from(DTYPES))
    for number, (class_name, biased, units) in enumerate(kinds):
        made = tuple(draw(cells_of(class_name, True, biased, width, units, dtype)) for _ in range(ways))
        layers.append(LayerWeights(f"m_l{number}" if count > 1 else "m", made))
        width = ways * units
    return Chain("m", tuple(layers))


@pytest.mark.parametrize("name", ["keras", "torch", "onnx"])
@given(chain=chains())
@pytest.mark.slow
def test_what_is_named_is_recognized_again(name: str, chain: Chain) -> None:
    arrays = frameworks.convert(name, [chain])
    layers = find_layers("w.npz", arrays, [layer.name for layer in chain.layers], ordered=True)
    for layer, saved in zip(chain.layers, layers, strict=True):
        wanted = [array for cell in layer.cells for array in cell.weights.values()]
        check_same_bits(dict(enumerate(saved.weights)), dict(enumerate(wanted)))


@pytest.mark.parametrize("after", [False, True])
def test_onnx_says_where_a_gru_without_bias_resets(after: bool) -> None:
    chain = one_layer("GRU", "g", reset_after=after, use_bias=False)
    (recognized,) = frameworks.get("onnx").find_chains(frameworks.convert("onnx", [chain]))
    assert recognized.chain.layers[0].cells[0].config["reset_after"] == after


def test_onnx_attributes_are_arrays_of_one_number() -> None:
    arrays = frameworks.convert("onnx", [one_layer("GRU", "g", use_bias=False)])
    (name,) = (name for name in arrays if name.endswith("linear_before_reset"))
    for other in (np.zeros(2), 1):
        assert [*frameworks.get("onnx").find_chains({**arrays, name: other})] == []


@pytest.mark.parametrize(("kernel", "recurrent"), [
    ((1, 8, 3), (1, 6, 2)), ((3, 6, 3), (3, 6, 2)), ((6, 3), (1, 6, 2)), ((1, 6, 3), (6, 2)),
    ((1, 6, 3), (1, 6, 2)),
])  # fmt: skip
def test_onnx_arrays_fit_each_other(kernel: tuple[int, ...], recurrent: tuple[int, ...]) -> None:
    found = [*frameworks.get("onnx").find_chains({"g/W": np.ones(kernel), "g/R": np.ones(recurrent)})]
    assert len(found) == (len(kernel) == len(recurrent) == 3 and kernel[:2] == (1, 6))


@pytest.mark.parametrize(("kernel", "recurrent"), [
    ((6, 3), ()), ((6, 3), (2,)), ((6, 3), (1, 6, 2)), ((6,), (6, 2)), ((1, 6, 3), (6, 2)), ((8, 3), (6, 2)),
])  # fmt: skip
def test_torch_has_two_axes_and_as_many_rows(kernel: tuple[int, ...], recurrent: tuple[int, ...]) -> None:
    found = {"g.weight_ih_l0": np.ones(kernel), "g.weight_hh_l0": np.ones(recurrent)}
    assert [*frameworks.get("torch").find_chains(found)] == []


def test_torch_kernels_that_lie_are_turned() -> None:
    kernel, recurrent = np.arange(18.0).reshape(6, 3), np.arange(12.0).reshape(6, 2)
    upright, lying = (
        next(iter(frameworks.get("torch").find_chains({"g.weight_ih_l0": ih, "g.weight_hh_l0": hh})))
        for ih, hh in ((kernel, recurrent), (kernel.T, recurrent.T))
    )
    check_same_bits(*(found.chain.layers[0].cells[0].weights for found in (upright, lying)))


def test_torch_names_layers_that_are_missing() -> None:
    found = {f"g.weight_{kind}_l{number}": np.ones((6, 2)) for kind in ("ih", "hh") for number in (0, 2)}
    (chain,) = frameworks.get("torch").find_chains(found)
    assert "its layers are _l0, _l2: some are missing" in map(str, chain)


def test_a_missing_bias_of_torchs_gru_is_zero() -> None:
    roles = {"weight_ih": np.ones((6, 3)), "weight_hh": np.ones((6, 2)), "bias_ih": np.arange(1.0, 7)}
    bias = torch.to_keras("GRU", roles)["bias"]
    assert bias.shape == (2, 6)
    assert sorted(bias[0]) == [1, 2, 3, 4, 5, 6]
    assert not bias[1].any()


def test_an_lstm_of_onnx_has_the_options_of_an_lstm() -> None:
    arrays = frameworks.convert("onnx", [one_layer("LSTM", "g")])
    (recognized,) = frameworks.get("onnx").find_chains(arrays)
    assert "reset_after" not in recognized.chain.layers[0].cells[0].config


@pytest.mark.parametrize("other", [("GRU", 3), ("LSTM", 4)])
def test_two_directions_are_alike(other: tuple[str, int]) -> None:
    cells = [
        CellWeights(name, {}, {"kernel": np.ones((features, 8)), "recurrent_kernel": np.ones((2, 8))})
        for name, features in (("LSTM", 3), other)
    ]
    assert len(join_cells("both", cells[:1] * 2).chain.layers) == 1
    assert join_cells("both", cells).chain.layers == ()


def test_a_hard_sigmoid_in_onnx_is_its_formula() -> None:
    x = np.linspace(-5, 5, 41)
    for name in ("hard_sigmoid", "hard_sigmoid_keras2"):
        operator, (alpha, beta) = ACTIVATIONS[name]
        assert operator == "HardSigmoid"
        np.testing.assert_allclose(activations.get(name)(x), np.clip(alpha * x + beta, 0, 1), atol=1e-12)


@pytest.mark.parametrize(("features", "names"), [(2, {"m.weight_ih_l1"}), (5, {"b.weight_ih_l0"})])
def test_torch_has_one_module_for_layers_that_fit(features: int, names: set[str]) -> None:
    cells = [
        CellWeights("LSTM", {}, {"kernel": np.ones((wide, 8)), "recurrent_kernel": np.ones((2, 8))})
        for wide in (3, features)
    ]
    layers = tuple(LayerWeights(name, (cell,)) for name, cell in zip("ab", cells, strict=True))
    assert names <= frameworks.convert("torch", [Chain("m", layers)]).keys()
