"""Inputs with a different number of features than the weights were made for."""

from __future__ import annotations

from rnncli.case import format_shape
from rnncli.commands.why.causes._layers import (
    SIZES,
    count_gates,
    expression,
    known_size,
    pluralize,
    with_width,
)
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add(
    "features",
    r"Matrix size-incompatible: In\[0\]: \[(?P<given>[\d,]{1,60})\], In\[1\]: \[(?P<kernel>[\d,]{1,60})\]",
)
@CAUSES.add(
    "features-graph",
    r"Dimensions must be equal, but are \d{1,9} and \d{1,9} for .{0,300}MatMul.{0,600}?with input shapes: "
    r"\[(?P<given>[\d?,]{1,60})\], \[(?P<kernel>[\d?,]{1,60})\]",
)
def _diagnose_product(message: Message) -> Diagnosis | None:
    """Explain a product of x (batch, features) and a kernel (features, gates * units)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    if len(given) != 2 or len(kernel) != 2 or not given[1] or not kernel[0]:
        return None
    found, wanted, width = map(known_size, (given[1], *kernel))
    in_cell = message.call.endswith("Cell") or (not message.call and "_cell" in message.match[0])
    if not in_cell:
        return None if message.call else _diagnose_mismatch(f"Dense({width})", found, wanted)
    units = width // count_gates(message.layer)
    states = message.argument("states")
    if not units or (states and states[0][-1] != units):
        return None  # the states do not fit: see states.py
    return _diagnose_mismatch(expression(message, units), found, wanted)


@CAUSES.add(
    "features-cut", r"Dimensions must be equal, but are (?P<found>\d{1,9}) and (?P<wanted>\d{1,9})\W{0,5}$"
)
def _diagnose_product_without_shapes(message: Message) -> Diagnosis:
    """Explain a message that ends before the shapes."""
    return _diagnose_mismatch(expression(message), message.number("found"), message.number("wanted"))


def _diagnose_mismatch(layer: str, found: int, wanted: int) -> Diagnosis:
    return Diagnosis.of(
        f"The layer was built for {pluralize(wanted, 'feature')} per time step; this input has {found}.",
        f"층은 한 시점의 특성 {wanted}개로 만들어졌는데 이 입력은 {found}개입니다.",
        _fix_features(layer, found, wanted),
        _fix_new_layer(layer, found),
        hint=Bilingual(
            f"The kernel has one row per feature and keeps its {pluralize(wanted, 'row')} once it is built.",
            f"커널은 특성마다 한 행이며, 한번 만들어지면 {wanted}행으로 고정됩니다.",
        ),
    )


def _fix_features(layer: str, found: int, wanted: int) -> Fix:
    """Return the fix that gives the layer the number of features that it has weights for."""
    given = ("batch", "timesteps", wanted)
    if found > wanted:
        return Fix(
            "the input has too many columns", "입력에 열이 더 있을 때", f"x[..., :{wanted}]", (layer,), given
        )
    return Fix(
        f"prepare it as in training, with {pluralize(wanted, 'feature')}",
        f"학습 때처럼 특성 {wanted}개를 준비",
        f"assert x.shape[-1] == {wanted}",
        (layer,),
        given,
    )


def _fix_new_layer(layer: str, found: int) -> Fix:
    return Fix(
        f"a new layer, with new weights, for {pluralize(found, 'feature')}",
        f"특성 {found}개를 받는 새 층",
        f"{layer}(x)",
        (layer,),
        ("batch", "timesteps", found),
        weights=True,
    )


@CAUSES.add(
    "features-axis",
    r"expected axis -1 of input shape to have value (?P<wanted>\d{1,9}), but received input with shape "
    rf"\((?P<shape>{SIZES})\)",
)
def _diagnose_axis(message: Message) -> Diagnosis:
    wanted, shape = message.number("wanted"), message.shape("shape")
    found = shape[-1] if shape else None
    return Diagnosis.of(
        f"This layer was built for {pluralize(wanted, 'feature')} on the last axis; it got "
        f"{format_shape(shape)}.",
        f"이 층은 마지막 축의 특성 {wanted}개로 만들어졌는데 {format_shape(shape)}를 받았습니다.",
        Fix(
            f"the recurrent layer before it has {pluralize(wanted, 'unit')}",
            f"앞의 순환층을 유닛 {wanted}개로",
            with_width(message, wanted),
            (with_width(message, wanted), "Dense(1)"),
        ),
        Fix(
            f"a new Dense for {pluralize(found, 'feature')}",
            f"특성 {found}개를 받는 새 Dense",
            "layers.Dense(1)(x)",
            ("Dense(1)",),
            ("batch", "timesteps", found),
            weights=True,
        ),
    )
