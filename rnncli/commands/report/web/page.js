// A page: what is shown and chosen, the switches above the picture, and what follows a change.

import { maskToggle, startControls, undoControls } from "./controls.js";
import { choose, digits, make, rich, speaker, toggle } from "./dom.js";
import { effectsOf, explain, lineColor } from "./explain.js";
import { addressOf, Model } from "./layer.js";
import { codePanel, equationPanel, returnedPanel } from "./panel.js";
import { isLarge, Picture } from "./picture.js";
import { caseOf, commandOf, documentOf, expressionOf, seal, setFlag, setInput, setStart } from "./settings.js";
import { aboutSentence, sentenceField, wordPicker } from "./words.js";

// Multiply-adds of a sequence that are computed within a frame, with what follows from them.
const QUICK = 500_000;
// The equations of which the legend says more.
const LSTM_CELL = "forget ⊙ cell[t-1] + input ⊙ candidate";
const GRU_HIDDEN = "update ⊙ h + (1 - update) ⊙ candidate";
// Milliseconds for which a status stays.
const SAID = 4000;

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
 * What is shown: the layer, the sequence, and the chosen time step, unit, feature and number.
 *
 * before: the numbers by address when a drag began; null if nothing was changed.  slopes: the gradient of the chosen
 * number by the input.  trail: the numbers that were open before.
 */
class Page {
  constructor(root, data, { korean, lang, short }) {
    this.root = root;
    this.model = new Model(data);
    this.korean = korean;
    this.short = short;
    this.layer = this.model.shown[0];
    Object.assign(this, { sequence: 0, unit: 0, feature: 0, trail: [], before: null });
    Object.assign(this, { startsShown: false, isDragging: false, left: data.leftOut });
    this.chosen = this.firstNumber();
    this.step = this.model.stepOfNumber(this.chosen);
    this.speak(lang);
    // Strips are painted, so they do not follow the theme, nor the paper, by themselves.
    for (const media of ["print", "(prefers-color-scheme: dark)"]) {
      matchMedia(media).addEventListener("change", () => this.picture.strips?.update());
    }
  }

  speak(lang) {
    this.lang = lang;
    this.say = speaker(lang, this.korean);
    this.render();
  }

  /** Return the address of the first number of the output at its last step. */
  firstNumber() {
    const [tensor] = this.model.tensors(this.layer);
    const [, steps] = this.model.root(this.layer).x.shape;
    return `${tensor.name}[${this.sequence}${tensor.isSequence ? `,${steps - 1}` : ""},0]`;
  }

  render() {
    const { say, model, layer, short, left } = this;
    this.slopes = this.gradient();
    this.title = make("h1");
    this.picture = new Picture(this);
    this.equation = equationPanel(this);
    this.returned = returnedPanel(this);
    this.code = codePanel(this);
    this.live = make("p.status", { role: "status" });
    const [, steps, features] = model.root(layer).x.shape;
    const count = model.tensors(layer).length;
    const single = features === 1 ? "Reads 1 time step of 1 number." : "Reads 1 time step of {features} numbers.";
    const several =
      features === 1
        ? "Reads {steps} time steps of 1 number, one after the other."
        : "Reads {steps} time steps of {features} numbers, one after the other.";
    const reads = say(steps === 1 ? single : several, { steps, features });
    const order = this.orderOfSteps(steps - 1);
    const returns = say(count === 1 ? "It returns 1 tensor." : "It returns {count} tensors.", { count });
    const isWide = layer.halves.forward.cell.units > 9;
    const legend = this.legend().map((text) => make("p", rich(text)));
    this.tools = [undoControls(this), startControls(this)];
    const masks = Array.from({ length: Math.min(steps, 12) }, (_, step) => maskToggle(this, step));
    const words = Array.from({ length: steps }, (_, step) => wordPicker(this, step));
    const acts = make(
      "section.what-if",
      this.tools.map(({ element }) => element),
      masks,
      words,
      sentenceField(this),
    );
    const further = make("div.beside", acts, this.code.element);
    this.root.replaceChildren(
      ...(short ? [] : [this.title]),
      make("p.lead", [reads, order, returns].filter(Boolean).join(" ")),
      aboutSentence(this) ?? "",
      ...(left ? [make("p", left[this.lang])] : []),
      this.switches(),
      make("div.legend", legend.slice(short ? -1 : 0)),
      this.picture.element,
      this.cursor(),
      make(isWide ? "div.beside.stacked" : "div.beside", this.equation.element, this.returned.element),
      further,
      this.live,
    );
    this.picture.update();
    this.picture.reveal();
    this.showTexts();
  }

  /** Return in which order the steps are read, where it is not from the first to the last. */
  orderOfSteps(last) {
    const { forward, backward } = this.layer.halves;
    if (this.layer.flags.bidirectional && !forward.backwards && backward.backwards) {
      return this.say(
        "The forward layer reads from t=0 to t={last}, the backward layer from t={last} to t=0: its last state is at t=0.",
        { last },
      );
    }
    return forward.backwards ? this.say("It reads backwards, from t={last} to t=0.", { last }) : "";
  }

  showTexts() {
    this.title.textContent = [expressionOf(this.model, this.layer)].flat().join(" → ");
    this.equation.update();
    this.returned.update();
    this.code.update();
    for (const tool of this.tools) tool.update();
  }

  /** Return the lines that say how to read the picture. */
  legend() {
    const { cell } = this.layer.halves.forward;
    const { units, traced, symbols } = cell;
    const areGates = (...lines) => lines.every((line) => traced.includes(line) && lineColor(cell, line) === "gate");
    const isLstm = symbols.cell === LSTM_CELL && areGates("input", "forget", "output");
    const isGru = symbols.hidden === GRU_HIDDEN && areGates("update", "reset");
    const drawsCandidate = traced.includes("candidate") && !("candidate" in cell.sameAs);
    const text = (words) => this.say(words, { units });
    const gates = traced.filter((line) => areGates(line));
    const several =
      gates.length && gates.every((line) => cell.sizes[line] === units) // a gate may have 1 number for all units
        ? "Each column is one time step. With {units} units, every gate and state has {units} numbers."
        : "Each column is one time step. With {units} units, every state has {units} numbers.";
    const columns = text(
      units === 1 ? "Each column is one time step. With 1 unit, every state has 1 number." : several,
    );
    const memory = text(
      "Each step passes on its memory, the [[cell:cell state]], and its answer, the [[hidden:hidden state]].",
    );
    const answer = text("Each step passes on its answer, the [[hidden:hidden state]].");
    const states = text("Each step passes on the [[hidden:hidden state]] and the other states on the arrows.");
    const bars = [
      isLstm &&
        text(
          "[[gate:Green bars]] are gates from 0 (nothing) to 1 (all): forget says how much of the old memory stays, input how much of the candidate is written into it, output how much of it becomes the answer.",
        ),
      isGru &&
        text(
          "[[gate:Green bars]] are gates from 0 (nothing) to 1 (all): update says how much of the old hidden state stays, reset how much of it the candidate reads.",
        ),
      drawsCandidate && text("[[candidate:Pink bars]], blue below 0, are the candidate: what could be written."),
    ];
    const drag = text(
      this.layer.source === null
        ? "**Drag an input number left or right; choose any number or bar to see its equation.** [[input:Orange bars]]: how much the number depends on that input. [[changed:Yellow frame]]: just changed."
        : "**Choose any number or bar to see its equation.** Input x is what the layer below returns: drag numbers in the lowest layer. [[changed:Yellow frame]]: just changed.",
    );
    const passesOn = isLstm ? memory : cell.states.length > 1 ? states : answer;
    return [columns, passesOn, bars.filter(Boolean).join(" "), drag].filter(Boolean);
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
      canWrap &&
        flags.bidirectional &&
        choose(make("code", "merge_mode"), options, flags.merge, "switch-merge", set("merge")),
      layer.switches.includes("reset_after") && flag("reset_after", "resetAfter", layer.resetAfter),
    );
  }

  /** Return the sliders and choices of the time step, the unit, the feature and the sequence. */
  cursor() {
    const { say, model, layer, step } = this;
    const [batch, steps] = model.root(layer).x.shape;
    const { units, features } = layer.halves.forward.cell;
    const oninput = (event) => this.chooseStep(Number(event.target.value));
    const slider = make("input", { type: "range", min: 0, max: steps - 1, value: step, key: "cursor-step", oninput });
    const out = make("span", `t=${step}`);
    this.slider = { slider, out };
    const number = (name, field, size) => {
      const onchange = (event) => {
        const index = Math.min(Math.max(Number(event.target.value) || 0, 0), size - 1);
        if ((field === "feature") === (model.locate(this.chosen).kind === "x")) {
          this.chosen = moved(model, this.chosen, { unit: index });
        }
        this.show({ [field]: index }, true);
      };
      const input = make("input", { type: "number", min: 0, max: size - 1, value: this[field], key: field, onchange });
      return size > 1 && make("label.toggle", say(name), " ", input);
    };
    const sequences = Array.from({ length: batch }, (_, index) => [
      index,
      model.data.sequences[index] ?? String(index),
    ]);
    const large = isLarge(model, layer);
    return make(
      "div.cursor-row",
      steps > 1 && make("label.toggle", say("time step"), " ", slider, " ", out),
      large && number("unit", "unit", units),
      large && number("feature", "feature", features),
      batch > 1 && choose(say("sequence"), sequences, this.sequence, "sequence", (index) => this.chooseSequence(index)),
    );
  }

  chooseStep(step) {
    this.step = step;
    const target = this.model.locate(this.chosen);
    if (target.kind === "returned" && !target.tensor.isSequence) {
      const { half, unit } = this.model.originOf(target);
      const line = this.layer.halves[half].cell.states[target.tensor.state ?? 0];
      this.chosen = addressOf({ layer: this.layer, half, line, sequence: this.sequence, step, unit });
    } else this.chosen = moved(this.model, this.chosen, { step });
    this.show({}, isLarge(this.model, this.layer));
  }

  chooseSequence(sequence) {
    this.sequence = sequence;
    this.trail = [];
    this.chosen = moved(this.model, this.chosen, { sequence });
    this.show({}, true);
  }

  draw(layer) {
    this.layer = layer;
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
    if (again) this.redraw();
    else {
      this.slider.slider.value = String(this.step);
      this.slider.out.textContent = `t=${this.step}`;
      this.live.replaceChildren();
      this.picture.update();
      this.picture.reveal();
      this.showTexts();
    }
  }

  /** Draw the page anew, with the focus where it was. */
  redraw() {
    const key = document.activeElement?.dataset?.key;
    this.render();
    if (key) this.root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  open(address) {
    if (address === this.chosen) return;
    this.trail = [...this.trail, this.chosen].slice(-20);
    this.choose(address);
  }

  back() {
    const address = this.trail[this.trail.length - 1];
    this.trail = this.trail.slice(0, -1);
    this.choose(address);
  }

  choose(address) {
    const { model, layer } = this;
    this.chosen = address;
    const target = model.locate(address);
    const other = target.layer !== layer;
    const before = this.picture.large ? `${this.step} ${this.unit} ${this.feature}` : "";
    if (other) this.layer = target.layer;
    this.step = model.stepOfNumber(address);
    if (target.kind === "x") this.feature = target.unit;
    else if (target.kind === "line") this.unit = target.unit;
    this.show({}, other || (this.picture.large && before !== `${this.step} ${this.unit} ${this.feature}`));
    this.announce(this.textOf(address));
  }

  textOf(address) {
    return `${address} = ${digits(this.model.value(address), 4)}`;
  }

  /** Say what changed; on a phone, where the equation may be out of sight, it shows for a while. */
  announce(text) {
    this.live.textContent = text;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.live.replaceChildren(), SAID);
  }

  gradient() {
    return effectsOf(this.model, this.chosen);
  }

  /** Make a change, and show what follows; `again` if the page then has other parts. */
  change(act, again = false) {
    this.remember();
    seal(this.model);
    act();
    if (again) this.show({}, true);
    else this.recompute();
    this.announce(this.textOf(this.chosen));
    this.fade();
  }

  /** Keep the numbers of now, to show what changes. */
  remember() {
    if (this.before) return;
    this.before = new Map(this.picture.numbers.map(({ address, value }) => [address, value]));
    const { model, layer, sequence } = this;
    const done = model.of(sequence)[model.layers.indexOf(layer)];
    for (const tensor of model.tensors(layer)) {
      const width = tensor.width(done);
      for (const [index, value] of tensor.of(done).entries()) {
        const place = tensor.isSequence ? `${Math.floor(index / width)},${index % width}` : index;
        this.before.set(`${tensor.name}[${sequence},${place}]`, value);
      }
    }
  }

  /** Return by how much a number changed, if it did in the digits of its equation; a number that was or is not there: 1. */
  changeOf(address, value) {
    const before = this.before?.get(address) ?? value;
    if (address === this.dragged || Object.is(before, value) || digits(before, 4) === digits(value, 4)) return 0;
    return Number.isFinite(value - before) ? Math.abs(value - before) : 1;
  }

  /** Forget what the numbers were, once the reader has seen what changed. */
  fade() {
    clearTimeout(this.fading);
    this.fading = setTimeout(() => {
      this.before = null;
      this.dragged = null;
      this.picture.update();
      this.returned.update();
    }, 2500);
  }

  /** Show the numbers anew: of a large layer the gradient, the table and the code when there is time. */
  recompute() {
    const quick = workOf(this.model, this.layer) <= QUICK;
    if (quick) this.slopes = this.gradient();
    this.picture.update();
    if (quick) this.equation.update();
    if (!this.picture.large) this.returned.update();
    clearTimeout(this.idle);
    this.idle = setTimeout(
      () => {
        this.slopes = this.gradient();
        this.picture.update();
        this.showTexts();
      },
      quick ? 150 : 60,
    );
  }

  reset() {
    this.model.reset();
    Object.assign(this, { before: null, dragged: null, startsShown: false });
    this.draw(this.model.layers.find(({ prefix }) => prefix === this.layer.prefix));
  }

  /** Begin a change of a number: what follows from it will glow. */
  begin(number) {
    this.before = null;
    this.remember();
    seal(this.model);
    this.dragged = number.address;
    this.live.replaceChildren();
    clearTimeout(this.fading);
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
    const { layer, half, state, step, unit } = drag;
    if (half) setStart(this.model, layer, half, state, this.sequence, unit, value);
    else setInput(this.model, layer, this.sequence, step, unit, value);
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

/** Return an address with another sequence, or with another time step where it has one. */
function moved(model, address, { sequence, step, unit }) {
  const target = model.locate(address);
  return address.replace(/\[([^[]+)\]$/, (_, text) => {
    const indices = text.split(",");
    if (sequence !== undefined) indices[0] = String(sequence);
    if (unit !== undefined) indices[indices.length - 1] = String(unit);
    const isTimed = target.kind !== "returned" || target.tensor.isSequence;
    if (step !== undefined && isTimed && indices.length > 2) {
      const { layer, kind } = target;
      const { half } = kind === "returned" ? model.originOf(target) : {};
      const done = model.of(target.sequence)[model.layers.indexOf(layer)].halves[half];
      indices[1] = String(done ? model.stepOf(layer, half, done, step) : step);
    }
    return `[${indices.join(",")}]`;
  });
}
