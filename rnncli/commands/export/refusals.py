"""Reasons why a script cannot express a layer."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence

from rnncli.case import walk
from rnncli.commands.export.export_case import ExportCase, ExportLayer
from rnncli.errors import Message, Text, join
from rnncli.layers import class_of

KINDS = ("SimpleRNN", "LSTM", "GRU")
DTYPES = ("float32", "float64")
NOT_RECURRENT = ("Dense", "Dropout", "Masking")
"""The other layers that scripts and ONNX models write out."""


def of_each(refusal: Callable[[ExportCase], Text | None]) -> Callable[[Sequence[ExportCase]], Text | None]:
    """Return a function of all exports: the first reason, with the name of the layer, or None."""

    def first_refusal(exports: Sequence[ExportCase]) -> Text | None:
        for export in exports:
            if reason := refusal(export):
                names = [layer.name for layer in export.layers if layer.name]
                return join((", ".join(names), reason), ": ") if names else reason
        return None

    return first_refusal


def of_layers(export: ExportCase) -> Text | None:
    """Return which layer, among those that are not recurrent, cannot be written out, or None."""
    for spec in export.case.specs:
        if spec.class_name not in NOT_RECURRENT and not class_of(spec.class_name).recurrent:
            return Message("it has no formula for {class_name}", class_name=spec.class_name)
    return None


def of_loops(export: ExportCase, activations: Container[str]) -> Text | None:
    """Return why a script that writes out the loops cannot express it, or None.

    activations: those that it knows.
    """
    dtypes = {spec.config["dtype"] for spec in walk(export.case.specs) if spec.config.get("dtype")}
    if len(dtypes) > 1:
        return Message("it computes in one dtype, not in {dtypes}", dtypes=" and ".join(sorted(dtypes)))
    if export.dtype not in DTYPES:
        return Message("it computes in float32 or float64, not in {dtype}", dtype=export.dtype)
    if export.dtype == "float64" and any(
        isinstance(spec.config.get("cell"), tuple) for spec in walk(export.case.specs)
    ):
        return Message("Keras rounds to float32 between the cells of RNN")
    unknown = next((cell.class_name for cell in export.cells if cell.class_name not in KINDS), None)
    if unknown:
        return Message("it has no formula for {unknown}", unknown=unknown)
    for spec in walk(export.case.specs):
        for name in ("activation", "recurrent_activation"):
            if name in spec.config and spec.config[name] not in activations:
                return Message("it has no formula for the activation {config}", config=spec.config[name])
    return of_layers(export)


def dense(export: ExportCase) -> Iterator[ExportLayer]:
    """Return the Dense layers."""
    return (layer for layer in export.layers if layer.spec.class_name == "Dense")
