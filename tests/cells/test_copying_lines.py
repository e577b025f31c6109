"""The Python in the comments of samples gives every weight and state its shape, without the framework."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command import ROOT
from matrix_cases import layer_of
from matrix_loops import SMALL, UNITS

from rnncli import handbook, specs
from rnncli.ask.layer_files import read_layer
from rnncli.layers.stack import Stack

CELLS = ROOT / "samples" / "cells"


def copying_lines(name: str) -> str:
    """Return the Python in the comment at the top of a sample."""
    comment = (CELLS / f"{name}.toml").read_text(encoding="utf-8").split("\nname = ")[0]
    return "\n".join(line[4:] for line in comment.splitlines() if line.startswith("#   "))


class Tensor(SimpleNamespace):
    """An array that has to be asked for its numbers, as PyTorch's."""

    def float(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return np.zeros(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])


def cached(memory: tuple[int, ...], window: tuple[int, ...]) -> Any:
    return SimpleNamespace(recurrent_states=[Tensor(shape=memory)], conv_states=[Tensor(shape=window)])


LAYERS: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]], Any]] = {
    "qwen3_next": (
        {"hidden_size": UNITS, "num_k_heads": 2, "head_k_dim": 5, "num_v_heads": 6, "head_v_dim": 4,
         "conv_kernel_size": 3},
        {"in_proj_qkvz.weight": (68, UNITS), "in_proj_ba.weight": (12, UNITS), "conv1d.weight": (44, 1, 3),
         "A_log": (6,), "dt_bias": (6,), "norm.weight": (4,), "out_proj.weight": (UNITS, 24)},
        cached((2, 6, 5, 4), (2, 44, 3)),
    ),
    "mamba2_layer": (
        {"hidden_size": UNITS, "n_groups": 2, "ssm_state_size": 5, "num_heads": 6, "head_dim": 4,
         "intermediate_size": 24, "conv_kernel_size": 3},
        {"in_proj.weight": (74, UNITS), "conv1d.weight": (44, 1, 3), "conv1d.bias": (44,), "A_log": (6,),
         "D": (6,), "dt_bias": (6,), "norm.weight": (24,), "out_proj.weight": (UNITS, 24)},
        cached((2, 6, 4, 5), (2, 44, 3)),
    ),
    "mamba": (
        {"hidden_size": UNITS, "time_step_rank": 3, "ssm_state_size": 5},
        {"in_proj.weight": (48, UNITS), "conv1d.weight": (24, 1, 3), "conv1d.bias": (24,), "A_log": (24, 5),
         "x_proj.weight": (13, 24), "dt_proj.weight": (24, 3), "dt_proj.bias": (24,), "D": (24,),
         "out_proj.weight": (UNITS, 24)},
        cached((2, 24, 5), (2, 24, 3)),
    ),
    "mlstm": (
        {"v_dim": UNITS},
        {**{f"{part}.weight": (UNITS, UNITS) for part in ("q", "k", "v", "ogate_preact")},
         **{f"{part}.weight": (2, UNITS) for part in ("igate_preact", "fgate_preact")},
         **{f"{part}.bias": (2,) for part in ("igate_preact", "fgate_preact")}},
        (Tensor(shape=(2, 2, 6, 6)), Tensor(shape=(2, 2, 6)), Tensor(shape=(2, 2, 1))),
    ),
}  # fmt: skip
"""By sample: the attributes of transformers' layer, the shapes of its weights, and its cache."""


@pytest.mark.parametrize("name", LAYERS)
def test_shapes(name: str) -> None:
    attributes, shapes, cache = LAYERS[name]
    weights = {key: Tensor(shape=shape) for key, shape in shapes.items()}
    names: dict[str, Any] = {
        "np": np, "cache": cache, "layer": SimpleNamespace(state_dict=lambda: weights, **attributes)
    }  # fmt: skip
    exec(copying_lines(name), names)
    stack = Stack(specs.from_flags([read_layer(layer_of(name))], {}))
    wanted = stack.weight_shapes((2, 4, UNITS))
    assert {path: values.shape for path, values in names["weights"].items()} == dict(wanted)
    states = {info.name: info.shape for info in stack.states((2, 4, UNITS))}
    assert {key: values.shape for key, values in names["states"].items()} == states
    assert [*names["states"]] == [*states]


def test_every_sample_that_speaks_of_a_layer_is_here() -> None:
    assert {name for name in SMALL if copying_lines(name)} == {*LAYERS}


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_copies_as_the_sample_says(lang: str) -> None:
    scripts = re.findall(r"```python\n(.*?)```", handbook.read("cells", lang), re.DOTALL)
    assert copying_lines("mamba") in next(script for script in scripts if "MambaMixer" in script)
