// Strips: the numbers of a large layer as heat maps over time, with a cursor at the chosen step.

import { make } from "./dom.js";
import { inputAddress, lineColor } from "./explain.js";
import { addressOf } from "./layer.js";

/** Return {element, update}: a strip for the input, one for what matters, and one for each line of each half. */
export function stripsOf(page, layer) {
  const { model, say } = page;
  const index = model.layers.indexOf(layer);
  const done = () => model.of(page.sequence)[index];
  const { features } = layer.halves.forward.cell;
  const { steps } = done().halves.forward;
  const several = model.halvesOf(layer).length > 1;
  const address = (step, unit) => inputAddress(layer, page.sequence, step, unit);
  const nothing = new Float32Array(features * steps);
  const matters = () => (page.slopes.layer === layer ? page.slopes.x : nothing);
  const strips = [
    { name: say("input x"), color: "input", size: features, values: () => done().x, address },
    { name: say("what matters"), color: "input", size: features, values: matters, address },
  ];
  for (const half of model.halvesOf(layer)) {
    const loop = layer.halves[half];
    for (const line of [
      ...loop.cell.traced.filter((gate) => !(gate in loop.cell.sameAs)),
      ...[...loop.cell.states].reverse(),
    ]) {
      strips.push({
        name: `${several ? `${half} ` : ""}${line}`,
        color: lineColor(loop.cell, line),
        size: loop.cell.sizes[line],
        values: () => done().halves[half].values[loop.lines[line]],
        bounds: loop.cell.bounds[line],
        mask: () => done().halves[half].mask,
        address: (step, unit) => addressOf({ layer, half, line, sequence: page.sequence, step, unit }),
      });
    }
  }
  const rows = strips.map((strip) => stripRow(page, strip, steps));
  const element = make("div.strips", rows);
  const update = () => {
    element.style.setProperty("--left", ((page.step + 0.5) / steps).toFixed(4));
    for (const [index, canvas] of element.querySelectorAll("canvas").entries()) paint(canvas, strips[index], steps);
  };
  return { element, update };
}

function stripRow(page, strip, steps) {
  const { name, color, size, address } = strip;
  const label = page.say("{name}: {size} numbers at each of {steps} time steps, as colors", { name, size, steps });
  const height = `${Math.min(Math.max(size * 5, 24), 84)}px`;
  const inside = (offset, length, count) => Math.min(Math.max(Math.floor((offset / length) * count), 0), count - 1);
  const onpointerdown = (event) => {
    const box = canvas.getBoundingClientRect();
    const step = inside(event.clientX - box.left, box.width, steps);
    const unit = inside(event.clientY - box.top, box.height, size);
    page.open(address(step, unit));
  };
  const canvas = make(`canvas.${color}`, { role: "img", label, height, onpointerdown });
  [canvas.width, canvas.height] = [steps, size];
  return make("div.strip", make("span.label", name), make("div.map", canvas, make("i.cursor")));
}

function paint(canvas, { size, values, bounds, mask }, steps) {
  const style = getComputedStyle(canvas);
  const [paper, above, below] = [style.backgroundColor, style.color, style.outlineColor].map((color) =>
    color.match(/\d+/g).map(Number),
  );
  const numbers = values();
  const masked = mask?.();
  const context = canvas.getContext("2d");
  const image = context.createImageData(steps, size);
  const { data } = image;
  const largest =
    bounds?.[1] ?? (numbers.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0) || 1);
  for (let step = 0; step < steps; step++) {
    for (let unit = 0; unit < size; unit++) {
      const value = masked && !masked[step] ? 0 : numbers[step * size + unit];
      const share = value / largest;
      const strength = Number.isFinite(share) ? Math.min(Math.abs(share), 1) : 1;
      const color = share < 0 ? below : above;
      const pixel = 4 * (unit * steps + step);
      for (let part = 0; part < 3; part++) {
        data[pixel + part] = paper[part] + (color[part] - paper[part]) * strength;
      }
      data[pixel + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}
