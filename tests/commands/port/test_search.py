"""`port` names what was planted, alone and in pairs, and claims nothing on unrelated numbers."""

from collections.abc import Collection, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from plant import Kind, plant
from port_runs import run_of

from rnncli.commands.port import differences
from rnncli.commands.port import search as searching
from rnncli.commands.port.answer import assess, write_probe
from rnncli.commands.port.hypothesis import Hypothesis
from rnncli.commands.port.search import search
from rnncli.known import Known

KINDS = {
    "lstm": Kind("LSTM"),
    "lstm with states": Kind("LSTM", initial=True),
    "lstm with two biases": Kind("LSTM", biases=2),
    "lstm of a square": Kind("LSTM", features=12, batch=4),
    "gru": Kind("GRU"),
    "gru with two biases": Kind("GRU", biases=2),
    "gru of as many steps as sequences": Kind("GRU", batch=4),
    "simple rnn": Kind("SimpleRNN", features=3, batch=4),
    "bilstm": Kind("LSTM", directions=2),
    "bigru": Kind("GRU", directions=2, biases=2),
    "padded lstm": Kind("LSTM", lengths=(4, 1, 3)),
    "padded bigru": Kind("GRU", directions=2, lengths=(2, 4, 3)),
    "padded gru, not with 0": Kind("GRU", lengths=(4, 1, 3), padding=1.0),
    "padded bilstm, not with 0": Kind("LSTM", directions=2, lengths=(2, 4, 3), padding=1.0),
    "masked simple rnn": Kind("SimpleRNN", lengths=(4, 1, 3), masked=True),
    "masked bilstm": Kind("LSTM", directions=2, lengths=(2, 4, 3), masked=True),
}
EVERY_GATE_ORDER = ("lstm", "gru")
PAIRED = (
    "simple rnn", "gru", "gru with two biases", "lstm with states", "bilstm",
    "padded lstm", "padded bigru", "padded gru, not with 0", "masked simple rnn", "masked bilstm",
)  # fmt: skip
"""Each pair is planted in the first of these that can have it; the later ones take longer."""
SAME = (
    {"input_axes=time,batch,features", "output_axes=time,batch,units"},
    {"bias=recurrent", "reset_after=False"},
    {"output=last_row", "states=c,h"},
    {"bias=none", "padding=start"},
)
"""Pairs that are one difference under another name, or that no tensor can hold together."""


def list_differences(kind: Kind) -> dict[str, Known]:
    """Return the differences that this kind can have, by name; some show only in an output."""
    shown = [(), ("padded_outputs=zeros",), ("padding=start",)] if kind.lengths else [()]
    runs = (run_of(plant(kind, names), kind.class_name) for names in shown)
    return {one.name: one for run in runs for one in differences.list_known(run)}


def list_names(kind: Kind) -> list[str]:
    """Return the names of the differences that this kind can have; of the orders of gates, one."""
    names = list(list_differences(kind))
    gates = [name for name in names if name.startswith("gates=")]
    return [name for name in names if name not in gates] + gates[-1:]


def names_of(findings: list[Hypothesis]) -> list[set[str]]:
    return [{one.name for one in finding.differences} for finding in findings if finding.matches]


def check_found(kind: Kind, names: Collection[str]) -> None:
    planted = run_of(plant(kind, names), kind.class_name)
    findings, count = search(planted)
    assert names_of(findings) == [set(names)]
    assert not assess(planted, count).doubts


@pytest.mark.parametrize("name", KINDS)
def test_no_difference_is_found_where_there_is_none(name: str) -> None:
    check_found(KINDS[name], ())


@pytest.mark.sampled
@pytest.mark.parametrize("name", KINDS)
def test_every_single_difference_is_named(name: str) -> None:
    for one in list_names(KINDS[name]):
        check_found(KINDS[name], (one,))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_GATE_ORDER)
def test_every_order_of_the_gates_is_named(name: str) -> None:
    run = run_of(plant(KINDS[name], ()), KINDS[name].class_name)
    orders = [one.name for one in differences.list_known(run) if one.name.startswith("gates=")]
    assert len(orders) == {"lstm": 23, "gru": 5}[name]
    for one in orders:
        check_found(KINDS[name], (one,))


def list_pairs(kind: Kind) -> Iterator[tuple[str, str]]:
    """Yield every two differences of which neither is about what the other is about."""
    fields = {name: set(one.changes) for name, one in list_differences(kind).items()}
    for first, second in combinations(list_names(kind), 2):
        if not fields[first] & fields[second] and {first, second} not in SAME:
            yield first, second


def list_planted() -> dict[str, list[tuple[str, str]]]:
    """Return the pairs to plant, by kind, each pair once.

    Of the pairs that are about the same two things, such as the padding and the bias, the first is planted,
    and of all others one in five.
    """
    planted: dict[str, list[tuple[str, str]]] = {name: [] for name in PAIRED}
    done, about = set(), set()
    for name in PAIRED:
        things = {each: frozenset(known.changes) for each, known in list_differences(KINDS[name]).items()}
        for pair in list_pairs(KINDS[name]):
            if pair not in done:
                done.add(pair)
                both = frozenset(things[each] for each in pair)
                if both not in about or len(done) % 5 == 0:
                    about.add(both)
                    planted[name].append(pair)
    return planted


@pytest.mark.parametrize(("name", "pairs"), list_planted().items(), ids=PAIRED)
@pytest.mark.slow
def test_pairs_of_differences_are_named(name: str, pairs: list[tuple[str, str]]) -> None:
    assert pairs
    for pair in pairs:
        check_found(KINDS[name], pair)


@pytest.mark.parametrize(("directions", "padding"), [(1, "padding=end,zeros"), (2, "padding=end")])
def test_axes_and_padding_leave_room_for_a_third_difference(directions: int, padding: str) -> None:
    kind = Kind("LSTM", directions=directions, lengths=(2, 4, 3))
    check_found(kind, ("axes=time,batch", padding, "forget_bias=1"))


@pytest.mark.parametrize("kind", [Kind("LSTM", initial=True), Kind("LSTM", initial=True, batch=4, steps=3)])
@pytest.mark.parametrize("padded", [False, True])
def test_no_set_is_compared_that_cannot_be_or_that_a_smaller_one_says(
    kind: Kind, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No axes that the states do not have, no difference that another replaces, no padding without steps."""
    compared: list[Hypothesis] = []

    def screen(candidates: list[Hypothesis]) -> list[Hypothesis]:
        compared.extend(candidates)
        return candidates[:1]

    monkeypatch.setattr(searching, "_screen", screen)
    if padded:
        kind = kind._replace(lengths=(kind.steps, 1, *[2] * (kind.batch - 2)))
    run = run_of(plant(kind, ("padding=start",) if padded else ()), kind.class_name)
    _, count = search(run._replace(expected={"sequence": 1 + run.expected["sequence"]}))
    assert count == len(compared) > 300
    for hypothesis in compared:
        changes = [name for difference in hypothesis.differences for name in difference.changes]
        assert len(changes) == len(set(changes))
        assert hypothesis.padding is None or (hypothesis.mask is not None and not hypothesis.mask.all())
        assert {len(state) for state in hypothesis.initial_state} == {len(hypothesis.inputs)}


@pytest.mark.parametrize(
    ("name", "count"),
    [("lstm", 8), ("gru", 12), ("simple rnn", 60), ("bilstm", 4), ("padded lstm", 2), ("masked bilstm", 2)],
)
@pytest.mark.slow
def test_nothing_is_claimed_on_unrelated_numbers(name: str, count: int) -> None:
    kind = KINDS[name]
    for seed in range(count):
        weights, other = plant(kind, (), seed), plant(kind, (), seed + 1000)
        run = run_of(weights._replace(expected=other.expected), kind.class_name)
        (nearest,), _ = search(run)
        assert not nearest.matches
        assert nearest.remaining > 1e-3


@pytest.mark.parametrize("name", ["lstm with states", "gru with two biases", "simple rnn", "bigru"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_part_is_the_beginning_of_the_whole(name: str, masked: bool) -> None:
    kind = KINDS[name]
    run = run_of(plant(kind, ()), kind.class_name)
    if masked:
        steps = np.arange(kind.steps)
        run = run._replace(mask=np.array([steps < 1 + place % kind.steps for place in range(kind.batch)]))
    hypotheses = [Hypothesis(run, [one]) for one in differences.list_known(run)]
    for one in (one for one in hypotheses if one.inputs.shape == run.inputs.shape):
        whole = one.compute()
        assert list(whole) == list(one.compute(1)) == list(one.compute(1, 2))
        for key, array in one.compute(1).items():
            np.testing.assert_allclose(array, whole[key][:1], atol=1e-12, err_msg=f"{one.differences} {key}")
        beginning = one.compute(1, 2)["sequence 0"]
        np.testing.assert_allclose(beginning, whole["sequence 0"][:1, :2], atol=1e-12)


@pytest.mark.parametrize("name", ["padding=end", "padded_outputs=zeros", "final_state=real_end"])
def test_a_probe_has_no_padding(name: str, tmp_path: Path) -> None:
    planted = run_of(plant(KINDS["padded lstm"], (name,)), "LSTM")
    (finding,), _ = search(planted)
    other = next(one for one in differences.list_known(planted) if one.name.startswith("gates="))
    findings = [finding, Hypothesis(planted, [*finding.differences, other])]
    predictions = write_probe(planted, findings, str(tmp_path / "probe.json"))
    assert len(predictions) == 2
