// Where a number comes from: the equation of its line, with its numbers in it.

import { isHeld, list, listOperations, valueAt } from "./cell.js";
import { addressOf, flatIndex, indicesOf } from "./layer.js";
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

/** Return {value, tokens, terms, ...} of a part of the equation of a line: of its number at these indices. */
export function explainPart(model, address, tree, indices) {
  const target = model.locate(address);
  const { layer, half, line, sequence, step, unit } = target;
  const loop = layer.halves[half];
  const done = model.done(layer, sequence).halves[half];
  const reader = new EquationReader(model, target, loop, done);
  const about = { address, color: colorOf(target), kind: "part", name: line, half, layer: layer.prefix, step, unit };
  return { ...about, ...reader.read(tree, indices) };
}

/** Return for each feature of an input whether it was 0 or 1 everywhere when the page was written, as no word is. */
function areBinary(model, layer) {
  const written = writtenOf(model).layers[model.layers.indexOf(layer)];
  const { numbers, shape } = written.x;
  written.areBinary ??= list(shape[2], (unit) => {
    const values = numbers.filter((_, index) => index % shape[2] === unit);
    return !model.data.words && values.every((value) => value === 0 || value === 1);
  });
  return written.areBinary;
}

/**
 * Return {layer, x, flips, byWord}: by how much the number at an address moves with each input number of its chain.
 *
 * x: the gradient, the move for +1; of a feature that is 0 or 1 (flips: which), the move if it were the other; of the
 * numbers of a word (byWord), the largest move with another word there.
 */
export function effectsOf(model, address) {
  const { layer, x } = model.gradient(address);
  const { sequence } = model.locate(address);
  const [, steps, features] = layer.x.shape;
  const flips = areBinary(model, layer);
  const words = Object.values(model.data.words ?? {});
  const { units } = model.shown[0].halves.forward.cell;
  const tries = steps * (words.length + flips.filter(Boolean).length);
  if (model.shown.length > 1 || tries * steps * units * (units + features) > MOST_TRIED) return { layer, x, flips: [] };
  const now = model.value(address);
  const { numbers } = layer.x;
  const moveWith = (values, first) => {
    const changed = numbers.slice();
    changed.set(values, first);
    return model.value(address, { x: { ...layer.x, numbers: changed } }) - now;
  };
  for (let index = 0; index < x.length; index++) {
    const place = sequence * x.length + index;
    if (flips[index % features]) x[index] = moveWith([numbers[place] > 0.5 ? 0 : 1], place);
    if (words.length > 0 && index % features === 0) {
      const moves = words.map((word) => moveWith(word, place));
      x.fill(moves.sort((one, other) => Math.abs(other) - Math.abs(one))[0], index, index + features);
    }
  }
  return { layer, x, flips, byWord: words.length > 0 };
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
  const done = model.done(layer, sequence);
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
  const done = model.done(layer, sequence).halves[half];
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
      : { ...about, kind: "kept", step: real, masked: step, from: addressOf({ ...target, step: real }) };
  }
  const held = isHeld(model.heldIn(layer, half)[line], unit, step);
  if (held) return { ...about, kind: "held" };
  const [kind, other, how] = loop.cell.written[line];
  if (kind === "n" && how !== "before" && other in loop.lines) {
    // A state that is a gate: the equation is the gate's.
    return { ...explainLine(model, { ...target, line: other }), name: line };
  }
  const reader = new EquationReader(model, target, loop, done);
  const { tokens, terms } = reader.read(loop.cell.written[line], indicesOf(loop.cell.shapes[line], unit));
  return { ...about, kind: "line", tokens, terms };
}

const OPERATORS = { "*": " · ", "/": " / ", "**": " ^ " };

/** Reads the numbers of an equation at one step. */
class EquationReader {
  constructor(model, target, loop, done) {
    const { x } = model.done(target.layer, target.sequence);
    Object.assign(this, { model, target, loop, done, x, terms: [] });
  }

  /** Return {value, tokens, terms} of the number of a tree at these indices. */
  read(tree, indices) {
    const { operations, node } = listOperations(this.loop.cell, this.loop.weights);
    this.operations = operations;
    const root = node(tree, this.target.line);
    const at = flatIndex(operations[root].shape, indices);
    return { value: this.value(root, at), tokens: this.tokens(root, at, 0), terms: this.terms };
  }

  /** Return an operation in pieces, for one number of it.  least: how strongly it must bind, or it stands in parentheses. */
  tokens(index, unit, least) {
    const operation = this.operations[index];
    const { kind, args, places, signs, rest, size } = operation;
    const operand = (place, strength) => this.tokens(args[place], places[place](unit), strength);
    if (kind === "number" || kind === "index") return [{ text: String(this.value(index, unit)) }];
    if (kind === "view") return operand(0, least);
    if (kind === "shift") {
      return unit < rest ? this.tokens(args[0], unit + size - rest, least) : this.tokens(args[1], unit - rest, least);
    }
    if (kind === "@" || kind === "einsum") return [this.product(index, unit)];
    if (kind === "f") return this.call(operation, index, unit);
    if (!(kind in OPERATORS || kind === "+")) return [this.name(operation, index, unit)];
    const pieces =
      kind === "+"
        ? args.flatMap((_, place) => [
            ...(place ? [{ text: signs[place] > 0 ? " + " : " − " }] : signs[0] < 0 ? [{ text: "−" }] : []),
            ...operand(place, 2),
          ])
        : [...operand(0, 2), { text: OPERATORS[kind] }, ...operand(1, 3)];
    const strength = kind === "+" ? 1 : 2;
    return strength < least ? [{ text: "(" }, ...pieces, { text: ")" }] : pieces;
  }

  call({ named, args, places, width }, index, unit) {
    if (named === "sum") {
      const terms = list(width, (row) => this.term(row, [args[0], unit * width + row]));
      return [this.group(`sum ${this.short(args[0])}`, terms, this.value(index, unit), named)];
    }
    if (named === "mean" || named === "variance") return [{ value: this.value(index, unit), label: named }];
    const inside = args.flatMap((arg, place) => [
      ...(place ? [{ text: ", " }] : []),
      ...this.tokens(arg, places[place](unit), 0),
    ]);
    if (named === "linear") return inside;
    return [{ text: `${named === "sigmoid" ? "σ" : named}(` }, ...inside, { text: ")" }];
  }

  name({ kind, name, first, columns }, index, unit) {
    const { target, loop, done } = this;
    const value = this.value(index, unit);
    const { layer, sequence, step } = target;
    if (kind === "x") return { value, label: "x", address: inputAddress(layer, sequence, step, first + unit) };
    if (kind === "before") {
      const before = done.order[done.order.indexOf(step) - 1];
      const address = before === undefined ? null : addressOf({ ...target, line: name, step: before, unit });
      return {
        value,
        label: name,
        read: before === undefined ? "start" : loop.backwards ? "next" : "previous",
        address,
      };
    }
    if (kind === "read") return { value, label: name, address: addressOf({ ...target, line: name, unit }) };
    return { value, label: name, weight: this.weight(columns, columns.offset + unit) };
  }

  weight({ name }, index) {
    const { values, shape } = this.loop.weights[name];
    return { name, index, position: indicesOf(shape, index), value: values[index] };
  }

  /** Return the sum of the products of a row with a column. */
  product(index, unit) {
    const { kind, args, columns, places, steps, count } = this.operations[index];
    const [left, right] = args;
    const label = `${this.short(left)} · ${columns?.name ?? this.short(right)}`;
    const isWhole = this.operations[left].size > 1;
    const terms = list(kind === "@" ? columns.rows : count, (row) => {
      if (kind === "einsum")
        return this.term(row, ...args.map((arg, side) => [arg, places[side](unit) + row * steps[side]]));
      const weight = this.weight(columns, columns.offset + row * columns.columns + unit);
      return this.term(row, [left, isWhole ? row : 0], { value: weight.value, label: columns.name, weight });
    });
    return this.group(
      label,
      terms,
      terms.reduce((total, term) => total + term.value, 0),
      label,
    );
  }

  /** Return {value, row, factor, other}: a number as a token, and what it is multiplied with, if anything. */
  term(row, first, second) {
    const [factor, other] = [first, second].map((part) => {
      if (!Array.isArray(part)) return part;
      const groups = this.terms.length;
      const [token, ...more] = this.tokens(...part, 0);
      this.terms.length = groups;
      const value = this.value(...part);
      const isNumber = more.length === 0 && "value" in token && token.group === undefined;
      return isNumber ? { ...token, value } : { label: this.short(part[0]), value };
    });
    return { value: factor.value * (other ? other.value : 1), row, factor, other };
  }

  /** Add a group of terms, the largest first, and return their sum as a token. */
  group(title, terms, value, label) {
    terms.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    this.terms.push({ label: title, terms });
    return { value, label, group: this.terms.length - 1 };
  }

  short(index) {
    const { kind, name, args, columns } = this.operations[index];
    if (kind === "x") return name ?? "x";
    return [name, ...args.map((arg) => this.short(arg)), kind === "@" && columns.name].filter(Boolean).join(" · ");
  }

  /** Return a number of the value of an operation. */
  value(index, unit) {
    const { done, loop, target } = this;
    const operation = this.operations[index];
    const { kind, name, args, columns, rule, width, rows, size } = operation;
    const step = target.step;
    if (kind === "number") return operation.number;
    if (kind === "index") return unit;
    if (kind === "x") return this.x[step * loop.cell.features + operation.first + unit];
    if (kind === "weight") return this.weight(columns, columns.offset + unit).value;
    if (kind === "before") return done.before[loop.cell.states.indexOf(name)][step * size + unit];
    if (kind === "read")
      return this.model.lineValue({ ...target, line: name, unit }, { halves: { [target.half]: done } });
    if (kind === "@") {
      let total = 0;
      for (let row = 0; row < columns.rows; row++) {
        const weight = this.weight(columns, columns.offset + row * columns.columns + unit);
        total += this.value(args[0], this.operations[args[0]].size > 1 ? row : 0) * weight.value;
      }
      return total;
    }
    if (rule?.row) {
      const part = size / rows;
      const row = Math.floor(unit / part);
      const numbers = list(width, (place) => this.value(args[0], row * width + place));
      return rule.row[0](numbers)[unit % part];
    }
    const read = args.map((arg) => (place) => this.value(arg, place));
    return valueAt(operation, read, unit);
  }
}
