// Words: an input that is a sentence, whose steps are words to pick or to type, and what its outputs mean.

import { digits, make, refill } from "./dom.js";
import { setSentence, setWord } from "./settings.js";

// Most sentences that are shown beside each other, and most of their words.
const MOST_WORDS = 8;

/** Return the name of a time step, such as its word; "" if it has none, or if its numbers are no longer those of the word. */
export function wordAt(model, layer, sequence, step) {
  const root = model.root(layer);
  const word = root.steps?.[sequence]?.[step] ?? "";
  const { words } = model.data;
  const vector = words && Object.hasOwn(words, word) ? words[word] : null;
  const [, steps, features] = root.x.shape;
  const start = (sequence * steps + step) * features;
  const isIt = vector?.every((number, unit) => root.x.numbers[start + unit] === model.Numbers.of(number)[0]) ?? true;
  return isIt ? word : "";
}

/** Return how a time step is called: its word, or t=3. */
export const stepName = (page, step) => wordAt(page.model, page.layer, page.sequence, step) || `t=${step}`;

/** Return how a time step is called, with its number: not (t=3). */
export function longName(page, step) {
  const name = stepName(page, step);
  return name === `t=${step}` ? name : `${name} (t=${step})`;
}

/** Return what an output means: the answer whose number is nearest; "" without answers. */
export function answerOf(page, value) {
  const answers = Object.entries(page.model.data.answers ?? {});
  const distance = ([number]) => Math.abs(Number(number) - value);
  return answers.sort((one, other) => distance(one) - distance(other))[0]?.[1] ?? "";
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
  const now = wordAt(model, layer, sequence, step);
  const names = now ? Object.keys(words) : ["", ...Object.keys(words)];
  const options = names.map((word) => make("option", { value: word, selected: word === now }, word || "…"));
  const act = () => {
    const [root, word] = [model.root(layer), select.value];
    if (word) page.change(() => setWord(model, root, sequence, step, word, words[word]), true);
  };
  const label = say("word at t={step}", { step });
  const select = make("select.word", { key: `word${sequence}-${step}`, label, onchange: act }, options);
  return select;
}

/** Return a field in which the sentence can be typed; null without words.  An unknown word is refused. */
export function sentenceField(page) {
  const { model, layer, say, sequence } = page;
  const words = model.data.words;
  if (!words) return null;
  const root = model.root(layer);
  const text = Array.from({ length: root.x.shape[1] }, (_, step) => wordAt(model, layer, sequence, step));
  const label = say("sentence");
  const value = text.filter(Boolean).join(" ");
  const field = make("input", {
    type: "text",
    value,
    label,
    key: "sentence",
  });
  const refusal = make("p", { role: "status" });
  const onsubmit = (event) => {
    event.preventDefault();
    const typedWords = field.value.split(/\s+/).filter(Boolean);
    const known = typedWords.map((word) => [word, knownAs(words, word)]);
    const [unknown] = known.find(([, name]) => !name) ?? [];
    const named = known.map(([, name]) => name);
    if (unknown) {
      const list = Object.keys(words).join(", ");
      refusal.textContent = say("“{word}” is not in the vocabulary: {list}.", { word: unknown, list });
    } else if (named.length) {
      page.change(() => setSentence(model, root, sequence, named, words), true);
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

/** Return a word as the vocabulary writes it: case is ignored where no two words differ by it alone. */
function knownAs(words, word) {
  if (Object.hasOwn(words, word)) return word;
  const fold = (text) => text.normalize("NFC").toLowerCase();
  const alike = Object.keys(words).filter((known) => fold(known) === fold(word));
  return alike.length === 1 ? alike[0] : null;
}

/** Return {element, update}: what the layer returns for the other sentences, where they are few and short. */
export function otherSentences(page) {
  const { model, layer } = page;
  const element = make("div.others");
  const { shape } = model.root(layer).x;
  const isShown = model.data.steps && Math.max(...shape.slice(0, 2)) <= MOST_WORDS;
  const [tensor] = model.tensors(layer);
  const cell = (value) =>
    make("td", make(`span.number.hidden${value < 0 ? ".below" : ""}`, { "--v": Math.abs(value) }, digits(value, 2)));
  const table = (words, sequence) => {
    if (sequence === page.sequence) return null;
    const done = model.of(sequence)[model.layers.indexOf(layer)];
    const width = tensor.width(done);
    const numbers = Array.from(tensor.of(done));
    const rows = numbers.slice(0, width).map((_, unit) => numbers.filter((_, index) => index % width === unit));
    const onclick = () => page.chooseSequence(sequence);
    const name = make("button.link", { key: `sentence${sequence}`, onclick }, words.join(" "));
    const lines = [words.map((word) => make("td", word)), ...rows.map((row) => row.map(cell))];
    return make("table.numbers", make("caption", name), ...lines.map((line) => make("tr", line)));
  };
  const update = () => refill(element, isShown ? model.root(layer).steps.map(table) : []);
  return { element, update };
}
