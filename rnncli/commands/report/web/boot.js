// What runs when the page is open: its layer comes to life, and the language can be changed.

import { make } from "./dom.js";
import { mount } from "./page.js";

const { lang, korean, layers } = JSON.parse(document.getElementById("rnncli-data").textContent);
const [[id, data]] = Object.entries(layers);
const layer = mount(document.getElementById(id), data, { korean, lang });

const options = [
  ["en", "English"],
  ["ko", "한국어"],
].map(([value, name]) => make("option", { value, lang: value, selected: value === lang }, name));
const onchange = (event) => {
  document.documentElement.lang = event.target.value;
  layer.speak(event.target.value);
};
document.querySelector(".languages").append(make("select", { label: "Language · 언어", onchange }, options));
globalThis.rnncli = layer;
