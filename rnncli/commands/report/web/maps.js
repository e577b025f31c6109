// A large layer: one map of its numbers at a time, unit by time step, what is returned, and one unit over time.

import { clip } from "./activations.js";
import { list } from "./cell.js";
import { choose, digits, draw, make, refill } from "./dom.js";
import { inputAddress, lineColor } from "./explain.js";
import { addressOf, indicesOf } from "./layer.js";
import { Numbers, scaleOf } from "./number.js";

// Without words, and with them.
const MOST_TICKS = [8, 12];
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "14 4", "2 8", "9 3 2 3 2 3", "14 3 4 3", "5 9", "1 2"];

/** The maps of the drawn layer for one sequence. */
export class Maps {
  constructor(page) {
    this.page = page;
    this.numbers = new Numbers(page);
    this.element = make("div.maps");
    this.sources = this.list();
    this.draw();
  }

  /** Return what a map can show: {key, name, kind, size, values, scale, mask, address}. */
  list() {
    const { page } = this;
    const { model, layer, sequence, say } = page;
    const { features } = layer.halves.forward.cell;
    const address = (step, unit) => inputAddress(layer, sequence, step, unit);
    const values = () => page.done(layer).x;
    const [, steps] = model.root(layer).x.shape;
    const nothing = new Float32Array(features * steps);
    const matters = () => (page.slopes.layer === layer ? page.slopes.x : nothing);
    const input = { kind: "input", size: features, address };
    const sources = [
      {
        ...input,
        key: "x",
        name: say("input x"),
        values,
        scale: () => scaleOf(page, `${layer.prefix}x`, null, values),
      },
      { ...input, key: "matters", name: say("what matters"), values: matters, scale: () => [-1, 1] },
    ];
    for (const half of model.halvesOf(layer)) {
      const loop = layer.halves[half];
      const way = layer.flags.bidirectional ? `${half}/` : "";
      for (const line of new Set([...loop.cell.traced, ...[...loop.cell.states].reverse()])) {
        if (line in loop.cell.sameAs && !loop.cell.states.includes(line)) continue;
        if (ownAxes(loop.cell, line).length > 1) continue; // a matrix has a map of its own
        sources.push({
          ...{ key: way + line, name: way + line, kind: lineColor(loop.cell, line), size: loop.cell.sizes[line] },
          values: () => page.done(layer).halves[half].values[loop.lines[line]],
          scale: () => page.scaleOfLine(layer, half, line),
          mask: () => page.done(layer).halves[half].mask,
          address: (step, unit) => addressOf({ layer, half, line, sequence, step, unit }),
        });
      }
    }
    return sources;
  }

  draw() {
    const { page } = this;
    const { say, model, layer } = page;
    const [, steps] = model.root(layer).x.shape;
    this.steps = steps;
    const way = layer.flags.bidirectional ? `${page.half}/` : "";
    const state = way + layer.halves[page.half].cell.states[0];
    const find = (wanted) => this.sources.find(({ key }) => key === wanted);
    this.source = find(page.mapOf) ?? find(state);
    const options = this.sources.map((source) => [source, source.name]);
    const pick = choose(say("map of"), options, this.source, "map", (source) => {
      page.mapOf = source.key;
      this.draw();
      this.update();
    });
    const most = MOST_TICKS[Number(Boolean(page.wordAt(0)) && !page.isNarrow)];
    const ticks = list(steps, (step) => step).filter((step) => step % Math.ceil(steps / most) === 0);
    const [low, high] = this.source.scale();
    const key = make(
      "span.scale",
      low < 0 && digits(low, 1),
      make(`i.${this.source.kind}`, { "--zero": -low / (high - low) }),
      digits(high, 1),
    );
    const [tensor] = model.tensors(layer);
    const width = tensor.width(page.done(layer));
    const { order } = page.done(layer).halves.forward;
    this.result = {
      ...{ name: tensor.name, kind: "hidden", size: width, scale: () => [-1, 1] },
      values: () => tensor.of(page.done(layer)),
      columns: tensor.isSequence ? steps : 1,
      address: (step, unit) => `${tensor.name}[${page.sequence},${tensor.isSequence ? `${step},` : ""}${unit}]`,
    };
    this.main = this.map(this.source, steps, clip(this.source.size * 6, 96, 190));
    const returned = this.map(this.result, this.result.columns, clip(width * 2, 24, 64));
    if (!tensor.isSequence) returned.element.style.marginLeft = `${(100 * order.at(-1)) / steps}%`;
    this.matrices = page.model.halvesOf(layer).flatMap((half) => {
      const { cell } = layer.halves[half];
      return cell.states.filter((line) => ownAxes(cell, line).length > 1).map((line) => this.matrix(half, line));
    });
    this.painted = [this.main, returned];
    this.unitName = make("b");
    this.lines = draw("svg", {
      class: "over-time",
      viewBox: `0 0 ${steps} 100`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    this.curves = make("div.map", this.lines, make("i.cursor"));
    this.lineKey = make("p.key");
    this.element.replaceChildren(
      make("div.map-head", pick, key),
      axis(this.source.size, this.main.element),
      make("span.label", make("b", say("returned")), make("small", tensor.name)),
      returned.element,
      make("span"),
      make(
        "div.ticks",
        ticks.map((step) => make("span", { "--left": (step + 0.5) / steps }, page.wordAt(step) || `t=${step}`)),
      ),
      make("span.label", this.unitName),
      this.curves,
      make("span"),
      this.lineKey,
      make(
        "div.matrices",
        this.matrices.map(({ element }) => element),
      ),
    );
  }

  /** Return a map of a matrix at the chosen step: of the chosen head, its first axis from the top down. */
  matrix(half, line) {
    const { page } = this;
    const { layer } = page;
    const loop = layer.halves[half];
    const { cell } = loop;
    const own = ownAxes(cell, line);
    const [first, ...others] = own.map(([, size]) => size);
    const columns = others.reduce((total, size) => total * size, 1);
    const units = () => this.unitsOf(cell, line);
    const read = (unit) => page.model.lineValue({ layer, half, line, step: page.step, unit }, page.done(layer));
    const source = {
      ...{ name: line, kind: lineColor(cell, line), size: first, isMatrix: true },
      values: () => {
        const numbers = units().map(read);
        return numbers.map((_, index) => numbers[(index % first) * columns + Math.floor(index / first)]);
      },
      scale: () => {
        const all = () => page.done(layer).halves[half].values[loop.lines[line]];
        return scaleOf(page, `${layer.prefix}${half}/${line} matrix`, null, all, 0);
      },
      address: (column, row) =>
        addressOf({
          layer,
          half,
          line,
          sequence: page.sequence,
          step: page.step,
          unit: units()[row * columns + column],
        }),
    };
    const map = this.map(source, columns, clip(first * 14, 64, 200));
    const name = make("b", layer.flags.bidirectional ? `${half}/${line}` : line);
    const head = make("span.dim");
    const key = make("span.scale");
    const axes = `${own[0][0]} ↓ ${own
      .slice(1)
      .map(([axis]) => axis)
      .join(", ")} →`;
    const element = make(
      "figure.matrix",
      { "--columns": columns },
      make("figcaption", name, " ", head, key),
      map.element,
      make("small", axes),
    );
    const update = () => {
      const { step, at } = page;
      const heads = cell.heads.filter((axis) => cell.axes[line].includes(axis));
      head.textContent = [...heads.map((axis) => `${axis} ${at[axis] ?? 0}`), `t=${step}`].join(", ");
      const most = source.scale()[1];
      key.textContent = `±${digits(most, 2)}`;
      const row = units().indexOf(page.unitOf(layer, half, line));
      const place = { left: (row % columns) / columns, part: 1 / columns, top: Math.floor(row / columns) / first };
      for (const [side, share] of Object.entries({ ...place, row: 1 / first }))
        map.element.style.setProperty(`--${side}`, share.toFixed(4));
    };
    return { ...map, element, update };
  }

  /** Return the flat indices of a matrix of the chosen head. */
  unitsOf(cell, line) {
    const [shape, axes] = [cell.shapes[line], cell.axes[line]];
    const chosen = indicesOf(shape, this.page.unitOf(this.page.layer, this.page.half, line));
    const isInHead = (index, axis) => !cell.heads.includes(axes[axis]) || index === chosen[axis];
    return list(cell.sizes[line], (unit) => unit).filter((unit) => indicesOf(shape, unit).every(isInHead));
  }

  /** Return a canvas with the cursors of step and unit, whose points open their numbers. */
  map(source, columns, height) {
    const { page } = this;
    const { size, kind } = source;
    const inside = (offset, length, count) => clip(Math.floor((offset / length) * count), 0, count - 1);
    const open = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = canvas.getBoundingClientRect();
      const step = inside(event.clientX - box.left, box.width, columns);
      page.open(source.address(step, inside(event.clientY - box.top, box.height, size)));
    };
    const label = page.say("{name}: {size} by {columns} numbers, as colors", { ...source, columns });
    const more = { role: "img", label, height: `${height}px`, onpointerdown: open, onpointermove: open };
    const canvas = make(`canvas.${kind}`, more);
    [canvas.width, canvas.height] = [columns, 2 * size];
    const isWhole = !source.isMatrix && columns === this.steps;
    const cursors = source.isMatrix ? ["i.cursor.entry"] : isWhole ? ["i.cursor", "i.cursor.unit"] : [];
    const element = make(
      "div.map",
      canvas,
      cursors.map((cursor) => make(cursor)),
    );
    return { element, canvas, source, columns };
  }

  update() {
    const { page } = this;
    const { layer, half, step, say } = page;
    const { cell } = layer.halves[half];
    this.element.style.setProperty("--left", (step / this.steps).toFixed(4));
    this.element.style.setProperty("--part", (1 / this.steps).toFixed(4));
    for (const { element, source } of this.painted) {
      const unit = source.kind === "input" ? page.feature : page.unit;
      element.style.setProperty("--top", (unit / source.size).toFixed(4));
      element.style.setProperty("--row", (1 / source.size).toFixed(4));
    }
    for (const matrix of this.matrices) matrix.update();
    this.hatch();
    this.unitName.textContent = say("unit {unit} of {units}", { unit: page.unit, units: cell.units });
    this.paint();
    this.overTime();
  }

  /** Hatch the masked steps, where nothing is computed. */
  hatch() {
    const { mask } = this.page.done(this.page.layer).halves[this.page.half];
    const masked = mask ? list(this.steps, (step) => step).filter((step) => !mask[step]) : [];
    const [main, returned] = this.painted;
    for (const { element, columns } of [main, returned, { element: this.curves, columns: this.steps }]) {
      for (const hatched of element.querySelectorAll(".skipped")) hatched.remove();
      if (columns === this.steps)
        element.append(...masked.map((step) => make("i.skipped", { "--left": (step / columns).toFixed(4) })));
    }
  }

  paint() {
    for (const { canvas, source, columns } of [...this.painted, ...this.matrices]) paint(canvas, source, columns);
  }

  /** Draw each line of the chosen unit over time. */
  overTime() {
    const { page } = this;
    const { layer, half } = page;
    const { cell } = layer.halves[half];
    const names = [...new Set([...cell.traced, ...cell.states])].filter(
      (line) => (!(line in cell.sameAs) || cell.states.includes(line)) && ownAxes(cell, line).length < 2,
    );
    const bounds = names.map((line) => page.scaleOfLine(layer, half, line));
    const most = Math.max(...bounds.flat());
    const low = Math.min(...bounds.flat(), 0);
    const seen = {};
    const drawn = names.map((line) => {
      const kind = lineColor(cell, line);
      seen[kind] = (seen[kind] ?? -1) + 1;
      const dash = DASHES[seen[kind] % DASHES.length];
      const unit = page.unitOf(layer, half, line);
      const points = list(this.steps, (step) => {
        const value = page.model.lineValue({ layer, half, line, step, unit }, page.done(layer));
        return Number.isFinite(value) ? `${step + 0.5},${(100 * (most - value)) / (most - low)}` : null;
      });
      return { line, kind, dash, points: points.filter(Boolean).join(" ") };
    });
    const zero = (100 * most) / (most - low);
    const { line: chosen = "" } = page.model.locate(page.chosen);
    const classOf = ({ kind, line }) => `${kind}${line === chosen ? " chosen" : ""}`;
    this.lines.replaceChildren(
      draw("line", { class: "zero", x1: 0, x2: this.steps, y1: zero, y2: zero }),
      ...drawn.map((line) =>
        draw("polyline", { class: classOf(line), points: line.points, "stroke-dasharray": line.dash }),
      ),
    );
    const swatch = ({ kind, dash }) =>
      draw(
        "svg",
        { viewBox: "0 0 24 6", width: 24, height: 6, "aria-hidden": "true" },
        draw("line", { class: kind, x1: 0, x2: 24, y1: 3, y2: 3, "stroke-dasharray": dash }),
      );
    const button = (shown) => {
      const target = { layer, half, line: shown.line, sequence: page.sequence, step: page.step };
      const onclick = () => page.open(addressOf({ ...target, unit: page.unitOf(layer, half, shown.line) }));
      return make("button", { key: `line-${shown.line}`, onclick }, swatch(shown), " ", shown.line);
    };
    refill(this.lineKey, drawn.map(button));
  }
}

/** Return [name, size] of the axes of a line that do not count heads. */
export const ownAxes = ({ axes, shapes, heads }, line) =>
  axes[line].map((axis, index) => [axis, shapes[line][index]]).filter(([axis]) => !heads.includes(axis));

/** Return the axis of units beside a map. */
function axis(size, element) {
  const label = make("span.axis", make("span", "0"), make("span", String(size - 1)));
  const both = document.createDocumentFragment();
  both.append(label, element);
  return both;
}

/** Paint numbers as colors by a fixed scale; a number below 0 has a stripe, too. */
function paint(canvas, { size, values, scale, mask }, columns) {
  const style = getComputedStyle(canvas);
  const [paper, above, below] = [style.backgroundColor, style.color, style.outlineColor].map((color) =>
    color.match(/\d+/g).map(Number),
  );
  const numbers = values();
  const masked = mask?.();
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, 2 * size);
  const largest = Math.max(...scale().map(Math.abs));
  for (let step = 0; step < columns; step++) {
    for (let unit = 0; unit < size; unit++) {
      const value = masked && !masked[step] ? 0 : numbers[step * size + unit];
      const share = value / largest;
      const strength = Number.isFinite(share) ? Math.min(Math.abs(share), 1) : 1;
      const color = share < 0 ? below : above;
      for (const stripe of [0, 1]) {
        const shade = share < 0 && stripe ? strength / 2 : strength;
        const pixel = 4 * ((2 * unit + stripe) * columns + step);
        for (let part = 0; part < 3; part++)
          image.data[pixel + part] = paper[part] + (color[part] - paper[part]) * shade;
        image.data[pixel + 3] = 255;
      }
    }
  }
  context.putImageData(image, 0, 0);
}
