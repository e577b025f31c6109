// The layers of a page: what they read, compute and return, by the names and addresses that rnncli uses.

import { compile, list, pullBack, run } from "./cell.js";

/** Return numbers of base64 text, little-endian, as an array of their type. */
export function decode({ values, dtype }) {
  const letters = atob(values);
  const bytes = new Uint8Array(letters.length);
  for (let index = 0; index < bytes.length; index++) bytes[index] = letters.charCodeAt(index);
  return dtype === "bool" ? bytes : new (arrayOf(dtype))(bytes.buffer);
}

const arrayOf = (dtype) => (dtype === "float64" ? Float64Array : Float32Array);

/** Return nested lists of a flat array. */
export function nest(flat, shape) {
  if (shape.length < 2) return Array.from(flat, (value) => spell(value));
  const size = flat.length / shape[0];
  return list(shape[0], (index) => nest(flat.slice(index * size, (index + 1) * size), shape.slice(1)));
}

const WORDS = { NaN: Number.NaN, Infinity: Number.POSITIVE_INFINITY, "-Infinity": Number.NEGATIVE_INFINITY };

/** Return a number as JSON has it: NaN and infinities are text. */
const spell = (value) => (typeof value === "boolean" || Number.isFinite(value) ? value : String(value));

/** Return all numbers of nested lists. */
export const flatten = (nested) =>
  [nested].flat(Number.POSITIVE_INFINITY).map((value) => WORDS[value] ?? Number(value));

/** Return the shortest text that reads back as this number in its type. */
export function shortest(value, dtype) {
  if (dtype === "float64" || !Number.isFinite(value)) return value;
  const fewest = Math.fround(Number(value.toPrecision(6))) === value ? 1 : 7;
  for (let digits = fewest; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

const HALVES = ["forward", "backward"];

/** Return the index on each axis of the number at a flat index. */
export function indicesOf(shape, unit) {
  let rest = unit;
  return shape
    .toReversed()
    .map((size) => {
      const index = rest % size;
      rest = (rest - index) / size;
      return index;
    })
    .reverse();
}

/** Return the flat index of the number at these indices, or of the nearest that there is. */
export const flatIndex = (shape, indices) =>
  shape.reduce((total, size, axis) => total * size + Math.max(Math.min(indices[axis] ?? 0, size - 1), 0), 0);

/** Return the address of a number of a line; step -1 is the start of a state, as an address of -1 would be the last step. */
export function addressOf({ layer, half, line, sequence, step, unit }) {
  const time = step < 0 ? "start" : step;
  const indices = [sequence, time, ...indicesOf(layer.halves[half].cell.shapes[line], unit)];
  return `${layer.prefix}${layer.flags.bidirectional ? `${half}/` : ""}${line}[${indices}]`;
}

/**
 * What a page is about, as it is shown now.
 *
 * data: what Python wrote.  Each layer of `layers` has `flags` (sequences, state, bidirectional, merge), and `halves`:
 * the loops over time, `forward` and, for Bidirectional, `backward`.
 */
export class Model {
  constructor(data) {
    this.data = data;
    this.Numbers = arrayOf(data.dtype);
    this.reset();
  }

  /** Set everything as it was when the page was written. */
  reset() {
    this.layers = this.data.layers.map((layer) => ({
      ...layer,
      flags: { ...layer.flags },
      x: layer.x && { ...layer.x, numbers: decode(layer.x) },
      mask: layer.mask && decode(layer.mask),
      steps: layer.x && (this.data.steps ?? null),
      halves: Object.fromEntries(Object.entries(layer.halves).map(([name, half]) => [name, this.loop(half)])),
    }));
    this.holds = [...this.data.holds];
    this.history = [];
    this.forget();
  }

  /** Return a loop over time of a half, with its numbers. */
  loop(half) {
    const weights = Object.fromEntries(
      Object.entries(half.weights).map(([name, { shape, ...stored }]) => [name, { shape, values: decode(stored) }]),
    );
    return this.prepare({
      ...half,
      weights,
      start: half.start?.map((state) => decode(state)) ?? null,
    });
  }

  prepare(half) {
    const cell = this.data.cells[half.cell];
    return { ...half, index: half.cell, cell, ...compile(cell, half.weights) };
  }

  /** Drop what was computed. */
  forget() {
    this.runs = new Map();
  }

  /** Return the layer that the numbers of a layer come from: the first of its chain. */
  root(layer) {
    return layer.source === null ? layer : this.root(this.layers[layer.source]);
  }

  /** Return the layers from the first of a chain to this one. */
  chainOf(layer) {
    return layer.source === null ? [layer] : [...this.chainOf(this.layers[layer.source]), layer];
  }

  /** Return the names of the halves that a layer runs now. */
  halvesOf(layer) {
    return HALVES.filter((name) => name in layer.halves && (name === "forward" || layer.flags.bidirectional));
  }

  /** Return the loop of a half as it runs now. */
  loopOf(layer, name) {
    const half = layer.halves[name];
    const zeroes = layer.flags.bidirectional || half.zeroes === "sequences" ? layer.flags.sequences : half.zeroes;
    return { ...half, zeroes };
  }

  get batch() {
    return this.layers[0].x.shape[0];
  }

  /** Return what each layer computed for a sequence, computed once.  given: other inputs and mask, kept nowhere. */
  of(sequence, given = null) {
    if (!given && this.runs.has(sequence)) return this.runs.get(sequence);
    const done = [];
    for (const layer of this.layers) done.push(this.compute(layer, sequence, done, given));
    if (!given) this.runs.set(sequence, done);
    return done;
  }

  /** Return what a layer computed for a sequence. */
  done(layer, sequence) {
    return this.of(sequence)[this.layers.indexOf(layer)];
  }

  compute(layer, sequence, done, given) {
    const below = layer.source === null ? null : done[layer.source];
    const { x, mask } = below ? { x: below.sequences[0], mask: below.mask } : this.inputOf(layer, sequence, given);
    const reads = below && layer.halves.forward.start ? null : mask;
    const halves = {};
    for (const name of this.halvesOf(layer)) {
      const loop = this.loopOf(layer, name);
      const start = loop.cell.states.map((_, index) => this.startOf(loop, index, sequence));
      halves[name] = run(loop, x, reads, start, this.heldIn(layer, name), this.Numbers);
    }
    return { halves, x, mask, ...this.merge(layer, halves) };
  }

  inputOf(layer, sequence, given) {
    const [, steps, features] = (given?.x ?? layer.x).shape;
    const numbers = (given?.x ?? layer.x).numbers;
    const mask = given && "mask" in given ? given.mask : layer.mask;
    const size = steps * features;
    return {
      x: numbers.subarray(sequence * size, (sequence + 1) * size),
      mask: mask?.subarray(sequence * steps, (sequence + 1) * steps) ?? null,
    };
  }

  startOf(loop, index, sequence) {
    const { sizes, states, initial } = loop.cell;
    const size = sizes[states[index]];
    if (!loop.start) return new this.Numbers(size).fill(initial[states[index]] ?? 0);
    return loop.start[index].subarray(sequence * size, (sequence + 1) * size);
  }

  /** Return the gates held in a half, by line. */
  heldIn(layer, name) {
    const here = this.holds.filter((hold) => hold.layer === layer.prefix && hold.half === name);
    return Object.groupBy(here, ({ line }) => line);
  }

  /** Return the input's time step of a row of the sequence that a half returns, and the row of a time step. */
  stepOf(layer, name, done, row) {
    if (layer.halves[name].inputOrder) return row;
    return done.order[name === "backward" ? done.steps - 1 - row : row];
  }

  /** Return the sequence that a half returns. */
  rowsOf(layer, name, done) {
    const { units } = layer.halves[name].cell;
    const rows = new this.Numbers(done.steps * units);
    for (let row = 0; row < done.steps; row++) {
      const step = this.stepOf(layer, name, done, row);
      rows.set(done.outputs.subarray(step * units, (step + 1) * units), row * units);
    }
    return rows;
  }

  /** Return {sequences, outputs, width}: what a layer returns with return_sequences and without it; of two halves, merged. */
  merge(layer, halves) {
    const names = Object.keys(halves);
    const units = names.map((name) => layer.halves[name].cell.units);
    const sequences = names.map((name) => this.rowsOf(layer, name, halves[name]));
    const outputs = names.map((name) => halves[name].output);
    const { merge } = layer.flags;
    if (names.length < 2 || merge === "none") return { sequences, outputs, width: units[0] };
    const merged = (numbers) => [merge === "concat" ? this.joined(numbers, units) : this.combined(merge, numbers)];
    const width = merge === "concat" ? units[0] + units[1] : units[0];
    return { sequences: merged(sequences), outputs: merged(outputs), width };
  }

  /** Return the rows of two halves side by side. */
  joined([first, second], [units, more]) {
    const rows = first.length / units;
    const both = new this.Numbers(first.length + second.length);
    for (let row = 0; row < rows; row++) {
      both.set(first.subarray(row * units, (row + 1) * units), row * (units + more));
      both.set(second.subarray(row * more, (row + 1) * more), row * (units + more) + units);
    }
    return both;
  }

  combined(merge, [first, second]) {
    const both = { sum: (a, b) => a + b, mul: (a, b) => a * b, ave: (a, b) => (a + b) / 2 }[merge];
    return this.Numbers.from(first, (number, index) => both(number, second[index]));
  }

  /** Return what stands before the names of a layer's tensors: a lower layer of a stack is named, the last is not. */
  namesOf(layer) {
    return this.shown.includes(layer) ? layer.names : layer.prefix;
  }

  /**
   * Return the tensors that a layer returns, in Keras's order.
   *
   * Each has its name, `of(done)`, which reads its numbers for one sequence, and where they come from: `sequence`
   * for the output, else {half, state}.  `shape(done)` is that of a row: of a state, a size for each axis.
   */
  tensors(layer) {
    const { sequences, state } = layer.flags;
    const merged = layer.flags.bidirectional && layer.flags.merge === "none" ? this.halvesOf(layer) : [""];
    const names = this.namesOf(layer);
    const outputs = merged.map((half, index) => ({
      name: `${names}${half && `${half}_`}hidden_state${sequences ? "s" : ""}`,
      half,
      isSequence: sequences,
      of: (done) => (sequences ? done.sequences : done.outputs)[index],
      width: (done) => (half ? layer.halves[half].cell.units : done.width),
      shape: (done) => [half ? layer.halves[half].cell.units : done.width],
    }));
    if (!state) return outputs;
    const states = this.halvesOf(layer).flatMap((half) =>
      layer.halves[half].cell.states.map((name, index) => ({
        name: `${names}${layer.flags.bidirectional ? `${half}_` : ""}last_${name}_state`,
        half,
        state: index,
        isSequence: false,
        of: (done) => done.halves[half].last[index],
        width: () => layer.halves[half].cell.sizes[name],
        shape: () => layer.halves[half].cell.shapes[name],
      })),
    );
    return [...outputs, ...states];
  }

  /** Return the layers whose tensors are shown: all of a model, the last of a stack. */
  get shown() {
    const sources = this.layers.map((layer) => layer.source);
    return this.layers.filter((_, index) => !sources.includes(index));
  }

  /** Return the numbers of a tensor for the whole batch, with their shape. */
  whole(tensor, layer, given = null) {
    const index = this.layers.indexOf(layer);
    const batch = given?.x?.shape[0] ?? this.batch;
    const parts = list(batch, (sequence) => {
      const done = this.of(sequence, given)[index];
      return [tensor.of(done), tensor.shape(done), done.halves.forward.steps];
    });
    const [, shape, steps] = parts[0] ?? [[], [0], 0];
    const values = this.Numbers.from(parts.flatMap(([numbers]) => Array.from(numbers)));
    return { values, shape: [batch, ...(tensor.isSequence ? [steps] : []), ...shape] };
  }

  /** Return {NAME: nested lists} of everything returned.  inputs, mask: nested lists in place of what is shown. */
  returned({ inputs, mask } = {}) {
    const given = this.given(inputs, mask);
    const tensors = {};
    for (const layer of this.shown) {
      for (const tensor of this.tensors(layer)) {
        const { values, shape } = this.whole(tensor, layer, given);
        tensors[tensor.name] = nest(values, shape);
      }
    }
    return tensors;
  }

  given(inputs, mask) {
    if (inputs === undefined && mask === undefined) return null;
    if (this.shown.length > 1) throw new Error("inputs are those of one layer: choose it when the page is written");
    const root = this.root(this.shown[0]);
    const [batch, steps] = inputs ? [inputs.length, inputs[0].length] : root.x.shape;
    const numbers = inputs ? this.Numbers.from(flatten(inputs)) : root.x.numbers;
    const given = { x: { numbers, shape: [batch, steps, root.x.shape[2]] } };
    if (mask !== undefined) given.mask = mask && Uint8Array.from(flatten(mask), Number);
    return given;
  }

  /**
   * Return where an address points; throw where there is no such number.
   *
   * {kind: "x", layer, sequence, step, unit}; {kind: "line", ...half, line}; or {kind: "returned", ...tensor, row}.
   */
  locate(address) {
    const target = this.find(address);
    const nearest = this.clip(target).join();
    if (address.replaceAll(" ", "").endsWith(`[${nearest}]`)) return target;
    throw new Error(`${address}: there is no such number; the nearest is [${nearest}]`);
  }

  /** Return where an address points, wherever that is.  isOld: the layer may return its tensor by another name now. */
  find(address, isOld = false) {
    const parts = /^(.*\/|)([A-Za-z_]\w*)\[((?:[-\d, ]|start)+)\]$/s.exec(address.trim());
    if (!parts) throw new Error(`${address}: an address is a name and its indices, hidden_states[0,3,1]`);
    const [, path, name, numbers] = parts;
    const indices = numbers.split(",").map((index) => (index.trim() === "start" ? -1 : Number(index)));
    let half = "forward";
    let layer = this.layers.find(({ prefix }) => prefix === path); // first, as a layer may be called backward
    if (!layer) {
      half = HALVES.find((other) => path.endsWith(`${other}/`)) ?? half;
      const rest = path.replace(/(forward|backward)\/$/, "");
      layer = this.layers.find(({ prefix }) => prefix === rest) ?? (rest === "" ? this.shown.at(-1) : null);
    }
    if (!layer) throw new Error(`${address}: there is no layer ${path}`);
    const [sequence, step, ...rest] = indices;
    if (name === "x") return { kind: "x", layer: path ? layer : this.root(layer), sequence, step, unit: rest[0] };
    const tensors = this.tensors(layer);
    const plain = (text) => text.replace(/(forward|backward)_(?=\w+$)/, "").replace(/states$/, "state");
    const tensor =
      tensors.find((named) => named.name === path + name) ??
      (isOld && tensors.find((named) => plain(named.name) === plain(path + name)));
    if (tensor) {
      const shape = tensor.shape(this.done(layer, 0));
      const row = tensor.isSequence && indices.length > 2 ? step : Number.POSITIVE_INFINITY;
      const place = tensor.state === undefined ? indices.slice(-1) : indices.slice(1);
      return { kind: "returned", layer, tensor, sequence, row, unit: flatIndex(shape, place) };
    }
    if (!(name in layer.halves[half].lines)) throw new Error(`${address}: there is no ${name}`);
    const unit = flatIndex(layer.halves[half].cell.shapes[name], rest);
    return { kind: "line", layer, half, line: name, sequence, step, unit };
  }

  /** Return the indices of a number, or of the nearest that there is. */
  clip({ kind, layer, half, line, tensor, sequence, step, row, unit }) {
    const done = this.done(layer, 0);
    const inside = (index, size, least = 0) => Math.max(Math.min(index, size - 1), least);
    const { cell } = layer.halves[half ?? "forward"];
    const shape = { x: [cell.features], line: cell.shapes[line] }[kind] ?? tensor.shape(done);
    const place = indicesOf(
      shape,
      inside(
        unit,
        shape.reduce((total, size) => total * size, 1),
      ),
    );
    const time = inside(row ?? step, done.halves.forward.steps, cell.states.includes(line) ? -1 : 0);
    const hasTime = kind !== "returned" || tensor.isSequence;
    return [inside(sequence, this.batch), ...(hasTime ? [time < 0 ? "start" : time] : []), ...place];
  }

  /** Return an address as it is written now, or that of the nearest number; null if its tensor or line is gone. */
  canonical(address) {
    let target = null;
    try {
      target = this.find(address, true);
    } catch {
      return null;
    }
    const { kind, layer, line, tensor } = target;
    if (kind !== "line") return `${tensor?.name ?? address.slice(0, address.lastIndexOf("["))}[${this.clip(target)}]`;
    const half = this.halvesOf(layer).includes(target.half) ? target.half : "forward";
    if (!(line in layer.halves[half].lines)) return null;
    return `${addressOf({ ...target, half, unit: 0 }).split("[", 1)}[${this.clip({ ...target, half })}]`;
  }

  /** Return {half, unit}: where a returned number comes from; the first half if both are merged into it. */
  originOf({ layer, tensor, unit }) {
    const { units } = layer.halves.forward.cell;
    const { bidirectional, merge } = layer.flags;
    if (bidirectional && !tensor.half && merge === "concat" && unit >= units) {
      return { half: "backward", unit: unit - units };
    }
    return { half: tensor.half || "forward", unit };
  }

  /** Return the input's time step that a number belongs to. */
  stepOfNumber(address) {
    const target = this.locate(address);
    const { kind, layer, tensor, sequence, row, step } = target;
    if (kind !== "returned" && step >= 0) return step;
    const half = target.half ?? this.originOf(target).half;
    const done = this.done(layer, sequence).halves[half];
    if (kind === "line") return done.order[0]; // of the state before it
    return tensor.isSequence ? this.stepOf(layer, half, done, row) : done.order[done.steps - 1];
  }

  /** Return the number at an address.  given: as in `of`. */
  value(address, given = null) {
    const target = this.locate(address);
    const done = this.of(target.sequence, given)[this.layers.indexOf(target.layer)];
    if (target.kind === "x") return done.x[target.step * target.layer.halves.forward.cell.features + target.unit];
    if (target.kind === "line") return this.lineValue(target, done);
    const row = target.tensor.isSequence ? target.row : 0;
    return target.tensor.of(done)[row * target.tensor.width(done) + target.unit];
  }

  /** Return a number of a line: at a masked step what a state was before, and NaN for any other line. */
  lineValue({ layer, half, line, sequence, step, unit }, done) {
    const loop = layer.halves[half];
    if (step < 0) return this.startOf(loop, loop.cell.states.indexOf(line), sequence)[unit];
    const run = done.halves[half];
    if (run.mask && !run.mask[step]) {
      const state = loop.cell.states.indexOf(line);
      return state < 0 ? Number.NaN : run.before[state][step * loop.cell.sizes[line] + unit];
    }
    const index = loop.lines[line];
    const { size } = loop.operations[index];
    return run.values[index][step * size + (size > 1 ? unit : 0)];
  }

  /** Return {x, sequence}: the gradient of the number at an address by the input of its chain, for its sequence. */
  gradient(address) {
    const target = this.locate(address);
    const computed = this.of(target.sequence);
    const { layer } = target;
    const index = this.layers.indexOf(layer);
    if (target.kind === "x") {
      const x = new Float64Array(computed[index].x.length);
      x[target.step * layer.halves.forward.cell.features + target.unit] = 1;
      return this.below(layer, x, computed);
    }
    const seeds = this.seedsOf(layer, computed[index]);
    if (target.kind === "line")
      seeds[target.half].line = target.step < 0 ? null : target; // no input changes a start
    else if (target.tensor.state !== undefined) seeds[target.tensor.half].last[target.tensor.state][target.unit] = 1;
    else this.seedOutput(target, computed[index], seeds);
    return this.below(layer, this.pull(layer, computed[index], seeds), computed);
  }

  seedsOf(layer, done) {
    return Object.fromEntries(
      Object.keys(done.halves).map((name) => {
        const { units, sizes, states } = layer.halves[name].cell;
        const outputs = new Float64Array(done.halves[name].steps * units);
        return [name, { outputs, last: states.map((state) => new Float64Array(sizes[state])), line: null }];
      }),
    );
  }

  /** Set the seeds of a returned number of the output. */
  seedOutput({ layer, tensor, row, unit }, done, seeds) {
    const width = tensor.width(done);
    const slopes = new Float64Array(tensor.isSequence ? done.halves.forward.steps * width : width);
    slopes[(tensor.isSequence ? row : 0) * width + unit] = 1;
    this.splitRows(layer, done, slopes, seeds, tensor.isSequence, tensor.half ? [tensor.half] : undefined);
  }

  /** Add the gradient by the output of a layer, or of one half, to the seeds of its halves. */
  splitRows(layer, done, slopes, seeds, isSequence, names = Object.keys(done.halves)) {
    const { steps } = done.halves.forward;
    const rows = isSequence ? steps : 1;
    const width = slopes.length / rows;
    const merge = names.length > 1 ? layer.flags.merge : "";
    const stepIn = (name, row) => {
      const half = done.halves[name];
      return isSequence ? this.stepOf(layer, name, half, row) : half.order[steps - 1];
    };
    let offset = 0;
    for (const [index, name] of names.entries()) {
      const { units } = layer.halves[name].cell;
      const partner = names[1 - index];
      for (let row = 0; row < rows; row++) {
        for (let unit = 0; unit < units; unit++) {
          let slope = slopes[row * width + offset + unit];
          if (merge === "ave") slope /= 2;
          if (merge === "mul") slope *= done.halves[partner].outputs[stepIn(partner, row) * units + unit];
          seeds[name].outputs[stepIn(name, row) * units + unit] += slope;
        }
      }
      if (merge === "concat") offset += units;
    }
  }

  pull(layer, done, seeds) {
    const x = new Float64Array(done.x.length);
    for (const name of Object.keys(done.halves)) {
      const pulled = pullBack(this.loopOf(layer, name), done.halves[name], seeds[name], this.heldIn(layer, name));
      for (let index = 0; index < x.length; index++) x[index] += pulled.x[index];
    }
    return x;
  }

  /** Take a gradient by a layer's input down to the input of its chain. */
  below(layer, x, computed) {
    if (layer.source === null) return { x, layer };
    const lower = this.layers[layer.source];
    const done = computed[layer.source];
    const seeds = this.seedsOf(lower, done);
    this.splitRows(lower, done, x, seeds, true);
    return this.below(lower, this.pull(lower, done, seeds), computed);
  }

  /** Return the gradient as nested lists of the input's shape: zero in the other sequences. */
  gradientByInput(address) {
    const { x, layer } = this.gradient(address);
    const { shape } = layer.x;
    const whole = new Float64Array(shape[0] * shape[1] * shape[2]);
    whole.set(x, this.locate(address).sequence * x.length);
    return nest(whole, shape);
  }
}
