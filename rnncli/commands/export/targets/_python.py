"""Scripts of Python: their frame, and the layers on the arrays of NumPy or PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence

from rnncli.commands.export.export_case import (
    ExportCase,
    ExportCell,
    ExportLayer,
    ExportLoop,
    Named,
    functions_of,
)
from rnncli.commands.export.formulas import FORMULAS, write_formula
from rnncli.commands.export.literals import PRINTS, heading_of, input_of, python_text, title_of, to_python
from rnncli.commands.export.targets._steps import Language, write_tuple

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


def assemble(
    exports: Sequence[ExportCase],
    how: str,
    imports: Sequence[str],
    functions: Sequence[str],
    bodies: Iterable[Iterator[str]],
    *,
    modules: Sequence[str] = (),
    beginning: str = "",
    apart: bool = True,
) -> str:
    """Return the script.

    how: `in NumPy: Keras's numbers without Keras`.  modules: imports from the standard library.
    beginning: of the body.  apart: put an empty line between modules and imports.
    """
    body = beginning + "\n\n".join("\n".join(lines) for lines in bodies) + "\n"
    definitions = [*functions]
    if 'decode("' in body:
        modules = ["import base64", *modules]
        definitions.append(DECODE)
    if any(f"{sign}{name}" in "".join([*functions, body]) for sign in " [-(" for name in ("nan", "inf")):
        definitions.append('nan, inf = float("nan"), float("inf")\n')
    first = f'"""{title_of(exports)} {how}.\n\n{PRINTS}\n"""\n'
    head = [first, *modules, *([""] if modules and apart else []), *imports]
    return "\n\n".join(["\n".join(head) + "\n", *definitions, body])


def assign_input(export: ExportCase, array: str = "{}") -> Iterator[str]:
    """Yield the lines that set `x` and the mask.  array: makes an array from one of NumPy."""
    yield f"# {input_of(export)}"
    yield f"x = {array.format(to_python(export.case.inputs))}"
    if export.case.mask is not None:
        yield "# True for the steps to process, (batch, timesteps)."
        yield f"mask{export.suffix} = {array.format(to_python(export.case.mask))}"


class LayerWriter(ABC):
    """Writes layers on the arrays of a library, as NumPy calls its functions.

    array: makes an array from one of NumPy.  shown: makes one of NumPy.
    named: the code of each different cell, see name_cells.
    """

    library: str
    language: Language
    array = shown = "{}"

    def __init__(self, named: Named) -> None:
        self.named = named

    @abstractmethod
    def cell(self, cell: ExportCell, runner: str) -> Generator[str, None, str]:
        """Yield the lines that give a cell its weights; return the cell, a function of x and its states.

        runner: the function that runs it over time.
        """

    def runner(self, layer: ExportLayer, loop: ExportLoop) -> str:
        """Return the function that runs the cells of a loop over time."""
        return "run"

    def definitions(self, exports: Sequence[ExportCase], steps: Iterable[str]) -> list[str]:
        """Return what the script needs: activations, the steps of cells, the loop over time, and `show`."""
        formulas = FORMULAS.keys() - self.language.calls.keys()
        own = {"erfc": "np.vectorize(math.erfc, [x.dtype])"}
        activations = [
            f"def {name}(x):\n    return {write_formula(name, own, f'{self.library}.')}\n"
            for name in functions_of(exports)
            if name in formulas
        ]
        loops = {self.runner(layer, loop) for one in exports for layer in one.layers for loop in layer.loops}
        run = [RUN.replace("np.", f"{self.library}.")] if "run" in loops else []
        return [*activations, *steps, *run, SHOW]

    def body(self, export: ExportCase) -> Iterator[str]:
        """Yield the lines that compute every layer, and that print what it returns."""
        yield from assign_input(export, self.array)
        for layer in export.layers:
            yield f"\n# {heading_of(layer)}"
            yield from self._layer(layer)
            if layer.outputs:
                yield ""
            values = ["forward", "backward"] if layer.is_unmerged else ["x"]
            values += [
                f"states{loop.suffix}[{place}][{part}]"
                for loop in layer.loops
                for place, cell in enumerate(loop.cells)
                for part in range(len(cell.states))
            ]
            for info, value in zip(layer.outputs, values, strict=False):
                yield f"show({python_text(info.name)}, {self.shown.format(value)})"

    def _layer(self, layer: ExportLayer) -> Iterator[str]:
        """Yield the lines that compute one layer: they take x and leave its output in x."""
        config, own, library = layer.spec.config, layer.suffix, self.library
        if layer.spec.class_name == "Masking":
            yield f"mask{own} = (x != {config['mask_value']!r}).any(axis=-1)"
            yield f"x = {library}.where(mask{own}[..., None], x, {library}.zeros_like(x))"
        if layer.spec.class_name == "Dense":
            for name, array in layer.weights.items():
                yield f"{name}{own} = {self.array.format(to_python(array))}"
            bias = f" + bias{own}" if config["use_bias"] else ""
            yield f"x = {self.language.call(config['activation'], [f'x @ kernel{own}{bias}'])}"
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
        turned = f"{self.library}.flip({second}, (1,))  # into the order of the forward outputs"
        yield f"backward = {turned if layer.sequences else f'{second}{last}'}"
        merged = {
            "concat": f"{self.library}.concatenate([forward, backward], axis=-1)",
            "sum": "forward + backward",
            "mul": "forward * backward",
            "ave": "(forward + backward) / 2",
        }
        if layer.merge_mode is not None:
            yield f"x = {merged[layer.merge_mode]}"
