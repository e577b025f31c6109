// Words: an input that is a sentence, whose steps are words to pick or to type, and what its outputs mean.

import { digits, make, refill } from "./dom.js";
import { setSentence, setWord } from "./settings.js";

// Most sentences that are shown beside each other, and most of their words.
const MOST_SENTENCES = 4;
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
export const stepName = (page, step, sequence = page.sequence) =>
  wordAt(page.model, page.layer, sequence, step) || `t=${step}`;

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
    autocomplete: "off",
    spellcheck: "false",
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
  const { model, layer, say } = page;
  const { bidirectional, merge } = layer.flags;
  const element = make("div.others");
  const [batch, steps] = model.root(layer).x.shape;
  const isShown = model.data.steps && batch <= MOST_SENTENCES && steps <= MOST_WORDS;
  const [tensor] = model.tensors(layer);
  const isHalved = bidirectional && merge === "concat";
  const way = (unit) => isHalved && say(unit < layer.halves.forward.cell.units ? "forward →" : "backward ←");
  const row = (done, sequence, unit) =>
    Array.from({ length: steps }, (_, step) => {
      const half = tensor.half || "forward";
      const at = tensor.isSequence ? model.stepOf(layer, half, done.halves[half], step) : step === steps - 1 ? 0 : null;
      if (at === null || !wordAt(model, layer, sequence, step)) return make("td");
      const value = tensor.of(done)[at * tensor.width(done) + unit];
      const kind = `span.number.hidden${value < 0 ? ".below" : ""}`;
      return make("td", make(kind, { "--v": Math.min(Math.abs(value), 1) || 0 }, digits(value, 2)));
    });
  const table = (sequence) => {
    const done = model.of(sequence)[model.layers.indexOf(layer)];
    const words = Array.from({ length: steps }, (_, step) => wordAt(model, layer, sequence, step));
    const choose = () => page.chooseSequence(sequence);
    const units = Array.from({ length: Math.min(tensor.width(done), MOST_WORDS) }, (_, unit) => unit);
    const head = make("button.link", { key: `sentence${sequence}`, onclick: choose }, words.filter(Boolean).join(" "));
    return make(
      "table.numbers",
      make("caption", head),
      make(
        "thead",
        make(
          "tr",
          make("td", "\u00a0"),
          words.map((word) => make("td", word)),
        ),
      ),
      make(
        "tbody",
        units.map((unit) => make("tr", make("th", { scope: "row" }, way(unit)), row(done, sequence, unit))),
      ),
    );
  };
  const update = () => {
    const others = Array.from({ length: isShown ? batch : 1 }, (_, sequence) => sequence);
    refill(element, others.filter((sequence) => isShown && sequence !== page.sequence).map(table));
  };
  return { element, update };
}
