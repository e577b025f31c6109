"""The shapes of weights and outputs, also of a cell of one's own, computed without an engine."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from claims import claim
from convolutions import CONVOLUTIONS, FRAMES
from own_cells import NASTY

from rnncli import addresses, specs
from rnncli.commands.shape import outline
from rnncli.layers.stack import Stack

keras = oracle.keras
X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")

SEQUENCES = (
    "SimpleRNN(3)", "LSTM(3, return_state=True)",
    "LSTM(3, return_sequences=True, return_state=True, use_bias=False)",
    "GRU(3, return_sequences=True)", "GRU(3, reset_after=False, return_state=True)",
    "Bidirectional(LSTM(3, return_state=True))",
    "Bidirectional(GRU(3, return_sequences=True, return_state=True), merge_mode='sum')",
    "Bidirectional(SimpleRNN(3, return_sequences=True), merge_mode='mul')",
    "RNN([LSTMCell(3), GRUCell(3)], return_state=True)",
    "RNN(GRUCell(3, use_bias=False), return_sequences=True)", "Dense(5)", "Dense(5, use_bias=False)",
    "Masking()", "TimeDistributed(Dense(5))",
)  # fmt: skip
FIRST = [
    f"ConvLSTM{rank}D(3, 2, data_format='channels_first', {options})"
    for rank in (1, 2, 3)
    for options in ("return_sequences=True", "return_state=True, padding='same'", "strides=2")
]


def flatten_shapes(shapes: Any) -> list[tuple[int, ...]]:
    """The shapes that Keras gives, whatever they are nested in."""
    if isinstance(shapes, (list, tuple)) and all(isinstance(size, (int, type(None))) for size in shapes):
        return [tuple(shapes)]
    return [found for inner in shapes for found in flatten_shapes(inner)]


class TestShapes:
    @pytest.mark.sampled
    @pytest.mark.parametrize("expression", [*SEQUENCES, *CONVOLUTIONS, *FIRST])
    def test_are_those_that_keras_computes(self, expression: str) -> None:
        rank = int(expression[8]) if expression.startswith("Conv") else 0
        shape = FRAMES.get(rank, X.shape)
        layer = oracle.make_layers(expression)[0]
        layer.build(shape)
        report = outline(specs.from_flags([expression], {}), shape)
        assert report.layers[0].parameters == layer.count_params()
        assert list(report.layers[0].weights.values()) == [tuple(v.shape) for v in layer.trainable_weights]
        mine = [info.shape for info in report.outputs]
        assert mine == flatten_shapes(layer.compute_output_shape(shape))
        if "channels_first" not in expression:  # which TensorFlow has no convolution for on a CPU
            returned = keras.tree.flatten(layer(np.zeros(shape, "float32")))
            assert mine == [tuple(tensor.shape) for tensor in returned]
        assert [len(info.axes) for info in report.outputs] == [len(found) for found in mine]

    @pytest.mark.parametrize(
        "expression", [text for text in CONVOLUTIONS if "valid" in text or "same" in text]
    )
    def test_of_an_unknown_space_are_unknown_unless_it_stays(self, expression: str) -> None:
        shape = tuple(None if 1 < axis < len(FRAMES[int(expression[8])]) - 1 else size
                      for axis, size in enumerate(FRAMES[int(expression[8])]))  # fmt: skip
        report = outline(specs.from_flags([expression], {}), shape)
        assert (
            report.outputs[0].shape
            == flatten_shapes(oracle.make_layers(expression)[0].compute_output_shape(shape))[0]
        )

    def test_keep_dimensions_that_are_not_known(self) -> None:
        report = outline(specs.from_flags(["LSTM(3, return_sequences=True)"], {}), ("batch", None, 5))
        assert report.outputs[0].shape == ("batch", None, 3)
        assert report.layers[0].parameters == 4 * (5 * 3 + 3 * 3 + 3)
        report = outline(specs.from_flags(["LSTM(3)"], {}), (2, 4, "features"))
        assert report.layers[0].parameters is None
        assert report.layers[0].weights["kernel"] == ("features", 12)

    def test_of_a_stack(self) -> None:
        stack = specs.from_flags(
            ["LSTM(3, return_sequences=True, return_state=True)", "Bidirectional(GRU(2))"], {}
        )
        report = outline(stack, X.shape, all_layers=True)
        assert [(info.name, info.shape) for info in report.outputs] == [
            ("0/hidden_states", (2, 4, 3)),
            ("0/last_hidden_state", (2, 3)),
            ("0/last_cell_state", (2, 3)),
            ("1/hidden_state", (2, 4)),
        ]
        assert report.claims[addresses.parse_label("0/last_hidden_state")] == (
            claim("0/hidden_states[:, -1, :]"),
        )
        assert [layer.path for layer in report.layers] == ["0", "1"]
        assert [info.name for info in Stack(stack).states(X.shape)] == [
            "0/last_hidden_state",
            "0/last_cell_state",
            "1/forward_last_hidden_state",
            "1/backward_last_hidden_state",
        ]


def test_packed_weights_name_the_lines_of_their_columns(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "cell.toml").write_text(NASTY)
    layer = f"RNN([@'{tmp_path}/cell.toml'(4), LSTMCell(2)], return_state=True)"
    done = rnncli("shape", "-l", layer, "--input-shape", "1,2,5", "-f", "json")
    document = json.loads(done.stdout)
    lines = {weight["name"]: weight["lines"] for weight in document["weights"] if "lines" in weight}
    assert lines == {
        "0/kernel": ["forget", "raw"],
        "0/recurrent_kernel": ["forget", "raw"],
        "0/bias": ["attention", "forget", "raw"],
    }
    meanings = {one["name"]: one["meaning"] for one in document["outputs"]}
    assert meanings["cell_0/last_memory_state"] == "cell 0: memory state of the last time step"
    assert "attention, forget, raw" in rnncli("shape", "-l", layer, "--input-shape", "1,2,5").stdout
    assert "columns of" not in rnncli("shape", "-l", "lstm", "--input-shape", "1,2,5").stdout
