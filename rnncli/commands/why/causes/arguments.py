"""Arguments of a layer: names that it does not have, and values that it does not take."""

from __future__ import annotations

import re
from collections.abc import Callable

from rnncli import initializers, layers
from rnncli.commands.why.causes._layers import SEQUENCE, UNITS, expression, gates, nearest, written
from rnncli.commands.why.diagnosis import Cause, Diagnosis, Fix
from rnncli.commands.why.message import DEFAULT, Message, parse_shape, recurrent_in
from rnncli.renderers.wording import Bilingual

MOST = 6
"""Unknown arguments that are explained; a message with more is explained by its first ones."""


def _unrecognized(message: Message) -> Diagnosis | None:
    if not recurrent_in(message.name("owner")):
        return None
    given = message.name("given")
    names = re.findall(r"['\"](\w{1,60})['\"]: ", given)[:MOST]
    values = dict(re.findall(r"['\"](\w{1,60})['\"]: (\([^)]{0,60}\)|[\w.]{1,60})", given))
    return _unknown(message, {name: values.get(name, "") for name in names}) if names else None


def _not_understood(message: Message) -> Diagnosis:
    return _unknown(message, {message.name("name"): ""})


def _unknown(message: Message, given: dict[str, str]) -> Diagnosis:
    """given: values by the names of the unknown arguments, as text."""
    owner = message.layer
    names = ", ".join(given)
    return Diagnosis(
        Bilingual(
            f"Keras's {owner} has no argument {names}.",
            f"Keras의 {owner}에는 {names} 인자가 없습니다.",
        ),
        (*(_replacement(owner, name, value) for name, value in given.items()), *_from_file(message)),
        _FOREIGN if any(name in _RETIRED for name in given) else Bilingual("", ""),
    )


def _from_file(message: Message) -> tuple[Fix, ...]:
    """Return the fix for a model that was saved with an argument that no longer exists."""
    if "deserializ" not in message.text:
        return ()
    said = Bilingual(
        "a model saved by Keras 2: run it as it was saved", "Keras 2로 저장한 모델: 저장된 대로 실행"
    )
    return (Fix(said, "rnncli run INPUT --model FILE.h5"),)


def _replacement(owner: str, name: str, value: str) -> Fix:
    """Return what says the same in Keras 3; where nothing does, leave the argument out."""
    if name in _RETIRED:
        return _RETIRED[name](owner, value)
    options = layers.class_of(owner).options
    having = [one for one in layers.recurrent() if name in layers.class_of(one).options]
    having = [one for one in having if not one.startswith(("Conv", "Bi"))]
    if having:
        layer = written(having[0])
        said = Bilingual(f"{name} belongs to {having[0]}", f"{name}: {having[0]}의 인자")
        return Fix(said, layer, (layer,), SEQUENCE)
    if near := nearest(name, options, ""):
        default = options[near].default
        other = {} if near == "units" else {near: not default if isinstance(default, bool) else default}
        layer = written(owner, **other)
        return Fix(
            Bilingual(f"the argument is called {near}", f"인자 이름은 {near}"), layer, (layer,), SEQUENCE
        )
    return _left_out(owner, value, name)


def _left_out(owner: str, _: str, name: str = "") -> Fix:
    layer = written(owner)
    said = Bilingual(f"leave {name} out", f"{name} 빼기") if name else Bilingual("leave it out", "인자 빼기")
    return Fix(said, layer, (layer,), SEQUENCE)


def _time_major(owner: str, _: str) -> Fix:
    layer = written(owner)
    said = Bilingual("time_major: put the batch first", "time_major: 배치 축을 맨 앞으로")
    return Fix(said, "keras.ops.transpose(x, (1, 0, 2))", (layer,), SEQUENCE)


def _batch_shape(owner: str, value: str) -> Fix:
    shape, layer = parse_shape(value), written(owner)
    known = len(shape) == 3
    said = Bilingual("batch_input_shape: an Input layer", "batch_input_shape: Input 층으로")
    sizes = tuple(name if size is None else size for size, name in zip(shape, SEQUENCE, strict=False))
    return Fix(
        said,
        f"keras.Input(batch_shape={value if known else 'shape'})",
        (layer,),
        sizes if known else SEQUENCE,
    )


def _input_length(owner: str, value: str) -> Fix:
    layer, known = written(owner), value.isdigit() and value != "0"
    said = Bilingual("input_length: an Input layer", "input_length: Input 층으로")
    steps = int(value[:9]) if known else "timesteps"
    return Fix(said, f"keras.Input(({steps}, features))", (layer,), ("batch", steps, "features"))


def _weights(owner: str, _: str) -> Fix:
    layer = written(owner)
    said = Bilingual("weights: set them once it is built", "weights: 층을 만든 뒤에 설정")
    return Fix(said, "layer.build(shape); layer.set_weights(weights)", (layer,), SEQUENCE, weights=True)


def _batch_first(owner: str, _: str) -> Fix:
    layer = written(owner)
    said = Bilingual("batch_first: Keras always is", "batch_first: Keras는 언제나 배치가 먼저")
    return Fix(said, layer, (layer,), SEQUENCE)


def _hidden_size(owner: str, value: str) -> Fix:
    units = int(value[:6]) if value.isdigit() and int(value[:6]) else UNITS
    return Fix(
        Bilingual("hidden_size: units", "hidden_size: units"),
        written(owner, units),
        (written(owner, units),),
        SEQUENCE,
    )


def _num_layers(owner: str, value: str) -> Fix:
    count = min(int(value[:3]), 4) if value.isdigit() and int(value[:3]) else 2
    stack = (*(written(owner, return_sequences=True) for _ in range(count - 1)), written(owner))
    said = Bilingual(f"num_layers: {count} layers in a row", f"num_layers: 층 {count}개를 차례로")
    return Fix(said, ", ".join(stack), stack, SEQUENCE)


def _bidirectional(owner: str, _: str) -> Fix:
    layer = f"Bidirectional({written(owner)})"
    return Fix(
        Bilingual("bidirectional: a layer around it", "bidirectional: 감싸는 층"), layer, (layer,), SEQUENCE
    )


_FOREIGN = Bilingual(
    "Code for Keras 1 and 2 or for PyTorch may name arguments that Keras 3 does not have.",
    "Keras 1, 2나 PyTorch용 코드에는 Keras 3에 없는 인자가 있을 수 있습니다.",
)
_RETIRED: dict[str, Callable[[str, str], Fix]] = {
    "time_major": _time_major,
    "batch_input_shape": _batch_shape,
    "input_length": _input_length,
    "weights": _weights,
    "batch_first": _batch_first,
    "hidden_size": _hidden_size,
    "num_layers": _num_layers,
    "bidirectional": _bidirectional,
}


def _torch_argument(message: Message) -> Diagnosis:
    name = message.name("name")
    keras = {
        "return_sequences": ("output, _ = layer(x)", {"return_sequences": True}),
        "return_state": ("output, (h, c) = layer(x)", {"return_state": True}),
        "units": ("nn.LSTM(input_size, hidden_size)", {}),
        "go_backwards": ("layer(x.flip(1))", {"go_backwards": True}),
        "stateful": ("output, hx = layer(x, hx)", {"stateful": True}),
    }
    code, options = keras.get(name, ("nn.LSTM(input_size, hidden_size)", {}))
    layer = written(DEFAULT, **options)
    return Diagnosis(
        Bilingual(f"PyTorch's layer has no argument {name}.", f"PyTorch의 층에는 {name} 인자가 없습니다."),
        (Fix(Bilingual("the same in PyTorch", "PyTorch에서 같은 일"), code, (layer,), SEQUENCE),),
        Bilingual(
            "PyTorch always returns the whole sequence and the last states.",
            "PyTorch는 언제나 시퀀스 전체와 마지막 상태를 반환합니다.",
        ),
    )


def _units(message: Message) -> Diagnosis:
    value = message.name("value")
    units = _near(value)
    return Diagnosis(
        Bilingual(
            f"units is {value}: it is the number of outputs, a whole number from 1.",
            f"units가 {value}입니다. units는 출력의 개수이며 1 이상의 정수입니다.",
        ),
        (_with_units(message, units),),
    )


def _near(value: str) -> int:
    """Return the number of units that was probably meant: `-3` -> 3, `3.5` -> 3, `0` -> 3."""
    digits = re.search(r"\d{1,6}", value)
    return int(digits[0]) if digits and int(digits[0]) else UNITS


def _with_units(message: Message, units: int) -> Fix:
    layer = expression(message, units)
    said = Bilingual(f"{units} units", f"유닛 {units}개")
    return Fix(said, layer, (layer,), SEQUENCE)


def _float_units(message: Message) -> Diagnosis | None:
    """`(5, 14.0)`: the shape of a kernel whose width is gates * units."""
    wide = float(message.name("width"))
    if wide > 1e9:
        return None
    units = wide / gates(message.layer)
    return Diagnosis(
        Bilingual(
            f"A kernel cannot have {wide:g} columns as a float: units must be a whole number (an int).",
            f"커널의 열 수가 실수 {wide:g}일 수 없습니다. units는 정수(int)여야 합니다.",
        ),
        (_with_units(message, max(1, int(units))),),
        Bilingual(
            "n / 2 is a float in Python; write n // 2.", "Python에서 n / 2는 실수이므로 n // 2로 씁니다."
        ),
    )


def _text_units(message: Message) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            "A size is text, not a number, such as LSTM('3').",
            "LSTM('3')처럼 크기가 숫자가 아니라 글자입니다.",
        ),
        (
            Fix(
                Bilingual(
                    "convert text from a file or the command line", "파일이나 명령줄에서 온 글자를 변환"
                ),
                "units = int(units)",
                (expression(message),),
                SEQUENCE,
            ),
        ),
    )


def _no_units(message: Message) -> Diagnosis:
    owner = recurrent_in(message.name("owner")) or DEFAULT
    torch = message.name("missing") == "hidden_size"
    layer = written(owner)
    code = f"nn.LSTM(input_size, hidden_size={UNITS})" if torch else layer
    return Diagnosis(
        Bilingual(
            f"The number of units is missing: {message.name('missing')} has no default.",
            f"유닛의 개수가 빠졌습니다. {message.name('missing')}에는 기본값이 없습니다.",
        ),
        (
            Fix(
                Bilingual(f"{UNITS} units, for example", f"예를 들어 유닛 {UNITS}개"),
                code,
                (layer,),
                SEQUENCE,
            ),
        ),
    )


def _torch_units(_: Message) -> Diagnosis:
    said = Bilingual(f"{UNITS} units, for example", f"예를 들어 유닛 {UNITS}개")
    return Diagnosis(
        Bilingual(
            "hidden_size is the number of units, a whole number from 1.",
            "hidden_size는 유닛의 개수이며 1 이상의 정수입니다.",
        ),
        (Fix(said, f"nn.LSTM(input_size, {UNITS})", (written(DEFAULT),), SEQUENCE),),
    )


def _activation(message: Message) -> Diagnosis:
    name = message.name("name").strip()
    if re.fullmatch(r"[\d.]{1,20}", name):
        return _slipped(message, name)
    named = nearest(name, layers.activations.names(), "tanh")
    own = written(message.layer, activation=named)
    return Diagnosis(
        Bilingual(f"Keras has no activation {name}.", f"Keras에 없는 활성화 함수입니다: {name}."),
        (Fix(Bilingual(f"activation {named}", f"활성화 함수 {named}"), own, (own,), SEQUENCE),),
        Bilingual(
            "A function of your own goes in without quotes: activation=my_function.",
            "직접 만든 함수는 따옴표 없이 넘깁니다: activation=my_function.",
        ),
    )


def _slipped(message: Message, value: str) -> Diagnosis:
    own = written(message.layer)
    return Diagnosis(
        Bilingual(
            f"The second argument, {value}, is taken as the activation: only units comes first.",
            f"두 번째 인자({value})를 활성화 함수로 읽었습니다. 이름 없이는 units만 씁니다.",
        ),
        (Fix(Bilingual("name the other arguments", "나머지 인자는 이름으로"), own, (own,), SEQUENCE),),
        Bilingual(
            "PyTorch's nn.LSTM(input_size, hidden_size) is LSTM(units) in Keras.",
            "PyTorch의 nn.LSTM(input_size, hidden_size)는 Keras에서 LSTM(units)입니다.",
        ),
    )


def _initializer(message: Message) -> Diagnosis:
    name = message.name("name").strip()
    named = nearest(name, initializers.names(), "glorot_uniform")
    own = written(message.layer, kernel_initializer=named)
    return Diagnosis(
        Bilingual(f"Keras has no initializer {name}.", f"Keras에 없는 초기화 방법입니다: {name}."),
        (Fix(Bilingual(f"initializer {named}", f"초기화 방법 {named}"), own, (own,), SEQUENCE),),
    )


def _cudnn_layer(message: Message) -> Diagnosis:
    name = message.name("name")
    own = written(name.removeprefix("CuDNN"))
    return Diagnosis(
        Bilingual(
            f"Keras 3 has no {name}: LSTM and GRU choose cuDNN themselves where it gives the same numbers.",
            f"Keras 3에 없는 층입니다: {name}. LSTM과 GRU가 cuDNN을 쓸 수 있으면 스스로 씁니다.",
        ),
        (Fix(Bilingual("the plain layer", "일반 층"), own, (own,), SEQUENCE),),
        Bilingual(
            "cuDNN needs the default activations, no recurrent_dropout, and unroll=False.",
            "cuDNN을 쓰려면 활성화 함수가 기본값이고 recurrent_dropout이 없으며 unroll=False여야 합니다.",
        ),
    )


def _nonlinearity(message: Message) -> Diagnosis:
    name = message.name("name")
    known = name if name in layers.activations.names() else "tanh"
    layer = written("SimpleRNN", activation=known)
    return Diagnosis(
        Bilingual(
            f"PyTorch's RNN knows tanh and relu, not {name}.",
            f"PyTorch의 RNN에 없는 함수입니다: {name}. tanh와 relu만 있습니다.",
        ),
        (
            Fix(
                Bilingual("tanh, the default", "기본값 tanh"),
                "nn.RNN(input_size, hidden_size)",
                (written("SimpleRNN"),),
                SEQUENCE,
            ),
            Fix(Bilingual(f"{known} in Keras", f"Keras에서 {known}"), layer, (layer,), SEQUENCE),
        ),
    )


CAUSES = (
    Cause(
        "argument-unknown",
        r"Unrecognized keyword arguments passed to (?P<owner>\w{1,60}): \{(?P<given>.{1,1000}?)\}",
        _unrecognized,
    ),
    Cause(
        "argument-unknown-keras2",
        r"Keyword argument not understood:', '(?P<name>\w{1,60})'",
        _not_understood,
    ),
    Cause(
        "argument-torch",
        r"RNNBase\.__init__\(\) got an unexpected keyword argument '(?P<name>\w{1,60})'",
        _torch_argument,
    ),
    Cause(
        "units",
        r"invalid value for argument `units`, expected a positive integer, got "
        r"(?P<value>-?[\w.]{1,20}?)(?=\.?(?:\s|$))",
        _units,
    ),
    Cause(
        "units-float",
        r"Cannot convert '\([\dNone, ]{0,30}?(?P<width>\d{1,9}\.\d{1,9})\)' to a shape",
        _float_units,
    ),
    Cause("units-text", r"'<=' not supported between instances of 'str' and 'int'", _text_units),
    Cause(
        "units-missing",
        r"(?P<owner>\w{1,60})\.__init__\(\) missing 1 required positional argument: "
        r"'(?P<missing>units|hidden_size)'",
        _no_units,
    ),
    Cause(
        "units-torch",
        r"hidden_size (?:must be|should be of type) (?P<value>greater than zero|int, got: \w{1,20})",
        _torch_units,
    ),
    Cause(
        "activation",
        r"(?:Could not interpret activation function identifier: |Unknown activation function "
        r"'?)(?P<name>[\w.]{1,60})",
        _activation,
    ),
    Cause(
        "initializer",
        r"(?:Could not interpret initializer identifier: |Unknown initializer '?)(?P<name>[\w.]{1,60})",
        _initializer,
    ),
    Cause(
        "cudnn-layer",
        r"(?:has no attribute|cannot import name) '(?P<name>CuDNN(?:LSTM|GRU))'",
        _cudnn_layer,
    ),
    Cause("nonlinearity", r"Unknown nonlinearity '(?P<name>\w{1,60})'", _nonlinearity),
)
