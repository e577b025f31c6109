"""Lines of a Python script that join the outputs of a layer's directions."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.export.export_case import ExportLayer


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


def list_outputs(layer: ExportLayer) -> list[str]:
    """Return the variables that `merge_lines` sets."""
    return ["forward", "backward"] if layer.is_unmerged else ["x"]
