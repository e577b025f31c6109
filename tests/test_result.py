"""Names of labels."""

from __future__ import annotations

import pytest
from part_labels import gate, state

from rnncli.result import OUTPUT, Label

BACKWARD = gate("input", "preactivation", 1)._replace(direction="backward")


@pytest.mark.parametrize(
    ("label", "path", "short", "shown"),
    [
        (gate("forget"), "forget/activation", "forget", True),
        (BACKWARD, "backward/cell_1/input/preactivation", "backward/cell_1/input/preactivation", False),
        (gate("candidate", "recurrent"), "candidate/recurrent", "candidate/recurrent", False),
        (state("cell")._replace(layer=0, direction="forward"), "0/forward/cell", "0/forward/cell", True),
        (gate("output", cell=0), "cell_0/output/activation", "cell_0/output", True),
        (OUTPUT, "output", "output", False),
    ],
)
def test_names_of_the_parts_of_a_trace(label: Label, path: str, short: str, shown: bool) -> None:
    """In names with dots, one stands before the part of a gate."""
    dotted = ".".join(path.rsplit("/", 1)) if label.kind else path
    assert (str(label), label.dotted, str(label.short), label.is_shown) == (path, dotted, short, shown)


def test_a_state_has_another_name_inside_the_loop() -> None:
    last = Label("hidden", last=True, cell=1)
    assert (str(last), str(last.in_loop)) == ("cell_1/last_hidden_state", "cell_1/hidden")
