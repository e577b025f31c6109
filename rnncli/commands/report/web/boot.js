// What runs when the page is open: its layers come to life, exercises are graded, and the language can be changed.

import { make } from "./dom.js";
import { pose } from "./exercise.js";
import { mount } from "./page.js";

const { lang, korean, layers, exercises } = JSON.parse(document.getElementById("rnncli-data").textContent);
const roots = Object.keys(layers).map((name) => document.getElementById(name));
const mounted = roots.map((root) => mount(root, layers[root.id], { korean, lang, short: "step" in root.dataset }));

const options = [
  ["en", "English"],
  ["ko", "한국어"],
].map(([value, name]) => make("option", { value, lang: value, selected: value === lang }, name));
const onchange = (event) => speak(event.target.value);
document.querySelector(".languages").append(make("select", { label: "Language · 언어", onchange }, options));
poseExercises(lang);

function speak(named) {
  document.documentElement.lang = named;
  for (const layer of mounted) layer.speak(named);
  poseExercises(named);
}

function poseExercises(named) {
  for (const [name, exercise] of Object.entries(exercises)) pose(document.getElementById(name), exercise, named);
}

const steps = Object.fromEntries(roots.map((root, index) => [root.dataset.step, mounted[index]]));
globalThis.rnncli = "step" in roots[0].dataset ? { steps } : mounted[0];
