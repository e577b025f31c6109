// How a number is changed: by dragging, with + and −, and by typing another.

import { make, stopClick, typed } from "./dom.js";

// A drag by so many pixels adds 1.
const PIXELS = 100;

/** Return whether a number can be changed now: a start state only at the first step. */
export const canDrag = ({ drag }) => Boolean(drag) && drag.isOpen?.() !== false;

/** Let a number be dragged, stepped with + and −, and typed over. */
export function drags(page, number) {
  const { element } = number;
  let [from, next, isWaiting] = [null, 0, false];
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !canDrag(number)) return;
    from = { x: event.clientX, y: event.clientY, value: number.value, moved: false };
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (!from) return;
    const dx = event.clientX - from.x;
    if (!from.moved && (Math.abs(dx) < 4 || Math.abs(event.clientY - from.y) > Math.abs(dx))) return;
    if (!from.moved) {
      page.begin(number);
      page.setDragging(true);
    }
    from.moved = true;
    next = from.value + dx / PIXELS;
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      page.set(number, next);
    });
  });
  // A touch that goes sideways drags the number; it must not scroll the picture.
  const keep = (event) => from?.moved && event.preventDefault();
  element.addEventListener("touchmove", keep, { passive: false });
  const end = () => {
    if (from?.moved) {
      page.setDragging(false);
      page.showTexts();
      page.settle(number);
      stopClick(element);
    }
    from = null;
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
  element.addEventListener("keydown", (event) => press(page, number, event));
}

function press(page, number, event) {
  if (!canDrag(number)) return;
  const by = { "+": 0.1, "=": 0.1, "-": -0.1 }[event.key];
  if (by) {
    event.preventDefault();
    page.setOnce(number, Math.round((number.read() + by) * 1e6) / 1e6);
  } else if (/^[\d.]$/.test(event.key)) {
    event.preventDefault();
    type(page, number, event.key);
  }
}

/** Put a field over a number, in which another can be typed. */
function type(page, number, first) {
  const { element } = number;
  const label = page.say("new number for {address}", { address: number.address });
  const field = make("input.typed", { type: "text", inputmode: "decimal", value: first, label });
  const box = element.getBoundingClientRect();
  const outer = page.root.getBoundingClientRect();
  field.style.left = `${box.left - outer.left}px`;
  field.style.top = `${box.top - outer.top}px`;
  let isOver = false;
  const finish = (keep) => {
    if (isOver) return;
    isOver = true;
    const value = typed(field.value);
    field.remove();
    element.focus();
    if (keep && !Number.isNaN(value)) page.setOnce(number, value);
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    finish(event.key === "Enter");
  });
  field.addEventListener("blur", () => finish(true));
  page.root.append(field);
  field.focus();
  field.setSelectionRange(1, 1);
}
