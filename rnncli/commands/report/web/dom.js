// Elements, numbers as text, and the texts of the page in the reader's language.

/**
 * Return an element: `make("button.link", { key, label, onclick }, ...children)`; the attributes may be left out.
 *
 * key: finds the element again when the page is drawn anew.  label: its accessible name.  A name with -- in front is a
 * custom property of its style.  Children that are null or false are left out.
 */
export function make(selector, ...rest) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  if (tag === "button") element.type = "button";
  const isPlain = rest[0] && Object.getPrototypeOf(rest[0]) === Object.prototype;
  const { key, label, ...attributes } = isPlain ? rest.shift() : {};
  if (key !== undefined) element.dataset.key = key;
  if (label !== undefined) element.setAttribute("aria-label", label);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--") || name === "height") element.style.setProperty(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...rest.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return a shape of SVG. */
export function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Change what an element holds; the focus stays on the same key, or goes to the first button or the heading. */
export function refill(element, parts) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.replaceChildren(...parts.filter(Boolean));
  if (!key) return;
  const kept = element.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? element.querySelector("button, h2");
  if (kept.tagName === "H2") kept.tabIndex = -1;
  kept.focus({ preventScroll: true });
}

/** Return what scrolls sideways inside the page, also with the keyboard. */
export const scroll = (label, ...children) => make("div.scroll", { tabindex: "0", role: "group", label }, ...children);

/** Return a checkbox with its name. */
export function toggle(name, checked, key, act) {
  const box = make("input", { type: "checkbox", checked, key, onchange: (event) => act(event.target.checked) });
  return make("label.toggle", box, " ", name);
}

/** Return a choice.  options: pairs of what is chosen and its name. */
export function choose(label, options, chosen, key, act) {
  const list = options.map(([value, name], index) =>
    make("option", { value: String(index), selected: value === chosen }, name),
  );
  const select = make("select", { key, onchange: () => act(options[Number(select.value)][0]) }, list);
  return label ? make("label.toggle", label, " ", select) : select;
}

/** Return a number as text, with a minus sign, but not of 0; large ones in three digits. */
export function digits(value, decimals) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size >= 10 ** (6 - decimals) ? value.toPrecision(3) : value.toFixed(decimals);
  return text.replace("e+", "e").replaceAll("-", Number(text) ? "−" : "");
}

/** Return the number that a reader typed, with a point or a comma; NaN for any other text. */
export const typed = (text) => (text.trim() ? Number(text.replace("−", "-").replace(",", ".")) : Number.NaN);

/** Return a field for another number, which `set` gets; any other text is taken back. */
export function numberField(selector, value, attributes, set) {
  const onchange = () => {
    const number = typed(field.value);
    if (Number.isNaN(number)) field.value = value;
    else set(number);
  };
  const field = make(selector, { type: "text", inputmode: "decimal", value, ...attributes, onchange });
  return field;
}

/** Let no click follow a drag: with a mouse one comes at once, with a finger none does. */
export function stopClick(element) {
  const stop = (event) => event.stopImmediatePropagation();
  element.addEventListener("click", stop, true);
  setTimeout(() => element.removeEventListener("click", stop, true), 50);
}

/** Return what writes a text of the page: `say("{count} steps", {count: 4})`.  The texts' Korean is in `korean`. */
export function speaker(lang, korean) {
  return (text, values = {}) => {
    const template = (lang === "ko" && korean[text]) || text;
    return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  };
}

/** Return a word in the reader's language, with the English one where that is another: 후보(candidate). */
export function inBoth(say, word) {
  const said = say(word);
  return said.includes(word) ? said : `${said}(${word})`;
}

/** Return a text as elements: `**words**` are strong, and `[[name:words]]` has the color of the name. */
export function rich(text) {
  return text.split(/(\*\*[^*]+\*\*|\[\[\w+:[^\]]+\]\])/).map((part) => {
    const colored = /^\[\[(\w+):([^\]]+)\]\]$/.exec(part);
    if (colored) return make(`b.${colored[1]}`, colored[2]);
    return part.startsWith("**") ? make("strong", part.slice(2, -2)) : part;
  });
}

/** Copy a text to the clipboard, also where a page in a frame may not use it directly. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea.unseen");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
