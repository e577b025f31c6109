"""Nested lists and mappings."""

from __future__ import annotations

from rnncli.models.graph import leaves, map_leaves, mappings

TREE = {"b": [1, (2, None)], "a": {"c": "x", "d": []}}


def test_leaves_of_mappings_are_sorted_by_key() -> None:
    assert list(leaves(TREE)) == ["x", 1, 2, None]
    assert list(leaves(3)) == [3]


def test_map_leaves_keeps_lists_tuples_and_the_order_of_keys() -> None:
    mapped = map_leaves(repr, TREE)
    assert mapped == {"b": ["1", ("2", "None")], "a": {"c": "'x'", "d": []}}
    assert list(mapped) == ["b", "a"]


def test_mappings_begin_with_the_outermost() -> None:
    assert list(mappings([TREE, "x"])) == [TREE, TREE["a"]]
