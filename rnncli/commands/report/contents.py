"""What a page holds: the layers as plain values, their cells as equations, and their numbers.

The scripts in `web/` recompute from these values alone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

from rnncli import compute, layers
from rnncli.cells import activations
from rnncli.cells.diagram import lay_out
from rnncli.cells.sizes import lower_part
from rnncli.cells.text import to_symbols
from rnncli.cells.tree import (
    FUNCTIONS,
    Einsum,
    Function,
    Index,
    Name,
    Node,
    Number,
    Operation,
    Reshape,
    Shift,
    Sum,
    walk,
)
from rnncli.compute import engines
from rnncli.errors import LayerError, Message, Text, UsageError
from rnncli.layers.bidirectional import Bidirectional
from rnncli.layers.case import Case
from rnncli.layers.layer import within
from rnncli.layers.recurrent import Cell, RecurrentLayer
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse
from rnncli.show.wording import meaning
from rnncli.specs import describe, to_config
from rnncli.values import MERGE_MODES, Array, InputNames, Spec, __version__

PASSES_ON = ("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout")
"""Layers that return their input outside training."""


class ReportContents(NamedTuple):
    """The data of a page, and remarks on what it leaves out.

    lower: the layers below the last one of the first Case.
    variants: the last layer for each setting of the switches, by the key of the setting.
    """

    data: dict[str, Any]
    remarks: tuple[Text, ...]
    lower: tuple[Spec, ...]
    variants: Mapping[str, Stack]


class _Reached(NamedTuple):
    """A recurrent layer of a Case, with what reaches it and its weights.

    stack_index: which layer of the stack it is, from 0.
    source: the number of the reached layer whose sequence it reads; None if it reads the input.
    states: its initial states, or None.
    """

    layer: Any
    stack_index: int
    source: int | None
    inputs: Array
    mask: Array | None
    weights: Mapping[str, Array]
    states: tuple[Array, ...] | None


def build_contents(uses: Sequence[LayerUse], *, described: bool) -> ReportContents:
    """Return the data of a page about these Cases.

    described: whether the layers are described, so that the page may also change what they are.
    Raises LayerError or UsageError for what a page cannot recompute.
    """
    cells: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    remarks: list[Text] = []
    holds: list[dict[str, Any]] = []
    for use in uses:
        _require_able(use.case)
        reached, notes = _reach(use.case)
        remarks += notes
        first = len(entries)
        for part in reached:
            path = use.case.stack.prefix(part.stack_index)
            prefix = f"{use.layer}/" if use.layer else path * (len(reached) > 1)
            is_last = part is reached[-1]
            switches = described and is_last
            variants = _variants(part.layer.spec, both=switches)
            entry = _layer_entry(part, cells, switches=switches, seed=use.case.seed or 0)
            entry |= _variant_entries(variants, part.inputs.shape)
            entry |= {"prefix": prefix, "source": None if part.source is None else first + part.source}
            entry["names"] = prefix if use.layer else ""
            entry["path"] = None if use.layer else path
            entries.append(entry)
            holds += [
                {
                    "layer": prefix,
                    "half": hold.direction or "forward",
                    "line": hold.gate,
                    "value": hold.value,
                    "units": list(hold.units),
                    "steps": list(hold.steps),
                    "text": hold.text.rpartition("/")[2],  # it begins with the gate
                }
                for hold in use.case.hold
                if hold.layer == part.stack_index
            ]
    case = uses[0].case
    data = {
        "version": __version__,
        "seed": case.seed,
        "dtype": str(case.inputs.dtype),
        **_names(case.names),
        "holds": holds,
        "layers": entries,
        "cells": cells,
    }
    last = reached[-1]
    return ReportContents(data, tuple(remarks), tuple(use.case.stack[: last.stack_index]), variants)


def _names(names: InputNames) -> dict[str, Any]:
    """Return what the numbers mean, in words: empty or None where nothing is said.

    features, sequences: names.  steps: names of the time steps, a list for each sequence, "" for padding.
    words: the numbers of each word that a step may be.
    groups: the words by what they are.  aliases: what may be typed for words.
    answers: what an output means, by the number as text.  about: a sentence by language.
    """
    return {
        "features": list(names.features),
        "sequences": list(names.sequences),
        "steps": [list(steps) for steps in names.steps] or None,
        "words": dict(names.words) or None,
        **{key: names.document().get(key) for key in ("groups", "aliases", "answers")},
        "about": dict(names.about) or None,
    }


def _require_able(case: Case) -> None:
    if case.training and case.stack.draws_in_training:
        raise UsageError("report does not recompute dropout.", "Leave {--training} out.")
    if case.calls > 1:
        raise UsageError("report shows one call of the layer.", "Leave {--calls} out.")
    case.require_one_call("report")
    if case.inputs.ndim != 3:
        what = "report shows inputs of 3 axes, but this layer needs {ndim}."
        raise UsageError(what, "Use rnncli run for it.", ndim=case.inputs.ndim)
    dtype = str(case.inputs.dtype)
    if dtype not in ("float32", "float64"):
        raise LayerError("report does not compute in {dtype}.", "Use float32 or float64.", dtype=dtype)
    if reason := engines.get("numpy").refusal(case):
        raise LayerError("report cannot recompute this: {reason}.", "Use rnncli run for it.", reason=reason)
    compute.require_mask(case)


def _reach(case: Case) -> tuple[list[_Reached], list[Text]]:
    """Return the recurrent layers of a Case up to the first plain layer above one, and remarks."""
    import numpy as np

    weights, seeds = compute.weights_and_seeds(case, case.stack, "numpy")
    runner = engines.get("numpy").Layers(case, weights, seeds)
    with np.errstate(all="ignore"):
        outputs = case.stack.call(runner, case.inputs, case.mask, case.initial_state, weights)
    states = list(case.initial_state or ())
    inputs, mask = case.inputs, case.mask
    reached: list[_Reached] = []
    for index, (layer, entries) in enumerate(zip(case.stack.layers, case.stack.split(weights), strict=True)):
        count = len(layer.states(inputs.shape)) if states else 0
        given, states = tuple(states[:count]) or None, states[count:]
        if layer.recurrent:
            loops = layer.loops.values()
            if not all(isinstance(loop, RecurrentLayer) and isinstance(loop.cell, Cell) for loop in loops):
                what = "report shows layers with one cell per direction, which {name} has not."
                raise LayerError(what, "Use rnncli trace for it.", name=layer.spec.title)
            source = len(reached) - 1 if reached else None
            reached.append(_Reached(layer, index, source, inputs, mask, entries, given))
        elif reached and layer.spec.class_name not in PASSES_ON:
            what = "a page recomputes recurrent layers: layer {index} ({name}) and what follows are left out"
            return reached, [Message(what, index=index, name=layer.spec.title)]
        inputs, mask = outputs[index].tensors[0], outputs[index].mask
    if not reached:
        raise LayerError("no layer here has time steps.", "Name a recurrent layer, such as -l lstm.")
    return reached, []


def _layer_entry(part: _Reached, cells: list[dict[str, Any]], *, switches: bool, seed: int) -> dict[str, Any]:
    """Return a layer as the page has it.  cells: the page's cells, to which those of the layer are added."""
    spec, both = part.layer.spec, isinstance(part.layer, Bidirectional)
    features = part.inputs.shape[-1]
    inner = spec.config["layer"] if both else spec
    flags = {
        "sequences": bool(inner.config["return_sequences"]),
        "state": bool(inner.config["return_state"]),
        "bidirectional": both,
        "merge": (spec.config["merge_mode"] or "none") if both else "concat",
    }
    second = spec.config["backward_layer"] if both else None
    halves = dict(_halves(part.layer, part.weights, part.states, cells, features))
    if both:  # the wrapper says what its halves put out at masked steps; without it, the layer does
        halves["forward"]["zeroes"] = bool(inner.config["zero_output_for_mask"])
    can_wrap = switches and not both and not inner.config["go_backwards"]
    if can_wrap:  # the backward half that Bidirectional would add: its weights are drawn from the seed
        stack, shape = Stack((_wrap(spec, "concat"),)), part.inputs.shape
        drawn = stack.draw_weights(shape, stack.take_seeds(seed))
        drawn |= stack.probes(shape, str(part.inputs.dtype))
        added = dict(_halves(stack.layers[0], drawn, None, cells, features))["backward"]
        halves["backward"] = {**added, "added": True}
    can_change_form = switches and "reset_after" in inner.config and second is None
    if can_change_form:
        for half in halves.values():
            other = replace(inner, config={**inner.config, "reset_after": not inner.config["reset_after"]})
            half["other"] = _add_cell(layers.make(other).cell, features, cells)  # type: ignore[attr-defined]
    form = {"resetAfter": inner.config["reset_after"]} if "reset_after" in inner.config else {}
    return {
        **form,
        "name": spec.title,
        "config": to_config(inner),
        "backward": to_config(second) if second else None,
        "flags": flags,
        "switches": [
            *(["bidirectional"] if can_wrap or (switches and both) else []),
            *(["reset_after"] if can_change_form else []),
        ],
        "halves": halves,
        "x": _numbers(part.inputs) if part.source is None else None,
        "mask": _numbers(part.mask) if part.source is None and part.mask is not None else None,
    }


def _halves(
    layer: Any,
    weights: Mapping[str, Array],
    states: tuple[Array, ...] | None,
    cells: list[dict[str, Any]],
    features: int,
) -> Iterator[tuple[str, dict[str, Any]]]:
    for direction, loop in layer.loops.items():
        count = len(loop.cell.states)
        start, states = (states[:count], states[count:]) if states else (None, None)
        inside, config = within(weights, direction) if direction else weights, loop.config
        half = {
            "cell": _add_cell(loop.cell, features, cells),
            "weights": {
                name: {"shape": list(array.shape), **_numbers(array)} for name, array in inside.items()
            },
            "start": None if start is None else [_numbers(state) for state in start],
            "backwards": bool(config["go_backwards"]),
            "inputOrder": bool(config.get("input_order") and config["go_backwards"]),
            "zeroes": "sequences" if "input_order" in config else bool(config["zero_output_for_mask"]),
        }
        yield direction or "forward", half


def _wrap(spec: Spec, merge: str, second: Spec | None = None) -> Spec:
    """Return Bidirectional around a layer.  second: its backward layer, if it is not a copy."""
    config = {
        "layer": spec,
        "merge_mode": None if merge == "none" else merge,
        "backward_layer": second,
        "dtype": spec.config["dtype"],
    }
    return Spec("Bidirectional", config)


def _variants(spec: Spec, *, both: bool) -> dict[str, Stack]:
    """Return the layer, as a stack, for each setting of the switches.

    both: whether Bidirectional is a switch, too.

    A key is return_sequences and return_state, 0 or 1, the merge mode, and reset_after, 0 or 1: `01concat1`.
    """
    inner = spec.config["layer"] if spec.class_name == "Bidirectional" else spec
    form = inner.config.get("reset_after")
    second = spec.config["backward_layer"] if spec is not inner else None
    forms = [form] if form is None or second or not both else [form, not form]
    merge_now = (spec.config["merge_mode"] or "none") if spec is not inner else ""
    merges = dict.fromkeys([merge_now, *(["", *MERGE_MODES] if both else [])])
    variants = {}
    for sequences, state, merge, after in product((False, True), (False, True), merges, forms):
        returns = {"return_sequences": sequences, "return_state": state}
        changes = returns if after is None else {**returns, "reset_after": after}
        made = replace(inner, config={**inner.config, **changes})
        if merge:
            made = _wrap(made, merge, second and replace(second, config={**second.config, **returns}))
        with suppress(LayerError):  # halves of unequal size cannot be added, nor both read backwards
            key = f"{int(sequences)}{int(state)}{merge}{'' if after is None else int(after)}"
            variants[key] = Stack((made,))
    return variants


def _variant_entries(variants: Mapping[str, Stack], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return each variant as text, with the numbers of its tensors among all `tensors`, which stand once."""
    tensors: list[dict[str, Any]] = []
    entries = {}
    for key, stack in variants.items():
        claims = stack.claims()
        described = []
        for info in stack.outputs(shape):
            ends = info.ends, compute.real_ends(info)
            said = {
                lang: list(dict.fromkeys(meaning(info.label, lang, each) for each in ends))
                for lang in ("en", "ko")
            }
            equals = [str(claim) for claim in claims.get(info.label, ())]
            described.append({"axes": list(info.axes), "meaning": said, "equals": equals})
        tensors += [entry for entry in described if entry not in tensors]
        entries[key] = {"text": describe(stack[0]), "tensors": [tensors.index(entry) for entry in described]}
    return {"variants": entries, "tensors": tensors}


def _add_cell(cell: Cell, features: int, cells: list[dict[str, Any]]) -> int:
    """Return the number of a cell among the cells of the page, where equal cells stand once."""
    text, sizes, functions = cell.text, cell.sizes(features), {}
    lines = cell.lowered(features)
    nodes = [node for line in lines.values() for node in walk(line)]
    for name in sorted({node.function for node in nodes if isinstance(node, Function)}):
        named = name if name in FUNCTIONS else cell.function(name)
        own = name in FUNCTIONS or activations.parse_parametric(named)
        functions[name] = named if own else activations.canonical_name(named)  # `silu` for swish
    written = cell.lowered(features, cell.written)
    counts = cell.line_sizes(features)
    entry = {
        "name": text.name,
        "units": cell.units,
        "features": features,
        "states": list(text.states),
        "traced": list(text.traced),
        "sameAs": dict(cell.new_states),
        "initial": dict(text.initial),
        "packing": {name: list(lines) for name, lines in text.packing().items()},
        "twoBiases": text.has_two_biases,
        "functions": functions,
        "bounds": {line: list(bounds) for line, bounds in cell.bounds.items() if bounds},
        "sizes": counts,
        "shapes": {
            line: sizes.shape(sizes.axes[line]) if text.has_axes else [counts[line]] for line in counts
        },
        "axes": {line: sizes.axes[line] if text.has_axes else ["units"] for line in counts},
        "heads": text.heads,
        "leastScale": 0 if text.has_axes else 1,  # a memory of small numbers has its own colors
        "inputs": sizes.inputs,
        "lines": [[line, _tree(node)] for line, node in lines.items()],
        "written": {line: _tree(node) for line, node in written.items()},
        "symbols": to_symbols(text, cell.config),
    }
    for number, known in enumerate(cells):
        if entry == {name: value for name, value in known.items() if name != "diagram"}:
            return number
    diagrams = {name: _diagram(cell, features, wide=name == "wide") for name in ("wide", "narrow")}
    cells.append({**entry, "diagram": diagrams})
    return len(cells) - 1


def _diagram(cell: Cell, features: int, *, wide: bool) -> dict[str, Any]:
    """Return the diagram of a cell, in pixels for letters of 12: {wide, high, shapes, wires}.

    shapes: {kind, x, y, wide, high, line, label, rows, tree}; x, y: the center.
        kind: `start` and `end` (a state's value before and after the step), `input` (x), `card` (a line),
            `operator` (a circle: label is + − × ÷), `function` (a pill: label is tanh, 1−, ·0.5, U, f).
        line: the line or state; of an operator or a function, the line in whose equation it stands.
        label: of a card, its activation: σ, tanh, or "".
        rows: how many units have room; of x, how many features.
        tree: of an operator or a function, the part of the equation that it computes, in the form of
            `written`: its value for a unit is that of this tree in `line`.  axes: if not units.
    wires: {from, to, rail, points}: indices of shapes, corners as [x, y]; the wire carries the value of the
        shape `from`, and may begin on another wire of that value.  rail: the state of its rail, or "".
    A masked step is drawn with a straight wire to each end, a backward layer from right to left.
    """
    drawn = lay_out(
        cell.written, cell.states, cell.function, sizes=cell.line_sizes(features), features=features,
        inputs=cell.text.inputs, wide=wide,
    )  # fmt: skip

    def part(tree: Node, line: str) -> dict[str, Any]:
        if not cell.text.has_axes:
            return {"tree": _tree(tree)}
        lowered, axes = lower_part(tree, cell.text, cell.config, cell.sizes(features), line)
        return {"tree": _tree(lowered), "axes": axes}

    shapes = [
        {
            "kind": shape.kind, "x": shape.x, "y": shape.y, "wide": shape.wide, "high": shape.high,
            "line": shape.line, "label": shape.label, "rows": shape.rows,
            **(part(shape.tree, shape.line) if shape.tree and shape.kind != "card" else {}),
        }
        for shape in drawn.shapes
    ]  # fmt: skip
    wires = [
        {
            "from": wire.source,
            "rail": wire.rail,
            "points": [list(point) for point in wire.points],
        }
        for wire in drawn.wires
    ]
    return {"wide": drawn.wide, "high": drawn.high, "shapes": shapes, "wires": wires}


def _tree(node: Node) -> Any:
    match node:
        case Number(value):
            return value
        case Name(name, kind):
            return ["n", name, kind]
        case Sum(terms):
            return ["+", *([sign, _tree(term)] for sign, term in terms)]
        case Operation(symbol, left, right):
            return [symbol, _tree(left), _tree(right)]
        case Function(function, arguments):
            return ["f", function, *map(_tree, arguments)]
        case Reshape(part, before, order, shape):
            return ["view", _tree(part), before, order, shape]
        case Einsum(left, right, subscripts):
            return ["einsum", _tree(left), _tree(right), subscripts]
        case Shift(window, value):
            return ["shift", _tree(window), _tree(value)]
        case Index(size):
            return ["index", size]
    raise TypeError(node)


def _numbers(array: Array) -> dict[str, Any]:
    import numpy as np

    kept = np.ascontiguousarray(array)
    return {
        "dtype": str(kept.dtype),
        "shape": list(kept.shape),
        "values": b64encode(kept.astype(kept.dtype.newbyteorder("<")).tobytes()).decode(),
    }
