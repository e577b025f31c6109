"""The colors of values in each style, in files and in the terminal alike.

A ramp is a list of colors from low to high, interpolated in between.  Gates run from light to dark
(or dark to light), states have a neutral middle for zero, and the input has its own ramp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnncli.commands.plot.sheet import Scale

Ramp = tuple[str, ...]


@dataclass(frozen=True)
class Style:
    """paper, ink: background and text.  bad: color of NaN.

    kinds: the colors of what a diagram shows: `gate`, `candidate`, `cell`, `hidden`, `input`.
    """

    paper: str
    ink: str
    faint: str
    bad: str
    gate: Ramp
    state: Ramp
    input: Ramp
    input_diverging: Ramp
    kinds: Mapping[str, str]

    def choose_ramp(self, scale: Scale) -> Ramp:
        """Return the colors of `scale`, low to high."""
        if "input" in scale.kinds:
            return self.input_diverging if scale.diverging else self.input
        return self.state if scale.diverging else self.gate


KINDS = ("gate", "candidate", "cell", "hidden", "input")
GREYS = ("#ffffff", "#bdbdbd", "#737373", "#3a3a3a", "#000000")

STYLES = {
    "light": Style(
        paper="#ffffff",
        ink="#20242b",
        faint="#8b929c",
        bad="#e3c200",
        gate=("#fbf6dc", "#a9d8b8", "#45a3b5", "#1f5c93", "#112a5c"),
        state=("#0d3b78", "#4a8cc2", "#aed0e6", "#f7f5f2", "#f2b8a0", "#d4614a", "#7c1226"),
        input=("#ffffff", "#c9ced4", "#7d858f", "#23282f"),
        input_diverging=("#4a2c7c", "#9a80c2", "#d6cbe6", "#f7f5f2", "#f0d29a", "#cf9136", "#744806"),
        kinds=dict(zip(KINDS, ("#257d36", "#bf3989", "#8a3ffc", "#0a6c74", "#b8500a"), strict=True)),
    ),
    "dark": Style(
        paper="#14181e",
        ink="#e6e9ed",
        faint="#7d8590",
        bad="#e3c200",
        gate=("#1a212b", "#1d4b6b", "#2f8a93", "#7cc79a", "#f6f1c4"),
        state=("#9fd2ff", "#4d97d8", "#27527f", "#20262e", "#84402f", "#d9694a", "#ffc3a6"),
        input=("#1a212b", "#565e69", "#a3aab3", "#ffffff"),
        input_diverging=("#d3bdfa", "#8d6ec4", "#4a3a6b", "#20262e", "#6b4e1c", "#c08a2f", "#ffdf9e"),
        kinds=dict(zip(KINDS, ("#3fb950", "#f778ba", "#d2a8ff", "#4fd1d9", "#f0883e"), strict=True)),
    ),
    "grey": Style(
        paper="#ffffff", ink="#000000", faint="#808080", bad="#ffffff",
        gate=GREYS, state=GREYS, input=GREYS, input_diverging=GREYS, kinds=dict.fromkeys(KINDS, "#404040"),
    ),
}  # fmt: skip
"""In the gray style, states also run from white to black, so that a print shows their sign."""


def mix(ramp: Sequence[str], share: float) -> tuple[int, int, int]:
    """Return the color at a `share` of the ramp, 0 to 1, as red, green, blue from 0 to 255."""
    at = min(max(share, 0.0), 1.0) * (len(ramp) - 1)
    below = min(int(at), len(ramp) - 2)
    pairs = zip(*(bytes.fromhex(color[1:]) for color in ramp[below : below + 2]), strict=True)
    red, green, blue = (round(low + (high - low) * (at - below)) for low, high in pairs)
    return red, green, blue


def is_dark(color: tuple[float, float, float]) -> bool:
    """Return whether white text has more contrast on `color` (0 to 255) than black text, per WCAG."""
    shares = (part / 255 for part in color)  # then the linear light of each channel
    red, green, blue = (low / 12.92 if low <= 0.04045 else ((low + 0.055) / 1.055) ** 2.4 for low in shares)
    return bool((0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) ** 2 < 1.05 * 0.05)
