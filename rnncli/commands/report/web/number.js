// Numbers that can be opened: a button each, with the digits that fit, a color or a bar by a fixed scale, and a name.

import { clip } from "./activations.js";
import { digits, make } from "./dom.js";
import { canDrag, drags } from "./drag.js";

// The width of a digit, in pixels.
export const DIGIT = 7.25;

/** Return how many digits stand in a width. */
export const roomIn = (pixels) => Math.floor((pixels - 1) / DIGIT);

/** Return a number in as many decimals as fit; in a sign, or in nothing, where no number fits. */
export function fit(value, room) {
  const texts = [2, 1, 0].map((decimals) => digits(value, decimals));
  return texts.find((text) => text.length <= room) ?? (value < 0 && room > 0 ? "−" : "");
}

/** Return the lowest and the highest number of a bar or of a color: bounds of the line, or of what the page opened with. */
export function scaleOf(page, group, bounds, values, least = 1) {
  if (bounds) return bounds;
  if (!page.scales.has(group)) {
    const most = values().reduce(
      (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
      least,
    );
    page.scales.set(group, [-most || -1, most || 1]);
  }
  return page.scales.get(group);
}

/**
 * The numbers of a part of the page.
 *
 * Each is {element, address, read, scale, room, bar, drag, line, unitOf, value}: `address` is that of the step that is shown,
 * `drag` what a drag sets, and `line` is {half, line, step}, which a play may not have reached.
 */
export class Numbers {
  constructor(page) {
    this.page = page;
    this.all = [];
  }

  /** Return the control of a number.  address: a text, or a function that returns it. */
  add({ address, kind, read, scale, room, key, isBar = false, drag = null, line = null, title, unitOf = null }) {
    const { page } = this;
    const onclick = (event) => {
      event.stopPropagation(); // of its vector
      page.open(number.address);
    };
    const element = make(
      `button.number.${kind}`,
      { tabindex: "-1", key, title, onclick },
      isBar && make("i"),
      unitOf && make("small"),
      make("span"),
    );
    element.classList.toggle("bar", isBar);
    const number = {
      ...{ element, read, scale, room, isBar, drag, line, unitOf },
      get address() {
        return typeof address === "function" ? address() : address;
      },
    };
    if (drag) drags(page, number);
    this.all.push(number);
    return element;
  }

  /** Show every number as it is now; what changed since the drag began has a frame. */
  update() {
    for (const number of this.all) this.show(number);
  }

  show(number) {
    const { page } = this;
    const { element, scale, room, isBar, address, line } = number;
    const value = number.read();
    number.value = value;
    const masked = Number.isNaN(value) && line ? page.maskedText(line) : null;
    const text = masked ? "" : fit(value, room);
    if (number.text !== text) {
      number.text = text;
      element.lastChild.textContent = text;
    }
    if (number.unitOf) element.querySelector("small").textContent = number.unitOf();
    const name = `${address} ${masked ?? `= ${text.length > 1 ? text : digits(value, 4)}`}`;
    if (number.name !== name) {
      number.name = name;
      element.setAttribute("aria-label", name);
    }
    const [low, high] = scale();
    const along = (number) => clip((number - low) / (high - low || 1), 0, 1);
    const set = (name, part) => element.style.setProperty(name, part.toFixed(3));
    const [share, zero] = [along(Number.isFinite(value) ? value : 0), along(0)];
    if (isBar) {
      set("--from", Math.min(share, zero));
      set("--size", Math.abs(share - zero));
    } else set("--v", Number.isFinite(value) ? Math.min(Math.abs(value) / Math.max(high, -low), 1) : 0);
    element.classList.toggle("below", value < 0);
    element.classList.toggle("skipped", Boolean(masked));
    const change = page.changeOf(address, value);
    set("--glow", change && Math.min(0.4 + (3 * change) / (high - low), 1));
    element.classList.toggle("drag", canDrag(number));
    element.classList.toggle("chosen", address === page.chosen);
    element.classList.toggle("dragged", address === page.dragged);
    element.classList.toggle("future", line !== null && !page.play.hasReached(line));
  }

  /** Make a number the tab stop; the others are reached from it with the arrow keys. */
  stopAt(number) {
    for (const other of this.all) other.element.tabIndex = -1;
    if (number) number.element.tabIndex = 0;
  }
}

/** Let a click beside the numbers of a vector open the nearest of them. */
export function opensNearest(vector) {
  vector.addEventListener("click", ({ clientX, clientY }) => {
    const distance = (element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return Math.hypot(clientX - (left + right) / 2, clientY - (top + bottom) / 2);
    };
    const numbers = [...vector.querySelectorAll(".number")].sort((one, other) => distance(one) - distance(other));
    numbers[0]?.click();
  });
  return vector;
}

/** Return a name that may break at its underscores. */
export const broken = (name) => name.split(/(?<=_)/).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));
