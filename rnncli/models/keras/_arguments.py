"""The arguments of the layers in a graph: arrays, and their masks, as in Keras's `Layer.__call__`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.errors import InputError, Message
from rnncli.models import operations
from rnncli.models.graph import PLACED_MASK, Graph, Node, Ref
from rnncli.models.keras._graph import iterate_refs
from rnncli.models.operations import KERAS_2, TODAY, OperationCall, UnknownLayerError, dtype_of
from rnncli.models.trees import map_leaves


class Value(NamedTuple):
    """The output of a node, each tensor with the mask that it carries."""

    tensors: tuple[Any, ...]
    masks: tuple[Any, ...]


class Arguments:
    """Resolves the arguments of nodes.

    values: the outputs of the nodes so far.
    rules: about masks, as in `OperationCall`.
    differs_today: whether today's Keras may have passed on another mask to any of the nodes.
    """

    def __init__(self, graph: Graph, values: Mapping[str, Value], rules: str) -> None:
        self.graph, self.values, self.rules = graph, values, rules
        self.differs_today = False

    def call(self, node: Node) -> OperationCall:
        """Return the arguments as Keras's `__call__` passes them on; see `_masks`."""
        try:
            args = self._resolve_refs(node.args)
            kwargs = {name: self._resolve_refs(arg) for name, arg in node.kwargs.items()}
            mask, previous = self._masks(node)
        except IndexError:
            raise InputError(
                "the layer {name} ({class_name}) takes an output that no layer has.",
                "Save the model again with model.save('model.keras').",
                name=node.name,
                class_name=node.class_name,
            ) from None
        if self.rules != TODAY and isinstance(previous, list) and any(one is not None for one in previous):
            self.differs_today = True
        kwargs = {name: arg for name, arg in kwargs.items() if name not in ("mask", PLACED_MASK)}
        dtype = dtype_of(node.config.get("dtype")) or ""
        plain = operations.is_operation(node.module)
        cast = (lambda arg: arg) if plain else (lambda arg: _autocast(arg, dtype))
        if not args:
            raise UnknownLayerError(
                node.name,
                Message(
                    "the layer {name} ({class_name}) has no inputs.",
                    name=node.name,
                    class_name=node.class_name,
                ),
            )
        return OperationCall(
            config=node.config,
            weights=node.weights,
            inputs=map_leaves(cast, args[0]),
            mask=mask,
            previous=previous,
            args=tuple(map_leaves(cast, arg) for arg in args[1:]),
            kwargs=kwargs,
            rules=self.rules,
            class_name=node.class_name,
            layer=node.name,
        )

    def _masks(self, node: Node) -> tuple[Any, Any]:
        """Return the mask for the layer's own call, and the mask for its compute_mask.

        An explicit mask wins; one that is passed by position does not for compute_mask.  Otherwise Keras 3
        passes the mask of the first argument on to layers that get no other tensor, such as a state, and
        Keras 2 to all layers.
        """
        given = node.kwargs.get("mask")
        if given is not None:
            explicit = self._resolve_refs(given)
            return explicit, explicit
        first = map_leaves(self._mask, node.args[0]) if node.args else None
        first = list(first) if isinstance(first, tuple) else first
        if node.kwargs.get(PLACED_MASK) is not None:
            return self._resolve_refs(node.kwargs[PLACED_MASK]), first
        arguments = [arg for arg in (*node.args, *node.kwargs.values()) if any(iterate_refs(arg))]
        if self.rules == KERAS_2 and isinstance(first, list) and all(mask is None for mask in first):
            first = None
        alone = len(arguments) == 1 or self.rules == KERAS_2
        if len(arguments) > 1 and first is not None and self.rules == KERAS_2:
            self.differs_today = True
        return first if alone else None, first

    def _mask(self, arg: Any) -> Any:
        return self.values[arg.node].masks[arg.tensor] if isinstance(arg, Ref) else None

    def _resolve_refs(self, arg: Any) -> Any:
        """Replace Refs by arrays."""
        return map_leaves(
            lambda one: self.values[one.node].tensors[one.tensor] if isinstance(one, Ref) else one, arg
        )


def _autocast(arg: Any, dtype: str) -> Any:
    """Convert floats to the layer's dtype; integers stay, as in Keras."""
    return arg.astype(dtype) if dtype and getattr(getattr(arg, "dtype", None), "kind", "") == "f" else arg
