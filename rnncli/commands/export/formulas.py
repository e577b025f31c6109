"""Keras's activations as formulas in x, which every script writes in its own words."""

from __future__ import annotations

import ast
from collections.abc import Mapping

FORMULAS: Mapping[str, str] = {
    "linear": "x",
    "tanh": "tanh(x)",
    "sigmoid": "1 / (1 + exp(-x))",
    "hard_sigmoid": "clip(x + 3, 0, 6) / 6",
    "hard_sigmoid_keras2": "clip(0.2 * x + 0.5, 0, 1)",
    "relu": "maximum(x, 0)",
    "relu6": "clip(x, 0, 6)",
    "leaky_relu": "where(x > 0, x, 0.20000000298023224 * x)",
    "elu": "where(x < 0, exp(minimum(x, 0)) - 1, x)",
    "selu": "1.0507009873554805 * where(x < 0, 1.6732632423543772 * (exp(minimum(x, 0)) - 1), x)",
    "celu": "maximum(x, 0) + expm1(minimum(x, 0))",
    "gelu": "0.5 * x * erfc(-0.7071067690849304 * x)",
    "silu": "x / (1 + exp(-x))",
    "hard_silu": "x * (clip(x + 3, 0, 6) / 6)",
    "mish": "x * tanh(log1p(exp(-abs(x))) + maximum(x, 0))",
    "softplus": "log1p(exp(-abs(x))) + maximum(x, 0)",
    "softsign": "x / (abs(x) + 1)",
    "squareplus": "(x + sqrt(x * x + 4)) / 2",
    "exponential": "exp(x)",
    "hard_tanh": "clip(x, -1, 1)",
    "tanh_shrink": "x - tanh(x)",
    "hard_shrink": "where(abs(x) > 0.5, x, 0)",
    "soft_shrink": "where(x > 0.5, x - 0.5, where(x < -0.5, x + 0.5, 0))",
    "sparse_plus": "where(x <= -1, 0, where(x < 1, 0.25 * (x + 1) * (x + 1), x))",
    "sparse_sigmoid": "clip(0.5 * (x + 1), 0, 1)",
    "log_sigmoid": "-(log1p(exp(-abs(x))) + maximum(-x, 0))",
}
"""By Keras's name; without activations of all units at once, such as softmax."""

MERGES: Mapping[str, str] = {"sum": "{0} + {1}", "mul": "{0} * {1}", "ave": "({0} + {1}) / 2"}
"""How a number of the forward direction, {0}, and a number of the backward direction, {1}, are merged."""


def write_formula(name: str, other_names: Mapping[str, str], library: str = "") -> str:
    """Return the formula of an activation in another language.

    other_names: the names of functions that the language names differently.
    library: `np.`, before all other names.
    """
    tree = ast.parse(FORMULAS[name], mode="eval")
    for function in _functions(tree):
        function.id = other_names.get(function.id, library + function.id)
    return ast.unparse(tree)


def functions_in_formula(name: str) -> set[str]:
    """Return the functions that an activation's formula calls."""
    return {function.id for function in _functions(ast.parse(FORMULAS[name], mode="eval"))}


def _functions(tree: ast.AST) -> list[ast.Name]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id != "x"]
