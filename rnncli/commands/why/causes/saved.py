"""Weights that do not fit: set_weights and load_weights."""

from __future__ import annotations

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import (
    SIZES,
    UNITS,
    count_gates,
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
    "set-weights-count",
    r"with a weight list of length (?P<given>\d{1,6}), but the layer was expecting "
    r"(?P<wanted>\d{1,6}) weights",
)
def _diagnose_count(message: Message) -> Diagnosis:
    given, wanted = message.number("given"), message.number("wanted")
    layer = format_layer(message.layer)
    if wanted == 0:
        return Diagnosis.of(
            f"The layer is not built yet: it has no weights to replace with your {given}.",
            f"층이 아직 만들어지지 않아 가중치 {given}개로 바꿀 가중치가 없습니다.",
            Fix(
                "build the layer first",
                "먼저 층을 만들기",
                "layer.build((None, None, features)); layer.set_weights(weights)",
                (layer,),
                weights=True,
            ),
        )
    without = format_layer(message.layer, use_bias=False)
    return Diagnosis.of(
        f"set_weights got {pluralize(given, 'array')}; the layer has {wanted}, in the order of "
        "layer.weights.",
        f"set_weights가 배열 {given}개를 받았는데 층의 가중치는 layer.weights 순서로 {wanted}개입니다.",
        Fix.of_layer("every weight of the layer", "층의 가중치 전부", layer, weights=True),
        Fix.of_layer("a layer without a bias", "편향이 없는 층", without, weights=True),
    )


@CAUSES.add(
    "set-weights-shape",
    rf"weight shape \((?P<wanted>{SIZES})\) (?:is )?not compatible with provided weight shape "
    rf"\((?P<given>{SIZES})\)",
)
def _diagnose_shape(message: Message) -> Diagnosis:
    wanted, given = message.shape("wanted"), message.shape("given")
    if len(wanted) == 2 and len(given) == 1 and wanted[0] == 2 and wanted[1] == given[0]:
        return _diagnose_bias(given)
    explanation = Bilingual(
        f"The layer has a weight {format_shape(wanted)}; the one given is {format_shape(given)}.",
        f"층의 가중치는 {format_shape(wanted)}인데 주어진 가중치는 {format_shape(given)}입니다.",
    )
    return _diagnose_mismatch(wanted, given, explanation)


def _diagnose_bias(given: Shape) -> Diagnosis:
    units = known_size(given[0]) // count_gates("GRU") or UNITS
    before, after = format_layer("GRU", units, reset_after=False), format_layer("GRU", units)
    return Diagnosis.of(
        f"This GRU has two biases (reset_after=True); the weights have one, {format_shape(given)}.",
        f"이 GRU에는 편향이 두 개인데(reset_after=True) 가중치에는 하나 {format_shape(given)}뿐입니다.",
        Fix.of_layer(
            "weights of a GRU without reset_after", "reset_after 없는 GRU의 가중치", before, weights=True
        ),
        Fix.of_layer(
            "weights of a GRU with reset_after", "reset_after 있는 GRU의 가중치", after, weights=True
        ),
        hint=Bilingual(
            "Keras 1 and early Keras 2 had reset_after=False; the two compute different numbers.",
            "Keras 1과 초기 Keras 2는 reset_after=False였고, 두 방식은 값이 다릅니다.",
        ),
    )


def _diagnose_mismatch(wanted: Shape, given: Shape, explanation: Bilingual) -> Diagnosis:
    """Say which layers have a kernel of the given shape, (features, gates * units)."""
    if len(given) != 2 or len(wanted) != 2:
        return Diagnosis(explanation, ())
    features = known_size(given[0])
    fixes = tuple(
        Fix.of_layer(
            f"the weights come from {name} with {pluralize(units, 'unit')}",
            f"{name} 유닛 {units}개의 가중치일 때",
            format_layer(name, units),
            ("batch", "timesteps", features),
            weights=True,
        )
        for name, units in units_by_layer(known_size(given[1])).items()
        if features
    )
    hint = Bilingual(
        "A kernel is (features, gates * units): LSTM has 4 gates, GRU 3, SimpleRNN 1.",
        "커널은 (features, 게이트 수 * units)이며 게이트는 LSTM 4개, GRU 3개, SimpleRNN 1개입니다.",
    )
    return Diagnosis(explanation, fixes, hint)


@CAUSES.add(
    "load-weights-shape",
    rf"(?:variable\.shape=|The variable shape )\((?P<wanted>{SIZES})\),? "
    rf"(?:Received: value\.shape=|and the assigned value shape )\((?P<given>{SIZES})\)",
)
def _diagnose_loaded_weights(message: Message) -> Diagnosis:
    wanted, given = message.shape("wanted"), message.shape("given")
    explanation = Bilingual(
        f"The model has a weight {format_shape(wanted)}; the file has {format_shape(given)}: the layers "
        "differ.",
        f"모델의 가중치는 {format_shape(wanted)}인데 파일에는 {format_shape(given)}입니다. 층이 서로 "
        "다릅니다.",
    )
    return _diagnose_mismatch(wanted, given, explanation)


@CAUSES.add(
    "load-weights-missing",
    r"Layer '(?P<name>\w{1,100})' expected (?P<count>\d{1,6}) variables, but received 0 "
    r"variables during loading",
)
def _diagnose_none_stored(message: Message) -> Diagnosis:
    name, count = message.name("name"), message.number("count")
    return Diagnosis.of(
        f"The file has nothing for {name}, which needs {pluralize(count, 'array')}: it was saved "
        "from different layers.",
        f"배열 {count}개가 필요한 {name}의 값이 파일에 없습니다. 다른 층들로 저장된 파일입니다.",
        Fix("see which layers the file holds", "파일에 든 층 보기", "rnncli weights FILE.weights.h5"),
        Fix(
            "load a whole model instead", "모델 전체를 읽기", "model = keras.models.load_model('model.keras')"
        ),
        hint=Bilingual(
            "load_weights needs the same layers in the same order as save_weights had.",
            "load_weights에는 save_weights 때와 같은 층이 같은 순서로 있어야 합니다.",
        ),
    )


@CAUSES.add(
    "load-weights-layers",
    r"Layer count mismatch when loading weights from file\. Model expected (?P<wanted>\d{1,6}) layers, "
    r"found (?P<given>\d{1,6}) saved",
)
@CAUSES.add(
    "load-weights-layers-keras2",
    r"trying to load a weight file containing (?P<given>\d{1,6}) layers into a model with "
    r"(?P<wanted>\d{1,6}) layers",
)
def _diagnose_layer_count(message: Message) -> Diagnosis:
    wanted, given = message.number("wanted"), message.number("given")
    return Diagnosis.of(
        f"The model has {pluralize(wanted, 'layer')} with weights, the file has {given}.",
        f"가중치가 있는 층이 모델에는 {wanted}개, 파일에는 {given}개입니다.",
        Fix("see which layers the file holds", "파일에 든 층 보기", "rnncli weights FILE.h5"),
        Fix(
            "load only the layers whose names match",
            "이름이 같은 층만 읽기",
            "model.load_weights(path, by_name=True)",
        ),
    )


@CAUSES.add("save-weights-name", r"The filename must end in `\.weights\.h5`")
def _diagnose_suffix(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "Keras 3 saves and loads weights in files named *.weights.h5.",
        "Keras 3은 가중치를 *.weights.h5라는 이름의 파일에 저장하고 읽습니다.",
        Fix("the weights alone", "가중치만", "model.save_weights('model.weights.h5')"),
        Fix("the whole model", "모델 전체", "model.save('model.keras')"),
    )
