"""Activations, initializers and layers that Keras does not know by that name."""

from __future__ import annotations

import re

from rnncli import initializers, layers
from rnncli.commands.why.causes._layers import expression, find_nearest, format_layer
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "activation",
    r"(?:Could not interpret activation function identifier: |Unknown activation function "
    r"'?)(?P<name>[\w.]{1,60})",
)
def _diagnose_activation(message: Message) -> Diagnosis:
    name = message.name("name").strip()
    if re.fullmatch(r"[\d.]{1,20}", name):
        return _diagnose_second_argument(message, name)
    named = find_nearest(name, layers.activations.names(), "tanh")
    own = expression(message, activation=named)
    return Diagnosis.of(
        f"Keras has no activation {name}.",
        f"Keras에 없는 활성화 함수입니다: {name}.",
        Fix.of_layer(f"activation {named}", f"활성화 함수 {named}", own),
        hint=Bilingual(
            "Pass your own function without quotes: activation=my_function.",
            "직접 만든 함수는 따옴표 없이 넘깁니다: activation=my_function.",
        ),
    )


def _diagnose_second_argument(message: Message, value: str) -> Diagnosis:
    own = expression(message)
    return Diagnosis.of(
        f"The second argument, {value}, is taken as the activation: only units may be positional.",
        f"두 번째 인자({value})를 활성화 함수로 읽었습니다. 이름 없이는 units만 씁니다.",
        Fix.of_layer("name the other arguments", "나머지 인자는 이름으로", own),
        hint=Bilingual(
            "PyTorch's nn.LSTM(input_size, hidden_size) is LSTM(units) in Keras.",
            "PyTorch의 nn.LSTM(input_size, hidden_size)는 Keras에서 LSTM(units)입니다.",
        ),
    )


@CAUSES.add(
    "initializer",
    r"(?:Could not interpret initializer identifier: |Unknown initializer '?)(?P<name>[\w.]{1,60})",
)
def _diagnose_initializer(message: Message) -> Diagnosis:
    name = message.name("name").strip()
    named = find_nearest(name, initializers.names(), "glorot_uniform")
    own = expression(message, kernel_initializer=named)
    return Diagnosis.of(
        f"Keras has no initializer {name}.",
        f"Keras에 없는 초기화 방법입니다: {name}.",
        Fix.of_layer(f"initializer {named}", f"초기화 방법 {named}", own),
    )


@CAUSES.add(
    "cudnn-layer",
    r"(?:has no attribute '|cannot import name '|Unknown layer: '?)(?P<name>CuDNN(?:LSTM|GRU))\b",
)
def _diagnose_cudnn_layer(message: Message) -> Diagnosis:
    name = message.name("name")
    own = format_layer(name.removeprefix("CuDNN"))
    return Diagnosis.of(
        f"Keras 3 has no {name}: LSTM and GRU use cuDNN by themselves if it gives the same numbers.",
        f"Keras 3에 없는 층입니다: {name}. LSTM과 GRU가 cuDNN을 쓸 수 있으면 스스로 씁니다.",
        Fix.of_layer("the plain layer", "일반 층", own),
        hint=Bilingual(
            "cuDNN needs the default activations, no recurrent_dropout, and unroll=False.",
            "cuDNN을 쓰려면 활성화 함수가 기본값이고 recurrent_dropout이 없으며 unroll=False여야 합니다.",
        ),
    )


@CAUSES.add("nonlinearity", r"Unknown nonlinearity '(?P<name>\w{1,60})'")
def _diagnose_nonlinearity(message: Message) -> Diagnosis:
    name = message.name("name")
    known = name if name in layers.activations.names() else "tanh"
    layer = format_layer("SimpleRNN", activation=known)
    return Diagnosis.of(
        f"PyTorch's RNN supports tanh and relu, not {name}.",
        f"PyTorch의 RNN에 없는 함수입니다: {name}. tanh와 relu만 있습니다.",
        Fix(
            "tanh, the default",
            "기본값 tanh",
            "nn.RNN(input_size, hidden_size)",
            (format_layer("SimpleRNN"),),
        ),
        Fix.of_layer(f"{known} in Keras", f"Keras에서 {known}", layer),
    )
