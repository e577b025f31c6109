"""How long the page takes from a drag to what is drawn, and to open: `python tests/benchmarks/page.py`.

Medians, in a browser without a screen.  The time is that of the page's own work: from the event to the end of
the frame in which it is handled, layout included.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from playwright.sync_api import sync_playwright

from rnncli import report

SIZES = (((1, 4, 5), 3, 6), ((1, 40, 8), 32, 16), ((1, 100, 16), 64, 33))
"""Shapes of inputs, units, and the milliseconds that a drag should take at most."""
DRAG = """async () => {
  const number = document.querySelector(".picture .drag");
  const box = number.getBoundingClientRect();
  const send = (name, x) => number.dispatchEvent(
    new PointerEvent(name, { clientX: box.x + x, clientY: box.y, button: 0, pointerId: 1, bubbles: true }));
  number.setPointerCapture = () => {};
  send("pointerdown", 0);
  const times = [];
  for (let x = 6; x < 86; x++) {
    send("pointermove", x);
    await new Promise((resolve) => requestAnimationFrame(resolve));  // after the page's own callback
    document.body.getBoundingClientRect();  // what is left of the layout
    times.push(performance.now() - frameStart);
  }
  send("pointerup", 86);
  return times.sort((a, b) => a - b)[40];
}"""
WATCH = """
  const request = globalThis.requestAnimationFrame.bind(globalThis);
  globalThis.requestAnimationFrame = (act) => request((now) => {
    if (globalThis.frame !== now) [globalThis.frame, globalThis.frameStart] = [now, performance.now()];
    act(now);
  });
"""


def main() -> None:
    """Print a line for each size."""
    rng = np.random.default_rng(0)
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for shape, units, most in SIZES:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(WATCH)
            path = Path(folder) / f"{units}.html"
            layer = f"LSTM({units}, return_sequences=True)"
            report(rng.normal(size=shape).astype(np.float32), layer, seed=1).save(path)
            page.goto(path.as_uri())
            opened = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            took = page.evaluate(DRAG)
            print(f"{shape} LSTM({units}): opened in {opened:.0f} ms, a drag {took:.1f} ms (at most {most})")
        browser.close()


if __name__ == "__main__":
    main()
