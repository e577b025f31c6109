"""gradients: how far back the output depends on states and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, log10
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.commands.gradients.curves import ABOVE, BELOW, INPUT, Curve, Gradients
from rnncli.result import Label
from rnncli.show.answer import Answer, Records
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
from rnncli.show.parts import head_of, note_of, title
from rnncli.specs import configs_of, expression_of

MOST_ROWS = 24
"""If there are more steps, evenly spaced ones are shown, unless View.full is set."""
LONGEST_BAR, SHORTEST_BAR = 14, 3
EIGHTHS = " ▏▎▍▌▋▊▉█"
NUMBER = 8
DECADES = 30
"""Bars span at most this many powers of ten."""

VERDICTS = {
    "vanishes": "vanishes at t={t} and earlier: less than 1/1000 of the norm at t={reference} is left "
    "(down to {ratio})",
    "falls": "falls at t={t} and earlier: down to {ratio} of the norm at t={reference}",
    "explodes": "explodes at t={t} and earlier: more than 1000 times the norm at t={reference} "
    "(up to {ratio} times)",
    "grows": "grows at t={t} and earlier: up to {ratio} times the norm at t={reference}",
    "varies": "varies: at t={t} and earlier it falls to {ratio} of the norm at t={reference}, and comes back",
    "steady": "steady: between 1/10 and 10 times the norm at t={reference} (at the first step {ratio})",
    "independent": "has no influence",
    "undefined": "cannot be compared: NaN or infinity",
}

NamedCurve = tuple[str, Curve]
"""A heading and its curve."""


@dataclass(frozen=True)
class GradientsAnswer(Answer):
    """Gradients of one or several stacks of layers for the same input."""

    gradients: tuple[Gradients, ...]

    def document(self, view: View) -> dict[str, Any]:
        """`{..., "engine", "seed", "input", "conditions", "of", "rule", "layers": [...]}`.

        of: tensor, batch, text and how many `entries`.  rule: `vanishes_below`, `falls_below`,
        `explodes_above` and `grows_above`, as ratios to the norm at the last processed step that the output
        depends on.  Each of the layers
        has its `expression`, `layer` (Keras's configs) and `curves`: `part` (`hidden`, `cell`, or `input`),
        `direction` (forward, backward, or "" if both read it), `norms` (one number per time step of the
        input, the Frobenius norm of d(of)/d(part)), `masked` (true for skipped steps), and
        `verdict`: `kind` (vanishes, falls, explodes, grows, varies, steady, independent, undefined),
        `timestep`, `ratio`, `reference`.
        """
        first = self.gradients[0]
        target = first.target
        common = head_of(first.header)
        del common["layer"], common["expression"]  # each stack has its own
        return {
            **common,
            "of": {
                "tensor": target.name,
                "batch": target.batch,
                "text": target.text,
                "entries": len(target.entries),
            },
            "rule": {
                **{f"{kind}_below": limit for kind, limit in BELOW.items()},
                **{f"{kind}_above": limit for kind, limit in ABOVE.items()},
            },
            "layers": [
                {
                    "expression": expression_of(found.specs),
                    "layer": configs_of(found.specs),
                    "curves": [_curve(curve) for curve in found.curves],
                }
                for found in self.gradients
            ],
        }

    def page(self, view: View) -> Page:
        """Return the norms as bars and numbers, then a verdict per curve."""
        first, curves = self.gradients[0], self._name_curves()
        norms = "norm of the gradient of {of}, one row per time step"
        heading = line(view.say(norms, of=first.target.text))
        steps, scale = _choose_steps(len(first.curves[0].norms), view), BarScale.of(curves)
        parts: list[PagePart] = [Variants(_draw_variants(curves, steps, scale, view)), ()]
        parts += [*_notes(curves, steps, scale, view), ()]
        parts += [verdict for name, curve in curves for verdict in _verdict(name, curve, view)]
        return Page(self._title(view), (note_of(first.header, view), heading), tuple(parts))

    def records(self, view: View) -> Records:
        """Return layer, direction, part, timestep, masked, value: one norm per row."""
        header = ("layer", "direction", "part", "timestep", "masked", "value")
        return header, (
            (name, curve.direction, str(curve.part), step, int(curve.masked_steps[step]), repr(float(norm)))
            for name, found in zip(self._names(), self.gradients, strict=True)
            for curve in found.curves
            for step, norm in enumerate(curve.norms)
        )

    def tensors(self) -> dict[str, Array]:
        """Return `forward/hidden`, `input`, ..., each (timesteps,); with a layer prefix if several."""
        several = len(self.gradients) > 1
        return {
            str(curve.part._replace(layer=name if several else None, direction=curve.direction)): curve.norms
            for name, found in zip(self._names(), self.gradients, strict=True)
            for curve in found.curves
        }

    def _title(self, view: View) -> Line:
        first, *others = (title(found.specs, view) for found in self.gradients)
        return (*first, *(span for other in others for span in (Span("  |  ", "dim"), *other)))

    def _names(self) -> list[str]:
        """Return names such as `LSTM`; a second one of the same class is `LSTM 2`."""
        kinds = [_kind(found) for found in self.gradients]
        counts = [kinds[: place + 1].count(kind) for place, kind in enumerate(kinds)]
        return [kind if count == 1 else f"{kind} {count}" for kind, count in zip(kinds, counts, strict=True)]

    def _name_curves(self) -> list[NamedCurve]:
        """Return every curve with its heading: the states of every layer, then the inputs."""
        both = {curve.direction for found in self.gradients for curve in found.curves} > {"forward"}
        named = []
        for layer, found in zip(self._names(), self.gradients, strict=True):
            for curve in found.curves:
                way = curve.direction if both else ""
                words = (layer if len(self.gradients) > 1 else "", way, str(curve.part))
                named.append((" ".join(filter(None, words)), curve))
        return sorted(named, key=lambda pair: pair[1].part == INPUT)


def _kind(found: Gradients) -> str:
    """Return the class of the layer whose states are tracked; for Bidirectional, of the inner layer."""
    from rnncli.layers import is_stepped

    spec = next(spec for spec in reversed(found.specs) if is_stepped(spec))
    inner = spec.config.get("layer")
    return f"Bi{inner.class_name}" if inner is not None else spec.class_name


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "part": str(curve.part),
        "direction": curve.direction,
        "norms": curve.norms,
        "masked": curve.masked_steps.tolist(),
        "verdict": curve.verdict._asdict(),
    }


class BarScale(NamedTuple):
    """The range of the bars of all curves, in powers of ten."""

    low: float
    high: float

    @classmethod
    def of(cls, curves: Sequence[NamedCurve]) -> BarScale:
        """Return the range of all norms, at least one power of ten and at most DECADES."""
        norms = [float(norm) for _, curve in curves for norm in curve.norms]
        logs = [log10(norm) for norm in norms if norm > 0 and isfinite(norm)] or [0.0]
        high = max(logs)
        return cls(max(min(min(logs), high - 1), high - DECADES), high)

    def share(self, norm: float) -> float:
        """Return the part of the longest bar that shows this norm; 0 for NaN."""
        if not norm > 0:
            return 0.0
        share = (log10(norm) - self.low) / (self.high - self.low) if isfinite(norm) else 1.0
        return min(max(share, 0.0), 1.0)


def _draw_variants(
    curves: Sequence[NamedCurve], steps: Sequence[int], scale: BarScale, view: View
) -> Iterator[tuple[Table, ...]]:
    """Yield all curves in one table, its bars ever shorter, then in two tables, and so on."""
    count = len(curves)
    below_heading = max(len(name) for name, _ in curves) - NUMBER - 1
    shortest = min(max(below_heading, SHORTEST_BAR), LONGEST_BAR)
    for each in sorted({-(-count // tables) for tables in range(1, count + 1)}, reverse=True):
        for length in range(LONGEST_BAR, (shortest if each > 1 else 0) - 1, -1):
            groups = (curves[start : start + each] for start in range(0, count, each))
            yield tuple(_table(group, steps, scale, length, view) for group in groups)


def _table(
    curves: Sequence[NamedCurve], steps: Sequence[int], scale: BarScale, length: int, view: View
) -> Table:
    """Return one row per time step.  length: of the longest bar."""
    masked_steps = curves[0][1].masked_steps
    marked = masked_steps.any()
    columns = [Column("t", right=True), *([Column("")] if marked else [])]
    columns += [Column(name) for name, _ in curves]
    rows = []
    for step in steps:
        status = [cell(view.say("masked") if masked_steps[step] else "", "dim")] if marked else []
        norms = [_norm(float(curve.norms[step]), curve.part, scale, length, view) for _, curve in curves]
        rows.append((cell(f"{step}"), *status, *norms))
    return Table(tuple(columns), tuple(rows))


def _choose_steps(count: int, view: View) -> list[int]:
    """Return all steps, or evenly spaced ones and the last."""
    spacing = 1 if view.full else -(-count // MOST_ROWS)
    return sorted({*range(0, count, spacing), count - 1})


def _norm(norm: float, part: Label, scale: BarScale, length: int, view: View) -> TableCell:
    """Return `███▌      0.0312`."""
    style = "" if part == INPUT else part.part
    digits = 3 if view.precision is None else max(view.precision, 1)
    number = f"{norm:#.{digits}g}".rstrip(".") if norm else "0"
    bar = _bar(scale.share(norm), length, norm > 0, view)
    return ((Span(bar, style), Span(" " if length else ""), Span(f"{number:>{NUMBER}}")),)


def _bar(share: float, length: int, some: bool, view: View) -> str:
    """Draw a bar for `share` of `length`; a value above 0 is always visible."""
    if view.ascii:
        return ("#" * max(round(share * length), int(some and length > 0))).ljust(length)
    eighths = max(round(share * length * 8), int(some and length > 0))
    return (EIGHTHS[-1] * (eighths // 8) + EIGHTHS[eighths % 8]).strip().ljust(length)[:length]


def _notes(
    curves: Sequence[NamedCurve], steps: Sequence[int], scale: BarScale, view: View
) -> Iterator[Paragraph]:
    """Yield notes on how to read the table."""
    low, high = (f"{10**end:.1g}" for end in scale)
    yield Paragraph(view.say("bars are logarithmic, from {low} to {high}", low=low, high=high), "dim")
    if any(curve.part.part == "cell" for _, curve in curves):
        own = (
            "cell: direct effect on the next step; its effect through its own step's output counts as hidden"
        )
        yield Paragraph(view.say(own), "dim")
    count = len(curves[0][1].norms)
    if len(steps) < count:
        yield Paragraph(
            view.say("{shown} of {count} time steps; --full shows all", shown=len(steps), count=count), "dim"
        )


def _verdict(name: str, curve: Curve, view: View) -> Iterator[Paragraph]:
    """Yield `hidden  vanishes at t=3: ...`."""
    kind, timestep, ratio, reference = curve.verdict
    if curve.direction == "" and kind not in ("undefined", "independent"):
        return
    sentence = view.say(
        VERDICTS[kind], t=timestep, ratio=f"{0.0 if ratio is None else ratio:.2g}", reference=reference
    )
    style = "alarm" if kind in ("vanishes", "explodes", "undefined") else ""
    yield Paragraph(f"{name}: {sentence}", style, lead=name)
