// A page: what is shown and chosen, the switches above the picture, and what follows a change.

import { clip } from "./activations.js";
import { list } from "./cell.js";
import { undoControls } from "./controls.js";
import { Drawing, SHORT } from "./diagram.js";
import { choose, digits, make, speaker, toggle } from "./dom.js";
import { effectsOf, explain, explainPart } from "./explain.js";
import { addressOf, flatIndex, indicesOf, Model } from "./layer.js";
import { Maps } from "./maps.js";
import { scaleOf } from "./number.js";
import { isLarge, Overview } from "./overview.js";
import { codePanel, equationPanel, returnedPanel } from "./panel.js";
import { Play } from "./play.js";
import { colorKey, readingLines } from "./reading.js";
import { caseOf, commandOf, documentOf, expressionOf, seal, setFlag, setInput, setStart } from "./settings.js";
import { sheet } from "./sheet.js";
import { aboutSentence, sentenceField, wordAt } from "./words.js";

// Multiply-adds of a sequence that are computed within a frame, with what follows from them.
const QUICK = 500_000;
// Widths: from the first the panel stands beside all, from the second beside the cell; below it is a sheet.
const WIDE = 1000;
const MIDDLE = 720;
const PANEL = 384;
const BESIDE_CELL = 314;
// Most time steps of two sequences that stand side by side.
const MOST_SIDE_BY_SIDE = 6;
// The least heights at which there is room for the gates over time: of a page, and of the lesson, which has a bar.
const TALL = [740, 800];

/** Show a layer inside an element, and return what scripts may ask of it. */
export function mount(root, data, { korean, lang, short = false }) {
  const page = new Page(root, data, { korean, lang, short });
  const { model } = page;
  return {
    compute: (given = {}) => model.returned(given),
    explain: (address) => explain(model, address),
    gradient: (address) => ({ x: model.gradientByInput(address) }),
    speak: (named) => page.speak(named),
    get document() {
      return documentOf(model, page.layer);
    },
    get case() {
      return caseOf(model, page.layer);
    },
    get command() {
      return commandOf(model, page.layer);
    },
  };
}

/**
 * What is shown: the layer and its half, the sequence, and the chosen time step, unit, feature and number.
 *
 * at: the chosen index on each axis, by its name: `units` and `features`; of a matrix heads, keys and values.
 *
 * before: the numbers by address when a drag began; null if nothing was changed.  slopes: the gradient of the chosen
 * number by the input.  trail: the numbers that were open before.  scales: the lowest and highest number of each color.
 * width: what the picture may fill.
 */
class Page {
  constructor(root, data, { korean, lang, short }) {
    this.root = root;
    this.model = new Model(data);
    this.korean = korean;
    this.short = short;
    this.layer = this.model.shown[0];
    Object.assign(this, { half: "forward", sequence: 0, at: {}, trail: [], before: null });
    this.play = new Play(this);
    Object.assign(this, { isDragging: false, left: data.leftOut, scales: new Map(), full: 0 });
    this.chosen = this.firstNumber();
    this.step = this.model.stepOfNumber(this.chosen);
    this.speak(lang);
    addEventListener("resize", () => this.full && this.wasTall !== this.isTall && this.redraw());
    new ResizeObserver(() => root.clientWidth && root.clientWidth !== this.full && this.redraw()).observe(root);
    // Escape closes what hovering or the focus says, until something else is pointed at.
    addEventListener("keydown", ({ key }) => root.classList.toggle("quiet", key === "Escape"));
    root.addEventListener("pointerover", () => root.classList.remove("quiet"));
    // Maps are painted, so they do not follow the theme, nor the paper, by themselves.
    for (const media of ["print", "(prefers-color-scheme: dark)"]) {
      matchMedia(media).addEventListener("change", () => {
        for (const picture of this.pictures ?? []) picture.paint?.();
      });
    }
  }

  get isTall() {
    return innerHeight / (getComputedStyle(this.root).getPropertyValue("--scale") || 1) >= TALL[Number(this.short)];
  }

  speak(lang) {
    this.lang = lang;
    this.say = speaker(lang, this.korean);
    this.render();
  }

  /** Return the layers that are shown together: those that the drawn layer reads, and those that read it. */
  get chain() {
    const { model, layer } = this;
    return model.shown.map((last) => model.chainOf(last)).find((chain) => chain.includes(layer));
  }

  /** Return what was computed for a layer. */
  done(layer, sequence = this.sequence) {
    return this.model.done(layer, sequence);
  }

  /** Return the word of a time step; "" without words. */
  wordAt(step) {
    return wordAt(this.model, this.layer, this.sequence, step);
  }

  /** The chosen unit of the state that is returned. */
  get unit() {
    return this.at.units ?? 0;
  }

  get feature() {
    return this.at.features ?? 0;
  }

  /** Return the chosen index on each of these axes. */
  placeOf = (axes) => axes.map((axis) => this.at[axis] ?? 0);

  /** Return the flat index of the number of a line at the chosen indices. */
  unitOf(layer, half, line) {
    const { axes, shapes } = layer.halves[half].cell;
    return flatIndex(shapes[line], this.placeOf(axes[line]));
  }

  /** Explain a part of an equation, for the chosen indices.  part: a shape of the diagram. */
  explainPart(address, { tree, axes = ["units"] }) {
    return explainPart(this.model, address, tree, this.placeOf(axes));
  }

  /** Return the address of the first number: of the state that is returned, at the step that is read first. */
  firstNumber() {
    const { layer, sequence } = this;
    const [line] = layer.halves.forward.cell.states;
    const step = this.done(layer).halves.forward.order[0];
    return addressOf({ layer, half: "forward", line, sequence, step, unit: 0 });
  }

  /** Draw everything.  width: that of the page, 0 while it is hidden: then it is drawn when it is first seen. */
  render(width = this.root.clientWidth) {
    this.full = width;
    if (!width) return;
    this.wasTall = this.isTall;
    const { short, left, root } = this;
    this.isNarrow = width < MIDDLE;
    const size = width >= WIDE ? "wide" : this.isNarrow ? "narrow" : "middle";
    this.width = (size === "wide" ? width - PANEL : width) - (this.isNarrow ? 2 * 17 : 2 * 35);
    this.cellWidth = size === "middle" ? this.width - BESIDE_CELL : this.width;
    root.dataset.size = size;
    root.style.setProperty("--full", `${width}px`);
    root.style.setProperty("--zoom", Math.min(700 / width, 1).toFixed(3));
    this.slopes = this.gradient();
    this.title = make(short ? "p.title" : "h1.title");
    this.large = isLarge(this.model, this.chain.at(-1));
    this.pictures = this.large ? [new Maps(this)] : this.overviews();
    this.cell = new Drawing(this);
    this.equation = equationPanel(this);
    this.returned = returnedPanel(this);
    this.code = codePanel(this);
    this.live = make("p.status", { role: "status" });
    this.undoing = undoControls(this);
    const panel = sheet(this, make("div.beside", this.equation.element, this.returned.element, this.code.element));
    const isBeside = size === "middle";
    root.replaceChildren(
      make("header.top", this.switches(), this.title, !this.isNarrow && this.undoing.element),
      make("div.tools", this.controls(), !this.isNarrow && colorKey(this)),
      make(
        "div.picture",
        ...(left ? [make("p.dim", left[this.lang])] : []),
        make("div.intro", aboutSentence(this), sentenceField(this)),
        make(
          "section.card.pictures",
          this.pictures.map(({ element }) => element),
        ),
        this.isNarrow && colorKey(this),
        make("div.focus", this.cell.element, !short && make("div.reading", readingLines(this)), isBeside && panel),
      ),
      ...(isBeside ? [] : [panel]),
      this.live,
    );
    this.update();
    this.showTexts();
  }

  /** Return the overviews: two short sequences stand side by side. */
  overviews() {
    const { model, layer, sequence } = this;
    const [batch, steps] = model.root(layer).x.shape;
    const areTwo = batch === 2 && model.data.steps && steps <= MOST_SIDE_BY_SIDE;
    const sequences = areTwo ? [0, 1] : [sequence];
    const width = areTwo && !this.isNarrow ? (this.width - 24) / 2 : this.width;
    return sequences.map((index) => new Overview(this, index, width));
  }

  /** Return the numbers that are shown in the picture. */
  get numbers() {
    return [...this.pictures, this.cell].flatMap(({ numbers }) => numbers.all);
  }

  /** Show the numbers of the picture as they are. */
  update() {
    for (const picture of this.pictures) picture.update();
    this.cell.update();
  }

  /** Return what a number of a line is, for `Numbers.add`.  step, unit: functions, as the cell moves over time. */
  lineNumber(layer, half, line, step, unit, { sequence = this.sequence, ...more }) {
    const target = () => ({ layer, half, line, sequence, step: step(), unit: unit() });
    const address = () => addressOf(target());
    const read = () => this.model.lineValue(target(), this.done(layer, sequence));
    const scale = () => this.scaleOfLine(layer, half, line);
    const at = {
      ...{ layer, half, line, sequence },
      get step() {
        return step();
      },
      get unit() {
        return unit();
      },
    };
    return { address, read, scale, line: at, ...more };
  }

  scaleOfLine(layer, half, line) {
    const loop = layer.halves[half];
    const values = () => this.done(layer).halves[half].values[loop.lines[line]];
    return scaleOf(this, `${layer.prefix}${half}/${line}`, loop.cell.bounds[line], values, loop.cell.leastScale);
  }

  isMasked({ layer, half, step, sequence }) {
    const { mask } = this.done(layer, sequence).halves[half];
    return Boolean(mask && !mask[step]);
  }

  /** Return what is said of a gate at a masked step, where it is not computed; null of any other number. */
  maskedText(target) {
    const { layer, half, line, step, sequence, unit } = target;
    const { states, shapes, axes } = layer.halves[half].cell;
    if (step < 0 || states.includes(line) || !this.isMasked(target)) return null;
    const at = { ...this.at };
    for (const [axis, index] of indicesOf(shapes[line], unit).entries()) at[axes[line][axis]] = index;
    const [state] = states;
    const kept = flatIndex(
      shapes[state],
      axes[state].map((axis) => at[axis]),
    );
    const value = this.model.lineValue({ ...target, line: state, unit: kept }, this.done(layer, sequence));
    return this.say("masked: {state} stays {value}", { state: SHORT[state] ?? state, value: digits(value, 2) });
  }

  showTexts() {
    this.showStep();
    this.title.textContent = [expressionOf(this.model, this.layer)].flat().join(" → ");
    this.equation.update();
    this.returned.update();
    this.code.update();
    this.undoing.update();
  }

  /** Return the switches of the drawn layer, and the choice of another one. */
  switches() {
    const { say, model, layer } = this;
    const { flags } = layer;
    const set = (name) => (value) => this.change(() => setFlag(model, layer, name, value), true);
    const flag = (label, name, value) => toggle(make("code", label), value, `switch-${name}`, set(name));
    const canWrap = layer.switches.includes("bidirectional");
    const modes = new Set(Object.keys(layer.variants).map((key) => key.replace(/^\d\d|\d$/g, "")));
    modes.delete("");
    const options = [...modes].map((mode) => [mode, mode]);
    const others = model.layers.filter(
      (other) => model.shown.includes(other) || model.chainOf(model.shown[0]).includes(other),
    );
    const names = others.map((other) => [other, `${other.prefix.replace(/\/$/, "")} ${other.name}`]);
    const choice = others.length > 1 && choose(say("layer"), names, layer, "layer", (other) => this.draw(other));
    if (!model.shown.includes(layer)) {
      return make("div.switches", choice, make("span.dim", say("a lower layer: it passes its sequence on")));
    }
    return make(
      "div.switches",
      choice,
      flag("return_sequences", "sequences", flags.sequences),
      flag("return_state", "state", flags.state),
      canWrap && flag("Bidirectional", "bidirectional", flags.bidirectional),
      layer.switches.includes("reset_after") && flag("reset_after", "resetAfter", layer.resetAfter),
      canWrap && // last, so that no switch moves when it comes
        flags.bidirectional &&
        choose(make("code", "merge_mode"), options, flags.merge, "switch-merge", set("merge")),
    );
  }

  /** Return the play button, the slider of the time step, and the choices of a unit, a feature and a sequence. */
  controls() {
    const { say, model, layer, step } = this;
    const [batch, steps] = model.root(layer).x.shape;
    const { cell } = layer.halves.forward;
    const { units, features } = cell;
    const oninput = (event) => this.chooseStep(Number(event.target.value));
    const slider = make("input", { type: "range", min: 0, max: steps - 1, value: step, key: "cursor-step", oninput });
    const button = make("button.play", { key: "play", onclick: () => this.play.toggle() });
    const out = make("output.now");
    this.slider = { slider, out, button, indices: [] };
    const number = (name, axis, size) => {
      const onchange = (event) => {
        const index = clip(Number(event.target.value) || 0, 0, size - 1);
        this.at[axis] = index;
        this.chosen = moved(model, this.chosen, { at: this.at });
        this.show({});
      };
      const input = make("input", { type: "number", min: 0, max: size - 1, key: name, onchange });
      this.slider.indices.push([axis, input]);
      return size > 1 && make("label.toggle", name, " ", input);
    };
    const sequences = list(batch, (index) => [index, model.data.sequences[index] ?? String(index)]);
    return make(
      "div.controls",
      steps > 1 && button,
      steps > 1 && make("label.toggle", make("span.unseen", say("time step")), slider, out),
      this.isNarrow && this.undoing.element,
      this.large && number(say("unit"), "units", units),
      this.large && headsOf(cell).map(([axis, size]) => number(axis, axis, size)),
      this.large && number(say("feature"), "features", features),
      batch > 1 && choose(say("sequence"), sequences, this.sequence, "sequence", (index) => this.chooseSequence(index)),
    );
  }

  chooseStep(step, sequence = this.sequence) {
    this.play.stop();
    if (sequence !== this.sequence) this.chooseSequence(sequence);
    this.moveTo(step);
  }

  moveTo(step) {
    this.step = step;
    this.part = null;
    const target = this.model.locate(this.chosen);
    if (target.kind === "returned" && !target.tensor.isSequence) {
      const { half, unit } = this.model.originOf(target);
      const line = this.layer.halves[half].cell.states[target.tensor.state ?? 0];
      this.chosen = addressOf({ layer: this.layer, half, line, sequence: this.sequence, step, unit });
    } else this.chosen = moved(this.model, this.chosen, { step });
    this.show({});
  }

  chooseSequence(sequence) {
    this.play.stop();
    this.sequence = sequence;
    this.trail = [];
    this.chosen = moved(this.model, this.chosen, { sequence });
    this.show({}, true);
  }

  /** Draw the cell of one half. */
  chooseHalf(half) {
    const { layer, sequence, unit } = this;
    this.play.stop();
    const [line] = layer.halves[half].cell.states;
    const step = this.done(layer).halves[half].order[0];
    this.choose(
      addressOf({ layer, half, line, sequence, step, unit: Math.min(unit, layer.halves[half].cell.units - 1) }),
    );
  }

  draw(layer) {
    this.play.stop();
    this.layer = layer;
    this.half = "forward";
    this.trail = [];
    this.chosen = this.firstNumber();
    this.step = this.model.stepOfNumber(this.chosen);
    this.show({}, true);
  }

  /** Show other settings.  again: draw the page anew, because it has other parts. */
  show(settings, again = false) {
    Object.assign(this, settings);
    this.trail = this.trail.map((address) => this.model.canonical(address)).filter(Boolean);
    const chosen = this.model.canonical(this.chosen) ?? this.firstNumber();
    if (chosen !== this.chosen) Object.assign(this, { chosen, step: this.model.stepOfNumber(chosen) });
    this.slopes = this.gradient();
    const { half } = this.originOf(this.model.locate(this.chosen));
    const other = half && half !== this.half && this.model.halvesOf(this.layer).includes(half);
    if (other) this.half = half;
    if (!this.model.halvesOf(this.layer).includes(this.half)) this.half = "forward";
    if (again || other) this.redraw();
    else if (this.full) {
      this.live.replaceChildren();
      this.update();
      this.showTexts();
    }
  }

  /** Return {half}: that of a number; none of an input number. */
  originOf(target) {
    if (target.kind === "x") return {};
    return target.kind === "line" ? target : this.model.originOf(target);
  }

  /** Show the time step beside its slider, and whether a play runs. */
  showStep() {
    const { slider, out, button, indices } = this.slider;
    const word = this.wordAt(this.step);
    slider.value = String(this.step);
    slider.setAttribute("aria-valuetext", `${word} t=${this.step}`.trim());
    out.textContent = `t=${this.step}`;
    button.textContent = this.play.isOn ? "❚❚" : "▶";
    button.setAttribute("aria-label", this.say(this.play.isOn ? "stop" : "play"));
    for (const [axis, input] of indices) input.value = String(this.at[axis] ?? 0);
  }

  /** Draw the page anew, with the focus where it was. */
  redraw() {
    const key = document.activeElement?.dataset?.key;
    this.render();
    if (key) this.root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  /** Open a number; part: the part of its equation to explain, such as a product. */
  open(address, part = null) {
    if (address === this.chosen && part === this.part && !this.about) return;
    if (address !== this.chosen) this.trail = [...this.trail, this.chosen].slice(-20);
    this.choose(address, part);
  }

  back() {
    const address = this.trail[this.trail.length - 1];
    this.trail = this.trail.slice(0, -1);
    this.choose(address);
  }

  choose(address, part = null) {
    const { model, layer } = this;
    Object.assign(this, { chosen: address, part, about: null });
    const target = model.locate(address);
    const isOther = target.layer !== layer && (target.kind !== "x" || target.layer.source !== null);
    if (isOther) this.layer = target.layer;
    const again = isOther || target.sequence !== this.sequence;
    this.sequence = target.sequence;
    this.step = model.stepOfNumber(address);
    if (target.kind === "x") this.at.features = target.unit;
    else {
      const { half, unit } = target.kind === "line" ? target : model.originOf(target);
      const { cell } = target.layer.halves[half];
      const line = target.line ?? cell.states[target.tensor.state ?? 0];
      const indices = indicesOf(cell.shapes[line], unit);
      for (const [axis, name] of cell.axes[line].entries()) this.at[name] = indices[axis];
    }
    this.show({}, again);
    this.announce(this.textOf(address));
  }

  textOf(address) {
    const target = this.model.locate(address);
    const masked = target.kind === "line" && this.maskedText(target);
    return masked ? `${address} ${masked}` : `${address} = ${digits(this.model.value(address), 4)}`;
  }

  /** Say what changed to those who do not see it. */
  announce(text) {
    this.live.textContent = text;
  }

  gradient() {
    return effectsOf(this.model, this.chosen);
  }

  /** Make a change, and show what follows; `again` if the page then has other parts. */
  change(act, again = false) {
    this.changed = null;
    this.remember();
    seal(this.model);
    act();
    if (again) this.show({}, true);
    else this.recompute();
    this.announce(this.textOf(this.chosen));
    this.fade();
  }

  /** Keep the numbers of now, to show what changes: until frames have faded, and what a number was until the next change. */
  remember() {
    if (this.isFresh) return;
    this.isFresh = true;
    this.before = new Map(this.numbers.map(({ address, value }) => [address, value]));
    const { model, layer, sequence } = this;
    const done = model.done(layer, sequence);
    for (const tensor of model.tensors(layer)) {
      const shape = [...(tensor.isSequence ? [done.halves.forward.steps] : []), ...tensor.shape(done)];
      for (const [index, value] of tensor.of(done).entries()) {
        const place = indicesOf(shape, index);
        this.before.set(`${tensor.name}[${sequence},${place}]`, value);
      }
    }
  }

  /** Return by how much a number changed, if it did in the digits of its equation; a number that was or is not there: 1. */
  changeOf(address, value) {
    if (!this.isFresh || address === this.dragged) return 0;
    const before = this.before.get(address) ?? value;
    if (Object.is(before, value) || digits(before, 4) === digits(value, 4)) return 0;
    return Number.isFinite(value - before) ? Math.abs(value - before) : 1;
  }

  /** Frame nothing more, once the reader has seen what changed. */
  fade() {
    clearTimeout(this.fading);
    this.fading = setTimeout(() => {
      Object.assign(this, { isFresh: false, dragged: null });
      this.update();
      this.returned.update();
    }, 2500);
  }

  /** Show the numbers anew: of a large layer the gradient, the table and the code when there is time. */
  recompute() {
    const quick = workOf(this.model, this.layer) <= QUICK;
    if (quick) this.slopes = this.gradient();
    this.update();
    if (quick) this.equation.update();
    if (!this.large) this.returned.update();
    clearTimeout(this.idle);
    this.idle = setTimeout(
      () => {
        this.slopes = this.gradient();
        this.update();
        this.showTexts();
      },
      quick ? 150 : 60,
    );
  }

  reset() {
    this.model.reset();
    Object.assign(this, { before: null, isFresh: false, dragged: null });
    this.scales.clear();
    this.draw(this.model.layers.find(({ prefix }) => prefix === this.layer.prefix));
  }

  /** Begin a change of a number: what follows from it will glow, and the panel shows a number that depends on it. */
  begin(number) {
    this.follow(number.drag);
    this.isFresh = false;
    this.remember();
    seal(this.model);
    Object.assign(this, { dragged: number.address, changed: number.address });
    this.live.replaceChildren();
    clearTimeout(this.fading);
  }

  /** Show the step of an input number, if the chosen number does not depend on it. */
  follow({ layer, sequence, step, unit }) {
    const { x, layer: root } = this.slopes;
    if (step === undefined || sequence !== this.sequence || layer !== root) return;
    if (x[step * layer.halves.forward.cell.features + unit]) return;
    if (this.model.locate(this.chosen).kind === "x") this.chosen = this.firstNumber();
    this.moveTo(step);
  }

  setDragging(isDragging) {
    this.isDragging = isDragging;
    this.root.classList.toggle("moving", isDragging);
  }

  /** Set a number as one change. */
  setOnce(number, value) {
    this.begin(number);
    this.set(number, value);
    this.settle(number);
  }

  /** Say what a change did, once it is made. */
  settle({ address, read }) {
    this.announce(`${address} = ${digits(read(), 2)}; ${this.textOf(this.chosen)}`);
    this.fade();
  }

  /** Set an input number, or one of a start state. */
  set({ drag }, value) {
    const { layer, half, state, sequence = this.sequence, step, unit } = drag;
    if (half) setStart(this.model, layer, half, state, sequence, unit, value);
    else setInput(this.model, layer, sequence, step, unit, value);
    this.recompute();
  }
}

/** Return about how many multiply-adds a sequence takes in the chain of a layer. */
function workOf(model, layer) {
  const [, steps] = model.root(layer).x.shape;
  const loops = model.chainOf(layer).flatMap((chained) => model.halvesOf(chained).map((half) => chained.halves[half]));
  const weights = loops.flatMap(({ weights: named }) => Object.values(named));
  return steps * weights.reduce((total, { values }) => total + values.length, 0);
}

/** Return an address with another sequence, with another time step where it has one, or with other indices by axis. */
function moved(model, address, { sequence, step, at }) {
  const target = model.locate(address);
  const { kind, layer, tensor } = target;
  const { half } = kind === "returned" ? model.originOf(target) : target;
  return address.replace(/\[([^[]+)\]$/, (_, text) => {
    const indices = text.split(",");
    if (sequence !== undefined) indices[0] = String(sequence);
    if (at) {
      const { axes, states } = layer.halves[half ?? "forward"].cell;
      const names = kind === "x" ? ["features"] : axes[target.line ?? states[tensor.state ?? 0]];
      const first = indices.length - names.length;
      for (const [axis, name] of names.entries()) if (name in at) indices[first + axis] = String(at[name]);
    }
    const isTimed = kind !== "returned" || tensor.isSequence;
    if (step !== undefined && isTimed && indices.length > 2) {
      const done = kind === "returned" && model.done(layer, target.sequence).halves[half];
      indices[1] = String(done ? model.stepOf(layer, half, done, step) : step);
    }
    return `[${indices.join(",")}]`;
  });
}

/** Return [axis, size] of each axis that counts heads. */
function headsOf({ heads, axes, shapes }) {
  const sizes = Object.keys(axes).flatMap((line) => axes[line].map((axis, index) => [axis, shapes[line][index]]));
  return heads.map((axis) => sizes.find(([name]) => name === axis)).filter(Boolean);
}
