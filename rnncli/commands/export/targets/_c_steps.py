"""One time step of each kind of cell in C, for one sequence; and the formulas of the activations."""

from __future__ import annotations

import textwrap

from rnncli.commands.export.export_case import ExportCell

ACTIVATIONS = {
    "linear": "x",
    "tanh": "tanh(x)",
    "sigmoid": "1 / (1 + exp(-x))",
    "hard_sigmoid": "clip(x + 3, 0, 6) / 6",
    "hard_sigmoid_keras2": "clip(0.2 * x + 0.5, 0, 1)",
    "relu": "x < 0 ? 0 : x",
    "relu6": "clip(x, 0, 6)",
    "leaky_relu": "x > 0 ? x : 0.20000000298023224 * x",
    "elu": "x < 0 ? exp(x) - 1 : x",
    "selu": "1.0507009873554805 * (x < 0 ? 1.6732632423543772 * (exp(x) - 1) : x)",
    "celu": "x < 0 ? expm1(x) : x",
    "gelu": "0.5 * x * erfc(-x * 0.7071067690849304)",
    "silu": "x / (1 + exp(-x))",
    "hard_silu": "x * (clip(x + 3, 0, 6) / 6)",
    "mish": "x * tanh(log1p(exp(-fabs(x))) + fmax(x, 0))",
    "softplus": "log1p(exp(-fabs(x))) + fmax(x, 0)",
    "softsign": "x / (fabs(x) + 1)",
    "squareplus": "(x + sqrt(x * x + 4)) / 2",
    "exponential": "exp(x)",
    "hard_tanh": "clip(x, -1, 1)",
    "tanh_shrink": "x - tanh(x)",
    "hard_shrink": "fabs(x) > 0.5 ? x : 0",
    "soft_shrink": "x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : 0",
    "sparse_plus": "x <= -1 ? 0 : x < 1 ? 0.25 * (x + 1) * (x + 1) : x",
    "sparse_sigmoid": "clip(0.5 * (x + 1), 0, 1)",
    "log_sigmoid": "-(log1p(exp(-fabs(x))) + fmax(-x, 0))",
}
"""Formulas by Keras's name, in x.  Those that look at all units at once are not among them.

The functions of tgmath.h compute them in the dtype of x, where they overflow and cancel as Keras's do.
"""


def fill_template(template: str, **values: object) -> str:
    """Return the template without its indentation, with %name replaced."""
    text = textwrap.dedent(template)
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"%{name}", str(values[name]))
    return text


def activate(name: str, argument: str) -> str:
    return argument if name == "linear" else f"{name}({argument})"


def step_function(cell: ExportCell) -> str:
    """Return the function of one time step of one sequence, which changes the states in place."""
    write_body = {"SimpleRNN": _simple_rnn, "LSTM": _lstm, "GRU": _gru}[cell.class_name]
    states = ", ".join(f"real {name}[{cell.units}]" for name in cell.states)
    return (
        f"/* One time step of {cell.class_name}. */\n"
        f"static void step{cell.suffix}(const real x[{cell.features}], {states}) {{\n"
        f"{textwrap.indent(write_body(cell), '    ')}}}\n"
    )


def _write_weighted_sum(cell: ExportCell, *, width: int, bias: str) -> str:
    """Return the loop that computes z = x W + h U + b."""
    return fill_template(
        """\
        double z[%width];
        for (int j = 0; j < %width; j++) {
            z[j] = %bias;
            for (int k = 0; k < %features; k++) z[j] += (double)x[k] * kernel%own[k][j];
            for (int k = 0; k < %units; k++) z[j] += (double)hidden[k] * recurrent_kernel%own[k][j];
        }
        """,
        width=width, bias=bias, features=cell.features, units=cell.units, own=cell.suffix,
    )  # fmt: skip


def _bias(cell: ExportCell, index: str, row: str = "") -> str:
    return f"bias{cell.suffix}{row}[{index}]" if "bias" in cell.weights else "0"


def _simple_rnn(cell: ExportCell) -> str:
    value = activate(cell.config["activation"], "z[j]")
    line = f"for (int j = 0; j < {cell.units}; j++) hidden[j] = (real){value};\n"
    return _write_weighted_sum(cell, width=cell.units, bias=_bias(cell, "j")) + line


def _lstm(cell: ExportCell) -> str:
    gate, activation = cell.config["recurrent_activation"], cell.config["activation"]
    units = cell.units
    return _write_weighted_sum(cell, width=4 * units, bias=_bias(cell, "j")) + fill_template(
        """\
        for (int j = 0; j < %units; j++) {
            const double i = %input, f = %forget;
            const double g = %candidate, o = %output;
            cell[j] = (real)(f * cell[j] + i * g);
            hidden[j] = (real)(o * %activated);
        }
        """,
        units=units, input=activate(gate, "z[j]"), forget=activate(gate, f"z[{units} + j]"),
        candidate=activate(activation, f"z[{2 * units} + j]"),
        output=activate(gate, f"z[{3 * units} + j]"), activated=activate(activation, "cell[j]"),
    )  # fmt: skip


def _gru(cell: ExportCell) -> str:
    after, units, own = cell.config["reset_after"], cell.units, cell.suffix
    first, second = ("[0]", "[1]") if after else ("", "")
    gates = _bias(cell, "j", first)
    if after and "bias" in cell.weights:
        gates += f" + {_bias(cell, 'j', second)}"
    gate, activation = cell.config["recurrent_activation"], cell.config["activation"]
    product = f"(double)hidden[k] * recurrent_kernel{own}[k][{2 * units} + j]"
    inner = (
        f"double inner = {_bias(cell, f'{2 * units} + j', second) if after else '0'};\n"
        f"    for (int k = 0; k < {units}; k++) inner += {'' if after else f'z[{units} + k] * '}{product};"
    )
    return _write_weighted_sum(cell, width=2 * units, bias=gates) + fill_template(
        """\
        real next[%units];
        for (int j = 0; j < 2 * %units; j++) z[j] = %gate; /* update, reset */
        for (int j = 0; j < %units; j++) {
            %inner
            double candidate = %bias;
            for (int k = 0; k < %features; k++) candidate += (double)x[k] * kernel%own[k][%two + j];
            candidate += %recurrent;
            candidate = %activated;
            next[j] = (real)(z[j] * hidden[j] + (1 - z[j]) * candidate);
        }
        memcpy(hidden, next, sizeof next);
        """,
        units=units, gate=activate(gate, "z[j]"), inner=inner, own=own, two=2 * units,
        bias=_bias(cell, f"{2 * units} + j", first), features=cell.features,
        recurrent=f"z[{units} + j] * inner" if after else "inner",
        activated=activate(activation, "candidate"),
    )  # fmt: skip
