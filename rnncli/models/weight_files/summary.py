"""The layers of a file without a graph: recurrent ones with their shapes, others as the weights they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace

from rnncli.models.graph import Module, Modules
from rnncli.models.summary import (
    LayerRow,
    ModuleRow,
    Summary,
    TensorRow,
    WeightCounter,
    class_text,
    features_of,
    known_spec,
    pytorch_returns,
    recurrent_outputs,
)
from rnncli.models.weight_files.assumptions import assumptions, is_batch_first
from rnncli.values import Shape

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""PyTorch's names of arrays in a state dict that are no parameters."""


def summarize(contents: Modules, sizes: Mapping[str, Shape]) -> Summary:
    """Return the recurrent layers, then what else the file has, by the paths of its tensors.

    sizes: the shape of the input, if it is given.
    """
    given = next(iter(sizes.values()), ("batch", "timesteps", None))
    counter, rows, inputs = WeightCounter(), list[LayerRow](), dict[str, TensorRow]()
    for module in contents.modules:
        shape: Shape = (*given[:2], features_of(module.nodes[0])) if module.nodes else given
        dtype = str(module.nodes[0].core_config.get("dtype", "")) if module.nodes else ""
        inputs.setdefault(f"{shape}", TensorRow("input", shape, dtype))
        rows += _rows(module, shape, counter)
    rows += _others(contents, counter)
    assumed = assumptions(contents)
    notes = (*contents.notes, *([assumed] if assumed else ()))
    modules = tuple(_pytorch_modules(contents, given))
    given_rows = tuple(inputs.values())
    return Summary(contents.file, contents.origin, given_rows, tuple(rows), None, notes, modules=modules)


def _pytorch_modules(contents: Modules, given: Shape) -> Iterator[ModuleRow]:
    """given: the shape of the input, batch first.  A cell, whose weights have no `_l0`, returns one step."""
    batch_first = is_batch_first(contents)
    first = given[:2] if batch_first else given[1::-1]
    for module in contents.modules:
        if module.is_cell or module.refusal or not module.tensors:
            continue
        node = module.nodes[0]
        directions = 2 if node.class_name == "Bidirectional" else 1
        units = node.core_config["units"]
        returns = pytorch_returns(
            node.core_class, first, units, len(module.nodes), directions, batch_first=batch_first
        )
        yield ModuleRow(module.name, returns)


def _rows(module: Module, shape: Shape, counter: WeightCounter) -> Iterator[LayerRow]:
    source = "input"
    for index, node in enumerate(module.nodes):
        spec = None if module.refusal else known_spec(node)
        outputs: tuple[TensorRow, ...] = (TensorRow(f"{node.name}/output", None),)
        if spec is not None:
            outputs = recurrent_outputs(spec, node.name, shape)
        stored = module.tensors[index] if module.tensors else node.weights
        yield LayerRow(
            name=node.name,
            class_name=class_text(node.class_name, node.config),
            inputs=(source,),
            outputs=outputs,
            weights=counter.rows(stored.items(), None if module.tensors else node.parameters),
            recurrent=True,
            spec=spec,
            input_shape=shape,
            note=module.reason,
        )
        source, shape = node.name, outputs[0].shape or (*shape[:2], None)


def _others(contents: Modules, counter: WeightCounter) -> Iterator[LayerRow]:
    layers: dict[str, dict[str, SimpleNamespace]] = {}
    for name, shape in contents.other_shapes.items():
        path = name.replace("/", ".").rpartition(".")[0]
        leaf = name[len(path) + 1 :] if path else name
        layers.setdefault(name[: len(path)], {})[leaf] = SimpleNamespace(shape=shape)
    refusals = {module.name: module.reason for module in contents.modules if not module.nodes}
    for name, arrays in layers.items():
        weights = counter.rows(arrays.items(), frozen=BUFFERS)
        if contents.origin == "PyTorch":
            weights = tuple(row._replace(parameters=0) if row.name in BUFFERS else row for row in weights)
        yield LayerRow(name, "", None, (), weights, note=refusals.get(name, ""))
