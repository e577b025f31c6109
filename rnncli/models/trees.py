"""Walk through nested lists and mappings, such as the configs of layers and the arguments of their calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def leaves(tree: Any) -> Iterator[Any]:
    """Yield everything that is not a list, a tuple or a mapping; the values of a mapping by sorted keys."""
    if isinstance(tree, Mapping):
        tree = [tree[key] for key in sorted(tree)]
    if not isinstance(tree, (list, tuple)):
        yield tree
        return
    for item in tree:
        yield from leaves(item)


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the same lists, tuples and mappings with `function` applied to each of the `leaves`."""
    if isinstance(tree, Mapping):
        return {key: map_leaves(function, item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_leaves(function, item) for item in tree)
    return function(tree)


def mappings(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping, each before those inside it."""
    if isinstance(tree, Mapping):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for item in tree:
            yield from mappings(item)
