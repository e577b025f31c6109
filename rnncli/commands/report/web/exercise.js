// Exercises: whether a typed answer is right, by the same rules as in the command.

import { make } from "./dom.js";

const numbersIn = (text) =>
  (text.match(/(?<![A-Za-z0-9_.])[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/g) ?? []).map(Number);

/** Return the indices of an answer; none if it cannot be read. */
function readRows({ ordinals, fillers }, text) {
  const slices = [...text.matchAll(/\[\s*:\s*,\s*([+-]?\d+)/g)].map((found) => Number(found[1]));
  if (slices.length) return slices;
  const words = Object.keys(ordinals).join("|").replaceAll("번째", " ?번째").replaceAll("맨", "맨 ?");
  const ordinal = new RegExp(`(?<![a-z0-9])(?:${words})(?![a-z])`, "g");
  const named = (text.match(ordinal) ?? []).map((word) => ordinals[word.replaceAll(" ", "")]);
  const rest = text.replace(ordinal, "").replace(new RegExp(fillers, "g"), "");
  if (named.length && !/[^\s,.&()]/.test(rest))
    return named.length === 1 || /,|&|and|과|와|그리고/.test(text) ? named : [];
  const numbers = /\d\s*(?:st|nd|rd|th|번째|째)/.test(text) ? [] : numbersIn(text);
  return named.every((index) => numbers.includes(index)) && numbers.every(Number.isInteger) ? numbers : [];
}

/** Return the letters of an answer; null if it holds another word, or no letter. */
function readLetters({ shown, fillers }, text) {
  const kept = text.replace(new RegExp(fillers, "g"), "");
  const words = kept.toUpperCase().match(/[A-Z]+/g) ?? [];
  const areLetters = words.every((word) => word.length === 1 || [...word].every((letter) => shown.includes(letter)));
  return words.length && areLetters && !/[^a-z\s,.;:()[\]'"=&+/-]/.test(kept) ? words.join("") : null;
}

/** Return whether an answer is right; null for a text that cannot be read.  rule: as in grading.py. */
export function grade(rule, answer) {
  const { kind, right, steps } = rule;
  let text = answer.normalize("NFKC").toLowerCase();
  if (kind === "letters") {
    const letters = readLetters(rule, text);
    return letters === null ? null : letters === right;
  }
  if (kind === "shape") text = text.replaceAll("x", " ");
  if (kind === "count") text = text.replace(/(?<=\d)[,_ '](?=\d{3}(?!\d))/g, "");
  const numbers = kind === "rows" ? readRows(rule, text) : numbersIn(text);
  if (!numbers.length || (["count", "decimal"].includes(kind) && numbers.length > 1)) return null;
  if (kind === "rows") {
    const rows = new Set(numbers.map((index) => (index + steps) % steps));
    const inside = numbers.every((index) => index >= -steps && index < steps);
    return inside && rows.size === right.length && right.every((row) => rows.has(row));
  }
  const margin = kind === "decimal" ? 0.01 : 0;
  return numbers.length === right.length && numbers.every((number, index) => Math.abs(number - right[index]) <= margin);
}

/** Let an exercise be answered in the page.  texts: by language, {ask, right, wrong, unread, why, hint}. */
export function pose(root, { rule, texts }, lang) {
  const said = texts[lang];
  const field = make("input", { type: "text", label: said.ask, value: root.querySelector("input")?.value ?? "" });
  const verdict = make("p", { role: "status" });
  const check = () => {
    const right = grade(rule, field.value);
    verdict.className = right ? "right" : "wrong";
    const [word, rest] = right === null ? [said.unread, ""] : right ? [said.right, said.why] : [said.wrong, said.hint];
    verdict.replaceChildren(make("b", word), ` ${rest}`);
  };
  const onsubmit = (event) => {
    event.preventDefault();
    check();
  };
  const button = make("button", said.check);
  button.type = "submit";
  const form = make("form", { onsubmit }, make("label", `${said.ask} `, field), " ", button, verdict);
  root.replaceChildren(form);
}
