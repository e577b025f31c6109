// The picture: the layer unrolled over time, a box for each step, with what goes in, what is kept and what is returned.

import { digits, draw, make } from "./dom.js";
import { drags } from "./drag.js";
import { inputAddress, lineColor, realStep, sourceOf } from "./explain.js";
import { addressOf } from "./layer.js";
import { stripsOf } from "./strips.js";

const MOST_STEPS = 8;
const MOST_UNITS = 6;

/** Return whether a layer is too large for a box per step. */
export function isLarge(model, layer) {
  const root = model.of(0)[model.layers.indexOf(layer)];
  const { features, units } = layer.halves.forward.cell;
  return root.halves.forward.steps > MOST_STEPS || Math.max(features, units) > MOST_UNITS;
}

/**
 * The picture of one layer for one sequence.
 *
 * page: what is shown and chosen, see page.js.  `update` shows the numbers anew, `layOut` the arrows.
 * numbers: every number that can be opened, as {element, address, read, row}.
 */
export class Picture {
  constructor(page) {
    this.page = page;
    this.numbers = [];
    this.halves = {};
    this.layer = page.layer;
    this.large = isLarge(page.model, this.layer);
    this.lines = draw("svg", { class: "lines", "aria-hidden": "true" });
    this.grid = make("div.grid", this.lines);
    const label = page.say("The layer, step by step: arrow keys move, Enter opens an equation");
    this.frame = make("div.frame", { role: "group", label, onkeydown: (event) => this.move(event) }, this.grid);
    this.strips = this.large ? stripsOf(page, this.layer) : null;
    this.frame.addEventListener("scroll", () => this.shade(), { passive: true });
    this.edges = make("div.edges", this.frame);
    this.element = make("div.picture", this.strips?.element, this.edges);
    this.build();
    new ResizeObserver(() => this.layOut()).observe(this.grid);
  }

  get done() {
    return this.page.model.of(this.page.sequence)[this.page.model.layers.indexOf(this.layer)];
  }

  /** Return the time steps that have a box. */
  get steps() {
    const { steps } = this.done.halves.forward;
    const all = Array.from({ length: steps }, (_, step) => step);
    if (!this.large) return all;
    const first = Math.min(Math.max(this.page.step - 1, 0), Math.max(steps - 3, 0));
    return all.slice(first, first + 3);
  }

  /** Return the indices of a value that are shown: all, or those around the chosen one. */
  window(size, chosen) {
    const first = size > MOST_UNITS ? Math.min(Math.floor(chosen / MOST_UNITS) * MOST_UNITS, size - 1) : 0;
    return Array.from({ length: Math.min(MOST_UNITS, size - first) }, (_, index) => first + index);
  }

  build() {
    const { page, layer } = this;
    const halves = page.model.halvesOf(layer);
    this.shownSteps = this.steps;
    this.row = 1;
    this.label("");
    this.perStep((step) => make("span.time", `t=${step}`));
    this.row += 1;
    this.inputs();
    for (const half of halves) this.half(half, halves.length > 1);
    this.returnedRows(halves);
    const backdrop = make("span.backdrop"); // behind the labels, which stay in view
    backdrop.style.gridArea = `1 / 1 / ${this.row} / 2`;
    this.grid.append(backdrop);
    const columns = this.shownSteps.map(() => "max-content 1.6rem").join(" ");
    this.grid.style.gridTemplateColumns = `max-content max-content 1.6rem ${columns} max-content`;
    this.roam(this.numbers.find(({ address }) => address === page.chosen) ?? this.numbers[0]);
  }

  /** Return the column of a step; the first are for labels and for what stands before the first step. */
  columnOf(index) {
    return 4 + 2 * index;
  }

  place(element, column, rows = 1) {
    element.style.gridColumn = String(column);
    element.style.gridRow = `${this.row} / span ${rows}`;
    this.grid.append(element);
    return element;
  }

  /** Put an element for each shown step into the current row. */
  perStep(made, rows = 1) {
    return this.shownSteps.map((step, index) => this.place(made(step), this.columnOf(index), rows));
  }

  label(text, style = "label") {
    this.place(make(`span.${style}`, text), 1);
  }

  /** Leave room for arrows, and go to the next row. */
  leaveRoom() {
    this.place(make("span.gap"), 1);
    this.row += 1;
  }

  inputs() {
    const { page, layer } = this;
    const { model, sequence, say } = page;
    const { features } = layer.halves.forward.cell;
    const titles = layer.source === null ? model.data.features : [];
    this.label(say("input x"));
    this.matters = [];
    this.inputRows = this.perStep((step) => {
      const numbers = this.window(features, page.feature).map((unit) => {
        const address = inputAddress(layer, sequence, step, unit);
        const drag = layer.source === null ? { layer, step, unit } : null;
        const read = () => this.done.x[step * features + unit];
        const bar = make("i.matter");
        this.matters.push({ bar, index: step * features + unit });
        return make("span.with-bar", this.number(address, "input", read, { drag, title: titles[unit] }), bar);
      });
      return make("div.cells.x", numbers);
    });
    this.row += 1;
    this.leaveRoom();
  }

  half(half, isOneOfTwo) {
    const { page, layer } = this;
    const { say } = page;
    const { cell, backwards } = layer.halves[half];
    const gates = cell.traced.filter((line) => !(line in cell.sameAs));
    this.label(backwards ? say("backward ←") : isOneOfTwo ? say("forward →") : layer.name, "label.strong");
    const rows = cell.states.length + (gates.length ? 1 : 0);
    const boxes = this.perStep((step) => make(this.isMasked(half, step) ? "div.box.masked" : "div.box"), rows);
    for (const [index, box] of boxes.entries()) box.dataset.step = this.shownSteps[index];
    if (gates.length) {
      this.perStep((step) => this.gates(half, gates, step));
      this.row += 1;
    }
    const states = [...cell.states].reverse().map((state) => {
      const kind = lineColor(cell, state);
      this.label({ hidden: say("hidden state"), cell: say("cell state") }[state] ?? state, `label.${kind}`);
      const cells = this.perStep((step) => {
        const numbers = this.window(cell.units, page.unit).map((unit) => this.lineNumber(half, state, step, unit));
        return make(`div.cells.state.${kind}`, numbers);
      });
      const ends = this.ends(half, state, kind);
      this.row += 1;
      return { kind, cells, ...ends };
    });
    this.leaveRoom();
    this.halves[half] = { boxes, states, backwards };
  }

  isMasked(half, step) {
    const { mask } = this.done.halves[half];
    return Boolean(mask && !mask[step]);
  }

  /** Add the boxes at both ends of a state's arrows: how it starts, and whether its end is returned. */
  ends(half, state, kind) {
    const { layer, page } = this;
    const loop = layer.halves[half];
    const { order, steps } = this.done.halves[half];
    const columns = [2, this.columnOf(this.shownSteps.length)];
    if (loop.backwards) columns.reverse();
    const isShown = (step) => this.shownSteps.includes(step);
    const start = isShown(order[0])
      ? this.place(this.startBox(half, loop.cell.states.indexOf(state)), columns[0])
      : null;
    if (!isShown(order[steps - 1])) return { start, end: null };
    const title = `${layer.flags.bidirectional ? `${half}_` : ""}last_${state}_state`;
    const prefix = layer.flags.bidirectional ? [`${half}_`, make("wbr")] : [];
    const last = addressOf({ layer, half, line: state, sequence: page.sequence, step: order[steps - 1], unit: 0 });
    const onclick = () => page.open(last);
    const end = layer.flags.state
      ? make(`button.end.${kind}`, { title, tabindex: "-1", onclick }, prefix, "last_", make("wbr"), `${state}_state`)
      : make(`span.end.${kind}.dashed`, { title }, page.say("not returned"));
    return { start, end: this.place(end, columns[1]) };
  }

  startBox(half, state) {
    const { page, layer } = this;
    const { model, sequence } = page;
    const loop = layer.halves[half];
    const values = () => model.startOf(loop, state, sequence);
    if (!loop.start && !page.startsShown && values().every((value) => value === 0)) {
      return make("span.end.start.dashed", { title: page.say("the state before the first step") }, "0");
    }
    const line = loop.cell.states[state];
    const kind = lineColor(loop.cell, line);
    const numbers = this.window(loop.cell.units, page.unit).map((unit) => {
      const address = addressOf({ layer, half, line, sequence, step: -1, unit });
      const drag = { layer, half, state, unit };
      return this.number(address, kind, () => values()[unit], { drag });
    });
    return make(`div.cells.start.${kind}`, numbers);
  }

  gates(half, gates, step) {
    const { cell } = this.layer.halves[half];
    const held = this.page.model.heldIn(this.layer, half);
    const groups = gates.map((gate) => {
      const size = cell.sizes[gate];
      const bar = cell.bounds[gate] ?? null;
      const units = this.window(size, size > 1 ? this.page.unit : 0);
      const bars = units.map((unit) => this.lineNumber(half, gate, step, unit, { bar }));
      return make("div.gate", make("div.bars", bars), make("span.gate-name", gate, held[gate] && "*"));
    });
    return make("div.gates", groups);
  }

  lineNumber(half, line, step, unit, options = {}) {
    const { page, layer } = this;
    const address = addressOf({ layer, half, line, sequence: page.sequence, step, unit });
    const read = () => page.model.lineValue({ layer, half, line, step, unit }, this.done);
    return this.number(address, lineColor(layer.halves[half].cell, line), read, options);
  }

  /**
   * Return the control of a number.
   *
   * bar: the range of a bar, which stands in place of digits; null for the largest number of its gate.
   * drag: what a drag sets.
   */
  number(address, kind, read, { bar, drag = null, title }) {
    const { page } = this;
    const onclick = () => {
      this.roam(number);
      page.open(address);
    };
    const name = `button.number.${kind}${bar === undefined ? "" : ".bar"}${drag ? ".drag" : ""}`;
    const [low, high] = bar ?? [-1, 1];
    const zero = Math.min(Math.max(-low / (high - low || 1), 0), 1);
    const element = make(name, { tabindex: "-1", title, onclick, "--zero": zero }, bar !== undefined && make("i"));
    const group = bar === undefined ? kind : address.split("[")[0];
    const number = { element, address, group, read, bar, zero, drag };
    if (drag) drags(page, number);
    this.numbers.push(number);
    return element;
  }

  returnedRows(halves) {
    const { page, layer } = this;
    const { say, model } = page;
    const outputs = model.tensors(layer).filter(({ state }) => state === undefined);
    const isSplit = halves.length > 1 && ["concat", "none"].includes(layer.flags.merge);
    this.returned = (isSplit ? halves : [halves[0]]).map((half) => {
      const names = { forward: say("returned, forward half"), backward: say("returned, backward half") };
      const merged = {
        sum: say("returned, the sum"),
        mul: say("returned, the product"),
        ave: say("returned, the average"),
      };
      const isMerged = halves.length > 1 && !isSplit;
      this.label(isSplit ? names[half] : isMerged ? merged[layer.flags.merge] : say("returned"));
      const tensor = outputs.find((named) => named.half === half) ?? outputs[0];
      const boxes = this.perStep((step) => this.returnedBox(half, tensor, step, isSplit));
      this.row += 1;
      return { half, boxes, tensor };
    });
  }

  returnedBox(half, tensor, step, isSplit) {
    const { page, layer } = this;
    const { sequence, say } = page;
    const { order, steps } = this.done.halves[half];
    const { isSequence, name } = tensor;
    if (!isSequence && step !== order[steps - 1]) {
      const isMerged = !isSplit && Object.values(this.done.halves).some((done) => done.order[steps - 1] === step);
      return isMerged ? make("div") : make("div.cells.returned.dashed", say("not returned"));
    }
    const row = isSequence ? page.model.stepOf(layer, half, this.done.halves[half], step) : 0;
    const width = tensor.width(this.done);
    const isSecond = isSplit && half === "backward" && layer.flags.merge === "concat";
    const first = isSecond ? layer.halves.forward.cell.units : 0;
    const count = isSplit ? layer.halves[half].cell.units : width;
    const numbers = this.window(count, page.unit).map((unit) => {
      const address = `${name}[${sequence},${isSequence ? `${row},` : ""}${first + unit}]`;
      return this.number(address, "hidden", () => tensor.of(this.done)[row * width + first + unit], {});
    });
    const box = make("div.cells.returned", numbers);
    box.dataset.row = row;
    return box;
  }

  /** Show every number as it is now; what changed since the drag began glows. */
  update() {
    const { page } = this;
    const scale = {};
    for (const number of this.numbers) {
      number.value = number.read();
      const { group, value } = number;
      if (Number.isFinite(value)) scale[group] = Math.max(scale[group] ?? 0, Math.abs(value));
    }
    const changes = this.numbers.map((number) => page.changeOf(number.address, number.value));
    const most = Math.max(...changes);
    for (const [index, number] of this.numbers.entries())
      this.show(number, scale[number.group] || 1, changes[index] && 0.5 + 0.5 * Math.sqrt(changes[index] / most));
    for (const { boxes } of Object.values(this.halves)) {
      for (const box of boxes) box.classList.toggle("now", Number(box.dataset.step) === page.step);
    }
    this.showMatter();
    this.strips?.update();
  }

  show(number, scale, glow) {
    const { page } = this;
    const { element, value, bar, zero, address } = number;
    const text = digits(value, bar === undefined ? 2 : 4);
    if (number.text !== text) {
      number.text = text;
      if (bar === undefined) element.textContent = text;
      element.setAttribute("aria-label", `${address} = ${text}`);
    }
    if (bar === undefined) {
      element.style.setProperty("--v", Number.isFinite(value) ? Math.min(Math.abs(value) / scale, 1).toFixed(3) : 0);
    } else {
      const [low, high] = bar ?? [-scale, scale];
      const share = Number.isFinite(value) ? Math.min(Math.max((value - low) / (high - low || 1), 0), 1) : 0;
      element.style.setProperty("--from", Math.min(share, zero).toFixed(3));
      element.style.setProperty("--size", Math.abs(share - zero).toFixed(3));
      element.classList.toggle("below", share < zero);
      element.classList.toggle("empty", Number.isNaN(value));
    }
    element.style.setProperty("--glow", glow.toFixed(1));
    element.classList.toggle("chosen", address === page.chosen);
    element.classList.toggle("dragged", address === page.dragged);
  }

  /** Show under each input number how much the chosen number depends on it. */
  showMatter() {
    const { slopes } = this.page;
    const most = Math.max(...slopes.x.map(Math.abs), 1e-30);
    for (const { bar, index } of this.matters) {
      const share = slopes.layer === this.layer ? Math.abs(slopes.x[index]) / most : 0;
      bar.style.setProperty("--size", share.toFixed(3));
    }
  }

  /** Make a number the tab stop of the picture. */
  roam(number) {
    if (this.stop) this.stop.element.tabIndex = -1;
    this.stop = number;
    if (number) number.element.tabIndex = 0;
  }

  move(event) {
    const { key } = event;
    const from = this.numbers.find(({ element }) => element === document.activeElement);
    if (!from || !key.startsWith("Arrow")) return;
    event.preventDefault();
    const box = (number) => number.element.getBoundingClientRect();
    const here = box(from);
    const x = here.left + here.width / 2;
    const y = here.top + here.height / 2;
    const across = key === "ArrowLeft" || key === "ArrowRight";
    const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
    let best = null;
    for (const number of this.numbers) {
      if (number === from) continue;
      const there = box(number);
      const dx = there.left + there.width / 2 - x;
      const dy = there.top + there.height / 2 - y;
      const [along, aside] = across ? [dx * sign, Math.abs(dy)] : [dy * sign, Math.abs(dx)];
      if (along <= 2 || (across && aside > 8)) continue;
      const cost = across ? along : along * 4 + aside;
      if (!best || cost < best.cost) best = { cost, number };
    }
    if (!best) return;
    this.roam(best.number);
    best.number.element.focus();
  }

  /** Scroll the frame, and nothing else, until the chosen number is in view, with the box of its step. */
  reveal() {
    const number = this.numbers.find(({ address }) => address === this.page.chosen)?.element;
    const box = number?.closest(".start") ?? this.grid.querySelector(".box.now");
    if (!box) return;
    const [inside, frame] = [box.getBoundingClientRect(), this.frame.getBoundingClientRect()];
    const least = frame.left + this.grid.querySelector(".backdrop").offsetWidth + 6;
    const chosen = number?.getBoundingClientRect();
    if (chosen && chosen.left >= least && chosen.right <= frame.right) return; // not away from under a finger
    if (inside.right > frame.right - 8) this.frame.scrollLeft += inside.right - frame.right + 8;
    const { left } = box.getBoundingClientRect();
    if (left < least) this.frame.scrollLeft -= least - left;
  }

  /** Shade the edges behind which there is more of the picture. */
  shade() {
    const { scrollLeft, scrollWidth, clientWidth } = this.frame;
    this.edges.classList.toggle("more-left", scrollLeft > 1);
    this.edges.classList.toggle("more-right", scrollLeft + clientWidth < scrollWidth - 1);
  }

  /** Draw the arrows between what is now on the screen. */
  layOut() {
    if (!this.grid.isConnected) return; // another picture was drawn in its place
    const origin = this.grid.getBoundingClientRect();
    const at = (element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const [x, y] = [origin.left, origin.top];
      return {
        left: left - x,
        right: right - x,
        top: top - y,
        bottom: bottom - y,
        x: (left + right) / 2 - x,
        y: (top + bottom) / 2 - y,
      };
    };
    const arrows = [];
    for (const [index, [half, drawn]] of Object.entries(this.halves).entries()) {
      arrows.push(
        ...this.inputArrows(drawn.boxes, index > 0, at),
        ...stateArrows(drawn, at),
        ...this.outputArrows(half, at),
      );
    }
    this.lines.setAttribute("width", this.grid.scrollWidth);
    this.lines.setAttribute("height", this.grid.scrollHeight);
    this.shade();
    this.lines.replaceChildren(...arrows.flatMap(([kind, ...numbers]) => arrow(kind, numbers)));
  }

  /** Return the arrows from the input to the boxes of a half; those of the second go around the first. */
  inputArrows(boxes, goesAround, at) {
    return boxes.map((box, index) => {
      const [from, to] = [at(this.inputRows[index]), at(box)];
      if (!goesAround) return ["input", to.x, from.bottom + 3, to.x, to.top - 1];
      const [side, y] = [to.right + 12, to.top + 14];
      return ["input", from.right, from.y, side, from.y, side, y, to.right + 1, y];
    });
  }

  /** Return the arrows from the boxes of a half to what it returns; of two halves they go around the other. */
  outputArrows(half, at) {
    const { boxes, tensor } = this.returned.find((returned) => returned.half === half) ?? this.returned[0];
    const { model } = this.page;
    const done = this.done.halves[half];
    const isAlone = Object.keys(this.halves).length === 1;
    return boxes
      .filter((box) => "row" in box.dataset)
      .flatMap((box) => {
        const { step } = sourceOf(model, this.layer, half, tensor, done, Number(box.dataset.row));
        const source = this.halves[half].boxes[this.shownSteps.indexOf(step)];
        const real = realStep(done, step);
        if (!source || real === null || (real !== step && model.loopOf(this.layer, half).zeroes)) return []; // 0 comes from no box
        const [from, to] = [at(source), at(box)];
        if (isAlone) return [["hidden", to.x, from.bottom, to.x, to.top - 1]];
        const y = from.bottom - 14;
        if (half === "forward") {
          return [["hidden", from.left, y, from.left - 10, y, from.left - 10, to.y, to.left - 1, to.y]];
        }
        const side = from.right + 8;
        const above = to.top - 9; // between the boxes, on the way to another step
        const way = from.x === to.x ? [side, to.y, to.right + 1, to.y] : [side, above, to.x, above, to.x, to.top - 1];
        return [["hidden", from.right, y, side, y, ...way]];
      });
  }
}

/** Return the arrows of each state from box to box, from where it starts to where it ends. */
function stateArrows({ boxes, states, backwards }, at) {
  const chain = backwards ? [...boxes].reverse() : boxes;
  return states.flatMap(({ kind, cells, start, end }) => {
    const { y } = at(cells[0]);
    const stations = [start, ...chain, end].filter(Boolean).map(at);
    return stations.slice(1).map((to, index) => {
      const from = stations[index];
      return backwards ? [kind, from.left, y, to.right + 1, y] : [kind, from.right, y, to.left - 1, y];
    });
  });
}

/** Return a line with a head at its end.  numbers: x and y of each of its points. */
function arrow(kind, numbers) {
  const [fromX, fromY, x, y] = numbers.slice(-4);
  const [dx, dy] = [Math.sign(x - fromX), Math.sign(y - fromY)];
  const [backX, backY] = [x - 5 * dx, y - 5 * dy];
  const corners = [x, y, backX - 3.5 * dy, backY + 3.5 * dx, backX + 3.5 * dy, backY - 3.5 * dx];
  return [
    draw("polyline", { class: kind, points: numbers.join(" ") }),
    draw("polygon", { class: kind, points: corners.join(" ") }),
  ];
}
