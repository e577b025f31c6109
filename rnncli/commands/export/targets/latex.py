"""The equations of each cell in LaTeX, in the symbols of textbooks, for `\\usepackage{amsmath}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rnncli.cells import tree
from rnncli.cells.sizes import axes_of
from rnncli.cells.text import BIASES, PACKED, CellText, resolve
from rnncli.cells.tree import write as write_node
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, equations_of
from rnncli.commands.export.literals import as_comment, left_out_of
from rnncli.layers.recurrent import Cell

SUFFIX = ".tex"
BINARY = False

refusal = refusals.of_equations


def write(exports: Sequence[ExportCase]) -> str:
    """Return a block for each different cell."""
    weights = "W, U and b are kernel, recurrent_kernel and bias; W and U stand on the left here."
    blocks = [
        f"% {as_comment(cell.text.title)}\n% {weights}\n{_to_latex(cell)}" for cell in equations_of(exports)
    ]
    return left_out_of(exports, "% ") + "\n".join(dict.fromkeys(blocks))


PRODUCTS = (
    "A product sums over one axis; along other axes that both sides have, it is computed for each index."
)


LETTERS: Mapping[str, str] = {"kernel": "W", "recurrent_kernel": "U", "bias": "b", "recurrent_bias": "b'"}
"""Symbols of packed weights; their index is the line to which the columns belong: `W_f`."""
KNOWN: Mapping[str, str] = {"hidden": "h", "update": "z", "candidate": r"\tilde{h}"}
FUNCTIONS: Mapping[str, str] = {
    "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "exponential": r"\exp", "sigmoid": r"\sigma",
    "cos": r"\cos", "sin": r"\sin", "maximum": r"\max", "minimum": r"\min",
}  # fmt: skip
GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip


OPERATORS: tree.Operators = {
    "*": (r"{} \odot {}", 2, 4, 2),
    "·": (r"{} \cdot {}", 2, 4, 2),
    "/": (r"\frac{{{}}}{{{}}}", 0, 0, 4),
    "**": ("{}^{{{}}}", 5, 0, 4),
    "@": ("{1} {0}", 4, 0, 2),  # W x
    "vector": (r"{}^{{\top}} {}", 5, 4, 2),
    "matrix": ("{} {}", 4, 4, 2),
    "outer": (r"{} \otimes {}", 4, 4, 2),
    "sum": (r"\sum_{{{}}} {}", 0, 2, 1),
}
"""The last four are those of cells whose axes have names."""


def _to_latex(cell: Cell) -> str:
    """Return the equations with the cell's options as an `align*` of amsmath."""
    text, config, sizes = cell.text, cell.config, cell.sizes(None)
    symbols = {
        "x": "x",
        **{size: rf"\mathrm{{{_escape(size)}}}" for size in ("units", "features", *text.sizes)},
    }
    for key in dict.fromkeys((*text.inputs, *text.states, *text.step, *text.weights)):
        is_matrix = text.has_axes and len({*sizes.axes.get(key, ())} - {*text.heads}) == 2
        used = {*symbols.values(), "W", "U", "b"}
        symbols[key] = _choose_symbol(key, "cell" in text.states, used, is_matrix=is_matrix)

    def call(function: str, given: list[str]) -> str:
        if function in (*tree.REDUCTIONS, "softmax") and len(given) > 1:
            return rf"\operatorname{{{function}}}_{{{given[1]}}}{_brackets(given[0])}"
        return _call(text.function(function, config), ", ".join(given))

    lines = []
    for line, node in resolve(text, config, in_order=False).items():

        def name(node: tree.Name, line: str = line) -> str:
            if node.name in PACKED:
                return LETTERS[node.name] + _index(text, symbols, node.name, line)
            is_new = node.kind or node.name == "x" or node.name in text.inputs
            return f"{symbols[node.name]}{'_{t-1}' if node.kind == 'before' else '_t' if is_new else ''}"

        def adapt(node: tree.Node, line: str = line) -> tree.Node:
            """Return the node with the operators that only cells whose axes have names have."""
            match tree.rebuild(node, adapt):
                case tree.Name(name) if name in BIASES and not config["use_bias"]:
                    return tree.Number(0.0)
                case tree.Sum(terms) if kept := tuple(pair for pair in terms if pair[1] != tree.Number(0.0)):
                    return tree.Sum(kept)
                case tree.Function("outer", (left, right)):
                    return tree.Operation("outer", left, right)
                case tree.Function("sum", (inner, tree.Name() as axis)):
                    return tree.Operation("sum", axis, inner)
                case tree.Operation("@", left, right) if write_node(right) not in (*PACKED, *text.weights):
                    one, two = (axes_of(part, text, config, sizes, line) for part in tree.parts(node))
                    return tree.Operation("matrix" if {*one} - {*two} else "vector", left, right)
                case changed:
                    return changed

        node = adapt(node) if text.has_axes else node
        written = write_node(_without_inner_sums(node), name, call, OPERATORS, _brackets)
        written = re.sub(r"(?<=\d)e(-?)\+?0*(\d+)", r" \\cdot 10^{\1\2}", written)
        lines.append(f"  {symbols[line]}_t &= {written}")
    named = {**text.inputs, **sizes.axes}
    axes = "; ".join(f"{symbols[line]}: {', '.join(names) or '1'}" for line, names in named.items())
    head = f"% {PRODUCTS}\n% Axes of {axes}\n" if text.has_axes else ""
    return head + "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n"


def _choose_symbol(name: str, has_cell: bool, used: set[str], *, is_matrix: bool) -> str:
    """Return the symbol of a line, a state or a weight; `c` with a tilde is the candidate of a cell state."""
    first = name[0].upper() if is_matrix else name[0]
    known = r"\tilde{c}" if name == "candidate" and has_cell else KNOWN.get(name, "")
    greek = rf"\{name}" if name in GREEK else ""
    choices = (known, greek, "" if "_" in name else first, rf"\mathrm{{{_escape(name)}}}")
    return next(symbol for symbol in choices if symbol and symbol not in used)


def _without_inner_sums(node: tree.Node) -> tree.Node:
    """Return the node with `a + b + c` for `a + (b + c)`."""
    node = tree.rebuild(node, _without_inner_sums)
    if not isinstance(node, tree.Sum):
        return node
    terms_of = (
        term.terms if sign > 0 and isinstance(term, tree.Sum) else ((sign, term),)
        for sign, term in node.terms
    )
    return tree.Sum(tuple(term for terms in terms_of for term in terms))


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
