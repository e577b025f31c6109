// Words: an input that is a sentence, whose steps are words to pick or to type, and what its outputs mean.

import { list } from "./cell.js";
import { digits, make } from "./dom.js";
import { isTurned, setSentence, setWord } from "./settings.js";

/**
 * Return the name of a time step that a layer reads, such as its word; "" if it has none, or if its numbers are no
 * longer those of the word.  A layer below with go_backwards turns the steps.
 */
export function wordAt(model, layer, sequence, read) {
  const root = model.root(layer);
  const isOther = layer.source !== null && isTurned(model, model.layers[layer.source]);
  const step = isOther ? root.x.shape[1] - 1 - read : read;
  const word = root.steps?.[sequence]?.[step] ?? "";
  const { words } = model.data;
  const vector = words && Object.hasOwn(words, word) ? words[word] : null;
  const [, steps, features] = root.x.shape;
  const start = (sequence * steps + step) * features;
  const isIt = vector?.every((number, unit) => root.x.numbers[start + unit] === model.Numbers.of(number)[0]) ?? true;
  return isIt ? word : "";
}

/** Return how a time step is called: its word, or t=3. */
export const stepName = (page, step, layer = page.layer) =>
  wordAt(page.model, layer, page.sequence, step) || `t=${step}`;

/** Return how a time step is called, with its number: not (t=3). */
export function longName(page, step, layer) {
  const name = stepName(page, step, layer);
  return name === `t=${step}` ? name : `${name} (t=${step})`;
}

/** Return what an output means: the answer whose number is nearest; "" without answers. */
export function answerOf(page, value) {
  const answers = Object.entries(page.model.data.answers ?? {});
  const distance = ([number]) => Math.abs(Number(number) - value);
  return answers.sort((one, other) => distance(one) - distance(other))[0]?.[1] ?? "";
}

/** Return what a layer of one unit says at a time step, `bad (−0.91)`; "" without answers, and at a masked step. */
export function verdictAt(page, layer, sequence, step) {
  const done = page.done(layer, sequence);
  const half = done.halves.forward;
  const isShown = page.play.hasReached({ layer, half: "forward", line: layer.halves.forward.cell.states[0], step });
  if (done.width > 1 || (half.mask && !half.mask[step]) || !isShown) return "";
  const value = done.sequences[0][page.model.stepOf(layer, "forward", half, step)];
  return `${answerOf(page, value)} (${digits(value, 2)})`;
}

/** Return the sentence that says what the layer does; null without one. */
export function aboutSentence(page) {
  const about = page.model.data.about;
  return about && make("p.about", about[page.lang] ?? about.en);
}

/** Return the choice of the word of a time step; null without words. */
export function wordPicker(page, step, sequence = page.sequence) {
  const { model, layer, say } = page;
  const words = model.data.words;
  if (!words) return null;
  const root = model.root(layer);
  const now = wordAt(model, root, sequence, step);
  const names = now ? Object.keys(words) : ["", ...Object.keys(words)];
  const options = names.map((word) => make("option", { value: word, selected: word === now }, word || "…"));
  const act = () => {
    const word = select.value;
    if (word) page.change(() => setWord(model, root, sequence, step, word, words[word]), true);
  };
  const label = say("word at t={step}", { step });
  const select = make("select", { key: `word${sequence}-${step}`, label, onchange: act }, options);
  return make("span.word", make("span", now || "…"), select);
}

/** Return a field in which the sentence can be typed; null without words.  An unknown word is refused and marked. */
export function sentenceField(page) {
  const { model, layer, say, sequence } = page;
  const { words } = model.data;
  if (!words) return null;
  const root = model.root(layer);
  const text = list(root.x.shape[1], (step) => wordAt(model, root, sequence, step));
  const label = say("sentence");
  const value = text.filter(Boolean).join(" ");
  const field = make("input", { type: "text", value, label, key: "sentence" });
  const refusal = make("div", { role: "status" });
  const onsubmit = (event) => {
    event.preventDefault();
    const typedWords = field.value.split(/\s+/).filter(Boolean);
    const known = typedWords.map((word) => readTyped(model.data, word));
    const unknown = typedWords[known.indexOf(null)];
    field.setAttribute("aria-invalid", String(unknown !== undefined));
    if (unknown !== undefined) {
      const marked = typedWords.map((word, index) => (known[index] ? word : make("mark", word)));
      refusal.replaceChildren(
        make(
          "p",
          marked.flatMap((word) => [word, " "]),
        ),
        ...refuse(page, unknown),
      );
      const start = field.value.indexOf(unknown);
      field.setSelectionRange(start, start + unknown.length);
    } else if (known.flat().length) {
      page.change(() => setSentence(model, root, sequence, known.flat(), words), true);
    }
  };
  return make(
    "form.sentence",
    { onsubmit },
    make("label", label, " ", field),
    " ",
    make("button", { type: "submit" }, say("read")),
    refusal,
  );
}

/** Return why a word is refused: the nearest words, and the vocabulary in its groups. */
function refuse({ say, model }, word) {
  const { words, aliases, groups } = model.data;
  const near = nearest(word, [...Object.keys(words), ...Object.keys(aliases ?? {})]).join(", ");
  const lines = Object.entries(groups ?? { "": Object.keys(words) });
  return [
    make("p.refused", say("“{word}” is not in the vocabulary.", { word })),
    near && make("p", say("Did you mean {near}?", { near })),
    ...lines.map(([group, listed]) => make("p", group && make("b", `${group}: `), listed.join(", "))),
  ].filter(Boolean);
}

/** Return the words of the vocabulary that were typed as one: its case, punctuation and aliases; null if it has none. */
function readTyped({ words, aliases }, typed) {
  if (Object.hasOwn(words, typed)) return [typed];
  const alike = (texts) => Object.keys(texts ?? {}).filter((text) => fold(text) === fold(typed));
  if (alike(words).length === 1) return alike(words);
  const [alias] = alike(aliases);
  if (alias !== undefined) return aliases[alias].split(/\s+/);
  const parts = typed.split(/[.,;:!?…。、，！？()"“”]+/).map((part) => part.replace(/^['‘’]+|['‘’]+$/g, ""));
  const filled = parts.filter(Boolean);
  if (filled.join() === typed) return null;
  const read = filled.map((part) => readTyped({ words, aliases }, part));
  return read.every(Boolean) ? read.flat() : null;
}

/** Return a word as it is compared: without case, or how accents and apostrophes are stored. */
const fold = (text) => text.normalize("NFC").toLowerCase().replaceAll("’", "'");

/** Return the up to three nearest words, as rnncli names them. */
function nearest(typed, words) {
  const letters = (text) => fold(text).normalize("NFD");
  const likeness = (word) => (2 * countCommon(letters(typed), letters(word))) / (letters(typed) + letters(word)).length;
  const near = words.map((word) => [likeness(word), word]).filter(([share]) => share >= 0.65);
  near.sort(([one, first], [other, second]) => other - one || (first < second ? 1 : -1));
  return near.slice(0, 3).map(([, word]) => word);
}

/** Return how many letters two texts share: the longest common part, and what is common before and after it. */
function countCommon(one, other) {
  let [first, second, most] = [0, 0, 0];
  for (let start = 0; start < one.length; start++) {
    for (let place = 0; place < other.length; place++) {
      let size = 0;
      while (start + size < one.length && one[start + size] === other[place + size]) size += 1;
      if (size > most) [first, second, most] = [start, place, size];
    }
  }
  if (!most) return 0;
  const before = countCommon(one.slice(0, first), other.slice(0, second));
  return before + most + countCommon(one.slice(first + most), other.slice(second + most));
}
