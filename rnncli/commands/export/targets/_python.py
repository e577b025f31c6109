"""Scripts of Python: their frame, and the layers on the arrays of NumPy or PyTorch."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence

from rnncli.commands.export.export_case import (
    ExportCase,
    ExportCell,
    ExportLayer,
    ExportLoop,
    Named,
    functions_of,
)
from rnncli.commands.export.formulas import FORMULAS, MERGES, write_formula
from rnncli.commands.export.literals import (
    PRINTS,
    heading_of,
    input_of,
    left_out_of,
    python_text,
    title_of,
    to_python,
)
from rnncli.commands.export.targets._steps import Language, write_tuple
from rnncli.values import sizes

SHOW = '''\
def show(name, values):
    """Print the name and shape, then the numbers, one row per line."""
    print(name, *values.shape)
    for row in values.reshape(-1, values.shape[-1]):
        print(*row)
'''

DECODE = '''\
def decode(text, dtype, shape):
    """The array whose bytes are written in base64."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
'''

RUN = '''\
def run(cells, states, x, mask=None, backwards=False, zeroing=False):
    """Run cells over time, each on the previous cell's output.

    x: (batch, timesteps, features).  mask: (batch, timesteps), True for the steps to process.
    zeroing: masked steps output zeros; otherwise they repeat the previous output.
    Returns the outputs in the order of processing, (batch, timesteps, units), and the last states.
    """
    times = range(x.shape[1])
    outputs = []
    for t in reversed(times) if backwards else times:
        output, after = x[:, t], []
        for cell, state in zip(cells, states):
            after.append(cell(output, state))
            output = after[-1][0]
        if mask is not None:
            counts = mask[:, t, None]
            before = outputs[-1] if outputs and not zeroing else np.zeros_like(output)
            output = np.where(counts, output, before)
            after = [
                tuple(np.where(counts, new, old) for new, old in zip(*pair)) for pair in zip(after, states)
            ]
        outputs.append(output)
        states = after
    return np.stack(outputs, axis=1), states
'''

KEPT = """(counts.reshape(-1, *[1] * (new.ndim - 1)), new, old)"""


class LayerWriter:
    """Writes layers on the arrays of a library that names its functions as NumPy does.

    how: `in NumPy: Keras's numbers without Keras`.  imports: lines.  beginning: the first lines of the body.
    package: `np` or `torch`.  array, shown: convert an array of NumPy to the library, and back.
    named: the steps of the cells by name, see name_cells.
    """

    how: str
    imports: Sequence[str]
    package: str
    language: Language
    array = shown = "{}"
    beginning = ""

    def __init__(self, named: Named) -> None:
        self.named = named

    def cell(self, cell: ExportCell, runner: str) -> Generator[str, None, str]:
        """Yield the lines that give a cell its weights; return the cell, a function of x and its states.

        runner: the function that runs it over time.
        """
        raise NotImplementedError

    def runner(self, layer: ExportLayer, loop: ExportLoop) -> str:
        """Return the function that runs the cells of a loop over time."""
        return "run"

    def script(self, exports: Sequence[ExportCase], definitions: Iterable[str]) -> str:
        """Return the script.  definitions: what it needs beside `show`."""
        body = self.beginning + "\n\n".join("\n".join(self.body(export)) for export in exports) + "\n"
        functions = [*definitions, SHOW]
        modules = ["import math"] if any("math.erfc" in function for function in functions) else []
        if any(f"{sign}{name}" in "".join([*functions, body]) for sign in " [-(" for name in ("nan", "inf")):
            functions.append('nan, inf = float("nan"), float("inf")\n')
        if 'decode("' in body:
            modules, functions = ["import base64", *modules], [*functions, DECODE]
        first = f'"""{title_of(exports)} {self.how}.\n\n{PRINTS}\n{left_out_of(exports)}"""\n'
        head = [first, *modules, *([""] if modules else []), *self.imports]
        return "\n\n".join(["\n".join(head) + "\n", *functions, body])

    def loops(self, exports: Sequence[ExportCase], steps: Iterable[str]) -> Iterator[str]:
        """Yield the activations, the steps of cells, and the loop over time."""
        formulas, package = FORMULAS.keys() - self.language.calls.keys(), f"{self.package}."
        lacking = {"erfc": "np.vectorize(math.erfc, [x.dtype])"} if self.package == "np" else {}
        for name in functions_of(exports):
            if name in formulas:
                yield f"def {name}(x):\n    return {write_formula(name, lacking, package)}\n"
        yield from steps
        loops = ((layer, loop) for export in exports for layer in export.layers for loop in layer.loops)
        if any(self.runner(layer, loop) == "run" for layer, loop in loops):
            has_axes = any(cell.cell.text.has_axes for export in exports for cell in export.cells)
            yield (RUN.replace("(counts, new, old)", KEPT) if has_axes else RUN).replace("np.", package)

    def body(self, export: ExportCase) -> Iterator[str]:
        """Yield the lines that compute every layer, and that print what it returns."""
        yield f"# {input_of(export)}"
        yield f"x = {self.array.format(to_python(export.case.inputs))}"
        if export.case.mask is not None:
            yield "# True for the steps to process, (batch, timesteps)."
            yield f"mask{export.suffix} = {self.array.format(to_python(export.case.mask))}"
        for layer in export.layers:
            yield f"\n# {heading_of(layer)}"
            yield from self.layer(layer)
            if layer.outputs:
                yield ""
            for info, value in zip(layer.outputs, self.values(layer), strict=False):
                shown = self.shown.format(value)
                if self.language.flat and len(info.shape) > 2 and info.label.last:
                    shown += f".reshape{sizes(info.shape)}"
                yield f"show({python_text(info.name)}, {shown})"

    def values(self, layer: ExportLayer) -> Iterator[str]:
        """Yield the expression of each tensor that a layer returns, and of its states."""
        yield from ["forward", "backward"] if layer.is_unmerged else ["x"]
        for loop in layer.loops:
            for index, cell in enumerate(loop.cells):
                yield from (f"states{loop.suffix}[{index}][{part}]" for part in range(len(cell.states)))

    def layer(self, layer: ExportLayer) -> Iterator[str]:
        """Yield the lines that compute one layer: they take x and leave its output in x."""
        config, suffix, package = layer.spec.config, layer.suffix, self.package
        if layer.spec.class_name == "Masking":
            yield f"mask{suffix} = (x != {config['mask_value']!r}).any(axis=-1)"
            yield f"x = {package}.where(mask{suffix}[..., None], x, {package}.zeros_like(x))"
        if layer.spec.class_name == "Dense":
            for name, array in layer.weights.items():
                yield f"{name}{suffix} = {self.array.format(to_python(array))}"
            bias = f" + bias{suffix}" if config["use_bias"] else ""
            yield f"x = {self.language.call(config['activation'], [f'x @ kernel{suffix}{bias}'])}"
        for loop in layer.loops:
            yield from self._loop(layer, loop)
        if layer.loops:
            yield from self._merge(layer)

    def _loop(self, layer: ExportLayer, loop: ExportLoop) -> Iterator[str]:
        cells, states, end, runner = [], [], loop.suffix, self.runner(layer, loop)
        for cell in loop.cells:
            cells.append((yield from self.cell(cell, runner)))
            for name, array in cell.states.items():
                zeros = f'np.zeros({array.shape}, "{array.dtype}")'
                start = zeros if cell.starts_at(name) is None else to_python(array)
                yield f"{cell.full_name(name)} = {self.array.format(start)}"
            states.append(write_tuple(cell.full_name(name) for name in cell.states))
        options = "" if layer.mask is None else f", mask=mask{layer.mask}"
        options += ", backwards=True" if loop.backwards else ""
        options += ", zeroing=True" if loop.zeroes_masked and layer.mask is not None else ""
        yield f"cells{end} = [{', '.join(cells)}]"
        yield f"states{end} = [{', '.join(states)}]"
        yield f"outputs{end}, states{end} = {runner}(cells{end}, states{end}, x{options})"

    def _merge(self, layer: ExportLayer) -> Iterator[str]:
        """Yield the lines that set `x`, or `forward` and `backward` where the layer does not merge them."""
        last = "" if layer.sequences else "[:, -1]"
        if len(layer.loops) == 1:
            yield f"x = outputs{layer.loops[0].suffix}{last}"
            return
        first, second = (f"outputs{loop.suffix}" for loop in layer.loops)
        yield f"forward = {first}{last}"
        turned = f"{self.package}.flip({second}, (1,))  # into the order of the forward outputs"
        yield f"backward = {turned if layer.sequences else f'{second}{last}'}"
        joined = f"{self.package}.concatenate([forward, backward], axis=-1)"
        if layer.merge_mode is not None:
            yield f"x = {MERGES.get(layer.merge_mode, joined).format('forward', 'backward')}"
