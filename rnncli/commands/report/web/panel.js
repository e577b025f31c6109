// Beside the picture: the chosen number and where it comes from, the returned tensors, and the same in code.

import { clip } from "./activations.js";
import { list } from "./cell.js";
import { holdControl } from "./controls.js";
import { copy, digits, make, numberField, refill, scroll } from "./dom.js";
import { explain, fullBar, inputAddress, realStep } from "./explain.js";
import { flatIndex, indicesOf } from "./layer.js";
import { ownAxes } from "./maps.js";
import { caseOf, commandOf, describeTensors, expressionOf, isChanged, isTurned, setWeight } from "./settings.js";
import { answerOf, longName, stepName } from "./words.js";

const MOST_TERMS = 12;
const MOST_ROWS = 12;
const MOST_COLUMNS = 12;

const MEANINGS = {
  input: "How much of the candidate the cell state takes: 0 nothing, 1 all of it.",
  forget: "How much of the old cell state is kept: 0 forgets it, 1 keeps all of it.",
  output: "How much of the cell state the hidden state shows: 0 nothing, 1 all of it.",
  candidate: "The new value that could be written into the state.",
  cell: "The layer's memory: what was kept, and what was written into it at this step.",
  hidden: "The layer's answer. The step read next uses it, too.",
  lastHidden: "The layer's answer. It is read last: this is the last hidden state.",
  update: "How much of the old hidden state is kept: 1 all of it, 0 takes the candidate.",
  reset: "How much of the old hidden state the candidate reads: 0 ignores it.",
};
// Another cell may use a gate otherwise: it has its meaning if the equation of this line has this part.
const USES = {
  cell: ["cell", "⊙ candidate"],
  input: ["cell", "input ⊙ candidate"],
  forget: ["cell", "forget ⊙ cell"],
  output: ["hidden", "output ⊙"],
  update: ["hidden", "update ⊙ h + (1 - update) ⊙ candidate"],
  reset: ["candidate", "reset ⊙"],
};

// On which input number a number depends most, and on which of the other kind: of words, of numbers, of 0 and 1.
const DEPENDS = {
  word: "It depends most on {x}.",
  oneMost: "It moves most with {x}: {change} for +1.",
  oneLess: "With {x}: {change} for +1.",
  flipMost: "It would move most with {x} at {other}: by {change}.",
  flipLess: "With {x} at {other}: {change}.",
};

const MERGED = {
  sum: "= forward + backward",
  mul: "= forward · backward",
  ave: "= (forward + backward) / 2",
};

/** Return {element, update}: the chosen number, and where it comes from. */
export function equationPanel(page) {
  const element = make("section.equation", { label: page.say("Where this number comes from") });
  return { element, update: () => refill(element, equation(page)) };
}

function equation(page) {
  const { model, chosen } = page;
  if (page.about) return aboutColor(page);
  if (page.part) return partOfEquation(page);
  const explained = explain(model, chosen);
  const { kind, color, value, from, tokens, terms, symbols } = explained;
  const target = model.locate(chosen);
  const back = page.trail[page.trail.length - 1];
  const sentence = describe(page, explained);
  const isOutput = target.kind === "returned" && target.tensor.state === undefined;
  const isElsewhere = kind !== "same" || target.kind === "x" || target.layer.flags.bidirectional;
  const open = () => page.open(from);
  return [
    back && make("p.back", make("button.link", { key: "back", onclick: () => page.back() }, `← ${back}`)),
    make("h2", make(`span.${color}`, titleOf(page, target))),
    make(
      "p.value",
      make(`span.${color}`, chosen),
      kind !== "unused" && [" = ", make("b", digits(value, 3))],
      isOutput && make("span.answer", answerOf(page, value)),
      movedBy(page, value),
    ),
    changedMost(page),
    kind === "unused" && make("p", page.maskedText(target)),
    sentence && make("p.dim", sentence),
    kind === "x" && inputField(page),
    ["line", "held", "same"].includes(kind) && holdControl(page, explained),
    from && isElsewhere && make("p", "= ", make("button.link", { key: "from", onclick: open }, from)),
    tokens.length > 0 && symbols && symbolsOf(page, explained),
    tokens.length > 0 && written(page, explained),
    ...(terms.length > 0 ? [...termNote(page), termTable(page, explained)] : []),
    ...(kind === "x" || kind === "unused" ? [] : dependence(page)),
  ];
}

/** Return what a color stands for. */
function aboutColor(page) {
  const { kind, name, text } = page.about;
  const { chosen } = page;
  return [
    make("p.back", make("button.link", { key: "whole", onclick: () => page.open(chosen) }, `← ${chosen}`)),
    make("h2", make(`span.${kind}`, name)),
    make("p", text),
  ];
}

/** Return a field for another input number: a phone has no keys to press. */
function inputField(page) {
  const number = page.numbers.find(({ address, drag }) => address === page.chosen && drag);
  const label = page.say("new number for {address}", { address: page.chosen });
  if (!number) return null;
  const shown = Number(number.read().toPrecision(6));
  const field = numberField("input", shown, { label, key: "new" }, (value) => page.setOnce(number, value));
  return make("span.choices", field);
}

/** Return a part of an equation, such as a product that an operator of the diagram computes. */
function partOfEquation(page) {
  const { chosen, part } = page;
  const explained = page.explainPart(chosen, part);
  const { value, color, tokens, terms } = explained;
  const name = tokens.map((token) => token.text ?? nameOf(page, token)).join("");
  return [
    make("p", make("button.link", { key: "whole", onclick: () => page.open(chosen) }, `← ${chosen}`)),
    make("h2", make(`span.${color}`, name)),
    make("p.value", make("b", digits(value, 3))),
    written(page, explained),
    ...(terms.length > 0 ? [...termNote(page), termTable(page, explained)] : []),
  ];
}

/** Return what a number is called: forget gate · unit 0 · t=3. */
function titleOf(page, { kind, layer, half, line, tensor, row, step, unit }) {
  const { say, model, sequence } = page;
  const names = {
    ...{ input: say("input gate"), forget: say("forget gate"), output: say("output gate"), update: say("update gate") },
    ...{ reset: say("reset gate"), candidate: say("candidate"), hidden: say("hidden state"), cell: say("cell state") },
  };
  const called = (text) => (names[text]?.includes(text) === false ? `${names[text]}(${text})` : (names[text] ?? text));
  const done = model.done(layer, sequence);
  const { steps } = done.halves.forward;
  const { cell } = layer.halves[half ?? "forward"];
  const feature = kind === "x" && layer.source === null && model.data.features[unit];
  const isBackward = kind === "line" && half === "backward";
  const way = kind === "line" && layer.flags.bidirectional && say(isBackward ? "backward ←" : "forward →");
  const [name, size, time] = {
    x: () => [feature || say("input x"), feature ? 1 : cell.features, step],
    line: () => [called(line), cell.sizes[line], step],
    returned: () => [
      tensor.name,
      tensor.width(done),
      tensor.isSequence && isTurned(model, layer) ? steps - 1 - row : row,
    ],
  }[kind]();
  const named = line ?? cell.states[tensor?.state];
  const axes = cell.shapes[named]?.length > 1 && indicesOf(cell.shapes[named], unit);
  const which = axes
    ? axes.map((index, axis) => `${cell.axes[named][axis]} ${index}`).join(", ")
    : size > 1 && say(kind === "x" ? "feature {row}" : "unit {unit}", { unit, row: unit });
  const at =
    Number.isFinite(time) &&
    (time < 0 ? say("before the first step") : longName(page, time, kind === "returned" ? model.root(layer) : layer));
  return [name, way, which, at].filter(Boolean).join(" · ");
}

/** Return by how much the chosen number moved in the last change, and what it was. */
function movedBy(page, value) {
  const before = page.before?.get(page.chosen) ?? value;
  if (digits(before, 4) === digits(value, 4) || !Number.isFinite(value - before)) return null;
  return make("span.moved", signed(value - before), " · ", page.say("was {before}", { before: digits(before, 3) }));
}

/** Return what an input number was before the last change and, after a drag, which number of the picture moved most. */
function changedMost(page) {
  const { before, changed, numbers, model } = page;
  if (!before || !changed) return null;
  const text = [before.get(changed), model.value(changed)].map((value) => digits(value, 2)).join(" → ");
  const changeOf = ({ address, value }) => value - (before.get(address) ?? value) || 0;
  const larger = (best, number) => (Math.abs(changeOf(number)) > Math.abs(changeOf(best)) ? number : best);
  const most = page.isDragging ? null : numbers.filter(({ address }) => address !== changed).reduce(larger);
  const link =
    most &&
    changeOf(most) !== 0 &&
    make("button.link", { key: "moved", onclick: () => page.open(most.address) }, most.address);
  return make(
    "p.changes",
    `${changed}: ${text}`,
    link && [` · ${page.say("moved most:")} `, link, ` ${signed(changeOf(most))}`],
  );
}

const signed = (change) => `${change > 0 ? "+" : ""}${digits(change, 3)}`;

/** Return notes that this page has not shown beside another number before. */
function newNotes(page, texts) {
  page.noted ??= new Map();
  for (const text of texts) if (!page.noted.has(text)) page.noted.set(text, page.chosen);
  return texts.filter((text) => page.noted.get(text) === page.chosen);
}

/** Return how to read the numbers of an equation. */
function termNote(page) {
  const text = page.say("Dotted: a number to open. Dashed: a weight to change.");
  return newNotes(page, [text]).map((note) => make("p.note", note));
}

/** Return the equation in symbols, and what they mean.  A backward layer comes from the step after. */
function symbolsOf(page, { name, symbols, isBackward }) {
  const { say } = page;
  const text = isBackward ? symbols.replaceAll("[t-1]", "[t+1]") : symbols;
  const texts = [
    text.includes("⊙") && say("⊙ multiplies two vectors number by number."),
    text.includes("σ") && say("σ squeezes every number into the range 0 to 1."),
    text.includes("tanh") && say("tanh squeezes every number into the range −1 to 1."),
  ];
  const notes = newNotes(page, texts.filter(Boolean));
  return make("p.symbols", `${name} = ${text}`, notes.length > 0 && make("span.notes", notes.join(" ")));
}

/** Return one plain sentence about a number. */
function describe({ say, model }, { kind, name, half, layer, step, masked, isLast }) {
  const sentences = {
    x: "An input: drag it, press + or −, or type.",
    held: "Held (*): set, not computed.",
    kept: "t={masked} is masked, so it is skipped: the number of t={step} is kept.",
    zero: "t={step} is masked and skipped: the layer returns 0 there, but keeps its states.",
    start: "The layer starts from this state.",
    unused: "Masked: the gate is not computed.",
    merged: MERGED[name],
  };
  const sentence = sentences[kind] ?? meaningOf(model, layer, half, name === "hidden" && isLast ? "lastHidden" : name);
  return sentence && say(sentence, { step, masked });
}

function meaningOf(model, prefix, half, name) {
  const { symbols } = model.layers.find((layer) => layer.prefix === prefix).halves[half].cell;
  const [line, part] = USES[name] ?? ["hidden", ""];
  return symbols[line]?.includes(part) ? MEANINGS[name] : null;
}

/** Return an equation in numbers; where it breaks, what stands in parentheses stays together if it fits a line. */
function written(page, explained) {
  const line = make("div.tokens", make("span.text", `${digits(explained.value, 4)} =`));
  let group = line;
  explained.tokens.forEach((token, index) => {
    if (token.text === "(") {
      group = make("span.tokens");
      line.append(group);
    }
    group.append(piece(page, explained, token, index));
    if (token.text === ")") group = line;
  });
  return line;
}

/** Return a piece of an equation: text, or a number with its name below. */
function piece(page, explained, token, index) {
  if ("text" in token) return make("span.text", token.text);
  return make("span.piece", numberOf(page, explained, token, `piece${index}`), make("span.name", nameOf(page, token)));
}

/** Return what a number is called, and its row in a product: previous hidden 0, backward hidden 0 at t+1. */
function nameOf({ say }, { label, read }, row) {
  const name = row === undefined ? label : `${label} ${row}`;
  const names = {
    ...{ start: say("{name} at start", { name }), next: say("{name} at t+1", { name }) },
    previous: say("previous {name}", { name }),
  };
  return names[read] ?? name;
}

/** Return a number: a button that opens it, a weight that can be changed, or text. */
function numberOf(page, explained, { value, address, weight }, key) {
  if (weight) return weightOf(page, explained, weight, key);
  const text = digits(value, 4);
  if (!address) return make("span.plain", text);
  return make("button.open", { key, label: `${address} = ${text}`, onclick: () => page.open(address) }, text);
}

function weightOf(page, explained, weight, key) {
  const name = `${weight.name}[${weight.position}]`;
  const text = digits(weight.value, 4);
  const layer = page.model.layers.find(({ prefix }) => prefix === explained.layer);
  const label = page.say("{name}, a weight: type another", { name });
  return numberField("input.weight", text, { key, label }, (value) =>
    page.change(() => setWeight(page.model, layer, explained.half, weight.name, weight.index, value)),
  );
}

/** Return the products of each `@` as signed bars, the largest first. */
function termTable(page, explained) {
  const most = Math.max(...explained.terms.flatMap(({ terms }) => terms.map(({ value }) => Math.abs(value)))) || 1;
  const rows = explained.terms.flatMap(({ label, terms }) => {
    const left = terms.length - MOST_TERMS;
    return [
      make("tr", make("td.dim.head", { colspan: 7 }, label)),
      ...terms.slice(0, MOST_TERMS).map((term, index) => termRow(page, explained, term, most, `${label}${index}`)),
      left > 0 && make("tr", make("td.dim", { colspan: 7 }, page.say("and {left} smaller products", { left }))),
    ];
  });
  return make("div.terms", scroll(page.say("Products, largest first"), make("table", make("tbody", rows))));
}

function termRow(page, explained, { value, row, factor, other }, most, key) {
  const size = Math.min(Math.abs(value) / most, 1).toFixed(3);
  const feature = page.model.data.features[row] ?? page.say("feature {row}", { row });
  // A product of products has the long name of its heading.
  const label = factor.label.includes(" · ") ? String(row) : nameOf(page, factor, row);
  const name = factor.label === "x" ? feature : label;
  return make(
    "tr",
    make("td.bar", { "aria-hidden": "true" }, make(value < 0 ? "i.below" : "i.above", { "--size": size })),
    make("td.right", digits(value, 4)),
    make("td", "="),
    make("td.right", numberOf(page, explained, factor, key)),
    make("td", other && "·"),
    make("td", other && numberOf(page, explained, other, `${key}w`)),
    make("td.dim.names", name),
  );
}

/** Return bars: how much the chosen number depends on the input of each time step, and on which number most. */
function dependence(page) {
  const { say, slopes, model } = page;
  const { layer, x, flips = [] } = slopes;
  const { words } = model.data;
  const { features } = layer.halves.forward.cell;
  const steps = list(x.length / features, (step) => step);
  const largest = (indices) =>
    indices.reduce((best, index) => (Math.abs(x[index]) > Math.abs(x[best] ?? 0) ? index : best), -1);
  const indices = Array.from(x.keys());
  const effects = steps.map((step) => Math.abs(x[largest(indices.slice(step * features, (step + 1) * features))] ?? 0));
  if (Math.max(...effects) < 0.005) return [make("p.dim", say("No input moves it by 0.005 or more."))];
  const full = fullBar(Math.max(...effects));
  const title = say(
    slopes.byWord ? "How much another word at each step can change it" : "How much it depends on each time step",
  );
  const names = steps.map((step) => stepName(page, step, layer));
  const label = `${title}: ${effects.map((effect, step) => `${names[step]} ${digits(effect, 4)}`).join(", ")}`;
  const isShort = steps.length <= MOST_ROWS;
  const bars = effects.map((effect, step) => {
    const bar = make("i", { "--size": Math.min(effect / full, 1).toFixed(3) });
    return make("span", isShort && make("small", digits(effect, 2)), bar, isShort && make("small", names[step]));
  });
  /** Return a sentence in which an input number is a link. */
  const linked = (index, template) => {
    const [step, unit] = [Math.floor(index / features), index % features];
    const address = inputAddress(layer, page.sequence, step, unit);
    const feature = model.data.features[unit];
    const name = words ? longName(page, step, layer) : feature ? `${feature} · ${names[step]}` : address;
    const other = model.value(address) > 0.5 ? 0 : 1;
    const values = { x: "\n", change: signed(x[index]), other };
    const [before, after] = say(template, values).split("\n");
    const onclick = () => page.open(address);
    return make("span", before, make("button.link", { key: `most${flips[unit]}`, onclick }, name), `${after} `);
  };
  const most = ["one", "flip"]
    .map((kind) => [kind, largest(indices.filter((index) => Boolean(flips[index % features]) === (kind === "flip")))])
    .filter(([, index]) => index >= 0)
    .sort(([, one], [, other]) => Math.abs(x[other]) - Math.abs(x[one]));
  return [
    make("h3", title),
    make("div.depends", { role: "img", label }, bars),
    full !== 1 && make("p.dim", say("A full bar is {full}.", { full })),
    make(
      "p.most",
      most.map(([kind, index], place) => linked(index, DEPENDS[words ? "word" : kind + (place ? "Less" : "Most")])),
    ),
  ];
}

/** Return {element, update}: the returned tensors of the shown sequence, as `run` prints them. */
export function returnedPanel(page) {
  const title = page.say("What the layer returns");
  const element = make("section.tensors");
  let numbers = [];
  const update = () => {
    if (!page.isDragging) {
      numbers = [];
      const facts = describeTensors(page.model, page.layer, page.lang);
      const parts = page.model
        .tensors(page.layer)
        .map((tensor, index) => returned(page, tensor, facts[index], numbers));
      refill(element, [make("h2", title), make("p.dim", shapeOf(page, facts)), scroll(title, parts)]);
    }
    for (const number of numbers) showReturned(page, number);
  };
  return { element, update };
}

/** Return how to read an address: of the first sequence that is returned, if there is one. */
function shapeOf({ say }, facts) {
  const fact = facts.find(({ axes }) => axes.includes("timesteps")) ?? facts[0];
  const last = fact.shape.map((size) => size - 1).join(",");
  const axes = fact.axes.join(", ");
  return say("Axes: {axes}. Counted from 0, so the last number is [{last}].", { axes, last });
}

/** Return a tensor: its name, what it is, and its numbers, which join `numbers`; halves side by side. */
function returned(page, tensor, { meaning, equals, shape }, numbers) {
  const { layer, say } = page;
  const { bidirectional, merge } = layer.flags;
  const { forward, backward } = layer.halves;
  const [first, second] = [forward, backward].map((half) => half?.cell.units);
  const tables =
    bidirectional && merge === "concat" && !tensor.half
      ? [
          numberTable(page, tensor, 0, first, numbers, say("forward →")),
          numberTable(page, tensor, first, second, numbers, say("backward ←")),
        ]
      : numberTable(page, tensor, 0, shape.at(-1), numbers);
  return make(
    "div.tensor",
    make(
      "h3",
      make(tensor.state ? "b.cell" : "b.hidden", tensor.name),
      " ",
      make("span.shape", `(${shape.join(", ")})`),
    ),
    make("p.dim", readLast(page, tensor) ?? meaning),
    bidirectional && tensor.state === undefined && MERGED[merge] && make("p.dim", MERGED[merge]),
    make("div.halves", tables),
    equals.map((claim) => make("p.dim.claim", `= ${claim}`)),
  );
}

/** Return when the number of a backward half's last state was read; null of any other tensor. */
function readLast({ say, model, layer, sequence }, { half, isSequence }) {
  if (half !== "backward" || isSequence) return null;
  const done = model.done(layer, sequence).halves.backward;
  const last = done.order.at(-1);
  return say("backward, read last (t={step})", { step: realStep(done, last) ?? last });
}

/** Return the indices that are shown of an axis: all, or those around one of them. */
function windowOf(size, most, around) {
  const first = size > most ? clip(around - Math.floor(most / 2), 0, size - most) : 0;
  return list(Math.min(size, most), (index) => first + index);
}

/** Return some columns of a tensor's numbers; of a matrix, those of the chosen head.  first: the first column. */
function numberTable(page, tensor, first, width, numbers, caption) {
  const { model, layer, sequence } = page;
  const index = model.layers.indexOf(layer);
  const done = model.of(sequence)[index];
  const { cell } = layer.halves[tensor.half || "forward"];
  const line = cell.states[tensor.state ?? 0];
  const shape = tensor.shape(done);
  const isMatrix = shape.length > 1;
  const axes = isMatrix ? cell.axes[line] : ["units"];
  const own = isMatrix ? ownAxes(cell, line).map(([axis]) => axis) : axes;
  const [across, down] = [own.at(-1) ?? axes.at(-1), own.length > 1 ? own[0] : null];
  const sizeOf = (axis) => shape[axes.indexOf(axis)];
  const count = tensor.isSequence ? done.halves.forward.steps : down ? sizeOf(down) : 1;
  const turned = tensor.isSequence && isTurned(model, layer);
  const columns = windowOf(isMatrix ? sizeOf(across) : width, MOST_COLUMNS, page.at[across] ?? 0);
  const rows = windowOf(count, MOST_ROWS, tensor.isSequence ? page.step : (page.at[down] ?? 0)).map((row) => {
    const cells = columns.map((column) => {
      const at = { ...page.at, [down]: row, [across]: first + column };
      const indices = axes.map((axis) => at[axis] ?? 0);
      const address = `${tensor.name}[${[sequence, ...(tensor.isSequence ? [row] : []), ...indices]}]`;
      const place = (tensor.isSequence ? row * shape[0] : 0) + flatIndex(shape, indices);
      const element = make("button.open", { key: address, onclick: () => page.open(address) });
      numbers.push({ element, address, read: () => tensor.of(model.of(page.sequence)[index])[place] });
      return make("td", element);
    });
    const name = tensor.isSequence ? `t=${turned ? count - 1 - row : row}` : down && `${down} ${row}`;
    const isMore = columns.length < (isMatrix ? sizeOf(across) : width);
    return make("tr", name && make("th", { scope: "row" }, name), cells, isMore && make("td.dim", "…"));
  });
  const more = count > rows.length && make("tr", make("td.dim", "…"));
  const fixed = axes.filter((axis) => axis !== across && axis !== down);
  const title = caption ?? fixed.map((axis) => `${axis} ${page.at[axis] ?? 0}`).join(", ");
  return make("table.numbers", title && make("caption.dim", title), make("tbody", rows, more));
}

function showReturned(page, { element, address, read }) {
  const value = read();
  const text = digits(value, 4);
  element.textContent = text;
  element.setAttribute("aria-label", `${address} = ${text}`);
  element.style.setProperty("--glow", page.changeOf(address, value) ? 1 : 0);
  element.classList.toggle("chosen", address === page.chosen);
}

/** Return {element, update}: the same in Keras and as a command. */
export function codePanel(page) {
  const { say, model } = page;
  const element = make("section.code");
  const line = (name, text) => {
    const onclick = (event) => {
      copy(text);
      event.target.textContent = say("copied");
    };
    const button = make("button", { key: name, label: say("copy {name}", { name }), onclick }, say("copy"));
    return make("div.line", make("h3", name), button, make("code", text));
  };
  const update = () => {
    const command = commandOf(model, page.layer);
    const save = () => download("case.json", JSON.stringify(caseOf(model, page.layer)));
    const parts = [
      make("h2", say("The same in code")),
      line("Keras", [expressionOf(model, page.layer)].flat().join("\n")),
      isChanged(model) && make("p.dim", say("The layer alone; the command has the rest.")),
      model.holds.length > 0 && make("p.dim", say("Keras cannot hold a gate; rnncli can.")),
      line("rnncli", command),
      command.includes(" case.json") && make("button", { key: "save", onclick: save }, say("save case.json")),
    ];
    refill(element, parts);
  };
  return { element, update };
}

function download(name, text) {
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href, download: name }).click();
}
