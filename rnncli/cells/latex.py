"""Write the equations of a cell in LaTeX, in the symbols of textbooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rnncli.cells.text import PACKED, CellText, resolve
from rnncli.cells.tree import Call, Name, Node, Number, Operation, Sum, write

LETTERS: Mapping[str, str] = {"kernel": "W", "recurrent_kernel": "U", "bias": "b", "recurrent_bias": "b'"}
"""Symbols of packed weights; the line to which the columns belong is their index."""
KNOWN: Mapping[str, str] = {"hidden": "h", "update": "z", "candidate": r"\tilde{h}"}
FUNCTIONS: Mapping[str, str] = {
    "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "exponential": r"\exp", "sigmoid": r"\sigma",
    "maximum": r"\max", "minimum": r"\min",
}  # fmt: skip
GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip


def to_latex(text: CellText, config: Mapping[str, Any]) -> str:
    """Return the equations with these options as an `align*` of amsmath."""
    writer = _Writer(text, config)
    lines = [f"{writer.symbols[line]}_t &= {writer.node(node, line)}" for line, node in writer.lines.items()]
    return "\\begin{align*}\n" + " \\\\\n".join(f"  {line}" for line in lines) + "\n\\end{align*}\n"


class _Writer:
    """Writes nodes.  symbols: of lines, states and weights, by name."""

    def __init__(self, text: CellText, config: Mapping[str, Any]) -> None:
        self.text = text
        self.lines = resolve(text, config, in_order=False)
        self.functions = {name: config.get(name, value) for name, value in text.options.items()}
        self.symbols = {"x": "x"}
        for name in dict.fromkeys((*text.states, *text.step, *text.weights)):
            self.symbols[name] = self._symbol(name)

    def _symbol(self, name: str) -> str:
        used = {*self.symbols.values(), "W", "U", "b"}
        known = r"\tilde{c}" if name == "candidate" and "cell" in self.text.states else KNOWN.get(name, "")
        greek = rf"\{name}" if name in GREEK else ""
        escaped = name.replace("_", r"\_")
        choices = (known, greek, "" if "_" in name else name[0], rf"\mathrm{{{escaped}}}")
        return next(one for one in choices if one and one not in used)

    def node(self, node: Node, line: str, least: int = 0) -> str:
        """Return a node in a line, in parentheses if its operator binds less strongly than `least`."""
        text, strength = self._make(node, line)
        if strength >= least:
            return text
        return rf"\left({text}\right)" if r"\frac" in text else f"({text})"

    def _make(self, node: Node, line: str) -> tuple[str, int]:
        """Return a node, and how strongly its operator binds: sums 1, products 2; a base needs 4."""
        match node:
            case Number():
                return re.sub(r"e([+-])0*(\d+)", self._exponent, write(node)), 1 if node.value < 0 else 4
            case Name(name, kind):
                time = "_{t-1}" if kind == "before" else "_t" if kind or name == "x" else ""
                return (self._packed(name, line) if name in PACKED else f"{self.symbols[name]}{time}"), 4
            case Sum(((sign, first), *others)):
                start = ("" if sign > 0 else "-") + self.node(first, line, 1 if sign > 0 else 2)
                return start + "".join(self._term(sign, term, line) for sign, term in others), 1
            case Operation("@", left, right):
                return f"{self.node(right, line)} {self.node(left, line, 3)}", 2
            case Operation("/", left, right):
                return rf"\frac{{{self.node(left, line)}}}{{{self.node(right, line)}}}", 3
            case Operation("**", left, right):
                return f"{self.node(left, line, 4)}^{{{self.node(right, line)}}}", 3
            case Operation(_, left, right):
                times = r"\cdot" if isinstance(left, Number) or isinstance(right, Number) else r"\odot"
                return rf"{self.node(left, line, 2)} {times} {self.node(right, line, 2)}", 2
            case Call(name):
                return self._call(str(self.functions.get(name, name)), node, line), 3
        raise TypeError(node)

    def _term(self, sign: int, term: Node, line: str) -> str:
        """Return a further term of a sum; `a + (b + c)` needs no parentheses here."""
        plain = sign > 0 and isinstance(term, Sum) and term.terms[0][0] > 0
        return f" {'+' if sign > 0 else '-'} {self.node(term, line, 1 if plain else 2)}"

    def _call(self, name: str, call: Call, line: str) -> str:
        given = ", ".join(self.node(one, line) for one in call.arguments)
        if name in ("sqrt", "abs"):
            return rf"\sqrt{{{given}}}" if name == "sqrt" else rf"\left|{given}\right|"
        escaped = name.replace("_", r"\_")
        function = "" if name == "linear" else FUNCTIONS.get(name, rf"\operatorname{{{escaped}}}")
        if name == "linear" and isinstance(call.arguments[0], (Name, Number)):
            return given
        return rf"{function}\left({given}\right)" if r"\frac" in given else f"{function}({given})"

    def _packed(self, weight: str, line: str) -> str:
        """Return a packed weight with its line as the index, if several lines use it."""
        if len(self.text.lines_using(weight)) == 1:
            return LETTERS[weight]
        plain = re.sub(r"\\tilde{(\w)}", r"\1", self.symbols[line])
        taken = {self.symbols[one] for one in self.text.gates if one != line}
        index = self.symbols[line] if plain in taken else plain
        return f"{LETTERS[weight]}_{index}" if len(index) == 1 else f"{LETTERS[weight]}_{{{index}}}"

    @staticmethod
    def _exponent(found: re.Match[str]) -> str:
        return rf" \cdot 10^{{{'-' if found[1] == '-' else ''}{found[2]}}}"
