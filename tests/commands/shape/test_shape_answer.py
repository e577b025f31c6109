"""The answer of shape as a document."""

from __future__ import annotations

from results_by_hand import ANSWERS, report

from rnncli.commands.shape.answer import ShapeAnswer
from rnncli.show.page import View

VIEW = View()


def test_shape_document() -> None:
    document = ShapeAnswer(report()).document(VIEW)
    assert list(document) == [
        "schema",
        "version",
        "expression",
        "layer",
        "input",
        "weights",
        "parameters",
        "outputs",
    ]
    assert document["weights"][1] == {"name": "recurrent_kernel", "shape": [3, 12], "parameters": 36}
    assert document["parameters"] == 108
    assert document["outputs"][1] == {
        "name": "last_hidden_state",
        "axes": ["batch", "units"],
        "shape": ["batch", 3],
        "meaning": "hidden state of the last time step",
        "equals": ["hidden_states[:, -1, :]"],
    }


def test_shape_of_a_stack_names_weights_by_their_path_and_admits_what_it_does_not_know() -> None:
    document = ANSWERS["stack"].document(VIEW)
    assert document["weights"] == [
        {"name": "0/kernel", "shape": [None, 9], "parameters": None},
        {"name": "1/kernel", "shape": [3, 12], "parameters": 36},
    ]
    assert document["parameters"] is None
    assert document["input"]["shape"] == [None, 4, None]
