"""One self-contained file of C99: the weights, one function per step, and a main that prints the outputs.

Arrays are written in the dtype of the computation; sums are computed in double, activations in that dtype.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from rnncli.case import Array
from rnncli.commands.export import comments, literals, refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop, activations_in
from rnncli.commands.export.targets._c_steps import ACTIVATIONS, activate, fill_template, step_function
from rnncli.errors import Message, Text

SUFFIX = ".c"
BINARY = False

CLIP = """\
static real clip(real x, real low, real high) { return x < low ? low : x > high ? high : x; }
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
    reason = refusals.of_loops(export, ACTIVATIONS)
    if reason is None and export.case.inputs.ndim != 3:
        return Message("it takes (batch, timesteps, features)")
    return reason


def write(exports: Sequence[ExportCase]) -> str:
    """Return the file."""
    shared = len({export.case.inputs.shape[:2] for export in exports}) == 1
    sources = [_Definitions(export, "" if shared else export.suffix) for export in exports]
    body = "\n".join(text for source in sources for text in source.texts())
    sizes = ", ".join(dict.fromkeys(source.sizes for source in sources))
    calls = "\n".join(f"    {line}" for source in sources for line in source.main)
    real, places = ("double", "17") if exports[0].dtype == "float64" else ("float", "9")
    head = (
        f"/* {comments.title_of(exports)} in C99: Keras's numbers without Keras.\n\n"
        f"   {literals.PRINTS}\n"
        "   Compile it: cc -std=c99 FILE.c -lm */\n\n"
        "#include <stdio.h>\n#include <string.h>\n#include <tgmath.h>\n\n"
        f"typedef {real} real;\n\n"
        f"enum {{ {sizes} }};\n"
    )
    main = f"int main(void) {{\n{calls}\n    return 0;\n}}\n"
    return "\n".join([head, *_activation_functions(exports), body, SHOW.replace("PLACES", places), main])


def _activation_functions(exports: Sequence[ExportCase]) -> list[str]:
    """Return the definitions of the activations, and an empty line after them."""
    known = activations_in(exports)
    used = [name for name in ACTIVATIONS if name in known and name not in ("linear", "tanh")]
    lines = [f"static real {name}(real x) {{ return {ACTIVATIONS[name]}; }}" for name in used]
    text = "\n".join(lines)
    return [f"{CLIP}{text}" if "clip(" in text else text, ""] if used else []


class _Definitions:
    """Collects the definitions of one export, and its calls in main.

    size_suffix: of BATCH and STEPS, where other exports have other sizes.
    source, width: the array that the next layer reads, and the size of its last axis.
    sequence: whether that array has every time step.
    """

    def __init__(self, export: ExportCase, size_suffix: str = "") -> None:
        self.export, self.size_suffix = export, size_suffix
        self.main: list[str] = []
        self.double = export.dtype == "float64"
        self.sequence = True

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
        yield f"/* {comments.input_of(self.export, '[BATCH][STEPS][features]')} */"
        yield self._array(f"input{start}", case.inputs)
        if case.mask is not None and any(layer.mask == start for layer in self.export.layers):
            yield "/* 1 for the steps to process. */"
            yield self._array(f"mask{start}", case.mask)
        self.source, self.width = f"input{start}", case.inputs.shape[-1]
        for layer in self.export.layers:
            yield f"/* {comments.heading_of(layer)} */\n"
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
        sizes = "".join(f"[{size}]" for size in array.shape)
        text = literals.to_c(array, "" if self.double else "f")
        return f"static {'const ' if constant else ''}{kind} {name}{sizes} = {text};\n"

    @property
    def _place(self) -> str:
        """Sizes of the axes before the last one."""
        return f"[BATCH][{self._steps}]"

    @property
    def _steps(self) -> str:
        return "STEPS" if self.sequence else "1"

    def _masking(self, layer: ExportLayer) -> str:
        value, own = layer.spec.config["mask_value"], layer.suffix
        source, self.source = self.source, f"output{own}"
        self.main.append(f"run{own}();")
        return fill_template(
            """\
            static unsigned char mask%own[BATCH][STEPS];
            static real output%own[BATCH][STEPS][%width];

            /* A step is masked if all its features equal the mask value; its features become 0. */
            static void run%own(void) {
                for (int b = 0; b < BATCH; b++)
                    for (int t = 0; t < STEPS; t++) {
                        for (int k = 0; k < %width; k++)
                            if (%source[b][t][k] != (real)%value) mask%own[b][t] = 1;
                        for (int k = 0; k < %width; k++)
                            output%own[b][t][k] = mask%own[b][t] ? %source[b][t][k] : 0;
                    }
            }
            """,
            own=own, source=source, width=self.width, value=float(value),
        )  # fmt: skip

    def _dense(self, layer: ExportLayer) -> Iterator[str]:
        config, own = layer.spec.config, layer.suffix
        source, self.source = self.source, f"output{own}"
        width, self.width = self.width, config["units"]
        for name, array in layer.weights.items():
            yield self._array(f"{name}{own}", array)
        self.main.append(f"run{own}();")
        yield fill_template(
            """\
            static real output%own%place[%units];

            static void run%own(void) {
                for (int b = 0; b < BATCH; b++)
                    for (int t = 0; t < %steps; t++)
                        for (int j = 0; j < %units; j++) {
                            double z = %bias;
                            for (int k = 0; k < %width; k++) z += (double)%source[b][t][k] * kernel%own[k][j];
                            output%own[b][t][j] = (real)%value;
                        }
            }
            """,
            own=own, source=source, width=width, units=config["units"], place=self._place,
            steps=self._steps, value=activate(config["activation"], "z"),
            bias=f"bias{own}[j]" if config["use_bias"] else "0",
        )  # fmt: skip

    def _recurrent(self, layer: ExportLayer) -> Iterator[str]:
        for loop in layer.loops:
            yield from self._loop(loop, layer)
        self.sequence = layer.sequences
        self.source = f"steps{layer.loops[0].suffix}"
        if layer.is_unmerged:
            return
        units = [loop.units for loop in layer.loops]
        self.width = sum(units) if len(units) == 2 and layer.merge_mode == "concat" else units[0]
        if len(units) == 2 or not layer.sequences:
            yield self._merge(layer)
            self.source = f"output{layer.suffix}"

    def _loop(self, loop: ExportLoop, layer: ExportLayer) -> Iterator[str]:
        own, calls, before = loop.suffix, [], f"{self.source}[b][t]"
        for cell in loop.cells:
            for name, array in cell.weights.items():
                yield self._array(f"{name}{cell.suffix}", array)
            for name, array in cell.states.items():
                if cell.has_initial_states:
                    yield self._array(f"{name}{cell.suffix}", array, constant=False)
                else:
                    yield f"static real {name}{cell.suffix}[BATCH][{cell.units}];\n"
            yield step_function(cell)
            states = ", ".join(f"{name}{cell.suffix}[b]" for name in cell.states)
            calls.append(f"step{cell.suffix}({before}, {states});")
            before = f"hidden{cell.suffix}[b]"
        self.main.append(f"run{own}();")
        yield fill_template(
            """\
            /* In the order of processing. */
            static real steps%own[BATCH][STEPS][%units];

            static void run%own(void) {
                for (int b = 0; b < BATCH; b++)
                    for (int s = 0; s < STEPS; s++) {
                        const int t = %time;
            %skipping            %calls
                        memcpy(steps%own[b][s], %before, sizeof steps%own[b][s]);
                    }
            }
            """,
            skipping="" if layer.mask is None else _skip_masked(loop, layer.mask), units=loop.units, own=own,
            time="STEPS - 1 - s" if loop.backwards else "s", before=before,
            calls=f"\n{'':12}".join(calls),
        )  # fmt: skip

    def _merge(self, layer: ExportLayer) -> str:
        first = f"steps{layer.loops[0].suffix}[b][{'s' if self.sequence else 'STEPS - 1'}][j]"
        value, comment = first, "The output of the last step."
        if len(layer.loops) == 2:
            units, comment = layer.loops[0].units, "Both directions, merged."
            place = "STEPS - 1 - s" if self.sequence else "STEPS - 1"
            second = f"steps{layer.loops[1].suffix}[b][{place}]"
            value = {
                "concat": f"j < {units} ? {first} : {second}[j - {units}]",
                "sum": f"{first} + {second}[j]",
                "mul": f"{first} * {second}[j]",
                "ave": f"({first} + {second}[j]) / 2",
            }[layer.merge_mode or ""]
        self.main.append(f"merge{layer.suffix}();")
        return fill_template(
            """\
            /* %comment */
            static real output%own%place[%width];

            static void merge%own(void) {
                for (int b = 0; b < BATCH; b++)
                    for (int s = 0; s < %steps; s++)
                        for (int j = 0; j < %width; j++)
                            output%own[b][s][j] = %value;
            }
            """,
            own=layer.suffix, place=self._place, width=self.width, steps=self._steps, value=value,
            comment=comment,
        )  # fmt: skip

    def _arrange_unmerged(self, layer: ExportLayer) -> Iterator[str]:
        """Yield the outputs of both directions, where the layer does not merge them."""
        if not layer.is_unmerged:
            return
        for loop, place in zip(layer.loops, ("s", "STEPS - 1 - s"), strict=True):
            self.main.append(f"arrange{loop.suffix}();")
            yield fill_template(
                """\
                static real output%own%place[%units];

                static void arrange%own(void) {
                    for (int b = 0; b < BATCH; b++)
                        for (int s = 0; s < %steps; s++)
                            memcpy(output%own[b][s], steps%own[b][%from], sizeof output%own[b][s]);
                }
                """,
                own=loop.suffix, place=self._place, units=loop.units, steps=self._steps,
                **{"from": place if self.sequence else "STEPS - 1"},
            )  # fmt: skip

    def _show(self, layer: ExportLayer) -> None:
        names = [f"output{loop.suffix}" for loop in layer.loops] if layer.is_unmerged else [self.source]
        names += [
            f"{name}{cell.suffix}" for loop in layer.loops for cell in loop.cells for name in cell.states
        ]
        for info, name in zip(layer.outputs, names, strict=False):
            sizes = [int(size) for size in info.shape if isinstance(size, int)]
            shape = " ".join(map(str, sizes))
            rows = int(np.prod(sizes[:-1]))
            self.main.append(
                f'show({literals.c_text(info.name)}, "{shape}", (const real *){name}, {rows}, {sizes[-1]});'
            )


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
