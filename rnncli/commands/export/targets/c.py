"""One self-contained file of C99: the weights, one function per step, and a main that prints the outputs.

Arrays are written in the dtype of the computation; sums are computed in double, activations in that dtype.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod
from string import Template

from rnncli.case import Array, sizes
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import (
    ExportCase,
    ExportLayer,
    ExportLoop,
    functions_of,
)
from rnncli.commands.export.literals import PRINTS, c_text, heading_of, input_of, title_of, to_c
from rnncli.commands.export.targets._c_steps import HELPERS, write_step
from rnncli.errors import Message, Text

SUFFIX = ".c"
BINARY = False

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

SHOW = """\
/* Print the name and shape, then the numbers, one row per line. */
static void show(const char *name, const char *shape, const real *values, int rows, int units) {
    printf("%s %s\\n", name, shape);
    for (int row = 0; row < rows; row++)
        for (int j = 0; j < units; j++)
            printf("%.PLACESg%c", (double)values[row * units + j], j + 1 < units ? ' ' : '\\n');
}
"""


def refusal(exports: Sequence[ExportCase]) -> Text | None:
    """Return why a C file cannot express them, or None."""
    reason = _refusal(exports)
    if reason is None and len({export.dtype for export in exports}) > 1:
        return Message("it computes in one dtype, and the layers have float32 and float64")
    return reason


@refusals.of_each
def _refusal(export: ExportCase) -> Text | None:
    reason = refusals.of_loops(export, (*ACTIVATIONS, "softmax"), ACTIVATIONS)
    if reason is None and export.case.inputs.ndim != 3:
        return Message("it takes (batch, timesteps, features)")
    return reason


def write(exports: Sequence[ExportCase]) -> str:
    """Return the file."""
    shared = len({export.case.inputs.shape[:2] for export in exports}) == 1
    sources = [_Definitions(export, "" if shared else export.suffix) for export in exports]
    body = "\n".join(text for source in sources for text in source.texts())
    calls = "\n".join(f"    {line}" for source in sources for line in source.main)
    real, places = ("double", "17") if exports[0].dtype == "float64" else ("float", "9")
    head = (
        f"/* {title_of(exports)} in C99: Keras's numbers without Keras.\n\n"
        f"   {PRINTS}\n"
        "   Compile it: cc -std=c99 FILE.c -lm */\n\n"
        "#include <stdio.h>\n#include <string.h>\n#include <tgmath.h>\n\n"
        f"typedef {real} real;\n\n"
        f"enum {{ {', '.join(dict.fromkeys(source.sizes for source in sources))} }};\n"
    )
    known = functions_of(exports)
    used = [name for name in ACTIVATIONS if name in known and name not in ("linear", "tanh")]
    formulas = "".join(f"static real {name}(real x) {{ return {ACTIVATIONS[name]}; }}\n" for name in used)
    called = [name for name in HELPERS if re.search(rf"\b{name}\(", formulas + body)]
    functions = ["".join(HELPERS[name] for name in called) + formulas] if called or used else []
    main = f"int main(void) {{\n{calls}\n    return 0;\n}}\n"
    return "\n".join([head, *functions, body, SHOW.replace("PLACES", places), main])


class _Definitions:
    """Collects the definitions of one export, and its calls in main.

    size_suffix: of BATCH and STEPS, where other exports have other sizes.
    source, width: the array that the next layer reads, and the size of its last axis.
    steps: how many time steps that array has, STEPS or 1.
    """

    def __init__(self, export: ExportCase, size_suffix: str = "") -> None:
        self.export, self.size_suffix = export, size_suffix
        self.main: list[str] = []
        self.source, self.width = f"input{export.suffix}", export.case.inputs.shape[-1]
        self.steps = "STEPS"

    @property
    def literal_suffix(self) -> str:
        """What a constant of the type `real` ends with."""
        return "" if self.export.dtype == "float64" else "f"

    @property
    def sizes(self) -> str:
        """Constants of the batch and the time steps."""
        batch, steps, _ = self.export.case.inputs.shape
        return f"BATCH{self.size_suffix} = {batch}, STEPS{self.size_suffix} = {steps}"

    def texts(self) -> Iterator[str]:
        """Yield the arrays and functions of every layer; fills `main`."""
        for text in self._definitions():
            yield re.sub(r"\b(BATCH|STEPS)\b", rf"\1{self.size_suffix}", text) if self.size_suffix else text

    def _definitions(self) -> Iterator[str]:
        case, start = self.export.case, self.export.suffix
        yield f"/* {input_of(self.export, '[BATCH][STEPS][features]')} */"
        yield self._array(self.source, case.inputs)
        if case.mask is not None and any(layer.mask == start for layer in self.export.layers):
            yield "/* 1 for the steps to process. */"
            yield self._array(f"mask{start}", case.mask)
        for layer in self.export.layers:
            yield f"/* {heading_of(layer)} */\n"
            if layer.loops:
                yield from self._recurrent(layer)
            elif layer.spec.class_name == "Masking":
                yield self._masking(layer)
            elif layer.spec.class_name == "Dense":
                yield from self._dense(layer)
            if layer.outputs:
                yield from self._arrange_unmerged(layer)
                self._show(layer)

    def _array(self, name: str, array: Array, *, constant: bool = True) -> str:
        kind = "unsigned char" if array.dtype == bool else "real"
        axes = "".join(f"[{size}]" for size in array.shape)
        text = to_c(array, self.literal_suffix)
        return f"static {'const ' if constant else ''}{kind} {name}{axes} = {text};\n"

    def _function(self, verb: str, own: str, width: int, body: str, *, name: str = "output", step: str = "t",
                  above: str = "", comment: str = "", **values: object) -> str:  # fmt: skip
        """Return an array and the function that fills it, step by step; main will call it.

        above, comment: text before the array, and before the function.
        """
        self.main.append(f"{verb}{own}();")
        head = (
            f"{above}static real {name}{own}[BATCH][{self.steps}][{width}];\n\n"
            f"{comment}static void {verb}{own}(void) {{\n"
            "    for (int b = 0; b < BATCH; b++)\n"
            f"        for (int {step} = 0; {step} < {self.steps}; {step}++)"
        )
        return f"{head}{Template(body).substitute(values, own=own, width=width)}}}\n"

    def _masking(self, layer: ExportLayer) -> str:
        own, source, self.source = layer.suffix, self.source, f"output{layer.suffix}"
        value = float(layer.spec.config["mask_value"])
        above = f"static unsigned char mask{own}[BATCH][STEPS];\n"
        comment = "/* A step is masked if all its features equal the mask value; its features become 0. */\n"
        body = """\
 {
            for (int k = 0; k < $width; k++)
                if ($source[b][t][k] != (real)$value) mask$own[b][t] = 1;
            for (int k = 0; k < $width; k++)
                output$own[b][t][k] = mask$own[b][t] ? $source[b][t][k] : 0;
        }
"""
        return self._function(
            "run", own, self.width, body, source=source, value=value, above=above, comment=comment
        )

    def _dense(self, layer: ExportLayer) -> Iterator[str]:
        config, own = layer.spec.config, layer.suffix
        for name, array in layer.weights.items():
            yield self._array(f"{name}{own}", array)
        body = """
            for (int j = 0; j < $width; j++) {
                double z = $bias;
                for (int k = 0; k < $features; k++) z += (double)$source[b][t][k] * kernel$own[k][j];
                output$own[b][t][j] = (real)$value;
            }
"""
        yield self._function(
            "run", own, config["units"], body, source=self.source, features=self.width,
            value=_activate(config["activation"], "z"), bias=f"bias{own}[j]" if config["use_bias"] else "0",
        )  # fmt: skip
        self.source, self.width = f"output{own}", config["units"]

    def _recurrent(self, layer: ExportLayer) -> Iterator[str]:
        for loop in layer.loops:
            yield from self._loop(loop, layer)
        self.steps = "STEPS" if layer.sequences else "1"
        self.source = f"steps{layer.loops[0].suffix}"
        if layer.is_unmerged:
            return
        units = [loop.cells[-1].units for loop in layer.loops]
        self.width = sum(units) if len(units) == 2 and layer.merge_mode == "concat" else units[0]
        if len(units) == 2 or not layer.sequences:
            yield self._merge(layer, units[0])
            self.source = f"output{layer.suffix}"

    def _loop(self, loop: ExportLoop, layer: ExportLayer) -> Iterator[str]:
        own, calls, before = loop.suffix, [], f"{self.source}[b][t]"
        for cell in loop.cells:
            step = write_step(cell, self.literal_suffix)
            for name, array in cell.weights.items():
                if re.search(rf"\b{cell.full_name(name)}\b", step):
                    yield self._array(cell.full_name(name), array)
            names = [cell.full_name(name) for name in cell.states]
            for name, state in zip(names, cell.states, strict=True):
                if (start := cell.starts_at(state)) is not None:
                    yield self._array(name, start, constant=False)
                else:
                    yield f"static real {name}[BATCH][{cell.units}];\n"
            yield step
            calls.append(
                f"            step{cell.suffix}({before}, {', '.join(f'{name}[b]' for name in names)});\n"
            )
            before = f"{names[0]}[b]"
        body = """\
 {
            const int t = $time;
$skipping$calls            memcpy(steps$own[b][s], $before, sizeof steps$own[b][s]);
        }
"""
        yield self._function(
            "run", own, loop.cells[-1].units, body, name="steps", step="s",
            above="/* In the order of processing. */\n", time="STEPS - 1 - s" if loop.backwards else "s",
            skipping="" if layer.mask is None else _skip_masked(loop, layer.mask), calls="".join(calls),
            before=before,
        )  # fmt: skip

    def _merge(self, layer: ExportLayer, units: int) -> str:
        """Return the function that merges both directions, or takes the last step of the only one."""
        first = f"steps{layer.loops[0].suffix}[b][{'s' if layer.sequences else 'STEPS - 1'}][j]"
        value, comment = first, "The output of the last step."
        if len(layer.loops) == 2:
            place = "STEPS - 1 - s" if layer.sequences else "STEPS - 1"
            second = f"steps{layer.loops[1].suffix}[b][{place}]"
            comment = "Both directions, merged."
            value = {
                "concat": f"j < {units} ? {first} : {second}[j - {units}]",
                "sum": f"{first} + {second}[j]",
                "mul": f"{first} * {second}[j]",
                "ave": f"({first} + {second}[j]) / 2",
            }[layer.merge_mode or ""]
        body = """
            for (int j = 0; j < $width; j++)
                output$own[b][s][j] = $value;
"""
        own, above = layer.suffix, f"/* {comment} */\n"
        return self._function("merge", own, self.width, body, step="s", above=above, value=value)

    def _arrange_unmerged(self, layer: ExportLayer) -> Iterator[str]:
        """Yield the outputs of both directions, where the layer does not merge them."""
        body = """
            memcpy(output$own[b][s], steps$own[b][$place], sizeof output$own[b][s]);
"""
        pairs = zip(layer.loops, ("s", "STEPS - 1 - s"), strict=True) if layer.is_unmerged else ()
        for loop, place in pairs:
            place = place if layer.sequences else "STEPS - 1"
            units = loop.cells[-1].units
            yield self._function("arrange", loop.suffix, units, body, step="s", place=place)

    def _show(self, layer: ExportLayer) -> None:
        names = [f"output{loop.suffix}" for loop in layer.loops] if layer.is_unmerged else [self.source]
        cells = (cell for loop in layer.loops for cell in loop.cells)
        names += [cell.full_name(name) for cell in cells for name in cell.states]
        for info, name in zip(layer.outputs, names, strict=False):
            *rows, width = sizes(info.shape)
            shape = " ".join(map(str, (*rows, width)))
            values = f"(const real *){name}, {prod(rows)}, {width}"
            self.main.append(f'show({c_text(info.name)}, "{shape}", {values});')


def _skip_masked(loop: ExportLoop, mask: str) -> str:
    """Return the lines for a masked step: the states stay as they are."""
    if loop.zeroes_masked:
        return f"            if (!mask{mask}[b][t]) continue; /* the output is 0 */\n"
    steps = f"steps{loop.suffix}[b]"
    return (
        f"            if (!mask{mask}[b][t]) {{\n"
        f"                if (s > 0) memcpy({steps}[s], {steps}[s - 1], sizeof {steps}[s]);\n"
        "                continue;\n"
        "            }\n"
    )


def _activate(name: str, argument: str) -> str:
    return argument if name == "linear" else f"{name}({argument})"
