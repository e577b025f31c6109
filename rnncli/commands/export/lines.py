"""The equations of a cell as scripts compute them, and the names that a script can give to their lines."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Mapping
from math import prod

from rnncli.cells import activations
from rnncli.cells.layout import move_inside, without_zeros
from rnncli.cells.tree import FUNCTIONS, Function, Name, Node, Number, Reshape, Sum, fold, rebuild, walk
from rnncli.layers.recurrent import Cell

RESERVED = frozenset({
    *dir(builtins), *keyword.kwlist, *keyword.softkwlist, *FUNCTIONS, "hard_sigmoid_keras2",
    "np", "math", "torch", "keras", "self", "x", "state", "states", "training", "real", "main", "dot", "j",
    "k", "auto", "case", "char", "const", "default", "do", "double", "enum", "extern", "goto", "inline",
    "long", "register", "restrict", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
    "union", "unsigned", "void", "volatile", "complex", "imaginary", "stdin", "stdout", "stderr", "memcpy",
    "power", "I", "thread_local", "asm", "typeof", "bool", "true", "false", "nullptr", "constexpr",
    "alignas", "alignof", "static_assert", "math_errhandling", "linux", "unix",
})  # fmt: skip
"""Names that mean something in a step of Python or C."""

_BEGINNING = re.compile(r"_|[WUb]_|b2_|weight_|[LMP]_|[A-Z][A-Z0-9_]+$")
_END = re.compile(r"^t\d+$|_(step|forward|backward|cell|\d+)$")
"""Beginnings and endings of names of scripts, `W_forget`, `lstm_step`, `hidden_0_forward`, or macros of C."""
_C_MATH = re.compile(
    r"c?(a?(cos|sin|tan)h?|atan2|exp(2|10|m1)?|log(2|10|1p|b)?|pow|sqrt|cbrt|hypot|erfc?|[lt]?gamma|f?abs|"
    r"f(dim|ma|max|min|mod)|ceil|floor|trunc|l{0,2}(rint|round)|nearbyint|remainder|remquo|drem|copysign|"
    r"next(after|toward|up|down)|frexp|ldexp|modf|ilogb|scalb(l?n)?|significand|[jy][01n]|finite|is(nan|inf)|"
    r"nan|arg|imag|real|proj|conj)([fl]|[fd]\d+x?)?(_r)?"
)
"""Functions of <tgmath.h> in each of their types: a call of `tanh` becomes `tanhf`, `tanhl`, `ctanhf`, ..."""


def lines_of(cell: Cell, features: int) -> dict[str, Node]:
    """Return the equations as a script computes them: each activation by Keras's name, constants as numbers.

    A sum never begins with a sum, because `(a + b) + c` is computed as `a + b + c`.
    """
    constants: dict[str, Number] = {}

    def change(node: Node) -> Node:
        match rebuild(node, change):
            case Name(name) if name in constants:
                return constants[name]
            case Function("clip", (Number(value), Number(low), high)) if not isinstance(high, Number):
                return Function("minimum", (Number(max(value, low)), high))
            case Function(function, arguments):
                known = function in FUNCTIONS
                name = function if known else activations.canonical_name(cell.function(function))
                if all(isinstance(argument, Number) for argument in arguments):
                    given = [argument.value for argument in arguments if isinstance(argument, Number)]
                    return Number(activations.compute_constant(name, given))
                return arguments[0] if name == "linear" else Function(name, arguments)
            case Sum(((1, Sum(first)), *others)):
                return fold(without_zeros(Sum((*first, *others))))
            case Sum() as total:
                return fold(without_zeros(total))
            case Reshape() as view:
                return move_inside(view)
            case changed:
                return fold(changed)

    columns: dict[Node, Name] = {}  # the parts of the input, which are lines, too
    for name, axes in cell.text.inputs.items():
        part, shape = Name(name, "input"), cell.sizes(features).shape(axes)
        columns[part if len(shape) < 2 else Reshape(part, (prod(shape),), (0,), shape)] = Name(name, "free")

    def read(node: Node) -> Node:
        return columns[node] if node in columns else rebuild(node, read)

    lines: dict[str, Node] = {name.name: node for node, name in columns.items()}
    for line, node in cell.lowered(features).items():
        new = change(read(node))
        if isinstance(new, Number) and line not in cell.states:
            constants[line] = new
        else:
            lines[line] = new
    return lines


def functions_in(lines: Mapping[str, Node]) -> dict[str, None]:
    """Return the functions that are called, each once."""
    nodes = (node for line in lines.values() for node in walk(line))
    return dict.fromkeys(node.function for node in nodes if isinstance(node, Function))


def local_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name a name that a step can use, the same if possible."""
    local: dict[str, str] = {}
    for name in (given := dict.fromkeys(names)):
        new = f"own_{name.lstrip('_')}" if _BEGINNING.match(name) else name
        taken = RESERVED | {*local.values(), *(given if new != name else ())}
        while new in taken or _C_MATH.fullmatch(new) or _END.search(new):
            new += "_"
        local[name] = new
    return local
