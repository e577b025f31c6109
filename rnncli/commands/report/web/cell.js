// A cell: its equations as one flat list of operations, run over time, and the same list backwards for gradients.
//
// An equation arrives as a tree without names of axes: a number, ["n", name, kind], ["+", [sign, node], ...],
// [operator, left, right], ["f", function, ...arguments], ["view", node, sizes, order, shape],
// ["einsum", left, right, subscripts], ["shift", window, entry] or ["index", size].  The value of each operation is
// kept for every time step, so that each part of an equation can be shown.

import { activation, FUNCTIONS, ROW_FUNCTIONS } from "./activations.js";

/** Return [entry(0), entry(1), ...]. */
export const list = (length, entry) => Array.from({ length }, (_, index) => entry(index));

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
  const lines = cell.packing[name];
  const start = lines.slice(0, lines.indexOf(line)).reduce((total, before) => total + cell.sizes[before], 0);
  const row = isBias && cell.twoBiases && name === "recurrent_bias" ? columns : 0;
  return { name: stored, offset: row + start, columns, size: cell.sizes[line], rows: isBias ? 1 : shape[0] };
}

const sizeOf = (shape) => shape.reduce((total, size) => total * size, 1);

/** Return by how much a flat index grows along each axis. */
const stridesOf = (shape) => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

/** Return where each number of this shape stands in a flat array, given the step along each axis. */
function placesOf(shape, strides) {
  const places = new Int32Array(sizeOf(shape));
  const own = stridesOf(shape);
  for (let unit = 0; unit < places.length; unit++) {
    for (const [axis, size] of shape.entries()) places[unit] += (Math.floor(unit / own[axis]) % size) * strides[axis];
  }
  return places;
}

/** Return what finds a number of a value for a number of a larger one: axes of size 1 are repeated, as in NumPy. */
function repeated(from, to) {
  const size = sizeOf(from);
  if (size === 1) return () => 0;
  if (size === sizeOf(to)) return (unit) => unit;
  const missing = to.length - from.length;
  const strides = stridesOf(from);
  const places = placesOf(
    to,
    to.map((_, axis) => (axis < missing || from[axis - missing] === 1 ? 0 : strides[axis - missing])),
  );
  return (unit) => places[unit];
}

/**
 * Return {operations, node}: a list, and what adds the operations of a tree and returns the index of the last.
 *
 * lines: the operation of each line that is in the list.  Each operation has a kind, the indices of its operands
 * (`args`), its shape and its size, and `places`: where the number of each operand stands, for a number of the value.
 */
export function listOperations(cell, weights, lines = {}) {
  const operations = [];
  const add = (kind, args, shape, more) =>
    operations.push({
      ...{ kind, args, shape, size: sizeOf(shape) },
      ...{ places: args.map((arg) => repeated(operations[arg].shape, shape)), ...more },
    }) - 1;
  const shapeOf = (args) => {
    const shapes = args.map((index) => operations[index].shape);
    const axes = Math.max(...shapes.map(({ length }) => length));
    return list(axes, (axis) => Math.max(...shapes.map((shape) => shape[axis - axes + shape.length] ?? 1)));
  };

  function node(tree, line) {
    if (typeof tree === "number") return add("number", [], [], { number: tree });
    const [kind, ...rest] = tree;
    if (kind === "n") return name(rest[0], rest[1], line);
    if (kind === "index") return add("index", [], rest);
    if (kind === "+") {
      const args = rest.map(([, term]) => node(term, line));
      return add("+", args, shapeOf(args), { signs: rest.map(([sign]) => sign) });
    }
    if (kind === "@") {
      const columns = columnsOf(cell, weights, rest[1][1], line);
      return add("@", [node(rest[0], line)], [columns.size], { columns, places: [] });
    }
    if (kind === "view") {
      const [part, sizes, order, shape] = rest;
      const strides = stridesOf(sizes);
      const isSame = order.every((axis, index) => axis === index);
      const places =
        !isSame &&
        placesOf(
          order.map((axis) => sizes[axis]),
          order.map((axis) => strides[axis]),
        );
      return add("view", [node(part, line)], shape, { places: [(unit) => (places ? places[unit] : unit)] });
    }
    if (kind === "einsum") return einsum(node(rest[0], line), node(rest[1], line), rest[2]);
    const args = (kind === "f" ? rest.slice(1) : rest).map((operand) => node(operand, line));
    if (kind === "shift") {
      const { shape, size } = operations[args[0]];
      return add("shift", args, shape, { rest: size - operations[args[1]].size, places: [] });
    }
    if (kind === "f") {
      const named = cell.functions[rest[0]] ?? rest[0];
      const shape = shapeOf(args);
      const width = shape.at(-1) ?? 1;
      if (["mean", "variance", "sum"].includes(named)) shape[Math.max(shape.length - 1, 0)] = 1;
      return add("f", args, shape, { named, rule: ruleOf(named), width, rows: operations[args[0]].size / width });
    }
    return add(kind, args, shapeOf(args));
  }

  /** Add a sum of products over the last axis of the left side.  subscripts: a letter for each axis. */
  function einsum(left, right, [first, second, after]) {
    const letters = [first, second].map((text) => [...text]);
    const shapes = [left, right].map((arg) => operations[arg].shape);
    const sizeFor = (letter) => shapes[0][letters[0].indexOf(letter)] ?? shapes[1][letters[1].indexOf(letter)];
    const shape = Array.from(after, sizeFor);
    const strides = shapes.map(stridesOf);
    const strideFor = (side) => (letter) => strides[side][letters[side].indexOf(letter)] ?? 0;
    const summed = letters[0].at(-1);
    return add("einsum", [left, right], shape, {
      count: sizeFor(summed),
      steps: [0, 1].map((side) => strideFor(side)(summed)),
      places: [0, 1].map((side) => {
        const places = placesOf(shape, Array.from(after, strideFor(side)));
        return (unit) => places[unit];
      }),
    });
  }

  function name(named, kind, line) {
    if (named === "x") return add("x", [], [cell.features], { first: 0 });
    if (kind === "input") {
      const [first, size] = cell.inputs[named];
      return add("x", [], [size], { first, name: named });
    }
    if (kind === "before") return add("before", [], cell.shapes[named], { name: named });
    if (kind) return lines[named] ?? add("read", [], cell.shapes[named], { name: named });
    const packed = PACKED.includes(named);
    const columns = columnsOf(cell, weights, named, line);
    return add("weight", [], packed ? [columns.size] : weights[named].shape, { columns, name: named });
  }

  return { operations, node };
}

/** Return the operations of a cell, and the operation that holds each line; a line can be held. */
export function compile(cell, weights) {
  const lines = {};
  const { operations, node } = listOperations(cell, weights, lines);
  for (const [line, tree] of cell.lines) {
    const root = node(tree, line);
    const shape = cell.shapes[line];
    lines[line] = operations.length;
    const places = [repeated(operations[root].shape, shape)];
    operations.push({ kind: "line", args: [root], shape, size: cell.sizes[line], places, line });
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
  const isWhole = ({ kind, size }) => kind === "x" && size === features;
  const values = operations.map((operation) => (isWhole(operation) ? x : new Float64Array(operation.size * steps)));
  const before = cell.states.map((name) => new Float64Array(cell.sizes[name] * steps));
  const outputs = new Numbers(units * steps);
  const states = start.map((state) => Float64Array.from(state));
  const most = Numbers === Float32Array ? LARGEST : Number.POSITIVE_INFINITY;
  const order = list(steps, (step) => (loop.backwards ? steps - 1 - step : step));
  let output = new Numbers(units);
  for (const step of order) {
    for (const [index, state] of states.entries()) before[index].set(state, step * state.length);
    if (!mask || mask[step]) {
      compute(loop, x, values, before, step, holds, most);
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

function compute(loop, x, values, before, step, holds, most) {
  const { cell, operations, weights } = loop;
  for (const [index, operation] of operations.entries()) {
    const { kind, args, size } = operation;
    const target = values[index];
    if (target === x) continue;
    const start = step * size;
    if (kind === "@") {
      multiply(operation, values[args[0]], operations[args[0]].size, step, weights, target);
    } else if (kind === "x") {
      const from = step * cell.features + operation.first;
      target.set(x.subarray(from, from + size), start);
    } else if (kind === "before") {
      target.set(before[cell.states.indexOf(operation.name)].subarray(start, start + size), start);
    } else if (kind === "weight") {
      const { name, offset } = operation.columns;
      for (let unit = 0; unit < size; unit++) target[start + unit] = weights[name].values[offset + unit];
    } else if (kind === "number") {
      target[start] = operation.number;
    } else if (kind === "index") {
      for (let unit = 0; unit < size; unit++) target[start + unit] = unit;
    } else {
      apply(operation, readers(operations, values, args, step), target, start);
      if (kind === "line" && holds[operation.line]) applyHolds(holds[operation.line], target, start, size, step);
    }
    for (let index = start; index < start + size; index++) {
      if (target[index] > most) target[index] = Number.POSITIVE_INFINITY;
      else if (target[index] < -most) target[index] = Number.NEGATIVE_INFINITY;
    }
  }
}

/** Return what reads the numbers of operands at a step, by their own indices. */
const readers = (operations, values, args, step) =>
  args.map((arg) => {
    const numbers = values[arg];
    const start = step * operations[arg].size;
    return (index) => numbers[start + index];
  });

function multiply({ columns, size }, left, leftSize, step, weights, target) {
  const matrix = weights[columns.name].values;
  const to = step * size;
  for (let row = 0; row < columns.rows; row++) {
    const factor = left[step * leftSize + (leftSize > 1 ? row : 0)];
    const start = row * columns.columns + columns.offset;
    for (let unit = 0; unit < size; unit++) target[to + unit] += factor * matrix[start + unit];
  }
}

/** Compute the value of an operation.  read: the numbers of its operands, by their own indices. */
function apply(operation, read, target, start) {
  const { rule, size, width } = operation;
  if (rule?.row) {
    for (let row = 0; row < operation.rows; row++) {
      const numbers = list(width, (unit) => read[0](row * width + unit));
      target.set(rule.row[0](numbers), start + (row * size) / operation.rows);
    }
    return;
  }
  for (let unit = 0; unit < size; unit++) target[start + unit] = valueAt(operation, read, unit);
}

/** Return a number of the value of an operation that is not a function of whole rows.  read: as in `apply`. */
export function valueAt({ kind, named, rule, signs, places, count, steps, size, rest }, read, unit) {
  if (kind === "shift") return unit < rest ? read[0](unit + size - rest) : read[1](unit - rest);
  if (kind === "einsum") {
    const [left, right] = places.map((place) => place(unit));
    let total = 0;
    for (let index = 0; index < count; index++) {
      total += read[0](left + index * steps[0]) * read[1](right + index * steps[1]);
    }
    return total;
  }
  const operand = (index) => read[index](places[index](unit));
  let value = operand(0);
  if (kind === "+") {
    value *= signs[0];
    for (let term = 1; term < read.length; term++) value += signs[term] * operand(term);
  } else if (kind === "*") value *= operand(1);
  else if (kind === "/") value /= operand(1);
  else if (kind === "**") value **= operand(1);
  else if (kind === "f")
    value = rule.scalar
      ? rule.scalar[0](value)
      : pickOne(
          named,
          read.map((_, index) => operand(index)),
        );
  return value;
}

/** Return maximum, minimum or clip of several numbers. */
function pickOne(named, [first, second, third]) {
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
      states[index] = new Float64Array(cell.sizes[name]);
    }
    collect(slopes[lines[cell.states[0]]], carried);
    carried = new Float64Array(units);
    if (seeds.line?.step === step) slopes[lines[seeds.line.line]][seeds.line.unit] += 1;
    for (let index = operations.length - 1; index >= 0; index--) {
      const slope = slopes[index];
      if (slope.every((number) => number === 0)) continue;
      const { kind, name, first } = operations[index];
      if (kind === "x") collect(x.subarray(step * features + first), slope);
      else if (kind === "before") collect(states[cell.states.indexOf(name)], slope);
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
  const { kind, args, size, places, signs, columns, named, rule, line, width, rows } = operations[index];
  const { count, steps, rest } = operations[index];
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
  const read = readers(operations, values, args, step);
  const y = values[index].subarray(step * size, (step + 1) * size);
  if (rule?.row) {
    const part = size / rows;
    for (let row = 0; row < rows; row++) {
      const numbers = list(width, (unit) => read[0](row * width + unit));
      const [g, value] = [slope, y].map((all) => Array.from(all.subarray(row * part, (row + 1) * part)));
      collect(targets[0].subarray(row * width, (row + 1) * width), rule.row[1](g, value, numbers));
    }
    return;
  }
  for (let unit = 0; unit < size; unit++) {
    const g = slope[unit];
    if (g === 0) continue;
    if (kind === "shift") {
      if (unit < rest) targets[0][unit + size - rest] += g;
      else targets[1][unit - rest] += g;
      continue;
    }
    const at = places.map((place) => place(unit));
    if (kind === "einsum") {
      for (let term = 0; term < count; term++) {
        const [left, right] = at.map((start, side) => start + term * steps[side]);
        targets[0][left] += g * read[1](right);
        targets[1][right] += g * read[0](left);
      }
      continue;
    }
    const to = (operand, number) => {
      targets[operand][at[operand]] += number;
    };
    const [first, second, third] = at.map((place, operand) => read[operand](place));
    if (kind === "+") for (const [term, sign] of signs.entries()) to(term, sign * g);
    else if (kind === "view") to(0, g);
    else if (kind === "line") to(0, isHeld(holds[line], unit, step) ? 0 : g);
    else if (kind === "*") {
      to(0, g * second);
      to(1, g * first);
    } else if (kind === "/") {
      to(0, g / second);
      to(1, (-g * first) / second / second);
    } else if (kind === "**") {
      to(0, g * second * first ** (second - 1));
      to(1, first > 0 ? g * y[unit] * Math.log(first) : 0);
    } else if (rule?.scalar) to(0, g * rule.scalar[1](y[unit], first));
    else if (named === "clip") {
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
