"""Convert the result of a reader's `load` to inputs, weights, one tensor, or states.

It may be rnncli's own output (of --format json, of a run or a trace), or a framework's results by its names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from rnncli.errors import InputError, Message, Text, did_you_mean, format_names, with_path_prefix
from rnncli.inputs import nested
from rnncli.values import SCHEMA, STATUSES, Array, Document, format_shape

STATES = Message("Write the states in Keras's order, each (batch, units): [[[0, 0, 0]], [[0, 0, 0]]].")
ONE = Message("Name the array to read `inputs`, or save it alone.")
STATE_WORD = "last_"
DTYPES = ("float16", "float32", "float64", "int64")


def to_inputs(arrays: Mapping[str, Any]) -> Document:
    """Return the arrays by name, without `mask`, which is the mask.  Raises InputError if there is none."""
    others = {name: array for name, array in arrays.items() if name != "mask"}
    if not others:
        raise InputError("it contains no array named `inputs`.", ONE)
    return Document(inputs=others, mask=arrays.get("mask"))


def choose_input(arrays: Mapping[str, Any]) -> Any:
    """Return the array `inputs`, or the only array.  Raises InputError if there are several others."""
    name = "inputs" if "inputs" in arrays else next(iter(arrays))
    if name != "inputs" and len(arrays) > 1:
        listed = format_names([f"{name} {_shape_of(array)}" for name, array in arrays.items()])
        raise InputError("it contains {listed}, but no array named `inputs`.", ONE, listed=listed)
    with with_path_prefix(name):
        array = arrays[name]
        return array if isinstance(array, tuple) else nested.require_numbers(array)


def join_inputs(arrays: Mapping[str, Any], axes: Mapping[str, Mapping[str, int]]) -> Any:
    """Return the numbers of all arrays side by side, (batch, timesteps, features), in the order of `axes`.

    arrays: (batch, timesteps, axes...) each, one sequence (timesteps, axes...), or a tuple of sequences.
    axes: of each array behind the time steps, with their sizes.
    Raises InputError for arrays of other names, or that do not fit.
    """
    for name in arrays:
        if name not in axes:
            raise InputError("the layer has no input {name}.", did_you_mean(name, axes), name=name)
    for name in axes:
        if name not in arrays:
            raise InputError(
                "the input {name} is missing.", "Give {names}.", name=name, names=", ".join(axes)
            )
    columns, leads = [], {}
    for name, sizes in axes.items():
        shape, several = tuple(sizes.values()), isinstance(arrays[name], tuple)
        flat = []
        for array in arrays[name] if several else [arrays[name]]:
            rank = array.ndim - len(shape)
            if rank not in ((1,) if several else (1, 2)) or array.shape[rank:] != shape:
                wanted = format_shape(("batch", "timesteps", *sizes))
                known = ", ".join(f"{axis} = {size}" for axis, size in sizes.items())
                what = "{name} is {shape}, but it must be {wanted}."
                advice = Message("Here {sizes}.", sizes=known) if known else ""
                raise InputError(what, advice, name=name, shape=format_shape(array.shape), wanted=wanted)
            flat.append(nested.require_numbers(array).reshape(*array.shape[:rank], prod(shape)))
        columns.append(flat)
        leads[name] = [array.shape[:-1] for array in flat]
    first = next(iter(leads))
    for name, lead in leads.items():
        if lead != leads[first]:
            what = "{first} is {shape}, but {name} is {other}."
            advice = Message("All inputs have the same sequences and time steps.")
            both = [_shape_of(arrays[part]) for part in (first, name)]
            raise InputError(what, advice, first=first, shape=both[0], name=name, other=both[1])
    joined = tuple(np.concatenate(parts, axis=-1) for parts in zip(*columns, strict=True))
    return joined if isinstance(arrays[first], tuple) else joined[0]


def _shape_of(array: Any) -> Text:
    if isinstance(array, tuple):
        return Message("of {count} lengths", count=len({len(sequence) for sequence in array}))
    return format_shape(array.shape)


def to_model_inputs(value: Any, texts: Collection[str] = ()) -> Any:
    """Return the inputs of a saved model: an array, or arrays by name; a tuple if lengths differ.

    value: nested lists, or an object of them, which may be under `inputs`; an input may be one number.
    texts: the inputs that are text.
    """
    path: tuple[str, ...] = ()
    if isinstance(value, dict) and value.keys() == {"inputs"}:
        value, path = value["inputs"], ("inputs",)
    if not isinstance(value, dict):
        with with_path_prefix(*path):
            return nested.to_texts(value) if texts else _to_model_input(value)
    arrays = {}
    for name, item in value.items():
        with with_path_prefix(name):
            arrays[name] = nested.to_texts(item) if name in texts else _to_model_input(item)
    return arrays


def _to_model_input(item: Any) -> Any:
    """Return one input of a saved model; unlike the input of a layer, it may be empty, or true and false."""
    if isinstance(item, np.ndarray) and item.dtype.kind != "b":
        nested.require_real(item)
    return np.asarray(item) if type(item) in nested.INPUTS.types else nested.to_sequences(item, (2, 3))


def to_weights(value: Any) -> dict[str, Array]:
    """Return the weights by path.

    value: an object of nested lists or objects, or arrays by name.
    Raises InputError if it is neither.
    """
    if not isinstance(value, dict):
        what = "{place} is not an object of named weights."
        raise InputError(what, 'Write {{"kernel": [[...]], "recurrent_kernel": [[...]], "bias": [...]}}.', ())
    if is_rnncli_output(value) and "weights" not in value:
        what = "{place} is rnncli's own output, without named weights."
        raise InputError(what, "Write them with rnncli weights --to keras -o weights.npz", ())
    if isinstance(value.get("weights"), dict):
        with with_path_prefix("weights"):
            weights = dict(_flatten(value["weights"]))
        written = value.get("dtypes")  # a separate entry, because JSON numbers have no dtype
        dtypes = written if isinstance(written, dict) else {}
        known = {name: dtype for name, dtype in dtypes.items() if dtype in DTYPES}
        with np.errstate(over="ignore"):
            return {name: array.astype(known.get(name, array.dtype)) for name, array in weights.items()}
    return dict(_flatten(value))


def to_tensor(value: Any) -> Any:
    """Return one raw tensor; from an object, the entry `mask` or the only entry.

    Raises InputError if an object has several entries and no `mask`.
    """
    if not isinstance(value, dict):
        return value
    name = "mask" if "mask" in value else next(iter(value), "")
    if not value:
        raise InputError("{place} contains no mask.", "Write true or false for every time step.", ())
    if name != "mask" and len(value) > 1:
        raise InputError(
            "{place} contains {value}, but no mask.", "Name one of them `mask`.", (), value=", ".join(value)
        )
    return value[name]


def to_states(value: Any) -> list[Array] | dict[str, Array]:
    """Return initial states: from a list in its order, from an object by name.

    From rnncli's own output, return the last states.
    Raises InputError if there are no states.
    """
    if isinstance(value, list) and value and type(value[0]) in (int, float):
        raise InputError("{place} is one list of numbers, not a list of states.", STATES, ())
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        if is_rnncli_output(value):
            value = read_outputs(value)
        elif "initial_state" in value:
            with with_path_prefix("initial_state"):
                return to_states(value["initial_state"])
        lasting = {name: item for name, item in value.items() if STATE_WORD in name} or value
        states = {name: _to_array(item, name) for name, item in lasting.items()}
        return list(states.values()) if states and all(name.startswith("arr_") for name in states) else states
    if isinstance(value, list) and value:
        return [_to_array(item, index) for index, item in enumerate(value)]
    raise InputError("{place} is {value}, not a list of states.", STATES, (), value=nested.describe(value))


def _flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Array]]:
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, dict):
            yield from _flatten(item, f"{path}/")
        else:
            yield path, _to_array(item, path)


def _to_array(item: Any, step: str | int) -> Array:
    with with_path_prefix(step):
        return nested.require_numbers(nested.to_tensor(item))


AGAIN = Message("Write it again: rnncli trace -f json")
ONLY_JSON = Message("Only what `rnncli run --format json` printed can be read back.")

_COLOUR = r"\x1b\[[\d;]*m"
_INPUT = r"(input|입력) \([\w, ]*\) b?float\d+\b|[\w, \[\]]+ = layer\(x\)$"
"""How the second line of a page begins."""
_NUMBER = r"\w+\[\d[\d, ]*\] = \S"
"""How a page of explain begins."""
_MARKUP = r"(?sm)<!DOCTYPE html>.*^:root \{ color-scheme: .*-{2}ink|<svg [^>]*rich-terminal"
"""How HTML and SVG begin.  `-{2}ink` is a variable of CSS; with two hyphens it would read as a flag."""
_COLUMNS = ({"name", "unit", "value"}, {"quantity", "unit", "value"}, {"kind", "name", "shape", "parameters"})
"""Columns of the CSV of results, of traces and of shapes."""


def is_rnncli_output(value: Mapping[str, Any]) -> bool:
    """Return whether an object is rnncli's own output."""
    return value.get("schema") == SCHEMA


def require_schema(value: Mapping[str, Any], advice: Text) -> None:
    """Raise InputError if the `schema` of an object is not SCHEMA."""
    if value["schema"] != SCHEMA:
        what = "its schema is {value}, not {schema}."
        raise InputError(what, advice, value=nested.describe(value["schema"]), schema=SCHEMA)


def read_outputs(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested lists of the outputs by name, in order.  Raises InputError if there are none."""
    outputs = _list_outputs([value], Message("Use the output of `rnncli run --format json`."))
    return {output["name"]: output["values"] for output in outputs}


def read_tensors(value: Mapping[str, Any]) -> dict[str, Array]:
    """Return the tensors of a run, of all its calls, or of a trace, by name.  Raises InputError."""
    require_schema(value, Message("Only what rnncli run or trace wrote with --format json can be compared."))
    if isinstance(value.get("trace"), list) and value["trace"]:
        given = value.get("input")
        dtype = given.get("dtype") if isinstance(given, Mapping) else None
        return {name: _restore(array, dtype) for name, array in _stack_steps(value["trace"]).items()}
    groups = [value, *_get_items(value, "calls")]
    outputs = _list_outputs(groups, Message("Use what rnncli run or trace wrote with --format json."))
    return {
        output["name"]: _restore(nested.to_tensor(output["values"], output["name"]), output.get("dtype"))
        for output in outputs
    }


def _list_outputs(groups: Sequence[Any], advice: Text) -> list[Any]:
    outputs = [output for group in groups for output in _get_items(group, "outputs")]
    # rnncli shape writes no values.
    complete = (
        isinstance(output, dict) and isinstance(output.get("name"), str) and "values" in output
        for output in outputs
    )
    if not outputs or not all(complete):
        raise InputError("it is rnncli's own output, without values of outputs.", advice)
    return outputs


def _get_items(value: Any, key: str) -> list[Any]:
    items = value.get(key) if isinstance(value, Mapping) else None
    return items if isinstance(items, list) else []


def _restore(array: Array, dtype: Any) -> Array:
    """The shortest form of a float reads back as its `dtype`; bfloat16, which NumPy lacks, stays as it is."""
    return array.astype(dtype) if dtype in ("float16", "float32") and array.dtype.kind == "f" else array


def _stack_steps(steps: list[Any]) -> dict[str, Array]:
    """Return the parts of a trace, (batch, steps, units), under the names that an .npz file has."""
    import numpy as np

    loops: dict[tuple[Any, Any], list[Any]] = {}
    for step in steps:
        if not isinstance(step, dict):
            raise InputError("trace holds {step}, not a step.", AGAIN, step=nested.describe(step))
        loops.setdefault((step.get("layer"), step.get("direction")), []).append(step)
    layers = [layer for layer, _ in loops]
    arrays: dict[str, Array] = {}
    for (layer, direction), group in loops.items():
        path = f"{layer}/" if len(set(layers)) > 1 else ""
        path += f"{direction}/" if layers.count(layer) > 1 else ""
        parts = [_read_parts(step) for step in group]
        for name in parts[0]:
            rows = [nested.to_tensor(numbers.get(name), path + name) for numbers in parts]
            if len({row.shape for row in rows}) > 1:
                raise InputError(
                    "{place}{name} differs in shape between time steps.", AGAIN, place=path, name=name
                )
            stacked = np.stack(rows, axis=1)
            arrays[path + name] = stacked[0] if name == "timestep" or name.endswith("/held") else stacked
    return arrays


def _read_parts(step: Mapping[str, Any]) -> dict[str, Any]:
    """`timestep` and `forget/held`, which are the same for the whole batch, get a first axis of 1."""
    try:
        gates = {
            f"{gate}/{part}": [[int(value) for value in values]] if part == "held" else values
            for gate, parts in step["gates"].items()
            for part, values in parts.items()
        }
        status = [STATUSES.index(word) for word in step["status"]]
        return {
            **gates,
            **step["state"],
            "output": step["output"],
            "timestep": [step["timestep"]],
            "status": status,
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError("trace has a step that rnncli did not write.", AGAIN) from None


def is_printed(text: str) -> bool:
    """Return whether a text begins as rnncli's own pages, tables, CSV, HTML or SVG do."""
    text = re.sub(_COLOUR, "", text[:10_000])
    lines = [line for line in text.splitlines() if line.strip()][:2]
    header = set(lines[0].split(",")) if lines else set()
    return (
        any(columns <= header for columns in _COLUMNS)
        or any(re.match(_NUMBER, line) for line in lines[:1])
        or any(re.match(_INPUT, line) for line in lines[1:])
        or re.match(_MARKUP, text) is not None
    )


PARTS: Mapping[str, str] = {
    "cell": r"last_cell_state|c_n|cn|y_c|cell_state|final_c|c",
    "hidden": r"last_hidden_state|h_n|hn|y_h|final_h|h",
    "output": r"hidden_state|output|outputs|out|y",
    "sequence": r"hidden_states|sequence|sequences",
}
"""The names of a final cell state, a final hidden state, an output of either form, and a sequence."""
RESULT = re.compile(
    r"(?:(?P<layer>.*)/)?(?P<direction>forward_|backward_)?(?:"
    + "|".join(f"(?P<{part}>{names})" for part, names in PARTS.items())
    + ")",
    re.IGNORECASE,
)


def batch_first(name: str, array: Array) -> Array:
    """Return a sequence that a framework stored time first as (batch, timesteps, units); others unchanged."""
    match = RESULT.fullmatch(name)
    is_sequence = match is not None and (match["output"] or match["sequence"]) and array.ndim == 3
    return array.swapaxes(0, 1) if is_sequence else array


def find_results(name: str, array: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return the tensors of a result that a framework stored under this name; none if it is no such name.

    shapes: the shapes of the result's tensors, by name.
    `h_n` of PyTorch, (layers * directions, batch, units), may be several; its `output` is of the last layer.
    """
    match = RESULT.fullmatch(name)
    layers = list(dict.fromkeys(known.rpartition("/")[0] for known in shapes))
    if match is None or (match["layer"] is None and len(layers) > 1 and not _is_stack(layers)):
        return {}
    if match["layer"] is None and len(layers) > 1 and (match["cell"] or match["hidden"]):
        end = "last_cell_state" if match["cell"] else "last_hidden_state"
        states = [path for path in shapes if path.endswith(end)]
        return dict(zip(states, array, strict=True)) if len(array) == len(states) else {}
    layer = layers[-1] if match["layer"] is None else match["layer"]

    def known(*tensors: str) -> list[str]:
        paths = [f"{layer}/{tensor}" if layer else tensor for tensor in tensors]
        return [path for path in paths if path in shapes]

    direction = match["direction"] or ""
    if match["sequence"] or match["output"]:
        forms = ("hidden_states", "hidden_state") if match["output"] else ("hidden_states",)
        results = {
            path: merge_directions(array, shapes[path]) for path in known(*map(direction.__add__, forms))[:1]
        }
        # A layer without return_sequences has no tensor for the output of every step.
        return {path: result for path, result in results.items() if result.ndim <= len(shapes[path])}
    part = "cell" if match["cell"] else "hidden"
    if single := known(f"{direction}last_{part}_state"):
        return {single[0]: merge_directions(array, shapes[single[0]])}
    both = known(*(f"{way}last_{part}_state" for way in ("forward_", "backward_")))
    if len(both) == 2 and array.ndim in (2, 3) and len(array) == 2:  # 2: without an axis of the batch
        return dict(zip(both, array, strict=True))
    last = known("hidden_state") if part == "hidden" and not direction else []
    return {path: merge_directions(array, shapes[path]) for path in last}


def _is_stack(layers: list[str]) -> bool:
    """Return whether these are the layers of one module of PyTorch, `lstm_l0`, `lstm_l1`, or of a stack."""
    first = layers[0].removesuffix("0")
    return layers in ([f"{first}{index}" for index in range(len(layers))], [*map(str, range(len(layers)))])


def merge_directions(array: Array, shape: tuple[int, ...]) -> Array:
    """Return an array with an axis of directions, as PyTorch and ONNX have, in a shape without it.

    (directions, batch, units) is a state.  ONNX's Y is a sequence, (timesteps, directions, batch, units), or
    with layout 1 (batch, timesteps, directions, units).
    """
    import numpy as np

    if array.ndim != len(shape) + 1 or array.size != np.prod(shape):
        return array
    if array.ndim == 3:
        merged = np.moveaxis(array, 0, -2)
    elif array.shape[0] == shape[1] and array.shape[2] == shape[0]:
        merged = array.transpose(2, 0, 1, 3)
    else:
        merged = array
    return merged.reshape(*merged.shape[:-2], -1)
