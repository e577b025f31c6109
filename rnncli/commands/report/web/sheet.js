// The panel: a column beside the picture; on a phone a sheet from below, raised by a tap or a swipe.

import { clip } from "./activations.js";
import { make } from "./dom.js";

const HEIGHTS = ["peek", "half", "full"];
// How far a finger goes, in pixels, before a touch is a swipe.
const FLICK = 30;

/** Return the panel around its content. */
export function sheet(page, content) {
  const { say } = page;
  const handle = make("button.handle", { key: "handle", label: say("show more or less"), "aria-expanded": "false" });
  const element = make("aside.panel", { "data-sheet": page.sheet ?? "peek" }, handle, make("div.inside", content));
  const set = (height) => {
    page.sheet = height;
    element.dataset.sheet = height;
    handle.setAttribute("aria-expanded", String(height !== "peek"));
    if (height === "peek") element.lastChild.scrollTop = 0;
    else (page.cell.element.querySelector(".chosen") ?? page.cell.element).scrollIntoView({ block: "end" });
  };
  const move = (by) => {
    const index = HEIGHTS.indexOf(element.dataset.sheet) + by;
    set(HEIGHTS[clip(index, 0, HEIGHTS.length - 1)]);
  };
  let from = null;
  element.addEventListener("pointerdown", (event) => {
    const isPeek = element.dataset.sheet === "peek";
    from = isPeek || event.target === handle ? event.clientY : null;
  });
  element.addEventListener("pointerup", (event) => {
    const dy = from === null ? 0 : event.clientY - from;
    from = null;
    if (Math.abs(dy) < FLICK) return;
    move(dy < 0 ? 1 : -1);
    element.addEventListener("click", (click) => click.stopPropagation(), { once: true, capture: true });
  });
  element.addEventListener("click", (event) => {
    if (event.target === handle) set(element.dataset.sheet === "peek" ? "half" : "peek");
    else if (page.isNarrow && element.dataset.sheet === "peek") set("half");
  });
  return element;
}
