"""The diagram of a cell: no two shapes overlap, and no wire runs through one."""

from itertools import combinations, pairwise, product

import pytest
from command import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from looks import matches_golden
from own_cells import ACCUMULATOR, MGU, NASTY
from random_cells import some_cells

from rnncli import layers
from rnncli.cells.diagram import lay_out
from rnncli.cells.diagram.wires import Diagram, Shape
from rnncli.cells.tree import write
from rnncli.specs.build import build, read_equations
from rnncli.specs.expressions import parse

SAMPLES = {path.stem: path.read_text() for path in sorted((ROOT / "samples/cells").glob("*.toml"))}
BUILT_IN = ("SimpleRNN(3)", "LSTM(3)", "GRU(3)", "GRU(3, reset_after=False)", "LSTM(40)", "GRU(1)")


def diagram(cell: str, wide: bool = True, features: int = 3) -> Diagram:
    """Return the diagram of an expression, or of the text of a cell."""
    units = 16 if "[sizes]" in cell else 3
    spec = build(cell if "\n" not in cell else parse(f"@r.toml({units})", {"r.toml": read_equations(cell)}))
    made = layers.make(spec).cell  # type: ignore[attr-defined]
    sizes = made.line_sizes(features)
    return lay_out(made.written, made.text.states, made.function, sizes=sizes, features=features, wide=wide)


def box(shape: Shape) -> tuple[int, int, int, int]:
    wide, high = shape.wide // 2, shape.high // 2
    return shape.x - wide, shape.y - high, shape.x + wide, shape.y + high


def overlap(one: tuple[int, ...], other: tuple[int, ...], space: int = 0) -> bool:
    return all(one[k] - space < other[k + 2] and other[k] - space < one[k + 2] for k in (0, 1))


def check(drawn: Diagram) -> None:
    for one, other in combinations(drawn.shapes, 2):
        assert not overlap(box(one), box(other), 2), (one, other)
    for shape in drawn.shapes:
        left, top, right, bottom = box(shape)
        assert min(left, top) >= 0, shape
        assert (right, bottom) <= (drawn.wide, drawn.high), shape
    for wire in drawn.wires:
        for (x1, y1), (x2, y2) in pairwise(wire.points):
            assert x1 == x2 or y1 == y2
            line = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
            for index, shape in enumerate(drawn.shapes):
                space = 0 if index in (wire.source, wire.target) else 2
                assert not overlap(line, box(shape), space), (wire, shape)
        x, y = wire.points[-1]
        left, top, right, bottom = box(drawn.shapes[wire.target])
        assert x in (left, right) or y in (top, bottom)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("cell", [*BUILT_IN, *SAMPLES, "mine", "nasty", "accumulator"])
def test_nothing_overlaps(cell: str, wide: bool) -> None:
    texts = {**SAMPLES, "mine": MGU, "nasty": NASTY, "accumulator": ACCUMULATOR}
    check(diagram(texts.get(cell, cell), wide))


def test_a_function_of_several_lines_has_its_name() -> None:
    step = 'a = "x @ kernel"\nb = "x @ kernel"\nhidden = "exp(a * b)"\n'
    drawn = diagram(f'name = "Own"\nstates = ["hidden"]\n[step]\n{step}')
    assert [shape.label for shape in drawn.shapes if shape.kind == "function"] == ["exp"]


def test_every_place_and_distance_is_as_it_was_looked_at() -> None:
    """A change of this golden file is a change of the page: look at the page before committing."""
    lines = []
    for cell, wide in product(("LSTM(3)", "LSTM(40)", "GRU(3)", MGU, NASTY, ACCUMULATOR), (True, False)):
        drawn = diagram(cell, wide)
        lines.append(f"{cell.strip().splitlines()[0]}: {drawn.wide} x {drawn.high}")
        lines += [f"  {shape.kind} {shape.line} {shape.label} {box(shape)}" for shape in drawn.shapes]
        lines += [f"  {wire.source} -> {wire.target} {[*map(tuple, wire.points)]}" for wire in drawn.wires]
    assert matches_golden("cells", "diagrams.txt", "\n".join(lines) + "\n")


@settings(max_examples=1_000 if settings().max_examples > 100 else 200)
@given(some_cells(), st.booleans())
@pytest.mark.slow
def test_nothing_overlaps_in_random_cells(text: str, wide: bool) -> None:
    check(diagram(text, wide))


@pytest.mark.parametrize(("cell", "operators"), [
    ("SimpleRNN(3)", {}),
    ("LSTM(3)",
     {"×": ["forget * cell", "input * candidate", "output * activation(cell)"],
      "+": ["forget * cell + input * candidate"], "tanh": ["activation(cell)"]}),
    ("GRU(3)",
     {"×": ["reset * (hidden @ recurrent_kernel + recurrent_bias)", "update * hidden",
            "(1 - update) * candidate"],
      "U": ["hidden @ recurrent_kernel + recurrent_bias"], "1−": ["1 - update"],
      "+": ["update * hidden + (1 - update) * candidate"]}),
    ("GRU(3, reset_after=False)",
     {"×": ["reset * hidden", "update * hidden", "(1 - update) * candidate"],
      "1−": ["1 - update"],
      "+": ["update * hidden + (1 - update) * candidate"]}),
])  # fmt: skip
def test_operators_are_those_of_the_textbook(cell: str, operators: dict[str, list[str]]) -> None:
    """Each operator knows the part of the equation that it computes."""
    drawn: dict[str, set[str]] = {}
    for shape in diagram(cell).shapes:
        if shape.kind in ("operator", "function"):
            assert shape.tree
            drawn.setdefault(shape.label, set()).add(write(shape.tree))
    assert drawn == {label: set(trees) for label, trees in operators.items()}


def test_rails_and_cards_stand_as_in_the_textbook() -> None:
    """The LSTM's cell state is a straight line above the gates, in the order in which it meets them."""
    drawn = diagram("LSTM(3)")
    cards = sorted((shape for shape in drawn.shapes if shape.kind == "card"), key=lambda shape: shape.x)
    assert [f"{card.line} {card.label}" for card in cards] == [
        "forget σ", "input σ", "candidate tanh", "output σ"
    ]  # fmt: skip
    assert len({card.y for card in cards}) == 1
    rail = [wire for wire in drawn.wires if wire.rail == "cell"]
    assert len({y for wire in rail for _, y in wire.points}) == 1
    ends = {shape.line: shape.y for shape in drawn.shapes if shape.kind == "end"}
    assert ends["cell"] < ends["hidden"] < min(box(card)[3] for card in cards)


def test_a_crowded_state_is_one_function() -> None:
    [function] = [shape for shape in diagram(SAMPLES["cornn"]).shapes if shape.label == "f"]
    assert function.line == "velocity"
    assert function.inputs == 3


def test_a_state_that_is_read_twice_stays_on_its_rail() -> None:
    step = 'keep = "sigmoid(x @ kernel)"\nhidden = "keep * hidden + tanh(hidden)"\n'
    drawn = diagram(f'name = "Own"\nstates = ["hidden"]\n[step]\n{step}')
    rail = [wire for wire in drawn.wires if wire.rail == "hidden"]
    ends = [(drawn.shapes[wire.source].kind, drawn.shapes[wire.target].kind) for wire in rail]
    assert ends == [("start", "function"), ("function", "end")]
