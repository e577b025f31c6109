"""Gradients against central differences in float64, and the rule against curves made by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnncli import compute, layers, specs
from rnncli.addresses import parse_label
from rnncli.commands.gradients import curves
from rnncli.commands.gradients.answer import write_verdict
from rnncli.commands.gradients.curves import Verdict, classify_curve, target_of
from rnncli.commands.shape import outline
from rnncli.layers.case import Case
from rnncli.layers.layer import within
from rnncli.layers.stack import Stack
from rnncli.result import Label, TensorInfo
from rnncli.show.page import View
from rnncli.values import sizes

STEP = 1e-5


def random_case(
    seed: int, *expressions: str, shape: Any = (2, 5, 3), masked: bool = False, states: bool = False
) -> Case:
    """Random inputs and weights, so that a mistake in a gate's order or a direction shows."""
    rng = np.random.default_rng(seed)
    built: Any = specs.from_flags([text.replace(")", ", dtype='float64')") for text in expressions], {})
    case = Case(built, inputs=rng.standard_normal(shape))
    layers: Any = outline(built, shape).layers
    return case._replace(
        mask=rng.random(shape[:2]) < 0.6 if masked else None,
        initial_state=tuple(
            rng.standard_normal(sizes(info.shape)) for info in Stack(built).states(shape)
        ) if states else None,
        weights={
            f"{layer.path}/{name}".lstrip("/"): rng.standard_normal(size)
            for layer in layers
            for name, size in layer.weights.items()
        },
    )  # fmt: skip


def target_numbers(case: Case, found: Any) -> np.ndarray:
    """The chosen numbers, by the numpy engine."""
    tensor = compute.run(case, "numpy").outputs[found.position].values
    return np.asarray(tensor[found.batch].ravel()[found.entries])


def jacobian_of(function: Any, at: np.ndarray) -> np.ndarray:
    """The Jacobian by central differences, (numbers, *at.shape)."""
    rows = []
    for place in np.ndindex(*at.shape):
        moved = np.zeros_like(at)
        moved[place] = STEP
        rows.append((function(at + moved) - function(at - moved)) / (2 * STEP))
    return np.stack(rows, axis=-1).reshape(-1, *at.shape)


def of_inputs(case: Case, found: Any) -> np.ndarray:
    """(timesteps,)"""

    def function(sequence: Any) -> Any:
        inputs = case.inputs.copy()
        inputs[found.batch] = sequence
        return target_numbers(case._replace(inputs=inputs), found)

    return np.asarray(np.sqrt((jacobian_of(function, case.inputs[found.batch]) ** 2).sum(axis=(0, 2))))


class Restarted:
    """The last layer, gone through again from the state after some step, by the layers' own cells."""

    def __init__(self, case: Case, found: Any, place: int) -> None:
        self.case, self.found = case, found
        self.layer: Any = layers.make(case.stack[place])
        self.both: Mapping[str, Any] = self.layer.loops
        before = case._replace(stack=Stack(case.stack[:place]), initial_state=None)
        self.inputs, self.mask = case.inputs, case.mask
        given = case.weights or {}
        self.weights = dict(given)
        if place:
            before = before._replace(weights={path[2:]: w for path, w in given.items() if path[0] == "0"})
            self.inputs = compute.run(before, "numpy").outputs[0].values
        if len(case.stack) > 1:
            self.weights = within(given, str(place))
        self.after = case.stack[place + 1 :]
        self.dense = within(given, str(place + 1)) if self.after else {}

    def run(self, way: str = "", time: int | None = None, part: int = 0, value: Any = None) -> np.ndarray:
        """The chosen numbers, after `part` of the state behind step `time` has been set to `value`."""
        results = [
            self.direction(name, one, (time, part, value) if name == way else (None, 0, None))
            for name, one in self.both.items()
        ]
        sequence = self.layer.sequences
        outputs = [np.stack(outputs, axis=1) if sequence else outputs[-1] for outputs, _ in results]
        if len(outputs) == 2:
            second = outputs[1][:, ::-1] if sequence else outputs[1]
            outputs = list(self.layer.merge(self.layer.config["merge_mode"], outputs[0], second))
        if self.after:
            outputs = [outputs[0] @ self.dense["kernel"] + self.dense["bias"]]
        else:
            outputs += [array for _, state in results for array in state]
        return np.asarray(outputs[self.found.position][self.found.batch].ravel()[self.found.entries])

    def states(self, way: str) -> dict[int, list[np.ndarray]]:
        self.kept: dict[int, list[np.ndarray]] = {}
        self.direction(way, self.both[way], (None, 0, None))
        return dict(self.kept)

    def direction(self, name: Any, one: Any, change: Any) -> Any:
        cell, weights = one.cell, within(self.weights, name) if name else self.weights
        count = len(cell.state_labels)
        given = self.case.initial_state
        skip = count if name == "backward" else 0
        state = cell.start(len(self.inputs), np.float64)
        state = cell.pack(given[skip : skip + count]) if given else state
        project, step = cell.bind(weights, cell.no_dropout())
        outputs, seen, self.kept = [], np.zeros((len(self.inputs), 1), bool), {}
        times = range(self.inputs.shape[1])
        for time in times[::-1] if one.config["go_backwards"] else times:
            new, _ = step(project(self.inputs[:, time]), state)
            counts = self.mask[:, time, None] if self.mask is not None else np.ones_like(seen)
            pairs = zip(cell.unpack(new), cell.unpack(state), strict=True)
            arrays = [np.where(counts, after, before) for after, before in pairs]
            self.kept[time] = [array.copy() for array in arrays]
            if time == change[0]:
                arrays[change[1]][self.found.batch] = change[2]
            state, seen = cell.pack(tuple(arrays)), seen | counts
            shown = counts if one.config["zero_output_for_mask"] else seen
            outputs.append(np.where(shown, cell.output(state), 0))
        return outputs, list(cell.unpack(state))


def check_curves(case: Case, of: str | None, place: int = 0) -> None:
    """Compare every curve with central differences."""
    found = curves.gradients(case, of)
    again = Restarted(case, found.target, place)
    np.testing.assert_allclose(again.run(), target_numbers(case, found.target), rtol=1e-9, atol=1e-12)
    *states, inputs = found.curves
    np.testing.assert_allclose(inputs.norms, of_inputs(case, found.target), rtol=2e-6, atol=1e-8)
    assert len(states) == sum(len(one.cell.state_labels) for one in again.both.values())
    places: dict[str, int] = {}
    for curve in states:
        way = curve.direction if len(again.both) > 1 else ""
        part = places[curve.direction] = places.get(curve.direction, -1) + 1
        for time, kept in again.states(way).items():
            jacobian = jacobian_of(
                lambda value, time=time, part=part, way=way: again.run(way, time, part, value),
                kept[part][found.target.batch],
            )
            assert curve.norms[time] == pytest.approx(np.sqrt((jacobian**2).sum()), rel=2e-6, abs=1e-8)


LAYERS = [
    "SimpleRNN(2)", "LSTM(2)", "GRU(2)", "GRU(2, reset_after=False)",
    "LSTM(2, return_sequences=True, return_state=True)", "GRU(2, go_backwards=True, return_sequences=True)",
    "SimpleRNN(2, go_backwards=True, return_state=True)",
    "LSTM(2, return_sequences=True, zero_output_for_mask=True)",
    "LSTM(2, activation='elu', recurrent_activation='hard_sigmoid', use_bias=False)",
    "RNN(SimpleRNNCell(2), return_state=True)", "GRU(2, stateful=True)",
]  # fmt: skip


@pytest.mark.parametrize("expression", LAYERS)
@pytest.mark.parametrize(("masked", "states"), [(True, True), (True, False)])
def test_one_layer(expression: Any, masked: Any, states: Any) -> None:
    check_curves(random_case(len(expression), expression, masked=masked, states=states), None)


@pytest.mark.sampled
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("inner", ["LSTM(2, return_sequences=True, return_state=True", "GRU(2"])
@pytest.mark.parametrize(("masked", "states"), [(False, True), (True, False)])
def test_both_directions(inner: Any, merge: Any, masked: Any, states: Any) -> None:
    check_curves(
        random_case(5, f"Bidirectional({inner}), merge_mode={merge!r})", masked=masked, states=states), None
    )


@pytest.mark.parametrize(("expression", "of"), [
    ("LSTM(2, return_sequences=True, return_state=True)", "hidden_states[1, 2, 0]"),
    ("LSTM(2, return_sequences=True, return_state=True)", "hidden_states[1, 1:3]"),
    ("LSTM(2, return_sequences=True, return_state=True)", "last_cell_state"),
    ("LSTM(2, return_sequences=True, return_state=True)", "last_cell_state[1, 1]"),
    ("GRU(2, return_sequences=True, go_backwards=True)", "hidden_states[-1, 0]"),
    ("Bidirectional(GRU(2, return_sequences=True, return_state=True))", "backward_last_hidden_state[1]"),
    ("Bidirectional(LSTM(2, return_sequences=True, return_state=True))", "hidden_states[0, 2]"),
])  # fmt: skip
@pytest.mark.parametrize("masked", [False, True])
def test_whichever_numbers_are_asked_for(expression: Any, of: Any, masked: Any) -> None:
    check_curves(random_case(11, expression, masked=masked), of)


@pytest.mark.parametrize(("expressions", "of"), [
    (["LSTM(2)"], "last_cell_state"),
    (["LSTM(2, return_sequences=True)"], "last_cell_state[1, 1]"),
    (["SimpleRNN(2, return_sequences=True, go_backwards=True)"], "last_hidden_state[-1]"),
    (["Bidirectional(LSTM(2), merge_mode='mul')"], "backward_last_cell_state"),
    (["Bidirectional(GRU(2, return_sequences=True), merge_mode=None)"], "forward_last_hidden_state"),
    (["Bidirectional(LSTM(2, return_sequences=True))", "LSTM(2)"], "last_cell_state"),
])  # fmt: skip
@pytest.mark.parametrize(("masked", "states"), [(False, False), (True, True)])
def test_the_last_states_need_not_be_returned(expressions: Any, of: Any, masked: Any, states: Any) -> None:
    """The numbers are those of the layer that returns them, which central differences hold."""
    case = random_case(13, *expressions, masked=masked, states=states)
    at = expressions[-1].rindex("(2") + len("(2")
    returning = f"{expressions[-1][:at]}, return_state=True{expressions[-1][at:]}"
    stack = specs.from_flags(
        [text.replace(")", ", dtype='float64')") for text in (*expressions[:-1], returning)], {}
    )
    found = curves.gradients(case, of)
    assert found.specs == case.stack != stack
    theirs = curves.gradients(case._replace(stack=stack), of)
    assert found.target.text == theirs.target.text
    assert any(curve.norms.any() for curve in found.curves[:-1])
    for mine, other in zip(found.curves, theirs.curves, strict=True):
        assert (mine.part, mine.direction) == (other.part, other.direction)
        np.testing.assert_array_equal(mine.norms, other.norms)
    if len(expressions) == 1:
        check_curves(case._replace(stack=stack), of)


@pytest.mark.parametrize(("expressions", "place"), [
    (("GRU(2, return_sequences=True)", "LSTM(2, return_sequences=True)"), 1),
    (("Bidirectional(LSTM(2, return_sequences=True))", "SimpleRNN(3)"), 1),
    (("LSTM(2, return_sequences=True)", "Dense(2)"), 0),
    (("LSTM(2)", "Dense(1)"), 0),
])  # fmt: skip
def test_a_stack_is_differentiated_through(expressions: Any, place: Any) -> None:
    check_curves(random_case(7, *expressions), None, place)


@pytest.mark.parametrize("seed", range(12))
def test_random_layers(seed: Any) -> None:
    rng = np.random.default_rng(seed)
    kind = rng.choice(["SimpleRNN", "LSTM", "GRU"])
    flags = ["return_sequences", "return_state", "use_bias"]
    flags += ["go_backwards", "zero_output_for_mask"] if seed % 3 else []
    inner = (
        f"{kind}({rng.integers(1, 4)}, "
        + ", ".join(f"{flag}={bool(rng.integers(2))}" for flag in flags)
        + ")"
    )
    expression = inner if seed % 3 else f"Bidirectional({inner})"
    shape = tuple(rng.integers(1, 5, 3).tolist())
    case = random_case(seed, expression, shape=shape, masked=bool(seed % 2), states=bool(rng.integers(2)))
    infos = case.stack.outputs(shape)
    info: Any = infos[rng.integers(len(infos))]
    index = [int(rng.integers(size)) for size in info.shape[: rng.integers(1, len(info.shape) + 1)]]
    check_curves(case, f"{info.name}{index}")


def test_cells_one_on_the_other() -> None:
    """In float32, because Keras rounds to it between the cells; central differences in float64."""
    case = random_case(2, "RNN([LSTMCell(2), GRUCell(2)], return_sequences=True)", masked=True)
    single = case._replace(
        stack=specs.from_flags(["RNN([LSTMCell(2), GRUCell(2)], return_sequences=True)"], {}),
        inputs=case.inputs.astype(np.float32),
    )
    found = curves.gradients(single)
    again = Restarted(case, found.target, 0)
    parts = [str(curve.part) for curve in found.curves]
    assert parts == ["cell_0/hidden", "cell_0/cell", "cell_1/hidden", "input"]
    for part, curve in enumerate(found.curves[:3]):
        for time, kept in again.states("").items():
            jacobian = jacobian_of(lambda value, t=time, p=part: again.run("", t, p, value), kept[part][0])
            assert curve.norms[time] == pytest.approx(np.sqrt((jacobian**2).sum()), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("sequences", [False, True])
def test_a_node_of_onnx_that_goes_backwards_returns_the_order_of_its_input(sequences: bool) -> None:
    case = random_case(4, f"LSTM(2, go_backwards=True, return_sequences={sequences})", masked=True)
    (spec,) = case.stack
    own = {"input_order": True, "zero_output_for_mask": sequences}
    case = case._replace(stack=Stack([replace(spec, config={**spec.config, **own})]))
    found = curves.gradients(case, "hidden_states[0, 0, 0]" if sequences else "hidden_state[0, 0]")
    assert found.curves[-1].norms.any()
    np.testing.assert_allclose(found.curves[-1].norms, of_inputs(case, found.target), rtol=2e-6, atol=1e-9)


def test_masking_in_front_masks() -> None:
    case = random_case(3, "Masking(0.0)", "GRU(2)")
    case.inputs[0, 2:4] = 0
    found = curves.gradients(case)
    assert found.curves[-1].masked_steps.tolist() == [False, False, True, True, False]
    assert (found.curves[-1].norms[2:4] == 0).all()


@pytest.mark.parametrize(("layers", "row"), [
    (["Bidirectional(LSTM(2, return_sequences=True))"], 2),
    (["GRU(2, return_sequences=True, zero_output_for_mask=True)"], 2),
    (["GRU(2, return_sequences=True, go_backwards=True, zero_output_for_mask=True)"], 4),
    (["Bidirectional(LSTM(2, return_sequences=True))", "Dense(2)"], 2),
    (["GRU(2, return_sequences=True)"], 4),
])  # fmt: skip
def test_the_last_output_is_none_that_the_mask_makes_zeros(layers: list[str], row: int) -> None:
    case = random_case(4, *layers)._replace(mask=np.arange(5) < np.array([[3], [5]]))
    found = curves.gradients(case)
    assert found.target.text.endswith(f"[0, {row}, :]")
    assert all(curve.norms.any() for curve in found.curves)
    np.testing.assert_allclose(found.curves[-1].norms, of_inputs(case, found.target), rtol=2e-6, atol=1e-9)


def test_of_a_sequence_of_padding_it_is_the_last_row() -> None:
    case = random_case(4, "Bidirectional(LSTM(2, return_sequences=True))")
    found = curves.gradients(case._replace(mask=np.array([[False] * 5, [True] * 5])))
    assert found.target.text == "hidden_states[0, 4, :]"
    assert not any(curve.norms.any() for curve in found.curves)


def test_more_numbers_than_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnncli.compute import chain_rule

    case = random_case(9, "LSTM(2, return_sequences=True)")
    whole = curves.gradients(case, "hidden_states[0]")
    monkeypatch.setattr(chain_rule, "MOST_VECTORS", 3)
    for one, other in zip(whole.curves, curves.gradients(case, "hidden_states[0]").curves, strict=True):
        np.testing.assert_allclose(one.norms, other.norms, rtol=1e-12)


def test_numbers_that_are_masked_may_be_no_numbers() -> None:
    case = random_case(3, "LSTM(2)", masked=True)
    assert case.mask is not None
    case.mask[0] = [True, True, False, True, False]
    plain = curves.gradients(case)
    case.inputs[0, 2] = np.nan
    for one, other in zip(plain.curves, curves.gradients(case).curves, strict=True):
        np.testing.assert_array_equal(one.norms, other.norms)


@pytest.mark.parametrize(("norms", "verdict"), [
    ([1e-5, 1e-4, 0.5, 2.0], Verdict("vanishes", 1, 5e-6, 3)),
    ([0.0, 1e-4, 0.5, 2.0], Verdict("vanishes", 1, 0.0, 3)),
    ([1e-2, 1e-4, 0.5, 1.0], Verdict("falls", 1, 1e-4, 3)),
    ([1e-3, 1e-2, 0.5, 1.0], Verdict("falls", 1, 1e-3, 3)),  # a fall of 1000 times
    ([0.09, 0.5, 0.5, 1.0], Verdict("falls", 0, 0.09, 3)),
    ([0.1, 0.5, 0.5, 1.0], Verdict("steady", None, 0.1, 3)),
    ([10.0, 10.0, 0.5, 1.0], Verdict("steady", None, 10.0, 3)),
    ([11.0, 12.0, 0.5, 1.0], Verdict("grows", 1, 12.0, 3)),
    ([1e3, 2.0, 0.5, 1.0], Verdict("grows", 0, 1e3, 3)),
    ([1e-4, 20.0, 0.5, 1.0], Verdict("vanishes", 0, 1e-4, 3)),
    ([0.5, 1e-4, 0.5, 1.0], Verdict("varies", 1, 1e-4, 3)),
    ([0.5, 0.01, 0.05, 1.0], Verdict("varies", 2, 0.01, 3)),
    ([5e3, 2e3, 0.5, 1.0], Verdict("explodes", 1, 5e3, 3)),
    ([0.5, 0.25, 0.5, 0.0], Verdict("steady", None, 1.0, 2)),
    ([1e-3, 1.0, 0, 0], Verdict("falls", 0, 1e-3, 1)),
    ([0.0, 0.0, 0.0, 0.0], Verdict("independent")),
    ([1.0, np.nan, 1.0, 1.0], Verdict("undefined")),
    ([0.5, 1.0, 1.0, np.nan], Verdict("undefined")),
    ([np.inf, 1.0, 1.0, 1.0], Verdict("explodes", 0, np.inf, 3)),
    ([1.0, 1.0, 1.0, np.inf], Verdict("undefined")),
])  # fmt: skip
def test_the_rule(norms: Any, verdict: Any) -> None:
    assert classify_curve(range(4), norms) == verdict
    reverse = classify_curve([3, 2, 1, 0], norms)  # the order of processing
    times = (None if time is None else 3 - time for time in (verdict.timestep, verdict.reference))
    assert (reverse.kind, reverse.timestep, reverse.reference) == (verdict.kind, *times)


@pytest.mark.parametrize(
    ("direction", "norms", "where"),
    [("forward", [1e-5, 1e-4, 0.5, 1.0], "before t=2"), ("backward", [1.0, 0.5, 1e-4, 1e-5], "after t=1")],
)
def test_a_verdict_says_where_in_the_order_of_processing(direction: str, norms: Any, where: str) -> None:
    curve = curves.Curve(Label("hidden", kind=""), direction, np.array(norms), np.zeros(4, bool))
    (said,) = write_verdict("hidden", curve, View())
    assert said.text == f"hidden: the gradient vanishes {where}: less than 1/1000 of it is left there"


def test_a_small_recurrent_kernel_vanishes_and_a_large_one_explodes() -> None:
    for scale, kind in ((0.1, "vanishes"), (8.0, "explodes")):
        case = random_case(1, "SimpleRNN(3, activation='linear')", shape=(1, 12, 2))
        assert case.weights is not None
        case.weights["recurrent_kernel"][:] = scale * np.eye(3)
        assert curves.gradients(case).curves[0].verdict.kind == kind


INFOS = (
    TensorInfo(parse_label("hidden_states"), ("batch", "timesteps", "units"), (2, 4, 3)),
    TensorInfo(parse_label("last_cell_state"), ("batch", "units"), (2, 3)),
)


@pytest.mark.parametrize(("text", "shown", "entries"), [
    (None, "hidden_states[0, 3, :]", [9, 10, 11]),
    ("hidden_states[1,2,1]", "hidden_states[1, 2, 1]", [7]),
    (" hidden_states [ -1 , 0 ]", "hidden_states[1, 0, :]", [0, 1, 2]),
    ("hidden_states[0, :, -1]", "hidden_states[0, :, 2]", [2, 5, 8, 11]),
    ("hidden_states[0, 1:3, 0]", "hidden_states[0, 1:3, 0]", [3, 6]),
    ("last_cell_state", "last_cell_state[0, :]", [0, 1, 2]),
    ("last_cell_state[]", "last_cell_state[0, :]", [0, 1, 2]),
    ("hidden_states[0, -2:, 0]", "hidden_states[0, -2:, 0]", [6, 9]),
])  # fmt: skip
def test_what_a_text_names(text: Any, shown: Any, entries: Any) -> None:
    found = target_of(text, INFOS)
    assert found.text == shown
    assert found.entries.tolist() == entries
