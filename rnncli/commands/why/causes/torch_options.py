"""PyTorch: options that a layer does not have, or that have no effect."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import before, expression
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "dropout-torch",
    r"dropout option adds dropout after all but last recurrent layer.{0,120}got "
    r"dropout=(?P<rate>[\d.]{1,12})",
)
def _diagnose_dropout(message: Message) -> Diagnosis:
    rate = message.name("rate")
    return Diagnosis.of(
        f"dropout={rate} does nothing: PyTorch drops outputs between layers, and there is one layer.",
        f"dropout={rate}: 효과가 없습니다. PyTorch는 층과 층 사이의 출력을 드롭하는데 층이 하나입니다.",
        Fix(
            "dropout between two layers",
            "두 층 사이의 드롭아웃",
            f"nn.LSTM(input_size, hidden_size, num_layers=2, dropout={rate})",
            (before(message, return_sequences=True), "Dropout(0.5)", expression(message)),
        ),
        Fix(
            "dropout on the output",
            "출력의 드롭아웃",
            f"output = nn.functional.dropout(output, {rate}, self.training)",
        ),
        hint=Bilingual(
            "Keras's dropout is another one: it drops inputs of the same layer.",
            "Keras의 dropout은 다릅니다. 같은 층의 입력을 드롭합니다.",
        ),
    )


@CAUSES.add(
    "projection-torch",
    r"proj_size has to be smaller than hidden_size|proj_size argument is only supported for LSTM, not "
    r"RNN or GRU",
)
def _diagnose_projection(message: Message) -> Diagnosis:
    other = "not RNN or GRU" in message.match[0]
    return Diagnosis.of(
        "Only nn.LSTM has proj_size."
        if other
        else "proj_size projects the hidden state to fewer numbers, so it is smaller than hidden_size.",
        "proj_size는 nn.LSTM에만 있습니다."
        if other
        else "proj_size는 은닉 상태를 더 적은 수로 투영하므로 hidden_size보다 작아야 합니다.",
        Fix("without a projection", "투영 없이", "nn.LSTM(input_size, hidden_size)", (expression(message),)),
    )
