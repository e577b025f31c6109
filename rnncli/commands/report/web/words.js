// Words: an input that is a sentence, whose steps are words to pick or to type, and what its outputs mean.

import { list } from "./cell.js";
import { make } from "./dom.js";
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
  const select = make("select.word", { key: `word${sequence}-${step}`, label, onchange: act }, options);
  return select;
}

/** Return a field in which the sentence can be typed; null without words.  An unknown word is refused. */
export function sentenceField(page) {
  const { model, layer, say, sequence } = page;
  const words = model.data.words;
  if (!words) return null;
  const root = model.root(layer);
  const text = list(root.x.shape[1], (step) => wordAt(model, root, sequence, step));
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
