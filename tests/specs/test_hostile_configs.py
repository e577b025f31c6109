"""Any value at any place of a layer's config ends in an answer or in an error of rnncli's own, exit 2."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rnncli import compute, specs
from rnncli.cli.app import main
from rnncli.commands.shape import outline
from rnncli.errors import RnncliError
from rnncli.layers.case import Case

LAYERS = (
    "LSTM(3)", "GRU(2)", "SimpleRNN(2)", "Bidirectional(LSTM(2))",
    "Bidirectional(LSTM(2), backward_layer=GRU(2, go_backwards=True))",
    "RNN([LSTMCell(2), GRUCell(2)])", "RNN(SimpleRNNCell(2))", "Dense(2)", "Masking()", "Dropout(0.1)",
    "TimeDistributed(Dense(2))", "ConvLSTM1D(2, 3)", "ConvLSTM2D(2, 3)",
    "LSTM(3, kernel_initializer=Constant(0.1), bias_initializer=VarianceScaling(2.0, 'fan_out', 'uniform'))",
)  # fmt: skip


def nested_list(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def nested_layers(depth: int) -> Any:
    config: Any = {"class_name": "LSTM", "config": {"units": 2}}
    for _ in range(depth):
        config = {"class_name": "Bidirectional", "config": {"layer": config}}
    return config


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 5, 2**31, 2**63, 2**70, 1.5, -0.0, 1e308, float("nan"), float("inf"), "", "x",
    "tanh", "float32", "LSTM", "\udc80", "a" * 5000, [], [[]], [1], [1, 2], [None], ["a"], [1] * 1000,
    {}, {"config": 5}, {"class_name": 5}, {"class_name": "LSTM"}, {"class_name": "LSTM", "config": None},
    {"class_name": "LSTM", "config": []}, {"config": []}, {"class_name": [], "config": {}},
    {"class_name": "LSTMCell", "config": {"units": 2}},
    {"class_name": "DTypePolicy", "config": {"name": 5}},
    {"class_name": "DTypePolicy", "config": {"name": []}},
    {"class_name": "StackedRNNCells", "config": []}, {"class_name": "StackedRNNCells", "config": {}},
    {"class_name": "StackedRNNCells", "config": {"cells": 5}},
    {"class_name": "StackedRNNCells", "config": {"cells": {"a": 1}}},
    {"class_name": "Constant", "config": {"value": nested_list(5, 70)}},
    {"class_name": "Constant", "config": {"value": nested_list(5, 2000)}},
    {"class_name": "Constant", "config": {"value": [[1], [2, 3]]}},
    {"class_name": "Constant", "config": {"value": {}}},
    {"class_name": "function", "config": 5}, {"class_name": "function", "config": ["tanh"]},
    {"class_name": "Sequential", "config": {"layers": [5]}}, {"class_name": "Sequential", "config": 5},
)  # fmt: skip

CORPUS: tuple[Any, ...] = (
    {"class_name": "Sequential", "config": {"layers": [5]}},
    {"class_name": "Sequential", "config": {"layers": 5}},
    {"class_name": "LSTM", "config": {"units": 3, "dtype": {"config": 5}}},
    {"class_name": "LSTM", "config": {"units": 3, "dtype": {"class_name": "DTypePolicy"}}},
    {"class_name": "RNN", "config": {"cell": {"config": []}}},
    {"class_name": "RNN", "config": {"cell": {"class_name": "StackedRNNCells", "config": []}}},
    {"class_name": "RNN", "config": {"cell": {"class_name": "StackedRNNCells", "config": {"cells": 5}}}},
    {"class_name": "RNN", "config": {"cell": {"class_name": "StackedRNNCells", "config": {"cells": None}}}},
    {"class_name": "LSTM", "config": {"units": 3, "kernel_initializer": VALUES[-8]}},
    {"class_name": "LSTM", "config": {"units": 3, "kernel_initializer": VALUES[-7]}},
    nested_layers(400),
    nested_list({"class_name": "LSTM", "config": {"units": 2}}, 2000),
)
"""Configs that once ended with another error."""


def is_deep(tree: Any) -> bool:
    """Return whether the config is too deep for json.dumps."""
    try:
        json.dumps(tree)
    except RecursionError:
        return True
    return False


def paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from paths(value, (*path, key))


def replace_at(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    tree = copy.deepcopy(tree)
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return tree


def check_answered(config: Any) -> None:
    """Check that the config is used, or refused by an error of rnncli with exit code 2."""
    for flags in ({}, {"return_state": True}):
        try:
            use_everywhere(config, flags)
        except RnncliError as error:
            if error.exit_code != 2:
                raise


def use_everywhere(config: Any, flags: dict[str, Any]) -> None:
    stack = specs.from_flags([config], flags)
    outline(stack, (1, 3, 2))
    [specs.describe(spec) for spec in stack]
    json.dumps([specs.to_config(spec) for spec in stack])
    if stack[0].config["dtype"] == "float32":
        compute.run(Case(stack, np.ones((1, 3, 2), np.float32)), "numpy")


@pytest.mark.parametrize("config", CORPUS, ids=range(len(CORPUS)))
def test_what_once_broke(config: Any, capfd: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    check_answered(config)
    if not is_deep(config):
        file = tmp_path / "layer.json"
        file.write_text(json.dumps(config))
        assert main(["run", "[[1, 2]]", "-l", f"@{file}"]) == 2
        streams = capfd.readouterr()
        assert streams.out == ""
        assert "internal" not in streams.err
        assert len(streams.err) < 2000


@pytest.mark.sampled
@pytest.mark.parametrize("layer", LAYERS)
def test_any_value_at_any_place(layer: str) -> None:
    config = json.loads(json.dumps(specs.to_config(specs.build(layer))))
    extra = [("config", name) for name in ("extra", "name", "dtype", "kernel_regularizer", "seed")]
    every = [(path, value) for path in (*paths(config), *extra) for value in VALUES]
    for path, value in random.Random(layer).sample(every, 150):
        check_answered(replace_at(config, path, value))
