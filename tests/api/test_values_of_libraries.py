"""Tensors of PyTorch and frames of pandas are inputs as arrays and CSV files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli
from rnncli.errors import InputError

X = np.arange(12, dtype=np.float32).reshape(2, 2, 3) / 12


def test_a_tensor_that_requires_its_gradient_is_its_numbers() -> None:
    torch = pytest.importorskip("torch")
    x, start = (torch.tensor(array, requires_grad=True) for array in (X, np.ones((2, 3), np.float32)))
    module = torch.nn.GRU(3, 3, batch_first=True)
    expected = rnncli.run(X, "gru", seed=1, initial_state=[np.ones((2, 3))]).hidden_state
    for inputs in (x, list(x), tuple(x)):
        found = rnncli.run(inputs, "gru", seed=1, initial_state=[start])
        np.testing.assert_array_equal(found.hidden_state, expected)
    assert rnncli.run(x, "gru", seed=1, initial_state=[np.ones((2, 3))], expect=torch.tensor(expected))
    assert x.requires_grad
    kernel = module.weight_ih_l0.T
    assert kernel.requires_grad
    weights: dict[str, Any] = dict(rnncli.run(X, "gru", seed=1).weights)
    weights["kernel"] = kernel
    plain = rnncli.run(X, "gru", weights={**weights, "kernel": kernel.detach().numpy()})
    np.testing.assert_array_equal(rnncli.run(X, "gru", weights=weights).hidden_state, plain.hidden_state)


def test_sequences_of_different_lengths_that_require_gradients() -> None:
    torch = pytest.importorskip("torch")
    several = [torch.ones(steps, 3, requires_grad=True) for steps in (2, 1)]
    found = rnncli.run(several, "gru", seed=1, pad="post")
    plain = rnncli.run([one.detach().numpy() for one in several], "gru", seed=1, pad="post")
    np.testing.assert_array_equal(found.hidden_state, plain.hidden_state)


def test_bfloat16_of_both_frameworks_is_the_float32_that_it_stands_for() -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("keras").ops
    x = torch.tensor(X).to(torch.bfloat16).requires_grad_()
    expected = rnncli.run(x.detach().float().numpy(), "gru", seed=1).hidden_state
    for inputs in (x, ops.cast(X, "bfloat16")):
        np.testing.assert_array_equal(rnncli.run(inputs, "gru", seed=1).hidden_state, expected)
    assert x.requires_grad


def test_a_tensor_without_numbers_is_refused() -> None:
    torch = pytest.importorskip("torch")
    for x, why in ((torch.zeros(X.shape, device="meta"), "meta"), (torch.tensor(X).to_sparse(), "Sparse")):
        with pytest.raises(InputError, match=rf"{why}(.|\n)*Give a NumPy array of its numbers"):
            rnncli.run(x, "gru")


def test_lengths_are_a_tensor_as_pack_padded_sequence_takes_them() -> None:
    torch = pytest.importorskip("torch")
    found = rnncli.run(X, "gru", seed=1, lengths=torch.tensor([2, 1]))
    np.testing.assert_array_equal(found[0], rnncli.run(X, "gru", seed=1, lengths=[2, 1])[0])


FRAMES: Mapping[str, Any] = {
    "equal": {"sensor": ["b", "b", "a", "a"], "heat": [1.0, 2.5, 3, 4], "load": [1, 2, 3, 4]},
    "ragged": {"heat": [1.0, 2.5, 3, 4], "sensor": [7, 3, 7, 7], "load": [1, 2, 3, 4]},
}


@pytest.mark.parametrize("name", list(FRAMES))
def test_a_frame_has_its_sequences_by_a_column_as_its_csv_file(name: str, tmp_path: Path) -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES[name])
    frame.to_csv(tmp_path / "frame.csv", index=False)
    options: Any = {"batch_column": "sensor", "seed": 1, "pad": "post" if name == "ragged" else None}
    found = rnncli.run(frame, "gru", **options)
    np.testing.assert_array_equal(
        found.hidden_state, rnncli.run(tmp_path / "frame.csv", "gru", **options).hidden_state
    )
    assert found.hidden_state.shape == (2, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"columns": "load,heat", "batch_column": "sensor"},
        {"drop": ["load"], "batch_column": "sensor"},
        {"drop": "sensor"},
        {"columns": ["heat"]},
    ],
)
def test_columns_of_a_frame_are_chosen_as_of_its_csv_file(options: Any, tmp_path: Path) -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES["equal"])
    frame.to_csv(tmp_path / "frame.csv", index=False)
    found = rnncli.run(frame, "gru", seed=1, **options)
    expected = rnncli.run(tmp_path / "frame.csv", "gru", seed=1, **options)
    assert found.input_shape == expected.input_shape
    np.testing.assert_array_equal(found.hidden_state, expected.hidden_state)
    module = pytest.importorskip("torch").nn.GRU(found.input_shape[-1], 3, batch_first=True)
    assert rnncli.run(frame, module, **options).input_shape[-2:] == found.input_shape[-2:]


def test_columns_of_a_frame_that_are_not_there() -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES["equal"])
    for options, says in (
        ({"columns": "heet"}, "Did you mean heat"),
        ({"drop": "sensor,heat,load"}, "no column is left"),
    ):
        with pytest.raises(InputError, match=says):
            rnncli.run(frame, **options)  # type: ignore[arg-type]


def test_a_frame_without_such_a_column_is_told_its_columns() -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES["equal"])
    with pytest.raises(InputError, match=r"inputs: there is no column 'sensr'\.\nDid you mean sensor"):
        rnncli.run(frame, batch_column="sensr")
