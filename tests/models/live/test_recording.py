"""The values of a recording: steps that make a sequence, names of uses, attributes put back."""

from collections import OrderedDict, deque
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnncli.models.live import find_framework
from rnncli.models.live.recording import LiveCall, arrange_calls, save_attributes


def step_of(state: Any, new: Any, weights: Any, path: str = "cell") -> LiveCall:
    given = None if state is None else (np.full((2, 3), float(state)),)
    array = np.full((2, 3), float(new))
    outputs = {"hidden_states": array[:, None], "last_hidden_state": array}
    inputs = np.full((2, 1, 4), float(new))
    return LiveCall(
        path, path, "GRUCell", {}, weights, inputs, outputs, None, given, final_state=(array,), is_step=True
    )


def test_steps_that_chain_are_one_sequence() -> None:
    weights = {"kernel": np.ones(3)}
    other = {"kernel": np.zeros(3)}
    calls = arrange_calls((
        step_of(None, 1, weights), step_of(None, 5, weights), step_of(1, 2, weights), step_of(5, 6, weights),
        step_of(2, 3, dict(weights)), step_of(3, 4, other), step_of(9, 8, weights),
    ))  # fmt: skip
    assert [list(call.outputs["hidden_states"][0, :, 0]) for call in calls] == [[1, 2, 3], [5, 6], [4], [8]]
    assert calls[0].inputs is not None
    assert list(calls[0].inputs[0, :, 0]) == [1, 2, 3]
    assert calls[0].initial_state is None
    assert calls[0].outputs["last_hidden_state"][0, 0] == 3


def test_names_of_uses() -> None:
    calls = [step_of(None, 1, {}, path)._replace(before="below") for path in ("a", "a", "b")]
    named = [(call.name, call.before) for call in arrange_calls(calls)]
    assert named == [("a", "below"), ("a@1", "below@1"), ("b", "below")]


def test_attributes_are_put_back() -> None:
    class Tracked(list[Any]):
        def extend(self, items: Any) -> None:
            raise AssertionError

    items, pairs, ordered = Tracked([1, 2]), {"a": [1]}, OrderedDict(a=1, b=2)
    item = SimpleNamespace(n=1, items=items, pairs=pairs, ordered=ordered, q=deque([1]), s={1}, x=np.ones(2))
    item.me = item.nested = (items, [3])
    before = dict(vars(item))
    restore = save_attributes([item], lambda value: None)
    items.append(3)
    pairs["a"].append(2)
    pairs["b"] = []
    ordered.move_to_end("a")
    item.q.append(2)
    item.s.add(2)
    item.x += 1
    item.nested[1].clear()
    item.n, item.new = 2, 3
    del item.me
    restore()
    assert list(vars(item)) == list(before)
    assert all(vars(item)[name] is value for name, value in before.items())
    assert (items, pairs, item.nested[1]) == ([1, 2], {"a": [1]}, [3])
    assert list(ordered) == ["a", "b"]
    assert (item.q, item.s, list(item.x)) == (deque([1]), {1}, [1, 1])


def test_other_values_have_no_framework() -> None:
    assert find_framework("lstm") is None
    assert find_framework({"class_name": "LSTM"}) is None
