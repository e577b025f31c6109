"""The inputs of saved models: what fits, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from keras_calls import run_in_numpy

from rnncli.errors import InputError
from rnncli.models.graph import Graph, ModelInput, Node, Ref
from rnncli.models.keras import model as models

IDS = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], "int32")


def embedding_graph() -> Graph:
    weights = {"embeddings": np.zeros((9, 3), "float32")}
    nodes = (
        Node("ids", "ids", "InputLayer", "keras.layers", {}, {}, (), {}),
        Node("table", "table", "Embedding", "keras.layers", {}, weights, (Ref("ids"),), {}),
    )
    ports = (
        ModelInput("ids", ("batch", 4), "float32"),
        ModelInput("x", (2, None, 3), "float32"),
        ModelInput("flag", ("batch", 1), "bool"),
    )
    return Graph("m.keras", "Keras 3.15.1", nodes, ports, (Ref("table"),), ())


FINE = {"ids": IDS, "x": np.zeros((2, 5, 3)), "flag": np.ones((2, 1))}


def test_inputs_that_fit() -> None:
    fitted = models.Model(embedding_graph()).fit_inputs({**FINE, "ids": IDS[0].tolist()})
    assert {name: (array.shape, str(array.dtype)) for name, array in fitted.items()} == {
        "ids": ((1, 4), "float32"), "x": ((2, 5, 3), "float32"), "flag": ((2, 1), "bool"),
    }  # fmt: skip
    one = replace(embedding_graph(), inputs=(ModelInput("ids", ("batch", 4), "int64"),))
    assert models.Model(one).fit_inputs(IDS.astype(float))["ids"].dtype == "int64"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ids": IDS}, r"missing inputs: x, flag"),
        ({**FINE, "idz": IDS}, r"no input 'idz'. Did you mean ids"),
        (IDS, r"the model has 3 inputs.*\n.*ids: \(batch, 4\), float32"),
        (
            {**FINE, "ids": IDS[..., None]},
            r"ids: the model expects \(batch, 4\), float32; got shape \(2, 4, 1\)",
        ),
        (
            {**FINE, "ids": IDS[:, :3]},
            r"ids: the model expects \(batch, 4\).*\(2, 3\)\.\nGive axis 1 the size 4, not 3",
        ),
        ({**FINE, "x": np.zeros((3, 5, 3))}, r"x: .*\(3, 5, 3\)\.\nGive a batch of 2, not of 3"),
        ({**FINE, "ids": IDS + 0.5}, r"token ids for the layer table.*0 to 8; ids\[0, 0\] is 1\.5"),
        ({**FINE, "ids": IDS * 5}, r"ids\[0, 1\] is 10"),
        ({**FINE, "ids": -IDS}, r"ids\[0, 0\] is -1"),
        ({**FINE, "ids": [[1, 2], [3]]}, r"ids: .* other than an array of numbers"),
        ({**FINE, "ids": [["a", "b", "c", "d"]]}, r"ids: .* other than an array of numbers"),
        ({**FINE, "flag": np.full((2, 1), 2)}, r"flag: the model expects whole numbers \(bool\)"),
    ],
)
def test_inputs_that_do_not_fit(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.Model(embedding_graph()).fit_inputs(given)


def test_named_axes_are_spoken_of_where_there_is_one() -> None:
    for shape, more in (((2, 5, 3), r"\."), ((2, "time", 3), "; a named axis takes any size")):
        graph = replace(embedding_graph(), inputs=(ModelInput("x", shape, "float32"),))
        with pytest.raises(InputError, match=rf"\(5, 3\)\.\nGive an array of 3 axes with these sizes{more}"):
            models.Model(graph).fit_inputs(np.zeros((5, 3)))


def test_a_model_without_a_recurrent_layer_is_refused() -> None:
    with pytest.raises(InputError, match=r"no recurrent layer\.\nrnncli run shows .*#"):
        run_in_numpy(embedding_graph(), FINE)
