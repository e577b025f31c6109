"""gradients: how far back the output depends on states and inputs.

No list of fields describes the curves: JSON has an object for each, CSV a row for each number, and the page a
column for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log10
from typing import Any, NamedTuple

from rnncli.commands.gradients.curves import ABOVE, BELOW, INPUT, Curve, Gradients, Verdict
from rnncli.errors import Message, Text
from rnncli.result import Result
from rnncli.show.answer import INPUT_HEAD, LAYERS, OF_LAYERS, OF_MODEL, TENSOR, Answer, NestedNumbers, Records
from rnncli.show.page import (
    Column,
    Line,
    Page,
    PagePart,
    Paragraph,
    Span,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    line,
)
from rnncli.show.result_answer import head_of, names_of, notes_of, title, title_of
from rnncli.show.visible import name_text
from rnncli.show.wording import GATES, new_state
from rnncli.specs import configs_of, expression_of, expressions_of
from rnncli.values import Array

MOST_ROWS = 24
"""With more steps, only evenly spaced steps are shown, unless View.full is set."""
LONGEST_BAR, SHORTEST_BAR = 14, 3
EIGHTHS = " ▏▎▍▌▋▊▉█"
NUMBER = 8
DECADES = 30
"""Bars span at most this many powers of ten."""

VERDICTS = {
    "vanishes": "the gradient vanishes {where}: less than 1/1000 of it is left there",
    "falls": "the gradient falls {where}: less than 1/10 of it is left there",
    "explodes": "the gradient explodes {where}: it is up to {ratio} times as large there",
    "grows": "the gradient grows {where}: it is up to {ratio} times as large there",
    "varies": "the gradient varies: it falls to {ratio} of what it is at t={reference}, and comes back",
    "steady": "the gradient is steady: always between 1/10 and 10 times what it is at t={reference}",
    "independent": "the output does not depend on it",
    "undefined": "the gradient cannot be compared: NaN or infinity",
}

THROUGH = {
    False: "all of the gradient comes back through {way}",
    True: "{share} of the gradient comes back through {way}",
}
"""THROUGH[has_other_ways]: how much of a gradient comes back through one way."""

OWN_STEP = (
    "cell: only what it passes on to the next step; what it does through this step's output counts as hidden"
)

OF = {"tensor": str, "batch": int, "sequence?": str, "text": str, "entries": int}
CURVE = {
    "part": str,
    "input?": str,
    "direction": str,
    "norms": NestedNumbers,
    "masked": list[bool],
    "verdict": Verdict,
    "through?": dict[str, float],
}
CURVES = {"weight?": str, "lines?": dict[str, float], "curves": [CURVE]}
NAMED = {"name": str, "input": TENSOR | {"batch?": list[str]}, "of": OF}
RULE = {"whole?": True, "rule": dict[str, float]}
DOCUMENTS = (
    OF_LAYERS | {"of": OF} | RULE | {"layers": [LAYERS | CURVES]},
    OF_MODEL | RULE | {"layers": [NAMED | LAYERS | CURVES]},
    OF_MODEL | {"input": INPUT_HEAD, "of": OF} | RULE | {"layers": [{"name": str} | CURVES]},
)
NamedCurve = tuple[str, Curve]
"""A heading and its curve."""


@dataclass(frozen=True)
class GradientsAnswer(Answer):
    """Gradients of one or several stacks of layers for the same input, or of the layers of a model.

    model: the layers of the model as one result without tensors; None for layers that are described.
    whole: whether there is one curve, from the output of all layers to their input.
    layer: the name in its model of the only layer that is shown; "" for layers that are described.
    """

    gradients: tuple[Gradients, ...]
    model: Result | None = None
    whole: bool = False
    layer: str = ""

    def results(self) -> tuple[Result, ...]:
        """Return the run of each."""
        return tuple(gradients.header for gradients in self.gradients)

    def document(self, view: View) -> dict[str, Any]:
        """`{..., "engine", "seed", "input", "conditions", "of", "rule", "layers": [...]}`.

        of: tensor, batch, text and how many `entries`.  rule: `vanishes_below`, `falls_below`,
        `explodes_above` and `grows_above`, as ratios to the norm at the last processed step that the output
        depends on.  Each of the layers has its `expression`, `layer` (Keras's configs) and `curves`:
        `part` (`hidden`, `cell`, or `input`), `input` (the name of one of several), `direction` (forward,
        backward, or "" if both read it),
        `norms` (one number per time step of the input, the Frobenius norm of d(of)/d(part)), `masked`
        (true for skipped steps), `verdict`: `kind` (vanishes, falls, explodes, grows, varies, steady,
        independent, undefined), `timestep`, `ratio`, `reference`, and, of a state, `through`: the share of
        its gradient, over all steps, that comes back through each gate, or a part of a state's equation,
        `forget * cell`.
        Of a model, each layer has its own `name`, `input` and `of`.
        `whole`: true where the one curve goes from the output to the input, through every layer; of a live
        object, `layers` has its `name`.
        """
        common = head_of(self.gradients[0].header if self.model is None else self.model)
        for name in ("layer", "expression", "layers"):  # each stack has its own
            common.pop(name, None)
        in_model = self.model is not None
        return {
            **common,
            **({} if in_model else _of_document(self.gradients[0])),
            **({"whole": True} if self.whole else {}),
            "rule": {
                **{f"{kind}_below": limit for kind, limit in BELOW.items()},
                **{f"{kind}_above": limit for kind, limit in ABOVE.items()},
            },
            "layers": [
                {
                    **({"name": name, **_of_document(stack)} if in_model else {}),
                    **(
                        {"expression": expression_of(stack.specs), "layer": configs_of(stack.specs)}
                        if stack.specs
                        else {"name": name}
                    ),
                    **({"weight": stack.weight, "lines": dict(stack.by_line)} if stack.weight else {}),
                    "curves": [
                        {
                            "part": str(INPUT if curve.is_input else curve.part),
                            **({"input": str(curve.part)} if curve.is_input and curve.part != INPUT else {}),
                            "direction": curve.direction,
                            "norms": curve.norms,
                            "masked": curve.masked_steps.tolist(),
                            "verdict": curve.verdict._asdict(),
                            **({"through": curve.shares} if curve.shares else {}),
                        }
                        for curve in stack.curves
                    ],
                }
                for name, stack in self._named()
            ],
        }

    def page(self, view: View) -> Page:
        """Return the norms as bars and numbers, then a verdict per curve."""
        if self.gradients[0].weight:
            return self._page_of_weight(view)
        first, norms = self.gradients[0], "norm of the gradient of {of}, one row per time step"
        if self.whole:
            norms = "norm of the gradient of {of} with respect to the input, one row per time step"
        covers = line(view.say("each curve covers one layer: from the layer's output to the layer's input"))
        if self.model is None:
            heading = line(view.say(norms, of=first.target.title))
            named = ((layer if self._are_named else "", stack) for layer, stack in self._named())
            parts = _draw_curves(_name_curves(named), view)
            notes = (*notes_of(first.header, view), *((covers,) if self.layer else ()), heading)
            return Page(self._title(view), notes, tuple(parts))
        parts = []
        for layer, stack in self._named():
            of = view.say(norms, of=f"{layer}/{stack.target.title}")
            head: Line = (Span(f"{layer}  ", "strong"), *map(Span, expressions_of(stack.specs)))
            parts += [head, line(of), *_draw_curves(_name_curves([("", stack)]), view), ()]
        return Page(self._title(view), (*notes_of(self.model, view), covers), tuple(parts[:-1]))

    def _page_of_weight(self, view: View) -> Page:
        first = self.gradients[0]
        rows, say = list(self._by_line()), view.say
        largest = max((norm for _, _, norm, _ in rows), default=0)
        has_gates = any(stack.by_line.keys() - stack.new_states for stack in self.gradients)
        first_column = 0 if self._are_named else 1
        columns = [Column(say(name)) for name in ("layer", "gate" if has_gates else "line", "norm")]
        cells = (
            (
                cell(kind),
                cell(name if state is None else f"{name} ({say(new_state(state))})"),
                draw_norm(norm, norm / largest if largest else 0, LONGEST_BAR, view),
            )
            for kind, name, norm, state in rows
        )
        table = Table(tuple(columns[first_column:]), tuple(row[first_column:] for row in cells))
        by_gate = "norm of the gradient of {of} with respect to {weight}, by gate"
        whole = "norm of the gradient of {of} with respect to {weight}"
        of = first.target.title if self.model is None else say("each layer's last output")
        heading = say(by_gate if has_gates else whole, of=of, weight=first.weight)
        unread = line(say("no line of the cell reads it"))
        head = (*notes_of(self.model or first.header, view), line(heading))
        return Page(self._title(view), head, (table,) if rows else (unread,))

    def _by_line(self) -> Iterator[tuple[str, str, float, str | None]]:
        """Yield the names of a layer and of a line of its cell, the norm, and the state set by the line."""
        for name, stack in self._named():
            for line_name, norm in stack.by_line.items():
                yield name, line_name, norm, stack.new_states.get(line_name)

    def records(self, view: View) -> Records:
        """Return layer, direction, part, timestep, masked, value: one norm per row; of a weight, by gate.

        The name of the sequence, if it has one, stands in a column `batch`, as in a trace.
        """
        named = self.gradients[0].target.sequence
        column, batch = (("batch",), (named,)) if named else ((), ())
        if self.gradients[0].weight:
            weights = ((kind, name, *batch, repr(norm)) for kind, name, norm, _ in self._by_line())
            return ("layer", "gate", *column, "value"), weights
        names = self.gradients[0].curves[0].steps
        header = (
            "layer",
            "direction",
            "part",
            "timestep",
            *(["step"] if names else []),
            *column,
            "masked",
            "value",
        )
        return header, (
            (
                *(name, curve.direction, str(curve.part), step, *names[step : step + 1], *batch),
                *(int(curve.masked_steps[step]), repr(float(norm))),
            )
            for name, stack in self._named()
            for curve in stack.curves
            for step, norm in enumerate(curve.norms)
        )

    def tensors(self) -> dict[str, Array]:
        """Return `forward/hidden`, `input`, ..., each (timesteps,); with a layer prefix if several.

        Of a weight: one number for each gate.  Through every layer: `input`.
        """
        import numpy as np

        several = self._are_named
        if self.whole:
            return {str(curve.part): curve.norms for curve in self.gradients[0].curves}
        if self.gradients[0].weight:
            rows = self._by_line()
            return {f"{kind}/{name}" if several else name: np.array(norm) for kind, name, norm, _ in rows}
        return {
            str(curve.part._replace(layer=name if several else None, direction=curve.direction)): curve.norms
            for name, stack in self._named()
            for curve in stack.curves
        }

    @property
    def _are_named(self) -> bool:
        return self.model is not None or len(self.gradients) > 1

    def _title(self, view: View) -> Line:
        if self.model is not None:
            return title_of(self.model, view)
        if not self.gradients[0].specs:
            return title_of(self.gradients[0].header, view)
        first, *others = (title(stack.specs, view) for stack in self.gradients)
        return (*first, *(span for other in others for span in (Span("  |  ", "dim"), *other)))

    def _named(self) -> Iterator[tuple[str, Gradients]]:
        """Yield every stack with its layer's name in the model, else its class, `LSTM`, a second `LSTM 2`."""
        if self.model is not None and self.model.model is not None:
            yield from zip(self.model.model.layers, self.gradients, strict=True)
            return
        from rnncli.layers import is_stepped

        kinds: list[str] = []
        for stack in self.gradients:
            if stack.header.model is not None:
                kinds.append(stack.header.model.file)
            else:
                spec = next(spec for spec in reversed(stack.specs) if is_stepped(spec))
                inner = spec.config.get("layer")
                kinds.append(spec.class_name if inner is None else f"Bi{inner.class_name}")
            count = kinds.count(kinds[-1])
            yield kinds[-1] if count == 1 else f"{kinds[-1]} {count}", stack


def _name_curves(named: Iterable[tuple[str, Gradients]]) -> list[NamedCurve]:
    """Return every curve with its heading: the states of every layer, then the inputs."""
    stacks = list(named)
    has_backward = {curve.direction for _, stack in stacks for curve in stack.curves} > {"forward"}
    curves = [
        (" ".join(filter(None, (layer, curve.direction if has_backward else "", str(curve.part)))), curve)
        for layer, stack in stacks
        for curve in stack.curves
    ]
    return sorted(curves, key=lambda pair: pair[1].is_input)


def _of_document(stack: Gradients) -> dict[str, Any]:
    target, header = stack.target, stack.header
    return {
        "input": {
            "shape": list(header.input_shape),
            "dtype": header.input_dtype,
            **names_of(header),
        },
        "of": {
            "tensor": target.name,
            "batch": target.batch,
            **({"sequence": target.sequence} if target.sequence else {}),
            "text": target.text,
            "entries": len(target.entries),
        },
    }


def _draw_curves(curves: Sequence[NamedCurve], view: View) -> list[PagePart]:
    tables = CurveTables.of(curves, view)
    verdicts = (verdict for name, curve in curves for verdict in write_verdict(name, curve, view))
    return [Variants(tables.draw()), (), *tables.notes(), (), *verdicts]


class CurveTables(NamedTuple):
    """Curves side by side, one row per step; low, high: the range of their bars, in powers of ten."""

    curves: Sequence[NamedCurve]
    steps: Sequence[int]
    low: float
    high: float
    view: View

    @classmethod
    def of(cls, curves: Sequence[NamedCurve], view: View) -> CurveTables:
        """Return all curves, with evenly spaced steps and the last one if there are many.

        The range spans all norms, at least one power of ten and at most DECADES.
        """
        norms = [float(norm) for _, curve in curves for norm in curve.norms]
        logs = [log10(norm) for norm in norms if norm > 0 and isfinite(norm)] or [0.0]
        count, high = len(curves[0][1].norms), max(logs)
        spacing = 1 if view.full else -(-count // MOST_ROWS)
        steps = sorted({*range(0, count, spacing), count - 1})
        return cls(curves, steps, max(min(min(logs), high - 1), high - DECADES), high, view)

    def draw(self) -> Iterator[tuple[Table, ...]]:
        """Yield all curves in one table, its bars ever shorter, then in two tables, and so on."""
        count = len(self.curves)
        below_heading = max(len(name) for name, _ in self.curves) - NUMBER - 1
        shortest = min(max(below_heading, SHORTEST_BAR), LONGEST_BAR)
        for each in sorted({-(-count // tables) for tables in range(1, count + 1)}, reverse=True):
            for length in range(LONGEST_BAR, (shortest if each > 1 else 0) - 1, -1):
                yield tuple(
                    self._table(self.curves[start : start + each], length) for start in range(0, count, each)
                )

    def _table(self, curves: Sequence[NamedCurve], length: int) -> Table:
        """Return one row per time step.  length: of the longest bar."""
        masked_steps = curves[0][1].masked_steps
        marked = masked_steps.any()
        columns = [Column("t", right=True), *([Column("")] if marked else [])]
        if names := curves[0][1].steps:
            columns.insert(1, Column(self.view.say(curves[0][1].heading)))
        columns += [Column(name) for name, _ in curves]
        rows = []
        for step in self.steps:
            status = [cell(self.view.say("masked") if masked_steps[step] else "", "dim")] if marked else []
            word = [cell(name_text(names[step]))] if names else []
            cells = [cell(f"{step}"), *word, *status]
            for _, curve in curves:
                norm, part = float(curve.norms[step]), curve.part.part
                share = (
                    (log10(norm) - self.low) / (self.high - self.low) if 0 < norm < inf else float(norm > 0)
                )
                style = part if part in ("hidden", "cell") else ""
                cells.append(draw_norm(norm, share, length, self.view, style))
            rows.append(tuple(cells))
        return Table(tuple(columns), tuple(rows))

    def notes(self) -> Iterator[Paragraph]:
        """Yield notes on how to read the table."""
        say, (low, high) = self.view.say, (f"{10**end:.1g}" for end in (self.low, self.high))
        yield Paragraph(say("bars are logarithmic, from {low} to {high}", low=low, high=high), "dim")
        if any(curve.part.part == "cell" for _, curve in self.curves):
            yield Paragraph(say(OWN_STEP), "dim")
        shown, count = len(self.steps), len(self.curves[0][1].norms)
        if shown < count:
            words = say("{shown} of {count} time steps; --full shows all", shown=shown, count=count)
            yield Paragraph(words, "dim")


def draw_norm(norm: float, share: float, length: int, view: View, style: str = "") -> TableCell:
    """Return `███▌      0.0312`; the bar, `share` of the length, is always visible for a norm above 0."""
    size = min(max(0.0, share), 1.0) * length  # in this order, a share that is NaN becomes 0
    least = int(norm > 0 and length > 0)
    eighths = max(round(size * 8), least)
    bar = EIGHTHS[-1] * (eighths // 8) + EIGHTHS[eighths % 8].strip()
    bar = "#" * max(round(size), least) if view.ascii else bar
    digits = 3 if view.precision is None else max(view.precision, 1)
    number = f"{norm:#.{digits}g}".rstrip(".") if norm else "0"
    shown = Span(bar.ljust(length)[:length], style)
    return ((shown, Span(" " if length else ""), Span(f"{number:>{NUMBER}}")),)


def write_verdict(name: str, curve: Curve, view: View) -> Iterator[Paragraph]:
    """Yield `hidden: the gradient vanishes before t=3: ...`; after it where the steps run backward."""
    kind, timestep, ratio, reference = curve.verdict
    if curve.direction == "" and kind not in ("undefined", "independent"):
        return
    names: dict[int | None, Any] = {
        step: f"{step} ({name_text(name)})" for step, name in enumerate(curve.steps) if name
    }
    at, is_backward = 0 if timestep is None else timestep, curve.direction == "backward"
    beside = at - 1 if is_backward else at + 1
    where = Message("after t={t}" if is_backward else "before t={t}", t=names.get(beside, beside))
    size = f"{0.0 if ratio is None else ratio:.2g}"
    sentence = view.say(VERDICTS[kind], where=where, ratio=size, reference=names.get(reference, reference))
    style = "alarm" if kind in ("vanishes", "explodes", "undefined") else ""
    yield Paragraph(f"{name}: {sentence}", style, lead=name)
    for gate, share in list(curve.shares.items())[:1]:
        way: Text = Message("the candidate") if gate == "candidate" else gate
        if gate in curve.new_states:
            way = Message("{line}, the {new_state}", line=gate, new_state=new_state(curve.new_states[gate]))
        elif gate in GATES and gate != "candidate":
            way = Message("the gate {line}", line=gate)
        elif way == gate and gate.isidentifier() and gate != curve.part.part:
            way = Message("the line {line}", line=gate)
        sentence = view.say(THROUGH[share < 1], way=way, share=f"{min(100 * share, 99):.0f}%")
        yield Paragraph(f"{name}: {sentence}", lead=name)
