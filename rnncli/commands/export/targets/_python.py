"""What the scripts of Python have in common: their frame, their input, what they print, joined directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rnncli.commands.export.export_case import ExportCase, ExportCell, ExportLayer, ExportLoop
from rnncli.commands.export.literals import PRINTS, heading_of, input_of, python_text, title_of, to_python

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


def assign_input(export: ExportCase) -> Iterator[str]:
    """Yield the lines that set `x` and the mask."""
    yield f"# {input_of(export)}"
    yield f"x = {to_python(export.case.inputs)}"
    if export.case.mask is not None:
        yield "# True for the steps to process, (batch, timesteps)."
        yield f"mask{export.suffix} = {to_python(export.case.mask)}"


def write_layers(
    export: ExportCase,
    write_layer: Callable[[ExportLayer], Iterator[str]],
    state: Callable[[ExportLoop, int, int], str],
    ending: str = "",
) -> Iterator[str]:
    """Yield the lines that compute every layer, and that print what it returns.

    state: expression for a part of a loop's last state, by the indices of the cell and of the part.
    ending: of every expression that is printed, `.numpy()`.
    """
    for layer in export.layers:
        yield f"\n# {heading_of(layer)}"
        yield from write_layer(layer)
        if layer.outputs:
            yield ""
        values = ["forward", "backward"] if layer.is_unmerged else ["x"]
        values += [
            state(loop, place, part)
            for loop in layer.loops
            for place, cell in enumerate(loop.cells)
            for part in range(len(cell.states))
        ]
        for info, value in zip(layer.outputs, values, strict=False):
            yield f"show({python_text(info.name)}, {value}{ending})"


def assign_weights(owner: ExportCell | ExportLayer, write: Callable[[str], str] = str) -> Iterator[str]:
    """Yield the lines that set the weights under their names.  write: wraps the expression of an array."""
    for name, array in owner.weights.items():
        name = owner.global_name(name) if isinstance(owner, ExportCell) else name
        yield f"{name}{owner.suffix} = {write(to_python(array))}"


def merge_lines(layer: ExportLayer, reversal: str, concatenation: str) -> Iterator[str]:
    """Yield the lines that set `x`, or `forward` and `backward` where the layer does not merge them.

    reversal: text behind a variable that reverses its time steps, `.flip(1)`.
    concatenation: expression that joins `forward` and `backward` along the units.
    """
    last = "" if layer.sequences else "[:, -1]"
    if len(layer.loops) == 1:
        yield f"x = outputs{layer.loops[0].suffix}{last}"
        return
    first, second = (f"outputs{loop.suffix}" for loop in layer.loops)
    yield f"forward = {first}{last}"
    yield f"backward = {second}{reversal if layer.sequences else last}"
    merged = {
        "concat": concatenation,
        "sum": "forward + backward",
        "mul": "forward * backward",
        "ave": "(forward + backward) / 2",
    }
    if layer.merge_mode is not None:
        yield f"x = {merged[layer.merge_mode]}"
