"""PyTorch: state dicts that do not fit the model."""

from __future__ import annotations

from rnncli.case import format_shape
from rnncli.commands.why.causes._layers import (
    before,
    expression,
    format_layer,
    known_size,
    pluralize,
    units_by_layer,
)
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "state-dict-shape",
    r"size mismatch for (?P<name>[\w.]{0,100}weight_ih\w{0,20}): copying a param with shape "
    r"torch\.Size\(\[(?P<given>[\d, ]{1,60})\]\) from checkpoint, the shape in current model is "
    r"torch\.Size\(\[(?P<wanted>[\d, ]{1,60})\]\)",
)
def _diagnose_state_dict(message: Message) -> Diagnosis | None:
    wanted, given, name = message.shape("wanted"), message.shape("given"), message.name("name")
    if len(given) != 2:
        return None
    features = known_size(given[1])
    fixes = (
        Fix(
            f"the checkpoint holds {torch} with {pluralize(units, 'unit')}",
            f"{torch} 유닛 {units}개의 체크포인트일 때",
            f"nn.{torch}({features}, {units})",
            (format_layer(layer, units),),
            ("batch", "timesteps", features),
            weights=True,
        )
        for layer, units in units_by_layer(known_size(given[0])).items()
        for torch in [layer.removeprefix("Simple")]
        if features
    )
    return Diagnosis.of(
        f"{name} is {format_shape(given)} in the checkpoint and {format_shape(wanted)} in the model.",
        f"{name}: 체크포인트에는 {format_shape(given)}, 모델에는 {format_shape(wanted)}입니다.",
        *fixes,
        hint=Bilingual(
            "PyTorch's weight_ih is (gates * units, features), the transpose of Keras's kernel.",
            "PyTorch의 weight_ih는 (게이트 수 * units, features)로, Keras 커널의 전치입니다.",
        ),
    )


@CAUSES.add("state-dict-names", r"(?:Missing|Unexpected) key\(s\) in state_dict: (?P<names>[^:]{1,2000})")
def _diagnose_keys(message: Message) -> Diagnosis:
    names = message.name("names")
    fixes = []
    if "_l1" in names:
        fixes.append(
            Fix(
                "the model has more layers than the checkpoint",
                "모델의 층이 더 많을 때",
                "nn.LSTM(..., num_layers=1)",
                (before(message, return_sequences=True), expression(message)),
            )
        )
    if "_reverse" in names:
        fixes.append(
            Fix(
                "only one of the two is bidirectional",
                "한쪽만 양방향일 때",
                "nn.LSTM(..., bidirectional=True)",
                (f"Bidirectional({format_layer(message.layer)})",),
            )
        )
    prefix = Fix(
        "the names have a prefix, such as module.",
        "이름 앞에 module. 같은 말이 붙었을 때",
        "{name.removeprefix('module.'): array for name, array in state.items()}",
    )
    return Diagnosis.of(
        "The names in the checkpoint differ from those in the model.",
        "체크포인트의 이름이 모델의 이름과 다릅니다.",
        *(fixes or [prefix]),
        hint=Bilingual(
            "rnncli weights FILE lists the recurrent layers of a checkpoint.",
            "rnncli weights FILE로 체크포인트의 순환층을 볼 수 있습니다.",
        ),
    )
