"""`rnncli shape`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.shape.answer import ShapeAnswer
    from rnncli.commands.shape.summary import SummaryAnswer
    from rnncli.show.answer import Reply

EXAMPLES = """\
rnncli shape --layer lstm --return-sequences --return-state
rnncli shape --input-shape batch,None,8 --layer gru --units 64
rnncli shape data.csv --layer bilstm --layer 'Dense(1)' --all-layers
rnncli shape --model tagger.keras
"""


def shape(ask: Ask, *, explain: bool = False) -> Reply[ShapeAnswer | SummaryAnswer]:
    """Tensors, shapes and parameter counts, without computing.

    Of a --model, every layer.  In --input-shape a dimension may be None or a name, such as batch.
    """
    from rnncli.ask import subject_of
    from rnncli.show.answer import Reply

    subject = subject_of(ask)
    if summary := subject.summary():
        from rnncli.commands.shape.summary import SummaryAnswer

        return Reply(SummaryAnswer(summary, explain), summary.remarks)
    from rnncli.commands.shape.answer import ShapeAnswer, outline

    asked = subject.outline()
    report = outline(asked.stack, asked.shape, all_layers=ask.all_layers)
    return Reply(ShapeAnswer(report, explain), asked.remarks)
