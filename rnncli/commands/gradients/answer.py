"""gradients: how far back the output depends on states and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, log10
from typing import Any

from rnncli.case import Array
from rnncli.commands.gradients.curves import EXPLODED, VANISHED, Curve, Gradients
from rnncli.renderers.measure import Space, wrap
from rnncli.renderers.page import Cell, Column, Line, Page, Records, Span, Table, View, cell, line
from rnncli.renderers.parts import configs, expression, head_of, note_of, title
from rnncli.renderers.width import longest
from rnncli.renderers.wording import say

MOST_ROWS = 24
"""If there are more steps, evenly spaced ones are shown, unless View.full is set."""
LONGEST_BAR = 14
EIGHTHS = " ▏▎▍▌▋▊▉█"
NUMBER = 8
DECADES = 30
"""Bars span at most this many powers of ten."""


@dataclass(frozen=True)
class GradientsAnswer:
    """Gradients of one or several stacks of layers for the same input."""

    found: tuple[Gradients, ...]

    def document(self, view: View) -> dict[str, Any]:
        """`{..., "engine", "seed", "input", "conditions", "of", "rule", "layers": [...]}`.

        of: tensor, batch, text and how many `entries`.  rule: `vanishes_below` and `explodes_above`, both
        as ratios to the norm at the last processed step that the output depends on.  Each of the layers
        has its `expression`, `layer` (Keras's configs) and `curves`: `part` (`hidden`, `cell`, or `input`),
        `direction` (forward, backward, or "" if both read it), `norms` (one number per time step of the
        input, the Frobenius norm of d(of)/d(part)), `masked` (true for skipped steps), and
        `verdict`: `kind` (vanishes, explodes, steady, independent, undefined), `timestep`, `ratio`,
        `reference`.
        """
        first = self.found[0]
        target = first.target
        common = head_of(first)
        del common["layer"], common["expression"]  # each stack has its own
        return {
            **common,
            "of": {
                "tensor": target.name,
                "batch": target.batch,
                "text": target.text,
                "entries": len(target.entries),
            },
            "rule": {"vanishes_below": VANISHED, "explodes_above": EXPLODED},
            "layers": [
                {
                    "expression": expression(found.stack),
                    "layer": configs(found.stack),
                    "curves": [_curve(curve) for curve in found.curves],
                }
                for found in self.found
            ],
        }

    def page(self, view: View) -> Page:
        """Return the norms as bars and numbers, then a verdict per curve, and the rule."""
        first = self.found[0]
        asked = line(say("norms of", view.lang).format(of=first.target.text))
        curves = self._name_curves()
        parts: list[Table | Line] = [*_tables(curves, view), (), *_notes(curves, view), ()]
        parts += [verdict for name, curve in curves for verdict in _verdict(name, curve, view)]
        parts += [line(text, "dim") for text in wrap(say("rule", view.lang), view)]
        return Page(self._title(view), (note_of(first, view), asked), tuple(parts))

    def records(self, view: View) -> Records:
        """Return layer, direction, part, timestep, masked, value: one norm per row."""
        header = ("layer", "direction", "part", "timestep", "masked", "value")
        return header, (
            (name, curve.direction, curve.part, step, int(curve.skipped[step]), repr(float(norm)))
            for name, found in zip(self._names(), self.found, strict=True)
            for curve in found.curves
            for step, norm in enumerate(curve.norms)
        )

    def tensors(self) -> dict[str, Array]:
        """Return `forward/hidden`, `input`, ..., each (timesteps,); with a layer prefix if several."""
        several = len(self.found) > 1
        return {
            "/".join(filter(None, (name if several else "", curve.direction, curve.part))): curve.norms
            for name, found in zip(self._names(), self.found, strict=True)
            for curve in found.curves
        }

    def _title(self, view: View) -> Line:
        first, *others = (title(found.stack, view) for found in self.found)
        return (*first, *(span for other in others for span in (Span("  |  ", "dim"), *other)))

    def _names(self) -> list[str]:
        """Return names such as `LSTM`; a second one of the same class is `LSTM 2`."""
        kinds = [_kind(found) for found in self.found]
        counts = [kinds[: place + 1].count(kind) for place, kind in enumerate(kinds)]
        return [kind if count == 1 else f"{kind} {count}" for kind, count in zip(kinds, counts, strict=True)]

    def _name_curves(self) -> list[tuple[str, Curve]]:
        """Return every curve with its heading: the states of every layer, then the inputs."""
        both = {curve.direction for found in self.found for curve in found.curves} > {"forward"}
        named = []
        for layer, found in zip(self._names(), self.found, strict=True):
            for curve in found.curves:
                way = curve.direction if both else ""
                words = (layer if len(self.found) > 1 else "", way, curve.part)
                named.append((" ".join(filter(None, words)), curve))
        return sorted(named, key=lambda pair: pair[1].part == "input")


def _kind(found: Gradients) -> str:
    """Return the class of the layer whose states are tracked; for Bidirectional, of the inner layer."""
    from rnncli.layers import is_stepped

    spec = next(spec for spec in reversed(found.stack) if is_stepped(spec))
    inner = spec.config.get("layer")
    return f"Bi{inner.class_name}" if inner is not None else spec.class_name


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "part": curve.part,
        "direction": curve.direction,
        "norms": curve.norms,
        "masked": curve.skipped.tolist(),
        "verdict": curve.verdict._asdict(),
    }


def _tables(curves: Sequence[tuple[str, Curve]], view: View) -> Iterator[Table]:
    """Yield as many tables as the width requires, each with a time column first."""
    low, high = _find_bar_range(curves)
    steps = _choose_steps(len(curves[0][1].norms), view)
    masked = say("masked", view.lang)
    times = [cell(f"{step}") for step in steps]
    marked = any(curve.skipped.any() for _, curve in curves)
    ahead = [len(str(steps[-1])), *([longest([masked])] if marked else [])]
    for group, length in _groups(curves, Space.beside(ahead, view)):
        columns = [Column("t", right=True)]
        columns += [Column("")] if marked else []
        columns += [Column(name) for name, _ in group]
        rows = []
        for step, time in zip(steps, times, strict=True):
            skipped = bool(group[0][1].skipped[step])
            status = [cell(masked if skipped else "", "dim")] if marked else []
            norms = [_norm(float(curve.norms[step]), curve, low, high, length, view) for _, curve in group]
            rows.append((time, *status, *norms))
        yield Table(tuple(columns), tuple(rows))


def _choose_steps(count: int, view: View) -> list[int]:
    """Return all steps, or evenly spaced ones and the last."""
    if view.full or count <= MOST_ROWS:
        return list(range(count))
    apart = -(-count // MOST_ROWS)
    steps = list(range(0, count, apart))
    return steps if steps[-1] == count - 1 else [*steps, count - 1]


def _groups(
    curves: Sequence[tuple[str, Curve]], space: Space
) -> Iterator[tuple[list[tuple[str, Curve]], int]]:
    """Yield curves that fit side by side, and the length of their bars."""
    tables = -(-len(curves) // space.count(max(NUMBER + 4, longest(name for name, _ in curves)), len(curves)))
    abreast = -(-len(curves) // tables)
    beside_bar = NUMBER + 1
    length = space.share(abreast, beside_bar, beside_bar + LONGEST_BAR) - beside_bar
    for start in range(0, len(curves), abreast):
        yield list(curves[start : start + abreast]), length


def _find_bar_range(curves: Sequence[tuple[str, Curve]]) -> tuple[float, float]:
    """Return the range of the bars of all curves, in powers of ten."""
    norms = [float(norm) for _, curve in curves for norm in curve.norms]
    logs = [log10(norm) for norm in norms if norm > 0 and isfinite(norm)] or [0.0]
    high = max(logs)
    return max(min(min(logs), high - 1), high - DECADES), high


def _norm(norm: float, curve: Curve, low: float, high: float, length: int, view: View) -> Cell:
    """Return `███▌      0.0312`."""
    share = 0.0
    if norm > 0:
        share = (log10(norm) - low) / (high - low) if isfinite(norm) else 1.0
    style = "" if curve.part == "input" else curve.part.rpartition("/")[2]
    digits = 3 if view.precision is None else max(view.precision, 1)
    bar = _bar(min(max(share, 0.0), 1.0), length, norm > 0, view)
    number = f"{norm:#.{digits}g}".rstrip(".") if norm else "0"
    return ((Span(bar, style), Span(" " if length else ""), Span(f"{number:>{NUMBER}}")),)


def _bar(share: float, length: int, some: bool, view: View) -> str:
    """Draw a bar for `share` of `length`; a value above 0 is always visible."""
    if view.ascii:
        return ("#" * max(round(share * length), int(some and length > 0))).ljust(length)
    eighths = max(round(share * length * 8), int(some and length > 0))
    return (EIGHTHS[-1] * (eighths // 8) + EIGHTHS[eighths % 8]).strip().ljust(length)[:length]


def _notes(curves: Sequence[tuple[str, Curve]], view: View) -> Iterator[Line]:
    """Yield notes on how to read the table."""
    low, high = _find_bar_range(curves)
    texts = [say("log bars", view.lang).format(low=f"{10**low:.1g}", high=f"{10**high:.1g}")]
    if any(curve.part.rpartition("/")[2] == "cell" for _, curve in curves):
        texts.append(say("cell read", view.lang))
    count = len(curves[0][1].norms)
    shown = len(_choose_steps(count, view))
    if shown < count:
        texts.append(say("some steps", view.lang).format(shown=shown, count=count))
    for text in texts:
        yield from (line(part, "dim") for part in wrap(text, view))


def _verdict(name: str, curve: Curve, view: View) -> Iterator[Line]:
    """Yield `hidden  vanishes at t=3: ...`."""
    kind, timestep, ratio, reference = curve.verdict
    if curve.direction == "" and kind not in ("undefined", "independent"):
        return
    said = say(kind, view.lang).format(
        t=timestep, ratio=f"{0.0 if ratio is None else ratio:.2g}", reference=reference
    )
    style = "alarm" if kind in ("vanishes", "explodes", "undefined") else ""
    for place, text in enumerate(wrap(f"{name}: {said}", view)):
        if place or not text.startswith(name):
            yield line(text, style)
        else:
            yield (Span(name, "strong"), Span(text[len(name) :], style))
