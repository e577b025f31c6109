"""What faults change in the rules of the oracle.

In these functions `d` is the number of a direction, `at` an index; `names` are separated by spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.commands.conformance.oracle import DEFAULTS, FUNCTIONS, Recurrence

Change = Callable[..., Any]
"""What a method of a Recurrence does instead.  It gets the unchanged method, the Recurrence, arguments."""
Changes = Mapping[str, Change]
"""By the name of the method."""


def override(kind: type[Recurrence], changes: Changes) -> type[Recurrence]:
    """Return a Recurrence with other rules."""

    def method(name: str, change: Change) -> Change:
        return lambda node, *given: change(partial(getattr(kind, name), node), node, *given)

    return type(kind.__name__, (kind,), {name: method(name, change) for name, change in changes.items()})


def leave(rule: Change, node: Recurrence, *given: Any) -> Any:
    """Leave the given array as it is."""
    return next(value for value in given if isinstance(value, np.ndarray))


def flip_all(rule: Change, node: Recurrence, d: int, array: Array) -> Array:
    """Reverse all steps, also those after the end of a sequence."""
    return array[::-1]


def in_backward(changes: Changes) -> Changes:
    """Limit changes of methods whose first argument is a direction to the backward ones."""

    def limit(change: Change) -> Change:
        return lambda rule, node, d, *given: (
            change(rule, node, d, *given) if node.is_backward[d] else rule(d, *given)
        )

    return {name: limit(change) for name, change in changes.items()}


def in_run(change: Callable[[Recurrence, int, Mapping[str, Array]], Mapping[str, Array]]) -> Changes:
    """Replace outputs of one direction."""
    return {"run": lambda rule, node, d: {**(run := rule(d)), **change(node, d, run)}}


def change_output(names: str, change: Callable[[Array], Array]) -> Changes:
    """Change outputs before they get their layout."""
    return {
        "arrange_output": lambda rule, node, name, array: rule(
            name, change(array) if name in names.split() else array
        )
    }


def ignore_layout(inputs: str, outputs: str, *, reshapes: bool = False) -> Changes:
    """Leave arrays in layout 0, or give them the shape of layout 1 without moving a number."""

    def keep(names: str) -> Change:
        return lambda rule, node, name, array: (
            rule(name, array)
            if name not in names.split()
            else array.reshape(rule(name, array).shape) if reshapes else array
        )  # fmt: skip

    return {"arrange_input": keep(inputs), "arrange_output": keep(outputs)}


def change_weight(names: str, change: Callable[[Array, int], Array]) -> Changes:
    """Change whole weights, whose first axis is of directions; change also gets the number of units."""
    return {
        "given": lambda rule, node, name: (
            array if (array := rule(name)) is None or name not in names else change(array, node.units)
        )
    }


def reorder(names: str, right: str, order: Sequence[str]) -> Changes:
    """Read the gates in another order than the right one; a fault of one weight comes before one of all."""
    return {
        "gates": lambda rule, node, name, array, letters: rule(
            name, array, order if name in names.split() and letters == right else letters
        )
    }


def take_inputs(names: Mapping[str, str | None], *, unless: frozenset[str] = frozenset("-")) -> Changes:
    """Take other inputs, None for no input, unless the node has all of these inputs."""
    return {
        "given": lambda rule, node, name: (
            rule(name)
            if name not in names or unless <= set(node.case.inputs)
            else names[name] and rule(names[name])
        )
    }


def change_lengths(change: Callable[[Array, int], Array]) -> Changes:
    """Change sequence_lens; change also gets the number of steps."""
    return {"sequence_lengths": lambda rule, node: change(rule(), len(node.x))}


def carry_on(*late: str) -> Changes:
    """Compute the steps after the end of a sequence, too; late: the states that are taken after them."""
    return {
        "goes_on": lambda rule, node, t: rule(t) | True,
        "final": lambda rule, node, d, state, carried: (
            carried[-1] if state in late else carried[node.lengths, np.arange(len(node.lengths))]
        ),
    }


def choose_functions(change: Callable[[list[Any], list[Any], Sequence[str]], list[Any]]) -> Changes:
    """Choose from the functions of all directions, their defaults, and the names."""

    def choose(rule: Change, node: Recurrence) -> list[Any]:
        names = DEFAULTS[node.operator] * len(node.is_backward)
        defaults = [FUNCTIONS[name] for name in names]
        return change(rule(), defaults, node.attributes.get("activations", names))

    return {"activations": choose}


def take_defaults(is_default: Callable[[int, str, int], bool]) -> Changes:
    """Take the default of some functions, by index, name, and the number of functions of all directions."""
    return choose_functions(
        lambda functions, defaults, names: [
            default if is_default(at, name, len(names)) else function
            for at, (function, default, name) in enumerate(zip(functions, defaults, names, strict=True))
        ]
    )


def take_default_of(kind: str) -> Changes:
    """Take the default of the functions of one name."""
    return take_defaults(lambda at, name, count: name.lower() == kind.lower())


def take_functions(*order: int) -> Changes:
    """Take the functions of each direction in another order."""
    return choose_functions(
        lambda functions, *_: [
            functions[start + at] for start in range(0, len(functions), len(order)) for at in order
        ]
    )


def number_by_position(rule: Change, node: Recurrence, name: str, defaults: Any) -> Iterator[Any]:
    """Yield the number at the index of each function, not the next one."""
    numbers = node.attributes.get(name, ())
    for at, default in enumerate(defaults):
        yield None if default is None else numbers[at] if at < len(numbers) else default


def bound(node: Recurrence, x: Array) -> Array:
    """Return x within the bounds of clip."""
    return np.clip(x, -node.attributes["clip"], node.attributes["clip"])


def bound_states(states: str) -> Changes:
    """Bound states after each step."""
    return {
        "step": lambda rule, node, *given: {
            name: bound(node, array) if name in states else array for name, array in rule(*given).items()
        }
    }


def unclip(index: int) -> Changes:
    """Leave the input of f or g (index 0 or 1) unclipped."""
    return {
        "activate": lambda rule, node, d, at, x: node.function(d, at)(x) if at == index else rule(d, at, x)
    }
