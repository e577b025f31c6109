"""Which part of its output a last state of Bidirectional equals."""

import pytest

from rnncli import layers
from rnncli.specs.build import build


@pytest.mark.parametrize(("sequences", "merge_mode", "equal"), [
    (True, "concat", ["hidden_states[:, -1, :2]", "hidden_states[:, 0, 2:]"]),
    (False, "concat", ["hidden_state[:, :2]", "hidden_state[:, 2:]"]),
    (True, None, ["forward_hidden_states[:, -1, :]", "backward_hidden_states[:, 0, :]"]),
    (False, None, ["forward_hidden_state", "backward_hidden_state"]),
    (True, "sum", []),
])  # fmt: skip
def test_last_states_are_rows(sequences: bool, merge_mode: str | None, equal: list[str]) -> None:
    inner = f"GRU(2, return_sequences={sequences}, return_state=True)"
    layer = layers.make(build(f"Bidirectional({inner}, merge_mode={merge_mode!r})"))
    assert [str(claim) for claims in layer.claims().values() for claim in claims] == equal
