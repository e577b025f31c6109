"""Reasons why a layer cannot be exported: to any target, or to one."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace

from rnncli.cells.tree import FUNCTIONS
from rnncli.commands.export.export_case import ExportCase, equations_of, functions_of
from rnncli.compute.engines import reason_for_keras
from rnncli.errors import Message, Text, join
from rnncli.layers import LAYERS, beyond_keras, class_of
from rnncli.layers.case import Case
from rnncli.values import Spec, walk

NOT_RECURRENT = ("Dense", "Dropout", "Masking")
"""The other layers that scripts and ONNX models write out."""


def find_obstacles(case: Case, *, options_only: bool) -> Iterator[tuple[Text, Text]]:
    """Yield why no target can express the layers, as a clause, and advice.

    options_only: for a target that holds no numbers.
    """
    other = Message("Use another layer.")
    for spec in walk(case.stack):
        if reason := beyond_keras(spec):
            yield reason, other
        if spec.config.get("input_order"):
            text = "this {class_name} returns its reversed sequence in the order of the input"
            yield Message(text, class_name=spec.class_name), other
        dropout = spec.config.get("dropout") or spec.config.get("recurrent_dropout")
        if dropout and case.training and not options_only:
            what = Message("only Keras can draw the random numbers of dropout in training")
            yield what, Message("Leave out training, or dropout.")
    if not options_only and (keras := reason_for_keras(case)):
        yield keras, Message("Use {--to config}, which holds the options without numbers.")


def lacks_in_keras(stack: Iterable[Spec]) -> Text | None:
    """Return that Keras has no such layer, or None.  A cell of equations becomes a class of the script."""
    for spec in walk(stack):
        if spec.equations is None and spec.class_name in LAYERS and not class_of(spec.class_name).in_keras:
            return Message("Keras has no {layer}", layer=spec.class_name)
    return None


def of_each(refusal: Callable[[ExportCase], Text | None]) -> Callable[[Sequence[ExportCase]], Text | None]:
    """Return a function of all exports: the first reason, with the name of the layer, or None."""

    def first_refusal(exports: Sequence[ExportCase]) -> Text | None:
        for export in exports:
            if reason := refusal(export):
                return with_names(reason, [layer.name for layer in export.layers if layer.name])
        return None

    return first_refusal


def with_names(reason: Text, names: Iterable[str]) -> Text:
    """Return a reason behind the names of the layers in a saved model, if there are any."""
    title = ", ".join(names)
    return join((title, reason), ": ") if title else reason


def of_layers(export: ExportCase) -> Text | None:
    """Return which layer that is not recurrent cannot be written out, or None."""
    for spec in export.case.stack:
        if spec.class_name not in NOT_RECURRENT and not class_of(spec.class_name).recurrent:
            return Message("it has no formula for {class_name}", class_name=spec.class_name)
    return None


@of_each
def of_equations(export: ExportCase) -> Text | None:
    """Return which layer has no equations of a cell, or None."""
    for layer in export.layers:
        if not equations_of([replace(export, layers=(layer,))]):
            return Message("{class_name} has no cell", class_name=layer.spec.class_name)
    return None


def of_loops(export: ExportCase, activations: Container[str]) -> Text | None:
    """Return why a script that writes out the loops cannot express it, or None.

    activations: the activations that the script has.
    """
    specs = list(walk(export.case.stack))
    dtypes = {spec.config["dtype"] for spec in specs if spec.config.get("dtype")}
    if len(dtypes) > 1:
        return Message("it computes in one dtype, not in {dtypes}", dtypes=" and ".join(sorted(dtypes)))
    if export.dtype not in ("float32", "float64"):
        return Message("it computes in float32 or float64, not in {dtype}", dtype=export.dtype)
    if export.dtype == "float64" and any(isinstance(spec.config.get("cell"), tuple) for spec in specs):
        return Message("Keras rounds to float32 between the cells of RNN")
    unknown = [name for name in functions_of([export]) if name not in FUNCTIONS and name not in activations]
    if unknown:
        return Message("it has no formula for the activation {config}", config=unknown[0])
    return of_layers(export)
