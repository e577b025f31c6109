"""Pages that are open in a browser, and the numbers of their commands."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from command import Run

LSTM = ("-l", "lstm", "--return-sequences", "--return-state", "--seed", "42")
"""The words of the page that most tests open."""
WORDS = {"the": [0.5, 0.1], "film": [-0.2, 0.3], "is": [0.2, 0.2], "Not": [1.5, -1.0], "good": [0.7, 0.9]}
"""The vectors of the words of sentences."""


class Opened:
    """A page that is open, and what it complained about.

    faults: errors of its console, and what it asked of the network.
    """

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.folder = path.parent
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "offline": True, **context}
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)  # a busy machine draws its first Korean slowly
        self.faults: list[str] = []
        self.page.on("console", lambda said: self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "request", lambda asked: self.faults.append(asked.url) if asked.url != path.as_uri() else None
        )
        self.page.goto(path.as_uri())

    def ask(self, code: str) -> Any:
        """Return what a line of JavaScript returns."""
        return self.page.evaluate(code)

    def number(self, address: str) -> Any:
        """Return the control of a number in the picture; goes to its layer, half and time step."""
        name = re.compile(re.escape(address).replace("/", r"\/") + " (=|masked:|마스킹됨:)")
        found = self.page.locator(".picture").get_by_role("button", name=name)
        if found.count():
            return found.first
        *path, line = address.split("/")
        indices = re.findall(r"\w+", line[line.index("[") :])
        layer = self.page.get_by_role("combobox", name="layer")
        if path and path[0] not in ("forward", "backward") and layer.count():
            names = layer.locator("option").all_inner_texts()
            layer.select_option(next(name for name in names if name.startswith(path[0])))
        half = self.page.locator(f'[data-key="half-{path[-1] if path else ""}"]')
        if half.count():
            half.click()
        if len(indices) > 2 and indices[1].isdecimal():
            self.page.get_by_role("slider").fill(indices[1])
        return found.first

    def mask(self, step: int) -> None:
        """Mask a time step, or read it again."""
        self.page.get_by_role("slider").fill(str(step))
        self.page.get_by_role("checkbox", name="mask t=").click()

    def press(self, name: str) -> None:
        """Press a button of the chosen number."""
        self.page.locator(".equation").get_by_role("button", name=name, exact=True).click()


def run_command(rnncli: Run, page: Opened) -> dict[str, Any]:
    """Return the tensors that the page's command prints; the case document that it may name is the page's."""
    command = page.ask("rnncli.command")
    assert len(command) <= 300
    file = page.folder / "case.json"
    file.write_text(json.dumps(page.ask("rnncli.case")))
    program, *words = [str(file) if word == "case.json" else word for word in shlex.split(command)]
    assert program == "rnncli"
    return rnncli(*words, "-f", "json").tensors()


def check_command(rnncli: Run, page: Opened) -> None:
    """Run the page's command, and compare its numbers with those that the page shows."""
    ours, theirs = run_command(rnncli, page), page.ask("rnncli.compute()")
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_allclose(
            np.array(theirs[name]), np.array(ours[name]), atol=1e-6, rtol=1e-6, err_msg=name
        )
    assert [tensor["name"] for tensor in page.ask("rnncli.document")["outputs"]] == list(ours)
