"""compare: one row per tensor and pair."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

from rnncli.commands.checks import format_tolerance
from rnncli.compute.compare import TensorDifference, TolerancePair, measure
from rnncli.errors import Message, Text
from rnncli.models.weights import LayerWeights
from rnncli.result import Label, NamedTensor, Result
from rnncli.show.answer import HEAD, Answer, Field, Listing, Records, head, results, spell
from rnncli.show.page import Line, Page, PagePart, Variants, View, line, marks
from rnncli.show.result_answer import format_difference, head_of, notes_of, title
from rnncli.values import Array, format_shape

Key = TypeVar("Key")
Name = tuple[str, str]
"""A weight: its layer, and its name in the layer."""


class ComparedWeights(NamedTuple):
    """The pairs, the largest difference first, and the weights of each model that are in no pair."""

    differences: tuple[TensorDifference, ...] = ()
    unmatched: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def agree(self) -> bool:
        """Whether every pair agrees."""
        return all(difference.agrees for difference in self.differences)


def compare_weights(
    ours: LayerWeights, theirs: LayerWeights, layers: Mapping[str, str], tolerances: TolerancePair
) -> ComparedWeights:
    """Compare the weights of two models; nothing if either has none.

    layers: the layers that are compared by what they return, of the first model with those of the second.
    """
    if not ours or not theirs:
        return ComparedWeights()
    pairs = pair_weights(ours, theirs, layers)
    differences = []
    for (layer, role), (other_layer, other_role) in pairs.items():
        array, name = ours[layer][role], _text((layer, role))
        axes = tuple(f"axis_{index}" for index in range(array.ndim))
        tensor = NamedTensor(Label(name, kind=""), axes, array)
        sides = (name, _text((other_layer, other_role)))
        differences.append(measure(tensor, theirs[other_layer][other_role], sides, *tolerances))
    differences.sort(key=lambda difference: (difference.agrees, -difference.absolute))
    left = [_text(name) for name in _list(ours) if name not in pairs]
    others = {*pairs.values()}
    left_there = [_text(name) for name in _list(theirs) if name not in others]
    return ComparedWeights(tuple(differences), (tuple(left), tuple(left_there)))


def pair_weights(ours: LayerWeights, theirs: LayerWeights, layers: Mapping[str, str]) -> dict[Name, Name]:
    """Return the weights that belong together.

    First the weights of layers that do: `layers`, then layers of one name, then layers that alone have these
    shapes.  Of what is left, weights that alone have their shape.
    """
    plain = {_once(mine): _once(other) for mine, other in layers.items()}
    partners = {mine: other for mine, other in plain.items() if mine in ours and other in theirs}
    taken = {*partners.values()}
    partners |= {name: name for name in ours if name in theirs and name not in {*partners, *taken}}
    partners |= _only_pairs(
        {name: _kind(weights) for name, weights in ours.items() if name not in partners},
        {name: _kind(weights) for name, weights in theirs.items() if name not in {*partners.values()}},
    )
    pairs: dict[Name, Name] = {}
    for mine, other in partners.items():
        roles = _pair_roles(ours[mine], theirs[other])
        pairs |= {(mine, role): (other, partner) for role, partner in roles.items()}
    used = {*pairs.values()}
    return pairs | _only_pairs(
        {name: ours[name[0]][name[1]].shape for name in _list(ours) if name not in pairs},
        {name: theirs[name[0]][name[1]].shape for name in _list(theirs) if name not in used},
    )


def _pair_roles(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> dict[str, str]:
    """Return the weights of one layer by the weights of the other: by name, in order, or by shape.

    Files of Keras 3 number the weights, in Keras's order.
    """
    shapes, other_shapes = ([array.shape for array in side.values()] for side in (ours, theirs))
    numbered = any(all(name.isdecimal() for name in side) for side in (ours, theirs))
    if numbered and shapes == other_shapes:
        return dict(zip(ours, theirs, strict=True))
    roles = {name: name for name in ours if name in theirs and ours[name].shape == theirs[name].shape}
    return roles | _only_pairs(
        {name: array.shape for name, array in ours.items() if name not in roles},
        {name: array.shape for name, array in theirs.items() if name not in roles},
    )


def _only_pairs(ours: Mapping[Key, Any], theirs: Mapping[Key, Any]) -> dict[Key, Key]:
    """Return the keys whose kind no other key of their side has, in pairs of one kind."""
    alone: dict[Any, list[Key]] = {}
    others: dict[Any, list[Key]] = {}
    for kinds, side in ((alone, ours), (others, theirs)):
        for key, kind in side.items():
            kinds.setdefault(kind, []).append(key)
    return {
        keys[0]: others[kind][0]
        for kind, keys in alone.items()
        if len(keys) == len(others.get(kind, ())) == 1
    }


def _kind(weights: Mapping[str, Array]) -> tuple[tuple[int, ...], ...]:
    return tuple(sorted(array.shape for array in weights.values()))


def _once(name: str) -> str:
    return re.sub(r"@\d+", "", name)


def _list(layers: LayerWeights) -> Iterator[Name]:
    return ((layer, role) for layer, weights in layers.items() for role in weights)


def _text(name: Name) -> str:
    return "/".join(filter(None, name))


WIDE = ("name", "pair", "absolute", "relative", "index", "timestep", "verdict/mismatches")
NARROW = ("name/pair", "absolute/relative", "index/timestep", "verdict")
"""The columns of the table."""
MODELS_WIDE = ("pair", "name", "absolute", "relative", "index", "timestep", "verdict/mismatches")
MODELS_NARROW = ("pair/name", "absolute/index/timestep", "verdict")
"""The columns of the table of two models."""
WEIGHT_FORMS = (
    ("first", "second", "absolute", "index", "mismatches"),
    ("first/second", "absolute/index/mismatches"),
)
"""The columns of the table of weights."""
MOST_WEIGHTS = 10
"""Weights that differ, in the table without --full."""
VERDICTS = {"same": "same", "differs": "differs", "shape": "different shape", "missing": "not compared"}


def verdict_of(difference: TensorDifference) -> str:
    """Return `same`, `differs`, `shape`, or `missing` if only the second side has the tensor."""
    if difference.missing:
        return "missing"
    if difference.shapes[0] != difference.shapes[1]:
        return "shape"
    return "same" if difference.agrees else "differs"


def find_largest(differences: Sequence[TensorDifference]) -> TensorDifference:
    """Return the largest difference of several tensors, with the first time step at which any differs."""
    largest = max(differences, key=lambda difference: (not difference.agrees, difference.absolute))
    steps = [difference.step for difference in differences if difference.step is not None]
    return largest._replace(step=min(steps, default=None))


def conclude(
    differences: Iterable[TensorDifference], identical: Message, rounding: Message, real: Message
) -> Message:
    """Return one of three messages: for equal numbers, for differences within the tolerances, and beyond."""
    differences = list(differences)
    if not all(difference.agrees for difference in differences):
        return real
    return rounding if any(difference.absolute for difference in differences) else identical


def _known(name: str, spelled: Callable[[Any], Any] = lambda value: value) -> Any:
    """Return a function that gets this attribute of a difference, or None if no numbers are compared."""
    return lambda row, *_: None if verdict_of(row) in ("shape", "missing") else spelled(getattr(row, name))


def _mismatch(difference: TensorDifference) -> dict[str, Any] | None:
    if difference.mismatch is None:
        return None
    indices, first, second, number = difference.mismatch
    return {
        "index": list(indices),
        "first": spell(first),
        "second": spell(second),
        "count": number,
        "size": difference.size,
    }


def _shapes(difference: TensorDifference) -> list[list[int] | None]:
    first, second = map(list, difference.shapes)
    return [None if difference.missing else first, second]


def _absolute(difference: TensorDifference, _: View) -> str:
    """Return `3.0e-08 (1 ulp)`, or the shapes if they differ."""
    if difference.missing:
        return format_shape(difference.shapes[1])
    if verdict_of(difference) == "shape":
        return ", ".join(map(format_shape, difference.shapes))
    return format_difference(difference.absolute, difference.ulps)


def _count(difference: TensorDifference, view: View) -> str:
    if difference.mismatch is None:
        return ""
    counts = {"count": f"{difference.mismatch.number:,}", "size": f"{difference.size:,}"}
    return view.say("{count} of {size} numbers", **counts)


class RefusedEngine(NamedTuple):
    """An engine that cannot compute a case.  reason: a clause."""

    engine: str
    reason: Text


MISMATCH = {"index": list[int], "first": float, "second": float, "count": int, "size": int}
FIELDS = (
    Field("name", heading="tensor", style="strong"),
    Field("pair", heading="compared", json=False, csv=False,
          show=lambda row, view: ", ".join(
              side if isinstance(side, str) else view.say(side) for side in row.sides)),
    Field("first", lambda row: row.sides[0]),
    Field("second", lambda row: row.sides[1]),
    Field("shapes", _shapes, csv=False, type=list[list[int] | None]),
    Field("absolute", _known("absolute"), "largest difference", _absolute, type=float | None),
    Field("relative", _known("relative"), "relative", _known("relative", format_difference), none="-",
          lead=True, type=float | None),
    Field("ulps", type=int | None),
    Field("index", lambda row: None if row.indices is None else list(row.indices), "at", none="-",
          type=list[int] | None),
    Field("timestep", lambda row: row.step, "first step",
          lambda row, _: None if row.step is None else f"t={row.step}", none="-", lead=True,
          type=int | None),
    Field("atol", csv=False, type=float),
    Field("rtol", csv=False, type=float),
    Field("mismatch", _mismatch, csv=False, type=(MISMATCH, None)),
    Field("mismatches", lambda row: row.mismatch.number if row.mismatch else 0, show=_count, json=False),
    Field("size", json=False),
    Field("verdict", verdict_of, "verdict", lambda row, view: view.say(VERDICTS[verdict_of(row)]),
          style=lambda row: "" if row.agrees else "alarm"),
)  # fmt: skip
"""What the answer says about a difference."""
BODY = {"agree": bool | None, "comparisons": [FIELDS], "refused": [RefusedEngine], "conclusion?": str}
WEIGHTS = {"weights?": [FIELDS], "unmatched_weights?": list[list[str]]}
DOCUMENTS = (*results(BODY), HEAD | {"engine": str, "models": list[str]} | WEIGHTS | BODY)
_SIDES = {"first": "weight", "second": "compared with"}
WEIGHT_FIELDS = tuple(field._replace(heading=_SIDES.get(field.name, field.heading)) for field in FIELDS)
"""What the table says about the weights of two models."""


@dataclass(frozen=True, eq=False)
class CompareAnswer(Answer):
    """How far the tensors of each pair differ.

    header: a result of the case.  refused: engines that cannot compute it.
    tolerances: the absolute and the relative one.
    conclusion: one line below the table; "" to leave it out.
    undecided: why it is not known whether the numbers are the same; "" if it is known.
    """

    header: Result
    differences: tuple[TensorDifference, ...]
    tolerances: TolerancePair
    refused: tuple[RefusedEngine, ...] = ()
    conclusion: Text = ""
    undecided: Text = ""
    command = "compare"
    forms: ClassVar[tuple[tuple[str, ...], ...]] = (WIDE, NARROW)

    def results(self) -> tuple[Result, ...]:
        """Return the run that is compared."""
        return (self.header,)

    @property
    def agrees(self) -> bool | None:
        """Whether every tensor agrees on both sides; None if that is not known."""
        return None if self.undecided else not self.disagreeing

    @property
    def disagreeing(self) -> tuple[str, ...]:
        """The names of the tensors that differ."""
        names = (difference.name for difference in self.differences if not difference.agrees)
        return tuple(dict.fromkeys(names))

    def head(self) -> dict[str, Any]:
        """Return the first entries of the document."""
        return head_of(self.header)

    def title(self, view: View) -> Line:
        """Return the line above the table: the layers."""
        return title(self.header.specs, view)

    def document(self, view: View) -> dict[str, Any]:
        """Return the head of a run, with one object per tensor and pair under `comparisons`."""
        document = {
            **self.head(),
            "agree": self.agrees,
            "comparisons": Listing(FIELDS, self.differences).objects(),
            "refused": [engine._asdict() for engine in self.refused],
        }
        return {**document, "conclusion": view.say(self.conclusion)} if self.conclusion else document

    def page(self, view: View) -> Page:
        """Return one table, and lines with what was not compared and with the tolerances."""
        forms = Variants([(Listing(FIELDS, self.differences, form).table(view),) for form in self.forms])
        table = (forms,) if self.differences else ()
        atol, rtol = map(format_tolerance, self.tolerances)
        refused = "{engine} was not compared: {reason}"
        below: list[Line] = [line(view.say(refused, **engine._asdict()), "alarm") for engine in self.refused]
        if self.conclusion:
            below.append(line(view.say(self.conclusion)))
        text = (
            "same: |first - second| <= atol + rtol {times} |second| for every number; "
            "atol {atol}, rtol {rtol}"
        )
        rule = Message(text, times="*" if view.ascii else "·", atol=atol, rtol=rtol)
        if self.differences:
            below.append(line(view.say(rule), "dim"))
        return Page(self.title(view), notes_of(self.header, view), (*table, *below))

    def records(self, view: View) -> Records:
        """Return one row per tensor and pair."""
        return Listing(FIELDS, self.differences).records()


@dataclass(frozen=True, eq=False)
class ModelsAnswer(CompareAnswer):
    """How far each pair of layers of two models differs; the sides of a difference are the two layers.

    models: the names of both.
    theirs: what the second model returned in the pair at which they part; if they agree, in every pair.
    weights: of all layers, in pairs.
    """

    models: tuple[str, str] = ("", "")
    theirs: Mapping[str, Array] = field(default_factory=dict)
    weights: ComparedWeights = field(default_factory=ComparedWeights)
    forms = (MODELS_WIDE, MODELS_NARROW)

    @property
    def disagreeing(self) -> tuple[str, ...]:
        """The names of the weights and of the tensors that differ."""
        beyond = (difference.name for difference in self.weights.differences if not difference.agrees)
        return tuple(dict.fromkeys((*beyond, *super().disagreeing)))

    def document(self, view: View) -> dict[str, Any]:
        """Return the head, the pairs of weights, the pairs of layers, and weights without a pair."""
        document = super().document(view)
        if not self.weights.differences and not any(self.weights.unmatched):
            return document
        first = {name: document.pop(name) for name in (*self.head(), "agree")}
        objects = Listing(FIELDS, self.weights.differences).objects()
        left = list(map(list, self.weights.unmatched))
        return {**first, "weights": objects, "unmatched_weights": left, **document}

    def page(self, view: View) -> Page:
        """Return the weights that differ, the largest difference first, above the table of layers."""
        page = super().page(view)
        if not self.weights.differences:
            return page
        beyond = [difference for difference in self.weights.differences if not difference.agrees]
        parts: list[PagePart] = []
        if beyond:
            shown = beyond if view.full else beyond[:MOST_WEIGHTS]
            forms = [(Listing(WEIGHT_FIELDS, shown, form).table(view),) for form in WEIGHT_FORMS]
            parts.append(Variants(forms))
        parts += map(line, self._count_weights(view))
        return page._replace(parts=(*parts, *page.parts))

    def _count_weights(self, view: View) -> Iterator[str]:
        count = len(self.weights.differences)
        number = sum(not difference.agrees for difference in self.weights.differences)
        if number:
            yield view.say("{number} of {count} weights differ", number=number, count=count)
        elif any(difference.absolute for difference in self.weights.differences):
            yield view.say("the difference between the weights is rounding ({count} compared)", count=count)
        else:
            yield view.say("the weights are exactly the same ({count} compared)", count=count)

    def records(self, view: View) -> Records:
        """Return one row per pair of weights, then one per pair of layers."""
        return Listing(FIELDS, (*self.weights.differences, *self.differences)).records()

    def head(self) -> dict[str, Any]:
        """Return the models, and the engines that computed them."""
        return {**head(), "engine": self.header.engine, "models": list(self.models)}

    def title(self, view: View) -> Line:
        """Return the names of both models."""
        return line(marks(view).dot.join(self.models), "strong")

    def tensors(self) -> Mapping[str, Array]:
        """Return what the second model returned: where they part, as `port --expect` takes it; else all."""
        return self.theirs
