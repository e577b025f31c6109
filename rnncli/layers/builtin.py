"""SimpleRNN, LSTM and GRU: the equations of `cells.builtin`, and what Keras adds around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rnncli.cells import builtin
from rnncli.cells.text import CellText
from rnncli.cells.tree import Name, Node, Operation, walk
from rnncli.layers.recurrent import LOOP_OPTIONS, Cell, RecurrentLayer, cell_options
from rnncli.values import Option


class SimpleRNNCell(Cell):
    """One step of a SimpleRNN."""

    options: ClassVar[Mapping[str, Option]] = cell_options(builtin.simple_rnn())

    def equations_of(self, _: Mapping[str, Any]) -> CellText:
        return builtin.simple_rnn()


class SimpleRNN(RecurrentLayer):
    """A SimpleRNN cell run over time; returns output[, last hidden state]."""

    cell_class = SimpleRNNCell
    unsaved = frozenset({"seed"})
    options: ClassVar[Mapping[str, Option]] = {**SimpleRNNCell.options, **LOOP_OPTIONS}


class LSTMCell(Cell):
    """One step of an LSTM."""

    masks_per_gate = True
    options: ClassVar[Mapping[str, Option]] = cell_options(
        builtin.lstm(), unit_forget_bias=Option("flag", True)
    )

    def equations_of(self, config: Mapping[str, Any]) -> CellText:
        """In some nodes of ONNX, the cell state has another activation than the candidate."""
        output = "cell_activation" if config.get("cell_activation") else "activation"
        return builtin.lstm(output, unit_forget_bias=config["unit_forget_bias"])


class LSTM(RecurrentLayer):
    """An LSTM cell run over time; returns output[, last hidden state, last cell state]."""

    cell_class = LSTMCell
    options: ClassVar[Mapping[str, Option]] = {**LSTMCell.options, **LOOP_OPTIONS}


class GRUCell(Cell):
    """One step of a GRU."""

    masks_per_gate = True
    options: ClassVar[Mapping[str, Option]] = cell_options(builtin.gru()) | {
        "reset_after": Option("flag", True)
    }

    def equations_of(self, config: Mapping[str, Any]) -> CellText:
        return builtin.gru(config["reset_after"])

    def recurrent_parts(self, lines: Mapping[str, Node]) -> dict[str, Node]:
        """With reset_after: the factor of the reset gate in the candidate."""
        for node in walk(lines["candidate"]) if self.config["reset_after"] else ():
            match node:
                case Operation("*", Name("reset"), inner):
                    return {"candidate": inner}
        return {}


class GRU(RecurrentLayer):
    """A GRU cell run over time; returns output[, last hidden state]."""

    cell_class = GRUCell
    options: ClassVar[Mapping[str, Option]] = {**GRUCell.options, **LOOP_OPTIONS}
