// What a reader changes on the page; and what is shown, as JSON, as a case document and as a command.

import { list } from "./cell.js";
import { Model, nest, shortest } from "./layer.js";

// Most characters of a command, and most changes that are kept to be undone.
const LONGEST = 300;
const MOST_UNDONE = 50;

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

/** Begin a change: one undo takes back what is set after it, up to the next one. */
export function seal(model) {
  model.isSealed = true;
}

/** Keep what the numbers are, once for each change, before one is set. */
function touch(model) {
  if (model.isSealed || !model.history.length) {
    const halves = (layer) =>
      Object.entries(layer.halves).map(([name, half]) => [
        name,
        { ...half, weights: { ...half.weights }, start: half.start && [...half.start] },
      ]);
    const layers = model.layers.map((layer) => ({
      x: layer.x,
      mask: layer.mask,
      steps: layer.steps,
      resetAfter: layer.resetAfter,
      halves: Object.fromEntries(halves(layer)),
    }));
    model.history = [...model.history.slice(1 - MOST_UNDONE), { layers, holds: model.holds }];
  }
  model.isSealed = false;
  model.forget();
}

/** Take the last change of a number, a mask or a hold back; the switches stay as they are. */
export function undo(model) {
  const { layers, holds } = model.history.pop();
  for (const [index, layer] of model.layers.entries()) {
    const { resetAfter } = layer;
    Object.assign(layer, layers[index]);
    setForm(model, layer, resetAfter);
  }
  model.holds = holds;
  seal(model);
  model.forget();
}

/** Return whether a number, a mask or a hold was changed. */
export const isEdited = (model) => model.history.length > 0;

/** Set numbers of the input of a chain: those of a time step, from a feature on. */
export function setInput(model, layer, sequence, step, unit, ...values) {
  touch(model);
  const [, steps, features] = layer.x.shape;
  const numbers = layer.x.numbers.slice();
  numbers.set(values, (sequence * steps + step) * features + unit);
  layer.x = { ...layer.x, numbers };
}

/** Put a word at a time step: its numbers, and its name; padding there is read again. */
export function setWord(model, layer, sequence, step, word, vector) {
  const index = sequence * layer.x.shape[1] + step;
  if (layer.mask && !layer.mask[index] && !layer.steps[sequence][step]) toggleMask(model, layer, sequence, step);
  setInput(model, layer, sequence, step, 0, ...vector);
  layer.steps = layer.steps.map((names, other) => (other === sequence ? names.with(step, word) : names));
}

/** Put a sentence in place of a sequence, and its mask; shorter ones are padded after their end.  What is held stays so. */
export function setSentence(model, layer, sequence, sentence, words) {
  touch(model);
  const [batch, before, features] = layer.x.shape;
  const rows = layer.steps.map((names, other) => (other === sequence ? sentence : names.filter(Boolean)));
  const steps = Math.max(...rows.map(({ length }) => length));
  const isMasked = (other, step) =>
    layer.mask && other !== sequence && layer.steps[other][step] && !layer.mask[other * before + step];
  const isRead = rows.flatMap((row, other) =>
    list(steps, (step) => Number(step < row.length && !isMasked(other, step))),
  );
  layer.mask = isRead.every(Boolean) ? null : Uint8Array.from(isRead);
  layer.steps = rows.map((row) => [...row, ...new Array(steps - row.length).fill("")]);
  const numbers = numbersOf(model, layer.steps, words, features);
  layer.x = { ...layer.x, numbers, shape: [batch, steps, features] };
  model.holds = model.holds.flatMap((held) => fitHold(held, before, steps));
}

/** Return [a hold] of a sequence of another length: to its end, if it was to the end; [] if none of its steps is left. */
function fitHold(held, before, steps) {
  if (!held.steps || before === steps) return [held];
  const [first, last] = [held.steps[0], held.steps.at(-1)];
  const isOpen = last === before - 1 && (first < last || !held.text.includes("@"));
  const end = isOpen ? steps : Math.min(last + 1, steps);
  const isWhole = held.steps.every((step, index) => step === first + index);
  if (!isWhole || first >= end) return [];
  const kept = list(end - first, (index) => first + index);
  const at = isOpen ? `${first}:` : first < last ? `${first}:${end}` : first;
  return [{ ...held, steps: kept, text: held.text.replace(/@.*/, `@${at}`) }];
}

/** Mask a time step of a sequence, or read it again. */
export function toggleMask(model, layer, sequence, step) {
  touch(model);
  const [batch, steps] = layer.x.shape;
  const index = sequence * steps + step;
  const mask = layer.mask?.slice() ?? new Uint8Array(batch * steps).fill(1);
  mask[index] = mask[index] ? 0 : 1;
  layer.mask = mask;
}

/** Set a number of a weight. */
export function setWeight(model, layer, half, name, index, value) {
  touch(model);
  const { weights } = layer.halves[half];
  weights[name] = { ...weights[name], values: weights[name].values.slice() };
  weights[name].values[index] = value;
}

/** Set a number of the state before the first step. */
export function setStart(model, layer, half, state, sequence, unit, value) {
  touch(model);
  for (const chained of model.chainOf(layer)) {
    for (const loop of Object.values(chained.halves)) loop.start = startOf(model, loop);
  }
  const loop = layer.halves[half];
  loop.start[state] = loop.start[state].slice();
  loop.start[state][sequence * loop.cell.sizes[loop.cell.states[state]] + unit] = value;
}

/** Return the states of a loop before the first step, for all sequences. */
const startOf = (model, { start, cell: { states, sizes, initial } }) =>
  start ?? states.map((name) => new model.Numbers(model.batch * sizes[name]).fill(initial[name] ?? 0));

/** Hold a gate in all units, at all steps or at one, where no other hold stays; null releases it. */
export function hold(model, layer, half, line, value, step = null) {
  touch(model);
  const stays = (held) =>
    held.layer !== layer.prefix ||
    held.half !== half ||
    held.line !== line ||
    (step !== null && held.steps && !held.steps.includes(step));
  model.holds = model.holds.filter(stays);
  if (value === null) return;
  const [steps, at] = step === null ? [null, ""] : [[step], `@${step}`];
  model.holds.push({ layer: layer.prefix, half, line, value, steps, text: `${line}=${value}${at}` });
}

const isSame = (some, others) => some.length === others.length && some.every((x, index) => Object.is(x, others[index]));

/** Return the model as the page was written. */
export function writtenOf(model) {
  model.written ??= new Model(model.data);
  return model.written;
}

/** Return whether input numbers or weights are no longer those that the page was written with. */
function areNumbersChanged(model) {
  const written = writtenOf(model);
  return model.layers.some((layer, index) => {
    const { x, halves } = written.layers[index];
    const isOther = (half, [name, { values }]) => {
      const before = halves[half].weights[name].values;
      return !isSame(values, before) && [...values, ...before].some(Boolean); // a bias of 0 in another form is 0
    };
    const isChangedIn = (half) => Object.entries(layer.halves[half].weights).some((weight) => isOther(half, weight));
    return (x && !isSame(layer.x.numbers, x.numbers)) || model.halvesOf(layer).some(isChangedIn);
  });
}

/** Return the mask of a chain as rows of 0 and 1; null if it is as the page was written. */
function newMask(model, layer) {
  const maskOf = ({ mask, x: { shape } }) => mask ?? new Uint8Array(shape[0] * shape[1]).fill(1);
  const [root, before] = [model, writtenOf(model)].map((each) => each.root(each.layers[model.layers.indexOf(layer)]));
  return isSame(maskOf(root), maskOf(before)) ? null : nest(maskOf(root), root.x.shape.slice(0, 2));
}

/** Return the initial states of a chain, in Keras's order; null if they are as the page was written. */
function newStates(model, layer) {
  const pairs = model.chainOf(layer).flatMap((chained) =>
    model.halvesOf(chained).flatMap((half) => {
      const before = writtenOf(model).layers[model.layers.indexOf(chained)].halves[half];
      const [now, old] = [chained.halves[half], before].map((loop) => startOf(model, loop));
      const { states, shapes } = chained.halves[half].cell;
      return now.map((state, index) => [state, old[index], shapes[states[index]]]);
    }),
  );
  const short = (values, shape) =>
    nest(
      Array.from(values, (value) => shortest(value, model.data.dtype)),
      [model.batch, ...shape],
    );
  return pairs.every(([now, old]) => isSame(now, old)) ? null : pairs.map(([now, _, shape]) => short(now, shape));
}

/** Return whether anything but the switches of what is returned is no longer as the page was written. */
export function isChanged(model) {
  return (
    areNumbersChanged(model) ||
    model.layers.some((layer, index) => {
      const { flags, resetAfter } = model.data.layers[index];
      const isOther = flags.bidirectional !== layer.flags.bidirectional || resetAfter !== layer.resetAfter;
      return isOther || newMask(model, layer) || newStates(model, layer);
    })
  );
}

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
    outputs: layers.flatMap((layer) => describeTensors(model, layer, "en", flagsOf(model, drawn) !== null)),
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
      meaning: meaning[lang].at(masked ? -1 : 0),
      equals: equals.filter((claim) => isTrue(claim, whole, values)).map((claim) => `${prefixed ? names : ""}${claim}`),
      values: nest(whole.values, whole.shape),
    };
  });
}

const rowTimes = (steps) => list(steps, (row) => steps - 1 - row);

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
    const all = list(size, (index) => index);
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
      for (const [place, state] of (loop.start ?? []).entries())
        states.push(short(state, [model.batch, ...loop.cell.shapes[loop.cell.states[place]]]));
    }
  }
  const sentences = sentencesOf(model, root);
  const mask = root.mask && !sentences ? { mask: nest(Array.from(root.mask, Boolean), root.x.shape.slice(0, 2)) } : {};
  return {
    ...namesOf(model, root, sentences),
    layer: chain.map((chained) => configOf(model, chained)),
    inputs: sentences ?? short(root.x.numbers, root.x.shape),
    ...mask,
    ...(states.length ? { initial_state: states } : {}),
    weights,
  };
}

/** Return what the case document says in words. */
function namesOf(model, root, sentences) {
  const { features, sequences: batch, words, groups, aliases, answers, about } = model.data;
  const steps = !sentences && root.steps?.every((names) => names.every(Boolean)) ? root.steps : null;
  const names = { about, words, groups, aliases, features, batch, answers, steps };
  return Object.fromEntries(Object.entries(names).filter(([, value]) => value && Object.keys(value).length));
}

/** Return the input as sentences; null if its numbers or its mask are not those of its words. */
function sentencesOf(model, { steps, x, mask }) {
  const { words } = model.data;
  if (!words || !steps) return null;
  const isRead = (name, index) => (name !== "") === (!mask || mask[index] !== 0);
  const isWhole = steps.flat().every(isRead) && isSame(x.numbers, numbersOf(model, steps, words, x.shape[2]));
  return isWhole ? steps.map((names) => names.filter(Boolean).join(" ")) : null;
}

/** Return the numbers of sentences, 0 where they are padded. */
const numbersOf = (model, steps, words, features) =>
  model.Numbers.from(steps.flat().flatMap((name) => words[name] ?? new Array(features).fill(0)));

/** Return the command that gives the numbers that are shown: with flags, or with the case document in a file. */
export function commandOf(model, drawn) {
  const [layer] = scope(model, drawn);
  const pathOf = (_, index, { length }) => (length > 1 ? `${index}/` : "");
  return flagsOf(model, drawn) ?? `rnncli run case.json${holdWords(heldTexts(model, layer, pathOf))}`;
}

/** Return the command with flags; null if they do not say exactly, or not shortly, what is shown. */
function flagsOf(model, drawn) {
  const layers = scope(model, drawn);
  const [layer] = layers;
  const { variants, given, settable } = model.data.commands;
  const words = [variants?.[layers.length > 1 ? "" : variantOf(layer)]];
  const isWhole = layers.length === model.shown.length && (layer.path !== null || !model.holds.length);
  if (!words[0] || !isWhole || areNumbersChanged(model)) return null;
  for (const [name, value] of Object.entries({ mask: newMask(model, layer), initial_state: newStates(model, layer) })) {
    if (value && !settable.includes(name)) return null;
    if (value) words.push(`--${name.replace("_", "-")} ${quote(JSON.stringify(value))}`);
    else if (given[name]) words.push(given[name]);
  }
  const command = words.join(" ") + holdWords(heldTexts(model, layer, ({ path }) => path));
  return command.length > LONGEST ? null : command;
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
