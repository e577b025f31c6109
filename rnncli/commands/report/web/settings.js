// What a reader changes on the page; and what is shown, as JSON, as a case document and as a command.

import { nest, shortest } from "./layer.js";

const LONGEST = 100_000;

/** Return the key of a layer's settings among its variants. */
export function variantOf(layer) {
  const { sequences, state, bidirectional, merge } = layer.flags;
  const form = layer.resetAfter === undefined ? "" : Number(layer.resetAfter);
  return `${Number(sequences)}${Number(state)}${bidirectional ? merge : ""}${form}`;
}

/** Switch an option of a layer: sequences, state, bidirectional, merge or resetAfter. */
export function setFlag(model, layer, name, value) {
  if (name === "resetAfter") setForm(model, layer, value);
  else layer.flags[name] = value;
  model.forget();
}

/** Change the form of a GRU.  Its weights stay; the second bias is added to the first, or is 0. */
function setForm(model, layer, value) {
  if (layer.resetAfter === value) return;
  for (const [name, half] of Object.entries(layer.halves)) {
    const { bias, ...weights } = half.weights;
    const kept = half.otherBias;
    if (bias) weights.bias = kept ?? convertBias(model, bias);
    layer.halves[name] = model.prepare({ ...half, weights, otherBias: bias, cell: half.other, other: half.index });
  }
  layer.resetAfter = value;
}

function convertBias(model, { shape, values }) {
  if (shape.length > 1) {
    const columns = shape[1];
    const sums = model.Numbers.from({ length: columns }, (_, index) => values[index] + values[columns + index]);
    return { shape: [columns], values: sums };
  }
  const both = new model.Numbers(2 * values.length);
  both.set(values);
  return { shape: [2, values.length], values: both };
}

/** Set a number of the input of a chain. */
export function setInput(model, layer, sequence, step, unit, value) {
  const [, steps, features] = layer.x.shape;
  layer.x.numbers[(sequence * steps + step) * features + unit] = value;
  touch(model);
}

/** Mask a time step of a sequence, or read it again. */
export function toggleMask(model, layer, sequence, step) {
  const [batch, steps] = layer.x.shape;
  layer.mask ??= new Uint8Array(batch * steps).fill(1);
  const index = sequence * steps + step;
  layer.mask[index] = layer.mask[index] ? 0 : 1;
  touch(model);
}

/** Set a number of a weight. */
export function setWeight(model, layer, half, name, index, value) {
  layer.halves[half].weights[name].values[index] = value;
  touch(model);
}

/** Set a number of the state before the first step. */
export function setStart(model, layer, half, state, sequence, unit, value) {
  for (const chained of model.chainOf(layer)) {
    for (const name of Object.keys(chained.halves)) {
      const loop = chained.halves[name];
      loop.start ??= loop.cell.states.map((named) =>
        new model.Numbers(model.batch * loop.cell.units).fill(loop.cell.initial[named] ?? 0),
      );
    }
  }
  const loop = layer.halves[half];
  loop.start[state][sequence * loop.cell.units + unit] = value;
  touch(model);
}

/** Hold a gate at a value in all units and steps; null releases it. */
export function hold(model, layer, half, line, value) {
  model.holds = model.holds.filter(
    (entry) => entry.layer !== layer.prefix || entry.half !== half || entry.line !== line,
  );
  if (value !== null) model.holds.push({ layer: layer.prefix, half, line, value, text: `${line}=${value}` });
  model.forget();
}

function touch(model) {
  model.changed = true;
  model.forget();
}

/** Return whether weights or numbers are no longer those that the page was written with. */
export function isChanged(model) {
  return (
    model.changed ||
    model.layers.some((layer, index) => {
      const { flags, resetAfter } = model.data.layers[index];
      return flags.bidirectional !== layer.flags.bidirectional || resetAfter !== layer.resetAfter;
    })
  );
}

/** Return whether the layers are those that the page was written for: `run` gives what is shown, a held gate but in models. */
const isAsked = (model, layers) =>
  layers.length === model.shown.length && !isChanged(model) && (layers[0].path !== null || !model.holds.length);

/** Return the layers that scripts and documents are about: all, or the drawn one once a switch was changed. */
function scope(model, drawn) {
  const same = model.shown.every(
    (layer) => variantOf(layer) === variantOf(model.data.layers[model.layers.indexOf(layer)]),
  );
  return model.shown.length > 1 && (!same || isChanged(model) || model.holds.length) ? [drawn] : model.shown;
}

/** Return the JSON of `run` for what is shown. */
export function documentOf(model, drawn) {
  const layers = scope(model, drawn);
  const root = model.root(layers[0]);
  return {
    schema: "rnncli/1",
    version: model.data.version,
    engine: "page",
    seed: model.data.seed,
    expression: expressionOf(model, layers[0]),
    layer: model.chainOf(layers[0]).map((layer) => configOf(model, layer)),
    input: { shape: root.x.shape, dtype: model.data.dtype },
    ...(model.holds.length ? { hold: heldTexts(model, layers[0], ({ prefix }) => prefix) } : {}),
    outputs: layers.flatMap((layer) => describeTensors(model, layer, "en", isAsked(model, layers))),
  };
}

/** Return the layers as a Keras script writes them. */
export function expressionOf(model, layer) {
  const texts = model.chainOf(layer).map((chained) => textOf(chained));
  return texts.length > 1 ? texts : texts[0];
}

const textOf = (layer) => layer.variants[variantOf(layer)].text;

/** Return what is known of the tensors that a layer returns: axes, meanings, and what each may equal. */
export const factsOf = (layer) => layer.variants[variantOf(layer)].tensors.map((index) => layer.tensors[index]);

/** Return what a page says of each tensor that a layer returns, with its numbers. */
export function describeTensors(model, layer, lang, prefixed = true) {
  const tensors = factsOf(layer);
  const names = model.namesOf(layer);
  const masked = model.root(layer).mask !== null;
  const values = new Map();
  return model.tensors(layer).map((tensor, index) => {
    const { axes, meaning, equals } = tensors[index];
    const whole = model.whole(tensor, layer);
    const short = tensor.name.slice(names.length);
    values.set(short, whole);
    return {
      name: prefixed ? tensor.name : short,
      axes,
      ...(model.data.sequences.length === whole.shape[0] ? { batch: model.data.sequences } : {}),
      ...(tensor.isSequence && isTurned(model, layer) ? { time: rowTimes(whole.shape[1]) } : {}),
      shape: whole.shape,
      dtype: model.data.dtype,
      meaning: meaning[(lang === "ko" ? 2 : 0) + (masked ? 1 : 0)],
      equals: equals.filter((claim) => isTrue(claim, whole, values)).map((claim) => `${prefixed ? names : ""}${claim}`),
      values: nest(whole.values, whole.shape),
    };
  });
}

const rowTimes = (steps) => Array.from({ length: steps }, (_, row) => steps - 1 - row);

/** Return whether the rows of a layer's sequence are in the reverse order of the input. */
export function isTurned(model, layer) {
  return (
    model.chainOf(layer).filter(({ halves: { forward } }) => forward.backwards && !forward.inputOrder).length % 2 > 0
  );
}

/** Return whether a tensor equals a part of another: `hidden_states[:, -1, 3:]`. */
function isTrue(claim, { values, shape }, tensors) {
  const [, name, slices] = /^(\w+)(?:\[(.*)\])?$/.exec(claim) ?? [];
  const other = tensors.get(name);
  if (!other) return false;
  const parts = slices ? slices.split(",").map((part) => part.trim()) : other.shape.map(() => ":");
  const ranges = other.shape.map((size, axis) => {
    const part = parts[axis] ?? ":";
    if (!part.includes(":")) return [(Number(part) + size) % size];
    const [from, to] = part.split(":").map((bound) => (bound === "" ? null : Number(bound)));
    const all = Array.from({ length: size }, (_, index) => index);
    return all.slice(from ?? 0, to ?? size);
  });
  const strides = other.shape.map((_, axis) => other.shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  let places = [0];
  for (const [axis, range] of ranges.entries()) {
    places = places.flatMap((place) => range.map((index) => place + index * strides[axis]));
  }
  return (
    places.length === shape.reduce((a, b) => a * b, 1) &&
    places.every(
      (place, index) => Object.is(other.values[place], values[index]) || other.values[place] === values[index],
    )
  );
}

/** Return Keras's config of a layer as it is shown. */
function configOf(model, layer) {
  const { sequences, state, bidirectional, merge } = layer.flags;
  const returns = { return_sequences: sequences, return_state: state };
  const form = layer.resetAfter === undefined ? {} : { reset_after: layer.resetAfter };
  const change = (config, more) => ({ ...config, config: { ...config.config, ...returns, ...more } });
  if (!bidirectional) return change(layer.config, form);
  const config = {
    layer: change(layer.config, form),
    merge_mode: merge === "none" ? null : merge,
    ...(layer.backward ? { backward_layer: change(layer.backward) } : {}),
  };
  return { class_name: "Bidirectional", config: { ...config, dtype: model.data.dtype } };
}

/** Return the case document of what is shown: layers, input, mask, states and weights. */
export function caseOf(model, drawn) {
  const [layer] = scope(model, drawn);
  const chain = model.chainOf(layer);
  const root = model.root(layer);
  const { dtype } = model.data;
  const short = (values, shape) =>
    nest(
      Array.from(values, (value) => shortest(value, dtype)),
      shape,
    );
  const weights = {};
  const states = [];
  for (const [index, chained] of chain.entries()) {
    for (const half of model.halvesOf(chained)) {
      const path = `${chain.length > 1 ? `${index}/` : ""}${chained.flags.bidirectional ? `${half}/` : ""}`;
      const loop = chained.halves[half];
      for (const [name, { shape, values }] of Object.entries(loop.weights)) weights[path + name] = short(values, shape);
      for (const state of loop.start ?? []) states.push(short(state, [model.batch, loop.cell.units]));
    }
  }
  return {
    layer: chain.map((chained) => configOf(model, chained)),
    inputs: short(root.x.numbers, root.x.shape),
    ...(root.mask ? { mask: nest(Array.from(root.mask, Boolean), root.x.shape.slice(0, 2)) } : {}),
    ...(states.length ? { initial_state: states } : {}),
    weights,
    ...(model.data.seed === null ? {} : { seed: model.data.seed }),
  };
}

/** Return the command that gives the numbers that are shown. */
export function commandOf(model, drawn) {
  const layers = scope(model, drawn);
  const [layer] = layers;
  const short = isAsked(model, layers) && model.data.commands[layers.length > 1 ? "" : variantOf(layer)];
  if (short) return short + holdWords(heldTexts(model, layer, ({ path }) => path));
  const text = JSON.stringify(caseOf(model, drawn));
  const pathOf = (_, index, { length }) => (length > 1 ? `${index}/` : "");
  return `rnncli run ${text.length > LONGEST ? "case.json" : quote(text)}${holdWords(heldTexts(model, layer, pathOf))}`;
}

/** Return the held gates of a chain, as `--hold` names them.  pathOf: what stands before the gates of a layer. */
function heldTexts(model, layer, pathOf) {
  return model
    .chainOf(layer)
    .flatMap((chained, index, chain) =>
      model.holds
        .filter((hold) => hold.layer === chained.prefix && model.halvesOf(chained).includes(hold.half))
        .map(
          ({ half, text }) => `${pathOf(chained, index, chain)}${chained.flags.bidirectional ? `${half}/` : ""}${text}`,
        ),
    );
}

const holdWords = (texts) => texts.map((text) => ` --hold ${quote(text)}`).join("");
const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
