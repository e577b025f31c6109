"""Stored results, which --expect compares with: tensors by name, or one tensor without a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnncli.ask.returned import MAP
from rnncli.errors import InputError, Message, Text, UsageError, format_names, inside
from rnncli.inputs import formats, named_arrays, nested
from rnncli.inputs.named_arrays import batch_first, find_results, merge_directions
from rnncli.inputs.source import Source
from rnncli.values import Array, format_shape

FORMATS = ("json", "npz", "npy", "safetensors")
ADVICE = Message(
    "Give {formats} or {last}, such as rnncli run -o expected.npz writes.",
    formats=", ".join(FORMATS[:-1]),
    last=FORMATS[-1],
)
UNNAMED = "arr_"
"""What the names of tensors begin with that numpy.savez wrote in an order."""
ALONE = ""
"""The name of a tensor whose file does not name it."""


def read_expected(source: Source) -> dict[str, Array]:
    """Read the tensors by name, in the order of the file; one that has no name is under "".

    JSON may be rnncli's own output, of a run or of a trace, an object of nested lists, or one nested list.
    Raises InputError if the source cannot be read or holds no tensors.
    """
    format_name = formats.detect_format(source, advice=ADVICE)
    with inside(source.name):
        if format_name not in FORMATS:
            raise InputError(
                "rnncli cannot read stored tensors from {format_name}.", ADVICE, format_name=format_name
            )
        value = formats.load(source, format_name)
        if not isinstance(value, Mapping):
            return {ALONE: nested.to_tensor(value, kinds="fiub")}
        if "schema" in value:
            return named_arrays.read_tensors(value)
        if not value:
            raise InputError("it holds no tensors.", "Write them by name: rnncli run -o expected.npz")
        return {name: nested.to_tensor(item, name, kinds="fiub") for name, item in value.items()}


Matched = tuple[dict[str, Array], tuple[Text, ...], Mapping[str, Array]]
"""Stored tensors under the names of a result, remarks, and the stored tensors without a partner."""


def match_names(
    expected: Mapping[str, Array],
    shapes: Mapping[str, tuple[int, ...]],
    file: Text,
    command: str = "run",
    *,
    time_first: bool = False,
    others: bool = False,
) -> Matched:
    """Return the stored tensors under the names of a result, with remarks on tensors without a partner.

    shapes: of the result's tensors, by name.  A batch axis of 1 is added where it is missing.  Names of other
        frameworks are understood, and a tensor without a name is the only one of its shape.
    command: the one that stores such tensors.
    time_first: whether sequences under a framework's name are (timesteps, batch, units).
    others: whether stored tensors without a partner may have one elsewhere: no remark names what has none.
    Raises UsageError if a tensor without a name could be one of several; without `others` InputError if no
    name is known.
    """
    import numpy as np

    names = list(shapes)
    if time_first:
        expected = {
            name: array if name in shapes else batch_first(name, array) for name, array in expected.items()
        }
    expected, remarks = _to_results(expected, shapes, file)
    common = {name: expected[name] for name in names if name in expected}
    if not common and not others:
        with inside(file):
            raise InputError(
                "it holds {expected}, but the result has {names}.",
                "Store the tensors under these names, as `rnncli {command} -o expected.npz` does.",
                expected=format_names(list(expected)),
                names=format_names(names),
                command=command,
            )
    lacking = [name for name in names if name not in expected]
    extra = [name for name in expected if name not in names]
    if lacking and not others:
        remarks.append(note_lacking(lacking, file))
    if extra and not others:
        note = (
            "not compared: {extra} (only {file} has it)"
            if len(extra) == 1
            else "not compared: {extra} (only {file} has them)"
        )
        remarks.append(Message(note, extra=format_names(extra), file=file))
    for name, array in common.items():
        if (1, *array.shape) == shapes[name]:
            common[name] = np.asarray(array)[None]
            change = f"{format_shape(array.shape)} -> {format_shape(common[name].shape)}"
            remarks.append(
                Message("{file}: {name}: added a batch axis: {change}", file=file, name=name, change=change)
            )
    return common, tuple(remarks), {name: expected[name] for name in extra}


def note_lacking(names: Sequence[str], file: Text) -> Message:
    """Return a remark on results that the file does not have."""
    note = (
        "not compared: {lacking} ({file} lacks it)"
        if len(names) == 1
        else "not compared: {lacking} ({file} lacks them)"
    )
    return Message(note, lacking=format_names(names), file=file)


def match_shapes(
    expected: Mapping[str, Array],
    results: Mapping[str, tuple[int, ...]],
    others: Mapping[str, tuple[int, ...]],
    file: Text,
) -> Matched:
    """Return stored tensors whose names are not a result's under the name of the only tensor of their shape.

    results: the shapes of the results that are not compared yet.
    others: the shapes of what the layers could return, too; taken by name, else where no result fits.
    Raises UsageError if the shape fits several tensors, or if several stored tensors have it.
    """
    known, remarks = _to_results(expected, others, file)
    matched = {name: array for name, array in known.items() if name in others}
    left = {name: array for name, array in known.items() if name not in others}
    nowhere: dict[str, Array] = {}
    for name, array in left.items():
        forms = (array.shape, (1, *array.shape))
        fitting = [result for result, shape in results.items() if shape in forms and result not in matched]
        fitting = fitting or [
            other for other, shape in others.items() if shape in forms and other not in matched
        ]
        alike = [other for other, another in left.items() if another.shape == array.shape]
        if len(fitting) > 1 or (fitting and len(alike) > 1):
            raise UsageError(
                "{--expect:file}: {name} {shape} has no name that is known here, and may be {names}.",
                "Pair it in rnncli compare: {map}.",
                file=file,
                name=name,
                shape=format_shape(array.shape),
                names=format_names(fitting),
                map=MAP,
            )
        if fitting:
            matched[fitting[0]] = array.reshape({**others, **results}[fitting[0]])
            text = "{file}: {stored} is compared with {same}"
            remarks.append(Message(text, file=file, stored=name, same=fitting[0]))
        else:
            nowhere[name] = array
    return matched, tuple(remarks), nowhere


def _to_results(
    expected: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], file: Text
) -> tuple[dict[str, Array], list[Text]]:
    """Return the stored tensors under the names of a result as far as they are known, and remarks.

    Raises UsageError if a tensor without a name could be one of several.
    """
    if len(expected) > 1 and all(name.startswith(UNNAMED) for name in expected):
        expected = _name_in_order(list(expected.values()), shapes) or expected
    if set(expected) in ({ALONE}, {"arr_0"}) and not set(expected) & set(shapes):
        (array,) = expected.values()
        return _name_alone(array, shapes, file)
    renamed: dict[str, Array] = {}
    remarks: list[Text] = []
    meanings = _find_meanings(expected, shapes)
    for stored, array in expected.items():
        tensors = {} if stored in shapes else find_results(meanings.get(stored, stored), array, shapes)
        if tensors and not tensors.keys() & {*expected, *renamed}:
            renamed |= tensors
            same = format_names(list(tensors))
            remarks.append(
                Message("{file}: {stored} is compared with {same}", file=file, stored=stored, same=same)
            )
        else:
            renamed[stored] = array
    return renamed, remarks


def _find_meanings(expected: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return other names of tensors: the only one with the shape of a result is that result.

    A head's output of (batch, 2) may be called y, and what the layer returned o.
    """
    results = {name: find_results(name, array, shapes) for name, array in expected.items()}
    meanings: dict[str, str] = {}
    for name, tensors in results.items():
        for path, array in tensors.items() if len(tensors) == 1 and name not in shapes else ():
            fitting = [
                other
                for other, others in results.items()
                if not others and other not in shapes and expected[other].shape == shapes[path]
            ]
            if array.shape not in (shapes[path], shapes[path][1:]) and len(fitting) == 1:
                meanings |= {fitting[0]: name, name: ""}
    return meanings


def _name_in_order(arrays: Sequence[Array], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return tensors that have an order and no names under the names of the results, if their shapes fit.

    Else they are the sequences of one tensor, or `output` and `h_n` as PyTorch returns them; else {}.
    """
    import numpy as np

    fitting = {
        name: array[0] if array.shape == (1, *shape) else array
        for array, (name, shape) in zip(arrays, shapes.items(), strict=False)
        if array.shape in (shape, shape[1:], (1, *shape))
    }
    if len(fitting) == len(arrays) == len(shapes):
        return fitting
    if len({array.shape for array in arrays}) == 1:
        return {ALONE: np.stack(arrays)}
    return dict(zip(("output", "h_n"), arrays, strict=True)) if len(arrays) == 2 else {}


def _name_alone(
    array: Array, shapes: Mapping[str, tuple[int, ...]], file: Text
) -> tuple[dict[str, Array], list[Text]]:
    """Return the only tensor of a file under the name of the only result that has its shape, and a remark.

    The result may be two states, of two directions.
    """
    names = list(shapes)
    if array.ndim == 4:  # ONNX's Y
        merged = ((merge_directions(array, shape), shape) for shape in shapes.values())
        array = next((values for values, shape in merged if values.shape == shape), array)
    alone = [
        {name: array[0] if array.shape == (1, *shapes[name]) else array}
        for name in names
        if len(names) == 1 or array.shape in (shapes[name], shapes[name][1:], (1, *shapes[name]))
    ]
    states = (find_results(name, array, shapes) for name in ("h_n", "c_n"))
    fitting = alone + [both for both in states if _fit_states(both, shapes)]
    if len(fitting) != 1:
        raise UsageError(
            "{--expect:file}: it holds one tensor without a name, and there are {names}.",
            "Choose one: {--select:name}",
            file=file,
            names=format_names(names),
            name=next((name for both in fitting for name in both), names[0]),
        )
    if len(names) == 1:
        return fitting[0], []
    same = format_names(list(fitting[0]))
    return fitting[0], [Message("{file}: it has no name, and the shape of {same}", file=file, same=same)]


def _fit_states(states: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    fits = all(state.shape in (shapes[name], shapes[name][1:]) for name, state in states.items())
    return fits and len(states) == 2
