"""Units that are not a positive integer."""

from __future__ import annotations

import re

from rnncli.commands.why.causes._layers import UNITS, count_gates, expression, format_layer, pluralize
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import DEFAULT, Message, recurrent_in
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "units",
    r"invalid value for argument `units`, expected a positive integer, got "
    r"(?P<value>-?[\w.]{1,20}?)(?=\.?(?:\s|$))",
)
def _diagnose_units(message: Message) -> Diagnosis:
    value = message.name("value")
    units = _guess_units(value)
    return Diagnosis.of(
        f"units is {value}; it must be a positive integer, the number of outputs.",
        f"units가 {value}입니다. units는 출력의 개수이며 1 이상의 정수입니다.",
        _fix_with_units(message, units),
    )


def _guess_units(value: str) -> int:
    """Return the number of units that was probably meant: `-3` -> 3, `3.5` -> 3, `0` -> 3."""
    digits = re.search(r"\d{1,6}", value)
    return int(digits[0]) if digits and int(digits[0]) else UNITS


def _fix_with_units(message: Message, units: int) -> Fix:
    layer = expression(message, units)
    return Fix.of_layer(pluralize(units, "unit"), f"유닛 {units}개", layer)


@CAUSES.add("units-float", r"Cannot convert '\([\dNone, ]{0,30}?(?P<width>\d{1,9}\.\d{1,9})\)' to a shape")
def _diagnose_float_units(message: Message) -> Diagnosis | None:
    """`(5, 14.0)`: the shape of a kernel whose width is gates * units."""
    wide = float(message.name("width"))
    if wide > 1e9:
        return None
    units = wide / count_gates(message.layer)
    return Diagnosis.of(
        f"A kernel cannot have {wide:g} columns as a float: units must be a whole number (an int).",
        f"커널의 열 수가 실수 {wide:g}일 수 없습니다. units는 정수(int)여야 합니다.",
        _fix_with_units(message, max(1, int(units))),
        hint=Bilingual(
            "n / 2 is a float in Python; write n // 2.", "Python에서 n / 2는 실수이므로 n // 2로 씁니다."
        ),
    )


@CAUSES.add("units-text", r"'<=' not supported between instances of 'str' and 'int'")
def _diagnose_text_units(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "A size is text, not a number, such as LSTM('3').",
        "LSTM('3')처럼 크기가 숫자가 아니라 글자입니다.",
        Fix(
            "convert text from a file or the command line",
            "파일이나 명령줄에서 온 글자를 변환",
            "units = int(units)",
            (expression(message),),
        ),
    )


@CAUSES.add(
    "units-missing",
    r"(?P<owner>\w{1,60})\.__init__\(\) missing 1 required positional argument: "
    r"'(?P<missing>units|hidden_size)'",
)
def _diagnose_no_units(message: Message) -> Diagnosis:
    owner = recurrent_in(message.name("owner")) or DEFAULT
    torch = message.name("missing") == "hidden_size"
    layer = format_layer(owner)
    code = f"nn.LSTM(input_size, hidden_size={UNITS})" if torch else layer
    return Diagnosis.of(
        f"The number of units is missing: {message.name('missing')} has no default.",
        f"유닛의 개수가 빠졌습니다. {message.name('missing')}에는 기본값이 없습니다.",
        Fix(f"{UNITS} units, for example", f"예를 들어 유닛 {UNITS}개", code, (layer,)),
    )


@CAUSES.add(
    "units-torch",
    r"hidden_size (?:must be|should be of type) (?P<value>greater than zero|int, got: \w{1,20})",
)
def _diagnose_torch_units(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "hidden_size must be a positive integer, the number of units.",
        "hidden_size는 유닛의 개수이며 1 이상의 정수입니다.",
        Fix(
            f"{UNITS} units, for example",
            f"예를 들어 유닛 {UNITS}개",
            f"nn.LSTM(input_size, {UNITS})",
            (format_layer(DEFAULT),),
        ),
    )
