"""Read the file of a cell (`rnncli help cells` describes it), and check its names and equations.

Every error names the line of the file, and points at the token in the equation.
"""

from __future__ import annotations

import itertools
import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rnncli.cells import activations, tree
from rnncli.cells.sizes import LARGEST, MOST_AXES
from rnncli.cells.text import PACKED, CellText, CellWeight, at, line_number, packed_lines, resolve
from rnncli.errors import LayerError, Message, Text, did_you_mean

LONGEST = 100_000
"""Most characters of a file."""
MOST = 200
"""Most lines, states, options or weights of a cell."""
MOST_DOTS = 1_000
"""Most dots in a line: a key with more parts takes tomllib minutes, and no equation has more dots."""
KEYS = (
    *("name", "states", "source", "gates", "heads", "sizes", "shapes", "inputs", "initial", "options"),
    *("weights", "step"),
)
AXES_ALONE = ("cos", "sin")
"""Functions of numbers that only files with names of axes have, besides AXES."""
TAKEN = frozenset({"x", "units", "features", *PACKED})
"""Names with a meaning in every equation; a cell cannot define them."""
RESULTS = frozenset({"input", "output", "timestep", "status"})
"""Names that traces and gradients show beside the states.  (The first state is `hidden` there.)"""
OPTIONS = frozenset(
    {"use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer"}
    | {"dropout", "recurrent_dropout", "seed", "dtype", "name", "trainable", "cell", "equations"}
    | {"return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask"}
    | {"bidirectional", "merge_mode", "layer", "backward_layer", "cell_activation", "input_order"}
)
"""Options of every cell and of the layers around it; a cell cannot define an option of this name."""


def read_cell(text: str, read_initializer: Callable[[Any], Any]) -> CellText:
    """Return the cell of a TOML text.  Raises LayerError, which names the line, if it is not valid.

    read_initializer: checks an initializer, and returns it as a Spec has it.
    """
    import tomllib

    if len(text) > LONGEST:
        what = "it has more than {longest} characters."
        raise LayerError(what, "A cell has at most a page of equations.", longest=LONGEST)
    try:
        if max(line.count(".") for line in text.split("\n")) > MOST_DOTS:
            raise RecursionError
        document = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:  # ValueError: or an integer of thousands of digits
        raise _explain_toml(str(error), text) from None
    return _CellReader(document, text, read_initializer).read()


def _explain_toml(message: str, text: str) -> LayerError:
    advice = Message('An equation is written in quotes: hidden = "tanh(x @ kernel)"')
    match = re.fullmatch(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if match is None:
        return LayerError("it is not valid TOML, or is nested too deeply.", advice)
    lines = text.split("\n")
    number = int(match[2] or len(lines))
    start = min(int(match[3] or 1) - 1, len(lines[number - 1]))
    if match[1] in ("Cannot overwrite a value", "Cannot declare a table twice"):
        what, advice = Message("this name is given twice"), Message("A name can be assigned only once.")
    else:
        what = Message("this is not valid TOML")
    error = tree.fault(tree.TokenSpan(text, number, start, start + 1), what)
    return LayerError("line {number}: {error}", advice, number=number, error=error)


class _CellReader:
    def __init__(
        self, document: Mapping[str, Any], text: str, read_initializer: Callable[[Any], Any]
    ) -> None:
        self.document, self.text = document, text
        self.read_initializer = read_initializer

    def read(self) -> CellText:
        for key in self.document:
            if key not in KEYS:
                is_line = isinstance(self.document[key], str) and "step" not in self.document
                advice: Text = "Write [step] above the equations." if is_line else did_you_mean(key, KEYS)
                if type(self.document[key]) is int:
                    advice = "Write [sizes] above the sizes."
                raise self.fault((key,), "there is no entry '{name}'.", advice, name=key)
        weights = self._table("weights")
        step = {line: self._equation(line, text) for line, text in self._table("step").items()}
        if not step:
            raise LayerError("it has no equations.", "Write them below [step].")
        trees = {line: node for line, (node, _) in step.items()}
        sizes = {name: self._size(name, value) for name, value in self._table("sizes").items()}
        using = packed_lines(trees)
        cell = CellText(
            name=self._title(),
            states=self._names("states"),
            step=trees,
            gates=self._names("gates") if "gates" in self.document else using,
            initial={name: self._number("initial", name) for name in self._table("initial")},
            options={name: self._option(name) for name in self._table("options")},
            weights={name: self._weight(name) for name in weights if name not in PACKED},
            initializers={name: self._initializer(name, using) for name in weights if name in PACKED},
            source=self._source(),
            spans={name: spans for name, (_, spans) in (step | sizes).items()},
            written=self.text,
            sizes={name: node for name, (node, _) in sizes.items()},
            shapes={name: self._axes("shapes", name, sizes) for name in self._table("shapes")},
            inputs={name: self._axes("inputs", name, sizes) for name in self._table("inputs")},
            heads=self._names("heads") if "heads" in self.document else ("heads",),
        )
        self._check_names(cell, using)
        self._check_shapes(cell)
        assigned: list[str] = []
        for line in cell.step:
            with at(self.text, "step", line):
                _check_line(cell, line, assigned)
            assigned.append(line)
        resolve(cell, {"use_bias": True})  # to raise where a constant is not finite
        return _with_hidden_first(cell)

    def fault(self, path: tuple[str, ...], what: str, advice: Text = "", **fields: Any) -> LayerError:
        """Return an error about an entry of the file."""
        error, number = LayerError(what, advice, **fields), line_number(self.text, path)
        if number is None:
            return error
        return LayerError("line {number}: {error}", error.advice, number=number, error=error)

    def axis_fault(
        self, path: tuple[str, ...], axis: str, known: Iterable[str], what: str = "there is no axis {axis}"
    ) -> LayerError:
        """Return an error about an axis that an entry of the file names, which points at it."""
        rows, number = self.text.split("\n"), line_number(self.text, path) or 1
        number = next((at for at in range(number, len(rows) + 1) if f'"{axis}"' in rows[at - 1]), number)
        start = rows[number - 1].find(f'"{axis}"') + 1
        span = tree.TokenSpan(rows[number - 1], 1, start, start + len(axis))
        error = tree.fault(span, Message(what, axis=axis), did_you_mean(axis, known))
        line = Message("line {number}, {name}", number=number, name=path[-1])
        return LayerError("{place}: {error}", error.advice, place=line, error=error)

    def _table(self, key: str) -> Mapping[str, Any]:
        table = self.document.get(key, {})
        if not isinstance(table, Mapping) or len(table) > MOST:
            what = "{name} is not a table of at most {most} entries."
            raise self.fault((key,), what, "Write [{name}], then one entry per line.", name=key, most=MOST)
        return table

    def _title(self) -> str:
        name = self.document.get("name", "Cell")
        if not isinstance(name, str) or not re.fullmatch(_WORD, name) or len(name) > 60:
            what = "the name is not a word of ASCII letters, digits and _."
            raise self.fault(("name",), what, 'For example name = "MGU".')
        return name

    def _source(self) -> str:
        source = self.document.get("source", "")
        if not isinstance(source, str):
            advice = 'For example source = "Zhou et al. 2016".'
            raise self.fault(("source",), "the source is not a text in quotes.", advice)
        return source[:200]

    def _names(self, key: str) -> tuple[str, ...]:
        names = self.document.get(key)
        if (
            not isinstance(names, list) or not 0 < len(names) <= MOST
            or not all(isinstance(name, str) for name in names) or len({*names}) < len(names)
        ):  # fmt: skip
            if type(names) is int:
                what, advice = "{name} is not a list of different names.", "Write [sizes] above the sizes."
                raise self.fault((key,), what, advice, name=key)
            lists = {"states": '"hidden"', "gates": '"forget", "candidate"', "heads": '"groups", "repeats"'}
            example = f"{key} = [{lists[key]}]"
            what = "{name} is not a list of different names." if key in self.document else "it has no {name}."
            raise self.fault((key,), what, "For example {example}.", name=key, example=example)
        return tuple(names)

    def _equation(self, line: str, text: Any) -> tuple[tree.Node, dict[tree.Node, tree.TokenSpan]]:
        with at(self.text, "step", line):
            if not isinstance(text, str):
                advice = 'For example hidden = "tanh(x @ kernel)".'
                raise LayerError("an equation must be a text in quotes.", advice)
            return tree.parse(text)

    def _size(self, name: str, value: Any) -> tuple[Any, dict[tree.Node, tree.TokenSpan]]:
        """Return a number or an equation of `[sizes]`."""
        known = ["units", *itertools.takewhile(name.__ne__, self._table("sizes"))]
        if "inputs" not in self.document:  # else their sizes make the number of features
            known.append("features")
        if type(value) is int and 0 < value <= LARGEST:
            return value, {}
        with at(self.text, "sizes", name):
            if type(value) is int and value > LARGEST:
                raise LayerError("{name} is more than {largest}.", name=name, largest=LARGEST)
            if name == "units":
                what = "{name} is not a whole number from 1 on."
                raise LayerError(what, "For example units = 16.", name=name)
            advice = Message('For example heads = 4, or keys = "units / heads".')
            if not isinstance(value, str):
                what = "{name} is not a whole number from 1 on, or an equation in quotes."
                raise LayerError(what, advice, name=name)
            node, spans = tree.parse(value, advice)
            for part in tree.walk(node):
                match part:
                    case tree.Function() | tree.Operation("**" | "@"):
                        reason = Message("a size is made of + - * / and parentheses")
                        raise tree.fault(spans[part], reason)
                    case tree.Name(size) if size not in known:
                        near = did_you_mean(size, known)
                        raise tree.fault(
                            spans[part], Message("there is no size {name} above", name=size), near
                        )
            return node, spans

    def _axes(self, table: str, name: str, sizes: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the axes of a state, a line or a part of the input."""
        given = self._table(table)[name]
        known = dict.fromkeys(("units", *(("features",) if table == "shapes" else ()), *sizes))
        if (
            not isinstance(given, list)
            or len(given) > MOST_AXES
            or not all(isinstance(axis, str) and axis for axis in given)
        ):
            what = "{name} needs a list of at most {most} axes."
            raise self.fault((table, name), what, 'For example ["heads", "keys"].', name=name, most=MOST_AXES)
        for axis in given:
            if axis not in known:
                raise self.axis_fault((table, name), axis, known)
        if len({*given}) < len(given):
            raise self.fault((table, name), "{name} names an axis twice.", name=name)
        return tuple(given)

    def _check_shapes(self, cell: CellText) -> None:
        """Check what `[shapes]`, `[inputs]` and `heads` name."""
        for name in cell.shapes:
            if name not in cell.step:
                near = did_you_mean(name, cell.step)
                raise self.fault(("shapes", name), "{name} is not a state or a line.", near, name=name)
        first = cell.states[0]
        if cell.axes(first) != ("units",):
            what = "{name} is the first state, which the layer returns, so its axis is units."
            raise self.fault(("shapes", first), what, "Join its axes: join(...).", name=first)
        if "heads" in self.document and (other := {*cell.heads} - {*cell.sizes}):
            raise self.axis_fault(("heads",), min(other), cell.sizes, "{axis} is not a size of [sizes]")

    def _number(self, key: str, name: str) -> float:
        value = self._table(key)[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
            raise self.fault((key, name), "{name} is not a finite number.", name=name)
        return float(value)

    def _option(self, name: str) -> str | float:
        value = self._table("options")[name]
        if not isinstance(value, str):
            return self._number("options", name)
        with at(self.text, "options", name):
            return activations.canonical_name(value)

    def _weight(self, name: str) -> CellWeight:
        value = self._table("weights")[name]
        value = value if isinstance(value, Mapping) else {}
        shape = value.get("shape")
        has_axes = not self.document.keys().isdisjoint(("sizes", "shapes", "inputs"))
        known = ("units", "features", *(self._table("sizes") if has_axes else ()))
        for axis in shape if has_axes and isinstance(shape, list) else ():
            if isinstance(axis, str) and axis and axis not in known:
                raise self.axis_fault(("weights", name), axis, known)
        if (
            {*value} - {"shape", "initializer"} or not isinstance(shape, list)
            or not 1 <= len(shape) <= (MOST_AXES if has_axes else 2)
            or not all(size in known or (type(size) is int and 0 < size < 2**31) for size in shape)
        ):  # fmt: skip
            what = "the weight {name} needs a shape of one or two sizes: units, features or a number."
            if has_axes:
                what = "the weight {name} needs a shape of units, features, sizes of [sizes] or numbers."
            advice = 'For example {name} = {{ shape = ["units"], initializer = "zeros" }}.'
            raise self.fault(("weights", name), what, advice, name=name)
        with at(self.text, "weights", name):
            initializer = self.read_initializer(value["initializer"]) if "initializer" in value else None
        return CellWeight(tuple(shape), initializer)

    def _initializer(self, name: str, using: tuple[str, ...]) -> Any:
        value = self._table("weights")[name]
        known = {"initializer"} if not isinstance(value, Mapping) or "initializer" in value else {*using}
        if not isinstance(value, Mapping) or not value or {*value} - known:
            what = "{name} may have one initializer, or one for each line that uses it."
            raise self.fault(
                ("weights", name), what, 'For example {name} = {{ forget = "ones" }}.', name=name
            )
        with at(self.text, "weights", name):
            return {line: self.read_initializer(source) for line, source in value.items()}

    def _check_names(self, cell: CellText, using: tuple[str, ...]) -> None:
        """Check that each name has one meaning, and that states and gates are lines."""
        meanings: dict[str, str] = dict.fromkeys(_functions(cell), "a function")
        meanings |= dict.fromkeys(TAKEN, "a name of every cell")
        for name in (key for key in cell.options if key in OPTIONS or key.endswith("_initializer")):
            what = "{name} is an option of every cell and its layer."
            raise self.fault(("options", name), what, "Choose another name.", name=name)
        for name in (key for key in cell.sizes if key in OPTIONS or key.endswith("_initializer")):
            what = "{name} is an option of every cell and its layer."
            raise self.fault(("sizes", name), what, "Choose another name.", name=name)
        sizes = [name for name in cell.sizes if name != "units"]
        tables = {
            "sizes": sizes, "inputs": cell.inputs, "options": cell.options, "weights": cell.weights,
            "step": cell.step,
        }  # fmt: skip
        for table, name in ((table, name) for table, names in tables.items() for name in names):
            if not re.fullmatch(_WORD, name) or keyword.iskeyword(name) or len(name) > 60:
                advice = "Use ASCII letters, digits and _, and no keyword of Python."
                raise self.fault((table, name), "{name!r} cannot be a name.", advice, name=name)
            if name in meanings:
                what, meaning = "{name} is already {meaning}.", Message(meanings[name])
                raise self.fault((table, name), what, "Choose another name.", name=name, meaning=meaning)
            meanings[name] = _MEANINGS[table]
        if "hidden" in (meanings.keys() | {*cell.states}) - {cell.states[0]}:
            what = "the first state is called hidden in every result, so no other name may be hidden."
            raise self.fault(("states",), what, "Call the first state hidden, or rename the other.")
        for state in cell.states:
            if state not in cell.step:
                near = did_you_mean(state, cell.step)
                raise self.fault(("states",), "no line assigns the state {name}.", near, name=state)
        for state in cell.initial:
            if state not in cell.states:
                near = did_you_mean(state, cell.states)
                raise self.fault(("initial", state), "{name} is not a state.", near, name=state)
        for name in (state for state in cell.states[1:] if state in RESULTS):
            what = (
                "a state cannot be called {name}: traces and gradients show something else under this name."
            )
            raise self.fault(("states",), what, "Choose another name.", name=name)
        if {*cell.gates} != {*using}:
            what = "gates lists {given}, but the lines that use kernel, recurrent_kernel or bias are {using}."
            given, uses = ", ".join(cell.gates), ", ".join(using) or "none"
            raise self.fault(("gates",), what, "List exactly these.", given=given, using=uses)


_MEANINGS = {
    "sizes": "a size", "inputs": "a part of the input", "options": "an option", "weights": "a weight",
    "step": "a line",
}  # fmt: skip


def _with_hidden_first(cell: CellText) -> CellText:
    """Return the cell with its first state called `hidden`, as it is in every result."""
    first = cell.states[0]

    def rename(node: tree.Node) -> tree.Node:
        return tree.Name("hidden") if node == tree.Name(first) else tree.rebuild(node, rename)

    def key(name: str) -> str:
        return "hidden" if name == first else name

    return cell._replace(
        states=tuple(map(key, cell.states)),
        first=first,
        gates=tuple(map(key, cell.gates)),
        step={key(line): rename(node) for line, node in cell.step.items()},
        shapes={key(line): axes for line, axes in cell.shapes.items()},
        initial={key(state): value for state, value in cell.initial.items()},
        initializers={
            weight: given if "initializer" in given else {key(line): value for line, value in given.items()}
            for weight, given in cell.initializers.items()
        },
        spans={
            key(line): {rename(node): span for node, span in spans.items()}
            for line, spans in cell.spans.items()
        },
    )


def _check_line(cell: CellText, line: str, assigned: list[str]) -> None:
    """Check the names and functions of a line.  assigned: the lines above it."""
    matrices, spans, rights = {"kernel", "recurrent_kernel"}, cell.spans[line], set[int]()
    if not cell.has_axes:
        matrices |= {name for name, weight in cell.weights.items() if len(weight.shape) == 2}
    inputs: tuple[str, ...] = (*cell.inputs,) or ("x",)
    names = (*inputs, *PACKED, *cell.weights, *cell.states, *assigned, *cell.options)
    names = (*names, "units", "features", *cell.sizes) if cell.has_axes else names
    for node in tree.walk(cell.step[line]):
        match node:
            case tree.Function(function, arguments):
                _check_call(cell, function, arguments, spans[node])
            case tree.Operation("@", _, tree.Name(name) as right) if name in matrices or name not in names:
                rights.add(id(right))
            case tree.Operation("@") if not cell.has_axes:
                what = Message("@ needs a weight of two axes on its right")
                advice = Message("For example x @ kernel, or hidden @ recurrent_kernel.")
                raise tree.fault(spans[node], what, advice)
            case tree.Name(name) if name in matrices and id(node) not in rights:
                what = Message("{name} has two axes, so it must be on the right of @", name=name)
                raise tree.fault(spans[node], what)
            case tree.Name(name) if isinstance(cell.options.get(name), str):
                what = Message("{name} is an activation", name=name)
                raise tree.fault(spans[node], what, Message("Write {name}(...).", name=name))
            case tree.Name(name) if name not in names:
                what, advice = Message("there is no name {name}", name=name), did_you_mean(name, names)
                if name in _functions(cell):
                    what = Message("{name} is a function", name=name)
                    advice = Message("Write {name}(...).", name=name)
                if name == "x":
                    advice = Message("The input is {names}.", names=", ".join(cell.inputs))
                if name in cell.step:
                    what = Message("{name} is used before it is assigned", name=name)
                    advice = Message("Move its line above this one, or make it a state.")
                raise tree.fault(spans[node], what, advice)


def _functions(cell: CellText) -> dict[str, int]:
    """Return the functions of the cell's equations, and their numbers of arguments."""
    alone = {name: count for name, count in tree.FUNCTIONS.items() if cell.has_axes or name not in AXES_ALONE}
    return {**alone, **dict.fromkeys(activations.NAMES, 1), **(tree.AXES if cell.has_axes else {})}


def _check_call(cell: CellText, function: str, arguments: Sequence[tree.Node], span: tree.TokenSpan) -> None:
    options = [name for name, value in cell.options.items() if isinstance(value, str)]
    known, given = _functions(cell) | dict.fromkeys(options, 1), len(arguments)
    if cell.has_axes and function in (*tree.REDUCTIONS, "softmax") and given == 2:
        if arguments[1] not in [tree.Name(size) for size in ("units", "features", *cell.sizes)]:
            raise tree.fault(
                span, Message("the second argument of {name} is the name of an axis", name=function)
            )
        return
    if (
        function == "index"
        and arguments
        and arguments[0] not in [*map(tree.Name, ("units", "features", *cell.sizes))]
    ):
        raise tree.fault(span, Message("index takes the name of an axis"))
    if function == "shift" and arguments and arguments[0] not in [*map(tree.Name, cell.states)]:
        raise tree.fault(span, Message("the first argument of shift is a state"))
    if function not in known:
        what = Message("there is no function {name}", name=function)
        raise tree.fault(span, what, did_you_mean(function, known))
    if given != (needed := known[function]):
        several = "{name} takes {needed} arguments, not {given}"
        text = several if needed > 1 else "{name} takes one argument, not {given}"
        if cell.has_axes and function in (*tree.REDUCTIONS, "softmax"):
            text = "{name} takes one argument, or one and the name of an axis, not {given}"
        raise tree.fault(span, Message(text, name=function, needed=needed, given=given))


_WORD = r"[A-Za-z_][A-Za-z0-9_]*"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
