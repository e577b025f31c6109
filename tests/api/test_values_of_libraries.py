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


def test_the_advice_for_a_tensor_that_numpy_cannot_hold_works() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X).to(torch.bfloat16).requires_grad_()
    with pytest.raises(InputError, match=r"BFloat16(.|\n)*Give a NumPy array: x\.detach") as caught:
        rnncli.run(x, "gru")
    array = eval(str(caught.value).rpartition(": ")[2])
    assert rnncli.run(array, "gru").hidden_state.shape == (2, 3)


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


def test_a_frame_without_such_a_column_is_told_its_columns() -> None:
    frame = pytest.importorskip("pandas").DataFrame(FRAMES["equal"])
    with pytest.raises(InputError, match=r"inputs: there is no column 'sensr'\.\nDid you mean sensor"):
        rnncli.run(frame, batch_column="sensr")
