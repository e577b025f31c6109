"""`rnncli shape`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.cli.hints import Hint, has_known_sizes
from rnncli.errors import Message

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.output import OutputFlags

EXAMPLES = """\
rnncli shape --layer lstm --return-sequences --return-state
rnncli shape --input-shape batch,None,8 --layer gru --units 64
rnncli shape data.csv --layer bilstm --layer 'Dense(1)' --all-layers
"""
HINTS = (Hint(has_known_sizes, "run{same}", Message("the numbers")),)


def shape(ask: Ask, output: OutputFlags) -> None:
    """Tensors, shapes and parameter counts, without computing.

    In --input-shape a dimension may be None or a name, such as batch.
    """
    from rnncli.ask import outline_of
    from rnncli.cli.output import delivery
    from rnncli.commands.shape.answer import ShapeAnswer, outline

    deliver = delivery(output, ask.files)
    asked = outline_of(ask)
    report = outline(asked.stack.specs, asked.shape, all_layers=ask.all_layers)
    deliver(ShapeAnswer(report), asked.remarks)
