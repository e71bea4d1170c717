// Making and changing elements: texts and attributes only, so that no name, log or error is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";
/** What is set on the object, not as an attribute: the state of an element, not its beginning. */
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "indeterminate", "selected", "muted", "open"]);

/**
 * An element. Functions in `props` listen (`onclick`), `dataset` and `style` take objects, null, undefined and false
 * are left out, true is an attribute without a value. Children are nodes, texts, lists of them, or nothing.
 */
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Put these children in place of those that an element has. */
export function replace(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

/** Change an element's text, if it is another one: an untouched one costs no layout and is not read aloud again. */
export function text(element, value) {
  const wanted = String(value ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
  return element;
}

/** Say something to screen readers alone. */
export function announce(message) {
  text(document.getElementById("live"), message);
}

/** A name for an element that others refer to. */
export function uniqueId(prefix) {
  return `${prefix}-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
}

/** Call a function once things are quiet for so many milliseconds. `.cancel()` forgets a call that is due. */
export function debounce(call, delay) {
  let timer = 0;
  const later = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), delay);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (typeof value === "function") element.addEventListener(name.slice(2), value);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
  else if (PROPERTIES.has(name)) element[name] = value;
  else if (value !== false) element.setAttribute(name, value === true ? "" : value);
}

function nodes(children) {
  return children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false);
}
