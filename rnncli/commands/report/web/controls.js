// What acts where it stands: a gate is held, a change is taken back.

import { clip } from "./activations.js";
import { make, numberField } from "./dom.js";
import { hold, isEdited, undo } from "./settings.js";

// The layer in which a number was changed last: Ctrl+Z is for it, if the focus is nowhere.
let lastChanged = null;

/** Return the choice of what a gate is held at, at this step or at every one; null for what cannot be held. */
export function holdControl(page, { layer: prefix, half, name, step }) {
  const { say, model } = page;
  const layer = model.layers.find((other) => other.prefix === prefix);
  const { traced, sameAs, bounds, sizes, units } = layer.halves[half].cell;
  const line = traced.includes(name) ? name : Object.keys(sameAs).find((gate) => sameAs[gate] === name);
  if (!line) return null;
  const held = model.heldIn(layer, half)[line]?.find(({ steps }) => !steps || steps.includes(step));
  const [, allSteps] = model.root(layer).x.shape;
  const isEvery = held ? !held.steps || held.steps.length === allSteps : Boolean(page.holdsEvery);
  const [low, high] = bounds[line] ?? [0, 1];
  const isBounded = Number.isFinite(low) && Number.isFinite(high);
  const set = (value, every = isEvery) =>
    page.change(() => {
      page.holdsEvery = every;
      hold(model, layer, half, line, value, every ? null : step);
    }, true);
  const choice = (text, value) => {
    const isOn = value === (held?.value ?? null);
    return make("button", { key: `hold-${text}`, "aria-pressed": String(isOn), onclick: () => set(value) }, text);
  };
  const field = numberField(
    "input",
    held?.value ?? "",
    { label: say("value of the held gate"), key: "held" },
    (value) => set(bounds[line] ? clip(value, low, high) : value),
  );
  const values = isBounded ? [low, (low + high) / 2, high] : [0, 0.5, 1];
  const scopes = [
    [false, say("only at t={step}", { step })],
    [true, say("at every step")],
  ].map(([every, text]) => {
    const act = () => (held ? set(held.value, every) : page.show({ holdsEvery: every }, true));
    return make("button", { key: `scope-${every}`, "aria-pressed": String(every === isEvery), onclick: act }, text);
  });
  const isPart = held?.units && held.units.length < (sizes[line] > 1 ? units : 1);
  const some = held?.units?.join(", ");
  const of = isPart ? say("of the units {some}", { some }) : say("of every unit");
  return make(
    "div.hold",
    make(
      "span.choices",
      say("hold {name} at", { name: line }),
      " ",
      values.map((value) => choice(String(value).replace("-", "−"), value)),
      make("label", say("or"), " ", field),
      " ",
      choice(say("computed"), null),
    ),
    make("span.choices", scopes, " ", make("span.dim", of)),
  );
}

/** Return {element, update}: what takes changes back, hidden while there is none; Ctrl+Z does it, too. */
export function undoControls(page) {
  const { say, model } = page;
  const back = () => {
    undo(model);
    page.show({ before: null, isFresh: false, dragged: null }, true);
    page.announce(page.textOf(page.chosen));
  };
  const all = say("All numbers as they were");
  const buttons = [
    make("button", { key: "undo", title: "Ctrl+Z", onclick: back }, say("undo")),
    make("button", { key: "reset", label: all, title: all, onclick: () => page.reset() }, "↺"),
  ];
  const element = make("div.undo", buttons);
  const update = () => {
    element.hidden = !isEdited(model);
    if (isEdited(model)) lastChanged = page.root;
  };
  const onkeydown = (event) => {
    if (!element.isConnected) {
      document.removeEventListener("keydown", onkeydown);
      return;
    }
    const { target, key, ctrlKey, metaKey, shiftKey } = event;
    const isHere = page.root.contains(target) || (target === document.body && lastChanged === page.root);
    const isTyping = target.matches("input:not([type=checkbox], [type=range])") && target.value !== target.defaultValue;
    if (key.toLowerCase() !== "z" || !(ctrlKey || metaKey) || shiftKey || !isHere || isTyping || !isEdited(model))
      return;
    event.preventDefault();
    back();
  };
  document.addEventListener("keydown", onkeydown);
  update();
  return { element, update };
}
