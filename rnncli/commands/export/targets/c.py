"""One self-contained file of C99: the weights, one function per step, and a main that prints the outputs.

Arrays are written in the dtype of the computation; sums are computed in double, activations in that dtype.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import prod

from rnncli.cells.text import BIASES
from rnncli.cells.tree import Operation
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop, functions_of
from rnncli.commands.export.formulas import FORMULAS, MERGES, functions_in_formula, write_formula
from rnncli.commands.export.literals import PRINTS, c_text, heading_of, input_of, left_out_of, title_of, to_c
from rnncli.commands.export.targets._c_steps import OPERATORS, write_helpers, write_step
from rnncli.errors import Message, Text
from rnncli.values import Array, sizes

SUFFIX = ".c"
BINARY = False

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
    two = Message("it computes in one dtype, and the layers have float32 and float64")
    return _refusal(exports) or (two if len({export.dtype for export in exports}) > 1 else None)


@refusals.of_each
def _refusal(export: ExportCase) -> Text | None:
    wanted = Message("it takes (batch, timesteps, features)")
    reason = refusals.of_loops(export, (*FORMULAS, "softmax"))
    return reason or (wanted if export.case.inputs.ndim != 3 else None)


def write(exports: Sequence[ExportCase]) -> str:
    """Return the file."""
    shared = len({export.case.inputs.shape[:2] for export in exports}) == 1
    programs = [_CProgram(export, "" if shared else export.suffix) for export in exports]
    real, places = ("double", "17") if exports[0].dtype == "float64" else ("float", "9")
    head = (
        f"/* {title_of(exports)} in C99: Keras's numbers without Keras.\n\n"
        f"   {PRINTS}\n{left_out_of(exports, '   ')}"
        "   Compile it: cc -std=c99 FILE.c -lm */\n\n"
        "#include <stdio.h>\n#include <string.h>\n#include <tgmath.h>\n\n"
        f"typedef {real} real;\n\n"
        f"enum {{ {', '.join(dict.fromkeys(program.sizes for program in programs))} }};\n"
    )
    used = [name for name in functions_of(exports) if name in FORMULAS and name not in ("linear", "tanh")]
    formulas = "".join(
        f"static real {name}(real x) {{ return {write_formula(name, {'abs': 'fabs'})}; }}\n" for name in used
    )
    body = "\n".join(text for program in programs for text in program.definitions)
    calls = "\n".join(line for program in programs for line in program.main)
    main = f"int main(void) {{\n{textwrap.indent(calls, '    ')}\n    return 0;\n}}\n"
    called = set(functions_of(exports))
    called.update(*(functions_in_formula(name) for name in called & FORMULAS.keys()))
    if any(layer.spec.class_name == "Dense" for export in exports for layer in export.layers):
        called.add("dot")
    nodes = (node for export in exports for cell in export.cells for node in cell.nodes)
    symbols = {node.symbol if isinstance(node, Operation) else type(node) for node in nodes}
    called |= {function for symbol, function in OPERATORS.items() if symbol in symbols}
    helpers = write_helpers(called)
    functions = [helpers + formulas] if helpers or formulas else []
    return "\n".join([head, *functions, body, SHOW.replace("PLACES", places), main])


class _CProgram:
    """Collects the arrays and functions of one export, and the statements of main.

    sizes: the constants of the batch and the time steps.
    source, width: the array that the next layer reads, and the size of its last axis.
    rows: how many time steps that array has, STEPS or 1.
    """

    def __init__(self, export: ExportCase, size_suffix: str) -> None:
        case, start = export.case, export.suffix
        batch, steps, self.width = case.inputs.shape
        self.batch, self.steps = f"BATCH{size_suffix}", f"STEPS{size_suffix}"
        self.sizes = f"{self.batch} = {batch}, {self.steps} = {steps}"
        self.literal_suffix = "" if export.dtype == "float64" else "f"
        self.source, self.rows = f"input{start}", self.steps
        self.main: list[str] = []
        self.definitions = [f"/* {input_of(export, '[BATCH][STEPS][features]')} */"]
        self._define(self.source, case.inputs)
        if case.mask is not None and any(layer.mask == start for layer in export.layers):
            self.definitions.append("/* 1 for the steps to process. */")
            self._define(f"mask{start}", case.mask)
        for layer in export.layers:
            self._layer(layer)

    def _define(self, name: str, array: Array, *, constant: bool = True) -> None:
        kind = "unsigned char" if array.dtype == bool else "real"
        axes = "".join(f"[{size}]" for size in array.shape)
        text = to_c(array, self.literal_suffix)
        self.definitions.append(f"static {'const ' if constant else ''}{kind} {name}{axes} = {text};\n")

    def _output(self, suffix: str, width: int) -> str:
        """Define the array that a layer or one direction fills; return its name."""
        self.definitions.append(f"static real output{suffix}[{self.batch}][{self.rows}][{width}];\n")
        return f"output{suffix}"

    def _each(self, statements: Sequence[str], step: str = "t", rows: str = "") -> None:
        """Add statements of main for each sequence, b, and each time step.  rows: their number."""
        head = f"for (int {step} = 0; {step} < {rows or self.rows}; {step}++) {{"
        inner = textwrap.indent("\n".join(statements), " " * 8)
        self.main += [f"for (int b = 0; b < {self.batch}; b++)", f"    {head}", inner, "    }"]

    def _layer(self, layer: ExportLayer) -> None:
        self.definitions.append(f"/* {heading_of(layer)} */\n")
        self.main.append(f"/* {heading_of(layer)} */")
        if layer.loops:
            self.rows = self.steps if layer.sequences else "1"
            turned = [False, True][: len(layer.loops)]
            outputs = [self._loop(layer, *pair) for pair in zip(layer.loops, turned, strict=True)]
            self.source, self.width = outputs[0], layer.loops[0].cells[-1].units
            if len(outputs) == 2 and not layer.is_unmerged:
                self._merge(layer, *outputs)
        elif layer.spec.class_name == "Masking":
            self._masking(layer)
        elif layer.spec.class_name == "Dense":
            self._dense(layer)
        names = [f"output{loop.suffix}" for loop in layer.loops] if layer.is_unmerged else [self.source]
        cells = (cell for loop in layer.loops for cell in loop.cells)
        names += [cell.full_name(name) for cell in cells for name in cell.states]
        for info, name in zip(layer.outputs, names, strict=False):
            *rows, width = sizes(info.shape)
            shape = " ".join(map(str, (*rows, width)))
            values = f"(const real *){name}, {prod(rows)}, {width}"
            self.main.append(f'show({c_text(info.name)}, "{shape}", {values});')

    def _masking(self, layer: ExportLayer) -> None:
        """A step is masked if all its features equal the mask value; its features become 0."""
        suffix, source, value = layer.suffix, self.source, float(layer.spec.config["mask_value"])
        self.definitions.append(f"static unsigned char mask{suffix}[{self.batch}][{self.steps}];\n")
        self.source = self._output(suffix, self.width)
        each = f"for (int k = 0; k < {self.width}; k++)"
        self._each([
            f"{each} if ({source}[b][t][k] != (real){value}) mask{suffix}[b][t] = 1;",
            f"{each} {self.source}[b][t][k] = mask{suffix}[b][t] ? {source}[b][t][k] : 0;",
        ])  # fmt: skip

    def _dense(self, layer: ExportLayer) -> None:
        config, suffix, width = layer.spec.config, layer.suffix, layer.spec.config["units"]
        for name, array in layer.weights.items():
            self._define(f"{name}{suffix}", array)
        bias = f"bias{suffix}[j] + " if config["use_bias"] else ""
        value, name = f"{bias}dot({self.source}[b][t], &kernel{suffix}[0][j], {self.width}, {width})", ""
        self.source, self.width = self._output(suffix, width), width
        if config["activation"] not in ("linear", "softmax"):
            value = f"{config['activation']}({value})"
        statements = [f"for (int j = 0; j < {width}; j++)\n    {self.source}[b][t][j] = {value};"]
        if config["activation"] == "softmax":
            statements.append(f"softmax({self.source}[b][t], {width});")
        self._each(statements)

    def _loop(self, layer: ExportLayer, loop: ExportLoop, turned: bool) -> str:
        """Add one direction; return its array.  turned: whether into the order of the forward direction."""
        index, previous = (f"{self.steps} - 1 - s", f"{self.steps} - s") if turned else ("s", "s - 1")
        statements = [f"const int t = {f'{self.steps} - 1 - s' if loop.backwards else 's'};"]
        output, before = f"output{loop.suffix}", f"{self.source}[b][t]"
        row = f"{output}[b][{index if layer.sequences else 0}]"
        if layer.mask is not None:
            alone = layer.sequences and layer.input_shape[1] == 1  # no output before it to repeat
            if layer.sequences == loop.zeroes_masked or alone:
                kept = f"continue; /* the output {'is 0' if loop.zeroes_masked or alone else 'stays'} */"
            elif loop.zeroes_masked:
                kept = f"{{\n    memset({row}, 0, sizeof {row});\n    continue;\n}}"
            else:
                again = f"if (s > 0) memcpy({row}, {output}[b][{previous}], sizeof {row});"
                kept = f"{{\n    {again}\n    continue;\n}}"
            statements.append(f"if (!mask{layer.mask}[b][t]) {kept}")
        for cell in loop.cells:
            step = write_step(cell, self.literal_suffix)
            read = {"bias" if name in BIASES else name for name in cell.read}
            for name, array in cell.weights.items():
                if name in read:
                    self._define(cell.full_name(name), array)
            names = [cell.full_name(name) for name in cell.states]
            for name, state in zip(names, cell.states, strict=True):
                if (start := cell.starts_at(state)) is not None:
                    self._define(name, start.reshape(len(start), -1), constant=False)
                else:
                    count = prod(cell.shape(state))
                    self.definitions.append(f"static real {name}[{self.batch}][{count}];\n")
            self.definitions.append(step)
            statements.append(f"step{cell.suffix}({before}, {', '.join(f'{name}[b]' for name in names)});")
            before = f"{names[0]}[b]"
        self._output(loop.suffix, loop.cells[-1].units)
        self._each([*statements, f"memcpy({row}, {before}, sizeof {before});"], "s", self.steps)
        return output

    def _merge(self, layer: ExportLayer, forward: str, backward: str) -> None:
        units, parts = self.width, [f"{forward}[b][t][j]", f"{backward}[b][t][j]"]
        value = f"j < {units} ? {parts[0]} : {backward}[b][t][j - {units}]"
        if layer.merge_mode == "concat":
            self.width += layer.loops[1].cells[-1].units
        value = MERGES.get(layer.merge_mode or "", value).format(*parts)
        self.source = self._output(layer.suffix, self.width)
        self._each([f"for (int j = 0; j < {self.width}; j++)\n    {self.source}[b][t][j] = {value};"])
