// The lesson, a step at a time: contents, keys, swipes, links, a projector size; a layer is drawn when first shown.

import { make, speaker } from "./dom.js";
import { pose } from "./exercise.js";
import { mount } from "./page.js";

// Pixels of a swipe that turns a page, and of the window that a step at projector size fills.
const SWIPE = 60;
const PROJECTED = 1366;
// Pixels of a window in which the text stands beside the layer.
const BESIDE = 1080;
// Where arrows and swipes have a meaning of their own.
const BUSY = ".live, .scroll, .handbook, input, select, textarea";

/** The steps and exercises of the lesson: `pages`, of which `shown` is the one in view.  mounted: layers by element. */
class Deck {
  constructor({ lang, korean, layers, shared, exercises }) {
    Object.assign(this, { lang, korean, layers, shared, exercises, shown: null, mounted: new Map() });
    this.html = document.documentElement;
    this.pages = [...document.querySelectorAll(".step")];
    this.contents = document.querySelector(".deck-contents");
    this.bar = document.querySelector(".deck-bar");
    this.html.classList.add("deck");
    for (const page of this.pages) page.querySelector("h2").tabIndex = -1;
    for (const look of document.querySelectorAll("details.look")) {
      look.addEventListener("toggle", () => look.open && this.layerIn(look.querySelector(".live")));
    }
    this.contents.addEventListener("click", (event) => event.target.closest("a") && this.list(false));
    const listeners = {
      hashchange: () => this.follow(),
      keydown: (event) => this.press(event),
      touchstart: (event) => this.touch(event),
      touchend: (event) => this.lift(event),
      resize: () => this.fit(),
      beforeprint: () => this.unfold(true),
      afterprint: () => this.unfold(false),
    };
    for (const [name, act] of Object.entries(listeners)) addEventListener(name, act, { passive: name !== "keydown" });
    this.poseExercises();
    this.follow(false);
  }

  /** Return what scripts may ask of each layer, by the first topic of its step. */
  get steps() {
    const steps = {};
    for (const root of document.querySelectorAll(".live")) {
      Object.defineProperty(steps, root.dataset.step, { enumerable: true, get: () => this.layerIn(root) });
    }
    return steps;
  }

  /** Return the layer of an element, which draws itself there once it is seen. */
  layerIn(root) {
    const { korean, lang, layers, mounted } = this;
    if (mounted.has(root)) return mounted.get(root);
    mounted.set(root, mount(root, this.whole(layers[root.id]), { korean, lang, short: true }));
    return mounted.get(root);
  }

  /** Return a part of a layer's data with the parts that stand once for several places. */
  whole(part) {
    if (Array.isArray(part)) return part.map((each) => this.whole(each));
    if (part === null || typeof part !== "object") return part;
    if ("shared" in part) return this.whole(this.shared[part.shared]);
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, this.whole(value)]));
  }

  /** Show a step; the focus goes to its heading, where a reader goes on. */
  show(page, focus = true) {
    const changed = this.shown !== page;
    this.shown = page;
    for (const other of this.pages) other.hidden = other !== page;
    this.html.classList.toggle("opening", page === this.pages[0]);
    this.fit();
    for (const root of page.querySelectorAll("[data-lang]")) root.hidden = root.dataset.lang !== this.lang;
    const root = page.querySelector(":scope > .live:not([hidden])");
    if (root) this.layerIn(root);
    document.title = `${this.titleOf(page)} · rnncli`;
    this.draw();
    if (!changed) return;
    scrollTo(0, 0);
    if (focus) page.querySelector("h2").focus({ preventScroll: true });
  }

  idOf(page) {
    return page.querySelector("h2").id;
  }

  titleOf(page) {
    return page.querySelector(`h2 .said-${this.lang}`).textContent;
  }

  /** Go to the next step, or back. */
  turn(by) {
    const page = this.pages[this.pages.indexOf(this.shown) + by];
    if (!page) return;
    location.hash = this.idOf(page);
    this.follow(); // now, as the event comes later
  }

  /** Show what the address names: `#masks`, `#slides`, or `#slides/masks`. */
  follow(focus = true) {
    const words = decodeURIComponent(location.hash.slice(1)).split("/");
    if (words[0] === "slides") this.html.classList.add("slides");
    const page = this.pages.find((each) => words.includes(this.idOf(each)));
    this.show(page ?? this.shown ?? this.pages[0], focus);
  }

  get isProjected() {
    return this.html.classList.contains("slides");
  }

  /** Enlarge the step to the window at projector size; the text stands beside the layer where there is room. */
  fit() {
    const scale = this.isProjected ? Math.max(1.25, innerWidth / PROJECTED) : 1;
    this.html.style.setProperty("--scale", scale);
    this.html.classList.toggle("deck-beside", innerWidth / scale >= BESIDE);
  }

  project() {
    this.html.classList.toggle("slides");
    this.fit();
    this.draw();
  }

  get isListing() {
    return this.html.classList.contains("listing");
  }

  /** Open the contents, or close them. */
  list(open) {
    this.html.classList.toggle("listing", open);
    this.draw();
    if (open) this.contents.querySelector("[aria-current]").focus();
  }

  /** Draw the bar, the mark in the contents and the link to the next step. */
  draw() {
    const { bar, pages, shown } = this;
    const say = speaker(this.lang, this.korean);
    const index = pages.indexOf(shown);
    const key = bar.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const button = (name, parts, label, onclick, more) => make("button", { key: name, label, onclick, ...more }, parts);
    const option = (lang, name) => make("option", { value: lang, lang, selected: lang === this.lang }, name);
    const onchange = (event) => this.speak(event.target.value);
    const choice = { key: "language", label: "Language · 언어", onchange };
    const open = { "aria-expanded": String(this.isListing) };
    const pressed = { "aria-pressed": String(this.isProjected) };
    const word = make("span.deck-word", ` ${say("Contents")}`);
    bar.replaceChildren(
      button("contents", ["☰", word], say("Contents"), () => this.list(!this.isListing), open),
      button("back", "‹", say("Back"), () => this.turn(-1), { disabled: index === 0 }),
      make("span.deck-count", `${index + 1} / ${pages.length}`),
      button("next", "›", say("Next"), () => this.turn(1), { disabled: index === pages.length - 1 }),
      make("progress", { max: pages.length, value: index + 1, label: say("Progress") }),
      button("slides", "Aᴀ", say("Projector size"), () => this.project(), pressed),
      button("print", say("Print"), say("Print all steps"), () => print()),
      make("select", choice, option("en", "English"), option("ko", "한국어")),
    );
    if (key) bar.querySelector(`[data-key="${key}"]:not(:disabled)`)?.focus();
    for (const link of this.contents.querySelectorAll("a")) {
      if (link.hash === `#${this.idOf(shown)}`) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    }
    document.querySelector("a.deck-next")?.remove();
    const next = pages[index + 1];
    const text = next && `${say("Next")}: ${this.titleOf(next)} ›`;
    if (next) shown.append(make("a.deck-next", { href: `#${this.idOf(next)}` }, text));
  }

  speak(lang) {
    this.lang = lang;
    this.html.lang = lang;
    for (const layer of this.mounted.values()) layer.speak(lang);
    this.poseExercises();
    this.show(this.shown);
  }

  poseExercises() {
    for (const [name, exercise] of Object.entries(this.exercises)) {
      pose(document.getElementById(name), exercise, this.lang);
    }
  }

  press(event) {
    const { key, target } = event;
    if (key === "Escape" && this.isListing) {
      this.list(false);
      this.bar.querySelector("[aria-expanded]").focus();
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const clicked = this.isProjected ? { PageDown: 1, PageUp: -1 }[key] : 0; // what a presenter's remote sends
    const by = clicked || (target.closest?.(BUSY) ? 0 : { ArrowRight: 1, ArrowLeft: -1 }[key]);
    if (!by) return;
    event.preventDefault();
    this.turn(by);
  }

  touch({ touches, target }) {
    const isFree = touches.length === 1 && !target.closest(BUSY);
    this.touched = isFree ? { x: touches[0].clientX, y: touches[0].clientY } : null;
  }

  lift({ changedTouches: [finger] }) {
    if (!this.touched) return;
    const [across, down] = [finger.clientX - this.touched.x, finger.clientY - this.touched.y];
    this.touched = null;
    if (Math.abs(across) > Math.max(SWIPE, 2 * Math.abs(down))) this.turn(across < 0 ? 1 : -1);
  }

  /** Show every step with its layers, its answer and its commands for the paper, and fold them again. */
  unfold(open) {
    this.html.classList.toggle("on-paper", open);
    for (const page of this.pages) page.hidden = !open && page !== this.shown;
    for (const root of document.querySelectorAll("[data-lang]")) root.hidden = root.dataset.lang !== this.lang;
    for (const part of document.querySelectorAll("details:is(.answer, .commands, .look)")) part.open = open;
    const roots = open ? document.querySelectorAll(".live:not([hidden])") : [];
    for (const root of roots) this.layerIn(root).speak(this.lang);
  }
}

const deck = new Deck(JSON.parse(document.getElementById("rnncli-data").textContent));
globalThis.rnncli = { steps: deck.steps };
