// The overview: a row for each vector, a column for each time step, and what is returned.

import { clip } from "./activations.js";
import { list } from "./cell.js";
import { inBoth, make } from "./dom.js";
import { inputAddress, lineColor } from "./explain.js";
import { broken, Numbers, opensNearest, roomIn, scaleOf } from "./number.js";
import { isTurned } from "./settings.js";
import { verdictAt, wordAt, wordPicker } from "./words.js";

const MOST_STEPS = 8;
const MOST_UNITS = 6;
// The widths of the column of labels, and of the gap between columns, in which the arrows are.
const LABELS = 112;
const GAPS = { wide: 20, narrow: 12 };

/** Return whether a chain of layers is too large for a number per unit and step, or has matrices. */
export function isLarge(model, layer) {
  const cells = model
    .chainOf(layer)
    .flatMap((chained) => model.halvesOf(chained).map((half) => chained.halves[half].cell));
  const [, steps] = model.root(layer).x.shape;
  const most = Math.max(...cells.flatMap(({ features, sizes }) => [features, ...Object.values(sizes)]));
  return steps > MOST_STEPS || most > MOST_UNITS;
}

/** The chain of layers that the drawn layer belongs to, for one sequence.  width: what it may fill. */
export class Overview {
  constructor(page, sequence, width) {
    Object.assign(this, { page, sequence });
    this.numbers = new Numbers(page);
    this.chain = page.chain;
    const [, steps] = page.model.root(page.layer).x.shape;
    this.steps = list(steps, (step) => step);
    const gap = steps > 6 ? 12 : GAPS[page.isNarrow ? "narrow" : "wide"];
    const labels = page.isNarrow ? 0 : LABELS + gap;
    this.first = page.isNarrow ? 1 : 2; // the column of the first step
    this.width = (width - labels - gap * (steps - 1)) / steps;
    this.rows = 1;
    this.columns = this.steps.map(() => []);
    this.band = make("span.band");
    const label = page.say("All time steps: arrow keys move");
    const onkeydown = (event) => this.move(event);
    this.element = make(
      "div.overview",
      { role: "group", label, onkeydown, "--steps": steps, "--gap": `${gap}px` },
      this.band,
    );
    this.heads = this.row("", "head", (step) => this.head(step));
    if (page.model.data.words)
      this.row(page.isNarrow ? "" : page.say("word"), "input.pick", (step) => wordPicker(page, step, sequence));
    const isJudged = page.model.data.answers && page.done(this.chain.at(-1), sequence).width === 1;
    this.verdicts = isJudged
      ? this.row(page.isNarrow ? "" : page.say("verdict"), "input", () => make("span.verdict"))
      : [];
    this.inputs();
    for (const layer of this.chain) {
      // Above a layer with go_backwards the same column is another word.
      if (layer.source !== null && page.model.data.words && isTurned(page.model, page.model.layers[layer.source]))
        this.heads.push(...this.row("", "head", (step) => this.head(step, layer)));
      this.states(layer);
    }
    this.returned();
    this.band.style.gridRow = `1 / ${this.rows}`;
  }

  /**
   * Add a row: its label, and what stands at each step.  A click on the label opens a number of the row, which says what
   * it is: that of the chosen unit at the chosen step, or at the only step.
   *
   * isAlone: at one step alone, in half of the row beside its label.
   */
  row(label, kind, made, isAlone = false) {
    const starts = [];
    const parts = this.steps.map((step) => {
      starts.push(this.numbers.all.length);
      return made(step);
    });
    starts.push(this.numbers.all.length);
    const onclick = () => {
      const { page } = this;
      const at = parts[page.step] ? page.step : parts.findIndex(Boolean);
      const numbers = this.numbers.all.slice(starts[at], starts[at + 1]);
      page.open((numbers[kind === "input" ? page.feature : page.unit] ?? numbers.at(-1)).address);
    };
    const isNamed = [label].flat().some(Boolean) && starts[0] < starts.at(-1);
    const name = isNamed
      ? make(`button.label.${kind}`, { key: `row-${this.rows}`, onclick }, label)
      : label && make(`span.label.${kind}`, label);
    const middle = 1 + Math.ceil(this.steps.length / 2);
    const halves = [`1 / auto / ${middle}`, `${middle} / auto / -1`];
    for (const [step, part] of parts.entries()) {
      const column = isAlone ? halves[Number(step > 0)] : this.first + step;
      if (part) part.style.gridArea = `${this.rows} / ${column}`;
    }
    if (name) {
      const across = this.page.isNarrow ? "1 / auto / -1" : "1";
      name.style.gridArea = `${this.rows} / ${isAlone ? halves[Number(Boolean(parts[0]))] : across}`;
    }
    this.element.append(...[...parts, name].filter(Boolean));
    this.rows += 1;
    return parts;
  }

  head(step, layer = this.chain[0]) {
    const { page, sequence } = this;
    const word = wordAt(page.model, layer, sequence, step);
    const label = word ? `${word}, t=${step}` : `t=${step}`;
    return make(
      "button.time",
      { label, onclick: () => page.chooseStep(step, sequence) },
      word && make("b", word),
      make("span", `t=${step}`),
    );
  }

  /** Return the vector of a step.  made: the control of each of its numbers, given how many digits it may have. */
  vector(step, kind, count, made) {
    const isAlone = kind.includes("alone");
    const perNumber = roomIn((isAlone ? 2 : 1) * (this.width / count) - 1);
    const stands = perNumber < 4 && count <= MOST_UNITS && !kind.includes("gates") && !isAlone;
    const room = stands ? roomIn(this.width) : perNumber;
    const numbers = list(count, (unit) => made(unit, room));
    this.columns[step].push(...this.numbers.all.slice(-count));
    return opensNearest(make(`div.vector.${kind}${stands ? ".upright" : ""}`, { "--count": count }, numbers));
  }

  inputs() {
    const { page, sequence } = this;
    const { model, say } = page;
    const [layer] = this.chain;
    const { features } = layer.halves.forward.cell;
    this.matters = [];
    this.row(say("input x"), "input", (step) =>
      this.vector(step, "input", features, (unit, room) => {
        const read = () => page.done(layer, sequence).x[step * features + unit];
        const element = this.numbers.add({
          ...{ address: inputAddress(layer, sequence, step, unit), kind: "input", read, room },
          ...{ drag: { layer, sequence, step, unit }, title: model.data.features[unit] },
          scale: () => scaleOf(page, `${layer.prefix}x`, null, () => layer.x.numbers),
        });
        const bar = element.appendChild(make("i.matter"));
        this.matters.push({ bar, index: step * features + unit });
        element.prepend(bar);
        return element;
      }),
    );
  }

  states(layer) {
    const { page } = this;
    const { say, model } = page;
    const halves = model.halvesOf(layer);
    for (const half of halves) {
      const { cell, backwards } = layer.halves[half];
      const way = backwards ? say("backward ←") : halves.length > 1 ? say("forward →") : "";
      const hasRoom = (!page.isNarrow && page.isTall) || (cell.units === 1 && halves.length === 1);
      const isDrawn = layer === page.layer && half === page.half;
      const arrow = halves.length > 1 && (backwards ? " ←" : " →");
      const gates = isDrawn && hasRoom ? cell.traced.filter((line) => !(line in cell.sameAs)) : [];
      const held = model.heldIn(layer, half);
      for (const gate of gates) {
        const size = cell.sizes[gate];
        this.row(
          [
            gate === "candidate" ? inBoth(say, gate) : gate,
            arrow,
            held[gate] && make("b", { title: say("held") }, "*"),
          ],
          `small.${lineColor(cell, gate)}`,
          (step) => this.line(layer, half, gate, step, size, "gates"),
        );
      }
      for (const [index, state] of [...cell.states].reverse().entries()) {
        const named = { hidden: say("hidden state"), cell: say("cell state") }[state] ?? state;
        const above = [this.chain.length > 1 ? `${layer.prefix}${layer.name}` : "", way].filter(Boolean).join(" ");
        const first = backwards ? this.steps.length - 1 : 0;
        const flow = (step) => (step === first ? "" : backwards ? ".flow.back" : ".flow");
        this.row([named, index ? arrow : above && make("small", above)], lineColor(cell, state), (step) =>
          this.line(layer, half, state, step, cell.units, `${lineColor(cell, state)}${flow(step)}`),
        );
      }
    }
  }

  line(layer, half, line, step, size, kind) {
    const { page, sequence } = this;
    const { cell } = layer.halves[half];
    return this.vector(step, kind, size, (unit, room) =>
      this.numbers.add(
        page.lineNumber(
          layer,
          half,
          line,
          () => step,
          () => unit,
          { room, sequence, kind: lineColor(cell, line) },
        ),
      ),
    );
  }

  /** Add a row for each returned tensor: at every step, or at the step that its half read last. */
  returned() {
    const { page, sequence } = this;
    const { model, say } = page;
    const layer = this.chain.at(-1);
    const { merge, bidirectional } = layer.flags;
    const canBeAlone = page.isNarrow && this.steps.length > 1;
    for (const [index, tensor] of model.tensors(layer).entries()) {
      const isSplit = bidirectional && !tensor.half && merge === "concat";
      const units = isSplit ? model.halvesOf(layer).map((half) => layer.halves[half].cell.units) : [];
      const parts = isSplit
        ? [
            ["forward", 0, units[0]],
            ["backward", ...units],
          ]
        : [[tensor.half || "forward", 0, null]];
      for (const [part, [half, first, count]] of parts.entries()) {
        const title = part === 0 ? [tensor.name] : [];
        const kind = lineColor(layer.halves[half].cell, layer.halves[half].cell.states[tensor.state ?? 0]);
        const isAlone = canBeAlone && !tensor.isSequence;
        this.row(
          [index + part === 0 && make("b", say("returned")), ...title.map((name) => make("small", ...broken(name)))],
          "returned",
          (step) => {
            const done = page.done(layer, sequence);
            const { order, steps } = done.halves[half];
            if (!tensor.isSequence && step !== order[steps - 1]) return null;
            const row = tensor.isSequence ? model.stepOf(layer, half, done.halves[half], step) : 0;
            const width = tensor.width(done);
            const numbers = (unit, room) =>
              this.numbers.add({
                ...{
                  kind,
                  room,
                  line: { half, layer, sequence, line: layer.halves[half].cell.states[tensor.state ?? 0], step },
                },
                address: `${tensor.name}[${sequence},${tensor.isSequence ? `${row},` : ""}${first + unit}]`,
                read: () => tensor.of(page.done(layer, sequence))[row * width + first + unit],
                scale: () => page.scaleOfLine(layer, half, layer.halves[half].cell.states[tensor.state ?? 0]),
              });
            return this.vector(step, `returned.${kind}${isAlone ? ".alone" : ""}`, count ?? width, numbers);
          },
          isAlone,
        );
      }
    }
  }

  update() {
    const { page, sequence } = this;
    this.numbers.update();
    this.band.style.gridColumn = String(this.first + page.step);
    for (const [index, head] of this.heads.entries())
      head.setAttribute("aria-pressed", String(index % this.steps.length === page.step));
    for (const step of this.steps) {
      const isMasked = page.isMasked({ layer: this.chain[0], half: "forward", step, sequence });
      this.heads[step].classList.toggle("skipped", isMasked);
      this.heads[step].title = isMasked ? page.say("masked") : "";
    }
    for (const [step, verdict] of this.verdicts.entries())
      verdict.textContent = verdictAt(page, this.chain.at(-1), sequence, step);
    const { slopes } = page;
    for (const { bar, index } of this.matters) {
      const slope = slopes.layer === this.chain[0] && this.sequence === page.sequence ? Math.abs(slopes.x[index]) : 0;
      bar.style.setProperty("--size", slope && Math.min(Math.sqrt(slope), 1).toFixed(3));
    }
    const column = this.columns[page.step];
    if (!column.includes(this.stop)) {
      const index = this.columns.flatMap((numbers) => numbers.indexOf(this.stop)).find((found) => found >= 0);
      this.stop = column.find(({ address }) => address === page.chosen) ?? column[index] ?? column[0];
    }
    this.numbers.stopAt(this.stop);
  }

  /** Move the focus: up and down inside a column, left and right to the next step. */
  move(event) {
    const column = this.columns[this.page.step];
    const index = column.findIndex(({ element }) => element === document.activeElement);
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!along && !down) return;
    event.preventDefault();
    if (along && this.columns[this.page.step + along]) this.page.chooseStep(this.page.step + along, this.sequence);
    const numbers = this.columns[this.page.step];
    const next = numbers[clip(index + (down ?? 0), 0, numbers.length - 1)];
    this.stop = next;
    this.numbers.stopAt(next);
    next.element.focus();
  }
}
