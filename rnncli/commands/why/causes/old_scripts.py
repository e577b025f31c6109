"""Scripts of TensorFlow 1, old Keras, or an old TensorFlow with a new NumPy."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression, format_layer
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message, recurrent_in
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "symbolic-tensor",
    r"Cannot convert a symbolic (?:tf\.)?Tensor \((?:[\w/]{0,100}/)?"
    r"(?:\w{0,60}(?:lstm|gru|rnn|bidirectional)\w{0,60})/[\w/]{0,100}strided_slice[\w:]{0,20}\) to a "
    r"numpy array",
)
def _diagnose_symbolic(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "TensorFlow before 2.4 does not work with NumPy 1.20 or newer; the layer is right.",
        "TensorFlow 2.4 이전 버전은 NumPy 1.20 이후 버전과 함께 쓸 수 없습니다. 층에는 문제가 없습니다.",
        Fix(
            "a newer TensorFlow", "더 새로운 TensorFlow", "pip install -U tensorflow", (expression(message),)
        ),
        Fix("an older NumPy", "더 오래된 NumPy", "pip install 'numpy<1.20'"),
    )


@CAUSES.add(
    "tensorflow-1",
    r"module '[\w.]{1,100}' has no attribute '(?P<name>(?:bidirectional_)?dynamic_rnn|static_rnn|"
    r"(?:Basic)?(?:LSTM|RNN|GRU)Cell|rnn_cell)'",
)
def _diagnose_tensorflow_1(message: Message) -> Diagnosis:
    cell = recurrent_in(message.name("name")) or "LSTM"
    layer = format_layer(cell, return_sequences=True, return_state=True)
    state = "h, c" if cell == "LSTM" else "h"
    return Diagnosis.of(
        "The recurrent layers of TensorFlow 1 are gone; a Keras layer is cell and loop in one.",
        "TensorFlow 1의 순환층은 없어졌습니다. Keras의 층은 셀과 반복을 함께 합니다.",
        Fix(
            "instead of a cell and dynamic_rnn",
            "셀과 dynamic_rnn 대신",
            f"outputs, {state} = {layer}(x)",
            (layer,),
        ),
        hint=Bilingual(
            "dynamic_rnn returned a pair, LSTMStateTuple(c, h); Keras returns h, then c.",
            "dynamic_rnn은 LSTMStateTuple(c, h)를, Keras는 h, c 순서로 반환합니다.",
        ),
    )


@CAUSES.add(
    "layer-moved",
    r"(?:cannot import name '(?P<name>\w{1,60})' from|No module named) '(?:tensorflow\.)?(?:python\.)?"
    r"keras\.layers\.recurrent(?:_v2)?'",
)
def _diagnose_moved(message: Message) -> Diagnosis:
    name = recurrent_in(message.name("name")) or "LSTM"
    return Diagnosis.of(
        "keras.layers.recurrent is the module of an old Keras; the layers are in keras.layers.",
        "keras.layers.recurrent는 옛 Keras의 모듈입니다. 층은 keras.layers에 있습니다.",
        Fix(
            "import it from keras.layers",
            "keras.layers에서 가져오기",
            f"from keras.layers import {name}",
            (format_layer(name),),
        ),
    )
