// A cell: its equations as one flat list of operations, run over time, and the same list backwards for gradients.
//
// An equation arrives as a tree: a number, ["n", name, kind], ["+", [sign, node], ...], [operator, left, right] or
// ["f", function, ...arguments].  The value of each operation is kept for every time step, so that each part of an
// equation can be shown.

import { activation, FUNCTIONS, ROW_FUNCTIONS } from "./activations.js";

// The largest number of float32: beyond it, single precision overflows.
const LARGEST = 3.4028235677973366e38;
const PACKED = ["kernel", "recurrent_kernel", "bias", "recurrent_bias"];

/** Return the columns of a weight that a line reads, as {name, offset, columns, rows}: all of them if not packed. */
export function columnsOf(cell, weights, name, line) {
  const isBias = name === "bias" || name === "recurrent_bias";
  const stored = isBias ? "bias" : name;
  const { shape } = weights[stored];
  const columns = shape[shape.length - 1];
  if (!PACKED.includes(name)) {
    return { name: stored, offset: 0, columns, size: columns, rows: shape.length > 1 ? shape[0] : 1 };
  }
  const start = cell.packing[name].indexOf(line) * cell.units;
  const row = isBias && cell.twoBiases && name === "recurrent_bias" ? columns : 0;
  return { name: stored, offset: row + start, columns, size: cell.units, rows: isBias ? 1 : shape[0] };
}

/**
 * Return the operations of a cell, and the operation that holds each line.
 *
 * Each operation has a kind, the indices of its operands (`args`), and its size.  A `line` copies its equation's
 * value, so that a gate can be held.
 */
export function compile(cell, weights) {
  const operations = [];
  const lines = {};
  const add = (kind, args, size, more) => operations.push({ kind, args, size, ...more }) - 1;
  const sizeOf = (args) => Math.max(1, ...args.map((index) => operations[index].size));

  function node(tree, line) {
    if (typeof tree === "number") return add("number", [], 1, { number: tree });
    const [kind, ...rest] = tree;
    if (kind === "n") return name(rest[0], rest[1], line);
    if (kind === "+") {
      const args = rest.map(([, term]) => node(term, line));
      return add("+", args, sizeOf(args), { signs: rest.map(([sign]) => sign) });
    }
    if (kind === "@") {
      const columns = columnsOf(cell, weights, rest[1][1], line);
      return add("@", [node(rest[0], line)], columns.size, { columns });
    }
    if (kind === "f") {
      const [called, ...given] = rest;
      const args = given.map((argument) => node(argument, line));
      const named = cell.functions[called] ?? called;
      const size = ["mean", "variance", "sum"].includes(named) ? 1 : sizeOf(args);
      return add("f", args, size, { named, rule: ruleOf(named), width: operations[args[0]].size });
    }
    const args = rest.map((operand) => node(operand, line));
    return add(kind, args, sizeOf(args));
  }

  function name(named, kind, line) {
    if (named === "x") return add("x", [], cell.features);
    if (kind === "before") return add("before", [], cell.units, { state: cell.states.indexOf(named) });
    if (kind) return lines[named];
    const columns = columnsOf(cell, weights, named, line);
    return add("weight", [], columns.size, { columns });
  }

  for (const [line, tree] of cell.lines) {
    const root = node(tree, line);
    lines[line] = add("line", [root], cell.sizes[line], { line });
  }
  return { operations, lines };
}

/** Return {scalar: [value, slope]}, {row: [values, pull]}, or {} for a function with several arguments. */
export function ruleOf(named) {
  if (ROW_FUNCTIONS[named]) return { row: ROW_FUNCTIONS[named] };
  const scalar = FUNCTIONS[named] ?? activation(named);
  return scalar ? { scalar } : {};
}

/**
 * Run a loop over the time steps of one sequence.
 *
 * loop: {cell, operations, lines, weights, backwards, zeroes}.  x: numbers of all steps.  mask: by step, or null.
 * start: the states before the first step.  holds: by line, [{value, units, steps}].
 * Return the values of each operation, the states before each step, the outputs and the last states; steps are
 * those of the input.
 */
export function run(loop, x, mask, start, holds, Numbers) {
  const { cell, operations } = loop;
  const { units, features } = cell;
  const steps = x.length / features;
  // In double precision, so that rounding does not add up; a number that single precision cannot hold is infinite.
  const values = operations.map(({ kind, size }) => (kind === "x" ? x : new Float64Array(size * steps)));
  const before = cell.states.map(() => new Float64Array(units * steps));
  const outputs = new Numbers(units * steps);
  const states = start.map((state) => Float64Array.from(state));
  const most = Numbers === Float32Array ? LARGEST : Number.POSITIVE_INFINITY;
  const order = Array.from({ length: steps }, (_, step) => (loop.backwards ? steps - 1 - step : step));
  let output = new Numbers(units);
  for (const step of order) {
    for (const [index, state] of states.entries()) before[index].set(state, step * units);
    if (!mask || mask[step]) {
      compute(loop, values, before, step, holds, most);
      for (const [index, name] of cell.states.entries()) {
        const line = loop.lines[name];
        spread(values[line], operations[line].size, step, states[index]);
      }
      output = Numbers.from(states[0]);
    } else if (loop.zeroes) {
      output = new Numbers(units);
    }
    outputs.set(output, step * units);
  }
  return { values, before, outputs, last: states, output, order, mask, steps };
}

/** Copy the numbers of a step into an array, which may be longer than a value of size 1. */
function spread(source, size, step, target) {
  for (let unit = 0; unit < target.length; unit++) target[unit] = source[step * size + (size > 1 ? unit : 0)];
}

function compute(loop, values, before, step, holds, most) {
  const { operations, weights } = loop;
  for (const [index, operation] of operations.entries()) {
    const { kind, args, size } = operation;
    if (kind === "x") continue;
    const target = values[index];
    const start = step * size;
    if (kind === "@") {
      multiply(operation, values[args[0]], operations[args[0]].size, step, weights, target);
    } else if (kind === "before") {
      target.set(before[operation.state].subarray(start, start + size), start);
    } else if (kind === "weight") {
      const { name, offset } = operation.columns;
      for (let unit = 0; unit < size; unit++) target[start + unit] = weights[name].values[offset + unit];
    } else if (kind === "number") {
      target[start] = operation.number;
    } else {
      apply(
        operation,
        args.map((arg) => reader(values[arg], operations[arg].size, step)),
        target,
        start,
      );
      if (kind === "line" && holds[operation.line]) applyHolds(holds[operation.line], target, start, size, step);
    }
    for (let index = start; index < start + size; index++) {
      if (target[index] > most) target[index] = Number.POSITIVE_INFINITY;
      else if (target[index] < -most) target[index] = Number.NEGATIVE_INFINITY;
    }
  }
}

/** Return what reads a number of a value at a step: a value of size 1 is the same for all units. */
function reader(values, size, step) {
  const start = step * size;
  return size === 1 ? () => values[start] : (unit) => values[start + unit];
}

function multiply({ columns, size }, left, leftSize, step, weights, target) {
  const matrix = weights[columns.name].values;
  const to = step * size;
  for (let row = 0; row < columns.rows; row++) {
    const factor = left[step * leftSize + (leftSize > 1 ? row : 0)];
    const start = row * columns.columns + columns.offset;
    for (let unit = 0; unit < size; unit++) target[to + unit] += factor * matrix[start + unit];
  }
}

function apply({ kind, named, rule, signs, size, width }, read, target, start) {
  if (rule?.row) {
    const row = Array.from({ length: width }, (_, unit) => read[0](unit));
    target.set(rule.row[0](row), start);
    return;
  }
  for (let unit = 0; unit < size; unit++) {
    let value = read[0](unit);
    if (kind === "+") {
      value *= signs[0];
      for (let term = 1; term < read.length; term++) value += signs[term] * read[term](unit);
    } else if (kind === "*") value *= read[1](unit);
    else if (kind === "/") value /= read[1](unit);
    else if (kind === "**") value **= read[1](unit);
    else if (kind === "f") value = rule.scalar ? rule.scalar[0](value) : pickOne(named, read, unit);
    target[start + unit] = value;
  }
}

/** Return maximum, minimum or clip of several numbers. */
export function pickOne(named, read, unit) {
  const [first, second, third] = read.map((number) => number(unit));
  if (named === "maximum") return Math.max(first, second);
  if (named === "minimum") return Math.min(first, second);
  return Math.min(Math.max(first, second), third);
}

function applyHolds(entries, target, start, size, step) {
  for (const { value, units, steps } of entries) {
    if (steps && !steps.includes(step)) continue;
    for (let unit = 0; unit < size; unit++) {
      if (!units || units.includes(unit)) target[start + unit] = value;
    }
  }
}

/**
 * Return the gradient of a number by x, and by the start states: the list of operations backwards.
 *
 * done: what `run` returned.  seeds: {outputs, last, lines}, the gradients of the number by the outputs of all steps,
 * by the last states, and by the value of a line at a step: {line, step, unit} or null.
 */
export function pullBack(loop, done, seeds, holds) {
  const { cell, operations, lines } = loop;
  const { units, features } = cell;
  const x = new Float64Array(features * done.steps);
  const states = seeds.last.map((state) => Float64Array.from(state));
  const slopes = operations.map(({ size }) => new Float64Array(size));
  let carried = new Float64Array(units);
  for (const step of [...done.order].reverse()) {
    for (let unit = 0; unit < units; unit++) carried[unit] += seeds.outputs[step * units + unit];
    if (done.mask && !done.mask[step]) {
      // A masked step repeats the output before it.
      if (loop.zeroes) carried = new Float64Array(units);
      continue;
    }
    for (const slope of slopes) slope.fill(0);
    for (const [index, name] of cell.states.entries()) {
      collect(slopes[lines[name]], states[index]);
      states[index] = new Float64Array(units);
    }
    collect(slopes[lines[cell.states[0]]], carried);
    carried = new Float64Array(units);
    if (seeds.line?.step === step) slopes[lines[seeds.line.line]][seeds.line.unit] += 1;
    for (let index = operations.length - 1; index >= 0; index--) {
      const slope = slopes[index];
      if (slope.every((number) => number === 0)) continue;
      const { kind, state } = operations[index];
      if (kind === "x") collect(x.subarray(step * features, (step + 1) * features), slope);
      else if (kind === "before") collect(states[state], slope);
      else pull(loop, index, done.values, step, slopes, holds);
    }
  }
  return { x, start: states };
}

/** Add a gradient to another, summed where the other has size 1. */
function collect(target, slope) {
  for (let unit = 0; unit < slope.length; unit++) target[target.length > 1 ? unit : 0] += slope[unit];
}

function pull(loop, index, values, step, slopes, holds) {
  const { operations, weights } = loop;
  const { kind, args, size, signs, columns, named, rule, line } = operations[index];
  const slope = slopes[index];
  if (kind === "@") {
    const matrix = weights[columns.name].values;
    const target = slopes[args[0]];
    const last = target.length - 1;
    for (let row = 0; row < columns.rows; row++) {
      const start = row * columns.columns + columns.offset;
      let total = 0;
      for (let unit = 0; unit < size; unit++) total += slope[unit] * matrix[start + unit];
      target[last ? row : 0] += total;
    }
    return;
  }
  const targets = args.map((arg) => slopes[arg]);
  const read = args.map((arg) => reader(values[arg], operations[arg].size, step));
  if (rule?.row) {
    const row = Array.from(targets[0], (_, unit) => read[0](unit));
    const y = Array.from(values[index].subarray(step * size, (step + 1) * size));
    collect(targets[0], rule.row[1](Array.from(slope), y, row));
    return;
  }
  for (let unit = 0; unit < size; unit++) {
    const g = slope[unit];
    if (g === 0) continue;
    const to = (operand, number) => {
      const target = targets[operand];
      target[target.length > 1 ? unit : 0] += number;
    };
    const y = values[index][step * size + unit];
    const first = read[0]?.(unit);
    const second = read[1]?.(unit);
    if (kind === "+") for (const [term, sign] of signs.entries()) to(term, sign * g);
    else if (kind === "line") to(0, isHeld(holds[line], unit, step) ? 0 : g);
    else if (kind === "*") {
      to(0, g * second);
      to(1, g * first);
    } else if (kind === "/") {
      to(0, g / second);
      to(1, (-g * first) / second / second);
    } else if (kind === "**") {
      to(0, g * second * first ** (second - 1));
      to(1, first > 0 ? g * y * Math.log(first) : 0);
    } else if (rule?.scalar) to(0, g * rule.scalar[1](y, first));
    else if (named === "clip") {
      const third = read[2](unit);
      const raised = Math.max(first, second);
      to(raised > third ? 2 : first >= second ? 0 : 1, g);
    } else if (named) to((named === "maximum" ? first >= second : first <= second) ? 0 : 1, g);
  }
}

/** Return whether a unit of a line is held at a step. */
export function isHeld(entries, unit, step) {
  return (entries ?? []).some(
    ({ units, steps }) => (!units || units.includes(unit)) && (!steps || steps.includes(step)),
  );
}
