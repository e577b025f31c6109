// Where a number comes from: the equation of its line, with its numbers in it.

import { columnsOf, isHeld, pickOne, ruleOf } from "./cell.js";
import { addressOf } from "./layer.js";
import { writtenOf } from "./settings.js";

// Most multiply-adds of a gate with which it is tried what a number would be with other inputs.
const MOST_TRIED = 50_000;

/**
 * Return where the number at an address comes from.
 *
 * {address, value, color, kind, name, half, step, unit, symbols, tokens, terms}.  kind: `line`, `held`, `same` for a returned
 * number that is a number of a line, `merged`, `x`, `start`, or of a masked step: `kept` or `zero`.
 * tokens: the equation in pieces: {text}, or {value, label} of a number, with the `address` that opens it, or the
 * `weight` that it is.  terms: the products of each `@`, the largest first.
 */
export function explain(model, address) {
  const target = model.locate(address);
  const value = model.value(address);
  const about = { address, value, color: colorOf(target), tokens: [], terms: [] };
  if (target.kind === "x") return { ...about, ...explainInput(model, target) };
  if (target.kind === "line") return { ...about, ...explainLine(model, target) };
  return { ...about, ...explainReturned(model, target) };
}

/** Return {value, tokens, terms, ...} of a part of the equation of a line, such as one of its products. */
export function explainPart(model, address, tree) {
  const target = model.locate(address);
  const { layer, half, line, sequence, step, unit } = target;
  const loop = layer.halves[half];
  const done = model.of(sequence)[model.layers.indexOf(layer)].halves[half];
  const reader = new EquationReader(model, target, loop, done);
  const about = { address, color: colorOf(target), kind: "part", name: line, half, layer: layer.prefix, step, unit };
  return { ...about, value: reader.value(tree, unit), tokens: reader.tokens(tree, unit, 0), terms: reader.terms };
}

/** Return for each feature of an input whether it was 0 or 1 everywhere when the page was written, as no word is. */
function areBinary(model, layer) {
  const written = writtenOf(model).layers[model.layers.indexOf(layer)];
  const { numbers, shape } = written.x;
  written.areBinary ??= Array.from({ length: shape[2] }, (_, unit) => {
    const values = numbers.filter((_, index) => index % shape[2] === unit);
    return !model.data.words && values.every((value) => value === 0 || value === 1);
  });
  return written.areBinary;
}

/**
 * Return {layer, x, flips}: by how much the number at an address moves with each input number of its chain.
 *
 * x: the gradient, the move for +1; of a feature that is 0 or 1 (flips: which), the move if it were the other.
 */
export function effectsOf(model, address) {
  const { layer, x } = model.gradient(address);
  const { sequence } = model.locate(address);
  const [, steps, features] = layer.x.shape;
  const flips = areBinary(model, layer);
  const { units } = model.shown[0].halves.forward.cell;
  const tries = steps * flips.filter(Boolean).length;
  const isMuch = tries * steps * units * (units + features) > MOST_TRIED;
  if (model.shown.length > 1 || isMuch) return { layer, x, flips: [] };
  const now = model.value(address);
  for (let index = 0; index < x.length; index++) {
    if (!flips[index % features]) continue;
    const numbers = layer.x.numbers.slice();
    const place = sequence * x.length + index;
    numbers[place] = numbers[place] > 0.5 ? 0 : 1;
    x[index] = model.value(address, { x: { ...layer.x, numbers } }) - now;
  }
  return { layer, x, flips };
}

/** Return what a full bar stands for: 1, or 2, 5, 10, ... where an effect is larger. */
export function fullBar(largest) {
  if (!(largest > 1) || !Number.isFinite(largest)) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 5, 10].map((factor) => factor * power).find((full) => full >= largest);
}

/** Return the color of a line: hidden, cell, gate for what goes from 0 to 1, or candidate. */
export function lineColor(cell, line) {
  if (cell.states.includes(line)) return line === "hidden" ? "hidden" : "cell";
  return line !== "candidate" && String(cell.bounds[line]) === "0,1" ? "gate" : "candidate";
}

function colorOf({ kind, layer, half, line, tensor }) {
  if (kind === "x") return "input";
  const { cell } = layer.halves[half ?? (tensor.half || "forward")];
  return lineColor(cell, line ?? cell.states[tensor.state ?? 0]);
}

/** Return the address of an input number of a layer. */
export function inputAddress({ source, names, prefix }, sequence, step, unit) {
  return `${source === null ? names : prefix}x[${sequence},${step},${unit}]`;
}

/** Explain a number that a layer reads: its own input, or what the layer below passes on. */
function explainInput(model, target) {
  const { layer, sequence, step, unit } = target;
  if (layer.source === null) return { ...target, name: "x" };
  const tensor = { half: "", isSequence: true };
  return explainReturned(model, { layer: model.layers[layer.source], tensor, sequence, row: step, unit });
}

function explainReturned(model, { layer, tensor, sequence, row, unit }) {
  const done = model.of(sequence)[model.layers.indexOf(layer)];
  if (!layer.flags.bidirectional || tensor.half || layer.flags.merge === "concat") {
    const { half, unit: inside } = model.originOf({ layer, tensor, unit });
    return explainOutput(model, layer, half, tensor, done.halves[half], { sequence, row, unit: inside });
  }
  const parts = model.halvesOf(layer).map((half) => {
    const { step } = sourceOf(model, layer, half, tensor, done.halves[half], row);
    const { from, kind } = explainOutput(model, layer, half, tensor, done.halves[half], { sequence, row, unit });
    const size = layer.halves[half].cell.units;
    return { value: done.halves[half].outputs[step * size + unit], label: half, address: from, kind, step };
  });
  if (tensor.isSequence && parts.every(({ kind }) => kind === "zero")) return { kind: "zero", step: parts[0].step };
  const sign = layer.flags.merge === "mul" ? " · " : " + ";
  const [first, second] = parts;
  const tokens = [first, { text: sign }, second];
  if (layer.flags.merge === "ave") tokens.splice(0, 3, { text: "(" }, first, { text: sign }, second, { text: ") / 2" });
  return { kind: "merged", name: layer.flags.merge, tokens };
}

/** Return the step and the line that a returned number of a half belongs to. */
export function sourceOf(model, layer, half, tensor, done, row) {
  const { states } = layer.halves[half].cell;
  const last = done.order[done.steps - 1];
  const step = tensor.isSequence ? model.stepOf(layer, half, done, row) : last;
  return { step, line: states[tensor.state ?? 0] };
}

/** Explain the output of a half or one of its last states; a masked step has what was there before. */
function explainOutput(model, layer, half, tensor, done, { sequence, row, unit }) {
  const { step, line } = sourceOf(model, layer, half, tensor, done, row);
  const real = realStep(done, step);
  const isOutput = tensor.state === undefined;
  if (isOutput && real !== step && model.loopOf(layer, half).zeroes) return { kind: "zero", step, half };
  if (real === null && isOutput) return { kind: "zero", step, half };
  if (real === null) return { kind: "start", step, half, name: line };
  const target = { layer, half, line, sequence, step: real, unit };
  const kind = real === step ? "same" : "kept";
  return { ...explainLine(model, target), kind, masked: step, from: addressOf({ ...target, step: real }) };
}

/** Return the last step that was computed up to a step, in the order of processing; null if none was. */
export function realStep(done, step) {
  if (!done.mask) return step;
  const upTo = done.order.slice(0, done.order.indexOf(step) + 1);
  return upTo.findLast((before) => done.mask[before]) ?? null;
}

function explainLine(model, target) {
  const { layer, half, line, sequence, step, unit } = target;
  const loop = layer.halves[half];
  const done = model.of(sequence)[model.layers.indexOf(layer)].halves[half];
  const about = {
    ...{ name: line, half, layer: layer.prefix, step, unit, symbols: loop.cell.symbols[line] },
    ...{ isBackward: loop.backwards, isLast: step === done.order[done.steps - 1] },
  };
  if (step < 0) return { ...about, kind: "start" };
  if (done.mask && !done.mask[step]) {
    const real = realStep(done, step);
    const isState = loop.cell.states.includes(line);
    if (!isState) return { ...about, kind: "unused" };
    return real === null
      ? { ...about, kind: "start" }
      : { ...about, kind: "kept", masked: step, from: addressOf({ ...target, step: real }) };
  }
  const held = isHeld(model.heldIn(layer, half)[line], unit, step);
  if (held) return { ...about, kind: "held" };
  const [kind, other, how] = loop.cell.written[line];
  if (kind === "n" && how !== "before" && other in loop.lines) {
    // A state that is a gate: the equation is the gate's.
    return { ...explainLine(model, { ...target, line: other }), name: line };
  }
  const reader = new EquationReader(model, target, loop, done);
  const tokens = reader.tokens(loop.cell.written[line], unit, 0);
  return { ...about, kind: "line", tokens, terms: reader.terms };
}

/** Reads the numbers of an equation at one step. */
class EquationReader {
  constructor(model, target, loop, done) {
    const { x } = model.of(target.sequence)[model.layers.indexOf(target.layer)];
    Object.assign(this, { model, target, loop, done, x, terms: [] });
  }

  /** Return the equation in pieces.  least: how strongly its operator must bind, or it stands in parentheses. */
  tokens(node, unit, least) {
    if (typeof node === "number") return [{ text: String(node) }];
    const [kind, ...rest] = node;
    if (kind === "n") return [this.name(rest, unit)];
    if (kind === "@") return [this.product(node, unit)];
    if (kind === "f") return this.call(rest, unit);
    const pieces =
      kind === "+"
        ? rest.flatMap(([sign, term], index) => [
            ...(index ? [{ text: sign > 0 ? " + " : " − " }] : sign < 0 ? [{ text: "−" }] : []),
            ...this.tokens(term, unit, 2),
          ])
        : [
            ...this.tokens(rest[0], unit, 2),
            { text: { "*": " · ", "/": " / ", "**": " ^ " }[kind] },
            ...this.tokens(rest[1], unit, 3),
          ];
    const strength = kind === "+" ? 1 : 2;
    return strength < least ? [{ text: "(" }, ...pieces, { text: ")" }] : pieces;
  }

  call([called, ...given], unit) {
    const named = this.loop.cell.functions[called] ?? called;
    if (["mean", "variance", "sum"].includes(named)) {
      return [{ value: this.value(["f", called, ...given], unit), label: named }];
    }
    const inside = given.flatMap((argument, index) => [
      ...(index ? [{ text: ", " }] : []),
      ...this.tokens(argument, unit, 0),
    ]);
    if (named === "linear") return inside;
    return [{ text: `${named === "sigmoid" ? "σ" : named}(` }, ...inside, { text: ")" }];
  }

  name([named, kind], unit) {
    const { target, loop, done } = this;
    const value = this.value(["n", named, kind], unit);
    const { layer, sequence, step } = target;
    if (named === "x") return { value, label: "x", address: inputAddress(layer, sequence, step, unit) };
    if (kind === "before") {
      const before = done.order[done.order.indexOf(step) - 1];
      const address = before === undefined ? null : addressOf({ ...target, line: named, step: before, unit });
      return { value, label: named, before: true, address, state: loop.cell.states.indexOf(named) };
    }
    if (kind) return { value, label: named, address: addressOf({ ...target, line: named, unit }) };
    return { value, label: named, weight: this.weight(named, 0, unit) };
  }

  weight(named, row, unit) {
    const columns = columnsOf(this.loop.cell, this.loop.weights, named, this.target.line);
    const index = columns.offset + row * columns.columns + (columns.size > 1 ? unit : 0);
    const { values, shape } = this.loop.weights[columns.name];
    const position = shape.length > 1 ? [Math.floor(index / shape[1]), index % shape[1]] : [index];
    return { name: columns.name, index, position, value: values[index] };
  }

  product([, left, [, named]], unit) {
    const { rows } = columnsOf(this.loop.cell, this.loop.weights, named, this.target.line);
    const group = this.terms.length;
    const label = `${this.short(left)} · ${named}`;
    const terms = Array.from({ length: rows }, (_, row) => {
      const [factor, ...more] = this.tokens(left, row, 0);
      const value = this.value(left, row);
      const single = more.length === 0 && "value" in factor;
      const weight = this.weight(named, row, unit);
      const token = single ? factor : { label: this.short(left), value };
      return { value: value * weight.value, row, factor: { ...token, value }, weight };
    });
    terms.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    this.terms.push({ label, terms });
    return { value: terms.reduce((total, term) => total + term.value, 0), label, group };
  }

  short(node) {
    if (node[0] === "n") return node[1];
    return node
      .slice(1)
      .filter(Array.isArray)
      .map((part) => this.short(part))
      .join(" · ");
  }

  /** Return the value of a node, for one unit. */
  value(node, unit) {
    const { done, loop, target } = this;
    if (typeof node === "number") return node;
    const [kind, ...rest] = node;
    if (kind === "n") {
      const [named, how] = rest;
      const { units, features, states } = loop.cell;
      if (named === "x") return this.x[target.step * features + unit];
      if (how === "before") return done.before[states.indexOf(named)][target.step * units + unit];
      if (how) return this.model.lineValue({ ...target, line: named, unit }, { halves: { [target.half]: done } });
      return this.weight(named, 0, unit).value;
    }
    if (kind === "@") {
      const { rows } = columnsOf(loop.cell, loop.weights, rest[1][1], target.line);
      let total = 0;
      for (let row = 0; row < rows; row++) total += this.value(rest[0], row) * this.weight(rest[1][1], row, unit).value;
      return total;
    }
    if (kind === "f") return this.apply(rest, unit);
    if (kind === "+") return rest.reduce((total, [sign, term]) => total + sign * this.value(term, unit), 0);
    const [first, second] = rest.map((operand) => this.value(operand, unit));
    return { "*": first * second, "/": first / second, "**": first ** second }[kind];
  }

  /** Return the value of a function. */
  apply([called, ...given], unit) {
    const named = this.loop.cell.functions[called] ?? called;
    const { scalar, row } = ruleOf(named);
    if (scalar) return scalar[0](this.value(given[0], unit));
    if (!row)
      return pickOne(
        named,
        given.map((argument) => () => this.value(argument, unit)),
        unit,
      );
    const numbers = Array.from({ length: this.width(given[0]) }, (_, index) => this.value(given[0], index));
    const values = row[0](numbers);
    return values[values.length > 1 ? unit : 0];
  }

  /** Return how many numbers a node has. */
  width(node) {
    if (typeof node === "number") return 1;
    const [kind, ...rest] = node;
    const { cell, weights } = this.loop;
    if (kind === "n" && rest[0] === "x") return cell.features;
    if (kind === "n" && rest[1]) return rest[1] === "before" ? cell.units : cell.sizes[rest[0]];
    if (kind === "n" || kind === "@") {
      return columnsOf(cell, weights, kind === "n" ? rest[0] : rest[1][1], this.target.line).size;
    }
    if (kind === "f" && ["mean", "variance", "sum"].includes(cell.functions[rest[0]] ?? rest[0])) return 1;
    return Math.max(...rest.map((part) => (Array.isArray(part) ? this.width(kind === "+" ? part[1] : part) : 1)));
  }
}
