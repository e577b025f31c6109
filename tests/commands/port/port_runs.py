"""Runs whose weights are known, for the tests of port."""

import numpy as np
from plant import Planted

from rnncli import specs
from rnncli.commands.port import foreign_weights
from rnncli.commands.port.hypothesis import ForeignRun
from rnncli.commands.port.port_task import COMPUTED, ReturnedSizes, name_results

ATOL, RTOL = 1e-6, 1e-5


def run_of(planted: Planted, class_name: str) -> ForeignRun:
    arrays = {name: np.asarray(array) for name, array in planted.weights.items()}
    layer = foreign_weights.find_layer(arrays, planted.inputs.shape[-1], class_name)
    batch, steps, _ = planted.inputs.shape
    expected = name_results(planted.expected, ReturnedSizes(batch, steps, layer.units, len(layer.cells)))
    options = {**specs.build(f"{class_name}({layer.units})").config, **COMPUTED}
    merge_mode = "concat" if len(layer.cells) == 2 else None
    states = tuple(planted.states or ())
    return ForeignRun(layer, options, merge_mode, planted.inputs, expected, states, planted.mask, ATOL, RTOL)
