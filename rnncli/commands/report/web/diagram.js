// The cell: one step of one half as a diagram, as Python laid it out from the equations.

import { clip } from "./activations.js";
import { list } from "./cell.js";
import { digits, draw, make, scroll } from "./dom.js";
import { inputAddress, lineColor } from "./explain.js";
import { addressOf, indicesOf } from "./layer.js";
import { broken, DIGIT, Numbers, opensNearest, roomIn, scaleOf } from "./number.js";
import { toggleMask } from "./settings.js";

// The narrowest wide drawing, in pixels.  How far a drawing may be squeezed, or moves sideways: a wide one, a narrow one.
const NARROWEST = 560;
const SQUEEZE = { wide: 0.68, narrow: 0.9 };
// How far a narrow drawing may be stretched.
const STRETCH = 1.25;
// The least height of a drawing, as a share of its layout: names and numbers keep their size.
const LOWEST = { phone: 1, wide: 0.8 };
// The size of a drawing that moves sideways, narrow and wide.
const MOVING = [1.15, 0.85];
export const SHORT = { hidden: "h", cell: "c" };

/** The diagram of the drawn half at the chosen step.  A backward layer is mirrored: it reads from right to left. */
export class Drawing {
  constructor(page) {
    const { layer, half } = page;
    Object.assign(this, {
      page,
      layer,
      half,
      loop: layer.halves[half],
      numbers: new Numbers(page),
      parts: [],
      names: [],
    });
    const { diagram } = this.loop.cell;
    this.isWide = page.cellWidth >= Math.min(NARROWEST, SQUEEZE.wide * diagram.wide.wide);
    const form = this.isWide ? "wide" : "narrow";
    this.layout = diagram[form];
    const { wide, high, shapes, wires } = this.layout;
    this.wires = draw("svg", { viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    for (const wire of wires) this.wires.append(...this.wire(wire));
    this.wires.append(...this.straightRails());
    const most = this.isWide ? wide : wide * STRETCH;
    const moves = SQUEEZE[form] * wide > page.cellWidth;
    this.scale = moves ? MOVING[Number(this.isWide)] : Math.min(page.cellWidth, most) / wide;
    const size = {
      "--wide": wide,
      "--high": high,
      "--most": `${most}px`,
      "--least": LOWEST[page.isNarrow ? "phone" : "wide"] / this.scale,
    };
    this.drawing = make("div.drawing", size, this.wires, ...shapes.flatMap((shape) => this.shape(shape)));
    if (moves) this.drawing.style.minWidth = `${wide * this.scale}px`;
    const drawing = moves ? scroll(page.say("The diagram of the cell"), this.drawing) : this.drawing;
    this.element = make("section.card.diagram", this.heading(moves), drawing);
  }

  heading(moves) {
    const { page, layer, half } = this;
    const { say, model } = page;
    const halves = model.halvesOf(layer);
    this.name = make("b.t");
    this.unit = make("span.dim");
    this.maskName = make("span");
    const act = () => page.change(() => toggleMask(model, model.root(layer), page.sequence, page.step));
    this.mask = make("input", { type: "checkbox", key: "mask", onchange: act });
    const choice = (other) =>
      make(
        "button",
        { key: `half-${other}`, "aria-pressed": String(other === half), onclick: () => page.chooseHalf(other) },
        layer.halves[other].backwards ? say("backward ←") : say("forward →"),
      );
    return make(
      "div.cell-head",
      make("h2", layer.name, " ", this.name),
      halves.length > 1 && make("span.choice", halves.map(choice)),
      this.unit,
      moves && make("span.dim", say("↔ The diagram scrolls sideways")),
      make("label.toggle.mask", this.mask, " ", this.maskName),
    );
  }

  /** Return where a point stands from left to right. */
  across(x) {
    return this.loop.backwards ? this.layout.wide - x : x;
  }

  /** Return the properties of a box for the styles, as shares of the drawing. */
  box({ x, y, wide, high }) {
    const { layout } = this;
    return {
      "--x": ((this.across(x) - wide / 2) / layout.wide).toFixed(4),
      "--y": ((y - high / 2) / layout.high).toFixed(4),
      "--w": (wide / layout.wide).toFixed(4),
      "--h": (high / layout.high).toFixed(4),
    };
  }

  /** Return the kind of a line, whose color its wires have. */
  kindOf(shape) {
    if (shape.kind === "input") return "input";
    return ["start", "end", "card"].includes(shape.kind) ? lineColor(this.loop.cell, shape.line) : "inner";
  }

  wire({ from, rail, points }) {
    const source = this.layout.shapes[from];
    const kind = `${rail ? `rail ${lineColor(this.loop.cell, rail)}` : this.kindOf(source)} way`;
    const corners = points.map(([x, y]) => [this.across(x), y]);
    const [[x0, y0], [x1, y1], [x2, y2]] = [corners[0], ...corners.slice(-2)];
    const [dx, dy] = [Math.sign(x2 - x1), Math.sign(y2 - y1)];
    const [backX, backY] = [x2 - 8 * dx, y2 - 8 * dy];
    const head = [
      [x2, y2],
      [backX - 4 * dy, backY - 4 * dx],
      [backX + 4 * dy, backY + 4 * dx],
    ];
    const isBranch =
      Math.abs(points[0][0] - source.x) > source.wide / 2 + 1 || Math.abs(y0 - source.y) > source.high / 2 + 1;
    return [
      draw("polyline", { class: kind, points: [...corners.slice(0, -1), [backX, backY]].join(" ") }),
      draw("polygon", { class: kind, points: head.join(" ") }),
      ...(isBranch ? [draw("circle", { class: kind, cx: x0, cy: y0, r: 3 })] : []),
    ];
  }

  /** Return a wire from each start to its end: at a masked step the states pass unchanged. */
  straightRails() {
    const { shapes } = this.layout;
    const startOf = (end) => shapes.find(({ kind, line }) => kind === "start" && line === end.line);
    return shapes
      .filter((shape) => shape.kind === "end" && startOf(shape))
      .map((end) => {
        const start = startOf(end);
        const [from, to] = [start.x + start.wide / 2, end.x - end.wide / 2].map((x) => this.across(x));
        const middle = (from + to) / 2;
        const points = [
          [from, start.y],
          [middle, start.y],
          [middle, end.y],
          [to, end.y],
        ].join(" ");
        return draw("polyline", { class: `rail ${lineColor(this.loop.cell, end.line)} skip`, points });
      });
  }

  shape(shape) {
    if (shape.kind === "card") return this.card(shape);
    if (shape.kind === "input") return this.input(shape);
    return shape.kind === "start" || shape.kind === "end" ? this.state(shape) : this.part(shape);
  }

  /** Return the step that a half read before the chosen one; -1 if none. */
  before() {
    const { order } = this.page.done(this.layer).halves[this.half];
    return order[order.indexOf(this.page.step) - 1] ?? -1;
  }

  /** Return the numbers of a vector of which there is room for `rows`, around the chosen one. */
  units({ rows, kind, line, wide }) {
    const { page, layer, half } = this;
    const { shapes, sizes } = this.loop.cell;
    const size = sizes[line];
    const first = () => clip(page.unitOf(layer, half, line) - Math.floor(rows / 2), 0, size - rows);
    const step = kind === "start" ? () => this.before() : () => page.step;
    const index = size > rows ? 6 + DIGIT * String(shapes[line].at(-1) - 1).length : 0; // before the number
    const room = Math.min(roomIn(wide * this.scale - index - (kind === "card" ? 8 : 0)), 6);
    return list(rows, (row) =>
      this.numbers.add(
        page.lineNumber(layer, half, line, step, () => first() + row, {
          kind: lineColor(this.loop.cell, line),
          room,
          isBar: kind === "card",
          key: `cell-${kind}-${line}-${row}`,
          drag: kind === "start" ? this.startOf(line, () => first() + row) : null,
          unitOf: size > rows ? () => indicesOf(shapes[line], first() + row).at(-1) : null,
        }),
      ),
    );
  }

  /** Return what a drag of a state before the step sets: where it starts, if there is no step before. */
  startOf(line, unit) {
    return {
      ...{ layer: this.layer, half: this.half, state: this.loop.cell.states.indexOf(line) },
      get unit() {
        return unit();
      },
      isOpen: () => this.before() < 0,
    };
  }

  card(shape) {
    const { line, label } = shape;
    // A long name is narrower, so that none of it is cut.
    const longest = 7.3 * Math.max(...line.split("_").map(({ length }) => length));
    const squeeze = Math.min(1, (shape.wide * this.scale - 9) / longest).toFixed(2);
    const title = make(
      "span.card-name",
      make("b", { "--squeeze": squeeze }, broken(line)),
      label && make("span", label),
    );
    const units = make("div.units", this.units(shape));
    return opensNearest(make(`div.at.unit-card.${lineColor(this.loop.cell, line)}`, this.box(shape), title, units));
  }

  state(shape) {
    const { line, kind } = shape;
    const color = lineColor(this.loop.cell, line);
    const { page, layer, half } = this;
    const onclick = () => {
      const step = kind === "start" ? this.before() : page.step;
      page.open(addressOf({ layer, half, line, sequence: page.sequence, step, unit: page.unitOf(layer, half, line) }));
    };
    const name = make(`button.state-name.${color}`, { ...this.box(shape), key: `name-${kind}-${line}`, onclick });
    this.names.push({ name, shape });
    return [name, opensNearest(make("div.at.units", this.box(shape), this.units(shape)))];
  }

  input(shape) {
    const { page, layer } = this;
    const { features } = this.loop.cell;
    const { rows } = shape;
    const first = () => clip(page.feature - Math.floor(rows / 2), 0, features - rows);
    const stepped = (unit) => ({
      layer,
      get step() {
        return page.step;
      },
      get unit() {
        return first() + unit;
      },
    });
    const add = (_, unit) =>
      this.numbers.add({
        address: () => inputAddress(layer, page.sequence, page.step, first() + unit),
        kind: "input",
        room: 6,
        key: `cell-x-${unit}`,
        title: page.model.data.features[unit],
        read: () => page.done(layer).x[page.step * features + first() + unit],
        scale: () => scaleOf(page, `${layer.prefix}x`, null, () => page.done(layer).x),
        drag: layer.source === null ? stepped(unit) : null,
      });
    return [
      this.isWide && make("span.x-name", this.box({ ...shape, x: shape.x - shape.wide / 2 - 24, wide: 40 }), "x[t]"),
      opensNearest(make("div.at.xs", this.box(shape), Array.from({ length: rows }, add))),
    ];
  }

  /** Return an operator or a function, and its number for the chosen unit. */
  part(shape) {
    const { page } = this;
    const at = {
      "--x": (this.across(shape.x) / this.layout.wide).toFixed(4),
      "--y": (shape.y / this.layout.high).toFixed(4),
    };
    const size = { "--w": `${shape.wide}px`, "--h": `${shape.high}px` };
    const onclick = () => page.open(this.addressOfPart(shape), shape);
    const key = `part-${shape.x}-${shape.y}`;
    const element = make(`button.part.${shape.kind}`, { ...at, ...size, key, onclick }, shape.label.replace("*", "×"));
    const corner = this.cornerFor(shape);
    const side = `span.result${this.loop.backwards ? ".back" : ""}`;
    const result = make(side, { ...at, ...size, "--up": corner, hidden: !corner, "aria-hidden": "true" });
    this.parts.push({ element, result, shape });
    return [result, element];
  }

  /** Return where the number of an operator stands behind it: 1 above, -1 below, 0 where another shape leaves no room. */
  cornerFor(shape) {
    const { x, y, wide } = shape;
    const isFree = (corner) =>
      this.layout.shapes.every((other) => {
        const [dx, dy] = [(other.x - x) * this.scale - wide / 2 - 17, other.y - (y - 13 * corner)];
        const half = (other.wide / 2) * (other.tree ? 1 : this.scale); // an operator keeps its size
        return other === shape || Math.abs(dx) > half + 19 || Math.abs(dy) > other.high / 2 + 6;
      });
    return [1, -1].find(isFree) ?? 0;
  }

  addressOfPart({ line }) {
    const { page, layer, half } = this;
    const unit = page.unitOf(layer, half, line);
    return addressOf({ layer, half, line, sequence: page.sequence, step: page.step, unit });
  }

  update() {
    const { page, layer, half } = this;
    const { say } = page;
    const { cell } = this.loop;
    const isMasked = page.isMasked({ layer, half, step: page.step });
    const word = page.wordAt(page.step);
    this.name.textContent = word ? `${word} t=${page.step}` : `t=${page.step}`;
    const unit = cell.units > 1 && say("unit {unit} of {units}", { unit: page.unit, units: cell.units });
    const named = [...new Set(Object.values(cell.axes).flat())].filter(
      (axis) => axis !== "units" && axis !== "features",
    );
    this.unit.textContent = [unit, ...named.map((axis) => `${axis} ${page.at[axis] ?? 0}`)].filter(Boolean).join(" · ");
    this.mask.checked = isMasked;
    this.maskName.textContent = say("mask t={step}", { step: page.step });
    this.drawing.classList.toggle("masked", isMasked);
    const isFirst = this.before() < 0;
    const earlier = isFirst ? say("start") : this.loop.backwards ? "[t+1]" : "[t−1]";
    for (const { name, shape } of this.names) {
      const { line, kind } = shape;
      const short = SHORT[line] ?? line;
      name.textContent = kind === "end" ? `${short}[t]` : isFirst ? earlier : `${short}${earlier}`;
      const isLong = name.textContent.length * DIGIT > shape.wide * this.scale;
      name.classList.toggle("far", isLong && this.across(shape.x) > this.layout.wide / 2);
    }
    this.numbers.update();
    this.numbers.stopAt(this.numbers.all.find(({ address }) => address === page.chosen) ?? this.numbers.all[0]);
    if (!isMasked) for (const part of this.parts) this.showPart(part);
  }

  showPart({ element, result, shape }) {
    const { page, layer, half } = this;
    const { value, tokens } = page.explainPart(this.addressOfPart(shape), shape);
    const equation = tokens.map(({ text, value: number }) => text ?? digits(number, 3)).join("");
    const { cell } = this.loop;
    const unit = cell.shapes[shape.line].length > 1 ? page.placeOf(shape.axes) : page.unitOf(layer, half, shape.line);
    const tip = page.say("unit {unit}: {equation} = {value}", { unit, equation, value: digits(value, 3) });
    const isReached = page.play.hasReached({ layer, half, line: shape.line, step: page.step });
    element.dataset.tip = tip;
    element.setAttribute("aria-label", `${shape.label} ${tip}`);
    element.classList.toggle("chosen", page.part === shape);
    result.textContent = isReached ? digits(value, 2) : "";
  }
}
