"""Which tensors of a result a framework's name is: `output`, `h_n`."""

import numpy as np
import pytest

from rnncli.inputs.named_arrays import find_results


@pytest.mark.parametrize(("layers", "found"), [
    (("lstm_l0", "lstm_l1"), ["lstm_l1/hidden_states"]),
    (("0", "1", "2"), ["2/hidden_states"]),
    (("encoder", "decoder"), []),  # of which of them, the name does not say
    (("a", "b", "c"), []),
])  # fmt: skip
def test_a_name_without_a_layer_is_of_a_stack(layers: tuple[str, ...], found: list[str]) -> None:
    shapes = {f"{layer}/hidden_states": (2, 3, 4) for layer in layers}
    assert [*find_results("output", np.ones((2, 3, 4)), shapes)] == found
