"""Convert layer descriptions of any form to checked Specs, and Specs back to text.

`from_flags` takes what the command line, Python and documents give.  `expressions.py` parses a script's text,
`arguments.py` checks arguments, `build.py` makes one layer, and `text.py` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnncli import layers
from rnncli.case import Spec
from rnncli.errors import LayerError, UsageError
from rnncli.specs.build import (
    WRAPPER_FLAGS,
    build,
    build_by_name,
    format_flag,
    inner_class,
    is_name,
    is_recurrent,
    iterate_layers,
    layers_with,
    options_of,
)
from rnncli.specs.expressions import CallExpression, Name
from rnncli.specs.text import (
    configs_of,
    describe,
    expression_of,
    expressions_of,
    layer_of,
    to_config,
    to_script,
)

__all__ = [
    "build",
    "configs_of",
    "describe",
    "expression_of",
    "expressions_of",
    "from_flags",
    "layer_of",
    "to_config",
    "to_script",
]

UNITS = 3


def from_flags(
    texts: Sequence[Any], flags: Mapping[str, Any], document_layer: Any = None, *, all_layers: bool = False
) -> tuple[Spec, ...]:
    """Return the requested layers, first to last.

    texts: the values of --layer: names, expressions or configs.
    flags: the given flags by Keras's option names, including `bidirectional` and `merge_mode`.
    document_layer: the layer of a case document, used if `texts` is empty.  Flags override it.
    all_layers: whether every layer is shown: return_state is then for each, not only for the last.
    Raises LayerError or UsageError if the layers and the flags are invalid or do not fit together.
    """
    flags = {name: value for name, value in flags.items() if value is not None}
    lower = {name: value for name, value in flags.items() if name != "return_state" or all_layers}
    from_document = not texts and document_layer is not None
    try:
        sources = [document_layer] if from_document else texts or ["lstm"]
        items = [(item, is_name(item)) for source in sources for item in iterate_layers(source)]
        if not items:
            raise LayerError("the list of layers is empty.", "Write at least one, such as LSTM(3).")
        if flags.get("bidirectional") is False and not from_document:
            _refuse_opposites([item for item, by_name in items if by_name])
        stack: list[Spec] = []
        for item, by_name in reversed(items):
            own = lower if stack else flags
            if isinstance(item, Name):
                item = _by_file(item, own, stack)
            stack.insert(
                0, _by_name(item, own, stack) if by_name else build(item, own, flags_win=from_document)
            )
            _refuse_a_cell(stack[0])
    except RecursionError:
        raise LayerError(
            "the layer is nested too deeply.",
            "Write a stack as a list of layers: [LSTM(3, return_sequences=True), GRU(2)]",
        ) from None
    if flags.keys() != lower.keys() and not is_recurrent(stack[-1].class_name):
        raise UsageError(
            "{flag} is for the last layer, and {class_name} has no state.",
            "Write it into a layer: -l 'LSTM(3, return_state=True)'",
            flag=format_flag("return_state", flags["return_state"]),
            class_name=stack[-1].class_name,
        )
    pairs = zip(stack, items, strict=True)
    _refuse_idle(
        flags, stack, [spec for spec, (_, by_name) in pairs if by_name or is_recurrent(spec.class_name)]
    )
    return tuple(stack)


def _by_name(name: str, flags: Mapping[str, Any], above: Sequence[Spec]) -> Spec:
    """Return the Spec of a named layer; it returns its sequence if a layer `above` it needs one."""
    sequence = any(layers.class_of(spec.class_name).takes_sequence for spec in above)
    return build_by_name(name, {"units": UNITS, **({"return_sequences": True} if sequence else {}), **flags})


def _by_file(name: Name, flags: Mapping[str, Any], above: Sequence[Spec]) -> CallExpression:
    """Return the call of a cell that is named by its file alone, as a layer with the defaults of a name."""
    sequence = any(layers.class_of(spec.class_name).takes_sequence for spec in above)
    given = {"units": flags.get("units", UNITS), **({"return_sequences": True} if sequence else {})}
    return CallExpression(name.name, (), given, name.span, {}, name.equations)


def _refuse_a_cell(spec: Spec) -> None:
    if spec.class_name.endswith("Cell"):
        raise LayerError(
            "{class_name} is a cell (one step of a layer), not a layer.",
            "Wrap it: RNN({spec})",
            class_name=spec.class_name,
            spec=describe(spec),
        )


def _refuse_idle(flags: Mapping[str, Any], stack: Sequence[Spec], taking: Sequence[Spec]) -> None:
    """Raise UsageError if a flag applies to no layer, because it would be ignored silently.

    taking: the layers that the flags apply to.
    """
    both = any(spec.class_name == "Bidirectional" for spec in stack)
    if flags.get("merge_mode") is not None and not both:
        raise UsageError(
            "{--merge-mode} needs a bidirectional layer.", "Add {--bidirectional:on}, or name bilstm."
        )
    classes = _class_names(stack)
    if flags.get("bidirectional") and not both:
        raise UsageError(
            "{--bidirectional}: {classes} are not recurrent."
            if ", " in classes
            else "{--bidirectional}: {classes} is not recurrent.",
            "Name a recurrent layer: -l lstm",
            classes=classes,
        )
    for name, value in flags.items():
        having = list(_parts(stack if name == "dtype" else taking))
        if name in WRAPPER_FLAGS or any(name in spec.config for spec in having):
            continue
        others = _class_names([spec for spec in stack if name in spec.config])
        if others:  # only Dense shares options with recurrent layers
            raise UsageError(
                "{flag} applies to recurrent layers, but {others} is not recurrent.",
                "Write the option into the expression, such as Dense(3, activation='relu').",
                flag=format_flag(name, value),
                others=others,
            )
        if cell := next((spec for spec in having if spec.equations is not None), None):
            raise UsageError(
                "{flag} does not apply to {owners}.",
                "The options of {owners} are {options}.",
                flag=format_flag(name, value),
                owners=cell.class_name,
                options=", ".join(options_of("", cell.equations)),
            )
        owners = _class_names(having or stack)
        raise UsageError(
            "{flag} does not apply to {owners}.",
            "It applies to {layers}.",
            flag=format_flag(name, value),
            owners=owners,
            layers=", ".join(layers_with(name)),
        )


def _class_names(stack: Sequence[Spec]) -> str:
    return ", ".join(dict.fromkeys(spec.class_name for spec in stack))


def _parts(stack: Sequence[Spec]) -> Iterator[Spec]:
    """Yield the layers themselves; for a Bidirectional, the layers inside it; and cells of one's own."""
    for spec in stack:
        if spec.class_name == "Bidirectional":
            yield from _parts(
                [part for part in (spec.config["layer"], spec.config["backward_layer"]) if part]
            )
            continue
        yield spec
        if isinstance(cell := spec.config.get("cell"), Spec) and cell.equations is not None:
            yield cell


def _refuse_opposites(names: Sequence[str]) -> None:
    for name in names:
        if inner := inner_class(name):
            raise UsageError(
                "{--no-bidirectional}: {name} is bidirectional by its name.",
                "Use {--layer:inner}.",
                name=name,
                inner=inner,
            )
