"""The equations of Keras's recurrent cells, by Keras's names of arguments and weights."""

from __future__ import annotations

from functools import cache

from rnncli.cells.text import CellText, define


@cache
def simple_rnn() -> CellText:
    """The fully connected recurrent layer (Elman 1990)."""
    return define(
        "SimpleRNN",
        ("hidden",),
        {
            "candidate": "activation(x @ kernel + hidden @ recurrent_kernel + bias)",
            "hidden": "candidate",
        },
        options={"activation": "tanh"},
        source="Elman 1990",
    )


@cache
def lstm(cell_activation: str = "activation", *, unit_forget_bias: bool = True) -> CellText:
    """Long short-term memory, with the forget gate of Gers et al. (2000).

    cell_activation: the option that names the activation of the cell state in the output.
    unit_forget_bias: whether the forget gate's bias starts at 1.
    """
    gate = "recurrent_activation(x @ kernel + hidden @ recurrent_kernel + bias)"
    return define(
        "LSTM",
        ("hidden", "cell"),
        {
            "input": gate,
            "forget": gate,
            "candidate": "activation(x @ kernel + hidden @ recurrent_kernel + bias)",
            "output": gate,
            "cell": "forget * cell + input * candidate",
            "hidden": f"output * {cell_activation}(cell)",
        },
        options={"activation": "tanh", "recurrent_activation": "sigmoid"},
        source="Hochreiter and Schmidhuber 1997",
        initializers={"bias": {"forget": "ones"}} if unit_forget_bias else {},
    )


@cache
def gru(reset_after: bool = True) -> CellText:
    """Gated recurrent unit.

    reset_after: Keras's default, and the variant of cuDNN and PyTorch: a second bias is added to the
        recurrent part of each gate.
    """
    if reset_after:
        gate = "recurrent_activation(x @ kernel + bias + (hidden @ recurrent_kernel + recurrent_bias))"
        inner = "reset * (hidden @ recurrent_kernel + recurrent_bias)"
        candidate = f"activation(x @ kernel + bias + {inner})"
    else:
        gate = "recurrent_activation(x @ kernel + hidden @ recurrent_kernel + bias)"
        candidate = "activation(x @ kernel + (reset * hidden) @ recurrent_kernel + bias)"
    return define(
        "GRU",
        ("hidden",),
        {
            "update": gate,
            "reset": gate,
            "candidate": candidate,
            "hidden": "update * hidden + (1 - update) * candidate",
        },
        options={"activation": "tanh", "recurrent_activation": "sigmoid"},
        source="Cho et al. 2014",
    )
