"""Names of the layers and of their input in the comments of scripts.

Every function returns text that neither Python nor C can read as code.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.commands.export.export_case import ExportCase, ExportLayer, without_initializers
from rnncli.specs import describe


def as_comment(text: str) -> str:
    """Return printable ASCII that ends no comment of C, no line and no docstring, and begins no trigraph."""
    escaped = text.encode("unicode_escape").decode().replace('"', '\\"')
    return escaped.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


def title_of(exports: Sequence[ExportCase]) -> str:
    """Return the layers as a Keras script would write them; of a saved model, their names."""
    names = [layer.name for export in exports for layer in export.layers if layer.name]
    specs = (spec for export in exports for spec in export.case.specs)
    return as_comment(", ".join(names or (describe(without_initializers(spec)) for spec in specs)))


def heading_of(layer: ExportLayer) -> str:
    """Return the layer with its name in a saved model, or its number in a stack."""
    number = f"Layer {layer.suffix[1:]}: " if layer.suffix else ""
    place = f"{layer.name}: " if layer.name else number
    return as_comment(f"{place}{describe(without_initializers(layer.spec))}")


def input_of(export: ExportCase, axes: str = "(batch, timesteps, features)") -> str:
    """Return a sentence about the input: its layer in a saved model, and its axes."""
    name = export.layers[0].name
    return as_comment(f"The input{f' of {name}' if name else ''}, {axes}.")
