"""The equations of each cell in LaTeX, in the symbols of textbooks, for `\\usepackage{amsmath}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rnncli.cells.text import PACKED, CellText, resolve
from rnncli.cells.tree import Name, Node, Operators, Sum, rebuild
from rnncli.cells.tree import write as write_node
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, equations_of
from rnncli.commands.export.literals import as_comment, left_out_of

SUFFIX = ".tex"
BINARY = False

refusal = refusals.of_equations


def write(exports: Sequence[ExportCase]) -> str:
    """Return a block for each different cell."""
    weights = "W, U and b are kernel, recurrent_kernel and bias; W and U stand on the left here."
    blocks = [
        f"% {as_comment(cell.text.title)}\n% {weights}\n{_to_latex(cell.text, cell.config)}"
        for cell in equations_of(exports)
    ]
    return left_out_of(exports, "% ") + "\n".join(dict.fromkeys(blocks))


LETTERS: Mapping[str, str] = {"kernel": "W", "recurrent_kernel": "U", "bias": "b", "recurrent_bias": "b'"}
"""Symbols of packed weights; their index is the line to which the columns belong: `W_f`."""
KNOWN: Mapping[str, str] = {"hidden": "h", "update": "z", "candidate": r"\tilde{h}"}
FUNCTIONS: Mapping[str, str] = {
    "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "exponential": r"\exp", "sigmoid": r"\sigma",
    "maximum": r"\max", "minimum": r"\min",
}  # fmt: skip
GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip


OPERATORS: Operators = {
    "*": (r"{} \odot {}", 2, 4, 2),
    "·": (r"{} \cdot {}", 2, 4, 2),
    "/": (r"\frac{{{}}}{{{}}}", 0, 0, 4),
    "**": ("{}^{{{}}}", 5, 0, 4),
    "@": ("{1} {0}", 4, 0, 2),  # W x
}


def _to_latex(text: CellText, config: Mapping[str, Any]) -> str:
    """Return the equations with these options as an `align*` of amsmath."""
    symbols: dict[str, str] = {"x": "x"}
    for key in dict.fromkeys((*text.states, *text.step, *text.weights)):
        symbols[key] = _choose_symbol(key, "cell" in text.states, {*symbols.values(), "W", "U", "b"})

    def call(function: str, given: list[str]) -> str:
        return _call(text.function(function, config), ", ".join(given))

    lines = []
    for line, node in resolve(text, config, in_order=False).items():

        def name(node: Name, line: str = line) -> str:
            if node.name in PACKED:
                return LETTERS[node.name] + _index(text, symbols, node.name, line)
            time = "_{t-1}" if node.kind == "before" else "_t" if node.kind or node.name == "x" else ""
            return f"{symbols[node.name]}{time}"

        written = write_node(_without_inner_sums(node), name, call, OPERATORS, _brackets)
        written = re.sub(r"(?<=\d)e(-?)\+?0*(\d+)", r" \\cdot 10^{\1\2}", written)
        lines.append(f"  {symbols[line]}_t &= {written}")
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n"


def _choose_symbol(name: str, has_cell: bool, used: set[str]) -> str:
    """Return the symbol of a line, a state or a weight; `c` with a tilde is the candidate of a cell state."""
    known = r"\tilde{c}" if name == "candidate" and has_cell else KNOWN.get(name, "")
    greek = rf"\{name}" if name in GREEK else ""
    choices = (known, greek, "" if "_" in name else name[0], rf"\mathrm{{{_escape(name)}}}")
    return next(symbol for symbol in choices if symbol and symbol not in used)


def _without_inner_sums(node: Node) -> Node:
    """Return the node with `a + b + c` for `a + (b + c)`."""
    node = rebuild(node, _without_inner_sums)
    if not isinstance(node, Sum):
        return node
    parts = (
        term.terms if sign > 0 and isinstance(term, Sum) else ((sign, term),) for sign, term in node.terms
    )
    return Sum(tuple(term for terms in parts for term in terms))


def _call(function: str, given: str) -> str:
    if function in ("sqrt", "abs"):
        return rf"\sqrt{{{given}}}" if function == "sqrt" else rf"\left|{given}\right|"
    if function == "linear":
        return given if re.fullmatch(r"\S+", given) else _brackets(given)
    return FUNCTIONS.get(function, rf"\operatorname{{{_escape(function)}}}") + _brackets(given)


def _brackets(text: str) -> str:
    return rf"\left({text}\right)" if r"\frac" in text else f"({text})"


def _index(text: CellText, symbols: Mapping[str, str], weight: str, line: str) -> str:
    if len(text.lines_using(weight)) == 1:
        return ""
    plain = re.sub(r"\\tilde{(\w)}", r"\1", symbols[line])
    taken = {symbols[gate] for gate in text.gates if gate != line}
    index = symbols[line] if plain in taken else plain
    return f"_{index}" if len(index) == 1 else f"_{{{index}}}"


def _escape(name: str) -> str:
    return name.replace("_", r"\_")
