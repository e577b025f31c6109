"""Random layers for pages, and what their scripts answer without a browser."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import own_cells
from browsers import node

from rnncli.ask import Ask, subject_of
from rnncli.cells import activations
from rnncli.commands.report.contents import build_contents
from rnncli.layers.case import Case

SCRIPT = Path(__file__).with_name("answer.mjs")
CELLS = own_cells.samples()


class PageCase(NamedTuple):
    """A page's data, and the Case that it is about."""

    ask: Ask
    case: Case
    data: dict[str, Any]


def page_of(**asked: Any) -> PageCase:
    """Return the data of a page about described layers."""
    ask = Ask(**asked)
    subject = subject_of(ask)
    parts = subject.parts().uses
    contents = build_contents(parts, described=not subject.fixed_layers)
    contents.data["commands"] = {}
    return PageCase(ask, parts[0].case, contents.data)


def random_pages(count: int, seed: int = 0) -> Iterator[PageCase]:
    """Yield pages about random layers: every kind, activation, direction, merge mode, mask and state."""
    rng = np.random.default_rng(seed)
    functions = activations.names()
    for _ in range(count):
        units, features, steps, batch = (int(rng.integers(1, most)) for most in (5, 5, 7, 4))
        flags = {
            "return_sequences": bool(rng.integers(2)),
            "return_state": bool(rng.integers(2)),
            "zero_output_for_mask": bool(rng.integers(2)),
            "activation": str(rng.choice(functions)),
        }
        kind = str(rng.choice(["LSTM", "GRU", "SimpleRNN"]))
        if kind == "GRU":
            flags["reset_after"] = bool(rng.integers(2))
        wrapped = rng.integers(3) == 0
        if not wrapped:
            flags["go_backwards"] = bool(rng.integers(2))
        layer = f"{kind}({units}, {', '.join(f'{name}={value!r}' for name, value in flags.items())})"
        if wrapped:
            mode = [None, "concat", "sum", "mul", "ave"][rng.integers(5)]
            layer = f"Bidirectional({layer}, merge_mode={mode!r})"
        below = ["GRU(3, return_sequences=True)", "Dropout(0.5)"] if rng.integers(5) == 0 else []
        states = None
        if not below and rng.integers(3) == 0:
            count_of_states = (1 + (kind == "LSTM")) * (1 + bool(wrapped))
            states = [rng.normal(size=(batch, units)).astype(np.float32) for _ in range(count_of_states)]
        yield page_of(
            input=rng.normal(size=(batch, steps, features)).astype(np.float32),
            layer=[*below, layer],
            mask=rng.random((batch, steps)) > 0.3 if rng.integers(2) else None,
            initial_state=states,
            seed=int(rng.integers(10_000)),
        )


def answers(pages: Sequence[PageCase], addresses: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return what the scripts say of each page, and of the numbers at these addresses."""
    asked = [
        {"data": page.data, "addresses": list(wanted)} for page, wanted in zip(pages, addresses, strict=True)
    ]
    said = subprocess.run(
        [node(), str(SCRIPT)], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)  # type: ignore[no-any-return]
