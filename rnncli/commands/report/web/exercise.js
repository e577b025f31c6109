// Exercises: whether a typed answer is right, by the same rules as in the command.

import { make } from "./dom.js";

const numbersIn = (text) => (text.match(/(?<![\w.])[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/g) ?? []).map(Number);

/** Return whether an answer is right.  rule: {kind, right, steps}. */
export function isRight({ kind, right, steps }, text) {
  if (kind === "letters") return (text.match(/[\p{L}\p{N}_]/gu) ?? []).join("").toLowerCase() === right.toLowerCase();
  if (kind === "rows") {
    const slices = [...text.matchAll(/\[\s*:\s*,\s*([+-]?\d+)/g)].map((found) => Number(found[1]));
    const indices = slices.length ? slices : numbersIn(text);
    const rows = new Set(indices.map((index) => (index + steps) % steps));
    const inside = indices.every((index) => Number.isInteger(index) && index >= -steps && index < steps);
    return inside && rows.size === right.length && right.every((row) => rows.has(row));
  }
  if (kind === "count") text = text.replace(/(?<=\d)[,_ '](?=\d{3}(?!\d))/g, "");
  const numbers = numbersIn(kind === "shape" ? text.replaceAll("x", " ") : text);
  const near = kind === "decimal" ? 0.01 : 0;
  return numbers.length === right.length && numbers.every((number, index) => Math.abs(number - right[index]) <= near);
}

/** Let an exercise be answered in the page.  texts: by language, {ask, right, wrong, why, hint}. */
export function pose(root, { rule, texts }, lang) {
  const said = texts[lang];
  const field = make("input", { type: "text", label: said.ask, value: root.querySelector("input")?.value ?? "" });
  const verdict = make("p", { role: "status" });
  const check = () => {
    const right = isRight(rule, field.value);
    verdict.className = right ? "right" : "wrong";
    verdict.replaceChildren(make("b", right ? said.right : said.wrong), ` ${right ? said.why : said.hint}`);
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
