"""How far back an output sees: which numbers are asked about, and what their gradients say, by a stated rule.

The gradients themselves come from Keras, see engines/_gradients.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli import indexing, layers
from rnncli.case import Case, Spec
from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.result import TensorInfo

VANISHED, EXPLODED = 1e-3, 1e3
"""What a norm is held against is the norm at the last processed step that the output depends on."""


class Target(NamedTuple):
    """The numbers that are differentiated.

    position, name: of the tensor among those returned.  batch: the sequence.  text: `hidden_states[0, 3, :]`.
    entries: their places in that sequence's tensor, flattened.
    """

    position: int
    name: str
    batch: int
    text: str
    entries: Array


class Verdict(NamedTuple):
    """What a curve does on the way back: `vanishes`, `explodes`, `steady`, `independent` or `undefined`.

    timestep: the first step, going back, that is beyond the bound.  ratio: the smallest or largest one.
    reference: the step that the norms are held against; None where the output depends on no step.
    """

    kind: str
    timestep: int | None = None
    ratio: float | None = None
    reference: int | None = None


@dataclass(frozen=True)
class Curve:
    """A norm a time step.

    part: `input`, or a part of the state, `hidden`, `cell`, `cell_0/hidden`.  direction: forward or backward;
    "" for the input of Bidirectional, which both directions read.
    norms: (timesteps,), at the input's own index.
    skipped: (timesteps,) of bool, True where the mask left a step out.
    """

    part: str
    direction: str
    norms: Array
    skipped: Array

    @property
    def verdict(self) -> Verdict:
        """By the rule; of the steps that were computed, in the order of processing."""
        steps = range(len(self.norms))
        order = steps[::-1] if self.direction == "backward" else steps
        kept = [step for step in order if not self.skipped[step]]
        return judged(kept, [float(self.norms[step]) for step in kept])


@dataclass(frozen=True)
class Gradients:
    """Of one stack of layers: a curve a part of the last recurrent layer's state, then the input's.

    conditions: as those of a Result.
    """

    layers: tuple[Spec, ...]
    target: Target
    curves: tuple[Curve, ...]
    seed: int | None
    input_shape: tuple[int, ...]
    input_dtype: str
    engine: str = "tensorflow"
    conditions: Mapping[str, int] = field(default_factory=dict)


def judged(steps: Sequence[int], norms: Sequence[float]) -> Verdict:
    """The rule.  steps, norms: in the order of processing.

    The reference is the last step whose norm is not 0.  It explodes where a step before it is above
    1000 times the reference; it vanishes where the first step, and every one up to some step, is below
    a thousandth of it.
    """
    last = next((place for place in reversed(range(len(norms))) if norms[place] != 0), None)
    if last is None:
        return Verdict("independent")
    ratios = [norm / norms[last] for norm in norms[: last + 1]]
    if any(ratio != ratio for ratio in ratios):
        return Verdict("undefined")
    above = [place for place, ratio in enumerate(ratios) if ratio > EXPLODED]
    if above:
        return Verdict("explodes", steps[above[-1]], max(ratios), steps[last])
    below = next(place for place, ratio in enumerate(ratios) if ratio >= VANISHED)
    if below:
        return Verdict("vanishes", steps[below - 1], min(ratios[:below]), steps[last])
    return Verdict("steady", None, ratios[0], steps[last])


def target(text: str | None, infos: Sequence[TensorInfo]) -> Target:
    """What `hidden_states[0,3,1]` names; without a text the output of the last time step.

    An index is a number or a slice an axis, the batch first; what is left out is taken whole, and a
    batch left out is the sequence 0.  Raises UsageError where there is no such number.
    """
    if text is None:
        text = f"{infos[0].name}[0, -1]" if "timesteps" in infos[0].axes else f"{infos[0].name}[0]"
    info, parts = indexing.named(text, infos, "--of: ")
    return _placed(infos.index(info), info, _index(text, parts or ["0"], info))


def layer_of(case: Case) -> int:
    """The place of the last layer that steps through time.  Raises UsageError where its state is hidden."""
    places = [place for place, spec in enumerate(case.layers) if is_stepped(spec)]
    after = case.layers[places[-1] if places else 0 :]
    hidden = [spec.class_name for spec in after if not layers.class_of(spec.class_name).without_keras]
    if hidden or not places:
        raise UsageError(
            f"gradients cannot watch the states of {(hidden or [case.layers[-1].class_name])[-1]}.",
            "Take SimpleRNN, LSTM, GRU, RNN or Bidirectional.",
        )
    return places[-1]


def is_stepped(spec: Spec) -> bool:
    """Whether it steps through time, with states that can be watched."""
    layer = layers.class_of(spec.class_name)
    return layer.recurrent and layer.without_keras


def units_of(case: Case) -> int:
    """How many the last layer that steps through time has; the last cell's where there are several."""
    spec: Any = case.layers[layer_of(case)]
    while "units" not in spec.config:
        spec = spec.config.get("layer") or spec.config["cell"]
        spec = spec[-1] if isinstance(spec, tuple) else spec
    return int(spec.config["units"])


def of(case: Case, target: Target, states: Mapping[str, Array], inputs: Array, skipped: Array) -> Gradients:
    """What an engine found, states by `forward/hidden`, as curves."""
    curves = []
    for name, norms in states.items():
        direction, _, part = name.partition("/")
        curves.append(Curve(part, direction, norms, skipped))
    ways = {curve.direction for curve in curves}
    curves.append(Curve("input", ways.pop() if len(ways) == 1 else "", inputs, skipped))
    return Gradients(
        case.layers, target, tuple(curves), case.seed, tuple(case.inputs.shape), str(case.inputs.dtype)
    )


def _index(text: str, parts: Sequence[str], info: TensorInfo) -> indexing.Index:
    if len(parts) > len(info.axes):
        raise UsageError(
            f"--of {text}: {info.name} has {len(info.axes)} axes, and {len(parts)} indices came.",
            f"Its axes are {', '.join(info.axes)}.",
        )
    return tuple(
        _one(text, part, axis, size) for part, axis, size in zip(parts, info.axes, info.shape, strict=False)
    )


def _one(text: str, part: str, axis: str, size: object) -> int | slice:
    """One index, not negative; or a slice, which may be empty of nothing."""
    length = int(str(size))
    try:
        one = indexing.number(part) if axis == "batch" else indexing.part(part)
        kept = range(length)[one]
    except ValueError:
        advice = "One sequence at a time: its number." if axis == "batch" else "Write a number, or 2:5, or :."
        raise UsageError(f"--of {text}: {part!r} is no index of {axis}.", advice) from None
    except IndexError:
        raise UsageError(
            f"--of {text}: {axis} has {length}, and the index is {part}.",
            f"Indices run from 0 to {length - 1}, or back from -1." if length else "It is empty.",
        ) from None
    if isinstance(kept, int):
        return kept
    if not kept:
        raise UsageError(f"--of {text}: {part} of {axis} is empty.", f"{axis} has {length}.")
    return one


def _placed(position: int, info: TensorInfo, index: indexing.Index) -> Target:
    import numpy as np

    batch = index[0] if isinstance(index[0], int) else 0
    shape = tuple(int(str(size)) for size in info.shape[1:])
    entries = np.arange(int(np.prod(shape))).reshape(shape)[index[1:]].ravel()
    shown = [_written(part) for part in index] + [":"] * (len(info.axes) - len(index))
    return Target(position, info.name, batch, f"{info.name}[{', '.join(shown)}]", entries)


def _written(part: int | slice) -> str:
    if isinstance(part, int):
        return str(part)
    return ":".join("" if side is None else str(side) for side in (part.start, part.stop))
