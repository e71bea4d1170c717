// The fields of a form by the kind of their schema: number, choice, yes or no, text, pair, list, object.
import { el, replace, uniqueId } from "./dom.js";

const SHORT = new Set(["crf", "fps", "gpu", "cpu", "id", "url"]);

/** "num_inference_steps" in words: "Inference steps". */
export function words(name) {
  const parts = name.replace(/^num_/, "").split(/[_-]/);
  const told = parts.map((part) => (SHORT.has(part) ? part.toUpperCase() : part)).join(" ");
  return told[0].toUpperCase() + told.slice(1);
}

/**
 * The field of a property: `{element, get, set, hint, fail}`. `get` is undefined for what is left to the engine;
 * `choices` offers values for a text.
 */
export function makeField(name, property, { isRequired, choices, resolve, onchange }) {
  const { schema, isOptional, description } = unwrap(property, resolve);
  const id = uniqueId(`field-${name}`);
  const about = {
    id,
    name,
    isRequired,
    isOptional,
    fallback: schema.default ?? property.default ?? null,
    resolve,
    onchange,
  };
  const control = choose(schema, choices, about);
  const problem = el("p", { class: "problem", id: `${id}-problem`, role: "alert" });
  const help = el("p", { class: "help", id: `${id}-help` }, description);
  const target = control.focus ?? control.element;
  target.setAttribute("aria-describedby", `${id}-help ${id}-problem`);
  const title = schema.title && schema.type !== "object" ? schema.title : words(name);
  const label = control.isGroup
    ? el("legend", { class: "label" }, title)
    : el("label", { class: "label", for: id }, title);
  const frame = control.isGroup ? "fieldset" : "div";
  const parts = control.isCheck ? [el("div", { class: "check" }, control.element, label)] : [label, control.element];
  return {
    element: el(
      frame,
      { class: `field ${control.isWide ? "wide" : ""}`, dataset: { field: name } },
      parts,
      help,
      problem,
    ),
    get: control.get,
    set: control.set,
    hint: control.hint ?? (() => {}),
    fail(message) {
      replace(problem, message);
      target.setAttribute("aria-invalid", message ? "true" : "false");
    },
  };
}

/** What stands behind `$ref` and `anyOf [..., null]`. */
function unwrap(property, resolve) {
  const outer = resolve(property);
  const ways = outer.anyOf?.map(resolve) ?? [outer];
  const some = ways.filter((way) => way.type !== "null");
  const schema = some.length === 1 ? some[0] : { ...outer, anyOf: some };
  return { schema, isOptional: some.length < ways.length, description: outer.description ?? schema.description ?? "" };
}

function choose(schema, choices, about) {
  if (choices?.length) return select(choices, about);
  if (schema.enum) return select(schema.enum, about);
  if (schema.type === "boolean") return check(about);
  if (schema.type === "integer" || schema.type === "number") return number(schema, about);
  if (schema.type === "string") return phrase(schema, about);
  if (schema.prefixItems?.every((each) => /^(integer|number)$/.test(each.type))) return tuple(schema, about);
  if (schema.type === "array" && about.resolve(schema.items ?? {}).type === "string") return list(about);
  return json(about);
}

/** One of some values; "Automatic" where the engine can choose. */
function select(values, { id, name, isOptional, isRequired, fallback, onchange }) {
  const free = isOptional || (!isRequired && fallback === null);
  const automatic = el("option", { value: "" }, "Automatic");
  const element = el(
    "select",
    { class: "input", id, name, onchange },
    free && automatic,
    values.map((value, at) => el("option", { value: at + 1 }, String(value))),
  );
  const show = (value) => {
    const at = values.indexOf(value ?? (free ? undefined : fallback));
    element.value = at < 0 ? (free ? "" : "1") : String(at + 1);
  };
  show();
  return {
    element,
    get: () => {
      const value = values[Number(element.value) - 1];
      return value === fallback && !isRequired ? undefined : value;
    },
    set: show,
    hint: (value) => replace(automatic, value === null || value === undefined ? "Automatic" : `Automatic (${value})`),
  };
}

function check({ id, name, fallback, onchange }) {
  const element = el("input", { type: "checkbox", id, name, checked: Boolean(fallback), onchange });
  return {
    element,
    isCheck: true,
    get: () => (element.checked === Boolean(fallback) ? undefined : element.checked),
    set: (value) => (element.checked = Boolean(value ?? fallback)),
  };
}

function number(schema, about) {
  const isWhole = schema.type === "integer";
  const { minimum, maximum = isWhole ? Number.MAX_SAFE_INTEGER : undefined } = schema;
  const element = el("input", {
    ...common(about),
    type: "number",
    inputmode: isWhole ? "numeric" : "decimal",
    step: isWhole ? 1 : "any",
    min: minimum,
    max: maximum === undefined ? undefined : Math.min(maximum, Number.MAX_SAFE_INTEGER),
  });
  return { ...simple(element, about), get: () => (element.value === "" ? undefined : Number(element.value)) };
}

function phrase(schema, about) {
  const isLong = schema.maxLength > 1000;
  const bounds = {
    maxlength: schema.maxLength,
    minlength: schema.minLength,
    pattern: schema.pattern,
    spellcheck: isLong,
  };
  const element = isLong
    ? el("textarea", { ...common(about), rows: 2, ...bounds })
    : el("input", { ...common(about), type: "text", ...bounds });
  return { ...simple(element, about), isWide: isLong, get: () => (element.value === "" ? undefined : element.value) };
}

/** Some numbers together, such as width and height: all of them or none. */
function tuple(schema, about) {
  const parts = schema.prefixItems.map((each, at) => {
    const part = number(each, {
      ...about,
      id: at ? `${about.id}-${at}` : about.id,
      fallback: about.fallback?.[at] ?? null,
    });
    part.element.setAttribute("aria-label", `${words(about.name)}, ${at + 1} of ${schema.prefixItems.length}`);
    return part;
  });
  const element = el(
    "div",
    { class: "pair" },
    parts.map((part) => part.element),
  );
  return {
    element,
    focus: parts[0].element,
    isGroup: true,
    get: () => {
      const values = parts.map((part) => part.get());
      if (values.every((value) => value === undefined)) return undefined;
      return values.map((value) => value ?? null);
    },
    set: (value) => parts.forEach((part, at) => part.set(value?.[at])),
    hint: (value) => parts.forEach((part, at) => part.hint(value?.[at])),
  };
}

/** Texts, one a line. */
function list(about) {
  const element = el("textarea", { ...common(about), rows: 2, placeholder: about.fallback?.join("\n") });
  return {
    element,
    get: () =>
      element.value.trim()
        ? element.value
            .split("\n")
            .map((line) => line.trim())
            .filter(Boolean)
        : undefined,
    set: (value) => (element.value = value?.join("\n") ?? ""),
  };
}

/** Whatever else a schema can say, as JSON. */
function json(about) {
  const element = el("textarea", {
    ...common(about),
    class: "input code",
    rows: 3,
    placeholder: "JSON",
    spellcheck: "false",
  });
  const read = () => {
    if (!element.value.trim()) return undefined;
    try {
      return JSON.parse(element.value);
    } catch {
      return element.value; // the node says what is wrong with it
    }
  };
  return {
    element,
    isWide: true,
    get: read,
    set: (value) => (element.value = value === undefined ? "" : JSON.stringify(value, null, 1)),
  };
}

function common({ id, name, isRequired, fallback, onchange }) {
  return {
    class: "input",
    id,
    name,
    required: isRequired,
    autocomplete: "off",
    oninput: onchange,
    placeholder: fallback === null || typeof fallback === "object" ? undefined : String(fallback),
  };
}

function simple(element, { isRequired, fallback }) {
  const nothing = isRequired || element.rows ? "" : "Automatic";
  const usual = fallback === null || typeof fallback === "object" ? nothing : String(fallback);
  element.placeholder = usual;
  return {
    element,
    set: (value) => (element.value = value ?? ""),
    hint: (value) =>
      (element.placeholder = value === null || value === undefined || value === "" ? usual : String(value)),
  };
}
