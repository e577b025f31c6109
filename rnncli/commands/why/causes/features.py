"""Inputs whose last axis is not the one that the weights were made for."""

from __future__ import annotations

from rnncli.case import Dimension, Shape, format_shape
from rnncli.commands.why.causes._layers import SEQUENCE, UNITS, expression, gates, shape_of, written
from rnncli.commands.why.diagnosis import Cause, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual


def _product(message: Message) -> Diagnosis | None:
    """A product of x (batch, features) and a kernel (features, gates * units)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    if len(given) != 2 or len(kernel) != 2 or not given[1] or not kernel[0]:
        return None
    found, wanted, width = map(_whole, (given[1], *kernel))
    in_cell = message.call.endswith("Cell") or (not message.call and "_cell" in message.match[0])
    if not in_cell:
        return None if message.call else _mismatch(f"Dense({width})", found, wanted)
    units = width // gates(message.layer)
    states = message.argument("states")
    if not units or (states and states[0][-1] != units):
        return None  # the states do not fit: see states.py
    return _mismatch(expression(message, units), found, wanted)


def _bare(message: Message) -> Diagnosis:
    """A line that was cut before the shapes."""
    return _mismatch(expression(message), message.number("found"), message.number("wanted"))


def _mismatch(layer: str, found: int, wanted: int) -> Diagnosis:
    return Diagnosis(
        Bilingual(
            f"The layer was built for {wanted} features per time step; this input has {found}.",
            f"층은 한 시점의 특징 {wanted}개로 만들어졌는데 이 입력은 {found}개입니다.",
        ),
        (*_narrower(layer, found, wanted), _new_layer(layer, found)),
        Bilingual(
            f"The kernel has one row per feature and keeps its {wanted} rows once it is built.",
            f"커널은 특징마다 한 행이며, 한번 만들어지면 {wanted}행으로 고정됩니다.",
        ),
    )


def _narrower(layer: str, found: int, wanted: int) -> tuple[Fix, ...]:
    """Return the fix that gives the layer the number of features that it has weights for."""
    if found > wanted:
        said = Bilingual("the input has too many columns", "입력에 열이 더 있을 때")
        return (Fix(said, f"x[..., :{wanted}]", (layer,), ("batch", "timesteps", wanted)),)
    said = Bilingual(
        f"prepare it as in training, with {wanted} features", f"학습 때처럼 특징 {wanted}개를 준비"
    )
    return (Fix(said, f"assert x.shape[-1] == {wanted}", (layer,), ("batch", "timesteps", wanted)),)


def _new_layer(layer: str, found: int) -> Fix:
    said = Bilingual(f"a new layer, with new weights, for {found} features", f"특징 {found}개를 받는 새 층")
    return Fix(said, f"{layer}(x)", (layer,), ("batch", "timesteps", found), weights=True)


def _axis(message: Message) -> Diagnosis:
    wanted, shape = message.number("wanted"), message.shape("shape")
    found = shape[-1] if shape else None
    return Diagnosis(
        Bilingual(
            f"This layer was built for {wanted} features on the last axis; it got {format_shape(shape)}.",
            f"이 층은 마지막 축의 특징 {wanted}개로 만들어졌는데 {format_shape(shape)}를 받았습니다.",
        ),
        (
            Fix(
                Bilingual(
                    f"the recurrent layer before it has {wanted} units", f"앞의 순환층을 유닛 {wanted}개로"
                ),
                written("LSTM", wanted),
                (written("LSTM", wanted), "Dense(1)"),
                SEQUENCE,
            ),
            Fix(
                Bilingual(f"a new Dense for {found} features", f"특징 {found}개를 받는 새 Dense"),
                "layers.Dense(1)(x)",
                ("Dense(1)",),
                ("batch", "timesteps", found),
                weights=True,
            ),
        ),
    )


def _model(message: Message) -> Diagnosis | None:
    """The input of a whole model: `expected shape=(None, 4, 5), found shape=(1, 4, 6)`."""
    wanted, found = message.shape("wanted"), message.shape("found")
    return _another_shape(expression(message), wanted, found) if len(wanted) == 3 else None


def _array(message: Message) -> Diagnosis | None:
    """The same in Keras 1 and early Keras 2, which leave out the batch axis."""
    wanted, found = message.shape("wanted"), message.shape("found")
    if len(wanted) != 2 or len(found) != 2:
        return None
    return _another_shape(expression(message), (None, *wanted), (None, *found))


def _another_shape(layer: str, wanted: Shape, found: Shape) -> Diagnosis:
    fixes = tuple(
        Fix(said, code, (layer,), shape_of(shape))
        for said, code, shape in _arranged(found)
        if _fits(shape, wanted)
    )
    return Diagnosis(
        Bilingual(
            f"The model was made for {format_shape(wanted)}; this input is {format_shape(found)}.",
            f"모델은 {format_shape(wanted)}로 만들어졌는데 이 입력은 {format_shape(found)}입니다.",
        ),
        fixes or _remade(layer, wanted, found),
        Bilingual(
            "None on the first axis is the batch: any number of sequences.",
            "첫 축의 None은 배치입니다. 시퀀스가 몇 개든 됩니다.",
        ),
    )


def _remade(layer: str, wanted: Shape, found: Shape) -> tuple[Fix, ...]:
    """Return the fixes for an input that has other numbers than the model was made for."""
    steps, features = wanted[1:]
    check = f"x.shape[-1] == {features}" if steps is None else f"x.shape[1:] == {format_shape(wanted[1:])}"
    ready = Bilingual("prepare the input as in training", "학습 때처럼 입력을 준비")
    new = Bilingual("a new model for this input", "이 입력을 받는 새 모델")
    old = Fix(ready, f"assert {check}", (layer,), shape_of(wanted))
    if len(found) != 3:
        return (old,)
    return old, Fix(new, f"keras.Input({format_shape(found[1:])})", (layer,), ("batch", *found[1:]))


def _arranged(found: Shape) -> list[tuple[Bilingual, str, Shape]]:
    """Return what can be done to an input without changing its numbers."""
    if len(found) == 2:
        return [
            (Bilingual("the batch axis is missing", "배치 축이 없을 때"), "x[None]", (1, *found)),
            (Bilingual("the features axis is missing", "특징 축이 없을 때"), "x[..., None]", (*found, 1)),
        ]
    if len(found) == 3:
        turned = (found[0], found[2], found[1])
        said = Bilingual("time and features are swapped", "시간 축과 특징 축이 바뀌었을 때")
        return [(said, "x.transpose(0, 2, 1)", turned)]
    if len(found) == 4 and found[-1] == 1:
        return [
            (Bilingual("an axis of size 1 too many", "크기 1인 축이 하나 더 있을 때"), "x[..., 0]", found[:3])
        ]
    return []


def _fits(shape: Shape, wanted: Shape) -> bool:
    pairs = zip(shape, wanted, strict=True)
    return len(shape) == len(wanted) and all(size is None or size == own for own, size in pairs)


def _unknown(message: Message) -> Diagnosis | None:
    shape, path = message.shape("shape"), message.name("path")
    if "kernel" not in path or len(shape) != 2 or shape[0] is not None:
        return None
    if "_cell/" not in path:
        return _flattened(shape)
    units = _whole(shape[1]) // gates(message.layer) or UNITS
    layer = expression(message, units)
    return Diagnosis(
        Bilingual(
            "The number of features is unknown (None), so the kernel has no shape. Only batch and timesteps "
            "may be None.",
            "특징의 개수를 모르기 때문에(None) 커널의 형태를 정할 수 없습니다. None은 batch와 timesteps에만 "
            "쓸 수 있습니다.",
        ),
        (
            Fix(
                Bilingual("say how many features there are", "특징의 개수를 적기"),
                "keras.Input((None, features))",
                (layer,),
                SEQUENCE,
                weights=True,
            ),
        ),
        Bilingual(
            "TimeDistributed gives each time step to its layer, which then needs (batch, steps, features).",
            "TimeDistributed는 시점마다 안쪽 층에 넘기므로 안쪽 순환층에는 (batch, steps, "
            "features)가 필요합니다.",
        )
        if "time_distributed" in path
        else Bilingual("", ""),
    )


def _flattened(shape: Shape) -> Diagnosis:
    units = _whole(shape[1]) or UNITS
    last = written("LSTM")
    return Diagnosis(
        Bilingual(
            "The number of features is unknown (None): flattening a sequence of any length gives "
            "no fixed size.",
            "특징의 개수를 모릅니다(None). 길이가 정해지지 않은 시퀀스를 펼치면 크기가 정해지지 않습니다.",
        ),
        (
            Fix(
                Bilingual("one output per sequence, from the last step", "마지막 시점에서 출력 하나"),
                f"{last}, Dense({units})",
                (last, f"Dense({units})"),
                SEQUENCE,
            ),
            Fix(
                Bilingual("one output per time step", "시점마다 출력 하나"),
                f"{written('LSTM', return_sequences=True)}, Dense({units})",
                (written("LSTM", return_sequences=True), f"Dense({units})"),
                SEQUENCE,
            ),
        ),
    )


def _torch(message: Message) -> Diagnosis:
    wanted, found = message.number("wanted"), message.number("found")
    layer = expression(message)
    made = Bilingual(f"the layer is made for {found} features", f"층을 특징 {found}개로 만들기")
    kept = Bilingual(f"the input is made of {wanted} features", f"입력을 특징 {wanted}개로 준비하기")
    own = message.layer.replace("Simple", "")
    return Diagnosis(
        Bilingual(
            f"The last axis of the input is {found}, and input_size is {wanted}.",
            f"입력의 마지막 축은 {found}인데 input_size는 {wanted}입니다.",
        ),
        (
            Fix(
                made, f"nn.{own}({found}, hidden_size)", (layer,), ("batch", "timesteps", found), weights=True
            ),
            Fix(
                kept, f"assert x.size(-1) == {wanted}", (layer,), ("batch", "timesteps", wanted), weights=True
            ),
        ),
        Bilingual(
            f"If {wanted} is another axis of x, move it to the end: x.transpose(1, 2).",
            f"x의 다른 축의 크기가 {wanted}이면 그 축을 마지막으로 옮깁니다: x.transpose(1, 2).",
        ),
    )


def _torch_product(message: Message) -> Diagnosis | None:
    """A Linear behind a recurrent layer: `(8x3 and 4x1)`, (rows x features) and (features x outputs)."""
    given, kernel = message.shape("given"), message.shape("kernel")
    found, wanted, outputs = _whole(given[1]), _whole(kernel[0]), _whole(kernel[1])
    if not found or not wanted or not outputs:
        return None
    both = found == 2 * wanted
    before = f"Bidirectional({written('LSTM', wanted)})" if both else written("LSTM", found)
    fixes = [
        Fix(
            Bilingual(f"Linear takes the {found} features it gets", f"Linear가 특징 {found}개를 받게"),
            f"nn.Linear({found}, {outputs})",
            (before, f"Dense({outputs})"),
            SEQUENCE,
        ),
        Fix(
            Bilingual(f"the layer before has {wanted} outputs", f"앞 층의 출력을 {wanted}개로"),
            f"nn.LSTM(features, {wanted}, batch_first=True)",
            (written("LSTM", wanted), f"Dense({outputs})"),
            SEQUENCE,
        ),
    ]
    return Diagnosis(
        Bilingual(
            f"The layer is made for {wanted} features and gets {found}.",
            f"층은 특징 {wanted}개용인데 {found}개를 받았습니다.",
        ),
        tuple(fixes),
        Bilingual(
            f"A bidirectional layer returns both directions: 2 x {wanted} = {found} features.",
            f"양방향 층은 두 방향을 이어 붙입니다: 2 x {wanted} = 특징 {found}개.",
        )
        if both
        else Bilingual("", ""),
    )


def _whole(size: Dimension) -> int:
    return size if isinstance(size, int) else 0


_SIZES = r"[\dNone, ]{1,100}"

CAUSES = (
    Cause(
        "features",
        r"Matrix size-incompatible: In\[0\]: \[(?P<given>[\d,]{1,60})\], In\[1\]: "
        r"\[(?P<kernel>[\d,]{1,60})\]",
        _product,
    ),
    Cause(
        "features-graph",
        r"Dimensions must be equal, but are \d{1,9} and \d{1,9} for .{0,300}MatMul.{0,600}?with "
        r"input shapes: "
        r"\[(?P<given>[\d?,]{1,60})\], \[(?P<kernel>[\d?,]{1,60})\]",
        _product,
    ),
    Cause(
        "features-cut",
        r"Dimensions must be equal, but are (?P<found>\d{1,9}) and (?P<wanted>\d{1,9})\W{0,5}$",
        _bare,
    ),
    Cause(
        "features-axis",
        r"expected axis -1 of input shape to have value (?P<wanted>\d{1,9}), but received input with shape "
        rf"\((?P<shape>{_SIZES})\)",
        _axis,
    ),
    Cause(
        "model-input",
        rf"(?:expected shape=|Expected shape )\((?P<wanted>{_SIZES})\), "
        rf"(?:found shape=|but input has incompatible shape )\((?P<found>{_SIZES})\)",
        _model,
    ),
    Cause(
        "model-input-keras2",
        rf"expected \w{{1,100}} to have shape \((?P<wanted>{_SIZES})\) but got array with shape "
        rf"\((?P<found>{_SIZES})\)",
        _array,
    ),
    Cause(
        "features-unknown",
        rf"Shapes used to initialize variables must be fully-defined .{{0,60}}Received: "
        rf"shape=\((?P<shape>{_SIZES})\)"
        r" for variable path='(?P<path>[\w/]{1,300})'",
        _unknown,
    ),
    Cause(
        "features-torch",
        r"input\.size\(-1\) must be equal to input_size\. Expected (?P<wanted>\d{1,9}), got "
        r"(?P<found>\d{1,9})",
        _torch,
    ),
    Cause(
        "features-torch-cell",
        r"input has inconsistent input_size: got (?P<found>\d{1,9}),? expected (?P<wanted>\d{1,9})",
        _torch,
    ),
    Cause(
        "features-torch-linear",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<given>\d{1,9}x\d{1,9}) and "
        r"(?P<kernel>\d{1,9}x\d{1,9})\)",
        _torch_product,
    ),
)
