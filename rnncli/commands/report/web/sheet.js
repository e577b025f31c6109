// The panel: a column beside the picture; on a phone a sheet from below, raised by a tap or a swipe.

import { clip } from "./activations.js";
import { make } from "./dom.js";

const HEIGHTS = ["peek", "half", "full"];
// How far a finger goes, in pixels, before a touch is a swipe.
const FLICK = 30;

/** Return the chosen number in the picture where it is in view, so that it stays above the sheet. */
const inView = ({ root }) =>
  [...root.querySelectorAll(".picture .chosen")].find((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });

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
    else inView(page)?.scrollIntoView({ block: "nearest" });
  };
  const isPeek = () => element.dataset.sheet === "peek";
  const toggle = () => set(isPeek() ? "half" : "peek");
  // A tap is taken from its pointer, since no click may follow a swipe; the click that follows a tap is not another.
  let [from, last] = [null, 0];
  element.addEventListener("pointerdown", ({ target, clientY }) => {
    from = page.isNarrow && (isPeek() || target === handle) ? clientY : null;
  });
  element.addEventListener("pointerup", ({ clientY, timeStamp }) => {
    if (from === null) return;
    const dy = clientY - from;
    const index = HEIGHTS.indexOf(element.dataset.sheet) - Math.sign(dy);
    [from, last] = [null, timeStamp];
    if (Math.abs(dy) < FLICK) toggle();
    else set(HEIGHTS[clip(index, 0, HEIGHTS.length - 1)]);
  });
  handle.addEventListener("click", ({ timeStamp }) => timeStamp - last > 500 && toggle());
  return element;
}
