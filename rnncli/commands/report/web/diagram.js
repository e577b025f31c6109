// The cell: one step of one half as a diagram.

import { make } from "./dom.js";
import { inputAddress, lineColor } from "./explain.js";
import { Numbers, opensNearest, scaleOf } from "./number.js";
import { toggleMask } from "./settings.js";

/** Return {element, numbers, update}: the drawn cell. */
export function drawnCell(page) {
  const { say, model, layer, half, sequence } = page;
  const { cell } = layer.halves[half];
  const numbers = new Numbers(page);
  const halves = model.halvesOf(layer);
  const name = make("b.t");
  const mask = make("input", {
    type: "checkbox",
    key: "mask",
    onchange: () => page.change(() => toggleMask(model, model.root(layer), sequence, page.step)),
  });
  const heading = make(
    "div.cell-head",
    make("h2", layer.name, " ", name),
    halves.length > 1 &&
      make(
        "span.choice",
        halves.map((other) =>
          make(
            "button",
            { key: `half-${other}`, "aria-pressed": String(other === half), onclick: () => page.chooseHalf(other) },
            layer.halves[other].backwards ? say("backward ←") : say("forward →"),
          ),
        ),
      ),
    make("label.toggle.mask", mask, " ", say("mask (skip)")),
  );
  const step = () => page.step;
  const card = (line) =>
    make(
      `div.unit-card.${lineColor(cell, line)}`,
      make("b", line),
      opensNearest(
        make(
          "div.units",
          Array.from({ length: cell.sizes[line] }, (_, unit) =>
            numbers.add(
              page.lineNumber(layer, half, line, step, () => unit, {
                kind: lineColor(cell, line),
                room: 6,
                isBar: !cell.states.includes(line),
                key: `cell-${line}-${unit}`,
              }),
            ),
          ),
        ),
      ),
    );
  const x = make(
    "div.xs",
    Array.from({ length: cell.features }, (_, unit) =>
      numbers.add({
        address: () => inputAddress(layer, sequence, page.step, unit),
        kind: "input",
        room: 6,
        key: `cell-x-${unit}`,
        read: () => page.done(layer).x[page.step * cell.features + unit],
        scale: () => scaleOf(page, `${layer.prefix}x`, null, () => page.done(layer).x),
        drag:
          layer.source === null
            ? {
                layer,
                get step() {
                  return page.step;
                },
                unit,
              }
            : null,
      }),
    ),
  );
  const lines = [...cell.traced.filter((line) => !(line in cell.sameAs)), ...[...cell.states].reverse()];
  const element = make("section.card.diagram", heading, make("div.cards", lines.map(card)), x);
  const update = () => {
    name.textContent = `t=${page.step}`;
    mask.checked = Boolean(
      model.root(layer).mask && !model.root(layer).mask[sequence * page.done(layer).halves[half].steps + page.step],
    );
    numbers.update();
    numbers.stopAt(numbers.all[0]);
  };
  return { element, numbers, update };
}
