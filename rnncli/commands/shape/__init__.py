"""`rnncli shape`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.shape.answer import ShapeAnswer
    from rnncli.show.answer import Reply

EXAMPLES = """\
rnncli shape --layer lstm --return-sequences --return-state
rnncli shape --input-shape batch,None,8 --layer gru --units 64
rnncli shape data.csv --layer bilstm --layer 'Dense(1)' --all-layers
"""


def shape(ask: Ask) -> Reply[ShapeAnswer]:
    """Tensors, shapes and parameter counts, without computing.

    In --input-shape a dimension may be None or a name, such as batch.
    """
    from rnncli.ask import subject_of
    from rnncli.commands.shape.answer import ShapeAnswer, outline
    from rnncli.show.answer import Reply

    asked = subject_of(ask).outline()
    report = outline(asked.stack, asked.shape, all_layers=ask.all_layers)
    return Reply(ShapeAnswer(report), asked.remarks)
