"""Weights that do not fit: set_weights and load_weights."""

from __future__ import annotations

from rnncli.case import Shape, format_shape
from rnncli.commands.why.causes._layers import (
    SIZES,
    UNITS,
    count_gates,
    expression,
    format_layer,
    inner_layer,
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
    layer = expression(message)
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
    without = expression(message, use_bias=False)
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
    if _are_biases(message, wanted, given):
        return _diagnose_bias(wanted, given)
    explanation = Bilingual(
        f"The layer has a weight {format_shape(wanted)}; the one given is {format_shape(given)}.",
        f"층의 가중치는 {format_shape(wanted)}인데 주어진 가중치는 {format_shape(given)}입니다.",
    )
    return _diagnose_mismatch(message, wanted, given, explanation)


def _are_biases(message: Message, wanted: Shape, given: Shape) -> bool:
    """Whether the shapes are (2, 9) and (9,), the biases of a GRU with reset_after and of one without."""
    bias = min(wanted, given, key=len)
    pair = (2, *bias) in (wanted, given) and bias in (wanted, given) and len(bias) == 1
    return pair and message.named in ("", "GRU") and known_size(bias[0]) % count_gates("GRU") == 0


def _diagnose_bias(wanted: Shape, given: Shape) -> Diagnosis:
    units = known_size(given[-1]) // count_gates("GRU") or UNITS
    one, two = (
        Fix.of_layer(
            f"weights of a GRU {word} reset_after",
            f"reset_after {korean} GRU의 가중치",
            format_layer("GRU", units, **options),
            weights=True,
        )
        for word, korean, options in (("without", "없는", {"reset_after": False}), ("with", "있는", {}))
    )
    has_two = len(wanted) == 2
    return Diagnosis.of(
        f"This GRU has two biases (reset_after=True); the weights have one, {format_shape(given)}."
        if has_two
        else f"This GRU has one bias (reset_after=False); the weights have two, {format_shape(given)}.",
        f"이 GRU에는 편향이 두 개인데(reset_after=True) 가중치에는 하나 {format_shape(given)}뿐입니다."
        if has_two
        else f"이 GRU에는 편향이 하나인데(reset_after=False) 가중치에는 두 개 {format_shape(given)}입니다.",
        *((one, two) if has_two else (two, one)),
        hint=Bilingual(
            "Keras 1 and early Keras 2 had reset_after=False; the two compute different numbers.",
            "Keras 1과 초기 Keras 2는 reset_after=False였고, 두 방식은 값이 다릅니다.",
        ),
    )


def _diagnose_mismatch(message: Message, wanted: Shape, given: Shape, explanation: Bilingual) -> Diagnosis:
    """Say which layers have a kernel of the given shape, (features, gates * units), or a bias."""
    width = known_size(given[-1]) if given else 0
    features = known_size(given[0]) if len(given) == 2 else "features"
    fixes = tuple(
        Fix.of_layer(
            f"the weights come from {name} with {pluralize(units, 'unit')}",
            f"{name} 유닛 {units}개의 가중치일 때",
            format_layer(name, units),
            ("batch", "timesteps", features),
            weights=True,
        )
        for name, units in units_by_layer(width).items()
        if features and len(given) == len(wanted) < 3
    )
    hint = Bilingual(
        "A kernel is (features, gates * units): LSTM has 4 gates, GRU 3, SimpleRNN 1.",
        "커널은 (features, 게이트 수 * units)이며 게이트는 LSTM 4개, GRU 3개, SimpleRNN 1개입니다.",
    )
    return Diagnosis(explanation, fixes or (_fix_order(message),), hint)


def _fix_order(message: Message) -> Fix:
    """Return the fix for a kernel where a bias belongs, or the other way around."""
    return Fix(
        "the weights in the order of the layer",
        "층의 순서대로 가중치를 넘기기",
        "[array.shape for array in layer.get_weights()]",
        (expression(message),),
        weights=True,
    )


@CAUSES.add(
    "load-weights-shape",
    rf"(?:variable\.shape=|The variable shape )\((?P<wanted>{SIZES})\),? "
    rf"(?:Received: value\.shape=|and the assigned value shape )\((?P<given>{SIZES})\)",
)
def _diagnose_loaded_weights(message: Message) -> Diagnosis:
    wanted, given = message.shape("wanted"), message.shape("given")
    if _are_biases(message, wanted, given):
        return _diagnose_bias(wanted, given)
    explanation = Bilingual(
        f"The model has a weight {format_shape(wanted)}; the file has {format_shape(given)}: the layers "
        "differ.",
        f"모델의 가중치는 {format_shape(wanted)}인데 파일에는 {format_shape(given)}입니다. 층이 서로 "
        "다릅니다.",
    )
    return _diagnose_mismatch(message, wanted, given, explanation)


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


@CAUSES.add("reset-after-js", r"GRUCell does not support reset_after parameter set to true")
def _diagnose_tensorflow_js(message: Message) -> Diagnosis:
    before = inner_layer(message, reset_after=False)
    return Diagnosis.of(
        "The layers of TensorFlow.js compute GRU only with reset_after=False; Keras's default is True.",
        "TensorFlow.js의 층은 reset_after=False인 GRU만 계산하는데 Keras의 기본값은 True입니다.",
        Fix(
            "the same weights: convert to a graph model",
            "같은 가중치: 그래프 모델로 변환",
            "tensorflowjs_converter --input_format=tf_saved_model FOLDER web  # tf.loadGraphModel",
            (inner_layer(message),),
        ),
        Fix.of_layer("train again without reset_after", "reset_after 없이 다시 학습", before, weights=True),
        hint=Bilingual(
            "Do not edit model.json: with the weights of the other kind the numbers are wrong.",
            "model.json을 고치지 마세요. 다른 방식의 가중치로는 값이 틀립니다.",
        ),
    )


@CAUSES.add("saved-input", r"Unrecognized keyword arguments: \[(?P<name>'batch_shape'|'batch_input_shape')")
def _diagnose_saved_input(message: Message) -> Diagnosis:
    """The InputLayer in a file, whose argument has another name in Keras 2 and in Keras 3."""
    by_3 = message.name("name") == "'batch_shape'"
    saved, reads = (3, 2) if by_3 else (2, 3)
    return Diagnosis.of(
        f"The model was saved by Keras {saved}, and this is Keras {reads}, which names its input shape "
        "differently.",
        f"Keras {saved} 모델 파일인데 Keras {reads}로 읽고 있습니다. 입력 형태를 적는 이름이 서로 다릅니다.",
        Fix(
            "read it with Keras 3" if by_3 else "read it with Keras 2",
            "Keras 3으로 읽기" if by_3 else "Keras 2로 읽기",
            "pip install -U tensorflow" if by_3 else "pip install tf_keras; tf_keras.models.load_model(path)",
        ),
        Fix("run it without loading it", "불러오지 않고 실행", "rnncli run INPUT --model FILE"),
        hint=Bilingual(
            "TensorFlow 2.16 and newer come with Keras 3.", "TensorFlow 2.16부터는 Keras 3이 들어 있습니다."
        ),
    )
