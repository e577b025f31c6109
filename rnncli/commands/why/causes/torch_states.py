"""Initial states of PyTorch's layers: (layers * directions, batch, units)."""

from __future__ import annotations

from rnncli.case import format_shape
from rnncli.commands.why.causes._layers import expression, format_layer, known_size, pluralize
from rnncli.commands.why.diagnosis import SEQUENCE, Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

_SIZES = r"[\d, ]{1,60}"
CAUSES = Causes()


@CAUSES.add(
    "state-torch", rf"hidden(?:\[[01]\])? size \((?P<wanted>{_SIZES})\), got [(\[](?P<given>{_SIZES})[)\]]"
)
def _diagnose_torch_hidden(message: Message) -> Diagnosis | None:
    wanted, given = message.shape("wanted"), message.shape("given")
    if len(wanted) != 3 or len(given) != 3:
        return None
    number, batch, units = wanted
    name = "LSTM" if "hidden[" in message.match[0] else "GRU"
    turned = given[1] == number and given[0] == batch
    layer = format_layer(name, known_size(units))
    single = (layer,) if number == 1 else ()  # of several layers or directions the message says too little
    situation = (
        Bilingual("the first two axes are swapped", "앞의 두 축이 바뀌었을 때")
        if turned
        else Bilingual("start from zeros of the right shape", "맞는 형태의 0에서 시작")
    )
    code = "h0.transpose(0, 1).contiguous()" if turned else f"torch.zeros{format_shape(wanted)}"
    fixes = [Fix(*situation, code, single, (batch, "timesteps", "features"), states=True)]
    if given[1] != batch and given[0] == number:
        fixes.append(
            Fix(
                f"x is (batch, timesteps, features), batch {given[1]}",
                f"x가 (batch, ...)이고 배치는 {given[1]}",
                f"nn.{name}(..., batch_first=True)",
                single,
                (given[1], batch, "features"),
                states=True,
            )
        )
    return Diagnosis.of(
        f"The initial state must be (layers * directions, batch, units) = {format_shape(wanted)}; it is "
        f"{format_shape(given)}.",
        f"초기 상태는 (층 수 * 방향 수, batch, units) = {format_shape(wanted)}이어야 하는데 "
        f"{format_shape(given)}입니다.",
        *fixes,
        hint=Bilingual(
            "batch_first=True moves the batch of x and of the output, not of the states.",
            "batch_first=True는 x와 출력의 배치 축만 옮기고 상태의 축은 옮기지 않습니다.",
        ),
    )


@CAUSES.add(
    "state-torch-cell",
    r"hidden[01] has inconsistent hidden_size: got (?P<given>\d{1,9}), expected (?P<wanted>\d{1,9})",
)
def _diagnose_torch_cell_hidden(message: Message) -> Diagnosis:
    given, wanted = message.number("given"), message.number("wanted")
    return Diagnosis.of(
        f"The state has {pluralize(given, 'unit')}; the cell has {wanted}.",
        f"상태의 유닛은 {given}개인데 셀의 유닛은 {wanted}개입니다.",
        Fix(
            f"states of {pluralize(wanted, 'unit')}",
            f"유닛 {wanted}개의 상태",
            f"h = torch.zeros(batch, {wanted})",
            (expression(message, wanted),),
            states=True,
        ),
    )


@CAUSES.add(
    "state-torch-cell-batch",
    r"Input batch size (?P<given>\d{1,9}) doesn't match hidden[01]? ?batch size (?P<kept>\d{1,9})",
)
def _diagnose_torch_cell_batch(message: Message) -> Diagnosis:
    kept, given = message.number("kept"), message.number("given")
    return Diagnosis.of(
        f"The state is for {pluralize(kept, 'sequence')}; this step has {given}.",
        f"상태는 시퀀스 {kept}개의 것인데 이 시점의 입력은 {given}개입니다.",
        Fix(
            "a state as large as the batch",
            "배치 크기에 맞는 상태",
            "h = x.new_zeros(x.shape[0], cell.hidden_size)",
            (expression(message),),
            (given or "batch", *SEQUENCE[1:]),
            states=True,
        ),
    )


@CAUSES.add(
    "state-torch-rank",
    r"For (?P<batched>batched|unbatched) [23]-D input, hx (?:and cx )?should also be [23]-D but got",
)
def _diagnose_torch_rank(message: Message) -> Diagnosis:
    batched = message.name("batched") == "batched"
    layer = (expression(message),)
    return Diagnosis.of(
        "x has a batch axis, the initial state has none."
        if batched
        else "x is one sequence without a batch axis; the initial state has one.",
        "x에는 배치 축이 있는데 초기 상태에는 없습니다."
        if batched
        else "x는 배치 축이 없는 시퀀스 하나인데 초기 상태에는 배치 축이 있습니다.",
        Fix(
            *(
                Bilingual("give the states the batch axis", "상태에 배치 축 추가")
                if batched
                else Bilingual("give x a batch axis", "x에 배치 축 추가")
            ),
            "h0.unsqueeze(1)" if batched else "x.unsqueeze(0)  # with batch_first=True",
            layer,
            (1, *SEQUENCE[1:]),
            states=True,
        ),
        hint=Bilingual(
            "States are (layers * directions, batch, units), without a batch (layers * directions, units).",
            "상태는 (층 수 * 방향 수, batch, units), 배치가 없으면 (층 수 * 방향 수, units)입니다.",
        ),
    )
